package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trailward"
)

// sharedData finds the real samples, or skips the test.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SHARED_DATA")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for d := wd; d != filepath.Dir(d); d = filepath.Dir(d) {
			if p := filepath.Join(d, "../shared/data"); isDir(p) {
				dir = p
				break
			}
		}
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); dir == "" || err != nil {
		t.Skipf("real samples are not here: no shared/data/%s above the working directory and none in SHARED_DATA", name)
	}
	return path
}

func isDir(p string) bool {
	i, err := os.Stat(p)
	return err == nil && i.IsDir()
}

func TestSplitEventList(t *testing.T) {
	long := `{"auditID":"` + strings.Repeat("x", 100) + `"}`
	tests := []struct {
		name, body string
		want       []string // "!" before it: damaged
		err        error
	}{
		{"two events", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"a":1},{"b":[2,"]}"]}]}`, []string{`{"a":1}`, `{"b":[2,"]}"]}`}, nil},
		{"white space stays", " {\"items\" : [ { \"a\" : 1 } ,\n{\"b\":2\t} ] , \"kind\" : \"EventList\"}\n", []string{`{ "a" : 1 }`, "{\"b\":2\t}"}, nil},
		{"v1beta1", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1beta1","items":[{}]}`, []string{`{}`}, nil},
		{"escapes", `{"items":[{"a":"\\\"]}"},{"b":"\\"}]}`, []string{`{"a":"\\\"]}"}`, `{"b":"\\"}`}, nil},
		{"no items", `{"kind":"EventList","items":[]}`, nil, nil},
		{"no items as Go writes it", `{"kind":"EventList","items":null}`, nil, nil},
		{"items twice", `{"items":[1],"items":[2]}`, []string{"1", "2"}, nil},
		{"items within a value do not count", `{"metadata":{"items":[1]},"items":[2]}`, []string{"2"}, nil},
		{"odd items", `{"items":[null,"x",3,{"a":1},[{}],-1e400,nonsense]}`, []string{"null", `"x"`, "3", `{"a":1}`, `[{}]`, "-1e400", "nonsense"}, nil},
		{"one event by itself", ` {"kind":"Event","items":[1],"auditID":"x"} `, []string{`{"kind":"Event","items":[1],"auditID":"x"}`}, nil},
		{"cut in an event", `{"kind":"EventList","items":[{"a":1},{"b":`, []string{`{"a":1}`, `!{"b":`}, nil},
		{"cut in a string", `{"kind":"EventList","items":[{"a":1},{"b":"x\"`, []string{`{"a":1}`, `!{"b":"x\"`}, nil},
		{"cut after an event", `{"kind":"EventList","items":[{"a":1}`, []string{`{"a":1}`}, nil},
		{"cut after a comma", `{"kind":"EventList","items":[{"a":1},`, []string{`{"a":1}`}, nil},
		{"wrong bracket", `{"kind":"EventList","items":[{"a":1}},{"b":2}]}`, []string{`{"a":1}`, `!},{"b":2}]}`}, nil},
		{"missing comma", `{"kind":"EventList","items":[{"a":1} {"b":2}]}`, []string{`{"a":1}`, `!{"b":2}]}`}, nil},
		{"more after the list", `{"kind":"EventList","items":[{"a":1}]} {"x":1}`, []string{`{"a":1}`, `!{"x":1}`}, nil},
		{"long event", `{"items":[` + long + `]}`, []string{"!" + long[:64], "!" + long[64:]}, nil},
		{"deep event", `{"items":[` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `]}`, []string{strings.Repeat("[", 20) + strings.Repeat("]", 20)}, nil},
		{"another kind", `{"kind":"PodList","items":[{"a":1}]}`, nil, errNotEventList},
		{"no list", `{"a":1}`, nil, errNotEventList},
		{"items is an object", `{"kind":"EventList","items":{}}`, nil, errNotEventList},
		{"empty object", `{}`, nil, errNotEventList},
		{"empty", ``, nil, errNotEventList},
		{"array", `[{"a":1}]`, nil, errNotEventList},
		{"text", `hello`, nil, errNotEventList},
		{"cut before the items", `{"kind":"EventList","it`, nil, errNotEventList},
		{"too many", `{"items":[` + strings.Repeat("1,", 40) + `1]}`, nil, ErrTooManyRecords},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items, err := splitEventList([]byte(tt.body), 20, 64)
			var got []string
			for _, f := range items {
				s := string(f.Raw)
				if f.Damaged != "" {
					s = "!" + s
				}
				got = append(got, s)
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) || err != tt.err {
				t.Errorf("splitEventList(%s) = %q, %v, want %q, %v", tt.body, got, err, tt.want, tt.err)
			}
		})
	}
}

// TestDeepEvents: depth costs neither stack nor time.
func TestDeepEvents(t *testing.T) {
	const depth = 1_000_000
	event := strings.Repeat(`{"a":[`, depth) + strings.Repeat(`]}`, depth)
	items, err := splitEventList([]byte(`{"items":[`+event+`]}`), 10, 64<<20)
	if err != nil || len(items) != 1 || string(items[0].Raw) != event {
		t.Errorf("splitEventList(an event %d deep) = %d items, %v, want it whole", 2*depth, len(items), err)
	}
}

func TestKubernetesAudit(t *testing.T) {
	const list = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"1"},"odd",{"auditID":"2"}]}`
	tests := []struct {
		name, path, body string
		cfg              Config
		status           int
		group, stream    string
		records          int
	}{
		{"by parameter", "?group=/eks/prod/audit&stream=api-1", list, Config{}, 200, "/eks/prod/audit", "api-1", 3},
		{"by path", "/eks/prod/audit", list, Config{}, 200, "/eks/prod/audit", "webhook", 3},
		{"by path with a stream", "/eks/prod/audit?stream=s", list, Config{}, 200, "/eks/prod/audit", "s", 3},
		{"by nothing", "", list, Config{}, 200, DefaultAuditGroup, "webhook", 3},
		{"client-go adds its timeout", "?group=g&timeout=30s", list, Config{}, 200, "g", "webhook", 3},
		{"a query string that is none", "/g?%zz", list, Config{}, 200, "/g", "webhook", 3},
		{"an empty list", "?group=g", `{"kind":"EventList","items":null}`, Config{}, 200, "g", "webhook", 0},
		{"a cut list", "?group=g", list[:len(list)-12], Config{}, 200, "g", "webhook", 3},
		{"an event over the limit is kept in pieces", "?group=g", `{"items":[{"a":"` + strings.Repeat("x", 3000) + `"},{"b":1}]}`, Config{MaxLine: 1024}, 200, "g", "webhook", 4},
		{"no list", "?group=g", `{"kind":"Status"}`, Config{}, 400, "", "", 0},
		{"no JSON", "?group=g", "hello", Config{}, 400, "", "", 0},
		{"too many", "?group=g", list, Config{MaxRecords: 2}, 413, "", "", 0},
		{"bad group", "?group=a+b", list, Config{}, 400, "", "", 0},
		{"the server's group", "?group=trailward/x", list, Config{}, 403, "", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeStore{}
			s := start(t, tt.cfg, f.deps())
			resp, out := ask(t, s, "POST", "/v1/kubernetes/audit"+tt.path, strings.NewReader(tt.body), header("Content-Type", "application/json"))
			if resp.StatusCode != tt.status {
				t.Fatalf("POST = %d %s, want %d", resp.StatusCode, out, tt.status)
			}
			if tt.status != 200 {
				errorOf(t, resp, out)
				if len(f.stored()) != 0 {
					t.Errorf("%d batches were stored, want none", len(f.stored()))
				}
				return
			}
			got := f.stored()[0]
			if got.Group != tt.group || got.Stream != tt.stream || got.Kind != trailward.KindK8sAudit || len(got.Records) != tt.records {
				t.Errorf("batch = %s %s %s with %d records, want %s %s %s with %d", got.Group, got.Stream, got.Kind, len(got.Records), tt.group, tt.stream, trailward.KindK8sAudit, tt.records)
			}
			if s.memory.inUse() != 0 {
				t.Errorf("%d bytes are still reserved, want 0", s.memory.inUse())
			}
		})
	}
}

// TestRealAuditEvents sends a real API server's events as its webhook does, and
// finds each again byte for byte.
func TestRealAuditEvents(t *testing.T) {
	data, err := os.ReadFile(sharedData(t, "k8s-audit/apiserver-1.37-story.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		events = append(events, sc.Text())
	}
	f := &fakeStore{}
	s := start(t, Config{}, f.deps())
	body := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(events, ",") + `]}`
	resp, out := ask(t, s, "POST", "/v1/kubernetes/audit/eks/prod/audit", bytes.NewReader(gz(t, []byte(body))), header("Content-Encoding", "gzip"))
	var res IngestResult
	if err := json.Unmarshal([]byte(out), &res); err != nil || resp.StatusCode != 200 || res.Records != int64(len(events)) {
		t.Fatalf("POST = %d %s, %v, want %d records", resp.StatusCode, out, err, len(events))
	}
	for i, r := range f.stored()[0].Records {
		if string(r.Raw) != events[i] {
			t.Fatalf("event %d = %s, want %s", i, r.Raw, events[i])
		}
	}
}

func FuzzSplitEventList(f *testing.F) {
	for _, s := range []string{
		`{"kind":"EventList","items":[{"a":1},{"b":"\\\""}]}`, `{"kind":"Event"}`, `{"items":null}`, `{"items":[[[`, `{"items":[1,2,,3]}`,
		"{\"items\":[\xff]}", `{"items":[{}]}trailing`, strings.Repeat(`{"items":[`, 100), `{"kind":1,"items":[true]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := splitEventList(body, 1000, 100)
		if err != nil {
			return
		}
		// Every record is a piece of the body, in order, and none overlap.
		rest := body
		for _, it := range items {
			i := bytes.Index(rest, it.Raw)
			if i < 0 || len(it.Raw) == 0 || len(it.Raw) > 100 {
				t.Fatalf("splitEventList(%q) gave %q, which does not follow in the body", body, it.Raw)
			}
			rest = rest[i+len(it.Raw):]
		}
		// What the standard library calls an EventList is taken apart as it does.
		var l struct {
			Kind  string
			Items []json.RawMessage
		}
		if !json.Valid(body) || json.Unmarshal(body, &l) != nil || l.Kind != "EventList" || bytes.Count(body, []byte(`"items"`)) != 1 || bytes.Count(body, []byte("kind")) != 1 || bytes.Contains(body, []byte(`\u`)) {
			return
		}
		var got, want []byte
		for _, it := range items {
			got = append(got, it.Raw...)
		}
		for _, it := range l.Items {
			want = append(want, it...)
		}
		if l.Items != nil && !bytes.Equal(got, want) {
			t.Errorf("splitEventList(%q) = %q, want %q", body, got, want)
		}
	})
}

func BenchmarkSplitEventList(b *testing.B) {
	data, err := os.ReadFile(sharedData(b, "k8s-audit/apiserver-1.37-story.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"kind":"EventList","items":[` + strings.Join(strings.Split(strings.TrimSpace(string(data)), "\n"), ",") + `]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := splitEventList(body, 100_000, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
