package format

import (
	"bytes"
	"encoding/binary"

	"trailward"
)

// The export format of systemd's journal (systemd.io, "Journal Export
// Formats") writes an entry as one field a line, NAME=value LF, or, when the
// value holds a line feed or is binary, NAME LF, its length in 8 bytes little
// endian, the value, LF. A record is one entry without the empty line after it;
// the LF after its last field may be missing.

// maxJournalName is the longest field name that journald allows.
const maxJournalName = 64

// JournalField reads the field with which b begins: b[:name] is its name,
// b[start:end] its value, and b[next:] what follows. ok is false when it is
// broken, or, with more set, when b may hold too little of it: a reader that
// has more bytes asks again with them, and size is then how many bytes the
// field needs at least.
func JournalField(b []byte) (name, start, end, next int, size int, ok bool) {
	for name < len(b) && name <= maxJournalName && isJournalName(b[name]) {
		name++
	}
	if name == len(b) && name <= maxJournalName {
		return 0, 0, 0, 0, len(b) + 1, false
	}
	if name == 0 || name > maxJournalName || b[0] >= '0' && b[0] <= '9' {
		return 0, 0, 0, 0, 0, false
	}
	switch b[name] {
	case '=':
		i := bytes.IndexByte(b[name:], '\n')
		if i < 0 {
			return name, name + 1, len(b), len(b), len(b) + 1, true
		}
		return name, name + 1, name + i, name + i + 1, 0, true
	case '\n':
		start = name + 9
		if len(b) < start {
			return 0, 0, 0, 0, start, false
		}
		n := binary.LittleEndian.Uint64(b[name+1:])
		if n > maxJournalValue {
			return 0, 0, 0, 0, 0, false
		}
		end = start + int(n)
		if len(b) < end {
			return 0, 0, 0, 0, end + 1, false
		}
		if len(b) == end {
			return name, start, end, end, end + 1, true
		}
		if b[end] != '\n' {
			return 0, 0, 0, 0, 0, false
		}
		return name, start, end, end + 1, 0, true
	}
	return 0, 0, 0, 0, 0, false
}

// maxJournalValue bounds a binary value, so that a broken length is known as
// such; journald itself stores no field above 768 MiB.
const maxJournalValue = 768 << 20

func isJournalName(c byte) bool {
	return c >= 'A' && c <= 'Z' || c == '_' || c >= '0' && c <= '9'
}

// isJournalEntry reports whether raw is an entry in export form: well formed,
// and with one of the fields that journald itself puts before all others.
func isJournalEntry(raw []byte) bool {
	if !bytes.HasPrefix(raw, []byte("__")) {
		return false
	}
	name, _, _, _, _, ok := JournalField(raw)
	if !ok {
		return false
	}
	switch string(raw[:name]) {
	case "__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "__SEQNUM":
	default:
		return false
	}
	_, ok = splitJournal(raw, nil)
	return ok
}

func splitJournal(raw []byte, dst []trailward.Field) ([]trailward.Field, bool) {
	n := namer{dst: dst, base: len(dst)}
	for p := 0; p < len(raw); {
		name, start, end, next, _, ok := JournalField(raw[p:])
		if !ok {
			return dst, false
		}
		n.add(pathOf(raw[p:p+name]), p+start, p+end)
		p += next
	}
	return n.dst, len(raw) > 0
}
