// Package match says whether a record satisfies a condition. So far there is
// one kind of condition, the filter pattern of CloudWatch Logs, in its three
// forms:
//
//	ERROR -"health check" ?a ?b %4[0-9]{2}%      terms in the record's text
//	[ip, ..., status = 5*, bytes > 1000]         the fields of a line
//	{ $.user.name = "root" && $.code IS NULL }   the members of a JSON object
//
// It gets a pattern's text, which [Compile] checks as a whole, and the exact
// bytes of records. A [Pattern] keeps nothing between two records and may be used by
// many goroutines. Time and memory for a record grow with its length and never
// with its depth, and regular expressions are RE2, so that no record and no
// pattern can make a match expensive.
//
// Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric
// filters, subscription filters, filter log events, and Live Tail". Everything
// is case-sensitive. What that page leaves open is decided here, and each
// decision has a test:
//
//   - A plain term matches anywhere, also within a word.
//   - A condition on a JSON field that is not there is false, != too. A null
//     differs from every value; "= *" takes any value that is no array or object.
//   - Of a JSON key that an object has twice, both count.
//   - The last field of a line pattern without "..." takes the rest of a longer line.
package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"trailward"
)

// Limits of a pattern. A pattern beyond one of them is an [*Error].
const (
	// MaxLength is the longest pattern in characters (filterPattern in the
	// CloudWatch Logs API).
	MaxLength = 1024
	// MaxRegexes is how many regular expressions a line or JSON pattern may
	// have. Terms have no such limit but MaxLength.
	MaxRegexes = 2
	// MaxRegexSize bounds a regular expression after its repetitions are
	// written out, in characters.
	MaxRegexSize = 1000
	// MaxWildcards is how many selectors of a JSON pattern may have a wildcard;
	// each may have one.
	MaxWildcards = 3
)

// Error is a fault in a pattern's text.
type Error struct {
	Column int    // of the character where it was seen, from 1
	Msg    string // what was expected or what is wrong; lower case, one line
	Hint   string // what would be right; may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("column %d: %s", e.Column, e.Msg)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Pattern is a compiled filter pattern. It is safe for concurrent use.
type Pattern struct {
	text string
	// Exactly one of these is set, or none for a pattern that matches all.
	terms *terms
	line  *linePattern
	json  *jsonPattern
}

// Compile reads a pattern. A fault is an [*Error]. A pattern of blanks only
// matches every record.
func Compile(pattern string) (*Pattern, error) {
	if n := utf8.RuneCountInString(pattern); n > MaxLength {
		return nil, &Error{Column: MaxLength + 1, Msg: fmt.Sprintf("the pattern has %d characters, the most is %d", n, MaxLength)}
	}
	p := &Pattern{text: pattern}
	c := &cursor{text: pattern}
	c.blanks()
	var err error
	switch c.peek() {
	case 0:
		if c.at < len(pattern) {
			return nil, c.fault("unexpected character")
		}
	case '{':
		p.json, err = parseJSON(c)
	case '[':
		p.line, err = parseLine(c)
	default:
		p.terms, err = parseTerms(c)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// String returns the pattern's text as it was given to [Compile].
func (p *Pattern) String() string { return p.text }

// MatchesAll reports whether the pattern matches every record.
func (p *Pattern) MatchesAll() bool { return p.terms == nil && p.line == nil && p.json == nil }

// Match reports whether the record with these bytes matches. The kind saves
// work: of most kinds it is known from intake whether a record is a JSON
// object. An empty kind is good too.
func (p *Pattern) Match(raw []byte, kind trailward.Kind) bool {
	switch {
	case p.terms != nil:
		return p.terms.match(raw)
	case p.line != nil:
		return p.line.match(raw)
	case p.json != nil:
		raw = bytes.TrimLeft(raw, " \t\r\n")
		if len(raw) == 0 || raw[0] != '{' || !p.json.possible(raw) {
			return false
		}
		switch kind {
		case trailward.KindVPCFlow, trailward.KindLinuxAudit, trailward.KindSyslog:
			return false
		case trailward.KindK8sAudit, trailward.KindCloudTrail, trailward.KindTrailDigest, trailward.KindDNS, trailward.KindWAF, trailward.KindJSON:
			// Intake has read all of it as one object.
		default:
			if !json.Valid(raw) {
				return false
			}
		}
		return p.json.match(raw)
	}
	return true
}

// cursor walks over a pattern's text.
type cursor struct {
	text string
	at   int // byte offset
	// budgets of the whole pattern
	regexes, wildcards int
}

// peek returns the byte at the cursor, 0 at the end.
func (c *cursor) peek() byte {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

func (c *cursor) rest() string { return c.text[c.at:] }

// eat moves over s if it stands at the cursor.
func (c *cursor) eat(s string) bool {
	if !strings.HasPrefix(c.rest(), s) {
		return false
	}
	c.at += len(s)
	return true
}

// word is eat for a keyword, which must not go on.
func (c *cursor) word(s string) bool {
	if !strings.HasPrefix(c.rest(), s) {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(c.rest()[len(s):]); nameRune(r) {
		return false
	}
	c.at += len(s)
	return true
}

func (c *cursor) blanks() {
	for c.at < len(c.text) && blank(c.text[c.at]) {
		c.at++
	}
}

func blank(b byte) bool {
	return b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\v' || b == '\f'
}

// fault is an error at the cursor.
func (c *cursor) fault(msg string, hint ...string) *Error { return c.faultAt(c.at, msg, hint...) }

func (c *cursor) faultAt(at int, msg string, hint ...string) *Error {
	e := &Error{Column: utf8.RuneCountInString(c.text[:at]) + 1, Msg: msg}
	if len(hint) > 0 {
		e.Hint = hint[0]
	}
	return e
}

// found names what stands at the cursor, for errors.
func (c *cursor) found() string {
	if c.at >= len(c.text) {
		return "the end of the pattern"
	}
	r, _ := utf8.DecodeRuneInString(c.rest())
	return fmt.Sprintf("%q", string(r))
}

// end checks that nothing but blanks is left.
func (c *cursor) end() error {
	c.blanks()
	if c.at < len(c.text) {
		return c.fault("expected the end of the pattern, found " + c.found())
	}
	return nil
}

// quoted reads text in double quotes; \" and \\ stand for the second
// character, any other backslash for itself.
func (c *cursor) quoted() (string, error) {
	from := c.at
	c.at++
	var b []byte
	for c.at < len(c.text) {
		switch ch := c.text[c.at]; {
		case ch == '\\' && c.at+1 < len(c.text) && (c.text[c.at+1] == '"' || c.text[c.at+1] == '\\'):
			b = append(b, c.text[c.at+1])
			c.at += 2
		case ch == '"':
			c.at++
			return string(b), nil
		default:
			b = append(b, ch)
			c.at++
		}
	}
	return "", c.faultAt(from, `the quote is not closed`, `end it with "`)
}
