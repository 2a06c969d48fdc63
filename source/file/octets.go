package file

import (
	"bytes"

	"trailward"
)

// octets reads syslog as it is sent over TCP with octet counting (RFC 6587,
// section 3.4.1): "LENGTH SP MESSAGE" one after another, so that a message may
// have line feeds. What does not fit is given out up to the next line feed.
type octets struct {
	max  int
	line lineCutter
	text bool // a line that is no frame is being cut
}

// maxCount is the most digits of a length.
const maxCount = 8

func (o *octets) next(w *window, f *trailward.Framed) error {
	for {
		if o.text {
			o.line.max = o.max
			line, damaged, err := o.line.next(w)
			if o.text = o.line.cutting; err != nil {
				return err
			}
			if f.Raw, f.Damaged = line, damaged; damaged == "" {
				f.Damaged = BrokenOctets
			}
			return nil
		}
		// Some senders end messages with a line feed that they do not count.
		for w.need(1); w.start < w.end && (w.buf[w.start] == '\n' || w.buf[w.start] == '\r'); w.need(1) {
			w.advance(1)
		}
		if w.start == w.end {
			return w.err
		}
		w.need(maxCount + 1)
		n, at := octetCount(w.bytes())
		if at == 0 || n > o.max {
			o.text = true
			continue
		}
		w.need(at + n)
		b := w.bytes()
		f.Raw = b[at:min(len(b), at+n)]
		w.advance(at + len(f.Raw))
		if len(f.Raw) == 0 {
			continue
		}
		if len(f.Raw) < n {
			if f.Damaged = reasonOf(w.err); f.Damaged == "" {
				f.Damaged = CutOctets
			}
			return nil
		}
		if f.Raw[0] == '<' {
			f.Kind = trailward.KindSyslog
		}
		return nil
	}
}

// octetCount reads a length and the space behind it, at bytes; 0 when there is none.
func octetCount(b []byte) (n, at int) {
	for at < len(b) && at < maxCount && b[at] >= '0' && b[at] <= '9' {
		n = n*10 + int(b[at]-'0')
		at++
	}
	if at == 0 || b[0] == '0' || at == len(b) || b[at] != ' ' {
		return 0, 0
	}
	return n, at + 1
}

// isOctets reports whether b begins with messages whose lengths are counted, as
// far as b goes; more says that the file goes on behind it.
func isOctets(b []byte, more bool) bool {
	for frames := 0; ; frames++ {
		n, at := octetCount(b)
		if at == 0 || at == len(b) || b[at] != '<' {
			return frames > 1 // two in a row are no chance
		}
		if b = b[at:]; n >= len(b) {
			return frames > 0 || n == len(b) && !more || n > len(b) && more
		}
		b = bytes.TrimLeft(b[n:], "\r\n")
		if len(b) == 0 || frames == sniffed {
			return true
		}
		if len(b) <= maxCount+1 { // too little to tell
			return b[0] >= '1' && b[0] <= '9'
		}
	}
}
