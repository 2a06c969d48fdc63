package segment

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"trailward"
	"trailward/shape"
)

// fieldTests is what the values of one field are to be tested for in a search.
type fieldTests struct {
	whole              bool            // has sub in it
	suffixes, prefixes map[string]bool // ends with, begins with
	styles             map[shape.Style]bool
}

// maxPieces bounds how many pieces of text a table of grams is asked for. What
// would need more is looked for everywhere.
const maxPieces = 512

// Search returns the rows whose record has text in it.
func (s *Reader) Search(text string, cols Columns) (Rows, error) {
	set := make(Rows, (s.Meta.Rows+63)/64)
	if text == "" {
		for row := range s.Meta.Rows {
			set.add(int(row))
		}
		return set, nil
	}
	return set, s.search(text, cols, set)
}

// search adds the rows whose record has sub in it. It looks for sub in the
// shapes' literals, in the values, and across their borders; where that leaves
// a doubt, it puts the record together.
func (s *Reader) search(sub string, cols Columns, set Rows) error {
	shapes, err := s.loadShapes()
	if err != nil {
		return err
	}
	byPath, always, verbatim := testsFor(sub, shapes)
	if verbatim {
		if err := s.testColumn(Test{Op: Contains, Values: []string{sub}}, colRaw, cols, set); err != nil {
			return err
		}
	}
	h := &searcher{sub: []byte(sub), shapes: shapes, set: set, rest: make(Rows, len(set))}
	kinds := func() (err error) {
		if h.kinds == nil {
			h.kinds, err = cols.Column(colShape)
			if err == nil && h.kinds == nil {
				err = fmt.Errorf("%w: no shapes", ErrDamaged)
			}
		}
		return err
	}
	for _, is := range always {
		if !is {
			continue
		}
		if err := kinds(); err != nil {
			return err
		}
		for row, n := range h.kinds.nums {
			if n >= 0 && n < int64(len(always)) && always[n] {
				set.add(row)
			}
		}
		break
	}
	for path, t := range byPath {
		f := s.field(path)
		if f == nil {
			return fmt.Errorf("%w: a shape's column is missing", ErrDamaged)
		}
		v, at, err := s.valueTest(f, t, sub, cols)
		if err != nil {
			return err
		}
		if v.nothing() || at.none() {
			continue
		}
		if err := kinds(); err != nil {
			return err
		}
		hit := func(row int, value []byte) { h.look(path, row, value) }
		err = s.scan(path, at, cols, func(c *Column, lo, hi int) { v.scan(c, lo, hi, hit) })
		if err == nil {
			err = h.err
		}
		if err != nil {
			return err
		}
	}
	return s.searchRest(h, shapes, cols)
}

// testsFor says what the values of each field are to be tested for, which shapes
// have sub in a literal, and whether there are records that are kept verbatim.
func testsFor(sub string, shapes []*shape.Shape) (byPath map[string]*fieldTests, always []bool, verbatim bool) {
	byPath = map[string]*fieldTests{}
	always = make([]bool, len(shapes))
	for k, sh := range shapes {
		if sh.Verbatim {
			verbatim = true
			continue
		}
		for _, l := range sh.Lits {
			always[k] = always[k] || strings.Contains(l, sub)
		}
		if always[k] {
			continue
		}
		for i, h := range sh.Holes {
			t := byPath[h.Path]
			if t == nil {
				t = &fieldTests{suffixes: map[string]bool{}, prefixes: map[string]bool{}, styles: map[shape.Style]bool{}}
				byPath[h.Path] = t
			}
			t.whole = true
			if h.Form == shape.Quoted {
				t.styles[sh.Style] = true
			} else {
				t.styles[0] = true
			}
			next, before := sh.Lits[i+1], sh.Lits[i]
			for n := 1; n < len(sub); n++ {
				if a, b := sub[:n], sub[n:]; strings.HasPrefix(next, b) || strings.HasPrefix(b, next) {
					t.suffixes[a] = true
				}
				if a, b := sub[:n], sub[n:]; strings.HasSuffix(before, a) {
					t.prefixes[b] = true
				}
			}
		}
	}
	return byPath, always, verbatim
}

// valueTest makes the test of a field's values and says where they can be that
// pass it. A field of numbers, or one with the bytes of its texts in the meta
// data, is not decoded for it.
func (s *Reader) valueTest(f *Field, t *fieldTests, sub string, cols Columns) (v valueTest, at places, err error) {
	seen, known := f.bytesOf()
	if !known {
		c, err := cols.Column(f.Path)
		if err != nil || c == nil {
			return v, at, err
		}
		seen = c.seen
	}
	// Where a value's text has escapes, a match may begin within one.
	within := false
	for st := range t.styles {
		within = within || seen.escapeHas(st, sub)
	}
	v = valueTest{styles: t.styles, escapes: within}
	if within || seen.may(sub) && (f.Type != UUID || inUUID(sub)) {
		v.inside = []byte(sub)
	}
	for x := range t.suffixes {
		if within || seen.may(x) {
			v.suffixes = append(v.suffixes, []byte(x))
		}
	}
	for x := range t.prefixes {
		v.prefixes = append(v.prefixes, []byte(x))
		for st := range t.styles { // what is behind the beginning may be an escape
			v.escapes = v.escapes || strings.Contains(x, `\`) && seen.escapeHas(st, `\`)
		}
	}
	if v.nothing() || v.escapes {
		return v, everywhere, nil
	}
	pieces, ok := v.pieces()
	if !ok {
		return v, everywhere, nil
	}
	at, err = s.placesOf(f, pieces)
	return v, at, err
}

// searcher takes the values that a search comes upon.
type searcher struct {
	sub    []byte
	shapes []*shape.Shape
	kinds  *Column // the records' shapes
	set    Rows    // the records that have it
	rest   Rows    // those that must be put together to be sure
	buf    []byte
	err    error
}

// look decides about the record in a row whose value of a field passed its test:
// most often the value and the literals around it tell.
func (h *searcher) look(path string, row int, value []byte) {
	if h.set.has(row) || h.rest.has(row) {
		return
	}
	k := int64(-1)
	if row < len(h.kinds.nums) {
		k = h.kinds.nums[row]
	}
	if k < 0 || k >= int64(len(h.shapes)) {
		h.err = fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
		return
	}
	sh := h.shapes[k]
	if sh.Verbatim {
		return // its bytes are looked at as they are
	}
	for i, hole := range sh.Holes {
		if hole.Path != path {
			continue
		}
		h.buf = append(h.buf[:0], sh.Lits[i]...)
		if hole.Form == shape.Quoted {
			h.buf = sh.Style.Append(h.buf, value)
		} else {
			h.buf = append(h.buf, value...)
		}
		h.buf = append(h.buf, sh.Lits[i+1]...)
		if bytes.Contains(h.buf, h.sub) {
			h.set.add(row)
			return
		}
	}
	h.rest.add(row)
}

// searchRest puts the records together of which nothing less tells.
func (s *Reader) searchRest(h *searcher, shapes []*shape.Shape, cols Columns) error {
	for i := range h.rest {
		h.rest[i] &^= h.set[i]
	}
	n := h.rest.count()
	if n == 0 {
		return nil
	}
	rows := h.rest.rows()
	if n <= few {
		return s.Records(rows, func(row int64, r *trailward.Record) error {
			if bytes.Contains(r.Raw, h.sub) {
				h.set.add(int(row))
			}
			return nil
		})
	}
	var raw []byte
	var err error
	for _, row := range rows {
		if raw, err = s.appendRecord(raw[:0], row, shapes, cols); err != nil {
			return err
		}
		if bytes.Contains(raw, h.sub) {
			h.set.add(int(row))
		}
	}
	return nil
}

// valueTest asks whether a value may be part of a match: has it inside, ends
// with its beginning, or begins with its end (or is all of it, when short).
type valueTest struct {
	inside             []byte
	suffixes, prefixes [][]byte
	styles             map[shape.Style]bool
	escapes            bool // the value's text in the record must be looked at, where it differs
}

func (t *valueTest) nothing() bool {
	return t.inside == nil && len(t.suffixes) == 0 && len(t.prefixes) == 0
}

// scan calls hit for the values, from the lo-th to before the hi-th, that the
// test accepts; more than once for some.
func (t *valueTest) scan(c *Column, lo, hi int, hit func(row int, v []byte)) {
	if t.escapes || c.form != asText {
		c.each(lo, hi, t.accepts, hit)
		return
	}
	if t.inside != nil {
		c.inside(lo, hi, t.inside, hit)
	}
	for _, x := range t.suffixes {
		c.endsWith(lo, hi, x, hit)
	}
	if len(t.prefixes) > 0 {
		begin := valueTest{prefixes: t.prefixes}
		c.each(lo, hi, begin.on, hit)
	}
}

// pieces says the test in pieces of which an accepted value has one.
func (t *valueTest) pieces() (out []piece, ok bool) {
	if t.inside != nil {
		out = append(out, piece{text: string(t.inside)})
	}
	for _, x := range t.suffixes {
		out = append(out, piece{text: string(x), end: true})
	}
	for _, x := range t.prefixes {
		out = append(out, piece{text: string(x), start: true})
		if len(out)+len(x) > maxPieces {
			return nil, false
		}
		for n := range x { // a value that is shorter
			out = append(out, piece{text: string(x[:n]), start: true, end: true})
		}
	}
	return out, len(out) <= maxPieces
}

func (t *valueTest) accepts(v []byte) bool {
	if t.on(v) {
		return true
	}
	if t.escapes && needsEscape(v) {
		for st := range t.styles {
			if st != 0 && t.on(st.Append(nil, v)) {
				return true
			}
		}
	}
	return false
}

func (t *valueTest) on(v []byte) bool {
	for _, x := range t.suffixes {
		if bytes.HasSuffix(v, x) {
			return true
		}
	}
	for _, x := range t.prefixes {
		if bytes.HasPrefix(v, x) || bytes.HasPrefix(x, v) {
			return true
		}
	}
	return t.inside != nil && bytes.Contains(v, t.inside)
}

// escapeHas reports whether sub, looked for in the text that values of these
// bytes have in a record of the style, may meet an escape: its first byte may
// stand in one, or it has a reverse solidus itself. (A match that begins before
// an escape has its reverse solidus.)
func (b *byteSet) escapeHas(st shape.Style, sub string) bool {
	if st == 0 {
		return false
	}
	var first string // what may stand behind a reverse solidus
	unicode := false
	for _, e := range []struct{ b, as string }{{`"`, `"`}, {`\`, `\`}, {"\n", "n"}, {"\r", "r"}, {"\t", "t"}, {"\b", "b"}, {"\f", "f"}} {
		if b.may(e.b) {
			first += e.as
			unicode = unicode || st&shape.LongBF != 0 && (e.as == "b" || e.as == "f")
		}
	}
	const named = 1<<'\n' | 1<<'\r' | 1<<'\t' | 1<<'\b' | 1<<'\f'
	unicode = unicode || b[0]&(1<<32-1)&^named != 0 ||
		st&(shape.ASCII|shape.LineSep) != 0 && b[2]|b[3] != 0 ||
		st&shape.HTML != 0 && (b.has('<') || b.has('>') || b.has('&')) || st&shape.DEL != 0 && b.has(0x7f)
	if st&shape.Slash != 0 && b.has('/') {
		first += "/"
	}
	if unicode {
		first += "u0123456789abcdefABCDEF"
	}
	return first != "" && (strings.Contains(sub, `\`) || strings.IndexByte(first, sub[0]) >= 0)
}

func needsEscape(v []byte) bool {
	for _, b := range v {
		if b < 0x20 || b >= 0x7f || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' || b == '/' {
			return true
		}
	}
	return false
}

// AppendRecord appends the bytes of the record in a row to dst, out of decoded
// columns.
func (s *Reader) AppendRecord(dst []byte, row int64, cols Columns) ([]byte, error) {
	shapes, err := s.loadShapes()
	if err != nil {
		return nil, err
	}
	return s.appendRecord(dst, row, shapes, cols)
}

func (s *Reader) appendRecord(dst []byte, row int64, shapes []*shape.Shape, cols Columns) ([]byte, error) {
	var buf [room]byte
	get := func(path string, room []byte) ([]byte, error) {
		c, err := cols.Column(path)
		if err != nil {
			return nil, err
		}
		if c != nil {
			if v, ok := c.Value(row, room); ok {
				return v, nil
			}
		}
		return nil, fmt.Errorf("%w: record without a value of its shape", ErrDamaged)
	}
	v, err := get(colShape, buf[:])
	if err != nil {
		return nil, err
	}
	k, err := strconv.Atoi(string(v))
	if err != nil || k < 0 || k >= len(shapes) {
		return nil, fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
	}
	sh := shapes[k]
	if sh.Verbatim {
		v, err := get(colRaw, nil)
		return append(dst, v...), err
	}
	values := make([][]byte, len(sh.Holes))
	rooms := make([]byte, room*len(sh.Holes))
	for i, h := range sh.Holes {
		if values[i], err = get(h.Path, rooms[room*i:room*i:room*(i+1)]); err != nil {
			return nil, err
		}
	}
	return sh.Append(dst, values), nil
}
