package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"trailward/api/framed"
	"trailward/query"
	"trailward/query/duck"
	"trailward/query/plan"
)

func TestAnswer(t *testing.T) {
	f := &fakeStore{}
	d := f.deps()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	d.Now = func() time.Time { return now }
	s := start(t, Config{}, d)
	tests := []struct {
		name, path, accept string
		contentType        string
		want               string
	}{
		{"Insights", "/v1/query", "", FormatJSON, `{"n":"0","text":"ünïcode\n"}` + "\n" + `{"n":"1","text":"ünïcode\n"}` + "\n" + `{"n":"2","text":"ünïcode\n"}` + "\n"},
		{"SQL", "/v1/sql", "*/*", FormatJSON, `{"n":0,"text":"ünïcode\n","none":null}` + "\n" + `{"n":1,"text":"ünïcode\n","none":null}` + "\n" + `{"n":2,"text":"ünïcode\n","none":null}` + "\n"},
		{"CSV", "/v1/sql", "text/csv", "text/csv; charset=utf-8; header=present", "n,text,none\r\n0,\"ünïcode\n\",\r\n1,\"ünïcode\n\",\r\n2,\"ünïcode\n\",\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.queries = nil
			opts := []func(*http.Request){header("Content-Type", "application/json")}
			if tt.accept != "" {
				opts = append(opts, header("Accept", tt.accept))
			}
			resp, out := ask(t, s, "POST", tt.path, strings.NewReader(`{"query":"the text","groups":["g","/a/*"],"start":"-1h","end":"2026-11-22T12:00:00Z"}`), opts...)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != tt.contentType || out != tt.want {
				t.Errorf("POST = %d %s %q, want 200 %s %q", resp.StatusCode, resp.Header.Get("Content-Type"), out, tt.contentType, tt.want)
			}
			var stats query.Stats
			if err := json.Unmarshal([]byte(resp.Trailer.Get(trailerStats)), &stats); err != nil || stats.RecordsMatched != 3 || stats.SegmentsOpened != 2 {
				t.Errorf("%s = %q, %v, want the statistics", trailerStats, resp.Trailer.Get(trailerStats), err)
			}
			if got := resp.Trailer.Get(trailerError); got != "" {
				t.Errorf("%s = %q, want none", trailerError, got)
			}
			if got, want := resp.Header.Get(columnsHeader), `[{"name":"n","type":"int"},{"name":"text","type":"text"},{"name":"none","type":"null"}]`; got != want {
				t.Errorf("%s = %s, want %s", columnsHeader, got, want)
			}
			q := f.queries[0]
			lang := query.Insights
			if tt.path == "/v1/sql" {
				lang = query.SQL
			}
			if q.Language != lang || q.Text != "the text" || fmt.Sprint(q.Groups) != "[g /a/*]" || !q.Start.Equal(now.Add(-time.Hour)) || !q.End.Equal(now) || !q.Now.Equal(now) || q.Readable != nil {
				t.Errorf("the engine was asked %+v", q)
			}
		})
	}
}

func TestAnswerErrors(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		want   errorDetail
	}{
		{"a fault in the text", fmt.Errorf("compile: %w", &query.Error{Line: 2, Col: 7, Msg: "unknown command statz", Hint: "did you mean stats?"}), 400,
			errorDetail{Message: "unknown command statz", Line: 2, Column: 7, Hint: "did you mean stats?"}},
		{"a value", &duck.Error{Msg: "could not convert 'ä' to INT64"}, 400, errorDetail{Message: "could not convert 'ä' to INT64"}},
		{"memory", &duck.MemoryError{Limit: 256 << 20}, 400, errorDetail{Message: (&duck.MemoryError{Limit: 256 << 20}).Error()}},
		{"segments", &duck.TooManyFilesError{Files: 3, Max: 2}, 400, errorDetail{Message: (&duck.TooManyFilesError{Files: 3, Max: 2}).Error()}},
		{"columns", fmt.Errorf("open: %w", &query.ColumnsError{Had: 3 << 20, Limit: 4 << 20}), 400, errorDetail{Message: (&query.ColumnsError{Had: 3 << 20, Limit: 4 << 20}).Error()}},
		{"the engine's own time", &query.TimeoutError{Limit: time.Second}, 504, errorDetail{Message: (&query.TimeoutError{Limit: time.Second}).Error()}},
		{"no such group", ErrNotFound, 404, errorDetail{Message: "there is no such group or stream"}},
		{"not available", ErrUnavailable, 503, errorDetail{Message: "the store is not available now"}},
		{"the engine itself", &duck.Error{Msg: "secret detail", Internal: true}, 500, errorDetail{}},
		{"anything", errors.New("secret detail"), 500, errorDetail{}},
	}
	for _, tt := range tests {
		for _, when := range []string{"at once", "before the first row"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) {
					if when == "at once" {
						return nil, tt.err
					}
					return numberRows(0, tt.err), nil
				}}
				s := start(t, Config{}, f.deps())
				resp, out := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
				got := errorOf(t, resp, out)
				if resp.StatusCode != tt.status || strings.Contains(out, "secret") || tt.want.Message != "" && got != tt.want {
					t.Errorf("POST = %d %+v, want %d %+v", resp.StatusCode, got, tt.status, tt.want)
				}
			})
		}
		t.Run(tt.name+" after rows", func(t *testing.T) {
			rows := numberRows(2, tt.err)
			f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { return rows, nil }}
			s := start(t, Config{}, f.deps())
			resp, out := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
			if resp.StatusCode != 200 || strings.Count(out, "\n") != 2 {
				t.Errorf("POST = %d %q, want 200 and two rows", resp.StatusCode, out)
			}
			trailer := resp.Trailer.Get(trailerError)
			var e errorBody
			if err := json.Unmarshal([]byte(trailer), &e); err != nil || e.Error.Message == "" || tt.want.Message != "" && e.Error != tt.want || strings.Contains(trailer, "secret") {
				t.Errorf("%s = %q, %v, want %+v", trailerError, trailer, err, tt.want)
			}
			for i := 0; i < len(trailer); i++ {
				if trailer[i] < ' ' || trailer[i] > '~' {
					t.Fatalf("%s = %q, want ASCII on one line", trailerError, trailer)
				}
			}
			if got := resp.Trailer.Get(trailerStats); got != "" {
				t.Errorf("%s = %q, want none", trailerStats, got)
			}
			<-rows.closed
		})
	}
}

func TestQuestionRefused(t *testing.T) {
	s := start(t, Config{MaxQueryBody: 2048}, (&fakeStore{}).deps())
	tests := []struct {
		name, body string
		opts       []func(*http.Request)
		status     int
	}{
		{"no JSON", "hello", nil, 400},
		{"bad start", `{"query":"x","start":"yesterday"}`, nil, 400},
		{"end before start", `{"query":"x","start":"-1h","end":"-2h"}`, nil, 400},
		{"large", `{"query":"` + strings.Repeat("x", 2048) + `"}`, nil, 413},
		{"form as curl sends it", `{"query":"x"}`, []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, 200},
		{"text", `{"query":"x"}`, []func(*http.Request){header("Content-Type", "text/plain")}, 415},
		{"compressed", `{"query":"x"}`, []func(*http.Request){header("Content-Encoding", "gzip")}, 415},
		{"image wanted", `{"query":"x"}`, []func(*http.Request){header("Accept", "image/png")}, 406},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, out := ask(t, s, "POST", "/v1/query", strings.NewReader(tt.body), tt.opts...)
			if resp.StatusCode != tt.status {
				t.Errorf("POST = %d %s, want %d", resp.StatusCode, out, tt.status)
			}
			if tt.status != 200 {
				errorOf(t, resp, out)
			}
		})
	}
}

func TestQueryTimeout(t *testing.T) {
	f := &fakeStore{onQuery: func(ctx context.Context, _ query.Request) (query.Rows, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s := start(t, Config{QueryTimeout: 20 * time.Millisecond}, f.deps())
	resp, out := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
	if resp.StatusCode != 504 || !strings.Contains(out, "20ms") {
		t.Errorf("POST = %d %s, want 504 that names the limit", resp.StatusCode, out)
	}
	// The engine may answer a deadline with an error of its own.
	f.onQuery = func(ctx context.Context, _ query.Request) (query.Rows, error) {
		r := numberRows(1, nil)
		r.next = func(i int) ([]any, error) {
			if i == 0 {
				return []any{int64(0), "x", nil}, nil
			}
			<-ctx.Done()
			return nil, errors.New("INTERRUPT")
		}
		return r, nil
	}
	resp, out = ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
	if resp.StatusCode != 200 || !strings.Contains(resp.Trailer.Get(trailerError), "20ms") {
		t.Errorf("POST = %d %q with the trailer %q, want a row and the limit", resp.StatusCode, out, resp.Trailer.Get(trailerError))
	}
}

// TestClientGone: a client that goes away is a cancel.
func TestClientGone(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	f := &fakeStore{onQuery: func(ctx context.Context, _ query.Request) (query.Rows, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	s := start(t, Config{}, f.deps())
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/v1/query", strings.NewReader(`{"query":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-began
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("Do() = nil, want that it was cancelled")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the query's context ended with %v, want %v", err, context.Canceled)
	}
}

// TestQueriesAtOnce: more questions than the limit wait in line, and beyond the
// line are refused.
func TestQueriesAtOnce(t *testing.T) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) {
		entered <- struct{}{}
		<-release
		return numberRows(1, nil), nil
	}}
	s := start(t, Config{MaxQueries: 1, MaxQueriesQueued: 1, QueryWait: time.Minute}, f.deps())
	statuses := make(chan int, 3)
	post := func() {
		resp, err := http.Post(s.URL()+"/v1/query", "application/json", strings.NewReader(`{"query":"x"}`))
		if err != nil {
			t.Error(err)
			statuses <- 0
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		statuses <- resp.StatusCode
	}
	go post()
	<-entered // one runs
	go post()
	go post() // of these two, one waits and one is refused
	if got := <-statuses; got != 429 {
		t.Errorf("the third question = %d, want 429", got)
	}
	close(release)
	if a, b := <-statuses, <-statuses; a != 200 || b != 200 {
		t.Errorf("the other two = %d and %d, want 200", a, b)
	}
}

// TestStreams: rows go out while later ones are still being made.
func TestStreams(t *testing.T) {
	more := make(chan struct{})
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) {
		r := numberRows(0, nil)
		r.next = func(i int) ([]any, error) {
			switch {
			case i == 20_000: // far beyond every buffer
				<-more
			case i > 20_000:
				return nil, io.EOF
			}
			return []any{int64(i), strings.Repeat("x", 100), nil}, nil
		}
		return r, nil
	}}
	s := start(t, Config{}, f.deps())
	resp, err := http.Post(s.URL()+"/v1/query", "application/json", strings.NewReader(`{"query":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"n":"0"`) {
		t.Errorf("the first row = %q, %v, want it before the last is made", line, err)
	}
	close(more)
	rest, err := io.ReadAll(in)
	if err != nil || bytes.Count(rest, []byte("\n")) != 20_000 {
		t.Errorf("the rest = %d rows, %v, want 20000", bytes.Count(rest, []byte("\n")), err)
	}
}

// TestManyColumns: a list of columns that would be too long for a header is left out.
func TestManyColumns(t *testing.T) {
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) {
		r := numberRows(0, nil)
		for i := range 2000 {
			r.columns = append(r.columns, query.Column{Name: fmt.Sprint("column ", i), Type: plan.Text})
		}
		return r, nil
	}}
	s := start(t, Config{}, f.deps())
	resp, _ := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`))
	if resp.StatusCode != 200 || resp.Header.Get(columnsHeader) != "" || resp.Trailer.Get(trailerStats) == "" {
		t.Errorf("POST = %d with %d bytes of columns, want 200 and none", resp.StatusCode, len(resp.Header.Get(columnsHeader)))
	}
}

func TestNegotiate(t *testing.T) {
	tests := []struct{ accept, want string }{
		{"", FormatJSON},
		{"*/*", FormatJSON},
		{"application/json", FormatJSON},
		{"application/x-ndjson", FormatJSON},
		{"text/csv", FormatCSV},
		{"TEXT/CSV", FormatCSV},
		{"text/html, text/csv;q=0.5", FormatCSV},
		{"text/csv;q=0.5, application/json", FormatJSON},
		{"application/json;q=0.1, text/csv;q=0.2", FormatCSV},
		{"text/csv;q=0", ""},
		{"image/png", ""},
		{"text/csv;q=nonsense", ""},
	}
	for _, tt := range tests {
		if got := negotiate([]string{tt.accept}); got != tt.want {
			t.Errorf("negotiate(%q) = %q, want %q", tt.accept, got, tt.want)
		}
	}
}

func TestTrailerJSON(t *testing.T) {
	for _, text := range []string{"plain", "ünïcode", "\x00\r\n\t\x7f", "日本 𝄞", "\xff", "</script>"} {
		got := trailerJSON(text)
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("trailerJSON(%q) = %s, which reads as %q, %v", text, got, back, err)
		}
		for i := 0; i < len(got); i++ {
			if got[i] < ' ' || got[i] > '~' {
				t.Errorf("trailerJSON(%q) = %q, want visible ASCII", text, got)
			}
		}
	}
}

func TestCat(t *testing.T) {
	records := []string{"a\r", "two\nlines", "", "\x00\xff", strings.Repeat("long ", 50_000)}
	f := &fakeStore{cat: map[string][]string{"g": records, "none": nil}}
	s := start(t, Config{}, f.deps())
	read := func(body string) []string {
		t.Helper()
		var out []string
		r := framed.NewReader(strings.NewReader(body), 1<<20)
		for {
			rec, err := r.Next()
			if err == io.EOF {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(rec.Raw))
		}
	}
	resp, out := ask(t, s, "GET", "/v1/cat?group=g", nil)
	if got := read(out); resp.StatusCode != 200 || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", records) || resp.Trailer.Get(trailerRecords) != "5" {
		t.Errorf("GET = %d with %d records and the trailer %q, want the 5 records", resp.StatusCode, len(got), resp.Trailer.Get(trailerRecords))
	}
	if _, err := framed.Decode([]byte(out), 10, 1<<20); err != nil {
		t.Errorf("Decode() = %v, want that the answer is one body", err)
	}
	resp, out = ask(t, s, "GET", "/v1/cat?group=g&stream=s", nil, header("Accept", "text/plain"))
	if want := strings.Join(records, "\n") + "\n"; resp.StatusCode != 200 || out != want {
		t.Errorf("GET as text = %d with %d bytes, want %d", resp.StatusCode, len(out), len(want))
	}
	resp, out = ask(t, s, "GET", "/v1/cat?group=none", nil)
	if resp.StatusCode != 200 || len(read(out)) != 0 || resp.Trailer.Get(trailerRecords) != "0" {
		t.Errorf("GET of a group without records = %d %q, want none", resp.StatusCode, out)
	}
	for path, want := range map[string]int{"?group=other": 404, "": 400, "?group=a*": 400, "?group=g&stream=a:b": 400} {
		resp, out := ask(t, s, "GET", "/v1/cat"+path, nil)
		if resp.StatusCode != want {
			t.Errorf("GET /v1/cat%s = %d %s, want %d", path, resp.StatusCode, out, want)
		}
		errorOf(t, resp, out)
	}
	f.catErr = errors.New("segment /secret is damaged")
	resp, _ = ask(t, s, "GET", "/v1/cat?group=g", nil)
	if trailer := resp.Trailer.Get(trailerError); trailer == "" || strings.Contains(trailer, "secret") || resp.Trailer.Get(trailerRecords) != "" {
		t.Errorf("GET with an error at the end = %d with the trailers %v, want %s only", resp.StatusCode, resp.Trailer, trailerError)
	}
}

func TestGroups(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := &fakeStore{groups: []GroupInfo{{Name: "a", Streams: 1, Records: 2, Bytes: 3, First: at, Last: at}, {Name: "b"}}}
	s := start(t, Config{}, f.deps())
	resp, out := ask(t, s, "GET", "/v1/groups", nil)
	want := `{"groups":[{"name":"a","streams":1,"records":2,"bytes":3,"first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z"},{"name":"b","streams":0,"records":0,"bytes":0}]}` + "\n"
	if resp.StatusCode != 200 || out != want {
		t.Errorf("GET = %d %s, want %s", resp.StatusCode, out, want)
	}
	f.groups = nil
	if _, out := ask(t, s, "GET", "/v1/groups", nil); out != `{"groups":[]}`+"\n" {
		t.Errorf("GET without groups = %s, want an empty list", out)
	}
	f.groupsErr = ErrUnavailable
	if resp, _ := ask(t, s, "GET", "/v1/groups", nil); resp.StatusCode != 503 {
		t.Errorf("GET = %d, want 503", resp.StatusCode)
	}
}

// TestSlowReader: a client that does not read its answer holds the engine for
// no longer than one write may take.
func TestSlowReader(t *testing.T) {
	endless := numberRows(0, nil)
	endless.next = func(int) ([]any, error) { return []any{int64(1), strings.Repeat("x", 1000), nil}, nil }
	f := &fakeStore{onQuery: func(context.Context, query.Request) (query.Rows, error) { return endless, nil }}
	s := start(t, Config{WriteTimeout: 100 * time.Millisecond}, f.deps())
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/query HTTP/1.1\r\nHost: %s\r\nContent-Length: 13\r\n\r\n{\"query\":\"x\"}", s.Addr())
	<-endless.closed
}

// TestLateAnswer: the write deadline of one answer does not end the next on the
// same connection, which begins after it.
func TestLateAnswer(t *testing.T) {
	f := &fakeStore{onQuery: func(ctx context.Context, _ query.Request) (query.Rows, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s := start(t, Config{WriteTimeout: 400 * time.Millisecond, QueryTimeout: 700 * time.Millisecond}, f.deps())
	c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer c.CloseIdleConnections()
	for path, want := range map[string]int{"/v1/sql": 504, "/v1/query": 504} {
		resp, err := c.Post(s.URL()+path, "application/json", strings.NewReader(`{"query":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("POST %s = %d, want %d", path, resp.StatusCode, want)
		}
	}
}
