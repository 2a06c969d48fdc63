package insights

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"trailward/query/plan"
)

// kind is what a token is.
type kind uint8

const (
	tEOF      kind = iota
	tIdent         // a name or a path of names; keys holds its parts
	tString        // "…" or '…'; text holds the value
	tNumber        // 3, 2.5, 1e6
	tDuration      // 5m
	tRegex         // /…/; text holds the expression
	tOp            // punctuation
)

// token is a piece of a query's text.
type token struct {
	kind       kind
	start, end int // bytes
	text       string
	keys       []string // tIdent: the parts between dots and in brackets
	quoted     bool     // tIdent: some part was in backticks or quotes
	num        float64  // tNumber
	period     plan.Period
}

// lexer cuts a query's text into tokens on demand. A slash is always read as
// the operator: only the parser knows whether a value is due there, and then
// calls regex to read it again.
type lexer struct {
	src string
	pos int
}

// errAt makes an error that points at a byte of src.
func errAt(src string, off int, hint, format string, args ...any) *plan.Error {
	p := placeAt(src, off)
	return &plan.Error{Line: p.Line, Col: p.Col, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// placeAt counts lines and characters up to a byte of src.
func placeAt(src string, off int) plan.Pos {
	off = min(off, len(src))
	line := 1 + strings.Count(src[:off], "\n")
	bol := strings.LastIndexByte(src[:off], '\n') + 1
	return plan.Pos{Line: line, Col: 1 + utf8.RuneCountInString(src[bol:off])}
}

// skip passes white space and comments: # to the end of the line, and // behind
// white space, which published queries have. An escaped line end (\n written as two
// characters, as it comes out of JSON that was escaped twice) counts as white
// space.
func (l *lexer) skip() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			l.pos++
		case c == '#', c == '/' && strings.HasPrefix(l.src[l.pos:], "//") && (l.pos == 0 || strings.IndexByte(" \t\n", l.src[l.pos-1]) >= 0):
			if i := strings.IndexByte(l.src[l.pos:], '\n'); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.src)
			}
		case c == '\\' && l.pos+1 < len(l.src) && strings.IndexByte("nrt", l.src[l.pos+1]) >= 0:
			l.pos += 2
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(l.src[l.pos:])
			if r != '\ufeff' && !unicode.IsSpace(r) {
				return
			}
			l.pos += n
		default:
			return
		}
	}
}

func isIdentStart(r rune) bool {
	return r == '_' || r == '@' || r == '$' || unicode.IsLetter(r)
}

func isIdentPart(r rune) bool { return isIdentStart(r) || unicode.IsDigit(r) }

// word returns how many bytes at the start of s are identifier characters.
func word(s string) int {
	for i, r := range s {
		if !isIdentPart(r) || r == utf8.RuneError {
			return i
		}
	}
	return len(s)
}

func (l *lexer) next() (token, error) {
	l.skip()
	t := token{start: l.pos, end: l.pos}
	if l.pos >= len(l.src) {
		return t, nil
	}
	c := l.src[l.pos]
	var err error
	switch {
	case c == '"' || c == '\'':
		t.kind = tString
		t.text, err = l.quoted(c)
	case c >= '0' && c <= '9', c == '.' && l.pos+1 < len(l.src) && isDigit(l.src[l.pos+1]):
		err = l.number(&t)
	case c == '`':
		t.kind = tIdent
		err = l.path(&t)
	default:
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		if isIdentStart(r) && r != utf8.RuneError {
			t.kind = tIdent
			err = l.path(&t)
			break
		}
		t.kind = tOp
		if len(l.src)-l.pos >= 2 {
			switch two := l.src[l.pos : l.pos+2]; two {
			case "!=", "<=", ">=", "=~", "~=", "==", "<>":
				t.text = two
				l.pos += 2
				t.end = l.pos
				return t, nil
			}
		}
		if strings.IndexByte("|,()[]=<>+-*/%^!{}:.", c) < 0 {
			if r == '&' {
				return t, errAt(l.src, l.pos, "conditions are joined by and, or", "unexpected character %q", r)
			}
			return t, errAt(l.src, l.pos, "names with other characters than letters, digits, _, @ and . go into `backticks`", "unexpected character %q", r)
		}
		t.text = l.src[l.pos : l.pos+n]
		l.pos += n
	}
	t.end = l.pos
	return t, err
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number reads 12, 1.5, .5, 1e-3 or a duration such as 5m.
func (l *lexer) number(t *token) error {
	s := l.src[l.pos:]
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		i++
		for i < len(s) && isDigit(s[i]) {
			i++
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			i = j
		}
	}
	suffix := word(s[i:])
	t.text = s[:i]
	if suffix > 0 {
		u, ok := units[strings.ToLower(s[i:i+suffix])]
		if !ok {
			return errAt(l.src, l.pos+i, "expected a unit of time (ms, s, m, h, d, w, mo, q, y), or a blank after the number", "unknown unit %q", s[i:i+suffix])
		}
		n, err := strconv.ParseInt(s[:i], 10, 64)
		if err != nil || n < 1 || n > maxPeriod {
			return errAt(l.src, l.pos, "", "a period is a whole number of units from 1 to %d", maxPeriod)
		}
		t.kind, t.period = tDuration, plan.Period{N: n, Unit: u}
		l.pos += i + suffix
		return nil
	}
	t.kind = tNumber
	var err error
	if t.num, err = strconv.ParseFloat(t.text, 64); err != nil {
		return errAt(l.src, l.pos, "", "number %s is out of range", t.text)
	}
	l.pos += i
	return nil
}

// quoted reads a string in quotes q. Backslash escapes the quote, itself and
// n, r, t; before any other character it stands for itself, so that "\d" in
// a pattern stays what it looks like.
func (l *lexer) quoted(q byte) (string, error) {
	start := l.pos
	var b strings.Builder
	for i := l.pos + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == q:
			l.pos = i + 1
			return b.String(), nil
		case c == '\\' && i+1 < len(l.src):
			i++
			switch e := l.src[i]; e {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\'', '\\':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errAt(l.src, start, fmt.Sprintf("expected a closing %c", q), "string does not end")
}

// backticked reads `…`; a backtick inside is written twice.
func (l *lexer) backticked() (string, error) {
	start := l.pos
	var b strings.Builder
	for i := l.pos + 1; i < len(l.src); i++ {
		if l.src[i] != '`' {
			b.WriteByte(l.src[i])
			continue
		}
		if i+1 < len(l.src) && l.src[i+1] == '`' {
			b.WriteByte('`')
			i++
			continue
		}
		l.pos = i + 1
		if b.Len() == 0 {
			return "", errAt(l.src, start, "", "empty name")
		}
		return b.String(), nil
	}
	return "", errAt(l.src, start, "expected a closing `", "name does not end")
}

// path reads a name: parts between dots, each plain, in backticks or (seen in
// published queries) in double quotes, and [n] after any of them.
func (l *lexer) path(t *token) error {
	for first := true; ; first = false {
		switch {
		case l.pos < len(l.src) && l.src[l.pos] == '`':
			s, err := l.backticked()
			if err != nil {
				return err
			}
			t.keys = append(t.keys, s)
			t.quoted = true
		case !first && l.src[l.pos] == '"':
			s, err := l.quoted('"')
			if err != nil {
				return err
			}
			t.keys = append(t.keys, s)
			t.quoted = true
		default:
			n := word(l.src[l.pos:])
			t.keys = append(t.keys, l.src[l.pos:l.pos+n])
			l.pos += n
		}
		if len(t.keys) > maxPath {
			return errAt(l.src, t.start, "", "a field path has at most %d parts", maxPath)
		}
		t.end = l.pos
		for {
			key, n := bracket(l.src[l.pos:])
			if n == 0 {
				break
			}
			t.keys = append(t.keys, key)
			l.pos += n
		}
		if !l.dotted() {
			break
		}
		l.pos++
	}
	t.text = l.src[t.start:l.pos]
	return nil
}

// dotted reports whether a dot and another part of a path come next.
func (l *lexer) dotted() bool {
	if l.pos+1 >= len(l.src) || l.src[l.pos] != '.' {
		return false
	}
	r, _ := utf8.DecodeRuneInString(l.src[l.pos+1:])
	return r == '`' || r == '"' || (isIdentPart(r) && r != utf8.RuneError)
}

// bracket reads [n] at the start of s and returns n and its length.
func bracket(s string) (key string, n int) {
	if len(s) < 3 || s[0] != '[' {
		return "", 0
	}
	i := 1
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 1 || i >= len(s) || s[i] != ']' {
		return "", 0
	}
	return s[1:i], i + 1
}

// regex reads /…/ from the slash at byte start on. \/ is a slash; every other
// escape belongs to the expression.
func (l *lexer) regex(start int) (token, error) {
	var b strings.Builder
	class := 0 // where a […] began that is still open, plus one
	for i := start + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '/' && class == 0:
			l.pos = i + 1
			return token{kind: tRegex, start: start, end: l.pos, text: b.String()}, nil
		case c == '\\' && i+1 < len(l.src):
			i++
			if l.src[i] != '/' {
				b.WriteByte('\\')
			}
			b.WriteByte(l.src[i])
		default:
			// Inside brackets a slash is one of the characters. A closing
			// bracket right after the opening one is a character as well.
			switch {
			case c == '[' && class == 0:
				class = i + 1
			case c == ']' && class > 0 && i > class && !(i == class+1 && l.src[class] == '^'):
				class = 0
			}
			b.WriteByte(c)
		}
	}
	if class > 0 {
		return token{}, errAt(l.src, start, "expected a closing /; an opening [ that is meant literally is written \\[", "regular expression does not end")
	}
	return token{}, errAt(l.src, start, "expected a closing /", "regular expression does not end")
}

// units are the spellings of the units of time.
var units = func() map[string]plan.Unit {
	m := map[string]plan.Unit{}
	for u, names := range [][]string{
		plan.Millisecond: {"ms", "msec", "msecs", "millisecond", "milliseconds"},
		plan.Second:      {"s", "sec", "secs", "second", "seconds"},
		plan.Minute:      {"m", "min", "mins", "minute", "minutes"},
		plan.Hour:        {"h", "hr", "hrs", "hour", "hours"},
		plan.Day:         {"d", "day", "days"},
		plan.Week:        {"w", "week", "weeks"},
		plan.Month:       {"mo", "mos", "mon", "mons", "month", "months"},
		plan.Quarter:     {"q", "qtr", "qtrs", "quarter", "quarters"},
		plan.Year:        {"y", "yr", "yrs", "year", "years"},
	} {
		for _, n := range names {
			m[n] = plan.Unit(u)
		}
	}
	return m
}()
