package athena

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/query/plan"
)

// rowsOf is run's rows as one text.
func rowsOf(rows [][]string) string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, strings.ReplaceAll(strings.Join(r, " "), "<nil>", "NULL"))
	}
	return strings.Join(lines, "; ")
}

// TestKindOfRecord holds that in the table of all records kind and group are what
// a record is and where, whatever fields it has; elsewhere its own field goes first.
func TestKindOfRecord(t *testing.T) {
	opts := options(t)
	opts.Fields = func(trailward.Kind) []string { return []string{"kind", "group", "verb", "year"} }
	data := map[trailward.Kind][]record{
		trailward.KindK8sAudit: {{"@kind": "k8s.audit", "@log": "/audit", "kind": "Event", "group": "g", "verb": "get", "year": "1999"}},
		trailward.KindText:     {{"@kind": "text", "@log": "/text"}},
	}
	for _, c := range []struct{ query, want string }{
		{`SELECT kind, count(*) FROM logs GROUP BY kind ORDER BY kind`, "k8s.audit 1; text 1"},
		{`SELECT l.kind, "group" FROM logs l WHERE l.KIND = 'k8s.audit'`, "k8s.audit /audit"},
		{`SELECT count(*) FROM logs WHERE year = '1999'`, "0"},
		{`SELECT kind, "@kind" FROM k8s_audit`, "Event k8s.audit"},
	} {
		_, rows, err := run(t, c.query, opts, data)
		if got := rowsOf(rows); err != nil || got != c.want {
			t.Errorf("%s = %s, %v, want %s", c.query, got, err, c.want)
		}
	}
}

// TestExamined holds answers of Trino in which this engine was once found wrong.
func TestExamined(t *testing.T) {
	opts := options(t)
	for _, c := range []struct{ query, want string }{
		{"SELECT count_if(x) FROM (VALUES (CAST(NULL AS boolean))) AS t(x)", "0"},
		{"SELECT g, count_if(x > 1) FROM (VALUES ('a', NULL), ('a', NULL), ('b', 2), ('b', 1)) AS t(g, x) GROUP BY g ORDER BY g", "a 0; b 1"},
		{"SELECT count_if(x) FROM (SELECT true AS x) WHERE false", "0"},
		{"SELECT count_if(x) FILTER (WHERE NOT x) FROM (VALUES (true), (false)) AS t(x)", "0"},
		{"SELECT from_utf8(X'6869'), from_utf8(x'68 69'), to_hex(X''), to_hex(X'ff' || X'00'), X'6869' = to_utf8('hi'), typeof(X'00')", "hi hi  FF00 true varbinary"},
		// Rows become columns.
		{"SELECT a, b FROM UNNEST(ARRAY[ROW(1, 'x'), ROW(NULL, 'y')]) AS t(a, b)", "1 x; NULL y"},
		{"SELECT * FROM UNNEST(ARRAY[ROW(1, 'x')])", "1 x"},
		{"SELECT a + 1 FROM UNNEST(ARRAY[ROW(1)]) AS t(a)", "2"},
		{"SELECT a, b, n FROM UNNEST(ARRAY[ROW(1, 'x'), ROW(2, 'y')]) WITH ORDINALITY AS t(a, b, n) ORDER BY n", "1 x 1; 2 y 2"},
		{"SELECT a, b, c FROM UNNEST(ARRAY[ROW(1, 'x')], ARRAY[7, 8]) AS t(a, b, c) ORDER BY c", "1 x 7; NULL NULL 8"},
		{"SELECT s.n, u.a, u.b FROM (SELECT 5 AS n, CAST(ARRAY[ROW(1, 'x')] AS array(row(p bigint, q varchar))) AS l) AS s CROSS JOIN UNNEST(s.l) AS u(a, b)", "5 1 x"},
		{"SELECT u.p FROM UNNEST(CAST(ARRAY[ROW(1, 'x')] AS array(row(p bigint, q varchar)))) AS u WHERE q = 'x'", "1"},
		{"SELECT r.q FROM UNNEST(CAST(ARRAY[ROW(1, 'x')] AS array(row(p bigint, q varchar)))) AS u(r)", "x"},
		{"SELECT k, v FROM UNNEST(map_entries(map(ARRAY['a'], ARRAY[1]))) AS t(k, v)", "a 1"},
		{"SELECT a, b FROM UNNEST(zip(ARRAY[1, 2], ARRAY['x', 'y'])) AS t(a, b) ORDER BY a", "1 x; 2 y"},
		{"SELECT k, v FROM UNNEST(map(ARRAY['a'], ARRAY[1])) AS t(k, v)", "a 1"},
		// JSON to rows: fields in any case, others left out, missing ones null.
		{`SELECT r.a, r.b, r.c FROM (SELECT CAST(JSON '{"A":1,"x":2,"b":"y"}' AS row(a bigint, b varchar, c double)) AS r)`, "1 y NULL"},
		{`SELECT r.a, r.b FROM (SELECT CAST(json_parse('[1, "y"]') AS row(a bigint, b varchar)) AS r)`, "1 y"},
		{`SELECT CAST(json_parse('null') AS row(a bigint)) IS NULL, TRY_CAST(json_parse('"x"') AS row(a bigint)) IS NULL, TRY_CAST(json_parse('{"a":"x"}') AS row(a bigint)) IS NULL`, "true true true"},
		{`SELECT r.a.b[2].c, r.a.d FROM (SELECT CAST(json_parse('{"A":{"B":[{"c":1},{"C":2.5,"z":0}],"D":"2024-01-02T03:04:05Z"}}') AS row(a row(b array(row(c decimal(3, 1))), d timestamp))) AS r)`, "2.5 2024-01-02 03:04:05"},
		{`SELECT arn, n FROM UNNEST(CAST(json_parse('[{"ARN":"x","n":1.0,"o":[1]},{"arn":"y"},null]') AS array(row(arn varchar, n integer)))) AS t(arn, n)`, "x 1; y NULL; NULL NULL"},
		{`SELECT r.m['k'], r.l, json_format(r.j) FROM (SELECT CAST(json_parse('{"M":{"k":7},"l":["a",1.50],"j":{"q":1.50}}') AS row(m map(varchar, bigint), l array(varchar), j json)) AS r)`, `7 [a 1.50] {"q":1.50}`},
		{"SELECT CAST(JSON '1.5' AS bigint), CAST(JSON '7' AS integer), TRY_CAST(json_parse('\"1.5\"') AS bigint)", "2 7 NULL"},
		{`SELECT json_parse('"x"') = JSON '"x"', JSON '1' = json_parse('1'), json_format(JSON '{"a": 1}'), CAST('x' AS json) = JSON '"x"'`, `true true {"a":1} true`},
		// Lengths of text.
		{"SELECT CAST(DECIMAL '1.10' AS varchar), CAST(DECIMAL '-7' AS varchar), CAST(DECIMAL '0.12345' AS varchar)", "1.10 -7 0.12345"},
		{"SELECT CAST('abc' AS varchar(2)), CAST('é😀b' AS VARCHAR(2)), TRY_CAST('abc' AS varchar(9)), CAST(12 AS varchar(2)), TRY_CAST(123 AS varchar(2)), CAST(NULL AS varchar(2))", "ab é😀 abc 12 NULL NULL"},
		{"SELECT length(CAST('a' AS char(3))), CAST('abcd' AS char(2)), CAST('a' AS char(3)) = 'a', 'a' IN (CAST('a ' AS char(3)), 'b'), CAST('a' AS char(2)) || 'b', CAST(lower('A') AS char(3)) BETWEEN 'a' AND 'b'", "3 ab true true a b true"},
		{"SELECT typeof(1), x FROM (SELECT CAST('abc' AS varchar(1)) AS x) WHERE x = 'a'", "integer a"},
		{"SELECT format_datetime(timestamp '2024-01-02 03:04:05', 'HH:mm Z|ZZ|ZZZ %Z'), format_datetime(now(), 'z')", "03:04 +0000|+00:00|UTC %+0000 UTC"},
		{"SELECT parse_datetime('2024-01-02 03:04 +02:00', 'yyyy-MM-dd HH:mm ZZ'), parse_datetime('2024-01-02 03:04 +0200', 'yyyy-MM-dd HH:mm Z')", "2024-01-02 01:04:00 2024-01-02 01:04:00"},
		{"SELECT ARRAY[1] || 2, 0 || ARRAY[1], ARRAY[1] || ARRAY[2], ARRAY['a'] || lower('B') || 'c', ARRAY[ARRAY[1]] || ARRAY[ARRAY[2]]", "[1 2] [0 1] [1 2] [a b c] [[1] [2]]"},
		{"SELECT from_iso8601_date('2024-W01-1'), from_iso8601_date('2020-W53-7'), from_iso8601_date('2024-W02'), from_iso8601_date('2024-060'), from_iso8601_date('2024-02'), from_iso8601_date('2024'), from_iso8601_date('2024-05-06')", "2024-01-01 2021-01-03 2024-01-08 2024-02-29 2024-02-01 2024-01-01 2024-05-06"},
		// Rows of VALUES without brackets.
		{"VALUES true", "true"}, {"VALUES NULL", "NULL"}, {"VALUES -1, 2", "-1; 2"}, {"VALUES date '2024-01-02'", "2024-01-02"}, {"VALUES ARRAY[1, 2], ARRAY[3]", "[1 2]; [3]"},
		{"VALUES ROW(1, 'a'), (2, 'b')", "1 a; 2 b"}, {"VALUES (1), 2, ROW(3)", "1; 2; 3"}, {"VALUES (1) + 1, (2) * (3)", "2; 6"}, {"VALUES now()", "2024-05-06 07:08:09"}, {"VALUES if(1 = 1, 'a', 'b')", "a"},
		{"SELECT x FROM (VALUES CASE WHEN true THEN 1 END, abs(-2)) AS t(x) ORDER BY x", "1; 2"}, {"WITH t(x) AS (VALUES false) SELECT * FROM t UNION ALL VALUES true ORDER BY 1", "false; true"},
		{"WITH t AS (SELECT 1) VALUES 'a' || 'b' LIMIT 1", "ab"},
		{`SELECT "values" FROM (SELECT 1 AS "values")`, "1"},
		{"SELECT max(x, 2), min(x, 2), max(x, 5) FROM (VALUES 3, 1, NULL, 2) AS t(x)", "[3 2] [1 2] [3 2 1]"},
	} {
		_, rows, err := run(t, c.query, opts, nil)
		if got := rowsOf(rows); err != nil || got != c.want {
			t.Errorf("%s = %s, %.400v, want %s", c.query, got, err, c.want)
		}
	}
	for _, c := range []struct{ query, want string }{
		{`SELECT CAST(json_parse('{"a":"x"}') AS row(a bigint))`, "Could not convert string"},
		{`SELECT CAST(json_parse('"x"') AS row(a bigint))`, "Conversion Error"},
		{"SELECT CAST(x AS varchar(2)) FROM (VALUES 123) AS t(x)", "longer than varchar(2)"},
		{"SELECT CAST('a' AS char(0))", "line 1, column 8: the length of char(0) is out of range"},
		{"SELECT format_datetime(now() AT TIME ZONE 'Asia/Tokyo', 'Z')", "offset of a time AT TIME ZONE is not kept"},
		{"SELECT from_iso8601_date(lower('nope'))", "nope"},
		{"SELECT X'686'", "line 1, column 8: the binary literal is not understood"},
		{"SELECT 1, X'zz'", "line 1, column 11: the binary literal is not understood"},
		{"SELECT B'01'", "line 1, column 8: B'…' is no literal"},
		{"SELECT N'a'", "line 1, column 8: N'…' is no literal"},
	} {
		if _, _, err := run(t, c.query, opts, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v, want %s", c.query, err, c.want)
		}
	}
}

// TestDays holds that both published forms of the partition column day are
// understood, and that no record is left out before the condition is asked.
func TestDays(t *testing.T) {
	opts := options(t)
	data := map[trailward.Kind][]record{}
	for _, k := range []trailward.Kind{trailward.KindVPCFlow, trailward.KindCloudTrail, trailward.KindJSON} {
		for _, s := range []string{"2026-01-01T23:59:59Z", "2026-01-02T00:00:00Z", "2026-02-02T10:00:00Z", "2025-01-02T10:00:00Z"} {
			data[k] = append(data[k], record{"@timestamp": at(s)})
		}
	}
	for _, table := range []string{"vpc_flow", "cloudtrail", "json"} {
		own := map[string]string{"vpc_flow": "2026/01/01"}[table]
		if own == "" {
			own = "01"
		}
		for _, c := range []struct {
			cond string
			n    string
			span bool // the condition leaves out segments of another time
		}{
			{"year = '2026' AND month = '01' AND day = '01'", "1", true},
			{"year = '2026' AND month = '01' AND day = '02'", "1", true},
			{"day = '02'", "3", false},
			{"day IN ('01', '02') AND year = '2026'", "3", true},
			{"day = '2026/01/02'", "1", true},
			{"'2026-01-02' = day", "1", true},
			{"day >= '2026/01/02'", "2", true},
			{"day BETWEEN '2026/01/01' AND '2026/01/02'", "2", true},
			{"day NOT BETWEEN '2026-01-01' AND '2026-01-02'", "2", false},
			{"day IN ('2026/01/01', '2026/02/02')", "2", false},
			{"day NOT IN ('2026/01/01')", "3", false},
			{"day LIKE '2026/01/%'", "2", false},
			{"day = 2 AND month = 1 AND year = 2026", "1", true},
			{"CAST(day AS integer) = 2", "3", false},
			{"day = date '2026-01-02'", "1", false},
			{"CAST(day AS date) = date '2026-01-02'", "1", false},
			{"day = '" + own + "' AND year || month = '202601'", "1", false},
			{"day <> '2026/01/02' OR day = '02'", "4", false},
		} {
			query := "SELECT count(*) FROM " + table + " WHERE " + c.cond
			_, rows, err := run(t, query, opts, data)
			if got := rowsOf(rows); err != nil || got != c.n {
				t.Errorf("%s = %s, %.400v, want %s", query, got, err, c.n)
			}
			q, err := Prepare(query, opts)
			if err != nil {
				t.Errorf("Prepare(%s) = %v", query, err)
				continue
			}
			if narrowed := len(q.preds[0]) > 0; c.span && !narrowed {
				t.Errorf("%s reads all segments", query)
			}
			left := 0
			for _, rec := range data[trailward.KindJSON] {
				at := rec["@timestamp"].(time.Time).UnixMicro()
				if !slices.ContainsFunc(q.preds[0], func(p plan.Predicate) bool {
					return !slices.ContainsFunc(p.Any, func(a plan.Atom) bool { return a.Op != plan.AtomSpan || a.Span.From <= at && at <= a.Span.To })
				}) {
					left++
				}
			}
			if n, _ := strconv.Atoi(c.n); left < n {
				t.Errorf("%s leaves %d records before the condition is asked, want %s or more", query, left, c.n)
			}
		}
		for _, c := range []struct{ query, want string }{
			{"SELECT DISTINCT day FROM " + table + " WHERE day = '01' AND year = '2026'", own},
			{"SELECT day, count(*) FROM " + table + " WHERE day = '2026-01-01' GROUP BY day HAVING day = '" + own + "'", own + " 1"},
			{"SELECT count(*) FROM (SELECT day AS d FROM " + table + ") WHERE d = '" + own + "'", "1"},
		} {
			_, rows, err := run(t, c.query, opts, data)
			if got := rowsOf(rows); err != nil || got != c.want {
				t.Errorf("%s = %s, %.400v, want %s", c.query, got, err, c.want)
			}
		}
	}
	_, rows, err := run(t, "SELECT day, count(*) FROM vpc_flow GROUP BY day HAVING day LIKE '2026-01%' AND day IN ('01', '03')", opts, data)
	if got := rowsOf(rows); err != nil || got != "2026/01/01 1" {
		t.Errorf("HAVING with other forms = %s, %v, want 2026/01/01 1", got, err)
	}
}
