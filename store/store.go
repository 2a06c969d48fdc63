// Package store keeps records: Append makes them durable, Snapshot shows them
// to a query, Cat gives them back byte for byte. It is the only way to the data.
//
// A record is first in the WAL and, taken apart, in the head: the records in
// memory that are not yet in a segment. Now and then the head is sealed: it
// becomes segments on disk, one for each group and kind, and the WAL's files
// that held it go. A Load writes segments directly.
//
// Invariants:
//   - Append returns only after its records are synced to disk.
//   - Every acknowledged record is in exactly one part of a snapshot.
//   - A segment is visible only after it is whole, synced and in the catalog;
//     the catalog's transaction that names it also says that the WAL files it
//     came from are done with, so no crash loses or doubles a record.
//   - Nothing on disk is readable without the key.
//
// docs/one-record.md follows a record through it.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"trailward"
	"trailward/internal/clock"
	"trailward/internal/vfs"
	"trailward/shape"
	"trailward/store/catalog"
	"trailward/store/seal"
	"trailward/store/segment"
	"trailward/store/wal"
)

// What an Append can come back with. Any other error is a failed disk.
var (
	// ErrBatchConflict: a batch of this id was accepted with another body. The
	// sender must choose another id.
	ErrBatchConflict = errors.New("a batch with this id and another body was accepted before")
	// ErrOverloaded: records come faster than they can be sealed. Try again later.
	ErrOverloaded = errors.New("the store is overloaded: try again later")
	// ErrNoSpace: the disk is full. Try again when there is room.
	ErrNoSpace = errors.New("the disk is full: make room, then try again")
	// ErrClosed: the store is closed or has failed.
	ErrClosed = errors.New("the store is closed")
)

// Limits and defaults.
const (
	MaxName          = 512 // bytes of a group's or stream's name
	DefaultSealBytes = 64 << 20
	DefaultSealAge   = 5 * time.Minute
	DefaultCache     = 256 << 20
	// maxHeads is how many times SealBytes the head may grow to while it is
	// being sealed, before Append answers ErrOverloaded.
	maxHeads = 4
	// loadBytes is how many bytes of records a Load collects before it seals,
	// and loadMemory how much memory they may take until then; as much again is
	// being sealed meanwhile.
	loadBytes  = 128 << 20
	loadMemory = 112 << 20
	// batchMemory is how long a batch's id is remembered at least.
	batchMemory = 7 * 24 * time.Hour
)

// Format is what the store must know of what records mean. The package intake
// and format have it; cmd hands it over.
type Format struct {
	// Taker returns a func that takes records apart, for one goroutine.
	Taker func() func(*trailward.Record) shape.Taken
	// Opaque is as for shape.NewTaker.
	Opaque func(path string) bool
	// KeyPaths are the fields that make a kind's natural key.
	KeyPaths func(trailward.Kind) []string
	// Content returns the bytes that decide whether two records of one natural
	// key are the same.
	Content func(kind trailward.Kind, raw []byte) []byte
}

// Options say where a store is and how it works.
type Options struct {
	Dir      string // the data directory; it is made if need be
	Provider seal.Provider
	Format   Format
	Clock    clock.Clock  // nil: the system's
	Logger   *slog.Logger // nil: none
	// SealBytes and SealAge say when the head is sealed: at so many bytes of
	// records, or when its oldest record is so old. 0 means the defaults.
	SealBytes int64
	SealAge   time.Duration
	// CacheBytes bounds the decrypted columns kept in memory. 0 means the default.
	CacheBytes int64
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	opt    Options
	fs     *vfs.Dir
	lock   interface{ Close() error }
	sealer *seal.Sealer
	key    *seal.StoreKey
	cat    *catalog.Catalog
	wal    *wal.WAL
	cache  *cache
	log    *slog.Logger
	clock  clock.Clock
	takers sync.Pool

	// gate is held for reading while an Append is between the WAL and the
	// head, and for writing to take the head away: so a WAL file that is done
	// with holds nothing that the head has yet to get.
	gate   sync.RWMutex
	sealMu sync.Mutex // one seal at a time

	mu        sync.Mutex
	heads     map[headKey]*head
	headBytes int64     // raw bytes in heads and in sealing
	oldest    time.Time // when the head's first record came; zero when it is empty
	sealing   []*memPart
	segments  map[string]*groupSegments // by group
	inflight  map[string]chan struct{}  // natural keys and batches between check and head
	batches   map[string]catalog.Batch  // accepted, not yet in the catalog
	names     map[string]struct{}       // groups
	closed    bool
	failed    error // of the WAL; stays

	kick chan struct{}
	stop context.CancelFunc
	done chan struct{}
}

type headKey struct {
	group string
	kind  trailward.Kind
}

// Replayed says what Open found in the WAL.
type Replayed = wal.Report

// Open opens the store in opt.Dir, or makes it, and brings back what the WAL
// holds. A directory that another process has open gives vfs.ErrLocked.
func Open(ctx context.Context, opt Options) (*Store, Replayed, error) {
	s, rep, err := open(ctx, opt)
	if err != nil {
		return nil, rep, fmt.Errorf("open data directory %s: %w", opt.Dir, err)
	}
	return s, rep, nil
}

func open(ctx context.Context, opt Options) (_ *Store, rep Replayed, err error) {
	if opt.Clock == nil {
		opt.Clock = clock.System
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.SealBytes == 0 {
		opt.SealBytes = DefaultSealBytes
	}
	if opt.SealAge == 0 {
		opt.SealAge = DefaultSealAge
	}
	if opt.CacheBytes == 0 {
		opt.CacheBytes = DefaultCache
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, rep, err
	}
	fsys, err := vfs.OS(opt.Dir)
	if err != nil {
		return nil, rep, err
	}
	s := &Store{
		opt: opt, fs: fsys, log: opt.Logger, clock: opt.Clock, cache: newCache(opt.CacheBytes),
		heads: map[headKey]*head{}, segments: map[string]*groupSegments{}, inflight: map[string]chan struct{}{},
		batches: map[string]catalog.Batch{}, names: map[string]struct{}{}, kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.takers.New = func() any { t := opt.Format.Taker(); return &t }
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.lock, err = fsys.Lock("LOCK"); err != nil {
		return nil, rep, err
	}
	s.sealer = seal.New(opt.Provider)
	if s.key, err = openStoreKey(fsys, opt.Provider); err != nil {
		return nil, rep, err
	}
	if err := vfs.MakeDir(fsys, segmentDir, 0o700); err != nil {
		return nil, rep, err
	}
	if s.cat, err = catalog.Open(filepath.Join(opt.Dir, "catalog.db"), s.key); err != nil {
		return nil, rep, err
	}
	if err := s.loadSegments(); err != nil {
		return nil, rep, err
	}
	through, err := s.cat.WALThrough()
	if err != nil {
		return nil, rep, err
	}
	if s.wal, err = wal.Open(ctx, wal.Options{FS: fsys, Dir: "wal", Sealer: s.sealer, MaxFileBytes: opt.SealBytes, After: wal.Position{File: through}}); err != nil {
		return nil, rep, err
	}
	take := opt.Format.Taker()
	rep, err = s.wal.Replay(func(pos wal.Position, b []byte) error {
		if pos.File <= through {
			return nil // already in segments; a crash kept the file from going
		}
		e, err := decodeEntry(b)
		if err != nil {
			return fmt.Errorf("entry %d in WAL file %d: %w", pos.Sequence, pos.File, err)
		}
		for i := range e.records {
			s.addToHead(&e.records[i], take(&e.records[i]))
		}
		if len(e.batchKey) > 0 {
			// The entry is the WAL's again after this call.
			s.batches[string(e.batchKey)] = catalog.Batch{Key: bytes.Clone(e.batchKey), Body: e.body, Records: e.total, Accepted: e.arrival}
		}
		return nil
	})
	if err != nil {
		return nil, rep, err
	}
	if err := s.wal.Remove(through); err != nil {
		return nil, rep, err
	}
	bg, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.background(bg)
	return s, rep, nil
}

// openStoreKey opens the store key, or makes one in a directory that has no
// store yet.
func openStoreKey(fsys vfs.FS, p seal.Provider) (*seal.StoreKey, error) {
	const name = "store.key"
	if _, err := fsys.Stat(name); err == nil {
		return seal.OpenStoreKey(fsys, name, p)
	}
	for _, n := range []string{"catalog.db", segmentDir, "wal"} {
		if _, err := fsys.Stat(n); err == nil {
			return nil, fmt.Errorf("%s is missing although %s is there: put it back from a backup; without it nothing here can be read", name, n)
		}
	}
	return seal.CreateStoreKey(fsys, name, p)
}

func (s *Store) release() {
	if s.wal != nil {
		s.wal.Close()
	}
	if s.cat != nil {
		s.cat.Close()
	}
	s.cache.close()
	for _, g := range s.segments {
		for _, p := range g.list {
			p.close()
		}
	}
	if s.lock != nil {
		s.lock.Close()
	}
	s.fs.Close()
}

// Close seals the head, so that the next start is quick, and closes the store.
// Records are safe even if sealing fails: they are in the WAL.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	<-s.done
	err := s.Seal()
	s.gate.Lock() // no Append is under way any more
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	return err
}

// CheckName reports what is wrong with the name of a group or stream. Names
// never become paths, so nothing but length and controls is refused.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s name is empty", what)
	case len(name) > MaxName:
		return fmt.Errorf("%s name has %d bytes, the limit is %d", what, len(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s name is not UTF-8", what)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s name has a control character", what)
	}
	return nil
}

// Batch is what one Append adds.
type Batch struct {
	Group   string
	Records []trailward.Record // their bytes are the caller's again when Append returns
	// ID makes sending the batch again safe: with Principal, Group and Stream
	// it names the batch, and Body is the hash of what was sent.
	ID, Principal, Stream string
	Body                  [32]byte
}

func (b *Batch) key() []byte {
	if b.ID == "" {
		return nil
	}
	var k []byte
	for _, p := range []string{b.Principal, b.Group, b.Stream, b.ID} {
		k = putString(k, p)
	}
	return k
}

// Result says what became of the records of a batch or load.
type Result struct {
	Records    int64 // new ones
	Bytes      int64 // of the new ones
	Duplicates int64 // stored before
	Conflicts  int64 // new ones whose natural key was known, with other content
	Kinds      map[trailward.Kind]int64
}

func (r *Result) add(rec *trailward.Record, conflict bool) {
	r.Records++
	r.Bytes += int64(len(rec.Raw))
	if conflict {
		r.Conflicts++
	}
	if r.Kinds == nil {
		r.Kinds = map[trailward.Kind]int64{}
	}
	r.Kinds[rec.Kind]++
}

// Append stores a batch. When it returns without an error the records are
// durable; with one, they may or may not be, and sending the batch again with
// its id is safe.
func (s *Store) Append(ctx context.Context, b *Batch) (Result, error) {
	var res Result
	if err := CheckName("group", b.Group); err != nil {
		return res, err
	}
	taker := s.takers.Get().(*func(*trailward.Record) shape.Taken)
	defer s.takers.Put(taker)
	taken := takeAll(b.Records, *taker)

	s.gate.RLock()
	defer s.gate.RUnlock()
	e := &entry{group: b.Group, batchKey: b.key(), body: b.Body, total: int64(len(b.Records)), arrival: s.clock.Now().UnixNano()}
	fresh, held, err := s.admit(ctx, b, e, taken, &res)
	defer s.letGo(held)
	if err != nil {
		return Result{}, err
	}
	if fresh == nil {
		// Sent before. It was in the head, and thus durable, before it was seen.
		return res, nil
	}
	if len(fresh) > 0 || len(e.batchKey) > 0 {
		for _, i := range fresh {
			b.Records[i].Group, b.Records[i].Arrival = b.Group, e.arrival
			e.records = append(e.records, b.Records[i])
		}
		if _, err := s.wal.Append(ctx, e.encode(nil)); err != nil {
			if errors.Is(err, wal.ErrFailed) {
				s.mu.Lock()
				s.failed = err
				s.mu.Unlock()
			}
			return Result{}, walError(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range fresh {
		s.addToHead(&b.Records[i], taken[i])
	}
	if len(e.batchKey) > 0 {
		s.batches[string(e.batchKey)] = catalog.Batch{Key: e.batchKey, Body: e.body, Records: e.total, Accepted: e.arrival}
	}
	if s.headBytes >= s.opt.SealBytes {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	return res, nil
}

func walError(err error) error {
	switch {
	case errors.Is(err, wal.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, wal.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// takeAll takes records apart and keeps what the taker would reuse.
func takeAll(recs []trailward.Record, take func(*trailward.Record) shape.Taken) []shape.Taken {
	out := make([]shape.Taken, len(recs))
	var headers [][]byte
	var arena []byte
	for i := range recs {
		t := take(&recs[i])
		if cap(headers)-len(headers) < len(t.Values) {
			headers = make([][]byte, 0, max(1024, len(t.Values)))
		}
		at := len(headers)
		for _, v := range t.Values {
			if cap(arena)-len(arena) < len(v) {
				arena = make([]byte, 0, max(64<<10, len(v)))
			}
			from := len(arena)
			arena = append(arena, v...)
			headers = append(headers, arena[from:len(arena):len(arena)])
		}
		out[i] = shape.Taken{Shape: t.Shape, Values: headers[at:len(headers):len(headers)]}
	}
	return out
}

// admit decides which records of a batch are new. It returns their numbers,
// nil when the whole batch was sent before, and the keys that it holds against
// others until letGo. It waits for others that hold the same keys.
func (s *Store) admit(ctx context.Context, b *Batch, e *entry, taken []shape.Taken, res *Result) (fresh []int, held map[string]chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held = map[string]chan struct{}{}
	// Whoever meets a key that another holds gives up all that it holds, waits
	// and begins anew, so that two batches cannot wait for each other.
	for {
		*res = Result{}
		fresh = fresh[:0:0]
		if s.closed {
			return nil, held, ErrClosed
		}
		if s.headBytes > maxHeads*s.opt.SealBytes {
			return nil, held, ErrOverloaded
		}
		var wait chan struct{}
		hold := func(k string) bool {
			if held[k] != nil {
				return true
			}
			if wait = s.inflight[k]; wait != nil {
				return false
			}
			held[k] = make(chan struct{})
			s.inflight[k] = held[k]
			return true
		}
		ok := true
		if len(e.batchKey) > 0 {
			if ok = hold("b" + string(e.batchKey)); ok {
				old, known := s.batches[string(e.batchKey)]
				if !known {
					if old, known, err = s.cat.Batch(e.batchKey); err != nil {
						return nil, held, err
					}
				}
				if known {
					if old.Body != e.body {
						return nil, held, ErrBatchConflict
					}
					res.Duplicates = int64(len(b.Records))
					return nil, held, nil
				}
			}
		}
		fresh = make([]int, 0, len(b.Records))
		mine := map[string][]int{} // the batch's own new records by natural key, to find doubles within it
		for i := 0; ok && i < len(b.Records); i++ {
			r := &b.Records[i]
			keyPaths := s.opt.Format.KeyPaths(r.Kind)
			if len(keyPaths) == 0 {
				fresh = append(fresh, i)
				res.add(r, false)
				continue
			}
			k, keyed := segment.KeyOf(keyPaths, taken[i])
			if !keyed {
				fresh = append(fresh, i)
				res.add(r, false)
				continue
			}
			k = "k" + string(r.Kind) + "\x00" + b.Group + "\x00" + k
			if ok = hold(k); !ok {
				break
			}
			key, content, err := s.same(b.Group, r, taken[i])
			if err != nil {
				return nil, held, err
			}
			for _, j := range mine[k] {
				key, content = true, content || s.sameContent(r)(b.Records[j].Raw)
			}
			if content {
				res.Duplicates++
				continue
			}
			mine[k] = append(mine[k], i)
			fresh = append(fresh, i)
			res.add(r, key)
		}
		if ok {
			return fresh, held, nil
		}
		s.letGoLocked(held)
		s.mu.Unlock()
		select {
		case <-wait:
			s.mu.Lock()
		case <-ctx.Done():
			s.mu.Lock()
			return nil, held, ctx.Err()
		}
	}
}

func (s *Store) letGo(held map[string]chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGoLocked(held)
}

func (s *Store) letGoLocked(held map[string]chan struct{}) {
	for k, ch := range held {
		close(ch)
		delete(s.inflight, k)
	}
	clear(held)
}

// sameContent returns what compares a stored record of r's key with r.
func (s *Store) sameContent(r *trailward.Record) func(raw []byte) bool {
	want := s.opt.Format.Content(r.Kind, r.Raw)
	return func(raw []byte) bool { return string(s.opt.Format.Content(r.Kind, raw)) == string(want) }
}

// same reports whether a record of r's natural key is stored in the group, and
// whether one of those has r's content. s.mu is held.
func (s *Store) same(group string, r *trailward.Record, t shape.Taken) (key, content bool, err error) {
	same := s.sameContent(r)
	seen := func(k, c bool) bool {
		key = key || k
		content = c
		return c
	}
	if h := s.heads[headKey{group, r.Kind}]; h != nil {
		if seen(h.active.Same(t, same)) {
			return
		}
		for _, p := range h.frozen {
			if seen(p.b.Same(t, same)) {
				return
			}
		}
	}
	for _, p := range s.sealing {
		if p.b.Group == group && p.b.Kind == r.Kind && seen(p.b.Same(t, same)) {
			return
		}
	}
	for _, p := range s.segments[group].at(r.Time) {
		if p.info.Kind != r.Kind {
			continue
		}
		rd, err := p.open()
		if err != nil {
			return key, false, err
		}
		k, c, err := rd.Same(t, same)
		if err != nil {
			return key, false, fmt.Errorf("segment %s: %w", p.info.ID, err)
		}
		if seen(k, c) {
			return key, true, nil
		}
	}
	return key, false, nil
}

// background seals the head when it is due.
func (s *Store) background(ctx context.Context) {
	defer close(s.done)
	for {
		t := s.clock.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.kick:
		case <-t.C():
		}
		t.Stop()
		s.mu.Lock()
		due := s.headBytes >= s.opt.SealBytes || !s.oldest.IsZero() && s.clock.Now().Sub(s.oldest) >= s.opt.SealAge || len(s.heads) > 0 && s.wal.Size() >= 2*s.opt.SealBytes
		s.mu.Unlock()
		if due {
			if err := s.Seal(); err != nil {
				s.log.Error("seal the head", "error", err)
			}
		}
	}
}

// Groups returns the names of all groups, sorted.
func (s *Store) Groups() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.names))
	for n := range s.names {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
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
		names, err := p.Streams()
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			streams[n] = struct{}{}
		}
		g.Streams = int64(len(streams))
	}
	return out, nil
}

// Ready says why the store cannot take records now; nil: it can.
func (s *Store) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.failed
}
