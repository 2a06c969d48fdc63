package file

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// tars reads the members of a tar archive, and of those that lie behind its end: tar
// itself stops at the end of the first, but what was put together with cat, or as members of
// one gzip stream, has more.
type tars struct {
	br *bufio.Reader
	tr *tar.Reader
}

func newTars(br *bufio.Reader) *tars { return &tars{br, tar.NewReader(br)} }

// next returns the next member. It is io.EOF when nothing but zeros is left; anything else
// behind the end is an error.
func (t *tars) next() (*tar.Header, error) {
	for {
		h, err := t.tr.Next()
		if err != io.EOF {
			return h, because(err, CutTar, BrokenTar)
		}
		if err := passZeros(t.br); err != nil {
			return nil, because(err, CutTar, BrokenTar)
		}
		if head, _ := t.br.Peek(512); !isTar(head) {
			return nil, &layerError{BrokenTar, errBehind}
		}
		t.tr = tar.NewReader(t.br)
	}
}

var errBehind = errors.New("something else behind the archive's end")

// passZeros passes over zeros, with which archives are filled up. It returns nil
// before another byte.
func passZeros(br *bufio.Reader) error {
	for {
		if _, err := br.Peek(1); err != nil {
			return err
		}
		b, _ := br.Peek(br.Buffered())
		n := len(b) - len(bytes.TrimLeft(b, "\x00"))
		br.Discard(n)
		if n < len(b) {
			return nil
		}
	}
}

// tar hands on the members of a tar archive, in their order.
func (k *walker) tar(s stream, br *bufio.Reader) error {
	tr := newTars(br)
	for n := 0; ; n++ {
		h, err := tr.next()
		if err == io.EOF {
			return k.ctx.Err()
		}
		if err != nil {
			if ctxErr(err) {
				return err
			}
			k.report.damage(damageOf(s.name, err))
			return nil
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
		case tar.TypeDir:
			continue
		case tar.TypeLink, tar.TypeSymlink:
			k.report.skip("link in archive")
			continue
		default:
			k.report.skip("not a regular file")
			continue
		}
		inner := s
		inner.name = s.name + "!" + h.Name
		member := &reasonReader{r: tr.tr, cut: CutTar, broken: BrokenTar}
		inner.r = member
		inner.at, inner.open, inner.size = nil, nil, h.Size
		if s.open != nil && h.Size > MaxHeld { // a smaller one is held, if need be
			inner.open = tarMember(s.open, n)
		}
		if h.Typeflag == tar.TypeGNUSparse || h.Size > sparseFrom {
			// A sparse member's holes come out of nothing.
			inner.r = &budgetReader{inner.r, s.budget}
		}
		before := k.report.damages()
		if err := k.stream(inner); err != nil {
			return err
		}
		if member.failed && k.report.damages() > before {
			return nil // said of the member; there is nothing behind it
		}
	}
}

// tarMember opens member n of an archive, or of those behind it, once more.
func tarMember(open func(*budget) (io.ReadCloser, error), n int) func(*budget) (io.ReadCloser, error) {
	return func(b *budget) (io.ReadCloser, error) {
		rc, err := open(b)
		if err != nil {
			return nil, err
		}
		tr := newTars(bufio.NewReaderSize(rc, headSize))
		for range n + 1 {
			if _, err := tr.next(); err != nil {
				rc.Close()
				return nil, err
			}
		}
		return closeBoth{&budgetReader{&reasonReader{r: tr.tr, cut: CutTar, broken: BrokenTar}, b}, rc.Close}, nil
	}
}

// sparseFrom is the size from which a tar member is counted as if it were
// compressed: sparse members of the PAX formats do not show in their type.
const sparseFrom = 64 << 20

// hold gives all of s so that any place of it can be read: as it is, or held in
// memory. ok is false when it is too large for that or damaged, which is
// reported.
func (k *walker) hold(s stream, most int, reason string) (at io.ReaderAt, size int64, ok bool, err error) {
	if s.at != nil {
		return s.at, s.size, true, nil
	}
	held, err := io.ReadAll(io.LimitReader(s.r, int64(most)+1))
	switch {
	case err != nil && ctxErr(err):
		return nil, 0, false, err
	case err != nil:
		k.report.damage(damageOf(s.name, err))
		return nil, 0, false, nil
	case len(held) > most:
		k.report.damage(&Damage{Name: s.name, Reason: reason})
		return nil, 0, false, nil
	}
	return bytes.NewReader(held), int64(len(held)), true, nil
}

// zip hands on the members of a zip archive, in the order of its directory.
func (k *walker) zip(s stream) error {
	at, size, ok, err := k.hold(s, MaxZipHeld, ZipTooLarge)
	if !ok {
		return err
	}
	// One may lie in front of another, and is found from its end.
	var joined []*zip.Reader
	for size > 0 {
		end, behind := zipEnd(at, size)
		zr, err := zip.NewReader(io.NewSectionReader(at, 0, size), size)
		if err == nil && len(joined) == maxJoined {
			err = fmt.Errorf("more than %d archives one behind the other", maxJoined)
		}
		if err != nil {
			k.report.damage(&Damage{Name: s.name, Reason: BrokenZip, Err: err})
			if err := k.salvageZip(s, at, size); err != nil {
				return err
			}
			break
		}
		if behind {
			k.report.damage(&Damage{Name: s.name, Reason: BrokenZip, Err: errBehind})
		}
		joined = append(joined, zr)
		if size = zipFront(at, zr, end); size == 0 {
			break
		}
	}
	for _, zr := range slices.Backward(joined) {
		if err := k.zipMembers(s, zr); err != nil {
			return err
		}
	}
	return nil
}

// maxJoined is how many zip archives are read that lie one behind the other in a file.
const maxJoined = 1000

// zipEnd finds where the record is that ends a zip archive, as [zip.NewReader] does, and whether there
// is something else than its comment and zeros behind it.
func zipEnd(at io.ReaderAt, size int64) (end int64, behind bool) {
	for _, most := range []int64{1 << 10, zipEndSize + 1<<16} {
		b := make([]byte, min(most, size))
		if n, err := at.ReadAt(b, size-int64(len(b))); n < len(b) && err != nil {
			return 0, false
		}
		for i := len(b) - zipEndSize; i >= 0; i-- {
			if string(b[i:i+4]) != zipEndMagic {
				continue
			}
			rest := b[i+zipEndSize:]
			comment := int(binary.LittleEndian.Uint16(b[i+zipEndSize-2:]))
			if comment > len(rest) {
				break
			}
			return size - int64(len(b)-i), len(bytes.Trim(rest[comment:], "\x00")) > 0
		}
	}
	return 0, false
}

// zipFront returns how many bytes lie in front of an archive whose end record is at end.
func zipFront(at io.ReaderAt, zr *zip.Reader, end int64) int64 {
	if len(zr.File) == 0 {
		return end
	}
	data := func(at io.ReaderAt, pos int64) (int64, bool) { // where the member's data begins whose header is at pos
		var h [zipLocalSize]byte
		if n, _ := at.ReadAt(h[:], pos); n < len(h) || binary.LittleEndian.Uint32(h[:]) != zipLocal {
			return 0, false
		}
		return pos + zipLocalSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:])), true
	}
	begin, ok := data(at, 0)
	if !ok { // the mark of an archive that was to be split
		begin, _ = data(at, 4)
	}
	first := int64(math.MaxInt64)
	for _, f := range zr.File {
		off, err := f.DataOffset()
		if err != nil {
			return 0 // its first member may be this one; it is reported when it is opened
		}
		if first = min(first, off); first == begin {
			return 0
		}
	}
	// The header is as long as its name and what is said beside it.
	from := max(0, first-zipLocalSize-2*math.MaxUint16)
	b := make([]byte, first-from)
	if n, _ := at.ReadAt(b, from); n < len(b) {
		return 0
	}
	held := bytes.NewReader(b)
	for i := int64(len(b)) - zipLocalSize; i >= 0; i-- {
		if off, ok := data(held, i); ok && off == int64(len(b)) {
			return from + i
		}
	}
	return 0
}

// zipMembers hands on the members of one archive.
func (k *walker) zipMembers(s stream, zr *zip.Reader) error {
	zr.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser { return flate.NewReader(r) })
	zr.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true)))
	for _, f := range zr.File {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		if f.FileInfo().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() {
			k.report.skip("link in archive")
			continue
		}
		name := s.name + "!" + f.Name
		if f.Flags&1 != 0 {
			k.report.damage(&Damage{Name: name, Reason: EncryptedZip})
			continue
		}
		open := func(b *budget) (io.ReadCloser, error) {
			rc, err := f.Open()
			if err != nil {
				return nil, err
			}
			r := &ctxReader{k.ctx, &reasonReader{r: rc, cut: BrokenZip, broken: BrokenZip}, nil}
			return closeBoth{&budgetReader{r, b}, rc.Close}, nil
		}
		rc, err := open(s.budget)
		if err != nil {
			reason := BrokenZip
			if errors.Is(err, zip.ErrAlgorithm) {
				reason = ZipMethod
			}
			k.report.damage(&Damage{Name: name, Reason: reason, Err: err})
			continue
		}
		inner := s
		inner.name, inner.r, inner.at, inner.size, inner.open = name, rc, nil, -1, open
		err = k.stream(inner)
		rc.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
