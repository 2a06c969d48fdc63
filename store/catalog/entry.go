package catalog

import (
	"bytes"
	"encoding/json"
	"math"
	"unicode/utf8"

	"trailward"
	"trailward/internal/digits"
)

// Of the names of a segment's streams, its entry keeps up to MaxStreams, and no more
// than MaxStreamBytes of them. With more, whoever wants to know asks the segment.
const (
	MaxStreams     = 64
	MaxStreamBytes = 4 << 10
)

// keptStreams is what an entry keeps of a segment's streams, which are sorted.
func keptStreams(names []string) []string {
	bytes := 0
	for _, n := range names {
		bytes += len(n)
	}
	if len(names) > MaxStreams || bytes > MaxStreamBytes {
		return nil
	}
	return names
}

// decodeSegment reads the JSON of a segment's entry. Opening a store reads as many
// as it has segments, so what [json.Marshal] makes of a [Segment] is read
// without the general decoder, and anything else with it.
func decodeSegment(b []byte, s *Segment) error {
	if parseSegment(b, s) {
		return nil
	}
	*s = Segment{ID: s.ID}
	return json.Unmarshal(b, s)
}

// parseSegment is decodeSegment for the usual form; false: it is another. Then s
// may have changed.
func parseSegment(b []byte, s *Segment) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	p := entryParser{b[1 : len(b)-1], true}
	for first := true; len(p.b) > 0; first = false {
		if !first {
			p.take(',')
		}
		key := p.text()
		p.take(':')
		switch string(key) {
		case "g":
			s.Group = string(p.text())
		case "k":
			s.Kind = knownKind(p.text())
		case "r":
			p.ok = p.ok && s.Root.UnmarshalText(p.text()) == nil
		case "st":
			s.Streams = p.texts()
		case "n":
			s.Rows = p.integer()
		case "b":
			s.RawBytes = p.integer()
		case "s":
			s.Size = p.integer()
		case "f":
			s.FirstTime = p.integer()
		case "l":
			s.LastTime = p.integer()
		case "fa":
			s.FirstArrival = p.integer()
		case "la":
			s.LastArrival = p.integer()
		default:
			return false
		}
		if !p.ok {
			return false
		}
	}
	return true
}

// knownKind is a kind without memory of its own, if it is one.
func knownKind(name []byte) trailward.Kind {
	for _, k := range trailward.Kinds {
		if string(k) == string(name) {
			return k
		}
	}
	return trailward.Kind(name)
}

// entryParser takes values off the front of b; ok turns false at the first that
// is not of the usual form.
type entryParser struct {
	b  []byte
	ok bool
}

func (p *entryParser) take(c byte) {
	if !p.ok || len(p.b) == 0 || p.b[0] != c {
		p.ok = false
		return
	}
	p.b = p.b[1:]
}

// text is a string without escapes.
func (p *entryParser) text() []byte {
	p.take('"')
	end := bytes.IndexByte(p.b, '"')
	if !p.ok || end < 0 {
		p.ok = false
		return nil
	}
	v := p.b[:end]
	for _, c := range v {
		if c < ' ' || c == '\\' {
			p.ok = false
			return nil
		}
	}
	if !utf8.Valid(v) {
		p.ok = false
		return nil
	}
	p.b = p.b[end+1:]
	return v
}

// texts is a list of strings.
func (p *entryParser) texts() (out []string) {
	p.take('[')
	for p.ok {
		out = append(out, string(p.text()))
		if len(p.b) == 0 || p.b[0] != ',' {
			break
		}
		p.take(',')
	}
	p.take(']')
	return out
}

func (p *entryParser) integer() int64 {
	neg := len(p.b) > 0 && p.b[0] == '-'
	if neg {
		p.b = p.b[1:]
	}
	n := 0
	for n < len(p.b) && p.b[n]-'0' <= 9 {
		n++
	}
	v, ok := digits.Parse(p.b[:n])
	if !ok || n > 1 && p.b[0] == '0' || v > math.MaxInt64 {
		p.ok = false
		return 0
	}
	p.b = p.b[n:]
	if neg {
		return -int64(v)
	}
	return int64(v)
}
