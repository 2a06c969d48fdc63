// Package pythontest runs programs in Python that read what we write, so that
// what is read is known to be what the documentation, or the standard, says.
package pythontest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Find returns an interpreter that has the packages, or skips the test. It is
// the one that TRAILWARD_PYTHON names, or python3.
func Find(t testing.TB, packages ...string) string {
	t.Helper()
	name := os.Getenv("TRAILWARD_PYTHON")
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no Python here (TRAILWARD_PYTHON names one): %v", err)
	}
	if out, err := exec.Command(path, "-c", "import "+strings.Join(packages, ", ")).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("%s lacks packages (TRAILWARD_PYTHON names another): %s", path, lines[len(lines)-1])
	}
	return path
}
