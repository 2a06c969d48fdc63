package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"trailward"
	"trailward/api"
	"trailward/internal/term"
	"trailward/query"
)

// maxQueryText is the most that a query on stdin may have, in bytes. Each
// language has a lower limit of its own.
const maxQueryText = 1 << 20

// answerFlags say which records a question is about and how its answer is written.
type answerFlags struct {
	Group  []string `sep:"none" placeholder:"G" help:"Log group to look at; a * at the end takes all that begin so. Repeat for more. Default: all."`
	Start  string   `placeholder:"T" help:"From this event time on: RFC 3339, epoch seconds or milliseconds, or before now (-1h, -2d). Default: no bound."`
	End    string   `placeholder:"T" help:"Up to and with this event time. Default: no bound."`
	Stats  bool     `help:"Write what the answer cost to stderr, as one line of JSON."`
	Output string   `enum:"table,json,csv,arrow,parquet" default:"table" help:"table, json (an object a line), csv, arrow (IPC stream) or parquet."`
}

type queryCmd struct {
	placeFlags  `embed:""`
	answerFlags `embed:""`
	Explain     explainFlag `placeholder:"ENGINE" help:"Do not run it: print the SQL that it becomes in DuckDB, and which segments that reads. ENGINE, behind =, is duckdb, trino or spark."`
	Query       string      `arg:"" help:"The query; - reads it from stdin."`
}

func (queryCmd) Help() string {
	return `The language is that of CloudWatch Logs Insights: commands joined by |. Values in json are strings, as CloudWatch gives them; a field that a record does not have is left out.

Examples:

  trailward query 'stats count(*) as n by @kind'
  trailward query --group '/eks/*' --start -1h 'filter verb = "delete" | fields @timestamp, user.username, objectRef.name'
  trailward query --output json 'filter @message like /denied/ | limit 20' | jq .
  trailward query --start -1d 'filter @message like /(?i)error/ | pattern @message | diff'
  trailward query --explain=trino 'stats count(*) by user.username'
  trailward query - < questions.txt

A text may hold several queries, set apart by blank lines or comments: each is answered in turn.`
}

func (c *queryCmd) Run(a *app) error {
	if c.Explain != "" {
		r, err := a.request(&c.answerFlags, query.Insights, c.Query, nil)
		if err != nil {
			return err
		}
		return a.explain(&c.placeFlags, r, string(c.Explain))
	}
	return a.question(&c.placeFlags, &c.answerFlags, query.Insights, c.Query, nil)
}

type sqlCmd struct {
	placeFlags  `embed:""`
	answerFlags `embed:""`
	Table       map[string]string `sep:"none" placeholder:"NAME=KIND" help:"A further name for the table of a kind, for queries written elsewhere. Repeat for more."`
	Explain     explainFlag       `placeholder:"ENGINE" help:"Do not run it: print the SQL that DuckDB is given, and which segments that reads, and why not the others."`
	SQL         string            `arg:"" name:"sql" help:"One SELECT; - reads it from stdin."`
}

func (sqlCmd) Help() string {
	return `Tables: k8s_audit, cloudtrail, vpc_flow, dns, waf, linux_audit, syslog, journal, container, json, text, and logs over all. The dialect is Athena's; names of columns are Athena's too, in lower case. Values in json are typed.

Examples:

  trailward sql "SELECT eventname, count(*) AS n FROM cloudtrail GROUP BY eventname ORDER BY n DESC LIMIT 10"
  trailward sql --output csv "SELECT srcaddr, sum(bytes) AS bytes FROM vpc_flow WHERE action = 'ACCEPT' GROUP BY srcaddr" > bytes.csv
  trailward sql --output parquet "SELECT * FROM cloudtrail" > trail.parquet
  trailward sql --table my_trail=aws.cloudtrail "SELECT count(*) FROM my_trail"
  trailward sql --explain "SELECT count(*) FROM cloudtrail WHERE year = '2026' AND month = '01'"`
}

func (c *sqlCmd) Run(a *app) error {
	for name, kind := range c.Table {
		if !trailward.Kind(kind).Valid() {
			return usagef("--table %s=%s: no kind is named so: want one of %s", name, kind, kindNames())
		}
	}
	if c.Explain != "" {
		r, err := a.request(&c.answerFlags, query.SQL, c.SQL, c.Table)
		if err != nil {
			return err
		}
		return a.explain(&c.placeFlags, r, string(c.Explain))
	}
	return a.question(&c.placeFlags, &c.answerFlags, query.SQL, c.SQL, c.Table)
}

// question asks and writes the answer.
func (a *app) question(place *placeFlags, f *answerFlags, lang query.Language, text string, tables map[string]string) error {
	r, err := a.request(f, lang, text, tables)
	if err != nil {
		return err
	}
	binary := f.Output == "arrow" || f.Output == "parquet"
	if binary && a.width() > 0 {
		return usagef("--output %s is not text: write it to a file with > FILE", f.Output)
	}
	return a.with(place, func(b backend) error { return a.askParts(b, r, f, binary) })
}

// exporter is a place that writes an answer in a binary format by itself.
type exporter interface {
	Export(ctx context.Context, r query.Request, format string, w io.Writer) (query.Stats, error)
}

// ask asks the place and writes the answer.
func (a *app) ask(b backend, r query.Request, output string, binary bool) (query.Stats, error) {
	if e, ok := b.(exporter); ok && binary {
		return e.Export(a.ctx, r, api.FormatNamed(output), a.stdout)
	}
	rows, err := b.Query(a.ctx, r)
	if err != nil {
		return query.Stats{}, err
	}
	return a.answer(rows, r, output)
}

// width is that of the terminal that stdout is, or 0.
func (a *app) width() int {
	f := fileOf(a.stdout)
	if f == nil {
		return 0
	}
	return term.Width(f)
}

// parseTime reads the value of a flag that is a time; none is the zero time.
func parseTime(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := api.ParseTime(value, now)
	if err != nil {
		return time.Time{}, usagef("%s %q: %w", flag, value, err)
	}
	return t, nil
}

// point writes the line of the query that the fault is on, and a caret below
// the column.
func (f *faultIn) point(w io.Writer) {
	if f.fault.Line < 1 || f.fault.Col < 1 {
		return
	}
	lines := strings.Split(f.text, "\n")
	if f.fault.Line > len(lines) {
		return
	}
	line := strings.TrimSuffix(lines[f.fault.Line-1], "\r")
	at := 0 // byte offset of the column
	for n := 1; n < f.fault.Col && at < len(line); n++ {
		_, size := utf8.DecodeRuneInString(line[at:])
		at += size
	}
	before, after := term.Clean(line[:at]), term.Clean(line[at:])
	// A long line is shown from a little before the fault on.
	const most = 60
	for term.StringWidth(before) > most {
		_, size := utf8.DecodeRuneInString(before)
		before = before[size:]
	}
	fmt.Fprintf(w, "  %s%s\n", before, term.Truncate(after, most))
	fmt.Fprintf(w, "  %s^\n", strings.Repeat(" ", term.StringWidth(before)))
}

func kindNames() string {
	var names []string
	for _, k := range trailward.Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}
