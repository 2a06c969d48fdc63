package segment

import (
	"crypto/sha256"
	"fmt"

	"trailward"
	"trailward/store/ledger"
)

// addTree computes the tree over the records in the order of the file and puts
// what a proof needs of it into the meta data.
func (p *writePlan) addTree() {
	b := p.b
	salt := ledger.NewSalt()
	t := ledger.NewRecordTree(salt, b.Group, b.Kind)
	// A leaf has a record as a reader will give it back: attributes as they
	// are stored, in no order of their own.
	names := make([]string, 0, len(b.attrs))
	cols := make([]*column, 0, len(b.attrs))
	for name, c := range b.attrs {
		names, cols = append(names, name), append(cols, c)
	}
	streams := make([]string, len(b.streams.dictValues()))
	for i, v := range b.streams.dictValues() {
		streams[i] = string(v)
	}
	var r trailward.Record
	for i := range b.rows {
		row := p.row(i)
		r.Stream = b.streamOf(row, streams)
		r.Time, r.Arrival = b.times[row], b.arrival[row]
		r.Attrs = r.Attrs[:0]
		for k, c := range cols {
			if v, ok := c.value(row, nil); ok {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: names[k], Value: string(v)})
			}
		}
		t.AddSum(&r, &b.sums[row])
	}
	root, subtrees := t.Sum()
	p.m.Salt, p.m.Root = salt[:], root
	p.m.Subtrees = make([]byte, 0, len(subtrees)*sha256.Size)
	for _, h := range subtrees {
		p.m.Subtrees = append(p.m.Subtrees, h[:]...)
	}
}

// dictValues returns the distinct values of a column that is a dictionary, or
// none.
func (c *column) dictValues() [][]byte {
	if c.form != asDict {
		return nil
	}
	out := make([][]byte, len(c.dict.ends))
	for i := range out {
		out[i] = c.dict.value(uint32(i))
	}
	return out
}

// streamOf returns the stream of a row; shared has one string for each.
func (b *Builder) streamOf(row int, shared []string) string {
	c := b.streams
	if c.form == asDict && c.rows == nil {
		return shared[c.idx[row]]
	}
	v, _ := c.value(row, nil)
	return string(v)
}

// Tree returns the secret salt of the segment's records and the roots of their
// subtrees, as package ledger has them.
func (m *Meta) Tree() (salt [ledger.SaltSize]byte, subtrees []ledger.Hash, err error) {
	if len(m.Salt) != ledger.SaltSize || len(m.Subtrees) != int((m.Rows+ledger.SubtreeRows-1)/ledger.SubtreeRows)*sha256.Size {
		return salt, nil, fmt.Errorf("%w: its tree does not fit its records", ErrDamaged)
	}
	subtrees = make([]ledger.Hash, len(m.Subtrees)/sha256.Size)
	for i := range subtrees {
		copy(subtrees[i][:], m.Subtrees[i*sha256.Size:])
	}
	return [ledger.SaltSize]byte(m.Salt), subtrees, nil
}
