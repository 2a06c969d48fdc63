package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"trailward/internal/vfs"
)

var update = flag.Bool("update", false, "write the files of the newest format under testdata/compat anew")

// compatKeys is the key that the files under testdata/compat are sealed with.
func compatKeys(t *testing.T) *Keys {
	t.Helper()
	k, err := parseKeyList(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Files of every format version so far open.
func TestCompat(t *testing.T) {
	k := compatKeys(t)
	s := New(k)
	const newest = "testdata/compat/v1"
	if *update {
		if err := os.MkdirAll(newest, 0o755); err != nil {
			t.Fatal(err)
		}
		d, err := vfs.OS(newest)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := os.RemoveAll(filepath.Join(newest, "store.key")); err != nil {
			t.Fatal(err)
		}
		sk, err := CreateStoreKey(d, "store.key", k)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := sk.SealBlob("compat", []byte("blob"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sk.Hash("compat", []byte("a"), []byte("b"))
		for name, data := range map[string][]byte{
			"object": sealObject(t, s, "compat", []byte("object")),
			"blob":   blob,
			"hash":   []byte(hex.EncodeToString(sum[:]) + "\n"),
		} {
			if err := os.WriteFile(filepath.Join(newest, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	dirs, err := filepath.Glob("testdata/compat/v*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no files of older versions: %v", err)
	}
	for _, dir := range dirs {
		d, err := vfs.OS(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		read := func(name string) []byte {
			b, err := vfs.ReadFile(d, name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if got, err := openAll(s, "compat", read("object")); err != nil || string(got) != "object" {
			t.Errorf("%s: object opens as %q, %v", dir, got, err)
		}
		sk, err := OpenStoreKey(d, "store.key", k)
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if got, err := sk.OpenBlob("compat", read("blob")); err != nil || string(got) != "blob" {
			t.Errorf("%s: blob opens as %q, %v", dir, got, err)
		}
		sum := sk.Hash("compat", []byte("a"), []byte("b"))
		if got, want := hex.EncodeToString(sum[:])+"\n", string(read("hash")); got != want {
			t.Errorf("%s: hash is %s, want %s", dir, got, want)
		}
	}
}
