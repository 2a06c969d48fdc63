package segment

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"trailward"
)

// A text is found wherever it is, whatever the tables of grams leave out, in
// columns of every form and over the borders of blocks and row groups.
func TestFindByGrams(t *testing.T) {
	rnd := rand.New(rand.NewSource(5))
	var recs []in
	n := 10*blockRows + 77 // more than a dictionary takes
	for i := range n {
		// Out of order, some without some fields, one field with noise, short ones.
		raw := fmt.Sprintf(`{"id":"%08x-%04x","uri":"/api/v1/namespaces/ns-%d/pods/pod-%04x","verb":"%s","short":"%c"`,
			rnd.Uint32(), rnd.Intn(1<<16), rnd.Intn(20), i*7919%65536, []string{"get", "list", "watch"}[i%3], 'a'+rune(i%26))
		if i%5 > 0 {
			raw += fmt.Sprintf(`,"note":"it was \"%x\" then, caf\u00e9 %d"`, rnd.Intn(4000), i)
		}
		if i%7 == 0 {
			raw += fmt.Sprintf(`,"body":{"a":["x%d",{"b":"needle-%d"}]}`, i, i)
		}
		recs = append(recs, in{int64(rnd.Intn(1 << 20)), raw + "}", nil})
	}
	r := write(t, build(t, trailward.KindJSON, nil, recs), Options{})
	tables, entries := 0, 0
	for _, f := range r.Meta.Fields {
		if f.Grams[1] > 0 {
			tables++
		}
		if f.Entries {
			entries++
		}
	}
	if tables < 2 || entries < 2 {
		t.Fatalf("segment has %d columns with tables and %d with entries: it does not test them", tables, entries)
	}
	all := texts(t, r)
	subs := []string{"pod-0001", `pod-0001"`, `/pods/pod-00ff","verb":"`, `"short":"q"`, `:"q"`, "watch", "caf\\u00e9 17", `\"1f`, "1f", "needle-700", "zzzz", "\x00", "é", "/ns-", `d":"`, "q", "", "u00e9 21", "00e9 21"}
	for range 20 {
		s := all[rnd.Intn(len(all))]
		a := rnd.Intn(len(s))
		subs = append(subs, s[a:a+1+rnd.Intn(min(30, len(s)-a))])
	}
	warm := newCached(r)
	for _, f := range r.Meta.Fields {
		if _, err := warm.Column(f.Path); err != nil {
			t.Fatal(err)
		}
	}
	for k, sub := range subs {
		if sub == "" {
			continue
		}
		var want []int64
		for i, s := range all {
			if strings.Contains(s, sub) {
				want = append(want, int64(i))
			}
		}
		cols := warm // every column decoded, or none
		if k%2 == 0 {
			cols = newCached(r)
		}
		got, ok, err := r.Find([]Cond{{Any: []Test{{Message: true, Op: Contains, Values: []string{sub}}}}}, len(all), cols)
		if err != nil || !ok || !slices.Equal(got.Rows, want) {
			t.Fatalf("Find(%q), all decoded %v = %d rows, %v, %v, want %d", sub, cols == warm, len(got.Rows), ok, err, len(want))
		}
	}
	// And in one field.
	for _, f := range []string{"id", "uri", "verb", "short", "note", "body", "nope"} {
		c, err := r.Column(f)
		if err != nil {
			t.Fatal(err)
		}
		value := func(row int64) (string, bool) {
			if c == nil {
				return "", false
			}
			v, ok := c.Value(row, nil)
			return string(v), ok
		}
		for range 4 {
			v, _ := value(int64(rnd.Intn(n)))
			part := v
			if len(v) > 2 {
				a := rnd.Intn(len(v) - 1)
				part = v[a : a+1+rnd.Intn(len(v)-a-1)]
			}
			for _, test := range []Test{{Columns: []string{f}, Op: Contains, Values: []string{part}}, {Columns: []string{f}, Op: Equal, Values: []string{v, "no"}}} {
				var want []int64
				for row := range int64(n) {
					if have, ok := value(row); ok && (test.Op == Contains && strings.Contains(have, part) || test.Op == Equal && have == v) {
						want = append(want, row)
					}
				}
				got, ok, err := r.Find([]Cond{{Any: []Test{test}}}, n, newCached(r))
				if err != nil || !ok || !slices.Equal(got.Rows, want) {
					t.Fatalf("Find(%s %d %q) = %d rows, %v, %v, want %d", f, test.Op, test.Values[0], len(got.Rows), ok, err, len(want))
				}
			}
		}
	}
}

// What is rare opens few blocks, what is nowhere none: the tables do their work.
func TestGramsNarrow(t *testing.T) {
	rnd := rand.New(rand.NewSource(9))
	var recs []in
	for i := range 20 * blockRows {
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"uri":"/api/v1/namespaces/ns-%d/pods/pod-%x","user":"user-%d"}`, rnd.Intn(20), rnd.Intn(1<<20), i%300), nil})
	}
	recs[11*blockRows+5].raw = `{"uri":"/api/v1/namespaces/billing/secrets/stripe","user":"mallory"}`
	r := write(t, build(t, trailward.KindJSON, nil, recs), Options{})
	for _, c := range []struct {
		field, text string
		most        int
	}{{"uri", "secrets/stripe", 1}, {"uri", "/billing/sec", 2}, {"uri", "configmaps", 0}, {"user", "mallory", 20}, {"user", "trudy", 0}, {"user", "user-299", 20}} {
		at, err := r.placesOf(r.field(c.field), []piece{{text: c.text}})
		if err != nil {
			t.Fatal(err)
		}
		if n := at.count(); at.blocks != nil && n > c.most || at.blocks == nil && c.most < 20 {
			t.Errorf("%q in %s can be in %d of 20 blocks (everywhere %v), want at most %d", c.text, c.field, n, at.blocks == nil, c.most)
		}
	}
}

func TestGramTableRoundTrip(t *testing.T) {
	enc, _ := zstd.NewWriter(nil)
	dec, _ := zstd.NewReader(nil)
	rnd := rand.New(rand.NewSource(1))
	for _, places := range []int{1, 7, 8, 9, 33, 64} {
		for _, k := range []int{minGramBits, 11, maxGramBits} {
			table := newGramTable(k)
			table.thin = k % (maxThin + 1)
			for i := range table.words {
				if rnd.Intn(3) == 0 {
					table.words[i] = rnd.Uint64() & (1<<places - 1)
				}
			}
			b := table.encode([]byte("before"), places, enc)
			got, rest, err := decodeGrams(append(b[6:], "behind"...), places, dec)
			if err != nil || got.thin != table.thin || !slices.Equal(got.words, table.words) || string(rest) != "behind" {
				t.Fatalf("table of %d places and 2^%d buckets came back as %d buckets, %q, %v", places, k, len(got.words), rest, err)
			}
		}
	}
	if got, rest, err := decodeGrams((*gramTable)(nil).encode(nil, 8, enc), 8, dec); got != nil || len(rest) > 0 || err != nil {
		t.Fatalf("no table came back as %v, %q, %v", got, rest, err)
	}
}

// Whatever a value is, its own pieces are found in a table that has it.
func FuzzGrams(f *testing.F) {
	f.Add([]byte("abc"), []byte("/api/v1/pods"), 3)
	f.Add([]byte(""), []byte("x"), 0)
	f.Add([]byte("/api/v1/nodes"), []byte("/api/v1/pods"), 11)
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
	f.Fuzz(func(t *testing.T, before, v []byte, folds int) {
		table := newGramTable(maxGramBits)
		table.add(before, 1, 0)
		table.add(v, 1, common(before, v))
		table.add(before, 2, 0)
		for i := range max(0, folds) % (maxGramBits - minGramBits + 1) {
			if folds>>i&1 == 0 || table.thin == maxThin {
				table.fold()
			} else {
				table.thinOut()
			}
		}
		table, _, err := decodeGrams(table.encode(nil, 2, enc), 2, dec)
		if err != nil {
			t.Fatal(err)
		}
		text := string(v)
		for a := 0; a <= len(text); a++ {
			for _, p := range []piece{{text: text[a:]}, {text: text[:a]}, {text: text[a:], end: true}, {text: text[:a], start: true}} {
				if table.places(p)&1 == 0 {
					t.Fatalf("%q has %+v, the table says no", text, p)
				}
			}
		}
		if table.places(piece{text: text, start: true, end: true})&1 == 0 {
			t.Fatalf("%q is not in the table", text)
		}
		if !bytes.Equal(before[:common(before, v)], v[:common(before, v)]) {
			t.Fatal("common")
		}
		// And any bytes are a table or an error.
		_, _, _ = decodeGrams(v, 1+max(0, folds)%64, dec)
	})
}
