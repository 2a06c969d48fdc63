package match

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terms is a pattern of words, phrases and regular expressions.
type terms struct {
	all  []term // each must be there
	any  []term // one of these must be there, if there are any
	none []term // none of these may be there
}

// term is a text or a regular expression.
type term struct {
	text []byte
	re   *regex
}

func (t *term) match(raw []byte) bool {
	if t.re != nil {
		return t.re.match(raw)
	}
	return bytes.Contains(raw, t.text)
}

func (t *terms) match(raw []byte) bool {
	for i := range t.all {
		if !t.all[i].match(raw) {
			return false
		}
	}
	for i := range t.none {
		if t.none[i].match(raw) {
			return false
		}
	}
	for i := range t.any {
		if t.any[i].match(raw) {
			return true
		}
	}
	return len(t.any) == 0
}

// parseTerms reads terms joined by blanks. ?a ?b are alternatives, which the
// reference says are ignored as soon as another term stands beside them; they
// are read all the same, so that a fault in them is found. It returns nil for a
// pattern that is one phrase of blanks: that matches everything.
func parseTerms(c *cursor) (*terms, error) {
	t := &terms{}
	n := 0
	onlyBlank := false
	for {
		c.blanks()
		if c.at == len(c.text) {
			break
		}
		n++
		from := c.at
		sign := c.peek()
		if sign == '?' || sign == '-' {
			c.at++
		}
		var one term
		switch c.peek() {
		case '"':
			text, err := c.quoted()
			if err != nil {
				return nil, err
			}
			one.text = []byte(text)
			onlyBlank = sign == '"' && strings.Trim(text, " ") == ""
		case '%':
			re, err := c.percent()
			if err != nil {
				return nil, err
			}
			one.re = re
		default:
			text, err := c.bareTerm()
			if err != nil {
				return nil, err
			}
			one.text = []byte(text)
		}
		if c.at < len(c.text) && !blank(c.peek()) {
			return nil, c.fault("expected a blank before the next term, found " + c.found())
		}
		switch sign {
		case '?':
			t.any = append(t.any, one)
		case '-':
			if one.re == nil && len(one.text) == 0 {
				return nil, c.faultAt(from, "an excluded phrase is empty: nothing could match")
			}
			t.none = append(t.none, one)
		default:
			t.all = append(t.all, one)
		}
	}
	if n == 1 && onlyBlank {
		return nil, nil
	}
	if len(t.all)+len(t.none) > 0 {
		t.any = nil
	}
	return t, nil
}

// bareTerm reads a term without quotes: letters, digits and underscores.
func (c *cursor) bareTerm() (string, error) {
	from := c.at
	for c.at < len(c.text) {
		r, n := utf8.DecodeRuneInString(c.rest())
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
			break
		}
		c.at += n
	}
	if c.at < len(c.text) && !blank(c.peek()) {
		return "", c.fault("a term with the character "+c.found()+" must stand in double quotes", `such as "`+firstWord(c.text[from:])+`"`)
	}
	if c.at == from {
		return "", c.fault("expected a term, found " + c.found())
	}
	return c.text[from:c.at], nil
}

// firstWord is what stands before the first blank or quote, at most 40 bytes.
func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t\r\n\v\f\""); i >= 0 {
		s = s[:i]
	}
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
