package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"trailward/internal/vfs/vfstest"
	scale "trailward/test/judge"
)

// A file of 64 KiB with entries of many sizes, each bit of it flipped, or as many
// bits as FAULT_BITS says: the entry that the bit is in is named, all others come back.
func TestBitsOfALargerFile(t *testing.T) {
	s := testSealer(t, 1)
	fsys := vfstest.New(1)
	w, _, _ := mustReopen(t, fsys, s, Options{})
	rng := rand.New(rand.NewPCG(7, 7))
	var entries []string
	for size := headerBytes; size < 64<<10; {
		n := []int{1, 30, 300, 2000, 6000}[rng.IntN(5)]
		e := fmt.Sprintf("%d:%s", len(entries), strings.Repeat(string(rune('a'+len(entries)%26)), n))
		appendAll(t, w, e)
		entries = append(entries, e)
		size += n + 60
	}
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, w, "last")
	entries = append(entries, "last")
	defer w.Close()
	fsys.Kill()
	files := map[string][]byte{}
	for _, name := range fsys.Files() {
		files[name] = fsys.Bytes(name)
	}
	at := offsets(t, s, files, file1)
	size := len(files[file1])
	if size < 64<<10 || len(at) != len(entries) {
		t.Fatalf("the file has %d bytes and %d entries, want 65536 bytes and %d entries", size, len(at)-1, len(entries)-1)
	}
	flips := scale.Scale(t, "FAULT_BITS", 1500)
	all := flips >= 8*size
	flips = min(flips, 8*size)
	fresh := restore(files)
	for i := range flips {
		bit := i
		if !all {
			bit = rng.IntN(8 * size)
		}
		b := bytes.Clone(files[file1])
		b[bit/8] ^= 1 << (bit % 8)
		fresh.SetBytes(file1, b)
		w, got, report := mustReopen(t, fresh, s, Options{})
		lost := -1
		for k := range len(at) - 1 {
			if int64(bit/8) >= at[k] {
				lost = k
			}
		}
		if bit/8 < headerBytes {
			lost = -1
		}
		k := 0
		for n, e := range entries {
			if n == lost {
				continue
			}
			if k >= len(got) || got[k].entry != e {
				t.Fatalf("bit %d: entry %d did not come back", bit, n)
			}
			k++
		}
		if k != len(got) {
			t.Fatalf("bit %d: %d entries came back, want %d", bit, len(got), k)
		}
		d := report.Damaged
		if len(d) != 1 || d[0].File != file1 || d[0].Offset > int64(bit/8) || d[0].Offset+d[0].Length <= int64(bit/8) || report.TornBytes != 0 {
			t.Fatalf("bit %d of byte %d: report %+v, want the range around it named", bit%8, bit/8, report)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, n := range fresh.Files() {
			if files[n] == nil {
				if err := fresh.Remove(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		fresh.SetBytes(file2, files[file2])
	}
}
