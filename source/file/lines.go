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
	open    bool // the line returned last has no LF: the stream ends there
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
			l.open = true
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

// lines makes each line a record, but for those that are wrappers around records.
type lines struct {
	cut     lineCutter
	flow    bool // look for header lines of flow logs, and for what wraps lines
	columns []string
	report  *Report      // nil: look for no payloads
	sub     subscription // of the line that the window begins with
	msg     flowMessage  // the same
	size    int          // of that line, not 0 when sub or msg is being given out
	vals    *values      // for wrappers; nil: look for none
	within  bool         // in one of them
	object  bool         // the line before was an object
	before  [512]byte    // the beginning of the line before, when it was none
	held    int          // of before
}

func (l *lines) next(w *window, f *trailward.Framed) error {
	for {
		if l.size > 0 {
			if l.msg.next(f) || l.sub.next(f) {
				return nil
			}
			w.advance(l.size)
			l.size = 0
		}
		if l.within {
			if err := l.vals.next(w, f); err != errOne {
				return err
			}
			l.within = false
			l.passEnd(w)
		}
		goesOn := l.cut.cutting
		line, damaged, err := l.cut.next(w)
		if err != nil {
			return err
		}
		if l.report != nil && damaged == "" && bytes.HasPrefix(line, []byte(packedPrefix)) && l.sub.openPacked(bytes.TrimSuffix(line, []byte("\r")), l.report) {
			l.size = l.back(w, line)
			continue
		}
		if c := line[0]; (c == '{' || c == '[') && (damaged == "" || !goesOn) {
			switch leadOf(line) {
			case wrapperLead:
				if l.vals == nil {
					break
				}
				if l.wrapper(w, line) {
					l.within, l.object = true, true
					continue
				}
				// The window may have moved.
				if line, damaged, err = l.cut.next(w); err != nil {
					return err
				}
			case entryLead:
				if l.vals == nil || damaged != "" {
					break
				}
				if c == '[' && isLookup(line) { // an entry by itself is a record as it is
					l.back(w, line)
					l.within, l.object = true, true
					continue
				}
			case messageLead:
				if l.flow && damaged == "" && l.msg.open(line) {
					l.size = l.back(w, line)
					l.object = true
					continue
				}
			}
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
			if damaged == "" && l.half(line) {
				damaged = HalfLine
			}
		}
		f.Raw, f.Damaged = line, damaged
		return nil
	}
}

// back puts the line that was cut last, or its first piece, back into the window, and returns
// how many bytes it has there.
func (l *lines) back(w *window, line []byte) int {
	n := len(line)
	if !l.cut.open && !l.cut.cutting {
		n++ // LF
	}
	l.cut.open, l.cut.cutting = false, false
	w.advance(-n)
	return n
}

// wrapper reports whether a line begins a wrapper. The line is back in the window then,
// and when it is none.
func (l *lines) wrapper(w *window, line []byte) bool {
	l.back(w, line)
	if w.off < l.vals.blind {
		return false
	}
	w.need(headSize)
	b := w.bytes()
	return wraps(b[:min(len(b), headSize)])
}

// passEnd passes over the end of the line that a wrapper was in.
func (l *lines) passEnd(w *window) {
	if w.start > 0 && w.buf[w.start-1] == '\n' {
		return // it was broken, and is out as a line
	}
	for w.need(1); w.start < w.end; w.need(1) {
		c := w.buf[w.start]
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return
		}
		w.advance(1)
		if c == '\n' {
			return
		}
	}
}

// reasonOf gives the reason for which a stream ended, empty for its end.
func reasonOf(err error) string {
	if err == nil || err == io.EOF {
		return ""
	}
	return damageOf("", err).Reason
}

// half reports whether a line is the first half of what the line before was
// whole: an object that does not end, or at the end of the file, where a writer
// was interrupted, a line that is not of the kind of the one before, of kinds that
// only machines write. Text has no halves, and syslog's messages may be text.
func (l *lines) half(line []byte) bool {
	if line[0] == '{' {
		last := line[len(line)-1]
		if last == '\r' && len(line) > 1 {
			last = line[len(line)-2]
		}
		whole := last == '}'
		if whole || !l.object {
			l.object = whole
			return false
		}
		var sc format.JSONScanner
		_, state := sc.Scan(line)
		return state == format.ScanMore
	}
	l.object = false
	if l.cut.open && l.held > 0 {
		kind := format.ClassifyLine(l.before[:l.held])
		if l.columns != nil {
			kind = trailward.KindVPCFlow
		}
		switch kind {
		case trailward.KindVPCFlow:
			_, ok := format.Split(kind, line, l.columns, nil)
			return !ok
		case trailward.KindLinuxAudit:
			return format.ClassifyLine(line) != kind
		}
		return false
	}
	l.held = copy(l.before[:], line)
	return false
}
