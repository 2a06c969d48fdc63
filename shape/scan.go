package shape

import (
	"encoding/binary"
	"unicode/utf8"
)

// The scanners below find where a JSON value ends and check it against RFC
// 8259 as they go. They give -1 for anything that is not valid.

// endOfString returns the index of the quote that ends the string whose body
// begins at i, and whether the body has escapes or bytes above U+007F.
func endOfString(b []byte, i int) (end int, escapes, high bool) {
	for {
		// Eight bytes at a time: stop at a quote, a reverse solidus, a control or a high byte.
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			const lo, hi = 0x0101010101010101, 0x8080808080808080
			q := x ^ lo*'"'
			s := x ^ lo*'\\'
			if ((q-lo)&^q|(s-lo)&^s|(x-lo*0x20)&^x|x)&hi != 0 {
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1, false, false
		}
		switch c := b[i]; {
		case c == '"':
			return i, escapes, high
		case c == '\\':
			if i+1 >= len(b) {
				return -1, false, false
			}
			escapes = true
			i += 2
		case c < 0x20:
			return -1, false, false
		case c >= utf8.RuneSelf:
			high = true
			i++
			for i < len(b) && b[i] >= utf8.RuneSelf {
				i++
			}
		default:
			i++
		}
	}
}

// endOfNumber returns where the number that begins at i ends.
func endOfNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	digits := func() bool {
		start := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > start
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case !digits():
		return -1
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func hasWord(b []byte, i int, w string) bool {
	return i+len(w) <= len(b) && string(b[i:i+len(w)]) == w
}

// checkEscapes reports whether the escapes in the string body b are JSON's.
func checkEscapes(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		i++
		if i >= len(b) {
			return false
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if _, _, ok := hex4(b, i+1); !ok {
				return false
			}
			i += 4
		default:
			return false
		}
	}
	return true
}

// nesting remembers, one bit a level, whether each open bracket is an object.
type nesting struct {
	bits  []uint64
	depth int
}

func (n *nesting) push(object bool) {
	if n.depth>>6 == len(n.bits) {
		n.bits = append(n.bits, 0)
	}
	if object {
		n.bits[n.depth>>6] |= 1 << (n.depth & 63)
	} else {
		n.bits[n.depth>>6] &^= 1 << (n.depth & 63)
	}
	n.depth++
}

func (n *nesting) inObject() bool { d := n.depth - 1; return n.bits[d>>6]>>(d&63)&1 == 1 }

// MaxNesting is how deep the brackets of a value may nest in a record that is taken
// apart, as deep as encoding/json and thus the Kubernetes API server go. The query
// engine recurses over JSON text: 60,000 levels of it ended the process.
const MaxNesting = 10_000

// endOfValue returns where the value that begins at i ends, and whether it has
// bytes above U+007F. It does not recurse. A value that nests deeper than
// MaxNesting is none.
func endOfValue(b []byte, i int, n *nesting) (end int, high bool) {
	n.depth = 0
	key := func() bool { // at a member's key: pass it and its colon
		if i >= len(b) || b[i] != '"' {
			return false
		}
		e, esc, h := endOfString(b, i+1)
		if e < 0 || esc && !checkEscapes(b[i+1:e]) {
			return false
		}
		high = high || h
		i = skipSpace(b, e+1)
		if i >= len(b) || b[i] != ':' {
			return false
		}
		i = skipSpace(b, i+1)
		return true
	}
	for {
		if i >= len(b) {
			return -1, false
		}
		// A value begins at i.
		switch c := b[i]; {
		case c == '"':
			e, esc, h := endOfString(b, i+1)
			if e < 0 || esc && !checkEscapes(b[i+1:e]) {
				return -1, false
			}
			high = high || h
			i = e + 1
		case c == '{':
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == '}' {
				i++
				break
			}
			if n.push(true); n.depth > MaxNesting || !key() {
				return -1, false
			}
			continue
		case c == '[':
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == ']' {
				i++
				break
			}
			if n.push(false); n.depth > MaxNesting {
				return -1, false
			}
			continue
		case hasWord(b, i, "true"), hasWord(b, i, "null"):
			i += 4
		case hasWord(b, i, "false"):
			i += 5
		default:
			if i = endOfNumber(b, i); i < 0 {
				return -1, false
			}
		}
		// A value ended before i: close what closes, go on at the next.
		for {
			if n.depth == 0 {
				return i, high
			}
			i = skipSpace(b, i)
			if i >= len(b) {
				return -1, false
			}
			obj := n.inObject()
			if b[i] == ',' {
				i = skipSpace(b, i+1)
				if obj && !key() {
					return -1, false
				}
				break
			}
			if obj && b[i] != '}' || !obj && b[i] != ']' {
				return -1, false
			}
			i++
			n.depth--
		}
	}
}
