package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trailward"
	"trailward/format"
	"trailward/intake"
	"trailward/internal/vfs"
	"trailward/shape"
	"trailward/store"
	"trailward/store/seal"
)

func testFormat() store.Format {
	return store.Format{
		Taker:  func() func(*trailward.Record) shape.Taken { return intake.NewPreparer().Take },
		Opaque: intake.Opaque, KeyPaths: format.KeyPaths, Content: format.Content,
	}
}

func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	key := filepath.Join(dir, "..", "trailward.key")
	p, err := seal.OpenKeyFile(key)
	if errors.Is(err, os.ErrNotExist) {
		p, err = seal.CreateKeyFile(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := store.Open(context.Background(), store.Options{Dir: dir, Provider: p, Format: testFormat()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dataDir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

func batch(group string, lines ...string) *store.Batch {
	p := intake.NewPreparer()
	b := &store.Batch{Group: group}
	for _, l := range lines {
		r, _, _ := p.Prepare(&trailward.Framed{Raw: []byte(l)}, group, "s", time.Unix(1e9, 0))
		b.Records = append(b.Records, r)
	}
	return b
}

func appendTo(t testing.TB, s *store.Store, b *store.Batch) store.Result {
	t.Helper()
	r, err := s.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func cat(t testing.TB, s *store.Store, group string) []string {
	t.Helper()
	var out []string
	if err := s.Cat(group, "", func(r *trailward.Record) error { out = append(out, string(r.Raw)); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func want(t testing.TB, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("records = %q, want %q", got, want)
	}
}

func audit(id, stage, more string) string {
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":%q,"verb":"get","stageTimestamp":"2026-01-02T03:04:05.000000Z"%s}`, id, stage, more)
}

func TestAppendedRecordsAreThereAfterReopening(t *testing.T) {
	dir := dataDir(t)
	lines := []string{`{"a":1}`, "text \xff", `{"time":"2026-01-01T00:00:00Z","b":"x"}`, audit("1", "ResponseComplete", ""), "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown"}
	s := open(t, dir)
	appendTo(t, s, batch("/a", lines...))
	appendTo(t, s, batch("/b", "other"))
	want(t, cat(t, s, "/a"), lines...)
	if err := s.Close(); err != nil { // sealed
		t.Fatal(err)
	}
	s = open(t, dir)
	want(t, cat(t, s, "/a"), lines...)
	appendTo(t, s, batch("/a", "more"))
	want(t, cat(t, s, "/a"), append(lines, "more")...)
	if g := s.Groups(); !slices.Equal(g, []string{"/a", "/b"}) {
		t.Errorf("Groups() = %v", g)
	}
	s.Close()
	s = open(t, dir)
	defer s.Close()
	want(t, cat(t, s, "/a"), append(lines, "more")...)
	want(t, cat(t, s, "/b"), "other")
}

// copyDir stands for what a kill leaves behind: the files as they are now.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(from, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "..", "trailward.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestNothingIsLostOrDoubledByAKillAtAnyStep(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	defer s.Close()
	var lines []string
	check := func(when string) {
		t.Helper()
		k := open(t, copyDir(t, dir))
		defer k.Close()
		got := cat(t, k, "/g")
		slices.Sort(got)
		w := slices.Sorted(slices.Values(lines))
		if !slices.Equal(got, w) {
			t.Errorf("killed %s: %d records, want %d", when, len(got), len(w))
		}
	}
	for i := range 4 {
		for j := range 3 {
			l := []string{fmt.Sprintf(`{"n":%d,"j":%d}`, i, j), audit(fmt.Sprintf("%d-%d", i, j), "Panic", "")}
			appendTo(t, s, batch("/g", l...))
			lines = append(lines, l...)
		}
		check("after appends")
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		check("after a seal")
	}
}

func TestSameRecordsAreStoredOnce(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	a, b := audit("1", "ResponseComplete", ""), audit("1", "RequestReceived", "")
	if r := appendTo(t, s, batch("/g", a, b, a)); r.Records != 2 || r.Duplicates != 1 {
		t.Errorf("first = %+v", r)
	}
	other := audit("1", "ResponseComplete", `,"user":{"username":"eve"}`)
	if r := appendTo(t, s, batch("/g", a, other)); r.Records != 1 || r.Duplicates != 1 || r.Conflicts != 1 {
		t.Errorf("again = %+v", r)
	}
	if r := appendTo(t, s, batch("/other", a)); r.Records != 1 {
		t.Errorf("another group = %+v", r)
	}
	if r := appendTo(t, s, batch("/g", "line", "line")); r.Records != 2 {
		t.Errorf("text has no key = %+v", r)
	}
	for _, step := range []string{"sealed", "reopened"} {
		if step == "sealed" {
			if err := s.Seal(); err != nil {
				t.Fatal(err)
			}
		} else {
			s.Close()
			s = open(t, dir)
			defer s.Close()
		}
		if r := appendTo(t, s, batch("/g", a, b, other)); r.Records != 0 || r.Duplicates != 3 {
			t.Errorf("%s: %+v", step, r)
		}
	}
	want(t, cat(t, s, "/g"), a, b, other, "line", "line")
}

func TestBatchIDs(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	mk := func(id, body string) *store.Batch {
		b := batch("/g", body, body)
		b.ID, b.Principal, b.Stream, b.Body = id, "p", "s", sha256.Sum256([]byte(body))
		return b
	}
	for i := range 3 {
		appendTo(t, s, mk(fmt.Sprint(i), "x"))
	}
	for _, step := range []string{"at once", "killed", "killed and sealed", "sealed", "reopened"} {
		switch step {
		case "killed":
			to := copyDir(t, dir)
			s.Close()
			dir = to
			s = open(t, dir)
		case "killed and sealed":
			to := copyDir(t, dir)
			s.Close()
			dir = to
			s = open(t, dir)
			if err := s.Seal(); err != nil {
				t.Fatal(err)
			}
		case "sealed":
			if err := s.Seal(); err != nil {
				t.Fatal(err)
			}
		case "reopened":
			s.Close()
			s = open(t, dir)
			defer s.Close()
		}
		if r := appendTo(t, s, mk("1", "x")); r.Records != 0 || r.Duplicates != 2 {
			t.Errorf("%s: %+v", step, r)
		}
		if _, err := s.Append(context.Background(), mk("1", "y")); !errors.Is(err, store.ErrBatchConflict) {
			t.Errorf("%s: another body: %v", step, err)
		}
	}
	want(t, cat(t, s, "/g"), "x", "x", "x", "x", "x", "x")
}

func TestConcurrentAppendsOfTheSameStoreItOnce(t *testing.T) {
	s := open(t, dataDir(t))
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 20 {
				b := batch("/g", audit(fmt.Sprint(i), "Panic", ""), audit(fmt.Sprint((i+w)%20), "Panic", ""), fmt.Sprintf("own %d %d", w, i))
				if _, err := s.Append(context.Background(), b); err != nil {
					t.Error(err)
				}
				if i%7 == w%7 {
					if err := s.Seal(); err != nil {
						t.Error(err)
					}
				}
				if n := len(cat(t, s, "/g")); n == 0 {
					t.Error("nothing to read")
				}
			}
		}()
	}
	wg.Wait()
	if n := len(cat(t, s, "/g")); n != 20+8*20 {
		t.Errorf("%d records, want %d", n, 20+8*20)
	}
}

func TestLoad(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	p := intake.NewPreparer()
	load := func(s *store.Store, end bool, lines ...string) store.Result {
		l := s.NewLoad()
		l.Begin(store.File{Group: "/g", Head: [32]byte{1}, Name: "f"}, nil)
		for _, x := range lines {
			r, taken, _ := p.Prepare(&trailward.Framed{Raw: []byte(x)}, "/g", "s", time.Unix(1e9, 0))
			if err := l.Add(&r, taken); err != nil {
				t.Fatal(err)
			}
		}
		if end {
			l.End(10, [32]byte{2})
		}
		if err := l.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		return l.Result()
	}
	a := audit("1", "Panic", "")
	if r := load(s, false, a, "x", a); r.Records != 2 || r.Duplicates != 1 {
		t.Errorf("first = %+v", r)
	}
	if fs, _ := s.NewLoad().Known("/g", [32]byte{1}); len(fs) != 1 || fs[0].Done || fs[0].Records != 3 {
		t.Errorf("Known = %+v", fs)
	}
	if r := load(s, true, a, "y"); r.Records != 1 || r.Duplicates != 1 {
		t.Errorf("second = %+v", r)
	}
	appendTo(t, s, batch("/g", audit("2", "Panic", "")))
	if r := load(s, true, audit("2", "Panic", "")); r.Records != 0 {
		t.Errorf("known in the head = %+v", r)
	}
	s.Close()
	s = open(t, dir)
	defer s.Close()
	if fs, _ := s.NewLoad().Known("/g", [32]byte{1}); len(fs) != 1 || !fs[0].Done {
		t.Errorf("Known after reopening = %+v", fs)
	}
	want(t, cat(t, s, "/g"), a, "x", "y", audit("2", "Panic", ""))
}

func TestCatIsInOrderOfEventTime(t *testing.T) {
	s := open(t, dataDir(t))
	defer s.Close()
	line := func(sec int) string {
		return fmt.Sprintf(`{"time":"2026-01-01T00:%02d:%02dZ"}`, sec/60, sec%60)
	}
	for i := range 300 {
		appendTo(t, s, batch("/g", line(i*7%300)))
		if i%50 == 0 {
			if err := s.Seal(); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := cat(t, s, "/g")
	if len(got) != 300 || !slices.IsSorted(got) {
		t.Errorf("%d records, sorted %v", len(got), slices.IsSorted(got))
	}
}

func TestSnapshotSelects(t *testing.T) {
	s := open(t, dataDir(t))
	defer s.Close()
	appendTo(t, s, batch("/a/1", `{"time":"2026-01-01T00:00:00Z"}`, "text"))
	appendTo(t, s, batch("/a/2", `{"time":"2026-01-02T00:00:00Z"}`))
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, batch("/b", `{"time":"2026-01-03T00:00:00Z"}`))
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name string
		sel  store.Selection
		rows int64
	}{
		{"all", store.Selection{}, 4},
		{"group", store.Selection{Groups: []string{"/a/1"}}, 2},
		{"prefix", store.Selection{Groups: []string{"/a/*"}}, 3},
		{"kind", store.Selection{Kinds: []trailward.Kind{trailward.KindText}}, 1},
		{"time", store.Selection{Start: day(2), End: day(2)}, 1},
		{"none", store.Selection{Groups: []string{"/a"}}, 0},
	} {
		snap, err := s.Snapshot(c.sel)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, p := range snap.Parts() {
			n += p.Rows()
			files, err := snap.Open(t.Context(), []store.Part{p}, []string{"@timestamp"}, 8)
			if err != nil || len(files) != 1 || files[0].FD <= 0 || files[0].Bytes(0, "@timestamp") <= 0 || files[0].Bytes(0, "") <= 0 {
				t.Errorf("%s: Open = %+v, %v", c.name, files, err)
			}
		}
		if n != c.rows {
			t.Errorf("%s: %d rows, want %d", c.name, n, c.rows)
		}
		snap.Close()
	}
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	defer s.Close()
	for range 3 {
		appendTo(t, s, batch("/canarygroup", `{"canaryfield":"canaryvalue"}`, "canary text", audit("canaryid", "Panic", "")))
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, s, batch("/canarygroup", "canary in the WAL"))
	files := 0
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(p)
		if strings.Contains(string(b), "canary") || strings.Contains(p, "canary") || strings.Contains(string(b), "PAR1") {
			t.Errorf("%s holds plaintext", p)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("looked at %d files, %v", files, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	defer s.Close()
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Open(context.Background(), store.Options{Dir: dir, Provider: p, Format: testFormat()}); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second open = %v, want ErrLocked", err)
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	dir := dataDir(t)
	s := open(t, dir)
	appendTo(t, s, batch("/g", "x"))
	s.Close()
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	segs, _ := filepath.Glob(filepath.Join(dir, "segments", "*", "*.seg"))
	if len(segs) != 1 {
		t.Fatalf("%d segments", len(segs))
	}
	for _, f := range []string{segs[0], filepath.Join(dir, "store.key")} {
		if err := os.Rename(f, f+".away"); err != nil {
			t.Fatal(err)
		}
		_, _, err := store.Open(context.Background(), store.Options{Dir: dir, Provider: p, Format: testFormat()})
		if err == nil || !strings.Contains(err.Error(), filepath.Base(f)) {
			t.Errorf("open without %s = %v", filepath.Base(f), err)
		}
		if err := os.Rename(f+".away", f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppendAfterCloseIsRefused(t *testing.T) {
	s := open(t, dataDir(t))
	s.Close()
	if _, err := s.Append(context.Background(), batch("/g", "x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Append = %v, want ErrClosed", err)
	}
	if _, err := s.Snapshot(store.Selection{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Snapshot = %v, want ErrClosed", err)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	s := open(t, dataDir(t))
	defer s.Close()
	for _, g := range []string{"", strings.Repeat("x", store.MaxName+1), "a\x00b", "\xff", "a\nb"} {
		if _, err := s.Append(context.Background(), batch(g, "x")); err == nil {
			t.Errorf("group %q was accepted", g)
		}
	}
	for _, g := range []string{"../../etc", "a/b", "..", "%2e%2e", "a\\b", "\u2024\u2024/"} {
		appendTo(t, s, batch(g, g))
		want(t, cat(t, s, g), g)
	}
}
