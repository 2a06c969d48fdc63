package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestMemoryDir(t *testing.T) {
	for _, c := range []struct{ state, home, want string }{
		{"/s", "/h", "/s/trailward/checkpoints"},
		{"", "/h", "/h/.local/state/trailward/checkpoints"},
		{"relative", "/h", "/h/.local/state/trailward/checkpoints"},
		{"", "", ""},
		{"", "relative", ""},
	} {
		got, err := MemoryDir(func(name string) string { return map[string]string{"XDG_STATE_HOME": c.state, "HOME": c.home}[name] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("MemoryDir(%q, %q) = %q, %v, want %q", c.state, c.home, got, err, c.want)
		}
	}
}

func TestMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	m, err := OpenMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o, fsys := testOptions(t, 1)
	l := mustOpen(t, o)
	id := l.Identity()
	prove := func(before Checkpoint) ([]Hash, error) { _, p, err := l.ProveExtension(before); return p, err }
	check := func(place string, wantKnown bool, want error) {
		t.Helper()
		now, _ := l.Checkpoint()
		if known, err := m.Check(place, l.Identity(), now, prove); known != wantKnown || !errors.Is(err, want) {
			t.Errorf("Check(%q) = %v, %v, want %v, %v", place, known, err, wantKnown, want)
		}
	}
	remember := func(place string) {
		t.Helper()
		_, signed := l.Checkpoint()
		if err := m.Remember(place, l.Identity(), signed); err != nil {
			t.Errorf("Remember(%q) = %v", place, err)
		}
	}
	o.Committed = mustAppend(t, l, Stopped{})
	check("/data", false, nil)
	remember("/data")
	check("/data", true, nil)
	check("/else", false, nil)
	old := o.Committed
	backup := map[string][]byte{}
	for _, name := range fsys.Files() {
		backup[name] = fsys.Bytes(name)
	}
	for range 5 {
		o.Committed = mustAppend(t, l, Stopped{})
	}
	_, newest := l.Checkpoint()
	check("/data", true, nil)
	remember("/data")
	check("/data", true, nil)

	// The whole store is put back, as if the newer entries had never been.
	l.Close()
	for name, b := range backup {
		fsys.SetBytes(name, b)
	}
	o.Committed = old
	l = mustOpen(t, o)
	check("/data", true, ErrRolledBack)
	remember("/data") // must not make it forget
	check("/data", true, ErrRolledBack)

	// And goes on from there, past where it was.
	for range 4 {
		o.Committed = mustAppend(t, l, Hold{})
	}
	check("/data", true, ErrRolledBack)
	o.Committed = mustAppend(t, l, Hold{})
	check("/data", true, ErrForked)
	o.Committed = mustAppend(t, l, Hold{})
	check("/data", true, ErrForked)

	// Another ledger at the place is news, then known.
	o2, _ := testOptions(t, 2)
	l = mustOpen(t, o2)
	mustAppend(t, l, Stopped{})
	check("/data", true, ErrOtherLedger)
	remember("/data")
	check("/data", true, nil)

	// A forged key of the same name.
	forged := id
	forged.VerifierKey = l.Identity().VerifierKey
	if _, _, err := m.Last("/data", forged); !errors.Is(err, ErrForked) {
		t.Errorf("Last(another key) = %v, want %v", err, ErrForked)
	}
	if c, ok, err := m.Last("/data", id); !ok || err != nil || c.Size != 6 {
		t.Errorf("Last() = %v, %v, %v, want 6 entries", c, ok, err)
	}
	if err := m.Remember("/data", id, append(newest, '\n')); err == nil {
		t.Error("Remember(a bad checkpoint) = nil")
	}

	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	_, name := seenNames("/data", id.Origin)
	if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Last("/data", id); err == nil {
		t.Error("Last(a damaged file) = nil")
	}
}

// TestMemoryTogether: several processes remember at once.
func TestMemoryTogether(t *testing.T) {
	dir := t.TempDir()
	o, _ := testOptions(t, 1)
	l := mustOpen(t, o)
	var signed [][]byte
	for range 20 {
		mustAppend(t, l, Stopped{})
		_, s := l.Checkpoint()
		signed = append(signed, s)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m, err := OpenMemory(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer m.Close()
			for _, s := range signed {
				if err := m.Remember("p", l.Identity(), s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	m, err := OpenMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if c, ok, err := m.Last("p", l.Identity()); !ok || err != nil || c.Size == 0 {
		t.Errorf("Last() = %v, %v, %v", c, ok, err)
	}
}

func FuzzParseSeen(f *testing.F) {
	f.Add([]byte(`{"version":1,"place":"/x","verifier_key":"a+1+b","checkpoint":"a\n1\n\n"}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, _, err := parseSeen(b); err == nil && s.Version != seenVersion {
			t.Errorf("parseSeen(%q) = %+v", b, s)
		}
	})
}
