// Package parquet reads Parquet files that others have written, and gives each
// row as a line of text, so that a file in this format is read like the text
// that its rows would have been.
//
// It gets a file of which any place can be read and gives a stream of lines.
// What a line is makes the original bytes of a row exact and reproducible:
//
//   - VPC flow logs (AWS's delivery in Parquet): the line that AWS writes in its
//     text delivery, the values in the order of the columns with a space
//     between them, "-" where there is none, after a header line that names the
//     fields (srcaddr, log-status; the columns are srcaddr, log_status). A value
//     that a word cannot hold, which AWS does not write, makes its row an object
//     as below.
//   - Anything else: one JSON object a row, its members in the order of the
//     columns, null where there is no value; docs/ingest.md has the types.
//
// This is the second importer of the Parquet library's readers beside
// store/segment, since the two share nothing: a segment is our own sealed file of
// known columns that is trusted once its seal holds, this one is anybody's. So
// the library is not trusted here: a panic of it is an error of the file, its
// memory is counted and bounded, and so is what a page may become.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"trailward/format"
)

// The limits. What is beyond is an error of the file.
const (
	MaxFooter  = 32 << 20 // bytes of the file's own description
	MaxColumns = 2048     // leaf columns
	MaxDepth   = 32       // levels of nested columns
	MaxMemory  = 256 << 20
	MaxPage    = 64 << 20 // bytes of a page, unpacked; packed it may have a quarter
	MaxLine    = 64 << 20 // bytes of one row as a line

	batch  = 256      // values read of a column at once
	buffer = 32 << 10 // bytes read of a column at once
)

// Errors by which a caller tells what is wrong. A file that was cut has no
// footer, which is at its end: that is an [io.ErrUnexpectedEOF].
var (
	// ErrEncrypted: the file, or columns of it, are encrypted by Parquet's own
	// means. Nothing can be read without the key.
	ErrEncrypted = errors.New("the Parquet file is encrypted")
	// ErrTooLarge: a limit of this package was met.
	ErrTooLarge = errors.New("over a limit for Parquet files")
)

// Reader gives a file's rows as lines. It is not safe for concurrent use.
type Reader struct {
	f      *file.Reader
	raw    io.ReaderAt
	mem    *bounded
	root   *group
	leaves []*leaf
	flow   bool

	nextGroup int
	rows      int64 // left in the row group
	line      []byte
	at        int   // of line, given out
	damage    error // the first thing met in a row group that is broken
	err       error // what Read returns once line is given out
}

// Open reads the description of the file in r, which has size bytes.
func Open(r io.ReaderAt, size int64) (rd *Reader, err error) {
	defer caught(&err)
	if err := footer(r, size); err != nil {
		return nil, err
	}
	mem := &bounded{}
	props := parquet.NewReaderProperties(mem)
	props.BufferedStreamEnabled = true
	props.BufferSize = buffer
	props.MaxUncompressedPageSize = MaxPage
	props.MaxCompressedPageSize = MaxPage / 4
	f, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(props))
	if err != nil {
		return nil, fmt.Errorf("read the Parquet footer: %w", err)
	}
	rd = &Reader{f: f, raw: r, mem: mem}
	s := f.MetaData().Schema
	if n := s.NumColumns(); n == 0 || n > MaxColumns {
		return nil, fmt.Errorf("%w: it has %d columns, the most is %d", ErrTooLarge, n, MaxColumns)
	}
	if rd.root, err = rd.tree(s.Root(), 0, 0, 0); err != nil {
		return nil, err
	}
	for i := range s.NumColumns() {
		if i >= len(rd.leaves) || rd.leaves[i].max != s.Column(i).MaxDefinitionLevel() {
			return nil, errors.New("the columns of the Parquet file do not agree with its schema")
		}
	}
	rd.flow = rd.header()
	return rd, nil
}

// footer looks at what the library would believe.
func footer(r io.ReaderAt, size int64) error {
	var b [8]byte
	if size < 12 {
		return fmt.Errorf("the Parquet file has no footer: %w", io.ErrUnexpectedEOF)
	}
	if _, err := r.ReadAt(b[:], size-8); err != nil && err != io.EOF {
		return err
	}
	n := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 | int64(b[3])<<24
	switch {
	case string(b[4:]) == "PARE":
		return ErrEncrypted
	case string(b[4:]) != "PAR1":
		return fmt.Errorf("the Parquet file has no footer: %w", io.ErrUnexpectedEOF)
	case n > MaxFooter:
		return fmt.Errorf("%w: its footer has %d bytes, the most is %d", ErrTooLarge, n, MaxFooter)
	case n > size-12:
		return fmt.Errorf("the Parquet file is shorter than its footer: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// header reports whether the file is a flow log, and makes its header line the
// first one.
func (r *Reader) header() bool {
	names := make([]string, 0, len(r.root.fields))
	for _, n := range r.root.fields {
		l, ok := n.(*leaf)
		if !ok || l.repeated > 0 {
			return false
		}
		names = append(names, strings.ReplaceAll(l.name, "_", "-"))
	}
	line := strings.Join(names, " ")
	if len(format.FlowHeader([]byte(line))) != len(names) {
		return false
	}
	r.line = append(append(r.line, line...), '\n')
	return true
}

// Flow reports whether the file is a flow log.
func (r *Reader) Flow() bool { return r.flow }

// Read gives the lines. A row group that is broken ends where it is broken, and
// the next one is read; the error comes after all that can be read.
func (r *Reader) Read(p []byte) (int, error) {
	for r.at == len(r.line) {
		if r.err != nil {
			return 0, r.err
		}
		r.line, r.at = r.line[:0], 0
		r.err = r.fill()
	}
	n := copy(p, r.line[r.at:])
	r.at += n
	return n, nil
}

// fill makes the next line. It gives an error only at the end.
func (r *Reader) fill() error {
	if r.rows == 0 {
		if r.nextGroup == r.f.NumRowGroups() {
			if r.damage != nil {
				return r.damage
			}
			return io.EOF
		}
		r.keep(r.begin())
		return nil
	}
	err := r.row()
	if err != nil {
		r.line, r.rows = r.line[:0], 0
		r.keep(err)
		return nil
	}
	r.rows--
	return nil
}

func (r *Reader) keep(err error) {
	if err != nil && r.damage == nil {
		r.damage = fmt.Errorf("row group %d: %w", r.nextGroup-1, err)
	}
}

// begin opens the next row group.
func (r *Reader) begin() (err error) {
	defer caught(&err)
	i := r.nextGroup
	r.nextGroup++
	for _, l := range r.leaves {
		l.close()
	}
	r.mem.used = 0 // what the library has not given back is garbage now
	g := r.f.RowGroup(i)
	if g.NumColumns() != len(r.leaves) {
		return fmt.Errorf("it has %d columns, the file %d", g.NumColumns(), len(r.leaves))
	}
	for j, l := range r.leaves {
		chunk, err := g.MetaData().ColumnChunk(j)
		if err != nil {
			return fmt.Errorf("column %s: %w", l.name, err)
		}
		if chunk.CryptoMetadata() != nil {
			return ErrEncrypted
		}
		if err := checkPages(r.raw, chunk, l.column); err != nil {
			return fmt.Errorf("column %s: %w", l.name, err)
		}
		cr, err := g.Column(j)
		if err != nil {
			return fmt.Errorf("column %s: %w", l.name, err)
		}
		if err := l.open(cr); err != nil {
			return err
		}
	}
	if r.rows = g.NumRows(); r.rows < 0 {
		r.rows = 0
		return errors.New("it has less than no rows")
	}
	return nil
}

// row appends the next row to the line.
func (r *Reader) row() (err error) {
	defer caught(&err)
	if r.flow {
		if r.words() {
			r.line = append(r.line, '\n')
			for _, l := range r.leaves {
				l.next()
			}
			return r.leavesErr()
		}
		r.line = r.line[:0]
		if err := r.leavesErr(); err != nil {
			return err
		}
	}
	if r.line, err = r.root.json(r.line); err != nil {
		return err
	}
	r.line = append(r.line, '\n')
	return nil
}

func (r *Reader) leavesErr() error {
	for _, l := range r.leaves {
		if l.err != nil && l.err != errDone {
			return fmt.Errorf("column %s: %w", l.name, l.err)
		}
	}
	return nil
}

// words appends the row as a flow log's line; it is false when a value is no
// word, or cannot be read.
func (r *Reader) words() bool {
	for i, l := range r.leaves {
		if i > 0 {
			r.line = append(r.line, ' ')
		}
		if !l.peek() {
			return false
		}
		if l.def[l.i] < l.max {
			r.line = append(r.line, '-')
			continue
		}
		at := len(r.line)
		r.line = l.value(r.line, l.v, false)
		if at == len(r.line) { // nothing, which a line of words says with a dash
			r.line = append(r.line, '-')
		}
		for _, c := range r.line[at:] {
			if c <= ' ' || c == 0x7f {
				return false
			}
		}
	}
	return len(r.line) <= MaxLine
}

// Close lets go of the file's memory. The reader below stays open.
func (r *Reader) Close() (err error) {
	defer caught(&err)
	for _, l := range r.leaves {
		l.close()
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// caught makes an error of a panic, which the library has for broken files. A
// panic of the runtime that means broken memory is none that can be caught.
func caught(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		if errors.Is(p, ErrTooLarge) {
			*err = p
			return
		}
		*err = fmt.Errorf("the Parquet file is broken: %w (%s)", p, where())
	default:
		*err = fmt.Errorf("the Parquet file is broken: %v (%s)", p, where())
	}
}

// where names the function that panicked, for whoever has to find out.
func where() string {
	lines := strings.Split(string(debug.Stack()), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "panic(") && i+2 < len(lines) {
			name, _, _ := strings.Cut(lines[i+2], "(")
			return name
		}
	}
	return "unknown place"
}

// bounded counts the memory that the library takes for pages and buffers.
type bounded struct {
	memory.GoAllocator
	used int
}

func (b *bounded) Allocate(size int) []byte {
	b.allow(size)
	out := b.GoAllocator.Allocate(size)
	b.used += cap(out)
	return out
}

func (b *bounded) Reallocate(size int, old []byte) []byte {
	b.allow(size - cap(old))
	had := cap(old)
	out := b.GoAllocator.Reallocate(size, old)
	b.used += cap(out) - had
	return out
}

func (b *bounded) Free(old []byte) { b.used -= cap(old) }

func (b *bounded) allow(n int) {
	if n > MaxMemory-b.used {
		panic(fmt.Errorf("%w: it takes more than %d bytes of memory", ErrTooLarge, MaxMemory))
	}
}
