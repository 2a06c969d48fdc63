package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"trailward"
	"trailward/internal/sampletest"
)

// pieceOf is a piece of a list as it was stored.
type pieceOf struct {
	records []string // "!" before it: damaged
	sum     [32]byte
}

// readList takes a list apart in pieces of the given size.
func readList(src io.Reader, piece, maxRecords, maxEvent int) (pieces []pieceOf, held int64, err error) {
	l := eventList{
		src: src, piece: piece, maxRecords: maxRecords, maxEvent: maxEvent,
		hold: func(n int64) bool { held += n; return true },
		give: func(n int64) { held -= n },
		store: func(records []trailward.Framed, sum [32]byte) error {
			p := pieceOf{sum: sum}
			for _, f := range records {
				s := string(f.Raw)
				if f.Damaged != "" {
					s = "!" + s
				}
				p.records = append(p.records, s)
			}
			pieces = append(pieces, p)
			return nil
		},
	}
	if err = l.read(); err != nil && err != errNotEventList {
		l.salvage()
	}
	l.release()
	return pieces, held, err
}

func joined(pieces []pieceOf) []string {
	var out []string
	for _, p := range pieces {
		out = append(out, p.records...)
	}
	return out
}

func TestEventList(t *testing.T) {
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
		{"kind after the items", `{"items":[{"a":1}],"kind":"EventList"}`, []string{`{"a":1}`}, nil},
		{"another kind after the items", `{"items":[{"a":1}],"kind":"PodList"}`, nil, errNotEventList},
		{"an event whose kind comes late", `{"auditID":"x","kind":"Event"}`, []string{`{"auditID":"x","kind":"Event"}`}, nil},
		{"a long event by itself", `{"kind":"Event","a":"` + strings.Repeat("x", 70) + `"}`, []string{"!" + `{"kind":"Event","a":"` + strings.Repeat("x", 43), "!" + strings.Repeat("x", 27) + `"}`}, nil},
		{"a long member before the items", `{"kind":"EventList","metadata":"` + strings.Repeat(`\"items\"`, 30) + `","items":[{"a":1}]}`, []string{`{"a":1}`}, nil},
		{"a long member after the items", `{"kind":"EventList","items":[{"a":1}],"metadata":"` + strings.Repeat("x", 300) + `"}`, []string{`{"a":1}`}, nil},
		{"cut after a long key", `{"items":[{"a":1}],"b":`, []string{`{"a":1}`, `!"b":`}, nil},
		{"a long cut event", `{"items":[{"a":"` + strings.Repeat("x", 70), []string{`!{"a":"` + strings.Repeat("x", 58), "!" + strings.Repeat("x", 12)}, nil},
		{"much white space", strings.Repeat(" ", 300) + `{"items":[` + strings.Repeat("\n", 300) + `{"a":1}` + strings.Repeat("\t", 300) + `]}` + strings.Repeat(" ", 300), []string{`{"a":1}`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 65, 100, 4096} {
				pieces, held, err := readList(strings.NewReader(tt.body), piece, 20, 64)
				got := joined(pieces)
				if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) || err != tt.err {
					t.Errorf("pieces of %d bytes of %s = %q, %v, want %q, %v", piece, tt.body, got, err, tt.want, tt.err)
				}
				if held != 0 {
					t.Errorf("%d bytes of memory are still held, want 0", held)
				}
			}
		})
	}
}

// TestEventListBeginning: what has said for longer than an event what it is not is no list.
func TestEventListBeginning(t *testing.T) {
	body := `{"metadata":"` + strings.Repeat("x", 300) + `","items":[{"a":1}]}`
	if pieces, held, err := readList(strings.NewReader(body), 64, 20, 64); err != errNotEventList || held != 0 || pieces != nil {
		t.Errorf("a list with a long member first = %q, %v with %d bytes held, want %v", pieces, err, held, errNotEventList)
	}
}

// TestEventListPieces: what is stored at once is bounded in bytes and in number, whatever the
// list, and so is the memory.
func TestEventListPieces(t *testing.T) {
	const events, piece, maxRecords = 10_000, 16 << 10, 30
	var body bytes.Buffer
	body.WriteString(`{"kind":"EventList","items":[`)
	for i := range events {
		fmt.Fprintf(&body, `%s{"auditID":"%d","pad":"%s"}`, ","[:min(i, 1)], i, strings.Repeat("x", i%3000))
	}
	body.WriteString("]}")
	var held, most int64
	n := 0
	l := eventList{
		src: &body, piece: piece, maxRecords: maxRecords, maxEvent: 4096,
		hold: func(n int64) bool { held += n; most = max(most, held); return true },
		give: func(n int64) { held -= n },
		store: func(records []trailward.Framed, _ [32]byte) error {
			size := 0
			for _, f := range records {
				size += len(f.Raw)
				if want := fmt.Sprintf(`{"auditID":"%d",`, n); !strings.HasPrefix(string(f.Raw), want) {
					t.Fatalf("record %d = %s, want %s", n, f.Raw, want)
				}
				n++
			}
			if size > piece || len(records) > maxRecords {
				t.Errorf("piece of %d records with %d bytes, want at most %d and %d", len(records), size, maxRecords, piece)
			}
			return nil
		},
	}
	if err := l.read(); err != nil || n != events {
		t.Errorf("read() = %v after %d events, want all %d", err, n, events)
	}
	if most > 2*piece+64*itemSize {
		t.Errorf("%d bytes of memory were held, want at most two pieces and their records", most)
	}
}

// TestEventListBreaks: whole events before the place where a body breaks off are
// kept, half ones are not, and a list without memory or store ends with their error.
func TestEventListBreaks(t *testing.T) {
	const body = `{"kind":"EventList","items":[{"a":"1"},{"b":2},34,{"c":3}]}`
	broken := errors.New("broken")
	for n := range len(body) {
		pieces, held, err := readList(io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(broken)), 20, 20, 64)
		if !errors.Is(err, broken) || held != 0 {
			t.Fatalf("a body broken after %d bytes = %v with %d bytes held, want the error and none", n, err, held)
		}
		var want []string
		for i, end := range []int{38, 46, 50, 57} { // 34 is whole with the comma behind it
			if n >= end {
				want = append(want, []string{`{"a":"1"}`, `{"b":2}`, "34", `{"c":3}`}[i])
			}
		}
		if got := joined(pieces); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("a body broken after %d bytes keeps %q, want %q", n, got, want)
		}
	}
	// What the store refuses ends the list, although more of it has been read.
	calls := 0
	l := eventList{src: strings.NewReader(body), piece: 4096, maxRecords: 1, maxEvent: 64, hold: func(int64) bool { return true }, give: func(int64) {}}
	l.store = func([]trailward.Framed, [32]byte) error {
		if calls++; calls == 2 {
			return broken
		}
		return nil
	}
	if err := l.read(); !errors.Is(err, broken) || calls != 2 {
		t.Errorf("a list whose second piece is refused = %v after %d pieces, want the error after 2", err, calls)
	}
	l.salvage()
	if calls != 2 {
		t.Errorf("the store is called %d times, want no more after it failed", calls)
	}
	for left := range 10 {
		l := eventList{src: strings.NewReader(body), piece: 10, maxRecords: 1, maxEvent: 64, give: func(int64) {}}
		l.hold = func(int64) bool { left--; return left >= 0 }
		l.store = func([]trailward.Framed, [32]byte) error { return broken }
		if err := l.read(); !errors.Is(err, errNoMemory) && !errors.Is(err, broken) {
			t.Errorf("a list without memory or store = %v, want that error", err)
		}
	}
}

// TestDeepEvents: depth costs neither stack nor time.
func TestDeepEvents(t *testing.T) {
	const depth = 1_000_000
	event := strings.Repeat(`{"a":[`, depth) + strings.Repeat(`]}`, depth)
	pieces, _, err := readList(strings.NewReader(`{"items":[`+event+`]}`), auditPiece, 10, 64<<20)
	if items := joined(pieces); err != nil || len(items) != 1 || items[0] != event {
		t.Errorf("a list with an event %d deep = %d items, %v, want it whole", 2*depth, len(items), err)
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
	data, err := os.ReadFile(sampletest.File(t, "k8s-audit/apiserver-1.37-story.jsonl"))
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

func FuzzEventList(f *testing.F) {
	for _, s := range []string{
		`{"kind":"EventList","items":[{"a":1},{"b":"\\\""}]}`, `{"kind":"Event"}`, `{"items":null}`, `{"items":[[[`, `{"items":[1,2,,3]}`,
		"{\"items\":[\xff]}", `{"items":[{}]}trailing`, strings.Repeat(`{"items":[`, 100), `{"kind":1,"items":[true]}`,
	} {
		f.Add([]byte(s), uint16(50))
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		piece := int(size)%300 + 1
		whole, held, err := readList(bytes.NewReader(body), len(body)+101, 1000, 100)
		pieces, held2, err2 := readList(bytes.NewReader(body), piece, 10, 100)
		again, held3, err3 := readList(iotest.OneByteReader(bytes.NewReader(body)), piece, 10, 100)
		if held != 0 || held2 != 0 || held3 != 0 {
			t.Fatalf("memory is still held: %d, %d, %d", held, held2, held3)
		}
		if err2 != err3 || fmt.Sprint(pieces) != fmt.Sprint(again) {
			t.Fatalf("%q in pieces of %d = %q, %v, byte by byte %q, %v", body, piece, pieces, err2, again, err3)
		}
		if err != nil || err2 != nil {
			return
		}
		if fmt.Sprintf("%q", joined(whole)) != fmt.Sprintf("%q", joined(pieces)) {
			t.Fatalf("%q in pieces of %d = %q, in one %q", body, piece, joined(pieces), joined(whole))
		}
		// Every record is a piece of the body, in order, and none overlap.
		rest := body
		var got []byte
		for _, it := range joined(whole) {
			raw := []byte(it)
			i := bytes.Index(rest, raw)
			if i < 0 && raw[0] == '!' {
				raw = raw[1:]
				i = bytes.Index(rest, raw)
			}
			if i < 0 || len(raw) == 0 || len(raw) > 101 {
				t.Fatalf("%q gave %q, which does not follow in the body", body, it)
			}
			rest = rest[i+len(raw):]
			got = append(got, raw...)
		}
		// What the standard library calls an EventList is taken apart as it does.
		var l struct {
			Kind  string
			Items []json.RawMessage
		}
		if !json.Valid(body) || json.Unmarshal(body, &l) != nil || l.Kind != "EventList" || bytes.Count(body, []byte(`"items"`)) != 1 || bytes.Count(body, []byte("kind")) != 1 || bytes.Contains(body, []byte(`\u`)) {
			return
		}
		var want []byte
		for _, it := range l.Items {
			want = append(want, it...)
		}
		if l.Items != nil && !bytes.Equal(got, want) {
			t.Errorf("%q = %q, want %q", body, got, want)
		}
	})
}

// BenchmarkEventList reads a list of 200 MiB: B/op is what a list of any size needs.
func BenchmarkEventList(b *testing.B) {
	data, err := os.ReadFile(sampletest.File(b, "k8s-audit/apiserver-1.37-story.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	events := strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", ",")
	n := 200<<20/len(events) + 1
	b.SetBytes(int64(n * len(events)))
	b.ReportAllocs()
	for b.Loop() {
		parts := []io.Reader{strings.NewReader(`{"kind":"EventList","items":[`)}
		for i := range n {
			parts = append(parts, strings.NewReader(","[:min(i, 1)]), strings.NewReader(events))
		}
		l := eventList{
			src: io.MultiReader(append(parts, strings.NewReader("]}"))...), piece: auditPiece, maxRecords: auditPieceRecords, maxEvent: DefaultMaxLine,
			hold: func(int64) bool { return true }, give: func(int64) {},
			store: func([]trailward.Framed, [32]byte) error { return nil },
		}
		if err := l.read(); err != nil {
			b.Fatal(err)
		}
	}
}
