package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Keys is a [Provider] over key-encryption keys in this process's memory, from
// a key file or the environment. The first key wraps; all of them unwrap, so
// that a rotated key stays readable. It does not change after it was made, and
// prints as the ids of its keys, however it is printed.
type Keys struct{ keys []namedKey }

var _ Provider = (*Keys)(nil)

type namedKey struct {
	id  [keyIDSize]byte // derived from key, see keyID
	key secret
}

// secret is a key out of reach of everything that prints values, such as a bad
// verb on a struct that holds this one deep inside: nothing prints a closure.
type secret func() []byte

func newSecret(key []byte) secret {
	k := [KeySize]byte(key)
	return func() []byte { return k[:] }
}

const (
	keyIDSize = 8
	// MaxKeys is how many keys a key file or the environment may hold.
	MaxKeys = 256

	wrapVersion = 1
	// A wrapped data key: version, key id, salt, sealed data key.
	wrappedSize = 1 + keyIDSize + saltSize + KeySize + tagSize
)

// keyID names a key by itself: a key that was mistyped or cut has another id,
// and the same key has the same id wherever it is kept.
func keyID(key []byte) (id [keyIDSize]byte, err error) {
	b, err := hkdf.Key(sha256.New, key, nil, "trailward/seal/1/key id", keyIDSize)
	if err != nil {
		return id, fmt.Errorf("derive a key id: %w", err)
	}
	copy(id[:], b)
	return id, nil
}

func newNamedKey(key []byte) (namedKey, error) {
	if len(key) != KeySize {
		return namedKey{}, fmt.Errorf("a key of %d bytes, want %d", len(key), KeySize)
	}
	id, err := keyID(key)
	if err != nil {
		return namedKey{}, err
	}
	return namedKey{id: id, key: newSecret(key)}, nil
}

func generateKey() (namedKey, error) {
	key := make([]byte, KeySize)
	defer clear(key)
	rand.Read(key)
	return newNamedKey(key)
}

func parseKey(text string) (namedKey, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		// The decoder's own error would quote where in the key it stopped.
		return namedKey{}, errors.New("a key that is not base64")
	}
	defer clear(key)
	return newNamedKey(key)
}

// add appends a key that is not yet there.
func (k *Keys) add(n namedKey) error {
	if len(k.keys) >= MaxKeys {
		return fmt.Errorf("more than %d keys", MaxKeys)
	}
	for _, o := range k.keys {
		if o.id == n.id {
			return fmt.Errorf("key %x is there twice", n.id)
		}
	}
	k.keys = append(k.keys, n)
	return nil
}

// ID implements [Provider]: the id of the newest key, 16 hexadecimal digits.
func (k *Keys) ID() string { return hex.EncodeToString(k.keys[0].id[:]) }

// IDs returns the ids of all keys, newest first.
func (k *Keys) IDs() []string {
	ids := make([]string, len(k.keys))
	for i := range k.keys {
		ids[i] = hex.EncodeToString(k.keys[i].id[:])
	}
	return ids
}

// Wrap implements [Provider]. Each call derives a key of its own from a random
// salt of 256 bits, so that there is no bound on how many calls one key serves.
func (k *Keys) Wrap(_ context.Context, dek, aad []byte) ([]byte, error) {
	if len(dek) != KeySize {
		return nil, fmt.Errorf("a data key of %d bytes, want %d", len(dek), KeySize)
	}
	n := &k.keys[0]
	out := make([]byte, 1+keyIDSize+saltSize, wrappedSize)
	out[0] = wrapVersion
	copy(out[1:], n.id[:])
	salt := out[1+keyIDSize:]
	rand.Read(salt)
	return sealOnce(out, n.key(), salt, dek, aad, "wrap")
}

// Unwrap implements [Provider].
func (k *Keys) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) != wrappedSize {
		return nil, fmt.Errorf("%w: a wrapped key of %d bytes, want %d", ErrDamaged, len(wrapped), wrappedSize)
	}
	if wrapped[0] != wrapVersion {
		return nil, fmt.Errorf("%w (wrapped key, format %d)", ErrVersion, wrapped[0])
	}
	id, rest := [keyIDSize]byte(wrapped[1:]), wrapped[1+keyIDSize:]
	for i := range k.keys {
		if k.keys[i].id == id {
			return openOnce(k.keys[i].key(), rest[:saltSize], rest[saltSize:], aad, "wrap")
		}
	}
	return nil, fmt.Errorf("%w: key %x is needed, there is %s", ErrUnknownKey, id, strings.Join(k.IDs(), ", "))
}

// sealOnce seals one message under a key that is derived from a long-lived one
// and a random salt of 256 bits; with that key it is the only message, so the
// nonce can be zero.
func sealOnce(dst, secret, salt, plain, aad []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, "trailward/seal/1/"+purpose, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	defer clear(key)
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	var nonce [12]byte
	return aead.Seal(dst, nonce[:], plain, aad), nil
}

// openOnce undoes sealOnce.
func openOnce(secret, salt, sealed, aad []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, "trailward/seal/1/"+purpose, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	defer clear(key)
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	var nonce [12]byte
	plain, err := aead.Open(nil, nonce[:], sealed, aad)
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// Format implements [fmt.Formatter]: no verb prints a key.
func (k *Keys) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "keys "+strings.Join(k.IDs(), ", "))
}

// LogValue implements [slog.LogValuer].
func (k *Keys) LogValue() slog.Value { return slog.AnyValue(k.IDs()) }
