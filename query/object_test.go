package query

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"trailward"
	"trailward/query/plan"
)

// odd are records whose objects have what columns do not tell: how numbers are
// spelt, which members are null or empty, in which order they stand, white space,
// and keys that occur twice.
var odd = []string{
	`{"i":0,"who":{"z":1.50,"account":"123456789012","big":123456789012345678901234567890,"a":null,"e":1e3,"o":{},"l":[],"list":["one"]},"doc":[{"n":1.50,"m":null},2.0]}`,
	`{"i":1,"who":{"account":7,"deep":{"x":{"y":null}},"n":-0}}`,
	`{ "i" : 2 , "who" : { "account" : "7" , "text" : "a  b" , "l" : [ 1 , 2 ] } , "doc" : [ { "n" : 1.50 } ] }`,
	`{"i":3,"who":{"a":null}}`,
	`{"i":4,"who":{}}`,
	`{"i":5,"who":"text"}`,
	`{"i":6,"who":null}`,
	`{"i":7}`,
	`{"i":8,"who":{"account":"first"},"who":{"account":"\u00e9 <last>","x":0.10}}`,
	`{"i":9,"who.account":"a key with a dot","who":{"account":"8"}}`,
}

// wantOdd are the objects who of these records, by i.
var wantOdd = []string{
	`{"z":1.50,"account":"123456789012","big":123456789012345678901234567890,"a":null,"e":1e3,"o":{},"l":[],"list":["one"]}`,
	`{"account":7,"deep":{"x":{"y":null}},"n":-0}`,
	`{"account":"7","text":"a  b","l":[1,2]}`,
	`{"a":null}`,
	`{}`,
	`text`,
	``,
	``,
	`{"account":"\u00e9 <last>","x":0.10}`,
	`{"account":"8"}`,
}

// TestObjectsAsRecorded asks for an object in every way: shown, as text in
// conditions and groups, of few records and of all, in both languages.
func TestObjectsAsRecorded(t *testing.T) {
	many := make([]string, 0, 3000)
	for i := range 3000 {
		many = append(many, fmt.Sprintf(`{"i":%d,"who":{"n":%d.50,"none":null}}`, 100+i, i))
	}
	s := realStore(t, map[string][]string{"/g/odd": odd, "/g/many": many, "/g/text": {`no JSON {"who":{"account":"x"}}`, `{"who":{"account":"broken"}`}})
	e, whole := storeEngines(t, s)
	group := []string{"/g/odd"}
	value := func(v any) string {
		if v == nil {
			return ""
		}
		text, _ := Text(v)
		return text
	}
	for _, c := range []struct {
		lang Language
		text string
		col  int
	}{
		{Insights, "fields i, who | sort i | limit 100", 1},
		{Insights, "fields i, who as w | sort i | limit 100", 1},
		{Insights, "filter i < 100 | fields i, who | sort i", 1},
		{Insights, "fields i, concat(who, '') as w | sort i | limit 100", 1},
		{Insights, "filter i in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] | fields i, who | sort i", 1},
		{Insights, "filter i = 0 or i = 1 or i = 2 or i = 3 or i = 4 or i = 5 or i = 6 or i = 7 or i = 8 or i = 9 | fields i, who | sort i", 1},
		{SQL, "SELECT i, who FROM json ORDER BY i", 1},
		{SQL, "SELECT i, who FROM json ORDER BY 1 LIMIT 100", 1},
		{SQL, "SELECT i, w FROM (SELECT i, who AS w FROM json) ORDER BY i", 1},
		{SQL, "SELECT i, who FROM json GROUP BY i, who ORDER BY i", 1},
		{SQL, "SELECT DISTINCT i, who FROM json ORDER BY i", 1},
		{SQL, "SELECT i, max(who) FROM json GROUP BY i ORDER BY i", 1},
		{SQL, `SELECT i, json_extract("@message", '$.who') FROM json ORDER BY i`, 1},
	} {
		for name, e := range map[string]*Engine{"engine": e, "whole": whole} {
			rows, err := read(e.Query(t.Context(), Request{Language: c.lang, Text: c.text, Groups: group}))
			if err != nil || len(rows) != len(odd) {
				t.Errorf("%s, %s: %d rows, %v", name, c.text, len(rows), err)
				continue
			}
			for i, r := range rows {
				want := wantOdd[i]
				if strings.Contains(c.text, "@message") && i == 5 {
					want = `"text"`
				}
				if strings.Contains(c.text, "@message") && i == 8 {
					want = `{"account":"first"}` // of what is JSON text the first counts
				}
				if strings.Contains(c.text, "@message") && i == 6 {
					want = "null"
				}
				if got := value(r[c.col]); got != want {
					t.Errorf("%s, %s: who of record %d = %s, want %s", name, c.text, i, got, want)
				}
				if _, isJSON := r[c.col].(json.RawMessage); isJSON != strings.HasPrefix(want, "{") && !strings.HasPrefix(c.text, "SELECT i, max") && !strings.Contains(c.text, "concat") && !strings.Contains(c.text, "@message") {
					t.Errorf("%s, %s: who of record %d is a %T", name, c.text, i, r[c.col])
				}
			}
		}
	}
	for text, want := range map[string]int64{
		`filter who like '"n":'`:                        1,
		`filter who like /"z":1\.50/`:                   1,
		`filter ispresent(who)`:                         8,
		`filter who = '{"a":null}'`:                     1,
		`filter who like 'last' and not (i = 1)`:        1,
		`filter @message like 'e3' and who like '1e3,'`: 1,
	} {
		for name, e := range map[string]*Engine{"engine": e, "whole": whole} {
			rows, err := read(e.Query(t.Context(), Request{Text: text + " | stats count(*) as n", Groups: group}))
			if err != nil || len(rows) != 1 || rows[0][0] != want {
				t.Errorf("%s, %s: %v, %v, want %d", name, text, rows, err, want)
			}
		}
	}
	// Elements and members of arrays, which are kept as text.
	for text, want := range map[string]string{
		"SELECT doc[1].N FROM json WHERE i = 0":                                                  `1.50`,
		"SELECT json_extract_scalar(doc, '$[0].N') IS NULL FROM json WHERE i = 0":                `1`,
		"SELECT doc[1] FROM json WHERE i = 0":                                                    `{"n":1.50,"m":null}`,
		"SELECT doc[1] FROM json WHERE i = 2":                                                    `{"n":1.50}`,
		"SELECT doc FROM json WHERE i = 2":                                                       `[{"n":1.50}]`,
		"SELECT json_extract(doc, '$[0]') FROM json WHERE i = 0":                                 `{"n":1.50,"m":null}`,
		"SELECT json_extract(doc, '$[0].n') FROM json WHERE i = 0":                               `1.50`,
		"SELECT json_extract_scalar(doc, '$[0].n') FROM json WHERE i = 0":                        `1.50`,
		"SELECT json_format(json_extract(doc, '$[0]')) FROM json WHERE i = 0":                    `{"n":1.50,"m":null}`,
		"SELECT x FROM json CROSS JOIN UNNEST(doc) AS t(x) WHERE i = 2":                          `{"n":1.50}`,
		"SELECT x.n FROM json CROSS JOIN UNNEST(doc) AS t(x) WHERE i = 2":                        `1.50`,
		"SELECT who.z FROM json WHERE i = 0":                                                     `1.50`,
		"SELECT json_extract_scalar(who, '$.z') FROM json WHERE i = 0":                           `1.50`,
		"SELECT element_at(who, 'z') FROM json WHERE i = 0":                                      `1.50`,
		"SELECT CAST(json_parse('{\"a\": 1.50, \"b\":null}') AS varchar)":                        `{"a":1.50,"b":null}`,
		"SELECT json_parse('{\"a\": 1.50}')":                                                     `{"a":1.50}`,
		"SELECT json_query(who, 'lax $.deep') FROM json WHERE i = 1":                             `{"x":{"y":null}}`,
		"SELECT json_array_get(doc, 0) FROM json WHERE i = 0":                                    `{"n":1.50,"m":null}`,
		"SELECT json_array_get('[1.50]', -1)":                                                    `1.50`,
		"SELECT element_at(CAST(json_parse('[{\"a\":1.50}]') AS array(json)), -1)":               `{"a":1.50}`,
		"SELECT array_join(CAST(json_extract('{\"a\":[\"x\"]}', '$.a') AS array(varchar)), ',')": `x`,
	} {
		rows, err := read(e.Query(t.Context(), Request{Language: SQL, Text: text, Groups: group}))
		if err != nil || len(rows) != 1 || value(rows[0][0]) != want {
			t.Errorf("%s = %s, %v, want %s", text, rows, err, want)
		}
	}
	// Rows keep their fields, and these their order.
	for expr, want := range map[string]string{
		"ROW(1, 'a')":    `{"field0":1,"field1":"a"}`,
		"ROW(1, NULL)":   `{"field0":1,"field1":null}`,
		"ROW(1, 'a')[2]": `a`,
		"CAST(ROW(1, 'a') AS ROW(b INTEGER, a VARCHAR))":                         `{"b":1,"a":"a"}`,
		"CAST(ROW(1, 'a') AS ROW(b INTEGER, a VARCHAR)).b":                       `1`,
		"CAST(ROW(1, 'a') AS ROW(b INTEGER, a VARCHAR)).a":                       `a`,
		"CAST(ROW('7') AS ROW(n BIGINT)).n + 1":                                  `8`,
		"ARRAY[ROW(1, 'a'), ROW(2, NULL)]":                                       `[{"field0":1,"field1":"a"},{"field0":2,"field1":null}]`,
		"transform(ARRAY[1], x -> ROW(x, x + 1))":                                `[{"field0":1,"field1":2}]`,
		"ROW(1, 'a') = ROW(1, 'a')":                                              `1`,
		"CAST(ROW(1, 'a') AS JSON)":                                              `{"":1,"":"a"}`, // as Trino's manual has it
		"CAST(CAST(ROW(1, 2) AS ROW(x INTEGER, y INTEGER)) AS JSON)":             `{"x":1,"y":2}`,
		"CAST(json_parse('{\"a\":1,\"b\":\"x\"}') AS ROW(a INTEGER, b VARCHAR))": `{"a":1,"b":"x"}`,
	} {
		rows, err := read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT " + expr}))
		if err != nil || len(rows) != 1 || value(rows[0][0]) != want {
			t.Errorf("%s = %v, %v, want %s", expr, rows, err, want)
		}
	}
	if _, err := read(e.Query(t.Context(), Request{Language: SQL, Text: "SELECT ROW(1, 'a').field0"})); err == nil || !strings.Contains(err.Error(), "line 1, column") || !strings.Contains(err.Error(), "no names") {
		t.Errorf("a name of a row without names: %v", err)
	}
	for text, want := range map[string]string{
		"filter i = 0 | fields doc.0 as x":                                      `{"n":1.50,"m":null}`,
		"filter i = 2 | fields doc as x":                                        `[{"n":1.50}]`,
		"filter i = 0 | fields doc.0.n as x":                                    `1.50`,
		"filter i = 0 | fields jsonParse(@message) as m | display m.who.z as x": `1.50`,
		"filter i = 0 | fields jsonParse(@message) as m | display m.doc.0 as x": `{"n":1.50,"m":null}`,
	} {
		rows, err := read(e.Query(t.Context(), Request{Text: text, Groups: group}))
		if err != nil || len(rows) != 1 || value(rows[0][0]) != want {
			t.Errorf("%s = %s, %v, want %s", text, rows, err, want)
		}
	}
	// Of all groups: many records, and those that are no JSON.
	for text, want := range map[string]int64{
		"filter ispresent(who) | stats count(*) as n":             3008,
		"stats count_distinct(who) as n":                          3008,
		`filter who like '50,"none":null}' | stats count(*) as n`: 3000,
		`filter not ispresent(who) | stats count(*) as n`:         4,
	} {
		rows, err := read(e.Query(t.Context(), Request{Text: text}))
		if err != nil || len(rows) != 1 || rows[0][0] != want {
			t.Errorf("%s = %v, %v, want %d", text, rows, err, want)
		}
	}
	// A condition on the whole record, and an object that is shown, or looked at.
	for text, want := range map[string]int{
		`filter @message like /9.50,"none"/ | fields who`:                                300,
		`filter @message like /9.50,"none"/ or who like '"z"' | fields who`:              301,
		`filter @message like /9.50,"none"/ and who like '99.50' | fields @message, who`: 30,
	} {
		for name, e := range map[string]*Engine{"engine": e, "whole": whole} {
			rows, err := read(e.Query(t.Context(), Request{Text: text + " | limit 5000"}))
			if err != nil || len(rows) != want {
				t.Errorf("%s, %s: %d rows, %v, want %d", name, text, len(rows), err, want)
			}
			for _, r := range rows {
				if !strings.Contains(fmt.Sprintf("%s", r), ".50") {
					t.Errorf("%s, %s: %s", name, text, r)
				}
			}
		}
	}
	rows, err := read(e.Query(t.Context(), Request{Text: "fields i, who | sort i desc | limit 5000"}))
	if err != nil || len(rows) != 3012 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for k, r := range rows[:3000] {
		if got, want := value(r[1]), fmt.Sprintf(`{"n":%d.50,"none":null}`, 2999-k); got != want {
			t.Fatalf("row %d: %s, want %s", k, got, want)
		}
	}
}

// TestShownLater compares queries in SQL that show records and objects, with a
// limit, so that they are put in when the rows are chosen, and without.
func TestShownLater(t *testing.T) {
	e, _ := storeEngines(t, realStore(t, map[string][]string{"/g/odd": odd, "/g/text": {"no JSON"}}))
	for _, text := range []string{
		"SELECT * FROM json ORDER BY i",
		"SELECT * FROM logs ORDER BY \"@message\"",
		"SELECT who, \"@message\", who AS again, i FROM json ORDER BY i DESC",
		"SELECT who, i FROM json ORDER BY who, i",
		"SELECT i, who FROM json ORDER BY 2, 1",
		"SELECT i, who FROM json ORDER BY lower(who), i",
		"SELECT DISTINCT who, i FROM json ORDER BY i",
		"SELECT a.i, a.who, b.who, b.\"@message\" FROM json a LEFT JOIN json b ON a.i = b.i + 1 ORDER BY a.i",
		"SELECT i, who, length(who), who.account FROM json WHERE who LIKE '%account%' AND \"@message\" LIKE '%7%' ORDER BY i",
		"SELECT w, i FROM (SELECT who AS w, i FROM json) WHERE w IS NOT NULL ORDER BY i",
		"SELECT who, i, row_number() OVER (ORDER BY i) FROM json ORDER BY i",
		"SELECT who, i FROM json WHERE i IN (SELECT i FROM json WHERE who IS NULL) ORDER BY i",
		"SELECT \"@message\" FROM json WHERE i = 1 UNION ALL SELECT \"@message\" FROM json WHERE i = 2 ORDER BY 1",
		"SELECT i, who FROM json GROUP BY 1, 2 ORDER BY 1",
		"SELECT max(i), who FROM json GROUP BY who HAVING who IS NOT NULL ORDER BY 1",
		"WITH t AS (SELECT i, who, \"@message\" AS m FROM json) SELECT who, m FROM t WHERE i < 3 ORDER BY i",
	} {
		want, err := read(e.Query(t.Context(), Request{Language: SQL, Text: text}))
		got, err2 := read(e.Query(t.Context(), Request{Language: SQL, Text: text + " LIMIT 100"}))
		if err != nil || err2 != nil || len(want) == 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n= %s, %v\nwith a limit %s, %v", text, want, err, got, err2)
		}
	}
}

// TestSyslogObjects makes an object of text fields: a syslog line is no JSON.
func TestSyslogObjects(t *testing.T) {
	e, _ := storeEngines(t, realStore(t, map[string][]string{"/g/1": {
		`<165>1 2003-10-11T22:14:15.003Z host prog 1 ID47 [one@1 a="12" b="true"][two x="{}"] text`,
		`<165>1 2003-10-11T22:14:16.003Z host prog 1 ID47 - text`,
	}}))
	rows, err := read(e.Query(t.Context(), Request{Text: "fields sd | sort @timestamp"}))
	if err != nil || len(rows) != 2 || rows[1][0] != nil || !reflect.DeepEqual(rows[0][0], json.RawMessage(`{"one@1":{"a":"12","b":"true"},"two":{"x":"{}"}}`)) {
		t.Errorf("fields sd = %s, %v", rows, err)
	}
}

// TestLaterText reads what stands for a value that is put in later.
func TestLaterText(t *testing.T) {
	s := &scan{}
	o := &object{ways: plan.OneWay("a")}
	if sql := s.laterSQL(o, "x", "7"); sql != "coalesce('=' || x, '@0 ' || CAST(7 AS VARCHAR), NULL)" {
		t.Errorf("laterSQL() = %s", sql)
	}
	for _, c := range []struct{ in, want any }{
		{nil, nil}, {"=text", "text"}, {"=", ""}, {"=@0 7", "@0 7"}, {`={"a": 1}`, json.RawMessage(`{"a":1}`)}, {"@0 7", cut{o, 7}},
	} {
		if got, err := s.readLater(c.in); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("readLater(%v) = %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "@", "@1 7", "@0 x", "@-1 7", "7"} {
		if v, err := s.readLater(bad); err == nil {
			t.Errorf("readLater(%q) = %v, want an error", bad, v)
		}
	}
	if !jsonRecords(trailward.KindJSON) || jsonRecords(trailward.KindSyslog) {
		t.Error("jsonRecords() is wrong")
	}
}
