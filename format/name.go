package format

import (
	"sync"
	"sync/atomic"

	"trailward"
)

// names keeps one path for each key seen, so that naming a field costs no
// allocation. A table is never changed once it is published: a new key makes a
// new table, which is dear but stops at maxNames keys. Beyond that, and for
// keys longer than maxNameLen, a key costs one allocation each time.
var names = struct {
	table atomic.Pointer[map[string]string] // the key as found, to its path
	grow  sync.Mutex                        // held by whoever makes a new table
}{}

const (
	maxNames   = 2048
	maxNameLen = 64
)

// pathOf returns the path of a key that stands alone.
func pathOf(key []byte) string {
	t := names.table.Load()
	if t != nil {
		if p, ok := (*t)[string(key)]; ok {
			return p
		}
	}
	k := string(key)
	p := trailward.JoinPath(k)
	if len(k) > maxNameLen || t != nil && len(*t) >= maxNames {
		return p
	}
	names.grow.Lock()
	defer names.grow.Unlock()
	old := names.table.Load()
	next := make(map[string]string, 64)
	if old != nil {
		for a, b := range *old {
			next[a] = b
		}
	}
	if len(next) < maxNames {
		next[k] = p
		names.table.Store(&next)
	}
	return p
}
