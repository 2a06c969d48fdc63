package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"trailward/api/keep"
)

// chores are the kinds of long work of which the server does one at a time: a
// verification, a rotation and a backup each read the whole store.
type chores struct {
	mu   sync.Mutex
	busy map[string]bool
}

// choreRetry is what a client is told to wait for the end of another's.
const choreRetry = 30 * time.Second

// begin marks the kind as busy; false: it is already.
func (c *chores) begin(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[what] {
		return false
	}
	if c.busy == nil {
		c.busy = map[string]bool{}
	}
	c.busy[what] = true
	return true
}

func (c *chores) end(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, what)
}

// startChore takes the turn of a kind of long work, or answers that somebody else
// has it. A request of a client that goes away ends its work.
func (s *Server) startChore(w http.ResponseWriter, r *http.Request, what string) (end func(), ok bool) {
	if !s.chores.begin(what) {
		s.fail(w, r, overloaded("a "+what+" is already under way").retryAfter(choreRetry))
		return nil, false
	}
	s.stopReadDeadline(r)
	return func() { s.chores.end(what) }, true
}

// lineEvery is the least time between two lines that only say how far it is.
const lineEvery = 200 * time.Millisecond

// lineStream writes the lines of long work. The answer begins with the first of
// them, so that an error before it can still be one.
type lineStream struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	ctl   *http.ResponseController
	begun bool
	err   error // of writing: the client is gone
	last  time.Time
}

func newLineStream(w http.ResponseWriter) *lineStream {
	return &lineStream{w: w, ctl: http.NewResponseController(w)}
}

// progress writes how far it is, unless it was just done.
func (l *lineStream) progress(p keep.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= lineEvery {
		l.last = now
		l.write(keep.Line{Progress: &p})
	}
}

func (l *lineStream) line(v keep.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(v)
}

// write needs mu.
func (l *lineStream) write(v keep.Line) {
	if l.err != nil {
		return
	}
	if !l.begun {
		l.begun = true
		h := l.w.Header()
		h.Set("Content-Type", FormatJSON)
		h.Set("X-Accel-Buffering", "no") // to a proxy that would wait for more
		l.w.WriteHeader(http.StatusOK)
	}
	if _, l.err = l.w.Write(append(marshal(v), '\n')); l.err == nil {
		if err := l.ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			l.err = err
		}
	}
}

// failed ends the answer: as an error of its own, or by a line when it has begun.
func (s *Server) choreFailed(l *lineStream, r *http.Request, op string, err error) {
	f := s.failureOf(r, op, err)
	if !l.begun {
		s.fail(l.w, r, f)
		return
	}
	recorderOf(r).reason = f.reason
	if f.status == statusClientGone {
		recorderOf(r).gone = true
		return
	}
	l.line(keep.Line{Error: &keep.Error{Message: f.message, Hint: f.hint}})
}

// readSmallJSON reads a body that is one JSON object with known members only.
// An empty body is an empty object.
func (s *Server) readSmallJSON(r *http.Request, what string, v any) *failure {
	data, err := io.ReadAll(&meter{r: r.Body, left: maxSmallBody})
	switch {
	case errors.Is(err, errBodyTooLarge):
		return tooLarge("body", "the body is larger than 65536 bytes")
	case err != nil:
		return s.brokeOff(err)
	case len(data) == 0:
		return nil
	}
	f := badRequest("the body is not the JSON object that was expected")
	f.hint = "want " + what
	if err := unmarshalStrict(data, v); err != nil {
		return f
	}
	return nil
}

// maxSmallBody bounds the bodies of administration, in bytes.
const maxSmallBody = 64 << 10

func unmarshalStrict(data []byte, v any) error {
	var members map[string]json.RawMessage // null and lists are refused
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return errors.Join(err, errors.New("not an object"))
	}
	return strictDecoder(data).Decode(v)
}
