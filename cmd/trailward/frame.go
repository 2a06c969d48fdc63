package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"trailward"
	"trailward/api"
	"trailward/source/file"
)

// maxFramed is the most that source/file takes for the longest record, in bytes.
const maxFramed = 1 << 30

// frameBody takes the records out of a request's body as out of a file: header
// lines, container prefixes, arrays and wrappers are framing. Unlike a file's, a
// record that is too long is not cut but refused, with the whole request.
func frameBody(body []byte, kind trailward.Kind, maxRecords, maxLine int) ([]trailward.Framed, error) {
	in, err := file.NewInput("body", bytes.NewReader(body), file.Options{Kind: kind, MaxRecord: min(maxLine+1, maxFramed)}, nil)
	if err != nil {
		return nil, err
	}
	// Mostly a line is a record.
	out := make([]trailward.Framed, 0, min(bytes.Count(body, []byte{'\n'})+1, maxRecords))
	arena := make([]byte, 0, len(body))
	for {
		f, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch f.Damaged {
		case file.LineTooLong, file.RecordTooLong, file.PartialTooLong:
			return nil, fmt.Errorf("%w: record %d has more than %d bytes", api.ErrLineTooLong, len(out)+1, maxLine)
		}
		if len(f.Raw) > maxLine {
			return nil, fmt.Errorf("%w: record %d has %d bytes, the most is %d", api.ErrLineTooLong, len(out)+1, len(f.Raw), maxLine)
		}
		if len(out) == maxRecords {
			return nil, fmt.Errorf("%w: the most is %d", api.ErrTooManyRecords, maxRecords)
		}
		at := len(arena)
		arena = append(arena, f.Raw...)
		f.Raw = arena[at:len(arena):len(arena)]
		out = append(out, f)
	}
}
