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
	"substr":           plain("substr", 2, 3, tText),
	"substring":        plain("substr", 2, 3, tText),
	"translate":        plain("translate", 3, 3, tText),
	"starts_with":      plain("starts_with", 2, 2, tBool),
	"ends_with":        plain("suffix", 2, 2, tBool),
	"strpos":           plain("strpos", 2, 2, tInt),
	"position":         plain("strpos", 2, 2, tInt), // POSITION(a IN b) has its arguments turned round by the parser
	"chr":              plain("chr", 1, 1, tText),
	"codepoint":        plain("unicode", 1, 1, tInt),
	"like_escape":      plain("like_escape", 3, 3, tBool),
	"not_like_escape":  plain("not_like_escape", 3, 3, tBool),
	"url_encode":       plain("url_encode", 1, 1, tText),
	"url_decode":       plain("url_decode", 1, 1, tText),
	"concat_ws":        plain("concat_ws", 2, -1, tText),

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
	"split": tmpl(2, `string_split("@1", "@2")`, listOf(tText)),
	// Null beyond the last part; DuckDB's split_part gives ''.
	"split_part": tmpl(3, `string_split("@1", "@2")[CASE WHEN "@3" < 1 THEN error('split_part: the index must be greater than zero') ELSE "@3" END]`, tText),
	"lpad":       pad("lpad"),
	"rpad":       pad("rpad"),

	"regexp_like":        tmpl(2, `regexp_matches("@1", "@2")`, tBool),
	"regexp_full_match":  tmpl(2, `regexp_full_match("@1", "@2")`, tBool), // SIMILAR TO
	"regexp_count":       tmpl(2, `len(regexp_extract_all("@1", "@2"))`, tInt),
	"regexp_split":       tmpl(2, `string_split_regex("@1", "@2")`, listOf(tText)),
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
	c.args[2].node = castNode(c.args[2].node, "INTEGER", false)
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
			}
			bad = m
			return m
		})
		if bad != "" {
			return operand{}, c.fault("%s in the replacement is not supported; groups are written $1", bad)
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
