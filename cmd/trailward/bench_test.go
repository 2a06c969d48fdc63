package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"trailward/query"
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

// BenchmarkAsk asks the data directory that BENCH_DATA names, which holds the
// load generator's 500,000 audit events, through the engine.
func BenchmarkAsk(b *testing.B) {
	dir := os.Getenv("BENCH_DATA")
	if dir == "" {
		b.Skip("BENCH_DATA is not set: load ../shared/bench/gen -kind audit -n 500000 into one")
	}
	l, err := openLocal(context.Background(), location{data: dir}, false, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ask := func(b *testing.B, text string) (rows [][]any) {
		r, err := l.Query(context.Background(), query.Request{Text: text})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		for r.Next() {
			rows = append(rows, slices.Clone(r.Values()))
		}
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
		return rows
	}
	var ids []string
	for _, r := range ask(b, "fields auditID | sort @timestamp | limit 1000") {
		ids = append(ids, r[0].(string))
	}
	for _, c := range []struct {
		name string
		text func(i int) string
	}{
		{"needle", func(i int) string {
			return "filter auditID = '" + ids[i%len(ids)] + "' | fields @timestamp, user.username, verb"
		}},
		{"group-by", func(i int) string {
			return fmt.Sprintf("stats count(*) as c by user.username | sort c desc | limit %d", 20+i%50)
		}},
		{"count-distinct", func(i int) string {
			return fmt.Sprintf("stats count_distinct(sourceIPs.0) as c by user.username | sort c desc | limit %d", 10+i%50)
		}},
		{"text-anywhere", func(i int) string {
			return fmt.Sprintf("filter @message like 'pod-4%x2\"' | fields @timestamp, verb | limit 100", i%16)
		}},
		{"text-common", func(i int) string {
			return fmt.Sprintf("filter @message like 'pods' | stats count(*) as c by verb | limit %d", 20+i%50)
		}},
		{"text-regex", func(i int) string {
			return fmt.Sprintf("filter @message like /pods.*watch/ | stats count(*) as c by verb | limit %d", 20+i%50)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if rows := ask(b, c.text(i)); len(rows) == 0 {
					b.Fatal("no rows")
				}
			}
		})
	}
}
