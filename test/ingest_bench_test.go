package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// BenchmarkServerIngest sends the file that BENCH_FILE names (../shared/bench/gen
// writes one) to a server, in bodies of whole lines over four connections. It
// reports the server's CPU time until it has ended in Z, that of `zstd -3 -T1`
// on the same file, the bytes on disk in Z, its output, as they are when the
// server has ended and when its segments have been merged, and the most memory
// that the server had resident.
func BenchmarkServerIngest(b *testing.B) {
	name := os.Getenv("BENCH_FILE")
	if name == "" {
		b.Skip("BENCH_FILE is not set: write one with ../shared/bench/gen")
	}
	yard := filepath.Join(b.TempDir(), "z")
	z := exec.Command("zstd", "-3", "-T1", "-q", "-f", name, "-o", yard)
	if err := z.Run(); err != nil {
		b.Fatal("the yardstick cannot be taken:", err)
	}
	zCPU := z.ProcessState.UserTime() + z.ProcessState.SystemTime()
	zBytes := sizeOf(b, yard)
	for _, c := range []struct {
		size   int
		packed bool
	}{{1 << 20, false}, {8 << 20, false}, {1 << 20, true}, {8 << 20, true}} {
		encoding := "plain"
		if c.packed {
			encoding = "zstd"
		}
		b.Run(fmt.Sprintf("body=%dMiB/%s", c.size>>20, encoding), func(b *testing.B) {
			for b.Loop() {
				root := b.TempDir()
				data := filepath.Join(root, "store")
				s, ok := serveUnder(b, nil, []string{stateHome(root)}, data)
				if !ok {
					b.Fatal(s.logged())
				}
				sendFile(b, s.url, name, c.size, c.packed)
				peak := s.peak()
				s.stop()
				used := s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
				b.ReportMetric(used.Seconds(), "cpu-s")
				b.ReportMetric(used.Seconds()/zCPU.Seconds(), "Z-cpu")
				b.ReportMetric(float64(peak>>20), "peak-MiB")
				b.ReportMetric(float64(sizeOf(b, data))/float64(zBytes), "Z-bytes")
				s, ok = serveUnder(b, nil, []string{stateHome(root)}, data)
				if !ok {
					b.Fatal(s.logged())
				}
				merged(b, s)
				s.stop()
				used += s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
				b.ReportMetric(used.Seconds()/zCPU.Seconds(), "Z-cpu-merged")
				b.ReportMetric(float64(sizeOf(b, data))/float64(zBytes), "Z-bytes-merged")
			}
		})
	}
}

// sizeOf is how many bytes the files in a folder have, or a file.
func sizeOf(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sendFile sends the lines of a file in bodies of about so many bytes, over four
// connections. What is refused for now is sent again.
func sendFile(t testing.TB, url, name string, size int, packed bool) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bodies := make(chan []byte)
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	for range 4 {
		wg.Go(func() {
			enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Error(err)
			}
			for body := range bodies {
				if packed {
					body = enc.EncodeAll(body, nil)
				}
				if err := sendBody(client, url, body, packed); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var rest []byte
	for {
		body := make([]byte, size)
		n := copy(body, rest)
		m, err := io.ReadFull(f, body[n:])
		body = body[:n+m]
		if err != nil { // the end
			if len(body) > 0 {
				bodies <- body
			}
			break
		}
		end := bytes.LastIndexByte(body, '\n') + 1
		rest = bytes.Clone(body[end:])
		bodies <- body[:end]
	}
	close(bodies)
	wg.Wait()
}

func sendBody(client *http.Client, url string, body []byte, packed bool) error {
	for {
		req, err := http.NewRequest(http.MethodPost, url+"/v1/ingest?group=g&stream=s", bytes.NewReader(body))
		if err != nil {
			return err
		}
		if packed {
			req.Header.Set("Content-Encoding", "zstd")
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
			time.Sleep(50 * time.Millisecond)
		case resp.StatusCode != http.StatusOK:
			return fmt.Errorf("POST /v1/ingest = %d %s", resp.StatusCode, answer)
		default:
			return nil
		}
	}
}

var segmentsGauge = regexp.MustCompile(`(?m)^trailward_store_segments (\S+)$`)

// merged waits until the server's segments have not become fewer for five seconds.
func merged(t testing.TB, s *server) {
	t.Helper()
	last := -1.0
	for since := time.Now(); time.Since(since) < 5*time.Second; time.Sleep(250 * time.Millisecond) {
		_, text := s.get("/metrics")
		m := segmentsGauge.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no number of segments in %.300s", text)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if n != last {
			last, since = n, time.Now()
		}
	}
}

// BenchmarkFileIngest loads a sixteenth, a quarter and all of the file that
// BENCH_FILE names into empty data directories with the command. It reports what
// BenchmarkServerIngest does, for each part by its own yardstick.
func BenchmarkFileIngest(b *testing.B) {
	name := os.Getenv("BENCH_FILE")
	if name == "" {
		b.Skip("BENCH_FILE is not set: write one with ../shared/bench/gen")
	}
	for _, part := range []int64{16, 4, 1} {
		b.Run(fmt.Sprintf("part=1of%d", part), func(b *testing.B) {
			for b.Loop() {
				root := b.TempDir()
				in := filepath.Join(root, "in.log")
				beginningOf(b, in, name, sizeOf(b, name)/part)
				yard := in + ".zst"
				z := exec.Command("zstd", "-3", "-T1", "-q", "-f", in, "-o", yard)
				if err := z.Run(); err != nil {
					b.Fatal("the yardstick cannot be taken:", err)
				}
				zCPU := z.ProcessState.UserTime() + z.ProcessState.SystemTime()
				data := filepath.Join(root, "store")
				cmd := exec.Command(binary, "ingest", "--data", data, "--group", "g", in)
				cmd.Env = append(cleanEnv(), stateHome(root))
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("trailward ingest: %v\n%s", err, out)
				}
				used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				b.ReportMetric(float64(sizeOf(b, in))/1e6, "MB")
				b.ReportMetric(used.Seconds(), "cpu-s")
				b.ReportMetric(used.Seconds()/zCPU.Seconds(), "Z-cpu")
				b.ReportMetric(float64(sizeOf(b, data))/float64(sizeOf(b, yard)), "Z-bytes")
				if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
					b.ReportMetric(float64(u.Maxrss>>10), "peak-MiB") // KiB on Linux
				}
			}
		})
	}
}

// beginningOf copies the lines in the first size bytes of a file.
func beginningOf(t testing.TB, to, from string, size int64) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err == nil {
		_, err = io.CopyN(out, in, size)
	}
	if err == nil {
		line, _ := bufio.NewReader(in).ReadBytes('\n')
		_, err = out.Write(line)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}
