package duck

import (
	"context"
	"fmt"
	"math"
	"strings"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// MaxParse is the longest statement, in bytes, that is taken apart for a user.
const MaxParse = 1 << 20

// parserMemory is the memory of the instance that only parses, in bytes.
const parserMemory = 256 << 20

// parser is an instance without slots that turns SQL into DuckDB's tree and
// back. It is apart from the others, so that a fault in a query's text is found
// at once even when every instance is at work.
type parser struct {
	sem    chan struct{} // holds the instance's one token
	inst   *instance     // opened when first needed; belongs to who holds the token
	conn   duckdb.Connection
	closed bool
}

func newParser() *parser {
	p := &parser{sem: make(chan struct{}, 1)}
	p.sem <- struct{}{}
	return p
}

// SerializeSQL gives DuckDB's syntax tree of SQL text as JSON (its function
// json_serialize_sql). A fault in the text is not an error here but a tree with
// "error": true, "error_type", "error_message" and perhaps "position".
func (p *Pool) SerializeSQL(ctx context.Context, text string) (string, error) {
	if len(text) > MaxParse {
		return "", &Error{Msg: fmt.Sprintf("statement has %d bytes, the limit is %d", len(text), MaxParse)}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return "", &Error{Msg: "statement holds a NUL character"}
	}
	return p.parser.call(ctx, "SELECT CAST(json_serialize_sql($1::VARCHAR) AS VARCHAR)", text)
}

// DeserializeSQL gives SQL text for a tree that SerializeSQL made.
func (p *Pool) DeserializeSQL(ctx context.Context, tree string) (string, error) {
	if len(tree) > MaxSQL {
		return "", &Error{Msg: fmt.Sprintf("syntax tree has %d bytes, the limit is %d", len(tree), MaxSQL)}
	}
	return p.parser.call(ctx, "SELECT CAST(json_deserialize_sql($1::VARCHAR) AS VARCHAR)", tree)
}

func (p *parser) call(ctx context.Context, sql, arg string) (string, error) {
	select {
	case <-p.sem:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { p.sem <- struct{}{} }()
	if p.closed {
		return "", ErrClosed
	}
	if p.inst == nil {
		in, err := openInstance(0, 0, Config{Concurrency: 1, Memory: parserMemory, Threads: 1})
		if err != nil {
			return "", err
		}
		if duckdb.Connect(in.db, &p.conn) == duckdb.StateError {
			in.close()
			return "", &Error{Msg: "connect to the parser", Internal: true}
		}
		p.inst = in
	}
	out, err, odd := callText(ctx, p.conn, sql, arg)
	if odd {
		p.drop()
	}
	return out, err
}

func (p *parser) drop() {
	if p.inst != nil {
		duckdb.Disconnect(&p.conn)
		p.inst.close()
		p.inst = nil
	}
}

func (p *parser) close() {
	<-p.sem
	defer func() { p.sem <- struct{}{} }()
	p.closed = true
	p.drop()
}

// callText runs a statement of ours with one text parameter and one text value
// in its one row.
func callText(ctx context.Context, conn duckdb.Connection, sql, arg string) (text string, err error, odd bool) {
	bad := func(typ duckdb.ErrorType, msg string) (string, error, bool) {
		err, odd := fault(ctx, typ, msg, parserMemory)
		return "", err, odd
	}
	var list duckdb.ExtractedStatements
	n := duckdb.ExtractStatements(conn, sql, &list)
	defer duckdb.DestroyExtracted(&list)
	if n != 1 {
		return bad(duckdb.ErrorTypeInternal, duckdb.ExtractStatementsError(list))
	}
	var stmt duckdb.PreparedStatement
	state := duckdb.PrepareExtractedStatement(conn, list, 0, &stmt)
	defer duckdb.DestroyPrepare(&stmt)
	if state == duckdb.StateError {
		return bad(duckdb.ErrorTypeInvalid, duckdb.PrepareError(stmt))
	}
	if uint64(len(arg)) > math.MaxUint32 || duckdb.BindVarcharLength(stmt, 1, arg, duckdb.IdxT(len(arg))) == duckdb.StateError {
		return "", &Error{Msg: "statement is not valid UTF-8"}, false
	}
	var res duckdb.Result
	state = duckdb.ExecutePrepared(stmt, &res)
	defer duckdb.DestroyResult(&res)
	if state == duckdb.StateError {
		return bad(duckdb.ResultErrorType(&res), duckdb.ResultError(&res))
	}
	dec, _, err := newDecoder(&res)
	if err != nil {
		return "", err, false
	}
	chunk := duckdb.FetchChunk(res)
	if chunk.Ptr == nil {
		return bad(duckdb.ErrorTypeInternal, "no row")
	}
	defer duckdb.DestroyDataChunk(&chunk)
	ok := false
	if err := dec.rows(chunk, func(rows [][]any) error {
		text, ok = rows[0][0].(string)
		return nil
	}); err != nil {
		return "", err, false
	}
	if !ok {
		return bad(duckdb.ErrorTypeInternal, "no text")
	}
	return text, nil, false
}
