package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// A question for a piece of text ("like") wants to know where it can be without
// reading every value. Every value is cut into grams, its runs of four bytes,
// with a mark before its first byte and one behind its last; a table says for
// each gram (for its hash) where values that have it are. What has a text in it
// has all grams of the text, so the places that all of these have in common are
// the only ones to look at.
//
// A column whose values hardly repeat has a table for each row group, whose
// places are the 64 blocks of 2,048 rows. The columns with a dictionary have one
// table together, over the dictionaries' entries, whose places are columns.
//
// Such a table holds the same as a filter of grams for each block would, in a
// third of the room: what is everywhere and what is nowhere costs next to
// nothing.
const (
	gramSize  = 4
	gramStart = 0xff // the marks are bytes that UTF-8 does not have
	gramEnd   = 0xfe

	// A table has 2^minGramBits to 2^maxGramBits buckets.
	minGramBits = 8
	maxGramBits = 16

	// gramShare is which part of a chunk's bytes its table takes at most.
	gramShare = 6
	// dictGramShare is which part of the Parquet file the dictionaries' table takes.
	dictGramShare = 128
	// fullGrams is how full a table may become by being folded: at a half, each bit
	// tells the most. From there on buckets are left out.
	fullGrams = 0.5
	// A table is folded while it is emptier than one of these, the second for the
	// dictionaries' table: it would be larger in memory than it need be.
	sparseGrams     = 1.0 / 16
	sparseDictGrams = 1.0 / 512
	// maxThin bounds how many buckets are left out: all but one of 2^maxThin.
	maxThin = 4
)

// blocksInGroup is how many blocks a row group has: the bits of a table's word.
const blocksInGroup = rowGroup / blockRows

// A row group that had more blocks than a word has bits would not compile.
const _ uint = 64 - blocksInGroup

// gramTable is for each bucket the set of places, one bit each. Values that look
// like noise have so many grams that a table of all of them is full, or too
// large; then it is of every second bucket only, every fourth, and so on.
type gramTable struct {
	words []uint64 // a power of two
	thin  int      // buckets whose thin lowest bits are 0 have a word, the others tell nothing
}

func newGramTable(bits int) *gramTable { return &gramTable{words: make([]uint64, 1<<bits)} }

func (t *gramTable) memory() int64 {
	if t == nil {
		return 0
	}
	return 8 * int64(len(t.words))
}

func gramBucket(w uint32) uint32 { return w * 0x9e3779b1 >> (32 - maxGramBits) }

// add notes the grams of v at the places of bit, in a table that was not folded
// or thinned. The grams that lie within the first known bytes are there already.
func (t *gramTable) add(v []byte, bit uint64, known int) {
	words := t.words
	mask := uint32(len(words) - 1)
	if len(v) < 2 {
		w := uint32(gramStart)
		for _, b := range v {
			w = w<<8 | uint32(b)
		}
		words[gramBucket(w<<8|gramEnd)&mask] |= bit
		return
	}
	i := max(2, known)
	w := uint32(gramStart)<<16 | uint32(v[0])<<8 | uint32(v[1])
	if i > 2 {
		w = uint32(v[i-3])<<16 | uint32(v[i-2])<<8 | uint32(v[i-1])
	}
	for _, b := range v[i:] {
		w = w<<8 | uint32(b)
		words[gramBucket(w)&mask] |= bit
	}
	words[gramBucket(w<<8|gramEnd)&mask] |= bit
}

// fold lets each bucket stand for two.
func (t *gramTable) fold() {
	half := len(t.words) / 2
	for i := range half {
		t.words[i] |= t.words[half+i]
	}
	t.words = t.words[:half]
}

// thinOut leaves every second bucket out.
func (t *gramTable) thinOut() {
	half := len(t.words) / 2
	for i := range half {
		t.words[i] = t.words[2*i]
	}
	t.words, t.thin = t.words[:half], t.thin+1
}

// density is how full a table of that many places is.
func (t *gramTable) density(places int) float64 {
	n := 0
	for _, w := range t.words {
		n += bits.OnesCount64(w)
	}
	return float64(n) / float64(len(t.words)*places)
}

// fit makes a table smaller until it takes at most about most bytes on disk and
// is not emptier than sparse. It reports false when too little of it would be left.
func (t *gramTable) fit(places int, most, sparse float64) bool {
	for {
		d := t.density(places)
		size := float64(len(t.words)*places) / 8 * entropy(d)
		if size <= most && d >= sparse || len(t.words) <= 1<<minGramBits {
			return d <= fullGrams*1.2
		}
		switch {
		case 1-(1-d)*(1-d) <= fullGrams:
			t.fold()
		case t.thin == maxThin:
			return false
		default:
			t.thinOut()
		}
	}
}

// entropy is how many bits a bit that is set with probability d tells.
func entropy(d float64) float64 {
	if d <= 0 || d >= 1 {
		return 0
	}
	return -d*math.Log2(d) - (1-d)*math.Log2(1-d)
}

// encode appends the table: the number of its bits, how thin it is, whether it
// is compressed, its size, its words in as few bytes as its places need. A nil
// table is one byte.
func (t *gramTable) encode(dst []byte, places int, enc *zstd.Encoder) []byte {
	if t == nil {
		return append(dst, 0)
	}
	width := (places + 7) / 8
	raw := make([]byte, 0, len(t.words)*width+8)
	for _, w := range t.words {
		raw = binary.LittleEndian.AppendUint64(raw, w)[:len(raw)+width]
	}
	form := byte(1)
	z := enc.EncodeAll(raw, nil)
	if len(z) >= len(raw) {
		form, z = 0, raw
	}
	dst = append(dst, byte(bits.Len(uint(len(t.words)))-1), byte(t.thin), form)
	dst = binary.AppendUvarint(dst, uint64(len(z)))
	return append(dst, z...)
}

// decodeGrams decodes the table that b begins with and returns the rest. The
// table is nil where there is none.
func decodeGrams(b []byte, places int, dec *zstd.Decoder) (t *gramTable, rest []byte, err error) {
	bad := fmt.Errorf("%w: table of grams", ErrDamaged)
	if len(b) == 0 {
		return nil, nil, bad
	}
	k := int(b[0])
	if k == 0 {
		return nil, b[1:], nil
	}
	if k < minGramBits-maxThin || k > maxGramBits || len(b) < 3 || b[1] > maxThin || b[2] > 1 {
		return nil, nil, bad
	}
	thin, form := int(b[1]), b[2]
	size, n := binary.Uvarint(b[3:])
	if n <= 0 || size > uint64(len(b)-3-n) {
		return nil, nil, bad
	}
	raw, rest := b[3+n:3+n+int(size)], b[3+n+int(size):]
	width := (places + 7) / 8
	if form == 1 {
		if raw, err = dec.DecodeAll(raw, make([]byte, 0, width<<k)); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", bad, err)
		}
	}
	if len(raw) != width<<k {
		return nil, nil, bad
	}
	t = newGramTable(k)
	t.thin = thin
	var word [8]byte
	for i := range t.words {
		copy(word[:], raw[i*width:(i+1)*width])
		t.words[i] = binary.LittleEndian.Uint64(word[:])
	}
	return t, rest, nil
}

// piece is a text that a value has in it: at its beginning, at its end, or both
// (then it is the value).
type piece struct {
	text       string
	start, end bool
}

// places returns where a value can be that has the piece, as far as the table
// tells.
func (t *gramTable) places(p piece) uint64 {
	all := ^uint64(0)
	if t == nil {
		return all
	}
	mask := uint32(len(t.words) - 1)
	out := uint32(1)<<t.thin - 1
	w, n := uint32(0), 0
	ask := func() {
		if b := gramBucket(w); b&out == 0 {
			all &= t.words[b>>t.thin&mask]
		}
	}
	step := func(b byte) {
		w, n = w<<8|uint32(b), n+1
		if n >= gramSize {
			ask()
		}
	}
	if p.start {
		step(gramStart)
	}
	for i := range len(p.text) {
		step(p.text[i])
	}
	if p.end {
		step(gramEnd)
	}
	if n < gramSize && p.start && p.end { // the value is shorter than a gram
		ask()
	}
	return all
}

// anyPlaces is places for what has one of several pieces.
func (t *gramTable) anyPlaces(pieces []piece) (at uint64) {
	for _, p := range pieces {
		if at |= t.places(p); at == ^uint64(0) {
			break
		}
	}
	return at
}

// common returns how many bytes two values have in common at their beginning.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// gramsOf makes the tables of a column whose values hardly repeat, one for each
// row group, or nil when none would be worth its room.
func (p *writePlan) gramsOf(c *column, f *Field) []*gramTable {
	tables := make([]*gramTable, len(p.m.Groups))
	at := p.placeOf()
	var last []byte
	lastAt := -1
	for i := range c.n {
		row := i
		if c.rows != nil {
			row = int(c.rows[i])
		}
		place := at(row) / blockRows
		g := place / blocksInGroup
		if tables[g] == nil {
			tables[g] = newGramTable(maxGramBits)
		}
		v, known := c.at(i, nil), 0
		if place == lastAt {
			if known = common(v, last); known == len(v) && known == len(last) {
				continue
			}
		}
		tables[g].add(v, 1<<(place%blocksInGroup), known)
		last, lastAt = v, place
	}
	worth := false
	for g, t := range tables {
		if t == nil {
			tables[g] = newGramTable(minGramBits) // no value, no place
			continue
		}
		if !t.fit(blocksOf(p.m.Groups[g].Rows), max(1<<10, float64(f.Chunks[g][1])/gramShare), sparseGrams) {
			tables[g] = nil
			continue
		}
		worth = true
	}
	if !worth {
		return nil
	}
	return tables
}

// blocksOf is how many blocks a row group of that many records has.
func blocksOf(rows int64) int { return (int(rows) + blockRows - 1) / blockRows }

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *byteSet) has(b byte) bool { return s[b>>6]>>(b&63)&1 != 0 }

func (s *byteSet) mark(b []byte) {
	var seen [256]bool
	for _, x := range b {
		seen[x] = true
	}
	for i, is := range seen {
		if is {
			s.add(byte(i))
		}
	}
}

// may reports whether all bytes of text are in the set.
func (s *byteSet) may(text string) bool {
	for i := range len(text) {
		if !s.has(text[i]) {
			return false
		}
	}
	return true
}

func (s byteSet) encode() []byte {
	var out []byte
	for _, w := range s {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return bytes.TrimRight(out, "\x00")
}

func decodeByteSet(b []byte) (s byteSet) {
	var all [32]byte
	copy(all[:], b)
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(all[8*i:])
	}
	return s
}

// bytesOf are the bytes that can stand in the text of a value that is held in a
// form of its own; text and dictionaries have theirs in the meta data.
func (f form) bytesOf() (s byteSet) {
	switch f {
	case asInts:
		s.mark([]byte("-0123456789"))
	case asTimes:
		s.mark([]byte("-0123456789T:.Z"))
	case asAddrs:
		s.mark([]byte("0123456789."))
	case asUUIDs:
		s.mark([]byte("0123456789abcdef-"))
	}
	return s
}

// inUUID reports whether a UUID can have the text in it: its hyphens are where
// a UUID has them.
func inUUID(text string) bool {
	const like = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	for at := 0; at+len(text) <= len(like); at++ {
		ok := true
		for i := 0; ok && i < len(text); i++ {
			ok = (text[i] == '-') == (like[at+i] == '-')
		}
		if ok {
			return true
		}
	}
	return false
}
