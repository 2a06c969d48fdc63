package parquet

import (
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// The library hands a codec the room that the page says it needs, and some
// codecs take more when the packed bytes say otherwise: a few kilobytes of zstd
// become as many gigabytes. These two are put before them, for all users of the
// library in this process; what is sound is unpacked as before. The other
// codecs hold the bound by themselves.
func init() {
	for _, c := range []struct {
		of     compress.Compression
		decode func(dst, src []byte) ([]byte, error)
	}{{compress.Codecs.Zstd, unpackZstd}, {compress.Codecs.Snappy, unpackSnappy}} {
		codec, err := compress.GetCodec(c.of)
		if err != nil {
			continue // a library without this codec cannot be hurt by it
		}
		b := boundedCodec{codec, c.decode}
		if s, ok := codec.(compress.StreamingCodec); ok {
			compress.RegisterCodec(c.of, streamingCodec{b, s})
		} else {
			compress.RegisterCodec(c.of, b)
		}
	}
}

type boundedCodec struct {
	compress.Codec
	decode func(dst, src []byte) ([]byte, error)
}

// DecodeWithError unpacks src into dst, if dst is not nil no more than it holds.
func (c boundedCodec) DecodeWithError(dst, src []byte) ([]byte, error) {
	if dst == nil {
		return compress.Decode(c.Codec, dst, src)
	}
	return c.decode(dst, src)
}

// Decode is DecodeWithError for callers who take a panic for an error.
func (c boundedCodec) Decode(dst, src []byte) []byte {
	out, err := c.DecodeWithError(dst, src)
	if err != nil {
		panic(err)
	}
	return out
}

type streamingCodec struct {
	boundedCodec
	stream compress.StreamingCodec
}

func (c streamingCodec) NewReader(r io.Reader) io.ReadCloser  { return c.stream.NewReader(r) }
func (c streamingCodec) NewWriter(w io.Writer) io.WriteCloser { return c.stream.NewWriter(w) }
func (c streamingCodec) NewWriterLevel(w io.Writer, level int) (io.WriteCloser, error) {
	return c.stream.NewWriterLevel(w, level)
}

var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true))
})

func unpackZstd(dst, src []byte) ([]byte, error) {
	d, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	return d.DecodeAll(src, dst[:0:len(dst)])
}

func unpackSnappy(dst, src []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > len(dst) {
		return nil, fmt.Errorf("snappy: %d bytes where the page says %d", n, len(dst))
	}
	return snappy.Decode(dst, src)
}
