package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"trailward"
	"trailward/api"
	"trailward/query"
	"trailward/query/plan"
)

// fakeRows are the rows of a fake place.
type fakeRows struct {
	columns []query.Column
	rows    [][]any
	at      int
	err     error
	closed  bool
}

func (r *fakeRows) Columns() []query.Column { return r.columns }
func (r *fakeRows) Next() bool              { r.at++; return r.at <= len(r.rows) }
func (r *fakeRows) Values() []any           { return r.rows[r.at-1] }
func (r *fakeRows) Close() error            { r.closed = true; return nil }
func (r *fakeRows) Stats() query.Stats      { return query.Stats{RecordsScanned: int64(len(r.rows))} }
func (r *fakeRows) Err() error {
	if r.at > len(r.rows) {
		return r.err
	}
	return nil
}

// fakePlace is a backend that remembers what it was asked.
type fakePlace struct {
	asked  query.Request
	rows   *fakeRows
	err    error
	job    ingestJob
	result api.IngestResult
	cat    []string
	groups []api.GroupInfo
}

func (p *fakePlace) Ingest(_ context.Context, job ingestJob) (api.IngestResult, error) {
	p.job = job
	return p.result, p.err
}

func (p *fakePlace) Query(_ context.Context, r query.Request) (query.Rows, error) {
	p.asked = r
	if p.err != nil {
		return nil, p.err
	}
	return p.rows, nil
}

func (p *fakePlace) Cat(_ context.Context, _, _ string, fn func([]byte) error) error {
	for _, s := range p.cat {
		if err := fn([]byte(s)); err != nil {
			return err
		}
	}
	return p.err
}

func (p *fakePlace) Groups(context.Context) ([]api.GroupInfo, error) { return p.groups, p.err }
func (p *fakePlace) Close() error                                    { return nil }

type outcome struct {
	code        int
	out, errors string
	loc         location
}

// runWith runs a command line against a place.
func runWith(t *testing.T, place backend, env map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	var o outcome
	a := &app{
		ctx: t.Context(), stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs,
		getenv: func(name string) string { return env[name] },
		open: func(_ context.Context, loc location) (backend, error) {
			o.loc = loc
			return place, nil
		},
	}
	o.code = run(a, args)
	o.out, o.errors = out.String(), errs.String()
	return o
}

func twoRows() *fakeRows {
	return &fakeRows{
		columns: []query.Column{{Name: "user", Type: plan.Text}, {Name: "n", Type: plan.Int}, {Name: "none", Type: plan.Null}},
		rows:    [][]any{{"alice", int64(12), nil}, {"b\x1bob", int64(3), nil}},
	}
}

func TestOutputs(t *testing.T) {
	tests := []struct{ name, command, output, want string }{
		{"table", "query", "table", "user      n  none\n───────  ──  ────\nalice    12\nb\\x1bob   3\n(2 rows)\n"},
		{"json", "query", "json", `{"user":"alice","n":"12"}` + "\n" + `{"user":"b\u001bob","n":"3"}` + "\n"},
		{"sql json", "sql", "json", `{"user":"alice","n":12,"none":null}` + "\n" + `{"user":"b\u001bob","n":3,"none":null}` + "\n"},
		{"csv", "sql", "csv", "user,n,none\r\nalice,12,\r\nb\x1bob,3,\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &fakePlace{rows: twoRows()}
			o := runWith(t, p, nil, "", tt.command, "--stats", "--output", tt.output, "text of the query")
			if o.code != 0 || o.out != tt.want {
				t.Errorf("%s --output %s = %d %q, want 0 %q (%s)", tt.command, tt.output, o.code, o.out, tt.want, o.errors)
			}
			if want := `{"elapsed_ms":0,"records_matched":0,"records_scanned":2,"bytes_scanned":0,"segments_opened":0}` + "\n"; o.errors != want {
				t.Errorf("--stats wrote %q, want %q", o.errors, want)
			}
			if !p.rows.closed {
				t.Errorf("the rows were not closed")
			}
		})
	}
}

func TestQuestionIsPassedOn(t *testing.T) {
	p := &fakePlace{rows: twoRows()}
	o := runWith(t, p, nil, "", "sql", "--group", "/a,b", "--group", "/c*", "--start", "-1h", "--end", "2026-01-02T03:04:05Z", "--table", "mine=aws.cloudtrail", "-- why\nSELECT 1")
	if o.code != 2 || !strings.Contains(o.errors, "is before") {
		t.Errorf("end before start = %d %q, want 2", o.code, o.errors)
	}
	o = runWith(t, p, nil, "", "sql", "--group", "/a,b", "-- why\nSELECT 1", "--group", "/c*", "--start", "-1h", "--table", "mine=aws.cloudtrail")
	if o.code != 0 {
		t.Fatalf("sql = %d %q, want 0", o.code, o.errors)
	}
	q := p.asked
	if q.Language != query.SQL || q.Text != "-- why\nSELECT 1" || !slices.Equal(q.Groups, []string{"/a,b", "/c*"}) || q.Tables["mine"] != "aws.cloudtrail" || !q.End.IsZero() {
		t.Errorf("the place was asked %+v", q)
	}
	if d := time.Since(q.Start); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("--start -1h is %v ago, want an hour", d)
	}
	runWith(t, p, nil, "fields @message\n", "query", "-")
	if p.asked.Text != "fields @message\n" || p.asked.Language != query.Insights {
		t.Errorf("query - asked %+v, want what stdin has", p.asked)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code int
		want string
	}{
		{"plain", errors.New("disk on fire\nreally"), 1, "trailward: query: disk on fire really\n"},
		{"usage", usagef("no"), 2, "trailward: query: no\n"},
		{"fault", &query.Error{Line: 2, Col: 3, Msg: "unknown command \"filtr\"", Hint: "did you mean filter"}, 1,
			"trailward: query: line 2, column 3: unknown command \"filtr\"; did you mean filter\n  | filtr a\n    ^\n"},
		{"fault with no place", &query.Error{Msg: "too long"}, 1, "trailward: query: too long\n"},
		{"fault past the end", &query.Error{Line: 2, Col: 99, Msg: "unexpected end"}, 1, "trailward: query: line 2, column 99: unexpected end\n  | filtr a\n           ^\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := runWith(t, &fakePlace{err: tt.err}, nil, "", "query", "fields x\n| filtr a")
			if o.code != tt.code || o.errors != tt.want || o.out != "" {
				t.Errorf("query = %d %q %q, want %d %q", o.code, o.out, o.errors, tt.code, tt.want)
			}
		})
	}
	t.Run("after rows", func(t *testing.T) {
		rows := twoRows()
		rows.err = errors.New("out of memory")
		o := runWith(t, &fakePlace{rows: rows}, nil, "", "query", "--output", "json", "x")
		if o.code != 1 || strings.Count(o.out, "\n") != 2 || o.errors != "trailward: query: out of memory\n" {
			t.Errorf("query = %d %q %q, want 1, both rows and the error", o.code, o.out, o.errors)
		}
	})
}

func TestCaretInALongLine(t *testing.T) {
	f := &faultIn{fault: &query.Error{Line: 1, Col: 201, Msg: "x"}, text: strings.Repeat("é", 200) + "!" + strings.Repeat("b", 200)}
	var b strings.Builder
	f.point(&b)
	lines := strings.Split(b.String(), "\n")
	if at := strings.IndexRune(lines[1], '^'); at < 0 || len(lines[0]) > 240 || []rune(lines[0])[at] != '!' {
		t.Errorf("point wrote %q, want the caret under the !", b.String())
	}
}

func TestPlaces(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		code int
		want location
	}{
		{"nothing said", nil, nil, 0, location{data: "./trailward-data"}},
		{"flag", []string{"--data", "d", "--key-file", "k"}, map[string]string{"TRAILWARD_SERVER": "http://h:1"}, 0, location{data: "d", keyFile: "k"}},
		{"environment", nil, map[string]string{"TRAILWARD_DATA": "e", "TRAILWARD_KEY_FILE": "k"}, 0, location{data: "e", keyFile: "k"}},
		{"server", []string{"--server", "https://h:1", "--token-file", "t"}, map[string]string{"TRAILWARD_DATA": "e", "TRAILWARD_CA_FILE": "c"}, 0,
			location{server: "https://h:1", tokenFile: "t", caFile: "c"}},
		{"server by environment", nil, map[string]string{"TRAILWARD_SERVER": "http://h:1", "TRAILWARD_TOKEN_FILE": "t"}, 0, location{server: "http://h:1", tokenFile: "t"}},
		{"both by flag", []string{"--data", "d", "--server", "http://h:1"}, nil, 2, location{}},
		{"both by environment", nil, map[string]string{"TRAILWARD_DATA": "e", "TRAILWARD_SERVER": "http://h:1"}, 2, location{}},
		{"no URL", []string{"--server", "h:1"}, nil, 2, location{}},
		{"token without server", []string{"--token-file", "t"}, nil, 2, location{}},
		{"key with server", []string{"--server", "http://h:1", "--key-file", "k"}, nil, 2, location{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := runWith(t, &fakePlace{}, tt.env, "", append([]string{"groups"}, tt.args...)...)
			if o.code != tt.code || o.loc != tt.want {
				t.Errorf("groups %v with %v = %d at %+v, want %d at %+v: %s", tt.args, tt.env, o.code, o.loc, tt.code, tt.want, o.errors)
			}
		})
	}
}

func TestIngestSummary(t *testing.T) {
	res := api.IngestResult{
		Records: 1234, Bytes: 5_600_000, Duplicates: 7, Conflicts: 3, Damaged: map[string]int64{"cut gzip": 1, "line too long": 2},
		Kinds: map[trailward.Kind]int64{trailward.KindText: 34, trailward.KindK8sAudit: 1200},
	}
	t.Chdir(t.TempDir())
	put(t, "f", "")
	put(t, "a", "")
	o := runWith(t, &fakePlace{result: res}, nil, "", "ingest", "--group", "g", "f")
	want := "  1,234 records, 5.6 MB\n  1,200 of kind k8s.audit\n     34 of kind text\n      3 conflicts: new records with the id of a stored one and other content\n      7 duplicates, not stored again\n      1 damaged: cut gzip\n      2 damaged: line too long\n"
	if o.code != 0 || o.out != want {
		t.Errorf("ingest = %d %q, want 0 %q", o.code, o.out, want)
	}
	o = runWith(t, &fakePlace{}, nil, "", "ingest", "--group", "g", "--output", "json", "f")
	want = `{"records":0,"bytes":0,"duplicates":0,"conflicts":0,"damaged":{},"rejected":0,"kinds":{}}` + "\n"
	if o.code != 0 || o.out != want {
		t.Errorf("ingest --output json = %d %q, want 0 %q", o.code, o.out, want)
	}
	p := &fakePlace{}
	o = runWith(t, p, nil, "", "ingest", "--group", "g", "--kind", "linux.syslog", "--stream", "s", "a", "-")
	if j := p.job; o.code != 0 || j.group != "g" || j.stream != "s" || j.kind != trailward.KindSyslog || !slices.Equal(j.paths, []string{"a", "-"}) || !o.loc.create {
		t.Errorf("ingest asked for %+v at %+v", p.job, o.loc)
	}
}

func TestCatEndsRecords(t *testing.T) {
	p := &fakePlace{cat: []string{"a\nb", "", "\xff\x00"}}
	if o := runWith(t, p, nil, "", "cat", "--group", "g"); o.out != "a\nb\n\n\xff\x00\n" {
		t.Errorf("cat = %q", o.out)
	}
	if o := runWith(t, p, nil, "", "cat", "-0", "--group", "g"); o.out != "a\nb\x00\x00\xff\x00\x00" {
		t.Errorf("cat -0 = %q", o.out)
	}
}

func TestTokens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	o := runWith(t, nil, nil, "", "token", "create", "--data", dir, "--role", "writer", "--group", "/a/*", "--kind", "k8s.audit", "--name", "for tests", "--expires", "30d")
	secret := strings.TrimSuffix(o.out, "\n")
	if o.code != 0 || !strings.HasPrefix(secret, "tw_") || strings.Contains(o.errors, secret) {
		t.Fatalf("token create = %d %q %q, want a secret on stdout only", o.code, o.out, o.errors)
	}
	file, err := os.ReadFile(filepath.Join(dir, tokenFile))
	if err != nil || bytes.Contains(file, []byte(secret)) {
		t.Errorf("%s holds the secret (%v)", tokenFile, err)
	}
	id := strings.Split(secret, "_")[1]
	o = runWith(t, nil, nil, "", "token", "list", "--data", dir)
	if o.code != 0 || !strings.Contains(o.out, id) || !strings.Contains(o.out, "for tests") || strings.Contains(o.out, secret) {
		t.Errorf("token list = %d %q", o.code, o.out)
	}
	if o = runWith(t, nil, nil, "", "token", "revoke", "--data", dir, id); o.code != 0 {
		t.Errorf("token revoke = %d %q, want 0", o.code, o.errors)
	}
	if o = runWith(t, nil, nil, "", "token", "revoke", "--data", dir, id); o.code != 1 {
		t.Errorf("token revoke again = %d %q, want 1", o.code, o.errors)
	}
	for _, args := range [][]string{
		{"--role", "owner"}, {"--role", "reader", "--expires", "soon"}, {"--role", "reader", "--kind", "k8s"}, {"--role", "reader", "--group", "a*b"}, {},
	} {
		if o := runWith(t, nil, nil, "", append([]string{"token", "create", "--data", dir}, args...)...); o.code != 2 || o.out != "" {
			t.Errorf("token create %v = %d %q, want 2", args, o.code, o.out)
		}
	}
}

func TestProtectQuery(t *testing.T) {
	f := func(want []string, in ...string) {
		t.Helper()
		if got := protectQuery(in); !slices.Equal(got, want) {
			t.Errorf("protectQuery(%q) = %q, want %q", in, got, want)
		}
	}
	f([]string{"sql", "SELECT 1"}, "sql", "SELECT 1")
	f([]string{"sql", "--output", "json", "--", "-- a=b\nSELECT 1"}, "sql", "-- a=b\nSELECT 1", "--output", "json")
	f([]string{"sql", "--group=a b"}, "sql", "--group=a b")
	f([]string{"sql", "--", "-- x"}, "sql", "--", "-- x")
}

func TestStreamName(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := streamName(in); got != want {
			t.Errorf("streamName(%q) = %q, want %q", in, got, want)
		}
	}
	f("-", "stdin")
	f("/var/log/auth.log", "/var/log/auth.log")
	f("a.tar!b:c*d\n", "a.tar!b_c_d_")
	f("x\xffy", "x_y")
	f(strings.Repeat("é", 400), strings.Repeat("é", 256))
}

func TestBatchIDIsTheSameForTheSameOnly(t *testing.T) {
	batch := func(number int, stream string, records ...trailward.Framed) string {
		b := &fileBatch{stream: stream, number: number}
		for _, r := range records {
			b.add(r)
		}
		id, _ := b.id()
		return id
	}
	a, b := trailward.Framed{Raw: []byte("a")}, trailward.Framed{Raw: []byte("b")}
	ids := map[string]string{}
	for name, id := range map[string]string{
		"a b":      batch(0, "s", a, b),
		"b a":      batch(0, "s", b, a),
		"ab":       batch(0, "s", trailward.Framed{Raw: []byte("ab")}),
		"second":   batch(1, "s", a, b),
		"stream":   batch(0, "t", a, b),
		"time":     batch(0, "s", trailward.Framed{Raw: []byte("a"), Time: 1}, b),
		"attrs":    batch(0, "s", trailward.Framed{Raw: []byte("a"), Attrs: []trailward.Attr{{Name: "x", Value: "y"}}}, b),
		"columns":  batch(0, "s", trailward.Framed{Raw: []byte("a"), Columns: []string{"x"}}, b),
		"kind":     batch(0, "s", trailward.Framed{Raw: []byte("a"), Kind: trailward.KindText}, b),
		"damaged ": batch(0, "s", trailward.Framed{Raw: []byte("a"), Damaged: "cut"}, b),
	} {
		if other, ok := ids[id]; ok {
			t.Errorf("batches %q and %q have the same id", name, other)
		}
		ids[id] = name
	}
	if got, want := batch(0, "s", a, b), batch(0, "s", a, b); got != want {
		t.Errorf("id of the same batch = %s, want %s", got, want)
	}
}

func TestBatchKeepsItsRecords(t *testing.T) {
	b := &fileBatch{}
	buf := make([]byte, 1000)
	for i := range 10_000 {
		copy(buf, fmt.Sprintf("%08d", i))
		b.add(trailward.Framed{Raw: buf})
	}
	for i, r := range b.records {
		if want := fmt.Sprintf("%08d", i); string(r.Raw[:8]) != want || len(r.Raw) != 1000 {
			t.Fatalf("record %d = %q, want %q", i, r.Raw[:8], want)
		}
	}
}

func TestCompletionScriptsParse(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"bash", "-n"}, "zsh": {"zsh", "-n"}, "fish": {"fish", "-n"}} {
		t.Run(shell, func(t *testing.T) {
			o := runWith(t, nil, nil, "", "completion", shell)
			for _, want := range []string{"query", "create", "output", "csv"} {
				if !strings.Contains(o.out, want) {
					t.Errorf("completion %s lacks %s", shell, want)
				}
			}
			if _, err := exec.LookPath(check[0]); err != nil {
				t.Skipf("%s is not installed", check[0])
			}
			cmd := exec.Command(check[0], check[1:]...)
			cmd.Stdin = strings.NewReader(o.out)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s finds a fault: %v\n%s", shell, err, out)
			}
		})
	}
}

func TestKeyBesideData(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		listen string
		key    string
		allow  bool
		ok     bool
	}{
		{"loopback", "127.0.0.1:7300", "", false, true},
		{"loopback name", "localhost:7300", "", false, true},
		{"loopback 6", "[::1]:7300", "", false, true},
		{"everywhere", "0.0.0.0:7300", "", false, false},
		{"everywhere, no host", ":7300", "", false, false},
		{"key elsewhere", ":7300", filepath.Join(t.TempDir(), "key"), false, true},
		{"key named but inside", ":7300", filepath.Join(dir, "sub", "key"), false, false},
		{"allowed", ":7300", "", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &serverCmd{Listen: tt.listen, AllowKeyBesideData: tt.allow}
			if err := c.checkKeyPlace(location{data: dir, keyFile: tt.key}); (err == nil) != tt.ok {
				t.Errorf("checkKeyPlace = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

// TestHelp: every command says what it does, with an example; one that takes a
// place takes a server as well.
func TestHelp(t *testing.T) {
	a := &app{ctx: t.Context(), getenv: func(string) string { return "" }, open: openBackend}
	parser, err := newParser(a)
	if err != nil {
		t.Fatal(err)
	}
	// These work on the data directory itself, or on none.
	alone := []string{"server", "restore", "token create", "token list", "token revoke", "demo", "completion", "version"}
	for _, c := range leaves(parser.Model.Node, nil, nil) {
		name := strings.Join(c.words, " ")
		t.Run(name, func(t *testing.T) {
			o := runWith(t, nil, nil, "", append(slices.Clone(c.words), "--help")...)
			if o.code != exitGood || !strings.Contains(o.out, "\nExample") || !strings.Contains(o.out, "trailward "+name) {
				t.Errorf("trailward %s --help = %d without an example of it:\n%s%s", name, o.code, o.out, o.errors)
			}
			takes := slices.ContainsFunc(c.flags, func(f *kong.Flag) bool { return f.Name == "server" })
			if want := !slices.Contains(alone, name); takes != want {
				t.Errorf("trailward %s takes --server: %v, want %v", name, takes, want)
			}
		})
	}
	if o := runWith(t, nil, nil, ""); o.code != exitGood || !strings.Contains(o.out, "Usage: trailward") {
		t.Errorf("trailward = %d %s, want the list of commands", o.code, o.out)
	}
	if o := runWith(t, nil, nil, "", "retent"); o.code != exitUsage {
		t.Errorf("trailward retent = %d, want %d", o.code, exitUsage)
	}
}
