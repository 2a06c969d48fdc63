package test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var updateReadme = flag.Bool("update", false, "write what the README's commands print into the README")

// TestReadme runs the commands of README.md's console blocks, one after the
// other in one folder, and holds their output against what the README shows.
func TestReadme(t *testing.T) {
	const path = "../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "demo"), filepath.Join(dir, "demo")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	bin, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin", "trailward")); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	blocks := 0
	rest := string(readme)
	for {
		before, after, found := strings.Cut(rest, "```console\n")
		out.WriteString(before)
		if !found {
			break
		}
		block, tail, closed := strings.Cut(after, "```")
		command, shown, ok := strings.Cut(block, "\n")
		if !closed || !ok || !strings.HasPrefix(command, "$ ") {
			t.Fatalf("README.md: console block %q is not a command and its output", block)
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command[2:])
		cmd.Dir, cmd.Env = dir, cleanEnv()
		got, err := cmd.Output()
		if err != nil {
			t.Fatalf("README.md: %s: %v", command, err)
		}
		if string(got) != shown && !*updateReadme {
			t.Errorf("README.md: %s\nprints\n%s\nwant what the README shows\n%s", command, got, shown)
		}
		out.WriteString("```console\n" + command + "\n" + string(got) + "```")
		blocks++
		rest = tail
	}
	if blocks == 0 {
		t.Fatal("README.md has no console block")
	}
	if *updateReadme {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
