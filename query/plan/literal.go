package plan

import (
	"regexp/syntax"
	"strings"
)

// MinLiteral is how long a literal of a regular expression is at least to be
// looked for first: shorter ones hardly narrow anything.
const MinLiteral = 3

// HeldText returns the text that records are to be looked for by when they are
// to pass the condition e: that of a [Contains] of @message, or the literal that a
// [Match] of it needs; then whole is false, and passing takes more.
func HeldText(e Expr) (scan int, text string, whole, ok bool) {
	switch e := e.(type) {
	case Contains:
		f, isField := e.X.(Field)
		sub, isLit := e.Sub.(Lit)
		if isField && isLit && sub.Kind == LitText && f.Ref.Key() == "@message" {
			scan, text, whole = f.Scan, sub.Text, true
		}
	case Match:
		if f, isField := e.X.(Field); isField && f.Ref.Key() == "@message" {
			if scan, text = f.Scan, RequiredLiteral(e.Regex); len(text) < MinLiteral {
				text = ""
			}
		}
	}
	// What is no UTF-8 in a record shows as U+FFFD.
	return scan, text, whole, text != "" && !strings.ContainsRune(text, '\uFFFD')
}

// RequiredLiteral returns the longest text that every match of an RE2
// expression has in it, as far as is plain to see; it may be empty.
func RequiredLiteral(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return literalOf(re.Simplify(), 0)
}

func literalOf(re *syntax.Regexp, depth int) string {
	if depth > 100 {
		return ""
	}
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literalOf(re.Sub[0], depth+1)
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if l := literalOf(sub, depth+1); len(l) > len(best) {
				best = l
			}
		}
		return best
	}
	return ""
}
