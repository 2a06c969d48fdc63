package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"trailward/store"
)

// TestOpenDamaged: of many segments that share files, the damaged one is named.
func TestOpenDamaged(t *testing.T) {
	dir := dataDir(t)
	still := func(o *store.Options) { o.NoCompaction = true }
	s := openWith(t, dir, still)
	for i := range 60 {
		appendTo(t, s, batch(fmt.Sprintf("/g/%d", i), audit(fmt.Sprint(i), "Panic", "")))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := segmentFiles(t, dir)
	if len(files) != 60 {
		t.Fatalf("%d segments, want 60", len(files))
	}
	bad := files[17]
	whole, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	id := bad[strings.LastIndexByte(bad, '/')+1 : strings.LastIndexByte(bad, '.')]
	ask := func() error {
		s := openWith(t, dir, still)
		defer s.Close()
		snap, err := s.Snapshot(store.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Close()
		files, err := snap.Open(t.Context(), snap.Parts(), []string{"verb", "@timestamp"}, 16)
		if err != nil {
			return err
		}
		n := 0
		for _, f := range files {
			n += len(f.Parts)
		}
		if n != 60 || len(files) > 16 {
			t.Errorf("%d parts in %d files, want 60 in 16 at most", n, len(files))
		}
		return nil
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":       func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"its end":     func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more": func(b []byte) []byte { return append(b, 0) },
		"all":         func([]byte) []byte { return nil },
	} {
		if err := os.WriteFile(bad, damage([]byte(string(whole))), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ask(); err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: error = %v, want one that names %s", name, err, id)
		}
	}
	if err := os.WriteFile(bad, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
}

// TestOpenCancelled: who goes away while segments are read gets his answer at once.
func TestOpenCancelled(t *testing.T) {
	s := openWith(t, dataDir(t), nil)
	defer s.Close()
	appendTo(t, s, batch("/g", audit("1", "Panic", "")))
	snap, err := s.Snapshot(store.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := snap.Open(ctx, snap.Parts(), []string{"verb"}, 8); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want canceled", err)
	}
	if _, err := snap.Open(t.Context(), snap.Parts(), []string{"verb"}, 8); err != nil {
		t.Error(err)
	}
}
