package framed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"trailward"
)

func encode(t testing.TB, records ...trailward.Framed) []byte {
	t.Helper()
	var e Encoder
	for _, r := range records {
		if err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return e.Bytes()
}

// read takes a body apart with a [Reader].
func read(body []byte, maxRecord int) ([]trailward.Framed, error) {
	var out []trailward.Framed
	r := NewReader(bytes.NewReader(body), maxRecord)
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		f.Raw = bytes.Clone(f.Raw)
		out = append(out, f)
	}
}

func TestRoundTrip(t *testing.T) {
	attrs := []trailward.Attr{{Name: "stream", Value: "stderr"}, {Name: "stream", Value: "again"}}
	tests := map[string][]trailward.Framed{
		"none":   nil,
		"plain":  {{Raw: []byte("a")}, {Raw: []byte{}}, {Raw: []byte("b\n\x00\xff")}},
		"all":    {{Raw: []byte("x"), Kind: trailward.KindVPCFlow, Columns: []string{"a", "b"}, Time: -1 << 63, Attrs: attrs, Damaged: "half \"line\""}},
		"shared": {{Raw: []byte("1"), Kind: trailward.KindContainer, Attrs: attrs, Time: 1}, {Raw: []byte("2"), Kind: trailward.KindContainer, Attrs: attrs, Time: 2}, {Raw: []byte("3")}, {Raw: []byte("4"), Kind: trailward.KindText}},
		"large":  {{Raw: bytes.Repeat([]byte("x"), 300_000)}},
	}
	for name, records := range tests {
		t.Run(name, func(t *testing.T) {
			body := encode(t, records...)
			got, err := Decode(body, 10, 1<<20)
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", records) {
				t.Errorf("Decode(%q) = %+v, %v, want %+v", body, got, err, records)
			}
			got, err = read(body, 1<<20)
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", records) {
				t.Errorf("reading %q = %+v, %v, want %+v", body, got, err, records)
			}
		})
	}
}

func TestReset(t *testing.T) {
	var e Encoder
	r := trailward.Framed{Raw: []byte("a"), Kind: trailward.KindJSON}
	if err := e.Add(r); err != nil {
		t.Fatal(err)
	}
	first := bytes.Clone(e.Bytes())
	e.Reset()
	if got := e.Bytes(); string(got) != magic || e.Len() != 0 {
		t.Errorf("Bytes() after Reset = %q, want an empty body", got)
	}
	if err := e.Add(r); err != nil || !bytes.Equal(e.Bytes(), first) {
		t.Errorf("Bytes() = %q, %v, want %q", e.Bytes(), err, first)
	}
	both := append(bytes.Clone(first), Continue(first)...)
	if got, err := Decode(both, 10, 10); err != nil || len(got) != 2 {
		t.Errorf("Decode(two bodies joined) = %v, %v, want two records", got, err)
	}
}

func TestCut(t *testing.T) {
	body := encode(t, trailward.Framed{Raw: []byte("first"), Kind: trailward.KindJSON, Time: 1 << 40}, trailward.Framed{Raw: []byte("second")})
	for n := range len(body) {
		got, err := Decode(body[:n], 10, 10)
		whole := n == len(magic) || len(got) == 1
		if err == nil && !whole {
			t.Errorf("Decode(the first %d bytes) = %v, want an error", n, got)
		}
		streamed, serr := read(body[:n], 10)
		if (err == nil) != (serr == nil) || err == nil && len(streamed) != len(got) {
			t.Errorf("reading the first %d bytes = %v, %v, but Decode gives %v, %v", n, streamed, serr, got, err)
		}
	}
}

func TestLimits(t *testing.T) {
	two := encode(t, trailward.Framed{Raw: []byte("123")}, trailward.Framed{Raw: []byte("1234")})
	if _, err := Decode(two, 1, 10); !errors.Is(err, ErrTooMany) {
		t.Errorf("Decode(two records, one allowed) = %v, want %v", err, ErrTooMany)
	}
	if _, err := Decode(two, 2, 3); !errors.Is(err, ErrTooLong) {
		t.Errorf("Decode(4 bytes, 3 allowed) = %v, want %v", err, ErrTooLong)
	}
	if _, err := read(two, 3); !errors.Is(err, ErrTooLong) {
		t.Errorf("reading 4 bytes, 3 allowed = %v, want %v", err, ErrTooLong)
	}
	var e Encoder
	for _, bad := range []trailward.Framed{
		{Columns: make([]string, MaxColumns+1)},
		{Attrs: make([]trailward.Attr, MaxAttrs+1)},
		{Damaged: strings.Repeat("x", MaxMeta)},
	} {
		if err := e.Add(bad); err == nil {
			t.Errorf("Add(%d columns, %d attributes, %d bytes of damage) = nil, want an error", len(bad.Columns), len(bad.Attrs), len(bad.Damaged))
		}
	}
}

func TestRefused(t *testing.T) {
	meta := func(m string) []byte { return append([]byte(magic+string(rune(len(m)))), m+"\x00\x01x"...) }
	for name, body := range map[string][]byte{
		"empty":            {},
		"other magic":      []byte("TWF2"),
		"meta is no JSON":  meta(`hello`),
		"meta is a list":   meta(`[]`),
		"unknown member":   meta(`{"kinds":"x"}`),
		"unknown kind":     meta(`{"kind":"tea"}`),
		"two objects":      meta(`{}{}`),
		"huge length":      []byte(magic + "\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"length overflows": []byte(magic + "\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"deep meta":        append([]byte(magic+"\xa0\x8d\x06"), strings.Repeat("[", 100_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Decode(body, 10, 1<<30); err == nil {
				t.Errorf("Decode(%.40q) = %v, want an error", body, got)
			}
			if got, err := read(body, 1<<30); err == nil {
				t.Errorf("reading %.40q = %v, want an error", body, got)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f))
	f.Add(encode(f, trailward.Framed{Raw: []byte("x\ny"), Kind: trailward.KindVPCFlow, Columns: []string{"a"}, Time: -7, Attrs: []trailward.Attr{{Name: "n", Value: "v"}}, Damaged: "d"}, trailward.Framed{Raw: []byte("z")}))
	f.Add([]byte(magic + "\x00\x00\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Decode(body, 1000, 1<<16)
		streamed, serr := read(body, 1<<16)
		if err == nil && (serr != nil || fmt.Sprint(streamed) != fmt.Sprint(got)) {
			t.Fatalf("Decode(%q) = %v, but reading it gives %v, %v", body, got, streamed, serr)
		}
		if err != nil {
			return
		}
		again, err := Decode(encode(t, got...), 1000, 1<<16)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("what was decoded, encoded and decoded again = %v, %v, want %v", again, err, got)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var e Encoder
	cols := []string{"version", "account-id", "interface-id"}
	for i := range 10_000 {
		e.Add(trailward.Framed{Raw: bytes.Repeat([]byte("x"), 100), Kind: trailward.KindVPCFlow, Columns: cols, Time: int64(i)})
	}
	b.SetBytes(int64(e.Len()))
	for b.Loop() {
		if _, err := Decode(e.Bytes(), 10_000, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
