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
