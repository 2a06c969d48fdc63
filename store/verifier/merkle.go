package verifier

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sort"

	"trailward"
	"trailward/store/ledger"
)

// The hashes here are computed from docs/format/ledger.md alone, with nothing
// of what wrote them.

// tree is the Merkle tree hash of RFC 6962, section 2.1, over leaves that come
// one by one: the roots of the perfect subtrees so far, the largest first.
type tree struct {
	roots []ledger.Hash
	size  uint64
}

func (t *tree) add(leaf ledger.Hash) {
	t.roots = append(t.roots, leaf)
	t.size++
	for n := t.size; n&1 == 0; n >>= 1 {
		last := len(t.roots) - 1
		t.roots = append(t.roots[:last-1], node(t.roots[last-1], t.roots[last]))
	}
}

// completed returns the roots of the subtrees that the last leaf completed,
// itself first: the hashes that a ledger stores for it.
func completed(t *tree, leaf ledger.Hash) []ledger.Hash {
	out := []ledger.Hash{leaf}
	roots := t.roots
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(roots) - 1
		leaf = node(roots[last], leaf)
		out = append(out, leaf)
		roots = roots[:last]
	}
	return out
}

func (t *tree) root() ledger.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = node(t.roots[i], h)
	}
	return h
}

func node(left, right ledger.Hash) ledger.Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

func rootOf(leaves []ledger.Hash) ledger.Hash {
	var t tree
	for _, l := range leaves {
		t.add(l)
	}
	return t.root()
}

// auditPath is the audit path of RFC 6962, section 2.1.1.
func auditPath(leaves []ledger.Hash, n int) []ledger.Hash {
	if len(leaves) < 2 {
		return nil
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if n < k {
		return append(auditPath(leaves[:k], n), rootOf(leaves[k:]))
	}
	return append(auditPath(leaves[k:], n-k), rootOf(leaves[:k]))
}

// climb follows an audit path from leaf n of so many up to the root, as in RFC
// 9162, section 2.1.3.2; ok is false if the path has not the right length.
func climb(leaf ledger.Hash, n, size uint64, path []ledger.Hash) (root ledger.Hash, ok bool) {
	if n >= size {
		return root, false
	}
	fn, sn := n, size-1
	for _, p := range path {
		if sn == 0 {
			return root, false
		}
		if fn&1 == 1 || fn == sn {
			leaf = node(p, leaf)
			for fn&1 == 0 && fn != 0 {
				fn >>= 1
				sn >>= 1
			}
		} else {
			leaf = node(leaf, p)
		}
		fn >>= 1
		sn >>= 1
	}
	return leaf, sn == 0
}

// subtreeRows is how many records a subtree has whose root is stored.
const subtreeRows = 1024

// saltSize is the size of a record's salt, in bytes.
const saltSize = 16

// salter makes the salts of a segment's records.
type salter struct{ block cipher.Block }

func newSalter(segment [32]byte) (salter, error) {
	block, err := aes.NewCipher(segment[:])
	return salter{block}, err
}

// of is the salt of the record in a row.
func (s salter) of(row int64) (salt [saltSize]byte) {
	plain := binary.BigEndian.AppendUint64(make([]byte, saltSize-8, saltSize), uint64(row))
	s.block.Encrypt(salt[:], plain)
	return salt
}

// leafer computes leaves of records, with a buffer of its own.
type leafer struct {
	buf  []byte
	last []byte // what the latest origin was made of
	hash [32]byte
}

// leaf is the leaf of a record with its own salt.
func (l *leafer) leaf(salt [saltSize]byte, r *trailward.Record) ledger.Hash {
	sum := sha256.Sum256(r.Raw)
	origin := l.origin(r)
	l.buf = append(l.buf[:0], 0, 2)
	l.buf = append(l.buf, salt[:]...)
	l.buf = append(l.buf, origin[:]...)
	l.buf = binary.BigEndian.AppendUint64(l.buf, uint64(r.Time))
	l.buf = binary.BigEndian.AppendUint64(l.buf, uint64(micros(r.Arrival)))
	l.buf = append(l.buf, sum[:]...)
	return sha256.Sum256(l.buf)
}

// origin is the hash of all that says where a record is from.
func (l *leafer) origin(r *trailward.Record) [32]byte {
	text := func(s string) {
		l.buf = binary.BigEndian.AppendUint32(l.buf, uint32(len(s)))
		l.buf = append(l.buf, s...)
	}
	l.buf = append(l.buf[:0], 2)
	text(r.Group)
	text(string(r.Kind))
	text(r.Stream)
	attrs := r.Attrs
	if len(attrs) > 1 {
		attrs = append([]trailward.Attr(nil), attrs...)
		sort.Slice(attrs, func(i, j int) bool {
			if attrs[i].Name != attrs[j].Name {
				return attrs[i].Name < attrs[j].Name
			}
			return attrs[i].Value < attrs[j].Value
		})
	}
	l.buf = binary.BigEndian.AppendUint32(l.buf, uint32(len(attrs)))
	for _, a := range attrs {
		text(a.Name)
		text(a.Value)
	}
	if !bytes.Equal(l.buf, l.last) {
		l.last = append(l.last[:0], l.buf...)
		l.hash = sha256.Sum256(l.buf)
	}
	return l.hash
}

// micros is nanoseconds as microseconds, rounded down.
func micros(ns int64) int64 {
	if ns < 0 && ns%1000 != 0 {
		return ns/1000 - 1
	}
	return ns / 1000
}

// leafOf is the leaf of an entry of the ledger.
func leafOf(entry []byte) ledger.Hash {
	return sha256.Sum256(append([]byte{0}, entry...))
}
