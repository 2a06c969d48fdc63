package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/query"
	"trailward/query/plan"
)

// manyPlace answers each query with its own text, or fails.
type manyPlace struct{ fakePlace }

func (p *manyPlace) Query(_ context.Context, r query.Request) (query.Rows, error) {
	p.asked = r
	if i := strings.Index(r.Text, "bad"); i >= 0 {
		line := 1 + strings.Count(r.Text[:i], "\n")
		return nil, &query.Error{Line: line, Col: i - strings.LastIndexByte(r.Text[:i], '\n'), Msg: "no good"}
	}
	return &notedRows{fakeRows{columns: []query.Column{{Name: "text", Type: plan.Text}}, rows: [][]any{{r.Text}}}}, nil
}

func (p *manyPlace) Explain(_ context.Context, r query.Request, engine string) (*query.Explanation, error) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &query.Explanation{SQL: "SELECT " + engine, Prepares: true, Parts: []query.PartUse{
		{ID: "a", Group: "/g\x1b", Kind: trailward.KindJSON, Rows: 7, From: at, To: at, Opened: true, Why: "reads x"},
		{ID: "b", Group: "/h", Kind: trailward.KindJSON, Rows: 8, From: at, To: at, Why: "another log group"}}}, nil
}

type notedRows struct{ fakeRows }

func (*notedRows) Stats() query.Stats {
	return query.Stats{Notices: []string{"line 2, column 3: odd", "all of it is odd"}}
}

func TestSeveralQueries(t *testing.T) {
	const text = "# one\nfields a\n\n# two\nfields b"
	o := runWith(t, &manyPlace{}, nil, "", "query", "--output", "json", text)
	if want := "{\"text\":\"# one\\nfields a\"}\n{\"text\":\"# two\\nfields b\"}\n"; o.code != exitGood || o.out != want {
		t.Errorf("json of two queries = %d %q, want %q", o.code, o.out, want)
	}
	if want := "trailward: note: line 2, column 3: odd\ntrailward: note: all of it is odd\ntrailward: note: line 5, column 3: odd\ntrailward: note: all of it is odd\n"; o.errors != want {
		t.Errorf("notes of two queries = %q, want %q", o.errors, want)
	}
	o = runWith(t, &manyPlace{}, nil, text, "query", "-")
	if one, two := strings.Index(o.out, "# one\nfields a\n\n"), strings.Index(o.out, "\n# two\nfields b\n\n"); o.code != exitGood || one != 0 || two < 0 {
		t.Errorf("table of two queries = %d %q, want each below its text", o.code, o.out)
	}
	o = runWith(t, &manyPlace{}, nil, "", "query", "--output", "json", "fields a, bad\n\nfields b\n\n# three\nfields bad2")
	want := "trailward: query: line 1, column 11: no good\n  fields a, bad\n            ^\n"
	last := "trailward: query: line 6, column 8: no good\n  fields bad2\n         ^\n"
	if o.code != exitNo || !strings.HasPrefix(o.errors, want) || !strings.HasSuffix(o.errors, last) || o.out != "{\"text\":\"fields b\"}\n" {
		t.Errorf("two of three that fail = %d %q %q, want %q … %q and the answer to the other", o.code, o.out, o.errors, want, last)
	}
	o = runWith(t, &manyPlace{}, nil, "", "query", "--output", "json", "fields bad\n\nfields b")
	if o.code != exitNo || !strings.Contains(o.errors, "line 1, column 8: no good") || !strings.HasSuffix(o.errors, "trailward: query: 1 of 2 queries failed\n") {
		t.Errorf("the first of two that fails = %d %q, want its error and a count", o.code, o.errors)
	}
	if o = runWith(t, &manyPlace{}, nil, "", "query", "--output", "parquet", text); o.code != exitUsage {
		t.Errorf("parquet of two queries = %d %q, want a usage error", o.code, o.errors)
	}
}

func TestExplainFlag(t *testing.T) {
	o := runWith(t, &manyPlace{}, nil, "", "query", "--explain", "limit 1")
	want := "SELECT duckdb\n-- The rows of this statement are brought together into patterns; another runs the rest of the query over these.\n-- 1 of 2 segments are read.\n" +
		"-- read a, group /g\\x1b, kind json, 7 records from 2026-01-02 03:04:05 to 2026-01-02 03:04:05: reads x\n" +
		"-- skip b, group /h, kind json, 8 records from 2026-01-02 03:04:05 to 2026-01-02 03:04:05: another log group\n"
	if o.code != exitGood || o.out != want {
		t.Errorf("--explain = %d %q %q, want %q", o.code, o.out, o.errors, want)
	}
	for _, engine := range []string{"trino", "spark"} {
		o = runWith(t, &fakePlace{}, nil, "", "query", "--explain="+engine, "stats count(*)")
		if o.code != exitGood || !strings.Contains(o.out, "count(*)") {
			t.Errorf("--explain=%s = %d %q %q, want SQL", engine, o.code, o.out, o.errors)
		}
	}
	if o = runWith(t, &fakePlace{}, nil, "", "query", "--explain", "limit 1"); o.code != exitUsage || !strings.Contains(o.errors, "--data") {
		t.Errorf("--explain on a server = %d %q, want a usage error that names --data", o.code, o.errors)
	}
	if o = runWith(t, &fakePlace{}, nil, "", "query", "--explain=mysql", "limit 1"); o.code != exitUsage {
		t.Errorf("--explain=mysql = %d %q, want a usage error", o.code, o.errors)
	}
}
