package duck

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// slots are the descriptors that a session has put onto its instance's
// numbers.
type slots struct {
	base, max int
	open      map[int]bool
}

// put makes a duplicate of fd under the number of slot i. What was there goes.
//
// F_DUPFD takes the lowest free number from the one asked for, so it never
// closes a descriptor that other code happens to hold there, as dup3 would.
func (s *slots) put(i, fd int) error {
	if i < 0 || i >= s.max {
		return fmt.Errorf("put a file onto slot %d of %d", i, s.max)
	}
	n := s.base + i
	if s.open[i] {
		// Ours already: replacing it in one step leaves no moment in which the
		// number is free for others.
		if err := unix.Dup3(fd, n, unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("replace the file on descriptor %d: %w", n, err)
		}
		return nil
	}
	got, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, n)
	if err != nil {
		return fmt.Errorf("put a file onto descriptor %d: %w", n, err)
	}
	if got != n {
		_ = unix.Close(got)
		return fmt.Errorf("descriptor %d is in use by other code: the process has too many files open; raise the limit (ulimit -n, LimitNOFILE=)", n)
	}
	if s.open == nil {
		s.open = make(map[int]bool)
	}
	s.open[i] = true
	return nil
}

// clear takes every file off.
func (s *slots) clear() {
	for i := range s.open {
		// A close of a memory file has no error that anyone could act on.
		_ = unix.Close(s.base + i)
	}
	s.open = nil
}
