package query

import (
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// CSV writes rows as comma-separated values (RFC 4180, lines end with CR LF).
// A missing value is an empty field, empty text is "". Values are text as
// [Text] gives it, in SQL answers truth as true and false.
//
// Log records hold what attackers wrote, and a spreadsheet runs a cell that
// begins with = + - or @ as a formula: such text gets an apostrophe before it,
// which spreadsheets take as the mark for text. Numbers do not need it. Raw
// leaves it out, for readers that are no spreadsheets.
type CSV struct {
	Lang Language
	Raw  bool
}

var (
	reNumber = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	reName   = regexp.MustCompile(`^@{1,2}[A-Za-z][A-Za-z0-9_.]*$`) // our own field names
)

// AppendHeader writes the line of column names to dst.
func (c CSV) AppendHeader(dst []byte, cols []Column) []byte {
	for i, col := range cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := col.Name
		if !c.Raw && !reName.MatchString(name) {
			name = inert(name)
		}
		dst = appendCell(dst, name)
	}
	return append(dst, '\r', '\n')
}

// Append writes one row to dst.
func (c CSV) Append(dst []byte, values []any) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if b, ok := v.(bool); ok && c.Lang == SQL {
			if b {
				dst = append(dst, "true"...)
			} else {
				dst = append(dst, "false"...)
			}
			continue
		}
		text, ok := Text(v)
		if !ok {
			continue
		}
		switch v.(type) {
		case int64, float64:
		default:
			if !c.Raw {
				text = inert(text)
			}
		}
		dst = appendCell(dst, text)
	}
	return append(dst, '\r', '\n')
}

// inert makes text that a spreadsheet does not run.
func inert(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	switch r {
	case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
		if !reNumber.MatchString(s) {
			return "'" + s
		}
	}
	return s
}

// appendCell writes one value, in quotes where needed. Single empty text is
// quoted, so that it differs from no value.
func appendCell(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if s != "" && !strings.ContainsAny(s, "\",\r\n;\t") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for {
		before, after, found := strings.Cut(s, `"`)
		dst = append(dst, before...)
		if !found {
			return append(dst, '"')
		}
		dst = append(dst, '"', '"')
		s = after
	}
}

// WriteCSV writes a header and all rows to w. It does not close rows.
func WriteCSV(w io.Writer, rows Rows, c CSV) error {
	return writeRows(w, rows, c.AppendHeader(nil, rows.Columns()), c.Append)
}
