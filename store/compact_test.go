package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"trailward/store"
	"trailward/store/seal"
)

// openWith opens a store with the given changes of its options.
func openWith(t testing.TB, dir string, set func(*store.Options)) *store.Store {
	t.Helper()
	s, err := tryOpen(t, dir, set)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpen(t testing.TB, dir string, set func(*store.Options)) (*store.Store, error) {
	t.Helper()
	key := filepath.Join(dir, "..", "trailward.key")
	p, err := seal.OpenKeyFile(key)
	if errors.Is(err, os.ErrNotExist) {
		p, err = seal.CreateKeyFile(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{Dir: dir, Provider: p, Format: testFormat(), NoCompaction: true}
	if set != nil {
		set(&o)
	}
	s, _, err := store.Open(context.Background(), o)
	return s, err
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// mixed are records of several kinds, flow logs with columns of their own and
// attributes among them, which a merge must carry over.
func mixed(i int) *store.Batch {
	b := batch("/g", fmt.Sprintf(`{"time":"2026-01-01T00:00:%02dZ","n":%d,"s":"v%d"}`, i%60, i, i%7), fmt.Sprintf(`{"dup":1,"dup":%d}`, i),
		audit(fmt.Sprint("id", i), "Panic", ""), fmt.Sprintf("text %d \xff", i), fmt.Sprintf(`{"odd":1.0,"n":"%d"}`, i))
	flow := batch("/g", fmt.Sprintf("ACCEPT 10.0.0.%d %d", i%250, i)).Records[0]
	flow.Kind, flow.Columns = "aws.vpcflow", []string{"action", "srcaddr", "bytes"}
	b.Records = append(b.Records, flow)
	b.Records[0].Attrs = append(b.Records[0].Attrs, struct{ Name, Value string }{"stream", fmt.Sprint("x", i%2)})
	b.Records[3].Stream = fmt.Sprint("stream", i%3)
	return b
}

func raws(b *store.Batch) (out []string) {
	for _, r := range b.Records {
		out = append(out, string(r.Raw))
	}
	return out
}

func TestCompactionKeepsEveryRecord(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	var lines []string
	for i := range 20 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Segments()
	snap, err := s.Snapshot(store.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	for _, p := range snap.Parts() {
		rows += p.Rows()
	}
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := s.Segments(); n >= before/4 {
		t.Errorf("%d segments became %d", before, n)
	}
	want(t, cat(t, s, "/g"), slices.Clone(lines)...)
	// The snapshot still reads the old ones.
	if n := len(segmentFiles(t, dir)); n != before+s.Segments() {
		t.Errorf("%d files while a snapshot is open, want %d", n, before+s.Segments())
	}
	if _, err := snap.Open(t.Context(), snap.Parts(), []string{"@timestamp"}, 8); err != nil {
		t.Errorf("read parts that were merged: %v", err)
	}
	for _, p := range snap.Parts() {
		rows -= p.Rows()
	}
	if rows != 0 {
		t.Errorf("the snapshot changed by %d rows", rows)
	}
	snap.Close()
	if n := len(segmentFiles(t, dir)); n != s.Segments() {
		t.Errorf("%d files after the snapshot, want %d", n, s.Segments())
	}
	// Duplicates are known in merged segments.
	if r := appendTo(t, s, batch("/g", audit("id3", "Panic", ""))); r.Duplicates != 1 {
		t.Errorf("a record again = %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openWith(t, dir, nil)
	defer s.Close()
	want(t, cat(t, s, "/g"), lines...)
}

func TestAKillWhileCompacting(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	defer s.Close()
	var lines []string
	for i := range 9 {
		b := mixed(i)
		lines = append(lines, raws(b)...)
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	steps := map[string]int{}
	s.OnStep(func(what string) {
		steps[what]++
		to := copyDir(t, dir)
		good(t, to)
		k := openWith(t, to, nil)
		want(t, cat(t, k, "/g"), slices.Clone(lines)...)
		if n := len(segmentFiles(t, to)); n != k.Segments() {
			t.Errorf("killed when %s: %d files of %d segments", what, n, k.Segments())
		}
		if _, err := os.Stat(filepath.Join(to, "lost")); err == nil {
			t.Errorf("killed when %s: something is lost", what)
		}
		if err := k.Compact(context.Background()); err != nil {
			t.Error(err)
		}
		want(t, cat(t, k, "/g"), slices.Clone(lines)...)
		k.Close()
		good(t, to)
	})
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"written", "committed", "unused"} {
		if steps[what] == 0 {
			t.Errorf("step %q did not come: %v", what, steps)
		}
	}
}

func TestCompactionBesideEverythingElse(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, func(o *store.Options) { o.NoCompaction = false })
	const writers, each = 4, 60
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seen := map[string]int{}
				for _, l := range cat(t, s, "/g") {
					if seen[l]++; seen[l] > 1 {
						t.Errorf("%s is there %d times", l, seen[l])
					}
				}
				snap, err := s.Snapshot(store.Selection{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := snap.Open(t.Context(), snap.Parts(), []string{"@timestamp"}, 8); err != nil {
					t.Error(err)
				}
				snap.Close()
			}
		})
	}
	var ws sync.WaitGroup
	for w := range writers {
		ws.Go(func() {
			acked := map[string]bool{}
			for i := range each {
				l := []string{fmt.Sprintf(`{"w":%d,"i":%d}`, w, i), audit(fmt.Sprintf("%d-%d", w, i), "Panic", "")}
				appendTo(t, s, batch("/g", l...))
				acked[l[0]], acked[l[1]] = true, true
				if err := s.Seal(); err != nil {
					t.Error(err)
				}
				if i%10 == 9 {
					got := map[string]bool{}
					for _, l := range cat(t, s, "/g") {
						got[l] = true
					}
					for l := range acked {
						if !got[l] {
							t.Errorf("%s is acknowledged but not there", l)
						}
					}
				}
			}
		})
	}
	ws.Wait()
	close(stop)
	wg.Wait()
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(cat(t, s, "/g")); n != writers*each*2 {
		t.Errorf("%d records, want %d", n, writers*each*2)
	}
	if n := s.Segments(); n > 40 {
		t.Errorf("%d segments are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good(t, dir)
}
