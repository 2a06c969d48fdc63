package query

import (
	"reflect"
	"testing"

	"trailward"
	"trailward/query/plan"
)

// TestObjectsKeepTheirTypes makes objects again of the columns of their
// members: text that is all digits stays text, a number a number.
func TestObjectsKeepTheirTypes(t *testing.T) {
	quoted := func(f Field, q Quotes) Field { f.Quotes = q; return f }
	text := func(path string, q Quotes) Field { return quoted(Field{Path: path, Type: plan.Text}, q) }
	number := func(path string, q Quotes) Field { return quoted(Field{Path: path, Type: plan.Int}, q) }
	one := newPart(t, "one", "g", trailward.KindJSON, []Field{
		number("who.account", Quoted), number("who.n", Unquoted), text("who.flag", Unquoted), text("who.word", Quoted), text("who.big", Unquoted),
		quoted(Field{Path: "who.any", Type: plan.JSON}, Quoted), number("old.n", QuotesUnknown),
	}, []fakeRow{
		row(0, `{}`, map[string]any{"who.account": 123456789012, "who.n": 5, "who.flag": "true", "who.word": "true", "who.big": "123456789012345678901234567890", "who.any": `["1"]`}),
		row(1, `{}`, map[string]any{"who.account": 7, "who.any": "12", "old.n": 3}),
	})
	// One record has "7" where another has 7: only the records know, and what is
	// no JSON is text.
	mixed := newPart(t, "mixed", "g", trailward.KindJSON, []Field{number("who.account", MixedQuotes)}, []fakeRow{
		row(2, `{"who":{"account":"7"}}`, map[string]any{"who.account": 7}),
		row(3, `{"who":{"account":7}}`, map[string]any{"who.account": 7}),
		row(4, `no JSON`, map[string]any{"who.account": 7}),
	})
	list := newPart(t, "list", "g", trailward.KindJSON, []Field{quoted(Field{Path: "who.x", Type: plan.JSON}, MixedQuotes)}, []fakeRow{
		row(5, `{"who":{"x":"12"}}`, map[string]any{"who.x": "12"}), row(6, `{"who":{"x":12}}`, map[string]any{"who.x": "12"}), row(7, `{"who":{"x":[12]}}`, map[string]any{"who.x": "[12]"}),
	})
	e, _ := newEngine(t, one, mixed, list)
	got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("who"), ref("old")}, "SELECT {0}, {1} FROM R!", nil, nil)))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range got {
		for _, v := range r {
			if s, ok := v.(string); ok {
				count[s]++
			}
		}
	}
	want := map[string]int{
		`{"account":"123456789012","any":["1"],"big":123456789012345678901234567890,"flag":true,"n":5,"word":"true"}`: 1,
		`{"account":"7","any":"12"}`: 1,
		`{"account":"7"}`:            2,
		`{"account":7}`:              1,
		`{"n":3}`:                    1,
		`{"x":"12"}`:                 1,
		`{"x":12}`:                   1,
		`{"x":[12]}`:                 1,
	}
	if !reflect.DeepEqual(count, want) {
		t.Errorf("objects = %v, want %v", count, want)
	}
}
