package athena

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trailward/query/plan"
)

// TestEscapes tries ways out of the tables. Each must be refused by Prepare
// itself, not by what DuckDB makes of the text later.
func TestEscapes(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "escape")
	opts := options(t)
	for _, q := range []string{
		// The acceptance check's own.
		"SELECT * FROM read_text('/etc/passwd')",
		"SELECT * FROM read_csv('/etc/passwd')",
		"SELECT * FROM '/etc/passwd'",
		"COPY (SELECT 1) TO '" + probe + "'",
		"ATTACH '/tmp/x.db'",
		"INSTALL httpfs",
		"LOAD json",
		"SET memory_limit='100GB'",
		"PRAGMA database_list",
		"SELECT * FROM read_parquet('/proc/self/fd/3')",
		"SELECT * FROM glob('/*')",
		"CREATE TABLE t AS SELECT 1",
		"DROP VIEW logs",
		"SELECT getenv('PATH')",
		"SELECT * FROM duckdb_settings()",
		"EXPORT DATABASE '/tmp/e'",
		"SELECT 1; SELECT 2",
		"SELECT * FROM range(100000000000) a, range(100000000000) b",
		"CALL pragma_version()",
		"SELECT content FROM read_blob('/proc/self/environ')",
		// Files as tables.
		`SELECT * FROM "/etc/passwd"`,
		"SELECT * FROM `/proc/self/environ`",
		`SELECT * FROM "x.parquet"`,
		`SELECT * FROM "db"."/tmp/x.csv"`,
		`SELECT * FROM cloudtrail, 'x.json'`,
		"SELECT * FROM cloudtrail JOIN read_json('/x') j ON true",
		"SELECT * FROM json_execute_serialized_sql('{}')",
		"SELECT * FROM query('SELECT 1')",
		"SELECT * FROM query_table('duckdb_settings')",
		"SELECT * FROM sqlite_master",
		"SELECT * FROM information_schema.tables",
		"SELECT * FROM pg_catalog.pg_class",
		"SELECT * FROM main.duckdb_functions()",
		"SELECT * FROM parquet_metadata('/proc/self/fd/3')",
		"SELECT * FROM repeat('x', 1000000000)",
		"SELECT * FROM generate_series(1, 1000000000000)",
		"SELECT * FROM sniff_csv('/etc/passwd')",
		"SELECT * FROM cloudtrail_x.y.z.a",
		// Hidden in every corner of a SELECT.
		"SELECT eventname FROM cloudtrail ORDER BY getenv('HOME')",
		"SELECT eventname FROM cloudtrail LIMIT (SELECT length(content) FROM read_text('/etc/passwd'))",
		"SELECT eventname FROM cloudtrail LIMIT getenv('X')",
		"SELECT eventname FROM cloudtrail LIMIT 10 OFFSET (SELECT 1 FROM read_text('/x'))",
		"SELECT count(*) FILTER (WHERE getenv('X') = '') FROM cloudtrail",
		"SELECT array_agg(eventname ORDER BY getenv('X')) FROM cloudtrail",
		"SELECT eventname FROM cloudtrail QUALIFY row_number() OVER (ORDER BY getenv('X')) = 1",
		"SELECT sum(1) OVER (PARTITION BY current_setting('x')) FROM cloudtrail",
		"SELECT sum(1) OVER (ORDER BY eventname ROWS BETWEEN getenv('X') PRECEDING AND CURRENT ROW) FROM cloudtrail",
		"SELECT lag(eventname, 1, getenv('X')) OVER (ORDER BY eventname) FROM cloudtrail",
		"SELECT read_text('x') OVER () FROM cloudtrail",
		"SELECT eventname FROM cloudtrail GROUP BY eventname, getenv('X')",
		"SELECT eventname FROM cloudtrail GROUP BY GROUPING SETS ((eventname), (getenv('X')))",
		"SELECT eventname FROM cloudtrail GROUP BY eventname HAVING getenv('X') = 'y'",
		"SELECT * FROM cloudtrail WHERE eventname IN (SELECT content FROM read_text('/etc/passwd'))",
		"SELECT * FROM cloudtrail WHERE EXISTS (SELECT * FROM read_text('/etc/passwd'))",
		"SELECT CASE WHEN true THEN getenv('X') END FROM cloudtrail",
		"SELECT try(getenv('X'))",
		"SELECT coalesce(NULL, getenv('X'))",
		"SELECT transform(ARRAY[1], x -> getenv('X'))",
		"SELECT transform(ARRAY[getenv('X')], x -> x)",
		"SELECT requestparameters[getenv('X')] FROM cloudtrail",
		"SELECT * FROM (VALUES (getenv('X'))) v(a)",
		"VALUES (getenv('X'))",
		"SELECT * FROM UNNEST(ARRAY[getenv('X')]) u(a)",
		"SELECT * FROM cloudtrail CROSS JOIN UNNEST(split(getenv('X'), ',')) u(a)",
		"SELECT * FROM cloudtrail TABLESAMPLE 10%",
		"SELECT * FROM cloudtrail AT (VERSION => getenv('X'))",
		"SELECT * FROM cloudtrail PIVOT (count(*) FOR eventname IN ('a'))",
		"PIVOT cloudtrail ON eventname",
		"SELECT * FROM (SUMMARIZE cloudtrail)",
		"SELECT * FROM (DESCRIBE cloudtrail)",

		"SELECT * FROM (SHOW ALL TABLES)",
		"SELECT COLUMNS('.*') FROM cloudtrail",
		"SELECT COLUMNS(c -> getenv('X') = '') FROM cloudtrail",
		"SELECT * EXCLUDE (eventname) FROM cloudtrail",
		"SELECT * REPLACE (getenv('X') AS eventname) FROM cloudtrail",
		"SELECT * RENAME (eventname AS x) FROM cloudtrail",
		"SELECT DISTINCT ON (getenv('X')) eventname FROM cloudtrail",
		"SELECT eventname COLLATE nocase FROM cloudtrail",
		"SELECT $1",
		"SELECT ?",
		"SELECT #1 FROM cloudtrail",
		"SELECT DEFAULT",
		"WITH a AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM a",
		"WITH a AS (SELECT 1) SELECT * FROM cloudtrail, (SELECT * FROM b) c",
		"WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
		"SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a",
		`WITH "@scan0" AS (SELECT 1) SELECT * FROM cloudtrail`,
		`SELECT * FROM "@scan0"`,
		`SELECT * FROM cloudtrail "@derived0", (SELECT 1)`,
		"SELECT 1 UNION ALL SELECT content FROM read_text('/etc/passwd')",
		"SELECT 1 UNION BY NAME SELECT 2",
		"INSERT INTO cloudtrail VALUES (1)",
		"UPDATE cloudtrail SET eventname = 'x'",
		"DELETE FROM cloudtrail",
		"VACUUM", "CHECKPOINT", "BEGIN", "USE x", "RESET memory_limit",
		"CREATE MACRO f() AS 1", "CREATE SECRET s (TYPE s3)", "PREPARE p AS SELECT 1", "EXECUTE p", "EXPLAIN ANALYZE SELECT 1",
		"SELECT * FROM cloudtrail POSITIONAL JOIN dns",
		"SELECT * FROM cloudtrail NATURAL JOIN dns",
		"SELECT * FROM cloudtrail ASOF JOIN dns ON cloudtrail.eventtime >= dns.query_timestamp",
		// Functions: settings, sequences, macros, sleeping, other schemas, by other spellings.
		"SELECT current_setting('memory_limit')",
		"SELECT getvariable('x')",
		"SELECT nextval('s')",
		"SELECT txid_current()",
		"SELECT version()",
		"SELECT pg_sleep(10)",
		"SELECT system.main.getenv('X')",
		"SELECT main.getenv('X')",
		`SELECT "getenv"('X')`,
		"SELECT GeTeNv('X')",
		"SELECT 'X'.getenv()",
		"SELECT current_user", "SELECT current_schemas(true)", "SELECT current_database()",
		"SELECT write_log('x')",
		"SELECT struct_pack(a := 1)",
		"SELECT unnest(ARRAY[1, 2])",
		"SELECT unnest([[1]], recursive := true)",
		"SELECT list_transform([1], x -> x)",
		"SELECT range(1000000000)",
		"SELECT generate_series(1, 1000000000)",
		"SELECT printf('%s', 1)", "SELECT format('{}', 1)", "SELECT bar(1, 2, 3)",
		"SELECT [x FOR x IN [1, 2]]",
		"SELECT json_serialize_sql('SELECT 1')",
		"SELECT json_execute_serialized_sql('x')",
		"SELECT cast('x' AS ENUM('a'))",
		"SELECT cast('x' AS main.foo)",
		"SELECT 1::BIT", "SELECT cast(1 AS VARINT)", "SELECT cast('a' AS GEOMETRY)",
	} {
		_, err := Prepare(q, opts)
		var pe *plan.Error
		if !errors.As(err, &pe) {
			t.Errorf("Prepare(%s) = %v, want a *plan.Error", q, err)
		}
	}
	if _, err := os.Stat(probe); err == nil {
		t.Errorf("a file was written")
	}
}

// TestBounds tries to make much of little. What the text does not show must be
// stopped when it runs.
func TestBounds(t *testing.T) {
	opts := options(t)
	for _, q := range []string{
		"SELECT sequence(1, 10000000000)",
		"SELECT sequence(1, 1000000000, 2)",
		"SELECT sequence(-9223372036854775807, 9223372036854775807)",
		"SELECT sequence(DATE '0001-01-01', DATE '9999-01-01')",
		"SELECT sequence(TIMESTAMP '2020-01-01 00:00:00', TIMESTAMP '2021-01-01 00:00:00', INTERVAL '1' SECOND)",
		"SELECT repeat('x', 1000000000)",
		"SELECT repeat('x', n) FROM (VALUES (1000000000)) v(n)",
		"SELECT lpad('x', 1000000000, 'y')",
		"SELECT rpad('x', n, 'y') FROM (VALUES (1000000000)) v(n)",
	} {
		if _, rows, err := run(t, q, opts, nil); err == nil {
			t.Errorf("run(%s) = %.100v, want an error", q, rows)
		}
	}
	// Doubling: in aliases, and in functions that need an argument twice.
	alias := "SELECT 'x' || eventname AS a0"
	for i := 1; i < 60; i++ {
		alias += fmt.Sprintf(", a%d || a%d AS a%d", i-1, i-1, i)
	}
	for name, q := range map[string]string{
		"aliases":   alias + " FROM cloudtrail",
		"greatest":  "SELECT " + strings.Repeat("greatest(", 60) + "eventname" + strings.Repeat(")", 60) + " FROM cloudtrail",
		"templates": "SELECT " + strings.Repeat("regexp_extract(", 60) + "eventname" + strings.Repeat(", 'x')", 60) + " FROM cloudtrail",
	} {
		if _, err := Prepare(q, opts); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("Prepare of doubled %s = %v, want that it is too large", name, err)
		}
	}
	deep := "SELECT " + strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900)
	if _, err := Prepare(deep, opts); err != nil {
		t.Logf("900 brackets: %v", err) // either is right: brackets leave no node
	}
	for name, q := range map[string]string{
		"nested calls": "SELECT " + strings.Repeat("abs(", 700) + "1" + strings.Repeat(")", 700),
		"subqueries":   "SELECT * FROM " + strings.Repeat("(SELECT * FROM ", 300) + "cloudtrail" + strings.Repeat(")", 300),
		"too long":     "SELECT '" + strings.Repeat("x", MaxText) + "'",
		"NUL":          "SELECT 'a\x00b'",
		"not UTF-8":    "SELECT '\xff'",
		"empty":        " -- nothing\n",
		"only ;":       ";",
	} {
		if _, err := Prepare(q, opts); err == nil {
			t.Errorf("Prepare of %s = nil, want an error", name)
		}
	}
}

// TestGuardTrees hands the guard trees that DuckDB's parser would not make.
func TestGuardTrees(t *testing.T) {
	const good = `{"error":false,"statements":[{"node":{"type":"SELECT_NODE","modifiers":[],"cte_map":{"map":[]},"select_list":[%EXPR%],"from_table":%FROM%,"where_clause":null,"group_expressions":[],"group_sets":[],"aggregate_handling":"STANDARD_HANDLING","having":null,"sample":null,"qualify":null%MORE%},"named_param_map":[]}]}`
	const constant = `{"class":"CONSTANT","type":"VALUE_CONSTANT","alias":"","query_location":7,"value":{"type":{"id":"INTEGER","type_info":null},"is_null":false,"value":1}}`
	const none = `{"type":"EMPTY","alias":"","sample":null,"query_location":1}`
	for _, c := range []struct {
		name, expr, from, more, want string
	}{
		{"good", constant, none, "", ""},
		{"unknown class", `{"class":"BOUND_REF","type":"BOUND_REF"}`, none, "", "bound ref"},
		{"unknown type", `{"class":"OPERATOR","type":"OPERATOR_UNPACK","children":[]}`, none, "", "operator unpack"},
		{"unknown member of an expression", strings.Replace(constant, `"alias"`, `"hidden":{"class":"X"},"alias"`, 1), none, "", "hidden"},
		{"unknown member of a query", constant, none, `,"extra":[]`, "extra"},
		{"unknown table reference", constant, `{"type":"COLUMN_DATA","alias":""}`, "", "COLUMN DATA"},
		{"unknown query node", constant, `{"type":"SUBQUERY","alias":"a","subquery":{"node":{"type":"CTE_NODE"}}}`, "", "CTE_NODE"},
		{"expression where a name should be", `{"class":"COLUMN_REF","type":"COLUMN_REF","column_names":[{"class":"FUNCTION"}]}`, none, "", "malformed"},
		{"expression as alias", `{"class":"COLUMN_REF","type":"COLUMN_REF","column_names":["a"],"alias":{"class":"X"}}`, none, "", "malformed"},
		{"text as expression", `"x"`, none, "", "malformed"},
		{"unknown modifier", constant, none, `,"modifiers":[{"type":"FOO_MODIFIER"}]`, "FOO_MODIFIER"},
		{"export state", `{"class":"FUNCTION","type":"FUNCTION","function_name":"sum","children":[],"export_state":true}`, none, "", "EXPORT_STATE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.NewReplacer("%EXPR%", c.expr, "%FROM%", c.from, "%MORE%", c.more).Replace(good)
			root, err := decodeTree(text)
			if err != nil {
				t.Fatal(err)
			}
			g := &guard{src: &source{}, function: userFunction}
			err = g.check(root)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("check(%s) = %v, want %q", text, err, c.want)
			}
		})
	}
}

// TestPlaces holds errors to their line and column.
func TestPlaces(t *testing.T) {
	opts := options(t)
	for _, c := range []struct {
		name, query string
		line, col   int
		want        string
	}{
		{"syntax", "SELECT a\nFROM cloudtrail\nWHER x = 1", 3, 6, "syntax error"},
		{"syntax after wide characters", "SELECT 'ééé' a b c", 1, 16, "syntax error"},
		{"column", "SELECT eventnam FROM cloudtrail", 1, 8, "did you mean eventname?"},
		{"column after wide characters", "SELECT 'é', eventnam\nFROM cloudtrail", 1, 13, "did you mean eventname?"},
		{"column after backticks", "SELECT `eventName`, `even``x` FROM cloudtrail", 1, 21, "not known"},
		{"nested column", "SELECT useridentity.arnn FROM cloudtrail", 1, 8, "did you mean useridentity.arn?"},
		{"table", "SELECT 1\nFROM cloudtrial_x\n", 2, 6, "not known"},
		{"table near", "SELECT 1 FROM vpc_flw", 1, 15, "did you mean vpc_flow?"},
		{"function", "SELECT json_extract_scalr(requestparameters, '$.a') FROM cloudtrail", 1, 8, "did you mean json_extract_scalar?"},
		{"argument count", "SELECT\n  split('a') FROM cloudtrail", 2, 3, "it takes 2"},
		{"string", "SELECT 'a\nFROM cloudtrail", 1, 8, "string without an end"},
		{"comment", "SELECT 1 /* x", 1, 10, "comment without an end"},
		{"backtick", "SELECT `a", 1, 8, "quoted name without an end"},
		{"two statements", "SELECT 1; SELECT 2", 0, 0, "2 statements"},
		{"no SELECT", "DROP TABLE x", 1, 1, "only SELECT"},
		{"ambiguous", "SELECT region FROM vpc_flow JOIN dns ON srcaddr = rcode", 1, 41, "several tables"},
		{"twice", "SELECT 1 FROM dns, dns", 1, 20, "twice"},
		{"json path", "SELECT json_extract(requestparameters, '$..a') FROM cloudtrail", 1, 8, ".. is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Prepare(c.query, opts)
			var pe *plan.Error
			if !errors.As(err, &pe) {
				t.Fatalf("Prepare(%s) = %v, want a *plan.Error", c.query, err)
			}
			if pe.Line != c.line || pe.Col != c.col || !strings.Contains(pe.Error(), c.want) {
				t.Errorf("Prepare(%s) = %v, want line %d, column %d, %q", c.query, pe, c.line, c.col, c.want)
			}
		})
	}
}
