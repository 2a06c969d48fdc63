package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync(2), which leaves out only what is not needed to read
// the data back: a changed size is synced, a changed time is not.
func syncData(f *os.File) error {
	err := control(f, func(fd int) error {
		for {
			if err := unix.Fdatasync(fd); !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	})
	if err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

// tryLock takes the file's flock(2) lock. It belongs to the open file, so that
// a second Lock in the same process is refused like one in another process.
func tryLock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// tryLockShared takes the file's flock(2) lock together with others that do.
func tryLockShared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	return control(f, func(fd int) error {
		err := unix.Flock(fd, how|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrLocked
		}
		return err
	})
}

// space asks fstatfs(2) about the file system that f is on.
func space(f *os.File) (s Space, err error) {
	err = control(f, func(fd int) error {
		var st unix.Statfs_t
		if err := unix.Fstatfs(fd, &st); err != nil {
			return err
		}
		s = Space{Free: int64(st.Bavail) * st.Bsize, Size: int64(st.Blocks) * st.Bsize}
		return nil
	})
	return s, err
}

// control calls fn with the file's descriptor, which stays valid meanwhile.
func control(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}
