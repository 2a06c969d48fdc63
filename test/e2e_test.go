package test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// samples is the folder of sample files that we ship.
const samples = "../demo/samples"

// load puts all samples into the group "mixed" and gives the summary.
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
			"k8s.audit", "aws.cloudtrail", "aws.cloudtrail.digest", "aws.vpcflow", "aws.dns", "aws.waf", "aws.lambda", "linux.audit", "linux.syslog", "linux.journal", "container", "json", "text",
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
			{"sql", `SELECT "@kind", count(*) AS n FROM logs GROUP BY "@kind"`},
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
	load(t, "--data", data)
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
		{"no store there", []string{"query", "--data", "/nonexistent/store", "fields @message"}, 1, "/nonexistent/store"},
		{"no such group", []string{"cat", "--data", data, "--group", "nope"}, 1, "nope"},
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
	places(t, func(t *testing.T, place []string) {
		load(t, place...)
		r := run(t, "", append(append([]string{"query"}, place...), "fields @message\n| filtr a = 1")...)
		want := "  | filtr a = 1\n    ^\n"
		if r.code != 1 || !strings.HasSuffix(r.stderr, want) || !strings.Contains(r.stderr, "line 2, column 3") {
			t.Errorf("query = %d %q, want 1, the place and %q", r.code, r.stderr, want)
		}
	})
}

func TestBothPlacesWriteTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	load(t, "--data", dir)
	commands := [][]string{}
	for _, format := range []string{"table", "json", "csv"} {
		commands = append(commands,
			[]string{"query", "--output", format, "fields @timestamp, @log, verb, user.username, nothing | filter @kind = 'k8s.audit' | sort @timestamp, @ptr | limit 20"},
			[]string{"query", "--output", format, "stats count(*) as n, avg(bytes), max(packets) by action"},
			[]string{"query", "--output", format, "filter @message like 'no such thing'"},
			[]string{"sql", "--output", format, "SELECT srcaddr, dstport, bytes, bytes / 3.0 AS third, bytes > 1000 AS big, NULL AS none, 'a' AS x, 'b' AS x FROM vpc_flow ORDER BY start, srcport LIMIT 20"})
	}
	commands = append(commands, []string{"cat", "--group", "mixed"}, []string{"cat", "-0", "--group", "mixed"}, []string{"groups"}, []string{"groups", "--output", "json"})
	want := make([]string, len(commands))
	for i, c := range commands {
		want[i] = good(t, slices.Concat(c[:1], []string{"--data", dir}, c[1:])...)
	}
	s := serve(t, dir)
	for i, c := range commands {
		if got := good(t, slices.Concat(c[:1], []string{"--server", s.url}, c[1:])...); got != want[i] {
			t.Errorf("trailward %s over a server:\n%s\nwant what it writes on the data directory:\n%s", strings.Join(c, " "), got, want[i])
		}
	}
}

func TestRecordsAreSeenAtOnce(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "store"))
	for i := range 20 {
		if status, answer := s.post("/v1/ingest?group=g&stream=s", fmt.Sprintf(`{"n":%d}`+"\n", i)); status/100 != 2 {
			t.Fatalf("POST /v1/ingest = %d %s, want 2xx", status, answer)
		}
		_, answer := s.post("/v1/query", `{"query":"stats count(*) as n, max(n) as last"}`)
		if want := fmt.Sprintf(`{"n":"%d","last":"%d"}`+"\n", i+1, i); answer != want {
			t.Fatalf("right after record %d: %q, want %q", i, answer, want)
		}
	}
}

func TestServerStopsCleanly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := serve(t, dir)
	s.post("/v1/ingest?group=g&stream=s", "{}\n")
	s.stop()
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server's exit status after SIGTERM = %d, want 0: %s", code, s.logged())
	}
	if got := good(t, "cat", "--data", dir, "--group", "g"); got != "{}\n" {
		t.Errorf("cat after the stop = %q, want the record", got)
	}
}

func TestDamagedFileIsKeptAsFarAsItGoes(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(filepath.Join(samples, "cloudtrail.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.json.gz")
	if err := os.WriteFile(cut, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "", "ingest", "--data", filepath.Join(dir, "store"), "--group", "g", "--output", "json", cut)
	if r.code != 0 || !strings.Contains(r.stderr, cut) {
		t.Fatalf("ingest of a cut file = %d %q, want 0 and the file's name", r.code, r.stderr)
	}
	sum := objects(t, r.stdout)[0]
	if n := sum["kinds"].(map[string]any)["aws.cloudtrail"]; n == nil || sum["damaged"].(map[string]any)["cut gzip"] == nil {
		t.Errorf("ingest of a cut file = %v, want whole records and the damage counted", sum)
	}
}

func TestTLSAndTokens(t *testing.T) {
	dir := t.TempDir()
	data, key := filepath.Join(dir, "store"), filepath.Join(dir, "elsewhere.key")
	cert, certKey := certificate(t, dir)
	serverArgs := []string{"--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", certKey}
	if r := run(t, "", append([]string{"server", "--data", data, "--key-file", key}, serverArgs...)...); r.code == 0 || !strings.Contains(r.stderr, "token") {
		t.Fatalf("server without a token = %d %q, want it refused", r.code, r.stderr)
	}
	token := func(name string, args ...string) string {
		path := filepath.Join(dir, name+".token")
		if err := os.WriteFile(path, []byte(good(t, append([]string{"token", "create", "--data", data}, args...)...)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	writer := token("writer", "--role", "writer", "--group", "/a/*")
	reader := token("reader", "--role", "reader", "--group", "/a/*")
	if r := run(t, "", append([]string{"server", "--data", data}, serverArgs...)...); r.code != 2 || !strings.Contains(r.stderr, "--key-file") {
		t.Fatalf("server with its key beside its data = %d %q, want it refused", r.code, r.stderr)
	}
	s := serve(t, data, append([]string{"--key-file", key}, serverArgs...)...)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	at := []string{"--server", "https://127.0.0.1:" + port, "--ca-file", cert}
	as := func(tokenFile string, args ...string) result {
		if tokenFile != "" {
			args = append(args, "--token-file", tokenFile)
		}
		return run(t, "", append(args, at...)...)
	}
	sample := filepath.Join(samples, "ehr-api.jsonl")
	tests := []struct {
		name  string
		token string
		args  []string
		code  int
	}{
		{"nobody writes", "", []string{"ingest", "--group", "/a/x", sample}, 1},
		{"nobody reads", "", []string{"query", "stats count(*)"}, 1},
		{"writer writes", writer, []string{"ingest", "--group", "/a/x", sample}, 0},
		{"writer writes elsewhere", writer, []string{"ingest", "--group", "/b/x", sample}, 1},
		{"writer writes the server's own", writer, []string{"ingest", "--group", "trailward/x", sample}, 1},
		{"writer reads", writer, []string{"query", "stats count(*)"}, 1},
		{"reader reads", reader, []string{"query", "stats count(*)"}, 0},
		{"reader reads elsewhere", reader, []string{"query", "--group", "/b/x", "stats count(*)"}, 1},
		{"reader cats", reader, []string{"cat", "--group", "/a/x"}, 0},
		{"reader writes", reader, []string{"ingest", "--group", "/a/x", sample}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := as(tt.token, tt.args...); r.code != tt.code {
				t.Errorf("trailward %s = %d %q, want %d", strings.Join(tt.args, " "), r.code, r.stderr, tt.code)
			}
		})
	}
	id := tokenID(t, reader)
	good(t, "token", "revoke", "--data", data, id)
	if r := as(reader, "query", "stats count(*)"); r.code != 1 {
		t.Errorf("query with a revoked token = %d, want 1", r.code)
	}
	if r := run(t, "", "groups", "--server", at[1], "--token-file", writer); r.code != 1 || !strings.Contains(r.stderr, "certificate") {
		t.Errorf("groups without --ca-file = %d %q, want the certificate refused", r.code, r.stderr)
	}
}

// tokenID gives the id in a token's secret.
func tokenID(t *testing.T, tokenFile string) string {
	t.Helper()
	b, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "_")[1]
}

// certificate makes a certificate for 127.0.0.1 that signs itself.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
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
