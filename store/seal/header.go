package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// A header begins everything that has a data key of its own:
//
//	 0  8  magic
//	 8  2  version, big-endian like all numbers here
//	10  1  kind
//	11  1  length of the key id, k
//	12  2  length of the wrapped data key, w
//	14  k  key id
//	 …  w  wrapped data key
//	 … 32  salt
//	 … 32  commitment to the data key and to all bytes above
//	 … 32  tag of the object id
//
// The object id is not in it, so a file does not tell whose it is.
const (
	headerMagic  = "TRWSEAL\n"
	version      = 1
	saltSize     = 32
	fixedSize    = 14
	trailingSize = saltSize + sha256.Size + sha256.Size

	// MaxWrappedBytes is the most that a provider's Wrap may return.
	MaxWrappedBytes = 16 << 10
	// MaxObjectIDBytes is the most that an object id or context may have.
	MaxObjectIDBytes = 1024
	// MaxHeaderBytes is the most that a header can have.
	MaxHeaderBytes = fixedSize + 255 + MaxWrappedBytes + trailingSize
)

type kind byte

const (
	kindObject   kind = 'o'
	kindStream   kind = 's'
	kindStoreKey kind = 'k'
)

// header is a parsed header; its slices point into the bytes given.
type header struct {
	keyID      string
	wrapped    []byte
	salt       []byte
	bound      []byte // what the commitment covers
	commitment []byte
	idTag      []byte
	size       int
}

// errShort says that parseHeader needs more bytes.
var errShort = errors.New("header cut short")

// parseHeader reads the header that b begins with. It never reads further than
// the header says it is long; with less it returns errShort.
func parseHeader(b []byte, want kind) (header, error) {
	for i := 0; i < len(b) && i < len(headerMagic); i++ {
		if b[i] != headerMagic[i] {
			return header{}, ErrNotSealed
		}
	}
	if len(b) < fixedSize {
		return header{}, errShort
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != version {
		return header{}, fmt.Errorf("%w (format %d)", ErrVersion, v)
	}
	if kind(b[10]) != want {
		return header{}, fmt.Errorf("%w (kind %q, want %q)", ErrNotSealed, b[10], byte(want))
	}
	keyLen, wrappedLen := int(b[11]), int(binary.BigEndian.Uint16(b[12:]))
	if keyLen == 0 || wrappedLen == 0 || wrappedLen > MaxWrappedBytes {
		return header{}, fmt.Errorf("%w: impossible length in the header", ErrDamaged)
	}
	h := header{size: fixedSize + keyLen + wrappedLen + trailingSize}
	if len(b) < h.size {
		return header{}, errShort
	}
	b = b[:h.size]
	rest := b[fixedSize:]
	h.keyID, rest = string(rest[:keyLen]), rest[keyLen:]
	h.wrapped, rest = rest[:wrappedLen], rest[wrappedLen:]
	h.salt, rest = rest[:saltSize], rest[saltSize:]
	h.commitment, h.idTag = rest[:sha256.Size], rest[sha256.Size:]
	h.bound = b[:h.size-2*sha256.Size]
	return h, nil
}

// newHeader makes a data key and the header that carries it. The result's root
// is what all keys for the content derive from.
func newHeader(p Provider, k kind, objectID string) ([]byte, root, error) {
	dek := make([]byte, KeySize)
	defer clear(dek)
	salt := make([]byte, saltSize)
	rand.Read(dek)
	rand.Read(salt)
	return makeHeader(p, k, objectID, dek, salt)
}

// makeHeader makes the header that carries a data key.
func makeHeader(p Provider, k kind, objectID string, dek, salt []byte) ([]byte, root, error) {
	if err := checkObjectID(objectID); err != nil {
		return nil, nil, err
	}
	keyID := p.ID()
	if len(keyID) == 0 || len(keyID) > 255 || !printable(keyID) {
		return nil, nil, fmt.Errorf("key id %q of the key provider: want 1 to 255 printable ASCII characters", keyID)
	}
	wrapped, err := p.Wrap(context.Background(), dek, wrapAAD(k, salt))
	if err != nil {
		return nil, nil, fmt.Errorf("wrap a data key with key %s: %w", keyID, err)
	}
	if len(wrapped) == 0 || len(wrapped) > MaxWrappedBytes {
		return nil, nil, fmt.Errorf("wrap a data key with key %s: provider returned %d bytes, want 1 to %d", keyID, len(wrapped), MaxWrappedBytes)
	}

	b := make([]byte, 0, fixedSize+len(keyID)+len(wrapped)+trailingSize)
	b = append(b, headerMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, byte(k), byte(len(keyID)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(wrapped)))
	b = append(b, keyID...)
	b = append(b, wrapped...)
	b = append(b, salt...)

	r, err := newRoot(dek, salt)
	if err != nil {
		return nil, nil, err
	}
	commitment, idTag, err := r.tags(b, k, objectID)
	if err != nil {
		return nil, nil, err
	}
	b = append(b, commitment...)
	b = append(b, idTag...)
	return b, r, nil
}

// open unwraps the data key and checks that the header is whole and belongs to
// objectID, in this order, so that the error says which it is.
func (h header) open(p Provider, k kind, objectID string) (root, error) {
	if err := checkObjectID(objectID); err != nil {
		return nil, err
	}
	dek, err := p.Unwrap(context.Background(), h.wrapped, wrapAAD(k, h.salt))
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key with key %s: %w", strconv.QuoteToASCII(h.keyID), err)
	}
	defer clear(dek)
	if len(dek) != KeySize {
		return nil, fmt.Errorf("unwrap the data key with key %s: %w: %d bytes, want %d", strconv.QuoteToASCII(h.keyID), ErrDamaged, len(dek), KeySize)
	}
	r, err := newRoot(dek, h.salt)
	if err != nil {
		return nil, err
	}
	commitment, idTag, err := r.tags(h.bound, k, objectID)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment, h.commitment) != 1 {
		return nil, ErrCommitment
	}
	if subtle.ConstantTimeCompare(idTag, h.idTag) != 1 {
		// A flip in the tag itself looks the same; both mean that these bytes
		// are not what was stored under this name.
		return nil, ErrObjectID
	}
	return r, nil
}

func wrapAAD(k kind, salt []byte) []byte {
	aad := append([]byte("trailward/seal/1/wrap"), 0, byte(k))
	return append(aad, salt...)
}

func checkObjectID(id string) error {
	if id == "" || len(id) > MaxObjectIDBytes {
		return fmt.Errorf("object id of %d bytes, want 1 to %d", len(id), MaxObjectIDBytes)
	}
	return nil
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// root is HKDF-SHA256's pseudorandom key from a data key and its salt. Two data
// keys with the same root, or the same commitment, would be a collision of
// SHA-256: this is what commits a file to its key, which GCM alone does not.
type root []byte

func newRoot(dek, salt []byte) (root, error) {
	r, err := hkdf.Extract(sha256.New, dek, salt)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return r, nil
}

// derive gives the 256-bit value for a purpose. label has no NUL, so what
// comes after the one put behind it cannot be mistaken for another label.
func (r root) derive(label string, k kind, rest string) ([]byte, error) {
	out, err := hkdf.Expand(sha256.New, r, "trailward/seal/1/"+label+"\x00"+string(rune(k))+rest, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return out, nil
}

func (r root) tags(bound []byte, k kind, objectID string) (commitment, idTag []byte, err error) {
	sum := sha256.Sum256(bound)
	if commitment, err = r.derive("commitment", k, string(sum[:])); err != nil {
		return nil, nil, err
	}
	idTag, err = r.derive("object id", k, objectID)
	return commitment, idTag, err
}
