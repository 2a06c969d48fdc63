package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"trailward/internal/clock/clocktest"
	"trailward/store"
	"trailward/store/seal"
	"trailward/test/judge"
)

// The script that TestPowerCuts runs in a process of its own: everything that a
// store does to its files. It says on standard output, with one write each, what
// was acknowledged.
const powerCutDir = "TEST_POWER_CUT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(powerCutDir); dir != "" {
		if err := powerCutScript(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// judged is a batch as the store takes it.
func judged(b *judge.Batch) *store.Batch {
	out := batch(b.Group, b.Lines...)
	out.ID, out.Stream = b.ID, b.Stream
	return out
}

func powerCutScript(dir string) error {
	ctx := context.Background()
	p, err := seal.OpenKeyFile(filepath.Join(dir, "..", "trailward.key"))
	if err != nil {
		return err
	}
	clk := clocktest.New(epoch)
	j := judge.New(3)
	n := 0
	send := func(s *store.Store, groups ...string) error {
		for i := range 3 {
			b := j.Issue(i, 4)
			if _, err := s.Append(ctx, judged(b)); err != nil {
				return err
			}
			fmt.Printf("acked %d\n", n)
			n++
		}
		for _, g := range groups {
			if _, err := s.Append(ctx, batch(g, "passes away "+strconv.Itoa(n))); err != nil {
				return err
			}
		}
		return nil
	}
	for life := range 2 {
		s, _, err := store.Open(ctx, store.Options{Dir: dir, Provider: p, Format: testFormat(), Clock: clk, NoCompaction: true})
		if err != nil {
			return err
		}
		s.StopBackground()
		for round := range 4 {
			if err := send(s, "/expires"); err != nil {
				return err
			}
			if round == 0 {
				if err := s.SetRetention("/expires", 24*time.Hour); err != nil {
					return err
				}
				if err := s.SetHold("/judge/0", "because"); err != nil {
					return err
				}
				fmt.Println("held")
			}
			if err := s.Seal(); err != nil {
				return err
			}
		}
		if err := s.Compact(ctx); err != nil {
			return err
		}
		fmt.Println("compacted")
		if life == 1 {
			for range 6 {
				clk.Advance(12 * time.Hour)
				if err := s.RecordInterval(); err != nil {
					return err
				}
				if _, err := s.Expire(); err != nil {
					return err
				}
			}
			fmt.Println("expired")
		}
		if err := send(s); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestPowerCuts cuts the power at any call of a store's life. A folder that is not
// synced after a file in it was made or renamed shows here, whoever forgot it.
func TestPowerCuts(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.CreateKeyFile(filepath.Join(root, "trailward.key")); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(root, "trailward.key"))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), powerCutDir+"="+filepath.Join(root, "data"))
	tr := record(t, root, child)
	if len(tr.ops) < 300 || tr.ops[len(tr.ops)-1].call == "" {
		t.Fatalf("the trace has %d calls", len(tr.ops))
	}
	seeds := judge.Scale(t, "FAULT_SEEDS", 20)
	lost := 0 // cuts that lost something that was not synced
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 6))
		calls := 1 + rng.IntN(len(tr.ops))
		what := fmt.Sprintf("seed %d, power cut after call %d (%s %s)", seed, calls, tr.ops[calls-1].call, tr.ops[calls-1].path)
		left, marks := tr.cut(t, uint64(seed), calls)
		at := filepath.Join(t.TempDir(), "x")
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		restoreFiles(t, left, at)
		if err := os.WriteFile(filepath.Join(at, "trailward.key"), key, 0o600); err != nil {
			t.Fatal(err)
		}
		if whole, _ := tr.kept(t, calls); len(whole) != len(left.Files()) {
			lost++
		}
		dir := filepath.Join(at, "data")
		j := judge.New(3)
		held := false
		acked := 0
		for _, m := range marks {
			switch {
			case strings.HasPrefix(m, "acked "):
				acked++
			case m == "held":
				held = true
			}
		}
		for i := range 30 {
			if b := j.Issue(i%3, 4); i < acked {
				j.Acked(b)
			}
		}
		s, err := tryOpen(t, dir, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		read := func(group string, each func([]byte)) error {
			for _, l := range cat(t, s, group) {
				each([]byte(l))
			}
			return nil
		}
		if err := j.Verdict(read); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		b := judge.New(uint64(seed)+1000).Issue(2, 2)
		appendTo(t, s, judged(j.IssueLines("/judge/0", b.Lines...)))
		if held {
			found := false
			for _, g := range s.GroupSettings() {
				found = found || g.Group == "/judge/0" && g.Hold != nil
			}
			if !found {
				t.Fatalf("%s: the hold is lost", what)
			}
		}
		if err := j.Verdict(read); err != nil {
			t.Fatalf("%s, after a fresh record: %v", what, err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		good(t, dir)
		if t.Failed() {
			t.Fatal(what)
		}
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d calls traced, %d cuts, %d of which lost files", len(tr.ops), seeds, lost)
	if lost == 0 {
		t.Error("no cut lost anything: the trace shows nothing")
	}
}

// kept is what the first calls leave when the power stays on.
func (tr *trace) kept(t *testing.T, calls int) (files []string, marks []string) {
	names := map[string]bool{}
	for _, op := range tr.ops[:calls] {
		switch op.call {
		case "open":
			if strings.Contains(op.flags, "O_CREAT") {
				names[op.path] = true
			}
		case "rename":
			delete(names, op.path)
			names[op.to] = true
		case "remove":
			delete(names, op.path)
		}
	}
	for n := range names {
		files = append(files, n)
	}
	return files, marks
}
