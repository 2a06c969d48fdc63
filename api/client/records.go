package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"trailward"
	"trailward/api/framed"
)

// compressFrom is the size from which a body is compressed.
const compressFrom = 1 << 10

// Result says what became of a batch, or of several added up.
type Result struct {
	Records    int64                    `json:"records"`    // new ones
	Bytes      int64                    `json:"bytes"`      // of the new ones
	Duplicates int64                    `json:"duplicates"` // stored before
	Conflicts  int64                    `json:"conflicts"`  // of the new ones: the natural key was known, with other content
	Damaged    map[string]int64         `json:"damaged"`    // kept as text, by reason
	Rejected   int64                    `json:"rejected"`   // could not be stored
	Kinds      map[trailward.Kind]int64 `json:"kinds"`      // of the new ones
}

// Add adds another result to r.
func (r *Result) Add(o Result) {
	r.Records += o.Records
	r.Bytes += o.Bytes
	r.Duplicates += o.Duplicates
	r.Conflicts += o.Conflicts
	r.Rejected += o.Rejected
	if r.Damaged == nil {
		r.Damaged = make(map[string]int64)
	}
	for k, n := range o.Damaged {
		r.Damaged[k] += n
	}
	if r.Kinds == nil {
		r.Kinds = make(map[trailward.Kind]int64)
	}
	for k, n := range o.Kinds {
		r.Kinds[k] += n
	}
}

// Ingest sends lines (LF ends a record, empty lines are skipped) and returns
// when the server has them durably. An empty stream, kind or batch id means the
// server's default stream, a kind by content, and an id made here.
func (c *Client) Ingest(ctx context.Context, group, stream string, kind trailward.Kind, batchID string, body []byte) (Result, error) {
	return c.ingest(ctx, "application/x-ndjson", group, stream, kind, batchID, body)
}

// IngestRecords sends records that have been taken out of their framing, with
// what it said of them. Otherwise it is like [Client.Ingest].
func (c *Client) IngestRecords(ctx context.Context, group, stream string, kind trailward.Kind, batchID string, records []trailward.Framed) (Result, error) {
	var e framed.Encoder
	for i := range records {
		if err := e.Add(records[i]); err != nil {
			return Result{}, fmt.Errorf("send record %d: %w", i+1, err)
		}
	}
	return c.IngestFramed(ctx, group, stream, kind, batchID, e.Bytes())
}

// IngestFramed sends a body that a [framed.Encoder] made. Otherwise it is like
// [Client.Ingest].
func (c *Client) IngestFramed(ctx context.Context, group, stream string, kind trailward.Kind, batchID string, body []byte) (Result, error) {
	return c.ingest(ctx, framed.ContentType, group, stream, kind, batchID, body)
}

func (c *Client) ingest(ctx context.Context, contentType, group, stream string, kind trailward.Kind, batchID string, body []byte) (Result, error) {
	if batchID == "" {
		batchID = NewBatchID()
	}
	k := call{method: http.MethodPost, path: "/v1/ingest", params: url.Values{"group": {group}}, body: body, safe: true,
		header: http.Header{"Content-Type": {contentType}, "Trailward-Batch": {batchID}}}
	if stream != "" {
		k.params.Set("stream", stream)
	}
	if kind != "" {
		k.params.Set("kind", string(kind))
	}
	if !c.opts.Uncompressed && len(body) >= compressFrom {
		packed, err := compress(body)
		if err != nil {
			return Result{}, err
		}
		if packed != nil {
			k.body = packed
			k.header.Set("Content-Encoding", "zstd")
		}
	}
	var r Result
	if err := c.getJSON(ctx, k, &r); err != nil {
		return Result{}, fmt.Errorf("ingest into %s: %w", group, err)
	}
	return r, nil
}

// safeRatio is a compression that stays under the server's limit (200).
const safeRatio = 150

// NewBatchID makes an id that no other batch has.
func NewBatchID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
})

// frameBytes is how much of a body is packed into one frame. It is what a server
// unpacks before it looks at the ratio.
const frameBytes = 1 << 20

// compress packs a body, or returns nil for one that is to be sent as it is:
// one that does not become smaller, or that compresses so well that the server
// would take it for a bomb. The server looks at the ratio all the while, so
// that it is not enough that the whole body stays under its limit: one frame
// must not become too much for what comes before it.
func compress(body []byte) ([]byte, error) {
	z, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("compress batch: %w", err)
	}
	var packed []byte
	for from := 0; from < len(body); from += frameBytes {
		to := min(from+frameBytes, len(body))
		if from > 0 && to/safeRatio >= len(packed) {
			return nil, nil
		}
		packed = z.EncodeAll(body[from:to], packed)
	}
	if len(packed) >= len(body) || len(body)/safeRatio >= len(packed) {
		return nil, nil
	}
	return packed, nil
}

// maxRecord bounds a record that [Client.Cat] takes from a server, in bytes.
const maxRecord = 1 << 30

// Cat calls fn with every record of a group (and of one stream unless stream is
// empty), byte for byte, in event-time order. The bytes are valid during fn; an
// error of fn ends the walk and is returned.
func (c *Client) Cat(ctx context.Context, group, stream string, fn func(raw []byte) error) error {
	k := call{method: http.MethodGet, path: "/v1/cat", params: url.Values{"group": {group}}}
	if stream != "" {
		k.params.Set("stream", stream)
	}
	resp, err := c.do(ctx, k)
	if err != nil {
		return fmt.Errorf("cat %s: %w", group, err)
	}
	defer resp.Body.Close()
	n := int64(0)
	r := framed.NewReader(resp.Body, maxRecord)
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if e := trailerError(resp.Trailer); e != nil {
				err = e
			}
			return fmt.Errorf("cat %s: %w", group, err)
		}
		n++
		if err := fn(f.Raw); err != nil {
			return err
		}
	}
	if e := trailerError(resp.Trailer); e != nil {
		return fmt.Errorf("cat %s: %w", group, e)
	}
	if want := resp.Trailer.Get("Trailward-Records"); want != strconv.FormatInt(n, 10) {
		return fmt.Errorf("cat %s: %w", group, errCutShort)
	}
	return nil
}

var errCutShort = errors.New("the answer was cut short")

// trailerError is the error that ended an answer after it had begun.
func trailerError(h http.Header) *Error {
	v := h.Get("Trailward-Error")
	if v == "" {
		return nil
	}
	e := &Error{after: -1}
	if !e.decode([]byte(v)) {
		e.Message = "the server ended the answer with an error"
	}
	return e
}

// Group is one log group.
type Group struct {
	Name    string    `json:"name"`
	Streams int64     `json:"streams"`
	Records int64     `json:"records"`
	Bytes   int64     `json:"bytes"`
	First   time.Time `json:"first,omitzero"` // event time of the oldest record
	Last    time.Time `json:"last,omitzero"`  // event time of the newest record
}

// Groups lists the groups that the token may read.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	var out struct {
		Groups []Group `json:"groups"`
	}
	if err := c.getJSON(ctx, call{method: http.MethodGet, path: "/v1/groups"}, &out); err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	return out.Groups, nil
}

// Health asks once whether the server is up.
func (c *Client) Health(ctx context.Context) error {
	return c.getJSON(ctx, call{method: http.MethodGet, path: "/healthz", once: true}, &struct{}{})
}

// Ready asks once whether the server serves requests.
func (c *Client) Ready(ctx context.Context) error {
	return c.getJSON(ctx, call{method: http.MethodGet, path: "/readyz", once: true}, &struct{}{})
}
