package verifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"trailward"
	"trailward/store/ledger"
)

// TestMerkle compares the two implementations, which share no code.
func TestMerkle(t *testing.T) {
	salt := ledger.NewSalt()
	salts, err := newSalter(salt)
	if err != nil {
		t.Fatal(err)
	}
	var l leafer
	for _, n := range []int{1, 2, 5, 1024, 1025, 2500} {
		theirs := ledger.NewRecordTree(salt, "g", "k")
		var ours tree
		var leaves []ledger.Hash
		for i := range n {
			r := trailward.Record{Group: "g", Kind: "k", Stream: strings.Repeat("s", i%5), Time: int64(i) - 3, Arrival: int64(i)*999 - 2001, Raw: make([]byte, i%300)}
			for k := range i % 4 {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: strings.Repeat("z", 3-k), Value: strings.Repeat("v", i%9)})
			}
			theirs.Add(&r)
			leaf := l.leaf(salts.of(int64(i)), &r)
			leaves = append(leaves, leaf)
			ours.add(leaf)
		}
		root, subtrees := theirs.Sum()
		if got := ours.root(); got != root {
			t.Fatalf("root of %d records = %v, want %v", n, got, root)
		}
		if got := rootOf(subtrees); got != root {
			t.Errorf("root of %d subtrees = %v, want %v", len(subtrees), got, root)
		}
		for _, row := range []int{0, n / 3, n - 1} {
			p := auditPath(leaves, row)
			if got, ok := climb(leaves[row], uint64(row), uint64(n), p); !ok || got != root {
				t.Errorf("climb(%d of %d) = %v, %v, want %v", row, n, got, ok, root)
			}
			if err := ledger.CheckRow(root, int64(n), int64(row), leaves[row], p); err != nil {
				t.Errorf("CheckRow(%d of %d) = %v", row, n, err)
			}
			if _, ok := climb(leaves[row], uint64(row), uint64(n), append(p, root)); ok {
				t.Errorf("climb(%d of %d) of too long a path is taken", row, n)
			}
			if len(p) > 0 {
				if got, ok := climb(leaves[row], uint64(row), uint64(n), p[1:]); ok && got == root {
					t.Errorf("climb(%d of %d) of too short a path is taken", row, n)
				}
			}
		}
	}
	if _, ok := climb(ledger.Hash{}, 3, 3, nil); ok {
		t.Error("climb(behind the end) is taken")
	}
}

func TestProof(t *testing.T) {
	w, ids := fullWorld(t)
	d := w.deps()
	key := w.ledger.Identity().VerifierKey
	for _, c := range []struct {
		id  string
		row int64
	}{{ids[0], 0}, {ids[0], 2}, {ids[1], 0}, {ids[1], 1023}, {ids[1], 1024}, {ids[1], 1199}, {ids[3], 7}} {
		p, err := Proof(context.Background(), d, c.id, c.row)
		if err != nil {
			t.Fatalf("Proof(%s, %d) = %v", c.id, c.row, err)
		}
		var out bytes.Buffer
		if err := p.Print(&out); err != nil {
			t.Fatal(err)
		}
		back, err := ParseProof(out.Bytes())
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Fatalf("ParseProof(%s) = %+v, %v, want %+v", out.Bytes(), back, err, p)
		}
		if err := back.Check(key); err != nil {
			t.Errorf("Check(%s, %d) = %v", c.id, c.row, err)
		}
		if !strings.Contains(string(p.Record.Bytes), `{"n":`) || !strings.Contains(p.Summary(), c.id) {
			t.Errorf("record %q, summary %q", p.Record.Bytes, p.Summary())
		}
		for name, change := range map[string]func(*RecordProof){
			"format":       func(p *RecordProof) { p.Format = "x" },
			"group":        func(p *RecordProof) { p.Record.Group += "x" },
			"stream":       func(p *RecordProof) { p.Record.Stream += "x" },
			"kind":         func(p *RecordProof) { p.Record.Kind += "x" },
			"time":         func(p *RecordProof) { p.Record.Time++ },
			"arrival":      func(p *RecordProof) { p.Record.ArrivalMicros++ },
			"far arrival":  func(p *RecordProof) { p.Record.ArrivalMicros += 1 << 61 },
			"attributes":   func(p *RecordProof) { p.Record.Attrs = p.Record.Attrs[1:] },
			"attribute":    func(p *RecordProof) { p.Record.Attrs[0].Value = "x" },
			"bytes":        func(p *RecordProof) { p.Record.Bytes[2] ^= 1 },
			"salt":         func(p *RecordProof) { p.Salt[0] ^= 1 },
			"leaf":         func(p *RecordProof) { p.Leaf[0] ^= 1 },
			"segment":      func(p *RecordProof) { p.Segment.ID = ids[2] },
			"row":          func(p *RecordProof) { p.Segment.Row ^= 1 },
			"negative row": func(p *RecordProof) { p.Segment.Row = -1 },
			"rows":         func(p *RecordProof) { p.Segment.Rows++ },
			"root":         func(p *RecordProof) { p.Segment.Root[0] ^= 1 },
			"path":         func(p *RecordProof) { p.Segment.Path[0][0] ^= 1 },
			"no path":      func(p *RecordProof) { p.Segment.Path = nil },
			"entry":        func(p *RecordProof) { p.Entry.Bytes[len(p.Entry.Bytes)-1] ^= 1 },
			"entry number": func(p *RecordProof) { p.Entry.Number++ },
			"entry path":   func(p *RecordProof) { p.Entry.Path[0][0] ^= 1 },
			"checkpoint":   func(p *RecordProof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n1", "\n2", 1) },
			"key":          func(p *RecordProof) { p.VerifierKey = "x" },
		} {
			bad, err := ParseProof(out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			change(bad)
			if bad.Check(key) == nil {
				t.Errorf("Check(%s, %d, %s changed) = nil", c.id, c.row, name)
			}
		}
		if p.Check("x+1+y") == nil {
			t.Error("Check(another key) = nil")
		}
	}
}

// TestProofPrintedFlips: a printed proof that was altered says nothing else.
func TestProofPrintedFlips(t *testing.T) {
	w, ids := fullWorld(t)
	p, err := Proof(context.Background(), w.deps(), ids[1], 77)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Print(&out); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		b := bytes.Clone(out.Bytes())
		at := rng.IntN(len(b))
		b[at] ^= 1 << rng.IntN(8)
		bad, err := ParseProof(b)
		if err != nil || bad.Check(p.VerifierKey) != nil {
			continue
		}
		bad.DisclosesSay = p.DisclosesSay // words for people
		if !reflect.DeepEqual(bad, p) {
			t.Fatalf("byte %d flipped: the proof says something else and is taken", at)
		}
	}
}

func TestProofRefused(t *testing.T) {
	w, ids := fullWorld(t)
	d := w.deps()
	f := func(name, id string, row int64, want error) {
		t.Helper()
		if p, err := Proof(context.Background(), d, id, row); !errors.Is(err, want) {
			t.Errorf("%s: Proof(%s, %d) = %v, %v, want %v", name, id, row, p, err, want)
		}
	}
	f("unknown segment", "x", 0, ErrNoRecord)
	f("row behind the end", ids[0], 3, ErrNoRecord)
	f("negative row", ids[0], -1, ErrNoRecord)
	f("replaced segment", "0000000000000004", 0, ErrNoRecord)
	good := w.fsys.Bytes(file(ids[0]))
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	w.fsys.SetBytes(file(ids[0]), bad)
	f("damaged segment", ids[0], 0, ledger.ErrDamaged)
	s := newFake("/a", 0, 3)
	s.Records_[1].Raw = []byte("x")
	w.seal(ids[0], s)
	f("altered record", ids[0], 0, ledger.ErrDamaged)
	w.fsys.SetBytes(file(ids[0]), good)
	f("put back", ids[0], 0, nil)
	b := w.fsys.Bytes("ledger/entries")
	b[len(b)/2] ^= 1
	w.fsys.SetBytes("ledger/entries", b)
	f("damaged ledger", ids[0], 0, ledger.ErrDamaged)
}

func TestText(t *testing.T) {
	for _, want := range []Text{"", "plain", "\xff\x00bytes", `{"base64":"eA=="}`} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Text
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("Unmarshal(Marshal(%q)) = %q, %v", want, got, err)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	w, ids := worldOf(f, 5)
	p, err := Proof(context.Background(), w.deps(), ids[1], 3)
	if err != nil {
		f.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Print(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte(`{"format":"trailward record proof 1","segment":{"row":-1,"rows":9223372036854775807}}`))
	key := p.VerifierKey
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		_ = p.Summary()
		if p.Check(key) == nil && !strings.Contains(string(p.Record.Bytes), `{"n":`) {
			t.Errorf("a proof of %q is taken", p.Record.Bytes)
		}
	})
}
