package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"trailward/internal/term"
	"trailward/internal/vfs"
	"trailward/query/lookup"
	"trailward/store/seal"
)

type lookupCmd struct {
	Put  lookupPutCmd  `cmd:"" help:"Make a lookup table of a CSV file, or replace it."`
	List lookupListCmd `cmd:"" help:"List the lookup tables."`
	Rm   lookupRmCmd   `cmd:"" help:"Remove a lookup table."`
}

type lookupPutCmd struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name: letters, digits, dashes and underscores."`
	File      string `arg:"" help:"CSV file in UTF-8 whose first line names the columns; - is stdin."`
}

func (lookupPutCmd) Help() string {
	return `The query commands lookup and cidrlookup look values up in it. It is kept sealed in the data directory; a running server uses it from the next question on.

Examples:

  trailward lookup put user_data users.csv
  trailward query 'lookup user_data id as user.username OUTPUT department | stats count(*) by department'
  trailward lookup put sites networks.csv
  trailward query 'cidrlookup sites sourceIPAddress AS cidr OUTPUT site | stats count(*) by site'`
}

type lookupListCmd struct {
	dataFlags `embed:""`
}

type lookupRmCmd struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the table."`
}

// lookupTables opens the tables of a data directory, which a server may have
// open as well.
func lookupTables(loc location, keys seal.Provider) (*lookup.Tables, error) {
	fsys, err := vfs.OS(loc.data)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	key, err := seal.OpenStoreKey(fsys, "store.key", keys)
	if err != nil {
		return nil, fmt.Errorf("open the store's key: %w", err)
	}
	return lookup.Open(fsys, keys, key), nil
}

// openLookup opens the tables for a command.
func (f *dataFlags) openLookup(a *app) (*lookup.Tables, error) {
	loc := f.locate(a.getenv)
	exists, err := isStore(loc.data)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if !exists {
		return nil, fmt.Errorf("there is no store in %s: name one with --data DIR, or make one with `trailward ingest`", loc.data)
	}
	keys, err := openKeys(loc, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return lookupTables(loc, keys)
}

func (c *lookupPutCmd) Run(a *app) error {
	t, err := c.openLookup(a)
	if err != nil {
		return err
	}
	var in io.Reader = a.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("open the CSV file: %w", err)
		}
		defer f.Close()
		in = f
	}
	info, err := t.Put(c.Name, in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(a.stdout, "lookup table %s: %d rows, columns %s\n", info.Name, info.Rows, term.Clean(strings.Join(info.Columns, ", ")))
	return err
}

func (c *lookupListCmd) Run(a *app) error {
	t, err := c.openLookup(a)
	if err != nil {
		return err
	}
	list, err := t.List()
	if err != nil {
		return err
	}
	out := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "table"}, {Name: "rows", Number: true}, {Name: "bytes", Number: true}, {Name: "changed"}, {Name: "columns"}})
	for _, i := range list {
		if err := out.Row([]string{i.Name, strconv.Itoa(i.Rows), strconv.FormatInt(i.Bytes, 10), i.Changed.Format("2006-01-02 15:04:05"), strings.Join(i.Columns, ", ")}); err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), out.Close())
}

func (c *lookupRmCmd) Run(a *app) error {
	t, err := c.openLookup(a)
	if err != nil {
		return err
	}
	err = t.Remove(c.Name)
	if errors.Is(err, lookup.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no lookup table is named %s: `trailward lookup list` lists them", c.Name)
	}
	return err
}
