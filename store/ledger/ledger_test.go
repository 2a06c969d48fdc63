package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"trailward/internal/clock"
	"trailward/internal/vfs/vfstest"
	"trailward/store/seal"
)

// testKeys makes a store key in a file system of its own.
func testKeys(t testing.TB) *seal.StoreKey {
	t.Helper()
	t.Setenv(seal.EnvironmentVariable, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	p, ok, err := seal.KeysFromEnvironment()
	if !ok || err != nil {
		t.Fatalf("KeysFromEnvironment() = %v, %v", ok, err)
	}
	k, err := seal.CreateStoreKey(vfstest.New(1), "store.key", p)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testClock is a clock that only tests move.
type testClock struct {
	clock.Clock
	now time.Time
}

func (c *testClock) Now() time.Time { return c.now }

func newTestClock() *testClock {
	return &testClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func mustOpen(t testing.TB, o Options) *Ledger {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("Open(%+v) = %v", o.Committed, err)
	}
	return l
}

func mustAppend(t testing.TB, l *Ledger, events ...Event) Head {
	t.Helper()
	h, err := l.Append(events...)
	if err != nil {
		t.Fatalf("Append(%v) = %v", events, err)
	}
	if err := l.Sign(h); err != nil {
		t.Fatalf("Sign(%v) = %v", h, err)
	}
	return h
}

func allEntries(t testing.TB, l *Ledger) (out []Entry) {
	t.Helper()
	if err := l.Entries(0, func(e Entry) error { out = append(out, e); return nil }); err != nil {
		t.Fatalf("Entries(0) = %v", err)
	}
	return out
}

func testOptions(t testing.TB, seed uint64) (Options, *vfstest.FS) {
	fsys := vfstest.New(seed)
	return Options{FS: fsys, Dir: "ledger", Keys: testKeys(t), Clock: newTestClock()}, fsys
}

func TestLedger(t *testing.T) {
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	if c, signed := l.Checkpoint(); c.Size != 0 || signed != nil {
		t.Errorf("Checkpoint() of a new ledger = %v, %q", c, signed)
	}
	events := testEvents()
	events[7] = Started{Version: "v1"}
	var heads []Checkpoint
	for _, ev := range events {
		h := mustAppend(t, l, ev)
		heads = append(heads, Checkpoint{Origin: l.Identity().Origin, Head: h})
	}
	got := allEntries(t, l)
	if len(got) != len(events) {
		t.Fatalf("%d entries, want %d", len(got), len(events))
	}
	for i, e := range got {
		want := events[i]
		if i == 7 {
			want = Started{Version: "v1", Last: e.Clock}
		}
		if e.Number != uint64(i) || !reflect.DeepEqual(e.Event, want) {
			t.Errorf("entry %d = %+v, want %+v", i, e, want)
		}
	}
	cp, signed := l.Checkpoint()
	if back, err := OpenCheckpoint(signed, l.Identity().VerifierKey); err != nil || back != cp || cp.Head != l.Head() {
		t.Errorf("OpenCheckpoint(%q) = %v, %v, want %v", signed, back, err, cp)
	}
	for i, before := range heads {
		now, proof, err := l.ProveExtension(before)
		if err != nil {
			t.Fatalf("ProveExtension(%v) = %v", before, err)
		}
		if err := CheckExtension(before, now, proof); err != nil {
			t.Errorf("CheckExtension(%v, %v) = %v", before, now, err)
		}
		forged := before
		forged.Root[3] ^= 1
		if err := CheckExtension(forged, now, proof); !errors.Is(err, ErrForked) {
			t.Errorf("CheckExtension(another entry) = %v, want %v", err, ErrForked)
		}
		if err := CheckExtension(now, before, proof); i < len(heads)-1 && !errors.Is(err, ErrRolledBack) {
			t.Errorf("CheckExtension(rolled back) = %v, want %v", err, ErrRolledBack)
		}
		_, entry, path, err := l.ProveEntry(uint64(i))
		if err != nil {
			t.Fatalf("ProveEntry(%d) = %v", i, err)
		}
		if err := CheckEntry(now, uint64(i), entry, path); err != nil {
			t.Errorf("CheckEntry(%d) = %v", i, err)
		}
		entry[20] ^= 1
		if CheckEntry(now, uint64(i), entry, path) == nil {
			t.Errorf("CheckEntry(%d, another entry) = nil", i)
		}
	}
	if _, _, _, err := l.ProveEntry(uint64(len(events))); err == nil {
		t.Error("ProveEntry(behind the end) = nil error")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(Stopped{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close = %v, want %v", err, ErrClosed)
	}
	for _, name := range fsys.Files() {
		b := fsys.Bytes(name)
		for _, plain := range []string{"k8s.audit", "retention", "0003", "us:kms", "sealed", "PRIVATE"} {
			if bytes.Contains(b, []byte(plain)) {
				t.Errorf("%s has %q in it", name, plain)
			}
		}
	}
	o.Committed = cp.Head
	l = mustOpen(t, o)
	if again := allEntries(t, l); !reflect.DeepEqual(again, got) || l.Rebuilt() != "" {
		t.Errorf("after Open: %d entries, rebuilt %q", len(again), l.Rebuilt())
	}
}

// TestSameEntryTwice: nothing can be learnt from the hashes.
func TestSameEntryTwice(t *testing.T) {
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	mustAppend(t, l, Stopped{}, Stopped{})
	h := fsys.Bytes("ledger/hashes")
	if bytes.Equal(h[:32], h[32:64]) {
		t.Error("two entries that say the same have the same hash")
	}
}

func TestCut(t *testing.T) {
	o, _ := testOptions(t, 1)
	l := mustOpen(t, o)
	base := mustAppend(t, l, Stopped{})
	a, err := l.Append(Hold{Set: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Append(Hold{}, Stopped{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Cut(a); err != nil || l.Head() != a {
		t.Fatalf("Cut(%v) = %v, head %v", a, err, l.Head())
	}
	if err := l.Sign(b); err == nil {
		t.Error("Sign(a head that was cut off) = nil")
	}
	if err := l.Cut(base); err != nil || l.Head() != base {
		t.Fatalf("Cut(%v) = %v, head %v", base, err, l.Head())
	}
	if err := l.Cut(a); err == nil {
		t.Error("Cut(a head that was cut off) = nil")
	}
	h := mustAppend(t, l, Key{Old: "a", New: "b"})
	if h.Size != 2 {
		t.Errorf("size = %d, want 2", h.Size)
	}
	if _, err := l.Append(Added{}); !errors.Is(err, ErrEntry) {
		t.Errorf("Append(bad event) = %v, want %v", err, ErrEntry)
	}
	if got := l.Head(); got != h {
		t.Errorf("head after a refused event = %v, want %v", got, h)
	}
	if got := allEntries(t, l); len(got) != 2 {
		t.Errorf("%d entries, want 2", len(got))
	}
	l.Close()
	o.Committed = h
	mustOpen(t, o)
}

func TestRefused(t *testing.T) {
	type world struct {
		o    Options
		fsys *vfstest.FS
	}
	for _, c := range []struct {
		name   string
		change func(*world)
		want   error
	}{
		{"catalog older", func(w *world) { w.o.Committed = Head{Size: 1} }, ErrRolledBack},
		{"catalog lost", func(w *world) { w.o.Committed = Head{} }, ErrRolledBack},
		{"catalog of another history", func(w *world) { w.o.Committed.Root[0] ^= 1 }, ErrDamaged},
		{"catalog newer", func(w *world) { w.o.Committed.Size++ }, ErrDamaged},
		{"no entries", func(w *world) { must(w.fsys.Remove("ledger/entries")) }, ErrDamaged},
		{"no key", func(w *world) { must(w.fsys.Remove("ledger/key")) }, ErrDamaged},
		{"no key nor catalog", func(w *world) { must(w.fsys.Remove("ledger/key")); w.o.Committed = Head{} }, ErrDamaged},
		{"another public key", func(w *world) { w.fsys.SetBytes("ledger/key.pub", []byte("x\n")) }, ErrDamaged},
		{"entries cut", func(w *world) {
			b := w.fsys.Bytes("ledger/entries")
			w.fsys.SetBytes("ledger/entries", b[:len(b)-1])
		}, ErrDamaged},
		{"entries of another ledger", func(w *world) {
			o := Options{FS: vfstest.New(9), Dir: "ledger", Keys: w.o.Keys, Clock: w.o.Clock}
			l, err := Open(o)
			must(err)
			for range 8 {
				_, err = l.Append(Stopped{})
				must(err)
			}
			w.fsys.SetBytes("ledger/entries", o.FS.(*vfstest.FS).Bytes("ledger/entries"))
		}, ErrDamaged},
		{"checkpoint altered", func(w *world) {
			b := w.fsys.Bytes("ledger/checkpoint")
			w.fsys.SetBytes("ledger/checkpoint", bytes.Replace(b, []byte("\n8\n"), []byte("\n7\n"), 1))
		}, ErrDamaged},
		{"adopt over damage", func(w *world) {
			w.o.Adopt = true
			must(w.fsys.Remove("ledger/checkpoint"))
			b := w.fsys.Bytes("ledger/entries")
			b[len(b)/2] ^= 1
			w.fsys.SetBytes("ledger/entries", b)
		}, ErrDamaged},
		// These lose nothing:
		{"no checkpoint", func(w *world) { must(w.fsys.Remove("ledger/checkpoint")) }, nil},
		{"no public key", func(w *world) { must(w.fsys.Remove("ledger/key.pub")) }, nil},
		{"no hashes", func(w *world) { must(w.fsys.Remove("ledger/hashes")) }, nil},
		{"no index", func(w *world) { must(w.fsys.Remove("ledger/index")) }, nil},
		{"hashes cut", func(w *world) { w.fsys.SetBytes("ledger/hashes", w.fsys.Bytes("ledger/hashes")[:100]) }, nil},
		{"index wrong", func(w *world) { w.fsys.SetBytes("ledger/index", bytes.Repeat([]byte{0xFF}, 64)) }, nil},
		{"adopt", func(w *world) { w.o.Adopt = true; w.o.Committed = Head{} }, nil},
		{"adopt with a torn tail", func(w *world) {
			w.o.Adopt = true
			w.fsys.SetBytes("ledger/entries", append(w.fsys.Bytes("ledger/entries"), frameMagic+"torn"...))
		}, nil},
		{"tail", func(w *world) {
			w.fsys.SetBytes("ledger/entries", append(w.fsys.Bytes("ledger/entries"), make([]byte, 100)...))
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{}
			w.o, w.fsys = testOptions(t, 3)
			l := mustOpen(t, w.o)
			for range 8 {
				w.o.Committed = mustAppend(t, l, Stopped{})
			}
			want := allEntries(t, l)
			l.Close()
			c.change(w)
			l, err := Open(w.o)
			if c.want != nil {
				if !errors.Is(err, c.want) {
					t.Errorf("Open() = %v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("Open() = %v", err)
			}
			if got := allEntries(t, l); !reflect.DeepEqual(got, want) {
				t.Errorf("%d entries, want the %d that were there", len(got), len(want))
			}
			mustAppend(t, l, Started{Version: "v2"})
			checkFiles(t, w.fsys, l)
		})
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// checkFiles compares hashes and index with the entries.
func checkFiles(t testing.TB, fsys *vfstest.FS, l *Ledger) {
	t.Helper()
	var hashes, index []byte
	var f frontier
	off := int64(len(entriesMagic))
	for n := range l.committed.tree.size {
		b, end, err := l.file().read(off, n)
		if err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		for _, h := range f.addStored(nil, Hash(tlog.RecordHash(b))) {
			hashes = append(hashes, h[:]...)
		}
		index = append(index, 0, 0, 0, 0, byte(end>>24), byte(end>>16), byte(end>>8), byte(end))
		off = end
	}
	if f.root() != l.committed.tree.root() {
		t.Errorf("root of the entries = %v, want %v", f.root(), l.committed.tree.root())
	}
	if l.tree.size == l.committed.tree.size {
		if got := fsys.Bytes("ledger/hashes"); !bytes.Equal(got, hashes) {
			t.Errorf("hashes: %d bytes, want %d, which follow from the entries", len(got), len(hashes))
		}
		if got := fsys.Bytes("ledger/index"); !bytes.Equal(got, index) {
			t.Errorf("index: %x, want %x", got, index)
		}
		if got := fsys.Bytes("ledger/entries"); int64(len(got)) != off {
			t.Errorf("entries: %d bytes, want %d", len(got), off)
		}
	}
}

func TestCheckpointCanonical(t *testing.T) {
	o, _ := testOptions(t, 1)
	l := mustOpen(t, o)
	mustAppend(t, l, Stopped{})
	cp, signed := l.Checkpoint()
	key := l.Identity().VerifierKey
	for i := range signed {
		for bit := range 8 {
			b := bytes.Clone(signed)
			b[i] ^= 1 << bit
			if c, err := OpenCheckpoint(b, key); err == nil {
				t.Errorf("OpenCheckpoint(bit %d of byte %d flipped) = %v", bit, i, c)
			}
		}
	}
	other, err := parseIdentityOf(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint(signed, other.VerifierKey); err == nil {
		t.Error("OpenCheckpoint(another key) = nil")
	}
	foreign, err := other.sign(cp.Head)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(foreign), "\n")
	if _, err := OpenCheckpoint([]byte(string(signed)+lines[len(lines)-2]), key); err == nil {
		t.Error("OpenCheckpoint(two signatures) = nil")
	}
}

func parseIdentityOf(t testing.TB) (*Identity, error) {
	fsys := vfstest.New(5)
	must(fsys.MkdirAll("d", 0o700))
	return createIdentity(fsys, "d", testKeys(t))
}

// TestFullDisk: a full disk takes nothing back, and writing goes on by itself.
func TestFullDisk(t *testing.T) {
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	mustAppend(t, l, Started{Version: "v"})
	for _, kind := range []string{"ledger/entries", "ledger/hashes", "ledger/index"} {
		fsys.SetFault(func(op vfstest.Op) error {
			if op.Kind == vfstest.OpWrite && op.Name == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		before := l.Head()
		if _, err := l.Append(Hold{}); !errors.Is(err, ErrNoSpace) {
			t.Errorf("Append(full disk, %s) = %v, want %v", kind, err, ErrNoSpace)
		}
		fsys.SetFault(nil)
		if got := l.Head(); got != before {
			t.Errorf("head = %v, want %v", got, before)
		}
		mustAppend(t, l, Hold{Set: true})
		checkFiles(t, fsys, l)
	}
}

// TestFailedSync: after a failed sync nothing is believed any more.
func TestFailedSync(t *testing.T) {
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	o.Committed = mustAppend(t, l, Started{Version: "v"})
	fsys.SetFault(func(op vfstest.Op) error {
		if op.Kind == vfstest.OpSync && op.Name == "ledger/entries" {
			return syscall.EIO
		}
		return nil
	})
	if _, err := l.Append(Hold{}); !errors.Is(err, ErrFailed) {
		t.Errorf("Append(failed sync) = %v, want %v", err, ErrFailed)
	}
	fsys.SetFault(nil)
	if _, err := l.Append(Hold{}); !errors.Is(err, ErrFailed) {
		t.Errorf("Append after a failed sync = %v, want %v", err, ErrFailed)
	}
	l.Close()
	fsys.Crash()
	if got := allEntries(t, mustOpen(t, o)); len(got) != 1 {
		t.Errorf("%d entries after the restart, want 1", len(got))
	}
}

// TestFlips flips bits of the ledger's files: Open refuses, or what it says is
// what was written. (That verify notices every one is tested there.)
func TestFlips(t *testing.T) {
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	for i := range 40 {
		o.Committed = mustAppend(t, l, Added{testSegment(fmt.Sprint(i))}, Damage{What: "x", Place: "y", Text: make([]byte, 10*i)})
	}
	want := allEntries(t, l)
	l.Close()
	files := map[string][]byte{}
	for _, name := range fsys.Files() {
		files[name] = fsys.Bytes(name)
	}
	names := fsys.Files()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		name := names[rng.IntN(len(names))]
		b := bytes.Clone(files[name])
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		fsys.SetBytes(name, b)
		l, err := Open(o)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("Open(%s flipped) = %v, want %v", name, err, ErrDamaged)
			}
		} else {
			i := 0
			err := l.Entries(0, func(e Entry) error {
				if !reflect.DeepEqual(e, want[i]) {
					t.Fatalf("entry %d = %+v, want %+v", i, e, want[i])
				}
				i++
				return nil
			})
			if err == nil && i != len(want) {
				t.Fatalf("%d entries, want %d", i, len(want))
			}
			for n := range uint64(80) {
				if _, _, _, err := l.ProveEntry(n); err != nil && !errors.Is(err, ErrDamaged) {
					t.Fatalf("ProveEntry(%d) = %v, want %v", n, err, ErrDamaged)
				}
			}
			l.Close()
		}
		for name, b := range files {
			fsys.SetBytes(name, b)
		}
	}
}
