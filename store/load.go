package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"

	"trailward"
	"trailward/shape"
	"trailward/store/catalog"
	"trailward/store/segment"
)

// File is what the store remembers of a file that was read into it.
type File = catalog.File

// Load stores many records at once, in segments of full size and not by way of
// the WAL, so that nothing is written twice. Nothing is durable before Flush or
// Close returns; each of those makes durable, in one step, the records added
// and how far each file was read. It is not safe for concurrent use; several
// Loads at once do not see each other's records as duplicates.
type Load struct {
	s        *Store
	arrival  int64 // none comes before it
	builders map[headKey]*segment.Builder
	latest   headKey          // of the record before
	into     *segment.Builder // the one of it; nil when there is none
	raw      int64
	sizes    map[headKey]segment.Sizes // of the builders before, when there was one
	files    []File                    // read to their end
	cur      *File
	mark     func(*File) // sets how far cur was read
	res      Result
	writing  map[headKey]*segment.Builder // being written
	writingF []File
	wait     chan error // of the write under way; nil when there is none
	err      error
	flushed  bool // once; merging may go on
}

// sampleRows is after how many records the size of all is guessed.
const sampleRows = 1 << 16

// NewLoad begins a Load.
func (s *Store) NewLoad() *Load {
	s.mu.Lock()
	s.loads++
	s.mu.Unlock()
	return &Load{s: s, arrival: s.accept(), builders: map[headKey]*segment.Builder{}}
}

// Known returns the files that were read into the group and begin with the
// same bytes: head is the SHA-256 of the first 64 KiB.
func (l *Load) Known(group string, head [32]byte) ([]File, error) {
	fs, err := l.s.cat.Files(group, head)
	if err != nil {
		return nil, err
	}
	for _, list := range [][]File{l.writingF, l.files} {
		for _, f := range list {
			if f.Group == group && f.Head == head {
				fs = append(fs, f)
			}
		}
	}
	return fs, nil
}

// Named returns the file that was read into the group under the name, if it was
// said that it may grow, or was very short. Its bytes may be others by now.
func (l *Load) Named(group, name string) ([]File, error) { return l.Known(group, nameHead(name)) }

// Started returns the files that were read into the group, were shorter than 64
// KiB then, and begin with the same bytes: start is the SHA-256 of the first KiB.
func (l *Load) Started(group string, start [32]byte) ([]File, error) {
	return l.Known(group, startHead(start))
}

// startHead stands for the head of a file that is looked up by its start.
func startHead(start [32]byte) [32]byte {
	return sha256.Sum256(append([]byte("trailward file beginning with\x00"), start[:]...))
}

// nameHead stands for the head of a file that is looked up by its name.
func nameHead(name string) [32]byte { return sha256.Sum256([]byte("trailward file named\x00" + name)) }

// Begin says that the records that follow are of file f, of which f.Records
// are behind already. While it is not at its End, each Flush remembers how far
// it came: mark, if not nil, is called then, or when Stop or End is, and sets
// Size, Sum and Last to what lies behind the records added so far.
func (l *Load) Begin(f File, mark func(*File)) {
	f.Done = false
	l.cur, l.mark = &f, mark
}

// Stop says that no more will be read of the file begun last, although it is
// not at its end: mark is not called any more.
func (l *Load) Stop() {
	if l.cur != nil && l.mark != nil {
		l.mark(l.cur)
		l.mark = nil
	}
}

// End says that the file begun last was read to its end, or as far as it can
// be; sum is the SHA-256 of all of it.
func (l *Load) End(size int64, sum [32]byte) {
	if l.cur != nil {
		l.Stop()
		l.cur.Size, l.cur.Sum, l.cur.Done = size, sum, true
		l.files = append(l.files, entries(*l.cur)...)
		l.cur = nil
	}
}

// entries is what is remembered of a file: one that may grow is found by its
// name too, and one shorter than its head by its start, since it begins
// differently when it has grown, or was cut and comes again whole.
func entries(f File) []File {
	out := []File{f}
	if f.Grows || f.Short && f.Start == [32]byte{} {
		named := f
		named.Head = nameHead(f.Name)
		out = append(out, named)
	}
	if f.Short && f.Start != [32]byte{} {
		started := f
		started.Head = startHead(f.Start)
		out = append(out, started)
	}
	return out
}

// Skip counts n records of a file that was read before as duplicates.
func (l *Load) Skip(n int64) { l.res.Duplicates += n }

// Pass counts n records of the present file, which an interrupted load stored
// already, as duplicates.
func (l *Load) Pass(n int64) {
	l.res.Duplicates += n
	if l.cur != nil {
		l.cur.Records += n
	}
}

// Add adds a record that was taken apart. The record's bytes may be used again
// when it returns; its arrival may have been set. The record is not stored if
// it is a duplicate.
func (l *Load) Add(r *trailward.Record, t shape.Taken) error {
	if l.err != nil {
		return l.err
	}
	if l.cur != nil {
		l.cur.Records++
	}
	if r.Arrival < l.arrival {
		r.Arrival = l.arrival
	}
	k, b := l.latest, l.into
	if b == nil || r.Kind != k.kind || r.Group != k.group {
		k = headKey{r.Group, r.Kind}
		var err error
		if b, err = l.builder(k); err != nil {
			return err
		}
		l.latest, l.into = k, b
	}
	conflict := false
	if paths := l.s.opt.Format.KeyPaths(r.Kind); len(paths) > 0 {
		key, content, err := l.same(b, k, r, t)
		if err != nil {
			return err
		}
		if content {
			l.res.Duplicates++
			return nil
		}
		conflict = key
	}
	b.Add(r, t)
	l.res.add(r, conflict)
	l.raw += int64(len(r.Raw))
	if b.Rows() == sampleRows && l.sizes == nil && len(l.builders) == 1 {
		b.Reserve(int(min(float64(loadBytes)/float64(b.RawSize())*1.05, float64(loadMemory)/float64(b.Memory())) * sampleRows))
	}
	if l.raw >= loadBytes || l.res.Records%4096 == 0 && l.memory() >= loadMemory {
		return l.write()
	}
	return nil
}

// builder returns the builder of records of one group and kind.
func (l *Load) builder(k headKey) (*segment.Builder, error) {
	b := l.builders[k]
	if b != nil {
		return b, nil
	}
	if err := CheckName("group", k.group); err != nil {
		return nil, err
	}
	b = l.s.newBuilder(k)
	if n, ok := l.sizes[k]; ok { // the load before was of the same records
		b.Expect(n)
	}
	l.builders[k] = b
	return b, nil
}

func (l *Load) memory() (n int64) {
	for _, b := range l.builders {
		n += b.Memory()
	}
	return n
}

func (l *Load) same(b *segment.Builder, k headKey, r *trailward.Record, t shape.Taken) (key, content bool, err error) {
	same := l.s.sameContent(r)
	if key, content = b.Same(t, same); content {
		return key, content, nil
	}
	if w := l.writing[k]; w != nil {
		k2, c2 := w.Same(t, same)
		if key = key || k2; c2 {
			return key, true, nil
		}
	}
	k2, c2, err := l.s.same(r.Group, r, t)
	return key || k2, c2, err
}

// write hands what was collected to a goroutine that makes segments of it, and
// waits for the one before.
func (l *Load) write() error {
	if err := l.finish(); err != nil {
		return err
	}
	if len(l.builders) == 0 && len(l.files) == 0 {
		return nil
	}
	builders, files := l.builders, l.files
	if l.cur != nil {
		if l.mark != nil {
			l.mark(l.cur)
		}
		files = append(files, entries(*l.cur)...)
	}
	for k, b := range builders {
		l.res.addKind(k.kind, b.Rows())
	}
	if len(builders) == 1 {
		l.sizes = map[headKey]segment.Sizes{}
		for k, b := range builders {
			l.sizes[k] = b.Sizes()
		}
	}
	l.builders, l.into, l.files, l.raw = map[headKey]*segment.Builder{}, nil, nil, 0
	l.writing, l.writingF = builders, files
	l.wait = make(chan error, 1)
	go func(done chan<- error) { done <- l.s.writeLoad(builders, files) }(l.wait)
	return nil
}

func (l *Load) finish() error {
	if l.wait != nil {
		if err := <-l.wait; err != nil && l.err == nil {
			l.err = fmt.Errorf("store records: %w", err)
		}
		l.wait, l.writing, l.writingF = nil, nil, nil
	}
	return l.err
}

func (s *Store) writeLoad(builders map[headKey]*segment.Builder, files []File) error {
	s.mu.Lock()
	err := s.takesRecords()
	s.mu.Unlock()
	if err != nil && !errors.Is(err, ErrOverloaded) { // a load is not in the head
		return err
	}
	list := make([]*segment.Builder, 0, len(builders))
	for _, b := range builders {
		if b.Rows() > 0 {
			list = append(list, b)
		}
	}
	return s.writeAll(list, catalog.Change{Files: files}, func() {
		for _, b := range list {
			s.spoke(b.Group, s.now())
			s.count(int64(b.Rows()), b.RawSize())
		}
	})
}

// Flush makes durable all that was added.
func (l *Load) Flush(ctx context.Context) error {
	defer l.ended()
	if err := l.write(); err != nil {
		return err
	}
	// The write itself is not given up half-way: it is short, and what it has
	// done would be done again.
	return errors.Join(l.finish(), ctx.Err())
}

// ended lets segments be merged again; a Load is mostly not used after Flush.
func (l *Load) ended() {
	if l.flushed {
		return
	}
	l.flushed = true
	l.s.mu.Lock()
	l.s.loads--
	l.s.mu.Unlock()
	select {
	case l.s.merge <- struct{}{}:
	default:
	}
}

// Result returns what became of the records so far.
func (l *Load) Result() Result {
	res := l.res
	res.Kinds = maps.Clone(res.Kinds)
	for k, b := range l.builders {
		res.addKind(k.kind, b.Rows())
	}
	return res
}
