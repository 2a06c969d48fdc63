package athena

import (
	"strings"
	"testing"

	"trailward"
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
	opts.Fields = func(trailward.Kind) []string { return []string{"kind", "group", "verb"} }
	data := map[trailward.Kind][]record{
		trailward.KindK8sAudit: {{"@kind": "k8s.audit", "@log": "/audit", "kind": "Event", "group": "g", "verb": "get"}},
		trailward.KindText:     {{"@kind": "text", "@log": "/text"}},
	}
	for _, c := range []struct{ query, want string }{
		{`SELECT kind, count(*) FROM logs GROUP BY kind ORDER BY kind`, "k8s.audit 1; text 1"},
		{`SELECT l.kind, "group" FROM logs l WHERE l.KIND = 'k8s.audit'`, "k8s.audit /audit"},
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
	} {
		_, rows, err := run(t, c.query, opts, nil)
		if got := rowsOf(rows); err != nil || got != c.want {
			t.Errorf("%s = %s, %.400v, want %s", c.query, got, err, c.want)
		}
	}
	for _, c := range []struct{ query, want string }{
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
