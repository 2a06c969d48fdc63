package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"trailward/internal/journal"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/segment"
)

// KeyUse says how much of a store needs a key-encryption key to be read, as the
// headers of its files name it.
type KeyUse struct {
	ID       string
	Current  bool  // it wraps the keys of what is written now
	Segments int64 // segments that need it
	WAL      int64 // files of the WAL that need it
	Store    bool  // the store key needs it
}

// Needed reports whether anything in the store needs the key.
func (u *KeyUse) Needed() bool { return u.Segments > 0 || u.WAL > 0 || u.Store }

// KeyUses returns what needs which key: the one in use first, then those that
// are needed still.
func (s *Store) KeyUses(ctx context.Context) ([]KeyUse, error) {
	out := []KeyUse{{ID: s.sealer.Provider().ID(), Current: true}}
	of := func(id string) *KeyUse {
		for i := range out {
			if out[i].ID == id {
				return &out[i]
			}
		}
		out = append(out, KeyUse{ID: id})
		return &out[len(out)-1]
	}
	id, err := seal.StoreKeyKey(s.fs, storeKeyName)
	if err != nil {
		return nil, err
	}
	of(id).Store = true
	for _, p := range s.holdAll() {
		if err == nil {
			if id, err = s.segmentKey(ctx, p); err == nil {
				of(id).Segments++
			}
		}
		s.letGoSegments([]*sealed{p})
	}
	if err != nil {
		return nil, err
	}
	files, err := s.fs.ReadDir(walDir)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".wal") {
			continue
		}
		id, err := s.walKey(path.Join(walDir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has become segments
		}
		if err != nil {
			return nil, err
		}
		of(id).WAL++
	}
	return out, nil
}

// holdAll returns every segment, held.
func (s *Store) holdAll() (out []*sealed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		for _, p := range g.list {
			out = append(out, p.hold())
		}
	}
	return out
}

// segmentKey returns the key that a segment needs.
func (s *Store) segmentKey(ctx context.Context, p *sealed) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f, err := s.fs.OpenFile(segmentFile(p.info.ID), os.O_RDONLY, 0)
	if err != nil {
		return "", fmt.Errorf("segment %s: %w", p.info.ID, err)
	}
	defer f.Close()
	id, err := seal.ObjectKey(f, p.info.Size)
	if err != nil {
		return "", fmt.Errorf("segment %s: %w", p.info.ID, err)
	}
	return id, nil
}

var errSeen = errors.New("the header was seen")

func (s *Store) walKey(name string) (id string, err error) {
	f, err := s.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = journal.Scan(f, func(meta []byte) (journal.OpenFunc, error) {
		if id, err = seal.StreamKey(meta); err != nil {
			return nil, err
		}
		return nil, errSeen
	}, nil)
	if !errors.Is(err, errSeen) {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}

// UseKeys makes p, whose first key is new, wrap everything that is written from
// now on, and the store key. What was written before still needs the old keys,
// which p must have too: see [Store.Rewrap].
func (s *Store) UseKeys(ctx context.Context, p seal.Provider) error {
	old := s.sealer.Provider().ID()
	if err := s.rewrapStoreKey(p); err != nil {
		return err
	}
	s.sealer.Use(p)
	if old != p.ID() {
		if err := s.commit(catalog.Change{}, []ledger.Event{ledger.Key{Old: old, New: p.ID()}}, nil); err != nil {
			return fmt.Errorf("rotate key: %w", err)
		}
	}
	// An entry without records makes sure that the WAL begins a new file.
	if _, err := s.wal.Append(ctx, (&entry{arrival: s.now()}).encode(nil)); err != nil {
		return fmt.Errorf("rotate key: %w", walError(err))
	}
	return s.seal(true)
}

func (s *Store) rewrapStoreKey(p seal.Provider) error {
	if id, err := seal.StoreKeyKey(s.fs, storeKeyName); err != nil || id == p.ID() {
		return err
	}
	return seal.RewrapStoreKey(s.fs, storeKeyName, p)
}

// Rewrap writes again, under new data keys that the current key wraps, every
// segment that needs another key, and the store key: when it is done, the old
// keys are needed for backups only. It can be ended at any time and goes on
// where it was. progress, which may be nil, is told bytes.
func (s *Store) Rewrap(ctx context.Context, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	if err := s.rewrapStoreKey(s.sealer.Provider()); err != nil {
		return err
	}
	current := s.sealer.Provider().ID()
	list := s.holdAll()
	var total, done int64
	for _, p := range list {
		total += p.info.Size
	}
	var err error
	for _, p := range list {
		if err == nil {
			err = s.rewrap(ctx, p, current)
			done += p.info.Size
			progress(done, total)
		}
		s.letGoSegments([]*sealed{p})
	}
	return err
}

func (s *Store) rewrap(ctx context.Context, p *sealed, current string) (err error) {
	s.compactMu.Lock()
	defer s.compactMu.Unlock()
	if id, err := s.segmentKey(ctx, p); err != nil || id == current {
		return err
	}
	s.mu.Lock()
	gone := p.dead || p.busy
	if !gone {
		p.busy = true
	}
	s.mu.Unlock()
	if gone { // merged or deleted meanwhile
		return nil
	}
	defer func() {
		s.mu.Lock()
		p.busy = false
		s.mu.Unlock()
	}()
	if err := s.room(p.info.Size); err != nil {
		return err
	}
	ids, err := s.newSegmentIDs(1)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, errUnclear) {
			s.giveUp(ids)
		}
	}()
	err = p.with(func(r *reading) error {
		streams, err := sortedStreams(r.Reader)
		if err != nil {
			return err
		}
		w, err := s.writeObject(ids[0], streams, func(w io.Writer) (*segment.Meta, error) {
			_, err := io.Copy(w, io.NewSectionReader(r, 0, r.plain))
			return r.Meta, err
		})
		if err != nil {
			return err
		}
		return s.replace(ctx, []*sealed{p}, []string{p.info.ID}, []*written{w})
	})
	if err != nil {
		s.suspect(p, err)
		return fmt.Errorf("write segment %s again: %w", p.info.ID, err)
	}
	return nil
}
