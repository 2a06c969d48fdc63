package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// keys makes steps of keys, and of numbers that are places.
func keys(list ...any) []Step {
	var out []Step
	for _, k := range list {
		switch k := k.(type) {
		case string:
			out = append(out, Step{Key: k})
		case int:
			out = append(out, Step{Element: true, Index: k})
		}
	}
	return out
}

func TestMember(t *testing.T) {
	const doc = ` { "a" : { "b" : [ 1.50 , { "c\u0064" : "x\ny" } , null ], "n": null , "a.b": 1e3 },
		"t": true, "d": 1, "d": { "last" : [ ] }, "0": "zero", "" : {} } `
	for _, c := range []struct {
		path []Step
		raw  string
		text string // "-": none
	}{
		{keys("a", "b", 0), "1.50", "1.50"},
		{keys("a", "b", "0"), "1.50", "1.50"},
		{keys("a", "b", -2, "cd"), `"x\ny"`, "x\ny"},
		{keys("a", "b", 1), `{ "c\u0064" : "x\ny" }`, `{"c\u0064":"x\ny"}`},
		{keys("a", "b", 2), "null", "-"},
		{keys("a", "n"), "null", "-"},
		{keys("a", "a.b"), "1e3", "1e3"},
		{keys("a", "b"), `[ 1.50 , { "c\u0064" : "x\ny" } , null ]`, `[1.50,{"c\u0064":"x\ny"},null]`},
		{keys("t"), "true", "true"},
		{keys("d"), `{ "last" : [ ] }`, `{"last":[]}`},
		{keys("d", "last"), "[ ]", "[]"},
		{keys("0"), `"zero"`, "zero"},
		{keys(""), "{}", "{}"},
		{keys("d", "last", 0), "", "-"}, {keys("a", "b", 3), "", "-"}, {keys("a", "b", -4), "", "-"}, {keys("a", "b", "+1"), "", "-"},
		{keys("a", 0), "", "-"}, {keys("t", "x"), "", "-"}, {keys("none"), "", "-"}, {keys("a", "b", "c"), "", "-"},
	} {
		raw, ok := Member([]byte(doc), c.path, true)
		text, has := AppendText(nil, raw)
		if !has {
			text = []byte("-")
		}
		if ok != (c.raw != "") || string(raw) != c.raw || string(text) != c.text {
			t.Errorf("Member(%v) = %q, %v, text %q, want %q, text %q", c.path, raw, ok, text, c.raw, c.text)
		}
	}
	for path, want := range map[string]string{"first": "1", "second": "2"} {
		if got, ok := Member([]byte(`{"d":1,"d":2}`), keys("d"), path == "second"); !ok || string(got) != want {
			t.Errorf("the %s of two = %q, %v, want %s", path, got, ok, want)
		}
	}
	for doc, want := range map[string]string{`{"aB":1,"AB":2}`: "1", `{"AB":2,"ab":3}`: "3", `{"ab":3,"AB":2}`: "3", `{"abc":1}`: "", `{"\u0041B":5}`: "5"} {
		if got, ok := Member([]byte(doc), []Step{{Key: "ab", Fold: true}}, false); ok != (want != "") || string(got) != want {
			t.Errorf("ab of %s in any case = %q, %v, want %s", doc, got, ok, want)
		}
	}
	var got []string
	if !Elements([]byte(` [1, "a]", [2], {"b":[3]} ]`), func(v []byte) bool { got = append(got, string(v)); return true }) {
		t.Error("Elements() = false of an array")
	}
	if want := `1|"a]"|[2]|{"b":[3]}`; strings.Join(got, "|") != want {
		t.Errorf("Elements() = %q, want %s", got, want)
	}
	if Elements([]byte(`{"a":1}`), func([]byte) bool { return true }) {
		t.Error("Elements() = true of an object")
	}
}

// FuzzMember holds what is found against encoding/json, which takes the last of
// equal keys too, and asks that nothing is found beyond the text.
func FuzzMember(f *testing.F) {
	f.Add(`{"a":[1,{"b":"x"}],"a":2}`, "a", 0)
	f.Add(`[{"k\u0065y":[null]},2]`, "key", -1)
	f.Add(`{"a":`, "a", 1)
	f.Fuzz(func(t *testing.T, doc, key string, index int) {
		for _, path := range [][]Step{nil, keys(key), keys(index), keys(key, index), keys(index, key), keys(key, key)} {
			got, ok := Member([]byte(doc), path, true)
			if !utf8.ValidString(doc) || !utf8.ValidString(key) || !json.Valid([]byte(doc)) || strings.Contains(doc, `\u`) && !utf8.ValidString(string(unescape(nil, []byte(doc)))) {
				continue
			}
			want, has := simpleMember(json.RawMessage(doc), path)
			if ok != has || !bytes.Equal(got, bytes.TrimSpace(want)) {
				t.Errorf("Member(%q, %v) = %q, %v, want %q, %v", doc, path, got, ok, want, has)
			}
			if ok {
				var b bytes.Buffer
				if err := json.Compact(&b, got); err != nil || string(AppendCompact(nil, got)) != b.String() {
					t.Errorf("AppendCompact(%q) = %q, want %q, %v", got, AppendCompact(nil, got), b.String(), err)
				}
			}
		}
	})
}

// simpleMember goes down by decoding each level.
func simpleMember(doc json.RawMessage, path []Step) (json.RawMessage, bool) {
	for _, s := range path {
		doc = bytes.TrimSpace(doc)
		var list []json.RawMessage
		switch {
		case len(doc) > 0 && doc[0] == '[' && json.Unmarshal(doc, &list) == nil:
			n := s.Index
			if !s.Element {
				if _, err := fmt.Sscanf(s.Key, "%d", &n); err != nil || strings.Trim(s.Key, "0123456789") != "" {
					return nil, false
				}
			}
			if n < 0 {
				n += len(list)
			}
			if n < 0 || n >= len(list) {
				return nil, false
			}
			doc = list[n]
		case len(doc) > 0 && doc[0] == '{' && !s.Element:
			var m map[string]json.RawMessage
			if json.Unmarshal(doc, &m) != nil {
				return nil, false
			}
			v, ok := m[s.Key]
			if !ok {
				return nil, false
			}
			doc = v
		default:
			return nil, false
		}
	}
	return doc, true
}
