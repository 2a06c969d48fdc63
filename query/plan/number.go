package plan

import (
	"math"
	"strconv"
)

// FormatNumber writes a number in its shortest form: 3, 2.5, 1e+21. What is
// not finite is "".
func FormatNumber(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return ""
	}
	if f == 0 {
		return "0" // not -0
	}
	if a := math.Abs(f); a >= 1e21 || a < 1e-6 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// CanonicalNumber reports whether s is a number as a machine writes it: an
// optional minus, digits without a leading zero, an optional fraction, at most
// 15 digits in all (so that a 64-bit float holds it exactly). 1e5 and 007 are
// not: they may be identifiers, which must not equal other identifiers.
func CanonicalNumber(s string) bool {
	t := s
	if len(t) > 0 && t[0] == '-' {
		t = t[1:]
	}
	digits, dot := 0, -1
	for i := 0; i < len(t); i++ {
		switch {
		case t[i] >= '0' && t[i] <= '9':
			digits++
		case t[i] == '.' && dot < 0 && i > 0 && i < len(t)-1:
			dot = i
		default:
			return false
		}
	}
	if digits == 0 || digits > 15 {
		return false
	}
	return t[0] != '0' || len(t) == 1 || dot == 1
}

// CanonicalInt reports whether s is a 64-bit integer as a machine writes it.
func CanonicalInt(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}
