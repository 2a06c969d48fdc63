package store_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"trailward/store"
)

// BenchmarkOpenManySegments opens a data directory of 10,000 segments, each of
// a group of its own.
func BenchmarkOpenManySegments(b *testing.B) {
	const segments = 10_000
	dir := dataDir(b)
	s := openWith(b, dir, func(o *store.Options) { o.SealAge = time.Hour })
	for i := range segments {
		appendTo(b, s, batch(fmt.Sprintf("/group/%d", i), audit(fmt.Sprint(i), "Panic", "")))
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Logf("sealed %d segments in %v", segments, time.Since(began))
	for b.Loop() {
		s := openWith(b, dir, nil)
		if n := s.Segments(); n != segments {
			b.Fatalf("%d segments, want %d", n, segments)
		}
		b.StopTimer()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/segments, "heap-B/segment")
		s.Close()
		b.StartTimer()
	}
}
