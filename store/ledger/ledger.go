// Package ledger is the append-only record of what happened to the store's
// segments: an RFC 6962 Merkle log with signed checkpoints, so that nobody can
// alter, leave out or take back anything in it unseen.
//
// It gets events ([Added], [Expired], [Gap] …) and gives a [Head] for the
// catalog to keep, a checkpoint for the world to remember, and proofs. It also
// computes the Merkle tree over a segment's records ([RecordTree]), whose root
// is what [Added] carries: from a record's bytes to a signed checkpoint there
// is one path of hashes.
//
// A change of the store is made in three steps, so that a crash between any
// two leaves nothing promised that is not there, and nothing there that was
// not promised:
//
//	head, err := l.Append(events...)  // durable, but nobody relies on it
//	catalog.Apply({segments, head})   // one transaction: now it is a fact
//	err = l.Sign(head)                // now it is promised to the world
//
// [Open] is told the head that the catalog has: entries behind it were never a
// fact and are cut off; a checkpoint beyond it means that the catalog was
// rolled back, which is refused. If the transaction fails, [Ledger.Cut] takes
// the entries back.
//
// Everything but the checkpoint and the public key is sealed or random to look
// at; docs/format/ledger.md describes the files. Checking them in full is the
// business of package verifier, which shares nothing with Append: what is here
// trusts its files as far as the tree's root proves them.
package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"trailward/internal/clock"
	"trailward/internal/vfs"
)

// Options say where a ledger is and where it stands.
type Options struct {
	// FS and Dir are where the files are. The directory, and the ledger, are
	// made if Committed is zero and there is none.
	FS  vfs.FS
	Dir string
	// Keys seals the entries and the signing key.
	Keys Keys
	// Clock is the machine's; nil: the system's.
	Clock clock.Clock
	// Committed is the head in the catalog; zero in a new store.
	Committed Head
	// Adopt takes every whole entry that is there instead of Committed, for a
	// catalog that was lost and is made anew. [Ledger.Head] then says which
	// head the new one has to keep.
	Adopt bool
}

// Ledger is an open ledger. It is safe for concurrent use, but Append, the
// catalog's transaction and Sign have to be one at a time. Whoever opens it
// holds the lock of the data directory.
type Ledger struct {
	fs    vfs.FS
	dir   string
	keys  Keys
	clock clock.Clock
	id    *Identity

	mu        sync.Mutex
	entries   vfs.File
	hashes    vfs.File
	index     vfs.File
	tree      frontier
	end       int64 // of the last entry in the file of entries
	last      Entry // the last one; Event is nil if there is none
	started   bool  // an entry was appended since Open
	committed state // what Cut goes back to
	pending   []state
	signed    Checkpoint
	note      []byte // the signed checkpoint; nil before the first
	rebuilt   string
	failed    error
}

// state is what one head consists of.
type state struct {
	tree frontier
	end  int64
	last Entry
}

func (s *state) head() Head { return Head{Size: s.tree.size, Root: s.tree.root()} }

// Open opens the ledger. Its errors wrap [ErrDamaged] or [ErrRolledBack] if the
// ledger is not the one that the catalog belongs to.
func Open(o Options) (*Ledger, error) {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	l := &Ledger{fs: o.FS, dir: o.Dir, keys: o.Keys, clock: o.Clock}
	if err := l.open(&o); err != nil {
		l.close()
		return nil, fmt.Errorf("open ledger %s: %w", o.Dir, err)
	}
	return l, nil
}

func (l *Ledger) open(o *Options) error {
	if err := vfs.MakeDir(l.fs, l.dir, 0o700); err != nil {
		return err
	}
	fresh := o.Committed.Size == 0 && !o.Adopt
	if err := l.openIdentity(fresh); err != nil {
		return err
	}
	if err := l.openEntries(fresh); err != nil {
		return err
	}
	cp, signed, err := ReadCheckpoint(l.fs, l.dir, l.id)
	switch {
	case err == nil:
		l.signed, l.note = cp, signed
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		// Right after a crash before the first Sign; what was never signed
		// cannot be checked, so the catalog's head alone decides.
		l.signed = Checkpoint{Origin: l.id.Origin}
		if o.Committed.Size > 0 {
			l.rebuilt = FileCheckpoint + " was missing and was signed again"
		}
	}
	if !o.Adopt && l.signed.Size > o.Committed.Size {
		return fmt.Errorf("%w: the catalog knows %d entries of the ledger, %d are signed: put back the catalog that belongs to it",
			ErrRolledBack, o.Committed.Size, l.signed.Size)
	}
	if err := l.load(o); err != nil {
		return err
	}
	l.committed = state{tree: l.tree, end: l.end, last: l.last}
	if h := l.committed.head(); h.Size > l.signed.Size {
		// A crash came between the catalog and the signature.
		return l.sign(h)
	}
	return nil
}

// openIdentity reads the keys, or makes them in a new ledger.
func (l *Ledger) openIdentity(fresh bool) (err error) {
	l.id, err = OpenIdentity(l.fs, l.dir, l.keys)
	if errors.Is(err, fs.ErrNotExist) && fresh {
		for _, name := range []string{FileEntries, FileCheckpoint} {
			if _, err := l.fs.Stat(path.Join(l.dir, name)); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %s is missing although %s is there: put it back from a backup", ErrDamaged, FileKey, name)
			}
		}
		l.id, err = createIdentity(l.fs, l.dir, l.keys)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w: put it back from a backup", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	public := path.Join(l.dir, FilePublic)
	got, err := vfs.ReadFile(l.fs, public, 4<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// It says nothing that the key does not.
		return vfs.WriteFile(l.fs, public, []byte(l.id.VerifierKey+"\n"), 0o600)
	case err != nil:
		return err
	case string(got) != l.id.VerifierKey+"\n":
		return fmt.Errorf("%w: %s is not the public half of %s: remove it, it is made again, and ask who changed it", ErrDamaged, FilePublic, FileKey)
	}
	return nil
}

func (l *Ledger) openEntries(fresh bool) (err error) {
	name := path.Join(l.dir, FileEntries)
	l.entries, err = l.fs.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && fresh {
		if err := vfs.WriteFile(l.fs, name, []byte(entriesMagic), 0o600); err != nil {
			return err
		}
		l.entries, err = l.fs.OpenFile(name, os.O_RDWR, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing: put the ledger back from a backup", ErrDamaged, name)
	}
	if err != nil {
		return err
	}
	head := make([]byte, len(entriesMagic))
	if err := readAt(l.entries, head, 0); errors.Is(err, errNoFrame) || err == nil && string(head) != entriesMagic {
		return fmt.Errorf("%w: %s does not begin like one of this version", ErrDamaged, name)
	} else if err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		f    *vfs.File
	}{{FileHashes, &l.hashes}, {FileIndex, &l.index}} {
		if *d.f, err = l.fs.OpenFile(path.Join(l.dir, d.name), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// Append adds events, as entries with the ledger's time, durably and all or
// none; what the clock did since the entry before may come in front of them as
// a [Gap]. The head that it returns is to be committed to the catalog and then
// signed; until then a crash takes the entries back.
func (l *Ledger) Append(events ...Event) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return Head{}, l.failed
	}
	if l.tree.size+uint64(len(events))+1 > MaxEntries {
		return Head{}, fmt.Errorf("append to ledger: it has %d entries, the limit is %d", l.tree.size, MaxEntries)
	}
	next := state{tree: l.tree, end: l.end, last: l.last}
	var d derived
	d.begin(l)
	var frames []byte
	for _, e := range l.stamp(events) {
		e.Number = next.tree.size
		rand.Read(e.nonce[:])
		b, err := e.encode()
		if err != nil {
			return Head{}, fmt.Errorf("append to ledger: %w", err)
		}
		sealed, err := l.keys.SealBlob(EntryContext(l.id.Origin, e.Number), b)
		if err != nil {
			return Head{}, fmt.Errorf("append to ledger: %w", err)
		}
		frames = appendFrame(frames, e.Number, sealed)
		next.end = l.end + int64(len(frames))
		next.last = e
		d.add(&next.tree, Hash(tlog.RecordHash(b)), next.end)
	}
	if len(frames) == 0 {
		return l.head(), nil
	}
	if err := l.write(&d, frames); err != nil {
		return Head{}, err
	}
	l.tree, l.end, l.last, l.started = next.tree, next.end, next.last, true
	l.pending = append(l.pending, next)
	return next.head(), nil
}

// write writes entries, the ones that follow from them first: those count for
// nothing without the entries, which are synced last.
func (l *Ledger) write(d *derived, frames []byte) error {
	err := d.write(l)
	if err == nil {
		err = writeAt(l.entries, frames, l.end)
	}
	if err != nil {
		if !vfs.IsNoSpace(err) {
			return l.fail("write", err)
		}
		// Nobody relies on any of these bytes before the sync.
		if cut := l.truncate(); cut != nil {
			return l.fail("take back an unfinished write", errors.Join(cut, err))
		}
		return fmt.Errorf("append to ledger: %w: %w", ErrNoSpace, err)
	}
	if err := l.entries.Sync(); err != nil {
		return l.fail("sync", err)
	}
	return nil
}

// fail makes the ledger refuse everything from now on.
func (l *Ledger) fail(what string, err error) error {
	// Not %w: a full disk here is not one that the caller may wait for.
	l.failed = fmt.Errorf("%w: %s: %v", ErrFailed, what, err)
	return l.failed
}

// Sign promises a head that Append returned and that is in the catalog now: it
// writes the checkpoint. After an error other than [ErrFailed] it may be called
// again; entries are safe without, and the next Open signs them.
func (l *Ledger) Sign(h Head) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	if h == l.committed.head() {
		if h == l.signed.Head {
			return nil
		}
		return l.sign(h)
	}
	for i := range l.pending {
		if l.pending[i].head() == h {
			l.committed = l.pending[i]
			l.pending = append(l.pending[:0], l.pending[i+1:]...)
			return l.sign(h)
		}
	}
	return fmt.Errorf("sign ledger head of %d entries: it is not one that was appended", h.Size)
}

func (l *Ledger) sign(h Head) error {
	// The files that follow from the entries need not be durable for the
	// entries' sake, but a tree that is torn below the checkpoint would have
	// to be made again at the next start.
	for _, f := range []vfs.File{l.hashes, l.index} {
		if err := f.Sync(); err != nil {
			return l.fail("sync", err)
		}
	}
	signed, err := l.id.sign(h)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(l.fs, path.Join(l.dir, FileCheckpoint), signed, 0o600); err != nil {
		return fmt.Errorf("sign ledger: %w", err)
	}
	l.signed, l.note = Checkpoint{Origin: l.id.Origin, Head: h}, signed
	return nil
}

// Cut takes back all entries behind h, which is the head that the catalog has:
// after a transaction that failed. If it is not known whether it did, read the
// catalog's head again first, or open the store anew.
func (l *Ledger) Cut(h Head) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	to, keep := &l.committed, 0
	for i := range l.pending {
		if l.pending[i].head() == h {
			to, keep = &l.pending[i], i+1
		}
	}
	if to.head() != h {
		return fmt.Errorf("cut ledger to %d entries: it is not a head that was appended since the last signature", h.Size)
	}
	l.tree, l.end, l.last = to.tree, to.end, to.last
	l.pending = l.pending[:keep]
	if err := l.truncate(); err != nil {
		return l.fail("cut", err)
	}
	return nil
}

// Head returns the newest head, signed or not.
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head()
}

func (l *Ledger) head() Head { return Head{Size: l.tree.size, Root: l.tree.root()} }

// Identity returns the ledger's name and public key.
func (l *Ledger) Identity() Identity {
	return Identity{Origin: l.id.Origin, VerifierKey: l.id.VerifierKey}
}

// Checkpoint returns the last checkpoint, as it is and signed; signed is nil
// before the first.
func (l *Ledger) Checkpoint() (c Checkpoint, signed []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signed, l.note
}

// Rebuilt says what Open had to make again, in words, or nothing. It was not
// evidence; the disk may need a look.
func (l *Ledger) Rebuilt() string { return l.rebuilt }

// Close closes the files. Entries that are not in the catalog are taken back
// by the next Open.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	l.failed = ErrClosed
	return l.close()
}

func (l *Ledger) close() error {
	var errs []error
	for _, f := range []vfs.File{l.entries, l.hashes, l.index} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Last returns the clock's time of the last entry; zero if there is none.
func (l *Ledger) Last() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.Event == nil {
		return time.Time{}
	}
	return l.last.ClockTime()
}
