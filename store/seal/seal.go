// Package seal encrypts whatever the store keeps, and is the only importer of
// an AEAD. It gets plaintext, a name for it, and a [Provider] of a
// key-encryption key; it gives four kinds of sealed bytes:
//
//   - an object ([Sealer.Create], [Sealer.Open]): a file written once and read
//     at random, such as a segment;
//   - a stream ([Sealer.NewStream], [Sealer.OpenStream]): frames that are
//     sealed one by one, such as those of a WAL file;
//   - a blob ([StoreKey.SealBlob]): a small value, such as a catalog column;
//   - a keyed hash ([StoreKey.Hash]): a value to look up by, which tells
//     nothing without the key.
//
// Every object and every stream has a random data key of its own, which the
// provider wraps; nothing else is encrypted with it, so no nonce can repeat.
// What is sealed under one name does not open under another, and any change to
// any bit, including a cut, an extension and a change of order, is an error.
// The bytes are described in docs/format/sealed-object.md and key-file.md.
//
// Not here: the minio/sio library, although DESIGN.md names it. Its random
// access takes a chunk's place from the chunk's own header, so that a chunk
// that was moved passes (docs/format/sealed-object.md has the proof), and it
// has no form for an empty object. The standard library's GCM in the STREAM
// construction needs less code than guarding against that.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync/atomic"
)

// KeySize is the size of every key here, in bytes.
const KeySize = 32

// Provider holds key-encryption keys and never gives them away. It is safe for
// concurrent use and bounds its own waiting.
type Provider interface {
	// ID names the key that Wrap uses, in at most 255 bytes of printable
	// ASCII. It is no secret and is stored beside what the key wraps.
	ID() string
	// Wrap encrypts a data key and binds it to aad.
	Wrap(ctx context.Context, dek, aad []byte) ([]byte, error)
	// Unwrap undoes Wrap, also for keys older than the one that ID names. Its
	// error wraps [ErrUnknownKey] if the key is not among the provider's, and
	// [ErrDamaged] if the bytes are not what Wrap gave; any other error means
	// that the provider cannot answer now.
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

// What can be wrong with sealed bytes. All but ErrVersion and ErrUnknownKey
// mean damage or forgery, see [IsDamage].
var (
	// ErrNotSealed: the bytes do not begin like something sealed, or are
	// sealed as another kind of thing.
	ErrNotSealed = errors.New("not sealed data of this kind")
	// ErrVersion: a newer version of the program wrote them; use that.
	ErrVersion = errors.New("sealed in a format that this version does not know")
	// ErrUnknownKey: the provider has no such key; give it the key named.
	ErrUnknownKey = errors.New("the key is not available")
	// ErrCommitment: the header was altered, or holds another object's key.
	ErrCommitment = errors.New("header altered: key commitment does not match")
	// ErrObjectID: the header is whole but was sealed under another name:
	// files were exchanged or renamed.
	ErrObjectID = errors.New("sealed under another name")
	// ErrTruncated: bytes are missing at the end.
	ErrTruncated = errors.New("cut short")
	// ErrDamaged: bytes do not authenticate: altered, moved, cut or added.
	ErrDamaged = errors.New("damaged: does not authenticate")
)

// IsDamage reports whether err says that sealed bytes are not as they were
// written, as opposed to a missing key, a newer format or a failed read.
func IsDamage(err error) bool {
	return errors.Is(err, ErrNotSealed) || errors.Is(err, ErrCommitment) || errors.Is(err, ErrObjectID) ||
		errors.Is(err, ErrTruncated) || errors.Is(err, ErrDamaged)
}

// Sealer makes and opens objects and streams. It holds no key itself and is
// safe for concurrent use.
type Sealer struct{ current atomic.Pointer[Provider] }

// New returns a Sealer whose data keys p wraps.
func New(p Provider) *Sealer {
	s := &Sealer{}
	s.Use(p)
	return s
}

// Use makes p wrap and unwrap data keys from now on. It must still have the
// keys of what is to be opened.
func (s *Sealer) Use(p Provider) { s.current.Store(&p) }

// Provider returns what wraps data keys now.
func (s *Sealer) Provider() Provider { return *s.current.Load() }

// newGCM returns AES-256-GCM with 96-bit nonces and 128-bit tags.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES-256: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("set up GCM: %w", err)
	}
	return aead, nil
}

// tagSize is what GCM adds to a plaintext.
const tagSize = 16
