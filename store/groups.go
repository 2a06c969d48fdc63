package store

import (
	"slices"
	"strings"

	"trailward/store/segment"
)

// Groups returns the names of all groups, sorted.
func (s *Store) Groups() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.groups))
	for n := range s.groups {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// HasGroup reports whether Groups has the name.
func (s *Store) HasGroup(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[name] != nil
}

// HasGroups reports whether a name of Groups begins with prefix.
func (s *Store) HasGroups(prefix string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.groups {
		if strings.HasPrefix(n, prefix) {
			return true
		}
	}
	return false
}

// GroupInfo is what a group holds.
type GroupInfo struct {
	Name           string
	Streams        int64
	Records, Bytes int64 // Bytes as the records came
	First, Last    int64 // event times, ns
}

// GroupInfos returns what every group holds, by name.
func (s *Store) GroupInfos() ([]GroupInfo, error) {
	snap, err := s.Snapshot(Selection{})
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	// Opening as many segments as there may be takes minutes; the catalog knows
	// the streams of nearly all.
	known := map[string][]string{}
	if err := s.cat.Streams(func(id string, names []string) { known[id] = names }); err != nil {
		return nil, err
	}
	var out []GroupInfo
	streams := map[string]struct{}{}
	for _, p := range snap.Parts() { // by group
		if len(out) == 0 || out[len(out)-1].Name != p.Group() {
			out = append(out, GroupInfo{Name: p.Group(), First: p.FirstTime(), Last: p.LastTime()})
			clear(streams)
		}
		g := &out[len(out)-1]
		g.Records += p.Rows()
		g.Bytes += p.RawBytes()
		g.First, g.Last = min(g.First, p.FirstTime()), max(g.Last, p.LastTime())
		names := known[p.ID()]
		if names == nil {
			if names, err = p.Streams(); err != nil {
				return nil, err
			}
		}
		for _, n := range names {
			streams[n] = struct{}{}
		}
		g.Streams = int64(len(streams))
	}
	return out, nil
}

// sortedStreams reads the names of a segment's streams, as its entry in the catalog has them.
func sortedStreams(r *segment.Reader) ([]string, error) {
	names, err := r.Streams()
	slices.Sort(names)
	return names, err
}
