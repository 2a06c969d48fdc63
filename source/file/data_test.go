package file

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"trailward"
	"trailward/format"
)

// sharedData finds the folder of published test data, which is not part of
// the repository.
func sharedData(t testing.TB) string {
	if d := os.Getenv("SHARED_DATA"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		for _, d := range []string{filepath.Join(dir, "shared", "data"), filepath.Join(dir, "..", "shared", "data")} {
			if st, err := os.Stat(d); err == nil && st.IsDir() {
				return d
			}
		}
	}
	t.Skip("no ../shared/data here, and SHARED_DATA is not set")
	return ""
}

// kindOf does what intake does to find a record's kind.
func kindOf(f *trailward.Framed) trailward.Kind {
	if f.Damaged != "" {
		return trailward.KindText
	}
	if f.Kind != "" {
		if f.Kind == trailward.KindVPCFlow {
			if _, ok := format.Split(f.Kind, f.Raw, f.Columns, nil); !ok {
				return format.ClassifyLine(f.Raw)
			}
		}
		return f.Kind
	}
	var obj map[string]any
	if len(f.Raw) > 0 && json.Unmarshal(f.Raw, &obj) == nil && obj != nil {
		paths := map[string]bool{}
		flatten("", obj, paths)
		return format.ClassifyObject(func(p string) bool { return paths[p] })
	}
	return format.ClassifyLine(f.Raw)
}

func flatten(prefix string, obj map[string]any, paths map[string]bool) {
	for k, v := range obj {
		p := trailward.JoinPath(k)
		if prefix != "" {
			p = prefix + "." + p
		}
		if m, ok := v.(map[string]any); ok {
			flatten(p, m, paths)
		} else {
			paths[p] = true
		}
	}
}

type tally struct {
	kinds   map[trailward.Kind]int
	damaged map[string]int
	report  Report
}

func count(t testing.TB, paths []string, opts Options) tally {
	t.Helper()
	c := tally{kinds: map[trailward.Kind]int{}, damaged: map[string]int{}}
	var err error
	c.report, err = Walk(context.Background(), paths, opts, func(in *Input) error {
		for {
			f, err := in.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if f.Damaged != "" {
				c.damaged[f.Damaged]++
			}
			c.kinds[kindOf(&f)]++
		}
	})
	if err != nil && !errors.As(err, new(*Damage)) {
		t.Fatalf("Walk(%v) = %v, want nil", paths, err)
	}
	return c
}

func TestTmp(t *testing.T) {
	d := sharedData(t)
	for _, sub := range []string{"cloudtrail", "k8s-audit", "vpc-flow", "linux", "container", "dns", "other", "ocsf-pairs", "guardduty", "labelled", "network-zeek"} {
		filepath.Walk(filepath.Join(d, sub), func(p string, fi os.FileInfo, err error) error {
			if fi.IsDir() {
				return nil
			}
			c := count(t, []string{p}, Options{})
			t.Log(p[len(d):], c.kinds, c.damaged, c.report.Files, c.report.Damages, c.report.Control)
			return nil
		})
	}
}
