// Package duck runs SQL on DuckDB: warm instances that can read nothing but the
// files a session hands them, hold no more memory than their share, and are
// never used by two sessions at once.
//
// It gets SQL text of one SELECT and the descriptors of Parquet files in memory
// (memfd), and gives rows. It knows nothing of segments or query languages.
//
// How an instance is locked in. DuckDB fixes the paths that it may read when it
// is opened, so each instance owns a range of descriptor numbers that are not
// open, and its allowed paths are /proc/self/fd/N for these. A session puts
// duplicates of its descriptors onto the numbers and closes them at the end.
// Then external access goes off and the configuration is locked, in that order.
// Statements other than one SELECT are refused before they run, so a session
// leaves nothing behind for the next one. The first lock is query/athena, which
// passes known tables and functions only; this is the second.
//
// The package uses the C API through duckdb-go-bindings and not the
// database/sql driver above it: the driver fetches every result whole before
// the first row, which a bounded memory does not allow.
package duck

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Limits and defaults.
const (
	// DefaultConcurrency is how many sessions run at once.
	DefaultConcurrency = 4
	// DefaultMemory is the bound, in bytes, that all sessions share.
	DefaultMemory = 1 << 30
	// MinMemory is the least share of one session, in bytes.
	MinMemory = 16 << 20
	// MaxFiles is the most files that one session can read, where the limit on
	// open files of the process does not set a lower one.
	MaxFiles = 8192
	// MaxSQL is the longest statement in bytes.
	MaxSQL = 64 << 20

	warmFiles     = 64      // slots of an instance that is opened ahead of need
	maxDescriptor = 1 << 16 // no slot lies above it: the kernel's table grows with the highest number
	minNofile     = 256     // with fewer open files allowed the pool refuses to start
)

// Config says what the pool may use. The zero value is the documented default.
type Config struct {
	Concurrency int   // sessions at once; 0 means DefaultConcurrency
	Memory      int64 // bytes, shared in equal parts; 0 means DefaultMemory
	Threads     int   // of one session; 0 means one for each CPU
	Files       int   // that one session can read; 0, or more than that: MaxFiles, or as many as the limit on open files leaves
	// Functions are further functions that SQL may call.
	Functions []TextFunction
	Lists     []ListFunction
}

// Validate names the field that cannot be used, and what would be right.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.Concurrency < 1 || c.Concurrency > 256 {
		return fmt.Errorf("query concurrency %d: must be 1 to 256", c.Concurrency)
	}
	if share := c.Memory / int64(c.Concurrency); share < MinMemory {
		return fmt.Errorf("query memory of %d bytes for %d queries at once: must be at least %d bytes for each", c.Memory, c.Concurrency, MinMemory)
	}
	if c.Files < 0 {
		return fmt.Errorf("query files %d: must not be negative", c.Files)
	}
	if c.Threads < 1 || c.Threads > 1024 {
		return fmt.Errorf("query threads %d: must be 1 to 1024", c.Threads)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	return c
}

// place is room for one instance: a fixed range of descriptor numbers and a
// share of the memory. An instance in it may have fewer slots than the range;
// one that needs more is opened in its stead.
type place struct {
	base int       // first descriptor number
	inst *instance // nil when none is open; touched only by who holds the place
}

// Pool holds the instances. Its methods may be called at the same time.
type Pool struct {
	cfg      Config
	perPlace int // descriptor numbers in a place
	parser   *parser

	sem chan struct{} // one token for each free place

	waiting atomic.Int64

	mu     sync.Mutex
	free   []*place // as many as sem has tokens, most lately used last
	closed bool
	done   sync.WaitGroup // places that are held
}

// NewPool makes a pool and opens its first instance, so that a system on which
// DuckDB cannot be locked in says so at start.
func NewPool(cfg Config) (*Pool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	base, per, err := reserve(cfg.Concurrency)
	if err != nil {
		return nil, err
	}
	if cfg.Files > 0 {
		per = min(per, cfg.Files)
	}
	p := &Pool{cfg: cfg, perPlace: per, sem: make(chan struct{}, cfg.Concurrency), parser: newParser()}
	for i := range cfg.Concurrency {
		p.free = append(p.free, &place{base: base + i*per})
		p.sem <- struct{}{}
	}
	last := p.free[len(p.free)-1]
	if last.inst, err = openInstance(last.base, min(warmFiles, per), cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// reserve chooses the descriptor numbers for n places: the upper half of what
// the process may open, so that what other code opens (always the lowest free
// number) does not reach them.
func reserve(n int) (base, per int, err error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, 0, fmt.Errorf("read the limit on open files: %w", err)
	}
	top := maxDescriptor
	if lim.Cur < uint64(top) {
		top = int(lim.Cur)
	}
	if top < minNofile || top/2/n < 8 {
		return 0, 0, fmt.Errorf("limit on open files is %d: too low for %d queries at once; raise it (ulimit -n, LimitNOFILE=)", lim.Cur, n)
	}
	per = min(top/2/n, MaxFiles)
	return top - n*per, per, nil
}

// MaxFiles returns how many files one session of this pool can read.
func (p *Pool) MaxFiles() int { return p.perPlace }

// Memory returns the share of one session in bytes.
func (p *Pool) Memory() int64 { return p.cfg.Memory / int64(p.cfg.Concurrency) }

// Load is what a pool is at.
type Load struct {
	Sessions    int // that hold an instance, at most Config.Concurrency
	Waiting     int // for one
	Instances   int // of DuckDB that are open, in use or not
	Descriptors int // of files that idle instances still have, which is 0
}

// Load says what the pool is at.
func (p *Pool) Load() Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := Load{Sessions: p.cfg.Concurrency - len(p.free), Waiting: int(p.waiting.Load())}
	l.Instances = l.Sessions
	for _, pl := range p.free {
		if pl.inst != nil {
			l.Instances++
			for i := range pl.inst.slots {
				if _, err := unix.FcntlInt(uintptr(pl.inst.base+i), unix.F_GETFD, 0); err == nil {
					l.Descriptors++
				}
			}
		}
	}
	return l
}

// ErrClosed says that the pool was closed.
var ErrClosed = errors.New("query engine is closed")

// Acquire waits for a free instance and returns a session on it, which must be
// closed. The instance is the one that suits best for the given number of files;
// it may have room for fewer: see [Session.Widen].
func (p *Pool) Acquire(ctx context.Context, files int) (*Session, error) {
	p.waiting.Add(1)
	select {
	case <-p.sem:
		p.waiting.Add(-1)
	case <-ctx.Done():
		p.waiting.Add(-1)
		return nil, context.Cause(ctx)
	}
	pl, err := p.take(files)
	if err != nil {
		p.sem <- struct{}{} // the next who waits finds the pool closed too
		return nil, err
	}
	if pl.inst == nil {
		pl.inst, err = openInstance(pl.base, slotsFor(min(files, warmFiles), p.perPlace), p.cfg)
		if err != nil {
			p.release(pl)
			return nil, err
		}
	}
	s, err := newSession(p, pl)
	if err != nil {
		pl.inst.close()
		pl.inst = nil
		p.release(pl)
		return nil, err
	}
	return s, nil
}

// slotsFor rounds up, so that the next wider query need not open another.
func slotsFor(files, most int) int {
	n := warmFiles
	for n < files {
		n *= 4
	}
	return min(n, most)
}

// take picks the free place that costs least: an instance that is wide enough,
// the narrowest of these; else an empty place; else one that is too narrow.
func (p *Pool) take(files int) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	best, bestCost := -1, 0
	for i, pl := range p.free {
		var cost int
		switch {
		case pl.inst != nil && pl.inst.slots >= files:
			cost = pl.inst.slots
		case pl.inst == nil:
			cost = MaxFiles + 1
		default:
			cost = MaxFiles + 2
		}
		if best < 0 || cost <= bestCost {
			best, bestCost = i, cost
		}
	}
	pl := p.free[best]
	p.free = append(p.free[:best], p.free[best+1:]...)
	p.done.Add(1)
	return pl, nil
}

// release gives a place back.
func (p *Pool) release(pl *place) {
	p.mu.Lock()
	if p.closed && pl.inst != nil {
		pl.inst.close()
		pl.inst = nil
	}
	p.free = append(p.free, pl)
	p.mu.Unlock()
	p.done.Done()
	p.sem <- struct{}{}
}

// Close closes the idle instances, lets no new session begin and waits until
// the running ones are closed or ctx ends.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for _, pl := range p.free {
			if pl.inst != nil {
				pl.inst.close()
				pl.inst = nil
			}
		}
	}
	p.mu.Unlock()
	p.parser.close()
	all := make(chan struct{})
	go func() { p.done.Wait(); close(all) }()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the query engine with queries still running: %w", context.Cause(ctx))
	}
}
