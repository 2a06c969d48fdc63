package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"trailward/query"
	"trailward/query/duck"
	"trailward/query/export"
)

// failure is an answer that is not what was asked for. All of them have one
// JSON shape: {"error":{"message","line","column","hint"}}.
type failure struct {
	status  int
	message string // for the client: one line, nothing internal
	hint    string
	line    int // of a fault in a query's text, from 1; 0: unknown
	column  int
	retry   int // seconds for Retry-After; 0: no such header
	header  http.Header
	reason  string // for the metric of rejected requests
}

// retryAfter sets Retry-After, rounded up to whole seconds.
func (f *failure) retryAfter(d time.Duration) *failure {
	f.retry = max(1, int(math.Ceil(d.Seconds())))
	return f
}

func (f *failure) with(name, value string) *failure {
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header.Set(name, value)
	return f
}

func badRequest(message string) *failure {
	return &failure{status: http.StatusBadRequest, message: message, reason: "malformed"}
}

func tooLarge(reason, message string) *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, message: message, reason: reason}
}

func overloaded(message string) *failure {
	return (&failure{status: http.StatusTooManyRequests, message: message, reason: "overloaded"}).retryAfter(time.Second)
}

func unavailable(message string) *failure {
	return (&failure{status: http.StatusServiceUnavailable, message: message, reason: "unavailable"}).retryAfter(5 * time.Second)
}

func forbidden(message string) *failure {
	return &failure{status: http.StatusForbidden, message: message, reason: "forbidden"}
}

func unauthorized(message string) *failure {
	return (&failure{status: http.StatusUnauthorized, message: message, reason: "unauthorized"}).with("WWW-Authenticate", `Bearer realm="trailward"`)
}

// statusClientGone is what the log shows for a request whose client went away.
// It is never sent.
const statusClientGone = 499

// failureOf maps an error of one of the [Deps] to an answer. What the client
// may not see goes to the log.
func (s *Server) failureOf(r *http.Request, op string, err error) *failure {
	return s.failureFor(r.Context(), requestID(r), op, err)
}

// failureFor is failureOf for work that outlives its request: id names it in the
// log, and ctx ends when nobody waits for it any more.
func (s *Server) failureFor(ctx context.Context, id, op string, err error) *failure {
	var fault *query.Error
	var user *UserError
	var late *query.TimeoutError
	switch {
	case errors.As(err, &fault):
		return &failure{status: http.StatusBadRequest, message: fault.Msg, hint: fault.Hint, line: fault.Line, column: fault.Col, reason: "malformed"}
	case errors.As(err, &user) && user.Conflict:
		return &failure{status: http.StatusConflict, message: user.Message, hint: user.Hint, reason: "conflict"}
	case errors.As(err, &user):
		return &failure{status: http.StatusBadRequest, message: user.Message, hint: user.Hint, reason: "malformed"}
	case errors.Is(err, ErrNotFound):
		return &failure{status: http.StatusNotFound, message: "there is no such group or stream", reason: "not_found"}
	case errors.Is(err, ErrBatchConflict):
		return &failure{status: http.StatusConflict, message: "the batch id was used before with another body", hint: "give every batch an id of its own; nothing of this one was stored", reason: "conflict"}
	case errors.Is(err, ErrOverloaded):
		s.logError(ctx, id, op, slog.LevelWarn, err)
		return overloaded("the server has too much to do")
	case errors.Is(err, ErrUnavailable):
		s.logError(ctx, id, op, slog.LevelError, err)
		return unavailable("the store is not available now")
	case ctx.Err() != nil:
		if s.stopping.Load() {
			return unavailable("the server is stopping")
		}
		return &failure{status: statusClientGone, message: "the client went away", reason: "client_gone"}
	case errors.As(err, &late):
		return &failure{status: http.StatusGatewayTimeout, message: late.Error(), reason: "timeout"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{status: http.StatusGatewayTimeout, message: "the query ran longer than its limit of " + s.cfg.QueryTimeout.String(),
			hint: "ask for a shorter time range or fewer groups", reason: "timeout"}
	default:
		if f := engineFailure(err); f != nil {
			return f
		}
		s.logError(ctx, id, op, slog.LevelError, err)
		return &failure{status: http.StatusInternalServerError, message: "internal error; the server's log says more under request " + id, reason: "internal"}
	}
}

// engineFailure is the answer to an error of the engine that the question
// brought about (a value that cannot be converted, too much memory), or nil.
// The engine has taken everything internal out of these.
func engineFailure(err error) *failure {
	var memory *duck.MemoryError
	var files *duck.TooManyFilesError
	var columns *query.ColumnsError
	var fault *duck.Error
	var misfit *export.ValueError
	switch {
	case errors.As(err, &memory):
		return &failure{status: http.StatusBadRequest, message: memory.Error(), reason: "memory"}
	case errors.As(err, &files):
		return &failure{status: http.StatusBadRequest, message: files.Error(), reason: "files"}
	case errors.As(err, &columns):
		return &failure{status: http.StatusBadRequest, message: columns.Error(), reason: "memory"}
	case errors.As(err, &misfit):
		return &failure{status: http.StatusBadRequest, message: misfit.Error(), reason: "malformed"}
	case errors.As(err, &fault) && !fault.Internal:
		return &failure{status: http.StatusBadRequest, message: fault.Msg, reason: "malformed"}
	}
	return nil
}

func (s *Server) logFailure(r *http.Request, op string, level slog.Level, err error) {
	s.logError(r.Context(), requestID(r), op, level, err)
}

func (s *Server) logError(ctx context.Context, id, op string, level slog.Level, err error) {
	s.log.LogAttrs(ctx, level, "request failed", slog.String("op", op), slog.String("request", id), slog.Any("error", err))
}

// errorBody is the one JSON shape of errors.
type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func (f *failure) detail() errorDetail {
	return errorDetail{Message: f.message, Line: f.line, Column: f.column, Hint: f.hint}
}

// fail writes the failure as the answer, unless the client is gone.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f *failure) {
	if rec := recorderOf(r); rec != nil {
		rec.reason = f.reason
		if f.status == statusClientGone {
			rec.gone = true
			return
		}
	}
	h := w.Header()
	for name, v := range f.header {
		h[name] = v
	}
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retry))
	}
	writeJSON(w, f.status, errorBody{f.detail()})
}

// writeJSON answers with one JSON value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data := marshal(v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n')) // a client that went away is seen by its context
}

// marshal is v as JSON.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // a type of ours that JSON cannot hold: a programmer's mistake
		panic(err)
	}
	return data
}

// trailerJSON is v as JSON fit for a header field: one line of ASCII.
func trailerJSON(v any) string {
	data := marshal(v)
	out := make([]byte, 0, len(data))
	for _, r := range string(data) {
		if r < 0x7f { // what is below a space, encoding/json has escaped
			out = append(out, byte(r))
			continue
		}
		if r >= 0x10000 {
			r -= 0x10000
			out = appendEscape(out, 0xd800+(r>>10))
			r = 0xdc00 + (r & 0x3ff)
		}
		out = appendEscape(out, r)
	}
	return string(out)
}

func appendEscape(out []byte, r rune) []byte {
	const hexDigits = "0123456789abcdef"
	return append(out, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
