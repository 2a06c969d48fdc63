package api

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"trailward/query"
	"trailward/query/export"
)

// Formats of an answer, by their media types. JSON is one object a line.
const (
	FormatJSON    = "application/x-ndjson"
	FormatCSV     = "text/csv"
	FormatArrow   = "application/vnd.apache.arrow.stream"
	FormatParquet = "application/vnd.apache.parquet"
)

// formats are the names of the formats in the query parameter format, on the
// command line (--output) and in file names.
var formats = []struct{ name, media string }{
	{"json", FormatJSON}, {"csv", FormatCSV}, {"arrow", FormatArrow}, {"parquet", FormatParquet},
}

// FormatNamed returns the media type of the format that is called name: json,
// csv, arrow or parquet. It is empty for another name.
func FormatNamed(name string) string {
	for _, f := range formats {
		if f.name == name {
			return f.media
		}
	}
	return ""
}

// RowEncoder writes the rows of an answer in one format.
type RowEncoder interface {
	// Encode writes one row; the values are as [query.Rows] gives them.
	Encode(values []any) error
	// Flush writes what the encoder has buffered, as far as the format allows.
	Flush() error
	// Close writes what is left and the end of the answer. It is called when
	// all rows have been encoded, and not when they ended in an error.
	Close() error
}

// encodeBuffer is how much an encoder gathers before it writes.
const encodeBuffer = 32 << 10

// NewEncoder makes an encoder of rows with these columns, as the command line
// and the server use it; format is one of the media types.
func NewEncoder(w io.Writer, format string, lang query.Language, columns []query.Column) (RowEncoder, error) {
	switch format {
	case FormatJSON:
		return &textEncoder{w: w, appendRow: query.NewJSON(columns, lang).Append}, nil
	case FormatCSV:
		c := query.CSV{Lang: lang}
		return &textEncoder{w: w, buf: c.AppendHeader(nil, columns), appendRow: c.Append}, nil
	case FormatArrow, FormatParquet:
		cols := make([]export.Column, len(columns))
		for i, c := range columns {
			cols[i] = export.Column{Name: c.Name, Type: c.Type}
		}
		f := export.Arrow
		if format == FormatParquet {
			f = export.Parquet
		}
		return export.NewWriter(w, f, cols, query.Text)
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

func (e *textEncoder) Close() error { return e.Flush() }

// chooseFormat is the format of an answer: that of the query parameter, else
// that of the Accept header.
func chooseFormat(param string, accept []string) (string, *failure) {
	if param != "" {
		if f := FormatNamed(param); f != "" {
			return f, nil
		}
		f := badRequest("the format is unknown")
		f.hint = "use json, csv, arrow or parquet"
		return "", f
	}
	if f := negotiate(accept); f != "" {
		return f, nil
	}
	return "", &failure{status: 406, message: "none of the accepted formats can be given",
		hint: "accept " + FormatJSON + ", " + FormatCSV + ", " + FormatArrow + " or " + FormatParquet}
}

// negotiate chooses a format by the Accept header: of those that it names, the
// one with the highest q, the earlier one of equals; JSON when anything goes;
// empty when none will do.
func negotiate(accept []string) string {
	best, bestQ := "", 0.0
	named := false
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		mt, rest, _ := strings.Cut(part, ";")
		mt = strings.ToLower(strings.TrimSpace(mt))
		if mt == "" {
			continue
		}
		named = true
		q := 1.0
		for _, p := range strings.Split(rest, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
				var err error
				if q, err = strconv.ParseFloat(v, 64); err != nil || q < 0 || q > 1 {
					q = 0
				}
			}
		}
		format := ""
		switch mt {
		case "*/*", "application/*", FormatJSON, "application/ndjson", "application/jsonl", "application/json":
			format = FormatJSON
		case FormatCSV, "text/*":
			format = FormatCSV
		case FormatArrow, FormatParquet:
			format = mt
		}
		if format != "" && q > bestQ {
			best, bestQ = format, q
		}
	}
	if !named {
		return FormatJSON
	}
	return best
}
