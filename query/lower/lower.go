package lower

import (
	"fmt"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// maxSteps bounds the common table expressions of a statement: each of them
// nests in the engine's binder, which gives up at a depth of about 1,000.
const maxSteps = 500

// OutColumn is a column of a statement's rows.
type OutColumn struct {
	Name string
	Type plan.Type
	// Hidden is true for the @ptr that records end with and that the query
	// did not ask for: it goes to clients, not into tables for people.
	Hidden bool
}

// Statement is a plan in an engine's SQL.
type Statement struct {
	SQL string
	// Columns are the columns of the rows in order. A column of type
	// plan.Message holds a record pointer in whose place the record's text
	// goes; a plan.Pointer is the same pointer, to be shown as @ptr. A plan.Later
	// is later text, see plan.Column.
	Columns []OutColumn
	// Notices are what there is to say about the answer itself.
	Notices []plan.Notice
	// Then, if set, says that SQL only prepares: its rows (at most MaxPrepared)
	// are for Then, which makes the statement that gives the answer of them. The
	// values are nil, string, int64, or map[string]any of int64.
	Then func(rows [][]any) (*Statement, error)
}

// MaxPrepared is the most rows of a statement whose rows are for Then.
const MaxPrepared = maxMasks

// Lower prints a plan for an engine. open is called once for each scan, with the
// fields that the answer depends on. The error is a *plan.Error when the query
// asks for what its columns' types do not allow, or what the dialect cannot say.
func Lower(q *plan.Query, open plan.OpenFunc, d Dialect) (*Statement, error) {
	l := &lowerer{d: d, open: open, later: map[string]string{}, live: liveness(q), branch: newBranch(), counted: counted(q), matched: q.Matched, holds: q.Holds}
	// The nodes above Patterns go into a second statement.
	var above []plan.Node
	for n := q.Root; n != nil; n = n.Input() {
		if p, ok := n.(*plan.Patterns); ok {
			return l.patterns(q, p, above)
		}
		above = append(above, n)
	}
	if err := l.tree(q.Root.Input()); err != nil {
		return nil, err
	}
	return l.finish(q, q.Root)
}

// finish lowers the last node and the output.
func (l *lowerer) finish(q *plan.Query, last plan.Node) (*Statement, error) {
	// The last limit is part of the last SELECT, unless that computes columns:
	// then only the chosen rows should pay for them.
	limit, merged := last.(*plan.Limit)
	if merged {
		for _, o := range q.Output {
			switch o.Expr.(type) {
			case plan.Field, plan.Col:
			default:
				merged = false
			}
		}
	}
	n := int64(-1)
	if merged {
		n = limit.N
		l.unordered = limit.Any
	} else if err := l.nodeAndCount(last); err != nil {
		return nil, err
	}
	return l.output(q, n)
}

// lowerer holds the statement as far as it is built.
type lowerer struct {
	d    Dialect
	open plan.OpenFunc
	live live
	ctes []string
	n    int // names given
	// counted is the node whose rows are counted by the function matched.
	counted plan.Node
	matched string
	holds   bool // see plan.Query.Holds
	// later has the columns of later text of scans' columns, which go wherever
	// these go: see plan.Column.
	later map[string]string
	branch
}

// branch is the tree whose rows the next step reads.
type branch struct {
	from   string         // the relation
	cols   map[int]val    // plan columns in it
	fields map[string]val // fields of scans in it, by fieldKey
	// pending are columns of the next step that expressions need more than
	// once; memo finds the column of an expression that was hoisted before.
	pending []string
	names   []string
	memo    map[string]val
	// order is the present order of the rows; where it is nil the default
	// holds, which for groups goes by keys. ties are the terms that settle what
	// both leave open.
	order     []sortTerm
	keys      []val
	ties      []string
	unordered bool
}

func newBranch() branch {
	return branch{cols: map[int]val{}, fields: map[string]val{}, memo: map[string]val{}}
}

// sortTerm is one key of the present order.
type sortTerm struct {
	v    val
	desc bool
}

// errorf makes an error that points at an expression.
func errorf(e plan.Expr, hint, format string, args ...any) error {
	p := plan.Pos{}
	if e != nil {
		p = plan.Place(e)
	}
	return errorAt(p, hint, format, args...)
}

func errorAt(p plan.Pos, hint, format string, args ...any) error {
	return &plan.Error{Line: p.Line, Col: p.Col, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// name gives a new identifier, quoted.
func (l *lowerer) name(prefix string) string {
	l.n++
	return l.d.Ident(prefix + strconv.Itoa(l.n))
}

// step makes a select the relation that the next one reads.
func (l *lowerer) step(sel string) error { return l.common(sel, false) }

// common is step for a relation that is read more than once if shared is true.
func (l *lowerer) common(sel string, shared bool) error {
	if len(l.ctes) >= maxSteps {
		return errorf(nil, "split it into several queries", "query is too complex: it takes more than %d steps", maxSteps)
	}
	name := l.d.Ident("t" + strconv.Itoa(len(l.ctes)))
	l.ctes = append(l.ctes, l.d.With(name, sel, shared))
	l.from = name
	return nil
}

// flush makes the pending columns part of the relation.
func (l *lowerer) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	sel := "SELECT *, " + strings.Join(l.pending, ", ") + " FROM " + l.from
	l.pending, l.names = nil, nil
	return l.step(sel)
}

// hoist makes an expression a column of the relation, so that it can stand in
// several places without being computed, or written, several times.
func (l *lowerer) hoist(v val) (val, error) {
	if v.atom {
		return v, nil
	}
	key := strconv.Itoa(int(v.typ)) + v.sql
	if h, ok := l.memo[key]; ok {
		return h, nil
	}
	for _, n := range l.names {
		if strings.Contains(v.sql, n) {
			if err := l.flush(); err != nil {
				return val{}, err
			}
			break
		}
	}
	h := v
	h.sql, h.atom = l.name("h"), true
	l.pending = append(l.pending, v.sql+" AS "+h.sql)
	l.names = append(l.names, h.sql)
	l.memo[key] = h
	return h, nil
}

// tree lowers a node and all below it.
func (l *lowerer) tree(n plan.Node) error {
	if n == nil {
		return nil
	}
	if err := l.tree(n.Input()); err != nil {
		return err
	}
	return l.nodeAndCount(n)
}

// nodeAndCount adds the step of a node, and counts its rows if these are the
// records that match.
func (l *lowerer) nodeAndCount(n plan.Node) error {
	if err := l.node(n); err != nil || n != l.counted {
		return err
	}
	return l.count(l.matched)
}

// side lowers a tree beside the present one, which stays.
func (l *lowerer) side(n plan.Node) (branch, error) {
	saved := l.branch
	l.branch = newBranch()
	err := l.tree(n)
	if err == nil {
		err = l.flush()
	}
	side := l.branch
	l.branch = saved
	return side, err
}

// scan makes the fields of a relation below the plan known.
func (l *lowerer) scan(n *plan.Scan) error {
	live := l.live.fields[n.ID]
	rel, err := l.open(n, live)
	if err != nil {
		return fmt.Errorf("open a scan of %d fields: %w", len(live), err)
	}
	var cols []string
	for _, f := range live {
		col, ok := rel.Columns[f.Key()]
		if !ok {
			return fmt.Errorf("open the scan: it gives no column for field %s", f.Key())
		}
		if strings.Contains(col.Name, "\x00") {
			return fmt.Errorf("open the scan: the column of field %s has a NUL in its name", f.Key())
		}
		name := l.name("f")
		sql := l.d.Ident(col.Name)
		if col.Type == plan.Null {
			sql = "CAST(NULL AS " + l.d.Type(plan.Text) + ")"
		}
		cols = append(cols, sql+" AS "+name)
		l.fields[fieldKey(n.ID, f)] = val{sql: name, typ: col.Type, atom: true}
		if col.Later != "" {
			l.later[name] = l.name("f")
			cols = append(cols, l.d.Ident(col.Later)+" AS "+l.later[name])
		}
	}
	l.ties = []string{l.fields[fieldKey(n.ID, sysRef("@timestamp"))].sql + " DESC NULLS LAST"}
	if p, ok := l.fields[fieldKey(n.ID, sysRef("@ptr"))]; ok {
		l.ties = append(l.ties, p.sql+" ASC NULLS FIRST")
	}
	return l.step("SELECT " + strings.Join(cols, ", ") + " FROM " + rel.SQL + " AS " + l.d.Ident("r"))
}

// node adds the step of one node.
func (l *lowerer) node(n plan.Node) error {
	switch n := n.(type) {
	case *plan.Scan:
		return l.scan(n)
	case *plan.Values:
		return l.values(n)
	case *plan.Filter:
		cond, err := l.cond(n.Cond, true)
		if err != nil {
			return err
		}
		if err := l.flush(); err != nil {
			return err
		}
		return l.step("SELECT * FROM " + l.from + " WHERE " + cond)
	case *plan.Extend:
		return l.extend(n)
	case *plan.Aggregate:
		return l.aggregate(n)
	case *plan.Sort:
		terms, err := l.sortTerms(n.Keys)
		l.order, l.unordered = terms, false
		return err
	case *plan.Limit:
		order := ""
		if !n.Any {
			var err error
			if order, err = l.orderBy(); err != nil {
				return err
			}
		}
		if err := l.flush(); err != nil {
			return err
		}
		return l.step("SELECT * FROM " + l.from + order + " LIMIT " + strconv.FormatInt(n.N, 10))
	case *plan.Dedup:
		return l.dedup(n)
	case *plan.Unnest:
		v, err := l.expr(n.Col.Expr)
		if err != nil {
			return err
		}
		if v, err = l.list(v); err != nil {
			return err
		}
		if err := l.flush(); err != nil {
			return err
		}
		name := l.name("c")
		l.cols[n.Col.ID] = val{sql: name, typ: plan.JSON, atom: true}
		return l.step(l.d.Unnest(l.from, []string{v.sql}, []string{name}))
	case *plan.ExtractAll:
		return l.extractAll(n)
	case *plan.Join:
		return l.join(n)
	case *plan.Paste:
		return l.paste(n)
	case *plan.Window:
		return l.window(n)
	case *plan.Total:
		return l.total(n)
	case *plan.FillBins:
		return l.fillBins(n)
	case *plan.Relevant:
		return l.relevant(n)
	}
	return fmt.Errorf("lower a %T: not known", n)
}

// sortTerms lowers the keys of an order.
func (l *lowerer) sortTerms(keys []plan.SortKey) ([]sortTerm, error) {
	var out []sortTerm
	for _, k := range keys {
		v, err := l.expr(k.Expr)
		if err != nil {
			return nil, err
		}
		if v.doc || v.typ == plan.List {
			return nil, errorf(k.Expr, "sort by one of its parts", "sort by a map or list")
		}
		if v, err = l.hoist(v); err != nil {
			return nil, err
		}
		out = append(out, sortTerm{v, k.Desc})
	}
	return out, nil
}

func (l *lowerer) extend(n *plan.Extend) error {
	var defs []string
	for _, c := range n.Cols {
		if !l.live.cols[c.ID] {
			continue
		}
		v, err := l.expr(c.Expr)
		if err != nil {
			return err
		}
		if !v.atom {
			name := l.name("c")
			defs = append(defs, v.sql+" AS "+name)
			v.sql, v.atom = name, true
		}
		l.cols[c.ID] = v
	}
	if len(defs) == 0 {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	return l.step("SELECT *, " + strings.Join(defs, ", ") + " FROM " + l.from)
}

func (l *lowerer) dedup(n *plan.Dedup) error {
	var keys, missing []string
	for i, k := range n.Keys {
		v, err := l.expr(k)
		if err != nil {
			return err
		}
		if v.doc || v.typ == plan.List {
			return errorAt(n.At[i], "dedup by one of its parts", "dedup by a map or list")
		}
		if v, err = l.hoist(v); err != nil {
			return err
		}
		keys = append(keys, v.sql)
		missing = append(missing, v.sql+" IS NULL")
	}
	order, err := l.orderBy()
	if err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	row := l.name("n")
	if err := l.step("SELECT *, row_number() OVER (PARTITION BY " + strings.Join(keys, ", ") + order + ") AS " + row + " FROM " + l.from); err != nil {
		return err
	}
	return l.step("SELECT * FROM " + l.from + " WHERE " + row + " = 1 OR " + strings.Join(missing, " OR "))
}

func (l *lowerer) extractAll(n *plan.ExtractAll) error {
	v, err := l.expr(n.X)
	if err != nil {
		return err
	}
	if v, err = l.hoist(l.text(v)); err != nil {
		return err
	}
	var lists, names []string
	for _, g := range n.Groups {
		sql, err := l.op(opMatchesOrNull, v.sql, l.d.Text(n.Regex), strconv.Itoa(g.Group))
		if err != nil {
			return err
		}
		name := l.name("c")
		lists, names = append(lists, sql), append(names, name)
		l.cols[g.ID] = val{sql: name, typ: plan.Text, atom: true}
	}
	if err := l.flush(); err != nil {
		return err
	}
	return l.step(l.d.Unnest(l.from, lists, names))
}

// output makes the last select. A limit below 0 is none.
func (l *lowerer) output(q *plan.Query, limit int64) (*Statement, error) {
	st := &Statement{}
	var cols []string
	for i, o := range q.Output {
		col := OutColumn{Name: o.Name}
		var v val
		var err error
		f, isField := o.Expr.(plan.Field)
		switch {
		case isField && f.Ref.Key() == "@message":
			v, col.Type = l.fields[fieldKey(f.Scan, sysRef("@ptr"))], plan.Message
		case isField && f.Ref.Key() == "@ptr":
			v, col.Type = l.fields[fieldKey(f.Scan, f.Ref)], plan.Pointer
			// The compiler adds it at the end, and gives it no place.
			col.Hidden = f.Pos.Line == 0 && f.Scan == 0 && i == len(q.Output)-1
		default:
			if v, err = l.expr(o.Expr); err != nil {
				return nil, err
			}
			if later := l.later[v.sql]; later != "" {
				v.sql, v.typ = later, plan.Later
			}
			col.Type = v.typ
			if v.wide {
				col.Type = plan.Float // which holds nearly all of any
			}
			if v.typ == plan.Float {
				if v, err = l.finite(v); err != nil {
					return nil, err
				}
			}
		}
		cols = append(cols, v.sql+" AS "+l.d.Ident("o"+strconv.Itoa(i+1)))
		st.Columns = append(st.Columns, col)
	}
	order := ""
	if !l.unordered || limit < 0 {
		var err error
		if order, err = l.orderBy(); err != nil {
			return nil, err
		}
	}
	if err := l.flush(); err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("WITH ")
	b.WriteString(strings.Join(l.ctes, ",\n"))
	b.WriteString("\nSELECT " + strings.Join(cols, ", ") + " FROM " + l.from + order)
	if limit >= 0 {
		b.WriteString(" LIMIT " + strconv.FormatInt(limit, 10))
	}
	st.SQL = b.String()
	return st, nil
}
