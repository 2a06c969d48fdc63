package lower

import (
	"strconv"
	"strings"

	"trailward/query/plan"
)

// Spark is the dialect of Spark SQL from version 3.5 on, with the session's time
// zone set to UTC. What it has nothing for (IPv6 blocks, strftime, regexReplace,
// urldecode, hexToDec, logfmt, csv, topk, histogram, sortsFirst, masks) is an
// error that says so. Regular expressions are Java's there, which take what RE2
// prints.
var Spark Dialect = spark{}

type spark struct{ elsewhere }

func (spark) Name() string             { return "Spark" }
func (spark) Ident(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Text writes a literal. What a backslash and a doubled quote mean depends on
// the session, so that text with a backslash is raw, and quotes are joined in.
func (spark) Text(s string) string {
	var parts []string
	for s != "" || parts == nil {
		i := strings.IndexAny(s, "'\x00")
		piece := s
		if i >= 0 {
			piece = s[:i]
		}
		if piece != "" || i < 0 {
			raw := ""
			if strings.Contains(piece, `\`) {
				raw = "r"
			}
			parts = append(parts, raw+"'"+piece+"'")
		}
		if i < 0 {
			break
		}
		parts = append(parts, "chr("+strconv.Itoa(int(s[i]))+")")
		s = s[i+1:]
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "concat(" + strings.Join(parts, ", ") + ")"
}

func (spark) Type(t plan.Type) string {
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
		return "ARRAY<STRING>"
	}
	return "STRING"
}

func (spark) Unnest(from string, lists, names []string) string {
	if len(lists) == 1 {
		return "SELECT *, explode(" + lists[0] + ") AS " + names[0] + " FROM " + from
	}
	return "SELECT *, inline(arrays_zip(" + strings.Join(lists, ", ") + ")) AS (" + strings.Join(names, ", ") + ") FROM " + from
}

func (d spark) Table(json string, names []string) string {
	cols := make([]string, len(names))
	for i, n := range names {
		cols[i] = "`r`[" + strconv.Itoa(i) + "] AS " + n
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM (SELECT explode(from_json(" + d.Text(json) + ", 'array<array<string>>')) AS `r`) AS `j`"
}

var sparkOps = map[Op]string{
	opNumber: "try_cast($1 AS DOUBLE)",
	// Java's numbers may end in d or f.
	opFinite:        `CASE WHEN abs($1) <= 1.7976931348623157E308 AND $2 RLIKE r'^\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*$' THEN $1 END`,
	opFiniteFloat:   "CASE WHEN abs($1) <= 1.7976931348623157E308 THEN $1 END",
	opExactInt:      "CASE WHEN $1 RLIKE '^-?[0-9]{16,19}$' THEN try_cast($1 AS BIGINT) END",
	opInt:           "try_cast($1 AS BIGINT)",
	opFloatText:     `regexp_replace(CAST($1 AS STRING), r'\.0$', '')`,
	opIntText:       "CAST($1 AS STRING)",
	opTimeText:      "date_format($1, 'yyyy-MM-dd HH:mm:ss.SSS')",
	opMillis:        "unix_millis($1)",
	opFromMillis:    "timestamp_millis(try_cast($1 AS BIGINT))",
	opFloorFixed:    "timestamp_millis(CAST(floor((unix_millis($1) - $3) / $2) AS BIGINT) * $2 + $3)",
	opFloorMonths:   "CAST(add_months(DATE '1970-01-01', CAST(floor(months_between(date_trunc('MONTH', $1), DATE '1970-01-01') / $2) * $2 AS INT)) AS TIMESTAMP)",
	opAddMillis:     "timestampadd(MILLISECOND, $2, $1)",
	opAddMonths:     "timestampadd(MONTH, $2, $1)",
	opContains:      "contains($1, $2)",
	opStarts:        "startswith($1, $2)",
	opEnds:          "endswith($1, $2)",
	opMatch:         "($1 RLIKE $2)",
	opMatchesOrNull: "CASE WHEN $1 RLIKE $2 THEN regexp_extract_all($1, $2, $3) ELSE array(CAST(NULL AS STRING)) END",
	opConcat:        "concat_ws('', $*)",
	opLength:        "char_length($1)",
	opBytes:         "octet_length($1)",
	opBase64Encode:  "base64(encode($1, 'UTF-8'))",
	opBase64Decode:  "decode(try_to_binary($1, 'base64'), 'UTF-8')",
	opSplit:         `split($1, concat(r'\Q', $2, r'\E'))`,
	opHexText:       "decode(unhex($1), 'UTF-8')",
	opIntHex:        "lower(hex($1))",
	opMD5:           "md5($1)",
	opSHA256:        "sha2($1, 256)",
	opLn:            "ln($1)",
	opSqrt:          "nullif(sqrt($1), double('NaN'))",
	opRound:         "round($1, $2)",
	opCeil:          "CAST(ceil($1) AS DOUBLE)",
	opFloor:         "CAST(floor($1) AS DOUBLE)",
	opPow:           "pow($1, $2)",
	opMod:           "($1 % $2)",
	opHaversine:     "(12742 * asin(sqrt(least(1.0D, pow(sin(radians($3 - $1) / 2), 2) + cos(radians($1)) * cos(radians($3)) * pow(sin(radians($4 - $2) / 2), 2)))))",
	opJSONDoc:       `CASE WHEN get_json_object($1, '$') IS NOT NULL AND $1 RLIKE r'^\s*[\[{]' THEN $1 END`,
	opJSONGuard:     "CASE WHEN get_json_object($1, '$') IS NOT NULL THEN $2 END",
	opJSONList:      `CASE WHEN $1 IS NULL THEN NULL WHEN $1 RLIKE r'^\s*\[' THEN coalesce(from_json($1, 'array<string>'), array($1)) ELSE array($1) END`,
	opJSONSize:      "CAST(json_array_length($1) AS BIGINT)",
	opJSONHas:       `CASE WHEN $1 RLIKE r'^\s*\[' THEN array_contains(from_json($1, 'array<string>'), $2) END`,
	opListText:      "to_json($1)",
	opListItem:      "get($1, $2)",
	opListLit:       "CASE WHEN $1 IS NOT NULL THEN array($1) END",
	opIPv4: "CASE WHEN $1 RLIKE r'^" + octet + `(\.` + octet + `){3}$' THEN CAST(split_part($1, '.', 1) AS BIGINT) * 16777216 + ` +
		"CAST(split_part($1, '.', 2) AS BIGINT) * 65536 + CAST(split_part($1, '.', 3) AS BIGINT) * 256 + CAST(split_part($1, '.', 4) AS BIGINT) END",
	opNatural: `CASE WHEN $1 RLIKE '[0-9]' THEN array_join(transform(regexp_extract_all($1, '([0-9]+|[^0-9]+)', 1), ` +
		`r -> CASE WHEN substr(r, 1, 1) BETWEEN '0' AND '9' THEN concat('0', lpad(CAST(length(r) AS STRING), 8, '0'), r) ELSE r END), '') ELSE $1 END`,
	opLastValue: "last_value($1, true)",
	opFail:      "CASE WHEN $1 THEN raise_error($2) ELSE $3 END",
	opQuantile:  "percentile($1, $2)",
	opValues:    "array_sort(collect_set($1))",
}

func (d spark) Op(op Op, args []string) (string, bool) {
	switch op {
	case opBins:
		if args[3] == "true" {
			return "sequence(" + args[0] + ", " + args[1] + ", make_ym_interval(0, " + args[2] + "))", true
		}
		return "sequence(" + args[0] + ", " + args[1] + ", make_dt_interval(0, 0, 0, " + args[2] + " / 1000))", true
	case opFail:
		args = []string{args[0], d.Text(args[1]), args[2]}
	case opGreatest, opLeast:
		if len(args) == 1 {
			return args[0], true
		}
		return string(op) + "(" + strings.Join(args, ", ") + ")", true
	case opCaptured:
		re := d.Text(args[3])
		return "CASE WHEN " + args[2] + " RLIKE " + re + " THEN regexp_extract(" + args[2] + ", " + re + ", " + args[1] + ") END", true
	case opJSONPath:
		if strings.ContainsAny(strings.Join(args[1:], ""), "'[]") {
			return "", false // its paths have no way to quote these
		}
		path := jsonPath(args[1:], func(k string) string { return "['" + k + "']" })
		return "get_json_object(" + args[0] + ", " + d.Text(path) + ")", true
	}
	return d.say(sparkOps, op, args)
}
