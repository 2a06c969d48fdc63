package main

import (
	"math"
	"runtime/debug"

	"trailward/api"
	"trailward/query/duck"
	"trailward/store"
)

// fullMemory is the memory limit under which everything has its default size, as
// it has without one.
const fullMemory = 2 << 30

// budget is how the process divides its memory, in bytes. GOMEMLIMIT bounds what
// the garbage collector lets lie about and nothing else: what is held on purpose
// must be bounded by us. The largest body that is taken stays the same, since a
// client cannot be taught to send smaller ones. What questions may have grows with
// a higher limit, too: how much of it a machine has only its owner knows.
type budget struct {
	sealBytes, cache, columns, queries, bodies int64
}

// memoryBudget is the budget under the limit that GOMEMLIMIT sets.
func memoryBudget() budget { return budgetUnder(debug.SetMemoryLimit(-1)) }

func budgetUnder(limit int64) budget {
	share := min(float64(limit)/fullMemory, 1<<10)
	if limit == math.MaxInt64 {
		share = 1
	}
	scaled := func(full, least int64, share float64) int64 {
		return max(least, int64(math.Round(float64(full)*share)))
	}
	less := min(share, 1)
	return budget{
		sealBytes: scaled(store.DefaultSealBytes, 4<<20, less),
		cache:     scaled(store.DefaultCache, 16<<20, share),
		columns:   scaled(store.DefaultQueryBytes, 4<<20, share),
		queries:   scaled(duck.DefaultMemory, api.DefaultMaxQueries*duck.MinMemory, share),
		bodies:    scaled(api.DefaultMaxBodyMemory, 3*api.DefaultMaxDecoded, less),
	}
}
