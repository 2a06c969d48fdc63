package file

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// names walks paths and returns what files it met, with their records.
func names(t testing.TB, opts Options, paths ...string) ([]string, Report) {
	t.Helper()
	var got []string
	report, err := Walk(context.Background(), paths, opts, func(in *Input) error {
		var recs []string
		err := drain(t, in, &recs)
		got = append(got, fmt.Sprintf("%s: %s", in.Name, strings.Join(recs, "|")))
		return err
	})
	if err != nil {
		t.Fatalf("Walk(%v) = %v, want nil", paths, err)
	}
	return got, report
}

func TestLayers(t *testing.T) {
	const text = "a\nb\n"
	big := strings.Repeat("0123456789abcde\n", 20000)
	for _, c := range []struct {
		name, in string
		want     []string // names and records
		damaged  map[string]int
	}{
		{name: "plain", in: text, want: []string{"-: a|b"}},
		{name: "gzip", in: gzipped(text), want: []string{"-: a|b"}},
		{name: "gzip of several members", in: gzipped("a\nb") + gzipped("c\n") + gzipped("") + gzipped("d"), want: []string{"-: a|bc|d"}},
		{name: "gzip with zeros behind", in: gzipped(text) + strings.Repeat("\x00", 700), want: []string{"-: a|b"}},
		{name: "gzip with something behind", in: gzipped(text) + "xyz", want: []string{"-: a|b"}, damaged: map[string]int{BrokenGzip: 1}},
		{name: "gzip in gzip", in: gzipped(gzipped(text)), want: []string{"-: a|b"}},
		{name: "zstd", in: zstded(text), want: []string{"-: a|b"}},
		{name: "zstd of several frames", in: zstded("a\nb") + zstded("c\n"), want: []string{"-: a|bc"}},
		{name: "tar", in: tarred("x", text, "d/y.gz", gzipped("c"), "z", ""), want: []string{"-!x: a|b", "-!d/y.gz: c", "-!z: "}},
		{name: "tar.gz", in: gzipped(tarred("x", text)), want: []string{"-!x: a|b"}},
		{name: "zip", in: zipped("x", text, "d/y.zst", zstded("c")), want: []string{"-!x: a|b", "-!d/y.zst: c"}},
		{name: "zip in tar in zip", in: zipped("a.tar", tarred("b.zip", zipped("c", text), "d", "e")), want: []string{"-!a.tar!b.zip!c: a|b", "-!a.tar!d: e"}},
		{name: "empty zip", in: zipped()},

		{name: "too deep", in: tarred("1", tarred("2", tarred("3", tarred("4", tarred("5", text), "x", "y")))), want: []string{"-!1!2!3!x: y"}, damaged: map[string]int{TooDeep: 1}},
		{name: "four deep", in: tarred("1", tarred("2", tarred("3", tarred("4", text)))), want: []string{"-!1!2!3!4: a|b"}},
		{name: "cut gzip", in: gzipped("a\nb")[:13], want: []string{"-: "}, damaged: map[string]int{CutGzip: 1}},
		{name: "cut zstd", in: zstded(big)[:30], damaged: map[string]int{CutZstd: 1}, want: []string{"-: "}},
		{name: "gzip header only", in: "\x1f\x8b\x08", want: []string{"-: "}, damaged: map[string]int{CutGzip: 1}},
		{name: "gzip with a wrong sum", in: flip(gzipped(text), -5), want: []string{"-: a|b"}, damaged: map[string]int{BrokenGzip: 1}},
		{name: "tar with a cut member", in: tarred("x", text, "y", big)[:3000], want: []string{"-!x: a|b", "-!y: " + strings.Repeat("0123456789abcde|", 91) + "01234567"}, damaged: map[string]int{CutTar: 1}},
		{name: "tar with a broken header", in: flip(tarred("x", text, "y", text), 1100), want: []string{"-!x: a|b"}, damaged: map[string]int{BrokenTar: 1}},
		{name: "cut tar in tar", in: tarred("x", tarred("y", big)[:2048], "z", text), want: []string{"-!x!y: " + strings.Repeat("0123456789abcde|", 95) + "0123456789abcde", "-!z: a|b"}, damaged: map[string]int{CutTar: 1}},
		{name: "cut gzip in tar", in: tarred("x.gz", gzipped("a\nb")[:20], "z", text), want: []string{"-!x.gz: a|b", "-!z: a|b"}, damaged: map[string]int{CutGzip: 1}},
		{name: "broken zip", in: zipped("x", text)[:60], want: []string{"-!x: a|b"}, damaged: map[string]int{BrokenZip: 1}},
		{name: "zip with a wrong sum", in: strings.Replace(zippedStored("x", text, "y", "c"), "a\nb\n", "a\nB\n", 1), want: []string{"-!x: a|B", "-!y: c"}, damaged: map[string]int{BrokenZip: 1}},
		{name: "cut Parquet", in: "PAR1xxxx", damaged: map[string]int{CutParquet: 1}},
		{name: "Parquet of nothing", in: "PAR1\x00\x00\x00\x00PAR1", damaged: map[string]int{BrokenParquet: 1}},
		{name: "encrypted Parquet", in: "PARE\x00\x00\x00\x00PARE", damaged: map[string]int{EncryptedParquet: 1}},
		{name: "xz", in: "\xfd7zXZ\x00xxxx", damaged: map[string]int{XzNotRead: 1}},
		{name: "lz4", in: "\x04\x22\x4d\x18xx", damaged: map[string]int{Lz4NotRead: 1}},
		{name: "7z", in: "7z\xbc\xaf\x27\x1cxx", damaged: map[string]int{SevenZipNotRead: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, report := names(t, Options{Stdin: strings.NewReader(c.in)}, "-")
			if c.name == "cut gzip" || c.name == "cut gzip in tar" || c.name == "tar with a cut member" || c.name == "cut tar in tar" {
				for i := range got { // how much of a cut file is there, and what is cut in it, is not the matter
					got[i] = strings.NewReplacer("(cut gzip)", "", "(cut tar)", "").Replace(got[i])
				}
			}
			same(t, c.name, got, c.want)
			if fmt.Sprint(report.Damaged) != fmt.Sprint(c.damaged) && len(report.Damaged)+len(c.damaged) > 0 {
				t.Errorf("Damaged = %v, want %v (%v)", report.Damaged, c.damaged, report.Damages)
			}
			if report.Files != len(c.want) {
				t.Errorf("Files = %d, want %d", report.Files, len(c.want))
			}
			// A file of this content gives the same as the stream.
			path := write(t, filepath.Join(t.TempDir(), "misnamed.log"), c.in)
			again, _ := names(t, Options{}, path)
			for i := range again {
				again[i] = strings.NewReplacer(path, "-", "(cut gzip)", "", "(cut tar)", "").Replace(again[i])
			}
			same(t, c.name+" as a file", again, c.want)
		})
	}
}

// flip changes one bit of a string, of the byte at i, or at -i from its end.
func flip(s string, i int) string {
	b := []byte(s)
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 1
	return string(b)
}

func TestCutGzipMarksItsLastRecord(t *testing.T) {
	var in bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&in, "line %d of some length, %x\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	packed := gzipped(in.String())
	got, report := stdin(t, packed[:len(packed)/2], Options{})
	if len(got) < 5000 || !strings.HasPrefix(got[len(got)-1], "("+CutGzip+")") || strings.HasPrefix(got[len(got)-2], "(") {
		t.Errorf("a cut gzip gives %d records, the last ones %q, want some thousand, the last one marked", len(got), got[max(0, len(got)-2):])
	}
	if report.Damaged[CutGzip] != 1 || report.Damages[0].Name != "-" {
		t.Errorf("Damaged = %v, %v, want one cut gzip", report.Damaged, report.Damages)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	outside := write(t, filepath.Join(t.TempDir(), "secret"), "secret\n")
	write(t, filepath.Join(dir, "b", "2.log"), "2\n")
	write(t, filepath.Join(dir, "b", "10.log"), "10\n")
	write(t, filepath.Join(dir, "a.log.gz"), gzipped("a\n"))
	write(t, filepath.Join(dir, "c.log"), "c\n")
	write(t, filepath.Join(dir, "empty"), "")
	for link, to := range map[string]string{"l1": outside, "l2": "c.log", "l3": filepath.Dir(outside), "l4": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, report := names(t, Options{}, dir)
	same(t, "folder", got, []string{dir + "/a.log.gz: a", dir + "/b/10.log: 10", dir + "/b/2.log: 2", dir + "/c.log: c", dir + "/empty: "})
	if fmt.Sprint(report.Skipped) != "map[not a regular file:1 symbolic link:4]" {
		t.Errorf("Skipped = %v, want four symbolic links and a pipe", report.Skipped)
	}

	link := filepath.Join(t.TempDir(), "given")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	got, _ = names(t, Options{}, link, filepath.Join(dir, "l2"))
	same(t, "given links", got, []string{link + "/a.log.gz: a", link + "/b/10.log: 10", link + "/b/2.log: 2", link + "/c.log: c", link + "/empty: ", dir + "/l2: c"})
}

func TestWalkErrors(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f"), "a\nb\n")
	called := 0
	count := func(*Input) error { called++; return nil }
	if _, err := Walk(context.Background(), []string{path, filepath.Join(dir, "none")}, Options{}, count); !errors.Is(err, os.ErrNotExist) || called > 0 {
		t.Errorf("Walk(a missing path) = %v after %d files, want that it does not exist, before any", err, called)
	}
	mine := errors.New("mine")
	if _, err := Walk(context.Background(), []string{path}, Options{}, func(*Input) error { return mine }); err != mine {
		t.Errorf("Walk(…) = %v, want the function's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := Walk(ctx, []string{path, path}, Options{}, func(in *Input) error { called++; cancel(); return nil }); err != context.Canceled || called != 1 {
		t.Errorf("Walk(…) = %v after %d files, want a cancelled context after 1", err, called)
	}
	for _, o := range []Options{{Kind: "nonsense"}, {MaxRecord: 5}, {MaxRatio: -1}} {
		if _, err := Walk(context.Background(), nil, o, count); err == nil {
			t.Errorf("Walk(…, %+v) = nil, want an error", o)
		}
	}
	if os.Getuid() != 0 {
		os.Chmod(path, 0)
		if _, err := Walk(context.Background(), []string{path}, Options{}, count); !errors.Is(err, os.ErrPermission) {
			t.Errorf("Walk(a forbidden file) = %v, want permission denied", err)
		}
		if _, report := names(t, Options{}, dir); report.Damaged[CannotRead] != 1 {
			t.Errorf("Damaged = %v, want one that cannot be read", report.Damaged)
		}
	}
}

func TestCancelWhileReading(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	path := write(t, filepath.Join(t.TempDir(), "f.gz"), gzipped(strings.Repeat("line\n", 1<<20)))
	n := 0
	_, err := Walk(ctx, []string{path}, Options{}, func(in *Input) error {
		for {
			_, err := in.Next()
			if err != nil {
				return err
			}
			if n++; n == 10 {
				cancel()
			}
		}
	})
	if !errors.Is(err, context.Canceled) || n == 1<<20 {
		t.Errorf("Walk(…) = %v after %d records, want a cancelled context before the end", err, n)
	}
}

func TestBombs(t *testing.T) {
	zeros := gzipped(strings.Repeat("\x00", 1<<20))
	for _, c := range []struct {
		name string
		in   string
		opts Options
	}{
		{"total", gzipped(strings.Repeat("x\n", 1<<20)), Options{MaxDecompressed: 1 << 20}},
		{"ratio", strings.Repeat(zeros, 300), Options{MaxRatio: 100}},
		{"ratio in a tar", tarred("a", strings.Repeat(zeros, 150), "b", strings.Repeat(zeros, 150)), Options{MaxRatio: 100}},
		{"total in a zip", zipped("a", strings.Repeat("x\n", 1<<20)), Options{MaxDecompressed: 1 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "f"), c.in)
			var out int64
			report, err := Walk(context.Background(), []string{path}, c.opts, func(in *Input) error {
				defer func() { out += in.Consumed() }()
				for {
					if _, err := in.Next(); err != nil {
						return err
					}
				}
			})
			if err != nil || report.Damaged[TooLarge] == 0 {
				t.Errorf("Walk(bomb) = %v, %v, want it too large", report.Damaged, err)
			}
			if out > 290<<20 {
				t.Errorf("%d bytes came out of the bomb, want less", out)
			}
			c.opts.Stdin = strings.NewReader(c.in)
			report, err = Walk(context.Background(), []string{"-"}, c.opts, func(in *Input) error {
				for {
					if _, err := in.Next(); err != nil {
						return err
					}
				}
			})
			if err != nil || report.Damaged[TooLarge] == 0 {
				t.Errorf("Walk(bomb from a stream) = %v, %v, want it too large", report.Damaged, err)
			}
		})
	}
}

func TestBeginnings(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("a line of some length\n", 10000)
	random := make([]byte, MaxHeld+10)
	rand.Read(random)
	cut := gzipped(string(random[:1<<20]))[:1<<19]
	for _, c := range []struct {
		name, file, content string // content "?": what can be read of it
		stream              bool
		whole               bool // HeadSum is all
		unknown             bool
	}{
		{name: "small", file: "a b\n", content: "a b\n", whole: true},
		{name: "small stream", file: "a b\n", content: "a b\n", whole: true, stream: true},
		{name: "empty", whole: true},
		{name: "head exactly", file: long[:headSize], content: long[:headSize], whole: true},
		{name: "head and one", file: long[:headSize+1], content: long[:headSize+1]},
		{name: "long", file: long, content: long},
		{name: "long stream", file: long, content: long, stream: true},
		{name: "byte order mark", file: "\xef\xbb\xbf" + long, content: "\xef\xbb\xbf" + long},
		{name: "gzip", file: gzipped(long), content: long},
		{name: "tar", file: tarred("x", long), content: long},
		{name: "tar with a byte order mark", file: tarred("x", "\xef\xbb\xbf"+long), content: "\xef\xbb\xbf" + long},
		{name: "gzip in tar", file: tarred("x", gzipped(long)), content: long},
		{name: "zip", file: zipped("x", long), content: long},
		{name: "gzip in zip", file: zipped("x", gzipped(long)), content: long},
		{name: "cut gzip", file: cut, content: "?"},
		{name: "cut gzip in tar", file: tarred("x", cut), content: "?"},
		{name: "cut gzip as a stream", file: cut, content: "?", stream: true},
		{name: "cut tar", file: tarred("x", long)[:100<<10], content: "?"},
		{name: "large in tar", file: tarred("w", "w", "x", string(random)), content: string(random)},
		{name: "large in packed tar", file: gzipped(tarred("w", "w", "x", string(random))), content: string(random)},
		{name: "large in tar from a stream", file: tarred("x", string(random)), stream: true, unknown: true},
		{name: "large stream", file: string(random), stream: true, unknown: true},
		{name: "large file", file: string(random), content: string(random)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, opts := write(t, filepath.Join(dir, c.name), c.file), Options{}
			if c.stream {
				path, opts.Stdin = "-", strings.NewReader(c.file)
			}
			_, err := Walk(context.Background(), []string{path}, opts, func(in *Input) error {
				if strings.HasSuffix(in.Name, "!w") {
					return nil
				}
				if _, whole := in.HeadSum(); whole != c.whole {
					t.Errorf("HeadSum() whole = %v, want %v", whole, c.whole)
				}
				n := int64(len(c.content))
				lengths := []int64{n / 2, n, 0, 10, n + 5}
				sums, all, size, err := in.Beginnings(lengths)
				if c.unknown {
					if !errors.Is(err, ErrSumUnknown) {
						t.Errorf("Beginnings() = %v, want %v", err, ErrSumUnknown)
					}
					return nil
				}
				if err != nil {
					t.Fatalf("Beginnings() = %v, want nil", err)
				}
				if c.content != "?" {
					for i, l := range lengths {
						if want := sha256.Sum256([]byte(c.content[:min(l, n)])); sums[i] != want {
							t.Errorf("Beginnings(%d) = %x, want %x", l, sums[i], want)
						}
					}
					if want := sha256.Sum256([]byte(c.content)); all != want || size != n {
						t.Errorf("Beginnings() = %x of %d, want %x of %d", all, size, want, n)
					}
				}
				var records []string
				if err := drain(t, in, &records); err != nil {
					return err
				}
				if sum := in.Behind(); sum != all || in.Consumed() != size {
					t.Errorf("Behind() at the end = %x of %d, want %x of %d as before", sum, in.Consumed(), all, size)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("Walk(%s) = %v, want nil", path, err)
			}
		})
	}
}

// TestBehind: at every record, what lies behind has the hash that the file's
// beginning has.
func TestBehind(t *testing.T) {
	content := "srcaddr dstaddr\n" + strings.Repeat("1 2\n3 4\n", 40000)
	path := write(t, filepath.Join(t.TempDir(), "f"), content)
	n := 0
	_, err := Walk(context.Background(), []string{path}, Options{}, func(in *Input) error {
		for ; ; n++ {
			if _, err := in.Next(); err != nil {
				return err
			}
			if n%1999 == 0 {
				if sum, want := in.Behind(), sha256.Sum256([]byte(content[:in.Consumed()])); sum != want {
					t.Errorf("Behind() after %d = %x, want %x", in.Consumed(), sum, want)
				}
			}
		}
	})
	if err != nil || n != 80000 {
		t.Fatalf("Walk(%s) = %d records, %v, want 80000", path, n, err)
	}
}

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), strings.Repeat("x\n", 2<<20))
	write(t, filepath.Join(dir, "b.zip"), zipped("m", strings.Repeat("y\n", 1000)))
	want := int64(0)
	for _, n := range []string{"a", "b.zip"} {
		st, _ := os.Stat(filepath.Join(dir, n))
		want += st.Size()
	}
	var last, total int64
	calls := 0
	opts := Options{Progress: func(done, all int64) {
		if done < last {
			t.Errorf("Progress(%d, %d) after %d, want it to grow", done, all, last)
		}
		last, total = done, all
		calls++
	}}
	read(t, opts, dir)
	if last != want || total != want || calls < 3 {
		t.Errorf("Progress(%d, %d) at last, %d calls, want %d, %d", last, total, calls, want, want)
	}
	opts = Options{Stdin: strings.NewReader("x\n"), Progress: func(_, all int64) { total = all }}
	read(t, opts, "-")
	if total != -1 {
		t.Errorf("Progress(…, %d) of a stream, want -1", total)
	}
}

func TestContainerPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prod_web-1_0a1b2c3d-0000-1111-2222-333344445555", "app", "0.log")
	write(t, path, "2016-10-06T00:17:09.000000001Z stderr F a\n")
	got, _ := read(t, Options{}, dir)
	same(t, "container log", got, []string{"<container>@1475713029000000001 stream=stderr pod=web-1 namespace=prod container=app a"})
}

func TestNewInput(t *testing.T) {
	var report Report
	in, err := NewInput("body", strings.NewReader(`{"messageType":"CONTROL_MESSAGE"}{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"1"}]}`), Options{}, &report)
	if err != nil {
		t.Fatalf("NewInput(…) = %v, want nil", err)
	}
	var got []string
	if err := drain(t, in, &got); err != nil {
		t.Fatalf("Next() = %v, want io.EOF", err)
	}
	same(t, "body", got, []string{`{"messageType":"CONTROL_MESSAGE"}`, `{"auditID":"1"}`})
	if _, err := NewInput("body", nil, Options{MaxRecord: 1}, nil); err == nil {
		t.Error("NewInput(bad options) = nil, want an error")
	}
	in, err = NewInput("body", io.MultiReader(strings.NewReader("a\nb"), failing{}), Options{}, nil)
	if err != nil {
		t.Fatalf("NewInput(…) = %v, want nil", err)
	}
	got = nil
	if err := drain(t, in, &got); err != nil {
		t.Fatalf("Next() = %v, want a damage", err)
	}
	same(t, "a failing body", got, []string{"a", "(" + CannotRead + ")b"})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }
