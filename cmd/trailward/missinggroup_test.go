package main

import (
	"path/filepath"
	"strings"
	"testing"

	"trailward/api"
)

// TestMissingGroup asks about groups that do not exist, of a data directory and of
// a server: the answer is empty, and a note says why.
func TestMissingGroup(t *testing.T) {
	k := newOwner(t)
	file := filepath.Join(t.TempDir(), "in.log")
	put(t, file, "hello\n")
	k.good("", "ingest", "--group", "/there", file)
	filled := liveServer(t)
	send(t, filled, "group=/there", "hello\n")
	empty := liveServerAt(t, filepath.Join(t.TempDir(), "data"), api.Config{})
	for _, c := range []struct {
		note string // "" for none
		args []string
	}{
		{`no log group is named "/their"`, []string{"query", "--group", "/their", "stats count(*)"}},
		{`no log group's name begins with "/x"`, []string{"query", "--group", "/x*", "stats count(*)"}},
		{`no log group is named "/none"`, []string{"query", "SOURCE '/none' | stats count(*)"}},
		{`no log group is named "/their"`, []string{"sql", "--group", "/their", "SELECT count(*) FROM logs"}},
		{"", []string{"query", "--group", "/there", "--group", "/the*", "stats count(*)"}},
		{"", []string{"query", "stats count(*)"}},
	} {
		_, _, local := k.run("", c.args...)
		remote := runReal(t, append(c.args, "--server", filled)...).errors
		for where, errs := range map[string]string{"data directory": local, "server": remote} {
			if c.note == "" && strings.Contains(errs, "note:") || !strings.Contains(errs, c.note) {
				t.Errorf("%v at a %s: stderr %q, want a note with %q", c.args, where, errs, c.note)
			}
		}
	}
	for _, args := range [][]string{{"query", "stats count(*)"}, {"sql", "SELECT count(*) FROM logs"}} {
		if out := runReal(t, append(args, "--server", empty)...); out.code != 0 || !strings.Contains(out.errors, "nothing is stored yet") {
			t.Errorf("%v of an empty server = %d, %q, want a note that it is empty", args, out.code, out.errors)
		}
	}
}
