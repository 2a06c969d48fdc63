package duck

/*
#include <stdlib.h>
void trailward_message(void *, void *, void *);
typedef void (*trailward_scalar_function)(void *, void *, void *);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// MessageFunction is the SQL function that gives a record's text:
// trailward_message(part BIGINT, row BIGINT) VARCHAR.
//
// It is a scalar function and not a table function to be joined by row number,
// because then messages are put together for those rows only that pass the
// conditions on other columns, on the threads that scan them, and no side of a
// join has to be held in memory (there is nowhere to spill).
const MessageFunction = "trailward_message"

// MaxVectorBytes bounds the text that one call of the function gives DuckDB,
// for up to 2,048 records: DuckDB holds it outside its own memory limit.
const MaxVectorBytes = 256 << 20

// function is the registration of MessageFunction on one instance. DuckDB knows
// it by the address of one byte of C memory.
type function struct{ key unsafe.Pointer }

// functions finds the instance by that address.
var functions sync.Map // uintptr → *instance

func registerFunction(conn duckdb.Connection, in *instance) (*function, error) {
	f := &function{key: C.calloc(1, 1)}
	functions.Store(uintptr(f.key), in)
	// It is no more volatile than a column. But DuckDB moves a condition on what
	// a volatile function gives not below the place where it is called, so a
	// record is put together once, after the conditions on columns, and not once
	// for the condition and again for whatever else reads it.
	err := scalar{
		name: MessageFunction, args: []duckdb.Type{duckdb.TypeBigInt, duckdb.TypeBigInt}, returns: duckdb.TypeVarchar,
		volatile: true, key: f.key, call: unsafe.Pointer(C.trailward_scalar_function(C.trailward_message)),
	}.register(conn)
	if err != nil {
		f.free()
		return nil, err
	}
	return f, nil
}

// scalar is a SQL function of ours.
type scalar struct {
	name     string
	args     []duckdb.Type
	returns  duckdb.Type
	volatile bool
	list     bool           // it returns a list of that
	key      unsafe.Pointer // that call is given; may be nil
	call     unsafe.Pointer // a C function of function info, input chunk and output vector
}

func (s scalar) register(conn duckdb.Connection) error {
	fn := duckdb.CreateScalarFunction()
	defer duckdb.DestroyScalarFunction(&fn)
	duckdb.ScalarFunctionSetName(fn, s.name)
	for _, t := range s.args {
		typ := duckdb.CreateLogicalType(t)
		duckdb.ScalarFunctionAddParameter(fn, typ)
		duckdb.DestroyLogicalType(&typ)
	}
	typ := duckdb.CreateLogicalType(s.returns)
	defer duckdb.DestroyLogicalType(&typ)
	if s.list {
		of := typ
		typ = duckdb.CreateListType(of)
		defer duckdb.DestroyLogicalType(&of)
	}
	duckdb.ScalarFunctionSetReturnType(fn, typ)
	if s.volatile {
		duckdb.ScalarFunctionSetVolatile(fn)
	}
	if s.key != nil {
		duckdb.ScalarFunctionSetExtraInfo(fn, s.key, nil)
	}
	duckdb.ScalarFunctionSetFunction(fn, s.call)
	if duckdb.RegisterScalarFunction(conn, fn) == duckdb.StateError {
		return errors.New("register " + s.name)
	}
	return nil
}

func (f *function) free() {
	functions.Delete(uintptr(f.key))
	C.free(f.key)
}

//export trailward_message
func trailward_message(infoPtr, inputPtr, outputPtr unsafe.Pointer) {
	answer(infoPtr, "read messages", func(s *Session) error {
		return s.fillMessages(duckdb.DataChunk{Ptr: inputPtr}, duckdb.Vector{Ptr: outputPtr})
	})
}

// answer calls fn for the session whose statement calls a function of the
// instance; doing says in errors what that does.
func answer(infoPtr unsafe.Pointer, doing string, fn func(s *Session) error) {
	info := duckdb.FunctionInfo{Ptr: infoPtr}
	defer func() {
		if p := recover(); p != nil {
			// A panic must not unwind through C++.
			duckdb.ScalarFunctionSetError(info, fmt.Sprintf("INTERNAL Error: %s: %v at %s", doing, p, firstFrame(debug.Stack())))
		}
	}()
	in, ok := functions.Load(uintptr(duckdb.ScalarFunctionGetExtraInfo(info)))
	if !ok {
		duckdb.ScalarFunctionSetError(info, doing+": the engine is gone")
		return
	}
	s := in.(*instance).session.Load()
	if s == nil {
		duckdb.ScalarFunctionSetError(info, doing+": there is no session")
		return
	}
	if err := fn(s); err != nil {
		duckdb.ScalarFunctionSetError(info, err.Error())
	}
}

// firstFrame names the place of a panic without the whole stack.
func firstFrame(stack []byte) string {
	for line := range strings.SplitSeq(string(stack), "\n") {
		if strings.Contains(line, "trailward") && !strings.Contains(line, "function.go") && strings.HasPrefix(line, "\t") {
			at, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			return at[strings.LastIndexByte(at, '/')+1:]
		}
	}
	return "an unknown place"
}

// fillMessages answers one vector of calls.
func (s *Session) fillMessages(input duckdb.DataChunk, output duckdb.Vector) error {
	s.mu.Lock()
	r := s.rows
	s.mu.Unlock()
	if s.messages == nil || r == nil {
		return errors.New("this query has no messages to read")
	}
	n := int(duckdb.DataChunkGetSize(input))
	partVec, rowVec := duckdb.DataChunkGetVector(input, 0), duckdb.DataChunkGetVector(input, 1)
	part := unsafe.Slice((*int64)(duckdb.VectorGetData(partVec)), n)
	row := unsafe.Slice((*int64)(duckdb.VectorGetData(rowVec)), n)
	partOK, rowOK := validity(duckdb.VectorGetValidity(partVec)), validity(duckdb.VectorGetValidity(rowVec))

	var bytes int
	var rows []int64
	for i := 0; i < n; {
		if !partOK.valid(uint64(i)) || !rowOK.valid(uint64(i)) {
			duckdb.VectorEnsureValidityWritable(output)
			duckdb.ValiditySetRowInvalid(duckdb.VectorGetValidity(output), duckdb.IdxT(i))
			i++
			continue
		}
		// One call for the longest run of one part with ascending rows; a scan
		// gives nearly always one run.
		from := i
		rows = append(rows[:0], row[i])
		for i++; i < n && part[i] == part[from] && row[i] > row[i-1] && partOK.valid(uint64(i)) && rowOK.valid(uint64(i)); i++ {
			rows = append(rows, row[i])
		}
		got := 0
		err := s.messages(r.ctx, part[from], rows, func(k int, message []byte) {
			got++
			if bytes += len(message); bytes > MaxVectorBytes {
				return
			}
			if !utf8.Valid(message) {
				message = []byte(strings.ToValidUTF8(string(message), "\uFFFD"))
			}
			duckdb.UnsafeVectorAssignStringElementLen(output, duckdb.IdxT(from+k), message)
		})
		switch {
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case err != nil:
			return fmt.Errorf("read messages: %w", err)
		case bytes > MaxVectorBytes:
			return fmt.Errorf("2,048 records in a row have more than %d MiB of text, which is the limit: narrow the conditions on other fields", MaxVectorBytes>>20)
		case got != len(rows):
			return fmt.Errorf("read messages: got %d of %d records", got, len(rows))
		}
	}
	return nil
}
