// Package catalog knows what the store holds: which segments exist and which
// are dead, which files were read, which batches were accepted, what is set for
// groups, and up to where the WAL has become segments and the ledger was
// agreed to. One SQLite database; one transaction for each change, so that what
// belongs together appears together or not at all.
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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"trailward"
	"trailward/store/ledger"
	"trailward/store/segment"
)

// Keys seals and hashes; [trailward/store/seal.StoreKey] does.
type Keys interface {
	SealBlob(context string, plain []byte) ([]byte, error)
	OpenBlob(context string, sealed []byte) ([]byte, error)
	Hash(context string, data ...[]byte) [32]byte
}

// Segment is the catalog's entry of one segment. All of it follows from the
// segment itself, so that a lost catalog can be made again: see [Describe].
type Segment struct {
	ID           string         `json:"-"`
	Group        string         `json:"g"`
	Kind         trailward.Kind `json:"k"`
	Rows         int64          `json:"n"`
	RawBytes     int64          `json:"b"`  // of the records as they came
	Size         int64          `json:"s"`  // of the object on disk
	FirstTime    int64          `json:"f"`  // event time, ns since the Unix epoch
	LastTime     int64          `json:"l"`  // inclusive
	FirstArrival int64          `json:"fa"` // ns since the Unix epoch
	LastArrival  int64          `json:"la"`
	Root         ledger.Hash    `json:"r"` // of the tree over its records
	// Streams are the names of the streams that occur, sorted; nil when they are
	// too many (see [MaxStreams]), in entries of earlier versions, and in what
	// [Catalog.Segments] returns: [Catalog.Streams] has them.
	Streams []string `json:"st,omitempty"`
	// Fields is in order of path, without chunks: those are read from the
	// segment. Segments with equal fields share the list; it is not changed.
	Fields []segment.Field `json:"-"`
}

// Describe returns the entry of a segment with the meta data m, which is size
// bytes long on disk and has records of the given streams, sorted.
func Describe(id string, size int64, m *segment.Meta, streams []string) Segment {
	s := Segment{
		ID: id, Group: m.Group, Kind: m.Kind, Rows: m.Rows, RawBytes: m.RawBytes, Size: size,
		FirstTime: m.FirstTime, LastTime: m.LastTime, FirstArrival: m.FirstArrival, LastArrival: m.LastArrival, Root: m.Root, Streams: keptStreams(streams),
		Fields: make([]segment.Field, len(m.Fields)),
	}
	for i, f := range m.Fields {
		s.Fields[i] = segment.Field{Path: f.Path, Column: f.Column, Type: f.Type, Digits: f.Digits, Forms: f.Forms}
	}
	slices.SortFunc(s.Fields, func(a, b segment.Field) int { return strings.Compare(a.Path, b.Path) })
	return s
}

// File says how far a logical file was read into a group.
type File struct {
	Group   string   `json:"group"`
	Head    [32]byte `json:"head"` // SHA-256 of its first 64 KiB, or of all of it
	Name    string   `json:"name"`
	Size    int64    `json:"size"` // logical bytes that lie behind the records read; -1 while unknown
	Sum     [32]byte `json:"sum"`  // SHA-256 of these bytes; zero while unknown
	Records int64    `json:"records"`
	// Last is how many bytes the last of the records has, 0 if that is not
	// known: a line that was cut is longer when the file has grown.
	Last int64 `json:"last,omitempty"`
	Done bool  `json:"done"` // it was read to its end
	// Grows says that the file may grow, so that it is remembered by name too,
	// under the hash of its name instead of that of its head.
	Grows bool `json:"-"`
	// Short says that there was less of it than Head hashes at most. Then it is
	// remembered by Start too, the SHA-256 of its first KiB, or by its name where
	// Start is zero, there being no KiB.
	Short bool     `json:"-"`
	Start [32]byte `json:"-"`
}

// Batch is an accepted batch: the same id with the same body is answered
// again, with another body refused.
type Batch struct {
	Key      []byte   `json:"-"` // what makes up its identity; only its hash is stored
	Body     [32]byte `json:"body"`
	Records  int64    `json:"records"`  // in it, new ones and duplicates
	Accepted int64    `json:"accepted"` // ns since the Unix epoch
}

// Group is what is set for a log group.
type Group struct {
	Name string `json:"name"`
	// Retention is how long records are kept after their arrival: 0 for the
	// default, [Never] for ever.
	Retention time.Duration `json:"retention,omitempty"`
	// Hold, when set, keeps every record of the group whatever its retention.
	Hold *Hold `json:"hold,omitempty"`
}

// Never is the retention of a group that keeps its records for ever.
const Never time.Duration = -1

// Hold is a legal hold.
type Hold struct {
	Reason string `json:"reason"`
	Since  int64  `json:"since"` // ns since the Unix epoch
}

// Change is one transaction.
type Change struct {
	// Reserve are the ids of segments about to be written. They are dead until
	// they are added, so that after a crash it is known that their files may go.
	Reserve []string
	Add     []Segment
	// Remove are the ids of segments that are dead from now on: their files
	// are to be removed.
	Remove []string
	// Forget are the ids of dead segments whose files are gone.
	Forget  []string
	Files   []File
	Batches []Batch
	Groups  []Group
	// WALThrough, when not 0, says that every record in WAL files up to this
	// number is in a segment.
	WALThrough uint64
	// Ledger, when set, is the ledger's head: entries behind it were never
	// agreed to.
	Ledger *ledger.Head
	// Clock, when set, is where the retention clock stands.
	Clock *Clock
}

// Clock is the clock that retention goes by: it follows the machine's, but
// never back, and in bounded steps.
type Clock struct {
	Now  int64 `json:"now"`  // where it stands, ns since the Unix epoch
	Wall int64 `json:"wall"` // where the machine's clock stood when it was last moved
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
CREATE TABLE IF NOT EXISTS segments (id TEXT PRIMARY KEY, fields BLOB NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_fields ON segments (fields);
CREATE TABLE IF NOT EXISTS fields (key BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (id TEXT PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (head BLOB NOT NULL, name BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (head, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (key BLOB PRIMARY KEY, day INTEGER NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batches_day ON batches (day);
CREATE TABLE IF NOT EXISTS groups (key BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
`

// The contexts of sealed values and hashes.
const (
	ctxMeta    = "catalog meta "
	ctxSegment = "catalog segment "
	ctxFields  = "catalog fields "
	ctxDead    = "catalog dead "
	ctxFile    = "catalog file "
	ctxBatch   = "catalog batch "
	ctxGroup   = "catalog group "
)

// The names in the table meta.
const (
	metaWAL    = "wal_through"
	metaLedger = "ledger"
	metaClock  = "clock"
)

// Open opens the catalog in the file at path, which it makes when it is not
// there.
func Open(path string, keys Keys) (*Catalog, error) {
	// SQLite would make it readable by others; what it makes beside it has the
	// mode of this one.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	f.Close()
	c, err := openDB(path, keys, "journal_mode(WAL)")
	if err == nil {
		err = c.init()
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, errors.Join(err, c.Close()))
	}
	return c, nil
}

// OpenCopy opens a copy of a catalog's files (all whose names begin with that
// of the catalog) to read it. It may change the copy.
func OpenCopy(path string, keys Keys) (*Catalog, error) {
	c, err := openDB(path, keys, "query_only(1)")
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

func openDB(path string, keys Keys, mode string) (*Catalog, error) {
	c := &Catalog{keys: keys}
	abs, err := filepath.Abs(path) // in a URI "d/x" would name the host d
	if err != nil {
		return c, err
	}
	q := url.Values{"_pragma": {mode, "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)"}}
	if c.db, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String()); err != nil {
		return c, err
	}
	c.db.SetMaxOpenConns(1) // one writer; every call is short
	return c, nil
}

// check refuses a catalog of another version.
func (c *Catalog) check() error {
	v, err := c.version()
	if err == nil && v != schemaVersion {
		err = fmt.Errorf("it is of version %d, this program knows version %d", v, schemaVersion)
	}
	return err
}

func (c *Catalog) version() (v int, err error) {
	err = c.db.QueryRow("PRAGMA user_version").Scan(&v)
	return v, err
}

func (c *Catalog) init() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	if v > schemaVersion {
		return fmt.Errorf("it is of version %d, this program knows version %d: use the newer program", v, schemaVersion)
	}
	if v == schemaVersion {
		return nil
	}
	_, err = c.db.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Close closes the catalog.
func (c *Catalog) Close() error {
	if c.db == nil {
		return nil
	}
	return c.db.Close()
}

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
	for _, id := range ch.Reserve {
		if err := c.bury(tx, id); err != nil {
			return err
		}
	}
	for _, s := range ch.Add {
		if err := c.add(tx, s); err != nil {
			return err
		}
	}
	for _, id := range ch.Remove {
		if err := c.remove(tx, id); err != nil {
			return err
		}
	}
	for _, id := range ch.Forget {
		if _, err := tx.Exec("DELETE FROM dead WHERE id = ?", id); err != nil {
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
		if _, err := tx.Exec("INSERT OR REPLACE INTO batches (key, day, entry) VALUES (?, ?, ?)", k, batchDay(b.Accepted), e); err != nil {
			return err
		}
	}
	for _, g := range ch.Groups {
		h := c.keys.Hash(ctxGroup+"name", []byte(g.Name))
		b, err := c.seal(ctxGroup+hex.EncodeToString(h[:]), g)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT OR REPLACE INTO groups (key, entry) VALUES (?, ?)", h[:], b); err != nil {
			return err
		}
	}
	if ch.WALThrough != 0 {
		if err := c.setMeta(tx, metaWAL, ch.WALThrough); err != nil {
			return err
		}
	}
	if ch.Ledger != nil {
		if err := c.setMeta(tx, metaLedger, ch.Ledger); err != nil {
			return err
		}
	}
	if ch.Clock != nil {
		if err := c.setMeta(tx, metaClock, ch.Clock); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (c *Catalog) setMeta(tx *sql.Tx, name string, v any) error {
	b, err := c.seal(ctxMeta+name, v)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, b)
	return err
}

func (c *Catalog) add(tx *sql.Tx, s Segment) error {
	for i := range s.Fields {
		if s.Fields[i].Chunks != nil {
			return fmt.Errorf("fields of segment %s carry chunks", s.ID)
		}
	}
	list, err := json.Marshal(s.Fields)
	if err != nil {
		return err
	}
	key := c.keys.Hash(ctxFields+"list", list)
	var known int
	if err := tx.QueryRow("SELECT count(*) FROM fields WHERE key = ?", key[:]).Scan(&known); err != nil {
		return err
	}
	if known == 0 {
		b, err := c.keys.SealBlob(ctxFields+hex.EncodeToString(key[:]), list)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO fields (key, entry) VALUES (?, ?)", key[:], b); err != nil {
			return err
		}
	}
	b, err := c.seal(segmentContext(s.ID, key[:]), s)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO segments (id, fields, entry) VALUES (?, ?, ?)", s.ID, key[:], b); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM dead WHERE id = ?", s.ID)
	return err
}

func (c *Catalog) remove(tx *sql.Tx, id string) error {
	var key []byte
	err := tx.QueryRow("DELETE FROM segments WHERE id = ? RETURNING fields", id).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("segment %s is not in it", id)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM fields WHERE key = ? AND NOT EXISTS (SELECT 1 FROM segments WHERE fields = ?)", key, key); err != nil {
		return err
	}
	return c.bury(tx, id)
}

func (c *Catalog) bury(tx *sql.Tx, id string) error {
	b, err := c.seal(ctxDead+id, true)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO dead (id, entry) VALUES (?, ?)", id, b)
	return err
}

// CopyTo writes a copy of the catalog, as it is now, to a new file. Segments
// whose files are to be removed are not in it.
func (c *Catalog) CopyTo(path string) error {
	if _, err := c.db.Exec("VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("copy catalog: %w", err)
	}
	to, err := Open(path, c.keys)
	if err != nil {
		return fmt.Errorf("copy catalog: %w", err)
	}
	_, err = to.db.Exec("DELETE FROM dead")
	if err = errors.Join(err, to.Close(), os.Chmod(path, 0o600)); err != nil {
		return fmt.Errorf("copy catalog: %w", err)
	}
	f, err := os.Open(path)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("copy catalog: %w", err)
	}
	return nil
}

// batchDay is the day, since the Unix epoch, on which a batch was accepted.
func batchDay(ns int64) int64 { return ns / int64(24*time.Hour) }

// ForgetBatches forgets batches accepted on days before t.
func (c *Catalog) ForgetBatches(t time.Time) error {
	if _, err := c.db.Exec("DELETE FROM batches WHERE day < ?", batchDay(t.UnixNano())); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	return nil
}
