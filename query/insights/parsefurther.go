package insights

import (
	"strings"

	"trailward/query/plan"
)

// Limits of single commands.
const (
	maxPaste = 100_000 // rows of appendcols
	maxLag   = 1_000   // rows that autoregress looks back, and columns that it makes
	maxJoin  = 10      // conditions of a join
	// DefaultPaste is how many rows appendcols takes when it does not say.
	DefaultPaste = 10_000
)

// further reads the arguments of the commands that are about more than single
// rows. ok is false if c is none of them.
func (p *parser) further(c *command) (ok bool, err error) {
	switch c.name {
	case "pattern":
		c.expr, err = p.sum()
	case "anomaly":
	case "diff":
		err = p.diff(c)
	case "logcompare":
		err = p.logCompare(c)
	case "join":
		err = p.join(c)
	case "appendcols":
		err = p.appendCols(c)
	case "addtotals":
		err = p.addTotals(c)
	case "accum":
		if c.expr, err = p.postfix(); err == nil {
			c.into, err = p.optionalAs()
		}
	case "autoregress":
		err = p.autoregress(c)
	case "filldown":
		c.names, err = p.wildcards()
	case "fillmissing":
		err = p.fillMissing(c)
	case "outlier":
		err = p.outlier(c)
	case "sessionize":
		err = p.sessionize(c)
	case "countfrequent", "count_frequent":
		c.name = "countfrequent"
		c.items, err = p.items("countFrequent")
	case "lookup", "cidrlookup":
		err = p.lookup(c)
	case "json":
		err = p.json(c)
	case "tail":
		err = p.limit(c)
	case "relevantfields":
		err = p.relevantFields(c)
	case "estimate":
	default:
		return false, nil
	}
	return true, err
}

// optionalAs reads "as name" if it is next.
func (p *parser) optionalAs() (string, error) {
	if ok, err := p.acceptWord("as"); err != nil || !ok {
		return "", err
	}
	return p.name("as")
}

func (p *parser) diff(c *command) error {
	periods := map[string]plan.Period{"previousday": {N: 1, Unit: plan.Day}, "previousweek": {N: 1, Unit: plan.Week}, "previousmonth": {N: 1, Unit: plan.Month}}
	c.ago.none = true
	if p.tok.kind != tIdent {
		return nil
	}
	d, ok := periods[strings.ToLower(p.tok.text)]
	if !ok {
		if p.isWord("previousPeriod") { // the console's name of the default
			return p.advance()
		}
		return p.fail("expected previousDay, previousWeek, previousMonth or nothing", "unexpected %s after diff", p.found())
	}
	c.ago = shift{period: d}
	return p.advance()
}

func (p *parser) logCompare(c *command) error {
	if ok, err := p.acceptWord("timeshift"); err != nil {
		return err
	} else if !ok {
		return p.fail("expected timeshift and a period such as 7d", "unexpected %s after logcompare", p.found())
	}
	if p.tok.kind != tDuration {
		return p.fail("expected a period such as 7d", "unexpected %s after timeshift", p.found())
	}
	c.ago = shift{period: p.tok.period}
	return p.advance()
}

// option reads name=value if one of the names and = come next. The value is the
// next token.
func (p *parser) option(names ...string) (string, bool, error) {
	for _, name := range names {
		if !p.isWord(name) {
			continue
		}
		ahead := *p
		if err := ahead.advance(); err != nil {
			return "", false, err
		}
		if !ahead.isOp("=") {
			return "", false, nil
		}
		*p = ahead
		return name, true, p.advance()
	}
	return "", false, nil
}

// boolean reads true or false.
func (p *parser) boolean(name string) (bool, error) {
	switch {
	case p.isWord("true"):
		return true, p.advance()
	case p.isWord("false"):
		return false, p.advance()
	}
	return false, p.fail("expected true or false", "unexpected %s after %s=", p.found(), name)
}

// whole reads a whole number in a range.
func (p *parser) whole(what string, from, to int64) (int64, error) {
	if p.tok.kind != tNumber || p.tok.num != float64(int64(p.tok.num)) || p.tok.num < float64(from) || p.tok.num > float64(to) {
		return 0, p.fail("", "%s is a whole number from %d to %d, not %s", what, from, to, p.found())
	}
	n := int64(p.tok.num)
	return n, p.advance()
}

func (p *parser) join(c *command) error {
	j := &joinCmd{}
	c.join = j
	for {
		name, ok, err := p.option("type", "left", "right")
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if p.tok.kind != tIdent || len(p.tok.keys) != 1 {
			return p.fail("expected a name", "unexpected %s after %s=", p.found(), name)
		}
		switch word := p.tok.keys[0]; name {
		case "left":
			j.left = word
		case "right":
			j.right = word
		default:
			switch strings.ToLower(word) {
			case "inner":
			case "left":
				j.outer = true
			default:
				return p.fail("expected inner or left", "join has no type %s", p.found())
			}
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	if j.left == "" || j.right == "" || j.left == j.right {
		return errAt(p.src, c.start, "expected join type=inner left=a right=b where a.id = b.id (SOURCE 'group')", "join needs two different names, left= and right=")
	}
	if ok, err := p.acceptWord("where"); err != nil {
		return err
	} else if !ok {
		return p.fail("expected where and the fields to compare", "unexpected %s in join", p.found())
	}
	for {
		if len(j.on) == maxJoin {
			return p.fail("", "join has more than %d conditions", maxJoin)
		}
		l, err := p.joinField()
		if err != nil {
			return err
		}
		if !p.isOp("=") && !p.isOp("==") {
			return p.fail("a join compares by = only", "unexpected %s in join", p.found())
		}
		if err := p.advance(); err != nil {
			return err
		}
		r, err := p.joinField()
		if err != nil {
			return err
		}
		j.on = append(j.on, [2]*node{l, r})
		if ok, err := p.acceptWord("and"); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	if err := p.expectOp("(", "in join"); err != nil {
		return err
	}
	var err error
	c.sub, err = p.subquery()
	return err
}

// joinField reads a field of a join's condition. The parenthesis that may follow
// is that of the subquery.
func (p *parser) joinField() (*node, error) {
	if p.tok.kind != tIdent {
		return nil, p.fail("expected a field", "unexpected %s in join", p.found())
	}
	return p.postfixName()
}

func (p *parser) appendCols(c *command) error {
	c.max = DefaultPaste
	for {
		name, ok, err := p.option("override", "max")
		switch {
		case err != nil:
			return err
		case !ok:
			if err := p.expectOp("(", "in appendcols"); err != nil {
				return err
			}
			c.sub, err = p.subquery()
			return err
		case name == "override":
			c.over, err = p.boolean(name)
		default:
			c.max, err = p.whole("max", 1, maxPaste)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) addTotals(c *command) error {
	t := &totalsCmd{name: "Total", row: true}
	c.totals = t
	for {
		name, ok, err := p.option("fieldname", "row", "col", "labelfield", "label")
		switch {
		case err != nil:
			return err
		case !ok:
			c.names, err = p.wildcards()
			return err
		case name == "fieldname":
			t.name, err = p.name("fieldname=")
		case name == "row":
			t.row, err = p.boolean(name)
		case name == "col":
			t.col, err = p.boolean(name)
		default:
			return p.fail("expected fieldname=, row=, col= or fields", "addtotals has no %s=", name)
		}
		if err != nil {
			return err
		}
	}
}

// wildcards reads names between blanks or commas up to the end of the command. A
// name with stars is a pattern.
func (p *parser) wildcards() ([]wildcard, error) {
	var out []wildcard
	for p.tok.kind == tIdent || p.isOp("*") {
		w := wildcard{start: p.tok.start}
		if p.tok.kind == tIdent {
			n, err := p.postfixName()
			if err != nil {
				return nil, err
			}
			w.field, w.text = n, strings.Join(n.keys, ".")
		}
		for p.isOp("*") && (p.tok.start == p.last || w.text == "") {
			w.field = nil
			w.text += "*"
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.tok.kind == tIdent && p.tok.start == p.last {
				w.text += strings.Join(p.tok.keys, ".")
				if err := p.advance(); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, w)
		if len(out) > MaxList {
			return nil, p.fail("", "a list has at most %d names", MaxList)
		}
		if _, err := p.acceptOp(","); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// postfixName reads the name of a field.
func (p *parser) postfixName() (*node, error) {
	t := p.tok
	n := &node{op: nName, start: t.start, end: t.end, text: t.text, keys: t.keys, quote: t.quoted}
	return n, p.advance()
}

func (p *parser) relevantFields(c *command) (err error) {
	for !p.isWord("where") {
		if p.tok.kind != tIdent {
			return p.fail("expected fields and where, as in relevantfields Path, Service where Time > 400", "unexpected %s in relevantfields", p.found())
		}
		it := item{}
		if it.expr, err = p.postfix(); err != nil {
			return err
		}
		c.items = append(c.items, it)
		if len(c.items) > MaxRelevant {
			return p.fail("", "relevantfields takes at most %d fields", MaxRelevant)
		}
		if _, err := p.acceptOp(","); err != nil {
			return err
		}
	}
	if err := p.advance(); err != nil {
		return err
	}
	c.cond, err = p.expr()
	return err
}

func (p *parser) autoregress(c *command) (err error) {
	if c.expr, err = p.postfix(); err != nil {
		return err
	}
	c.from, c.to = 1, 1
	for {
		if p.isWord("as") {
			if c.into, err = p.optionalAs(); err != nil {
				return err
			}
			continue
		}
		_, ok, err := p.option("p")
		if err != nil || !ok {
			return err
		}
		if c.from, err = p.whole("p", 1, maxLag); err != nil {
			return err
		}
		c.to = c.from
		if ok, err = p.acceptOp("-"); err != nil {
			return err
		}
		if ok {
			if c.to, err = p.whole("the end of p", c.from, maxLag); err != nil {
				return err
			}
		}
	}
}

func (p *parser) fillMissing(c *command) error {
	if ok, err := p.acceptWord("with"); err != nil || !ok {
		return err
	}
	for {
		if _, err := p.acceptWord("with"); err != nil { // before each pair, too
			return err
		}
		v, err := p.unary()
		if err != nil {
			return err
		}
		if ok, err := p.acceptWord("for"); err != nil {
			return err
		} else if !ok {
			return p.fail("expected for and a column", "unexpected %s in fillmissing", p.found())
		}
		f := fillItem{value: v, pos: p.tok.start}
		if p.tok.kind == tIdent {
			x, err := p.postfix() // count(*), too
			if err != nil {
				return err
			}
			f.name = p.src[x.start:x.end]
			if x.op == nName {
				f.name = strings.Join(x.keys, ".")
			}
		} else if f.name, err = p.name("for"); err != nil {
			return err
		}
		c.fills = append(c.fills, f)
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return err
		}
	}
}

func (p *parser) outlier(c *command) error {
	o := &outlierCmd{param: 2.5}
	c.outlier = o
	for {
		name, ok, err := p.option("action", "param", "uselower", "mark")
		switch {
		case err != nil:
			return err
		case !ok:
			c.names, err = p.wildcards()
			return err
		case name == "action":
			switch {
			case p.isWord("remove"), p.isWord("rm"):
				o.remove = true
			case p.isWord("transform"), p.isWord("tf"):
				o.remove = false
			default:
				return p.fail("expected remove or transform", "unexpected %s after action=", p.found())
			}
			err = p.advance()
		case name == "param":
			if p.tok.kind != tNumber {
				return p.fail("expected a number such as 2.5", "unexpected %s after param=", p.found())
			}
			o.param = p.tok.num
			err = p.advance()
		case name == "uselower":
			o.lower, err = p.boolean(name)
		default:
			o.mark, err = p.boolean(name)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) sessionize(c *command) error {
	c.gap = plan.Period{N: 30, Unit: plan.Minute}
	for {
		x, err := p.postfix()
		if err != nil {
			return err
		}
		c.items = append(c.items, item{expr: x})
		if ok, err := p.acceptOp(","); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	if ok, err := p.acceptWord("maxspan"); err != nil {
		return err
	} else if ok {
		if _, err := p.acceptOp("="); err != nil {
			return err
		}
		if p.tok.kind != tDuration {
			return p.fail("expected a period such as 30m", "unexpected %s after maxspan", p.found())
		}
		c.gap = p.tok.period
		if err := p.advance(); err != nil {
			return err
		}
	}
	var err error
	c.into, err = p.optionalAs()
	return err
}
