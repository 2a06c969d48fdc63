package file

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCutZip: a zip archive without its end gives its members as far as they
// go, however they are stored, and is counted as broken.
func TestCutZip(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	r := rand.New(rand.NewPCG(1, 2))
	add := func(h zip.FileHeader, lines int) {
		out, err := w.CreateHeader(&h)
		if err != nil {
			t.Fatal(err)
		}
		for i := range lines {
			fmt.Fprintf(out, "%s line %d %x\n", h.Name, i, r.Uint64())
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	add(zip.FileHeader{Name: "dir/"}, 0)
	add(zip.FileHeader{Name: "deflated", Method: zip.Deflate}, 2000)
	stored := []byte("stored line\n")
	raw, err := w.CreateRaw(&zip.FileHeader{Name: "stored", Method: zip.Store, CompressedSize64: uint64(len(stored)), UncompressedSize64: uint64(len(stored)), CRC32: 0xd3d3d3d3})
	if err != nil {
		t.Fatal(err)
	}
	raw.Write(stored)
	add(zip.FileHeader{Name: "empty", Method: zip.Deflate}, 0)
	add(zip.FileHeader{Name: "packed/again.gz", Method: zip.Deflate}, 0)
	add(zip.FileHeader{Name: "last", Method: zip.Deflate}, 2000)
	add(zip.FileHeader{Name: "end/"}, 0)
	end := b.Len()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		size int
		last int // lines of the last member, at least
	}{
		{"without a directory", end, 2000},
		{"half a directory", b.Len() - 30, 2000},
		{"in the last member", end - 10000, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "x.zip"), string(b.Bytes()[:c.size]))
			got, report := read(t, Options{}, path)
			count := func(name string) (n int) {
				for _, g := range got {
					if strings.Contains(g, name+" line") {
						n++
					}
				}
				return n
			}
			if n := count("deflated"); n != 2000 {
				t.Errorf("the first member gave %d records, want 2000", n)
			}
			if n := count("stored"); n != 1 {
				t.Errorf("the stored member gave %d records, want 1", n)
			}
			if n := count("last"); n < c.last {
				t.Errorf("the last member gave %d records, want at least %d", n, c.last)
			}
			if len(report.Damages) == 0 || report.Damages[0].Reason != BrokenZip || !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, "line 1999") }) {
				t.Errorf("damages = %+v, want %s", report.Damages, BrokenZip)
			}
		})
	}
}
