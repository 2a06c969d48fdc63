package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"trailward"
)

// Input is one logical file. It is good only until the function that Walk gave
// it to returns, and for one goroutine.
type Input struct {
	// Name is the path, with the members of archives behind it, each after an
	// exclamation mark: logs.tar!var/log/auth.log. Standard input is "-".
	Name string

	w      window
	fr     framer
	opts   *Options
	report *Report
	head   [sha256.Size]byte
	whole  bool
	sum    [sha256.Size]byte // of all of it, once summed
	summed bool
	size   int64
	begun  bool
	open   func() (io.ReadCloser, error) // the logical file once more; nil when there is no way
	err    error                         // what Next returns from now on
	frame  trailward.Framed
}

// NewInput makes an Input of a stream that is one logical file, with neither
// compression nor archive around it: the body of a request. It reads the
// stream's head. What damages it meets are in what Next returns, and control
// messages are counted in report.
func NewInput(name string, r io.Reader, opts Options, report *Report) (*Input, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.filled()
	if report == nil {
		report = new(Report)
	}
	return newInput(name, r, -1, nil, &opts, report, nil), nil
}

// newInput reads the head of r. buf is a buffer to use, or nil.
func newInput(name string, r io.Reader, size int64, open func() (io.ReadCloser, error), opts *Options, report *Report, buf []byte) *Input {
	in := &Input{Name: name, opts: opts, report: report, size: size, open: open}
	in.w = window{r: r, limit: -1, buf: buf, hash: sha256.New()}
	in.w.need(headSize + 1) // one more, to know whether the head is all
	head := in.w.bytes()
	in.whole = len(head) <= headSize && in.w.err == io.EOF
	head = head[:min(len(head), headSize)]
	in.head = sha256.Sum256(head)
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

// ErrSumUnknown is what [Input.Sum] returns when the sum cannot be had without
// reading the file for good: read the records, and rely on their own keys.
var ErrSumUnknown = errors.New("sum cannot be known before the file is read")

// Sum returns the SHA-256 of the whole logical file. After Next has returned
// io.EOF it costs nothing. Before the first Next it reads a file that can be
// opened again a second time, and holds a member of a tar archive of at most
// MaxHeld bytes; thereafter the Input ends where the sum ended, even if the file
// has grown. In between it is not known.
func (in *Input) Sum() ([32]byte, error) {
	var sum [32]byte
	switch {
	case in.summed:
		return in.sum, nil
	case in.whole:
		return in.head, nil
	case in.err != nil && in.err != io.EOF, in.begun && in.err == nil:
		return sum, ErrSumUnknown
	case in.open == nil && in.size <= MaxHeld:
		in.w.need(MaxHeld + 1)
	}
	if in.w.err == io.EOF { // all of it has been read, if not given out
		in.w.hash.Sum(in.sum[:0])
		in.summed = true
		in.size = in.w.off + int64(in.w.end-in.w.start)
		return in.sum, nil
	}
	if in.open == nil || in.w.err != nil {
		return sum, ErrSumUnknown
	}
	rc, err := in.open()
	if err != nil {
		return sum, fmt.Errorf("%w: %w", ErrSumUnknown, err)
	}
	defer rc.Close()
	h := sha256.New()
	n, err := io.Copy(h, rc)
	if err != nil {
		if ctxErr(err) {
			return sum, err
		}
		return sum, fmt.Errorf("%w: %w", ErrSumUnknown, err)
	}
	if n < in.w.off+int64(in.w.end-in.w.start) { // cut shorter in between
		return sum, ErrSumUnknown
	}
	h.Sum(in.sum[:0])
	in.summed = true
	in.w.hash = nil // it is known now
	in.w.limit, in.size = n, n
	return in.sum, nil
}

// Size returns how many bytes the logical file has, or -1 if that is not known
// yet.
func (in *Input) Size() int64 { return in.size }

// Consumed returns how many of the logical file's bytes lie behind the records
// returned so far, a place to go on from with Skip.
func (in *Input) Consumed() int64 { return in.w.off }

// Skip passes over the records in the first n bytes of the logical file, n
// being what Consumed told when it was read before: so a file that has grown is
// gone on with, and what was said at its beginning (the header of a flow log)
// still holds. It must come before Next. It is an error if the file has fewer
// bytes by now, or a record goes on over the place: a last line without LF that
// was completed since. Then the file must be read from its beginning.
func (in *Input) Skip(n int64) error {
	if in.begun {
		return errors.New("skip comes after a record was read")
	}
	for in.w.off < n {
		if _, err := in.Next(); err == io.EOF {
			return fmt.Errorf("skip %d bytes of %s: it has %d", n, in.Name, in.w.off)
		} else if err != nil {
			return err
		}
	}
	if in.w.off > n {
		return fmt.Errorf("skip %d bytes of %s: a record goes on over the place", n, in.Name)
	}
	return nil
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
