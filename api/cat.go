package api

import (
	"bufio"
	"context"
	"net/http"
	"strconv"

	"trailward"
	"trailward/api/framed"
	"trailward/auth"
)

// trailerRecords counts the records of a cat. An answer without it was cut
// short.
const trailerRecords = "Trailward-Records"

// catBlock is how many bytes of framed records are made ready at a time.
const catBlock = 64 << 10

// cat is GET /v1/cat: the original records of a group. They come as framed
// records, which keep those with line feeds whole, or, when the client asks for
// text/plain, one a line.
func (s *Server) cat(w http.ResponseWriter, r *http.Request) {
	group, stream := param(r, "group"), param(r, "stream")
	switch {
	case group == "":
		s.fail(w, r, badRequest("the query parameter group is missing"))
		return
	case !validGroup(group):
		s.fail(w, r, badRequest("the group's name must be 1 to 512 of the characters a-z A-Z 0-9 _ - / . #"))
		return
	case stream != "" && !validStream(stream):
		s.fail(w, r, badRequest("the stream's name must be 1 to 512 bytes of printable text without : and *"))
		return
	}
	recorderOf(r).group = group
	if !principalOf(r).May(auth.Read, group, "") {
		s.fail(w, r, forbidden("the token does not allow to read this group"))
		return
	}
	leave, f := s.takeTurn(r, s.cats)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &catWriter{w: w, lines: wantsLines(r), buf: bufio.NewWriterSize(w, encodeBuffer)}
	err := s.deps.Cat(ctx, group, stream, out.record)
	if err == nil {
		err = out.finish()
	}
	s.metrics.rows.WithLabelValues(routeName(r)).Add(float64(out.n))
	switch {
	case err == nil:
		w.Header().Set(trailerRecords, strconv.FormatInt(out.n, 10))
	case !out.begun:
		s.fail(w, r, s.failureOf(r, "cat", err))
	default:
		f := s.failureOf(r, "cat", err)
		recorderOf(r).reason = f.reason
		// What is in the buffers may go out or not: the answer says that it is
		// not whole.
		w.Header().Set(trailerError, trailerJSON(errorBody{f.detail()}))
	}
}

func wantsLines(r *http.Request) bool {
	return r.Header.Get("Accept") == "text/plain"
}

// catWriter writes records and begins the answer with the first of them, so
// that an error before it can still be one.
type catWriter struct {
	w     http.ResponseWriter
	buf   *bufio.Writer
	lines bool
	begun bool
	n     int64
	enc   framed.Encoder
	part  bool // the framed body's beginning was written
}

func (c *catWriter) begin() {
	if c.begun {
		return
	}
	c.begun = true
	h := c.w.Header()
	h.Set("Trailer", trailerRecords+", "+trailerError)
	if c.lines {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		h.Set("Content-Type", framed.ContentType)
	}
	c.w.WriteHeader(http.StatusOK)
}

func (c *catWriter) record(raw []byte) error {
	c.begin()
	c.n++
	if c.lines {
		if _, err := c.buf.Write(raw); err != nil {
			return err
		}
		return c.buf.WriteByte('\n')
	}
	if err := c.enc.Add(trailward.Framed{Raw: raw}); err != nil {
		return err
	}
	if c.enc.Len() < catBlock {
		return nil
	}
	return c.drain()
}

// drain writes the framed records so far.
func (c *catWriter) drain() error {
	data := c.enc.Bytes()
	if c.part {
		data = framed.Continue(data)
	}
	c.part = true
	_, err := c.buf.Write(data)
	c.enc.Reset()
	return err
}

func (c *catWriter) finish() error {
	c.begin()
	if !c.lines && (c.enc.Len() > 0 || !c.part) {
		if err := c.drain(); err != nil {
			return err
		}
	}
	return c.buf.Flush()
}
