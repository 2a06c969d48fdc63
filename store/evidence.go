package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"trailward"
	"trailward/internal/vfs"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/segment"
	"trailward/store/verifier"
)

// Evidence is a data directory that is open to be examined only: nothing in it
// is changed, not even by looking at its catalog, of which a copy is read. While
// it is open no process can open the store to write.
type Evidence struct {
	fs     *vfs.Dir
	lock   io.Closer
	key    *seal.StoreKey
	sealer *seal.Sealer
	cat    *catalog.Catalog
	copied string // folder of the catalog's copy

	live *Store // set when the store is open; all above but key and sealer are its own
	mu   sync.Mutex
	held []*sealed // segments of a live store that must not go meanwhile
}

// OpenEvidence opens the store in a data directory to examine it. A directory
// that a process has open to write gives [vfs.ErrLocked].
func OpenEvidence(dir string, p seal.Provider) (_ *Evidence, err error) {
	e := &Evidence{sealer: seal.New(p)}
	defer func() {
		if err != nil {
			e.Close()
			err = fmt.Errorf("examine data directory %s: %w", dir, err)
		}
	}()
	if e.fs, err = vfs.OS(dir); err != nil {
		return nil, err
	}
	if e.lock, err = e.fs.LockShared(lockName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if e.key, err = seal.OpenStoreKey(e.fs, storeKeyName, p); err != nil {
		return nil, err
	}
	// SQLite makes files beside the catalog, and a catalog that a crash left
	// has a part of its content in such a file: so a copy is read. All values
	// in it are sealed.
	if e.copied, err = os.MkdirTemp("", "trailward-catalog-"); err != nil {
		return nil, err
	}
	if err := copyCatalog(e.fs, e.copied); err != nil {
		return nil, err
	}
	if e.cat, err = catalog.OpenCopy(filepath.Join(e.copied, catalogName), e.key); err != nil {
		return nil, fmt.Errorf("%w: if it is damaged, make it again with `trailward restore --rebuild-catalog`", err)
	}
	return e, nil
}

// copyCatalog copies the catalog and what SQLite keeps beside it.
func copyCatalog(fsys vfs.FS, to string) error {
	for _, suffix := range []string{"", "-wal"} {
		f, err := fsys.OpenFile(catalogName+suffix, os.O_RDONLY, 0)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: make it again with `trailward restore --rebuild-catalog`", err)
		}
		if err != nil {
			return err
		}
		out, err := os.OpenFile(filepath.Join(to, catalogName+suffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = io.Copy(out, f)
			err = errors.Join(err, out.Close())
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("copy catalog: %w", err)
		}
	}
	return nil
}

// Evidence opens the store itself to be examined while it goes on. Segments that
// were there at the first look stay until it is closed.
func (s *Store) Evidence() (*Evidence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	return &Evidence{fs: s.fs, key: s.key, sealer: s.sealer, cat: s.cat, live: s}, nil
}

// Close closes what was opened.
func (e *Evidence) Close() error {
	if e.live != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.live.letGoSegments(e.held)
		e.held = nil
		return nil
	}
	var errs []error
	if e.cat != nil {
		errs = append(errs, e.cat.Close())
	}
	if e.copied != "" {
		errs = append(errs, os.RemoveAll(e.copied))
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	if e.fs != nil {
		errs = append(errs, e.fs.Close())
	}
	return errors.Join(errs...)
}

// Identity returns the ledger's name and public key.
func (e *Evidence) Identity() (ledger.Identity, error) {
	id, err := ledger.OpenIdentity(e.fs, ledgerDir, e.key)
	if err != nil {
		return ledger.Identity{}, err
	}
	return ledger.Identity{Origin: id.Origin, VerifierKey: id.VerifierKey}, nil
}

// Checkpoint returns the ledger's signed checkpoint.
func (e *Evidence) Checkpoint() (ledger.Checkpoint, error) {
	id, err := ledger.OpenIdentity(e.fs, ledgerDir, e.key)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	c, _, err := ledger.ReadCheckpoint(e.fs, ledgerDir, id)
	return c, err
}

// Verify reads everything again and says whether it is what was written.
func (e *Evidence) Verify(ctx context.Context, o verifier.Options) (*verifier.Report, error) {
	o.Live = e.live != nil
	return verifier.Run(ctx, e.deps(), o)
}

// Prove proves the record in a row of a segment.
func (e *Evidence) Prove(ctx context.Context, id string, row int64) (*verifier.RecordProof, error) {
	return verifier.Proof(ctx, e.deps(), id, row)
}

func (e *Evidence) deps() verifier.Deps {
	return verifier.Deps{
		FS: e.fs, LedgerDir: ledgerDir, WALDir: walDir, Keys: e.key, Sealer: e.sealer, Objects: objects{e.fs, e.dead},
		Catalog: e.catalog, OpenSegment: openSegmentFacts, CheckCatalog: e.checkCatalog,
	}
}

// dead are the segments that the catalog says are no more, or not yet.
func (e *Evidence) dead() (map[string]bool, error) {
	list, err := e.cat.Dead()
	if err != nil {
		return nil, err
	}
	dead := make(map[string]bool, len(list))
	for _, id := range list {
		dead[id] = true
	}
	return dead, nil
}

func (e *Evidence) catalog(context.Context) (ledger.Head, []verifier.Row, error) {
	if s := e.live; s != nil {
		// Head and rows must be of one moment, and what the rows name must not be
		// shredded before it is read.
		s.commitMu.Lock()
		defer s.commitMu.Unlock()
		e.mu.Lock()
		e.held = append(e.held, s.holdAll()...)
		e.mu.Unlock()
	}
	head, err := e.cat.LedgerHead()
	if err != nil {
		return head, nil, err
	}
	segs, err := e.cat.Segments()
	if err != nil {
		return head, nil, err
	}
	streams := map[string][]string{}
	if err := e.cat.Streams(func(id string, names []string) { streams[id] = names }); err != nil {
		return head, nil, err
	}
	rows := make([]verifier.Row, len(segs))
	for i := range segs {
		segs[i].Streams = streams[segs[i].ID]
		f, err := facts(&segs[i])
		if err != nil {
			return head, nil, err
		}
		rows[i] = verifier.Row{ID: segs[i].ID, Size: segs[i].Size, Root: segs[i].Root, Facts: f}
	}
	return head, rows, nil
}

func (e *Evidence) checkCatalog(context.Context) ([]verifier.Finding, error) {
	list, err := e.cat.Check()
	out := make([]verifier.Finding, len(list))
	for i, l := range list {
		out[i] = verifier.Finding{What: verifier.Altered, Where: catalogName, Detail: l, Do: "make it again with `trailward restore --rebuild-catalog`"}
	}
	return out, err
}

func facts(s *catalog.Segment) (verifier.Facts, error) {
	rest, err := json.Marshal(s.Fields)
	if err != nil {
		return verifier.Facts{}, err
	}
	streams := ""
	if len(s.Streams) > 0 {
		list, err := json.Marshal(s.Streams)
		if err != nil {
			return verifier.Facts{}, err
		}
		streams = string(list)
	}
	return verifier.Facts{
		Group: s.Group, Kind: s.Kind, Rows: s.Rows, RawBytes: s.RawBytes, FirstTime: s.FirstTime, LastTime: s.LastTime,
		FirstArrival: s.FirstArrival, LastArrival: s.LastArrival, Rest: string(rest), Streams: streams,
	}, nil
}

// segmentFacts is an open segment as the verifier sees it.
type segmentFacts struct {
	*segment.Reader
	facts verifier.Facts
}

func openSegmentFacts(r io.ReaderAt, size int64) (verifier.Segment, error) {
	rd, err := segment.Open(r, size)
	if err != nil {
		return nil, err
	}
	streams, err := sortedStreams(rd)
	if err != nil {
		return nil, err
	}
	s := catalog.Describe("", size, rd.Meta, streams)
	f, err := facts(&s)
	return segmentFacts{rd, f}, err
}

func (s segmentFacts) Facts() verifier.Facts { return s.facts }

func (s segmentFacts) Tree() ([32]byte, ledger.Hash, []ledger.Hash, error) {
	salt, subtrees, err := s.Meta.Tree()
	return salt, s.Meta.Root, subtrees, err
}

func (s segmentFacts) Records(rows []int64, fn func(int64, *trailward.Record) error) error {
	return s.Reader.Records(rows, fn)
}

// objects are the sealed segments in a data directory, without those that the
// catalog says are dead: the next start removes them. An id is among the dead
// before its file is made, and a file goes only when its id is: so of a store that
// goes on, those that are dead after the files were listed are the ones to leave out.
type objects struct {
	fs   vfs.FS
	dead func() (map[string]bool, error)
}

func (o objects) List(ctx context.Context, fn func(verifier.Object) error) error {
	var all []verifier.Object
	if err := o.list(ctx, func(ob verifier.Object) error { all = append(all, ob); return nil }); err != nil {
		return err
	}
	dead, err := o.dead()
	if err != nil {
		return err
	}
	for _, ob := range all {
		id, _, _ := strings.Cut(path.Base(ob.Name), ".")
		if validID(id) && dead[id] && (ob.Name == segmentFile(id) || ob.Name == segmentFile(id)+vfs.TempSuffix) {
			continue
		}
		if err := fn(ob); err != nil {
			return err
		}
	}
	return nil
}

func (o objects) list(ctx context.Context, fn func(verifier.Object) error) error {
	dirs, err := o.fs.ReadDir(segmentDir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := path.Join(segmentDir, d.Name())
		if !d.IsDir() {
			if err := fn(verifier.Object{Name: dir}); err != nil {
				return err
			}
			continue
		}
		files, err := o.fs.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			name := path.Join(dir, f.Name())
			info, err := o.fs.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			ob := verifier.Object{Name: name, Modified: info.ModTime()}
			id, _, _ := strings.Cut(f.Name(), ".")
			if validID(id) && name == segmentFile(id) {
				ob.ID = id
			}
			if err := fn(ob); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o objects) Open(_ context.Context, id string) (verifier.Blob, error) {
	if !validID(id) {
		return nil, fmt.Errorf("open segment %q: %w", id, fs.ErrNotExist)
	}
	f, err := o.fs.OpenFile(segmentFile(id), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return object{f, st.Size()}, nil
}

type object struct {
	vfs.File
	size int64
}

func (o object) Size() int64 { return o.size }
