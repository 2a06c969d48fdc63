package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"trailward"
	"trailward/internal/vfs"
	"trailward/store/catalog"
	"trailward/store/seal"
	"trailward/store/segment"
)

// Segments lie in segmentDir, in folders named by the last two digits of their
// ids, so that no folder gets too many names.
const (
	segmentDir = "segments"
	segmentExt = ".seg"
	// lostDir takes files among the segments that the catalog names neither as
	// living nor as dead: nothing that the store does explains them. They are
	// never read, only kept.
	lostDir = "lost"
)

func segmentFile(id string) string {
	return path.Join(segmentDir, id[len(id)-2:], id+segmentExt)
}

// validID reports whether id is the name of a segment, as newID makes it.
func validID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == idSize && hex.EncodeToString(b) == id
}

// objectID is the name under which a segment is sealed.
func objectID(id string) string { return "segment/" + id }

// sealed is a segment on disk.
type sealed struct {
	s    *Store
	info catalog.Segment

	opening sync.Mutex
	reading *reading // guarded by readers.mu

	// Guarded by Store.mu.
	uses   int  // by snapshots, look-ups and a compaction
	dead   bool // in the catalog's list of the dead; its file goes with the last use
	busy   bool // being rewritten
	broken bool // found damaged
}

// hold keeps the segment's file from being removed until letGo. s.mu is held.
func (p *sealed) hold() *sealed {
	p.uses++
	return p
}

// letGoSegments ends one use of each. s.mu is not held.
func (s *Store) letGoSegments(list []*sealed) {
	var gone []*sealed
	s.mu.Lock()
	for _, p := range list {
		if p.uses--; p.uses == 0 && p.dead {
			gone = append(gone, p)
		}
	}
	if s.closed {
		gone = nil // the next start removes them
	}
	s.mu.Unlock()
	s.removeFiles(gone)
}

// dismiss takes segments that the catalog says are dead out of sight and
// returns those that nobody uses. s.mu is held.
func (s *Store) dismiss(list []*sealed) (gone []*sealed) {
	groups := map[string]bool{}
	for _, p := range list {
		p.dead = true
		if p.uses == 0 {
			gone = append(gone, p)
		}
		s.segments--
		s.segBytes -= p.info.Size
		groups[p.info.Group] = true
	}
	for g := range groups {
		s.groups[g].remove(func(p *sealed) bool { return p.dead })
	}
	return gone
}

// removeFiles shreds and removes the files of dead segments that nobody uses.
// What it cannot remove, the next start will.
func (s *Store) removeFiles(list []*sealed) {
	if len(list) == 0 {
		return
	}
	ids := make([]string, 0, len(list))
	for _, p := range list {
		s.readers.forget(p)
		s.cache.forget(p.info.ID)
		ids = append(ids, p.info.ID)
	}
	s.step("unused")
	if err := s.bury(ids); err != nil {
		s.log.Warn("the files of dead segments stay until the next start", "error", err)
	}
}

// bury removes the files of dead segments, if they are there, and then lets the
// catalog forget them.
func (s *Store) bury(ids []string) error {
	dirs := map[string]bool{}
	for _, id := range ids {
		if !validID(id) {
			return fmt.Errorf("remove segment: %q is no id", id)
		}
		name := segmentFile(id)
		for _, n := range []string{name, name + vfs.TempSuffix} {
			err := s.shred(n)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = s.fs.Remove(n)
			}
			if err != nil {
				return fmt.Errorf("remove segment %s: %w", id, err)
			}
			dirs[path.Dir(name)] = true
		}
	}
	for d := range dirs {
		if err := s.fs.SyncDir(d); err != nil {
			return fmt.Errorf("remove segments: %w", err)
		}
	}
	return s.cat.Apply(catalog.Change{Forget: ids})
}

// shred overwrites the header of a sealed object, in which its data key is,
// wrapped: what the disk may still have of the rest cannot be opened any more,
// not even with the key file. A file system that copies on write keeps the old
// header for a while; docs/format/data-directory.md says so.
func (s *Store) shred(name string) error {
	f, err := s.fs.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Size() > 0 {
		_, err = f.Write(make([]byte, min(st.Size(), seal.MaxHeaderBytes)))
		if err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}

// newSegmentIDs reserves n ids: until the catalog has the segments, it counts
// them as dead, so that a start after a crash removes what was written of them.
func (s *Store) newSegmentIDs(n int) ([]string, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = newID(s.clock.Now())
	}
	if err := s.cat.Apply(catalog.Change{Reserve: ids}); err != nil {
		return nil, err
	}
	return ids, nil
}

// giveUp removes what was written under reserved ids that are not to be used.
func (s *Store) giveUp(ids []string) {
	if err := s.bury(ids); err != nil {
		s.log.Warn("unfinished segments stay until the next start", "error", err)
	}
}

// written is a segment on disk that the catalog does not have yet.
type written struct {
	*sealed
	meta *segment.Meta
	sum  [sha256.Size]byte // of the file
}

// writeSegment writes b as the segment id, which nothing names yet. wal is the
// number of the WAL file with which its records end, or 0.
func (s *Store) writeSegment(id string, b *segment.Builder, wal uint64) (*written, error) {
	return s.writeObject(id, b.Streams(catalog.MaxStreams), func(w io.Writer) (*segment.Meta, error) { return b.Write(w, segment.Options{WAL: wal}) })
}

// writeObject writes the segment that fill writes, which has records of the given streams.
func (s *Store) writeObject(id string, streams []string, fill func(io.Writer) (*segment.Meta, error)) (_ *written, err error) {
	name := segmentFile(id)
	temp := name + vfs.TempSuffix
	var f vfs.File
	defer func() {
		if err != nil {
			if f != nil {
				f.Close()
				_ = s.fs.Remove(temp) // it goes at the next start, if not now
			}
			if vfs.IsNoSpace(err) {
				err = fmt.Errorf("%w: %w", ErrNoSpace, err)
			}
			err = fmt.Errorf("write segment %s: %w", id, err)
		}
	}()
	if err := vfs.MakeDir(s.fs, path.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if f, err = s.fs.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	out := &hashWriter{w: f, hash: sha256.New()}
	w, err := s.sealer.Create(out, objectID(id))
	if err != nil {
		return nil, err
	}
	m, err := fill(w)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := s.fs.Rename(temp, name); err != nil {
		return nil, err
	}
	if err := s.fs.SyncDir(path.Dir(name)); err != nil {
		return nil, err
	}
	return &written{sealed: &sealed{s: s, info: catalog.Describe(id, out.n, m, streams)}, meta: m, sum: [sha256.Size]byte(out.hash.Sum(nil))}, nil
}

// hashWriter counts and hashes what goes through.
type hashWriter struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func (h *hashWriter) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.hash.Write(p[:n])
	h.n += int64(n)
	return n, err
}

// loadSegments reads the catalog, removes the files of the dead and puts aside
// what the catalog does not name.
func (s *Store) loadSegments() error {
	segs, err := s.cat.Segments()
	if err != nil {
		return err
	}
	living := make(map[string]bool, len(segs)) // by id; true once its file is seen
	for _, c := range segs {
		living[c.ID] = false
		g := s.group(c.Group)
		g.list = append(g.list, &sealed{s: s, info: c})
		s.segments++
		s.segBytes += c.Size
		s.wasAccepted(c.LastArrival)
	}
	for name, g := range s.groups {
		g.sort()
		if len(g.list) > 1 {
			s.changed[name] = struct{}{}
		}
	}
	dirs, err := s.fs.ReadDir(segmentDir)
	if err != nil {
		return err
	}
	var strange []string
	seen := 0
	for _, d := range dirs {
		files, err := s.fs.ReadDir(path.Join(segmentDir, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			name := path.Join(segmentDir, d.Name(), f.Name())
			id, _ := strings.CutSuffix(f.Name(), segmentExt)
			if _, ok := living[id]; ok && name == segmentFile(id) {
				living[id] = true
				seen++
			} else {
				strange = append(strange, name)
			}
		}
	}
	if seen < len(segs) { // before anything is moved
		for id, there := range living {
			if !there {
				return fmt.Errorf("segment file %s is missing (%d in all): put it back from a backup", segmentFile(id), len(segs)-seen)
			}
		}
	}
	dead, err := s.cat.Dead()
	if err != nil {
		return err
	}
	// Nothing that lives is removed, whatever else the catalog says of it.
	dead = slices.DeleteFunc(dead, func(id string) bool { _, ok := living[id]; return ok })
	if len(dead) > 0 {
		if err := s.bury(dead); err != nil {
			return err
		}
		gone := map[string]bool{}
		for _, id := range dead {
			gone[segmentFile(id)], gone[segmentFile(id)+vfs.TempSuffix] = true, true
		}
		strange = slices.DeleteFunc(strange, func(name string) bool { return gone[name] })
	}
	for _, name := range strange {
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

// group is what is known of a group that has records, or had some. There may be
// very many: what is not needed of each is not in it. s.mu guards it.
type group struct {
	groupSegments
	activity
}

// group returns the group of a name, which is made if need be. s.mu is held.
func (s *Store) group(name string) *group {
	g := s.groups[name]
	if g == nil {
		g = &group{}
		s.groups[name] = g
	}
	return g
}

// addSegment makes a segment visible. s.mu is held.
func (s *Store) addSegment(p *sealed) {
	p.info.Streams = nil // the catalog has them, and streams cost no memory by existing
	g := s.group(p.info.Group)
	g.add(p)
	s.segments++
	s.segBytes += p.info.Size
	if len(g.list) == 1 {
		return // nothing to merge it with
	}
	s.changed[p.info.Group] = struct{}{}
	select {
	case s.merge <- struct{}{}:
	default:
	}
}

// groupSegments is the segments of one group by their first event time.
type groupSegments struct {
	list []*sealed
	last []int64 // the latest event time in list[:i+1]
}

// sort puts a list right that was made in no order.
func (g *groupSegments) sort() {
	slices.SortStableFunc(g.list, func(a, b *sealed) int { return cmp.Compare(a.info.FirstTime, b.info.FirstTime) })
	g.list = slices.Clip(g.list)
	g.last = make([]int64, len(g.list))
	g.mend(0)
}

func (g *groupSegments) add(p *sealed) {
	at := sort.Search(len(g.list), func(i int) bool { return g.list[i].info.FirstTime > p.info.FirstTime })
	g.list = slices.Insert(g.list, at, p)
	g.last = append(g.last, 0)
	g.mend(at)
}

// remove takes out the segments for which gone is true.
func (g *groupSegments) remove(gone func(*sealed) bool) {
	g.list = slices.DeleteFunc(g.list, gone)
	g.last = g.last[:len(g.list)]
	if len(g.list) == 0 {
		*g = groupSegments{}
	}
	g.mend(0)
}

// mend makes last right again from a place on.
func (g *groupSegments) mend(from int) {
	for i := from; i < len(g.list); i++ {
		g.last[i] = g.list[i].info.LastTime
		if i > 0 {
			g.last[i] = max(g.last[i], g.last[i-1])
		}
	}
}

// keyed returns the segments in which a record of r's natural key is looked for:
// those whose span holds its time, and those nearest to it that have no more than
// [nearRows] records together; the latest, if r has no time of its own.
func (g *group) keyed(r *trailward.Record) (out []*sealed) {
	if g == nil {
		return nil
	}
	take := func(p *sealed) {
		if p.info.Kind == r.Kind {
			out = append(out, p)
		}
	}
	if r.Untimed {
		for _, p := range g.list[max(0, len(g.list)-lateSegments):] {
			take(p)
		}
		return out
	}
	for _, p := range g.within(r.Time, r.Time) {
		take(p)
	}
	// Outwards from its time, the nearer one first. The list is by first time; that
	// a segment from further left may end nearer does not matter here.
	right := sort.Search(len(g.list), func(i int) bool { return g.list[i].info.FirstTime > r.Time })
	left, room := right-1, int64(nearRows)
	for n := 0; n < nearSegments && (left >= 0 || right < len(g.list)); n++ {
		var p *sealed
		if right == len(g.list) || left >= 0 && r.Time-g.list[left].info.LastTime <= g.list[right].info.FirstTime-r.Time {
			p, left = g.list[left], left-1
			if p.info.LastTime >= r.Time {
				continue // its span holds the time
			}
		} else {
			p, right = g.list[right], right+1
		}
		if room -= p.info.Rows; room < 0 {
			break
		}
		take(p)
	}
	return out
}

// within returns the segments whose span touches first to last.
func (g *groupSegments) within(first, last int64) []*sealed {
	var out []*sealed
	for i := sort.Search(len(g.list), func(i int) bool { return g.list[i].info.FirstTime > last }) - 1; i >= 0 && g.last[i] >= first; i-- {
		if g.list[i].info.LastTime >= first {
			out = append(out, g.list[i])
		}
	}
	slices.Reverse(out)
	return out
}
