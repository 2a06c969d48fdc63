package query

import (
	"fmt"
	"testing"
	"time"

	"trailward"
)

// TestRecordsMatched holds the count of matching records against what it is by
// construction: 3,000 records in three parts, of which every tenth has v = 'x',
// and every hundredth of these has n below 30.
func TestRecordsMatched(t *testing.T) {
	var parts []Part
	for d := range 3 {
		var rows []fakeRow
		for i := range 1000 {
			v := "y"
			if i%10 == 0 {
				v = "x"
			}
			rows = append(rows, row(d*1000+i, fmt.Sprintf("message %s %d", v, i), map[string]any{"n": i, "v": v, "w": fmt.Sprint("w", i%7)}))
		}
		parts = append(parts, newPart(t, fmt.Sprint(d), fmt.Sprint("/g/", d), trailward.KindJSON, textFields("n#", "v", "w"), rows))
	}
	e, _ := newEngine(t, parts...)
	for _, c := range []struct {
		lang Language
		text string
		end  time.Time
		want int64
	}{
		{text: "fields n | limit 5", want: 3000},
		{text: "stats count(*)", want: 3000},
		{text: "stats count(*) by v | filter v = 'x'", want: 3000},
		{text: "stats count(*)", end: epoch.Add(1499 * time.Second), want: 1500},
		{text: "fields n | sort n desc | limit 5", end: epoch.Add(1499 * time.Second), want: 1500},
		{text: "filter v = 'x' | stats count(*) by w", want: 300},
		{text: "filter v = 'x' | stats count(*) as c by w | filter w = 'w1' and c > 3 | limit 1", want: 300},
		{text: "filter v = 'x' | stats count(*) as c by w | stats max(c)", want: 300},
		{text: "filter v = 'x' | fields n | sort n desc | limit 3", want: 300},
		{text: "filter v = 'x' | sort w asc | limit 3", want: 300},
		{text: "fields n, n * 2 as m | filter m < 60 | filter v = 'x' | sort m", want: 9},
		{text: "filter v = 'x' | limit 7 | filter n < 30", want: 300},
		{text: "filter @message like / x / | stats count(*) by w", want: 300},
		{text: "filter @message like ' x ' and n < 30 | fields @message | limit 2", want: 9},
		{text: "parse @message 'message * *' as a, b | filter a = 'x' | stats count(*)", want: 300},
		{text: "filter v = 'x' | pattern @message", want: 300},
		{text: "filter v = 'none'", want: 0},
		{text: "SOURCE '/g/1' | filter v = 'x'", want: 100},
		{text: "filter v = 'x' and w in (SOURCE '/g/2' | filter n = 3 | fields w)", want: 45},
		{lang: SQL, text: "SELECT count(*) FROM json", want: 3000},
		{lang: SQL, text: "SELECT 1", want: 0},
		{lang: SQL, text: "SELECT n FROM json LIMIT 3", want: 3000},
		{lang: SQL, text: "SELECT count(*) FROM json", end: epoch.Add(1499 * time.Second), want: 1500},
		{lang: SQL, text: "SELECT w, count(*) FROM json WHERE v = 'x' GROUP BY w HAVING w = 'w1'", want: 300},
		{lang: SQL, text: "SELECT n FROM json WHERE v = 'x' ORDER BY n DESC LIMIT 3", want: 300},
		{lang: SQL, text: "SELECT n FROM json WHERE CAST(n AS varchar) LIKE '1%' AND v = 'x' ORDER BY 1 LIMIT 3", want: 33},
		{lang: SQL, text: `SELECT count(*) FROM json AS j WHERE j."@message" LIKE '% x %' OR n = 1`, want: 303},
		{lang: SQL, text: "WITH a AS (SELECT n, w FROM json WHERE v = 'x') SELECT w, count(*) FROM a WHERE w = 'w1' GROUP BY w", want: 42},
		{lang: SQL, text: "WITH a AS (SELECT n, w FROM json WHERE v = 'x') SELECT w, count(*) FROM a GROUP BY w HAVING w = 'w1'", want: 300},
	} {
		r, err := e.Query(t.Context(), Request{Language: c.lang, Text: c.text, End: c.end})
		got, err := read(r, err)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if n := r.Stats().RecordsMatched; n != c.want {
			t.Errorf("%s: %d records matched, want %d (%d rows)", c.text, n, c.want, len(got))
		}
	}
	for _, text := range []string{"SELECT trailward_matched()", "SELECT count(*) FROM json WHERE trailward_matched()"} {
		if got, err := read(e.Query(t.Context(), Request{Language: SQL, Text: text})); err == nil {
			t.Errorf("%s = %v, want an error", text, got)
		}
	}
}
