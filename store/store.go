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
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"trailward"
	"trailward/internal/clock"
	"trailward/internal/vfs"
	"trailward/shape"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/seal"
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
	MaxName           = 512 // bytes of a group's or stream's name
	DefaultSealBytes  = 64 << 20
	DefaultSealAge    = 5 * time.Minute
	DefaultCache      = 256 << 20
	DefaultQueryBytes = 64 << 20
	// maxHeads is how many times SealBytes the head may grow to while it is
	// being sealed, before Append answers ErrOverloaded.
	maxHeads = 3
	// loadBytes is how many bytes of records a Load collects before it seals,
	// and loadMemory how much memory they may take until then; as much again is
	// being sealed meanwhile.
	loadBytes  = 128 << 20
	loadMemory = 80 << 20
	// sealRetry is how long after a failed seal the next is tried.
	sealRetry = 5 * time.Second
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
	// Version is the program's, for the ledger. Empty means "unknown".
	Version string
	// SealBytes and SealAge say when the head is sealed: when it takes about so
	// many bytes of memory, or when its oldest record is so old. 0 means the defaults.
	SealBytes int64
	SealAge   time.Duration
	// ReserveBytes is how much of the disk is kept free: below that no records
	// are taken. 0 means a twentieth of the disk, at most 1 GiB; negative: nothing.
	ReserveBytes int64
	// Space returns the room on the disk. Nil asks the system.
	Space func() (vfs.Space, error)
	// Seen, when set, is given the ledger's checkpoint before anything is
	// written, and proves an extension of one that was seen before. Its error
	// refuses the store.
	Seen func(id ledger.Identity, now ledger.Checkpoint, prove func(before ledger.Checkpoint) ([]ledger.Hash, error)) error
	// NoCompaction leaves segments as they are, but for calls of Compact.
	NoCompaction bool
	// CacheBytes bounds the columns, decrypted and compressed as in segments, that
	// are kept in memory for the query engine while no question reads them, as
	// many bytes of decoded columns beside them, and half as many of segments'
	// filters and meta data. 0 means the default.
	CacheBytes int64
	// QueryBytes is what each question can have of such columns for itself, in
	// bytes. Beyond that it borrows from CacheBytes, of which all questions
	// together get no more than there is; one that would need more ends with a
	// [ColumnsError]. So columns take CacheBytes at most, and QueryBytes for each
	// question that runs. 0 means the default.
	QueryBytes int64
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	opt     Options
	fs      *vfs.Dir
	lock    interface{ Close() error }
	sealer  *seal.Sealer
	key     *seal.StoreKey
	cat     *catalog.Catalog
	wal     *wal.WAL
	ledger  *ledger.Ledger
	cache   *cache
	readers *readers
	columns *columnCache
	log     *slog.Logger
	clock   clock.Clock
	takers  sync.Pool

	// gate is held for reading while an Append is between the WAL and the
	// head, and for writing to take the head away: so a WAL file that is done
	// with holds nothing that the head has yet to get.
	gate   sync.RWMutex
	sealMu sync.Mutex // one seal at a time

	commitMu sync.Mutex // one change of ledger and catalog at a time
	unclear  bool       // what became of the last change; guarded by commitMu

	mu        sync.Mutex
	heads     map[headKey]*head
	headBytes int64     // weight of heads and sealing
	oldest    time.Time // when the head's first record came; zero when it is empty
	sealing   []*memPart
	groups    map[string]*group        // that have records, or had some since the start
	segments  int64                    // in them
	segBytes  int64                    // of those, sealed
	inflight  map[string]chan struct{} // natural keys and batches between check and head
	batches   map[string]catalog.Batch // accepted, not yet in the catalog
	closed    bool
	loads     int   // under way; segments are not merged meanwhile
	failed    error // of the WAL or a commit; stays
	full      bool  // the disk has no room for more records
	spare     int64 // bytes that may be written until it has none, at the last look
	claimed   int64 // bytes of that which are being written

	settings map[string]catalog.Group // of groups for which anything is set
	since    interval                 // the one that is not recorded yet
	changed  map[string]struct{}      // groups that may have segments to merge

	compactMu  sync.Mutex   // one merge at a time
	settingsMu sync.Mutex   // one change of settings, or run of expiry, at a time
	retention  atomic.Int64 // where the retention clock stands
	accepted   atomic.Int64 // when the last batch was

	kick  chan struct{} // the head is due
	merge chan struct{} // segments were added
	stop  context.CancelFunc
	done  sync.WaitGroup // the background

	// step is called at moments after which a crash must not matter; tests use it.
	step func(what string)
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
	if opt.Version == "" {
		opt.Version = "unknown"
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
	if opt.QueryBytes == 0 {
		opt.QueryBytes = DefaultQueryBytes
	}
	if err := makePlace(opt.Dir); err != nil {
		return nil, rep, err
	}
	fsys, err := vfs.OS(opt.Dir)
	if err != nil {
		return nil, rep, err
	}
	s := &Store{
		opt: opt, fs: fsys, log: opt.Logger, clock: opt.Clock, cache: newCache(opt.CacheBytes), columns: newColumnCache(opt.CacheBytes),
		heads: map[headKey]*head{}, groups: map[string]*group{}, inflight: map[string]chan struct{}{},
		batches: map[string]catalog.Batch{}, kick: make(chan struct{}, 1),
		changed: map[string]struct{}{}, settings: map[string]catalog.Group{}, merge: make(chan struct{}, 1), step: func(string) {},
	}
	s.readers = newReaders(s, DefaultOpenSegments, opt.CacheBytes/2)
	s.takers.New = func() any { t := opt.Format.Taker(); return &t }
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.lock, err = fsys.Lock(lockName); err != nil {
		return nil, rep, err
	}
	s.sealer = seal.New(opt.Provider)
	if s.key, err = openStoreKey(fsys, opt.Provider); err != nil {
		return nil, rep, err
	}
	if err := vfs.MakeDir(fsys, segmentDir, 0o700); err != nil {
		return nil, rep, err
	}
	if err := s.openCatalog(); err != nil {
		return nil, rep, err
	}
	if err := s.loadSettings(); err != nil {
		return nil, rep, err
	}
	if err := s.loadSegments(); err != nil {
		return nil, rep, err
	}
	through, err := s.cat.WALThrough()
	if err != nil {
		return nil, rep, err
	}
	if s.wal, err = wal.Open(ctx, wal.Options{FS: fsys, Dir: walDir, Sealer: s.sealer, MaxFileBytes: opt.SealBytes, After: wal.Position{File: through}}); err != nil {
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
		s.wasAccepted(e.arrival)
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
	events := []ledger.Event{ledger.Started{Version: opt.Version}}
	for _, d := range rep.Damaged {
		events = append(events, ledger.Damage{What: "wal", Place: d.File})
	}
	if err := s.commit(catalog.Change{}, events, nil); err != nil {
		return nil, rep, err
	}
	s.remember()
	s.since.from = s.now()
	s.checkSpace()
	bg, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.done.Go(func() { s.background(bg) })
	if !opt.NoCompaction {
		s.done.Go(func() { s.compactor(bg) })
	}
	return s, rep, nil
}

// The names in a data directory, with segmentDir, ledgerDir and lostDir.
const (
	lockName     = "LOCK"
	storeKeyName = "store.key"
	catalogName  = "catalog.db"
	walDir       = "wal"
)

// openStoreKey opens the store key, or makes one in a directory that has no
// store yet.
func openStoreKey(fsys vfs.FS, p seal.Provider) (*seal.StoreKey, error) {
	const name = storeKeyName
	if _, err := fsys.Stat(name); err == nil {
		return seal.OpenStoreKey(fsys, name, p)
	}
	for _, n := range []string{catalogName, segmentDir, walDir, ledgerDir} {
		if _, err := fsys.Stat(n); err == nil {
			return nil, fmt.Errorf("%s is missing although %s is there: put it back from a backup; without it nothing here can be read", name, n)
		}
	}
	return seal.CreateStoreKey(fsys, name, p)
}

// openCatalog opens the catalog and the ledger, which must belong together.
func (s *Store) openCatalog() error {
	if _, err := s.fs.Stat(catalogName); errors.Is(err, fs.ErrNotExist) {
		// An empty one would disown what is there.
		for _, n := range []string{segmentDir, ledgerDir} {
			if list, err := s.fs.ReadDir(n); err == nil && len(list) > 0 {
				return fmt.Errorf("%s is missing although %s is not empty: put it back from a backup, or make it again with `trailward restore --rebuild-catalog`", catalogName, n)
			}
		}
	}
	var err error
	if s.cat, err = catalog.Open(filepath.Join(s.opt.Dir, catalogName), s.key); err != nil {
		return err
	}
	head, err := s.cat.LedgerHead()
	if err != nil {
		return err
	}
	if s.ledger, err = ledger.Open(ledger.Options{FS: s.fs, Dir: ledgerDir, Keys: s.key, Clock: s.clock, Committed: head}); err != nil {
		return err
	}
	if s.opt.Seen != nil {
		now, _ := s.ledger.Checkpoint()
		prove := func(before ledger.Checkpoint) ([]ledger.Hash, error) {
			_, proof, err := s.ledger.ProveExtension(before)
			return proof, err
		}
		if err := s.opt.Seen(s.ledger.Identity(), now, prove); err != nil {
			return err
		}
	}
	if what := s.ledger.Rebuilt(); what != "" {
		s.log.Warn("the ledger: " + what)
	}
	return nil
}

// loadSettings reads what is set for groups, and the retention clock.
func (s *Store) loadSettings() error {
	list, err := s.cat.Groups()
	if err != nil {
		return err
	}
	for _, g := range list {
		s.settings[g.Name] = g
	}
	c, err := s.cat.Clock()
	s.retention.Store(c.Now)
	return err
}

func (s *Store) release() {
	if s.wal != nil {
		s.wal.Close()
	}
	if s.ledger != nil {
		s.ledger.Close()
	}
	if s.cat != nil {
		s.cat.Close()
	}
	s.cache.close()
	s.readers.closeAll()
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
	s.done.Wait()
	err := s.Seal()
	if errors.Is(err, ErrNoSpace) {
		// Nothing is amiss but the disk, and whoever asked for something else
		// must not be told that it failed.
		s.log.Warn("the disk is full: what is not in segments yet stays in the WAL", "error", err)
		err = nil
	}
	if s.now()-s.since.from >= int64(intervalLeast) {
		err = errors.Join(err, s.recordInterval())
	}
	err = errors.Join(err, s.commit(catalog.Change{}, []ledger.Event{ledger.Stopped{}}, nil))
	s.gate.Lock() // no Append is under way any more
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	return err
}

// background seals the head when it is due, and does what is to be done each
// hour and each half day.
func (s *Store) background(ctx context.Context) {
	var retry, expire time.Time // not before
	hour := s.clock.Now().Add(intervalEvery)
	for {
		t := s.clock.NewTimer(spaceEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.kick:
		case <-t.C():
		}
		t.Stop()
		s.checkSpace()
		now := s.clock.Now()
		s.mu.Lock()
		due := s.headBytes >= s.opt.SealBytes || !s.oldest.IsZero() && now.Sub(s.oldest) >= s.opt.SealAge || len(s.heads) > 0 && s.wal.Size() >= 2*s.opt.SealBytes
		s.mu.Unlock()
		if due && !now.Before(retry) {
			if err := s.Seal(); err != nil {
				s.log.Error("seal the head", "error", err)
				retry = now.Add(sealRetry)
			}
		}
		// A clock that went back must not stop these.
		if !now.Before(hour) || hour.Sub(now) > intervalEvery {
			if err := s.recordInterval(); err != nil {
				s.log.Error("record the hour", "error", err)
			}
			hour = now.Add(intervalEvery)
		}
		if !now.Before(expire) || expire.Sub(now) > expireEvery {
			if res, err := s.Expire(); err != nil {
				s.log.Error("delete what is past its retention", "error", err)
			} else if res.Segments > 0 {
				s.log.Info("deleted what is past its retention", "segments", res.Segments, "records", res.Records)
			}
			expire = now.Add(expireEvery)
		}
	}
}

// Ready says why the store cannot take records now; nil: it can. It looks at
// the disk itself, so that it does not wait for the background to do so.
func (s *Store) Ready() error {
	s.mu.Lock()
	closed, failed := s.closed, s.failed
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case failed != nil:
		return failed
	}
	return s.room(0)
}
