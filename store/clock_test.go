package store_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"trailward"
	"trailward/internal/clock/clocktest"
	"trailward/internal/vfs"
	"trailward/store"
)

// Whatever the machine's clock does, records keep the order in which they were
// accepted, also across starts; only a clock that was wrong by more than a day is
// not followed when it is right again, and then nothing counts as older than it
// is. Retention goes on by a day at most.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	dir := dataDir(t)
	clk := clocktest.New(epoch)
	s := passing(t, dir, clk)
	if err := s.SetRetention("/g", 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	expire(t, s)
	n := 0
	// Any event time; what counts is when it came.
	add := func() {
		b := batch("/g", strconv.Itoa(n))
		b.Records[0].Time = epoch.UnixNano() + int64(n%3)*int64(time.Hour)
		appendTo(t, s, b)
		n++
	}
	var before time.Time
	ahead := map[int]bool{} // records after which a clock that was years ahead was put right
	for _, jump := range []time.Duration{0, time.Hour, -time.Hour, -time.Second, -10 * year, 10 * year, time.Second, 10 * year, -20 * year, 20 * year, -time.Millisecond, -20 * time.Hour, 0, -10 * year, time.Hour} {
		clk.Advance(jump)
		ahead[n-1] = jump < -24*time.Hour
		add()
		add()
		for range 3 {
			res, err := s.Expire()
			if err != nil {
				t.Fatal(err)
			}
			if !before.IsZero() && (res.Now.Before(before) || res.Now.Sub(before) > 24*time.Hour) {
				t.Errorf("a jump of %v moved the retention clock by %v in one run, want 0 to 24h", jump, res.Now.Sub(before))
			}
			before = res.Now
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = passing(t, dir, clk)
	}
	arrivals := map[int]int64{}
	if err := s.Cat("/g", "", func(r *trailward.Record) error {
		i, err := strconv.Atoi(string(r.Raw))
		arrivals[i] = r.Arrival
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at, ok := arrivals[i]
		switch {
		case !ok:
			t.Errorf("record %d is gone", i)
		case at < epoch.UnixNano():
			t.Errorf("record %d counts as accepted at %v, before all", i, time.Unix(0, at).UTC())
		case i > 0 && at <= arrivals[i-1] && !ahead[i-1] && i%2 == 0 || i%2 == 1 && at <= arrivals[i-1]:
			t.Errorf("record %d was accepted %v before the one ahead of it", i, time.Duration(arrivals[i-1]-at))
		}
	}
	s.Close()
	good(t, dir)
}

// What is kept free stays free although nobody looks at the disk meanwhile.
func TestWatermarkBetweenLooks(t *testing.T) {
	dir := dataDir(t)
	const reserve = 1 << 20
	room := int64(64 << 10) // above the reserve
	s := openWith(t, dir, func(o *store.Options) {
		o.ReserveBytes = reserve
		o.Space = func() (vfs.Space, error) { return vfs.Space{Free: reserve + room, Size: 1 << 30}, nil }
	})
	s.StopBackground()
	var taken int64
	for range 1000 {
		b := batch("/g", longText(1000))
		_, err := s.Append(context.Background(), b)
		if errors.Is(err, store.ErrNoSpace) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		taken += 1000
		// The disk has what was written; only who looks sees it.
		room -= 1000
	}
	if taken < 32<<10 || taken > 64<<10 {
		t.Errorf("%d bytes were taken, want nearly the %d that were not to be kept free", taken, 64<<10)
	}
	if _, err := s.Append(context.Background(), batch("/g", "x", longText(2000))); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("Append without room = %v, want %v", err, store.ErrNoSpace)
	}
	room = 64 << 10
	appendTo(t, s, batch("/g", longText(2000)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good(t, dir)
}

func longText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}
