package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"trailward/internal/vfs"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/segment"
)

// Rebuilt says what a catalog was made of.
type Rebuilt struct {
	Segments, Records int64
	// Bad says which segments are not in the catalog although the ledger has
	// them: missing or damaged ones, a line each.
	Bad []string
	// Old is what the catalog before was renamed to; empty if there was none.
	Old string
}

// Rebuild makes the catalog of a store anew, out of its segments and its
// ledger. What only the catalog knew is lost: which files and batches were taken
// in already (a record with a natural key is still stored once). Settings of
// groups are in the ledger.
func Rebuild(ctx context.Context, opt Options) (r Rebuilt, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make the catalog of %s again: %w", opt.Dir, err)
		}
	}()
	fsys, err := vfs.OS(opt.Dir)
	if err != nil {
		return r, err
	}
	defer fsys.Close()
	lock, err := fsys.Lock(lockName)
	if err != nil {
		return r, err
	}
	defer lock.Close()
	key, err := seal.OpenStoreKey(fsys, storeKeyName, opt.Provider)
	if err != nil {
		return r, err
	}
	if _, err := fsys.Stat(ledgerDir); err != nil {
		return r, fmt.Errorf("%w: without the ledger nobody can say which segments belong to the store: put it back from a backup", err)
	}
	signed, err := signedSize(fsys, key)
	if err != nil {
		return r, err
	}
	l, err := ledger.Open(ledger.Options{FS: fsys, Dir: ledgerDir, Keys: key, Clock: opt.Clock, Adopt: true})
	if err != nil {
		return r, err
	}
	defer l.Close()
	known, err := readLedger(l, key, signed)
	if err != nil {
		return r, err
	}

	const temp = catalogName + vfs.TempSuffix
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := fsys.Remove(temp + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	cat, err := catalog.Open(filepath.Join(opt.Dir, temp), key)
	if err != nil {
		return r, err
	}
	err = known.fill(ctx, cat, fsys, seal.New(opt.Provider), l.Head(), &r)
	if err = errors.Join(err, cat.Close()); err != nil {
		return r, err
	}
	// The old one is kept: it may be evidence.
	if _, err := fsys.Stat(catalogName); err == nil {
		r.Old = catalogName + ".replaced-" + time.Now().UTC().Format("20060102T150405Z")
		for _, suffix := range []string{"-wal", "-shm", ""} {
			if err := fsys.Rename(catalogName+suffix, r.Old+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return r, err
			}
		}
	}
	if err := fsys.Rename(temp, catalogName); err != nil {
		return r, err
	}
	return r, fsys.SyncDir(".")
}

// history is what a ledger says that there is.
type history struct {
	live map[string]*ledger.Segment
	// unsigned are segments that a crash may have kept from being committed
	// together with others, so that the WAL is still needed.
	unsigned map[string]bool
	groups   map[string]catalog.Group
}

// signedSize returns how many entries of the ledger are signed.
func signedSize(fsys vfs.FS, key *seal.StoreKey) (uint64, error) {
	id, err := ledger.OpenIdentity(fsys, ledgerDir, key)
	if err != nil {
		return 0, err
	}
	c, _, err := ledger.ReadCheckpoint(fsys, ledgerDir, id)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return c.Size, err
}

func readLedger(l *ledger.Ledger, key *seal.StoreKey, signed uint64) (*history, error) {
	h := &history{live: map[string]*ledger.Segment{}, unsigned: map[string]bool{}, groups: map[string]catalog.Group{}}
	group := func(sealed []byte, set func(*catalog.Group, groupText)) error {
		text, err := ledger.OpenText(key, sealed)
		if err != nil {
			return err
		}
		var t groupText
		if err := json.Unmarshal([]byte(text), &t); err != nil {
			return fmt.Errorf("text of a ledger entry: %w", err)
		}
		g := h.groups[t.Group]
		g.Name = t.Group
		set(&g, t)
		h.groups[t.Group] = g
		return nil
	}
	return h, l.Entries(0, func(e ledger.Entry) error {
		switch ev := e.Event.(type) {
		case ledger.Added:
			h.live[ev.ID] = &ev.Segment
			h.unsigned[ev.ID] = e.Number >= signed
		case ledger.Replaced:
			for _, id := range ev.In {
				delete(h.live, id)
			}
			for i := range ev.Out {
				h.live[ev.Out[i].ID] = &ev.Out[i]
			}
		case ledger.Expired:
			delete(h.live, ev.ID)
		case ledger.Hold:
			return group(ev.Text, func(g *catalog.Group, t groupText) {
				g.Hold = nil
				if ev.Set {
					g.Hold = &catalog.Hold{Reason: t.Reason, Since: e.Time}
				}
			})
		case ledger.Retention:
			return group(ev.Text, func(g *catalog.Group, _ groupText) {
				g.Retention = time.Duration(ev.New) * time.Second
				if ev.New == 0 {
					g.Retention = catalog.Never
				}
			})
		}
		return nil
	})
}

// fill writes the catalog, in one transaction.
func (h *history) fill(ctx context.Context, cat *catalog.Catalog, fsys *vfs.Dir, sealer *seal.Sealer, head ledger.Head, r *Rebuilt) error {
	ch := catalog.Change{Ledger: &head}
	for _, g := range h.groups {
		ch.Groups = append(ch.Groups, g)
	}
	for id, want := range h.live {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, wal, err := describe(fsys, sealer, id, want)
		if err != nil {
			if errors.Is(err, seal.ErrUnknownKey) {
				return err
			}
			r.Bad = append(r.Bad, fmt.Sprintf("segment %s: %v", id, err))
			continue
		}
		ch.Add = append(ch.Add, info)
		if !h.unsigned[id] {
			ch.WALThrough = max(ch.WALThrough, wal)
		}
		r.Segments++
		r.Records += info.Rows
	}
	return cat.Apply(ch)
}

// describe reads what the catalog has to say of a segment, out of it.
func describe(fsys *vfs.Dir, sealer *seal.Sealer, id string, want *ledger.Segment) (info catalog.Segment, wal uint64, err error) {
	if !validID(id) {
		return info, 0, fmt.Errorf("%q is no id", id)
	}
	f, err := fsys.OpenFile(segmentFile(id), os.O_RDONLY, 0)
	if err != nil {
		return info, 0, err
	}
	defer f.Close()
	plain, err := sealer.Open(f, want.Size, objectID(id))
	if err != nil {
		return info, 0, err
	}
	rd, err := segment.Open(plain, plain.Size())
	if err != nil {
		return info, 0, err
	}
	if rd.Meta.Root != want.Root || rd.Meta.Rows != want.Rows {
		return info, 0, fmt.Errorf("%w: it is not the one that the ledger has", segment.ErrDamaged)
	}
	streams, err := sortedStreams(rd)
	if err != nil {
		return info, 0, err
	}
	return catalog.Describe(id, want.Size, rd.Meta, streams), rd.Meta.WAL, nil
}
