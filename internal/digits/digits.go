// Package digits parses decimal numbers of few digits, as records are full of.
package digits

import "encoding/binary"

// MaxLen is how many digits a number has at most.
const MaxLen = 19

// Parse returns the number that v is, if v is 1 to [MaxLen] ASCII digits and
// nothing else. It may read what lies behind v within its capacity.
func Parse(v []byte) (n uint64, ok bool) {
	switch size := len(v); {
	case size == 0 || size > MaxLen:
		return 0, false
	case size <= 8 && cap(v) >= 8:
		return upTo8(binary.LittleEndian.Uint64(v[:8]), size)
	case size > 8 && size <= 16:
		high, ok := upTo8(binary.LittleEndian.Uint64(v), size-8)
		low, ok2 := upTo8(binary.LittleEndian.Uint64(v[size-8:]), 8)
		return 1e8*high + low, ok && ok2
	}
	for _, c := range v {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = 10*n + uint64(d)
	}
	return n, true
}

// upTo8 parses the first n of the eight bytes of x, the lowest one first: all
// at once, since each pair, each two pairs and both halves are brought together
// in one multiplication.
func upTo8(x uint64, n int) (uint64, bool) {
	const ones = 0x0101010101010101
	behind := uint(64-8*n) & 63
	x = x<<behind ^ '0'*ones<<behind // what is in front is 0
	if (x|(x+0x76*ones))&(0x80*ones) != 0 {
		return 0, false
	}
	x = 10*x + x>>8
	return (x&0x000000FF000000FF*(100+1000000<<32) + x>>16&0x000000FF000000FF*(1+10000<<32)) >> 32, true
}
