package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
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

// Formats of an answer, by their media types.
const (
	FormatJSON = "application/x-ndjson"
	FormatCSV  = "text/csv"
)

func (s *Server) insightsQuery(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, query.Insights)
}
func (s *Server) sqlQuery(w http.ResponseWriter, r *http.Request) { s.answer(w, r, query.SQL) }

// answer runs a question and streams its rows.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, lang query.Language) {
	format := negotiate(r.Header.Values("Accept"))
	if format == "" {
		s.fail(w, r, &failure{status: http.StatusNotAcceptable, message: "none of the accepted formats can be given", hint: "accept " + FormatJSON + " or " + FormatCSV})
		return
	}
	req, f := s.readQuestion(r, lang)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	leave, err := s.queries.enter(r.Context())
	if errors.Is(err, errFull) {
		s.fail(w, r, overloaded("too many questions are being answered"))
		return
	}
	if err != nil {
		s.fail(w, r, s.failureOf(r, "wait to query", err))
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.QueryTimeout)
	defer cancel()
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
	switch format {
	case FormatCSV:
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", `attachment; filename="answer.csv"`)
	default:
		h.Set("Content-Type", FormatJSON)
	}
	w.WriteHeader(http.StatusOK)
	n, err := s.sendRows(w, rows, more, func(w io.Writer) (RowEncoder, error) {
		return s.deps.Encode(w, format, lang, columns)
	})
	s.metrics.rows.WithLabelValues(routeName(r)).Add(float64(n))
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		f := s.failureOf(r, "query", timeoutOf(ctx, err))
		if rec := recorderOf(r); rec != nil {
			rec.reason = f.reason
		}
		h.Set(trailerError, trailerJSON(errorBody{f.detail()}))
		return
	}
	h.Set(trailerStats, trailerJSON(rows.Stats()))
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
	return n, out.Flush()
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

// negotiate chooses a format by the Accept header: of those that it names, the
// one with the highest q, the earlier one of equals; JSON when anything goes;
// empty when none will do.
func negotiate(accept []string) string {
	best, bestQ := "", 0.0
	named := false
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		mt, rest, _ := strings.Cut(part, ";")
		mt = strings.ToLower(strings.TrimSpace(mt))
		if mt == "" {
			continue
		}
		named = true
		q := 1.0
		for _, p := range strings.Split(rest, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
				var err error
				if q, err = strconv.ParseFloat(v, 64); err != nil || q < 0 || q > 1 {
					q = 0
				}
			}
		}
		format := ""
		switch mt {
		case "*/*", "application/*", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json":
			format = FormatJSON
		case "text/csv", "text/*":
			format = FormatCSV
		}
		if format != "" && q > bestQ {
			best, bestQ = format, q
		}
	}
	if !named {
		return FormatJSON
	}
	return best
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
