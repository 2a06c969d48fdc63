package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// The numbers of the delta encodings in parquet.thrift.
const (
	deltaBinaryPacked    = 5
	deltaLengthByteArray = 6
	deltaByteArray       = 7

	// maxDeltaBlock is the most values in a block of a delta encoding. Writers
	// use 128; the library makes room for as many as the page says, which in
	// four bytes can be more than any machine has.
	maxDeltaBlock = 1 << 20
)

// checkDelta looks at the blocks of a delta-encoded page, whose body is at a
// place of the file. What it cannot unpack the library cannot either, and says so.
func checkDelta(r io.ReaderAt, at int64, h page, c *metadata.ColumnChunkMetaData, col *schema.Column) error {
	if h.encoding < deltaBinaryPacked || h.encoding > deltaByteArray || h.dictionary || h.packed > MaxPage/4 {
		return nil
	}
	body := make([]byte, h.packed)
	if n, err := r.ReadAt(body, at); n < len(body) {
		if err == io.EOF {
			err = nil // the page is cut; the library comes to that
		}
		return err
	}
	levels := int64(0) // of a page of version 2, which are before the rest and never packed
	if h.v2 {
		if levels = h.defBytes + h.repBytes; h.defBytes < 0 || h.repBytes < 0 || levels > int64(len(body)) || levels > h.size {
			return nil
		}
	}
	values := body[levels:]
	if c.Compression() != compress.Codecs.Uncompressed && !h.plain {
		codec, err := compress.GetCodec(c.Compression())
		if err != nil {
			return nil
		}
		if values, err = compress.Decode(codec, make([]byte, h.size-levels), values); err != nil {
			return nil
		}
	}
	if !h.v2 {
		for _, most := range []int16{col.MaxRepetitionLevel(), col.MaxDefinitionLevel()} {
			if most == 0 {
				continue
			}
			if len(values) < 4 {
				return nil
			}
			n := int64(binary.LittleEndian.Uint32(values))
			if n > int64(len(values)-4) {
				return nil
			}
			values = values[4+n:]
		}
	}
	n, err := deltaBlocks(values)
	if err == nil && h.encoding == deltaByteArray && n < len(values) {
		_, err = deltaBlocks(values[n:]) // the lengths behind those of the prefixes
	}
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return nil
}

var errNoDelta = errors.New("no delta encoding")

// deltaBlocks walks over numbers in Parquet's DELTA_BINARY_PACKED and returns
// where they end.
func deltaBlocks(b []byte) (at int, err error) {
	number := func() uint64 {
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			err = errNoDelta
			return 0
		}
		at += n
		return v
	}
	block, minis, left := number(), number(), number()
	number() // the first value
	switch {
	case err != nil:
		return 0, err
	case block > maxDeltaBlock:
		return 0, fmt.Errorf("%w: a block of a delta encoding has %d values, the most is %d", ErrTooLarge, block, maxDeltaBlock)
	case block == 0 || minis == 0 || minis > block || left > maxPageValues:
		return 0, errNoDelta
	}
	each := block / minis
	for left = max(left, 1) - 1; left > 0; {
		number() // the smallest difference
		if err != nil || uint64(len(b)-at) < minis {
			return 0, errNoDelta
		}
		widths := b[at : at+int(minis)]
		at += int(minis)
		for _, w := range widths {
			if left == 0 {
				break
			}
			n := uint64(w) * each / 8
			if n > uint64(len(b)-at) {
				return 0, errNoDelta
			}
			at += int(n)
			left -= min(left, each)
		}
	}
	return at, nil
}
