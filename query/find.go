package query

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"trailward/query/plan"
	"trailward/store"
	"trailward/store/segment"
)

// A question that singles out few records (one id, a word that hardly occurs)
// is answered without the engine reading a segment: the part finds the rows,
// and what the plan needs of them goes into the SQL as values. The plan's own
// conditions still run over them, so that a part may find too many rows, never
// too few.

// maxSingled is how many rows may go into a query's SQL.
const maxSingled = 2000

// maxSearched is how many records are searched for text in columns that are
// not in memory yet; beyond it the engine, which reads in streams, is better.
const maxSearched = 20_000_000

// single lets the parts that can find the rows that pass the plan's
// predicates. Parts without any leave their group.
func (s *scan) single(ctx context.Context, groups []*partGroup) error {
	if len(s.preds) == 0 {
		return nil
	}
	var rows int64
	for _, g := range groups {
		for _, i := range g.parts {
			rows += s.parts[i].Rows()
		}
	}
	var mu sync.Mutex
	total := 0
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(runtime.GOMAXPROCS(0))
	for _, g := range groups {
		conds := s.conds(g.schema, rows <= maxSearched)
		if len(conds) == 0 {
			continue
		}
		for _, i := range g.parts {
			f, ok := s.parts[i].(store.Finder)
			if !ok {
				continue
			}
			eg.Go(func() error {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				found, ok, err := f.Find(conds, maxSingled)
				if err != nil {
					return fmt.Errorf("search segment %s: %w", s.parts[i].ID(), err)
				}
				mu.Lock()
				defer mu.Unlock()
				if !ok || total+len(found.Rows) > maxSingled {
					return nil
				}
				total += len(found.Rows)
				if g.found == nil {
					g.found = map[int]segment.Found{}
				}
				g.found[i] = found
				if len(found.Rows) > 0 && s.opened[i] == nil {
					s.opened[i] = map[string]bool{}
					s.stats.SegmentsOpened++
					s.stats.RecordsScanned += s.parts[i].Rows()
				}
				return nil
			})
		}
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	for _, g := range groups {
		g.parts = slices.DeleteFunc(g.parts, func(i int) bool { _, ok := g.found[i]; return ok })
	}
	return nil
}

// conds says the plan's predicates in terms of a part's columns. What cannot
// be said is left out.
func (s *scan) conds(schema *partSchema, search bool) []segment.Cond {
	var out []segment.Cond
preds:
	for _, p := range s.preds {
		var c segment.Cond
		for _, a := range p.Any {
			t, ok := s.test(schema, a, search)
			if !ok {
				continue preds
			}
			c.Any = append(c.Any, t)
		}
		if t := c.Any[0]; len(c.Any) == 1 && t.Message && t.Op == segment.Contains {
			if s.said == nil {
				s.said = map[string]bool{}
			}
			s.said[t.Values[0]] = true
		}
		out = append(out, c)
	}
	return out
}

func (s *scan) test(schema *partSchema, a plan.Atom, search bool) (t segment.Test, ok bool) {
	switch name := systemName(a.Field); {
	case name == fieldMessage:
		t.Message = true
	case name == fieldLogStream:
		t.Columns = []string{fieldLogStream}
	case ofStore(a.Field):
		return t, false
	default:
		e := schema.resolve(a.Field)
		if e.typ != plan.Null && !e.plain {
			return t, false
		}
		t.Columns = e.cols
	}
	if t.Message && slices.ContainsFunc(a.Values, func(v string) bool { return strings.ContainsRune(v, '\uFFFD') }) {
		return t, false // what is no UTF-8 shows as that
	}
	switch a.Op {
	case plan.AtomEqual:
		if t.Message {
			return t, false
		}
		if a.Cast {
			t.Op, t.Accept = segment.Custom, nearNumber(a.Values)
			break
		}
		t.Op, t.Values, t.Loose = segment.Equal, a.Values, !a.Exact
	case plan.AtomContains:
		t.Op, t.Values = segment.Contains, a.Values
	case plan.AtomMatch:
		lit, whole := plan.RequiredLiteral(a.Values[0])
		if len(lit) < plan.MinLiteral && !whole {
			return t, false // it would hardly narrow anything
		}
		t.Op, t.Values = segment.Contains, []string{lit}
	case plan.AtomSubnet:
		p, err := netip.ParsePrefix(a.Values[0])
		if err != nil || t.Message {
			return t, false
		}
		t.Op, t.Prefix = segment.Within, p.Masked()
	case plan.AtomSpan:
		// Only times that sort as text do can be compared as such.
		if len(t.Columns) != 1 || !schema.stamps[t.Columns[0]] {
			return t, false
		}
		t.Op, t.Accept = segment.Custom, spanTest(a.Span)
	default:
		return t, false
	}
	if !search && t.Op != segment.Equal {
		return t, false
	}
	return t, true
}

// textLiteral writes any text as SQL; a literal cannot hold NUL.
func textLiteral(text string) string {
	if !strings.Contains(text, "\x00") {
		return literal(text)
	}
	parts := strings.Split(text, "\x00")
	for i, p := range parts {
		parts[i] = literal(p)
	}
	return "concat(" + strings.Join(parts, ", chr(0), ") + ")"
}
