package plan

import (
	"reflect"
	"testing"

	"trailward/match"
)

func TestWays(t *testing.T) {
	w := append(OneWay("a", "b.c", `"`, "0"), []match.Step{{Element: true, Index: -1}, {Key: "\x00é"}})
	w = append(w, OneWay("Any", "case").Fold()...)
	got, err := ParseWays(w.String())
	if err != nil || !reflect.DeepEqual(got, w) {
		t.Errorf("ParseWays(%s) = %v, %v, want %v", w, got, err, w)
	}
	for _, bad := range []string{"", "{}", "[1]", "[[{}]]", "[[1.5]]", "[[null]]", "[[[]]]", `[[["a","b"]]]`, "[[[1]]]", "[[true]]"} {
		if w, err := ParseWays(bad); err == nil {
			t.Errorf("ParseWays(%q) = %v, want an error", bad, w)
		}
	}
	for _, c := range []struct {
		doc  string
		ways Ways
		want string
	}{
		{`{"a":{"b":1.50},"a.b":2}`, append(OneWay("a", "b"), OneWay("a.b")...), "1.50"},
		{`{"a":{"b":null},"a.b":2}`, append(OneWay("a", "b"), OneWay("a.b")...), "2"},
		{`{"a":{"b":null}}`, append(OneWay("a", "b"), OneWay("a.b")...), "null"},
		{`{"a":1}`, OneWay("b"), ""},
		{`[1]`, Ways{{}}, "[1]"},
	} {
		if got, ok := c.ways.Find([]byte(c.doc), false); string(got) != c.want || ok != (c.want != "") {
			t.Errorf("Find(%s, %s) = %q, %v, want %q", c.doc, c.ways, got, ok, c.want)
		}
	}
}

// FuzzParseWays: any text is ways or an error, and ways come back.
func FuzzParseWays(f *testing.F) {
	f.Add(`[["a","0"],[-1,"b"]]`)
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWays(text)
		if err != nil {
			return
		}
		if again, err := ParseWays(w.String()); err != nil || len(again) != len(w) {
			t.Errorf("ParseWays(%s) = %v, %v, want %v", w, again, err, w)
		}
		w.Find([]byte(text), true)
	})
}

func TestElements(t *testing.T) {
	elements := ListFunctions()[0].Call
	var got []any
	add := func(e []byte, ok bool) {
		if got = append(got, nil); ok {
			got[len(got)-1] = string(e)
		}
	}
	if !elements(`[1.50, "x\n", null, {"a": [ ]}]`, add) || !reflect.DeepEqual(got, []any{"1.50", "x\n", nil, `{"a":[]}`}) {
		t.Errorf("%s() = %q", ElementsFunction, got)
	}
	if elements(`{}`, add) || elements(``, add) {
		t.Error("an array in what is none")
	}
}
