package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	"trailward/internal/vfs"
)

// StoreKey is the store's own long-lived random key: what must stay the same
// for the store's whole life derives from it, namely keyed hashes, which are
// looked up, and blobs, which are many and small. It is kept in a file of the
// store as the data key of a header without content, so it is wrapped by the
// provider like any other and survives the rotation of the provider's key.
//
// It is safe for concurrent use and prints as nothing.
type StoreKey struct {
	blob, hash secret
	hashers    sync.Map // context → *Hasher
}

// storeKeyID is the store key's object id.
const storeKeyID = "store key"

const (
	blobVersion = 1
	// BlobOverhead is what sealing adds to a blob, in bytes.
	BlobOverhead = 1 + saltSize + tagSize
	// MaxBlobBytes is the most plaintext that one blob may hold.
	MaxBlobBytes = 64 << 20
)

// CreateStoreKey makes a new store key and writes it, wrapped by p, durably to
// the file name, which must not exist: a store that loses its key and gets
// another one would no longer find what it holds.
func CreateStoreKey(fsys vfs.FS, name string, p Provider) (*StoreKey, error) {
	if _, err := fsys.Stat(name); err == nil {
		return nil, fmt.Errorf("create store key %s: %w", name, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create store key: %w", err)
	}
	b, r, err := newHeader(p, kindStoreKey, storeKeyID)
	if err != nil {
		return nil, fmt.Errorf("create store key %s: %w", name, err)
	}
	defer clear(r)
	k, err := newStoreKey(r)
	if err != nil {
		return nil, fmt.Errorf("create store key %s: %w", name, err)
	}
	if err := vfs.WriteFile(fsys, name, b, 0o600); err != nil {
		return nil, fmt.Errorf("create store key: %w", err)
	}
	return k, nil
}

// OpenStoreKey reads the store key in the file name. The error for a missing
// file wraps [fs.ErrNotExist]: in a new store, and only there, the answer is
// [CreateStoreKey]. If p lacks the key that wraps it, the error wraps
// [ErrUnknownKey] and names the key that is needed.
func OpenStoreKey(fsys vfs.FS, name string, p Provider) (*StoreKey, error) {
	b, err := vfs.ReadFile(fsys, name, MaxHeaderBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store key: %w: without it the store cannot find or read its catalog: restore the file from a backup of this store", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open store key: %w", err)
	}
	r, err := openWhole(p, kindStoreKey, b, storeKeyID)
	if errors.Is(err, ErrUnknownKey) {
		return nil, fmt.Errorf("open store key %s: %w: give the key file that this store was made with", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open store key %s: %w", name, err)
	}
	defer clear(r)
	k, err := newStoreKey(r)
	if err != nil {
		return nil, fmt.Errorf("open store key %s: %w", name, err)
	}
	return k, nil
}

func newStoreKey(r root) (*StoreKey, error) {
	k := &StoreKey{}
	for label, dst := range map[string]*secret{"blobs": &k.blob, "hashes": &k.hash} {
		b, err := r.derive(label, kindStoreKey, "")
		if err != nil {
			return nil, err
		}
		*dst = newSecret(b)
		clear(b)
	}
	return k, nil
}

// Format implements [fmt.Formatter]: no verb prints the key.
func (k *StoreKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "store key") }

// SealBlob seals a small value. It opens only with the same context, which
// says what the value is and where it belongs. The result is [BlobOverhead]
// bytes longer: version, salt, ciphertext and tag; the salt of 256 random bits
// gives each blob a key of its own, so that there may be any number of them.
func (k *StoreKey) SealBlob(context string, plain []byte) ([]byte, error) {
	if len(plain) > MaxBlobBytes {
		return nil, fmt.Errorf("seal blob of %d bytes: the limit is %d", len(plain), MaxBlobBytes)
	}
	out := make([]byte, 1+saltSize, len(plain)+BlobOverhead)
	out[0] = blobVersion
	salt := out[1:]
	rand.Read(salt)
	return sealOnce(out, k.blob(), salt, plain, []byte(context), "blob")
}

// OpenBlob undoes [StoreKey.SealBlob].
func (k *StoreKey) OpenBlob(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < BlobOverhead {
		return nil, fmt.Errorf("open blob: %d bytes: %w", len(sealed), ErrTruncated)
	}
	if sealed[0] != blobVersion {
		return nil, fmt.Errorf("open blob: %w (format %d)", ErrVersion, sealed[0])
	}
	plain, err := openOnce(k.blob(), sealed[1:1+saltSize], sealed[1+saltSize:], []byte(context), "blob")
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return plain, nil
}

// Hash returns the keyed hash of a list of byte strings for a context: the
// same in this store for ever, and without the key as good as random. Lists
// that differ in any element or border have different hashes. A context is a
// constant of the program, not data; see [StoreKey.Hasher] for many hashes.
func (k *StoreKey) Hash(context string, data ...[]byte) [sha256.Size]byte {
	return k.Hasher(context).Sum(data...)
}

// Hasher returns what computes the hashes of one context.
func (k *StoreKey) Hasher(context string) *Hasher {
	if h, ok := k.hashers.Load(context); ok {
		return h.(*Hasher)
	}
	prf := hmac.New(sha256.New, k.hash())
	prf.Write([]byte("trailward/seal/1/hash\x00" + context))
	key := prf.Sum(nil)
	h := &Hasher{}
	h.pool.New = func() any { return &macState{Hash: hmac.New(sha256.New, key)} }
	actual, _ := k.hashers.LoadOrStore(context, h)
	return actual.(*Hasher)
}

// Hasher computes keyed hashes: HMAC-SHA256, under the key of one context, over
// each string's length (8 bytes, big-endian) and bytes. It is safe for
// concurrent use.
type Hasher struct{ pool sync.Pool }

// macState keeps an HMAC whose key is already worked in, and its buffers.
type macState struct {
	hash.Hash
	length [8]byte
	sum    [sha256.Size]byte
}

// Sum returns the hash of the list of byte strings.
func (h *Hasher) Sum(data ...[]byte) [sha256.Size]byte {
	m := h.pool.Get().(*macState)
	m.Reset()
	for _, d := range data {
		binary.BigEndian.PutUint64(m.length[:], uint64(len(d)))
		m.Write(m.length[:])
		m.Write(d)
	}
	m.Hash.Sum(m.sum[:0])
	sum := m.sum
	h.pool.Put(m)
	return sum
}
