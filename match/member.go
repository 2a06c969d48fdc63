package match

import (
	"bytes"
	"strconv"
	"strings"
)

// Step goes one level down in a JSON value: to the member with a key, or to an
// element of an array.
type Step struct {
	// Key is a member's. A decimal number counts elements, too, from 0.
	Key string
	// Fold takes a member whose key differs in case only, where none has the key.
	Fold bool
	// Element says that the step goes to an element only, that of Index: from 0,
	// or from the end with a minus, -1 being the last.
	Element bool
	Index   int
}

// Member finds the value to which steps lead in a JSON text and returns its own
// bytes there. Of a key that an object has twice the first counts, or with last
// the last, as in the fields of a record. Of what is no JSON it gives some answer
// in the same time.
func Member(b []byte, path []Step, last bool) (value []byte, ok bool) {
	i := space(b, 0)
	for k := range path {
		if i >= len(b) {
			return nil, false
		}
		switch {
		case b[i] == '{' && !path[k].Element:
			i, ok = memberOf(b, i, &path[k], last)
		case b[i] == '[':
			i, ok = elementOf(b, i, &path[k])
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	if i >= len(b) {
		return nil, false
	}
	end := valueEnd(b, i)
	return b[i:end], end > i
}

// valueEnd returns the place behind the value at i.
func valueEnd(b []byte, i int) int {
	if b[i] == '{' || b[i] == '[' {
		return skipNested(b, i)
	}
	return scalarEnd(b, i)
}

// memberOf finds where the value of the first or the last member with a key
// begins, in the object at i.
func memberOf(b []byte, i int, s *Step, last bool) (at int, ok bool) {
	var buf []byte
	exact := false
	for i = space(b, i+1); i < len(b); i = space(b, i) {
		if b[i] == ',' {
			i++
			continue
		}
		if b[i] != '"' {
			return at, ok
		}
		end := stringEnd(b, i)
		name := b[i+1 : max(i+1, end-1)]
		if bytes.IndexByte(name, '\\') >= 0 {
			buf = unescape(buf[:0], name)
			name = buf
		}
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return at, ok
		}
		if i = space(b, i+1); i >= len(b) {
			return at, ok
		}
		switch {
		case string(name) == s.Key:
			if at, ok, exact = i, true, true; !last {
				return at, ok
			}
		case s.Fold && !exact && (!ok || last) && len(name) < 1<<10 && strings.EqualFold(string(name), s.Key):
			at, ok = i, true
		}
		if end = valueEnd(b, i); end == i {
			return at, ok
		}
		i = end
	}
	return at, ok
}

// elementOf finds where an element of the array at i begins.
func elementOf(b []byte, i int, s *Step) (at int, ok bool) {
	n := s.Index
	if !s.Element {
		var err error
		if n, err = strconv.Atoi(s.Key); err != nil || n < 0 || s.Key[0] == '+' {
			return 0, false
		}
	}
	if n < 0 {
		count := 0
		elements(b, i, func(int, int) bool { count++; return true })
		if n += count; n < 0 {
			return 0, false
		}
	}
	elements(b, i, func(from, _ int) bool {
		if n == 0 {
			at, ok = from, true
		}
		n--
		return !ok
	})
	return at, ok
}

// elements calls fn with where each element of the array at i begins and ends,
// until it returns false.
func elements(b []byte, i int, fn func(from, to int) bool) {
	for i = space(b, i+1); i < len(b); i = space(b, i) {
		switch b[i] {
		case ',':
			i++
			continue
		case ']', '}', ':':
			return
		}
		end := valueEnd(b, i)
		if end == i || !fn(i, end) {
			return
		}
		i = end
	}
}

// Elements calls fn with each element of a JSON array, until it returns false. It
// reports whether the text begins as an array.
func Elements(b []byte, fn func(value []byte) bool) bool {
	i := space(b, 0)
	if i >= len(b) || b[i] != '[' {
		return false
	}
	elements(b, i, func(from, to int) bool { return fn(b[from:to]) })
	return true
}

// AppendText appends what a JSON value says: of a string its text, an array or
// object without the white space outside of strings, anything else as it stands.
// ok is false for null.
func AppendText(dst, value []byte) (out []byte, ok bool) {
	switch {
	case len(value) == 0, string(value) == "null":
		return dst, false
	case value[0] == '"':
		return unescape(dst, value[1:max(1, len(value)-1)]), true
	}
	return AppendCompact(dst, value), true
}

// AppendCompact appends a JSON value without the white space outside of strings.
func AppendCompact(dst, value []byte) []byte {
	from := 0
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			i = stringEnd(value, i)
		case ' ', '\t', '\n', '\r':
			dst = append(dst, value[from:i]...)
			i = space(value, i)
			from = i
		default:
			i++
		}
	}
	return append(dst, value[from:]...)
}
