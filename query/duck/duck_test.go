package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"trailward/query/plan"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	if cfg.Threads == 0 {
		cfg.Threads = 2
	}
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

func acquire(t testing.TB, p *Pool, files int) *Session {
	t.Helper()
	s, err := p.Acquire(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// all reads a query's rows to the end.
func all(ctx context.Context, s *Session, sql string) ([][]any, error) {
	r, err := s.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out [][]any
	for r.Next() {
		out = append(out, r.Values())
	}
	return out, r.Err()
}

// parquet makes a memory file of a query's rows with an unlocked DuckDB.
func parquet(t testing.TB, sql string) int {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f.parquet")
	var db duckdb.Database
	var conn duckdb.Connection
	if duckdb.Open("", &db) == duckdb.StateError || duckdb.Connect(db, &conn) == duckdb.StateError {
		t.Fatal("open DuckDB")
	}
	defer duckdb.Close(&db)
	defer duckdb.Disconnect(&conn)
	if err := runSetting(conn, "COPY ("+sql+") TO '"+name+"' (FORMAT parquet, ROW_GROUP_SIZE 20000)"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	for off := 0; off < len(b); {
		n, err := unix.Pwrite(fd, b[off:], int64(off))
		if err != nil {
			t.Fatal(err)
		}
		off += n
	}
	return fd
}

func TestValues(t *testing.T) {
	s := acquire(t, testPool(t, Config{}), 0)
	ts := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	for _, c := range []struct {
		sql  string
		want any
	}{
		{"true", true},
		{"1::TINYINT", int64(1)},
		{"-3::SMALLINT", int64(-3)},
		{"7", int64(7)},
		{"9223372036854775807", int64(9223372036854775807)},
		{"18446744073709551615::UBIGINT", "18446744073709551615"},
		{"5::UBIGINT", int64(5)},
		{"sum(3)", int64(3)},
		{"-170141183460469231731687303715884105727::HUGEINT", "-170141183460469231731687303715884105727"},
		{"-5::HUGEINT", int64(-5)},
		{"340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"},
		{"1.50", 1.5},
		{"-0.05::DECIMAL(4,2)", -0.05},
		{"12::DECIMAL(18,0)", int64(12)},
		{"1234567890123456789.25::DECIMAL(38,2)", "1234567890123456789.25"},
		{"0.1::FLOAT", 0.1},
		{"2.5::DOUBLE", 2.5},
		{"TIMESTAMP '2026-01-02 03:04:05.678901'", ts},
		{"TIMESTAMPTZ '2026-01-02 03:04:05.678901+00'", ts},
		{"TIMESTAMPTZ '2026-01-02 05:04:05.678901+02'", ts},
		{"TIMESTAMP_S '2026-01-02 03:04:05'", ts.Truncate(time.Second)},
		{"TIMESTAMP_MS '2026-01-02 03:04:05.678'", ts.Truncate(time.Millisecond)},
		{"TIMESTAMP_NS '2026-01-02 03:04:05.678901'", ts},
		{"TIMESTAMP 'infinity'", "infinity"},
		{"DATE '1969-07-20'", "1969-07-20"},
		{"DATE '-infinity'", "-infinity"},
		{"TIME '01:02:03.5'", "01:02:03.5"},
		{"TIME '24:00:00'", "24:00:00"},
		{"TIMETZ '01:02:03+05:30'", "01:02:03+05:30"},
		{"TIMETZ '01:02:03-08'", "01:02:03-08:00"},
		{"INTERVAL '14 months 3 days 01:02:03.5'", "1 year 2 months 3 days 01:02:03.5"},
		{"INTERVAL '-1 hours'", "-01:00:00"},
		{"INTERVAL '0 days'", "00:00:00"},
		{"''", ""},
		{"'exactly12byt'", "exactly12byt"},
		{"'more than twelve bytes'", "more than twelve bytes"},
		{"'a'||chr(0)||'b'", "a\x00b"},
		{"encode('été')", "été"},
		{"'\\xFF\\x00'::BLOB", "ff00"},
		{"'10101'::BIT", "10101"},
		{"UUID '0a1b2c3d-0000-4000-8000-0123456789ab'", "0a1b2c3d-0000-4000-8000-0123456789ab"},
		{"'b'::ENUM('a','b')", "b"},
		{"[1,NULL,3]", []any{int64(1), nil, int64(3)}},
		{"[['a'],[]]", []any{[]any{"a"}, []any{}}},
		{"array_value(1,2)", []any{int64(1), int64(2)}},
		{"{'a':1,'b':{'c':'x'}}", plan.Struct{{Name: "a", Value: int64(1)}, {Name: "b", Value: plan.Struct{{Name: "c", Value: "x"}}}}},
		{"row(2, 'a', NULL)", plan.Struct{{Name: "field0", Value: int64(2)}, {Name: "field1", Value: "a"}, {Name: "field2"}}},
		{"MAP{row(1, 'x'): 2}", map[string]any{`{"field0":1,"field1":"x"}`: int64(2)}},
		{"MAP{'k':[1],'l':NULL}", map[string]any{"k": []any{int64(1)}, "l": nil}},
		{"MAP{1:'x'}", map[string]any{"1": "x"}},
		{"union_value(num := 2)", int64(2)},
		{"NULL", nil},
		{"NULL::VARCHAR", nil},
	} {
		got, err := all(t.Context(), s, "SELECT "+c.sql)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0][0], c.want) {
			t.Errorf("SELECT %s = %#v, %v, want %#v", c.sql, got, err, c.want)
		}
	}
	got, err := all(t.Context(), s, `SELECT '{"a": 1}'::JSON`)
	if err != nil || fmt.Sprintf("%T %s", got[0][0], got[0][0]) != `json.RawMessage {"a": 1}` {
		t.Errorf("JSON = %T %v, %v", got[0][0], got, err)
	}
}

func TestFilesComeAndGo(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1})
	for round := range 3 {
		fd := parquet(t, fmt.Sprintf("SELECT %d AS a FROM range(10)", round))
		s := acquire(t, p, 2)
		if err := s.Put(1, fd); err != nil {
			t.Fatal(err)
		}
		got, err := all(t.Context(), s, fmt.Sprintf("SELECT sum(a) FROM read_parquet('%s')", s.Path(1)))
		if want := int64(round * 10); err != nil || got[0][0] != want {
			t.Errorf("round %d: sum = %v, %v, want %d", round, got, err, want)
		}
		s.Close()
		if _, err := unix.FcntlInt(uintptr(s.inst.base+1), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Errorf("round %d: the slot is still open: %v", round, err)
		}
	}
}

func TestPutDoesNotCloseOthers(t *testing.T) {
	s := acquire(t, testPool(t, Config{Concurrency: 1}), 1)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	taken := s.inst.base
	if err := unix.Dup3(pipe[0], taken, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	if err := s.Put(0, pipe[1]); err == nil || !strings.Contains(err.Error(), "in use by other code") {
		t.Errorf("Put onto a taken number = %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(taken), unix.F_GETFD, 0); err != nil {
		t.Errorf("the other's descriptor is gone: %v", err)
	}
}

func TestMoreFiles(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1})
	s := acquire(t, p, warmFiles+36)
	if err := s.Widen(warmFiles + 36); err != nil {
		t.Fatal(err)
	}
	fd := parquet(t, "SELECT 1 AS a")
	var paths []string
	for i := range warmFiles + 36 {
		if err := s.Put(i, fd); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, "'"+s.Path(i)+"'")
	}
	got, err := all(t.Context(), s, "SELECT count(*), max(file_index), max(file_row_number) FROM read_parquet(["+strings.Join(paths, ",")+"])")
	if err != nil || got[0][0] != int64(100) || got[0][1] != int64(99) {
		t.Errorf("100 files: %v, %v", got, err)
	}
	// What was put onto a slot stays there in a wider instance.
	if err := s.Widen(warmFiles * 5); err != nil {
		t.Fatal(err)
	}
	got, err = all(t.Context(), s, "SELECT count(*) FROM read_parquet(["+strings.Join(paths, ",")+"])")
	if err != nil || got[0][0] != int64(100) {
		t.Errorf("100 files, in a wider instance: %v, %v", got, err)
	}
	err = s.Widen(p.MaxFiles() + 1)
	var many *TooManyFilesError
	if !errors.As(err, &many) || many.Files != p.MaxFiles()+1 {
		t.Errorf("Widen(%d) = %v", p.MaxFiles()+1, err)
	}
	s.Close()
}

func TestFewFiles(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1, Files: 9})
	s := acquire(t, p, 100)
	if s.MaxFiles() != 9 || p.MaxFiles() != 9 {
		t.Errorf("MaxFiles() = %d, %d, want 9", s.MaxFiles(), p.MaxFiles())
	}
	if err := s.Widen(9); err != nil {
		t.Error(err)
	}
	var many *TooManyFilesError
	if err := s.Widen(10); !errors.As(err, &many) || many.Max != 9 {
		t.Errorf("Widen(10) = %v", err)
	}
	if err := (Config{Files: -1}).Validate(); err == nil {
		t.Error("a negative number of files is taken")
	}
}

func TestLockedIn(t *testing.T) {
	s := acquire(t, testPool(t, Config{Concurrency: 2}), 4)
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("a\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := parquet(t, "SELECT 'secret' AS a") // open in this process, on a low number, and not ours
	out := filepath.Join(t.TempDir(), "out")
	for _, sql := range []string{
		"SELECT * FROM read_csv('" + secret + "')",
		"SELECT * FROM read_text('" + secret + "')",
		"SELECT * FROM read_blob('/proc/self/environ')",
		"SELECT * FROM '" + secret + "'",
		"SELECT * FROM glob('/*')",
		"SELECT * FROM read_parquet('/proc/self/fd/" + fmt.Sprint(other) + "')",
		"SELECT * FROM read_parquet('/proc/" + fmt.Sprint(os.Getpid()) + "/fd/" + fmt.Sprint(other) + "')",
		"SELECT * FROM read_parquet('" + s.Path(0) + "/../" + fmt.Sprint(other) + "')",
		"SELECT * FROM read_parquet('/proc/self/fd/*')",
		"SELECT * FROM read_json('/etc/hostname')",
		"SELECT * FROM parquet_schema('" + secret + "')",
		"SELECT * FROM sniff_csv('" + secret + "')",
		"COPY (SELECT 1) TO '" + out + "'",
		"COPY (SELECT 1) TO '" + s.Path(0) + "'",
		"EXPORT DATABASE '" + out + "'",
		"IMPORT DATABASE '" + out + "'",
		"ATTACH '" + out + "'",
		"ATTACH ':memory:' AS m",
		"DETACH memory",
		"USE memory",
		"INSTALL httpfs",
		"LOAD '" + out + "'",
		"LOAD json",
		"SET memory_limit='100GB'",
		"SET lock_configuration=false",
		"SET enable_external_access=true",
		"RESET allowed_paths",
		"SET VARIABLE x = 1",
		"PRAGMA memory_limit='100GB'",
		"CREATE TABLE t AS SELECT 1",
		"CREATE TEMP TABLE t AS SELECT 1",
		"CREATE MACRO f(a) AS a",
		"CREATE SECRET (TYPE s3)",
		"DROP VIEW duckdb_settings",
		"INSERT INTO t VALUES (1)",
		"CALL pragma_version()",
		"CHECKPOINT",
		"BEGIN",
		"PREPARE q AS SELECT 1",
		"EXECUTE q",
		"EXPLAIN ANALYZE SELECT 1",
		"VACUUM",
		"SELECT 1; SELECT 2",
		"SELECT getenv('PATH')",
		"SELECT * FROM query('COPY (SELECT 1) TO ''" + out + "''')",
		"SELECT * FROM sqlite_scan('" + secret + "', 't')",
		"SELECT trailward_message(0, 0)",
		"SELECT 1 \x00 FROM nowhere",
		"",
	} {
		got, err := all(t.Context(), s, sql)
		if err == nil {
			t.Errorf("%s = %v, want an error", sql, got)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "/proc/self/fd") || strings.Contains(msg, "\n") {
			t.Errorf("%s: error shows too much: %s", sql, msg)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if got, err := all(t.Context(), s, "SELECT 1"); err != nil || len(got) != 1 {
		t.Errorf("the session no longer works: %v, %v", got, err)
	}
}

func TestLimits(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1, Memory: 64 << 20})
	hungry := "SELECT list(a) FROM (SELECT repeat('x', 1000)||i AS a FROM range(10000000) t(i))"
	s := acquire(t, p, 0)
	_, err := all(t.Context(), s, hungry)
	var mem *MemoryError
	if !errors.As(err, &mem) || mem.Limit != 64<<20 {
		t.Errorf("a hungry query = %v, want a MemoryError", err)
	}
	s.Close()

	endless := "SELECT count(*) FROM range(100000000000) t(a) WHERE hash(a) = 1"
	for _, how := range []string{"timeout", "cancel", "close"} {
		s := acquire(t, p, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		var err error
		switch how {
		case "timeout":
			_, err = all(ctx, s, endless)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", how, err)
			}
		case "cancel":
			stop := time.AfterFunc(100*time.Millisecond, cancel)
			_, err = all(ctx, s, endless)
			stop.Stop()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", how, err)
			}
		case "close":
			time.AfterFunc(100*time.Millisecond, s.Close)
			_, err = all(context.Background(), s, endless)
			if err == nil {
				t.Errorf("%s: no error", how)
			}
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s took %v", how, d)
		}
		cancel()
		s.Close()
	}
	s = acquire(t, p, 0)
	if got, err := all(t.Context(), s, "SELECT 42"); err != nil || got[0][0] != int64(42) {
		t.Errorf("after all that: %v, %v", got, err)
	}
	s.Close()
}

func TestAcquireHonoursContext(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1})
	s := acquire(t, p, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Acquire(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Acquire while busy = %v, want deadline exceeded", err)
	}
	s.Close()
	acquire(t, p, 0)
}

func TestResultsStream(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1, Memory: 32 << 20})
	s := acquire(t, p, 0)
	r, err := s.Query(t.Context(), "SELECT i, repeat('x', 500) FROM range(400000) t(i)") // 200 MB
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for r.Next() {
		if got := r.Values()[0]; got != n {
			t.Fatalf("row %d = %v", n, got)
		}
		n++
	}
	if r.Err() != nil || n != 400000 {
		t.Errorf("%d rows, %v", n, r.Err())
	}
	r.Close()
	// An error in the middle of the rows.
	_, err = all(t.Context(), s, "SELECT CASE WHEN i = 300000 THEN error('late') ELSE i END FROM range(400000) t(i)")
	if err == nil || err.Error() != "late" {
		t.Errorf("late error = %v", err)
	}
}

func TestMessages(t *testing.T) {
	p := testPool(t, Config{})
	s := acquire(t, p, 2)
	for i := range 2 {
		if err := s.Put(i, parquet(t, "SELECT i AS a FROM range(100000) t(i)")); err != nil {
			t.Fatal(err)
		}
	}
	s.SetMessages(func(_ context.Context, part int64, rows []int64, emit func(int, []byte)) error {
		for i, row := range rows {
			emit(i, fmt.Appendf(nil, "message \xff %d of part %d", row, part))
		}
		return nil
	})
	from := fmt.Sprintf("(SELECT a, trailward_message(file_index::BIGINT, file_row_number) AS m FROM read_parquet(['%s','%s']))", s.Path(0), s.Path(1))
	got, err := all(t.Context(), s, "SELECT count(*) FROM "+from+" WHERE m = 'message \uFFFD '||a||' of part 0'")
	if err != nil || got[0][0] != int64(100000) {
		t.Errorf("messages = %v, %v", got, err)
	}
	got, err = all(t.Context(), s, "SELECT m FROM "+from+" WHERE a = 77777 ORDER BY m")
	if want := [][]any{{"message \uFFFD 77777 of part 0"}, {"message \uFFFD 77777 of part 1"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("one message = %q, %v, want %q", got, err, want)
	}
	s.SetMessages(func(context.Context, int64, []int64, func(int, []byte)) error { panic("boom") })
	if _, err := all(t.Context(), s, "SELECT m FROM "+from); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panic = %v", err)
	}
}

func TestSerialize(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1})
	s := acquire(t, p, 0) // every instance is busy
	defer s.Close()
	tree, err := p.SerializeSQL(t.Context(), "SELECT a, count(*) FROM \"db\".\"t\" WHERE b = 'x' GROUP BY 1")
	if err != nil || !strings.Contains(tree, `"error":false`) {
		t.Fatalf("SerializeSQL = %s, %v", tree, err)
	}
	sql, err := p.DeserializeSQL(t.Context(), tree)
	if err != nil || !strings.Contains(sql, "count") {
		t.Errorf("DeserializeSQL = %s, %v", sql, err)
	}
	tree, err = p.SerializeSQL(t.Context(), "SELEC 1")
	if err != nil || !strings.Contains(tree, `"error":true`) {
		t.Errorf("SerializeSQL of a fault = %s, %v", tree, err)
	}
	if _, err := p.DeserializeSQL(t.Context(), "{"); err == nil {
		t.Error("DeserializeSQL of no tree gave no error")
	}
	if _, err := p.SerializeSQL(t.Context(), "SELECT "+strings.Repeat("(", 200000)); err != nil {
		t.Log("deep nesting:", err)
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"IO Error: Cannot open file \"/proc/self/fd/12000\": No such file", "cannot open file a segment: No such file"},
		{"Binder Error: Referenced column \"x\" not found!\nCandidate bindings: \"a\"\n\nLINE 1: SELECT x", `referenced column "x" not found!`},
		{"INTERNAL Error: pointer 0x7f00deadbeef\nStack Trace:\n#1", "pointer …"},
		{"Conversion Error: Could not convert string 'a\x1b[2Jb' to INT64", "could not convert string 'a [2Jb' to INT64"},
		{"", "unknown fault"},
	} {
		if got := clean(c.in); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := clean("Error: " + strings.Repeat("é", 1000)); len(got) > maxMessage+4 {
		t.Errorf("clean of a long message has %d bytes", len(got))
	}
}
