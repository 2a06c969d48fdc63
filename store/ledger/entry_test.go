package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func testSegment(id string) Segment {
	return Segment{ID: id, Group: Hash{1}, Kind: "k8s.audit", Rows: 3, FirstTime: -5, LastTime: 7, FirstArrival: 8, LastArrival: 9, Root: Hash{2}, Sum: Hash{3}, Size: 4096}
}

// testEvents is one event of each type, as Append would write it.
func testEvents() []Event {
	return []Event{
		Added{testSegment("0001")},
		Replaced{In: []string{"0001", "0002"}, Out: []Segment{testSegment("0003"), testSegment("0004")}},
		Expired{ID: "0003", Group: Hash{1}, Reason: ReasonRetention, Retention: 86400},
		Hold{Group: Hash{1}, Set: true, Text: []byte("sealed")},
		Hold{Group: Hash{1}},
		Retention{Group: Hash{1}, Old: 1, New: 2, Text: []byte("sealed")},
		Key{Old: "a9dafaeb29db4039", New: "arn:aws:kms:eu-west-1:1:key/1"},
		Started{Version: "v1", Clean: true, Last: 77},
		Stopped{},
		Gap{From: 1, To: 2, Cause: CauseDown},
		Interval{From: 1, To: 2, Records: 3, Bytes: 4},
		Silent{Group: Hash{1}, Stream: Hash{2}, Since: 3, Text: []byte("sealed")},
		Damage{What: "segment", Place: "0004", Text: []byte("sealed")},
	}
}

func TestEntry(t *testing.T) {
	seen := map[Type]bool{}
	for i, ev := range testEvents() {
		e := Entry{Number: uint64(i), Time: 5, Clock: -6, Event: ev, nonce: [16]byte{1, 2, 3}}
		b, err := e.encode()
		if err != nil {
			t.Fatalf("encode(%+v) = %v", e, err)
		}
		got, err := DecodeEntry(uint64(i), b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("DecodeEntry(encode(%+v)) = %+v, %v", e, got, err)
		}
		for n := range b {
			if _, err := DecodeEntry(0, b[:n]); !errors.Is(err, ErrEntry) {
				t.Errorf("DecodeEntry(%s, %d of %d bytes) = %v, want %v", ev.Type(), n, len(b), err, ErrEntry)
			}
		}
		if _, err := DecodeEntry(0, append(bytes.Clone(b), 0)); !errors.Is(err, ErrEntry) {
			t.Errorf("DecodeEntry(%s and a byte) = %v, want %v", ev.Type(), err, ErrEntry)
		}
		seen[ev.Type()] = true
	}
	for typ := range codes {
		if !seen[typ] {
			t.Errorf("no test of an event of the type %s", typ)
		}
	}
}

// TestEntryCompat holds the bytes of an entry in place for ever.
func TestEntryCompat(t *testing.T) {
	e := Entry{Time: 1, Clock: 2, Event: Expired{ID: "id", Group: Hash{0xAA}, Reason: "retention", Retention: 60}, nonce: [16]byte{0xFF}}
	b, err := e.encode()
	want := "0103ff" + strings.Repeat("00", 15) + "0000000000000001" + "0000000000000002" + "000000026964" +
		"aa" + strings.Repeat("00", 31) + "00000009726574656e74696f6e" + "000000000000003c"
	if err != nil || hex.EncodeToString(b) != want {
		t.Errorf("encode() = %x, %v, want %s", b, err, want)
	}
}

func TestEventRefused(t *testing.T) {
	seg := func(f func(*Segment)) Segment { s := testSegment("x"); f(&s); return s }
	for name, ev := range map[string]Event{
		"empty id":            Added{seg(func(s *Segment) { s.ID = "" })},
		"long id":             Added{seg(func(s *Segment) { s.ID = strings.Repeat("x", MaxID+1) })},
		"id with a space":     Added{seg(func(s *Segment) { s.ID = "a b" })},
		"no rows":             Added{seg(func(s *Segment) { s.Rows = 0 })},
		"times out of order":  Added{seg(func(s *Segment) { s.FirstTime = 8 })},
		"arrivals turned":     Added{seg(func(s *Segment) { s.FirstArrival = 80 })},
		"no kind":             Added{seg(func(s *Segment) { s.Kind = "" })},
		"no bytes":            Added{seg(func(s *Segment) { s.Size = 0 })},
		"nothing replaced":    Replaced{Out: []Segment{testSegment("a")}},
		"replaced by nothing": Replaced{In: []string{"a"}},
		"too many inputs":     Replaced{In: make([]string, MaxSegments+1), Out: []Segment{testSegment("a")}},
		"bad input":           Replaced{In: []string{"\n"}, Out: []Segment{testSegment("a")}},
		"bad output":          Replaced{In: []string{"a"}, Out: []Segment{{}}},
		"no reason":           Expired{ID: "a"},
		"negative retention":  Expired{ID: "a", Reason: "x", Retention: -1},
		"long text":           Hold{Text: make([]byte, MaxSealed+1)},
		"negative":            Retention{Old: -1},
		"no key":              Key{Old: "a"},
		"no version":          Started{},
		"no cause":            Gap{},
		"interval turned":     Interval{From: 2, To: 1},
		"negative records":    Interval{Records: -1},
		"silent, long":        Silent{Text: make([]byte, MaxSealed+1)},
		"no place":            Damage{What: "segment"},
		"no thing":            Damage{Place: "x"},
	} {
		e := Entry{Event: ev}
		if _, err := e.encode(); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: encode(%+v) = %v, want %v", name, ev, err, ErrEntry)
		}
	}
}

// FuzzDecodeEntry: what is decoded encodes to the same bytes, so that no two
// byte strings are one entry.
func FuzzDecodeEntry(f *testing.F) {
	for _, ev := range testEvents() {
		e := Entry{Time: 1, Clock: 2, Event: ev}
		b, err := e.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{1, 2, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(3, b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Errorf("DecodeEntry(%x) = %v, want %v", b, err, ErrEntry)
			}
			return
		}
		again, err := e.encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("encode(DecodeEntry(%x)) = %x, %v", b, again, err)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(Checkpoint{Origin: "trailward/x", Head: Head{Size: 7, Root: Hash{1}}}.String())
	f.Add("a\n0\n\n")
	f.Add("a\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCheckpoint(s)
		if err == nil && c.String() != s {
			t.Errorf("ParseCheckpoint(%q).String() = %q", s, c.String())
		}
	})
}
