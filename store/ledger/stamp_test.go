package ledger

import (
	"math"
	"reflect"
	"testing"
	"time"
)

// TestClock moves the clock and looks at the ledger's time and at the gaps.
func TestClock(t *testing.T) {
	const hour, day, year = time.Hour, 24 * time.Hour, 365 * 24 * time.Hour
	type step struct {
		clock time.Duration // since the start
		event Event
		time  time.Duration // the ledger's, since the start
		gap   string
	}
	interval := Interval{From: 1, To: 2}
	for name, steps := range map[string][]step{
		"as it should be": {
			{hour, interval, hour, ""}, {2 * hour, interval, 2 * hour, ""}, {2*hour + time.Second, Stopped{}, 2*hour + time.Second, ""},
			{2*hour + time.Minute, Started{Version: "v"}, 2*hour + time.Minute, ""},
		},
		"back an hour": {
			{hour, interval, hour, ""}, {0, interval, hour, CauseBack}, {30 * time.Minute, Hold{}, hour, ""}, {2 * hour, interval, 2 * hour, ""},
		},
		"back a little": {{hour, interval, hour, ""}, {hour - 10*time.Second, interval, hour, ""}},
		"back ten years": {
			{hour, interval, hour, ""}, {-10 * year, interval, hour, CauseBack}, {-10*year + hour, interval, hour, ""},
			{2 * hour, interval, 2 * hour, CauseForward},
		},
		"three hours without an entry": {{hour, interval, hour, ""}, {4 * hour, Hold{}, 4 * hour, CauseForward}},
		"forward ten years": {
			{hour, interval, hour, ""},
			{10 * year, Hold{}, hour, CauseForward}, // nothing may expire by this
			{10 * year, Hold{}, hour, ""},
			{10*year + hour, interval, hour + day, ""},
			{10*year + 2*hour, interval, hour + 2*day, ""},
			{4 * hour, interval, hour + 2*day, CauseBack}, // put right
			{3 * day, interval, 3 * day, CauseForward},
		},
		"closed for a week": {
			{hour, Stopped{}, hour, ""},
			{7 * day, Started{Version: "v"}, hour + day, CauseForward}, // the same run, as far as this test goes
			{7*day + hour, interval, hour + 2*day, ""},
		},
		"the end of time": {{hour, interval, hour, ""}, {math.MaxInt64 / 2, interval, hour + day, CauseForward}},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := testOptions(t, 1)
			c := o.Clock.(*testClock)
			start := c.now
			l := mustOpen(t, o)
			mustAppend(t, l, Started{Version: "v"})
			for i, s := range steps {
				c.now = start.Add(s.clock)
				before := len(allEntries(t, l))
				mustAppend(t, l, s.event)
				added := allEntries(t, l)[before:]
				gap := ""
				if g, ok := added[0].Event.(Gap); ok {
					gap = g.Cause
					added = added[1:]
				}
				if gap != s.gap {
					t.Errorf("step %d: gap %q, want %q", i, gap, s.gap)
				}
				if got := time.Duration(added[0].Time - start.UnixNano()); got != s.time {
					t.Errorf("step %d: ledger's time %v after the start, want %v", i, got, s.time)
				}
				if got := time.Duration(added[0].Clock - start.UnixNano()); got != s.clock {
					t.Errorf("step %d: clock %v after the start, want %v", i, got, s.clock)
				}
				if now := l.Now().Sub(start); now != s.time {
					t.Errorf("step %d: Now() is %v after the start, want %v", i, now, s.time)
				}
			}
		})
	}
}

// TestGapOverRestart: what the time between two runs is called.
func TestGapOverRestart(t *testing.T) {
	for _, c := range []struct {
		name  string
		last  Event
		away  time.Duration
		gap   string
		clean bool
	}{
		{"closed for an hour", Stopped{}, time.Hour, "", true},
		{"closed for a day", Stopped{}, 24 * time.Hour, CauseStopped, true},
		{"down for an hour", Hold{}, time.Hour, "", false},
		{"down for a day", Hold{}, 24 * time.Hour, CauseDown, false},
		{"back", Stopped{}, -24 * time.Hour, CauseBack, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _ := testOptions(t, 1)
			l := mustOpen(t, o)
			o.Committed = mustAppend(t, l, c.last)
			last := l.Last()
			l.Close()
			o.Clock.(*testClock).now = last.Add(c.away)
			l = mustOpen(t, o)
			mustAppend(t, l, Started{Version: "v"})
			want := []Event{Started{Version: "v", Clean: c.clean, Last: last.UnixNano()}}
			if c.gap != "" {
				want = []Event{Gap{From: last.UnixNano(), To: last.Add(c.away).UnixNano(), Cause: c.gap}, want[0]}
			}
			var got []Event
			for _, e := range allEntries(t, l)[1:] {
				got = append(got, e.Event)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("entries = %+v, want %+v", got, want)
			}
		})
	}
}

func TestNowOfNothing(t *testing.T) {
	o, _ := testOptions(t, 1)
	l := mustOpen(t, o)
	if got := l.Now(); !got.Equal(o.Clock.Now()) {
		t.Errorf("Now() of an empty ledger = %v, want the clock's %v", got, o.Clock.Now())
	}
	if got := l.Last(); !got.IsZero() {
		t.Errorf("Last() of an empty ledger = %v, want zero", got)
	}
}
