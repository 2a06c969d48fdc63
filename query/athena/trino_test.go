package athena

import (
	"errors"
	"strings"
	"testing"

	"trailward/query/plan"
)

// trinoCases are what Trino answers where DuckDB would by itself answer
// something else, see https://trino.io/docs/current/functions.html.
var trinoCases = []struct{ expr, want string }{
	// Division: whole numbers without a fraction, decimals with as many digits as the longer has.
	{"5 / 2", "2"}, {"-5 / 2", "-2"}, {"5 / 2e0", "2.5"}, {"7 % -3", "1"}, {"-7 % 3", "-1"}, {"mod(-7, 3)", "-1"},
	{"cast(1.0 / 3 AS varchar)", "0.3"}, {"cast(100.0 * 2 / 3 AS varchar)", "66.7"}, {"cast(1.00 / 3 AS varchar)", "0.33"}, {"cast(1 / cast(3 AS decimal(10, 4)) AS varchar)", "0.3333"},
	{"cast(round(100.0 * 1 / 3, 2) AS varchar)", "33.3"}, {"1e0 / 0", "+Inf"}, {"try(1 / 0)", "NULL"}, {"try(1 % 0)", "NULL"}, {"try(1.5 / 0)", "NULL"},
	{"cast(2.5 AS decimal)", "3"},
	// substr counts from 1; 0 and what lies outside is nothing.
	{"substr('hello', 0)", ""}, {"substr('hello', 0, 3)", ""}, {"substr('hello', -3)", "llo"}, {"substr('hello', -3, 2)", "ll"}, {"substr('hello', -9)", ""},
	{"substr('hello', 9)", ""}, {"substr('hello', 2, 0)", ""}, {"substr('hello', 2, -1)", ""}, {"substr(NULL, 0)", "NULL"}, {"substring('hello', 2, 2)", "el"},
	// Casts take less than DuckDB's, and round half away from zero.
	{"try_cast('1.5' AS integer)", "NULL"}, {"try_cast(' 12' AS bigint)", "NULL"}, {"try_cast('1e3' AS bigint)", "NULL"}, {"cast('-12' AS integer)", "-12"}, {"try(cast('1.5' AS integer))", "NULL"},
	{"cast(2.5e0 AS bigint)", "3"}, {"cast(-2.5e0 AS bigint)", "-3"}, {"cast(3.5e0 AS integer)", "4"}, {"cast(2.5 AS bigint)", "3"}, {"try_cast('yes' AS boolean)", "NULL"}, {"cast('T' AS boolean)", "true"},
	{"cast(lower('F') AS boolean)", "false"}, {"try_cast(lower('NO') AS boolean)", "NULL"},
	{"cast(from_unixtime(0) AS varchar)", "1970-01-01 00:00:00.000 UTC"}, {"cast(date_parse('2024-01-02', '%Y-%m-%d') AS varchar)", "2024-01-02 00:00:00.000"},
	{"cast(timestamp '2024-01-02 03:04:05' AS varchar)", "2024-01-02 03:04:05"}, {"cast(current_timestamp AS varchar)", "2024-05-06 07:08:09.000 UTC"}, {"cast(date '2024-01-02' AS varchar)", "2024-01-02"},
	// Null inside arrays is an answer that is not known.
	{"contains(ARRAY[1, NULL], 2)", "NULL"}, {"contains(ARRAY[1, NULL], 1)", "true"}, {"contains(ARRAY[1], 2)", "false"}, {"arrays_overlap(ARRAY[1, NULL], ARRAY[2])", "NULL"}, {"arrays_overlap(ARRAY[1], ARRAY[2])", "false"},
	{"any_match(ARRAY[1, NULL], x -> x > 1)", "NULL"}, {"any_match(ARRAY[2, NULL], x -> x > 1)", "true"}, {"all_match(ARRAY[1, NULL], x -> x > 0)", "NULL"}, {"all_match(ARRAY[0, NULL], x -> x > 0)", "false"},
	{"none_match(ARRAY[1, NULL], x -> x > 1)", "NULL"}, {"any_match(cast(ARRAY[] AS array(integer)), x -> x > 1)", "false"}, {"all_match(cast(ARRAY[] AS array(integer)), x -> x > 1)", "true"},
	{"array_max(ARRAY[1, NULL])", "NULL"}, {"array_min(ARRAY[1, NULL])", "NULL"}, {"array_distinct(ARRAY[3, 1, 3, NULL, NULL])", "[3 1 NULL]"}, {"array_union(ARRAY[2, 1], ARRAY[3, 2])", "[2 1 3]"},
	{"array_intersect(ARRAY[2, 1, 2], ARRAY[1, 2])", "[2 1]"}, {"array_except(ARRAY[3, 1, 3], ARRAY[1])", "[3]"}, {"array_sort(ARRAY[3, NULL, 1])", "[1 3 NULL]"}, {"cardinality(NULL)", "NULL"},
	// Null and text.
	{"concat('a', NULL)", "NULL"}, {"'a' || NULL", "NULL"}, {"greatest(1, NULL)", "NULL"}, {"split_part('a,b', ',', 5)", "NULL"}, {"concat_ws(',', 'a', NULL, 'b')", "a,b"}, {"'Z' < 'a'", "true"}, {"'é' > 'z'", "true"}, {"'a' = 'a '", "false"},
	{"'abc' LIKE 'A%'", "false"}, {"regexp_like('hello', 'ell')", "true"}, {"split('a,b,c', ',', 2)", "[a b,c]"}, {"split('a', ',', 2)", "[a]"}, {"strpos('hello', 'l', 2)", "4"}, {"strpos('hello', 'l', 3)", "0"},
	{"json_extract_scalar('{\"a\":[1]}', '$.a')", "NULL"}, {"json_extract_scalar('{\"a\":false}', '$.a')", "false"}, {"json_extract_scalar('nope', '$.a')", "NULL"},
	// Time: whole units, ISO weeks, no clock of another zone beside UTC.
	{"date_diff('hour', timestamp '2024-01-01 00:59:00', timestamp '2024-01-01 02:00:00')", "1"}, {"date_diff('month', date '2024-01-31', date '2024-02-29')", "1"}, {"date_diff('day', date '2024-01-03', date '2024-01-01')", "-2"},
	{"week(date '2021-01-03')", "53"}, {"day_of_week(date '2021-01-03')", "7"}, {"date_trunc('week', date '2021-01-03')", "2020-12-28"}, {"date '2024-01-05' - date '2024-01-01' = interval '4' day", "true"},
	{"to_iso8601(timestamp '2024-01-01 00:00:00' AT TIME ZONE 'UTC')", "2024-01-01T00:00:00.000Z"}, {"hour(from_unixtime(0) AT TIME ZONE 'Asia/Tokyo')", "9"}, {"date_format(from_unixtime(0, 'Asia/Tokyo'), '%H')", "09"},
	// Functions that DuckDB has not, or has in another form.
	{"format('%s-%05d-%.2f-%%', 'a', 42, 2.5)", "a-00042-2.50-%"}, {"format('%.1f|%.0f|%.2f', 2.25, 0.5e0, 1.005)", "2.3|1|1.01"}, {"format('%,d %x', 1234567, 255)", "1,234,567 ff"}, {"bit_count(7, 64)", "3"}, {"find_first(ARRAY[1, 5, 7], x -> x > 2)", "5"}, {"trim_array(ARRAY[1, 2, 3], 1)", "[1 2]"},
	{"ngrams(ARRAY['a', 'b', 'c'], 2)", "[[a b] [b c]]"}, {"zip(ARRAY[1, 2], ARRAY['a'])[2].field0", "2"}, {"map_filter(map(ARRAY['a', 'b'], ARRAY[1, 2]), (k, v) -> v > 1)['b']", "2"},
	{"cardinality(map_filter(map(ARRAY['a', 'b'], ARRAY[1, 2]), (k, v) -> k = 'a'))", "1"}, {"transform_values(map(ARRAY['a'], ARRAY[1]), (k, v) -> v + 1)['a']", "2"}, {"transform_keys(map(ARRAY['a'], ARRAY[1]), (k, v) -> upper(k))['A']", "1"},
	{"map_from_entries(ARRAY[ROW('a', 1)])['a']", "1"}, {"split_to_map('a=1,b=2=3', ',', '=')['b']", "2=3"}, {"width_bucket(5, 0, 10, 5)", "3"}, {"width_bucket(-1, 0, 10, 5)", "0"}, {"width_bucket(11, 0, 10, 5)", "6"}, {"normalize('abc')", "abc"},
	{"regexp_extract('abc', '(x)?abc', 1)", "NULL"}, {"regexp_extract('ac', '(a)|(b)', 2)", "NULL"}, {"regexp_extract('abc', 'a(x*)b', 1)", ""}, {"regexp_extract('abc', '(a|x)', 1)", "a"},
	{"regexp_replace('abc', '(?<x>b)', '[${x}]')", "a[b]c"}, {"regexp_extract('k=v', '(?<k>\\w)=(?<v>\\w)', 2)", "v"}, {"concat_ws(',', ARRAY['a', 'b'])", "a,b"}, {"concat_ws('-', 'x', ARRAY['a', 'b'], NULL, 'y')", "x-a-b-y"},
	{"max_by('a', 1, 2)", "[a]"}, {"typeof(1)", "integer"}, {"typeof('ab')", "varchar(2)"}, {"typeof(now())", "timestamp(3) with time zone"}, {"typeof(ARRAY[1.5e0])", "array(double)"}, {"typeof(date '2024-01-01')", "date"},
	{"regexp_position('23 a 5 b', '[a-z]')", "4"}, {"regexp_position('abc', 'z')", "-1"}, {"length(uuid())", "36"}, {"multimap_agg('a', 1)['a']", "[1]"}, {"listagg('a', ',') WITHIN GROUP (ORDER BY 1)", "a"},
}

// trinoQueries are whole queries of one value.
var trinoQueries = []struct{ text, want string }{
	{"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t", "15"},
	{"WITH RECURSIVE a(n) AS (VALUES (1) UNION ALL SELECT n * 2 FROM a WHERE n < 100), b AS (SELECT max(n) AS m FROM a) SELECT m FROM b", "128"},
	{"WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT (n + 1) % 3 FROM t) SELECT count(*) FROM t", "3"},
	{"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT count(*) FROM cloudtrail, t", "0"},
	{"SELECT count(*) FROM (VALUES (1), (2)) AS t(n) TABLESAMPLE BERNOULLI (100)", "2"},
	{"WITH t AS (SELECT * FROM (VALUES (1), (2)) AS v(n)) SELECT count(*) FROM t AS u TABLESAMPLE SYSTEM (0) WHERE u.n > 0", "0"},
	{"SELECT sum(n) FROM (VALUES 1, 2, -3 + 5) AS t(n)", "5"}, {"SELECT 'b' IN (VALUES 'a', 'b')", "true"}, {"SELECT 2 = ANY (VALUES 1, 2)", "true"}, {"VALUES 1, 2 ORDER BY 1 DESC LIMIT 1", "2"},
	{"SELECT at FROM (SELECT 7 AS at) AS t WHERE at > 1", "7"},
}

func TestTrino(t *testing.T) {
	opts := options(t)
	for _, c := range trinoCases {
		_, rows, err := run(t, "SELECT "+c.expr, opts, nil)
		if err != nil {
			t.Errorf("%s = %.400v, want %s", c.expr, err, c.want)
			continue
		}
		got := strings.TrimSuffix(strings.ReplaceAll(rows[0][0], "<nil>", "NULL"), " +0000 UTC")
		if got != c.want {
			t.Errorf("%s = %s, want %s", c.expr, got, c.want)
		}
	}
	for _, c := range trinoQueries {
		if _, rows, err := run(t, c.text, opts, nil); err != nil || rows[0][0] != c.want {
			t.Errorf("%s = %v, %v, want %s", c.text, rows, err, c.want)
		}
	}
}

// TestTrinoRefuses holds what is an error in Trino, and what would have another
// answer there.
func TestTrinoRefuses(t *testing.T) {
	opts := options(t)
	for _, c := range []struct{ expr, want string }{
		{"1 / 0", "division by zero"}, {"1 % 0", "division by zero"}, {"1.0 / 0", "division by zero"}, {"cast('1.5' AS integer)", "1.5"}, {"cast('yes' AS boolean)", "yes"},
		{"ARRAY[1, 2][0]", "count from 1"}, {"ARRAY[1, 2][-1]", "count from 1"}, {"element_at(ARRAY[1], 0)", "count from 1"}, {"transform(ARRAY[0], i -> ARRAY[1][i])", "less than 1"},
		{"now() > now() AT TIME ZONE 'Asia/Tokyo'", "AT TIME ZONE"}, {"now() BETWEEN now() AND now() AT TIME ZONE 'Asia/Tokyo'", "AT TIME ZONE"}, {"date_diff('hour', now(), now() AT TIME ZONE 'Asia/Tokyo')", "AT TIME ZONE"},
		{"now() - now() AT TIME ZONE 'Asia/Tokyo'", "AT TIME ZONE"}, {"to_iso8601(now() AT TIME ZONE 'Asia/Tokyo')", "AT TIME ZONE"}, {"to_unixtime(now() AT TIME ZONE 'Asia/Tokyo')", "AT TIME ZONE"},
		{"format('%s')", "more values"}, {"format('%q', 1)", "not supported"}, {"bit_count(1, 8)", "64 bits"}, {"regexp_position('a', '^a')", "^"}, {"width_bucket(1, 2, 2, 3)", "bounds"}, {"split('a', ',', 0)", "limit"},
		{"trim_array(ARRAY[1], 2)", "more elements"}, {"ngrams(ARRAY[1], 0)", "length"}, {"split_to_map('a', ',', '=')", "separator"}, {"map_filter(1, (k, v) -> true)", "map"},
		{"lower('1') + 1", "text and a number"}, {"lower('1') * lower('2')", "* of text"}, {"- lower('1')", "- of text"}, {"regexp_like('a', '(?=b)')", "look-around"}, {"regexp_like('a', '(')", "missing closing )"}, {"regexp_replace('a', 'a', '${x}')", "no group"}, {"max_by(1, 2, 0)", "number of values"},
	} {
		_, _, err := run(t, "SELECT "+c.expr, opts, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %.300v, want one with %q", c.expr, err, c.want)
		}
	}
}

// TestGroupedFields takes fields out of a column that GROUP BY names whole.
func TestGroupedFields(t *testing.T) {
	opts := options(t)
	for _, q := range []string{
		"SELECT useridentity.arn, count(*) FROM cloudtrail GROUP BY useridentity ORDER BY useridentity.arn",
		"SELECT useridentity, useridentity.type, count(*) FROM cloudtrail GROUP BY 1, 2",
		"SELECT element_at(requestparameters, 'bucketName') AS b FROM cloudtrail WHERE requestparameters IS NOT NULL GROUP BY requestparameters HAVING count(*) > 0",
		"SELECT c.useridentity.sessioncontext.attributes.mfaauthenticated FROM cloudtrail AS c WHERE c.useridentity.type = 'IAMUser' GROUP BY c.useridentity",
		"SELECT t.rulegroupid, cardinality(t.nonTerminatingMatchingRules) FROM waf_logs CROSS JOIN UNNEST(rulegrouplist) AS t(t) GROUP BY t",
		"SELECT label.name, count(*) FROM waf_logs, UNNEST(CASE WHEN cardinality(labels) >= 1 THEN labels ELSE ARRAY[cast(row('NOLABEL') AS row(name varchar))] END) AS t(label) GROUP BY label.name",
		"SELECT a, b, n FROM UNNEST(ARRAY[1, 2, 3], ARRAY['x']) WITH ORDINALITY AS t(a, b, n) WHERE n = 3 AND a = 3 AND b IS NULL",
		"SELECT count(*) FROM vpc_flow_logs WHERE start >= current_timestamp - interval '1' hour AND \"end\" BETWEEN now() - interval '1' day AND now()",
		"SELECT count(*) FROM waf_logs WHERE from_unixtime(timestamp / 1000) > now() AND timestamp > now()",
		"SELECT eventname name, date_trunc('day', from_iso8601_timestamp(eventtime)) day, array_agg(eventid) names, useridentity.type type FROM cloudtrail GROUP BY 1, 2, 4",
		"SELECT day, year, interval '1' day, date '2024-01-01' + interval '2' hour, extract(hour FROM now()), now() AT TIME ZONE 'UTC' FROM cloudtrail WHERE month = '01' OR day IS NULL",
		"SELECT name, sum(n) total FROM (SELECT eventname name, count(*) n FROM cloudtrail GROUP BY 1) GROUP BY name ORDER BY name",
		"SELECT row_number() OVER (PARTITION BY eventname ORDER BY eventtime ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) position FROM cloudtrail",
		"SELECT if(labels IS NULL, ARRAY['a'], labels), coalesce(labels, ARRAY['a']) FROM waf_logs",
		"SELECT count(*) FROM default.cloudtrail_logs", "SELECT count(*) FROM \"default\".cloudtrail_logs",
	} {
		if _, _, err := run(t, q, opts, tableData); err != nil {
			t.Errorf("run(%s) = %v", q, err)
		}
	}
	_, _, err := run(t, "SELECT useridentity.arn FROM cloudtrail GROUP BY requestparameters", opts, tableData)
	if err == nil || errors.As(err, new(*plan.Error)) {
		t.Errorf("a field of another column = %v, want the engine's error", err)
	}
}

// TestFailedCasts holds that a constant that cannot be read is shown where it
// stands, with what was expected.
func TestFailedCasts(t *testing.T) {
	opts := options(t)
	for _, c := range []struct {
		query     string
		line, col int
		msg       string
	}{
		{"SELECT CAST('x' AS integer)", 1, 13, "'x' cannot be read: expected a whole number"},
		{"SELECT CAST('1.5' AS bigint)", 1, 13, "'1.5' cannot be read: expected a whole number"},
		{"SELECT 1,\n  CAST('300' AS tinyint)", 2, 8, "'300' cannot be read: expected a whole number"},
		{"SELECT CAST('abc' AS double)", 1, 13, "'abc' cannot be read: expected a number"},
		{"SELECT DECIMAL 'abc'", 1, 16, "'abc' cannot be read: expected a number"},
		{"SELECT CAST('yes' AS boolean)", 1, 13, "'yes' cannot be read: expected true or false"},
		{"SELECT DATE '2024-13-01'", 1, 13, "'2024-13-01' cannot be read: expected a day"},
		{"SELECT CAST('' AS date)", 1, 13, "'' cannot be read: expected a day"},
		{"SELECT TIMESTAMP 'yesterday'", 1, 18, "'yesterday' cannot be read: expected a time"},
		{"SELECT from_iso8601_timestamp('2024-99-01T00:00:00Z')", 1, 31, "'2024-99-01T00:00:00Z' cannot be read: expected a time"},
		{"SELECT count(*) FROM vpc_flow WHERE dstport = 'ssh'", 1, 47, "'ssh' cannot be read: expected a whole number"},
		{"SELECT count(*) FROM cloudtrail WHERE \"@timestamp\" > 'soon'", 1, 54, "'soon' cannot be read: expected a time"},
		{"SELECT CAST(lower('X') AS integer)", 0, 0, "a value in the records cannot be read: expected a whole number"},
	} {
		q, err := Prepare(c.query, opts)
		if err != nil {
			t.Errorf("Prepare(%s) = %v", c.query, err)
			continue
		}
		final, err := q.SQL(func(i int, fields []plan.FieldRef) (plan.Relation, error) {
			return relationOf(tableData[q.Scans()[i].Kind], fields), nil
		})
		if err != nil {
			t.Errorf("SQL(%s) = %v", c.query, err)
			continue
		}
		rows, err := duck(t).QueryContext(t.Context(), final)
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		if err == nil {
			t.Errorf("%s: no error", c.query)
			continue
		}
		_, said, _ := strings.Cut(err.Error(), "Error: ")
		if e := q.Fault(said); e == nil || e.Line != c.line || e.Col != c.col || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%s: %v of %q, want line %d, column %d: %s", c.query, e, said, c.line, c.col, c.msg)
		}
	}
}

// TestErrorsSayWhereAndWhat holds the place and the help of errors in SQL.
func TestErrorsSayWhereAndWhat(t *testing.T) {
	opts := options(t)
	for _, c := range []struct {
		query     string
		line, col int
		msg, hint string
	}{
		{"SELEC * FROM cloudtrail", 1, 1, "SELEC", "did you mean SELECT?"},
		{"SELECT * FORM cloudtrail", 1, 15, "syntax error", "did you mean FROM?"},
		{"SELECT *\nFROM cloudtrail\nORDER eventname", 3, 7, "syntax error", "expected BY"},
		{"SELECT nvl(eventname, 'x') FROM cloudtrail", 1, 8, "is not known", "write coalesce(a, b)"},
		{"SELECT requestparameters->>'x' FROM cloudtrail", 1, 25, "is not known", "json_extract_scalar"},
		{"SELECT TOP 10 eventname FROM cloudtrail", 1, 12, "syntax error", "LIMIT at the end"},
		{"fields @timestamp | limit 5", 1, 1, "syntax error", "Logs Insights QL"},
		{"SELECT eventname FROM cloudtrail LIMIT 5, 10", 0, 0, "cannot be parsed", "OFFSET m LIMIT n"},
		{"SELECT * FROM cloudtrail WERE eventname = 'x'", 1, 31, "syntax error", "did you mean WHERE?"},
		{"SELECT eventname count(*) FROM cloudtrail", 1, 23, "syntax error", "expected a comma before count"},
		{"SELECT * FROM cloudtrail WHERE", 1, 31, "end of input", "ends too early"},
		{"SELECT eventnam FROM cloudtrail", 1, 8, `column "eventnam" is not known`, "did you mean event"},
		{"SELECT useridentity.usernam FROM cloudtrail", 1, 8, "is not known", "did you mean useridentity.username?"},
		{"SELECT * FROM cloudtral", 1, 15, `table "cloudtral" is not known`, "did you mean cloudtrail?"},
		{"SELECT * FROM cloudtrail WHERE eventname = \"ConsoleLogin\"", 1, 44, "is not known", "single quotes: 'ConsoleLogin'"},
		{"SELECT json_extract_scaler(requestparameters, '$.x') FROM cloudtrail", 1, 8, "is not known", "did you mean json_extract_scalar?"},
		{"SELECT substr(eventname) FROM cloudtrail", 1, 8, "substr: 1 arguments; it takes 2 to 3", ""},
		{"SELECT row_number() FROM cloudtrail", 1, 8, "row_number is a window function", "OVER"},
		{"SELECT date_trunc('fortnight', now())", 1, 8, `unit "fortnight" is not known; the units are`, ""},
		{"SELECT a.eventname FROM cloudtrail b", 1, 8, `column "a.eventname" is not known`, ""},
		{"SELECT eventname FROM cloudtrail a, cloudtrail b", 1, 8, "is in several tables: a, b", "write TABLE.eventname"},
		{"SELECT * FROM cloudtrail WHERE eventname = 'x", 1, 44, "string without an end", "expected '"},
		{"SELECT `eventname FROM cloudtrail", 1, 8, "quoted name without an end", "expected `"},
		{"DELETE FROM cloudtrail", 1, 1, "only SELECT", ""},
		{"SELECT * FROM cloudtrail LIMIT x", 1, 32, "LIMIT must be a whole number", ""},
		{"SELECT filter(ARRAY[1], 1)", 1, 8, "argument 2 must be a lambda", ""},
		{"SELECT transform(ARRAY[1], (x, y) -> x)", 1, 35, "takes 1 parameters, not 2", ""},
		{"SELECT CAST(eventname AS foo) FROM cloudtrail", 1, 8, `type "foo" is not known`, ""},
		{"SELECT * FROM cloudtrail a JOIN cloudtrail a ON true", 1, 33, "is in FROM twice", ""},
		{"SELECT json_object('a': 1)", 1, 23, "syntax error", "json_object('a': 1) is not supported"},
		{"SELECT * FROM cloudtrail MATCH_RECOGNIZE (PATTERN (A))", 1, 51, "syntax error", "MATCH_RECOGNIZE is not supported"},
		{"SELECT 1 FROM cloudtrail ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES", 1, 56, "syntax error", "WITH TIES is not supported"},
		{"SELECT checksum(eventid) FROM cloudtrail", 1, 8, "is not known", "Trino's own hash"},
		{"SELECT st_point(1, 2)", 1, 8, "is not known", "geospatial"},
		{"SELECT array_sort(ARRAY[3, 1], (a, b) -> 1)", 1, 8, "2 arguments; it takes 1", "a lambda is not supported"},
		{"SELECT approx_percentile(1, 2, 0.5)", 1, 8, "3 arguments; it takes 2", "weights are not supported"},
		{"SELECT eventname FROM cloudtrail\nUNION ALL\nSELECT eventname, eventid FROM cloudtrail", 3, 8, "UNION of 1 and 2 columns", "as many"},
		{"SELECT 1 EXCEPT (SELECT 2, 3)", 1, 25, "EXCEPT of 1 and 2 columns", ""},
		{"SELECT eventname FROM cloudtrail WHERE count(*) > 1", 1, 40, "WHERE holds an aggregate, count", "HAVING"},
		{"SELECT eventname FROM cloudtrail WHERE eventid = 'x' AND 1 < max(eventtime)", 1, 62, "WHERE holds an aggregate, max", "HAVING"},
		{"SELECT 1 FROM cloudtrail GROUP BY count(*)", 1, 35, "GROUP BY holds an aggregate, count", "subquery"},
		{"SELECT 1 FROM cloudtrail a JOIN cloudtrail b ON max(a.eventid) = b.eventid", 1, 49, "ON holds an aggregate, max", "subquery"},
		{"SELECT max(count(*)) FROM cloudtrail", 1, 12, "count stands inside max", "subquery"},
		{"SELECT 1 FROM cloudtrail WHERE row_number() OVER (ORDER BY eventtime) = 1", 1, 32, "WHERE holds a window function, row_number", "subquery"},
		{"SELECT count(*) FROM cloudtrail WHERE eventtime > 2024-01-01", 1, 51, "text is compared with a number", "quotes: '2024"},
		{"SELECT count(*) FROM cloudtrail WHERE 2024-01-01 <= eventtime", 1, 39, "text is compared with a number", "quotes: '2024"},
		{"SELECT count(*) FROM cloudtrail WHERE eventtime BETWEEN '2024-01-01' AND 2024-02-01", 1, 74, "text is compared with a number", "quotes: '2024"},
		{"SELECT count(*) FROM cloudtrail WHERE \"@timestamp\" > 1717149600", 1, 54, "a time is compared with a number", "from_unixtime"},
		{"SELECT count(*) FROM cloudtrail WHERE useridentity.accountid = 123456789012", 1, 64, "text is compared with a number", "quotes around the number"},
		{"SELECT count(*) FROM cloudtrail WHERE eventname IN ('a', 5)", 1, 58, "text is compared with a number", "quotes around the number"},
	} {
		_, _, err := run(t, c.query, opts, nil)
		var e *plan.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want a *plan.Error", c.query, err)
			continue
		}
		if e.Line != c.line || e.Col != c.col || !strings.Contains(e.Msg, c.msg) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: line %d, column %d: %s; %s, want line %d, column %d: %s; %s", c.query, e.Line, e.Col, e.Msg, e.Hint, c.line, c.col, c.msg, c.hint)
		}
	}
}
