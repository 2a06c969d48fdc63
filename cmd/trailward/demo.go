package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trailward/api"
	"trailward/demo"
	"trailward/internal/term"
	"trailward/query"
)

type demoCmd struct {
	Data   string `placeholder:"DIR" help:"Keep the data here; default: a temporary folder that is removed at the end."`
	Listen string `placeholder:"ADDR" default:"127.0.0.1:0" help:"HOST:PORT on loopback; port 0 takes a free one."`
}

func (demoCmd) Help() string {
	return `Starts a server on a store of its own, loads a day of the small cluster "st-mary-hospital" (records of every kind, and a break-in that left its marks in all of them), asks an investigator's questions and prints the answers. Then the server stays until ^C; with DEMO_EXIT=1 in the environment the demo ends after the answers.

Examples:

  trailward demo
  DEMO_EXIT=1 trailward demo
  trailward demo --data ./demo-data`
}

func (c *demoCmd) Run(a *app) (err error) {
	scratch, err := os.MkdirTemp("", "trailward-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.RemoveAll(scratch); rerr != nil && err == nil {
			err = rerr
		}
	}()
	loc := location{data: c.Data}
	if loc.data == "" {
		loc.data = filepath.Join(scratch, "data")
	}
	// The key beside the data is no fault of a demo.
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	l, err := openLocal(a.ctx, loc, true, log)
	if err != nil {
		return err
	}
	// The server runs until the answers are shown, or until ^C.
	inner := *a
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	inner.ctx = ctx
	urls := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- serve(&inner, l, loc, api.Config{Listen: c.Listen}, log, func(url string) { urls <- url })
	}()
	var url string
	select {
	case url = <-urls:
	case err := <-ended:
		return err
	}
	err = c.show(a, l, loc, url, filepath.Join(scratch, "samples"))
	if err == nil && a.getenv("DEMO_EXIT") != "1" {
		fmt.Fprintf(a.stdout, "\nThe server stays at %s until ^C.\n", url)
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	if serr := <-ended; err == nil {
		err = serr
	}
	return err
}

func (c *demoCmd) show(a *app, l *local, loc location, url, samples string) error {
	fmt.Fprintf(a.stdout, "Trailward %s serves %s on a store of its own (%s, encrypted).\n\n", buildVersion(), url, loc.data)
	if err := c.load(a, l, samples); err != nil {
		return err
	}
	b, err := openRemote(location{server: url})
	if err != nil {
		return err
	}
	defer b.Close()
	for i, q := range demo.Questions() {
		if err := ask(a, b, i+1, q); err != nil {
			return err
		}
	}
	self := "trailward"
	if len(os.Args) > 0 && strings.Contains(os.Args[0], "/") {
		self = os.Args[0]
	}
	fmt.Fprintf(a.stdout, `
What to try next, in another terminal:

  %[1]s groups --server %[2]s
  %[1]s query  --server %[2]s 'filter @log like "ehr" and action = "report.export" | stats sum(patients) by client.ip'
  %[1]s sql    --server %[2]s "SELECT dstaddr, sum(bytes) AS bytes FROM vpc_flow WHERE action = 'ACCEPT' GROUP BY dstaddr ORDER BY bytes DESC LIMIT 5"
  %[1]s cat    --server %[2]s --group %[3]s | tail -n 3
  curl -s %[2]s/v1/query -d '{"query": "stats count(*) as records by @kind | sort records desc"}'
  %[1]s ingest --server %[2]s --group mine YOUR-FILES…
`, self, url, demo.GroupHostAudit)
	return nil
}

// load puts the samples into the store, unless they are there already from
// the last time. A store that holds anything else is left alone.
func (c *demoCmd) load(a *app, l *local, dir string) error {
	samples := demo.Samples(time.Now(), demo.Full)
	groups, err := l.Groups(a.ctx)
	if err != nil {
		return err
	}
	if len(groups) > 0 {
		for _, g := range groups {
			if !slices.ContainsFunc(samples, func(s demo.Sample) bool { return s.Group == g.Name }) {
				return usagef("%s holds the group %s, which is not the demo's: name an empty folder with --data", c.Data, g.Name)
			}
		}
		fmt.Fprintf(a.stdout, "%s holds the sample data already.\n", c.Data)
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "A day of the cluster st-mary-hospital goes in:\n\n")
	table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "file"}, {Name: "kind"}, {Name: "records", Number: true}, {Name: "group"}})
	for _, s := range samples {
		path := filepath.Join(dir, s.Name)
		if err := os.WriteFile(path, s.Data, 0o600); err != nil {
			return err
		}
		sum, err := l.Ingest(a.ctx, ingestJob{group: s.Group, stream: s.Stream, paths: []string{path}, warn: func(what string) { fmt.Fprintln(a.stderr, what) }})
		if err != nil {
			return err
		}
		if sum.Records != int64(s.Records) || sum.Kinds[s.Kind] != int64(s.Records) {
			return fmt.Errorf("load sample %s: %d records of kinds %v were stored, want %d of kind %s", s.Name, sum.Records, sum.Kinds, s.Records, s.Kind)
		}
		if err := table.Row([]string{s.Name, string(s.Kind), fmt.Sprint(sum.Records), s.Group}); err != nil {
			return err
		}
	}
	return table.Flush()
}

// ask prints one question, its query and the answer.
func ask(a *app, b backend, n int, q demo.Question) error {
	language := "Logs Insights QL"
	if q.Language == query.SQL {
		language = "SQL"
	}
	fmt.Fprintf(a.stdout, "\n%d. %s\n\n", n, q.Asks)
	note := language
	if len(q.Groups) > 0 {
		note += ", in " + strings.Join(q.Groups, " ")
	}
	fmt.Fprintf(a.stdout, "   [%s]\n", note)
	for line := range strings.Lines(q.Text) {
		fmt.Fprintf(a.stdout, "   %s\n", strings.TrimSuffix(line, "\n"))
	}
	fmt.Fprintln(a.stdout)
	r := query.Request{Language: q.Language, Text: q.Text, Groups: q.Groups}
	rows, err := b.Query(a.ctx, r)
	if err != nil {
		return withText(err, q.Text)
	}
	stats, err := a.answer(rows, r, "table")
	if err != nil {
		return withText(err, q.Text)
	}
	fmt.Fprintf(a.stdout, "%.1f ms, %d records looked at\n", stats.ElapsedMS, stats.RecordsScanned)
	return nil
}

// withText gives a fault in a query its text, for the caret.
func withText(err error, text string) error {
	var fault *query.Error
	if errors.As(err, &fault) {
		return &faultIn{fault, text}
	}
	return err
}
