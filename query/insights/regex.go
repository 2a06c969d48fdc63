package insights

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxRegexText bounds the expression that goes to the engine: a class such as
// \pL is written out there.
const maxRegexText = 100_000

// regex is a checked expression in RE2's syntax, as the syntax tree prints it:
// what the engine gets was understood here, so a fault has a column.
type regex struct {
	text   string
	groups []string // name of each group, "" without one
}

// checkRegex checks the expression whose delimiter stands at byte at.
func (c *compiler) checkRegex(expr string, at int) (regex, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		off, msg := 1, err.Error()
		var se *syntax.Error
		if errors.As(err, &se) {
			msg = se.Code.String()
			if i := strings.Index(expr, se.Expr); i > 0 && strings.HasPrefix(c.src[at+1:], expr) {
				off += i
			}
			if se.Expr != "" {
				msg += " " + shorten(se.Expr)
			}
		}
		return regex{}, errAt(c.src, at+off, "expected RE2 syntax, which has no look-around and no back-references", "regular expression: %s", msg)
	}
	names := tree.CapNames()
	unname(tree)
	text := tree.String()
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > maxRegex || len(text) > maxRegexText {
		return regex{}, errAt(c.src, at, "", "regular expression is too large (limit %d instructions)", maxRegex)
	}
	return regex{text: text, groups: names[1:]}, nil
}

// unname takes the names of groups away: they are found by number, and engines
// differ in how a name is written.
func unname(re *syntax.Regexp) {
	re.Name = ""
	for _, sub := range re.Sub {
		unname(sub)
	}
}

// globRegex turns a parse pattern into an expression: each star is a group
// with the shortest text up to what follows, the last one, if nothing follows,
// the rest. It returns how many stars there are.
func globRegex(glob string) (expr string, stars int) {
	parts := strings.Split(glob, "*")
	var b strings.Builder
	b.WriteString("(?s)")
	for i, p := range parts {
		if i > 0 {
			if i == len(parts)-1 && p == "" {
				b.WriteString("(.*)")
			} else {
				b.WriteString("(.*?)")
			}
		}
		b.WriteString(regexp.QuoteMeta(p))
	}
	return b.String(), len(parts) - 1
}
