package segment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"trailward"
	"trailward/shape"
)

// TestColumnForms has fields that change what they hold: each in its own row of the
// table, and for long enough that its column has made up its mind before.
func TestColumnForms(t *testing.T) {
	const rows = 2 * dictTrial
	r := rand.New(rand.NewPCG(3, 3))
	uuid := func(int) string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	}
	addr := func(int) string {
		return fmt.Sprintf("%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
	}
	for name, c := range map[string]struct {
		value func(i int) string
		typ   Type
		later []string // what comes at the end
	}{
		"uuids":            {uuid, UUID, nil},
		"uuids, then text": {uuid, Text, []string{"6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "", "x"}},
		"uuids with gaps":  {func(i int) string { return map[bool]string{true: uuid(i)}[i%3 > 0] }, Text, nil}, // the empty text is none
		"addresses":        {addr, Addr, nil},
		"addresses, later": {addr, Text, []string{"10.0.0.01", "::1", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1..2.3"}},
		"few addresses":    {func(i int) string { return fmt.Sprintf("10.0.0.%d", i%100) }, Text, nil},
		"numbers":          {func(i int) string { return fmt.Sprint(i * 7) }, Text, nil}, // quoted ones
	} {
		t.Run(name, func(t *testing.T) {
			var lines [][]byte
			for i := range rows {
				lines = append(lines, fmt.Appendf(nil, `{"n":%d,"v":%q}`, i, c.value(i)))
			}
			for _, v := range c.later {
				lines = append(lines, fmt.Appendf(nil, `{"n":0,"v":%q}`, v))
			}
			if name == "uuids with gaps" {
				for i := range lines {
					lines[i] = bytes.Replace(lines[i], []byte(`,"v":""`), nil, 1)
				}
				c.typ = UUID
			}
			if name == "numbers" {
				c.typ = Int
			}
			for _, sorted := range []bool{true, false} {
				var like Sizes
				for range 2 { // the second builder expects what the first became
					b := NewBuilder("g", trailward.KindJSON, nil, nil)
					if like.cols != nil {
						b.Expect(like)
					}
					tk := shape.NewTaker(nil)
					for i, l := range lines {
						taken, ok := tk.JSON(l, shape.Full)
						if !ok {
							t.Fatalf("%s is not taken apart", l)
						}
						rec := trailward.Record{Stream: "s", Raw: l, Time: int64(i)}
						if !sorted {
							rec.Time = -rec.Time
						}
						b.Add(&rec, taken)
						if i == 20000 {
							b.Reserve(len(lines))
						}
					}
					like = b.Sizes()
					checkForms(t, b, lines, sorted, c.typ)
				}
			}
		})
	}
}

func checkForms(t *testing.T, b *Builder, lines [][]byte, sorted bool, typ Type) {
	t.Helper()
	var buf bytes.Buffer
	if _, err := b.Write(&buf, Options{}); err != nil {
		t.Fatal(err)
	}
	rd, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if got := rd.field("v").Type; got != typ {
		t.Errorf("type of the column = %v, want %v", got, typ)
	}
	line := func(row int64) []byte {
		if sorted {
			return lines[row]
		}
		return lines[len(lines)-1-int(row)]
	}
	err = rd.Records(nil, func(row int64, r *trailward.Record) error {
		if want := line(row); !bytes.Equal(r.Raw, want) {
			t.Fatalf("record %d = %s, want %s", row, r.Raw, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	col, err := rd.Column("v")
	if err != nil {
		t.Fatal(err)
	}
	var rows []int64
	for row := int64(0); row < rd.Meta.Rows; row += 997 {
		rows = append(rows, row)
	}
	p, err := rd.Pick([]string{"v"}, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		taken, _ := shape.NewTaker(nil).JSON(line(row), shape.Full)
		var want []byte
		has := len(taken.Values) > 1
		if has {
			want = bytes.Clone(taken.Values[1])
		}
		if got, ok := col.Value(row, nil); ok != has || string(got) != string(want) {
			t.Fatalf("Column(v) in row %d = %q, %v, want %q", row, got, ok, want)
		}
		if got, ok := p[0].Value(i, nil); ok != has || string(got) != string(want) {
			t.Fatalf("Pick(v) in row %d = %q, %v, want %q", row, got, ok, want)
		}
		if !has {
			continue
		}
		found, ok, err := rd.Find([]Cond{{Any: []Test{{Columns: []string{"v"}, Op: Equal, Values: []string{string(want)}}}}}, 1<<20, newCached(rd))
		if err != nil || !ok {
			t.Fatalf("Find(%q) = %v, %v", want, ok, err)
		}
		if !slices.Contains(found.Rows, row) {
			t.Fatalf("Find(%q) = %v, want row %d", want, found.Rows, row)
		}
	}
}

// FuzzColumnForms holds that what a form takes it gives back.
func FuzzColumnForms(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "255.255.255.255", "0.0.0.0", "01.2.3.4", "256.1.1.1", "1.2.3.", "123e4567-e89b-12d3-a456-426614174000", "123E4567-e89b-12d3-a456-426614174000", "-1", "-0", "9223372036854775807", "2026-01-02T03:04:05.006Z"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		var buf [room]byte
		if x, ok := parseAddr(v); ok {
			if got := appendAddr(buf[:0], x); !bytes.Equal(got, v) || x < 0 || x > 1<<32-1 {
				t.Errorf("appendAddr(parseAddr(%q)) = %q", v, got)
			}
		}
		if x, ok := appendUUID(nil, v); ok {
			if got := appendUUIDText(buf[:0], x); !bytes.Equal(got, v) || len(x) != 16 {
				t.Errorf("appendUUIDText(appendUUID(%q)) = %q", v, got)
			}
		}
		if x, ok := canonicalInt(v); ok {
			if got := appendInt(buf[:0], x); !bytes.Equal(got, v) {
				t.Errorf("appendInt(canonicalInt(%q)) = %q", v, got)
			}
		}
		if x, digits, ok := parseStamp(v); ok {
			if got := appendStamp(buf[:0], x, digits); !bytes.Equal(got, v) {
				t.Errorf("appendStamp(parseStamp(%q)) = %q", v, got)
			}
		}
	})
}

// TestCanonicalIntLike asks strconv: numbers of every length, some with another
// byte in them, at the end of a slice and with more behind them.
func TestCanonicalIntLike(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for n := 1; n <= 21; n++ {
		for range 200 {
			text := make([]byte, n+10)
			for i := range text {
				text[i] = '0' + byte(r.IntN(10))
			}
			if r.IntN(4) > 0 {
				text[r.IntN(n)] = "-/: \x00\xff0"[r.IntN(7)]
			}
			for _, v := range [][]byte{text[:n], text[:n:n]} {
				want, err := strconv.ParseInt(string(v), 10, 64)
				wanted := err == nil && strconv.FormatInt(want, 10) == string(v)
				if x, ok := canonicalInt(v); ok != wanted || ok && x != want {
					t.Fatalf("canonicalInt(%q) = %d, %v, want %d, %v", v, x, ok, want, wanted)
				}
			}
		}
	}
}

// TestDict numbers values of all lengths around those that a slot has, with
// zeros in them, at the end of a slice and with more behind them.
func TestDict(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	d, numbers, values := newDict(), map[string]uint32{}, [][]byte(nil)
	for range 50000 {
		n := r.IntN(2*inSlot + 2)
		text := make([]byte, n+inSlot)
		for i := range text {
			text[i] = byte(r.IntN(2))
		}
		if n > 2 && r.IntN(2) == 0 { // few different ones
			clear(text[2:])
		}
		for _, v := range [][]byte{text[:n], text[:n:n]} {
			want, ok := numbers[string(v)]
			if !ok {
				want = uint32(len(numbers))
				numbers[string(v)] = want
				values = append(values, v)
			}
			if got := d.put(v); got != want {
				t.Fatalf("put(%x) = %d, want %d", v, got, want)
			}
		}
	}
	for i, v := range values {
		if got := d.value(uint32(i)); !bytes.Equal(got, v) {
			t.Errorf("value(%d) = %x, want %x", i, got, v)
		}
	}
}

func BenchmarkDict(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, distinct := range []int{3, 20000} {
		values := make([][]byte, 1<<16)
		for i := range values {
			n := r.IntN(distinct)
			values[i] = fmt.Appendf(nil, "10.%d.%d.%d and more", n>>16, n>>8&255, n&255)
			values[i] = values[i][:bytes.IndexByte(values[i], ' ')]
		}
		b.Run(fmt.Sprint(distinct), func(b *testing.B) {
			d := newDict()
			for i := 0; b.Loop(); i++ {
				d.put(values[i&(1<<16-1)])
			}
		})
	}
}
