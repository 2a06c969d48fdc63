package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"trailward"
	"trailward/api"
	"trailward/source/file"
)

// Limits of a batch made from a file. A server takes larger ones; these keep
// the memory of both sides small and an answer quick.
const (
	maxBatchBytes   = 4 << 20
	maxBatchRecords = 20_000
	maxStreamName   = 512 // bytes, as CloudWatch Logs has it
)

// fileBatch is consecutive records of one file.
type fileBatch struct {
	group, stream string
	kind          trailward.Kind
	records       []trailward.Framed
	number        int // of the batch in its file, from 0

	arena []byte // holds the records' bytes
}

// id names the batch by what is in it and where in its file it stands, so that
// loading a file again, or going on after an interruption, stores nothing twice.
func (b *fileBatch) id() (id string, sum [sha256.Size]byte) {
	h := sha256.New()
	var n [8]byte
	part := func(s []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write(s)
	}
	part([]byte(b.stream))
	binary.BigEndian.PutUint64(n[:], uint64(b.number))
	h.Write(n[:])
	for i := range b.records {
		r := &b.records[i]
		part(r.Raw)
		part([]byte(r.Kind))
		part([]byte(strings.Join(r.Columns, " ")))
		binary.BigEndian.PutUint64(n[:], uint64(r.Time))
		h.Write(n[:])
		for _, a := range r.Attrs {
			part([]byte(a.Name))
			part([]byte(a.Value))
		}
		part([]byte(r.Damaged))
	}
	h.Sum(sum[:0])
	return "file-" + hex.EncodeToString(sum[:16]), sum
}

// add copies a record into the batch.
func (b *fileBatch) add(f trailward.Framed) {
	at := len(b.arena)
	if len(b.arena)+len(f.Raw) > cap(b.arena) {
		// The records so far keep the old memory; it is theirs.
		b.arena, at = make([]byte, 0, max(maxBatchBytes, len(f.Raw))), 0
	}
	b.arena = append(b.arena, f.Raw...)
	f.Raw = b.arena[at:len(b.arena):len(b.arena)]
	b.records = append(b.records, f)
}

// loadFiles reads the job's files and hands their records to store, batch by
// batch. The result says what was stored until the error, if there is one.
func loadFiles(ctx context.Context, job ingestJob, store func(context.Context, *fileBatch) (api.IngestResult, error)) (total api.IngestResult, err error) {
	sums := &digestSums{keys: job.digestKeys}
	report, err := file.Walk(ctx, job.paths, file.Options{
		Kind: job.kind, Stdin: job.stdin,
		Progress: func(done, all int64) { job.progress.Bytes(done, max(all, 0)) },
	}, func(in *file.Input) error {
		return loadFile(ctx, job, in, sums, func(b *fileBatch) error {
			sum, err := store(ctx, b)
			addResult(&total, sum)
			job.progress.Count(total.Records + total.Duplicates)
			return err
		})
	})
	for reason, n := range report.Damaged {
		addDamage(&total, reason, int64(n))
	}
	sums.report(&total, job.warn)
	if err == nil {
		err = job.tell(&report)
	}
	return total, err
}

// maxTold is how many damaged files are named one by one.
const maxTold = 20

// tell names the damaged files, and gives an error when one could not be read
// at all: then something that was asked for is missing.
func (job *ingestJob) tell(report *file.Report) error {
	all := 0
	for _, n := range report.Damaged {
		all += n
	}
	for i, d := range report.Damages {
		if i == maxTold {
			break
		}
		job.warn(d.Error())
	}
	if all > maxTold {
		job.warn(fmt.Sprintf("%d more files are damaged; the summary counts them by reason", all-maxTold))
	}
	for what, n := range report.Skipped {
		job.warn(fmt.Sprintf("passed over %d: %s", n, what))
	}
	if n := report.Damaged[file.CannotRead]; n > 0 {
		return fmt.Errorf("%d files could not be read; the others are loaded", n)
	}
	return nil
}

// loadFile cuts one file into batches.
func loadFile(ctx context.Context, job ingestJob, in *file.Input, sums *digestSums, store func(*fileBatch) error) error {
	batch := &fileBatch{group: job.group, stream: job.stream, kind: job.kind}
	if batch.stream == "" {
		batch.stream = streamName(in.Name)
	}
	size := 0
	flush := func() error {
		if len(batch.records) == 0 {
			return nil
		}
		err := store(batch)
		batch = &fileBatch{group: batch.group, stream: batch.stream, kind: batch.kind, number: batch.number + 1}
		size = 0
		return err
	}
	for n := int64(0); ; n++ {
		rec, err := in.Next()
		if atEnd(err) {
			sums.file(in.Name, in.Behind())
			return flush() // Walk reports the damage
		}
		if err != nil {
			return err
		}
		sums.record(in.Name, n, rec.Raw)
		if size > 0 && (size+len(rec.Raw) > maxBatchBytes || len(batch.records) >= maxBatchRecords) {
			if err := flush(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		batch.add(rec)
		size += len(rec.Raw) + 1
	}
}

// streamName makes a log stream's name of a file's: what a stream's name must
// not have becomes _, and of a name that is too long its end is kept, which
// tells files apart.
func streamName(name string) string {
	if name == "-" || name == "" {
		return "stdin"
	}
	name = strings.Map(func(r rune) rune {
		if r == ':' || r == '*' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
	if len(name) > maxStreamName {
		name = name[len(name)-maxStreamName:]
		for !utf8.RuneStart(name[0]) {
			name = name[1:]
		}
	}
	return name
}

// addResult adds what became of a batch to the total.
func addResult(total *api.IngestResult, sum api.IngestResult) {
	total.Records += sum.Records
	total.Bytes += sum.Bytes
	total.Duplicates += sum.Duplicates
	total.Conflicts += sum.Conflicts
	total.Rejected += sum.Rejected
	for reason, n := range sum.Damaged {
		addDamage(total, reason, n)
	}
	for kind, n := range sum.Kinds {
		if total.Kinds == nil {
			total.Kinds = map[trailward.Kind]int64{}
		}
		total.Kinds[kind] += n
	}
}

func addDamage(total *api.IngestResult, reason string, n int64) {
	if total.Damaged == nil {
		total.Damaged = map[string]int64{}
	}
	total.Damaged[reason] += n
}
