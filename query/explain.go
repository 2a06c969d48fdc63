package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"trailward"
	"trailward/query/insights"
	"trailward/query/lower"
	"trailward/query/plan"
)

// Explanation says what a question in Logs Insights QL becomes.
type Explanation struct {
	// SQL is the statement in the engine's dialect.
	SQL string
	// Prepares is true when the rows of SQL are brought together here and the
	// answer comes of a further statement over them (pattern, diff, anomaly).
	Prepares bool
	Notices  []string
	// Parts is every part of the store and what would be done with it; only
	// DuckDB reads parts.
	Parts []PartUse
}

// PartUse is what a question does with one part of the store.
type PartUse struct {
	ID, Group string
	Kind      trailward.Kind
	Rows      int64
	From, To  time.Time // of its records
	Opened    bool      // its columns, or some of its rows, are read
	Why       string
}

// Engines are the names that Explain takes.
var Engines = []string{"duckdb", "trino", "spark"}

// Explain tells what a question in Logs Insights QL becomes in the SQL of an
// engine, one of [Engines]. It does not run it.
func (e *Engine) Explain(ctx context.Context, req Request, engine string) (*Explanation, error) {
	if req.Language != Insights {
		return nil, &Error{Msg: "only questions in Logs Insights QL are explained"}
	}
	if req.Now.IsZero() {
		req.Now = time.Now()
	}
	if engine == "duckdb" {
		return e.explainParts(ctx, req)
	}
	return ExplainFor(req, engine, e.opts)
}

// ExplainFor is Explain for the engines that read tables of their own, which
// takes no store. Every field is text there but for the times.
func ExplainFor(req Request, engine string, opts Options) (*Explanation, error) {
	dialects := map[string]lower.Dialect{"trino": lower.Trino, "spark": lower.Spark}
	d, ok := dialects[engine]
	if !ok {
		return nil, &Error{Msg: fmt.Sprintf("no engine is named %q", engine), Hint: "expected one of " + strings.Join(Engines, ", ")}
	}
	q, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End, Lookup: opts.Lookup})
	if err != nil {
		return nil, err
	}
	account := opts.AccountID
	if account == "" {
		account = DefaultAccountID
	}
	st, err := lower.Lower(q, func(sc *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		groups, none := narrow(req.Groups, sc.Groups)
		return tableRelation(d, sc, fields, groups, none || sc.None, account)
	}, d)
	if err != nil {
		return nil, err
	}
	x := &Explanation{SQL: st.SQL, Prepares: st.Then != nil}
	s := &scan{}
	s.addNotices(q.Notices)
	x.Notices = s.stats.Notices
	return x, nil
}

// tableRelation is the table logs of another engine, whose columns are named by
// the paths of the fields.
func tableRelation(d lower.Dialect, sc *plan.Scan, fields []plan.FieldRef, groups []string, none bool, account string) (plan.Relation, error) {
	rel := plan.Relation{Columns: map[string]plan.Column{}}
	for _, f := range fields {
		c := plan.Column{Name: trailward.JoinPath(f.Keys...), Type: plan.Text}
		if t := systemType(f); t != plan.Null {
			c.Type = t
		}
		rel.Columns[f.Key()] = c
	}
	var conds []string
	if len(groups) > 0 {
		var any []string
		for _, g := range groups {
			prefix, star := strings.CutSuffix(g, "*")
			name := d.Text(account + ":" + prefix)
			if star {
				starts, ok := lower.StartsWith(d, d.Ident(fieldLog), name)
				if !ok {
					return rel, fmt.Errorf("log groups by prefix cannot be said in %s's SQL", d.Name())
				}
				any = append(any, starts)
			} else {
				any = append(any, d.Ident(fieldLog)+" = "+name)
			}
		}
		conds = append(conds, "("+strings.Join(any, " OR ")+")")
	}
	if len(sc.Kinds) > 0 {
		kinds := make([]string, len(sc.Kinds))
		for i, k := range sc.Kinds {
			kinds[i] = d.Text(string(k))
		}
		conds = append(conds, d.Ident(fieldKind)+" IN ("+strings.Join(kinds, ", ")+")")
	}
	const layout = "2006-01-02 15:04:05.000000"
	if !sc.Start.IsZero() {
		conds = append(conds, d.Ident(fieldTime)+" >= TIMESTAMP "+d.Text(sc.Start.UTC().Format(layout)))
	}
	if !sc.End.IsZero() {
		conds = append(conds, d.Ident(fieldTime)+" <= TIMESTAMP "+d.Text(sc.End.UTC().Format(layout)))
	}
	if none {
		conds = []string{"1 = 0"}
	}
	rel.SQL = "(SELECT * FROM " + d.Ident("logs") + ")"
	if len(conds) > 0 {
		rel.SQL = "(SELECT * FROM " + d.Ident("logs") + " WHERE " + strings.Join(conds, " AND ") + ")"
	}
	return rel, nil
}

// explainParts lowers a question over the store and notes what becomes of each
// part.
func (e *Engine) explainParts(ctx context.Context, req Request) (*Explanation, error) {
	q, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End, Lookup: e.opts.Lookup})
	if err != nil {
		return nil, err
	}
	views := make([]view, len(q.Scans))
	for i, sc := range q.Scans {
		views[i] = e.viewOf(sc, req.Groups)
	}
	all, err := e.opts.Snapshot(Selection{})
	if err != nil {
		return nil, fmt.Errorf("take a snapshot of the store: %w", err)
	}
	x := &Explanation{}
	place := map[string]int{}
	for _, p := range all.Parts() {
		place[p.ID()] = len(x.Parts)
		x.Parts = append(x.Parts, PartUse{ID: p.ID(), Group: p.Group(), Kind: p.Kind(), Rows: p.Rows(), From: p.MinTime(), To: p.MaxTime(), Why: unread(views, p)})
	}
	if err := all.Close(); err != nil {
		return nil, fmt.Errorf("close a snapshot of the store: %w", err)
	}
	note := func(p Part, opened bool, why string) {
		if i, ok := place[p.ID()]; ok && (opened || !x.Parts[i].Opened) {
			x.Parts[i].Opened, x.Parts[i].Why = opened, why
		}
	}
	sel, nothing := selection(views)
	rows, err := e.run(ctx, task{
		sel: sel, nothing: nothing, timeout: e.opts.InsightsTimeout, start: time.Now(),
		statement: func(ctx context.Context, s *scan) (string, []Column, error) {
			s.seen = func(groups []*partGroup) {
				for _, g := range groups {
					for i, rows := range g.found {
						if len(rows) == 0 {
							note(s.parts[i], false, "no record passes the conditions")
						} else {
							note(s.parts[i], true, fmt.Sprintf("only %d of its records can pass the conditions", len(rows)))
						}
					}
					for _, i := range g.parts {
						note(s.parts[i], true, "reads "+columnList(s.opened[i]))
					}
				}
			}
			s.addNotices(q.Notices)
			st, err := lower.Lower(q, s.openViews(ctx, q, views), lower.DuckDB)
			if err != nil {
				return "", nil, err
			}
			x.SQL, x.Prepares, x.Notices = st.SQL, st.Then != nil, s.stats.Notices
			return "SELECT 1", nil, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return x, rows.Close()
}

// unread says why no view reads a part, as far as that is known before it is
// looked into.
func unread(views []view, p Part) string {
	why := ""
	for _, v := range views {
		w := "not looked at"
		anyTime := v
		anyTime.from, anyTime.to = time.Time{}, time.Time{}
		switch {
		case v.none:
			w = "the query chooses no records"
		case !anyTime.has(p):
			w = "another log group"
		case !v.has(p):
			w = "outside the time range"
		case v.kinds != nil && !slices.Contains(v.kinds, p.Kind()):
			w = "another kind of record"
		}
		if why == "" || w == "not looked at" {
			why = w
		}
	}
	return why
}

// columnList names columns for a person, not more of them than are useful.
func columnList(cols map[string]bool) string {
	const most = 8
	var names []string
	for c := range cols {
		names = append(names, c)
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return "its number of records"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more columns", len(names)-most)
	}
	return strings.Join(names, ", ")
}
