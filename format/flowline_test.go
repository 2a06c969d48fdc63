package format

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"trailward"
)

// flowLineAgrees holds FlowLine against Split, which looks at a word at a time.
func flowLineAgrees(t *testing.T, raw []byte, columns []string) (taken bool) {
	t.Helper()
	values, none, ok := FlowLine(raw, columns, nil)
	if !ok {
		if len(values) != 0 {
			t.Fatalf("FlowLine(%q, %q) gives %q and no", raw, columns, values)
		}
		return false
	}
	var fields []trailward.Field
	whole := true
	if columns == nil {
		whole = isDefaultFlow(raw)
	}
	if whole {
		fields, whole = Split(trailward.KindVPCFlow, raw, columns, nil)
	}
	if !whole || len(fields) != len(values) {
		t.Fatalf("FlowLine(%q, %q) = %q, but Split says %v, %v", raw, columns, values, fields, whole)
	}
	names := columns
	if names == nil {
		names = FlowColumns
	}
	var rebuilt []string
	k := 0
	for i, name := range names {
		if none>>i&1 == 1 {
			rebuilt = append(rebuilt, "-")
			continue
		}
		f := fields[k]
		if f.Path != name || string(raw[f.Start:f.End]) != string(values[k]) {
			t.Fatalf("FlowLine(%q, %q) has %q for %s, Split %q for %s", raw, columns, values[k], name, raw[f.Start:f.End], f.Path)
		}
		rebuilt = append(rebuilt, string(values[k]))
		k++
	}
	if s := strings.Join(rebuilt, " "); s != string(raw) {
		t.Fatalf("FlowLine(%q, %q) says %q", raw, columns, s)
	}
	return true
}

func TestFlowLine(t *testing.T) {
	long := strings.Repeat("7", 33)
	for _, c := range []struct {
		name, line string
		columns    []string
		want       bool
	}{
		{"default", flowLine, nil, true},
		{"no data", "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA", nil, true},
		{"unknown account", "2 unknown eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA", nil, true},
		{"two addresses of version 6", "2 123456789010 eni-1235b8ca123456789 2001:db8:1234:a100:8d6e:3477:df66:f105 2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK", nil, true},
		{"two spaces", strings.Replace(flowLine, " 6 ", "  6 ", 1), nil, false},
		{"a space behind", flowLine + " ", nil, false},
		{"a space too few", strings.Replace(flowLine, " OK", "OK", 1), nil, false},
		{"a tab", strings.Replace(flowLine, " 6 ", "\t6 ", 1), nil, false},
		{"a carriage return", flowLine + "\r", nil, false},
		{"not ASCII", strings.Replace(flowLine, "10.0.1.149", "10.0.1.14é", 1), nil, false},
		{"a port that is no number", strings.Replace(flowLine, " 5432 ", " 54x2 ", 1), nil, false},
		{"a long number", strings.Replace(flowLine, " 5432 ", " "+long+" ", 1), nil, true},
		{"a number that is none among missing ones", "2 123456789010 eni-1 - - - 44x - - - 1431280876 1431280934 - NODATA", nil, false},
		{"no start", strings.Replace(flowLine, "1777092909", "-", 1), nil, false},
		{"no version", strings.Replace(flowLine, "2 ", "- ", 1), nil, false},
		{"another action", strings.Replace(flowLine, "ACCEPT", "ACCEPTED", 1), nil, false},
		{"columns", "2 - 443 us-east-1 -", []string{"version", "srcaddr", "dstport", "region", "x"}, true},
		{"one column", "10.0.0.17", []string{"srcaddr"}, true},
		{"a word too many", "2 - 443 us-east-1 -", []string{"version", "srcaddr"}, false},
		{"no columns", "2 - 443 us-east-1", []string{}, false},
		{"longer than it looks at", "2 " + strings.Repeat("x", maxFlowLine), []string{"version", "x"}, false},
		{"as long as it looks at", "2 " + strings.Repeat("x", maxFlowLine-2), []string{"version", "x"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := flowLineAgrees(t, []byte(c.line), c.columns); got != c.want {
				t.Errorf("FlowLine(%q) = %v, want %v", c.line, got, c.want)
			}
		})
	}
}

func FuzzFlowLine(f *testing.F) {
	f.Add(flowLine, "")
	f.Add("2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA", "")
	f.Add("2 - 443 us-east-1 -", "version srcaddr dstport region x")
	f.Fuzz(func(t *testing.T, line, columns string) {
		var names []string
		if columns != "" {
			names = strings.Fields(columns)
		}
		flowLineAgrees(t, []byte(line), names)
	})
}

// flowLines are lines as different as real ones: the same one again and again
// would be one that the processor knows by heart.
func flowLines() (lines [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 4096 {
		lines = append(lines, fmt.Appendf(nil, "2 123456789010 eni-%08x 10.0.%d.%d 10.%d.%d.%d %d %d 6 %d %d 1795132800 1795132860 ACCEPT OK",
			r.Uint32N(5000), r.IntN(100), r.IntN(256), r.IntN(4), r.IntN(256), r.IntN(256), r.IntN(1<<16), 1<<r.IntN(16), r.IntN(5000), r.IntN(1<<r.IntN(22)+1)))
	}
	return lines
}

func BenchmarkFlowLine(b *testing.B) {
	lines := flowLines()
	var dst [][]byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var ok bool
		if dst, _, ok = FlowLine(lines[i&4095], nil, dst[:0]); !ok {
			b.Fatal("FlowLine(…) = false, want true")
		}
	}
}

func TestFlowTable(t *testing.T) {
	for _, c := range []struct {
		header, rows string
		want         int // columns
	}{
		{"srcaddr", "10.0.0.1", 1},
		{"start end", "1772359200 -", 2},
		{"action srcport log-status", "ACCEPT 1 OK\nREJECT 2 NODATA", 3},
		{"account-id version", "123456789010 2", 2},
		{"srcaddr", "", 0},
		{"srcaddr", "host", 0},
		{"srcaddr srcaddr", "10.0.0.1 10.0.0.1", 0},
		{"srcaddr new-name", "10.0.0.1 1", 0},
		{"start end", "1772359200 1772359260 1", 0},
		{"start end", "1772359200", 0},
		{"start", "1772359200", 0},
		{"bytes packets", "1 2", 0},
		{"region", "eu-west-1", 0},
	} {
		var rows [][]byte
		if c.rows != "" {
			rows = bytes.Split([]byte(c.rows), []byte("\n"))
		}
		if got := FlowTable([]byte(c.header), rows); len(got) != c.want {
			t.Errorf("FlowTable(%q, %q) = %q, want %d columns", c.header, c.rows, got, c.want)
		}
	}
}
