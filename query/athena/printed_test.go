package athena

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"trailward/query/plan"
)

// randomExprs makes random expressions of the things that translations put together
// anew: conditions on the record, comparisons that coerce, functions that become
// templates, and all spellings of constants, nested in one another.
type randomExprs struct{ rng *rand.Rand }

func (e randomExprs) pick(s ...string) string { return s[e.rng.IntN(len(s))] }

func (e randomExprs) text(d int) string {
	if d <= 0 {
		return e.pick(`"@message"`, "verb", "kind", `"user".username`, "sourceips[1]", "'a'", "'it''s (x'", "'%a_b\\c'", "''", "E'a\\tb'", "'é😀'", "requesturi", "year")
	}
	switch e.rng.IntN(12) {
	case 0:
		return fmt.Sprintf("lower(%s)", e.text(d-1))
	case 1:
		return fmt.Sprintf("%s || %s", e.text(d-1), e.text(d-1))
	case 2:
		return fmt.Sprintf("coalesce(%s, %s)", e.text(d-1), e.text(d-1))
	case 3:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", e.cond(d-1), e.text(d-1), e.text(d-1))
	case 4:
		return fmt.Sprintf("substr(%s, %s)", e.text(d-1), e.number(d-1))
	case 5:
		return fmt.Sprintf("CAST(%s AS varchar)", e.pick(e.number(d-1), e.cond(d-1), e.time(d-1)))
	case 6:
		return fmt.Sprintf("json_extract_scalar(%s, '$.a[0].\"b c\"')", e.text(d-1))
	case 7:
		return fmt.Sprintf("regexp_replace(%s, '(a)|\\(', '$1')", e.text(d-1))
	case 8:
		return fmt.Sprintf("regexp_extract(%s, '(?i)(a)|(b)', 1)", e.text(d-1))
	case 9:
		return fmt.Sprintf("split_part(%s, '/', 2)", e.text(d-1))
	case 10:
		return fmt.Sprintf("if(%s, %s)", e.cond(d-1), e.text(d-1))
	}
	return e.text(0)
}

func (e randomExprs) number(d int) string {
	if d <= 0 {
		return e.pick("1", "-1", "0", "1.50", "-2e3", "7e0", "9223372036854775807", "NULL", "DECIMAL '1.10'")
	}
	switch e.rng.IntN(9) {
	case 0:
		return fmt.Sprintf("(%s %s %s)", e.number(d-1), e.pick("+", "-", "*", "/", "%"), e.number(d-1))
	case 1:
		return fmt.Sprintf("length(%s)", e.text(d-1))
	case 2:
		return fmt.Sprintf("strpos(%s, 'kube')", e.text(d-1))
	case 3:
		return fmt.Sprintf("- (%s)", e.number(d-1))
	case 4:
		return fmt.Sprintf("abs(%s)", e.number(d-1))
	case 5:
		return fmt.Sprintf("TRY_CAST(%s AS %s)", e.text(d-1), e.pick("integer", "bigint", "double", "decimal(10, 2)"))
	case 6:
		return fmt.Sprintf("try(%s)", e.number(d-1))
	case 7:
		return fmt.Sprintf("greatest(%s, %s)", e.number(d-1), e.number(d-1))
	}
	return fmt.Sprintf("date_diff('day', %s, %s)", e.time(d-1), e.time(d-1))
}

func (e randomExprs) time(d int) string {
	if d <= 0 {
		return e.pick(`"@timestamp"`, "timestamp '2024-01-02 03:04:05'", "date '2024-01-02'", "current_timestamp", "from_iso8601_timestamp('2024-01-02T03:04:05Z')")
	}
	switch e.rng.IntN(4) {
	case 0:
		return fmt.Sprintf("date_trunc('day', %s)", e.time(d-1))
	case 1:
		return fmt.Sprintf("%s - interval '1' day", e.time(d-1))
	case 2:
		return fmt.Sprintf("date_add('day', 1, %s)", e.time(d-1))
	}
	return e.time(0)
}

func (e randomExprs) cond(d int) string {
	if d <= 0 {
		return e.pick(`"@message" LIKE '%secret%'`, `"@message" LIKE '%kube%exec%'`, `regexp_like("@message", '(?i)secret')`, `strpos("@message", 'kube') > 0`, `"@message" NOT LIKE '%kube%exec%'`,
			"verb = 'get'", "true", "NULL", "verb IS NULL", "verb IN ('get', 'list')", "verb NOT IN ('get')")
	}
	switch e.rng.IntN(13) {
	case 0, 1:
		return fmt.Sprintf("(%s AND %s)", e.cond(d-1), e.cond(d-1))
	case 2, 3:
		return fmt.Sprintf("(%s OR %s)", e.cond(d-1), e.cond(d-1))
	case 4:
		return fmt.Sprintf("NOT (%s)", e.cond(d-1))
	case 5:
		return fmt.Sprintf("%s %s %s", e.number(d-1), e.pick("=", "<>", "<", ">="), e.number(d-1))
	case 6:
		return fmt.Sprintf("%s %s %s", e.time(d-1), e.pick("=", "<", ">="), e.time(d-1))
	case 7:
		return fmt.Sprintf("%s %s '%s'", e.text(d-1), e.pick("LIKE", "NOT LIKE"), e.pick("%kube%exec%", "%(a%", "a_%", "%''%"))
	case 8:
		return fmt.Sprintf("(%s %s BETWEEN %s AND %s)", e.number(d-1), e.pick("", "NOT"), e.number(d-1), e.number(d-1))
	case 9:
		return fmt.Sprintf("(%s) %s", e.cond(d-1), e.pick("IS NULL", "IS NOT NULL"))
	case 10:
		return fmt.Sprintf("regexp_like(%s, '%s')", e.text(d-1), e.pick("(?i)secret", "kube(let|proxy)", "a|b", "\\(x"))
	case 11:
		return fmt.Sprintf("%s %s (%s, %s)", e.text(d-1), e.pick("IN", "NOT IN"), e.text(d-1), e.text(d-1))
	}
	return fmt.Sprintf("%s %s %s", e.text(d-1), e.pick("=", "IS DISTINCT FROM", "<>"), e.text(d-1))
}

// TestPrinted asks what random nested conditions become. Each that is taken must
// be printed as the tree that it is (Query.print compares them).
func TestPrinted(t *testing.T) {
	const queries = 500
	opts := options(t)
	opts.Holds = true
	e := randomExprs{rand.New(rand.NewPCG(3, 5))}
	ran := 0
	for range queries {
		text := fmt.Sprintf("SELECT %s AS a, count(*) FILTER (WHERE %s) AS n FROM k8s_audit WHERE %s GROUP BY 1 HAVING %s ORDER BY 1", e.text(2), e.cond(2), e.cond(4), "count(*) > "+e.pick("0", "1"))
		q, err := Prepare(text, opts)
		if err != nil {
			continue // refused, with a reason: a number beside a text
		}
		ran++
		if _, err := q.SQL(func(_ int, fields []plan.FieldRef) (plan.Relation, error) { return relationOf(nil, fields), nil }); err != nil {
			t.Errorf("SQL of %s = %.300v", text, err)
		}
	}
	if ran < queries/2 {
		t.Errorf("%d of %d random queries were taken, want most", ran, queries)
	}
}
