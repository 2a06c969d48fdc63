package query

import (
	"context"
	"fmt"
	"time"
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
