package match

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// regex is a regular expression between percent signs, with a literal that
// every match holds: to look for it first is many times faster.
type regex struct {
	re      *regexp.Regexp
	literal []byte
}

func (r *regex) match(text []byte) bool {
	return (len(r.literal) == 0 || bytes.Contains(text, r.literal)) && r.re.Match(text)
}

// percent reads %regex%. Allowed are the characters that the reference lists:
// letters, digits, blanks, : _ # = @ / ; , - and the operators
// ^ $ ? [ ] { } | \ * + . with the escapes \d \D \s \S \w \W \xHH and those of an
// operator. Parentheses are not.
func (c *cursor) percent() (*regex, error) {
	from := c.at
	c.at++
	var b strings.Builder
	for {
		if c.at >= len(c.text) {
			return nil, c.faultAt(from, "the regular expression is not closed", "end it with %")
		}
		switch ch := c.text[c.at]; {
		case ch == '%':
			c.at++
			return compileRegex(c, from, b.String())
		case ch == '\\':
			n, err := c.escape()
			if err != nil {
				return nil, err
			}
			b.WriteString(c.text[c.at : c.at+n])
			c.at += n
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', strings.IndexByte(" :_#=@/;,-^$?[]{}|*+.", ch) >= 0:
			b.WriteByte(ch)
			c.at++
		case ch == '(' || ch == ')':
			return nil, c.fault("a regular expression cannot have parentheses", `write the character itself as \x28 or \x29`)
		case ch >= 0x80:
			return nil, c.fault("a regular expression can have ASCII characters only", "write . for the character")
		default:
			return nil, c.fault(fmt.Sprintf("a regular expression cannot have the character %q", ch), fmt.Sprintf(`write it as \x%02x`, ch))
		}
	}
}

// escape returns the length of the escape at the cursor.
func (c *cursor) escape() (int, error) {
	rest := c.rest()
	if len(rest) < 2 {
		return 0, c.fault("the regular expression ends in a backslash")
	}
	switch ch := rest[1]; {
	case strings.IndexByte("dDsSwW", ch) >= 0, strings.IndexByte(`^$?[]{}|\*+.-/`, ch) >= 0:
		return 2, nil
	case ch == 'x' && len(rest) >= 4 && isHex(rest[2]) && isHex(rest[3]):
		return 4, nil
	}
	return 0, c.fault("unknown escape in a regular expression", `the escapes are \d \D \s \S \w \W \xHH and a backslash before an operator`)
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

func compileRegex(c *cursor, from int, text string) (*regex, error) {
	if text == "" {
		return nil, c.faultAt(from, "the regular expression is empty")
	}
	// The reference lists no lazy repetitions and no flags; Perl's syntax minus
	// parentheses has of these only the lazy ones, which change no match.
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		what := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			what = e.Code.String()
		}
		return nil, c.faultAt(from, "the regular expression is not valid: "+what)
	}
	if size := regexSize(tree); size > MaxRegexSize {
		return nil, c.faultAt(from, fmt.Sprintf("the regular expression is too large: its repetitions written out are more than %d characters", MaxRegexSize))
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, c.faultAt(from, "the regular expression is not valid")
	}
	return &regex{re, []byte(requiredLiteral(tree))}, nil
}

// regexSize estimates the size of the compiled program: repetitions multiply.
// It never exceeds a little over MaxRegexSize times 1000, so it cannot overflow.
func regexSize(t *syntax.Regexp) int {
	size := 1
	if t.Op == syntax.OpLiteral {
		size = len(t.Rune)
	}
	for _, sub := range t.Sub {
		size += min(regexSize(sub), MaxRegexSize+1)
	}
	if t.Op == syntax.OpRepeat {
		size *= max(t.Min, t.Max, 1)
	}
	return size
}

// requiredLiteral is the longest literal that every match of t holds, or empty.
func requiredLiteral(t *syntax.Regexp) string {
	switch t.Op {
	case syntax.OpLiteral:
		if t.Flags&syntax.FoldCase != 0 {
			return ""
		}
		for _, r := range t.Rune {
			if r >= 0x80 { // \xHH: the record may hold the byte or the character
				return ""
			}
		}
		return string(t.Rune)
	case syntax.OpConcat:
		best := ""
		for _, sub := range t.Sub {
			if l := requiredLiteral(sub); len(l) > len(best) {
				best = l
			}
		}
		return best
	case syntax.OpPlus, syntax.OpCapture:
		return requiredLiteral(t.Sub[0])
	case syntax.OpRepeat:
		if t.Min > 0 {
			return requiredLiteral(t.Sub[0])
		}
	}
	return ""
}
