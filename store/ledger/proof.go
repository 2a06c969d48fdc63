package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// storedHashes reads the file of hashes for package tlog.
func (l *Ledger) storedHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if err := readAt(l.hashes, out[i][:], at*int64(len(Hash{}))); errors.Is(err, errNoFrame) {
			return nil, fmt.Errorf("%w: %s ends before hash %d", ErrDamaged, FileHashes, at)
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fromTlog(p []tlog.Hash) []Hash {
	out := make([]Hash, len(p))
	for i := range p {
		out[i] = Hash(p[i])
	}
	return out
}

// ProveExtension returns the proof, for [CheckExtension], that the ledger of
// the last checkpoint continues before. It fails as CheckExtension would.
func (l *Ledger) ProveExtension(before Checkpoint) (now Checkpoint, proof []Hash, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.signed
	if l.failed != nil {
		return now, nil, l.failed
	}
	if before.Size > 0 && before.Size < now.Size && before.Origin == now.Origin {
		p, err := tlog.ProveTree(int64(now.Size), int64(before.Size), tlog.HashReaderFunc(l.storedHashes))
		if err != nil {
			return now, nil, fmt.Errorf("prove that the ledger continues %d entries: %w", before.Size, err)
		}
		proof = fromTlog(p)
	}
	return now, proof, CheckExtension(before, now, proof)
}

// ProveEntry returns the bytes of an entry and the proof, for [CheckEntry],
// that the last checkpoint has it.
func (l *Ledger) ProveEntry(number uint64) (now Checkpoint, entry []byte, proof []Hash, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.signed
	if l.failed != nil {
		return now, nil, nil, l.failed
	}
	if number >= now.Size {
		return now, nil, nil, fmt.Errorf("prove entry %d: the checkpoint has %d", number, now.Size)
	}
	off, err := l.offset(number)
	if err != nil {
		return now, nil, nil, fmt.Errorf("prove entry %d: %w", number, err)
	}
	if entry, _, err = l.file().read(off, number); errors.Is(err, errNoFrame) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return now, nil, nil, fmt.Errorf("prove entry %d: %w", number, err)
	}
	p, err := tlog.ProveRecord(int64(now.Size), int64(number), tlog.HashReaderFunc(l.storedHashes))
	if err != nil {
		return now, nil, nil, fmt.Errorf("prove entry %d: %w", number, err)
	}
	proof = fromTlog(p)
	if err := CheckEntry(now, number, entry, proof); err != nil {
		return now, nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return now, entry, proof, nil
}

// Entries passes the committed entries from number from on to fn, in order. An
// error of fn ends it and is returned as it is.
func (l *Ledger) Entries(from uint64, fn func(Entry) error) error {
	l.mu.Lock()
	size, failed := l.committed.tree.size, l.failed
	l.mu.Unlock()
	if failed != nil {
		return failed
	}
	if from >= size {
		return nil
	}
	off, err := l.offset(from)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	file := l.file()
	for n := from; n < size; n++ {
		b, end, err := file.read(off, n)
		if errors.Is(err, errNoFrame) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("read ledger: entry %d at byte %d: %w", n, off, err)
		}
		e, err := DecodeEntry(n, b)
		if err != nil {
			return fmt.Errorf("read ledger: entry %d: %w", n, err)
		}
		if err := fn(e); err != nil {
			return err
		}
		off = end
	}
	return nil
}
