package file

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// tar hands on the members of a tar archive, in their order.
func (k *walker) tar(s stream) error {
	tr := tar.NewReader(s.r)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			return k.ctx.Err()
		}
		if err != nil {
			if ctxErr(err) {
				return err
			}
			k.report.damage(damageOf(s.name, because(err, CutTar, BrokenTar)))
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
		member := &reasonReader{r: tr, cut: CutTar, broken: BrokenTar}
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

// tarMember opens member n of an archive once more.
func tarMember(open func(*budget) (io.ReadCloser, error), n int) func(*budget) (io.ReadCloser, error) {
	return func(b *budget) (io.ReadCloser, error) {
		rc, err := open(b)
		if err != nil {
			return nil, err
		}
		tr := tar.NewReader(rc)
		for range n + 1 {
			if _, err := tr.Next(); err != nil {
				rc.Close()
				return nil, because(err, CutTar, BrokenTar)
			}
		}
		return closeBoth{&budgetReader{&reasonReader{r: tr, cut: CutTar, broken: BrokenTar}, b}, rc.Close}, nil
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
	zr, err := zip.NewReader(at, size)
	if err != nil {
		k.report.damage(&Damage{Name: s.name, Reason: BrokenZip, Err: err})
		return k.salvageZip(s, at, size)
	}
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
	return k.ctx.Err()
}
