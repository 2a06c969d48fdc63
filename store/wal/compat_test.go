package wal

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"trailward/internal/vfs/vfstest"
)

var update = flag.Bool("update", false, "write the file of the newest format under testdata/compat anew")

// Files of every format version so far are replayed. They are sealed with the
// key of testSealer(t, 1).
func TestCompat(t *testing.T) {
	s := testSealer(t, 1)
	if *update {
		fsys := vfstest.New(1)
		w, _, _ := mustReopen(t, fsys, s, Options{})
		appendAll(t, w, "one", "", "three")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata/compat", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/compat/v1.wal", fsys.Bytes(file1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob("testdata/compat/v*.wal")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files of older versions: %v", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := summary(t, s, restore(map[string][]byte{file1: b})), "one  three"; got != want {
			t.Errorf("%s: replay = %q, want %q", name, got, want)
		}
	}
}
