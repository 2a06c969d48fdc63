package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"trailward"
	"trailward/api"
	"trailward/api/live"
	"trailward/format"
	"trailward/intake"
	"trailward/internal/vfs"
	"trailward/query"
	"trailward/query/duck"
	"trailward/shape"
	"trailward/store"
	"trailward/store/seal"
)

const (
	// keyName is the key file's name in the data directory, where it lies when
	// nothing else is said.
	keyName = "trailward.key"
	// engineDrain is how long running queries may take to end when the data
	// directory is closed.
	engineDrain = 10 * time.Second
)

// local is a data directory that this process has open: the store, intake
// before it and the query engine over it. It is a backend for commands, and
// what a server serves. It is safe for concurrent use.
type local struct {
	loc       location
	store     *store.Store
	remembers bool                // the ledger's checkpoint, at the end
	preparers sync.Pool           // of *intake.Preparer
	storing   *semaphore.Weighted // bytes of the batches that are being stored
	// tails is where stored records go to live tails. A server sets it before
	// the first record comes; nil: there are none.
	tails *live.Hub

	keys      *seal.Keys
	keysMutex sync.Mutex // guards keys, which a rotation replaces

	// lookups are the tables of the query command of that name.
	lookups func() (localTables, error)
	// queries is how many questions the engine runs at once; 0 means its own
	// default. A server sets it before the first question.
	queries int
	// The engine is made with the first question: loading files needs none.
	engine      func() (*query.Engine, error)
	engineUsed  bool
	engineMutex sync.Mutex // guards engineUsed
}

// openLocal opens the data directory. With create, it is made when it is not
// there, with its key file. It is refused while another process has it open.
func openLocal(ctx context.Context, loc location, create bool, log *slog.Logger) (*local, error) {
	exists, err := isStore(loc.data)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if !exists {
		if !create {
			return nil, noStore(loc)
		}
		if err := os.MkdirAll(loc.data, 0o700); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
	}
	keys, err := openKeys(loc, !exists, log)
	if err != nil {
		return nil, err
	}
	l := &local{loc: loc, keys: keys, storing: semaphore.NewWeighted(storingBytes())}
	room := memoryBudget()
	st, replayed, err := store.Open(ctx, store.Options{
		Dir: loc.data, Provider: keys, Format: recordFormat(), Logger: log, Version: buildVersion(), Seen: l.seen(log),
		SealBytes: room.sealBytes, CacheBytes: room.cache, QueryBytes: room.columns,
	})
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another process: if that is a server, ask it with --server URL, else wait for its end", loc.data)
	}
	if err != nil {
		return nil, err
	}
	if replayed.TornBytes > 0 {
		log.Warn("the WAL ended in a half-written entry, which was never acknowledged; it is cut off", slog.Int64("bytes", replayed.TornBytes))
	}
	for _, d := range replayed.Damaged {
		log.Error("the WAL is damaged; its other entries are recovered", slog.String("where", d.String()))
	}
	l.store = st
	l.preparers.New = func() any { return intake.NewPreparer() }
	l.lookups = sync.OnceValues(func() (localTables, error) {
		t, err := lookupTables(loc, l.provider())
		return localTables{t}, err
	})
	l.engine = sync.OnceValues(func() (*query.Engine, error) {
		tables, err := l.lookups()
		if err != nil {
			return nil, err
		}
		return query.New(query.Options{Snapshot: query.Stored(l.store), Groups: l.store, Lookup: tables.Lookup, Pool: duck.Config{Concurrency: l.queries, Memory: room.queries}})
	})
	return l, nil
}

// noStore says that a data directory is none.
func noStore(loc location) error {
	return fmt.Errorf("there is no store in %s: name one with --data DIR or --server URL, or make one with `trailward ingest`", loc.data)
}

// isStore reports whether there is a store in dir: a folder that holds no more
// than our key and tokens is none yet.
func isStore(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, "store.key"))
	if errors.Is(err, fs.ErrNotExist) {
		if segments, _ := filepath.Glob(filepath.Join(dir, "segments", "*", "*.seg")); len(segments) > 0 {
			return false, fmt.Errorf("%s has %d segments, but its key store.key is gone, without which nothing in it can be read: put it back from a backup (it is not the key file, which opens it)", dir, len(segments))
		}
		return false, nil
	}
	return err == nil, err
}

// openKeys opens the key-encryption keys: those in the environment, else the
// key file, which is made for a new store.
func openKeys(loc location, create bool, log *slog.Logger) (*seal.Keys, error) {
	keys, ok, err := seal.KeysFromEnvironment()
	if ok || err != nil {
		return keys, err
	}
	path := loc.keyPath()
	keys, err = seal.OpenKeyFile(path)
	if create && errors.Is(err, fs.ErrNotExist) {
		if keys, err = seal.CreateKeyFile(path); err == nil && within(loc.data, path) {
			log.Warn("the key file was made beside the data: whoever gets both can read all; keep it elsewhere with --key-file FILE, and keep a copy", slog.String("file", path))
		}
	}
	return keys, err
}

// keyPath is where the key file lies.
func (l location) keyPath() string {
	if l.keyFile != "" {
		return l.keyFile
	}
	return filepath.Join(l.data, keyName)
}

// recordFormat is what the store must know of what records mean.
func recordFormat() store.Format {
	return store.Format{
		Taker: func() func(*trailward.Record) shape.Taken {
			p := intake.NewPreparer()
			return p.Take
		},
		Opaque:   intake.Opaque,
		KeyPaths: format.KeyPaths,
		Content:  format.Content,
	}
}

// storingBytes is how many bytes of records of batches are being stored at once,
// a batch of more all the same. While it is, a batch of short lines takes five
// times its size; more at once than there are processors is no faster for large ones.
func storingBytes() int64 { return int64(max(2, runtime.GOMAXPROCS(0))) * (8 << 20) }

// Accepting says why no batch would be stored now.
func (l *local) Accepting() error {
	if err := l.store.Accepting(); err != nil {
		return apiError(err)
	}
	return nil
}

// IngestBatch stores one batch; nil means that it is durable.
func (l *local) IngestBatch(ctx context.Context, r api.IngestRequest) (api.IngestResult, error) {
	size := 0
	for i := range r.Records {
		size += len(r.Records[i].Raw)
	}
	weight := min(int64(size), storingBytes())
	if err := l.storing.Acquire(ctx, weight); err != nil {
		return api.IngestResult{}, err
	}
	defer l.storing.Release(weight)
	if err := l.Accepting(); err != nil { // others have filled the store meanwhile
		return api.IngestResult{}, err
	}
	p := l.preparers.Get().(*intake.Preparer)
	defer l.preparers.Put(p)
	arrival := time.Now()
	batch := &store.Batch{Group: r.Group, ID: r.BatchID, Principal: r.Principal, Stream: r.Stream, Body: r.BodyHash, Records: make([]trailward.Record, len(r.Records))}
	batch.Taken = store.NewTakenList(len(r.Records), size)
	damaged := map[string]int64{}
	keyed := true
	for i := range r.Records {
		rec, t, reason := prepare(p, r.Records[i], r.Kind, r.Group, r.Stream, arrival)
		batch.Taken.Add(t)
		if reason != "" {
			damaged[reason]++
		}
		rec.Arrival = 0 // the store's to say, of those that are new
		batch.Records[i] = rec
		keyed = keyed && len(format.KeyPaths(rec.Kind)) > 0
	}
	if r.BatchIDMade && keyed {
		batch.ID = ""
	}
	res, err := l.store.Append(ctx, batch)
	if err != nil {
		return api.IngestResult{}, apiError(err)
	}
	l.showTails(batch, res)
	if res.Records == 0 {
		clear(damaged) // it was counted when the records were stored
	}
	return api.IngestResult{Records: res.Records, Bytes: res.Bytes, Duplicates: res.Duplicates, Conflicts: res.Conflicts, Damaged: damaged, Kinds: res.Kinds}, nil
}

// showTails hands the records that a batch added to the live tails. It does not
// wait for them.
func (l *local) showTails(batch *store.Batch, res store.Result) {
	if l.tails == nil || res.Records == 0 {
		return
	}
	added := batch.Records
	if res.Duplicates > 0 {
		added = make([]trailward.Record, 0, res.Records)
		for i := range batch.Records {
			if batch.Records[i].Arrival != 0 {
				added = append(added, batch.Records[i])
			}
		}
	}
	l.tails.Publish(batch.Group, added)
}

// prepare makes a record of what a source framed. bound, if not empty, is the
// kind that it must have. A record that is damaged, or not of the kind that it
// should be, is kept as text, and reason says why.
func prepare(p *intake.Preparer, f trailward.Framed, bound trailward.Kind, group, stream string, arrival time.Time) (rec trailward.Record, t shape.Taken, reason string) {
	switch {
	case f.Damaged != "":
		f.Kind, f.Columns = trailward.KindText, nil
	case f.Kind == "":
		f.Kind = bound
	}
	rec, t, reason = p.Prepare(&f, group, stream, arrival)
	if f.Damaged != "" {
		reason = f.Damaged
	}
	return rec, t, reason
}

// apiError gives an error of the store the sentinel by which the HTTP server
// chooses its answer.
func apiError(err error) error {
	switch {
	case errors.Is(err, store.ErrBatchConflict):
		return fmt.Errorf("%w: %w", api.ErrBatchConflict, err)
	case errors.Is(err, store.ErrOverloaded):
		return fmt.Errorf("%w: %w", api.ErrOverloaded, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	// A full disk, a failed one, a store that is closing.
	return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
}

// useEngine gives the engine, which is made at its first use.
func (l *local) useEngine() (*query.Engine, error) {
	l.engineMutex.Lock()
	l.engineUsed = true
	l.engineMutex.Unlock()
	return l.engine()
}

// Query begins a question.
func (l *local) Query(ctx context.Context, r query.Request) (query.Rows, error) {
	e, err := l.useEngine()
	if err != nil {
		return nil, err
	}
	return e.Query(ctx, r)
}

// Cat calls fn with the records of a group, or of one stream of it.
func (l *local) Cat(ctx context.Context, group, stream string, fn func(raw []byte) error) error {
	if !l.store.HasGroup(group) {
		return fmt.Errorf("%w: no group is named %s: `trailward groups` lists them", api.ErrNotFound, group)
	}
	n := 0
	return l.store.Cat(group, stream, func(r *trailward.Record) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return fn(r.Raw)
	})
}

// Ready says why the store cannot serve now; nil: it can.
func (l *local) Ready(context.Context) error { return l.store.Ready() }

// Close closes the engine and the store; the directory is free for the next
// process.
func (l *local) Close() error {
	if l.tails != nil {
		l.tails.Close()
	}
	l.engineMutex.Lock()
	used := l.engineUsed
	l.engineMutex.Unlock()
	var err error
	if used {
		if e, eerr := l.engine(); eerr == nil {
			ctx, stop := context.WithTimeout(context.Background(), engineDrain)
			defer stop()
			err = e.Close(ctx)
		}
	}
	err = errors.Join(err, l.store.Close())
	return errors.Join(err, l.remember())
}
