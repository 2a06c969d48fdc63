package athena

import (
	"fmt"
	"strings"
)

// Formats of time: MySQL's (date_parse, date_format) and Joda's (parse_datetime,
// format_datetime) become those of DuckDB's strptime and strftime.

// mysqlFormats are MySQL's specifiers that Trino knows, see
// https://trino.io/docs/current/functions/datetime.html#mysql-date-functions.
var mysqlFormats = map[byte]string{
	'a': "%a", 'b': "%b", 'c': "%-m", 'd': "%d", 'e': "%-d", 'f': "%f", 'H': "%H", 'h': "%I", 'I': "%I", 'i': "%M", 'j': "%j", 'k': "%-H",
	'l': "%-I", 'M': "%B", 'm': "%m", 'p': "%p", 'r': "%I:%M:%S %p", 'S': "%S", 's': "%S", 'T': "%H:%M:%S", 'v': "%V", 'W': "%A", 'x': "%G",
	'Y': "%Y", 'y': "%y", '%': "%%",
}

func mysqlFormat(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("format %q ends in %%", s)
		}
		f, ok := mysqlFormats[s[i]]
		switch {
		case ok:
			b.WriteString(f)
		case strings.IndexByte("DUuVwX", s[i]) >= 0:
			return "", fmt.Errorf("format %q: %%%c is not supported", s, s[i])
		case s[i] >= 0x80:
			return "", fmt.Errorf("format %q: unknown specifier", s)
		default:
			b.WriteByte(s[i]) // an unknown specifier stands for its letter
		}
	}
	return b.String(), nil
}

// jodaFormat converts a pattern of Joda-Time's DateTimeFormat, see
// https://www.joda.org/joda-time/key_format.html.
func jodaFormat(s string) (string, error) {
	var b strings.Builder
	literal := func(t string) { b.WriteString(strings.ReplaceAll(t, "%", "%%")) }
	for i := 0; i < len(s); {
		c := s[i]
		if c == '\'' {
			if strings.HasPrefix(s[i:], "''") {
				literal("'")
				i += 2
				continue
			}
			i++
			for i < len(s) { // text; Joda takes an end that is missing as meant
				if s[i] == '\'' {
					if strings.HasPrefix(s[i:], "''") {
						literal("'")
						i += 2
						continue
					}
					i++
					break
				}
				literal(s[i : i+1])
				i++
			}
			continue
		}
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			literal(s[i : i+1])
			i++
			continue
		}
		n := 1
		for i+n < len(s) && s[i+n] == c {
			n++
		}
		i += n
		f := jodaField(c, n)
		if f == "" {
			return "", fmt.Errorf("format %q: %s is not supported", s, strings.Repeat(string(c), min(n, 20)))
		}
		b.WriteString(f)
	}
	return b.String(), nil
}

// colonOffset is Joda's ZZ, +00:00, which DuckDB does not know.
const colonOffset = "%:z"

// parsed and shown are what a format's offset and zone become. DuckDB reads an
// offset in any form; of a time without a zone, as ours are, it shows +00 or nothing.
var (
	parsed = strings.NewReplacer("%%", "%%", colonOffset, "%z")
	shown  = strings.NewReplacer("%%", "%%", colonOffset, "+00:00", "%z", "+0000", "%Z", "UTC")
)

func jodaField(c byte, n int) string {
	pick := func(short, long string) string {
		if n == 1 {
			return short
		}
		return long
	}
	switch c {
	case 'y', 'Y':
		if n == 2 {
			return "%y"
		}
		return "%Y"
	case 'x':
		return "%G"
	case 'M':
		switch {
		case n == 3:
			return "%b"
		case n > 3:
			return "%B"
		}
		return pick("%-m", "%m")
	case 'd':
		return pick("%-d", "%d")
	case 'D':
		return pick("%-j", "%j")
	case 'H':
		return pick("%-H", "%H")
	case 'h':
		return pick("%-I", "%I")
	case 'm':
		return pick("%-M", "%M")
	case 's':
		return pick("%-S", "%S")
	case 'S':
		switch {
		case n == 3:
			return "%g"
		case n == 6:
			return "%f"
		case n == 9:
			return "%n"
		}
		return ""
	case 'a':
		return "%p"
	case 'E':
		if n > 3 {
			return "%A"
		}
		return "%a"
	case 'e':
		return "%u"
	case 'w':
		return "%V"
	case 'Z':
		switch n {
		case 1:
			return "%z"
		case 2:
			return colonOffset
		}
		return "%Z"
	case 'z':
		return "%Z"
	}
	return ""
}
