package athena

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"trailward"
	"trailward/query/plan"
)

// Options are what [Prepare] needs beside the text.
type Options struct {
	// Serialize is DuckDB's json_serialize_sql(sql)::VARCHAR and Deserialize its
	// json_deserialize_sql. Both are called more than once for each query, and
	// only with one text at a time.
	Serialize   func(sql string) (tree string, err error)
	Deserialize func(tree string) (sql string, err error)
	// Tables maps further table names, in any case, to kinds; "" means all kinds.
	Tables map[string]trailward.Kind
	// Fields gives the fields that the records of a kind have ("" means of any
	// kind), as paths of trailward.JoinPath. Nil, or a nil answer, means that
	// nobody knows; a column that is not documented is then an error, save in
	// the tables without a fixed set of columns.
	Fields func(kind trailward.Kind) []string
	// Now is current_timestamp; the zero time means the time of the call.
	Now time.Time
	// Matched, if set, names a function of DuckDB, without arguments, that is true
	// and counts its calls, to count the records that pass the conditions.
	Matched string
	// Holds says that relations have the fields of plan.Held, for conditions on the
	// record.
	Holds bool
}

// Scan is one reference to a table.
type Scan struct {
	// Kind is the kind of record that the table holds, "" for all.
	Kind trailward.Kind
	// Fields is what the query needs of it. It may be empty: count(*).
	Fields []plan.FieldRef
	// Counted says that the statement calls Options.Matched for those of its
	// records that pass the conditions. The others' are for the caller to count.
	Counted bool
}

// Column is one column of a query's result.
type Column struct {
	Name string
	Type plan.Type
}

// Query is a checked query.
type Query struct {
	opts    Options
	src     *source
	tree    string // json_serialize_sql's answer
	scans   []Scan
	columns []Column
	fields  map[trailward.Kind]*fieldSet // those asked for, which do not change
	// preds are what is known of the records of each scan.
	preds    [][]plan.Predicate
	narrowed []bool // of each scan: see scan.narrowed
	// made and selects are of the last pass, for [Query.Fault].
	made        []made
	selects     []grouped
	conditional bool // something chooses among the records
	guards      []plan.FieldRef
	looked      map[string]bool
}

// Prepare checks the text and finds its tables and their fields. A fault in
// the text is a *plan.Error.
func Prepare(text string, opts Options) (*Query, error) {
	if opts.Serialize == nil || opts.Deserialize == nil {
		return nil, errors.New("prepare SQL: no parser is given")
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	switch {
	case len(text) > MaxText:
		return nil, &plan.Error{Msg: fmt.Sprintf("the query has %d bytes, the limit is %d", len(text), MaxText)}
	case !utf8.ValidString(text):
		return nil, &plan.Error{Msg: "the query is not valid UTF-8"}
	case strings.IndexByte(text, 0) >= 0:
		return nil, &plan.Error{Msg: "the query holds a NUL character"}
	case strings.TrimSpace(text) == "":
		return nil, &plan.Error{Msg: "the query is empty", Hint: "expected SELECT"}
	}
	src, err := newSource(text)
	if err != nil {
		return nil, err
	}
	if sel, err := show(src, opts); err != nil {
		return nil, err
	} else if sel != "" {
		src = &source{text: sel, sql: sel}
	}
	tree, err := opts.Serialize(src.sql)
	if err != nil {
		return nil, fmt.Errorf("parse SQL: %w", err)
	}
	root, err := parseTree(src, tree)
	if err != nil {
		return nil, err
	}
	if len(list(root, "statements")) == 0 {
		return nil, &plan.Error{Msg: "the query is empty", Hint: "expected SELECT"}
	}
	g := &guard{src: src, function: userFunction}
	if err := g.check(root); err != nil {
		return nil, err
	}
	q := &Query{opts: opts, src: src, tree: tree, conditional: conditional(root)}
	r, cols, err := q.rewrite(root, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range r.scans {
		q.scans = append(q.scans, Scan{Kind: s.kind, Fields: s.fieldRefs(), Counted: s.counted && !s.narrowed})
		q.narrowed = append(q.narrowed, s.narrowed)
		q.preds = append(q.preds, s.preds)
	}
	for _, c := range cols {
		q.columns = append(q.columns, Column{c.name, c.typ.planType()})
	}
	q.guards, q.looked = r.guards, r.lookedAt(root)
	return q, nil
}

// Scans gives the references to tables, in the order in which SQL opens them.
func (q *Query) Scans() []Scan { return q.scans }

// Guards are the fields of plan.Held of which one is true for each record that the
// statement looks at as a whole; nil when it may be any record.
func (q *Query) Guards() []plan.FieldRef { return q.guards }

// LookedAt are the fields, by FieldRef.Key, of which the statement needs the values
// before the rows to be shown are chosen. Of others it may show later text.
func (q *Query) LookedAt() map[string]bool { return q.looked }

// Kinds gives the kinds of the tables, each once; "" means all kinds.
func (q *Query) Kinds() []trailward.Kind {
	var out []trailward.Kind
	seen := map[trailward.Kind]bool{}
	for _, s := range q.scans {
		if !seen[s.Kind] {
			seen[s.Kind] = true
			out = append(out, s.Kind)
		}
	}
	return out
}

// Columns gives the result's columns. After [Query.SQL] their types are those
// of the open scans. [plan.JSON] is text in DuckDB: JSON of an array or object,
// else the bare value.
func (q *Query) Columns() []Column { return q.columns }

// rewrite runs one pass, the first without relations.
func (q *Query) rewrite(root node, rels []plan.Relation) (*rewriter, []outCol, error) {
	if q.fields == nil {
		q.fields = map[trailward.Kind]*fieldSet{}
	}
	fields := q.fields
	var types []map[string]plan.Type
	var later []map[string]string
	if rels != nil {
		types = []map[string]plan.Type{}
	}
	for _, rel := range rels {
		of := map[string]plan.Type{}
		for k, c := range rel.Columns {
			of[k] = c.Type
		}
		types, later = append(types, of), append(later, laterOf(rel))
	}
	r := &rewriter{
		src: q.src, serialize: q.opts.Serialize, own: q.opts.Tables, now: q.opts.Now, types: types, laters: later, matched: q.opts.Matched, narrowed: q.narrowed, holds: q.opts.Holds,
		fields: func(k trailward.Kind) *fieldSet {
			if s, ok := fields[k]; ok {
				return s
			}
			var s *fieldSet
			if q.opts.Fields != nil {
				if paths := q.opts.Fields(k); paths != nil {
					s = newFieldSet(paths)
				}
			}
			fields[k] = s
			return s
		},
	}
	stmt := nodes(root, "statements")[0]
	cols, err := r.query(obj(stmt, "node"), nil, -1)
	if err == nil {
		r.showLater(obj(stmt, "node"), r.top, cols)
		r.settleRecords(obj(stmt, "node"))
	}
	for _, fn := range r.later {
		fn()
	}
	return r, cols, err
}

// SQL gives the text that DuckDB is to run. open is called once for each scan,
// in order, with its fields.
func (q *Query) SQL(open func(scan int, fields []plan.FieldRef) (plan.Relation, error)) (string, error) {
	rels := make([]plan.Relation, len(q.scans))
	for i, s := range q.scans {
		r, err := open(i, s.Fields)
		if err != nil {
			return "", err
		}
		rels[i] = r
	}
	root, err := parseTree(q.src, q.tree)
	if err != nil {
		return "", err
	}
	r, cols, err := q.rewrite(root, rels)
	if err != nil {
		return "", err
	}
	q.made, q.selects = r.made, r.selects
	if len(r.scans) != len(rels) {
		return "", fmt.Errorf("write SQL: %d scans where %d were prepared", len(r.scans), len(rels))
	}
	body, err := q.print(root, r)
	if err != nil {
		return "", err
	}
	if len(r.scans) == 0 {
		q.setColumns(cols)
		return body, nil
	}
	var b strings.Builder
	top := obj(nodes(root, "statements")[0], "node")
	entries := len(list(obj(top, "cte_map"), "map")) > 0
	b.WriteString("WITH ")
	if entries {
		rest, ok := strings.CutPrefix(body, "WITH ")
		if !ok {
			return "", fmt.Errorf("write SQL: the text of a query with WITH begins otherwise: %.40q", body)
		}
		if again, ok := strings.CutPrefix(rest, "RECURSIVE "); ok {
			b.WriteString("RECURSIVE ")
			rest = again
		}
		body = ", " + rest
	} else {
		body = " " + body
	}
	for i, s := range r.scans {
		if i > 0 {
			b.WriteString(", ")
		}
		text, err := s.sql(rels[i])
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	b.WriteString(body)
	q.setColumns(cols)
	return b.String(), nil
}

func (q *Query) setColumns(cols []outCol) {
	out := make([]Column, len(cols))
	for i, c := range cols {
		out[i] = Column{c.name, c.typ.planType()}
	}
	q.columns = out
}

// emitted is emittedFunction, with the function that counts.
func (q *Query) emitted(name string) string {
	if name == q.opts.Matched && name != "" {
		return ""
	}
	return emittedFunction(name)
}

// print turns the rewritten tree into text and judges the text once more.
func (q *Query) print(root node, r *rewriter) (string, error) {
	flattenConditions(root)
	count := &guard{src: q.src, function: q.emitted, table: func(string) string { return "" }}
	if err := count.check(root); err != nil {
		return "", fmt.Errorf("write SQL: %w", err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(root); err != nil {
		return "", fmt.Errorf("write SQL: %w", err)
	}
	text, err := q.opts.Deserialize(buf.String())
	if err != nil {
		return "", fmt.Errorf("write SQL: %w", err)
	}
	again, err := q.opts.Serialize(text)
	if err != nil {
		return "", fmt.Errorf("check the SQL that was written: %w", err)
	}
	src := &source{text: text, sql: text}
	root2, err := parseTree(src, again)
	if err != nil {
		return "", fmt.Errorf("check the SQL that was written: %w", err)
	}
	if where := difference(root, root2, ""); where != "" {
		return "", fmt.Errorf("check the SQL that was written: DuckDB prints another query than it was given, at %s", where)
	}
	known := tableNamesIn(root, map[string]bool{})
	for _, s := range r.scans {
		known[s.name()] = true
	}
	g := &guard{src: src, function: q.emitted, table: func(name string) string {
		if known[name] {
			return ""
		}
		return "it is neither a scan nor a WITH name"
	}}
	if err := g.check(root2); err != nil {
		return "", fmt.Errorf("check the SQL that was written: %w", err)
	}
	return text, nil
}

// tableNamesIn gathers the WITH names of a tree.
func tableNamesIn(v any, into map[string]bool) map[string]bool {
	switch v := v.(type) {
	case node:
		for _, e := range nodes(obj(v, "cte_map"), "map") {
			into[str(e, "key")] = true
		}
		for _, x := range v {
			tableNamesIn(x, into)
		}
	case []any:
		for _, x := range v {
			tableNamesIn(x, into)
		}
	}
	return into
}
