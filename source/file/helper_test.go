package file

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"trailward"
)

// read walks paths and returns the records, each as show writes it, and the
// report. It holds what Walk and Input promise on the way.
func read(t testing.TB, opts Options, paths ...string) ([]string, Report) {
	t.Helper()
	var got []string
	report, err := Walk(context.Background(), paths, opts, func(in *Input) error {
		return drain(t, in, &got)
	})
	if err != nil {
		t.Fatalf("Walk(%v) = %v, want nil", paths, err)
	}
	return got, report
}

func drain(t testing.TB, in *Input, got *[]string) error {
	t.Helper()
	before := in.Consumed()
	for {
		f, err := in.Next()
		if err == io.EOF {
			if in.Size() != in.Consumed() {
				t.Errorf("%s: Size() = %d, Consumed() = %d at the end, want them equal", in.Name, in.Size(), in.Consumed())
			}
			return nil
		}
		if d := new(Damage); errors.As(err, &d) {
			if d.Name == "" || d.Reason == "" {
				t.Errorf("%s: Next() = %+v, want a name and a reason", in.Name, d)
			}
			if _, again := in.Next(); again != err {
				t.Errorf("%s: Next() = %v after %v, want the same again", in.Name, again, err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.Raw) == 0 && len(f.Attrs) == 0 { // an empty line has what is said beside it
			t.Errorf("%s: Next() = no bytes, want a record", in.Name)
		}
		if c := in.Consumed(); c < before {
			t.Errorf("%s: Consumed() = %d after %d, want it to grow", in.Name, c, before)
		} else {
			before = c
		}
		*got = append(*got, show(f))
	}
}

// show writes a record as its bytes, and what else is said of it before them.
func show(f trailward.Framed) string {
	var b strings.Builder
	if f.Damaged != "" {
		fmt.Fprintf(&b, "(%s)", f.Damaged)
	}
	if f.Kind != "" {
		fmt.Fprintf(&b, "<%s>", f.Kind)
	}
	if f.Columns != nil {
		fmt.Fprintf(&b, "%v", f.Columns)
	}
	if f.Time != 0 {
		fmt.Fprintf(&b, "@%d ", f.Time)
	}
	for _, a := range f.Attrs {
		fmt.Fprintf(&b, "%s=%s ", a.Name, a.Value)
	}
	b.Write(f.Raw)
	return b.String()
}

// stdin reads one stream.
func stdin(t testing.TB, content string, opts Options) ([]string, Report) {
	t.Helper()
	opts.Stdin = strings.NewReader(content)
	return read(t, opts, "-")
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s = %d records %.1000s, want %d %.1000s", what, len(got), fmt.Sprintf("%q", got), len(want), fmt.Sprintf("%q", want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: record %d = %.500q, want %.500q", what, i, got[i], want[i])
			return
		}
	}
}

func gzipped(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

func zstded(content string) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

// tarred makes an archive of name, content, name, content, …
func tarred(members ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w.WriteHeader(&tar.Header{Name: members[i], Size: int64(len(members[i+1])), Mode: 0o600, Typeflag: tar.TypeReg})
		w.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.String()
}

func zipped(members ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, _ := w.Create(members[i])
		f.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.String()
}

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zippedStored(members ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: members[i], Method: zip.Store})
		f.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.String()
}
