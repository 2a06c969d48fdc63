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

// Explanation says what a question becomes.
type Explanation struct {
	// SQL is the statement in the engine's dialect.
	SQL string
	// Prepares is true when the rows of SQL are brought together here and the
	// answer comes of a further statement over them (pattern, diff, anomaly).
	Prepares bool
	Notices  []string
	// Parts is every part of the groups that may be read and what would be done with it; only
	// DuckDB reads parts.
	Parts []PartUse
}

// PartUse is what a question does with one part of the store.
type PartUse struct {
	ID     string
	Group  string
	Kind   trailward.Kind
	Rows   int64
	From   time.Time // of its records
	To     time.Time
	Opened bool // its columns, or some of its rows, are read
	Why    string
}

// Engines are the names that Explain takes.
var Engines = []string{"duckdb", "trino", "spark"}

// Explain tells what a question becomes in the SQL of an engine, one of
// [Engines], and for duckdb, which takes questions in SQL too, what it would
// read. It does not run it.
func (e *Engine) Explain(ctx context.Context, req Request, engine string) (*Explanation, error) {
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
	if req.Language != Insights {
		return nil, &Error{Msg: "a question in SQL is in " + engine + "'s SQL already, or nearly", Hint: "--explain=duckdb says what is run here, and what it reads"}
	}
	if !ok {
		return nil, &Error{Msg: fmt.Sprintf("no engine is named %q", engine), Hint: "expected one of " + strings.Join(Engines, ", ")}
	}
	q, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End, Lookup: opts.Lookup})
	if err != nil {
		return nil, err
	}
	if q.Estimate {
		return nil, &Error{Msg: "estimate is about the segments here: it cannot be said in " + engine + "'s SQL"}
	}
	account := opts.AccountID
	if account == "" {
		account = DefaultAccountID
	}
	st, err := lower.Lower(q, func(sc *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		groups, none := groupsOf(sc, &req)
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

// explainParts makes the statement of a question over the store, without running
// it, and notes what becomes of each part.
func (e *Engine) explainParts(ctx context.Context, req Request) (*Explanation, error) {
	t, err := e.taskOf(req, time.Now(), true)
	if err != nil {
		return nil, err
	}
	// Of what the asker may not read, not even the names are told.
	groups, none := req.reads()
	if t.sources {
		groups, none = req.Readable, false
	}
	var parts []Part
	if !none {
		all, err := e.opts.Snapshot(Selection{Groups: groups})
		if err != nil {
			return nil, fmt.Errorf("take a snapshot of the store: %w", err)
		}
		parts = all.Parts()
		defer all.Close()
	}
	x := &Explanation{}
	known := map[string]PartUse{}
	note := func(p Part, opened bool, why string) {
		if have, ok := known[p.ID()]; !ok || opened || !have.Opened {
			known[p.ID()] = PartUse{Opened: opened, Why: why}
		}
	}
	statement := t.statement
	t.statement = func(ctx context.Context, s *scan) (string, []Column, error) {
		s.explained = x
		s.seen = func(groups []*partGroup) {
			for i, why := range s.skipped {
				note(s.parts[i], false, why)
			}
			for _, g := range groups {
				for i, found := range g.found {
					if len(found.Rows) == 0 {
						note(s.parts[i], false, "no record passes the conditions")
					} else {
						note(s.parts[i], true, fmt.Sprintf("only %d of its records can pass the conditions", len(found.Rows)))
					}
				}
				for _, i := range g.parts {
					note(s.parts[i], true, "reads "+columnList(s.opened[i]))
				}
			}
		}
		sql, _, err := statement(ctx, s)
		x.SQL, x.Notices = sql, s.stats.Notices
		return "SELECT 1", nil, err
	}
	rows, err := e.run(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		use, ok := known[p.ID()]
		if !ok {
			use.Why = unread(t.views(), p)
		}
		use.ID, use.Group, use.Kind, use.Rows, use.From, use.To = p.ID(), p.Group(), p.Kind(), p.Rows(), p.MinTime(), p.MaxTime()
		x.Parts = append(x.Parts, use)
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
