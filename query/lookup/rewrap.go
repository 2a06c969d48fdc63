package lookup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"trailward/internal/vfs"
	"trailward/store/seal"
)

// Use makes p, whose first key is new, seal the tables that are written from now
// on. p must have the keys of those that are there.
func (t *Tables) Use(p seal.Provider) { t.sealer.Use(p) }

// KeyUses counts the tables by the key that each needs.
func (t *Tables) KeyUses() (map[string]int64, error) {
	out := map[string]int64{}
	err := t.each(func(file string) error {
		id, err := t.keyOf(file)
		if err == nil {
			out[id]++
		}
		return err
	})
	return out, err
}

// Rewrap seals every table that needs another key than the current one again.
func (t *Tables) Rewrap() error {
	current := t.sealer.Provider().ID()
	return t.each(func(file string) error {
		id, err := t.keyOf(file)
		if err != nil || id == current {
			return err
		}
		f, err := t.fsys.OpenFile(file, 0, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		in, err := t.sealer.Open(f, st.Size(), file)
		if err != nil {
			return err
		}
		if in.Size() > MaxBytes+maxHead {
			return fmt.Errorf("it holds %d bytes, which is no table", in.Size())
		}
		var sealed bytes.Buffer
		w, err := t.sealer.Create(&sealed, file)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, io.NewSectionReader(in, 0, in.Size())); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		return vfs.WriteFile(t.fsys, file, sealed.Bytes(), 0o600)
	})
}

func (t *Tables) keyOf(file string) (string, error) {
	f, err := t.fsys.OpenFile(file, 0, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	return seal.ObjectKey(f, st.Size())
}

// each calls fn with the file of every table. A table that goes meanwhile is
// passed over.
func (t *Tables) each(fn func(file string) error) error {
	entries, err := t.fsys.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list lookup tables: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		if err := fn(folder + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("lookup table in %s/%s: %w", folder, e.Name(), err)
		}
	}
	return nil
}
