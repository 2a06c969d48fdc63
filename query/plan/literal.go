package plan

import (
	"regexp/syntax"
	"strings"
)

// MinLiteral is how long a literal of a regular expression is at least to be
// looked for first: shorter ones hardly narrow anything.
const MinLiteral = 3

// Held returns the field, of [HoldsText] or [HoldsFold], that is true for every
// record that passes the condition e, a [Contains] or a [Match] of @message. whole
// says that those for which it is true pass.
func Held(e Expr) (scan int, field FieldRef, whole, ok bool) {
	var x Expr
	text, fold := "", false
	switch e := e.(type) {
	case Contains:
		if sub, isLit := e.Sub.(Lit); isLit && sub.Kind == LitText {
			x, text, whole = e.X, sub.Text, true
		}
	case Match:
		x = e.X
		if text, whole = RequiredLiteral(e.Regex); len(text) < MinLiteral && !whole {
			text, fold = requiredFold(e.Regex), true
		}
	}
	f, isField := x.(Field)
	// What is no UTF-8 in a record shows as U+FFFD.
	if !isField || f.Ref.Key() != "@message" || text == "" || strings.ContainsRune(text, '\uFFFD') {
		return 0, FieldRef{}, false, false
	}
	if fold {
		return f.Scan, HoldsFold(text), false, true
	}
	return f.Scan, HoldsText(text), whole, true
}

// MessageHolds returns the fields of [Held] of which one is true for a record
// wherever the plan looks at its @message, other than to show it, when
// [Query.Holds] is set; nil when any record's may be looked at.
func MessageHolds(q *Query) []FieldRef {
	var held []FieldRef
	any := false
	var expr func(e Expr)
	expr = func(e Expr) {
		if _, field, whole, ok := Held(e); ok {
			if !whole {
				held = append(held, field)
			}
			return
		}
		switch e := e.(type) {
		case nil:
			return
		case Field:
			any = any || e.Ref.Key() == "@message"
		case InQuery:
			eachExpr(e.Root, expr)
			expr(e.Out)
		}
		for _, x := range Operands(e) {
			expr(x)
		}
	}
	eachExpr(q.Root, expr)
	for _, o := range q.Output {
		if f, ok := o.Expr.(Field); !ok || f.Ref.Key() != "@message" {
			expr(o.Expr)
		}
	}
	if any {
		return nil
	}
	return held
}

// eachExpr calls fn with each expression of a tree, those of joined sides too.
func eachExpr(n Node, fn func(Expr)) {
	for ; n != nil; n = n.Input() {
		for _, e := range Exprs(n) {
			fn(e)
		}
		if side := Side(n); side != nil {
			eachExpr(side, fn)
		}
	}
}

// LookedAt returns the fields of the records, by [FieldRef.Key], that a plan looks
// at otherwise than to show them.
func LookedAt(q *Query) map[string]bool {
	out := map[string]bool{}
	var expr func(e Expr)
	expr = func(e Expr) {
		Walk(e, func(e Expr) {
			switch e := e.(type) {
			case Field:
				out[e.Ref.Key()] = true
			case InQuery:
				eachExpr(e.Root, expr)
				expr(e.Out)
			}
		})
	}
	eachExpr(q.Root, expr)
	for _, o := range q.Output {
		if _, ok := o.Expr.(Field); !ok {
			expr(o.Expr)
		}
	}
	return out
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

// maxFoldLetters bounds how many letters a text has that is looked for in any
// case: there are two ways to write each, and three for k and s.
const maxFoldLetters = 5

// requiredFold returns a text, of ASCII, that every match of an RE2 expression
// has in it in some case; it may be empty.
func requiredFold(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return foldOf(re.Simplify(), 0)
}

func foldOf(re *syntax.Regexp, depth int) (best string) {
	if depth > 100 {
		return ""
	}
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return "" // RequiredLiteral knows it
		}
		for from := range re.Rune {
			letters, to := 0, from
			for ; to < len(re.Rune) && re.Rune[to] < 0x80; to++ {
				if isLetter(byte(re.Rune[to])) {
					if letters++; letters > maxFoldLetters {
						break
					}
				}
			}
			if to-from >= MinLiteral && to-from > len(best) {
				best = strings.ToLower(string(re.Rune[from:to]))
			}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return foldOf(re.Sub[0], depth+1)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if l := foldOf(sub, depth+1); len(l) > len(best) {
				best = l
			}
		}
	}
	return best
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// Folded returns all ways to write the text of a [HoldsFold] field: what
// Unicode's simple case folding makes equal to it.
func Folded(text string) []string {
	out := []string{""}
	for i := range len(text) {
		ways := []string{text[i : i+1]}
		if c := text[i]; isLetter(c) {
			ways = []string{strings.ToLower(text[i : i+1]), strings.ToUpper(text[i : i+1])}
			switch c | 0x20 {
			case 'k':
				ways = append(ways, "\u212A") // the sign for kelvin
			case 's':
				ways = append(ways, "\u017F") // long s
			}
		}
		next := make([]string, 0, len(out)*len(ways))
		for _, o := range out {
			for _, w := range ways {
				next = append(next, o+w)
			}
		}
		out = next
	}
	return out
}
