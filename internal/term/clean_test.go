package term

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	f("", "")
	f("plain text ~!", "plain text ~!")
	f("Zürich 東京 🏥", "Zürich 東京 🏥")
	f("a\nb\r\tc", `a\nb\r\tc`)
	f("\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`)
	f("\u009b31m", `\x9b31m`)                   // C1 CSI as a code point
	f("\x9b31m", `\x9b31m`)                     // and as a bare byte, which is not UTF-8
	f("nul\x00del\x7f", `nul\x00del\x7f`)       //
	f("user\u202etxt.exe", `user\u202etxt.exe`) // right-to-left override
	f("a\u2066b\u2069", `a\u2066b\u2069`)
	f("a\u200bb\ufeff", `a\u200bb\ufeff`)
	f("a\u2028b", `a\u2028b`)
	f("\U000e0041", `\U000e0041`) // tag character
	f("\xff\xfe", `\xff\xfe`)
	f(`back\slash`, `back\slash`)
}

// FuzzClean holds that nothing a terminal would obey comes through.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b]0;x\x07", "\u202e", "\xf0\x9f", "é\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Clean(%q) = %q, want UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || obeyed(r) {
				t.Fatalf("Clean(%q) = %q, want no %U", s, got, r)
			}
		}
		if Clean(got) != got {
			t.Fatalf("Clean(%q) = %q, want it unchanged", got, Clean(got))
		}
		if w := StringWidth(Truncate(got, 7)); w > 7 {
			t.Fatalf("StringWidth(Truncate(%q, 7)) = %d, want at most 7", got, w)
		}
		if !strings.ContainsAny(s, "\x00\x1b") && len(got) < len(s) {
			t.Fatalf("Clean(%q) = %q, want nothing left out", s, got)
		}
	})
}

func TestWidth(t *testing.T) {
	f := func(in string, want int) {
		t.Helper()
		if got := StringWidth(in); got != want {
			t.Errorf("StringWidth(%q) = %d, want %d", in, got, want)
		}
	}
	f("", 0)
	f("abc", 3)
	f("é", 1)
	f("e\u0301", 1)
	f("東京", 4)
	f("한국", 4)
	f("🏥", 2)
	f("│", 1)
	f("ｱ", 1) // half-width katakana
	f("Ａ", 2) // full-width letter
}

func TestTruncate(t *testing.T) {
	f := func(in string, width int, want string) {
		t.Helper()
		if got := Truncate(in, width); got != want {
			t.Errorf("Truncate(%q, %d) = %q, want %q", in, width, got, want)
		}
	}
	f("abcdef", 6, "abcdef")
	f("abcdef", 5, "abcd…")
	f("abcdef", 1, "…")
	f("abcdef", 0, "")
	f("東京都", 6, "東京都")
	f("東京都", 5, "東京…")
	f("東京都", 4, "東…")
}

func TestWideSorted(t *testing.T) {
	for i := range wide {
		if wide[i].lo > wide[i].hi || i > 0 && wide[i-1].hi >= wide[i].lo {
			t.Errorf("wide[%d] = %x, want ranges in ascending order", i, wide[i])
		}
	}
}
