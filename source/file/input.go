package file

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"trailward"
)

// Input is one logical file. It is good only until the function that Walk gave
// it to returns, and for one goroutine.
type Input struct {
	// Name is the path, with the members of archives behind it, each after an
	// exclamation mark: logs.tar!var/log/auth.log. Standard input is "-".
	Name string
	// Grows says that more may be written behind what is there: a file by
	// itself, with neither compression nor archive around it.
	Grows bool

	w      window
	fr     framer
	opts   *Options
	report *Report
	head   [sha256.Size]byte
	start  [sha256.Size]byte
	short  bool // there is less than what head is of at most
	whole  bool
	size   int64
	begun  bool
	open   func() (io.ReadCloser, error) // the logical file once more; nil when there is no way
	err    error                         // what Next returns from now on
	damage error                         // met by Beginnings
	frame  trailward.Framed
}

// NewInput makes an Input of a stream that is one logical file, with neither
// compression nor archive around it: the body of a request. UTF-16 is read as
// UTF-8. It reads the stream's head. What damages it meets are in what Next returns, and control
// messages are counted in report.
func NewInput(name string, r io.Reader, opts Options, report *Report) (*Input, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.filled()
	opts.bare = true
	if report == nil {
		report = new(Report)
	}
	br := bufio.NewReaderSize(r, 1<<10)
	r = br
	if head, _ := br.Peek(512); isUTF16(head) {
		r = newUTF16(br)
	}
	return newInput(name, r, -1, nil, &opts, report, nil), nil
}

// newInput reads the head of r. buf is a buffer to use, or nil.
func newInput(name string, r io.Reader, size int64, open func() (io.ReadCloser, error), opts *Options, report *Report, buf []byte) *Input {
	in := &Input{Name: name, opts: opts, report: report, size: size, open: open}
	in.w = window{r: r, buf: buf, hash: sha256.New()}
	in.w.need(headSize + 1) // one more, to know whether the head is all
	head := in.w.bytes()
	in.whole = len(head) <= headSize && in.w.err == io.EOF
	head = head[:min(len(head), headSize)]
	in.head, in.short = sha256.Sum256(head), len(head) < headSize
	if len(head) >= StartSize {
		in.start = sha256.Sum256(head[:StartSize])
	}
	if in.whole {
		in.size = int64(len(head))
	}
	var skip int
	in.fr, skip = choose(head, !in.whole, name, opts, report)
	in.w.advance(skip)
	return in
}

// HeadSum returns the SHA-256 of the first 64 KiB of the logical file, and
// whether that is all of it.
func (in *Input) HeadSum() (sum [32]byte, whole bool) { return in.head, in.whole }

// StartSize is how many bytes [Input.StartSum] is of.
const StartSize = 1 << 10

// StartSum returns the SHA-256 of the first KiB of the logical file, by which one
// is known again that was shorter than the 64 KiB that HeadSum hashes and has
// grown, and whether it is so short. The sum is zero if there is no KiB.
func (in *Input) StartSum() (sum [32]byte, short bool) { return in.start, in.short }

// ErrSumUnknown is what [Input.Beginnings] returns when sums cannot be had
// without reading the file for good.
var ErrSumUnknown = errors.New("sum cannot be known before the file is read")

// Beginnings returns the SHA-256 of the first n bytes of the logical file for
// each n of lengths, of fewer if it does not have so many; what size it has, or
// can be read of it when it is damaged; and the SHA-256 of that. It must come
// before the first Next. It reads a file that can be opened again a second time,
// and holds MaxHeld bytes of a stream.
func (in *Input) Beginnings(lengths []int64) (sums [][sha256.Size]byte, all [sha256.Size]byte, size int64, err error) {
	if in.begun {
		return nil, all, 0, ErrSumUnknown
	}
	if !in.whole && in.open == nil {
		in.w.need(MaxHeld + 1)
	}
	held := in.w.buf[in.w.start-int(in.w.off) : in.w.end]
	var r io.Reader = bytes.NewReader(held)
	if in.w.err == nil || in.open == nil && len(held) > MaxHeld {
		if in.open == nil {
			return nil, all, 0, ErrSumUnknown
		}
		rc, err := in.open()
		if err != nil {
			return nil, all, 0, fmt.Errorf("%w: %w", ErrSumUnknown, err)
		}
		defer rc.Close()
		r = rc
	} else if ctxErr(in.w.err) {
		return nil, all, 0, in.w.err
	} else if in.w.err != io.EOF {
		in.damage = in.fail(in.w.err)
	}
	sums = make([][sha256.Size]byte, len(lengths))
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(lengths[a], lengths[b]) })
	h := sha256.New()
	for _, i := range order {
		if n := lengths[i] - size; n > 0 && err == nil {
			n, err = io.CopyN(h, r, n)
			size += n
		}
		h.Sum(sums[i][:0])
	}
	if err == nil {
		var n int64
		n, err = io.Copy(h, r)
		size += n
	}
	h.Sum(all[:0])
	if ctxErr(err) {
		return nil, all, 0, err
	}
	if err != nil && err != io.EOF {
		in.damage = in.fail(err)
	}
	return sums, all, size, nil
}

// Size returns how many bytes the logical file has, or -1 if that is not known
// yet.
func (in *Input) Size() int64 { return in.size }

// Consumed returns how many of the logical file's bytes lie behind the records
// returned so far.
func (in *Input) Consumed() int64 { return in.w.off }

// Behind returns the SHA-256 of the bytes that lie behind the records returned
// so far, Consumed of them. At the end that is all of the logical file.
func (in *Input) Behind() (sum [sha256.Size]byte) {
	in.w.sum()
	in.w.hash.Sum(sum[:0])
	return sum
}

// Next returns the next record, which is valid until the call after. At the
// end it returns io.EOF, and a *Damage when the input ends before its end;
// what was returned before stands. Other errors are the context's.
func (in *Input) Next() (trailward.Framed, error) {
	if in.err != nil {
		return trailward.Framed{}, in.err
	}
	in.begun = true
	in.frame = trailward.Framed{}
	if err := in.fr.next(&in.w, &in.frame); err != nil {
		in.err = in.fail(err)
		if in.err == io.EOF {
			in.size = in.w.off
		}
		return trailward.Framed{}, in.err
	}
	if in.frame.Damaged != "" && ctxErr(in.w.err) {
		in.err = in.w.err // it is not the record that was cut
		return trailward.Framed{}, in.err
	}
	if in.opts.Kind != "" && in.frame.Damaged == "" {
		in.frame.Kind = in.opts.Kind
		if in.frame.Columns == nil {
			in.frame.Columns = in.opts.Columns
		}
	}
	return in.frame, nil
}

// fail puts an error into the form that Next returns.
func (in *Input) fail(err error) error {
	if err == io.EOF || ctxErr(err) {
		return err
	}
	return damageOf(in.Name, err)
}

func ctxErr(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
