package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/dustin/go-humanize"

	"trailward/api/keep"
	"trailward/internal/term"
	"trailward/internal/vfs"
	"trailward/query"
	"trailward/store"
	"trailward/store/ledger"
	"trailward/store/verifier"
)

type verifyCmd struct {
	placeFlags `embed:""`
	Record     string `placeholder:"PTR" help:"Print the proof of one record instead: the @ptr that a query gave for it."`
	Accept     bool   `help:"Forget what was seen in this place before, as after a restore, and take what is there for right."`
	Output     string `enum:"text,json" default:"text" help:"How to write the result: text, or json: one object."`
}

func (verifyCmd) Help() string {
	return `Every segment is decrypted and read, every record hashed, and all of it held against the ledger and its signed checkpoint; the catalog is derived again from the segments, and the WAL is read. Nothing in the data directory is changed. With --server the server does this while it goes on, and its signed checkpoint is held here against the one that you saw last; whoever does not trust the server verifies a backup instead. Exit status 1 means that something is not as it was written; each finding says what it is and what to do.

The checkpoint that was seen is remembered in your own state folder ($XDG_STATE_HOME/trailward, else ~/.local/state/trailward), so that a store that somebody put back to an older state is found out the next time.

With --record, the proof is printed as one JSON object, after it was checked: from the record's bytes through its segment's tree and the ledger to the signed checkpoint. It says itself what it discloses.

Examples:

  trailward verify
  trailward verify --data /mnt/evidence --key-file /media/key/trailward.key --output json
  trailward query --output json 'fields @ptr | filter auditID = "7e0b6c1e" | limit 1' | jq -r '.["@ptr"]'
  trailward verify --record AQBhYmM > proof.json
  trailward verify --server https://logs.example:7300 --token-file admin.token`
}

func (c *verifyCmd) Run(a *app) error {
	if c.Record != "" {
		if _, _, err := query.ParsePointer(c.Record); err != nil {
			return usageError{err}
		}
	}
	loc, err := c.locate(a.getenv)
	if err != nil {
		return err
	}
	if loc.server != "" {
		return c.verifyServer(a, loc)
	}
	e, err := openEvidence(loc)
	if err != nil {
		return err
	}
	defer e.Close()
	if c.Record != "" {
		return c.prove(a, e)
	}
	return c.verify(a, e, loc)
}

// openEvidence opens a data directory to examine it.
func openEvidence(loc location) (*store.Evidence, error) {
	exists, err := isStore(loc.data)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if !exists {
		return nil, fmt.Errorf("there is no store in %s: name one with --data DIR", loc.data)
	}
	keys, err := openKeys(loc, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	e, err := store.OpenEvidence(loc.data, keys)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another process: if that is a server, ask it with --server URL, else wait for its end", loc.data)
	}
	return e, err
}

func (c *verifyCmd) prove(a *app, e *store.Evidence) error {
	id, row, err := query.ParsePointer(c.Record)
	if err != nil {
		return usageError{err}
	}
	p, err := e.Prove(a.ctx, id, row)
	if errors.Is(err, verifier.ErrNoRecord) {
		return fmt.Errorf("%w: pointers are good until the record's segment is merged with others: ask for it anew", err)
	}
	if err != nil {
		return err
	}
	return c.printProof(a.stdout, p)
}

func (c *verifyCmd) printProof(w io.Writer, proof any) error {
	enc := json.NewEncoder(w)
	if c.Output == "text" {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(proof)
}

func (c *verifyCmd) verify(a *app, e *store.Evidence, loc location) error {
	began := time.Now()
	opt := verifier.Options{}
	seen, found := c.remembered(a, e, loc)
	if seen != nil {
		defer seen.Close()
		opt.Remembered = seen.last
	}
	progress := term.NewProgress(fileOf(a.stderr), "bytes")
	opt.Progress = func(p verifier.Progress) { progress.Bytes(p.Done, p.Total) }
	report, err := e.Verify(a.ctx, opt)
	progress.Close()
	if err != nil {
		return err
	}
	report.Findings = append(found, report.Findings...)
	if report.Good() && seen != nil && report.Signed != nil {
		if err := seen.Remember(seen.place, report.Identity, report.Signed); err != nil {
			fmt.Fprintln(a.stderr, "trailward: verify:", oneLine(err.Error()))
		}
	}
	whole, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return c.tell(a.stdout, loc, whole, time.Since(began))
}

// remembered reads what the user remembers. What contradicts the store is in
// the findings; when nothing can be remembered, that is said and no more.
func (c *verifyCmd) remembered(a *app, e *store.Evidence, loc location) (*memory, []verifier.Finding) {
	warn := func(err error) (*memory, []verifier.Finding) {
		fmt.Fprintln(a.stderr, "trailward: verify: the checkpoint cannot be compared with an earlier one:", oneLine(err.Error()))
		return nil, nil
	}
	m, err := c.openMemory(loc)
	if err != nil {
		return warn(err)
	}
	id, err := e.Identity()
	if err != nil {
		m.Close()
		return nil, nil // the verifier says what is wrong with it
	}
	last, ok, err := m.Last(m.place, id)
	if err == nil && ok {
		m.last = &last
	}
	if err == nil && !ok {
		var now ledger.Checkpoint
		if now, err = e.Checkpoint(); err == nil {
			// Asks for no proof, since nothing is known of this ledger.
			_, err = m.Check(m.place, id, now, func(ledger.Checkpoint) ([]ledger.Hash, error) { return nil, nil })
		} else {
			err = nil
		}
	}
	if err == nil {
		return m, nil
	}
	if f := exchanged(err); f != nil {
		return m, []verifier.Finding{*f}
	}
	m.Close()
	return warn(err)
}

// openMemory opens the user's memory of the place, empty if what is there is to
// be taken for right.
func (c *verifyCmd) openMemory(loc location) (*memory, error) {
	m, err := openMemory(loc)
	if err == nil && c.Accept {
		if err := m.Forget(m.place); err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, err
}

// exchanged is the finding of a ledger that contradicts what is remembered, or
// nil if err is another one.
func exchanged(err error) *verifier.Finding {
	switch {
	case errors.Is(err, ledger.ErrRolledBack):
		return &verifier.Finding{What: verifier.RolledBack, Where: "ledger", Detail: err.Error(),
			Do: "find the newer store; if an older one was restored here on purpose, verify with --accept"}
	case errors.Is(err, ledger.ErrOtherLedger):
		return &verifier.Finding{What: verifier.Exchanged, Where: "ledger", Detail: err.Error(),
			Do: "if a new store was made here on purpose, verify with --accept; else the store was exchanged: find the old one"}
	case errors.Is(err, ledger.ErrForked):
		return &verifier.Finding{What: verifier.Exchanged, Where: "ledger", Detail: err.Error(), Do: "find out who exchanged the key: what was signed before is with the old one"}
	}
	return nil
}

// shownReport is a report as it is read to be shown.
type shownReport struct {
	keep.Report
	Gaps []struct {
		Event struct{ From, To int64 } `json:"event"`
	} `json:"gaps"`
}

// tell writes the report, which is the JSON of a [verifier.Report]. With findings
// the error says how many.
func (c *verifyCmd) tell(w io.Writer, loc location, whole []byte, took time.Duration) error {
	var r shownReport
	if err := json.Unmarshal(whole, &r); err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	write := c.tellText
	if c.Output == "json" {
		write = c.tellJSON
	}
	if err := write(w, &r, whole, took); err != nil {
		return err
	}
	switch n := len(r.Findings); n {
	case 0:
	case 1:
		return fmt.Errorf("%s is not as it was written: 1 finding", loc)
	default:
		return fmt.Errorf("%s is not as it was written: %d findings", loc, n)
	}
	return nil
}

// tellJSON writes the report with the members good, before it, and seconds.
func (c *verifyCmd) tellJSON(w io.Writer, r *shownReport, whole []byte, took time.Duration) error {
	good := "false"
	if len(r.Findings) == 0 {
		good = "true"
	}
	seconds, err := json.Marshal(took.Seconds())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "{\"good\":%s,%s,\"seconds\":%s}\n", good, whole[1:len(whole)-1], seconds)
	return err
}

func (c *verifyCmd) tellText(w io.Writer, r *shownReport, _ []byte, took time.Duration) error {
	b := &lineWriter{w: w}
	for _, f := range r.Findings {
		b.line("FOUND  %s", f)
	}
	for _, f := range r.Notices {
		b.line("note   %s", f)
	}
	b.line("%s records in %s segments (%s), %s ledger entries, %s WAL entries, read in %s",
		humanize.Comma(r.Records), humanize.Comma(r.Segments), humanize.Bytes(uint64(max(r.Bytes, 0))), humanize.Comma(int64(r.Entries)), humanize.Comma(r.WALEntries), took.Round(time.Millisecond))
	if n := len(r.Gaps); n > 0 {
		last := r.Gaps[n-1].Event
		b.line("the ledger has %d gaps in time; the last from %s to %s", n, gapTime(last.From), gapTime(last.To))
	}
	if r.Checkpoint.Size > 0 {
		compared := "no earlier one was seen from here"
		if r.Compared {
			compared = "it continues the one seen before"
		}
		b.line("checkpoint %d of %s, %s", r.Checkpoint.Size, r.Checkpoint.Origin, compared)
	}
	if len(r.Findings) == 0 {
		b.line("everything is as it was written")
	}
	return b.err
}

func gapTime(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

// lineWriter writes lines that are safe on a terminal, until the first error.
type lineWriter struct {
	w   io.Writer
	err error
}

func (l *lineWriter) line(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintln(l.w, term.Clean(fmt.Sprintf(format, args...)))
	}
}
