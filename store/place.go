package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// makePlace makes the data directory, and those above it that are missing,
// durably: records in a folder whose name a power cut takes are lost with it. Who
// called us may have made it already, so that for a new store every folder above
// is synced; one that may not be opened, or on a file system that cannot do it, is
// not.
func makePlace(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, storeKeyName)); err == nil {
		return nil
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for at != filepath.Dir(at) {
		at = filepath.Dir(at)
		if err := syncFolder(at); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("sync the folder above: %w", err)
		}
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
