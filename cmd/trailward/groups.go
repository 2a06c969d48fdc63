package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"trailward/internal/term"
)

type groupsCmd struct {
	placeFlags `embed:""`
	Output     string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (groupsCmd) Help() string {
	return `Bytes are those of the records as they came in, before compression.

Examples:

  trailward groups
  trailward groups --output json | jq -r .name`
}

func (c *groupsCmd) Run(a *app) error {
	return a.with(&c.placeFlags, func(b backend) error {
		list, err := b.Groups(a.ctx)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			enc := json.NewEncoder(a.stdout)
			for _, g := range list {
				if err := enc.Encode(g); err != nil {
					return err
				}
			}
			return nil
		}
		table := term.NewTable(a.stdout, a.width(), []term.Column{
			{Name: "group"}, {Name: "streams", Number: true}, {Name: "records", Number: true}, {Name: "bytes", Number: true}, {Name: "first"}, {Name: "last"},
		})
		for _, g := range list {
			if err := table.Row([]string{
				g.Name, strconv.FormatInt(g.Streams, 10), humanize.Comma(g.Records), humanize.Bytes(uint64(max(g.Bytes, 0))), shortTime(g.First), shortTime(g.Last),
			}); err != nil {
				return err
			}
		}
		return table.Close()
	})
}

// shortTime writes a time to the second, in UTC; the zero time is empty.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
