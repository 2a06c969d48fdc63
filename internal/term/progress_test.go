package term

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	now := time.Unix(1000, 0)
	var b strings.Builder
	p := newProgress(&b, "records", func() int { return 100 }, func() time.Time { return now })
	f := func(after time.Duration, done, total, count int64, want string) {
		t.Helper()
		now = now.Add(after)
		b.Reset()
		p.Count(count)
		now = now.Add(progressEvery)
		p.Bytes(done, total)
		if got := b.String(); !strings.Contains(got, want) {
			t.Errorf("Bytes(%d, %d) drew %q, want %q in it", done, total, got, want)
		}
	}
	f(900*time.Millisecond, 25_000_000, 100_000_000, 1234, " 25%  25 MB of 100 MB  25 MB/s  1,234 records  3s left")
	f(900*time.Millisecond, 100_000_000, 100_000_000, 5000, "100%  100 MB of 100 MB  50 MB/s  5,000 records")
	f(900*time.Millisecond, 30_000_000, 0, 5000, "30 MB  10 MB/s  5,000 records")

	b.Reset()
	p.Bytes(31_000_000, 0)
	if b.Len() != 0 {
		t.Errorf("drew %q within %v, want nothing", b.String(), progressEvery)
	}
	p.Close()
	if got, want := b.String(), "\r\x1b[K"; got != want {
		t.Errorf("Close drew %q, want %q", got, want)
	}
	now = now.Add(time.Hour)
	b.Reset()
	p.Bytes(32_000_000, 0)
	if b.Len() != 0 {
		t.Errorf("drew %q after Close, want nothing", b.String())
	}
}

func TestProgressFits(t *testing.T) {
	now := time.Unix(0, 0)
	for width := 1; width < 120; width++ {
		p := newProgress(nil, "records", func() int { return width }, func() time.Time { return now })
		p.done, p.total, p.count = 5_000_000, 123_000_000_000, 99_999
		if line := p.line(time.Hour); StringWidth(line) >= width {
			t.Errorf("line at width %d is %q, %d wide", width, line, StringWidth(line))
		}
	}
}

func TestProgressNil(t *testing.T) {
	var p *Progress // what nobody looks at
	p.Bytes(1, 2)
	p.Count(3)
	p.Close()
}
