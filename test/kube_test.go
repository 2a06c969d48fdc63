package test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kubeGroup is the log group of the cluster's audit events.
const kubeGroup = "/eks/e2e/audit"

// keeper is a Trailward that a cluster reports to: it comes and goes on one address.
type keeper struct {
	*server
	t                  *testing.T
	data, key          string
	listen             string
	cert, certKey      string
	reader, writer     string // token files
	env                []string
	writerSecret, home string
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	dir := t.TempDir()
	k := &keeper{t: t, data: filepath.Join(dir, "store"), key: filepath.Join(dir, "elsewhere.key"), home: dir}
	k.listen = fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	k.env = []string{"XDG_STATE_HOME=" + filepath.Join(dir, "state")}
	k.cert, k.certKey = certificate(t, dir)
	k.writer = k.token("writer", "--kind", "k8s.audit")
	k.reader = k.token("reader")
	b, err := os.ReadFile(k.writer)
	if err != nil {
		t.Fatal(err)
	}
	k.writerSecret = strings.TrimSpace(string(b))
	return k
}

func (k *keeper) token(role string, args ...string) (file string) {
	k.t.Helper()
	file = filepath.Join(k.home, role+".token")
	secret := good(k.t, append([]string{"token", "create", "--data", k.data, "--role", role, "--group", kubeGroup}, args...)...)
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return file
}

func (k *keeper) start() {
	k.t.Helper()
	var ok bool
	if k.server, ok = serveUnder(k.t, nil, k.env, k.data, "--key-file", k.key, "--listen", k.listen, "--tls-cert", k.cert, "--tls-key", k.certKey); !ok {
		k.t.Fatalf("the server ended before it listened: %s", k.logged())
	}
}

// at is the flags that name the server.
func (k *keeper) at(tokenFile string) []string {
	return []string{"--server", "https://" + k.listen, "--ca-file", k.cert, "--token-file", tokenFile}
}

// ask runs a command of the binary against the server and gives its answer.
func (k *keeper) ask(tokenFile string, args ...string) string {
	k.t.Helper()
	args = append(args[:1:1], append(k.at(tokenFile), args[1:]...)...)
	r := runEnv(k.t, k.env, "", args...)
	if r.code != 0 {
		k.t.Fatalf("trailward %s: exit status %d, want 0\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

func (k *keeper) query(text string) []map[string]any {
	k.t.Helper()
	return objects(k.t, k.ask(k.reader, "query", "--group", kubeGroup, "--output", "json", text))
}

// ingest loads audit files and gives the summary.
func (k *keeper) ingest(path string) map[string]any {
	k.t.Helper()
	return objects(k.t, k.ask(k.writer, "ingest", "--group", kubeGroup, "--kind", "k8s.audit", "--output", "json", path))[0]
}

// pipeSize is what a pipe of Linux holds, in bytes.
const pipeSize = 64 << 10

// startIngest begins to load lines, of more than pipeSize, and returns when
// they are read but for what is in the pipe: then the server was found to be
// there. wait waits for the end and gives the summary.
func (k *keeper) startIngest(lines []byte) (wait func() map[string]any) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), deadline)
	cmd := exec.CommandContext(ctx, binary, append([]string{"ingest"}, append(k.at(k.writer), "--group", kubeGroup, "--kind", "k8s.audit", "--output", "json", "-")...)...)
	cmd.Env = append(cleanEnv(), k.env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	if _, err := in.Write(lines); err != nil {
		k.t.Errorf("write to ingest: %v", err)
	}
	if err := in.Close(); err != nil {
		k.t.Errorf("write to ingest: %v", err)
	}
	return func() map[string]any {
		k.t.Helper()
		defer cancel()
		if err := cmd.Wait(); err != nil {
			k.t.Fatalf("ingest over a server that was killed and came back: %v\n%s", err, errs.String())
		}
		return objects(k.t, out.String())[0]
	}
}

// stored counts the events by audit id and stage.
func (k *keeper) stored() map[auditEvent]int {
	k.t.Helper()
	out := map[auditEvent]int{}
	for _, row := range k.query("stats count(*) as n by auditID, stage | limit 100000") {
		var n int
		if _, err := fmt.Sscan(row["n"].(string), &n); err != nil {
			k.t.Fatal(err)
		}
		out[auditEvent{row["auditID"].(string), row["stage"].(string)}] = n
	}
	return out
}

// delivered waits until the webhook has delivered a request that is made for that.
func (k *keeper) delivered(c *control) {
	k.t.Helper()
	a := c.do(&call{user: "admin", method: "GET", path: namespaces + "/default", quiet: true})
	c.await("the webhook's delivery of "+a.auditID, func() error {
		if rows := k.query(fmt.Sprintf("filter auditID = %q | stats count(*) as n", a.auditID)); len(rows) != 1 || rows[0]["n"] != "2" {
			return fmt.Errorf("got %v, want 2 stages", rows)
		}
		return nil
	})
}

// bare is an event's text without the two members that a webhook's list leaves out.
func bare(event string) string {
	if rest, ok := strings.CutPrefix(event, `{"kind":"Event","apiVersion":"audit.k8s.io/v1",`); ok {
		return "{" + rest
	}
	return event
}

// auditFiles reads the audit log and the files that it was rotated into.
func auditFiles(t *testing.T, dir string) (lines []string, packed int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Name(), ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatalf("%s: %v", e.Name(), err)
			}
			if b, err = io.ReadAll(r); err != nil {
				t.Fatalf("%s: %v", e.Name(), err)
			}
			packed++
		}
		if len(b) > 0 && b[len(b)-1] != '\n' {
			t.Fatalf("%s does not end with a line feed", e.Name())
		}
		for line := range strings.Lines(string(b)) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines, packed
}

// wholeLines reads a file that is being written, up to its last line feed.
func wholeLines(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	return b[:bytes.LastIndexByte(b, '\n')+1], err
}

// stillPacking is an error that names a rotated file that the API server has yet to pack.
func stillPacking(dir string) error {
	rotated, err := filepath.Glob(filepath.Join(dir, "audit-*.log"))
	if err == nil && len(rotated) > 0 {
		err = fmt.Errorf("%s is not packed", rotated[0])
	}
	return err
}

// TestKubernetes has a real API server report to a Trailward that comes and
// goes, loads the audit file too, and looks for each event once.
func TestKubernetes(t *testing.T) {
	bin := os.Getenv("TRAILWARD_KUBE_BIN")
	if bin == "" {
		t.Skip("TRAILWARD_KUBE_BIN names no folder with a control plane's binaries; `make e2e-kube` builds them and does")
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		if _, err := exec.LookPath(filepath.Join(bin, name)); err != nil {
			t.Skipf("no control plane in TRAILWARD_KUBE_BIN: %v; `make e2e-kube` says why it could not be built", err)
		}
	}
	k := newKeeper(t)
	k.start()
	c := startControl(t, bin, "https://"+k.listen+"/v1/kubernetes/audit"+kubeGroup, k.writerSecret, k.cert)
	auditDir := filepath.Dir(c.auditLog)
	s := &story{control: c}
	load := startBusy(c)

	s.morning()
	k.delivered(c)

	// It is stopped for longer than the API server tries, while requests go on.
	lost := c.webhookLosses()
	away := func(end func()) {
		end()
		before := lost
		c.await("events that the webhook gives up", func() error {
			if lost = c.webhookLosses(); lost <= before {
				return fmt.Errorf("%v lost, %v before", lost, before)
			}
			return nil
		})
		k.start()
	}
	away(k.stop)
	s.noon()
	k.delivered(c)

	// File and webhook deliver at the same time, and in the midst of it the power goes.
	var part []byte
	c.await("some length of the audit file", func() (err error) {
		if part, err = wholeLines(c.auditLog); err == nil && len(part) < 4*pipeSize {
			err = fmt.Errorf("%d bytes", len(part))
		}
		return err
	})
	loaded := k.startIngest(part)
	away(k.kill)
	if sum := loaded(); sum["rejected"] != 0.0 || len(sum["damaged"].(map[string]any)) != 0 {
		t.Errorf("ingest of the audit file as it grows = %v, want nothing rejected or damaged", sum)
	}
	s.evening()
	k.delivered(c)

	// What the API server has not sent when it dies, its webhook never brings.
	load.stop()
	if load.err != nil {
		t.Errorf("requests beside the story: %v", load.err)
	}
	more := startBusy(c)
	c.crash()
	k.delivered(c)

	// And once more in the midst of deliveries, for no longer than it takes to start.
	k.kill()
	k.start()
	s.night()
	more.stop()
	k.delivered(c)
	c.await("the packing of rotated audit files", func() error {
		return stillPacking(auditDir)
	})
	c.stop()

	lines, packed := auditFiles(t, auditDir)
	if packed == 0 {
		t.Errorf("the audit file was never rotated: the test has grown too small")
	}
	inFile := map[auditEvent]int{}
	for _, line := range lines {
		inFile[decodeEvent(t, line)]++
	}
	for _, did := range [][]*answer{s.did, load.did, more.did} {
		for _, a := range did {
			for _, stage := range a.stages() {
				if inFile[auditEvent{a.auditID, stage}] == 0 {
					t.Errorf("the audit file has no %s of %s %s (%s): the API server lost it", stage, a.method, a.path, a.auditID)
				}
			}
		}
	}

	// What the webhook brought is in the file, and something is missing.
	hooked := k.stored()
	brought := 0
	for e, n := range hooked {
		brought += n
		if n > inFile[e] {
			t.Errorf("by webhook, %v is stored %d times, want %d at most", e, n, inFile[e])
		}
	}
	t.Logf("%d events in the audit file (%d rotated files), %d stored before it was loaded, %v given up by the webhook", len(lines), packed, brought, lost)
	if lost == 0 || brought >= len(lines) {
		t.Errorf("the webhook lost nothing, so that the test proves nothing")
	}

	// The file brings what is missing, and nothing twice.
	sum := k.ingest(auditDir)
	if sum["records"] != float64(len(lines)-brought) || sum["duplicates"] != float64(brought) || sum["rejected"] != 0.0 || len(sum["damaged"].(map[string]any)) != 0 {
		t.Errorf("ingest of the audit files = %v, want %d records, %d duplicates and no damage", sum, len(lines)-brought, brought)
	}
	if sum := k.ingest(auditDir); sum["records"] != 0.0 || sum["duplicates"] != float64(len(lines)) {
		t.Errorf("ingest of the audit files again = %v, want %d duplicates only", sum, len(lines))
	}
	once := func(when string) {
		t.Helper()
		got := k.stored()
		var wrong []string
		for e, n := range inFile {
			if got[e] != n {
				wrong = append(wrong, fmt.Sprintf("%v %d times, want %d", e, got[e], n))
			}
		}
		for e, n := range got {
			if inFile[e] == 0 {
				wrong = append(wrong, fmt.Sprintf("%v %d times, want none", e, n))
			}
		}
		if len(wrong) > 0 {
			t.Errorf("%s %d of %d events are stored otherwise than once, as %q", when, len(wrong), len(inFile), wrong[:min(5, len(wrong))])
		}
	}
	once("at the end")

	// The same by bytes: what the file has, but for how it is framed.
	want := make([]string, len(lines))
	for i, l := range lines {
		want[i] = bare(l)
	}
	got := strings.Split(strings.TrimSuffix(k.ask(k.reader, "cat", "-0", "--group", kubeGroup), "\x00"), "\x00")
	for i, g := range got {
		got[i] = bare(g)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("cat gives %d events, the file %d, and they are not the same; in cat only: %.2000q; in the file only: %.2000q",
			len(got), len(want), without(got, want), without(want, got))
	}

	// By itself the file is enough, and says which audit ids were used again.
	again := 0
	for _, n := range inFile {
		again += n - 1
	}
	r := runEnv(t, k.env, "", "ingest", "--data", filepath.Join(k.home, "file-only"), "--group", kubeGroup, "--output", "json", auditDir)
	if r.code != 0 {
		t.Fatalf("ingest into another store = %d\n%s", r.code, r.stderr)
	}
	if sum := objects(t, r.stdout)[0]; again != 4 || sum["records"] != float64(len(lines)) || sum["conflicts"] != float64(again) || sum["duplicates"] != 0.0 {
		t.Errorf("ingest of the audit files into another store = %v, want %d records, none of them a duplicate, 4 conflicts (in the file: %d)", sum, len(lines), again)
	}

	t.Run("questions", func(t *testing.T) { s.questions(t, k) })

	k.stop()
	r = runEnv(t, k.env, "", "verify", "--data", k.data, "--key-file", k.key)
	if r.code != 0 {
		t.Errorf("verify = %d, want 0\n%s%s", r.code, r.stdout, r.stderr)
	}
	k.start()
	once("after a restart")
}

// without gives what is in a and not in b, both sorted.
func without(a, b []string) (out []string) {
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found {
			out = append(out, s)
		}
	}
	return out
}

// questions are what a security engineer asks after such a day. What they
// answer is held against what was done, not against the audit log.
func (s *story) questions(t *testing.T, k *keeper) {
	const decision = "`annotations.authorization.k8s.io/decision`"
	mine := fmt.Sprintf(`filter stage = "ResponseComplete" and userAgent = %q `, userAgent)
	code := func(a *answer) string { return fmt.Sprint(a.status) }
	who := func(a *answer) string {
		switch {
		case a.token != "" && a.status == 401:
			return "" // nobody knows
		case a.token != "":
			return "system:serviceaccount:clinic:default"
		case a.user == "":
			return "system:anonymous"
		case a.user == "admin":
			return "admin"
		}
		return a.user + "@example.com"
	}
	path := func(a *answer) string {
		u, err := url.Parse(a.path)
		if err != nil {
			t.Fatal(err)
		}
		return u.Path
	}
	on := func(part string) func(*answer) bool {
		return func(a *answer) bool { return strings.Contains(path(a)+"/", "/"+part+"/") }
	}
	read := func(a *answer) bool { return a.method == "GET" && a.status < 300 }
	plain := func(a *answer) bool { return !slices.Contains(a.header, "User-Agent") }
	tests := []struct {
		name  string
		query string // asks for the audit id and the columns
		did   func(a *answer) bool
		cols  func(a *answer) []string
		least int
	}{
		{
			"who was denied", mine + `and responseStatus.code = 403 | fields auditID, user.username, requestURI`,
			func(a *answer) bool { return a.status == 403 },
			func(a *answer) []string { return []string{who(a), a.path} }, 10,
		},
		{
			// Such a request has no other stage.
			"who came with a bad token", `filter stage = "ResponseStarted" and userAgent = "` + userAgent + `" and responseStatus.code = 401 | fields auditID, coalesce(user.username, "") as u`,
			func(a *answer) bool { return a.status == 401 },
			func(a *answer) []string { return []string{""} }, 1,
		},
		{
			// A request that is denied is not read, so that its object is not there to be asked for.
			"who bound cluster-admin to whom", mine + `and objectRef.resource = "clusterrolebindings" and verb in ["create", "update", "patch"] and requestObject.roleRef.name = "cluster-admin"
			| fields auditID, user.username, responseStatus.code, requestObject.subjects.0.kind`,
			func(a *answer) bool { return strings.Contains(a.body, `"name":"cluster-admin"`) && a.status < 300 },
			func(a *answer) []string {
				kind := "User"
				if strings.Contains(a.body, "ServiceAccount") {
					kind = "ServiceAccount"
				}
				return []string{who(a), code(a), kind}
			}, 2,
		},
		{
			"who read secrets", mine + `and objectRef.resource = "secrets" and verb in ["get", "list", "watch"] and responseStatus.code < 300
			| fields auditID, user.username, verb`,
			func(a *answer) bool { return read(a) && on("secrets")(a) },
			func(a *answer) []string {
				verb := "get"
				if strings.HasSuffix(path(a), "/secrets") {
					verb = "list"
				}
				return []string{who(a), verb}
			}, 6,
		},
		{
			"what did nobody in particular get to see", mine + `and user.username = "system:anonymous" and ` + decision + ` = "allow" | fields auditID, requestURI`,
			func(a *answer) bool { return a.user == "" && a.token == "" && a.status < 300 },
			func(a *answer) []string { return []string{a.path} }, 3,
		},
		{
			"who acted as somebody else", mine + `and ispresent(impersonatedUser.username) | fields auditID, user.username, impersonatedUser.username, responseStatus.code`,
			func(a *answer) bool { return a.as != "" && a.user == "admin" },
			func(a *answer) []string { return []string{who(a), a.as, code(a)} }, 2,
		},
		{
			"who opened a shell", `filter objectRef.subresource = "exec" and stage = "ResponseComplete" | fields auditID, user.username, verb, responseStatus.code`,
			on("exec"),
			func(a *answer) []string {
				return []string{who(a), map[string]string{"GET": "get", "POST": "create"}[a.method], code(a)}
			}, 3,
		},
		{
			"what was deleted", mine + `and verb = "delete" and responseStatus.code < 300 | fields auditID, user.username, objectRef.resource`,
			func(a *answer) bool { return a.method == "DELETE" && a.status < 300 },
			func(a *answer) []string {
				parts := strings.Split(path(a), "/")
				return []string{who(a), parts[len(parts)-2]}
			}, 6,
		},
		{
			"what was done by the right that was given by mistake", mine + "and `annotations.authorization.k8s.io/reason` like 'ClusterRoleBinding \"oops\"' | fields auditID, user.username",
			func(a *answer) bool {
				// Anonymous, authenticated or discovery rights would do for this one.
				return a.user == "mallory" && a.status != 403 && !on("selfsubjectaccessreviews")(a)
			},
			func(a *answer) []string { return []string{mallory} }, 5,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, a := range s.did {
				if plain(a) && tt.did(a) {
					want = append(want, strings.Join(append([]string{a.auditID}, tt.cols(a)...), "|"))
				}
			}
			if len(want) < tt.least {
				t.Fatalf("only %d of what was done answer the question, want %d at least: the test does not ask enough", len(want), tt.least)
			}
			rows, err := csv.NewReader(strings.NewReader(k.ask(k.reader, "query", "--group", kubeGroup, "--output", "csv", tt.query))).ReadAll()
			if err != nil || len(rows) == 0 {
				t.Fatalf("query\n%s\n= %v, %v", tt.query, rows, err)
			}
			var got []string
			for _, row := range rows[1:] { // the first has the names, and the last column is the pointer
				got = append(got, strings.Join(row[:len(row)-1], "|"))
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("query\n%s\n= %q\nwant what was done:\n%q\nmore: %q\nless: %q", tt.query, got, want, without(got, want), without(want, got))
			}
		})
	}

	t.Run("where a token went that was issued", func(t *testing.T) {
		rows := k.query("filter auditID = '" + s.issued + "' and ispresent(`annotations.authentication.kubernetes.io/issued-credential-id`) | fields `annotations.authentication.kubernetes.io/issued-credential-id` as id, user.username as u")
		if len(rows) != 1 || rows[0]["u"] != mallory {
			t.Fatalf("who issued the token: %v, want one row of %s", rows, mallory)
		}
		var got, want []string
		for _, row := range k.query(mine + fmt.Sprintf("and `user.extra.authentication.kubernetes.io/credential-id.0` = %q | fields auditID", rows[0]["id"])) {
			got = append(got, row["auditID"].(string))
		}
		for _, a := range s.lent {
			want = append(want, a.auditID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("requests with the token = %q, want %q", got, want)
		}
	})

	t.Run("docs/kubernetes.md", func(t *testing.T) {
		page, err := os.ReadFile("../docs/kubernetes.md")
		if err != nil {
			t.Fatal(err)
		}
		examples := strings.Split(string(page), "```insights\n")[1:]
		for _, e := range examples {
			text, _, closed := strings.Cut(e, "```")
			if rows := k.query(text); !closed || len(rows) == 0 {
				t.Errorf("query\n%s\n= nothing, want rows: such a thing was done", text)
			}
		}
		if len(examples) == 0 {
			t.Error("the page has no question")
		}
	})

	t.Run("in SQL", func(t *testing.T) {
		want := map[string]int{}
		for _, a := range s.did {
			if plain(a) && a.status == 403 {
				want[who(a)]++
			}
		}
		got := map[string]int{}
		for _, row := range objects(t, k.ask(k.reader, "sql", "--group", kubeGroup, "--output", "json", fmt.Sprintf(
			`SELECT user.username AS u, count(*) AS n FROM k8s_audit WHERE stage = 'ResponseComplete' AND responseStatus.code = 403 AND userAgent = '%s' GROUP BY 1`, userAgent))) {
			got[row["u"].(string)] = int(row["n"].(float64))
		}
		if !maps.Equal(got, want) {
			t.Errorf("denials by user = %v, want %v", got, want)
		}
	})
}
