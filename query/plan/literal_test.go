package plan

import (
	"slices"
	"testing"
)

func TestRequiredLiteral(t *testing.T) {
	for _, c := range []struct {
		expr, want string
		whole      bool
	}{
		{"error", "error", true}, {"a.c", "a", false}, {"pods.*watch", "watch", false}, {"(?i)error", "", false}, {"x|y", "", false},
		{"(abc)+d", "abc", false}, {"^abc$", "abc", false}, {`\.json`, ".json", true}, {"(?:deny)", "deny", true}, {"[ab]cde?", "cd", false},
		{"(abc)*d", "d", false}, {"(", "", false}, {"", "", false}, {"é", "é", true},
	} {
		if got, whole := RequiredLiteral(c.expr); got != c.want || whole != c.whole {
			t.Errorf("RequiredLiteral(%q) = %q, %v, want %q, %v", c.expr, got, whole, c.want, c.whole)
		}
	}
}

func TestMessageTexts(t *testing.T) {
	message := Field{Ref: FieldRef{Keys: []string{"@message"}}}
	other := Field{Ref: FieldRef{Keys: []string{"a"}}}
	text := func(s string) Lit { return Lit{Kind: LitText, Text: s} }
	for _, c := range []struct {
		name string
		cond Expr
		out  Expr
		want []string
	}{
		{"a text", Contains{X: message, Sub: text("x")}, other, nil},
		{"a literal", Match{X: message, Regex: "abc.d"}, message, []string{"abc"}},
		{"two", Or{X: []Expr{Match{X: message, Regex: "abc.d"}, Not{X: Match{X: message, Regex: "(xyz)."}}}}, other, []string{"abc", "xyz"}},
		{"no literal", Or{X: []Expr{Match{X: message, Regex: "abc.d"}, Match{X: message, Regex: "(?i)x"}}}, other, nil},
		{"another field", Match{X: other, Regex: "abc.d"}, other, nil},
		{"the record is computed with", Match{X: message, Regex: "abc.d"}, Call{Func: "strlen", Args: []Expr{message}}, nil},
		{"a condition on what is computed of it", And{X: []Expr{Match{X: message, Regex: "abc.d"}, Compare{L: Capture{X: message, Regex: "(a)"}, R: text("a")}}}, other, nil},
	} {
		q := &Query{Root: &Filter{In: &Scan{}, Cond: c.cond}, Output: []Named{{Name: "o", Expr: c.out}}}
		if got := MessageTexts(q); !slices.Equal(got, c.want) {
			t.Errorf("%s: MessageTexts = %q, want %q", c.name, got, c.want)
		}
	}
}
