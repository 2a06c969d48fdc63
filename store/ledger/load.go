package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"trailward/internal/vfs"
	"trailward/store/seal"
)

// load brings the ledger to the committed head: from the checkpoint, if the
// files that follow from the entries agree with it, else from the start.
func (l *Ledger) load(o *Options) error {
	ok, err := l.resume()
	if err != nil {
		return err
	}
	if ok {
		err := l.replay(o)
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		// The index may have misled it. What is really damaged stays so.
	}
	if l.signed.Size > 0 {
		l.rebuilt = FileHashes + " and " + FileIndex + " did not fit the checkpoint and were made again from the entries"
	}
	l.tree, l.end, l.last = frontier{}, int64(len(entriesMagic)), Entry{}
	return l.replay(o)
}

// resume takes the tree at the checkpoint from the file of hashes; ok is false
// if it does not have the checkpoint's root.
func (l *Ledger) resume() (ok bool, err error) {
	l.tree, l.end, l.last = frontier{}, int64(len(entriesMagic)), Entry{}
	n := l.signed.Size
	if n == 0 {
		return true, nil
	}
	tree := frontier{size: n}
	for level, at := 0, n; at > 0; level, at = level+1, at>>1 {
		if at&1 == 0 {
			continue
		}
		var h Hash
		if err := readAt(l.hashes, h[:], tlog.StoredHashIndex(level, int64(at-1))*int64(len(h))); errors.Is(err, errNoFrame) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		tree.level[level] = h
	}
	if tree.root() != l.signed.Root {
		return false, nil
	}
	e, end, err := l.readEntry(n - 1)
	if errors.Is(err, ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.tree, l.end, l.last = tree, end, e
	return true, nil
}

// offset returns where the entry of a number begins, from the index.
func (l *Ledger) offset(number uint64) (int64, error) {
	if number == 0 {
		return int64(len(entriesMagic)), nil
	}
	var b [8]byte
	if err := readAt(l.index, b[:], int64(number-1)*8); errors.Is(err, errNoFrame) {
		return 0, fmt.Errorf("%w: %s ends before entry %d", ErrDamaged, FileIndex, number)
	} else if err != nil {
		return 0, err
	}
	off := binary.BigEndian.Uint64(b[:])
	if off < uint64(len(entriesMagic)) || off > 1<<62 {
		return 0, fmt.Errorf("%w: %s has no place for entry %d", ErrDamaged, FileIndex, number)
	}
	return int64(off), nil
}

// readEntry reads the entry of a number by the index.
func (l *Ledger) readEntry(number uint64) (e Entry, end int64, err error) {
	off, err := l.offset(number)
	if err != nil {
		return e, 0, err
	}
	b, end, err := l.file().read(off, number)
	if errors.Is(err, errNoFrame) {
		return e, 0, fmt.Errorf("%w: entry %d at byte %d of %s: %w", ErrDamaged, number, off, FileEntries, err)
	}
	if err != nil {
		return e, 0, err
	}
	e, err = DecodeEntry(number, b)
	return e, end, err
}

func (l *Ledger) file() *entryFile {
	return &entryFile{f: l.entries, keys: l.keys, origin: l.id.Origin}
}

// replayBatch is how many entries are read before their hashes are written.
const replayBatch = 1024

// replay reads the entries from where the tree stands up to the committed head,
// writes what follows from them, and cuts off the rest.
func (l *Ledger) replay(o *Options) error {
	if err := l.checkSigned(); err != nil {
		return err
	}
	file := l.file()
	var d derived
	d.begin(l)
	for o.Adopt || l.tree.size < o.Committed.Size {
		n := l.tree.size
		b, end, err := file.read(l.end, n)
		if errors.Is(err, errNoFrame) {
			// One in a newer format may look torn, but must not be cut off.
			if n >= l.signed.Size && o.Adopt && !errors.Is(err, seal.ErrVersion) {
				break
			}
			return fmt.Errorf("%w: entry %d at byte %d of %s: %w: run verify, and put the ledger back from a backup",
				ErrDamaged, n, l.end, FileEntries, err)
		}
		if err != nil {
			return err
		}
		e, err := DecodeEntry(n, b)
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		d.add(&l.tree, Hash(tlog.RecordHash(b)), end)
		l.end, l.last = end, e
		if err := l.checkSigned(); err != nil {
			return err
		}
		if d.count() >= replayBatch {
			if err := d.write(l); err != nil {
				return err
			}
			d.begin(l)
		}
	}
	if err := d.write(l); err != nil {
		return err
	}
	if o.Adopt {
		if more, err := file.after(l.end, l.tree.size+1); err != nil {
			return err
		} else if more {
			return fmt.Errorf("%w: entry %d at byte %d of %s cannot be read, but later ones are there: run verify, and put the ledger back from a backup",
				ErrDamaged, l.tree.size, l.end, FileEntries)
		}
	} else if root := l.tree.root(); o.Committed.Size > 0 && root != o.Committed.Root {
		return fmt.Errorf("%w: with %d entries it has not the root that the catalog knows", ErrDamaged, l.tree.size)
	}
	return l.truncate()
}

// checkSigned compares the tree with the checkpoint when it has its size.
func (l *Ledger) checkSigned() error {
	if l.tree.size == l.signed.Size && l.note != nil && l.tree.root() != l.signed.Root {
		return fmt.Errorf("%w: the first %d entries do not have the root that is signed", ErrDamaged, l.signed.Size)
	}
	return nil
}

// truncate cuts off what lies behind the tree as it stands.
func (l *Ledger) truncate() error {
	for _, c := range []struct {
		f    vfs.File
		size int64
	}{
		{l.entries, l.end},
		{l.hashes, tlog.StoredHashCount(int64(l.tree.size)) * int64(len(Hash{}))},
		{l.index, int64(l.tree.size) * 8},
	} {
		info, err := c.f.Stat()
		if err != nil {
			return err
		}
		if info.Size() <= c.size {
			continue
		}
		if err := c.f.Truncate(c.size); err != nil {
			return err
		}
		if err := c.f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// derived is what is to be added to the files that follow from the entries.
type derived struct {
	hashAt, indexAt int64
	stored          []Hash
	ends            []byte
}

func (d *derived) begin(l *Ledger) {
	d.hashAt = tlog.StoredHashCount(int64(l.tree.size)) * int64(len(Hash{}))
	d.indexAt = int64(l.tree.size) * 8
	d.stored, d.ends = d.stored[:0], d.ends[:0]
}

func (d *derived) count() int { return len(d.ends) / 8 }

func (d *derived) add(tree *frontier, leaf Hash, end int64) {
	d.stored = tree.addStored(d.stored, leaf)
	d.ends = binary.BigEndian.AppendUint64(d.ends, uint64(end))
}

// write writes but does not sync: Sign does, before anything is promised.
func (d *derived) write(l *Ledger) error {
	if d.count() == 0 {
		return nil
	}
	b := make([]byte, 0, len(d.stored)*len(Hash{}))
	for i := range d.stored {
		b = append(b, d.stored[i][:]...)
	}
	if err := writeAt(l.hashes, b, d.hashAt); err != nil {
		return err
	}
	return writeAt(l.index, d.ends, d.indexAt)
}

func writeAt(f vfs.File, b []byte, off int64) error {
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return err
	}
	_, err := f.Write(b)
	return err
}
