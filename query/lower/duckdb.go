package lower

import (
	"regexp/syntax"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// DuckDB is the dialect of DuckDB 1.5. It needs the extensions that are linked
// into the library (core_functions, json, icu), nothing to load.
var DuckDB Dialect = duckDB{}

type duckDB struct{}

func (duckDB) Name() string             { return "DuckDB" }
func (duckDB) Ident(name string) string { return doubleQuote(name) }

// doubleQuote writes an identifier as the SQL standard has it.
func doubleQuote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Text writes a literal between single quotes. A NUL would end the statement
// for DuckDB's parser, so it is joined in as a function's value.
func (duckDB) Text(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if !strings.Contains(s, "\x00") {
		return q
	}
	return "(" + strings.ReplaceAll(q, "\x00", "' || chr(0) || '") + ")"
}

func (duckDB) Type(t plan.Type) string {
	switch t {
	case plan.Int:
		return "BIGINT"
	case plan.Float:
		return "DOUBLE"
	case plan.Bool:
		return "BOOLEAN"
	case plan.Time:
		return "TIMESTAMP"
	case plan.List:
		return "VARCHAR[]"
	}
	return "VARCHAR"
}

// With says whether the expression is merged into its user: DuckDB would
// otherwise decide by itself whether to compute it whole first.
func (duckDB) With(name, sel string, shared bool) string {
	if shared {
		return name + " AS MATERIALIZED (" + sel + ")"
	}
	return name + " AS NOT MATERIALIZED (" + sel + ")"
}

func (d duckDB) Table(json string, names []string) string {
	cols := make([]string, len(names))
	for i, n := range names {
		cols[i] = `"r"[` + strconv.Itoa(i+1) + "] AS " + n
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM (SELECT unnest(from_json(" + d.Text(json) + `, '[["VARCHAR"]]')) AS "r") AS "j"`
}

func (duckDB) Join(left, right, on string, outer, asOf bool) (string, bool) {
	return joined(left, right, on, outer, asOf), true
}

// joined is a join as DuckDB has it, and others but for ASOF.
func joined(left, right, on string, outer, asOf bool) string {
	kind := " JOIN "
	if outer {
		kind = " LEFT JOIN "
	}
	if asOf {
		kind = " ASOF" + kind
	}
	return "SELECT * FROM " + left + kind + right + " ON " + on
}

func (duckDB) Unnest(from string, lists, names []string) string {
	cols := make([]string, len(lists))
	for i := range lists {
		cols[i] = "unnest(" + lists[i] + ") AS " + names[i]
	}
	return "SELECT *, " + strings.Join(cols, ", ") + " FROM " + from
}

// octet is a part of an IPv4 address, without leading zeros.
const octet = `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`

// duckOps are templates: $1 is the first argument, $* all of them.
var duckOps = map[Op]string{
	opNumber:        "TRY_CAST($1 AS DOUBLE)",
	opFinite:        "CASE WHEN isfinite($1) AND NOT contains($2, '_') THEN $1 END",
	opFiniteFloat:   "CASE WHEN isfinite($1) THEN $1 END",
	opExactInt:      "CASE WHEN length($1) > 15 AND regexp_full_match($1, '-?[0-9]{16,19}') THEN TRY_CAST($1 AS BIGINT) END",
	opSumInt:        "sum($1)",
	opInt:           "TRY_CAST(trunc($1) AS BIGINT)",
	opFloatText:     `regexp_replace(CAST($1 AS VARCHAR), '\.0$', '')`,
	opIntText:       "CAST($1 AS VARCHAR)",
	opTimeText:      "strftime($1, '%Y-%m-%d %H:%M:%S.%g')",
	opMillis:        "epoch_ms($1)",
	opFromMillis:    "TRY(make_timestamp(TRY_CAST(trunc($1 * 1000) AS BIGINT)))",
	opTimeLit:       "TIMESTAMP $1",
	opFloorFixed:    "time_bucket(to_milliseconds($2), $1, make_timestamp(CAST($3 AS BIGINT) * 1000))",
	opFloorMonths:   "time_bucket(to_months($2), $1, TIMESTAMP '1970-01-01')",
	opAddMillis:     "TRY($1 + to_milliseconds($2))",
	opAddMonths:     "TRY($1 + to_months($2))",
	opContains:      "contains($1, $2)",
	opStarts:        "starts_with($1, $2)",
	opEnds:          "ends_with($1, $2)",
	opMatch:         "regexp_matches($1, $2)",
	opMatchesOrNull: "CASE WHEN regexp_matches($1, $2) THEN regexp_extract_all($1, $2, $3) ELSE [NULL] END",
	opRegexReplace:  "regexp_replace($1, $2, $3, 'g')",
	opConcat:        "concat($*)",
	opLength:        "length($1)",
	opBytes:         "strlen($1)",
	opUpper:         "upper($1)",
	opLower:         "lower($1)",
	opTrim:          "trim($1, $2)",
	opLtrim:         "ltrim($1, $2)",
	opRtrim:         "rtrim($1, $2)",
	opReplace:       "replace($1, $2, coalesce($3, ''))",
	opURLEncode:     "url_encode($1)",
	opURLDecode:     "TRY(url_decode($1))",
	opBase64Encode:  "base64(encode($1))",
	opBase64Decode:  "TRY(decode(from_base64($1)))",
	opSplit:         "string_split($1, $2)",
	opHexText:       "TRY(decode(unhex($1)))",
	opHexInt:        "TRY_CAST('0x' || regexp_replace($1, '^0[xX]', '') AS BIGINT)",
	opIntHex:        "lower(to_hex($1))",
	opMD5:           "md5($1)",
	opSHA256:        "sha256($1)",
	opGreatest:      "greatest($*)",
	opLeast:         "least($*)",
	opLn:            "TRY(ln($1))",
	opSqrt:          "TRY(sqrt($1))",
	opRound:         "TRY(round($1, TRY_CAST($2 AS INTEGER)))",
	opCeil:          "ceil($1)",
	opFloor:         "floor($1)",
	opPow:           "TRY(pow($1, $2))",
	opMod:           "($1 % $2)",
	// 6371 km is the mean radius of the earth; rounding could take the root of
	// the haversine a little above 1.
	opHaversine: "(12742 * asin(sqrt(least(1.0, pow(sin(radians($3 - $1) / 2), 2) + cos(radians($1)) * cos(radians($3)) * pow(sin(radians($4 - $2) / 2), 2)))))",
	// Two levels of CASE, because the operands of AND have no order.
	opJSONDoc:   "CASE WHEN json_valid($1) THEN CASE WHEN json_type($1) IN ('OBJECT', 'ARRAY') THEN $1 END END",
	opJSONGuard: "CASE WHEN json_valid($1) THEN $2 END",
	opJSONList: "CASE WHEN $1 IS NULL THEN NULL WHEN json_valid($1) THEN coalesce(" + plan.ElementsFunction + "($1), [$1])" +
		" ELSE [$1] END",
	opJSONSize: "CASE WHEN json_valid($1) THEN CASE WHEN json_type($1) = 'ARRAY' THEN CAST(json_array_length($1) AS BIGINT) END END",
	opJSONHas:  "CASE WHEN json_valid($1) THEN CASE WHEN json_type($1) = 'ARRAY' THEN list_contains(json_extract_string($1, '$[*]'), $2) END END",
	opListText: "CAST(to_json($1) AS VARCHAR)",
	opListItem: "($1)[$2 + 1]",
	opListLit:  "CASE WHEN $1 IS NULL THEN NULL ELSE [$1] END",
	// key=value and key="value with \" in it"; the first of a key counts.
	opLogfmt: `CASE WHEN $1 IS NULL THEN NULL ELSE '{' || array_to_string(list_transform(list_zip(` +
		`regexp_extract_all($1, '([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)', 1), regexp_extract_all($1, '([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)', 2)), ` +
		`lambda kv: CAST(to_json(kv[1]) AS VARCHAR) || ':' || CAST(to_json(CASE WHEN starts_with(kv[2], '"') ` +
		`THEN replace(replace(kv[2][2:-2], '\"', '"'), '\\', '\') ELSE kv[2] END) AS VARCHAR)), ',') || '}' END`,
	// A comma before the text makes every field a comma and what follows.
	opCSV: `list_transform([regexp_extract_all(',' || $1, ',("(?:[^"]|"")*"|[^,]*)', 1)[$2]], ` +
		`lambda v: CASE WHEN length(v) >= 2 AND starts_with(v, '"') AND ends_with(v, '"') THEN replace(v[2:-2], '""', '"') ELSE v END)[1]`,
	opIPv4: "CASE WHEN regexp_full_match($1, '" + octet + `(\.` + octet + `){3}') THEN CAST(split_part($1, '.', 1) AS BIGINT) * 16777216 + ` +
		"CAST(split_part($1, '.', 2) AS BIGINT) * 65536 + CAST(split_part($1, '.', 3) AS BIGINT) * 256 + CAST(split_part($1, '.', 4) AS BIGINT) END",
	// The lambdas name steps: v is the address in small letters with a dotted
	// tail turned into two groups, s its halves around :: with all zeros written.
	opIPv6: `list_transform([CASE WHEN regexp_full_match($1, '[0-9A-Fa-f:]*:` + octet + `(\.` + octet + `){3}') ` +
		`THEN lower(regexp_extract($1, '^(.*:)', 1)) || ` + hexPair(1) + ` || ':' || ` + hexPair(3) + ` ELSE lower($1) END], ` +
		`lambda v: CASE WHEN regexp_full_match(v, '([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?(::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?)?') ` +
		`THEN list_transform([{'l': ` + padded(1) + `, 'r': ` + padded(2) + `}], ` +
		`lambda s: CASE WHEN contains(v, '::') AND length(s.l) + length(s.r) <= 28 OR length(s.l) = 32 AND NOT contains(v, '::') ` +
		`THEN s.l || repeat('0', 32 - length(s.l) - length(s.r)) || s.r END)[1] END)[1]`,
	// Runs of digits get their length in front of them, behind a 0: so they
	// stand among other characters where digits stand, and sort by length first.
	opNatural: `CASE WHEN regexp_matches($1, '[0-9]') THEN array_to_string(list_transform(regexp_extract_all($1, '[0-9]+|[^0-9]+'), ` +
		`lambda r: CASE WHEN r[1] BETWEEN '0' AND '9' THEN '0' || lpad(CAST(length(r) AS VARCHAR), 8, '0') || r ELSE r END), '') ELSE $1 END`,
	opSortKey:       "trailward_sort_key($1)",
	opMask:          "trailward_mask($1)",
	opAddressKey:    "trailward_address($1)",
	opLastValue:     "last_value($1 IGNORE NULLS)",
	opCountDistinct: "count(DISTINCT $1)",
	opStddev:        "stddev_pop($1)",
	opVariance:      "var_pop($1)",
	opQuantile:      "quantile_cont($1, $2)",
	opArgMin:        "arg_min($1, $2) FILTER (WHERE $1 IS NOT NULL)",
	opArgMax:        "arg_max($1, $2) FILTER (WHERE $1 IS NOT NULL)",
	opFirst:         "first($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL)",
	opValues:        "list_sort(list(DISTINCT $1) FILTER (WHERE $1 IS NOT NULL))",
	opTopK: "list_transform(list_sort(list_transform(map_entries(histogram($1) FILTER (WHERE $1 IS NOT NULL)), " +
		"lambda e: {'n': - CAST(e.value AS BIGINT), 'k': e.key}))[1:$2], lambda s: s.k)",
}

// duckHistogram makes a member for each of $2 buckets of equal width between the
// lowest and the highest number of $1, named after its bounds. The lambdas name
// steps: s has the numbers, their bounds and the width of a bucket.
const duckHistogram = `list_transform([list_transform([{'l': list($1) FILTER (WHERE $1 IS NOT NULL), 'a': min($1), 'w': (max($1) - min($1)) / $2}], ` +
	`lambda s: list_transform(generate_series(0, CASE WHEN s.w > 0 THEN $2 - 1 ELSE 0 END), lambda i: ` +
	`CAST(to_json(regexp_replace(CAST(s.a + i * s.w AS VARCHAR), '\.0$', '') || '..' || regexp_replace(CAST(s.a + (i + 1) * s.w AS VARCHAR), '\.0$', '')) AS VARCHAR) || ':' || ` +
	`CAST(len(list_filter(s.l, lambda x: CASE WHEN s.w > 0 THEN least($2 - 1, floor((x - s.a) / s.w)) = i ELSE TRUE END)) AS VARCHAR)))[1]], ` +
	`lambda m: CASE WHEN len(m) > 0 AND min($1) IS NOT NULL THEN '{' || array_to_string(m, ',') || '}' END)[1]`

// hexPair is two octets of the dotted tail of $1, from the nth on, as hex.
func hexPair(n int) string {
	part := func(n int) string {
		return "CAST(split_part(regexp_extract($1, '[^:]*$'), '.', " + strconv.Itoa(n) + ") AS INTEGER)"
	}
	return "lower(to_hex(" + part(n) + " * 256 + " + part(n+1) + "))"
}

// padded is the nth half of v around ::, its groups filled up to four digits.
func padded(n int) string {
	half := "split_part(v, '::', " + strconv.Itoa(n) + ")"
	return "CASE WHEN " + half + " = '' THEN '' ELSE array_to_string(list_transform(string_split(" + half + ", ':'), lambda g: lpad(g, 4, '0')), '') END"
}

func (d duckDB) Op(op Op, args []string) (string, bool) {
	switch op {
	case opGlob:
		return "trailward_glob(" + args[0] + ", " + d.Text(args[1]) + ", '" + args[2] + "')", true
	case opBins:
		unit := "to_milliseconds("
		if args[3] == "true" {
			unit = "to_months("
		}
		return "generate_series(" + args[0] + ", " + args[1] + ", " + unit + args[2] + "))", true
	case opFail:
		return "CASE WHEN " + args[0] + " THEN error(" + d.Text(args[1]) + ") ELSE " + args[2] + " END", true
	case opHistogram:
		return expand(duckHistogram, args), true
	case opCapture:
		// The whole match is a group too: that it is empty says that there
		// is none. A match of no characters counts as none.
		names := make([]string, groups(args[1])+1)
		for i := range names {
			names[i] = "'g" + strconv.Itoa(i) + "'"
		}
		return "regexp_extract(" + args[0] + ", " + d.Text("("+args[1]+")") + ", [" + strings.Join(names, ", ") + "])", true
	case opCaptured:
		return "CASE WHEN struct_extract(" + args[0] + ", 'g0') <> '' THEN struct_extract(" + args[0] + ", 'g" + args[1] + "') END", true
	case opSubstr:
		s := "substring(" + args[0] + ", (" + args[1] + ") + 1"
		if len(args) > 2 {
			s += ", " + args[2]
		}
		return s + ")", true
	case opJSONPath:
		return plan.MemberFunction + "(" + args[0] + ", " + d.Text(plan.OneWay(args[1:]...).String()) + ")", true
	case opFormatDate:
		if args[2] == "UTC" {
			return "strftime(" + args[0] + ", " + d.Text(args[1]) + ")", true
		}
		return "strftime(timezone(" + d.Text(args[2]) + ", timezone('UTC', " + args[0] + ")), " + d.Text(args[1]) + ")", true
	case opParseDate:
		sql := "try_strptime(" + args[0] + ", " + d.Text(args[1]) + ")"
		switch {
		case strings.Contains(strings.ReplaceAll(args[1], "%%", ""), "%z"): // the text says the zone
			// DuckDB reads no Z there, which is what X mostly finds.
			utc := "try_strptime(" + args[0] + ", " + d.Text(strings.NewReplacer("%%", "%%", "%z", "Z").Replace(args[1])) + ")"
			return "coalesce(timezone('UTC', " + sql + "), " + utc + ")", true
		case args[2] != "UTC":
			return "timezone('UTC', timezone(" + d.Text(args[2]) + ", " + sql + "))", true
		}
		return sql, true
	}
	t, ok := duckOps[op]
	if !ok {
		return "", false
	}
	return expand(t, args), true
}

// groups counts the groups of an expression that the compiler has checked.
func groups(re string) int {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return 0
	}
	return tree.MaxCap()
}

// expand puts arguments into a template. A $ that no digit or * follows stands
// for itself.
func expand(t string, args []string) string {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != '$' || i+1 == len(t) {
			b.WriteByte(t[i])
			continue
		}
		switch n := t[i+1]; {
		case n == '*':
			b.WriteString(strings.Join(args, ", "))
			i++
		case n >= '1' && n <= '9' && int(n-'1') < len(args):
			b.WriteString(args[n-'1'])
			i++
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}
