package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// How answers are written. Logs Insights answers are what CloudWatch's
// GetQueryResults gives: every value is text, a column without a value is left
// out of the row. SQL answers are typed.

// timeLayout is CloudWatch's and Athena's form of a time, UTC without a zone.
const timeLayout = "2006-01-02 15:04:05.000"

// Text gives a value as CloudWatch Logs Insights prints it: numbers in their
// shortest form, true as 1 and false as 0, times in UTC to the millisecond,
// lists and objects as JSON. ok is false for nil, which has no text.
func Text(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return string(appendFloat(nil, v)), true
	case time.Time:
		return v.UTC().Format(timeLayout), true
	case json.RawMessage:
		return string(v), true
	}
	return string(appendJSON(nil, v)), true
}

// appendFloat writes the shortest text that reads back as f, without an
// exponent up to 21 digits. Zero has no sign.
func appendFloat(dst []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case f == 0:
		return append(dst, '0')
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case abs >= 1e21 || abs < 1e-6:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendJSON writes a value as JSON on one line. What JSON has no number for
// (NaN, the infinities) becomes text, as do times; object members are in the
// order of their names; bytes that are not UTF-8 become U+FFFD.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			dst = append(dst, '"')
			return append(appendFloat(dst, v), '"')
		}
		return appendFloat(dst, v)
	case time.Time:
		layout := timeLayout
		if v.Nanosecond()%1e6 != 0 {
			layout = "2006-01-02 15:04:05.000000"
		}
		dst = append(dst, '"')
		dst = v.UTC().AppendFormat(dst, layout)
		return append(dst, '"')
	case json.RawMessage:
		var b bytes.Buffer
		if utf8.Valid(v) && json.Compact(&b, v) == nil {
			return append(dst, b.Bytes()...)
		}
		return appendString(dst, string(v))
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, x)
		}
		return append(dst, ']')
	case Struct:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.Name), ':')
			dst = appendJSON(dst, m.Value)
		}
		return append(dst, '}')
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, k), ':')
			dst = appendJSON(dst, v[k])
		}
		return append(dst, '}')
	}
	return appendString(dst, fmt.Sprint(v))
}

const hexDigits = "0123456789abcdef"

// appendString writes text as a JSON string, without the HTML escapes that
// encoding/json adds.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, s[from:i]...), "\uFFFD"...)
			from = i + n
		case r == '\u2028' || r == '\u2029': // line ends to some readers
			dst = append(append(dst, s[from:i]...), '\\', 'u', '2', '0', '2', hexDigits[r&15])
			from = i + n
		}
		i += n
	}
	return append(append(dst, s[from:]...), '"')
}

// JSON writes rows as JSON objects, one a line, members in column order.
type JSON struct {
	lang  Language
	names [][]byte // quoted
}

// NewJSON makes an encoder for rows with the given columns. A name that occurs
// twice gets a number from the second time on, since an object can hold it once.
func NewJSON(cols []Column, lang Language) *JSON {
	j := &JSON{lang: lang}
	for _, name := range uniqueNames(cols) {
		j.names = append(j.names, appendString(nil, name))
	}
	return j
}

func uniqueNames(cols []Column) []string {
	used := make(map[string]bool, len(cols))
	for _, c := range cols {
		used[c.Name] = true
	}
	first := make(map[string]bool, len(cols))
	out := make([]string, len(cols))
	for i, c := range cols {
		name := c.Name
		for n := 1; first[name]; n++ {
			if next := c.Name + "_" + strconv.Itoa(n); !used[next] {
				name = next
				used[name] = true
			}
		}
		first[name] = true
		out[i] = name
	}
	return out
}

// Append writes one row and a line feed to dst.
func (j *JSON) Append(dst []byte, values []any) []byte {
	dst = append(dst, '{')
	n := 0
	for i, v := range values {
		if j.lang == Insights && v == nil {
			continue
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		dst = append(append(dst, j.names[i]...), ':')
		if j.lang == Insights {
			text, _ := Text(v)
			dst = appendString(dst, text)
		} else {
			dst = appendJSON(dst, v)
		}
	}
	return append(dst, '}', '\n')
}

// flushBytes is how much an encoder gathers before it writes.
const flushBytes = 64 << 10

// WriteJSON writes all rows to w as [JSON] does. It does not close rows.
func WriteJSON(w io.Writer, rows Rows, lang Language) error {
	j := NewJSON(rows.Columns(), lang)
	return writeRows(w, rows, nil, j.Append)
}

// writeRows writes head and the rows in pieces of about flushBytes.
func writeRows(w io.Writer, rows Rows, head []byte, appendRow func([]byte, []any) []byte) error {
	buf := head
	for rows.Next() {
		buf = appendRow(buf, rows.Values())
		if len(buf) >= flushBytes {
			if _, err := w.Write(buf); err != nil {
				return fmt.Errorf("write rows: %w", err)
			}
			buf = buf[:0]
		}
	}
	if len(buf) > 0 {
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
	}
	return rows.Err()
}
