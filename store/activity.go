package store

import (
	"time"

	"trailward/store/catalog"
	"trailward/store/ledger"
)

// The ledger tells how many records came in each hour, also when there were
// none, and which group went silent that used to speak.
const (
	intervalEvery = time.Hour
	// intervalLeast is how long a store must have been open for the hour that
	// its end cuts short to be recorded.
	intervalLeast = time.Minute
	// A group is silent when nothing came for silentLeast and silentTimes as
	// long as the longest pause it made before; only one that spoke in
	// silentHours different hours has a habit to break.
	silentLeast = 3 * time.Hour
	silentTimes = 3
	silentHours = 3
	// activityMemory is how long a group is followed after its last record.
	activityMemory = 31 * 24 * time.Hour
)

// activity is how a group used to speak. s.mu guards it.
type activity struct {
	last    int64 // arrival of the latest record, ns
	longest int64 // pause between two, ns
	hours   int32 // different hours in which records came; 0: nothing is known of it
	silent  bool  // and recorded
}

// spoke notes that records came. s.mu is held.
func (s *Store) spoke(group string, at int64) {
	a := &s.group(group).activity
	if a.hours == 0 {
		*a = activity{last: at, hours: 1}
		return
	}
	if at < a.last {
		return
	}
	if at/int64(intervalEvery) != a.last/int64(intervalEvery) {
		a.hours++
	}
	if !a.silent { // a silence is no habit
		a.longest = max(a.longest, at-a.last)
	}
	a.last, a.silent = at, false
}

// count counts records for the present interval. s.mu is held.
func (s *Store) count(records, bytes int64) {
	s.since.records += records
	s.since.bytes += bytes
}

// interval is what came since the last one was recorded.
type interval struct {
	from           int64 // ns
	records, bytes int64
}

// recordInterval records the interval that ends now, and which groups went
// silent.
func (s *Store) recordInterval() error {
	now := s.now()
	s.mu.Lock()
	was := s.since
	s.since = interval{from: now}
	events := []ledger.Event{ledger.Interval{From: was.from, To: max(now, was.from), Records: was.records, Bytes: was.bytes}}
	var names []string
	var found []*activity
	for name, g := range s.groups {
		a := &g.activity
		if a.hours == 0 {
			continue
		}
		pause := now - a.last
		if pause > int64(activityMemory) {
			*a = activity{}
			continue
		}
		if !a.silent && a.hours >= silentHours && pause > max(int64(silentLeast), silentTimes*a.longest) {
			names, found = append(names, name), append(found, a)
		}
	}
	s.mu.Unlock()
	for i, name := range names {
		text, err := s.sealText(groupText{Group: name})
		if err != nil {
			return err
		}
		s.log.Warn("a source of records went silent", "group", name, "since", time.Unix(0, found[i].last).UTC())
		events = append(events, ledger.Silent{Group: ledger.GroupHash(s.key, name), Since: found[i].last, Text: text})
	}
	err := s.commit(catalog.Change{}, events, func() {
		for _, a := range found {
			a.silent = true
		}
	})
	if err != nil {
		s.mu.Lock()
		s.since.from = was.from
		s.since.records += was.records
		s.since.bytes += was.bytes
		s.mu.Unlock()
	}
	return err
}

// remember takes the habits of groups from the segments that there are. The
// store is not open yet.
func (s *Store) remember() {
	now := s.now()
	for name, g := range s.groups {
		for _, p := range g.list {
			if now-p.info.LastArrival < int64(activityMemory) {
				s.spoke(name, p.info.FirstArrival)
				s.spoke(name, p.info.LastArrival)
			}
		}
	}
}
