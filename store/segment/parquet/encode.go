package parquet

import (
	"encoding/binary"
	"math/bits"
)

// appendPacked appends values bit-packed from the least significant bit on,
// width bits each; the last byte is filled up with zeros.
func appendPacked(dst []byte, values []uint32, width int) []byte {
	if width == 0 {
		return dst
	}
	n := (len(values)*width + 7) / 8
	var acc uint64
	have := 0
	at := len(dst)
	dst = append(dst, make([]byte, n+8)...) // whole words are written
	for _, v := range values {
		acc |= uint64(v) << have
		have += width
		if have >= 32 {
			binary.LittleEndian.PutUint32(dst[at:], uint32(acc))
			at += 4
			acc >>= 32
			have -= 32
		}
	}
	binary.LittleEndian.PutUint64(dst[at:], acc)
	return dst[:len(dst)-8]
}

// appendHybrid appends values in the hybrid of run lengths and bit packing
// ("RLE/Bit-Packing Hybrid"), width bits each.
func appendHybrid(dst []byte, values []uint32, width int) []byte {
	literal := 0 // where the values begin that are not written yet
	flush := func(to int) {
		if to > literal {
			groups := (to - literal + 7) / 8
			dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
			from := len(dst)
			dst = appendPacked(dst, values[literal:to], width)
			for len(dst) < from+groups*width {
				dst = append(dst, 0)
			}
		}
	}
	// A run is worth it when it saves more than the two headers that it costs.
	least := max(16, 64/max(width, 1)&^7)
	for i := 0; i < len(values); {
		j := i + 1
		for j < len(values) && values[j] == values[i] {
			j++
		}
		// Packed values before a run come in groups of eight.
		start := i + (8-(i-literal)&7)&7
		if j-start >= least {
			flush(start)
			dst = binary.AppendUvarint(dst, uint64(j-start)<<1)
			v := values[i]
			for k := 0; k < width; k += 8 {
				dst = append(dst, byte(v>>k))
			}
			literal = j
		}
		i = j
	}
	flush(len(values))
	return dst
}

// appendLevels appends the definition levels of n rows, of which those in at,
// counted from base, have a value; behind their length, as a data page has them.
func appendLevels(dst []byte, n int, at []int32, base int32) []byte {
	head := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	runs := 1
	for i := 1; i < len(at); i++ {
		if at[i] != at[i-1]+1 {
			runs += 2
		}
	}
	run := func(n int, v byte) {
		if n > 0 {
			dst = binary.AppendUvarint(dst, uint64(n)<<1)
			dst = append(dst, v)
		}
	}
	if groups := (n + 7) / 8; runs*3 <= groups+8 {
		row := base
		for i := 0; i < len(at); {
			j := i + 1
			for j < len(at) && at[j] == at[j-1]+1 {
				j++
			}
			run(int(at[i]-row), 0)
			run(j-i, 1)
			row = at[j-1] + 1
			i = j
		}
		run(int(base)+n-int(row), 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
		from := len(dst)
		dst = append(dst, make([]byte, groups)...)
		for _, r := range at {
			r -= base
			dst[from+int(r>>3)] |= 1 << (r & 7)
		}
	}
	binary.LittleEndian.PutUint32(dst[head:], uint32(len(dst)-head-4))
	return dst
}

// appendPresent is appendLevels where every row has a value.
func appendPresent(dst []byte, n int) []byte {
	head := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	dst = append(dst, 1)
	binary.LittleEndian.PutUint32(dst[head:], uint32(len(dst)-head-4))
	return dst
}

// Blocks of the delta encoding.
const (
	deltaBlock = 128
	deltaMini  = 4
	miniSize   = deltaBlock / deltaMini
)

// appendDelta appends integers as DELTA_BINARY_PACKED.
func appendDelta(dst []byte, values []int64) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaMini)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, values[0])
	var d [deltaBlock]uint64
	for prev, rest := values[0], values[1:]; len(rest) > 0; {
		n := min(len(rest), deltaBlock)
		least := rest[0] - prev
		for i, v := range rest[:n] {
			x := v - prev // wraps around, and back when it is added again
			d[i] = uint64(x)
			least = min(least, x)
			prev = v
		}
		rest = rest[n:]
		dst = binary.AppendVarint(dst, least)
		widths := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		for m := 0; m*miniSize < n; m++ {
			mini := d[m*miniSize : (m+1)*miniSize]
			have := min(n-m*miniSize, miniSize)
			var or uint64
			for i := range mini[:have] {
				mini[i] -= uint64(least)
				or |= mini[i]
			}
			clear(mini[have:])
			w := bits.Len64(or)
			dst[widths+m] = byte(w)
			dst = appendPacked64(dst, mini, w)
		}
	}
	return dst
}

// appendPacked64 is appendPacked for 32 values of up to 64 bits.
func appendPacked64(dst []byte, values []uint64, width int) []byte {
	if width == 0 {
		return dst
	}
	at := len(dst)
	dst = append(dst, make([]byte, 4*width+8)...)
	var acc uint64
	have := 0
	for _, v := range values {
		acc |= v << have
		if have+width >= 64 {
			binary.LittleEndian.PutUint64(dst[at:], acc)
			at += 8
			acc = 0
			if left := 64 - have; left < width {
				acc = v >> left
			}
			have += width - 64
		} else {
			have += width
		}
	}
	binary.LittleEndian.PutUint64(dst[at:], acc)
	return dst[:len(dst)-8]
}
