package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"trailward"
	"trailward/api"
	"trailward/api/client"
	"trailward/api/live"
	"trailward/auth"
	"trailward/query"
	"trailward/query/plan"
)

// waits records how long a client would have waited between its tries.
type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	w.all = append(w.all, d)
	w.mu.Unlock()
	return ctx.Err()
}

func newClient(t *testing.T, opts client.Options) *client.Client {
	t.Helper()
	c, err := client.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// store is what the real server in these tests stands on.
type store struct {
	mu    sync.Mutex
	got   []api.IngestRequest
	rows  func() query.Rows
	asked []query.Request
}

func (s *store) deps() api.Deps {
	return api.Deps{
		Ingest: func(_ context.Context, r api.IngestRequest) (api.IngestResult, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			kept := r
			kept.Records = nil
			res := api.IngestResult{Kinds: map[trailward.Kind]int64{trailward.KindText: int64(len(r.Records))}, Damaged: map[string]int64{"cut": 1}}
			for _, f := range r.Records {
				f.Raw = bytes.Clone(f.Raw)
				kept.Records = append(kept.Records, f)
				res.Records++
				res.Bytes += int64(len(f.Raw))
			}
			s.got = append(s.got, kept)
			return res, nil
		},
		Query: func(_ context.Context, r query.Request) (query.Rows, error) {
			s.asked = append(s.asked, r)
			if r.Text == "bad" {
				return nil, &query.Error{Line: 1, Col: 3, Msg: "it is bad", Hint: "be good"}
			}
			return s.rows(), nil
		},
		Groups: func(context.Context) ([]api.GroupInfo, error) {
			return []api.GroupInfo{{Name: "g", Records: 3, Bytes: 10, Last: time.Unix(5, 0).UTC()}}, nil
		},
		Cat: func(_ context.Context, group, _ string, fn func([]byte) error) error {
			for _, r := range []string{"a\nb", "", "c"} {
				if err := fn([]byte(r)); err != nil {
					return err
				}
			}
			if group == "broken" {
				return errors.New("damage")
			}
			return nil
		},
	}
}

func serve(t *testing.T, cfg api.Config, deps api.Deps) *api.Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := api.New(cfg, deps)
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
			t.Errorf("Serve() = %v", err)
		}
	})
	return s
}

type rows struct {
	columns []query.Column
	values  [][]any
	end     error
	i       int
}

func (r *rows) Columns() []query.Column { return r.columns }
func (r *rows) Next() bool              { r.i++; return r.i <= len(r.values) }
func (r *rows) Values() []any           { return r.values[r.i-1] }
func (r *rows) Err() error {
	if r.i > len(r.values) {
		return r.end
	}
	return nil
}
func (r *rows) Close() error       { return nil }
func (r *rows) Stats() query.Stats { return query.Stats{ElapsedMS: 2, RecordsMatched: 7} }

func TestIngest(t *testing.T) {
	st := &store{}
	s := serve(t, api.Config{}, st.deps())
	c := newClient(t, client.Options{Server: s.URL()})
	large := strings.Repeat("a line of a log that is not the only one\n", 1000) + fmt.Sprint(time.Now())
	dense := make([]byte, 1<<20)
	mathrand.NewChaCha8([32]byte{}).Read(dense)
	text, same := hex.EncodeToString(dense)+"\n", strings.Repeat("x", 3<<20)+"\n"
	for name, body := range map[string]string{
		"small": "a\nb", "compressed": large, "too good to compress": strings.Repeat("x\n", 50_000),
		"too good at first": same + text, "too good in the end": text + strings.Repeat(same, 8), "too good within": text[:1000] + "\n" + same + text,
	} {
		st.got = nil
		res, err := c.Ingest(t.Context(), "/g", "s", trailward.KindText, "", []byte(body))
		if err != nil {
			t.Fatalf("%s: Ingest() = %v", name, err)
		}
		got := st.got[0]
		if got.Group != "/g" || got.Stream != "s" || got.Kind != trailward.KindText || got.BatchID == "" || got.BodyHash != sha256.Sum256([]byte(body)) || res.Records != int64(len(got.Records)) || res.Damaged["cut"] != 1 {
			t.Errorf("%s: Ingest() = %+v with the batch %+v", name, res, got)
		}
	}
	st.got = nil
	records := []trailward.Framed{{Raw: []byte("a\nb"), Kind: trailward.KindContainer, Time: 7, Attrs: []trailward.Attr{{Name: "pod", Value: "p"}}}}
	if _, err := c.IngestRecords(t.Context(), "/g", "", "", "id-1", records); err != nil {
		t.Fatal(err)
	}
	if got := st.got[0]; got.BatchID != "id-1" || got.Stream != api.DefaultStream || fmt.Sprint(got.Records) != fmt.Sprint(records) {
		t.Errorf("IngestRecords() sent %+v, want %+v", got, records)
	}
	_, err := c.Ingest(t.Context(), "trailward/x", "", "", "", []byte("x"))
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 403 || !strings.Contains(e.Message, "belong to the server") {
		t.Errorf("Ingest(a group of the server) = %v, want 403", err)
	}
	var sum client.Result
	sum.Add(client.Result{Records: 1, Damaged: map[string]int64{"a": 1}, Kinds: map[trailward.Kind]int64{"json": 1}})
	sum.Add(client.Result{Records: 2, Bytes: 5, Duplicates: 3, Rejected: 4, Damaged: map[string]int64{"a": 1}, Kinds: map[trailward.Kind]int64{"json": 1}})
	if sum.Records != 3 || sum.Bytes != 5 || sum.Duplicates != 3 || sum.Rejected != 4 || sum.Damaged["a"] != 2 || sum.Kinds["json"] != 2 {
		t.Errorf("Add() = %+v", sum)
	}
}

func TestQuery(t *testing.T) {
	st := &store{}
	s := serve(t, api.Config{}, st.deps())
	c := newClient(t, client.Options{Server: s.URL()})
	columns := []query.Column{{Name: "z", Type: plan.Int}, {Name: "a", Type: plan.Text}, {Name: "@t", Type: plan.Time}}
	long := strings.Repeat("long ", 100_000)
	st.rows = func() query.Rows {
		return &rows{columns: columns, values: [][]any{{int64(9007199254740993), "x", nil}, {nil, long, time.Unix(1, 0).UTC()}}}
	}
	got, err := c.SQL(t.Context(), client.Question{Query: "select", Groups: []string{"g"}, Start: "-1h", Tables: map[string]string{"t": "json"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []client.Column{{"z", "int"}, {"a", "text"}, {"@t", "time"}}; !slices.Equal(got.Columns(), want) {
		t.Errorf("Columns() = %v, want %v", got.Columns(), want)
	}
	var out []string
	for got.Next() {
		members, err := got.Members()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			out = append(out, m.Name+"="+string(m.Value))
		}
	}
	want := []string{"z=9007199254740993", `a="x"`, "@t=null", "z=null", `a="` + long + `"`, `@t="1970-01-01 00:00:01.000"`}
	if !slices.Equal(out, want) || got.Err() != nil {
		t.Errorf("rows = %.300q, %v, want %.300q", out, got.Err(), want)
	}
	if got.Stats().RecordsMatched != 7 || got.Stats().ElapsedMS != 2 {
		t.Errorf("Stats() = %+v, want those of the server", got.Stats())
	}
	if q := st.asked[0]; q.Language != query.SQL || q.Tables["t"] != "json" || q.Start.IsZero() || !q.End.IsZero() {
		t.Errorf("the engine was asked %+v", q)
	}

	_, err = c.Query(t.Context(), client.Question{Query: "bad"})
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Line != 1 || e.Column != 3 || e.Message != "it is bad" || e.Hint != "be good" || e.Error() != "line 1, column 3: it is bad; be good" {
		t.Errorf("Query(bad) = %v (%+v), want where and what", err, e)
	}

	st.rows = func() query.Rows {
		return &rows{columns: columns, values: [][]any{{int64(1), "x", nil}}, end: errors.New("late")}
	}
	got, err = c.Query(t.Context(), client.Question{Query: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Next() || string(got.Raw()) != `{"z":"1","a":"x"}` {
		t.Errorf("Raw() = %s, want the first row", got.Raw())
	}
	if got.Next() || !errors.As(got.Err(), &e) || e.Status != 0 {
		t.Errorf("Next() at an error = true or Err() = %v, want the error of the trailer", got.Err())
	}
	if got.Next() {
		t.Error("Next() after the end = true")
	}
}

func TestCatGroupsHealth(t *testing.T) {
	st := &store{}
	s := serve(t, api.Config{}, st.deps())
	c := newClient(t, client.Options{Server: s.URL()})
	var got []string
	err := c.Cat(t.Context(), "g", "", func(raw []byte) error { got = append(got, string(raw)); return nil })
	if err != nil || !slices.Equal(got, []string{"a\nb", "", "c"}) {
		t.Errorf("Cat() = %q, %v, want the three records", got, err)
	}
	var e *client.Error
	if err := c.Cat(t.Context(), "broken", "", func([]byte) error { return nil }); !errors.As(err, &e) {
		t.Errorf("Cat(broken) = %v, want the server's error", err)
	}
	stop := errors.New("stop")
	if err := c.Cat(t.Context(), "g", "", func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Cat() = %v, want the error of fn", err)
	}
	groups, err := c.Groups(t.Context())
	if err != nil || len(groups) != 1 || groups[0].Name != "g" || groups[0].Records != 3 || !groups[0].Last.Equal(time.Unix(5, 0)) {
		t.Errorf("Groups() = %+v, %v", groups, err)
	}
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("Health() = %v", err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}

// TestRetries: the same batch, id and bytes alike, is sent until the server
// has it, and the server's Retry-After is kept to.
func TestRetries(t *testing.T) {
	type sent struct{ id, body string }
	var mu sync.Mutex
	var got []sent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := zstd.NewReader(r.Body)
		if err != nil {
			t.Error(err)
		}
		defer z.Close()
		body, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		got = append(got, sent{r.Header.Get("Trailward-Batch"), string(body)})
		n := len(got)
		mu.Unlock()
		switch n {
		case 1:
			w.Header().Set("Retry-After", "7")
			http.Error(w, `{"error":{"message":"busy"}}`, http.StatusTooManyRequests)
		case 2:
			panic(http.ErrAbortHandler) // the connection breaks before an answer
		case 3:
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(503)
		case 4: // it breaks within the answer: stored, but who knows
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"records":1`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, `{"records":0,"duplicates":1}`)
		}
	}))
	defer srv.Close()
	srv.Config.ErrorLog = nil
	var w waits
	c := newClient(t, client.Options{Server: srv.URL, Wait: w.wait, MaxWait: time.Minute})
	body := strings.Repeat("some text that compresses, but not too well: ", 100) + fmt.Sprint(time.Now())
	res, err := c.Ingest(t.Context(), "g", "", "", "", []byte(body))
	if err != nil || res.Duplicates != 1 {
		t.Errorf("Ingest() = %+v, %v, want the fifth answer", res, err)
	}
	if len(got) != 5 {
		t.Fatalf("sent %d times, want 5", len(got))
	}
	for i, s := range got {
		if s.id == "" || s.id != got[0].id || s.body != body {
			t.Errorf("try %d had the id %q and %d bytes, want those of the first: %q and %d", i+1, s.id, len(s.body), got[0].id, len(body))
		}
	}
	if w.all[0] != 7*time.Second || w.all[2] != time.Minute || w.all[1] <= 0 || w.all[1] > 10*time.Second {
		t.Errorf("waited %v, want 7s as asked, a moment, and a minute at most", w.all)
	}
}

func TestNoRetry(t *testing.T) {
	tests := []struct {
		name   string
		status int
		call   func(*client.Client) error
		tries  int
	}{
		{"conflict", 409, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 1},
		{"internal", 500, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 1},
		{"redirect", 307, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 1},
		{"busy for ever", 429, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 4},
		{"a proxy in between", 502, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 4},
		{"a slow one", 504, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 4},
		{"broken off on its way", 408, func(c *client.Client) error {
			_, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x"))
			return err
		}, 4},
		{"a question that took too long", 504, func(c *client.Client) error {
			_, err := c.Query(t.Context(), client.Question{Query: "x"})
			return err
		}, 1},
		{"query while busy", 503, func(c *client.Client) error { _, err := c.Query(t.Context(), client.Question{Query: "x"}); return err }, 4},
		{"health", 503, func(c *client.Client) error { return c.Health(t.Context()) }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				w.Header().Set("Location", "http://evil.test/")
				w.WriteHeader(tt.status)
				io.WriteString(w, "<html>a proxy says no</html>")
			}))
			defer srv.Close()
			var w waits
			c := newClient(t, client.Options{Server: srv.URL, Tries: 4, Wait: w.wait})
			err := tt.call(c)
			var e *client.Error
			if !errors.As(err, &e) || e.Status != tt.status || n != tt.tries || strings.Contains(err.Error(), "<") {
				t.Errorf("call = %v after %d tries, want status %d after %d", err, n, tt.status, tt.tries)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		var w waits
		c := newClient(t, client.Options{Server: "http://" + l.Addr().String(), Tries: 3, Wait: w.wait})
		if _, err := c.Query(t.Context(), client.Question{Query: "x"}); err == nil || len(w.all) != 0 {
			t.Errorf("Query() = %v after %d waits, want an error at once", err, len(w.all))
		}
		if _, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x")); err == nil || len(w.all) != 2 {
			t.Errorf("Ingest() = %v after %d waits, want an error after 2", err, len(w.all))
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) }))
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		c := newClient(t, client.Options{Server: srv.URL, Wait: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }})
		_, err := c.Ingest(ctx, "g", "", "", "", []byte("x"))
		var e *client.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Status != 429 {
			t.Errorf("Ingest() = %v, want that it was cancelled, and the answer before", err)
		}
	})
}

// TestCutAnswers: an answer that ends without its trailer is an error, never a
// short answer.
func TestCutAnswers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no trailer":      func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{\"a\":\"1\"}\n") },
		"nothing at all":  func(w http.ResponseWriter, r *http.Request) {},
		"half a row":      func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{\"a\":") },
		"broken off":      func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}\n"); panic(http.ErrAbortHandler) },
		"trailer no JSON": trailers("{}\n", "Trailward-Stats", "x"),
		"error no JSON":   trailers("{}\n", "Trailward-Error", "x"),
		"half with stats": trailers("{\"a\"", "Trailward-Stats", "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			c := newClient(t, client.Options{Server: srv.URL, Tries: 1})
			rows, err := c.Query(t.Context(), client.Question{Query: "x"})
			if err == nil {
				for rows.Next() {
				}
				err = rows.Err()
			}
			if err == nil {
				t.Error("reading the answer = nil, want an error")
			}
			if err := c.Cat(t.Context(), "g", "", func([]byte) error { return nil }); err == nil {
				t.Error("Cat() = nil, want an error")
			}
		})
	}
}

func trailers(body, name, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", name)
		io.WriteString(w, body)
		w.Header().Set(name, value)
	}
}

func TestTLSAndToken(t *testing.T) {
	token := "tw_secret"
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, `{"groups":[]}`)
	}))
	defer srv.Close()
	dir := t.TempDir()
	ca, tokenFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	write(tokenFile, []byte(token+"\n"))
	var w waits
	c := newClient(t, client.Options{Server: srv.URL, CAFile: ca, TokenFile: tokenFile, Wait: w.wait})
	if _, err := c.Groups(t.Context()); err != nil {
		t.Errorf("Groups() = %v, want nil", err)
	}
	// The token is replaced while the client runs.
	token = "tw_other"
	write(tokenFile, []byte(token))
	if _, err := c.Groups(t.Context()); err != nil {
		t.Errorf("Groups() with a new token = %v, want nil", err)
	}
	// Without the CA nothing is sent, and nothing is tried again.
	plain := newClient(t, client.Options{Server: srv.URL, TokenFile: tokenFile, Wait: w.wait})
	if _, err := plain.Ingest(t.Context(), "g", "", "", "", []byte("x")); err == nil || len(w.all) != 0 {
		t.Errorf("Ingest() without the CA = %v after %d waits, want an error at once", err, len(w.all))
	}
	if err := os.Remove(tokenFile); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ingest(t.Context(), "g", "", "", "", []byte("x")); err == nil || len(w.all) != 0 {
		t.Errorf("Ingest() without the token file = %v after %d waits, want an error at once", err, len(w.all))
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	empty, ok, many := filepath.Join(dir, "empty"), filepath.Join(dir, "ok"), filepath.Join(dir, "many")
	for path, data := range map[string]string{empty: "\n", ok: "tw_x", many: "a b"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		opts client.Options
		want string
	}{
		{"no scheme", client.Options{Server: "127.0.0.1:7300"}, "http://"},
		{"other scheme", client.Options{Server: "ftp://x"}, "http://"},
		{"path", client.Options{Server: "http://x/y"}, "http://"},
		{"password", client.Options{Server: "http://u:hush@x"}, "http://"},
		{"token in the clear", client.Options{Server: "http://logs.example:7300", TokenFile: ok}, "https"},
		{"empty token", client.Options{TokenFile: empty}, "one token"},
		{"two tokens", client.Options{TokenFile: many}, "one token"},
		{"no token file", client.Options{TokenFile: filepath.Join(dir, "none")}, "token file"},
		{"CA file without certificate", client.Options{CAFile: ok}, "PEM"},
		{"negative tries", client.Options{Tries: -1}, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client.New(tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("New(%+v) = %v, want an error with %q", tt.opts, err, tt.want)
			}
		})
	}
}

// TestEndToEndToken: the client against the real server that asks for tokens.
func TestEndToEndToken(t *testing.T) {
	dir := t.TempDir()
	st, err := auth.OpenStore(filepath.Join(dir, "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := st.Create(auth.Token{Role: auth.Writer, Groups: []string{"g"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fake := &store{}
	deps := fake.deps()
	deps.Auth = auth.NewAuthenticator(st)
	s := serve(t, api.Config{}, deps)
	with := newClient(t, client.Options{Server: s.URL(), TokenFile: filepath.Join(dir, "token")})
	without := newClient(t, client.Options{Server: s.URL()})
	if _, err := with.Ingest(t.Context(), "g", "", "", "", []byte("x")); err != nil {
		t.Errorf("Ingest() with the token = %v, want nil", err)
	}
	var e *client.Error
	if _, err := with.Groups(t.Context()); !errors.As(err, &e) || e.Status != 403 {
		t.Errorf("Groups() of a writer = %v, want 403", err)
	}
	if _, err := without.Ingest(t.Context(), "g", "", "", "", []byte("x")); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("Ingest() without the token = %v, want 401", err)
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(`{"a":"1","b":[1,{"c":null}],"a":2}`))
	f.Add([]byte(`{`))
	f.Add([]byte(strings.Repeat(`{"a":`, 20_000)))
	f.Fuzz(func(t *testing.T, row []byte) {
		members, err := client.ParseRow(row)
		if err != nil {
			return
		}
		for _, m := range members {
			if len(m.Value) == 0 {
				t.Errorf("ParseRow(%q) gave %q without a value", row, m.Name)
			}
		}
	})
}

// TestTail: records and skips come in order, and the end says why.
func TestTail(t *testing.T) {
	hub, err := live.NewHub(live.Options{TailRecords: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	d := (&store{}).deps()
	d.Tail = hub.Subscribe
	s := serve(t, api.Config{}, d)
	c := newClient(t, client.Options{Server: s.URL()})
	publish := func() {
		hub.Publish("g", []trailward.Record{
			{Group: "g", Stream: "s", Kind: "text", Time: 1, Raw: []byte("not \xff text")}, {Group: "g", Raw: []byte("other")}, {Group: "g", Raw: []byte("text 2")}, {Group: "g", Raw: []byte("text 3")},
		})
	}
	go func() {
		for hub.Stats().Tails == 0 {
			runtime.Gosched()
		}
		publish()
	}()
	var got []client.TailLine
	err = c.Tail(t.Context(), "g", "text", func(l *client.TailLine, line []byte) error {
		if !json.Valid(line) {
			t.Errorf("line %q is not JSON", line)
		}
		if got = append(got, *l); l.Skipped > 0 || len(got) == 3 {
			hub.Close()
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("Tail() = %v, want that the server is stopping", err)
	}
	if len(got) < 2 || string(got[0].Bytes) != "not \xff text" || got[0].Message != "not \ufffd text" || got[0].Stream != "s" || got[0].Time.UnixNano() != 1 {
		t.Errorf("Tail() gave %+v", got)
	}

	if err := c.Tail(t.Context(), "g", "{", nil); err == nil {
		t.Error("Tail() with a faulty pattern = nil, want an error")
	} else if e := new(client.Error); !errors.As(err, &e) || e.Status != 400 || e.Column != 2 {
		t.Errorf("Tail() with a faulty pattern = %v, want 400 with a column", err)
	}
}

func TestTailStops(t *testing.T) {
	hub, err := live.NewHub(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	d := (&store{}).deps()
	d.Tail = hub.Subscribe
	s := serve(t, api.Config{}, d)
	c := newClient(t, client.Options{Server: s.URL()})
	knock := func() {
		for hub.Stats().Tails == 0 {
			runtime.Gosched()
		}
		hub.Publish("g", []trailward.Record{{Group: "g", Raw: []byte("x")}})
	}
	go knock()
	stop := errors.New("enough")
	if err := c.Tail(t.Context(), "", "", func(*client.TailLine, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Tail() = %v, want %v", err, stop)
	}
	for hub.Stats().Tails > 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go knock()
	err = c.Tail(ctx, "", "", func(*client.TailLine, []byte) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Tail() = %v, want %v", err, context.Canceled)
	}
}

// TestExport: bytes are passed on, and an answer that is not whole is an error.
func TestExport(t *testing.T) {
	st := &store{rows: func() query.Rows {
		return &rows{columns: []query.Column{{Name: "n", Type: plan.Int}}, values: [][]any{{int64(1)}, {int64(2)}}}
	}}
	s := serve(t, api.Config{}, st.deps())
	c := newClient(t, client.Options{Server: s.URL()})
	for _, format := range []string{"csv", "arrow", "parquet"} {
		var out bytes.Buffer
		if _, err := c.Export(t.Context(), true, client.Question{Query: "x"}, api.FormatNamed(format), &out); err != nil || out.Len() == 0 {
			t.Errorf("Export(%s) = %v with %d bytes, want some", format, err, out.Len())
		}
		if format == "csv" && out.String() != "n\r\n1\r\n2\r\n" {
			t.Errorf("Export(csv) = %q", out.String())
		}
	}
	var fault *client.Error
	if _, err := c.Export(t.Context(), false, client.Question{Query: "bad"}, api.FormatArrow, io.Discard); !errors.As(err, &fault) || fault.Column != 3 {
		t.Errorf("Export() of a faulty question = %v, want its place", err)
	}
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half") }))
	defer cut.Close()
	c = newClient(t, client.Options{Server: cut.URL})
	if _, err := c.Export(t.Context(), false, client.Question{Query: "x"}, api.FormatArrow, io.Discard); err == nil {
		t.Error("Export() of half an answer = nil, want an error")
	}
}
