package query

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"trailward/query/plan"
)

// listRows are rows from memory.
type listRows struct {
	cols []Column
	rows [][]any
	at   int
}

func (l *listRows) Columns() []Column { return l.cols }
func (l *listRows) Next() bool        { l.at++; return l.at <= len(l.rows) }
func (l *listRows) Values() []any     { return l.rows[l.at-1] }
func (l *listRows) Err() error        { return nil }
func (l *listRows) Close() error      { return nil }
func (l *listRows) Stats() Stats      { return Stats{} }

var someTime = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

func TestEncodeValues(t *testing.T) {
	for _, c := range []struct {
		name     string
		in       any
		text     string
		insights string // the JSON of {"v":…}, "" for none
		sql      string
	}{
		{"nil", nil, "", `{}`, `{"v":null}`},
		{"text", "a\"b\\c\n\x00\x7f<é\u2028", "a\"b\\c\n\x00\x7f<é\u2028", `{"v":"a\"b\\c\n\u0000\u007f<é\u2028"}`, `{"v":"a\"b\\c\n\u0000\u007f<é\u2028"}`},
		{"no UTF-8", "a\xffb", "a\xffb", `{"v":"a` + "\uFFFD" + `b"}`, `{"v":"a` + "\uFFFD" + `b"}`},
		{"int", int64(-5), "-5", `{"v":"-5"}`, `{"v":-5}`},
		{"whole float", 3.0, "3", `{"v":"3"}`, `{"v":3}`},
		{"float", 2.5, "2.5", `{"v":"2.5"}`, `{"v":2.5}`},
		{"third", 1.0 / 3, "0.3333333333333333", `{"v":"0.3333333333333333"}`, `{"v":0.3333333333333333}`},
		{"large float", 1e20, "100000000000000000000", `{"v":"100000000000000000000"}`, `{"v":100000000000000000000}`},
		{"larger float", 1e21, "1e+21", `{"v":"1e+21"}`, `{"v":1e+21}`},
		{"minus zero", math.Copysign(0, -1), "0", `{"v":"0"}`, `{"v":0}`},
		{"NaN", math.NaN(), "NaN", `{"v":"NaN"}`, `{"v":"NaN"}`},
		{"infinite", math.Inf(-1), "-Infinity", `{"v":"-Infinity"}`, `{"v":"-Infinity"}`},
		{"true", true, "1", `{"v":"1"}`, `{"v":true}`},
		{"false", false, "0", `{"v":"0"}`, `{"v":false}`},
		{"time", someTime, "2026-01-02 03:04:05.678", `{"v":"2026-01-02 03:04:05.678"}`, `{"v":"2026-01-02 03:04:05.678901"}`},
		{"list", []any{int64(1), "x", nil, []any{true}}, `[1,"x",null,[true]]`, `{"v":"[1,\"x\",null,[true]]"}`, `{"v":[1,"x",null,[true]]}`},
		{"row", Struct{{Name: "b", Value: int64(2)}, {Name: "a", Value: "x"}, {Name: "a"}}, `{"b":2,"a":"x","a":null}`, `{"v":"{\"b\":2,\"a\":\"x\",\"a\":null}"}`, `{"v":{"b":2,"a":"x","a":null}}`},
		{"map", map[string]any{"b": 1.5, "a": someTime.Truncate(time.Second)}, `{"a":"2026-01-02 03:04:05.000","b":1.5}`, `{"v":"{\"a\":\"2026-01-02 03:04:05.000\",\"b\":1.5}"}`, `{"v":{"a":"2026-01-02 03:04:05.000","b":1.5}}`},
		{"raw JSON", json.RawMessage("{\"a\":\n 1}"), "{\"a\":\n 1}", `{"v":"{\"a\":\n 1}"}`, `{"v":{"a":1}}`},
		{"raw but no JSON", json.RawMessage("{oops"), "{oops", `{"v":"{oops"}`, `{"v":"{oops"}`},
	} {
		if got, ok := Text(c.in); got != c.text || ok != (c.in != nil) {
			t.Errorf("%s: Text(%v) = %q, %v, want %q", c.name, c.in, got, ok, c.text)
		}
		cols := []Column{{Name: "v"}}
		if got := string(NewJSON(cols, Insights).Append(nil, []any{c.in})); got != c.insights+"\n" {
			t.Errorf("%s: Insights JSON = %s, want %s", c.name, got, c.insights)
		}
		got := string(NewJSON(cols, SQL).Append(nil, []any{c.in}))
		if got != c.sql+"\n" || !json.Valid([]byte(got)) {
			t.Errorf("%s: SQL JSON = %s, want %s", c.name, got, c.sql)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	rows := &listRows{cols: []Column{{Name: "b"}, {Name: "a"}, {Name: "b"}, {Name: "b_1"}}, rows: [][]any{{int64(1), nil, int64(2), int64(3)}, {"x", "y", nil, nil}}}
	var buf bytes.Buffer
	if err := WriteJSON(&buf, rows, Insights); err != nil {
		t.Fatal(err)
	}
	if want := `{"b":"1","b_2":"2","b_1":"3"}` + "\n" + `{"b":"x","a":"y"}` + "\n"; buf.String() != want {
		t.Errorf("WriteJSON = %s, want %s", buf.String(), want)
	}
}

func TestWriteCSV(t *testing.T) {
	rows := &listRows{
		cols: []Column{{Name: "@timestamp", Type: plan.Time}, {Name: "=cmd|x"}, {Name: "n"}, {Name: "b"}},
		rows: [][]any{
			{someTime, "=1+1", int64(-5), true},
			{nil, "", 2.5, false},
			{"-7", "say \"hi\", all\nof you", nil, nil},
			{"-rm", "@SUM(A1)", "＝x", "\t=x"},
			{"a\xff", " padded", "+49 30", "plain"},
		},
	}
	var buf bytes.Buffer
	if err := WriteCSV(&buf, rows, CSV{Lang: SQL}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"@timestamp,'=cmd|x,n,b",
		"2026-01-02 03:04:05.678,'=1+1,-5,true",
		`,"",2.5,false`,
		"-7,\"say \"\"hi\"\", all\nof you\",,",
		"'-rm,'@SUM(A1),'＝x,\"'\t=x\"",
		"a\uFFFD,\" padded\",'+49 30,plain",
		"",
	}, "\r\n")
	if buf.String() != want {
		t.Errorf("WriteCSV = %q, want %q", buf.String(), want)
	}
	rows.at = 0
	buf.Reset()
	if err := WriteCSV(&buf, rows, CSV{Lang: Insights, Raw: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(buf.String(), "05.678,=1+1,-5,1\r\n") {
		t.Errorf("raw CSV = %q", buf.String())
	}
}

func FuzzJSONText(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\\n\x00\x1f\x7f", "\xff\xfe", "é\u2028\u2029\U0001F600", "<script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("appendString(%q) = %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && got != want {
			t.Errorf("appendString(%q) reads back as %q", s, got)
		}
		if bytes.ContainsAny(b, "\n\r\x00\x1b\x7f") {
			t.Errorf("appendString(%q) = %q holds a control character", s, b)
		}
	})
}

// FuzzCSV: what is written reads back, and no cell that a spreadsheet would run.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "=1", "-5", "-5e", "a,b", "\"", "\r\n=x", "＠x", "\xff=", " =1"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		line := CSV{}.Append(nil, []any{a, b})
		got, err := csv.NewReader(bytes.NewReader(line)).Read()
		if err != nil || len(got) != 2 {
			t.Fatalf("CSV of %q, %q = %q reads back as %q, %v", a, b, line, got, err)
		}
		for i, s := range []string{a, b} {
			// encoding/csv reads CR LF inside quotes as LF.
			want := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
			if strings.TrimPrefix(got[i], "'") != strings.TrimPrefix(want, "'") {
				t.Errorf("cell %q reads back as %q", s, got[i])
			}
			if got[i] != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(got[i])[0]) && !reNumber.MatchString(got[i]) {
				t.Errorf("cell %q of %q is active", got[i], s)
			}
		}
	})
}

func TestPointer(t *testing.T) {
	for _, c := range []struct {
		id  string
		row int64
	}{{"a", 0}, {"01JDX0000000000000000000", 499999}, {"x/y", math.MaxInt64}} {
		ptr := FormatPointer(c.id, c.row)
		if id, row, err := ParsePointer(ptr); id != c.id || row != c.row || err != nil {
			t.Errorf("ParsePointer(%s) = %s, %d, %v, want %s, %d", ptr, id, row, err, c.id, c.row)
		}
	}
	for _, bad := range []string{"", "!", "AQ", "AQA", "AgAx", "AYAAeA", FormatPointer("x", -1), FormatPointer("x", 1) + "="} {
		if id, row, err := ParsePointer(bad); err == nil {
			t.Errorf("ParsePointer(%q) = %q, %d, want an error", bad, id, row)
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add(FormatPointer("part", 17))
	f.Add("AQAx")
	f.Fuzz(func(t *testing.T, s string) {
		if id, row, err := ParsePointer(s); err == nil && FormatPointer(id, row) != s {
			t.Errorf("ParsePointer(%q) = %q, %d, which is another pointer", s, id, row)
		}
	})
}
