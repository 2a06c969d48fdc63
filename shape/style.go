package shape

import (
	"encoding/binary"
	"unicode/utf8"
)

// Style is how the writer of a record escapes its JSON strings, as a set of
// choices beyond what RFC 8259 section 7 demands (quotation mark, reverse
// solidus and the controls below U+0020). Programs choose once for all their
// strings, so a record has one style; a record of mixed style is kept verbatim.
type Style uint8

// The choices. Escaped is set in every record that has any escape at all.
const (
	Escaped  Style = 1 << iota // quotes, reverse solidus and controls, \b \f \n \r \t in their short forms
	HTML                       // < > & as \u003c \u003e \u0026 (Go)
	LineSep                    // U+2028 and U+2029 as \u2028 \u2029 (Go)
	LongBF                     // \u0008 and \u000c for \b and \f (Go before 1.22)
	ASCII                      // everything above U+007F as \uXXXX, in surrogate pairs (Python, PHP)
	Slash                      // / as \/ (PHP and others)
	UpperHex                   // \u00E9, not \u00e9
	DEL                        // U+007F as \u007f
)

const (
	hexLower = "0123456789abcdef"
	hexUpper = "0123456789ABCDEF"
)

// plain returns how many bytes at the beginning of v stand for themselves in
// the style, as far as can be told eight at a time: most values have no others.
func (s Style) plain(v []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	is := func(x uint64, c byte) uint64 { // has a byte c
		x ^= ones * uint64(c)
		return (x - ones) &^ x
	}
	i := 0
	for ; i+8 <= len(v); i += 8 {
		x := binary.LittleEndian.Uint64(v[i:])
		odd := x | (x-ones*0x20)&^x | is(x, '"') | is(x, '\\')
		if s&(HTML|Slash|DEL) != 0 {
			if s&HTML != 0 {
				odd |= is(x, '<') | is(x, '>') | is(x, '&')
			}
			if s&Slash != 0 {
				odd |= is(x, '/')
			}
			if s&DEL != 0 {
				odd |= is(x, 0x7f)
			}
		}
		if odd&high != 0 {
			break
		}
	}
	return i
}

// Append appends v, escaped in style s, to dst. v is valid UTF-8.
func (s Style) Append(dst, v []byte) []byte {
	start := 0
	for i := s.plain(v); i < len(v); {
		c := v[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				switch {
				case c == '<' || c == '>' || c == '&':
					if s&HTML == 0 {
						i++
						continue
					}
				case c == '/':
					if s&Slash == 0 {
						i++
						continue
					}
				case c == 0x7f:
					if s&DEL == 0 {
						i++
						continue
					}
				default:
					i++
					continue
				}
			}
			dst = append(dst, v[start:i]...)
			switch c {
			case '"', '\\', '/':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			case '\b', '\f':
				if s&LongBF != 0 {
					dst = s.unicode(dst, rune(c))
				} else if c == '\b' {
					dst = append(dst, '\\', 'b')
				} else {
					dst = append(dst, '\\', 'f')
				}
			default:
				dst = s.unicode(dst, rune(c))
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRune(v[i:])
		if s&ASCII != 0 || s&LineSep != 0 && (r == 0x2028 || r == 0x2029) {
			dst = append(dst, v[start:i]...)
			if r > 0xffff {
				r -= 0x10000
				dst = s.unicode(dst, 0xd800+(r>>10))
				dst = s.unicode(dst, 0xdc00+(r&0x3ff))
			} else {
				dst = s.unicode(dst, r)
			}
			i += n
			start = i
			continue
		}
		i += n
	}
	return append(dst, v[start:]...)
}

func (s Style) unicode(dst []byte, r rune) []byte {
	hex := hexLower
	if s&UpperHex != 0 {
		hex = hexUpper
	}
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// plainIn reports whether v, which stands in the record without any escape,
// would also be written without any in style s.
func (s Style) plainIn(v []byte) bool {
	if s&(HTML|LineSep|ASCII|Slash|DEL) == 0 {
		return true
	}
	for i, c := range v {
		switch {
		case c >= utf8.RuneSelf:
			if s&ASCII != 0 {
				return false
			}
			// U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
			if s&LineSep != 0 && c == 0xe2 && i+2 < len(v) && v[i+1] == 0x80 && v[i+2]&^1 == 0xa8 {
				return false
			}
		case c == '<' || c == '>' || c == '&':
			if s&HTML != 0 {
				return false
			}
		case c == '/':
			if s&Slash != 0 {
				return false
			}
		case c == 0x7f:
			if s&DEL != 0 {
				return false
			}
		}
	}
	return true
}

// unescape appends the text of the JSON string body raw (without its quotes) to
// dst. It returns the style that the escapes show and whether all of it is
// sound: exact is false for a lone surrogate, invalid UTF-8 or an escape that
// no style writes, where the record must be kept verbatim; valid is false when
// raw is not the body of a JSON string at all. internal/jsonstring reads escapes, too, but
// does not tell how they were written, which is what matters here.
func unescape(dst, raw []byte) (out []byte, st Style, exact, valid bool) {
	exact = true
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '\\':
			if i+1 >= len(raw) {
				return dst, 0, false, false
			}
			st |= Escaped
			switch e := raw[i+1]; e {
			case '"', '\\':
				dst = append(dst, e)
			case '/':
				dst = append(dst, '/')
				st |= Slash
			case 'b':
				dst = append(dst, '\b')
			case 'f':
				dst = append(dst, '\f')
			case 'n':
				dst = append(dst, '\n')
			case 'r':
				dst = append(dst, '\r')
			case 't':
				dst = append(dst, '\t')
			case 'u':
				r, up, ok := hex4(raw, i+2)
				if !ok {
					return dst, 0, false, false
				}
				i += 4
				if up {
					st |= UpperHex
				}
				switch {
				case r >= 0xd800 && r < 0xe000:
					lo, up, ok := rune(0), false, false
					if r < 0xdc00 && i+3 < len(raw) && raw[i+2] == '\\' && raw[i+3] == 'u' {
						lo, up, ok = hex4(raw, i+4)
					}
					if !ok || lo < 0xdc00 || lo > 0xdfff {
						dst = append(dst, "\uFFFD"...)
						exact = false
						break
					}
					if up {
						st |= UpperHex
					}
					i += 6
					r = 0x10000 + (r-0xd800)<<10 + (lo - 0xdc00)
					dst = utf8.AppendRune(dst, r)
					st |= ASCII
				case r >= utf8.RuneSelf:
					dst = utf8.AppendRune(dst, r)
					if r == 0x2028 || r == 0x2029 {
						st |= LineSep
					} else {
						st |= ASCII
					}
				default:
					dst = append(dst, byte(r))
					switch {
					case r == '<' || r == '>' || r == '&':
						st |= HTML
					case r == 0x7f:
						st |= DEL
					case r == '\b' || r == '\f':
						st |= LongBF
					}
					// Any other one shows itself when the value is written again and compared.
				}
			default:
				return dst, 0, false, false
			}
			i += 2
		case c < 0x20 || c == '"':
			return dst, 0, false, false
		case c < utf8.RuneSelf:
			j := i + 1
			for j < len(raw) && raw[j] >= 0x20 && raw[j] < utf8.RuneSelf && raw[j] != '\\' && raw[j] != '"' {
				j++
			}
			dst = append(dst, raw[i:j]...)
			i = j
		default:
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, "\uFFFD"...)
				exact = false
			} else {
				dst = append(dst, raw[i:i+n]...)
			}
			i += n
		}
	}
	return dst, st, exact, true
}

// hex4 reads four hex digits at b[i:]; upper is true when one is A to F.
func hex4(b []byte, i int) (r rune, upper, ok bool) {
	if i+4 > len(b) {
		return 0, false, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
			upper = true
		default:
			return 0, false, false
		}
	}
	return r, upper, true
}
