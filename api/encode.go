package api

import (
	"fmt"
	"io"

	"trailward/query"
)

// encodeBuffer is how much an encoder gathers before it writes.
const encodeBuffer = 32 << 10

// NewEncoder makes an encoder of rows with these columns, as the command line
// and the server use it. It is an [EncodeFunc].
func NewEncoder(w io.Writer, format string, lang query.Language, columns []query.Column) (RowEncoder, error) {
	switch format {
	case FormatJSON:
		return &textEncoder{w: w, appendRow: query.NewJSON(columns, lang).Append}, nil
	case FormatCSV:
		c := query.CSV{Lang: lang}
		return &textEncoder{w: w, buf: c.AppendHeader(nil, columns), appendRow: c.Append}, nil
	}
	return nil, fmt.Errorf("encode rows: format %q is unknown", format)
}

// textEncoder gathers rows that an append function writes.
type textEncoder struct {
	w         io.Writer
	buf       []byte
	appendRow func(dst []byte, values []any) []byte
}

func (e *textEncoder) Encode(values []any) error {
	e.buf = e.appendRow(e.buf, values)
	if len(e.buf) < encodeBuffer {
		return nil
	}
	return e.Flush()
}

func (e *textEncoder) Flush() error {
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}
