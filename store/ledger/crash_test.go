package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"syscall"
	"testing"
	"time"

	"trailward/internal/vfs/vfstest"
)

// crashScript runs the ledger as the store does, and keeps account of what is
// committed. It stops at the first error.
type crashScript struct {
	o         Options
	rng       *rand.Rand
	committed Head
	events    []Event // committed, in order
	signed    uint64
}

func (s *crashScript) run(steps int) error {
	s.o.Committed = s.committed
	l, err := Open(s.o)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := s.commit(l, Started{Version: "v"}); err != nil {
		return err
	}
	for i := range steps {
		s.o.Clock.(*testClock).now = s.o.Clock.Now().Add(time.Duration(s.rng.IntN(3600)) * time.Second)
		if s.rng.IntN(5) == 0 {
			// A transaction that fails.
			if _, err := l.Append(Hold{}, Hold{Set: true}); err != nil {
				return err
			}
			if err := l.Cut(s.committed); err != nil {
				return err
			}
		}
		events := []Event{Added{testSegment(fmt.Sprint(i))}, Interval{Records: int64(i)}, Damage{What: "x", Place: "y", Text: make([]byte, s.rng.IntN(1500))}}
		if err := s.commit(l, events[:1+s.rng.IntN(3)]...); err != nil {
			return err
		}
	}
	return s.commit(l, Stopped{})
}

func (s *crashScript) commit(l *Ledger, events ...Event) error {
	h, err := l.Append(events...)
	if err != nil {
		return err
	}
	s.committed = h
	s.events = append(s.events, events...)
	if s.rng.IntN(4) == 0 {
		return nil // signed by the next one
	}
	if err := l.Sign(h); err != nil {
		return err
	}
	s.signed = h.Size
	return nil
}

// check opens the ledger after a crash and holds it against the account.
func (s *crashScript) check(t *testing.T, fsys *vfstest.FS) {
	t.Helper()
	s.o.Committed = s.committed
	l, err := Open(s.o)
	if err != nil {
		t.Fatalf("Open(%d entries committed, %d signed) = %v", s.committed.Size, s.signed, err)
	}
	defer l.Close()
	i := 0
	for _, e := range allEntries(t, l) {
		if _, ok := e.Event.(Gap); ok {
			continue
		}
		if i >= len(s.events) || e.Event.Type() != s.events[i].Type() {
			t.Fatalf("entry %d is %+v, which was not committed", e.Number, e)
		}
		if _, ok := e.Event.(Started); !ok && !reflect.DeepEqual(e.Event, s.events[i]) {
			t.Fatalf("entry %d is %+v, want %+v", e.Number, e.Event, s.events[i])
		}
		i++
	}
	if i != len(s.events) {
		t.Fatalf("%d events, want %d", i, len(s.events))
	}
	if cp, signed := l.Checkpoint(); cp.Head != s.committed && s.committed.Size > 0 || l.Head() != s.committed && s.committed.Size > 0 || signed == nil && s.committed.Size > 0 {
		t.Fatalf("checkpoint %v, head %v, want %v", cp, l.Head(), s.committed)
	}
	checkFiles(t, fsys, l)
}

// TestPowerCut cuts the power at every operation, and each time again at some
// operation of the start that follows.
func TestPowerCut(t *testing.T) {
	keys := testKeys(t)
	start := func(seed uint64) (*vfstest.FS, *crashScript) {
		fsys := vfstest.New(seed)
		return fsys, &crashScript{o: Options{FS: fsys, Dir: "ledger", Keys: keys, Clock: newTestClock()}, rng: rand.New(rand.NewPCG(7, 7))}
	}
	fsys, s := start(1)
	if err := errors.Join(s.run(4), s.run(3)); err != nil {
		t.Fatal(err)
	}
	total := fsys.Ops()
	s.check(t, fsys)
	for n := 1; n <= total; n++ {
		for seed := range uint64(6) {
			fsys, s := start(seed<<32 + uint64(n))
			fsys.SetFault(vfstest.FailAt(n, vfstest.ErrPowerCut))
			if err := s.run(4); err == nil {
				err = s.run(3)
				if err == nil && fsys.Ops() > n {
					t.Fatalf("power cut at operation %d had no effect", n)
				}
			}
			fsys.Crash()
			if seed%2 == 1 {
				fsys.SetFault(vfstest.FailAt(fsys.Ops()+1+int(seed)*3+n%11, vfstest.ErrPowerCut))
				_ = s.run(2)
				fsys.Crash()
			}
			s.check(t, fsys)
			if err := s.run(2); err != nil {
				t.Fatalf("cut at %d, seed %d: the next run: %v", n, seed, err)
			}
			s.check(t, fsys)
		}
	}
}

// TestFaults fails every operation once, with an error of the disk and with a
// full disk.
func TestFaults(t *testing.T) {
	keys := testKeys(t)
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n++ {
			fsys := vfstest.New(uint64(n))
			s := &crashScript{o: Options{FS: fsys, Dir: "ledger", Keys: keys, Clock: newTestClock()}, rng: rand.New(rand.NewPCG(7, 7))}
			fsys.SetFault(vfstest.FailAt(n, fault))
			err := s.run(4)
			if err == nil {
				err = s.run(3)
			}
			if err == nil && fsys.Ops() < n {
				break
			}
			fsys.Crash()
			s.check(t, fsys)
			if err := s.run(2); err != nil {
				t.Fatalf("%v at %d: the next run: %v", fault, n, err)
			}
			s.check(t, fsys)
		}
	}
}
