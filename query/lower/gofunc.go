package lower

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"trailward/query/pattern"
)

// Function is a function from texts to a text that the DuckDB dialect takes
// for granted: the engine registers it. It is a function of its arguments and
// nothing else, and is not called with a missing argument.
type Function struct {
	Name string
	Args int
	// Call appends the value to dst; ok is false for a missing value.
	Call func(dst []byte, args []string) (out []byte, ok bool)
}

// Functions are what SQL has no cheap way to say.
func Functions() []Function {
	return []Function{
		{"trailward_sort_key", 1, func(dst []byte, args []string) ([]byte, bool) { return AppendSortKey(dst, args[0]), true }},
		{"trailward_mask", 1, func(dst []byte, args []string) ([]byte, bool) { return pattern.Mask(dst, args[0]), true }},
		{"trailward_glob", 3, func(dst []byte, args []string) ([]byte, bool) { return appendGlob(dst, args[0], args[1], args[2]) }},
		{"trailward_address", 1, func(dst []byte, args []string) ([]byte, bool) { return appendAddressKey(dst, args[0]) }},
	}
}

// AppendSortKey appends text that sorts by code point as s does in natural
// order: what is no number first, the digits in it by the length of their runs and
// then by value; then numbers by value, and by text where two are equal.
func AppendSortKey(dst []byte, s string) []byte {
	if c := strings.TrimLeft(s, " \t\n\r\f\v"); c != "" && (c[0] >= '0' && c[0] <= '9' || c[0] == '-' || c[0] == '+' || c[0] == '.') {
		if f, ok := parseNumber(s); ok {
			return append(appendNumberKey(append(dst, '2'), f), s...)
		}
	}
	dst = append(dst, '1')
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && (s[i] < '0' || s[i] > '9') {
			i++
		}
		dst = append(dst, s[from:i]...)
		from = i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == from {
			break
		}
		// The length of the run in front of it, behind a 0: so digits stand
		// among other characters where digits stand.
		n := strconv.Itoa(i - from)
		dst = append(append(append(dst, '0'), "00000000"[:8-len(n)]...), n...)
		dst = append(dst, s[from:i]...)
	}
	return dst
}

// appendNumberKey writes a number as 16 hexadecimal digits that sort as it does.
func appendNumberKey(dst []byte, f float64) []byte {
	if f == 0 {
		f = 0 // and not -0
	}
	bits := math.Float64bits(f)
	if bits>>63 == 0 {
		bits |= 1 << 63
	} else {
		bits = ^bits
	}
	const hex = "0123456789abcdef"
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], bits)
	for _, c := range b {
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return dst
}

// appendGlob finds a glob pattern in a text and appends what its nth star stands
// for: the shortest text up to what follows, for a last star the rest. Since each
// piece between stars is taken where it first occurs, no other choice could succeed
// where this one fails.
func appendGlob(dst []byte, text, glob, nth string) ([]byte, bool) {
	n, err := strconv.Atoi(nth)
	if err != nil || n < 1 {
		return dst, false
	}
	lit, glob, more := strings.Cut(glob, "*")
	i := strings.Index(text, lit)
	if i < 0 {
		return dst, false
	}
	begin := i
	rest := text[i+len(lit):]
	at := len(text) - len(rest)
	var out string
	for star := 1; more; star++ {
		lit, glob, more = strings.Cut(glob, "*")
		i := 0
		if lit == "" && !more {
			i = len(rest)
		} else if i = strings.Index(rest, lit); i < 0 {
			return dst, false
		}
		if star == n {
			out = rest[:i]
		}
		at += i + len(lit)
		rest = rest[i+len(lit):]
	}
	if at == begin {
		return dst, false // a match of no characters counts as none
	}
	return append(dst, out...), true
}

// appendAddressKey writes an IP address as hexadecimal digits that sort as it
// does, all of version 4 before those of version 6.
func appendAddressKey(dst []byte, s string) ([]byte, bool) {
	if len(s) == 0 || len(s) > 45 {
		return dst, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return dst, false
	}
	return append(dst, addressKey(a)...), true
}

func addressKey(a netip.Addr) string {
	const hex = "0123456789abcdef"
	b := a.AsSlice()
	out := make([]byte, 1, 1+2*len(b))
	out[0] = '4'
	if a.Is6() {
		out[0] = '6'
	}
	for _, c := range b {
		out = append(out, hex[c>>4], hex[c&15])
	}
	return string(out)
}
