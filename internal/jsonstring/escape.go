// Package jsonstring reads the escapes of JSON strings. What to make of a
// broken one is the caller's to say: a reader of conditions is lenient where a
// reader of evidence is not.
//
// Package shape has a decoder of its own, since it must learn from each escape how
// the record's writer escapes.
package jsonstring

import "unicode/utf8"

// Escape reads the escape behind the reverse solidus (RFC 8259 section 7), of a
// surrogate pair both. It returns the character and how many bytes of b it takes. Without
// ok, n is 0 if it is none, and else it is half a surrogate pair, which stands for [utf8.RuneError].
func Escape(b []byte) (r rune, n int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	switch c := b[0]; c {
	case '"', '\\', '/':
		return rune(c), 1, true
	case 'b':
		return '\b', 1, true
	case 'f':
		return '\f', 1, true
	case 'n':
		return '\n', 1, true
	case 'r':
		return '\r', 1, true
	case 't':
		return '\t', 1, true
	case 'u':
		if r, ok = hex4(b[1:]); !ok {
			return 0, 0, false
		}
		if r < 0xd800 || r >= 0xe000 {
			return r, 5, true
		}
		if r < 0xdc00 && len(b) >= 11 && b[5] == '\\' && b[6] == 'u' {
			if low, ok := hex4(b[7:]); ok && low >= 0xdc00 && low < 0xe000 {
				return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), 11, true
			}
		}
		return utf8.RuneError, 5, false
	}
	return 0, 0, false
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
