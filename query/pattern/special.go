package pattern

import (
	"net/netip"
	"strings"
)

// special recognises what has punctuation of its own at the start of s, and
// returns its length.
func special(s string) (int, kind) {
	c := s[0]
	if class[c]&isDigit != 0 {
		if n, k := dateTime(s); n > 0 && ends(s, n) {
			return n, k
		}
		if n := ipv4(s); n > 0 {
			return n, address
		}
	}
	if class[c]&isHex != 0 {
		if isUUID(s) {
			return 36, uuid
		}
		if isMAC(s) {
			return 17, mac
		}
		if n := ipv6(s); n > 0 && ends(s, n) {
			return n, address
		}
	}
	if c >= 'A' && c <= 'Z' {
		if n := namedDate(s); n > 0 && ends(s, n) {
			return n, timestamp
		}
	}
	return 0, 0
}

// ends reports whether no word goes on at n.
func ends(s string, n int) bool { return n >= len(s) || class[s[n]]&(isDigit|isLetter) == 0 }

// digits reports whether s has n digits at i.
func digits(s string, i, n int) bool {
	if i+n > len(s) {
		return false
	}
	for ; n > 0; n-- {
		if class[s[i]]&isDigit == 0 {
			return false
		}
		i++
	}
	return true
}

// timeOfDay returns the length of 15:04, 15:04:05 or 15:04:05.999 at i.
func timeOfDay(s string, i int) int {
	from := i
	switch {
	case digits(s, i, 2) && i+2 < len(s) && s[i+2] == ':':
		i += 3
	case digits(s, i, 1) && i+1 < len(s) && s[i+1] == ':':
		i += 2
	default:
		return 0
	}
	if !digits(s, i, 2) {
		return 0
	}
	i += 2
	if i < len(s) && s[i] == ':' && digits(s, i+1, 2) {
		i += 3
		if i+1 < len(s) && (s[i] == '.' || s[i] == ',') && class[s[i+1]]&isDigit != 0 {
			for i++; i < len(s) && class[s[i]]&isDigit != 0; i++ {
			}
		}
	}
	return i - from
}

// zone returns the length of a time zone at i: Z, +02:00, " +0200", " UTC".
func zone(s string, i int) int {
	from := i
	if i < len(s) && s[i] == 'Z' && ends(s, i+1) {
		return 1
	}
	if i < len(s) && s[i] == ' ' {
		i++
		if strings.HasPrefix(s[i:], "UTC") || strings.HasPrefix(s[i:], "GMT") {
			return 4
		}
	}
	if i < len(s) && (s[i] == '+' || s[i] == '-') && digits(s, i+1, 2) {
		switch {
		case digits(s, i+3, 2):
			i += 5
		case i+3 < len(s) && s[i+3] == ':' && digits(s, i+4, 2):
			i += 6
		default:
			return 0
		}
		if ends(s, i) {
			return i - from
		}
	}
	return 0
}

// dateTime recognises dates and times that begin with a digit.
func dateTime(s string) (int, kind) {
	if len(s) >= 10 && digits(s, 0, 4) && (s[4] == '-' || s[4] == '/') && digits(s, 5, 2) && s[7] == s[4] && digits(s, 8, 2) {
		n := 10
		if n < len(s) && (s[n] == 'T' || s[n] == ' ' || s[n] == 't') {
			if t := timeOfDay(s, n+1); t > 0 {
				n += 1 + t
				return n + zone(s, n), timestamp
			}
		}
		return n, date
	}
	// 02/Jan/2006:15:04:05 -0700 and 02 Jan 2006 15:04:05 GMT
	if len(s) >= 11 && digits(s, 0, 2) && (s[2] == '/' || s[2] == ' ') && month(s[3:]) && s[6] == s[2] && digits(s, 7, 4) {
		n := 11
		if n < len(s) && (s[n] == ':' || s[n] == ' ') {
			if t := timeOfDay(s, n+1); t > 0 {
				n += 1 + t
				return n + zone(s, n), timestamp
			}
		}
		return n, date
	}
	if n := timeOfDay(s, 0); n > 0 {
		return n, clock
	}
	return 0, 0
}

const (
	months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	days   = "MonTueWedThuFriSatSun"
)

func inThrees(s, list string) bool {
	if len(s) < 3 {
		return false
	}
	i := strings.Index(list, s[:3])
	return i >= 0 && i%3 == 0
}

func month(s string) bool { return inThrees(s, months) }

// namedDate recognises Jan _2 15:04:05, also with a day of the week before it
// and a year behind it, and Mon, 02 Jan 2006 15:04:05 GMT.
func namedDate(s string) int {
	n := 0
	if inThrees(s, days) {
		n = 3
		if n < len(s) && s[n] == ',' {
			n++
		}
		if n >= len(s) || s[n] != ' ' {
			return 0
		}
		n++
		if m, k := dateTime(s[n:]); k == timestamp {
			return n + m
		}
	}
	if !month(s[n:]) {
		return 0
	}
	n += 3
	if n >= len(s) || s[n] != ' ' {
		return 0
	}
	n++
	if n < len(s) && s[n] == ' ' {
		n++
	}
	switch {
	case digits(s, n, 2):
		n += 2
	case digits(s, n, 1):
		n++
	default:
		return 0
	}
	if n >= len(s) || s[n] != ' ' {
		return 0
	}
	t := timeOfDay(s, n+1)
	if t == 0 {
		return 0
	}
	n += 1 + t
	if n < len(s) && s[n] == ' ' && digits(s, n+1, 4) && ends(s, n+5) {
		n += 5
	}
	return n
}

func ipv4(s string) int {
	i := 0
	for part := range 4 {
		from := i
		for i < len(s) && i-from < 3 && class[s[i]]&isDigit != 0 {
			i++
		}
		if i == from {
			return 0
		}
		if part < 3 {
			if i >= len(s) || s[i] != '.' {
				return 0
			}
			i++
		}
	}
	if i < len(s) && (class[s[i]]&(isDigit|isLetter) != 0 || s[i] == '-' || s[i] == '.' && i+1 < len(s) && class[s[i+1]]&isDigit != 0) {
		return 0
	}
	return i
}

func isUUID(s string) bool {
	if len(s) < 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for i := range 36 {
		if i != 8 && i != 13 && i != 18 && i != 23 && class[s[i]]&isHex == 0 {
			return false
		}
	}
	return ends(s, 36)
}

func isMAC(s string) bool {
	if len(s) < 17 || s[2] != ':' && s[2] != '-' {
		return false
	}
	for i := range 17 {
		if i%3 == 2 {
			if s[i] != s[2] {
				return false
			}
		} else if class[s[i]]&isHex == 0 {
			return false
		}
	}
	return ends(s, 17) && (len(s) == 17 || s[17] != s[2])
}

// ipv6 returns the length of an IPv6 address at the start of s.
func ipv6(s string) int {
	const longest = 45
	n, colons := 0, 0
	for n < len(s) && n <= longest {
		c := s[n]
		if c == ':' {
			colons++
		} else if class[c]&isHex == 0 && c != '.' {
			break
		}
		n++
		if n == 5 && colons == 0 {
			return 0 // no group is longer than four digits
		}
	}
	for n > 0 && (s[n-1] == '.' || s[n-1] == ':' && (n < 2 || s[n-2] != ':')) {
		n--
	}
	if colons < 2 || n > longest {
		return 0
	}
	if _, err := netip.ParseAddr(s[:n]); err != nil {
		return 0
	}
	return n
}
