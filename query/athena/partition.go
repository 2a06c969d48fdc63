package athena

import (
	"strings"
)

// Of the partition column day two forms are published: the day of the month
// beside year and month, and the whole date (2026/01/02, 2026-01-02), for one and
// the same table. Shown it has the form of the table's documentation; compared
// with a constant it has that of the constant.

// dayForms are the forms of a day.
var dayForms = []string{"%d", "%Y/%m/%d", "%Y-%m-%d"}

// dayForm gives the form of a day that a constant, or a pattern of LIKE, has; ""
// where it does not say.
func dayForm(with operand) string {
	switch with.typ.kind {
	case kDate, kTime:
		return dayForms[2]
	case kInt, kDecimal, kFloat:
		return dayForms[0]
	}
	t, ok := constText(with.node)
	switch {
	case !ok:
	case strings.Contains(t, "/"):
		return dayForms[1]
	case strings.Contains(t, "-"):
		return dayForms[2]
	case t != "" && len(t) <= 2 && strings.Trim(t, "0123456789") == "":
		return dayForms[0]
	}
	return ""
}

// asDay gives op in the form, if it is a column of days.
func (r *rewriter) asDay(op operand, form string, s *scope) operand {
	names := strs(op.node, "column_names")
	if form == "" || str(op.node, "class") != "COLUMN_REF" || len(names) != 2 {
		return op
	}
	rel, _, _ := s.relationNamed(names)
	if rel == nil || rel.scan == nil {
		return op
	}
	c := rel.scan.used[names[1]]
	if c == nil || c.name != "day" || c.calc == nil || c.calc.format == form {
		return op
	}
	if s.grouping {
		// A column of its own is none that GROUP BY names: what can be made of the
		// column itself is.
		text := map[string]string{"%d": `substr("@1", 9)`, "%Y/%m/%d": `replace("@1", '-', '/')`, "%Y-%m-%d": `replace("@1", '/', '-')`}[form]
		if c.calc.format == "%d" {
			return op
		}
		if n, err := r.template(text, op.node); err == nil {
			op.node = n
		}
		return op
	}
	name := "@day" + strings.ReplaceAll(form, "%", "")
	rel.scan.used[name] = &column{name: name, typ: c.typ, calc: &calc{format: form}}
	op.node = columnNode(rel.alias, name)
	return op
}

// alikeDays gives days that are compared with a constant its form. The first of
// the others that says one counts.
func (r *rewriter) alikeDays(ops []operand, s *scope) {
	for i := range ops {
		for j := range ops {
			if form := dayForm(ops[j]); j != i && form != "" {
				ops[i] = r.asDay(ops[i], form, s)
				break
			}
		}
	}
}
