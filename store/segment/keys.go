package segment

import (
	"encoding/binary"
	"errors"

	"github.com/zeebo/xxh3"

	"trailward/shape"
	"trailward/store/segment/parquet"
)

// keyHoles returns which hole of s holds each key path, -1 for one that it
// lacks, or nil when it lacks the first, without which there is no key.
func keyHoles(paths []string, s *shape.Shape) []int32 {
	if len(paths) == 0 {
		return nil
	}
	holes := make([]int32, len(paths))
	for i, p := range paths {
		holes[i] = -1
		for j, h := range s.Holes {
			if h.Path == p && h.Form != shape.JSON {
				holes[i] = int32(j)
			}
		}
	}
	if holes[0] < 0 {
		return nil
	}
	return holes
}

// KeyOf returns the natural key of a record as one string, or false when the
// record has none.
func KeyOf(paths []string, t shape.Taken) (string, bool) {
	holes := keyHoles(paths, t.Shape)
	if holes == nil {
		return "", false
	}
	var b []byte
	for _, h := range holes {
		if h >= 0 {
			b = binary.AppendUvarint(b, uint64(len(t.Values[h])))
			b = append(b, t.Values[h]...)
		} else {
			b = append(b, 0)
		}
	}
	return string(b), true
}

// keyHash hashes a natural key. It decides nothing alone: records of one hash
// are compared byte for byte.
func keyHash(holes []int32, values [][]byte) uint64 {
	var parts [4][]byte
	k := parts[:0]
	for _, h := range holes {
		if h < 0 {
			k = append(k, nil)
		} else {
			k = append(k, values[h])
		}
	}
	return hashKey(k)
}

func hashKey(parts [][]byte) uint64 {
	h := uint64(len(parts))
	for _, p := range parts {
		h = xxh3.HashSeed(p, h)
	}
	return h
}

// bloom is a split-block Bloom filter over 64-bit hashes (as in the Parquet
// format, "Bloom Filter": blocks of 256 bits, eight bits set in each for a
// value), so that a look-up touches one cache line.
type bloom []byte

const bloomBlock = 32

var bloomSalt = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// bitsOfValue is how many bits a filter has for each value: about one answer in
// 80 is false.
const bitsOfValue = 10

// newBloom makes a filter for n values.
func newBloom(n int) bloom { return make(bloom, bloomSize(n, bitsOfValue)) }

func bloomSize(n, bits int) int {
	return max(1, (n*bits+8*bloomBlock-1)/(8*bloomBlock)) * bloomBlock
}

func (f bloom) block(h uint64) []byte {
	n := uint64(len(f) / bloomBlock)
	i := (h >> 32) * n >> 32
	return f[i*bloomBlock:]
}

func (f bloom) add(h uint64) {
	b := f.block(h)
	for i, s := range bloomSalt {
		bit := uint32(h) * s >> 27
		w := binary.LittleEndian.Uint32(b[4*i:])
		binary.LittleEndian.PutUint32(b[4*i:], w|1<<bit)
	}
}

func (f bloom) has(h uint64) bool {
	if len(f) == 0 {
		return false
	}
	b := f.block(h)
	for i, s := range bloomSalt {
		bit := uint32(h) * s >> 27
		if binary.LittleEndian.Uint32(b[4*i:])>>bit&1 == 0 {
			return false
		}
	}
	return true
}

// blockRows is how many rows have a filter of their own in a column whose
// values hardly repeat: those of a page.
const blockRows = parquet.PlainValues

// blockBits is bitsOfValue for those filters: a false answer makes a page be
// read for nothing, and one in a thousand is false.
const blockBits = 16

// blockFilters returns the size of the filters of all blocks of n rows.
func blockFilters(n int) int {
	size := n / blockRows * bloomSize(blockRows, blockBits)
	if n%blockRows > 0 {
		size += bloomSize(n%blockRows, blockBits)
	}
	return size
}

// inBlock returns the filter of the block that a row of n is in.
func (f bloom) inBlock(row, n int) bloom {
	const size = blockRows * blockBits / 8
	from := row / blockRows * size
	if n-row/blockRows*blockRows < blockRows {
		return f[from:]
	}
	return f[from : from+size]
}

func (f bloom) valid() error {
	if len(f)%bloomBlock != 0 {
		return errors.New("key filter is not a whole number of blocks")
	}
	return nil
}
