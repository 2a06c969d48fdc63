// Package wal keeps entries that were acknowledged but are not yet in a
// segment. It gets entries of bytes; [WAL.Append] returns when the entry is
// durable, and [WAL.Replay] gives back, after any crash, every entry that was
// acknowledged, once, in order, unaltered. An entry whose acknowledgement was
// cut off by the crash comes back once or not at all.
//
// One goroutine writes. Whatever waits when it comes by is written and synced
// together (group commit), so that many writers cost one sync.
//
// The files lie in a directory of their own, which one WAL at a time may use:
// the caller holds the lock of the data directory. They are numbered and never
// written again once closed; docs/format/wal.md describes them. Each is a
// stream of store/seal with a random key of its own, inside internal/journal.
//
// A failed write or sync is final ([ErrFailed]): what the disk then holds is
// unknown, so nothing is acknowledged until a new start has read it. A full disk
// is not ([ErrNoSpace]): the entry was taken back and may be tried again.
package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"trailward/internal/journal"
	"trailward/internal/vfs"
	"trailward/store/seal"
)

const (
	// MaxEntryBytes is the most that one entry may have.
	MaxEntryBytes = 64 << 20
	// DefaultMaxFileBytes is the size at which a new file is begun.
	DefaultMaxFileBytes = 64 << 20
	// DefaultMaxPendingBytes is how many bytes of entries may wait for the
	// disk before [WAL.Start] blocks.
	DefaultMaxPendingBytes = 128 << 20
	// maxWriteBytes ends a group: more waiting entries go into the next write.
	maxWriteBytes = 8 << 20
)

var (
	// ErrFailed says that a write or sync of the WAL failed. It stays: restart
	// the server, after a look at the disk. Whether entries that got this error
	// are durable is open.
	ErrFailed = errors.New("write-ahead log failed, nothing more is accepted: check the disk and restart")
	// ErrNoSpace says that the disk is full. The entry is not in the WAL and
	// will not appear; it may be sent again when there is room.
	ErrNoSpace = errors.New("no space left for the write-ahead log")
	// ErrTooLarge says that an entry has more than [MaxEntryBytes].
	ErrTooLarge = errors.New("entry larger than 64 MiB")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("write-ahead log is closed")
	// ErrNotReplayed says that Replay has not been called yet, or failed.
	ErrNotReplayed = errors.New("write-ahead log is not replayed")
)

// Position is the place of an entry. Both numbers only grow, over all restarts.
type Position struct {
	File     uint64 // number of the file, from 1
	Sequence uint64 // number of the entry, from 1
}

// Options say where a WAL is and how it writes.
type Options struct {
	// FS and Dir are where the files are; the directory is made if need be.
	FS  vfs.FS
	Dir string
	// Sealer encrypts the files.
	Sealer *seal.Sealer
	// After is a position that all new ones must lie behind, for a caller that
	// remembers how far it has come even if all files were taken away.
	After Position
	// MaxFileBytes is the size at which a new file is begun, from 4 KiB; 0
	// means [DefaultMaxFileBytes]. A file may be larger by one write.
	MaxFileBytes int64
	// MaxPendingBytes is how many bytes of entries may wait for the disk, at
	// least [MaxEntryBytes]; 0 means [DefaultMaxPendingBytes].
	MaxPendingBytes int64
}

func (o *Options) setDefaults() error {
	if o.FS == nil || o.Sealer == nil || o.Dir == "" {
		return errors.New("options need FS, Dir and Sealer")
	}
	if o.MaxFileBytes == 0 {
		o.MaxFileBytes = DefaultMaxFileBytes
	}
	if o.MaxFileBytes < 4096 {
		return fmt.Errorf("MaxFileBytes is %d, want at least 4096", o.MaxFileBytes)
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = DefaultMaxPendingBytes
	}
	if o.MaxPendingBytes < MaxEntryBytes {
		return fmt.Errorf("MaxPendingBytes is %d, want at least %d", o.MaxPendingBytes, MaxEntryBytes)
	}
	return nil
}

// WAL is an open write-ahead log. Its methods are safe for concurrent use.
type WAL struct {
	fsys  vfs.FS
	dir   string
	seal  *seal.Sealer
	max   int64
	after Position
	room  *semaphore.Weighted // bytes of waiting entries

	removing sync.Mutex // held by Remove

	mu      sync.Mutex
	wake    sync.Cond // on mu: queue grew, or closed
	state   state
	queue   []*item
	idle    chan struct{}   // closed when the writing goroutine has ended
	files   []file          // closed ones, oldest first
	current file            // the one being written; size as of the last write
	damaged map[uint64]bool // files that Remove must not delete

	// These belong to Replay before the writing goroutine starts, and to that
	// afterwards.
	writer   *journal.Writer // nil if there was no room for a file yet
	number   uint64          // of the writer's file, or the one to begin
	first    uint64          // number of the first frame of that file
	rotateAt int64           // size at which the next rotation is tried
	failed   error           // of a write; stays
}

type state int

const (
	opened state = iota // waiting for Replay
	replaying
	running
	closed
)

type file struct {
	number uint64
	size   int64
}

// Open looks at the directory. [WAL.Replay] must be called next.
func Open(ctx context.Context, o Options) (*WAL, error) {
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	w := &WAL{
		fsys: o.FS, dir: o.Dir, seal: o.Sealer, max: o.MaxFileBytes, after: o.After,
		room:    semaphore.NewWeighted(o.MaxPendingBytes),
		damaged: make(map[uint64]bool),
	}
	w.wake.L = &w.mu
	if err := vfs.MakeDir(w.fsys, w.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	var err error
	if w.files, err = w.list(); err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	return w, nil
}

const (
	fileSuffix = ".wal"
	// quarantineSuffix follows the name of a file that has damage in it when
	// its entries are no longer needed: it is evidence and is not deleted.
	quarantineSuffix = ".damaged"
)

func fileName(number uint64) string { return fmt.Sprintf("%020d", number) + fileSuffix }

func (w *WAL) path(number uint64) string { return path.Join(w.dir, fileName(number)) }

// streamID is the name that a file is sealed under: one file put in the place
// of another does not open.
func streamID(number uint64) string { return "wal/" + strconv.FormatUint(number, 10) }

// fileNumber undoes fileName.
func fileNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, fileSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && fileName(n) == name
}

// list returns the files there are and removes those that were never finished.
func (w *WAL) list() ([]file, error) {
	entries, err := w.fsys.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		name := path.Join(w.dir, e.Name())
		if final, ok := strings.CutSuffix(e.Name(), vfs.TempSuffix); ok {
			if _, ok := fileNumber(final); ok {
				if err := w.fsys.Remove(name); err != nil {
					return nil, err
				}
			}
			continue
		}
		n, ok := fileNumber(e.Name())
		if !ok {
			continue
		}
		info, err := w.fsys.Stat(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{number: n, size: info.Size()})
	}
	sort.Slice(files, func(i, j int) bool { return files[i].number < files[j].number })
	return files, nil
}

// Size returns how many bytes all files have.
func (w *WAL) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := w.current.size
	for _, f := range w.files {
		size += f.size
	}
	return size
}

// Remove deletes the files up to the one numbered through, never the current
// one: the caller has their entries elsewhere, durably. A file in which Replay
// found damage is renamed instead, see [Report.Quarantined]. They go oldest
// first, each durably before the next, so that a crash leaves no gap.
func (w *WAL) Remove(through uint64) error {
	w.removing.Lock()
	defer w.removing.Unlock()
	for {
		w.mu.Lock()
		if w.state != running || len(w.files) == 0 || w.files[0].number > through {
			err := w.stateErr()
			w.mu.Unlock()
			return err
		}
		f := w.files[0]
		damaged := w.damaged[f.number]
		w.mu.Unlock()

		if err := w.removeFile(f.number, damaged); err != nil {
			return fmt.Errorf("remove write-ahead log file: %w", err)
		}

		w.mu.Lock()
		w.files = w.files[1:]
		delete(w.damaged, f.number)
		w.mu.Unlock()
	}
}

// removeFile deletes a closed file, or puts it aside if it is damaged.
func (w *WAL) removeFile(number uint64, damaged bool) error {
	name := w.path(number)
	if damaged {
		if err := w.fsys.Rename(name, name+quarantineSuffix); err != nil {
			return err
		}
	} else if err := w.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return w.fsys.SyncDir(w.dir)
}

// stateErr says why the WAL does not take entries; it needs mu.
func (w *WAL) stateErr() error {
	switch w.state {
	case running:
		return nil
	case closed:
		return ErrClosed
	default:
		return ErrNotReplayed
	}
}
