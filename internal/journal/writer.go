package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"trailward/internal/vfs"
)

// Writer appends frames to one file. It is for one goroutine at a time.
type Writer struct {
	f    vfs.File
	name string
	seal SealFunc
	id   [idSize]byte

	durable int64  // size of the file that is synced
	synced  uint64 // number of the first frame that is not synced
	next    uint64 // number of the next frame
	buf     []byte // frames from synced to next
	failed  error
}

// keepBuffer is the largest buffer that a Writer keeps between two commits.
const keepBuffer = 16 << 20

// Create makes a journal file, which must not exist, and syncs it and its
// directory: when it returns, a power cut leaves a file with a whole header. An
// unfinished one has a name that ends in [vfs.TempSuffix].
func Create(fsys vfs.FS, name string, h Header, seal SealFunc) (*Writer, error) {
	w, err := create(fsys, name, h, seal)
	if err != nil {
		return nil, fmt.Errorf("create journal file %s: %w", name, err)
	}
	return w, nil
}

func create(fsys vfs.FS, name string, h Header, seal SealFunc) (_ *Writer, err error) {
	h.id = newID()
	b, err := h.encode()
	if err != nil {
		return nil, err
	}
	if _, err := fsys.Stat(name); err == nil {
		return nil, os.ErrExist
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	temp := name + vfs.TempSuffix
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	placed := false
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			if !placed {
				// Best effort: the reader of the directory drops such names.
				_ = fsys.Remove(temp)
			}
		}
	}()
	if _, err := f.Write(append(b, b...)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return nil, err
	}
	placed = true
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		// Not even a full disk may pass here: the name is taken and cannot be
		// created again.
		return nil, fmt.Errorf("%w: sync its directory: %v", ErrFailed, err)
	}
	return &Writer{f: f, name: name, seal: seal, id: h.id, durable: int64(2 * len(b)), synced: h.First, next: h.First}, nil
}

// Add puts a frame into the next write and returns its number. Nothing reaches
// the file before [Writer.Commit]. plain is not kept.
func (w *Writer) Add(kind byte, plain []byte) (uint64, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	start := len(w.buf)
	var head [FrameHeaderBytes]byte
	buf, err := w.seal(append(w.buf, head[:]...), w.next, kind, plain)
	if err != nil {
		return 0, fmt.Errorf("journal frame %d: %w", w.next, err)
	}
	length := len(buf) - start - FrameHeaderBytes
	if length > MaxBodyBytes {
		return 0, fmt.Errorf("journal frame %d: %d bytes, the limit is %d", w.next, length, MaxBodyBytes)
	}
	frameHeader{
		kind:   kind,
		number: w.next,
		length: uint32(length),
		index:  uint32(w.next - w.synced),
		offset: w.durable + int64(start),
	}.append(buf[start:start], &w.id)
	w.buf = buf
	w.next++
	return w.next - 1, nil
}

// Discard drops the frames that were added since the last commit; their
// numbers are given again.
func (w *Writer) Discard() {
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	w.buf = w.buf[:0]
	w.next = w.synced
}

// Commit writes and syncs the frames added. After an error none of them is in
// the file, if the disk was full (see [vfs.IsNoSpace]; Commit may be tried with
// new frames); any other error wraps [ErrFailed], is final, and leaves it open
// whether a reader will find some of them.
func (w *Writer) Commit() error {
	if w.failed != nil {
		return w.failed
	}
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.f.Write(w.buf); err != nil {
		w.Discard()
		if !vfs.IsNoSpace(err) {
			return w.fail("write", err)
		}
		// Before the sync nobody can rely on any of these bytes, so they can
		// be taken back, and must be before the frames' numbers are given again.
		if cutErr := w.cut(); cutErr != nil {
			return w.fail("take back an unfinished write", errors.Join(cutErr, err))
		}
		return err
	}
	if err := w.f.Sync(); err != nil {
		w.Discard()
		// Also if the disk is full: after a failed sync the system may have
		// dropped the pages and would call the next sync a success.
		return w.fail("sync", err)
	}
	w.durable += int64(len(w.buf))
	w.synced = w.next
	w.Discard()
	return nil
}

// cut brings the file back to what is durable.
func (w *Writer) cut() error {
	if err := w.f.Truncate(w.durable); err != nil {
		return err
	}
	if _, err := w.f.Seek(w.durable, io.SeekStart); err != nil {
		return err
	}
	return w.f.Sync()
}

func (w *Writer) fail(what string, err error) error {
	// %v, not %w, for the cause: a full disk at this point is not one that
	// the caller may wait for.
	w.failed = fmt.Errorf("%w: %s %s: %v", ErrFailed, what, w.name, err)
	return w.failed
}

// Next returns the number of the next frame.
func (w *Writer) Next() uint64 { return w.next }

// Size returns the size of the file in bytes, without frames not committed.
func (w *Writer) Size() int64 { return w.durable }

// Close closes the file; frames not committed are lost.
func (w *Writer) Close() error {
	w.Discard()
	if w.failed == nil {
		w.failed = os.ErrClosed
	}
	return w.f.Close()
}
