// Package sampletest finds the published test data of others, which is not
// part of this repository: tests that need it are skipped where it is not.
package sampletest

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of test data, or skips the test. It is the one that
// SHARED_DATA names, or ../shared/data seen from the working directory or a
// folder above it. MANIFEST.md in it says what is there.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("SHARED_DATA"); dir != "" {
		return dir
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := wd; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		data := filepath.Join(dir, "..", "shared", "data")
		if info, err := os.Stat(data); err == nil && info.IsDir() {
			return data
		}
	}
	t.Skip("no ../shared/data above the working directory, and SHARED_DATA is not set")
	return ""
}

// File returns the path of one of the files or folders, or skips the test.
func File(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(Dir(t), filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no such test data: %v", err)
	}
	return path
}
