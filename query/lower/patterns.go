package lower

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"trailward/query/pattern"
	"trailward/query/plan"
)

// Patterns take two statements. The first groups the texts by their masks in the
// engine, which reads every text but gives only the different masks; package
// pattern then brings these together; the second statement runs the rest of the
// pipe over the patterns, which it holds as constants.

const (
	// maxMasks bounds the different masks that are brought together. Rarer ones
	// are left out of the answer, with a notice that says how many records
	// they stand for.
	maxMasks = 50_000
	// timeSlices is in how many slices the time of a query is cut to see
	// whether a pattern comes more often than it does.
	timeSlices = 24
)

// patterns lowers the first statement; above are the nodes over n, the last
// first.
func (l *lowerer) patterns(q *plan.Query, n *plan.Patterns, above []plan.Node) (*Statement, error) {
	slice := int64(86_400_000)
	if !q.Start.IsZero() && !q.End.IsZero() {
		slice = max(1000, q.End.Sub(q.Start).Milliseconds()/timeSlices)
	}
	masks := func(in plan.Node, x plan.Expr, when string) (string, error) {
		if err := l.tree(in); err != nil {
			return "", err
		}
		v, err := l.expr(x)
		if err != nil {
			return "", err
		}
		if v.doc || v.typ == plan.List {
			return "", errorf(x, "take one of its parts", "pattern of a map or list")
		}
		mask, err := l.op(opMask, l.text(v).sql)
		if err != nil {
			return "", err
		}
		at := "0"
		if n.Time != nil && when == "0" {
			t, err := l.expr(n.Time)
			if err == nil {
				t, err = l.time(t)
			}
			if err == nil {
				t.sql, err = l.op(opMillis, t.sql)
			}
			if err != nil {
				return "", err
			}
			at = t.sql + " // " + strconv.FormatInt(slice, 10)
		}
		if err := l.flush(); err != nil {
			return "", err
		}
		return "SELECT " + mask + ` AS "m", ` + when + ` AS "w", ` + at + ` AS "t" FROM ` + l.from, nil
	}
	rows, err := masks(n.In, n.X, "0")
	if err != nil {
		return nil, err
	}
	if n.Prev != nil {
		l.branch = newBranch()
		prev, err := masks(n.Prev, n.PrevX, "1")
		if err != nil {
			return nil, err
		}
		rows += " UNION ALL " + prev
	}
	if err := l.step(rows); err != nil {
		return nil, err
	}
	sums := `sum("n") FILTER (WHERE "w" = 0) AS "n", sum("n") FILTER (WHERE "w" = 1) AS "p"`
	if n.Time != nil {
		sums += `, map_from_entries(list({'k': "t", 'v': "n"}) FILTER (WHERE "t" IS NOT NULL)) AS "h"`
	} else {
		sums += `, NULL AS "h"`
	}
	for _, sel := range []string{
		`SELECT "m", "w", "t", count(*) AS "n" FROM ` + l.from + ` GROUP BY 1, 2, 3`,
		`SELECT "m", ` + sums + ` FROM "t` + strconv.Itoa(len(l.ctes)) + `" GROUP BY 1`,
	} {
		if err := l.step(sel); err != nil {
			return nil, err
		}
	}
	big := func(s string) string { return "CAST(coalesce(" + s + ", 0) AS BIGINT)" }
	st := &Statement{
		SQL: "WITH " + strings.Join(l.ctes, ",\n") + "\nSELECT \"m\", " + big(`"n"`) + ", " + big(`"p"`) + `, "h", ` + big(`sum("n") OVER ()`) + ", " + big("count(*) OVER ()") +
			" FROM " + l.from + ` ORDER BY coalesce("n", 0) + coalesce("p", 0) DESC, "m" LIMIT ` + strconv.Itoa(maxMasks),
		Columns: []OutColumn{{Name: "mask", Type: plan.Text}, {Name: "count", Type: plan.Int}, {Name: "previous", Type: plan.Int}, {Name: "times", Type: plan.JSON}, {Name: "all", Type: plan.Int}, {Name: "masks", Type: plan.Int}},
	}
	st.Then = func(rows [][]any) (*Statement, error) { return l.over(q, n, above, rows) }
	return st, nil
}

// masksOf reads the rows of the first statement. all is how many records there
// were, masks how many different masks.
func masksOf(rows [][]any) (list []pattern.Masked, all, masks int64, err error) {
	for _, r := range rows {
		if len(r) != 6 {
			return nil, 0, 0, fmt.Errorf("row of a mask has %d columns, want 6", len(r))
		}
		m := pattern.Masked{}
		m.Count, _ = r[1].(int64)
		m.Prev, _ = r[2].(int64)
		all, _ = r[4].(int64)
		masks, _ = r[5].(int64)
		if h, ok := r[3].(map[string]any); ok {
			m.Times = make(map[int64]int64, len(h))
			for k, v := range h {
				t, err := strconv.ParseInt(k, 10, 64)
				c, ok := v.(int64)
				if err != nil || !ok {
					return nil, 0, 0, fmt.Errorf("row of a mask has times %q: %v", k, v)
				}
				m.Times[t] = c
			}
		}
		text, ok := r[0].(string)
		if !ok {
			masks-- // records without a text have no pattern, but count
			continue
		}
		m.Mask = text
		list = append(list, m)
	}
	return list, all, masks, nil
}

// over lowers the second statement.
func (l *lowerer) over(q *plan.Query, n *plan.Patterns, above []plan.Node, rows [][]any) (*Statement, error) {
	masks, all, different, err := masksOf(rows)
	if err != nil {
		return nil, err
	}
	found, left, rest := pattern.Find(masks)
	var notices []plan.Notice
	if n := different - int64(len(masks)); n > 0 {
		var seen int64
		for _, m := range masks {
			seen += m.Count
		}
		notices = append(notices, plan.Notice{Msg: fmt.Sprintf("pattern: the texts differ too much: the %d rarest of %d forms, up to %d records, are left out", n, different, all-seen)})
	}
	if left > 0 {
		notices = append(notices, plan.Notice{Msg: fmt.Sprintf("pattern: %d more patterns, of %d records, are left out", left, rest)})
	}
	text := func(s string) *string { return &s }
	maybe := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	number := func(f float64) *string { return text(plan.FormatNumber(f)) }
	times := spanOf(found)
	out := make([][]*string, len(found))
	for i, p := range found {
		ratio := 0.0
		if all > 0 {
			ratio = math.Round(float64(p.Count)/float64(all)*1e6) / 1e6
		}
		change := p.Count - p.Prev
		a := unusual(p, times)
		out[i] = []*string{text(strconv.Itoa(i)), text(p.Text), number(ratio), number(float64(p.Count)), maybe(p.Severity), number(float64(change)), text(describe(p)),
			text(strconv.FormatBool(a.kind != "")), maybe(a.kind), maybe(a.text), number(a.score)}
	}
	next := &lowerer{d: l.d, open: l.open, later: l.later, live: l.live, branch: newBranch()}
	ids := []int{-1, n.Cols.Pattern, n.Cols.Ratio, n.Cols.Count, n.Cols.Severity, n.Cols.Change, n.Cols.Description, n.Cols.Anomaly, n.Cols.AnomalyType, n.Cols.AnomalyText, n.Cols.Odd}
	types := []plan.Type{plan.Int, plan.Text, plan.Float, plan.Int, plan.Text, plan.Int, plan.Text, plan.Bool, plan.Text, plan.Text, plan.Float}
	cols := make([]int, len(ids))
	for i := range cols {
		cols[i] = -1 - i // names of this table only
	}
	if err := next.table(cols, out); err != nil {
		return nil, err
	}
	var sel []string
	typed := map[int]val{}
	for i, t := range types {
		v := val{sql: next.name("c"), typ: t, atom: true}
		sel = append(sel, "CAST("+next.cols[cols[i]].sql+" AS "+next.d.Type(t)+") AS "+v.sql)
		if ids[i] != 0 {
			typed[ids[i]] = v
		}
	}
	next.cols = typed
	if err := next.step("SELECT " + strings.Join(sel, ", ") + " FROM " + next.from); err != nil {
		return nil, err
	}
	next.ties = []string{typed[-1].sql + " ASC"}
	if len(above) == 0 {
		above = []plan.Node{&plan.Filter{Cond: plan.And{}}}
	}
	for i := len(above) - 1; i > 0; i-- {
		if err := next.node(above[i]); err != nil {
			return nil, err
		}
	}
	st, err := next.finish(q, above[0])
	if err != nil {
		return nil, err
	}
	st.Notices = notices
	return st, nil
}

// describe says in words how often a pattern comes compared with before.
func describe(p pattern.Pattern) string {
	switch {
	case p.Prev == 0:
		return "new: it was not there before"
	case p.Count == 0:
		return "gone: it was there before"
	case p.Count == p.Prev:
		return "as often as before"
	}
	change := float64(p.Count-p.Prev) / float64(p.Prev) * 100
	if change > 0 {
		return fmt.Sprintf("%.0f %% more often than before", math.Max(change, 1))
	}
	return fmt.Sprintf("%.0f %% less often than before", math.Max(-change, 1))
}

// span is the slices of time in which any pattern was seen.
type span struct{ first, last int64 }

func (s span) length() int64 { return s.last - s.first + 1 }

func spanOf(found []pattern.Pattern) span {
	s := span{math.MaxInt64, math.MinInt64}
	for _, p := range found {
		for t := range p.Times {
			s.first, s.last = min(s.first, t), max(s.last, t)
		}
	}
	if s.first > s.last {
		return span{0, -1}
	}
	return s
}

// anomaly is what is unusual about a pattern.
type anomaly struct {
	kind, text string
	score      float64 // 0 to 1
}

// How unusual is unusual. The tests are ours: CloudWatch does not say which it
// makes.
const (
	minSlices   = 4 // with fewer nothing is usual
	spikeFactor = 5 // deviations above the median
	newFraction = 0.75
)

// unusual tests a pattern for being new, which is first seen in the last quarter
// of the time, and for coming much more often in one slice of time than in
// the others: more than the median of the slices and five times the median
// deviation from it, where a deviation of the root of the median is chance.
func unusual(p pattern.Pattern, s span) anomaly {
	n := s.length()
	if p.Times == nil || n < minSlices {
		return anomaly{}
	}
	first := int64(math.MaxInt64)
	top, at := int64(0), int64(0)
	for t, c := range p.Times {
		first = min(first, t)
		if c > top || c == top && t < at {
			top, at = c, t
		}
	}
	if where := float64(first-s.first) / float64(n); where >= newFraction {
		return anomaly{"New Pattern", "first seen in the last quarter of the time", where}
	}
	counts := make([]int64, 0, len(p.Times))
	for _, c := range p.Times {
		counts = append(counts, c)
	}
	median := middle(counts, n)
	for i, c := range counts {
		counts[i] = int64(math.Abs(float64(c) - median))
	}
	// Slices without a record deviate by the median.
	const most = 100_000 // slices; with more empty ones the median is 0 anyway
	for i := int64(len(counts)); i < min(n, most); i++ {
		counts = append(counts, int64(median))
	}
	spread := math.Max(middle(counts, int64(len(counts)))*1.4826, math.Sqrt(median)+1)
	z := (float64(top) - median) / spread
	if z <= spikeFactor {
		return anomaly{score: math.Round(math.Max(0, z)/(2*spikeFactor)*1e3) / 1e3}
	}
	return anomaly{"Pattern Frequency", fmt.Sprintf("%d records in one slice of time, %s is usual", top, plan.FormatNumber(median)), math.Round(math.Min(1, z/(2*spikeFactor))*1e3) / 1e3}
}

// middle is the median of counts and of as many zeros as make them n.
func middle(counts []int64, n int64) float64 {
	sorted := slices.Clone(counts)
	slices.Sort(sorted)
	zeros := n - int64(len(sorted))
	at := func(i int64) float64 {
		if i < zeros {
			return 0
		}
		return float64(sorted[i-zeros])
	}
	if n == 0 {
		return 0
	}
	return (at((n-1)/2) + at(n/2)) / 2
}
