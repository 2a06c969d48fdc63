package file

import (
	"hash"
	"io"
)

// window is the part of a stream that is held: buf[start:end]. What framers
// return points into it and is gone with the next fill.
type window struct {
	r          io.Reader
	buf        []byte
	start, end int
	off        int64     // place of buf[start] in the stream
	err        error     // why there is no more to read; io.EOF at the end
	hash       hash.Hash // of the bytes before the place summed
	summed     int64     // at most off; what is between them is still in buf
}

// sum brings the hash up to off.
func (w *window) sum() {
	w.hash.Write(w.buf[w.start-int(w.off-w.summed) : w.start])
	w.summed = w.off
}

// bytes is what is held.
func (w *window) bytes() []byte { return w.buf[w.start:w.end] }

// advance passes over n bytes that are held.
func (w *window) advance(n int) {
	w.start += n
	w.off += int64(n)
}

// fill reads more behind what is held and reports whether it did.
func (w *window) fill() bool {
	if w.err != nil {
		return false
	}
	w.sum()
	held := w.end - w.start
	if w.start > 0 && (held == 0 || len(w.buf)-w.end < len(w.buf)/4) {
		copy(w.buf, w.buf[w.start:w.end])
		w.start, w.end = 0, held
	}
	if len(w.buf)-w.end < len(w.buf)/8 || len(w.buf) == 0 {
		grown := make([]byte, max(windowSize, 2*len(w.buf)))
		copy(grown, w.buf[w.start:w.end])
		w.buf, w.start, w.end = grown, 0, held
	}
	room := w.buf[w.end:]
	for range 100 {
		n, err := w.r.Read(room)
		w.end += n
		w.err = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	w.err = io.ErrNoProgress
	return false
}

// need fills until n bytes are held, or there are no more.
func (w *window) need(n int) {
	for w.end-w.start < n && w.fill() {
	}
}

// blank passes over white space and returns the byte behind it; ok is false at
// the end.
func (w *window) blank() (c byte, ok bool) {
	for {
		for w.start < w.end {
			if c := w.buf[w.start]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				return c, true
			}
			w.advance(1)
		}
		if !w.fill() {
			return 0, false
		}
	}
}
