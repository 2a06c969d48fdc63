package direct

import (
	"errors"
	"reflect"
	"testing"

	"trailward/query/plan"
)

func ref(keys ...string) plan.FieldRef { return plan.FieldRef{Keys: keys} }

func field(keys ...string) plan.Field { return plan.Field{Ref: ref(keys...)} }

func text(s string) plan.Lit { return plan.Lit{Kind: plan.LitText, Text: s} }

func num(s string, f float64) plan.Lit { return plan.Lit{Kind: plan.LitNumber, Text: s, Num: f} }

// The fields of the rows below.
var fields = []plan.FieldRef{ref("@timestamp"), ref("@ptr"), ref("name"), ref("code"), ref("size")}

var types = []plan.Type{plan.Time, plan.Pointer, plan.Text, plan.Text, plan.Int}

func rows() []*Row {
	record := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	return []*Row{
		{Fields: []any{int64(10), int64(1), "b2", "200", int64(7)}, Message: record("one")},
		{Fields: []any{int64(30), int64(2), "b10", "404", nil}, Message: record("two")},
		{Fields: []any{int64(20), int64(3), nil, "4.04e2", int64(9)}, Message: record("three")},
	}
}

func query(cond plan.Expr, above ...func(plan.Node) plan.Node) *plan.Query {
	var n plan.Node = &plan.Filter{In: &plan.Scan{}, Cond: cond}
	for _, f := range above {
		n = f(n)
	}
	return &plan.Query{Root: n, Scans: []*plan.Scan{{}}, Records: true, Output: []plan.Named{{Name: "p", Expr: field("@ptr")}}}
}

// Rows come as the lowering orders them: the newest first unless the plan says
// otherwise.
func TestRun(t *testing.T) {
	sorted := func(desc bool, keys ...string) func(plan.Node) plan.Node {
		return func(n plan.Node) plan.Node {
			return &plan.Sort{In: n, Keys: []plan.SortKey{{Expr: field(keys...), Desc: desc}}}
		}
	}
	limit := func(most int64) func(plan.Node) plan.Node {
		return func(n plan.Node) plan.Node { return &plan.Limit{In: n, N: most} }
	}
	all := plan.And{}
	for _, c := range []struct {
		name    string
		q       *plan.Query
		want    []int64
		matched int64
		err     error
	}{
		{"all, newest first", query(all), []int64{2, 3, 1}, 3, nil},
		{"natural order, what is missing first", query(all, sorted(false, "name")), []int64{3, 1, 2}, 3, nil},
		{"backwards", query(all, sorted(true, "name")), []int64{2, 1, 3}, 3, nil},
		{"the limit counts what matched before it", query(all, limit(2)), []int64{2, 3}, 3, nil},
		{"of the newest two", query(all, limit(2), sorted(false, "name")), []int64{3, 2}, 3, nil},
		{"equal", query(plan.Compare{Op: plan.Equal, L: field("name"), R: text("b2")}), []int64{1}, 1, nil},
		{"what is missing equals nothing", query(plan.Compare{Op: plan.NotEqual, L: field("name"), R: text("b2")}), []int64{2, 3}, 2, nil},
		{"not of what is missing", query(plan.Not{X: plan.Contains{X: field("name"), Sub: text("b")}}), []int64{3}, 1, nil},
		{"integers", query(plan.Compare{Op: plan.GreaterEqual, L: field("size"), R: num("8", 8)}), []int64{3}, 1, nil},
		{"a text that nearly is a number is for the engine", query(plan.Compare{Op: plan.Equal, L: field("code"), R: num("404", 404)}), nil, 0, ErrUnknown},
		{"a regular expression on the record", query(plan.Match{X: field("@message"), Regex: "^t"}), []int64{2, 3}, 2, nil},
		{"in", query(plan.In{X: field("name"), List: []plan.Expr{text("b10"), text("x")}}), []int64{2}, 1, nil},
	} {
		p, err := Compile(c.q, fields, types, nil)
		if err != nil {
			t.Errorf("%s: Compile = %v", c.name, err)
			continue
		}
		out, matched, err := p.Run(rows())
		var got []int64
		for _, r := range out {
			got = append(got, r[0].(int64))
		}
		if !errors.Is(err, c.err) || matched != c.matched || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: Run = %v, %d matched, %v, want %v, %d, %v", c.name, got, matched, err, c.want, c.matched, c.err)
		}
	}
}

// What the direct way does not know, it says before it answers.
func TestCompileRefuses(t *testing.T) {
	cond := plan.Compare{Op: plan.Equal, L: field("name"), R: text("x")}
	for name, q := range map[string]*plan.Query{
		"no condition":                     {Root: &plan.Limit{In: &plan.Scan{}, N: 1}, Scans: []*plan.Scan{{}}},
		"groups":                           query(cond, func(n plan.Node) plan.Node { return &plan.Aggregate{In: n} }),
		"a function":                       query(plan.Call{Func: "isvalidip", Args: []plan.Expr{field("name")}}),
		"two fields":                       query(plan.Compare{Op: plan.Equal, L: field("name"), R: field("code")}),
		"a field not read":                 query(plan.Compare{Op: plan.Equal, L: field("other"), R: text("x")}),
		"times":                            query(plan.Compare{Op: plan.Less, L: field("@timestamp"), R: num("5", 5)}),
		"an order by what nobody computes": query(plan.And{}, func(n plan.Node) plan.Node { return &plan.Sort{In: n, Keys: []plan.SortKey{{Expr: plan.Col{ID: 4}}}} }),
	} {
		if _, err := Compile(q, fields, types, nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: Compile = %v, want ErrUnknown", name, err)
		}
	}
}

// A record that is known to have a text is not read for it.
func TestSearched(t *testing.T) {
	q := query(plan.And{X: []plan.Expr{plan.Contains{X: field("@message"), Sub: text("need")}, plan.Match{X: field("@message"), Regex: "need"}}})
	p, err := Compile(q, fields, types, map[string]bool{"need": true})
	if err != nil {
		t.Fatal(err)
	}
	list := rows()
	for _, r := range list {
		r.Searched = true
		r.Message = func() (string, error) { return "", errors.New("not to be read") }
	}
	if out, _, err := p.Run(list); err != nil || len(out) != 3 {
		t.Fatalf("Run = %d rows, %v, want 3", len(out), err)
	}
}
