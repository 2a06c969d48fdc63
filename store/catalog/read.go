package catalog

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"trailward/store/ledger"
	"trailward/store/segment"
)

// readAtOnce is how many entries of segments are opened in one go, and pageSegments how
// many are read before others may use the database.
const (
	readAtOnce   = 256
	pageSegments = 4096
)

// row is a row of the table of segments.
type row struct {
	id         string
	key, entry []byte
}

// Segments returns every segment, by id. It opens the entries on all processors.
func (c *Catalog) Segments() ([]Segment, error) {
	shared, err := c.fieldLists()
	if err != nil {
		return nil, err
	}
	var n int
	if err := c.db.QueryRow("SELECT count(*) FROM segments").Scan(&n); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	out := make([]Segment, 0, n)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	var parts [][]Segment
	err = c.rows("SELECT id, fields, entry FROM segments ORDER BY id", func(batch []row) {
		part := make([]Segment, len(batch))
		parts = append(parts, part)
		g.Go(func() error {
			for i, r := range batch {
				s := &part[i]
				s.ID = r.id
				if err := c.openSegment(r, s); err != nil {
					return err
				}
				s.Streams = nil
				var ok bool
				if s.Fields, ok = shared[string(r.key)]; !ok {
					return fmt.Errorf("read catalog entry of segment %s: its list of fields is missing", s.ID)
				}
			}
			return nil
		})
	})
	if err = errors.Join(err, g.Wait()); err != nil {
		return nil, err
	}
	names := map[string]string{} // so that segments share their group's name
	for _, part := range parts {
		for _, s := range part {
			if name, ok := names[s.Group]; ok {
				s.Group = name
			} else {
				names[s.Group] = s.Group
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// Streams calls fn with each segment whose entry says which streams it has, and
// their names, sorted, which fn may keep. Segments that come or go meanwhile may be among them or not.
func (c *Catalog) Streams(fn func(id string, names []string)) error {
	for last := ""; ; {
		n := 0
		var page []row
		if err := c.rows("SELECT id, fields, entry FROM segments WHERE id > ? ORDER BY id LIMIT ?", func(batch []row) {
			page = append(page, batch...)
		}, last, pageSegments); err != nil {
			return err
		}
		for _, r := range page {
			s := Segment{ID: r.id}
			if err := c.openSegment(r, &s); err != nil {
				return err
			}
			if len(s.Streams) > 0 {
				fn(r.id, s.Streams)
			}
			last = r.id
			n++
		}
		if n < pageSegments {
			return nil
		}
	}
}

// rows calls fn with the rows that a query gives, some at a time, in their order.
func (c *Catalog) rows(query string, fn func([]row), args ...any) error {
	rows, err := c.db.Query(query, args...)
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	var batch []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.key, &r.entry); err != nil {
			return fmt.Errorf("read catalog: %w", err)
		}
		if batch = append(batch, r); len(batch) == readAtOnce {
			fn(batch)
			batch = nil
		}
	}
	if len(batch) > 0 {
		fn(batch)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	return nil
}

// openSegment reads the entry of a segment but for its list of fields.
func (c *Catalog) openSegment(r row, s *Segment) error {
	b, err := c.keys.OpenBlob(segmentContext(r.id, r.key), r.entry)
	if err == nil {
		err = decodeSegment(b, s)
	}
	if err != nil {
		return fmt.Errorf("read catalog entry of segment %s: %w", r.id, err)
	}
	return nil
}

// segmentContext binds a segment's entry to its id and its list of fields.
func segmentContext(id string, fields []byte) string {
	return ctxSegment + id + " " + hex.EncodeToString(fields)
}

// fieldLists returns the lists of fields that segments share, by key.
func (c *Catalog) fieldLists() (map[string][]segment.Field, error) {
	rows, err := c.db.Query("SELECT key, entry FROM fields")
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	out := map[string][]segment.Field{}
	for rows.Next() {
		var key, b []byte
		if err := rows.Scan(&key, &b); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		var list []segment.Field
		if err := c.open(ctxFields+hex.EncodeToString(key), b, &list); err != nil {
			return nil, fmt.Errorf("read catalog: list of fields: %w", err)
		}
		out[string(key)] = list
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return out, nil
}

// Dead returns the ids of segments whose files are to be removed, if they
// exist: dead ones, and ones that were about to be written.
func (c *Catalog) Dead() ([]string, error) {
	rows, err := c.db.Query("SELECT id, entry FROM dead ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		var b []byte
		if err := rows.Scan(&id, &b); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		var is bool
		if err := c.open(ctxDead+id, b, &is); err != nil {
			return nil, fmt.Errorf("read catalog: entry of the dead segment %s: %w", id, err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return out, nil
}

// Groups returns what is set for groups, in no order. Groups for which nothing
// was ever set are not in it.
func (c *Catalog) Groups() ([]Group, error) {
	rows, err := c.db.Query("SELECT key, entry FROM groups")
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	var out []Group
	for rows.Next() {
		var key, b []byte
		if err := rows.Scan(&key, &b); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		var g Group
		if err := c.open(ctxGroup+hex.EncodeToString(key), b, &g); err != nil {
			return nil, fmt.Errorf("read catalog: settings of a group: %w", err)
		}
		out = append(out, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return out, nil
}

// meta reads a value of the table meta into v; one that is not there leaves v.
func (c *Catalog) meta(name string, v any) error {
	var b []byte
	err := c.db.QueryRow("SELECT value FROM meta WHERE name = ?", name).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	if err := c.open(ctxMeta+name, b, v); err != nil {
		return fmt.Errorf("read catalog: %s: %w", name, err)
	}
	return nil
}

// WALThrough returns up to which WAL file every record is in a segment.
func (c *Catalog) WALThrough() (n uint64, err error) {
	err = c.meta(metaWAL, &n)
	return n, err
}

// LedgerHead returns the head of the ledger that the catalog's content belongs
// to; zero in a new store.
func (c *Catalog) LedgerHead() (h ledger.Head, err error) {
	err = c.meta(metaLedger, &h)
	return h, err
}

// Clock returns where the retention clock stands; zero if it never ran.
func (c *Catalog) Clock() (t Clock, err error) {
	err = c.meta(metaClock, &t)
	return t, err
}

func (c *Catalog) headKey(group string, head [32]byte) []byte {
	h := c.keys.Hash(ctxFile+"head", []byte(group), head[:])
	return h[:]
}

func (c *Catalog) fileContext(head, name []byte) string {
	return ctxFile + hex.EncodeToString(head) + hex.EncodeToString(name)
}

// Files returns the files read into a group that begin alike.
func (c *Catalog) Files(group string, head [32]byte) ([]File, error) {
	key := c.headKey(group, head)
	rows, err := c.db.Query("SELECT name, entry FROM files WHERE head = ?", key)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	var out []File
	for rows.Next() {
		var name, b []byte
		var f File
		if err := rows.Scan(&name, &b); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		if err := c.open(c.fileContext(key, name), b, &f); err != nil {
			return nil, fmt.Errorf("read catalog: entry of a file: %w", err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

func (c *Catalog) batchKey(key []byte) []byte {
	h := c.keys.Hash(ctxBatch+"key", key)
	return h[:]
}

// Batch returns the accepted batch of a key.
func (c *Catalog) Batch(key []byte) (b Batch, ok bool, err error) {
	k := c.batchKey(key)
	var e []byte
	err = c.db.QueryRow("SELECT entry FROM batches WHERE key = ?", k).Scan(&e)
	if errors.Is(err, sql.ErrNoRows) {
		return b, false, nil
	}
	if err != nil {
		return b, false, fmt.Errorf("read catalog: %w", err)
	}
	if err := c.open(ctxBatch+hex.EncodeToString(k), e, &b); err != nil {
		return b, false, fmt.Errorf("read catalog: entry of a batch: %w", err)
	}
	b.Key = key
	return b, true, nil
}

// Check looks at the whole of the catalog but for its segments: what SQLite
// says of its file, and whether every value opens in its place. It returns what
// is wrong, a line each.
func (c *Catalog) Check() ([]string, error) {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	rows, err := c.db.Query("PRAGMA integrity_check(100)")
	if err != nil {
		return nil, fmt.Errorf("check catalog: %w", err)
	}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			rows.Close()
			return nil, fmt.Errorf("check catalog: %w", err)
		}
		if line != "ok" {
			add("%s", line)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("check catalog: %w", err)
	}
	for _, t := range []struct {
		table, query string
		check        func(key, second, b []byte) error
	}{
		{"files", "SELECT head, name, entry FROM files", func(head, name, b []byte) error {
			var f File
			if err := c.open(c.fileContext(head, name), b, &f); err != nil {
				return err
			}
			if h := c.keys.Hash(ctxFile+"name", []byte(f.Name)); string(h[:]) != string(name) || string(c.headKey(f.Group, f.Head)) != string(head) {
				return errors.New("it is in another's place")
			}
			return nil
		}},
		{"batches", "SELECT key, CAST(day AS TEXT), entry FROM batches", func(key, day, b []byte) error {
			var v Batch
			if err := c.open(ctxBatch+hex.EncodeToString(key), b, &v); err != nil {
				return err
			}
			if strconv.FormatInt(batchDay(v.Accepted), 10) != string(day) {
				return errors.New("its day is not that of its content")
			}
			return nil
		}},
		{"groups", "SELECT key, NULL, entry FROM groups", func(key, _, b []byte) error {
			var g Group
			if err := c.open(ctxGroup+hex.EncodeToString(key), b, &g); err != nil {
				return err
			}
			if h := c.keys.Hash(ctxGroup+"name", []byte(g.Name)); string(h[:]) != string(key) {
				return errors.New("it is in another's place")
			}
			return nil
		}},
		{"dead", "SELECT id, NULL, entry FROM dead", func(id, _, b []byte) error {
			var is bool
			return c.open(ctxDead+string(id), b, &is)
		}},
		{"meta", "SELECT name, NULL, value FROM meta", func(name, _, b []byte) error {
			_, err := c.keys.OpenBlob(ctxMeta+string(name), b)
			return err
		}},
		{"fields", "SELECT key, NULL, entry FROM fields", func(key, _, b []byte) error {
			list, err := c.keys.OpenBlob(ctxFields+hex.EncodeToString(key), b)
			if h := c.keys.Hash(ctxFields+"list", list); err == nil && string(h[:]) != string(key) {
				err = errors.New("it is in another's place")
			}
			return err
		}},
	} {
		rows, err := c.db.Query(t.query)
		if err != nil {
			add("table %s: %v", t.table, err)
			continue
		}
		for n := 1; rows.Next(); n++ {
			var key, second, b []byte
			err := rows.Scan(&key, &second, &b)
			if err == nil {
				err = t.check(key, second, b)
			}
			if err != nil {
				add("table %s: row %d: %v", t.table, n, err)
			}
		}
		if err := rows.Err(); err != nil {
			add("table %s: %v", t.table, err)
		}
	}
	return out, nil
}
