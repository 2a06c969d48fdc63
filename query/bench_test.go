package query

import (
	"fmt"
	"strings"
	"testing"

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
