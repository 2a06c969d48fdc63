package api

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"trailward"
	"trailward/api/framed"
	"trailward/auth"
)

// DefaultStream is the stream of records that came without one.
const DefaultStream = "default"

const (
	// batchHeader names the batch, so that sending it again is safe.
	batchHeader = "Trailward-Batch"
	maxBatchID  = 256
	maxName     = 512 // of a log group and a log stream, as in CloudWatch Logs
)

// validGroup reports whether name can be a log group: 1 to 512 of the
// characters a-z A-Z 0-9 _ - / . # (CloudWatch Logs, CreateLogGroup).
func validGroup(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-/.#", c) >= 0) {
			return false
		}
	}
	return true
}

// validStream reports whether name can be a log stream: 1 to 512 bytes of
// text without ":" and "*" (CloudWatch Logs, CreateLogStream) and without
// characters that do not print.
func validStream(name string) bool {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r == ':' || r == '*' || !unicode.IsPrint(r) })
}

// target is where an ingest request wants its records.
func ingestTarget(r *http.Request, group, stream, kind string) (IngestRequest, *failure) {
	req := IngestRequest{Group: group, Stream: stream, Principal: principalOf(r).Name}
	if group == "" {
		return req, badRequest("the query parameter group is missing")
	}
	if !validGroup(group) {
		return req, badRequest("the group's name must be 1 to 512 of the characters a-z A-Z 0-9 _ - / . #")
	}
	if !validStream(stream) {
		return req, badRequest("the stream's name must be 1 to 512 bytes of printable text without : and *")
	}
	if kind != "" && kind != "auto" {
		req.Kind = trailward.Kind(kind)
		if !req.Kind.Valid() {
			f := badRequest("the kind is unknown")
			f.hint = "use auto or one of " + kindList()
			return req, f
		}
	}
	ids := r.Header.Values(batchHeader)
	if len(ids) > 1 {
		return req, badRequest("the header " + batchHeader + " is given more than once")
	}
	if len(ids) == 1 {
		req.BatchID = ids[0]
		if !validBatchID(req.BatchID) {
			return req, badRequest(fmt.Sprintf("the header %s must be 1 to %d visible ASCII characters", batchHeader, maxBatchID))
		}
	}
	return req, nil
}

func validBatchID(id string) bool {
	if id == "" || len(id) > maxBatchID {
		return false
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}
	return true
}

func kindList() string {
	names := make([]string, len(trailward.Kinds))
	for i, k := range trailward.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// onlyKind is the kind of a principal that may write just one: it need not be
// said.
func onlyKind(p auth.Principal, kind trailward.Kind) trailward.Kind {
	if kind == "" && len(p.Kinds) == 1 {
		return p.Kinds[0]
	}
	return kind
}

// mayWrite is the answer to a principal that may not write the records there.
func mayWrite(p auth.Principal, group string, kind trailward.Kind) *failure {
	if p.May(auth.Write, group, kind) {
		return nil
	}
	f := forbidden("the token does not allow to write records of this kind to this group")
	if strings.HasPrefix(group, auth.ReservedPrefix) {
		f.message = "groups under " + auth.ReservedPrefix + " belong to the server"
	} else if kind == "" && len(p.Kinds) > 0 {
		f.hint = "the token is bound to some kinds: say which one with the parameter kind"
	}
	return f
}

// ingest is POST /v1/ingest: a body of lines, or of framed records.
func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	since := time.Now()
	stream := param(r, "stream")
	if stream == "" {
		stream = DefaultStream
	}
	req, f := ingestTarget(r, param(r, "group"), stream, param(r, "kind"))
	if f != nil {
		s.fail(w, r, f)
		return
	}
	recorderOf(r).group = req.Group
	p := principalOf(r)
	req.Kind = onlyKind(p, req.Kind)
	isFramed := false
	if ct := r.Header.Get("Content-Type"); ct != "" {
		mt, _, err := mime.ParseMediaType(ct)
		isFramed = err == nil && mt == framed.ContentType
	}
	// Framed records may each name their kind, so that those are asked about
	// one by one below.
	if f := mayWrite(p, req.Group, req.Kind); f != nil && !(isFramed && req.Kind == "") {
		s.fail(w, r, f)
		return
	}
	if f := s.refuseUnread(r, s.cfg.MaxDecoded); f != nil {
		s.fail(w, r, f)
		return
	}
	// The body that comes may be compressed, and is asked about once more when it is there.
	if late := s.pace.late(req.line(), r.ContentLength); late > 0 && r.ContentLength <= s.cfg.MaxBody {
		waste(r, s.cfg.MaxBody)
		s.fail(w, r, tooLate(late))
		return
	}
	b, f := s.readBody(r)
	defer b.release()
	s.metrics.bodyBytes.WithLabelValues(routeName(r)).Add(float64(b.wire))
	if f != nil {
		s.fail(w, r, f)
		return
	}
	// Whoever waits for a turn holds the bytes of a body, and not the records that it
	// takes several times as much to have.
	past, late := s.pace.enter(req.line(), int64(len(b.data)))
	if late > 0 {
		s.fail(w, r, tooLate(late))
		return
	}
	stored := false
	defer func() { past(stored) }()
	leave, f := s.turn(r, req)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	defer leave()
	weight := min(int64(len(b.data)), workBytes())
	if err := s.work.Acquire(r.Context(), weight); err != nil {
		s.fail(w, r, s.failureOf(r, "wait to ingest", err))
		return
	}
	defer s.work.Release(weight)
	records, f := s.takeRecords(b, req.Kind, isFramed)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	if isFramed {
		last := trailward.Kind("\x00") // not a kind: the first record is always asked about
		for i := range records {
			k := records[i].Kind
			if k == "" {
				k = req.Kind
			}
			if k == last {
				continue
			}
			if f := mayWrite(p, req.Group, k); f != nil {
				s.fail(w, r, f)
				return
			}
			last = k
		}
	}
	if n := entrySize(records, req.Stream); n > maxEntry {
		s.fail(w, r, tooLarge("entry", fmt.Sprintf("the records have %d bytes with what is kept beside them (columns, attributes, stream), the most is %d", n, maxEntry)))
		return
	}
	req.Records = records
	req.identify(b)
	if !isFramed {
		b.drop() // the records have memory of their own
	}
	result, f := s.put(r, req)
	if f != nil {
		s.fail(w, r, f)
		return
	}
	stored = true
	s.metrics.acks.Observe(time.Since(since).Seconds())
	writeJSON(w, http.StatusOK, result.whole())
}

// workBytes is how many bytes of bodies are taken apart and stored at once, a larger
// one all the same. While it is, a body of short lines takes five times its size; more at
// once than there are processors is no faster for large ones.
func workBytes() int64 { return int64(max(2, runtime.GOMAXPROCS(0))) * (8 << 20) }

// identify sets what a batch is compared by when it is sent again. One without an
// id is compared with none.
func (r *IngestRequest) identify(b *body) {
	if r.BatchID != "" {
		r.BodyHash = sha256.Sum256(b.data)
	}
}

// maxEntry bounds the bytes of a batch as it is written to the WAL, whose
// entries have 64 MiB at most. A short header line or wrapper stands for columns and
// attributes of every record, so that a body within its limit can be far over this one.
const maxEntry = 63 << 20

// entrySize is at least what a batch takes in the WAL.
func entrySize(records []trailward.Framed, stream string) int64 {
	var total, beside int64
	var columns []string
	var attrs []trailward.Attr
	for i := range records {
		f := &records[i]
		// Neighbours mostly share what is beside them.
		if i == 0 || !sameSlice(f.Columns, columns) || !sameSlice(f.Attrs, attrs) {
			columns, attrs = f.Columns, f.Attrs
			beside = int64(len(stream)) + 64
			for _, c := range columns {
				beside += int64(len(c)) + 4
			}
			for _, a := range attrs {
				beside += int64(len(a.Name)+len(a.Value)) + 8
			}
		}
		total += int64(len(f.Raw)) + beside
	}
	return total
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// beside is what the records of a body of n bytes cost beside their bytes: half of
// them can be line feeds.
func (s *Server) beside(n int64) int64 { return min(n/2+1, int64(s.cfg.MaxRecords)) * framedSize }

// room is what a body of n bytes takes in all, if it is not compressed: framing may copy it.
func (s *Server) room(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return 2*n + s.beside(n)
}

// takeRecords frames a body, within the limits.
func (s *Server) takeRecords(b *body, kind trailward.Kind, isFramed bool) ([]trailward.Framed, *failure) {
	if !b.hold(s.beside(int64(len(b.data)))) {
		return nil, overloaded("too many bodies are being received")
	}
	var records []trailward.Framed
	var err error
	if isFramed {
		records, err = framed.Decode(b.data, s.cfg.MaxRecords, s.cfg.MaxLine)
	} else {
		// Framing may copy the records out of the body.
		if !b.hold(int64(len(b.data))) {
			return nil, overloaded("too many bodies are being received")
		}
		records, err = s.deps.Frame(b.data, kind, s.cfg.MaxRecords, s.cfg.MaxLine)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrTooManyRecords), errors.Is(err, framed.ErrTooMany):
		return nil, s.tooManyRecords()
	case errors.Is(err, ErrLineTooLong), errors.Is(err, framed.ErrTooLong):
		return nil, tooLarge("line", err.Error())
	case isFramed:
		return nil, badRequest(err.Error())
	default:
		return nil, badRequest("the body cannot be taken apart into records")
	}
	if len(records) > s.cfg.MaxRecords {
		return nil, s.tooManyRecords()
	}
	for i := range records {
		if len(records[i].Raw) > s.cfg.MaxLine {
			return nil, tooLarge("line", fmt.Sprintf("record %d has %d bytes, the most is %d", i+1, len(records[i].Raw), s.cfg.MaxLine))
		}
	}
	return records, nil
}

func (s *Server) tooManyRecords() *failure {
	return tooLarge("records", fmt.Sprintf("the body holds more than %d records", s.cfg.MaxRecords))
}

// turn waits until a batch may be stored. leave gives the turn back.
func (s *Server) turn(r *http.Request, req IngestRequest) (leave func(), f *failure) {
	leave, err := s.ingests.enter(r.Context(), req.line())
	if errors.Is(err, errFull) {
		return nil, overloaded("too many batches are being stored")
	}
	if err != nil {
		return nil, s.failureOf(r, "wait to ingest", err)
	}
	return leave, nil
}

// line names those whose batches wait for each other.
func (r *IngestRequest) line() string { return r.Principal + "\x00" + r.Group }

// tooLate is the answer to a batch that would wait for too long.
func tooLate(late time.Duration) *failure {
	return overloaded("too much is waiting to be stored").retryAfter(late)
}

// keep waits for a turn, and for longer than Config.MaxAckWait if it must, and stores a batch.
// Without a failure, it is durable.
func (s *Server) keep(r *http.Request, req IngestRequest) (IngestResult, *failure) {
	size := int64(0)
	for i := range req.Records {
		size += int64(len(req.Records[i].Raw))
	}
	past := s.pace.force(req.line(), size)
	stored := false
	defer func() { past(stored) }()
	leave, f := s.turn(r, req)
	if f != nil {
		return IngestResult{}, f
	}
	defer leave()
	result, f := s.put(r, req)
	stored = f == nil
	return result, f
}

// put stores a batch whose turn it is.
func (s *Server) put(r *http.Request, req IngestRequest) (IngestResult, *failure) {
	route := routeName(r)
	s.metrics.received.WithLabelValues(route).Add(float64(len(req.Records)))
	result, err := s.deps.Ingest(r.Context(), req)
	if err != nil {
		return IngestResult{}, s.failureOf(r, "ingest", err)
	}
	var damaged int64
	for _, n := range result.Damaged {
		damaged += n
	}
	s.metrics.bytes.WithLabelValues(route).Add(float64(result.Bytes))
	s.metrics.duplicates.WithLabelValues(route).Add(float64(result.Duplicates))
	s.metrics.stored.WithLabelValues(route).Add(float64(result.Records))
	s.metrics.conflicts.WithLabelValues(route).Add(float64(result.Conflicts))
	s.metrics.damaged.WithLabelValues(route).Add(float64(damaged))
	s.metrics.refused.WithLabelValues(route).Add(float64(result.Rejected))
	return result, nil
}

// routeName is the route's name in metrics.
func routeName(r *http.Request) string { return r.Pattern }
