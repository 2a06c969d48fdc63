package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
)

// progressEvery is the shortest time between two drawings of the line.
const progressEvery = 100 * time.Millisecond

// Progress draws one line that says how far long work has come. All methods
// are safe for concurrent use and do nothing on a nil Progress, which is what
// [NewProgress] returns when nobody is looking.
type Progress struct {
	w     io.Writer
	width func() int
	now   func() time.Time

	mu     sync.Mutex // guards all below
	began  time.Time
	drawn  time.Time
	last   string
	done   int64
	total  int64
	count  int64
	noun   string
	closed bool
}

// NewProgress returns a progress line on f that counts noun ("records"), or
// nil when f is not a terminal.
func NewProgress(f *os.File, noun string) *Progress {
	if !IsTerminal(f) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return newProgress(f, noun, func() int { return Width(f) }, time.Now)
}

func newProgress(w io.Writer, noun string, width func() int, now func() time.Time) *Progress {
	return &Progress{w: w, width: width, now: now, began: now(), noun: noun}
}

// Bytes says that done of total bytes are behind; total is 0 when it is not
// known.
func (p *Progress) Bytes(done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = done, total
	p.draw()
}

// Count says how many things have been handled so far.
func (p *Progress) Count(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = n
	p.draw()
}

// Close takes the line off the terminal. Further calls do nothing.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.clear()
}

// Clear takes the line off the terminal until it is drawn the next time, so
// that something else can be written.
func (p *Progress) Clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// clear is called with mu held.
func (p *Progress) clear() {
	if p.last != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.last = ""
	}
}

// draw is called with mu held.
func (p *Progress) draw() {
	now := p.now()
	if p.closed || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	line := p.line(now.Sub(p.began))
	if line == p.last {
		return
	}
	p.last = line
	fmt.Fprint(p.w, "\r"+line+"\x1b[K")
}

// line is the text after elapsed: bar, share, bytes, rate, count, time left.
func (p *Progress) line(elapsed time.Duration) string {
	var parts []string
	if p.total > 0 {
		parts = append(parts, fmt.Sprintf("%3d%%", min(p.done*100/p.total, 100)),
			humanize.Bytes(uint64(max(p.done, 0)))+" of "+humanize.Bytes(uint64(p.total)))
	} else {
		parts = append(parts, humanize.Bytes(uint64(max(p.done, 0))))
	}
	if s := elapsed.Seconds(); s > 0 {
		parts = append(parts, humanize.Bytes(uint64(float64(max(p.done, 0))/s))+"/s")
	}
	if p.count > 0 {
		parts = append(parts, humanize.Comma(p.count)+" "+p.noun)
	}
	if p.total > 0 && p.done > 0 && p.done < p.total && elapsed >= time.Second {
		left := time.Duration(float64(elapsed) * float64(p.total-p.done) / float64(p.done))
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	text := strings.Join(parts, "  ")
	width := p.width() - 1 // a full last column makes some terminals wrap
	const barMin, barMax = 10, 30
	if p.total > 0 {
		if room := min(width-StringWidth(text)-2, barMax); room >= barMin {
			full := int(min(p.done, p.total) * int64(room) / p.total)
			text = strings.Repeat("█", full) + strings.Repeat("░", room-full) + "  " + text
		}
	}
	return Truncate(text, width)
}
