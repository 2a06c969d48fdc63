package main

import (
	"math"
	"testing"

	"trailward/api"
	"trailward/query/duck"
	"trailward/store"
)

func TestBudget(t *testing.T) {
	full := budget{store.DefaultSealBytes, store.DefaultCache, store.DefaultQueryBytes, duck.DefaultMemory, api.DefaultMaxBodyMemory}
	more := full
	more.cache, more.columns, more.queries = 8*full.cache, 8*full.columns, 8*full.queries
	for _, c := range []struct {
		name  string
		limit int64
		want  budget
	}{
		{"no limit", math.MaxInt64, full},
		{"2 GiB", 2 << 30, full},
		{"16 GiB", 16 << 30, more},
		{"1 GiB", 1 << 30, budget{full.sealBytes / 2, full.cache / 2, full.columns / 2, full.queries / 2, max(full.bodies/2, 3*api.DefaultMaxDecoded)}},
		{"a byte", 1, budget{4 << 20, 16 << 20, 4 << 20, api.DefaultMaxQueries * duck.MinMemory, 3 * api.DefaultMaxDecoded}},
	} {
		if got := budgetUnder(c.limit); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
