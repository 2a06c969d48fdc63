package catalog

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trailward"
	"trailward/store/ledger"
)

// usual is an entry as it mostly is.
func usual(i int) Segment {
	return Segment{
		Group: "/cluster/namespace", Kind: trailward.KindK8sAudit, Rows: 2, RawBytes: 300, Size: 5000,
		FirstTime: 1_767_225_600_000_000_000 + int64(i), LastTime: math.MaxInt64, FirstArrival: -1, LastArrival: math.MinInt64 + 1,
		Root: ledger.Hash{1, 2, 3}, Streams: []string{"a", "kube-apiserver-1"},
	}
}

func TestDecodeSegment(t *testing.T) {
	text := func(s Segment) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	quoted := usual(1)
	quoted.Group, quoted.Streams = "a<b>\"\\\u2028é", []string{"<"}
	alone := usual(1)
	alone.Streams = nil
	least := usual(1)
	least.FirstTime = math.MinInt64 // its absolute value is no int64: for the general decoder
	for _, c := range []struct {
		name, text string
		quick      bool
	}{
		{"the usual", text(usual(1)), true},
		{"without streams", text(alone), true},
		{"another script", text(Segment{Group: "/größe", Kind: "unheard.of"}), true},
		{"nothing", `{}`, true},
		{"escapes", text(quoted), false},
		{"the least integer", text(least), false},
		{"spaces", ` { "g" : "x" } `, false},
		{"a member of a later version", `{"g":"x","new":{"a":[1]},"n":3}`, false},
		{"names in capitals", `{"G":"x"}`, false},
		{"null", `{"st":null}`, false},
		{"no streams", `{"st":[]}`, false},
	} {
		var quick, want, got Segment
		if err := json.Unmarshal([]byte(c.text), &want); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if ok := parseSegment([]byte(c.text), &quick); ok != c.quick {
			t.Errorf("%s: read at once = %v, want %v", c.name, ok, c.quick)
		}
		if err := decodeSegment([]byte(c.text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, want)
		}
	}
	for _, bad := range []string{"", "{", `{"g":"x",}`, `{"n":01}`, `{"n":-}`, `{"n":9223372036854775808}`, `{"g":"x"}}`, `{"r":"x"}`, `{"st":["a",]}`, `{"st":["a"}`, "{\"g\":\"\x01\"}"} {
		if err := decodeSegment([]byte(bad), &Segment{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzSegmentEntry: what is read without the general decoder is what that reads.
func FuzzSegmentEntry(f *testing.F) {
	b, err := json.Marshal(usual(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"g":"x","k":"json","n":-12,"st":["a"],"st":["b","c"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var quick, want Segment
		if !parseSegment(b, &quick) {
			return
		}
		if err := json.Unmarshal(b, &want); err != nil || !reflect.DeepEqual(quick, want) {
			t.Fatalf("%q: %+v, want %+v, %v", b, quick, want, err)
		}
	})
}

func TestStreams(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	names := func(n, size int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%0*d", size, i))
		}
		return out
	}
	// More than are read at once, and more than a page.
	var ch Change
	for i := range pageSegments + 2*readAtOnce + 7 {
		s := usual(i)
		s.ID, s.Streams = fmt.Sprintf("%032x", i), keptStreams(names(1+i%3, 4))
		ch.Add = append(ch.Add, s)
	}
	ch.Add[5].Streams = keptStreams(names(MaxStreams, 10))
	ch.Add[6].Streams = keptStreams(names(MaxStreams+1, 10))
	ch.Add[7].Streams = keptStreams(names(2, MaxStreamBytes/2))
	ch.Add[8].Streams = keptStreams(names(2, MaxStreamBytes/2+1))
	if err := c.Apply(ch); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	if err := c.Streams(func(id string, names []string) { got[id] = names }); err != nil {
		t.Fatal(err)
	}
	for i, s := range ch.Add {
		if !slices.Equal(got[s.ID], s.Streams) {
			t.Errorf("streams of segment %d = %.80q, want %.80q", i, got[s.ID], s.Streams)
		}
		if many := i == 6 || i == 8; many != (s.Streams == nil) {
			t.Errorf("segment %d: streams are kept: %v", i, s.Streams != nil)
		}
	}
	all, err := c.Segments()
	if err != nil || len(all) != len(ch.Add) {
		t.Fatalf("Segments() = %d, %v, want %d", len(all), err, len(ch.Add))
	}
	for i, s := range all {
		want := ch.Add[i]
		want.Streams, want.Fields = nil, s.Fields
		if !reflect.DeepEqual(s, want) {
			t.Fatalf("segment %d = %+v, want %+v", i, s, want)
		}
	}
	// An entry in another's place is found whichever of them it is.
	if _, err := c.db.Exec("UPDATE segments SET entry = (SELECT entry FROM segments WHERE id = ?) WHERE id = ?", ch.Add[3].ID, ch.Add[4000].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Segments(); err == nil || !strings.Contains(err.Error(), ch.Add[4000].ID) {
		t.Errorf("Segments() with an entry in another's place = %v, want an error that names it", err)
	}
	if err := c.Streams(func(string, []string) {}); err == nil {
		t.Error("Streams() with an entry in another's place gave no error")
	}
}
