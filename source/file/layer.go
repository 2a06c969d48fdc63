package file

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A layer is what a stream is before it is records.
type layer uint8

const (
	noLayer layer = iota
	gzipLayer
	zstdLayer
	bzip2Layer
	zipLayer
	tarLayer
	parquetLayer
	xzLayer
	lz4Layer
	sevenZipLayer
	utf16Layer
)

// layerOf tells by its first bytes, 512 of them if it has so many.
func layerOf(b []byte) layer {
	has := func(magic string) bool { return bytes.HasPrefix(b, []byte(magic)) }
	switch {
	case has("\x1f\x8b\x08"):
		return gzipLayer
	case has("\x28\xb5\x2f\xfd"), len(b) > 3 && b[0]&0xf0 == 0x50 && string(b[1:4]) == "\x2a\x4d\x18":
		return zstdLayer
	case has("BZh") && len(b) > 9 && b[3] >= '1' && b[3] <= '9' && string(b[4:10]) == "1AY&SY":
		return bzip2Layer
	case has("PK\x03\x04"), has("PK\x05\x06"), has("PK\x07\x08PK\x03\x04"):
		return zipLayer
	case has("PAR1"), has("PARE"):
		return parquetLayer
	case has("\xfd7zXZ\x00"):
		return xzLayer
	case has("\x04\x22\x4d\x18"):
		return lz4Layer
	case has("7z\xbc\xaf\x27\x1c"):
		return sevenZipLayer
	case isUTF16(b):
		return utf16Layer
	case isTar(b):
		return tarLayer
	}
	return noLayer
}

// isTar reports whether b begins with a tar header, which shows in its sum: the
// word "ustar" is missing in old ones, and a text may hold it.
func isTar(b []byte) bool {
	if len(b) < 512 {
		return false
	}
	field := bytes.Trim(b[148:156], " \x00")
	want, err := strconv.ParseInt(string(field), 8, 64)
	if err != nil || want == 0 {
		return false
	}
	var plain, signed int64 // old writers summed signed bytes
	for i, c := range b[:512] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		plain += int64(c)
		signed += int64(int8(c))
	}
	return want == plain || want == signed
}

// layerError is an error whose reason is known.
type layerError struct {
	reason string
	err    error
}

func (e *layerError) Error() string {
	if e.err == nil {
		return e.reason
	}
	return e.reason + ": " + e.err.Error()
}

func (e *layerError) Unwrap() error { return e.err }

// damageOf makes a Damage of an error.
func damageOf(name string, err error) *Damage {
	var d *Damage
	if errors.As(err, &d) {
		c := *d
		if c.Name == "" {
			c.Name = name
		}
		return &c
	}
	var l *layerError
	if errors.As(err, &l) {
		return &Damage{Name: name, Reason: l.reason, Err: l.err}
	}
	return &Damage{Name: name, Reason: CannotRead, Err: err}
}

// reasonReader gives the errors of a layer their reason, and leaves those that
// have one, from the layer below, as they are.
type reasonReader struct {
	r           io.Reader
	cut, broken string
	failed      bool // an error was met, here or below
}

func (r *reasonReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.failed = r.failed || err != nil && err != io.EOF
	return n, because(err, r.cut, r.broken)
}

func because(err error, cut, broken string) error {
	var l *layerError
	switch {
	case err == nil, err == io.EOF, ctxErr(err), errors.As(err, &l):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &layerError{cut, err}
	}
	return &layerError{broken, err}
}

// budget bounds what one top-level file may become. All layers of it share it.
type budget struct {
	opts *Options
	out  int64
	in   func() int64 // bytes of the top-level file: all of it, or what was read of it so far
}

func (b *budget) spend(n int) error {
	b.out += int64(n)
	if b.out > b.opts.MaxDecompressed {
		return &layerError{TooLarge, fmt.Errorf("more than %d bytes", b.opts.MaxDecompressed)}
	}
	if b.out > ratioFrom && b.out/b.opts.MaxRatio > b.in() {
		return &layerError{TooLarge, fmt.Errorf("more than %d times its size", b.opts.MaxRatio)}
	}
	return nil
}

type budgetReader struct {
	r io.Reader
	b *budget
}

func (r *budgetReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if over := r.b.spend(n); over != nil {
		return n, over
	}
	return n, err
}

// decompress opens a compressed stream.
func decompress(l layer, r io.Reader, b *budget) (io.ReadCloser, error) {
	switch l {
	case gzipLayer:
		return openGzip(r, b), nil
	case zstdLayer:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, &layerError{BrokenZstd, err}
		}
		return closeBoth{&budgetReader{&reasonReader{r: d, cut: CutZstd, broken: BrokenZstd}, b}, func() error { d.Close(); return nil }}, nil
	case utf16Layer:
		return io.NopCloser(&budgetReader{newUTF16(bufio.NewReaderSize(r, 1<<12)), b}), nil
	case bzip2Layer:
		return io.NopCloser(&budgetReader{&reasonReader{r: bzip2.NewReader(r), cut: CutBzip2, broken: BrokenBzip2}, b}), nil
	}
	return nil, fmt.Errorf("layer %d is no compression", l)
}

// maxZstdWindow is the most memory that a zstd stream may ask for: what
// "zstd --long" needs, and no less than every decoder must give (RFC 8878).
const maxZstdWindow = 128 << 20

type closeBoth struct {
	io.Reader
	close func() error
}

func (c closeBoth) Close() error { return c.close() }

// gzipReader reads the members of a gzip stream one after another, as gzip -d
// does, and passes over zeros behind them, which tapes and some writers add.
type gzipReader struct {
	src  *bufio.Reader
	gz   *gzip.Reader
	open bool // a member is open
	err  error
}

var (
	bufioPool = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, headSize) }}
	gzipPool  sync.Pool
)

func openGzip(r io.Reader, b *budget) io.ReadCloser {
	src := bufioPool.Get().(*bufio.Reader)
	src.Reset(r)
	g := &gzipReader{src: src}
	if gz, ok := gzipPool.Get().(*gzip.Reader); ok {
		g.gz = gz
	} else {
		g.gz = new(gzip.Reader)
	}
	return closeBoth{&budgetReader{g, b}, func() error {
		if g.gz != nil {
			gzipPool.Put(g.gz)
			src.Reset(nil)
			bufioPool.Put(src)
			g.gz, g.src, g.err = nil, nil, io.ErrClosedPipe
		}
		return nil
	}}
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for g.err == nil {
		if !g.open {
			if g.err = g.member(); g.err != nil {
				break
			}
		}
		n, err := g.gz.Read(p)
		if err == io.EOF {
			g.open = false
			err = nil
		}
		g.err = because(err, CutGzip, BrokenGzip)
		if n > 0 {
			return n, nil
		}
	}
	return 0, g.err
}

// member opens the next member.
func (g *gzipReader) member() error {
	for {
		c, err := g.src.ReadByte()
		if err != nil {
			return because(err, CutGzip, BrokenGzip)
		}
		if c != 0 {
			break
		}
	}
	if err := g.src.UnreadByte(); err != nil {
		return err
	}
	if magic, _ := g.src.Peek(2); string(magic) != "\x1f\x8b" {
		return &layerError{BrokenGzip, errors.New("something else behind the compressed data")}
	}
	if err := g.gz.Reset(g.src); err != nil {
		return because(noEOF(err), CutGzip, BrokenGzip)
	}
	g.gz.Multistream(false)
	g.open = true
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ctxReader ends with the context's error when it is done, and counts.
type ctxReader struct {
	ctx  context.Context
	r    io.Reader
	read func(n int)
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if r.read != nil {
		r.read(n)
	}
	return n, err
}
