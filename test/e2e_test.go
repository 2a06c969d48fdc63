package test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// samples is the folder of sample files that we ship.
const samples = "../demo/samples"

// sampleKinds is how many records of each kind the shipped samples hold.
func load(t *testing.T, place ...string) map[string]any {
	t.Helper()
	args := append([]string{"ingest", "--group", "mixed", "--output", "json"}, append(place, samples)...)
	return objects(t, good(t, args...))[0]
}

// lines gives the lines of a sample file, unpacked.
func lines(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// places runs a test against a data directory and against a server over one.
func places(t *testing.T, test func(t *testing.T, place []string)) {
	t.Run("data", func(t *testing.T) { test(t, []string{"--data", filepath.Join(t.TempDir(), "store")}) })
	t.Run("server", func(t *testing.T) {
		s := serve(t, filepath.Join(t.TempDir(), "store"))
		test(t, []string{"--server", s.url})
	})
}

func TestEveryKindGoesInAndIsAnswered(t *testing.T) {
	places(t, func(t *testing.T, place []string) {
		sum := load(t, place...)
		kinds := sum["kinds"].(map[string]any)
		total := 0.0
		for _, k := range []string{
			"k8s.audit", "aws.cloudtrail", "aws.vpcflow", "aws.dns", "aws.waf", "linux.audit", "linux.syslog", "linux.journal", "container", "json", "text",
		} {
			n, _ := kinds[k].(float64)
			if n == 0 {
				t.Errorf("kinds[%s] = %v, want some: %v", k, n, kinds)
			}
			total += n
		}
		if sum["records"] != total || sum["rejected"] != 0.0 || sum["duplicates"] != 0.0 {
			t.Errorf("ingest = %v, want %v records, none rejected, no duplicate", sum, total)
		}
		for _, q := range [][]string{
			{"query", "stats count(*) as n by @kind"},
			{"sql", `SELECT kind AS "@kind", count(*) AS n FROM logs GROUP BY kind`},
		} {
			out := good(t, append(append([]string{q[0], "--output", "json"}, place...), q[1])...)
			got := map[string]string{}
			for _, row := range objects(t, out) {
				n, err := json.Marshal(row["n"])
				if err != nil {
					t.Fatal(err)
				}
				got[row["@kind"].(string)] = strings.Trim(string(n), `"`)
			}
			for k, want := range kinds {
				b, _ := json.Marshal(want)
				if got[k] != string(b) {
					t.Errorf("%s %q: n of %s = %s, want %s", q[0], q[1], k, got[k], b)
				}
			}
		}
	})
}

func TestCatGivesTheBytesBack(t *testing.T) {
	nasty := []string{
		`{"a":1.0,"a":2,"b":-0,"c":1e400}`, `{"k" : "\u00e9\/\ud83d\ude00", "x":[1, 2,{"y":null}] }`, `{"n":123456789012345678901234567890}`,
		"\xff\xfe not utf8 \x00 nul", `{}`, `[]`, `"s"`, `{"a":{"b":{"c":{}}}}`, `{"a":"x"`, "   leading and trailing   ", `{"a.b":1,"a":{"b":2}}`, "crlf\r",
		strings.Repeat("x", 1<<20), `{"deep":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`,
	}
	places(t, func(t *testing.T, place []string) {
		r := run(t, strings.Join(nasty, "\n")+"\n", append(append([]string{"ingest", "--group", "g"}, place...), "-")...)
		if r.code != 0 {
			t.Fatalf("ingest: exit status %d, want 0\n%s", r.code, r.stderr)
		}
		got := strings.Split(strings.TrimSuffix(good(t, append([]string{"cat", "--group", "g"}, place...)...), "\n"), "\n")
		slices.Sort(got)
		want := slices.Clone(nasty)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			for _, w := range want {
				if !slices.Contains(got, w) {
					t.Errorf("cat lacks %.80q", w)
				}
			}
			t.Errorf("cat gave %d records, want %d", len(got), len(want))
		}
	})
}

func TestSameFilesAgainAddNothing(t *testing.T) {
	places(t, func(t *testing.T, place []string) {
		audit := filepath.Join(samples, "k8s-audit.jsonl")
		ingest := append([]string{"ingest", "--group", "g", "--output", "json"}, place...)
		first := objects(t, good(t, append(ingest, audit)...))[0]
		again := objects(t, good(t, append(ingest, audit)...))[0]
		if again["records"] != 0.0 || again["duplicates"] != first["records"] {
			t.Errorf("ingest again = %v, want 0 records and %v duplicates", again, first["records"])
		}
		got := len(strings.Split(strings.TrimSpace(good(t, append([]string{"cat", "--group", "g"}, place...)...)), "\n"))
		if want := len(lines(t, "k8s-audit.jsonl")); got != want {
			t.Errorf("cat gives %d records, want %d", got, want)
		}
	})
}

func TestNoPlaintextOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := serve(t, dir)
	load(t, "--server", s.url)
	if status, body := s.post("/v1/ingest?group=live&stream=s", `{"probe":"planted-4711"}`+"\n"); status/100 != 2 {
		t.Fatalf("POST /v1/ingest = %d %s, want 2xx", status, body)
	}
	s.kill() // nothing is tidied up: the WAL is as it was
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, probe := range []string{"planted-4711", "203.0.113.77", "ehr-db-credentials", "userIdentity", "Failed password", "PAR1"} {
			if bytes.Contains(b, []byte(probe)) {
				t.Errorf("%s holds %q", path, probe)
			}
		}
		info, err := d.Info()
		if err == nil && strings.Contains(d.Name(), "key") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("walk %s: %d files, %v", dir, files, err)
	}
}

func TestAcknowledgedSurvivesKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := serve(t, dir)
	for i := range 5 {
		body := strings.Repeat(`{"n":`+string(rune('0'+i))+`}`+"\n", 3)
		if status, answer := s.post("/v1/ingest?group=g&stream=s", body, "Trailward-Batch", "b"+string(rune('0'+i))); status/100 != 2 {
			t.Fatalf("POST /v1/ingest = %d %s, want 2xx", status, answer)
		}
	}
	s.kill()
	s = serve(t, dir)
	// The client did not see the last answer and sends again.
	if status, answer := s.post("/v1/ingest?group=g&stream=s", strings.Repeat(`{"n":4}`+"\n", 3), "Trailward-Batch", "b4"); status/100 != 2 {
		t.Fatalf("POST /v1/ingest again = %d %s, want 2xx", status, answer)
	}
	if status, _ := s.post("/v1/ingest?group=g&stream=s", `{"n":"other"}`+"\n", "Trailward-Batch", "b4"); status != 409 {
		t.Errorf("POST /v1/ingest with another body under the same id = %d, want 409", status)
	}
	s.stop()
	got := strings.Split(strings.TrimSpace(good(t, "cat", "--data", dir, "--group", "g")), "\n")
	if len(got) != 15 {
		t.Errorf("cat gives %d records, want 15: %q", len(got), got)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	serve(t, dir)
	r := run(t, "", "query", "--data", dir, "stats count(*)")
	if r.code != 1 || !strings.Contains(r.stderr, "--server") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("query on a held data directory = %d %q, want 1 and one line that names --server", r.code, r.stderr)
	}
}

func TestWebPagesAreKeptOut(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "store"))
	body := `{"query":"stats count(*)"}`
	if status, answer := s.post("/v1/query", body); status != 200 {
		t.Errorf("POST /v1/query = %d %s, want 200", status, answer)
	}
	for name, header := range map[string][]string{
		"foreign origin": {"Origin", "https://evil.example"},
		"rebound name":   {"Host", "evil.example"},
		"cross site":     {"Sec-Fetch-Site", "cross-site"},
	} {
		if status, _ := s.post("/v1/query", body, header...); status != 403 && status != 421 {
			t.Errorf("POST /v1/query with %s = %d, want it refused", name, status)
		}
	}
}

func TestBeyondLoopbackNeedsTLSAndToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	r := run(t, "", "server", "--data", dir, "--listen", "0.0.0.0:0")
	if r.code == 0 || !strings.Contains(r.stderr, "--tls-cert") {
		t.Errorf("server --listen 0.0.0.0:0 = %d %q, want it refused with what to pass", r.code, r.stderr)
	}
}

func TestUsage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	tests := []struct {
		name string
		args []string
		code int
		want string // in stderr
	}{
		{"no such command", []string{"qery"}, 2, "qery"},
		{"no such flag", []string{"query", "--outptu", "json", "fields @message"}, 2, "--outptu"},
		{"no query", []string{"query"}, 2, "query"},
		{"bad output", []string{"query", "--output", "xml", "fields @message"}, 2, "xml"},
		{"bad time", []string{"query", "--data", data, "--start", "yesterdayish", "fields @message"}, 2, "yesterdayish"},
		{"two places", []string{"query", "--data", data, "--server", "http://127.0.0.1:1", "fields @message"}, 2, "--server"},
		{"no group", []string{"ingest", "--data", data, "-"}, 2, "--group"},
		{"unknown kind", []string{"ingest", "--data", data, "--group", "g", "--kind", "k8s.adit", "-"}, 2, "k8s.adit"},
		{"missing file", []string{"ingest", "--data", data, "--group", "g", "/nonexistent/file"}, 1, "/nonexistent/file"},
		{"no server there", []string{"query", "--server", "http://127.0.0.1:1", "fields @message"}, 1, "127.0.0.1:1"},
		{"bad query", []string{"query", "--data", data, "fields @message | filtr a = 1"}, 1, "filtr"},
		{"bad sql", []string{"sql", "--data", data, "SELECT * FROM cloudtrial"}, 1, "cloudtrial"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, "", tt.args...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("trailward %s = %d %q, want %d and %q", strings.Join(tt.args, " "), r.code, r.stderr, tt.code, tt.want)
			}
			if r.stdout != "" {
				t.Errorf("stdout = %q, want nothing", r.stdout)
			}
		})
	}
}

func TestQueryFaultPointsAtTheColumn(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	r := run(t, "", "query", "--data", data, "fields @message\n| filtr a = 1")
	want := "  | filtr a = 1\n    ^\n"
	if !strings.HasSuffix(r.stderr, want) || !strings.Contains(r.stderr, "line 2, column 3") {
		t.Errorf("stderr = %q, want the place and %q", r.stderr, want)
	}
}

func TestDemo(t *testing.T) {
	r := runEnv(t, []string{"DEMO_EXIT=1"}, "", "demo")
	if r.code != 0 {
		t.Fatalf("demo: exit status %d, want 0\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	for _, want := range []string{"203.0.113.77", "system:serviceaccount:ci:deployer", "node-shell", "curl -s http://127.0.0.1:"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	if strings.Contains(r.stdout, "(0 rows)") {
		t.Errorf("a question of the demo has no answer:\n%s", r.stdout)
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, c := range [][]string{
		{"server"}, {"ingest"}, {"query"}, {"sql"}, {"cat"}, {"groups"}, {"token", "create"}, {"token", "list"}, {"token", "revoke"}, {"demo"}, {"completion"}, {"version"},
	} {
		out := good(t, append(c, "--help")...)
		if !strings.Contains(out, "Example") || !strings.Contains(out, "trailward "+strings.Join(c, " ")) {
			t.Errorf("trailward %s --help has no example:\n%s", strings.Join(c, " "), out)
		}
	}
}
