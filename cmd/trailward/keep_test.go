package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trailward/api/keep"
	"trailward/store"
)

// owner runs commands as a user with a home of their own would.
type owner struct {
	t    *testing.T
	dir  string
	home string
}

func newOwner(t *testing.T) *owner {
	d := t.TempDir()
	return &owner{t: t, dir: filepath.Join(d, "data"), home: filepath.Join(d, "home")}
}

func (k *owner) run(stdin string, args ...string) (code int, out, errs string) {
	k.t.Helper()
	var o, e bytes.Buffer
	code = run(&app{
		ctx: context.Background(), stdin: strings.NewReader(stdin), stdout: &o, stderr: &e, open: openBackend,
		getenv: func(name string) string {
			if name == "HOME" {
				return k.home
			}
			return ""
		},
	}, append(args, "--data", k.dir))
	return code, o.String(), e.String()
}

func (k *owner) good(stdin string, args ...string) string {
	k.t.Helper()
	code, out, errs := k.run(stdin, args...)
	if code != exitGood {
		k.t.Fatalf("trailward %v: status %d: %s%s", args, code, out, errs)
	}
	return out
}

func (k *owner) bad(want int, text string, args ...string) {
	k.t.Helper()
	code, out, errs := k.run("", args...)
	if code != want || !strings.Contains(out+errs, text) {
		k.t.Errorf("trailward %v: status %d, %s%s; want status %d and %q", args, code, out, errs, want, text)
	}
}

func TestKeeping(t *testing.T) {
	k := newOwner(t)
	k.good("one\ntwo\n", "ingest", "--group", "/g", "-")
	k.good("", "verify")

	k.good("", "retention", "set", "/g", "30d")
	k.good("", "hold", "set", "/g", "--reason", "case 17")
	if out := k.good("", "retention", "list", "--output", "json"); !strings.Contains(out, `"group":"/g","retention":"30d","default":false,"hold":{"reason":"case 17"`) {
		t.Errorf("retention list = %s", out)
	}
	if out := k.good("", "hold", "list"); !strings.Contains(out, "case 17") {
		t.Errorf("hold list = %s", out)
	}
	k.good("", "hold", "release", "/g")
	k.bad(exitNo, "not under hold", "hold", "release", "/g")
	k.bad(exitUsage, "want days or years", "retention", "set", "/g", "3h")

	k.good("", "keys", "rotate")
	var use keep.KeyUse
	if err := json.Unmarshal([]byte(strings.SplitAfter(k.good("", "keys", "list", "--output", "json"), "\n")[0]), &use); err != nil || !use.Current || use.Segments != 1 {
		t.Errorf("keys list = %+v, %v", use, err)
	}

	backup := filepath.Join(filepath.Dir(k.dir), "backup")
	k.good("", "backup", backup)
	k.good("three\n", "ingest", "--group", "/g", "-")
	k.good("", "verify")
	newer := k.dir + ".newer"
	if err := os.Rename(k.dir, newer); err != nil {
		t.Fatal(err)
	}
	k.good("", "restore", backup)
	key, err := os.ReadFile(filepath.Join(newer, keyName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(k.dir, keyName), key, 0o600); err != nil {
		t.Fatal(err)
	}
	k.bad(exitNo, "rolled back", "verify")
	k.bad(exitNo, "rolled back", "groups")
	k.good("", "verify", "--accept")
	if out := k.good("", "cat", "--group", "/g"); out != "one\ntwo\n" && out != "two\none\n" {
		t.Errorf("cat of what was restored = %q", out)
	}

	if err := os.Remove(filepath.Join(k.dir, "catalog.db")); err != nil {
		t.Fatal(err)
	}
	k.bad(exitNo, "--rebuild-catalog", "groups")
	k.good("", "restore", "--rebuild-catalog")
	if out := k.good("", "verify", "--output", "json"); !strings.Contains(out, `"good":true`) {
		t.Errorf("verify = %s", out)
	}
	k.bad(exitUsage, "name the backup", "restore")
}

func TestProofOfARecord(t *testing.T) {
	k := newOwner(t)
	k.good("one\ntwo\n", "ingest", "--group", "/g", "-")
	out := k.good("", "query", "--output", "json", "fields @ptr, @message | filter @message = 'two'")
	var row map[string]string
	if err := json.Unmarshal([]byte(out), &row); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	proof := k.good("", "verify", "--record", row["@ptr"])
	if !strings.Contains(proof, `"bytes": "dHdv"`) || !strings.Contains(proof, `"discloses"`) {
		t.Errorf("proof = %s", proof)
	}
	k.bad(exitUsage, "pointer", "verify", "--record", "xx")
}

func TestParseRetention(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"1d", 24 * time.Hour, true}, {"90d", 90 * 24 * time.Hour, true}, {"6y", 6 * 366 * 24 * time.Hour, true}, {"100y", store.MaxRetention, true},
		{"never", store.KeepForever, true}, {"default", 0, true},
		{"", 0, false}, {"0d", 0, false}, {"-1d", 0, false}, {"1h", 0, false}, {"101y", 0, false}, {"99999999999999d", 0, false}, {"1.5y", 0, false}, {"d", 0, false},
	} {
		got, err := parseRetention(c.in)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("parseRetention(%q) = %v, %v, want %v", c.in, got, err, c.want)
		}
		if c.ok && c.want != 0 {
			if back, err := parseRetention(formatRetention(got)); err != nil || back != got {
				t.Errorf("parseRetention(formatRetention(%v)) = %v, %v", got, back, err)
			}
		}
	}
}

// TestLostStoreKey takes the key of a store away.
func TestLostStoreKey(t *testing.T) {
	k := newOwner(t)
	path := filepath.Join(t.TempDir(), "a.log")
	put(t, path, "one line\n")
	k.load(path)
	if err := os.Remove(filepath.Join(k.dir, "store.key")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify"}, {"cat", "--group", "/g"}, {"query", "limit 1"}, {"groups"}, {"ingest", "--group", "/g", path}} {
		if code, out, errs := k.run("", args...); code == exitGood || !strings.Contains(errs, "store.key is gone") {
			t.Errorf("%v: status %d: %s%s; want the lost key named", args, code, out, errs)
		}
	}
}
