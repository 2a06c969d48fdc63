package test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trailward/test/judge"
)

// peak is the most memory that the server has had resident, in bytes.
func (s *server) peak() int64 {
	s.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skipf("no /proc here: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return kib << 10
		}
	}
	s.t.Fatal("/proc/PID/status has no VmHWM")
	return 0
}

// ackedWithin is the share of the batches that a server has stored which it acknowledged within a second
// from their header on: by its own clock, without what a client waits for a processor.
func (s *server) ackedWithin() string {
	s.t.Helper()
	_, body := s.get("/metrics")
	var within, all float64
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case `trailward_ingest_ack_seconds_bucket{le="1"}`:
			within = n
		case "trailward_ingest_ack_seconds_count":
			all = n
		}
	}
	return fmt.Sprintf("%.0f of %.0f within 1 s by its own clock", within, all)
}

// longLine is a record of n bytes that is like no other of the seed and does not compress well. It costs
// little to make, so that hundreds of senders do not mostly wait for each other.
func longLine(seed, i, n int) string {
	b := fmt.Appendf(make([]byte, 0, n+32), `{"seed":%d,"i":%d,"pad":"`, seed, i)
	x := uint64(seed*1_000_003 + i + 1)
	for len(b) < n-2 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		for shift := 60; shift >= 0; shift -= 4 {
			b = append(b, "0123456789abcdef"[x>>shift&15])
		}
	}
	return string(append(b, `"}`...))
}

// TestOverload sends records of a MiB over 200 connections to a server that is
// to live in 512 MiB, of which docs/keeping.md gives Go's heap 320: memory stays bounded, what is refused is refused by
// name, questions are answered, and what was acknowledged is there.
func TestOverload(t *testing.T) {
	const memory = 512 << 20
	batches := judge.Scale(t, "FAULT_OVERLOAD", 250)
	root := t.TempDir()
	data := root + "/store"
	s, ok := serveUnder(t, nil, []string{stateHome(root), fmt.Sprintf("GOMEMLIMIT=%d", memory*5/8)}, data)
	if !ok {
		t.Fatal(s.logged())
	}
	j := judge.New(15)
	judge.Run(t.Context(), j.Writers(1, 10), s.url, 1, nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	var acked, refused, answered atomic.Int64
	var waited offering // for the waits only
	ctx, cancel := context.WithCancel(t.Context())
	var askers sync.WaitGroup
	for range 2 {
		askers.Go(func() {
			for ctx.Err() == nil {
				if status, body := s.post("/v1/query", `{"query":"stats count(*) as n by @log","groups":["/judge/0"]}`); status == 200 && strings.Contains(body, `"n":"`) {
					answered.Add(1)
				} else if status != 429 {
					t.Errorf("a question under overload = %d %s, want it answered", status, body)
				}
			}
		})
	}
	var senders sync.WaitGroup
	next := make(chan int)
	for w := range 200 {
		senders.Go(func() {
			for i := range next {
				b := j.IssueLines(fmt.Sprintf("/long/%d", w%4), longLine(15, i, 1<<20))
				from := time.Now()
				o := j.Post(t.Context(), client, s.url, b)
				switch {
				case o.Acked():
					acked.Add(1)
					waited.mu.Lock()
					waited.waits = append(waited.waits, time.Since(from))
					waited.mu.Unlock()
				case gone(o.Err): // refused before the body was read: the answer may be lost on the way
					refused.Add(1)
				case o.Wrong != nil || o.Err != nil:
					t.Errorf("a batch under overload: %+v, want it taken or refused with 429 or 503", o)
				default:
					refused.Add(1)
				}
			}
		})
	}
	for i := range batches {
		next <- i
	}
	close(next)
	senders.Wait()
	cancel()
	askers.Wait()
	peak := s.peak()
	slices.Sort(waited.waits)
	t.Logf("%d batches of 1 MiB taken, %d refused; p50 %v, p99 %v, %s; %d questions answered; at most %d MiB resident",
		acked.Load(), refused.Load(), waited.wait(0.5), waited.wait(0.99), s.ackedWithin(), answered.Load(), peak>>20)
	if peak > memory {
		t.Errorf("the server had %d MiB resident, want at most %d", peak>>20, memory>>20)
	}
	if acked.Load() == 0 || answered.Load() == 0 {
		t.Errorf("%d batches taken and %d questions answered, want some of both", acked.Load(), answered.Load())
	}
	if err := j.Verdict(readServer(t, s)); err != nil {
		t.Error(err)
	}
	fresh(t, j, s)
	s.stop()
	verified(t, data, stateHome(root))
}

// used is the CPU time that the server has used, user and system.
func (s *server) used() time.Duration {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skipf("no /proc here: %v", err)
	}
	// The name, in parentheses, may hold spaces; utime and stime are the 12th and
	// 13th behind it, in hundredths of a second (proc(5), USER_HZ).
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, v := range f[11:13] {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// settled waits until the server has nothing left to do, by the CPU time that it uses:
// what is in the head by then is written by age alone, and nothing is being merged.
func (s *server) settled() {
	s.t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	last, quiet := s.used(), 0
	for giveUp := time.After(deadline); quiet < 5; {
		select {
		case <-again.C:
		case <-giveUp:
			s.t.Fatalf("the server is still at work after %v", deadline)
		}
		// Timers and the garbage collector always take a little.
		if now := s.used(); now-last > 20*time.Millisecond {
			quiet, last = 0, now
		} else {
			quiet, last = quiet+1, now
		}
	}
}

// leastShare is how much of what a second of CPU time is worth at best must be left when
// ten times as much comes (D15 of shared/reference/reliability-security.md).
const leastShare = 0.9

// TestNoCollapse offers more and more to servers of one kind, at last ten times what
// one can take, and compares what each takes for a second of its CPU time: what is
// spent on refusals and on having too much under way must not eat up what there is
// for records. Time itself is not compared, since the clients run on the same processors and
// others may: how much of it a server gets is not its own. Nor is the
// server's work put off: it counts until all is in segments. Each load has
// a server and a store of its own, so that none pays for what another left behind; they take
// turns, so that the machine's moods are alike for all.
func TestNoCollapse(t *testing.T) {
	if os.Getenv("FAULT_OVERLOAD") == "" {
		t.Skip("FAULT_OVERLOAD is not set: a fair comparison takes minutes")
	}
	const each = 16 // batches of 1 MiB, about a third of what a server takes of ten times as many
	// Each server is given as much as the one under overload takes. Merges come in steps that are
	// larger than what is looked for here, so each turn has groups of its own, in which there is
	// nothing to merge: whatever a batch costs in merges later, it costs whoever brought it.
	goal := int64(max(8*each, judge.Scale(t, "FAULT_OVERLOAD", 5000)/8))
	loads := []*offering{{connections: 4}, {connections: 8}, {connections: 200, batches: 10 * each}}
	for i, l := range loads {
		root := t.TempDir()
		l.t, l.state, l.data, l.j = t, stateHome(root), root+"/store", judge.New(18+uint64(i))
		l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.connections}}
		var ok bool
		if l.s, ok = serveUnder(t, nil, []string{l.state, "GOMEMLIMIT=320MiB"}, l.data); !ok {
			t.Fatal(l.s.logged())
		}
		l.offer(each)
		l.s.settled()
		l.began, l.took, l.refused, l.waits = l.s.used(), 0, 0, nil // without what a first batch costs once
	}
	calm, over := loads[:len(loads)-1], loads[len(loads)-1]
	for turn := 1; over.took < goal; turn++ {
		for _, l := range loads {
			l.turn = turn
		}
		over.offer(over.batches)
		for _, l := range calm {
			for l.took < over.took { // what one refuses it is given again
				l.offer(int(over.took - l.took))
			}
		}
	}
	best := 0.0
	for i, l := range loads {
		l.s.settled()
		cpu := l.s.used() - l.began
		worth := float64(l.took) / max(cpu.Seconds(), 0.01)
		slices.Sort(l.waits)
		t.Logf("%3d connections: %d batches of 1 MiB taken and %d refused in %v of CPU time and %v: %.1f a second of CPU time; p50 %v, p99 %v, %s; at most %d MiB resident",
			l.connections, l.took, l.refused, cpu, l.spent.Round(time.Millisecond), worth, l.wait(0.5), l.wait(0.99), l.s.ackedWithin(), l.s.peak()>>20)
		if i == len(loads)-1 {
			t.Logf("under ten times as much a second of CPU time takes %.2f of the peak", worth/best)
			if l.took == 0 || l.refused == 0 {
				t.Errorf("%d batches taken and %d refused of ten times as much, want some of both", l.took, l.refused)
			}
			if worth < leastShare*best {
				t.Errorf("under ten times as much a second of CPU time takes %.2f of what it takes at best, want at least %.2f", worth/best, leastShare)
			}
		}
		best = max(best, worth)
		if err := l.j.Verdict(readServer(t, l.s)); err != nil {
			t.Error(err)
		}
		l.s.stop()
		verified(t, l.data, l.state)
	}
}

// offering is a server with so much to do, and what became of that.
type offering struct {
	connections int
	batches     int // in a turn; 0: as many as another took

	t           *testing.T
	s           *server
	state, data string
	j           *judge.Judge
	client      *http.Client
	line, turn  int
	began       time.Duration // CPU time
	spent       time.Duration // in offer

	mu            sync.Mutex
	took, refused int64
	waits         []time.Duration // of what was taken
}

// offer sends batches over the connections, each as soon as the one before is answered,
// whatever Retry-After says.
func (l *offering) offer(batches int) {
	from := time.Now()
	next := make(chan int)
	var senders sync.WaitGroup
	for range l.connections {
		senders.Go(func() {
			for i := range next {
				b := l.j.IssueLines(fmt.Sprintf("/long/%d/%d", l.turn, i%4), longLine(18, i, 1<<20))
				from := time.Now()
				o := l.j.Post(l.t.Context(), l.client, l.s.url, b)
				l.mu.Lock()
				switch {
				case o.Acked():
					l.took++
					l.waits = append(l.waits, time.Since(from))
				case o.Wrong != nil || o.Err != nil && !gone(o.Err):
					l.t.Errorf("a batch: %+v, want it taken or refused with 429 or 503", o)
				default:
					l.refused++
				}
				l.mu.Unlock()
			}
		})
	}
	for range batches {
		l.line++
		next <- l.line
	}
	close(next)
	senders.Wait()
	l.spent += time.Since(from)
}

// wait is how long a share of the batches that were taken waited at most.
func (l *offering) wait(share float64) time.Duration {
	if len(l.waits) == 0 {
		return 0
	}
	return l.waits[int(share*float64(len(l.waits)-1))].Round(time.Millisecond)
}

// TestNoisyGroup floods one group over a hundred connections. What another sends
// meanwhile is taken too, and not after all that waits there.
func TestNoisyGroup(t *testing.T) {
	root := t.TempDir()
	s := serve(t, root+"/store")
	j := judge.New(16)
	quiet := j.Writers(1, 10)[0]
	n := judge.Scale(t, "FAULT_NOISY", 30)
	alone := time.Now()
	for range n {
		if o := quiet.Send(t.Context(), s.url); !o.Acked() {
			t.Fatalf("alone: %+v", o)
		}
	}
	took := time.Since(alone)
	ctx, cancel := context.WithCancel(t.Context())
	var noise sync.WaitGroup
	var flooded atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	body := strings.Repeat(longLine(16, 0, 200)+"\n", 100)
	for range 100 {
		noise.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/ingest?group=noisy", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					continue
				}
				resp.Body.Close()
				if resp.StatusCode == 200 {
					flooded.Add(1)
				}
				if resp.StatusCode/100 != 2 && resp.StatusCode != 429 && resp.StatusCode != 503 {
					t.Errorf("the noisy group is answered %d", resp.StatusCode)
				}
			}
		})
	}
	beside := time.Now()
	refused := 0
	for range n {
		for o := quiet.Send(t.Context(), s.url); !o.Acked(); o = quiet.Send(t.Context(), s.url) {
			if o.Wrong != nil || o.Err != nil {
				t.Fatalf("beside a flood: %+v", o)
			}
			if refused++; refused > 20*n {
				t.Fatalf("%d refusals of %d batches beside a flood", refused, n)
			}
		}
	}
	t.Logf("%d batches alone in %v; beside %d batches of a flood in %v, %d refused", n, took, flooded.Load(), time.Since(beside), refused)
	// Alone all were taken at the first try; the flood may cost a tenth of that.
	if refused > n/10 {
		t.Errorf("%d refusals of %d batches beside a flood, want at most a tenth", refused, n)
	}
	// In one line for all, a batch comes after the hundred of the flood.
	if each := flooded.Load() / int64(n); each > 60 {
		t.Errorf("%d batches of the flood were stored for one beside it, want about as many as are stored at once", each)
	}
	cancel()
	noise.Wait()
	if err := j.Verdict(readServer(t, s)); err != nil {
		t.Error(err)
	}
}

// TestHostileQuestions asks what would take all memory or all time. Each ends
// with its reason; the server goes on, and others are answered beside it.
func TestHostileQuestions(t *testing.T) {
	root := t.TempDir()
	s := serve(t, root+"/store")
	var lines strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&lines, `{"i":%d,"pad":%q}`+"\n", i, strings.Repeat("p", 100))
	}
	if status, body := s.post("/v1/ingest?group=g", lines.String()); status != 200 {
		t.Fatalf("POST /v1/ingest = %d %s", status, body)
	}
	for _, c := range []struct {
		name, route, query string
		status             []int
	}{
		{"a value of a gigabyte", "/v1/sql", `SELECT length(repeat('x', 1000000000)) AS n`, []int{200, 400}},
		{"values of a gigabyte in a row", "/v1/sql", `SELECT max(repeat("@message", 10000000)) AS n FROM logs`, []int{400}},
		{"a sort of more than fits", "/v1/sql", `SELECT repeat(a."@message", 100) AS x FROM logs a, logs b ORDER BY x DESC LIMIT 1000000`, []int{400, 504}},
		{"a list without end", "/v1/sql", `SELECT array_agg(repeat(a."@message", 10)) AS x FROM logs a, logs b`, []int{400, 504}},
		{"groups without end", "/v1/sql", `SELECT a."@message" AS x, b."@message" AS y, count(*) AS n FROM logs a, logs b GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 1`, []int{200, 400, 504}},
		{"a deep expression", "/v1/sql", `SELECT ` + strings.Repeat("(", 20_000) + `1` + strings.Repeat(")", 20_000) + ` AS n`, []int{400}},
		{"a deep expression in Insights", "/v1/query", `filter ` + strings.Repeat("(", 20_000) + `1=1` + strings.Repeat(")", 20_000), []int{400}},
		{"many alternatives", "/v1/query", `filter i in [` + strings.Repeat("1,", 100_000) + `1] | stats count(*)`, []int{200, 400, 413}},
		{"a pattern that backtracks", "/v1/query", `filter @message like /(p+)+(p+)+(p+)+$!/ | stats count(*) as n`, []int{200, 400}},
		{"a pattern that multiplies", "/v1/query", `filter @message like /((p{1,500}){1,500}){1,500}/ | stats count(*) as n`, []int{200, 400}},
		{"parse with a pattern that backtracks", "/v1/query", `parse @message /(?<x>(p*)*)(?<y>(p*)*)!/ | stats count(*) as n by x`, []int{200, 400}},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			status, body := s.post(c.route, fmt.Sprintf(`{"query":%q}`, c.query))
			ok := false
			for _, want := range c.status {
				ok = ok || status == want
			}
			if !ok || strings.Contains(body, "INTERNAL") || strings.Contains(body, "internal error") {
				t.Errorf("POST %s %.80s = %d %.300s, want one of %v", c.route, c.query, status, body, c.status)
			}
			t.Logf("%d after %v: %.150s", status, time.Since(began), body)
			if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 || body != `{"n":"3000"}`+"\n" {
				t.Errorf("the next question = %d %s, want 3000 records", status, body)
			}
		})
	}
	t.Logf("at most %d MiB resident", s.peak()>>20)
	t.Run("given up", func(t *testing.T) { // a client that goes away is a cancel
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		endless := func() {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/sql", strings.NewReader(`{"query":"SELECT count(*) AS n FROM logs a, logs b, logs c WHERE a.\"@message\" < b.\"@message\" || c.\"@message\""}`))
				if err != nil {
					t.Error(err)
					return
				}
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
				}
			})
		}
		// Three questions of one principal run at once, three more may wait.
		endless()
		endless()
		if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 {
			t.Errorf("beside cartesian products: %d %s", status, body)
		}
		for range 3 {
			endless()
		}
		cancel()
		wg.Wait()
		if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 {
			t.Errorf("after they were given up: %d %s", status, body)
		}
	})
}
