package store

import (
	"trailward/store/catalog"
	"trailward/store/segment"
)

// OnStep makes fn be called at moments after which a crash must not matter.
// Nothing else may be under way.
func (s *Store) OnStep(fn func(what string)) { s.step = fn }

// Segments returns how many segments there are.
func (s *Store) Segments() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		n += len(g.list)
	}
	return n
}

// RecordInterval does what the background does each hour.
func (s *Store) RecordInterval() error { return s.recordInterval() }

// CheckSpace does what the background does each second.
func (s *Store) CheckSpace() { s.checkSpace() }

const MaxHeads = maxHeads

// HeadBytes is the weight of the head and of what is being sealed.
func (s *Store) HeadBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headBytes
}

// StopBackground leaves everything that the background does to the test.
func (s *Store) StopBackground() {
	s.stop()
	s.done.Wait()
}

// AddSegments makes a segment of each batch and commits all of them together,
// so that a store of very many is made quickly.
func (s *Store) AddSegments(batches []*Batch) error {
	list := make([]*segment.Builder, len(batches))
	take := s.opt.Format.Taker()
	at := s.accept()
	for i, b := range batches {
		list[i] = s.newBuilder(headKey{b.Group, b.Records[0].Kind})
		for j := range b.Records {
			b.Records[j].Group, b.Records[j].Arrival = b.Group, at
			list[i].Add(&b.Records[j], take(&b.Records[j]))
		}
	}
	return s.writeAll(list, catalog.Change{}, nil)
}

// ChooseMerges looks at every group for segments to be merged, as after a start,
// and returns how many groups have some.
func (s *Store) ChooseMerges() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for group, g := range s.groups {
		if pickMerge(g.list, s.retentionOf(group)) != nil {
			n++
		}
	}
	return n
}

// OpenReaders returns how many segments are open.
func (s *Store) OpenReaders() int {
	s.readers.mu.Lock()
	defer s.readers.mu.Unlock()
	return s.readers.open
}
