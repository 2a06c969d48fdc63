package catalog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trailward/internal/vfs"
	"trailward/store/seal"
	"trailward/store/segment"
)

func open(t *testing.T, dir string) *Catalog {
	t.Helper()
	fsys, err := vfs.OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	key := filepath.Join(dir, "key")
	p, err := seal.OpenKeyFile(key)
	if os.IsNotExist(err) || err != nil && strings.Contains(err.Error(), "no such file") {
		p, err = seal.CreateKeyFile(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.OpenStoreKey(fsys, "store.key", p)
	if err != nil {
		if k, err = seal.CreateStoreKey(fsys, "store.key", p); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Open(filepath.Join(dir, "catalog.db"), k)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsAppliedIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	seg := Segment{ID: "s1", Group: "/secret/group", Kind: "json", Rows: 3, FirstTime: 1, LastTime: 2, Fields: []segment.Field{{Path: "secretfield", Column: "secretfield", Type: segment.Int}}}
	f := File{Group: "/secret/group", Head: [32]byte{1}, Name: "secretname", Size: 10, Records: 3, Done: true}
	b := Batch{Key: []byte("secretkey"), Body: [32]byte{2}, Records: 3, Accepted: time.Now().UnixNano()}
	if err := c.Apply(Change{Add: []Segment{seg}, Files: []File{f}, Batches: []Batch{b}, WALThrough: 7}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	defer c.Close()
	segs, err := c.Segments()
	if err != nil || len(segs) != 1 || segs[0].ID != "s1" || segs[0].Group != seg.Group || segs[0].Fields[0].Path != "secretfield" {
		t.Errorf("Segments() = %+v, %v", segs, err)
	}
	if n, err := c.WALThrough(); n != 7 || err != nil {
		t.Errorf("WALThrough() = %d, %v", n, err)
	}
	if fs, err := c.Files(f.Group, f.Head); err != nil || len(fs) != 1 || fs[0] != f {
		t.Errorf("Files() = %+v, %v", fs, err)
	}
	if fs, err := c.Files("/other", f.Head); err != nil || len(fs) != 0 {
		t.Errorf("Files(other group) = %+v, %v", fs, err)
	}
	if g, ok, err := c.Batch(b.Key); !ok || err != nil || g.Body != b.Body {
		t.Errorf("Batch() = %+v, %v, %v", g, ok, err)
	}
	if _, ok, err := c.Batch([]byte("x")); ok || err != nil {
		t.Errorf("Batch(unknown) = %v, %v", ok, err)
	}
	if err := c.ForgetBatches(time.Now().Add(48 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := c.Batch(b.Key); ok {
		t.Error("a forgotten batch is still there")
	}
	if err := c.Apply(Change{Remove: []string{"s1"}}); err != nil {
		t.Fatal(err)
	}
	if segs, _ := c.Segments(); len(segs) != 0 {
		t.Errorf("a removed segment is still there")
	}
}

func TestFailedChangeLeavesNothing(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	s := Segment{ID: "s1"}
	if err := c.Apply(Change{Add: []Segment{s, s}, WALThrough: 3}); err == nil {
		t.Fatal("the same segment twice gave no error")
	}
	if segs, _ := c.Segments(); len(segs) != 0 {
		t.Error("half of a change is there")
	}
	if n, _ := c.WALThrough(); n != 0 {
		t.Error("half of a change is there")
	}
}

func TestNothingReadable(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	if err := c.Apply(Change{
		Add:     []Segment{{ID: "s1", Group: "/secret/group", Fields: []segment.Field{{Path: "secretfield"}}}},
		Files:   []File{{Group: "/secret/group", Name: "secretname"}},
		Batches: []Batch{{Key: []byte("secretkey")}},
	}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "catalog.db*"))
	if len(names) == 0 {
		t.Fatal("no catalog files")
	}
	for _, n := range names {
		b, _ := os.ReadFile(n)
		if bytes.Contains(b, []byte("secret")) {
			t.Errorf("%s has plaintext", n)
		}
	}
}
