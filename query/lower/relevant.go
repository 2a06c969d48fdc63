package lower

import (
	"strconv"
	"strings"

	"trailward/query/plan"
)

// topContributors is how many values of a field are named.
const topContributors = 5

// relevant lowers the comparison of the rows that pass a condition with the
// others. Of a field the values are counted on both sides; the score says how
// far the two distributions are apart: for numbers the largest distance of the
// two shares that lie below some value (Kolmogorov and Smirnov's), for other
// values half the sum of the differences of their shares. A missing value counts
// as one. Of both the distance that chance alone would make is taken off: a field
// that has another value in each row is otherwise as far apart as can be.
func (l *lowerer) relevant(n *plan.Relevant) error {
	if l.d.Name() != DuckDB.Name() {
		return errorf(n.Cond, "", "relevantfields cannot be said in %s's SQL", l.d.Name())
	}
	cond, err := l.cond(n.Cond, false)
	if err != nil {
		return err
	}
	values, names := make([]string, len(n.Fields)), make([]string, len(n.Fields))
	for i, f := range n.Fields {
		v, err := l.expr(f.Expr)
		if err != nil {
			return err
		}
		if v.doc || v.typ == plan.List {
			return errorf(f.Expr, "take one of its parts", "relevance of a map or list")
		}
		values[i], names[i] = l.text(v).sql, l.d.Text(f.Name)
	}
	if err := l.flush(); err != nil {
		return err
	}
	number, err := l.op(opNumber, `"x"`)
	if err != nil {
		return err
	}
	finite, err := l.op(opFinite, `"y"`, `"x"`)
	if err != nil {
		return err
	}
	// The fields of a row are taken one after the other, so that no more is held
	// than the different values, and these with how often each side has them.
	for _, sel := range []string{
		`SELECT ` + cond + ` AS "cond", [` + strings.Join(values, ", ") + `] AS "all" FROM %`,
		`SELECT "cond", unnest(range(1, ` + strconv.Itoa(len(values)+1) + `)) AS "f", unnest("all") AS "x" FROM %`,
		`SELECT "f", "x", count(*) FILTER (WHERE "cond") AS "a", count(*) FILTER (WHERE NOT "cond") AS "b" FROM % GROUP BY 1, 2`,
		`SELECT *, ` + number + ` AS "y" FROM %`,
	} {
		if err := l.over1(sel, false); err != nil {
			return err
		}
	}
	if err := l.over1(`SELECT "f", "x", "a", "b", `+finite+` AS "n" FROM %`, true); err != nil {
		return err
	}
	each := l.from
	const sums = `SELECT "f", CAST(sum("a") AS DOUBLE) AS "n1", CAST(sum("b") AS DOUBLE) AS "n0", ` +
		`CAST(sum("a") FILTER (WHERE "x" IS NOT NULL) AS DOUBLE) AS "a1", CAST(sum("b") FILTER (WHERE "x" IS NOT NULL) AS DOUBLE) AS "b1", ` +
		`bool_and("x" IS NULL OR "n" IS NOT NULL) AS "numeric" FROM % GROUP BY 1 HAVING sum("a") > 0 AND sum("b") > 0 AND count("x") > 0`
	if err := l.over1(sums, true); err != nil {
		return err
	}
	fields := l.from
	const shares = `"a" / "n1" - "b" / "n0" AS "shift", ("a" + "b") / ("n1" + "n0") AS "share"`
	texts := `SELECT "f", least(sum(CASE WHEN "a" + "b" = 1 THEN 2 * "share" ELSE 0.8e0 * sqrt("share" * (1 - "share") * (1 / "n1" + 1 / "n0")) END) / 2, 1) AS "chance", sum(abs("shift")) / 2 AS "distance", ` +
		`arg_max({'value': "x", 'condition': round("a" / "n1", 4), 'baseline': round("b" / "n0", 4)}, (round(abs("shift"), 9), "a" + "b", "x"), ` + strconv.Itoa(topContributors) +
		`) FILTER (WHERE "x" IS NOT NULL AND "shift" <> 0) AS "top", NULL AS "m1", NULL AS "m0" ` +
		`FROM (SELECT *, ` + shares + ` FROM ` + each + ` JOIN ` + fields + ` USING ("f") WHERE NOT "numeric") GROUP BY 1`
	numbers := `SELECT "f", least(0.87e0 * sqrt(1 / any_value("n1") + 1 / any_value("n0")), 1) AS "chance", max(abs("aa" / "n1" - "bb" / "n0")) AS "distance", NULL AS "top", ` +
		median("a") + ` AS "m1", ` + median("b") + ` AS "m0" ` +
		`FROM (SELECT *, sum("a") OVER "below" AS "aa", sum("b") OVER "below" AS "bb", sum("a") FILTER (WHERE "n" IS NOT NULL) OVER "below" AS "a2", sum("b") FILTER (WHERE "n" IS NOT NULL) OVER "below" AS "b2" ` +
		`FROM ` + each + ` JOIN ` + fields + ` USING ("f") WHERE "numeric" WINDOW "below" AS (PARTITION BY "f" ORDER BY "n" ASC NULLS FIRST)) GROUP BY 1`
	tell := ""
	if n.Telling {
		tell = ` WHERE "score" > 0`
	}
	for _, sel := range []string{
		texts + " UNION ALL " + numbers,
		`SELECT *, round(greatest("distance" - "chance", 0), 6) AS "score" FROM %`,
		`SELECT ([` + strings.Join(names, ", ") + `])["f"] AS "field", "score", CAST(to_json("top") AS VARCHAR) AS "top", "m1", "m0" FROM %` + tell,
	} {
		if err := l.over1(sel, false); err != nil {
			return err
		}
	}
	from := l.from
	l.branch = newBranch()
	l.from = from
	for id, v := range map[int]val{n.Cols.Field: {sql: `"field"`, typ: plan.Text}, n.Cols.Score: {sql: `"score"`, typ: plan.Float}, n.Cols.Contributors: {sql: `"top"`, typ: plan.JSON},
		n.Cols.Conditional: {sql: `"m1"`, typ: plan.Float}, n.Cols.Baseline: {sql: `"m0"`, typ: plan.Float}} {
		v.atom = true
		l.cols[id] = v
	}
	l.order = []sortTerm{{v: l.cols[n.Cols.Score], desc: true}}
	l.keys = []val{l.cols[n.Cols.Field]}
	return nil
}

// over1 makes a select over the relation, which it names %, the relation that the
// next step reads.
func (l *lowerer) over1(sel string, shared bool) error {
	if i := strings.LastIndexByte(sel, '%'); i >= 0 { // what is before may have the text of a query in it
		sel = sel[:i] + l.from + sel[i+1:]
	}
	return l.common(sel, shared)
}

// median is the median of the numbers n that occur as often as the column side
// says: side2 is its running sum over them, side1 the sum.
func median(side string) string {
	at := func(op string) string {
		return `min("n") FILTER (WHERE 2 * "` + side + `2" ` + op + ` "` + side + `1" AND "n" IS NOT NULL)`
	}
	return "(" + at(">=") + " + coalesce(" + at(">") + ", " + at(">=") + ")) / 2"
}
