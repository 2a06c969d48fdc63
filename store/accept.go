package store

import "time"

// stepBack is how far the machine's clock may go back without the time of
// acceptance going back with it: what a wrong time zone, a leap second or a
// correction makes of it. One that is off by more was wrong before, and must not
// be followed into a future of years.
const stepBack = 24 * time.Hour

// accept is the time at which a batch is accepted that comes now: after that of all
// batches before it, so that records keep their order whatever the clock does. It is
// not for the time that something else happens at, see [Store.now].
func (s *Store) accept() int64 {
	for {
		t, last := s.now(), s.accepted.Load()
		if t <= last && last-t <= int64(stepBack) {
			t = (last/1000 + 1) * 1000 // segments keep microseconds
		}
		if s.accepted.CompareAndSwap(last, t) {
			return t
		}
	}
}

// wasAccepted says when something was accepted before this start. Only open calls it.
func (s *Store) wasAccepted(at int64) {
	if at > s.accepted.Load() && at-s.now() <= int64(stepBack) {
		s.accepted.Store(at)
	}
}
