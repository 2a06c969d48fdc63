// Package file reads records from what a person has: files, folders, standard
// input, archives and compressed files of any nesting.
//
// [Walk] gets paths and calls a function once for each logical file, which is
// a plain file or a member of an archive, without the compression around it.
// What a file is, is decided by its content and never by its name. The
// function draws records from the [Input] one at a time; they point into the
// read buffer, and nothing is held but that buffer, so that a file of any size
// can be read.
//
// A logical file is framed in one of these ways, decided by its first 64 KiB:
//
//   - lines: LF ends a record, a CR before it belongs to the record, empty
//     lines are none. A flow log's header line is framing, and so are the
//     prefix of a container runtime (CRI) and the envelope of Docker's
//     json-file.
//   - JSON values one after another, pretty-printed or not, in an array, or in
//     the wrappers {"Records":[…]} (CloudTrail) and {"kind":"EventList",
//     "items":[…]} (Kubernetes audit): each element's exact bytes are a record.
//     Of what CloudTrail's LookupEvents answers, each CloudTrailEvent is one.
//     Of a CloudWatch Logs subscription payload, each message is one, also when
//     it is packed as Lambda and Kinesis hand it on (base64 of gzip).
//   - entries of systemd's journal in its export form;
//   - syslog messages with their lengths before them (RFC 6587).
//
// A Parquet file is the lines that package parquet makes of its rows, and
// UTF-16 with a byte order mark is read as UTF-8.
//
// No byte is lost silently: what is neither framing nor a record that can be
// told is handed on as a record with the reason in Damaged, and a file that
// ends before its end gives what can be read and then a [Damage].
//
//	report, err := file.Walk(ctx, []string{"/var/log", "trail.tar"}, file.Options{},
//		func(in *file.Input) error {
//			for {
//				rec, err := in.Next()
//				if err == io.EOF {
//					return nil
//				}
//				if d := new(file.Damage); errors.As(err, &d) {
//					return nil // what was read stands; Walk reports the damage
//				}
//				if err != nil {
//					return err
//				}
//				use(rec)
//			}
//		})
package file

import (
	"errors"
	"fmt"
	"io"

	"trailward"
)

// The limits, where [Options] does not say otherwise. Sizes are in bytes.
const (
	DefaultMaxRecord       = 16 << 20 // of one record
	DefaultMaxRatio        = 1000     // of decompressed to compressed bytes, see Options.MaxRatio
	DefaultMaxDecompressed = 1 << 40  // out of one top-level file

	// MaxEnvelope is the most that a CloudWatch Logs subscription payload may
	// take, which is held as a whole; AWS makes them of at most some 10 MiB.
	MaxEnvelope = 64 << 20
	// MaxParquetHeld is the same for a Parquet file.
	MaxParquetHeld = 128 << 20
	// MaxHeld is the most of a stream that [Input.Beginnings] holds.
	MaxHeld = 32 << 20
	// MaxZipHeld is the largest zip that is read when it lies in another
	// archive or comes from a stream: its directory is at its end, so it has
	// to be held.
	MaxZipHeld = 256 << 20
	// MaxArchives is how deep archives may lie in one another, and MaxLayers
	// the same with compression counted too.
	MaxArchives = 4
	MaxLayers   = 10

	headSize   = 64 << 10  // that is looked at to decide the framing, and hashed by HeadSum
	windowSize = 1 << 20   // of the read buffer; it grows with the record
	ratioFrom  = 256 << 20 // bytes out of a top-level file before MaxRatio counts
)

// Reasons for which a record, a file or a member is damaged. They are few and
// stable, since they are counted.
const (
	HalfLine         = "half line"
	LineTooLong      = "line too long"
	RecordTooLong    = "record too long"
	PartialTooLong   = "partial line too long"
	PartialNoEnd     = "partial line without end"
	BrokenJSON       = "broken json"
	CutJSON          = "cut json"
	BesideRecords    = "beside the records"
	NotUnescaped     = "message cannot be unescaped"
	BrokenJournal    = "broken journal entry"
	BrokenOctets     = "no octet count"
	CutOctets        = "cut octet-counted message"
	CutUTF16         = "cut utf-16"
	CutGzip          = "cut gzip"
	BrokenGzip       = "broken gzip"
	CutZstd          = "cut zstd"
	BrokenZstd       = "broken zstd"
	CutBzip2         = "cut bzip2"
	BrokenBzip2      = "broken bzip2"
	CutTar           = "cut tar"
	BrokenTar        = "broken tar"
	BrokenZip        = "broken zip"
	EncryptedZip     = "encrypted zip member"
	ZipMethod        = "unknown zip compression"
	ZipTooLarge      = "zip inside another file too large to hold"
	TooLarge         = "too large when decompressed"
	TooDeep          = "archives nested too deeply"
	CutParquet       = "cut parquet"
	BrokenParquet    = "broken parquet"
	EncryptedParquet = "encrypted parquet"
	ParquetOverLimit = "parquet over a limit"
	ParquetTooLarge  = "parquet inside another file too large to hold"
	XzNotRead        = "xz compression is not read"
	Lz4NotRead       = "lz4 compression is not read"
	SevenZipNotRead  = "7z archives are not read"
	CannotRead       = "cannot be read"
)

// Options say how to read. The zero value is good.
type Options struct {
	// Kind is the kind of every record, or empty or "auto" for what the
	// content says. A kind of lines (text, linux.syslog, linux.audit,
	// aws.vpcflow) makes every line a record; a kind of JSON keeps container
	// prefixes in the record.
	Kind trailward.Kind
	// Columns are the fields of flow logs that have no header line, in the form
	// of trailward.JoinPath; nil for the default format.
	Columns []string
	// MaxRecord is the most bytes of one record; a longer one is cut into
	// pieces, each of them damaged. 0 is DefaultMaxRecord; at least 1 KiB.
	MaxRecord int
	// MaxRatio is how many times larger than itself a top-level file may become
	// when it is decompressed, archives inside it included. It counts from the
	// first 256 MiB on, so that small files of much repetition pass. 0 is
	// DefaultMaxRatio. What is beyond is not read: TooLarge.
	MaxRatio int64
	// MaxDecompressed is how many bytes may come out of a top-level file in
	// all. 0 is DefaultMaxDecompressed.
	MaxDecompressed int64
	// Stdin is what the path "-" reads; nil is os.Stdin.
	Stdin io.Reader
	// Progress, if not nil, is told now and then how many bytes of the
	// top-level files were read, and of how many; total is -1 when standard
	// input or a pipe is among them.
	Progress func(done, total int64)

	// bare says that nothing is unpacked inside of the stream: what a request
	// may become is bounded by its size.
	bare bool
}

// Validate reports what is wrong with the options.
func (o *Options) Validate() error {
	if o.Kind != "" && o.Kind != "auto" && !o.Kind.Valid() {
		return fmt.Errorf("unknown kind %q", o.Kind)
	}
	if o.MaxRecord != 0 && (o.MaxRecord < 1<<10 || o.MaxRecord > 1<<30) {
		return fmt.Errorf("most bytes of a record is %d, must be between 1 KiB and 1 GiB", o.MaxRecord)
	}
	if o.MaxRatio < 0 || o.MaxDecompressed < 0 {
		return errors.New("limits of decompression must not be negative")
	}
	return nil
}

// filled returns o with its defaults in place.
func (o Options) filled() Options {
	if o.Kind == "auto" {
		o.Kind = ""
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = DefaultMaxRecord
	}
	if o.MaxRatio == 0 {
		o.MaxRatio = DefaultMaxRatio
	}
	if o.MaxDecompressed == 0 {
		o.MaxDecompressed = DefaultMaxDecompressed
	}
	return o
}

// Damage is why a file, or a member of an archive, could not be read to its
// end or at all. What was read of it before stands.
type Damage struct {
	Name   string // as Input.Name, or the archive's
	Reason string // one of the constants
	Err    error  // what was met, if anything
}

func (d *Damage) Error() string {
	if d.Err != nil {
		return fmt.Sprintf("read %s: %s: %v", d.Name, d.Reason, d.Err)
	}
	return fmt.Sprintf("read %s: %s", d.Name, d.Reason)
}

func (d *Damage) Unwrap() error { return d.Err }

// maxDamages is how many damages a report names; all are counted.
const maxDamages = 1000

// Report is what a walk met beside its records.
type Report struct {
	Files   int            // logical files handed on
	Damaged map[string]int // files and members that were damaged, by reason
	Damages []Damage       // the first thousand of them
	Skipped map[string]int // things that are no files and were passed over: "symbolic link", "not a regular file", "link in archive"
	Control int            // CONTROL_MESSAGE payloads of CloudWatch Logs
}

func (r *Report) damage(d *Damage) {
	if r.Damaged == nil {
		r.Damaged = make(map[string]int)
	}
	r.Damaged[d.Reason]++
	if len(r.Damages) < maxDamages {
		r.Damages = append(r.Damages, *d)
	}
}

func (r *Report) damages() (n int) {
	for _, c := range r.Damaged {
		n += c
	}
	return n
}

func (r *Report) skip(what string) {
	if r.Skipped == nil {
		r.Skipped = make(map[string]int)
	}
	r.Skipped[what]++
}
