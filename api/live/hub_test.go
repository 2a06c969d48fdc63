package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trailward"
	"trailward/match"
)

func newHub(t *testing.T, opts Options) *Hub {
	t.Helper()
	h, err := NewHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func pattern(t *testing.T, text string) *match.Pattern {
	t.Helper()
	p, err := match.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func subscribe(t *testing.T, h *Hub, group, text string) *Tail {
	t.Helper()
	tail, err := h.Subscribe(func(g string) bool { return group == "" || g == group }, pattern(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	return tail
}

func records(group string, texts ...string) []trailward.Record {
	out := make([]trailward.Record, len(texts))
	for i, s := range texts {
		out[i] = trailward.Record{Group: group, Stream: "s", Kind: trailward.KindText, Time: 1e18, Arrival: 2e18, Raw: []byte(s)}
	}
	return out
}

// show is what a tail has got: its records, and +N for what was skipped.
func show(t *Tail) string {
	var out []string
	for _, it := range t.Take() {
		if it.Skipped > 0 {
			out = append(out, fmt.Sprint("+", it.Skipped))
		}
		if it.Event != nil {
			out = append(out, string(it.Event.Record.Raw))
		}
	}
	return strings.Join(out, " ")
}

func TestTailsGetTheirRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		all := subscribe(t, h, "", "")
		ones := subscribe(t, h, "a", "1")
		same := subscribe(t, h, "", "1")
		none := subscribe(t, h, "c", "")
		raw := records("a", "a1", "a2")
		h.Publish("a", raw)
		copy(raw[0].Raw, "XX") // it is intake's again
		h.Publish("b", records("b", "b1", "b2"))
		synctest.Wait()
		for _, tt := range []struct {
			name string
			tail *Tail
			want string
		}{{"all", all, "a1 a2 b1 b2"}, {"group and pattern", ones, "a1"}, {"pattern", same, "a1 b1"}, {"another group", none, ""}} {
			if got := show(tt.tail); got != tt.want {
				t.Errorf("%s: Take() = %s, want %s", tt.name, got, tt.want)
			}
		}
		h.Publish("a", records("a", "a1"))
		synctest.Wait()
		x, y := all.Take(), same.Take()
		if len(x) != 1 || len(y) != 1 || x[0].Event != y[0].Event {
			t.Errorf("two tails got %v and %v, want the same record", x, y)
		}
	})
}

// TestSlowTail: who does not read misses records and is told how many, and
// nobody else is touched.
func TestSlowTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{TailRecords: 3})
		slow, fast := subscribe(t, h, "g", ""), subscribe(t, h, "g", "")
		for i := range 10 {
			h.Publish("g", records("g", fmt.Sprint(i)))
			synctest.Wait()
			if got := show(fast); got != fmt.Sprint(i) {
				t.Errorf("Take() of the fast tail = %s, want %d", got, i)
			}
		}
		if got, want := show(slow), "0 1 2 +7"; got != want {
			t.Errorf("Take() of the slow tail = %s, want %s", got, want)
		}
		h.Publish("g", records("g", "a", "b", "c", "d"))
		synctest.Wait()
		if got, want := show(slow), "a b c +1"; got != want {
			t.Errorf("Take() = %s, want %s", got, want)
		}
		h.Publish("g", records("g", "e"))
		synctest.Wait()
		if got, want := show(slow), "e"; got != want {
			t.Errorf("Take() = %s, want %s", got, want)
		}
	})
}

// TestThousandsOfTails: as many as there may be, none of which reads, do not make
// a publisher wait, and each accounts for every record.
func TestThousandsOfTails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		tails := make([]*Tail, DefaultMaxTails)
		for i := range tails {
			tails[i] = subscribe(t, h, "g", []string{"", "record", "-nothing"}[i%3])
		}
		if _, err := h.Subscribe(func(string) bool { return true }, nil); !errors.Is(err, ErrTooMany) {
			t.Errorf("Subscribe() beyond %d = %v, want %v", len(tails), err, ErrTooMany)
		}
		const batches, per = 20, 25
		began := time.Now() // of the bubble: it stands still unless everybody waits
		for i := range batches {
			texts := make([]string, per)
			for j := range texts {
				texts[j] = fmt.Sprint("record ", i, j)
			}
			h.Publish("g", records("g", texts...))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Publish() waited %v, want not at all", waited)
		}
		time.Sleep(time.Minute) // of the bubble: whatever is rationed by time has come
		synctest.Wait()
		for i, tail := range tails {
			got := int64(0)
			for _, it := range tail.Take() {
				got += it.Skipped
				if it.Event != nil {
					got++
				}
			}
			if got != batches*per {
				t.Fatalf("tail %d got and missed %d records, want %d", i, got, batches*per)
			}
		}
	})
}

// TestFullQueue: what does not fit into the queue is counted to all tails of
// its group.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{QueueBytes: 3 * (recordCost + 1)})
		tail, other := subscribe(t, h, "g", ""), subscribe(t, h, "other", "")
		h.Publish("g", records("g", "1", "2", "3", "4", "5"))
		synctest.Wait()
		if got, want := show(tail), "1 2 3 +2"; got != want {
			t.Errorf("Take() = %s, want %s", got, want)
		}
		h.Publish("g", records("g", strings.Repeat("x", 1<<20)))
		synctest.Wait()
		if got, want := show(tail), "+1"; got != want {
			t.Errorf("Take() = %s, want %s", got, want)
		}
		if got := show(other); got != "" {
			t.Errorf("Take() of another group = %s, want nothing", got)
		}
		if s := h.Stats(); s.Queued != 0 || s.Skipped != 3 {
			t.Errorf("Stats() = %+v, want nothing queued and 3 skipped", s)
		}
	})
}

// TestMemory: all tails together hold no more than they may, and give it back.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cost = 2*100 + recordCost
		h := newHub(t, Options{Memory: 5 * cost})
		a, b := subscribe(t, h, "g", ""), subscribe(t, h, "g", "")
		for range 8 {
			h.Publish("g", records("g", strings.Repeat("x", 100)))
		}
		synctest.Wait()
		if s := h.Stats(); s.Held != 5*cost {
			t.Errorf("Stats().Held = %d, want %d: a record that two tails hold counts once", s.Held, 5*cost)
		}
		for _, tail := range []*Tail{a, b} {
			items := tail.Take()
			if n := len(items); n != 6 || items[5].Skipped != 3 {
				t.Errorf("Take() gave %d items, the last of which skips %d, want 6 and 3", n, items[n-1].Skipped)
			}
		}
		if s := h.Stats(); s.Held != 5*cost {
			t.Errorf("Stats().Held = %d while the records are being written, want %d", s.Held, 5*cost)
		}
		a.Take()
		b.Close()
		if s := h.Stats(); s.Held != 0 {
			t.Errorf("Stats().Held = %d, want 0", s.Held)
		}
	})
}

// TestRate: all tails together get so many records in a window, in equal shares.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{Rate: 40 * int(time.Second/window)})
		a, b := subscribe(t, h, "g", ""), subscribe(t, h, "g", "x")
		texts := strings.Split(strings.Repeat("x ", 15)+"y", " ")
		publish := func(want int, skipped int64) {
			t.Helper()
			h.Publish("g", records("g", texts...))
			synctest.Wait()
			items := a.Take()
			got, missed := 0, int64(0)
			for _, it := range items {
				missed += it.Skipped
				if it.Event != nil {
					got++
				}
			}
			if got != want || missed != skipped {
				t.Errorf("a tail got %d records and missed %d, want %d and %d", got, missed, want, skipped)
			}
			b.Take()
		}
		publish(16, 0)
		publish(4, 12)
		publish(0, 16)
		time.Sleep(window) // of the bubble's time
		publish(16, 0)
		b.Close() // and its share is the other's
		publish(16, 0)
		publish(8, 8)
	})
}

func TestLimitsAndEnd(t *testing.T) {
	h, err := NewHub(Options{MaxTails: 1})
	if err != nil {
		t.Fatal(err)
	}
	tail := subscribe(t, h, "g", "")
	if _, err := h.Subscribe(func(string) bool { return true }, nil); !errors.Is(err, ErrTooMany) {
		t.Errorf("Subscribe() beyond the limit = %v, want %v", err, ErrTooMany)
	}
	tail.Close()
	tail = subscribe(t, h, "g", "")
	h.Close()
	<-tail.Done()
	h.Publish("g", records("g", "late"))
	tail.Close()
	tail.Close()
	h.Close()
	if _, err := h.Subscribe(func(string) bool { return true }, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe() after Close() = %v, want %v", err, ErrClosed)
	}
	if _, err := NewHub(Options{Memory: -1}); err == nil {
		t.Error("NewHub() with a negative limit = nil, want an error")
	}
}

// TestPublishWithoutTails: intake pays nothing for tails of other groups.
func TestPublishWithoutTails(t *testing.T) {
	h := newHub(t, Options{})
	subscribe(t, h, "other", "")
	batch := records("g", "1", "2")
	h.Publish("g", batch)
	if n := testing.AllocsPerRun(100, func() { h.Publish("g", batch) }); n != 0 {
		t.Errorf("Publish() to nobody allocates %v times, want 0", n)
	}
}

// TestAccounts: while tails come and go and many publish, what a tail gets and
// what it is told to have missed are together what was published.
func TestAccounts(t *testing.T) {
	h := newHub(t, Options{TailRecords: 50, QueueBytes: 64 << 10})
	const tails, publishers, batches, per = 20, 4, 200, 10
	var readers, writers, churn sync.WaitGroup
	stopChurn := make(chan struct{})
	for i := range tails {
		tail := subscribe(t, h, "g", "")
		readers.Go(func() {
			got := int64(0)
			for got < publishers*batches*per {
				<-tail.Ready()
				for _, it := range tail.Take() {
					got += it.Skipped
					if it.Event != nil {
						got++
						it.Event.JSON()
					}
				}
			}
			if got != publishers*batches*per {
				t.Errorf("tail %d got %d records and skips, want %d", i, got, publishers*batches*per)
			}
		})
	}
	churn.Go(func() {
		for {
			select {
			case <-stopChurn:
				return
			default:
			}
			tail, err := h.Subscribe(func(string) bool { return true }, nil)
			if err != nil {
				t.Error(err)
				return
			}
			tail.Take()
			tail.Close()
		}
	})
	for range publishers {
		writers.Go(func() {
			for i := range batches {
				texts := make([]string, per)
				for j := range texts {
					texts[j] = fmt.Sprint(i, j)
				}
				h.Publish("g", records("g", texts...))
			}
		})
	}
	writers.Wait()
	readers.Wait()
	close(stopChurn)
	churn.Wait()
	if s := h.Stats(); s.Queued != 0 {
		t.Errorf("Stats() = %+v, want nothing queued", s)
	}
}

func TestEventJSON(t *testing.T) {
	tests := []struct {
		name   string
		record trailward.Record
		want   string
	}{
		{"text", trailward.Record{Group: "g", Stream: "s", Kind: "text", Time: 1, Arrival: 1e9, Raw: []byte("<a>\n\"b\"")},
			`{"time":"1970-01-01T00:00:00.000000001Z","arrival":"1970-01-01T00:00:01Z","group":"g","stream":"s","kind":"text","message":"<a>\n\"b\""}`},
		{"no text", trailward.Record{Raw: []byte("a\xff")},
			`{"time":"1970-01-01T00:00:00Z","arrival":"1970-01-01T00:00:00Z","group":"","stream":"","kind":"","message":"a\ufffd","raw":"Yf8="}`},
		{"attributes", trailward.Record{Raw: []byte("x"), Attrs: []trailward.Attr{{Name: "stream", Value: "stderr"}}},
			`{"time":"1970-01-01T00:00:00Z","arrival":"1970-01-01T00:00:00Z","group":"","stream":"","kind":"","attrs":{"stream":"stderr"},"message":"x"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(newEvent(&tt.record).JSON())
			if got != tt.want+"\n" || !json.Valid([]byte(got)) {
				t.Errorf("JSON() = %s, want %s", got, tt.want)
			}
		})
	}
}

// BenchmarkTails is intake's cost, and the hub's, of a batch with many tails.
func BenchmarkTails(b *testing.B) {
	for _, n := range []int{1, 100, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, err := NewHub(Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			p, err := match.Compile("x9")
			if err != nil {
				b.Fatal(err)
			}
			for range n {
				t, err := h.Subscribe(func(string) bool { return true }, p)
				if err != nil {
					b.Fatal(err)
				}
				defer t.Close()
			}
			batch := make([]trailward.Record, 1000)
			for i := range batch {
				batch[i].Raw = fmt.Appendf(nil, "a record of some length with the number x%d in it, as they are", i)
			}
			for b.Loop() {
				h.Publish("g", batch)
			}
		})
	}
}
