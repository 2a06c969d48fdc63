package shape

import (
	"strings"
	"unicode/utf8"

	"trailward"
)

// end is the form of the last part of a record: a literal with no hole after it.
const end Form = 255

// part is a literal and the hole after it.
type part struct {
	lit  string
	form Form
	path string
}

// descend follows the edge for p from n, and makes it when it is new.
func (t *Taker) descend(n *node, p part) *node {
	for _, e := range n.edges {
		if e.lit == p.lit && e.end == (p.form == end) && (e.end || e.form == p.form && e.path == p.path) {
			return &e.node
		}
	}
	e := &edge{lit: p.lit, end: p.form == end, path: p.path}
	if !e.end {
		e.form = p.form
		// A string's literal ends with its opening quote; before it stands the
		// colon, or the bracket of an array.
		l := strings.TrimRight(strings.TrimSuffix(p.lit, `"`), " \t\r\n")
		e.single = p.form == Quoted && strings.HasSuffix(l, "[")
	}
	return &t.add(n, e).node
}

// parse takes raw apart without any knowledge of earlier records. It fills
// t.parts and the values and returns false when raw is not one JSON object.
func (t *Taker) parse(raw []byte, d Detail) bool {
	t.parts, t.prefixes = t.parts[:0], t.prefixes[:0]
	depth := 1
	if d == Full {
		depth = MaxDepth
	}
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return false
	}
	lit := 0 // where the present literal began
	hole := func(from, to int, form Form, path string) {
		t.parts = append(t.parts, part{lit: string(raw[lit:from]), form: form, path: path})
		lit = to
	}
	t.prefixes = append(t.prefixes, "")
	i = skipSpace(raw, i+1)
	open := i < len(raw) && raw[i] != '}' // a key must follow; else the object may end
	for len(t.prefixes) > 0 {
		if i >= len(raw) {
			return false
		}
		if !open {
			// After a value, or at the end of an empty object.
			switch raw[i] {
			case '}':
				t.prefixes = t.prefixes[:len(t.prefixes)-1]
				i = skipSpace(raw, i+1)
				continue
			case ',':
				i = skipSpace(raw, i+1)
				open = true
				continue
			}
			return false
		}
		if raw[i] != '"' {
			return false
		}
		e, esc, _ := endOfString(raw, i+1)
		if e < 0 {
			return false
		}
		key, ok := keyOf(raw[i+1:e], esc)
		if !ok {
			return false
		}
		prefix := t.prefixes[len(t.prefixes)-1]
		var path string
		if len(t.prefixes) == 1 {
			if len(key) > 0 && key[0] == '@' {
				key = "@" + key
			}
			path = trailward.JoinPath(key)
		} else {
			path = prefix + "." + trailward.JoinPath(key)
		}
		i = skipSpace(raw, e+1)
		if i >= len(raw) || raw[i] != ':' {
			return false
		}
		i = skipSpace(raw, i+1)
		if i >= len(raw) {
			return false
		}
		open = false
		switch c := raw[i]; {
		case c == '"':
			q, esc, high := endOfString(raw, i+1)
			if q < 0 {
				return false
			}
			t.string(raw[i+1:q], esc, high)
			hole(i+1, q, Quoted, path)
			// The closing quote is the first byte of the next literal, which
			// walk passes over with the value; so it is of neither.
			lit = q + 1
			i = q + 1
		case c == '{' || c == '[':
			if from, to, close := singleString(raw, i); close > 0 {
				_, esc, high := endOfString(raw, from)
				t.string(raw[from:to], esc, high)
				hole(from, to, Quoted, path+".0")
				lit = to + 1
				i = close + 1
				break
			}
			if c == '{' {
				j := skipSpace(raw, i+1)
				if j < len(raw) && raw[j] == '}' { // an empty object has no value; it stays literal
					i = j + 1
					break
				}
				if len(t.prefixes) < depth && !t.opaque(path) {
					t.prefixes = append(t.prefixes, path)
					i = j
					open = true
					continue
				}
			}
			q, high := endOfValue(raw, i, &t.nest)
			if q < 0 {
				return false
			}
			t.bare(raw[i:q], high)
			hole(i, q, JSON, path)
			i = q
		case hasWord(raw, i, "null"):
			i += 4
		default:
			q := -1
			switch {
			case hasWord(raw, i, "true"):
				q = i + 4
			case hasWord(raw, i, "false"):
				q = i + 5
			default:
				q = endOfNumber(raw, i)
			}
			if q < 0 {
				return false
			}
			t.bare(raw[i:q], false)
			hole(i, q, Bare, path)
			i = q
		}
		i = skipSpace(raw, i)
	}
	if i != len(raw) {
		return false
	}
	t.parts = append(t.parts, part{lit: string(raw[lit:]), form: end})
	return true
}

// singleString reports whether an array that begins at i holds one string and
// nothing else: where the string's body is, and where the array's closing
// bracket is, which is 0 otherwise. Such arrays are common where a field may
// have several values and mostly has one (sourceIPs); taken apart, the value is
// a column of its own, named as the array's element 0.
func singleString(b []byte, i int) (from, to, close int) {
	if b[i] != '[' {
		return 0, 0, 0
	}
	i = skipSpace(b, i+1)
	if i >= len(b) || b[i] != '"' {
		return 0, 0, 0
	}
	from = i + 1
	if to, _, _ = endOfString(b, from); to < 0 {
		return 0, 0, 0
	}
	if close = skipSpace(b, to+1); close >= len(b) || b[close] != ']' {
		return 0, 0, 0
	}
	return from, to, close
}

// keyOf returns the text of a member's key.
func keyOf(body []byte, escapes bool) (string, bool) {
	if !escapes {
		if utf8.Valid(body) {
			return string(body), true
		}
	}
	out, _, _, valid := unescape(nil, body)
	return string(out), valid
}
