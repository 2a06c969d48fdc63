package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trailward/internal/term"
	"trailward/store"
)

type retentionCmd struct {
	List   retentionListCmd   `cmd:"" help:"List how long each group's records are kept."`
	Set    retentionSetCmd    `cmd:"" help:"Set how long a group's records are kept."`
	Expire retentionExpireCmd `cmd:"" help:"Delete now what is past its retention."`
}

type retentionListCmd struct {
	placeFlags `embed:""`
	Output     string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (retentionListCmd) Help() string {
	return `Examples:

  trailward retention list
  trailward retention list --output json | jq -r 'select(.hold != null) | .group'`
}

type retentionSetCmd struct {
	placeFlags `embed:""`
	Group      string `arg:"" help:"Log group."`
	Duration   string `arg:"" help:"A number of days or years (90d, 6y; 1d to 100y), never, or default."`
}

func (retentionSetCmd) Help() string {
	return `Records are kept for so long after their arrival, by a clock that no wrong time can hurry: it moves on a day at most in a run, and there are two runs a day. What expires is segments, each as a whole, once the youngest record in it is past its time; the ledger keeps who expired when. A group under hold keeps everything. The default is 6y, each counted as 366 days.

Examples:

  trailward retention set /eks/prod/audit 7y
  trailward retention set /debug 30d
  trailward retention set /evidence never
  trailward retention set /debug default --server https://logs.example:7300 --token-file admin.token`
}

type retentionExpireCmd struct {
	placeFlags `embed:""`
}

func (retentionExpireCmd) Help() string {
	return `A server does this by itself twice a day, and a data directory when a command has it open for long. What is deleted is shredded and in the ledger. The retention clock moves on at most once in twelve hours, and by a day at most, so that running this often deletes nothing early.

Examples:

  trailward retention expire
  trailward retention expire --server https://logs.example:7300 --token-file admin.token`
}

func (c *retentionListCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		list, err := k.Settings(a.ctx)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return jsonLines(a.stdout, list)
		}
		table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "group"}, {Name: "retention", Number: true}, {Name: "set"}, {Name: "hold"}})
		for _, s := range list {
			set, hold := "yes", ""
			if s.Default {
				set = "default"
			}
			if s.Hold != nil {
				hold = "since " + shortTime(s.Hold.Since)
				if s.Hold.Reason != "" {
					hold += ": " + s.Hold.Reason
				}
			}
			if err := table.Row([]string{s.Group, s.Retention, set, hold}); err != nil {
				return err
			}
		}
		return table.Close()
	})
}

func (c *retentionSetCmd) Run(a *app) error {
	if _, err := parseRetention(c.Duration); err != nil {
		return usageError{err}
	}
	return a.keep(&c.placeFlags, func(k keeper) error {
		set, err := k.SetRetention(a.ctx, c.Group, c.Duration)
		if err != nil {
			return err
		}
		how := set.Retention + " after their arrival"
		if set.Retention == "never" {
			how = "for ever"
		}
		_, err = fmt.Fprintln(a.stdout, term.Clean(fmt.Sprintf("records of %s are kept %s", c.Group, how)))
		return err
	})
}

func (c *retentionExpireCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		res, err := k.Expire(a.ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s records in %d segments were past their retention and are deleted; the retention clock stands at %s\n", humanize.Comma(res.Records), res.Segments, shortTime(res.Clock))
		return err
	})
}

const (
	dayLong  = 24 * time.Hour
	yearLong = 366 * dayLong // never too short
)

// parseRetention reads a number of days (d) or years (y), never or default.
func parseRetention(s string) (time.Duration, error) {
	switch s {
	case "never":
		return store.KeepForever, nil
	case "default":
		return 0, nil
	}
	bad := fmt.Errorf("retention %q: want days or years (90d, 6y), never or default", s)
	unit := dayLong
	text, ok := strings.CutSuffix(s, "d")
	if !ok {
		if text, ok = strings.CutSuffix(s, "y"); !ok {
			return 0, bad
		}
		unit = yearLong
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, bad
	}
	if n > uint64(store.MaxRetention/unit) {
		return 0, errors.New("retention of more than a hundred years: want never")
	}
	return time.Duration(n) * unit, nil
}

func formatRetention(d time.Duration) string {
	switch {
	case d == store.KeepForever:
		return "never"
	case d%yearLong == 0:
		return strconv.FormatInt(int64(d/yearLong), 10) + "y"
	}
	return strconv.FormatInt(int64(d/dayLong), 10) + "d"
}
