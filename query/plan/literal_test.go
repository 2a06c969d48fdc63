package plan

import (
	"regexp"
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

func TestMessageHolds(t *testing.T) {
	message := Field{Ref: FieldRef{Keys: []string{"@message"}}}
	other := Field{Ref: FieldRef{Keys: []string{"a"}}}
	text := func(s string) Lit { return Lit{Kind: LitText, Text: s} }
	for _, c := range []struct {
		name string
		cond Expr
		out  Expr
		want []FieldRef
	}{
		{"a text", Contains{X: message, Sub: text("x")}, other, nil},
		{"a literal", Match{X: message, Regex: "abc.d"}, message, []FieldRef{HoldsText("abc")}},
		{"two", Or{X: []Expr{Match{X: message, Regex: "abc.d"}, Not{X: Match{X: message, Regex: "(xyz)."}}}}, other, []FieldRef{HoldsText("abc"), HoldsText("xyz")}},
		{"no literal", Or{X: []Expr{Match{X: message, Regex: "abc.d"}, Match{X: message, Regex: "x|y"}}}, other, nil},
		{"in any case", Match{X: message, Regex: "(?i)forbidden"}, other, []FieldRef{HoldsFold("forbi")}},
		{"another field", Match{X: other, Regex: "abc.d"}, other, nil},
		{"the record is computed with", Match{X: message, Regex: "abc.d"}, Call{Func: "strlen", Args: []Expr{message}}, nil},
		{"a condition on what is computed of it", And{X: []Expr{Match{X: message, Regex: "abc.d"}, Compare{L: Capture{X: message, Regex: "(a)"}, R: text("a")}}}, other, nil},
	} {
		q := &Query{Root: &Filter{In: &Scan{}, Cond: c.cond}, Output: []Named{{Name: "o", Expr: c.out}}}
		if got := MessageHolds(q); !slices.EqualFunc(got, c.want, func(a, b FieldRef) bool { return slices.Equal(a.Keys, b.Keys) }) {
			t.Errorf("%s: MessageHolds = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFolded(t *testing.T) {
	for _, c := range []struct {
		expr, want string
		ways       int
	}{
		{"(?i)error", "error", 32}, {"(?i)ERR", "err", 8}, {"(?i)forbidden", "forbi", 32}, {"(?i)a1b2c3.x", "a1b2c3", 8}, {"(?i)sk1", "sk1", 9},
		{"(?i)no", "", 1}, {"x(?i)(deny)+", "deny", 16}, {"(?i)a|b", "", 1}, {"error", "", 1}, {"(?i)häuser", "user", 24},
	} {
		got := requiredFold(c.expr)
		ways := Folded(got)
		if got != c.want || len(ways) != c.ways {
			t.Errorf("requiredFold(%q) = %q in %d ways, want %q in %d", c.expr, got, len(ways), c.want, c.ways)
		}
		re := regexp.MustCompile("^(?i:" + regexp.QuoteMeta(got) + ")$")
		for _, w := range ways {
			if !re.MatchString(w) {
				t.Errorf("%q is a way to write %q, not to the regular expression", w, got)
			}
		}
	}
}
