package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"trailward"
	"trailward/api"
	"trailward/intake"
	"trailward/shape"
	"trailward/source/file"
	"trailward/store"
)

// loadGCPercent is how much garbage lies about while files are loaded, in percent
// of what is in use. That is columns without pointers for the most part: to
// collect often costs a hundredth of the CPU time and saves a quarter of the memory
// (docs/performance.md). GOGC says otherwise.
const loadGCPercent = 25

// Ingest loads files straight into segments. A file that was read into the
// group before is known by its bytes and not read again; one that was
// interrupted, or has grown since, goes on where it was.
func (l *local) Ingest(ctx context.Context, job ingestJob) (total api.IngestResult, err error) {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(loadGCPercent))
	}
	load := l.store.NewLoad()
	p := intake.NewPreparer()
	damaged := map[string]int64{}
	sums := &digestSums{keys: job.digestKeys}
	report, err := file.Walk(ctx, job.paths, file.Options{
		Kind: job.kind, Stdin: job.stdin,
		Progress: func(done, all int64) { job.progress.Bytes(done, max(all, 0)) },
	}, func(in *file.Input) error {
		return loadInput(ctx, job, load, p, in, damaged, sums)
	})
	// What was read before an error or ^C is kept.
	if ferr := load.Flush(context.WithoutCancel(ctx)); ferr != nil {
		err = errors.Join(err, ferr)
	}
	res := load.Result()
	total = api.IngestResult{Records: res.Records, Bytes: res.Bytes, Duplicates: res.Duplicates, Conflicts: res.Conflicts, Damaged: damaged, Kinds: res.Kinds}
	for reason, n := range report.Damaged {
		addDamage(&total, reason, int64(n))
	}
	sums.report(&total, job.warn)
	if err == nil {
		err = job.tell(&report)
	}
	return total, err
}

// loadInput loads one file, from where it was read to before.
func loadInput(ctx context.Context, job ingestJob, load *store.Load, p *intake.Preparer, in *file.Input, damaged map[string]int64, sums *digestSums) error {
	f := store.File{Group: job.group, Name: in.Name, Size: -1, Grows: in.Grows}
	if job.stream != "" {
		f.Name += streamMark + job.stream
	}
	f.Head, _ = in.HeadSum()
	f.Start, f.Short = in.StartSum()
	behind, all, err := known(load, f, in)
	if err != nil {
		return err
	}
	if all {
		load.Skip(behind.Records)
		if framed, err := in.Next(); err == nil { // a digest is held to the files of this load, too
			sums.record(in.Name, 0, framed.Raw)
		}
		sums.file(in.Name, behind.Sum)
		return nil
	}
	last := int64(0)
	load.Begin(f, func(f *store.File) { f.Size, f.Sum, f.Last = in.Consumed(), in.Behind(), last })
	defer load.Stop()
	stream := job.stream
	if stream == "" {
		stream = streamName(in.Name)
	}
	arrival := time.Now()
	var rec trailward.Record // not made anew for each
	for n := int64(0); ; n++ {
		framed, err := in.Next()
		if atEnd(err) {
			break // Walk reports the damage
		}
		if err != nil {
			return err
		}
		last = int64(len(framed.Raw))
		sums.record(in.Name, n, framed.Raw)
		if n < behind.Records {
			if again(behind, n, in.Consumed(), last) {
				load.Pass(1)
				continue
			}
			behind.Records = n
		}
		var taken shape.Taken
		var reason string
		rec, taken, reason = prepare(p, framed, job.kind, job.group, stream, arrival)
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
	sum := in.Behind()
	load.End(in.Consumed(), sum)
	sums.file(in.Name, sum)
	return nil
}

// atEnd reports whether there is no more to be had of a file.
func atEnd(err error) bool {
	if err == nil || err == io.EOF {
		return err != nil
	}
	var damage *file.Damage
	return errors.As(err, &damage)
}

// again reports whether record n of a file, of so many bytes and with so many
// consumed up to its end, was read when the file was read as far as behind says.
// One that goes on over that place, or was the last one then and is longer now,
// is another one; only the LF of a last line that had none makes no difference.
func again(behind store.File, n, consumed, bytes int64) bool {
	if n+1 == behind.Records && behind.Last > 0 {
		return bytes == behind.Last && consumed <= behind.Size+1
	}
	return consumed <= behind.Size
}

// streamMark stands between a file's name and the stream that it was said to be
// of, where one was: what was read into one stream was not read into another.
const streamMark = "\x00"

// sameSource reports whether what is in two files of that many equal bytes can be
// taken for one and the same thing. It may have got another name; but of few
// bytes, such as one line without a time, that cannot be said.
func sameSource(a, b string, bytes int64) bool {
	_, streamA, _ := strings.Cut(a, streamMark)
	_, streamB, _ := strings.Cut(b, streamMark)
	return a == b || streamA == streamB && bytes >= file.StartSize
}

// known returns how far a file was read into the group before, if its bytes up
// to there are the same still, and whether that is all of it. What was read may
// have had another name: it is known by its bytes.
func known(load *store.Load, f store.File, in *file.Input) (best store.File, all bool, err error) {
	list, err := load.Known(f.Group, f.Head)
	if err != nil {
		return best, false, err
	}
	more, err := load.Named(f.Group, f.Name)
	if err != nil {
		return best, false, err
	}
	list = append(list, more...)
	if f.Start != [32]byte{} {
		if more, err = load.Started(f.Group, f.Start); err != nil {
			return best, false, err
		}
		list = append(list, more...)
	}
	list = slices.DeleteFunc(list, func(k store.File) bool { return !sameSource(k.Name, f.Name, k.Size) })
	if len(list) == 0 {
		return best, false, nil
	}
	lengths := make([]int64, len(list))
	for i, k := range list {
		lengths[i] = k.Size
	}
	sums, _, size, err := in.Beginnings(lengths)
	if errors.Is(err, file.ErrSumUnknown) {
		return best, false, nil
	}
	if err != nil {
		return best, false, err
	}
	for i, k := range list {
		if k.Size < 0 || k.Size > size || k.Sum != sums[i] {
			continue
		}
		whole := k.Done && k.Size == size
		if whole || !all && k.Size > best.Size {
			best, all = k, whole
		}
	}
	return best, all, nil
}
