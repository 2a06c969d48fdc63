package query

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trailward/query/direct"
	"trailward/query/lower"
	"trailward/query/plan"
	"trailward/store"
)

// When the parts find few rows by themselves (find.go), and the plan asks little
// of them, the answer is made here: see package direct.

// singles reports whether a query may be answered directly: it has one scan, and
// conditions that can single out records.
func singles(q *plan.Query) bool { return len(q.Scans) == 1 && len(q.PredicatesOf(0)) > 0 }

// direct answers a query, or says that the engine is needed.
func (s *scan) direct(ctx context.Context, q *plan.Query, v view) (values [][]any, out []Column, ok bool, err error) {
	fields := lower.Fields(q)
	if _, err := direct.Compile(q, fields, make([]plan.Type, len(fields)), nil); err != nil {
		return nil, nil, false, nil // whatever the types are
	}
	s.preds, s.from, s.to, s.only, s.count = q.PredicatesOf(0), v.from, v.to, v.has, countNothing
	n, err := s.narrow(ctx, v.kinds, fields)
	if err != nil {
		return nil, nil, false, err
	}
	s.tried = n
	for _, g := range n.groups {
		if len(g.parts) > 0 {
			return nil, nil, false, nil
		}
	}
	p, err := direct.Compile(q, n.wanted, n.types, s.said)
	if err != nil {
		return nil, nil, false, nil
	}
	before := len(s.numbered)
	rows, err := s.directRows(n)
	var matched int64
	if err == nil {
		values, matched, err = p.Run(rows)
	}
	if errors.Is(err, direct.ErrUnknown) {
		s.numbered = s.numbered[:before]
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	s.rows = matched
	s.addNotices(q.Notices)
	for _, c := range p.Columns() {
		out = append(out, Column{Name: c.Name, Type: c.Type, Hidden: c.Hidden})
	}
	for _, row := range values {
		for i, c := range out {
			if us, ok := row[i].(int64); ok && c.Type == plan.Time {
				row[i] = time.UnixMicro(us).UTC()
			}
		}
	}
	return values, out, true, nil
}

// directRows reads what the plan needs of the rows that were found.
func (s *scan) directRows(n *narrowed) ([]*direct.Row, error) {
	var out []*direct.Row
	for _, g := range n.groups {
		for i, found := range g.found {
			if len(found.Rows) == 0 {
				continue
			}
			rows, err := s.rowsOf(n, g, i, found.Rows)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				r.Searched = found.Searched
			}
			out = append(out, rows...)
		}
	}
	return out, nil
}

// rowsOf reads rows of one part.
func (s *scan) rowsOf(n *narrowed, g *partGroup, i int, rows []int64) ([]*direct.Row, error) {
	part := s.parts[i].(store.Finder)
	number := int64(len(s.numbered))
	s.numbered = append(s.numbered, numbered{parts: []Part{s.parts[i]}})
	var list neededColumns
	// What each field is: a constant, or the first of some columns that has a value.
	type source struct {
		value  any
		ptr    bool
		cols   []int
		object *object
	}
	sources, objects := make([]source, len(n.wanted)), false
	for j, f := range n.wanted {
		e, src := g.exprs[j], &sources[j]
		if _, _, ok := f.Holds(); ok {
			continue // the record is asked
		}
		switch systemName(f) {
		case fieldPtr:
			src.ptr = true
		case fieldMessage:
		case fieldKind:
			src.value = string(s.parts[i].Kind())
		case fieldLog:
			src.value = s.logOf(s.parts[i])
		default:
			if e.typ == plan.Null {
				break
			}
			if e.constant != nil && n.types[j] == plan.Text {
				src.value = e.constant(s.parts[i])
				break
			}
			if e.object != nil {
				src.object, objects = e.object, true
			}
			if !e.plain && !e.plainBut || e.typ != n.types[j] && !(e.typ == plan.Int && n.types[j] == plan.Text) {
				return nil, direct.ErrUnknown
			}
			for _, c := range e.own() {
				if t := g.schema.types[c]; t != e.typ && !(t == plan.Text && e.typ == plan.JSON) {
					return nil, direct.ErrUnknown
				}
				src.cols = append(src.cols, list.need(c))
			}
		}
	}
	at := -1
	if g.filter {
		at = list.need(fieldTime)
	}
	fail := func(err error) error { return fmt.Errorf("read segment %s: %w", s.parts[i].ID(), err) }
	cols, err := part.Values(list.paths, rows)
	if err != nil {
		return nil, fail(err)
	}
	var texts [][]any // of the objects, by row and field
	if objects {
		if err := part.Messages(rows, func(_ int64, raw []byte) error {
			row := make([]any, len(sources))
			for j, src := range sources {
				if src.object == nil {
					continue
				}
				if text, ok := src.object.text(raw, false); ok {
					row[j] = text
				}
			}
			texts = append(texts, row)
			return nil
		}); err != nil {
			return nil, fail(err)
		}
	}
	var out []*direct.Row
	var buf [64]byte
	number64 := func(k, row int) (int64, bool, error) {
		v, ok := cols[k](row, buf[:])
		if !ok {
			return 0, false, nil
		}
		x, err := strconv.ParseInt(string(v), 10, 64)
		return x, err == nil, err
	}
	for k, row := range rows {
		if at >= 0 {
			us, _, err := number64(at, k)
			if err != nil {
				return nil, fail(err)
			}
			if !s.from.IsZero() && us < s.from.UnixMicro() || !s.to.IsZero() && us > s.to.UnixMicro() {
				continue
			}
		}
		r := &direct.Row{Fields: make([]any, len(sources)), Message: s.messageOf(part, row, fail)}
		for j, src := range sources {
			switch {
			case src.ptr:
				r.Fields[j] = number<<pointerShift | row
				continue
			case src.cols == nil && src.object == nil:
				r.Fields[j] = src.value
				continue
			}
			for _, c := range src.cols {
				if n.types[j] == plan.Int || n.types[j] == plan.Time {
					x, ok, err := number64(c, k)
					if err != nil {
						return nil, fail(err)
					}
					if ok {
						r.Fields[j] = x
						break
					}
				} else if v, ok := cols[c](k, buf[:]); ok {
					r.Fields[j] = string(v)
					break
				}
			}
			if r.Fields[j] == nil && src.object != nil {
				r.Fields[j] = texts[k][j]
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// messageOf reads a record as text when it is asked for, once.
func (s *scan) messageOf(part store.Finder, row int64, fail func(error) error) func() (string, error) {
	var text string
	done := false
	return func() (string, error) {
		if done {
			return text, nil
		}
		err := part.Messages([]int64{row}, func(_ int64, raw []byte) error {
			text = strings.ToValidUTF8(string(raw), "\uFFFD")
			return nil
		})
		if err != nil {
			return "", fail(err)
		}
		done = true
		return text, nil
	}
}
