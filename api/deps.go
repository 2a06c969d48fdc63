package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trailward"
	"trailward/api/keep"
	"trailward/api/live"
	"trailward/auth"
	"trailward/match"
	"trailward/query"
)

// Errors that the functions in [Deps] return (wrapped as they like) to choose
// the answer. Their text goes to the server's log, never to the client.
var (
	// ErrBatchConflict: the batch id is known with another body. 409; sending
	// again does not help.
	ErrBatchConflict = errors.New("batch id is known with another body")
	// ErrOverloaded: too much at once. 429; the client sends again later.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnavailable: the store cannot take or give anything now (disk full,
	// closing, failed). 503; the client sends again later.
	ErrUnavailable = errors.New("unavailable")
	// ErrNotFound: the group or stream does not exist. 404.
	ErrNotFound = errors.New("not found")
)

// UserError is a fault of the request that only the function behind the route
// can see. Its text is meant for the client and answered with status 400.
type UserError struct {
	Message string // lower case, one line, nothing internal
	Hint    string // what would be right; may be empty
	// Conflict says that nothing is wrong with the request but that the server
	// is not in a state for it: status 409.
	Conflict bool
}

func (e *UserError) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// IngestRequest is one batch of records for one stream.
type IngestRequest struct {
	Group, Stream string
	// Kind, when not empty, binds: a record that is not of this kind is kept as
	// text and never stored as another kind, since the principal may have been
	// allowed this one only. A record's own Kind goes before it (and the
	// principal was allowed that one too).
	Kind trailward.Kind
	// BatchID makes a re-sent batch safe; empty means that the client gave
	// none. A batch's identity is principal, group, stream, id and body hash: the same
	// id with another hash is [ErrBatchConflict].
	BatchID string
	// BatchIDMade says that BatchID is made of the body's hash, so that records
	// without a natural key are not stored again when the body is sent again. A batch whose
	// records all have one needs no id.
	BatchIDMade bool
	Principal   string   // who sends: "local" or "token:ID"
	BodyHash    [32]byte // SHA-256 of the body after decompression; zero without a BatchID
	// Records are the batch in order, already within every limit. They are the
	// ingest function's to read until it returns.
	Records []trailward.Framed
}

// IngestResult says what became of a batch. Its JSON is the answer, and the same
// summary that `trailward ingest` prints.
type IngestResult struct {
	Records    int64                    `json:"records"`    // new ones
	Bytes      int64                    `json:"bytes"`      // of the new ones
	Duplicates int64                    `json:"duplicates"` // stored before
	Conflicts  int64                    `json:"conflicts"`  // of the new ones: the natural key was known, with other content
	Damaged    map[string]int64         `json:"damaged"`    // kept as text, by reason; counted in Records too
	Rejected   int64                    `json:"rejected"`   // could not be stored
	Kinds      map[trailward.Kind]int64 `json:"kinds"`      // of the new ones
}

// add counts what became of another piece of the same body.
func (r *IngestResult) add(o IngestResult) {
	r.Records += o.Records
	r.Bytes += o.Bytes
	r.Duplicates += o.Duplicates
	r.Conflicts += o.Conflicts
	r.Rejected += o.Rejected
	*r = r.whole()
	for reason, n := range o.Damaged {
		r.Damaged[reason] += n
	}
	for kind, n := range o.Kinds {
		r.Kinds[kind] += n
	}
}

// whole is r with its maps made, as it is answered.
func (r IngestResult) whole() IngestResult {
	if r.Damaged == nil {
		r.Damaged = map[string]int64{}
	}
	if r.Kinds == nil {
		r.Kinds = map[trailward.Kind]int64{}
	}
	return r
}

// IngestFunc stores a batch. It returns nil only when every record that the
// result counts is durable.
type IngestFunc func(ctx context.Context, r IngestRequest) (IngestResult, error)

// QueryFunc begins a question. Its Groups are those that the principal may
// read: the function must read no other. An *[query.Error] is a fault of the
// question's text.
type QueryFunc func(ctx context.Context, r query.Request) (query.Rows, error)

// GroupInfo is one log group as /v1/groups shows it.
type GroupInfo struct {
	Name    string    `json:"name"`
	Streams int64     `json:"streams"`
	Records int64     `json:"records"`
	Bytes   int64     `json:"bytes"`          // of the records, before compression
	First   time.Time `json:"first,omitzero"` // event time of the oldest record
	Last    time.Time `json:"last,omitzero"`  // event time of the newest record
}

// GroupsFunc lists all groups, by name; what the caller may not read is taken
// out here.
type GroupsFunc func(ctx context.Context) ([]GroupInfo, error)

// CatFunc calls fn with every record of a group (and of one stream unless
// stream is empty) in event-time order. The bytes are valid during fn; an error
// of fn ends the walk and is returned.
type CatFunc func(ctx context.Context, group, stream string, fn func(raw []byte) error) error

// FrameFunc takes the records out of a body, at most maxRecords of at most
// maxLine bytes each: more is [ErrTooManyRecords], longer [ErrLineTooLong]. The
// records point into the body or into memory of their own, of about the body's
// size, and stay valid as long as it does.
type FrameFunc func(body []byte, kind trailward.Kind, maxRecords, maxLine int) ([]trailward.Framed, error)

// TailFunc opens a live tail of the groups for which may gives true and of the
// records there that the pattern matches; nil matches all. It is
// [live.Hub.Subscribe].
type TailFunc func(may func(group string) bool, pattern *match.Pattern) (*live.Tail, error)

// ExplainFunc says what a question becomes in the SQL of an engine, one of
// [query.Engines], and which parts of the store it reads. Its Groups are as for
// [QueryFunc].
type ExplainFunc func(ctx context.Context, r query.Request, engine string) (*query.Explanation, error)

// Keeper administers what is behind the server. Its methods may be called at
// once; those that take long end when ctx does. A [*UserError] is told to the
// client.
type Keeper interface {
	// Settings lists what holds for every group, by name.
	Settings(ctx context.Context) ([]keep.Setting, error)
	// SetRetention sets a group's retention, in the form of [keep.Setting]; the
	// retention "default" takes back what was set.
	SetRetention(ctx context.Context, group, retention string) (keep.Setting, error)
	SetHold(ctx context.Context, group, reason string) (keep.Setting, error)
	ReleaseHold(ctx context.Context, group string) (keep.Setting, error)
	// Expire deletes what is past its retention.
	Expire(ctx context.Context) (keep.Expiry, error)
	Keys(ctx context.Context) ([]keep.KeyUse, error)
	RotateKeys(ctx context.Context, r keep.Rotation, progress func(keep.Progress)) (keep.Rotated, error)
	// Verify reads everything again. report is the JSON of the whole report,
	// findings included.
	Verify(ctx context.Context, progress func(keep.Progress)) (report []byte, err error)
	// Prove gives the proof of a record by its pointer, as JSON, and the record's
	// group. The error wraps [ErrNotFound] when there is no such record.
	Prove(ctx context.Context, pointer string) (group string, proof []byte, err error)
	// Checkpoint gives the newest checkpoint, and the proof that it continues the
	// one of size entries and the base64 root, unless size is 0.
	Checkpoint(ctx context.Context, size uint64, root string) (keep.Checkpoint, error)
	// Backup writes the whole store, without its key, as a tar archive.
	Backup(ctx context.Context, w io.Writer) (keep.Backup, error)
	Lookups(ctx context.Context) ([]keep.Lookup, error)
	// PutLookup makes a lookup table of CSV, or replaces it.
	PutLookup(ctx context.Context, name string, csv []byte) (keep.Lookup, error)
	// RemoveLookup removes a lookup table; the error wraps [ErrNotFound].
	RemoveLookup(ctx context.Context, name string) error
}

// Deps is what the server is given. Every field without "optional" must be set.
type Deps struct {
	Ingest IngestFunc
	Query  QueryFunc
	Groups GroupsFunc
	Cat    CatFunc
	// Ready, optional, says why the server cannot serve now; nil error: it can.
	// The reason goes to the log.
	Ready func(ctx context.Context) error
	// Accepting, optional, says why Ingest would take nothing now, with the errors that
	// Ingest returns; nil error: it may. It is asked before a body is read, and must be quick.
	Accepting func() error
	// Auth, optional, checks tokens; without it no token is ever accepted, and
	// the server can listen on loopback only.
	Auth *auth.Authenticator
	// Frame, optional, replaces [FrameLines] for bodies of lines. Its result is
	// held against the limits as well.
	Frame FrameFunc
	// Tail, optional, is the hub of live tails; without it there are none.
	Tail TailFunc
	// Check, optional, looks for faults in a question's text without asking it, so
	// that an asynchronous one is told of them at once; its errors are as those of
	// Query.
	Check func(ctx context.Context, r query.Request) error
	// Keeper, optional, administers; without it those routes answer 503.
	Keeper Keeper
	// Explain, optional, says what questions become; without it the route
	// answers 503.
	Explain ExplainFunc
	// Log, optional: slog.Default().
	Log *slog.Logger
	// Metrics, optional, is the registry that /metrics shows and that the server
	// adds its own to; nil makes a new one.
	Metrics *prometheus.Registry
	// Now, optional, is the clock that relative times go by: time.Now.
	Now func() time.Time
}

func (d *Deps) validate() error {
	switch {
	case d.Ingest == nil:
		return errors.New("api: Deps.Ingest is not set")
	case d.Query == nil:
		return errors.New("api: Deps.Query is not set")
	case d.Groups == nil:
		return errors.New("api: Deps.Groups is not set")
	case d.Cat == nil:
		return errors.New("api: Deps.Cat is not set")
	}
	return nil
}
