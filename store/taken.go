package store

import (
	"trailward"
	"trailward/shape"
)

// TakenList is records taken apart, one for each of a batch, in little memory:
// a batch may have very many, and several are under way at once.
type TakenList struct {
	shapes []*shape.Shape
	first  []uint32 // the number of the first value of each
	ends   []uint32 // where each value ends
	data   []byte
}

// NewTakenList makes room for records of so many bytes in all.
func NewTakenList(records, bytes int) *TakenList {
	return &TakenList{shapes: make([]*shape.Shape, 0, records), first: make([]uint32, 0, records), data: make([]byte, 0, bytes)}
}

// Add adds a record. What it is made of may be used again when it returns.
func (l *TakenList) Add(t shape.Taken) {
	if len(l.first) == 1 { // they are mostly alike
		l.ends = append(make([]uint32, 0, cap(l.first)*(len(l.ends)+1)), l.ends...)
	}
	l.shapes = append(l.shapes, t.Shape)
	l.first = append(l.first, uint32(len(l.ends)))
	for _, v := range t.Values {
		l.data = append(l.data, v...)
		l.ends = append(l.ends, uint32(len(l.data)))
	}
}

// at returns the i-th record. values is memory for it.
func (l *TakenList) at(i int, values [][]byte) shape.Taken {
	last := len(l.ends)
	if i+1 < len(l.first) {
		last = int(l.first[i+1])
	}
	values = values[:0]
	from := uint32(0)
	if at := l.first[i]; at > 0 {
		from = l.ends[at-1]
	}
	for _, end := range l.ends[l.first[i]:last] {
		values = append(values, l.data[from:end:end])
		from = end
	}
	return shape.Taken{Shape: l.shapes[i], Values: values}
}

// takeAll takes records apart.
func takeAll(recs []trailward.Record, take func(*trailward.Record) shape.Taken) *TakenList {
	bytes := 0
	for i := range recs {
		bytes += len(recs[i].Raw)
	}
	l := NewTakenList(len(recs), bytes)
	for i := range recs {
		l.Add(take(&recs[i]))
	}
	return l
}
