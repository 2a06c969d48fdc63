package lower

import (
	"strconv"
	"strings"

	"trailward/query/plan"
)

// Trino is the dialect of Trino and of Athena's engine version 3. Percentiles
// are approximate there, and what it has nothing for (IPv6 blocks, strftime,
// logfmt, csv, topk, histogram, regexReplace, masks) is an error that says so.
var Trino Dialect = trino{}

type trino struct{ elsewhere }

func (trino) Name() string             { return "Trino" }
func (trino) Ident(name string) string { return doubleQuote(name) }
func (trino) Text(s string) string     { return DuckDB.Text(s) } // quotes and chr(0) are the same

func (trino) Type(t plan.Type) string {
	switch t {
	case plan.Int:
		return "BIGINT"
	case plan.Float:
		return "DOUBLE"
	case plan.Bool:
		return "BOOLEAN"
	case plan.Time:
		return "TIMESTAMP(6)"
	case plan.List:
		return "ARRAY(VARCHAR)"
	}
	return "VARCHAR"
}

func (d trino) Table(json string, names []string) string {
	cols := make([]string, len(names))
	for i, n := range names {
		cols[i] = `element_at("r", ` + strconv.Itoa(i+1) + ") AS " + n
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM UNNEST(CAST(json_parse(" + d.Text(json) + `) AS ARRAY(ARRAY(VARCHAR)))) AS "j"("r")`
}

func (trino) Unnest(from string, lists, names []string) string {
	return "SELECT * FROM " + from + " CROSS JOIN UNNEST(" + strings.Join(lists, ", ") + `) AS "u"(` + strings.Join(names, ", ") + ")"
}

// jsonText is a JSON value j as text: a scalar without quotes, null as null.
const jsonText = "coalesce(json_extract_scalar(j, '$'), nullif(json_format(j), 'null'))"

const trinoEpoch = "TIMESTAMP '1970-01-01 00:00:00.000000'"

var trinoOps = map[Op]string{
	opNumber:        "TRY_CAST($1 AS DOUBLE)",
	opFinite:        "CASE WHEN is_finite($1) AND strpos($2, '_') = 0 THEN $1 END",
	opFiniteFloat:   "CASE WHEN is_finite($1) THEN $1 END",
	opExactInt:      "CASE WHEN regexp_like($1, '^-?[0-9]{16,19}$') THEN TRY_CAST($1 AS BIGINT) END",
	opInt:           "TRY_CAST(truncate($1) AS BIGINT)",
	opFloatText:     `regexp_replace(json_format(CAST($1 AS JSON)), '\.0$')`,
	opIntText:       "CAST($1 AS VARCHAR)",
	opTimeText:      "format_datetime($1, 'yyyy-MM-dd HH:mm:ss.SSS')",
	opMillis:        "date_diff('millisecond', " + trinoEpoch + ", $1)",
	opFromMillis:    "TRY(date_add('millisecond', TRY_CAST(truncate($1) AS BIGINT), " + trinoEpoch + "))",
	opFloorFixed:    "date_add('millisecond', CAST(floor((date_diff('millisecond', " + trinoEpoch + ", $1) - $3) / 1e0 / $2) AS BIGINT) * $2 + $3, " + trinoEpoch + ")",
	opFloorMonths:   "date_add('month', CAST(floor(date_diff('month', " + trinoEpoch + ", $1) / 1e0 / $2) AS BIGINT) * $2, " + trinoEpoch + ")",
	opAddMillis:     "TRY(date_add('millisecond', $2, $1))",
	opAddMonths:     "TRY(date_add('month', $2, $1))",
	opContains:      "(strpos($1, $2) > 0)",
	opStarts:        "starts_with($1, $2)",
	opEnds:          "starts_with(reverse($1), reverse($2))",
	opMatch:         "regexp_like($1, $2)",
	opMatchesOrNull: "CASE WHEN regexp_like($1, $2) THEN regexp_extract_all($1, $2, $3) ELSE ARRAY[CAST(NULL AS VARCHAR)] END",
	opLength:        "length($1)",
	opBytes:         "length(to_utf8($1))",
	opURLDecode:     "TRY(url_decode($1))",
	opBase64Encode:  "to_base64(to_utf8($1))",
	opBase64Decode:  "TRY(from_utf8(from_base64($1)))",
	opSplit:         "split($1, $2)",
	opHexText:       "TRY(from_utf8(from_hex($1)))",
	opHexInt:        "TRY(from_base(regexp_replace($1, '^0[xX]'), 16))",
	opIntHex:        "to_base($1, 16)",
	opMD5:           "lower(to_hex(md5(to_utf8($1))))",
	opSHA256:        "lower(to_hex(sha256(to_utf8($1))))",
	opGreatest:      "array_max(filter(ARRAY[$*], e -> e IS NOT NULL))",
	opLeast:         "array_min(filter(ARRAY[$*], e -> e IS NOT NULL))",
	opLn:            "TRY(ln($1))",
	opSqrt:          "TRY(sqrt($1))",
	opRound:         "TRY(round($1, TRY_CAST($2 AS INTEGER)))",
	opCeil:          "ceil($1)",
	opFloor:         "floor($1)",
	opPow:           "power($1, $2)",
	opMod:           "mod($1, $2)",
	opHaversine:     "(12742 * asin(sqrt(least(1e0, power(sin(radians($3 - $1) / 2), 2) + cos(radians($1)) * cos(radians($3)) * power(sin(radians($4 - $2) / 2), 2)))))",
	opJSONDoc:       `CASE WHEN TRY(json_parse($1)) IS NOT NULL AND regexp_like($1, '^\s*[\[{]') THEN $1 END`,
	opJSONGuard:     "CASE WHEN TRY(json_parse($1)) IS NOT NULL THEN $2 END",
	opJSONList: "coalesce(transform(TRY(CAST(json_parse($1) AS ARRAY(JSON))), j -> " + jsonText + "), " +
		"CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END)",
	opJSONSize: "json_array_length($1)",
	opJSONHas:  "contains(transform(TRY(CAST(json_parse($1) AS ARRAY(JSON))), j -> " + jsonText + "), $2)",
	opListText: "json_format(CAST($1 AS JSON))",
	opListItem: "element_at($1, $2 + 1)",
	opListLit:  "CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END",
	opIPv4: "CASE WHEN regexp_like($1, '^" + octet + `(\.` + octet + `){3}$') THEN CAST(split_part($1, '.', 1) AS BIGINT) * 16777216 + ` +
		"CAST(split_part($1, '.', 2) AS BIGINT) * 65536 + CAST(split_part($1, '.', 3) AS BIGINT) * 256 + CAST(split_part($1, '.', 4) AS BIGINT) END",
	opNatural: `CASE WHEN regexp_like($1, '[0-9]') THEN array_join(transform(regexp_extract_all($1, '[0-9]+|[^0-9]+'), ` +
		`r -> CASE WHEN substr(r, 1, 1) BETWEEN '0' AND '9' THEN '0' || lpad(CAST(length(r) AS VARCHAR), 8, '0') || r ELSE r END), '') ELSE $1 END`,
	opLastValue: "last_value($1) IGNORE NULLS",
	opQuantile:  "approx_percentile($1, $2)",
	opFirst:     "element_at(array_agg($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL), 1)",
	opValues:    "array_sort(array_agg(DISTINCT $1) FILTER (WHERE $1 IS NOT NULL))",
}

func (d trino) Op(op Op, args []string) (string, bool) {
	switch op {
	case opBins:
		ms := args[2]
		if args[3] == "true" {
			return "sequence(" + args[0] + ", " + args[1] + ", INTERVAL '" + ms + "' MONTH)", true
		}
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			return "", false
		}
		return "sequence(" + args[0] + ", " + args[1] + ", INTERVAL '" + strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) + "' SECOND)", true
	case opFail:
		return "CASE WHEN " + args[0] + " THEN CAST(fail(" + d.Text(args[1]) + ") AS ARRAY(TIMESTAMP(6))) ELSE " + args[2] + " END", true
	case opCaptured:
		return "regexp_extract(" + args[2] + ", " + d.Text(args[3]) + ", " + args[1] + ")", true
	case opConcat:
		parts := make([]string, len(args))
		for i, a := range args {
			parts[i] = "coalesce(" + a + ", '')"
		}
		return "(" + strings.Join(parts, " || ") + ")", true
	case opJSONPath:
		esc := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		path := jsonPath(args[1:], func(k string) string { return `["` + esc.Replace(k) + `"]` })
		return "element_at(transform(ARRAY[json_extract(" + args[0] + ", " + d.Text(path) + ")], j -> " + jsonText + "), 1)", true
	}
	return d.say(trinoOps, op, args)
}
