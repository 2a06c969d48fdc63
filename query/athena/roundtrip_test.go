package athena

import (
	"strings"
	"testing"
)

// TestRoundTrip runs spellings of which DuckDB's printer might lose something:
// each must run (the printed text is compared with the tree) and give its rows.
func TestRoundTrip(t *testing.T) {
	opts := options(t)
	const v = " FROM (VALUES (1, 'a', 1.5), (2, 'b', 2.5), (3, NULL, -3.5)) AS v(n, s, d)"
	for _, c := range []struct{ query, want string }{
		{"SELECT 123456789012, 9223372036854775807, 99999999999999999999, -5, 0.000001, 1e-7, 1.50, 2147483648", "123456789012 9223372036854775807 99999999999999999999 -5 0.000001 1e-07 1.5 2147483648"},
		{"SELECT -9223372036854775807 - 1", "-9223372036854775808"},
		{`SELECT 'it''s', 'a\nb', 'é😀', '', '--', '/*', ';', '"', '` + "`'", `it's a\nb é😀  -- /* ; " ` + "`"},
		{"SELECT true, false, NULL", "true false NULL"},
		{"SELECT E'a\\tb' = 'a' || chr(9) || 'b'", "true"},
		{"SELECT 'two\nlines', 'cr\r\n'", "two\nlines cr\r\n"},
		{"SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS w" + v + " ORDER BY n", "3; 6; 5"},
		{"SELECT sum(n) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS w" + v + " ORDER BY n", "1; 3; 5"},
		{"SELECT count(*) FILTER (WHERE n > 1) OVER (PARTITION BY s IS NULL) AS w" + v + " ORDER BY n", "1; 1; 1"},
		{"SELECT row_number() OVER w AS r" + v + " WINDOW w AS (ORDER BY n DESC) ORDER BY n", "3; 2; 1"},
		{"SELECT lag(s, 1, 'none') OVER (ORDER BY n NULLS FIRST) AS l" + v + " ORDER BY n", "none; a; b"},
		{"SELECT n" + v + " ORDER BY s NULLS FIRST, d DESC NULLS LAST", "3; 1; 2"},
		{"SELECT n" + v + " ORDER BY s DESC", "2; 1; 3"},
		{"SELECT n" + v + " ORDER BY n LIMIT 1 OFFSET 1", "2"},
		{"SELECT n" + v + " ORDER BY n OFFSET 1 LIMIT 1", "2"},
		{"SELECT n" + v + " ORDER BY n FETCH FIRST 2 ROWS ONLY", "1; 2"},
		{"SELECT n" + v + " ORDER BY -n LIMIT ALL", "3; 2; 1"},
		{"SELECT DISTINCT n % 2 AS m" + v + " ORDER BY m", "0; 1"},
		{"SELECT count(DISTINCT n % 2), array_agg(DISTINCT n % 2 ORDER BY n % 2)" + v, "2 [0 1]"},
		{"SELECT n" + v + " WHERE NOT (n = 1 OR s = 'b')", "<none>"},
		{"SELECT n" + v + " WHERE NOT n = 1 AND (s = 'b' OR s IS NULL) ORDER BY n", "2; 3"},
		{"SELECT n" + v + " WHERE n NOT IN (SELECT 1 UNION SELECT 2)", "3"},
		{"SELECT n" + v + " WHERE n NOT BETWEEN 1 AND 2", "3"},
		{"SELECT n" + v + " WHERE n >= ALL (SELECT 2) ORDER BY n", "2; 3"},
		{"SELECT n" + v + " WHERE n = ANY (SELECT 2)", "2"},
		{"SELECT n" + v + " WHERE NOT EXISTS (SELECT 1 WHERE n > 1)", "1"},
		{"SELECT n" + v + " WHERE s IS NOT DISTINCT FROM NULL", "3"},
		{"SELECT a.x FROM (SELECT 1 AS x) a JOIN ((SELECT 1 AS x) b JOIN (SELECT 1 AS x) c ON b.x = c.x) ON a.x = b.x", "1"},
		{"SELECT a.x, b.x FROM (SELECT 1 AS x) a LEFT JOIN ((SELECT 1 AS x) b JOIN (SELECT 2 AS x) c ON b.x = c.x) ON a.x = b.x", "1 NULL"},
		{"SELECT a.x, b.x FROM (SELECT 1 AS x) a RIGHT JOIN (SELECT 2 AS x) b ON a.x = b.x", "NULL 2"},
		{"SELECT a.x, b.x FROM (SELECT 1 AS x) a FULL OUTER JOIN (SELECT 2 AS x) b ON a.x = b.x ORDER BY 1 NULLS LAST", "1 NULL; NULL 2"},
		{"SELECT a.x, b.x FROM (SELECT 1 AS x) a, (SELECT 2 AS x) b CROSS JOIN (SELECT 3 AS x) c", "1 2"},
		{"SELECT a.x, b.x, c.x FROM (SELECT 1 AS x) a CROSS JOIN (SELECT 2 AS x) b JOIN (SELECT 1 AS x) c ON a.x = c.x", "1 2 1"},
		{"SELECT a.x, c.x FROM (SELECT 1 AS x) a CROSS JOIN (SELECT 2 AS x) b CROSS JOIN (SELECT 5 AS x) d LEFT JOIN (SELECT 1 AS x) c ON a.x = c.x", "1 1"},
		{"SELECT a.x, b.x, c.x FROM (SELECT 1 AS x) a, (SELECT 2 AS x) b JOIN (SELECT 2 AS x) c ON b.x = c.x", "1 2 2"},
		{"SELECT a.x, u.e, c.x FROM (SELECT ARRAY[1, 2] AS x) a CROSS JOIN UNNEST(a.x) AS u(e) JOIN (SELECT 2 AS x) c ON c.x = u.e", "[1 2] 2 2"},
		{"SELECT a.x FROM (SELECT 1 AS x) a LEFT JOIN ((SELECT 2 AS x) b CROSS JOIN (SELECT 2 AS x) c) ON b.x = a.x", "1"},
		{"SELECT reduce(ARRAY['a', 'bb'], 0, (s, x) -> s + length(x), s -> s), reduce(filter(ARRAY[1], x -> x > 1), 'none', (s, x) -> 'some', s -> s)", "3 none"},
		{"SELECT a.x, b.y FROM (SELECT 1 AS x) a CROSS JOIN LATERAL (SELECT a.x + 1 AS y) b", "1 2"},
		{"(SELECT 1 UNION ALL SELECT 2) EXCEPT SELECT 1", "2"},
		{"SELECT 1 UNION ALL (SELECT 2 EXCEPT SELECT 2)", "1"},
		{"SELECT 1 INTERSECT SELECT 1 UNION SELECT 1", "1"},
		{"(SELECT 3 AS x ORDER BY x LIMIT 1) UNION ALL (SELECT 2 ORDER BY 1 LIMIT 1) ORDER BY x", "2; 3"},
		{"WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) (SELECT x FROM a) UNION ALL (SELECT x FROM b) ORDER BY x", "1; 2"},
		{"WITH a(y) AS (WITH b AS (SELECT 5 AS z) SELECT z FROM b) SELECT y FROM a", "5"},
		{"SELECT (WITH b AS (SELECT 5 AS z) SELECT z FROM b) AS q", "5"},
		{`WITH "A b" AS (SELECT 1 AS "select") SELECT "A b"."select" FROM "A b"`, "1"},
		{"SELECT n, CASE n WHEN 1 THEN 'x' WHEN 2 THEN 'y' END AS c" + v + " ORDER BY n", "1 x; 2 y; 3 NULL"},
		{"SELECT s, grouping(s) AS g, count(*)" + v + " GROUP BY GROUPING SETS ((s), ()) ORDER BY g, s", "a 0 1; b 0 1; NULL 0 1; NULL 1 3"},
		{"SELECT n % 2 AS m, s IS NULL AS e, count(*) AS c" + v + " GROUP BY CUBE (n % 2, s IS NULL) ORDER BY 1 NULLS LAST, 2 NULLS LAST", "0 false 1; 0 NULL 1; 1 false 1; 1 true 1; 1 NULL 2; NULL false 2; NULL true 1; NULL NULL 3"},
		{"SELECT sum(n) AS t" + v + " GROUP BY n % 2 HAVING sum(n) > 2 AND t < 10", "4"},
		{"SELECT (n + 1) * 2 - -n AS x" + v + " ORDER BY n LIMIT 1", "5"},
		{"SELECT 2 - (1 - 1), 8 / (4 / 2), -(-(1))", "2 4 1"},
		{"SELECT NOT (NOT true), (true AND false) OR true, true AND (false OR true)", "true true true"},
		{"SELECT (1 = 1) = (2 = 2), (1 < 2) IS NULL", "true false"},
		{"SELECT 'a' || ('b' || 'c') LIKE 'a%'", "true"},
		{"SELECT cast(NULL AS row(\"a b\" varchar, c array(bigint)))", "NULL"},
		{"SELECT cast(row(1, ARRAY[2]) AS row(\"a b\" bigint, c array(bigint))).\"a b\"", "1"},
		{"SELECT map(ARRAY['k'], ARRAY[ARRAY[1, 2]])['k'][2]", "2"},
		{"SELECT transform(ARRAY[1, 2], x -> transform(ARRAY[10], y -> x + y)[1])", "[11 12]"},
		{"SELECT transform(ARRAY['a'], s -> s || 'é''\"')", `[aé'"]`},
		{"SELECT reduce(ARRAY[5, 20], cast(row(0, 0) AS row(total bigint, n bigint)), (s, x) -> cast(row(s.total + x, s.n + 1) AS row(total bigint, n bigint)), s -> s.total / s.n)", "12"},
		{"SELECT interval '1' day + interval '2' hour = interval '26' hour, timestamp '2024-01-31 00:00:00' + interval '1' month", "true 2024-02-29"},
		{"SELECT try_cast('x' AS integer) IS NULL, try(1 / 0) IS NULL", "true true"},
		{"SELECT x FROM UNNEST(ARRAY[3, 4]) WITH ORDINALITY AS t(x, i) WHERE i = 2", "4"},
		{"SELECT t.x + u.y AS z FROM UNNEST(ARRAY[1]) AS t(x), UNNEST(sequence(t.x, 3)) AS u(y) ORDER BY z", "2; 3; 4"},
		{"SELECT x FROM (SELECT ARRAY[1, 2] AS a) s CROSS JOIN UNNEST(s.a) AS t(x) ORDER BY x DESC", "2; 1"},
		{"SELECT count(*) FROM (SELECT 1 WHERE false)", "0"},
		{"SELECT 1 AS \"a\"\"b\", 2 AS \"SELECT\"", "1 2"},
		{"SELECT v.* " + v + " WHERE n = 1", "1 a 1.5"},
		{"SELECT *, n + 1 AS m" + v + " WHERE n = 1", "1 a 1.5 2"},
		{"SELECT max(n) FILTER (WHERE s IS NOT NULL) AS m, max_by(s, n) FILTER (WHERE s IS NOT NULL) AS s" + v, "2 b"},
		{"SELECT substring('hello' FROM 2 FOR 3), position('l' IN 'hello'), trim(TRAILING 'o' FROM 'hello'), extract(year FROM date '2024-01-01')", "ell 3 hell 2024"},
		{"SELECT 5 % 3, 5 IN (5), 5 NOT IN (1, 2), 1 <> 2, 1 != 1", "2 true true true false"},
	} {
		_, rows, err := run(t, c.query, opts, nil)
		if err != nil {
			t.Errorf("run(%s) = %.500v", c.query, err)
			continue
		}
		var lines []string
		for _, r := range rows {
			lines = append(lines, strings.ReplaceAll(strings.Join(r, " "), "<nil>", "NULL"))
		}
		got := strings.Join(lines, "; ")
		if len(rows) == 0 {
			got = "<none>"
		}
		if got != c.want {
			t.Errorf("run(%s) = %q, want %q", c.query, got, c.want)
		}
	}
}
