package duck

/*
#include <stdlib.h>
void trailward_text(void *, void *, void *);
typedef void (*trailward_text_function)(void *, void *, void *);
*/
import "C"

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// TextFunction is a SQL function from texts to a text that is computed in Go,
// where SQL has no cheap way to say it. It is a function of its arguments and
// nothing else; a missing argument gives a missing value without a call.
type TextFunction struct {
	Name string // in SQL
	Args int    // how many, at least 1
	// Call appends the value, which must be UTF-8, to dst and returns that; ok is
	// false for a missing value. The arguments are valid during the call only.
	// Several threads call it at once.
	Call func(dst []byte, args []string) (out []byte, ok bool)
	// Start, if set, gives what is called in place of Call, by one thread, for up
	// to 2,048 rows: what they have in common it need not find out again and again.
	Start func() func(dst []byte, args []string) (out []byte, ok bool)
}

// textFunctions finds a registered function by the address that DuckDB knows it
// by.
var textFunctions sync.Map // uintptr → *TextFunction

// registerTexts registers the functions with the instance and returns what to
// free when it is closed.
func registerTexts(conn duckdb.Connection, list []TextFunction) ([]unsafe.Pointer, error) {
	var keys []unsafe.Pointer
	for i := range list {
		f := &list[i]
		key := C.calloc(1, 1)
		textFunctions.Store(uintptr(key), f)
		keys = append(keys, key)
		err := scalar{
			name: f.Name, args: slices.Repeat([]duckdb.Type{duckdb.TypeVarchar}, f.Args), returns: duckdb.TypeVarchar,
			key: key, call: unsafe.Pointer(C.trailward_text_function(C.trailward_text)),
		}.register(conn)
		if err != nil {
			freeTexts(keys)
			return nil, err
		}
	}
	return keys, nil
}

func freeTexts(keys []unsafe.Pointer) {
	for _, k := range keys {
		textFunctions.Delete(uintptr(k))
		C.free(k)
	}
}

//export trailward_text
func trailward_text(infoPtr, inputPtr, outputPtr unsafe.Pointer) {
	info := duckdb.FunctionInfo{Ptr: infoPtr}
	defer func() {
		if p := recover(); p != nil {
			// A panic must not unwind through C++.
			duckdb.ScalarFunctionSetError(info, fmt.Sprintf("INTERNAL Error: text function: %v at %s", p, firstFrame(debug.Stack())))
		}
	}()
	f, ok := textFunctions.Load(uintptr(duckdb.ScalarFunctionGetExtraInfo(info)))
	if !ok {
		duckdb.ScalarFunctionSetError(info, "text function is gone")
		return
	}
	f.(*TextFunction).fill(duckdb.DataChunk{Ptr: inputPtr}, duckdb.Vector{Ptr: outputPtr})
}

// fill answers one vector of calls.
func (f *TextFunction) fill(input duckdb.DataChunk, output duckdb.Vector) {
	n := uint64(duckdb.DataChunkGetSize(input))
	in := make([]vector, f.Args)
	ok := make([]mask, f.Args)
	for i := range in {
		v := duckdb.DataChunkGetVector(input, duckdb.IdxT(i))
		in[i].data = duckdb.VectorGetData(v)
		ok[i] = validity(duckdb.VectorGetValidity(v))
	}
	args := make([]string, f.Args)
	call := f.Call
	if f.Start != nil {
		call = f.Start()
	}
	var buf []byte
	// Equal texts often follow one another: what they have in common is
	// computed once.
	last, lastOK, have := make([]string, f.Args), false, false
rows:
	for row := range n {
		same := have
		for i := range in {
			if !ok[i].valid(row) {
				setMissing(output, row)
				continue rows
			}
			args[i] = in[i].bytes(row)
			same = same && args[i] == last[i]
		}
		if !same {
			buf, lastOK = call(buf[:0], args)
			copy(last, args)
			have = true
		}
		if !lastOK {
			setMissing(output, row)
			continue
		}
		duckdb.UnsafeVectorAssignStringElementLen(output, duckdb.IdxT(row), buf)
	}
}

func setMissing(output duckdb.Vector, row uint64) {
	duckdb.VectorEnsureValidityWritable(output)
	duckdb.ValiditySetRowInvalid(duckdb.VectorGetValidity(output), duckdb.IdxT(row))
}
