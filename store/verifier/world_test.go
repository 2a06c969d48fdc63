package verifier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/internal/clock"
	"trailward/internal/vfs"
	"trailward/internal/vfs/vfstest"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/wal"
)

// world is a store with segments of a format of its own.
type world struct {
	t      testing.TB
	fsys   *vfstest.FS
	keys   *seal.StoreKey
	sealer *seal.Sealer
	clock  *testClock
	ledger *ledger.Ledger
	head   ledger.Head
	rows   map[string]Row
	next   int
}

type testClock struct {
	clock.Clock
	now time.Time
}

func (c *testClock) Now() time.Time { return c.now }

func provider(t testing.TB) *seal.Keys {
	t.Helper()
	t.Setenv(seal.EnvironmentVariable, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	p, ok, err := seal.KeysFromEnvironment()
	if !ok || err != nil {
		t.Fatalf("KeysFromEnvironment() = %v, %v", ok, err)
	}
	return p
}

func newWorld(t testing.TB) *world {
	t.Helper()
	p := provider(t)
	w := &world{t: t, fsys: vfstest.New(1), sealer: seal.New(p), rows: map[string]Row{},
		clock: &testClock{now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}}
	var err error
	w.keys, err = seal.CreateStoreKey(w.fsys, "store.key", p)
	w.must(err)
	w.must(w.fsys.MkdirAll("segments", 0o700))
	w.open()
	w.commit(ledger.Started{Version: "v"})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.ledger, err = ledger.Open(ledger.Options{FS: w.fsys, Dir: "ledger", Keys: w.keys, Clock: w.clock, Committed: w.head})
	w.must(err)
}

func (w *world) commit(events ...ledger.Event) {
	w.t.Helper()
	w.clock.now = w.clock.now.Add(time.Minute)
	h, err := w.ledger.Append(events...)
	w.must(err)
	w.head = h
	w.must(w.ledger.Sign(h))
}

// fakeSegment is a segment as the tests keep it: all of it as JSON.
type fakeSegment struct {
	F        Facts
	Salt     ledger.Hash
	Root     ledger.Hash
	Subtrees []ledger.Hash
	Records_ []trailward.Record
}

func (s *fakeSegment) Facts() Facts { return s.F }

func (s *fakeSegment) Tree() ([32]byte, ledger.Hash, []ledger.Hash, error) {
	return s.Salt, s.Root, s.Subtrees, nil
}

func (s *fakeSegment) Records(rows []int64, fn func(int64, *trailward.Record) error) error {
	if rows == nil {
		for i := range s.Records_ {
			rows = append(rows, int64(i))
		}
	}
	for _, i := range rows {
		if i >= int64(len(s.Records_)) {
			return errors.New("no such row")
		}
		r := s.Records_[i]
		r.Group, r.Kind = s.F.Group, s.F.Kind
		if err := fn(i, &r); err != nil {
			return err
		}
	}
	return nil
}

func openFake(r io.ReaderAt, size int64) (Segment, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), b); err != nil {
		return nil, err
	}
	s := &fakeSegment{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	return s, nil
}

func newFake(group string, from, n int) *fakeSegment {
	s := &fakeSegment{Salt: ledger.NewSalt()}
	s.F = Facts{Group: group, Kind: trailward.KindJSON, Rows: int64(n), Rest: "fields"}
	for i := from; i < from+n; i++ {
		s.Records_ = append(s.Records_, trailward.Record{
			Stream: fmt.Sprintf("stream-%d", i%2), Time: int64(i) * 1_000_001, Arrival: int64(i)*1_000_000 + 5,
			Raw: fmt.Appendf(nil, `{"n":%d}`, i), Attrs: []trailward.Attr{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}},
		})
	}
	s.sum()
	return s
}

// sum makes facts and tree fit the records.
func (s *fakeSegment) sum() {
	tree := ledger.NewRecordTree(s.Salt, s.F.Group, s.F.Kind)
	f := &s.F
	f.Rows, f.RawBytes = int64(len(s.Records_)), 0
	for i := range s.Records_ {
		r := &s.Records_[i]
		tree.Add(r)
		f.RawBytes += int64(len(r.Raw))
		if i == 0 {
			f.FirstTime, f.LastTime, f.FirstArrival, f.LastArrival = r.Time, r.Time, r.Arrival, r.Arrival
		}
		f.FirstTime, f.LastTime = min(f.FirstTime, r.Time), max(f.LastTime, r.Time)
		f.FirstArrival, f.LastArrival = min(f.FirstArrival, r.Arrival), max(f.LastArrival, r.Arrival)
	}
	s.Root, s.Subtrees = tree.Sum()
}

func file(id string) string { return "segments/" + id + ".seg" }

// seal writes the object of a segment.
func (w *world) seal(id string, s *fakeSegment) (sum ledger.Hash, size int64) {
	w.t.Helper()
	b, err := json.Marshal(s)
	w.must(err)
	var out bytes.Buffer
	o, err := w.sealer.Create(&out, "segment/"+id)
	w.must(err)
	_, err = o.Write(b)
	w.must(err)
	w.must(o.Close())
	w.fsys.SetBytes(file(id), out.Bytes())
	return sha256.Sum256(out.Bytes()), int64(out.Len())
}

// put writes a segment, and its row, and returns what the ledger is to say.
func (w *world) put(s *fakeSegment) ledger.Segment {
	w.t.Helper()
	w.next++
	id := fmt.Sprintf("%016x", w.next)
	sum, size := w.seal(id, s)
	w.rows[id] = Row{ID: id, Size: size, Root: s.Root, Facts: s.F}
	f := s.F
	return ledger.Segment{ID: id, Group: ledger.GroupHash(w.keys, f.Group), Kind: f.Kind, Rows: f.Rows, FirstTime: f.FirstTime, LastTime: f.LastTime,
		FirstArrival: f.FirstArrival, LastArrival: f.LastArrival, Root: s.Root, Sum: sum, Size: size}
}

func (w *world) add(group string, from, n int) string {
	w.t.Helper()
	s := w.put(newFake(group, from, n))
	w.commit(ledger.Added{Segment: s})
	return s.ID
}

func (w *world) drop(id string) {
	w.t.Helper()
	delete(w.rows, id)
	w.must(w.fsys.Remove(file(id)))
}

// Objects.

func (w *world) List(_ context.Context, fn func(Object) error) error {
	names, err := w.fsys.ReadDir("segments")
	if err != nil {
		return err
	}
	for _, n := range names {
		id, ok := strings.CutSuffix(n.Name(), ".seg")
		if !ok {
			id = ""
		}
		// The file system of the tests knows no times.
		if err := fn(Object{ID: id, Name: "segments/" + n.Name(), Modified: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	return nil
}

type openBlob struct {
	vfs.File
	size int64
}

func (b openBlob) Size() int64 { return b.size }

func (w *world) Open(_ context.Context, id string) (Blob, error) {
	f, err := w.fsys.OpenFile(file(id), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return openBlob{f, info.Size()}, nil
}

func (w *world) deps() Deps {
	return Deps{
		FS: w.fsys, LedgerDir: "ledger", Keys: w.keys, Sealer: w.sealer, Objects: w, OpenSegment: openFake,
		Catalog: func(context.Context) (ledger.Head, []Row, error) {
			var rows []Row
			for _, id := range sortedKeys(w.rows) {
				rows = append(rows, w.rows[id])
			}
			return w.head, rows, nil
		},
	}
}

func (w *world) withWAL() Deps {
	d := w.deps()
	d.WALDir = "wal"
	return d
}

// writeWAL leaves a WAL of some files.
func (w *world) writeWAL(files, entries int) {
	w.t.Helper()
	for range files {
		l, err := wal.Open(context.Background(), wal.Options{FS: w.fsys, Dir: "wal", Sealer: w.sealer, MaxFileBytes: 4096})
		w.must(err)
		_, err = l.Replay(func(wal.Position, []byte) error { return nil })
		w.must(err)
		for i := range entries {
			_, err := l.Append(context.Background(), bytes.Repeat([]byte{byte(i)}, 700))
			w.must(err)
		}
		w.must(l.Close())
	}
}

func (w *world) run(d Deps, opt Options) *Report {
	w.t.Helper()
	r, err := Run(context.Background(), d, opt)
	if err != nil {
		w.t.Fatalf("Run() = %v", err)
	}
	return r
}

// copyFiles and restore put the disk back as it was.
func (w *world) copyFiles() map[string][]byte {
	out := map[string][]byte{}
	for _, name := range w.fsys.Files() {
		out[name] = w.fsys.Bytes(name)
	}
	return out
}

func (w *world) restore(files map[string][]byte) {
	for _, name := range w.fsys.Files() {
		if _, ok := files[name]; !ok {
			_ = w.fsys.Remove(name)
		}
	}
	for name, b := range files {
		w.fsys.SetBytes(name, b)
	}
}

func hasFinding(list []Finding, what What, where string) bool {
	for _, f := range list {
		if f.What == what && strings.Contains(f.Where, where) {
			return true
		}
	}
	return false
}
