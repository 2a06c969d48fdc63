package match

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"trailward"
)

var seeds = []string{
	`ERROR -"two words" ?x %4[0-9]{2}%`, `" "`, `[a, ..., b=4* || b>5, c!=%x%]`, `[w1=ERROR, w2]`,
	`{ $.a.b[0] = "x*" && ($.c IS NULL || $.['d.e'] NOT EXISTS) }`, `{ $.a[*].b > 1e3 }`, `{ $.* != 1 }`,
}

// FuzzCompile: any text is a pattern or a fault with a place in it, and any
// pattern can be matched with anything.
func FuzzCompile(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, []byte(guide))
		f.Add(s, []byte(`127.0.0.1 - x [a b] "GET / \"x" 404`))
	}
	f.Fuzz(func(t *testing.T, pattern string, raw []byte) {
		p, err := Compile(pattern)
		if err != nil {
			var fault *Error
			if !errors.As(err, &fault) || fault.Column < 1 || fault.Column > utf8.RuneCountInString(pattern)+1 {
				t.Errorf("Compile(%q) = %v, want a fault with a column of the pattern", pattern, err)
			}
			return
		}
		strict := p.Match(raw, "")
		if lenient := p.Match(raw, trailward.KindJSON); strict && !lenient {
			t.Errorf("Compile(%q).Match(%q) = true of no kind and false of kind json", pattern, raw)
		}
	})
}

// leaf is a value in a JSON record and where it stands; raw is empty for an
// array or object.
type leaf struct {
	path []any // string or int
	raw  string
}

// leaves is the simple way to read a record: by recursion over encoding/json.
func leaves(dec *json.Decoder, path []any) []leaf {
	tok, err := dec.Token()
	if err != nil {
		return nil
	}
	at := append([]any(nil), path...)
	switch v := tok.(type) {
	case json.Delim:
		out := []leaf{{path: at}}
		for i := 0; dec.More(); i++ {
			var step any = i
			if v == '{' {
				key, err := dec.Token()
				if err != nil {
					return out
				}
				step = key
			}
			out = append(out, leaves(dec, append(at, step))...)
		}
		dec.Token()
		return out
	case json.Number:
		return []leaf{{at, v.String()}}
	case string:
		return []leaf{{at, "s" + v}}
	case bool:
		return []leaf{{at, strconv.FormatBool(v)}}
	}
	return []leaf{{at, "null"}}
}

// FuzzJSON holds the scanner against encoding/json.
func FuzzJSON(f *testing.F) {
	selectors := []struct {
		text string
		path []any // nil: a wildcard
	}{
		{"$.a", []any{"a"}}, {"$.a.b", []any{"a", "b"}}, {"$.a[0]", []any{"a", 0}}, {"$.a[1].b", []any{"a", 1, "b"}},
		{"$.*", []any{nil}}, {"$.a[*]", []any{"a", nil}}, {"$.a.*.b", []any{"a", nil, "b"}}, {"$.['a.b']", []any{"a.b"}},
	}
	conds := []struct {
		text string
		hold func(raw string) bool
	}{
		{`= "x"`, func(raw string) bool { return raw == "sx" }},
		{`!= "x"`, func(raw string) bool { return raw != "" && raw != "sx" }},
		{`= "x*y"`, func(raw string) bool {
			return len(raw) >= 3 && strings.HasPrefix(raw, "sx") && strings.HasSuffix(raw, "y")
		}},
		{`= *`, func(raw string) bool { return raw != "" }},
		{`IS NULL`, func(raw string) bool { return raw == "null" }},
		{`IS TRUE`, func(raw string) bool { return raw == "true" }},
		{`> 5`, func(raw string) bool {
			n, err := strconv.ParseFloat(raw, 64)
			return (err == nil || errors.Is(err, strconv.ErrRange)) && raw[0] != 's' && n > 5
		}},
	}
	type one struct {
		p    *Pattern
		want func([]leaf) bool
	}
	var patterns []one
	for _, s := range selectors {
		hits := func(ls []leaf, hold func(string) bool) bool {
			for _, l := range ls {
				if len(l.path) != len(s.path) || !hold(l.raw) {
					continue
				}
				ok := true
				for i, step := range s.path {
					if step == nil {
						_, isKey := l.path[i].(string)
						ok = ok && isKey == strings.Contains(s.text, ".*")
					} else {
						ok = ok && step == l.path[i]
					}
				}
				if ok {
					return true
				}
			}
			return false
		}
		for _, c := range conds {
			p, err := Compile("{" + s.text + " " + c.text + "}")
			if err != nil {
				f.Fatal(err)
			}
			patterns = append(patterns, one{p, func(ls []leaf) bool { return hits(ls, c.hold) }})
		}
		p, err := Compile("{" + s.text + " NOT EXISTS}")
		if err != nil {
			f.Fatal(err)
		}
		patterns = append(patterns, one{p, func(ls []leaf) bool { return !hits(ls, func(string) bool { return true }) }})
	}
	for _, s := range []string{guide, `{"a":"x"}`, `{"a":{"b":"xzy","c":{"b":6}}}`, `{"a":[1,{"b":null}],"a.b":true}`, `{"a":"\u0078","a":7e0}`, `{"\u0061":[[{}],{"b":"x\ty"}]}`, `{ "a" : [ 6 , "x" ] }`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) || !utf8.Valid(raw) {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		ls := leaves(dec, nil)
		for _, o := range patterns {
			if got, want := o.p.Match(raw, trailward.KindJSON), o.want(ls); got != want {
				t.Errorf("Match(%s, %q) = %v, want %v", o.p, raw, got, want)
			}
		}
	})
}
