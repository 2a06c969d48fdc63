package store

// OnStep makes fn be called at moments after which a crash must not matter.
// Nothing else may be under way.
func (s *Store) OnStep(fn func(what string)) { s.step = fn }

// Segments returns how many segments there are.
func (s *Store) Segments() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
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
