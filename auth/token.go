package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"trailward"
)

// Limits of what a token may carry and of the file that holds them.
const (
	maxPattern   = 513     // bytes of a group pattern: a CloudWatch group name (512) and its *
	maxPatterns  = 100     // group patterns of one token
	maxTokenName = 128     // bytes of a token's label
	maxTokens    = 10_000  // tokens in the file
	maxFile      = 8 << 20 // bytes of the file
)

// Form of a secret: tw_ID_SECRET, ID 16 hexadecimal digits, SECRET 43
// characters of base64url (256 bits). The fixed beginning lets secret scanners
// find a leaked one.
const (
	secretPrefix = "tw_"
	idLen        = 16
	secretLen    = 43
	bearerLen    = len(secretPrefix) + idLen + 1 + secretLen
)

// Token describes a bearer token. It holds nothing secret.
type Token struct {
	ID     string           `json:"id"`
	Name   string           `json:"name,omitempty"` // a label for people
	Role   Role             `json:"role"`
	Groups []string         `json:"groups"`          // patterns, see [MatchGroup]; at least one
	Kinds  []trailward.Kind `json:"kinds,omitempty"` // that it may write; empty: all
	// Created is set by [Store.Create]. Expires is the moment from which the
	// token is refused; the zero time means never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// Expired reports whether the token is past its time.
func (t *Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

func (t *Token) principal() Principal {
	return Principal{Name: "token:" + t.ID, Role: t.Role, Groups: t.Groups, Kinds: t.Kinds}
}

// Validate reports what is wrong with what the token grants.
func (t *Token) Validate() error {
	if !t.Role.Valid() {
		return fmt.Errorf("token role %q is unknown: use reader, writer or admin", t.Role)
	}
	if len(t.Groups) == 0 {
		return errors.New(`token names no groups: give at least one pattern, "*" for every group`)
	}
	if len(t.Groups) > maxPatterns {
		return fmt.Errorf("token names %d group patterns: at most %d", len(t.Groups), maxPatterns)
	}
	for _, p := range t.Groups {
		if !ValidGroupPattern(p) {
			return fmt.Errorf("token group pattern %q is not a group name or a prefix with one * at its end", p)
		}
	}
	for _, k := range t.Kinds {
		if !k.Valid() {
			return fmt.Errorf("token kind %q is unknown", k)
		}
	}
	if len(t.Name) > maxTokenName || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("token name is longer than %d bytes or holds characters that do not print", maxTokenName)
	}
	return nil
}

// hash is the SHA-256 of a whole secret, its id included, so that a hash moved
// to another id in the file opens nothing.
type hash [sha256.Size]byte

func (h hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

func (h *hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return errors.New("a token's sha256 is not 64 hexadecimal digits")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("a token's sha256: %w", err)
	}
	return nil
}

// newSecret makes an id and the secret that carries it. crypto/rand.Read never
// fails (it ends the process instead).
func newSecret() (id, secret string) {
	var b [idLen / 2]byte
	rand.Read(b[:])
	id = hex.EncodeToString(b[:])
	var s [32]byte
	rand.Read(s[:])
	return id, secretPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(s[:])
}

// secretID takes the id out of a secret, or reports that it is not one.
func secretID(secret string) (id string, ok bool) {
	if len(secret) != bearerLen || !strings.HasPrefix(secret, secretPrefix) || secret[len(secretPrefix)+idLen] != '_' {
		return "", false
	}
	id = secret[len(secretPrefix) : len(secretPrefix)+idLen]
	if !validID(id) {
		return "", false
	}
	for _, c := range []byte(secret[len(secretPrefix)+idLen+1:]) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "", false
		}
	}
	return id, true
}

func validID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for _, c := range []byte(id) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
