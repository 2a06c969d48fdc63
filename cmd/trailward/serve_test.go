package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet/file"

	"trailward"
	"trailward/api"
)

// liveServer runs a real server over a new data directory and gives its URL.
func liveServer(t *testing.T) string {
	t.Helper()
	return liveServerAt(t, filepath.Join(t.TempDir(), "data"), api.Config{})
}

// liveServerAt runs a real server over a data directory until the test ends.
func liveServerAt(t *testing.T, dir string, cfg api.Config) string {
	t.Helper()
	loc := location{data: dir}
	log := slog.New(slog.DiscardHandler)
	l, err := openLocal(t.Context(), loc, true, log)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	url := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		done <- serve(&app{ctx: ctx}, l, loc, cfg, log, func(u string) { url <- u })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve() = %v, want nil", err)
		}
	})
	select {
	case u := <-url:
		return u
	case err := <-done:
		t.Fatalf("serve() = %v", err)
	}
	return ""
}

// send posts a body of records.
func send(t *testing.T, url, params, body string) api.IngestResult {
	t.Helper()
	resp, err := http.Post(url+"/v1/ingest?"+params, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var res api.IngestResult
	if err := json.Unmarshal(data, &res); resp.StatusCode != 200 || err != nil {
		t.Fatalf("POST /v1/ingest?%s = %d %s", params, resp.StatusCode, data)
	}
	return res
}

// event is an audit event.
func event(id string) string {
	return `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"` + id + `","stage":"ResponseComplete","verb":"get","requestReceivedTimestamp":"2026-01-02T03:04:05.000000Z","stageTimestamp":"2026-01-02T03:04:05.000000Z"}`
}

// TestServedFramings: a body is taken apart as a file is.
func TestServedFramings(t *testing.T) {
	url := liveServer(t)
	trail := func(id string) string {
		return `{"eventVersion":"1.08","eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"` + id + `","awsRegion":"us-east-1"}`
	}
	tests := []struct {
		name, params, body string
		want               map[trailward.Kind]int64
		cat                string
	}{
		{"lines", "", "a\n\nb", map[trailward.Kind]int64{"text": 2}, "a\nb\n"},
		{"flow log with a header", "", "srcaddr dstaddr action log-status\n10.0.0.1 10.0.0.2 ACCEPT OK\n", map[trailward.Kind]int64{"aws.vpcflow": 1}, "10.0.0.1 10.0.0.2 ACCEPT OK\n"},
		{"container lines", "", "2016-10-06T00:17:09.669794202Z stdout F hello\n2016-10-06T00:17:10Z stderr P he\n2016-10-06T00:17:11Z stderr F re\n", map[trailward.Kind]int64{"container": 2}, "hello\nhere\n"},
		{"JSON array", "", `[{"a":1},` + "\n" + `{"a": 2}]`, map[trailward.Kind]int64{"json": 2}, "{\"a\":1}\n{\"a\": 2}\n"},
		{"EventList", "", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + event("1") + "," + event("2") + "]}", map[trailward.Kind]int64{"k8s.audit": 2}, event("1") + "\n" + event("2") + "\n"},
		{"CloudTrail", "", `{"Records":[` + trail("1") + "," + trail("2") + "]}", map[trailward.Kind]int64{"aws.cloudtrail": 2}, trail("1") + "\n" + trail("2") + "\n"},
		{"text by its kind", "&kind=text", `[{"a":1},` + "\n", map[trailward.Kind]int64{"text": 1}, `[{"a":1},` + "\n"},
		{"nothing", "", "", map[trailward.Kind]int64{}, ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			group := fmt.Sprint("/framing/", i)
			if res := send(t, url, "group="+group+tt.params, tt.body); fmt.Sprint(res.Kinds) != fmt.Sprint(tt.want) || len(res.Damaged) > 0 {
				t.Errorf("POST = %+v, want the kinds %v", res, tt.want)
			}
			if tt.body == "" {
				return
			}
			o := runReal(t, "cat", "--server", url, "--group", group)
			if o.out != tt.cat {
				t.Errorf("cat = %q, want %q (%s)", o.out, tt.cat, o.errors)
			}
		})
	}
}

// TestServedConflicts: a known key with other content is kept, and told.
func TestServedConflicts(t *testing.T) {
	url := liveServer(t)
	first := event("1")
	other := strings.Replace(first, `"verb":"get"`, `"verb":"delete"`, 1)
	for _, step := range []struct {
		body                           string
		records, duplicates, conflicts int64
	}{{first, 1, 0, 0}, {first, 0, 1, 0}, {other, 1, 0, 1}, {other, 0, 1, 0}} {
		if res := send(t, url, "group=/k8s", step.body); res.Records != step.records || res.Duplicates != step.duplicates || res.Conflicts != step.conflicts {
			t.Errorf("POST %s = %+v, want %d records, %d duplicates and %d conflicts", step.body, res, step.records, step.duplicates, step.conflicts)
		}
	}
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`trailward_ingest_records_conflict_total{route="POST /v1/ingest"} 1`, `trailward_ingest_records_stored_total{route="POST /v1/ingest"} 2`,
		`trailward_ingest_records_duplicate_total{route="POST /v1/ingest"} 2`, "trailward_store_wal_bytes ", "trailward_store_segments 0", "trailward_store_checkpoint_entries ", "trailward_store_full 0",
	} {
		if !strings.Contains(string(data), "\n"+want) {
			t.Errorf("/metrics does not have %s", want)
		}
	}
}

func TestFrameBodyLimits(t *testing.T) {
	tests := []struct {
		name, body string
		want       error
	}{
		{"long line", strings.Repeat("x", 1025), api.ErrLineTooLong},
		{"long JSON value", `[{"a":"` + strings.Repeat("x", 5000) + `"}]`, api.ErrLineTooLong},
		{"many lines", strings.Repeat("x\n", 11), api.ErrTooManyRecords},
		{"line at the limit", strings.Repeat("x", 1024), nil},
		{"as many lines as may be", strings.Repeat("x\n", 10), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := frameBody([]byte(tt.body), "", 10, 1024); !errors.Is(err, tt.want) {
				t.Errorf("frameBody() = %v, want %v", err, tt.want)
			}
		})
	}
}

func FuzzFrameBody(f *testing.F) {
	for _, s := range []string{"a\nb\r\n", "[1,2", `{"Records":[{}]}`, "2016-10-06T00:17:09.669794202Z stdout P x", "srcaddr dstaddr\n1 2", "\x00\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		keep := bytes.Clone(body)
		records, err := frameBody(body, "", 100, 1024)
		if err != nil {
			return
		}
		total := 0
		for _, r := range records {
			if total += len(r.Raw); len(r.Raw) > 1024 {
				t.Errorf("a record has %d bytes, the most is 1024", len(r.Raw))
			}
		}
		if len(records) > 100 || !bytes.Equal(body, keep) {
			t.Errorf("frameBody(%q) gave %d records and left %q", keep, len(records), body)
		}
	})
}

// runReal runs a command line with the real places.
func runReal(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(&app{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, open: openBackend}, args)
	return outcome{code: code, out: out.String(), errors: errs.String()}
}

// lines is an output that hands on each line that is written to it.
type lines struct {
	mu  sync.Mutex
	buf []byte
	out chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	for {
		line, rest, ok := bytes.Cut(l.buf, []byte{'\n'})
		if !ok {
			return len(p), nil
		}
		l.out <- string(line)
		l.buf = append([]byte(nil), rest...)
	}
}

// TestTail: from one command line to another, through the store.
func TestTail(t *testing.T) {
	url := liveServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{out: make(chan string, 100)}
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(&app{ctx: ctx, stdin: strings.NewReader(""), stdout: out, stderr: &errs, getenv: func(string) string { return "" }, open: openBackend},
			[]string{"tail", "--server", url, "--group", "/k8s/*", `{ $.verb = "get" }`})
	}()
	// The tail is open when a record shows up in it.
	for n, open := 0, false; !open; n++ {
		send(t, url, "group=/k8s/knock&stream=s", event(fmt.Sprint(n)))
		select {
		case <-out.out:
			open = true
		default:
		}
	}
	// Of a batch, what was stored before does not show again.
	send(t, url, "group=/k8s/a&stream=s", event("1"))
	send(t, url, "group=/k8s/a&stream=s", event("1")+"\n"+event("2")+"\n")
	send(t, url, "group=/other&stream=s", event("3"))
	send(t, url, "group=/k8s/b&stream=s", "no JSON\n"+event("4"))
	for _, want := range []string{"/k8s/a s " + event("1"), "/k8s/a s " + event("2"), "/k8s/b s " + event("4")} {
		got := <-out.out
		for strings.Contains(got, "/k8s/knock") {
			got = <-out.out
		}
		if got != "2026-01-02T03:04:05.000Z "+want {
			t.Errorf("tail shows %q, want %s", got, want)
		}
	}
	cancel()
	if got := <-code; got != exitGood || errs.Len() > 0 {
		t.Errorf("tail ended with %d %q, want %d", got, errs.String(), exitGood)
	}
}

func TestTailRefused(t *testing.T) {
	url := liveServer(t)
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a data directory", []string{"tail", "--data", t.TempDir()}, exitUsage, "--server"},
		{"nothing said", []string{"tail"}, exitUsage, "--server"},
		{"bad pattern", []string{"tail", "--server", url, "{ $.a = }"}, exitNo, "^"},
		{"bad group", []string{"tail", "--server", url, "--group", "a*b"}, exitNo, "group"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if o := runReal(t, tt.args...); o.code != tt.code || !strings.Contains(o.errors, tt.want) {
				t.Errorf("%v = %d %q, want %d with %q", tt.args, o.code, o.errors, tt.code, tt.want)
			}
		})
	}
}

// TestColumnarOutputs: a place's answer in binary formats, the same from a data
// directory and from a server, which know the types.
func TestColumnarOutputs(t *testing.T) {
	url := liveServer(t)
	dir := filepath.Join(t.TempDir(), "data")
	lines := `{"n":1,"ok":true}` + "\n" + `{"n":2}` + "\n"
	send(t, url, "group=g", lines)
	path := filepath.Join(t.TempDir(), "lines.json")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := runReal(t, "ingest", "--data", dir, "--group", "g", path); o.code != 0 {
		t.Fatalf("ingest = %d %s", o.code, o.errors)
	}
	for name, place := range map[string][]string{"server": {"--server", url}, "data directory": {"--data", dir}} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"sql", "--stats", "--output"}, "arrow")
			args = append(append(args, place...), "SELECT count(*) AS c, max(n) AS m FROM json")
			o := runReal(t, args...)
			r, err := ipc.NewReader(strings.NewReader(o.out))
			if err != nil {
				t.Fatalf("Arrow of %d bytes, exit %d %s: %v", len(o.out), o.code, o.errors, err)
			}
			defer r.Release()
			if got := r.Schema().Field(0).Type.String(); got != "int64" || !r.Next() || r.RecordBatch().Column(0).ValueStr(0) != "2" {
				t.Errorf("the first column is %s, want int64 with 2", got)
			}
			if !strings.Contains(o.errors, "elapsed_ms") {
				t.Errorf("stderr = %q, want the statistics", o.errors)
			}
			args = append(append([]string{"query", "--output", "parquet"}, place...), "fields n | sort n asc")
			o = runReal(t, args...)
			p, err := file.NewParquetReader(bytes.NewReader([]byte(o.out)))
			if err != nil {
				t.Fatalf("Parquet of %d bytes, exit %d %s: %v", len(o.out), o.code, o.errors, err)
			}
			defer p.Close()
			if p.NumRows() != 2 {
				t.Errorf("Parquet has %d rows, want 2", p.NumRows())
			}
			o = runReal(t, append(append([]string{"query", "--output", "parquet"}, place...), "fields n | sorted")...)
			if o.code != exitNo || o.out != "" || !strings.Contains(o.errors, "^") {
				t.Errorf("a faulty query = %d %q %q, want %d, nothing, and where the fault is", o.code, o.out, o.errors, exitNo)
			}
		})
	}
}

// running is how many questions the server says it is answering.
func running(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\ntrailward_queries_running ")
	n, _, _ := strings.Cut(rest, "\n")
	return n
}

// TestCancelled: a client that goes away, and one that cancels, ends a real
// query in the middle of its work, and what it held is free for others.
func TestCancelled(t *testing.T) {
	url := liveServer(t)
	var body strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&body, "{\"n\":%d}\n", i)
	}
	send(t, url, "group=g", body.String())
	// Far more pairs than can be counted in the time that it may take.
	const endless = `{"query":"SELECT count(*) FROM json a, json b, json c, json d WHERE a.n + b.n + c.n + d.n = 1","language":"sql"}`
	free := func(what string, since time.Time) {
		t.Helper()
		for running(t, url) != "0" { // the test's own limit ends a wait without an end
		}
		t.Logf("%s: free after %v", what, time.Since(since))
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/sql", strings.NewReader(strings.Replace(endless, `,"language":"sql"`, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	for running(t, url) != "1" {
		select {
		case err := <-gone:
			t.Fatalf("POST ended with %v before it was cancelled", err)
		default:
		}
	}
	since := time.Now()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("POST = %v, want %v", err, context.Canceled)
	}
	free("a client that went away", since)

	resp, err := http.Post(url+"/v1/queries", "application/json", strings.NewReader(endless))
	if err != nil {
		t.Fatal(err)
	}
	var st struct{ ID, Status string }
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || st.Status != "running" {
		t.Fatalf("POST /v1/queries = %+v, %v, want a running query", st, err)
	}
	resp.Body.Close()
	since = time.Now()
	req, err = http.NewRequestWithContext(t.Context(), "DELETE", url+"/v1/queries/"+st.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != 200 {
		t.Fatalf("DELETE = %v, %v, want 200", resp, err)
	}
	resp.Body.Close()
	free("DELETE", since)

	// A hundred at once are all answered.
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			resp, err := http.Post(url+"/v1/query", "application/json", strings.NewReader(fmt.Sprintf(`{"query":"filter n < %d | stats count(*) as c"}`, i+1)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if want := fmt.Sprintf("{\"c\":\"%d\"}\n", i+1); err != nil || string(data) != want {
				t.Errorf("query %d = %d %s %v, want %s", i, resp.StatusCode, data, err, want)
			}
		})
	}
	all.Wait()
}
