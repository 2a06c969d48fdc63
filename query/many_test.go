package query

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/intake"
	"trailward/query/duck"
	"trailward/store"
)

// manyLine is record i of a group and round: of one of three kinds, the JSON of
// no kind having fields that others lack, or have as another type.
func manyLine(group, round, i int) string {
	n := (group*31+round)*31 + i
	at := epoch.Add(time.Duration(round)*time.Hour + time.Duration(group)*time.Second + time.Duration(i)*time.Millisecond)
	switch i % 3 {
	case 0:
		extra := ""
		if round%4 == 1 {
			extra = fmt.Sprintf(`,"errorCode":"E%d"`, n%3)
		}
		return trailLine(at.Truncate(time.Second), n, []string{"GetObject", "PutObject", "ListBuckets"}[n%3], fmt.Sprintf("10.%d.0.%d", n%7, n%50), extra)
	case 1:
		return flowLine(at, n)
	}
	v := fmt.Sprint(n % 10)
	if group%5 == 2 {
		v = fmt.Sprintf(`"v%d"`, n%10)
	}
	return fmt.Sprintf(`{"time":%q,"level":"info","msg":"said %d","value":%s,"f%d":"x%d","@group":"own %d"}`, at.UTC().Format("2006-01-02T15:04:05.000Z"), n, v, group%6, n%4, n%2)
}

// manyStore is a store of segments of three kinds in a third as many groups
// times rounds, each of a few records. In the second store the same records lie
// in one group, in one segment of each kind.
func manyStore(t testing.TB, groups, rounds int, both bool) (many, one *store.Store) {
	t.Helper()
	still := func(o *store.Options) { o.NoCompaction = true }
	many, one = emptyStore(t, still), emptyStore(t, still)
	p := intake.NewPreparer()
	for round := range rounds {
		for group := range groups {
			for _, s := range []*store.Store{many, one} {
				if s == one && !both {
					continue
				}
				b := &store.Batch{Group: fmt.Sprintf("/g/%05d", group)}
				if s == one {
					b.Group = "/all"
				}
				for i := range 6 {
					r, _, _ := p.Prepare(&trailward.Framed{Raw: []byte(manyLine(group, round, i))}, b.Group, "s", epoch)
					r.Raw, r.Arrival = slices.Clone(r.Raw), 0
					b.Records = append(b.Records, r)
				}
				if _, err := s.Append(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := many.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Seal(); err != nil {
		t.Fatal(err)
	}
	return many, one
}

func countParts(t testing.TB, s *store.Store) int {
	t.Helper()
	snap, err := s.Snapshot(store.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	return len(snap.Parts())
}

// TestManySegments asks 3,000 segments, and the same records in three, with room
// for 64 files.
func TestManySegments(t *testing.T) {
	const groups, rounds = 250, 4
	many, one := manyStore(t, groups, rounds, true)
	if n := countParts(t, many); n != 3*groups*rounds {
		t.Fatalf("%d segments, want %d", n, 3*groups*rounds)
	}
	if n := countParts(t, one); n != 3 {
		t.Fatalf("%d segments, want 3", n)
	}
	engine := func(s *store.Store) *Engine {
		e, err := New(Options{Snapshot: Stored(s), Pool: duck.Config{Concurrency: 1, Threads: 2, Memory: 256 << 20, Files: 64}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close(context.Background()) })
		return e
	}
	em, eo := engine(many), engine(one)
	const all = 6 * groups * rounds
	for _, c := range []struct {
		lang Language
		text string
	}{
		{Insights, "stats count(*) as n, min(@timestamp) as a, max(@timestamp) as b by @kind | sort n desc, @kind"},
		{Insights, "stats count(*) as n, count_distinct(sourceIPAddress) as d by eventName | sort n desc, eventName"},
		{Insights, "filter eventName = 'PutObject' and requestParameters.bucketName like /1/ | stats count(*) as n by userIdentity.arn | sort userIdentity.arn"},
		{Insights, "filter @message like /said 12\\d\\d\\d/ | fields @timestamp, @message, value | sort @message | limit 200"},
		{Insights, "fields @timestamp, @message, @kind, f0, f3, `@group` | sort @timestamp asc, @message asc | limit 300"},
		{Insights, "stats count(*) as n by value | sort value"},
		{Insights, "stats count(*) as n by errorCode | sort errorCode"},
		{Insights, "stats sum(bytes) as s, count(*) as n by dstPort | sort dstPort"},
		{Insights, "stats count(*) as n by `@group`, f2 | sort `@group`, f2"},
		{Insights, "filter eventID = 'id-16402' | fields eventName, @message"},
		{SQL, "SELECT eventname, count(*) AS n, count(DISTINCT useridentity.arn) AS u FROM cloudtrail GROUP BY 1 ORDER BY 1"},
		{SQL, "SELECT * FROM cloudtrail ORDER BY eventid LIMIT 20"},
		{SQL, "SELECT count(*), sum(bytes), min(srcaddr), max(dstaddr) FROM vpc_flow WHERE dstport = 443"},
		{SQL, `SELECT a.eventname, count(*) FROM cloudtrail a JOIN vpc_flow b ON a."@timestamp" = date_trunc('second', b."@timestamp") GROUP BY 1 ORDER BY 1`},
		{SQL, `SELECT kind, count(*), count("@message"), count(DISTINCT "@message") FROM logs GROUP BY 1 ORDER BY 1`},
		{SQL, `SELECT count(*) FROM cloudtrail WHERE "@timestamp" BETWEEN timestamp '2026-01-02 01:00:30' AND timestamp '2026-01-02 02:00:30'`},
	} {
		var answers [2][][]any
		for i, e := range []*Engine{em, eo} {
			var err error
			r, err := e.Query(t.Context(), Request{Language: c.lang, Text: c.text, Now: epoch})
			if answers[i], err = read(r, err); err != nil {
				t.Fatalf("%s: %v", c.text, err)
			}
			if cols := r.Columns(); cols[len(cols)-1].Name == fieldPtr { // those differ
				for k, row := range answers[i] {
					answers[i][k] = row[:len(row)-1]
				}
			}
			if st := r.Stats(); i == 0 && strings.Contains(c.text, "@kind") && (st.SegmentsOpened != 3*groups*rounds || st.RecordsScanned != all || st.BytesScanned == 0) {
				t.Errorf("%s: stats %+v", c.text, st)
			}
		}
		if len(answers[0]) == 0 || !reflect.DeepEqual(answers[0], answers[1]) {
			t.Errorf("%s\n= %d rows %.2000v\nwant %d %.2000v", c.text, len(answers[0]), answers[0], len(answers[1]), answers[1])
		}
	}
	// The log groups are those of the parts.
	got, err := read(em.Query(t.Context(), Request{Text: "stats count(*) as n by @log | sort @log | limit 10000"}))
	if err != nil || len(got) != groups {
		t.Fatalf("%d groups, %v", len(got), err)
	}
	for i, row := range got {
		if want := []any{fmt.Sprintf("%s:/g/%05d", DefaultAccountID, i), int64(6 * rounds)}; !reflect.DeepEqual(row, want) {
			t.Fatalf("group %d = %v, want %v", i, row, want)
		}
	}
	// A pointer leads to its record.
	snap, err := many.Snapshot(store.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	parts := map[string]store.Part{}
	for _, p := range snap.Parts() {
		parts[p.ID()] = p
	}
	if got, err = read(em.Query(t.Context(), Request{Text: "fields @ptr, @message, @log | limit 10000"})); err != nil || len(got) != all {
		t.Fatalf("%d records, %v", len(got), err)
	}
	seen := map[string]bool{}
	for _, row := range got {
		id, n, err := ParsePointer(row[0].(string))
		if err != nil || parts[id] == nil || seen[row[0].(string)] || !strings.HasSuffix(row[2].(string), parts[id].Group()) {
			t.Fatalf("pointer of %v: %v", row, err)
		}
		seen[row[0].(string)] = true
		if err := parts[id].Records([]int64{n}, func(_ int64, r *trailward.Record) error {
			if string(r.Raw) != row[1] {
				return fmt.Errorf("pointer leads to %s, the message is %s", r.Raw, row[1])
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestColumnsLimit: what a question may have in memory at once is bounded, by its
// own and what it can borrow.
func TestColumnsLimit(t *testing.T) {
	s := emptyStore(t, func(o *store.Options) { o.QueryBytes, o.CacheBytes = 48<<10, 16<<10 })
	p := intake.NewPreparer()
	b := &store.Batch{Group: "g"}
	for i := range 5000 {
		r, _, _ := p.Prepare(&trailward.Framed{Raw: []byte(trailLine(epoch.Add(time.Duration(i)*time.Second), i, "GetObject", "10.0.0.1", fmt.Sprintf(`,"x":"%x"`, i*7919)))}, "g", "s", epoch)
		r.Raw, r.Arrival = slices.Clone(r.Raw), 0
		b.Records = append(b.Records, r)
	}
	if _, err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	e, _ := storeEngines(t, s)
	for range 2 { // the second time nothing is left of the first
		_, err := read(e.Query(t.Context(), Request{Text: "stats count_distinct(eventID) as a, count_distinct(x) as b, count_distinct(@timestamp) as c"}))
		var limit *store.ColumnsError
		if !errors.As(err, &limit) || limit.Limit != 64<<10 {
			t.Errorf("error = %v, want a ColumnsError of 64 KiB", err)
		}
		if got, err := read(e.Query(t.Context(), Request{Text: "stats count(*) as n by eventName"})); err != nil || got[0][1] != int64(5000) {
			t.Errorf("one column = %v, %v", got, err)
		}
	}
}

// BenchmarkManySmall asks SEGMENTS (default 10,000) segments of three kinds, of
// two records each, in 500 groups.
func BenchmarkManySmall(b *testing.B) {
	segments := 10_000
	if _, err := fmt.Sscan(os.Getenv("SEGMENTS"), &segments); err != nil && os.Getenv("SEGMENTS") != "" {
		b.Fatal(err)
	}
	const groups = 500
	s, _ := manyStore(b, groups, (segments+3*groups-1)/(3*groups), false)
	b.Logf("%d segments", countParts(b, s))
	e, _ := storeEngines(b, s)
	for _, c := range []struct {
		name string
		req  Request
	}{
		{"count", Request{Text: "stats count(*)"}},
		{"group-by", Request{Text: "stats count(*) as n by eventName"}},
		{"by log group", Request{Text: "stats count(*) as n by @log"}},
		{"messages", Request{Text: "fields @timestamp, @message | sort @timestamp desc | limit 100"}},
		{"SQL", Request{Language: SQL, Text: "SELECT eventname, count(DISTINCT sourceipaddress) FROM cloudtrail GROUP BY 1"}},
		{"an hour", Request{Text: "stats count(*) as n by eventName", Start: epoch.Add(time.Hour), End: epoch.Add(2 * time.Hour)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var first time.Duration
			ask := func() {
				if _, err := read(e.Query(b.Context(), c.req)); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			before, peak := peakMemory(b)
			cpu := cpuTime(b)
			ask()
			first = cpuTime(b) - cpu
			cpu = cpuTime(b)
			n := 0
			for b.Loop() {
				ask()
				n++
			}
			b.ReportMetric(float64(first.Microseconds())/1000, "first-cpu-ms")
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(n)/1000, "cpu-ms/op")
			b.ReportMetric(float64(peak()-before)/(1<<20), "grown-MiB")
		})
	}
}
