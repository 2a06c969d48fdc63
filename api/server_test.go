package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"trailward"
	"trailward/auth"
	"trailward/query"
	"trailward/query/plan"
)

// fakeStore stands for everything behind the server.
type fakeStore struct {
	mu      sync.Mutex
	batches []IngestRequest
	hashes  map[string][32]byte
	queries []query.Request

	ingestErr error
	onIngest  func(context.Context, IngestRequest) error
	onQuery   func(context.Context, query.Request) (query.Rows, error)
	groups    []GroupInfo
	groupsErr error
	cat       map[string][]string
	catErr    error // after the records
	ready     error
}

func (f *fakeStore) ingest(ctx context.Context, r IngestRequest) (IngestResult, error) {
	if f.onIngest != nil {
		if err := f.onIngest(ctx, r); err != nil {
			return IngestResult{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ingestErr != nil {
		return IngestResult{}, f.ingestErr
	}
	if f.hashes == nil {
		f.hashes = map[string][32]byte{}
	}
	res := IngestResult{Kinds: map[trailward.Kind]int64{}}
	if r.BatchID != "" {
		key := r.Principal + "|" + r.Group + "|" + r.Stream + "|" + r.BatchID
		if h, ok := f.hashes[key]; ok {
			if h != r.BodyHash {
				return IngestResult{}, fmt.Errorf("batch %s: %w", r.BatchID, ErrBatchConflict)
			}
			res.Duplicates = int64(len(r.Records))
			return res, nil
		}
		f.hashes[key] = r.BodyHash
	}
	kept := r
	kept.Records = nil
	for _, rec := range r.Records {
		rec.Raw = bytes.Clone(rec.Raw) // it is the server's
		kept.Records = append(kept.Records, rec)
		res.Records++
		res.Bytes += int64(len(rec.Raw))
		if rec.Damaged != "" {
			res.Damaged = map[string]int64{rec.Damaged: res.Damaged[rec.Damaged] + 1}
		}
		res.Kinds[r.Kind]++
	}
	f.batches = append(f.batches, kept)
	return res, nil
}

func (f *fakeStore) query(ctx context.Context, r query.Request) (query.Rows, error) {
	f.mu.Lock()
	f.queries = append(f.queries, r)
	f.mu.Unlock()
	if f.onQuery != nil {
		return f.onQuery(ctx, r)
	}
	return numberRows(3, nil), nil
}

func (f *fakeStore) stored() []IngestRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches
}

func (f *fakeStore) deps() Deps {
	return Deps{
		Ingest: f.ingest,
		Query:  f.query,
		Groups: func(context.Context) ([]GroupInfo, error) { return f.groups, f.groupsErr },
		Cat: func(_ context.Context, group, stream string, fn func([]byte) error) error {
			records, ok := f.cat[group]
			if !ok {
				return fmt.Errorf("group %s: %w", group, ErrNotFound)
			}
			for _, r := range records {
				if err := fn([]byte(r)); err != nil {
					return err
				}
			}
			return f.catErr
		},
		Ready:  func(context.Context) error { return f.ready },
		Keeper: &fakeKeeper{groups: []string{"/own/a", "/foreign/a", "trailward/access"}},
		Explain: func(_ context.Context, r query.Request, engine string) (*query.Explanation, error) {
			return &query.Explanation{SQL: engine + " " + r.Text}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// fakeRows are rows made by a function.
type fakeRows struct {
	columns []query.Column
	next    func(i int) ([]any, error) // io.EOF ends the rows
	i       int
	row     []any
	err     error
	closed  chan struct{}
	once    sync.Once
}

func (r *fakeRows) Columns() []query.Column { return r.columns }
func (r *fakeRows) Values() []any           { return r.row }
func (r *fakeRows) Err() error              { return r.err }
func (r *fakeRows) Stats() query.Stats {
	return query.Stats{ElapsedMS: 1.5, RecordsMatched: int64(r.i), RecordsScanned: 100, BytesScanned: 1000, SegmentsOpened: 2}
}

func (r *fakeRows) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

func (r *fakeRows) Next() bool {
	if r.err != nil {
		return false
	}
	row, err := r.next(r.i)
	if err != nil {
		if err != io.EOF {
			r.err = err
		}
		return false
	}
	r.i++
	r.row = row
	return true
}

// numberRows gives n rows of a number and a text, and then the error.
func numberRows(n int, end error) *fakeRows {
	return &fakeRows{
		columns: []query.Column{{Name: "n", Type: plan.Int}, {Name: "text", Type: plan.Text}, {Name: "none", Type: plan.Null}},
		closed:  make(chan struct{}),
		next: func(i int) ([]any, error) {
			if i >= n {
				if end != nil {
					return nil, end
				}
				return nil, io.EOF
			}
			return []any{int64(i), "ünïcode\n", nil}, nil
		},
	}
}

// start runs a real server on a free loopback port until the test ends.
func start(t *testing.T, cfg Config, deps Deps) *Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v, want nil", err)
		}
	})
	return s
}

// tokens makes an authenticator with one token of each role over the groups.
func tokens(t *testing.T, groups ...string) (*auth.Authenticator, map[auth.Role]string) {
	t.Helper()
	st, err := auth.OpenStore(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[auth.Role]string{}
	for _, role := range auth.Roles {
		_, secret, err := st.Create(auth.Token{Role: role, Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		secrets[role] = secret
	}
	return auth.NewAuthenticator(st), secrets
}

// ask sends a request; opts change it.
func ask(t *testing.T, s *Server, method, path string, body io.Reader, opts ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range opts {
		o(req)
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := (&http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if status := resp.StatusCode; (status == 429 || status == 503) && resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s = %d without Retry-After", method, path, status)
	}
	return resp, string(data)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func bearer(secret string) func(*http.Request) {
	return header("Authorization", "Bearer "+secret)
}

// errorOf reads the one JSON shape of errors.
func errorOf(t *testing.T, resp *http.Response, body string) errorDetail {
	t.Helper()
	var e errorBody
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || e.Error.Message == "" {
		t.Errorf("answer %d %q is not an error in JSON: %v", resp.StatusCode, body, err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type of an error = %q, want application/json", ct)
	}
	return e.Error
}

// certFiles makes a certificate for 127.0.0.1.
func certFiles(t *testing.T) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "trailward test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestNewRefuses(t *testing.T) {
	f := &fakeStore{}
	cert, key := certFiles(t)
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"every address", Config{Listen: ":7300"}, "--tls-cert"},
		{"IPv4 wildcard", Config{Listen: "0.0.0.0:7300"}, "--tls-cert"},
		{"IPv6 wildcard", Config{Listen: "[::]:7300"}, "--tls-cert"},
		{"a name", Config{Listen: "example.test:7300"}, "--tls-cert"},
		{"octal loopback", Config{Listen: "0177.0.0.1:7300"}, "--tls-cert"},
		{"certificate without key", Config{TLSCert: cert}, "--tls-key"},
		{"key without certificate", Config{TLSKey: key}, "--tls-cert"},
		{"no port", Config{Listen: "127.0.0.1"}, "HOST:PORT"},
		{"port name", Config{Listen: "127.0.0.1:http"}, "port"},
		{"missing certificate", Config{TLSCert: "none.crt", TLSKey: "none.key"}, "certificate"},
		{"bad host", Config{Hosts: []string{"a/b"}}, "HOST"},
		{"negative body", Config{MaxBody: -1}, "MaxBody"},
		{"no memory for a body", Config{MaxDecoded: 1 << 20, MaxBodyMemory: 1 << 20}, "MaxBodyMemory"},
		{"negative time", Config{QueryTimeout: -time.Second}, "QueryTimeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg, f.deps()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New(%+v) = %v, want an error with %q", tt.cfg, err, tt.want)
			}
		})
	}
	for _, name := range []string{"Ingest", "Query", "Groups", "Cat"} {
		d := f.deps()
		switch name {
		case "Ingest":
			d.Ingest = nil
		case "Query":
			d.Query = nil
		case "Groups":
			d.Groups = nil
		case "Cat":
			d.Cat = nil
		}
		if _, err := New(Config{}, d); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New() without %s = %v, want an error that names it", name, err)
		}
	}
}

func TestBeyondLoopback(t *testing.T) {
	f := &fakeStore{groups: []GroupInfo{{Name: "g"}}}
	cert, key := certFiles(t)
	empty, err := auth.OpenStore(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*auth.Authenticator{"no authenticator": nil, "no token": auth.NewAuthenticator(empty)} {
		t.Run(name, func(t *testing.T) {
			d := f.deps()
			d.Auth = a
			s, err := New(Config{Listen: "0.0.0.0:0", TLSCert: cert, TLSKey: key}, d)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "trailward token create") {
				t.Errorf("Listen() = %v, want an error that says to make a token", err)
			}
			if s.Addr() != nil {
				t.Errorf("Addr() = %v, want nil", s.Addr())
			}
		})
	}

	a, secrets := tokens(t, "*")
	d := f.deps()
	d.Auth = a
	s := start(t, Config{Listen: "0.0.0.0:0", TLSCert: cert, TLSKey: key, OpenLoopback: true}, d)
	pool := x509.NewCertPool()
	pemData, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pemData)
	get := func(secret string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("https://127.0.0.1:%d/v1/groups", s.port()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			req.Header.Set("Authorization", "Bearer "+secret)
		}
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	if resp := get(secrets[auth.Reader]); resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.TLS.Version < 0x0303 {
		t.Errorf("GET with a token = %d over %s, want 200 over HTTP/2", resp.StatusCode, resp.Proto)
	}
	// OpenLoopback is about the listener, not about the caller.
	if resp := get(""); resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("GET without a token = %d, want 401", resp.StatusCode)
	}
}

// TestCertificateReload: changed files are taken over, a broken pair is not.
func TestCertificateReload(t *testing.T) {
	cert, key := certFiles(t)
	now := time.Now()
	c, err := loadCertificate(cert, key, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first, _ := c.get(nil)
	other, otherKey := certFiles(t)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(other, cert) // the key does not fit yet
	now = now.Add(certRecheck)
	if got, err := c.get(nil); got != first || err != nil {
		t.Errorf("get() with half a pair = %p, %v, want the certificate of before %p", got, err, first)
	}
	move(otherKey, key)
	if got, _ := c.get(nil); got != first {
		t.Error("get() looked at the files again before its time")
	}
	now = now.Add(certRecheck)
	if got, err := c.get(nil); got == first || err != nil {
		t.Errorf("get() with a new pair = %p, %v, want the new certificate", got, err)
	}
}

func TestHealthAndErrors(t *testing.T) {
	f := &fakeStore{ready: errors.New("the disk at /secret/place is full")}
	s := start(t, Config{}, f.deps())
	tests := []struct {
		name, method, path string
		status             int
		want               string
	}{
		{"health", "GET", "/healthz", 200, `"ok"`},
		{"head", "HEAD", "/healthz", 200, ""},
		{"not ready", "GET", "/readyz", 503, "not ready"},
		{"openapi", "GET", "/openapi.yaml", 200, "openapi: 3.1.0"},
		{"metrics", "GET", "/metrics", 200, "trailward_http_requests_total"},
		{"no route", "GET", "/nothing", 404, "no such route"},
		{"root", "GET", "/", 404, "no such route"},
		{"no profiling", "GET", "/debug/pprof/", 404, "no such route"},
		{"wrong method", "GET", "/v1/query", 405, "POST"},
		{"odd method", "BREW", "/v1/query", 405, "POST"},
		{"path with dots", "GET", "/v1/../healthz", 404, "no such route"},
		{"double slash", "GET", "//healthz", 404, "no such route"},
		{"trailing slash", "GET", "/healthz/", 404, "no such route"},
		{"unknown parameter", "GET", "/v1/groups?x=1", 400, "no query parameters"},
		{"misspelt parameter", "POST", "/v1/ingest?grop=g", 400, "group, stream, kind"},
		{"parameter twice", "POST", "/v1/ingest?group=a&group=b", 400, "more than once"},
		{"semicolons", "POST", "/v1/ingest?group=a;b", 400, "query string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := ask(t, s, tt.method, tt.path, nil)
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
			}
			if resp.StatusCode >= 400 {
				errorOf(t, resp, body)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("%s %s shows something internal: %q", tt.method, tt.path, body)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("header %s = %q, want %q", name, got, want)
				}
			}
			if resp.Header.Get("Trailward-Request-Id") == "" {
				t.Error("the answer has no Trailward-Request-Id")
			}
			if resp.StatusCode == 405 && resp.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
}

func TestPanic(t *testing.T) {
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { panic("the secret thing") }}
	var log bytes.Buffer
	d := f.deps()
	var mu sync.Mutex
	d.Log = slog.New(slog.NewJSONHandler(&lockedWriter{w: &log, mu: &mu}, nil))
	s := start(t, Config{}, d)
	resp, body := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
	if resp.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Errorf("answer after a panic = %d %q, want 500 that shows nothing", resp.StatusCode, body)
	}
	errorOf(t, resp, body)

	// After rows were sent the connection is cut: half an answer must not look whole.
	f.onQuery = func(context.Context, query.Request) (query.Rows, error) {
		r := numberRows(10_000, nil)
		next := r.next
		r.next = func(i int) ([]any, error) {
			if i == 9_000 {
				panic("late")
			}
			return next(i)
		}
		return r, nil
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/v1/query", strings.NewReader(`{"query":"x"}`))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(resp.Body); err == nil {
		t.Error("reading an answer whose handler panicked = nil, want an error")
	}
	resp.Body.Close()
	_, metrics := ask(t, s, "GET", "/metrics", nil)
	if !strings.Contains(metrics, "trailward_http_panics_total 2") {
		t.Error("the panics are not counted")
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "the secret thing") || !strings.Contains(log.String(), `"stack"`) {
		t.Error("the log does not have the panic and its stack")
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// TestLogHidesContent: neither token nor body nor query reaches the log.
func TestLogHidesContent(t *testing.T) {
	f := &fakeStore{}
	a, secrets := tokens(t, "*")
	var log bytes.Buffer
	var mu sync.Mutex
	d := f.deps()
	d.Auth = a
	d.Log = slog.New(slog.NewJSONHandler(&lockedWriter{w: &log, mu: &mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := start(t, Config{}, d)
	ask(t, s, "POST", "/v1/ingest?group=visible-group", strings.NewReader("patient-canary\n"), bearer(secrets[auth.Admin]))
	ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"query-canary"}`), bearer(secrets[auth.Admin]))
	ask(t, s, "POST", "/v1/query?x=param-canary", strings.NewReader(`{"query":"query-canary"`), bearer(secrets[auth.Admin]))
	ask(t, s, "GET", "/path-canary", nil, bearer("tw_token-canary"))
	mu.Lock()
	defer mu.Unlock()
	out := log.String()
	for _, secret := range []string{"canary", secrets[auth.Admin], "tw_"} {
		if strings.Contains(out, secret) {
			t.Errorf("the log holds %q:\n%s", secret, out)
		}
	}
	for _, want := range []string{`"route":"POST /v1/ingest"`, `"group":"visible-group"`, `"status":200`, `"principal":"token:`} {
		if !strings.Contains(out, want) {
			t.Errorf("the log does not hold %s:\n%s", want, out)
		}
	}
}

// TestShutdown: what is under way is finished, new requests get 503, and Serve
// returns.
func TestShutdown(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := &fakeStore{onIngest: func(context.Context, IngestRequest) error {
		close(entered)
		<-release
		return nil
	}}
	s, err := New(Config{Listen: "127.0.0.1:0"}, f.deps())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()

	// A second connection is open and in the middle of a request header when
	// the server stops.
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/groups HTTP/1.1\r\nHost: %s\r\n", s.Addr())

	status := make(chan int, 1)
	go func() {
		resp, err := http.Post(s.URL()+"/v1/ingest?group=g", "text/plain", strings.NewReader("a\n"))
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-entered
	cancel()
	for !s.stopping.Load() {
		if ctx.Err() == nil {
			t.Fatal("the context has not ended")
		}
		runtime.Gosched()
	}
	io.WriteString(conn, "\r\n")
	buf := make([]byte, 4096)
	n, err := io.ReadAtLeast(conn, buf, 12)
	if err == nil && !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 503") {
		t.Errorf("a new request while stopping = %q, want 503 or a closed connection", buf[:n])
	}
	close(release)
	if got := <-status; got != 200 {
		t.Errorf("the request under way = %d, want 200", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve() = %v, want nil", err)
	}
	if len(f.stored()) != 1 {
		t.Errorf("%d batches stored, want 1", len(f.stored()))
	}
}

// TestShutdownCancels: what does not finish in the drain time is cancelled.
func TestShutdownCancels(t *testing.T) {
	entered := make(chan struct{})
	f := &fakeStore{onIngest: func(ctx context.Context, _ IngestRequest) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}}
	s, err := New(Config{Listen: "127.0.0.1:0", DrainTime: time.Millisecond}, f.deps())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	status := make(chan int, 1)
	go func() {
		resp, err := http.Post(s.URL()+"/v1/ingest?group=g", "text/plain", strings.NewReader("a\n"))
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-entered
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve() = %v, want nil", err)
	}
	if got := <-status; got != 503 && got != 0 {
		t.Errorf("the request that was cancelled = %d, want 503 or a closed connection", got)
	}
}
