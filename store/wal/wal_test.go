package wal

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"trailward/internal/vfs"
	"trailward/internal/vfs/vfstest"
	"trailward/store/seal"
)

func testSealer(t testing.TB, fill byte) *seal.Sealer {
	t.Helper()
	t.Setenv(seal.EnvironmentVariable, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, seal.KeySize)))
	k, ok, err := seal.KeysFromEnvironment()
	if !ok || err != nil {
		t.Fatalf("KeysFromEnvironment() = %v, %v", ok, err)
	}
	return seal.New(k)
}

// got is an entry as a replay gave it.
type got struct {
	pos   Position
	entry string
}

// reopen opens the WAL in fsys and replays it.
func reopen(fsys vfs.FS, s *seal.Sealer, o Options) (*WAL, []got, Report, error) {
	o.FS, o.Dir, o.Sealer = fsys, "data/wal", s
	w, err := Open(context.Background(), o)
	if err != nil {
		return nil, nil, Report{}, err
	}
	var all []got
	report, err := w.Replay(func(pos Position, entry []byte) error {
		all = append(all, got{pos, string(entry)})
		return nil
	})
	if err != nil {
		return nil, nil, report, errors.Join(err, w.Close())
	}
	return w, all, report, nil
}

func mustReopen(t testing.TB, fsys vfs.FS, s *seal.Sealer, o Options) (*WAL, []got, Report) {
	t.Helper()
	w, all, report, err := reopen(fsys, s, o)
	if err != nil {
		t.Fatalf("open and replay: %v", err)
	}
	return w, all, report
}

func appendAll(t testing.TB, w *WAL, entries ...string) []Position {
	t.Helper()
	var all []Position
	for _, e := range entries {
		pos, err := w.Append(context.Background(), []byte(e))
		if err != nil {
			t.Fatalf("Append(%q) = %v", e, err)
		}
		all = append(all, pos)
	}
	return all
}

func entriesOf(all []got) string {
	var s []string
	for _, g := range all {
		s = append(s, g.entry)
	}
	return strings.Join(s, " ")
}

func TestWAL(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, all, report := mustReopen(t, fsys, s, Options{})
	if len(all) != 0 || report.Files != 0 {
		t.Errorf("a new WAL replays %v, %+v", all, report)
	}
	pos := appendAll(t, w, "a", "b", "")
	if pos[0] != (Position{1, 1}) || pos[2] != (Position{1, 3}) {
		t.Errorf("positions = %v", pos)
	}
	if closed, err := w.Rotate(); closed != 1 || err != nil {
		t.Errorf("Rotate() = %d, %v, want 1", closed, err)
	}
	if closed, err := w.Rotate(); closed != 1 || err != nil {
		t.Errorf("Rotate() of an empty file = %d, %v, want 1", closed, err)
	}
	if pos := appendAll(t, w, "c"); pos[0] != (Position{2, 4}) {
		t.Errorf("position = %v", pos[0])
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := w.Append(context.Background(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Append() after Close = %v, want %v", err, ErrClosed)
	}
	if _, err := w.Rotate(); !errors.Is(err, ErrClosed) {
		t.Errorf("Rotate() after Close = %v, want %v", err, ErrClosed)
	}

	w, all, report = mustReopen(t, fsys, s, Options{})
	if want := []got{{Position{1, 1}, "a"}, {Position{1, 2}, "b"}, {Position{1, 3}, ""}, {Position{2, 4}, "c"}}; fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("replay = %v, want %v", all, want)
	}
	if report.Files != 2 || report.Entries != 4 || report.Bytes != 3 || report.TornBytes != 0 || report.Damaged != nil {
		t.Errorf("report = %+v", report)
	}
	var size int64
	for _, name := range fsys.Files() {
		size += int64(len(fsys.Bytes(name)))
	}
	if w.Size() != size {
		t.Errorf("Size() = %d, want %d", w.Size(), size)
	}
	if _, err := w.Replay(nil); err == nil {
		t.Error("Replay() twice = nil error")
	}
	if err := w.Remove(1); err != nil {
		t.Errorf("Remove(1) = %v", err)
	}
	if pos := appendAll(t, w, "d"); pos[0] != (Position{3, 5}) {
		t.Errorf("position = %v", pos[0])
	}
	if err := w.Remove(99); err != nil {
		t.Errorf("Remove(99) = %v", err)
	}
	appendAll(t, w, "e")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, all, report = mustReopen(t, fsys, s, Options{After: Position{File: 9, Sequence: 20}})
	if entriesOf(all) != "d e" || report.Damaged != nil {
		t.Errorf("replay = %v, %+v, want d e", all, report)
	}
	if pos := appendAll(t, w, "f"); pos[0] != (Position{10, 21}) {
		t.Errorf("position = %v, want one after the position given", pos[0])
	}
	w.Close()
}

func TestRestartsLeaveNoEmptyFiles(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	for i := range 5 {
		w, all, report := mustReopen(t, fsys, s, Options{})
		if len(all) != 0 || report.Damaged != nil || len(fsys.Files()) != 1 {
			t.Fatalf("start %d: replay = %v, %+v, files %v", i, all, report, fsys.Files())
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMaxFileBytes(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{MaxFileBytes: 16 << 10})
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("%d%s", i, strings.Repeat("x", 1000)))
	}
	pos := appendAll(t, w, want...)
	if last := pos[len(pos)-1]; last.File < 4 {
		t.Errorf("40 KB went to %d files of 16 KiB", last.File)
	}
	w.Close()
	w, all, report := mustReopen(t, fsys, s, Options{})
	if entriesOf(all) != strings.Join(want, " ") || report.Damaged != nil {
		t.Errorf("replay = %d entries, %+v", len(all), report)
	}
	w.Close()
}

func TestLimits(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	for _, o := range []Options{
		{}, {FS: fsys, Dir: "a"}, {FS: fsys, Sealer: s}, {Dir: "a", Sealer: s},
		{FS: fsys, Dir: "a", Sealer: s, MaxFileBytes: 1},
		{FS: fsys, Dir: "a", Sealer: s, MaxPendingBytes: MaxEntryBytes - 1},
	} {
		if _, err := Open(context.Background(), o); err == nil {
			t.Errorf("Open(%+v) = nil error", o)
		}
	}
	w, _, _ := mustReopen(t, fsys, s, Options{})
	defer w.Close()
	if _, err := w.Append(context.Background(), make([]byte, MaxEntryBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Append(%d bytes) = %v, want %v", MaxEntryBytes+1, err, ErrTooLarge)
	}
	if testing.Short() {
		return
	}
	large := bytes.Repeat([]byte{7}, MaxEntryBytes)
	if _, err := w.Append(context.Background(), large); err != nil {
		t.Errorf("Append(%d bytes) = %v", MaxEntryBytes, err)
	}
	w.Close()
	w, all, _ := mustReopen(t, fsys, s, Options{})
	if len(all) != 1 || all[0].entry != string(large) {
		t.Errorf("the largest entry did not come back")
	}
	w.Close()
}

func TestBeforeReplay(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{})
	appendAll(t, w, "a", "b")
	w.Close()
	w, err := Open(context.Background(), Options{FS: fsys, Dir: "data/wal", Sealer: s})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(context.Background(), nil); !errors.Is(err, ErrNotReplayed) {
		t.Errorf("Append() before Replay = %v, want %v", err, ErrNotReplayed)
	}
	if err := w.Remove(1); !errors.Is(err, ErrNotReplayed) {
		t.Errorf("Remove() before Replay = %v, want %v", err, ErrNotReplayed)
	}
	stop := errors.New("stop")
	n := 0
	if _, err := w.Replay(func(Position, []byte) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("Replay() = %v after %d entries, want %v after 1", err, n, stop)
	}
	if report, err := w.Replay(func(Position, []byte) error { return nil }); err != nil || report.Entries != 2 {
		t.Errorf("Replay() after one that failed = %+v, %v", report, err)
	}
	appendAll(t, w, "c")
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Replay(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Replay() after Close = %v, want %v", err, ErrClosed)
	}
}

// On a full disk the WAL opens, can be read and removed from, refuses entries,
// and takes them when there is room.
func TestFullDisk(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{})
	appendAll(t, w, "a")
	w.Close()
	fsys.Crash()
	fsys.SetFault(func(op vfstest.Op) error {
		if op.Kind == vfstest.OpWrite || op.Kind == vfstest.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	})
	w, all, report := mustReopen(t, fsys, s, Options{})
	if entriesOf(all) != "a" || report.Damaged != nil {
		t.Errorf("replay = %v, %+v", all, report)
	}
	for range 3 {
		if _, err := w.Append(context.Background(), []byte("refused")); !errors.Is(err, ErrNoSpace) {
			t.Errorf("Append() = %v, want %v", err, ErrNoSpace)
		}
	}
	if closed, err := w.Rotate(); closed != 1 || err != nil {
		t.Errorf("Rotate() = %d, %v, want 1", closed, err)
	}
	if err := w.Remove(1); err != nil {
		t.Errorf("Remove(1) = %v", err)
	}
	if w.Size() != 0 || len(fsys.Files()) != 0 {
		t.Errorf("Size() = %d, files %v, want none", w.Size(), fsys.Files())
	}
	fsys.SetFault(nil)
	if pos := appendAll(t, w, "b"); pos[0] != (Position{2, 2}) {
		t.Errorf("position = %v, want {2 2}", pos[0])
	}
	w.Close()
	w, all, report = mustReopen(t, fsys, s, Options{})
	if entriesOf(all) != "b" || report.Damaged != nil {
		t.Errorf("replay = %v, %+v", all, report)
	}
	w.Close()
}

// flakyProvider wraps no keys while it is down.
type flakyProvider struct {
	seal.Provider
	down atomic.Bool
}

var errDown = errors.New("key service does not answer")

func (p *flakyProvider) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if p.down.Load() {
		return nil, errDown
	}
	return p.Provider.Wrap(ctx, dek, aad)
}

// While no new key can be had, entries go on into the old file.
func TestProviderDown(t *testing.T) {
	fsys := vfstest.New(1)
	testSealer(t, 1)
	keys, _, err := seal.KeysFromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	p := &flakyProvider{Provider: keys}
	s := seal.New(p)
	w, _, _ := mustReopen(t, fsys, s, Options{MaxFileBytes: 10 << 10})
	large := strings.Repeat("x", 3000)
	appendAll(t, w, large)
	p.down.Store(true)
	if _, err := w.Rotate(); !errors.Is(err, errDown) || errors.Is(err, ErrFailed) {
		t.Errorf("Rotate() = %v, want %v", err, errDown)
	}
	if pos := appendAll(t, w, large, large, large); pos[2].File != 1 {
		t.Errorf("position = %v, want file 1", pos[2])
	}
	p.down.Store(false)
	if pos := appendAll(t, w, large, large); pos[1].File == 1 {
		t.Errorf("position = %v, want another file than 1", pos[1])
	}
	w.Close()
	w, all, report := mustReopen(t, fsys, s, Options{})
	if len(all) != 6 || report.Damaged != nil {
		t.Errorf("replay = %d entries, %+v", len(all), report)
	}
	w.Close()
}

// Another key is no damage: the entries may still be had with the right one.
func TestWrongKey(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{})
	appendAll(t, w, "a")
	w.Close()
	if _, _, _, err := reopen(fsys, testSealer(t, 2), Options{}); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("replay with another key = %v, want %v", err, seal.ErrUnknownKey)
	}
	w, all, report := mustReopen(t, fsys, s, Options{})
	if entriesOf(all) != "a" || report.Damaged != nil {
		t.Errorf("replay with the right key after that = %v, %+v", all, report)
	}
	w.Close()
}

// gateFS holds one sync of a file, once armed.
type gateFS struct {
	vfs.FS
	armed         atomic.Bool
	reached, open chan struct{}
}

func (g *gateFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := g.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g}, nil
}

type gateFile struct {
	vfs.File
	gate *gateFS
}

func (f *gateFile) Sync() error {
	if f.gate.armed.CompareAndSwap(true, false) {
		close(f.gate.reached)
		<-f.gate.open
	}
	return f.File.Sync()
}

func TestCancel(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	// Hold the first sync, so that what comes after it waits in the queue.
	gate := &gateFS{FS: fsys, reached: make(chan struct{}), open: make(chan struct{})}
	w, _, _ := mustReopen(t, gate, s, Options{})
	gate.armed.Store(true)

	first, err := w.Start(context.Background(), []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	<-gate.reached
	ctx, cancel := context.WithCancel(context.Background())
	second, err := w.Start(ctx, []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	third, err := w.Start(context.Background(), []byte("third"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := second.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait() of a cancelled entry in the queue = %v, want %v", err, context.Canceled)
	}
	close(gate.open)
	// The write of the first has started: cancelling does not take it back.
	if _, err := first.Wait(ctx); err != nil {
		t.Errorf("Wait() of an entry being written = %v, want nil", err)
	}
	if _, err := third.Wait(context.Background()); err != nil {
		t.Errorf("Wait() = %v", err)
	}
	if _, err := w.Append(ctx, []byte("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("Append() with a cancelled context = %v, want %v", err, context.Canceled)
	}
	w.Close()
	w, all, _ := mustReopen(t, fsys, s, Options{})
	if entriesOf(all) != "first third" {
		t.Errorf("replay = %v, want first third", all)
	}
	w.Close()
}

func TestConcurrentAppend(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{MaxFileBytes: 32 << 10})
	const writers, each = 16, 50
	var mu sync.Mutex
	want := make(map[Position]string)
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			for i := range each {
				e := fmt.Sprintf("writer %d entry %d", g, i)
				pos, err := w.Append(context.Background(), []byte(e))
				if err != nil {
					t.Errorf("Append(%q) = %v", e, err)
					return
				}
				mu.Lock()
				if other, ok := want[pos]; ok {
					t.Errorf("%q and %q have position %v", other, e, pos)
				}
				want[pos] = e
				mu.Unlock()
				if i%10 == 0 && g == 0 {
					if _, err := w.Rotate(); err != nil {
						t.Errorf("Rotate() = %v", err)
					}
				}
				_ = w.Size()
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, all, report := mustReopen(t, fsys, s, Options{})
	defer w.Close()
	if len(all) != writers*each || report.Damaged != nil {
		t.Errorf("replay = %d entries, %+v, want %d", len(all), report, writers*each)
	}
	for i, g := range all {
		if want[g.pos] != g.entry || g.pos.Sequence != uint64(i+1) {
			t.Errorf("replayed %v %q, want %q", g.pos, g.entry, want[g.pos])
		}
	}
}

func TestNoPlaintext(t *testing.T) {
	fsys, s := vfstest.New(1), testSealer(t, 1)
	w, _, _ := mustReopen(t, fsys, s, Options{MaxFileBytes: 16 << 10})
	for i := range 100 {
		appendAll(t, w, fmt.Sprintf("%d canary-7e1b %s", i, strings.Repeat("patient", 100)))
	}
	w.Close()
	for _, name := range fsys.Files() {
		if b := fsys.Bytes(name); bytes.Contains(b, []byte("canary")) || bytes.Contains(b, []byte("patient")) {
			t.Errorf("%s holds plaintext", name)
		}
	}
}

func TestOSFileSystem(t *testing.T) {
	d, err := vfs.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := testSealer(t, 1)
	w, _, _ := mustReopen(t, d, s, Options{})
	appendAll(t, w, "a", "b")
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, w, "c")
	w.Close()
	w, all, report := mustReopen(t, d, s, Options{})
	if entriesOf(all) != "a b c" || report.Damaged != nil {
		t.Errorf("replay = %v, %+v", all, report)
	}
	if err := w.Remove(2); err != nil {
		t.Error(err)
	}
	w.Close()
}

func benchmarkAppend(b *testing.B, writers, size int) {
	d, err := vfs.OS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	w, _, _ := mustReopen(b, d, testSealer(b, 1), Options{})
	defer w.Close()
	entry := make([]byte, size)
	b.SetBytes(int64(size))
	b.SetParallelism((writers + 1) / 2)
	if writers == 1 {
		for range b.N {
			if _, err := w.Append(context.Background(), entry); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Append(context.Background(), entry); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkAppend1(b *testing.B)       { benchmarkAppend(b, 1, 4096) }
func BenchmarkAppend64(b *testing.B)      { benchmarkAppend(b, 64, 4096) }
func BenchmarkAppendLarge1(b *testing.B)  { benchmarkAppend(b, 1, 1<<20) }
func BenchmarkAppendLarge64(b *testing.B) { benchmarkAppend(b, 64, 1<<20) }

func BenchmarkReplay(b *testing.B) {
	fsys, s := vfstest.New(1), testSealer(b, 1)
	w, _, _ := mustReopen(b, fsys, s, Options{})
	entry := make([]byte, 16<<10)
	for range 1000 {
		if _, err := w.Append(context.Background(), entry); err != nil {
			b.Fatal(err)
		}
	}
	w.Close()
	b.SetBytes(16 << 20)
	for range b.N {
		w, err := Open(context.Background(), Options{FS: fsys, Dir: "data/wal", Sealer: s})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Replay(func(Position, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
}
