package shape

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
	"trailward"
)

// check takes raw apart at every detail, twice (once by parsing, once by the
// shapes just learned), and holds the package's invariants.
func check(t interface{ Fatalf(string, ...any) }, tk *Taker, raw []byte) {
	for d := Full; d < details; d++ {
		for range 2 {
			taken, ok := tk.JSON(raw, d)
			// encoding/json gives up at 10,000 levels; we do not.
			if std := isObject(raw); ok != std && bytes.Count(raw, []byte("["))+bytes.Count(raw, []byte("{")) < 10000 {
				t.Fatalf("JSON(%.200q, %d) = %v, encoding/json says %v", raw, d, ok, std)
			}
			if !ok {
				taken = tk.Text(raw)
			}
			checkTaken(t, taken, raw)
		}
	}
}

// isObject is what encoding/json says, which allows invalid UTF-8 as we do.
func isObject(raw []byte) bool {
	b := bytes.TrimLeft(raw, " \t\r\n")
	return len(b) > 0 && b[0] == '{' && json.Valid(raw)
}

func checkTaken(t interface{ Fatalf(string, ...any) }, taken Taken, raw []byte) {
	s := taken.Shape
	if len(s.Holes) != len(taken.Values) {
		t.Fatalf("%.200q: %d holes, %d values", raw, len(s.Holes), len(taken.Values))
	}
	seen := map[string]bool{}
	for i, h := range s.Holes {
		if h.Path == "" {
			if !s.Verbatim {
				t.Fatalf("%.200q: hole %d has no path", raw, i)
			}
			continue
		}
		if seen[h.Path] {
			t.Fatalf("%.200q: path %q twice", raw, h.Path)
		}
		seen[h.Path] = true
		if !utf8.Valid(taken.Values[i]) {
			t.Fatalf("%.200q: value %.200q is not UTF-8", raw, taken.Values[i])
		}
	}
	if !s.Verbatim {
		if got := s.Append(nil, taken.Values); !bytes.Equal(got, raw) {
			t.Fatalf("put together = %.300q, want %.300q", got, raw)
		}
	}
	cols := map[string]int{}
	var names []string
	enc := s.Encode(nil, func(p string) int {
		c, ok := cols[p]
		if !ok {
			c = len(cols)
			cols[p] = c
			names = append(names, p)
		}
		return c
	})
	back, tail, err := Decode(append(enc, 'x'), func(c int) (string, bool) {
		if c >= len(names) {
			return "", false
		}
		return names[c], true
	})
	if err != nil || string(tail) != "x" {
		t.Fatalf("Decode(%.200q) = %v, %q left", enc, err, tail)
	}
	if !s.Verbatim {
		if got := back.Append(nil, taken.Values); !bytes.Equal(got, raw) {
			t.Fatalf("put together by the decoded shape = %.300q, want %.300q", got, raw)
		}
	}
}

var nasty = []string{
	`{"a":1.0,"a":2,"b":-0,"c":1e400}`, `{"k" : "\u00e9\/\ud83d\ude00", "x":[1, 2,{"y":null}] }`,
	`{"n":123456789012345678901234567890}`, "\xff\xfe not utf8 \x00 nul", `{}`, `[]`, `"s"`, `{"a":{"b":{"c":{}}}}`,
	`{"t":"2026-01-01T00:00:00Z","v":"\u003chtml\u003e <html>"}`, `{"d":0.10,"e":1E5,"f":true}`, `{"a":"x"`,
	`   leading and trailing   `, `{"a.b":1,"a":{"b":2}}`, ` {"a":1} `, "{\"a\":1}\r", `{"":1}`, `{"a":{"":""}}`,
	`{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00x"}`, "{\"a\":\"\xff\"}", "{\"\xff\":1,\"\xfe\":2}", "{\"a\":[\"\xff\"]}",
	`{"a":"\u0041"}`, `{"a":"\u0022"}`, `{"a":"\u000A"}`, `{"a":"\n\t\r\b\f\\\""}`, `{"a":"\u0008\u000c"}`, `{"a":"\u001f","b":"\u001F"}`,
	`{"a":"\u2028"}`, `{"a":"` + "\u2028" + `","b":"\n"}`, `{"a":"/","b":"\/"}`, `{"a":"é","b":"\n"}`, `{"a":"é","b":"\u00e9"}`, `{"a":"\u00E9"}`,
	`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":.5}`, `{"a":tru}`, `{"a":nul}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":"\x"}`, `{"a":"` + "\x01" + `"}`,
	`{"a":[1,]}`, `{"a":[,]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":[{]}`, `{"a":{"b":[{"c":[]}]}}x`, `{"a":"\u12"}`, `{"a":["\u12"]}`, `{"a":["\q"]}`, `{"a":1}{"b":2}`,
	`{"@timestamp":1,"@@x":2,"@":3}`, `{"a\u0000b":1}`, `{"a":"\u0000"}`, `{"\u0061":1,"a":2}`, `{"a":1,"b":{"a":2,"a":3}}`, "{\"a\":\"\x7f\"}", `{"a":"\u007f"}`,
	`{"é":{"ü":1}}`, "\xef\xbb\xbf{}", "{\"a\"\t:\n[ ]\r}", `{"a": { } }`, `{"a":null,"b":null}`, `{"a":9223372036854775808}`, `{"a":-9223372036854775808}`, ``, ` `, "\x00",
	`{"a":` + strings.Repeat(`{"a":`, 20) + `1` + strings.Repeat(`}`, 21),
	`{"a":` + strings.Repeat(`[`, 100000) + strings.Repeat(`]`, 100000) + `}`,
	`{"a":` + strings.Repeat(`{"a":`, 100000) + `1` + strings.Repeat(`}`, 100001),
	`{"a":` + strings.Repeat(`[{"a":`, 1000) + `1` + strings.Repeat(`}]`, 1000) + `}`,
	`{"a":["x"]}`, `{"a":["x","y"]}`, `{"a":[ "x" , "y" ]}`, `{"a":[ "\u003c" ]}`, `{"a":["x"],"a":{"0":"y"}}`, `{"a":["x"}`, `{"a":["x",]}`, `{"a":["x"]]}`, `{"a":[]}`, `{"a":[["x"]]}`,
	`{"` + strings.Repeat("k", 2000) + `":1}`, `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
}

func TestNastyRecordsComeBackExactly(t *testing.T) {
	one := NewTaker(nil)
	for _, s := range nasty {
		check(t, NewTaker(nil), []byte(s))
		check(t, one, []byte(s))
		check(t, NewTaker(func(p string) bool { return p == "a" }), []byte(s))
	}
	for _, s := range nasty { // again, with everything learned
		check(t, one, []byte(s))
	}
}

func TestValuesAndPaths(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"nested", `{"a":{"b":"x","c":[1,"y"]},"d":-1.5e3,"e":true,"f":null}`, `a.b="x" a.c=[1,"y"] d=-1.5e3 e=true`},
		{"escapes undone", `{"a":"\u003cb\u003e \"q\" \\ \n"}`, "a=\"<b> \"q\" \\ \n\""},
		{"dotted key", `{"a.b":1,"a":{"b":2},"c\\d":3}`, `a\.b=1 a.b=2 c\\d=3`},
		{"own at-key", `{"@timestamp":1}`, `@@timestamp=1`},
		{"array of one string", `{"a":["x"],"b":[ "\"" ],"c":["x","y"],"d":[1],"e":[["x"]],"f":{"g":["h"]}}`, `a.0="x" b.0=""" c=["x","y"] d=[1] e=[["x"]] f.g.0="h"`},
		{"duplicate, the last one counts", `{"a":1,"a":2}`, `a=2`},
		{"opaque object", `{"requestParameters":{"x":{"y":1}},"b":{"requestParameters":{"z":2}}}`, `requestParameters={"x":{"y":1}} b.requestParameters.z=2`},
		{"surrogate pair", `{"a":"\ud83d\ude00"}`, "a=\"\U0001F600\""},
		{"lone surrogate", `{"a":"x\ud83dy"}`, "a=\"x\uFFFDy\""},
	} {
		tk := NewTaker(func(p string) bool { return p == "requestParameters" })
		for range 2 {
			taken, ok := tk.JSON([]byte(c.raw), Full)
			if !ok {
				t.Fatalf("%s: JSON(%s) not taken", c.name, c.raw)
			}
			var got []string
			for i, h := range taken.Shape.Holes {
				if h.Path == "" {
					continue
				}
				v := string(taken.Values[i])
				if h.Form == Quoted {
					v = `"` + v + `"`
				}
				got = append(got, h.Path+"="+v)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("%s: JSON(%s) = %s, want %s", c.name, c.raw, g, c.want)
			}
		}
	}
}

func TestStylesKeepRecordsOutOfVerbatim(t *testing.T) {
	for _, c := range []struct {
		raw      string
		verbatim bool
	}{
		{`{"a":"plain","b":"\"q\""}`, false},
		{`{"a":"\u003c","b":"x\u0026\u2028"}`, false},
		{`{"a":"\u00e9\ud83d\ude00"}`, false},
		{`{"a":"\/path\/x"}`, false},
		{`{"a":"\u00E9"}`, false},
		{`{"a":"<","b":"\u003c"}`, true},
		{`{"a":"\u0041"}`, true},
		{`{"a":"\ud800"}`, true},
		{`{"a":1,"a":1}`, true},
		{"{\"a\":\"\xff\"}", true},
	} {
		taken, ok := NewTaker(nil).JSON([]byte(c.raw), Full)
		if !ok || taken.Shape.Verbatim != c.verbatim {
			t.Errorf("JSON(%q): taken %v, verbatim %v, want %v", c.raw, ok, taken.Shape.Verbatim, c.verbatim)
		}
	}
}

func TestSameShapeIsTheSamePointer(t *testing.T) {
	tk := NewTaker(nil)
	a, _ := tk.JSON([]byte(`{"a":1,"b":"x"}`), Full)
	b, _ := tk.JSON([]byte(`{"a":-22,"b":"\n"}`), Full)
	c, _ := tk.JSON([]byte(`{"a":-2e5,"b":"\t"}`), Full)
	d, _ := tk.JSON([]byte(`{"a":3,"b":"yy"}`), Full)
	if a.Shape != d.Shape || b.Shape != c.Shape || a.Shape == b.Shape {
		t.Errorf("shapes of equal template differ: %p %p %p %p", a.Shape, b.Shape, c.Shape, d.Shape)
	}
}

func TestTakerForgets(t *testing.T) {
	tk := NewTaker(nil)
	for i := range 3 * MaxEdges {
		check(t, tk, []byte(`{"k`+strings.Repeat("x", i)+`":1}`))
	}
	if n := len(tk.json[Full].edges); n > MaxEdges {
		t.Errorf("%d edges at one place, limit %d", n, MaxEdges)
	}
	tk.kept = MaxKept + 1
	check(t, tk, []byte(`{"a":1}`))
	if tk.kept > 4 {
		t.Errorf("kept = %d after forgetting", tk.kept)
	}
}

func TestLine(t *testing.T) {
	tk := NewTaker(nil)
	for _, c := range []struct {
		raw    string
		fields []trailward.Field
	}{
		{"2 acc - x", []trailward.Field{{Path: "version", Start: 0, End: 1}, {Path: "account-id", Start: 2, End: 5}, {Path: "srcaddr", Start: 8, End: 9}}},
		{"7 bcc - y", []trailward.Field{{Path: "version", Start: 0, End: 1}, {Path: "account-id", Start: 2, End: 5}, {Path: "srcaddr", Start: 8, End: 9}}},
		{"", nil}, {"abc", nil}, {"", []trailward.Field{{Path: "a"}}},
		{"\xff \xfe", []trailward.Field{{Path: "a", Start: 0, End: 1}}},
		{"\xff b", []trailward.Field{{Path: "a", Start: 2, End: 3}}},
		{"a a", []trailward.Field{{Path: "a", Start: 0, End: 1}, {Path: "a", Start: 2, End: 3}}},
		{"a a", []trailward.Field{{Path: "a", Start: 0, End: 1}, {Path: "a", Start: 2, End: 3}}},
	} {
		taken := tk.Line([]byte(c.raw), c.fields)
		checkTaken(t, taken, []byte(c.raw))
		if again := tk.Line([]byte(c.raw), c.fields); again.Shape != taken.Shape {
			t.Errorf("Line(%q) gives a new shape the second time", c.raw)
		}
	}
}

// TestGeneratedJSON writes random values in random ways.
func TestGeneratedJSON(t *testing.T) {
	tk := NewTaker(func(p string) bool { return strings.HasSuffix(p, "o") })
	rapid.Check(t, func(rt *rapid.T) {
		var value func(depth int) string
		str := func() string {
			return `"` + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "o", ".", `\\`, `\"`, `\n`, `\u003c`, "<", "/", `\/`, "é", `\u00e9`, `\u00E9`, `\ud83d\ude00`, `\ud800`, "\xff", `\u2028`, "@", " ", `\u0000`}), 0, 4).Draw(rt, "s"), "") + `"`
		}
		ws := func() string { return rapid.SampledFrom([]string{"", "", "", " ", "\t", "\r\n"}).Draw(rt, "ws") }
		value = func(depth int) string {
			n := 6
			if depth == 0 {
				n = 4
			}
			switch rapid.IntRange(0, n).Draw(rt, "kind") {
			case 0:
				return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(rt, "word")
			case 1, 2:
				return rapid.SampledFrom([]string{"0", "-0", "1", "1.0", "1e400", "-12.50E+3", "123456789012345678901234567890"}).Draw(rt, "num")
			case 3, 4:
				return str()
			case 5:
				var e []string
				for range rapid.IntRange(0, 3).Draw(rt, "n") {
					e = append(e, ws()+value(depth-1)+ws())
				}
				return "[" + strings.Join(e, ",") + "]"
			}
			var e []string
			for range rapid.IntRange(0, 3).Draw(rt, "n") {
				e = append(e, ws()+str()+ws()+":"+ws()+value(depth-1)+ws())
			}
			return "{" + strings.Join(e, ",") + "}"
		}
		var e []string
		for range rapid.IntRange(0, 4).Draw(rt, "n") {
			e = append(e, str()+":"+value(4))
		}
		check(rt, tk, []byte("{"+strings.Join(e, ",")+"}"))
	})
}

func FuzzTake(f *testing.F) {
	for _, s := range nasty {
		if len(s) < 10000 {
			f.Add([]byte(s), []byte(`{"a":1,"b":"x"}`))
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		tk := NewTaker(func(p string) bool { return p == "o" })
		check(t, tk, a)
		check(t, tk, b)
		check(t, tk, a)
		for _, raw := range [][]byte{a, b} {
			checkTaken(t, tk.Text(raw), raw)
			var fs []trailward.Field
			for i, p := 0, 0; i < len(b) && p <= len(raw); i++ {
				s := p + int(b[i]&7)
				e := s + int(b[i]>>5)
				if e > len(raw) {
					break
				}
				fs = append(fs, trailward.Field{Path: "f" + string(rune('a'+i%20)), Start: s, End: e})
				p = e
			}
			checkTaken(t, tk.Line(raw, fs), raw)
		}
	})
}

func FuzzDecode(f *testing.F) {
	s := Shape{Lits: []string{`{"a":"`, `","b":`, `}`}, Holes: []Hole{{"a", Quoted}, {"b", Bare}}, Style: Escaped}
	f.Add(s.Encode(nil, func(p string) int { return int(p[0] - 'a') }))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := Decode(b, func(c int) (string, bool) { return "p", c < 10 })
		if err != nil {
			return
		}
		if !s.Verbatim {
			s.Append(nil, make([][]byte, len(s.Holes)))
		}
	})
}

const benchRecord = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"de0bb4fc-5ca9-4a31-9b3c-04d3f5d0fa1e","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/team-01/pods/pod-4a2?timeout=12s","verb":"get","user":{"username":"system:serviceaccount:team-01:app-3","uid":"1-1111-2222-3333-3","groups":["system:serviceaccounts","system:serviceaccounts:team-01","system:authenticated"],"extra":{"authentication.kubernetes.io/pod-name":["pod-4a2"]}},"sourceIPs":["10.0.3.17"],"userAgent":"kubelet/v1.31.2 (linux/amd64) kubernetes/12a3b4c","objectRef":{"resource":"pods","namespace":"team-01","name":"pod-4a2","apiVersion":"v1","resourceVersion":"1000001"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-20T00:00:00.000000Z","stageTimestamp":"2026-11-20T00:00:00.012345Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"app-3/team-01\" of Role \"app\" to ServiceAccount \"app-3/team-01\""}}`

func BenchmarkTakeKnownShape(b *testing.B) {
	tk, raw := NewTaker(nil), []byte(benchRecord)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tk.JSON(raw, Full); !ok {
			b.Fatal("not taken")
		}
	}
}

func BenchmarkTakeNewShape(b *testing.B) {
	raw := []byte(benchRecord)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, ok := NewTaker(nil).JSON(raw, Full); !ok {
			b.Fatal("not taken")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	tk, raw := NewTaker(nil), []byte(benchRecord)
	taken, _ := tk.JSON(raw, Full)
	var dst []byte
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		dst = taken.Shape.Append(dst[:0], taken.Values)
	}
}
