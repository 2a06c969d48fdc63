package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"trailward/internal/vfs"
)

// RotateKeyFile puts a new random key in front of those in a key file and
// returns them all. The file is replaced durably and as a whole; the old keys
// stay in it, since what they wrapped still needs them.
func RotateKeyFile(path string) (*Keys, error) {
	old, err := OpenKeyFile(path)
	if err != nil {
		return nil, err
	}
	n, err := generateKey()
	if err != nil {
		return nil, fmt.Errorf("rotate key file %s: %w", path, err)
	}
	k := &Keys{keys: []namedKey{n}}
	for _, o := range old.keys {
		if err := k.add(o); err != nil {
			return nil, fmt.Errorf("rotate key file %s: %w", path, err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+vfs.TempSuffix) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("rotate key file: %w", err)
	}
	if err := writeKeyFile(f, k); err != nil {
		return nil, errors.Join(fmt.Errorf("rotate key file %s: %w", path, err), os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, errors.Join(fmt.Errorf("rotate key file: %w", err), os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("rotate key file: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return nil, fmt.Errorf("rotate key file %s: %w", path, err)
	}
	return k, nil
}

// ObjectKey returns the id of the key-encryption key that an object of size
// bytes needs, as its header names it.
func ObjectKey(r io.ReaderAt, size int64) (string, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return "", fmt.Errorf("read header of sealed object: %w", err)
	}
	return h.keyID, nil
}

// StreamKey returns the id of the key-encryption key that a stream needs, as
// its header names it.
func StreamKey(header []byte) (string, error) {
	h, err := parseHeader(header, kindStream)
	if err != nil {
		return "", fmt.Errorf("read header of sealed stream: %w", err)
	}
	return h.keyID, nil
}

// StoreKeyKey returns the id of the key-encryption key that wraps the store
// key in a file.
func StoreKeyKey(fsys vfs.FS, name string) (string, error) {
	b, err := vfs.ReadFile(fsys, name, MaxHeaderBytes)
	if err != nil {
		return "", fmt.Errorf("read store key: %w", err)
	}
	h, err := parseHeader(b, kindStoreKey)
	if err != nil {
		return "", fmt.Errorf("read store key %s: %w", name, err)
	}
	return h.keyID, nil
}

// RewrapStoreKey wraps the store key in a file with the key that p wraps with
// now. The store key itself stays what it is. The file is replaced durably and
// as a whole; p must still have the key that it was wrapped with.
func RewrapStoreKey(fsys vfs.FS, name string, p Provider) error {
	b, err := vfs.ReadFile(fsys, name, MaxHeaderBytes)
	if err != nil {
		return fmt.Errorf("rewrap store key: %w", err)
	}
	h, err := parseHeader(b, kindStoreKey)
	if err != nil || len(b) != h.size {
		return fmt.Errorf("rewrap store key %s: %w", name, errors.Join(err, ErrDamaged))
	}
	if _, err := h.open(p, kindStoreKey, storeKeyID); err != nil {
		return fmt.Errorf("rewrap store key %s: %w", name, err)
	}
	dek, err := p.Unwrap(context.Background(), h.wrapped, wrapAAD(kindStoreKey, h.salt))
	if err != nil {
		return fmt.Errorf("rewrap store key %s: %w", name, err)
	}
	defer clear(dek)
	out, r, err := makeHeader(p, kindStoreKey, storeKeyID, dek, h.salt)
	if err != nil {
		return fmt.Errorf("rewrap store key %s: %w", name, err)
	}
	clear(r)
	if err := vfs.WriteFile(fsys, name, out, 0o600); err != nil {
		return fmt.Errorf("rewrap store key: %w", err)
	}
	return nil
}
