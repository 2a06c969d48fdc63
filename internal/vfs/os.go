package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Dir is the real file system below one directory. No name leads out of it,
// not through "..", an absolute path or a symbolic link ([os.Root]).
type Dir struct{ root *os.Root }

var _ FS = (*Dir)(nil)

// OS opens the directory dir, which must exist, as a file system.
func OS(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{root: root}, nil
}

// Root returns the directory's name, as it was given.
func (d *Dir) Root() string { return d.root.Name() }

// Close lets go of the directory. Open files and locks stay usable.
func (d *Dir) Close() error { return d.root.Close() }

func checkName(op, name string) error {
	if !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return &fs.PathError{Op: op, Path: strconv.Quote(name), Err: fs.ErrInvalid}
	}
	return nil
}

// OpenFile implements [FS].
func (d *Dir) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, name: name}, nil
}

// Rename implements [FS].
func (d *Dir) Rename(oldName, newName string) error {
	if err := checkName("rename", oldName); err != nil {
		return err
	}
	if err := checkName("rename", newName); err != nil {
		return err
	}
	return d.root.Rename(oldName, newName)
}

// Remove implements [FS].
func (d *Dir) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	return d.root.Remove(name)
}

// MkdirAll implements [FS].
func (d *Dir) MkdirAll(name string, perm fs.FileMode) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	return d.root.MkdirAll(name, perm)
}

// ReadDir implements [FS].
func (d *Dir) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	return fs.ReadDir(d.root.FS(), name)
}

// Stat implements [FS].
func (d *Dir) Stat(name string) (fs.FileInfo, error) {
	if err := checkName("stat", name); err != nil {
		return nil, err
	}
	return d.root.Stat(name)
}

// SyncDir implements [FS].
func (d *Dir) SyncDir(name string) error {
	if err := checkName("sync", name); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Lock implements [FS]. The file names the holder's process id, for people;
// what counts is the kernel's lock on it.
func (d *Dir) Lock(name string) (io.Closer, error) {
	if err := checkName("lock", name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		f.Close()
		if pid, perr := strconv.Atoi(strings.TrimSpace(string(holder[:n]))); perr == nil {
			return nil, fmt.Errorf("lock %s: %w (%d)", name, err, pid)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// LockShared takes the lock that a file stands for together with others that do
// so, and changes nothing: [FS.Lock] fails while it is held, and it fails with
// [ErrLocked] while that lock is. The file must exist.
func (d *Dir) LockShared(name string) (io.Closer, error) {
	if err := checkName("lock", name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := tryLockShared(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// Space is the room on a file system, in bytes.
type Space struct {
	Free int64 // that this process may use
	Size int64 // in all
}

// Space returns the room on the file system that the directory is on.
func (d *Dir) Space() (Space, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return Space{}, err
	}
	defer f.Close()
	s, err := space(f)
	if err != nil {
		return s, fmt.Errorf("look for room on the disk: %w", err)
	}
	return s, nil
}

// osFile is an os.File that syncs data only where the system can do that.
type osFile struct {
	*os.File
	name string
}

func (f *osFile) Name() string { return f.name }

func (f *osFile) Sync() error { return syncData(f.File) }
