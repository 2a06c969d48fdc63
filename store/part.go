package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"trailward"
	"trailward/store/segment"
)

// Selection says which parts a snapshot has.
type Selection struct {
	Groups     []string         // exact names, or a prefix followed by *; empty means all
	Kinds      []trailward.Kind // empty means all
	Start, End time.Time        // of event times, inclusive; zero leaves the side open
}

func (sel *Selection) group(name string) bool {
	if len(sel.Groups) == 0 {
		return true
	}
	return slices.ContainsFunc(sel.Groups, func(g string) bool {
		if p, ok := strings.CutSuffix(g, "*"); ok {
			return strings.HasPrefix(name, p)
		}
		return g == name
	})
}

func (sel *Selection) kind(k trailward.Kind) bool {
	return len(sel.Kinds) == 0 || slices.Contains(sel.Kinds, k)
}

func (sel *Selection) span() (first, last int64) {
	first, last = math.MinInt64, math.MaxInt64
	if !sel.Start.IsZero() {
		first = sel.Start.UnixNano()
	}
	if !sel.End.IsZero() {
		last = sel.End.UnixNano()
	}
	return first, last
}

// Snapshot is a frozen view of the records acknowledged before it was taken.
type Snapshot struct {
	store *Store
	parts []Part
	uses  []*use

	mu     sync.Mutex // guards what follows
	images map[*image]bool
	// pinned is the bytes of these, and of those being made; borrowed is what of
	// that is beyond Options.QueryBytes.
	pinned, borrowed int64
}

// Part is one immutable run of records of one group and kind, sorted by event
// time: a segment, or records not yet in one. The methods are safe for
// concurrent use.
type Part interface {
	ID() string
	Group() string
	Kind() trailward.Kind
	Rows() int64
	RawBytes() int64 // of the records as they came
	// Streams returns the names of the streams that occur.
	Streams() ([]string, error)
	// FirstTime and LastTime bound the event times, in nanoseconds.
	FirstTime() int64
	LastTime() int64
	// Fields are the Parquet columns, internal ones (@shape, @raw) included.
	Fields() []segment.Field
	// Records puts records together: see [segment.Reader.Records].
	Records(rows []int64, fn func(row int64, r *trailward.Record) error) error
}

// Snapshot takes a snapshot. Close it soon: it keeps memory files open.
func (s *Store) Snapshot(sel Selection) (*Snapshot, error) {
	snap, err := s.snapshot(sel)
	if err != nil {
		return nil, err
	}
	// Not under the lock: there may be very many.
	slices.SortFunc(snap.parts, func(a, b Part) int {
		if c := strings.Compare(a.Group(), b.Group()); c != 0 {
			return c
		}
		if a.FirstTime() != b.FirstTime() {
			if a.FirstTime() < b.FirstTime() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID(), b.ID())
	})
	return snap, nil
}

// snapshot is Snapshot; the parts come in no order.
func (s *Store) snapshot(sel Selection) (*Snapshot, error) {
	first, last := sel.span()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	snap := &Snapshot{store: s}
	s.each(&sel, func(g *group) {
		for _, p := range g.within(first, last) {
			if sel.kind(p.info.Kind) {
				u := &use{sealed: p.hold()}
				snap.uses = append(snap.uses, u)
				snap.parts = append(snap.parts, u)
			}
		}
	})
	mem := func(p *memPart) {
		if sel.group(p.b.Group) && sel.kind(p.b.Kind) && p.first <= last && p.last >= first {
			snap.parts = append(snap.parts, p)
		}
	}
	for _, p := range s.sealing {
		mem(p)
	}
	for k, h := range s.heads {
		if sel.group(k.group) && sel.kind(k.kind) {
			s.freeze(k, h)
			for _, p := range h.frozen {
				mem(p)
			}
		}
	}
	return snap, nil
}

// each calls fn with the groups of a selection. s.mu is held.
func (s *Store) each(sel *Selection, fn func(*group)) {
	if len(sel.Groups) > 0 && !slices.ContainsFunc(sel.Groups, func(g string) bool { return strings.HasSuffix(g, "*") }) {
		for i, name := range sel.Groups {
			if g := s.groups[name]; g != nil && !slices.Contains(sel.Groups[:i], name) {
				fn(g)
			}
		}
		return
	}
	for name, g := range s.groups {
		if sel.group(name) {
			fn(g)
		}
	}
}

// Parts returns the snapshot's parts, by group and first event time.
func (s *Snapshot) Parts() []Part { return s.parts }

// Close ends the snapshot; its files' descriptors are no longer to be used.
func (s *Snapshot) Close() error {
	s.mu.Lock()
	for im := range s.images {
		s.store.cache.put(im)
	}
	s.store.cache.borrow(-s.borrowed)
	s.images, s.borrowed = nil, 0
	s.mu.Unlock()
	if len(s.uses) > 0 {
		list := make([]*sealed, len(s.uses))
		for i, u := range s.uses {
			list[i] = u.sealed
		}
		s.store.letGoSegments(list)
	}
	s.uses, s.parts = nil, nil
	return nil
}

// use is a segment in a snapshot.
type use struct {
	*sealed
	mu       sync.Mutex
	searched map[string]*searched // by text
}

func (u *use) ID() string              { return u.info.ID }
func (u *use) Group() string           { return u.info.Group }
func (u *use) Kind() trailward.Kind    { return u.info.Kind }
func (u *use) Rows() int64             { return u.info.Rows }
func (u *use) RawBytes() int64         { return u.info.RawBytes }
func (u *use) FirstTime() int64        { return u.info.FirstTime }
func (u *use) LastTime() int64         { return u.info.LastTime }
func (u *use) Fields() []segment.Field { return u.info.Fields }

func (u *use) inMemory() bool { return false }

func (u *use) withSegment(fn func(*segment.Reader) error) error {
	return u.with(func(r *reading) error { return fn(r.Reader) })
}

func (u *use) Records(rows []int64, fn func(int64, *trailward.Record) error) error {
	return u.with(func(r *reading) error { return r.Records(rows, fn) })
}

func (u *use) Streams() (names []string, err error) {
	err = u.with(func(r *reading) error {
		names, err = r.Streams()
		return err
	})
	return names, err
}

// memPart is records in memory that no longer change. Its segment is made, in
// memory, when a query first asks for it, and goes with the part.
type memPart struct {
	id          string
	b           *segment.Builder
	first, last int64

	once   sync.Once
	err    error
	reader *segment.Reader
}

func newMemPart(b *segment.Builder, c *cache) *memPart {
	var id [8]byte
	rand.Read(id[:])
	p := &memPart{id: "head-" + hex.EncodeToString(id[:]), b: b}
	p.first, p.last = b.TimeRange()
	// Snapshots share the part, and none knows that it is the last.
	runtime.AddCleanup(p, c.forget, p.id)
	return p
}

func (p *memPart) load() error {
	p.once.Do(func() {
		var buf bytes.Buffer
		if _, p.err = p.b.Write(&buf, segment.Options{Fast: true}); p.err != nil {
			return
		}
		b := buf.Bytes()
		p.reader, p.err = segment.Open(bytes.NewReader(b), int64(len(b)))
	})
	return p.err
}

func (p *memPart) ID() string           { return p.id }
func (p *memPart) Group() string        { return p.b.Group }
func (p *memPart) Kind() trailward.Kind { return p.b.Kind }
func (p *memPart) Rows() int64          { return int64(p.b.Rows()) }
func (p *memPart) RawBytes() int64      { return p.b.RawSize() }
func (p *memPart) FirstTime() int64     { return p.first }
func (p *memPart) LastTime() int64      { return p.last }

func (p *memPart) Fields() []segment.Field {
	if p.load() != nil {
		return nil // opening it tells the error
	}
	return p.reader.Meta.Fields
}

func (p *memPart) inMemory() bool { return true }

func (p *memPart) withSegment(fn func(*segment.Reader) error) error {
	if err := p.load(); err != nil {
		return err
	}
	return fn(p.reader)
}

func (p *memPart) Records(rows []int64, fn func(int64, *trailward.Record) error) error {
	if err := p.load(); err != nil {
		return err
	}
	return p.reader.Records(rows, fn)
}

func (p *memPart) Streams() ([]string, error) {
	if err := p.load(); err != nil {
		return nil, err
	}
	return p.reader.Streams()
}

// ErrStop ends Cat early without an error.
var ErrStop = errors.New("stop")
