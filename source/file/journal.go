package file

import (
	"bytes"

	"trailward"
	"trailward/format"
)

// journal cuts the export form of systemd's journal into entries, which an
// empty line separates. A binary field may hold empty lines, so the fields are
// walked one by one; an entry that is broken reaches to the next empty line.
type journal struct {
	max    int
	broken bool // a broken entry is being given out, in pieces if it is too long
	sound  int  // how many of its bytes, of those held, lie before the place where it is broken
}

func (j *journal) next(w *window, f *trailward.Framed) error {
	if !j.broken {
		for w.need(1); w.start < w.end && w.buf[w.start] == '\n'; w.need(1) {
			w.advance(1)
		}
		if w.start == w.end {
			return w.err
		}
		n, end, ok := j.entry(w)
		if ok {
			f.Raw, f.Kind = w.bytes()[:end], trailward.KindJournal
			w.advance(n)
			if w.start == w.end { // no empty line behind it: it may have been cut
				f.Damaged = reasonOf(w.err)
			}
			return nil
		}
		j.broken, j.sound = true, n
	}
	f.Damaged = BrokenJournal
	for seen := j.sound; ; {
		b := w.bytes()
		b = b[:min(len(b), j.max)]
		if i := bytes.Index(b[seen:], []byte("\n\n")); i >= 0 {
			f.Raw, j.broken, j.sound = b[:seen+i], false, 0
			w.advance(seen + i + 2)
			return nil
		}
		if len(b) == j.max {
			f.Raw, j.sound = b, 0
			w.advance(len(b))
			return nil
		}
		seen = max(j.sound, len(b)-1)
		if !w.fill() {
			j.broken = false
			w.advance(len(b))
			f.Raw = bytes.TrimSuffix(b, []byte("\n"))
			if len(f.Raw) == 0 {
				return w.err
			}
			return nil
		}
	}
}

// entry finds the entry at the window's start: n bytes, of which the LF after
// the last field, behind end, is framing. ok is false when the entry is too
// large or not well formed from n on.
func (j *journal) entry(w *window) (n, end int, ok bool) {
	for {
		b := w.bytes()
		if n == len(b) {
			if w.fill() {
				continue
			}
			return n, end, true
		}
		if b[n] == '\n' {
			return n, end, true
		}
		_, _, e, next, size, ok := format.JournalField(b[n:])
		if size > 0 && (!ok || n+next == len(b)) { // more bytes may say more
			if n+size > j.max {
				return n, 0, false
			}
			held := len(b)
			w.need(n + size)
			if w.end-w.start > held {
				continue
			}
		}
		if !ok || n+next > j.max {
			return n, 0, false
		}
		end = n + e
		n += next
	}
}
