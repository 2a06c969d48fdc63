package query

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward/query/duck"
	"trailward/query/insights"
)

// lookupEngine is newEngine with a lookup table.
func lookupEngine(t *testing.T, parts ...Part) *Engine {
	t.Helper()
	_, store := newEngine(t)
	store.parts = parts
	e, err := New(Options{Snapshot: store.snapshot, Pool: duck.Config{Concurrency: 1, Threads: 2}, AccountID: "111122223333", Lookup: func(name string) (insights.Table, bool, error) {
		return insights.Table{Columns: []string{"address", "host"}, Rows: [][]string{{"10.0.0.1", "web"}}}, name == "hosts", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(t.Context()) })
	return e
}

// TestInsightsScans asks questions with more than one scan, or of several
// statements.
func TestInsightsScans(t *testing.T) {
	e := lookupEngine(t, insightsStore(t)...)
	for _, c := range []struct {
		name, text string
		groups     []string
		readable   []string
		want       string
		notice     string
	}{
		{name: "subquery over another group", text: "filter dstPort in (SOURCE '/eks/*' | filter verb = 'get' | limit 1 | fields 22 as dstPort) | fields srcAddr", want: `{"srcAddr":"10.0.0.9"}`},
		{name: "subquery over a group that may not be read", text: "filter dstPort in (SOURCE '/eks/*' | fields 22 as dstPort) | fields srcAddr", readable: []string{"/vpc"}},
		{name: "subquery over a group that the request does not name", text: "filter dstPort in (SOURCE '/eks/*' | filter verb = 'get' | limit 1 | fields 22 as dstPort) | fields srcAddr", groups: []string{"/vpc"}, want: `{"srcAddr":"10.0.0.9"}`},
		{name: "the text's groups go before the request's", text: "SOURCE '/vpc' | stats count(*) as n", groups: []string{"/eks/*"}, want: `{"n":"2"}`},
		{name: "a subquery of the request's groups", text: "filter dstPort in (filter dstPort = 22 | fields dstPort) | fields srcAddr", groups: []string{"/vpc"}, want: `{"srcAddr":"10.0.0.9"}`},
		{name: "subquery whose condition is not the query's", text: "filter ispresent(srcAddr) and 'get' in (SOURCE '/eks/*' | filter verb = 'get' | fields verb) | stats count(*) as n", want: `{"n":"2"}`},
		{name: "join of two groups", text: "filter action = 'REJECT' | join left=f right=a where f.bytes = a.code (SOURCE '/eks/*' | fields 40 as code, verb | limit 1) | fields f.srcAddr, a.code", want: `{"f.srcAddr":"10.0.0.9","a.code":"40"}`},
		{name: "join shows messages of both", text: "filter dstPort = 443 | join left=f right=t where f.dstPort = t.port (SOURCE '/var/log' | filter @message like 'well' | fields 443 as port, @message) | fields @message, t.@message",
			want: `{"@message":"2 1 eni-1 10.0.0.1 10.0.0.2 1 443 6 5 500 100 160 ACCEPT OK","t.@message":"all is well"}`},
		{name: "data source", text: "SOURCE dataSource(['amazon_vpc.flow']) | stats count(*) as n", want: `{"n":"2"}`},
		{name: "data source that is none", text: "SOURCE dataSource(['x.y']) | stats count(*) as n", notice: "is no kind of record here"},
		{name: "another account", text: "SOURCE logGroups(namePrefix: ['/'], accountIdentifier: ['999999999999']) | stats count(*) as n"},
		{name: "this account", text: "SOURCE logGroups(namePrefix: ['/v'], accountIdentifier: ['111122223333'], class: ['STANDARD']) | stats count(*) as n", want: `{"n":"4"}`, notice: "line 1, column 75: all log groups have one class here"},
		{name: "tags", text: `SOURCE logGroupTags([{"key":"team","values":["a","!b"]}]) | stats count(*) as n`, notice: "log groups have no tags here"},
		{name: "bounds of the text", text: "SOURCE '/eks/*' start='2026-01-02T00:00:10Z' end='2026-01-02T00:00:19Z' | stats count(*) as n", want: `{"n":"10"}`},
		{name: "pattern", text: "filter ispresent(verb) | pattern @message | fields @pattern, @ratio | limit 1", want: `{"@pattern":"{\"kind\":\"Event\",\"verb\":\"create\",\"n\":<Number-1>}","@ratio":"0.25","@sampleCount":"25"}`},
		{name: "diff", text: "SOURCE '/eks/*' start='2026-01-02T00:00:40Z' end='2026-01-02T00:01:00Z' | pattern verb | diff | sort @pattern | limit 1",
			want: `{"@pattern":"create","@ratio":"0.238095","@sampleCount":"5","@diffEventCount":"0","@diffDescription":"as often as before"}`},
		{name: "anomaly", text: "pattern verb | anomaly | stats count(*) as n", want: `{"n":"4"}`},
		{name: "lookup", text: "filter bytes > 0 | lookup hosts address as srcAddr OUTPUT host | fields bytes | sort bytes", want: `{"bytes":"40"}` + "\n" + `{"host":"web","bytes":"500"}`},
		{name: "lookup in no table", text: "filter bytes > 0 | lookup users id as srcAddr OUTPUT name | stats count(name) as n", want: `{"n":"0"}`, notice: "line 1, column 27: there is no lookup table users"},
		{name: "cidrlookup", text: "filter bytes > 0 | cidrlookup hosts srcAddr AS address OUTPUT host | stats count(*) as n by host", want: `{"n":"1"}` + "\n" + `{"host":"web","n":"1"}`},
		{name: "estimate", text: "stats sum(bytes) | estimate", want: `{"estimatedBytesScanned":"400"}`},
		{name: "estimate of a pattern, which is not looked for", text: "pattern @message | estimate", want: `{"estimatedBytesScanned":"400"}`},
		{name: "relevantfields finds the fields", text: "filter ispresent(verb) | relevantfields where verb = 'create' | display @fieldName", want: `{"@fieldName":"requestObject"}`},
		{name: "relevantfields of groups that have none", text: "relevantfields where a > 1", groups: []string{"/none"}, notice: "there are no fields to look at"},
		{name: "natural order", text: "filter ispresent(user.username) | stats count(*) as n by concat(user.username, '0') as u | fields u | sort u desc | limit 1", want: `{"u":"user-60","n":"14"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := e.Query(t.Context(), Request{Text: c.text, Groups: c.groups, Readable: c.readable})
			if err != nil {
				t.Fatalf("Query(%s) = %v, want rows", c.text, err)
			}
			defer r.Close()
			var b strings.Builder
			if err := WriteJSON(&b, r, Insights); err != nil {
				t.Fatalf("Query(%s) = %v, want rows", c.text, err)
			}
			var lines []string
			for line := range strings.Lines(b.String()) {
				line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), `,"@ptr"`)
				lines = append(lines, strings.TrimSuffix(line, "}")+"}")
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("Query(%s) =\n%s\nwant\n%s", c.text, got, c.want)
			}
			notices := strings.Join(r.Stats().Notices, "\n")
			if (notices == "") != (c.notice == "") || !strings.Contains(notices, c.notice) {
				t.Errorf("Query(%s) gives the notices %q, want %q", c.text, notices, c.notice)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	e, _ := newEngine(t, insightsStore(t)...)
	x, err := e.Explain(t.Context(), Request{Text: "filter verb = 'get' | stats count(*) as n", Groups: []string{"/eks/*", "/var/*"}, End: epoch.Add(time.Minute)}, "duckdb")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range x.Parts {
		got = append(got, fmt.Sprintf("%s %t %s", p.ID, p.Opened, p.Why))
	}
	want := []string{"audit true reads @timestamp, verb", "text false outside the time range"}
	if !slices.Equal(got, want) || !strings.Contains(x.SQL, "count(*)") || x.Prepares {
		t.Errorf("Explain = %q %q, want %q", x.SQL, got, want)
	}
	x, err = e.Explain(t.Context(), Request{Text: "SOURCE '/vpc' | stats count(*)"}, "duckdb")
	if err != nil || len(x.Parts) != 3 || x.Parts[0].Why != "another log group" || !x.Parts[1].Opened {
		t.Errorf("Explain(SOURCE) = %+v, %v, want one of three segments opened", x, err)
	}
	x, err = e.Explain(t.Context(), Request{Text: "pattern verb"}, "duckdb")
	if err != nil || !x.Prepares {
		t.Errorf("Explain(pattern) = %+v, %v, want a statement that prepares", x, err)
	}
	for _, c := range []struct{ engine, want string }{
		{"trino", `FROM (SELECT * FROM "logs" WHERE ("@log" = '000000000000:/a' OR starts_with("@log", '000000000000:/b')) AND "@timestamp" >= TIMESTAMP '2026-01-02 00:00:00.000000') AS "r"`},
		{"spark", "FROM (SELECT * FROM `logs` WHERE (`@log` = '000000000000:/a' OR startswith(`@log`, '000000000000:/b')) AND `@timestamp` >= TIMESTAMP '2026-01-02 00:00:00.000000') AS `r`"},
	} {
		x, err := ExplainFor(Request{Text: "SOURCE '/a', '/b*' | filter user.username = 'x' | limit 1", Start: epoch}, c.engine, Options{})
		if err != nil || !strings.Contains(x.SQL, c.want) || !strings.Contains(x.SQL, "user.username") {
			t.Errorf("ExplainFor(%s) = %+v, %v, want %s in it", c.engine, x, err, c.want)
		}
	}
	if _, err := ExplainFor(Request{Text: "limit 1"}, "mysql", Options{}); err == nil {
		t.Error("ExplainFor(mysql) gave no error")
	}
}

// TestExplainSQL says what is skipped, and why, before a part is looked into
// and after.
func TestExplainSQL(t *testing.T) {
	e, _ := newEngine(t, insightsStore(t)...)
	for _, c := range []struct {
		name, text string
		groups     []string
		want       []string
	}{
		{"another kind", "SELECT verb FROM k8s_audit WHERE verb = 'get'", nil, []string{"audit true reads verb", "flow false another kind of record", "text false another kind of record"}},
		{"another group", "SELECT count(*) FROM logs", []string{"/vpc"}, []string{"flow true reads its number of records"}},
		{"conditions on the time", `SELECT verb FROM logs WHERE "@timestamp" < timestamp '2026-01-02 00:10:00'`, nil,
			[]string{"audit true reads @timestamp, verb", "flow false outside the time that the query's conditions leave", "text false outside the time that the query's conditions leave"}},
		{"a field that is not there", "SELECT count(*) FROM logs WHERE srcaddr = '10.0.0.1'", nil, []string{"audit false no record has srcaddr", "flow true reads srcaddr", "text false no record has srcaddr"}},
		{"no table", "SELECT 1", nil, []string{"audit false the query chooses no records", "flow false the query chooses no records", "text false the query chooses no records"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := e.Explain(t.Context(), Request{Language: SQL, Text: c.text, Groups: c.groups}, "duckdb")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range x.Parts {
				got = append(got, fmt.Sprintf("%s %t %s", p.ID, p.Opened, p.Why))
			}
			if !slices.Equal(got, c.want) || !strings.HasPrefix(x.SQL, "WITH") && !strings.HasPrefix(x.SQL, "SELECT") || strings.Contains(x.SQL, duck.MatchedFunction) {
				t.Errorf("Explain(%s) = %q %q, want %q", c.text, x.SQL, got, c.want)
			}
		})
	}
	if _, err := e.Explain(t.Context(), Request{Language: SQL, Text: "SELECT 1"}, "trino"); err == nil {
		t.Error("Explain of SQL for trino gave no error")
	}
}

// TestExplainShowsNoRecords: records that the segments find by themselves are
// written into the statement that is run, not into the one that is shown.
func TestExplainShowsNoRecords(t *testing.T) {
	e, _ := storeEngines(t, realStore(t, map[string][]string{"/g": {`{"secret":"hunter2","id":"a1"}`, `{"secret":"hunter3","id":"a2"}`}}))
	for _, req := range []Request{
		{Text: "filter @message like 'hunter2' | stats count(*) by secret"},
		{Text: "filter id = 'a1' | fields @message"},
		{Language: SQL, Text: `SELECT * FROM json WHERE "@message" LIKE '%"a1"%'`},
	} {
		x, err := e.Explain(t.Context(), req, "duckdb")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(x.SQL, `"id":"a1"`) || strings.Contains(x.SQL, `"secret"`) || !strings.Contains(x.SQL, "found by the segments, records: 1 ") {
			t.Errorf("%s is explained as\n%s", req.Text, x.SQL)
		}
	}
}
