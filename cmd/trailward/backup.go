package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/dustin/go-humanize"

	"trailward/internal/term"
	"trailward/internal/vfs"
	"trailward/store"
)

type backupCmd struct {
	placeFlags `embed:""`
	Dir        string `arg:"" help:"New directory for the copy, here, also with --server."`
}

func (backupCmd) Help() string {
	return `The copy is the store as it was at one moment: segments, catalog, ledger, WAL, lookup tables, and the hashes of tokens. It is encrypted as the store is, and the key file is NOT in it: keep a copy of that in another place, for without it the backup is worth nothing, and together with it the backup is readable.

Records that expire later stay in the copy: delete backups when their time is over.

Examples:

  trailward backup /mnt/backup/2026-11-22
  trailward backup /mnt/backup/2026-11-22 --server https://logs.example:7300 --token-file admin.token
  trailward verify --data /mnt/backup/2026-11-22 --key-file /etc/trailward/trailward.key`
}

func (c *backupCmd) Run(a *app) error {
	loc, err := c.locate(a.getenv)
	if err != nil {
		return err
	}
	return a.keep(&c.placeFlags, func(k keeper) error {
		progress := term.NewProgress(fileOf(a.stderr), "bytes")
		res, err := k.BackupTo(a.ctx, c.Dir, progress.Bytes)
		progress.Close()
		if err != nil {
			return err
		}
		out := &lineWriter{w: a.stdout}
		out.line("%s: %d segments, %s in all", c.Dir, res.Segments, humanize.Bytes(uint64(res.Bytes)))
		if loc.server == "" {
			out.line("the key file is not in it: keep a copy of %s in another place", loc.keyPath())
		} else {
			out.line("the server's key file is not in it: keep a copy of that in another place")
		}
		return out.err
	})
}

type restoreCmd struct {
	dataFlags      `embed:""`
	RebuildCatalog bool   `help:"Make the catalog of a data directory again, out of its segments and its ledger."`
	Backup         string `arg:"" optional:"" help:"Directory that trailward backup made."`
}

func (restoreCmd) Help() string {
	return `The data directory must not exist yet. Afterwards, verify it: a store that is older than the one last seen in that place is refused until you say with ` + "`trailward verify --accept`" + ` that it is meant to be.

With --rebuild-catalog nothing is copied: a lost or damaged catalog.db is made again. What only the catalog knew is lost with it: which files and batches were taken in before (records that have an id of their own are still stored once).

Examples:

  trailward restore /mnt/backup/2026-11-22 --data /var/lib/trailward
  trailward verify --accept --data /var/lib/trailward --key-file /etc/trailward/trailward.key
  trailward restore --rebuild-catalog --data /var/lib/trailward`
}

func (c *restoreCmd) Run(a *app) error {
	loc := c.locate(a.getenv)
	switch {
	case c.RebuildCatalog && c.Backup != "":
		return usagef("--rebuild-catalog works on the data directory itself: name it with --data, and no backup")
	case c.RebuildCatalog:
		return c.rebuild(a, loc)
	case c.Backup == "":
		return usagef("name the backup to restore, or pass --rebuild-catalog")
	}
	progress := term.NewProgress(fileOf(a.stderr), "bytes")
	err := store.Restore(a.ctx, c.Backup, loc.data, progress.Bytes)
	progress.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s is restored to %s\nthe key file does not come with it: put it at %s, or name its place with --key-file\nthen: trailward verify --accept --data %s\n",
		term.Clean(c.Backup), term.Clean(loc.data), term.Clean(loc.keyPath()), term.Clean(loc.data))
	return err
}

func (c *restoreCmd) rebuild(a *app, loc location) error {
	keys, err := openKeys(loc, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := store.Rebuild(a.ctx, store.Options{Dir: loc.data, Provider: keys})
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("data directory %s is in use by another process: end it first", loc.data)
	}
	if err != nil {
		return err
	}
	out := &lineWriter{w: a.stdout}
	out.line("the catalog of %s is made again: %d segments, %s records", loc.data, r.Segments, humanize.Comma(r.Records))
	if r.Old != "" {
		out.line("the old one is kept as %s: delete it when you need it no more", r.Old)
	}
	for _, bad := range r.Bad {
		out.line("LEFT OUT  %s", bad)
	}
	if out.err != nil {
		return out.err
	}
	if n := len(r.Bad); n > 0 {
		return fmt.Errorf("%d segments that the ledger has are not in the catalog: put them back from a backup and run this again", n)
	}
	return nil
}
