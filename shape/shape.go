// Package shape takes a record apart into a shape, which it shares with the
// millions of other records that the same template wrote, and its values; and
// puts the two together again into exactly the same bytes.
//
// A [Taker] gets a record's bytes and gives a [Taken]: the [Shape] (the literal
// bytes between the values, and the path of the field that each value fills)
// and the values in order, as a query wants to see them: text without quotes,
// escapes undone. [Shape.Append] gives the bytes back.
//
// Invariants:
//   - Append(Take(b)) = b for every b whose shape is not Verbatim. This holds
//     by construction (literals and bare values are cut out of b) save for
//     escaped strings, whose re-encoding Take itself compares with b.
//   - A record that would not come back exactly (mixed or unusual escapes,
//     invalid UTF-8, a duplicate key) has a Verbatim shape: its bytes must be
//     kept beside it, and its values serve queries only.
//   - Every value is valid UTF-8.
//   - Work and memory are linear in the record; nothing recurses over input.
package shape

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Form says how a value stands in the record.
type Form uint8

// The forms.
const (
	Bare   Form = iota // as it is: a number, true, false, or a piece of a line
	Quoted             // between the double quotes of a JSON string, escaped in the shape's style
	JSON               // as it is: the JSON text of an array or object that is not taken apart
)

// Hole is a place in a shape that a value fills.
type Hole struct {
	Path string // the field, as trailward.JoinPath writes it; empty in a Verbatim shape for a value that a later duplicate hides
	Form Form
}

// MessagePath is the field of a record that is one text.
const MessagePath = "@message"

// RestPath is the field that holds a whole JSON record as text, once a segment
// has more shapes or fields than it takes apart.
const RestPath = "@rest"

// Shape is what records of one template share. It is immutable; equal shapes
// from one [Taker] are the same pointer until the Taker forgets (see Limits).
type Shape struct {
	Lits  []string // the literal bytes around the holes: one more than there are holes
	Holes []Hole
	Style Style // how quoted values escape
	// Verbatim means that the record cannot be put together from its values:
	// Lits is empty and Append must not be called.
	Verbatim bool
}

// Taken is a record taken apart. Values[i] fills Shape.Holes[i]; the values
// (and the slice) are valid until the Taker is used again.
type Taken struct {
	Shape  *Shape
	Values [][]byte
}

// Append appends the record to dst.
func (s *Shape) Append(dst []byte, values [][]byte) []byte {
	for i := range s.Holes {
		dst = append(dst, s.Lits[i]...)
		if s.Holes[i].Form == Quoted && s.Style != 0 {
			dst = s.Style.Append(dst, values[i])
		} else {
			dst = append(dst, values[i]...)
		}
	}
	return append(dst, s.Lits[len(s.Holes)]...)
}

// Limits of an encoded shape, so that a damaged one cannot ask for memory.
const (
	maxHoles = 1 << 20
	maxBytes = 1 << 28
)

const flagVerbatim = 1

// Encode appends the shape to dst, with each hole's path as the number that
// column gives it. The form is given in docs/format/segment.md.
func (s *Shape) Encode(dst []byte, column func(path string) int) []byte {
	var flags byte
	if s.Verbatim {
		flags |= flagVerbatim
	}
	dst = append(dst, flags, byte(s.Style))
	dst = binary.AppendUvarint(dst, uint64(len(s.Holes)))
	for i, h := range s.Holes {
		if !s.Verbatim {
			dst = appendString(dst, s.Lits[i])
		}
		dst = append(dst, byte(h.Form))
		if h.Path == "" && s.Verbatim {
			dst = binary.AppendUvarint(dst, 0)
		} else {
			dst = binary.AppendUvarint(dst, uint64(column(h.Path))+1)
		}
	}
	if !s.Verbatim {
		dst = appendString(dst, s.Lits[len(s.Holes)])
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

var errShort = errors.New("encoded shape is cut short")

// Decode reads one shape that Encode wrote and returns what follows it. path
// gives the name of a column number.
func Decode(b []byte, path func(column int) (string, bool)) (*Shape, []byte, error) {
	if len(b) < 2 {
		return nil, nil, errShort
	}
	s := &Shape{Verbatim: b[0]&flagVerbatim != 0, Style: Style(b[1])}
	if b[0]&^flagVerbatim != 0 {
		return nil, nil, fmt.Errorf("encoded shape has unknown flags %#x", b[0])
	}
	b = b[2:]
	n, k := binary.Uvarint(b)
	if k <= 0 || n > maxHoles || n > uint64(len(b)) {
		return nil, nil, errShort
	}
	b = b[k:]
	str := func() (string, error) {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > maxBytes || n > uint64(len(b)-k) {
			return "", errShort
		}
		v := string(b[k : k+int(n)])
		b = b[k+int(n):]
		return v, nil
	}
	s.Holes = make([]Hole, n)
	for i := range s.Holes {
		if !s.Verbatim {
			lit, err := str()
			if err != nil {
				return nil, nil, err
			}
			s.Lits = append(s.Lits, lit)
		}
		if len(b) < 2 {
			return nil, nil, errShort
		}
		s.Holes[i].Form = Form(b[0])
		if s.Holes[i].Form > JSON {
			return nil, nil, fmt.Errorf("encoded shape has unknown form %d", b[0])
		}
		c, k := binary.Uvarint(b[1:])
		if k <= 0 {
			return nil, nil, errShort
		}
		b = b[1+k:]
		if c == 0 {
			if !s.Verbatim {
				return nil, nil, errors.New("encoded shape has a hole without a column")
			}
			continue
		}
		p, ok := path(int(c - 1))
		if !ok {
			return nil, nil, fmt.Errorf("encoded shape names column %d, which does not exist", c-1)
		}
		s.Holes[i].Path = p
	}
	if !s.Verbatim {
		lit, err := str()
		if err != nil {
			return nil, nil, err
		}
		s.Lits = append(s.Lits, lit)
	}
	return s, b, nil
}
