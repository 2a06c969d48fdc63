package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"trailward/internal/vfs"
	"trailward/internal/vfs/vfstest"
)

// A trace is everything that a process did to the directory root/data, as
// strace saw it, SQLite included: run again over a file system that forgets what
// was not synced, up to any call, it shows what a power cut there would leave.
type trace struct {
	root string
	ops  []traced
}

// traced is one system call.
type traced struct {
	call     string
	fd       int
	path, to string // below the root
	flags    string
	data     []byte
	n        int64 // offset, size or result
	mark     string
}

// tracedCalls are all by which a file can be changed, and those that move a
// file's offset.
const tracedCalls = "open,openat,creat,read,write,pwrite64,writev,pwritev,pwritev2,lseek,fsync,fdatasync,ftruncate,truncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,copy_file_range,sendfile"

// record runs a program under strace. What it writes to standard output are
// marks in the trace, one a write.
func record(t *testing.T, root string, cmd *exec.Cmd) *trace {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	out := filepath.Join(t.TempDir(), "trace")
	traced := exec.Command(path, append([]string{"-f", "-y", "-xx", "-s", "16777216", "-o", out, "-e", "trace=" + tracedCalls}, cmd.Args...)...)
	traced.Env = cmd.Env
	if b, err := traced.CombinedOutput(); err != nil {
		if strings.Contains(string(b), "PTRACE") || strings.Contains(string(b), "ptrace") {
			t.Skipf("strace cannot trace here: %s", b)
		}
		t.Fatalf("traced program: %v\n%s", err, b)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := &trace{root: root}
	begun := map[string]string{} // by thread: a call that another's interrupted
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		thread, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		rest = strings.TrimLeft(rest, " ")
		if head, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
			begun[thread] = head
			// A sync is for what was written before it began, and whoever says
			// that something is safe knew so before.
			if strings.HasPrefix(head, "f") && strings.Contains(head, "sync(") || strings.HasPrefix(head, "write(1<") {
				tr.add(t, head+") = 0")
				begun[thread] = ""
			}
			continue
		}
		if strings.HasPrefix(rest, "<... ") {
			_, tail, _ := strings.Cut(rest, " resumed>")
			if begun[thread] == "" {
				continue
			}
			rest = begun[thread] + tail
		}
		tr.add(t, rest)
	}
	return tr
}

// add takes a call from a line such as
//
//	pwrite64(8</dir/LOCK>, "\x31\x0a", 2, 0) = 2
//
// in which every string is in hexadecimal.
func (tr *trace) add(t *testing.T, line string) {
	name, rest, ok := strings.Cut(line, "(")
	at := strings.LastIndex(rest, "= ")
	if !ok || at < 0 {
		return // a signal, an exit
	}
	args, result := strings.Split(strings.TrimSuffix(strings.TrimRight(rest[:at], " "), ")"), ", "), rest[at+2:]
	if strings.HasPrefix(result, "-1 ") || strings.HasPrefix(result, "?") {
		return
	}
	n, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(strings.SplitN(result, "<", 2)[0], " ", 2)[0]), 0, 64)
	if err != nil {
		t.Fatalf("trace: %.300s: %v", line, err)
	}
	op := traced{call: name, n: n}
	num := func(i int) int64 {
		v, err := strconv.ParseInt(args[i], 0, 64)
		if err != nil {
			t.Fatalf("trace: %.300s: %v", line, err)
		}
		return v
	}
	file := func(i int) { // a descriptor and its path
		fd, p, _ := strings.Cut(args[i], "<")
		if op.fd, err = strconv.Atoi(fd); err != nil {
			t.Fatalf("trace: %.300s: %v", line, err)
		}
		op.path = tr.below(unhex(strings.TrimSuffix(p, ">")))
	}
	path := func(dir, i int) string {
		p := unhex(strings.Trim(args[i], `"`))
		if !filepath.IsAbs(p) {
			if dir < 0 {
				t.Fatalf("trace: a relative path: %.300s", line)
			}
			_, d, _ := strings.Cut(args[dir], "<")
			p = filepath.Join(unhex(strings.TrimSuffix(d, ">")), p)
		}
		return tr.below(p)
	}
	switch name {
	case "open":
		op.call, op.path, op.flags, op.fd = "open", path(-1, 0), args[1], int(n)
	case "openat":
		op.call, op.path, op.flags, op.fd = "open", path(0, 1), args[2], int(n)
	case "write", "pwrite64":
		file(0)
		op.data = []byte(unhex(strings.Trim(args[1], `"`)))
		if name == "pwrite64" {
			op.n = num(3)
		}
		if op.fd == 1 {
			op.call, op.mark = "mark", strings.TrimSpace(string(op.data))
			tr.ops = append(tr.ops, op)
			return
		}
	case "fdatasync", "fsync":
		file(0)
		op.call = "sync"
	case "read", "lseek":
		file(0)
	case "ftruncate":
		file(0)
		op.n = num(1)
	case "rename":
		op.call, op.path, op.to = "rename", path(-1, 0), path(-1, 1)
	case "renameat", "renameat2":
		op.call, op.path, op.to = "rename", path(0, 1), path(2, 3)
	case "unlink", "rmdir":
		op.call, op.path = "remove", path(-1, 0)
	case "unlinkat":
		op.call, op.path = "remove", path(0, 1)
	case "mkdir":
		op.path = path(-1, 0)
	case "mkdirat":
		op.call, op.path = "mkdir", path(0, 1)
	default:
		if strings.Contains(line, hexed(tr.root)) {
			t.Fatalf("trace: a call that is not known: %.300s", line)
		}
	}
	// The memory that SQLite shares between processes is made anew at each start.
	if op.path != "" && !strings.HasSuffix(op.path, "-shm") {
		tr.ops = append(tr.ops, op)
	}
}

// below gives a path relative to the root; empty: it is elsewhere.
func (tr *trace) below(p string) string {
	p = strings.TrimSuffix(p, " (deleted)")
	if rel, err := filepath.Rel(tr.root, p); err == nil && (rel == "." || rel == "data" || strings.HasPrefix(rel, "data/")) {
		return rel
	}
	return ""
}

func unhex(s string) string {
	b := make([]byte, 0, len(s)/4)
	for len(s) >= 4 && s[0] == '\\' && s[1] == 'x' {
		v, err := strconv.ParseUint(s[2:4], 16, 8)
		if err != nil {
			break
		}
		b, s = append(b, byte(v)), s[4:]
	}
	return string(b) + s
}

func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return b.String()
}

// cut plays the first calls again and cuts the power. It gives what is left and
// the marks that had been set.
func (tr *trace) cut(t *testing.T, seed uint64, calls int) (left *vfstest.FS, marks []string) {
	t.Helper()
	fsys := vfstest.New(seed)
	open := map[int]vfs.File{}
	for i, op := range tr.ops[:calls] {
		var err error
		f := open[op.fd]
		switch op.call {
		case "mark":
			marks = append(marks, op.mark)
		case "open":
			delete(open, op.fd)
			if st, serr := fsys.Stat(op.path); serr == nil && st.IsDir() {
				continue
			}
			flag := os.O_RDONLY
			for name, bit := range map[string]int{"O_WRONLY": os.O_WRONLY, "O_RDWR": os.O_RDWR, "O_CREAT": os.O_CREATE, "O_TRUNC": os.O_TRUNC, "O_APPEND": os.O_APPEND} {
				if strings.Contains("|"+op.flags+"|", "|"+name+"|") {
					flag |= bit
				}
			}
			open[op.fd], err = fsys.OpenFile(op.path, flag, 0o600)
		case "mkdir":
			err = fsys.MkdirAll(op.path, 0o700)
		case "rename":
			err = fsys.Rename(op.path, op.to)
		case "remove":
			err = fsys.Remove(op.path)
		case "sync":
			if f == nil {
				err = fsys.SyncDir(op.path)
			} else {
				err = f.Sync()
			}
		case "write":
			_, err = f.Write(op.data)
		case "pwrite64":
			var at int64
			if at, err = f.Seek(0, io.SeekCurrent); err == nil {
				_, err = f.Seek(op.n, io.SeekStart)
			}
			if err == nil {
				_, err = f.Write(op.data)
			}
			if err == nil {
				_, err = f.Seek(at, io.SeekStart)
			}
		case "read":
			if f != nil {
				_, err = f.Seek(op.n, io.SeekCurrent)
			}
		case "lseek":
			if f != nil {
				_, err = f.Seek(op.n, io.SeekStart)
			}
		case "ftruncate":
			err = f.Truncate(op.n)
		default:
			err = errors.ErrUnsupported
		}
		if err != nil {
			for _, o := range tr.ops[max(0, i-12) : i+1] {
				t.Logf("%s %d %s %s %s %d", o.call, o.fd, o.path, o.to, o.flags, o.n)
			}
			t.Fatalf("call %d, %s %d %s: %v", i, op.call, op.fd, op.path, err)
		}
	}
	fsys.Crash()
	return fsys, marks
}

// restore puts what a power cut left into a real directory.
func restoreFiles(t *testing.T, fsys *vfstest.FS, dir string) {
	t.Helper()
	var walk func(name string)
	walk = func(name string) {
		list, err := fsys.ReadDir(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			n := filepath.Join(name, e.Name())
			if e.IsDir() {
				if err := os.Mkdir(filepath.Join(dir, n), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Fatal(err)
				}
				walk(n)
			} else if err := os.WriteFile(filepath.Join(dir, n), fsys.Bytes(n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	walk(".")
}
