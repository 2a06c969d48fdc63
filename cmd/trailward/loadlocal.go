package main

import (
	"context"
	"errors"
	"io"
	"time"

	"trailward/api"
	"trailward/intake"
	"trailward/source/file"
	"trailward/store"
)

// Ingest loads files straight into segments. A file that was read into the
// group before is known by its bytes and not read again; one that was
// interrupted goes on where it was.
func (l *local) Ingest(ctx context.Context, job ingestJob) (total api.IngestResult, err error) {
	load := l.store.NewLoad()
	p := intake.NewPreparer()
	damaged := map[string]int64{}
	report, err := file.Walk(ctx, job.paths, file.Options{
		Kind: job.kind, Stdin: job.stdin,
		Progress: func(done, all int64) { job.progress.Bytes(done, max(all, 0)) },
	}, func(in *file.Input) error {
		return loadInput(ctx, job, load, p, in, damaged)
	})
	// What was read before an error or ^C is kept.
	if ferr := load.Flush(context.WithoutCancel(ctx)); ferr != nil {
		err = errors.Join(err, ferr)
	}
	res := load.Result()
	total = api.IngestResult{Records: res.Records, Bytes: res.Bytes, Duplicates: res.Duplicates, Damaged: damaged, Kinds: res.Kinds}
	for reason, n := range report.Damaged {
		addDamage(&total, reason, int64(n))
	}
	if err == nil {
		err = job.tell(&report)
	}
	return total, err
}

// loadInput loads one file.
func loadInput(ctx context.Context, job ingestJob, load *store.Load, p *intake.Preparer, in *file.Input, damaged map[string]int64) error {
	f := store.File{Group: job.group, Name: in.Name, Size: in.Size()}
	var whole bool
	f.Head, whole = in.HeadSum()
	known, err := load.Known(job.group, f.Head)
	if err != nil {
		return err
	}
	sum := f.Head
	if !whole {
		if sum, err = in.Sum(); err != nil && !errors.Is(err, file.ErrSumUnknown) {
			return err
		}
		f.Size = in.Size()
	}
	var behind int64 // records of this file that an interrupted load has stored
	for _, k := range known {
		if k.Done && k.Sum == sum && sum != [32]byte{} {
			load.Skip(k.Records)
			return nil
		}
		if !k.Done && k.Name == in.Name {
			behind = max(behind, k.Records)
		}
	}
	f.Records = behind
	load.Begin(f)
	stream := job.stream
	if stream == "" {
		stream = streamName(in.Name)
	}
	arrival := time.Now()
	for n := int64(0); ; n++ {
		framed, err := in.Next()
		var damage *file.Damage
		if err == io.EOF || errors.As(err, &damage) {
			break // Walk reports the damage
		}
		if err != nil {
			return err
		}
		if n < behind {
			load.Skip(1)
			continue
		}
		rec, taken, reason := prepare(p, framed, job.kind, job.group, stream, arrival)
		if reason != "" {
			damaged[reason]++
		}
		if err := load.Add(&rec, taken); err != nil {
			return err
		}
		if n%1024 == 1023 {
			res := load.Result()
			job.progress.Count(res.Records + res.Duplicates)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	load.End(in.Consumed(), sum)
	return nil
}
