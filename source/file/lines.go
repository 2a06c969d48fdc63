package file

import (
	"bytes"
	"io"

	"trailward"
	"trailward/format"
)

// A framer finds the records of one logical file.
type framer interface {
	// next gives the next record. It returns what the window's read ended
	// with when there are no more.
	next(w *window, f *trailward.Framed) error
}

// lineCutter cuts a window into lines.
type lineCutter struct {
	max     int
	seen    int  // bytes held that are known to have no LF
	cutting bool // the line that is being read was too long, and pieces of it are out
}

// next returns the next line without its LF. damaged is the reason why it is
// no whole line, err why there is none.
func (l *lineCutter) next(w *window) (line []byte, damaged string, err error) {
	for {
		b := w.buf[w.start:w.end]
		i := bytes.IndexByte(b[l.seen:], '\n')
		n := l.seen + i
		switch {
		case i < 0 && len(b) > l.max || i >= 0 && n > l.max:
			l.seen, l.cutting = 0, true
			w.advance(l.max)
			return b[:l.max], LineTooLong, nil
		case i < 0:
			l.seen = len(b)
			if w.fill() {
				continue
			}
			l.seen = 0
			if len(b) == 0 || len(b) == 1 && b[0] == '\r' {
				w.advance(len(b))
				return nil, "", w.err
			}
			w.advance(len(b))
			if l.cutting {
				return b, LineTooLong, nil
			}
			return b, reasonOf(w.err), nil
		}
		l.seen = 0
		line = b[:n]
		w.advance(n + 1)
		if l.cutting {
			l.cutting = false
			if n > 0 {
				return line, LineTooLong, nil
			}
			continue
		}
		if n == 0 || n == 1 && line[0] == '\r' {
			continue
		}
		return line, "", nil
	}
}

// lines makes each line a record.
type lines struct {
	cut     lineCutter
	flow    bool // look for header lines of flow logs
	columns []string
}

func (l *lines) next(w *window, f *trailward.Framed) error {
	for {
		line, damaged, err := l.cut.next(w)
		if err != nil {
			return err
		}
		if l.flow {
			if c := line[0]; c >= 'a' && c <= 'z' && damaged == "" {
				if cols := format.FlowHeader(line); cols != nil {
					l.columns = cols
					continue
				}
			}
			if l.columns != nil && damaged == "" {
				f.Kind, f.Columns = trailward.KindVPCFlow, l.columns
			}
		}
		f.Raw, f.Damaged = line, damaged
		return nil
	}
}

// reasonOf gives the reason for which a stream ended, empty for its end.
func reasonOf(err error) string {
	if err == nil || err == io.EOF {
		return ""
	}
	return damageOf("", err).Reason
}
