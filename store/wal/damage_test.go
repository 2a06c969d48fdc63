package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"trailward/internal/journal"
	"trailward/internal/vfs/vfstest"
	"trailward/store/seal"
)

const headerBytes = 8192 // of a file: two copies of its header

const (
	file1 = "data/wal/00000000000000000001.wal"
	file2 = "data/wal/00000000000000000002.wal"
	file3 = "data/wal/00000000000000000003.wal"
)

// threeFiles makes a WAL of three files with three entries each, ended by a
// kill, and returns the bytes of each file.
func threeFiles(t *testing.T, s *seal.Sealer) map[string][]byte {
	t.Helper()
	fsys := vfstest.New(1)
	w, _, _ := mustReopen(t, fsys, s, Options{})
	for i := range 3 {
		if i > 0 {
			if _, err := w.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		for j := range 3 {
			appendAll(t, w, fmt.Sprintf("e%d", 3*i+j+1))
		}
	}
	defer w.Close()
	fsys.Kill()
	files := make(map[string][]byte)
	for _, name := range fsys.Files() {
		files[name] = fsys.Bytes(name)
	}
	return files
}

func restore(files map[string][]byte) *vfstest.FS {
	fsys := vfstest.New(1)
	if err := fsys.MkdirAll("data/wal", 0o700); err != nil {
		panic(err)
	}
	for _, dir := range []string{".", "data", "data/wal"} {
		if err := fsys.SyncDir(dir); err != nil {
			panic(err)
		}
	}
	for name, b := range files {
		fsys.SetBytes(name, b)
	}
	return fsys
}

func clone(files map[string][]byte) map[string][]byte {
	c := make(map[string][]byte)
	for name, b := range files {
		c[name] = bytes.Clone(b)
	}
	return c
}

// offsets returns where the frames of a file begin, and its end.
func offsets(t *testing.T, s *seal.Sealer, files map[string][]byte, name string) []int64 {
	t.Helper()
	f, err := restore(files).OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var at []int64
	number, _ := fileNumber(name[len("data/wal/"):])
	res, err := journal.Scan(f, func(meta []byte) (journal.OpenFunc, error) {
		o, err := s.OpenStream(meta, streamID(number))
		if err != nil {
			return nil, err
		}
		return o.Open, nil
	}, func(fr journal.Frame) error {
		at = append(at, fr.Offset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(at, res.End)
}

// summary says what a start on these files finds: the entries, the damage, the
// torn bytes.
func summary(t *testing.T, s *seal.Sealer, fsys *vfstest.FS) string {
	t.Helper()
	w, all, report, err := reopen(fsys, s, Options{})
	if err != nil {
		return "error: " + err.Error()
	}
	defer w.Close()
	var b strings.Builder
	b.WriteString(entriesOf(all))
	for _, d := range report.Damaged {
		fmt.Fprintf(&b, "; %s %d+%d lost %d-%d", strings.Trim(d.File[len("data/wal/"):], "0"), d.Offset, d.Length, d.First, d.Last)
		if d.Unproven {
			b.WriteString(" unproven")
		}
	}
	if report.TornBytes > 0 {
		fmt.Fprintf(&b, "; torn %d", report.TornBytes)
	}
	return b.String()
}

func TestDamage(t *testing.T) {
	s := testSealer(t, 1)
	files := threeFiles(t, s)
	at := offsets(t, s, files, file2)
	end2 := int64(len(files[file2]))
	other := threeFiles(t, s)
	all := "e1 e2 e3 e4 e5 e6 e7 e8 e9"

	for _, c := range []struct {
		name   string
		change func(f map[string][]byte)
		want   string
	}{
		{"nothing", func(map[string][]byte) {}, all},
		{"an entry of a closed file", func(f map[string][]byte) { f[file2][at[1]+40] ^= 1 },
			fmt.Sprintf("e1 e2 e3 e4 e6 e7 e8 e9; 2.wal %d+%d lost 5-5", at[1], at[2]-at[1])},
		{"the last entry of a closed file", func(f map[string][]byte) { f[file2][at[2]+40] ^= 1 },
			fmt.Sprintf("e1 e2 e3 e4 e5 e7 e8 e9; 2.wal %d+%d lost 6-6", at[2], at[3]-at[2])},
		{"a closed file cut between entries", func(f map[string][]byte) { f[file2] = f[file2][:at[2]] },
			fmt.Sprintf("e1 e2 e3 e4 e5 e7 e8 e9; 2.wal %d+0 lost 6-6", at[2])},
		{"a closed file cut in an entry", func(f map[string][]byte) { f[file2] = f[file2][:at[2]+5] },
			fmt.Sprintf("e1 e2 e3 e4 e5 e7 e8 e9; 2.wal %d+5 lost 6-6", at[2])},
		{"all entries of a closed file", func(f map[string][]byte) { f[file2] = f[file2][:headerBytes] },
			fmt.Sprintf("e1 e2 e3 e7 e8 e9; 2.wal %d+0 lost 4-6", headerBytes)},
		{"bytes after a closed file", func(f map[string][]byte) { f[file2] = append(f[file2], 1, 2, 3) },
			fmt.Sprintf("%s; 2.wal %d+3 lost 0-0", all, end2)},
		{"a file missing", func(f map[string][]byte) { delete(f, file2) },
			fmt.Sprintf("e1 e2 e3 e7 e8 e9; 1.wal %d+0 lost 4-6", len(files[file1]))},
		{"the first file missing", func(f map[string][]byte) { delete(f, file1) }, "e4 e5 e6 e7 e8 e9"},
		{"files exchanged", func(f map[string][]byte) { f[file1], f[file2] = f[file2], f[file1] },
			fmt.Sprintf("e7 e8 e9; 1.wal 0+%d lost 0-0; 2.wal 0+%d lost 0-0", end2, end2)},
		{"a file's header", func(f map[string][]byte) { clear(f[file2][:headerBytes]) },
			fmt.Sprintf("e1 e2 e3 e7 e8 e9; 2.wal 0+%d lost 4-6", end2)},
		{"the first file's header", func(f map[string][]byte) { clear(f[file1][:headerBytes]) },
			fmt.Sprintf("e4 e5 e6 e7 e8 e9; 1.wal 0+%d lost 0-0", len(files[file1]))},
		{"two files' headers", func(f map[string][]byte) { clear(f[file1][:headerBytes]); clear(f[file2][:headerBytes]) },
			fmt.Sprintf("e7 e8 e9; 1.wal 0+%d lost 0-0; 2.wal 0+%d lost 0-0", len(files[file1]), end2)},
		{"one copy of the header", func(f map[string][]byte) { f[file2][20] ^= 1 },
			all + "; 2.wal 0+4096 lost 0-0"},
		{"an empty file", func(f map[string][]byte) { f[file2] = nil }, "e1 e2 e3 e7 e8 e9; 2.wal 0+0 lost 4-6"},
		{"the last file's header", func(f map[string][]byte) { clear(f[file3][:headerBytes]) },
			fmt.Sprintf("e1 e2 e3 e4 e5 e6; 3.wal 0+%d lost 0-0", len(files[file3]))},
		{"the last file's header and a tail before", func(f map[string][]byte) {
			clear(f[file3][:headerBytes])
			f[file2] = append(f[file2], 1)
		}, fmt.Sprintf("e1 e2 e3 e4 e5 e6; 2.wal %d+1 lost 0-0; 3.wal 0+%d lost 0-0", end2, len(files[file3]))},
		// The limit of what a WAL can tell by itself: a whole file, of the same
		// number, entries and key, from another time. The ledger is for that.
		{"a file of another history", func(f map[string][]byte) { f[file2] = other[file2] }, all},
		{"the last entry of all", func(f map[string][]byte) { f[file3][len(f[file3])-1] ^= 1 },
			fmt.Sprintf("e1 e2 e3 e4 e5 e6 e7 e8; torn %d", at[3]-at[2])},
		{"foreign names", func(f map[string][]byte) {
			f["data/wal/1.wal"] = []byte("x")
			f["data/wal/00000000000000000000.wal"] = []byte("x")
			f["data/wal/00000000000000000009.wal.tmp"] = []byte("x")
			f["data/wal/README"] = []byte("x")
		}, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := clone(files)
			c.change(f)
			fsys := restore(f)
			if got := summary(t, s, fsys); got != c.want {
				t.Errorf("first start finds %s, want %s", got, c.want)
			}
			// Damage stays in sight; what was torn was cut off.
			want := strings.Split(c.want, "; torn")[0]
			fsys.Crash()
			if got := summary(t, s, fsys); !strings.HasPrefix(got, strings.SplitN(want, ";", 2)[0]) || strings.Contains(got, "torn") ||
				strings.Count(got, ";") < strings.Count(want, ";") {
				t.Errorf("second start finds %s, want %s", got, want)
			}
		})
	}
}

// A file with damage in it is kept when its entries are not needed any more.
func TestQuarantine(t *testing.T) {
	s := testSealer(t, 1)
	files := threeFiles(t, s)
	files[file2][headerBytes+40] ^= 1
	fsys := restore(files)
	w, all, report := mustReopen(t, fsys, s, Options{})
	if len(report.Damaged) != 1 || report.Damaged[0].First != 4 || len(all) != 8 {
		t.Fatalf("replay = %v, %+v", all, report)
	}
	if err := w.Remove(3); err != nil {
		t.Fatalf("Remove(3) = %v", err)
	}
	w.Close()
	fsys.Crash()
	if fsys.Bytes(file1) != nil || fsys.Bytes(file2) != nil || fsys.Bytes(file3) != nil {
		t.Errorf("Remove(3) left %v", fsys.Files())
	}
	if !bytes.Equal(fsys.Bytes(file2+quarantineSuffix), files[file2]) {
		t.Errorf("the damaged file was not kept: %v", fsys.Files())
	}
	w, _, report = mustReopen(t, fsys, s, Options{})
	if len(report.Damaged) != 0 || fmt.Sprint(report.Quarantined) != "["+file2+quarantineSuffix+"]" {
		t.Errorf("report after that = %+v", report)
	}
	w.Close()
}

// Any cut or overwriting of the last two frames costs these and nothing else.
func TestTornTail(t *testing.T) {
	s := testSealer(t, 1)
	files := threeFiles(t, s)
	at := offsets(t, s, files, file3)
	old := files[file2]
	for from := at[1]; from < at[3]; from++ {
		for _, c := range []struct {
			name   string
			change func(b []byte) []byte
		}{
			{"cut", func(b []byte) []byte { return b[:from] }},
			{"zeros", func(b []byte) []byte { clear(b[from:]); return b }},
			{"old data", func(b []byte) []byte { copy(b[from:], old[from:]); return b }},
			{"cut and old data", func(b []byte) []byte { return append(b[:from], old[:headerBytes]...) }},
		} {
			f := clone(files)
			f[file3] = c.change(f[file3])
			if end := int(at[3]); len(f[file3]) >= end && bytes.Equal(f[file3][:end], files[file3][:end]) {
				continue // what was written over it happens to be the same byte
			}
			want := "e1 e2 e3 e4 e5 e6 e7"
			if from >= at[2] {
				want += " e8"
			}
			fsys := restore(f)
			got := summary(t, s, fsys)
			if entries, rest, _ := strings.Cut(got, "; "); entries != want || !strings.HasPrefix(rest, "torn") && len(f[file3]) > int(at[2]) && from != at[2] {
				t.Errorf("%s at byte %d: %s, want %s", c.name, from-at[1], got, want)
			}
			fsys.Crash()
			if got := summary(t, s, fsys); got != want {
				t.Errorf("%s at byte %d, second start: %s, want %s", c.name, from-at[1], got, want)
			}
		}
	}
}

// Every bit of a file matters, and costs at most the entry that it is in. The
// header's bits are sampled in short tests, since most are padding.
func TestEveryBit(t *testing.T) {
	s := testSealer(t, 1)
	files := threeFiles(t, s)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{file1, file2, file3} {
		at := offsets(t, s, files, name)
		fsys := restore(files)
		size := len(files[name])
		number, _ := fileNumber(name[len("data/wal/"):])
		for i := 0; i < 8*size; i++ {
			if i/8 < headerBytes && (testing.Short() || i/8%4096 > 400) {
				i += rng.IntN(1000)
				if i >= 8*headerBytes {
					i = 8*headerBytes - 1
					continue
				}
			}
			b := bytes.Clone(files[name])
			b[i/8] ^= 1 << (i % 8)
			for n := range files {
				fsys.SetBytes(n, files[n])
			}
			fsys.SetBytes(name, b)
			w, all, report := mustReopen(t, fsys, s, Options{})
			lost := 0 // the entry that the bit is in, from 1
			for k := range 3 {
				if int64(i/8) >= at[k] {
					lost = 3*int(number-1) + k + 1
				}
			}
			var want []string
			for e := 1; e <= 9; e++ {
				if e != lost {
					want = append(want, fmt.Sprintf("e%d", e))
				}
			}
			if entriesOf(all) != strings.Join(want, " ") {
				t.Fatalf("%s, bit %d of byte %d: replay = %v, want all but e%d", name, i%8, i/8, entriesOf(all), lost)
			}
			if lost == 9 {
				if report.TornBytes != at[3]-at[2] {
					t.Fatalf("%s, bit %d of byte %d: report %+v, want %d torn bytes", name, i%8, i/8, report, at[3]-at[2])
				}
			} else if len(report.Damaged) != 1 || report.Damaged[0].File != name || report.Damaged[0].First != uint64(lost) ||
				report.Damaged[0].Unproven || report.Damaged[0].Offset > int64(i/8) || report.Damaged[0].Offset+report.Damaged[0].Length <= int64(i/8) {
				t.Fatalf("%s, bit %d of byte %d: report %+v, want entry %d named", name, i%8, i/8, report, lost)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			for _, n := range fsys.Files() {
				if files[n] == nil {
					if err := fsys.Remove(n); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
