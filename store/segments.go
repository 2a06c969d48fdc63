package store

import (
	"fmt"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"trailward/internal/vfs"
	"trailward/store/catalog"
	"trailward/store/segment"
)

// Segments lie in segmentDir, in folders named by the last two digits of their
// ids, so that no folder gets too many names.
const (
	segmentDir = "segments"
	segmentExt = ".seg"
	// lostDir takes segment files that the catalog does not name: a crash came
	// between the file and the catalog, so what they hold is in the WAL still,
	// or a load was not finished. They are never read, only kept.
	lostDir = "lost"
)

func segmentFile(id string) string {
	return path.Join(segmentDir, id[len(id)-2:], id+segmentExt)
}

// objectID is the name under which a segment is sealed.
func objectID(id string) string { return "segment/" + id }

// sealed is a segment on disk.
type sealed struct {
	s    *Store
	info catalog.Segment

	mu     sync.Mutex
	file   vfs.File
	reader *segment.Reader
}

// open opens the segment's file on first use.
func (p *sealed) open() (*segment.Reader, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reader != nil {
		return p.reader, nil
	}
	f, err := p.s.fs.OpenFile(segmentFile(p.info.ID), os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", p.info.ID, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open segment %s: %w", p.info.ID, err)
	}
	plain, err := p.s.sealer.Open(f, st.Size(), objectID(p.info.ID))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open segment %s: %w", p.info.ID, err)
	}
	r, err := segment.Open(plain, plain.Size())
	if err == nil && (r.Meta.Rows != p.info.Rows || r.Meta.Group != p.info.Group || r.Meta.Kind != p.info.Kind) {
		err = segment.ErrDamaged
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open segment %s: %w", p.info.ID, err)
	}
	p.file, p.reader = f, r
	return r, nil
}

func (p *sealed) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		p.file.Close()
		p.file, p.reader = nil, nil
	}
}

// writeSegment writes b as a segment that nothing names yet.
func (s *Store) writeSegment(b *segment.Builder) (_ *sealed, err error) {
	id := newID(s.clock.Now())
	name := segmentFile(id)
	if err := vfs.MakeDir(s.fs, path.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("write segment: %w", err)
	}
	temp := name + vfs.TempSuffix
	f, err := s.fs.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write segment: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = s.fs.Remove(temp) // what is not named is not read; it goes at the next start
			if vfs.IsNoSpace(err) {
				err = fmt.Errorf("%w: %w", ErrNoSpace, err)
			}
		}
	}()
	w, err := s.sealer.Create(f, objectID(id))
	if err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	m, err := b.Write(w, segment.Options{})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	if err := s.fs.Rename(temp, name); err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	if err := s.fs.SyncDir(path.Dir(name)); err != nil {
		return nil, fmt.Errorf("write segment %s: %w", id, err)
	}
	info := catalog.Segment{
		ID: id, Group: m.Group, Kind: m.Kind, Rows: m.Rows, RawBytes: m.RawBytes, Size: st.Size(),
		FirstTime: m.FirstTime, LastTime: m.LastTime, FirstArrival: m.FirstArrival, LastArrival: m.LastArrival,
		Fields: slices.Clone(m.Fields),
	}
	for i := range info.Fields {
		info.Fields[i].Chunks = nil
	}
	return &sealed{s: s, info: info}, nil
}

// loadSegments reads the catalog and puts aside what it does not name.
func (s *Store) loadSegments() error {
	segs, err := s.cat.Segments()
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(segs))
	byGroup := map[string][]*sealed{}
	for _, c := range segs {
		known[segmentFile(c.ID)] = true
		byGroup[c.Group] = append(byGroup[c.Group], &sealed{s: s, info: c})
		s.names[c.Group] = struct{}{}
	}
	for g, list := range byGroup {
		s.segments[g] = newGroupSegments(list)
	}
	dirs, err := s.fs.ReadDir(segmentDir)
	if err != nil {
		return err
	}
	var strange []string
	for _, d := range dirs {
		files, err := s.fs.ReadDir(path.Join(segmentDir, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			name := path.Join(segmentDir, d.Name(), f.Name())
			if known[name] {
				delete(known, name)
			} else {
				strange = append(strange, name)
			}
		}
	}
	for name := range known { // before anything is moved
		return fmt.Errorf("segment file %s is missing (%d in all): put it back from a backup", name, len(known))
	}
	for _, name := range strange {
		if strings.HasSuffix(name, vfs.TempSuffix) {
			if err := s.fs.Remove(name); err != nil {
				return err
			}
			continue
		}
		s.log.Warn("a segment that the catalog does not name is put aside", "file", name, "to", lostDir)
		if err := vfs.MakeDir(s.fs, lostDir, 0o700); err != nil {
			return err
		}
		if err := s.fs.Rename(name, path.Join(lostDir, path.Base(name))); err != nil {
			return err
		}
	}
	return nil
}

// addSegment makes a segment visible. s.mu is held.
func (s *Store) addSegment(p *sealed) {
	g := s.segments[p.info.Group]
	if g == nil {
		g = &groupSegments{}
	}
	s.segments[p.info.Group] = newGroupSegments(append(slices.Clip(g.list), p))
	s.names[p.info.Group] = struct{}{}
}

// groupSegments is the segments of one group by their first event time. It is
// immutable.
type groupSegments struct {
	list []*sealed
	last []int64 // the latest event time in list[:i+1]
}

func newGroupSegments(list []*sealed) *groupSegments {
	sort.SliceStable(list, func(i, j int) bool { return list[i].info.FirstTime < list[j].info.FirstTime })
	g := &groupSegments{list: list, last: make([]int64, len(list))}
	for i, p := range list {
		g.last[i] = p.info.LastTime
		if i > 0 {
			g.last[i] = max(g.last[i], g.last[i-1])
		}
	}
	return g
}

// at returns the segments whose span holds time t.
func (g *groupSegments) at(t int64) []*sealed { return g.within(t, t) }

// within returns the segments whose span touches first to last.
func (g *groupSegments) within(first, last int64) []*sealed {
	if g == nil {
		return nil
	}
	var out []*sealed
	for i := sort.Search(len(g.list), func(i int) bool { return g.list[i].info.FirstTime > last }) - 1; i >= 0 && g.last[i] >= first; i-- {
		if g.list[i].info.LastTime >= first {
			out = append(out, g.list[i])
		}
	}
	slices.Reverse(out)
	return out
}
