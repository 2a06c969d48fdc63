package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward/internal/clock/clocktest"
	"trailward/internal/vfs"
	"trailward/store"
)

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// passing opens a store whose clock the test moves.
func passing(t *testing.T, dir string, c *clocktest.Clock) *store.Store {
	t.Helper()
	s := openWith(t, dir, func(o *store.Options) { o.Clock = c })
	s.StopBackground()
	return s
}

// expire runs expiry as the background does when the clock says so.
func expire(t *testing.T, s *store.Store) store.ExpireResult {
	t.Helper()
	res, err := s.Expire()
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// pass lets time pass in steps that the ledger believes.
func pass(t *testing.T, s *store.Store, c *clocktest.Clock, d time.Duration) (all store.ExpireResult) {
	t.Helper()
	for ; d > 0; d -= 12 * time.Hour {
		c.Advance(min(d, 12*time.Hour))
		if err := s.RecordInterval(); err != nil {
			t.Fatal(err)
		}
		r := expire(t, s)
		all.Segments += r.Segments
		all.Records += r.Records
	}
	return all
}

func TestExpiry(t *testing.T) {
	dir := dataDir(t)
	c := clocktest.New(epoch)
	s := passing(t, dir, c)
	const day = 24 * time.Hour
	for _, g := range []string{"/short", "/held", "/default", "/ever"} {
		appendTo(t, s, batch(g, g+" 1", g+" 2"))
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	for g, d := range map[string]time.Duration{"/short": 10 * day, "/held": day, "/ever": store.KeepForever} {
		if err := s.SetRetention(g, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetHold("/held", "case 17"); err != nil {
		t.Fatal(err)
	}
	if r := pass(t, s, c, 9*day); r.Segments != 0 {
		t.Errorf("after nine days: %+v", r)
	}
	// A younger record does not keep an older segment, nor the other way round.
	appendTo(t, s, batch("/short", "/short 3"))
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(store.Selection{Groups: []string{"/short"}})
	if err != nil {
		t.Fatal(err)
	}
	if r := pass(t, s, c, 2*day); r.Segments != 1 || r.Records != 2 {
		t.Errorf("after eleven days: %+v", r)
	}
	want(t, cat(t, s, "/short"), "/short 3")
	// Who was reading goes on reading.
	if _, err := snap.Open(t.Context(), snap.Parts(), []string{"@timestamp"}, 8); err != nil {
		t.Error(err)
	}
	files := len(segmentFiles(t, dir))
	snap.Close()
	if n := len(segmentFiles(t, dir)); n != files-1 {
		t.Errorf("%d files after the last reader, %d before", n, files)
	}
	want(t, cat(t, s, "/held"), "/held 1", "/held 2")
	if err := s.ReleaseHold("/held"); err != nil {
		t.Fatal(err)
	}
	if err := s.ReleaseHold("/held"); !errors.Is(err, store.ErrNoHold) {
		t.Errorf("release again = %v", err)
	}
	if r := expire(t, s); r.Segments != 1 {
		t.Errorf("after the hold: %+v", r)
	}
	s.Close()
	s = passing(t, dir, c)
	want(t, cat(t, s, "/held"))
	want(t, cat(t, s, "/default"), "/default 1", "/default 2")
	want(t, cat(t, s, "/ever"), "/ever 1", "/ever 2")
	got := map[string]time.Duration{}
	for _, g := range s.GroupSettings() {
		got[g.Group] = g.Retention
	}
	for g, d := range map[string]time.Duration{"/short": 10 * day, "/held": day, "/default": store.DefaultRetention, "/ever": store.KeepForever} {
		if got[g] != d {
			t.Errorf("retention of %s = %v, want %v", g, got[g], d)
		}
	}
	s.Close()
	good(t, dir)
}

func TestAJumpOfTheClockDeletesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		jump time.Duration
	}{{"an hour forward", time.Hour}, {"ten years forward", 10 * 365 * 24 * time.Hour}, {"ten years back", -10 * 365 * 24 * time.Hour}, {"an hour back", -time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			dir := dataDir(t)
			clk := clocktest.New(epoch)
			s := passing(t, dir, clk)
			appendTo(t, s, batch("/g", "before"))
			if err := s.SetRetention("/g", 10*24*time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.Seal(); err != nil {
				t.Fatal(err)
			}
			expire(t, s)
			clk.Advance(c.jump)
			for range 3 {
				if r := expire(t, s); r.Segments != 0 {
					t.Errorf("deleted %+v", r)
				}
				appendTo(t, s, batch("/g", "after"))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = passing(t, dir, clk) // as often as one likes
			}
			want(t, cat(t, s, "/g"), "before", "after", "after", "after")
			// Right again, what came in between is kept as long as it must be.
			clk.Set(epoch.Add(2 * time.Hour))
			if r := pass(t, s, clk, 8*24*time.Hour); r.Segments != 0 {
				t.Errorf("deleted %+v after eight days", r)
			}
			s.Close()
			good(t, dir)
		})
	}
}

func TestSettingsAreRefused(t *testing.T) {
	s := open(t, dataDir(t))
	defer s.Close()
	for _, c := range []struct {
		name string
		err  error
	}{
		{"a retention of an hour", s.SetRetention("/g", time.Hour)},
		{"a retention of 200 years", s.SetRetention("/g", 200*366*24*time.Hour)},
		{"a retention of no group", s.SetRetention("", 48*time.Hour)},
		{"a hold without a reason", s.SetHold("/g", " ")},
		{"a hold with a long reason", s.SetHold("/g", strings.Repeat("x", store.MaxReason+1))},
		{"a hold with a reason that is not text", s.SetHold("/g", "\xff")},
		{"the release of no hold", s.ReleaseHold("/g")},
	} {
		if c.err == nil {
			t.Errorf("%s was accepted", c.name)
		}
	}
}

func TestSilenceIsRecorded(t *testing.T) {
	dir := dataDir(t)
	c := clocktest.New(epoch)
	s := passing(t, dir, c)
	for i := range 5 {
		appendTo(t, s, batch("/chatty", fmt.Sprint(i)))
		c.Advance(time.Hour)
		if err := s.RecordInterval(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		c.Advance(time.Hour)
		if err := s.RecordInterval(); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	r := good(t, dir)
	if len(r.Silences) != 1 {
		t.Errorf("%d silences, want 1", len(r.Silences))
	}
	if r.Intervals < 11 || r.Empty < 5 {
		t.Errorf("%d intervals, %d of them empty", r.Intervals, r.Empty)
	}
}

func TestAFullDisk(t *testing.T) {
	dir := dataDir(t)
	c := clocktest.New(epoch)
	free := int64(10 << 30)
	s := openWith(t, dir, func(o *store.Options) {
		o.Clock = c
		o.Space = func() (vfs.Space, error) { return vfs.Space{Free: free, Size: 100 << 30}, nil }
	})
	s.StopBackground()
	appendTo(t, s, batch("/g", "before"))
	if err := s.SetRetention("/g", 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	free = 1 << 29
	s.CheckSpace()
	if _, err := s.Append(context.Background(), batch("/g", "no")); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("Append on a full disk = %v, want ErrNoSpace", err)
	}
	l := s.NewLoad()
	b := batch("/g", "no")
	if err := l.Add(&b.Records[0], testFormat().Taker()(&b.Records[0])); err != nil {
		t.Error(err)
	}
	if err := l.Flush(context.Background()); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("Flush on a full disk = %v, want ErrNoSpace", err)
	}
	// What is there is read, sealed and expired all the same.
	want(t, cat(t, s, "/g"), "before")
	if err := s.Seal(); err != nil {
		t.Errorf("Seal on a full disk = %v", err)
	}
	if r := pass(t, s, c, 48*time.Hour); r.Records != 1 {
		t.Errorf("expiry on a full disk = %+v", r)
	}
	free = 10 << 30
	s.CheckSpace()
	appendTo(t, s, batch("/g", "after"))
	s.Close()
	good(t, dir)
}

func TestShreddedHeadersAreGone(t *testing.T) {
	dir := dataDir(t)
	c := clocktest.New(epoch)
	s := passing(t, dir, c)
	defer s.Close()
	appendTo(t, s, batch("/g", "x"))
	if err := s.SetRetention("/g", 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	file := segmentFiles(t, dir)[0]
	link := filepath.Join(dir, "..", "link")
	if err := os.Link(file, link); err != nil {
		t.Fatal(err)
	}
	pass(t, s, c, 48*time.Hour)
	b, err := os.ReadFile(link)
	if err != nil || len(b) < 1000 || !slices.Equal(b[:215], make([]byte, 215)) {
		t.Errorf("the header of a deleted segment is still on the disk: %x, %v", b[:8], err)
	}
}
