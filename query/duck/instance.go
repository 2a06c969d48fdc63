package duck

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// instance is one DuckDB database in memory, locked in. It belongs to one
// session at a time.
type instance struct {
	db      duckdb.Database
	base    int // descriptor number of the first slot
	slots   int
	fn      *function               // the message function, registered on it
	texts   []unsafe.Pointer        // of the text functions, to be freed
	lists   []unsafe.Pointer        // of the list functions
	session atomic.Pointer[Session] // whom the function serves
}

// openInstance opens a database whose only readable paths are its slots.
func openInstance(base, slots int, cfg Config) (*instance, error) {
	in := &instance{base: base, slots: slots}
	settings := [][2]string{
		{"threads", strconv.Itoa(cfg.Threads)},
		{"memory_limit", strconv.FormatInt(cfg.Memory/int64(cfg.Concurrency), 10) + "B"},
	}
	if err := in.open(settings); err != nil {
		return nil, fmt.Errorf("open a DuckDB instance: %w", err)
	}
	if err := in.lock(cfg); err != nil {
		in.close()
		return nil, fmt.Errorf("lock a DuckDB instance in: %w", err)
	}
	return in, nil
}

func (in *instance) open(settings [][2]string) error {
	var cfg duckdb.Config
	if duckdb.CreateConfig(&cfg) == duckdb.StateError {
		return errors.New("no configuration could be made")
	}
	defer duckdb.DestroyConfig(&cfg)
	for _, s := range append(settings,
		[2]string{"temp_directory", ""}, // nothing is spilled: no plaintext reaches the disk
		[2]string{"autoinstall_known_extensions", "false"},
		[2]string{"autoload_known_extensions", "false"},
		[2]string{"allow_community_extensions", "false"},
		[2]string{"allow_persistent_secrets", "false"},
		// A slot's path stands for another file in each session, so nothing
		// that DuckDB read under it may be kept.
		[2]string{"enable_external_file_cache", "false"},
		[2]string{"enable_object_cache", "false"},
	) {
		if duckdb.SetConfig(cfg, s[0], s[1]) == duckdb.StateError {
			return fmt.Errorf("DuckDB %s does not know the setting %s=%q", duckdb.LibraryVersion(), s[0], s[1])
		}
	}
	var msg string
	if duckdb.OpenExt(":memory:", &in.db, cfg, &msg) == duckdb.StateError {
		return errors.New(clean(msg))
	}
	return nil
}

// lock fixes the readable paths and then the configuration. The order matters:
// with external access off the paths can no longer be set.
func (in *instance) lock(cfg Config) error {
	var conn duckdb.Connection
	if duckdb.Connect(in.db, &conn) == duckdb.StateError {
		return errors.New("connect to a new instance")
	}
	defer duckdb.Disconnect(&conn)
	var paths strings.Builder
	paths.WriteString("SET allowed_paths=[")
	for i := range in.slots {
		if i > 0 {
			paths.WriteByte(',')
		}
		paths.WriteString("'" + in.path(i) + "'")
	}
	paths.WriteByte(']')
	fn, err := registerFunction(conn, in)
	if err != nil {
		return err
	}
	in.fn = fn
	if err := registerAddress(conn); err != nil {
		return err
	}
	if err := errors.Join(registerMatched(conn, fn), registerHolds(conn, fn)); err != nil {
		return err
	}
	if in.texts, err = registerTexts(conn, cfg.Functions); err != nil {
		return err
	}
	if in.lists, err = registerLists(conn, cfg.Lists); err != nil {
		return err
	}
	for _, sql := range []string{
		"SET TimeZone='UTC'",
		paths.String(),
		"SET enable_external_access=false",
		"SET lock_configuration=true",
	} {
		if err := runSetting(conn, sql); err != nil {
			return err
		}
	}
	return nil
}

// runSetting runs a statement of our own that has no rows.
func runSetting(conn duckdb.Connection, sql string) error {
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.Query(conn, sql, &res) == duckdb.StateError {
		return errors.New(clean(duckdb.ResultError(&res)))
	}
	return nil
}

// path is the name under which DuckDB reads slot i.
func (in *instance) path(i int) string {
	return "/proc/self/fd/" + strconv.Itoa(in.base+i)
}

// close ends the instance. No connection to it may be in use.
func (in *instance) close() {
	duckdb.Close(&in.db)
	if in.fn != nil {
		in.fn.free()
	}
	freeTexts(in.texts)
	freeLists(in.lists)
}
