package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"trailward/internal/vfs"
	"trailward/store"
	"trailward/store/catalog"
	"trailward/store/seal"
	"trailward/store/verifier"
)

// The list of groups counts streams without looking into a segment, unless one has very many.
func TestGroupInfosOpenNothing(t *testing.T) {
	dir := dataDir(t)
	s := openWith(t, dir, nil)
	add := func(group string, first, streams int) {
		t.Helper()
		b := batch(group)
		for i := range streams {
			one := batch(group, fmt.Sprintf("line %d of %s", first+i, group))
			one.Records[0].Stream = fmt.Sprint("stream-", first+i)
			b.Records = append(b.Records, one.Records...)
		}
		appendTo(t, s, b)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	add("/a", 0, 3)
	add("/a", 2, 3) // one of them again
	add("/b", 0, catalog.MaxStreams)
	want := map[string]int64{"/a": 5, "/b": catalog.MaxStreams}
	check := func(s *store.Store) {
		t.Helper()
		list, err := s.GroupInfos()
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != len(want) {
			t.Errorf("%d groups, want %d", len(list), len(want))
		}
		for _, g := range list {
			if g.Streams != want[g.Name] {
				t.Errorf("%s has %d streams, want %d", g.Name, g.Streams, want[g.Name])
			}
		}
	}
	check(s)
	add("/c", 0, catalog.MaxStreams+1)
	want["/c"] = catalog.MaxStreams + 1
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openWith(t, dir, func(o *store.Options) { o.NoCompaction = true })
	defer s.Close()
	check(s)
	if n := s.OpenReaders(); n != 1 {
		t.Errorf("%d segments were opened to count streams, want the one that has too many for the catalog", n)
	}
	// The merged one is known too.
	add("/a", 7, 1)
	want["/a"]++
	for i := range 8 {
		add("/a", 8+i, 1)
		want["/a"]++
	}
	before := s.Segments()
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Segments(); n >= before {
		t.Fatalf("%d segments after merging %d", n, before)
	}
	open := s.OpenReaders()
	check(s)
	if n := s.OpenReaders(); n != open {
		t.Errorf("%d segments are open after counting streams, before it %d", n, open)
	}
}

// A row of the catalog that names streams must name those of its segment; one that names
// none, as rows of earlier versions, is right.
func TestStreamsOfTheCatalogAreVerified(t *testing.T) {
	dir, _ := made(t)
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(change func(names []string) []string) {
		t.Helper()
		fsys, err := vfs.OS(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer fsys.Close()
		key, err := seal.OpenStoreKey(fsys, "store.key", p)
		if err != nil {
			t.Fatal(err)
		}
		cat, err := catalog.Open(filepath.Join(dir, "catalog.db"), key)
		if err != nil {
			t.Fatal(err)
		}
		defer cat.Close()
		streams := map[string][]string{}
		if err := cat.Streams(func(id string, names []string) { streams[id] = names }); err != nil {
			t.Fatal(err)
		}
		segs, err := cat.Segments()
		if err != nil {
			t.Fatal(err)
		}
		if len(segs) == 0 {
			t.Fatal("there is no segment")
		}
		for _, s := range segs {
			s.Streams = change(streams[s.ID])
			if err := cat.Apply(catalog.Change{Remove: []string{s.ID}}); err != nil {
				t.Fatal(err)
			}
			if err := cat.Apply(catalog.Change{Add: []catalog.Segment{s}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	rewrite(func(names []string) []string {
		if len(names) == 0 {
			t.Error("a row names no streams")
		}
		return append(names, "another")
	})
	r := verify(t, dir, verifier.Options{})
	if r.Good() {
		t.Error("a stream that the segment does not have was not found")
	}
	rewrite(func(names []string) []string { return names[:len(names)-1] })
	good(t, dir)
	rewrite(func([]string) []string { return nil })
	good(t, dir)
	s := openWith(t, dir, nil)
	list, err := s.GroupInfos()
	if err != nil || len(list) == 0 || list[0].Streams == 0 {
		t.Errorf("GroupInfos() of rows without streams = %+v, %v", list, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "catalog.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Rebuild(t.Context(), store.Options{Dir: dir, Provider: p}); err != nil {
		t.Fatal(err)
	}
	good(t, dir)
	rewrite(func(names []string) []string {
		if len(names) == 0 {
			t.Error("a row of a catalog that was made again names no streams")
		}
		return names
	})
}
