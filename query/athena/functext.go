package athena

import (
	"regexp"
	"strconv"
	"strings"
)

// Functions of text, regular expressions and URLs.

var textFunctions = map[string]function{
	"length":           plain("length", 1, 1, tInt),
	"char_length":      plain("length", 1, 1, tInt),
	"character_length": plain("length", 1, 1, tInt),
	"lower":            plain("lower", 1, 1, tText),
	"upper":            plain("upper", 1, 1, tText),
	"trim":             plain("trim", 1, 2, tText),
	"ltrim":            plain("ltrim", 1, 2, tText),
	"rtrim":            plain("rtrim", 1, 2, tText),
	"substr":           {min: 2, max: 3, build: substr},
	"substring":        {min: 2, max: 3, build: substr},
	"translate":        plain("translate", 3, 3, tText),
	"starts_with":      plain("starts_with", 2, 2, tBool),
	"ends_with":        plain("suffix", 2, 2, tBool),
	"strpos":           {min: 2, max: 3, build: strpos},
	"position":         plain("strpos", 2, 2, tInt), // POSITION(a IN b) has its arguments turned round by the parser
	"chr":              plain("chr", 1, 1, tText),
	"codepoint":        plain("unicode", 1, 1, tInt),
	"like_escape":      plain("like_escape", 3, 3, tBool),
	"not_like_escape":  plain("not_like_escape", 3, 3, tBool),
	// As forms are encoded: a blank is +, and of the marks . - * _ stay.
	"url_encode": tmpl(1, `replace(replace(replace(url_encode("@1"), '%20', '+'), '%2A', '*'), '~', '%7E')`, tText),
	"url_decode": tmpl(1, `url_decode(replace("@1", '+', ' '))`, tText),
	"normalize":  plain("nfc_normalize", 1, 1, tText),
	"format":     {min: 1, max: -1, build: format},
	"concat_ws": {min: 2, max: -1, build: func(c *call) (operand, error) {
		for i := range c.args[1:] {
			if a := &c.args[i+1]; a.typ.kind == kList {
				a.node = callNode("array_to_string", a.node, c.args[0].node)
			}
		}
		return operand{node: c.rename("concat_ws"), typ: tText}, nil
	}},

	"levenshtein_distance": plain("levenshtein", 2, 2, tInt),
	"hamming_distance":     plain("hamming", 2, 2, tInt),

	"replace": {min: 2, max: 3, build: func(c *call) (operand, error) {
		if len(c.args) == 2 {
			c.args = append(c.args, operand{node: textNode(""), typ: tText})
		}
		return operand{node: c.rename("replace"), typ: tText}, nil
	}},
	"reverse": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if c.args[0].typ.kind == kList {
			return operand{node: c.rename("list_reverse"), typ: c.args[0].typ}, nil
		}
		return operand{node: c.rename("reverse"), typ: tText}, nil
	}},
	// Null as soon as one argument is; DuckDB's concat leaves null out.
	"concat": {min: 1, max: -1, build: func(c *call) (operand, error) {
		t := tText
		if c.args[0].typ.kind == kList {
			t = c.args[0].typ
		}
		n := c.args[0].node
		for _, a := range c.args[1:] {
			n = operatorCall("||", n, a.node)
		}
		return operand{node: n, typ: t}, nil
	}},
	"split": {min: 2, max: 3, build: func(c *call) (operand, error) {
		if len(c.args) == 2 {
			return c.template(`string_split("@1", "@2")`, listOf(tText))
		}
		return c.template(`CASE WHEN "@3" < 1 THEN error('split: the limit must be greater than zero') WHEN len(string_split("@1", "@2")) <= "@3" THEN string_split("@1", "@2")
			ELSE list_append(list_slice(string_split("@1", "@2"), 1, "@3" - 1), array_to_string(list_slice(string_split("@1", "@2"), "@3", len(string_split("@1", "@2"))), "@2")) END`, listOf(tText))
	}},
	"split_to_map": tmpl(3, `map_from_entries(list_transform(string_split("@1", "@2"), lambda e: struct_pack(
		k := CASE WHEN strpos(e, "@3") > 0 THEN string_split(e, "@3")[1] ELSE error('split_to_map: an entry has no separator of key and value') END,
		v := substr(e, strpos(e, "@3") + length("@3")))))`, typ{kind: kMap, elem: &tText}),
	// Null beyond the last part; DuckDB's split_part gives ''.
	"split_part": tmpl(3, `string_split("@1", "@2")[CASE WHEN "@3" < 1 THEN error('split_part: the index must be greater than zero') ELSE "@3" END]`, tText),
	"lpad":       pad("lpad"),
	"rpad":       pad("rpad"),

	"regexp_like": {min: 2, max: 2, build: func(c *call) (operand, error) {
		out, err := c.template(`regexp_matches("@1", "@2")`, tBool)
		if err == nil {
			out.node = c.r.heldRegexp(out.node, c.s)
		}
		return out, err
	}},
	"regexp_full_match":  tmpl(2, `regexp_full_match("@1", "@2")`, tBool), // SIMILAR TO
	"regexp_count":       tmpl(2, `len(regexp_extract_all("@1", "@2"))`, tInt),
	"regexp_split":       tmpl(2, `string_split_regex("@1", "@2")`, listOf(tText)),
	"regexp_position":    {min: 2, max: 2, build: regexpPosition},
	"regexp_extract":     {min: 2, max: 3, build: regexpExtract},
	"regexp_extract_all": {min: 2, max: 3, build: regexpExtractAll},
	"regexp_replace":     {min: 2, max: 3, build: regexpReplace},

	"url_extract_protocol":  tmpl(1, `nullif(regexp_extract("@1", '^([a-zA-Z][a-zA-Z0-9+.-]*):', 1), '')`, tText),
	"url_extract_host":      tmpl(1, `nullif(regexp_extract("@1", '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1), '')`, tText),
	"url_extract_port":      tmpl(1, `TRY_CAST(nullif(regexp_extract("@1", '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:]*):([0-9]+)', 1), '') AS BIGINT)`, tInt),
	"url_extract_path":      tmpl(1, `regexp_extract("@1", '^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?(?://[^/?#]*)?([^?#]*)', 1)`, tText),
	"url_extract_query":     tmpl(1, `regexp_extract("@1", '^[^?#]*\?([^#]*)', 1)`, tText),
	"url_extract_fragment":  tmpl(1, `regexp_extract("@1", '#(.*)$', 1)`, tText),
	"url_extract_parameter": {min: 2, max: 2, build: urlParameter},
}

// substr counts from 1, or with a minus from the end. From 0, from beyond either
// end, or with no length Trino gives ”; DuckDB takes what remains.
func substr(c *call) (operand, error) {
	text := `substr("@1", "@2")`
	if len(c.args) == 3 {
		text = `substr("@1", "@2", "@3")`
	}
	var empty []string
	if i, ok := constInt(c.args[1].node); !ok || i <= 0 {
		empty = append(empty, `"@2" = 0 OR abs("@2") > length("@1")`)
	}
	if len(c.args) == 3 {
		if i, ok := constInt(c.args[2].node); !ok || i <= 0 {
			empty = append(empty, `"@3" <= 0`)
		}
	}
	if len(empty) > 0 {
		text = `CASE WHEN "@1" IS NOT NULL AND (` + strings.Join(empty, " OR ") + `) THEN '' ELSE ` + text + ` END`
	}
	return c.template(text, tText)
}

// strpos gives the place of the first, or of the n-th, occurrence; 0 if there is none.
func strpos(c *call) (operand, error) {
	if len(c.args) == 2 {
		return operand{node: c.rename("strpos"), typ: tInt}, nil
	}
	return c.template(`CASE WHEN "@3" < 1 THEN error('strpos: the instance must be greater than zero') WHEN len(string_split("@1", "@2")) > "@3"
		THEN length(array_to_string(list_slice(string_split("@1", "@2"), 1, "@3"), "@2")) + 1 ELSE 0 END`, tInt)
}

// regexpPosition is where the first match begins, or -1. What stands before it
// is matched with it, so the pattern must not look at the beginning of the text.
func regexpPosition(c *call) (operand, error) {
	p, err := c.constArg(1, "the pattern")
	if err != nil {
		return operand{}, err
	}
	if strings.Contains(p, "^") || strings.Contains(p, `\A`) {
		return operand{}, c.fault("a pattern with ^ or \\A is not supported")
	}
	c.args = append(c.args, operand{node: textNode("(?s:^(.*?))(?:" + p + ")"), typ: tText})
	return c.template(`CASE WHEN regexp_matches("@1", "@2") THEN length(regexp_extract("@1", "@3", 1)) + 1 WHEN "@1" IS NOT NULL THEN -1 END`, tInt)
}

// formatVerb is a directive of Java's Formatter, which Trino's format takes.
var formatVerb = regexp.MustCompile(`%([-+ 0,]*)([0-9]*)(\.[0-9]+)?([a-zA-Z%])`)

// format translates the constant format to that of DuckDB's printf.
func format(c *call) (operand, error) {
	s, err := c.constArg(0, "the format")
	if err != nil {
		return operand{}, err
	}
	var out strings.Builder
	at, next := 0, 1
	for _, m := range formatVerb.FindAllStringSubmatchIndex(s, -1) {
		out.WriteString(s[at:m[0]])
		at = m[1]
		verb := s[m[8]:m[9]]
		if verb == "%" || verb == "n" {
			out.WriteString(map[string]string{"%": "%%", "n": "\n"}[verb])
			continue
		}
		if next >= len(c.args) {
			return operand{}, c.fault("%q wants more values than there are", s)
		}
		a := &c.args[next]
		next++
		switch verb {
		case "s":
			if *a, err = c.r.castTo(*a, "VARCHAR", false); err != nil {
				return operand{}, err
			}
			a.node, err = c.r.template(`coalesce("@1", 'null')`, a.node)
		case "d", "x", "X", "o":
			*a, err = c.r.castTo(*a, "BIGINT", false)
		case "f", "e", "E", "g":
			if verb == "f" { // Java rounds halves up, C to the even digit
				digits := 6
				if m[6] >= 0 {
					digits, _ = strconv.Atoi(s[m[6]+1 : m[7]])
				}
				if a.typ.numeric() && digits < 16 {
					a.node = callNode("round", a.node, intNode(int64(digits)))
				}
			}
			*a, err = c.r.castTo(*a, "DOUBLE", false)
			if m[6] < 0 {
				out.WriteString(s[m[0]:m[8]] + ".6" + verb)
				continue
			}
		default:
			return operand{}, c.fault("%%%s in the format is not supported", verb)
		}
		if err != nil {
			return operand{}, err
		}
		out.WriteString(s[m[0]:m[1]])
	}
	if strings.Contains(s[at:], "%") || next < len(c.args) && next == 1 && len(c.args) > 1 && !formatVerb.MatchString(s) {
		return operand{}, c.fault("the format %q is not understood", s)
	}
	out.WriteString(s[at:])
	c.args = c.args[:next]
	c.args[0] = operand{node: textNode(out.String()), typ: tText}
	return operand{node: c.rename("printf"), typ: tText}, nil
}

// pad is lpad or rpad with a bounded result.
func pad(name string) function {
	return function{min: 2, max: 3, build: func(c *call) (operand, error) {
		if len(c.args) == 2 {
			c.args = append(c.args, operand{node: textNode(" "), typ: tText})
		}
		limit := strconv.Itoa(maxElements)
		return c.template(name+`("@1", CASE WHEN "@2" > `+limit+` THEN error('`+name+`: more than `+limit+` characters') ELSE CAST("@2" AS INTEGER) END, "@3")`, tText)
	}}
}

func regexpExtract(c *call) (operand, error) {
	if len(c.args) == 2 {
		return c.template(`CASE WHEN regexp_matches("@1", "@2") THEN regexp_extract("@1", "@2") END`, tText)
	}
	// DuckDB wants a constant group, as it sizes its buffers by it.
	if _, ok := constInt(c.args[2].node); !ok {
		return operand{}, c.fault("the group must be a constant number")
	}
	group, _ := constInt(c.args[2].node)
	c.args[2].node = castNode(c.args[2].node, "INTEGER", false)
	// A group that took no part in the match gives '' in DuckDB and null in Trino.
	if p, ok := constText(c.args[1].node); ok && optionalGroup(p, int(group)) {
		return c.template(`CASE WHEN regexp_matches("@1", "@2") THEN nullif(regexp_extract("@1", "@2", "@3"), '') END`, tText)
	}
	return c.template(`CASE WHEN regexp_matches("@1", "@2") THEN regexp_extract("@1", "@2", "@3") END`, tText)
}

func regexpExtractAll(c *call) (operand, error) {
	if len(c.args) == 2 {
		return c.template(`regexp_extract_all("@1", "@2")`, listOf(tText))
	}
	if _, ok := constInt(c.args[2].node); !ok {
		return operand{}, c.fault("the group must be a constant number")
	}
	c.args[2].node = castNode(c.args[2].node, "INTEGER", false)
	return c.template(`regexp_extract_all("@1", "@2", "@3")`, listOf(tText))
}

var groupRef = regexp.MustCompile(`\\.|\$[0-9]|\$\{[^}]*\}|\$`)

// regexpReplace replaces all matches, as Trino does; $1 becomes \1.
func regexpReplace(c *call) (operand, error) {
	with := ""
	if len(c.args) == 3 {
		if str(c.raw[2], "class") == "LAMBDA" {
			return operand{}, c.fault("a lambda as replacement is not supported")
		}
		s, err := c.constArg(2, "the replacement")
		if err != nil {
			return operand{}, err
		}
		bad := ""
		with = groupRef.ReplaceAllStringFunc(s, func(m string) string {
			switch {
			case m[0] == '\\': // an escaped character stands for itself
				if m[1] == '\\' {
					return `\\`
				}
				return m[1:]
			case len(m) == 2:
				return `\` + m[1:]
			case len(m) > 3: // ${name}
				if p, ok := constText(c.args[1].node); ok {
					if g := namedGroup(p, m[2:len(m)-1]); g > 0 && g < 10 {
						return `\` + itoa(g)
					}
				}
			}
			bad = m
			return m
		})
		if bad != "" {
			return operand{}, c.fault("%s in the replacement is no group of the pattern; groups are written $1 or ${name}", bad)
		}
		if strings.HasSuffix(with, `\`) && !strings.HasSuffix(with, `\\`) {
			return operand{}, c.fault("the replacement ends in a backslash")
		}
	}
	c.args = append(c.args[:2:2], operand{node: textNode(with), typ: tText})
	return c.template(`regexp_replace("@1", "@2", "@3", 'g')`, tText)
}

// urlParameter finds the first parameter of a name in a URL's query.
func urlParameter(c *call) (operand, error) {
	return c.template(`url_decode(substr(list_filter(string_split(regexp_extract("@1", '^[^?#]*\?([^#]*)', 1), '&'), lambda p: string_split(p, '=')[1] = "@2")[1], length("@2") + 2))`, tText)
}
