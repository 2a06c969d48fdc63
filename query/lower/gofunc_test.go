package lower

import (
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSortKey(t *testing.T) {
	// The reference's order, and the ends of what is a number.
	ordered := []string{"", "0#", "1_000", "1e400", "5A", "111A", "2345_", "@", "A", "a1", "a02", "a10", "b", "é", "-1e300", "-5", "-1", "-0", "0", "0.0", "01", "1", "1.5", "3", " 12", "1e3"}
	for i := 1; i < len(ordered); i++ {
		a, b := string(AppendSortKey(nil, ordered[i-1])), string(AppendSortKey(nil, ordered[i]))
		if a >= b {
			t.Errorf("sort key of %q = %q, want it below that of %q = %q", ordered[i-1], a, ordered[i], b)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		text, glob string
		nth        int
		want       string
		ok         bool
	}{
		{"user=ann took 12ms", "user=* took *ms", 1, "ann", true},
		{"user=ann took 12ms", "user=* took *ms", 2, "12", true},
		{"x [WARN] disk [sda] full", "[*] *", 1, "WARN", true},
		{"x [WARN] disk [sda] full", "[*] *", 2, "disk [sda] full", true},
		{"abc", "*", 1, "abc", true},
		{"abc", "**", 1, "", true},
		{"abc", "**", 2, "abc", true},
		{"abc", "a*c*", 2, "", true},
		{"abc", "x*", 1, "", false},
		{"abc", "a*x", 1, "", false},
		{"", "*", 1, "", false},
		{"a\nb", "a*b", 1, "\n", true},
	} {
		got, ok := appendGlob(nil, c.text, c.glob, fmt.Sprint(c.nth))
		if string(got) != c.want || ok != c.ok {
			t.Errorf("glob(%q, %q, %d) = %q, %t, want %q, %t", c.text, c.glob, c.nth, got, ok, c.want, c.ok)
		}
	}
}

// globRegex is the expression that a glob stands for.
func globRegex(glob string) *regexp.Regexp {
	parts := strings.Split(glob, "*")
	var b strings.Builder
	b.WriteString("(?s)")
	for i, p := range parts {
		switch {
		case i == 0:
		case i == len(parts)-1 && p == "":
			b.WriteString("(.*)")
		default:
			b.WriteString("(.*?)")
		}
		b.WriteString(regexp.QuoteMeta(p))
	}
	return regexp.MustCompile(b.String())
}

// TestGlobIsItsRegex compares the two ways of a glob on random texts.
func TestGlobIsItsRegex(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	random := func(letters string, n int) string {
		b := make([]byte, r.Intn(n))
		for i := range b {
			b[i] = letters[r.Intn(len(letters))]
		}
		return string(b)
	}
	for range 20000 {
		text, glob := random("aab c", 12), random("ab *", 7)
		if !strings.Contains(glob, "*") {
			continue
		}
		m := globRegex(glob).FindStringSubmatch(text)
		if m != nil && m[0] == "" {
			m = nil
		}
		for n := 1; n <= strings.Count(glob, "*"); n++ {
			got, ok := appendGlob(nil, text, glob, fmt.Sprint(n))
			if ok != (m != nil) || ok && string(got) != m[n] {
				t.Fatalf("glob(%q, %q, %d) = %q, %t, want %q", text, glob, n, got, ok, m)
			}
		}
	}
}

func TestAddressKey(t *testing.T) {
	ordered := []string{"0.0.0.0", "9.255.255.255", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::", "fe80::1"}
	var keys []string
	for _, a := range ordered {
		k, ok := appendAddressKey(nil, a)
		if !ok {
			t.Errorf("address key of %s is missing", a)
		}
		keys = append(keys, string(k))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("address keys = %q, want them in order", keys)
	}
	for _, a := range []string{"", "1.2.3", "10.0.0.0/8", "fe80::1%eth0", "x", strings.Repeat("1", 100)} {
		if k, ok := appendAddressKey(nil, a); ok {
			t.Errorf("address key of %q = %q, want none", a, k)
		}
	}
}

func FuzzSortKey(f *testing.F) {
	f.Add("a1", "a02")
	f.Add("-1", "1e5")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := string(AppendSortKey(nil, a)), string(AppendSortKey(nil, b))
		if (x == y) != (a == b) {
			t.Fatalf("sort keys of %q and %q = %q and %q", a, b, x, y)
		}
	})
}

func BenchmarkSortKey(b *testing.B) {
	var buf []byte
	for b.Loop() {
		buf = AppendSortKey(buf[:0], "0a0a2d9b-278d-4754-908a-065252aa3ceb")
	}
}
