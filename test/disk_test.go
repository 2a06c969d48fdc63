package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trailward/test/judge"
)

// smallDisk is a file system of its own in a mount namespace that only commands
// begun with enter see; at is its place there, and outside the same place for us.
type smallDisk struct {
	at, outside string
	enter       []string
}

// newSmallDisk mounts a tmpfs of so many MiB for the length of the test.
func newSmallDisk(t *testing.T, mebibytes int) *smallDisk {
	t.Helper()
	at := t.TempDir()
	hold := exec.Command("unshare", "-m", "sh", "-c", fmt.Sprintf(`mount -t tmpfs -o size=%dm,mode=0700 tmpfs "$1" && echo mounted && exec cat`, mebibytes), "sh", at)
	in, err := hold.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	hold.Stderr = &errs
	if err := hold.Start(); err != nil {
		t.Skipf("no mount namespace here: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = hold.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "mounted\n" {
		t.Skipf("no tmpfs in a mount namespace here: %v %s", err, errs.String())
	}
	pid := fmt.Sprint(hold.Process.Pid)
	enter, err := exec.LookPath("nsenter")
	if err != nil {
		t.Skip("nsenter is not installed")
	}
	return &smallDisk{at: at, outside: filepath.Join("/proc", pid, "root", at), enter: []string{enter, "-t", pid, "-m"}}
}

// fill takes bytes of the disk, or all that is left when there are fewer.
func (d *smallDisk) fill(t *testing.T, name string, bytes int) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.outside, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for n := 0; n < bytes; n += len(page) {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func (d *smallDisk) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.outside, name)); err != nil {
		t.Fatal(err)
	}
}

// run runs the binary where the disk is.
func (d *smallDisk) run(t *testing.T, env string, args ...string) result {
	t.Helper()
	cmd := exec.Command(d.enter[0], append(append(append([]string{}, d.enter[1:]...), binary), args...)...)
	cmd.Env = append(cleanEnv(), env)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("trailward %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// TestFullDisk fills a real file system under the server: below the watermark
// records are refused, and all else goes on; with room again, so do records.
func TestFullDisk(t *testing.T) {
	disk := newSmallDisk(t, 32)
	env := stateHome(t.TempDir())
	data := filepath.Join(disk.at, "store")
	j := judge.New(5)
	writers := j.Writers(4, 200)
	start := func() *server {
		t.Helper()
		s, ok := serveUnder(t, disk.enter, []string{env}, data)
		if !ok {
			t.Fatalf("the server does not start: %s", s.logged())
		}
		return s
	}
	untilFull := func(s *server) {
		t.Helper()
		tally := judge.Run(t.Context(), writers, s.url, 1000, func(_ *judge.Writer, o judge.Outcome) bool { return o.Acked() })
		for _, w := range tally.Wrong {
			t.Error(w)
		}
		if tally.Status[503] != len(writers) {
			t.Errorf("answers on a disk that becomes full: %v, want 503 to each writer in the end", tally.Status)
		}
	}
	serves := func(s *server, when string) {
		t.Helper()
		if err := j.Verdict(readServer(t, s)); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if status, body := s.post("/v1/query", `{"query":"stats count(*) as n"}`); status != 200 || body != fmt.Sprintf("{\"n\":\"%d\"}\n", j.Owed()) {
			t.Errorf("%s: POST /v1/query = %d %s, want %d records", when, status, body, j.Owed())
		}
	}
	writesAgain := func(s *server) {
		t.Helper()
		within := time.After(10 * time.Second) // the goal
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for _, w := range writers {
			for {
				o := w.Send(t.Context(), s.url)
				if o.Acked() {
					break
				}
				select {
				case <-again.C:
				case <-within:
					t.Fatalf("10 s after there was room: %+v, want records to be taken; %s", o, s.logged())
				}
			}
		}
	}

	disk.fill(t, "ballast", 12<<20)
	s := start()
	judge.Run(t.Context(), writers, s.url, 5, nil)
	s.stop() // some of it is in segments
	s = start()
	untilFull(s)
	serves(s, "full")
	if !strings.Contains(s.logged(), "the disk is full") {
		t.Errorf("the log does not say that the disk is full: %s", s.logged())
	}

	// Not one byte left: what runs goes on, and so does what is started.
	disk.fill(t, "rest", 32<<20)
	serves(s, "not a byte left")
	for _, w := range writers {
		if o := w.Send(t.Context(), s.url); o.Status != 503 || o.Wrong != nil {
			t.Errorf("not a byte left: %+v, want 503", o)
		}
	}
	s.kill()
	if r := disk.run(t, env, "verify", "--data", data); r.code != 0 {
		t.Errorf("verify with not a byte left = %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	disk.remove(t, "rest")

	// At the watermark: a start, settings and reading need no room to speak of.
	if r := disk.run(t, env, "retention", "set", "/judge/0", "90d", "--data", data); r.code != 0 {
		t.Errorf("retention set on a full disk = %d\n%s", r.code, r.stderr)
	}
	s = start()
	serves(s, "started on a full disk")
	for _, w := range writers {
		if o := w.Send(t.Context(), s.url); o.Status != 503 || o.Wrong != nil {
			t.Errorf("started on a full disk: %+v, want 503", o)
		}
	}
	disk.remove(t, "ballast")
	writesAgain(s)
	serves(s, "with room again")
	s.stop()
	if r := disk.run(t, env, "verify", "--data", data); r.code != 0 {
		t.Errorf("verify at the end = %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	t.Logf("%d records are owed", j.Owed())
}
