//go:build !linux

package vfs

import (
	"errors"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

func tryLock(*os.File) error { return errors.ErrUnsupported }
