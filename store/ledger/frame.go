package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"trailward/internal/vfs"
	"trailward/store/seal"
)

// The file of entries is a magic and then frames, one for each entry:
//
//	 0  4  magic
//	 4  8  number of the entry
//	12  4  length of the sealed bytes, n
//	16  4  CRC-32C of the 16 bytes before
//	20  n  the entry's bytes, a blob of store/seal
//
// The blob's context names ledger and number, so that a frame opens in its
// place only. The checksum tells a reader that looks for the next whole frame
// after damage where one begins; it protects nothing.
const (
	entriesMagic     = "TRWLDG1\n"
	frameMagic       = "\xA7LDG"
	frameHeaderBytes = 20
)

// MaxFrameBytes is the most that a frame may have.
const MaxFrameBytes = frameHeaderBytes + MaxEntryBytes + seal.BlobOverhead

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EntryContext is the context under which the bytes of an entry are sealed.
func EntryContext(origin string, number uint64) string {
	return "ledger entry " + origin + " " + strconv.FormatUint(number, 10)
}

func appendFrame(dst []byte, number uint64, sealed []byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = binary.BigEndian.AppendUint64(dst, number)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(sealed)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, sealed...)
}

// parseFrame reads a frame's header; ok is false if b does not begin with one.
func parseFrame(b []byte) (number uint64, length int, ok bool) {
	if len(b) < frameHeaderBytes || string(b[:4]) != frameMagic ||
		binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return 0, 0, false
	}
	n := binary.BigEndian.Uint32(b[12:])
	return binary.BigEndian.Uint64(b[4:]), int(n), n <= MaxFrameBytes-frameHeaderBytes
}

// errNoFrame says that no whole frame of the number that was asked for is
// there; what that means depends on whether it was promised.
var errNoFrame = errors.New("no whole entry")

// entryFile reads the file of entries.
type entryFile struct {
	f      vfs.File
	keys   Keys
	origin string
}

// read reads the frame of the given number at off and returns the entry's
// bytes and where the frame ends. An error wraps errNoFrame unless reading or
// the key failed.
func (e *entryFile) read(off int64, number uint64) (entry []byte, end int64, err error) {
	var head [frameHeaderBytes]byte
	if err := readAt(e.f, head[:], off); err != nil {
		return nil, 0, err
	}
	got, length, ok := parseFrame(head[:])
	if !ok || got != number {
		return nil, 0, errNoFrame
	}
	sealed := make([]byte, length)
	if err := readAt(e.f, sealed, off+frameHeaderBytes); err != nil {
		return nil, 0, err
	}
	entry, err = e.keys.OpenBlob(EntryContext(e.origin, number), sealed)
	if seal.IsDamage(err) || errors.Is(err, seal.ErrVersion) {
		return nil, 0, fmt.Errorf("%w: %w", errNoFrame, err)
	}
	return entry, off + frameHeaderBytes + int64(length), err
}

// readAt fills p; a file that ends before wraps errNoFrame.
func readAt(f vfs.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return errNoFrame
	}
	return err
}

// after reports whether a frame numbered from or higher begins at off or
// behind it.
func (e *entryFile) after(off int64, from uint64) (bool, error) {
	buf := make([]byte, 256<<10)
	for {
		n, err := e.f.ReadAt(buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		b := buf[:n]
		for i := 0; ; i++ {
			at := bytes.Index(b[i:], []byte(frameMagic))
			if at < 0 {
				break
			}
			i += at
			if number, _, ok := parseFrame(b[i:]); ok && number >= from {
				return true, nil
			}
		}
		if n < len(buf) {
			return false, nil
		}
		off += int64(n - frameHeaderBytes + 1)
	}
}
