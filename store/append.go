package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"trailward"
	"trailward/shape"
	"trailward/store/catalog"
	"trailward/store/segment"
	"trailward/store/wal"
)

// CheckName reports what is wrong with the name of a group or stream. Names
// never become paths, so nothing but length and controls is refused.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s name is empty", what)
	case len(name) > MaxName:
		return fmt.Errorf("%s name has %d bytes, the limit is %d", what, len(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s name is not UTF-8", what)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s name has a control character", what)
	}
	return nil
}

// Batch is what one Append adds.
type Batch struct {
	Group   string
	Records []trailward.Record // their bytes are the caller's again when Append returns
	// ID makes sending the batch again safe: with Principal, Group and Stream
	// it names the batch, and Body is the hash of what was sent.
	ID, Principal, Stream string
	Body                  [32]byte
	// Taken is the records taken apart, as [Format].Taker's func would. Nil: Append
	// does it.
	Taken *TakenList
}

func (b *Batch) key() []byte {
	if b.ID == "" {
		return nil
	}
	var k []byte
	for _, p := range []string{b.Principal, b.Group, b.Stream, b.ID} {
		k = putString(k, p)
	}
	return k
}

// Result says what became of the records of a batch or load.
type Result struct {
	Records    int64 // new ones
	Bytes      int64 // of the new ones
	Duplicates int64 // stored before
	Conflicts  int64 // new ones whose natural key was known, with other content
	Kinds      map[trailward.Kind]int64
}

// add counts a new record, all but its kind.
func (r *Result) add(rec *trailward.Record, conflict bool) {
	r.Records++
	r.Bytes += int64(len(rec.Raw))
	if conflict {
		r.Conflicts++
	}
}

// addKind counts n new records of a kind.
func (r *Result) addKind(k trailward.Kind, n int) {
	if n == 0 {
		return
	}
	if r.Kinds == nil {
		r.Kinds = map[trailward.Kind]int64{}
	}
	r.Kinds[k] += int64(n)
}

// Append stores a batch. When it returns without an error the records are
// durable; with one, they may or may not be, and sending the batch again with
// its id is safe.
func (s *Store) Append(ctx context.Context, b *Batch) (Result, error) {
	var res Result
	if err := CheckName("group", b.Group); err != nil {
		return res, err
	}
	var size int
	for i := range b.Records {
		size += len(b.Records[i].Raw)
	}
	if size > wal.MaxEntryBytes {
		return res, fmt.Errorf("append %d bytes of records: %w", size, wal.ErrTooLarge)
	}
	if err := s.Accepting(); err != nil {
		return res, err // before the work is done for nothing
	}
	taken := b.Taken
	if taken == nil {
		taker := s.takers.Get().(*func(*trailward.Record) shape.Taken)
		taken = takeAll(b.Records, *taker)
		s.takers.Put(taker)
	}

	s.gate.RLock()
	defer s.gate.RUnlock()
	e := &entry{group: b.Group, batchKey: b.key(), body: b.Body, total: int64(len(b.Records)), arrival: s.accept()}
	fresh, held, err := s.admit(ctx, b, e, taken, &res)
	defer s.letGo(held)
	if err != nil {
		return Result{}, err
	}
	if fresh == nil {
		// Sent before. It was in the head, and thus durable, before it was seen.
		return res, nil
	}
	if len(fresh) > 0 || len(e.batchKey) > 0 {
		for _, i := range fresh {
			b.Records[i].Group, b.Records[i].Arrival = b.Group, e.arrival
		}
		e.records = b.Records
		if len(fresh) < len(b.Records) {
			e.records = make([]trailward.Record, len(fresh))
			for n, i := range fresh {
				e.records[n] = b.Records[i]
			}
		}
		bytes := e.encode(make([]byte, 0, size+entryRoom*(len(fresh)+8)))
		release, err := s.claim(int64(len(bytes)))
		if err != nil {
			return Result{}, err
		}
		_, err = s.wal.Append(ctx, bytes)
		release()
		if err != nil {
			if errors.Is(err, wal.ErrFailed) {
				s.fail(err)
			}
			return Result{}, walError(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var values [][]byte
	for _, i := range fresh {
		t := taken.at(i, values)
		values = t.Values
		s.addToHead(&b.Records[i], t)
	}
	if len(fresh) > 0 {
		s.spoke(b.Group, e.arrival)
		s.count(res.Records, res.Bytes)
	}
	if len(e.batchKey) > 0 {
		s.batches[string(e.batchKey)] = catalog.Batch{Key: e.batchKey, Body: e.body, Records: e.total, Accepted: e.arrival}
	}
	if s.headBytes >= s.opt.SealBytes {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	return res, nil
}

func walError(err error) error {
	switch {
	case errors.Is(err, wal.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, wal.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// admit decides which records of a batch are new. It returns their numbers,
// nil when the whole batch was sent before, and the keys that it holds against
// others until letGo. It waits for others that hold the same keys.
func (s *Store) admit(ctx context.Context, b *Batch, e *entry, taken *TakenList, res *Result) (fresh []int, held map[string]chan struct{}, err error) {
	keys := make([]string, len(b.Records)) // of those that have one
	var values [][]byte
	for i := range b.Records {
		r := &b.Records[i]
		paths := s.opt.Format.KeyPaths(r.Kind)
		if len(paths) == 0 {
			continue
		}
		t := taken.at(i, values)
		values = t.Values
		if k, ok := segment.KeyOf(paths, t); ok {
			keys[i] = "k" + string(r.Kind) + "\x00" + b.Group + "\x00" + k
		}
	}
	if held, err = s.holdKeys(ctx, e.batchKey, keys); err != nil {
		return nil, held, err
	}
	if len(e.batchKey) > 0 {
		s.mu.Lock()
		old, known := s.batches[string(e.batchKey)]
		s.mu.Unlock()
		if !known {
			if old, known, err = s.cat.Batch(e.batchKey); err != nil {
				return nil, held, err
			}
		}
		if known {
			if old.Body != e.body {
				return nil, held, ErrBatchConflict
			}
			res.Duplicates = int64(len(b.Records))
			return nil, held, nil
		}
	}
	fresh = make([]int, 0, len(b.Records))
	mine := map[string][]int{} // the batch's own new records by natural key, to find doubles within it
	for i := range b.Records {
		r := &b.Records[i]
		k := keys[i]
		if k == "" {
			fresh = append(fresh, i)
			res.add(r, false)
			continue
		}
		t := taken.at(i, values)
		values = t.Values
		key, content, err := s.same(b.Group, r, t)
		if err != nil {
			return nil, held, err
		}
		for _, j := range mine[k] {
			key, content = true, content || s.sameContent(r)(b.Records[j].Raw)
		}
		if content {
			res.Duplicates++
			continue
		}
		mine[k] = append(mine[k], i)
		fresh = append(fresh, i)
		res.add(r, key)
	}
	for _, i := range fresh {
		res.addKind(b.Records[i].Kind, 1)
	}
	return fresh, held, nil
}

// holdKeys holds a batch's own key and natural keys, of which some are empty,
// against others. Whoever meets a key that another holds gives up all that it
// holds, waits and begins anew, so that two batches cannot wait for each other.
func (s *Store) holdKeys(ctx context.Context, batchKey []byte, keys []string) (map[string]chan struct{}, error) {
	held := map[string]chan struct{}{}
	if len(batchKey) > 0 {
		keys = append([]string{"b" + string(batchKey)}, keys...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := s.takesRecords(); err != nil {
			return held, err
		}
		var wait chan struct{}
		for _, k := range keys {
			if k == "" || held[k] != nil {
				continue
			}
			if wait = s.inflight[k]; wait != nil {
				break
			}
			held[k] = make(chan struct{})
			s.inflight[k] = held[k]
		}
		if wait == nil {
			return held, nil
		}
		s.letGoLocked(held)
		s.mu.Unlock()
		select {
		case <-wait:
			s.mu.Lock()
		case <-ctx.Done():
			s.mu.Lock()
			return held, ctx.Err()
		}
	}
}

// Accepting says why Append would take no records now: [ErrClosed], [ErrNoSpace] or
// [ErrOverloaded]. A moment later that may be otherwise.
func (s *Store) Accepting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takesRecords()
}

// takesRecords says why no records are taken now. s.mu is held.
func (s *Store) takesRecords() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.failed != nil:
		return fmt.Errorf("%w: %w", ErrClosed, s.failed)
	case s.full:
		return ErrNoSpace
	case s.headBytes > maxHeads*s.opt.SealBytes:
		return ErrOverloaded
	}
	return nil
}

func (s *Store) letGo(held map[string]chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGoLocked(held)
}

func (s *Store) letGoLocked(held map[string]chan struct{}) {
	for k, ch := range held {
		close(ch)
		delete(s.inflight, k)
	}
	clear(held)
}

// sameContent returns what compares a stored record of r's key with r.
func (s *Store) sameContent(r *trailward.Record) func(raw []byte) bool {
	var want []byte // most keys are new: nothing is compared
	return func(raw []byte) bool {
		if want == nil {
			want = s.opt.Format.Content(r.Kind, r.Raw)
		}
		return string(s.opt.Format.Content(r.Kind, raw)) == string(want)
	}
}

// nearRows is how many stored records are looked through for a key beside those
// of the record's own time. The same record has the same time; only another one
// that is given the same key (a client may choose an Audit-ID) can have another, and is
// to be reported. It is told among the records nearest in time, in nearSegments
// segments at most, and among all that are not sealed yet: to ask all segments for each new record
// costs more the more there are. So a record without a time is looked for in the
// latest lateSegments segments.
const (
	nearRows     = 100_000
	nearSegments = 16
	lateSegments = 256
)

// same reports whether a record of r's natural key is stored in the group, and
// whether one of those has r's content. The caller holds the key, so that no
// such record comes between this look and what it does after it.
func (s *Store) same(group string, r *trailward.Record, t shape.Taken) (key, content bool, err error) {
	same := s.sameContent(r)
	seen := func(k, c bool) bool {
		key = key || k
		content = c
		return c
	}
	s.mu.Lock()
	if h := s.heads[headKey{group, r.Kind}]; h != nil {
		found := seen(h.active.Same(t, same))
		for i := 0; i < len(h.frozen) && !found; i++ {
			found = seen(h.frozen[i].b.Same(t, same))
		}
		if found {
			s.mu.Unlock()
			return key, content, nil
		}
	}
	for _, p := range s.sealing {
		if p.b.Group == group && p.b.Kind == r.Kind && seen(p.b.Same(t, same)) {
			s.mu.Unlock()
			return key, content, nil
		}
	}
	var list []*sealed
	for _, p := range s.groups[group].keyed(r) {
		list = append(list, p.hold())
	}
	s.mu.Unlock()
	if len(list) == 0 {
		return key, content, nil
	}
	// Reading segments may take long, and others need not wait for it.
	defer s.letGoSegments(list)
	for _, p := range list {
		var k, c bool
		err := p.with(func(rd *reading) error {
			k, c, err = rd.Same(t, same)
			return err
		})
		if err != nil {
			return key, false, fmt.Errorf("segment %s: %w", p.info.ID, err)
		}
		if seen(k, c) {
			return key, true, nil
		}
	}
	return key, false, nil
}
