package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"trailward"
	"trailward/store/segment"
	"trailward/store/segment/parquet"
)

// GroupColumn is the column of every file that [Snapshot.Open] makes, its last,
// which has the log group of each record's part. No field has that name: those
// that begin with @ in a record are written with a second one.
const GroupColumn = "@group"

// ColumnFile is a Parquet file in memory with the records of some parts, one part
// after the other. Its columns are GroupColumn and those that were asked for,
// and maybe others.
type ColumnFile struct {
	FD    int   // lives as long as the snapshot
	Parts []int // of those that were asked for, in the order of their records
	image *image
}

// Bytes returns how many bytes a column of the k-th part of the file has in its
// segment; what was read beside the columns, if the name is empty.
func (f *ColumnFile) Bytes(k int, column string) int64 { return f.image.bytes(k, column) }

// ColumnsError says that a question reads more columns than there is memory for:
// see [Options.QueryBytes]. Sizes are in bytes.
//
// All files of a question must be there before it runs, since the engine reads
// them when it likes, and more than once if the question says so: files that are
// filled when their turn comes are not to be had from a descriptor that DuckDB
// opens by path, and partial answers cannot be put together for any question. So
// what does not fit is refused, and not swapped or cut short.
type ColumnsError struct {
	Had   int64 // what it had in memory when it was refused more
	Limit int64 // what a question can have when it runs alone
}

func (e *ColumnsError) Error() string {
	return fmt.Sprintf("query reads more columns than there is memory for now (it has %d MiB of them, compressed; one that runs alone can have %d MiB): narrow the time range or the log groups, read fewer fields, or start trailward with a GOMEMLIMIT above 2GiB, with which this grows", e.Had>>20, e.Limit>>20)
}

// source is a part out of which files are made.
type source interface {
	Part
	// with calls fn with the open segment.
	withSegment(fn func(*segment.Reader) error) error
	inMemory() bool
}

// openConcurrency is how many files are made at once: each waits for the disk
// as much as it computes.
const openConcurrency = 4

// Open makes files, about as many as most or fewer, out of which the named
// columns of some parts of the snapshot can be read. Parts of different groups
// may be in one file, never of different kinds.
//
// Few parts have a file each. Many share files: a file costs the engine more
// than a row group in it, and only so many can be open. Which parts come together
// depends on their ids, so that a part more or less (a segment sealed, a shorter
// time range) changes one or two files, and the others are still in the cache.
func (s *Snapshot) Open(ctx context.Context, parts []Part, columns []string, most int) ([]ColumnFile, error) {
	columns = slices.Clone(columns)
	slices.Sort(columns)
	columns = slices.Compact(columns)
	list := make([]source, len(parts))
	for i, p := range parts {
		list[i] = p.(source)
	}
	together, err := bundles(list, columns, most)
	if err != nil {
		return nil, err
	}
	files := make([]ColumnFile, len(together))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(openConcurrency)
	for n, b := range together {
		g.Go(func() error {
			members := make([]source, len(b))
			ids := make([]string, len(b))
			for k, i := range b {
				members[k], ids[k] = list[i], list[i].ID()
			}
			im, err := s.image(ctx, ids, columns, members)
			if err == nil {
				files[n] = ColumnFile{FD: im.fd, Parts: b, image: im}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return files, nil
}

// image returns an image, in use until the snapshot is closed.
func (s *Snapshot) image(ctx context.Context, ids, columns []string, members []source) (*image, error) {
	built := false
	im, err := s.store.cache.get(ctx, ids, columns, func(im *image) error {
		built = true
		return s.build(ctx, im, members)
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.images[im] {
		s.store.cache.put(im) // one use is enough
		return im, nil
	}
	if s.images == nil {
		s.images = map[*image]bool{}
	}
	s.images[im] = true
	if !built { // else it was counted as it grew
		return im, s.pinLocked(im.taken)
	}
	return im, nil
}

// pin counts bytes of files that the snapshot keeps in memory.
func (s *Snapshot) pin(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pinLocked(n)
}

func (s *Snapshot) pinLocked(n int64) error {
	s.pinned += n
	more := max(0, s.pinned-s.store.opt.QueryBytes) - s.borrowed
	if more <= 0 {
		return nil
	}
	if !s.store.cache.borrow(more) {
		return &ColumnsError{Had: s.pinned - n, Limit: s.store.opt.QueryBytes + s.store.opt.CacheBytes}
	}
	s.borrowed += more
	return nil
}

// Bundling: how many parts share a file on average, as a power of two.
const (
	aloneUpTo = 32 // parts have a file each
	someUpTo  = 64 << 4
)

func sharing(parts, most int) int {
	k := 0
	switch {
	case parts > someUpTo:
		k = 8
	case parts > aloneUpTo:
		k = 4
	}
	for parts>>k > max(1, min(64, most/2)) {
		k++
	}
	return k
}

// bundles says which parts come into one file.
func bundles(list []source, columns []string, most int) ([][]int, error) {
	type form struct {
		kind     trailward.Kind
		inMemory bool // such parts come and go, and are not to disturb the others
		columns  string
	}
	byForm := map[form][]int{}
	var forms []form
	seen := map[*segment.Field]string{}
	for i, p := range list {
		fields := p.Fields()
		text, ok := seen[unsafe.SliceData(fields)]
		if !ok && len(fields) > 0 { // else why is told when it is read
			// Chunks of one column must be of one physical type.
			cols, err := segment.Places(fields, columns)
			if err != nil {
				return nil, fmt.Errorf("open segment %s: %w", p.ID(), err)
			}
			var b []byte
			for _, c := range cols {
				b = append(append(b, c.Column.Name...), 0, byte(c.Column.Type), flags(c.Column.Optional, c.Column.Text, c.Column.Micros, c.Column.UUID))
			}
			text = string(b)
			seen[unsafe.SliceData(fields)] = text
		}
		f := form{p.Kind(), p.inMemory(), text}
		if byForm[f] == nil {
			forms = append(forms, f)
		}
		byForm[f] = append(byForm[f], i)
	}
	for k := sharing(len(list), most); ; k++ {
		var out [][]int
		for _, f := range forms {
			from := 0
			all := byForm[f]
			for i, p := range all {
				last := xxh3.HashString(list[p].ID())&(1<<k-1) == 0
				if last || i+1-from >= 4<<k || i+1 == len(all) {
					out = append(out, all[from:i+1:i+1])
					from = i + 1
				}
			}
		}
		if len(out) <= max(most, len(forms)) {
			return out, nil
		}
	}
}

func flags(list ...bool) (out byte) {
	for i, f := range list {
		if f {
			out |= 1 << i
		}
	}
	return out
}

// writeAt is how many bytes are gathered before they are written to the file.
const writeAt = 1 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// build makes the memory file of an image. A damaged segment is an error that
// names it.
func (s *Snapshot) build(ctx context.Context, im *image, members []source) (err error) {
	if im.fd, err = newMemfd(); err != nil {
		return err
	}
	im.sizes = make([]int64, 0, len(members)*(1+len(im.columns)))
	pooled := buffers.Get().(*[]byte)
	buf := append((*pooled)[:0], parquet.Magic...)
	defer func() {
		if cap(buf) <= 4*writeAt { // one huge chunk shall not stay
			*pooled = buf
			buffers.Put(pooled)
		}
	}()
	at := int64(0) // where buf will be written
	counted := int64(0)
	flush := func() error {
		end := at + int64(len(buf))
		if err := s.pin(pages(end) - counted); err != nil {
			return err
		}
		s.store.cache.grow(im, pages(end)-counted)
		counted = pages(end)
		im.taken = counted
		if err := pwrite(im.fd, buf, at); err != nil {
			return err
		}
		at, buf = end, buf[:0]
		return nil
	}
	var file *parquet.Composer
	var columns []parquet.Column
	add := func(p source, r *segment.Reader) error {
		d, err := r.Describe(im.columns)
		if err != nil {
			return err
		}
		if file == nil {
			columns = d.Columns
			file = parquet.NewComposer(append(slices.Clone(columns), parquet.Column{Name: GroupColumn, Type: parquet.Bytes, Text: true}))
		} else if !slices.Equal(columns, d.Columns) {
			return fmt.Errorf("%w: its columns are not what the catalog says", segment.ErrDamaged)
		}
		sizes := make([]int64, 1+len(columns))
		sizes[0] = d.Footer
		for _, g := range d.Groups {
			chunks := make([]parquet.Described, 0, 1+len(columns))
			for k, c := range g.Chunks {
				chunks = append(chunks, c.At(at+int64(len(buf))))
				sizes[1+k] += c.Size
				n := len(buf)
				buf = slices.Grow(buf, int(c.Size))[:n+int(c.Size)]
				if _, err := r.ReadAt(buf[n:], c.Offset); err != nil {
					return err
				}
				if len(buf) >= writeAt {
					if err := flush(); err != nil {
						return err
					}
				}
			}
			from := at + int64(len(buf))
			var c parquet.Described
			buf, c = parquet.AppendConstant(buf, []byte(p.Group()), int(g.Rows))
			if err := file.Add(g.Rows, append(chunks, c.At(from))); err != nil {
				return err
			}
		}
		im.sizes = append(im.sizes, sizes...)
		return nil
	}
	for _, p := range members {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		before := int64(0)
		if file != nil {
			before = file.Rows()
		}
		if err := p.withSegment(func(r *segment.Reader) error { return add(p, r) }); err != nil {
			return fmt.Errorf("open segment %s: %w", p.ID(), err)
		}
		if got := file.Rows() - before; got != p.Rows() {
			return fmt.Errorf("open segment %s: %w: it has %d records of %d", p.ID(), segment.ErrDamaged, got, p.Rows())
		}
	}
	buf = append(buf, file.Footer()...)
	return flush()
}
