package insights

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"trailward/query/plan"
)

// child compiles a subquery: over the groups and the time of the query, unless
// it says otherwise.
func (c *compiler) child(cmds []*command) (*compiler, error) {
	sub := c.newCompiler(c.scan)
	if err := sub.commands(cmds); err != nil {
		return nil, err
	}
	return sub, nil
}

// inQuery compiles f in (SOURCE … | fields f). The subquery's column is the one
// with the name of f, or the one that its last fields or display names, or its
// only one.
func (c *compiler) inQuery(n *node, look lookup) (plan.Expr, error) {
	x, err := c.expr(n.args[0], look)
	if err != nil {
		return nil, err
	}
	sub, err := c.child(n.sub)
	if err != nil {
		return nil, err
	}
	var out plan.Expr
	title := c.title(n.args[0])
	for _, o := range sub.answer() {
		if o.Name == title {
			out = o.Expr
		}
	}
	switch {
	case out != nil:
	case len(sub.last) == 1:
		out = sub.last[0].Expr
	case len(sub.answer()) == 1:
		out = sub.answer()[0].Expr
	default:
		return nil, errAt(c.src, n.sub[0].start, "end it with | fields "+title, "subquery has no column %s", shorten(title))
	}
	return plan.InQuery{X: x, Root: sub.root, Out: out, Pos: c.place(n)}, nil
}

func (c *compiler) join(cmd *command) error {
	j := cmd.join
	if len(c.scope.joined) > 0 {
		return errAt(c.src, cmd.start, "", "query has more than one join")
	}
	sub, err := c.child(cmd.sub)
	if err != nil {
		return err
	}
	left := *c.scope
	right := sub.scope
	sides := []joinedSide{{name: j.left, scope: &left}, {name: j.right, scope: right, output: sub.output()}}
	n := &plan.Join{Right: sub.root, Outer: j.outer}
	// A name without a side is one of the side that stands there.
	side := func(x *node, at int) (int, plan.Expr, error) {
		in := *x
		for i, s := range sides {
			if len(x.keys) > 1 && x.keys[0] == s.name {
				at, in.keys = i, x.keys[1:]
				break
			}
		}
		e, err := c.nameIn(sides[at].scope, &in)
		return at, e, err
	}
	for _, pair := range j.on {
		a, l, err := side(pair[0], 0)
		if err != nil {
			return err
		}
		b, r, err := side(pair[1], 1)
		if err != nil {
			return err
		}
		switch {
		case a == b:
			return c.fail(pair[0], "expected "+j.left+".field = "+j.right+".field", "both fields belong to one side")
		case a == 1:
			l, r = r, l
		}
		n.On = append(n.On, plan.Pair{L: l, R: r})
	}
	n.In = c.root
	c.root = n
	c.scope.joined = sides
	// What the subquery shows is shown, under the name of its side.
	if len(c.shown) > 0 {
		for _, o := range sub.answer() {
			c.shown = put(c.shown, j.right+"."+o.Name, o.Expr)
		}
	}
	c.limited = false
	return nil
}

func (c *compiler) appendCols(cmd *command) error {
	sub, err := c.child(cmd.sub)
	if err != nil {
		return err
	}
	have := c.output()
	c.root = &plan.Paste{In: c.root, Right: sub.root, Max: cmd.max}
	if len(c.shown) == 0 {
		c.shown = slices.Clone(have)
	}
	for _, o := range sub.output() {
		e := o.Expr
		i := slices.IndexFunc(have, func(h plan.Named) bool { return h.Name == o.Name })
		if i >= 0 {
			both := []plan.Expr{have[i].Expr, e}
			if cmd.over {
				slices.Reverse(both)
			}
			e = c.column(o.Name, plan.Call{Func: "coalesce", Args: both, Pos: placeAt(c.src, cmd.start)})
		}
		c.show(o.Name, e)
	}
	c.limited = false
	return nil
}

// lookupTable compiles lookup and cidrlookup: a join with constants. Of the rows
// of a table that agree in what is compared the first counts.
func (c *compiler) lookupTable(cmd *command) error {
	l := cmd.lookup
	table, ok := Table{}, false
	if c.opts.Lookup != nil {
		var err error
		if table, ok, err = c.opts.Lookup(l.table); err != nil {
			return errAt(c.src, l.pos, "", "%v", err)
		}
	}
	if !ok {
		c.notice(l.pos, "there is no lookup table %s, so nothing is found in it; `trailward lookup put %s FILE.csv` makes one", l.table, l.table)
	}
	place := func(p lookupPair, name string) (int, error) {
		i := slices.Index(table.Columns, name)
		if i < 0 && ok {
			return 0, errAt(c.src, p.pos, suggest(name, table.Columns, "it has "+enumerate(table.Columns)), "lookup table %s has no column %s", l.table, shorten(name))
		}
		return i, nil
	}
	var cols []int // places in the table, those to compare first
	var names []plan.Named
	add := func(i int, name string) plan.Named {
		col := plan.Named{ID: c.id(), Name: name}
		cols, names = append(cols, i), append(names, col)
		return col
	}
	n := &plan.Join{Outer: true}
	for _, m := range l.match {
		x, err := c.expr(m.field, c.lookup)
		if err != nil {
			return err
		}
		col := m.col
		if l.cidr && col == "" {
			col = c.cidrColumn(table, m)
		}
		i, err := place(m, col)
		if err != nil {
			return err
		}
		n.On = append(n.On, plan.Pair{L: c.column(c.title(m.field), x), R: plan.Col{ID: add(i, col).ID}})
	}
	var rows [][]*string
	if l.cidr {
		n.Upto = plan.Col{ID: add(-1, "").ID}
	}
	outs := make([]plan.Named, len(l.out))
	for k, o := range l.out {
		i, err := place(o, o.col)
		if err != nil {
			return err
		}
		outs[k] = add(i, o.col)
	}
	if l.cidr {
		var bad int
		if rows, bad = cidrRows(table.Rows, cols); bad > 0 {
			c.notice(l.pos, "lookup table %s has %d rows whose column %s is no CIDR block; they are left out", l.table, bad, names[0].Name)
		}
	} else {
		rows = lookupRows(table.Rows, cols, len(l.match))
	}
	n.In = c.root
	n.Right = &plan.Values{Cols: names, Rows: rows}
	c.root = n
	for k, o := range l.out {
		e := plan.Expr(plan.Col{ID: outs[k].ID})
		if l.keep {
			old, err := c.name(&node{op: nName, start: o.pos, end: o.pos, keys: strings.Split(o.alias, ".")})
			if err == nil {
				e = c.column(o.alias, plan.Call{Func: "coalesce", Args: []plan.Expr{old, e}, Pos: placeAt(c.src, o.pos)})
			}
		}
		c.show(o.alias, e)
	}
	return nil
}

// lookupRows takes the columns out of the rows of a table, one row for each
// value of the first keys columns. An empty cell has no value.
func lookupRows(table [][]string, cols []int, keys int) [][]*string {
	var out [][]*string
	seen := map[string]bool{}
	for _, r := range table {
		row := make([]*string, len(cols))
		for k, i := range cols {
			if i >= 0 && i < len(r) && r[i] != "" {
				row[k] = &r[i]
			}
		}
		key := ""
		for _, v := range row[:keys] {
			if v != nil {
				key += fmt.Sprintf("%d:%s", len(*v), *v)
			} else {
				key += "-"
			}
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, row)
		}
	}
	return out
}

// cidrColumn is the column of blocks where cidrlookup does not name it: the one
// with the name of the field, else the first whose first cell is a block.
func (c *compiler) cidrColumn(t Table, m lookupPair) string {
	name := c.title(m.field)
	if slices.Contains(t.Columns, name) || len(t.Rows) == 0 {
		return name
	}
	for i, cell := range t.Rows[0] {
		if _, err := netip.ParsePrefix(strings.TrimSpace(cell)); err == nil && i < len(t.Columns) {
			return t.Columns[i]
		}
	}
	return name
}

// cidrRows turns rows with blocks, which may lie in one another, into rows with
// ranges of addresses that do not overlap: where blocks do, the longest prefix
// counts. bad is how many rows have no block.
func cidrRows(table [][]string, cols []int) (rows [][]*string, bad int) {
	type block struct {
		prefix netip.Prefix
		row    []string
	}
	var blocks []block
	seen := map[netip.Prefix]bool{}
	for _, r := range table {
		if cols[0] < 0 || cols[0] >= len(r) {
			bad++
			continue
		}
		cell := strings.TrimSpace(r[cols[0]])
		p, err := netip.ParsePrefix(cell)
		if a, aerr := netip.ParseAddr(cell); err != nil && aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			bad++
			continue
		}
		if p = p.Masked(); !seen[p] {
			seen[p] = true
			blocks = append(blocks, block{p, r})
		}
	}
	// Outer blocks come before those inside them.
	slices.SortFunc(blocks, func(a, b block) int {
		if d := a.prefix.Addr().Compare(b.prefix.Addr()); d != 0 {
			return d
		}
		return a.prefix.Bits() - b.prefix.Bits()
	})
	emit := func(b block, lo, hi netip.Addr) {
		row := make([]*string, len(cols))
		text := func(s string) *string { return &s }
		row[0], row[1] = text(lo.String()), text(hi.String())
		for k := 2; k < len(cols); k++ {
			if i := cols[k]; i >= 0 && i < len(b.row) && b.row[i] != "" {
				row[k] = &b.row[i]
			}
		}
		rows = append(rows, row)
	}
	// open are the blocks around the present place, the outermost first; next is
	// the first address that has no range yet.
	var open []block
	var next netip.Addr
	pop := func() {
		b := open[len(open)-1]
		open = open[:len(open)-1]
		last := lastAddr(b.prefix)
		if next.IsValid() && next.Compare(last) <= 0 {
			emit(b, next, last)
			next = last.Next()
		}
	}
	for _, b := range blocks {
		for len(open) > 0 && !open[len(open)-1].prefix.Contains(b.prefix.Addr()) {
			pop()
		}
		first := b.prefix.Addr()
		if len(open) > 0 && next.IsValid() && next.Compare(first) < 0 {
			emit(open[len(open)-1], next, first.Prev())
		}
		open = append(open, b)
		next = first
	}
	for len(open) > 0 {
		pop()
	}
	return rows, bad
}

// lastAddr is the highest address of a block.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
