package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Forget forgets every ledger that was seen at a place: for a user who knows
// why what is there now does not continue what was there before.
func (m *Memory) Forget(place string) error {
	dir, _ := seenNames(place, "")
	list, err := m.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for i := 0; i < len(list) && err == nil; i++ {
		err = m.fs.Remove(path.Join(dir, list[i].Name()))
	}
	if err == nil {
		err = m.fs.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	return nil
}
