// Package plantest gives tests that run SQL by the driver alone the functions that
// the engine registers.
package plantest

import (
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/duckdb/duckdb-go/v2"

	"trailward/query/plan"
)

// Register registers the functions of plan.JSONFunctions and plan.ListFunctions.
func Register(t testing.TB, db *sql.DB) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := duckdb.NewListInfo(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan.JSONFunctions() {
		call := f.Start()
		err := duckdb.RegisterScalarUDF(conn, f.Name, function{[]duckdb.TypeInfo{text, text}, text, func(args []string) any {
			if out, ok := call(nil, args); ok {
				return string(out)
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range plan.ListFunctions() {
		err := duckdb.RegisterScalarUDF(conn, f.Name, function{[]duckdb.TypeInfo{text}, texts, func(args []string) any {
			list := []any{}
			if !f.Call(args[0], func(e []byte, ok bool) {
				if list = append(list, nil); ok {
					list[len(list)-1] = string(e)
				}
			}) {
				return nil
			}
			return list
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// function is a function of the driver's. A missing argument gives a missing value.
type function struct {
	in   []duckdb.TypeInfo
	out  duckdb.TypeInfo
	call func(args []string) any
}

func (f function) Config() duckdb.ScalarFuncConfig {
	return duckdb.ScalarFuncConfig{InputTypeInfos: f.in, ResultTypeInfo: f.out}
}

func (f function) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowExecutor: func(values []driver.Value) (any, error) {
		args := make([]string, len(values))
		for i, v := range values {
			s, ok := v.(string)
			if !ok {
				return nil, nil
			}
			args[i] = s
		}
		return f.call(args), nil
	}}
}
