package query

import (
	"context"
	"fmt"
	"time"

	"trailward/query/insights"
	"trailward/query/lower"
)

// Query runs a question. A fault in its text is an [*Error]; what else can
// happen is a *[TimeoutError], duck's MemoryError, TooManyFilesError and Error,
// the cause of ctx's end, or what the store says. The rows must be closed.
func (e *Engine) Query(ctx context.Context, req Request) (Rows, error) {
	start := time.Now()
	if req.Now.IsZero() {
		req.Now = start
	}
	if !req.Start.IsZero() && !req.End.IsZero() && req.End.Before(req.Start) {
		return nil, &Error{Msg: "the time range ends before it begins"}
	}
	switch req.Language {
	case Insights:
		return e.insights(ctx, req, start)
	case SQL:
		return e.sql(ctx, req, start)
	}
	return nil, fmt.Errorf("query language %d is not known", req.Language)
}

func (e *Engine) insights(ctx context.Context, req Request, start time.Time) (Rows, error) {
	q, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End})
	if err != nil {
		return nil, err
	}
	sel := Selection{Groups: req.Groups, Start: req.Start, End: req.End}
	var none bool
	if sel.Groups, none = narrow(req.Groups, q.Groups); none {
		sel.Groups = nil
	}
	return e.run(ctx, task{
		sel: sel, nothing: none, timeout: e.opts.InsightsTimeout, start: start,
		statement: func(ctx context.Context, s *scan) (string, []Column, error) {
			s.preds = q.Predicates()
			st, err := lower.Lower(q, s.open(ctx), lower.DuckDB)
			if err != nil {
				return "", nil, err
			}
			out := make([]Column, len(st.Columns))
			for i, c := range st.Columns {
				out[i] = Column{Name: c.Name, Type: c.Type, Hidden: c.Hidden}
			}
			return st.SQL, out, nil
		},
	})
}
