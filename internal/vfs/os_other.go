//go:build !linux

package vfs

import (
	"errors"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

func tryLock(*os.File) error { return errors.ErrUnsupported }

func tryLockShared(*os.File) error { return errors.ErrUnsupported }

func space(*os.File) (Space, error) { return Space{}, errors.ErrUnsupported }
