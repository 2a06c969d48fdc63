package query

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
)

// pointerVersion is the first byte of a record pointer.
const pointerVersion = 1

// errPointer says nothing of the inside: a pointer is opaque.
var errPointer = errors.New("record pointer is not one that a query gave")

// FormatPointer makes the opaque @ptr of a record: the base64url text (without
// padding) of a version byte, the row as an unsigned varint and the part's ID.
func FormatPointer(partID string, row int64) string {
	b := make([]byte, 1, 1+binary.MaxVarintLen64+len(partID))
	b[0] = pointerVersion
	b = binary.AppendUvarint(b, uint64(row))
	b = append(b, partID...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParsePointer takes an @ptr apart.
func ParsePointer(ptr string) (partID string, row int64, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(ptr)
	if err != nil || len(b) < 3 || b[0] != pointerVersion {
		return "", 0, errPointer
	}
	n, used := binary.Uvarint(b[1:])
	if used <= 0 || n > math.MaxInt64 || 1+used >= len(b) {
		return "", 0, errPointer
	}
	if id := string(b[1+used:]); FormatPointer(id, int64(n)) == ptr {
		return id, int64(n), nil
	}
	return "", 0, errPointer // a longer spelling of the row
}
