package athena

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"trailward"
	"trailward/query/plan"
)

// FuzzLex holds the lexer pass: it must not panic, and places must map back
// into the text, in order.
func FuzzLex(f *testing.F) {
	for _, s := range []string{
		"SELECT `a`, \"b\", 'c' FROM $EDS_ID -- x", "SELECT if(a, b) FROM <EDS ID>", "CAST(x AS ARRAY(ROW(a VARCHAR, MAP(b, c))))",
		"x AS array<row(varchar)>)", "first_value(x) IGNORE NULLS OVER", "/* /* */", "E'\\''", "FROM a-b-c", "`", "'", "1.5e3 é`ü`",
		"IN (VALUES 1, (2), if(a, b, c)) UNION VALUES 'a'", "values 1", "values -1, row(1, 2), ARRAY[1, 2] limit 1", "(values", "(values x,, y]", "U&'x'", "JSON '1' json", "X'6 8' x'' X'6'", "B'1'", "a at time zone at",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := newSource(text)
		if err != nil {
			var pe *plan.Error
			if !errors.As(err, &pe) || pe.Line < 1 || pe.Col < 1 {
				t.Fatalf("newSource(%q) = %v, want a place", text, err)
			}
			return
		}
		last := 0
		for off := 0; off <= len(s.sql); off++ {
			o := s.original(off)
			if o < last || o > len(text) {
				t.Fatalf("original(%d) of %q = %d after %d", off, text, o, last)
			}
			last = o
		}
		if len(s.edits) == 0 && s.sql != text {
			t.Fatalf("newSource(%q) = %q without edits", text, s.sql)
		}
	})
}

// FuzzPrepare gives the whole way hostile text. What passes must give text
// that DuckDB takes without leaving the tables.
func FuzzPrepare(f *testing.F) {
	for _, c := range functionCases {
		f.Add("SELECT " + c.expr)
	}
	f.Add("SELECT ct.userIdentity.arn AS a FROM cloudtrail ct JOIN vpc_flow USING (account_id) WHERE eventtime > current_timestamp - interval '1' day GROUP BY 1")
	f.Add("WITH a AS (SELECT * FROM logs) SELECT * FROM a CROSS JOIN UNNEST(split(message, ',')) AS t(x) ORDER BY 1")
	f.Add("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t AS u TABLESAMPLE BERNOULLI (10) WHERE regexp_like('x', '(?<a>b)')")
	f.Add("WITH t AS (SELECT *, year y FROM cloudtrail WHERE dt > '2024') SELECT x.eventname, count(*) FROM (SELECT * FROM t UNION ALL SELECT * FROM t) x WHERE y = '2024' AND eventid LIKE 'a%'")
	f.Add("SHOW TABLES IN default 'a*'")
	f.Add("DESCRIBE EXTENDED a.`b`")
	f.Add(`SELECT count(*) FROM k8s_audit WHERE regexp_like("@message", '(?i)secret') AND verb = 'get' OR ("@message" LIKE '%kube%exec%' OR NOT strpos("@message", 'x') > 0)`)
	opts := options(f)
	opts.Holds = true
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		q, err := Prepare(text, opts)
		if err != nil {
			return
		}
		if _, err := q.SQL(func(_ int, fields []plan.FieldRef) (plan.Relation, error) { return relationOf(nil, fields), nil }); err != nil {
			if strings.Contains(err.Error(), "prints another query") {
				t.Fatalf("SQL of %q = %v", text, err)
			}
			t.Logf("SQL of %q = %v", text, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"$.a.b[0]", "$", "lax $.a", `$["a b"]['c'][*]`, "a", "$..x", "$[?(@)]", "$.", "[", `$."x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, _, err := convertPath(s)
		if err == nil && !strings.HasPrefix(p, "$") {
			t.Fatalf("convertPath(%q) = %q, want $…", s, p)
		}
	})
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{"%Y-%m-%d %H:%i:%s", "yyyy-MM-dd''T''HH:mm:ss''Z", "%", "%%", "'", "'a''b'", "SSS", "é%é", "QQ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, convert := range []func(string) (string, error){mysqlFormat, jodaFormat} {
			if out, err := convert(s); err == nil && utf8.ValidString(s) && !utf8.ValidString(out) {
				t.Fatalf("convert(%q) = %q", s, out)
			}
		}
	})
}

// FuzzTree gives the guard and the rewriter trees that no parser made.
func FuzzTree(f *testing.F) {
	opts := options(f)
	for _, q := range treeSeeds {
		tree, err := opts.Serialize(q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(tree))
	}
	f.Fuzz(func(t *testing.T, tree []byte) { prepareTree(opts, string(tree)) })
}

// prepareTree runs Prepare as if DuckDB had made this tree.
func prepareTree(opts Options, tree string) error {
	const text = "SELECT 'a query'"
	serialize := opts.Serialize
	opts.Serialize = func(s string) (string, error) {
		if s == text {
			return tree, nil
		}
		return serialize(s)
	}
	_, err := Prepare(text, opts)
	return err
}

var treeSeeds = []string{
	"SELECT useridentity.arn, resources[1].arn, element_at(requestparameters, 'y'), count(*) FILTER (WHERE readonly = true), sum(packets) OVER (PARTITION BY srcaddr ORDER BY bytes ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM cloudtrail t JOIN vpc_flow USING (account_id) WHERE eventtime > current_timestamp AND dstport IN (1, 2) GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 LIMIT 3",
	"WITH a(x) AS (SELECT 1) SELECT * FROM a, (VALUES (1, 2)) v(p, q) CROSS JOIN UNNEST(ARRAY[1]) WITH ORDINALITY AS u(m, n) UNION ALL SELECT 1, 2, 3, 4, t.level FROM json t",
	"SELECT CASE WHEN a THEN b ELSE c END, cast(a AS row(x varchar)), try_cast(b AS decimal(3, 1)), transform(x, y -> y + 1), reduce(a, 0, (s, x) -> s + x, s -> s), EXISTS (SELECT 1), a NOT BETWEEN 1 AND 2, interval '1' day, json_extract(a, '$.b'), date_format(a, '%Y'), contains('10.0.0.0/8', b) FROM logs",
}

// TestMutatedTrees breaks real trees in thousands of ways. None may make the
// guard or the rewriter panic.
func TestMutatedTrees(t *testing.T) {
	opts := options(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var trees []node
	for _, q := range treeSeeds {
		text, err := opts.Serialize(q)
		if err != nil {
			t.Fatal(err)
		}
		root, err := decodeTree(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := prepareTree(opts, text); err != nil {
			t.Fatalf("unbroken: %v", err)
		}
		trees = append(trees, root)
	}
	passed := 0
	for i := range 6000 {
		root := clone(trees[i%len(trees)]).(node)
		for range 1 + rng.IntN(3) {
			mutate(rng, root)
		}
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("panic %v on %s", p, text)
				}
			}()
			if prepareTree(opts, string(text)) == nil {
				passed++
			}
		}()
	}
	t.Logf("%d mutations passed", passed)
}

// mutate changes one random member somewhere in the tree.
func mutate(rng *rand.Rand, root node) {
	type place struct {
		in  node
		key string
	}
	var places []place
	var values []any
	var walk func(any)
	walk = func(v any) {
		values = append(values, v)
		switch v := v.(type) {
		case node:
			for _, k := range sortedKeys(v) {
				places = append(places, place{v, k})
				walk(v[k])
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(root)
	p := places[rng.IntN(len(places))]
	switch rng.IntN(6) {
	case 0:
		delete(p.in, p.key)
	case 1:
		p.in[p.key] = nil
	case 2:
		p.in[p.key] = []any{"", true, json.Number("7"), []any{}, node{}, "FUNCTION", []any{nil}, []any{"a"}}[rng.IntN(8)]
	case 3:
		p.in[p.key] = clone(values[rng.IntN(len(values))])
	case 4:
		if l, ok := p.in[p.key].([]any); ok && len(l) > 0 {
			p.in[p.key] = l[:rng.IntN(len(l))]
		}
	case 5:
		p.in[fmt.Sprint("new", rng.IntN(3))] = clone(values[rng.IntN(len(values))])
	}
}

func sortedKeys(n node) []string {
	out := make([]string, 0, len(n))
	for k := range n {
		out = append(out, k)
	}
	for i := range out { // few keys
		for j := i + 1; j < len(out); j++ {
			if out[j] < out[i] {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

// TestAddresses holds the SQL that reads addresses to what net/netip reads.
func TestAddresses(t *testing.T) {
	opts := options(t)
	rng := rand.New(rand.NewPCG(3, 4))
	var texts []string
	for range 300 {
		var b [16]byte
		for i := range b {
			if rng.IntN(3) > 0 {
				b[i] = byte(rng.Uint32())
			}
		}
		texts = append(texts, netip.AddrFrom16(b).String(), netip.AddrFrom4([4]byte(b[:4])).String())
	}
	texts = append(texts, "::", "::1", "1::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "-", "", "s3.amazonaws.com", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"1::2::3", ":::", ":1::", "1:::2", "g::", "12345::", ":", "1:", ":1:2:3:4:5:6:7", "AWS Internal", "FE80::A", "::ffff:1.2.3.4", "::FFFF:300.2.3.4", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8")
	var recs []record
	for _, s := range texts {
		recs = append(recs, record{"eventName": s, "eventID": s})
	}
	_, rows, err := run(t, "SELECT eventname, cast(cast(eventname AS ipaddress) AS varchar) FROM cloudtrail", opts, map[trailward.Kind][]record{trailward.KindCloudTrail: recs})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		want := "NULL"
		if a, err := netip.ParseAddr(r[0]); err == nil {
			if a.Is4() || a.Is4In6() {
				want = a.Unmap().String()
			} else {
				var groups []string
				b := a.As16()
				for i := 0; i < 16; i += 2 {
					groups = append(groups, fmt.Sprintf("%x", int(b[i])<<8|int(b[i+1])))
				}
				want = strings.Join(groups, ":")
			}
		}
		if r[1] != want {
			t.Errorf("address %q = %s, want %s", r[0], r[1], want)
		}
	}
}
