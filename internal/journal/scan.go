package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"trailward/internal/vfs"
)

// Frame is one frame as a scan gives it.
type Frame struct {
	Number uint64
	Kind   byte
	Offset int64  // of its header in the file
	Body   []byte // opened; valid until the next frame is asked for
}

// Range is a part of a file that cannot be read.
type Range struct {
	Offset, Length int64
	// First and Last are the numbers of the frames that were there; First is
	// greater than Last if it is not known that there was any.
	First, Last uint64
	// Proven says that these frames were durable once: a later write of the
	// same file began after them. Otherwise they belong to the last write, of
	// which a power cut may leave any part.
	Proven bool
}

// Result is what a scan found in a file.
type Result struct {
	Header Header
	Size   int64 // of the file
	Frames int   // that were read
	// Next is the number after the last frame read, or Header.First.
	Next uint64
	// End is the offset after the last frame read. The bytes from there to
	// Size, if any, hold no frame: a torn write if this is the file that was
	// written last.
	End int64
	// LastWrite is where the last write that left a readable frame began: what
	// is before it was synced before that was written. It is End if there was
	// none.
	LastWrite int64
	// Damaged are the ranges before End, in order. A damaged copy of the
	// header, of which the other was good, is one of them.
	Damaged []Range
}

// Scan reads all frames of a file that can be read, in order, and passes each
// to fn. open is called once, with the header's Meta, for what opens bodies. An
// error of open or fn ends the scan and is returned as it is; the other errors
// wrap [ErrHeader], [ErrVersion] or that of a failed read. The file may be
// written to meanwhile; what is appended after the start is not read.
func Scan(f vfs.File, open func(meta []byte) (OpenFunc, error), fn func(Frame) error) (Result, error) {
	info, err := f.Stat()
	if err != nil {
		return Result{}, err
	}
	s := &scanner{f: f, size: info.Size()}
	res := &s.res
	res.Size = s.size
	start, err := s.readHeader()
	if err != nil {
		return *res, fmt.Errorf("journal file %s: %w", f.Name(), err)
	}
	res.Next, res.End, res.LastWrite = res.Header.First, start, start
	s.writeFirst = res.Header.First
	if s.open, err = open(res.Header.Meta); err != nil {
		return *res, err
	}
	for {
		frame, head, ok, err := s.next()
		if err != nil {
			return *res, fmt.Errorf("journal file %s: %w", f.Name(), err)
		}
		if !ok {
			return *res, nil
		}
		s.account(frame, head)
		if err := fn(frame); err != nil {
			return *res, err
		}
	}
}

type scanner struct {
	f    vfs.File
	open OpenFunc
	res  Result
	size int64

	window   []byte // bytes of the file from windowAt
	windowAt int64
	plain    []byte // body of the last frame

	// writeFirst is the number of the first frame of the write at LastWrite.
	writeFirst uint64

	// proven is how many of res.Damaged are proven; their First only grows.
	proven int

	// wasted is how many bytes of bodies were read in vain, see next.
	wasted int64
}

const windowBytes = 256 << 10

// peek returns n bytes at off, or up to the end of the file if there are less.
// They are valid until the next call.
func (s *scanner) peek(off, n int64) ([]byte, error) {
	n = min(n, s.size-off)
	if off >= s.windowAt && off+n <= s.windowAt+int64(len(s.window)) {
		at := off - s.windowAt
		return s.window[at : at+n], nil
	}
	want := min(max(n, windowBytes), s.size-off)
	if int64(cap(s.window)) < want {
		s.window = make([]byte, want)
	}
	s.window = s.window[:want]
	got, err := s.f.ReadAt(s.window, off)
	if int64(got) < want {
		s.window = s.window[:0]
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // it was longer when we asked
		}
		return nil, fmt.Errorf("read %d bytes at %d: %w", want, off, err)
	}
	s.windowAt = off
	return s.window[:n], nil
}

// readHeader reads one good copy of the header and returns where frames begin.
func (s *scanner) readHeader() (int64, error) {
	first, err := s.peek(0, maxPages*page)
	if err != nil {
		return 0, err
	}
	h, size, firstErr := decodeHeader(first)
	if firstErr == nil {
		s.res.Header = h
		second, err := s.peek(int64(size), int64(size))
		if err != nil {
			return 0, err
		}
		if o, _, err := decodeHeader(second); err != nil || o.id != h.id || o.First != h.First ||
			o.Continues != h.Continues || !bytes.Equal(o.Meta, h.Meta) {
			s.headerDamage(size, size)
		}
		return min(int64(2*size), s.size), nil
	}
	if errors.Is(firstErr, ErrVersion) {
		return 0, firstErr
	}
	// Where the second copy is depends on how long the first one is.
	for off := page; off <= maxPages*page; off += page {
		b, err := s.peek(min(int64(off), s.size), maxPages*page)
		if err != nil {
			return 0, err
		}
		h, size, err := decodeHeader(b)
		if errors.Is(err, ErrVersion) {
			return 0, err
		}
		if err == nil && size == off {
			s.res.Header = h
			s.headerDamage(0, size)
			return int64(2 * size), nil
		}
	}
	return 0, ErrHeader
}

func (s *scanner) headerDamage(off, size int) {
	s.res.Damaged = append(s.res.Damaged, Range{
		Offset: int64(off), Length: min(int64(size), s.size-int64(off)),
		First: s.res.Header.First, Last: s.res.Header.First - 1,
		Proven: true, // it was synced before the file got its name
	})
}

// next finds the next frame that is whole, at or after the end of the last one.
func (s *scanner) next() (frame Frame, head frameHeader, ok bool, err error) {
	off := s.res.End
	for off < s.size {
		b, err := s.peek(off, FrameHeaderBytes)
		if err != nil {
			return frame, head, false, err
		}
		if head, ok := decodeFrame(b, &s.res.Header.id, off); ok && head.number >= s.res.Next {
			frame, ok, err := s.body(head)
			if ok || err != nil {
				return frame, head, ok, err
			}
			// Whole frames may follow inside what this header claims as its
			// body, if the header was forged. But each byte is not to be read
			// again and again for a file made of such headers.
			if s.wasted += int64(head.length); s.wasted > s.size {
				off += FrameHeaderBytes + int64(head.length)
				continue
			}
		}
		if off, err = s.find(off + 1); err != nil {
			return frame, head, false, err
		}
	}
	return frame, head, false, nil
}

// body reads and opens the body of a frame; ok is false if it does not open.
func (s *scanner) body(head frameHeader) (frame Frame, ok bool, err error) {
	at := head.offset + FrameHeaderBytes
	if int64(head.length) > s.size-at {
		return frame, false, nil
	}
	sealed, err := s.peek(at, int64(head.length))
	if err != nil {
		return frame, false, err
	}
	plain, err := s.open(s.plain[:0], head.number, head.kind, sealed)
	if err != nil {
		// Whatever open says, these bytes are not what was sealed.
		return frame, false, nil
	}
	s.plain = plain
	return Frame{Number: head.number, Kind: head.kind, Offset: head.offset, Body: plain}, true, nil
}

// find returns the next offset from off on where a frame header may begin.
func (s *scanner) find(off int64) (int64, error) {
	for off < s.size {
		b, err := s.peek(off, windowBytes)
		if err != nil {
			return 0, err
		}
		if i := bytes.Index(b, frameMagic); i >= 0 {
			return off + int64(i), nil
		}
		// The magic may begin in the last bytes of b.
		step := int64(len(b) - len(frameMagic) + 1)
		if step <= 0 || off+int64(len(b)) >= s.size {
			return s.size, nil
		}
		off += step
	}
	return s.size, nil
}

// account notes a frame, and the damage between the last one and it.
func (s *scanner) account(frame Frame, head frameHeader) {
	r := &s.res
	if frame.Offset > r.End || frame.Number > r.Next {
		r.Damaged = append(r.Damaged, Range{
			Offset: r.End, Length: frame.Offset - r.End,
			First: r.Next, Last: frame.Number - 1,
		})
	}
	// All frames before the write that this one belongs to were durable.
	before := frame.Number - uint64(head.index)
	for s.proven < len(r.Damaged) && r.Damaged[s.proven].First < before {
		r.Damaged[s.proven].Proven = true
		s.proven++
	}
	if before > s.writeFirst {
		// Damage that comes before this frame may belong to its write.
		s.writeFirst, r.LastWrite = before, r.End
	}
	r.Frames++
	r.Next = frame.Number + 1
	r.End = frame.Offset + FrameHeaderBytes + int64(head.length)
}
