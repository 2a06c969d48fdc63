package query

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/query/plan"
)

// insightsStore has an audit part, a flow part, a text part and a JSON part.
func insightsStore(t testing.TB) []Part {
	var audit []fakeRow
	for i := range 100 {
		verb := []string{"get", "list", "create", "delete"}[i%4]
		f := map[string]any{"verb": verb, "user.username": fmt.Sprint("user-", i%7), "responseStatus.code": 200 + i%3, `annotations.authorization\.k8s\.io/decision`: "allow"}
		if i%10 == 0 {
			f["requestObject"] = fmt.Sprintf(`{"metadata":{"name":"pod-%d"},"spec":{"containers":[{"image":"nginx:%d"}]}}`, i, i)
		}
		audit = append(audit, row(i, fmt.Sprintf(`{"kind":"Event","verb":%q,"n":%d}`, verb, i), f))
	}
	flow := []fakeRow{
		row(1000, "2 1 eni-1 10.0.0.1 10.0.0.2 1 443 6 5 500 100 160 ACCEPT OK", map[string]any{"srcaddr": "10.0.0.1", "dstport": 443, "bytes": 500, "action": "ACCEPT"}),
		row(1001, "2 1 eni-1 10.0.0.9 10.0.0.2 1 22 6 5 40 100 160 REJECT OK", map[string]any{"srcaddr": "10.0.0.9", "dstport": 22, "bytes": 40, "action": "REJECT"}),
	}
	return []Part{
		newPart(t, "audit", "/eks/prod/audit", trailward.KindK8sAudit, textFields("verb", "user.username", "responseStatus.code#", `annotations.authorization\.k8s\.io/decision`, "requestObject{"), audit),
		newPart(t, "flow", "/vpc", trailward.KindVPCFlow, textFields("srcaddr", "dstport#", "bytes#", "action"), flow),
		newPart(t, "text", "/var/log", trailward.KindText, textFields("@message"), []fakeRow{row(2000, "disk full \xff on sda1", nil), row(2001, "all is well", map[string]any{"@message": "all is well"})}),
	}
}

func TestInsights(t *testing.T) {
	e, store := newEngine(t, insightsStore(t)...)
	for _, c := range []struct {
		text string
		want string // JSON lines, without @ptr
	}{
		{"stats count(*) as n", `{"n":"104"}`},
		{"filter verb = 'get' | stats count(*) as n by user.username | sort n desc, user.username asc | limit 2", `{"user.username":"user-0","n":"4"}` + "\n" + `{"user.username":"user-1","n":"4"}`},
		{"filter responseStatus.code >= 202 | stats count(*) as n", `{"n":"33"}`},
		{"filter `annotations.authorization.k8s.io/decision` = 'allow' | stats count(*) as n", `{"n":"100"}`},
		{"filter requestObject.spec.containers.0.image = 'nginx:30' | fields requestObject.metadata.name as name, verb", `{"name":"pod-30","verb":"create"}`},
		{"filter @message like /disk.*sda/ | fields @message, @logStream", `{"@message":"disk full ` + "\uFFFD" + ` on sda1","@logStream":"s"}`},
		{"filter dstPort = 22 and action = 'REJECT' | fields srcAddr, bytes", `{"srcAddr":"10.0.0.9","bytes":"40"}`},
		{"filter ispresent(srcAddr) | stats sum(bytes) as b, avg(bytes) as a by bin(1h)", `{"bin(1h)":"2026-01-02 00:00:00.000","b":"540","a":"270"}`},
		{"filter @log = '111122223333:/vpc' | stats count(*) as n", `{"n":"2"}`},
		{"fields @timestamp, @message | sort @timestamp desc | limit 1", `{"@timestamp":"2026-01-02 00:33:21.000","@message":"all is well"}`},
		{"parse @message '\"n\":*}' as n | filter n = 42 | fields n, verb", `{"n":"42","verb":"create"}`},
		{"filter nosuchfield = 1 | fields @message", ``},
	} {
		r, err := e.Query(t.Context(), Request{Text: c.text})
		var lines []string
		if err == nil {
			var b strings.Builder
			err = WriteJSON(&b, r, Insights)
			for line := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
				line, _, _ = strings.Cut(line, `,"@ptr"`)
				lines = append(lines, strings.TrimSuffix(line, "}"))
			}
			r.Close()
		}
		want := strings.ReplaceAll(c.want, "}\n", "\n")
		if got := strings.Join(lines, "\n"); err != nil || got != strings.TrimSuffix(want, "}") {
			t.Errorf("%s\n got %s, %v\nwant %s", c.text, got, err, want)
		}
	}
	r, err := e.Query(t.Context(), Request{Text: "stats count(*) as n", Groups: []string{"/eks/*"}, Start: epoch, End: epoch.Add(9 * time.Second)})
	got, err := read(r, err)
	if err != nil || got[0][0] != int64(10) {
		t.Errorf("ten seconds of a group = %v, %v", got, err)
	}
	if store.last.Groups[0] != "/eks/*" || store.last.Start != epoch {
		t.Errorf("selection = %+v", store.last)
	}
	r, err = e.Query(t.Context(), Request{Text: "fields verb | limit 1"})
	got, err = read(r, err)
	if cols := r.Columns(); err != nil || len(cols) != 2 || cols[1] != (Column{Name: "@ptr", Type: plan.Text, Hidden: true}) {
		t.Errorf("columns of records = %+v, %v", cols, err)
	}
	if id, _, err := ParsePointer(got[0][1].(string)); err != nil || id == "" {
		t.Errorf("pointer = %v", got)
	}
}

func TestInsightsFaults(t *testing.T) {
	e, store := newEngine(t, insightsStore(t)...)
	for _, text := range []string{"filter", "stats count(", "fields | | limit"} {
		_, err := e.Query(t.Context(), Request{Text: text})
		var fault *Error
		if !errors.As(err, &fault) || fault.Line == 0 {
			t.Errorf("%s: %v, want an *Error with its place", text, err)
		}
	}
	if _, err := e.Query(t.Context(), Request{Text: "limit 1", Start: epoch, End: epoch.Add(-1)}); err == nil {
		t.Error("a range that ends before it begins gave no error")
	}
	if n := store.open.Load(); n != 0 {
		t.Errorf("%d snapshots open", n)
	}
}

func TestSQL(t *testing.T) {
	e, store := newEngine(t, insightsStore(t)...)
	for _, c := range []struct{ text, want string }{
		{"SELECT count(*) AS n FROM logs", `{"n":104}`},
		{"SELECT verb, count(*) AS n FROM k8s_audit GROUP BY verb ORDER BY verb LIMIT 2", `{"verb":"create","n":25}` + "\n" + `{"verb":"delete","n":25}`},
		{"SELECT srcaddr, dstport, bytes * 2 AS twice FROM vpc_flow WHERE action = 'REJECT'", `{"srcaddr":"10.0.0.9","dstport":22,"twice":80}`},
		{`SELECT a.verb, b.verb AS v2 FROM k8s_audit a JOIN k8s_audit b ON a.verb = b.verb AND a."user.username" = b."user.username" ORDER BY a.verb LIMIT 1`, `{"verb":"create","v2":"create"}`},
		{"SELECT count(*) AS n FROM cloudtrail", `{"n":0}`},
		{"SELECT 1 AS a, 'x' AS b, NULL AS c, true AS d", `{"a":1,"b":"x","c":null,"d":true}`},
		{"SELECT count(*) AS n FROM mine WHERE srcaddr LIKE '10.%'", `{"n":2}`},
	} {
		r, err := e.Query(t.Context(), Request{Language: SQL, Text: c.text, Tables: map[string]string{"mine": "aws.vpcflow"}})
		var b strings.Builder
		if err == nil {
			err = WriteJSON(&b, r, SQL)
			r.Close()
		}
		if got := strings.TrimSpace(b.String()); err != nil || got != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.text, got, err, c.want)
		}
	}
	if _, err := e.Query(t.Context(), Request{Language: SQL, Text: "SELECT 1", Tables: map[string]string{"x": "nonsense"}}); err == nil || !strings.Contains(err.Error(), "k8s.audit") {
		t.Errorf("an unknown kind: %v", err)
	}
	if n := store.open.Load(); n != 0 {
		t.Errorf("%d snapshots open", n)
	}
}

// TestSQLStaysInside tries to leave the tables by the language.
func TestSQLStaysInside(t *testing.T) {
	e, _ := newEngine(t, insightsStore(t)...)
	for _, text := range []string{
		"SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "COPY (SELECT 1) TO '/tmp/trailward-escape'",
		"ATTACH '/tmp/x.db'", "INSTALL httpfs", "LOAD json", "SET memory_limit='100GB'", "PRAGMA database_list", "SELECT * FROM read_parquet('/proc/self/fd/3')",
		"SELECT * FROM glob('/*')", "CREATE TABLE t AS SELECT 1", "DROP VIEW logs", "SELECT getenv('PATH')", "SELECT * FROM duckdb_settings()", "EXPORT DATABASE '/tmp/e'",
		"SELECT 1; SELECT 2", "CALL pragma_version()", "SELECT content FROM read_blob('/proc/self/environ')", "SELECT trailward_message(0, 0)", "SELECT * FROM duckdb_logs()",
		"SELECT * FROM range(100000000000) a, range(100000000000) b", "SELECT * FROM query('SELECT 1')", "SELECT * FROM r", "SELECT * FROM information_schema.tables", "SELECT * FROM pg_catalog.pg_class",
	} {
		got, err := read(e.Query(t.Context(), Request{Language: SQL, Text: text}))
		if err == nil {
			t.Errorf("%s = %v, want an error", text, got)
		} else if msg := err.Error(); strings.Contains(msg, "/proc/self/fd/1") || strings.Contains(msg, "\n") {
			t.Errorf("%s: error shows too much: %s", text, msg)
		}
	}
}
