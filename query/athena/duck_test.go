package athena

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"trailward"
	"trailward/query/plan"
	"trailward/query/plan/plantest"
)

// engine is a DuckDB instance as the program would have it.
var engine = sync.OnceValues(func() (*sql.DB, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	for _, s := range []string{"SET TimeZone='UTC'", "SET threads=1", "SET memory_limit='1GB'", "SET enable_external_access=false", "SET lock_configuration=true"} {
		if _, err := db.Exec(s); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	return db, nil
})

var register sync.Once

func duck(t testing.TB) *sql.DB {
	t.Helper()
	db, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	register.Do(func() { plantest.Register(t, db) })
	return db
}

func call1(db *sql.DB, query, arg string) (string, error) {
	var out sql.NullString
	if err := db.QueryRow(query, arg).Scan(&out); err != nil {
		return "", err
	}
	if !out.Valid {
		return "", errors.New("null")
	}
	return out.String, nil
}

var testNow = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

func options(t testing.TB) Options {
	db := duck(t)
	return Options{
		Serialize:   func(s string) (string, error) { return call1(db, "SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", s) },
		Deserialize: func(s string) (string, error) { return call1(db, "SELECT json_deserialize_sql($1::VARCHAR)", s) },
		Now:         testNow,
	}
}

// record is a row of a test relation: field key to value. A value is a string,
// int or nil; a string that begins with { or [ is JSON.
type record map[string]any

// relationOf makes the relation for the fields over some records.
func relationOf(records []record, fields []plan.FieldRef) plan.Relation {
	rel := plan.Relation{Columns: map[string]plan.Column{}}
	var cols []string
	types := make([]plan.Type, len(fields))
	for i, f := range fields {
		types[i] = plan.Null
		for _, r := range records {
			var have plan.Type
			switch v := r[f.Key()].(type) {
			case nil:
				continue
			case int:
				have = plan.Int
			case time.Time:
				have = plan.Time
			case string:
				have = plan.Text
				if strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
					have = plan.JSON
				}
			}
			if types[i] == plan.Null || types[i] == plan.Int {
				types[i] = have
			} else if have == plan.JSON {
				types[i] = plan.JSON
			}
		}
		switch f.Key() {
		case "@timestamp", "@ingestionTime":
			types[i] = plan.Time
		}
		rel.Columns[f.Key()] = plan.Column{Name: fmt.Sprintf("c%d", i), Type: types[i]}
		cols = append(cols, fmt.Sprintf("c%d", i))
	}
	name := func(t plan.Type) string {
		switch t {
		case plan.Int:
			return "BIGINT"
		case plan.Time:
			return "TIMESTAMP"
		}
		return "VARCHAR"
	}
	var rows []string
	for _, r := range records {
		vals := []string{"1"}
		for i, f := range fields {
			v := "NULL"
			switch x := r[f.Key()].(type) {
			case int:
				v = fmt.Sprint(x)
			case string:
				v = quoteString(x)
			case time.Time:
				v = quoteString(x.Format("2006-01-02 15:04:05.000000"))
			}
			vals = append(vals, "CAST("+v+" AS "+name(types[i])+")")
		}
		rows = append(rows, "SELECT "+strings.Join(vals, ", "))
	}
	head := []string{"1 AS \"@row\""}
	for i := range fields {
		head = append(head, "CAST(NULL AS "+name(types[i])+") AS "+cols[i])
	}
	rel.SQL = "(SELECT * FROM (SELECT " + strings.Join(head, ", ") + ") WHERE false"
	for _, r := range rows {
		rel.SQL += " UNION ALL " + r
	}
	rel.SQL += ")"
	return rel
}

// run prepares and runs a query over records of each kind and gives its rows
// as text.
func run(t testing.TB, text string, opts Options, data map[trailward.Kind][]record) (cols []string, rows [][]string, err error) {
	t.Helper()
	q, err := Prepare(text, opts)
	if err != nil {
		return nil, nil, err
	}
	final, err := q.SQL(func(i int, fields []plan.FieldRef) (plan.Relation, error) {
		k := q.Scans()[i].Kind
		recs := data[k]
		if k == "" {
			for _, k := range trailward.Kinds {
				recs = append(recs, data[k]...)
			}
		}
		return relationOf(recs, fields), nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("SQL: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := duck(t).QueryContext(ctx, final)
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", final, err)
	}
	defer res.Close()
	cols, err = res.Columns()
	if err != nil {
		return nil, nil, err
	}
	for res.Next() {
		vals := make([]any, len(cols))
		ptrs := make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := res.Scan(ptrs...); err != nil {
			return nil, nil, err
		}
		row := make([]string, len(cols))
		for i, v := range vals {
			switch v := v.(type) {
			case nil:
				row[i] = "NULL"
			case []byte:
				row[i] = fmt.Sprintf("%x", v)
			case time.Time:
				row[i] = strings.TrimSuffix(v.Format("2006-01-02 15:04:05.999"), " 00:00:00")
			default:
				row[i] = fmt.Sprint(v)
			}
		}
		rows = append(rows, row)
	}
	if err := res.Err(); err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", final, err)
	}
	if len(cols) != len(q.Columns()) {
		return nil, nil, fmt.Errorf("%d columns where Columns() has %d", len(cols), len(q.Columns()))
	}
	return cols, rows, nil
}
