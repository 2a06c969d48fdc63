package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trailward/internal/vfs"
	"trailward/internal/vfs/vfstest"
)

func openOS(t *testing.T, dir string) *vfs.Dir {
	t.Helper()
	d, err := vfs.OS(dir)
	if err != nil {
		t.Fatalf("OS(%q) = %v", dir, err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestOS(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) vfs.FS { return openOS(t, t.TempDir()) })
}

func TestOSMissing(t *testing.T) {
	if _, err := vfs.OS(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OS(missing) = %v, want %v", err, os.ErrNotExist)
	}
}

func TestOSSymbolicLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	d := openOS(t, dir)
	if _, err := vfs.ReadFile(d, "link/secret", 10); err == nil {
		t.Error("ReadFile(link/secret) = nil error: a link led out of the directory")
	}
	if _, err := d.OpenFile("link/new", os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		t.Error("OpenFile(link/new) = nil error: a link led out of the directory")
	}
}

func TestOSLockNamesHolder(t *testing.T) {
	d := openOS(t, t.TempDir())
	l, err := d.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = d.Lock("lock")
	if want := fmt.Sprintf("(%d)", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Lock() error = %v, want it to name process %s", err, want)
	}
}

func TestIsNoSpace(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{syscall.EIO, false},
		{&os.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, true},
		{fmt.Errorf("append: %w", syscall.EDQUOT), true},
	} {
		if got := vfs.IsNoSpace(c.err); got != c.want {
			t.Errorf("IsNoSpace(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
