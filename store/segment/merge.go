package segment

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"trailward"
	"trailward/shape"
	"trailward/store/ledger"
)

// AddAll adds every record of the segment s, which must be of the same group
// and kind. It decodes one row group at a time; ctx ends it between two. Records
// that are not those which the segment's tree was made of are an error.
func (b *Builder) AddAll(ctx context.Context, s *Reader) error {
	if b.Group != s.Meta.Group || b.Kind != s.Meta.Kind {
		return fmt.Errorf("merge segment of %s %s into one of %s %s", s.Meta.Group, s.Meta.Kind, b.Group, b.Kind)
	}
	shapes, err := s.loadShapes()
	if err != nil {
		return err
	}
	salt, _, err := s.Meta.Tree()
	if err != nil {
		return err
	}
	tree := ledger.NewRecordTree(salt, s.Meta.Group, s.Meta.Kind)
	for g := range s.Meta.Groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.addGroup(s, g, shapes, tree); err != nil {
			return err
		}
	}
	b.wal = max(b.wal, s.Meta.WAL)
	return s.compareTree(tree)
}

// CheckTree reads every record and holds the tree over them against the one
// that the meta data has.
func (s *Reader) CheckTree(ctx context.Context) error {
	salt, _, err := s.Meta.Tree()
	if err != nil {
		return err
	}
	tree := ledger.NewRecordTree(salt, s.Meta.Group, s.Meta.Kind)
	err = s.Records(nil, func(row int64, r *trailward.Record) error {
		tree.Add(r)
		if row%4096 == 0 {
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.compareTree(tree)
}

func (s *Reader) compareTree(tree *ledger.RecordTree) error {
	if root, _ := tree.Sum(); root != s.Meta.Root || tree.Rows() != s.Meta.Rows {
		return fmt.Errorf("%w: its records do not have the hash that was made of them", ErrDamaged)
	}
	return nil
}

// system are the columns of a row group that are not of a record's shape.
type system struct {
	shape, time, arrival, nanos, stream, raw *chunk
	names                                    []string // of the attributes
	attrs                                    []*chunk
}

func (rd *Reader) system(g int) (s system, err error) {
	for _, c := range []struct {
		path string
		to   **chunk
		must bool
	}{{colShape, &s.shape, true}, {colTime, &s.time, true}, {colArrival, &s.arrival, true}, {colNanos, &s.nanos, false}, {colStream, &s.stream, true}, {colRaw, &s.raw, false}} {
		if *c.to, err = rd.column(g, c.path, nil); err != nil {
			return s, err
		}
		if *c.to == nil && c.must {
			return s, fmt.Errorf("%w: column %s is missing", ErrDamaged, c.path)
		}
	}
	for _, f := range rd.Meta.Fields {
		if name, ok := strings.CutPrefix(f.Path, AttrPrefix); ok {
			c, err := rd.column(g, f.Path, nil)
			if err != nil {
				return s, err
			}
			s.names, s.attrs = append(s.names, name), append(s.attrs, c)
		}
	}
	return s, nil
}

func (b *Builder) addGroup(rd *Reader, g int, shapes []*shape.Shape, tree *ledger.RecordTree) error {
	sys, err := rd.system(g)
	if err != nil {
		return err
	}
	cols := map[string]*chunk{}
	byShape := make([][]*chunk, len(shapes)) // by hole; nil for a value that is hidden
	var values [][]byte
	var scratch [][room]byte
	var raw []byte
	r := &trailward.Record{Group: b.Group, Kind: b.Kind}
	for i := range int(rd.Meta.Groups[g].Rows) {
		k := sys.shape.int(i)
		if k < 0 || k >= int64(len(shapes)) {
			return fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
		}
		s := shapes[k]
		if byShape[k] == nil {
			cs := make([]*chunk, len(s.Holes))
			for h := range s.Holes {
				p := s.Holes[h].Path
				if p == "" {
					continue
				}
				c, ok := cols[p]
				if !ok {
					if c, err = rd.column(g, p, nil); err != nil {
						return err
					}
					cols[p] = c
				}
				cs[h] = c
			}
			byShape[k] = cs
		}
		for len(scratch) < len(s.Holes) {
			scratch = append(scratch, [room]byte{})
		}
		values = values[:0]
		for h, c := range byShape[k] {
			if s.Holes[h].Path != "" && !c.has(i) || s.Holes[h].Path == "" && !s.Verbatim {
				return fmt.Errorf("%w: record without a value of its shape", ErrDamaged)
			}
			values = append(values, c.value(i, scratch[h][:]))
		}
		if s.Verbatim {
			if !sys.raw.has(i) {
				return fmt.Errorf("%w: record without its bytes", ErrDamaged)
			}
			raw = append(raw[:0], sys.raw.value(i, nil)...)
		} else {
			raw = s.Append(raw[:0], values)
		}
		r.Raw = raw
		r.Time, r.Arrival = sys.time.int(i)*1000, sys.arrival.int(i)*1000
		if sys.nanos != nil {
			r.Time += sys.nanos.int(i)
		}
		if v := sys.stream.value(i, nil); r.Stream != string(v) {
			r.Stream = string(v)
		}
		r.Attrs = r.Attrs[:0]
		for j, c := range sys.attrs {
			if c.has(i) {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: sys.names[j], Value: string(c.value(i, nil))})
			}
		}
		sum := ledger.Hash(sha256.Sum256(raw))
		tree.AddSum(r, &sum)
		b.add(r, shape.Taken{Shape: s, Values: values}, sum)
	}
	return nil
}
