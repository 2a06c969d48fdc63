package store

import (
	"errors"
	"fmt"

	"trailward/store/catalog"
	"trailward/store/ledger"
)

// ledgerDir is where the ledger lies.
const ledgerDir = "ledger"

// errUnclear: a commit failed and it is not known whether it took effect. The
// store takes no more; the next start reads what is true.
var errUnclear = errors.New("it is not known whether the change was made: restart")

// commit makes a change of the catalog and records the events in the ledger,
// both or neither; then it calls visible, which may be nil, under s.mu.
func (s *Store) commit(ch catalog.Change, events []ledger.Event, visible func()) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if s.unclear {
		return errUnclear
	}
	head, err := s.ledger.Append(events...)
	if err != nil {
		return s.ledgerError(err)
	}
	if len(events) > 0 {
		ch.Ledger = &head
	}
	if err := s.cat.Apply(ch); err != nil {
		if err := s.uncommitted(ch, err); err != nil {
			return err
		}
	}
	if visible != nil {
		s.mu.Lock()
		visible()
		s.mu.Unlock()
	}
	if err := s.ledger.Sign(head); err != nil {
		// The change is made. The next commit or the next start signs it.
		s.log.Error("the ledger's checkpoint could not be written", "error", s.ledgerError(err))
	}
	return nil
}

// uncommitted finds out what became of a change whose transaction failed: nil
// when it took effect all the same.
func (s *Store) uncommitted(ch catalog.Change, cause error) error {
	got, err := s.cat.LedgerHead()
	if err == nil && ch.Ledger != nil && got == *ch.Ledger {
		return nil
	}
	if err == nil {
		err = s.ledger.Cut(got)
	}
	if err != nil {
		s.unclear = true
		s.fail(fmt.Errorf("%w: %w: %w", errUnclear, cause, err))
		return fmt.Errorf("%w: %w", errUnclear, cause)
	}
	return cause
}

// ledgerError gives an error of the ledger the store's sentinel. One that stays
// is the end of taking records.
func (s *Store) ledgerError(err error) error {
	switch {
	case errors.Is(err, ledger.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, ledger.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, ledger.ErrFailed):
		s.fail(err)
	}
	return err
}

// fail ends the taking of records for good.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// ledgerSegment is what the ledger says of a segment.
func (s *Store) ledgerSegment(w *written) ledger.Segment {
	return ledger.Segment{
		ID: w.info.ID, Group: ledger.GroupHash(s.key, w.info.Group), Kind: w.info.Kind, Rows: w.info.Rows,
		FirstTime: w.info.FirstTime, LastTime: w.info.LastTime, FirstArrival: w.info.FirstArrival, LastArrival: w.info.LastArrival,
		Root: w.meta.Root, Sum: w.sum, Size: w.info.Size,
	}
}

// now is the time of acceptance: the machine's, but never behind the ledger's
// or the retention clock, so that no clock that went back makes a record old at
// once.
func (s *Store) now() int64 {
	return max(s.clock.Now().UnixNano(), s.ledger.Now().UnixNano(), s.retention.Load())
}

// Checkpoint returns the ledger's name and key and its last signed checkpoint,
// nil before the first; also of a closed store.
func (s *Store) Checkpoint() (ledger.Identity, []byte) {
	_, signed := s.ledger.Checkpoint()
	return s.ledger.Identity(), signed
}
