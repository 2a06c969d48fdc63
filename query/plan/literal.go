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
			scan = f.Scan
			if text, whole = RequiredLiteral(e.Regex); len(text) < MinLiteral && !whole {
				text = ""
			}
		}
	}
	// What is no UTF-8 in a record shows as U+FFFD.
	return scan, text, whole, text != "" && !strings.ContainsRune(text, '\uFFFD')
}

// MessageTexts returns the texts of which a record has at least one wherever the
// plan looks at @message, other than to show it, when [Query.Holds] is set; nil
// when any record's may be looked at.
func MessageTexts(q *Query) []string {
	var texts []string
	any := false
	var expr func(e Expr)
	var tree func(n Node)
	expr = func(e Expr) {
		if _, text, whole, ok := HeldText(e); ok {
			if !whole {
				texts = append(texts, text)
			}
			return
		}
		switch e := e.(type) {
		case nil:
			return
		case Field:
			any = any || e.Ref.Key() == "@message"
		case InQuery:
			tree(e.Root)
			expr(e.Out)
		}
		for _, x := range Operands(e) {
			expr(x)
		}
	}
	tree = func(n Node) {
		for ; n != nil; n = n.Input() {
			for _, e := range Exprs(n) {
				expr(e)
			}
			if side := Side(n); side != nil {
				tree(side)
			}
		}
	}
	tree(q.Root)
	for _, o := range q.Output {
		if f, ok := o.Expr.(Field); !ok || f.Ref.Key() != "@message" {
			expr(o.Expr)
		}
	}
	if any {
		return nil
	}
	return texts
}

// RequiredLiteral returns the longest text that every match of an RE2
// expression has in it, as far as is plain to see; it may be empty. whole says
// that the expression is that text and nothing else. (The one of package match is
// about bytes, where a character beyond ASCII may be one.)
func RequiredLiteral(expr string) (text string, whole bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", false
	}
	re = re.Simplify()
	return literalOf(re, 0), re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0
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
