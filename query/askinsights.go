package query

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trailward"
	"trailward/query/duck"
	"trailward/query/insights"
	"trailward/query/lower"
	"trailward/query/plan"
)

// view is what one scan of a query may read.
type view struct {
	groups []string
	kinds  []trailward.Kind // nil means all
	none   bool             // nothing
	from   time.Time
	to     time.Time
}

// viewOf is what a scan may read: the groups that it names itself, else those of
// the request, of what the asker may.
func (e *Engine) viewOf(sc *plan.Scan, req *Request) view {
	v := view{kinds: sc.Kinds, from: sc.Start, to: sc.End}
	v.groups, v.none = groupsOf(sc, req)
	v.none = v.none || sc.None || len(sc.Accounts) > 0 && !slices.Contains(sc.Accounts, e.opts.AccountID)
	return v
}

func groupsOf(sc *plan.Scan, req *Request) (groups []string, none bool) {
	if len(sc.Groups) > 0 {
		return narrow(req.Readable, sc.Groups)
	}
	return req.reads()
}

// has says whether a part can have records that the view shows.
func (v view) has(p Part) bool {
	if v.none || !v.from.IsZero() && p.MaxTime().Before(v.from) || !v.to.IsZero() && p.MinTime().After(v.to) {
		return false
	}
	return len(v.groups) == 0 || slices.ContainsFunc(v.groups, func(g string) bool {
		prefix, star := strings.CutSuffix(g, "*")
		return star && strings.HasPrefix(p.Group(), prefix) || !star && p.Group() == g
	})
}

// selection is what all of the views need together; nothing says that none
// needs anything.
func selection(views []view) (sel Selection, nothing bool) {
	nothing = true
	for _, v := range views {
		switch {
		case v.none:
			continue
		case nothing:
			nothing = false
			sel = Selection{Groups: v.groups, Kinds: v.kinds, Start: v.from, End: v.to}
			continue
		}
		if len(v.groups) == 0 || len(sel.Groups) == 0 {
			sel.Groups = nil
		} else {
			sel.Groups = append(slices.Clip(sel.Groups), v.groups...)
		}
		if len(v.kinds) == 0 || len(sel.Kinds) == 0 {
			sel.Kinds = nil
		} else {
			sel.Kinds = append(slices.Clip(sel.Kinds), v.kinds...)
		}
		if v.from.IsZero() || !sel.Start.IsZero() && v.from.Before(sel.Start) {
			sel.Start = v.from
		}
		if v.to.IsZero() || !sel.End.IsZero() && v.to.After(sel.End) {
			sel.End = v.to
		}
	}
	return sel, nothing
}

// insights makes the task of a question in Logs Insights QL.
func (e *Engine) insights(req Request, start time.Time, explain bool) (task, error) {
	q, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End, Lookup: e.opts.Lookup,
		Fields: func(sc *plan.Scan, about []plan.FieldRef) ([][]string, error) {
			return e.fieldsOf(e.viewOf(sc, &req), about)
		}})
	if err != nil {
		return task{}, err
	}
	runs := !explain && !q.Estimate
	if runs {
		q.Matched, q.Holds = duck.MatchedFunction, !e.whole
	}
	views := make([]view, len(q.Scans))
	for i, sc := range q.Scans {
		views[i] = e.viewOf(sc, &req)
	}
	sel, nothing := selection(views)
	var named []string
	for _, sc := range q.Scans {
		named = append(named, sc.Groups...)
	}
	t := task{
		notices: e.missingGroups(req, named), sources: len(named) > 0,
		sel: sel, nothing: nothing, timeout: e.timeoutOf(q), start: start, views: func() []view { return views },
		statement: func(ctx context.Context, s *scan) (string, []Column, error) {
			st, err := e.lowerInsights(ctx, q, views, s)
			if err != nil {
				return "", nil, err
			}
			if q.Estimate {
				const column = "estimatedBytesScanned"
				return fmt.Sprintf("SELECT CAST(%d AS BIGINT) AS %s", s.stats.BytesScanned, column), []Column{{Name: column, Type: plan.Int}}, nil
			}
			out := make([]Column, len(st.Columns))
			for i, c := range st.Columns {
				out[i] = Column{Name: c.Name, Type: c.Type, Hidden: c.Hidden}
			}
			return st.SQL, out, nil
		},
	}
	if q.Holds {
		t.guards, t.looked = plan.MessageHolds(q), plan.LookedAt(q)
	}
	if runs && singles(q) {
		t.direct = func(ctx context.Context, s *scan) ([][]any, []Column, bool, error) { return s.direct(ctx, q, views[0]) }
	}
	return t, nil
}

// fieldsOf lists the fields of the records that a view shows: first those of
// segments that have one of the fields of about, and among these those of the
// segments with the most records.
func (e *Engine) fieldsOf(v view, about []plan.FieldRef) ([][]string, error) {
	sel, nothing := selection([]view{v})
	if nothing {
		return nil, nil
	}
	snap, err := e.opts.Snapshot(sel)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot of the store: %w", err)
	}
	defer snap.Close()
	rows, near := map[string]int64{}, map[string]int64{}
	for _, p := range snap.Parts() {
		if !v.has(p) || v.kinds != nil && !slices.Contains(v.kinds, p.Kind()) {
			continue
		}
		fields := p.Fields()
		has := slices.ContainsFunc(fields, func(f Field) bool {
			return slices.ContainsFunc(about, func(r plan.FieldRef) bool { return r.Key() == f.Path || strings.HasPrefix(r.Key(), f.Path+".") })
		})
		for _, f := range fields {
			rows[f.Path] += p.Rows()
			if has {
				near[f.Path] += p.Rows()
			}
		}
	}
	paths := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(near[b], near[a]), cmp.Compare(rows[b], rows[a]), strings.Compare(a, b))
	})
	out := make([][]string, len(paths))
	for i, p := range paths {
		out[i] = trailward.SplitPath(p)
	}
	return out, nil
}

// timeoutOf bounds a query: a join of records can make more rows than there are
// records.
func (e *Engine) timeoutOf(q *plan.Query) time.Duration {
	for n := q.Root; n != nil; n = n.Input() {
		if j, ok := n.(*plan.Join); ok {
			if _, table := j.Right.(*plan.Values); !table {
				return min(e.opts.InsightsTimeout, e.opts.SQLTimeout)
			}
		}
	}
	return e.opts.InsightsTimeout
}

// lowerInsights makes the statement whose rows are the answer. It runs those that
// prepare it, unless it is only to be explained.
func (e *Engine) lowerInsights(ctx context.Context, q *plan.Query, views []view, s *scan) (*lower.Statement, error) {
	s.addNotices(q.Notices)
	st, err := lower.Lower(q, s.openViews(ctx, q, views), lower.DuckDB)
	if err == nil && s.explained != nil {
		s.explained.Prepares = st.Then != nil
		return st, nil
	}
	if err == nil && q.Estimate {
		return st, nil
	}
	for err == nil && st.Then != nil {
		var rows [][]any
		if rows, err = s.prepared(ctx, st.SQL); err != nil {
			break
		}
		if st, err = st.Then(rows); err == nil {
			s.addNotices(st.Notices)
		}
	}
	return st, err
}

// openViews is the plan.OpenFunc of a query whose scans have these views.
func (s *scan) openViews(ctx context.Context, q *plan.Query, views []view) plan.OpenFunc {
	return func(sc *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		v := views[sc.ID]
		s.preds, s.from, s.to, s.only = q.PredicatesOf(sc.ID), v.from, v.to, v.has
		s.count = countNothing
		if sc.ID == 0 && q.Matched != "" && !lower.Counts(q) {
			s.count = countAll
		}
		return s.relation(ctx, v.kinds, fields)
	}
}

// addNotices makes notices part of what the answer's statistics say.
func (s *scan) addNotices(list []plan.Notice) {
	for _, n := range list {
		text := n.Msg
		if n.Line > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", n.Line, n.Col, n.Msg)
		}
		s.stats.Notices = append(s.stats.Notices, text)
	}
}

// prepared gives the rows of a statement that prepares another.
func (s *scan) prepared(ctx context.Context, sql string) ([][]any, error) {
	rows, err := s.session.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]any
	for rows.Next() {
		if len(out) == lower.MaxPrepared {
			return nil, fmt.Errorf("a preparing statement has more than %d rows", lower.MaxPrepared)
		}
		out = append(out, slices.Clone(rows.Values()))
	}
	return out, rows.Err()
}

// textFunctions are the functions that the lowering takes for granted.
func textFunctions() []duck.TextFunction {
	var out []duck.TextFunction
	for _, f := range lower.Functions() {
		out = append(out, duck.TextFunction{Name: f.Name, Args: f.Args, Call: f.Call})
	}
	return out
}
