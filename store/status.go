package store

import (
	"time"

	"trailward/store/ledger"
)

// Status is how a store is doing, in numbers for those who watch it.
type Status struct {
	Segments     int64 // files
	SegmentBytes int64 // of them, sealed
	WALBytes     int64
	HeadBytes    int64 // of memory that records take which are not in a segment yet
	Groups       int64
	Checkpoint   uint64    // entries of the ledger that are signed for
	LastEntry    time.Time // when the last of them was written, by the ledger's clock; zero: none yet
	Retention    time.Time // where the retention clock stands; zero: it has not run yet
	FreeBytes    int64     // on the disk; -1: the system does not say
	Full         bool      // no records are taken until there is room
	Failed       bool      // no records are taken until the store is opened again
}

// Status says how the store is doing.
func (s *Store) Status() Status {
	st := Status{WALBytes: s.wal.Size(), LastEntry: s.ledger.Last(), FreeBytes: -1, Full: s.room(0) != nil}
	if n := s.retention.Load(); n != 0 {
		st.Retention = time.Unix(0, n).UTC()
	}
	c, _ := s.ledger.Checkpoint()
	st.Checkpoint = c.Size
	if sp, err := s.space(); err == nil {
		st.FreeBytes = sp.Free
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Segments, st.SegmentBytes = s.segments, s.segBytes
	st.HeadBytes, st.Groups, st.Failed = s.headBytes, int64(len(s.groups)), s.failed != nil
	return st
}

// ProveExtension returns the last checkpoint as it is signed, and the proof, for
// [ledger.CheckExtension], that it continues before.
func (s *Store) ProveExtension(before ledger.Checkpoint) (signed []byte, proof []ledger.Hash, err error) {
	for {
		now, proof, err := s.ledger.ProveExtension(before)
		if err != nil {
			return nil, nil, err
		}
		if c, signed := s.ledger.Checkpoint(); c == now {
			return signed, proof, nil
		} // else one more was signed in between
	}
}
