package judge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Outcome is what became of one request.
type Outcome struct {
	Status int   // 0: there was no answer
	Err    error // why not
	// Wrong says what was wrong with the answer: a refusal that is no 429 or 503,
	// or without Retry-After.
	Wrong error
}

// Acked reports whether the batch was acknowledged.
func (o Outcome) Acked() bool { return o.Status/100 == 2 }

// Writer sends batches of a judge over HTTP, one after the other. A batch that
// got no answer, or a refusal, is sent again under its id before any other. It is
// for one goroutine at a time.
type Writer struct {
	j       *Judge
	number  int
	size    int // records in a batch
	client  *http.Client
	pending *Batch
}

// Writers returns n writers whose batches have size records each.
func (j *Judge) Writers(n, size int) []*Writer {
	list := make([]*Writer, n)
	for i := range list {
		list[i] = &Writer{j: j, number: i, size: size, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
	}
	return list
}

// Send sends one batch to the server at base.
func (w *Writer) Send(ctx context.Context, base string) Outcome {
	if w.pending == nil {
		w.pending = w.j.Issue(w.number, w.size)
	}
	o := w.j.Post(ctx, w.client, base, w.pending)
	if o.Acked() {
		w.pending = nil
	}
	return o
}

// Drop lets the writer forget the batch that it would send again.
func (w *Writer) Drop() { w.pending = nil }

// Post sends a batch to the server at base.
func (j *Judge) Post(ctx context.Context, client *http.Client, base string, b *Batch) (o Outcome) {
	q := url.Values{"group": {b.Group}, "stream": {b.Stream}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/ingest?"+q.Encode(), strings.NewReader(b.Body()))
	if err != nil {
		return Outcome{Err: err}
	}
	req.Header.Set("Trailward-Batch", b.ID)
	resp, err := client.Do(req)
	if err != nil {
		return Outcome{Err: err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode/100 == 2 {
		// The status says that it is durable, whatever becomes of the rest.
		j.Acked(b)
	}
	o = Outcome{Status: resp.StatusCode, Err: err}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
			o.Wrong = fmt.Errorf("status %d with Retry-After %q, want 1 to 60 seconds", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	default:
		o.Wrong = fmt.Errorf("status %d: %.200s", resp.StatusCode, answer)
	}
	return o
}

// Tally counts outcomes by status.
type Tally struct {
	mu     sync.Mutex
	Status map[int]int
	Wrong  []error
}

func (t *Tally) count(o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Status == nil {
		t.Status = map[int]int{}
	}
	t.Status[o.Status]++
	if o.Wrong != nil && len(t.Wrong) < mostProblems {
		t.Wrong = append(t.Wrong, o.Wrong)
	}
}

// Run lets all writers send at once until each has done so `most` times, ctx
// ends, or more says no; nil: until there is no answer.
func Run(ctx context.Context, writers []*Writer, base string, most int, more func(*Writer, Outcome) bool) *Tally {
	t := &Tally{}
	var wg sync.WaitGroup
	for _, w := range writers {
		wg.Go(func() {
			for n := 0; n < most && ctx.Err() == nil; n++ {
				o := w.Send(ctx, base)
				t.count(o)
				if more == nil && o.Status == 0 || more != nil && !more(w, o) {
					return
				}
			}
		})
	}
	wg.Wait()
	return t
}
