package parquet

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// A node is a column or a group of columns. Rows are put together as the Dremel
// paper has it: every entry of a column comes with the level up to which its
// path is defined and the level at which it repeats.
type node interface {
	// json appends the node's next value; every column below moves on.
	json(dst []byte) ([]byte, error)
	// first is the column whose levels say whether the node is there.
	first() *leaf
	// skip passes over the entry that says that the node is not there.
	skip()
	about() *place
}

// place is what group and leaf have in common.
type place struct {
	name     string
	optional bool
	many     bool  // it repeats
	max      int16 // the definition level of its being there
	repeated int16 // the repetition level of its next element
}

// group is a struct, a list or a map.
type group struct {
	place
	fields []node
	list   bool // the list or map around one repeated group, or that group of a list
	pairs  bool // the repeated group of a map with text keys
}

// leaf is a column that holds values, and the part of it that is read.
type leaf struct {
	place
	value  func(dst []byte, v int, json bool) []byte
	column *schema.Column
	chunk  chunk

	def, rep []int16
	i, n     int // entry, and how many are held
	v        int // value: the entries before i that have one
	err      error
}

// errDone is a column's end.
var errDone = errors.New("it ends before the row group does")

// tree makes nodes of a schema.
func (r *Reader) tree(n schema.Node, def, rep int16, depth int) (*group, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: columns lie more than %d deep in one another", ErrTooLarge, MaxDepth)
	}
	in, ok := n.(*schema.GroupNode)
	if !ok || in.NumFields() == 0 {
		return nil, fmt.Errorf("the group %q of the Parquet schema has no columns", n.Name())
	}
	g := &group{}
	for i := range in.NumFields() {
		f := in.Field(i)
		p := place{name: f.Name(), max: def, repeated: rep}
		switch f.RepetitionType() {
		case parquet.Repetitions.Optional:
			p.optional = true
			p.max++
		case parquet.Repetitions.Repeated:
			p.many = true
			p.max++
			p.repeated++
		}
		if f.Type() == schema.Primitive {
			l := &leaf{place: p, column: r.f.MetaData().Schema.Column(len(r.leaves))}
			if err := l.choose(); err != nil {
				return nil, err
			}
			r.leaves = append(r.leaves, l)
			g.fields = append(g.fields, l)
			continue
		}
		sub, err := r.tree(f, p.max, p.repeated, depth+1)
		if err != nil {
			return nil, err
		}
		sub.place = p
		sub.shape(f)
		g.fields = append(g.fields, sub)
	}
	return g, nil
}

// shape tells lists and maps, whose inner groups say nothing in JSON.
func (g *group) shape(n schema.Node) {
	isList := n.ConvertedType() == schema.ConvertedTypes.List
	isMap := n.ConvertedType() == schema.ConvertedTypes.Map || n.ConvertedType() == schema.ConvertedTypes.MapKeyValue
	if !isList && !isMap || len(g.fields) != 1 || g.many {
		return
	}
	inner, ok := g.fields[0].(*group)
	if !ok {
		g.list = isList && g.fields[0].(*leaf).many // a list of two levels
		return
	}
	switch {
	case !inner.many:
	case isList:
		// The element of a list of three levels is the one field in the
		// repeated group; of two levels, the repeated group itself.
		g.list = true
		inner.list = len(inner.fields) == 1 && inner.name != "array" && inner.name != g.name+"_tuple"
	case len(inner.fields) == 2:
		if key, ok := inner.fields[0].(*leaf); ok && !key.many && !key.optional && key.text() {
			g.list, inner.pairs = true, true
		}
	}
}

func (g *group) first() *leaf { return g.fields[0].first() }

func (g *group) skip() {
	for _, f := range g.fields {
		f.skip()
	}
}

// json appends the group.
func (g *group) json(dst []byte) ([]byte, error) { return each(&g.place, g, dst, g.element) }

// element appends the group without looking at whether it is there.
func (g *group) element(dst []byte) ([]byte, error) {
	if g.list {
		return g.fields[0].json(dst)
	}
	if !g.pairs {
		dst = append(dst, '{')
	}
	for i, f := range g.fields {
		var err error
		switch {
		case g.pairs && i == 1:
			dst = append(dst, ':')
		case i > 0:
			dst = append(dst, ',')
		}
		if !g.pairs {
			dst = append(appendString(dst, []byte(f.about().name)), ':')
		}
		if dst, err = f.json(dst); err != nil {
			return dst, err
		}
		if len(dst) > MaxLine {
			return dst, fmt.Errorf("%w: a row has more than %d bytes", ErrTooLarge, MaxLine)
		}
	}
	if !g.pairs {
		dst = append(dst, '}')
	}
	return dst, nil
}

// each appends what is at a place: the one element, null, or all of them.
func each(p *place, n node, dst []byte, element func([]byte) ([]byte, error)) ([]byte, error) {
	if !p.optional && !p.many {
		return element(dst)
	}
	l := n.first()
	if !l.peek() {
		return dst, fmt.Errorf("column %s: %w", l.name, l.err)
	}
	there := l.def[l.i] >= p.max
	if !p.many {
		if !there {
			n.skip()
			return append(dst, "null"...), nil
		}
		return element(dst)
	}
	open, end := byte('['), byte(']')
	if g, ok := n.(*group); ok && g.pairs {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	if !there {
		n.skip()
		return append(dst, end), nil
	}
	for i := 0; ; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = element(dst); err != nil {
			return dst, err
		}
		if len(dst) > MaxLine {
			return dst, fmt.Errorf("%w: a row has more than %d bytes", ErrTooLarge, MaxLine)
		}
		if !l.peek() {
			if l.err == errDone {
				break // it was the last one
			}
			return dst, fmt.Errorf("column %s: %w", l.name, l.err)
		}
		if l.rep[l.i] < p.repeated {
			break
		}
	}
	return append(dst, end), nil
}

func (p *place) about() *place { return p }

func (l *leaf) first() *leaf { return l }

func (l *leaf) skip() {
	if l.peek() {
		l.next()
	}
}

func (l *leaf) json(dst []byte) ([]byte, error) { return each(&l.place, l, dst, l.element) }

func (l *leaf) element(dst []byte) ([]byte, error) {
	if !l.peek() {
		return dst, fmt.Errorf("column %s: %w", l.name, l.err)
	}
	if l.def[l.i] < l.max {
		dst = append(dst, "null"...)
	} else {
		dst = l.value(dst, l.v, true)
	}
	l.next()
	return dst, nil
}

// peek makes sure that an entry is held and reports whether there is one.
func (l *leaf) peek() bool {
	if l.i < l.n {
		return true
	}
	if l.err != nil {
		return false
	}
	if l.chunk == nil {
		l.err = errDone
		return false
	}
	l.i, l.n, l.v = 0, 0, 0
	n, values, err := l.chunk.read(l.def, l.rep)
	if l.max == 0 {
		n = int64(values)
	}
	switch {
	case err != nil:
		l.err = err
		return false
	case n == 0:
		if l.err = l.chunk.reader().Err(); l.err == nil {
			l.err = errDone
		}
		return false
	}
	there := 0
	for i := range int(n) {
		if l.max == 0 {
			l.def[i] = 0
		}
		if l.column.MaxRepetitionLevel() == 0 {
			l.rep[i] = 0
		}
		if l.def[i] == l.max {
			there++
		}
	}
	if there != values {
		l.err = fmt.Errorf("%d values came where its levels say %d", values, there)
		return false
	}
	l.n = int(n)
	return true
}

// next passes over the entry that peek has shown.
func (l *leaf) next() {
	if l.def[l.i] == l.max {
		l.v++
	}
	l.i++
}

// open begins with the column's part of a row group.
func (l *leaf) open(cr file.ColumnChunkReader) error {
	if l.chunk = newChunk(cr); l.chunk == nil {
		return fmt.Errorf("column %s: a value of type %v is not read", l.name, cr.Type())
	}
	if cr.Descriptor().PhysicalType() != l.column.PhysicalType() {
		return fmt.Errorf("column %s: its type is not that of the schema", l.name)
	}
	if l.def == nil {
		l.def, l.rep = make([]int16, batch), make([]int16, batch)
	}
	l.i, l.n, l.v, l.err = 0, 0, 0, nil
	return nil
}

func (l *leaf) close() {
	if l.chunk != nil {
		l.chunk.reader().Close()
		l.chunk = nil
	}
	l.i, l.n, l.err = 0, 0, nil
}
