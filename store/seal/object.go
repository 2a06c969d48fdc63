package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// An object is a header and then chunks. Each chunk is ChunkSize bytes of
// plaintext sealed by AES-256-GCM under the object's key with the nonce
//
//	3 zero bytes, chunk number (8 bytes, big-endian), 1 if it is the last else 0
//
// The last chunk holds 1 to ChunkSize bytes, or none if the object is empty.
// This is the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár
// (https://eprint.iacr.org/2015/189): the key belongs to one object, the nonce
// to one place in it, so that no chunk opens anywhere else.
const (
	// ChunkSize is how many bytes of plaintext are sealed together, which is
	// the least that a read decrypts.
	ChunkSize   = 64 << 10
	sealedChunk = ChunkSize + tagSize

	// MaxObjectBytes is the most plaintext that one object may hold. It keeps
	// far from any limit of GCM (2^36 blocks a key of 2^64).
	MaxObjectBytes = 1 << 40
)

// ErrTooLarge says that an object would have more than [MaxObjectBytes].
var ErrTooLarge = errors.New("object larger than 1 TiB")

func chunkNonce(nonce *[12]byte, number int64, last bool) []byte {
	*nonce = [12]byte{}
	binary.BigEndian.PutUint64(nonce[3:], uint64(number))
	if last {
		nonce[11] = 1
	}
	return nonce[:]
}

func objectAEAD(r root, objectID string) (cipher.AEAD, error) {
	key, err := r.derive("key", kindObject, objectID)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newGCM(key)
}

// Create begins an object with a new data key and writes it to w. What is
// written to the result becomes part of it; Close completes it, and without
// Close it does not open. Close does not close w. After an error of w nothing
// more is written.
func (s *Sealer) Create(w io.Writer, objectID string) (io.WriteCloser, error) {
	head, r, err := newHeader(s.Provider(), kindObject, objectID)
	if err != nil {
		return nil, fmt.Errorf("seal object: %w", err)
	}
	defer clear(r)
	aead, err := objectAEAD(r, objectID)
	if err != nil {
		return nil, fmt.Errorf("seal object: %w", err)
	}
	if _, err := w.Write(head); err != nil {
		return nil, fmt.Errorf("seal object: write header: %w", err)
	}
	return &writer{
		w: w, aead: aead,
		plain:  make([]byte, 0, ChunkSize),
		sealed: make([]byte, 0, sealedChunk),
	}, nil
}

type writer struct {
	w      io.Writer
	aead   cipher.AEAD
	plain  []byte // of the chunk that is not full, or full and perhaps last
	sealed []byte
	number int64
	nonce  [12]byte
	err    error // sticky
}

var errClosed = errors.New("seal object: write after close")

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.number*ChunkSize+int64(len(w.plain))+int64(len(p)) > MaxObjectBytes {
		w.err = fmt.Errorf("seal object: %w", ErrTooLarge)
		return 0, w.err
	}
	n := 0
	for n < len(p) {
		// A chunk goes out only when more follows it: else it may be the last.
		if len(w.plain) == ChunkSize {
			if err := w.put(w.plain, false); err != nil {
				return n, err
			}
			w.plain = w.plain[:0]
		}
		if len(w.plain) == 0 && len(p)-n > ChunkSize {
			if err := w.put(p[n:n+ChunkSize], false); err != nil {
				return n, err
			}
			n += ChunkSize
			continue
		}
		m := copy(w.plain[len(w.plain):ChunkSize], p[n:])
		w.plain = w.plain[:len(w.plain)+m]
		n += m
	}
	return n, nil
}

// Close seals the last chunk. A second call does nothing.
func (w *writer) Close() error {
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	if err := w.put(w.plain, true); err != nil {
		return err
	}
	clear(w.plain[:cap(w.plain)])
	w.err = errClosed
	return nil
}

func (w *writer) put(plain []byte, last bool) error {
	w.sealed = w.aead.Seal(w.sealed[:0], chunkNonce(&w.nonce, w.number, last), plain, nil)
	if _, err := w.w.Write(w.sealed); err != nil {
		w.err = fmt.Errorf("seal object: write chunk %d: %w", w.number, err)
		return w.err
	}
	w.number++
	return nil
}

// Reader reads an object's plaintext at random. It is safe for concurrent use,
// as far as the underlying reader is, and holds the object's key and last
// chunk in memory.
type Reader struct {
	r      io.ReaderAt
	aead   cipher.AEAD
	start  int64  // of chunk 0
	size   int64  // of the plaintext
	chunks int64  // at least 1
	last   []byte // plaintext of the last chunk
}

var _ io.ReaderAt = (*Reader)(nil)

// firstRead is enough for the header of every provider known today.
const firstRead = 1024

// Open opens the object in the first size bytes of r. It reads the header and
// the last chunk, so that a cut or extended object is refused at once.
func (s *Sealer) Open(r io.ReaderAt, size int64, objectID string) (*Reader, error) {
	o, err := s.open(r, size, objectID)
	if err != nil {
		return nil, fmt.Errorf("open sealed object: %w", err)
	}
	return o, nil
}

func (s *Sealer) open(r io.ReaderAt, size int64, objectID string) (*Reader, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	rt, err := h.open(s.Provider(), kindObject, objectID)
	if err != nil {
		return nil, err
	}
	defer clear(rt)
	aead, err := objectAEAD(rt, objectID)
	if err != nil {
		return nil, err
	}

	o := &Reader{r: r, aead: aead, start: int64(h.size)}
	body := size - o.start
	o.chunks = (body + sealedChunk - 1) / sealedChunk
	tail := body - (o.chunks-1)*sealedChunk // bytes of the last chunk, sealed
	if o.chunks == 0 || tail < tagSize || tail == tagSize && o.chunks > 1 {
		return nil, ErrTruncated
	}
	o.size = body - o.chunks*tagSize
	if o.size > MaxObjectBytes {
		return nil, ErrTooLarge
	}
	sealed := make([]byte, tail)
	if err := readFull(r, sealed, o.start+(o.chunks-1)*sealedChunk); err != nil {
		return nil, err
	}
	var nonce [12]byte
	// Not in place: a chunk that does not open is tried once more below.
	o.last, err = aead.Open(nil, chunkNonce(&nonce, o.chunks-1, true), sealed, nil)
	if err != nil {
		if _, err := aead.Open(nil, chunkNonce(&nonce, o.chunks-1, false), sealed, nil); err == nil {
			return nil, fmt.Errorf("%w: chunk %d is whole and not the last", ErrTruncated, o.chunks-1)
		}
		return nil, fmt.Errorf("last chunk (%d): %w, or %w", o.chunks-1, ErrDamaged, ErrTruncated)
	}
	return o, nil
}

func readHeader(r io.ReaderAt, size int64) (header, error) {
	for n := int64(firstRead); ; n = MaxHeaderBytes {
		buf := make([]byte, min(n, size))
		if err := readFull(r, buf, 0); err != nil {
			return header{}, err
		}
		h, err := parseHeader(buf, kindObject)
		if !errors.Is(err, errShort) {
			return h, err
		}
		if int64(len(buf)) == size || n == MaxHeaderBytes {
			return header{}, fmt.Errorf("header: %w", ErrTruncated)
		}
	}
}

// readFull reads all of p at off; an end before that is a cut object.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file ended at byte %d", ErrTruncated, off+int64(n))
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
}

// Size returns the size of the plaintext in bytes.
func (o *Reader) Size() int64 { return o.size }

// batchChunks is how many chunks one read from below takes at most: few enough
// that the bytes are still in the processor's cache when they are decrypted.
const batchChunks = 16

var batchPool = sync.Pool{New: func() any { return new([batchChunks * sealedChunk]byte) }}

// ReadAt implements [io.ReaderAt]. It returns only bytes that authenticated;
// the error for others wraps [ErrDamaged] and names the chunk.
func (o *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read sealed object: negative offset %d", off)
	}
	if off >= o.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > o.size-off {
		p, end = p[:o.size-off], io.EOF
	}

	var batch *[batchChunks * sealedChunk]byte
	var nonce [12]byte
	n := 0
	for n < len(p) {
		at := off + int64(n)
		first := at / ChunkSize
		if first == o.chunks-1 {
			n += copy(p[n:], o.last[at-first*ChunkSize:])
			continue
		}
		// All of these chunks are full: the last one was handled above.
		count := min((at+int64(len(p)-n)-1)/ChunkSize, o.chunks-2, first+batchChunks-1) - first + 1
		if batch == nil {
			batch = batchPool.Get().(*[batchChunks * sealedChunk]byte)
			defer batchPool.Put(batch)
		}
		sealed := batch[:count*sealedChunk]
		if err := readFull(o.r, sealed, o.start+first*sealedChunk); err != nil {
			return n, fmt.Errorf("read sealed object: %w", err)
		}
		for i := range count {
			c := sealed[i*sealedChunk : (i+1)*sealedChunk]
			skip := off + int64(n) - (first+i)*ChunkSize
			whole := skip == 0 && len(p)-n >= ChunkSize
			dst := c[:0] // in place, then copied
			if whole {
				dst = p[n:n:len(p)]
			}
			plain, err := o.aead.Open(dst, chunkNonce(&nonce, first+i, false), c, nil)
			if err != nil {
				return n, fmt.Errorf("read sealed object: chunk %d: %w", first+i, ErrDamaged)
			}
			if whole {
				n += ChunkSize
				continue
			}
			n += copy(p[n:], plain[skip:])
			clear(plain)
		}
	}
	return n, end
}
