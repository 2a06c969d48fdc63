package main

import (
	"context"
	"time"

	"trailward"
	"trailward/api"
	"trailward/query"
	"trailward/query/plan"
	"trailward/store"
	"trailward/store/segment"
)

// The store and the query engine do not know each other: here the store's
// snapshots become what the engine reads.

func (l *local) snapshot(sel query.Selection) (query.Snapshot, error) {
	s, err := l.store.Snapshot(store.Selection(sel))
	if err != nil {
		return nil, err
	}
	return snapshot{s}, nil
}

type snapshot struct{ *store.Snapshot }

func (s snapshot) Parts() []query.Part {
	list := s.Snapshot.Parts()
	out := make([]query.Part, len(list))
	for i, p := range list {
		out[i] = part{p}
	}
	return out
}

type part struct{ store.Part }

func (p part) MinTime() time.Time { return time.Unix(0, p.FirstTime()).UTC() }
func (p part) MaxTime() time.Time { return time.Unix(0, p.LastTime()).UTC() }

func (p part) Fields() []query.Field {
	list := p.Part.Fields()
	out := make([]query.Field, 0, len(list))
	for _, f := range list {
		if t, ok := fieldType(f.Type); ok && f.Path != "@shape" && f.Path != "@nanos" {
			out = append(out, query.Field{Path: f.Path, Column: f.Column, Type: t})
		}
	}
	return out
}

// fieldType is a column's type as a query sees it; the store's own columns,
// which hold bytes, are not to be seen.
func fieldType(t segment.Type) (plan.Type, bool) {
	switch t {
	case segment.Text:
		return plan.Text, true
	case segment.Int:
		return plan.Int, true
	case segment.JSON:
		return plan.JSON, true
	case segment.Time:
		return plan.Time, true
	}
	return plan.Null, false
}

func (p part) Messages(rows []int64, fn func(row int64, message []byte) error) error {
	return p.Records(rows, func(row int64, r *trailward.Record) error { return fn(row, r.Raw) })
}

// Groups lists the groups by name.
func (l *local) Groups(ctx context.Context) ([]api.GroupInfo, error) {
	list, err := l.store.GroupInfos()
	if err != nil {
		return nil, apiError(err)
	}
	out := make([]api.GroupInfo, len(list))
	for i, g := range list {
		out[i] = api.GroupInfo{Name: g.Name, Streams: g.Streams, Records: g.Records, Bytes: g.Bytes}
		if g.Records > 0 {
			out[i].First, out[i].Last = time.Unix(0, g.First).UTC(), time.Unix(0, g.Last).UTC()
		}
	}
	return out, ctx.Err()
}
