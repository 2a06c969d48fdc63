package insights

import (
	"fmt"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// parser reads one query. It looks one token ahead and goes back, where it
// has to, by keeping a copy of itself.
type parser struct {
	lexer
	tok   token // the next token
	last  int   // where the token before it ended
	depth int   // of the expression being read

	commands int  // read so far, those of subqueries too
	inner    bool // inside a subquery
}

func (p *parser) advance() error {
	p.last = p.tok.end
	t, err := p.lexer.next()
	p.tok = t
	return err
}

func (p *parser) fail(hint, format string, args ...any) *plan.Error {
	return errAt(p.src, p.tok.start, hint, format, args...)
}

// found names the next token for a message.
func (p *parser) found() string {
	switch p.tok.kind {
	case tEOF:
		return "end of query"
	case tString:
		return "string " + shorten(p.src[p.tok.start:p.tok.end])
	default:
		return shorten(p.src[p.tok.start:p.tok.end])
	}
}

// shorten quotes user text in a message, not more of it than is useful.
func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (p *parser) isOp(s string) bool { return p.tok.kind == tOp && p.tok.text == s }

// isWord reports whether the next token is the given word, unquoted and in any
// case.
func (p *parser) isWord(w string) bool {
	return p.tok.kind == tIdent && !p.tok.quoted && strings.EqualFold(p.tok.text, w)
}

func (p *parser) expectOp(s, where string) error {
	if !p.isOp(s) {
		return p.fail("expected "+s, "unexpected %s %s", p.found(), where)
	}
	return p.advance()
}

// acceptOp passes the operator if it is next.
func (p *parser) acceptOp(s string) (bool, error) {
	if !p.isOp(s) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) acceptWord(w string) (bool, error) {
	if !p.isWord(w) {
		return false, nil
	}
	return true, p.advance()
}

// enter counts a level of nesting; leave takes it back.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(p.tok.start)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) tooDeep(at int) error {
	return errAt(p.src, at, "", "expression is nested more than %d levels deep", MaxDepth)
}

// mk makes a node over args and measures its height, which loops build up as
// well as nesting does.
func (p *parser) mk(op nodeOp, start int, text string, args ...*node) (*node, error) {
	n := &node{op: op, start: start, end: p.last, text: text, args: args}
	for _, a := range args {
		n.depth = max(n.depth, a.depth+1)
	}
	if n.depth > MaxDepth {
		return nil, p.tooDeep(start)
	}
	return n, nil
}

// expr reads an expression: or, the operator that binds least.
func (p *parser) expr() (*node, error) {
	return p.list("or", nOr, func() (*node, error) { return p.list("and", nAnd, p.not) })
}

// list reads operands of one kind of connective into one flat node.
func (p *parser) list(word string, op nodeOp, operand func() (*node, error)) (*node, error) {
	start := p.tok.start
	first, err := operand()
	if err != nil || !p.isWord(word) {
		return first, err
	}
	args := []*node{first}
	for p.isWord(word) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := operand()
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	return p.mk(op, start, "", args...)
}

func (p *parser) not() (*node, error) {
	if !p.isWord("not") && !p.isOp("!") {
		return p.comparison()
	}
	start := p.tok.start
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.not()
	if err != nil {
		return nil, err
	}
	return p.mk(nNot, start, "", x)
}

func (p *parser) comparison() (*node, error) {
	start := p.tok.start
	l, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.tok.kind == tOp {
		op := p.tok.text
		switch op {
		case "=", "==", "!=", "<>", "<", "<=", ">", ">=":
			if err := p.advance(); err != nil {
				return nil, err
			}
			r, err := p.sum()
			if err != nil {
				return nil, err
			}
			switch op {
			case "==":
				op = "="
			case "<>":
				op = "!="
			}
			return p.mk(nBinary, start, op, l, r)
		case "=~", "~=": // the second is in published queries
			return p.like(start, l)
		}
		return l, nil
	}
	switch {
	case p.isWord("not"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		var x *node
		switch {
		case p.isWord("like"):
			x, err = p.like(start, l)
		case p.isWord("in"):
			x, err = p.in(start, l)
		default:
			return nil, p.fail("expected like or in", "unexpected %s after not", p.found())
		}
		if err != nil {
			return nil, err
		}
		return p.mk(nNot, start, "", x)
	case p.isWord("like"):
		return p.like(start, l)
	case p.isWord("in"):
		return p.in(start, l)
	case p.isWord("exists"): // "errorCode exists", seen in published queries
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.mk(nCall, start, "ispresent", l)
	}
	return l, nil
}

// like reads what stands after like or =~, which is the next token.
func (p *parser) like(start int, l *node) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	r, err := p.sum()
	if err != nil {
		return nil, err
	}
	return p.mk(nLike, start, "", l, r)
}

// beginsQuery reports whether a query begins here, and not a list of values.
func (p *parser) beginsQuery() bool {
	if p.isWord("SOURCE") {
		return true
	}
	if p.tok.kind != tIdent || p.tok.quoted || !isCommand(p.tok.text) {
		return false
	}
	ahead := *p
	return ahead.advance() == nil && !ahead.isOp(",") && !ahead.isOp(")")
}

// subquery reads a query up to its closing parenthesis, which it passes; the
// opening one was read.
func (p *parser) subquery() ([]*command, error) {
	if p.inner {
		return nil, p.fail("", "a subquery inside a subquery")
	}
	p.inner = true
	cmds, err := p.pipe(")")
	p.inner = false
	if err != nil {
		return nil, err
	}
	if len(cmds) == 0 {
		return nil, p.fail("expected a query such as SOURCE 'group' | fields id", "empty subquery")
	}
	return cmds, p.expectOp(")", "after the subquery")
}

// in reads what stands after in, which is the next token.
func (p *parser) in(start int, l *node) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	closing := "]"
	switch {
	case p.isOp("["):
	case p.isOp("("):
		closing = ")"
	default:
		return nil, p.fail("expected [ and a list of values", "unexpected %s after in", p.found())
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if closing == ")" && p.beginsQuery() {
		sub, err := p.subquery()
		if err != nil {
			return nil, err
		}
		n, err := p.mk(nInQuery, start, "", l)
		if err == nil {
			n.sub = sub
		}
		return n, err
	}
	args := []*node{l}
	for !p.isOp(closing) {
		if len(args) > 1 {
			if !p.isOp(",") {
				return nil, p.fail("expected , or the bracket that closes the list", "unexpected %s in a list", p.found())
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		x, err := p.sum()
		if err != nil {
			return nil, err
		}
		if args = append(args, x); len(args) > MaxList+1 {
			return nil, p.fail("", "a list has at most %d values", MaxList)
		}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.mk(nIn, start, "", args...)
}

func (p *parser) sum() (*node, error)     { return p.chain("+-", p.product) }
func (p *parser) product() (*node, error) { return p.chain("*/%", p.unary) }

// chain reads operators of one strength, which group from the left.
func (p *parser) chain(ops string, operand func() (*node, error)) (*node, error) {
	start := p.tok.start
	l, err := operand()
	for err == nil && p.tok.kind == tOp && len(p.tok.text) == 1 && strings.Contains(ops, p.tok.text) {
		op := p.tok.text
		if err := p.advance(); err != nil {
			return nil, err
		}
		r, err := operand()
		if err != nil {
			return nil, err
		}
		if l, err = p.mk(nBinary, start, op, l, r); err != nil {
			return nil, err
		}
	}
	return l, err
}

func (p *parser) unary() (*node, error) {
	if !p.isOp("-") && !p.isOp("+") {
		return p.power()
	}
	start, minus := p.tok.start, p.tok.text == "-"
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.unary()
	if err != nil || !minus {
		return x, err
	}
	if x.op == nNumber && x.text[0] != '-' { // a negative literal, so that lists and limits see a constant
		x.text, x.num, x.start = "-"+x.text, -x.num, start
		return x, nil
	}
	return p.mk(nNeg, start, "", x)
}

// power reads ^, which groups from the right and binds more than a minus
// before it.
func (p *parser) power() (*node, error) {
	start := p.tok.start
	l, err := p.postfix()
	if err != nil || !p.isOp("^") {
		return l, err
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	r, err := p.unary()
	if err != nil {
		return nil, err
	}
	return p.mk(nBinary, start, "^", l, r)
}

// postfix reads a value and the path that may follow it: jsonParse(x).a[0].
func (p *parser) postfix() (*node, error) {
	start := p.tok.start
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	var keys []string
	for x.op == nCall || x.op == nPath || keys != nil {
		switch {
		case p.isOp("."):
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.tok.kind != tIdent {
				return nil, p.fail("expected a field name", "unexpected %s after .", p.found())
			}
			keys = append(keys, p.tok.keys...)
		case p.isOp("["):
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.tok.kind != tNumber || strings.Trim(p.tok.text, "0123456789") != "" {
				return nil, p.fail("expected the number of an element, from 0", "unexpected %s after [", p.found())
			}
			keys = append(keys, p.tok.text)
			if err := p.advance(); err != nil {
				return nil, err
			}
			if !p.isOp("]") {
				return nil, p.fail("expected ]", "unexpected %s", p.found())
			}
		default:
			if keys == nil {
				return x, nil
			}
			if len(keys) > maxPath {
				return nil, errAt(p.src, start, "", "a field path has at most %d parts", maxPath)
			}
			n, err := p.mk(nPath, start, "", x)
			if err == nil {
				n.keys = keys
			}
			return n, err
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// placeholder gives the length of a place that somebody was to fill in, at the
// beginning of s: {{name}} as saved queries have it, ${name} or <name>.
func placeholder(s string) int {
	for _, mark := range [][2]string{{"{{", "}}"}, {"${", "}"}, {"<", ">"}} {
		if !strings.HasPrefix(s, mark[0]) {
			continue
		}
		i := strings.Index(s, mark[1])
		if i <= len(mark[0]) || i > maxPlaceholder || strings.ContainsAny(s[len(mark[0]):i], "<{|=\n\"'") || mark[0] == "<" && !isIdentStart(rune(s[1])) {
			return 0
		}
		return i + len(mark[1])
	}
	return 0
}

// maxPlaceholder is the length of the longest one, in bytes.
const maxPlaceholder = 100

func (p *parser) primary() (*node, error) {
	t := p.tok
	leaf := func(op nodeOp) (*node, error) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &node{op: op, start: t.start, end: t.end, text: t.text, keys: t.keys, quote: t.quoted, num: t.num, span: t.period}, nil
	}
	if n := placeholder(p.src[t.start:]); n > 0 && (t.kind == tOp || t.kind == tIdent) {
		t.text, t.end = p.src[t.start:t.start+n], t.start+n
		p.lexer.pos = t.end
		x, err := leaf(nString)
		if err == nil {
			x.hole = true
		}
		return x, err
	}
	switch t.kind {
	case tString:
		return leaf(nString)
	case tNumber:
		return leaf(nNumber)
	case tDuration:
		return leaf(nDuration)
	case tIdent:
		n, err := leaf(nName)
		if err == nil && p.isOp("(") && !t.quoted {
			return p.call(n)
		}
		return n, err
	case tOp:
		switch t.text {
		case "/": // a value is due, so this begins a regular expression
			re, err := p.lexer.regex(t.start)
			if err != nil {
				return nil, err
			}
			t, p.tok = re, re
			return leaf(nRegex)
		case "(":
			if err := p.enter(); err != nil {
				return nil, err
			}
			defer p.leave()
			if err := p.advance(); err != nil {
				return nil, err
			}
			x, err := p.expr()
			if err != nil {
				return nil, err
			}
			return x, p.expectOp(")", "in parentheses")
		}
	}
	return nil, p.fail("expected a field, a value or a function", "unexpected %s", p.found())
}

// argument reads an argument of a function; one that takes a period takes "5
// min", with a blank, too.
func (p *parser) argument(fn string) (*node, error) {
	if p.tok.kind == tNumber && (fn == "bin" || fn == "datefloor" || fn == "dateceil" || fn == "rate") {
		t, ahead := p.tok, *p
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err == nil && n >= 1 && n <= maxPeriod && ahead.advance() == nil && ahead.tok.kind == tIdent && !ahead.tok.quoted {
			if u, ok := units[strings.ToLower(ahead.tok.text)]; ok {
				*p = ahead
				if err := p.advance(); err != nil {
					return nil, err
				}
				return &node{op: nDuration, start: t.start, end: p.last, span: plan.Period{N: n, Unit: u}}, nil
			}
		}
	}
	return p.expr()
}

// call reads the arguments of a function whose name was read and whose
// opening parenthesis is next.
func (p *parser) call(name *node) (*node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	fn := strings.ToLower(name.text)
	if fn == "count" && p.isWord("distinct") { // count(distinct x), SQL's way
		back := *p
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind == tIdent {
			fn = "count_distinct"
		} else {
			*p = back
		}
	}
	var args []*node
	for !p.isOp(")") {
		if len(args) > 0 {
			if err := p.expectOp(",", "in the arguments of "+name.text); err != nil {
				return nil, err
			}
		}
		if p.isOp("*") && len(args) == 0 {
			start := p.tok.start
			if err := p.advance(); err != nil {
				return nil, err
			}
			args = append(args, &node{op: nStar, start: start, end: p.last, text: "*"})
			continue
		}
		x, err := p.argument(fn)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.mk(nCall, name.start, fn, args...)
}
