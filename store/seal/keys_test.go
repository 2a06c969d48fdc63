package seal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trailward/internal/vfs/vfstest"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := CreateKeyFile(path)
	if err != nil {
		t.Fatalf("CreateKeyFile() = %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("key file's mode = %v, %v, want 0600", info.Mode(), err)
	}
	opened, err := OpenKeyFile(path)
	if err != nil {
		t.Fatalf("OpenKeyFile() = %v", err)
	}
	if opened.ID() != made.ID() || len(opened.IDs()) != 1 {
		t.Errorf("IDs() = %v, want %v", opened.IDs(), made.IDs())
	}
	sealed := sealObject(t, New(made), "a", []byte("hello"))
	if got, err := openAll(New(opened), "a", sealed); err != nil || string(got) != "hello" {
		t.Errorf("sealed with the key made, opened with the key read: %q, %v", got, err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateKeyFile() over a file = %v, want %v", err, fs.ErrExist)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o660, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("OpenKeyFile() with mode %o = %v, want an error with the chmod to run", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyFile(path); err != nil {
		t.Errorf("OpenKeyFile() with mode 400 = %v", err)
	}
	if _, err := OpenKeyFile(filepath.Dir(path)); err == nil {
		t.Error("OpenKeyFile(a directory) = nil error")
	}
	_, err = OpenKeyFile(path + "x")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--key-file") || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("OpenKeyFile(missing) = %v, want an error that says what to do", err)
	}
	if _, err := CreateKeyFile(filepath.Join(path, "x")); err == nil {
		t.Error("CreateKeyFile() below a file = nil error")
	}
}

func TestParseKeyFile(t *testing.T) {
	a, b := testKeys(t, 1), testKeys(t, 1)
	line := func(k *Keys) string {
		return "key " + k.ID() + " " + base64.StdEncoding.EncodeToString(k.keys[0].key()) + "\n"
	}
	secret := base64.StdEncoding.EncodeToString(a.keys[0].key())
	for _, c := range []struct {
		name, text, want string // want: ids, or "error: " and a part of it
	}{
		{"one", keyFileHeader + "\n" + line(a), a.ID()},
		{"two", keyFileHeader + "\n# newest\n" + line(b) + "\n  # old\n" + line(a), b.ID() + " " + a.ID()},
		{"carriage returns", strings.ReplaceAll(keyFileHeader+"\n"+line(a), "\n", "\r\n"), a.ID()},
		{"empty", "", "error: empty"},
		{"no line end", strings.TrimSuffix(keyFileHeader+"\n"+line(a), "\n"), "error: cut short"},
		{"no key", keyFileHeader + "\n", "error: no key"},
		{"no version", line(a), "error: line 1: not a key file"},
		{"newer version", "trailward-keys 2\n" + line(a), "error: " + ErrVersion.Error()},
		{"word", keyFileHeader + "\nkeys a b\n", "error: line 2: want"},
		{"words", keyFileHeader + "\n" + strings.TrimSpace(line(a)) + " x\n", "error: line 2: want"},
		{"not base64", keyFileHeader + "\nkey " + a.ID() + " " + secret[:43] + "!\n", "error: line 2: a key that is not base64"},
		{"short", keyFileHeader + "\nkey " + a.ID() + " AAAA\n", "error: line 2: a key of 3 bytes"},
		{"changed", keyFileHeader + "\nkey " + a.ID() + " " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n", "error: line 2: the key is not the one"},
		{"twice", keyFileHeader + "\n" + line(a) + line(a), "error: line 3: key " + a.ID() + " is there twice"},
		{"large", keyFileHeader + "\n" + strings.Repeat("#", MaxKeyFileBytes), "error: larger"},
		{"binary", "\x00\xff\n", "error: line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := parseKeyFile([]byte(c.text))
			if part, ok := strings.CutPrefix(c.want, "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("parseKeyFile() = %v, want an error with %q", err, part)
				}
				if err != nil && strings.Contains(err.Error(), secret[:20]) {
					t.Errorf("the error shows the key: %v", err)
				}
				return
			}
			if err != nil || strings.Join(k.IDs(), " ") != c.want {
				t.Errorf("parseKeyFile() = %v, %v, want %s", k, err, c.want)
			}
		})
	}
	many := keyFileHeader + "\n"
	for range MaxKeys + 1 {
		many += line(testKeys(t, 1))
	}
	if _, err := parseKeyFile([]byte(many)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("parseKeyFile(%d keys) = %v, want an error", MaxKeys+1, err)
	}
}

func TestKeysFromEnvironment(t *testing.T) {
	k := testKeys(t, 2)
	one := base64.StdEncoding.EncodeToString(k.keys[0].key())
	two := base64.StdEncoding.EncodeToString(k.keys[1].key())
	for _, c := range []struct {
		name, value string
		want        []string
		ok, err     bool
	}{
		{"none", "", nil, false, false},
		{"one", one, k.IDs()[:1], true, false},
		{"two", one + ", " + two, k.IDs(), true, false},
		{"same", one + "," + one, nil, true, true},
		{"short", "AAAA", nil, true, true},
		{"bad", "secret!", nil, true, true},
		{"comma", one + ",", nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(EnvironmentVariable, c.value)
			got, ok, err := KeysFromEnvironment()
			if ok != c.ok || (err != nil) != c.err || err == nil && ok && strings.Join(got.IDs(), " ") != strings.Join(c.want, " ") {
				t.Errorf("KeysFromEnvironment() = %v, %v, %v, want %v, %v", got, ok, err, c.want, c.ok)
			}
			if err != nil && (!strings.Contains(err.Error(), EnvironmentVariable) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("KeysFromEnvironment() error = %v", err)
			}
		})
	}
}

// The id follows from the key: a fixed example keeps it so.
func TestKeyID(t *testing.T) {
	k, err := parseKeyList(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "a9dafaeb29db4039"; k.ID() != want {
		t.Errorf("ID() of the key of 32 bytes 01 = %s, want %s", k.ID(), want)
	}
}

func TestNothingPrintsKeys(t *testing.T) {
	k := testKeys(t, 2)
	fsys := vfstest.New(1)
	sk, err := CreateStoreKey(fsys, "store.key", k)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	type holder struct {
		p  any
		sk *StoreKey
		k  *Keys
		n  namedKey
	}
	for _, v := range []any{k, sk, New(k), holder{k, sk, k, k.keys[0]}, &holder{k, sk, k, k.keys[1]}, k.keys, []any{k, sk}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "keys", k, "store", sk)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "keys", k, "store", sk)
	for i, key := range [][]byte{k.keys[0].key(), k.keys[1].key(), sk.blob(), sk.hash()} {
		for name, form := range map[string]string{
			"raw": string(key), "hexadecimal": hex.EncodeToString(key), "decimal": strings.Trim(fmt.Sprint(key), "[]"),
			"base64": base64.StdEncoding.EncodeToString(key), "octal": strings.Trim(fmt.Sprintf("%o", key), "[]"),
			"Go": strings.TrimPrefix(strings.Trim(fmt.Sprintf("%#v", key), "}"), "[]byte{"),
		} {
			if strings.Contains(strings.ToLower(b.String()), strings.ToLower(form)) {
				t.Errorf("key %d was printed as %s", i, name)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	k := testKeys(t, 1)
	ctx := context.Background()
	dek := testBytes(KeySize)
	wrapped, err := k.Wrap(ctx, dek, []byte("aad"))
	if err != nil {
		t.Fatalf("Wrap() = %v", err)
	}
	if got, err := k.Unwrap(ctx, wrapped, []byte("aad")); err != nil || !bytes.Equal(got, dek) {
		t.Errorf("Unwrap() = %x, %v, want %x", got, err, dek)
	}
	if again, err := k.Wrap(ctx, dek, []byte("aad")); err != nil || bytes.Equal(again, wrapped) {
		t.Errorf("Wrap() twice gives the same bytes, %v", err)
	}
	if _, err := k.Unwrap(ctx, wrapped, []byte("bad")); !errors.Is(err, ErrDamaged) {
		t.Errorf("Unwrap() with other associated data = %v, want %v", err, ErrDamaged)
	}
	_, err = testKeys(t, 1).Unwrap(ctx, wrapped, []byte("aad"))
	if !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), k.ID()) {
		t.Errorf("Unwrap() with another key = %v, want %v that names %s", err, ErrUnknownKey, k.ID())
	}
	if _, err := k.Wrap(ctx, dek[:31], nil); err == nil {
		t.Error("Wrap(31 bytes) = nil error")
	}
	for i := range 8 * len(wrapped) {
		wrapped[i/8] ^= 1 << (i % 8)
		if _, err := k.Unwrap(ctx, wrapped, []byte("aad")); err == nil {
			t.Errorf("bit %d flipped: Unwrap() = nil error", i)
		}
		wrapped[i/8] ^= 1 << (i % 8)
	}
}

func FuzzParseKeyFile(f *testing.F) {
	k := testKeys(f, 1)
	f.Add([]byte(keyFileHeader + "\nkey " + k.ID() + " " + base64.StdEncoding.EncodeToString(k.keys[0].key()) + "\n"))
	f.Add([]byte(""))
	f.Add([]byte("trailward-keys 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := parseKeyFile(b); err == nil && len(k.IDs()) == 0 {
			t.Error("parseKeyFile() = no keys and no error")
		}
	})
}
