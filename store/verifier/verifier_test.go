package verifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"trailward/internal/vfs/vfstest"
	"trailward/store/ledger"
	"trailward/store/seal"
)

// fullWorld has a bit of everything.
func fullWorld(t testing.TB) (w *world, ids []string) { return worldOf(t, 1200) }

// worldOf has so many records in its largest segment.
func worldOf(t testing.TB, n int) (w *world, ids []string) {
	w = newWorld(t)
	a := w.add("/a", 0, 3)
	b := w.add("/a", 3, n)
	c := w.add("/b", 0, 5)
	old := []string{w.add("/c", 0, 4), w.add("/c", 4, 4)}
	merged := w.put(newFake("/c", 0, 8))
	w.commit(ledger.Replaced{In: old, Out: []ledger.Segment{merged}})
	w.drop(old[0])
	w.drop(old[1])
	gone := w.add("/d", 0, 2)
	w.commit(ledger.Expired{ID: gone, Group: ledger.GroupHash(w.keys, "/d"), Reason: ledger.ReasonRetention, Retention: 60})
	w.drop(gone)
	w.commit(ledger.Interval{From: 1, To: 2, Records: 3}, ledger.Interval{From: 2, To: 3})
	w.clock.now = w.clock.now.Add(100 * time.Hour)
	w.commit(ledger.Silent{Group: ledger.Hash{1}, Since: 4})
	w.commit(ledger.Stopped{})
	return w, []string{a, b, c, merged.ID}
}

func TestUntouched(t *testing.T) {
	w, ids := fullWorld(t)
	w.writeWAL(3, 4)
	files := w.copyFiles()
	cp, _ := w.ledger.Checkpoint()
	var stages []string
	r := w.run(w.withWAL(), Options{Remembered: &cp, Progress: func(p Progress) {
		if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
	}})
	if !r.Good() || len(r.Notices) != 0 {
		t.Fatalf("findings %v, notices %v, want none", r.Findings, r.Notices)
	}
	if r.Segments != int64(len(ids)) || r.Records != 3+1200+5+8 || r.Entries != w.head.Size || r.Head != w.head || r.Checkpoint != cp || !r.Compared {
		t.Errorf("report = %+v", r)
	}
	if r.Intervals != 2 || r.Empty != 1 || len(r.Gaps) != 1 || len(r.Silences) != 1 || r.WALEntries != 12 {
		t.Errorf("intervals %d, empty %d, gaps %v, silences %v, WAL entries %d", r.Intervals, r.Empty, r.Gaps, r.Silences, r.WALEntries)
	}
	if got := strings.Join(stages, " "); got != "ledger segments wal" {
		t.Errorf("stages = %q", got)
	}
	for name, b := range w.copyFiles() {
		if !bytes.Equal(b, files[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestFlips flips one bit at a time at random places of all files: each must be
// found.
func TestFlips(t *testing.T) {
	w, _ := worldOf(t, 20)
	w.writeWAL(3, 4)
	// Without the WAL file that was written last: there, damage at the end looks
	// like what a crash leaves, see TestWALTail.
	l := w.fsys.Files()
	var names []string
	var total int
	for _, n := range l {
		if n != "store.key" && n != lastWAL(l) {
			names = append(names, n)
			total += len(w.fsys.Bytes(n))
		}
	}
	n := 10000
	if testing.Short() {
		n = 1000
	}
	rng := rand.New(rand.NewPCG(3, 4))
	d := w.withWAL()
	for i := range n {
		var name string
		if at := rng.IntN(total); i%2 == 0 { // by size; else each file alike
			for _, name = range names {
				if at -= len(w.fsys.Bytes(name)); at < 0 {
					break
				}
			}
		} else {
			name = names[rng.IntN(len(names))]
		}
		good := w.fsys.Bytes(name)
		bad := bytes.Clone(good)
		at, bit := rng.IntN(len(bad)), rng.IntN(8)
		bad[at] ^= 1 << bit
		w.fsys.SetBytes(name, bad)
		r, err := Run(context.Background(), d, Options{})
		if err != nil {
			t.Fatalf("Run(bit %d of byte %d of %s flipped) = %v", bit, at, name, err)
		}
		if r.Good() {
			t.Errorf("bit %d of byte %d of %s flipped: nothing found; notices %v", bit, at, name, r.Notices)
		}
		w.fsys.SetBytes(name, good)
	}
	if r := w.run(d, Options{}); !r.Good() {
		t.Errorf("put back: %v", r.Findings)
	}
}

func lastWAL(names []string) (last string) {
	for _, n := range names {
		if strings.HasPrefix(n, "wal/") {
			last = n
		}
	}
	return last
}

// TestEveryLedgerByte flips every byte of the small files and of the headers.
func TestEveryLedgerByte(t *testing.T) {
	w, _ := worldOf(t, 20)
	d := w.deps()
	for _, name := range []string{"ledger/checkpoint", "ledger/key", "ledger/key.pub", "ledger/entries", "ledger/index", "ledger/hashes"} {
		good := w.fsys.Bytes(name)
		for i := range min(len(good), 600) {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			w.fsys.SetBytes(name, bad)
			if r := w.run(d, Options{}); r.Good() {
				t.Errorf("byte %d of %s: nothing found", i, name)
			}
		}
		w.fsys.SetBytes(name, good)
	}
}

func TestTampered(t *testing.T) {
	type state struct {
		*world
		ids  []string
		opt  Options
		deps Deps
	}
	for _, c := range []struct {
		name  string
		do    func(s *state)
		what  What
		where string
	}{
		{"segment missing", func(s *state) { s.must(s.fsys.Remove(file(s.ids[0]))) }, Missing, "segment 0000000000000001"},
		{"segments exchanged", func(s *state) {
			a, b := s.fsys.Bytes(file(s.ids[0])), s.fsys.Bytes(file(s.ids[2]))
			s.fsys.SetBytes(file(s.ids[0]), b)
			s.fsys.SetBytes(file(s.ids[2]), a)
		}, Exchanged, "segment 0000000000000003"},
		{"segment cut", func(s *state) {
			b := s.fsys.Bytes(file(s.ids[1]))
			s.fsys.SetBytes(file(s.ids[1]), b[:len(b)-100])
		}, Altered, "segment 0000000000000002"},
		{"segment extended", func(s *state) {
			s.fsys.SetBytes(file(s.ids[1]), append(s.fsys.Bytes(file(s.ids[1])), 0))
		}, Altered, "segment 0000000000000002"},
		{"segment empty", func(s *state) { s.fsys.SetBytes(file(s.ids[1]), nil) }, Altered, "segment 0000000000000002"},
		{"segment added", func(s *state) { s.seal("00000000000000ff", newFake("/a", 0, 1)) }, Added, "segments/00000000000000ff.seg"},
		{"segment copied", func(s *state) { s.fsys.SetBytes(file("00000000000000fe"), s.fsys.Bytes(file(s.ids[0]))) }, Added, "00000000000000fe"},
		{"stranger", func(s *state) { s.fsys.SetBytes("segments/x", []byte("x")) }, Added, "segments/x"},
		{"sealed anew with the key", func(s *state) {
			f := newFake("/a", 0, 3)
			f.Records_[1].Raw = []byte(`{"n":-1}`)
			f.sum()
			s.seal(s.ids[0], f)
		}, Altered, "segment 0000000000000001"},
		{"sealed anew, catalog put right", func(s *state) {
			f := newFake("/a", 0, 3)
			_, size := s.seal(s.ids[0], f)
			s.rows[s.ids[0]] = Row{ID: s.ids[0], Size: size, Root: f.Root, Facts: f.F}
		}, Unlike, "catalog row of segment 0000000000000001"},
		{"row missing", func(s *state) { delete(s.rows, s.ids[2]) }, Missing, "catalog row of segment 0000000000000003"},
		{"row added", func(s *state) {
			r := s.rows[s.ids[2]]
			r.ID = "00000000000000fd"
			s.rows[r.ID] = r
		}, Added, "catalog row of segment 00000000000000fd"},
		{"row: rest", func(s *state) { r := s.rows[s.ids[2]]; r.Rest = "x"; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: group", func(s *state) { r := s.rows[s.ids[2]]; r.Group = "x"; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: bytes", func(s *state) { r := s.rows[s.ids[2]]; r.RawBytes++; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: time", func(s *state) { r := s.rows[s.ids[2]]; r.LastTime++; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: arrival", func(s *state) { r := s.rows[s.ids[2]]; r.LastArrival++; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: size", func(s *state) { r := s.rows[s.ids[2]]; r.Size++; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"row: root", func(s *state) { r := s.rows[s.ids[2]]; r.Root[0]++; s.rows[r.ID] = r }, Unlike, "catalog row"},
		{"catalog rolled back", func(s *state) { s.head = ledger.Head{Size: 1} }, RolledBack, "catalog"},
		{"catalog of another ledger", func(s *state) { s.head.Root[0]++ }, Altered, "ledger"},
		{"no checkpoint key", func(s *state) { s.must(s.fsys.Remove("ledger/key")) }, Missing, "ledger/key"},
		{"no entries", func(s *state) { s.must(s.fsys.Remove("ledger/entries")) }, Missing, "ledger/entries"},
		{"no hashes", func(s *state) { s.must(s.fsys.Remove("ledger/hashes")) }, Missing, "ledger/hashes"},
		{"no index", func(s *state) { s.must(s.fsys.Remove("ledger/index")) }, Missing, "ledger/index"},
		{"no public key", func(s *state) { s.must(s.fsys.Remove("ledger/key.pub")) }, Missing, "ledger/key.pub"},
		{"stranger in the ledger", func(s *state) { s.fsys.SetBytes("ledger/entries2", nil) }, Added, "ledger/entries2"},
		{"entries cut", func(s *state) {
			b := s.fsys.Bytes("ledger/entries")
			s.fsys.SetBytes("ledger/entries", b[:len(b)-1])
		}, Altered, fmt.Sprintf("ledger entry %d", 13)},
		{"entry cut out", func(s *state) {
			b := s.fsys.Bytes("ledger/entries")
			at := bytes.Index(b, []byte(frameMagic))
			next := at + 4 + bytes.Index(b[at+4:], []byte(frameMagic))
			s.fsys.SetBytes("ledger/entries", append(b[:at:at], b[next:]...))
		}, Missing, "ledger entry 0"},
		{"checkpoint of an earlier time is no damage, but the ledger then is not signed", func(s *state) {
			s.must(s.fsys.Remove("ledger/checkpoint"))
		}, Unsigned, "ledger/checkpoint"},
		{"no WAL", func(s *state) { s.deps.WALDir = "wal" }, Missing, "wal"},
		{"stranger in the WAL", func(s *state) {
			s.writeWAL(1, 1)
			s.fsys.SetBytes("wal/x", nil)
			s.deps.WALDir = "wal"
		}, Added, "wal/x"},
		{"WAL file missing", func(s *state) {
			s.writeWAL(3, 1)
			s.must(s.fsys.Remove("wal/00000000000000000002.wal"))
			s.deps.WALDir = "wal"
		}, Missing, "wal/00000000000000000001.wal"},
		{"WAL files exchanged", func(s *state) {
			s.writeWAL(3, 1)
			s.fsys.SetBytes("wal/00000000000000000002.wal", s.fsys.Bytes("wal/00000000000000000001.wal"))
			s.deps.WALDir = "wal"
		}, Altered, "wal/00000000000000000002.wal"},
		{"rolled back as a whole", func(s *state) {
			cp, _ := s.ledger.Checkpoint()
			cp.Size += 3
			s.opt.Remembered = &cp
		}, RolledBack, "ledger"},
		{"forked", func(s *state) {
			cp, _ := s.ledger.Checkpoint()
			cp.Size -= 3
			s.opt.Remembered = &cp
		}, Altered, "ledger"},
		{"another ledger", func(s *state) {
			cp, _ := s.ledger.Checkpoint()
			cp.Origin = "trailward/other"
			s.opt.Remembered = &cp
		}, Exchanged, "ledger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ids := fullWorld(t)
			s := &state{world: w, ids: ids, deps: w.deps()}
			c.do(s)
			r := w.run(s.deps, s.opt)
			if c.what == Unsigned {
				if !r.Good() || !hasFinding(r.Notices, c.what, c.where) {
					t.Errorf("findings %v, notices %v, want the notice %q at %q", r.Findings, r.Notices, c.what, c.where)
				}
				return
			}
			if !hasFinding(r.Findings, c.what, c.where) {
				t.Errorf("findings %v, want %q at %q", r.Findings, c.what, c.where)
			}
			for _, f := range r.Findings {
				if f.Detail == "" || f.Do == "" || f.Where == "" {
					t.Errorf("finding without words: %+v", f)
				}
			}
		})
	}
}

// TestInside alters what is in a segment, seals it anew and lets the ledger say
// what the object is: only the content tells.
func TestInside(t *testing.T) {
	for name, change := range map[string]func(*fakeSegment){
		"bytes of a record":    func(s *fakeSegment) { s.Records_[1100].Raw = []byte(`{"n":9999}`) },
		"stream of a record":   func(s *fakeSegment) { s.Records_[3].Stream = "x" },
		"attribute":            func(s *fakeSegment) { s.Records_[3].Attrs[0].Value = "x" },
		"records exchanged":    func(s *fakeSegment) { s.Records_[3], s.Records_[4] = s.Records_[4], s.Records_[3] },
		"record left out":      func(s *fakeSegment) { s.Records_ = s.Records_[:1199] },
		"record added":         func(s *fakeSegment) { s.Records_ = append(s.Records_, s.Records_[1199]) },
		"time":                 func(s *fakeSegment) { s.Records_[5].Time++ },
		"last time":            func(s *fakeSegment) { s.Records_[1199].Time++ },
		"first time":           func(s *fakeSegment) { s.Records_[0].Time-- },
		"arrival":              func(s *fakeSegment) { s.Records_[5].Arrival += 1000 },
		"salt":                 func(s *fakeSegment) { s.Salt[3]++ },
		"root":                 func(s *fakeSegment) { s.Root[3]++ },
		"subtree":              func(s *fakeSegment) { s.Subtrees[1][3]++ },
		"no subtree":           func(s *fakeSegment) { s.Subtrees = nil },
		"says another group":   func(s *fakeSegment) { s.F.Group = "x" },
		"says another kind":    func(s *fakeSegment) { s.F.Kind = "text" },
		"says fewer rows":      func(s *fakeSegment) { s.F.Rows-- },
		"says other bytes":     func(s *fakeSegment) { s.F.RawBytes++ },
		"says another arrival": func(s *fakeSegment) { s.F.FirstArrival -= 1000 },
		"no records":           func(s *fakeSegment) { s.Records_ = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := newFake("/a", 0, 1200)
			change(s)
			said := w.put(s)
			// What is said is what it was before.
			good := newFake("/a", 0, 1200)
			good.Salt = s.Salt
			if name == "salt" {
				good.Salt[3]--
			}
			good.sum()
			f := good.F
			if name == "says other bytes" || name == "says another arrival" {
				f = s.F
			}
			said.Group, said.Kind, said.Rows = ledger.GroupHash(w.keys, f.Group), f.Kind, f.Rows
			said.FirstTime, said.LastTime, said.FirstArrival, said.LastArrival, said.Root = f.FirstTime, f.LastTime, f.FirstArrival, f.LastArrival, good.Root
			w.rows[said.ID] = Row{ID: said.ID, Size: said.Size, Root: good.Root, Facts: f}
			w.commit(ledger.Added{Segment: said})
			w.commit(ledger.Stopped{})
			if r := w.run(w.deps(), Options{}); !hasFinding(r.Findings, Altered, said.ID) && !hasFinding(r.Findings, Unlike, said.ID) {
				t.Errorf("findings %v, want one of segment %s", r.Findings, said.ID)
			}
		})
	}
}

// TestUnfit lets the ledger say what cannot be.
func TestUnfit(t *testing.T) {
	const day = 86400
	for name, do := range map[string]func(w *world, id string){
		"added twice": func(w *world, id string) {
			s := w.put(newFake("/a", 0, 3))
			w.commit(ledger.Added{Segment: s})
			w.commit(ledger.Added{Segment: s})
		},
		"unknown replaced": func(w *world, id string) {
			w.commit(ledger.Replaced{In: []string{"x"}, Out: []ledger.Segment{w.put(newFake("/a", 0, 3))}})
		},
		"records lost by compaction": func(w *world, id string) {
			w.drop(id)
			w.commit(ledger.Replaced{In: []string{id}, Out: []ledger.Segment{w.put(newFake("/a", 0, 2))}})
		},
		"unknown expired": func(w *world, id string) {
			w.commit(ledger.Expired{ID: "x", Group: ledger.GroupHash(w.keys, "/a"), Reason: "request"})
		},
		"expired under hold": func(w *world, id string) {
			w.commit(ledger.Hold{Group: ledger.GroupHash(w.keys, "/a"), Set: true})
			w.drop(id)
			w.commit(ledger.Expired{ID: id, Group: ledger.GroupHash(w.keys, "/a"), Reason: "request"})
		},
		"expired early": func(w *world, id string) {
			w.drop(id)
			w.commit(ledger.Expired{ID: id, Group: ledger.GroupHash(w.keys, "/a"), Reason: ledger.ReasonRetention, Retention: 100 * 365 * day})
		},
		"expired as another group's": func(w *world, id string) {
			w.drop(id)
			w.commit(ledger.Expired{ID: id, Reason: "request"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			do(w, w.add("/a", 0, 3))
			w.commit(ledger.Stopped{})
			if r := w.run(w.deps(), Options{}); !hasFinding(r.Findings, Unfit, "ledger entry") {
				t.Errorf("findings %v, want %q", r.Findings, Unfit)
			}
		})
	}
	t.Run("hold released", func(t *testing.T) {
		w := newWorld(t)
		id := w.add("/a", 0, 3)
		g := ledger.GroupHash(w.keys, "/a")
		w.commit(ledger.Hold{Group: g, Set: true})
		w.commit(ledger.Hold{Group: g})
		w.commit(ledger.Expired{ID: id, Group: g, Reason: ledger.ReasonRetention, Retention: day})
		w.drop(id)
		w.commit(ledger.Stopped{})
		if r := w.run(w.deps(), Options{}); !r.Good() {
			t.Errorf("findings %v, want none", r.Findings)
		}
	})
}

// TestRollback puts the whole store back to an earlier state, keys and all.
func TestRollback(t *testing.T) {
	w := newWorld(t)
	w.add("/a", 0, 3)
	w.commit(ledger.Stopped{})
	files, rows, head := w.copyFiles(), map[string]Row{}, w.head
	for k, v := range w.rows {
		rows[k] = v
	}
	w.add("/a", 3, 3)
	w.commit(ledger.Stopped{})
	seen, _ := w.ledger.Checkpoint()
	w.must(w.ledger.Close())

	w.restore(files)
	w.rows, w.head = rows, head
	if r := w.run(w.deps(), Options{}); !r.Good() {
		t.Errorf("rolled back, without a memory: %v; nobody can tell, so this should be nothing", r.Findings)
	}
	if r := w.run(w.deps(), Options{Remembered: &seen}); !hasFinding(r.Findings, RolledBack, "ledger") {
		t.Errorf("rolled back: findings %v", r.Findings)
	}
	// It goes on from there until it is longer than what was seen.
	w.open()
	for i := range 4 {
		w.add("/a", 100+i, 1)
	}
	w.commit(ledger.Stopped{})
	if r := w.run(w.deps(), Options{}); !r.Good() {
		t.Errorf("forked, without a memory: %v", r.Findings)
	}
	r := w.run(w.deps(), Options{Remembered: &seen})
	if !hasFinding(r.Findings, Altered, "ledger") {
		t.Errorf("forked: findings %v", r.Findings)
	}
}

// TestCrashLeftovers: what a crash leaves is no damage.
func TestCrashLeftovers(t *testing.T) {
	w := newWorld(t)
	id := w.add("/a", 0, 3)
	merged := w.put(newFake("/a", 0, 3))
	w.commit(ledger.Replaced{In: []string{id}, Out: []ledger.Segment{merged}})
	delete(w.rows, id) // its object is still there
	// An entry that was never committed.
	if _, err := w.ledger.Append(ledger.Hold{}); err != nil {
		t.Fatal(err)
	}
	// A segment that was being written.
	w.seal("00000000000000ff", newFake("/a", 0, 1))
	d := w.deps()
	d.Objects = laterObjects{w}
	r := w.run(d, Options{})
	if !r.Good() {
		t.Errorf("findings %v, want none", r.Findings)
	}
	for _, where := range []string{"segments/" + id, "segments/00000000000000ff", "ledger/entries", "ledger/hashes", "ledger/index"} {
		if !hasFinding(r.Notices, Leftover, where) {
			t.Errorf("notices %v, want one at %s", r.Notices, where)
		}
	}
}

// laterObjects says that all objects are of the end of time.
type laterObjects struct{ *world }

func (o laterObjects) List(ctx context.Context, fn func(Object) error) error {
	return o.world.List(ctx, func(x Object) error {
		x.Modified = time.Unix(1<<33, 0)
		return fn(x)
	})
}

// TestWALTail: damage at the very end of the WAL is told, as what it may be.
func TestWALTail(t *testing.T) {
	w, _ := fullWorld(t)
	w.writeWAL(2, 3)
	name := lastWAL(w.fsys.Files())
	b := w.fsys.Bytes(name)
	b[len(b)-1] ^= 1
	w.fsys.SetBytes(name, b)
	if r := w.run(w.withWAL(), Options{}); !hasFinding(r.Notices, Leftover, name) {
		t.Errorf("findings %v, notices %v, want a notice at %s", r.Findings, r.Notices, name)
	}
}

// TestLive changes the store while it is verified.
func TestLive(t *testing.T) {
	w := newWorld(t)
	a, b := w.add("/a", 0, 3), w.add("/a", 3, 3)
	d := w.deps()
	catalog := d.Catalog
	calls := 0
	d.Catalog = func(ctx context.Context) (ledger.Head, []Row, error) {
		h, rows, err := catalog(ctx)
		if calls++; calls == 1 {
			// Right after the snapshot, a compaction.
			merged := w.put(newFake("/a", 0, 6))
			w.commit(ledger.Replaced{In: []string{a, b}, Out: []ledger.Segment{merged}})
			w.drop(a)
			w.drop(b)
		}
		return h, rows, err
	}
	if r := w.run(d, Options{Live: true}); !r.Good() {
		t.Errorf("findings %v, want none", r.Findings)
	}
	calls = 0
	w.commit(ledger.Stopped{})
	id := w.add("/a", 50, 1)
	w.must(w.fsys.Remove(file(id)))
	d.Catalog = catalog
	if r := w.run(d, Options{Live: true}); !hasFinding(r.Findings, Missing, id) {
		t.Errorf("findings %v, want %s missing", r.Findings, id)
	}
}

// TestNotDamage: what cannot be read for another reason is an error, not damage.
func TestNotDamage(t *testing.T) {
	w, _ := fullWorld(t)
	w.writeWAL(1, 1)
	eio := errors.New("input/output error")
	w.fsys.SetFault(nil)
	before := w.fsys.Ops()
	w.run(w.withWAL(), Options{Parallel: 1})
	n := w.fsys.Ops() - before
	for i := 1; i <= n; i++ {
		w.fsys.SetFault(vfstest.FailAt(w.fsys.Ops()+i, eio))
		r, err := Run(context.Background(), w.withWAL(), Options{Parallel: 1})
		if !errors.Is(err, eio) {
			t.Errorf("read %d failed: Run() = %v, %v, want %v", i, r, err, eio)
		}
		w.fsys.SetFault(nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, w.withWAL(), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run(cancelled) = %v, want %v", err, context.Canceled)
	}
	// Another key file.
	d := w.withWAL()
	d.Sealer = seal.New(otherKey(t))
	if _, err := Run(context.Background(), d, Options{}); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("Run(another key) = %v, want %v", err, seal.ErrUnknownKey)
	}
}

func otherKey(t testing.TB) *seal.Keys {
	t.Helper()
	k, err := seal.CreateKeyFile(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestManyFindings: a report has an end.
func TestManyFindings(t *testing.T) {
	w := newWorld(t)
	d := w.deps()
	d.CheckCatalog = func(context.Context) ([]Finding, error) {
		return make([]Finding, MaxFindings+5), nil
	}
	r := w.run(d, Options{})
	if last := r.Findings[len(r.Findings)-1]; len(r.Findings) != MaxFindings+1 || !strings.Contains(last.Detail, "5 more") {
		t.Errorf("%d findings, the last %v", len(r.Findings), last)
	}
	d.CheckCatalog = func(context.Context) ([]Finding, error) { return nil, fs.ErrPermission }
	if _, err := Run(context.Background(), d, Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Run() = %v, want %v", err, fs.ErrPermission)
	}
}

// FuzzEntries puts any bytes in the place of the file of entries.
func FuzzEntries(f *testing.F) {
	w := newWorld(f)
	w.add("/a", 0, 3)
	w.commit(ledger.Stopped{})
	good := w.fsys.Bytes("ledger/entries")
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte(entriesMagic + frameMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		w.fsys.SetBytes("ledger/entries", b)
		r, err := Run(context.Background(), w.deps(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Good() && !bytes.HasPrefix(b, good) {
			t.Errorf("%d bytes for entries: nothing found", len(b))
		}
	})
}
