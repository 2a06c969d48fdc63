package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trailward/internal/pythontest"
	"trailward/internal/sampletest"
)

// TestReader has reader/reader.py, which was written from docs/format alone and shares
// nothing with the program, read a whole store: it must give what `trailward cat`
// gives, and find every tree, the ledger and its signature as the pages say.
func TestReader(t *testing.T) {
	python := pythontest.Find(t, "cryptography", "zstandard", "pyarrow")
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range readerSamples() {
		if err := os.WriteFile(filepath.Join(files, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	groups := map[string]string{"/samples": filepath.Join("..", "demo", "samples")}
	for name := range readerSamples() {
		groups["/"+name] = filepath.Join(files, name)
	}
	t.Run("with published data", func(t *testing.T) {
		for _, name := range []string{"k8s-audit", "linux", "container", "cloudtrail/opensearch-catalog-benign-2021-12.jsonl.gz"} {
			groups["/"+name] = sampletest.File(t, name)
		}
	})
	for group, path := range groups {
		good(t, "ingest", "--data", data, "--group", group, path)
	}
	// A settings change, a hold and a second small segment of the same group, so that the
	// ledger has more than additions.
	good(t, "retention", "set", "--data", data, "/styles.jsonl", "10y")
	more := filepath.Join(files, "more")
	if err := os.WriteFile(more, []byte("{\"a\":\"one more\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good(t, "ingest", "--data", data, "--group", "/styles.jsonl", more)

	cmd := exec.CommandContext(t.Context(), python, "reader/reader.py", data)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("reader.py: %v\n%s", err, errs.String())
	}
	type record struct{ Group, Kind, Raw string }
	read := map[string][]string{}
	kinds := map[string]map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var r record
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(r.Raw)
		if err != nil {
			t.Fatal(err)
		}
		read[r.Group] = append(read[r.Group], string(raw))
		if kinds[r.Group] == nil {
			kinds[r.Group] = map[string]bool{}
		}
		kinds[r.Group][r.Kind] = true
	}
	if len(read) != len(groups) {
		t.Errorf("reader.py found %d groups, want %d", len(read), len(groups))
	}
	for group := range groups {
		want := strings.Split(strings.TrimSuffix(good(t, "cat", "-0", "--data", data, "--group", group), "\x00"), "\x00")
		got := strings.Split(strings.Join(read[group], "\x00"), "\x00") // records may hold NUL
		if len(kinds[group]) > 1 || group == "/styles.jsonl" {
			// Several segments, each in the order of time.
			slices.Sort(want)
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("group %s: reader.py read %d records that are not the %d of cat", group, len(got), len(want))
		}
	}

	// It notices what is wrong.
	var segments []string
	err = filepath.WalkDir(filepath.Join(data, "segments"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			segments = append(segments, path)
		}
		return err
	})
	if err != nil || len(segments) == 0 {
		t.Fatalf("segments: %d, %v", len(segments), err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(segments[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), python, "reader/reader.py", data).Run(); err == nil {
		t.Error("reader.py reads a store with a flipped bit, want it to fail")
	}
}

// readerSamples are records in every way in which values stand in segments.
func readerSamples() map[string]string {
	var many strings.Builder // row groups, and columns of numbers, times, addresses and UUIDs
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 133_000 {
		a, b := r.Uint64(), r.Uint64()
		fmt.Fprintf(&many, "{\"time\":\"2026-01-02T03:%02d:%02d.%03dZ\",\"id\":\"%08x-%04x-4%03x-8%03x-%012x\",\"ip\":\"%d.%d.%d.%d\",\"n\":%d,\"s\":\"%x\"",
			i/60%60, i%60, i%1000, uint32(a), a>>48, a>>36&0xfff, b>>52, b&(1<<48-1), a>>56, a>>8&255, b>>56, b&255, i-1000, b>>40)
		if i%3 == 0 {
			many.WriteString(`,"sometimes":"x"`)
		}
		many.WriteString("}\n")
	}
	return map[string]string{
		"many.jsonl": many.String(),
		"styles.jsonl": strings.Join([]string{
			`{"a":"plain \u00e9 is escaped, and \u2028 and \ud83d\ude00"}`,
			`{"a":"upper \u00E9 \u2028 \uD83D\uDE00"}`,
			`{"a":"go \u003cb\u003e \u0026 \u2028 é"}`, `{"a":"php \/path\/x"}`, `{"a":"long \u0008 \u000c"}`, `{"a":"short \b \f \n \r \t \\ \" \u0001 \u007f"}`,
			`{"a":"raw é 😀 <b>","b":[1,{"c":"d"}],"c":{"d":{"e":null}},"f":1.50,"g":-0,"h":true,"":"empty","A":"case","a.b":"dots"}`,
			`{"dup":1,"dup":2}`, `{ "spaced" : "out" , "n" : 1e5 }`, `{"mixed":"\u00e9 é"}`, `{"bad":"\ud800"}`, `not JSON`, "control \x01 and \xff",
		}, "\n") + "\n",
		"nanos.jsonl": `{"time":"2026-01-02T03:04:05.123456789Z","m":"a"}` + "\n" + `{"time":"1969-01-02T03:04:05.000000001Z","m":"before 1970"}` + "\n",
		"cri.log":     "2026-01-02T03:04:05.1Z stdout P half \n2026-01-02T03:04:05.2Z stderr F other\n2026-01-02T03:04:05.3Z stdout F a line\n",
		"flow.log":    "version srcaddr dstaddr action\n5 10.0.0.1 10.0.0.2 ACCEPT\n5 - 10.0.0.2 REJECT\n",
	}
}
