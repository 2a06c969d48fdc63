// Package catalog knows what the store holds: which segments exist, which
// files were read, which batches were accepted, and up to where the WAL has
// become segments. One SQLite database; one transaction for each change, so
// that what belongs together appears together or not at all.
//
// It gives nothing away: every value is a sealed blob and every look-up key a
// keyed hash, so the database shows how many segments, files and batches there
// are and no more. docs/format/catalog.md describes the tables.
//
// It knows rows only: the files behind them are store's, the keys are seal's.
package catalog

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"trailward"
	"trailward/store/segment"
)

// Keys seals and hashes; [trailward/store/seal.StoreKey] does.
type Keys interface {
	SealBlob(context string, plain []byte) ([]byte, error)
	OpenBlob(context string, sealed []byte) ([]byte, error)
	Hash(context string, data ...[]byte) [32]byte
}

// Segment is the catalog's entry of one segment.
type Segment struct {
	ID           string         `json:"-"`
	Group        string         `json:"group"`
	Kind         trailward.Kind `json:"kind"`
	Rows         int64          `json:"rows"`
	RawBytes     int64          `json:"raw_bytes"` // of the records as they came
	Size         int64          `json:"size"`      // of the object on disk
	FirstTime    int64          `json:"first_time"`
	LastTime     int64          `json:"last_time"` // event time, ns, inclusive
	FirstArrival int64          `json:"first_arrival"`
	LastArrival  int64          `json:"last_arrival"`
	// Fields is without chunks: those are read from the segment.
	Fields []segment.Field `json:"fields"`
}

// File says how far a logical file was read into a group.
type File struct {
	Group   string   `json:"group"`
	Head    [32]byte `json:"head"` // SHA-256 of its first 64 KiB, or of all of it
	Name    string   `json:"name"`
	Size    int64    `json:"size"` // logical bytes; -1 while unknown
	Sum     [32]byte `json:"sum"`  // SHA-256 of all of it; zero while it is not read to its end
	Records int64    `json:"records"`
	Done    bool     `json:"done"`
}

// Batch is an accepted batch: the same id with the same body is answered
// again, with another body refused.
type Batch struct {
	Key      []byte   `json:"-"` // what makes up its identity; only its hash is stored
	Body     [32]byte `json:"body"`
	Records  int64    `json:"records"`  // in it, new ones and duplicates
	Accepted int64    `json:"accepted"` // ns since the Unix epoch
}

// Change is one transaction.
type Change struct {
	Add     []Segment
	Remove  []string // segment ids
	Files   []File
	Batches []Batch
	// WALThrough, when not 0, says that every record in WAL files up to this
	// number is in a segment.
	WALThrough uint64
}

// Catalog is an open catalog. It is safe for concurrent use.
type Catalog struct {
	db   *sql.DB
	keys Keys
}

// schemaVersion is that of the tables.
const schemaVersion = 1

const schema = `
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (id TEXT PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (head BLOB NOT NULL, name BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (head, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (key BLOB PRIMARY KEY, day INTEGER NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batches_day ON batches (day);
`

// The contexts of sealed values and hashes.
const (
	ctxMeta    = "catalog meta "
	ctxSegment = "catalog segment "
	ctxFile    = "catalog file "
	ctxBatch   = "catalog batch "
)

// Open opens the catalog in the file at path, which it makes when it is not
// there.
func Open(path string, keys Keys) (*Catalog, error) {
	abs, err := filepath.Abs(path) // in a URI "d/x" would name the host d
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "trusted_schema(0)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // one writer; every call is short
	c := &Catalog{db: db, keys: keys}
	if err := c.init(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	return c, nil
}

func (c *Catalog) init() error {
	var v int
	if err := c.db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v > schemaVersion {
		return fmt.Errorf("it is of version %d, this program knows version %d: use the newer program", v, schemaVersion)
	}
	if v == schemaVersion {
		return nil
	}
	_, err := c.db.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Close closes the catalog.
func (c *Catalog) Close() error { return c.db.Close() }

func (c *Catalog) seal(context string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return c.keys.SealBlob(context, b)
}

func (c *Catalog) open(context string, b []byte, v any) error {
	p, err := c.keys.OpenBlob(context, b)
	if err != nil {
		return err
	}
	return json.Unmarshal(p, v)
}

// Segments returns every segment, by id.
func (c *Catalog) Segments() ([]Segment, error) {
	rows, err := c.db.Query("SELECT id, entry FROM segments ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	var out []Segment
	for rows.Next() {
		var s Segment
		var b []byte
		if err := rows.Scan(&s.ID, &b); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		if err := c.open(ctxSegment+s.ID, b, &s); err != nil {
			return nil, fmt.Errorf("read catalog entry of segment %s: %w", s.ID, err)
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// WALThrough returns up to which WAL file every record is in a segment.
func (c *Catalog) WALThrough() (uint64, error) {
	var b []byte
	err := c.db.QueryRow("SELECT value FROM meta WHERE name = 'wal_through'").Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read catalog: %w", err)
	}
	var n uint64
	if err := c.open(ctxMeta+"wal_through", b, &n); err != nil {
		return 0, fmt.Errorf("read catalog: WAL position: %w", err)
	}
	return n, nil
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

// Apply makes a change, durably and as a whole.
func (c *Catalog) Apply(ch Change) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write catalog: %w", err)
		}
	}()
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	for _, s := range ch.Add {
		for i := range s.Fields {
			if s.Fields[i].Chunks != nil {
				return errors.New("a segment's fields carry chunks")
			}
		}
		b, err := c.seal(ctxSegment+s.ID, s)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO segments (id, entry) VALUES (?, ?)", s.ID, b); err != nil {
			return err
		}
	}
	for _, id := range ch.Remove {
		if _, err := tx.Exec("DELETE FROM segments WHERE id = ?", id); err != nil {
			return err
		}
	}
	for _, f := range ch.Files {
		head := c.headKey(f.Group, f.Head)
		n := c.keys.Hash(ctxFile+"name", []byte(f.Name))
		b, err := c.seal(c.fileContext(head, n[:]), f)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT OR REPLACE INTO files (head, name, entry) VALUES (?, ?, ?)", head, n[:], b); err != nil {
			return err
		}
	}
	for _, b := range ch.Batches {
		k := c.batchKey(b.Key)
		e, err := c.seal(ctxBatch+hex.EncodeToString(k), b)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT OR REPLACE INTO batches (key, day, entry) VALUES (?, ?, ?)", k, b.Accepted/int64(24*time.Hour), e); err != nil {
			return err
		}
	}
	if ch.WALThrough != 0 {
		b, err := c.seal(ctxMeta+"wal_through", ch.WALThrough)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('wal_through', ?)", b); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// ForgetBatches forgets batches accepted on days before t.
func (c *Catalog) ForgetBatches(t time.Time) error {
	if _, err := c.db.Exec("DELETE FROM batches WHERE day < ?", t.UnixNano()/int64(24*time.Hour)); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	return nil
}
