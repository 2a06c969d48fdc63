package duck

/*
#include <stdlib.h>
void trailward_matched(void *, void *, void *);
typedef void (*trailward_matched_function)(void *, void *, void *);
*/
import "C"

import (
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// MatchedFunction is the SQL function that counts the rows that pass by:
// trailward_matched() BOOLEAN is true for every row, and [Session.Matched] says
// for how many it was asked.
//
// It must stand in a projection whose column a condition above it reads: DuckDB
// moves other conditions below it, since it is volatile, never it below them.
const MatchedFunction = "trailward_matched"

// registerMatched registers the function with the instance that fn serves.
func registerMatched(conn duckdb.Connection, f *function) error {
	return scalar{
		name: MatchedFunction, returns: duckdb.TypeBoolean,
		volatile: true, key: f.key, call: unsafe.Pointer(C.trailward_matched_function(C.trailward_matched)),
	}.register(conn)
}

//export trailward_matched
func trailward_matched(infoPtr, inputPtr, outputPtr unsafe.Pointer) {
	info := duckdb.FunctionInfo{Ptr: infoPtr}
	in, ok := functions.Load(uintptr(duckdb.ScalarFunctionGetExtraInfo(info)))
	if !ok {
		duckdb.ScalarFunctionSetError(info, "records are no longer counted")
		return
	}
	n := int(duckdb.DataChunkGetSize(duckdb.DataChunk{Ptr: inputPtr}))
	out := unsafe.Slice((*byte)(duckdb.VectorGetData(duckdb.Vector{Ptr: outputPtr})), n)
	for i := range out {
		out[i] = 1
	}
	if s := in.(*instance).session.Load(); s != nil {
		s.matched.Add(int64(n))
	}
}

// Matched returns how many rows have passed [MatchedFunction] in the queries of
// the session so far.
func (s *Session) Matched() int64 { return s.matched.Load() }
