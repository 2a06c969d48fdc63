package insights

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// commands are those that this package compiles.
var commands = []string{"accum", "addtotals", "anomaly", "appendcols", "autoregress", "cidrlookup", "count_frequent", "countFrequent", "dedup", "diff", "display", "estimate", "expand", "fields",
	"filldown", "fillmissing", "filter", "filterIndex", "head", "join", "json", "limit", "logcompare", "lookup", "outlier", "parse", "pattern", "relevantfields", "sessionize", "sort", "stats", "tail",
	"unmask", "unnest", "where"}

// parseQuery reads the commands of a query.
func parseQuery(text string) ([]*command, error) {
	if !utf8.ValidString(text) {
		off := 0
		for off < len(text) {
			r, n := utf8.DecodeRuneInString(text[off:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			off += n
		}
		return nil, errAt(text, off, "", "query is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(text); n > MaxText {
		return nil, errAt(text, 0, "", "query has %d characters, the limit is %d", n, MaxText)
	}
	p := &parser{lexer: lexer{src: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.pipe("")
}

// pipe reads commands up to the end of the text, or to the closing operator,
// which stays.
func (p *parser) pipe(closing string) ([]*command, error) {
	var cmds []*command
	end := func() bool { return p.tok.kind == tEOF || closing != "" && p.isOp(closing) }
	if p.isWord("SOURCE") {
		c, err := p.source()
		if err != nil {
			return nil, err
		}
		cmds = append(cmds, c)
		if end() {
			return cmds, nil
		}
	}
	// A pipe before the first command is common where queries are put together.
	if _, err := p.acceptOp("|"); err != nil {
		return nil, err
	}
	for !end() {
		if p.commands++; p.commands > MaxCommands {
			return nil, p.fail("", "query has more than %d commands", MaxCommands)
		}
		c, err := p.command()
		if err != nil {
			return nil, err
		}
		cmds = append(cmds, c)
		if end() {
			break
		}
		if !p.isOp("|") {
			return nil, p.fail(p.afterCommand(c), "unexpected %s after %s", p.found(), c.name)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if end() {
			return nil, p.fail("expected a command", "query ends with |")
		}
	}
	return cmds, nil
}

// meant are words of other languages, and how this one says it.
var meant = map[string]string{
	"contains": `text is looked for by like "text"`, "is": "isPresent(field) and not isPresent(field) ask whether a field has a value", "between": "write a >= 1 and a <= 5",
	"descending": "did you mean desc?", "ascending": "did you mean asc?", "group": "write by, without group", "having": "a filter behind stats chooses among its rows",
	"matches": "regular expressions are matched by like /…/", "regexp": "regular expressions are matched by like /…/", "rlike": "regular expressions are matched by like /…/", "ilike": "without case: like /(?i)text/",
	"order": "the command is sort", "startswith": "write startsWith(field, \"text\")", "endswith": "write endsWith(field, \"text\")", ")": "there is no ( that it closes",
}

// afterCommand is the hint about what stands behind a command and is no pipe.
func (p *parser) afterCommand(c *command) string {
	word := strings.ToLower(p.tok.text)
	if h := meant[word]; h != "" && !p.tok.quoted && p.tok.kind != tString {
		return h
	}
	switch {
	case p.tok.kind == tIdent && isCommand(p.tok.text):
		return "expected | before it; a text holds one query, so several are sent one by one"
	case p.tok.kind == tIdent && (len(c.items) > 0 || len(c.keys) > 0):
		return "expected a comma, | or the end of the query"
	}
	return "expected | or the end of the query"
}

// isCommand reports whether a word is the name of a command.
func isCommand(w string) bool {
	return slices.ContainsFunc(commands, func(c string) bool { return strings.EqualFold(c, w) })
}

// command reads one command and its arguments.
func (p *parser) command() (*command, error) {
	if p.tok.kind != tIdent || p.tok.quoted {
		hint := "expected a command such as fields, filter or stats"
		if p.isOp("|") {
			hint = "one | stands between two commands; conditions are joined by and, or"
		}
		return nil, p.fail(hint, "unexpected %s", p.found())
	}
	back := *p
	c := &command{name: strings.ToLower(p.tok.text), start: p.tok.start}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var err error
	switch c.name {
	case "fields", "display", "unmask":
		if c.name == "unmask" { // shows a field as it is: nothing here is masked
			c.name = "fields"
		}
		c.items, err = p.items(c.name)
	case "dedup":
		c.items, err = p.items(c.name)
	case "filter", "where", "filterindex":
		c.name = "filter"
		c.cond, err = p.expr()
	case "stats":
		err = p.stats(c)
	case "sort":
		err = p.sort(c)
	case "limit", "head":
		c.name = "limit"
		err = p.limit(c)
	case "parse":
		c.parse, err = p.parseCommand()
	case "unnest":
		if c.expr, err = p.postfix(); err != nil {
			break
		}
		if !p.isWord("into") {
			return nil, p.fail("expected into and a name", "unexpected %s in unnest", p.found())
		}
		if err = p.advance(); err == nil {
			c.into, err = p.name("into")
		}
	case "expand":
		if c.expr, err = p.postfix(); err == nil {
			if c.expr.op != nName {
				return nil, errAt(p.src, c.expr.start, "expected a field", "expand works on a field in place")
			}
			c.name, c.into = "unnest", strings.Join(c.expr.keys, ".")
		}
	case "source":
		return nil, errAt(p.src, c.start, "", "SOURCE comes before the first command")
	default:
		if ok, err := p.further(c); ok || err != nil {
			return c, err
		}
		if p.isOp("(") && isAggregate(c.name) { // "| count(*) as n by x", with stats left out
			*p = back
			c.name = "stats"
			err = p.stats(c)
			break
		}
		hint := suggest(back.tok.text, commands, "expected a command such as fields, filter or stats")
		if c.name == "select" || c.name == "with" && p.tok.kind == tIdent {
			hint = "this looks like SQL, which has a command and an address of its own: trailward sql, POST /v1/sql"
		}
		return nil, errAt(p.src, c.start, hint,
			"unknown command %s", shorten(back.tok.text))
	}
	return c, err
}

// name reads a name that is being given.
func (p *parser) name(after string) (string, error) {
	var s string
	switch p.tok.kind {
	case tIdent:
		s = strings.Join(p.tok.keys, ".")
	case tString:
		s = p.tok.text
	}
	if s == "" {
		return "", p.fail("expected a name", "unexpected %s after %s", p.found(), after)
	}
	return s, p.advance()
}

// alias reads "as name" if it is next.
func (p *parser) alias(it *item) error {
	ok, err := p.acceptWord("as")
	if err != nil || !ok {
		return err
	}
	it.pos = p.tok.start
	it.alias, err = p.name("as")
	return err
}

// items reads expressions with optional names.
func (p *parser) items(where string) ([]item, error) {
	var out []item
	for {
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		it := item{expr: x}
		if where == "by" && x.op == nCall && x.text == "bin" && p.isWord("offset") {
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.tok.kind != tDuration {
				return nil, p.fail("expected a period such as 1h", "unexpected %s after offset", p.found())
			}
			d, err := p.primary()
			if err != nil {
				return nil, err
			}
			x.args = append(x.args, d)
			x.end = p.last
		}
		if err := p.alias(&it); err != nil {
			return nil, err
		}
		out = append(out, it)
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return out, err
		}
	}
}

func (p *parser) stats(c *command) (err error) {
	if p.isWord("by") {
		return p.fail("expected a function such as count(*) before by", "stats without an aggregate")
	}
	if c.items, err = p.items("stats"); err != nil {
		return err
	}
	ok, err := p.acceptWord("by")
	if err != nil || !ok {
		return err
	}
	c.by, err = p.items("by")
	return err
}

func (p *parser) sort(c *command) error {
	if p.isWord("by") { // "sort by x", unless there is a field of that name
		back := *p
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.kind == tEOF || p.isOp("|") || p.isOp(",") || p.isWord("asc") || p.isWord("desc") {
			*p = back
		}
	}
	for {
		x, err := p.expr()
		if err != nil {
			return err
		}
		k := sortItem{item: item{expr: x}}
		if err := p.alias(&k.item); err != nil {
			return err
		}
		switch {
		case p.isWord("asc"):
			err = p.advance()
		case p.isWord("desc"):
			k.desc = true
			err = p.advance()
		}
		if err != nil {
			return err
		}
		c.keys = append(c.keys, k)
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return err
		}
	}
}

func (p *parser) limit(c *command) (err error) {
	if c.any, err = p.acceptWord("any"); err != nil {
		return err
	}
	if n := placeholder(p.src[p.tok.start:]); n > 0 {
		c.hole = p.tok.start + 1
		p.lexer.pos = p.tok.start + n
		p.tok.end = p.lexer.pos
		c.n = DefaultRows
		return p.advance()
	}
	if p.tok.kind != tNumber || p.tok.num != float64(int64(p.tok.num)) || p.tok.num < 1 || p.tok.num > MaxRows {
		return p.fail("expected a whole number from 1 to 100000", "unexpected %s after limit", p.found())
	}
	c.n = int64(p.tok.num)
	return p.advance()
}

// parseCommand reads the arguments of parse.
func (p *parser) parseCommand() (*parseCmd, error) {
	c := &parseCmd{pos: p.tok.start}
	mode := func() (ok bool, err error) {
		c.pos = p.tok.start
		switch {
		case p.tok.kind == tString:
			c.mode, c.text = parseGlob, p.tok.text
		case p.isOp("/"):
			re, err := p.lexer.regex(p.tok.start)
			if err != nil {
				return false, err
			}
			c.mode, c.text = parseRegex, re.text
			p.tok = re
		case p.isWord("logfmt"):
			c.mode = parseLogfmt
		case p.isWord("csv"):
			c.mode = parseCSV
		default:
			return false, nil
		}
		return true, p.advance()
	}
	back := *p
	ok, err := mode()
	if err != nil {
		return nil, err
	}
	if ok && (c.mode == parseLogfmt || c.mode == parseCSV) && !p.isWord("as") {
		*p, ok = back, false // a field of that name
	}
	if !ok {
		if c.field, err = p.postfix(); err != nil {
			return nil, err
		}
		if ok, err = mode(); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, p.fail(`expected a pattern such as "user=*" or /user=(?<user>\S+)/`, "unexpected %s in parse", p.found())
	}
	if c.multi, err = p.acceptWord("multi"); err != nil {
		return nil, err
	}
	if as, err := p.acceptWord("as"); err != nil || !as {
		return c, err
	}
	for {
		it := item{pos: p.tok.start}
		if it.alias, err = p.name("as"); err != nil {
			return nil, err
		}
		c.names = append(c.names, it)
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return c, err
		}
	}
}

// strings reads string literals between commas, at least one.
func (p *parser) strings() ([]string, error) {
	var out []string
	for {
		if p.tok.kind != tString || p.tok.text == "" {
			return nil, p.fail("expected a name in quotes", "unexpected %s", p.found())
		}
		out = append(out, p.tok.text)
		if err := p.advance(); err != nil {
			return nil, err
		}
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return out, err
		}
	}
}
