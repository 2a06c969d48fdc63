package main

import (
	"math"
	"runtime/debug"

	"trailward/api"
	"trailward/query/duck"
	"trailward/store"
)

// fullMemory is the memory limit from which on everything has its default size.
const fullMemory = 2 << 30

// budget is how the process divides its memory, in bytes. GOMEMLIMIT bounds what
// the garbage collector lets lie about and nothing else: what is held on purpose
// must be bounded by us. The largest body that is taken stays the same, since a
// client cannot be taught to send smaller ones.
type budget struct {
	sealBytes, cache, columns, queries, bodies int64
}

// memoryBudget is the budget under the limit that GOMEMLIMIT sets.
func memoryBudget() budget { return budgetUnder(debug.SetMemoryLimit(-1)) }

func budgetUnder(limit int64) budget {
	scaled := func(full, least int64) int64 {
		if limit >= fullMemory {
			return full
		}
		return max(least, int64(math.Round(float64(full)*float64(limit)/fullMemory)))
	}
	return budget{
		sealBytes: scaled(store.DefaultSealBytes, 4<<20),
		cache:     scaled(store.DefaultCache, 16<<20),
		columns:   scaled(store.DefaultQueryBytes, 4<<20),
		queries:   scaled(duck.DefaultMemory, api.DefaultMaxQueries*duck.MinMemory),
		bodies:    scaled(api.DefaultMaxBodyMemory, 3*api.DefaultMaxDecoded),
	}
}
