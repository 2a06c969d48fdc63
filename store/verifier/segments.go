package verifier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"trailward"
	"trailward/store/ledger"
)

const restoreSegment = "put the object back from a backup; its records are not to be trusted until then"

// claim is what is said of a segment, by the ledger or by the catalog or both.
type claim struct {
	id    string
	entry *ledger.Segment // nil: no entry can be read that has it
	row   *Row            // nil: the catalog has none
}

// segments reads every segment that the ledger or the catalog has.
func (v *verification) segments(ctx context.Context, rows []Row, b *book) error {
	claims := make(map[string]claim, len(b.live))
	for id, s := range b.live {
		claims[id] = claim{id: id, entry: &s.Segment}
	}
	for i := range rows {
		c := claims[rows[i].ID]
		c.id, c.row = rows[i].ID, &rows[i]
		claims[c.id] = c
	}
	var total int64
	for _, c := range claims {
		total += c.size()
	}
	v.stage("segments", total)
	g, ctx := errgroup.WithContext(ctx)
	parallel := v.opt.Parallel
	if parallel <= 0 {
		parallel = 2
	}
	g.SetLimit(parallel)
	for _, id := range sortedKeys(claims) {
		c := claims[id]
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := v.segment(ctx, c, b); err != nil {
				return fmt.Errorf("segment %s: %w", c.id, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *claim) size() int64 {
	if c.entry != nil {
		return c.entry.Size
	}
	return c.row.Size
}

// segment reads one segment. The error is one of reading, or of ctx.
func (v *verification) segment(ctx context.Context, c claim, b *book) error {
	where := "segment " + c.id
	blob, err := v.Objects.Open(ctx, c.id)
	if errors.Is(err, fs.ErrNotExist) {
		// It may have gone by a change that came while this ran.
		v.mu.Lock()
		b.doubts[c.id] = append(b.doubts[c.id], Finding{Missing, where, "its object is not there", "put the object back from a backup"})
		v.mu.Unlock()
		return nil
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	v.mu.Lock()
	v.report.Segments++
	v.report.Bytes += blob.Size()
	v.mu.Unlock()
	whole, err := v.object(ctx, c, blob, b)
	if err != nil {
		return err
	}
	s, in, err := v.open(c.id, blob)
	if err == nil {
		err = v.content(ctx, c, s, in)
	}
	var bad *contentError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case !whole && isKeyMissing(err):
		// The name of the key is among what was altered.
	case !errors.As(err, &bad):
		return err
	case whole: // else it has been named
		v.find(Finding{bad.what, where, bad.detail, restoreSegment})
	}
	return nil
}

// object compares the sealed bytes with what the ledger says of them.
func (v *verification) object(ctx context.Context, c claim, blob Blob, b *book) (whole bool, err error) {
	where := "segment " + c.id
	h := sha256.New()
	buf := make([]byte, min(1<<20, blob.Size()))
	for off := int64(0); off < blob.Size(); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		p := buf[:min(int64(len(buf)), blob.Size()-off)]
		if err := readFull(blob, p, off); err != nil {
			return false, err
		}
		h.Write(p)
		off += int64(len(p))
		v.advance(int64(len(p)))
	}
	if c.entry == nil {
		return true, nil
	}
	sum := ledger.Hash(h.Sum(nil))
	if sum == c.entry.Sum && blob.Size() == c.entry.Size {
		return true, nil
	}
	for id, o := range b.live { // not written to while segments are read
		if o.Sum == sum && id != c.id {
			v.find(Finding{Exchanged, where, "its object is that of segment " + id, restoreSegment})
			return false, nil
		}
	}
	detail := "its object does not have the hash that the ledger has"
	if blob.Size() != c.entry.Size {
		detail = fmt.Sprintf("its object has %d bytes, not %d", blob.Size(), c.entry.Size)
	}
	if _, _, err := v.open(c.id, blob); err != nil {
		detail += ": " + err.Error()
	} else {
		detail += ", although it opens: it was sealed anew, by somebody who has the key, or is damaged further in"
	}
	v.find(Finding{Altered, where, detail, restoreSegment})
	return false, nil
}

// contentError says what is wrong with a segment's content.
type contentError struct {
	what   What
	detail string
}

func (e *contentError) Error() string { return e.detail }

func contentErrorf(what What, format string, args ...any) error {
	return &contentError{what, fmt.Sprintf(format, args...)}
}

// open decrypts a segment and opens it. Any error that is not one of reading
// is a contentError.
func (d *Deps) open(id string, blob Blob) (s Segment, in *reads, err error) {
	in = &reads{ReaderAt: blob}
	defer in.judge(&err)
	plain, err := d.Sealer.Open(in, blob.Size(), "segment/"+id)
	if err != nil {
		return nil, in, err
	}
	s, err = d.OpenSegment(plain, plain.Size())
	return s, in, err
}

// reads tells a failed read of the disk from what a decoder makes of the bytes,
// whatever the decoder's error looks like.
type reads struct {
	io.ReaderAt
	mu  sync.Mutex
	err error
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
	return n, err
}

// judge makes err a contentError unless a read failed or a key is missing. It
// also takes a panic for what it is in a decoder of foreign bytes.
func (r *reads) judge(err *error) {
	if p := recover(); p != nil {
		*err = contentErrorf(Altered, "it cannot be decoded: %v", p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var already *contentError
	switch {
	case *err == nil || errors.As(*err, &already):
	case r.err != nil:
		*err = r.err
	case errors.Is(*err, context.Canceled), errors.Is(*err, context.DeadlineExceeded), isKeyMissing(*err):
	default:
		*err = contentErrorf(Altered, "%v", *err)
	}
}

// content reads all records of a segment and compares what they make with all
// that was said of them.
func (v *verification) content(ctx context.Context, c claim, s Segment, in *reads) (err error) {
	defer in.judge(&err)
	facts := s.Facts()
	if err := v.agree(c, &facts); err != nil {
		return err
	}
	salt, root, subtrees, err := s.Tree()
	if err != nil {
		return err
	}
	switch {
	case rootOf(subtrees) != root:
		return contentErrorf(Altered, "the subtrees that it has stored do not have the root that it has stored")
	case c.entry != nil && root != c.entry.Root:
		return contentErrorf(Altered, "its records have not the root that the ledger has")
	case c.row != nil && root != c.row.Root:
		return contentErrorf(Unlike, "its records have not the root that the catalog has")
	}
	salts, err := newSalter(salt)
	if err != nil {
		return err
	}
	var (
		sub      tree
		made     int
		l        leafer
		n, bytes int64
		first    = facts.FirstTime
		arrivals [2]int64
	)
	err = s.Records(nil, func(row int64, r *trailward.Record) error {
		if n&1023 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		switch {
		case row != n:
			return contentErrorf(Altered, "record %d comes where record %d should", row, n)
		case n == facts.Rows:
			return contentErrorf(Altered, "it has more records than the %d that it says", n)
		case n == 0 && r.Time != facts.FirstTime, r.Time < first, r.Time > facts.LastTime:
			return contentErrorf(Altered, "the event time of record %d is out of order", row)
		case r.Group != facts.Group || r.Kind != facts.Kind:
			return contentErrorf(Altered, "record %d is of another group or kind", row)
		}
		first = r.Time
		a := micros(r.Arrival)
		if n == 0 {
			arrivals = [2]int64{a, a}
		}
		arrivals = [2]int64{min(arrivals[0], a), max(arrivals[1], a)}
		sub.add(l.leaf(salts.of(row), r))
		n++
		bytes += int64(len(r.Raw))
		if sub.size == subtreeRows || n == facts.Rows {
			if made >= len(subtrees) || sub.root() != subtrees[made] {
				return contentErrorf(Altered, "one of the records %d to %d is not what it was", int64(made)*subtreeRows, row)
			}
			made++
			sub = tree{roots: sub.roots[:0]}
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case n != facts.Rows || made != len(subtrees):
		return contentErrorf(Altered, "it has %d records, not %d", n, facts.Rows)
	case bytes != facts.RawBytes:
		return contentErrorf(Unlike, "its records have %d bytes, it says %d", bytes, facts.RawBytes)
	case first != facts.LastTime:
		return contentErrorf(Unlike, "its last event time is not the one that it says")
	case arrivals[0] != micros(facts.FirstArrival) || arrivals[1] != micros(facts.LastArrival):
		return contentErrorf(Unlike, "the arrivals of its records do not span what it says")
	}
	v.mu.Lock()
	v.report.Records += n
	v.mu.Unlock()
	return nil
}

// agree compares what a segment says of itself with the ledger and the catalog.
func (v *verification) agree(c claim, f *Facts) error {
	if e := c.entry; e != nil {
		r := Row{ID: c.id, Size: e.Size, Root: e.Root, Facts: *f}
		if d := differs(v.Keys, &r, e); d != "" {
			return contentErrorf(Unlike, "%s that it says is not what the ledger says", d)
		}
	}
	want := *f
	if c.row != nil && c.row.Facts.Streams == "" {
		want.Streams = ""
	}
	if r := c.row; r != nil && r.Facts != want {
		// The segment itself is whole, so this is the row's fault.
		v.find(Finding{Unlike, "catalog row of segment " + c.id, "it is not what follows from the segment", "rebuild the catalog"})
	}
	return nil
}
