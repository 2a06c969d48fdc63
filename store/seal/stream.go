package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// A stream is a header, kept wherever the caller keeps it, and frames that are
// sealed alone. A sealed frame is
//
//	8 bytes: how many frames were sealed with this key before it, big-endian
//	the frame's bytes under AES-256-GCM; nonce: 4 zero bytes and the 8 above;
//	associated data: the frame's number (8 bytes) and kind (1 byte)
//
// The count is the sealer's own, not the caller's frame number: a frame whose
// write failed is sealed anew under the same number, and a nonce that came
// from the number would then be used twice.
const (
	// StreamOverhead is what sealing adds to a frame, in bytes.
	StreamOverhead = 8 + tagSize
	// MaxStreamFrames is how many frames one stream may seal.
	MaxStreamFrames = 1 << 40
)

// ErrStreamFull says that [MaxStreamFrames] is reached; start a new stream.
var ErrStreamFull = errors.New("too many frames sealed with one key")

// NewStream begins a stream with a new data key. header opens it again, with
// the same objectID; the sealer cannot be made again from it, so that a
// program that restarts never seals under a key that it used before.
func (s *Sealer) NewStream(objectID string) (header []byte, _ *StreamSealer, err error) {
	header, r, err := newHeader(s.Provider(), kindStream, objectID)
	if err != nil {
		return nil, nil, fmt.Errorf("begin sealed stream: %w", err)
	}
	defer clear(r)
	aead, err := streamAEAD(r, objectID)
	if err != nil {
		return nil, nil, fmt.Errorf("begin sealed stream: %w", err)
	}
	return header, &StreamSealer{aead: aead}, nil
}

// OpenStream opens the stream that header, exactly, belongs to.
func (s *Sealer) OpenStream(header []byte, objectID string) (*StreamOpener, error) {
	r, err := openWhole(s.Provider(), kindStream, header, objectID)
	if err != nil {
		return nil, fmt.Errorf("open sealed stream: %w", err)
	}
	defer clear(r)
	aead, err := streamAEAD(r, objectID)
	if err != nil {
		return nil, fmt.Errorf("open sealed stream: %w", err)
	}
	return &StreamOpener{aead: aead}, nil
}

// openWhole opens a header that has nothing behind it.
func openWhole(p Provider, k kind, b []byte, objectID string) (root, error) {
	h, err := parseHeader(b, k)
	if errors.Is(err, errShort) {
		return nil, fmt.Errorf("header: %w", ErrTruncated)
	}
	if err != nil {
		return nil, err
	}
	if len(b) != h.size {
		return nil, fmt.Errorf("%d bytes after the header: %w", len(b)-h.size, ErrDamaged)
	}
	return h.open(p, k, objectID)
}

func streamAEAD(r root, objectID string) (cipher.AEAD, error) {
	key, err := r.derive("key", kindStream, objectID)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newGCM(key)
}

// StreamSealer seals a stream's frames. It is safe for concurrent use.
type StreamSealer struct {
	aead cipher.AEAD

	mu     sync.Mutex
	sealed uint64 // frames so far; guarded by mu
}

// Seal appends the sealed frame to dst: the plaintext and [StreamOverhead]
// bytes. It opens only with the same number and kind. dst and plain must not
// overlap.
func (s *StreamSealer) Seal(dst []byte, number uint64, kind byte, plain []byte) ([]byte, error) {
	s.mu.Lock()
	count := s.sealed
	if count >= MaxStreamFrames {
		s.mu.Unlock()
		return dst, ErrStreamFull
	}
	s.sealed++
	s.mu.Unlock()

	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], count)
	dst = append(dst, nonce[4:]...)
	aad := frameAAD(number, kind)
	return s.aead.Seal(dst, nonce[:], plain, aad[:]), nil
}

// StreamOpener opens a stream's frames. It is safe for concurrent use.
type StreamOpener struct{ aead cipher.AEAD }

// Open appends the frame's plaintext to dst, which must not overlap sealed.
// The error for anything that is not the frame sealed with this number and
// kind in this stream wraps [ErrDamaged].
func (o *StreamOpener) Open(dst []byte, number uint64, kind byte, sealed []byte) ([]byte, error) {
	if len(sealed) < StreamOverhead {
		return dst, fmt.Errorf("sealed frame %d of %d bytes: %w", number, len(sealed), ErrDamaged)
	}
	var nonce [12]byte
	copy(nonce[4:], sealed[:8])
	aad := frameAAD(number, kind)
	plain, err := o.aead.Open(dst, nonce[:], sealed[8:], aad[:])
	if err != nil {
		return dst, fmt.Errorf("sealed frame %d: %w", number, ErrDamaged)
	}
	return plain, nil
}

func frameAAD(number uint64, kind byte) (aad [9]byte) {
	binary.BigEndian.PutUint64(aad[:], number)
	aad[8] = kind
	return aad
}
