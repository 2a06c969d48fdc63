package parquet

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"trailward/internal/pythontest"
)

// readByArrow prints each column of a Parquet file as a JSON list: integers as they
// are, bytes in base64. pyarrow must give the logical types of the columns, too.
const readByArrow = `
import base64, json, sys, uuid
import pyarrow as pa, pyarrow.parquet as pq
t = pq.read_table(sys.argv[1])
def plain(v):
    if isinstance(v, uuid.UUID): v = v.bytes
    if isinstance(v, str): v = v.encode()
    return base64.b64encode(v).decode() if isinstance(v, bytes) else v
for field, column in zip(t.schema, t.columns):
    if field.type == pa.timestamp("us"): column = column.cast(pa.int64())
    print(json.dumps([str(field.type), field.nullable, [plain(v) for v in column.to_pylist()]]))
`

// TestPyarrow has Apache Arrow's C++ library read every form of column: in all
// encodings, with and without nulls, in several row groups, compressed and not.
func TestPyarrow(t *testing.T) {
	python := pythontest.Find(t, "pyarrow")
	for seed := range uint64(8) {
		w := randomWorld(rand.New(rand.NewPCG(seed, 3)), []int{1, 300, 5000, 40000}[seed%4])
		b, _ := w.write(t, seed%2 == 0)
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "-c", readByArrow, path)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(pipe)
		for k, c := range w.cols {
			var typ string
			var nullable bool
			var values []json.RawMessage
			if err := dec.Decode(&[]any{&typ, &nullable, &values}); err != nil {
				t.Fatalf("seed %d: column %d (%s): %v", seed, k, w.how[k], err)
			}
			if want := arrowType(c); typ != want && !(c.UUID && typ == "fixed_size_binary[16]") || nullable != c.Optional {
				t.Errorf("seed %d: column %d is %s, nullable %v, want %s, %v", seed, k, typ, nullable, want, c.Optional)
			}
			row := 0
			for g := range w.groups {
				for i, want := range w.groups[g][k] {
					if row == len(values) {
						t.Fatalf("seed %d: column %d has %d rows, want more", seed, k, row)
					}
					if got := arrowValue(t, values[row], c); got != want {
						t.Fatalf("seed %d: group %d column %d (%s) row %d = %v, want %v", seed, g, k, w.how[k], i, got, want)
					}
					row++
				}
			}
			if row != len(values) {
				t.Errorf("seed %d: column %d has %d rows, want %d", seed, k, len(values), row)
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func arrowType(c Column) string {
	switch {
	case c.Micros:
		return "timestamp[us]"
	case c.Type == Int32:
		return "int32"
	case c.Type == Int64:
		return "int64"
	case c.UUID:
		return "extension<arrow.uuid>"
	case c.Text:
		return "string"
	}
	return "binary"
}

func arrowValue(t *testing.T, raw json.RawMessage, c Column) any {
	t.Helper()
	if string(raw) == "null" {
		return nil
	}
	if c.Type != Bytes && c.Type != Fixed {
		var n int64
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
