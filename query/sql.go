package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trailward"
	"trailward/query/athena"
	"trailward/query/duck"
	"trailward/query/plan"
)

// sql runs a query in Athena's dialect. Two locks keep it to the tables: the
// text is checked over its syntax tree, and the instance that runs it can read
// nothing else.
func (e *Engine) sql(req Request, start time.Time, explain bool) (task, error) {
	tables := make(map[string]trailward.Kind, len(req.Tables))
	for name, kind := range req.Tables {
		k := trailward.Kind(kind)
		if !k.Valid() {
			return task{}, &Error{Msg: fmt.Sprintf("table %s: %q is no kind of record", name, kind), Hint: "expected one of " + kindList()}
		}
		tables[name] = k
	}
	var q *athena.Query
	matched := duck.MatchedFunction
	if explain {
		matched = ""
	}
	v := view{from: req.Start, to: req.End}
	v.groups, v.none = req.reads()
	return task{
		notices: e.missingGroups(req, nil),
		views:   func() []view { return []view{v} },
		sel:     Selection{Groups: v.groups, Start: req.Start, End: req.End}, nothing: v.none, fold: true, timeout: e.opts.SQLTimeout, start: start,
		choose: func(ctx context.Context, parts []Part, known *schemas) ([]Part, error) {
			var err error
			q, err = athena.Prepare(req.Text, athena.Options{
				Serialize:   func(text string) (string, error) { return e.pool.SerializeSQL(ctx, text) },
				Deserialize: func(tree string) (string, error) { return e.pool.DeserializeSQL(ctx, tree) },
				Tables:      tables,
				Fields:      func(kind trailward.Kind) []string { return fieldPaths(parts, known, kind) },
				Now:         req.Now,
				Matched:     matched,
				Holds:       !e.whole,
			})
			if err != nil {
				return nil, err
			}
			if v.kinds = q.Kinds(); slices.Contains(v.kinds, "") {
				v.kinds = nil
			}
			v.none = len(q.Scans()) == 0
			return ofKinds(parts, q.Kinds()), nil
		},
		fault: func(err error) error {
			var said *duck.Error
			if errors.As(err, &said) && !said.Internal {
				if e := q.Fault(said.Msg); e != nil {
					return e
				}
			}
			return err
		},
		statement: func(ctx context.Context, s *scan) (string, []Column, error) {
			scans := q.Scans()
			s.guards, s.looked = q.Guards(), q.LookedAt()
			sql, err := q.SQL(func(i int, fields []plan.FieldRef) (plan.Relation, error) {
				var kinds []trailward.Kind
				if k := scans[i].Kind; k != "" {
					kinds = []trailward.Kind{k}
				}
				s.preds = q.Predicates(i)
				switch {
				case explain, scans[i].Counted:
					s.count = countNothing
				case q.Conditional():
					s.count = countConditions
				default:
					s.count = countAll
				}
				return s.relation(ctx, kinds, fields)
			})
			if err != nil {
				return "", nil, err
			}
			cols := q.Columns()
			out := make([]Column, len(cols))
			for i, c := range cols {
				out[i] = Column{Name: c.Name, Type: c.Type}
			}
			return sql, out, nil
		},
	}, nil
}

func kindList() string {
	names := make([]string, len(trailward.Kinds))
	for i, k := range trailward.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// ofKinds keeps the parts of the given kinds; the kind "" means all.
func ofKinds(parts []Part, kinds []trailward.Kind) []Part {
	if slices.Contains(kinds, "") {
		return parts
	}
	var out []Part
	for _, p := range parts {
		if slices.Contains(kinds, p.Kind()) {
			out = append(out, p)
		}
	}
	return out
}

// fieldPaths lists the fields that the records of a kind have ("" means all
// kinds), in order.
func fieldPaths(parts []Part, known *schemas, kind trailward.Kind) []string {
	paths := map[string]bool{}
	seen := map[*partSchema]bool{}
	for _, p := range ofKinds(parts, []trailward.Kind{kind}) {
		s := known.of(p)
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, f := range s.fields {
			paths[f.Path] = true
		}
	}
	out := make([]string, 0, len(paths))
	for p := range paths {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}
