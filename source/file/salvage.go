package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

// Headers of the members of a zip archive (APPNOTE.TXT 4.3.7).
const (
	zipLocal     = 0x04034b50
	zipLocalSize = 30
	zipEndMagic  = "PK\x05\x06"
	zipEndSize   = 22
	zipEncrypted = 1 << 0
	zipSizeLater = 1 << 3 // the header does not know the member's size
	zipStored    = 0
	zipDeflated  = 8
	// zipDescriptor is the most that can stand between a member and the next header.
	zipDescriptor = 24
)

// salvageZip hands on the members of a zip archive that has lost its directory, which
// is at its end, by the headers in front of them, as far as they go. That the archive is broken has
// been reported.
func (k *walker) salvageZip(s stream, at io.ReaderAt, size int64) error {
	for pos := int64(0); ; {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		var h [zipLocalSize]byte
		if _, err := at.ReadAt(h[:], pos); err != nil || binary.LittleEndian.Uint32(h[:]) != zipLocal {
			return nil
		}
		flags, method := binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
		packed := int64(binary.LittleEndian.Uint32(h[18:]))
		name := make([]byte, binary.LittleEndian.Uint16(h[26:]))
		if _, err := at.ReadAt(name, pos+zipLocalSize); err != nil && !errors.Is(err, io.EOF) {
			return nil
		}
		pos += zipLocalSize + int64(len(name)) + int64(binary.LittleEndian.Uint16(h[28:]))
		if pos >= size {
			return nil
		}
		known := flags&zipSizeLater == 0 && packed < 1<<32-1
		full := s.name + "!" + string(name)
		raw := &countReader{r: io.NewSectionReader(at, pos, size-pos)}
		var member io.Reader
		switch {
		case flags&zipEncrypted != 0:
			k.report.damage(&Damage{Name: full, Reason: EncryptedZip})
		case method == zipDeflated:
			member = flate.NewReader(raw)
		case method == zipStored && known:
			member = io.LimitReader(raw, packed)
			if packed > size-pos {
				member = io.MultiReader(member, errReader{io.ErrUnexpectedEOF})
			}
		case method != zipStored:
			k.report.damage(&Damage{Name: full, Reason: ZipMethod})
		}
		if member != nil && (len(name) == 0 || name[len(name)-1] != '/') {
			inner := s
			inner.name, inner.at, inner.size, inner.open = full, nil, -1, nil
			inner.r = &budgetReader{&ctxReader{k.ctx, &reasonReader{r: member, cut: BrokenZip, broken: BrokenZip}, nil}, s.budget}
			if err := k.stream(inner); err != nil {
				return err
			}
			// The rest, when not all of it was wanted. It has been counted as damaged if it cannot be read.
			if _, err := io.Copy(io.Discard, inner.r); err != nil {
				if ctxErr(err) {
					return err
				}
				return nil
			}
		}
		switch {
		case known && packed > 0:
			pos += packed
		case method == zipDeflated && member != nil:
			pos += raw.n
		case !known:
			return nil
		}
		// A descriptor may follow.
		var next [zipDescriptor + 4]byte
		n, _ := at.ReadAt(next[:], pos)
		found := false
		for i := 0; i+4 <= n && !found; i++ {
			if binary.LittleEndian.Uint32(next[i:]) == zipLocal {
				pos += int64(i)
				found = true
			}
		}
		if !found {
			return nil
		}
	}
}

// countReader counts the bytes that are taken from it. It is an [io.ByteReader],
// so that flate takes no more than the member has.
type countReader struct {
	r   io.Reader
	buf *bufio.Reader
	n   int64
}

func (c *countReader) reader() *bufio.Reader {
	if c.buf == nil {
		c.buf = bufio.NewReaderSize(c.r, 32<<10)
	}
	return c.buf
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.reader().Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countReader) ReadByte() (byte, error) {
	b, err := c.reader().ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
