// Package journal is the file format of what must survive a crash: frames that
// are appended, made durable in groups, and read back in order after any power
// cut or damage. The WAL stands on it, as will other buffers on disk.
//
// It knows nothing of what a frame holds nor how it is encrypted: it gets a
// function that seals a body and one that opens it and so tells a whole body
// from a damaged one. Which files there are, and in which order, is the
// caller's business; a frame never spans two.
//
// A file is a header, twice, and then frames; docs/format/journal.md draws it.
// Frames have consecutive numbers, also from one file to the next. A frame's
// header names its file, its place in it, its number, its length and how much
// was durable when it was written, under a checksum. So a reader can tell
//
//   - damage from a write that a power cut tore: bytes that a later write
//     proves to have been durable are damage;
//   - a frame from a block that once belonged to another file, or this one;
//   - where the next whole frame is after any damage.
package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// SealFunc appends the sealed form of plain to dst. OpenFunc undoes it, and
// must fail for every body that is not what SealFunc made of this number and
// kind: the journal has no other check of a body.
type (
	SealFunc func(dst []byte, number uint64, kind byte, plain []byte) ([]byte, error)
	OpenFunc func(dst []byte, number uint64, kind byte, sealed []byte) ([]byte, error)
)

const (
	// FrameHeaderBytes is what a frame has before its body.
	FrameHeaderBytes = 32
	// MaxBodyBytes is the most that a frame's sealed body may have.
	MaxBodyBytes = 64<<20 + 4096
	// MaxMetaBytes is the most that a file's Meta may have.
	MaxMetaBytes = 60 << 10

	fileMagic   = "TRWJRNL\n"
	fileVersion = 1
	fileFixed   = 40 // bytes of a header before Meta
	idSize      = 16
	// Each copy of the header has pages of its own, so that a lost page of the
	// disk or of its cache leaves the other.
	page     = 4096
	maxPages = (fileFixed + MaxMetaBytes + crcSize + page - 1) / page
	crcSize  = 4

	flagContinues = 1
)

var (
	// ErrHeader says that no copy of a file's header can be read, so that
	// nothing in the file can.
	ErrHeader = errors.New("journal file header damaged")
	// ErrVersion says that a newer version of the program wrote the file.
	ErrVersion = errors.New("journal file in a format that this version does not know")
	// ErrFailed says that a write or sync failed and that the file must not be
	// written any more: start again from what can be read of it.
	ErrFailed = errors.New("journal file failed")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is what a file says about itself.
type Header struct {
	// First is the number of the file's first frame.
	First uint64
	// Continues says that all frames before First, in older files, were
	// durable when this file was made.
	Continues bool
	// Meta is the caller's, e.g. what opens the frames. It is not encrypted.
	Meta []byte

	id [idSize]byte // random, in the checksum of every frame
}

// encode returns one copy of the header, a whole number of pages.
func (h *Header) encode() ([]byte, error) {
	if len(h.Meta) > MaxMetaBytes {
		return nil, fmt.Errorf("journal file header: %d bytes of meta, the limit is %d", len(h.Meta), MaxMetaBytes)
	}
	size := (fileFixed + len(h.Meta) + crcSize + page - 1) / page * page
	b := make([]byte, size)
	copy(b, fileMagic)
	binary.BigEndian.PutUint16(b[8:], fileVersion)
	if h.Continues {
		binary.BigEndian.PutUint16(b[10:], flagContinues)
	}
	binary.BigEndian.PutUint32(b[12:], uint32(len(h.Meta)))
	copy(b[16:], h.id[:])
	binary.BigEndian.PutUint64(b[32:], h.First)
	copy(b[fileFixed:], h.Meta)
	binary.BigEndian.PutUint32(b[size-crcSize:], crc32.Checksum(b[:size-crcSize], castagnoli))
	return b, nil
}

// decodeHeader reads the copy of a header that b begins with and returns its
// size; b has all that there is of the file, or as much as a header can have.
func decodeHeader(b []byte) (h Header, size int, err error) {
	if len(b) < page || !bytes.HasPrefix(b, []byte(fileMagic)) {
		return h, 0, ErrHeader
	}
	metaLen := int64(binary.BigEndian.Uint32(b[12:]))
	if metaLen > MaxMetaBytes {
		return h, 0, ErrHeader
	}
	size = int(fileFixed+metaLen+crcSize+page-1) / page * page
	if len(b) < size || binary.BigEndian.Uint32(b[size-crcSize:]) != crc32.Checksum(b[:size-crcSize], castagnoli) {
		return h, 0, ErrHeader
	}
	// Only a whole header is believed when it says that it is a newer one.
	if v := binary.BigEndian.Uint16(b[8:]); v != fileVersion {
		return h, 0, fmt.Errorf("%w (format %d)", ErrVersion, v)
	}
	flags := binary.BigEndian.Uint16(b[10:])
	if flags&^uint16(flagContinues) != 0 {
		return h, 0, fmt.Errorf("%w (flags %#x)", ErrVersion, flags)
	}
	h.Continues = flags&flagContinues != 0
	copy(h.id[:], b[16:])
	h.First = binary.BigEndian.Uint64(b[32:])
	h.Meta = bytes.Clone(b[fileFixed : fileFixed+metaLen])
	return h, size, nil
}

func newID() (id [idSize]byte) {
	rand.Read(id[:])
	return id
}

// frameHeader begins a frame:
//
//	 0  3  magic
//	 3  1  kind
//	 4  4  CRC-32C of the file's id and the other 28 bytes
//	 8  8  number
//	16  4  length of the body
//	20  4  how many frames of the same write come before it
//	24  8  offset in the file
type frameHeader struct {
	kind   byte
	number uint64
	length uint32
	index  uint32
	offset int64
}

var frameMagic = []byte{0xA7, 'T', 'W'}

func (f frameHeader) append(dst []byte, id *[idSize]byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = append(dst, f.kind, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, f.number)
	dst = binary.BigEndian.AppendUint32(dst, f.length)
	dst = binary.BigEndian.AppendUint32(dst, f.index)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.offset))
	binary.BigEndian.PutUint32(dst[start+4:], frameCRC(dst[start:], id))
	return dst
}

func frameCRC(b []byte, id *[idSize]byte) uint32 {
	crc := crc32.Update(0, castagnoli, id[:])
	crc = crc32.Update(crc, castagnoli, b[:4])
	return crc32.Update(crc, castagnoli, b[8:FrameHeaderBytes])
}

// decodeFrame reads the frame header at the start of b, which was read from
// offset; ok is false if there is none that belongs there.
func decodeFrame(b []byte, id *[idSize]byte, offset int64) (f frameHeader, ok bool) {
	if len(b) < FrameHeaderBytes || !bytes.HasPrefix(b, frameMagic) ||
		binary.BigEndian.Uint32(b[4:]) != frameCRC(b, id) {
		return f, false
	}
	f = frameHeader{
		kind:   b[3],
		number: binary.BigEndian.Uint64(b[8:]),
		length: binary.BigEndian.Uint32(b[16:]),
		index:  binary.BigEndian.Uint32(b[20:]),
		offset: int64(binary.BigEndian.Uint64(b[24:])),
	}
	return f, f.offset == offset && f.length <= MaxBodyBytes && uint64(f.index) <= f.number
}
