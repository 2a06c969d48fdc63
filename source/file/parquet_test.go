package file

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParquet reads the files that source/parquet's tests have made, by
// themselves, packed and as a stream.
func TestParquet(t *testing.T) {
	flow, err := os.ReadFile(filepath.Join("testdata", "flow.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join("testdata", "rows.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	const columns = "<aws.vpcflow>[interface-id srcaddr dstport bytes start log-status pkt-src-aws-service]"
	for _, c := range []struct {
		name, in string
		records  int
		first    string
		damaged  string
	}{
		{"flow log", string(flow), 20, columns + "eni-00000000 10.0.0.0 0 0 1700000000 OK -", ""},
		{"in gzip", gzipped(string(flow)), 20, columns + "eni-00000000 10.0.0.0 0 0 1700000000 OK -", ""},
		{"in tar", tarred("a", string(flow), "b", string(rows)), 22, columns + "eni-00000000 10.0.0.0 0 0 1700000000 OK -", ""},
		{"in zip", zipped("a", string(flow)), 20, columns + "eni-00000000 10.0.0.0 0 0 1700000000 OK -", ""},
		{"other columns", string(rows), 2, `{"time":"2023-11-14T22:13:20.123Z","user":"alice"}`, ""},
		{"cut", string(flow[:len(flow)-20]), 0, "", CutParquet},
		{"cut in tar", tarred("a", string(flow[:len(flow)-20]), "b", string(rows)), 2, `{"time":"2023-11-14T22:13:20.123Z","user":"alice"}`, CutParquet},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "f"), c.in)
			for _, p := range []string{path, "-"} {
				got, report := read(t, Options{Stdin: strings.NewReader(c.in)}, p)
				if len(got) != c.records || len(got) > 0 && got[0] != c.first {
					t.Errorf("%s: %d records, the first %.200q, want %d, %q", p, len(got), got[:min(1, len(got))], c.records, c.first)
				}
				if c.damaged != "" && report.Damaged[c.damaged] != 1 || c.damaged == "" && len(report.Damaged) > 0 {
					t.Errorf("%s: Damaged = %v, want %q", p, report.Damaged, c.damaged)
				}
			}
			// It has a sum as other files have.
			_, err := Walk(context.Background(), []string{path}, Options{}, func(in *Input) error {
				_, all, size, err := in.Beginnings(nil)
				if err != nil {
					t.Errorf("Beginnings() = %v, want nil", err)
				}
				var got []string
				if err := drain(t, in, &got); err != nil {
					return err
				}
				if sum := in.Behind(); sum != all || in.Consumed() != size || in.Grows && strings.HasPrefix(c.in, "PAR1") {
					t.Errorf("Behind() = %x of %d, want %x of %d, of a file that does not grow", sum, in.Consumed(), all, size)
				}
				return nil
			})
			if err != nil {
				t.Errorf("Walk() = %v, want nil", err)
			}
		})
	}
}
