// Command generate writes the sample files of package demo into the folder
// that it is given, for a fixed day and with little background. `make generate`
// runs it; what it writes is the same bytes each time.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"trailward/demo"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// write replaces the files of dir, so that a sample that is no longer made
// does not stay behind.
func write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range demo.Samples(demo.ShippedDay, demo.Small) {
		if err := os.WriteFile(filepath.Join(dir, s.Name), s.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
