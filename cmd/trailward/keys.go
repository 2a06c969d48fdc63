package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"trailward/internal/term"
	"trailward/store"
	"trailward/store/seal"
)

type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the keys, and what still needs each."`
	Rotate keysRotateCmd `cmd:"" help:"Make a new key and write everything again under it."`
}

type keysListCmd struct {
	dataFlags `embed:""`
	Output    string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (keysListCmd) Help() string {
	return `A key that nothing in the store needs may still be needed by a backup. Keys are listed by their ids, which are no secret; a key itself is never shown.

Example:

  trailward keys list --key-file /etc/trailward/trailward.key`
}

type keysRotateCmd struct {
	dataFlags `embed:""`
	NoRewrap  bool `help:"Leave what is there as it is: only what is written from now on is under the new key."`
	Resume    bool `help:"Make no new key: go on with what an interrupted rotation has left."`
}

func (keysRotateCmd) Help() string {
	return `A new key comes first in the key file; the old ones stay in it. Then every segment is written again under a data key of its own that the new key wraps, and the old file is shredded. An interruption is harmless: go on with --resume. The change is in the ledger.

Make a copy of the key file after each rotation: without its newest key the store cannot be read. When ` + "`trailward keys list`" + ` says that nothing needs an old key, and no backup that you keep is older, its line may be taken out of the key file.

With keys in $` + seal.EnvironmentVariable + `, put the new one first there and run this with --resume.

Examples:

  trailward keys rotate --key-file /etc/trailward/trailward.key
  trailward keys rotate --resume`
}

// keyUse is a key as it is printed.
type keyUse struct {
	ID       string `json:"id"`
	Current  bool   `json:"current"`
	Here     bool   `json:"available"`
	Segments int64  `json:"segments"`
	WAL      int64  `json:"wal_files"`
	StoreKey bool   `json:"store_key"`
}

func (c *keysListCmd) Run(a *app) error {
	return a.withStore(&c.dataFlags, func(l *local) error {
		uses, err := l.store.KeyUses(a.ctx)
		if err != nil {
			return err
		}
		var list []keyUse
		have := map[string]bool{}
		for _, id := range l.keys.IDs() {
			have[id] = true
		}
		listed := map[string]bool{}
		for _, u := range uses {
			listed[u.ID] = true
			list = append(list, keyUse{u.ID, u.Current, have[u.ID], u.Segments, u.WAL, u.Store})
		}
		for _, id := range l.keys.IDs() {
			if !listed[id] {
				list = append(list, keyUse{ID: id, Here: true})
			}
		}
		return c.print(a, list)
	})
}

func (c *keysListCmd) print(a *app, list []keyUse) error {
	if c.Output == "json" {
		enc := json.NewEncoder(a.stdout)
		for _, k := range list {
			if err := enc.Encode(k); err != nil {
				return err
			}
		}
		return nil
	}
	table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "key"}, {Name: "state"}, {Name: "segments", Number: true}, {Name: "WAL files", Number: true}, {Name: "store key"}})
	for _, k := range list {
		state, key := "not needed here", ""
		switch {
		case !k.Here:
			state = "needed, missing"
		case k.Current:
			state = "in use"
		case k.Segments > 0 || k.WAL > 0 || k.StoreKey:
			state = "needed"
		}
		if k.StoreKey {
			key = "yes"
		}
		if err := table.Row([]string{k.ID, state, strconv.FormatInt(k.Segments, 10), strconv.FormatInt(k.WAL, 10), key}); err != nil {
			return err
		}
	}
	return table.Close()
}

func (c *keysRotateCmd) Run(a *app) error {
	loc := c.locate(a.getenv)
	if !c.Resume && os.Getenv(seal.EnvironmentVariable) != "" {
		return errors.New("the keys are in $" + seal.EnvironmentVariable + ", which this program cannot change: put a new one first there, then run `trailward keys rotate --resume`")
	}
	return a.withStore(&c.dataFlags, func(l *local) error {
		keys := l.keys
		if !c.Resume {
			var err error
			if keys, err = seal.RotateKeyFile(loc.keyPath()); err != nil {
				return err
			}
		}
		if err := l.store.UseKeys(a.ctx, keys); err != nil {
			return err
		}
		l.keys = keys
		if !c.NoRewrap {
			progress := term.NewProgress(fileOf(a.stderr), "segments")
			err := l.store.Rewrap(a.ctx, progress.Bytes)
			progress.Close()
			if err != nil {
				return fmt.Errorf("%w; the new key is in use: go on with `trailward keys rotate --resume`", err)
			}
		}
		return c.tell(a, l.store, loc, keys)
	})
}

func (c *keysRotateCmd) tell(a *app, s *store.Store, loc location, keys *seal.Keys) error {
	uses, err := s.KeyUses(a.ctx)
	if err != nil {
		return err
	}
	var old int64
	for _, u := range uses {
		if !u.Current {
			old += u.Segments + u.WAL
		}
	}
	_, err = fmt.Fprintf(a.stdout, "key %s is in use; %d files still need an older one\nmake a copy of %s now: without this key the store cannot be read\n", keys.ID(), old, loc.keyPath())
	return err
}
