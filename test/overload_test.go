package test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
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

// longLine is a record of n bytes that is like no other of the seed and does not compress well.
func longLine(seed, i, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"seed":%d,"i":%d,"pad":"`, seed, i)
	x := uint64(seed*1_000_003 + i + 1)
	for b.Len() < n-2 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%016x", x)
	}
	b.WriteString(`"}`)
	return b.String()
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
				o := j.Post(t.Context(), client, s.url, b)
				switch {
				case o.Acked():
					acked.Add(1)
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
	t.Logf("%d batches of 1 MiB taken, %d refused; %d questions answered; at most %d MiB resident", acked.Load(), refused.Load(), answered.Load(), peak>>20)
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

// drained waits until what the server has in memory is so little that it writes no
// segment of it.
func (s *server) drained() {
	s.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.After(deadline); ; {
		_, text := s.get("/metrics")
		m := headGauge.FindStringSubmatch(text)
		if m == nil {
			s.t.Fatalf("no bytes of the head in %.300s", text)
		}
		if n, err := strconv.ParseFloat(m[1], 64); err != nil || n < 10<<20 { // a seal is due from there on
			return
		}
		select {
		case <-again.C:
		case <-giveUp:
			s.t.Fatalf("the head still has %s bytes after %v", m[1], deadline)
		}
	}
}

var headGauge = regexp.MustCompile(`(?m)^trailward_store_head_bytes (\S+)$`)

// leastShare is how much of what a second of CPU time is worth must be left when
// ten times as much comes.
const leastShare = 0.7

// TestNoCollapse offers what a server takes easily and ten times as much in turns,
// and compares what it takes for each second of its CPU time: what it spends on
// refusals and on having too much under way must not eat up what it has for
// records. Time itself is not compared: how much of it a server gets is not its own.
func TestNoCollapse(t *testing.T) {
	// The batches of a calm turn are more than the head is sealed with, so that all
	// that becomes of a batch is counted in both, and fewer than it has room for.
	const connections, calm, each = 200, 4, 16
	if os.Getenv("FAULT_OVERLOAD") == "" {
		t.Skip("FAULT_OVERLOAD is not set: a fair comparison takes minutes")
	}
	turns := max(4, judge.Scale(t, "FAULT_OVERLOAD", 5000)/(11*each))
	root := t.TempDir()
	data := root + "/store"
	s, ok := serveUnder(t, nil, []string{stateHome(root), "GOMEMLIMIT=320MiB"}, data)
	if !ok {
		t.Fatal(s.logged())
	}
	j := judge.New(18)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	line := 0
	offer := func(batches, connections int) (acked, refused int64, cpu time.Duration) {
		began := s.used()
		var took, not atomic.Int64
		next := make(chan int)
		var senders sync.WaitGroup
		for w := range connections {
			senders.Go(func() {
				for i := range next {
					o := j.Post(t.Context(), client, s.url, j.IssueLines(fmt.Sprintf("/long/%d", w%4), longLine(18, i, 1<<20)))
					switch {
					case o.Acked():
						took.Add(1)
					case o.Wrong != nil || o.Err != nil && !gone(o.Err):
						t.Errorf("a batch: %+v, want it taken or refused with 429 or 503", o)
					default:
						not.Add(1)
					}
				}
			})
		}
		for range batches {
			line++
			next <- line
		}
		close(next)
		senders.Wait()
		s.drained() // a batch is not done with before it is in a segment
		return took.Load(), not.Load(), s.used() - began
	}
	offer(each, calm) // what a first batch costs once
	var easily, much, refused int64
	var easilyCPU, muchCPU time.Duration
	for range turns {
		n, no, cpu := offer(each, calm)
		if no > 0 {
			t.Errorf("%d of %d batches refused over %d connections, want none", no, each, calm)
		}
		easily, easilyCPU = easily+n, easilyCPU+cpu
		n, no, cpu = offer(10*each, connections)
		much, muchCPU, refused = much+n, muchCPU+cpu, refused+no
	}
	per := func(n int64, cpu time.Duration) float64 { return float64(n) / max(cpu.Seconds(), 0.01) }
	share := per(much, muchCPU) / per(easily, easilyCPU)
	t.Logf("%d batches of 1 MiB taken in %v of CPU time; of ten times as many %d in %v and %d refused: %.2f of what a second was worth", easily, easilyCPU, much, muchCPU, refused, share)
	if much == 0 || refused == 0 {
		t.Errorf("%d batches taken and %d refused of ten times as much, want some of both", much, refused)
	}
	// Each refusal has cost a body of 1 MiB that was read to its end.
	if share < leastShare {
		t.Errorf("under ten times as much a second of CPU time takes %.2f of what it takes else, want at least %.2f", share, leastShare)
	}
	if err := j.Verdict(readServer(t, s)); err != nil {
		t.Error(err)
	}
	s.stop()
	verified(t, data, stateHome(root))
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
				flooded.Add(1)
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
		for range 5 { // one principal may have six at once
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
		if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 {
			t.Errorf("beside cartesian products: %d %s", status, body)
		}
		cancel()
		wg.Wait()
		if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 {
			t.Errorf("after they were given up: %d %s", status, body)
		}
	})
}
