package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"trailward/internal/term"
	"trailward/query"
	"trailward/query/insights"
)

// explainFlag is --explain or --explain=ENGINE; empty means that it is not
// there.
type explainFlag string

// IsBool lets kong take the flag without a value.
func (explainFlag) IsBool() bool { return true }

// Decode reads the value behind = if there is one.
func (f *explainFlag) Decode(ctx *kong.DecodeContext) error {
	*f = "duckdb"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*f = explainFlag(ctx.Scan.Pop().String())
	}
	if !slices.Contains(query.Engines, string(*f)) {
		return fmt.Errorf("no engine is named %q: want one of %s", string(*f), strings.Join(query.Engines, ", "))
	}
	return nil
}

// explainer is a place that can say what a question becomes there.
type explainer interface {
	Explain(ctx context.Context, r query.Request, engine string) (*query.Explanation, error)
}

// Explain says what a question becomes over this store.
func (l *local) Explain(ctx context.Context, r query.Request, engine string) (*query.Explanation, error) {
	e, err := l.useEngine()
	if err != nil {
		return nil, err
	}
	return e.Explain(ctx, r, engine)
}

// queryParts takes the text of a question apart: a text in Insights QL may hold
// several.
func queryParts(lang query.Language, text string) []insights.Part {
	if lang == query.Insights {
		return insights.Split(text)
	}
	return []insights.Part{{Text: text, Line: 1}}
}

// eachPart asks the queries of a text in turn. It goes on after one that fails,
// which is reported at once; the error of the last is returned.
func (a *app) eachPart(text string, lang query.Language, fn func(i, n int, p insights.Part) error) error {
	parts := queryParts(lang, text)
	failed := 0
	for i, p := range parts {
		err := fn(i, len(parts), p)
		if err == nil {
			continue
		}
		var fault *query.Error
		if errors.As(err, &fault) && fault.Line > 0 {
			moved := *fault
			moved.Line += p.Line - 1
			err = &moved
		}
		err = withText(err, text)
		if i == len(parts)-1 || a.ctx.Err() != nil {
			return err
		}
		failed++
		report(a, "query", err)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d queries failed", failed, len(parts))
	}
	return nil
}

// askParts asks and writes the answers.
func (a *app) askParts(b backend, r query.Request, f *answerFlags, binary bool) error {
	text := r.Text
	if binary && len(queryParts(r.Language, text)) > 1 {
		return usagef("the text holds several queries: --output %s takes one", f.Output)
	}
	return a.eachPart(text, r.Language, func(i, n int, p insights.Part) error {
		r.Text = p.Text
		if n > 1 {
			if err := a.above(i, p, f.Output); err != nil {
				return err
			}
		}
		stats, err := a.ask(b, r, f.Output, binary)
		if err != nil {
			return err
		}
		a.showNotices(stats.Notices, p.Line)
		if f.Stats {
			return json.NewEncoder(a.stderr).Encode(stats)
		}
		return nil
	})
}

// above writes what stands above the answer to one of several queries.
func (a *app) above(i int, p insights.Part, output string) error {
	var b strings.Builder
	if i > 0 && (output == "table" || output == "csv") {
		b.WriteByte('\n')
	}
	if output == "table" {
		for line := range strings.Lines(p.Text) {
			b.WriteString(term.Clean(strings.TrimRight(line, "\r\n")) + "\n")
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// noticePlace is how a notice begins that belongs to a place in the text.
var noticePlace = regexp.MustCompile(`^line (\d+), `)

// showNotices writes what there is to say about a query whose text begins at a
// line of the whole text.
func (a *app) showNotices(notices []string, first int) {
	for _, n := range notices {
		if m := noticePlace.FindStringSubmatch(n); m != nil {
			if line, err := strconv.Atoi(m[1]); err == nil {
				n = "line " + strconv.Itoa(line+first-1) + ", " + n[len(m[0]):]
			}
		}
		fmt.Fprintf(a.stderr, "trailward: note: %s\n", oneLine(n))
	}
}

// explain writes what the queries of a text become in an engine's SQL.
func (a *app) explain(place *placeFlags, r query.Request, engine string) error {
	ask := func(fn func(r query.Request) (*query.Explanation, error)) error {
		text := r.Text
		return a.eachPart(text, r.Language, func(i, n int, p insights.Part) error {
			r.Text = p.Text
			x, err := fn(r)
			if err != nil {
				return err
			}
			a.showNotices(x.Notices, p.Line)
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			return writeExplanation(a.stdout, x)
		})
	}
	if engine != "duckdb" {
		return ask(func(r query.Request) (*query.Explanation, error) { return query.ExplainFor(r, engine, query.Options{}) })
	}
	return a.with(place, func(b backend) error {
		e, ok := b.(explainer)
		if !ok {
			return usagef("--explain looks into a data directory: name it with --data DIR, not with --server; --explain=trino and --explain=spark need neither")
		}
		return ask(func(r query.Request) (*query.Explanation, error) { return e.Explain(a.ctx, r, engine) })
	})
}

// maxExplained is how many segments that are not read, for one reason, are listed
// one by one.
const maxExplained = 20

// writeExplanation writes the SQL and what becomes of each segment, as comments of
// it, so that the whole can be pasted.
func writeExplanation(w io.Writer, x *query.Explanation) error {
	var b strings.Builder
	b.WriteString(x.SQL + "\n")
	if x.Prepares {
		b.WriteString("-- The rows of this statement are brought together into patterns; another runs the rest of the query over these.\n")
	}
	if len(x.Parts) > 0 {
		opened := 0
		for _, p := range x.Parts {
			if p.Opened {
				opened++
			}
		}
		fmt.Fprintf(&b, "-- %d of %d segments are read.\n", opened, len(x.Parts))
	}
	same := map[string]int{}
	for _, p := range x.Parts {
		word := "read"
		if !p.Opened {
			word = "skip"
			if same[p.Why]++; same[p.Why] > maxExplained {
				continue
			}
		}
		const layout = "2006-01-02 15:04:05"
		fmt.Fprintf(&b, "-- %s %s, group %s, kind %s, %d records from %s to %s: %s\n", word, p.ID, term.Clean(p.Group), p.Kind, p.Rows, p.From.UTC().Format(layout), p.To.UTC().Format(layout), term.Clean(p.Why))
	}
	for _, why := range sortedKeys(same) {
		if n := same[why] - maxExplained; n > 0 {
			fmt.Fprintf(&b, "-- skip %d more: %s\n", n, why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sortedKeys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// request makes the request of a question.
func (a *app) request(f *answerFlags, lang query.Language, text string, tables map[string]string) (query.Request, error) {
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, maxQueryText+1))
		if err != nil {
			return query.Request{}, fmt.Errorf("read the query from stdin: %w", err)
		}
		if len(b) > maxQueryText {
			return query.Request{}, usagef("the query on stdin is longer than %d bytes", maxQueryText)
		}
		text = string(b)
	}
	now := time.Now()
	r := query.Request{Language: lang, Text: text, Groups: f.Group, Now: now, Tables: tables}
	var err error
	if r.Start, err = parseTime("--start", f.Start, now); err != nil {
		return r, err
	}
	if r.End, err = parseTime("--end", f.End, now); err != nil {
		return r, err
	}
	if !r.Start.IsZero() && !r.End.IsZero() && r.End.Before(r.Start) {
		return r, usagef("--end %s is before --start %s", f.End, f.Start)
	}
	return r, nil
}
