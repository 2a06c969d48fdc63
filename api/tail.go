package api

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"trailward/api/live"
	"trailward/auth"
	"trailward/match"
)

const (
	// tailBeat is how often a tail without records sends a line feed, so that
	// both ends and what is between them see that the connection is alive.
	tailBeat = 10 * time.Second
	// tailRecheck is how long a tail believes that its token is still good.
	tailRecheck = time.Second
	// tailPause is the least time between two writes of a tail: records that come
	// fast go together, which costs a fraction of sending each.
	tailPause = 50 * time.Millisecond
)

// tailCount counts the open tails of each principal.
type tailCount struct {
	most int
	mu   sync.Mutex
	open map[string]int
	n    int
}

// take counts one more; false: the principal has as many as he may.
func (c *tailCount) take(who string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[who] >= c.most {
		return false
	}
	c.open[who]++
	c.n++
	return true
}

func (c *tailCount) give(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[who]--; c.open[who] == 0 {
		delete(c.open, who)
	}
	c.n--
}

func (c *tailCount) all() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// tail is GET /v1/tail: records as they are stored, one JSON object a line.
//
// It is NDJSON and not server-sent events, as all our other streams are: what a
// browser's EventSource adds, it takes away again by not being able to send a
// token, and a missed record is not brought back by reconnecting. An
// object has one of: message (a record), skipped (so many may be missing here), end (the server
// ends the tail, and why). Empty lines say that the connection is alive.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	p := principalOf(r)
	var asked []string
	if g := param(r, "group"); g != "" {
		if !auth.ValidGroupPattern(g) {
			s.fail(w, r, badRequest("a group must be a name, or a prefix with one * at its end"))
			return
		}
		asked = []string{g}
	}
	groups, denied := p.Readable(asked)
	if denied != "" {
		s.fail(w, r, forbidden("the token does not allow to read the group that was asked for"))
		return
	}
	pattern, err := match.Compile(param(r, "pattern"))
	if err != nil {
		s.fail(w, r, patternFailure(err))
		return
	}
	if s.deps.Tail == nil {
		s.fail(w, r, unavailable("this server has no live tail"))
		return
	}
	if !s.tails.take(p.Name) {
		s.fail(w, r, overloaded(fmt.Sprintf("more than %d live tails", s.tails.most)))
		return
	}
	defer s.tails.give(p.Name)
	t, err := s.deps.Tail(func(group string) bool {
		return len(groups) == 0 || slices.ContainsFunc(groups, func(pattern string) bool { return auth.MatchGroup(pattern, group) })
	}, pattern)
	switch {
	case errors.Is(err, live.ErrTooMany):
		s.fail(w, r, overloaded("too many live tails are open"))
		return
	case err != nil:
		s.fail(w, r, unavailable("the server is stopping"))
		return
	}
	defer t.Close()
	s.stopReadDeadline(r)
	h := w.Header()
	h.Set("Content-Type", FormatJSON)
	h.Set("X-Accel-Buffering", "no") // to a proxy that would wait for more
	w.WriteHeader(http.StatusOK)
	ts := &tailStream{s: s, r: r, p: p, t: t, out: bufio.NewWriterSize(w, 16<<10), ctl: http.NewResponseController(w), checked: s.deps.Now()}
	if ts.flush() == nil {
		ts.sent = time.Time{} // the first record is shown at once
		ts.run()
	}
}

// patternFailure is the answer to a fault in a filter pattern.
func patternFailure(err error) *failure {
	var fault *match.Error
	if !errors.As(err, &fault) {
		return badRequest("the pattern cannot be read")
	}
	return &failure{status: http.StatusBadRequest, message: fault.Msg, hint: fault.Hint, line: 1, column: fault.Column, reason: "malformed"}
}

// tailStream is one tail on its way to its client.
type tailStream struct {
	s       *Server
	r       *http.Request
	p       auth.Principal
	t       *live.Tail
	out     *bufio.Writer
	ctl     *http.ResponseController
	checked time.Time // when the token was last looked at
	sent    time.Time // when was last written
}

// run sends until the client goes away, the token is no longer good, or the
// server stops. A client that does not read is ended by the write deadline.
func (ts *tailStream) run() {
	beat := time.NewTicker(tailBeat)
	defer beat.Stop()
	for {
		select {
		case <-ts.r.Context().Done():
			return
		case <-ts.s.ending:
			ts.end("the server is stopping")
			return
		case <-ts.t.Done():
			ts.end("the server is stopping")
			return
		case <-beat.C:
			if !ts.allowed() {
				return
			}
			ts.out.WriteByte('\n')
		case <-ts.t.Ready():
			if !ts.pause() || !ts.allowed() {
				return
			}
			for _, item := range ts.t.Take() {
				if item.Skipped > 0 {
					fmt.Fprintf(ts.out, "{\"skipped\":%d}\n", item.Skipped)
					ts.s.metrics.tailRecords.WithLabelValues("skipped").Add(float64(item.Skipped))
				}
				if item.Event != nil {
					ts.out.Write(item.Event.JSON())
					ts.s.metrics.tailRecords.WithLabelValues("sent").Inc()
				}
			}
		}
		if ts.flush() != nil {
			return
		}
	}
}

// pause waits until the tail may write again; false: it has ended meanwhile.
func (ts *tailStream) pause() bool {
	d := tailPause - time.Since(ts.sent)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ts.r.Context().Done():
		return false
	case <-ts.s.ending: // what has come is sent before the end
	case <-t.C:
	}
	return true
}

// allowed looks at the token again, unless it was just done: one that is revoked
// ends the tail.
func (ts *tailStream) allowed() bool {
	now := ts.s.deps.Now()
	if now.Sub(ts.checked) < tailRecheck {
		return true
	}
	ts.checked = now
	p, f := ts.s.admit(ts.r, false)
	if f == nil && p.Name == ts.p.Name && p.Role == ts.p.Role && slices.Equal(p.Groups, ts.p.Groups) {
		return true
	}
	ts.end("the token is not valid any more")
	return false
}

// end tells the client why nothing more will come.
func (ts *tailStream) end(reason string) {
	fmt.Fprintf(ts.out, "{\"end\":%q}\n", reason)
	_ = ts.flush() // a client that is gone need not be told
}

func (ts *tailStream) flush() error {
	defer func() { ts.sent = time.Now() }()
	if err := ts.out.Flush(); err != nil {
		return err
	}
	if err := ts.ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
