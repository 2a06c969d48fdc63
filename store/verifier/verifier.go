// Package verifier reads a whole store again and says whether it is what the
// ledger says that it is. It gets the store's files, its keys and a snapshot
// of its catalog; it gives a [Report] with a [Finding] for everything that is
// missing, added, exchanged or altered, named, and with what to do about it.
//
// It shares nothing with what wrote the files but their decryption and the
// decoding of an entry: the ledger's frames are read, and every hash, leaf,
// tree and proof computed, by code that was written from docs/format alone. It
// writes nothing into the store.
//
// What it trusts is the key. Whoever has that and the disk can make a store
// that is true to itself but not to what happened; only a checkpoint that was
// seen before ([Options].Remembered) tells the difference, and without one
// nobody can.
package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"trailward"
	"trailward/internal/vfs"
	"trailward/store/ledger"
	"trailward/store/seal"
)

// Deps is the store as its verifier sees it. All of it is only read.
type Deps struct {
	// FS is the data directory; LedgerDir and WALDir are in it. An empty
	// WALDir means that there is no WAL.
	FS        vfs.FS
	LedgerDir string
	WALDir    string
	Keys      ledger.Keys
	Sealer    *seal.Sealer
	Objects   Objects
	// Catalog returns the rows of all segments and the ledger's head that
	// belongs to them, both of one moment.
	Catalog func(context.Context) (ledger.Head, []Row, error)
	// OpenSegment opens the plaintext of a segment of size bytes.
	OpenSegment func(r io.ReaderAt, size int64) (Segment, error)
	// CheckCatalog, if not nil, looks at the rest of the catalog: that every
	// row opens, and what the database says of itself.
	CheckCatalog func(context.Context) ([]Finding, error)
}

// Objects is where sealed segments are.
type Objects interface {
	// List calls fn for every object there is, finished or not.
	List(ctx context.Context, fn func(Object) error) error
	// Open opens the object of a segment. The error for one that is not there
	// wraps [io/fs.ErrNotExist].
	Open(ctx context.Context, id string) (Blob, error)
}

// Object is one object in a list.
type Object struct {
	// ID is the segment's, or empty for an object whose name is none of a
	// segment.
	ID       string
	Name     string // for people
	Modified time.Time
}

// Blob is an open object. ReadAt is safe for concurrent use.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Facts is what a segment says of itself and its catalog row repeats.
type Facts struct {
	Group                     string
	Kind                      trailward.Kind
	Rows, RawBytes            int64
	FirstTime, LastTime       int64
	FirstArrival, LastArrival int64
	// Rest is whatever else the catalog keeps of the segment that follows from
	// it, in any form in which equal things have equal bytes.
	Rest string
	// Streams is the names of the streams that occur, in such a form; empty if they
	// are too many, and in rows of earlier versions, which then do not count as wrong.
	Streams string
}

// Row is a segment's row in the catalog.
type Row struct {
	ID   string
	Size int64 // of the sealed object
	Root ledger.Hash
	Facts
}

// Segment is an open segment.
type Segment interface {
	Facts() Facts
	// Tree returns the salt, the root over the records and the roots of the
	// subtrees of 1,024 that the segment has stored.
	Tree() (salt [32]byte, root ledger.Hash, subtrees []ledger.Hash, err error)
	// Records calls fn for the given rows, which ascend, or all if rows is
	// nil. The record is valid during the call.
	Records(rows []int64, fn func(row int64, r *trailward.Record) error) error
}

// Options say how to verify.
type Options struct {
	// Remembered is the last checkpoint that was seen of this ledger; its
	// signature has been checked. Nil if none was.
	Remembered *ledger.Checkpoint
	// Live says that the store is open and may be written meanwhile.
	Live bool
	// Parallel is how many segments are read at once; 0 means 2.
	Parallel int
	// Progress, if not nil, is called now and then, by one goroutine at a
	// time.
	Progress func(Progress)
}

// Progress says how far it is.
type Progress struct {
	Stage       string // "ledger", "segments", "wal"
	Done, Total int64  // bytes; Total is 0 if it is not known
}

// What a finding is about.
type What string

// The findings.
const (
	Missing    What = "missing"     // it should be there
	Added      What = "added"       // it should not be there
	Altered    What = "altered"     // it is not as it was written
	Exchanged  What = "exchanged"   // it is another one's
	RolledBack What = "rolled back" // it is older than what was promised
	Unlike     What = "unlike"      // two places that must agree do not
	Unfit      What = "unfit"       // the ledger says what cannot have happened
	Leftover   What = "leftover"    // a crash left it; the next start sees to it
	Unsigned   What = "unsigned"    // not yet in a checkpoint
)

// Finding is one thing that is not as it should be, or worth to know.
type Finding struct {
	What   What   `json:"what"`
	Where  string `json:"where"`  // which segment, entry, file
	Detail string `json:"detail"` // what was seen
	Do     string `json:"do"`     // what to do about it
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Where, f.What, f.Detail, f.Do)
}

// Report is what a verification found.
type Report struct {
	// Findings is what is wrong; none means that the store is what it was.
	Findings []Finding `json:"findings"`
	// Notices is what is not wrong but worth to know.
	Notices []Finding `json:"notices"`

	Checkpoint ledger.Checkpoint `json:"checkpoint"` // size 0 if there is none
	Signed     []byte            `json:"-"`          // the checkpoint as it is signed
	Identity   ledger.Identity   `json:"identity"`
	Head       ledger.Head       `json:"head"` // that the catalog has
	Entries    uint64            `json:"entries"`
	Segments   int64             `json:"segments"`
	Records    int64             `json:"records"`
	Bytes      int64             `json:"bytes"` // of sealed segments
	WALFiles   int64             `json:"wal_files"`
	WALEntries int64             `json:"wal_entries"`
	// Gaps and Silences are the ledger's entries of these types, and Intervals
	// how many hours it has counted, of which Empty had no record.
	Gaps      []ledger.Entry `json:"gaps,omitempty"`
	Silences  []ledger.Entry `json:"silences,omitempty"`
	Intervals int64          `json:"intervals"`
	Empty     int64          `json:"empty_intervals"`
	// Compared says that the ledger continues the checkpoint that was
	// remembered.
	Compared bool `json:"compared"`
}

// MaxFindings is how many findings a report has at most; a last one says how
// many more there are. So many are one damage, not many.
const MaxFindings = 10000

// Good reports whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Findings) == 0 }

// verification is one run.
type verification struct {
	Deps
	opt Options

	mu       sync.Mutex
	report   Report
	dropped  int64
	progress Progress
}

// Run verifies a store. The error is for a run that could not be finished: a
// file that cannot be read for a reason other than damage, a key that is
// missing. What is damaged is in the report.
func Run(ctx context.Context, d Deps, opt Options) (*Report, error) {
	v := &verification{Deps: d, opt: opt}
	if err := v.run(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if v.dropped > 0 {
		v.report.Findings = append(v.report.Findings, Finding{What: Altered, Where: "report",
			Detail: fmt.Sprintf("%d more findings are left out", v.dropped), Do: "see to these first"})
	}
	return &v.report, nil
}

func (v *verification) run(ctx context.Context) error {
	// In this order, so that each is at least as new as the one before while
	// the store is written.
	id, cp, err := v.checkpoint()
	if err != nil {
		return err
	}
	if err := v.strangers(); err != nil {
		return err
	}
	present, err := v.list(ctx)
	if err != nil {
		return err
	}
	head, rows, err := v.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	v.report.Head = head
	b := newBook(present)
	b.blind = id == nil
	if id != nil {
		if err := v.ledger(ctx, id, cp, head, b); err != nil {
			return err
		}
	}
	v.compare(rows, b)
	if v.CheckCatalog != nil {
		more, err := v.CheckCatalog(ctx)
		if err != nil {
			return fmt.Errorf("check catalog: %w", err)
		}
		for _, f := range more {
			v.find(f)
		}
	}
	if err := v.segments(ctx, rows, b); err != nil {
		return err
	}
	if err := v.wal(ctx); err != nil {
		return err
	}
	return v.settle(ctx, id, head, b)
}

// find adds a finding.
func (v *verification) find(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.report.Findings) >= MaxFindings {
		v.dropped++
		return
	}
	v.report.Findings = append(v.report.Findings, f)
}

func (v *verification) notice(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.report.Notices) < MaxFindings {
		v.report.Notices = append(v.report.Notices, f)
	}
}

func (v *verification) stage(name string, total int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress = Progress{Stage: name, Total: total}
	v.tell()
}

func (v *verification) advance(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.Done += n
	v.tell()
}

// tell needs mu.
func (v *verification) tell() {
	if v.opt.Progress != nil {
		v.opt.Progress(v.progress)
	}
}

func (v *verification) list(ctx context.Context) (map[string]Object, error) {
	present := map[string]Object{}
	err := v.Objects.List(ctx, func(o Object) error {
		if o.ID == "" {
			present["\x00"+o.Name] = o
			return nil
		}
		present[o.ID] = o
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	return present, nil
}

// compare holds the catalog's rows against the segments that the ledger has.
func (v *verification) compare(rows []Row, b *book) {
	seen := make(map[string]bool, len(rows))
	for i := range rows {
		r := &rows[i]
		if seen[r.ID] {
			v.find(Finding{Unlike, "catalog row of segment " + r.ID, "it is there twice", "restore the catalog from a backup, or rebuild it"})
		}
		seen[r.ID], b.listed[r.ID] = true, true
		s := b.live[r.ID]
		if s == nil && b.blind {
			continue
		}
		if s == nil {
			detail := "no entry of the ledger has the segment"
			if b.lost > 0 {
				detail += ", as far as its entries can be read"
			}
			v.find(Finding{Added, "catalog row of segment " + r.ID, detail, "somebody put it there, or the ledger is older than the catalog: restore both from one backup"})
			continue
		}
		if d := differs(v.Keys, r, &s.Segment); d != "" {
			v.find(Finding{Unlike, "catalog row of segment " + r.ID, fmt.Sprintf("%s is not what entry %d of the ledger says", d, s.entry), "rebuild the catalog"})
		}
	}
	for _, id := range b.ids() {
		if !seen[id] {
			v.find(Finding{Missing, "catalog row of segment " + id, fmt.Sprintf("entry %d of the ledger has the segment, the catalog has not", b.live[id].entry), "rebuild the catalog"})
		}
	}
}

// differs names the first thing in which a catalog row and a ledger entry do
// not agree.
func differs(k ledger.Keys, r *Row, s *ledger.Segment) string {
	switch {
	case ledger.GroupHash(k, r.Group) != s.Group:
		return "the group"
	case r.Kind != s.Kind:
		return "the kind"
	case r.Rows != s.Rows:
		return "the number of records"
	case r.FirstTime != s.FirstTime || r.LastTime != s.LastTime:
		return "the span of event times"
	case r.FirstArrival != s.FirstArrival || r.LastArrival != s.LastArrival:
		return "the span of arrivals"
	case r.Size != s.Size:
		return "the size"
	case r.Root != s.Root:
		return "the root of the records"
	}
	return ""
}

// settle looks again at what did not fit, if the store went on meanwhile, and
// judges what is there without being anybody's.
func (v *verification) settle(ctx context.Context, id *ledger.Identity, head ledger.Head, b *book) error {
	if v.opt.Live && id != nil && len(b.doubts)+len(b.strange()) > 0 {
		now, _, err := v.Catalog(ctx)
		if err != nil {
			return fmt.Errorf("read catalog: %w", err)
		}
		if now.Size > head.Size {
			if err := v.since(ctx, id, now, b); err != nil {
				return err
			}
		}
	}
	for _, key := range sortedKeys(b.doubts) {
		for _, f := range b.doubts[key] {
			v.find(f)
		}
	}
	for _, o := range b.strange() {
		where := "object " + o.Name
		switch how := b.retired[o.ID]; {
		case how != "":
			v.notice(Finding{Leftover, where, "its segment was " + how + " but it is still there", "the next start removes it"})
		case v.opt.Live && !b.clean && !o.Modified.Before(b.last):
			v.notice(Finding{Leftover, where, "it is newer than the ledger's last entry: it is being written", "nothing"})
		case !b.clean && !o.Modified.Before(b.last):
			v.notice(Finding{Leftover, where, "it is newer than the ledger's last entry: a crash came while it was written", "the next start puts it aside"})
		case o.ID == "":
			v.find(Finding{Added, where, "it is no segment of this store", "find out who put it there; take it away"})
		default:
			v.find(Finding{Added, where, "no entry of the ledger has the segment", "find out who put it there; take it away"})
		}
	}
	sort.SliceStable(v.report.Findings, func(i, j int) bool { return v.report.Findings[i].Where < v.report.Findings[j].Where })
	sort.SliceStable(v.report.Notices, func(i, j int) bool { return v.report.Notices[i].Where < v.report.Notices[j].Where })
	return nil
}

// damaged reports whether an error of reading says that bytes are not as they
// were written, rather than that they cannot be read now.
func damaged(err error) bool {
	return seal.IsDamage(err) || errors.Is(err, seal.ErrVersion) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
