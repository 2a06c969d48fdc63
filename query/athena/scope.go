package athena

import (
	"sort"
	"strings"

	"trailward"
	"trailward/query/plan"
)

// outCol is one column of a relation in FROM.
type outCol struct {
	name string
	typ  typ
	// from is what the column is in each of the SELECTs that make the relation's
	// rows, for the conditions on it that hold there too: see [rewriter.narrowBelow].
	// All columns of a relation have as many. Empty: no condition does.
	from []origin
}

// with is an entry of WITH.
type with struct {
	cols []outCol
	refs int // how many references to it were met
}

// relation is one thing in FROM: a scan of a known table, or a derived table
// with known columns.
type relation struct {
	alias  string          // the name by which its columns are qualified
	quals  []string        // catalog, schema and table as written, for a table without alias
	scan   *scan           // nil for a derived table
	cols   []outCol        // of a derived table
	with   *with           // the entry that it refers to
	merged map[string]bool // columns, in lower case, that USING has put together with another relation's
}

// merged is a column that USING made of two.
type merged struct {
	name string
	node node
	typ  typ
}

// scan is one reference to a known table.
type scan struct {
	id     int
	kind   trailward.Kind
	table  *table
	fields *fieldSet
	types  map[string]plan.Type // by FieldRef.Key; nil until the scan is open
	later  map[string]string    // columns of later text, by FieldRef.Key
	holds  []plan.FieldRef      // that conditions on the record became, by number
	alias  string               // of its relation
	used   map[string]*column   // by name
	preds  []plan.Predicate     // that its records must pass to matter
	// narrowed says that some of preds are of a SELECT above the scan's own.
	narrowed bool
	// counted says that the statement counts those of its records that pass.
	counted bool
}

// scope is where names are looked up: the relations of one FROM, the names of
// its select list, lambda parameters, and the query around it.
type scope struct {
	outer   *scope
	rels    []*relation
	merged  []merged
	aliases map[string]operand // what the select list calls so, by lower case; without node: a result's column
	params  map[string]typ     // lambda parameters, by lower case
	ctes    map[string]*with
	// grouping says that GROUP BY, HAVING or QUALIFY is being rewritten, where
	// a name that the select list gives goes before one that is no documented
	// column.
	grouping bool
	// whole are the columns by which the SELECT groups that have fields.
	whole []groupedColumn
}

// groupedColumn is a column of a table that GROUP BY names.
type groupedColumn struct {
	rel *relation
	col *column
}

// above finds the column of GROUP BY that another one of the same table is a
// field of.
func (s *scope) above(rel *relation, c *column) *column {
	for _, g := range s.whole {
		if g.rel == rel && len(c.path) > len(g.col.path) && samePath(c.path[:len(g.col.path)], g.col.path, false) {
			return g.col
		}
	}
	return nil
}

// cte finds a WITH name.
func (s *scope) cte(name string) (*with, bool) {
	for ; s != nil; s = s.outer {
		if c, ok := s.ctes[strings.ToLower(name)]; ok {
			return c, true
		}
	}
	return nil, false
}

// relationNamed finds a relation by qualifier and says how many names that
// took. The innermost scope counts.
func (s *scope) relationNamed(keys []string) (r *relation, in *scope, n int) {
	for ; s != nil; s = s.outer {
		for n := min(3, len(keys)-1); n >= 1; n-- {
			for _, r := range s.rels {
				if n == 1 && strings.EqualFold(r.alias, keys[0]) || n > 1 && samePath(lastN(r.quals, n), keys[:n], true) {
					return r, s, n
				}
			}
		}
	}
	return nil, nil, 0
}

func lastN(s []string, n int) []string {
	if len(s) < n {
		return nil
	}
	return s[len(s)-n:]
}

// shadowed says whether a relation's alias is taken by another one in a scope
// between s and the relation's own.
func (s *scope) shadowed(r *relation, in *scope) bool {
	for ; s != nil && s != in; s = s.outer {
		for _, x := range s.rels {
			if x != r && strings.EqualFold(x.alias, r.alias) {
				return true
			}
		}
	}
	return false
}

// match is a column found in a relation: rest is what of the keys goes below
// the column.
type match struct {
	name  string // the column's name in the relation
	typ   typ
	rest  []string
	label string  // what Athena would call it as a result
	col   *column // in a scan
}

// strength says how sure a lookup is.
type strength uint8

const (
	none  strength = iota
	weak           // an open table takes any name
	other          // a further name of a column, a partition or a system field
	sure           // a documented column, or a field that records have
)

// lookup finds a column by its keys. lookupError says more when it finds none.
func (r *relation) lookup(keys []string) (match, strength, string) {
	if r.scan != nil {
		return r.scan.lookup(keys)
	}
	for _, c := range r.cols {
		if strings.EqualFold(c.name, keys[0]) {
			return match{name: c.name, typ: c.typ, rest: keys[1:], label: c.name}, sure, ""
		}
	}
	return match{}, none, ""
}

// names lists the columns of a relation, for hints.
func (r *relation) names() []string {
	var out []string
	if r.scan == nil {
		for _, c := range r.cols {
			out = append(out, c.name)
		}
		return out
	}
	for n := range r.scan.table.cols {
		out = append(out, n)
	}
	if r.scan.fields != nil {
		for _, p := range r.scan.fields.paths {
			out = append(out, strings.Join(p, "."))
		}
	}
	sort.Strings(out)
	return out
}

// lookup finds or makes the column that keys name: a documented column, a
// path below one, a field that records have, or a system field.
func (s *scan) lookup(keys []string) (match, strength, string) {
	c, st, hint := s.column(keys)
	if st == none && len(keys) == 1 && strings.Contains(keys[0], ".") {
		// "userIdentity.arn" in quotes or backticks: CloudWatch's way to write a path.
		if split := strings.Split(keys[0], "."); !emptyKey(split) {
			if c2, st2, _ := s.column(split); st2 != none {
				c, st = c2, st2
			}
		}
	}
	if st == none {
		return match{}, none, hint
	}
	label := strings.ToLower(keys[len(keys)-1])
	return match{name: c.name, typ: s.typeOf(c), label: label, col: c}, st, ""
}

func emptyKey(keys []string) bool {
	for _, k := range keys {
		if k == "" {
			return true
		}
	}
	return false
}

// column does lookup's work; the column is noted as used by use, not here.
func (s *scan) column(keys []string) (*column, strength, string) {
	if s.kind == "" && len(keys) == 1 {
		// Where all records are, a field that some of them have must not hide what
		// they are told apart by: audit records have a field kind.
		name := strings.ToLower(keys[0])
		switch name {
		case "kind", "group":
			return systemColumn(systemNames[name]), sure, ""
		}
		if f, ok := dateParts[name]; ok {
			return calcColumn(name, f), sure, ""
		}
	}
	if s.table.own && s.fields != nil {
		if p, _ := s.fields.find(keys); p != nil {
			return foundColumn(p), sure, ""
		}
	}
	lower := make([]string, len(keys))
	for i, k := range keys {
		lower[i] = strings.ToLower(k)
	}
	for n := len(keys); n >= 1; n-- {
		c := s.table.cols[strings.Join(lower[:n], ".")]
		if c == nil || n > 1 && strings.Contains(strings.Join(keys[:n], ""), ".") {
			continue
		}
		if n == len(keys) {
			if c.calc != nil || c.sys != "" || c.name != strings.Join(lower, ".") {
				return c, other, ""
			}
			return c, sure, ""
		}
		if c.typ.kind != kJSON || c.sys != "" {
			return nil, none, "column " + c.name + " has no fields"
		}
		path := append(append([]string{}, c.path...), spell(c.typ, keys[n:])...)
		if p, _ := s.fields.find(path); p != nil {
			path = p
		} else if c.closed {
			var below []string
			for name := range s.table.cols {
				if strings.HasPrefix(name, c.name+".") {
					below = append(below, name)
				}
			}
			sort.Strings(below)
			full := strings.Join(lower, ".")
			if m := nearest(full, below); m != "" {
				return nil, none, "did you mean " + m + "?"
			}
			return nil, none, c.name + " has no such field"
		}
		sub := foundColumn(path)
		sub.typ.keys = c.typ.keys
		return sub, sure, ""
	}
	if p, several := s.fields.find(keys); p != nil {
		return foundColumn(p), sure, ""
	} else if len(several) > 1 {
		return nil, none, "fields differ only in case: " + strings.Join(several, ", ") + "; write one of them exactly"
	}
	if s.fields != nil {
		// A path into a field that is JSON text.
		for n := len(keys) - 1; n >= 1; n-- {
			if p, _ := s.fields.find(keys[:n]); p != nil {
				return foundColumn(append(append([]string{}, p...), keys[n:]...)), sure, ""
			}
		}
	}
	if len(keys) == 1 {
		if name, ok := systemNames[lower[0]]; ok {
			return systemColumn(name), other, ""
		}
		if f, ok := dateParts[lower[0]]; ok && s.table.open {
			return calcColumn(lower[0], f), weak, ""
		}
	}
	if s.table.open && !strings.HasPrefix(keys[0], "@") && !(len(keys) == 1 && strings.Contains(keys[0], ".")) {
		return foundColumn(keys), weak, ""
	}
	return nil, none, ""
}

// foundColumn is a field that only the records name.
func foundColumn(path []string) *column {
	return &column{name: plan.FieldRef{Keys: path}.Key(), typ: typ{kind: kJSON}, path: path, found: true}
}

// spell gives keys the spelling that records use below a column.
func spell(t typ, keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k
		if s, ok := t.keys[strings.ToLower(k)]; ok {
			out[i] = s
		}
	}
	return out
}

// typeOf is a column's static type; that of a found field is the scan's.
func (s *scan) typeOf(c *column) typ {
	if !c.found || s.types == nil {
		return c.typ
	}
	switch s.types[plan.FieldRef{Keys: c.path}.Key()] {
	case plan.Int:
		return typ{kind: kInt}
	case plan.Float:
		return typ{kind: kFloat}
	case plan.Bool:
		return typ{kind: kBool}
	case plan.Time:
		return typ{kind: kTime}
	}
	return c.typ
}
