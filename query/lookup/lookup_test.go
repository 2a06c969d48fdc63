package lookup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"trailward/internal/vfs"
	"trailward/store/seal"
)

func open(t *testing.T, dir string) *Tables {
	t.Helper()
	fsys, err := vfs.OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	keyFile := filepath.Join(dir, "k")
	keys, err := seal.OpenKeyFile(keyFile)
	if errors.Is(err, os.ErrNotExist) {
		keys, err = seal.CreateKeyFile(keyFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.OpenStoreKey(fsys, "store.key", keys)
	if errors.Is(err, os.ErrNotExist) {
		key, err = seal.CreateStoreKey(fsys, "store.key", keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Open(fsys, keys, key)
}

func TestTables(t *testing.T) {
	dir := t.TempDir()
	tables := open(t, dir)
	if list, err := tables.List(); err != nil || len(list) != 0 {
		t.Errorf("List of none = %v, %v", list, err)
	}
	if _, ok, err := tables.Lookup("user_data"); ok || err != nil {
		t.Errorf("Lookup of none = %t, %v, want none", ok, err)
	}
	info, err := tables.Put("user_data", strings.NewReader("\ufeffid, name\r\nu1,Ann\r\nu2,\"Bo, \"\"b\"\"\"\r\n"))
	if err != nil || info.Rows != 2 || !reflect.DeepEqual(info.Columns, []string{"id", "name"}) {
		t.Fatalf("Put = %+v, %v", info, err)
	}
	got, ok, err := tables.Lookup("user_data")
	if want := [][]string{{"u1", "Ann"}, {"u2", `Bo, "b"`}}; !ok || err != nil || !reflect.DeepEqual(got.Rows, want) {
		t.Errorf("Lookup = %v, %t, %v, want %v", got.Rows, ok, err, want)
	}
	// Another process, which is what a server is, sees it and its changes.
	other := open(t, dir)
	if got, ok, err = other.Lookup("user_data"); !ok || err != nil || len(got.Rows) != 2 {
		t.Errorf("Lookup elsewhere = %v, %t, %v", got, ok, err)
	}
	if _, err := tables.Put("user_data", strings.NewReader("id\nonly one row\n")); err != nil {
		t.Fatal(err)
	}
	if got, ok, err = other.Lookup("user_data"); !ok || err != nil || len(got.Rows) != 1 {
		t.Errorf("Lookup elsewhere after a change = %v, %t, %v", got, ok, err)
	}
	if _, err := tables.Put("A-2", strings.NewReader("a\n")); err != nil {
		t.Fatal(err)
	}
	list, err := other.List()
	if err != nil || len(list) != 2 || list[0].Name != "A-2" || list[1].Name != "user_data" || list[1].Bytes != 16 {
		t.Errorf("List = %+v, %v", list, err)
	}
	// Nothing of it is readable on disk.
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("only one row")) || strings.Contains(path, "user_data") || bytes.Contains(b, []byte("user_data")) {
			t.Errorf("%s shows the table", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := tables.Remove("user_data"); err != nil {
		t.Error(err)
	}
	if _, ok, err := other.Lookup("user_data"); ok || err != nil {
		t.Errorf("Lookup of a removed table = %t, %v, want none", ok, err)
	}
	if err := tables.Remove("user_data"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove of none = %v, want ErrNotFound", err)
	}
}

func TestPutRefuses(t *testing.T) {
	tables := open(t, t.TempDir())
	for _, c := range []struct{ name, table, csv, want string }{
		{"a name with a dot", "a.b", "x\n", "a name has"},
		{"no name", "", "x\n", "a name has"},
		{"a long name", strings.Repeat("x", MaxName+1), "x\n", "a name has"},
		{"nothing", "t", "", "no header line"},
		{"not UTF-8", "t", "a\n\xff\n", "not UTF-8"},
		{"a row of another width", "t", "a,b\n1\n", "wrong number of fields"},
		{"a column without a name", "t", "a,\n1,2\n", "column 2 has no name"},
		{"a column twice", "t", "a,a\n1,2\n", "column 2 has no name, or one that is there already"},
		{"too large", "t", "a\n" + strings.Repeat("x", MaxBytes), "more than"},
		{"too many columns", "t", strings.Repeat("a,", MaxColumns) + "b\n", "columns, the limit is"},
	} {
		if _, err := tables.Put(c.table, strings.NewReader(c.csv)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Put = %v, want an error with %q", c.name, err, c.want)
		}
	}
	for i := range MaxTables {
		if _, err := tables.Put("t"+strconv.Itoa(i), strings.NewReader("a\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tables.Put("more", strings.NewReader("a\n")); err == nil {
		t.Error("one table more than the limit was made")
	}
	if _, err := tables.Put("t1", strings.NewReader("a\n")); err != nil {
		t.Errorf("a table is not replaced at the limit: %v", err)
	}
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	tables := open(t, dir)
	if _, err := tables.Put("t", strings.NewReader("a\n1\n")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "lookup", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files = %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, dir).Lookup("t"); !seal.IsDamage(err) {
		t.Errorf("Lookup of a damaged table = %v, want damage", err)
	}
	if _, err := tables.List(); !seal.IsDamage(err) {
		t.Errorf("List with a damaged table = %v, want damage", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\ufeffa\n", "\"a\nb\",c\n", ",", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := parse(b)
		if err != nil {
			return
		}
		for _, r := range table.Rows {
			if len(r) != len(table.Columns) {
				t.Fatalf("parse(%q) has a row of %d cells for %d columns", b, len(r), len(table.Columns))
			}
		}
	})
}

// TestRewrap: after a rotation the tables open with the new key alone.
func TestRewrap(t *testing.T) {
	dir := t.TempDir()
	tables := open(t, dir)
	if _, err := tables.Put("users", strings.NewReader("id,name\n1,a\n")); err != nil {
		t.Fatal(err)
	}
	old := tables.sealer.Provider().ID()
	keys, err := seal.RotateKeyFile(filepath.Join(dir, "k"))
	if err != nil {
		t.Fatal(err)
	}
	tables.Use(keys)
	if uses, err := tables.KeyUses(); err != nil || uses[old] != 1 || len(uses) != 1 {
		t.Errorf("KeyUses() before = %v, %v, want one table under %s", uses, err, old)
	}
	for range 2 { // the second finds nothing to do
		if err := tables.Rewrap(); err != nil {
			t.Fatal(err)
		}
	}
	if uses, err := tables.KeyUses(); err != nil || uses[keys.ID()] != 1 || len(uses) != 1 {
		t.Errorf("KeyUses() after = %v, %v, want one table under %s", uses, err, keys.ID())
	}
	if list, err := tables.List(); err != nil || len(list) != 1 || list[0].Rows != 1 {
		t.Errorf("List() = %v, %v, want the table", list, err)
	}
}
