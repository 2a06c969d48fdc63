package store

import "time"

// DefaultRetention is how long records are kept after their arrival.
const DefaultRetention = 6 * 366 * 24 * time.Hour

// retentionOf returns a group's retention. s.mu is held.
func (s *Store) retentionOf(group string) time.Duration { return DefaultRetention }
