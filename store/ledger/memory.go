package ledger

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"trailward/internal/vfs"
)

// Memory is what a user remembers of ledgers: the last checkpoint that was seen
// of each, by place. It lies in the user's own state folder, out of reach of
// whoever keeps the store, and is what makes a store that was rolled back as a
// whole, keys and all, look different from one that was not.
//
// It is safe for use by several processes at once.
type Memory struct {
	fs  *vfs.Dir
	dir string
}

// MemoryDir returns the folder for the memory of the user that the environment
// is of: $XDG_STATE_HOME/trailward/checkpoints, with $HOME/.local/state in
// place of the first where it is not an absolute path, as the XDG Base
// Directory Specification says.
func MemoryDir(getenv func(string) string) (string, error) {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", errors.New("no folder to remember checkpoints in: set XDG_STATE_HOME or HOME")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "trailward", "checkpoints"), nil
}

// OpenMemory opens the memory in a folder, which it makes if need be.
func OpenMemory(dir string) (*Memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open memory of checkpoints: %w", err)
	}
	fsys, err := vfs.OS(dir)
	if err != nil {
		return nil, fmt.Errorf("open memory of checkpoints: %w", err)
	}
	return &Memory{fs: fsys, dir: dir}, nil
}

// Close closes the memory.
func (m *Memory) Close() error { return m.fs.Close() }

// seenFile is a file of the memory.
type seenFile struct {
	Version     int    `json:"version"`
	Place       string `json:"place"`
	VerifierKey string `json:"verifier_key"`
	Checkpoint  string `json:"checkpoint"` // signed
}

const (
	seenVersion  = 1
	maxSeenBytes = 64 << 10
)

// names returns the folder of a place and the file of a ledger in it. Neither
// name is of any use in a path as it comes.
func seenNames(place, origin string) (dir, file string) {
	p, o := sha256.Sum256([]byte(place)), sha256.Sum256([]byte(origin))
	dir = hex.EncodeToString(p[:16])
	return dir, path.Join(dir, hex.EncodeToString(o[:16]))
}

// Last returns the last checkpoint seen of a ledger at a place: an absolute
// path without symbolic links, or the URL of a server. ok is false if none was.
func (m *Memory) Last(place string, id Identity) (c Checkpoint, ok bool, err error) {
	_, name := seenNames(place, id.Origin)
	b, err := vfs.ReadFile(m.fs, name, maxSeenBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read memory of checkpoints: %w", err)
	}
	s, c, err := parseSeen(b)
	if err == nil && (s.Place != place || c.Origin != id.Origin) {
		err = errors.New("it is of another place or ledger")
	}
	if err != nil {
		return c, false, fmt.Errorf("memory of checkpoints, %s: %w: remove the file if you know why", filepath.Join(m.dir, name), err)
	}
	if s.VerifierKey != id.VerifierKey {
		return c, false, fmt.Errorf("%w: the ledger %s at %s has another key than before", ErrForked, id.Origin, place)
	}
	return c, true, nil
}

func parseSeen(b []byte) (s seenFile, c Checkpoint, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, c, err
	}
	if s.Version != seenVersion {
		return s, c, fmt.Errorf("version %d, this program knows version %d", s.Version, seenVersion)
	}
	c, err = OpenCheckpoint([]byte(s.Checkpoint), s.VerifierKey)
	return s, c, err
}

// Check compares a checkpoint whose signature is good with what was seen at the
// place before. prove gives the proof for [CheckExtension], as
// [Ledger.ProveExtension] does; it is asked only if it is needed. The error wraps
// [ErrRolledBack] or [ErrForked], which must be refused; or [ErrOtherLedger] if
// this ledger was never seen at the place but another was, which a user has to
// be told and who may accept it by [Memory.Remember]. known is false if nothing
// was seen there before.
func (m *Memory) Check(place string, id Identity, now Checkpoint, prove func(before Checkpoint) ([]Hash, error)) (known bool, err error) {
	if now.Origin != id.Origin {
		return false, fmt.Errorf("check checkpoint: it is of %s, not of %s", now.Origin, id.Origin)
	}
	before, ok, err := m.Last(place, id)
	if err != nil {
		return false, err
	}
	if !ok {
		dir, _ := seenNames(place, id.Origin)
		others, err := m.fs.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("read memory of checkpoints: %w", err)
		}
		for _, o := range others {
			if path.Ext(o.Name()) != vfs.TempSuffix {
				return true, fmt.Errorf("%w: at %s", ErrOtherLedger, place)
			}
		}
		return false, nil
	}
	var proof []Hash
	if before.Size > 0 && before.Size < now.Size {
		if proof, err = prove(before); err != nil {
			return true, err
		}
	}
	if err := CheckExtension(before, now, proof); err != nil {
		return true, fmt.Errorf("%w: at %s", err, place)
	}
	return true, nil
}

// Remember makes a signed checkpoint the last one seen at a place, durably. One
// that is older than what is remembered changes nothing.
func (m *Memory) Remember(place string, id Identity, signed []byte) error {
	now, err := OpenCheckpoint(signed, id.VerifierKey)
	if err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	before, ok, err := m.Last(place, id)
	if err != nil {
		return err
	}
	if ok && before.Size >= now.Size {
		return nil
	}
	b, err := json.MarshalIndent(seenFile{Version: seenVersion, Place: place, VerifierKey: id.VerifierKey, Checkpoint: string(signed)}, "", "  ")
	if err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	dir, name := seenNames(place, id.Origin)
	if err := vfs.MakeDir(m.fs, dir, 0o700); err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	// A name of its own, since other processes may be at the same.
	var unique [8]byte
	rand.Read(unique[:])
	temp := name + "." + hex.EncodeToString(unique[:]) + vfs.TempSuffix
	if err := vfs.WriteFile(m.fs, temp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	if err := m.fs.Rename(temp, name); err != nil {
		return fmt.Errorf("remember checkpoint: %w", errors.Join(err, m.fs.Remove(temp)))
	}
	if err := m.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	return nil
}
