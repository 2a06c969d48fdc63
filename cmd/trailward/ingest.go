package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trailward"
	"trailward/api"
	"trailward/internal/term"
)

type ingestCmd struct {
	placeFlags `embed:""`
	Group      string   `required:"" placeholder:"G" help:"Log group to put the records into."`
	Stream     string   `placeholder:"S" help:"Log stream; default: one for each file, named after it."`
	Kind       string   `default:"auto" placeholder:"KIND" help:"Kind of the records (${kinds}); auto finds it by content."`
	Output     string   `enum:"text,json" default:"text" help:"How to write the summary: text, or json: one object."`
	DigestKeys []string `sep:"none" placeholder:"FILE" help:"Check the signatures of CloudTrail digests with the public keys in FILE, which 'aws cloudtrail list-public-keys' printed for their region and time. Repeat for more."`
	Files      []string `arg:"" name:"file" help:"Files, folders and archives; - is stdin. Packed ones (gzip, zstd, bzip2, tar, zip) are unpacked, Parquet is read."`
}

func (ingestCmd) Help() string {
	return `Loading the same again adds nothing, and a file that grew or a load that was interrupted goes on where it was. What cannot be read as what it claims to be is kept as text and counted as damaged.

Examples:

  trailward ingest --group /eks/prod/audit audit.log
  trailward ingest --group /aws/cloudtrail s3-copy/AWSLogs/
  journalctl -o json | trailward ingest --group /hosts/journal --stream $(hostname) -
  trailward ingest --server http://127.0.0.1:7300 --group /hosts/syslog /var/log/auth.log*`
}

func (c *ingestCmd) Run(a *app) error {
	job := ingestJob{group: c.Group, stream: c.Stream, paths: c.Files}
	if c.Kind != "auto" {
		job.kind = trailward.Kind(c.Kind)
		if !job.kind.Valid() {
			return usagef("--kind %s: no kind is named so: want auto or one of %s", c.Kind, kindNames())
		}
	}
	// Before the place is opened: a slip in a name must not leave a new store behind.
	for _, p := range c.Files {
		if p == "-" {
			continue
		}
		if _, err := os.Stat(p); err != nil {
			return err // names the path and what was done
		}
	}
	if len(c.DigestKeys) > 0 {
		var err error
		if job.digestKeys, err = readDigestKeys(c.DigestKeys); err != nil {
			return err
		}
	}
	return a.withPlace(&c.placeFlags, true, func(b backend) error {
		job.stdin = a.stdin
		job.progress = term.NewProgress(fileOf(a.stderr), "records")
		job.warn = func(what string) {
			job.progress.Clear()
			fmt.Fprintln(a.stderr, "trailward: ingest:", term.Clean(what))
		}
		sum, err := b.Ingest(a.ctx, job)
		job.progress.Close()
		// With an error too: what was stored until then is stored.
		if werr := c.summary(a.stdout, sum, err != nil); err == nil {
			err = werr
		}
		return err
	})
}

// summary writes what became of the records. After an error that came before
// anything was stored there is nothing to say.
func (c *ingestCmd) summary(w io.Writer, sum api.IngestResult, failed bool) error {
	if failed && sum.Records == 0 && sum.Duplicates == 0 && sum.Rejected == 0 {
		return nil
	}
	if sum.Damaged == nil {
		sum.Damaged = map[string]int64{}
	}
	if sum.Kinds == nil {
		sum.Kinds = map[trailward.Kind]int64{}
	}
	if c.Output == "json" {
		return json.NewEncoder(w).Encode(sum)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(n int64, what string) { fmt.Fprintf(t, "%s\t %s\n", humanize.Comma(n), what) }
	row(sum.Records, "records, "+humanize.Bytes(uint64(max(sum.Bytes, 0))))
	for _, k := range trailward.Kinds {
		if n := sum.Kinds[k]; n > 0 {
			row(n, "of kind "+string(k))
		}
	}
	if sum.Conflicts > 0 {
		row(sum.Conflicts, "conflicts: new records with the id of a stored one and other content")
	}
	if sum.Duplicates > 0 {
		row(sum.Duplicates, "duplicates, not stored again")
	}
	var reasons []string
	for r := range sum.Damaged {
		reasons = append(reasons, r)
	}
	sort.Strings(reasons)
	for _, r := range reasons {
		row(sum.Damaged[r], "damaged: "+r)
	}
	if sum.Rejected > 0 {
		row(sum.Rejected, "rejected")
	}
	return t.Flush()
}
