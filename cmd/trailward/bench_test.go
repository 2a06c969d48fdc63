package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkIngest loads the file that BENCH_FILE names (../shared/bench/gen
// writes one) into an empty data directory: read, take apart, seal, sync.
func BenchmarkIngest(b *testing.B) {
	name := os.Getenv("BENCH_FILE")
	if name == "" {
		b.Skip("BENCH_FILE is not set: write one with ../shared/bench/gen")
	}
	st, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(st.Size())
	for b.Loop() {
		dir := filepath.Join(b.TempDir(), "data")
		l, err := openLocal(context.Background(), location{data: dir}, true, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Ingest(context.Background(), ingestJob{group: "g", paths: []string{name}, warn: func(string) {}}); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		var size int64
		filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if i, err := d.Info(); err == nil && !d.IsDir() {
				size += i.Size()
			}
			return nil
		})
		b.ReportMetric(float64(size), "bytes-on-disk")
	}
}
