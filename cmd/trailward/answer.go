package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"trailward/api"
	"trailward/internal/term"
	"trailward/query"
	"trailward/query/plan"
)

// answer writes all rows of the answer to r in the format and closes them. What
// it cost is known when all are written.
func (a *app) answer(rows query.Rows, r query.Request, output string) (stats query.Stats, err error) {
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	// The first row comes before anything is written: most errors come before it too.
	more := rows.Next()
	if !more && rows.Err() != nil {
		return stats, rows.Err()
	}
	out, err := a.encoder(output, r, rows)
	if err != nil {
		return stats, err
	}
	for ; more; more = rows.Next() {
		if err := out.Encode(rows.Values()); err != nil {
			return stats, err
		}
	}
	if err := rows.Err(); err != nil {
		// What came before is written, so that it is seen how far it got.
		return stats, errors.Join(out.Flush(), err)
	}
	return rows.Stats(), out.Close()
}

func (a *app) encoder(output string, r query.Request, rows query.Rows) (api.RowEncoder, error) {
	columns := rows.Columns()
	switch output {
	case "json":
		// A server's rows are in this form already.
		if rr, ok := rows.(*remoteRows); ok {
			rr.rawOnly = true
			return &lineEncoder{bufio.NewWriterSize(a.guarded(), 64<<10), rr}, nil
		}
		return api.NewEncoder(a.guarded(), api.FormatJSON, r.Language, columns)
	case "csv":
		return api.NewEncoder(a.guarded(), api.FormatCSV, r.Language, columns)
	case "arrow", "parquet":
		return api.NewEncoder(a.stdout, api.FormatNamed(output), r.Language, columns)
	}
	// Insights adds the record's pointer to every row. It is for programs; a
	// person who did not ask for it has more use for the room.
	if n := len(columns); n > 1 && r.Language == query.Insights && columns[n-1].Name == "@ptr" && !strings.Contains(r.Text, "@ptr") {
		columns = columns[:n-1]
	}
	cols := make([]term.Column, len(columns))
	for i, c := range columns {
		cols[i] = term.Column{Name: c.Name, Number: c.Type == plan.Int || c.Type == plan.Float}
	}
	return &tableEncoder{term.NewTable(a.stdout, a.width(), cols), make([]string, len(columns)), r.Language}, nil
}

// lineEncoder passes on what a server wrote.
type lineEncoder struct {
	w    *bufio.Writer
	rows *remoteRows
}

func (e *lineEncoder) Encode([]any) error {
	if _, err := e.w.Write(e.rows.Raw()); err != nil {
		return err
	}
	return e.w.WriteByte('\n')
}

func (e *lineEncoder) Flush() error { return e.w.Flush() }
func (e *lineEncoder) Close() error { return e.w.Flush() }

// tableEncoder writes rows as a table.
type tableEncoder struct {
	table *term.Table
	cells []string
	lang  query.Language
}

func (e *tableEncoder) Encode(values []any) error {
	for i, v := range values {
		if i < len(e.cells) {
			e.cells[i], _ = query.Text(v)
			if b, ok := v.(bool); ok && e.lang == query.SQL {
				e.cells[i] = strconv.FormatBool(b)
			}
		}
	}
	return e.table.Row(e.cells)
}

func (e *tableEncoder) Flush() error { return e.table.Flush() }

// Close writes the number of rows below them.
func (e *tableEncoder) Close() error { return e.table.Close() }

// guarded is stdout, but a terminal is protected from what records hold.
func (a *app) guarded() io.Writer {
	if f := fileOf(a.stdout); f != nil {
		return term.Guard(f)
	}
	return a.stdout
}

// fileOf gives the file below w, or nil when there is none.
func fileOf(w io.Writer) *os.File {
	f, _ := w.(*os.File)
	return f
}
