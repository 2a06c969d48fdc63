package api

import (
	"bytes"
	"errors"

	"trailward"
)

// errNotEventList means that a body holds no list of audit events.
var errNotEventList = errors.New("not an EventList")

// splitEventList takes the items out of an EventList, each with its exact
// bytes. It looks at the outermost object only and never recurses, so that depth
// costs nothing. An item is whatever stands between the commas, an audit event
// or not: what it is, intake finds out.
//
// A list that breaks off keeps the items before that place, and all that
// follows as one damaged record. An object that says kind Event is a list of
// itself. Events over maxEvent are kept in damaged pieces. Only a body that is no such object, or that holds more
// than maxRecords records, is an error.
func splitEventList(body []byte, maxRecords, maxEvent int) ([]trailward.Framed, error) {
	sc := scanner{b: body}
	sc.space()
	start := sc.i
	if !sc.eat('{') {
		return nil, errNotEventList
	}
	var items []trailward.Framed
	var kind []byte
	hasItems := false
	add := func(raw []byte, damage string) error {
		for {
			f := trailward.Framed{Raw: raw, Damaged: damage}
			if len(raw) > maxEvent {
				f = trailward.Framed{Raw: raw[:maxEvent:maxEvent], Damaged: damageLongEvent}
			}
			if len(items) == maxRecords {
				return ErrTooManyRecords
			}
			items = append(items, f)
			if len(raw) <= maxEvent {
				return nil
			}
			raw, damage = raw[maxEvent:], damageLongEvent
		}
	}
	// rest keeps what follows a place where the list breaks off.
	rest := func(from int) ([]trailward.Framed, error) {
		if !hasItems {
			return nil, errNotEventList
		}
		tail := bytes.TrimRight(body[from:], " \t\r\n")
		if len(tail) == 0 {
			tail = body[from:]
		}
		if len(tail) == 0 {
			// The body ends where more had to come. There are no bytes to keep;
			// the last item was whole.
			return items, nil
		}
		if err := add(tail, damageCutList); err != nil {
			return nil, err
		}
		return items, nil
	}
	sc.space()
	if sc.eat('}') {
		return nil, errNotEventList
	}
	for {
		sc.space()
		at := sc.i
		key, ok := sc.str()
		if !ok {
			return rest(at)
		}
		sc.space()
		if !sc.eat(':') {
			return rest(at)
		}
		sc.space()
		switch {
		case string(key) == `"items"` && sc.peek() == '[':
			hasItems = true
			sc.i++
			sc.space()
			if sc.eat(']') {
				break
			}
			for {
				sc.space()
				from := sc.i
				if !sc.value() {
					return rest(from)
				}
				if err := add(body[from:sc.i:sc.i], ""); err != nil {
					return nil, err
				}
				sc.space()
				if sc.eat(',') {
					continue
				}
				if sc.eat(']') {
					break
				}
				return rest(sc.i)
			}
		default:
			from := sc.i
			if !sc.value() {
				return rest(at)
			}
			switch string(key) {
			case `"kind"`:
				kind = body[from:sc.i]
			case `"items"`:
				hasItems = hasItems || string(body[from:sc.i]) == "null" // what Go writes for no items
			}
		}
		sc.space()
		if sc.eat(',') {
			continue
		}
		if !sc.eat('}') {
			return rest(sc.i)
		}
		break
	}
	end := sc.i
	if string(kind) == `"Event"` {
		items = nil
		hasItems = true
		if err := add(body[start:end:end], ""); err != nil {
			return nil, err
		}
	} else if !hasItems || len(kind) > 0 && string(kind) != `"EventList"` {
		return nil, errNotEventList
	}
	sc.space()
	if sc.i < len(body) {
		return rest(sc.i)
	}
	return items, nil
}

// scanner walks over JSON text and finds where values end. It is lenient about
// what is inside a value and exact about where it ends.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) eat(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// str reads a string and returns it with its quotes.
func (s *scanner) str() ([]byte, bool) {
	from := s.i
	if !s.eat('"') {
		return nil, false
	}
	for s.i < len(s.b) {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			break
		}
		end := s.i + n
		slashes := 0
		for end-slashes-1 >= s.i && s.b[end-slashes-1] == '\\' {
			slashes++
		}
		s.i = end + 1
		if slashes%2 == 0 {
			return s.b[from:s.i], true
		}
	}
	s.i = len(s.b)
	return nil, false
}

// value reads any value. Brackets are counted, not matched: a value whose
// brackets do not fit together is not JSON, and intake will see that.
func (s *scanner) value() bool {
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '{', '[':
			depth++
			s.i++
		case '}', ']':
			if depth == 0 {
				return false
			}
			depth--
			s.i++
		case '"':
			if _, ok := s.str(); !ok {
				return false
			}
		case ' ', '\t', '\r', '\n', ',', ':':
			if depth == 0 {
				return false
			}
			s.i++
			continue
		default:
			for s.i < len(s.b) && !delimiter(s.b[s.i]) {
				s.i++
			}
		}
		if depth == 0 {
			return true
		}
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
