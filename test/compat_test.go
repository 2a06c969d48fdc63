package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var compat = flag.Bool("compat", false, "write testdata/compat/NEWEST anew (make compat)")

// newest is the data directory that `make compat` writes. It has another name
// whenever a format changes; those before it stay as they are.
const newest = "v3-streams"

// kept is what a data directory under testdata/compat was seen to hold when it was
// written.
type kept struct {
	// Groups are the hashes of what `cat -0` says of each group: SHA-256, in hex.
	Groups map[string]string `json:"groups"`
	Kinds  map[string]string `json:"kinds"` // records of each
	// Needle is an audit event, by its auditID, and who caused it.
	Needle [2]string `json:"needle"`
}

// compatGroups are the groups in the order in which they were filled: one of segments
// of every kind, one of records in the WAL only.
var compatGroups = []string{"/all", "/unsealed"}

// Data directories of every version so far are opened, verified, asked and read
// back. Each is as a `kill -9` left it, with its key beside it.
func TestCompat(t *testing.T) {
	if *compat {
		writeCompat(t, filepath.Join("testdata", "compat", newest))
	}
	found := 0
	list, err := os.ReadDir(filepath.Join("testdata", "compat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		found++
		t.Run(d.Name(), func(t *testing.T) {
			from := filepath.Join("testdata", "compat", d.Name())
			b, err := os.ReadFile(filepath.Join(from, "want.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want kept
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			if len(want.Groups) != len(compatGroups) || len(want.Kinds) < 12 {
				t.Fatalf("want.json = %s, want %d groups and every kind", b, len(compatGroups))
			}
			root := t.TempDir()
			data := filepath.Join(root, "data")
			copyTree(t, filepath.Join(from, "data"), data)
			verified(t, data, stateHome(root)) // as it is, with records in the WAL
			if got := look(t, root, data, want.Needle[0]); !reflect.DeepEqual(got, want) {
				t.Errorf("it holds %+v, want %+v", got, want)
			}
			verified(t, data, stateHome(root)) // and as this version goes on with it
			if r := runEnv(t, []string{stateHome(root)}, "", "restore", "--rebuild-catalog", "--data", data); r.code != 0 {
				t.Fatalf("rebuild the catalog = %d: %s", r.code, r.stderr)
			}
			if got := look(t, root, data, want.Needle[0]); !reflect.DeepEqual(got, want) {
				t.Errorf("with a catalog made again it holds %+v, want %+v", got, want)
			}
		})
	}
	if found == 0 {
		t.Fatal("there is no data directory under testdata/compat")
	}
}

// look says what a data directory holds.
func look(t *testing.T, root, data, needle string) kept {
	t.Helper()
	ask := func(args ...string) string {
		t.Helper()
		r := runEnv(t, []string{stateHome(root)}, "", append(args, "--data", data)...)
		if r.code != 0 {
			t.Fatalf("trailward %s = %d: %s", strings.Join(args, " "), r.code, r.stderr)
		}
		return r.stdout
	}
	k := kept{Groups: map[string]string{}, Kinds: map[string]string{}}
	for _, g := range compatGroups {
		sum := sha256.Sum256([]byte(ask("cat", "-0", "--group", g)))
		k.Groups[g] = hex.EncodeToString(sum[:])
	}
	for _, o := range objects(t, ask("query", "--output", "json", "stats count(*) as n by @kind")) {
		k.Kinds[o["@kind"].(string)], _ = o["n"].(string)
	}
	for _, o := range objects(t, ask("query", "--output", "json", "filter auditID = '"+needle+"' | fields user.username | limit 1")) {
		k.Needle = [2]string{needle, o["user.username"].(string)}
	}
	return k
}

// writeCompat makes a data directory of what the demo has of each kind, and of
// records that are only in the WAL.
func writeCompat(t *testing.T, to string) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	place := []string{"--data", data}
	command := func(args ...string) {
		t.Helper()
		if r := runEnv(t, []string{stateHome(root)}, "", append(args, place...)...); r.code != 0 {
			t.Fatalf("trailward %s = %d: %s", strings.Join(args, " "), r.code, r.stderr)
		}
	}
	command("ingest", "--group", compatGroups[0], filepath.Join("..", "demo", "samples"))
	command("hold", "set", compatGroups[0], "--reason", "compatibility")
	// What is not on hold must not expire in a test of a later year either.
	command("retention", "set", compatGroups[1], "never")
	s, ok := serveUnder(t, nil, []string{stateHome(root)}, data)
	if !ok {
		t.Fatal(s.logged())
	}
	lines, err := os.ReadFile(filepath.Join("..", "demo", "samples", "vpc-flow.log"))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := s.post("/v1/ingest?group="+compatGroups[1], string(lines), "Trailward-Batch", "one"); status != 200 {
		t.Fatalf("POST /v1/ingest = %d %s", status, body)
	}
	s.kill()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	copyTree(t, data, filepath.Join(to, "data"))
	// SQLite makes it again, and it is of no use to another process.
	if err := os.Remove(filepath.Join(to, "data", "catalog.db-shm")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	needle := ""
	r := runEnv(t, []string{stateHome(root)}, "", append([]string{"query", "--output", "json", "filter ispresent(auditID) | fields auditID | sort @timestamp | limit 1"}, place...)...)
	for _, o := range objects(t, r.stdout) {
		needle = o["auditID"].(string)
	}
	b, err := json.MarshalIndent(look(t, root, data, needle), "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "want.json"), append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	// What is to be kept must be small, and in the clear nowhere.
	var size int64
	if err := filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		size += int64(len(b))
		if bytes.Contains(b, []byte("ACCEPT OK")) {
			t.Errorf("%s holds records in the clear", p)
		}
		return err
	}); err != nil || size > 2<<20 {
		t.Errorf("the data directory has %d bytes, want at most 2 MiB (%v)", size, err)
	}
}
