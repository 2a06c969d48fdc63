package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"trailward/query"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 30, 0, 0, time.UTC)
	at := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UTC()
	}
	tests := []struct {
		text string
		want time.Time
	}{
		{"2026-01-02T15:04:05Z", at("2026-01-02T15:04:05Z")},
		{"2026-01-02T15:04:05.678901234+01:00", at("2026-01-02T14:04:05.678901234Z")},
		{"2026-01-02 15:04:05", at("2026-01-02T15:04:05Z")},
		{"2026-01-02 15:04:05.5+02:00", at("2026-01-02T13:04:05.5Z")},
		{"2026-01-02T15:04:05", at("2026-01-02T15:04:05Z")},
		{"2026-01-02 15:04", at("2026-01-02T15:04:00Z")},
		{"2026-01-02", at("2026-01-02T00:00:00Z")},
		{" 2026-01-02 ", at("2026-01-02T00:00:00Z")},
		{"0", at("1970-01-01T00:00:00Z")},
		{"1767366245", at("2026-01-02T15:04:05Z")},
		{"1767366245.678", at("2026-01-02T15:04:05.678Z")},
		{"1767366245678", at("2026-01-02T15:04:05.678Z")},
		{"1767366245678.5", at("2026-01-02T15:04:05.6785Z")},
		{"1767366245678901", at("2026-01-02T15:04:05.678901Z")},
		{"1767366245678901234", at("2026-01-02T15:04:05.678901234Z")},
		{"-86400", at("1969-12-31T00:00:00Z")},
		{"now", now},
		{"-0s", now},
		{"-1h", now.Add(-time.Hour)},
		{"-1h30m", now.Add(-90 * time.Minute)},
		{"-500ms", now.Add(-500 * time.Millisecond)},
		{"-2d", now.AddDate(0, 0, -2)},
		{"-1w", now.AddDate(0, 0, -7)},
		{"-1w2d3h4m5s6ms", now.Add(-(9*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond))},
	}
	for _, tt := range tests {
		got, err := ParseTime(tt.text, now)
		if err != nil || !got.Equal(tt.want) || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, bad := range []string{"", "-", "-h", "1h", "+1h", "-1x", "-1h2", "-1 h", "--1h", "-1.5h", "yesterday", "2026-13-01", "2026-01-02T25:00:00Z",
		"-99999999999999999999h", "-9223372036854775807w", "-300000000000h", "99999999999999999999", "1e9", "1.", ".5", "0x10", "99999999999", "9999-01-01", "1600-01-01", "2026-01-02T15:04:05Zjunk", strings.Repeat("9", 65)} {
		if got, err := ParseTime(bad, now); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", bad, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-01-02T15:04:05.678Z", "-1h30m", "1767366245678", "now", "-9w", "-1.5", "99999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 22, 12, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime(s, now)
		if err == nil && (got.Before(minTime) || got.After(maxTime) || got.Location() != time.UTC) {
			t.Errorf("ParseTime(%q) = %v, want a time in 64-bit nanoseconds, UTC", s, got)
		}
		if err == nil && strings.HasPrefix(s, "-") && strings.HasSuffix(s, "h") && got.After(now) {
			t.Errorf("ParseTime(%q) = %v, which is after now", s, got)
		}
	})
}

func TestDecodeQuestion(t *testing.T) {
	tests := []struct {
		name, body string
		lang       query.Language
		want       string // in the message or hint; empty: it is good
	}{
		{"least", `{"query":"x"}`, query.Insights, ""},
		{"all", `{"query":"x","groups":["a","/b/*"],"start":"-1h","end":1767366245}`, query.Insights, ""},
		{"nulls", `{"query":"x","groups":null,"start":null,"end":null}`, query.Insights, ""},
		{"tables", `{"query":"x","tables":{"t":"json"}}`, query.SQL, ""},
		{"tables in Insights", `{"query":"x","tables":{"t":"json"}}`, query.Insights, "/v1/sql"},
		{"unknown kind", `{"query":"x","tables":{"t":"tea"}}`, query.SQL, "kind"},
		{"no query", `{}`, query.Insights, "query"},
		{"blank query", `{"query":" \n"}`, query.Insights, "query"},
		{"number as query", `{"query":1}`, query.Insights, "query"},
		{"groups as text", `{"query":"x","groups":"a"}`, query.Insights, "groups"},
		{"a bad pattern", `{"query":"x","groups":["a*b"]}`, query.Insights, "group"},
		{"an empty group", `{"query":"x","groups":[""]}`, query.Insights, "group"},
		{"many groups", `{"query":"x","groups":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`, query.Insights, "1000"},
		{"unknown member", `{"query":"x","limit":5}`, query.Insights, "unknown member"},
		{"member in another case", `{"Query":"x"}`, query.Insights, "unknown member"},
		{"member twice", `{"query":"x","query":"y"}`, query.Insights, "twice"},
		{"two objects", `{"query":"x"}{"query":"y"}`, query.Insights, "more after"},
		{"array", `[]`, query.Insights, "expected"},
		{"cut", `{"query":"x"`, query.Insights, "expected"},
		{"empty", ``, query.Insights, "expected"},
		{"form", `query=x`, query.Insights, "expected"},
		{"deep groups", `{"query":"x","groups":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, query.Insights, "expected"},
		{"deep times", `{"query":"x","start":` + strings.Repeat(`{"a":`, 100_000) + `1` + strings.Repeat("}", 100_000) + `}`, query.Insights, "expected"},
		{"deep everything", strings.Repeat(`{"query":`, 100_000), query.Insights, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, f := decodeQuestion([]byte(tt.body), tt.lang)
			switch {
			case tt.name == "deep everything":
				if f == nil {
					t.Error("decodeQuestion(deep nesting) = nil, want a failure")
				}
			case tt.want == "" && f != nil:
				t.Errorf("decodeQuestion(%.100s) = %+v, want no failure", tt.body, f)
			case tt.want != "" && (f == nil || f.status != 400 || !strings.Contains(f.message+f.hint, tt.want)):
				t.Errorf("decodeQuestion(%.100s) = %+v, want a failure with %q", tt.body, f, tt.want)
			}
		})
	}
}

func FuzzDecodeQuestion(f *testing.F) {
	f.Add([]byte(`{"query":"fields @message","groups":["a","b*"],"start":"-1h","end":1767366245678}`), false)
	f.Add([]byte(`{"query":"select 1","tables":{"t":"json"},"start":null}`), true)
	f.Add([]byte(`{"query":"x","start":{"a":[1,2]}}`), false)
	now := time.Date(2026, 11, 22, 12, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte, sql bool) {
		lang := query.Insights
		if sql {
			lang = query.SQL
		}
		q, fail := decodeQuestion(data, lang)
		if fail != nil {
			if fail.status != 400 || fail.message == "" {
				t.Errorf("decodeQuestion(%q) = %+v, want status 400 and a message", data, fail)
			}
			return
		}
		if strings.TrimSpace(q.text) == "" || slices.Contains(q.groups, "") {
			t.Errorf("decodeQuestion(%q) = %+v", data, q)
		}
		timeOf(q.start, "start", now)
		timeOf(q.end, "end", now)
	})
}
