package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrUnknownToken means that no token has the given id.
var ErrUnknownToken = errors.New("unknown token")

// fileVersion is the version of the layout of tokens.json.
const fileVersion = 1

// Store is the token file. All methods may be called at once, and several
// processes may hold a Store over the same file: changes are made under a lock
// file (PATH.lock) and appear by rename, and every look sees the newest.
type Store struct {
	path string
	now  func() time.Time

	mu     sync.RWMutex
	seen   fs.FileInfo // of the file that entries came from; nil: there was none
	held   *os.File    // that file, kept open so that its inode stays its own (see sameFile)
	loaded bool
	ids    map[string]*entry // read only once set
}

// entry is a token as the file holds it.
type entry struct {
	Token
	Hash hash `json:"sha256"`
}

// document is the whole file.
type document struct {
	Version int      `json:"version"`
	Tokens  []*entry `json:"tokens"`
}

// OpenStore reads the token file at path; one that does not exist holds no
// tokens and is made by the first [Store.Create]. now is the clock that
// expiry goes by; nil means time.Now.
func OpenStore(path string, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	s := &Store{path: path, now: forward(now)}
	if _, err := s.entries(); err != nil {
		return nil, err
	}
	return s, nil
}

// forward is the clock without its steps back: what has expired stays so.
func forward(now func() time.Time) func() time.Time {
	var mu sync.Mutex
	var last time.Time
	return func() time.Time {
		t := now()
		mu.Lock()
		defer mu.Unlock()
		if t.Before(last) {
			return last
		}
		last = t
		return t
	}
}

// maxAhead is how much later than now a token may have been made. A clock that is
// further behind cannot say what has expired.
const maxAhead = time.Hour

// expired reports whether a token has expired, or nobody can say.
func (e *entry) expired(now time.Time) bool {
	return e.Expired(now) || !e.Expires.IsZero() && e.Created.After(now.Add(maxAhead))
}

// Create adds a token that grants what t says (its id and times of creation
// are the store's to set) and returns it with its secret, which nobody can get
// again.
func (s *Store) Create(t Token) (Token, string, error) {
	if err := t.Validate(); err != nil {
		return Token{}, "", err
	}
	t.Created = s.now().UTC().Truncate(time.Second)
	t.Expires = t.Expires.UTC()
	if t.Expired(t.Created) {
		return Token{}, "", fmt.Errorf("token would expire at %s, which is past", t.Expires.Format(time.RFC3339))
	}
	var secret string
	err := s.change(func(d *document) error {
		if len(d.Tokens) >= maxTokens {
			return fmt.Errorf("token file %s holds %d tokens, the most it may: revoke some", s.path, maxTokens)
		}
		for {
			t.ID, secret = newSecret()
			if !slices.ContainsFunc(d.Tokens, func(e *entry) bool { return e.ID == t.ID }) {
				break
			}
		}
		d.Tokens = append(d.Tokens, &entry{Token: t, Hash: sha256.Sum256([]byte(secret))})
		return nil
	})
	if err != nil {
		return Token{}, "", err
	}
	return t, secret, nil
}

// Revoke removes the token; it is refused from the next request on. An id that
// no token has gives [ErrUnknownToken].
func (s *Store) Revoke(id string) error {
	return s.change(func(d *document) error {
		n := len(d.Tokens)
		d.Tokens = slices.DeleteFunc(d.Tokens, func(e *entry) bool { return e.ID == id })
		if len(d.Tokens) == n {
			return fmt.Errorf("revoke token %.32q: %w", id, ErrUnknownToken)
		}
		return nil
	})
}

// List returns every token, oldest first, the expired ones included.
func (s *Store) List() ([]Token, error) {
	ids, err := s.entries()
	if err != nil {
		return nil, err
	}
	out := make([]Token, 0, len(ids))
	for _, e := range ids {
		out = append(out, e.Token)
	}
	slices.SortFunc(out, func(a, b Token) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a.ID), []byte(b.ID))
	})
	return out, nil
}

// Active returns how many tokens have not expired.
func (s *Store) Active() (int, error) {
	ids, err := s.entries()
	if err != nil {
		return 0, err
	}
	n, now := 0, s.now()
	for _, e := range ids {
		if !e.expired(now) {
			n++
		}
	}
	return n, nil
}

// entries returns the tokens by id, from the file when it has changed. The
// map is not to be changed. A file that cannot be read gives an error, never
// the tokens of before: it may have been changed to revoke one.
func (s *Store) entries() (map[string]*entry, error) {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	s.mu.RLock()
	ids, fresh := s.ids, s.loaded && sameFile(s.seen, info)
	s.mu.RUnlock()
	if fresh {
		return ids, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, f, info, err := readFile(s.path)
	if err != nil {
		s.loaded = false
		return nil, err
	}
	if s.held != nil {
		s.held.Close()
	}
	s.held = f
	ids = make(map[string]*entry, len(d.Tokens))
	for _, e := range d.Tokens {
		ids[e.ID] = e
	}
	s.ids, s.seen, s.loaded = ids, info, true
	return ids, nil
}

// sameFile reports whether a and b are of one file that has not changed. Every
// change makes a new file, and the inode of the one that was read cannot be
// given to another as long as it is held open: so the inode tells, where a time
// of change alone is too coarse. The rest is for files edited in place.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// readFile reads and checks the file, and leaves it open. A missing one is an
// empty document and a nil file.
func readFile(path string) (d *document, f *os.File, info fs.FileInfo, err error) {
	f, err = os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &document{Version: fileVersion}, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read token file: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if info, err = f.Stat(); err != nil {
		return nil, nil, nil, fmt.Errorf("read token file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, nil, fmt.Errorf("read token file %s: it is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, nil, nil, fmt.Errorf("read token file %s: mode %04o lets others read or write it: chmod 600 %s", path, perm, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read token file %s: %w", path, err)
	}
	if d, err = decode(data); err != nil {
		return nil, nil, nil, fmt.Errorf("read token file %s: %w", path, err)
	}
	return d, f, info, nil
}

// decode reads the file's bytes, strictly: a file that says something unknown
// may mean to restrict what we would then allow.
func decode(data []byte) (*document, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d document
	if err := dec.Decode(&d); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more after its JSON object")
	}
	if d.Version != fileVersion {
		return nil, fmt.Errorf("its version is %d, this program knows %d", d.Version, fileVersion)
	}
	if len(d.Tokens) > maxTokens {
		return nil, fmt.Errorf("it holds %d tokens, the most is %d", len(d.Tokens), maxTokens)
	}
	ids := make(map[string]bool, len(d.Tokens))
	for i, e := range d.Tokens {
		if e == nil || !validID(e.ID) || ids[e.ID] {
			return nil, fmt.Errorf("token %d has no id of its own", i+1)
		}
		if e.Hash == (hash{}) {
			return nil, fmt.Errorf("token %s has no sha256", e.ID)
		}
		ids[e.ID] = true
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("token %s: %w", e.ID, err)
		}
	}
	return &d, nil
}

// change applies fn to the newest document and writes it: to a new file in the
// same folder, synced, renamed over the old one, and the folder synced, so that
// a crash leaves the old file or the new one.
func (s *Store) change(fn func(*document) error) error {
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock token file: %w", err)
	}
	defer lock.Close() // closing gives the lock back
	for {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock token file %s: %w", s.path, err)
	}
	d, f, _, err := readFile(s.path)
	if err != nil {
		return err
	}
	if f != nil {
		f.Close()
	}
	if err := fn(d); err != nil {
		return err
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write token file %s: %w", s.path, err)
	}
	data = append(data, '\n')
	if len(data) > maxFile {
		return fmt.Errorf("write token file %s: it would be larger than %d bytes: revoke some tokens", s.path, maxFile)
	}
	if err := replace(s.path, data); err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	return nil
}

func replace(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tokens-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
