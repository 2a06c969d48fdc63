package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trailward"
	"trailward/api/live"
	"trailward/auth"
)

// tailLine is one line of GET /v1/tail.
type tailLine struct {
	Group, Message, End string
	Skipped             int64
}

type tailReader struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

func openTail(t *testing.T, s *Server, params string, opts ...func(*http.Request)) *tailReader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL()+"/v1/tail"+params, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range opts {
		o(req)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != FormatJSON {
		out, _ := io.ReadAll(resp.Body)
		t.Fatalf("GET /v1/tail%s = %d %s, want a stream", params, resp.StatusCode, out)
	}
	return &tailReader{t, resp, bufio.NewReader(resp.Body)}
}

// next gives the next line that is not empty; io.EOF is an End of "EOF".
func (r *tailReader) next() tailLine {
	r.t.Helper()
	for {
		text, err := r.in.ReadString('\n')
		if err != nil {
			return tailLine{End: "EOF"}
		}
		if text == "\n" {
			continue
		}
		var l tailLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			r.t.Fatalf("line %q: %v", text, err)
		}
		return l
	}
}

func tailHub(t *testing.T, opts live.Options) *live.Hub {
	t.Helper()
	h, err := live.NewHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func publish(h *live.Hub, group string, texts ...string) {
	records := make([]trailward.Record, len(texts))
	for i, s := range texts {
		records[i] = trailward.Record{Group: group, Stream: "s", Kind: trailward.KindJSON, Raw: []byte(s)}
	}
	h.Publish(group, records)
}

// TestTailGroups: a tail shows records of the groups that its token may read,
// and of these the ones that it asks for.
func TestTailGroups(t *testing.T) {
	h := tailHub(t, live.Options{})
	a, secrets := tokens(t, "/own/*")
	d := (&fakeStore{}).deps()
	d.Auth, d.Tail = a, h.Subscribe
	s := start(t, Config{}, d)
	reader := bearer(secrets[auth.Reader])
	tails := map[string]*tailReader{
		"all":     openTail(t, s, "", reader),
		"one":     openTail(t, s, "?group=/own/b", reader),
		"prefix":  openTail(t, s, "?group=/own/b*", reader),
		"pattern": openTail(t, s, "?pattern="+`%7B%20$.n%20>=%202%20%7D`, reader),
	}
	publish(h, "/foreign/a", `{"n":9,"at":"foreign"}`)
	publish(h, "/own/a", `{"n":1}`, `{"n":2}`)
	publish(h, "/own/b", `{"n":3}`)
	publish(h, "/own/bc", `{"n":4}`)
	for name, want := range map[string][]string{
		"all": {"/own/a 1", "/own/a 2", "/own/b 3", "/own/bc 4"}, "one": {"/own/b 3"}, "prefix": {"/own/b 3", "/own/bc 4"}, "pattern": {"/own/a 2", "/own/b 3", "/own/bc 4"},
	} {
		for _, w := range want {
			group, n, _ := strings.Cut(w, " ")
			if l := tails[name].next(); l.Group != group || l.Message != `{"n":`+n+`}` {
				t.Errorf("tail %s shows %+v, want %s", name, l, w)
			}
		}
	}
}

func TestTailRefused(t *testing.T) {
	h := tailHub(t, live.Options{MaxTails: 2})
	d := (&fakeStore{}).deps()
	d.Tail = h.Subscribe
	s := start(t, Config{MaxPrincipalTails: 1}, d)
	for params, want := range map[string]string{
		"?group=a*b":            "a group must be",
		"?pattern=%7B%20$.a%20": `"column":7`,
		"?pattern=a:b":          "double quotes",
		"?nonsense=1":           "unknown query parameter",
	} {
		resp, out := ask(t, s, "GET", "/v1/tail"+params, nil)
		if resp.StatusCode != 400 || !strings.Contains(out, want) {
			t.Errorf("GET /v1/tail%s = %d %s, want 400 with %s", params, resp.StatusCode, out, want)
		}
		errorOf(t, resp, out)
	}
	openTail(t, s, "")
	if resp, out := ask(t, s, "GET", "/v1/tail", nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("GET of a second tail = %d %s, want 429", resp.StatusCode, out)
	}
	other := start(t, Config{}, d)
	openTail(t, other, "")
	if resp, out := ask(t, other, "GET", "/v1/tail", nil); resp.StatusCode != 429 {
		t.Errorf("GET of a third tail of the hub = %d %s, want 429", resp.StatusCode, out)
	}
	none := start(t, Config{}, (&fakeStore{}).deps())
	if resp, out := ask(t, none, "GET", "/v1/tail", nil); resp.StatusCode != 503 {
		t.Errorf("GET without a hub = %d %s, want 503", resp.StatusCode, out)
	}
}

// TestTailOutlivesReadTimeout, and ends with the server, which does not wait for it.
func TestTailOutlivesReadTimeout(t *testing.T) {
	h := tailHub(t, live.Options{})
	d := (&fakeStore{}).deps()
	d.Tail = h.Subscribe
	s, err := New(Config{Listen: "127.0.0.1:0", ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond, DrainTime: time.Hour}, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	tail := openTail(t, s, "")
	<-time.After(200 * time.Millisecond) // longer than both limits, which are real time
	publish(h, "g", "late")
	if l := tail.next(); l.Message != "late" {
		t.Errorf("after the read timeout the tail shows %+v, want the record", l)
	}
	cancel()
	if l := tail.next(); l.End != "the server is stopping" {
		t.Errorf("at the server's end the tail shows %+v, want why it ends", l)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve() = %v, want nil", err)
	}
}

// TestTailClientGone: what a tail held is free when its client has gone.
func TestTailClientGone(t *testing.T) {
	h := tailHub(t, live.Options{})
	d := (&fakeStore{}).deps()
	d.Tail = h.Subscribe
	s := start(t, Config{}, d)
	tail := openTail(t, s, "")
	if n := h.Stats().Tails; n != 1 || s.tails.all() != 1 {
		t.Errorf("%d tails are open, want 1", n)
	}
	tail.resp.Body.Close()
	for h.Stats().Tails > 0 || s.tails.all() > 0 {
		runtime.Gosched()
	}
}

// TestTailRevoked: a token that is revoked sees nothing more.
func TestTailRevoked(t *testing.T) {
	h := tailHub(t, live.Options{})
	st, err := auth.OpenStore(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tok, secret, err := st.Create(auth.Token{Role: auth.Reader, Groups: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	d := (&fakeStore{}).deps()
	d.Auth, d.Tail = auth.NewAuthenticator(st), h.Subscribe
	var passed atomic.Int64 // seconds
	begin := time.Now()
	d.Now = func() time.Time { return begin.Add(time.Duration(passed.Load()) * time.Second) }
	s := start(t, Config{}, d)
	tail := openTail(t, s, "", bearer(secret))
	publish(h, "g", "1")
	if l := tail.next(); l.Message != "1" {
		t.Errorf("the tail shows %+v, want 1", l)
	}
	if err := st.Revoke(tok.ID); err != nil {
		t.Fatal(err)
	}
	passed.Add(1)
	publish(h, "g", "secret")
	if l := tail.next(); l.End == "" || l.End == "EOF" {
		t.Errorf("after the token was revoked the tail shows %+v, want its end", l)
	}
	if l := tail.next(); l.End != "EOF" {
		t.Errorf("after its end the tail shows %+v", l)
	}
}

// TestManyTails: many tails at once get every record or are told how many
// they missed, while intake goes on.
func TestManyTails(t *testing.T) {
	const tails, batches, per = 200, 20, 25
	h := tailHub(t, live.Options{})
	d := (&fakeStore{}).deps()
	d.Tail = h.Subscribe
	s := start(t, Config{}, d)
	var all sync.WaitGroup
	for i := range tails {
		pattern := []string{"", "?pattern=record", "?pattern=-nothing", "?group=g"}[i%4]
		tail := openTail(t, s, pattern)
		all.Go(func() {
			got := int64(0)
			for got < batches*per {
				l := tail.next()
				if l.End != "" {
					t.Errorf("a tail ended with %q after %d of %d records", l.End, got, batches*per)
					return
				}
				got += l.Skipped
				if l.Message != "" {
					got++
				}
			}
			if got != batches*per {
				t.Errorf("a tail got and missed %d records, want %d", got, batches*per)
			}
		})
	}
	for i := range batches {
		texts := make([]string, per)
		for j := range texts {
			texts[j] = fmt.Sprint("record ", i, j)
		}
		publish(h, "g", texts...)
	}
	all.Wait()
}
