// Package direct answers plans over a handful of rows without an engine: the
// question for one record out of millions is answered when its row is found, and
// an engine that first prepares a statement would take longer than all the rest.
//
// It gets a [plan.Query], the types of the fields that it reads, and the rows;
// it gives the rows of the answer as the statement of query/lower would. It
// knows filters, names, orders and limits over fields and constants. What it
// does not know, it says before it answers ([ErrUnknown]), and the engine is
// asked. The meaning of a comparison is query/lower's: a test holds both against
// each other.
package direct

import (
	"cmp"
	"errors"
	"slices"

	"trailward/query/lower"
	"trailward/query/plan"
)

// ErrUnknown says that the query, or a value that it met, is for the engine.
var ErrUnknown = errors.New("query is not for the direct way")

// Row is a row of the scan.
type Row struct {
	// Fields are the values in the order of the fields that the program was made
	// for: nil, string for texts and JSON, int64 for integers and pointers, times
	// as microseconds since the Unix epoch. That of @message is not used.
	Fields []any
	// Searched says that the record is known to have the texts that [Has] was
	// given: then those conditions need not be looked at.
	Searched bool
	// Message gives the record as text.
	Message func() (string, error)

	sort []any
}

// Program is a query that can be answered.
type Program struct {
	stages  []stage
	order   []term // of the answer; the ties are part of it
	outputs []value
	columns []lower.OutColumn
	last    int // the number of the stage after which rows are counted as matching
}

// stage does one step to all rows.
type stage func(rows []*Row) ([]*Row, error)

// value is an expression and what is known about it.
type value struct {
	typ  plan.Type
	lit  *plan.Lit
	eval func(r *Row) (any, error)
}

// term is one key of an order.
type term struct {
	v    value
	desc bool
}

// compiler holds what is known while a program is made.
type compiler struct {
	fields map[string]int
	types  []plan.Type
	has    map[string]bool
	cols   map[int]value
	p      *Program
	order  []term
}

// Compile makes a program of a query with one scan, whose fields have these
// types. has are the texts that records of Searched rows are known to have in
// them. It returns [ErrUnknown] when the query is for the engine.
func Compile(q *plan.Query, fields []plan.FieldRef, types []plan.Type, has map[string]bool) (*Program, error) {
	c := &compiler{fields: make(map[string]int, len(fields)), types: types, has: has, cols: map[int]value{}, p: &Program{last: -1}}
	for i, f := range fields {
		c.fields[f.Key()] = i
	}
	var nodes []plan.Node
	for n := q.Root; ; n = n.Input() {
		if n == nil {
			return nil, ErrUnknown
		}
		if s, ok := n.(*plan.Scan); ok {
			if s.ID != 0 || len(q.Scans) != 1 {
				return nil, ErrUnknown
			}
			break
		}
		nodes = append(nodes, n)
	}
	limited := false
	for _, n := range slices.Backward(nodes) {
		if err := c.node(n); err != nil {
			return nil, err
		}
		switch n.(type) {
		case *plan.Filter:
			if !limited {
				c.p.last = len(c.p.stages) - 1
			}
		case *plan.Limit:
			limited = true
		}
	}
	if c.p.last < 0 {
		return nil, ErrUnknown // every record is of the answer: these are not few
	}
	if err := c.output(q); err != nil {
		return nil, err
	}
	var err error
	c.p.order, err = c.terms()
	return c.p, err
}

// node adds the stage of a node.
func (c *compiler) node(n plan.Node) error {
	switch n := n.(type) {
	case *plan.Filter:
		cond, err := c.cond(n.Cond)
		if err != nil {
			return err
		}
		c.stage(func(rows []*Row) ([]*Row, error) {
			kept := rows[:0]
			for _, r := range rows {
				ok, err := cond(r)
				if err != nil {
					return nil, err
				}
				if ok {
					kept = append(kept, r)
				}
			}
			return kept, nil
		})
	case *plan.Extend:
		for _, col := range n.Cols {
			v, err := c.expr(col.Expr)
			if err != nil {
				// It may be that nobody reads it.
				continue
			}
			c.cols[col.ID] = v
		}
	case *plan.Sort:
		c.order = []term{}
		for _, k := range n.Keys {
			v, err := c.expr(k.Expr)
			if err != nil {
				return err
			}
			if v.lit != nil {
				continue // the same for every row
			}
			if c.order = append(c.order, term{v, k.Desc}); !sortable(v.typ) {
				return ErrUnknown
			}
		}
	case *plan.Limit:
		var terms []term
		if !n.Any {
			var err error
			if terms, err = c.terms(); err != nil {
				return err
			}
		}
		c.stage(func(rows []*Row) ([]*Row, error) {
			if err := order(rows, terms); err != nil {
				return nil, err
			}
			return rows[:min(int64(len(rows)), n.N)], nil
		})
	default:
		return ErrUnknown
	}
	return nil
}

func (c *compiler) stage(s stage) { c.p.stages = append(c.p.stages, s) }

func sortable(t plan.Type) bool {
	switch t {
	case plan.Text, plan.JSON, plan.Int, plan.Time, plan.Pointer, plan.Null:
		return true
	}
	return false
}

// terms are the present order, and behind it what settles ties: the newest
// record first, then the order of the store.
func (c *compiler) terms() ([]term, error) {
	out := slices.Clone(c.order)
	at, err := c.field(system("@timestamp"))
	if err != nil {
		return nil, err
	}
	out = append(out, term{at, true})
	if p, err := c.field(system("@ptr")); err == nil {
		out = append(out, term{p, false})
	}
	return out, nil
}

func system(name string) plan.FieldRef { return plan.FieldRef{Keys: []string{name}} }

// order sorts rows: what is missing first, texts in natural order. Descending
// is the exact reverse.
func order(rows []*Row, terms []term) error {
	if len(rows) < 2 || len(terms) == 0 {
		return nil
	}
	for _, r := range rows {
		r.sort = make([]any, len(terms))
		for i, t := range terms {
			v, err := t.v.eval(r)
			if err != nil {
				return err
			}
			if s, ok := v.(string); ok {
				v = string(lower.AppendSortKey(nil, s))
			}
			r.sort[i] = v
		}
	}
	slices.SortStableFunc(rows, func(a, b *Row) int {
		for i, t := range terms {
			n := compare(a.sort[i], b.sort[i])
			if t.desc {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
	return nil
}

func compare(a, b any) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(present(a), present(b))
	}
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	}
	return 0
}

func present(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

// output makes the columns of the answer.
func (c *compiler) output(q *plan.Query) error {
	for i, o := range q.Output {
		col := lower.OutColumn{Name: o.Name}
		f, isField := o.Expr.(plan.Field)
		var v value
		var err error
		switch {
		case isField && f.Ref.Key() == "@message":
			v, err = c.field(system("@ptr"))
			col.Type = plan.Message
		case isField && f.Ref.Key() == "@ptr":
			v, err = c.field(f.Ref)
			col.Type, col.Hidden = plan.Pointer, f.Pos.Line == 0 && i == len(q.Output)-1
		default:
			v, err = c.expr(o.Expr)
			col.Type = v.typ
		}
		if err != nil {
			return err
		}
		c.p.outputs = append(c.p.outputs, v)
		c.p.columns = append(c.p.columns, col)
	}
	return nil
}

// Columns describe the answer's rows.
func (p *Program) Columns() []lower.OutColumn { return p.columns }

// Run answers: its rows, whose values are those of Row.Fields, and how many
// records passed the conditions. It returns [ErrUnknown] when it meets a value
// that only the engine compares rightly.
func (p *Program) Run(rows []*Row) (out [][]any, matched int64, err error) {
	for i, s := range p.stages {
		if rows, err = s(rows); err != nil {
			return nil, 0, err
		}
		if i == p.last {
			matched = int64(len(rows))
		}
	}
	if err := order(rows, p.order); err != nil {
		return nil, 0, err
	}
	for _, r := range rows {
		values := make([]any, len(p.outputs))
		for i, v := range p.outputs {
			if values[i], err = v.eval(r); err != nil {
				return nil, 0, err
			}
		}
		out = append(out, values)
	}
	return out, matched, nil
}
