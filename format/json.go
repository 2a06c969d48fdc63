package format

import (
	"unicode/utf8"

	"trailward/internal/jsonstring"
)

// JSONScanner finds where one JSON value ends. It is fed the value's bytes in
// pieces as they come, keeps a bit for each open bracket and nothing else, and
// does not recurse, so that neither depth nor size can hurt it. It holds the
// value to JSON's grammar but for what is inside of strings, numbers and words:
// a value that was cut in the middle and has another one behind it is found
// broken there, instead of taking the rest of the file for its own. The zero
// value is ready; so is one after Reset.
type JSONScanner struct {
	few     [4]uint64 // kinds of the first 256 open brackets, 1 for a brace
	more    []uint64  // of those beyond
	depth   int
	brace   bool // the innermost open bracket is a brace
	started bool
	scalar  bool // the value is a number or a word
	str     bool // inside a string
	esc     bool // the byte before was a backslash
	prev    jsonToken
}

// jsonToken is what was met last at the present depth.
type jsonToken uint8

const (
	atOpen jsonToken = iota // the opening bracket
	atComma
	atColon
	atKey
	atScalar // in a number or a word, or right behind it
	atValue
)

// ScanState is what a [JSONScanner] knows after a piece.
type ScanState uint8

// The states. A number or a word ends only before a byte that cannot belong to
// it, so at the end of the input ScanMore means that it ended there, if
// [JSONScanner.Scalar] says that it is one.
const (
	ScanMore   ScanState = iota // the value goes on
	ScanDone                    // the value has ended
	ScanBroken                  // this is no JSON
)

// Reset makes s ready for another value.
func (s *JSONScanner) Reset() {
	more := s.more[:0]
	*s = JSONScanner{more: more}
}

// Scalar reports whether the value is a number or a word.
func (s *JSONScanner) Scalar() bool { return s.scalar }

const (
	jsonBlank = iota
	jsonScalar
	jsonQuote
	jsonOpen
	jsonClose
	jsonComma
	jsonColon
	jsonStray
)

// jsonClass sorts the bytes that may stand between strings.
var jsonClass = func() (t [256]uint8) {
	for i := range t {
		t[i] = jsonStray
	}
	for _, c := range " \t\r\n" {
		t[c] = jsonBlank
	}
	for _, c := range "+-.0123456789eEtrufalsn" {
		t[c] = jsonScalar
	}
	t['"'] = jsonQuote
	t['{'], t['['] = jsonOpen, jsonOpen
	t['}'], t[']'] = jsonClose, jsonClose
	t[','], t[':'] = jsonComma, jsonColon
	return t
}()

// Scan reads on. n is how many bytes of b belong to the value, or, when it is
// broken, where. The value must begin with the first byte of the first piece.
func (s *JSONScanner) Scan(b []byte) (n int, state ScanState) {
	if len(b) == 0 {
		return 0, ScanMore
	}
	i := 0
	if !s.started {
		s.started = true
		switch jsonClass[b[0]] {
		case jsonQuote:
			s.str, i = true, 1
		case jsonOpen:
			s.push(b[0] == '{')
			i = 1
		case jsonScalar:
			s.scalar = true
		default:
			return 0, ScanBroken
		}
	}
	if s.scalar {
		for i < len(b) && jsonClass[b[i]] == jsonScalar {
			i++
		}
		switch {
		case i == len(b):
			return i, ScanMore
		case b[i] <= ' ' || b[i] == ',' || b[i] == ']' || b[i] == '}':
			return i, ScanDone
		}
		return i, ScanBroken
	}
	for i < len(b) {
		if s.str {
			if s.esc {
				s.esc = false
				i++
				continue
			}
			for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] != '\n' {
				i++
			}
			if i == len(b) {
				break
			}
			switch b[i] {
			case '\\':
				s.esc = true
			case '"':
				s.str = false
				if s.depth == 0 {
					return i + 1, ScanDone
				}
				if s.brace && s.prev != atColon {
					s.prev = atKey
				} else {
					s.prev = atValue
				}
			default: // a string cannot hold a line feed: the value was cut
				return i, ScanBroken
			}
			i++
			continue
		}
		c := b[i]
		ok := true
		switch jsonClass[c] {
		case jsonBlank:
			if s.prev == atScalar {
				s.prev = atValue
			}
		case jsonScalar:
			ok = s.prev == atScalar || s.wantsValue()
			s.prev = atScalar
		case jsonQuote:
			ok = s.wantsValue() || s.brace && s.prev <= atComma
			s.str = true
		case jsonOpen:
			ok = s.wantsValue()
			s.push(c == '{')
		case jsonClose:
			ok = s.brace == (c == '}') && (s.prev >= atScalar || s.prev == atOpen)
			if !ok {
				break
			}
			if s.pop(); s.depth == 0 {
				return i + 1, ScanDone
			}
		case jsonComma:
			ok = s.prev >= atScalar
			s.prev = atComma
		case jsonColon:
			ok = s.prev == atKey
			s.prev = atColon
		default:
			ok = false
		}
		if !ok {
			return i, ScanBroken
		}
		i++
	}
	return i, ScanMore
}

// wantsValue reports whether a value may come next.
func (s *JSONScanner) wantsValue() bool {
	if s.brace {
		return s.prev == atColon
	}
	return s.prev <= atComma
}

func (s *JSONScanner) push(brace bool) {
	var w *uint64
	if at := s.depth / 64; at < len(s.few) {
		w = &s.few[at]
	} else {
		at -= len(s.few)
		if at == len(s.more) {
			s.more = append(s.more, 0)
		}
		w = &s.more[at]
	}
	bit := uint64(1) << (s.depth % 64)
	if brace {
		*w |= bit
	} else {
		*w &^= bit
	}
	s.depth++
	s.brace, s.prev = brace, atOpen
}

// pop leaves the innermost bracket, of which there must be one.
func (s *JSONScanner) pop() {
	s.depth--
	s.prev = atValue
	if s.depth == 0 {
		return
	}
	top := s.depth - 1
	w := s.few[top/64%len(s.few)]
	if at := top/64 - len(s.few); at >= 0 {
		w = s.more[at]
	}
	s.brace = w>>(top%64)&1 == 1
}

// JSONMember reads the member of an object that begins at b[i], blanks before
// it allowed: b[key:keyEnd] is its key without quotes, b[val:valEnd] its value.
// ok is false when b holds no whole member there.
func JSONMember(b []byte, i int) (key, keyEnd, val, valEnd int, ok bool) {
	i = JSONBlank(b, i)
	if i >= len(b) || b[i] != '"' {
		return
	}
	var s JSONScanner
	n, state := s.Scan(b[i:])
	if state != ScanDone {
		return
	}
	key, keyEnd = i+1, i+n-1
	i = JSONBlank(b, i+n)
	if i >= len(b) || b[i] != ':' {
		return
	}
	val = JSONBlank(b, i+1)
	if val >= len(b) {
		return
	}
	s.Reset()
	n, state = s.Scan(b[val:])
	return key, keyEnd, val, val + n, state == ScanDone
}

// JSONBlank returns the place of the first byte at or after i that is not JSON
// white space.
func JSONBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// JSONUnquote appends what the inside of a JSON string stands for to dst. ok is
// false when it stands for no bytes exactly: a broken escape, half a surrogate
// pair, a control character. Bytes that are not UTF-8 stay as they are.
func JSONUnquote(dst, inside []byte) (out []byte, ok bool) {
	base := len(dst)
	for i := 0; i < len(inside); {
		j := i
		for j < len(inside) && inside[j] != '\\' && inside[j] >= ' ' {
			j++
		}
		dst = append(dst, inside[i:j]...)
		if j == len(inside) {
			break
		}
		if inside[j] < ' ' || j+1 == len(inside) {
			return dst[:base], false
		}
		r, n, ok := jsonstring.Escape(inside[j+1:])
		if !ok {
			return dst[:base], false
		}
		i = j + 1 + n
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}
