// Package term writes for people: tables that fit the terminal, a progress
// line on long work, and text from records that cannot take the terminal over.
//
// It gets cells and counts and gives lines; it knows nothing of records or
// queries. Whatever it prints is free of control characters: a record is
// evidence that an attacker may have written, and an escape sequence in it must
// not move the cursor, recolour the screen or reorder the text that an analyst
// reads (CWE-150, CVE-2021-42574).
package term

import (
	"os"
	"strconv"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal that a person looks at.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// DefaultWidth is the width that is taken for a terminal that does not tell
// its own, in columns.
const DefaultWidth = 80

// Width returns the width of f in columns, or 0 when f is not a terminal. The
// environment variable COLUMNS wins over what the terminal says, as it does in
// ls and ps.
func Width(f *os.File) int {
	if !IsTerminal(f) {
		return 0
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
		return n
	}
	return DefaultWidth
}
