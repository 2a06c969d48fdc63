package segment

import (
	"fmt"
	"math/rand"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trailward"
)

// cached is a Columns over a reader that decodes each column once.
type cached struct {
	r    *Reader
	have map[string]*Column
}

func newCached(r *Reader) *cached { return &cached{r, map[string]*Column{}} }

func (c *cached) Column(path string) (*Column, error) {
	if c, ok := c.have[path]; ok {
		return c, nil
	}
	col, err := c.r.Column(path)
	c.have[path] = col
	return col, err
}

func (c *cached) Block(path string, block int) (*Column, error) { return c.r.Block(path, block) }

func (c *cached) Search(text string) (Rows, error) { return c.r.Search(text, c) }

func (c *cached) Decoded(path string) bool { return c.have[path] != nil }

// texts reads every record of r, in file order.
func texts(t *testing.T, r *Reader) []string {
	var out []string
	if err := r.Records(nil, func(_ int64, rec *trailward.Record) error { out = append(out, string(rec.Raw)); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFindTextAnywhere(t *testing.T) {
	var recs []in
	for i := range 400 {
		recs = append(recs, in{int64(i * 7919 % 400), fmt.Sprintf(`{"id":%d,"name":"pod-%x","uri":"/api/%x?x=1","q":"a\"b\n%d","tags":["t%d"],"list":["a",%d],"at":"2026-01-01T00:%02d:%02dZ"}`, i, i%37, i%37, i%11, i%5, i%3, i/60%60, i%60), nil})
		recs = append(recs, in{int64(i), fmt.Sprintf("line %d of text é%d", i, i%7), nil})
		recs = append(recs, in{int64(i), fmt.Sprintf("\xff bad %d", i%9), nil})
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"name":"\u003c%d\u003e"}`, i%13), nil})
	}
	recs = append(recs, random(3, 500)...)
	r := write(t, build(t, trailward.KindJSON, nil, recs), Options{})
	cols := newCached(r)
	all := texts(t, r)
	for i := range all {
		got, err := r.AppendRecord(nil, int64(i), cols)
		if err != nil || string(got) != all[i] {
			t.Fatalf("AppendRecord(%d) = %q, %v, want %q", i, got, err, all[i])
		}
	}
	subs := []string{
		`pod-2"`, `"name":"pod-2","uri"`, "pod-", `pod-2`, `":"pod-2"`, `a\"b`, `b\n3`, `n3"`, `\`, `"`, `é3`, "\xff bad 4", "bad", "line 33", `["t1"]`, `t1`, `,2]`, `"list":["a",2],"at`,
		`2026-01-01T00:01`, `1:07Z"}`, `{`, `}`, `003c`, `\u003c5`, `5\u003e`, "zzz", `{"id":12,"name":"pod-c","uri":"/api/c`, `"id":1`, `7,"name`, "<5", ` of text`, `\n`, "n", "u",
	}
	rnd := rand.New(rand.NewSource(1))
	for range 300 { // cut out of the records
		s := all[rnd.Intn(len(all))]
		if len(s) > 1 {
			a := rnd.Intn(len(s))
			subs = append(subs, s[a:a+1+rnd.Intn(min(20, len(s)-a))])
		}
	}
	for _, sub := range subs {
		var want []int64
		for i, s := range all {
			if strings.Contains(s, sub) {
				want = append(want, int64(i))
			}
		}
		got, ok, err := r.Find([]Cond{{Any: []Test{{Message: true, Op: Contains, Values: []string{sub}}}}}, len(all), cols)
		if err != nil || !ok || !slices.Equal(got.Rows, want) {
			t.Fatalf("Find(%q) = %d rows, %v, %v, want %d", sub, len(got.Rows), ok, err, len(want))
		}
	}
}

func TestFindByFields(t *testing.T) {
	var recs []in
	for i := range 1000 {
		recs = append(recs, in{int64(i), fmt.Sprintf(`{"id":"id-%d","n":%d,"ip":"10.0.%d.%d","user":"u%d","when":"2026-01-01T00:00:%02dZ","f":"%d.0"}`, i, i%50, i%4, i%250, i%7, i%60, i%5), nil})
	}
	recs = append(recs, in{2000, `{"other":"x"}`, nil})
	r := write(t, build(t, trailward.KindJSON, nil, recs), Options{})
	cols := newCached(r)
	for _, c := range []struct {
		name  string
		conds []Cond
		want  int
		ok    bool
	}{
		{"equal", []Cond{{Any: []Test{{Columns: []string{"id"}, Op: Equal, Values: []string{"id-7"}}}}}, 1, true},
		{"equal, none", []Cond{{Any: []Test{{Columns: []string{"id"}, Op: Equal, Values: []string{"id-7777"}}}}}, 0, true},
		{"no such column", []Cond{{Any: []Test{{Columns: []string{"nope"}, Op: Equal, Values: []string{"x"}}}}}, 0, true},
		{"number", []Cond{{Any: []Test{{Columns: []string{"n"}, Op: Equal, Values: []string{"7"}, Loose: true}}}}, 20, true},
		{"number written otherwise", []Cond{{Any: []Test{{Columns: []string{"f"}, Op: Equal, Values: []string{"3"}, Loose: true}}}}, 200, true},
		{"two conditions", []Cond{{Any: []Test{{Columns: []string{"n"}, Op: Equal, Values: []string{"7"}}}}, {Any: []Test{{Columns: []string{"user"}, Op: Equal, Values: []string{"u0", "u1"}}}}}, 6, true},
		{"either", []Cond{{Any: []Test{{Columns: []string{"id"}, Op: Equal, Values: []string{"id-1"}}, {Columns: []string{"other"}, Op: Present}}}}, 2, true},
		{"contains", []Cond{{Any: []Test{{Columns: []string{"id"}, Op: Contains, Values: []string{"d-99"}}}}}, 11, true},
		{"regexp", []Cond{{Any: []Test{{Columns: []string{"when"}, Op: Match, Regexp: regexp.MustCompile(`:59Z$`)}}}}, 16, true},
		{"subnet", []Cond{{Any: []Test{{Columns: []string{"ip"}, Op: Within, Prefix: netip.MustParsePrefix("10.0.3.0/29")}}}}, 8, true},
		{"too many", []Cond{{Any: []Test{{Columns: []string{"user"}, Op: Present}}}}, 0, false},
		{"unknown is no limit", []Cond{{Any: []Test{{Message: true, Op: Match, Regexp: regexp.MustCompile("x")}}}}, 0, false},
	} {
		rows, ok, err := r.Find(c.conds, 500, cols)
		if err != nil || ok != c.ok || len(rows.Rows) != c.want {
			t.Errorf("%s: Find = %d rows, %v, %v, want %d, %v", c.name, len(rows.Rows), ok, err, c.want, c.ok)
		}
	}
}
