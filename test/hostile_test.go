package test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The classes of section 2 of our security goals, at the doors of the whole
// binary: names, bombs, depth, and what data does to those who look at it.

// tree lists every file and folder below a directory.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(p, dir))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

var hostileNames = []string{
	"..", ".", "../../outside", "/../../outside", "a/../../../outside", "%2e%2e%2foutside", "..\\..\\outside", "....//outside", "/etc/outside",
	"nul\x00outside", "line\noutside", "\u202eoutside", "\u2024\u2024/outside", "。。/outside", "CON", "~root/outside", "$(touch outside)", "`touch outside`",
	strings.Repeat("outside", 44), strings.Repeat("/", 300) + "outside", "\xff\xfeoutside", "C:\\outside", "a:outside", "*outside", "-outside", "outside.seg.tmp", "LOCK", "catalog.db",
}

func TestNamesAreNoPaths(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "a", "b", "store")
	s := serve(t, data)
	before := tree(t, root)
	taken := map[string]bool{}
	for _, n := range hostileNames {
		for _, q := range []url.Values{{"group": {n}, "stream": {"s"}}, {"group": {"g"}, "stream": {n}}} {
			status, body := s.post("/v1/ingest?"+q.Encode(), "{}\n")
			if status != 200 && status != 400 {
				t.Errorf("POST /v1/ingest?%s = %d %s, want 200 or 400", q.Encode(), status, body)
			}
			taken[q.Get("group")] = taken[q.Get("group")] || status == 200
		}
		if status, body := s.post("/v1/kubernetes/audit/"+url.PathEscape(n), `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}`); status >= 500 {
			t.Errorf("POST /v1/kubernetes/audit/%q = %d %s", n, status, body)
		}
		if status, _ := s.get("/v1/cat?" + url.Values{"group": {n}}.Encode()); status != 200 && status != 400 && status != 404 {
			t.Errorf("GET /v1/cat of %q = %d", n, status)
		}
	}
	s.stop() // the segments are written
	for _, n := range hostileNames {
		if !strings.ContainsRune(n, 0) {
			if r := run(t, "{}\n", "ingest", "--data", data, "--group="+n, "--stream="+n, "-"); r.code == 0 {
				taken[n] = true
			}
		}
	}
	for _, name := range tree(t, root) {
		if !slices.Contains(before, name) && !strings.HasPrefix(name, "/a/b/store/") || strings.Contains(name, "outside") {
			t.Errorf("there is a file %q now", name)
		}
	}
	for n, ok := range taken {
		if strings.ContainsRune(n, 0) {
			continue // no argument can hold it
		}
		if r := run(t, "", "cat", "--data", data, "--group="+n); ok && (r.code != 0 || !strings.Contains(r.stdout, "{}\n")) {
			t.Errorf("cat of %q = %d %q %s, want what was stored there", n, r.code, r.stdout, r.stderr)
		}
	}
	verified(t, data)
}

// zstdBomb is n bytes of zeros in a few: blocks that say "this byte, 128 KiB times".
func zstdBomb(n int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58} // no checksum, window 2 MiB
	const block = 128 << 10
	for i := 0; i < n; i += block {
		head := uint32(block<<3 | 1<<1)
		if i+block >= n {
			head |= 1
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return b
}

func gzipBomb(t *testing.T, n int) []byte {
	t.Helper()
	const member = 64 << 20
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range member / len(zeros) {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(b.Bytes(), n/member)
}

func TestBombsAtEveryDoor(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "store"))
	if status, _ := s.post("/v1/query", `{"query":"stats count(*)"}`); status != 200 { // the engine is there
		t.Fatalf("POST /v1/query = %d", status)
	}
	bombs := map[string][]byte{"zstd": zstdBomb(4 << 30), "gzip": gzipBomb(t, 4<<30)}
	before := s.peak()
	for _, door := range []string{"/v1/ingest?group=g", "/v1/kubernetes/audit?group=g", "/v1/kubernetes/audit/g", "/v1/query", "/v1/sql", "/v1/queries"} {
		for encoding, bomb := range bombs {
			began := time.Now()
			status, body, err := s.send(door, bomb, "Content-Encoding", encoding)
			if status != 413 && status != 415 && status != 400 && !(err != nil && gone(err)) || status == 400 && strings.HasPrefix(door, "/v1/ingest") {
				t.Errorf("POST %s of %d bytes of %s that are 4 GiB = %d %s %v, want 413", door, len(bomb), encoding, status, body, err)
			}
			t.Logf("%s %s: %d after %v", door, encoding, status, time.Since(began))
		}
	}
	if grown := s.peak() - before; grown > 64<<20 {
		t.Errorf("bombs took %d MiB of memory, want at most 64", grown>>20)
	}
	if status, body := s.post("/v1/ingest?group=g", "{}\n"); status != 200 {
		t.Errorf("POST /v1/ingest after the bombs = %d %s", status, body)
	}
}

func TestDepthAtEveryDoor(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "store"))
	const depth = 100_000
	deep := map[string]string{
		"arrays":                         strings.Repeat("[", depth) + strings.Repeat("]", depth),
		"objects":                        strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth),
		"not closed":                     `x` + strings.Repeat(`[{"a":`, depth),
		"as deep as an API server takes": strings.Repeat(`{"a":`, 9_999) + "1" + strings.Repeat("}", 9_999),
		"in an event":                    `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"deep","stage":"Panic","requestObject":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`,
	}
	if status, _ := s.post("/v1/query", `{"query":"stats count(*)"}`); status != 200 {
		t.Fatalf("POST /v1/query = %d", status)
	}
	before := s.peak()
	for name, text := range deep {
		if status, body := s.post("/v1/ingest?group=g", text+"\n"); status != 200 {
			t.Errorf("%s: POST /v1/ingest = %d %.200s, want it kept", name, status, body)
		}
		for _, c := range []struct{ door, body string }{
			{"/v1/kubernetes/audit?group=audit", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + text + `]}`},
			{"/v1/query", text}, {"/v1/sql", `{"query":` + text + `}`}, {"/v1/queries", text},
		} {
			if status, body := s.post(c.door, c.body); status != 200 && status != 400 && status != 413 || strings.Contains(body, "internal") {
				t.Errorf("%s: POST %s = %d %.200s, want it kept or refused", name, c.door, status, body)
			}
		}
	}
	got := strings.Split(strings.TrimSuffix(good(t, "cat", "--server", s.url, "--group", "g"), "\n"), "\n")
	for name, text := range deep {
		if !slices.Contains(got, text) {
			t.Errorf("%s: cat does not give it back", name)
		}
	}
	for _, q := range []string{
		`fields @message | limit 10`, `fields a, requestObject | limit 10`, `fields a.a.a.a | limit 10`, `filter a.a.a = 1`, `stats count(*) by a, a.a`, `fields jsonParse(@message) as x, x.a.a | limit 10`,
		`fields jsonStringify(jsonParse(@message)) as x | limit 10`, `parse @message '"a":*' as x | limit 10`, `pattern @message`, `unmask(@message)`,
	} {
		if status, body := s.post("/v1/query", fmt.Sprintf(`{"query":%q}`, q)); status != 200 && status != 400 {
			t.Errorf("%s over deep records = %d %.200s", q, status, body)
		}
	}
	for _, q := range []string{
		`SELECT a FROM logs`, `SELECT json_extract("@message", '$.a.a') FROM logs`, `SELECT json_extract_scalar("@message", '$.a.a') FROM logs`, `SELECT json_format(json_parse("@message")) FROM logs`,
		`SELECT cast(json_parse("@message") AS map(varchar, varchar)) FROM logs`, `SELECT cast(json_parse("@message") AS array(varchar)) FROM logs`, `SELECT json_size("@message", '$') FROM logs`,
		`SELECT json_array_length("@message") FROM logs`, `SELECT json_array_contains("@message", 1) FROM logs`, `SELECT is_json_scalar("@message") FROM logs`, `SELECT cast(json_parse("@message") AS row(a varchar)) FROM logs`,
	} {
		if status, body := s.post("/v1/sql", fmt.Sprintf(`{"query":%q}`, q)); status != 200 && status != 400 {
			t.Errorf("%s over deep records = %d %.200s", q, status, body)
		}
	}
	t.Logf("%d MiB more memory", (s.peak()-before)>>20)
	if status, _ := s.get("/healthz"); status != 200 {
		t.Errorf("GET /healthz = %d after deep input", status)
	}
}

// hostileText is what acts when it is shown, logged, expanded or opened in a spreadsheet.
var hostileText = []string{
	"\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x9b31mc1", "\u009b31mc1 as UTF-8", "back\bspace", "bell\a", "\u202egnp.exe", "\u2066iso\u2069late", "zero\u200bwidth", "line\u2028separator",
	"\x1bP+q544e\x1b\\", "vt\x0b ff\x0c del\x7f", "carriage\rreturn",
	"${jndi:ldap://127.0.0.1/a}", "{{7*7}}", "%s%n%x", "$(id)", "`id`", "<script>alert(1)</script>", "'; DROP TABLE logs; --",
	"=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "time=2026-01-01T00:00:00Z level=ERROR msg=forged",
}

func TestDataStaysData(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "store")
	s := serve(t, data)
	var lines strings.Builder
	for i, h := range hostileText {
		v, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, `{"i":%d,"v":%s}`+"\n", i, v)
	}
	raw := strings.Join(hostileText, "\n") + "\n"
	for group, body := range map[string]string{"json": lines.String(), "raw": raw} {
		if status, answer := s.post("/v1/ingest?group="+group, body, "Trailward-Batch", "b", "User-Agent", "x\tlevel=ERROR msg=forged"); status != 200 {
			t.Fatalf("POST /v1/ingest = %d %s", status, answer)
		}
	}
	t.Run("bytes", func(t *testing.T) {
		got := strings.Split(strings.TrimSuffix(good(t, "cat", "--server", s.url, "--group", "raw"), "\n"), "\n")
		for _, h := range hostileText {
			if !slices.Contains(got, h) {
				t.Errorf("cat does not give %q back as it came", h)
			}
		}
	})
	t.Run("spreadsheet", func(t *testing.T) {
		out := good(t, "query", "--server", s.url, "--group", "json", "--output", "csv", "fields i, v | sort i | limit 1000")
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(rows) != len(hostileText)+1 {
			t.Fatalf("%d rows, %v, want %d", len(rows), err, len(hostileText)+1)
		}
		for _, row := range rows[1:] {
			if v := row[1]; v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) && v != "+1" { // a number does nothing
				t.Errorf("CSV has the active cell %q", v)
			}
		}
	})
	t.Run("terminal", func(t *testing.T) {
		for _, args := range [][]string{
			{"cat", "--group", "raw"}, {"cat", "--group", "json"}, {"query", "fields @message, v | limit 1000"}, {"query", "--output", "json", "fields @message, v | limit 1000"},
			{"query", "--output", "csv", "fields @message, v | limit 1000"}, {"sql", `SELECT "@message" FROM logs`}, {"query", "fields \x1b[31m"}, {"cat", "--group", "\x1b[31mno"}, {"groups"},
		} {
			out := onTerminal(t, append(append([]string{}, args...), "--server", s.url)...)
			for _, bad := range []string{"\x1b[2J", "\x1b[31m", "\x1b]", "\x1bP", "\x9b3", "\u009b", "\b", "\a", "\u202e", "\u2066", "\u200b", "\u2028", "\x0b", "\x0c", "\x7f", "carriage\r"} {
				if i := strings.Index(out, bad); i >= 0 && !(bad == "\x9b3" && i > 0 && out[i-1] == 0xc2) {
					t.Errorf("trailward %q writes %q to a terminal: %.200q", args, bad, out[max(0, i-50):])
				}
			}
			if args[0] == "cat" && args[2] == "raw" && !strings.Contains(out, `\x1b[2J`) {
				t.Errorf("trailward %q does not show the escapes: %.300q", args, out)
			}
		}
	})
	t.Run("log", func(t *testing.T) {
		for _, path := range []string{
			"/v1/ingest?group=a%0Atime%3Dx+level%3DERROR+msg%3Dforged", "/v1/%0Alevel=ERROR%20msg=forged", "/v1/ingest?group=g&stream=s%0D%0Alevel=ERROR", "/v1/cat?group=%1b%5b31m",
		} {
			if status, body := s.post(path, "{}\n"); status < 400 {
				t.Errorf("POST %s = %d %s, want it refused", path, status, body)
			}
		}
		s.post("/v1/query", `{"query":"fields @message | filter v = \"\nlevel=ERROR msg=forged"}`)
		for line := range strings.Lines(s.logged()) {
			if !strings.HasPrefix(line, "time=20") || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\x00") {
				t.Errorf("the log has the line %q", line)
			}
			if strings.Contains(line, "jndi") || strings.Contains(line, "DROP TABLE") || strings.Contains(line, " msg=forged") {
				t.Errorf("the log shows what a client sent: %q", line)
			}
		}
	})
}

// onTerminal runs the binary with a terminal for its output and gives what came there.
func onTerminal(t *testing.T, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	mode, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Oflag &^= unix.OPOST // a line feed stays one
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(cleanEnv(), "TERM=xterm-256color")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	out, err := io.ReadAll(master)
	if err != nil && !errors.Is(err, syscall.EIO) { // the last one to have it open closed it
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return string(out)
}

// TestNothingReadableAnywhere plants a word in every record and looks for it in
// every file that the server or anybody else could have written, also while
// questions sort and group more than fits, and in what is open without a name.
func TestNothingReadableAnywhere(t *testing.T) {
	const canary = "canary-4711-kwyjibo"
	root := t.TempDir()
	data, temp := filepath.Join(root, "store"), filepath.Join(root, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	s, ok := serveUnder(t, nil, []string{"TMPDIR=" + temp, "HOME=" + root, stateHome(root)}, data)
	if !ok {
		t.Fatal(s.logged())
	}
	send := func(from int) {
		t.Helper()
		var b strings.Builder
		for i := range 2000 {
			switch i % 3 {
			case 0:
				fmt.Fprintf(&b, `{"i":%d,"user":"%s","deep":{"name":"%s-%d"}}`+"\n", from+i, canary, canary, from+i)
			case 1:
				fmt.Fprintf(&b, "plain text %d %s\n", from+i, canary)
			default:
				fmt.Fprintf(&b, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"%s-%d","stage":"Panic","user":{"username":%q},"requestURI":"/%s"}`+"\n", canary, from+i, canary, canary)
			}
		}
		if status, body := s.post("/v1/ingest?group="+canary+"&stream="+canary, b.String(), "Trailward-Batch", fmt.Sprintf("%s-%d", canary, from)); status != 200 {
			t.Fatalf("POST /v1/ingest = %d %s", status, body)
		}
	}
	here, looked := tree(t, "."), 0
	look := func(when string) {
		t.Helper()
		_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return nil // it went
			}
			looked++
			for _, word := range []string{canary, "kwyjibo", "requestURI", "PAR1"} {
				if bytes.Contains(b, []byte(word)) {
					t.Errorf("%s: %s holds %q", when, p, word)
				}
			}
			return nil
		})
		if now := tree(t, "."); !slices.Equal(now, here) {
			t.Fatalf("%s: files in the working directory: %q, want as before", when, now)
		}
		open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range open {
			to, err := os.Readlink(fd)
			if err != nil || strings.HasPrefix(to, "/memfd:") || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "/dev/") || strings.HasPrefix(to, "/proc/") || strings.HasPrefix(to, "/sys/") {
				continue
			}
			if rel, err := filepath.Rel(data, to); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%s: the server has %s open, outside its data directory", when, to)
			}
		}
	}
	send(0)
	look("in the WAL")
	s.stop()
	if s, ok = serveUnder(t, nil, []string{"TMPDIR=" + temp, "HOME=" + root, stateHome(root)}, data); !ok {
		t.Fatal(s.logged())
	}
	send(2000)
	for _, q := range []string{
		`SELECT a."@message" AS x, repeat(b."@message", 20) AS y FROM logs a, logs b ORDER BY y DESC, x LIMIT 500000`,
		`SELECT a."@message" AS x, b."@message" AS y, count(*) AS n FROM logs a, logs b GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10`,
	} {
		over := make(chan int)
		go func() {
			status, _ := s.post("/v1/sql", fmt.Sprintf(`{"query":%q}`, q))
			over <- status
		}()
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for running := true; running; {
			select {
			case status := <-over:
				running = false
				t.Logf("%.60s… = %d", q, status)
			case <-again.C:
				look("while a question sorts")
			}
		}
	}
	good(t, "query", "--server", s.url, "stats count(*) by user, deep.name | sort user")
	look("after questions")
	s.kill()
	look("after a kill")
	if r := runEnv(t, []string{"TMPDIR=" + temp, stateHome(root)}, "", "verify", "--data", data); r.code != 0 {
		t.Errorf("verify = %d %s", r.code, r.stderr)
	}
	if r := runEnv(t, []string{"TMPDIR=" + temp, stateHome(root)}, "", "backup", filepath.Join(root, "backup"), "--data", data); r.code != 0 {
		t.Errorf("backup = %d %s", r.code, r.stderr)
	}
	look("after verify and backup")
	if looked < 30 {
		t.Errorf("only %d files were looked at", looked)
	}
}
