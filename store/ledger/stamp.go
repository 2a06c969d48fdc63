package ledger

import "time"

const (
	// GapAfter is how long the clock may be ahead of the last entry before
	// that is a gap. A store that runs appends an [Interval] each hour.
	GapAfter = 2 * time.Hour
	// BackTolerance is how far the clock may go back without a gap: time
	// servers correct clocks by less.
	BackTolerance = time.Minute
	// MaxStep is how far the ledger's time follows the clock at once. Where
	// the clock is further ahead, the time follows by so much with each
	// [Started] and [Interval] only: a clock that is wrong by ten years lets
	// nothing expire that would not have within a day.
	MaxStep = 24 * time.Hour
)

// stamp makes entries of events, with a gap in front if the clock tells one.
func (l *Ledger) stamp(events []Event) []Entry {
	if len(events) == 0 {
		return nil
	}
	now := l.clock.Now().UnixNano()
	out := make([]Entry, 0, len(events)+1)
	t := now
	if l.last.Event != nil {
		t = follow(l.last.Time, now, l.startsRun(events))
		if cause := l.gap(now); cause != "" {
			out = append(out, Entry{Time: t, Clock: now, Event: Gap{From: l.last.Clock, To: now, Cause: cause}})
		}
	}
	for _, e := range events {
		if s, ok := e.(Started); ok {
			s.Clean, s.Last = false, 0
			if l.last.Event != nil {
				_, s.Clean = l.last.Event.(Stopped)
				s.Last = l.last.Clock
			}
			e = s
		}
		out = append(out, Entry{Time: t, Clock: now, Event: e})
	}
	return out
}

func (l *Ledger) startsRun(events []Event) bool {
	for _, e := range events {
		switch e.(type) {
		case Started, Interval:
			return true
		}
	}
	return false
}

// gap says why the clock is not where the last entry lets expect, or nothing.
func (l *Ledger) gap(now int64) string {
	switch d := distance(l.last.Clock, now); {
	case d < -BackTolerance:
		return CauseBack
	case d <= GapAfter:
		return ""
	}
	if l.started {
		return CauseForward
	}
	if _, ok := l.last.Event.(Stopped); ok {
		return CauseStopped
	}
	return CauseDown
}

// follow returns the ledger's time after last when the clock says now.
func follow(last, now int64, step bool) int64 {
	switch d := distance(last, now); {
	case d <= 0:
		return last
	case d <= MaxStep:
		return now
	case step:
		return last + int64(MaxStep)
	}
	return last
}

// distance is to − from, at most ±292 years.
func distance(from, to int64) time.Duration {
	d := to - from
	switch {
	case to > from && d < 0:
		return 1<<63 - 1
	case to < from && d > 0:
		return -1 << 63
	}
	return time.Duration(d)
}

// Now returns the ledger's time, by which retention counts. It never goes back
// behind an entry, and where the clock is more than [MaxStep] ahead of the last
// entry it stays there until an entry follows. A record's arrival should be the
// later one of this and the clock: then no clock that went back makes a record
// old at once.
func (l *Ledger) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now().UnixNano()
	if l.last.Event == nil {
		return time.Unix(0, now).UTC()
	}
	return time.Unix(0, follow(l.last.Time, now, false)).UTC()
}
