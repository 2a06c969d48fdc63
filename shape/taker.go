package shape

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"trailward"
)

// Detail says how far a JSON record is taken apart.
type Detail uint8

// The details, finest first. A segment that meets too many shapes or fields
// goes on with the next coarser one.
const (
	Full Detail = iota // every member, down to MaxDepth objects
	Top                // the members of the outermost object; objects stay JSON text
	Rest               // the whole record is one JSON text in RestPath
	details
)

// Limits of a Taker.
const (
	// MaxDepth is how many objects deep a record is taken apart; what lies
	// deeper stays JSON text.
	MaxDepth = 8
	// MaxKept is how many shapes a Taker remembers before it forgets them all
	// and begins anew. Shapes handed out stay valid.
	MaxKept = 1 << 14
	// MaxKeptBytes bounds the literals of those shapes likewise.
	MaxKeptBytes = 64 << 20
	// MaxEdges is how many ways on a Taker remembers at one place. Beyond it
	// records are parsed, each for itself, and get shapes of their own.
	MaxEdges = 256
	// MaxPath is the longest field path in bytes; a record with a longer one
	// is taken apart as Rest.
	MaxPath = 1024
)

// Taker takes records apart. It remembers the shapes that it has seen, so that
// a record of a known shape costs one comparison of each literal. It is not
// safe for concurrent use; its Taken values live until its next call.
type Taker struct {
	opaque   func(path string) bool
	json     [details]node
	line     node
	last     *Shape // of the latest line
	kept     int    // shapes remembered
	bytes    int    // of their literals
	values   [][]byte
	raws     [][]byte // the values as they stand in the record, escapes and all
	escaped  []int    // which values have escapes
	scratch  []byte
	nest     nesting
	parts    []part
	prefixes []string // the paths of the objects being taken apart
}

// NewTaker returns a Taker. opaque names the fields whose objects stay JSON
// text because their keys vary without bound; nil means none.
func NewTaker(opaque func(path string) bool) *Taker {
	if opaque == nil {
		opaque = func(string) bool { return false }
	}
	return &Taker{opaque: opaque}
}

// node is a place between two pieces of a record: every edge is a literal
// that was seen there, with what follows it.
type node struct {
	edges  []*edge
	shapes []*Shape // of records that end here, one for each style and for verbatim
	dup    bool     // a path occurs twice on the way here: only verbatim shapes
}

type edge struct {
	lit  string
	end  bool // the record ends after lit
	form Form
	path string
	// single says that the hole is the one string of an array.
	single bool
	node
}

// text is the shape of a record that is one text.
var text = &Shape{Lits: []string{"", ""}, Holes: []Hole{{Path: MessagePath, Form: Bare}}}
var textVerbatim = &Shape{Holes: []Hole{{Path: MessagePath, Form: Bare}}, Verbatim: true}

// Text takes apart a record that is one text.
func (t *Taker) Text(raw []byte) Taken {
	t.reset()
	if !utf8.Valid(raw) {
		t.values = append(t.values, t.valid(raw))
		return Taken{textVerbatim, t.values}
	}
	t.values = append(t.values, raw)
	return Taken{text, t.values}
}

// Line takes apart a record whose pieces are known. The fields are in
// ascending order and do not overlap.
func (t *Taker) Line(raw []byte, fields []trailward.Field) Taken {
	t.reset()
	if t.again(raw, fields) {
		return Taken{t.last, t.values}
	}
	t.values = t.values[:0]
	n, pos := &t.line, 0
	for _, f := range fields {
		lit := raw[pos:f.Start]
		var next *edge
		for _, e := range n.edges {
			if !e.end && e.path == f.Path && e.lit == string(lit) {
				next = e
				break
			}
		}
		if next == nil {
			next = t.add(n, &edge{lit: string(lit), path: f.Path})
		}
		n = &next.node
		t.values = append(t.values, raw[f.Start:f.End])
		pos = f.End
	}
	tail := raw[pos:]
	var last *edge
	for _, e := range n.edges {
		if e.end && e.lit == string(tail) {
			last = e
			break
		}
	}
	if last == nil {
		last = t.add(n, &edge{lit: string(tail), end: true})
	}
	verbatim := last.dup
	if !isASCII(raw) {
		for i, v := range t.values {
			if !utf8.Valid(v) {
				t.values[i] = t.valid(v)
				verbatim = true
			}
		}
	}
	if s := last.find(0, verbatim); s != nil {
		t.last = s
		return Taken{s, t.values}
	}
	s := &Shape{Verbatim: verbatim}
	pos = 0
	for _, f := range fields {
		s.Lits = append(s.Lits, string(raw[pos:f.Start]))
		s.Holes = append(s.Holes, Hole{Path: f.Path, Form: Bare})
		pos = f.End
	}
	s.Lits = append(s.Lits, string(tail))
	return Taken{t.keep(&last.node, s), t.values}
}

// again reports whether a line has the shape of the one before, as nearly all
// have, and then has its values in t.values.
func (t *Taker) again(raw []byte, fields []trailward.Field) bool {
	s := t.last
	if s == nil || s.Verbatim || len(s.Holes) != len(fields) || !isASCII(raw) {
		return false
	}
	pos := 0
	for i := range fields {
		f, lit := &fields[i], s.Lits[i]
		if f.Start-pos != len(lit) || len(lit) == 1 && raw[pos] != lit[0] || len(lit) > 1 && string(raw[pos:f.Start]) != lit || f.Path != s.Holes[i].Path {
			return false
		}
		t.values = append(t.values, raw[f.Start:f.End])
		pos = f.End
	}
	return string(raw[pos:]) == s.Lits[len(fields)]
}

func (t *Taker) reset() {
	t.values, t.raws, t.escaped, t.scratch = t.values[:0], t.raws[:0], t.escaped[:0], t.scratch[:0]
	if t.kept > MaxKept || t.bytes > MaxKeptBytes {
		t.json, t.line, t.last, t.kept, t.bytes = [details]node{}, node{}, nil, 0, 0
	}
}

// add puts e under n, unless n has no room, and returns it.
func (t *Taker) add(n *node, e *edge) *edge {
	t.bytes += len(e.lit)
	if len(n.edges) < MaxEdges {
		n.edges = append(n.edges, e)
	}
	return e
}

// valid returns v with U+FFFD for what is not UTF-8.
func (t *Taker) valid(v []byte) []byte { return bytes.ToValidUTF8(v, []byte("\uFFFD")) }

func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (n *node) find(st Style, verbatim bool) *Shape {
	for _, s := range n.shapes {
		if s.Verbatim == verbatim && (verbatim || s.Style == st) {
			return s
		}
	}
	return nil
}

// keep files s at n. Of the values of one path only the last is a field; a
// record with such a duplicate is kept verbatim, since a field has one value.
func (t *Taker) keep(n *node, s *Shape) *Shape {
	last := make(map[string]int, len(s.Holes))
	for i, h := range s.Holes {
		if _, dup := last[h.Path]; dup {
			s.Verbatim, n.dup = true, true
		}
		last[h.Path] = i
	}
	if s.Verbatim {
		s.Lits, s.Style = nil, 0
		for i, h := range s.Holes {
			if last[h.Path] != i {
				s.Holes[i].Path = ""
			}
		}
	}
	n.shapes = append(n.shapes, s)
	t.kept++
	for _, l := range s.Lits {
		t.bytes += len(l)
	}
	return s
}

// JSON takes apart a record that is one JSON object, white space around it
// included. It returns false for anything else.
func (t *Taker) JSON(raw []byte, d Detail) (Taken, bool) {
	t.reset()
	if d == Rest {
		return t.rest(raw)
	}
	if n, ok := t.walk(raw, &t.json[d]); ok {
		if taken, ok := t.finish(n, nil); ok {
			return taken, true
		}
	}
	t.values, t.raws, t.escaped, t.scratch = t.values[:0], t.raws[:0], t.escaped[:0], t.scratch[:0]
	if !t.parse(raw, d) {
		return Taken{}, false
	}
	for _, p := range t.parts {
		if p.form != end && (p.path == "" || len(p.path) > MaxPath || strings.IndexByte(p.path, 0) >= 0) {
			t.values = t.values[:0]
			return t.rest(raw)
		}
	}
	n := &t.json[d]
	for _, p := range t.parts {
		n = t.descend(n, p)
	}
	return t.finish(n, t.parts)
}

var rest = &Shape{Lits: []string{"", ""}, Holes: []Hole{{Path: RestPath, Form: JSON}}}
var restVerbatim = &Shape{Holes: []Hole{{Path: RestPath, Form: JSON}}, Verbatim: true}

func (t *Taker) rest(raw []byte) (Taken, bool) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return Taken{}, false
	}
	end, high := endOfValue(raw, i, &t.nest)
	if end < 0 || skipSpace(raw, end) != len(raw) {
		return Taken{}, false
	}
	if high && !utf8.Valid(raw) {
		t.values = append(t.values, t.valid(raw))
		return Taken{restVerbatim, t.values}, true
	}
	t.values = append(t.values, raw)
	return Taken{rest, t.values}, true
}

// walk follows raw along the literals of shapes already seen. It fails at the
// first thing that no known shape has, and then says nothing about raw.
func (t *Taker) walk(raw []byte, n *node) (*node, bool) {
	pos := 0
next:
	for {
		for _, e := range n.edges {
			if e.end {
				if len(raw)-pos == len(e.lit) && string(raw[pos:]) == e.lit {
					return &e.node, true
				}
				continue
			}
			p := pos + len(e.lit)
			if p >= len(raw) || string(raw[pos:p]) != e.lit {
				continue
			}
			switch e.form {
			case Quoted:
				q, esc, high := endOfString(raw, p)
				if q < 0 {
					return nil, false
				}
				if e.single {
					if c := skipSpace(raw, q+1); c >= len(raw) || raw[c] != ']' {
						continue // an array of several
					}
				}
				t.string(raw[p:q], esc, high)
				pos = q + 1
			case Bare:
				q := -1
				switch c := raw[p]; {
				case c == '-' || c >= '0' && c <= '9':
					q = endOfNumber(raw, p)
				case hasWord(raw, p, "true"):
					q = p + 4
				case hasWord(raw, p, "false"):
					q = p + 5
				}
				if q < 0 {
					continue
				}
				t.bare(raw[p:q], false)
				pos = q
			case JSON:
				if c := raw[p]; c != '[' && c != '{' {
					continue
				}
				if _, _, single := singleString(raw, p); single > 0 {
					continue
				}
				q, high := endOfValue(raw, p, &t.nest)
				if q < 0 {
					return nil, false
				}
				t.bare(raw[p:q], high)
				pos = q
			}
			n = &e.node
			continue next
		}
		return nil, false
	}
}

// string notes the body of a JSON string as the next value.
func (t *Taker) string(body []byte, escapes, high bool) {
	if escapes || high {
		t.escaped = append(t.escaped, len(t.values))
	}
	t.values = append(t.values, body)
	t.raws = append(t.raws, body)
}

func (t *Taker) bare(b []byte, high bool) {
	if high {
		t.escaped = append(t.escaped, len(t.values))
	}
	t.values = append(t.values, b)
	t.raws = append(t.raws, nil)
}

// finish undoes the escapes of the values noted, finds the record's style and
// returns its shape at n. parts describes a record not yet known at n; nil
// means that n must know it, though perhaps in another style.
func (t *Taker) finish(n *node, parts []part) (Taken, bool) {
	var st Style
	verbatim := false
	if len(t.escaped) > 0 {
		// One scratch for all: its slices must stay where they are, so it is
		// made large enough first. An escape is never longer undone, but U+FFFD
		// for one wrong byte is three.
		need := 0
		for _, i := range t.escaped {
			need += 3 * len(t.values[i])
		}
		if cap(t.scratch) < need {
			t.scratch = make([]byte, 0, need)
		}
		buf := t.scratch[:0]
		for _, i := range t.escaped {
			v := t.values[i]
			if t.raws[i] == nil { // JSON text: only UTF-8 is at stake
				if !utf8.Valid(v) {
					t.values[i] = t.valid(v)
					verbatim = true
				}
				continue
			}
			from := len(buf)
			out, s, exact, valid := unescape(buf, v)
			if !valid {
				return Taken{}, false
			}
			buf = out
			t.values[i] = buf[from:len(buf):len(buf)]
			st |= s
			verbatim = verbatim || !exact
		}
		if st != 0 && !verbatim {
			verbatim = !t.exactIn(st, buf)
		}
	}
	verbatim = verbatim || n.dup
	if s := n.find(st, verbatim); s != nil {
		return Taken{s, t.values}, true
	}
	var s *Shape
	if parts != nil {
		s = &Shape{Style: st, Verbatim: verbatim}
		for i, p := range parts {
			lit := p.lit
			if i > 0 && parts[i-1].form == Quoted {
				lit = `"` + lit // the parts leave the closing quote to the value
			}
			s.Lits = append(s.Lits, lit)
			if p.form != end {
				s.Holes = append(s.Holes, Hole{Path: p.path, Form: p.form})
			}
		}
	} else {
		if len(n.shapes) == 0 || n.shapes[0].Verbatim {
			return Taken{}, false // known only verbatim, without its literals: parse it
		}
		known := n.shapes[0]
		s = &Shape{Lits: known.Lits, Holes: append([]Hole(nil), known.Holes...), Style: st, Verbatim: verbatim}
	}
	return Taken{t.keep(n, s), t.values}, true
}

// exactIn reports whether every quoted value, written in style st, gives the
// bytes that stand in the record. spare is scratch space behind the values.
func (t *Taker) exactIn(st Style, spare []byte) bool {
	next := 0
	for i, raw := range t.raws {
		if raw == nil {
			continue
		}
		for next < len(t.escaped) && t.escaped[next] < i {
			next++
		}
		if next == len(t.escaped) || t.escaped[next] != i {
			if !st.plainIn(raw) {
				return false
			}
			continue
		}
		if out := st.Append(spare, t.values[i]); !bytes.Equal(out[len(spare):], raw) {
			return false
		}
	}
	return true
}
