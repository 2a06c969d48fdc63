package api

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"unsafe"

	"trailward"
)

const (
	// auditPiece is how much of an EventList is stored at once, in bytes: a list as
	// API servers usually send it is one piece.
	auditPiece = 4 << 20
	// auditPieceRecords is the same in records; real events have 500 bytes and more.
	auditPieceRecords = 8192
)

// errNotEventList means that a body holds no list of audit events.
var errNotEventList = errors.New("not an EventList")

// eventList takes the items out of an EventList as it arrives, each with its
// exact bytes, and stores them piece by piece: a list of any size needs the
// memory of a piece, or of its longest event. It looks at the outermost object
// only and never recurses, so that depth costs nothing. An item is whatever
// stands between the commas, an audit event or not: what it is, intake finds out.
//
// A list that breaks off keeps the items before that place, and all that
// follows as a damaged record. An object that says kind Event is a list of itself.
// Events over maxEvent are kept in damaged pieces of that size. Where things are
// cut depends on the bytes of the body alone and not on how they arrive: the
// same list sent again is cut in the same places.
type eventList struct {
	src                         io.Reader
	piece, maxRecords, maxEvent int
	// hold reserves memory, or reports that there is none; give gives it back.
	hold func(n int64) bool
	give func(n int64)
	// store keeps a piece, whose records are valid until it returns. sum is the
	// hash of the body up to the piece's end.
	store func(records []trailward.Framed, sum [32]byte) error

	buf    []byte
	err    error // why nothing more comes: io.EOF, or what went wrong
	gone   int64 // bytes of the body before buf
	pos    int   // the next byte to be looked at
	mark   int   // where that begins which must stay in buf; -1: nothing before pos
	what   marked
	long   bool // the event at mark had pieces before
	sum    hash.Hash
	summed int // bytes of buf that are in sum
	items  []item
	frames []trailward.Framed
	pieces int  // handed to store
	ended  bool // store has failed: it is not called again
}

// item is a record, buf[from:to].
type item struct {
	from, to int
	damage   string
}

// itemSize is what a record costs beside its bytes.
const itemSize = int64(unsafe.Sizeof(item{})) + framedSize

// marked says what begins at eventList.mark, and so what becomes of it when it
// has more bytes than an event may have.
type marked int

const (
	markedEvent  marked = iota // is kept in pieces
	markedMember               // a member that is no event: is forgotten
	markedStart                // the object before it is known what it is: it is no list
)

// wordSize is the length of the longest word that list looks for.
const wordSize = len(`"EventList"`)

// release gives the memory back.
func (l *eventList) release() {
	l.give(int64(cap(l.buf)) + int64(cap(l.items))*itemSize)
	l.buf, l.items = nil, nil
}

// salvage stores the whole items that are left after read has failed. It cuts the
// list where it would not be cut otherwise.
func (l *eventList) salvage() { l.flush() }

// read takes the list apart to the body's end. [errNotEventList]: the body is
// none. Errors of src and store, and [errNoMemory], end it. The caller calls
// release when it is done.
func (l *eventList) read() error {
	l.mark, l.sum = -1, sha256.New()
	err := l.list()
	if l.broken() {
		return l.err
	}
	if err != nil {
		return err
	}
	l.mark, l.pos = -1, len(l.buf)
	if l.pieces == 0 || len(l.items) > 0 {
		l.flushAlways()
	}
	if l.broken() {
		return l.err
	}
	return nil
}

// list reads the outermost object and what follows it.
func (l *eventList) list() error {
	if l.token() != '{' {
		return errNotEventList
	}
	l.setMark(markedStart)
	l.pos++
	if l.token() == '}' {
		return errNotEventList
	}
	known, hasItems := false, false // known: it is a list
	rest := func() error {
		if !hasItems {
			return errNotEventList
		}
		l.rest()
		return nil
	}
	for {
		c := l.token()
		if known {
			l.setMark(markedMember)
		}
		if c != '"' {
			return rest()
		}
		key, ok := l.word()
		if !ok || l.token() != ':' {
			return rest()
		}
		l.pos++
		if c = l.token(); key == `"items"` && c == '[' {
			known, hasItems = true, true
			l.pos++
			if !l.array() {
				return nil
			}
		} else {
			value, ok := l.word()
			switch {
			case !ok:
				return rest()
			case key == `"items"` && value == "null": // what Go writes for no items
				known, hasItems = true, true
			case key == `"kind"` && value == `"Event"` && !known:
				// The whole object is the event.
				l.pos, l.what = l.mark, markedEvent
				if l.event() {
					l.end()
				}
				return nil
			case key == `"kind"` && value == `"EventList"`:
				known = true
			case key == `"kind"`:
				l.items = l.items[:0] // they are not audit events
				return errNotEventList
			}
		}
		switch l.token() {
		case ',':
			l.pos++
		case '}':
			l.pos++
			if !hasItems {
				return errNotEventList
			}
			l.end()
			return nil
		default:
			l.setMark(markedEvent)
			return rest()
		}
	}
}

// array reads items up to the bracket after the last one. Where they break
// off, all that follows is kept, and the result is false.
func (l *eventList) array() bool {
	l.mark = -1
	if l.token() == ']' {
		l.pos++
		return true
	}
	for {
		l.token()
		l.setMark(markedEvent)
		if !l.event() {
			return false
		}
		switch l.token() {
		case ',':
			l.pos++
		case ']':
			l.pos++
			return true
		default:
			l.setMark(markedEvent)
			l.rest()
			return false
		}
	}
}

// event reads the event that begins at mark. Where it breaks off, all that
// follows is kept, and the result is false.
func (l *eventList) event() bool {
	if !l.value() {
		l.rest()
		return false
	}
	l.add("")
	return true
}

// end keeps what comes behind the list.
func (l *eventList) end() {
	l.mark = -1
	l.token()
	l.setMark(markedEvent)
	l.rest()
}

// rest keeps everything from mark on as damaged.
func (l *eventList) rest() {
	l.what = markedEvent
	for more := true; more; more = l.more() {
		l.pos = len(l.buf)
	}
	if l.broken() {
		return
	}
	// Where nothing but white space is left, the last item was whole.
	l.pos = l.mark + len(bytes.TrimRight(l.buf[l.mark:], " \t\r\n"))
	l.add(damageCutList)
}

// add makes a record of what lies between mark and here.
func (l *eventList) add(damage string) {
	if l.long || l.pos-l.mark > l.maxEvent {
		damage = damageLongEvent
	}
	for from := l.mark; from < l.pos; {
		to := min(l.pos, from+l.maxEvent)
		l.mark = to
		l.put(item{from, to, damage})
		from = l.mark
	}
	l.mark, l.long = -1, false
}

// put adds a record to the piece. It does not move buf.
func (l *eventList) put(it item) {
	if len(l.items) == l.maxRecords {
		l.flush()
	}
	if len(l.items) == cap(l.items) {
		n := min(max(2*cap(l.items), 64), l.maxRecords)
		if !l.hold(int64(n-cap(l.items)) * itemSize) {
			l.fail(errNoMemory)
			return
		}
		l.items = append(make([]item, 0, n), l.items...)
	}
	l.items = append(l.items, it)
}

// flush stores the records that there are.
func (l *eventList) flush() {
	if len(l.items) > 0 {
		l.flushAlways()
	}
}

func (l *eventList) flushAlways() {
	if cap(l.frames) < len(l.items) {
		l.frames = make([]trailward.Framed, 0, cap(l.items))
	}
	l.frames = l.frames[:0]
	for _, it := range l.items {
		l.frames = append(l.frames, trailward.Framed{Raw: l.buf[it.from:it.to:it.to], Damaged: it.damage})
	}
	l.items = l.items[:0]
	if l.ended {
		return
	}
	l.addSum(l.needed())
	var sum [32]byte
	l.sum.Sum(sum[:0])
	l.pieces++
	if err := l.store(l.frames, sum); err != nil {
		l.ended = true
		l.fail(err)
	}
}

func (l *eventList) addSum(to int) {
	if to > l.summed {
		l.sum.Write(l.buf[l.summed:to])
		l.summed = to
	}
}

func (l *eventList) fail(err error) {
	if l.err == nil || l.err == io.EOF {
		l.err = err
	}
}

// broken reports whether the body ended otherwise than whole.
func (l *eventList) broken() bool { return l.err != nil && l.err != io.EOF }

// setMark keeps what begins here.
func (l *eventList) setMark(what marked) { l.mark, l.what = l.pos, what }

// needed is where that begins which must stay in buf, but for items.
func (l *eventList) needed() int {
	if l.mark >= 0 {
		return l.mark
	}
	return l.pos
}

// more reads on, at least one byte. It is called when all that was read is
// looked at, and changes what buf, pos and mark are.
func (l *eventList) more() bool {
	for l.err == nil {
		if len(l.buf) == cap(l.buf) {
			l.room()
			continue
		}
		n, err := l.src.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		l.err = err
		if n > 0 {
			return true
		}
	}
	return false
}

// room makes room in a full buf: by storing the piece that it holds, by letting
// go of what is not needed, by cutting an event that is too long, or by growing.
func (l *eventList) room() {
	most := max(l.piece, l.maxEvent+1)
	if cap(l.buf) >= l.piece {
		if l.flush(); l.err != nil {
			return
		}
	}
	if len(l.items) == 0 {
		if l.mark == 0 && len(l.buf) == most {
			switch l.what {
			case markedEvent:
				l.mark, l.long = l.maxEvent, true
				l.put(item{0, l.maxEvent, damageLongEvent})
				if l.flush(); l.err != nil {
					return
				}
			case markedMember:
				l.mark = l.pos - wordSize
			case markedStart:
				l.fail(errNotEventList)
				return
			}
		}
		if n := l.needed(); n > 0 {
			l.addSum(n)
			l.buf = l.buf[:copy(l.buf, l.buf[n:])]
			l.gone += int64(n)
			l.pos -= n
			l.mark = max(l.mark-n, -1)
			l.summed -= n
			return
		}
	}
	size := min(max(2*cap(l.buf), firstRead), most)
	if !l.hold(int64(size)) {
		l.fail(errNoMemory)
		return
	}
	l.give(int64(cap(l.buf)))
	l.buf = append(make([]byte, 0, size), l.buf...)
}

// token goes over white space and returns the byte behind it, 0 at the end.
func (l *eventList) token() byte {
	for l.pos < len(l.buf) || l.more() {
		switch c := l.buf[l.pos]; c {
		case ' ', '\t', '\r', '\n':
			l.pos++
		default:
			return c
		}
	}
	return 0
}

// word reads a value and returns it if it has at most wordSize bytes.
func (l *eventList) word() (word string, ok bool) {
	from := l.gone + int64(l.pos)
	ok = l.value()
	if n := l.gone + int64(l.pos) - from; ok && n <= int64(wordSize) {
		word = string(l.buf[l.pos-int(n) : l.pos])
	}
	return word, ok
}

// value reads any value. It is lenient about what is inside a value and exact
// about where it ends. Brackets are counted, not matched: a value whose brackets
// do not fit together is not JSON, and intake will see that.
func (l *eventList) value() bool {
	depth := 0
	for l.pos < len(l.buf) || l.more() {
		switch l.buf[l.pos] {
		case '{', '[':
			depth++
			l.pos++
		case '}', ']':
			if depth == 0 {
				return false
			}
			depth--
			l.pos++
		case '"':
			if !l.str() {
				return false
			}
		case ' ', '\t', '\r', '\n', ',', ':':
			if depth == 0 {
				return false
			}
			l.pos++
			continue
		default:
			for (l.pos < len(l.buf) || l.more()) && !delimiter(l.buf[l.pos]) {
				l.pos++
			}
			if l.broken() && l.pos == len(l.buf) {
				return false // half a number looks like one
			}
		}
		if depth == 0 {
			return true
		}
	}
	return false
}

// str reads a string.
func (l *eventList) str() bool {
	l.pos++
	if i := bytes.IndexByte(l.buf[l.pos:], '"'); i >= 0 && bytes.IndexByte(l.buf[l.pos:l.pos+i], '\\') < 0 {
		l.pos += i + 1
		return true
	}
	escaped := false
	for l.pos < len(l.buf) || l.more() {
		for i, c := range l.buf[l.pos:] {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				l.pos += i + 1
				return true
			}
		}
		l.pos = len(l.buf)
	}
	return false
}

func delimiter(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ',', ':', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}
