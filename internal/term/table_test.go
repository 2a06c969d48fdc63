package term

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func table(t *testing.T, width int, cols []Column, rows ...[]string) string {
	t.Helper()
	var b strings.Builder
	tab := NewTable(&b, width, cols)
	for _, r := range rows {
		if err := tab.Row(r); err != nil {
			t.Fatalf("Row(%q) = %v, want nil", r, err)
		}
	}
	if err := tab.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	tests := []struct {
		name  string
		width int
		cols  []Column
		rows  [][]string
		want  string
	}{
		{
			name: "numbers to the right, by declaration and by what is in the column",
			cols: []Column{{Name: "user"}, {Name: "n", Number: true}, {Name: "code"}},
			rows: [][]string{{"alice", "5", "200"}, {"bob", "1234", "40"}},
			want: "user      n  code\n─────  ────  ────\nalice     5   200\nbob    1234    40\n(2 rows)\n",
		},
		{
			name: "a column with one word in it stays left",
			cols: []Column{{Name: "v"}, {Name: "w"}},
			rows: [][]string{{"12", "a"}, {"-", "b"}},
			want: "v   w\n──  ─\n12  a\n-   b\n(2 rows)\n",
		},
		{
			name: "a value that is not cut, and wider than others are padded to",
			cols: []Column{{Name: "v"}, {Name: "w"}},
			rows: [][]string{{strings.Repeat("x", 1000), "a"}, {"y", "b"}},
			want: "v" + strings.Repeat(" ", maxWidth+1) + "w\n" + strings.Repeat("─", maxWidth) + "  ─\n" + strings.Repeat("x", 1000) + "  a\ny" + strings.Repeat(" ", maxWidth+1) + "b\n(2 rows)\n",
		},
		{
			name: "no row",
			cols: []Column{{Name: "user"}},
			want: "user\n────\n(0 rows)\n",
		},
		{
			name: "controls are shown, not obeyed",
			cols: []Column{{Name: "a\x1bb"}},
			rows: [][]string{{"x\ny"}},
			want: "a\\x1bb\n──────\nx\\ny\n(1 row)\n",
		},
		{
			name:  "the widest column is cut to fit",
			width: 24,
			cols:  []Column{{Name: "id"}, {Name: "message"}},
			rows:  [][]string{{"a1", "a long message that cannot fit"}, {"a2", "short"}},
			want:  "id  message\n──  ────────────────────\na1  a long message that…\na2  short\n(2 rows, long values cut with … to fit (--output json shows them whole))\n",
		},
		{
			name: "wide runes count two",
			cols: []Column{{Name: "city"}, {Name: "n"}},
			rows: [][]string{{"東京", "1"}, {"Bern", "2"}},
			want: "city  n\n────  ─\n東京  1\nBern  2\n(2 rows)\n",
		},
		{
			name:  "too many columns become blocks",
			width: 20,
			cols:  []Column{{Name: "first"}, {Name: "second"}, {Name: "third"}},
			rows:  [][]string{{"123456789", "", "a value that is wrapped"}},
			want:  "── row 1 ──\nfirst   123456789\nthird   a value that\n         is wrapped\n(1 row)\n",
		},
		{
			name: "short and surplus cells",
			cols: []Column{{Name: "a"}, {Name: "b"}},
			rows: [][]string{{"x"}, {"y", "z", "lost"}},
			want: "a  b\n─  ─\nx\ny  z\n(2 rows)\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := table(t, tt.width, tt.cols, tt.rows...); got != tt.want {
				t.Errorf("table = \n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	for _, width := range []int{20, 40, 79, 80, 200} {
		cols := []Column{{Name: "@timestamp"}, {Name: "user"}, {Name: "@message"}, {Name: "n", Number: true}}
		var b strings.Builder
		tab := NewTable(&b, width, cols)
		for i := range 3 * LookAhead {
			row := []string{"2026-11-01 10:00:00.000", strings.Repeat("u", i%40), strings.Repeat("東x", i%90), fmt.Sprint(i)}
			if err := tab.Row(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := tab.Flush(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if w := StringWidth(strings.TrimSuffix(line, "\n")); w > width {
				t.Errorf("line %q is %d columns wide, want at most %d", line, w, width)
			}
		}
	}
}

func TestTableStreams(t *testing.T) {
	var b strings.Builder
	tab := NewTable(&b, 0, []Column{{Name: "a"}})
	for i := range LookAhead {
		if b.Len() > 0 {
			t.Fatalf("after %d rows the table wrote %q, want nothing before %d", i, b.String(), LookAhead)
		}
		_ = tab.Row([]string{"x"})
	}
	if b.Len() == 0 {
		t.Fatalf("after %d rows the table wrote nothing, want the first rows", LookAhead)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestTableKeepsTheWritersError(t *testing.T) {
	tab := NewTable(brokenWriter{}, 0, []Column{{Name: "a"}})
	_ = tab.Row([]string{"x"})
	if err := tab.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close() = %v, want %v", err, errBroken)
	}
	if err := tab.Row([]string{"y"}); !errors.Is(err, errBroken) {
		t.Errorf("Row() after = %v, want %v", err, errBroken)
	}
}

func TestIsNumber(t *testing.T) {
	f := func(in string, want bool) {
		t.Helper()
		if got := isNumber(in); got != want {
			t.Errorf("isNumber(%q) = %v, want %v", in, got, want)
		}
	}
	f("0", true)
	f("-12.50", true)
	f("1e5", true)
	f("1E-05", true)
	f("", false)
	f("-", false)
	f(".", false)
	f("1e", false)
	f("1e+", false)
	f("0x10", false)
	f("Inf", false)
	f("10.0.0.1", false)
	f("1_000", false)
}
