package lower_test

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"trailward/query/plan"
)

// TestAnythingTakesAnything runs random expressions of every function and
// operator over values of every kind: what a record holds must never be an
// error, only a null.
func TestAnythingTakesAnything(t *testing.T) {
	db := openDB(t)
	if _, err := db.Exec("SET threads = 1; SET memory_limit = '1GB'"); err != nil {
		t.Fatal(err)
	}
	recs := []record{
		{time: now, message: `{"a":1}`, doc: map[string]any{"a": "x=1 b=2", "b": "3", "n": "7", "l": []any{"x", "2", nil}, "o": map[string]any{"k": "v"}, "c": "1e400"}},
		{time: now.Add(-1e9), message: `text`, doc: map[string]any{"a": "10.0.0.1", "b": "fd00::1", "n": "-9", "l": "[", "c": "é\x00"}},
		{time: now.Add(-2e9), message: ``, doc: map[string]any{"a": "", "b": "9223372036854775807", "n": "9223372036854775807"[:18], "l": []any{}, "c": "nan"}},
		{time: now.Add(-3e9), message: `"`, doc: map[string]any{"a": "{\"k\":[1]}", "b": "%zz", "n": "0", "l": "{}", "c": "-1e308"}},
	}
	leaves := []string{"a", "b", "n", "l", "o", "o.k", "c", "missing", "@timestamp", "@message", "@logStream", "@ptr", "'x'", "'10.0.0.0/8'", "''", "5", "-3.5", "1e308", "0", "9007199254740993", "true", "null", "jsonParse(a)", "split(a, ' ')", "bin(1h)"}
	var funcs []string
	for name := range plan.Funcs {
		funcs = append(funcs, name)
	}
	slices.Sort(funcs)
	r := rand.New(rand.NewSource(1))
	var expr func(depth int) string
	expr = func(depth int) string {
		if depth == 0 {
			return leaves[r.Intn(len(leaves))]
		}
		x := func() string { return expr(r.Intn(depth)) }
		switch r.Intn(9) {
		case 0:
			return "(" + x() + []string{" + ", " - ", " * ", " / ", " % ", " ^ "}[r.Intn(6)] + x() + ")"
		case 1:
			return "(" + x() + []string{" = ", " != ", " < ", " >= "}[r.Intn(4)] + x() + ")"
		case 2:
			return "(" + x() + []string{" and ", " or ", " like ", " not like "}[r.Intn(4)] + x() + ")"
		case 3:
			return "(" + x() + " in [" + x() + ", " + x() + "])"
		case 4:
			return "(" + x() + " like /[a-z]+(?i)K/)"
		case 5:
			return []string{"datefloor(", "dateceil("}[r.Intn(2)] + x() + ", " + []string{"5m", "1w", "1mo", "1y", "250ms"}[r.Intn(5)] + ")"
		}
		f := plan.Funcs[funcs[r.Intn(len(funcs))]]
		n := f.Min
		if f.Max > f.Min {
			n += r.Intn(f.Max - f.Min + 1)
		} else if f.Max < 0 {
			n += r.Intn(3)
		}
		args := make([]string, n)
		for i := range args {
			args[i] = x()
		}
		if strings.Contains(f.Name, "Subnet") {
			args[1] = []string{"'10.0.0.0/9'", "'0.0.0.0/0'", "'10.0.0.1/32'"}[r.Intn(3)]
			if f.Name == "isIpv6InSubnet" {
				args[1] = "'fd00::/7'"
			}
		}
		switch f.Name {
		case "formatDate":
			args = []string{args[0], "'%Y-%m-%d %H:%M:%S.%g %j'"}
		case "parseDate":
			args = []string{args[0], "'yyyy-MM-dd'"}
		case "regexReplace":
			args = []string{args[0], "/(.)b?/", "'$1x'"}
		case "if":
		case "case":
			args = args[:2+r.Intn(2)*min(1, len(args)-2)]
		}
		return f.Name + "(" + strings.Join(args, ", ") + ")"
	}
	runs := 600
	if testing.Short() {
		runs = 200
	}
	for range runs {
		e := expr(3)
		q := []string{
			"fields %s as x | sort x", "filter %s | fields a", "stats count(*) as n by %s", "fields %s as x | dedup x", "stats sum(%[1]s), avg(%[1]s), min(%[1]s), max(%[1]s), pct(%[1]s, 90)",
			"stats count_distinct(%[1]s), earliest(%[1]s), latest(%[1]s), sortsFirst(%[1]s), values(%[1]s), topk(2, %[1]s), stddev(%[1]s)", "unnest split(%s, ' ') into x | fields x", "fields concat(%s) as y | parse y '*1*' as p, q | display p, q",
			"fields %[1]s as x | accum x | autoregress x p=1-2 | filldown | tail 3", "fields %[1]s as x | outlier action=remove uselower=true mark=true x | addtotals col=true", "sessionize concat(%s) maxspan 1m", "pattern concat(%s)",
			"stats rate(%[1]s, 1m) as a, histogram(%[1]s, 3) by bin(1d) as t, concat(%[1]s) as k | fillmissing with 0 for a", "filter concat(%s) in (SOURCE '*' | fields a)", "countFrequent concat(%s)",
			"fields concat(%[1]s) as x | join type=left left=l right=r where l.x=r.y (SOURCE '*' | fields concat(%[1]s) as y) | fields r.y", "fields %[1]s as x | appendcols (SOURCE '*' | stats count(*) as x by concat(%[1]s))", "cidrlookup nets ip OUTPUT site | lookup users id as a OUTPUTNEW name | filter concat(%s) = name",
		}[r.Intn(18)]
		q = fmt.Sprintf(q, e)
		if len(q) > 9000 {
			continue
		}
		_, st, err := run(db, q, recs, r.Intn(2) == 0)
		var pe *plan.Error
		if err != nil && !errors.As(err, &pe) {
			t.Errorf("run(%s) = %.2000v, want rows", q, err)
			if st != nil {
				t.FailNow()
			}
		}
	}
}
