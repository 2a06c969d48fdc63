package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trailward/api"
	"trailward/auth"
)

// user runs commands as somebody with a home of their own, at a place that flags
// name.
type user struct {
	t     *testing.T
	home  string
	place []string
}

func (u *user) run(stdin string, args ...string) outcome {
	u.t.Helper()
	var out, errs bytes.Buffer
	code := run(&app{
		ctx: context.Background(), stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, open: openBackend,
		getenv: func(name string) string {
			if name == "HOME" {
				return u.home
			}
			return ""
		},
	}, append(args, u.place...))
	return outcome{code: code, out: out.String(), errors: errs.String()}
}

var (
	reHex    = regexp.MustCompile(`\b[0-9a-f]{16,64}\b`)
	reDigits = regexp.MustCompile(`[0-9]+([.,][0-9]+)*`)
	rePath   = regexp.MustCompile(`of /\S+/trailward.key( at the server)?`)
	reSpace  = regexp.MustCompile(`[ \x{2500}]+`)
)

// shapeOf is an output without what differs from run to run.
func shapeOf(s string) string {
	s = reHex.ReplaceAllString(s, "ID")
	s = rePath.ReplaceAllString(s, "of PATH")
	s = strings.ReplaceAll(s, "µs", "ms")
	return reSpace.ReplaceAllString(reDigits.ReplaceAllString(s, "N"), " ")
}

// TestAlike: the commands that administer do the same on a data directory and at
// a server, say the same, and end with the same status.
func TestAlike(t *testing.T) {
	dir := t.TempDir()
	url := liveServerAt(t, filepath.Join(dir, "served"), api.Config{})
	here := &user{t, filepath.Join(dir, "home"), []string{"--data", filepath.Join(dir, "data")}}
	there := &user{t, filepath.Join(dir, "home"), []string{"--server", url}}
	csv := "id,department\nalice,cardiology\n"
	steps := []struct {
		args  string
		stdin string
		code  int
		want  string // in the output or the error
	}{
		{"ingest --group /g --stream s -", "one\ntwo\n", 0, "2 records"},
		{"verify", "", 0, "everything is as it was written"},
		{"verify", "", 0, "it continues the one seen before"},
		{"verify --output json", "", 0, `"compared":true`},
		{"verify --accept", "", 0, "no earlier one was seen"},
		{"retention list", "", 0, "default"},
		{"retention set /g 30d", "", 0, "are kept 30d"},
		{"retention set /g never", "", 0, "for ever"},
		{"retention set /g default", "", 0, "are kept 6y"},
		{"retention set /g 3h", "", 2, "want days or years"},
		{"retention set /new 90d", "", 0, "are kept 90d"},
		{"retention list --output json", "", 0, `{"group":"/new","retention":"90d","default":false}`},
		{"retention expire", "", 0, "0 records in 0 segments"},
		{"hold set /g --reason case-17", "", 0, "is under hold"},
		{"hold set /g --reason=", "", 1, "a hold needs a reason"},
		{"hold list", "", 0, "case-17"},
		{"hold list --output json", "", 0, `"reason":"case-17"`},
		{"retention list", "", 0, "case-17"},
		{"hold release /g", "", 0, "is released"},
		{"hold release /g", "", 1, "not under hold"},
		{"lookup put users -", csv, 0, "1 rows, columns id, department"},
		{"lookup put users -", "", 1, "no header line"},
		{"lookup put u/s -", csv, 1, "letters, digits"},
		{"lookup list", "", 0, "users"},
		{"lookup list --output json", "", 0, `"columns":["id","department"]`},
		{"keys list", "", 0, "in use"},
		{"keys rotate --no-rewrap", "", 0, "still need an older one"},
		{"keys list", "", 0, "needed"},
		{"keys rotate --resume", "", 0, "0 files still need an older one"},
		{"keys rotate", "", 0, "0 files still need an older one"},
		{"keys list --output json", "", 0, `"lookup_tables":1`},
		{"lookup rm users", "", 0, ""},
		{"lookup rm users", "", 1, "no lookup table is named users"},
		{"verify --record xx", "", 2, "pointer"},
		{"verify --record AQBhYmM", "", 1, "no such record"},
		{"query --explain 'stats_count'", "", 1, ""},
		{"verify", "", 0, "everything is as it was written"},
	}
	for i, step := range steps {
		args := strings.Fields(step.args)
		a, b := here.run(step.stdin, args...), there.run(step.stdin, args...)
		for who, o := range map[string]outcome{"on a data directory": a, "at a server": b} {
			if o.code != step.code || !strings.Contains(o.out+o.errors, step.want) && !strings.Contains(strings.ReplaceAll(o.out+o.errors, "there is ", ""), step.want) {
				t.Errorf("step %d, trailward %s, %s: status %d, %s%s; want %d and %q", i, step.args, who, o.code, o.out, o.errors, step.code, step.want)
			}
		}
		if i < 2 || step.args == "verify --output json" {
			// Whoever opens a data directory has seen its checkpoint; whoever sends to a
			// server has not. The members of the JSON are in another order.
			continue
		}
		if got, want := shapeOf(b.out), shapeOf(a.out); got != want {
			t.Errorf("step %d, trailward %s: at a server\n%s\non a data directory\n%s", i, step.args, b.out, a.out)
		}
	}
	// A record's proof.
	for who, u := range map[string]*user{"on a data directory": here, "at a server": there} {
		var row map[string]string
		if o := u.run("", "query", "--output", "json", `fields @ptr, @message | filter @message = "two"`); json.Unmarshal([]byte(o.out), &row) != nil {
			t.Fatalf("%s: query = %d %s%s", who, o.code, o.out, o.errors)
		}
		if o := u.run("", "verify", "--record", row["@ptr"]); o.code != 0 || !strings.Contains(o.out, `"bytes": "dHdv"`) {
			t.Errorf("%s: verify --record = %d %s%s", who, o.code, o.out, o.errors)
		}
	}
}

// TestBackupHasAll: a backup has what cannot be made again, whichever way it was
// made, and a restore puts it back.
func TestBackupHasAll(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	home := filepath.Join(dir, "home")
	local := &user{t, home, []string{"--data", data}}
	good := func(u *user, stdin string, args ...string) string {
		t.Helper()
		o := u.run(stdin, args...)
		if o.code != 0 {
			t.Fatalf("trailward %v = %d %s%s", args, o.code, o.out, o.errors)
		}
		return o.out
	}
	good(local, "one\ntwo\n", "ingest", "--group", "/g", "-")
	good(local, "id,department\nalice,cardiology\n", "lookup", "put", "users", "-")
	good(local, "", "backup", filepath.Join(dir, "backup-here"))
	url := liveServerAt(t, data, api.Config{})
	secret := good(local, "", "token", "create", "--role", "admin")
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := &user{t, home, []string{"--server", url, "--token-file", token}}
	if resp, err := http.Post(url+"/v1/ingest?group=/g", "text/plain", strings.NewReader("")); err != nil || resp.StatusCode != 401 {
		t.Fatalf("without the token = %v, %v, want 401", resp, err)
	}
	good(remote, "three\n", "ingest", "--group", "/g", "-")
	good(remote, "", "backup", filepath.Join(dir, "backup-there"))
	if o := remote.run("", "backup", filepath.Join(dir, "backup-there")); o.code != exitNo || !strings.Contains(o.errors, "name a new directory") {
		t.Errorf("a backup over another = %d %s%s, want %d", o.code, o.out, o.errors, exitNo)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.partial")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	key, err := os.ReadFile(filepath.Join(data, keyName))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"backup-here": "one\ntwo\n", "backup-there": "one\nthree\ntwo\n"} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(dir, name, keyName)); err == nil {
				t.Error("the key is in the backup")
			}
			restored := filepath.Join(dir, name+"-restored")
			u := &user{t, home, []string{"--data", restored}}
			good(&user{t, home, nil}, "", "restore", filepath.Join(dir, name), "--data", restored)
			if err := os.WriteFile(filepath.Join(restored, keyName), key, 0o600); err != nil {
				t.Fatal(err)
			}
			good(u, "", "verify", "--accept")
			lines := strings.SplitAfter(good(u, "", "cat", "--group", "/g"), "\n")
			slices.Sort(lines)
			if got := strings.Join(lines, ""); got != want {
				t.Errorf("cat of %s = %q, want the records %q", name, got, want)
			}
			if out := good(u, "", "lookup", "list"); !strings.Contains(out, "department") {
				t.Errorf("lookup list of %s = %s", name, out)
			}
			if name == "backup-there" {
				s, err := auth.OpenStore(filepath.Join(restored, tokenFile), nil)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := s.Active(); n != 1 || err != nil {
					t.Errorf("%s has %d tokens, %v, want 1", name, n, err)
				}
			}
		})
	}
}

// TestDamageAtServer: what is not as it was written is told, and the answer is no.
func TestDamageAtServer(t *testing.T) {
	dir := t.TempDir()
	url := liveServerAt(t, filepath.Join(dir, "data"), api.Config{})
	u := &user{t, filepath.Join(dir, "home"), []string{"--server", url}}
	send(t, url, "group=/g", "one\ntwo\n")
	if o := u.run("", "verify"); o.code != 0 {
		t.Fatalf("verify = %d %s%s", o.code, o.out, o.errors)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "data", "segments", "*", "*.seg"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(segments[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := u.run("", "verify"); o.code != exitNo || !strings.Contains(o.out, "FOUND  segment ") || !strings.Contains(o.errors, url+" is not as it was written: 1 finding") {
		t.Errorf("verify of a damaged store = %d %s%s, want %d and the segment", o.code, o.out, o.errors, exitNo)
	}
	o := u.run("", "verify", "--output", "json")
	var r struct {
		Good     *bool
		Findings []struct{ What, Where string }
		Seconds  float64
	}
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.code != exitNo || r.Good == nil || *r.Good || len(r.Findings) != 1 {
		t.Errorf("verify --output json = %d %s, %v", o.code, o.out, err)
	}
}

// TestRolledBackServer: a server whose store was put back to an older state is
// found out by who saw the newer one.
func TestRolledBackServer(t *testing.T) {
	dir := t.TempDir()
	data, home := filepath.Join(dir, "data"), filepath.Join(dir, "home")
	u := &user{t, home, []string{"--data", data}}
	for _, args := range [][]string{{"ingest", "--group", "/g", "-"}, {"backup", filepath.Join(dir, "old")}, {"retention", "set", "/g", "7y"}, {"retention", "set", "/g", "8y"}} {
		if o := u.run("x\n", args...); o.code != 0 {
			t.Fatalf("trailward %v = %d %s%s", args, o.code, o.out, o.errors)
		}
	}
	// The user sees the newer one at a server, and another at the same URL later:
	// here the URL differs, so that the memory is given the place of the first.
	newer := liveServerAt(t, data, api.Config{})
	seen := &user{t, home, []string{"--server", newer}}
	if o := seen.run("", "verify"); o.code != 0 {
		t.Fatalf("verify = %d %s%s", o.code, o.out, o.errors)
	}
	key, err := os.ReadFile(filepath.Join(data, keyName))
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "restored")
	if o := (&user{t, home, nil}).run("", "restore", filepath.Join(dir, "old"), "--data", old); o.code != 0 {
		t.Fatalf("restore = %d %s", o.code, o.errors)
	}
	if err := os.WriteFile(filepath.Join(old, keyName), key, 0o600); err != nil {
		t.Fatal(err)
	}
	older := liveServerAt(t, old, api.Config{})
	r, err := openRemote(location{server: older})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	c := &verifyCmd{}
	var errs bytes.Buffer
	m, now, found, err := c.compare(&app{ctx: t.Context(), stderr: &errs}, r, location{server: newer, memory: filepath.Join(home, ".local", "state", "trailward", "checkpoints")})
	if err != nil || m == nil || len(found) != 1 || found[0].What != "rolled back" && found[0].What != "exchanged" || now.compared {
		t.Errorf("compare() = %v, %+v, %v, %v, %q; want a finding", m, now.compared, found, err, errs.String())
	}
	if m != nil {
		m.Close()
	}
}

// TestHostileAmongMany: fifty questions without an end and fifty others of
// somebody else share the engine. The others are all answered, and when the
// hostile client goes away nothing of its questions is left.
func TestHostileAmongMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	url := liveServerAt(t, dir, api.Config{QueryWait: time.Hour}) // nobody is sent away by a slow machine
	var body strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&body, "{\"n\":%d}\n", i)
	}
	send(t, url, "group=g", body.String())
	st, err := auth.OpenStore(filepath.Join(dir, tokenFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for _, who := range []string{"hostile", "others"} {
		_, secret, err := st.Create(auth.Token{Role: auth.Reader, Groups: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		secrets[who] = secret
	}
	post := func(ctx context.Context, who, path, body string) (int, string, error) {
		req, err := http.NewRequestWithContext(ctx, "POST", url+path, strings.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", "Bearer "+secrets[who])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(data), err
	}
	load := func() (running, waiting string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secrets["others"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		value := func(name string) string {
			_, rest, _ := strings.Cut(string(data), "\n"+name+" ")
			n, _, _ := strings.Cut(rest, "\n")
			return n
		}
		return value("trailward_queries_running"), value("trailward_queries_waiting")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hostile, others sync.WaitGroup
	for range 50 {
		hostile.Go(func() {
			_, _, _ = post(ctx, "hostile", "/v1/sql", `{"query":"SELECT count(*) FROM json a, json b, json c, json d WHERE a.n + b.n + c.n + d.n = 1"}`)
		})
	}
	for {
		if running, waiting := load(); running == fmt.Sprint(api.DefaultMaxPrincipalQueries) && waiting != "0" {
			break
		}
	}
	for i := range 50 {
		others.Go(func() {
			status, out, err := post(t.Context(), "others", "/v1/query", fmt.Sprintf(`{"query":"filter n < %d | stats count(*) as c"}`, i+1))
			if want := fmt.Sprintf("{\"c\":\"%d\"}\n", i+1); err != nil || status != 200 || out != want {
				t.Errorf("question %d beside hostile ones = %d %s %v, want %s", i, status, out, err, want)
			}
		})
	}
	others.Wait()
	cancel()
	hostile.Wait()
	for {
		if running, waiting := load(); running == "0" && waiting == "0" {
			break
		}
	}
	// Nobody of ours works for a question any more.
	stacks := make([]byte, 8<<20)
	for strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "query/duck.(*Session)") {
		runtime.Gosched()
	}
	if status, out, err := post(t.Context(), "hostile", "/v1/query", `{"query":"stats count(*) as c"}`); err != nil || status != 200 || out != "{\"c\":\"2000\"}\n" {
		t.Errorf("a question after it all = %d %s %v, want 200", status, out, err)
	}
}

// TestFaultsAtStart: an asynchronous question with a fault in its text is refused
// at once by the real engine, in both languages.
func TestFaultsAtStart(t *testing.T) {
	url := liveServerAt(t, filepath.Join(t.TempDir(), "data"), api.Config{})
	send(t, url, "group=g", "{\"n\":1}\n")
	for body, want := range map[string]int{
		`{"query":"fields @message | sorted"}`:                                            400,
		`{"query":"SELECT * FROM nothing","language":"sql"}`:                              400,
		`{"query":"SELECT count(*) FROM json WHERE","language":"sql"}`:                    400,
		`{"query":"SELECT * FROM read_csv('/etc/passwd')","language":"sql"}`:              400,
		`{"query":"stats count(*) by n"}`:                                                 200,
		`{"query":"SELECT count(*) FROM json","language":"sql"}`:                          200,
		`{"query":"SELECT count(*) FROM mine","language":"sql","tables":{"mine":"json"}}`: 200,
	} {
		resp, err := http.Post(url+"/v1/queries", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("POST /v1/queries %s = %d %s %v, want %d", body, resp.StatusCode, data, err, want)
		}
	}
}
