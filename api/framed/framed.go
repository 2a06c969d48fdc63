// Package framed is the body of an ingest request that keeps what lines
// cannot: records that hold line feeds, and what the framing around each
// record said (its kind, columns, time, attributes and damage). A node that
// has already taken records out of their framing sends them so, and the server
// stores what it would have stored had it read the source itself.
//
// The body is the four bytes "TWF1" and then, for each record:
//
//	uvarint  length of META
//	META     a JSON object {"kind","columns","attrs","damaged"}, or nothing
//	varint   event time in nanoseconds since the Unix epoch, 0: not known
//	uvarint  length of RAW
//	RAW      the record's bytes
//
// with uvarint and varint as in encoding/binary (LEB128, zigzag). META leaves
// out what is empty; "attrs" is a list of [name, value] pairs, in order.
// Records that follow each other with the same META cost its bytes again, which
// compression takes back, and no second decoding.
package framed

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"trailward"
)

// ContentType is the media type of such a body.
const ContentType = "application/vnd.trailward.framed"

const magic = "TWF1"

// Limits of one record's metadata. An encoder refuses what is over them and
// a decoder too.
const (
	MaxMeta    = 64 << 10 // bytes of META
	MaxColumns = 1000     // names in Columns
	MaxAttrs   = 1000     // attributes
)

// ErrTooMany means that a body holds more records than the caller allows.
var ErrTooMany = errors.New("more records than allowed")

// ErrTooLong means that a record is longer than the caller allows.
var ErrTooLong = errors.New("record longer than allowed")

// meta is the JSON form of what the framing said.
type meta struct {
	Kind    trailward.Kind `json:"kind,omitempty"`
	Columns []string       `json:"columns,omitempty"`
	Attrs   [][2]string    `json:"attrs,omitempty"`
	Damaged string         `json:"damaged,omitempty"`
}

// Encoder puts records into a body. The zero Encoder is ready.
type Encoder struct {
	buf  []byte
	last trailward.Framed // whose META is in meta
	meta []byte
}

// Add appends a record; the encoder keeps none of its memory but the slices of
// Columns and Attrs, which must not change before [Encoder.Reset].
func (e *Encoder) Add(f trailward.Framed) error {
	if len(e.buf) == 0 {
		e.buf = append(e.buf, magic...)
	}
	if f.Kind != e.last.Kind || f.Damaged != e.last.Damaged || !slices.Equal(f.Columns, e.last.Columns) || !slices.Equal(f.Attrs, e.last.Attrs) {
		m, err := encodeMeta(f)
		if err != nil {
			return err
		}
		e.last, e.meta = f, m
		e.last.Raw = nil
	}
	e.buf = binary.AppendUvarint(e.buf, uint64(len(e.meta)))
	e.buf = append(e.buf, e.meta...)
	e.buf = binary.AppendVarint(e.buf, f.Time)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(f.Raw)))
	e.buf = append(e.buf, f.Raw...)
	return nil
}

// Bytes returns the body so far; it is valid until the next call of another
// method.
func (e *Encoder) Bytes() []byte {
	if len(e.buf) == 0 {
		return []byte(magic)
	}
	return e.buf
}

// Len is the length of the body so far.
func (e *Encoder) Len() int { return len(e.buf) }

// Reset begins a new body and keeps the memory.
func (e *Encoder) Reset() {
	e.buf, e.meta, e.last = e.buf[:0], nil, trailward.Framed{}
}

func encodeMeta(f trailward.Framed) ([]byte, error) {
	if f.Kind == "" && len(f.Columns) == 0 && len(f.Attrs) == 0 && f.Damaged == "" {
		return nil, nil
	}
	if len(f.Columns) > MaxColumns || len(f.Attrs) > MaxAttrs {
		return nil, fmt.Errorf("frame record: %d columns and %d attributes: at most %d and %d", len(f.Columns), len(f.Attrs), MaxColumns, MaxAttrs)
	}
	m := meta{Kind: f.Kind, Columns: f.Columns, Damaged: f.Damaged}
	for _, a := range f.Attrs {
		m.Attrs = append(m.Attrs, [2]string{a.Name, a.Value})
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("frame record: %w", err)
	}
	if len(b) > MaxMeta {
		return nil, fmt.Errorf("frame record: %d bytes of metadata: at most %d", len(b), MaxMeta)
	}
	return b, nil
}

// Decode takes a body apart. The records point into body; Columns and Attrs
// are shared by neighbours that said the same. It fails with [ErrTooMany] or
// [ErrTooLong] over the given limits, and with another error on a body that is
// not whole: then nothing of it is to be used.
func Decode(body []byte, maxRecords, maxRecord int) ([]trailward.Framed, error) {
	rest, ok := bytes.CutPrefix(body, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("decode framed records: the body does not begin with %s", magic)
	}
	var out []trailward.Framed
	var lastMeta []byte
	var last trailward.Framed
	for len(rest) > 0 {
		n := len(out) + 1
		if n > maxRecords {
			return nil, fmt.Errorf("decode framed records: %w: %d", ErrTooMany, maxRecords)
		}
		m, after, err := block(rest)
		if err != nil {
			return nil, fmt.Errorf("decode framed records: metadata of record %d: %w", n, err)
		}
		if !bytes.Equal(m, lastMeta) {
			if last, err = decodeMeta(m); err != nil {
				return nil, fmt.Errorf("decode framed records: metadata of record %d: %w", n, err)
			}
			lastMeta = m
		}
		f := last
		t, w := binary.Varint(after)
		if w <= 0 {
			return nil, fmt.Errorf("decode framed records: time of record %d: %w", n, errCut)
		}
		f.Time = t
		if f.Raw, rest, err = block(after[w:]); err != nil {
			return nil, fmt.Errorf("decode framed records: record %d: %w", n, err)
		}
		if len(f.Raw) > maxRecord {
			return nil, fmt.Errorf("decode framed records: record %d: %w: %d bytes", n, ErrTooLong, maxRecord)
		}
		out = append(out, f)
	}
	return out, nil
}

var errCut = errors.New("the body is cut short or its lengths are wrong")

// block reads a length and as many bytes.
func block(b []byte) (data, rest []byte, err error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, errCut
	}
	end := w + int(n)
	return b[w:end:end], b[end:], nil
}

func decodeMeta(m []byte) (trailward.Framed, error) {
	var f trailward.Framed
	if len(m) == 0 {
		return f, nil
	}
	if len(m) > MaxMeta {
		return f, fmt.Errorf("%d bytes: at most %d", len(m), MaxMeta)
	}
	dec := json.NewDecoder(bytes.NewReader(m))
	dec.DisallowUnknownFields()
	var d meta
	if err := dec.Decode(&d); err != nil {
		return f, fmt.Errorf("not the JSON object that was expected: %w", err)
	}
	if dec.InputOffset() != int64(len(m)) {
		return f, errors.New("more after the JSON object")
	}
	if d.Kind != "" && !d.Kind.Valid() {
		return f, fmt.Errorf("kind %.64q is unknown", d.Kind)
	}
	if len(d.Columns) > MaxColumns || len(d.Attrs) > MaxAttrs {
		return f, fmt.Errorf("%d columns and %d attributes: at most %d and %d", len(d.Columns), len(d.Attrs), MaxColumns, MaxAttrs)
	}
	f.Kind, f.Columns, f.Damaged = d.Kind, d.Columns, d.Damaged
	for _, a := range d.Attrs {
		f.Attrs = append(f.Attrs, trailward.Attr{Name: a[0], Value: a[1]})
	}
	return f, nil
}

// Continue returns a body without its first four bytes, fit to be put after
// another body.
func Continue(body []byte) []byte { return bytes.TrimPrefix(body, []byte(magic)) }

// Reader takes a body apart as it arrives. Unlike [Decode] it needs no more
// memory than one record.
type Reader struct {
	r         *bufio.Reader
	maxRecord int
	begun     bool
	lastMeta  []byte
	last      trailward.Framed
	raw       []byte
}

// NewReader returns a reader of the body that r gives. A record over maxRecord
// bytes is [ErrTooLong].
func NewReader(r io.Reader, maxRecord int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), maxRecord: maxRecord}
}

// Next returns the next record, valid until the call after, or io.EOF at the
// end of a whole body.
func (d *Reader) Next() (trailward.Framed, error) {
	if !d.begun {
		var begin [len(magic)]byte
		if _, err := io.ReadFull(d.r, begin[:]); err != nil {
			return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
		}
		if string(begin[:]) != magic {
			return trailward.Framed{}, fmt.Errorf("read framed records: the body does not begin with %s", magic)
		}
		d.begun = true
	}
	if _, err := d.r.Peek(1); err == io.EOF {
		return trailward.Framed{}, io.EOF
	}
	n, err := binary.ReadUvarint(d.r)
	if err != nil {
		return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
	}
	if n > MaxMeta {
		return trailward.Framed{}, fmt.Errorf("read framed records: %d bytes of metadata: at most %d", n, MaxMeta)
	}
	m := make([]byte, n)
	if _, err := io.ReadFull(d.r, m); err != nil {
		return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
	}
	if !bytes.Equal(m, d.lastMeta) {
		if d.last, err = decodeMeta(m); err != nil {
			return trailward.Framed{}, fmt.Errorf("read framed records: metadata: %w", err)
		}
		d.lastMeta = m
	}
	f := d.last
	if f.Time, err = binary.ReadVarint(d.r); err != nil {
		return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
	}
	if n, err = binary.ReadUvarint(d.r); err != nil {
		return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
	}
	if n > uint64(d.maxRecord) {
		return trailward.Framed{}, fmt.Errorf("read framed records: %w: %d bytes", ErrTooLong, d.maxRecord)
	}
	// The length is a claim: memory grows with what arrives.
	d.raw = d.raw[:0]
	for left := int(n); left > 0; {
		step := min(left, 64<<10)
		d.raw = slices.Grow(d.raw, step)
		at := len(d.raw)
		d.raw = d.raw[:at+step]
		if _, err := io.ReadFull(d.r, d.raw[at:]); err != nil {
			return trailward.Framed{}, fmt.Errorf("read framed records: %w", cutShort(err))
		}
		left -= step
	}
	f.Raw = d.raw
	return f, nil
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCut
	}
	return err
}
