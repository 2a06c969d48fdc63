package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trailward/internal/term"
	"trailward/store"
)

type retentionCmd struct {
	List retentionListCmd `cmd:"" help:"List how long each group's records are kept."`
	Set  retentionSetCmd  `cmd:"" help:"Set how long a group's records are kept."`
}

type retentionListCmd struct {
	dataFlags `embed:""`
	Output    string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (retentionListCmd) Help() string {
	return `Examples:

  trailward retention list
  trailward retention list --output json | jq -r 'select(.hold != null) | .group'`
}

type retentionSetCmd struct {
	dataFlags `embed:""`
	Group     string `arg:"" help:"Log group."`
	Duration  string `arg:"" help:"A number of days or years (90d, 6y; 1d to 100y), never, or default."`
}

func (retentionSetCmd) Help() string {
	return `Records are kept for so long after their arrival, by a clock that no wrong time can hurry: it moves on a day at most in a run, and there are two runs a day. What expires is segments, each as a whole, once the youngest record in it is past its time; the ledger keeps who expired when. A group under hold keeps everything. The default is 6y, each counted as 366 days.

Examples:

  trailward retention set /eks/prod/audit 7y
  trailward retention set /debug 30d
  trailward retention set /evidence never`
}

// setting is a group's settings as they are printed.
type setting struct {
	Group     string     `json:"group"`
	Retention string     `json:"retention"` // never, or days
	Default   bool       `json:"default"`
	Hold      *heldSince `json:"hold,omitempty"`
}

type heldSince struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

func settings(l *local) []setting {
	var out []setting
	for _, g := range l.store.GroupSettings() {
		s := setting{Group: g.Group, Retention: formatRetention(g.Retention), Default: g.Default}
		if g.Hold != nil {
			s.Hold = &heldSince{g.Hold.Reason, time.Unix(0, g.Hold.Since).UTC()}
		}
		out = append(out, s)
	}
	return out
}

func (c *retentionListCmd) Run(a *app) error {
	return a.withStore(&c.dataFlags, func(l *local) error {
		list := settings(l)
		if c.Output == "json" {
			enc := json.NewEncoder(a.stdout)
			for _, s := range list {
				if err := enc.Encode(s); err != nil {
					return err
				}
			}
			return nil
		}
		table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "group"}, {Name: "retention", Number: true}, {Name: "set"}, {Name: "hold"}})
		for _, s := range list {
			set, hold := "yes", ""
			if s.Default {
				set = "default"
			}
			if s.Hold != nil {
				hold = "since " + shortTime(s.Hold.Since) + ": " + s.Hold.Reason
			}
			if err := table.Row([]string{s.Group, s.Retention, set, hold}); err != nil {
				return err
			}
		}
		return table.Close()
	})
}

func (c *retentionSetCmd) Run(a *app) error {
	d, err := parseRetention(c.Duration)
	if err != nil {
		return usageError{err}
	}
	return a.withStore(&c.dataFlags, func(l *local) error {
		if err := l.store.SetRetention(c.Group, d); err != nil {
			return err
		}
		if d == 0 {
			d = store.DefaultRetention
		}
		how := formatRetention(d) + " after their arrival"
		if d == store.KeepForever {
			how = "for ever"
		}
		_, err := fmt.Fprintln(a.stdout, term.Clean(fmt.Sprintf("records of %s are kept %s", c.Group, how)))
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

// withStore opens the data directory that the flags name for fn.
func (a *app) withStore(f *dataFlags, fn func(*local) error) (err error) {
	loc := f.locate(a.getenv)
	l, err := openLocal(a.ctx, loc, false, newLog(a.stderr))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := l.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close %s: %w", loc, cerr)
		}
	}()
	return fn(l)
}
