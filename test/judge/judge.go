// Package judge holds a store to its word, whatever was done to it. Tests of
// durability ask it for batches of records that are made from a seed, and tell
// it which of them were acknowledged: each of those is an obligation. After the
// faults it reads everything back and says what is not as it was promised.
//
// A verdict is good when every record of an obligation is there exactly once,
// byte for byte; what was never acknowledged is there once or not at all; and
// nothing is there that was never issued. A record that was read back once, say
// after a crash, counts as an obligation from then on.
//
// It knows nothing of the store: it compares bytes. Only tests import it.
package judge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Batch is a few records that are sent at once under one id.
type Batch struct {
	Group, Stream, ID string
	Lines             []string // neither LF nor NUL is in any
}

// Body is the batch as lines.
func (b *Batch) Body() string { return strings.Join(b.Lines, "\n") + "\n" }

// Judge issues batches and passes verdicts. It is safe for concurrent use.
type Judge struct {
	seed uint64

	mu     sync.Mutex
	issued int
	fate   map[string]map[string]bool // by group and record: whether it is owed
}

// New returns a judge whose records seed decides.
func New(seed uint64) *Judge {
	return &Judge{seed: seed, fate: map[string]map[string]bool{}}
}

// Issue makes a batch of n new records for a writer. Writers of odd and even
// numbers write to different groups, each to a stream of its own.
func (j *Judge) Issue(writer, n int) *Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := &Batch{Group: fmt.Sprintf("/judge/%d", writer%2), Stream: fmt.Sprintf("writer-%d", writer), ID: fmt.Sprintf("%d-%d-%d", j.seed, writer, j.issued)}
	if j.fate[b.Group] == nil {
		j.fate[b.Group] = map[string]bool{}
	}
	for range n {
		j.issued++
		line := record(j.seed, j.issued)
		b.Lines = append(b.Lines, line)
		j.fate[b.Group][line] = false
	}
	return b
}

// IssueLines makes a batch of the given records, which must be unlike all
// others of the group.
func (j *Judge) IssueLines(group string, lines ...string) *Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.issued++
	b := &Batch{Group: group, Stream: "own", ID: fmt.Sprintf("%d-own-%d", j.seed, j.issued), Lines: lines}
	if j.fate[group] == nil {
		j.fate[group] = map[string]bool{}
	}
	for _, l := range lines {
		j.fate[group][l] = false
	}
	return b
}

// record is the payload of a number: the same for the same seed, unlike all
// others, and of the forms that a store treats differently.
func record(seed uint64, n int) string {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	name := fmt.Sprintf("judge-%d-%d", seed, n)
	pad := make([]byte, []int{0, 20, 200, 1500}[rng.IntN(4)])
	for i := range pad {
		pad[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rng.IntN(36)]
	}
	switch rng.IntN(6) {
	case 0:
		return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":"ResponseComplete","verb":"get","requestURI":"/%s","stageTimestamp":"2026-01-02T03:04:%02d.000000Z"}`, name, pad, rng.IntN(60))
	case 1:
		return fmt.Sprintf("%s \xff\xfe \x1b[31m%s\r", name, pad)
	case 2:
		return fmt.Sprintf(`{"a.b":%d, "a" : {"b":1e400,"b":-0},"id":"%s\u00e9\/","pad":%q}`, rng.IntN(1000), name, pad)
	case 3:
		return fmt.Sprintf("Jun 14 15:16:%02d combo sshd(pam_unix)[%d]: check pass; %s %s", rng.IntN(60), rng.IntN(99999), name, pad)
	default:
		return fmt.Sprintf(`{"judge":%q,"n":%d,"pad":%q}`, name, n, pad)
	}
}

// Acked says that the batch was acknowledged.
func (j *Judge) Acked(b *Batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range b.Lines {
		j.fate[b.Group][l] = true
	}
}

// Owed returns how many records are obligations.
func (j *Judge) Owed() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, g := range j.fate {
		for _, owed := range g {
			if owed {
				n++
			}
		}
	}
	return n
}

// Forgive ends the obligation for all records of a group, say because they were
// deleted on purpose; they may be there or not.
func (j *Judge) Forgive(group string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for l := range j.fate[group] {
		j.fate[group][l] = false
	}
}

// ErrNoGroup, of the func that reads, says that there is no such group.
var ErrNoGroup = errors.New("there is no such group")

// mostProblems is how many an error of Verdict names.
const mostProblems = 5

// Verdict reads every record of each group that a batch was issued for, and
// returns what is not as it should be. Nothing is written meanwhile.
func (j *Judge) Verdict(read func(group string, each func(record []byte)) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var problems []error
	total := 0
	problem := func(format string, args ...any) {
		if total++; total <= mostProblems {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	for group, fate := range j.fate {
		seen := make(map[string]bool, len(fate))
		err := read(group, func(record []byte) {
			r := string(record)
			if _, ok := fate[r]; !ok {
				problem("group %s: %.120q was never issued", group, r)
			} else if seen[r] {
				problem("group %s: %.120q is there twice", group, r)
			}
			seen[r] = true
		})
		if err != nil && !errors.Is(err, ErrNoGroup) {
			problem("read group %s: %w", group, err)
			continue
		}
		for r, owed := range fate {
			if owed && !seen[r] {
				problem("group %s: %.120q was acknowledged and is lost", group, r)
			}
		}
		for r := range seen {
			if _, ok := fate[r]; ok {
				fate[r] = true
			}
		}
	}
	if total > len(problems) {
		problems = append(problems, fmt.Errorf("and %d more", total-len(problems)))
	}
	return errors.Join(problems...)
}

// Scale returns how much of a test is to be done: the number in the environment
// variable, of which docs/keeping.md has a list, else what fits into CI.
func Scale(t testing.TB, variable string, ci int) int {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		if testing.Short() {
			return (ci + 9) / 10
		}
		return ci
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q: want a number from 1 on", variable, v)
	}
	return n
}
