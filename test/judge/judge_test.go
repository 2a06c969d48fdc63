package judge

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The judge itself must see each of the things that it is for.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(list []string) []string
		want   string // in the verdict; empty: it is good
	}{
		{"all there", func(l []string) []string { return l }, ""},
		{"in another order", func(l []string) []string { slices.Reverse(l); return l }, ""},
		{"lost", func(l []string) []string { return l[1:] }, "is lost"},
		{"all lost", func([]string) []string { return nil }, "and 1 more"},
		{"twice", func(l []string) []string { return append(l, l[2]) }, "is there twice"},
		{"one byte off", func(l []string) []string { l[0] = l[0][:len(l[0])-1] + "!"; return l }, "is lost"},
		{"never issued", func(l []string) []string { return append(l, "strange") }, "was never issued"},
		{"another judge's", func(l []string) []string { return append(l, New(2).Issue(0, 1).Lines...) }, "was never issued"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := New(1)
			b := j.Issue(0, 6)
			j.Acked(b)
			j.Issue(0, 3) // nobody acknowledged these
			err := j.Verdict(func(group string, each func([]byte)) error {
				for _, l := range c.change(slices.Clone(b.Lines)) {
					each([]byte(l))
				}
				return nil
			})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verdict() = %v, want %q", err, c.want)
			}
		})
	}
}

func TestUnacknowledged(t *testing.T) {
	j := New(1)
	b := j.Issue(0, 2)
	read := func(lines ...string) error {
		return j.Verdict(func(_ string, each func([]byte)) error {
			for _, l := range lines {
				each([]byte(l))
			}
			return nil
		})
	}
	if err := read(); err != nil {
		t.Errorf("none of it there: %v", err)
	}
	if err := read(b.Lines[0], b.Lines[0]); err == nil {
		t.Error("a record there twice passed")
	}
	if err := read(b.Lines[0]); err != nil {
		t.Errorf("a part of it there: %v", err)
	}
	if j.Owed() != 1 {
		t.Errorf("Owed() = %d after one was read back, want 1", j.Owed())
	}
	if err := read(); err == nil {
		t.Error("a record that was read back went, and nothing was said")
	}
	j.Forgive(b.Group)
	if err := read(); err != nil {
		t.Errorf("forgiven: %v", err)
	}
	boom := errors.New("boom")
	if err := j.Verdict(func(string, func([]byte)) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Verdict() = %v, want %v", err, boom)
	}
}

func TestIssue(t *testing.T) {
	a, b := New(7), New(7)
	seen := map[string]bool{}
	for i := range 500 {
		x, y := a.Issue(i%4, 3), b.Issue(i%4, 3)
		if !slices.Equal(x.Lines, y.Lines) || x.ID != y.ID {
			t.Fatalf("batch %d differs for one seed", i)
		}
		for _, l := range append(x.Lines, x.ID) {
			if seen[l] || strings.ContainsAny(l, "\n\x00") {
				t.Fatalf("batch %d: %q came before or cannot be a line", i, l)
			}
			seen[l] = true
		}
	}
}
