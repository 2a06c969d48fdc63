// Package lookup keeps the named CSV tables of the query commands lookup and
// cidrlookup. A table is one sealed object in the folder lookup of the data
// directory, whose name is a keyed hash of the table's, so that neither its name
// nor its content can be read without the key. It may be used while a server
// uses the same folder: a table is replaced as a whole.
//
// CloudWatch Logs has the same tables with the same limits.
package lookup

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"trailward/internal/vfs"
	"trailward/query/insights"
	"trailward/store/seal"
)

// Limits.
const (
	MaxTables  = 100
	MaxBytes   = 10_000_000 // of CSV
	MaxColumns = 1_000
	MaxName    = 256

	folder  = "lookup"
	suffix  = ".table"
	maxHead = 1 << 20
)

// ErrNotFound says that there is no table of the name.
var ErrNotFound = errors.New("no such lookup table")

var names = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// Info describes a table.
type Info struct {
	Name    string    `json:"name"`
	Columns []string  `json:"columns"`
	Rows    int       `json:"rows"`
	Bytes   int64     `json:"bytes"` // of CSV
	Changed time.Time `json:"changed"`
}

// Tables are the tables of one data directory. The methods may be called at the
// same time.
type Tables struct {
	fsys   vfs.FS
	sealer *seal.Sealer
	key    *seal.StoreKey

	mu    sync.Mutex
	cache map[string]cached // by file, of the tables that were asked for
}

// cached is a table as it was when its file was of this time and size.
type cached struct {
	at    time.Time
	size  int64
	table insights.Table
}

// Open gives the tables in a data directory. key is the store's own key.
func Open(fsys vfs.FS, p seal.Provider, key *seal.StoreKey) *Tables {
	return &Tables{fsys: fsys, sealer: seal.New(p), key: key, cache: map[string]cached{}}
}

// file is the name of a table's file.
func (t *Tables) file(name string) string {
	sum := t.key.Hash("lookup table", []byte(name))
	return folder + "/" + hex.EncodeToString(sum[:16]) + suffix
}

// CheckName says what is wrong with a table's name.
func CheckName(name string) error {
	if len(name) > MaxName || !names.MatchString(name) {
		return fmt.Errorf("lookup table %.40q: a name has 1 to %d letters, digits, dashes and underscores", name, MaxName)
	}
	return nil
}

// parse reads CSV with a header line.
func parse(data []byte) (insights.Table, error) {
	var t insights.Table
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return t, errors.New("read CSV: it is not UTF-8")
	}
	r := csv.NewReader(bytes.NewReader(data))
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return t, errors.New("read CSV: it has no header line with the names of the columns")
	}
	if err != nil {
		return t, fmt.Errorf("read CSV: %w", err)
	}
	if len(head) > MaxColumns {
		return t, fmt.Errorf("read CSV: it has %d columns, the limit is %d", len(head), MaxColumns)
	}
	for i, c := range head {
		head[i] = strings.TrimSpace(c)
		if head[i] == "" || slices.Contains(head[:i], head[i]) {
			return t, fmt.Errorf("read CSV: column %d has no name, or one that is there already", i+1)
		}
	}
	t.Columns = head
	if t.Rows, err = r.ReadAll(); err != nil {
		return t, fmt.Errorf("read CSV: %w", err)
	}
	return t, nil
}

// Put makes a table, or replaces it.
func (t *Tables) Put(name string, r io.Reader) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return Info{}, fmt.Errorf("read CSV: %w", err)
	}
	if len(data) > MaxBytes {
		return Info{}, fmt.Errorf("read CSV: it has more than %d bytes, which is the limit", MaxBytes)
	}
	table, err := parse(data)
	if err != nil {
		return Info{}, err
	}
	have, err := t.List()
	if err != nil {
		return Info{}, err
	}
	if len(have) >= MaxTables && !slices.ContainsFunc(have, func(i Info) bool { return i.Name == name }) {
		return Info{}, fmt.Errorf("make lookup table %s: there are %d tables, which is the limit", name, MaxTables)
	}
	info := Info{Name: name, Columns: table.Columns, Rows: len(table.Rows), Bytes: int64(len(data)), Changed: time.Now().UTC().Truncate(time.Second)}
	head, err := json.Marshal(info)
	if err != nil {
		return Info{}, fmt.Errorf("make lookup table %s: %w", name, err)
	}
	file := t.file(name)
	var sealed bytes.Buffer
	w, err := t.sealer.Create(&sealed, file)
	if err != nil {
		return Info{}, fmt.Errorf("seal lookup table %s: %w", name, err)
	}
	for _, b := range [][]byte{head, {'\n'}, data} {
		if _, err := w.Write(b); err != nil {
			return Info{}, fmt.Errorf("seal lookup table %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return Info{}, fmt.Errorf("seal lookup table %s: %w", name, err)
	}
	if err := vfs.MakeDir(t.fsys, folder, 0o700); err != nil {
		return Info{}, fmt.Errorf("make the folder of lookup tables: %w", err)
	}
	if err := vfs.WriteFile(t.fsys, file, sealed.Bytes(), 0o600); err != nil {
		return Info{}, fmt.Errorf("write lookup table %s: %w", name, err)
	}
	return info, nil
}

// read opens a file and returns its head and CSV.
func (t *Tables) read(file string) (info Info, data []byte, err error) {
	f, err := t.fsys.OpenFile(file, 0, 0)
	if err != nil {
		return info, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return info, nil, err
	}
	o, err := t.sealer.Open(f, st.Size(), file)
	if err != nil {
		return info, nil, err
	}
	if o.Size() > MaxBytes+maxHead {
		return info, nil, fmt.Errorf("it holds %d bytes, which is no table", o.Size())
	}
	all := make([]byte, o.Size())
	if _, err := io.ReadFull(io.NewSectionReader(o, 0, o.Size()), all); err != nil {
		return info, nil, err
	}
	head, data, ok := bytes.Cut(all, []byte("\n"))
	if !ok {
		return info, nil, errors.New("it has no head")
	}
	if err := json.Unmarshal(head, &info); err != nil {
		return info, nil, fmt.Errorf("read its head: %w", err)
	}
	return info, data, nil
}

// Lookup gives the table of a name; ok is false if there is none. It is an
// insights.LookupFunc.
func (t *Tables) Lookup(name string) (table insights.Table, ok bool, err error) {
	if CheckName(name) != nil {
		return table, false, nil
	}
	file := t.file(name)
	st, err := t.fsys.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return table, false, nil
	}
	if err != nil {
		return table, false, fmt.Errorf("open lookup table %s: %w", name, err)
	}
	t.mu.Lock()
	c, ok := t.cache[file]
	t.mu.Unlock()
	if ok && c.at.Equal(st.ModTime()) && c.size == st.Size() {
		return c.table, true, nil
	}
	_, data, err := t.read(file)
	if err == nil {
		table, err = parse(data)
	}
	if err != nil {
		return table, false, fmt.Errorf("read lookup table %s: %w", name, err)
	}
	t.mu.Lock()
	t.cache[file] = cached{st.ModTime(), st.Size(), table}
	t.mu.Unlock()
	return table, true, nil
}

// List describes the tables, in the order of their names.
func (t *Tables) List() ([]Info, error) {
	entries, err := t.fsys.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list lookup tables: %w", err)
	}
	var out []Info
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		info, _, err := t.read(folder + "/" + e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return nil, fmt.Errorf("read lookup table in %s/%s: %w", folder, e.Name(), err)
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Remove removes a table; the error wraps [ErrNotFound] if there is none.
func (t *Tables) Remove(name string) error {
	file := t.file(name)
	err := t.fsys.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove lookup table %s: %w", name, ErrNotFound)
	}
	if err == nil {
		err = t.fsys.SyncDir(folder)
	}
	if err != nil {
		return fmt.Errorf("remove lookup table %s: %w", name, err)
	}
	t.mu.Lock()
	delete(t.cache, file)
	t.mu.Unlock()
	return nil
}
