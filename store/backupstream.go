package store

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"trailward/internal/vfs"
)

// maxBackupFiles is how many files a received backup may have.
const maxBackupFiles = 10_000_000

// WriteBackup writes what [Store.Backup] copies as a tar archive, which a
// client far away makes a directory of with [ReceiveBackup]. What changes is
// copied first, into a folder for temporary files (it is sealed, like all in a
// data directory), so that a slow reader holds nobody up; segments that die
// meanwhile stay until their turn has come. The archive is whole only if the
// error is nil.
func (s *Store) WriteBackup(ctx context.Context, w io.Writer, also ...string) (res BackupResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write backup: %w", err)
		}
	}()
	head, err := os.MkdirTemp("", "trailward-backup-")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(head)) }()
	to, err := vfs.OS(head)
	if err != nil {
		return res, err
	}
	defer to.Close()
	list, err := s.backupHead(&copier{from: s.fs, to: to, ctx: ctx}, also)
	defer func() { s.letGoSegments(list) }()
	if err != nil {
		return res, err
	}
	t := &tarWriter{ctx: ctx, tar: tar.NewWriter(w)}
	err = fs.WalkDir(os.DirFS(head), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return t.file(to, name)
	})
	if err != nil {
		return res, err
	}
	for _, p := range list {
		if err := t.file(s.fs, segmentFile(p.info.ID)); err != nil {
			return res, err
		}
	}
	return BackupResult{Segments: int64(len(list)), Bytes: t.bytes}, t.tar.Close()
}

type tarWriter struct {
	ctx   context.Context
	tar   *tar.Writer
	bytes int64
}

func (t *tarWriter) file(from *vfs.Dir, name string) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	f, err := from.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o600, ModTime: info.ModTime().Truncate(time.Second), Format: tar.FormatPAX}
	if err := t.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n, err := io.Copy(t.tar, f)
	t.bytes += n
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ReceiveBackup makes a new directory of an archive that [Store.WriteBackup]
// wrote. whole is asked at the end whether the sender said that all of it came;
// the directory appears under its name only then, synced. progress, which may be
// nil, is told bytes.
func ReceiveBackup(ctx context.Context, r io.Reader, dir string, whole func() error, progress func(done, total int64)) (res BackupResult, err error) {
	err = newDirectory(dir, func(to *vfs.Dir) error {
		in := tar.NewReader(r)
		dirs := map[string]bool{".": true}
		for n := 0; ; n++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read archive: %w", err)
			}
			switch {
			case h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name):
				return fmt.Errorf("read archive: %.100q is no file of a backup", h.Name)
			case n == maxBackupFiles:
				return fmt.Errorf("read archive: more than %d files", maxBackupFiles)
			}
			if err := receiveFile(to, dirs, h.Name, in, &res.Bytes, progress); err != nil {
				return fmt.Errorf("receive %s: %w", h.Name, err)
			}
			if path.Dir(path.Dir(h.Name)) == segmentDir {
				res.Segments++
			}
		}
		// The rest of the body, behind which the sender says that it is whole.
		if _, err := io.Copy(io.Discard, r); err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := whole(); err != nil {
			return err
		}
		for _, name := range []string{storeKeyName, catalogName} {
			if _, err := to.Stat(name); err != nil {
				return fmt.Errorf("it is no backup of a store: %w", err)
			}
		}
		for d := range dirs {
			if err := to.SyncDir(d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return BackupResult{}, fmt.Errorf("receive backup to %s: %w", dir, err)
	}
	return res, nil
}

func receiveFile(to *vfs.Dir, dirs map[string]bool, name string, in io.Reader, bytes *int64, progress func(done, total int64)) error {
	if dir := path.Dir(name); !dirs[dir] {
		if err := to.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for ; !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	*bytes += n
	if progress != nil {
		progress(*bytes, 0)
	}
	return errors.Join(err, out.Close())
}
