package verifier

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"trailward/internal/vfs"
	"trailward/store/ledger"
)

// The file of entries, read from docs/format/ledger.md.
const (
	entriesMagic = "TRWLDG1\n"
	frameMagic   = "\xA7LDG"
	frameHeader  = 20
	maxSealed    = 4<<20 + 49
)

const restoreLedger = "keep a copy of the store, then put the ledger back from a backup"

// entryReader reads the frames of the file of entries.
type entryReader struct {
	f      vfs.File
	size   int64
	keys   ledger.Keys
	origin string
}

// frame reads the frame at off; ok is false if there is none that is whole and
// of a number from first to before end. The error is one of reading.
func (r *entryReader) frame(off int64, first, end uint64) (number uint64, entry []byte, next int64, ok bool, err error) {
	var h [frameHeader]byte
	if off > r.size-frameHeader {
		return 0, nil, 0, false, nil
	}
	if err := readFull(r.f, h[:], off); err != nil {
		return 0, nil, 0, false, err
	}
	number = binary.BigEndian.Uint64(h[4:])
	length := int64(binary.BigEndian.Uint32(h[12:]))
	if string(h[:4]) != frameMagic || binary.BigEndian.Uint32(h[16:]) != crc32.Checksum(h[:16], crc32.MakeTable(crc32.Castagnoli)) ||
		number < first || number >= end || length > maxSealed || length > r.size-off-frameHeader {
		return 0, nil, 0, false, nil
	}
	sealed := make([]byte, length)
	if err := readFull(r.f, sealed, off+frameHeader); err != nil {
		return 0, nil, 0, false, err
	}
	entry, err = r.keys.OpenBlob("ledger entry "+r.origin+" "+strconv.FormatUint(number, 10), sealed)
	if damaged(err) {
		return 0, nil, 0, false, nil
	}
	return number, entry, off + frameHeader + length, err == nil, err
}

// find returns the next whole frame behind off.
func (r *entryReader) find(off int64, first, end uint64) (at int64, ok bool, err error) {
	buf := make([]byte, min(256<<10, r.size))
	for off++; off < r.size; {
		b := buf[:min(int64(len(buf)), r.size-off)]
		if err := readFull(r.f, b, off); err != nil {
			return 0, false, err
		}
		for i := 0; ; i++ {
			k := bytes.Index(b[i:], []byte(frameMagic))
			if k < 0 {
				break
			}
			i += k
			if _, _, _, ok, err := r.frame(off+int64(i), first, end); ok || err != nil {
				return off + int64(i), ok, err
			}
		}
		if int64(len(b)) == r.size-off {
			break
		}
		off += int64(len(b) - len(frameMagic) + 1)
	}
	return 0, false, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// follower reads along in a file that follows from the entries and compares.
type follower struct {
	v    *verification
	name string
	f    vfs.File
	r    *bufio.Reader
	at   int64
	bad  bool
}

func (v *verification) follow(file string) (*follower, error) {
	name := path.Join(v.LedgerDir, file)
	f, err := v.FS.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		v.find(Finding{Missing, name, "there is no such file", "nothing is lost: the next start makes it again"})
		return &follower{v: v, name: name, bad: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &follower{v: v, name: name, f: f, r: bufio.NewReaderSize(f, 64<<10)}, nil
}

func (w *follower) close() {
	if w.f != nil {
		w.f.Close()
	}
}

// expect compares the next bytes; nil of a length n are any.
func (w *follower) expect(n int, want []byte) error {
	if w.bad {
		return nil
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(w.r, got); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		w.wrong("it ends at byte %d", w.at)
		return nil
	} else if err != nil {
		return fmt.Errorf("read %s: %w", w.name, err)
	}
	if want != nil && !bytes.Equal(got, want) {
		w.wrong("byte %d or one of the next %d is not what follows from the entries", w.at, n-1)
		return nil
	}
	w.at += int64(n)
	return nil
}

func (w *follower) wrong(format string, args ...any) {
	w.bad = true
	w.v.find(Finding{Altered, w.name, fmt.Sprintf(format, args...),
		"nothing is lost: remove the file, the next start makes it again; look at the disk"})
}

// finish looks at what comes behind.
func (w *follower) finish() error {
	if w.bad || w.v.opt.Live {
		return nil
	}
	info, err := w.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > w.at {
		w.v.notice(Finding{Leftover, w.name, fmt.Sprintf("%d bytes behind its end", info.Size()-w.at), "a crash left them: the next start cuts them off"})
	}
	return nil
}

// checkpoint reads the ledger's keys and its checkpoint; id is nil if the keys
// are not what they were, and with them nothing of the ledger can be read.
func (v *verification) checkpoint() (*ledger.Identity, ledger.Checkpoint, error) {
	var cp ledger.Checkpoint
	id, err := ledger.OpenIdentity(v.FS, v.LedgerDir, v.Keys)
	if unreadable(err) {
		return nil, cp, err
	}
	if err != nil {
		v.find(Finding{missingOr(err, Altered), path.Join(v.LedgerDir, ledger.FileKey), err.Error(), "put the file back from a backup: without it the ledger cannot be read"})
		return nil, cp, nil
	}
	v.report.Identity = ledger.Identity{Origin: id.Origin, VerifierKey: id.VerifierKey}
	public := path.Join(v.LedgerDir, ledger.FilePublic)
	b, err := vfs.ReadFile(v.FS, public, 4<<10)
	switch {
	case unreadable(err):
		return nil, cp, err
	case err != nil:
		v.find(Finding{missingOr(err, Altered), public, err.Error(), "nothing is lost: the next start makes it again"})
	case string(b) != id.VerifierKey+"\n":
		v.find(Finding{Altered, public, "it is not the public half of the ledger's key", "remove it, the next start makes it again; whoever took it for the ledger's key was misled"})
	}
	cp, signed, err := ledger.ReadCheckpoint(v.FS, v.LedgerDir, id)
	switch {
	case err == nil:
		v.report.Checkpoint, v.report.Signed = cp, signed
		return id, cp, nil
	case unreadable(err):
		return nil, cp, err
	case !errors.Is(err, fs.ErrNotExist):
		v.find(Finding{Altered, path.Join(v.LedgerDir, ledger.FileCheckpoint), err.Error(), "remove it: the next start signs the ledger again"})
	}
	v.report.Checkpoint = ledger.Checkpoint{Origin: id.Origin}
	return id, v.report.Checkpoint, nil
}

// strangers looks for files in the ledger's directory that are none of its own.
func (v *verification) strangers() error {
	files, err := v.FS.ReadDir(v.LedgerDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has been named: the key is missing
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", v.LedgerDir, err)
	}
	for _, f := range files {
		name, unfinished := strings.CutSuffix(f.Name(), vfs.TempSuffix)
		where := path.Join(v.LedgerDir, f.Name())
		switch name {
		case ledger.FileEntries, ledger.FileHashes, ledger.FileIndex, ledger.FileCheckpoint, ledger.FileKey, ledger.FilePublic:
			if unfinished && !v.opt.Live {
				v.notice(Finding{Leftover, where, "it was not finished when a crash came", "nothing: it is written over"})
			}
		default:
			v.find(Finding{Added, where, "it is no file of the ledger", "find out who put it there; take it away"})
		}
	}
	return nil
}

// unreadable reports whether err says that a file that is there cannot be read
// at all, which is not for a report.
func unreadable(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && !errors.Is(err, fs.ErrNotExist)
}

func missingOr(err error, other What) What {
	if errors.Is(err, fs.ErrNotExist) {
		return Missing
	}
	return other
}

// ledger reads all entries up to the head and the checkpoint.
func (v *verification) ledger(ctx context.Context, id *ledger.Identity, cp ledger.Checkpoint, head ledger.Head, b *book) error {
	name := path.Join(v.LedgerDir, ledger.FileEntries)
	r, err := v.openEntries(id)
	if errors.Is(err, fs.ErrNotExist) {
		b.blind = true
		v.find(Finding{Missing, name, "there is no such file", restoreLedger})
		return nil
	}
	if err != nil {
		return err
	}
	defer r.f.Close()
	v.stage("ledger", r.size)
	magic := make([]byte, len(entriesMagic))
	if err := readFull(r.f, magic, 0); err != nil && !damaged(err) {
		return err
	} else if string(magic) != entriesMagic {
		v.find(Finding{Altered, name, "it does not begin like a file of entries of this version", restoreLedger})
	}
	b.end = int64(len(entriesMagic))
	target := v.bounds(cp, head)
	b.next = target
	if cp.Size == 0 && head.Size > 0 && v.report.Signed == nil {
		v.notice(Finding{Unsigned, path.Join(v.LedgerDir, ledger.FileCheckpoint), "there is no good checkpoint", "the next start signs one; only the catalog vouches for the ledger until then"})
	} else if cp.Size < head.Size && !v.opt.Live {
		v.notice(Finding{Unsigned, path.Join(v.LedgerDir, ledger.FileCheckpoint), fmt.Sprintf("the last %d entries are not signed", head.Size-cp.Size), "the next start signs them"})
	}
	if err := v.readEntries(ctx, r, b, target, cp, head); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if b.end < r.size && !v.opt.Live && b.lost == 0 {
		v.notice(Finding{Leftover, name, fmt.Sprintf("%d bytes behind its end", r.size-b.end), "a crash left them, and they were never promised: the next start cuts them off"})
	}
	return nil
}

func (v *verification) openEntries(id *ledger.Identity) (*entryReader, error) {
	f, err := v.FS.OpenFile(path.Join(v.LedgerDir, ledger.FileEntries), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &entryReader{f: f, size: info.Size(), keys: v.Keys, origin: id.Origin}, nil
}

// bounds says how many entries there have to be.
func (v *verification) bounds(cp ledger.Checkpoint, head ledger.Head) uint64 {
	if cp.Size > head.Size {
		v.find(Finding{RolledBack, "catalog", fmt.Sprintf("it knows %d entries of the ledger, %d are signed", head.Size, cp.Size), "put back the catalog that belongs to the ledger, or rebuild it"})
	}
	target := max(cp.Size, head.Size)
	if m := v.opt.Remembered; m != nil {
		switch {
		case m.Origin != v.report.Identity.Origin:
			v.find(Finding{Exchanged, v.LedgerDir, fmt.Sprintf("it is the ledger %s, seen before was %s", v.report.Identity.Origin, m.Origin), "find out who put another store here"})
		case m.Size > target:
			v.find(Finding{RolledBack, v.LedgerDir, fmt.Sprintf("it has %d entries, and %d were seen before", target, m.Size), "an older copy was put back: find the newer one, and who did it"})
		}
	}
	return target
}

// readEntries reads the entries up to target.
func (v *verification) readEntries(ctx context.Context, r *entryReader, b *book, target uint64, cp ledger.Checkpoint, head ledger.Head) error {
	hashes, err := v.follow(ledger.FileHashes)
	if err != nil {
		return err
	}
	defer hashes.close()
	index, err := v.follow(ledger.FileIndex)
	if err != nil {
		return err
	}
	defer index.close()
	var t tree
	v.roots(&t, cp, head)
	for n := uint64(0); n < target; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		number, entry, next, ok, err := r.frame(b.end, n, target)
		if err != nil {
			return err
		}
		if !ok || number != n {
			if !ok {
				number = n // not known
			}
			if number, err = v.skip(r, b, n, number, target); err != nil {
				return err
			}
			for ; n < number; n++ {
				// The tree can be completed all the same if the leaf is known.
				leaf, err := hashes.leaf()
				if err != nil {
					return err
				}
				b.lost++
				if err := v.grow(&t, leaf, hashes, index, nil); err != nil {
					return err
				}
				v.roots(&t, cp, head)
			}
			n--
			continue
		}
		e, err := ledger.DecodeEntry(n, entry)
		if err != nil {
			v.find(Finding{Altered, fmt.Sprintf("ledger entry %d", n), err.Error(), "use the newer program if there is one; else " + restoreLedger})
			b.lost++
		} else {
			for _, f := range b.enter(&e) {
				v.find(f)
			}
			v.count(&e)
		}
		v.advance(next - b.end)
		b.end = next
		v.report.Entries++
		if err := v.grow(&t, leafOf(entry), hashes, index, binary.BigEndian.AppendUint64(nil, uint64(next))); err != nil {
			return err
		}
		v.roots(&t, cp, head)
	}
	return errors.Join(hashes.finish(), index.finish())
}

// skip names what is not there where entry n should be, and returns the number
// of the next whole entry, to which it goes, or target if there is none. here is
// the number of the entry that is there instead, or n if there is none.
func (v *verification) skip(r *entryReader, b *book, n, here, target uint64) (uint64, error) {
	what, detail := Missing, fmt.Sprintf("entry %d comes at byte %d", here, b.end)
	if here == n {
		here = target
		at, ok, err := r.find(b.end, n, target)
		if err != nil {
			return 0, err
		}
		if !ok {
			at = r.size
		} else if here, _, _, _, err = r.frame(at, n, target); err != nil {
			return 0, err
		}
		what, detail = Altered, fmt.Sprintf("bytes %d to %d do not authenticate", b.end, at)
		if at <= b.end {
			what, detail = Missing, fmt.Sprintf("the file ends at byte %d", at)
		}
		b.end = max(b.end, at)
	}
	where := path.Join(v.LedgerDir, ledger.FileEntries)
	switch {
	case here == n+1:
		where = fmt.Sprintf("ledger entry %d", n)
	case here > n:
		where = fmt.Sprintf("ledger entries %d to %d", n, here-1)
	}
	v.find(Finding{what, where, detail, restoreLedger})
	return here, nil
}

// grow adds a leaf and compares what follows from it; end is nil if it is not
// known where the entry ends.
func (v *verification) grow(t *tree, leaf ledger.Hash, hashes, index *follower, end []byte) error {
	done := completed(t, leaf)
	t.add(leaf)
	for i := range done {
		if err := hashes.expect(len(done[i]), done[i][:]); err != nil {
			return err
		}
	}
	return index.expect(8, end)
}

// leaf reads the leaf of an entry, in the file of hashes, that comes next.
func (w *follower) leaf() (h ledger.Hash, err error) {
	if w.bad {
		return h, nil
	}
	b, err := w.r.Peek(len(h))
	if errors.Is(err, io.EOF) {
		return h, nil
	}
	copy(h[:], b)
	return h, err
}

// roots compares the tree with every root that is known for its size.
func (v *verification) roots(t *tree, cp ledger.Checkpoint, head ledger.Head) {
	if t.size == 0 {
		return
	}
	var root ledger.Hash
	check := func(size uint64, want ledger.Hash, whose, do string) {
		if size != t.size {
			return
		}
		if root == (ledger.Hash{}) {
			root = t.root()
		}
		if root != want {
			v.find(Finding{Altered, v.LedgerDir, fmt.Sprintf("the first %d entries do not have the root that %s", size, whose), do})
		}
	}
	check(cp.Size, cp.Root, "is signed", restoreLedger)
	check(head.Size, head.Root, "the catalog has", "ledger and catalog are not of one store, or one is altered: put both back from one backup")
	if m := v.opt.Remembered; m != nil && m.Origin == v.report.Identity.Origin {
		v.report.Compared = v.report.Compared || m.Size == t.size
		check(m.Size, m.Root, "was seen before", "entries that were there are gone or others: find the right copy of the store, and who exchanged it")
	}
}

// count puts an entry into the report.
func (v *verification) count(e *ledger.Entry) {
	const most = 10000
	switch ev := e.Event.(type) {
	case ledger.Gap:
		if len(v.report.Gaps) < most {
			v.report.Gaps = append(v.report.Gaps, *e)
		}
	case ledger.Silent:
		if len(v.report.Silences) < most {
			v.report.Silences = append(v.report.Silences, *e)
		}
	case ledger.Interval:
		v.report.Intervals++
		if ev.Records == 0 {
			v.report.Empty++
		}
	}
}

// since reads the entries that came while this ran.
func (v *verification) since(ctx context.Context, id *ledger.Identity, now ledger.Head, b *book) error {
	r, err := v.openEntries(id)
	if err != nil {
		return err
	}
	defer r.f.Close()
	for n := b.next; n < now.Size; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, entry, next, ok, err := r.frame(b.end, n, n+1)
		if err != nil {
			return err
		}
		if !ok {
			return nil // the next run names it
		}
		b.end = next
		e, err := ledger.DecodeEntry(n, entry)
		if err != nil {
			return nil
		}
		b.enter(&e)
	}
	for id := range b.doubts {
		if b.live[id] == nil {
			delete(b.doubts, id)
		}
	}
	return nil
}
