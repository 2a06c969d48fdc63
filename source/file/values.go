package file

import (
	"bytes"
	"errors"
	"io"

	"trailward"
	"trailward/format"
)

// values finds JSON values one after another, and looks into the wrappers
// around them. What is no JSON is given out line by line.
type values struct {
	max    int
	report *Report
	bare   bool // packed payloads stay as they are

	state valueState
	wrap  wrapper
	sc    format.JSONScanner
	open  bool // a value is being scanned
	upto  int  // bytes of it that were scanned and are held
	cut   bool // pieces of it are out
	whole int  // its largest size, max or MaxEnvelope

	line lineCutter // for what is no JSON
	text bool       // a line that is no JSON is being cut
	why  string     // and why
	// Where a value was found broken: no line before that place is looked at
	// as the beginning of another one, so that no byte is scanned again and
	// again.
	blind int64

	single bool // next returns errOne behind each value of the file
	begun  bool // a value of the file has begun
	list   bool // the wrapper is an element of a list

	unquoted []byte // an event of LookupEvents
	flows    bool   // look for flow logs that are wrapped
	msg      flowMessage
	sub      subscription
	size     int        // of what holds sub
	back     valueState // what comes behind it
	end      error      // what next returns from now on
}

type valueState uint8

const (
	between  valueState = iota // before a value of the file
	members                    // in a wrapper, before a member
	elements                   // in the array of records
	events                     // in the log events of a subscription payload, or in flow logs that are wrapped
)

// errOne is what next returns behind a value, when it is asked for a single one.
var errOne = errors.New("one value is read")

// A wrapper is an object or array around records.
type wrapper uint8

const (
	noWrapper wrapper = iota
	listWrapper
	recordsWrapper   // {"Records":[…]}
	eventListWrapper // {"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[…]}
	subscriptionWrapper
	lambdaWrapper // {"awslogs":{"data":"…"}}
	lookupWrapper // {"Events":[{…,"CloudTrailEvent":"…"}],"NextToken":"…"}
)

// frames reports whether a wrapper's member says nothing that a record lacks.
func (k wrapper) frames(key []byte) bool {
	switch k {
	case eventListWrapper:
		switch string(key) {
		case "kind", "apiVersion", "metadata":
			return true
		}
	case lookupWrapper:
		return string(key) == "NextToken" // where the next page begins
	}
	return false
}

func (k wrapper) holds(key []byte) bool {
	switch k {
	case recordsWrapper:
		return string(key) == "Records"
	case eventListWrapper:
		return string(key) == "items"
	case lookupWrapper:
		return string(key) == "Events"
	}
	return false
}

func (v *values) next(w *window, f *trailward.Framed) error {
	for {
		if v.end != nil {
			return v.end
		}
		if v.text {
			if v.cutLine(w, f) {
				return nil
			}
			continue
		}
		if v.open {
			if v.value(w, f) {
				return nil
			}
			continue
		}
		if v.state == events {
			if v.msg.next(f) || v.sub.next(f) {
				return nil
			}
			w.advance(v.size)
			v.state = v.back
			continue
		}
		if v.state == between && v.begun {
			if v.list {
				v.list, v.wrap, v.state = false, listWrapper, elements
			} else if v.begun = false; v.single {
				return errOne
			}
		}
		c, ok := w.blank()
		if !ok {
			v.end = w.err
			if w.err == io.EOF && v.state != between {
				v.end = &Damage{Reason: CutJSON}
			}
			continue
		}
		switch v.state {
		case between:
			switch {
			case w.off < v.blind:
				v.text, v.why = true, BrokenJSON
			case c == '{', c == '[':
				v.begin(w)
			case c == ',': // some tools put commas between the objects of a file
				w.advance(1)
			default:
				v.text, v.why = true, ""
			}
		case elements:
			switch c {
			case ',':
				w.advance(1)
			case ']':
				w.advance(1)
				if v.state = members; v.wrap == listWrapper {
					v.state = between
				}
			default:
				if c != '{' || v.wrap != listWrapper || !v.nested(w) {
					v.scan(v.max)
				}
			}
		case members:
			switch c {
			case ',':
				w.advance(1)
			case '}':
				w.advance(1)
				v.state = between
			default:
				if v.member(w, f) {
					return nil
				}
			}
		}
	}
}

// begin looks at the value of the file that begins at the window's start.
func (v *values) begin(w *window) {
	w.need(headSize)
	b := w.bytes()
	v.begun = true
	v.enter(w, probe(b[:min(len(b), headSize)]))
}

// nested begins an element of a list, if that is a wrapper itself, and reports so.
func (v *values) nested(w *window) bool {
	w.need(leadSize)
	if leadOf(w.bytes()) != wrapperLead {
		return false
	}
	w.need(headSize)
	b := w.bytes()
	k := probe(b[:min(len(b), headSize)])
	if k == noWrapper {
		return false
	}
	v.list, v.state = true, between
	v.enter(w, k)
	return true
}

// enter begins a value that is a wrapper of kind k, or none.
func (v *values) enter(w *window, k wrapper) {
	v.wrap = k
	switch k {
	case listWrapper:
		w.advance(1)
		v.state = elements
	case recordsWrapper, eventListWrapper, lookupWrapper:
		w.advance(1)
		v.state = members
	case subscriptionWrapper, lambdaWrapper:
		v.scan(max(v.max, MaxEnvelope))
	default:
		v.scan(v.max)
	}
}

func (v *values) scan(whole int) {
	v.sc.Reset()
	v.open, v.upto, v.cut, v.whole = true, 0, false, whole
}

// value scans on and reports whether there is a record.
func (v *values) value(w *window, f *trailward.Framed) bool {
	for {
		b := w.bytes()
		b = b[:min(len(b), v.whole)]
		n, state := v.sc.Scan(b[v.upto:])
		v.upto += n
		switch {
		case state == format.ScanBroken:
			v.open = false
			if n := v.element(w, v.upto); n > 0 {
				v.give(w, f, n, BrokenJSON)
				return true
			}
			v.broken(w, v.upto)
			return false
		case state == format.ScanDone:
			v.open = false
			if v.upto == 0 {
				return false // a piece that is out ended just here
			}
			if v.wrap == subscriptionWrapper && v.state == between && !v.cut && v.sub.open(b[:v.upto]) {
				if v.sub.control {
					v.report.Control++
					w.advance(v.upto)
				} else {
					v.state, v.back, v.size = events, between, v.upto
				}
				return false
			}
			if v.packed(b[:v.upto]) {
				v.state, v.back, v.size = events, v.state, v.upto
				return false
			}
			if v.plain() && v.flows && leadOf(b[:v.upto]) == messageLead && v.msg.open(b[:v.upto]) {
				v.state, v.back, v.size = events, v.state, v.upto
				return false
			}
			if v.state == elements && v.wrap == lookupWrapper && !v.cut || v.plain() && v.wrap == listWrapper && leadOf(b[:v.upto]) == entryLead && isEntry(b[:v.upto]) {
				var ok bool
				if v.unquoted, ok = lookedUp(b[:v.upto], v.unquoted, f); ok {
					w.advance(v.upto)
					return true
				}
			}
			v.give(w, f, v.upto, "")
			return true
		case v.upto == v.whole: // give a piece; the scanner knows what it has seen
			v.cut = true
			v.give(w, f, v.upto, "")
			v.upto = 0
			return true
		}
		if !w.fill() {
			return v.cutOff(w, f)
		}
	}
}

// plain reports whether the whole value that was scanned is in no wrapper, but maybe in an array.
func (v *values) plain() bool {
	return !v.cut && (v.wrap == noWrapper || v.wrap == listWrapper && v.state == elements)
}

// packed reports whether a value holds packed payloads of subscriptions, and
// opens them.
func (v *values) packed(raw []byte) bool {
	var data []byte
	switch {
	case v.cut || v.bare:
	case v.state == between && v.wrap == lambdaWrapper:
		data = packedLambda(raw)
	case v.state == elements && v.wrap == recordsWrapper:
		data = packedKinesis(raw)
	}
	return data != nil && v.sub.openPacked(data, v.report)
}

// broken gives up what begins at the window's start and is wrong n bytes
// behind it: it goes on with the next line from there on, where a value may
// begin that is whole.
func (v *values) broken(w *window, n int) {
	v.state, v.list = between, false
	v.text, v.why = true, BrokenJSON
	v.blind = w.off + int64(n)
}

// element returns how many bytes an element has that is broken n bytes behind the
// window's start, or 0. It ends where, in the same line, another one begins with the name that
// its first member has: so what is good behind it is found, and objects inside of it are not
// taken for elements.
func (v *values) element(w *window, n int) int {
	b := w.bytes()
	if v.state != elements || v.cut || b[0] != '{' {
		return 0
	}
	lead := []byte(`{"`)
	if i := format.JSONBlank(b[:n], 1); i < n && b[i] == '"' {
		if j := bytes.IndexByte(b[i+1:n], '"'); j >= 0 {
			lead = append(lead[:1], b[i:i+j+2]...)
		}
	}
	for {
		b = w.bytes()
		b = b[:min(len(b), v.max)]
		line := b
		lf := bytes.IndexByte(b[n:], '\n')
		if lf >= 0 {
			line = b[:n+lf]
		}
		for {
			i := bytes.Index(line[n:], lead)
			if i < 0 {
				break
			}
			before := bytes.TrimRight(line[:n+i], " \t\r")
			if c, ok := bytes.CutSuffix(before, []byte(",")); ok {
				if c = bytes.TrimRight(c, " \t\r"); len(c) > 0 && c[len(c)-1] == '}' {
					return len(c)
				}
			}
			n += i + 1
		}
		n = max(n, len(line)-len(lead)+1) // the rest may be the beginning of it
		if lf >= 0 || len(b) == v.max || !w.fill() {
			return 0
		}
	}
}

// cutOff gives out the value that the end of the stream cut.
func (v *values) cutOff(w *window, f *trailward.Framed) bool {
	v.open = false
	why := reasonOf(w.err)
	v.end = w.err
	if why == "" {
		why = CutJSON
		v.end = &Damage{Reason: CutJSON}
	}
	n := w.end - w.start
	if n == 0 {
		return false
	}
	v.give(w, f, n, why)
	return true
}

// give makes the next n bytes a record.
func (v *values) give(w *window, f *trailward.Framed, n int, damaged string) {
	f.Raw, f.Damaged = w.bytes()[:n], damaged
	if v.cut {
		f.Damaged = RecordTooLong
	}
	w.advance(n)
}

// cutLine gives the next piece of a line that is no JSON and reports whether
// there was one.
func (v *values) cutLine(w *window, f *trailward.Framed) bool {
	v.line.max = v.max
	line, damaged, err := v.line.next(w)
	v.text = v.line.cutting
	if err != nil {
		v.text, v.end = false, err
		return false
	}
	if damaged == "" {
		damaged = v.why
	}
	if v.cut {
		damaged = RecordTooLong
		v.cut = v.text
	}
	f.Raw, f.Damaged = line, damaged
	return true
}

// member reads a wrapper's next member and reports whether it is a record,
// which it is when it is not the wrapper's own.
func (v *values) member(w *window, f *trailward.Framed) bool {
	for {
		b := w.bytes()
		b = b[:min(len(b), v.max)]
		var sc format.JSONScanner
		n, state := sc.Scan(b)
		if state == format.ScanDone && b[0] == '"' {
			key := b[1 : n-1]
			i := format.JSONBlank(b, n)
			if i < len(b) && b[i] != ':' {
				state = format.ScanBroken
			} else if i = format.JSONBlank(b, i+1); i < len(b) {
				if v.wrap.holds(key) && b[i] == '[' {
					w.advance(i + 1)
					v.state = elements
					return false
				}
				sc.Reset()
				n, valState := sc.Scan(b[i:])
				if valState == format.ScanDone {
					own := v.wrap.frames(key)
					f.Raw, f.Damaged = b[:i+n], BesideRecords
					w.advance(i + n)
					return !own
				}
				state = valState
			} else {
				state = format.ScanMore
			}
		}
		if state == format.ScanMore && len(b) < v.max && w.fill() {
			continue
		}
		if state == format.ScanMore && len(b) < v.max {
			return v.cutOff(w, f)
		}
		v.broken(w, len(b))
		return false
	}
}

// probe tells which wrapper the value is that b begins with, of which b may
// hold the beginning only.
func probe(b []byte) wrapper {
	i := format.JSONBlank(b, 1)
	if b[0] == '[' {
		if i < len(b) && b[i] == '{' && startsObject(b[i:]) {
			return listWrapper
		}
		return noWrapper
	}
	kind, audit, data := false, false, false
	for n := range maxProbed {
		i = format.JSONBlank(b, i)
		if i >= len(b) || b[i] != '"' {
			return noWrapper
		}
		var sc format.JSONScanner
		m, state := sc.Scan(b[i:])
		if state != format.ScanDone {
			return noWrapper
		}
		key := b[i+1 : i+m-1]
		if i = format.JSONBlank(b, i+m); i >= len(b) || b[i] != ':' {
			return noWrapper
		}
		if i = format.JSONBlank(b, i+1); i >= len(b) {
			return noWrapper
		}
		sc.Reset()
		m, state = sc.Scan(b[i:])
		if m == 0 {
			return noWrapper
		}
		val := b[i : i+m]
		switch string(key) {
		case "Events":
			if n == 0 && isLookup(val) {
				return lookupWrapper
			}
		case "awslogs":
			if n == 0 && val[0] == '{' {
				return lambdaWrapper
			}
		case "Records":
			if n == 0 && isArrayOfObjects(val) {
				return recordsWrapper
			}
		case "kind":
			kind = string(val) == `"EventList"`
		case "apiVersion":
			audit = bytes.HasPrefix(val, []byte(`"audit.k8s.io/`))
		case "items":
			if val[0] == '[' && (kind && audit || isAuditList(val)) {
				return eventListWrapper
			}
		case "messageType":
			data = string(val) == `"DATA_MESSAGE"` || string(val) == `"CONTROL_MESSAGE"`
		case "logEvents":
			if data && val[0] == '[' {
				return subscriptionWrapper
			}
		}
		if state != format.ScanDone {
			return noWrapper
		}
		if i = format.JSONBlank(b, i+m); i >= len(b) || b[i] != ',' {
			return noWrapper
		}
		i++
	}
	return noWrapper
}

// maxProbed is how many members are looked at for a wrapper's name.
const maxProbed = 16

// isArrayOfObjects reports whether b begins with an array that holds nothing
// or an object first.
func isArrayOfObjects(b []byte) bool {
	if b[0] != '[' {
		return false
	}
	i := format.JSONBlank(b, 1)
	return i < len(b) && (b[i] == ']' || b[i] == '{' && startsObject(b[i:]))
}

// startsObject reports whether b begins with an object, as far as it goes.
func startsObject(b []byte) bool {
	var sc format.JSONScanner
	n, state := sc.Scan(b)
	return state != format.ScanBroken && n > 1
}

// isAuditList reports whether b begins with an array whose first element is an
// audit event: of an EventList whose kind comes after its items.
func isAuditList(b []byte) bool {
	i := format.JSONBlank(b, 1)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	id, stage := false, false
	for i++; ; i++ {
		key, keyEnd, _, end, ok := format.JSONMember(b, i)
		if !ok {
			return false
		}
		switch string(b[key:keyEnd]) {
		case "auditID":
			id = true
		case "stage":
			stage = true
		}
		if id && stage {
			return true
		}
		if i = format.JSONBlank(b, end); i >= len(b) || b[i] != ',' {
			return false
		}
	}
}
