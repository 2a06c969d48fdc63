package pattern

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// MaxText is how many bytes of a text its pattern takes into account; what
// follows is one token.
const MaxText = 8192

// kind is the type of a token.
type kind byte

const (
	token kind = iota // of no known type
	number
	hexNumber
	uuid
	address
	mac
	date
	clock
	timestamp
	kinds
)

var kindNames = [kinds]string{"Token", "Number", "Hex", "UUID", "IP", "MAC", "Date", "Time", "Timestamp"}

// mark begins a token in a mask; its kind follows as a letter from 'A' on. The
// byte itself cannot come from a text: control characters become tokens.
const mark = 0x01

func appendMark(dst []byte, k kind) []byte { return append(dst, mark, 'A'+byte(k)) }

// Classes of bytes.
const (
	isBlank = 1 << iota
	isDigit
	isLetter
	isInner // belongs to a word, but makes none
	isHex
	isControl
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			t[c] = isBlank
		case c < ' ' || c == 0x7f:
			t[c] = isControl
		case c >= '0' && c <= '9':
			t[c] = isDigit | isHex
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= utf8.RuneSelf:
			t[c] = isLetter
			if c|0x20 >= 'a' && c|0x20 <= 'f' && c < utf8.RuneSelf {
				t[c] |= isHex
			}
		case strings.IndexByte(".-+%$~*", byte(c)) >= 0:
			t[c] = isInner
		}
	}
	return t
}()

const wordClass = isDigit | isLetter | isInner

// Mask appends the mask of a text to dst.
func Mask(dst []byte, s string) []byte {
	cut := false
	if len(s) > MaxText {
		n := MaxText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s, cut = s[:n], true
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch k := class[c]; {
		case k&isBlank != 0:
			sep := byte(' ')
			for i < len(s) && class[s[i]]&isBlank != 0 {
				if s[i] == '\n' {
					sep = '\n'
				}
				i++
			}
			dst = append(dst, sep)
		case k&wordClass != 0:
			dst, i = word(dst, s, i)
		case k&isControl != 0:
			for i < len(s) && class[s[i]]&isControl != 0 {
				i++
			}
			dst = appendMark(dst, token)
		case c == '"':
			dst = append(dst, c)
			i++
			if n := jsonKey(s[i:]); n > 0 {
				dst = append(dst, s[i:i+n]...)
				i += n
			}
		case c == ':' && strings.HasPrefix(s[i:], "::"):
			if n := ipv6(s[i:]); n > 0 && (i == 0 || class[s[i-1]]&(isDigit|isLetter) == 0) {
				dst = appendMark(dst, address)
				i += n
				continue
			}
			dst = append(dst, "::"...)
			i += 2
		default:
			dst = append(dst, c)
			i++
		}
	}
	if cut {
		dst = appendMark(dst, token)
	}
	return dst
}

// jsonKey returns the length of the key of a JSON member with its closing quote,
// of which s is what follows the opening one; 0 if it is none, or has so many
// digits that it is rather a value.
func jsonKey(s string) int {
	const longest = 64
	digits := 0
	for i := 0; i < len(s) && i < longest; i++ {
		switch c := s[i]; {
		case c == '"':
			for j := i + 1; j < len(s) && j < i+4; j++ {
				if s[j] == ':' && digits < 4 {
					return i + 1
				}
				if class[s[j]]&isBlank == 0 {
					return 0
				}
			}
			return 0
		case c == '\\' || class[c]&isControl != 0:
			return 0
		case class[c]&isDigit != 0:
			digits++
		}
	}
	return 0
}

// word masks the word that begins at i and returns where it ends.
func word(dst []byte, s string, i int) ([]byte, int) {
	rest := s[i:]
	if class[rest[0]]&(isDigit|isHex) != 0 || 'A' <= rest[0] && rest[0] <= 'Z' {
		if n, k := special(rest); n > 0 {
			return appendMark(dst, k), i + n
		}
	}
	n, digits, upper, lower := 0, 0, false, false
	for n < len(rest) {
		k := class[rest[n]]
		if k&wordClass == 0 {
			break
		}
		switch {
		case k&isDigit != 0:
			digits++
		case rest[n] >= 'a' && rest[n] <= 'z':
			lower = true
		case rest[n] >= 'A' && rest[n] <= 'Z':
			upper = true
		}
		n++
	}
	if digits > 0 && upper && lower && n < len(rest) && (rest[n] == '/' || rest[n] == '=') || n >= minBlob {
		if m := blob(rest); m > 0 {
			return appendMark(dst, token), i + m
		}
	}
	// A full stop or a dash at the end is punctuation.
	end := n
	for end > 0 && class[rest[end-1]]&isInner != 0 && rest[end-1] != '%' {
		end--
	}
	if end == 0 {
		return append(dst, rest[:n]...), i + n
	}
	w := rest[:end]
	switch {
	case digits == 0:
		dst = append(dst, w...)
	case len(w) == 5 && strings.IndexByte("IWEFD", w[0]) >= 0 && digits == 4 && len(rest) > 8 && rest[5] == ' ' && rest[8] == ':':
		// The head of a klog line: the letter is the severity.
		dst = appendMark(append(dst, w[0]), date)
	default:
		dst = classify(dst, w)
	}
	return append(dst, rest[end:n]...), i + n
}

// minBlob is the least length of what is taken for encoded bytes.
const minBlob = 40

// blob returns the length of the Base64 text at the start of s, or 0.
func blob(s string) int {
	n, digits, upper, lower := 0, 0, 0, 0
	for n < len(s) {
		switch c := s[n]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c != '+' && c != '/' && c != '-' && c != '_':
			goto end
		}
		n++
	}
end:
	for n < len(s) && s[n] == '=' {
		n++
	}
	if n < minBlob || digits == 0 || upper < n/8 || lower < n/8 {
		return 0
	}
	return n
}

// classify masks a word that has a digit in it.
func classify(dst []byte, w string) []byte {
	if n := numeric(w); n > 0 {
		if n == len(w) {
			return appendMark(dst, number)
		}
		if unit(w[n:]) {
			return append(appendMark(dst, number), w[n:]...)
		}
	}
	if isHexWord(w) {
		return appendMark(dst, hexNumber)
	}
	if named(w) {
		return append(dst, w...)
	}
	return appendMark(dst, token)
}

// numeric returns the length of the number that w begins with.
func numeric(w string) int {
	i := 0
	if w[0] == '-' || w[0] == '+' || w[0] == '$' {
		i++
	}
	from := i
	for i < len(w) && class[w[i]]&isDigit != 0 {
		i++
	}
	if i == from {
		return 0
	}
	if i+1 < len(w) && w[i] == '.' && class[w[i+1]]&isDigit != 0 {
		for i++; i < len(w) && class[w[i]]&isDigit != 0; i++ {
		}
	}
	if i+1 < len(w) && w[i]|0x20 == 'e' {
		j := i + 1
		if w[j] == '-' || w[j] == '+' {
			j++
		}
		if j < len(w) && strings.Trim(w[j:], "0123456789") == "" {
			return len(w)
		}
	}
	return i
}

// units are what may follow a number without a blank.
var units = map[string]bool{"%": true, "ns": true, "us": true, "µs": true, "ms": true, "s": true, "m": true, "h": true, "d": true, "w": true, "min": true, "sec": true,
	"B": true, "b": true, "k": true, "K": true, "M": true, "G": true, "T": true, "kB": true, "KB": true, "MB": true, "GB": true, "TB": true, "Ki": true, "Mi": true, "Gi": true, "Ti": true,
	"KiB": true, "MiB": true, "GiB": true, "TiB": true, "x": true, "st": true, "nd": true, "rd": true, "th": true}

func unit(s string) bool { return units[s] }

func isHexWord(w string) bool {
	if len(w) > 2 && w[0] == '0' && w[1]|0x20 == 'x' {
		return allHex(w[2:])
	}
	return len(w) >= 8 && allHex(w)
}

func allHex(w string) bool {
	for i := range len(w) {
		if class[w[i]]&isHex == 0 {
			return false
		}
	}
	return true
}

// names are words with digits that are not variable.
var names = map[string]bool{"s3": true, "ec2": true, "k8s": true, "sha1": true, "sha256": true, "sha384": true, "sha512": true, "md5": true, "ipv4": true, "ipv6": true, "utf8": true, "x86": true, "x64": true,
	"amd64": true, "arm64": true, "i386": true, "http2": true, "h2": true, "oauth2": true, "base64": true, "ed25519": true, "rs256": true, "es256": true, "aes128": true, "aes256": true, "route53": true, "log4j": true,
	"p50": true, "p90": true, "p95": true, "p99": true, "ssh2": true, "tls1": true, "x509": true, "iso8601": true, "rfc3339": true, "linux2": true, "win32": true, "win64": true, "gp2": true, "gp3": true, "l4": true, "l7": true}

// named reports whether every part of a word between dots, dashes and
// underscores is without digits, a version such as v1beta1, or a known name.
func named(w string) bool {
	for w != "" {
		n := strings.IndexAny(w, ".-_")
		part := w
		if n >= 0 {
			part, w = w[:n], w[n+1:]
		} else {
			w = ""
		}
		if strings.ContainsAny(part, "0123456789") && !version(part) && !names[strings.ToLower(part)] {
			return false
		}
	}
	return true
}

// version reports whether a word is v1, v2beta1 or the like.
func version(w string) bool {
	if len(w) < 2 || len(w) > 9 || w[0] != 'v' || class[w[1]]&isDigit == 0 {
		return false
	}
	rest := strings.TrimLeft(w[1:], "0123456789")
	if len(w)-len(rest) > 3 {
		return false
	}
	for _, s := range []string{"alpha", "beta", "rc"} {
		rest = strings.TrimPrefix(rest, s)
	}
	return strings.Trim(rest, "0123456789") == "" && len(rest) <= 2
}

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
