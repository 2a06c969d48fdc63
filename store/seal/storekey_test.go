package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"trailward/internal/vfs/vfstest"
)

func TestStoreKey(t *testing.T) {
	keys := testKeys(t, 1)
	fsys := vfstest.New(1)
	if _, err := OpenStoreKey(fsys, "store.key", keys); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenStoreKey(missing) = %v, want %v", err, fs.ErrNotExist)
	}
	made, err := CreateStoreKey(fsys, "store.key", keys)
	if err != nil {
		t.Fatalf("CreateStoreKey() = %v", err)
	}
	if _, err := CreateStoreKey(fsys, "store.key", keys); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateStoreKey() again = %v, want %v", err, fs.ErrExist)
	}
	fsys.Crash()
	rotated := &Keys{keys: append(testKeys(t, 1).keys, keys.keys...)}
	opened, err := OpenStoreKey(fsys, "store.key", rotated)
	if err != nil {
		t.Fatalf("OpenStoreKey() after a crash, with a newer key first = %v", err)
	}
	if made.Hash("a", []byte("x")) != opened.Hash("a", []byte("x")) {
		t.Error("Hash() differs after the key was opened again")
	}
	sealed, err := made.SealBlob("a", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opened.OpenBlob("a", sealed); err != nil || string(got) != "x" {
		t.Errorf("OpenBlob() after the key was opened again = %q, %v", got, err)
	}
	_, err = OpenStoreKey(fsys, "store.key", testKeys(t, 1))
	if !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), keys.ID()) {
		t.Errorf("OpenStoreKey() with another key = %v, want %v that names %s", err, ErrUnknownKey, keys.ID())
	}

	file := fsys.Bytes("store.key")
	for i := range 8 * len(file) {
		file[i/8] ^= 1 << (i % 8)
		fsys.SetBytes("store.key", file)
		if _, err := OpenStoreKey(fsys, "store.key", keys); err == nil {
			t.Errorf("bit %d flipped: OpenStoreKey() = nil error", i)
		}
		file[i/8] ^= 1 << (i % 8)
	}
	for _, b := range [][]byte{nil, file[:len(file)-1], append(bytes.Clone(file), 0), make([]byte, MaxHeaderBytes+1)} {
		fsys.SetBytes("store.key", b)
		if _, err := OpenStoreKey(fsys, "store.key", keys); err == nil {
			t.Errorf("OpenStoreKey() of %d bytes = nil error", len(b))
		}
	}
}

// Whenever the creation fails, a new one succeeds or the key is there.
func TestCreateStoreKeyFaults(t *testing.T) {
	keys := testKeys(t, 1)
	for seed := range uint64(20) {
		for _, fault := range []error{vfstest.ErrPowerCut, syscall.EIO, syscall.ENOSPC} {
			for n := 1; ; n++ {
				fsys := vfstest.New(seed)
				fsys.SetFault(vfstest.FailAt(n, fault))
				made, err := CreateStoreKey(fsys, "store.key", keys)
				fsys.Crash()
				opened, openErr := OpenStoreKey(fsys, "store.key", keys)
				switch {
				case err == nil && (openErr != nil || opened.Hash("") != made.Hash("")):
					t.Fatalf("seed %d, %v at operation %d: the key made is not the key opened (%v)", seed, fault, n, openErr)
				case err != nil && openErr != nil && !errors.Is(openErr, fs.ErrNotExist):
					t.Fatalf("seed %d, %v at operation %d: OpenStoreKey() = %v", seed, fault, n, openErr)
				}
				if err == nil {
					break
				}
			}
		}
	}
}

func testStoreKey(t testing.TB) *StoreKey {
	t.Helper()
	k, err := CreateStoreKey(vfstest.New(1), "store.key", testKeys(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestBlob(t *testing.T) {
	k := testStoreKey(t)
	for _, size := range []int{0, 1, 1000} {
		plain := testBytes(size)
		sealed, err := k.SealBlob("column", plain)
		if err != nil || len(sealed) != size+BlobOverhead {
			t.Fatalf("SealBlob(%d bytes) = %d bytes, %v", size, len(sealed), err)
		}
		if got, err := k.OpenBlob("column", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("OpenBlob(%d bytes) = %d bytes, %v", size, len(got), err)
		}
		if again, _ := k.SealBlob("column", plain); bytes.Equal(again, sealed) {
			t.Errorf("SealBlob(%d bytes) twice gives the same bytes", size)
		}
		if _, err := k.OpenBlob("colum", sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("OpenBlob() in another context = %v, want %v", err, ErrDamaged)
		}
		if _, err := testStoreKey(t).OpenBlob("column", sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("OpenBlob() with another store's key = %v, want %v", err, ErrDamaged)
		}
		for i := range 8 * min(len(sealed), 100) {
			sealed[i/8] ^= 1 << (i % 8)
			if _, err := k.OpenBlob("column", sealed); err == nil {
				t.Errorf("bit %d flipped: OpenBlob() = nil error", i)
			}
			sealed[i/8] ^= 1 << (i % 8)
		}
		if _, err := k.OpenBlob("column", sealed[:BlobOverhead-1]); !errors.Is(err, ErrTruncated) {
			t.Errorf("OpenBlob(%d bytes) = %v, want %v", BlobOverhead-1, err, ErrTruncated)
		}
	}
	if _, err := k.SealBlob("column", make([]byte, MaxBlobBytes+1)); err == nil {
		t.Errorf("SealBlob(%d bytes) = nil error", MaxBlobBytes+1)
	}
}

func TestHash(t *testing.T) {
	k := testStoreKey(t)
	b := func(s ...string) (out [][]byte) {
		for _, x := range s {
			out = append(out, []byte(x))
		}
		return out
	}
	seen := make(map[[32]byte]string)
	for _, context := range []string{"", "a", "b"} {
		for _, data := range [][][]byte{b(), b(""), b("", ""), b("a"), b("b"), b("ab"), b("a", "b"), b("ab", ""), b("", "ab"), b("b", "a")} {
			name := fmt.Sprintf("%q %q", context, data)
			sum := k.Hash(context, data...)
			if other, ok := seen[sum]; ok {
				t.Errorf("Hash() of %s and %s is the same", name, other)
			}
			seen[sum] = name
			if again := k.Hasher(context).Sum(data...); again != sum {
				t.Errorf("Hash() of %s differs when computed again", name)
			}
		}
	}
	if k.Hash("a", []byte("x")) == testStoreKey(t).Hash("a", []byte("x")) {
		t.Error("two stores have the same hash")
	}
}

func BenchmarkHash(b *testing.B) {
	h := testStoreKey(b).Hasher("natural key")
	id := []byte("0f1c1ed0-7d8a-4b23-9f3b-b9d1d5c2a9d3")
	b.ReportAllocs()
	for range b.N {
		h.Sum(id, id)
	}
}
