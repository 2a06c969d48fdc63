package query

import (
	"context"
	"fmt"
	"time"

	"trailward/query/athena"
	"trailward/query/insights"
	"trailward/query/plan"

	"trailward"
)

// Check looks for faults in a question's text without asking it: it waits for
// nobody's turn. A question that passes can fail for what is in the records.
func (e *Engine) Check(ctx context.Context, req Request) error {
	if req.Now.IsZero() {
		req.Now = time.Now()
	}
	if req.Language == Insights {
		_, err := insights.Compile(req.Text, insights.Options{Now: req.Now, Start: req.Start, End: req.End, Lookup: e.opts.Lookup,
			Fields: func(*plan.Scan, []plan.FieldRef) ([][]string, error) { return nil, nil }})
		return err
	}
	var snap Snapshot = emptySnapshot{}
	if groups, none := req.reads(); !none {
		var err error
		if snap, err = e.opts.Snapshot(Selection{Groups: groups, Start: req.Start, End: req.End}); err != nil {
			return fmt.Errorf("take a snapshot of the store: %w", err)
		}
	}
	defer snap.Close()
	parts, known := inRange(snap.Parts(), req.Start, req.End), newSchemas(e.opts.AccountID, true)
	tables := make(map[string]trailward.Kind, len(req.Tables))
	for name, kind := range req.Tables {
		tables[name] = trailward.Kind(kind) // one that is none is named when it is asked
	}
	_, err := athena.Prepare(req.Text, athena.Options{
		Serialize:   func(text string) (string, error) { return e.pool.SerializeSQL(ctx, text) },
		Deserialize: func(tree string) (string, error) { return e.pool.DeserializeSQL(ctx, tree) },
		Tables:      tables,
		Fields:      func(kind trailward.Kind) []string { return fieldPaths(parts, known, kind) },
		Now:         req.Now,
	})
	return err
}
