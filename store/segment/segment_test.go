package segment

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/shape"
)

// in is a record to be, with its text.
type in struct {
	time int64
	raw  string
	attr []trailward.Attr
}

func build(t testing.TB, kind trailward.Kind, keys []string, recs []in) *Builder {
	t.Helper()
	b := NewBuilder("/g", kind, keys, nil)
	tk := shape.NewTaker(nil)
	for i, r := range recs {
		rec := trailward.Record{Group: "/g", Stream: fmt.Sprintf("s%d", i%3), Kind: kind, Time: r.time, Arrival: int64(i) * 1000, Raw: []byte(r.raw), Attrs: r.attr}
		taken, ok := tk.JSON(rec.Raw, shape.Full)
		if !ok {
			taken = tk.Text(rec.Raw)
		}
		b.Add(&rec, taken)
	}
	return b
}

func write(t testing.TB, b *Builder, opt Options) *Reader {
	t.Helper()
	var buf bytes.Buffer
	if _, err := b.Write(&buf, opt); err != nil {
		t.Fatal(err)
	}
	r, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// random makes records of many forms, out of order in time.
func random(seed int64, n int) []in {
	rnd := rand.New(rand.NewSource(seed))
	var out []in
	for i := range n {
		r := in{time: 1e18 + rnd.Int63n(1e12)}
		switch rnd.Intn(9) {
		case 0:
			r.raw = fmt.Sprintf(`{"a":%d,"b":"x%d"}`, i, rnd.Intn(5))
		case 1:
			r.raw = fmt.Sprintf(`{"a":"%d","c":{"d":[%d]}}`, i, i)
		case 2:
			r.raw = fmt.Sprintf(`{"A":"\u003c%d","a":-%d}`, i, i)
		case 3:
			r.raw = fmt.Sprintf("text %d \xff", i)
		case 4:
			r.raw = fmt.Sprintf("text %d é", i)
		case 5:
			r.raw = fmt.Sprintf(`{"a":1.0,"a":%d,"":{"x":1}}`, i)
		case 6:
			r.raw = fmt.Sprintf(`{"k%d":{"k%d":1}}`, rnd.Intn(30), rnd.Intn(1000))
			r.attr = []trailward.Attr{{Name: "stream", Value: "stdout"}, {Name: "pod", Value: fmt.Sprint(i % 7)}}
		case 7:
			at := time.Unix(rnd.Int63n(1e10)-1e9, 0).UTC()
			r.raw = fmt.Sprintf(`{"n":%d,"at":%q,"ms":"%s.%03dZ"}`, rnd.Int63(), at.Format(time.RFC3339), at.Format("2006-01-02T15:04:05"), rnd.Intn(1000))
			if rnd.Intn(50) == 0 {
				r.raw = `{"ms":"soon"}`
			}
		case 8:
			r.raw = `{}`
		}
		out = append(out, r)
	}
	return out
}

func TestWriteAndReadBack(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		opt  Options
	}{{"one", 1, Options{}}, {"some", 1000, Options{}}, {"in memory", 1000, Options{Fast: true}}, {"two row groups", rowGroup + 7, Options{Fast: true}}} {
		t.Run(c.name, func(t *testing.T) {
			recs := random(int64(c.n), c.n)
			b := build(t, trailward.KindJSON, nil, recs)
			r := write(t, b, c.opt)
			order := make([]int, len(recs))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(x, y int) int { return int(recs[x].time - recs[y].time) })
			if r.Meta.Rows != int64(c.n) || r.Meta.FirstTime != recs[order[0]].time || r.Meta.LastTime != recs[order[c.n-1]].time {
				t.Errorf("meta = %d rows, %d to %d", r.Meta.Rows, r.Meta.FirstTime, r.Meta.LastTime)
			}
			check := func(row int64, got *trailward.Record) error {
				i := order[row]
				w := recs[i]
				attrs := slices.Clone(w.attr)
				slices.SortFunc(attrs, func(a, b trailward.Attr) int { return strings.Compare(a.Name, b.Name) })
				if string(got.Raw) != w.raw || got.Time != w.time || got.Arrival != int64(i)*1000 || got.Stream != fmt.Sprintf("s%d", i%3) || !slices.Equal(got.Attrs, attrs) {
					return fmt.Errorf("row %d = %q %d %d %s %v, want %q %d", row, got.Raw, got.Time, got.Arrival, got.Stream, got.Attrs, w.raw, w.time)
				}
				return nil
			}
			next := int64(0)
			if err := r.Records(nil, func(row int64, got *trailward.Record) error {
				if row != next {
					return fmt.Errorf("row %d, want %d", row, next)
				}
				next++
				return check(row, got)
			}); err != nil || next != int64(c.n) {
				t.Fatalf("Records(all): %d rows, %v", next, err)
			}
			for _, k := range []int{1, 10, few, few + 1, 500} {
				if k > c.n {
					continue
				}
				pick := map[int64]bool{}
				for len(pick) < k {
					pick[rand.Int63n(int64(c.n))] = true
				}
				var rows []int64
				for p := range pick {
					rows = append(rows, p)
				}
				slices.Sort(rows)
				var got []int64
				if err := r.Records(rows, func(row int64, rec *trailward.Record) error {
					got = append(got, row)
					return check(row, rec)
				}); err != nil || !slices.Equal(got, rows) {
					t.Fatalf("Records(%d rows) = %v, %v", k, got, err)
				}
			}
			if err := r.Records([]int64{int64(c.n)}, func(int64, *trailward.Record) error { return nil }); err == nil {
				t.Error("Records of a row that does not exist gave no error")
			}
		})
	}
}

func TestColumnTypesAndNames(t *testing.T) {
	b := build(t, trailward.KindJSON, nil, []in{
		{1, `{"int":1,"Text":"a","mixed":1,"float":1.0,"arr":[1]}`, nil},
		{2, `{"int":"-7","text":"b","mixed":"01","arr":"x","arr2":2}`, nil},
		{3, `{"int":9223372036854775807,"big":9223372036854775808,"neg0":-0}`, nil},
	})
	r := write(t, b, Options{})
	want := map[string]Type{"int": Int, "Text": Text, "text": Text, "mixed": Text, "float": Text, "arr": JSON, "arr2": Int, "big": Text, "neg0": Text}
	names := map[string]bool{}
	for _, f := range r.Meta.Fields {
		if ty, ok := want[f.Path]; ok && ty != f.Type {
			t.Errorf("type of %s = %d, want %d", f.Path, f.Type, ty)
		}
		delete(want, f.Path)
		if n := strings.ToLower(f.Column); names[n] || n == "" {
			t.Errorf("column name %q is taken or empty", f.Column)
		} else {
			names[n] = true
		}
	}
	if len(want) > 0 {
		t.Errorf("no column for %v", want)
	}
}

func TestAnAttributeThatComesTwice(t *testing.T) {
	attrs := func(s ...string) (out []trailward.Attr) {
		for _, x := range s {
			out = append(out, trailward.Attr{Name: x[:1], Value: x[1:]})
		}
		return out
	}
	r := write(t, build(t, trailward.KindText, nil, []in{
		{1, "x", attrs("a1", "a2")}, {2, "y", nil}, {3, "z", attrs("b1", "a3", "b2", "a4")}, {4, "w", attrs("a5")},
	}), Options{})
	want := []string{"[{a 1}]", "[]", "[{a 3} {b 1}]", "[{a 5}]"}
	if err := r.Records(nil, func(row int64, rec *trailward.Record) error {
		if got := fmt.Sprint(rec.Attrs); got != want[row] {
			t.Errorf("attributes of row %d = %s, want %s", row, got, want[row])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTooManyShapesAndFields(t *testing.T) {
	var recs []in
	for i := range 3 * MaxShapes {
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"a":{"k%d":1},"t":"x"}`, i%900) + strings.Repeat(" ", i/900), nil})
	}
	for i := range 3 * MaxFields {
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"top%d":1}`, i), nil})
	}
	b := build(t, trailward.KindJSON, nil, recs)
	if b.fields > MaxFields || len(b.shapes) > 2*MaxShapes+2 {
		t.Errorf("%d fields, %d shapes", b.fields, len(b.shapes))
	}
	r := write(t, b, Options{})
	got := map[string]int{}
	if err := r.Records(nil, func(_ int64, r *trailward.Record) error { got[string(r.Raw)]++; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, w := range recs {
		got[w.raw]--
	}
	for raw, n := range got {
		if n != 0 {
			t.Fatalf("%q: %d too many", raw, n)
		}
	}
}

func TestSameFindsRecordsOfOneKey(t *testing.T) {
	keys := []string{"id", "stage"}
	b := build(t, trailward.KindK8sAudit, keys, []in{
		{1, `{"id":"a","stage":"x","v":1}`, nil}, {2, `{"id":"a","stage":"y","v":2}`, nil}, {3, `{"id":"a","stage":"x","v":3}`, nil}, {4, `{"v":4}`, nil}, {5, `{"id":"c"}`, nil},
	})
	r := write(t, b, Options{})
	tk := shape.NewTaker(nil)
	for _, c := range []struct {
		raw          string
		key, content bool
	}{
		{`{"id":"a","stage":"x","v":1}`, true, true}, {`{"id":"a","stage":"x","v":3}`, true, true}, {`{"id":"a","stage":"x","v":9}`, true, false},
		{`{"id":"b","stage":"x"}`, false, false}, {`{"v":4}`, false, false}, {`{"id":"c"}`, true, true}, {`{"id":"c","stage":"x"}`, false, false},
	} {
		taken, _ := tk.JSON([]byte(c.raw), shape.Full)
		same := func(raw []byte) bool { return string(raw) == c.raw }
		if k, ct := b.Same(taken, same); k != c.key || ct != c.content {
			t.Errorf("Builder.Same(%s) = %v, %v, want %v, %v", c.raw, k, ct, c.key, c.content)
		}
		if k, ct, err := r.Same(taken, same); err != nil || k != c.key || ct != c.content {
			t.Errorf("Reader.Same(%s) = %v, %v, %v, want %v, %v", c.raw, k, ct, err, c.key, c.content)
		}
	}
}

func TestMerge(t *testing.T) {
	recs := random(5, 3000)
	a, b := build(t, trailward.KindJSON, nil, recs[:1000]), build(t, trailward.KindJSON, nil, recs[1000:])
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	r := write(t, a, Options{})
	n := map[string]int{}
	if err := r.Records(nil, func(_ int64, r *trailward.Record) error {
		n[fmt.Sprintf("%s %d %v", r.Raw, r.Time, r.Attrs)]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, w := range recs {
		slices.SortFunc(w.attr, func(a, b trailward.Attr) int { return strings.Compare(a.Name, b.Name) })
		n[fmt.Sprintf("%s %d %v", w.raw, w.time, w.attr)]--
	}
	for k, v := range n {
		if v != 0 {
			t.Fatalf("%s: %d too many", k, v)
		}
	}
	if err := a.Merge(build(t, trailward.KindText, nil, recs[:1])); err == nil {
		t.Error("Merge of another kind gave no error")
	}
}

func TestDamageIsAnErrorNotAPanic(t *testing.T) {
	b := build(t, trailward.KindJSON, []string{"a"}, random(9, 300))
	var buf bytes.Buffer
	if _, err := b.Write(&buf, Options{}); err != nil {
		t.Fatal(err)
	}
	good := buf.Bytes()
	rnd := rand.New(rand.NewSource(1))
	for range 800 {
		bad := bytes.Clone(good)
		switch rnd.Intn(3) {
		case 0:
			bad = bad[:rnd.Intn(len(bad))]
		default:
			bad[rnd.Intn(len(bad))] ^= 1 << rnd.Intn(8)
		}
		readAll(bad)
	}
}

// readAll reads what can be read; encryption sees to it that damage does not
// come this far, so all that is asked for is no panic and no runaway memory.
func readAll(b []byte) {
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	_ = r.Records(nil, func(int64, *trailward.Record) error { return nil })
	taken, _ := shape.NewTaker(nil).JSON([]byte(`{"a":1}`), shape.Full)
	_, _, _ = r.Same(taken, func([]byte) bool { return true })
}

func FuzzOpen(f *testing.F) {
	b := build(f, trailward.KindJSON, []string{"a"}, random(9, 30))
	var buf bytes.Buffer
	if _, err := b.Write(&buf, Options{Fast: true}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) { readAll(b) })
}

func TestBloom(t *testing.T) {
	f := newBloom(10000)
	rnd := rand.New(rand.NewSource(3))
	var in []uint64
	for range 10000 {
		in = append(in, rnd.Uint64())
		f.add(in[len(in)-1])
	}
	for _, h := range in {
		if !f.has(h) {
			t.Fatalf("has(%x) = false after add", h)
		}
	}
	wrong := 0
	for range 100000 {
		if f.has(rnd.Uint64()) {
			wrong++
		}
	}
	if wrong > 2000 {
		t.Errorf("%d of 100,000 false answers", wrong)
	}
}

func TestCanonicalInt(t *testing.T) {
	for _, s := range []string{"0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808"} {
		x, ok := canonicalInt([]byte(s))
		if got := string(appendInt(nil, x)); !ok || got != s {
			t.Errorf("canonicalInt(%s) = %s, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "+1", "1.0", "1e5", "9223372036854775808", "-9223372036854775809", "99999999999999999999", " 1", "1 ", "١"} {
		if x, ok := canonicalInt([]byte(s)); ok {
			t.Errorf("canonicalInt(%q) = %d, want none", s, x)
		}
	}
}

func TestStamp(t *testing.T) {
	good := []string{
		"1970-01-01T00:00:00Z", "2026-11-22T21:42:07Z", "2024-02-29T23:59:59.999Z", "1969-12-31T23:59:59.999999Z", "1000-01-01T00:00:00.000000Z",
		"9999-12-31T23:59:59.000001Z", "2000-02-29T00:00:00Z", "1582-10-15T12:00:00.120Z",
	}
	for _, s := range good {
		us, digits, ok := parseStamp([]byte(s))
		if got := string(appendStamp(nil, us, digits)); !ok || got != s {
			t.Errorf("parseStamp(%s) = %d, %d, %v, back %s", s, us, digits, ok, got)
		}
		if want, err := time.Parse(time.RFC3339Nano, s); err != nil || want.UnixMicro() != us {
			t.Errorf("parseStamp(%s) = %d, want %d", s, us, want.UnixMicro())
		}
	}
	for _, s := range []string{
		"", "0999-12-31T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00z", "2026-01-01T00:00:00+",
		"2026-01-01T00:00:00,000Z", "2026-01-01T00:00:00.00Z", "2026-01-01T00:00:00.000000000Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00:0\xffZ",
	} {
		if us, _, ok := parseStamp([]byte(s)); ok {
			t.Errorf("parseStamp(%q) = %d, want none", s, us)
		}
	}
}

func FuzzStamp(f *testing.F) {
	f.Add([]byte("2026-11-22T21:42:07.123456Z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if us, digits, ok := parseStamp(b); ok {
			if got := appendStamp(nil, us, digits); string(got) != string(b) {
				t.Errorf("parseStamp(%q) = %d, %d, back %q", b, us, digits, got)
			}
		}
	})
}

// benchLines reads the load generator's output that BENCH_AUDIT or BENCH_FLOW names.
func benchLines(b testing.TB, env string) [][]byte {
	name := os.Getenv(env)
	if name == "" {
		b.Skipf("%s is not set: write one with ../shared/bench/gen", env)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func BenchmarkAuditSegment(b *testing.B) {
	lines := benchLines(b, "BENCH_AUDIT")
	var total int64
	for _, l := range lines {
		total += int64(len(l))
	}
	b.SetBytes(total)
	for b.Loop() {
		bl := NewBuilder("/g", trailward.KindK8sAudit, []string{"auditID", "stage"}, nil)
		tk := shape.NewTaker(nil)
		r := trailward.Record{Group: "/g", Stream: "s"}
		for i, l := range lines {
			t, ok := tk.JSON(l, shape.Full)
			if !ok {
				b.Fatal("not JSON")
			}
			r.Raw, r.Time = l, int64(i)*1e9
			bl.Add(&r, t)
		}
		var c countWriter
		c.w = discard{}
		if _, err := bl.Write(&c, Options{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(c.n), "bytes/segment")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Keys are found in single pages at first and by a list of all keys later, with
// the same result.
func TestSameInALargeSegment(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	var recs []in
	id := func() string {
		var b [16]byte
		rnd.Read(b[:])
		return string(appendUUIDText(nil, b[:]))
	}
	for i := range 10 * blockRows {
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"id":%q,"stage":%q,"v":%d}`, id(), []string{"x", "y"}[i%2], i), nil})
	}
	r := write(t, build(t, trailward.KindK8sAudit, []string{"id", "stage"}, recs), Options{})
	tk := shape.NewTaker(nil)
	ask := func(raw string, key, content bool) {
		t.Helper()
		taken, _ := tk.JSON([]byte(raw), shape.Full)
		k, c, err := r.Same(taken, func(have []byte) bool { return string(have) == raw })
		if err != nil || k != key || c != content {
			t.Fatalf("Same(%s) = %v, %v, %v, want %v, %v", raw, k, c, err, key, content)
		}
	}
	for i := range manyKeys {
		if i == manyKeys/8 && r.keyRows != nil {
			t.Error("all keys were read for a few")
		}
		raw := recs[rnd.Intn(len(recs))].raw
		ask(raw, true, true)
		ask(strings.Replace(raw, `"v":`, `"v":1`, 1), true, false)
		other := strings.NewReplacer(`"stage":"x"`, `"stage":"y"`, `"stage":"y"`, `"stage":"x"`).Replace(raw)
		ask(other, false, false)
		ask(fmt.Sprintf(`{"id":%q,"stage":"x"}`, id()), false, false)
	}
	if r.keyRows == nil {
		t.Error("the keys of many were sought page by page")
	}
}
