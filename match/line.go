package match

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// linePattern is a pattern of the fields of a line.
type linePattern struct {
	before []lineField // fields from the beginning
	after  []lineField // fields up to the end, behind "..."
	// open says that there is a "...". Without it the last field takes the rest
	// of the line.
	open bool
}

// lineField is a field's name, which is only a label, and what must hold of it:
// one of the lists, and of that list everything. No list: anything goes.
type lineField struct {
	name string
	any  [][]lineTest
}

type lineTest struct {
	op    op
	value *value
}

func (f *lineField) match(text []byte) bool {
	for _, all := range f.any {
		ok := true
		for i := range all {
			if !all[i].match(text) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return len(f.any) == 0
}

func (t *lineTest) match(text []byte) bool {
	switch t.op {
	case opEqual:
		return t.value.equal(text)
	case opNotEqual:
		return !t.value.equal(text)
	}
	n, ok := parseNumber(text)
	return ok && n.holds(t.op, t.value.num)
}

// lineStop are the characters that end a bare value in a line pattern.
const lineStop = `,]"%&|=!<>()`

func parseLine(c *cursor) (*linePattern, error) {
	c.at++
	p := &linePattern{}
	for {
		c.blanks()
		if c.eat("...") {
			if p.open {
				return nil, c.faultAt(c.at-3, `"..." can stand once only`)
			}
			p.open = true
		} else {
			f, err := c.lineField()
			if err != nil {
				return nil, err
			}
			if p.open {
				p.after = append(p.after, f)
			} else {
				p.before = append(p.before, f)
			}
		}
		c.blanks()
		if c.eat(",") {
			continue
		}
		if c.eat("]") {
			break
		}
		return nil, c.fault(`expected "," or "]", found ` + c.found())
	}
	return p, c.end()
}

func (c *cursor) lineField() (lineField, error) {
	name, err := c.lineName()
	if err != nil {
		return lineField{}, err
	}
	f := lineField{name: name}
	c.blanks()
	if c.peek() == ',' || c.peek() == ']' || c.peek() == 0 {
		return f, nil
	}
	all := []lineTest{}
	for {
		c.blanks()
		o, ok := c.operator()
		if !ok {
			return f, c.fault("expected = != < <= > or >=, found " + c.found())
		}
		v, err := c.value(o, lineStop)
		if err != nil {
			return f, err
		}
		all = append(all, lineTest{o, v})
		c.blanks()
		switch {
		case c.eat("&&"):
		case c.eat("||"):
			f.any = append(f.any, all)
			all = nil
		default:
			f.any = append(f.any, all)
			return f, nil
		}
		c.blanks()
		at := c.at
		next, err := c.lineName()
		if err != nil {
			return f, err
		}
		if next != name {
			return f, c.faultAt(at, "a condition joined with && or || must be on the same field, "+name, "separate fields with a comma")
		}
	}
}

func (c *cursor) lineName() (string, error) {
	from := c.at
	for c.at < len(c.text) {
		r, n := utf8.DecodeRuneInString(c.rest())
		if !nameRune(r) {
			break
		}
		c.at += n
	}
	if c.at == from {
		return "", c.fault("expected a field's name, found "+c.found(), "a name has letters, digits, _ and -")
	}
	return c.text[from:c.at], nil
}

func nameRune(r rune) bool {
	return r == '_' || r == '-' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// match splits the line and holds its fields against the pattern. Only as many
// fields are kept as the pattern has behind "...".
func (p *linePattern) match(raw []byte) bool {
	s := splitter{b: raw}
	for i := range p.before {
		f := &p.before[i]
		from, to, ok := s.next()
		if !ok {
			return false
		}
		text := raw[from:to]
		if i == len(p.before)-1 && !p.open {
			if !s.atEnd() {
				text = bytes.TrimRight(raw[s.from:], " \t\r\n\v\f")
				s.i = len(raw)
			}
		}
		if !f.match(text) {
			return false
		}
	}
	n := len(p.after)
	if n == 0 {
		return true // without "..." the last field took the rest
	}
	var room [16][2]int
	last := room[:]
	if n > len(last) {
		last = make([][2]int, n)
	}
	count := 0
	for {
		from, to, ok := s.next()
		if !ok {
			break
		}
		last[count%n] = [2]int{from, to}
		count++
	}
	if count < n {
		return false
	}
	for i := range p.after {
		at := last[(count+i)%n]
		if !p.after[i].match(raw[at[0]:at[1]]) {
			return false
		}
	}
	return true
}

// splitter takes the fields out of a line: what stands between blanks, or in
// "…" or […] when the closing character ends the field.
type splitter struct {
	b    []byte
	i    int
	from int // where the field began, its delimiter included
	// bracket is the first ] behind the last place from which one was looked
	// for, len(b) if there is none: a line of many [ is searched once.
	bracket int
}

func (s *splitter) blanks() {
	for s.i < len(s.b) && blank(s.b[s.i]) {
		s.i++
	}
}

func (s *splitter) atEnd() bool {
	s.blanks()
	return s.i == len(s.b)
}

func (s *splitter) next() (from, to int, ok bool) {
	if s.atEnd() {
		return 0, 0, false
	}
	s.from = s.i
	end := -1
	switch s.b[s.i] {
	case '"':
		end = s.quote()
	case '[':
		if s.bracket <= s.i {
			s.bracket = len(s.b)
			if n := bytes.IndexByte(s.b[s.i:], ']'); n >= 0 {
				s.bracket = s.i + n
			}
		}
		end = s.bracket
	}
	if end >= 0 && end < len(s.b) && (end+1 == len(s.b) || blank(s.b[end+1])) {
		s.i = end + 1
		return s.from + 1, end, true
	}
	for s.i < len(s.b) && !blank(s.b[s.i]) {
		s.i++
	}
	return s.from, s.i, true
}

// quote returns where the next quote without a backslash before it stands, or
// -1. The search ends at the beginning of the next field that has a quote, so
// that a line is searched twice at most.
func (s *splitter) quote() int {
	for at := s.i + 1; ; at++ {
		n := bytes.IndexByte(s.b[at:], '"')
		if n < 0 {
			return -1
		}
		at += n
		slashes := 0
		for at-slashes-1 > s.i && s.b[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}
