package duck

/*
#include <stdlib.h>
void trailward_list(void *, void *, void *);
typedef void (*trailward_list_function)(void *, void *, void *);
*/
import "C"

import (
	"fmt"
	"runtime/debug"
	"sync"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// ListFunction is a SQL function from a text to a list of texts that is computed
// in Go. It is a function of its argument and nothing else; a missing argument
// gives a missing value without a call.
type ListFunction struct {
	Name string // in SQL
	// Call calls add with each element, which must be UTF-8 and may be changed
	// afterwards; ok is false for one that is missing. It returns false for a
	// missing value. The text is valid during the call only. Several threads call
	// it at once.
	Call func(text string, add func(element []byte, ok bool)) bool
}

// listFunctions finds a registered function by the address that DuckDB knows it
// by.
var listFunctions sync.Map // uintptr → *ListFunction

// registerLists registers the functions with the instance and returns what to
// free when it is closed.
func registerLists(conn duckdb.Connection, list []ListFunction) ([]unsafe.Pointer, error) {
	var keys []unsafe.Pointer
	for i := range list {
		key := C.calloc(1, 1)
		listFunctions.Store(uintptr(key), &list[i])
		keys = append(keys, key)
		err := scalar{
			name: list[i].Name, args: []duckdb.Type{duckdb.TypeVarchar}, returns: duckdb.TypeVarchar, list: true,
			key: key, call: unsafe.Pointer(C.trailward_list_function(C.trailward_list)),
		}.register(conn)
		if err != nil {
			freeLists(keys)
			return nil, err
		}
	}
	return keys, nil
}

func freeLists(keys []unsafe.Pointer) {
	for _, k := range keys {
		listFunctions.Delete(uintptr(k))
		C.free(k)
	}
}

//export trailward_list
func trailward_list(infoPtr, inputPtr, outputPtr unsafe.Pointer) {
	info := duckdb.FunctionInfo{Ptr: infoPtr}
	defer func() {
		if p := recover(); p != nil {
			// A panic must not unwind through C++.
			duckdb.ScalarFunctionSetError(info, fmt.Sprintf("INTERNAL Error: list function: %v at %s", p, firstFrame(debug.Stack())))
		}
	}()
	f, ok := listFunctions.Load(uintptr(duckdb.ScalarFunctionGetExtraInfo(info)))
	if !ok {
		duckdb.ScalarFunctionSetError(info, "list function is gone")
		return
	}
	if err := f.(*ListFunction).fill(duckdb.DataChunk{Ptr: inputPtr}, duckdb.Vector{Ptr: outputPtr}); err != nil {
		duckdb.ScalarFunctionSetError(info, err.Error())
	}
}

// maxElements bounds the elements of the lists that one call of a function gives,
// for up to 2,048 texts, as MaxVectorBytes does their text.
const maxElements = MaxVectorBytes / 16

// fill answers one vector of calls. The elements are gathered first: the list's
// vector moves when it grows.
func (f *ListFunction) fill(input duckdb.DataChunk, output duckdb.Vector) error {
	n := uint64(duckdb.DataChunkGetSize(input))
	arg := duckdb.DataChunkGetVector(input, 0)
	in, ok := vector{data: duckdb.VectorGetData(arg)}, validity(duckdb.VectorGetValidity(arg))
	entries := unsafe.Slice((*[2]uint64)(duckdb.VectorGetData(output)), n) // where each list begins, its length
	var data []byte
	var ends []int
	var missing []uint64
	for row := range n {
		entries[row] = [2]uint64{uint64(len(ends)), 0}
		if !ok.valid(row) {
			setMissing(output, row)
			continue
		}
		before := len(data)
		is := f.Call(in.bytes(row), func(element []byte, ok bool) {
			if len(ends) > maxElements || len(data) > MaxVectorBytes {
				return
			}
			if data = append(data, element...); !ok {
				missing = append(missing, uint64(len(ends)))
			}
			ends = append(ends, len(data))
		})
		if !is {
			first := int(entries[row][0])
			for len(missing) > 0 && missing[len(missing)-1] >= uint64(first) {
				missing = missing[:len(missing)-1]
			}
			ends, data = ends[:first], data[:before]
			setMissing(output, row)
			continue
		}
		if len(ends) > maxElements || len(data) > MaxVectorBytes {
			return fmt.Errorf("lists of 2,048 rows have more than %d elements or %d MiB of text, which is the limit: narrow the conditions", maxElements, MaxVectorBytes>>20)
		}
		entries[row][1] = uint64(len(ends)) - entries[row][0]
	}
	if duckdb.ListVectorReserve(output, duckdb.IdxT(len(ends))) == duckdb.StateError || duckdb.ListVectorSetSize(output, duckdb.IdxT(len(ends))) == duckdb.StateError {
		return fmt.Errorf("make a list of %d texts", len(ends))
	}
	child := duckdb.ListVectorGetChild(output)
	from := 0
	for i, to := range ends {
		duckdb.UnsafeVectorAssignStringElementLen(child, duckdb.IdxT(i), data[from:to])
		from = to
	}
	for _, i := range missing {
		setMissing(child, i)
	}
	return nil
}
