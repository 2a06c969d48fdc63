package duck

/*
#include <stdlib.h>
void trailward_holds(void *, void *, void *);
typedef void (*trailward_holds_function)(void *, void *, void *);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// HoldsFunction is the SQL function that tells whether a record holds a text:
// trailward_holds(text BIGINT, part BIGINT, row BIGINT) BOOLEAN. The text is a
// number of the session's.
//
// A part finds such records by its filters and columns, all at once; to put
// every record together for SQL's contains() would take a hundred times as long.
const HoldsFunction = "trailward_holds"

// Held says which rows have a text, of those from First to before End: bit n mod
// 64 of word n / 64 is for row First + n. Rows beyond the last word have it not.
type Held struct {
	Rows       []uint64
	First, End int64
}

// HoldsFunc says which rows have the text around a row of a part. Several threads
// call it at once, again and again with the same arguments.
type HoldsFunc func(ctx context.Context, text, part, row int64) (Held, error)

// SetHolds says what trailward_holds calls. It must be set before the first
// query that uses the function.
func (s *Session) SetHolds(fn HoldsFunc) { s.holds = fn }

func registerHolds(conn duckdb.Connection, f *function) error {
	return scalar{
		name: HoldsFunction, args: []duckdb.Type{duckdb.TypeBigInt, duckdb.TypeBigInt, duckdb.TypeBigInt}, returns: duckdb.TypeBoolean,
		key: f.key, call: unsafe.Pointer(C.trailward_holds_function(C.trailward_holds)),
	}.register(conn)
}

//export trailward_holds
func trailward_holds(infoPtr, inputPtr, outputPtr unsafe.Pointer) {
	answer(infoPtr, "search records", func(s *Session) error {
		return s.fillHolds(duckdb.DataChunk{Ptr: inputPtr}, duckdb.Vector{Ptr: outputPtr})
	})
}

// fillHolds answers one vector of calls. No argument is null: they are made by
// the scan.
func (s *Session) fillHolds(input duckdb.DataChunk, output duckdb.Vector) error {
	s.mu.Lock()
	r := s.rows
	s.mu.Unlock()
	if s.holds == nil || r == nil {
		return errors.New("this query has no texts to search for")
	}
	n := int(duckdb.DataChunkGetSize(input))
	arg := func(i uint64) []int64 {
		return unsafe.Slice((*int64)(duckdb.VectorGetData(duckdb.DataChunkGetVector(input, duckdb.IdxT(i)))), n)
	}
	text, part, row := arg(0), arg(1), arg(2)
	out := unsafe.Slice((*byte)(duckdb.VectorGetData(output)), n)
	for i := 0; i < n; {
		h, err := s.holds(r.ctx, text[i], part[i], row[i])
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		if err != nil {
			return fmt.Errorf("search records: %w", err)
		}
		for from := i; i < n && text[i] == text[from] && part[i] == part[from] && (i == from || row[i] >= h.First && row[i] < h.End); i++ {
			at := uint64(row[i] - h.First)
			out[i] = 0
			if at>>6 < uint64(len(h.Rows)) {
				out[i] = byte(h.Rows[at>>6] >> (at & 63) & 1)
			}
		}
	}
	return nil
}
