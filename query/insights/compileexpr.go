package insights

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"trailward/query/plan"
)

// functionNames maps other spellings of functions to the canonical one, all in
// lower case.
var functionNames = map[string]string{"strftime": "formatdate", "lower": "tolower", "upper": "toupper", "strlength": "strlen"}

// expr compiles an expression; look decides about names.
func (c *compiler) expr(n *node, look lookup) (plan.Expr, error) {
	if e, err := look(n); err != nil || e != nil {
		return e, err
	}
	switch n.op {
	case nString:
		if n.hole {
			c.notice(n.start, "%s is a placeholder: it is compared as this text", shorten(n.text))
		}
		return plan.Lit{Kind: plan.LitText, Text: n.text}, nil
	case nNumber:
		return plan.Lit{Kind: plan.LitNumber, Text: n.text, Num: n.num}, nil
	case nCall:
		return c.call(n, look)
	case nLike:
		return c.like(n, look)
	case nInQuery:
		return c.inQuery(n, look)
	case nDuration:
		return nil, c.fail(n, "a period is an argument of bin, datefloor or dateceil", "unexpected period %s", c.src[n.start:n.end])
	case nRegex:
		return nil, c.fail(n, "a regular expression stands after like, =~ or parse", "unexpected regular expression")
	case nStar:
		return nil, c.fail(n, "only count takes *", "unexpected *")
	}
	args, err := c.exprs(n.args, look)
	if err != nil {
		return nil, err
	}
	pos := c.place(n)
	switch n.op {
	case nPath:
		return into(args[0], n.keys, pos), nil
	case nAnd:
		return plan.And{X: args}, nil
	case nOr:
		return plan.Or{X: args}, nil
	case nNot:
		return plan.Not{X: args[0]}, nil
	case nNeg:
		return plan.Neg{X: args[0], Pos: pos}, nil
	case nIn:
		c.logNotice(n, args)
		return plan.In{X: args[0], List: args[1:], Pos: pos}, nil
	default: // nBinary
		op, ok := map[string]plan.CompareOp{"=": plan.Equal, "!=": plan.NotEqual, "<": plan.Less, "<=": plan.LessEqual, ">": plan.Greater, ">=": plan.GreaterEqual}[n.text]
		if ok {
			c.logNotice(n, args)
			return plan.Compare{Op: op, L: args[0], R: args[1], Pos: pos}, nil
		}
		return plan.Arith{Op: n.text[0], L: args[0], R: args[1], Pos: pos}, nil
	}
}

// logNotice says that a comparison of @log with the name of a group alone finds
// nothing: its values have the account in front.
func (c *compiler) logNotice(n *node, args []plan.Expr) {
	log := false
	for _, a := range args {
		f, ok := a.(plan.Field)
		log = log || ok && f.Ref.Key() == "@log"
	}
	for _, a := range args {
		if l, ok := a.(plan.Lit); ok && log && l.Kind == plan.LitText && !strings.Contains(l.Text, ":") {
			c.notice(n.start, "@log is account:group, which %s is not; like finds a part of it", shorten(l.Text))
			return
		}
	}
}

func (c *compiler) exprs(ns []*node, look lookup) ([]plan.Expr, error) {
	out := make([]plan.Expr, len(ns))
	for i, n := range ns {
		var err error
		if out[i], err = c.expr(n, look); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) like(n *node, look lookup) (plan.Expr, error) {
	x, err := c.expr(n.args[0], look)
	if err != nil {
		return nil, err
	}
	pos := c.place(n)
	if r := n.args[1]; r.op == nRegex {
		re, err := c.checkRegex(r.text, r.start)
		return plan.Match{X: x, Regex: re.text, Pos: pos}, err
	}
	sub, err := c.expr(n.args[1], look)
	if l, ok := sub.(plan.Lit); ok && l.Kind == plan.LitNumber {
		sub = plan.Lit{Kind: plan.LitText, Text: l.Text}
	}
	return plan.Contains{X: x, Sub: sub, Pos: pos}, err
}

func (c *compiler) arity(n *node, f plan.Func) error {
	want := fmt.Sprintf("%d to %d arguments", f.Min, f.Max)
	switch {
	case f.Max < 0:
		want = fmt.Sprintf("at least %d arguments", f.Min)
	case f.Min == f.Max && f.Min == 1:
		want = "1 argument"
	case f.Min == f.Max:
		want = fmt.Sprintf("%d arguments", f.Min)
	}
	return c.fail(n, "expected "+want, "%s with %d", f.Name, len(n.args))
}

func (c *compiler) call(n *node, look lookup) (plan.Expr, error) {
	name := n.text
	if alias, ok := functionNames[name]; ok {
		name = alias
	}
	switch name {
	case "bin", "datefloor", "dateceil":
		return c.floor(name, n, look)
	case "unmask": // nothing here is masked
		if len(n.args) != 1 {
			return nil, c.arity(n, plan.Func{Name: "unmask", Min: 1, Max: 1})
		}
		return c.expr(n.args[0], look)
	case "now", "querystarttime", "queryendtime", "querytimerange":
		if len(n.args) != 0 {
			return nil, c.arity(n, plan.Func{Name: name})
		}
		return c.clock(name), nil
	}
	f, ok := plan.Funcs[name]
	if !ok {
		all := append(plan.Names(plan.Funcs), plan.Names(plan.Aggregates)...)
		all = append(all, "countDistinct", "countOverTime", "sumOverTime", "bin", "datefloor", "dateceil", "now", "unmask", "queryStartTime", "queryEndTime", "queryTimeRange")
		if n.text == "ago" {
			return nil, c.fail(n, "the time range of the query says since when; in a filter it is toMillis(@timestamp) >= now() * 1000 - 3600000", "unknown function ago")
		}
		return nil, c.fail(n, suggest(c.src[n.start:n.start+len(n.text)], all, "expected a function of Logs Insights QL"), "unknown function %s", n.text)
	}
	if len(n.args) < f.Min || (f.Max >= 0 && len(n.args) > f.Max) {
		return nil, c.arity(n, f)
	}
	if name == "regexreplace" {
		return c.regexReplace(n, look)
	}
	args, err := c.exprs(n.args, look)
	if err != nil {
		return nil, err
	}
	return plan.Call{Func: name, Args: args, Pos: c.place(n)}, c.checkArgs(name, n, args)
}

// checkArgs checks the arguments that must be constants.
func (c *compiler) checkArgs(name string, n *node, args []plan.Expr) error {
	constant := func(i int, hint string) (string, error) {
		l, ok := args[i].(plan.Lit)
		if !ok || l.Kind != plan.LitText {
			return "", c.fail(n.args[i], hint, "argument %d of %s must be text in quotes", i+1, plan.Funcs[name].Name)
		}
		return l.Text, nil
	}
	switch name {
	case "isipinsubnet", "isipv4insubnet", "isipv6insubnet":
		s, err := constant(1, `expected a CIDR block such as "10.0.0.0/8"`)
		if err != nil {
			return err
		}
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			return c.fail(n.args[1], `expected a CIDR block such as "10.0.0.0/8"`, "%s is no CIDR block", shorten(s))
		case name == "isipv4insubnet" && !p.Addr().Is4(), name == "isipv6insubnet" && !p.Addr().Is6():
			return c.fail(n.args[1], "isIpInSubnet takes both", "%s takes no block of the other kind", plan.Funcs[name].Name)
		}
	case "formatdate", "parsedate":
		if _, err := constant(1, `expected a format`); err != nil {
			return err
		}
		if len(args) > 2 {
			zone, err := constant(2, `expected a time zone such as "Europe/Berlin"`)
			if err != nil {
				return err
			}
			if _, err := time.LoadLocation(zone); err != nil || zone == "" || strings.EqualFold(zone, "local") {
				return c.fail(n.args[2], `expected a time zone such as "Europe/Berlin"`, "unknown time zone %s", shorten(zone))
			}
		}
	}
	return nil
}

// group finds a reference to a group in a replacement, as $1 or ${1}.
var group = regexp.MustCompile(`\$(?:(\d)|\{(\d)\})`)

func (c *compiler) regexReplace(n *node, look lookup) (plan.Expr, error) {
	x, err := c.expr(n.args[0], look)
	if err != nil {
		return nil, err
	}
	pat, rep := n.args[1], n.args[2]
	if (pat.op != nRegex && pat.op != nString) || rep.op != nString {
		return nil, c.fail(n, `expected regexReplace(field, "pattern", "replacement")`, "pattern and replacement must be constants")
	}
	re, err := c.checkRegex(pat.text, pat.start)
	if err != nil {
		return nil, err
	}
	// RE2 writes groups as \1.
	text := group.ReplaceAllString(strings.ReplaceAll(rep.text, `\`, `\\`), `\$1$2`)
	for _, m := range group.FindAllStringSubmatch(rep.text, -1) {
		if d := m[1] + m[2]; int(d[0]-'0') > len(re.groups) {
			return nil, c.fail(rep, "", "replacement names group %s, the pattern has %d", d, len(re.groups))
		}
	}
	return plan.Call{Func: "regexreplace", Pos: c.place(n),
		Args: []plan.Expr{x, plan.Lit{Kind: plan.LitText, Text: re.text}, plan.Lit{Kind: plan.LitText, Text: text}}}, nil
}

// clock compiles the functions that give the time of the query.
func (c *compiler) clock(name string) plan.Expr {
	millis := func(t time.Time) plan.Expr {
		if t.IsZero() {
			return plan.Lit{}
		}
		return number(float64(t.UnixMilli()))
	}
	switch name {
	case "now":
		return number(float64(c.opts.Now.Unix()))
	case "querystarttime":
		return millis(c.opts.Start)
	case "queryendtime":
		return millis(c.opts.End)
	}
	if c.opts.Start.IsZero() || c.opts.End.IsZero() {
		return plan.Lit{}
	}
	return number(float64(c.opts.End.UnixMilli() - c.opts.Start.UnixMilli()))
}

// floor compiles bin(5m), bin(t, 5m), datefloor(t, 1h) and dateceil(t, 1h).
func (c *compiler) floor(name string, n *node, look lookup) (plan.Expr, error) {
	f := plan.Floor{Up: name == "dateceil", Pos: c.place(n)}
	var period *node
	args := n.args
	if name == "bin" && len(args) > 1 && args[0].op == nDuration && args[1].op == nDuration { // by bin(1h) offset 30m
		f.Offset = args[1].span.Millis()
		args = args[:1]
	}
	if name == "bin" && len(args) > 2 && args[2].op == nDuration {
		f.Offset = args[2].span.Millis()
		args = args[:2]
	}
	switch {
	case name == "bin" && len(args) == 1:
		period = args[0]
	case len(args) == 2:
		period = args[1]
	}
	if period == nil || period.op != nDuration {
		want := name + "(t, 1h)"
		if name == "bin" {
			want = "bin(5m)"
		}
		return nil, c.fail(n, "expected "+want, "%s needs a period", name)
	}
	f.Period = period.span
	// Above its cap a unit is reduced to the cap, without a word from AWS.
	most := map[plan.Unit]int64{plan.Millisecond: 1000, plan.Second: 60, plan.Minute: 60, plan.Hour: 24}
	if m, ok := most[f.Period.Unit]; ok && f.Period.N > m {
		c.notice(period.start, "%s is more than the unit allows: %d of it are taken, as CloudWatch does", c.src[period.start:period.end], m)
		f.Period.N = m
	}
	var err error
	if len(args) == 2 {
		f.X, err = c.expr(args[0], look)
	} else {
		f.X, err = look(&node{op: nName, start: n.start, end: n.end, keys: []string{"@timestamp"}})
		if err != nil {
			err = c.fail(n, "give the time a name: by bin(5m) as t, then datefloor(t, 1h)", "bin needs @timestamp, which stats did not keep")
		}
	}
	return f, err
}
