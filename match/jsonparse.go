package match

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonPattern is a pattern of the members of a JSON object: conditions, how
// they are joined, and a tree of the paths at which they look.
type jsonPattern struct {
	conds  []jsonCond
	root   *node
	expr   expr
	needle []byte // a text that every match holds, unless it is escaped; may be empty
}

// jsonCond is one condition. Those with an operator hold when a value is found
// for which they are true; missing holds when none is found at all.
type jsonCond struct {
	test    jsonTest
	op      op
	value   *value
	literal byte // 'n', 't' or 'f' of IS
}

type jsonTest uint8

const (
	testValue jsonTest = iota
	testIs
	testMissing
)

// node is one step of the selectors: the conditions on the values that are
// here, and the steps below.
type node struct {
	conds   []int
	keys    map[string]*node
	anyKey  *node // .*
	index   map[int]*node
	anyItem *node // [*]
}

// expr is a condition (kids nil) or others joined.
type expr struct {
	cond int
	or   bool
	kids []expr
}

func (e *expr) eval(found []bool, conds []jsonCond) bool {
	if e.kids == nil {
		return found[e.cond] != (conds[e.cond].test == testMissing)
	}
	for i := range e.kids {
		if e.kids[i].eval(found, conds) == e.or {
			return e.or
		}
	}
	return !e.or
}

// jsonStop are the characters that end a bare value in a JSON pattern.
const jsonStop = `"%&|=!<>(){},`

func parseJSON(c *cursor) (*jsonPattern, error) {
	c.at++
	p := &jsonPattern{root: &node{}}
	var err error
	if p.expr, err = p.or(c); err != nil {
		return nil, err
	}
	c.blanks()
	if !c.eat("}") {
		return nil, c.fault(`expected "&&", "||" or "}", found ` + c.found())
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	p.needle = p.required(&p.expr)
	return p, nil
}

func (p *jsonPattern) or(c *cursor) (expr, error)  { return p.joined(c, "||", true, p.and) }
func (p *jsonPattern) and(c *cursor) (expr, error) { return p.joined(c, "&&", false, p.primary) }

func (p *jsonPattern) joined(c *cursor, sign string, or bool, next func(*cursor) (expr, error)) (expr, error) {
	first, err := next(c)
	if err != nil {
		return expr{}, err
	}
	kids := []expr{first}
	for {
		c.blanks()
		if !c.eat(sign) {
			break
		}
		e, err := next(c)
		if err != nil {
			return expr{}, err
		}
		kids = append(kids, e)
	}
	if len(kids) == 1 {
		return first, nil
	}
	return expr{or: or, kids: kids}, nil
}

// primary is a condition or a pattern in parentheses. It recurses no deeper
// than a pattern is long.
func (p *jsonPattern) primary(c *cursor) (expr, error) {
	c.blanks()
	if !c.eat("(") {
		return p.condition(c)
	}
	e, err := p.or(c)
	if err != nil {
		return e, err
	}
	c.blanks()
	if !c.eat(")") {
		return e, c.fault(`expected "&&", "||" or ")", found ` + c.found())
	}
	return e, nil
}

func (p *jsonPattern) condition(c *cursor) (expr, error) {
	at, err := p.selector(c)
	if err != nil {
		return expr{}, err
	}
	cond := jsonCond{}
	c.blanks()
	switch o, ok := c.operator(); {
	case ok:
		cond.op = o
		if cond.value, err = c.value(o, jsonStop); err != nil {
			return expr{}, err
		}
	case c.word("IS"):
		cond.test = testIs
		c.blanks()
		switch {
		case c.word("NULL"):
			cond.literal = 'n'
		case c.word("TRUE"):
			cond.literal = 't'
		case c.word("FALSE"):
			cond.literal = 'f'
		case c.word("NOT"):
			return expr{}, c.fault("there is no IS NOT", "use IS NULL, IS TRUE, IS FALSE or NOT EXISTS")
		default:
			return expr{}, c.fault("expected NULL, TRUE or FALSE after IS, found " + c.found())
		}
	case c.word("NOT"):
		cond.test = testMissing
		c.blanks()
		if !c.word("EXISTS") {
			return expr{}, c.fault("expected EXISTS after NOT, found " + c.found())
		}
	case c.word("EXISTS"):
		return expr{}, c.fault("there is no EXISTS", "use = * for a field that exists")
	default:
		return expr{}, c.fault("expected = != < <= > >=, IS or NOT EXISTS, found " + c.found())
	}
	p.conds = append(p.conds, cond)
	at.conds = append(at.conds, len(p.conds)-1)
	return expr{cond: len(p.conds) - 1}, nil
}

// selector reads a path and gives its node.
func (p *jsonPattern) selector(c *cursor) (*node, error) {
	c.blanks()
	from := c.at
	if !c.eat("$") {
		return nil, c.fault("expected a selector, found "+c.found(), "a selector begins with $, such as $.user.name")
	}
	at, wild, depth := p.root, false, 0
	for {
		next, star, err := c.step(at)
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		if star {
			if wild {
				return nil, c.faultAt(from, "a selector can have one wildcard only")
			}
			wild = true
			if c.wildcards++; c.wildcards > MaxWildcards {
				return nil, c.faultAt(from, fmt.Sprintf("at most %d selectors of a pattern can have a wildcard", MaxWildcards))
			}
		}
		at = next
		depth++
	}
	if depth == 0 {
		return nil, c.fault("expected . or [ after $, found " + c.found())
	}
	return at, nil
}

// step reads one step of a selector; nil at its end.
func (c *cursor) step(at *node) (next *node, star bool, err error) {
	from := c.at
	switch {
	case c.eat("[*]"):
		if at.anyItem == nil {
			at.anyItem = &node{}
		}
		return at.anyItem, true, nil
	case c.eat(".*"):
		if at.anyKey == nil {
			at.anyKey = &node{}
		}
		return at.anyKey, true, nil
	case c.eat(".["):
		key, err := c.bracketKey(from)
		if err != nil {
			return nil, false, err
		}
		return at.key(key), false, nil
	case c.eat("["):
		digits := c.at
		for c.at < len(c.text) && isDigit(c.text[c.at]) {
			c.at++
		}
		n, err := strconv.Atoi(c.text[digits:c.at])
		if err != nil || !c.eat("]") {
			return nil, false, c.faultAt(from, "expected an index such as [0], or [*]")
		}
		if at.index == nil {
			at.index = map[int]*node{}
		}
		if at.index[n] == nil {
			at.index[n] = &node{}
		}
		return at.index[n], false, nil
	case c.eat("."):
		name := c.at
		for c.at < len(c.text) {
			r, n := utf8.DecodeRuneInString(c.rest())
			if !nameRune(r) {
				break
			}
			c.at += n
		}
		if c.at == name {
			return nil, false, c.fault("expected a member's name, found "+c.found(), "a name with other characters than letters, digits, _ and - is written .['the name']")
		}
		return at.key(c.text[name:c.at]), false, nil
	}
	return nil, false, nil
}

// bracketKey reads 'any name'] behind ".[".
func (c *cursor) bracketKey(from int) (string, error) {
	if !c.eat("'") {
		return "", c.faultAt(from, "expected .['the name']")
	}
	end := strings.Index(c.rest(), "']")
	if end < 0 {
		return "", c.faultAt(from, "the name is not closed", "end it with ']")
	}
	key := c.rest()[:end]
	c.at += end + 2
	return key, nil
}

func (n *node) key(name string) *node {
	if n.keys == nil {
		n.keys = map[string]*node{}
	}
	if n.keys[name] == nil {
		n.keys[name] = &node{}
	}
	return n.keys[name]
}

// required is the longest text that every matching record holds, or empty: a
// value that a field must be equal to. Only texts that JSON cannot write otherwise than
// with \u are taken.
func (p *jsonPattern) required(e *expr) []byte {
	if e.kids == nil {
		c := &p.conds[e.cond]
		var best []byte
		if c.test != testValue || c.op != opEqual || c.value.numeric {
			return nil // 1.0 equals 1
		}
		if c.value.re != nil {
			best = c.value.re.literal
		}
		for _, piece := range c.value.pieces {
			if len(piece) > len(best) {
				best = piece
			}
		}
		if bytes.ContainsFunc(best, func(r rune) bool { return r < ' ' || r >= 0x7f || r == '"' || r == '\\' || r == '/' }) {
			return nil
		}
		return best
	}
	if e.or {
		return nil
	}
	var best []byte
	for i := range e.kids {
		if n := p.required(&e.kids[i]); len(n) > len(best) {
			best = n
		}
	}
	return best
}

// possible reports whether the record can match at all.
func (p *jsonPattern) possible(raw []byte) bool {
	return len(p.needle) == 0 || bytes.Contains(raw, p.needle) || bytes.Contains(raw, []byte(`\u`))
}
