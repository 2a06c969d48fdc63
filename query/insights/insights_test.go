package insights

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"trailward/query/plan"
)

var options = Options{Now: time.Unix(1767225600, 0)}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, query string
		line, col   int
		want        string
	}{
		{"unknown command", "fileds a", 1, 1, `unknown command "fileds"; did you mean fields?`},
		{"unknown command far from all", "xyzzy a", 1, 1, "expected a command"},
		{"another language's word", "filter a contains 'x'", 1, 10, `text is looked for by like "text"`},
		{"is null", "filter a is null", 1, 10, "isPresent(field)"},
		{"ampersands", "filter a = 1 && b = 2", 1, 14, "joined by and, or"},
		{"bars", "filter a = 1 || b = 2", 1, 15, "joined by and, or"},
		{"a comma is missing", "fields a b", 1, 10, "expected a comma, | or the end of the query"},
		{"descending", "sort a descending", 1, 8, "did you mean desc?"},
		{"group by", "stats count(*) group by a", 1, 16, "write by, without group"},
		{"closed twice", "filter a = 1)", 1, 13, "no ( that it closes"},
		{"SQL", "SELECT * FROM cloudtrail", 1, 1, "this looks like SQL"},
		{"ago", "filter a > ago(1h)", 1, 12, "since when"},
		{"an aggregate without parentheses", "stats count by a", 1, 7, "did you mean count(…)?"},
		{"a list without an end", "filter a in [1, 2", 1, 18, "expected , or the bracket"},
		{"estimate is last", "estimate | fields a", 1, 12, "fields after estimate; estimate is the last command"},
		{"relevantfields without where", "relevantfields a, b", 1, 20, "unexpected end of query in relevantfields; expected fields and where"},
		{"relevantfields of nothing known", "relevantfields where a > 1", 1, 1, "relevantfields does not know the fields of the records here; name them"},
		{"unknown function", "fields a | filter ispresnt(a)", 1, 19, "unknown function ispresnt; did you mean isPresent?"},
		{"function of another name", "fields frobnicate(a)", 1, 8, "expected a function"},
		{"rate without a period", "stats rate(a, 5) by bin(5m)", 1, 15, "interval of rate is no period"},
		{"buckets", "stats histogram(a, 0)", 1, 20, "number of buckets is out of range"},
		{"SOURCE of nothing", "SOURCE | fields a", 1, 8, `unexpected "|" after SOURCE`},
		{"SOURCE in the middle", "fields a | SOURCE 'g'", 1, 12, "SOURCE comes before the first command"},
		{"prefixes", "SOURCE logGroups(namePrefix: ['a','b','c','d','e','f'])", 1, 31, "namePrefix takes at most 5 values"},
		{"argument of logGroups", "SOURCE logGroups(prefix: ['a'])", 1, 18, "expected namePrefix, accountIdentifier or class"},
		{"class", "SOURCE logGroups(class: ['BEST'])", 1, 18, "unknown log class"},
		{"tags", "SOURCE logGroupTags({})", 1, 21, "logGroupTags holds no JSON array"},
		{"start", "SOURCE 'g' start=x | fields a", 1, 18, "expected a time such as -1d"},
		{"subquery that does not end", "filter a in (SOURCE 'g' | fields a", 1, 35, "unexpected end of query after the subquery"},
		{"subquery without a query", "appendcols ( )", 1, 14, "empty subquery"},
		{"fault in a subquery", "filter a in (SOURCE 'g' | fieldz a)", 1, 27, "unknown command"},
		{"join without names", "join where a.x=b.x (SOURCE 'g')", 1, 1, "join needs two different names"},
		{"join of one name", "join left=a right=a where a.x=a.x (SOURCE 'g')", 1, 1, "join needs two different names"},
		{"join without where", "join left=a right=b (SOURCE 'g')", 1, 21, "expected where"},
		{"type of join", "join type=outer left=a right=b where a.x=b.x (SOURCE 'g')", 1, 11, "join has no type"},
		{"max of appendcols", "appendcols max=0 (SOURCE 'g')", 1, 16, "max is a whole number from 1 to 100000"},
		{"override of appendcols", "appendcols override=1 (SOURCE 'g')", 1, 21, "expected true or false"},
		{"autoregress backwards", "autoregress a p=5-2", 1, 19, "the end of p is a whole number from 5 to 1000"},
		{"autoregress of nothing", "autoregress", 1, 12, "expected a field, a value or a function"},
		{"accum of an expression", "accum a+1", 1, 8, `unexpected "+" after accum`},
		{"accum of a function", "accum abs(a)", 1, 7, "accum works on a field"},
		{"addtotals", "addtotals label=x a", 1, 17, "addtotals has no label="},
		{"fillmissing", "stats count(*) by bin(5m) | fillmissing with 0", 1, 47, "expected for and a column"},
		{"fillmissing of a key", "stats count(*) as n by bin(5m) as t | fillmissing with 0 for t", 1, 62, `column "t" is a key of the groups`},
		{"fillmissing of no column", "stats count(*) as num by bin(5m) as t | fillmissing with 0 for nun", 1, 64, `fillmissing knows no column "nun"; did you mean num?`},
		{"outlier", "outlier action=hide a", 1, 16, "expected remove or transform"},
		{"sessionize", "sessionize a maxspan 5", 1, 22, "expected a period such as 30m"},
		{"sessionize after stats", "stats count(*) by a | sessionize a", 1, 23, "sessionize needs @timestamp"},
		{"lookup", "lookup t a b", 1, 12, "expected OUTPUT or OUTPUTNEW"},
		{"cidrlookup of two", "cidrlookup t a, b OUTPUT c", 1, 17, "cidrlookup compares one field"},
		{"json", "json field=a b", 1, 14, "expected a path in quotes"},
		{"json path", `json "a[x]"`, 1, 6, "is no path"},
		{"diff", "diff lastYear", 1, 6, "expected previousDay"},
		{"diff of all time", "diff", 1, 1, "diff needs to know since when the query looks"},
		{"diff after stats", "stats count(*) by a | diff", 1, 23, "diff after stats; expected pattern"},
		{"logcompare", "logcompare 7d", 1, 12, "expected timeshift"},
		{"anomaly after stats", "stats count(*) as n by a | pattern a | anomaly", 1, 40, "anomaly needs @timestamp"},
		{"arity", "fields strlen(a, b)", 1, 8, "strlen with 2; expected 1 argument"},
		{"arity range", "fields substr(a)", 1, 8, "substr with 1; expected 2 to 3 arguments"},
		{"aggregate outside stats", "filter count(*) > 1", 1, 8, "count(…) is an aggregate; aggregates belong into stats"},
		{"unknown field after stats", "stats count(*) as total by a | filter totl > 3", 1, 39, `unknown field "totl" after stats; did you mean total?`},
		{"no aggregate", "stats a by b", 1, 7, "neither grouped by nor inside an aggregate"},
		{"constant is no aggregate", "stats 5 by b", 1, 7, "is no aggregate; expected an aggregate such as count(*)"},
		{"by alone", "stats by a", 1, 7, "stats without an aggregate"},
		{"limit of zero", "limit 0", 1, 7, "expected a whole number from 1 to 100000"},
		{"limit too high", "limit 100001", 1, 7, "expected a whole number"},
		{"limit of a half", "limit 2.5", 1, 7, "expected a whole number"},
		{"open string", "filter a = 'x", 1, 12, "string does not end; expected a closing '"},
		{"open backtick", "filter `a = 1", 1, 8, "name does not end"},
		{"open regex", "filter a like /x", 1, 15, "regular expression does not end"},
		{"open parenthesis", "filter (a = 1", 1, 14, `unexpected end of query in parentheses; expected )`},
		{"bad regex", "filter a like /x(?=y)/", 1, 17, "regular expression: invalid or unsupported Perl syntax"},
		{"missing operand", "filter a =", 1, 11, "expected a field, a value or a function"},
		{"trailing pipe", "fields a |", 1, 11, "query ends with |"},
		{"several queries", "fields a\nfields b", 2, 1, "a text holds one query"},
		{"unit", "stats count(*) by bin(5x)", 1, 24, `unknown unit "x"`},
		{"period missing", "stats count(*) by bin()", 1, 19, "bin needs a period; expected bin(5m)"},
		{"period as a value", "filter a = 5m", 1, 12, "unexpected period 5m"},
		{"regex as a value", "filter a = /x/", 1, 12, "unexpected regular expression"},
		{"block", "filter isIpInSubnet(a, '10.0.0.0')", 1, 24, "is no CIDR block"},
		{"percentile", "stats pct(a, 101)", 1, 14, "percentile is out of range"},
		{"stars", "parse a 'x*y*' as b", 1, 9, "pattern has 2 stars and 1 names"},
		{"no group", "parse a /x/", 1, 9, "expression has no named group"},
		{"in", "filter a in 5", 1, 13, "expected [ and a list of values"},
		{"character", "filter a ~ 5", 1, 10, "unexpected character '~'"},
		{"characters count, not bytes", "filter é = 'ü' ; x", 1, 16, "unexpected character ';'"},
		{"column twice", "stats count(*) as a, sum(x) as a", 1, 32, `column "a" is there already`},
		{"text too long", strings.Repeat("x", MaxText+1), 1, 1, "query has 10001 characters, the limit is 10000"},
		{"not UTF-8", "filter a = '\xff'", 1, 13, "not valid UTF-8"},
		{"number too large", "filter a = 1e999", 1, 12, "number 1e999 is out of range"},
		{"zone", "fields formatDate(@timestamp, '%Y', 'Nowhere')", 1, 37, "unknown time zone"},
		{"dedup", "dedup a | filter b = 1", 1, 11, "filter after dedup; only limit, fields and display may follow dedup"},
		{"filter that mixes both sides of stats", "stats count(*) as total by a | filter total > 3 and service = 'x'", 1, 53, `unknown field "service" after stats; after stats only its columns exist: a, total`},
		{"a count of another name", "stats count(*) as c by a | filter total > 3", 1, 35, `unknown field "total" after stats; after stats only its columns exist: a, c`},
		{"filter behind a limit", "stats count(*) as total by a | limit 3 | filter service = 'x'", 1, 49, `unknown field "service" after stats`},
		{"filter behind two stats", "stats count(*) as total by a | stats max(total) as m | filter a = 'x'", 1, 63, `unknown field "a" after stats`},
		{"half a placeholder", "filter a = <b", 1, 12, "expected a field, a value or a function"},
		{"a tag is no placeholder", "filter a = <1>", 1, 12, "expected a field, a value or a function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Compile(c.query, options)
			var pe *plan.Error
			if !errors.As(err, &pe) {
				t.Fatalf("Compile(%.60q) = %v, want a *plan.Error", c.query, err)
			}
			if pe.Line != c.line || pe.Col != c.col || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Compile(%.60q) = %v, want line %d, column %d: %s", c.query, err, c.line, c.col, c.want)
			}
		})
	}
}

func TestLexPath(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a", []string{"a"}},
		{"a.b.0.c", []string{"a", "b", "0", "c"}},
		{"tags[0].x[12]", []string{"tags", "0", "x", "12"}},
		{"@timestamp", []string{"@timestamp"}},
		{"@@userId", []string{"@@userId"}},
		{"`detail-type`", []string{"detail-type"}},
		{"`a.b`", []string{"a.b"}},
		{"a.`b/c.d`.e", []string{"a", "b/c.d", "e"}},
		{`httpRequest.headers."user-agent"`, []string{"httpRequest", "headers", "user-agent"}},
		{"`tick``s`", []string{"tick`s"}},
		{"été", []string{"été"}},
	} {
		l := lexer{src: c.text}
		tok, err := l.next()
		if err != nil || tok.kind != tIdent || !reflect.DeepEqual(tok.keys, c.want) || l.pos != len(c.text) {
			t.Errorf("next(%s) = %v, %v at %d, want %v", c.text, tok.keys, err, l.pos, c.want)
		}
	}
}

// TestAccepted holds spellings that real queries use.
func TestAccepted(t *testing.T) {
	for _, q := range []string{
		"", "   ", "# only a comment", "| fields a", "FIELDS a | FILTER NOT a IN [1] | SORT a DESC | LIMIT 3 | DISPLAY a AS b",
		"STATS count(*) AS n BY BIN(5m) AS @t", "fields a # note\n# line\n| limit 5", "filter a in [ 'x' , \"y\" ,\n 3 ]", "where a = 1", "head 5", "fields @message | limit any 1",
		`parse @message "a\"*" as b`, "filter a like /[/]x/", `filter a like /\//`, "filter a like 'x' or b =~ \"y\"", "sort by a desc", "sort by", "sort by desc", "fields by", "filter a <> 1 and b == 2",
		"filter a = 1 \\n| fields b", "fields a.b.c[0]", "fields f1 as `x y`", "fields 1 as 'x y'", "stats sum(a)/count(*) * 100 as pct, avg(b) by c", "fields @timestamp, `a`.b", "stats count(distinct a)", "stats count(distinct)",
		"filter a not like /x/ and b not in [1]", "fields jsonParse(a).b[0].c", "fields -a, +a, -1, a - 1, a -1", "fields a\u00a0, b\ufeff", "filterIndex a in ['x']", "fields strcontains(a, 'b') * 0.5e-3",
		"parse a 'x*' as @y | stats count(*) by @y", "parse logfmt 'x*' as y", "parse logfmt as m", "fields if(a > 1, 'x', null) as y", "unnest a.b into c | display c.d", "filter (a)", "fields a, a, a", "SOURCE '/a', '/b'", "SOURCE '/a' filter b = 1",
	} {
		if _, err := Compile(q, options); err != nil {
			t.Errorf("Compile(%q) = %v, want a plan", q, err)
		}
	}
}

func TestNotices(t *testing.T) {
	q, err := Compile("stats count(*) as n by bin(300s) as t | sort @timestamp desc", options)
	if err != nil || len(q.Notices) != 2 {
		t.Fatalf("Compile gives %d notices, %v, want 2", len(q.Notices), err)
	}
	if n := q.Notices[1]; n.Line != 1 || n.Col != 46 || !strings.Contains(n.Msg, "has no effect") {
		t.Errorf("second notice = %+v, want one that sort has no effect, at 1:46", n)
	}
}

func TestLogNotice(t *testing.T) {
	for text, want := range map[string]int{
		"filter @log = '/eks'": 1, "filter '/eks' != @log": 1, "filter @log in ['/eks', '1:/x']": 1,
		"filter @log = '1:/eks'": 0, "filter @log like '/eks'": 0, "filter log = '/eks'": 0, "filter @log in ['1:/x']": 0,
	} {
		q, err := Compile(text, options)
		if err != nil || len(q.Notices) != want {
			t.Errorf("Compile(%q) = %d notices, %v, want %d", text, len(q.Notices), err, want)
		}
	}
}

func TestPredicates(t *testing.T) {
	f := func(keys ...string) plan.FieldRef { return plan.FieldRef{Keys: keys} }
	for _, c := range []struct {
		query string
		want  []plan.Predicate
	}{
		{"filter a.b = 'x' and c like 'y'", []plan.Predicate{
			{Any: []plan.Atom{{Field: f("a", "b"), Op: plan.AtomEqual, Values: []string{"x"}, Exact: true}}},
			{Any: []plan.Atom{{Field: f("c"), Op: plan.AtomContains, Values: []string{"y"}}}}}},
		{"fields a as z | filter z = 200 | sort b", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomEqual, Values: []string{"200"}}}}}},
		{"filter a = '200'", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomEqual, Values: []string{"200"}}}}}},
		{"filter a = 1", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomEqual, Values: []string{"1", "true"}}}}}},
		{"filter a = 'x' or b in ['y', 'z']", []plan.Predicate{{Any: []plan.Atom{
			{Field: f("a"), Op: plan.AtomEqual, Values: []string{"x"}, Exact: true}, {Field: f("b"), Op: plan.AtomEqual, Values: []string{"y", "z"}, Exact: true}}}}},
		{"filter @message like /a.b/", []plan.Predicate{{Any: []plan.Atom{{Field: f("@message"), Op: plan.AtomMatch, Values: []string{"(?-s:a.b)"}}}}}},
		{"filter isIpInSubnet(a, '10.0.0.0/8')", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomSubnet, Values: []string{"10.0.0.0/8"}}}}}},
		{"filter ispresent(a)", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomPresent}}}}},
		{"filter not a = 'x'", nil},
		{"filter a != 'x'", nil},
		{"filter a = 'x' or b > 3", nil},
		{"filter a = b", nil},
		{"filter a not like 'x'", nil},
		{"limit 5 | filter a = 'x'", nil},
		{"stats count(*) as n by a | filter a = 'x'", nil},
		{"filter a = 'x' | limit 5 | filter b = 'y'", []plan.Predicate{{Any: []plan.Atom{{Field: f("a"), Op: plan.AtomEqual, Values: []string{"x"}, Exact: true}}}}},
		{"filter toupper(a) = 'X'", nil},
	} {
		q, err := Compile(c.query, options)
		if err != nil {
			t.Errorf("Compile(%s) = %v", c.query, err)
			continue
		}
		if got := q.Predicates(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Predicates(%s) = %+v, want %+v", c.query, got, c.want)
		}
	}
}

// FuzzCompile holds that any text is compiled or refused with a place in it.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"fields @timestamp, @message | filter a = 'x' | sort b desc | limit 20", "stats count(*) as n by bin(5m), `a-b` | filter n > 3", "parse @message /(?<u>\\S+) x/ | display u",
		"parse 'a * b *' as c, d", "SOURCE logGroups(namePrefix: ['a']) | fields a", "filter a in [1, 'x'] and not b like /x\\/y/ or c.0[1].`d` = -5e3 # x\n| dedup a",
		"pattern a | diff | anomaly", "SOURCE lg start=-1d end=now | join type=left left=a right=b where a.x=b.y (SOURCE 'g' | fields y)", "appendcols override=true max=3 (stats count(*))",
		"lookup t-1 a as b, c OUTPUTNEW d as e | cidrlookup n ip AS c OUTPUT x", "addtotals col=true fieldname=s a*", "autoregress a as b p=1-3 | accum c | filldown d *e", "stats count(*) by bin(1h) | fillmissing with 0 for `count(*)`",
		"outlier action=remove param=1e1 mark=true a b", "sessionize a, b maxspan 1h as s", "json field=a \"b[0].c\" as d", "filter a in (SOURCE 'g' | fields b) | tail 3 | countFrequent a", "SOURCE logGroupTags([{\"key\":\"a\",\"values\":[\"b\"]}]) | stats rate(a, 1m), histogram(b, 3)",
		"relevantfields a, `b c` where d > 3 | filter @relevanceScore > 0 | estimate", "stats count(*) by a | relevantfields where a = 1",
		"fields jsonParse(@message).a[0] as j | unnest j into k", "fields case(a, 1, 2), datefloor(@timestamp, 1mo), \"\\\"\\n\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Compile(s, options)
		if err == nil {
			q.Predicates()
			if len(q.Output) == 0 {
				t.Fatalf("Compile(%q) has no output", s)
			}
			return
		}
		var pe *plan.Error
		if !errors.As(err, &pe) || pe.Line < 1 || pe.Col < 1 {
			t.Fatalf("Compile(%q) = %v, want a *plan.Error with a place", s, err)
		}
	})
}

// TestColumnNames holds columns without an alias to the text that was written.
func TestColumnNames(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"fields tags[0], tags.1, a.b[0].c", "tags[0] tags.1 a.b[0].c @ptr"},
		{"fields tags[0] | fields tags.0", "tags.0 @ptr"},
		{"fields tags[0], a | display tags[0]", "tags[0] @ptr"},
		{"fields tags[0] as t", "t @ptr"},
		{"fields tags[0] | fields x as `tags.0`", "tags.0 @ptr"},
		{"fields `detail-type`, a.`b c`[0], `x``y`", "detail-type a.b c[0] x`y @ptr"},
		{`fields a."b-c".d`, "a.b-c.d @ptr"},
		{"fields jsonParse(@message).a[0], strlen( a )", "jsonParse(@message).a[0] strlen( a ) @ptr"},
		{"stats count(*) by tags[0] | sort tags[0]", "tags[0] count(*)"},
		{"stats count(*) as n by tags[0], b | filter tags.0 = 1 | sort `tags.0`", "tags[0] b n"},
		{"stats count(*) by tags[0] | fields tags.0", "tags.0 count(*)"},
		{"countFrequent tags[0]", "tags[0] _approxcount"},
		{"filter a in (filter b = 1 | fields tags[0]) | fields a", "a @ptr"},
	} {
		q, err := Compile(c.text, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		var names []string
		for _, o := range q.Output {
			names = append(names, o.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	have := []string{"EventName", "Z", "AA", "eventName", "userIdentity.arn", "requestID", "@requestId", "verb"}
	for name, want := range map[string]string{
		"eventNam": "eventName", "eventname": "eventName", "EVENTNAME": "EventName", "useridentity.arn": "userIdentity.arn", "useridntty.arn": "userIdentity.arn",
		"requestId": "requestID", "@requestid": "@requestId", "a": "", "aa": "AA", "z": "Z", "verbs": "verb", "vreb": "", "nothing": "", "userIdentity.arnold": "", "": "",
	} {
		if got := Nearest(name, have); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
