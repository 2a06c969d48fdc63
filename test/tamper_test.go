package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trailward/test/judge"
)

// evidence is a store with segments of several kinds, a ledger that has grown,
// and records in the WAL, and what it answers.
type evidence struct {
	dir, older string // the same store as it was before
	env        string // where its last checkpoint is remembered
	questions  [][]string
	answers    []string
}

func newEvidence(t *testing.T) *evidence {
	t.Helper()
	root := t.TempDir()
	e := &evidence{dir: filepath.Join(root, "store"), older: filepath.Join(root, "older"), env: stateHome(root)}
	e.questions = [][]string{
		{"query", "--output", "json", "stats count(*) as n, sum(n), min(judge), max(judge) by @kind, @log | sort @kind, @log"},
		{"query", "--output", "json", "filter n > 3 or verb = 'get' | stats count(*) as n by @log, verb, auditID, pad | sort auditID, pad, @log, verb | limit 1000"},
		{"query", "--output", "json", "filter @message like /judge-8-1[0-9]+/ | stats count(*) as n by @message | sort @message"},
		{"sql", "--output", "json", `SELECT "@kind", count(*) AS n, sum(length("@message")) AS bytes FROM logs GROUP BY 1 ORDER BY 1`},
		{"cat", "--group", "/judge/0"}, {"cat", "--group", "/judge/1"},
	}
	j := judge.New(8)
	writers := j.Writers(4, 40)
	for life := range 3 {
		s, ok := serveUnder(t, nil, []string{e.env}, e.dir)
		if !ok {
			t.Fatal(s.logged())
		}
		judge.Run(t.Context(), writers, s.url, 2, nil)
		if life == 2 {
			s.kill()
		} else {
			s.stop()
		}
		if life == 1 {
			copyTree(t, e.dir, e.older)
		}
	}
	if code, out := e.verify(t, e.dir); code != 0 {
		t.Fatalf("verify of what nobody touched = %d\n%s", code, out)
	}
	at := filepath.Join(t.TempDir(), "store")
	for _, q := range e.questions {
		copyTree(t, e.dir, at) // a question opens the store, and so changes it
		r := runEnv(t, []string{stateHome(t.TempDir())}, "", append(q, "--data", at)...)
		if r.code != 0 || len(r.stdout) < 50 {
			t.Fatalf("trailward %q = %d %q %s", q, r.code, r.stdout, r.stderr)
		}
		e.answers = append(e.answers, inOrder(r.stdout))
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// copyTree copies a data directory as it is.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// The mode of a key counts.
	if err := filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(p, 0o600)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func (e *evidence) verify(t *testing.T, dir string) (int, string) {
	t.Helper()
	r := runEnv(t, []string{e.env}, "", "verify", "--data", dir)
	if strings.Contains(r.stderr, "goroutine ") || r.code > 1 {
		t.Errorf("verify panicked or ended with %d: %s", r.code, r.stderr)
	}
	return r.code, r.stdout + r.stderr
}

// files lists the files of a class in a data directory.
func (e *evidence) files(t *testing.T, class string) (list []string) {
	t.Helper()
	for _, n := range tree(t, e.dir) {
		if info, err := os.Stat(e.dir + n); err == nil && info.Mode().IsRegular() && info.Size() > 0 && strings.HasPrefix(n, "/"+class) && !strings.HasSuffix(n, "-shm") {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		t.Fatalf("no file in %s", class)
	}
	return list
}

// neverWrong asks all questions: each answer is the right one, or none.
// With damage in the WAL the answer is of all else, and that is said.
func (e *evidence) neverWrong(t *testing.T, dir, what string) (failed, said int) {
	t.Helper()
	for i, q := range e.questions {
		r := runEnv(t, []string{stateHome(t.TempDir())}, "", append(q, "--data", dir)...) // nothing is remembered of this copy
		switch {
		case strings.Contains(r.stderr, "goroutine ") || r.code > 1 || r.code < 0:
			t.Errorf("%s: trailward %q panicked or ended with %d: %.1000s", what, q, r.code, r.stderr)
		case r.code == 1:
			if failed++; !strings.Contains(r.stderr, "trailward: ") {
				t.Errorf("%s: trailward %q failed and said only %q", what, q, r.stderr)
			}
		case strings.Contains(r.stderr, "the WAL is damaged; its other entries are recovered") || strings.Contains(r.stderr, "half-written entry"):
			said++ // what is not in this answer, nor in later ones
		case inOrder(r.stdout) != e.answers[i] && said == 0:
			t.Errorf("%s: trailward %q gave a wrong answer:\n%.500s\nwant\n%.500s", what, q, r.stdout, e.answers[i])
		}
	}
	return failed, said
}

// inOrder puts lines in order: of records with one time any may come first.
func inOrder(text string) string {
	l := strings.SplitAfter(text, "\n")
	slices.Sort(l)
	return strings.Join(l, "")
}

// TestFlippedBits flips a bit at a time in every class of file: verify finds it,
// and no question that reads it is answered wrongly.
func TestFlippedBits(t *testing.T) {
	e := newEvidence(t)
	flips := judge.Scale(t, "FAULT_FLIPS", 4)
	at := filepath.Join(t.TempDir(), "store")
	for _, c := range []struct {
		class  string
		unused bool // it has bytes that mean nothing
	}{
		{"segments", false}, {"ledger", false}, {"store.key", false}, {"catalog.db", true}, {"catalog.db-wal", true}, {"wal", true},
	} {
		t.Run(c.class, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(8, uint64(len(c.class))))
			files := e.files(t, c.class)
			found, failed, said := 0, 0, 0
			for i := range flips {
				copyTree(t, e.dir, at)
				name := files[rng.IntN(len(files))]
				b, err := os.ReadFile(at + name)
				if err != nil {
					t.Fatal(err)
				}
				pos := rng.IntN(len(b))
				if i%3 == 0 { // headers count as much as all the rest
					pos = rng.IntN(min(len(b), 400))
				}
				bit := byte(1) << rng.IntN(8)
				b[pos] ^= bit
				if err := os.WriteFile(at+name, b, 0o600); err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("bit %#x of byte %d of %s", bit, pos, name)
				if code, out := e.verify(t, at); code == 1 {
					found++
				} else if !c.unused {
					t.Errorf("%s: verify found nothing: %s", what, out)
				}
				f, s := e.neverWrong(t, at, what)
				failed, said = failed+f, said+s
				if s > 0 && c.class != "wal" {
					t.Errorf("%s: the WAL is said to be damaged", what)
				}
				if err := os.RemoveAll(at); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d flips, %d found by verify; of %d questions %d failed, %d were answered without what is damaged", flips, found, flips*len(e.questions), failed, said)
		})
	}
}

// TestMeddledFiles deletes, cuts, swaps and rolls back each file by itself, and
// all at once. The one who verified before finds it.
func TestMeddledFiles(t *testing.T) {
	e := newEvidence(t)
	place := e.dir // where the last checkpoint is remembered for
	kept := filepath.Join(t.TempDir(), "kept")
	copyTree(t, e.dir, kept)
	put := func(t *testing.T, from string) {
		t.Helper()
		if err := os.RemoveAll(place); err != nil {
			t.Fatal(err)
		}
		copyTree(t, from, place)
	}
	var names []string
	segments := 0
	for _, n := range tree(t, kept) {
		if filepath.Ext(n) == ".seg" {
			if segments++; segments > 3 && os.Getenv("FAULT_FLIPS") == "" {
				continue // each of them is like the others
			}
		}
		info, err := os.Stat(kept + n)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().IsRegular() && n != "/LOCK" && !strings.HasSuffix(n, "-shm") && n != "/trailward.key" {
			names = append(names, n)
		}
	}
	read := func(dir, name string) []byte {
		b, err := os.ReadFile(dir + name)
		if err != nil {
			return nil
		}
		return b
	}
	type change struct {
		name string
		make func(name string, b []byte) (changed []byte, ok bool) // nil: gone
	}
	changes := []change{
		{"deleted", func(string, []byte) ([]byte, bool) { return nil, true }},
		{"emptied", func(string, []byte) ([]byte, bool) { return []byte{}, true }},
		{"cut in half", func(_ string, b []byte) ([]byte, bool) { return b[:len(b)/2], true }},
		{"cut by a byte", func(_ string, b []byte) ([]byte, bool) { return b[:len(b)-1], true }},
		{"a byte longer", func(_ string, b []byte) ([]byte, bool) { return append(bytes.Clone(b), 0), true }},
		{"rolled back", func(n string, _ []byte) ([]byte, bool) { o := read(e.older, n); return o, o != nil }},
		{"another of its kind", func(n string, _ []byte) ([]byte, bool) {
			for _, o := range names {
				if o != n && filepath.Ext(o) == filepath.Ext(n) && strings.SplitN(o, "/", 3)[1] == strings.SplitN(n, "/", 3)[1] {
					return read(kept, o), true
				}
			}
			return nil, false
		}},
	}
	// What verify does not call damage. A WAL without its last write is what a crash
	// leaves, and until its records are sealed nothing else knows of them: docs/keeping.md
	// says so. What is after the catalog's last page or frame is nothing to SQLite.
	harmless := func(name, change string) bool {
		switch {
		case strings.HasPrefix(name, "/wal/"):
			return change == "deleted" || strings.HasPrefix(change, "cut") || change == "a byte longer"
		case strings.HasPrefix(name, "/catalog.db"):
			return change == "a byte longer" || change == "cut by a byte"
		}
		return false
	}
	for _, n := range names {
		for _, c := range changes {
			good := read(kept, n)
			b, ok := c.make(n, good)
			if !ok || bytes.Equal(b, good) {
				continue
			}
			put(t, kept)
			if b == nil {
				if err := os.Remove(place + n); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(place+n, b, 0o600); err != nil {
				t.Fatal(err)
			}
			// A note will do where a crash may have left the same.
			if code, out := e.verify(t, place); code == 0 && !strings.Contains(out, n[1:]) && !harmless(n, c.name) {
				t.Errorf("%s %s: verify found nothing: %s", n, c.name, out)
			}
		}
	}
	t.Run("all of it", func(t *testing.T) {
		put(t, e.older)
		if code, out := e.verify(t, place); code == 0 {
			t.Errorf("the folder rolled back: verify found nothing: %s", out)
		}
		if r := runEnv(t, []string{e.env}, "", "query", "--data", place, "stats count(*)"); r.code == 0 {
			t.Error("the folder rolled back: a question is answered")
		}
		if s, ok := serveUnder(t, nil, []string{e.env}, place); ok {
			t.Error("the folder rolled back: a server starts")
			s.stop()
		}
		put(t, kept)
		if code, out := e.verify(t, place); code != 0 {
			t.Errorf("put back: %s", out)
		}
	})
	t.Run("segments added", func(t *testing.T) {
		put(t, kept)
		segs := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return filepath.Ext(n) != ".seg" })
		if len(segs) < 2 {
			t.Fatalf("%d segments", len(segs))
		}
		other := filepath.Join(filepath.Dir(segs[0]), "00000000"+filepath.Base(segs[0])[8:])
		if err := os.WriteFile(place+other, read(kept, segs[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out := e.verify(t, place); code == 0 && !strings.Contains(out, filepath.Base(other)) {
			t.Errorf("verify found nothing, nor named %s: %s", other, out)
		}
	})
}
