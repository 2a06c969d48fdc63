package store

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"trailward/internal/vfs"
	"trailward/store/segment"
)

// DefaultOpenSegments is how many segments are kept open at most while nobody
// reads them: an open one takes a descriptor and the memory of its meta data.
const DefaultOpenSegments = 256

// readers keeps segments open between reads. Those in use stay; of the others,
// the one that was used least recently goes first, beyond a number and beyond so
// much memory: their filters are the most of it.
type readers struct {
	s     *Store
	limit int
	most  int64 // bytes of those in idle

	mu    sync.Mutex
	open  int
	bytes int64      // that those in idle take
	idle  *list.List // of *reading, least recently used first
}

func newReaders(s *Store, limit int, most int64) *readers {
	return &readers{s: s, limit: limit, most: most, idle: list.New()}
}

// reading is an open segment.
type reading struct {
	*segment.Reader
	of    *sealed
	file  vfs.File
	plain int64         // bytes of plaintext
	refs  int           // guarded by readers.mu
	el    *list.Element // in idle when refs is 0; guarded by readers.mu
	bytes int64         // that it took when it went to idle; guarded by readers.mu
}

// get returns the open segment p, which put must follow.
func (rs *readers) get(p *sealed) (*reading, error) {
	p.opening.Lock() // so that two do not open it at once
	defer p.opening.Unlock()
	rs.mu.Lock()
	if r := p.reading; r != nil {
		rs.use(r)
		rs.mu.Unlock()
		return r, nil
	}
	rs.mu.Unlock()
	r, err := rs.s.openSegment(p)
	if err != nil {
		return nil, err
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p.reading = r
	r.refs++
	rs.open++
	rs.trim()
	return r, nil
}

func (rs *readers) use(r *reading) {
	r.refs++
	if r.el != nil {
		rs.rouse(r)
	}
}

// rouse takes r out of those that nobody uses.
func (rs *readers) rouse(r *reading) {
	rs.idle.Remove(r.el)
	r.el = nil
	rs.bytes -= r.bytes
}

// put ends one use.
func (rs *readers) put(r *reading) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.refs--; r.refs == 0 {
		r.el = rs.idle.PushBack(r)
		r.bytes = r.Memory()
		rs.bytes += r.bytes
		rs.trim()
	}
}

func (rs *readers) trim() {
	for (rs.open > rs.limit || rs.bytes > rs.most) && rs.idle.Len() > 0 {
		rs.close(rs.idle.Front().Value.(*reading))
	}
}

func (rs *readers) close(r *reading) {
	rs.rouse(r)
	r.of.reading = nil
	r.file.Close()
	rs.open--
}

// forget closes p, which nobody uses any more.
func (rs *readers) forget(p *sealed) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if p.reading != nil && p.reading.refs == 0 {
		rs.close(p.reading)
	}
}

// closeAll closes all, those in use as soon as they no longer are.
func (rs *readers) closeAll() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.limit = 0 // those in use go with their last put
	rs.trim()
}

// with calls fn with the open segment.
func (p *sealed) with(fn func(*reading) error) error {
	r, err := p.s.readers.get(p)
	if err != nil {
		return err
	}
	defer p.s.readers.put(r)
	return fn(r)
}

// openSegment opens the segment's file and checks that it is the one that the
// catalog describes.
func (s *Store) openSegment(p *sealed) (_ *reading, err error) {
	f, err := s.fs.OpenFile(segmentFile(p.info.ID), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w: put it back from a backup", segment.ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", p.info.ID, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("open segment %s: %w", p.info.ID, err)
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() != p.info.Size {
		return nil, fmt.Errorf("%w: it has %d bytes, the catalog says %d", segment.ErrDamaged, st.Size(), p.info.Size)
	}
	plain, err := s.sealer.Open(f, st.Size(), objectID(p.info.ID))
	if err != nil {
		return nil, err
	}
	r, err := segment.Open(plain, plain.Size())
	if err != nil {
		return nil, err
	}
	if r.Meta.Rows != p.info.Rows || r.Meta.Group != p.info.Group || r.Meta.Kind != p.info.Kind {
		return nil, fmt.Errorf("%w: it is not the one that the catalog describes", segment.ErrDamaged)
	}
	return &reading{Reader: r, of: p, file: f, plain: plain.Size()}, nil
}
