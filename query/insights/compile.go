package insights

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trailward/query/plan"
)

// compiler turns commands into a plan, one after the other. A subquery has a
// compiler of its own.
type compiler struct {
	*shared
	scan    *plan.Scan
	scope   *scope
	root    plan.Node
	records bool         // rows are records: no stats yet
	shown   []plan.Named // what fields or stats show
	display []plan.Named // what the last display shows, nil without one
	last    []plan.Named // what the last fields or display named
	added   []plan.Named // what other commands add while no fields is there
	limited bool         // a limit bounds the rows
	// written is how a column is spelt that the pipe shows without an alias, where
	// that is not its name.
	written map[string]string
	keys    map[string]bool
	bin     *binKey // of the last stats
	grouped *grouped
	// patterns is what pattern made, for diff and anomaly; nil before it.
	patterns *plan.Patterns
}

// shared is what the compilers of a query and of its subqueries share.
type shared struct {
	src     string
	opts    Options
	nextID  int
	scans   []*plan.Scan
	notices []plan.Notice
	// clustered is true behind a pattern.
	clustered bool
	estimate  bool // the query ends with estimate
}

// newCompiler makes a compiler with a scan of its own, over the groups and the
// time of like, if that is not nil.
func (sh *shared) newCompiler(like *plan.Scan) *compiler {
	scan := &plan.Scan{Start: sh.opts.Start, End: sh.opts.End}
	if like != nil {
		*scan = *like
	}
	scan.ID = len(sh.scans)
	sh.scans = append(sh.scans, scan)
	return &compiler{shared: sh, scan: scan, scope: newScope(true, scan.ID), root: scan, records: true, written: map[string]string{}}
}

func compile(src string, cmds []*command, opts Options) (*plan.Query, error) {
	c := (&shared{src: src, opts: opts}).newCompiler(nil)
	if err := c.commands(cmds); err != nil {
		return nil, err
	}
	q := &plan.Query{Output: c.asWritten(c.output()), Records: c.records, Start: c.scan.Start, End: c.scan.End, Scans: c.scans, Notices: c.notices, Estimate: c.estimate}
	if c.records {
		has := false
		for _, o := range q.Output {
			f, ok := o.Expr.(plan.Field)
			has = has || ok && f.Ref.Key() == "@ptr"
		}
		if !has {
			q.Output = append(q.Output, plan.Named{Name: "@ptr", Expr: c.system("@ptr")})
		}
	}
	if !c.limited {
		n := opts.DefaultLimit
		if n <= 0 {
			n = DefaultRows
		}
		c.root = &plan.Limit{In: c.root, N: n}
	}
	q.Root = c.root
	return q, nil
}

// commands compiles a pipe.
func (c *compiler) commands(cmds []*command) error {
	if err := c.order(cmds); err != nil {
		return err
	}
	for i, cmd := range cmds {
		if err := c.command(cmd, cmds[:i], cmds[i+1:]); err != nil {
			var u *unknownName
			if errors.As(err, &u) {
				return u.err
			}
			return err
		}
	}
	return nil
}

// output is the columns that the pipe shows.
func (c *compiler) output() []plan.Named {
	switch {
	case c.display != nil:
		return c.display
	case len(c.shown) > 0:
		return c.shown
	}
	out := []plan.Named{{Name: "@timestamp", Expr: c.system("@timestamp")}, {Name: "@message", Expr: c.system("@message")}}
	out = append(out, c.added...)
	for _, side := range c.scope.joined {
		for _, o := range side.output {
			out = append(out, plan.Named{Name: side.name + "." + o.Name, Expr: o.Expr})
		}
	}
	return out
}

// asWritten gives the columns of the answer the names under which the text speaks
// of them: tags[0] and not tags.0.
func (c *compiler) asWritten(list []plan.Named) []plan.Named {
	out := slices.Clone(list)
	for i := range out {
		if text, ok := c.written[out[i].Name]; ok {
			out[i].Name = text
		}
	}
	return out
}

// write notes how the column of an item that is shown is spelt.
func (c *compiler) write(it item, name string) {
	delete(c.written, name)
	if it.alias == "" && it.expr.op == nName {
		if text := unquoted(c.src[it.expr.start:it.expr.end]); text != name {
			c.written[name] = text
		}
	}
}

// system is one of the fields that every record has.
func (c *compiler) system(name string) plan.Expr {
	return plan.Field{Ref: plan.FieldRef{Keys: []string{name}}, Scan: c.scan.ID}
}

// order checks which commands may follow which.
func (c *compiler) order(cmds []*command) error {
	last, stats := -1, 0
	for i, cmd := range cmds {
		if cmd.name == "stats" {
			last = i
			if stats++; stats > MaxStats {
				return errAt(c.src, cmd.start, "", "query has more than %d stats commands", MaxStats)
			}
		}
	}
	for i, cmd := range cmds {
		switch cmd.name {
		case "sort", "limit":
			if i < last {
				return errAt(c.src, cmd.start, "move it behind the last stats", "%s before stats", cmd.name)
			}
		case "dedup":
			for _, next := range cmds[i+1:] {
				switch next.name {
				case "limit", "fields", "display": // the last two change no rows
				default:
					return errAt(c.src, next.start, "only limit, fields and display may follow dedup", "%s after dedup", next.name)
				}
			}
		}
	}
	return nil
}

func (c *compiler) fail(n *node, hint, format string, args ...any) *plan.Error {
	return errAt(c.src, n.start, hint, format, args...)
}

func (c *compiler) place(n *node) plan.Pos { return placeAt(c.src, n.start) }

func (c *compiler) id() int {
	c.nextID++
	return c.nextID
}

// simple reports whether an expression costs nothing to repeat and needs no
// column of its own.
func simple(e plan.Expr) bool {
	switch e.(type) {
	case plan.Field, plan.Col:
		return true
	}
	return false
}

// column makes sure that an expression is a field or a column, adding a column
// below if it is not.
func (c *compiler) column(name string, e plan.Expr) plan.Expr {
	if simple(e) {
		return e
	}
	col := plan.Named{ID: c.id(), Name: name, Expr: e}
	if ext, ok := c.root.(*plan.Extend); ok && !uses(e, ext.Cols) {
		ext.Cols = append(ext.Cols, col)
	} else {
		c.root = &plan.Extend{In: c.root, Cols: []plan.Named{col}}
	}
	return plan.Col{ID: col.ID}
}

// uses reports whether e reads one of the columns.
func uses(e plan.Expr, cols []plan.Named) bool {
	found := false
	plan.Walk(e, func(x plan.Expr) {
		if x, ok := x.(plan.Col); ok {
			for _, c := range cols {
				found = found || c.ID == x.ID
			}
		}
	})
	return found
}

// put adds a column to a list of outputs, or replaces the one of its name.
func put(list []plan.Named, name string, e plan.Expr) []plan.Named {
	for i := range list {
		if list[i].Name == name {
			list[i].Expr = e
			return list
		}
	}
	return append(list, plan.Named{Name: name, Expr: e})
}

// command compiles one command of a pipe, of which before and after are the
// rest.
func (c *compiler) command(cmd *command, before, after []*command) error {
	switch cmd.name {
	case "source":
		c.source(cmd.src)
	case "fields", "display":
		c.last = nil
		if len(c.shown) == 0 {
			c.shown, c.added = c.added, nil
		}
		list := c.shown
		if cmd.name == "display" {
			list = nil
		}
		for _, it := range cmd.items {
			e, err := c.expr(it.expr, c.lookup)
			if err != nil {
				return err
			}
			name := it.alias
			if name == "" {
				name = c.title(it.expr)
			}
			e = c.column(name, e)
			if it.alias != "" || !c.scope.open {
				c.scope.bind(name, e)
				if it.alias == "" && it.expr.op != nName {
					c.scope.norm[c.normal(it.expr)] = name
				}
			}
			list = put(list, name, e)
			c.last = put(c.last, name, e)
			c.write(it, name)
		}
		if cmd.name == "display" {
			c.display = list
		} else {
			c.shown = list
		}
	case "filter":
		return c.filter(cmd)
	case "stats":
		return c.stats(cmd)
	case "sort":
		return c.sort(cmd)
	case "limit":
		if cmd.hole > 0 {
			c.notice(cmd.hole-1, "a placeholder stands for the number of rows: %d are given", cmd.n)
		}
		c.root = &plan.Limit{In: c.root, N: cmd.n, Any: cmd.any}
		c.limited = true
	case "dedup":
		return c.dedup(cmd)
	case "parse":
		return c.parse(cmd.parse)
	case "unnest":
		e, err := c.expr(cmd.expr, c.lookup)
		if err != nil {
			return err
		}
		col := plan.Named{ID: c.id(), Name: cmd.into, Expr: e}
		c.root = &plan.Unnest{In: c.root, Col: col}
		c.scope.bind(cmd.into, plan.Col{ID: col.ID})
		for i := range c.shown { // expand puts the elements where the list was
			if c.shown[i].Name == cmd.into {
				c.shown[i].Expr = plan.Col{ID: col.ID}
			}
		}
		c.limited = false // there may be more rows again
	default:
		return c.further(cmd, before, after)
	}
	return nil
}

// filter compiles a filter. Behind stats it is over the columns of stats. One
// that names none of them but fields of the records is published by AWS more than
// once; CloudWatch runs it, and what it can mean is the records before stats. A
// comparison by order is none of these: there a name is misspelt.
func (c *compiler) filter(cmd *command) error {
	e, err := c.expr(cmd.cond, c.lookup)
	var u *unknownName
	if errors.As(err, &u) && c.grouped != nil && !c.limited && !strings.HasPrefix(u.err.Hint, "did you mean") && !staysBehind(cmd.cond) {
		e, early := c.expr(cmd.cond, c.beforeStats)
		if early != nil {
			return err
		}
		c.grouped.agg.In = &plan.Filter{In: c.grouped.agg.In, Cond: e}
		c.notice(cmd.start, "this filter names what stats did not keep: it is applied to the records before stats")
		return nil
	}
	if err != nil {
		return err
	}
	c.root = &plan.Filter{In: c.root, Cond: e}
	return nil
}

// staysBehind says whether a filter is no condition on the records before stats:
// it compares by order, as a condition on what stats counted does, or asks a
// subquery, which is not compiled twice.
func staysBehind(n *node) bool {
	if n.op == nInQuery || n.op == nBinary && (n.text[0] == '<' || n.text[0] == '>') {
		return true
	}
	return slices.ContainsFunc(n.args, staysBehind)
}

// grouped is the last stats of a pipe: what names meant before it, and its keys.
type grouped struct {
	agg   *plan.Aggregate
	scope *scope
}

// beforeStats is the lookup of a filter that is applied before the last stats.
// An aggregate has no meaning there; a key has its own.
func (c *compiler) beforeStats(n *node) (plan.Expr, error) {
	if n.op == nCall || n.op == nBinary {
		if _, ok := c.scope.norm[c.normal(n)]; ok || isAggregate(n.text) {
			return nil, c.fail(n, "", "%s stands behind stats", shorten(c.title(n)))
		}
		return nil, nil
	}
	if n.op != nName {
		return nil, nil
	}
	if _, ok := c.scope.find(n.keys, c.place(n)); ok {
		for _, k := range c.grouped.agg.Keys {
			if k.Name == strings.Join(n.keys, ".") {
				return k.Expr, nil
			}
		}
		return nil, c.fail(n, "", "%s stands behind stats", shorten(c.title(n)))
	}
	return c.nameIn(c.grouped.scope, n)
}

// source compiles a SOURCE clause.
func (c *compiler) source(s *source) {
	c.scan.Groups, c.scan.Kinds, c.scan.Accounts, c.scan.None = s.groups, s.kinds, s.accounts, s.none
	if s.start.set {
		c.scan.Start = s.start.time(c.opts.Now)
	}
	if s.end.set {
		c.scan.End = s.end.time(c.opts.Now)
	}
	for _, n := range s.notices {
		c.notice(n.pos, "%s", n.msg)
	}
}

// notice says something about a place in the text.
func (c *compiler) notice(pos int, format string, args ...any) {
	c.notices = append(c.notices, plan.Notice{Pos: placeAt(c.src, pos), Msg: fmt.Sprintf(format, args...)})
}

func (c *compiler) sort(cmd *command) error {
	var keys []plan.SortKey
	for _, k := range cmd.keys {
		e, err := c.expr(k.expr, c.lookup)
		var u *unknownName
		if errors.As(err, &u) && k.expr.op == nName {
			// CloudWatch runs such queries, and published ones have it.
			c.notice(k.expr.start, "sort by %s has no effect: %s", shorten(c.title(k.expr)), u.err.Hint)
			continue
		}
		if err != nil {
			return err
		}
		name := k.alias
		if name == "" {
			name = c.title(k.expr)
		}
		e = c.column(name, e)
		if k.alias != "" {
			c.scope.bind(k.alias, e)
		}
		keys = append(keys, plan.SortKey{Expr: e, Desc: k.desc})
	}
	if len(keys) > 0 {
		c.root = &plan.Sort{In: c.root, Keys: keys}
	}
	return nil
}

func (c *compiler) dedup(cmd *command) error {
	var keys []plan.Expr
	var at []plan.Pos
	for _, it := range cmd.items {
		if it.alias != "" {
			return errAt(c.src, it.pos, "", "dedup takes no aliases")
		}
		e, err := c.expr(it.expr, c.lookup)
		if err != nil {
			return err
		}
		keys = append(keys, c.column(c.title(it.expr), e))
		at = append(at, c.place(it.expr))
	}
	c.root = &plan.Dedup{In: c.root, Keys: keys, At: at}
	return nil
}

func (c *compiler) parse(p *parseCmd) error {
	x := c.system("@message")
	if p.field != nil {
		var err error
		if x, err = c.expr(p.field, c.lookup); err != nil {
			return err
		}
		x = c.column(c.title(p.field), x)
	}
	switch p.mode {
	case parseLogfmt, parseCSV:
		return c.parseFormat(p, x)
	}
	var re regex
	var err error
	type name struct {
		text  string
		group int
	}
	var names []name
	glob := ""
	if p.mode == parseGlob {
		glob = p.text
		expr, stars := globRegex(p.text)
		if stars != len(p.names) {
			return errAt(c.src, p.pos, "each * needs a name in the as list", "pattern has %d stars and %d names", stars, len(p.names))
		}
		if stars == 0 {
			return errAt(c.src, p.pos, "expected a * for each field", "pattern has no star")
		}
		if re, err = c.checkRegex(expr, p.pos); err != nil {
			return err
		}
		for i, n := range p.names {
			names = append(names, name{n.alias, i + 1})
		}
	} else {
		if re, err = c.checkRegex(p.text, p.pos); err != nil {
			return err
		}
		var unnamed []int
		for i, g := range re.groups {
			if g != "" {
				names = append(names, name{g, i + 1})
			} else {
				unnamed = append(unnamed, i+1)
			}
		}
		switch {
		case len(p.names) > 0 && len(p.names) == len(re.groups): // the list names every group
			names = nil
			for i, n := range p.names {
				names = append(names, name{n.alias, i + 1})
			}
		case len(p.names) > 0 && len(p.names) == len(unnamed):
			for i, n := range p.names {
				names = append(names, name{n.alias, unnamed[i]})
			}
		case len(p.names) > 0:
			return errAt(c.src, p.pos, "each group needs a name, inside it or in the as list", "expression has %d groups and %d names", len(re.groups), len(p.names))
		}
		if len(names) == 0 {
			return errAt(c.src, p.pos, `expected a group with a name, such as (?<user>\S+)`, "expression has no named group")
		}
	}
	if p.multi {
		n := &plan.ExtractAll{In: c.root, X: x, Regex: re.text}
		for _, nm := range names {
			g := plan.Group{ID: c.id(), Name: nm.text, Group: nm.group}
			n.Groups = append(n.Groups, g)
			c.scope.bind(nm.text, plan.Col{ID: g.ID})
		}
		c.root = n
		c.limited = false
		return nil
	}
	var cols []plan.Named
	for _, nm := range names {
		cols = append(cols, plan.Named{ID: c.id(), Name: nm.text, Expr: plan.Capture{X: x, Regex: re.text, Group: nm.group, Glob: glob, Pos: placeAt(c.src, p.pos)}})
	}
	c.extend(cols)
	return nil
}

// parseFormat compiles parse … logfmt and parse … csv.
func (c *compiler) parseFormat(p *parseCmd, x plan.Expr) error {
	word := "csv"
	if p.mode == parseLogfmt {
		word = "logfmt"
	}
	if p.multi {
		return errAt(c.src, p.pos, "multi goes with a regular expression", "multi after %s", word)
	}
	if len(p.names) == 0 || (word == "logfmt" && len(p.names) != 1) {
		return errAt(c.src, p.pos, "expected parse field logfmt as map, or parse field csv as a, b, …", "%s needs names after as", word)
	}
	var cols []plan.Named
	for i, n := range p.names {
		call := plan.Call{Func: word, Args: []plan.Expr{x}, Pos: placeAt(c.src, p.pos)}
		if word == "csv" {
			call.Args = append(call.Args, number(float64(i+1)))
		}
		cols = append(cols, plan.Named{ID: c.id(), Name: n.alias, Expr: call})
	}
	c.extend(cols)
	return nil
}

// extend adds columns under names that later commands see.
func (c *compiler) extend(cols []plan.Named) {
	c.root = &plan.Extend{In: c.root, Cols: cols}
	for _, col := range cols {
		c.scope.bind(col.Name, plan.Col{ID: col.ID})
	}
}

func number(f float64) plan.Lit {
	return plan.Lit{Kind: plan.LitNumber, Text: plan.FormatNumber(f), Num: f}
}
