package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"trailward/store/catalog"
	"trailward/store/ledger"
)

// Retention and holds. Records are kept for their group's retention, counted
// from their arrival by the retention clock; a group under a legal hold keeps
// all. What expires is segments, each when its youngest record does, so a record
// may stay a while longer than it must, never shorter.
//
// The retention clock follows the ledger's time, which follows the machine's
// clock and never goes back, by a day at most in each run of expiry, and there
// are two runs a day at most. So a clock that is wrong by ten years deletes
// nothing that would not have gone within a day, and there is time to see it.
const (
	// DefaultRetention is that of a group for which nothing else is set: six
	// years, in which HIPAA wants documentation kept (45 CFR 164.316(b)(2)(i)),
	// each counted as a leap year.
	DefaultRetention = 6 * 366 * 24 * time.Hour
	// MinRetention and MaxRetention bound what may be set.
	MinRetention = 24 * time.Hour
	MaxRetention = 100 * 366 * 24 * time.Hour
	// KeepForever is the retention of a group whose records never expire.
	KeepForever = catalog.Never

	// MaxReason is how many bytes the reason of a hold may have.
	MaxReason = 1024

	expireEvery = 12 * time.Hour
	expireStep  = 24 * time.Hour
	// expireMost is how many segments one commit deletes at most.
	expireMost = 1000
)

// ErrNoHold: a hold is to be released that is not set.
var ErrNoHold = errors.New("the group is not under hold")

// GroupSetting is what holds for a group.
type GroupSetting struct {
	Group     string
	Retention time.Duration // KeepForever: for ever
	Default   bool          // nothing was set for it
	Hold      *catalog.Hold // nil: none
}

// GroupSettings returns what holds for every group that has records or for
// which something was set, by name.
func (s *Store) GroupSettings() []GroupSetting {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]GroupSetting, 0, len(s.groups)+len(s.settings))
	for n := range s.groups {
		out = append(out, s.setting(n))
	}
	for n := range s.settings {
		if s.groups[n] == nil {
			out = append(out, s.setting(n))
		}
	}
	slices.SortFunc(out, func(a, b GroupSetting) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// GroupSetting returns what holds for a group, whether or not there is one of
// that name.
func (s *Store) GroupSetting(group string) GroupSetting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setting(group)
}

// setting is GroupSetting. s.mu is held.
func (s *Store) setting(group string) GroupSetting {
	g := s.settings[group]
	return GroupSetting{Group: group, Retention: s.retentionOf(group), Default: g.Retention == 0, Hold: g.Hold}
}

// retentionOf returns a group's retention. s.mu is held.
func (s *Store) retentionOf(group string) time.Duration {
	if r := s.settings[group].Retention; r != 0 {
		return r
	}
	return DefaultRetention
}

// groupText is what a ledger entry says of a group to people, sealed.
type groupText struct {
	Group  string `json:"group"`
	Reason string `json:"reason,omitempty"`
}

func (s *Store) sealText(t groupText) ([]byte, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return ledger.SealText(s.key, string(b))
}

// SetRetention sets how long a group's records are kept after their arrival:
// [MinRetention] to [MaxRetention], [KeepForever], or 0 for the default. It goes for
// those that are there too.
func (s *Store) SetRetention(group string, d time.Duration) error {
	if err := CheckName("group", group); err != nil {
		return err
	}
	if d != 0 && d != KeepForever && (d < MinRetention || d > MaxRetention) {
		return fmt.Errorf("retention of %v: want %v to %v, or for ever", d, MinRetention, MaxRetention)
	}
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	s.mu.Lock()
	g, old := s.settings[group], s.retentionOf(group)
	s.mu.Unlock()
	g.Name, g.Retention = group, d
	now := d
	if d == 0 {
		now = DefaultRetention
	}
	text, err := s.sealText(groupText{Group: group})
	if err != nil {
		return err
	}
	return s.set(g, ledger.Retention{Group: ledger.GroupHash(s.key, group), Old: retentionSeconds(old), New: retentionSeconds(now), Text: text})
}

// retentionSeconds is a retention as the ledger has it: 0 is for ever.
func retentionSeconds(d time.Duration) int64 {
	if d == KeepForever {
		return 0
	}
	return int64(d / time.Second)
}

// SetHold puts a group under legal hold: nothing of it expires until the hold
// is released. Setting it again replaces the reason.
func (s *Store) SetHold(group, reason string) error {
	if err := CheckName("group", group); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("a hold needs a reason")
	case len(reason) > MaxReason:
		return fmt.Errorf("reason of %d bytes, the limit is %d", len(reason), MaxReason)
	case !utf8.ValidString(reason):
		return errors.New("the reason is not UTF-8")
	}
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	s.mu.Lock()
	g := s.settings[group]
	s.mu.Unlock()
	g.Name, g.Hold = group, &catalog.Hold{Reason: reason, Since: s.now()}
	text, err := s.sealText(groupText{Group: group, Reason: reason})
	if err != nil {
		return err
	}
	return s.set(g, ledger.Hold{Group: ledger.GroupHash(s.key, group), Set: true, Text: text})
}

// ReleaseHold ends a group's legal hold. [ErrNoHold] says that there is none.
func (s *Store) ReleaseHold(group string) error {
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	s.mu.Lock()
	g := s.settings[group]
	s.mu.Unlock()
	if g.Hold == nil {
		return fmt.Errorf("release hold on %s: %w", group, ErrNoHold)
	}
	text, err := s.sealText(groupText{Group: group, Reason: g.Hold.Reason})
	if err != nil {
		return err
	}
	g.Hold = nil
	return s.set(g, ledger.Hold{Group: ledger.GroupHash(s.key, group), Text: text})
}

// set makes a setting, in catalog and ledger. s.settingsMu is held.
func (s *Store) set(g catalog.Group, event ledger.Event) error {
	err := s.commit(catalog.Change{Groups: []catalog.Group{g}}, []ledger.Event{event}, func() { s.settings[g.Name] = g })
	if err != nil {
		return fmt.Errorf("change settings of group %s: %w", g.Name, err)
	}
	return nil
}

// ExpireResult is what a run of expiry did.
type ExpireResult struct {
	Segments, Records int64
	Now               time.Time // where the retention clock stands
}

// Expire deletes the segments whose retention is over and that no hold keeps.
// It moves the retention clock on if it is time for that; the background does
// all this twice a day.
func (s *Store) Expire() (res ExpireResult, err error) {
	// No hold may be set between the look at it and the deletion.
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	c, err := s.cat.Clock()
	if err != nil {
		return res, fmt.Errorf("expire segments: %w", err)
	}
	now, wall := s.ledger.Now().UnixNano(), s.clock.Now().UnixNano()
	switch {
	case c.Now == 0: // nothing here is older than this first run
		c = catalog.Clock{Now: now, Wall: wall}
	case distance(wall, c.Wall) >= expireEvery:
		if now > c.Now {
			c.Now += min(now-c.Now, int64(expireStep))
		}
		c.Wall = wall
	}
	if err := s.cat.Apply(catalog.Change{Clock: &c}); err != nil {
		return res, fmt.Errorf("expire segments: %w", err)
	}
	s.retention.Store(c.Now)
	res.Now = time.Unix(0, c.Now).UTC()
	for {
		list := s.expired(c.Now)
		if len(list) == 0 {
			return res, nil
		}
		var ch catalog.Change
		var events []ledger.Event
		var gone []*sealed
		var records int64
		for _, p := range list {
			ch.Remove = append(ch.Remove, p.info.ID)
			s.mu.Lock()
			r := s.retentionOf(p.info.Group)
			s.mu.Unlock()
			events = append(events, ledger.Expired{
				ID: p.info.ID, Group: ledger.GroupHash(s.key, p.info.Group), Reason: ledger.ReasonRetention, Retention: retentionSeconds(r),
			})
			records += p.info.Rows
		}
		err := s.commit(ch, events, func() { gone = s.dismiss(list) })
		s.mu.Lock()
		for _, p := range list {
			p.busy = false
		}
		s.mu.Unlock()
		if err != nil {
			return res, fmt.Errorf("expire segments: %w", err)
		}
		s.step("expired")
		s.removeFiles(gone)
		res.Segments += int64(len(list))
		res.Records += records
	}
}

// distance is how far apart two times are.
func distance(a, b int64) time.Duration {
	d := a - b
	if a < b {
		d = b - a
	}
	if d < 0 {
		return math.MaxInt64
	}
	return time.Duration(d)
}

// expired returns segments to be deleted and marks them busy.
func (s *Store) expired(now int64) (out []*sealed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for group, g := range s.groups {
		r := s.retentionOf(group)
		if r == KeepForever || s.settings[group].Hold != nil {
			continue
		}
		// Whole seconds, as the ledger has them.
		last := now - retentionSeconds(r)*int64(time.Second)
		if last > now {
			continue
		}
		for _, p := range g.list {
			if !p.busy && !p.dead && p.info.LastArrival < last {
				p.busy = true
				out = append(out, p)
				if len(out) == expireMost {
					return out
				}
			}
		}
	}
	return out
}
