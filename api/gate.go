package api

import (
	"errors"
	"sync"
)

// errFull means that no turn came within the time that a request may wait.
var errFull = errors.New("too many at once")

// budget counts bytes that requests hold in memory.
type budget struct {
	limit int64
	mu    sync.Mutex
	used  int64
}

// take reserves n bytes, or reports that there is no room for them.
func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.limit-b.used {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}

// free is how many bytes can be reserved now.
func (b *budget) free() int64 { return b.limit - b.inUse() }

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
