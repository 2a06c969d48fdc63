package athena

import (
	"fmt"
	"sort"
	"strings"

	"trailward/query/plan"
)

// How the columns of a scan are made of the fields of the relation below it.
// This is the one place where SQL is put together as text: every name in it is
// quoted, every string escaped, and none of it comes from the user's text but
// field names.

// ref gives the field that a column is made of.
func (c *column) ref() plan.FieldRef {
	switch {
	case c.sys != "":
		return plan.FieldRef{Keys: []string{c.sys}}
	case c.calc != nil:
		return plan.FieldRef{Keys: []string{"@timestamp"}}
	}
	return plan.FieldRef{Keys: c.path}
}

// fieldRefs gives every field that a scan needs, each once, in order.
func (s *scan) fieldRefs() []plan.FieldRef {
	var out []plan.FieldRef
	seen := map[string]bool{}
	for _, name := range s.usedNames() {
		f := s.used[name].ref()
		if k := f.Key(); !seen[k] {
			seen[k] = true
			out = append(out, f)
		}
	}
	return out
}

func (s *scan) usedNames() []string {
	out := make([]string, 0, len(s.used))
	for n := range s.used {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// name is the name of the common table expression that stands for a scan.
func (s *scan) name() string { return scanPrefix + itoa(s.id) }

// scanPrefix begins the names of scans. No name that a user may give a WITH
// entry begins with it.
const scanPrefix = "@scan"

// sql writes the common table expression of an open scan.
func (s *scan) sql(r plan.Relation) (string, error) {
	var b strings.Builder
	b.WriteString(quoteIdent(s.name()))
	b.WriteString(" AS NOT MATERIALIZED (SELECT ")
	for i, name := range s.usedNames() {
		if i > 0 {
			b.WriteString(", ")
		}
		e, err := s.expr(s.used[name], r)
		if err != nil {
			return "", err
		}
		b.WriteString(e + " AS " + quoteIdent(name))
	}
	if len(s.used) == 0 {
		b.WriteString("1 AS \"@any\"") // count(*) needs rows, not columns
	}
	b.WriteString(" FROM " + r.SQL + " AS r)")
	return b.String(), nil
}

// expr writes the expression of one column.
func (s *scan) expr(c *column, r plan.Relation) (string, error) {
	key := c.ref().Key()
	have, ok := r.Columns[key]
	if !ok {
		return "", fmt.Errorf("scan: the relation has no column for field %s", key)
	}
	e := "r." + quoteIdent(have.Name)
	switch {
	case c.calc != nil && c.calc.date:
		return "CAST(" + convert(e, have.Type, kTime) + " AS DATE)", nil
	case c.calc != nil:
		return "strftime(" + convert(e, have.Type, kTime) + ", " + quoteString(c.calc.format) + ")", nil
	case c.typ.kind == kPtr:
		return e, nil
	case c.later != "":
		return "r." + quoteIdent(c.later), nil
	}
	return convert(e, have.Type, s.typeOf(c).kind), nil
}

// sqlTypes are the types of the columns of a scan.
var sqlTypes = map[kind]string{kText: "VARCHAR", kJSON: "VARCHAR", kInt: "BIGINT", kFloat: "DOUBLE", kBool: "BOOLEAN", kTime: "TIMESTAMP"}

// convert writes e, a field of type t, as a value of the wanted kind; what
// cannot be read as one is null, as it is for Athena's SerDes.
func convert(e string, t plan.Type, want kind) string {
	have := map[plan.Type]kind{plan.Text: kText, plan.Int: kInt, plan.Float: kFloat, plan.Bool: kBool, plan.Time: kTime, plan.JSON: kJSON}
	typ := sqlTypes[want]
	switch {
	case t == plan.Null:
		return "CAST(NULL AS " + typ + ")"
	case have[t] == want && t != plan.JSON, t == plan.Text && want == kJSON:
		return e
	case want == kText || want == kJSON:
		return "CAST(" + e + " AS VARCHAR)"
	}
	return "TRY_CAST(" + e + " AS " + typ + ")"
}
