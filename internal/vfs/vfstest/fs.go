// Package vfstest has a file system in memory that forgets, at a power cut,
// what was not synced, and fails whichever operation a test chooses.
//
// It is as forgetful as POSIX allows: of bytes written since the last Sync, and
// of files made, renamed or removed since the last SyncDir of their directory,
// a power cut keeps all, none, or any part, by a seed. What a file never
// received may read as zeros or as what some other file once held.
package vfstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"sort"
	"sync"
	"syscall"
	"time"

	"trailward/internal/vfs"
)

// OpKind is what an operation does.
type OpKind string

// The operations, as [FS] counts them. Close is none: it cannot be relied on
// for anything.
const (
	OpOpen     OpKind = "open"
	OpCreate   OpKind = "create" // an open that makes the file
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpSync     OpKind = "sync"
	OpTruncate OpKind = "truncate"
	OpStat     OpKind = "stat"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpMkdir    OpKind = "mkdir"
	OpReadDir  OpKind = "readdir"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
)

// Op is one operation about to happen.
type Op struct {
	N    int // from 1, since the file system was made
	Kind OpKind
	Name string
}

// ErrPowerCut, returned by a test's [Fault], cuts the power: this operation and
// all later ones fail with it, until [FS.Crash].
var ErrPowerCut = errors.New("power cut")

// ErrCrashed is the error of a file or lock from before a crash.
var ErrCrashed = errors.New("file handle from before the crash")

// Fault decides whether an operation fails, and with which error. A failed
// write may have written a part; a failed sync may have lost what it should
// have synced for good, while reads still show it; a failed change of a name
// may have happened. It must not call the file system.
type Fault func(Op) error

// FS is the file system in memory. Its methods are safe for concurrent use.
type FS struct {
	mu     sync.Mutex
	rng    *rand.Rand
	names  map[string]*inode // as programs see them; "." is the root
	stable map[string]*inode // as they are on the disk
	moves  []nameChange      // that lead from stable to names, oldest first
	stale  []byte            // bytes that files once held
	locks  map[string]bool
	fault  Fault
	ops    int
	epoch  int // counts crashes; a handle from another one is dead
	dark   bool
}

var _ vfs.FS = (*FS)(nil)

type inode struct {
	dir     bool
	mode    fs.FileMode
	data    []byte // as programs see it
	stable  []byte // as it is on the disk
	changes []dataChange
}

// dataChange is a write, or a truncation if data is nil.
type dataChange struct {
	off  int64
	data []byte
}

// nameChange is a file made (from is ""), removed (to is "") or renamed.
type nameChange struct {
	from, to string
	node     *inode
	unsynced map[string]bool // the directories that hold it back
}

// New returns an empty file system; seed decides all that is left to chance.
func New(seed uint64) *FS {
	root := &inode{dir: true, mode: fs.ModeDir | 0o700}
	return &FS{
		rng:    rand.New(rand.NewPCG(seed, 0x7261696c77617264)),
		names:  map[string]*inode{".": root},
		stable: map[string]*inode{".": root},
		locks:  make(map[string]bool),
	}
}

// SetFault puts fault before every operation; nil takes it away.
func (f *FS) SetFault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// FailAt returns a fault that fails operation n, and no other, with err.
func FailAt(n int, err error) Fault {
	return func(op Op) error {
		if op.N == n {
			return err
		}
		return nil
	}
}

// Ops returns how many operations there have been.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// begin counts an operation and asks the fault about it. It needs mu.
func (f *FS) begin(kind OpKind, names ...string) error {
	for _, name := range names {
		if !fs.ValidPath(name) {
			return &fs.PathError{Op: string(kind), Path: name, Err: fs.ErrInvalid}
		}
	}
	if f.dark {
		return ErrPowerCut
	}
	f.ops++
	if f.fault == nil {
		return nil
	}
	err := f.fault(Op{N: f.ops, Kind: kind, Name: names[0]})
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrPowerCut) {
		f.dark = true
	}
	return &fs.PathError{Op: string(kind), Path: names[0], Err: err}
}

// half is true half of the time.
func (f *FS) half() bool { return f.rng.IntN(2) == 0 }

// full reports whether a failed change of a name surely did not happen.
func full(err error) bool { return vfs.IsNoSpace(err) }

func (f *FS) look(op OpKind, name string) (*inode, error) {
	n, ok := f.names[name]
	if !ok {
		return nil, &fs.PathError{Op: string(op), Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

func (f *FS) parent(op OpKind, name string) error {
	if d, ok := f.names[path.Dir(name)]; !ok || !d.dir {
		return &fs.PathError{Op: string(op), Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

// move makes a change of names, for programs at once and for the disk once the
// directories are synced.
func (f *FS) move(from, to string, n *inode) {
	c := nameChange{from: from, to: to, node: n, unsynced: make(map[string]bool)}
	for _, name := range []string{from, to} {
		if name != "" {
			c.unsynced[path.Dir(name)] = true
		}
	}
	c.apply(f.names)
	f.moves = append(f.moves, c)
}

func (c *nameChange) apply(names map[string]*inode) {
	if c.from != "" && names[c.from] == c.node {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

// OpenFile implements [vfs.FS].
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, exists := f.names[name]
	kind := OpOpen
	if !exists && flag&os.O_CREATE != 0 {
		kind = OpCreate
	}
	fault := f.begin(kind, name)
	if fault != nil && (kind != OpCreate || full(fault) || f.half()) {
		return nil, fault
	}
	if kind == OpCreate {
		if err := f.parent(kind, name); err != nil {
			return nil, err
		}
		n = &inode{mode: perm}
		f.move("", name, n)
	}
	switch {
	case fault != nil:
		return nil, fault
	case n == nil:
		_, err := f.look(kind, name)
		return nil, err
	case exists && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: string(kind), Path: name, Err: fs.ErrExist}
	case n.dir:
		return nil, &fs.PathError{Op: string(kind), Path: name, Err: syscall.EISDIR}
	}
	if flag&os.O_TRUNC != 0 && len(n.data) > 0 {
		f.truncate(n, 0)
	}
	return &file{fs: f, node: n, name: name, flag: flag, epoch: f.epoch}, nil
}

// Rename implements [vfs.FS], for files.
func (f *FS) Rename(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.begin(OpRename, oldName, newName)
	if fault != nil && (full(fault) || f.half()) {
		return fault
	}
	n, err := f.look(OpRename, oldName)
	if err != nil {
		return err
	}
	if err := f.parent(OpRename, newName); err != nil {
		return err
	}
	if n.dir {
		return fmt.Errorf("rename directory %s: %w", oldName, errors.ErrUnsupported)
	}
	if old := f.names[newName]; old != nil {
		if old.dir {
			return &fs.PathError{Op: string(OpRename), Path: newName, Err: syscall.EISDIR}
		}
		f.retire(old)
	}
	f.move(oldName, newName, n)
	return fault
}

// retire keeps what a file held, to turn up in blocks that others get.
func (f *FS) retire(n *inode) {
	const most = 64 << 10
	f.stale = append(f.stale, n.data[:min(len(n.data), most)]...)
	if over := len(f.stale) - 4*most; over > 0 {
		f.stale = f.stale[over:]
	}
}

// Remove implements [vfs.FS].
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.begin(OpRemove, name)
	if fault != nil && (full(fault) || f.half()) {
		return fault
	}
	n, err := f.look(OpRemove, name)
	if err != nil {
		return err
	}
	if n.dir {
		for other := range f.names {
			if path.Dir(other) == name && other != "." {
				return &fs.PathError{Op: string(OpRemove), Path: name, Err: syscall.ENOTEMPTY}
			}
		}
	}
	f.retire(n)
	f.move(name, "", n)
	return fault
}

// MkdirAll implements [vfs.FS].
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(OpMkdir, name); err != nil {
		return err
	}
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		dir := name[:i]
		if n, ok := f.names[dir]; !ok {
			f.move("", dir, &inode{dir: true, mode: fs.ModeDir | perm})
		} else if !n.dir {
			return &fs.PathError{Op: string(OpMkdir), Path: dir, Err: syscall.ENOTDIR}
		}
	}
	return nil
}

// ReadDir implements [vfs.FS].
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(OpReadDir, name); err != nil {
		return nil, err
	}
	if n, err := f.look(OpReadDir, name); err != nil {
		return nil, err
	} else if !n.dir {
		return nil, &fs.PathError{Op: string(OpReadDir), Path: name, Err: syscall.ENOTDIR}
	}
	var entries []fs.DirEntry
	for other, n := range f.names {
		if path.Dir(other) == name && other != "." {
			entries = append(entries, fs.FileInfoToDirEntry(n.info(other)))
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	return entries, nil
}

// Stat implements [vfs.FS].
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(OpStat, name); err != nil {
		return nil, err
	}
	n, err := f.look(OpStat, name)
	if err != nil {
		return nil, err
	}
	return n.info(name), nil
}

// SyncDir implements [vfs.FS].
func (f *FS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(OpSyncDir, name); err != nil {
		return err
	}
	if n, err := f.look(OpSyncDir, name); err != nil {
		return err
	} else if !n.dir {
		return &fs.PathError{Op: string(OpSyncDir), Path: name, Err: syscall.ENOTDIR}
	}
	rest := f.moves[:0]
	for _, c := range f.moves {
		delete(c.unsynced, name)
		if len(c.unsynced) == 0 {
			c.apply(f.stable)
		} else {
			rest = append(rest, c)
		}
	}
	f.moves = rest
	return nil
}

// Lock implements [vfs.FS].
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(OpLock, name); err != nil {
		return nil, err
	}
	if f.locks[name] {
		return nil, fmt.Errorf("lock %s: %w", name, vfs.ErrLocked)
	}
	if err := f.parent(OpLock, name); err != nil {
		return nil, err
	}
	if f.names[name] == nil {
		f.move("", name, &inode{mode: 0o600})
	}
	f.locks[name] = true
	return &lock{fs: f, name: name, epoch: f.epoch}, nil
}

type lock struct {
	fs    *FS
	name  string
	epoch int
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.epoch != l.fs.epoch {
		return ErrCrashed
	}
	delete(l.fs.locks, l.name)
	return nil
}

// Files returns the names of all files, sorted. It counts as no operation, nor
// do Bytes and SetBytes.
func (f *FS) Files() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name, n := range f.names {
		if !n.dir {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// Bytes returns what a file holds, or nil if there is none.
func (f *FS) Bytes(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	if n == nil {
		return nil
	}
	return append([]byte{}, n.data...)
}

// SetBytes changes what a file holds, on the disk too, as damage does; it makes
// the file if there is none.
func (f *FS) SetBytes(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	if n == nil {
		n = &inode{mode: 0o600}
		f.names[name], f.stable[name] = n, n
	}
	n.data = append([]byte{}, data...)
	n.stable = append([]byte{}, data...)
	n.changes = nil
}

func (n *inode) info(name string) fs.FileInfo {
	return info{name: path.Base(name), size: int64(len(n.data)), mode: n.mode}
}

type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
