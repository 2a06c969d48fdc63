package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxRow bounds one row of an answer in bytes.
const maxRow = 256 << 20

// Question is what [Client.Query] and [Client.SQL] ask.
type Question struct {
	// Query is the text: Insights QL, or SQL.
	Query string `json:"query"`
	// Groups are log groups; a trailing * matches a prefix. Empty: all that the
	// token may read.
	Groups []string `json:"groups,omitempty"`
	// Start and End bound the event time, both inclusive: RFC 3339, epoch
	// seconds or milliseconds, or relative to the server's now (-1h). Empty
	// leaves the side open.
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
	// Tables maps further SQL table names to kinds.
	Tables map[string]string `json:"tables,omitempty"`
}

// Column is a column of an answer. Type is text, int, float, bool, time, json,
// list or null.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Member is one member of a row.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Stats is what an answer cost the server.
type Stats struct {
	ElapsedMS      float64 `json:"elapsed_ms"`
	RecordsMatched int64   `json:"records_matched"`
	RecordsScanned int64   `json:"records_scanned"`
	BytesScanned   int64   `json:"bytes_scanned"`
	SegmentsOpened int64   `json:"segments_opened"`
	// Notices say what in the query, or in its answer, may not be what its
	// writer believes.
	Notices []string `json:"notices"`
}

// Query asks a question in Insights QL.
func (c *Client) Query(ctx context.Context, q Question) (*Rows, error) {
	return c.ask(ctx, "/v1/query", q)
}

// SQL asks a question in SQL.
func (c *Client) SQL(ctx context.Context, q Question) (*Rows, error) {
	return c.ask(ctx, "/v1/sql", q)
}

// post sends a question.
func (c *Client) post(ctx context.Context, path string, q Question, mediaType string) (*http.Response, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", path, err)
	}
	return c.do(ctx, call{method: http.MethodPost, path: path, body: body,
		header: http.Header{"Content-Type": {"application/json"}, "Accept": {mediaType}}})
}

func (c *Client) ask(ctx context.Context, path string, q Question) (*Rows, error) {
	resp, err := c.post(ctx, path, q, "application/x-ndjson")
	if err != nil {
		return nil, err
	}
	r := &Rows{resp: resp, in: bufio.NewReaderSize(resp.Body, 64<<10)}
	if h := resp.Header.Get("Trailward-Columns"); h != "" {
		if err := json.Unmarshal([]byte(h), &r.columns); err != nil {
			resp.Body.Close()
			return nil, fmt.Errorf("read the columns of an answer: %w", err)
		}
	}
	return r, nil
}

// Rows is an answer, row by row:
//
//	for rows.Next() {
//		for _, m := range rows.Members() { … }
//	}
//	if err := rows.Err(); err != nil { … }
//
// It is for one goroutine.
type Rows struct {
	resp    *http.Response
	in      *bufio.Reader
	columns []Column
	row     []byte
	members []Member
	err     error
	done    bool
	stats   Stats
}

// Columns are all columns of the answer, in order; nil when the server could
// not list them beforehand (very many).
func (r *Rows) Columns() []Column { return r.columns }

// Next goes to the next row. It returns false at the end and at an error,
// which [Rows.Err] then gives. An answer that was cut short is an error.
func (r *Rows) Next() bool {
	if r.done {
		return false
	}
	if err := r.next(); err != nil {
		r.done = true
		if err != io.EOF {
			r.err = err
		}
		r.resp.Body.Close()
		return false
	}
	return true
}

func (r *Rows) next() error {
	r.row, r.members = r.row[:0], nil
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.row)+len(part) > maxRow {
			return fmt.Errorf("read answer: a row is longer than %d bytes", maxRow)
		}
		r.row = append(r.row, part...)
		switch err {
		case nil:
			r.row = bytes.TrimSuffix(r.row, []byte{'\n'})
			return nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return r.end()
		default:
			return fmt.Errorf("read answer: %w", err)
		}
	}
}

// end is what the trailers say after the last row.
func (r *Rows) end() error {
	if e := trailerError(r.resp.Trailer); e != nil {
		return e
	}
	stats := r.resp.Trailer.Get("Trailward-Stats")
	if stats == "" || len(r.row) > 0 {
		return errCutShort
	}
	if err := json.Unmarshal([]byte(stats), &r.stats); err != nil {
		return fmt.Errorf("read the statistics of an answer: %w", err)
	}
	return io.EOF
}

// Raw is the row as the server sent it: one JSON object on one line, without
// the line feed, valid until Next.
func (r *Rows) Raw() []byte { return r.row }

// Members takes the row apart, in the order of its members. Columns that are
// null may be left out of it. The result is valid until Next.
func (r *Rows) Members() ([]Member, error) {
	if r.members == nil {
		m, err := ParseRow(r.row)
		if err != nil {
			return nil, err
		}
		r.members = m
	}
	return r.members, nil
}

// ParseRow takes a row apart that [Rows.Raw] gave: the members of a JSON object,
// in their order, names that occur twice included. The values are copies.
func ParseRow(row []byte) ([]Member, error) {
	members := []Member{}
	dec := json.NewDecoder(bytes.NewReader(row))
	fail := func(err error) ([]Member, error) {
		if err == nil {
			err = errors.New("it is not a JSON object")
		}
		return nil, fmt.Errorf("read row: %w", err)
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fail(err)
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return fail(err)
		}
		m := Member{Name: name}
		if err := dec.Decode(&m.Value); err != nil {
			return fail(err)
		}
		members = append(members, m)
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail(errors.New("there is more after the object"))
	}
	return members, nil
}

// Err is the error that ended the rows, if one did.
func (r *Rows) Err() error { return r.err }

// Stats is what the answer cost; complete once Next has returned false.
func (r *Rows) Stats() Stats { return r.stats }

// Close ends the answer; before its end this cancels the query on the server.
func (r *Rows) Close() error {
	r.done = true
	return r.resp.Body.Close()
}
