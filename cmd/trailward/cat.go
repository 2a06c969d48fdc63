package main

import "bufio"

type catCmd struct {
	placeFlags `embed:""`
	Group      string `required:"" placeholder:"G" help:"Log group."`
	Stream     string `placeholder:"S" help:"Log stream; default: all streams of the group."`
	NUL        bool   `name:"nul" short:"0" help:"End each record with a NUL byte instead of a line feed, for records that hold line feeds."`
}

func (catCmd) Help() string {
	return `Records come in the order of their event times, exactly the bytes that came in: their framing (a container log's prefix, CloudTrail's Records array) is not part of them. Only on a terminal, control characters are shown instead of obeyed.

Examples:

  trailward cat --group /eks/prod/audit > audit.jsonl
  trailward cat -0 --group /hosts/journal | tr '\0' '\n' | less
  trailward cat --server http://127.0.0.1:7300 --group /aws/cloudtrail | jq .eventName`
}

func (c *catCmd) Run(a *app) error {
	end := byte('\n')
	if c.NUL {
		end = 0
	}
	return a.with(&c.placeFlags, func(b backend) error {
		w := bufio.NewWriterSize(a.guarded(), 256<<10)
		err := b.Cat(a.ctx, c.Group, c.Stream, func(raw []byte) error {
			if _, err := w.Write(raw); err != nil {
				return err
			}
			return w.WriteByte(end)
		})
		// What was read before an error is good, and the reader's to have.
		if ferr := w.Flush(); err == nil {
			err = ferr
		}
		return err
	})
}
