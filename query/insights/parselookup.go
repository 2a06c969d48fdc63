package insights

import "strings"

func (p *parser) lookup(c *command) error {
	l := &lookupCmd{cidr: c.name == "cidrlookup", pos: p.tok.start}
	c.lookup = l
	// The name of a table may have dashes in it.
	end := p.tok.start
	for end < len(p.src) && (isIdentPart(rune(p.src[end])) || p.src[end] == '-') {
		end++
	}
	if l.table = p.src[p.tok.start:end]; p.tok.kind != tIdent || l.table == "" {
		return p.fail("expected the name of a table", "unexpected %s after %s", p.found(), c.name)
	}
	p.lexer.pos, p.tok.end = end, end
	if err := p.advance(); err != nil {
		return err
	}
	column := func() (lookupPair, error) {
		pair := lookupPair{pos: p.tok.start}
		var err error
		pair.col, err = p.name("the columns")
		return pair, err
	}
	for {
		var pair lookupPair
		var err error
		if l.cidr { // cidrlookup table ipField [AS cidrColumn]
			if pair.field, err = p.postfix(); err != nil {
				return err
			}
			pair.pos = p.tok.start
			if pair.col, err = p.optionalAs(); err != nil {
				return err
			}
		} else {
			start := p.tok
			if pair, err = column(); err != nil {
				return err
			}
			pair.field = &node{op: nName, start: start.start, end: start.end, keys: start.keys, quote: start.quoted}
			if start.kind == tString {
				pair.field.keys, pair.field.quote = []string{start.text}, true
			}
			if ok, err := p.acceptWord("as"); err != nil {
				return err
			} else if ok {
				if pair.field, err = p.postfix(); err != nil {
					return err
				}
			}
		}
		l.match = append(l.match, pair)
		if ok, err := p.acceptOp(","); err != nil {
			return err
		} else if !ok {
			break
		}
		if l.cidr {
			return p.fail("expected OUTPUT", "cidrlookup compares one field")
		}
	}
	switch {
	case p.isWord("OUTPUTNEW"):
		l.keep = true
	case !p.isWord("OUTPUT"):
		return p.fail("expected OUTPUT or OUTPUTNEW and columns of the table", "unexpected %s in %s", p.found(), c.name)
	}
	if err := p.advance(); err != nil {
		return err
	}
	for {
		pair, err := column()
		if err != nil {
			return err
		}
		if pair.alias, err = p.optionalAs(); err != nil {
			return err
		}
		if pair.alias == "" {
			pair.alias = pair.col
		}
		l.out = append(l.out, pair)
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return err
		}
	}
}

// json reads json [field=F] "a.b" [as x], …
func (p *parser) json(c *command) error {
	if _, ok, err := p.option("field"); err != nil {
		return err
	} else if ok {
		if c.expr, err = p.postfix(); err != nil {
			return err
		}
	}
	for {
		if p.tok.kind != tString {
			return p.fail(`expected a path in quotes such as "a.b[0]"`, "unexpected %s in json", p.found())
		}
		keys, ok := jsonKeys(p.tok.text)
		if !ok {
			return p.fail(`expected a path such as "a.b[0]"`, "%s is no path", shorten(p.tok.text))
		}
		m := jsonMember{keys: keys, alias: p.tok.text}
		if err := p.advance(); err != nil {
			return err
		}
		as, err := p.optionalAs()
		if err != nil {
			return err
		}
		if as != "" {
			m.alias = as
		}
		c.paths = append(c.paths, m)
		if ok, err := p.acceptOp(","); err != nil {
			return err
		} else if !ok && p.tok.kind != tString {
			return nil
		}
	}
}

// jsonKeys takes a path such as $.a.b[0] apart.
func jsonKeys(path string) ([]string, bool) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "$"), ".")
	var out []string
	for _, part := range strings.Split(path, ".") {
		key, rest, _ := strings.Cut(part, "[")
		if key != "" {
			out = append(out, key)
		} else if rest == "" {
			return nil, false
		}
		for rest != "" {
			n, after, ok := strings.Cut(rest, "]")
			if !ok || n == "" || strings.Trim(n, "0123456789") != "" {
				return nil, false
			}
			out = append(out, n)
			if rest = after; rest != "" {
				if rest[0] != '[' {
					return nil, false
				}
				rest = rest[1:]
			}
		}
	}
	return out, len(out) > 0 && len(out) <= maxPath
}
