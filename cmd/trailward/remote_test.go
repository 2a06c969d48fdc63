package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trailward/query"
)

// answering gives a place at a server that answers every question with body.
func answering(t *testing.T, header map[string]string, body string, trailer map[string]string) (backend, *string) {
	t.Helper()
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = r.URL.Path + " " + string(b)
		for k, v := range header {
			w.Header().Set(k, v)
		}
		for k := range trailer {
			w.Header().Add("Trailer", k)
		}
		_, _ = io.WriteString(w, body)
		for k, v := range trailer {
			w.Header().Set(k, v)
		}
	}))
	t.Cleanup(s.Close)
	b, err := openRemote(location{server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, &asked
}

var someStats = map[string]string{"Trailward-Stats": `{"elapsed_ms":1.5,"records_matched":2,"records_scanned":3,"bytes_scanned":4,"segments_opened":5}`}

func TestRemoteRows(t *testing.T) {
	const columns = `[{"name":"user","type":"text"},{"name":"n","type":"int"},{"name":"x","type":"json"}]`
	tests := []struct {
		name    string
		columns string
		body    string
		want    string // as a table
	}{
		{"listed columns, some left out", columns, `{"user":"a","n":"12"}` + "\n" + `{"n":"3"}` + "\n", "user   n  x\n────  ──  ─\na     12\n       3\n(2 rows)\n"},
		{"typed values", columns, `{"user":"a","n":12,"x":{"k":[1,null]}}` + "\n", "user   n  x\n────  ──  ──────────────\na     12  {\"k\":[1,null]}\n(1 row)\n"},
		{"no row", columns, "", "user  n  x\n────  ─  ─\n(0 rows)\n"},
		{"two columns of one name", `[{"name":"x","type":"text"},{"name":"x","type":"text"}]`, `{"x":"a","x_1":"b"}` + "\n", "x  x\n─  ─\na  b\n(1 row)\n"},
		{"columns not listed", "", `{"user":"a"}` + "\n" + `{"n":"3","user":"b"}` + "\n", "user  n\n────  ─\na\nb     3\n(2 rows)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := map[string]string{}
			if tt.columns != "" {
				header["Trailward-Columns"] = tt.columns
			}
			b, _ := answering(t, header, tt.body, someStats)
			o := runWith(t, b, nil, "", "sql", "--stats", "q")
			if o.code != 0 || o.out != tt.want || strings.TrimSpace(o.errors) != someStats["Trailward-Stats"] {
				t.Errorf("sql = %d\n%s%s\nwant\n%s", o.code, o.out, o.errors, tt.want)
			}
			b, _ = answering(t, header, tt.body, someStats)
			if o := runWith(t, b, nil, "", "sql", "--output", "json", "q"); o.code != 0 || o.out != tt.body {
				t.Errorf("sql --output json = %d %q, want the server's own lines %q", o.code, o.out, tt.body)
			}
		})
	}
}

func TestRemoteColumnThatComesLate(t *testing.T) {
	body := strings.Repeat(`{"a":"1"}`+"\n", 300) + `{"b":"2"}` + "\n"
	b, _ := answering(t, nil, body, someStats)
	if o := runWith(t, b, nil, "", "query", "q"); o.code != 1 || !strings.Contains(o.errors, `"b"`) {
		t.Errorf("query = %d %q, want 1 and the column's name: nothing is left out silently", o.code, o.errors)
	}
	b, _ = answering(t, nil, body, someStats)
	if o := runWith(t, b, nil, "", "query", "--output", "json", "q"); o.code != 0 || o.out != body {
		t.Errorf("query --output json = %d, want every line", o.code)
	}
}

func TestRemoteErrors(t *testing.T) {
	tests := []struct {
		name, body string
		trailer    map[string]string
		want       string
	}{
		{"cut short", `{"a":"1"}` + "\n", nil, "cut short"},
		{"ended by an error", `{"a":"1"}` + "\n", map[string]string{"Trailward-Error": `{"error":{"message":"out of memory"}}`}, "out of memory"},
		{"no JSON", "what\n", someStats, "read row"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, _ := answering(t, map[string]string{"Trailward-Columns": `[{"name":"a","type":"text"}]`}, tt.body, tt.trailer)
			if o := runWith(t, b, nil, "", "query", "q"); o.code != 1 || !strings.Contains(o.errors, tt.want) {
				t.Errorf("query = %d %q, want 1 and %q", o.code, o.errors, tt.want)
			}
		})
	}
}

func TestRemoteFaultHasItsPlace(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"unknown command","line":1,"column":3,"hint":"did you mean sort"}}`)
	}))
	defer s.Close()
	b, err := openRemote(location{server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = b.Query(t.Context(), query.Request{Text: "| srt"})
	var fault *query.Error
	if !errors.As(err, &fault) || *fault != (query.Error{Line: 1, Col: 3, Msg: "unknown command", Hint: "did you mean sort"}) {
		t.Errorf("Query = %v, want a query.Error with its place", err)
	}
}

func TestRemoteQuestion(t *testing.T) {
	b, asked := answering(t, nil, "", someStats)
	start := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	rows, err := b.Query(t.Context(), query.Request{Language: query.SQL, Text: "q", Groups: []string{"/a"}, Start: start, Tables: map[string]string{"t": "json"}})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	path, body, _ := strings.Cut(*asked, " ")
	var got, want any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"query":"q","groups":["/a"],"start":"2026-01-02T03:04:05.000006Z","tables":{"t":"json"}}`), &want)
	a, _ := json.Marshal(got)
	z, _ := json.Marshal(want)
	if path != "/v1/sql" || string(a) != string(z) {
		t.Errorf("the server was asked %s %s, want /v1/sql %s", path, a, z)
	}
}
