package store

// room says why there is no room for bytes more.
func (s *Store) room(bytes int64) error { return nil }
