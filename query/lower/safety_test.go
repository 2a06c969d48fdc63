package lower_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trailward/query/insights"
	"trailward/query/lower"
	"trailward/query/plan"
)

// hostile are texts that would do harm if they were pasted.
var hostile = []string{
	`'; DROP TABLE x; --`, `" OR 1=1 --`, `a''b`, `\'; SELECT 1`, "nul\x00byte", "line\nbreak", `$1 $2 $*`, `%s %d`, `{'a': 1}`, `'`, `"`, `\`, "`", `/* */ --`, `é'ü"`, `' || chr(0) || '`,
}

// bare removes quoted literals and identifiers from SQL, with ticks those between
// backticks too.
func bare(t *testing.T, sql string, ticks bool) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(sql); i++ {
		q := sql[i]
		if q != '\'' && q != '"' && (q != '`' || !ticks) {
			b.WriteByte(q)
			continue
		}
		for i++; ; i++ {
			if i >= len(sql) {
				t.Fatalf("SQL has a literal without end: %s", sql)
			}
			if sql[i] == q {
				if i+1 < len(sql) && sql[i+1] == q {
					i++
					continue
				}
				break
			}
		}
	}
	return b.String()
}

// sqlOf lowers a query over a scan in which every field is text.
func sqlOf(query string, d lower.Dialect) (*lower.Statement, error) {
	q, err := insights.Compile(query, insights.Options{Now: now})
	if err != nil {
		return nil, err
	}
	return lower.Lower(q, anyFields(d), d)
}

func anyFields(d lower.Dialect) plan.OpenFunc {
	return func(_ *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		rel := plan.Relation{SQL: "(SELECT * FROM " + d.Ident("records") + ")", Columns: map[string]plan.Column{}}
		for i, f := range fields {
			typ := plan.Text
			switch f.Key() {
			case "@timestamp", "@ingestionTime":
				typ = plan.Time
			case "@ptr":
				typ = plan.Pointer
			}
			rel.Columns[f.Key()] = plan.Column{Name: fmt.Sprintf("c%d", i), Type: typ}
		}
		return rel, nil
	}
}

// escape writes s as a QL string.
func escape(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// TestPlantedText puts texts into every place of a query that takes text: they
// must come out between quotes only, and mean what they say.
func TestPlantedText(t *testing.T) {
	const mark = "pLaNt"
	name := func(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
	for _, h := range hostile {
		s := mark + h
		re := strings.NewReplacer(`/`, `\/`, `\`, `\\`, `*`, `\*`, `$`, `\$`, `{`, `\{`, `|`, `\|`).Replace(s)
		for _, q := range []string{
			"filter a = " + escape(s), "filter a like " + escape(s), "filter a in [" + escape(s) + "]", "filter a != " + escape(s), "filter a > " + escape(s),
			"filter a like /" + re + "/", "fields " + name(s) + " as " + name(s+"2") + " | sort " + name(s+"2"), "stats count(*) as " + name(s) + " by " + name(s+"3") + ", a." + name(s),
			"parse a " + escape(strings.ReplaceAll(s, "*", "")+"*") + " as " + name(s), "parse a /(?<x>" + re + ")/ | display x", "fields replace(a, " + escape(s) + ", " + escape(s) + ")", "fields jsonParse(a)." + name(s) + " as x",
			"fields concat(" + escape(s) + ", a) as x | stats count(*) by x", "fields regexReplace(a, /" + re + "/, " + escape(s) + ")", "SOURCE " + escape(s) + " | fields a", "fields formatDate(@timestamp, " + escape(mark+"%Y") + ")",
			"dedup " + name(s), "unnest " + name(s) + " into " + name(s+"4"), "fields split(a, " + escape(s) + ")[0]", "fields parseDate(a, " + escape("yyyy '"+mark+"'") + ")",
		} {
			for _, d := range []lower.Dialect{lower.DuckDB, lower.Trino, lower.Spark} {
				st, err := sqlOf(q, d)
				if err != nil {
					if d != lower.DuckDB && strings.Contains(err.Error(), "cannot be said in "+d.Name()+"'s SQL") {
						continue
					}
					if strings.Contains(q, "regexReplace") && strings.Contains(err.Error(), "replacement names group") {
						continue // $1 without a group
					}
					t.Errorf("Lower(%q) = %v, want SQL", q, err)
					continue
				}
				if rest := bare(t, st.SQL, d == lower.Spark); strings.Contains(rest, mark) || strings.Contains(st.SQL, "\x00") {
					t.Errorf("Lower(%q) has text of the query outside quotes: %s", q, rest)
				}
			}
		}
	}
}

// TestHostileTextMatches runs queries with such texts on DuckDB.
func TestHostileTextMatches(t *testing.T) {
	db := openDB(t)
	for _, h := range hostile {
		recs := []record{{time: now, message: "m", doc: map[string]any{"a": "x" + h + "y", h: "1", "o": map[string]any{h: "2"}}}}
		name := "`" + strings.ReplaceAll(h, "`", "``") + "`"
		for _, q := range []string{
			"filter a = " + escape("x"+h+"y") + " | stats count(*) as n",
			"filter a like " + escape(h) + " | stats count(*) as n",
			"filter a in [" + escape("x"+h+"y") + ", 3] | stats count(*) as n",
			"filter replace(a, " + escape(h) + `, "") = "xy" | stats count(*) as n`,
			"parse a " + escape("x"+strings.ReplaceAll(h, "*", "")+"*") + " as z | stats count(*) as n",
			"filter " + name + " = 1 and o." + name + " = 2 | stats count(*) as n",
			"fields " + escape(h) + " as q | lookup hostile k as q OUTPUT v as w | filter w = concat('found ', q) | stats count(*) as n",
			"fields " + escape(h) + " as q | filter q in (SOURCE '*' | fields " + escape(h) + " as q) | stats count(*) as n",
			"filter concat(" + escape(h) + ") = " + escape(h) + " | stats count(*) as n",
		} {
			got, _, err := run(db, q, recs, false)
			if err != nil || len(got) != 1 || got[0] != `{"n":"1"}` {
				t.Errorf("run(%q) = %v, %v, want one row with 1", q, got, err)
			}
		}
	}
}

// TestDeepAndLong gives queries at and over the limits: they must be answered
// or refused, in a size of SQL that the engine takes.
func TestDeepAndLong(t *testing.T) {
	db := openDB(t)
	recs := []record{{time: now, message: "m", doc: map[string]any{"a": "1", "b": "2"}}}
	rep := func(before, mid, after string, n int) string {
		return strings.Repeat(before, n) + mid + strings.Repeat(after, n)
	}
	for _, c := range []struct {
		name, query string
		ok          bool
	}{
		{"parentheses", "filter " + rep("(", "a = 1", ")", 190), true},
		{"too many parentheses", "filter " + rep("(", "a = 1", ")", 4000), false},
		{"not", "filter " + rep("not ", "a = 1", "", 190), true},
		{"too many not", "filter " + rep("!", "a", "", 9000), false},
		{"minus", "fields " + rep("- ", "a", "", 190) + " as x", true},
		{"too many minus", "fields " + rep("-", "a", "", 9000) + " as x", false},
		{"sum", "fields a" + rep(" + a", "", "", 190) + " as x", true},
		{"long sum", "fields a" + rep("+a", "", "", 4000) + " as x", false},
		{"powers", "fields a" + rep("^a", "", "", 4000) + " as x", false},
		{"long and", "filter a=1" + rep(" and a=1", "", "", 1000), true},
		{"long or", "filter a=1" + rep(" or b=1", "", "", 1000), true},
		{"long in", "filter a in [1" + rep(",1", "", "", 998) + "]", true},
		{"too long in", "filter a in [1" + rep(",1", "", "", 2000) + "]", false},
		{"nested functions", "fields " + rep("abs(", "a", ")", 190) + " as x", true},
		{"nested concat", "fields " + rep("concat(", "a", ")", 190) + " as x", true},
		{"nested replace", "fields " + rep("replace(", "a", ",b,a)", 190) + " as x", true},
		{"nested truth", "fields " + rep("concat(1=", "a", ")", 90) + " as x", true},
		{"nested comparison of texts", "fields " + rep("concat(b<concat(", "a", "))", 60) + " as x", true},
		{"nested numbers in texts", "fields " + rep("concat(abs(", "a", "))", 90) + " as x", true},
		{"nested if", "fields " + rep("if(a=1,", "a", ",b)", 100) + " as x", true},
		{"nested coalesce", "fields " + rep("coalesce(b,", "a", ")", 190) + " as x", true},
		{"nested jsonParse", "fields " + rep("jsonParse(", "a", ".x)", 90) + " as x", true},
		{"nested dateceil", "fields " + rep("dateceil(", "@timestamp", ",1h)", 90) + " as x", true},
		{"nested haversine", "fields " + rep("haversine(1,2,3,", "a", ")", 100) + " as x", true},
		{"nested isEmpty", "fields " + rep("isempty(", "a", ")", 190) + " as x", true},
		{"nested greatest", "fields " + rep("greatest(a,", "a", ")", 190) + " as x", true},
		{"nested split", "fields " + rep("split(", "a", ",b)[0]", 90) + " as x", true},
		{"many commands", "filter a=1" + rep("|filter a=1", "", "", 99), true},
		{"too many commands", "filter a=1" + rep("|filter a=1", "", "", 100), false},
		{"chain of fields", "fields a as x" + rep("|fields concat(x,1) as x", "", "", 99), true},
		{"chain of comparisons", "fields a as x" + rep("|fields concat(x)<concat(x) as x", "", "", 99), true},
		{"chain of sorts", "fields a" + rep("|sort concat(a,b)|limit 5", "", "", 49), true},
		{"chain of unnest", "fields a" + rep("|unnest a into a", "", "", 99), true},
		{"many columns", "fields a" + rep(", a+1", "", "", 1400), true},
		{"long text", "filter a = '" + strings.Repeat("x", 9900) + "'", true},
		{"too long text", "filter a = '" + strings.Repeat("x", 10000) + "'", false},
		{"many dots", "fields a" + rep(".a", "", "", 4000), false},
		{"open quotes", "fields '" + strings.Repeat("\\'", 4000), false},
		{"open lists", "filter a in " + strings.Repeat("[", 9000), false},
		{"large regular expression", "filter a like /" + rep("(", "a", "{30}){30}", 4) + "/", false},
		{"regular expression of classes", `filter a like /` + strings.Repeat(`\pL`, 3000) + `/`, false},
		{"nested regular expression", "filter a like /" + rep("(", "a", ")", 900) + "/", true},
		{"many groups", "parse a /" + strings.Repeat("(x)?", 300) + "(?<y>1)/ | display y", true},
		{"stats", "stats count(*) as n by a" + rep("|stats sum(n) as n by a", "", "", 9), true},
		{"too many stats", "stats count(*) as n by a" + rep("|stats sum(n) as n by a", "", "", 10), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, st, err := run(db, c.query, recs, false)
			if c.ok && err != nil {
				t.Errorf("run(%.60s…) = %.300v, want rows", c.query, err)
			}
			var pe *plan.Error
			if !c.ok && !errors.As(err, &pe) {
				t.Errorf("run(%.60s…) = %.300v, want a *plan.Error", c.query, err)
			}
			if st != nil && len(st.SQL) > 1<<20 {
				t.Errorf("run(%.60s…) makes %d bytes of SQL, want at most 1 MiB", c.query, len(st.SQL))
			}
		})
	}
}

// FuzzLower holds that what compiles also lowers, without a panic, into SQL in
// which no byte of the query stands outside quotes.
func FuzzLower(f *testing.F) {
	for _, q := range []string{
		"fields a, b | filter a = 'x' and b > 3 | sort a desc | limit 5", "stats count(*) as n, pct(a, 95) by bin(5m), b | filter n > 3", "parse @message \"a=* b=*\" as x, y | dedup x",
		"parse a /(?<x>\\d+)/ | stats avg(x)", "fields jsonParse(@message) as j | unnest j.a into t | display t.b", "filter isIpInSubnet(a, '10.0.0.0/8') or a in [1, 'b'] and not c like /x/",
		"pattern @message | anomaly | filter @anomaly", "filter b in (SOURCE 'g' | sort a | limit 1 | fields b) | accum a | fields a", "join left=l right=r where l.a=r.b (SOURCE 'g' | stats count(*) as n by b) | fields r.n, l.c | addtotals col=true",
		"stats count(*) as n by bin(1h) as t, a | fillmissing with 'x' for n | sort t | tail 2", "lookup u a as b OUTPUTNEW c | cidrlookup n ip OUTPUT x | outlier mark=true c | sessionize a", "fields a | appendcols override=true (SOURCE 'g' | fields a, b) | filldown | autoregress b p=1-3",
		"fields a as `x%'y` | relevantfields a, `x%'y`, b.c where d > '%' | sort @fieldName | estimate",
		"fields case(a=1,'x',b=2,3,c) as k, `odd.name`, a.b[0] | display toupper(k)", "SOURCE 'g' | fields datefloor(@timestamp, 1mo) | head 3", "stats latest(a), values(b), topk(3, c) by concat(a, 1)",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		p, err := insights.Compile(q, insights.Options{Now: now})
		if err != nil {
			var pe *plan.Error
			if !errors.As(err, &pe) {
				t.Fatalf("Compile(%q) = %v, want a *plan.Error", q, err)
			}
			return
		}
		p.Predicates()
		st, err := lower.Lower(p, anyFields(lower.DuckDB), lower.DuckDB)
		if err != nil {
			var pe *plan.Error
			if !errors.As(err, &pe) {
				t.Fatalf("Lower(%q) = %v, want SQL or a *plan.Error", q, err)
			}
			return
		}
		if len(st.Columns) == 0 {
			t.Fatalf("Lower(%q) has no columns", q)
		}
		for _, r := range bare(t, st.SQL, false) {
			if r > 126 || r == 0 || r == '\\' || r == '`' || r == ';' || r == '#' {
				t.Fatalf("Lower(%q) has %q outside quotes: %s", q, r, st.SQL)
			}
		}
	})
}
