package match

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// op is how a field is compared.
type op uint8

const (
	opEqual op = iota
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
)

// operators in the order in which they are looked for: the longer first.
var operators = []struct {
	text string
	op   op
}{{"!=", opNotEqual}, {"<=", opLessEqual}, {">=", opGreaterEqual}, {"=", opEqual}, {"<", opLess}, {">", opGreater}}

func (c *cursor) operator() (op, bool) {
	for _, o := range operators {
		if c.eat(o.text) {
			return o.op, true
		}
	}
	return 0, false
}

// orders reports whether the operator asks for an order, which only numbers have.
func (o op) orders() bool { return o >= opLess }

// value is the right side of a comparison.
type value struct {
	pieces  [][]byte // the text between the wildcards; one piece: no wildcard
	re      *regex
	num     number
	numeric bool // written as a number, without quotes
}

// equal reports whether text is the value's text.
func (v *value) equal(text []byte) bool {
	switch {
	case v.re != nil:
		return v.re.match(text)
	case len(v.pieces) == 1:
		return bytes.Equal(text, v.pieces[0])
	}
	return glob(v.pieces, text)
}

// any reports whether the value is a lone wildcard.
func (v *value) any() bool {
	for _, p := range v.pieces {
		if len(p) > 0 {
			return false
		}
	}
	return len(v.pieces) > 1
}

// glob matches text against pieces with any text between them.
func glob(pieces [][]byte, text []byte) bool {
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(text) < len(first)+len(last) || !bytes.HasPrefix(text, first) || !bytes.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, p := range pieces[1 : len(pieces)-1] {
		i := bytes.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return true
}

// value reads a value after an operator: text in quotes, a regular expression,
// or bare text up to a blank or one of the characters in stop. Wildcards count
// in quotes too.
func (c *cursor) value(o op, stop string) (*value, error) {
	c.blanks()
	from := c.at
	v := &value{}
	switch c.peek() {
	case '"':
		text, err := c.quoted()
		if err != nil {
			return nil, err
		}
		v.split(text)
	case '%':
		re, err := c.percent()
		if err != nil {
			return nil, err
		}
		if c.regexes++; c.regexes > MaxRegexes {
			return nil, c.faultAt(from, "a pattern can have at most "+strconv.Itoa(MaxRegexes)+" regular expressions")
		}
		v.re = re
	default:
		for c.at < len(c.text) {
			r, n := utf8.DecodeRuneInString(c.rest())
			if r < 0x80 && strings.ContainsRune(stop, r) || unicode.IsSpace(r) {
				break
			}
			c.at += n
		}
		text := c.text[from:c.at]
		if text == "" {
			return nil, c.fault("expected a value, found "+c.found(), "put a value with other characters than letters, digits and . _ - * in double quotes")
		}
		v.split(text)
		v.num, v.numeric = parseNumber([]byte(text))
	}
	if o.orders() && !v.numeric {
		return nil, c.faultAt(from, "< <= > and >= compare with a number", "such as > 100 or <= 1.5e+3")
	}
	return v, nil
}

func (v *value) split(text string) {
	for _, p := range strings.Split(text, "*") {
		v.pieces = append(v.pieces, []byte(p))
	}
}

// number is a decimal number: exact when it is an integer of 64 bits, else the
// nearest float, infinite beyond its range.
type number struct {
	f     float64
	i     int64
	whole bool
}

// parseNumber reads an integer or decimal number with an optional sign and
// exponent (1e+3). Hexadecimal, infinities and underscores are not numbers.
func parseNumber(b []byte) (number, bool) {
	i := 0
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		i++
	}
	digits, whole := 0, true
	for ; i < len(b) && isDigit(b[i]); i++ {
		digits++
	}
	if i < len(b) && b[i] == '.' {
		whole = false
		for i++; i < len(b) && isDigit(b[i]); i++ {
			digits++
		}
	}
	if digits == 0 {
		return number{}, false
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		whole = false
		if i++; i < len(b) && (b[i] == '-' || b[i] == '+') {
			i++
		}
		from := i
		for i < len(b) && isDigit(b[i]) {
			i++
		}
		if i == from {
			return number{}, false
		}
	}
	if i != len(b) {
		return number{}, false
	}
	if whole {
		if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			return number{f: float64(n), i: n, whole: true}, true
		}
	}
	f, _ := strconv.ParseFloat(string(b), 64) // beyond the range it is infinite, which compares right
	return number{f: f}, true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// compare gives -1, 0 or 1.
func (n number) compare(o number) int {
	if n.whole && o.whole {
		switch {
		case n.i < o.i:
			return -1
		case n.i > o.i:
			return 1
		}
		return 0
	}
	// An integer beyond 2^53 is nearest to several floats; the fraction decides.
	switch {
	case n.f < o.f:
		return -1
	case n.f > o.f:
		return 1
	case n.whole && math.Abs(n.f) >= 1<<53, o.whole && math.Abs(o.f) >= 1<<53:
		return compareNear(n, o)
	}
	return 0
}

// compareNear compares an integer with a float that is the same when rounded:
// floats of this size are integers.
func compareNear(n, o number) int {
	whole := func(x number) (int64, bool) {
		if x.whole {
			return x.i, true
		}
		if x.f >= 1<<63 || x.f < -1<<63 {
			return 0, false
		}
		return int64(x.f), true
	}
	a, okA := whole(n)
	b, okB := whole(o)
	switch {
	case !okA:
		return 1 // only 2^63 is so near to an int64
	case !okB:
		return -1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// holds reports whether "n op o" is true.
func (n number) holds(o op, other number) bool {
	cmp := n.compare(other)
	switch o {
	case opEqual:
		return cmp == 0
	case opNotEqual:
		return cmp != 0
	case opLess:
		return cmp < 0
	case opLessEqual:
		return cmp <= 0
	case opGreater:
		return cmp > 0
	case opGreaterEqual:
		return cmp >= 0
	}
	return false
}
