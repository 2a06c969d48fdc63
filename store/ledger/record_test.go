package ledger

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"trailward"
)

func testRecord(i int) *trailward.Record {
	return &trailward.Record{
		Group: "/eks/prod/audit", Stream: fmt.Sprintf("stream-%d", i%3), Kind: trailward.KindK8sAudit,
		Time: int64(i) * 1_000_003, Arrival: int64(i)*1_000_000 + 7_000, Raw: fmt.Appendf(nil, `{"n":%d}`, i),
		Attrs: []trailward.Attr{{Name: "stream", Value: "stderr"}, {Name: "flag", Value: fmt.Sprint(i)}},
	}
}

// plainLeaf is the leaf as docs/format/ledger.md has it, written down plainly.
func plainLeaf(salt [32]byte, row int, group, kind string, r *trailward.Record) []byte {
	u32 := func(n int) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
	u64 := func(n int64) []byte { return append(u32(int(uint64(n)>>32)), u32(int(uint32(n)))...) }
	text := func(s string) []byte { return append(u32(len(s)), s...) }
	recordSalt := make([]byte, 16)
	block, _ := aes.NewCipher(salt[:])
	block.Encrypt(recordSalt, append(make([]byte, 8), u64(int64(row))...))
	sum := sha256.Sum256(r.Raw)
	attrs := map[string]string{}
	for _, a := range r.Attrs {
		attrs[a.Name] = a.Value
	}
	parts := [][]byte{{2}, text(group), text(kind), text(r.Stream), u32(len(attrs))}
	for _, name := range []string{"flag", "stream"} { // sorted
		if v, ok := attrs[name]; ok {
			parts = append(parts, text(name), text(v))
		}
	}
	origin := sha256.Sum256(bytes.Join(parts, nil))
	leaf := sha256.Sum256(bytes.Join([][]byte{{0, 2}, recordSalt, origin[:], u64(r.Time), u64(r.Arrival / 1000), sum[:]}, nil))
	return leaf[:]
}

// plainRoot is the tree hash of RFC 6962, section 2.1, word for word.
func plainRoot(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		h := sha256.Sum256(nil)
		return h[:]
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	h := sha256.Sum256(bytes.Join([][]byte{{1}, plainRoot(leaves[:k]), plainRoot(leaves[k:])}, nil))
	return h[:]
}

func TestRecordTree(t *testing.T) {
	salt := NewSalt()
	for _, n := range []int{1, 2, 3, 1023, 1024, 1025, 2048, 2049, 3*1024 + 77, 5000} {
		tree := NewRecordTree(salt, "/eks/prod/audit", trailward.KindK8sAudit)
		var leaves [][]byte
		for i := range n {
			r := testRecord(i)
			tree.Add(r)
			leaves = append(leaves, plainLeaf(salt, i, "/eks/prod/audit", "k8s.audit", r))
		}
		root, subtrees := tree.Sum()
		if want := plainRoot(leaves); !bytes.Equal(root[:], want) {
			t.Fatalf("Sum() of %d records = %v, want %x", n, root, want)
		}
		if again, _ := tree.Sum(); again != root || tree.Rows() != int64(n) {
			t.Errorf("Sum() again = %v and %d rows, want %v and %d", again, tree.Rows(), root, n)
		}
		for _, row := range []int{0, n / 2, n - 1, min(n-1, 1023), min(n-1, 1024)} {
			ls := NewLeaves(salt, "/eks/prod/audit", trailward.KindK8sAudit, int64(row))
			first := row / SubtreeRows * SubtreeRows
			for i := first; i < min(n, first+SubtreeRows); i++ {
				ls.Add(testRecord(i))
			}
			path, err := ProveRow(int64(n), int64(row), subtrees, ls.Hashes())
			if err != nil {
				t.Fatalf("ProveRow(%d, %d) = %v", n, row, err)
			}
			if err := CheckRow(root, int64(n), int64(row), Hash(leaves[row]), path); err != nil {
				t.Errorf("CheckRow(%d, %d) = %v", n, row, err)
			}
			if n > 1 {
				wrong := Hash(leaves[row])
				wrong[5] ^= 1
				if CheckRow(root, int64(n), int64(row), wrong, path) == nil {
					t.Errorf("CheckRow(%d, %d) of another leaf = nil", n, row)
				}
				other := (row + 1) % n
				if CheckRow(root, int64(n), int64(other), Hash(leaves[row]), path) == nil {
					t.Errorf("CheckRow(%d, %d) with the leaf of row %d = nil", n, other, row)
				}
			}
			ls.Hashes()[0][0] ^= 1
			if _, err := ProveRow(int64(n), int64(row), subtrees, ls.Hashes()); !errors.Is(err, ErrDamaged) {
				t.Errorf("ProveRow(%d, %d) with a wrong leaf = %v, want %v", n, row, err, ErrDamaged)
			}
		}
	}
}

// TestRecordLeaf holds the leaf in place for ever.
func TestRecordLeaf(t *testing.T) {
	var salt [32]byte
	for i := range salt {
		salt[i] = byte(i)
	}
	tree := NewRecordTree(salt, "g", trailward.KindText)
	tree.Add(&trailward.Record{Stream: "s", Time: -1, Arrival: -1, Raw: []byte("hello"), Attrs: []trailward.Attr{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}})
	root, _ := tree.Sum()
	const want = "68cd85a4"
	if got := hex.EncodeToString(root[:4]); got != want {
		t.Errorf("root of one record begins with %s, want %s", got, want)
	}
}

// TestRecordTreeCommits changes one thing of a record at a time.
func TestRecordTreeCommits(t *testing.T) {
	salt := NewSalt()
	root := func(salt [32]byte, group string, kind trailward.Kind, row int, change func(*trailward.Record)) Hash {
		tree := NewRecordTree(salt, group, kind)
		for i := range row {
			tree.Add(testRecord(i))
		}
		r := testRecord(1)
		change(r)
		sum := Hash(sha256.Sum256(r.Raw))
		l := tree.leaf(r, &sum)
		return l
	}
	same := func(*trailward.Record) {}
	base := root(salt, "g", "k", 0, same)
	if got := root(salt, "g", "k", 0, func(r *trailward.Record) { r.Attrs[0], r.Attrs[1] = r.Attrs[1], r.Attrs[0] }); got != base {
		t.Errorf("leaf with attributes in another order = %v, want %v", got, base)
	}
	if got := root(salt, "g", "k", 0, func(r *trailward.Record) { r.Arrival++ }); got != base {
		t.Errorf("leaf with an arrival later by 1 ns = %v, want %v: segments keep microseconds", got, base)
	}
	other := salt
	other[31] ^= 1
	for name, got := range map[string]Hash{
		"salt":    root(other, "g", "k", 0, same),
		"row":     root(salt, "g", "k", 1, same),
		"group":   root(salt, "h", "k", 0, same),
		"kind":    root(salt, "g", "l", 0, same),
		"stream":  root(salt, "g", "k", 0, func(r *trailward.Record) { r.Stream += "x" }),
		"border":  root(salt, "g", "ks", 0, func(r *trailward.Record) { r.Stream = r.Stream[1:] }),
		"time":    root(salt, "g", "k", 0, func(r *trailward.Record) { r.Time++ }),
		"arrival": root(salt, "g", "k", 0, func(r *trailward.Record) { r.Arrival += 1000 }),
		"attr":    root(salt, "g", "k", 0, func(r *trailward.Record) { r.Attrs[0].Value = "stdout" }),
		"no attr": root(salt, "g", "k", 0, func(r *trailward.Record) { r.Attrs = r.Attrs[:1] }),
		"bytes":   root(salt, "g", "k", 0, func(r *trailward.Record) { r.Raw = []byte(`{"n":2}`) }),
	} {
		if got == base {
			t.Errorf("leaf with another %s is the same", name)
		}
	}
}

func TestFrontierAgainstTlog(t *testing.T) {
	var f frontier
	var stored []Hash
	var want []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i := range at {
			out[i] = want[at[i]]
		}
		return out, nil
	})
	for i := range int64(700) {
		leaf := tlog.RecordHash(fmt.Append(nil, i))
		h, err := tlog.StoredHashesForRecordHash(i, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, h...)
		stored = f.addStored(stored, Hash(leaf))
		root, err := tlog.TreeHash(i+1, read)
		if err != nil {
			t.Fatal(err)
		}
		if f.root() != Hash(root) {
			t.Fatalf("root of %d leaves = %v, want %v", i+1, f.root(), root)
		}
	}
	if len(stored) != len(want) || int64(len(stored)) != tlog.StoredHashCount(700) {
		t.Fatalf("%d stored hashes, want %d", len(stored), len(want))
	}
	for i := range stored {
		if stored[i] != Hash(want[i]) {
			t.Fatalf("stored hash %d = %v, want %v", i, stored[i], want[i])
		}
	}
}

func TestRecordTreeAllocates(t *testing.T) {
	tree := NewRecordTree(NewSalt(), "g", "k")
	r := testRecord(1)
	tree.Add(r)
	if n := testing.AllocsPerRun(1000, func() { tree.Add(r) }); n >= 1 {
		t.Errorf("Add allocates %v times a record, want 0", n)
	}
}

func FuzzHashText(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Add([]byte("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Hash
		if h.UnmarshalText(b) == nil && h.String() != string(b) {
			t.Errorf("UnmarshalText(%q) gives %v", b, h)
		}
	})
}

// FuzzCheckRow feeds the verifier of proofs whatever there is: it must not
// panic, and accept a proof for the one right leaf only.
func FuzzCheckRow(f *testing.F) {
	f.Add(int64(5), int64(3), []byte("leaf"), make([]byte, 96))
	f.Add(int64(1)<<40, int64(1)<<39, []byte{}, make([]byte, 32*40))
	f.Add(int64(-1), int64(-5), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, rows, row int64, leaf, proof []byte) {
		var path []Hash
		for ; len(proof) >= 32; proof = proof[32:] {
			path = append(path, Hash(proof[:32]))
		}
		_ = CheckRow(Hash{}, rows, row, sha256.Sum256(leaf), path)
		_ = CheckEntry(Checkpoint{Head: Head{Size: uint64(rows) % MaxEntries}}, uint64(row), leaf, path)
		_ = CheckExtension(Checkpoint{Head: Head{Size: uint64(row) % MaxEntries}}, Checkpoint{Head: Head{Size: uint64(rows) % MaxEntries}}, path)
	})
}

func BenchmarkRecordTree(b *testing.B) {
	raw := make([]byte, 1024)
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	r := &trailward.Record{Stream: "kube-apiserver-1", Time: 1, Arrival: 2, Raw: raw}
	sum := Hash(sha256.Sum256(raw))
	b.Run("whole", func(b *testing.B) {
		tree := NewRecordTree(NewSalt(), "/eks/prod/audit", trailward.KindK8sAudit)
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			tree.Add(r)
		}
	})
	b.Run("summed", func(b *testing.B) {
		tree := NewRecordTree(NewSalt(), "/eks/prod/audit", trailward.KindK8sAudit)
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			tree.AddSum(r, &sum)
		}
	})
	b.Run("sha256 alone", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			sum = sha256.Sum256(raw)
		}
	})
}
