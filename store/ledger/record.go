package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"trailward"
)

// A record's leaf commits to everything that the record says and to its place
// in its segment, and discloses nothing:
//
//	record salt = AES-256(segment salt, row)
//	origin      = SHA-256(0x02, group, kind, stream, attributes)
//	leaf        = SHA-256(0x00, 2, record salt, origin, event time, arrival,
//	                      SHA-256(bytes))
//
// as docs/format/ledger.md draws it. The segment's salt is secret and random;
// the salt of one record, which a proof has to disclose, tells nothing about
// that of its neighbours, whose leaves are in the proof: AES under a secret key
// is a pseudo-random permutation. The bytes enter by their hash, so that they
// can be hashed when they are at hand, before the record's row is known, and
// the origin by its own, which many records share: so a leaf is two blocks of
// the hash function, whatever the record.
const (
	// RecordVersion is the version of the leaf; it is the leaf's second byte.
	RecordVersion = 2
	// SaltSize is the size of a segment's salt, in bytes.
	SaltSize = 32
	// RecordSaltSize is the size of a record's salt, in bytes.
	RecordSaltSize = aes.BlockSize
	// SubtreeRows is how many records a subtree has whose root is stored.
	SubtreeRows = 1024

	leafPrefix   = 0x00 // RFC 6962, section 2.1
	nodePrefix   = 0x01
	originPrefix = 0x02 // neither leaf nor node
)

// Hash is a SHA-256 hash. As text it is base64 (standard, padded).
type Hash [sha256.Size]byte

// String returns the hash in base64.
func (h Hash) String() string { return tlog.Hash(h).String() }

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It takes only what
// MarshalText gives.
func (h *Hash) UnmarshalText(b []byte) error {
	p, err := tlog.ParseHash(string(b))
	if err != nil || p.String() != string(b) {
		return errors.New("malformed hash: want 32 bytes in base64")
	}
	*h = Hash(p)
	return nil
}

// NewSalt returns the random salt of a new segment.
func NewSalt() (salt [SaltSize]byte) {
	rand.Read(salt[:])
	return salt
}

// RecordTree computes the Merkle tree over the records of one segment, added
// in row order. It keeps the roots of its subtrees of [SubtreeRows] and nothing
// else of a record. It is for one goroutine at a time.
type RecordTree struct {
	salts    cipher.Block
	rows     int64
	leafBuf  [2 + RecordSaltSize + sha256.Size + 8 + 8 + sha256.Size]byte
	buf      []byte           // of an origin
	fixed    int              // how much of buf stays
	origins  map[string]Hash  // by what of buf does not stay
	known    bool             // stream and ofStream are set
	stream   string           // of the latest record without attributes
	ofStream Hash             // and its origin
	attrs    []trailward.Attr // in order
	sub      frontier         // of the current subtree
	subtrees []Hash           // of the complete ones
}

// maxOrigins bounds the origins that a tree remembers.
const maxOrigins = 4096

// NewRecordTree begins the tree of a segment of the given group and kind.
func NewRecordTree(salt [SaltSize]byte, group string, kind trailward.Kind) *RecordTree {
	block, err := aes.NewCipher(salt[:])
	if err != nil {
		panic(err) // the salt has the size of a key
	}
	t := &RecordTree{salts: block, origins: map[string]Hash{}}
	t.leafBuf[0], t.leafBuf[1] = leafPrefix, RecordVersion
	t.buf = appendText([]byte{originPrefix}, group)
	t.buf = appendText(t.buf, string(kind))
	t.fixed = len(t.buf)
	return t
}

// Add adds the next record: its stream, event time, arrival, attributes and
// bytes. Group and kind are the segment's. It does not keep r.
func (t *RecordTree) Add(r *trailward.Record) {
	sum := Hash(sha256.Sum256(r.Raw))
	t.AddSum(r, &sum)
}

// AddSum is Add with the SHA-256 of the record's bytes; r.Raw is not read.
func (t *RecordTree) AddSum(r *trailward.Record, sum *Hash) {
	t.sub.add(t.leaf(r, sum))
	t.rows++
	if t.sub.size == SubtreeRows {
		t.subtrees = append(t.subtrees, t.sub.root())
		t.sub.size = 0
	}
}

// leaf returns the leaf of the record in the next row.
func (t *RecordTree) leaf(r *trailward.Record, sum *Hash) Hash {
	b := &t.leafBuf
	const origin = 2 + RecordSaltSize
	clear(b[2:origin])
	binary.BigEndian.PutUint64(b[origin-8:], uint64(t.rows))
	t.salts.Encrypt(b[2:origin], b[2:origin])
	*(*Hash)(b[origin:]) = t.origin(r)
	binary.BigEndian.PutUint64(b[origin+32:], uint64(r.Time))
	binary.BigEndian.PutUint64(b[origin+40:], uint64(ArrivalMicros(r.Arrival)))
	*(*Hash)(b[origin+48:]) = *sum
	return sha256.Sum256(b[:])
}

// origin returns the hash of what many records have in common.
func (t *RecordTree) origin(r *trailward.Record) Hash {
	if t.known && len(r.Attrs) == 0 && r.Stream == t.stream {
		return t.ofStream // as most often
	}
	b := appendText(t.buf[:t.fixed], r.Stream)
	attrs := t.sorted(r.Attrs)
	b = binary.BigEndian.AppendUint32(b, uint32(len(attrs)))
	for i := range attrs {
		b = appendText(b, attrs[i].Name)
		b = appendText(b, attrs[i].Value)
	}
	t.buf = b
	h, ok := t.origins[string(b[t.fixed:])]
	if !ok {
		if len(t.origins) >= maxOrigins {
			clear(t.origins)
		}
		h = sha256.Sum256(b)
		t.origins[string(b[t.fixed:])] = h
	}
	if len(attrs) == 0 {
		t.stream, t.ofStream, t.known = r.Stream, h, true
	}
	return h
}

// ArrivalMicros is an arrival as the leaf has it: in microseconds, floored. A
// segment keeps no more, and what it does not keep cannot be proved.
func ArrivalMicros(ns int64) int64 {
	us := ns / 1000
	if ns%1000 < 0 {
		us--
	}
	return us
}

// sorted returns attrs by name, and by value where names are the same.
func (t *RecordTree) sorted(attrs []trailward.Attr) []trailward.Attr {
	if len(attrs) < 2 || slices.IsSortedFunc(attrs, compareAttrs) {
		return attrs
	}
	t.attrs = append(t.attrs[:0], attrs...)
	slices.SortFunc(t.attrs, compareAttrs)
	return t.attrs
}

func compareAttrs(a, b trailward.Attr) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// Rows returns how many records were added.
func (t *RecordTree) Rows() int64 { return t.rows }

// Sum returns the root over all records added, and the roots of the subtrees
// of [SubtreeRows] of which the last may have fewer: ⌈rows/SubtreeRows⌉. The
// segment's meta data has to keep them. More records may be added afterwards.
func (t *RecordTree) Sum() (root Hash, subtrees []Hash) {
	subtrees = slices.Clone(t.subtrees)
	if t.sub.size > 0 {
		subtrees = append(subtrees, t.sub.root())
	}
	return SubtreesRoot(subtrees), subtrees
}

// SubtreesRoot returns the root of the tree that has the given subtrees.
func SubtreesRoot(subtrees []Hash) Hash {
	var f frontier
	for _, h := range subtrees {
		f.add(h)
	}
	return f.root()
}

// Leaves computes the leaves of one subtree again, for a proof: the records
// have to be added from the subtree's first row, which is a multiple of
// [SubtreeRows], up to its end.
type Leaves struct {
	tree   *RecordTree
	hashes []Hash
}

// NewLeaves begins the leaves of the subtree that row belongs to.
func NewLeaves(salt [SaltSize]byte, group string, kind trailward.Kind, row int64) *Leaves {
	t := NewRecordTree(salt, group, kind)
	t.rows = row / SubtreeRows * SubtreeRows
	return &Leaves{tree: t}
}

// Add adds the next record of the subtree.
func (l *Leaves) Add(r *trailward.Record) {
	sum := Hash(sha256.Sum256(r.Raw))
	l.hashes = append(l.hashes, l.tree.leaf(r, &sum))
	l.tree.rows++
}

// Hashes returns the leaves.
func (l *Leaves) Hashes() []Hash { return l.hashes }

// ProveRow returns the inclusion proof (RFC 6962, section 2.1.1) of a row in a
// segment of so many rows, from the roots of its subtrees and the leaves of the
// subtree that the row is in. It is checked against both.
func ProveRow(rows, row int64, subtrees, leaves []Hash) ([]Hash, error) {
	if row < 0 || row >= rows {
		return nil, fmt.Errorf("prove row %d: the segment has %d", row, rows)
	}
	sub := row / SubtreeRows
	first := sub * SubtreeRows
	if want := (rows + SubtreeRows - 1) / SubtreeRows; int64(len(subtrees)) != want {
		return nil, fmt.Errorf("prove row %d: %d subtrees, want %d", row, len(subtrees), want)
	}
	if want := min(SubtreeRows, rows-first); int64(len(leaves)) != want {
		return nil, fmt.Errorf("prove row %d: %d leaves in its subtree, want %d", row, len(leaves), want)
	}
	if merkleRoot(leaves) != subtrees[sub] {
		return nil, fmt.Errorf("prove row %d: %w: the records of its subtree do not have the hash that was stored for them", row, ErrDamaged)
	}
	path := append(merklePath(leaves, row-first), merklePath(subtrees, sub)...)
	if err := CheckRow(SubtreesRoot(subtrees), rows, row, leaves[row-first], path); err != nil {
		return nil, err
	}
	return path, nil
}

// CheckRow checks the proof that the row of a segment with this root and so
// many rows has this leaf.
func CheckRow(root Hash, rows, row int64, leaf Hash, path []Hash) error {
	if row < 0 || row >= rows || rows > MaxEntries {
		return fmt.Errorf("proof of row %d of %d: no such row", row, rows)
	}
	if err := tlog.CheckRecord(toTlog(path), rows, tlog.Hash(root), row, tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("proof of row %d of %d: %w", row, rows, err)
	}
	return nil
}

// frontier is the roots of the complete subtrees that make up a growing tree:
// level[i], of 2^i leaves, counts where size has bit i. The zero value is empty.
type frontier struct {
	size  uint64
	level [64]Hash
}

// add adds a leaf.
func (f *frontier) add(h Hash) {
	i := 0
	for ; f.size>>i&1 == 1; i++ {
		h = nodeHash(&f.level[i], &h)
	}
	f.level[i] = h
	f.size++
}

// addStored is add, and appends the leaf and the roots of the subtrees that it
// completes: what [tlog.StoredHashes] gives, without reading any back.
func (f *frontier) addStored(stored []Hash, h Hash) []Hash {
	stored = append(stored, h)
	i := 0
	for ; f.size>>i&1 == 1; i++ {
		h = nodeHash(&f.level[i], &h)
		stored = append(stored, h)
	}
	f.level[i] = h
	f.size++
	return stored
}

// root returns the root of the tree.
func (f *frontier) root() (h Hash) {
	if f.size == 0 {
		return sha256.Sum256(nil)
	}
	i := bits.TrailingZeros64(f.size)
	h = f.level[i]
	for i++; f.size>>i != 0; i++ {
		if f.size>>i&1 == 1 {
			h = nodeHash(&f.level[i], &h)
		}
	}
	return h
}

// nodeHash is the hash of an inner node (RFC 6962, section 2.1).
func nodeHash(left, right *Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	*(*Hash)(b[1:]) = *left
	*(*Hash)(b[1+sha256.Size:]) = *right
	return sha256.Sum256(b[:])
}

// merkleRoot returns the root over leaves.
func merkleRoot(leaves []Hash) Hash {
	var f frontier
	for _, h := range leaves {
		f.add(h)
	}
	return f.root()
}

// merklePath returns the audit path of leaf n, from its sibling up.
func merklePath(leaves []Hash, n int64) []Hash {
	if len(leaves) <= 1 {
		return nil
	}
	k := int64(1) << (bits.Len64(uint64(len(leaves)-1)) - 1) // the largest power of two below len
	if n < k {
		return append(merklePath(leaves[:k], n), merkleRoot(leaves[k:]))
	}
	return append(merklePath(leaves[k:], n-k), merkleRoot(leaves[:k]))
}

func toTlog(p []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i := range p {
		out[i] = tlog.Hash(p[i])
	}
	return out
}
