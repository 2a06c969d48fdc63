package format

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// How long a line is that [FlowLine] looks at, in bytes, and of how many words.
// A line of all fields that AWS has is shorter.
const (
	maxFlowLine  = 768
	maxFlowWords = 64
)

// FlowLine takes a flow log apart that is written as AWS writes it: ASCII, one
// space between two words, none around them, at most 64 words and 768 bytes. columns are as in
// [Split]; nil stands for the default format, whose words with a fixed form must
// have that form. It appends the words to dst, those left out that are "-";
// none has a bit for each word that is, the first word's lowest. So lines with
// the same columns and the same none differ in their words only. For any other
// line ok is false, which says nothing about it: ask [Split] or [ClassifyLine].
//
// There are no records of which there are more. So it works on eight bytes at
// once ("Bit Twiddling Hacks", "Determine if a word has a zero byte"), and where
// the line has spaces is known before the first word is looked at: words differ in
// length, and to look for the end of each would be a branch that no processor foresees.
func FlowLine(raw []byte, columns []string, dst [][]byte) (values [][]byte, none uint64, ok bool) {
	n := len(columns)
	if columns == nil {
		n = len(FlowColumns)
		if len(raw) < 30 || raw[0] != '2' || raw[1] != ' ' {
			return dst, 0, false
		}
	}
	if n == 0 || n > maxFlowWords || len(raw) < 8 || len(raw) > maxFlowLine {
		return dst, 0, false
	}
	var ends wordEnds
	if ends.read(raw) != n {
		return dst, 0, false
	}
	base := len(dst)
	dst = slices.Grow(dst, n)[:base+n]
	out := dst[base:]
	start, k := 0, 0
	for i, end := range ends[:n] {
		word := raw[start:end]
		out[k] = word
		k++
		if len(word) < 2 {
			if len(word) == 0 {
				return dst[:base], 0, false
			}
			if word[0] == '-' {
				none |= 1 << (i & 63)
				k--
			}
		}
		start = int(end) + 1
	}
	if columns == nil && !ends.ofDefaultFlow(raw, none) {
		return dst[:base], 0, false
	}
	return dst[:base+k], none, true
}

// wordEnds is where the words of a line end that have one space between them.
type wordEnds [maxFlowWords + 1]uint16

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// read finds the ends and returns how many words there are: one more than spaces.
// It returns 0 where there are more than it has room for, control
// characters, or bytes that are not ASCII.
func (w *wordEnds) read(raw []byte) (n int) {
	var strange uint64
	for at, b := 0, raw; len(b) > 0; at += 64 {
		var spaces uint64 // of 64 bytes, the first one's bit lowest
		k := 0
		for ; k < 8 && len(b) >= 8; k++ {
			x := binary.LittleEndian.Uint64(b)
			b = b[8:]
			strange |= x | (x-0x20*ones)&^x
			spaces = spaces>>8 | spacesIn(x)
		}
		if k < 8 && len(b) > 0 { // the last bytes, and digits behind them: zeros would be strange
			rest := 8 * uint(len(b))
			x := binary.LittleEndian.Uint64(raw[len(raw)-8:])>>(64-rest) | '0'*ones<<rest
			b = nil
			strange |= x | (x-0x20*ones)&^x
			spaces = spaces>>8 | spacesIn(x)
			k++
		}
		for spaces >>= 64 - 8*k; spaces != 0; spaces &= spaces - 1 {
			if n == maxFlowWords {
				return 0
			}
			w[n] = uint16(at + bits.TrailingZeros64(spaces))
			n++
		}
	}
	if strange&highs != 0 {
		return 0
	}
	w[n] = uint16(len(raw))
	return n + 1
}

// spacesIn has in its top eight bits which of the bytes of x are spaces. They are ASCII.
func spacesIn(x uint64) uint64 {
	marks := ^((x ^ ' '*ones) + 0x7F*ones) & highs
	return marks >> 7 * 0x0102040810204080 &^ (1<<56 - 1)
}

// ofDefaultFlow reports whether the words have the forms that they have in the
// default format; none says which of them are "-".
func (w *wordEnds) ofDefaultFlow(raw []byte, none uint64) bool {
	// The version, the account, the times and the status are always there.
	const may = 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<9 | 1<<12
	if none&^may != 0 {
		return false
	}
	if none&(1<<12-1<<5) == 0 { // ports to end, one behind the other
		if !digitsAndSpaces(raw[w[4]+1 : w[11]]) {
			return false
		}
	} else {
		for k := 5; k <= 11; k++ {
			if none>>k&1 == 0 && !digitsAndSpaces(raw[w[k-1]+1:w[k]]) {
				return false
			}
		}
	}
	if account := raw[w[0]+1 : w[1]]; !digitsAndSpaces(account) && string(account) != "unknown" {
		return false
	}
	return (none>>2&1 == 1 || isInterface(raw[w[1]+1:w[2]])) && (none>>12&1 == 1 || isAction(raw[w[11]+1:w[12]])) && isLogStatus(raw[w[12]+1:])
}

// digitsAndSpaces reports whether ASCII text has nothing else.
func digitsAndSpaces(b []byte) bool {
	var other uint64
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		other |= ((x ^ '0'*ones) + 0x76*ones) & ((x ^ ' '*ones) + 0x7F*ones)
	}
	for _, c := range b {
		if c-'0' > 9 && c != ' ' {
			return false
		}
	}
	return other&highs == 0
}
