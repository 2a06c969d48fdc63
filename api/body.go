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
)

// readBody reads and decompresses an ingest body, within the limits. The
// memory is reserved as the bytes arrive, never by what a header announces, so
// that slow or lying clients hold only what they have sent. The caller calls
// release when it is done, also after a failure.
func (s *Server) readBody(r *http.Request) (*body, *failure) {
	b := &body{budget: s.memory}
	if r.ContentLength > s.cfg.MaxBody {
		return b, s.bodyFailure(errBodyTooLarge, "")
	}
	wire := &meter{r: r.Body, left: s.cfg.MaxBody}
	f := s.readInto(b, wire, r)
	b.wire = wire.n
	if f != nil && f.reason != "slow" {
		// A client that is still sending when the connection is closed often sees
		// a reset instead of the answer, and the Retry-After in it. So what it may
		// send by the limit is taken, and thrown away.
		io.Copy(io.Discard, wire)
	}
	return b, f
}

func (s *Server) readInto(b *body, wire *meter, r *http.Request) *failure {
	var src io.Reader = wire
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")))
	switch encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(wire)
		if err != nil {
			return s.bodyFailure(err, "gzip")
		}
		src = &ratioReader{r: z, wire: wire, ratio: s.cfg.MaxRatio}
	case "zstd":
		z, err := zstdDecoder(wire, s.cfg.MaxDecoded)
		if err != nil {
			return s.bodyFailure(err, "zstd")
		}
		defer freeZstd(z)
		src = &ratioReader{r: z, wire: wire, ratio: s.cfg.MaxRatio}
	default:
		return (&failure{status: http.StatusUnsupportedMediaType, message: "the content encoding is not supported", hint: "use gzip, zstd or none", reason: "encoding"}).
			with("Accept-Encoding", "gzip, zstd")
	}
	if err := b.fill(src, s.cfg.MaxDecoded); err != nil {
		return s.bodyFailure(err, encoding)
	}
	return nil
}

// fill reads src to its end.
func (b *body) fill(src io.Reader, limit int64) error {
	for {
		if len(b.data) == cap(b.data) {
			size := min(max(2*int64(cap(b.data)), firstRead), limit+1)
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

// bodyFailure says what was wrong with a body.
func (s *Server) bodyFailure(err error, encoding string) *failure {
	var netErr net.Error
	switch {
	case errors.Is(err, errBodyTooLarge), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return tooLarge("body", fmt.Sprintf("the body is larger than %d bytes as sent or %d bytes decompressed", s.cfg.MaxBody, s.cfg.MaxDecoded))
	case errors.Is(err, errRatio):
		return tooLarge("ratio", fmt.Sprintf("the body decompresses to more than %d times its size", s.cfg.MaxRatio))
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return tooLarge("window", fmt.Sprintf("the zstd window is larger than %d bytes", maxWindow))
	case errors.Is(err, errNoMemory):
		return overloaded("too many bodies are being received")
	case errors.As(err, &netErr) && netErr.Timeout():
		return (&failure{status: http.StatusRequestTimeout, message: "the body did not arrive within " + s.cfg.ReadTimeout.String(), reason: "slow"}).with("Connection", "close")
	case encoding == "" || encoding == "identity":
		return &failure{status: http.StatusBadRequest, message: "the body was cut short", reason: "malformed"}
	default:
		return badRequest("the body is not valid " + encoding)
	}
}

// meter counts what is read and ends with errBodyTooLarge over the limit.
type meter struct {
	r       io.Reader
	n, left int64
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		// At the limit: one byte more decides.
		var one [1]byte
		n, err := m.r.Read(one[:])
		if n > 0 {
			return 0, errBodyTooLarge
		}
		return 0, err
	}
	if int64(len(p)) > m.left {
		p = p[:m.left]
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.left -= int64(n)
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
