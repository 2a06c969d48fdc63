package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"trailward"
	"trailward/store/catalog"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/segment"
)

// Compaction makes large segments of small ones: of one group and kind, next to
// each other in event time, of about one size. So each record is written a few
// times in all, and a group has few segments.
const (
	// compactBytes is how many bytes of records a merged segment has at most;
	// from half of that on a segment is left alone, as a load's are, which memory
	// bounds to less than loadBytes where records are small.
	compactBytes = loadBytes / 2
	// compactRows bounds the memory that many small records take.
	compactRows = 2 << 20
	// compactCount is how many segments of one level are merged at least,
	// unless they make up half of a full one; and compactMost at most.
	compactCount = 8
	compactMost  = 64
	// Of more than compactSmall bytes, segments are only merged as long as the
	// event times of all span a day, or twice what one of them does: so a
	// question about a day need not read a month.
	compactSmall = 8 << 20
	compactSpan  = 24 * time.Hour
	// Arrivals span no more than this, nor more than a tenth of the group's
	// retention: a segment expires as a whole, with its youngest record.
	compactArrival = 31 * 24 * time.Hour
	// compactLook is how many groups are looked at in one go.
	compactLook = 1000
)

// level puts segments of about one size together: each level is eight times the
// one before.
func level(raw int64) int { return (bits.Len64(uint64(raw)>>15) + 2) / 3 }

// compactor merges segments whenever there are enough small ones, one merge at
// a time, until ctx ends.
func (s *Store) compactor(ctx context.Context) {
	for ctx.Err() == nil {
		switch _, err := s.compactNext(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("merge segments", "error", err)
		case s.compactable():
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.merge:
		}
	}
}

func (s *Store) compactable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.changed) > 0 && s.loads == 0
}

// Compact merges segments until there is nothing left to merge. The background
// does the same by and by.
func (s *Store) Compact(ctx context.Context) error {
	for s.compactable() {
		if _, err := s.compactNext(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// compactNext looks at some groups that have changed and makes one merge there,
// if one is due.
func (s *Store) compactNext(ctx context.Context) (merged bool, err error) {
	s.compactMu.Lock()
	defer s.compactMu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false, ErrClosed
	}
	if s.loads > 0 { // a load makes large segments, and needs the processors
		s.mu.Unlock()
		return false, nil
	}
	var list []*sealed
	looked := 0
	for group := range s.changed {
		if looked++; looked > compactLook {
			break // let others have the lock
		}
		if list = pickMerge(s.group(group).list, s.retentionOf(group)); list != nil {
			break
		}
		delete(s.changed, group)
	}
	var bytes int64
	for _, p := range list {
		p.hold().busy = true
		bytes += p.info.Size
	}
	s.mu.Unlock()
	if list == nil {
		return false, nil
	}
	err = s.room(bytes)
	if err == nil {
		err = s.mergeSegments(ctx, list)
	}
	s.mu.Lock()
	for _, p := range list {
		p.busy = false
	}
	if err != nil {
		// Not at once again. A segment that changes there brings it back.
		delete(s.changed, list[0].info.Group)
	}
	s.mu.Unlock()
	s.letGoSegments(list)
	return err == nil, err
}

// pickMerge returns segments of one group that are to be merged, or nil. They
// come by event time.
func pickMerge(all []*sealed, retention time.Duration) []*sealed {
	if len(all) < 2 {
		return nil
	}
	type class struct {
		kind  trailward.Kind
		level int
	}
	arrival := compactArrival
	if retention > 0 {
		arrival = min(arrival, max(time.Hour, retention/10))
	}
	runs := map[class][]*sealed{}
	for _, p := range all {
		if p.busy || p.dead || p.broken || 2*p.info.RawBytes >= compactBytes {
			continue
		}
		c := class{p.info.Kind, level(p.info.RawBytes)}
		run := runs[c]
		if len(run) > 0 && !fits(run, p, arrival) {
			if due(run) {
				return run
			}
			run = run[:0:0]
		}
		runs[c] = append(run, p)
	}
	for _, run := range runs {
		if due(run) {
			return run
		}
	}
	return nil
}

func due(run []*sealed) bool {
	var raw int64
	for _, p := range run {
		raw += p.info.RawBytes
	}
	return len(run) >= compactCount || len(run) > 1 && 2*raw >= compactBytes
}

// fits reports whether p may be merged with run, which begins before it.
func fits(run []*sealed, p *sealed, arrivals time.Duration) bool {
	if len(run) == compactMost {
		return false
	}
	a := p.info
	raw, rows, widest := a.RawBytes, a.Rows, a.LastTime-a.FirstTime
	for _, q := range run {
		raw, rows = raw+q.info.RawBytes, rows+q.info.Rows
		widest = max(widest, q.info.LastTime-q.info.FirstTime)
		a.FirstTime, a.LastTime = min(a.FirstTime, q.info.FirstTime), max(a.LastTime, q.info.LastTime)
		a.FirstArrival, a.LastArrival = min(a.FirstArrival, q.info.FirstArrival), max(a.LastArrival, q.info.LastArrival)
	}
	// Differences of times that a sender chose may overflow; as unsigned
	// numbers they are right.
	span := uint64(a.LastTime) - uint64(a.FirstTime)
	return raw <= compactBytes && rows <= compactRows &&
		(raw <= compactSmall || span <= max(uint64(compactSpan), 2*uint64(widest))) &&
		uint64(a.LastArrival)-uint64(a.FirstArrival) <= uint64(arrivals)
}

// mergeSegments makes one segment of several, checks it, and puts it in their
// place.
func (s *Store) mergeSegments(ctx context.Context, list []*sealed) (err error) {
	ids, err := s.newSegmentIDs(1)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, errUnclear) {
			s.giveUp(ids)
		}
	}()
	// In order of arrival, since records of one time stand in that order.
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *sealed) int {
		return cmp.Or(cmp.Compare(a.info.FirstArrival, b.info.FirstArrival), cmp.Compare(a.info.ID, b.info.ID))
	})
	b := s.newBuilder(headKey{list[0].info.Group, list[0].info.Kind})
	in := make([]string, 0, len(list))
	for _, p := range list {
		if err := p.with(func(r *reading) error { return b.AddAll(ctx, r.Reader) }); err != nil {
			s.suspect(p, err)
			return fmt.Errorf("merge segment %s: %w", p.info.ID, err)
		}
		in = append(in, p.info.ID)
	}
	w, err := s.writeSegment(ids[0], b, 0)
	if err != nil {
		return err
	}
	if err := s.replace(ctx, list, in, []*written{w}); err != nil {
		return fmt.Errorf("merge %d segments of %d bytes: %w", len(in), b.RawSize(), err)
	}
	return nil
}

// replace puts segments that have the same records in the place of others, once
// what was written has been read back.
func (s *Store) replace(ctx context.Context, list []*sealed, in []string, out []*written) error {
	var ch catalog.Change
	ch.Remove = in
	event := ledger.Replaced{In: in}
	var rows int64
	for _, w := range out {
		if err := w.with(func(r *reading) error { return r.CheckTree(ctx) }); err != nil {
			return fmt.Errorf("read back segment %s: %w", w.info.ID, err)
		}
		rows += w.info.Rows
		ch.Add = append(ch.Add, w.info)
		event.Out = append(event.Out, s.ledgerSegment(w))
	}
	for _, p := range list {
		rows -= p.info.Rows
	}
	if rows != 0 {
		return fmt.Errorf("%d records too many were written", rows)
	}
	s.step("written")
	err := s.commit(ch, []ledger.Event{event}, func() {
		s.dismiss(list)
		for _, w := range out {
			s.addSegment(w.sealed)
		}
	})
	if err == nil {
		s.step("committed")
	}
	return err
}

// suspect keeps a segment that cannot be read out of further merges and records
// the damage. Its records are not touched: verify says what to do.
func (s *Store) suspect(p *sealed, err error) {
	if !seal.IsDamage(err) && !errors.Is(err, segment.ErrDamaged) {
		return
	}
	s.mu.Lock()
	known := p.broken
	p.broken = true
	s.mu.Unlock()
	if known {
		return
	}
	s.log.Error("a segment is damaged: run `trailward verify`", "segment", p.info.ID, "error", err)
	if err := s.commit(catalog.Change{}, []ledger.Event{ledger.Damage{What: "segment", Place: p.info.ID}}, nil); err != nil {
		s.log.Error("the damage could not be recorded", "error", err)
	}
}
