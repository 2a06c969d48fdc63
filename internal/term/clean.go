package term

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s with everything that a terminal would obey instead of show
// written as an escape: C0 and C1 controls (\n, \t, \x1b, \x9b), bidirectional
// controls, line and paragraph separators and other invisible format characters
// (\u202e), and bytes that are not UTF-8 (\xff). A backslash stays as it is: the
// result is for the eye and is not meant to be read back.
func Clean(s string) string {
	i := 0
	for i < len(s) && s[i] >= 0x20 && s[i] < 0x7f {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			escapeByte(&b, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			escapeByte(&b, byte(r))
		case obeyed(r):
			escapeRune(&b, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// obeyed reports whether a terminal may act on r instead of drawing it. All of
// the category Cf is refused, not only the bidirectional controls, so that the
// tag characters and zero-width joiners cannot hide text either.
func obeyed(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || r == '\u2028' || r == '\u2029'
}

const hexDigits = "0123456789abcdef"

func escapeByte(b *strings.Builder, c byte) {
	b.WriteString(`\x`)
	b.WriteByte(hexDigits[c>>4])
	b.WriteByte(hexDigits[c&15])
}

func escapeRune(b *strings.Builder, r rune) {
	digits, shift := `\u`, 12
	if r > 0xffff {
		digits, shift = `\U`, 28
	}
	b.WriteString(digits)
	for ; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&15])
	}
}
