package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"trailward/internal/journal"
	"trailward/internal/vfs"
	"trailward/store/seal"
)

// kindEntry is the only kind of frame so far.
const kindEntry = 1

// Report says what a replay found.
type Report struct {
	Files   int
	Entries int64
	Bytes   int64 // of entries
	// TornBytes is what a crash left of writes that it cut off, none of which
	// was acknowledged. They are dropped.
	TornBytes int64
	// Damaged is what cannot be read although it was written. All other
	// entries were replayed. It is empty unless somebody must look at the disk.
	Damaged []DamagedRange
	// Quarantined names files with damage whose other entries were taken over
	// since; they are kept for examination and may be deleted by hand.
	Quarantined []string
}

// DamagedRange is a part of a file that cannot be read.
type DamagedRange struct {
	File           string // its name in the file system
	Offset, Length int64  // in bytes; the whole file if its header is gone
	// First and Last are the sequence numbers of the entries lost, both 0 if
	// none was.
	First, Last uint64
	// Unproven says that the entries belong to the last write before a crash,
	// so that they may never have been acknowledged.
	Unproven bool
	Reason   string
}

func (d DamagedRange) String() string {
	s := fmt.Sprintf("%s: bytes %d to %d: %s", d.File, d.Offset, d.Offset+d.Length, d.Reason)
	if d.First != 0 {
		s += fmt.Sprintf("; entries %d to %d are lost", d.First, d.Last)
	}
	if d.Unproven {
		s += ", which perhaps were never acknowledged"
	}
	return s
}

// Replay passes every entry that there is to fn, oldest first, and then opens
// the WAL for new ones. The entry is fn's during the call only. An error of fn
// ends the replay and is returned as it is; after an error Replay may be called
// again, from the start. A file for which the key is missing is an error, not
// damage: see [seal.ErrUnknownKey].
func (w *WAL) Replay(fn func(pos Position, entry []byte) error) (Report, error) {
	w.mu.Lock()
	if w.state != opened {
		defer w.mu.Unlock()
		if w.state == closed {
			return Report{}, ErrClosed
		}
		return Report{}, errors.New("replay write-ahead log: it was replayed already")
	}
	if w.failed != nil {
		defer w.mu.Unlock()
		return Report{}, w.failed
	}
	w.state = replaying
	files := w.files
	w.mu.Unlock()

	r := &replay{w: w, fn: fn, next: 1}
	err := r.run(files)

	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.state = opened
		clear(w.damaged)
		return r.report, err
	}
	w.files = r.kept
	w.state = running
	w.idle = make(chan struct{})
	go w.write()
	return r.report, nil
}

// replay is one run over all files.
type replay struct {
	w      *WAL
	fn     func(Position, []byte) error
	report Report
	kept   []file

	// next is the number of the entry after all seen so far, if known.
	next  uint64
	known bool
	// previous is the file before the one at hand, and what of report.Damaged
	// waits for the file at hand: its header says which entries came before.
	previous   file
	tail       int64 // where previous stops to be readable, or its size
	unreadable []int // files without a header since the last one with
	unproven   []int // ranges in previous that no later write there proves
}

func (r *replay) run(files []file) error {
	if err := r.quarantined(); err != nil {
		return err
	}
	var empty []file
	for i, f := range files {
		frames, err := r.file(f, i == len(files)-1)
		if err != nil {
			return err
		}
		if frames > 0 {
			empty = nil
		} else {
			empty = append(empty, f)
		}
	}
	for _, d := range r.report.Damaged {
		if n, ok := fileNumber(path.Base(d.File)); ok && !d.Unproven {
			r.w.damaged[n] = true
		}
	}

	number := r.w.after.File + 1
	if len(files) > 0 {
		number = max(number, files[len(files)-1].number+1)
	}
	// How many entries a file without a header had is not known, but each
	// took more than a frame's header.
	for _, i := range r.unreadable {
		r.next += uint64(r.report.Damaged[i].Length)/journal.FrameHeaderBytes + 1
	}
	// Not continuing: nobody knows whether the last writes of the run before
	// were durable when it ended.
	first := max(r.next, r.w.after.Sequence+1)
	err := r.w.begin(number, first, false)
	if errors.Is(err, ErrNoSpace) {
		// What is there can be read and removed all the same; the first entry
		// tries again to begin the file.
		r.w.number, r.w.first = number, first
		return nil
	}
	if err != nil {
		return fmt.Errorf("replay write-ahead log: %w", err)
	}
	// Files without an entry, at the end, serve nothing any more: without
	// this, every start would leave one.
	for _, f := range empty {
		if r.w.damaged[f.number] {
			continue
		}
		if err := r.w.removeFile(f.number, false); err != nil {
			return fmt.Errorf("remove empty write-ahead log file: %w", err)
		}
		r.kept = slices.DeleteFunc(r.kept, func(o file) bool { return o.number == f.number })
	}
	return nil
}

func (r *replay) quarantined() error {
	entries, err := r.w.fsys.ReadDir(r.w.dir)
	if err != nil {
		return fmt.Errorf("replay write-ahead log: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), fileSuffix+quarantineSuffix) {
			r.report.Quarantined = append(r.report.Quarantined, path.Join(r.w.dir, e.Name()))
		}
	}
	return nil
}

// file replays one file and returns how many frames it had.
func (r *replay) file(f file, last bool) (int, error) {
	name := r.w.path(f.number)
	flag := os.O_RDONLY
	if last {
		flag = os.O_RDWR
	}
	h, err := r.w.fsys.OpenFile(name, flag, 0)
	if err != nil {
		return 0, fmt.Errorf("replay write-ahead log: %w", err)
	}
	defer h.Close()
	r.report.Files++
	open := func(meta []byte) (journal.OpenFunc, error) {
		opener, err := r.w.seal.OpenStream(meta, streamID(f.number))
		if err != nil {
			return nil, &streamError{err}
		}
		return opener.Open, nil
	}
	var fnErr error
	res, err := journal.Scan(h, open, func(fr journal.Frame) error {
		if fr.Kind != kindEntry {
			return fmt.Errorf("%s: frame %d of a kind (%d) that this version does not know", name, fr.Number, fr.Kind)
		}
		r.report.Entries++
		r.report.Bytes += int64(len(fr.Body))
		fnErr = r.fn(Position{File: f.number, Sequence: fr.Number}, fr.Body)
		return fnErr
	})
	var se *streamError
	switch {
	case fnErr != nil:
		return 0, fnErr
	case errors.Is(err, journal.ErrHeader), errors.As(err, &se) && seal.IsDamage(se.err):
		if r.known && r.tail < r.previous.size {
			r.damage(r.tailRange(0, 0))
			r.tail = r.previous.size
		}
		r.damage(DamagedRange{File: name, Length: f.size, Reason: err.Error()})
		r.unreadable = append(r.unreadable, len(r.report.Damaged)-1)
		r.kept = append(r.kept, f)
		return 0, nil
	case errors.Is(err, seal.ErrUnknownKey):
		return 0, fmt.Errorf("replay write-ahead log: %s: %w: give the key file that it was written with; it holds acknowledged records", name, err)
	case err != nil:
		return 0, fmt.Errorf("replay write-ahead log: %s: %w", name, err)
	}
	r.account(f, res)
	if last {
		if err := r.settleTail(h, res); err != nil {
			return 0, fmt.Errorf("replay write-ahead log: settle the end of %s: %w", name, err)
		}
	}
	return res.Frames, nil
}

// streamError tells an error of OpenStream from one of reading the file.
type streamError struct{ err error }

func (e *streamError) Error() string { return e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

func (r *replay) damage(d DamagedRange) { r.report.Damaged = append(r.report.Damaged, d) }

// account notes what the scan of a file found, and settles what was open about
// the files before it.
func (r *replay) account(f file, res journal.Result) {
	first := res.Header.First
	r.settle(first)
	if res.Header.Continues {
		for _, i := range r.unproven {
			r.report.Damaged[i].Unproven = false
		}
	}
	r.unproven = r.unproven[:0]

	for _, d := range res.Damaged {
		out := DamagedRange{File: r.w.path(f.number), Offset: d.Offset, Length: d.Length, Unproven: !d.Proven}
		if d.First <= d.Last {
			out.First, out.Last = d.First, d.Last
			out.Reason = "does not authenticate"
		} else {
			out.Reason = "one of two copies of the file's header is damaged"
		}
		r.damage(out)
		if out.Unproven {
			r.unproven = append(r.unproven, len(r.report.Damaged)-1)
		}
	}
	f.size = res.Size
	r.kept = append(r.kept, f)
	r.previous, r.tail = f, res.End
	r.next, r.known = res.Next, true
}

// settle says what came before the entry numbered first, with which the file
// at hand begins.
func (r *replay) settle(first uint64) {
	var lost DamagedRange // only its entries
	if r.known && first > r.next {
		lost.First, lost.Last = r.next, first-1
	}
	switch {
	case len(r.unreadable) > 0:
		d := &r.report.Damaged[r.unreadable[0]]
		d.First, d.Last = lost.First, lost.Last
		r.unreadable = nil
	case r.known && (lost.First != 0 || r.tail < r.previous.size):
		r.damage(r.tailRange(lost.First, lost.Last))
	}
	if r.known && first < r.next {
		r.damage(DamagedRange{File: r.w.path(r.previous.number), Offset: r.tail,
			Reason: fmt.Sprintf("the file after it begins again at entry %d: files of two histories are mixed", first)})
	}
}

// tailRange is the unreadable end of the file before, which is not the last
// one. A file is closed with a whole write at its end, and a torn one is cut off
// before the next file is begun, so this is damage.
func (r *replay) tailRange(first, last uint64) DamagedRange {
	d := DamagedRange{
		File: r.w.path(r.previous.number), Offset: r.tail, Length: r.previous.size - r.tail,
		First: first, Last: last, Reason: "does not authenticate",
	}
	if d.Length == 0 {
		d.Reason = "cut short, or a file after it is missing"
	}
	return d
}

// settleTail makes the last file as durable as it looks. What a crash left of
// the last write is cut off, before a new file is begun, so that unreadable
// bytes in an older file always are damage. And what can be read of that write
// is written once more: it may be in the page cache only, and if its sync
// failed, another sync would not bring it to the disk (the pages count as
// clean), yet it was replayed and must stay. All before it was synced.
func (r *replay) settleTail(f vfs.File, res journal.Result) error {
	if res.LastWrite < res.End {
		b := make([]byte, res.End-res.LastWrite)
		if n, err := f.ReadAt(b, res.LastWrite); n < len(b) {
			return errors.Join(io.ErrUnexpectedEOF, err)
		}
		if _, err := f.Seek(res.LastWrite, io.SeekStart); err != nil {
			return err
		}
		// A file system that copies on write may have no room for this; the
		// same bytes half written do no harm.
		if _, err := f.Write(b); err != nil && !vfs.IsNoSpace(err) {
			return err
		}
	}
	if res.End < res.Size {
		if err := f.Truncate(res.End); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	r.report.TornBytes += res.Size - res.End
	r.kept[len(r.kept)-1].size = res.End
	r.previous.size = res.End
	return nil
}
