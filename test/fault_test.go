package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trailward/test/judge"
)

// The fault tests hold the whole binary to its promises while things break
// around it. docs/keeping.md says what is tested and how to run more of it.

// readDir lets a judge read a closed data directory.
func readDir(t *testing.T, data string, env ...string) func(string, func([]byte)) error {
	return catAt(t, env, "--data", data)
}

// readServer lets a judge read a running server.
func readServer(t *testing.T, s *server) func(string, func([]byte)) error {
	return catAt(t, nil, "--server", s.url)
}

func catAt(t *testing.T, env []string, place ...string) func(string, func([]byte)) error {
	return func(group string, each func([]byte)) error {
		r := runEnv(t, env, "", append([]string{"cat", "-0", "--group", group}, place...)...)
		if r.code != 0 {
			if strings.Contains(r.stderr, "no group") || strings.Contains(r.stderr, "no such group") {
				return judge.ErrNoGroup
			}
			return fmt.Errorf("cat: exit status %d: %s", r.code, r.stderr)
		}
		for rec := range bytes.SplitSeq([]byte(strings.TrimSuffix(r.stdout, "\x00")), []byte{0}) {
			each(rec)
		}
		return nil
	}
}

// verified fails the test unless `trailward verify` finds the store as it was written.
func verified(t *testing.T, data string, env ...string) {
	t.Helper()
	if r := runEnv(t, env, "", "verify", "--data", data); r.code != 0 {
		t.Errorf("verify = %d, want 0\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// fresh fails the test unless a new record passes and is read back.
func fresh(t *testing.T, j *judge.Judge, s *server) {
	t.Helper()
	for _, w := range j.Writers(1, 1) {
		if o := w.Send(t.Context(), s.url); !o.Acked() {
			t.Errorf("a fresh record: %+v, want it acknowledged", o)
		}
	}
	if err := j.Verdict(readServer(t, s)); err != nil {
		t.Errorf("after a fresh record: %v", err)
	}
}

// stateHome is an environment in which checkpoints are remembered below dir.
func stateHome(dir string) string { return "XDG_STATE_HOME=" + filepath.Join(dir, "state") }

// strace returns the command that kills the program, or makes a call fail, at
// the n-th system call of that name in one of its threads.
func strace(t *testing.T, call, what string, n int) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	return []string{path, "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, what, n)}
}

// straceWorks skips the test where programs cannot be traced, as in most containers.
func straceWorks(t *testing.T) {
	t.Helper()
	argv := append(strace(t, "write", "signal=KILL", 1), "/bin/echo", "x")
	err := exec.Command(argv[0], argv[1:]...).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Skipf("strace cannot kill a program here: %v", err)
	}
}

// The system calls by which anything gets to the disk. A kill at the n-th of
// one, n = 1, 2, 3 …, stands for a kill between any two.
var diskCalls = []string{"fdatasync", "write", "fsync", "pwrite64", "renameat", "unlinkat", "ftruncate", "openat", "mkdirat", "unlink"}

// TestKillAtSystemCalls kills the server at system calls, in a row and also
// while it starts again after a kill or is ending, under four writers.
func TestKillAtSystemCalls(t *testing.T) {
	straceWorks(t)
	kills := judge.Scale(t, "FAULT_KILLS", 30)
	const inRow = 5 // kills between two verdicts
	rng := rand.New(rand.NewPCG(uint64(kills), 1))
	done, tries := map[string]int{}, 0
	for killed := 0; killed < kills; {
		root := t.TempDir()
		data, env := filepath.Join(root, "store"), stateHome(root)
		j := judge.New(uint64(killed) + 1)
		writers := j.Writers(4, 5)
		for range 10 {
			var row []string
			for len(row) < inRow {
				if tries++; tries > 20*kills+100 {
					t.Fatalf("%d kills of %d in %d runs: %v", killed, kills, tries, done)
				}
				// Fewer and fewer threads come so far: most kills are early.
				call, n := diskCalls[rng.IntN(len(diskCalls))], 1+int(rng.ExpFloat64()*8)
				if call == "write" || call == "openat" || call == "pwrite64" {
					n += rng.IntN(40)
				}
				s, ok := serveUnder(t, strace(t, call, "signal=KILL", n), []string{env}, data)
				if ok {
					tally := judge.Run(t.Context(), writers, s.url, 1+rng.IntN(8), nil)
					for _, w := range tally.Wrong {
						t.Errorf("killed at %v, then %s %d: %v", row, call, n, w)
					}
					s.stop()
				}
				if st := s.cmd.ProcessState.Sys().(syscall.WaitStatus); st.Signaled() && st.Signal() == syscall.SIGKILL {
					row = append(row, fmt.Sprintf("%s %d", call, n))
					done[call]++
					killed++
				} else if s.cmd.ProcessState.ExitCode() != 0 {
					t.Fatalf("after kills at %v the server ended with %v: %s", row, s.cmd.ProcessState, s.logged())
				}
			}
			s, ok := serveUnder(t, nil, []string{env}, data)
			if !ok {
				t.Fatalf("after kills at %v the server does not start: %s", row, s.logged())
			}
			if err := j.Verdict(readServer(t, s)); err != nil {
				t.Errorf("after kills at %v: %v", row, err)
			}
			for _, w := range writers { // what was not answered is sent again
				if o := w.Send(t.Context(), s.url); !o.Acked() {
					t.Errorf("after kills at %v a batch sent again: %+v", row, o)
				}
			}
			fresh(t, j, s)
			s.stop()
			verified(t, data, env)
			if err := j.Verdict(readDir(t, data, env)); err != nil {
				t.Errorf("after kills at %v and a clean stop: %v", row, err)
			}
			if t.Failed() {
				t.Fatalf("the server said: %s", s.logged())
			}
			if killed >= kills {
				break
			}
		}
	}
	t.Logf("%d runs, kills %v", tries, done)
}

// TestKillAtRandomTimes kills the server without looking, while four writers are
// at it.
func TestKillAtRandomTimes(t *testing.T) {
	kills := judge.Scale(t, "FAULT_KILLS", 10)
	root := t.TempDir()
	data, env := filepath.Join(root, "store"), stateHome(root)
	j := judge.New(99)
	writers := j.Writers(4, 3)
	rng := rand.New(rand.NewPCG(9, uint64(kills)))
	for i := range kills {
		s, ok := serveUnder(t, nil, []string{env}, data)
		if !ok {
			t.Fatalf("kill %d: the server does not start: %s", i, s.logged())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(60_000))*time.Microsecond)
		go func() {
			<-ctx.Done()
			_ = s.cmd.Process.Kill()
		}()
		tally := judge.Run(t.Context(), writers, s.url, 1<<20, nil)
		for _, w := range tally.Wrong {
			t.Error(w)
		}
		<-s.done
		cancel()
		if i%5 == 4 || i == kills-1 {
			if err := j.Verdict(readDir(t, data, env)); err != nil {
				t.Fatalf("after kill %d: %v", i, err)
			}
			verified(t, data, env)
		}
	}
	t.Logf("%d records are owed", j.Owed())
}

// TestFailedCallsAreFinal makes a system call of the server fail once. Nothing
// may be acknowledged after a sync or write that failed; a start brings back
// all that was acknowledged before.
func TestFailedCallsAreFinal(t *testing.T) {
	straceWorks(t)
	runs := judge.Scale(t, "FAULT_KILLS", 12)
	rng := rand.New(rand.NewPCG(5, uint64(runs)))
	stopped := 0
	for i := range runs {
		root := t.TempDir()
		data, env := filepath.Join(root, "store"), stateHome(root)
		j := judge.New(uint64(i))
		writers := j.Writers(4, 3)
		call := []string{"fdatasync", "write", "fsync", "renameat", "ftruncate", "pwrite64"}[i%6]
		fault := []string{"EIO", "ENOSPC"}[i/6%2]
		n := 1 + rng.IntN(15)
		s, ok := serveUnder(t, nil, []string{env}, data) // the store is there
		if !ok {
			t.Fatal(s.logged())
		}
		judge.Run(t.Context(), writers, s.url, 1, nil)
		s.stop()
		if s, ok = serveUnder(t, strace(t, call, "error="+fault, n), []string{env}, data); ok {
			tally := judge.Run(t.Context(), writers, s.url, 12, func(_ *judge.Writer, o judge.Outcome) bool { return o.Acked() })
			for _, w := range tally.Wrong {
				t.Errorf("%s of %s %d: %v", fault, call, n, w)
			}
			if call == "fdatasync" && fault == "EIO" && tally.Status[503] > 0 {
				stopped++
				// It stays so, and says so, but goes on answering.
				for _, w := range writers {
					if o := w.Send(t.Context(), s.url); o.Status != 503 {
						t.Errorf("after a failed %s %d a batch was answered %+v, want 503", call, n, o)
					}
				}
				if status, body := s.get("/readyz"); status != 503 {
					t.Errorf("after a failed %s %d: GET /readyz = %d %s, want 503", call, n, status, body)
				}
				if err := j.Verdict(readServer(t, s)); err != nil {
					t.Errorf("after a failed %s %d, read from the server: %v", call, n, err)
				}
			}
			s.kill()
		}
		if s, ok = serveUnder(t, nil, []string{env}, data); !ok {
			t.Fatalf("after %s of %s %d the server does not start: %s", fault, call, n, s.logged())
		}
		if err := j.Verdict(readServer(t, s)); err != nil {
			t.Errorf("after %s of %s %d: %v", fault, call, n, err)
		}
		for _, w := range writers {
			if o := w.Send(t.Context(), s.url); !o.Acked() {
				t.Errorf("after %s of %s %d and a start: %+v, want it acknowledged", fault, call, n, o)
			}
		}
		fresh(t, j, s)
		s.stop()
		verified(t, data, env)
	}
	if stopped == 0 {
		t.Error("no run met a failed fdatasync of the WAL")
	}
}

// TestStopUnderLoad ends the server as an upgrade does, under four writers.
func TestStopUnderLoad(t *testing.T) {
	root := t.TempDir()
	data, env := filepath.Join(root, "store"), stateHome(root)
	j := judge.New(14)
	writers := j.Writers(4, 10)
	for round := range 5 {
		s, ok := serveUnder(t, nil, []string{env}, data)
		if !ok {
			t.Fatalf("round %d: %s", round, s.logged())
		}
		enough := make(chan struct{}, 1<<20)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 20 * (round + 1) {
				<-enough
			}
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-s.done:
			case <-time.After(10 * time.Second): // what the server gives itself
				t.Errorf("round %d: the server did not end within 10 s of SIGTERM", round)
				_ = s.cmd.Process.Kill()
			}
		}()
		tally := judge.Run(t.Context(), writers, s.url, 1<<20, func(_ *judge.Writer, o judge.Outcome) bool {
			enough <- struct{}{}
			if o.Status == 0 && !gone(o.Err) {
				t.Errorf("round %d: a request under way was cut: %v", round, o.Err)
			}
			return o.Status != 0
		})
		<-over
		for _, w := range tally.Wrong {
			t.Errorf("round %d: %v", round, w)
		}
		for status := range tally.Status {
			if status != 0 && status != 200 && status != 503 {
				t.Errorf("round %d: answers %v, want 200 and 503", round, tally.Status)
			}
		}
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("round %d: exit status %d, want 0: %s", round, code, s.logged())
		}
		verified(t, data, env)
		if err := j.Verdict(readDir(t, data, env)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// gone reports whether a request failed because nobody listens any more, or the
// connection was closed before the server looked at it. Which of these errors a client gets
// depends on whether it is writing, reading, or has just read the end, and closed its own side.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// TestRestore brings a store back on an empty host: from a backup, and without its catalog.
func TestRestore(t *testing.T) {
	root := t.TempDir()
	data, env := filepath.Join(root, "store"), stateHome(root)
	key := filepath.Join(root, "trailward.key")
	j := judge.New(20)
	writers := j.Writers(4, 50)
	for range 4 { // each end seals
		s, ok := serveUnder(t, nil, []string{env}, data, "--key-file", key)
		if !ok {
			t.Fatal(s.logged())
		}
		judge.Run(t.Context(), writers, s.url, 3, nil)
		s.stop()
	}
	s, _ := serveUnder(t, nil, []string{env}, data, "--key-file", key)
	judge.Run(t.Context(), writers, s.url, 3, nil)
	s.kill() // what came last is in the WAL only
	keyed := func(args ...string) {
		t.Helper()
		if r := runEnv(t, []string{env}, "", append(args, "--key-file", key)...); r.code != 0 {
			t.Fatalf("trailward %s = %d, want 0\n%s", strings.Join(args, " "), r.code, r.stderr)
		}
	}
	check := func(where string) {
		t.Helper()
		keyed("verify", "--data", where)
		if err := j.Verdict(catAt(t, []string{env}, "--data", where, "--key-file", key)); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	backup := filepath.Join(root, "backup")
	keyed("backup", backup, "--data", data)
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	env = stateHome(filepath.Join(root, "another-host"))
	restored := filepath.Join(root, "restored")
	keyed("restore", backup, "--data", restored)
	check(restored)
	for _, n := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm"} {
		if err := os.Remove(filepath.Join(restored, n)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if r := runEnv(t, []string{env}, "", "cat", "--group", "/judge/0", "--data", restored, "--key-file", key); r.code == 0 {
		t.Error("a store without its catalog opens as if nothing were amiss")
	}
	keyed("restore", "--rebuild-catalog", "--data", restored)
	check(restored)
	if j.Owed() < 3000 {
		t.Errorf("%d records were owed, want 3000", j.Owed())
	}
}
