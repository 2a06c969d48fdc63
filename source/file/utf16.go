package file

import (
	"bufio"
	"io"
	"unicode/utf8"
)

// utf16Reader makes UTF-8 of UTF-16, which Windows tools write. Half of a
// surrogate pair becomes what UTF-8 would have for it (WTF-8), so that nothing
// is lost and the original can be made again.
type utf16Reader struct {
	r       io.Reader
	big     bool
	started bool
	in      [8 << 10]byte
	n       int  // bytes in in
	high    rune // first half of a surrogate pair, or 0
	out     []byte
	err     error
}

// newUTF16 reads what begins with a byte order mark.
func newUTF16(br *bufio.Reader) *utf16Reader {
	mark, _ := br.Peek(1)
	return &utf16Reader{r: br, big: string(mark) == "\xfe"}
}

// isUTF16 reports whether b begins with UTF-16: its byte order mark, an ASCII
// character, and no less than a quarter of those in what follows, as in any log
// in whatever language. Other bytes may begin with the mark by chance.
func isUTF16(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	low, high := 0, 1
	switch string(b[:2]) {
	case "\xff\xfe":
	case "\xfe\xff":
		low, high = 1, 0
	default:
		return false
	}
	ascii := 0
	for i := 2; i+1 < len(b); i += 2 {
		c := b[i+low]
		switch {
		case b[i+high] != 0:
		case c == 0:
			return false
		case c < 0x7f && (c >= ' ' || c == '\n' || c == '\r' || c == '\t'):
			ascii++
		}
		if i == 2 && ascii == 0 {
			return false
		}
	}
	return 4*ascii >= len(b)/2-1
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) fill() {
	n, err := u.r.Read(u.in[u.n:])
	u.n += n
	out := make([]byte, 0, 2*u.n)
	i := 0
	for ; i+1 < u.n; i += 2 {
		c := rune(u.in[i]) | rune(u.in[i+1])<<8
		if u.big {
			c = rune(u.in[i])<<8 | rune(u.in[i+1])
		}
		if !u.started { // the byte order mark
			u.started = true
			continue
		}
		if u.high != 0 {
			if c >= 0xdc00 && c < 0xe000 {
				out = utf8.AppendRune(out, 0x10000+(u.high-0xd800)<<10+(c-0xdc00))
				u.high = 0
				continue
			}
			out = appendHalf(out, u.high)
			u.high = 0
		}
		switch {
		case c >= 0xd800 && c < 0xdc00:
			u.high = c
		case c >= 0xdc00 && c < 0xe000:
			out = appendHalf(out, c)
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	u.n = copy(u.in[:], u.in[i:u.n])
	if err != nil {
		if u.high != 0 {
			out = appendHalf(out, u.high)
		}
		u.high, u.err = 0, err
		if err == io.EOF && u.n > 0 {
			out = append(out, u.in[:u.n]...) // half a character
			u.err = &layerError{CutUTF16, io.ErrUnexpectedEOF}
		}
	}
	u.out = out
}

// appendHalf appends half of a surrogate pair in three bytes.
func appendHalf(b []byte, c rune) []byte {
	return append(b, 0xe0|byte(c>>12), 0x80|byte(c>>6)&0xbf, 0x80|byte(c)&0xbf)
}
