package query

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/query/plan"
)

// benchPart has 500,000 records of 1,100 bytes, as audit events are.
func benchPart(b *testing.B) *fakePart {
	b.Helper()
	pad := strings.Repeat("x", 1050)
	rows := make([]fakeRow, 500000)
	for i := range rows {
		rows[i] = row(i, fmt.Sprintf(`{"n":%d,"pod":"pod-%05x","pad":"%s"}`, i, i*7919%0x100000, pad), map[string]any{"n": i, "user": fmt.Sprint("user-", i%17843)})
	}
	return newPart(b, "p", "g", trailward.KindJSON, textFields("n#", "user"), rows)
}

// BenchmarkQuery measures what the engine adds to DuckDB's own work: messages
// come from memory.
func BenchmarkQuery(b *testing.B) {
	p := benchPart(b)
	e, _ := newEngine(b, p)
	fields := []plan.FieldRef{ref("n"), ref("user"), ref("@message"), ref("@ptr"), ref("@timestamp")}
	for _, c := range []struct {
		name, sql string
		out       []Column
		want      int
	}{
		{"count", "SELECT count(*) FROM R!", nil, 1},
		{"needle", "SELECT {1} FROM R! WHERE {0} = 123456", nil, 1},
		{"group-by", "SELECT {1}, count(*) AS c FROM R! GROUP BY 1 ORDER BY c DESC LIMIT 20", nil, 20},
		{"message like, all rows", "SELECT {0} FROM R! WHERE {2} LIKE '%pod-edcd5\"%'", nil, 1},
		{"message like, one in a thousand", "SELECT count(*) FROM R! WHERE {1} LIKE '%-17_42' AND {2} LIKE '%pad%'", nil, 1},
		{"newest 100 with message", "SELECT {4}, {3} FROM R! ORDER BY {4} DESC LIMIT 100", []Column{{Name: "t", Type: plan.Time}, {Name: "m", Type: plan.Message}}, 100},
		{"newest 10000 with message", "SELECT {4}, {3} FROM R! ORDER BY {4} DESC LIMIT 10000", []Column{{Name: "t", Type: plan.Time}, {Name: "m", Type: plan.Message}}, 10000},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				got, err := read(e.run(b.Context(), scanTask(Selection{}, fields, c.sql, nil, c.out)))
				if err != nil || len(got) != c.want {
					b.Fatalf("%d rows, %v", len(got), err)
				}
			}
		})
	}
}

// BenchmarkManySegments asks a store of SEGMENTS (default 2,000) segments, each
// the one record of an hour in a group of its own.
func BenchmarkManySegments(b *testing.B) {
	segments := 2000
	if _, err := fmt.Sscan(os.Getenv("SEGMENTS"), &segments); err != nil && os.Getenv("SEGMENTS") != "" {
		b.Fatal(err)
	}
	groups := make(map[string][]string, segments)
	for i := range segments {
		groups[fmt.Sprintf("/g/%05d", i)] = []string{trailLine(epoch.Add(time.Duration(i)*time.Hour), i, "GetObject", "10.0.0.1", "")}
	}
	e, _ := storeEngines(b, realStore(b, groups))
	for _, c := range []struct {
		name string
		req  Request
	}{
		{"one day", Request{Language: SQL, Text: "SELECT count(*) FROM cloudtrail WHERE dt = '2026-01-05'"}},
		{"one day by range", Request{Text: "stats count(*)", Start: epoch.AddDate(0, 0, 3), End: epoch.AddDate(0, 0, 4)}},
		{"one group", Request{Text: "stats count(*)", Groups: []string{"/g/00017"}}},
		{"needle", Request{Text: "filter eventID = 'id-1234' | fields eventName"}},
		{"text", Request{Text: "filter @message like 'id-1234' | fields eventName"}},
		{"all", Request{Text: "stats count(*) by eventName"}},
		{"all, SELECT *", Request{Language: SQL, Text: "SELECT * FROM cloudtrail LIMIT 1"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r, err := e.Query(b.Context(), c.req)
				if _, err := read(r, err); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Stats().SegmentsOpened), "opened")
			}
		})
	}
}

// BenchmarkManyColumns asks a part of 5,000 columns, and fifty parts of a
// thousand of which each has other ones.
func BenchmarkManyColumns(b *testing.B) {
	names := func(prefix string, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%s%d.a", prefix, i))
		}
		return out
	}
	parts := []Part{newPart(b, "wide", "g", trailward.KindJSON, textFields(names("f", 5000)...), []fakeRow{row(0, "m", map[string]any{"f17.a": "x"})})}
	for k := range 50 {
		prefix := fmt.Sprintf("p%d_", k)
		parts = append(parts, newPart(b, prefix, "g", trailward.KindJSON, textFields(append(names(prefix, 1000), "n")...), []fakeRow{row(k, "m", map[string]any{"n": fmt.Sprint(k)})}))
	}
	e, _ := newEngine(b, parts...)
	for _, c := range []struct {
		name string
		req  Request
	}{
		{"one field", Request{Text: "filter f17.a = 'x' | stats count(*)"}},
		{"shared field", Request{Text: "stats count(*) by n"}},
		{"SQL", Request{Language: SQL, Text: `SELECT count(*) FROM json WHERE n = '3'`}},
		{"unknown name", Request{Language: SQL, Text: `SELECT count(*) FROM json WHERE nn = '3'`}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := read(e.Query(b.Context(), c.req)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
