package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
)

func testKeys(t testing.TB, n int) *Keys {
	t.Helper()
	k := &Keys{}
	for range n {
		key, err := generateKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := k.add(key); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func testBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func sealObject(t testing.TB, s *Sealer, id string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := s.Create(&b, id)
	if err != nil {
		t.Fatalf("Create(%q) = %v", id, err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatalf("Write(%d bytes) = %v", len(plain), err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	return b.Bytes()
}

// openAll opens an object and reads all of it.
func openAll(s *Sealer, id string, sealed []byte) ([]byte, error) {
	r, err := s.Open(bytes.NewReader(sealed), int64(len(sealed)), id)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, r.Size())
	n, err := r.ReadAt(plain, 0)
	if errors.Is(err, io.EOF) || n == len(plain) {
		err = nil
	}
	return plain[:n], err
}

var objectSizes = []int{0, 1, 15, 16, 17, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2*ChunkSize - 1, 2 * ChunkSize, 2*ChunkSize + 1,
	batchChunks * ChunkSize, batchChunks*ChunkSize + 1, (2*batchChunks+3)*ChunkSize + 77}

func TestObject(t *testing.T) {
	s := New(testKeys(t, 1))
	for _, size := range objectSizes {
		plain := testBytes(size)
		sealed := sealObject(t, s, "a", plain)
		got, err := openAll(s, "a", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("object of %d bytes came back as %d bytes, %v", size, len(got), err)
		}
		if size >= 16 && bytes.Contains(sealed, plain[:16]) {
			t.Errorf("object of %d bytes holds its plaintext", size)
		}
	}
}

// Any sizes of writes give the same object, but for its keys.
func TestObjectWrites(t *testing.T) {
	s := New(testKeys(t, 1))
	plain := testBytes(3*ChunkSize + 5)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var b bytes.Buffer
		w, err := s.Create(&b, "a")
		if err != nil {
			t.Fatal(err)
		}
		for rest := plain; len(rest) > 0; {
			n := min(len(rest), rng.IntN(2*ChunkSize))
			if rng.IntN(3) == 0 {
				n = min(len(rest), ChunkSize)
			}
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				t.Fatalf("Write(%d bytes) = %d, %v", n, m, err)
			}
			rest = rest[n:]
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		if _, err := w.Write([]byte{1}); err == nil {
			t.Fatal("Write() after Close = nil error")
		}
		if got, err := openAll(s, "a", b.Bytes()); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("object came back as %d bytes, %v", len(got), err)
		}
	}
}

func TestReadAt(t *testing.T) {
	s := New(testKeys(t, 1))
	plain := testBytes((batchChunks+2)*ChunkSize + 100)
	sealed := sealObject(t, s, "a", plain)
	r, err := s.Open(bytes.NewReader(sealed), int64(len(sealed)), "a")
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(plain)) {
		t.Fatalf("Size() = %d, want %d", r.Size(), len(plain))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 300 {
				off := rng.IntN(len(plain) + 10)
				if rng.IntN(2) == 0 {
					off = off / ChunkSize * ChunkSize
				}
				p := make([]byte, rng.IntN(3*ChunkSize))
				n, err := r.ReadAt(p, int64(off))
				want := plain[min(off, len(plain)):min(off+len(p), len(plain))]
				if !bytes.Equal(p[:n], want) || (n < len(p)) != (err != nil) || err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want %d bytes", len(p), off, n, err, len(want))
				}
			}
		})
	}
	wg.Wait()
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt(1 byte, -1) = nil error")
	}
}

// Every bit of a small object, and of the header and chunk borders of a large
// one, is protected.
func TestObjectEveryBit(t *testing.T) {
	s := New(testKeys(t, 2))
	for _, size := range []int{0, 33} {
		plain := testBytes(size)
		sealed := sealObject(t, s, "a", plain)
		for i := range 8 * len(sealed) {
			sealed[i/8] ^= 1 << (i % 8)
			got, err := openAll(s, "a", sealed)
			if err == nil {
				t.Errorf("object of %d bytes: bit %d of byte %d flipped and nobody noticed (%d bytes read)", size, i%8, i/8, len(got))
			}
			sealed[i/8] ^= 1 << (i % 8)
		}
	}
}

func TestObjectDamage(t *testing.T) {
	keys := testKeys(t, 2)
	s := New(keys)
	plain := testBytes(5*ChunkSize + 10)
	sealed := sealObject(t, s, "a", plain)
	h, err := parseHeader(sealed, kindObject)
	if err != nil {
		t.Fatal(err)
	}
	chunk := func(b []byte, i int) []byte { return b[h.size+i*sealedChunk:][:sealedChunk] }
	other := sealObject(t, s, "b", plain)
	same := sealObject(t, s, "a", plain)
	_, stream, err := func() (*StreamSealer, []byte, error) {
		head, ss, err := s.NewStream("a")
		return ss, head, err
	}()
	if err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrTruncated},
		{"cut in the header", func(b []byte) []byte { return b[:h.size-1] }, ErrTruncated},
		{"cut in the magic", func(b []byte) []byte { return b[:3] }, ErrTruncated},
		{"cut after the header", func(b []byte) []byte { return b[:h.size] }, ErrTruncated},
		{"cut in the first tag", func(b []byte) []byte { return b[:h.size+tagSize-1] }, ErrTruncated},
		{"cut at a chunk border", func(b []byte) []byte { return b[:h.size+3*sealedChunk] }, ErrTruncated},
		{"cut after a chunk's tag size", func(b []byte) []byte { return b[:h.size+3*sealedChunk+tagSize] }, ErrTruncated},
		{"cut in a chunk", func(b []byte) []byte { return b[:h.size+3*sealedChunk+100] }, ErrTruncated},
		{"cut by one byte", func(b []byte) []byte { return b[:len(b)-1] }, ErrTruncated},
		{"extended by one byte", func(b []byte) []byte { return append(b, 0) }, ErrDamaged},
		{"extended by a chunk", func(b []byte) []byte { return append(b, chunk(b, 2)...) }, ErrDamaged},
		{"chunks exchanged", func(b []byte) []byte {
			c := bytes.Clone(chunk(b, 1))
			copy(chunk(b, 1), chunk(b, 3))
			copy(chunk(b, 3), c)
			return b
		}, ErrDamaged},
		{"a chunk doubled", func(b []byte) []byte { copy(chunk(b, 3), chunk(b, 2)); return b }, ErrDamaged},
		{"a chunk taken out", func(b []byte) []byte {
			return append(b[:h.size+sealedChunk], b[h.size+2*sealedChunk:]...)
		}, ErrDamaged},
		{"a chunk of another object", func(b []byte) []byte { copy(chunk(b, 1), chunk(same, 1)); return b }, ErrDamaged},
		{"the header of another object of this name", func(b []byte) []byte { copy(b, same[:h.size]); return b }, ErrDamaged},
		{"another object", func([]byte) []byte { return bytes.Clone(other) }, ErrObjectID},
		{"another kind", func([]byte) []byte { return bytes.Clone(stream) }, ErrNotSealed},
		{"another format", func(b []byte) []byte { b[0] = 'P'; return b }, ErrNotSealed},
		{"a newer version", func(b []byte) []byte { b[9] = 2; return b }, ErrVersion},
		{"no key id", func(b []byte) []byte { b[11] = 0; return b }, ErrDamaged},
		{"wrapped key too long", func(b []byte) []byte { b[12], b[13] = 0xff, 0xff; return b }, ErrDamaged},
		{"key id changed", func(b []byte) []byte { b[fixedSize] ^= 1; return b }, ErrCommitment},
		{"commitment changed", func(b []byte) []byte { b[h.size-64] ^= 1; return b }, ErrCommitment},
		{"object id's tag changed", func(b []byte) []byte { b[h.size-1] ^= 1; return b }, ErrObjectID},
		{"wrapped key changed", func(b []byte) []byte { b[fixedSize+len(h.keyID)+60] ^= 1; return b }, ErrDamaged},
		{"wrapping key's id changed", func(b []byte) []byte { b[fixedSize+len(h.keyID)+2] ^= 1; return b }, ErrUnknownKey},
		{"salt changed", func(b []byte) []byte { b[h.size-96] ^= 1; return b }, ErrDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := c.change(bytes.Clone(sealed))
			_, err := openAll(s, "a", b)
			if !errors.Is(err, c.want) {
				t.Errorf("open = %v, want %v", err, c.want)
			}
			if wantDamage := !errors.Is(c.want, ErrVersion) && !errors.Is(c.want, ErrUnknownKey); IsDamage(err) != wantDamage {
				t.Errorf("IsDamage(%v) = %v, want %v", err, !wantDamage, wantDamage)
			}
		})
	}

	t.Run("other name", func(t *testing.T) {
		if _, err := openAll(s, "b", sealed); !errors.Is(err, ErrObjectID) {
			t.Errorf("open = %v, want %v", err, ErrObjectID)
		}
	})
	t.Run("other key", func(t *testing.T) {
		if _, err := openAll(New(testKeys(t, 1)), "a", sealed); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("open = %v, want %v", err, ErrUnknownKey)
		}
	})
	t.Run("rotated key", func(t *testing.T) {
		rotated := &Keys{keys: append(testKeys(t, 1).keys, keys.keys...)}
		if got, err := openAll(New(rotated), "a", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("open with the key second = %d bytes, %v", len(got), err)
		}
	})
	t.Run("key id too long", func(t *testing.T) {
		for _, id := range []string{"", string(make([]byte, MaxObjectIDBytes+1))} {
			if _, err := s.Create(io.Discard, id); err == nil {
				t.Errorf("Create(id of %d bytes) = nil error", len(id))
			}
		}
	})
}

// A damaged chunk does not keep the others from being read.
func TestObjectDamagedChunk(t *testing.T) {
	s := New(testKeys(t, 1))
	plain := testBytes(4 * ChunkSize)
	sealed := sealObject(t, s, "a", plain)
	sealed[len(sealed)-3*sealedChunk+7] ^= 1 // in chunk 1
	r, err := s.Open(bytes.NewReader(sealed), int64(len(sealed)), "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		p := make([]byte, 1000)
		_, err := r.ReadAt(p, int64(i)*ChunkSize+5)
		if damaged := errors.Is(err, ErrDamaged); damaged != (i == 1) || !damaged && !bytes.Equal(p, plain[i*ChunkSize+5:][:1000]) {
			t.Errorf("ReadAt in chunk %d error = %v", i, err)
		}
	}
	p := make([]byte, len(plain))
	if n, err := r.ReadAt(p, 0); n != ChunkSize || !errors.Is(err, ErrDamaged) {
		t.Errorf("ReadAt(everything) = %d, %v, want %d, %v", n, err, ChunkSize, ErrDamaged)
	}
}

// brokenWriter fails after some bytes.
type brokenWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errBroken
	}
	w.left -= len(p)
	return len(p), nil
}

func TestCreateWriteError(t *testing.T) {
	s := New(testKeys(t, 1))
	if _, err := s.Create(&brokenWriter{}, "a"); !errors.Is(err, errBroken) {
		t.Errorf("Create() = %v, want %v", err, errBroken)
	}
	w, err := s.Create(&brokenWriter{left: 1000}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 3*ChunkSize)); !errors.Is(err, errBroken) {
		t.Errorf("Write() = %v, want %v", err, errBroken)
	}
	if _, err := w.Write(nil); !errors.Is(err, errBroken) {
		t.Errorf("Write() after an error = %v, want %v", err, errBroken)
	}
	if err := w.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close() after an error = %v, want %v", err, errBroken)
	}
}

// brokenProvider gives what no provider should.
type brokenProvider struct {
	id      string
	wrapped []byte
	dek     []byte
	err     error
}

func (p *brokenProvider) ID() string { return p.id }
func (p *brokenProvider) Wrap(context.Context, []byte, []byte) ([]byte, error) {
	return p.wrapped, p.err
}
func (p *brokenProvider) Unwrap(context.Context, []byte, []byte) ([]byte, error) {
	return p.dek, p.err
}

func TestBrokenProvider(t *testing.T) {
	down := errors.New("no answer")
	for _, c := range []struct {
		name string
		p    *brokenProvider
	}{
		{"no id", &brokenProvider{wrapped: []byte{1}}},
		{"long id", &brokenProvider{id: fmt.Sprintf("%0256d", 1), wrapped: []byte{1}}},
		{"odd id", &brokenProvider{id: "a\nb", wrapped: []byte{1}}},
		{"nothing wrapped", &brokenProvider{id: "a"}},
		{"much wrapped", &brokenProvider{id: "a", wrapped: make([]byte, MaxWrappedBytes+1)}},
		{"down", &brokenProvider{id: "a", wrapped: []byte{1}, err: down}},
	} {
		_, err := New(c.p).Create(io.Discard, "a")
		if err == nil || c.p.err != nil && !errors.Is(err, c.p.err) {
			t.Errorf("%s: Create() = %v, want an error", c.name, err)
		}
	}
	sealed := sealObject(t, New(&brokenProvider{id: "a", wrapped: make([]byte, MaxWrappedBytes)}), "a", nil)
	if _, err := openAll(New(&brokenProvider{id: "a", dek: make([]byte, 31)}), "a", sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("open with a data key of 31 bytes = %v, want %v", err, ErrDamaged)
	}
	if _, err := openAll(New(&brokenProvider{id: "a", err: down}), "a", sealed); !errors.Is(err, down) || IsDamage(err) {
		t.Errorf("open with a provider that is down = %v, want %v and no damage", err, down)
	}
	if _, err := openAll(New(&brokenProvider{id: "a", dek: make([]byte, 32)}), "a", sealed); !errors.Is(err, ErrCommitment) {
		t.Errorf("open with another data key = %v, want %v", err, ErrCommitment)
	}
}

func FuzzOpen(f *testing.F) {
	s := New(&brokenProvider{id: "a", wrapped: []byte{1}, dek: make([]byte, KeySize)})
	f.Add(sealObject(f, s, "a", nil))
	f.Add(sealObject(f, s, "a", []byte("hello")))
	f.Add(sealObject(f, New(testKeys(f, 1)), "a", []byte("hello")))
	f.Add([]byte(headerMagic))
	head, _, err := s.NewStream("a")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := openAll(s, "a", b); err == nil && len(plain) > len(b) {
			t.Errorf("%d bytes opened as %d", len(b), len(plain))
		}
		if _, err := s.OpenStream(b, "a"); err == nil && len(b) > MaxHeaderBytes {
			t.Errorf("stream header of %d bytes opened", len(b))
		}
		if h, err := parseHeader(b, kindObject); err == nil && h.size > len(b) {
			t.Errorf("parseHeader(%d bytes) = a header of %d", len(b), h.size)
		}
	})
}

func BenchmarkReadAt(b *testing.B) {
	s := New(testKeys(b, 1))
	sealed := sealObject(b, s, "a", make([]byte, 64<<20))
	r, err := s.Open(bytes.NewReader(sealed), int64(len(sealed)), "a")
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for i := range b.N {
				if _, err := r.ReadAt(p, int64(i)*int64(size)%(48<<20)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	s := New(testKeys(b, 1))
	w, err := s.Create(io.Discard, "a")
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for range b.N {
		if _, err := w.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateOpen(b *testing.B) {
	s := New(testKeys(b, 1))
	for range b.N {
		sealed := sealObject(b, s, "a", nil)
		if _, err := openAll(s, "a", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
