package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"trailward/auth"
	"trailward/query"
	"trailward/query/plan"
)

const (
	trailerStats = "Trailward-Stats"
	trailerError = "Trailward-Error"
	// columnsHeader lists the columns of an answer, so that a reader knows those
	// that are null in every row. It is left out when it would be longer than
	// maxColumnsHeader, which clients' header limits do not reach.
	columnsHeader    = "Trailward-Columns"
	maxColumnsHeader = 16 << 10
	// flushEvery is how long rows may wait in the buffer while more are made.
	flushEvery = 250 * time.Millisecond
)

func (s *Server) insightsQuery(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, query.Insights)
}
func (s *Server) sqlQuery(w http.ResponseWriter, r *http.Request) { s.answer(w, r, query.SQL) }

// questionInTurn reads a question and waits for its turn, which leave ends. Where
// that fails it has answered the request, and ok is false.
func (s *Server) questionInTurn(w http.ResponseWriter, r *http.Request, lang query.Language) (req query.Request, leave func(), ok bool) {
	req, f := s.readQuestion(r, lang)
	if f == nil {
		leave, f = s.takeTurn(r, s.queries)
	}
	if f != nil {
		s.fail(w, r, f)
		return query.Request{}, nil, false
	}
	return req, leave, true
}

// answer runs a question and streams its rows.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, lang query.Language) {
	format, f := chooseFormat(param(r, "format"), r.Header.Values("Accept"))
	if f != nil {
		s.fail(w, r, f)
		return
	}
	req, leave, ok := s.questionInTurn(w, r, lang)
	if !ok {
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.QueryTimeout)
	defer cancel()
	result := resultFailed
	defer s.timeQuery(r.Context(), lang, time.Now(), &result)
	rows, err := s.deps.Query(ctx, req)
	if err != nil {
		s.fail(w, r, s.failureOf(r, "query", timeoutOf(ctx, err)))
		return
	}
	defer func() {
		if err := rows.Close(); err != nil && ctx.Err() == nil {
			s.logFailure(r, "close query", slog.LevelWarn, err)
		}
	}()
	more := rows.Next()
	if !more {
		if err := rows.Err(); err != nil {
			s.fail(w, r, s.failureOf(r, "query", timeoutOf(ctx, err)))
			return
		}
	}
	columns := rows.Columns()
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Trailer", trailerStats+", "+trailerError)
	if c := columnList(columns); len(c) <= maxColumnsHeader {
		h.Set(columnsHeader, c)
	}
	setFormat(h, format)
	w.WriteHeader(http.StatusOK)
	n, err := s.sendRows(w, rows, more, func(w io.Writer) (RowEncoder, error) {
		return NewEncoder(w, format, lang, columns)
	})
	s.metrics.rows.WithLabelValues(routeName(r)).Add(float64(n))
	if err != nil {
		f := s.failureOf(r, "query", timeoutOf(ctx, err))
		if rec := recorderOf(r); rec != nil {
			rec.reason = f.reason
		}
		h.Set(trailerError, trailerJSON(errorBody{f.detail()}))
		return
	}
	result = resultOK
	h.Set(trailerStats, trailerJSON(rows.Stats()))
}

// How a question ended, in metrics.
const (
	resultOK        = "ok"
	resultFailed    = "failed"
	resultCancelled = "cancelled" // by its client, or by the server's end
)

// timeQuery counts a question that began at since and has ended.
func (s *Server) timeQuery(ctx context.Context, lang query.Language, since time.Time, result *string) {
	if *result != resultOK && errors.Is(ctx.Err(), context.Canceled) {
		*result = resultCancelled
	}
	s.metrics.queries.WithLabelValues(languageName(lang), *result).Observe(time.Since(since).Seconds())
}

// takeTurn waits until the caller's question, or cat, may run. The function that it
// returns must be called once.
func (s *Server) takeTurn(r *http.Request, gate *fairGate) (leave func(), f *failure) {
	// The deadline for reading the request would end the wait and the question:
	// the server goes on reading to see whether the client goes away.
	s.stopReadDeadline(r)
	leave, err := gate.enter(r.Context(), principalOf(r).Name)
	if errors.Is(err, errFull) {
		return nil, overloaded("too many questions are being answered").retryAfter(gate.retryIn())
	}
	if err != nil {
		return nil, s.failureOf(r, "wait for a turn", err)
	}
	return leave, nil
}

// stopReadDeadline lets a request whose body has been read take longer than
// Config.ReadTimeout to be answered.
func (s *Server) stopReadDeadline(r *http.Request) {
	if rec := recorderOf(r); rec != nil {
		// A connection that has no deadlines (a test's) needs none taken off.
		_ = rec.ctl.SetReadDeadline(time.Time{})
	}
}

// setFormat names the format of an answer's body.
func setFormat(h http.Header, format string) {
	switch format {
	case FormatCSV:
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", `attachment; filename="answer.csv"`)
	case FormatArrow:
		h.Set("Content-Type", format)
		h.Set("Content-Disposition", `attachment; filename="answer.arrows"`)
	case FormatParquet:
		h.Set("Content-Type", format)
		h.Set("Content-Disposition", `attachment; filename="answer.parquet"`)
	default:
		h.Set("Content-Type", FormatJSON)
	}
}

// timeoutOf makes an error that came of our time limit one that says so,
// whatever the engine made of it.
func timeoutOf(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(context.DeadlineExceeded, err)
	}
	return err
}

// sendRows writes all rows, the first of which has been fetched if more. Rows
// do not wait in the buffer for longer than flushEvery once the next one has
// come.
func (s *Server) sendRows(w http.ResponseWriter, rows query.Rows, more bool, encode func(io.Writer) (RowEncoder, error)) (n int64, err error) {
	out, err := encode(w)
	if err != nil {
		return 0, err
	}
	ctl := http.NewResponseController(w)
	flushed := time.Now()
	for ; more; more = rows.Next() {
		if err := out.Encode(rows.Values()); err != nil {
			return n, err
		}
		n++
		// Looking at the clock for every row costs more than the row.
		if n%64 == 1 && time.Since(flushed) > flushEvery {
			if err := flush(out, ctl); err != nil {
				return n, err
			}
			flushed = time.Now()
		}
	}
	if err := rows.Err(); err != nil {
		// The rows before the error are sent; the end, which makes them look
		// whole, is not.
		return n, errors.Join(err, out.Flush())
	}
	return n, out.Close()
}

func flush(out RowEncoder, ctl *http.ResponseController) error {
	if err := out.Flush(); err != nil {
		return err
	}
	if err := ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// columnList is the value of the header Trailward-Columns.
func columnList(columns []query.Column) string {
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	list := make([]column, len(columns))
	for i, c := range columns {
		list[i] = column{c.Name, typeName(c.Type)}
	}
	return trailerJSON(list)
}

// typeName is what a column's type is called on the wire.
func typeName(t plan.Type) string {
	switch t {
	case plan.Null:
		return "null"
	case plan.Int:
		return "int"
	case plan.Float:
		return "float"
	case plan.Bool:
		return "bool"
	case plan.Time:
		return "time"
	case plan.JSON:
		return "json"
	case plan.List:
		return "list"
	case plan.Text, plan.Message, plan.Pointer:
		return "text"
	}
	return "text"
}

// groups is GET /v1/groups.
func (s *Server) groups(w http.ResponseWriter, r *http.Request) {
	all, err := s.deps.Groups(r.Context())
	if err != nil {
		s.fail(w, r, s.failureOf(r, "list groups", err))
		return
	}
	p := principalOf(r)
	mine := make([]GroupInfo, 0, len(all))
	for _, g := range all {
		if p.May(auth.Read, g.Name, "") {
			mine = append(mine, g)
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Groups []GroupInfo `json:"groups"`
	}{mine})
}
