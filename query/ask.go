package query

import (
	"context"
	"fmt"
	"time"
)

// Query runs a question. A fault in its text is an [*Error]; what else can
// happen is a *[TimeoutError], a *[ColumnsError], duck's MemoryError,
// TooManyFilesError and Error, the cause of ctx's end, or what the store says. The
// rows must be closed.
func (e *Engine) Query(ctx context.Context, req Request) (Rows, error) {
	start := time.Now()
	if req.Now.IsZero() {
		req.Now = start
	}
	if !req.Start.IsZero() && !req.End.IsZero() && req.End.Before(req.Start) {
		return nil, &Error{Msg: "the time range ends before it begins"}
	}
	t, err := e.taskOf(req, start, false)
	if err != nil {
		return nil, err
	}
	return e.run(ctx, t)
}

// taskOf makes a question ready to be run, or to be explained.
func (e *Engine) taskOf(req Request, start time.Time, explain bool) (task, error) {
	switch req.Language {
	case Insights:
		return e.insights(req, start, explain)
	case SQL:
		return e.sql(req, start, explain)
	}
	return task{}, fmt.Errorf("query language %d is not known", req.Language)
}
