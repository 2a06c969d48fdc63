package verifier

import (
	"fmt"
	"sort"
	"time"

	"trailward/store/ledger"
)

// entrySegment is a segment as an entry of the ledger has it.
type entrySegment struct {
	ledger.Segment
	entry uint64
}

// book keeps account of what must exist, as the ledger's entries go by.
type book struct {
	present map[string]Object // what is there
	listed  map[string]bool   // what has a row in the catalog
	live    map[string]*entrySegment
	retired map[string]string // how segments went that are there all the same
	held    map[ledger.Hash]bool
	doubts  map[string][]Finding // by segment; void if it went meanwhile

	end   int64     // of the last entry read in the file of entries
	next  uint64    // number of the entry after it
	time  int64     // the ledger's, of the last entry
	last  time.Time // the clock's, of the last entry
	clean bool      // the last entry is that of a good end
	lost  uint64    // entries that cannot be read
	blind bool      // nothing of the ledger can be read
}

func newBook(present map[string]Object) *book {
	return &book{
		present: present, listed: map[string]bool{}, live: map[string]*entrySegment{}, retired: map[string]string{},
		held: map[ledger.Hash]bool{}, doubts: map[string][]Finding{},
	}
}

// enter takes an entry into account and returns what cannot be true in it.
func (b *book) enter(e *ledger.Entry) (out []Finding) {
	unfit := func(format string, args ...any) {
		out = append(out, Finding{Unfit, fmt.Sprintf("ledger entry %d", e.Number), fmt.Sprintf(format, args...),
			"the program that wrote it was wrong, or was not ours: keep a copy of the store, and report it"})
	}
	if e.Time < b.time {
		unfit("its time is before that of the entry before it")
	}
	b.time, b.last, b.clean = e.Time, e.ClockTime(), false
	switch ev := e.Event.(type) {
	case ledger.Added:
		if b.live[ev.ID] != nil {
			unfit("the segment %s is added a second time", ev.ID)
		}
		b.live[ev.ID] = &entrySegment{ev.Segment, e.Number}
	case ledger.Replaced:
		var in, out int64
		for _, id := range ev.In {
			s := b.live[id]
			if s == nil {
				if b.lost == 0 {
					unfit("the segment %s is replaced, which is not there", id)
				}
				in = -1
				continue
			}
			if in >= 0 {
				in += s.Rows
			}
			b.retire(id, fmt.Sprintf("replaced by entry %d", e.Number))
		}
		for i := range ev.Out {
			if b.live[ev.Out[i].ID] != nil {
				unfit("the segment %s is added a second time", ev.Out[i].ID)
			}
			b.live[ev.Out[i].ID] = &entrySegment{ev.Out[i], e.Number}
			out += ev.Out[i].Rows
		}
		if in >= 0 && in != out {
			unfit("%d records became %d", in, out)
		}
	case ledger.Expired:
		s := b.live[ev.ID]
		switch {
		case s == nil && b.lost == 0:
			unfit("the segment %s is deleted, which is not there", ev.ID)
		case s == nil:
		case s.Group != ev.Group:
			unfit("the segment %s is deleted as one of another group", ev.ID)
		case b.held[s.Group]:
			unfit("the segment %s is deleted although its group was under hold", ev.ID)
		case ev.Reason == ledger.ReasonRetention && early(s.LastArrival, ev.Retention, e.Time):
			unfit("the segment %s is deleted before its retention was over", ev.ID)
		}
		b.retire(ev.ID, fmt.Sprintf("deleted by entry %d", e.Number))
	case ledger.Hold:
		if ev.Set {
			b.held[ev.Group] = true
		} else {
			delete(b.held, ev.Group)
		}
	case ledger.Stopped:
		b.clean = true
	}
	return out
}

// early reports whether a retention in seconds, from an arrival on, is not over
// at the time given.
func early(arrival, seconds, now int64) bool {
	if now < arrival {
		return true
	}
	return (now-arrival)/int64(time.Second) < seconds
}

func (b *book) retire(id, how string) {
	delete(b.live, id)
	if _, there := b.present[id]; there || b.doubts[id] != nil {
		b.retired[id] = how
	}
}

// ids returns the ids of the live segments, sorted.
func (b *book) ids() []string { return sortedKeys(b.live) }

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// strange returns the objects that belong to no live segment, sorted.
func (b *book) strange() (out []Object) {
	for _, key := range sortedKeys(b.present) {
		o := b.present[key]
		if o.ID == "" || b.live[o.ID] == nil && !b.listed[o.ID] {
			out = append(out, o)
		}
	}
	return out
}
