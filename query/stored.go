package query

import (
	"context"
	"time"
	"unsafe"

	"trailward"
	"trailward/query/plan"
	"trailward/store"
	"trailward/store/segment"
)

// ColumnsError says that a question reads more columns than there is memory for.
type ColumnsError = store.ColumnsError

// Stored makes the engine read a store.
func Stored(s *store.Store) SnapshotFunc {
	return func(sel Selection) (Snapshot, error) {
		snap, err := s.Snapshot(store.Selection(sel))
		if err != nil {
			return nil, err
		}
		return snapshot{snap}, nil
	}
}

type snapshot struct{ *store.Snapshot }

func (s snapshot) Parts() []Part {
	list := s.Snapshot.Parts()
	out := make([]Part, len(list))
	lists := map[*segment.Field][]Field{}
	for i, p := range list {
		q := part{Part: p}
		if f, ok := p.(finder); ok {
			q.fields = shared(lists, p)
			out[i] = findingPart{q, f}
		} else {
			out[i] = q
		}
	}
	return out
}

func (s snapshot) Open(ctx context.Context, parts []Part, columns []string, most int) ([]File, error) {
	list := make([]store.Part, len(parts))
	for i, p := range parts {
		list[i] = p.(interface{ stored() store.Part }).stored()
	}
	files, err := s.Snapshot.Open(ctx, list, columns, most)
	if err != nil {
		return nil, err
	}
	out := make([]File, len(files))
	for i := range files {
		out[i] = File{FD: files[i].FD, Parts: files[i].Parts, Bytes: files[i].Bytes}
	}
	return out, nil
}

// shared gives segments with one list of columns one list of fields.
func shared(lists map[*segment.Field][]Field, p store.Part) []Field {
	list := p.Fields()
	key := unsafe.SliceData(list)
	out, ok := lists[key]
	if !ok {
		out = fieldsOf(list)
		lists[key] = out
	}
	return out
}

type part struct {
	store.Part
	fields []Field // of a segment; nil: to be asked for, which may cost
}

// findingPart is a part that finds rows by itself.
type findingPart struct {
	part
	f finder
}

type finder interface {
	store.Finder
	store.Searcher
}

// Search implements [store.Searcher].
func (p findingPart) Search(text string) (segment.Rows, error) { return p.f.Search(text) }

func (p findingPart) Find(conds []segment.Cond, limit int) (segment.Found, bool, error) {
	return p.f.Find(conds, limit)
}

func (p findingPart) Values(paths []string, rows []int64) ([]store.ValueFunc, error) {
	return p.f.Values(paths, rows)
}

func (p findingPart) Messages(rows []int64, fn func(row int64, message []byte) error) error {
	return p.f.Messages(rows, fn)
}

func (p part) stored() store.Part { return p.Part }

func (p part) MinTime() time.Time { return time.Unix(0, p.FirstTime()).UTC() }
func (p part) MaxTime() time.Time { return time.Unix(0, p.LastTime()).UTC() }

func (p part) Fields() []Field {
	if p.fields != nil {
		return p.fields
	}
	return fieldsOf(p.Part.Fields())
}

func fieldsOf(list []segment.Field) []Field {
	out := make([]Field, 0, len(list))
	for _, f := range list {
		if t, ok := fieldType(f.Type); ok && !f.Internal() {
			out = append(out, Field{Path: f.Path, Column: f.Column, Type: t, Stamp: f.Type == segment.Stamp, Address: f.Type == segment.Addr, UUID: f.Type == segment.UUID, Digits: f.Digits})
		}
	}
	return out
}

// fieldType is a column's type as a query sees it; the store's own columns,
// which hold bytes, are not to be seen.
func fieldType(t segment.Type) (plan.Type, bool) {
	switch t {
	case segment.Text, segment.Stamp, segment.Addr, segment.UUID:
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
