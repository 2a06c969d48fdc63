package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shellBlocks takes the indented blocks out of a page whose first command is
// one of ours or of a shell, and those that go on with it.
func shellBlocks(t *testing.T, page string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`^(bin/)?trailward [a-z]|^(curl|cd|export|URL=|#)`)
	var blocks []string
	var block []string
	for line := range strings.Lines(string(b) + "end\n") {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			block = append(block, code)
			continue
		}
		if strings.TrimSpace(line) == "" && len(block) > 0 {
			block = append(block, "\n")
			continue
		}
		if len(block) > 0 && first.MatchString(block[0]) {
			blocks = append(blocks, strings.Join(block, ""))
		}
		block = nil
	}
	return blocks
}

// TestPages runs the commands of the documentation as a new user does, block by block and each
// page in a folder of its own, with nothing replaced but places. A page that says
// what does not work any more fails.
func TestPages(t *testing.T) {
	for _, tool := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here: %v", tool, err)
		}
	}
	tests := []struct {
		page   string
		blocks int  // that the page has at least
		server bool // the page's server runs in the folder's data directory
		setup  []string
		// replace are pairs of what stands in the page and what a test has.
		replace []string
		want    []string // in what the commands print
	}{
		{page: "docs/keeping.md", blocks: 5, setup: []string{"trailward ingest --group /eks/prod/audit samples/k8s-audit.jsonl", "mkdir backup etc",
			"trailward query --output json 'fields @message | limit 1' | sed 's/.*\"@ptr\":\"\\([^\"]*\\)\".*/\\1/' > ptr"},
			replace: []string{"PTR", "$(cat ptr)", "trailward keys rotate", "trailward keys rotate\ncp trailward-data/trailward.key etc", "/mnt/backup", "backup", "/etc/trailward/", "etc/", "--data /var/lib/trailward", "--data restored --key-file etc/trailward.key"},
			want:    []string{"/eks/prod/audit"}},
		{page: "docs/operations.md", blocks: 1, server: true, setup: []string{"mkdir backup", "trailward ingest --group /eks/prod/audit samples/k8s-audit.jsonl"},
			replace: []string{"https://logs.example:7300", "$SERVER", "/mnt/backup", "backup"}},
		{page: "docs/api/http.md", blocks: 1, server: true, replace: []string{"http://127.0.0.1:7300", "$SERVER"},
			want: []string{`"records":2`, `{"action":"read","n":"1"}`, `{"action":"write","n":"1"}`, "json,2\r\ntext,1\r\n", `"status":"complete"`, `"team":"red"`, "trailward_ingest_records_stored_total"}},
		// A file's ctime cannot be made older: the wait for it is a wait ahead.
		{page: "docs/kubernetes.md", blocks: 2, server: true, setup: []string{"mkdir audit", "cp -L samples/k8s-audit.jsonl audit/audit-2026.log"},
			replace: []string{"https://trailward.example:7300 --ca-file ca.crt", "$SERVER", "--data /var/lib/trailward", "--data trailward-data", "/var/lib/trailward", ".", "/var/log/kubernetes/", "./", "2 minutes ago", "2 minutes"},
			want:    []string{"k8s.audit"}},
		{page: "README.md", blocks: 1, server: true, replace: []string{"bin/trailward server &", ":", "http://127.0.0.1:7300", "$SERVER", "bin/trailward", "trailward"},
			want: []string{`"records":`, `"n":"`}},
	}
	bin, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := filepath.Abs("../demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.page, func(t *testing.T) {
			blocks := shellBlocks(t, tt.page)
			if len(blocks) < tt.blocks {
				t.Fatalf("%s has %d blocks of commands, want at least %d", tt.page, len(blocks), tt.blocks)
			}
			dir := t.TempDir()
			for from, to := range map[string]string{bin: "path/trailward", demo: "demo"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(filepath.Join(demo, "samples"), filepath.Join(dir, "samples")); err != nil {
				t.Fatal(err)
			}
			env := append(cleanEnv(), "PATH="+filepath.Join(dir, "path")+":"+os.Getenv("PATH"), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
			sh := func(script string) string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
				cmd.Dir, cmd.Env = dir, env
				var errs strings.Builder
				cmd.Stderr = &errs
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v\n%s\nprinted\n%s%s", tt.page, err, script, out, errs.String())
				}
				return string(out)
			}
			for _, s := range tt.setup {
				sh(s)
			}
			url := ""
			if tt.server {
				url = serve(t, filepath.Join(dir, "trailward-data")).url
			}
			var out strings.Builder
			for _, b := range blocks {
				out.WriteString(sh(strings.ReplaceAll(strings.NewReplacer(tt.replace...).Replace(b), "$SERVER", url)))
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: the commands printed\n%s\nwant %s in it", tt.page, out.String(), want)
				}
			}
		})
	}
}
