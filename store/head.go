package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"trailward"
	"trailward/shape"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/segment"
)

// head is the records of one group and kind that are not yet in a segment.
type head struct {
	active *segment.Builder // new records go here
	frozen []*memPart       // earlier ones, no longer changing, that a query has seen
}

// The head's weight is about what it takes in memory: its records' bytes, and
// for each record and each group and kind what they take beside.
const (
	recordWeight = 80
	headWeight   = 10 << 10
)

// mergeRows is up to how many records two frozen runs are merged, so that a
// query does not find one run for each query before it.
const mergeRows = 50_000

func (s *Store) newBuilder(k headKey) *segment.Builder {
	return segment.NewBuilder(k.group, k.kind, s.opt.Format.KeyPaths(k.kind), s.opt.Format.Opaque)
}

// addToHead adds a record that is in the WAL. s.mu is held, or the store is
// not open yet.
func (s *Store) addToHead(r *trailward.Record, t shape.Taken) {
	k := headKey{r.Group, r.Kind}
	h := s.heads[k]
	if h == nil {
		h = &head{active: s.newBuilder(k)}
		s.heads[k] = h
		s.group(k.group)
		s.headBytes += headWeight
	}
	h.active.Add(r, t)
	s.headBytes += int64(len(r.Raw)) + recordWeight
	if s.oldest.IsZero() {
		s.oldest = s.clock.Now()
	}
}

// freeze makes everything in the head visible as parts. s.mu is held.
func (s *Store) freeze(k headKey, h *head) {
	if h.active.Rows() > 0 {
		h.frozen = append(h.frozen, newMemPart(h.active, s.cache))
		h.active = s.newBuilder(k)
	}
	for n := len(h.frozen); n >= 2; n = len(h.frozen) {
		a, b := h.frozen[n-2], h.frozen[n-1]
		if a.b.Rows() > 2*b.b.Rows() || a.b.Rows()+b.b.Rows() > mergeRows {
			return
		}
		m := s.newBuilder(k)
		if m.Merge(a.b) != nil || m.Merge(b.b) != nil {
			return // they are of one group and kind
		}
		h.frozen = append(h.frozen[:n-2], newMemPart(m, s.cache))
	}
}

// Seal makes segments of the head and lets the WAL's files go.
func (s *Store) Seal() error { return s.seal(false) }

// seal is Seal; with always, the WAL's files go even if there is nothing in the
// head.
func (s *Store) seal(always bool) error {
	s.sealMu.Lock()
	defer s.sealMu.Unlock()

	s.gate.Lock()
	s.mu.Lock()
	if len(s.heads) == 0 && len(s.batches) == 0 && !always {
		s.mu.Unlock()
		s.gate.Unlock()
		return nil
	}
	through, err := s.wal.Rotate()
	if err != nil {
		s.mu.Unlock()
		s.gate.Unlock()
		return fmt.Errorf("seal: %w", err)
	}
	taken, batches, bytes := s.heads, s.batches, s.headBytes
	var parts []*memPart
	for k, h := range taken {
		if h.active.Rows() > 0 {
			h.frozen = append(h.frozen, newMemPart(h.active, s.cache))
			h.active = s.newBuilder(k)
		}
		parts = append(parts, h.frozen...)
	}
	s.heads, s.sealing, s.oldest = map[headKey]*head{}, parts, time.Time{}
	s.batches = map[string]catalog.Batch{}
	for k, b := range batches {
		s.batches[k] = b // until the catalog has them
	}
	s.mu.Unlock()
	s.gate.Unlock()

	ch := catalog.Change{WALThrough: through}
	for _, b := range batches {
		ch.Batches = append(ch.Batches, b)
	}
	list, err := s.mergeHeads(taken)
	if err == nil {
		err = s.writeAll(list, ch, func() {
			s.sealing = nil
			for k := range batches {
				delete(s.batches, k)
			}
			s.headBytes -= bytes
		})
	}
	if err != nil {
		// Nothing is lost: the records are in the WAL. They go back to the head.
		s.mu.Lock()
		s.sealing = nil
		for k, h := range taken {
			if now := s.heads[k]; now != nil {
				now.frozen = append(h.frozen, now.frozen...)
			} else {
				s.heads[k] = h
			}
		}
		s.oldest = s.clock.Now()
		s.mu.Unlock()
		return fmt.Errorf("seal: %w", err)
	}
	if err := s.cat.ForgetBatches(s.clock.Now().Add(-batchMemory)); err != nil {
		return err
	}
	if err := s.wal.Remove(through); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// mergeHeads makes one builder of each head.
func (s *Store) mergeHeads(heads map[headKey]*head) ([]*segment.Builder, error) {
	out := make([]*segment.Builder, 0, len(heads))
	for k, h := range heads {
		b := h.frozen[0].b
		if len(h.frozen) > 1 {
			b = s.newBuilder(k)
			for _, p := range h.frozen {
				if err := b.Merge(p.b); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, b)
	}
	return out, nil
}

// writers is how many segments are written at once: the disk's syncs overlap.
const writers = 2

// writeAll makes a segment of each builder and commits them with the change;
// then it makes them visible and calls visible, both under s.mu.
func (s *Store) writeAll(list []*segment.Builder, ch catalog.Change, visible func()) (err error) {
	ids, err := s.newSegmentIDs(len(list))
	if err != nil {
		return err
	}
	segs := make([]*written, len(list))
	var g errgroup.Group
	g.SetLimit(writers)
	for i, b := range list {
		g.Go(func() (err error) {
			segs[i], err = s.writeSegment(ids[i], b, ch.WALThrough)
			return err
		})
	}
	if err = g.Wait(); err == nil {
		events := make([]ledger.Event, 0, len(segs))
		for _, w := range segs {
			ch.Add = append(ch.Add, w.info)
			events = append(events, ledger.Added{Segment: s.ledgerSegment(w)})
		}
		err = s.commit(ch, events, func() {
			for _, w := range segs {
				s.addSegment(w.sealed)
			}
			if visible != nil {
				visible()
			}
		})
	}
	if err != nil && !errors.Is(err, errUnclear) {
		s.giveUp(ids)
	}
	return err
}

const idSize = 16

// newID returns a name that no other segment has; they sort by time of making.
func newID(now time.Time) string {
	var b [idSize]byte
	ms := now.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(b[6:])
	return hex.EncodeToString(b[:])
}
