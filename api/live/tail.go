package live

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"trailward"
	"trailward/match"
)

// Tail is one live tail. It is for one reader:
//
//	for {
//		select {
//		case <-t.Ready():
//			for _, item := range t.Take() { … }
//		case <-t.Done():
//			return
//		}
//	}
type Tail struct {
	hub     *Hub
	may     func(group string) bool
	pattern *match.Pattern // nil: all records
	key     string         // the pattern's text
	ready   chan struct{}
	done    chan struct{} // closed by the hub when it ends

	mu      sync.Mutex
	closed  bool
	items   []Item
	skipped int64  // records left out behind items
	taken   []Item // given out by the last Take
	at      int64  // the hub's window in which got were got
	got     int
}

// Item is a record, and what is missing before it.
type Item struct {
	// Skipped is how many records the tail may have missed here: matching ones
	// for which there was no room, and ones that were not looked at.
	Skipped int64
	Event   *Event // nil when nothing came after what was skipped
}

// Ready receives when there is something to take.
func (t *Tail) Ready() <-chan struct{} { return t.ready }

// Done is closed when the hub ends.
func (t *Tail) Done() <-chan struct{} { return t.done }

// Take returns what has come since the call before, in order. It is good until
// the next call of Take or Close.
func (t *Tail) Take() []Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	spent := t.taken
	t.taken = t.items
	if t.skipped > 0 {
		t.taken = append(t.taken, Item{Skipped: t.skipped})
		t.skipped = 0
	}
	t.free(spent)
	clear(spent)
	t.items = spent[:0]
	return t.taken
}

// Close ends the tail. It may be called again.
func (t *Tail) Close() {
	t.hub.remove(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.free(t.items)
	t.free(t.taken)
	t.items, t.taken, t.skipped = nil, nil, 0
}

// free gives back the memory that items were counted with.
func (t *Tail) free(items []Item) {
	for _, it := range items {
		if it.Event != nil && it.Event.users.Add(-1) == 0 {
			t.hub.held.Add(-it.Event.cost)
		}
	}
}

// put adds the records numbered in hits, as many as there is room for and as the
// tail may get in this window; the others, and left more, are skipped. It gives
// how many were added, and false for a tail that is closed.
func (t *Tail) put(window int64, share int, hits []int, left int, event func(int) *Event) (n int, ok bool) {
	if len(hits)+left == 0 {
		return 0, true
	}
	defer t.signal()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, false
	}
	if t.at != window {
		t.at, t.got = window, 0
	}
	room := min(len(hits), share-t.got, t.hub.opts.TailRecords-len(t.items))
	for n < room {
		e := event(hits[n])
		if e.users.Add(1) == 1 && t.hub.held.Add(e.cost) > t.hub.opts.Memory {
			if e.users.Add(-1) == 0 {
				t.hub.held.Add(-e.cost)
			}
			break
		}
		t.items = append(t.items, Item{Skipped: t.skipped, Event: e})
		t.skipped = 0
		n++
	}
	t.got += n
	t.skipped += int64(len(hits) - n + left)
	return n, true
}

// skip counts records that the tail did not get.
func (t *Tail) skip(n int64) {
	t.mu.Lock()
	if !t.closed {
		t.skipped += n
	}
	t.mu.Unlock()
	t.signal()
}

func (t *Tail) signal() {
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

// Event is a record that was stored, shared by all tails that get it.
type Event struct {
	Record trailward.Record // must not be changed

	cost  int64
	users atomic.Int64 // tails that hold it
	once  sync.Once
	json  []byte
}

func newEvent(r *trailward.Record) *Event {
	e := &Event{Record: *r, cost: 2*int64(len(r.Raw)) + recordCost}
	e.Record.Raw = bytes.Clone(r.Raw) // of the batch, only what somebody wants is kept
	return e
}

// line is the JSON of a record.
type line struct {
	Time    string            `json:"time"`
	Arrival string            `json:"arrival"`
	Group   string            `json:"group"`
	Stream  string            `json:"stream"`
	Kind    trailward.Kind    `json:"kind"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Message string            `json:"message"`
	Raw     string            `json:"raw,omitempty"`
}

// JSON returns the record as one JSON object and a line feed: time (of the
// event) and arrival in RFC 3339, group, stream, kind, attrs, and message. A
// message that is not UTF-8 has U+FFFD where it is not, and its exact bytes in
// base64 in raw. It is made once for all tails and must not be changed.
func (e *Event) JSON() []byte {
	e.once.Do(func() {
		r := &e.Record
		l := line{
			Time: rfc3339(r.Time), Arrival: rfc3339(r.Arrival), Group: r.Group, Stream: r.Stream, Kind: r.Kind, Message: string(r.Raw),
		}
		if len(r.Attrs) > 0 {
			l.Attrs = make(map[string]string, len(r.Attrs))
			for _, a := range r.Attrs {
				l.Attrs[a.Name] = a.Value
			}
		}
		if !utf8.Valid(r.Raw) {
			l.Raw = base64.StdEncoding.EncodeToString(r.Raw)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		// A struct of strings can always be written.
		_ = enc.Encode(l)
		e.json = b.Bytes()
	})
	return e.json
}

func rfc3339(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
