package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"

	"trailward/internal/vfs"
)

// Run tests what any [vfs.FS] must do while the power is on. open returns a
// new, empty one.
func Run(t *testing.T, open func(t *testing.T) vfs.FS) {
	write := func(t *testing.T, fsys vfs.FS, name, data string) {
		t.Helper()
		f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatalf("OpenFile(%q) = %v", name, err)
		}
		if n, err := f.Write([]byte(data)); n != len(data) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", data, n, err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatalf("sync and close %s: %v", name, err)
		}
	}
	want := func(t *testing.T, fsys vfs.FS, name, data string) {
		t.Helper()
		if got, err := vfs.ReadFile(fsys, name, 1<<20); err != nil || string(got) != data {
			t.Errorf("ReadFile(%q) = %q, %v, want %q", name, got, err, data)
		}
	}
	missing := func(t *testing.T, fsys vfs.FS, name string) {
		t.Helper()
		if _, err := fsys.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat(%q) error = %v, want %v", name, err, fs.ErrNotExist)
		}
	}

	t.Run("files", func(t *testing.T) {
		fsys := open(t)
		write(t, fsys, "a", "hello")
		want(t, fsys, "a", "hello")
		write(t, fsys, "b", "other")
		if err := fsys.Rename("a", "b"); err != nil {
			t.Fatalf("Rename(a, b) = %v", err)
		}
		want(t, fsys, "b", "hello")
		missing(t, fsys, "a")
		if _, err := fsys.OpenFile("b", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("OpenFile(b, O_EXCL) error = %v, want %v", err, fs.ErrExist)
		}
		if _, err := fsys.OpenFile("a", os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenFile(a) error = %v, want %v", err, fs.ErrNotExist)
		}
		if err := fsys.Remove("b"); err != nil {
			t.Fatalf("Remove(b) = %v", err)
		}
		missing(t, fsys, "b")
		if err := fsys.Remove("b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Remove(b) again = %v, want %v", err, fs.ErrNotExist)
		}
	})

	t.Run("positions", func(t *testing.T) {
		fsys := open(t)
		f, err := fsys.OpenFile("a", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Name() != "a" {
			t.Errorf("Name() = %q, want %q", f.Name(), "a")
		}
		if _, err := f.Write([]byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(4); err != nil {
			t.Fatalf("Truncate(4) = %v", err)
		}
		if pos, err := f.Seek(-2, io.SeekEnd); pos != 2 || err != nil {
			t.Errorf("Seek(-2, end) = %d, %v, want 2", pos, err)
		}
		if _, err := f.Write([]byte("ab")); err != nil {
			t.Fatal(err)
		}
		want(t, fsys, "a", "01ab")
		if err := f.Truncate(6); err != nil {
			t.Fatalf("Truncate(6) = %v", err)
		}
		want(t, fsys, "a", "01ab\x00\x00")
		p := make([]byte, 4)
		if n, err := f.ReadAt(p, 4); n != 2 || !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt(4 bytes, 4) = %d, %v, want 2, EOF", n, err)
		}
		if n, err := f.ReadAt(p, 0); n != 4 || string(p) != "01ab" || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt(4 bytes, 0) = %d, %q, %v", n, p, err)
		}
		if info, err := f.Stat(); err != nil || info.Size() != 6 || info.Mode().Perm() != 0o600 {
			t.Errorf("Stat() = %v, %v, want 6 bytes, mode 0600", info, err)
		}
	})

	t.Run("directories", func(t *testing.T) {
		fsys := open(t)
		if err := vfs.MakeDir(fsys, "d/e/f", 0o700); err != nil {
			t.Fatalf("MakeDir(d/e/f) = %v", err)
		}
		if err := vfs.MakeDir(fsys, "d/e/f", 0o700); err != nil {
			t.Errorf("MakeDir(d/e/f) again = %v", err)
		}
		write(t, fsys, "d/e/2", "")
		write(t, fsys, "d/e/1", "")
		if err := fsys.SyncDir("d/e"); err != nil {
			t.Errorf("SyncDir(d/e) = %v", err)
		}
		entries, err := fsys.ReadDir("d/e")
		var got string
		for _, e := range entries {
			got += e.Name()
			if e.IsDir() {
				got += "/"
			}
			got += " "
		}
		if err != nil || got != "1 2 f/ " {
			t.Errorf("ReadDir(d/e) = %q, %v, want %q", got, err, "1 2 f/ ")
		}
		if err := fsys.Remove("d/e"); err == nil {
			t.Error("Remove(d/e) = nil for a directory that is not empty")
		}
		if err := fsys.Remove("d/e/f"); err != nil {
			t.Errorf("Remove(d/e/f) = %v", err)
		}
		if err := fsys.SyncDir("x"); err == nil {
			t.Error("SyncDir(x) = nil for no directory")
		}
	})

	t.Run("write file", func(t *testing.T) {
		fsys := open(t)
		for _, data := range []string{"old", "newer", ""} {
			if err := vfs.WriteFile(fsys, "a", []byte(data), 0o600); err != nil {
				t.Fatalf("WriteFile(%q) = %v", data, err)
			}
			want(t, fsys, "a", data)
		}
		missing(t, fsys, "a"+vfs.TempSuffix)
		write(t, fsys, "b", "12345")
		if _, err := vfs.ReadFile(fsys, "b", 4); err == nil {
			t.Error("ReadFile(b, 4) = nil error for 5 bytes")
		}
	})

	t.Run("locks", func(t *testing.T) {
		fsys := open(t)
		l, err := fsys.Lock("lock")
		if err != nil {
			t.Fatalf("Lock() = %v", err)
		}
		if _, err := fsys.Lock("lock"); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("Lock() of a locked file = %v, want %v", err, vfs.ErrLocked)
		}
		if err := l.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		l, err = fsys.Lock("lock")
		if err != nil {
			t.Fatalf("Lock() after Close = %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})

	t.Run("names", func(t *testing.T) {
		fsys := open(t)
		for _, name := range []string{"", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a"} {
			if f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
				f.Close()
				t.Errorf("OpenFile(%q) = nil error", name)
			}
			if fsys.Rename("a", name) == nil || fsys.Rename(name, "a") == nil || fsys.Remove(name) == nil ||
				fsys.MkdirAll(name, 0o700) == nil || fsys.SyncDir(name) == nil {
				t.Errorf("an operation on %q = nil error", name)
			}
			if _, err := fsys.Lock(name); err == nil {
				t.Errorf("Lock(%q) = nil error", name)
			}
		}
	})
}
