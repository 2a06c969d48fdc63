package athena

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a name in an expression means.

// resolve finds what a name means, with the keys below it.
func (r *rewriter) resolve(names []string, keys []key, s *scope, loc int) (operand, error) {
	if len(names) == 0 {
		return operand{}, r.fault(loc, "malformed syntax tree at a column")
	}
	for x := s; x != nil; x = x.outer {
		if t, ok := x.params[strings.ToLower(names[0])]; ok {
			return r.access(operand{node: columnNode(names[0]), typ: t}, append(nameKeys(names[1:]), keys...), loc)
		}
	}
	if len(names) == 1 {
		if n, t, ok := r.special(strings.ToLower(names[0])); ok {
			return r.access(operand{node: n, typ: t}, keys, loc)
		}
	}
	// With a qualifier: t.column, db.t.column.
	if rel, in, n := s.relationNamed(names); rel != nil {
		op, st, hint, err := r.pick(rel, in, names[n:], keys, s, loc)
		if err != nil {
			return operand{}, err
		}
		if st == none {
			// UNNEST(a) AS t(t): t.x is the field x of the column t.
			if n == 1 && rel.scan == nil && len(names) > 1 {
				if op, st, _, err = r.pick(rel, in, names, keys, s, loc); st != none || err != nil {
					return op, err
				}
			}
			return operand{}, r.unknown(names[n:], rel.alias, hint, []*relation{rel}, loc)
		}
		return op, nil
	}
	// Without: the innermost FROM that surely has the column, or the select
	// list's own name.
	var hint string
	for x := s; x != nil; x = x.outer {
		for _, m := range x.merged {
			if strings.EqualFold(m.name, names[0]) {
				n, err := r.copy(m.node)
				if err != nil {
					return operand{}, err
				}
				return r.access(operand{node: n, typ: m.typ, label: m.name}, append(nameKeys(names[1:]), keys...), loc)
			}
		}
		var found []*relation
		best := weak
		for _, rel := range x.rels {
			_, st, why := rel.find(names, keys)
			switch {
			case st > best:
				found, best = []*relation{rel}, st
			case st == best && st > weak:
				found = append(found, rel)
			}
			if why != "" {
				hint = why
			}
		}
		alias, named := x.aliases[strings.ToLower(names[0])]
		if named && (len(found) == 0 || x.grouping && best < sure) {
			op := operand{node: columnNode(names[0]), typ: alias.typ, label: strings.ToLower(names[0])}
			if alias.node != nil && !isLiteral(alias.node) {
				// What it stands for, so that no column can come between.
				n, err := r.copy(alias.node)
				if err != nil {
					return operand{}, err
				}
				n["alias"] = ""
				op.node = n
			}
			return r.access(op, append(nameKeys(names[1:]), keys...), loc)
		}
		switch len(found) {
		case 1:
			op, _, _, err := r.pick(found[0], x, names, keys, s, loc)
			return op, err
		case 0:
		default:
			return operand{}, r.ambiguous(names, found, loc)
		}
	}
	// Else an open table takes it.
	for x := s; x != nil; x = x.outer {
		var found []*relation
		for _, rel := range x.rels {
			if _, st, _ := rel.find(names, keys); st == weak {
				found = append(found, rel)
			}
		}
		switch len(found) {
		case 1:
			op, _, _, err := r.pick(found[0], x, names, keys, s, loc)
			return op, err
		case 0:
		default:
			return operand{}, r.ambiguous(names, found, loc)
		}
	}
	var rels []*relation
	for x := s; x != nil; x = x.outer {
		rels = append(rels, x.rels...)
	}
	return operand{}, r.unknown(names, "", hint, rels, loc)
}

func nameKeys(names []string) []key {
	out := make([]key, len(names))
	for i, n := range names {
		out[i] = key{name: n}
	}
	return out
}

// pathKeys gives keys as a scan's field path has them: places from 0.
func pathKeys(names []string, keys []key) []string {
	out := slices.Clone(names)
	for _, k := range keys {
		if k.isInt {
			out = append(out, strconv.FormatInt(k.index-1, 10))
		} else {
			out = append(out, k.name)
		}
	}
	return out
}

// find looks a name up in a relation; for a scan with all the keys below it.
func (r *relation) find(names []string, keys []key) (match, strength, string) {
	if r.scan != nil {
		return r.lookup(pathKeys(names, keys))
	}
	return r.lookup(names)
}

// pick makes the reference to a column of a relation.
func (r *rewriter) pick(rel *relation, in *scope, names []string, keys []key, s *scope, loc int) (operand, strength, string, error) {
	m, st, hint := rel.find(names, keys)
	if st == none {
		return operand{}, none, hint, nil
	}
	if s.shadowed(rel, in) {
		return operand{}, none, "", r.fault(loc, "%q names a table of the outer query that an inner table of the same name hides: give one of them an alias", strings.Join(names, "."))
	}
	op := operand{node: columnNode(rel.alias, m.name), typ: m.typ, label: m.label}
	op.node["query_location"] = json.Number(strconv.Itoa(max(loc, 0)))
	if m.col != nil {
		if p := in.above(rel, m.col); p != nil {
			rel.scan.used[p.name] = p
			op, err := r.access(operand{node: columnNode(rel.alias, p.name), typ: rel.scan.typeOf(p)}, nameKeys(m.col.path[len(p.path):]), loc)
			op.label = m.label
			return op, st, "", err
		}
		rel.scan.used[m.col.name] = m.col
		if len(keys) > 0 && keys[len(keys)-1].isInt {
			op.label = ""
		}
		return op, st, "", nil
	}
	rest := append(nameKeys(m.rest), keys...)
	op, err := r.access(op, rest, loc)
	return op, st, "", err
}

// unknown is the error for a column that nothing has.
func (r *rewriter) unknown(names []string, table, hint string, rels []*relation, loc int) error {
	name := strings.Join(names, ".")
	msg := "column \"" + name + "\" is not known"
	if table != "" {
		msg += " in " + strconv.Quote(table)
	}
	if hint == "" {
		var all []string
		for _, rel := range rels {
			all = append(all, rel.names()...)
		}
		if n := nearest(name, all); n != "" {
			hint = "did you mean " + n + "?"
		} else if loc >= 0 && loc < len(r.src.sql) && r.src.sql[loc] == '"' && len(names) == 1 {
			hint = "double quotes are for names; text goes into single quotes: '" + name + "'"
		} else if len(rels) == 0 {
			hint = "there is no table in FROM"
		} else if rels[0].scan != nil {
			hint = "SELECT * shows the documented columns"
		}
	}
	return r.src.fault(loc, msg, hint)
}

func (r *rewriter) ambiguous(names []string, rels []*relation, loc int) error {
	var tables []string
	for _, rel := range rels {
		tables = append(tables, rel.alias)
	}
	return r.src.fault(loc, "column \""+strings.Join(names, ".")+"\" is in several tables: "+strings.Join(tables, ", "), "write TABLE."+names[0])
}

// special gives the value of a word that SQL reserves for the time of the query.
func (r *rewriter) special(name string) (node, typ, bool) {
	t := r.now.UTC()
	switch name {
	case "current_timestamp":
		return timeNode(t), tZoned, true
	case "localtimestamp":
		return timeNode(t), tTime, true
	case "current_date":
		return castNode(textNode(t.Format(time.DateOnly)), "DATE", false), typ{kind: kDate}, true
	case "current_time", "localtime":
		return castNode(textNode(t.Format("15:04:05.000000")), "TIME", false), typ{}, true
	}
	return nil, typ{}, false
}

func timeNode(t time.Time) node {
	return castNode(textNode(t.UTC().Format("2006-01-02 15:04:05.000000")), "TIMESTAMP", false)
}
