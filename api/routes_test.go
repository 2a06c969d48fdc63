package api

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trailward/auth"
)

// apiOperation is what openapi.yaml says of one route.
type apiOperation struct {
	public   bool // security: []
	params   []string
	statuses []string
}

// readOpenAPI reads as much of the file as the tests need, by its indentation:
// paths, methods, query parameters and status codes. It knows the anchors that
// the file uses for lists of responses.
func readOpenAPI(t *testing.T) map[string]*apiOperation {
	t.Helper()
	ops := map[string]*apiOperation{}
	anchors := map[string][]string{}
	var path, section, anchor string
	var op *apiOperation
	inPaths := false
	reParam := regexp.MustCompile(`^- \{name: ([^,]+), in: query`)
	for _, line := range strings.Split(string(openAPI), "\n") {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		if trimmed == "" {
			continue
		}
		key, value, _ := strings.Cut(trimmed, ":")
		value = strings.TrimSpace(value)
		switch {
		case indent == 0:
			inPaths = key == "paths"
		case !inPaths:
		case indent == 2:
			path = key
		case indent == 4:
			op = &apiOperation{}
			ops[strings.ToUpper(key)+" "+path] = op
		case indent == 6:
			section, anchor = key, ""
			switch {
			case key == "security" && value == "[]":
				op.public = true
			case key == "responses" && strings.HasPrefix(value, "&"):
				anchor = value[1:]
			case key == "responses" && strings.HasPrefix(value, "*"):
				op.statuses = anchors[value[1:]]
			}
		case indent == 8 && section == "parameters":
			if m := reParam.FindStringSubmatch(trimmed); m != nil {
				op.params = append(op.params, m[1])
			}
		case indent == 8 && section == "responses":
			op.statuses = append(op.statuses, strings.Trim(key, `"`))
			if anchor != "" {
				anchors[anchor] = op.statuses
			}
		}
	}
	return ops
}

// TestOpenAPI holds the file against the routes, both ways.
func TestOpenAPI(t *testing.T) {
	s, err := New(Config{}, (&fakeStore{}).deps())
	if err != nil {
		t.Fatal(err)
	}
	described := readOpenAPI(t)
	if len(described) < 5 {
		t.Fatalf("openapi.yaml describes %d operations: this test cannot read it any more", len(described))
	}
	real := map[string]*route{}
	for _, rt := range s.routeTable() {
		real[rt.method+" "+strings.ReplaceAll(rt.pattern, "...}", "}")] = rt
	}
	for key, op := range described {
		rt := real[key]
		if rt == nil {
			t.Errorf("openapi.yaml describes %s, which is no route", key)
			continue
		}
		if op.public != rt.open {
			t.Errorf("%s: openapi.yaml says public %v, the route %v", key, op.public, rt.open)
		}
		if !slices.Equal(slices.Sorted(slices.Values(op.params)), slices.Sorted(slices.Values(rt.params))) {
			t.Errorf("%s: openapi.yaml has the query parameters %q, the route %q", key, op.params, rt.params)
		}
		want := []string{"200", "401", "403", "429", "503"}
		switch {
		case rt.action == auth.Administer && rt.method != "GET" && rt.method != "PUT":
			want = append(want, "500")
		case rt.method == "PUT":
			want = append(want, "400", "408", "413", "500")
		case rt.action == auth.Write:
			want = append(want, "400", "408", "409", "413", "415", "500")
		case key == "POST /v1/queries":
			want = append(want, "400", "408", "413", "415", "500")
		case strings.HasSuffix(key, "/{id}"):
			want = append(want, "404")
		case key == "POST /v1/explain":
			want = append(want, "400", "408", "413", "415", "500", "504")
		case rt.method == "POST":
			want = append(want, "400", "404", "406", "408", "413", "415", "500", "504")
		}
		for _, w := range want {
			if !slices.Contains(op.statuses, w) {
				t.Errorf("%s: openapi.yaml does not have the status %s; it has %q", key, w, op.statuses)
			}
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^      operationId: (\w+)$`).FindAllStringSubmatch(string(openAPI), -1) {
		if ids[m[1]] {
			t.Errorf("openapi.yaml has the operationId %s twice", m[1])
		}
		ids[m[1]] = true
	}
	if len(ids) != len(described) {
		t.Errorf("openapi.yaml has %d operationIds for %d operations", len(ids), len(described))
	}
	for _, m := range regexp.MustCompile(`#/components/(\w+)/(\w+)`).FindAllStringSubmatch(string(openAPI), -1) {
		_, section, _ := strings.Cut(string(openAPI), "\n  "+m[1]+":\n")
		if !strings.Contains("\n"+section, "\n    "+m[2]+":\n") {
			t.Errorf("openapi.yaml refers to %s, which is not there", m[0])
		}
	}
	for key := range real {
		if described[key] == nil {
			t.Errorf("openapi.yaml does not describe %s", key)
		}
	}
}

// TestRoutesByRole is the table of who may do what. It fails when a route has
// no row.
func TestRoutesByRole(t *testing.T) {
	type row struct {
		path string // with the object asked for
		body string
		// statuses: no token, reader, writer, admin, and the local caller of a
		// server without tokens
		none, reader, writer, admin, local int
	}
	const own, foreign = "/own/a", "/foreign/a"
	question := func(groups string) string { return `{"query":"fields @message","groups":[` + groups + `]}` }
	rows := map[string][]row{
		"POST /v1/ingest": {
			{"?group=" + own, "x\n", 401, 403, 200, 200, 200},
			{"?group=" + foreign, "x\n", 401, 403, 403, 403, 200},
			{"?group=trailward/access", "x\n", 401, 403, 403, 403, 403},
		},
		"POST /v1/kubernetes/audit": {
			{"?group=" + own, `{"kind":"EventList","items":[]}`, 401, 403, 200, 200, 200},
			{"?group=" + foreign, `{"kind":"EventList","items":[]}`, 401, 403, 403, 403, 200},
			{"?group=trailward/audit", `{"kind":"EventList","items":[]}`, 401, 403, 403, 403, 403},
		},
		"POST /v1/kubernetes/audit/{group...}": {
			{own, `{"kind":"EventList","items":[]}`, 401, 403, 200, 200, 200},
			{foreign, `{"kind":"EventList","items":[]}`, 401, 403, 403, 403, 200},
		},
		"POST /v1/query": {
			{"", question(`"` + own + `"`), 401, 200, 403, 200, 200},
			{"", question(`"` + foreign + `"`), 401, 403, 403, 403, 200},
			{"", question(`"/own/*"`), 401, 200, 403, 200, 200},
			{"", question(`"*"`), 401, 403, 403, 403, 200},
			{"", question(""), 401, 200, 403, 200, 200},
		},
		"POST /v1/sql": {
			{"", question(`"` + own + `"`), 401, 200, 403, 200, 200},
			{"", question(`"` + own + `","` + foreign + `"`), 401, 403, 403, 403, 200},
		},
		"POST /v1/queries": {
			{"", question(`"` + own + `"`), 401, 200, 403, 200, 200},
			{"", question(`"` + foreign + `"`), 401, 403, 403, 403, 200},
			{"", question(""), 401, 200, 403, 200, 200},
		},
		// Whose a query is: TestAsyncOwner.
		"GET /v1/queries/{id}":    {{"", "", 401, 404, 403, 404, 404}},
		"DELETE /v1/queries/{id}": {{"", "", 401, 404, 403, 404, 404}},
		// What a tail shows: TestTailGroups. Here a fault in the pattern, which is
		// seen after the group, ends it.
		"GET /v1/tail": {
			{"?pattern=%7B&group=" + own, "", 401, 400, 403, 400, 400},
			{"?pattern=%7B&group=" + foreign, "", 401, 403, 403, 403, 400},
			{"?pattern=%7B&group=/own/*", "", 401, 400, 403, 400, 400},
			{"?pattern=%7B&group=*", "", 401, 403, 403, 403, 400},
			{"?pattern=%7B", "", 401, 400, 403, 400, 400},
		},
		"GET /v1/groups": {{"", "", 401, 200, 403, 200, 200}},
		"GET /v1/cat": {
			{"?group=" + own, "", 401, 200, 403, 200, 200},
			{"?group=" + foreign, "", 401, 403, 403, 403, 200},
			{"?group=/own/none", "", 401, 404, 403, 404, 404},
		},
		"POST /v1/explain": {
			{"", question(`"` + own + `"`), 401, 200, 403, 200, 200},
			{"", question(`"` + foreign + `"`), 401, 403, 403, 403, 200},
			{"?engine=oracle", question(""), 401, 400, 403, 400, 400},
		},
		"GET /v1/retention": {
			{"", "", 401, 200, 403, 200, 200},
			{"?group=" + own, "", 401, 200, 403, 200, 200},
			{"?group=" + foreign, "", 401, 404, 403, 404, 200},
		},
		"PUT /v1/retention": {
			{"?group=" + own, `{"retention":"30d"}`, 401, 403, 403, 200, 200},
			{"?group=" + foreign, `{"retention":"30d"}`, 401, 403, 403, 403, 200},
			{"?group=trailward/access", `{"retention":"30d"}`, 401, 403, 403, 403, 200},
			{"?group=" + own, `{"retention":"3h"}`, 401, 403, 403, 400, 400},
			{"", `{"retention":"30d"}`, 401, 403, 403, 400, 400},
		},
		"DELETE /v1/retention": {
			{"?group=" + own, "", 401, 403, 403, 200, 200},
			{"?group=" + foreign, "", 401, 403, 403, 403, 200},
		},
		"POST /v1/retention/expire": {{"", "", 401, 403, 403, 403, 200}},
		"GET /v1/holds": {
			{"", "", 401, 403, 403, 200, 200},
			{"?group=" + own, "", 401, 403, 403, 200, 200},
			{"?group=" + foreign, "", 401, 403, 403, 404, 200},
		},
		"PUT /v1/holds": {
			{"?group=" + own, `{"reason":"case"}`, 401, 403, 403, 200, 200},
			{"?group=" + foreign, `{"reason":"case"}`, 401, 403, 403, 403, 200},
			{"?group=" + own, `{}`, 401, 403, 403, 400, 400},
		},
		"DELETE /v1/holds": {
			{"?group=" + own, "", 401, 403, 403, 200, 200},
			{"?group=" + foreign, "", 401, 403, 403, 403, 200},
		},
		// These are about every group: an admin of some may not.
		"GET /v1/keys":              {{"", "", 401, 403, 403, 403, 200}},
		"POST /v1/keys/rotate":      {{"", "{}", 401, 403, 403, 403, 200}, {"", `{"all":1}`, 401, 403, 403, 403, 400}},
		"POST /v1/verify":           {{"", "", 401, 403, 403, 403, 200}},
		"POST /v1/backup":           {{"", "", 401, 403, 403, 403, 200}},
		"PUT /v1/lookups/{name}":    {{"users", "a,b\n1,2\n", 401, 403, 403, 403, 200}},
		"DELETE /v1/lookups/{name}": {{"users", "", 401, 403, 403, 403, 200}, {"none", "", 401, 403, 403, 403, 404}},
		"GET /v1/lookups":           {{"", "", 401, 200, 403, 200, 200}},
		"GET /v1/proof": {
			{"?record=" + own, "", 401, 200, 403, 200, 200},
			{"?record=" + foreign, "", 401, 404, 403, 404, 200},
			{"?record=none", "", 401, 404, 403, 404, 404},
			{"", "", 401, 400, 403, 400, 400},
		},
		"GET /v1/checkpoint": {{"", "", 401, 200, 403, 200, 200}, {"?size=x", "", 401, 400, 403, 400, 400}, {"?size=99&root=AA==", "", 401, 409, 403, 409, 409}},
		"GET /metrics":       {{"", "", 401, 200, 403, 200, 200}},
		"GET /healthz":       {{"", "", 200, 200, 200, 200, 200}},
		"GET /readyz":        {{"", "", 200, 200, 200, 200, 200}},
		"GET /openapi.yaml":  {{"", "", 200, 200, 200, 200, 200}},
	}
	f := &fakeStore{groups: []GroupInfo{{Name: own}, {Name: foreign}, {Name: "trailward/access"}}, cat: map[string][]string{own: {"a"}, foreign: {"b"}}}
	a, secrets := tokens(t, "/own/*")
	d := f.deps()
	d.Auth = a
	closed := start(t, Config{}, d)
	open := start(t, Config{}, f.deps())

	callers := []struct {
		name   string
		server *Server
		secret string
		want   func(row) int
	}{
		{"nobody", closed, "", func(r row) int { return r.none }},
		{"reader", closed, secrets[auth.Reader], func(r row) int { return r.reader }},
		{"writer", closed, secrets[auth.Writer], func(r row) int { return r.writer }},
		{"admin", closed, secrets[auth.Admin], func(r row) int { return r.admin }},
		{"local", open, "", func(r row) int { return r.local }},
	}
	for _, rt := range closed.routeTable() {
		cases := rows[rt.key()]
		if len(cases) == 0 {
			t.Errorf("route %s has no row in this table", rt.key())
		}
		delete(rows, rt.key())
		for _, c := range cases {
			for _, who := range callers {
				t.Run(fmt.Sprintf("%s %s by %s", rt.key(), c.path, who.name), func(t *testing.T) {
					path := strings.TrimSuffix(strings.TrimSuffix(rt.pattern, "/{group...}"), "{name}") + c.path
					var body io.Reader
					if rt.method == "POST" || rt.method == "PUT" {
						body = strings.NewReader(c.body)
					}
					var opts []func(*http.Request)
					if who.secret != "" {
						opts = append(opts, bearer(who.secret))
					}
					resp, out := ask(t, who.server, rt.method, path, body, opts...)
					if want := who.want(c); resp.StatusCode != want {
						t.Errorf("%s %s = %d %s, want %d", rt.method, path, resp.StatusCode, out, want)
					}
					if rt.pattern == "/v1/retention" && resp.StatusCode == 200 && strings.Contains(out, "case 17") && who.name == "reader" {
						t.Errorf("the reason of a hold is shown to %s: %s", who.name, out)
					}
					if rt.pattern == "/v1/groups" && resp.StatusCode == 200 && strings.Contains(out, foreign) != (who.name == "local") {
						t.Errorf("groups shown to %s: %s", who.name, out)
					}
				})
			}
		}
	}
	for key := range maps.Keys(rows) {
		t.Errorf("the table has rows for %s, which is no route", key)
	}
	// A question without groups is one over those of the token.
	for _, q := range f.queries {
		for _, g := range q.Groups {
			if g == "*" {
				continue // the local caller's
			}
			if !strings.HasPrefix(g, "/own/") && !(g == foreign) {
				t.Errorf("a question reached the engine with the group %q", g)
			}
		}
	}
}

// TestQuestionGroups: what reaches the engine is what the token may read.
func TestQuestionGroups(t *testing.T) {
	f := &fakeStore{}
	a, secrets := tokens(t, "/own/*", "app")
	d := f.deps()
	d.Auth = a
	s := start(t, Config{}, d)
	for _, path := range []string{"/v1/query", "/v1/sql"} {
		f.queries = nil
		resp, out := ask(t, s, "POST", path, strings.NewReader(`{"query":"q"}`), bearer(secrets[auth.Reader]))
		if resp.StatusCode != 200 || len(f.queries) != 1 || f.queries[0].Groups != nil || !slices.Equal(f.queries[0].Readable, []string{"/own/*", "app"}) {
			t.Errorf("POST %s = %d %s with the questions %+v, want one over /own/* and app", path, resp.StatusCode, out, f.queries)
		}
	}
}

// TestLoopbackGuard: without a token only local programs and our own pages are
// served, on every route.
func TestLoopbackGuard(t *testing.T) {
	f := &fakeStore{cat: map[string][]string{"g": {"x"}}}
	s := start(t, Config{Hosts: []string{"tunnel.test:8443"}}, f.deps())
	port := s.port()
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	at := func(format string) string { return fmt.Sprintf(format, port) }
	tests := []struct {
		name string
		opts []func(*http.Request)
		want bool
	}{
		{"as a program sends it", nil, true},
		{"localhost", []func(*http.Request){host(at("localhost:%d"))}, true},
		{"LOCALHOST", []func(*http.Request){host(at("LOCALHOST:%d"))}, true},
		{"127.9.9.9", []func(*http.Request){host(at("127.9.9.9:%d"))}, true},
		{"IPv6 loopback", []func(*http.Request){host(at("[::1]:%d"))}, true},
		{"a host that was allowed", []func(*http.Request){host("tunnel.test:8443")}, true},
		{"rebound name", []func(*http.Request){host(at("evil.test:%d"))}, false},
		{"rebound name with a familiar begin", []func(*http.Request){host(at("localhost.evil.test:%d"))}, false},
		{"127.0.0.1 as a name", []func(*http.Request){host(at("127.0.0.1.nip.io:%d"))}, false},
		{"all addresses", []func(*http.Request){host(at("0.0.0.0:%d"))}, false},
		{"octal", []func(*http.Request){host(at("0177.0.0.1:%d"))}, false},
		{"decimal", []func(*http.Request){host(at("2130706433:%d"))}, false},
		{"user part", []func(*http.Request){host(at("127.0.0.1@evil.test:%d"))}, false},
		{"another port", []func(*http.Request){host("127.0.0.1:1")}, false},
		{"no port", []func(*http.Request){host("127.0.0.1")}, false},
		{"allowed host, other port", []func(*http.Request){host("tunnel.test:8444")}, false},
		{"same origin", []func(*http.Request){header("Origin", at("http://127.0.0.1:%d"))}, true},
		{"foreign origin", []func(*http.Request){header("Origin", "http://evil.test")}, false},
		{"null origin", []func(*http.Request){header("Origin", "null")}, false},
		{"origin of another port", []func(*http.Request){header("Origin", "http://127.0.0.1:1")}, false},
		{"origin of another scheme", []func(*http.Request){header("Origin", at("https://127.0.0.1:%d"))}, false},
		{"localhost is another origin than 127.0.0.1", []func(*http.Request){header("Origin", at("http://localhost:%d"))}, false},
		{"origin with a path", []func(*http.Request){header("Origin", at("http://127.0.0.1:%d/x"))}, false},
		{"extension", []func(*http.Request){header("Origin", "chrome-extension://abcdef")}, false},
		{"typed into a browser", []func(*http.Request){header("Sec-Fetch-Site", "none")}, true},
		{"our own page", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, true},
		{"a foreign page", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, false},
		{"a page of the same site", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, false},
	}
	for _, rt := range append(s.routeTable(), &route{method: "GET", pattern: "/nothing"}) {
		for _, tt := range tests {
			path := strings.TrimSuffix(rt.pattern, "/{group...}")
			var body io.Reader
			if rt.method == "POST" {
				body = strings.NewReader("{}")
			}
			resp, out := ask(t, s, rt.method, path, body, tt.opts...)
			if got := resp.StatusCode != http.StatusForbidden; got != tt.want {
				t.Errorf("%s: %s %s = %d %s, want served %v", tt.name, rt.method, path, resp.StatusCode, out, tt.want)
			}
			if h := resp.Header.Get("Access-Control-Allow-Origin"); h != "" {
				t.Errorf("%s: %s %s answers with Access-Control-Allow-Origin %q", tt.name, rt.method, path, h)
			}
		}
	}
	if len(f.stored()) != 0 {
		t.Errorf("%d batches were stored by requests that were refused", len(f.stored()))
	}
}

// TestTokensOnLoopback: once a token exists everybody needs one, also after the
// last one was revoked, and a wrong one is never overlooked.
func TestTokensOnLoopback(t *testing.T) {
	f := &fakeStore{}
	st, err := auth.OpenStore(t.TempDir()+"/tokens.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	d := f.deps()
	d.Auth = auth.NewAuthenticator(st)
	s := start(t, Config{}, d)
	open := start(t, Config{OpenLoopback: true}, d)
	status := func(s *Server, opts ...func(*http.Request)) int {
		t.Helper()
		resp, _ := ask(t, s, "GET", "/v1/groups", nil, opts...)
		return resp.StatusCode
	}
	if got := status(s); got != 200 {
		t.Errorf("before the first token = %d, want 200", got)
	}
	if got := status(s, bearer("tw_0123456789abcdef_x")); got != 401 {
		t.Errorf("a wrong token before the first = %d, want 401", got)
	}
	tok, secret, err := st.Create(auth.Token{Role: auth.Reader, Groups: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(s); got != 401 {
		t.Errorf("without a token once there is one = %d, want 401", got)
	}
	if got := status(open); got != 200 {
		t.Errorf("without a token and OpenLoopback = %d, want 200", got)
	}
	if got := status(open, bearer("wrong")); got != 401 {
		t.Errorf("a wrong token and OpenLoopback = %d, want 401", got)
	}
	if got := status(s, bearer(secret)); got != 200 {
		t.Errorf("with the token = %d, want 200", got)
	}
	// A caller with a token may use any name for us: a web page has no token.
	if got := status(s, bearer(secret), func(r *http.Request) { r.Host = "proxy.example" }); got != 200 {
		t.Errorf("with the token through a proxy = %d, want 200", got)
	}
	for _, bad := range []string{"Basic dXNlcjpwYXNz", "Bearer", "bearer  ", "Bearer " + secret + "x", secret} {
		if got := status(s, header("Authorization", bad)); got != 401 {
			t.Errorf("Authorization %q = %d, want 401", bad, got)
		}
	}
	if got := status(s, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + secret, "Bearer " + secret} }); got != 401 {
		t.Errorf("two Authorization headers = %d, want 401", got)
	}
	if err := st.Revoke(tok.ID); err != nil {
		t.Fatal(err)
	}
	if got := status(s, bearer(secret)); got != 401 {
		t.Errorf("with the revoked token = %d, want 401", got)
	}
	if got := status(s); got != 401 {
		t.Errorf("without a token after the last was revoked = %d, want 401", got)
	}
	// Enough wrong ones, and none is looked at any more.
	limited := 0
	for range 40 {
		resp, body := ask(t, s, "GET", "/v1/groups", nil, bearer("tw_0123456789abcdef_"+strings.Repeat("A", 43)))
		if resp.StatusCode == 429 {
			limited++
			if resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			errorOf(t, resp, body)
		}
	}
	if limited == 0 {
		t.Error("40 wrong tokens were all looked at")
	}
	_, metrics := ask(t, open, "GET", "/metrics", nil)
	if !strings.Contains(metrics, `trailward_auth_failures_total{reason="refused"}`) {
		t.Error("refused tokens are not counted")
	}
}

func FuzzParseHost(f *testing.F) {
	for _, h := range []string{"127.0.0.1:7300", "[::1]:80", "localhost", "::1", "a:b:c", "", "[", "x@y:1", "evil.test:7300"} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) {
		hp, err := parseHost(h)
		if err == nil && (hp.name == "" || hp.port < 0 || hp.port > 65535) {
			t.Errorf("parseHost(%q) = %+v, want a name and a port", h, hp)
		}
	})
}
