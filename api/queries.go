package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"trailward/query"
)

const (
	// defaultPage and maxPage are how many rows GET /v1/queries/{id} gives at a
	// time in its JSON form.
	defaultPage = 1000
	maxPage     = 10_000
	// beginWait is how long the answer to a new question waits for its first row,
	// so that most faults are told at once and quick questions need no second
	// poll.
	beginWait = 200 * time.Millisecond
)

// queryState is the JSON of an asynchronous question, without its rows.
type queryState struct {
	ID       string       `json:"id"`
	Status   string       `json:"status"`
	Language string       `json:"language"`
	Created  time.Time    `json:"created"`
	Finished time.Time    `json:"finished,omitzero"`
	Expires  time.Time    `json:"expires,omitzero"`
	Rows     int          `json:"row_count"` // so far
	Stats    *query.Stats `json:"stats,omitempty"`
	Error    *errorDetail `json:"error,omitempty"`
}

func languageName(l query.Language) string {
	if l == query.SQL {
		return "sql"
	}
	return "insights"
}

// state is what is known of the question now, with its columns and rows.
func (a *asyncQueries) state(q *asyncQuery) (st queryState, columns []query.Column, rows [][]any, f *failure) {
	q.mu.Lock()
	defer q.mu.Unlock()
	st = queryState{ID: q.id, Status: q.status, Language: languageName(q.lang), Created: q.created.UTC(), Rows: len(q.rows)}
	if !q.finished.IsZero() {
		st.Finished = q.finished.UTC()
		st.Expires = q.finished.Add(a.keep).UTC()
	}
	st.Stats = q.stats
	if q.failure != nil {
		d := q.failure.detail()
		st.Error = &d
	}
	return st, q.columns, q.rows[:len(q.rows):len(q.rows)], q.failure
}

// startQuery is POST /v1/queries.
func (s *Server) startQuery(w http.ResponseWriter, r *http.Request) {
	req, f := s.readQuestion(r, anyLanguage)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	s.stopReadDeadline(r)
	if s.deps.Check != nil {
		// However long the line is, a fault in the text is told now.
		if err := s.deps.Check(r.Context(), req); err != nil {
			s.fail(w, r, s.failureOf(r, "check query", err))
			return
		}
	}
	id := requestID(r)
	q, err := s.async.begin(principalOf(r).Name, req.Language, s.deps.Now(), s.cfg.AsyncTimeout, s.asyncWork(req, id))
	switch {
	case errors.Is(err, errAsyncFull):
		f := overloaded("too many asynchronous questions")
		f.hint = "delete those that are not needed any more; finished ones are forgotten after " + s.cfg.AsyncKeep.String()
		s.fail(w, r, f)
		return
	case err != nil:
		s.fail(w, r, unavailable("the server is stopping"))
		return
	}
	t := time.NewTimer(beginWait)
	defer t.Stop()
	select {
	case <-q.begun:
	case <-t.C:
	case <-r.Context().Done():
	}
	st, _, _, fault := s.async.state(q)
	if fault != nil && fault.reason == "malformed" {
		s.async.remove(q)
		s.fail(w, r, fault)
		return
	}
	w.Header().Set("Location", "/v1/queries/"+q.id)
	writeJSON(w, http.StatusOK, st)
}

// showQuery is GET /v1/queries/{id}: in JSON its state and a page of its rows,
// in another format the whole answer or a part of it.
func (s *Server) showQuery(w http.ResponseWriter, r *http.Request) {
	q := s.async.find(principalOf(r).Name, r.PathValue("id"))
	if q == nil {
		s.fail(w, r, noSuchQuery())
		return
	}
	from, f := pageParam(r, "from", 0, s.cfg.MaxAsyncRows)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	format := FormatJSON
	if p := param(r, "format"); p != "" || len(r.Header.Values("Accept")) > 0 {
		if format, f = chooseFormat(p, r.Header.Values("Accept")); f != nil {
			s.fail(w, r, f)
			return
		}
	}
	standard, most := defaultPage, maxPage
	if format != FormatJSON {
		standard, most = s.cfg.MaxAsyncRows, s.cfg.MaxAsyncRows
	}
	limit, f := pageParam(r, "limit", standard, most)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	st, columns, rows, fault := s.async.state(q)
	page := rows[min(from, len(rows)):min(from+limit, len(rows))]
	if format == FormatJSON {
		s.showPage(w, q, st, columns, rows, page, from)
		return
	}
	switch st.Status {
	case asyncComplete:
	case asyncFailed:
		if fault.retry > 0 || fault.status == http.StatusTooManyRequests {
			// It failed for want of room: asking for its answer again does not help.
			fault = &failure{status: http.StatusConflict, message: "the query failed: " + fault.message, hint: fault.hint, reason: "not_complete"}
		}
		s.fail(w, r, fault)
		return
	default:
		f := &failure{status: http.StatusConflict, message: "the query is not complete: it is " + st.Status, hint: "its rows so far are there as JSON", reason: "not_complete"}
		s.fail(w, r, f.retryAfter(time.Second))
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Trailer", trailerStats+", "+trailerError)
	setFormat(h, format)
	w.WriteHeader(http.StatusOK)
	err := encodePage(w, format, q.lang, columns, page)
	if err != nil {
		f := s.failureOf(r, "show query", err)
		recorderOf(r).reason = f.reason
		h.Set(trailerError, trailerJSON(errorBody{f.detail()}))
		return
	}
	h.Set(trailerStats, trailerJSON(st.Stats))
}

func encodePage(w http.ResponseWriter, format string, lang query.Language, columns []query.Column, page [][]any) error {
	out, err := NewEncoder(w, format, lang, columns)
	if err != nil {
		return err
	}
	for _, values := range page {
		if err := out.Encode(values); err != nil {
			return err
		}
	}
	return out.Close()
}

// showPage writes the state with the members columns, rows, from, and next as
// long as there are more rows or may be.
func (s *Server) showPage(w http.ResponseWriter, q *asyncQuery, st queryState, columns []query.Column, rows, page [][]any, from int) {
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	list := make([]column, len(columns))
	for i, c := range columns {
		list[i] = column{c.Name, typeName(c.Type)}
	}
	head := struct {
		queryState
		Columns []column `json:"columns"`
		From    int      `json:"from"`
		Next    *int     `json:"next,omitempty"`
	}{st, list, from, nil}
	next := from + len(page)
	if next < len(rows) || st.Status == asyncQueued || st.Status == asyncRunning {
		head.Next = &next
	}
	data := marshal(head)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	// The rows go into the object as its last member, written piece by piece.
	buf := append(data[:len(data)-1], `,"rows":[`...)
	enc := query.NewJSON(columns, q.lang)
	for i, values := range page {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = enc.Append(buf, values)
		buf = buf[:len(buf)-1] // its line feed
		if len(buf) >= encodeBuffer {
			if _, err := w.Write(buf); err != nil {
				return // the client is gone
			}
			buf = buf[:0]
		}
	}
	w.Write(append(buf, "]}\n"...))
}

// cancelQuery is DELETE /v1/queries/{id}.
func (s *Server) cancelQuery(w http.ResponseWriter, r *http.Request) {
	q := s.async.find(principalOf(r).Name, r.PathValue("id"))
	if q == nil {
		s.fail(w, r, noSuchQuery())
		return
	}
	status, err := s.async.halt(r.Context(), q)
	if err != nil {
		s.fail(w, r, s.failureOf(r, "cancel query", err))
		return
	}
	writeJSON(w, http.StatusOK, struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}{q.id, status})
}

func noSuchQuery() *failure {
	return &failure{status: http.StatusNotFound, message: "there is no such query", hint: "answers are kept for a while only, and each for whoever asked", reason: "not_found"}
}

// pageParam reads a query parameter that is a number from 0 to most.
func pageParam(r *http.Request, name string, standard, most int) (int, *failure) {
	v := param(r, name)
	if v == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > most {
		return 0, badRequest(fmt.Sprintf("the query parameter %s must be a number from 0 to %d", name, most))
	}
	return n, nil
}
