package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// auditPolicy has every level, and no stage is left out. Bodies of secrets and
// of tokens stay out of the log, as they should in earnest.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
  resources:
  - {group: "", resources: [secrets, serviceaccounts/token]}
  - {group: authentication.k8s.io, resources: [tokenreviews]}
- level: RequestResponse
  resources:
  - {group: rbac.authorization.k8s.io}
  - {group: "", resources: [configmaps, pods/exec, pods/attach, pods/portforward]}
- level: Request
  verbs: [create, update, patch, delete]
  resources: [{group: ""}, {group: apps}]
- level: Metadata
`

// kubeUsers are the static tokens of the API server; a token is its user's name
// and "-token".
const kubeUsers = `admin-token,admin,uid-admin,"system:masters"
dora-token,dora@example.com,uid-dora,"developers"
mallory-token,mallory@example.com,uid-mallory,"contractors"
kcm-token,system:kube-controller-manager,uid-kcm
`

// Names of the kube users.
const (
	dora    = "dora@example.com"
	mallory = "mallory@example.com"
)

// control is a running Kubernetes control plane: etcd, the API server and the
// controller manager. Nodes and kubelets there are none, so pods stay pending.
type control struct {
	t        *testing.T
	dir      string
	url      string // of the API server
	auditLog string // the audit file; rotated ones lie beside it
	ca       *x509.CertPool
	http     *http.Client

	etcd, apiserver, manager *process
}

// startControl starts a control plane from the binaries in bin, whose API
// server sends its audit events to webhookURL, with a token and a certificate
// to be trusted, and writes them into a file.
func startControl(t *testing.T, bin, webhookURL, token, certFile string) *control {
	t.Helper()
	c := &control{t: t, dir: t.TempDir()}
	ports := freePorts(t, 4)
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	c.url = fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	c.auditLog = c.path("audit", "audit.log")
	certs := c.path("certs")
	for _, d := range []string{filepath.Dir(c.auditLog), certs} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	saKey, saPub := c.serviceAccountKey()
	c.write("policy.yaml", auditPolicy)
	c.write("tokens.csv", kubeUsers)
	c.write("webhook.kubeconfig", kubeconfig(webhookURL, certFile, token))

	c.etcd = c.start(filepath.Join(bin, "etcd"),
		"--data-dir", c.path("etcd"), "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL, "--listen-peer-urls", peerURL,
		"--initial-advertise-peer-urls", peerURL, "--initial-cluster", "default="+peerURL)
	c.apiserver = c.start(filepath.Join(bin, "kube-apiserver"),
		"--etcd-servers="+etcdURL, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+strconv.Itoa(ports[2]), "--cert-dir="+certs,
		"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-signing-key-file="+saKey, "--service-account-key-file="+saPub,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--token-auth-file="+c.path("tokens.csv"),
		"--audit-policy-file="+c.path("policy.yaml"),
		// In megabytes: so small that the test sees rotated and packed files, but larger than the largest event, since what is longer than a file may be is lost.
		"--audit-log-path="+c.auditLog, "--audit-log-format=json", "--audit-log-maxsize=3", "--audit-log-maxbackup=0", "--audit-log-compress=true",
		"--audit-webhook-config-file="+c.path("webhook.kubeconfig"), "--audit-webhook-mode=batch", "--audit-webhook-batch-max-wait=200ms",
		// A batch is given up after five tries: in under two seconds with this first wait, so that the test need not be long to lose some.
		"--audit-webhook-initial-backoff=100ms")
	c.http = &http.Client{Timeout: deadline}
	c.await("the API server's certificate", func() error {
		pemBytes, err := os.ReadFile(filepath.Join(certs, "apiserver.crt"))
		if err != nil {
			return err
		}
		c.ca = x509.NewCertPool()
		if !c.ca.AppendCertsFromPEM(pemBytes) {
			return errors.New("no certificate in apiserver.crt")
		}
		return nil
	})
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.ca}, MaxIdleConnsPerHost: 8}
	t.Cleanup(c.http.CloseIdleConnections)
	c.ready()
	ca := filepath.Join(certs, "apiserver.crt")
	c.write("manager.kubeconfig", kubeconfig(c.url, ca, "kcm-token"))
	k := c.path("manager.kubeconfig")
	c.manager = c.start(filepath.Join(bin, "kube-controller-manager"),
		"--kubeconfig="+k, "--authentication-kubeconfig="+k, "--authorization-kubeconfig="+k,
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(ports[3]), "--cert-dir="+c.path("manager-certs"),
		"--use-service-account-credentials=true", "--service-account-private-key-file="+saKey, "--root-ca-file="+ca, "--leader-elect=false")
	return c
}

// ready waits until the API server answers.
func (c *control) ready() {
	c.t.Helper()
	c.await("the API server", func() error {
		// Not by way of do: what comes before it listens is no part of the story.
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+"/readyz", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer admin-token")
		resp, err := c.http.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz = %d %s", resp.StatusCode, b)
		}
		return nil
	})
}

// crash kills the API server, as the kernel does when memory runs out, and
// starts it again.
func (c *control) crash() {
	c.t.Helper()
	if err := c.apiserver.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.apiserver.done
	c.http.CloseIdleConnections()
	c.apiserver = c.start(c.apiserver.cmd.Path, c.apiserver.cmd.Args[1:]...)
	c.ready()
}

// stop ends the control plane in an order in which the API server can still
// write and send all of its audit events.
func (c *control) stop() {
	c.manager.stop()
	c.apiserver.stop()
	c.etcd.stop()
}

func (c *control) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *control) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// serviceAccountKey makes the key pair that signs service accounts' tokens.
func (c *control) serviceAccountKey() (private, public string) {
	c.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	c.write("sa.pub", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})))
	return c.path("sa.key"), c.path("sa.pub")
}

func kubeconfig(server, caFile, token string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: u, user: {token: %q}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, server, caFile, token)
}

// await asks again and again until there is no error.
func (c *control) await(what string, ask func() error) {
	c.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	give := time.After(deadline)
	for {
		err := ask()
		if err == nil {
			return
		}
		for _, p := range []*process{c.etcd, c.apiserver, c.manager} {
			if p != nil && p.ended() {
				c.t.Fatalf("waiting for %s (%v): %s ended: %s", what, err, p.name, p.tail())
			}
		}
		select {
		case <-tick.C:
		case <-give:
			c.t.Fatalf("%s: not within %v: %v\nAPI server: %s", what, deadline, err, c.apiserver.tail())
		}
	}
}

// webhookLosses is how many events the API server says that it gave up sending.
func (c *control) webhookLosses() (n float64) {
	c.t.Helper()
	a := c.do(&call{user: "admin", method: "GET", path: "/metrics", quiet: true})
	r := bufio.NewScanner(bytes.NewReader(a.reply))
	r.Buffer(nil, 1<<20)
	for r.Scan() {
		if v, ok := strings.CutPrefix(r.Text(), `apiserver_audit_error_total{plugin="webhook"} `); ok {
			var err error
			if n, err = strconv.ParseFloat(v, 64); err != nil {
				c.t.Fatalf("read metric %q: %v", r.Text(), err)
			}
		}
	}
	return n
}

// process is a program that runs until it is stopped. The end of its output is kept.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out []byte // guarded by mu
}

// keptOutput is how much of a program's output is kept, for failures.
const keptOutput = 16 << 10

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	if len(p.out) > 2*keptOutput {
		p.out = append(p.out[:0], p.out[len(p.out)-keptOutput:]...)
	}
	return len(b), nil
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out[max(0, len(p.out)-keptOutput):])
}

func (c *control) start(bin string, args ...string) *process {
	c.t.Helper()
	p := &process{t: c.t, name: filepath.Base(bin), done: make(chan struct{})}
	p.cmd = exec.Command(bin, args...)
	p.cmd.Dir, p.cmd.Env = c.dir, cleanEnv()
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		c.t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	c.t.Cleanup(p.stop)
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the program as an init system does and waits for its end.
func (p *process) stop() {
	if p.ended() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(deadline):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("%s did not end within %v of SIGTERM: %s", p.name, deadline, p.tail())
	}
}

// freePorts gives ports of loopback that nobody listened on just now.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out
}

// call is a request to the API server.
type call struct {
	user   string // the part of a token before "-token"; "" is nobody
	token  string // a token, instead of user
	as     string // a user to be impersonated
	method string
	path   string
	body   string
	kind   string   // content type; default JSON
	header []string // names and values
	quiet  bool     // no part of the story
	want   int      // status; 0: any below 300
}

// answer is what came back.
type answer struct {
	call
	auditID string
	status  int
	reply   []byte
}

// userAgent is what all calls of the test that are part of the story say, unless they say another.
const userAgent = "trailward-e2e/1.0"

// do sends a request and takes its audit id from the answer.
func (c *control) do(q *call) *answer {
	c.t.Helper()
	a, err := c.try(c.t.Context(), q)
	if err != nil {
		c.t.Fatal(err)
	}
	if q.want != 0 && a.status != q.want || q.want == 0 && a.status >= 300 {
		c.t.Errorf("%s %s as %q = %d, want %d: %.500s", q.method, q.path, q.user, a.status, q.want, a.reply)
	}
	return a
}

func (c *control) try(ctx context.Context, q *call) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, c.url+q.path, strings.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	switch {
	case q.token != "":
		req.Header.Set("Authorization", "Bearer "+q.token)
	case q.user != "":
		req.Header.Set("Authorization", "Bearer "+q.user+"-token")
	}
	if q.as != "" {
		req.Header.Set("Impersonate-User", q.as)
	}
	if req.Header.Set("Content-Type", "application/json"); q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	if req.Header.Set("User-Agent", userAgent); q.quiet {
		req.Header.Set("User-Agent", "trailward-e2e-quiet/1.0")
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		req.Header.Set(q.header[i], q.header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	defer resp.Body.Close()
	a := &answer{call: *q, auditID: resp.Header.Get("Audit-Id"), status: resp.StatusCode}
	if a.auditID == "" { // the answer of a connection that was taken over has none
		a.auditID = req.Header.Get("Audit-Id")
	}
	if a.reply, err = io.ReadAll(resp.Body); err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", q.method, q.path, err)
	}
	return a, nil
}

// stages are those that the API server surely logs of such a request.
func (a *answer) stages() []string {
	switch a.status {
	case http.StatusUnauthorized:
		return []string{"ResponseStarted"}
	case http.StatusSwitchingProtocols:
		return []string{"RequestReceived", "ResponseStarted", "ResponseComplete"}
	}
	return []string{"RequestReceived", "ResponseComplete"}
}

// decode reads an answer's body.
func (a *answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.reply, v); err != nil {
		t.Fatalf("%s %s: answer %.200q: %v", a.method, a.path, a.reply, err)
	}
}
