package wal

import (
	"context"
	"errors"
	"fmt"

	"trailward/internal/journal"
	"trailward/internal/vfs"
)

// item is one thing for the writing goroutine to do: an entry to write, or a
// file to end.
type item struct {
	entry  []byte
	rotate bool
	// started is set, under mu, when the item leaves the queue: from then on
	// it cannot be taken back.
	started bool
	pos     Position
	err     error
	done    chan struct{} // closed when pos and err are set
}

// Pending is an entry on its way to the disk.
type Pending struct {
	w *WAL
	i *item
}

// Append writes an entry and returns when it is durable. If ctx ends before its
// write has started, the entry is not written; after that Append waits on.
func (w *WAL) Append(ctx context.Context, entry []byte) (Position, error) {
	p, err := w.Start(ctx, entry)
	if err != nil {
		return Position{}, err
	}
	return p.Wait(ctx)
}

// Start hands an entry to the writing goroutine and returns without waiting
// for the disk, so that one caller can have many entries under way; they are
// written in the order of the calls. It blocks while too many bytes wait (see
// [Options.MaxPendingBytes]), until ctx ends. The entry must not change, and
// [Pending.Wait] must be called, once.
func (w *WAL) Start(ctx context.Context, entry []byte) (*Pending, error) {
	if len(entry) > MaxEntryBytes {
		return nil, fmt.Errorf("append %d bytes to the write-ahead log: %w", len(entry), ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append to the write-ahead log: %w", err)
	}
	if err := w.room.Acquire(ctx, int64(len(entry))); err != nil {
		return nil, fmt.Errorf("append to the write-ahead log: %w", err)
	}
	i := &item{entry: entry, done: make(chan struct{})}
	if err := w.enqueue(i); err != nil {
		w.room.Release(int64(len(entry)))
		return nil, err
	}
	return &Pending{w: w, i: i}, nil
}

func (w *WAL) enqueue(i *item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.stateErr(); err != nil {
		return err
	}
	w.queue = append(w.queue, i)
	w.wake.Signal()
	return nil
}

// Wait returns when the entry is durable, or is known not to be: see
// [ErrFailed] and [ErrNoSpace]. If ctx ends before the write has started, the
// entry is taken back and the error is ctx's.
func (p *Pending) Wait(ctx context.Context) (Position, error) {
	select {
	case <-p.i.done:
	case <-ctx.Done():
		if p.w.takeBack(p.i) {
			return Position{}, fmt.Errorf("append to the write-ahead log: %w", ctx.Err())
		}
		<-p.i.done
	}
	return p.i.pos, p.i.err
}

// takeBack removes an item from the queue; false means that it has left it.
func (w *WAL) takeBack(i *item) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.started {
		return false
	}
	for n, o := range w.queue {
		if o == i {
			w.queue = append(w.queue[:n], w.queue[n+1:]...)
			w.room.Release(int64(len(i.entry)))
			return true
		}
	}
	return false
}

// Rotate ends the current file: entries acknowledged so far are in files up to
// the one numbered closed, later ones in files after it. If the current file
// has no entry it goes on, and closed is the one before. The error may be one
// that passes ([ErrNoSpace], a key provider that does not answer), and then
// nothing has changed.
func (w *WAL) Rotate() (closed uint64, err error) {
	i := &item{rotate: true, done: make(chan struct{})}
	if err := w.enqueue(i); err != nil {
		return 0, err
	}
	<-i.done
	return i.pos.File, i.err
}

// Close writes what waits, stops the writing goroutine and closes the file. A
// second call does nothing.
func (w *WAL) Close() error {
	w.mu.Lock()
	before := w.state
	if before == replaying {
		w.mu.Unlock()
		return errors.New("close write-ahead log: it is being replayed")
	}
	w.state = closed
	w.wake.Signal()
	w.mu.Unlock()
	if before != running {
		return nil
	}
	<-w.idle
	if w.writer == nil {
		return nil
	}
	if err := w.writer.Close(); err != nil {
		return fmt.Errorf("close write-ahead log: %w", err)
	}
	return nil
}

// write is the writing goroutine.
func (w *WAL) write() {
	defer close(w.idle)
	for {
		batch := w.take()
		if len(batch) == 0 {
			return
		}
		if batch[0].rotate {
			batch[0].pos.File, batch[0].err = w.rotate()
		} else {
			w.commit(batch)
		}
		for _, i := range batch {
			w.room.Release(int64(len(i.entry)))
			i.entry = nil
			close(i.done)
		}
	}
}

// take waits for items and returns those for the next write: entries up to
// maxWriteBytes, or one rotation. None means that the WAL was closed.
func (w *WAL) take() []*item {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 {
		if w.state == closed {
			return nil
		}
		w.wake.Wait()
	}
	n, size := 0, 0
	for n < len(w.queue) {
		i := w.queue[n]
		if n > 0 && (i.rotate || size+len(i.entry) > maxWriteBytes) {
			break
		}
		i.started = true
		size += len(i.entry)
		n++
		if i.rotate {
			break
		}
	}
	batch := w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	return batch
}

// commit writes a batch of entries and sets what became of each.
func (w *WAL) commit(batch []*item) {
	err := w.put(batch)
	for _, i := range batch {
		if err != nil {
			i.pos, i.err = Position{}, err
		}
	}
}

func (w *WAL) put(batch []*item) error {
	if w.failed != nil {
		return w.failed
	}
	if w.writer == nil {
		if err := w.begin(w.number, w.first, false); err != nil {
			return err
		}
	}
	if w.writer.Size() >= w.rotateAt {
		if _, err := w.rotate(); err != nil {
			if w.failed != nil || errors.Is(err, ErrNoSpace) {
				return err
			}
			// No key could be had for a new file. The old one serves as well:
			// tried again when it has grown by another quarter.
			w.rotateAt = w.writer.Size() + w.max/4
		}
	}
	for _, i := range batch {
		seq, err := w.writer.Add(kindEntry, i.entry)
		if err != nil {
			w.writer.Discard()
			return fmt.Errorf("append to the write-ahead log: %w", err)
		}
		i.pos = Position{File: w.number, Sequence: seq}
	}
	if err := w.writer.Commit(); err != nil {
		return w.classify("append to the write-ahead log", err)
	}
	w.mu.Lock()
	w.current.size = w.writer.Size()
	w.mu.Unlock()
	return nil
}

// classify makes a failed write final, unless the disk is only full.
func (w *WAL) classify(what string, err error) error {
	if vfs.IsNoSpace(err) {
		return fmt.Errorf("%s: %w: %w", what, ErrNoSpace, err)
	}
	w.failed = fmt.Errorf("%s: %w: %w", what, ErrFailed, err)
	return w.failed
}

// rotate ends the current file, if it has an entry, and begins a new one.
func (w *WAL) rotate() (uint64, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	old, number := w.writer, w.number
	if old == nil || old.Next() == w.first {
		return number - 1, nil
	}
	if err := w.begin(number+1, old.Next(), true); err != nil {
		if w.failed != nil || errors.Is(err, ErrNoSpace) {
			return 0, err
		}
		return 0, fmt.Errorf("rotate write-ahead log: %w", err)
	}
	// All of it is synced, so an error of close can tell nothing.
	_ = old.Close()
	return number, nil
}

// begin makes a new file the current one, and puts the one before among the
// closed. It is called by Replay, and then by the writing goroutine.
func (w *WAL) begin(number, first uint64, continues bool) error {
	meta, sealer, err := w.seal.NewStream(streamID(number))
	if err != nil {
		return err
	}
	j, err := journal.Create(w.fsys, w.path(number), journal.Header{First: first, Continues: continues, Meta: meta}, sealer.Seal)
	if err != nil {
		return w.classify("begin a write-ahead log file", err)
	}
	w.writer, w.number, w.first, w.rotateAt = j, number, first, w.max
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current.number != 0 {
		w.files = append(w.files, w.current)
	}
	w.current = file{number: number, size: j.Size()}
	return nil
}
