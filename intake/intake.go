// Package intake is the one door into the store, whatever protocol brought a
// record: it decides the record's kind by its bytes, finds its event time and
// takes it apart. It gets what a source framed and gives a record that the
// store can append; it does no I/O.
//
// Invariants: every record that comes in goes out, with the same bytes; what is
// not of the kind that it claims to be becomes text, and the reason is told.
package intake

import (
	"slices"
	"time"

	"trailward"
	"trailward/format"
	"trailward/shape"
)

// opaque is the fields of all kinds whose objects stay JSON text. One set
// serves every kind: the record is taken apart before its kind is known.
var opaque = func() map[string]bool {
	m := map[string]bool{}
	for _, k := range trailward.Kinds {
		for _, p := range format.OpaquePaths(k) {
			m[p] = true
		}
	}
	// An audit event's annotations have few keys, and the decision is there;
	// where another record's have many, a segment's own limits help.
	delete(m, "annotations")
	return m
}()

// Opaque reports whether the objects in a field stay JSON text because their
// keys vary without bound.
func Opaque(path string) bool { return opaque[path] }

// Preparer prepares records one after another. It is not safe for concurrent use.
type Preparer struct {
	taker  *shape.Taker
	shapes map[*shape.Shape]shapeInfo
	fields []trailward.Field
	// last is the shape of the latest record that is a line, and which of its
	// holes may hold the event time.
	last      *shape.Shape
	lastKind  trailward.Kind
	lastTimes []int
	flow      flowShape
	words     [][]byte
}

// flowShape is the shape of the flow logs that [format.FlowLine] takes apart, of
// certain columns with certain words missing.
type flowShape struct {
	shape   *shape.Shape // nil when none is known
	columns []string
	none    uint64
}

// shapeInfo is what a JSON record's shape alone decides.
type shapeInfo struct {
	kind  trailward.Kind
	times []int // the holes that may hold the event time, best first
}

// maxShapes bounds the memory of the shapes met; beyond it all are forgotten.
const maxShapes = 1 << 15

// NewPreparer returns a Preparer.
func NewPreparer() *Preparer {
	return &Preparer{taker: shape.NewTaker(Opaque), shapes: map[*shape.Shape]shapeInfo{}}
}

// Prepare makes a record of what a source framed. The record shares f.Raw, and
// the Taken lives until the next call. mismatch says why the record is kept as
// text although the framing, or the caller, gave another kind; it is empty
// otherwise.
func (p *Preparer) Prepare(f *trailward.Framed, group, stream string, arrival time.Time) (r trailward.Record, t shape.Taken, mismatch string) {
	r = trailward.Record{Group: group, Stream: stream, Kind: f.Kind, Time: f.Time, Arrival: arrival.UnixNano(), Raw: f.Raw, Columns: f.Columns, Attrs: f.Attrs}
	auto := f.Kind == ""
	isJSON := false
	if looksJSON(f.Raw) && (auto || maybeJSON(f.Kind)) {
		if t, isJSON = p.taker.JSON(f.Raw, shape.Full); isJSON {
			info := p.info(t.Shape)
			switch {
			case auto:
				r.Kind = info.kind
			case f.Kind == trailward.KindContainer || f.Kind == trailward.KindLambda || f.Kind == trailward.KindJSON || f.Kind == info.kind:
			default:
				// The kind binds: who may write one kind writes no other.
				r.Kind, mismatch = trailward.KindText, "not "+string(f.Kind)
				t = p.taker.Text(f.Raw)
				info = shapeInfo{}
			}
			if r.Time == 0 {
				r.Time = firstTime(t, info.times, arrival)
			}
		}
	}
	if !isJSON {
		whole := false
		if auto && f.Columns == nil {
			if t, whole = p.flowLine(f.Raw, nil); whole {
				r.Kind = trailward.KindVPCFlow
			}
		}
		if auto && !whole {
			r.Kind = format.ClassifyLine(f.Raw)
		}
		if !whole {
			t, whole = p.line(&r)
		}
		if !whole {
			r.Kind, mismatch = trailward.KindText, "not "+string(r.Kind)
			if auto {
				mismatch = "" // the classifier looks at a line's beginning only
			}
		}
		if r.Time == 0 {
			r.Time = p.lineTime(&r, t, arrival)
		}
	}
	if r.Time == 0 {
		r.Time, r.Untimed = r.Arrival, true
	}
	return r, t, mismatch
}

// Take takes apart a record whose kind is known, as Prepare did it.
func (p *Preparer) Take(r *trailward.Record) shape.Taken {
	if maybeJSON(r.Kind) && looksJSON(r.Raw) {
		if t, ok := p.taker.JSON(r.Raw, shape.Full); ok {
			return t
		}
	}
	t, _ := p.line(r)
	return t
}

// flowLine takes apart a flow log that is written as they nearly all are: of one
// shape with the one before, so that there is nothing to compare. ok is false for others.
func (p *Preparer) flowLine(raw []byte, columns []string) (t shape.Taken, ok bool) {
	var none uint64
	if p.words, none, ok = format.FlowLine(raw, columns, p.words[:0]); !ok {
		return t, false
	}
	if s := &p.flow; s.shape == nil || s.none != none || !sameColumns(s.columns, columns) {
		if p.fields, ok = format.Split(trailward.KindVPCFlow, raw, columns, p.fields[:0]); !ok {
			return t, false
		}
		t = p.taker.Line(raw, p.fields)
		if t.Shape.Verbatim { // a column twice: its values are not the words
			*s = flowShape{}
			return t, true
		}
		*s = flowShape{t.Shape, columns, none}
	}
	return shape.Taken{Shape: p.flow.shape, Values: p.words}, true
}

// sameColumns reports whether two lists of columns are alike, and at once when
// they are one, as for all lines of a file.
func sameColumns(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b)) && (a == nil) == (b == nil)
}

// line takes apart a record that is not JSON. whole is false when it is not of
// its kind, and was taken as text.
func (p *Preparer) line(r *trailward.Record) (t shape.Taken, whole bool) {
	switch r.Kind {
	case trailward.KindText, trailward.KindContainer:
		return p.taker.Text(r.Raw), true
	case trailward.KindVPCFlow, trailward.KindDNS, trailward.KindLambda, trailward.KindLinuxAudit, trailward.KindSyslog, trailward.KindJournal:
		var ok bool
		if r.Kind == trailward.KindVPCFlow {
			if t, ok = p.flowLine(r.Raw, r.Columns); ok {
				return t, true
			}
		}
		if p.fields, ok = format.Split(r.Kind, r.Raw, r.Columns, p.fields[:0]); ok {
			return p.taker.Line(r.Raw, p.fields), true
		}
	}
	return p.taker.Text(r.Raw), false
}

func (p *Preparer) lineTime(r *trailward.Record, t shape.Taken, ref time.Time) int64 {
	if r.Kind == trailward.KindText {
		ns, _ := format.TextTime(r.Raw, ref)
		return ns
	}
	if t.Shape != p.last || r.Kind != p.lastKind {
		p.last, p.lastKind, p.lastTimes = t.Shape, r.Kind, timeHoles(p.lastTimes[:0], r.Kind, t.Shape)
	}
	ns := firstTime(t, p.lastTimes, ref)
	if ns == 0 && r.Kind == trailward.KindLambda { // what a function wrote by itself
		ns, _ = format.TextTime(r.Raw, ref)
	}
	return ns
}

// timeHoles appends the holes that may hold the event time, best first.
func timeHoles(dst []int, kind trailward.Kind, s *shape.Shape) []int {
	for _, path := range format.TimePaths(kind) {
		for i, h := range s.Holes {
			if h.Path == path && h.Form != shape.JSON {
				dst = append(dst, i)
			}
		}
	}
	return dst
}

// firstTime returns the first time that can be read, or 0.
func firstTime(t shape.Taken, holes []int, ref time.Time) int64 {
	for _, i := range holes {
		if ns, ok := format.ParseTime(t.Values[i], ref); ok {
			return ns
		}
	}
	return 0
}

func (p *Preparer) info(s *shape.Shape) shapeInfo {
	info, ok := p.shapes[s]
	if ok {
		return info
	}
	if len(p.shapes) >= maxShapes {
		clear(p.shapes)
	}
	info.kind = trailward.KindJSON
	if len(s.Holes) != 1 || s.Holes[0].Path != shape.RestPath {
		info.kind = format.ClassifyObject(func(path string) bool { return has(s, path) })
	}
	info.times = timeHoles(nil, info.kind, s)
	p.shapes[s] = info
	return info
}

// has reports whether records of shape s have the field, or fields below it.
func has(s *shape.Shape, path string) bool {
	for _, h := range s.Holes {
		if h.Path == path || len(h.Path) > len(path) && h.Path[len(path)] == '.' && h.Path[:len(path)] == path {
			return true
		}
	}
	return false
}

// maybeJSON reports whether records of the kind can be JSON objects.
func maybeJSON(k trailward.Kind) bool {
	switch k {
	case trailward.KindText, trailward.KindVPCFlow, trailward.KindLinuxAudit, trailward.KindSyslog:
		return false
	}
	return true
}

func looksJSON(b []byte) bool {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return len(b) > 0 && b[0] == '{'
}
