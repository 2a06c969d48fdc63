package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trailward/store"
)

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What the head's weight is made of must cover what it takes in memory.
func TestTheHeadWeighsWhatItTakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		groups int
		each   int
		line   func(i int) string
	}{
		{"a record in each of many groups", 500, 1, func(i int) string { return audit(fmt.Sprint(i), "Panic", "") }},
		{"many short lines", 1, 100_000, func(i int) string { return fmt.Sprint("line ", i) }},
		{"many events", 1, 20_000, func(i int) string {
			return audit(fmt.Sprint(i), "Panic", `,"requestURI":"/api/v1/pods/`+strings.Repeat("p", 500)+fmt.Sprint(i)+`"`)
		}},
		{"a field of its own in each", 1, 3000, func(i int) string { return fmt.Sprintf(`{"field%d":"x"}`, i) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openWith(t, dataDir(t), nil)
			defer s.Close()
			before := heap()
			for g := range c.groups {
				var lines []string
				for i := range c.each {
					if lines = append(lines, c.line(g*c.each+i)); len(lines) == 1000 || i == c.each-1 {
						appendTo(t, s, batch(fmt.Sprint("/g", g), lines...))
						lines = nil
					}
				}
			}
			took, weight := heap()-before, s.HeadBytes()
			t.Logf("%d bytes taken, weight %d", took, weight)
			if took > weight+(8<<20) {
				t.Errorf("the head takes %d bytes, its weight is %d", took, weight)
			}
		})
	}
}

// Far more than can be sealed comes: memory stays bounded, what is refused is
// refused by name, what is acknowledged is there.
func TestOverload(t *testing.T) {
	dir := dataDir(t)
	const sealBytes = 1 << 20
	s := openWith(t, dir, func(o *store.Options) { o.SealBytes = sealBytes; o.NoCompaction = false })
	var acked, refused atomic.Int64
	var most atomic.Int64
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for w := range 40 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				lines := make([]string, 100)
				for k := range lines {
					lines[k] = fmt.Sprintf(`{"w":%d,"i":%d,"k":%d,"pad":%q}`, w, i, k, strings.Repeat("p", 200))
				}
				_, err := s.Append(context.Background(), batch("/g", lines...))
				switch {
				case err == nil:
					acked.Add(100)
				case errors.Is(err, store.ErrOverloaded):
					refused.Add(100)
					runtime.Gosched()
				default:
					t.Error(err)
				}
				for n := s.HeadBytes(); ; {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d acknowledged, %d refused, the head at most %d bytes", acked.Load(), refused.Load(), most.Load())
	if limit := int64(store.MaxHeads*sealBytes + 40*100*400); most.Load() > limit {
		t.Errorf("the head grew to %d bytes, want at most %d", most.Load(), limit)
	}
	if n := len(cat(t, s, "/g")); int64(n) != acked.Load() {
		t.Errorf("%d records, %d acknowledged", n, acked.Load())
	}
	s.Close()
	good(t, dir)
}
