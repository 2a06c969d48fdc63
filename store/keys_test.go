package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"trailward/store"
	"trailward/store/seal"
)

func TestKeyRotation(t *testing.T) {
	dir := dataDir(t)
	key := filepath.Join(dir, "..", "trailward.key")
	s := openWith(t, dir, nil)
	var lines []string
	for i := range 3 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, s, batch("/g", "in the WAL"))
	lines = append(lines, "in the WAL")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	keys, err := seal.RotateKeyFile(key)
	if err != nil {
		t.Fatal(err)
	}
	// Killed between the key file and the store.
	k := openWith(t, copyDir(t, dir), nil)
	want(t, cat(t, k, "/g"), slices.Clone(lines)...)
	k.Close()

	if err := s.UseKeys(ctx, keys); err != nil {
		t.Fatal(err)
	}
	uses, err := s.KeyUses(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(uses) != 2 || !uses[0].Current || !uses[0].Store || uses[1].Store || uses[1].WAL != 0 || uses[1].Segments == 0 {
		t.Errorf("after the rotation %+v", uses)
	}
	appendTo(t, s, batch("/g", "after"))
	lines = append(lines, "after")
	s.OnStep(func(what string) {
		to := copyDir(t, dir)
		good(t, to)
		k := openWith(t, to, nil)
		want(t, cat(t, k, "/g"), slices.Clone(lines)...)
		k.Close()
	})
	segments := s.Segments()
	if err := s.Rewrap(ctx, nil); err != nil {
		t.Fatal(err)
	}
	s.OnStep(func(string) {})
	if uses, err = s.KeyUses(ctx); err != nil || len(uses) != 1 || uses[0].Segments != int64(segments) {
		t.Errorf("after all was written again: %+v, %v", uses, err)
	}
	want(t, cat(t, s, "/g"), slices.Clone(lines)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good(t, dir)

	// The new key alone is enough, the old one is of no use.
	after, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	var alone []byte
	n := 0
	for _, l := range bytes.SplitAfter(after, []byte("\n")) {
		if bytes.HasPrefix(l, []byte("key ")) {
			if n++; n > 1 {
				continue
			}
		}
		alone = append(alone, l...)
	}
	if err := os.WriteFile(key, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, dir, nil); err == nil {
		t.Error("the old key opens the store")
	}
	if err := os.WriteFile(key, alone, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openWith(t, dir, nil)
	want(t, cat(t, s, "/g"), lines...)
	s.Close()
	good(t, dir)
}

func TestBackupAndRestore(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	var lines []string
	for i := range 4 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetHold("/g", "why"); err != nil {
		t.Fatal(err)
	}
	// Others write meanwhile.
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			appendTo(t, s, batch("/other", "x"))
			if err := s.Seal(); err != nil {
				t.Error(err)
			}
		}
	}()
	backup := filepath.Join(dir, "..", "backup")
	res, err := s.Backup(context.Background(), backup, nil)
	if err != nil || res.Segments < 4 {
		t.Errorf("Backup = %+v, %v", res, err)
	}
	if _, err := s.Backup(context.Background(), backup, nil); err == nil {
		t.Error("a second backup went into the first")
	}
	stop()
	<-ended
	s.Close()
	good(t, backup)
	if err := filepath.WalkDir(backup, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "trailward.key" {
			t.Errorf("the key is in the backup: %s", p)
		}
		info, ierr := d.Info()
		if err == nil && ierr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(dir, "..", "restored")
	if err := store.Restore(context.Background(), backup, restored, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(context.Background(), backup, restored, nil); err == nil {
		t.Error("a restore went over what was there")
	}
	good(t, restored)
	r := openWith(t, restored, nil)
	want(t, cat(t, r, "/g"), lines...)
	if g := r.GroupSettings(); len(g) == 0 || g[0].Group != "/g" || g[0].Hold == nil || g[0].Hold.Reason != "why" {
		t.Errorf("settings = %+v", g)
	}
	r.Close()
	good(t, restored)
}

func TestALostCatalogIsMadeAgain(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	var lines []string
	for i := range 9 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	old := fstest.MapFS{}
	for _, n := range []string{"catalog.db", "catalog.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		old[n] = &fstest.MapFile{Data: b, Mode: 0o600}
	}
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetHold("/g", "why"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetRetention("/g", store.KeepForever); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, batch("/g", "in the WAL"))
	lines = append(lines, "in the WAL")
	to := copyDir(t, dir) // killed
	s.Close()
	for _, damage := range []string{"lost", "damaged", "rolled back"} {
		t.Run(damage, func(t *testing.T) {
			d := copyDir(t, to)
			switch damage {
			case "lost":
				for _, n := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm"} {
					os.Remove(filepath.Join(d, n))
				}
			case "damaged":
				os.Remove(filepath.Join(d, "catalog.db-wal")) // it may have all pages
				if err := os.WriteFile(filepath.Join(d, "catalog.db"), bytes.Repeat([]byte("x"), 100_000), 0o600); err != nil {
					t.Fatal(err)
				}
			case "rolled back":
				for _, n := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm"} {
					os.Remove(filepath.Join(d, n))
				}
				if err := os.CopyFS(d, old); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tryOpen(t, d, nil); err == nil {
				t.Fatal("the store opens without its catalog")
			}
			p, err := seal.OpenKeyFile(filepath.Join(d, "..", "trailward.key"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := store.Rebuild(context.Background(), store.Options{Dir: d, Provider: p})
			if err != nil || len(r.Bad) > 0 || r.Segments == 0 || (r.Old != "") != (damage != "lost") {
				t.Fatalf("Rebuild = %+v, %v", r, err)
			}
			good(t, d)
			k := openWith(t, d, nil)
			want(t, cat(t, k, "/g"), slices.Clone(lines)...)
			g := k.GroupSettings()
			if len(g) != 1 || g[0].Hold == nil || g[0].Hold.Reason != "why" || g[0].Retention != store.KeepForever {
				t.Errorf("settings = %+v", g)
			}
			k.Close()
			good(t, d)
		})
	}
}
