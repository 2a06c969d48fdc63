package file

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestJoined holds that nothing behind the end of an archive, or in front of one, is lost
// without a word.
func TestJoined(t *testing.T) {
	a, b := tarred("a", "1\n"), tarred("b", "2\n", "c", "3\n")
	za, zb := zipped("a", "1\n"), zipped("b", "2\n", "c", "3\n")
	big := strings.Repeat("line\n", MaxHeld/5+1)
	for _, c := range []struct {
		what, content string
		want          []string
		damaged       map[string]int
	}{
		{"two tars", a + b, []string{"1", "2", "3"}, nil},
		{"two gzipped tars", gzipped(a) + gzipped(b), []string{"1", "2", "3"}, nil},
		{"a tar and many zeros", a + strings.Repeat("\x00", 1<<20), []string{"1"}, nil},
		{"tars with zeros between", a + strings.Repeat("\x00", 70001) + b, []string{"1", "2", "3"}, nil},
		{"a tar and text", a + "text\n", []string{"1"}, map[string]int{BrokenTar: 1}},
		{"two tars and text", gzipped(a + b + "text\n"), []string{"1", "2", "3"}, map[string]int{BrokenTar: 1}},
		{"a tar and half of another's header", a + b[:300], []string{"1"}, map[string]int{BrokenTar: 1}},
		{"a tar in a cut gzip", gzipped(a)[:len(gzipped(a))-4], []string{"1"}, map[string]int{CutGzip: 1}},
		{"two zips", za + zb, []string{"1", "2", "3"}, nil},
		{"three zips", za + zb + zippedStored("d", "4\n"), []string{"1", "2", "3", "4"}, nil},
		{"an empty zip and a zip", zipped() + zb, []string{"2", "3"}, nil},
		{"a zip and an empty zip", za + zipped(), []string{"1"}, nil},
		{"a zip and text", za + "text\n", []string{"1"}, map[string]int{BrokenZip: 1}},
		{"text between zips", za + "text\n" + zb, []string{"1", "2", "3"}, map[string]int{BrokenZip: 1}},
		{"a zip and zeros", za + strings.Repeat("\x00", 1000), []string{"1"}, nil},
		{"a cut zip and a zip", za[:len(za)-30] + zb, []string{"1", "2", "3"}, map[string]int{BrokenZip: 1}},
		{"too many zips", strings.Repeat(zipped(), maxJoined) + za, []string{"1"}, map[string]int{BrokenZip: 1}},
		{"nearly too many zips", strings.Repeat(zipped(), maxJoined-1) + za, []string{"1"}, nil},
	} {
		for _, stream := range []bool{false, true} {
			var got []string
			var report Report
			if stream {
				got, report = stdin(t, c.content, Options{})
			} else {
				got, report = read(t, Options{}, write(t, t.TempDir()+"/f", c.content))
			}
			same(t, c.what, got, c.want)
			if len(report.Damaged) != len(c.damaged) {
				t.Errorf("%s: damaged %v, want %v", c.what, report.Damaged, c.damaged)
			}
			for reason, n := range c.damaged {
				if report.Damaged[reason] != n {
					t.Errorf("%s: damaged %v, want %v", c.what, report.Damaged, c.damaged)
				}
			}
		}
	}
	// A member of the second archive that is opened again is the right one.
	path := write(t, t.TempDir()+"/f", a+tarred("b", big))
	got, _ := read(t, Options{}, path)
	if len(got) != 2+MaxHeld/5 {
		t.Errorf("two tars, one large: %d records, want %d", len(got), 2+MaxHeld/5)
	}
}

// TestNewInputUTF16 holds that a body has the same records in UTF-16 as in UTF-8.
func TestNewInputUTF16(t *testing.T) {
	const text = "{\"a\":1}\n{\"b\":\"\u0a0a\"}\n"
	want := []string{`{"a":1}`, "{\"b\":\"\u0a0a\"}"}
	for _, big := range []bool{false, true} {
		body := []byte("\xff\xfe")
		if big {
			body = []byte("\xfe\xff")
		}
		for _, c := range utf16.Encode([]rune(text)) {
			if big {
				body = binary.BigEndian.AppendUint16(body, c)
			} else {
				body = binary.LittleEndian.AppendUint16(body, c)
			}
		}
		in, err := NewInput("body", bytes.NewReader(body), Options{}, nil)
		if err != nil {
			t.Fatalf("NewInput(…) = %v, want nil", err)
		}
		var got []string
		drain(t, in, &got)
		same(t, "a body in UTF-16", got, want)
	}
}
