package store_test

import (
	"fmt"
	"testing"
	"time"

	"trailward/store"
)

// manySegments makes a store of n small segments, spread over as many groups as
// are wanted, each of a stream of its own and of two events an hour apart from
// those of its neighbour. It returns the data directory.
func manySegments(t testing.TB, n, groups int) string {
	t.Helper()
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	var list []*store.Batch
	flush := func() {
		if err := s.AddSegments(list); err != nil {
			t.Fatal(err)
		}
		list = nil
	}
	for i := range n {
		at := time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC).Format(time.RFC3339)
		line := func(stage string) string {
			return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"%d","stage":%q,"verb":"get","stageTimestamp":%q}`, i, stage, at)
		}
		b := batch(manyGroup(i%groups), line("RequestReceived"), line("ResponseComplete"))
		for j := range b.Records {
			b.Records[j].Stream = fmt.Sprintf("stream-%d", i)
		}
		if list = append(list, b); len(list) == 1000 {
			flush()
		}
	}
	if len(list) > 0 {
		flush()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func manyGroup(i int) string { return fmt.Sprintf("/cluster-%d/namespace-%d", i%100, i/100) }

// many are the sizes of the benchmarks of this file.
var many = []struct{ segments, groups int }{{10_000, 1}, {10_000, 10_000}, {100_000, 100_000}}

// BenchmarkMany opens data directories of many segments, and does what
// goes on in an open store and what is asked of it. TMPDIR=/dev/shm makes them
// a good deal faster.
func BenchmarkMany(b *testing.B) {
	for _, c := range many {
		b.Run(fmt.Sprintf("segments=%d/groups=%d", c.segments, c.groups), func(b *testing.B) {
			dir := manySegments(b, c.segments, c.groups)
			b.Run("open", func(b *testing.B) {
				b.ReportAllocs()
				var took int64
				for b.Loop() {
					b.StopTimer()
					before := heap()
					b.StartTimer()
					s := openWith(b, dir, nil)
					b.StopTimer()
					took = heap() - before
					if n := s.Segments(); n != c.segments {
						b.Fatalf("%d segments, want %d", n, c.segments)
					}
					s.Close()
					b.StartTimer()
				}
				b.ReportMetric(float64(took)/float64(c.segments), "heap-B/segment")
			})
			s := openWith(b, dir, nil)
			defer s.Close()
			s.StopBackground()
			one := manyGroup(c.groups / 2)
			run := func(name string, fn func() error) {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := fn(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			snapshot := func(sel store.Selection) func() error {
				return func() error {
					snap, err := s.Snapshot(sel)
					if err != nil {
						return err
					}
					return snap.Close()
				}
			}
			day := time.Date(2026, 1, 1, c.segments/2, 0, 0, 0, time.UTC)
			run("snapshot/all", snapshot(store.Selection{}))
			run("snapshot/hour", snapshot(store.Selection{Start: day, End: day.Add(time.Hour)}))
			run("snapshot/group", snapshot(store.Selection{Groups: []string{one}}))
			run("snapshot/prefix", snapshot(store.Selection{Groups: []string{"/cluster-7/*"}}))
			run("status", func() error { s.Status(); return nil })
			run("interval", s.RecordInterval)
			run("expire", func() error { _, err := s.Expire(); return err })
			run("choice-of-merges", func() error { s.ChooseMerges(); return nil })
			run("group-infos", func() error { _, err := s.GroupInfos(); return err })
			n := 0
			run("append", func() error {
				n++
				_, err := s.Append(b.Context(), batch(one, audit(fmt.Sprint("new-", n), "Panic", "")))
				return err
			})
		})
	}
}

// A segment in a group of its own must take little memory in an open store, and
// a look at one group nothing for the others that there are.
func TestManyTakeLittle(t *testing.T) {
	const few, more, most = 200, 1000, 520
	took := func(n int) (bytes int64) {
		dir := manySegments(t, n, n)
		heap() // what pools hold goes with the second collection
		before := heap()
		s := openWith(t, dir, nil)
		defer s.Close()
		heap()
		bytes = heap() - before
		if got := s.Status(); got.Segments != int64(n) || got.Groups != int64(n) || got.SegmentBytes == 0 {
			t.Errorf("Status() = %+v, want %d segments and groups", got, n)
		}
		allocs := testing.AllocsPerRun(10, func() {
			snap, err := s.Snapshot(store.Selection{Groups: []string{manyGroup(n / 2)}})
			if err != nil {
				t.Fatal(err)
			}
			if len(snap.Parts()) != 1 {
				t.Errorf("%d parts of one group, want 1", len(snap.Parts()))
			}
			snap.Close()
		})
		if allocs > 8 {
			t.Errorf("a look at one group of %d makes %v allocations, want at most 8", n, allocs)
		}
		return bytes
	}
	small, large := took(few), took(few+more)
	each := (large - small) / more
	t.Logf("%d bytes for each segment and its group", each)
	if each > most {
		t.Errorf("%d bytes for each segment and its group, want at most %d", each, most)
	}
}
