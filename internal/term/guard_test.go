package term

import (
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var b strings.Builder
		g := &guard{w: &b}
		for i := range len(in) { // byte by byte: the worst that a writer does
			if n, err := g.Write([]byte(in[i : i+1])); n != 1 || err != nil {
				t.Fatalf("Write(%q) = %d, %v, want 1, nil", in[i:i+1], n, err)
			}
		}
		if got := b.String(); got != want {
			t.Errorf("byte by byte, Guard(%q) wrote %q, want %q", in, got, want)
		}
		b.Reset()
		g = &guard{w: &b}
		_, _ = g.Write([]byte(in))
		if got := b.String(); got != want {
			t.Errorf("Guard(%q) wrote %q, want %q", in, got, want)
		}
	}
	f("a\tb\nc\r\n", "a\tb\nc\r\n")
	f("over\rwritten\n", `over\rwritten`+"\n")
	f("\x1b[2J\n", `\x1b[2J`+"\n")
	f("東京 \u202e\u009b\n", `東京 \u202e\x9b`+"\n")
	f("\xff\n", `\xff`+"\n")
}
