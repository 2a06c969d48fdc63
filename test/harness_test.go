// Package test holds the tests of the whole binary, from outside: they run
// bin/trailward as a user does and know nothing of what is in it. They use the
// binary that TRAILWARD_BIN names, or build one.
package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the path of the binary under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		binary = os.Getenv("TRAILWARD_BIN")
		if binary == "" {
			dir, err := os.MkdirTemp("", "trailward-e2e-")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			binary = filepath.Join(dir, "trailward")
			build := exec.Command("go", "build", "-o", binary, "trailward/cmd/trailward")
			build.Stdout, build.Stderr = os.Stderr, os.Stderr
			if err := build.Run(); err != nil {
				fmt.Fprintln(os.Stderr, "build the binary:", err)
				return 1
			}
		}
		return m.Run()
	}())
}

// deadline is how long one run of the binary may take before the test says so.
const deadline = 2 * time.Minute

// result is what a run of the binary gave.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the binary with args and what stdin holds, in an environment
// without anything of ours in it.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return runEnv(t, nil, stdin, args...)
}

func runEnv(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(cleanEnv(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("trailward %s: %v (%v)\n%s", strings.Join(args, " "), err, ctx.Err(), errs.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// good runs the binary and fails the test unless it exits with 0.
func good(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t, "", args...)
	if r.code != 0 {
		t.Fatalf("trailward %s: exit status %d, want 0\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TRAILWARD_") && !strings.HasPrefix(e, "DEMO_") {
			env = append(env, e)
		}
	}
	return env
}

// objects decodes JSON lines.
func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}

// server is a running `trailward server`.
type server struct {
	t    testing.TB
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is read

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu: its stderr
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

var listensOn = regexp.MustCompile(`listens on (https?://\S+?),`)

// serve starts a server on a free loopback port over the data directory and
// waits until it has said its address. It is stopped with the test.
func serve(t testing.TB, data string, args ...string) *server {
	t.Helper()
	s, ok := serveUnder(t, nil, nil, data, args...)
	if !ok {
		t.Fatalf("the server ended before it listened: %s", s.logged())
	}
	return s
}

// serveUnder is serve with more in the environment and a command before the
// server's own, which must leave it the process that was started. ok says that the
// server listens; else it has ended.
func serveUnder(t testing.TB, wrap, env []string, data string, args ...string) (s *server, ok bool) {
	t.Helper()
	s = &server{t: t, done: make(chan struct{})}
	argv := append(append(append([]string{}, wrap...), binary, "server", "--data", data, "--listen", "127.0.0.1:0"), args...)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = append(cleanEnv(), env...)
	s.cmd.Stderr = s
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	said := make(chan string, 1)
	go func() {
		defer close(s.done)
		r := bufio.NewScanner(out)
		for r.Scan() {
			if m := listensOn.FindStringSubmatch(r.Text()); m != nil {
				said <- m[1]
			}
		}
		_ = s.cmd.Wait()
	}()
	select {
	case s.url = <-said:
		return s, true
	case <-s.done:
	case <-time.After(deadline):
		t.Fatalf("the server said no address within %v: %s", deadline, s.logged())
	}
	select {
	case s.url = <-said: // it ended right after
		return s, true
	default:
		return s, false
	}
}

// stop ends the server as an init system does and waits for its end.
func (s *server) stop() { s.end(syscall.SIGTERM) }

// kill ends the server as a power cut does.
func (s *server) kill() { s.end(syscall.SIGKILL) }

func (s *server) end(sig syscall.Signal) {
	select {
	case <-s.done:
		return
	default:
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("signal %v: %v", sig, err)
	}
	select {
	case <-s.done:
	case <-time.After(deadline):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("the server did not end within %v of %v: %s", deadline, sig, s.logged())
	}
}

// post sends a body and gives status and answer.
func (s *server) post(path, body string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// get asks for a path and gives status and answer.
func (s *server) get(path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// send is post for any bytes, and for a server that may hang up.
func (s *server) send(path string, body []byte, header ...string) (status int, answer string, err error) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
