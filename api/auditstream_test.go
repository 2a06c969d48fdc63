package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"trailward"
)

// listOf gives an EventList of about size bytes without ever holding it.
func listOf(size int) (body io.Reader, events int) {
	const one = `{"auditID":"%08d","stage":"ResponseComplete","pad":"%s"}`
	pad := strings.Repeat("x", 1000)
	events = size / (len(one) + len(pad))
	r, w := io.Pipe()
	go func() {
		var b bytes.Buffer
		b.WriteString(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[`)
		for i := range events {
			fmt.Fprintf(&b, "%s"+one, ","[:min(i, 1)], i, pad)
			if b.Len() > 64<<10 {
				if _, err := b.WriteTo(w); err != nil {
					return
				}
			}
		}
		b.WriteString("]}")
		b.WriteTo(w)
		w.Close()
	}()
	return r, events
}

// TestAuditStream: a list far over the limits of a batch is taken in pieces, in
// bounded memory, whichever way it is packed.
func TestAuditStream(t *testing.T) {
	const size = 64 << 20
	cfg := Config{ReadTimeout: time.Hour, MaxBody: 1 << 20, MaxDecoded: 1 << 20, MaxLine: 1 << 20, MaxBodyMemory: 12 << 20}
	for _, packed := range []bool{false, true} {
		t.Run(fmt.Sprintf("gzip %v", packed), func(t *testing.T) {
			var batches, records, most int
			d := (&fakeStore{}).deps()
			d.Ingest = func(_ context.Context, r IngestRequest) (IngestResult, error) {
				n := 0
				for _, rec := range r.Records {
					n += len(rec.Raw)
					if want := fmt.Sprintf(`{"auditID":"%08d",`, records); !bytes.HasPrefix(rec.Raw, []byte(want)) || rec.Damaged != "" {
						return IngestResult{}, fmt.Errorf("record %d = %.60s", records, rec.Raw)
					}
					records++
				}
				batches++
				most = max(most, n)
				return IngestResult{Records: int64(len(r.Records)), Kinds: map[trailward.Kind]int64{r.Kind: int64(len(r.Records))}}, nil
			}
			s := start(t, cfg, d)
			body, events := listOf(size)
			var opts []func(*http.Request)
			if packed {
				r, w := io.Pipe()
				plain := body
				go func() {
					z, _ := gzip.NewWriterLevel(w, gzip.HuffmanOnly) // below the ratio that is a bomb's
					io.Copy(z, plain)
					z.Close()
					w.Close()
				}()
				body, opts = r, append(opts, header("Content-Encoding", "gzip"))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, out := ask(t, s, "POST", "/v1/kubernetes/audit/g", body, opts...)
			runtime.ReadMemStats(&after)
			var res IngestResult
			if err := json.Unmarshal([]byte(out), &res); err != nil || resp.StatusCode != 200 || res.Records != int64(events) || res.Kinds[trailward.KindK8sAudit] != int64(events) || records != events {
				t.Fatalf("POST = %d %s, %v with %d records stored, want all %d", resp.StatusCode, out, err, records, events)
			}
			if most > auditPiece {
				t.Errorf("a piece had %d bytes, want at most %d", most, auditPiece)
			}
			if n := s.memory.inUse(); n != 0 {
				t.Errorf("%d bytes are still reserved, want 0", n)
			}
			// The client's part and the test's are in it, too. BenchmarkEventList says what
			// the list itself needs.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > size {
				t.Errorf("%d batches took %d bytes of memory in all, want less than the list has", batches, grown)
			}
		})
	}
}

// TestAuditLimits: over a limit the list is refused, but what came before it is stored
// and said to be.
func TestAuditLimits(t *testing.T) {
	list := func(item string, n int) []byte {
		return []byte(`{"kind":"EventList","items":[` + item + strings.Repeat(","+item, n-1) + "]}")
	}
	event := `{"auditID":"1","pad":"` + strings.Repeat("x", 1000) + `"}`
	bomb := list(`"`+strings.Repeat("x", 64<<20)+`"`, 1)
	spaces := []byte(`{"kind":"EventList","items":[` + strings.Repeat(" ", 64<<20))
	tests := []struct {
		name     string
		cfg      Config
		body     []byte
		encoding string
		status   int
		want     string
		stored   int64
	}{
		{"more records than a batch may have", Config{MaxRecords: 3}, list(`{"auditID":"1"}`, 10), "", 200, `"records":10`, 10},
		{"more bytes than the limit", Config{MaxAuditBody: 5 << 20}, list(event, 5<<20/len(event)+100), "", 413, "sent again", 4 << 20 / 1100},
		{"more bytes decompressed than the limit", Config{MaxAuditBody: 5 << 20, MaxRatio: 1 << 20}, gz(t, list(event, 10_000)), "gzip", 413, "5242880", 4 << 20 / 1100},
		{"the whole list at the limit", Config{MaxAuditBody: int64(len(list(event, 10)))}, list(event, 10), "", 200, `"records":10`, 10},
		{"announced over the limit", Config{MaxAuditBody: 32 << 10}, list(event, 50), "", 413, "32768", 0},
		{"gzip bomb of one event", Config{}, gz(t, bomb), "gzip", 413, "200 times", 0},
		{"zstd bomb of one event", Config{}, zst(t, bomb), "zstd", 413, "200 times", 0},
		{"gzip bomb of spaces", Config{}, gz(t, spaces), "gzip", 413, "200 times", 0},
		{"cut gzip", Config{MaxRatio: 1 << 20}, cut(gz(t, list(event, 10_000))), "gzip", 400, "gzip", 4 << 20 / 1100},
		{"no memory", Config{MaxBody: 1 << 10, MaxDecoded: 1 << 10, MaxBodyMemory: 1 << 20}, list(event, 2000), "", 429, "", 1},
	}
	// What is left unread of a body that is refused is small: of a longer one the
	// server cuts the connection, and a client that still writes may not see the answer.
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{}
			s := start(t, tt.cfg, f.deps())
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, out := ask(t, s, "POST", "/v1/kubernetes/audit/g", onlyReader{bytes.NewReader(tt.body)}, header("Content-Encoding", tt.encoding), func(r *http.Request) {
				if strings.HasPrefix(tt.name, "announced") {
					r.ContentLength = int64(len(tt.body))
				}
			})
			runtime.ReadMemStats(&after)
			if resp.StatusCode != tt.status || !strings.Contains(out, tt.want) {
				t.Errorf("POST = %d %s, want %d with %q", resp.StatusCode, out, tt.status, tt.want)
			}
			var n int64
			for _, b := range f.stored() {
				n += int64(len(b.Records))
			}
			if n < tt.stored || tt.stored == 0 && n != 0 {
				t.Errorf("%d records were stored, want about %d", n, tt.stored)
			}
			if n > 0 && tt.status != 200 && !strings.Contains(out, fmt.Sprintf("first %d records are stored", n)) {
				t.Errorf("answer = %s, want it to say that %d records are stored", out, n)
			}
			if held := s.memory.inUse(); held != 0 {
				t.Errorf("%d bytes are still reserved, want 0", held)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 96<<20 {
				t.Errorf("it took %d bytes of memory, want 96 MiB at most", grown)
			}
		})
	}
}

type onlyReader struct{ io.Reader }

// TestAuditBatchIDs: each piece of a list has an id, made of the list's own or of its bytes.
func TestAuditBatchIDs(t *testing.T) {
	f := &fakeStore{}
	s := start(t, Config{MaxRecords: 2}, f.deps())
	send := func(items, id string) string {
		t.Helper()
		resp, out := ask(t, s, "POST", "/v1/kubernetes/audit/g", strings.NewReader(`{"kind":"EventList","items":[`+items+`]}`), func(r *http.Request) {
			if id != "" {
				r.Header.Set(batchHeader, id)
			}
		})
		return fmt.Sprint(resp.StatusCode, " ", out)
	}
	keyed := `{"auditID":"1"},{"auditID":"2"},{"auditID":"3"}`
	if got := send(keyed, "id"); !strings.Contains(got, `"records":3`) {
		t.Errorf("a list with an id = %s, want 3 records", got)
	}
	if got := send(keyed, "id"); !strings.Contains(got, `"duplicates":3`) {
		t.Errorf("the list again = %s, want 3 duplicates", got)
	}
	if got := send(`{"auditID":"1"},{"auditID":"2"},{"auditID":"4"}`, "id"); !strings.HasPrefix(got, "409") {
		t.Errorf("another list under the same id = %s, want 409", got)
	}
	if got := send(`{"auditID":"9"}`, "id 2"); !strings.HasPrefix(got, "400") {
		t.Errorf("the id of a piece = %s, want 400", got)
	}
	odd := `{"auditID":"1"},{"auditID":"2"},"odd"`
	if got := send(odd, ""); !strings.Contains(got, `"records":3`) {
		t.Errorf("a list with an odd item = %s, want 3 records", got)
	}
	if got := send(odd, ""); !strings.Contains(got, `"duplicates":3`) {
		t.Errorf("the list again = %s, want it known", got)
	}
	var ids []string
	for _, b := range f.stored() {
		if b.BatchIDMade != strings.HasPrefix(b.BatchID, "body ") {
			t.Errorf("batch %s: made = %v, want it for those of the body only", b.BatchID, b.BatchIDMade)
		}
		ids = append(ids, strings.Fields(b.BatchID)[0])
	}
	if got, want := strings.Join(ids, " "), "id id body body"; got != want {
		t.Errorf("batch ids of what was stored = %s, want %s", got, want)
	}
}

// TestAuditBrokenOff: of a list that breaks off on its way the whole pieces are kept, and the
// answer asks for it again.
func TestAuditBrokenOff(t *testing.T) {
	f := &fakeStore{}
	s := start(t, Config{MaxRecords: 2}, f.deps())
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const sent = `{"kind":"EventList","items":[{"auditID":"1"},{"auditID":"2"},{"auditID":"3"},{"auditID":"4`
	fmt.Fprintf(conn, "POST /v1/kubernetes/audit/g HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n%s", s.Addr(), sent)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408") || !strings.Contains(string(answer), "first 2 records") {
		t.Errorf("answer to half a body = %q, %v, want 408 and that two records are stored", answer, err)
	}
	if got := f.stored(); len(got) != 1 || fmt.Sprint(raws(got[0].Records)) != `[{"auditID":"1"} {"auditID":"2"}]` {
		t.Errorf("stored = %v, want the whole piece", got)
	}
}

// TestAuditReadTimeout: what the store takes is not the client's time.
func TestAuditReadTimeout(t *testing.T) {
	const timeout = 300 * time.Millisecond
	var first sync.Once
	d := (&fakeStore{}).deps()
	d.Ingest = func(_ context.Context, r IngestRequest) (IngestResult, error) {
		first.Do(func() { <-time.After(2 * timeout) })
		return IngestResult{Records: int64(len(r.Records))}, nil
	}
	s := start(t, Config{ReadTimeout: timeout, MaxRecords: 2}, d)
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, `{"kind":"EventList","items":[{"auditID":"1"},{"auditID":"2"},{"auditID":"3"},`)
		io.WriteString(w, `{"auditID":"4"}]}`)
		w.Close()
	}()
	resp, out := ask(t, s, "POST", "/v1/kubernetes/audit/g", r)
	if resp.StatusCode != 200 || !strings.Contains(out, `"records":4`) {
		t.Errorf("POST to a slow store = %d %s, want 200 and 4 records", resp.StatusCode, out)
	}
}

// TestGoneIsNoYes: who has closed his side of the connection while his batch waits is not
// told that it is stored.
func TestGoneIsNoYes(t *testing.T) {
	d := (&fakeStore{}).deps()
	d.Ingest = func(ctx context.Context, _ IngestRequest) (IngestResult, error) {
		<-ctx.Done()
		return IngestResult{}, ctx.Err()
	}
	s := start(t, Config{}, d)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/ingest?group=g HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\nx", s.Addr())
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); len(answer) != 0 {
		t.Errorf("answer = %q, want none", answer)
	}
}
