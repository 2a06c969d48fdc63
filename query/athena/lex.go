package athena

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"trailward/query/plan"
)

// The lexer pass before DuckDB's parser. It changes spelling only, never
// meaning: what Athena's users write and DuckDB's grammar has no place for.
//
//   - `name` becomes "name";
//   - the placeholders in which published CloudTrail Lake queries name their
//     table ($EDS_ID, <event-data-store-id>, a bare UUID) become quoted names;
//   - if(c, a) becomes trino_if(c, a), since DuckDB's IF wants three arguments;
//   - the types ARRAY(t), ROW(t, …) and MAP(k, v) take DuckDB's spelling;
//   - listagg(x, s) WITHIN GROUP (ORDER BY y) becomes listagg(x, s ORDER BY y);
//   - DECIMAL without digits becomes DECIMAL(38, 0), which Trino means by it;
//   - a name that is given without AS and that DuckDB's parser has as a keyword
//     (count(*) names, eventname type) is put into quotes;
//   - the database default, and the name at, are put into quotes;
//   - VALUES 1, ROW(2) becomes VALUES (1), (2);
//   - JSON '"x"', of which DuckDB's parser makes CAST('"x"' AS JSON), which is a
//     string in Trino, becomes json_parse('"x"');
//   - AS varchar(2)) and AS char(2)), of which DuckDB's parser forgets the length,
//     become the name of a type, "varchar(2)";
//   - X'6869', which DuckDB's parser reads as text, becomes from_hex('6869');
//   - first_value(x) IGNORE NULLS OVER becomes first_value(x IGNORE NULLS) OVER.
//
// Nothing that is refused later depends on this pass: the guard judges the
// tree that DuckDB's own parser makes of its result.

type tokenKind uint8

const (
	tokWord   tokenKind = iota // a name or keyword without quotes
	tokQuoted                  // "name"
	tokTick                    // `name`
	tokString                  // '…', with its prefix if any
	tokNumber
	tokPunct // one character
)

type token struct {
	kind       tokenKind
	start, end int // bytes in the text
}

// edit replaces text[start:end].
type edit struct {
	start, end int
	with       string
}

// source is a query's text before and after the lexer pass.
type source struct {
	text   string // as the user wrote it
	sql    string // what DuckDB parses
	edits  []edit // in order, over text
	starts []int  // where each edit's replacement begins in sql
}

// newSource runs the pass.
func newSource(text string) (*source, error) {
	s := &source{text: text}
	toks, err := s.tokens()
	if err != nil {
		return nil, err
	}
	for i := 2; i < len(toks); i++ {
		if u, and := toks[i-2], toks[i-1]; toks[i].kind == tokString && strings.EqualFold(text[u.start:and.end], "U&") && and.end == toks[i].start {
			l, c := position(text, u.start)
			return nil, &plan.Error{Line: l, Col: c, Msg: "U&'…' is not supported", Hint: "write the characters themselves, or chr(…)"}
		}
	}
	for _, k := range toks {
		if k.kind != tokString {
			continue
		}
		l, c := position(text, k.start)
		switch text[k.start] {
		case '\'', 'e', 'E':
		case 'x', 'X':
			if _, ok := hexDigits(text[k.start:k.end]); !ok {
				return nil, &plan.Error{Line: l, Col: c, Msg: "the binary literal is not understood", Hint: "expected an even number of hexadecimal digits: X'6869'"}
			}
		default: // DuckDB's parser has some more, of which it makes text
			return nil, &plan.Error{Line: l, Col: c, Msg: text[k.start:k.start+1] + "'…' is no literal", Hint: "binary data is written X'6869'"}
		}
	}
	s.edits = rewriteTokens(text, toks)
	var b strings.Builder
	at := 0
	for _, e := range s.edits {
		b.WriteString(text[at:e.start])
		s.starts = append(s.starts, b.Len())
		b.WriteString(e.with)
		at = e.end
	}
	b.WriteString(text[at:])
	s.sql = b.String()
	return s, nil
}

// original turns an offset in s.sql into one in s.text.
func (s *source) original(off int) int {
	shift := 0
	for i, e := range s.edits {
		if off < s.starts[i] {
			break
		}
		if off < s.starts[i]+len(e.with) {
			return e.start
		}
		shift += (e.end - e.start) - len(e.with)
	}
	return off + shift
}

// fault makes an error at a byte offset of s.sql; a negative offset leaves
// the place out.
func (s *source) fault(off int, msg, hint string) *plan.Error {
	e := &plan.Error{Msg: msg, Hint: hint}
	if off < 0 || off > len(s.sql) {
		return e
	}
	e.Line, e.Col = position(s.text, s.original(off))
	return e
}

// position gives the line and column, in characters from 1, of a byte offset.
func position(text string, off int) (line, col int) {
	if off > len(text) {
		off = len(text)
	}
	before := text[:off]
	line = 1 + strings.Count(before, "\n")
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return line, 1 + utf8.RuneCountInString(before)
}

func wordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordPart(c byte) bool { return wordStart(c) || digit(c) || c == '$' }

// tokens takes s.text apart; white space and comments are left out. The error
// is a *plan.Error.
func (s *source) tokens() ([]token, error) {
	t := s.text
	at := func(off int, msg, hint string) error {
		l, c := position(t, off)
		return &plan.Error{Line: l, Col: c, Msg: msg, Hint: hint}
	}
	var toks []token
	for i := 0; i < len(t); {
		c := t[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
			continue
		case strings.HasPrefix(t[i:], "--"):
			n := strings.IndexByte(t[i:], '\n')
			if n < 0 {
				n = len(t) - i
			}
			i += n
			continue
		case strings.HasPrefix(t[i:], "/*"):
			depth := 1
			for i += 2; depth > 0; {
				if i >= len(t) {
					return nil, at(start, "comment without an end", "expected */")
				}
				switch {
				case strings.HasPrefix(t[i:], "/*"):
					depth++
					i += 2
				case strings.HasPrefix(t[i:], "*/"):
					depth--
					i += 2
				default:
					i++
				}
			}
			continue
		case c == '\'':
			// E'…' is the only spelling in which a backslash escapes; its prefix
			// is the word that ends just here.
			escapes := false
			if n := len(toks); n > 0 && toks[n-1].kind == tokWord && toks[n-1].end == i {
				if w := t[toks[n-1].start:i]; len(w) == 1 {
					escapes = w == "e" || w == "E"
					start = toks[n-1].start
					toks = toks[:n-1]
				}
			}
			i++
			for {
				if i >= len(t) {
					return nil, at(start, "string without an end", "expected '")
				}
				if t[i] == '\\' && escapes && i+1 < len(t) {
					i += 2
					continue
				}
				if t[i] == '\'' {
					if i+1 < len(t) && t[i+1] == '\'' {
						i += 2
						continue
					}
					i++
					break
				}
				i++
			}
			toks = append(toks, token{tokString, start, i})
		case c == '"' || c == '`':
			kind := tokQuoted
			if c == '`' {
				kind = tokTick
			}
			i++
			for {
				if i >= len(t) {
					return nil, at(start, "quoted name without an end", "expected "+string(c))
				}
				if t[i] == c {
					if i+1 < len(t) && t[i+1] == c {
						i += 2
						continue
					}
					i++
					break
				}
				i++
			}
			if i-start == 2 {
				return nil, at(start, "empty quoted name", "")
			}
			toks = append(toks, token{kind, start, i})
		case wordStart(c):
			for i < len(t) && wordPart(t[i]) {
				i++
			}
			toks = append(toks, token{tokWord, start, i})
		case digit(c):
			for i < len(t) && (wordPart(t[i]) || t[i] == '.') {
				i++
			}
			toks = append(toks, token{tokNumber, start, i})
		default:
			i++
			toks = append(toks, token{tokPunct, start, i})
		}
	}
	return toks, nil
}

// rewriteTokens finds the edits, in order and without overlap.
func rewriteTokens(t string, toks []token) []edit {
	is := func(i int, words ...string) bool {
		if i < 0 || i >= len(toks) || toks[i].kind != tokWord {
			return false
		}
		for _, w := range words {
			if strings.EqualFold(t[toks[i].start:toks[i].end], w) {
				return true
			}
		}
		return false
	}
	punct := func(i int, c byte) bool {
		return i >= 0 && i < len(toks) && toks[i].kind == tokPunct && t[toks[i].start] == c
	}
	var out, within []edit       // within: of WITHIN GROUP, each at its place
	brackets := map[int]string{} // to be put before a token, for VALUES
	for i := 0; i < len(toks); i++ {
		k := toks[i]
		if b := brackets[i]; b == "\x00" {
			out = append(out, edit{k.start, k.end, ""})
			continue
		} else if b != "" {
			out = append(out, edit{k.start, k.start, b})
		}
		switch {
		case is(i, "values") && (i == 0 || punct(i-1, '(') || punct(i-1, ')') || punct(i-1, ';') || is(i-1, "union", "except", "intersect", "all", "distinct")) &&
			!punct(i+1, '.') && !punct(i+1, ',') && !punct(i+1, ')'):
			for _, row := range valuesRows(t, toks, i+1) {
				switch first, last := row[0], row[1]; {
				case punct(first, '(') && closing(t, toks, first) == last-1:
				case is(first, "row") && punct(first+1, '(') && closing(t, toks, first+1) == last-1:
					brackets[first] = "\x00" // the word goes
				default:
					brackets[first] += "("
					brackets[last] += ")"
				}
			}
		case is(i, "json") && i+1 < len(toks) && toks[i+1].kind == tokString && t[toks[i+1].start] == '\'' && !punct(i-1, '.') && !is(i-1, "from", "join"):
			out = append(out, edit{k.start, toks[i+1].end, "json_parse(" + t[toks[i+1].start:toks[i+1].end] + ")"})
			i++
		case k.kind == tokString && strings.IndexByte("xX", t[k.start]) >= 0:
			digits, _ := hexDigits(t[k.start:k.end])
			out = append(out, edit{k.start, k.end, "from_hex('" + digits + "')"})
		case k.kind == tokTick:
			name := strings.ReplaceAll(t[k.start+1:k.end-1], "``", "`")
			out = append(out, edit{k.start, k.end, quoteIdent(name)})
		case is(i, bareNames...) && (i+1 == len(toks) || punct(i+1, ',') || punct(i+1, ')') || punct(i+1, ';') || is(i+1, "from")) &&
			(punct(i-1, ')') || punct(i-1, ']') || i > 0 && (toks[i-1].kind == tokQuoted || toks[i-1].kind == tokTick || toks[i-1].kind == tokWord && !is(i-1, beforeNames...))):
			out = append(out, edit{k.start, k.end, quoteIdent(t[k.start:k.end])})
		case is(i, "default") && punct(i+1, '.'):
			out = append(out, edit{k.start, k.end, quoteIdent("default")})
		case is(i, "at") && !(is(i+1, "time") && is(i+2, "zone")):
			out = append(out, edit{k.start, k.end, quoteIdent(t[k.start:k.end])})
		case is(i, "decimal") && i+1 < len(toks) && toks[i+1].kind == tokString && toks[i+1].end-toks[i+1].start < 64:
			// Without a scale DuckDB takes three digits.
			number := t[toks[i+1].start:toks[i+1].end]
			_, fraction, _ := strings.Cut(strings.Trim(number, "' "), ".")
			out = append(out, edit{k.start, k.end, "CAST("}, edit{toks[i+1].end, toks[i+1].end, " AS decimal(38, " + strconv.Itoa(min(len(fraction), 38)) + "))"})
			i++
		case is(i, "decimal") && !punct(i+1, '(') && (is(i-1, "as") || punct(i+1, ',') || punct(i+1, ')')) && !punct(i-1, '.'):
			out = append(out, edit{k.start, k.end, "decimal(38, 0)"})
		case is(i, "listagg", "string_agg", "array_agg") && punct(i+1, '('):
			if end := closing(t, toks, i+1); is(end+1, "within") && is(end+2, "group") && punct(end+3, '(') {
				within = append(within, edit{toks[end].start, toks[end+3].end, " "})
			}
		case is(i, "from", "join"):
			if n, end := placeholder(t, toks, i+1); n > 0 {
				start := toks[i+1].start
				out = append(out, edit{start, end, quoteIdent(t[start:end])})
				i += n
			}
		case is(i, "if") && punct(i+1, '(') && !punct(i-1, '.'):
			out = append(out, edit{k.start, k.end, "trino_if"})
		case is(i, "as") && is(i+1, "varchar", "char") && punct(i+2, '(') && i+5 < len(toks) && toks[i+3].kind == tokNumber && punct(i+4, ')') && punct(i+5, ')'):
			name := strings.ToLower(t[toks[i+1].start:toks[i+1].end]) + "(" + t[toks[i+3].start:toks[i+3].end] + ")"
			out = append(out, edit{toks[i+1].start, toks[i+4].end, quoteIdent(name)})
			i += 4
		case is(i, "as") && is(i+1, "array", "row", "map"):
			if text, n := trinoType(t, toks, i+1, 0); n > 0 && punct(i+1+n, ')') {
				out = append(out, edit{toks[i+1].start, toks[i+n].end, text})
				i += n
			}
		case len(within) > 0 && k.start == within[0].start:
			out = append(out, within[0])
			within = within[1:]
			i += 3
		case punct(i, ')') && is(i+1, "ignore") && is(i+2, "nulls") && is(i+3, "over"):
			out = append(out, edit{k.start, toks[i+2].end, " IGNORE NULLS)"})
			i += 2
		}
	}
	if b := brackets[len(toks)]; b != "" {
		out = append(out, edit{len(t), len(t), b})
	}
	return out
}

// hexDigits are the digits of X'65 68', which may have blanks between them.
func hexDigits(literal string) (digits string, ok bool) {
	digits = strings.Join(strings.Fields(literal[2:len(literal)-1]), "")
	_, err := hex.DecodeString(digits)
	return digits, err == nil
}

// valuesRows are the rows of the list that begins at token i, each from its first
// token to the one behind its last.
func valuesRows(t string, toks []token, i int) [][2]int {
	var out [][2]int
	open, first := 0, i
	for ; ; i++ {
		var c byte
		word := ""
		if i == len(toks) {
			c = ';'
		} else if k := toks[i]; k.kind == tokPunct {
			c = t[k.start]
		} else if k.kind == tokWord {
			word = strings.ToLower(t[k.start:k.end])
		}
		end := i == len(toks) || open == 0 && (c == ')' || c == ']' || c == ';' || slices.Contains(behindValues, word))
		if end || open == 0 && c == ',' {
			if i > first {
				out = append(out, [2]int{first, i})
			}
			first = i + 1
		}
		switch {
		case end:
			return out
		case c == '(' || c == '[':
			open++
		case c == ')' || c == ']':
			open--
		}
	}
}

// behindValues are the words that may follow a list of rows.
var behindValues = []string{"union", "except", "intersect", "order", "limit", "offset", "fetch"}

// bareNames are words that Trino takes as a name without AS and DuckDB's parser
// does not, being among its keywords.
var bareNames = strings.Fields(`access action begin class columns content cost data database day days document domain error event format function functions hour hours
	index key label language level location match method minute minutes mode month months name names object operator option owner period policy position precision
	program role rule schema second seconds sequence server session source start statistics storage system tables target temp template temporary text time timestamp
	transaction type types user value version view week weeks work year years`)

// beforeNames are words after which one of bareNames is a column, or part of the
// syntax, and no name that is given.
var beforeNames = strings.Fields(`all and any as asc at between by case cast cross cube current desc distinct double else end_frame escape except exists extract filter first following for from full
	grouping having in inner intersect interval into is join last lateral left like limit natural not null nulls of offset on only or order outer over partition preceding range recursive
	right rollup row rows select sets some then ties time timestamp to unbounded union unnest using values when where with within without zone`)

// closing finds the bracket that closes the one at token i, or len(toks).
func closing(t string, toks []token, i int) int {
	open := 0
	for ; i < len(toks); i++ {
		if toks[i].kind != tokPunct {
			continue
		}
		switch t[toks[i].start] {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				return i
			}
		}
	}
	return len(toks)
}

// placeholder recognises, at token i, a table name that is no SQL name: $NAME,
// <text in angle brackets> or words and numbers joined by hyphens. It gives the
// number of tokens and the end of the text, or 0.
func placeholder(t string, toks []token, i int) (n, end int) {
	const maxLen = 128 // bytes; longer is no name
	if i >= len(toks) {
		return 0, 0
	}
	start := toks[i].start
	switch {
	case toks[i].kind == tokPunct && t[start] == '$' && i+1 < len(toks) &&
		toks[i+1].kind == tokWord && toks[i+1].start == toks[i].end:
		return 2, toks[i+1].end
	case toks[i].kind == tokPunct && t[start] == '<':
		for j := i + 1; j < len(toks); j++ {
			k := toks[j]
			if k.end-start > maxLen || k.kind == tokString || strings.Contains(t[start:k.end], "\n") {
				return 0, 0
			}
			if k.kind == tokPunct && t[k.start] == '>' {
				return j - i + 1, k.end
			}
		}
	case toks[i].kind == tokWord || toks[i].kind == tokNumber:
		j := i
		for j+2 < len(toks) && toks[j+1].kind == tokPunct && t[toks[j+1].start] == '-' &&
			toks[j+1].start == toks[j].end && toks[j+2].start == toks[j+1].end &&
			(toks[j+2].kind == tokWord || toks[j+2].kind == tokNumber) {
			j += 2
		}
		if j > i && toks[j].end-start <= maxLen {
			return j - i + 1, toks[j].end
		}
	}
	return 0, 0
}

// trinoType reads a type at token i and gives DuckDB's spelling of it and the
// number of tokens, or 0.
func trinoType(t string, toks []token, i, depth int) (string, int) {
	if i >= len(toks) || depth > 16 || toks[i].kind != tokWord {
		return "", 0
	}
	word := strings.ToLower(t[toks[i].start:toks[i].end])
	punct := func(i int, set string) bool {
		return i < len(toks) && toks[i].kind == tokPunct && strings.IndexByte(set, t[toks[i].start]) >= 0
	}
	if word != "array" && word != "row" && word != "map" {
		// Any other type is copied as it stands, with its parameters and the
		// words after them (TIMESTAMP(3) WITH TIME ZONE).
		j, open := i, 0
		for j < len(toks) {
			if open == 0 && j > i && punct(j, ",)>") {
				break
			}
			switch {
			case punct(j, "("):
				open++
			case punct(j, ")"):
				open--
			case toks[j].kind != tokWord && toks[j].kind != tokNumber && !punct(j, ","):
				return "", 0
			}
			j++
		}
		if open != 0 {
			return "", 0
		}
		return t[toks[i].start:toks[j-1].end], j - i
	}
	if !punct(i+1, "(<") {
		return "", 0
	}
	j := i + 2
	var parts, names []string
	for {
		name := ""
		if word == "row" && j+1 < len(toks) && (toks[j].kind == tokQuoted || toks[j].kind == tokWord) && toks[j+1].kind == tokWord {
			name = t[toks[j].start:toks[j].end]
			if toks[j].kind == tokWord {
				name = quoteIdent(name)
			}
			if p, n := trinoType(t, toks, j+1, depth+1); n > 0 {
				parts, names = append(parts, p), append(names, name)
				j += 1 + n
			} else {
				return "", 0
			}
		} else {
			p, n := trinoType(t, toks, j, depth+1)
			if n == 0 {
				return "", 0
			}
			parts, names = append(parts, p), append(names, "")
			j += n
		}
		if punct(j, ",") {
			j++
			continue
		}
		if punct(j, ")>") {
			j++
			break
		}
		return "", 0
	}
	n := j - i
	switch word {
	case "array":
		if len(parts) == 1 {
			return parts[0] + "[]", n
		}
	case "map":
		if len(parts) == 2 {
			return "MAP(" + parts[0] + ", " + parts[1] + ")", n
		}
	case "row":
		var b strings.Builder
		b.WriteString("STRUCT(")
		for i, p := range parts {
			if i > 0 {
				b.WriteString(", ")
			}
			if names[i] == "" {
				names[i] = quoteIdent("field" + itoa(i))
			}
			b.WriteString(names[i] + " " + p)
		}
		b.WriteString(")")
		return b.String(), n
	}
	return "", 0
}

// quoteIdent writes a name as a quoted SQL identifier.
func quoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteString writes a value as a SQL string.
func quoteString(v string) string {
	return `'` + strings.ReplaceAll(v, `'`, `''`) + `'`
}
