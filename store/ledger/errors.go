package ledger

import "errors"

// What can be wrong with a ledger. Each is refused by name; nothing is repaired
// that could have carried evidence.
var (
	// ErrDamaged: the files are not what was written. Run verify, which names
	// what; restore the ledger from a backup.
	ErrDamaged = errors.New("the ledger is damaged")
	// ErrRolledBack: what is here is older than what was promised before.
	// Somebody put back an older copy; find the newer one.
	ErrRolledBack = errors.New("rolled back to an older state")
	// ErrForked: what is here does not continue what was seen before, although
	// it is not shorter: entries were replaced.
	ErrForked = errors.New("the ledger does not continue the one seen before")
	// ErrOtherLedger: another ledger than before is at this place. It is
	// right after a new start; otherwise the store was exchanged.
	ErrOtherLedger = errors.New("another ledger than the one seen here before")
	// ErrFailed: a write failed in a way that leaves open what the disk holds.
	// It stays: open the ledger again, after a look at the disk.
	ErrFailed = errors.New("the ledger failed, nothing more is recorded: check the disk and restart")
	// ErrNoSpace: the disk is full. Nothing was recorded; try again when there
	// is room.
	ErrNoSpace = errors.New("no space left for the ledger")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the ledger is closed")
	// ErrEntry: bytes that are no entry of a version that this program knows,
	// or an event that no entry may have.
	ErrEntry = errors.New("not a ledger entry")
)
