// Package vfs is the file system as everything that must survive a power cut
// sees it: few operations, each of which a test can make fail or cut short.
//
// [OS] is the real one, over a directory that no name can leave; the package
// vfstest has one in memory that forgets what was not synced. Code that keeps
// promises about durability takes an [FS] and never imports os for files.
//
// Names are relative to the file system's root, separated by '/', in the form
// of [io/fs.ValidPath]. What a rule of POSIX leaves open, assume the worst:
// the bytes of a file are durable after [File.Sync]; that a file exists, has a
// new name or is gone is durable after [FS.SyncDir] of its directory (of both
// directories for a rename across two), and of nothing else.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// FS is a tree of files. All methods are safe for concurrent use.
type FS interface {
	// OpenFile opens a file with the flags of package os; perm is the mode of
	// a file that it creates.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename gives a file another name, in place of any file that has it.
	Rename(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// MkdirAll makes a directory and those above it that are missing. See
	// [MakeDir] for one that is durable.
	MkdirAll(name string, perm fs.FileMode) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes the exclusive lock that a file stands for, making the file if
	// need be, or fails at once with [ErrLocked]. The lock ends with Close and
	// with the process, however it ends; the file stays.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt is safe for concurrent use, also beside one
// writer; the other methods are for one goroutine at a time.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Name is the name that the file was opened with.
	Name() string
	// Sync makes the file's bytes and size durable. After an error nothing is
	// known about any byte written since the last success, and a later success
	// says nothing about them either: the caller must stop trusting the file.
	Sync() error
	// Truncate cuts the file, or extends it with zeros.
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// ErrLocked says that another process, or this one, holds the lock.
var ErrLocked = errors.New("locked by another process")

// IsNoSpace reports whether err means that the disk, or the quota on it, is
// full: a state that may pass, unlike any other failed write.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// TempSuffix ends the name of a file that is not finished: whoever finds one
// at start may remove it.
const TempSuffix = ".tmp"

// ReadFile returns a file's bytes; a file of more than limit bytes is an error.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, limit)
	}
	return data, nil
}

// WriteFile makes name hold data, durably and at once: after a power cut at
// any moment it has all of the old bytes or all of the new. It writes name
// plus [TempSuffix] on the way, so two calls for one name must not overlap.
func WriteFile(fsys FS, name string, data []byte, perm fs.FileMode) error {
	temp := name + TempSuffix
	if err := writeSynced(fsys, temp, data, perm); err != nil {
		// Nobody trusts the name of an unfinished file, so it does no harm if
		// it cannot be removed either.
		_ = fsys.Remove(temp)
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		_ = fsys.Remove(temp)
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeSynced(fsys FS, name string, data []byte, perm fs.FileMode) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// MakeDir makes a directory and those above it that are missing, durably.
func MakeDir(fsys FS, name string, perm fs.FileMode) error {
	if err := fsys.MkdirAll(name, perm); err != nil {
		return err
	}
	for dir := name; dir != "."; {
		dir = path.Dir(dir)
		if err := fsys.SyncDir(dir); err != nil {
			return fmt.Errorf("make directory %s: %w", name, err)
		}
	}
	return nil
}
