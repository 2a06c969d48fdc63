package pattern

import (
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
