package insights

import (
	"fmt"
	"strings"

	"trailward/query/plan"
)

// scope is what a name means at some point of the pipe.
type scope struct {
	// open is true while the fields of the records can be seen: until the
	// first stats, after which only its outputs exist.
	open  bool
	names map[string]plan.Expr
	list  []string          // the names, as they came
	norm  map[string]string // normal form of an unaliased expression's text to its name
	scan  int               // whose fields can be seen
	by    string            // the command that closed it
	// joined are the sides of joins, by the names that they were given.
	joined []joinedSide
}

// joinedSide is what can be seen under the name of one side of a join.
type joinedSide struct {
	name   string
	scope  *scope
	output []plan.Named // what it shows by itself; nil for the left side
}

func newScope(open bool, scan int) *scope {
	return &scope{open: open, scan: scan, names: map[string]plan.Expr{}, norm: map[string]string{}}
}

func (s *scope) bind(name string, e plan.Expr) {
	if _, ok := s.names[name]; !ok {
		s.list = append(s.list, name)
	}
	s.names[name] = e
}

// find looks up a name of which other parts may follow: the longest alias that
// it begins with, then a path into that.
func (s *scope) find(keys []string, pos plan.Pos) (plan.Expr, bool) {
	for i := len(keys); i > 0; i-- {
		if e, ok := s.names[strings.Join(keys[:i], ".")]; ok {
			return into(e, keys[i:], pos), true
		}
	}
	return nil, false
}

// into makes a path into a value; into a field it is the field further down.
func into(e plan.Expr, keys []string, pos plan.Pos) plan.Expr {
	if len(keys) == 0 {
		return e
	}
	switch e := e.(type) {
	case plan.Field:
		if !strings.HasPrefix(e.Ref.Keys[0], "@") {
			return plan.Field{Ref: plan.FieldRef{Keys: join(e.Ref.Keys, keys)}, Pos: pos, Scan: e.Scan}
		}
	case plan.Path:
		return plan.Path{X: e.X, Keys: join(e.Keys, keys), Pos: pos}
	}
	return plan.Path{X: e, Keys: keys, Pos: pos}
}

func join(a, b []string) []string { return append(append([]string(nil), a...), b...) }

// lookup resolves the nodes that a scope decides about: names, and after a
// stats the texts of its columns. It returns nil for the others.
type lookup func(n *node) (plan.Expr, error)

// lookup is the lookup of ordinary expressions.
func (c *compiler) lookup(n *node) (plan.Expr, error) {
	s := c.scope
	switch n.op {
	case nName:
		return c.name(n)
	case nCall, nBinary:
		if !s.open {
			if name, ok := s.norm[c.normal(n)]; ok {
				return s.names[name], nil
			}
		}
		if n.op == nCall && isAggregate(n.text) {
			return nil, c.fail(n, "aggregates belong into stats", "%s(…) is an aggregate", n.text)
		}
	}
	return nil, nil
}

func (c *compiler) name(n *node) (plan.Expr, error) { return c.nameIn(c.scope, n) }

func (c *compiler) nameIn(s *scope, n *node) (plan.Expr, error) {
	pos := c.place(n)
	if e, ok := s.find(n.keys, pos); ok {
		return e, nil
	}
	for i := len(s.joined) - 1; i >= 0; i-- {
		if side := s.joined[i]; len(n.keys) > 1 && n.keys[0] == side.name {
			in := *n
			in.keys = n.keys[1:]
			return c.nameIn(side.scope, &in)
		}
	}
	if !n.quote && len(n.keys) == 1 {
		switch strings.ToLower(n.keys[0]) {
		case "true":
			return plan.Lit{Kind: plan.LitBool, Bool: true}, nil
		case "false":
			return plan.Lit{Kind: plan.LitBool}, nil
		case "null":
			return plan.Lit{}, nil
		}
	}
	if s.open {
		f := plan.Field{Ref: plan.FieldRef{Keys: n.keys}, Pos: pos, Scan: s.scan}
		if n.quote && len(n.keys) == 1 && strings.Contains(n.keys[0], ".") {
			// `a.b` is the field of that very name or, failing that, b inside a.
			if parts := strings.Split(n.keys[0], "."); len(parts) <= maxPath && noneEmpty(parts) {
				return plan.Call{Func: "coalesce", Args: []plan.Expr{f, plan.Field{Ref: plan.FieldRef{Keys: parts}, Pos: pos, Scan: s.scan}}, Pos: pos}, nil
			}
		}
		return f, nil
	}
	if name, ok := s.norm[normalText(strings.Join(n.keys, "."))]; ok {
		return s.names[name], nil
	}
	// "sort count desc" for the column count(): the name of the one function.
	var hit plan.Expr
	for norm, name := range s.norm {
		if fn, _, ok := strings.Cut(norm, "("); ok && len(n.keys) == 1 && fn == strings.ToLower(n.keys[0]) {
			if hit != nil {
				hit = nil
				break
			}
			hit = s.names[name]
		}
	}
	if hit != nil {
		return hit, nil
	}
	return nil, &unknownName{c.fail(n, suggest(strings.Join(n.keys, "."), s.list, "after "+s.by+" only its columns exist: "+enumerate(s.list)),
		"unknown field %s after %s", shorten(strings.Join(n.keys, ".")), s.by)}
}

// unknownName is the error for a name that no column has; sort forgives it.
type unknownName struct{ err *plan.Error }

func (e *unknownName) Error() string { return e.err.Error() }
func (e *unknownName) Unwrap() error { return e.err }

func noneEmpty(parts []string) bool {
	for _, p := range parts {
		if p == "" {
			return false
		}
	}
	return true
}

// enumerate lists names for a hint, not more than are useful.
func enumerate(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 8 {
			fmt.Fprintf(&b, "and %d more", len(names)-i)
			break
		}
		b.WriteString(strings.Trim(shorten(n), `"`))
	}
	return b.String()
}

// normal is the text of an expression in a form that spaces and the case of
// functions do not change.
func (c *compiler) normal(n *node) string { return normalText(c.src[n.start:n.end]) }

func normalText(s string) string {
	var b strings.Builder
	l := lexer{src: s}
	prev := token{}
	for {
		t, err := l.next()
		if err != nil {
			return strings.Join(strings.Fields(s), "") // a regular expression in it
		}
		if prev.kind == tIdent {
			text := prev.text
			if t.kind == tOp && t.text == "(" {
				if text = strings.ToLower(text); text == "countdistinct" {
					text = "count_distinct"
				}
			}
			b.WriteString(text)
		} else if prev.end > 0 {
			b.WriteString(s[prev.start:prev.end])
		}
		if t.kind == tEOF {
			break
		}
		if prev.kind == tOp && prev.text == "(" && t.kind == tOp && t.text == ")" && strings.HasSuffix(b.String(), "count(") {
			b.WriteByte('*')
		}
		prev = t
	}
	return b.String()
}

// unquoted is the text of a name without its backticks and quotes.
func unquoted(name string) string {
	if !strings.ContainsAny(name, "`\"") {
		return name
	}
	l := lexer{src: name}
	var b strings.Builder
	for l.pos < len(name) {
		from := l.pos
		var s string
		var err error
		switch name[l.pos] {
		case '`':
			s, err = l.backticked()
		case '"':
			s, err = l.quoted('"')
		default:
			l.pos++
			s = name[from:l.pos]
		}
		if err != nil {
			return name // it was read before, so this is not met
		}
		b.WriteString(s)
	}
	return b.String()
}

// title is the name of a column whose expression has no alias: a field's path,
// however that was spelt (see compiler.write), else the text as it was typed.
func (c *compiler) title(n *node) string {
	if n.op == nName {
		return strings.Join(n.keys, ".")
	}
	s := c.src[n.start:n.end]
	if strings.ContainsAny(s, "\n\r\t") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return s
}

// suggest is a hint that names the candidate nearest to a misspelt name, or
// the fallback when none is near.
func suggest(name string, candidates []string, fallback string) string {
	best, dist := "", len(name)/3+1
	for _, cand := range candidates {
		if strings.EqualFold(cand, name) {
			best = cand
			break
		}
		if d := distance(strings.ToLower(name), strings.ToLower(cand), dist); d < dist || (d == dist && best == "") {
			best, dist = cand, d
		}
	}
	if best == "" {
		return fallback
	}
	return "did you mean " + strings.Trim(shorten(best), `"`) + "?"
}

// Nearest returns the candidate that a misspelt name of a field most likely means:
// the same in other case, else one of which two characters differ, but one of a
// short name and none of a very short one. It is "" when there is none. Names with
// @ in front and others are not taken for each other.
func Nearest(name string, candidates []string) string {
	lower := strings.ToLower(name)
	limit := 2
	switch {
	case len(name) < 4:
		limit = 0
	case len(name) < 10:
		limit = 1
	}
	best, dist, exact := "", limit+1, 0
	for _, cand := range candidates {
		if strings.HasPrefix(cand, "@") != strings.HasPrefix(name, "@") {
			continue
		}
		d := distance(lower, strings.ToLower(cand), dist)
		if d > limit || d > dist {
			continue
		}
		if e := distance(name, cand, len(name)); d < dist || e < exact {
			best, dist, exact = cand, d, e
		}
	}
	return best
}

// distance is the number of characters to insert, drop or change to make one
// name of the other, or more than limit if it is larger than that.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	prev, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
		}
		prev, row = row, prev
	}
	return prev[len(b)]
}
