package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet/file"

	"trailward/auth"
	"trailward/query"
)

// asyncPage is the JSON of GET /v1/queries/{id}.
type asyncPage struct {
	queryState
	Columns []struct{ Name, Type string } `json:"columns"`
	From    int                           `json:"from"`
	Next    *int                          `json:"next"`
	Rows    []json.RawMessage             `json:"rows"`
}

// startAsync posts a question and gives its state.
func startAsync(t *testing.T, s *Server, body string, opts ...func(*http.Request)) queryState {
	t.Helper()
	resp, out := ask(t, s, "POST", "/v1/queries", strings.NewReader(body), opts...)
	var st queryState
	if err := json.Unmarshal([]byte(out), &st); resp.StatusCode != 200 || err != nil || st.ID == "" {
		t.Fatalf("POST /v1/queries = %d %s, want a state", resp.StatusCode, out)
	}
	if got := resp.Header.Get("Location"); got != "/v1/queries/"+st.ID {
		t.Errorf("Location = %s, want the question's", got)
	}
	return st
}

func page(t *testing.T, s *Server, path string, opts ...func(*http.Request)) asyncPage {
	t.Helper()
	resp, out := ask(t, s, "GET", path, nil, opts...)
	var p asyncPage
	if err := json.Unmarshal([]byte(out), &p); resp.StatusCode != 200 || err != nil {
		t.Fatalf("GET %s = %d %s, %v, want a page", path, resp.StatusCode, out, err)
	}
	return p
}

// ended waits until the question has ended.
func ended(t *testing.T, s *Server, id string) {
	t.Helper()
	s.async.mu.Lock()
	q := s.async.byID[id]
	s.async.mu.Unlock()
	if q != nil {
		<-q.done
	}
}

func TestAsync(t *testing.T) {
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { return numberRows(2500, nil), nil }}
	s := start(t, Config{}, f.deps())
	for _, lang := range []string{"insights", "sql"} {
		st := startAsync(t, s, `{"language":"`+lang+`","query":"x","groups":["g"],"start":"-1h"}`)
		ended(t, s, st.ID)
		var rows []string
		path := "/v1/queries/" + st.ID
		pages := 0
		for from := 0; ; pages++ {
			p := page(t, s, fmt.Sprintf("%s?from=%d", path, from))
			if p.Status != asyncComplete || p.Language != lang || p.RowCount() != 2500 || p.From != from || p.Stats == nil || p.Stats.RecordsMatched != 2500 || p.Expires.IsZero() || len(p.Columns) != 3 || p.Columns[0].Type != "int" {
				t.Errorf("GET %s = %+v, want a complete state", path, p.queryState)
			}
			for _, r := range p.Rows {
				rows = append(rows, string(r))
			}
			if p.Next == nil {
				break
			}
			from = *p.Next
		}
		want := `{"n":"2499","text":"ünïcode\n"}`
		if lang == "sql" {
			want = `{"n":2499,"text":"ünïcode\n","none":null}`
		}
		if pages != 2 || len(rows) != 2500 || rows[2499] != want {
			t.Errorf("%d rows on %d pages, the last %s, want 2500 on 3 that end with %s", len(rows), pages+1, rows[len(rows)-1], want)
		}
		if p := page(t, s, path+"?from=10&limit=5"); len(p.Rows) != 5 || p.Next == nil || *p.Next != 15 {
			t.Errorf("a page of 5 = %+v", p)
		}
		if p := page(t, s, path+"?from=9999"); len(p.Rows) != 0 || p.Next != nil {
			t.Errorf("a page behind the end = %+v, want no rows", p)
		}
		if f.queries[0].Text != "x" || f.queries[0].Start.IsZero() || f.queries[0].Groups[0] != "g" {
			t.Errorf("the engine was asked %+v", f.queries[0])
		}
		// The same rows in the other formats, whole.
		resp, out := ask(t, s, "GET", path+"?format=csv", nil)
		if resp.StatusCode != 200 || strings.Count(out, "\r\n") != 2501 || resp.Trailer.Get(trailerStats) == "" {
			t.Errorf("GET as CSV = %d with %d lines, want 2501", resp.StatusCode, strings.Count(out, "\r\n"))
		}
		if _, out = ask(t, s, "GET", path, nil, header("Accept", FormatParquet)); parquetRows(t, out) != 2500 {
			t.Error("GET as Parquet does not have 2500 rows")
		}
		if _, out = ask(t, s, "GET", path+"?format=arrow&from=2490", nil); arrowRows(t, out) != 10 {
			t.Error("GET as Arrow from 2490 on does not have 10 rows")
		}
		resp, out = ask(t, s, "DELETE", path, nil)
		if resp.StatusCode != 200 || !strings.Contains(out, asyncComplete) {
			t.Errorf("DELETE = %d %s, want complete", resp.StatusCode, out)
		}
		if resp, _ = ask(t, s, "GET", path, nil); resp.StatusCode != 404 {
			t.Errorf("GET after DELETE = %d, want 404", resp.StatusCode)
		}
	}
	if n := s.async.memory.inUse(); n != 0 {
		t.Errorf("%d bytes are held when all is deleted, want 0", n)
	}
}

// RowCount tells the embedded counter from the list of rows.
func (p asyncPage) RowCount() int { return p.queryState.Rows }

func arrowRows(t *testing.T, body string) int64 {
	t.Helper()
	r, err := ipc.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	n := int64(0)
	for r.Next() {
		n += r.RecordBatch().NumRows()
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func parquetRows(t *testing.T, body string) int64 {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.NumRows()
}

// TestAsyncWhileRunning: rows are there before the last is made, and a cancel
// ends the question at once.
func TestAsyncWhileRunning(t *testing.T) {
	ctxs := make(chan context.Context, 1)
	rows := numberRows(0, nil)
	f := &fakeStore{onQuery: func(ctx context.Context, _ query.Request) (query.Rows, error) {
		ctxs <- ctx
		rows.next = func(i int) ([]any, error) {
			if i < 3 {
				return []any{int64(i), "x", nil}, nil
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return rows, nil
	}}
	s := start(t, Config{}, f.deps())
	st := startAsync(t, s, `{"query":"x"}`)
	ctx := <-ctxs
	var p asyncPage
	for p = page(t, s, "/v1/queries/"+st.ID); len(p.Rows) < 3; {
		p = page(t, s, "/v1/queries/"+st.ID)
	}
	if p.Status != asyncRunning || p.Next == nil || *p.Next != 3 || p.Stats == nil {
		t.Errorf("GET while it runs = %+v, want running, 3 rows and more to come", p)
	}
	if resp, out := ask(t, s, "GET", "/v1/queries/"+st.ID+"?format=csv", nil); resp.StatusCode != 409 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("GET as CSV while it runs = %d %s, want 409", resp.StatusCode, out)
	}
	resp, out := ask(t, s, "DELETE", "/v1/queries/"+st.ID, nil)
	if resp.StatusCode != 200 || !strings.Contains(out, asyncCancelled) {
		t.Errorf("DELETE = %d %s, want cancelled", resp.StatusCode, out)
	}
	if ctx.Err() == nil {
		t.Error("the question's context lives on after DELETE")
	}
	<-rows.closed
	if running, _ := s.queries.load(); running != 0 || s.async.memory.inUse() != 0 {
		t.Errorf("%d run and %d bytes are held after DELETE, want nothing", running, s.async.memory.inUse())
	}
}

func TestAsyncFails(t *testing.T) {
	tests := []struct {
		name   string
		cfg    Config
		rows   func() (query.Rows, error)
		status int    // of POST
		want   string // in the error
	}{
		{"a fault in the text", Config{}, func() (query.Rows, error) { return nil, &query.Error{Line: 1, Col: 3, Msg: "bad text"} }, 400, `"column":3`},
		{"a fault before the first row", Config{}, func() (query.Rows, error) { return numberRows(0, &query.Error{Line: 1, Col: 3, Msg: "bad text"}), nil }, 400, `"column":3`},
		{"internal", Config{}, func() (query.Rows, error) { return nil, errors.New("secret") }, 200, "internal error"},
		{"internal after rows", Config{}, func() (query.Rows, error) { return numberRows(5, errors.New("secret")), nil }, 200, "internal error"},
		{"panic", Config{}, func() (query.Rows, error) { panic("secret") }, 200, "internal error"},
		{"too many rows", Config{MaxAsyncRows: 10}, func() (query.Rows, error) { return numberRows(11, nil), nil }, 200, "more than 10 rows"},
		{"too many bytes", Config{MaxAsyncResult: 1024}, func() (query.Rows, error) { return numberRows(1000, nil), nil }, 200, "more than 1024 bytes"},
		{"no memory", Config{MaxAsyncMemory: 1024}, func() (query.Rows, error) { return numberRows(1000, nil), nil }, 200, "take all the memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { return tt.rows() }}
			s := start(t, tt.cfg, f.deps())
			resp, out := ask(t, s, "POST", "/v1/queries", strings.NewReader(`{"query":"x"}`))
			var st queryState
			if resp.StatusCode == 200 {
				if err := json.Unmarshal([]byte(out), &st); err != nil {
					t.Fatal(err)
				}
				ended(t, s, st.ID)
				p := page(t, s, "/v1/queries/"+st.ID)
				if p.Status != asyncFailed || len(p.Rows) != 0 || p.Next != nil || p.Error == nil {
					t.Errorf("GET = %+v, want failed and no rows", p)
				}
				out = string(marshal(p.Error))
				if resp, _ := ask(t, s, "GET", "/v1/queries/"+st.ID+"?format=csv", nil); resp.StatusCode < 400 {
					t.Errorf("GET as CSV of a failed question = %d, want its error", resp.StatusCode)
				}
			}
			if resp.StatusCode != tt.status || !strings.Contains(out, tt.want) || strings.Contains(out, "secret") {
				t.Errorf("POST = %d, and the error %s, want %d and %q", resp.StatusCode, out, tt.status, tt.want)
			}
			if n := s.async.memory.inUse(); n != 0 {
				t.Errorf("%d bytes are held for a failed question, want 0", n)
			}
		})
	}
}

// TestAsyncRefused: what is wrong with a request is told at once.
func TestAsyncRefused(t *testing.T) {
	s := start(t, Config{}, (&fakeStore{}).deps())
	for _, body := range []string{`{"query":"x","language":"cobol"}`, `{"query":"x","tables":{"t":"json"}}`, `{"query":""}`, `[]`} {
		if resp, out := ask(t, s, "POST", "/v1/queries", strings.NewReader(body)); resp.StatusCode != 400 {
			t.Errorf("POST %s = %d %s, want 400", body, resp.StatusCode, out)
		}
	}
	for _, q := range []string{"from=-1", "from=x", "limit=10001", "format=xml"} {
		st := startAsync(t, s, `{"query":"x"}`)
		if resp, out := ask(t, s, "GET", "/v1/queries/"+st.ID+"?"+q, nil); resp.StatusCode != 400 {
			t.Errorf("GET with %s = %d %s, want 400", q, resp.StatusCode, out)
		}
	}
}

// TestAsyncOwner: only who asked sees the answer, or ends it.
func TestAsyncOwner(t *testing.T) {
	f := &fakeStore{}
	a, secrets := tokens(t, "*")
	d := f.deps()
	d.Auth = a
	s := start(t, Config{}, d)
	st := startAsync(t, s, `{"query":"x"}`, bearer(secrets[auth.Reader]))
	for _, method := range []string{"GET", "DELETE"} {
		if resp, out := ask(t, s, method, "/v1/queries/"+st.ID, nil, bearer(secrets[auth.Admin])); resp.StatusCode != 404 {
			t.Errorf("%s by another = %d %s, want 404", method, resp.StatusCode, out)
		}
	}
	if p := page(t, s, "/v1/queries/"+st.ID, bearer(secrets[auth.Reader])); p.ID != st.ID {
		t.Errorf("GET by the owner = %+v, want the question", p)
	}
}

// TestAsyncAtOnce: a principal has only so many, and gets room by deleting.
func TestAsyncAtOnce(t *testing.T) {
	f := &fakeStore{}
	a, secrets := tokens(t, "*")
	d := f.deps()
	d.Auth = a
	s := start(t, Config{MaxPrincipalAsync: 2, MaxAsync: 3}, d)
	reader, admin := bearer(secrets[auth.Reader]), bearer(secrets[auth.Admin])
	post := func(who func(*http.Request)) int {
		resp, _ := ask(t, s, "POST", "/v1/queries", strings.NewReader(`{"query":"x"}`), who)
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return resp.StatusCode
	}
	first := startAsync(t, s, `{"query":"x"}`, reader)
	for i, want := range []int{200, 429} {
		if got := post(reader); got != want {
			t.Errorf("question %d of the reader = %d, want %d", i+2, got, want)
		}
	}
	for i, want := range []int{200, 429} {
		if got := post(admin); got != want {
			t.Errorf("question %d of the admin = %d, want %d", i+1, got, want)
		}
	}
	ask(t, s, "DELETE", "/v1/queries/"+first.ID, nil, reader)
	if got := post(reader); got != 200 {
		t.Errorf("question after a DELETE = %d, want 200", got)
	}
}

// TestAsyncIsForgotten: an answer is kept for its time, and its memory given
// back.
func TestAsyncIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsyncQueries(Config{AsyncKeep: time.Minute}.withDefaults())
		q, err := a.begin("me", query.Insights, time.Now(), time.Hour, func(_ context.Context, q *asyncQuery) *failure {
			return a.add(q, []any{"text"})
		})
		if err != nil {
			t.Fatal(err)
		}
		<-q.done
		time.Sleep(59 * time.Second) // of the bubble's time
		if a.find("me", q.id) == nil || a.memory.inUse() == 0 {
			t.Error("the answer is gone before its time")
		}
		time.Sleep(2 * time.Second)
		if a.find("me", q.id) != nil || a.memory.inUse() != 0 || len(a.counts) != 0 {
			t.Errorf("the answer is there after its time, with %d bytes", a.memory.inUse())
		}
		// One that runs too long ends, and close ends those that run.
		q, err = a.begin("me", query.Insights, time.Now(), time.Second, func(ctx context.Context, _ *asyncQuery) *failure {
			<-ctx.Done()
			return unavailable(ctx.Err().Error())
		})
		if err != nil {
			t.Fatal(err)
		}
		<-q.done
		if q.status != asyncFailed {
			t.Errorf("status after the time limit = %s, want %s", q.status, asyncFailed)
		}
		if _, err = a.begin("me", query.Insights, time.Now(), time.Hour, func(ctx context.Context, _ *asyncQuery) *failure {
			<-ctx.Done()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		a.close()
		if _, err := a.begin("me", query.Insights, time.Now(), time.Hour, nil); err != errAsyncClosed {
			t.Errorf("begin() after close() = %v, want %v", err, errAsyncClosed)
		}
		if len(a.byID) != 0 {
			t.Errorf("%d questions are left after close()", len(a.byID))
		}
	})
}

// TestFormats: the synchronous answer in its columnar formats.
func TestFormats(t *testing.T) {
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { return numberRows(20_000, nil), nil }}
	s := start(t, Config{}, f.deps())
	post := func(path string, opts ...func(*http.Request)) (*http.Response, string) {
		return ask(t, s, "POST", path, strings.NewReader(`{"query":"x"}`), opts...)
	}
	resp, out := post("/v1/sql?format=arrow")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != FormatArrow || arrowRows(t, out) != 20_000 || resp.Trailer.Get(trailerStats) == "" {
		t.Errorf("POST as Arrow = %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	resp, out = post("/v1/query", header("Accept", FormatParquet))
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != FormatParquet || parquetRows(t, out) != 20_000 || resp.Trailer.Get(trailerStats) == "" {
		t.Errorf("POST as Parquet = %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if resp, out = post("/v1/query?format=csv", header("Accept", FormatParquet)); !strings.HasPrefix(out, "n,text,none\r\n") {
		t.Errorf("POST with ?format=csv = %d %.40q, want CSV whatever is accepted", resp.StatusCode, out)
	}
	if resp, _ = post("/v1/query?format=xml"); resp.StatusCode != 400 {
		t.Errorf("POST with ?format=xml = %d, want 400", resp.StatusCode)
	}
	// An answer that ends in an error must not look whole.
	f.onQuery = func(context.Context, query.Request) (query.Rows, error) {
		return numberRows(10, errors.New("late")), nil
	}
	resp, out = post("/v1/query?format=parquet")
	if _, err := file.NewParquetReader(bytes.NewReader([]byte(out))); err == nil || resp.Trailer.Get(trailerError) == "" {
		t.Errorf("a Parquet answer that failed = %v, want no file and the trailer %s", err, trailerError)
	}
	resp, out = post("/v1/query?format=arrow")
	if strings.HasSuffix(out, "\xff\xff\xff\xff\x00\x00\x00\x00") || resp.Trailer.Get(trailerError) == "" {
		t.Error("an Arrow answer that failed has its end mark")
	}
}

// TestReadTimeoutIsForReading: a question may run for longer than its request
// may take to arrive.
func TestReadTimeoutIsForReading(t *testing.T) {
	wait := time.NewTimer(300 * time.Millisecond)
	f := &fakeStore{onQuery: func(ctx context.Context, _ query.Request) (query.Rows, error) {
		select {
		case <-wait.C:
			return numberRows(1, nil), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	s := start(t, Config{ReadTimeout: 50 * time.Millisecond}, f.deps())
	if resp, out := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`)); resp.StatusCode != 200 {
		t.Errorf("POST = %d %s, want 200", resp.StatusCode, out)
	}
}

// TestFairQueries: one principal's many questions do not keep another's out.
func TestFairQueries(t *testing.T) {
	entered, release := make(chan struct{}, 100), make(chan struct{})
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) {
		entered <- struct{}{}
		<-release
		return numberRows(1, nil), nil
	}}
	a, secrets := tokens(t, "*")
	d := f.deps()
	d.Auth = a
	s := start(t, Config{MaxQueries: 3, MaxPrincipalQueries: 2, QueryWait: time.Minute}, d)
	done := make(chan int, 100)
	post := func(who string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/v1/query", strings.NewReader(`{"query":"x"}`))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+who)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		done <- resp.StatusCode
	}
	for range 10 {
		go post(secrets[auth.Reader])
	}
	<-entered
	<-entered // no more of the reader's
	go post(secrets[auth.Admin])
	<-entered
	close(release)
	for range 11 {
		if got := <-done; got != 200 {
			t.Errorf("a question = %d, want 200", got)
		}
	}
}
