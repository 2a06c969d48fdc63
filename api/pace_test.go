package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"trailward/internal/clock/clocktest"
)

const mib = 1 << 20

// paceOf is a pace of a clock that a test moves, and a rate that is taken as measured.
func paceOf(rate float64) (*pace, *clocktest.Clock) {
	clock := clocktest.New(time.Unix(1_700_000_000, 0))
	p := newPace(700*time.Millisecond, clock.Now)
	p.rate = rate
	return p, clock
}

// What would wait for too long is turned away, and as soon as enough is stored it is
// taken. What finds nothing before it is always taken.
func TestPaceBounds(t *testing.T) {
	p, _ := paceOf(10 * mib)
	var leaves []func(bool)
	for range 7 {
		leave, late := p.enter("a", mib)
		if late > 0 {
			t.Fatalf("batch %d of 1 MiB of 7 that are stored in 700 ms is late by %v", len(leaves)+1, late)
		}
		leaves = append(leaves, leave)
	}
	if got, want := p.late("a", mib), 100*time.Millisecond; got != want {
		t.Errorf("late() of an eighth = %v, want %v", got, want)
	}
	if _, late := p.enter("a", mib); late != 100*time.Millisecond {
		t.Errorf("enter() of an eighth is late by %v, want 100ms", late)
	}
	if p.total != 7*mib {
		t.Errorf("%d bytes are under way, want those of seven batches: one that is late counts no more", p.total)
	}
	leaves[0](true)
	if late := p.late("a", mib); late > 0 {
		t.Errorf("with six under way a seventh is late by %v, want it taken", late)
	}
	for _, leave := range leaves[1:] {
		leave(true)
	}
	p.rate = leastPace
	leaves = nil
	for n := range paceFew {
		leave, late := p.enter("a", 32*mib)
		if late > 0 {
			t.Fatalf("batch %d of 32 MiB over few connections is late by %v, want it taken", n+1, late)
		}
		leaves = append(leaves, leave)
	}
	if late := p.late("a", 1); late == 0 {
		t.Error("one more of them is in time, want it late")
	}
	for _, leave := range leaves {
		leave(true)
	}
	if late := p.late("a", 1<<30); late != 0 {
		t.Errorf("with nothing under way a batch is late by %v, want it taken whatever its size", late)
	}
	if len(p.under) != 0 || p.total != 0 {
		t.Errorf("in the end %v and %d bytes are under way, want none", p.under, p.total)
	}
}

// A group waits for its own bytes and for as many of each other, so that the flood in one
// turns away none of another, and many groups together have no more than the bound.
func TestPaceOfGroups(t *testing.T) {
	p, _ := paceOf(10 * mib)
	for p.late("noisy", mib) == 0 {
		p.force("noisy", mib)
	}
	for _, c := range []struct {
		n    int64
		late bool
	}{{-1, false}, {0, false}, {1000, false}, {mib, false}, {32 * mib, false}} {
		if late := p.late("quiet", c.n); late > 0 {
			t.Errorf("%d bytes of a quiet group beside a flood are late by %v, want them taken", c.n, late)
		}
	}
	// Audit batches are stored however late: another group still waits for no more of them than it has itself.
	p.force("noisy", 500*mib)
	if late := p.late("quiet", mib); late > 0 {
		t.Errorf("beside 500 MiB more the quiet group is late by %v, want it taken", late)
	}

	p, _ = paceOf(10 * mib)
	taken := 0
	for i := range 400 {
		if _, late := p.enter(fmt.Sprint("group", i%4), mib); late == 0 {
			taken++
		}
	}
	if taken < 6 || taken > 8 {
		t.Errorf("%d batches of 1 MiB of four groups are taken at once, want about the 7 that are stored in 700 ms", taken)
	}
}

// The rate follows what is stored when there is enough to do, and is neither lowered nor raised by those
// who send little.
func TestPaceRate(t *testing.T) {
	p, clock := paceOf(firstPace)
	var line []func(bool)
	run := func(batches int, each time.Duration) { // with as much under way as is let in
		for range batches {
			for {
				leave, late := p.enter("a", mib)
				if late > 0 {
					break
				}
				line = append(line, leave)
			}
			clock.Advance(each)
			line[0](true)
			line = line[1:]
		}
	}
	run(100, 100*time.Millisecond)
	if got := p.rate / mib; got < 9 || got > 11 {
		t.Errorf("after 100 batches of 1 MiB, each in 100 ms, the rate is %.2f MiB/s, want about 10", got)
	}
	if len(line) > 7 {
		t.Errorf("%d batches are under way, want no more than the 7 that are stored in 700 ms", len(line))
	}
	run(300, 25*time.Millisecond) // faster again
	if got := p.rate / mib; got < 36 || got > 44 {
		t.Errorf("after batches in 25 ms the rate is %.2f MiB/s, want about 40", got)
	}
	run(1, time.Hour) // the store stands still
	if p.rate < 34*mib {
		t.Errorf("after one hour without a batch the rate is %.2f MiB/s, want seven eighths of 40", p.rate/mib)
	}
	run(100, time.Minute)
	if p.rate != leastPace {
		t.Errorf("with a batch a minute the rate is %.2f MiB/s, want %d", p.rate/mib, leastPace/mib)
	}
	run(200, 100*time.Millisecond) // and recovers
	if got := p.rate / mib; got < 9 || got > 11 {
		t.Errorf("after 200 batches in 100 ms the rate is %.2f MiB/s, want about 10", got)
	}
	for _, leave := range line {
		leave(false)
	}

	for _, c := range []struct {
		name string
		n    int64
		took time.Duration
	}{{"small, one after another", 1000, 5 * time.Millisecond}, {"small and quick", 1000, time.Microsecond}, {"alone and quick", mib, time.Millisecond}} {
		p, clock := paceOf(10 * mib)
		for range 100 {
			leave, _ := p.enter("a", c.n)
			clock.Advance(c.took)
			leave(true)
		}
		if p.rate != 10*mib {
			t.Errorf("%s: the rate is %.2f MiB/s, want it as it was", c.name, p.rate/mib)
		}
	}
	// A batch that comes before the flood of another group says nothing of the time that the flood takes.
	p, clock = paceOf(10 * mib)
	flood := p.force("noisy", 100*mib)
	for range 100 {
		leave, _ := p.enter("quiet", 1000)
		clock.Advance(time.Millisecond)
		leave(true)
	}
	if p.rate != 10*mib {
		t.Errorf("after a quiet group's batches the rate is %.2f MiB/s, want it as it was", p.rate/mib)
	}
	clock.Advance(time.Hour)
	flood(false)
	if p.rate != 10*mib {
		t.Errorf("after a batch that was not stored the rate is %.2f MiB/s, want it as it was", p.rate/mib)
	}
}

// Over HTTP: 429 with Retry-After, before the body is read and after; another group and the audit webhook
// are taken; and afterwards nothing is left.
func TestLateBatches(t *testing.T) {
	began, gate := make(chan struct{}, 8), make(chan struct{})
	f := &fakeStore{onIngest: func(_ context.Context, r IngestRequest) error {
		if r.Group == "slow" {
			began <- struct{}{}
			<-gate
		}
		return nil
	}}
	deps := f.deps()
	deps.Now = clocktest.New(time.Unix(1_700_000_000, 0)).Now
	s := start(t, Config{}, deps)
	s.pace.rate = leastPace // a MiB takes a second
	body := strings.Repeat(strings.Repeat("x", 1023)+"\n", 1024)
	first := make(chan int, paceFew)
	for i := range paceFew {
		piece := body[len(body)/2/paceFew*i:][:len(body)/2/paceFew]
		go func() {
			resp, _ := ask(t, s, "POST", "/v1/ingest?group=slow", strings.NewReader(piece))
			first <- resp.StatusCode
		}()
	}
	for range paceFew {
		<-began
	}
	// Announced, and refused before it is read; not announced (io.MultiReader hides the length), and refused after.
	for _, b := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} {
		resp, out := ask(t, s, "POST", "/v1/ingest?group=slow", b)
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" || !strings.Contains(out, "too much is waiting to be stored") {
			t.Errorf("a batch that would take 1.5 s = %d, Retry-After %q, %s, want 429 and 1", resp.StatusCode, resp.Header.Get("Retry-After"), out)
		}
	}
	if resp, out := ask(t, s, "POST", "/v1/ingest?group=quick", strings.NewReader("a\n")); resp.StatusCode != 200 {
		t.Errorf("a small batch of another group = %d %s, want it taken", resp.StatusCode, out)
	}
	hook := make(chan int, 1)
	go func() {
		resp, _ := ask(t, s, "POST", "/v1/kubernetes/audit/slow?group=slow", strings.NewReader(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"kind":"Event","auditID":"a"}]}`))
		hook <- resp.StatusCode
	}()
	close(gate)
	for range paceFew {
		if got := <-first; got != 200 {
			t.Errorf("a batch before = %d, want it taken", got)
		}
	}
	if got := <-hook; got != 200 {
		t.Errorf("the audit webhook = %d, want it taken", got)
	}
	if resp, out := ask(t, s, "POST", "/v1/ingest?group=slow", strings.NewReader(body)); resp.StatusCode != 200 {
		t.Errorf("with nothing before it a batch = %d %s, want it taken", resp.StatusCode, out)
	}
	want := fmt.Sprintf("\ntrailward_ingest_ack_seconds_count %d\n", paceFew+2)
	if _, out := ask(t, s, "GET", "/metrics", nil); !strings.Contains(out, want) {
		t.Errorf("trailward_ingest_ack_seconds is not of the %d batches that were stored: %s", paceFew+2, out)
	}
}
