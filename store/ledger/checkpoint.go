package ledger

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"trailward/internal/vfs"
)

// Head is a state of the ledger: how many entries it has, and the root of the
// tree over them. The catalog keeps the one that its content belongs to.
type Head struct {
	Size uint64 `json:"size"`
	Root Hash   `json:"root"`
}

// Checkpoint is a head of a named ledger.
type Checkpoint struct {
	Origin string `json:"origin"`
	Head
}

// MaxEntries is the most entries that a ledger may have, and the most leaves
// that any tree here may have.
const MaxEntries = 1 << 40

// MaxCheckpointBytes is the most that a signed checkpoint may have.
const MaxCheckpointBytes = 4 << 10

// String returns the checkpoint's text as it is signed: origin, size, root, each
// on a line (https://c2sp.org/tlog-checkpoint, without extension lines).
func (c Checkpoint) String() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint reads a checkpoint's text. It takes what String gives only.
func ParseCheckpoint(text string) (Checkpoint, error) {
	var c Checkpoint
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || lines[3] != "" {
		return c, errors.New("malformed checkpoint: want origin, size and root, each on a line")
	}
	c.Origin = lines[0]
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > MaxEntries {
		return c, errors.New("malformed checkpoint: bad size")
	}
	c.Size = size
	if err := c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return c, fmt.Errorf("malformed checkpoint: %w", err)
	}
	if c.String() != text {
		return c, errors.New("malformed checkpoint: not in its canonical form")
	}
	return c, nil
}

// OpenCheckpoint checks the signature of a signed checkpoint
// (https://c2sp.org/signed-note) with a verifier key, whose name must be the
// checkpoint's origin, and returns it.
func OpenCheckpoint(signed []byte, verifierKey string) (Checkpoint, error) {
	c, err := openCheckpoint(signed, verifierKey)
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

func openCheckpoint(signed []byte, verifierKey string) (Checkpoint, error) {
	if len(signed) > MaxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("%d bytes, the limit is %d", len(signed), MaxCheckpointBytes)
	}
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return c, err
	}
	if c.Origin != v.Name() {
		return c, fmt.Errorf("it is of the ledger %q, signed by %q", c.Origin, v.Name())
	}
	// The last character of a signature in base64 has bits that say nothing,
	// and unknown signatures are not looked at: have neither.
	sigs := n.Sigs
	if len(sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return c, errors.New("want exactly one signature")
	}
	raw, err := base64.StdEncoding.DecodeString(sigs[0].Base64)
	if err != nil || n.Text+"\n— "+sigs[0].Name+" "+base64.StdEncoding.EncodeToString(raw)+"\n" != string(signed) {
		return c, errors.New("not in its canonical form")
	}
	return c, nil
}

// Identity is the ledger's name and keys.
type Identity struct {
	// Origin names the ledger in checkpoints; it is random.
	Origin string
	// VerifierKey checks its signatures, in the form of
	// [note.NewVerifier]. It is public.
	VerifierKey string

	signer note.Signer
}

const keyContext = "ledger key"

// The files of a ledger.
const (
	FileEntries    = "entries"    // all entries, sealed
	FileHashes     = "hashes"     // the tree's hashes; follows from the entries
	FileIndex      = "index"      // where each entry ends; follows from the entries
	FileCheckpoint = "checkpoint" // the signed head
	FileKey        = "key"        // the signing key, sealed
	FilePublic     = "key.pub"    // the verifier key, plain
)

// createIdentity makes a ledger's name and key, durably.
func createIdentity(fsys vfs.FS, dir string, keys Keys) (*Identity, error) {
	var id [16]byte
	rand.Read(id[:])
	signer, verifier, err := note.GenerateKey(rand.Reader, "trailward/"+hex.EncodeToString(id[:]))
	if err != nil {
		return nil, fmt.Errorf("make the ledger's key: %w", err)
	}
	plain := []byte(signer + "\n" + verifier + "\n")
	sealed, err := keys.SealBlob(keyContext, plain)
	if err != nil {
		return nil, fmt.Errorf("seal the ledger's key: %w", err)
	}
	if err := vfs.WriteFile(fsys, path.Join(dir, FileKey), sealed, 0o600); err != nil {
		return nil, err
	}
	return parseIdentity(string(plain))
}

// OpenIdentity reads a ledger's name and keys. The error for a missing file
// wraps [fs.ErrNotExist].
func OpenIdentity(fsys vfs.FS, dir string, keys Keys) (*Identity, error) {
	name := path.Join(dir, FileKey)
	sealed, err := vfs.ReadFile(fsys, name, 4<<10)
	if err != nil {
		return nil, fmt.Errorf("open the ledger's key: %w", err)
	}
	plain, err := keys.OpenBlob(keyContext, sealed)
	if err != nil {
		return nil, fmt.Errorf("open the ledger's key %s: %w: %w", name, ErrDamaged, err)
	}
	return parseIdentity(string(plain))
}

func parseIdentity(plain string) (*Identity, error) {
	lines := strings.Split(plain, "\n")
	if len(lines) != 3 || lines[2] != "" {
		return nil, fmt.Errorf("the ledger's key: %w: want two lines", ErrDamaged)
	}
	s, err := note.NewSigner(lines[0])
	if err != nil {
		return nil, fmt.Errorf("the ledger's key: %w: %w", ErrDamaged, err)
	}
	v, err := note.NewVerifier(lines[1])
	if err != nil || v.Name() != s.Name() || v.KeyHash() != s.KeyHash() {
		return nil, fmt.Errorf("the ledger's key: %w: its halves do not belong together", ErrDamaged)
	}
	return &Identity{Origin: s.Name(), VerifierKey: lines[1], signer: s}, nil
}

// sign returns the signed checkpoint of a head.
func (id *Identity) sign(h Head) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: Checkpoint{Origin: id.Origin, Head: h}.String()}, id.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return b, nil
}

// ReadCheckpoint reads and checks the checkpoint in a ledger's directory. The
// error for a missing file wraps [fs.ErrNotExist].
func ReadCheckpoint(fsys vfs.FS, dir string, id *Identity) (c Checkpoint, signed []byte, err error) {
	name := path.Join(dir, FileCheckpoint)
	signed, err = vfs.ReadFile(fsys, name, MaxCheckpointBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if err != nil {
		return c, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if c, err = OpenCheckpoint(signed, id.VerifierKey); err != nil {
		return c, nil, fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
	}
	return c, signed, nil
}

// CheckEntry checks that the entry with these bytes is in the ledger of c, at
// place number.
func CheckEntry(c Checkpoint, number uint64, entry []byte, proof []Hash) error {
	if number >= c.Size {
		return fmt.Errorf("proof of entry %d: the checkpoint has %d entries", number, c.Size)
	}
	if err := tlog.CheckRecord(toTlog(proof), int64(c.Size), tlog.Hash(c.Root), int64(number), tlog.RecordHash(entry)); err != nil {
		return fmt.Errorf("proof of entry %d of %d: %w", number, c.Size, err)
	}
	return nil
}

// CheckExtension checks that the ledger of now has all entries of before, and
// in their places. The error wraps [ErrOtherLedger], [ErrRolledBack] or
// [ErrForked].
func CheckExtension(before, now Checkpoint, proof []Hash) error {
	switch {
	case before.Origin != now.Origin:
		return fmt.Errorf("%w: %s, was %s", ErrOtherLedger, now.Origin, before.Origin)
	case now.Size < before.Size:
		return fmt.Errorf("%w: the ledger %s has %d entries, %d were seen before", ErrRolledBack, now.Origin, now.Size, before.Size)
	case before.Size == 0 || before.Head == now.Head:
		return nil
	case before.Size == now.Size:
		return fmt.Errorf("%w: entry %d or one before it is another one", ErrForked, before.Size-1)
	}
	if err := tlog.CheckTree(toTlog(proof), int64(now.Size), tlog.Hash(now.Root), int64(before.Size), tlog.Hash(before.Root)); err != nil {
		return fmt.Errorf("%w: it has %d entries, and %d were seen before: %w", ErrForked, now.Size, before.Size, err)
	}
	return nil
}
