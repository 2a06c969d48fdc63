package athena

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"trailward/internal/sampletest"
	"trailward/query/plan"
)

type published struct{ ID, Query, Dialect string }

func publishedQueries(t testing.TB) []published {
	f, err := os.Open(filepath.Join(sampletest.Dir(t), "queries", "athena-queries.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	var out []published
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		var p published
		if err := json.Unmarshal(sc.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

var sqlComment = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)

// TestPublished runs every published query over tables without records. What
// fails must be on the list of DESIGN.md, and what is there must fail.
func TestPublished(t *testing.T) {
	opts := options(t)
	notes, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	notes = append(notes, page...)
	total, good := map[string]int{}, map[string]int{}
	for _, p := range publishedQueries(t) {
		bare := strings.ToLower(strings.TrimSpace(sqlComment.ReplaceAllString(p.Query, " ")))
		if !strings.HasPrefix(bare, "select") && !strings.HasPrefix(bare, "with") {
			continue
		}
		_, _, err := run(t, p.Query, opts, nil)
		if err == nil {
			if _, _, err := run(t, p.Query, opts, tableData); err != nil {
				t.Errorf("%s runs over nothing, but not over records: %v", p.ID, err)
			}
		}
		lake := strings.Contains(bare, "amazon_security_lake")
		if !lake {
			total[p.Dialect]++
		}
		if err == nil {
			good[p.Dialect]++
			if strings.Contains(string(notes), p.ID) {
				t.Errorf("%s runs, but DESIGN.md lists it", p.ID)
			}
			continue
		}
		msg := err.Error()
		if i := strings.Index(msg, "Error: "); i > 0 {
			msg = "run: " + msg[i:]
		}
		t.Logf("%s %s: %.200s", p.Dialect, p.ID, msg)
		if !lake && !strings.Contains(string(notes), p.ID) {
			t.Errorf("%s does not run, and DESIGN.md has no reason: %v", p.ID, err)
		}
	}
	for d := range total {
		t.Logf("%s: %d of %d run", d, good[d], total[d])
	}
	if n := total["athena"]; n > 0 && good["athena"]*100 < 85*n {
		t.Errorf("%d of %d Athena queries run, want 85 %%", good["athena"], n)
	}
}

// BenchmarkPrepare is the cost of a question before it runs: three calls of
// DuckDB's parser and one of its printer, and the walks between them.
func BenchmarkPrepare(b *testing.B) {
	opts := options(b)
	const text = `SELECT eventname, useridentity.arn, count(*) AS n FROM cloudtrail WHERE eventtime > '2024' AND json_extract_scalar(requestparameters, '$.bucketName') = 'x' GROUP BY 1, 2 ORDER BY n DESC LIMIT 10`
	for b.Loop() {
		q, err := Prepare(text, opts)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.SQL(func(_ int, fields []plan.FieldRef) (plan.Relation, error) { return relationOf(nil, fields), nil }); err != nil {
			b.Fatal(err)
		}
	}
}
