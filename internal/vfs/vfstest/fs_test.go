package vfstest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"trailward/internal/vfs"
)

func TestConformance(t *testing.T) {
	Run(t, func(*testing.T) vfs.FS { return New(1) })
}

// Whatever the seed, a crash keeps what was synced, and over many seeds it
// keeps and loses what was not.
func TestCrash(t *testing.T) {
	outcomes := make(map[string]int)
	for seed := range uint64(300) {
		fsys := New(seed)
		if err := vfs.WriteFile(fsys, "a", []byte("one"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := fsys.OpenFile("a", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("two")); err != nil {
			t.Fatal(err)
		}
		b, err := fsys.OpenFile("b", os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		fsys.Crash()
		if _, err := f.Write([]byte("x")); !errors.Is(err, ErrCrashed) {
			t.Fatalf("Write() to an old handle = %v, want %v", err, ErrCrashed)
		}
		if got := string(fsys.Bytes("b")); got != "" && got != "new" {
			t.Fatalf("seed %d: synced file holds %q after the crash", seed, got)
		}
		outcomes[fmt.Sprintf("%s %v", fsys.Bytes("a"), fsys.Bytes("b") != nil)]++
	}
	for _, want := range []string{"one true", "one false", "two true", "two false"} {
		if outcomes[want] == 0 {
			t.Errorf("no seed left %q; outcomes: %v", want, outcomes)
		}
	}
}

// WriteFile leaves the old bytes or the new, whenever the power fails.
func TestWriteFilePowerCut(t *testing.T) {
	for seed := range uint64(50) {
		for n := 1; ; n++ {
			fsys := New(seed)
			if err := vfs.WriteFile(fsys, "a", []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			fsys.SetFault(FailAt(fsys.Ops()+n, ErrPowerCut))
			err := vfs.WriteFile(fsys, "a", []byte("new"), 0o600)
			fsys.Crash()
			got := string(fsys.Bytes("a"))
			if got != "old" && got != "new" || err == nil && got != "new" {
				t.Fatalf("seed %d: power cut at operation %d: WriteFile() = %v, then the file holds %q", seed, n, err, got)
			}
			if err == nil {
				break
			}
		}
	}
}

func TestFaults(t *testing.T) {
	fsys := New(1)
	fsys.SetFault(FailAt(3, syscall.EIO))
	f, err := fsys.OpenFile("a", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("operation 3 = %v, want %v", err, syscall.EIO)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("operation 4 = %v, want nil", err)
	}
	fsys.SetFault(func(op Op) error { return ErrPowerCut })
	if _, err := fsys.Stat("a"); !errors.Is(err, ErrPowerCut) {
		t.Errorf("Stat() = %v, want %v", err, ErrPowerCut)
	}
	fsys.SetFault(nil)
	if _, err := fsys.Stat("a"); !errors.Is(err, ErrPowerCut) {
		t.Errorf("Stat() with the power cut = %v, want %v", err, ErrPowerCut)
	}
	fsys.Kill()
	if got := string(fsys.Bytes("a")); got != "x" {
		t.Errorf("after Kill the file holds %q, want %q", got, "x")
	}
}

// A sync that failed may have lost bytes for good: no later sync brings them
// to the disk, although reads show them.
func TestFailedSyncLoses(t *testing.T) {
	lost := false
	for seed := range uint64(50) {
		fsys := New(seed)
		f, err := fsys.OpenFile("a", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("bytes")); err != nil {
			t.Fatal(err)
		}
		fsys.SetFault(FailAt(fsys.Ops()+1, syscall.EIO))
		if err := f.Sync(); err == nil {
			t.Fatal("Sync() = nil, want an error")
		}
		if err := errors.Join(f.Sync(), fsys.SyncDir(".")); err != nil {
			t.Fatal(err)
		}
		if got := string(fsys.Bytes("a")); got != "bytes" {
			t.Fatalf("the file shows %q, want %q", got, "bytes")
		}
		fsys.Crash()
		lost = lost || string(fsys.Bytes("a")) != "bytes"
	}
	if !lost {
		t.Error("no seed lost the bytes of a failed sync")
	}
}
