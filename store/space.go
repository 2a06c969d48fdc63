package store

import (
	"fmt"
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
	err := s.room(0)
	s.mu.Lock()
	was := s.full
	s.full = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.log.Error("no more records are taken until there is room on the disk", "error", err)
	case err == nil && was:
		s.log.Info("there is room on the disk again; records are taken")
	}
}

// room says why the disk has no room for bytes more; nil: it has.
func (s *Store) room(bytes int64) error {
	sp, err := s.space()
	if err != nil {
		return nil // a system that cannot tell; a write that finds no room says so
	}
	reserve := s.opt.ReserveBytes
	if reserve == 0 {
		reserve = min(sp.Size/reserveShare, reserveMost)
	}
	if reserve > 0 && sp.Free-bytes < reserve {
		return fmt.Errorf("%w: %d MiB are free, %d MiB are kept free", ErrNoSpace, sp.Free>>20, reserve>>20)
	}
	return nil
}

func (s *Store) space() (vfs.Space, error) {
	if s.opt.Space != nil {
		return s.opt.Space()
	}
	return s.fs.Space()
}
