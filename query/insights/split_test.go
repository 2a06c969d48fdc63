package insights

import (
	"reflect"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Part
	}{
		{"one", "fields a | limit 1", []Part{{"fields a | limit 1", 1}}},
		{"empty", "", []Part{{"", 1}}},
		{"one with blank lines", "fields a\n\n# note\n| limit 1\n\n", []Part{{"fields a\n\n# note\n| limit 1\n\n", 1}}},
		{"by blank lines", "fields a\n\nstats count(*)\n", []Part{{"fields a", 1}, {"stats count(*)", 3}}},
		{"by comments", "# one\nfields a\n| limit 1\n# two\n# of two\nSTATS count(*)", []Part{{"# one\nfields a\n| limit 1", 1}, {"# two\n# of two\nSTATS count(*)", 4}}},
		{"SOURCE", "\n\nSOURCE 'g' | fields a\r\n\r\nSOURCE 'h' | fields b", []Part{{"SOURCE 'g' | fields a", 3}, {"SOURCE 'h' | fields b", 5}}},
		{"pipes at the ends of lines", "filter a = 1 |\n\nfields b\n\n# next\nfilter c = 2", []Part{{"filter a = 1 |\n\nfields b", 1}, {"# next\nfilter c = 2", 5}}},
		{"a fault in one", "fields a\n\nfilter b =", []Part{{"fields a\n\nfilter b =", 1}}},
		{"a pipe forgotten", "fields a\nfilter b = 1", []Part{{"fields a\nfilter b = 1", 1}}},
		{"a field named as a command", "filter a = 1 and\n\nfields = 2", []Part{{"filter a = 1 and\n\nfields = 2", 1}}},
	} {
		got := Split(c.text)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: Split(%q) = %v, want %v", c.name, c.text, got, c.want)
		}
	}
}

// FuzzSplit holds that the parts of a text are in it, at the lines that they say.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"fields a\n\nstats count(*)", "# x\nfields a\n# y\nfields b", "fields a", "\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts := Split(s)
		if len(parts) == 0 || len(parts) > MaxParts {
			t.Fatalf("Split(%q) has %d parts", s, len(parts))
		}
		lines := strings.SplitAfter(s, "\n")
		for _, p := range parts {
			if p.Line < 1 || p.Line > len(lines) || !strings.HasPrefix(strings.Join(lines[p.Line-1:], ""), p.Text) {
				t.Fatalf("Split(%q) has %q at line %d, which is not there", s, p.Text, p.Line)
			}
		}
	})
}
