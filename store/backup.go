package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"trailward/internal/vfs"
)

// BackupResult says what a backup holds.
type BackupResult struct {
	Segments, Bytes int64 // bytes of all files
}

// Backup copies the store into a new directory, as it is at one moment, while
// it goes on: everything acknowledged before the call is in the copy. The
// key-encryption key is not. Segments are copied and not linked, since the
// header of a dead one is overwritten in place. The directory appears under its
// name when all of it is on the disk. progress, which may be nil, is told bytes.
// also names further files and folders of the data directory, which go into the
// copy where they are there.
func (s *Store) Backup(ctx context.Context, dir string, progress func(done, total int64), also ...string) (res BackupResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up to %s: %w", dir, err)
		}
	}()
	var list []*sealed
	err = newDirectory(dir, func(to *vfs.Dir) error {
		c := copier{from: s.fs, to: to, progress: progress, ctx: ctx}
		var err error
		list, err = s.backupHead(&c, also)
		defer func() { s.letGoSegments(list) }()
		if err != nil {
			return err
		}
		for _, p := range list {
			c.total += p.info.Size
		}
		for _, p := range list {
			if err := c.file(segmentFile(p.info.ID)); err != nil {
				return err
			}
		}
		res = BackupResult{Segments: int64(len(list)), Bytes: c.done}
		return c.syncDirs()
	})
	return res, err
}

// newDirectory has fill put files into a directory that appears under its name
// when all of them are there, synced; with an error nothing appears.
func newDirectory(dir string, fill func(to *vfs.Dir) error) (err error) {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errors.New("there is something of that name: move it away, or name a new directory"))
	}
	partial := dir + ".partial"
	if err := os.Mkdir(partial, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	to, err := vfs.OS(partial)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := fill(to); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// backupHead seals, then copies all that changes, while nothing does, and
// returns the segments that belong to it, held.
func (s *Store) backupHead(c *copier, also []string) ([]*sealed, error) {
	if err := s.Seal(); err != nil {
		return nil, err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	list := s.holdAll()
	if err := c.file(storeKeyName); err != nil {
		return list, err
	}
	for _, dir := range []string{ledgerDir, walDir} {
		if err := c.folder(dir); err != nil {
			return list, err
		}
	}
	if err := s.cat.CopyTo(filepath.Join(c.to.Root(), catalogName)); err != nil {
		return list, err
	}
	for _, name := range also {
		info, err := s.fs.Stat(name)
		if err == nil && info.IsDir() {
			err = c.folder(name)
		} else if err == nil {
			err = c.file(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return list, err
		}
	}
	return list, nil
}

// copier copies files from one data directory to another, durably.
type copier struct {
	ctx         context.Context
	from, to    *vfs.Dir
	done, total int64
	progress    func(done, total int64)
	dirs        map[string]bool
}

func (c *copier) file(name string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	in, err := c.from.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.dirs == nil {
		c.dirs = map[string]bool{".": true}
	}
	if dir := path.Dir(name); !c.dirs[dir] {
		if err := c.to.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for ; !c.dirs[dir]; dir = path.Dir(dir) {
			c.dirs[dir] = true
		}
	}
	out, err := c.to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	c.done += n
	if c.progress != nil {
		c.progress(c.done, max(c.total, c.done))
	}
	return nil
}

// folder copies the files in a folder. One that goes meanwhile is none of the
// copy: a file of the WAL that became segments, a table that was removed.
func (c *copier) folder(dir string) error {
	files, err := c.from.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), vfs.TempSuffix) {
			continue
		}
		if err := c.file(path.Join(dir, f.Name())); err != nil && (dir == ledgerDir || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func (c *copier) syncDirs() error {
	for d := range c.dirs {
		if err := c.to.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Restore copies a backup, or any closed store, into a new data directory,
// which appears under its name when all of it is on the disk.
func Restore(ctx context.Context, backup, dir string, progress func(done, total int64)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s to %s: %w", backup, dir, err)
		}
	}()
	from, err := vfs.OS(backup)
	if err != nil {
		return err
	}
	defer from.Close()
	for _, name := range []string{storeKeyName, catalogName} {
		if _, err := from.Stat(name); err != nil {
			return fmt.Errorf("it is no backup of a store: %w", err)
		}
	}
	lock, err := from.LockShared(lockName)
	switch {
	case err == nil:
		defer lock.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	return newDirectory(dir, func(to *vfs.Dir) error {
		c := copier{ctx: ctx, from: from, to: to, progress: progress}
		var names []string
		err := fs.WalkDir(os.DirFS(backup), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name == lockName {
				return err
			}
			if !d.Type().IsRegular() {
				return fmt.Errorf("%s is not a regular file", name)
			}
			info, err := d.Info()
			if err == nil {
				c.total += info.Size()
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := c.file(name); err != nil {
				return err
			}
		}
		return c.syncDirs()
	})
}
