package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"trailward/api"
	"trailward/api/client"
	"trailward/internal/term"
	"trailward/query"
	"trailward/query/plan"
)

const (
	// readTries is how often a question is sent: an answer is waited for, a
	// server that is not there is soon said to be so.
	readTries = 3
	// answerTimeout bounds the wait for the first row. The server's own limit
	// (api.DefaultQueryTimeout and the wait for a turn) is below it.
	answerTimeout = 90 * time.Second
)

// remote is a running server.
type remote struct {
	ask  *client.Client // for questions
	send *client.Client // for records: it tries again for as long as it is worth
}

func openRemote(loc location) (*remote, error) {
	opts := client.Options{Server: loc.server, TokenFile: loc.tokenFile, CAFile: loc.caFile, Timeout: answerTimeout}
	send, err := client.New(opts)
	if err != nil {
		return nil, err
	}
	opts.Tries = readTries
	ask, err := client.New(opts)
	if err != nil {
		return nil, err
	}
	return &remote{ask: ask, send: send}, nil
}

func (r *remote) Close() error {
	r.ask.Close()
	r.send.Close()
	return nil
}

func (r *remote) Ingest(ctx context.Context, job ingestJob) (api.IngestResult, error) {
	// A wrong address is found out at once and not after many tries.
	if err := r.ask.Health(ctx); err != nil {
		var answer *client.Error
		if !errors.As(err, &answer) {
			return api.IngestResult{}, reach(err)
		}
	}
	return loadFiles(ctx, job, func(ctx context.Context, b *fileBatch) (api.IngestResult, error) {
		id, _ := b.id()
		sum, err := r.send.IngestRecords(ctx, b.group, b.stream, b.kind, id, b.records)
		return api.IngestResult(sum), err
	})
}

func (r *remote) Cat(ctx context.Context, group, stream string, fn func(raw []byte) error) error {
	return reach(r.ask.Cat(ctx, group, stream, fn))
}

func (r *remote) Groups(ctx context.Context) ([]api.GroupInfo, error) {
	list, err := r.ask.Groups(ctx)
	if err != nil {
		return nil, reach(err)
	}
	out := make([]api.GroupInfo, len(list))
	for i, g := range list {
		out[i] = api.GroupInfo(g)
	}
	return out, nil
}

func (r *remote) Query(ctx context.Context, q query.Request) (query.Rows, error) {
	send := r.ask.Query
	if q.Language == query.SQL {
		send = r.ask.SQL
	}
	rows, err := send(ctx, question(q))
	if err != nil {
		return nil, queryFault(err)
	}
	return newRemoteRows(rows)
}

// Export writes an answer in the format with this media type, as the server
// makes it: it knows the types of the values, which JSON does not carry.
func (r *remote) Export(ctx context.Context, q query.Request, format string, w io.Writer) (query.Stats, error) {
	stats, err := r.ask.Export(ctx, q.Language == query.SQL, question(q), format, w)
	if err != nil {
		return query.Stats{}, queryFault(err)
	}
	return query.Stats(stats), nil
}

// Tail calls fn with what a live tail shows, until ctx ends or there is an error.
func (r *remote) Tail(ctx context.Context, group, pattern string, fn func(l *client.TailLine, line []byte) error) error {
	return queryFault(r.ask.Tail(ctx, group, pattern, fn))
}

func question(q query.Request) client.Question {
	return client.Question{Query: q.Text, Groups: q.Groups, Start: wireTime(q.Start), End: wireTime(q.End), Tables: q.Tables}
}

func wireTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// queryFault makes what the server said of a query's text the error that the
// engine would have given.
func queryFault(err error) error {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Line > 0 {
		return &query.Error{Line: answer.Line, Col: answer.Column, Msg: answer.Message, Hint: answer.Hint}
	}
	return reach(err)
}

// reach says what to do when the server cannot be connected to.
func reach(err error) error {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized {
		return fmt.Errorf("%w; name the file with a token: --token-file FILE", err)
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("%w; is a server running there (`trailward server`)?", err)
	}
	return err
}

// remoteRows are a server's rows in the form of the engine's: each value is
// nil, a string, or the JSON of anything else.
type remoteRows struct {
	rows    *client.Rows
	columns []query.Column
	listed  bool           // the server listed the columns
	place   map[string]int // the first column of that name
	held    []heldRow      // read before their turn, to learn the columns
	row     []byte         // the present row, as the server wrote it
	values  []any
	rawOnly bool // the values are not asked for
	err     error
}

type heldRow struct {
	row     []byte
	members []client.Member
}

func newRemoteRows(rows *client.Rows) (*remoteRows, error) {
	r := &remoteRows{rows: rows, place: map[string]int{}, listed: rows.Columns() != nil}
	for _, c := range rows.Columns() {
		r.add(c.Name, columnType(c.Type))
	}
	if !r.listed {
		// The server leaves them out when they are very many. Then the first
		// rows tell.
		for len(r.held) < term.LookAhead && rows.Next() {
			members, err := rows.Members()
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			for _, m := range members {
				if _, ok := r.place[m.Name]; !ok {
					r.add(m.Name, plan.Text)
				}
			}
			r.held = append(r.held, heldRow{bytes.Clone(rows.Raw()), slices.Clone(members)})
		}
	}
	r.values = make([]any, len(r.columns))
	return r, nil
}

func (r *remoteRows) add(name string, t plan.Type) {
	if _, ok := r.place[name]; !ok {
		r.place[name] = len(r.columns)
	}
	r.columns = append(r.columns, query.Column{Name: name, Type: t})
}

// columnType is the type that the server calls name.
func columnType(name string) plan.Type {
	switch name {
	case "null":
		return plan.Null
	case "int":
		return plan.Int
	case "float":
		return plan.Float
	case "bool":
		return plan.Bool
	case "time":
		return plan.Time
	case "json":
		return plan.JSON
	case "list":
		return plan.List
	}
	return plan.Text
}

func (r *remoteRows) Columns() []query.Column { return r.columns }
func (r *remoteRows) Values() []any           { return r.values }
func (r *remoteRows) Close() error            { return r.rows.Close() }
func (r *remoteRows) Stats() query.Stats      { return query.Stats(r.rows.Stats()) }

// Raw is the present row as the server wrote it, a JSON object without a line
// feed.
func (r *remoteRows) Raw() []byte { return r.row }

func (r *remoteRows) Next() bool {
	if r.err != nil {
		return false
	}
	if len(r.held) > 0 {
		h := r.held[0]
		r.held = r.held[1:]
		r.row = h.row
		if !r.rawOnly {
			r.err = r.take(h.members)
		}
		return r.err == nil
	}
	if !r.rows.Next() {
		return false
	}
	r.row = r.rows.Raw()
	if r.rawOnly {
		return true
	}
	members, err := r.rows.Members()
	if err == nil {
		err = r.take(members)
	}
	r.err = err
	return err == nil
}

// take puts the members of the present row into their columns. They come in
// the order of the columns. An Insights answer leaves out what is null; a row
// that has all goes by the order alone, since of two columns with one name the
// second is called otherwise in an object.
func (r *remoteRows) take(members []client.Member) (err error) {
	clear(r.values)
	for i, m := range members {
		at, ok := i, r.listed && len(members) == len(r.columns)
		if !ok {
			at, ok = r.place[m.Name]
		}
		if !ok {
			return fmt.Errorf("the answer has a column %.80q that its first rows do not have: ask for json, or name the fields", m.Name)
		}
		if r.values[at], err = memberValue(m.Value); err != nil {
			return err
		}
	}
	return nil
}

func memberValue(raw json.RawMessage) (any, error) {
	switch {
	case string(raw) == "null":
		return nil, nil
	case len(raw) > 0 && raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("read a value of the answer: %w", err)
		}
		return s, nil
	}
	return raw, nil
}

func (r *remoteRows) Err() error {
	if r.err != nil {
		return r.err
	}
	return queryFault(r.rows.Err())
}
