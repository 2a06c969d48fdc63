package plan

import "fmt"

// Error is a fault in a query's text: where, what, and what would be right.
// Line and Col count from 1, in characters; 0 means that the place is unknown.
type Error struct {
	Line, Col int
	Msg       string // what is wrong, lower case
	Hint      string // what was expected, or the nearest known name; may be empty
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Line > 0 {
		s = fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Msg)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}
