package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"trailward/internal/vfs/vfstest"
	"trailward/store/seal"
	scale "trailward/test/judge"
)

// judge hands out entries and holds the WAL to its word: what it acknowledged,
// or replayed once, must be there until it was removed; nothing else may be
// there but what was handed out, once; and nothing at all that it refused.
type judge struct {
	t       *testing.T
	what    string // seed and fault, for messages
	rng     *rand.Rand
	issued  int
	owed    map[string]Position // entries that must come back, where
	maybe   map[string]bool     // entries whose append failed
	gone    map[string]bool     // entries that may have been removed
	refused map[string]bool
}

func (j *judge) fatalf(format string, args ...any) {
	j.t.Helper()
	j.t.Fatalf("%s: %s", j.what, fmt.Sprintf(format, args...))
}

func (j *judge) entry() string {
	j.issued++
	size := []int{0, 10, 100, 700, 3000}[j.rng.IntN(5)]
	return fmt.Sprintf("%d:%s", j.issued, strings.Repeat(string(rune('a'+j.issued%26)), size))
}

// replayed checks a replay and makes all of it owed from now on.
func (j *judge) replayed(all []got, report Report) {
	j.t.Helper()
	seen := make(map[string]bool)
	var last Position
	for _, g := range all {
		switch {
		case seen[g.entry]:
			j.fatalf("entry %.20q came back twice", g.entry)
		case j.refused[g.entry]:
			j.fatalf("entry %.20q came back although it was refused", g.entry)
		case g.pos.Sequence <= last.Sequence || g.pos.File < last.File:
			j.fatalf("position %v came after %v", g.pos, last)
		}
		if pos, ok := j.owed[g.entry]; ok && pos != g.pos {
			j.fatalf("entry %.20q was acknowledged at %v and came back at %v", g.entry, pos, g.pos)
		} else if !ok && !j.maybe[g.entry] && !j.gone[g.entry] {
			j.fatalf("entry %.20q came back and was never handed out", g.entry)
		}
		seen[g.entry] = true
		last = g.pos
	}
	for e, pos := range j.owed {
		if !seen[e] {
			j.fatalf("entry %.20q, owed at %v, is lost; report %+v", e, pos, report)
		}
	}
	for _, d := range report.Damaged {
		if !d.Unproven {
			j.fatalf("damage reported where there is none: %v", d)
		}
	}
	for e := range j.gone {
		if !seen[e] {
			delete(j.gone, e)
		}
	}
	clear(j.maybe) // what did not come back now never may
	for _, g := range all {
		if !j.gone[g.entry] {
			j.owed[g.entry] = g.pos
		}
	}
}

// append appends up to three entries at once.
func (j *judge) append(w *WAL) error {
	ctx := context.Background()
	type sent struct {
		entry string
		p     *Pending
	}
	var all []sent
	var failed error
	for range 1 + j.rng.IntN(3) {
		e := j.entry()
		p, err := w.Start(ctx, []byte(e))
		if err != nil {
			j.fatalf("Start() = %v", err)
		}
		all = append(all, sent{e, p})
	}
	for _, s := range all {
		pos, err := s.p.Wait(ctx)
		switch {
		case err == nil && errors.Is(failed, ErrFailed):
			j.fatalf("entry %.20q was acknowledged after a failed one", s.entry)
		case err == nil:
			j.owed[s.entry] = pos
		case errors.Is(err, ErrNoSpace):
			j.refused[s.entry] = true
		case errors.Is(err, ErrFailed):
			j.maybe[s.entry] = true
			failed = err
		default:
			j.fatalf("Append() = %v, want %v or %v", err, ErrFailed, ErrNoSpace)
		}
	}
	return failed
}

func (j *judge) remove(w *WAL, through uint64) error {
	for e, pos := range j.owed {
		if pos.File <= through {
			j.gone[e] = true
			delete(j.owed, e)
		}
	}
	return w.Remove(through)
}

// live uses an open WAL until something fails or the script ends.
func (j *judge) live(w *WAL) error {
	var closed uint64
	for range 4 + j.rng.IntN(6) {
		var err error
		switch j.rng.IntN(6) {
		case 0:
			var c uint64
			if c, err = w.Rotate(); err == nil {
				closed = c
			} else if errors.Is(err, ErrNoSpace) {
				err = nil
			}
		case 1:
			err = j.remove(w, closed)
		default:
			err = j.append(w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runJudge plays lives of a WAL over one file system with a fault, and judges each.
// It reports whether the fault was reached.
func runJudge(t *testing.T, s *seal.Sealer, seed uint64, at int, fault error, length int) bool {
	t.Helper()
	j := &judge{
		t: t, what: fmt.Sprintf("seed %d, %v at operation %d", seed, fault, at),
		rng:  rand.New(rand.NewPCG(seed, 4)),
		owed: make(map[string]Position), maybe: make(map[string]bool),
		gone: make(map[string]bool), refused: make(map[string]bool),
	}
	fsys := vfstest.New(seed)
	hit := false
	options := Options{MaxFileBytes: 12 << 10}
	for life := range 4 {
		fsys.SetFault(func(op vfstest.Op) error {
			if op.N >= at && op.N < at+length && life < 3 {
				hit = true
				return fault
			}
			return nil
		})
		w, all, report, err := reopen(fsys, s, options)
		if err == nil {
			j.replayed(all, report)
			err = j.live(w)
			if errors.Is(err, ErrFailed) {
				if err := j.append(w); !errors.Is(err, ErrFailed) {
					j.fatalf("Append() after a failure = %v, want %v", err, ErrFailed)
				}
			}
			if j.rng.IntN(2) == 0 {
				if closeErr := w.Close(); closeErr != nil && err == nil {
					j.fatalf("Close() = %v", closeErr)
				}
			} else {
				defer w.Close()
			}
		} else if !hit {
			j.fatalf("open and replay without a fault: %v", err)
		}
		if j.rng.IntN(3) == 0 && !errors.Is(fault, vfstest.ErrPowerCut) {
			fsys.Kill()
		} else {
			fsys.Crash()
		}
	}
	for range 2 {
		w, all, report, err := reopen(fsys, s, options)
		if err != nil {
			j.fatalf("open and replay after all faults: %v", err)
		}
		j.replayed(all, report)
		if err := j.append(w); err != nil {
			j.fatalf("a fresh entry: %v", err)
		}
		if err := w.Close(); err != nil {
			j.fatalf("Close() = %v", err)
		}
		fsys.Crash()
	}
	return hit
}

// Power cuts, errors and a full disk at every single operation.
func TestEveryOperation(t *testing.T) {
	s := testSealer(t, 1)
	seeds := uint64(6)
	if testing.Short() {
		seeds = 1
	}
	for _, c := range []struct {
		name   string
		fault  error
		length int
	}{
		{"power cut", vfstest.ErrPowerCut, 1},
		{"EIO", syscall.EIO, 1},
		{"EIO stays", syscall.EIO, 10},
		{"disk full", syscall.ENOSPC, 1},
		{"disk full for a while", syscall.ENOSPC, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range seeds {
				at := 1
				for ; runJudge(t, s, seed, at, c.fault, c.length); at++ {
				}
				t.Logf("seed %d: %d operations", seed, at-1)
			}
		})
	}
}

// Many more scenarios, each with one power cut somewhere.
func TestPowerCuts(t *testing.T) {
	s := testSealer(t, 1)
	seeds := uint64(scale.Scale(t, "FAULT_SEEDS", 2000))
	for seed := uint64(100); seed < 100+seeds; seed++ {
		at := 1 + rand.New(rand.NewPCG(seed, 5)).IntN(150)
		runJudge(t, s, seed, at, vfstest.ErrPowerCut, 1)
	}
}
