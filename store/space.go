package store

import (
	"fmt"
	"math"
	"time"

	"trailward/internal/vfs"
)

// The disk is never filled to its end: what is kept free is for the catalog, the
// ledger, the segments that the head becomes, and the operator.
const (
	// reserveShare of the disk, but no more than reserveMost, is kept free.
	reserveShare = 20
	reserveMost  = 1 << 30

	spaceEvery = time.Second
)

// checkSpace finds out whether there is room for more records. Reading, sealing,
// deleting and verifying go on without.
func (s *Store) checkSpace() {
	left, err := s.left()
	s.mu.Lock()
	was := s.full
	s.full, s.spare = err != nil, left-s.claimed
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.log.Error("no more records are taken until there is room on the disk", "error", err)
	case err == nil && was:
		s.log.Info("there is room on the disk again; records are taken")
	}
}

// claim takes bytes of the room that there was at the last look, and looks again
// when that is not enough: a second between two looks is time to write what is
// kept free many times over. release must be called when the bytes are written
// or will not be.
func (s *Store) claim(bytes int64) (release func(), err error) {
	s.mu.Lock()
	enough := s.spare >= bytes
	s.mu.Unlock()
	if !enough {
		s.checkSpace()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare < bytes {
		return nil, fmt.Errorf("%w: the room that is left is kept free", ErrNoSpace)
	}
	s.spare -= bytes
	s.claimed += bytes
	return func() {
		s.mu.Lock()
		s.claimed -= bytes
		s.mu.Unlock()
	}, nil
}

// room says why the disk has no room for bytes more; nil: it has.
func (s *Store) room(bytes int64) error {
	left, err := s.left()
	if err == nil && left < bytes {
		err = fmt.Errorf("%w: %d MiB are wanted, and %d MiB are free beside what is kept free", ErrNoSpace, bytes>>20, left>>20)
	}
	return err
}

// left returns how many bytes may be written until only those are left that are
// kept free, and an error when that is so already.
func (s *Store) left() (int64, error) {
	sp, err := s.space()
	if err != nil {
		return math.MaxInt64 / 2, nil // a system that cannot tell; a write that finds no room says so
	}
	reserve := s.opt.ReserveBytes
	if reserve == 0 {
		reserve = min(sp.Size/reserveShare, reserveMost)
	}
	if reserve < 0 {
		return math.MaxInt64 / 2, nil
	}
	if sp.Free < reserve {
		return 0, fmt.Errorf("%w: %d MiB are free, %d MiB are kept free", ErrNoSpace, sp.Free>>20, reserve>>20)
	}
	return sp.Free - reserve, nil
}

func (s *Store) space() (vfs.Space, error) {
	if s.opt.Space != nil {
		return s.opt.Space()
	}
	return s.fs.Space()
}
