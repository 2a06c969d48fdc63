package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"trailward/internal/vfs"
	"trailward/internal/vfs/vfstest"
)

// testSeal is no encryption, but tells every change.
func testSeal(dst []byte, number uint64, kind byte, plain []byte) ([]byte, error) {
	return append(binary.BigEndian.AppendUint32(dst, testSum(number, kind, plain)), plain...), nil
}

func testOpen(dst []byte, number uint64, kind byte, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.BigEndian.Uint32(sealed) != testSum(number, kind, sealed[4:]) {
		return nil, errors.New("damaged")
	}
	return append(dst, sealed[4:]...), nil
}

func testSum(number uint64, kind byte, plain []byte) uint32 {
	return crc32.ChecksumIEEE(append(binary.BigEndian.AppendUint64([]byte{kind}, number), plain...))
}

func mustCreate(t testing.TB, fsys vfs.FS, h Header) *Writer {
	t.Helper()
	w, err := Create(fsys, "j", h, testSeal)
	if err != nil {
		t.Fatalf("Create() = %v", err)
	}
	return w
}

// write adds the bodies of each write, joined by spaces, and commits it.
func write(t testing.TB, w *Writer, writes ...string) {
	t.Helper()
	for _, bodies := range writes {
		for _, b := range strings.Fields(bodies) {
			if _, err := w.Add(1, []byte(b)); err != nil {
				t.Fatalf("Add(%q) = %v", b, err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatalf("Commit(%q) = %v", bodies, err)
		}
	}
}

func scan(fsys vfs.FS) (bodies string, res Result, err error) {
	f, err := fsys.OpenFile("j", os.O_RDONLY, 0)
	if err != nil {
		return "", res, err
	}
	defer f.Close()
	var all []string
	res, err = Scan(f, func([]byte) (OpenFunc, error) { return testOpen, nil }, func(fr Frame) error {
		all = append(all, string(fr.Body))
		return nil
	})
	return strings.Join(all, " "), res, err
}

func TestJournal(t *testing.T) {
	fsys := vfstest.New(1)
	h := Header{First: 7, Continues: true, Meta: []byte("meta")}
	w := mustCreate(t, fsys, h)
	if _, err := Create(fsys, "j", h, testSeal); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create() over a file = %v, want %v", err, fs.ErrExist)
	}
	write(t, w, "a b", "", "c")
	if _, err := w.Add(1, []byte("dropped")); err != nil {
		t.Fatal(err)
	}
	w.Discard()
	write(t, w, "d")
	if w.Next() != 11 || w.Size() != int64(len(fsys.Bytes("j"))) {
		t.Errorf("Next() = %d, Size() = %d, want 11, %d", w.Next(), w.Size(), len(fsys.Bytes("j")))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Commit() after Close = %v, want %v", err, os.ErrClosed)
	}

	fsys.Crash()
	f, err := fsys.OpenFile("j", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var meta []byte
	var frames []Frame
	res, err := Scan(f, func(m []byte) (OpenFunc, error) { meta = m; return testOpen, nil }, func(fr Frame) error {
		fr.Body = bytes.Clone(fr.Body)
		frames = append(frames, fr)
		return nil
	})
	if err != nil {
		t.Fatalf("Scan() = %v", err)
	}
	if string(meta) != "meta" || res.Header.First != 7 || !res.Header.Continues || !bytes.Equal(res.Header.Meta, h.Meta) {
		t.Errorf("header = %+v, meta %q", res.Header, meta)
	}
	if res.Frames != 4 || res.Next != 11 || res.End != res.Size || res.Damaged != nil || res.LastWrite != frames[3].Offset {
		t.Errorf("result = %+v", res)
	}
	for i, fr := range frames {
		if fr.Number != uint64(7+i) || string(fr.Body) != string(rune('a'+i)) || fr.Kind != 1 {
			t.Errorf("frame %d = %+v", i, fr)
		}
	}
	stop := errors.New("stop")
	if _, err := Scan(f, func([]byte) (OpenFunc, error) { return nil, stop }, nil); err != stop {
		t.Errorf("Scan() with a failing open = %v, want %v", err, stop)
	}
	if _, err := Scan(f, func([]byte) (OpenFunc, error) { return testOpen, nil }, func(Frame) error { return stop }); err != stop {
		t.Errorf("Scan() with a failing fn = %v, want %v", err, stop)
	}
}

func TestLimits(t *testing.T) {
	fsys := vfstest.New(1)
	if _, err := Create(fsys, "j", Header{Meta: make([]byte, MaxMetaBytes+1)}, testSeal); err == nil {
		t.Error("Create() with too much meta = nil error")
	}
	w := mustCreate(t, fsys, Header{First: 1, Meta: bytes.Repeat([]byte{9}, MaxMetaBytes)})
	if _, err := w.Add(1, make([]byte, MaxBodyBytes)); err == nil {
		t.Error("Add() of too much = nil error")
	}
	write(t, w, "a")
	if bodies, res, err := scan(fsys); bodies != "a" || err != nil || len(res.Header.Meta) != MaxMetaBytes {
		t.Errorf("scan = %q, %+v, %v", bodies, res, err)
	}
	b := fsys.Bytes("j")
	b[0] ^= 1
	fsys.SetBytes("j", b)
	if bodies, res, err := scan(fsys); bodies != "a" || err != nil || len(res.Damaged) != 1 {
		t.Errorf("scan with a damaged large header = %q, %+v, %v", bodies, res.Damaged, err)
	}
}

// The part of the file after its header, and where each frame begins in it.
func layout(t *testing.T, fsys *vfstest.FS) (b []byte, offsets []int64) {
	t.Helper()
	f, err := fsys.OpenFile("j", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = Scan(f, func([]byte) (OpenFunc, error) { return testOpen, nil }, func(fr Frame) error {
		offsets = append(offsets, fr.Offset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fsys.Bytes("j"), offsets
}

func TestDamage(t *testing.T) {
	build := func(t *testing.T) *vfstest.FS {
		fsys := vfstest.New(1)
		w := mustCreate(t, fsys, Header{First: 1, Meta: []byte("meta")})
		write(t, w, "a", "bb bb2", "ccc", "dddd dddd2 dddd3")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return fsys
	}
	base := build(t)
	whole, at := layout(t, base)
	at = append(at, int64(len(whole)))
	zero := func(b []byte, from, to int64) { clear(b[from:to]) }

	for _, c := range []struct {
		name    string
		change  func(b []byte) []byte
		bodies  string
		damaged string // first–last of each range, ! if proven
		tail    int64
	}{
		{"nothing", func(b []byte) []byte { return b }, "a bb bb2 ccc dddd dddd2 dddd3", "", 0},
		{"first frame's body", func(b []byte) []byte { b[at[1]-1] ^= 1; return b }, "bb bb2 ccc dddd dddd2 dddd3", "1-1!", 0},
		{"first frame's header", func(b []byte) []byte { b[at[0]+16] ^= 1; return b }, "bb bb2 ccc dddd dddd2 dddd3", "1-1!", 0},
		{"two frames of two writes", func(b []byte) []byte { zero(b, at[2]+4, at[3]+4); return b }, "a bb dddd dddd2 dddd3", "3-4!", 0},
		{"in the last write", func(b []byte) []byte { b[at[5]+9] ^= 8; return b }, "a bb bb2 ccc dddd dddd3", "6-6", 0},
		{"first of the last write", func(b []byte) []byte { b[at[4]] ^= 8; return b }, "a bb bb2 ccc dddd2 dddd3", "5-5", 0},
		{"two places", func(b []byte) []byte { b[at[1]] ^= 8; b[at[3]] ^= 8; return b }, "a bb2 dddd dddd2 dddd3", "2-2! 4-4!", 0},
		{"last frame", func(b []byte) []byte { b[len(b)-1] ^= 8; return b }, "a bb bb2 ccc dddd dddd2", "", at[7] - at[6]},
		{"last two frames zero", func(b []byte) []byte { zero(b, at[5], at[7]); return b }, "a bb bb2 ccc dddd", "", at[7] - at[5]},
		{"zeros after the end", func(b []byte) []byte { return append(b, make([]byte, 100)...) }, "a bb bb2 ccc dddd dddd2 dddd3", "", 100},
		{"own frames after the end", func(b []byte) []byte { return append(b, b[at[3]:at[5]]...) }, "a bb bb2 ccc dddd dddd2 dddd3", "", at[5] - at[3]},
		{"frame over a frame of its size", func(b []byte) []byte { copy(b[at[6]:at[7]], b[at[5]:at[6]]); return b }, "a bb bb2 ccc dddd dddd2", "", at[7] - at[6]},
		{"frame taken out", func(b []byte) []byte { return append(b[:at[3]], b[at[4]:]...) }, "a bb bb2", "", at[7] - at[4]},
		{"bytes put in", func(b []byte) []byte {
			return append(append(bytes.Clone(b[:at[3]]), 1, 2, 3), b[at[3]:]...)
		}, "a bb bb2", "", at[7] - at[3] + 3},
		{"no frames", func(b []byte) []byte { return b[:at[0]] }, "", "", 0},
		{"first copy of the header", func(b []byte) []byte { zero(b, 0, page); return b }, "a bb bb2 ccc dddd dddd2 dddd3", "1-0!", 0},
		{"second copy of the header", func(b []byte) []byte { b[2*page-1] ^= 1; return b }, "a bb bb2 ccc dddd dddd2 dddd3", "1-0!", 0},
		{"second copy of the header cut", func(b []byte) []byte { return b[:page+10] }, "", "1-0!", 0},
		{"second copy of the header differs", func(b []byte) []byte {
			b[page+16] ^= 1
			binary.BigEndian.PutUint32(b[2*page-4:], crc32.Checksum(b[page:2*page-4], castagnoli))
			return b
		}, "a bb bb2 ccc dddd dddd2 dddd3", "1-0!", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := build(t)
			// The header's random id must be that of the frames.
			fsys.SetBytes("j", c.change(bytes.Clone(whole)))
			bodies, res, err := scan(fsys)
			var damaged []string
			for _, d := range res.Damaged {
				s := fmt.Sprintf("%d-%d", d.First, d.Last)
				if d.Proven {
					s += "!"
				}
				damaged = append(damaged, s)
			}
			if err != nil || bodies != c.bodies || strings.Join(damaged, " ") != c.damaged || res.Size-res.End != c.tail {
				t.Errorf("scan = %q, damaged %v, tail %d, %v; want %q, %q, %d",
					bodies, damaged, res.Size-res.End, err, c.bodies, c.damaged, c.tail)
			}
		})
	}

	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrHeader},
		{"short", func(b []byte) []byte { return b[:page-1] }, ErrHeader},
		{"both copies", func(b []byte) []byte { b[20] ^= 1; b[page+20] ^= 1; return b }, ErrHeader},
		{"newer version", func(b []byte) []byte {
			b[9] = 9
			binary.BigEndian.PutUint32(b[page-4:], crc32.Checksum(b[:page-4], castagnoli))
			return b
		}, ErrVersion},
		{"newer flags", func(b []byte) []byte {
			b[0], b[page+10] = 0, 0x80
			binary.BigEndian.PutUint32(b[2*page-4:], crc32.Checksum(b[page:2*page-4], castagnoli))
			return b
		}, ErrVersion},
	} {
		t.Run(c.name, func(t *testing.T) {
			base.SetBytes("j", c.change(bytes.Clone(whole)))
			if _, _, err := scan(base); !errors.Is(err, c.want) {
				t.Errorf("scan = %v, want %v", err, c.want)
			}
		})
	}
}

// Frames of another file, at the place where they were, do not count: a disk
// may give a block to a new file before its content.
func TestForeignFrames(t *testing.T) {
	old := vfstest.New(1)
	write(t, mustCreate(t, old, Header{First: 1}), "a", "b", "c", "d")
	fsys := vfstest.New(2)
	write(t, mustCreate(t, fsys, Header{First: 1}), "a", "b")
	b := fsys.Bytes("j")
	fsys.SetBytes("j", append(b, old.Bytes("j")[len(b):]...))
	if bodies, res, err := scan(fsys); bodies != "a b" || err != nil || res.End != int64(len(b)) {
		t.Errorf("scan = %q, end %d, %v, want a b, end %d", bodies, res.End, err, len(b))
	}
}

// A file made of headers that promise bodies is read in bounded time.
func TestForgedHeaders(t *testing.T) {
	fsys := vfstest.New(1)
	w := mustCreate(t, fsys, Header{First: 1})
	b := fsys.Bytes("j")
	const frames = 100_000
	for i := range frames {
		left := (frames - i - 1) * FrameHeaderBytes
		b = frameHeader{kind: 1, number: uint64(i + 1), length: uint32(left), offset: int64(len(b))}.append(b, &w.id)
	}
	fsys.SetBytes("j", b)
	if bodies, res, err := scan(fsys); bodies != "" || err != nil || res.End != w.Size() {
		t.Errorf("scan = %q, %+v, %v", bodies, res, err)
	}
}

func TestNoSpace(t *testing.T) {
	for seed := range uint64(20) {
		fsys := vfstest.New(seed)
		w := mustCreate(t, fsys, Header{First: 1})
		write(t, w, "a")
		fsys.SetFault(vfstest.FailAt(fsys.Ops()+1, syscall.ENOSPC))
		if _, err := w.Add(1, []byte("refused")); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("Commit() with a full disk = %v", err)
		}
		write(t, w, "b")
		fsys.Crash()
		if bodies, res, err := scan(fsys); bodies != "a b" || err != nil || res.Damaged != nil || res.End != res.Size {
			t.Errorf("scan = %q, %+v, %v, want a b", bodies, res, err)
		}
	}
}

func TestFailed(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  vfstest.OpKind
		fault error
	}{
		{"write", vfstest.OpWrite, syscall.EIO},
		{"sync", vfstest.OpSync, syscall.EIO},
		{"sync with a full disk", vfstest.OpSync, syscall.ENOSPC},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := vfstest.New(1)
			w := mustCreate(t, fsys, Header{First: 1})
			failed := false
			fsys.SetFault(func(op vfstest.Op) error {
				if op.Kind == c.kind && !failed {
					failed = true
					return c.fault
				}
				return nil
			})
			if _, err := w.Add(1, []byte("a")); err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(); !errors.Is(err, ErrFailed) || vfs.IsNoSpace(err) {
				t.Errorf("Commit() = %v, want %v", err, ErrFailed)
			}
			if _, err := w.Add(1, []byte("b")); !errors.Is(err, ErrFailed) {
				t.Errorf("Add() after that = %v, want %v", err, ErrFailed)
			}
			if err := w.Commit(); !errors.Is(err, ErrFailed) {
				t.Errorf("Commit() after that = %v, want %v", err, ErrFailed)
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	fsys := vfstest.New(1)
	write(f, mustCreate(f, fsys, Header{First: 1, Meta: []byte("meta")}), "a", "bb bb2", "ccc")
	b := fsys.Bytes("j")
	f.Add(b)
	f.Add(b[page:])
	f.Add(b[:2*page])
	f.Add([]byte(fileMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfstest.New(1)
		fsys.SetBytes("j", b)
		_, res, err := scan(fsys)
		if err != nil {
			return
		}
		end := int64(0)
		for _, d := range res.Damaged {
			if d.Offset < end || d.Length < 0 || d.Offset+d.Length > res.End {
				t.Errorf("damaged range %+v after byte %d, end %d", d, end, res.End)
			}
			end = d.Offset + d.Length
		}
		if res.End > res.Size || res.LastWrite > res.End || res.Next < res.Header.First {
			t.Errorf("result = %+v", res)
		}
	})
}

// FuzzFrames damages the frames of a good file: what is read is what was
// written, in order.
func FuzzFrames(f *testing.F) {
	fsys := vfstest.New(1)
	w := mustCreate(f, fsys, Header{First: 1})
	want := []string{"a", "bb", "ccc", "dddd", "eeeee"}
	for _, b := range want {
		write(f, w, b)
	}
	whole := fsys.Bytes("j")
	f.Add(uint16(0), []byte{1})
	f.Add(uint16(40), []byte("TRW"))
	f.Add(uint16(60), make([]byte, 50))
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		fsys := vfstest.New(1)
		b := bytes.Clone(whole)
		frames := b[2*page:]
		copy(frames[int(at)%len(frames):], change)
		fsys.SetBytes("j", b)
		bodies, res, err := scan(fsys)
		if err != nil {
			t.Fatalf("scan = %v", err)
		}
		got := strings.Fields(bodies)
		i := 0
		for _, w := range want {
			if i < len(got) && got[i] == w {
				i++
			}
		}
		if i != len(got) {
			t.Errorf("read %v of %v", got, want)
		}
		if len(got) < len(want) && len(res.Damaged) == 0 && res.End == res.Size {
			t.Errorf("read %v of %v and no damage", got, want)
		}
	})
}
