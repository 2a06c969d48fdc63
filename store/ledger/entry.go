package ledger

import (
	"encoding/binary"
	"fmt"

	"trailward"
)

// The bytes of an entry, which are the leaf of the ledger's tree: fixed order,
// numbers big-endian, texts and lists preceded by their length in 4 bytes. Each
// entry has one encoding only. docs/format/ledger.md lists the fields.
const (
	entryVersion = 1
	nonceSize    = 16
	// MaxEntryBytes is the most that an entry's bytes may have.
	MaxEntryBytes = 4 << 20
)

// codes are the types as bytes; they are for ever.
var codes = map[Type]byte{
	TypeAdded: 1, TypeReplaced: 2, TypeExpired: 3, TypeHold: 4, TypeRetention: 5, TypeKey: 6,
	TypeStarted: 7, TypeStopped: 8, TypeGap: 9, TypeInterval: 10, TypeSilent: 11, TypeDamage: 12,
}

// encode returns the entry's bytes.
func (e *Entry) encode() ([]byte, error) {
	if err := e.Event.check(); err != nil {
		return nil, err
	}
	w := &encoder{b: []byte{entryVersion, codes[e.Event.Type()]}}
	w.b = append(w.b, e.nonce[:]...)
	w.i64(e.Time)
	w.i64(e.Clock)
	e.Event.encode(w)
	if len(w.b) > MaxEntryBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrEntry, len(w.b), MaxEntryBytes)
	}
	return w.b, nil
}

// DecodeEntry reads the bytes of the entry of a number. It takes exactly what
// the ledger writes: no two byte strings are the same entry.
func DecodeEntry(number uint64, b []byte) (Entry, error) {
	e := Entry{Number: number}
	if len(b) > MaxEntryBytes {
		return e, fmt.Errorf("%w: %d bytes, the limit is %d", ErrEntry, len(b), MaxEntryBytes)
	}
	r := &decoder{b: b}
	if v := r.byte(); r.err == nil && v != entryVersion {
		return e, fmt.Errorf("%w: version %d, this program knows version %d", ErrEntry, v, entryVersion)
	}
	code := r.byte()
	copy(e.nonce[:], r.take(nonceSize))
	e.Time, e.Clock = r.i64(), r.i64()
	e.Event = r.event(code)
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%w: %d bytes too many", ErrEntry, len(r.b))
	}
	if r.err == nil {
		r.err = e.Event.check()
	}
	return e, r.err
}

func (r *decoder) event(code byte) Event {
	switch code {
	case codes[TypeAdded]:
		return Added{r.segment()}
	case codes[TypeReplaced]:
		e := Replaced{}
		for range r.count(MaxSegments) {
			e.In = append(e.In, r.text(MaxID))
		}
		for range r.count(MaxSegments) {
			e.Out = append(e.Out, r.segment())
		}
		return e
	case codes[TypeExpired]:
		return Expired{ID: r.text(MaxID), Group: r.hash(), Reason: r.text(MaxWord), Retention: r.i64()}
	case codes[TypeHold]:
		return Hold{Group: r.hash(), Set: r.bool(), Text: r.bytes(MaxSealed)}
	case codes[TypeRetention]:
		return Retention{Group: r.hash(), Old: r.i64(), New: r.i64(), Text: r.bytes(MaxSealed)}
	case codes[TypeKey]:
		return Key{Old: r.text(255), New: r.text(255)}
	case codes[TypeStarted]:
		return Started{Version: r.text(MaxWord), Clean: r.bool(), Last: r.i64()}
	case codes[TypeStopped]:
		return Stopped{}
	case codes[TypeGap]:
		return Gap{From: r.i64(), To: r.i64(), Cause: r.text(MaxWord)}
	case codes[TypeInterval]:
		return Interval{From: r.i64(), To: r.i64(), Records: r.i64(), Bytes: r.i64()}
	case codes[TypeSilent]:
		return Silent{Group: r.hash(), Stream: r.hash(), Since: r.i64(), Text: r.bytes(MaxSealed)}
	case codes[TypeDamage]:
		return Damage{What: r.text(MaxWord), Place: r.text(MaxPlace), Text: r.bytes(MaxSealed)}
	}
	if r.err == nil {
		r.err = fmt.Errorf("%w: type %d, which this program does not know", ErrEntry, code)
	}
	return Stopped{}
}

func (e Added) encode(w *encoder) { w.segment(&e.Segment) }

func (e Replaced) encode(w *encoder) {
	w.u32(len(e.In))
	for _, id := range e.In {
		w.text(id)
	}
	w.u32(len(e.Out))
	for i := range e.Out {
		w.segment(&e.Out[i])
	}
}

func (e Expired) encode(w *encoder) {
	w.text(e.ID)
	w.hash(e.Group)
	w.text(e.Reason)
	w.i64(e.Retention)
}

func (e Hold) encode(w *encoder) {
	w.hash(e.Group)
	w.bool(e.Set)
	w.bytes(e.Text)
}

func (e Retention) encode(w *encoder) {
	w.hash(e.Group)
	w.i64(e.Old)
	w.i64(e.New)
	w.bytes(e.Text)
}

func (e Key) encode(w *encoder) {
	w.text(e.Old)
	w.text(e.New)
}

func (e Started) encode(w *encoder) {
	w.text(e.Version)
	w.bool(e.Clean)
	w.i64(e.Last)
}

func (Stopped) encode(*encoder) {}

func (e Gap) encode(w *encoder) {
	w.i64(e.From)
	w.i64(e.To)
	w.text(e.Cause)
}

func (e Interval) encode(w *encoder) {
	w.i64(e.From)
	w.i64(e.To)
	w.i64(e.Records)
	w.i64(e.Bytes)
}

func (e Silent) encode(w *encoder) {
	w.hash(e.Group)
	w.hash(e.Stream)
	w.i64(e.Since)
	w.bytes(e.Text)
}

func (e Damage) encode(w *encoder) {
	w.text(e.What)
	w.text(e.Place)
	w.bytes(e.Text)
}

type encoder struct{ b []byte }

func (w *encoder) i64(v int64)    { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }
func (w *encoder) u32(n int)      { w.b = binary.BigEndian.AppendUint32(w.b, uint32(n)) }
func (w *encoder) text(s string)  { w.b = appendText(w.b, s) }
func (w *encoder) bytes(p []byte) { w.u32(len(p)); w.b = append(w.b, p...) }
func (w *encoder) hash(h Hash)    { w.b = append(w.b, h[:]...) }

func (w *encoder) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *encoder) segment(s *Segment) {
	w.text(s.ID)
	w.hash(s.Group)
	w.text(string(s.Kind))
	for _, n := range []int64{s.Rows, s.FirstTime, s.LastTime, s.FirstArrival, s.LastArrival} {
		w.i64(n)
	}
	w.hash(s.Root)
	w.hash(s.Sum)
	w.i64(s.Size)
}

// decoder reads what encoder wrote. After the first error it gives zero values.
type decoder struct {
	b   []byte
	err error
}

func (r *decoder) take(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = fmt.Errorf("%w: cut short", ErrEntry)
	}
	if r.err != nil {
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *decoder) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *decoder) bool() bool {
	v := r.byte()
	if v > 1 && r.err == nil {
		r.err = fmt.Errorf("%w: %d for yes or no", ErrEntry, v)
	}
	return v == 1
}

func (r *decoder) i64() int64 {
	if p := r.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

func (r *decoder) count(limit int) int {
	p := r.take(4)
	if p == nil {
		return 0
	}
	n := binary.BigEndian.Uint32(p)
	if uint64(n) > uint64(limit) || uint64(n) > uint64(len(r.b)) {
		// Whatever is counted has a byte at least.
		r.err = fmt.Errorf("%w: length %d", ErrEntry, n)
		return 0
	}
	return int(n)
}

func (r *decoder) text(limit int) string { return string(r.take(r.count(limit))) }

func (r *decoder) bytes(limit int) []byte {
	if n := r.count(limit); n > 0 {
		return append([]byte(nil), r.take(n)...)
	}
	return nil
}

func (r *decoder) hash() (h Hash) {
	copy(h[:], r.take(len(h)))
	return h
}

func (r *decoder) segment() Segment {
	return Segment{
		ID: r.text(MaxID), Group: r.hash(), Kind: trailward.Kind(r.text(MaxWord)),
		Rows: r.i64(), FirstTime: r.i64(), LastTime: r.i64(), FirstArrival: r.i64(), LastArrival: r.i64(),
		Root: r.hash(), Sum: r.hash(), Size: r.i64(),
	}
}
