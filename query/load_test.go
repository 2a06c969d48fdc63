package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"trailward"
	"trailward/query/duck"
)

// loadEngine is an engine of four places and little memory over 40,000 records.
func loadEngine(t *testing.T, memory int64) (*Engine, *fakeStore) {
	t.Helper()
	var parts []Part
	for d := range 8 {
		var rows []fakeRow
		for i := range 5000 {
			rows = append(rows, row(d*5000+i, fmt.Sprintf("message %d of %d %s", i, d, strings.Repeat("x", 200)), map[string]any{"n": i, "u": fmt.Sprint("user-", i%50), "id": fmt.Sprintf("id-%d-%d", d, i)}))
		}
		parts = append(parts, newPart(t, fmt.Sprint(d), "g", trailward.KindJSON, textFields("n#", "u", "id"), rows))
	}
	store := &fakeStore{parts: parts}
	e, err := New(Options{Snapshot: store.snapshot, Pool: duck.Config{Concurrency: 4, Memory: memory, Threads: 2}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e, store
}

// until waits for a state that must come.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not so after 20 s", what)
		}
	}
}

// spare is how many more goroutines than before there may be when none is left:
// the runtime's own come and go, and a thread of DuckDB that has called a function
// of ours once counts as one until it ends with its instance. Of these there is
// one in each of the four places.
const spare = 3 + 4

// free checks that nothing is held for any question any more.
func free(t *testing.T, e *Engine, store *fakeStore, goroutines int) {
	t.Helper()
	until(t, "all is free", func() bool {
		l := e.Load()
		return l.Sessions == 0 && l.Waiting == 0 && l.Descriptors == 0 && store.open.Load() == 0 && runtime.NumGoroutine() <= goroutines+spare
	})
	if l := e.Load(); l.Instances > 4 {
		t.Errorf("Load() = %+v, want at most 4 instances", l)
	}
	for _, dir := range []string{".", os.TempDir()} {
		found, _ := filepath.Glob(filepath.Join(dir, "duckdb_temp*"))
		more, _ := filepath.Glob(filepath.Join(dir, ".tmp*", "duckdb*"))
		if found = append(found, more...); len(found) > 0 {
			t.Errorf("DuckDB has spilled to %v", found)
		}
	}
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if name, err := os.Readlink(fd); err == nil && strings.Contains(name, "duckdb_temp") {
			t.Errorf("DuckDB has %s open", name)
		}
	}
}

const endless = "SELECT count(*) FROM json a CROSS JOIN json b CROSS JOIN json c WHERE a.n * b.n + c.n = -1"

// hungry are questions that want more memory than a question may have, however
// they go about it.
var hungry = []string{
	"SELECT array_agg(a.id || b.id) FROM json a CROSS JOIN json b",
	"SELECT a.id || b.id AS x FROM json a CROSS JOIN json b ORDER BY 1",
	"SELECT a.id || b.id || c.id, count(*) FROM json a CROSS JOIN json b CROSS JOIN json c GROUP BY 1",
	"SELECT count(DISTINCT a.id || b.id) FROM json a CROSS JOIN json b",
}

// TestHundredAtOnce: a hundred questions share four places; those that want too
// much end at their budget, and the others get their right answers.
func TestHundredAtOnce(t *testing.T) {
	const memory = 256 << 20
	e, store := loadEngine(t, memory)
	if _, err := read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT count(*) FROM json"})); err != nil {
		t.Fatal(err) // the parser's instance is there from now on
	}
	goroutines := runtime.NumGoroutine()
	runtime.GC()
	before, peak := peakMemory(t)
	var g errgroup.Group
	var most atomic.Int64
	for i := range 100 {
		g.Go(func() error {
			var err error
			var got [][]any
			switch {
			case i%10 == 3:
				_, err = read(e.Query(t.Context(), Request{Language: SQL, Text: hungry[i/10%len(hungry)]}))
				var mem *duck.MemoryError
				if !errors.As(err, &mem) {
					return fmt.Errorf("%s = %w, want a MemoryError", hungry[i/10%len(hungry)], err)
				}
				return nil
			case i%10 == 6: // goes away
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := e.Query(ctx, Request{Text: "fields @message"})
				if err != nil {
					return err
				}
				r.Next()
				return r.Close()
			case i%2 == 0:
				got, err = read(e.Query(t.Context(), Request{Text: "filter @message like / 17 of / | stats count(*) as c"}))
				if err == nil && got[0][0] != int64(8) {
					err = fmt.Errorf("count = %v, want 8", got)
				}
			default:
				got, err = read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT u, count(*) FROM json GROUP BY u ORDER BY u"}))
				if err == nil && (len(got) != 50 || got[0][1] != int64(800)) {
					err = fmt.Errorf("groups = %v, want 50 of 800", got)
				}
			}
			for now := int64(e.Load().Sessions); ; {
				was := most.Load()
				if now <= was || most.CompareAndSwap(was, now) {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if most.Load() > 4 {
		t.Errorf("%d sessions at once, want at most 4", most.Load())
	}
	free(t, e, store, goroutines)
	// DuckDB's own bound is for all together; our rows, and what allocators keep,
	// come on top.
	if used := peak() - before; used > memory+memory/2 {
		t.Errorf("%d MiB at most, want %d", used>>20, (memory+memory/2)>>20)
	}
}

// peakMemory returns the resident memory and what tells its peak from now on.
func peakMemory(t testing.TB) (now int64, peak func() int64) {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("the peak of the memory cannot be reset: %v", err)
	}
	peak = func() int64 {
		f, err := os.Open("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if v, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
				n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n << 10
			}
		}
		t.Fatal("no VmHWM in /proc/self/status")
		return 0
	}
	return peak(), peak
}

// TestCancelFreesAll: questions that would never end, and those that wait behind
// them, leave nothing when their askers go away.
func TestCancelFreesAll(t *testing.T) {
	e, store := loadEngine(t, 256<<20)
	if _, err := read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT count(*) FROM json"})); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	for _, text := range []string{endless, "SELECT a.\"@message\" FROM json a CROSS JOIN json b WHERE lower(a.\"@message\" || b.\"@message\") LIKE '%no such%'", hungry[2]} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 12)
		for range cap(done) {
			go func() {
				_, err := read(e.Query(ctx, Request{Language: SQL, Text: text}))
				done <- err
			}()
		}
		until(t, "four run, the others wait", func() bool { l := e.Load(); return l.Sessions == 4 && l.Waiting == 8 || len(done) > 0 })
		cancel()
		for range cap(done) {
			var mem *duck.MemoryError
			if err := <-done; !errors.Is(err, context.Canceled) && !errors.As(err, &mem) {
				t.Errorf("%s = %v, want canceled", text, err)
			}
		}
		free(t, e, store, goroutines)
	}
}

// TestRowTooLarge: one row cannot take more than its bound outside of DuckDB's
// memory, where nothing else counts it.
func TestRowTooLarge(t *testing.T) {
	e, store := loadEngine(t, 2<<30)
	goroutines := runtime.NumGoroutine()
	_, err := read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT array_agg(a.n + b.n) FROM json a JOIN json b ON b.n < 60 AND a.n < 900"}))
	if err == nil || !strings.Contains(err.Error(), "a row of the answer takes more than the limit of 64 MiB") {
		t.Errorf("a list of millions = %v, want an error", err)
	}
	free(t, e, store, goroutines)
	got, err := read(e.Query(t.Context(), Request{Language: SQL, Text: `SELECT array_join(repeat("@message", 10000), '') AS m FROM json WHERE n < 2 LIMIT 9`}))
	if err != nil || len(got) != 9 || slices.ContainsFunc(got, func(r []any) bool { return len(r[0].(string)) < 2<<20 }) {
		t.Errorf("nine rows of megabytes: %d, %v", len(got), err)
	}
}
