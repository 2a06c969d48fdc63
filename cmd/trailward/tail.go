package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"trailward/api/client"
)

type tailCmd struct {
	placeFlags `embed:""`
	Group      string `placeholder:"G" help:"Log group; a * at the end takes all that begin so. Default: all that may be read."`
	Output     string `enum:"text,json" default:"text" help:"text (time, group, stream and record) or json (an object a line)."`
	Pattern    string `arg:"" optional:"" help:"Filter pattern; default: every record."`
}

func (tailCmd) Help() string {
	return `Shows records from now on, as a server stores them; ^C ends it. The pattern is a filter pattern of CloudWatch Logs: terms (ERROR -"health check" ?a ?b %regex%), the fields of a line ([ip, ..., status = 5*]) or those of a JSON record ({ $.verb = "delete" }). When records come faster than they can be shown, stderr says how many are missing; queries have them all.

Examples:

  trailward tail --server http://127.0.0.1:7300
  trailward tail --server http://127.0.0.1:7300 --group '/eks/*' '{ $.verb = "delete" && $.responseStatus.code < 300 }'
  trailward tail --server https://logs.example:7300 --token-file token --output json 'denied' | jq .message`
}

// tailer is a place that shows records as they come.
type tailer interface {
	Tail(ctx context.Context, group, pattern string, fn func(l *client.TailLine, line []byte) error) error
}

func (c *tailCmd) Run(a *app) error {
	loc, err := c.locate(a.getenv)
	if err != nil {
		return err
	}
	if loc.server == "" {
		return usagef("a live tail needs a running server: name it with --server URL; what is in a data directory, `trailward query` shows")
	}
	return a.with(&c.placeFlags, func(b backend) error {
		t, ok := b.(tailer)
		if !ok {
			return errors.New("this place has no live tail")
		}
		w := bufio.NewWriter(a.guarded())
		err := t.Tail(a.ctx, c.Group, c.Pattern, func(l *client.TailLine, line []byte) error {
			switch {
			case l.Skipped > 0:
				fmt.Fprintf(a.stderr, "trailward: tail: up to %d records are not shown: they came too fast\n", l.Skipped)
			case c.Output == "json":
				w.Write(line)
				w.WriteByte('\n')
			default:
				c.text(w, l)
			}
			return w.Flush()
		})
		if a.ctx.Err() != nil {
			return nil // ^C is how a tail ends
		}
		return withText(err, c.Pattern)
	})
}

// text writes a record as a line: time, group unless just one was asked for,
// stream, and what it says.
func (c *tailCmd) text(w *bufio.Writer, l *client.TailLine) {
	w.WriteString(l.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	if c.Group == "" || strings.HasSuffix(c.Group, "*") {
		w.WriteByte(' ')
		w.WriteString(l.Group)
	}
	w.WriteByte(' ')
	w.WriteString(l.Stream)
	w.WriteByte(' ')
	if l.Bytes != nil {
		w.Write(l.Bytes)
	} else {
		w.WriteString(l.Message)
	}
	w.WriteByte('\n')
}
