package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward/store"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/verifier"
)

// verify verifies a closed store.
func verify(t testing.TB, dir string, o verifier.Options) *verifier.Report {
	t.Helper()
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.OpenEvidence(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r, err := e.Verify(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// good verifies a closed store in which nothing may be wrong.
func good(t testing.TB, dir string) *verifier.Report {
	t.Helper()
	r := verify(t, dir, verifier.Options{})
	for _, f := range r.Findings {
		t.Errorf("verify: %s", f)
	}
	return r
}

// made makes a closed store with segments, some of them merged, and a WAL that
// was not sealed.
func made(t testing.TB) (dir string, lines []string) {
	t.Helper()
	from := dataDir(t)
	s := openWith(t, from, nil)
	for i := range 10 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		if i == 8 {
			if err := s.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.SetHold("/g", "why"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, batch("/g", "in the WAL"))
	dir = copyDir(t, from)
	s.Close()
	return dir, append(lines, "in the WAL")
}

// found reports whether a verification says that something is wrong.
func found(t testing.TB, dir string, last *ledger.Checkpoint) bool {
	t.Helper()
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.OpenEvidence(dir, p)
	if err != nil {
		return true
	}
	defer e.Close()
	r, err := e.Verify(context.Background(), verifier.Options{Remembered: last})
	if err != nil || !r.Good() {
		return true
	}
	// The last write of the WAL, damaged, looks like one that a crash cut off.
	return slices.ContainsFunc(r.Notices, func(f verifier.Finding) bool { return strings.HasPrefix(f.Where, "wal/") })
}

func TestAnyFlippedBitIsFound(t *testing.T) {
	dir, lines := made(t)
	good(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	unseen := 0
	for name, flips := range map[string]int{"segments": 50, "wal": 20, "ledger": 50, "store.key": 10, "catalog.db": 10, "catalog.db-wal": 30} {
		var files []string
		if err := filepath.WalkDir(filepath.Join(dir, name), func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, p)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range flips {
			f := files[rng.IntN(len(files))]
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			at, bit := rng.IntN(len(b)), byte(1)<<rng.IntN(8)
			b[at] ^= bit
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if !found(t, dir, nil) {
				if !strings.HasPrefix(name, "catalog") {
					t.Errorf("bit %#x of byte %d of %s is flipped, and nothing found", bit, at, f)
				} else { // a byte that SQLite does not use: then all is there
					unseen++
					to := copyDir(t, dir)
					k := openWith(t, to, nil)
					want(t, cat(t, k, "/g"), slices.Clone(lines)...)
					if g := k.GroupSettings(); len(g) != 1 || g[0].Hold == nil {
						t.Errorf("byte %d of %s is flipped, and the hold gone", at, f)
					}
					k.Close()
				}
			}
			b[at] ^= bit
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d flips in bytes of the catalog that nobody uses", unseen)
	good(t, dir)
}

func TestMeddlingIsFound(t *testing.T) {
	move := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		meddle func(t *testing.T, dir string, segs []string)
	}{
		{"a segment deleted", func(t *testing.T, _ string, segs []string) { move(t, segs[0], segs[0]+"x"); os.Remove(segs[0] + "x") }},
		{"a segment added", func(t *testing.T, _ string, segs []string) {
			b, _ := os.ReadFile(segs[0])
			id := filepath.Base(segs[0])
			other := "ffff" + id[4:]
			if err := os.WriteFile(filepath.Join(filepath.Dir(segs[0]), other), b, 0o600); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(filepath.Dir(segs[0]), other), old, old); err != nil {
				t.Fatal(err)
			}
		}},
		{"two segments exchanged", func(t *testing.T, _ string, segs []string) {
			move(t, segs[0], segs[0]+"x")
			move(t, segs[1], segs[0])
			move(t, segs[0]+"x", segs[1])
		}},
		{"a segment cut", func(t *testing.T, _ string, segs []string) {
			if err := os.Truncate(segs[0], 3000); err != nil {
				t.Fatal(err)
			}
		}},
		{"the ledger's entries cut", func(t *testing.T, dir string, _ []string) {
			if err := os.Truncate(filepath.Join(dir, "ledger", "entries"), 1000); err != nil {
				t.Fatal(err)
			}
		}},
		{"the catalog deleted", func(t *testing.T, dir string, _ []string) { os.Remove(filepath.Join(dir, "catalog.db")) }},
		{"the WAL deleted", func(t *testing.T, dir string, _ []string) { os.RemoveAll(filepath.Join(dir, "wal")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, _ := made(t)
			segs := segmentFiles(t, dir)
			if len(segs) < 2 {
				t.Fatalf("%d segments", len(segs))
			}
			c.meddle(t, dir, segs)
			if !found(t, dir, nil) {
				t.Error("nothing was found")
			}
		})
	}
}

func TestAStoreThatWasRolledBackIsFound(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	appendTo(t, s, batch("/g", "a"))
	s.Close()
	older := copyDir(t, dir)
	s = openWith(t, dir, nil)
	appendTo(t, s, batch("/g", "b"))
	s.Close()
	r := good(t, dir)
	if found(t, dir, &r.Checkpoint) {
		t.Error("the store does not continue its own checkpoint")
	}
	if !found(t, older, &r.Checkpoint) {
		t.Error("the older store passes for the newer")
	}
	// Nor can it be opened by somebody who remembers.
	if _, err := tryOpen(t, older, func(o *store.Options) {
		o.Seen = func(_ ledger.Identity, now ledger.Checkpoint, prove func(ledger.Checkpoint) ([]ledger.Hash, error)) error {
			_, err := prove(r.Checkpoint)
			return errors.Join(err, ledger.CheckExtension(r.Checkpoint, now, nil))
		}
	}); !errors.Is(err, ledger.ErrRolledBack) {
		t.Errorf("open = %v, want ErrRolledBack", err)
	}
}
