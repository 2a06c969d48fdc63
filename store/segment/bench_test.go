package segment

import (
	"bytes"
	"errors"
	"testing"

	"trailward"
	"trailward/format"
	"trailward/shape"
)

// BenchmarkFindCold finds one id and reads three values beside it, with nothing decoded before.
func BenchmarkFindCold(b *testing.B) {
	lines := benchLines(b, "BENCH_AUDIT")
	bl := NewBuilder("/g", trailward.KindK8sAudit, []string{"auditID", "stage"}, nil)
	tk := shape.NewTaker(nil)
	r := trailward.Record{Group: "/g", Stream: "s"}
	for i, l := range lines {
		t, _ := tk.JSON(l, shape.Full)
		r.Raw, r.Time = l, int64(i)*1e9
		bl.Add(&r, t)
	}
	var buf bytes.Buffer
	if _, err := bl.Write(&buf, Options{}); err != nil {
		b.Fatal(err)
	}
	rd, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		id := string(bytes.Split(lines[i*7919%len(lines)], []byte(`"auditID":"`))[1][:36])
		rows, ok, err := rd.Find([]Cond{{Any: []Test{{Columns: []string{"auditID"}, Op: Equal, Values: []string{id}}}}}, 100, blocksOnly{rd})
		if err != nil || !ok || len(rows.Rows) != 1 {
			b.Fatal(rows, ok, err)
		}
		if _, err := rd.Pick([]string{"@timestamp", "user.username", "verb"}, rows.Rows); err != nil {
			b.Fatal(err)
		}
	}
}

// blocksOnly decodes no whole column.
type blocksOnly struct{ *Reader }

func (blocksOnly) Column(string) (*Column, error)     { return nil, errors.New("not to be decoded") }
func (blocksOnly) Decoded(string) bool                { return false }
func (b blocksOnly) Search(text string) (Rows, error) { return b.Reader.Search(text, b) }

func BenchmarkFlowSegment(b *testing.B) {
	lines := benchLines(b, "BENCH_FLOW")
	var total int64
	for _, l := range lines {
		total += int64(len(l))
	}
	b.SetBytes(total)
	for b.Loop() {
		bl := NewBuilder("/g", trailward.KindVPCFlow, nil, nil)
		tk := shape.NewTaker(nil)
		r := trailward.Record{Group: "/g", Stream: "s"}
		var fields []trailward.Field
		for i, l := range lines {
			fields, _ = format.Split(trailward.KindVPCFlow, l, nil, fields[:0])
			r.Raw, r.Time = l, int64(i)*1e9
			bl.Add(&r, tk.Line(l, fields))
		}
		var c countWriter
		c.w = discard{}
		if _, err := bl.Write(&c, Options{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(c.n), "bytes/segment")
	}
}
