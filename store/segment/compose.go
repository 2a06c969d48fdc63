package segment

import (
	"errors"
	"fmt"
	"slices"

	"trailward/store/segment/parquet"
)

// Described is what a segment's footer says of some of its columns, for files
// that are made of its column chunks.
type Described struct {
	Columns []parquet.Column // in the order in which they were asked for
	// Groups are the row groups, with their chunks of those columns.
	Groups []parquet.FooterGroup
	Footer int64 // bytes of the footer, which was read
}

// Places finds columns by name and says what they are in the Parquet file.
func Places(fields []Field, names []string) ([]parquet.Wanted, error) {
	number := make(map[string]int, len(names))
	for _, n := range names {
		number[n] = -1
	}
	for i := range fields {
		if _, ok := number[fields[i].Column]; ok {
			number[fields[i].Column] = i
		}
	}
	out := make([]parquet.Wanted, len(names))
	for k, n := range names {
		i := number[n]
		if i < 0 {
			return nil, fmt.Errorf("%w: it has no column %q", ErrDamaged, n)
		}
		out[k] = parquet.Wanted{Number: i, Column: fields[i].column()}
	}
	return out, nil
}

// Describe reads what the footer says of the named columns.
func (s *Reader) Describe(columns []string) (*Described, error) {
	d, err := s.describe(columns)
	if errors.Is(err, parquet.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return d, err
}

func (s *Reader) describe(columns []string) (*Described, error) {
	want, err := Places(s.Meta.Fields, columns)
	if err != nil {
		return nil, err
	}
	d := &Described{Columns: make([]parquet.Column, len(columns))}
	for k := range want {
		d.Columns[k] = want[k].Column
	}
	order := make([]int, len(columns)) // of the columns in the file
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return want[a].Number - want[b].Number })
	slices.SortFunc(want, func(a, b parquet.Wanted) int { return a.Number - b.Number })

	size := s.Meta.ParquetSize
	if size < parquet.TailSize {
		return nil, fmt.Errorf("%w: Parquet file of %d bytes", ErrDamaged, size)
	}
	tail, err := s.bytes([2]int64{size - parquet.TailSize, parquet.TailSize})
	if err != nil {
		return nil, err
	}
	n, err := parquet.FooterSize(tail, size)
	if err != nil {
		return nil, err
	}
	end := size - parquet.TailSize - n
	foot, err := s.bytes([2]int64{end, n})
	if err != nil {
		return nil, err
	}
	groups, err := parquet.DecodeFooter(foot, len(s.Meta.Fields), want, end)
	if err != nil {
		return nil, err
	}
	if len(groups) != len(s.Meta.Groups) {
		return nil, fmt.Errorf("%w: footer of %d row groups, there are %d", ErrDamaged, len(groups), len(s.Meta.Groups))
	}
	for g := range groups {
		if groups[g].Rows != s.Meta.Groups[g].Rows {
			return nil, fmt.Errorf("%w: footer of a row group of %d rows, it has %d", ErrDamaged, groups[g].Rows, s.Meta.Groups[g].Rows)
		}
		chunks := make([]parquet.Described, len(columns))
		for i, k := range order {
			c := groups[g].Chunks[i]
			// Two places say where the chunk is.
			if place := s.Meta.Fields[want[i].Number].Chunks[g]; place != [2]int64{c.Offset, c.Size} {
				return nil, fmt.Errorf("%w: footer of column %q: the chunk lies elsewhere", ErrDamaged, columns[k])
			}
			chunks[k] = c
		}
		groups[g].Chunks = chunks
	}
	d.Groups, d.Footer = groups, n+parquet.TailSize
	return d, nil
}
