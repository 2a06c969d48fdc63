package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"trailward/api"
	"trailward/api/keep"
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
	placeFlags `embed:""`
	Name       string `arg:"" help:"Name: letters, digits, dashes and underscores."`
	File       string `arg:"" help:"CSV file in UTF-8 whose first line names the columns; - is stdin."`
}

func (lookupPutCmd) Help() string {
	return `The query commands lookup and cidrlookup look values up in it. It is kept sealed in the data directory; a running server uses it from the next question on.

Examples:

  trailward lookup put user_data users.csv
  trailward query 'lookup user_data id as user.username OUTPUT department | stats count(*) by department'
  trailward lookup put sites networks.csv --server http://127.0.0.1:7300
  trailward query 'cidrlookup sites sourceIPAddress AS cidr OUTPUT site | stats count(*) by site'`
}

type lookupListCmd struct {
	placeFlags `embed:""`
	Output     string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

func (lookupListCmd) Help() string {
	return `Examples:

  trailward lookup list
  trailward lookup list --server http://127.0.0.1:7300 --output json | jq -r .name`
}

type lookupRmCmd struct {
	placeFlags `embed:""`
	Name       string `arg:"" help:"Name of the table."`
}

func (lookupRmCmd) Help() string {
	return `Queries that name the table fail from the next one on.

Example:

  trailward lookup rm user_data`
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

// tables are the lookup tables of a place.
type tables interface {
	Lookups(ctx context.Context) ([]keep.Lookup, error)
	PutLookup(ctx context.Context, name string, csv []byte) (keep.Lookup, error)
	RemoveLookup(ctx context.Context, name string) error
}

// localTables are those of a data directory. They may be changed while a server
// has it open.
type localTables struct{ *lookup.Tables }

func (t localTables) Lookups(context.Context) ([]keep.Lookup, error) {
	list, err := t.List()
	out := make([]keep.Lookup, len(list))
	for i, info := range list {
		out[i] = keep.Lookup(info)
	}
	return out, err
}

func (t localTables) PutLookup(_ context.Context, name string, csv []byte) (keep.Lookup, error) {
	info, err := t.Put(name, bytes.NewReader(csv))
	return keep.Lookup(info), err
}

func (t localTables) RemoveLookup(_ context.Context, name string) error {
	if err := lookup.CheckName(name); err != nil {
		return err
	}
	return t.Remove(name)
}

// Lookups, PutLookup and RemoveLookup are those of an open data directory, for
// the server.
func (l *local) Lookups(ctx context.Context) ([]keep.Lookup, error) {
	t, err := l.lookups()
	if err != nil {
		return nil, err
	}
	return t.Lookups(ctx)
}

func (l *local) PutLookup(ctx context.Context, name string, csv []byte) (keep.Lookup, error) {
	t, err := l.lookups()
	if err != nil {
		return keep.Lookup{}, err
	}
	info, err := t.PutLookup(ctx, name, csv)
	var path *fs.PathError
	if err != nil && !errors.As(err, &path) {
		return info, &api.UserError{Message: err.Error()} // of the name or the CSV
	}
	return info, err
}

func (l *local) RemoveLookup(ctx context.Context, name string) error {
	t, err := l.lookups()
	if err != nil {
		return err
	}
	if err := lookup.CheckName(name); err != nil {
		return &api.UserError{Message: err.Error()}
	}
	err = t.RemoveLookup(ctx, name)
	if errors.Is(err, lookup.ErrNotFound) {
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	return err
}

// withTables opens the tables for a command.
func (f *placeFlags) withTables(a *app, fn func(tables) error) error {
	loc, err := f.locate(a.getenv)
	if err != nil {
		return err
	}
	if loc.server != "" {
		return a.keep(f, func(k keeper) error { return fn(k) })
	}
	exists, err := isStore(loc.data)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	if !exists {
		return noStore(loc)
	}
	keys, err := openKeys(loc, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	t, err := lookupTables(loc, keys)
	if err != nil {
		return err
	}
	return fn(localTables{t})
}

func (c *lookupPutCmd) Run(a *app) error {
	var in io.Reader = a.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("open the CSV file: %w", err)
		}
		defer f.Close()
		in = f
	}
	csv, err := csvOf(in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return c.withTables(a, func(t tables) error {
		info, err := t.PutLookup(a.ctx, c.Name, csv)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		_, err = fmt.Fprintf(a.stdout, "lookup table %s: %d rows, columns %s\n", info.Name, info.Rows, term.Clean(strings.Join(info.Columns, ", ")))
		return err
	})
}

func (c *lookupListCmd) Run(a *app) error {
	return c.withTables(a, func(t tables) error {
		list, err := t.Lookups(a.ctx)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return jsonLines(a.stdout, list)
		}
		out := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "table"}, {Name: "rows", Number: true}, {Name: "bytes", Number: true}, {Name: "changed"}, {Name: "columns"}})
		for _, i := range list {
			if err := out.Row([]string{i.Name, strconv.Itoa(i.Rows), strconv.FormatInt(i.Bytes, 10), shortTime(i.Changed), strings.Join(i.Columns, ", ")}); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

func (c *lookupRmCmd) Run(a *app) error {
	return c.withTables(a, func(t tables) error {
		err := t.RemoveLookup(a.ctx, c.Name)
		if errors.Is(err, lookup.ErrNotFound) {
			return fmt.Errorf("no lookup table is named %s: `trailward lookup list` lists them", c.Name)
		}
		return err
	})
}

// jsonLines writes each of the list as a line of JSON.
func jsonLines[T any](w io.Writer, list []T) error {
	enc := json.NewEncoder(w)
	for _, v := range list {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
