package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"trailward"
	"trailward/api/framed"
	"trailward/auth"
)

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, data []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func raws(records []trailward.Framed) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Raw))
	}
	return out
}

func TestIngest(t *testing.T) {
	lines := "one\r\n\n{\"a\":1}\n\x00\xff\nlast"
	want := []string{"one\r", `{"a":1}`, "\x00\xff", "last"}
	tests := []struct {
		name, query string
		body        []byte
		opts        []func(*http.Request)
		stream      string
		kind        trailward.Kind
	}{
		{"plain", "group=g", []byte(lines), nil, DefaultStream, ""},
		{"named", "group=/a/b-c_d.e%23f&stream=s+1&kind=json", []byte(lines), []func(*http.Request){header("Content-Type", "application/x-ndjson")}, "s 1", trailward.KindJSON},
		{"auto", "group=g&kind=auto", []byte(lines), nil, DefaultStream, ""},
		{"gzip", "group=g", gz(t, []byte(lines)), []func(*http.Request){header("Content-Encoding", "gzip")}, DefaultStream, ""},
		{"gzip of several members", "group=g", append(gz(t, []byte(lines[:4])), gz(t, []byte(lines[4:]))...), []func(*http.Request){header("Content-Encoding", "GZIP")}, DefaultStream, ""},
		{"zstd", "group=g", zst(t, []byte(lines)), []func(*http.Request){header("Content-Encoding", "zstd")}, DefaultStream, ""},
		{"zstd of several frames", "group=g", append(zst(t, []byte(lines[:4])), zst(t, []byte(lines[4:]))...), []func(*http.Request){header("Content-Encoding", "zstd")}, DefaultStream, ""},
		{"identity", "group=g", []byte(lines), []func(*http.Request){header("Content-Encoding", "identity")}, DefaultStream, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{}
			s := start(t, Config{}, f.deps())
			resp, out := ask(t, s, "POST", "/v1/ingest?"+tt.query, bytes.NewReader(tt.body), append(tt.opts, header(batchHeader, "1"))...)
			var res IngestResult
			if err := json.Unmarshal([]byte(out), &res); err != nil || resp.StatusCode != 200 || res.Records != 4 {
				t.Fatalf("POST = %d %s, %v, want 200 and 4 records", resp.StatusCode, out, err)
			}
			got := f.stored()[0]
			if fmt.Sprintf("%q", raws(got.Records)) != fmt.Sprintf("%q", want) {
				t.Errorf("records = %q, want %q", raws(got.Records), want)
			}
			if got.Stream != tt.stream || got.Kind != tt.kind || got.Principal != "local" || got.BodyHash != sha256.Sum256([]byte(lines)) {
				t.Errorf("batch = stream %q, kind %q, principal %q, hash %x; want %q, %q, local and the hash of the decompressed body", got.Stream, got.Kind, got.Principal, got.BodyHash, tt.stream, tt.kind)
			}
			if s.memory.inUse() != 0 {
				t.Errorf("%d bytes are still reserved, want 0", s.memory.inUse())
			}
		})
	}
}

func TestIngestEmpty(t *testing.T) {
	f := &fakeStore{}
	s := start(t, Config{}, f.deps())
	for name, body := range map[string]string{"no body": "", "empty lines": "\n\n\n"} {
		resp, out := ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader(body))
		if resp.StatusCode != 200 || !strings.Contains(out, `"records":0`) || !strings.Contains(out, `"damaged":{}`) {
			t.Errorf("%s: POST = %d %s, want 200 and no records", name, resp.StatusCode, out)
		}
	}
}

func TestIngestFramed(t *testing.T) {
	records := []trailward.Framed{
		{Raw: []byte("two\nlines"), Kind: trailward.KindContainer, Time: 1_700_000_000_000_000_001, Attrs: []trailward.Attr{{Name: "stream", Value: "stderr"}}},
		{Raw: []byte{}, Kind: trailward.KindContainer, Attrs: []trailward.Attr{{Name: "stream", Value: "stderr"}}},
		{Raw: []byte("1 2"), Columns: []string{"a", "b"}, Damaged: "half line", Time: -5},
	}
	var e framed.Encoder
	for _, r := range records {
		if err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	f := &fakeStore{}
	s := start(t, Config{}, f.deps())
	resp, out := ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(zst(t, e.Bytes())), header("Content-Encoding", "zstd"), header("Content-Type", framed.ContentType))
	if resp.StatusCode != 200 {
		t.Fatalf("POST = %d %s, want 200", resp.StatusCode, out)
	}
	if got, want := fmt.Sprintf("%+v", f.stored()[0].Records), fmt.Sprintf("%+v", records); got != want {
		t.Errorf("records = %s, want %s", got, want)
	}
	resp, out = ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(e.Bytes()[:e.Len()-1]), header("Content-Type", framed.ContentType))
	if resp.StatusCode != 400 || len(f.stored()) != 1 {
		t.Errorf("POST of a cut body = %d %s, want 400 and nothing stored", resp.StatusCode, out)
	}
}

// TestIngestKinds: a token that is bound to kinds writes no other, whichever way
// it says them.
func TestIngestKinds(t *testing.T) {
	st, err := auth.OpenStore(t.TempDir()+"/tokens.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	make := func(kinds ...trailward.Kind) string {
		_, secret, err := st.Create(auth.Token{Role: auth.Writer, Groups: []string{"g"}, Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	one, two := make(trailward.KindJSON), make(trailward.KindJSON, trailward.KindText)
	body := func(kinds ...trailward.Kind) []byte {
		var e framed.Encoder
		for _, k := range kinds {
			if err := e.Add(trailward.Framed{Raw: []byte("x"), Kind: k}); err != nil {
				t.Fatal(err)
			}
		}
		return e.Bytes()
	}
	const framedBody = framed.ContentType
	tests := []struct {
		name, secret, kind, contentType string
		body                            []byte
		status                          int
		want                            trailward.Kind
	}{
		{"one kind need not be said", one, "", "", []byte("x"), 200, trailward.KindJSON},
		{"nor is it found by content", one, "auto", "", []byte("x"), 200, trailward.KindJSON},
		{"another kind", one, "k8s.audit", "", []byte("x"), 403, ""},
		{"one of two must be said", two, "", "", []byte("x"), 403, ""},
		{"and is enough", two, "text", "", []byte("x"), 200, trailward.KindText},
		{"framed with its kind", one, "", framedBody, body(trailward.KindJSON, ""), 200, trailward.KindJSON},
		{"framed with another", one, "", framedBody, body(trailward.KindJSON, trailward.KindK8sAudit), 403, ""},
		{"framed with both", two, "", framedBody, body(trailward.KindJSON, trailward.KindText), 200, ""},
		{"framed without any", two, "", framedBody, body(""), 403, ""},
		{"framed, one without", two, "", framedBody, body(trailward.KindText, ""), 403, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{}
			d := f.deps()
			d.Auth = auth.NewAuthenticator(st)
			s := start(t, Config{}, d)
			path := "/v1/ingest?group=g"
			if tt.kind != "" {
				path += "&kind=" + tt.kind
			}
			resp, out := ask(t, s, "POST", path, bytes.NewReader(tt.body), bearer(tt.secret), header("Content-Type", tt.contentType))
			if resp.StatusCode != tt.status || (tt.status == 200) != (len(f.stored()) == 1) {
				t.Fatalf("POST = %d %s with %d batches stored, want %d", resp.StatusCode, out, len(f.stored()), tt.status)
			}
			if tt.status == 200 && f.stored()[0].Kind != tt.want {
				t.Errorf("kind of the batch = %q, want %q", f.stored()[0].Kind, tt.want)
			}
		})
	}
}

func TestIngestRefuses(t *testing.T) {
	small := Config{MaxBody: 1 << 10, MaxDecoded: 2 << 10, MaxLine: 1 << 10, MaxRecords: 10, MaxBodyMemory: 1 << 20}
	long := strings.Repeat("x", 1000) + "\n"
	var tooMany framed.Encoder
	var tooLong framed.Encoder
	for range 11 {
		tooMany.Add(trailward.Framed{Raw: []byte("x")})
	}
	tooLong.Add(trailward.Framed{Raw: bytes.Repeat([]byte("x"), 1<<10+1)})
	noise := make([]byte, 9<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	wide := zst(t, noise, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))
	tests := []struct {
		name, query string
		cfg         Config
		body        []byte
		opts        []func(*http.Request)
		status      int
		want        string
	}{
		{"no group", "", Config{}, []byte("x"), nil, 400, "group"},
		{"group with a star", "group=a*", Config{}, []byte("x"), nil, 400, "group"},
		{"group with a space", "group=a+b", Config{}, []byte("x"), nil, 400, "group"},
		{"group that climbs is only a name", "group=../../etc", Config{}, []byte("x"), nil, 200, ""},
		{"group with NUL", "group=a%00", Config{}, []byte("x"), nil, 400, "group"},
		{"long group", "group=" + strings.Repeat("g", 513), Config{}, []byte("x"), nil, 400, "group"},
		{"stream with a colon", "group=g&stream=a:b", Config{}, []byte("x"), nil, 400, "stream"},
		{"stream with an escape", "group=g&stream=a%1b", Config{}, []byte("x"), nil, 400, "stream"},
		{"stream that turns text around", "group=g&stream=%E2%80%AE", Config{}, []byte("x"), nil, 400, "stream"},
		{"unknown kind", "group=g&kind=tea", Config{}, []byte("x"), nil, 400, "kind"},
		{"reserved group", "group=trailward/x", Config{}, []byte("x"), nil, 403, "belong to the server"},
		{"batch id with a space", "group=g", Config{}, []byte("x"), []func(*http.Request){header(batchHeader, "a b")}, 400, batchHeader},
		{"long batch id", "group=g", Config{}, []byte("x"), []func(*http.Request){header(batchHeader, strings.Repeat("b", 257))}, 400, batchHeader},
		{"two batch ids", "group=g", Config{}, []byte("x"), []func(*http.Request){func(r *http.Request) { r.Header[batchHeader] = []string{"a", "b"} }}, 400, batchHeader},
		{"unknown encoding", "group=g", Config{}, []byte("x"), []func(*http.Request){header("Content-Encoding", "br")}, 415, "encoding"},
		{"two encodings", "group=g", Config{}, gz(t, gz(t, []byte("x"))), []func(*http.Request){header("Content-Encoding", "gzip, gzip")}, 415, "encoding"},
		{"not gzip", "group=g", Config{}, []byte("hello"), []func(*http.Request){header("Content-Encoding", "gzip")}, 400, "gzip"},
		{"cut gzip", "group=g", Config{}, gz(t, []byte(long))[:20], []func(*http.Request){header("Content-Encoding", "gzip")}, 400, "gzip"},
		{"flipped gzip", "group=g", Config{}, flip(gz(t, []byte(long))), []func(*http.Request){header("Content-Encoding", "gzip")}, 400, "gzip"},
		{"not zstd", "group=g", Config{}, []byte("hello"), []func(*http.Request){header("Content-Encoding", "zstd")}, 400, "zstd"},
		{"cut zstd", "group=g", Config{}, cut(zst(t, []byte(long))), []func(*http.Request){header("Content-Encoding", "zstd")}, 400, "zstd"},
		{"wide zstd window", "group=g", Config{}, wide, []func(*http.Request){header("Content-Encoding", "zstd")}, 413, "window"},
		{"large body", "group=g", small, []byte(strings.Repeat("x\n", 513)), nil, 413, "1024"},
		{"large body without a length", "group=g", small, nil, []func(*http.Request){func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x\n", 513)))
		}}, 413, "1024"},
		{"large when decompressed", "group=g", small, gz(t, []byte(strings.Repeat(long, 3))), []func(*http.Request){header("Content-Encoding", "gzip")}, 413, "2048"},
		{"large when decompressed, zstd", "group=g", small, zst(t, []byte(strings.Repeat(long, 3))), []func(*http.Request){header("Content-Encoding", "zstd")}, 413, "2048"},
		{"long line", "group=g", small, gz(t, []byte("a\nb\n"+strings.Repeat("x", 1025))), []func(*http.Request){header("Content-Encoding", "gzip")}, 413, "line 3"},
		{"many records", "group=g", small, []byte(strings.Repeat("x\n", 11)), nil, 413, "10 records"},
		{"as many as may be", "group=g", small, []byte(strings.Repeat("x\n\n", 10)), nil, 200, ""},
		{"many framed records", "group=g", small, tooMany.Bytes(), []func(*http.Request){header("Content-Type", framed.ContentType)}, 413, "10 records"},
		{"long framed record", "group=g", small, gz(t, tooLong.Bytes()), []func(*http.Request){header("Content-Type", framed.ContentType), header("Content-Encoding", "gzip")}, 413, "record 1"},
		{"framed that is not", "group=g", Config{}, []byte("x"), []func(*http.Request){header("Content-Type", framed.ContentType)}, 400, "TWF1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{}
			s := start(t, tt.cfg, f.deps())
			resp, out := ask(t, s, "POST", "/v1/ingest?"+tt.query, bytes.NewReader(tt.body), tt.opts...)
			if resp.StatusCode != tt.status || !strings.Contains(out, tt.want) {
				t.Errorf("POST = %d %s, want %d with %q", resp.StatusCode, out, tt.status, tt.want)
			}
			if tt.status != 200 {
				errorOf(t, resp, out)
				if len(f.stored()) != 0 {
					t.Errorf("%d batches were stored, want none", len(f.stored()))
				}
			}
			if n := s.memory.inUse(); n != 0 {
				t.Errorf("%d bytes are still reserved, want 0", n)
			}
		})
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 0x40
	return b
}

func cut(b []byte) []byte { return b[:len(b)-3] }

// TestBombs: small bodies that become very large are refused at once and without
// the memory.
func TestBombs(t *testing.T) {
	const size = 64 << 20
	zeros := make([]byte, 1<<20)
	var gzBomb, zstBomb bytes.Buffer
	gw, _ := gzip.NewWriterLevel(&gzBomb, gzip.BestSpeed)
	zw, err := zstd.NewWriter(&zstBomb, zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < size; n += len(zeros) {
		gw.Write(zeros)
		zw.Write(zeros)
	}
	gw.Close()
	zw.Close()
	tests := map[string]struct {
		body     []byte
		encoding string
	}{
		"gzip":          {gzBomb.Bytes(), "gzip"},
		"zstd":          {zstBomb.Bytes(), "zstd"},
		"gzip in a row": {bytes.Repeat(gzBomb.Bytes(), 50), "gzip"}, // 3 GB

		"zstd in a row":  {bytes.Repeat(zstBomb.Bytes(), 50), "zstd"},
		"gzip of a gzip": {gz(t, gzBomb.Bytes()), "gzip"},
	}
	f := &fakeStore{}
	s := start(t, Config{}, f.deps())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, out := ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(tt.body), header("Content-Encoding", tt.encoding))
			runtime.ReadMemStats(&after)
			want := 413
			if name == "gzip of a gzip" {
				want = 200 // just bytes: nobody takes the inner one apart
			}
			if resp.StatusCode != want {
				t.Errorf("POST of a bomb of %d bytes = %d %s, want %d", len(tt.body), resp.StatusCode, out, want)
			}
			if grown := int64(after.TotalAlloc - before.TotalAlloc); want == 413 && grown > 32<<20+int64(len(tt.body)*4) {
				t.Errorf("refusing it took %d bytes of memory, want 32 MiB at most", grown)
			}
		})
	}
}

// TestBodyMemory: all bodies together stay within their memory, and a request
// that finds none left is told to come again.
func TestBodyMemory(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	f := &fakeStore{onIngest: func(context.Context, IngestRequest) error {
		select {
		case entered <- struct{}{}:
			<-hold
		default:
		}
		return nil
	}}
	s := start(t, Config{MaxBody: 1 << 20, MaxDecoded: 1 << 20, MaxBodyMemory: 3 << 20, MaxRecords: 10}, f.deps())
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := http.Post(s.URL()+"/v1/ingest?group=g", "text/plain", bytes.NewReader(bytes.Repeat([]byte("x"), 1<<20)))
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("POST of the first body = %v, %v, want 200", resp, err)
			return
		}
		resp.Body.Close()
	})
	<-entered
	resp, out := ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(bytes.Repeat([]byte("x"), 1<<20)))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("POST without memory = %d %s, want 429 with Retry-After", resp.StatusCode, out)
	}
	close(hold)
	wg.Wait()
	resp, out = ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader("x"))
	if resp.StatusCode != 200 {
		t.Errorf("POST when there is memory again = %d %s, want 200", resp.StatusCode, out)
	}
}

// TestIngestsAtOnce: more batches than the limit wait, and after that are told
// to come again.
func TestIngestsAtOnce(t *testing.T) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	f := &fakeStore{onIngest: func(context.Context, IngestRequest) error {
		entered <- struct{}{}
		<-release
		return nil
	}}
	deps := f.deps()
	var framed atomic.Int64
	deps.Frame = func(body []byte, kind trailward.Kind, maxRecords, maxLine int) ([]trailward.Framed, error) {
		framed.Add(1)
		return FrameLines(body, kind, maxRecords, maxLine)
	}
	s := start(t, Config{MaxIngests: 1, IngestWait: 10 * time.Millisecond}, deps)
	done := make(chan int)
	go func() {
		resp, err := http.Post(s.URL()+"/v1/ingest?group=g", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Error(err)
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	<-entered
	resp, out := ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader("x"))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("POST while full = %d %s, want 429 with Retry-After", resp.StatusCode, out)
	}
	if n := framed.Load(); n != 1 {
		t.Errorf("%d bodies were taken apart, want the one whose turn it is", n)
	}
	errorOf(t, resp, out)
	close(release)
	if got := <-done; got != 200 {
		t.Errorf("the first POST = %d, want 200", got)
	}
	_, metrics := ask(t, s, "GET", "/metrics", nil)
	if want := `trailward_ingest_requests_rejected_total{reason="overloaded",route="POST /v1/ingest"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("metrics do not hold %s", want)
	}
	if want := `trailward_http_requests_total{code="429",route="POST /v1/ingest"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("metrics do not hold %s", want)
	}
}

func TestIngestErrors(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		retry  bool
		want   string
	}{
		{"conflict", fmt.Errorf("store: %w", ErrBatchConflict), 409, false, "batch id"},
		{"overloaded", fmt.Errorf("wal: %w", ErrOverloaded), 429, true, ""},
		{"unavailable", fmt.Errorf("write /secret/wal: no space: %w", ErrUnavailable), 503, true, ""},
		{"not found", ErrNotFound, 404, false, ""},
		{"for the user", fmt.Errorf("x: %w", &UserError{Message: "records are odd", Hint: "make them even"}), 400, false, "make them even"},
		{"anything else", errors.New("open /secret/path: permission denied"), 500, false, "internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{}, (&fakeStore{ingestErr: tt.err}).deps())
			resp, out := ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader("x"))
			if resp.StatusCode != tt.status || !strings.Contains(out, tt.want) || strings.Contains(out, "secret") {
				t.Errorf("POST = %d %s, want %d with %q and nothing internal", resp.StatusCode, out, tt.status, tt.want)
			}
			if got := resp.Header.Get("Retry-After") != ""; got != tt.retry {
				t.Errorf("Retry-After given = %v, want %v", got, tt.retry)
			}
			errorOf(t, resp, out)
		})
	}
}

func TestBatch(t *testing.T) {
	f := &fakeStore{}
	s := start(t, Config{}, f.deps())
	send := func(body string) *http.Response {
		t.Helper()
		resp, _ := ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader(body), header(batchHeader, "check-1"))
		return resp
	}
	if got := send("x"); got.StatusCode != 200 {
		t.Errorf("the batch = %d, want 200", got.StatusCode)
	}
	// Compressed it is the same batch.
	resp, out := ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(gz(t, []byte("x"))), header(batchHeader, "check-1"), header("Content-Encoding", "gzip"))
	if resp.StatusCode != 200 || !strings.Contains(out, `"duplicates":1`) {
		t.Errorf("the batch again = %d %s, want 200 and a duplicate", resp.StatusCode, out)
	}
	if got := send("y"); got.StatusCode != 409 {
		t.Errorf("another body under the same id = %d, want 409", got.StatusCode)
	}
}

// TestSlowBody: a body that does not come is given up, and holds no slot
// meanwhile.
func TestSlowBody(t *testing.T) {
	f := &fakeStore{}
	s := start(t, Config{ReadTimeout: 200 * time.Millisecond, MaxIngests: 1}, f.deps())
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/ingest?group=g HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\nhalf", s.Addr())
	resp, out := ask(t, s, "POST", "/v1/ingest?group=g", strings.NewReader("x"))
	if resp.StatusCode != 200 {
		t.Errorf("POST beside a slow one = %d %s, want 200", resp.StatusCode, out)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408") {
		t.Errorf("answer to a slow body = %q, %v, want 408", answer, err)
	}
}

func TestSlowAndLargeHeaders(t *testing.T) {
	s := start(t, Config{HeaderTimeout: 100 * time.Millisecond, MaxHeader: 4 << 10}, (&fakeStore{}).deps())
	slow, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprintf(slow, "GET /healthz HTTP/1.1\r\nHost: ")
	if answer, err := io.ReadAll(slow); err != nil || strings.Contains(string(answer), "200 OK") {
		t.Errorf("answer to a slow header = %q, %v, want the connection closed", answer, err)
	}
	large, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	fmt.Fprintf(large, "GET /healthz HTTP/1.1\r\nHost: %s\r\nX: %s\r\n\r\n", s.Addr(), strings.Repeat("x", 64<<10))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(large, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("answer to a large header = %q, %v, want 431", answer, err)
	}
}

// TestConnections: no more connections than the limit are served at once.
func TestConnections(t *testing.T) {
	s := start(t, Config{MaxConnections: 1, IdleTimeout: 100 * time.Millisecond}, (&fakeStore{}).deps())
	first, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	fmt.Fprintf(first, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", s.Addr())
	buf := make([]byte, 12)
	if _, err := io.ReadFull(first, buf); err != nil {
		t.Fatal(err)
	}
	// The second is served when the first, idle, has been closed.
	resp, _ := ask(t, s, "GET", "/healthz", nil)
	if resp.StatusCode != 200 {
		t.Errorf("GET on the second connection = %d, want 200", resp.StatusCode)
	}
	if rest, err := io.ReadAll(first); err != nil || !strings.Contains(string(rest), "200 OK") && !strings.Contains(string(rest), "ok") {
		t.Errorf("the first connection = %q, %v, want its answer and the end", rest, err)
	}
}

func FuzzFrameLines(f *testing.F) {
	f.Add([]byte("a\n\r\n\nb"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		records, err := FrameLines(body, "", 1000, 1<<20)
		if err != nil {
			return
		}
		// The records and their line feeds are the body, but for empty lines.
		var got []string
		for _, r := range records {
			if len(r.Raw) == 0 || bytes.IndexByte(r.Raw, '\n') >= 0 {
				t.Fatalf("FrameLines(%q) gave the record %q", body, r.Raw)
			}
			got = append(got, string(r.Raw))
		}
		var want []string
		for _, l := range strings.Split(string(body), "\n") {
			if l != "" {
				want = append(want, l)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("FrameLines(%q) = %q, want %q", body, got, want)
		}
	})
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("a body was sent although its request was refused before")
	return 0, io.ErrUnexpectedEOF
}

// What the store would refuse is refused before its body is decoded, and who asks
// beforehand does not send it.
func TestRefusedUnread(t *testing.T) {
	for _, path := range []string{"/v1/ingest?group=g", "/v1/kubernetes/audit"} {
		for _, tt := range []struct {
			err    error
			status int
		}{{ErrOverloaded, 429}, {ErrUnavailable, 503}} {
			deps := (&fakeStore{onIngest: func(context.Context, IngestRequest) error {
				t.Error("the store was handed a batch")
				return nil
			}}).deps()
			deps.Accepting = func() error { return tt.err }
			deps.Frame = func([]byte, trailward.Kind, int, int) ([]trailward.Framed, error) {
				t.Error("a body was taken apart")
				return nil, nil
			}
			s := start(t, Config{}, deps)
			// Not valid gzip: whoever looks says 400.
			body := bytes.Repeat([]byte("x"), 4<<20)
			resp, out := ask(t, s, "POST", path, bytes.NewReader(body), header("Content-Encoding", "gzip"))
			if resp.StatusCode != tt.status || resp.Header.Get("Retry-After") == "" {
				t.Errorf("POST %s while %v = %d %s, want %d with Retry-After", path, tt.err, resp.StatusCode, out, tt.status)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, unread{t})
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = 1 << 20
			req.Header.Set("Expect", "100-continue")
			client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
			resp, err = client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			client.CloseIdleConnections()
			if resp.StatusCode != tt.status {
				t.Errorf("POST %s with Expect while %v = %d, want %d", path, tt.err, resp.StatusCode, tt.status)
			}
		}
	}
}

// A body that says it has more than there is room for is refused before it is read; one over the
// limit of a body is still told so.
func TestNoRoomForTheAnnounced(t *testing.T) {
	s := start(t, Config{MaxBody: 1 << 20, MaxDecoded: 1 << 20, MaxBodyMemory: 3 << 20, MaxRecords: 10}, (&fakeStore{}).deps())
	const held = 5 << 19
	if !s.memory.take(held) {
		t.Fatal("no memory in the beginning")
	}
	for _, tt := range []struct{ size, status int }{{100, 200}, {1<<18 + 1, 429}, {1<<20 + 1, 413}} {
		resp, out := ask(t, s, "POST", "/v1/ingest?group=g", bytes.NewReader(bytes.Repeat([]byte("x"), tt.size)))
		if resp.StatusCode != tt.status {
			t.Errorf("POST of %d bytes with 512 KiB free = %d %s, want %d", tt.size, resp.StatusCode, out, tt.status)
		}
	}
	s.memory.give(held)
	if n := s.memory.inUse(); n != 0 {
		t.Errorf("%d bytes are held in the end", n)
	}
}

// A body whose length is known is read into as much memory as it needs.
func TestFill(t *testing.T) {
	for _, n := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, 4 * firstRead, 1 << 20, 1<<20 + 1, 5<<20 + 3} {
		data := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		for _, expect := range []int64{-1, 0, int64(n), int64(n) + 1000, int64(n) / 2, 1 << 40} {
			b := &body{budget: &budget{limit: 64 << 20}}
			if err := b.fill(bytes.NewReader(data), 16<<20, expect); err != nil || !bytes.Equal(b.data, data) {
				t.Fatalf("fill of %d bytes of %d: %v, %d bytes", n, expect, err, len(b.data))
			}
			if b.held != int64(cap(b.data)) || b.budget.inUse() != b.held {
				t.Errorf("fill of %d bytes of %d: %d held, %d in use, capacity %d", n, expect, b.held, b.budget.inUse(), cap(b.data))
			}
			if n > firstRead && expect == int64(n) && cap(b.data) != n+1 {
				t.Errorf("fill of %d bytes that were announced holds %d", n, cap(b.data))
			}
			b.release()
		}
		if err := (&body{budget: &budget{limit: 64 << 20}}).fill(bytes.NewReader(data), int64(n)-1, int64(n)); n > 0 && !errors.Is(err, errBodyTooLarge) {
			t.Errorf("fill of %d bytes where %d may be: %v", n, n-1, err)
		}
	}
}

// A client that sends all of a body that is too large before it looks for an answer gets the 413,
// with and without a length in its header; one that waits for 100 Continue gets it without any; and of what
// is far too large nothing is read.
func TestTooLargeIsTold(t *testing.T) {
	const limit = 1 << 20
	s := start(t, Config{MaxBody: limit, MaxDecoded: limit, MaxBodyMemory: 3 * limit}, (&fakeStore{}).deps())
	for _, tt := range []struct {
		name    string
		size    int // of the body
		chunked bool
		header  string
		sent    int // bytes that the client sends before it reads
	}{
		{"somewhat", limit + 1, false, "", limit + 1},
		{"the most that is thrown away", maxWaste * limit, false, "", maxWaste * limit},
		{"somewhat, of no length", limit + limit/8, true, "", limit + limit/8},
		{"several times, of no length", (maxWaste - 1) * limit, true, "", (maxWaste - 1) * limit},
		{"somewhat, waiting", limit + 1, false, "Expect: 100-continue\r\n", 0},
		{"far too large", maxWaste*limit + 1, false, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			length := fmt.Sprintf("Content-Length: %d\r\n", tt.size)
			body := bytes.Repeat([]byte("x"), tt.sent)
			if tt.chunked {
				length = "Transfer-Encoding: chunked\r\n"
				body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", tt.size, body)
			}
			if _, err := fmt.Fprintf(conn, "POST /v1/ingest?group=g HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", s.Addr(), length, tt.header); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Write(body); err != nil {
				t.Fatalf("after %d of %d bytes: %v", n, len(body), err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("read the answer: %v", err)
			}
			defer resp.Body.Close()
			if out, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusRequestEntityTooLarge || err != nil {
				t.Errorf("%d %s, %v, want 413", resp.StatusCode, out, err)
			}
		})
	}
	if n := s.memory.inUse(); n != 0 {
		t.Errorf("%d bytes are held in the end", n)
	}
}
