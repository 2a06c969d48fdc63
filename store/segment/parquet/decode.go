package parquet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// unpack reads n values of width bits each, packed from the least significant
// bit on, and appends them to dst. b has all of them.
func unpack(dst []uint32, b []byte, n, width int) []uint32 {
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	out := dst[at:]
	mask := uint64(1)<<width - 1
	bit, i := 0, 0
	for ; i < n && bit>>3+8 <= len(b); i++ {
		out[i] = uint32(binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7) & mask)
		bit += width
	}
	for ; i < n; i++ {
		var tail [8]byte
		copy(tail[:], b[min(bit>>3, len(b)):])
		out[i] = uint32(binary.LittleEndian.Uint64(tail[:]) >> (bit & 7) & mask)
		bit += width
	}
	return dst
}

// readHybrid reads n values of the hybrid of run lengths and bit packing and
// appends them to dst.
func readHybrid(dst []uint32, b []byte, n, width int) ([]uint32, error) {
	if width > 32 {
		return dst, damaged("%d bits a value", width)
	}
	for n > 0 {
		h, k := binary.Uvarint(b)
		if k <= 0 {
			return dst, damaged("runs end early")
		}
		b = b[k:]
		if h&1 == 1 {
			groups := h >> 1
			if groups > uint64(n+7)/8 {
				groups = uint64(n+7) / 8
			}
			have := min(n, int(groups)*8)
			size := (have*width + 7) / 8
			if have == 0 || size > len(b) {
				return dst, damaged("packed values end early")
			}
			dst = unpack(dst, b[:size], have, width)
			n -= have
			b = b[min(len(b), int(groups)*width):]
			continue
		}
		run := h >> 1
		size := (width + 7) / 8
		if run == 0 || run > uint64(n) || size > len(b) {
			return dst, damaged("run does not fit")
		}
		var v uint32
		for i := range size {
			v |= uint32(b[i]) << (8 * i)
		}
		if bits.Len32(v) > width {
			return dst, damaged("run of a value of more than %d bits", width)
		}
		b = b[size:]
		for range run {
			dst = append(dst, v)
		}
		n -= int(run)
	}
	return dst, nil
}

// maxDeltaBlock bounds the block size that a page may claim.
const maxDeltaBlock = 1 << 16

// readDelta reads exactly n integers in DELTA_BINARY_PACKED and appends them.
func readDelta(dst []int64, b []byte, n int) ([]int64, error) {
	bad := false
	uv := func() uint64 {
		v, k := binary.Uvarint(b)
		if k <= 0 {
			bad = true
			return 0
		}
		b = b[k:]
		return v
	}
	sv := func() int64 {
		v, k := binary.Varint(b)
		if k <= 0 {
			bad = true
			return 0
		}
		b = b[k:]
		return v
	}
	block, minis, total, v := uv(), uv(), uv(), sv()
	if bad || block == 0 || block > maxDeltaBlock || minis == 0 || minis > block || block%minis != 0 || block/minis%8 != 0 || total != uint64(n) {
		return dst, damaged("head of delta-encoded integers")
	}
	if n == 0 {
		return dst, nil
	}
	per := int(block / minis)
	if n/per > len(b) { // each of so many takes a byte at least
		return dst, damaged("delta-encoded integers end early")
	}
	dst = append(slices.Grow(dst, n), v)
	for left := n - 1; left > 0; {
		least := sv()
		if bad || uint64(len(b)) < minis {
			return dst, damaged("delta-encoded integers end early")
		}
		widths := b[:minis]
		b = b[minis:]
		for _, w := range widths {
			if left == 0 {
				break
			}
			if w > 64 {
				return dst, damaged("delta of %d bits", w)
			}
			size := per * int(w) / 8
			have := min(left, per)
			if size > len(b) {
				// The last one may be cut behind its values.
				if have == per || (have*int(w)+7)/8 > len(b) {
					return dst, damaged("delta-encoded integers end early")
				}
				size = len(b)
			}
			mini := b[:size]
			b = b[size:]
			dst, v = unpackDeltas(dst, mini, have, int(w), v, least)
			left -= have
		}
	}
	return dst, nil
}

func unpackDeltas(dst []int64, b []byte, n, width int, v, least int64) ([]int64, int64) {
	if width == 0 {
		for range n {
			v += least
			dst = append(dst, v)
		}
		return dst, v
	}
	bit := 0
	mask := ^uint64(0) >> (64 - width)
	for range n {
		var x uint64
		at, shift := bit>>3, bit&7
		if at+9 <= len(b) {
			x = binary.LittleEndian.Uint64(b[at:]) >> shift
			if shift+width > 64 {
				x |= uint64(b[at+8]) << (64 - shift)
			}
		} else {
			var tail [16]byte
			copy(tail[:], b[at:])
			x = binary.LittleEndian.Uint64(tail[:]) >> shift
			if shift+width > 64 {
				x |= uint64(tail[8]) << (64 - shift)
			}
		}
		bit += width
		v += int64(x&mask) + least
		dst = append(dst, v)
	}
	return dst, v
}
