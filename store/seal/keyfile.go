package seal

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The key file is text, see docs/format/key-file.md:
//
//	trailward-keys 1
//	# comment
//	key <id> <base64 of 32 bytes>
//
// with one line for each key, the newest first.
const (
	keyFileHeader = "trailward-keys 1"
	// MaxKeyFileBytes is the most that a key file may have.
	MaxKeyFileBytes = 64 << 10
)

const keyFileComment = `# The key to everything in a Trailward store. Whoever has this file can read
# the store; without it nobody can, ever. Keep a copy in a safe place, apart
# from the copies of the store. The newest key comes first; older ones are
# still needed to read what was written with them.
`

// EnvironmentVariable holds the keys if no key file is to be used: base64 of
// 32 bytes, several with commas between them, the newest first.
const EnvironmentVariable = "TRAILWARD_KEY"

const lostKey = "without its keys nothing in the store can be read: restore the file from your backup, or name its place with --key-file"

// CreateKeyFile makes a key file with one new random key, readable by its
// owner only. It never replaces a file: if one is there, in whatever state, the
// error wraps [fs.ErrExist]. The file is durable when it returns.
func CreateKeyFile(path string) (*Keys, error) {
	n, err := generateKey()
	if err != nil {
		return nil, fmt.Errorf("create key file %s: %w", path, err)
	}
	k := &Keys{keys: []namedKey{n}}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	if err := writeKeyFile(f, k); err != nil {
		// No data was sealed with the key yet, so nothing is lost with it.
		return nil, errors.Join(fmt.Errorf("create key file %s: %w", path, err), os.Remove(path))
	}
	return k, nil
}

func writeKeyFile(f *os.File, k *Keys) error {
	var b bytes.Buffer
	b.WriteString(keyFileHeader + "\n" + keyFileComment)
	for i := range k.keys {
		fmt.Fprintf(&b, "key %x %s\n", k.keys[i].id, base64.StdEncoding.EncodeToString(k.keys[i].key()))
	}
	defer clear(b.Bytes())
	// The mode given at creation went through the umask, which may have taken
	// away the owner's own right to read.
	if err := f.Chmod(0o600); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return errors.Join(err, dir.Close())
	}
	return dir.Close()
}

// OpenKeyFile reads the keys in a key file. It refuses a file that anyone but
// its owner may read or write. The error for a missing file wraps
// [fs.ErrNotExist].
func OpenKeyFile(path string) (*Keys, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open key file: %w: %s", err, lostKey)
	}
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	// What is checked is the file that is then read, not what has its name.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open key file %s: it is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("open key file %s: its mode %04o lets others at the key; run: chmod 600 %s", path, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxKeyFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	defer clear(data)
	k, err := parseKeyFile(data)
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w; %s", path, err, lostKey)
	}
	return k, nil
}

// parseKeyFile reads a key file. Its errors name lines and never quote them.
func parseKeyFile(data []byte) (*Keys, error) {
	switch {
	case len(data) > MaxKeyFileBytes:
		return nil, fmt.Errorf("it is larger than %d bytes", MaxKeyFileBytes)
	case len(data) == 0:
		return nil, errors.New("it is empty (if its creation was interrupted and no store uses it yet, remove it)")
	case data[len(data)-1] != '\n':
		// The editor or the copy that cut the line may have cut more.
		return nil, errors.New("it is cut short: its last line has no end")
	}
	k := &Keys{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, MaxKeyFileBytes+1)
	for line := 1; sc.Scan(); line++ {
		text := strings.TrimSpace(sc.Text())
		if line == 1 {
			if err := checkKeyFileHeader(text); err != nil {
				return nil, err
			}
			continue
		}
		if text == "" || text[0] == '#' {
			continue
		}
		words := strings.Fields(text)
		if len(words) != 3 || words[0] != "key" {
			return nil, fmt.Errorf("line %d: want: key ID BASE64", line)
		}
		n, err := parseKey(words[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if words[1] != hex.EncodeToString(n.id[:]) {
			return nil, fmt.Errorf("line %d: the key is not the one that the line names: one of them was changed", line)
		}
		if err := k.add(n); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(k.keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	return k, nil
}

func checkKeyFileHeader(line string) error {
	if line == keyFileHeader {
		return nil
	}
	if strings.HasPrefix(line, "trailward-keys ") {
		return fmt.Errorf("line 1: %w", ErrVersion)
	}
	return fmt.Errorf("line 1: not a key file: it does not begin with %q", keyFileHeader)
}

// KeysFromEnvironment reads the keys in [EnvironmentVariable]; ok is false if
// that is not set or empty. What any user of the machine may see of a process's
// environment depends on the system: prefer a key file.
func KeysFromEnvironment() (k *Keys, ok bool, err error) {
	value := os.Getenv(EnvironmentVariable)
	if value == "" {
		return nil, false, nil
	}
	k, err = parseKeyList(value)
	if err != nil {
		return nil, true, fmt.Errorf("read keys from the environment variable %s: %w", EnvironmentVariable, err)
	}
	return k, true, nil
}

func parseKeyList(value string) (*Keys, error) {
	k := &Keys{}
	for i, text := range strings.Split(value, ",") {
		n, err := parseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w; want base64 of %d bytes, as from: head -c %d /dev/urandom | base64", i+1, err, KeySize, KeySize)
		}
		if err := k.add(n); err != nil {
			return nil, err
		}
	}
	return k, nil
}
