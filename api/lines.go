package api

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"trailward"
)

// framedSize is what one record costs beside its bytes.
const framedSize = int64(unsafe.Sizeof(trailward.Framed{}))

// Errors of a [FrameFunc].
var (
	ErrTooManyRecords = errors.New("too many records") // 413
	ErrLineTooLong    = errors.New("line too long")    // 413; the text goes to the client
)

// FrameLines takes the lines out of a body: LF ends a line, a CR before it
// belongs to the record, empty lines are framing, and the last line needs no
// LF. The records point into the body. A line over maxLine bytes and more than
// maxRecords lines are errors.
func FrameLines(body []byte, kind trailward.Kind, maxRecords, maxLine int) ([]trailward.Framed, error) {
	n := min(bytes.Count(body, []byte{'\n'})+1, maxRecords)
	out := make([]trailward.Framed, 0, n)
	for number := 1; len(body) > 0; number++ {
		line := body
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			line, body = body[:i:i], body[i+1:]
		} else {
			body = nil
		}
		if len(line) == 0 {
			continue
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("%w: line %d has %d bytes, the most is %d", ErrLineTooLong, number, len(line), maxLine)
		}
		if len(out) == maxRecords {
			return nil, fmt.Errorf("%w: the most is %d", ErrTooManyRecords, maxRecords)
		}
		out = append(out, trailward.Framed{Raw: line, Kind: kind})
	}
	return out, nil
}
