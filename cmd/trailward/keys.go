package main

import (
	"strconv"

	"trailward/api/keep"
	"trailward/internal/term"
	"trailward/store/seal"
)

type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the keys, and what still needs each."`
	Rotate keysRotateCmd `cmd:"" help:"Make a new key and write everything again under it."`
}

type keysListCmd struct {
	placeFlags `embed:""`
	Output     string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (keysListCmd) Help() string {
	return `A key that nothing in the store needs may still be needed by a backup. Keys are listed by their ids, which are no secret; a key itself is never shown.

Examples:

  trailward keys list --key-file /etc/trailward/trailward.key
  trailward keys list --server https://logs.example:7300 --token-file admin.token`
}

type keysRotateCmd struct {
	placeFlags `embed:""`
	NoRewrap   bool `help:"Leave what is there as it is: only what is written from now on is under the new key."`
	Resume     bool `help:"Make no new key: go on with what an interrupted rotation has left."`
}

func (keysRotateCmd) Help() string {
	return `A new key comes first in the key file; the old ones stay in it. Then every segment is written again under a data key of its own that the new key wraps, and the old file is shredded. An interruption is harmless: go on with --resume. The change is in the ledger.

Make a copy of the key file after each rotation: without its newest key the store cannot be read. When ` + "`trailward keys list`" + ` says that nothing needs an old key, and no backup that you keep is older, its line may be taken out of the key file.

With keys in $` + seal.EnvironmentVariable + `, put the new one first there and run this with --resume.

Examples:

  trailward keys rotate --key-file /etc/trailward/trailward.key
  trailward keys rotate --resume
  trailward keys rotate --server https://logs.example:7300 --token-file admin.token`
}

func (c *keysListCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		list, err := k.Keys(a.ctx)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return jsonLines(a.stdout, list)
		}
		return c.print(a, list)
	})
}

func (c *keysListCmd) print(a *app, list []keep.KeyUse) error {
	table := term.NewTable(a.stdout, a.width(), []term.Column{
		{Name: "key"}, {Name: "state"}, {Name: "segments", Number: true}, {Name: "WAL files", Number: true}, {Name: "lookup tables", Number: true}, {Name: "store key"},
	})
	for _, k := range list {
		state, key := "not needed here", ""
		switch {
		case !k.Available:
			state = "needed, missing"
		case k.Current:
			state = "in use"
		case k.Needed():
			state = "needed"
		}
		if k.StoreKey {
			key = "yes"
		}
		count := func(n int64) string { return strconv.FormatInt(n, 10) }
		if err := table.Row([]string{k.ID, state, count(k.Segments), count(k.WALFiles), count(k.Lookups), key}); err != nil {
			return err
		}
	}
	return table.Close()
}

func (c *keysRotateCmd) Run(a *app) error {
	loc, err := c.locate(a.getenv)
	if err != nil {
		return err
	}
	return a.keep(&c.placeFlags, func(k keeper) error {
		progress := term.NewProgress(fileOf(a.stderr), "segments")
		res, err := k.RotateKeys(a.ctx, keep.Rotation{NoRewrap: c.NoRewrap, Resume: c.Resume}, func(p keep.Progress) { progress.Bytes(p.Done, p.Total) })
		progress.Close()
		if err != nil {
			return err
		}
		out := &lineWriter{w: a.stdout}
		out.line("key %s is in use; %d files still need an older one", res.ID, res.Older)
		if res.KeyFile != "" {
			where := res.KeyFile
			if loc.server != "" {
				where += " at the server"
			}
			out.line("make a copy of %s now: without this key the store cannot be read", where)
		}
		return out.err
	})
}
