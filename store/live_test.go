package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"trailward/internal/vfs"
	"trailward/store"
	"trailward/store/ledger"
	"trailward/store/verifier"
)

// TestVerifiedWhileItGoesOn: a store that is written, merged and expired meanwhile
// verifies as good, and a flipped byte in it is found.
func TestVerifiedWhileItGoesOn(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	defer s.Close()
	for i := range 10 {
		appendTo(t, s, mixed(i))
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	verify := func() *verifier.Report {
		t.Helper()
		e, err := s.Evidence()
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r, err := e.Verify(context.Background(), verifier.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// Three go on at once, so that a segment is being written while the ledger gets
	// entries of other things.
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	goOn := func(do func(n int) error) {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := do(n); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	goOn(func(int) error { appendTo(t, s, batch("/other", "x")); return s.Seal() })
	goOn(func(int) error { return s.Compact(ctx) })
	goOn(func(n int) error { return s.SetHold("/held", fmt.Sprint("case ", n)) })
	for range 10 {
		if r := verify(); !r.Good() {
			t.Errorf("findings %v, want none", r.Findings)
			break
		}
	}
	stop()
	all.Wait()
	segments, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(segments[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSuffix(filepath.Base(segments[0]), ".seg")
	if r := verify(); !slices.ContainsFunc(r.Findings, func(f verifier.Finding) bool { return strings.Contains(f.Where, id) }) {
		t.Errorf("findings %v, want segment %s", r.Findings, id)
	}
	s.Close()
	if _, err := s.Evidence(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Evidence() of a closed store = %v, want %v", err, store.ErrClosed)
	}
}

// TestVerifiedSegmentsStay: segments that are merged while they are read are
// shredded only when the verification has ended.
func TestVerifiedSegmentsStay(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, func(o *store.Options) { o.NoCompaction = true })
	defer s.Close()
	for i := range 10 {
		appendTo(t, s, mixed(i))
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Segments()
	e, err := s.Evidence()
	if err != nil {
		t.Fatal(err)
	}
	merged := false
	r, err := e.Verify(context.Background(), verifier.Options{Parallel: 1, Progress: func(p verifier.Progress) {
		if p.Stage == "segments" && p.Done > 0 && !merged {
			// The first segment was hashed and is about to be decrypted.
			merged = true
			if err := s.Compact(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil || !r.Good() || !merged || s.Segments() >= before {
		t.Errorf("Verify() = %+v, %v with %d of %d segments left, want no findings and fewer", r, err, s.Segments(), before)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*.seg"))
	if err != nil || len(files) != s.Segments() {
		t.Errorf("%d files for %d segments after the verification, %v", len(files), s.Segments(), err)
	}
}

// TestBackupFromFarAway: the archive makes the same directory as a copy here does,
// and one that is cut short, or holds what no backup does, makes none.
func TestBackupFromFarAway(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	defer s.Close()
	lines := raws(mixed(1))
	appendTo(t, s, mixed(1))
	for name, text := range map[string]string{"tokens.json": "{}", "lookup/a.table": "sealed"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	also := []string{"tokens.json", "lookup", "nothing"}
	var archive bytes.Buffer
	sent, err := s.WriteBackup(t.Context(), &archive, also...)
	if err != nil {
		t.Fatal(err)
	}
	here, there := filepath.Join(dir, "..", "here"), filepath.Join(dir, "..", "there")
	if _, err := s.Backup(t.Context(), here, nil, also...); err != nil {
		t.Fatal(err)
	}
	whole := func() error { return nil }
	got, err := store.ReceiveBackup(t.Context(), bytes.NewReader(archive.Bytes()), there, whole, nil)
	if err != nil || got != sent || got.Segments == 0 {
		t.Fatalf("ReceiveBackup() = %+v, %v, want %+v", got, err, sent)
	}
	for _, d := range []string{here, there} {
		for _, name := range []string{"tokens.json", "lookup/a.table"} {
			if _, err := os.Stat(filepath.Join(d, name)); err != nil {
				t.Error(err)
			}
		}
		good(t, d)
		r := openWith(t, d, nil)
		var all []string
		for _, g := range r.Groups() {
			all = append(all, cat(t, r, g)...)
		}
		want(t, all, lines...)
		r.Close()
	}
	entry := func(h tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Close()
		return b.Bytes()
	}
	missing := errors.New("no trailer")
	for _, tt := range []struct {
		name  string
		body  []byte
		whole error
	}{
		{"cut in the middle", archive.Bytes()[:archive.Len()/2], nil},
		{"nothing", nil, nil},
		{"without a trailer", archive.Bytes(), missing},
		{"a path out of it", entry(tar.Header{Name: "../x", Typeflag: tar.TypeReg}), nil},
		{"an absolute path", entry(tar.Header{Name: "/tmp/x", Typeflag: tar.TypeReg}), nil},
		{"a link", entry(tar.Header{Name: "x", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}), nil},
		{"no store", entry(tar.Header{Name: "x", Typeflag: tar.TypeReg}), nil},
		{"a file twice", append(entry(tar.Header{Name: "x", Typeflag: tar.TypeReg})[:512], entry(tar.Header{Name: "x", Typeflag: tar.TypeReg})...), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "b")
			_, err := store.ReceiveBackup(t.Context(), bytes.NewReader(tt.body), to, func() error { return tt.whole }, nil)
			if err == nil || tt.whole != nil && !errors.Is(err, tt.whole) {
				t.Errorf("ReceiveBackup() = %v, want an error", err)
			}
			if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 0 {
				t.Errorf("%v are left, %v", left, err)
			}
		})
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.WriteBackup(stopped, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteBackup(cancelled) = %v, want %v", err, context.Canceled)
	}
}

// TestReady: a store that refuses writes says so, also before the background has
// looked at the disk, and is ready again when there is room.
func TestReady(t *testing.T) {
	free := int64(100 << 30)
	s := openWith(t, dataDir(t), func(o *store.Options) {
		o.Space = func() (vfs.Space, error) { return vfs.Space{Size: 200 << 30, Free: free}, nil }
	})
	s.StopBackground()
	if err := s.Ready(); err != nil || s.Status().Full {
		t.Errorf("Ready() = %v, want nil", err)
	}
	free = 1 << 20
	if err := s.Ready(); !errors.Is(err, store.ErrNoSpace) || !s.Status().Full {
		t.Errorf("Ready() on a full disk = %v, want %v", err, store.ErrNoSpace)
	}
	free = 100 << 30
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() when there is room again = %v, want nil", err)
	}
	appendTo(t, s, batch("/g", "x"))
	if st := s.Status(); st.WALBytes == 0 || st.HeadBytes == 0 || st.Groups != 1 || st.Checkpoint == 0 || st.FreeBytes != free {
		t.Errorf("Status() = %+v", st)
	}
	s.Close()
	if err := s.Ready(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Ready() of a closed store = %v, want %v", err, store.ErrClosed)
	}
}

// TestProveExtension: the checkpoint of now continues every older one, and none
// that was made up.
func TestProveExtension(t *testing.T) {
	s := openWith(t, dataDir(t), nil)
	defer s.Close()
	var seen []ledger.Checkpoint
	for range 5 {
		id, signed := s.Checkpoint()
		c, err := ledger.OpenCheckpoint(signed, id.VerifierKey)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, c)
		if err := s.SetHold("/g", "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range seen {
		signed, proof, err := s.ProveExtension(before)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := s.Checkpoint()
		now, err := ledger.OpenCheckpoint(signed, id.VerifierKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := ledger.CheckExtension(before, now, proof); err != nil {
			t.Errorf("the proof from %d to %d: %v", before.Size, now.Size, err)
		}
	}
	forged := seen[2]
	forged.Root[0] ^= 1
	if _, _, err := s.ProveExtension(forged); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("ProveExtension(forged) = %v, want %v", err, ledger.ErrForked)
	}
}
