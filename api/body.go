package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow bounds the memory that a zstd frame may ask for (RFC 8878
	// section 3.1.1.1.2 recommends to support 8 MiB).
	maxWindow = 8 << 20
	// ratioFloor is how much a body may always become: small bodies of one
	// repeated line compress beyond any ratio that would stop a bomb.
	ratioFloor = 1 << 20
	// firstRead is the first reservation for a body; it doubles from there.
	firstRead = 32 << 10
	// maxWaste is how many times Config.MaxBody is read and thrown away of a body that is over its
	// limit, so that whoever sends somewhat too much gets the 413 and not a reset.
	maxWaste = 8
	// trashSize is how much of a body that is thrown away is read at once.
	trashSize = 128 << 10
)

// body is a request's body in memory, decompressed. release gives its memory
// back to the budget.
type body struct {
	data   []byte
	held   int64
	wire   int64 // bytes as sent
	budget *budget
}

func (b *body) release() {
	b.budget.give(b.held)
	b.held = 0
}

// drop lets the bytes go before the rest of what is held.
func (b *body) drop() {
	n := int64(cap(b.data))
	b.data = nil
	b.budget.give(n)
	b.held -= n
}

// hold reserves n more bytes for as long as the body is there.
func (b *body) hold(n int64) bool {
	if !b.budget.take(n) {
		return false
	}
	b.held += n
	return true
}

var (
	errBodyTooLarge = errors.New("body too large")
	errRatio        = errors.New("decompression ratio too high")
	errNoMemory     = errors.New("no memory for the body")
	errEncoding     = errors.New("content encoding not supported")
)

// readBody reads and decompresses an ingest body, within the limits. The
// memory is reserved as the bytes arrive, never by what a header announces, so
// that slow or lying clients hold only what they have sent. The caller calls
// release when it is done, also after a failure.
func (s *Server) readBody(r *http.Request) (*body, *failure) {
	b := &body{budget: s.memory}
	src := s.openBody(r, s.cfg.MaxBody, s.cfg.MaxDecoded)
	defer src.close()
	expect := int64(0)
	if src.encoding == "" || src.encoding == "identity" {
		expect = src.announced
	}
	err := b.fill(src, s.cfg.MaxDecoded, expect)
	b.wire = src.wire.n
	if err != nil {
		b.data = nil
		b.release() // the rest may be long in coming
		return b, src.refuse(err)
	}
	return b, nil
}

// bodyReader gives a request's body decompressed, within limits. Its memory is that of
// the decoder, which is bounded.
type bodyReader struct {
	s           *Server
	r           *http.Request
	encoding    string
	announced   int64 // bytes by the header; -1: not known
	most        int64 // bytes as sent
	mostDecoded int64
	wire        *meter
	src         io.Reader // nil until the first read
	decoded     int64
	zstd        *zstd.Decoder
}

// openBody makes the reader of a body that may have most bytes as sent and mostDecoded
// after decompression. The caller closes it.
func (s *Server) openBody(r *http.Request, most, mostDecoded int64) *bodyReader {
	return &bodyReader{
		s: s, r: r, encoding: strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))),
		announced: r.ContentLength, most: most, mostDecoded: mostDecoded, wire: &meter{r: r.Body, left: most},
	}
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.src == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	n, err := b.src.Read(p)
	b.decoded += int64(n)
	if b.decoded > b.mostDecoded {
		return n, errBodyTooLarge
	}
	return n, err
}

func (b *bodyReader) open() error {
	if b.announced > b.most {
		return errBodyTooLarge
	}
	switch b.encoding {
	case "", "identity":
		b.src = b.wire
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(b.wire)
		if err != nil {
			return err
		}
		b.src = &ratioReader{r: z, wire: b.wire, ratio: b.s.cfg.MaxRatio}
	case "zstd":
		z, err := zstdDecoder(b.wire, b.s.cfg.MaxDecoded)
		if err != nil {
			return err
		}
		b.zstd = z
		b.src = &ratioReader{r: z, wire: b.wire, ratio: b.s.cfg.MaxRatio}
	default:
		return errEncoding
	}
	return nil
}

func (b *bodyReader) close() {
	if b.zstd != nil {
		freeZstd(b.zstd)
		b.zstd = nil
	}
}

// refuse is the answer to a body that could not be read.
func (b *bodyReader) refuse(err error) *failure {
	f := b.failure(err)
	switch {
	case f.reason == "slow":
	case !errors.Is(err, errBodyTooLarge):
		throwAway(b.wire, b.s.cfg.MaxBody)
	case b.wire.n > 0:
		throwAway(b.r.Body, maxWaste*b.s.cfg.MaxBody-b.wire.n) // the meter has come to its end
	case b.announced <= maxWaste*b.s.cfg.MaxBody: // of more, no part is worth reading
		waste(b.r, b.announced)
	}
	return f
}

// refuseUnread is the answer to a body of which nothing has been read, nor needs to be:
// nil if it may be taken. What would be refused later as things are costs no more than this
// and being thrown away, so that under overload the time goes to what is taken. Of the body, no
// more than most bytes are in memory at once.
func (s *Server) refuseUnread(r *http.Request, most int64) *failure {
	var f *failure
	if s.deps.Accepting != nil {
		if err := s.deps.Accepting(); err != nil {
			f = s.failureOf(r, "ingest", err)
		}
	}
	// Nothing is reserved by what a header announces, but who announces more
	// than there is room for, once it is taken apart, will not fit.
	if f == nil && r.ContentLength <= s.cfg.MaxBody && s.room(min(r.ContentLength, most)) > s.memory.free() {
		f = overloaded("too many bodies are being received")
	}
	if f != nil {
		waste(r, s.cfg.MaxBody)
	}
	return f
}

// waste throws at most limit bytes of the body of a request away of which nothing was read. Who
// waits for 100 Continue sends nothing if there is none.
func waste(r *http.Request, limit int64) {
	if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		throwAway(r.Body, limit)
	}
}

// throwAway reads at most limit bytes of a body that is refused. A client that is
// still sending when the connection is closed often sees a reset instead of the
// answer, and the Retry-After in it. So what it may send by the limit of a batch is taken.
func throwAway(body io.Reader, limit int64) {
	buf := trashPool.Get().(*[trashSize]byte)
	defer trashPool.Put(buf)
	for limit > 0 {
		n, err := body.Read(buf[:min(limit, trashSize)])
		limit -= int64(n)
		if err != nil {
			return
		}
	}
}

var trashPool = sync.Pool{New: func() any { return new([trashSize]byte) }}

// fill reads src to its end. expect is how many bytes it says to have, if it does.
func (b *body) fill(src io.Reader, limit, expect int64) error {
	for {
		if len(b.data) == cap(b.data) {
			size := min(max(2*int64(cap(b.data)), firstRead), limit+1)
			// Once a quarter is there the rest is believed in. The byte more is for the end to be seen.
			if expect > int64(cap(b.data)) && expect <= max(4*int64(len(b.data)), firstRead) {
				size = min(expect, limit) + 1
			}
			if !b.hold(size) {
				return errNoMemory
			}
			old := int64(cap(b.data))
			next := make([]byte, len(b.data), size)
			copy(next, b.data)
			b.data = next
			b.budget.give(old)
			b.held -= old
		}
		n, err := src.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if int64(len(b.data)) > limit {
			return errBodyTooLarge
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// failure says what was wrong with a body.
func (b *bodyReader) failure(err error) *failure {
	switch {
	case errors.Is(err, errEncoding):
		return (&failure{status: http.StatusUnsupportedMediaType, message: "the content encoding is not supported", hint: "use gzip, zstd or none", reason: "encoding"}).
			with("Accept-Encoding", "gzip, zstd")
	case errors.Is(err, errBodyTooLarge), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return tooLarge("body", fmt.Sprintf("the body is larger than %d bytes as sent or %d bytes decompressed", b.most, b.mostDecoded))
	case errors.Is(err, errRatio):
		return tooLarge("ratio", fmt.Sprintf("the body decompresses to more than %d times its size", b.s.cfg.MaxRatio))
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return tooLarge("window", fmt.Sprintf("the zstd window is larger than %d bytes", maxWindow))
	case errors.Is(err, errNoMemory):
		return overloaded("too many bodies are being received")
	case b.wire.broke:
		return b.s.brokeOff(err)
	default:
		return badRequest("the body is not valid " + b.encoding)
	}
}

// brokeOff is the answer to a body that did not come whole. Whoever sends the same
// again may have more luck.
func (s *Server) brokeOff(err error) *failure {
	f := &failure{status: http.StatusRequestTimeout, message: "the body broke off on its way", hint: "send it again", reason: "cut"}
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		f.message, f.reason = "the body did not arrive within "+s.cfg.ReadTimeout.String(), "slow"
	}
	return f.with("Connection", "close")
}

// meter counts what is read and ends with errBodyTooLarge over the limit.
type meter struct {
	r       io.Reader
	n, left int64
	broke   bool // it ended otherwise than whole
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		// At the limit: one byte more decides.
		var one [1]byte
		n, err := m.r.Read(one[:])
		if n > 0 {
			return 0, errBodyTooLarge
		}
		m.broke = m.broke || err != nil && err != io.EOF
		return 0, err
	}
	if int64(len(p)) > m.left {
		p = p[:m.left]
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.left -= int64(n)
	m.broke = m.broke || err != nil && err != io.EOF
	return n, err
}

// ratioReader ends with errRatio when what comes out is too much for what went
// in.
type ratioReader struct {
	r     io.Reader
	wire  *meter
	out   int64
	ratio int64
}

func (q *ratioReader) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	q.out += int64(n)
	if q.out > ratioFloor && q.out/q.ratio > q.wire.n {
		return n, errRatio
	}
	return n, err
}

var zstdPool sync.Pool // of *zstd.Decoder, whose tables cost more than a small body

// zstdDecoder gives a decoder that decodes in the caller's goroutine.
func zstdDecoder(r io.Reader, limit int64) (*zstd.Decoder, error) {
	if z, ok := zstdPool.Get().(*zstd.Decoder); ok {
		if err := z.Reset(r); err != nil {
			return nil, err
		}
		return z, nil
	}
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(uint64(limit)+1))
}

func freeZstd(z *zstd.Decoder) {
	if z.Reset(nil) == nil {
		zstdPool.Put(z)
	}
}
