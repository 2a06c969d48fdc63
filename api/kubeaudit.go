package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"trailward"
)

// The API server's webhook backend posts an EventList and tries about five
// times; after that the batch is lost for ever, whatever the answer was, so that
// a 4xx for one odd event would throw away up to 400 good ones. Hence: whatever
// is in the list is kept, however long it is, and only a body that is no list at all is refused. The
// list is stored in pieces as it arrives. Where it breaks off, the answer makes the
// API server send it again, and the natural keys of the events tell which of
// them are stored.
const (
	// DefaultAuditGroup and DefaultAuditStream are where events go when the URL
	// names no other place.
	DefaultAuditGroup  = "/kubernetes/audit"
	DefaultAuditStream = "webhook"
)

// Why an audit record is kept as text.
const (
	damageCutList   = "cut EventList"
	damageLongEvent = "event too long"
)

// kubernetesAudit is POST /v1/kubernetes/audit.
func (s *Server) kubernetesAudit(w http.ResponseWriter, r *http.Request) {
	group := param(r, "group")
	if g := r.PathValue("group"); g != "" {
		group = "/" + g
	}
	if group == "" {
		group = DefaultAuditGroup
	}
	stream := param(r, "stream")
	if stream == "" {
		stream = DefaultAuditStream
	}
	req, f := ingestTarget(r, group, stream, string(trailward.KindK8sAudit))
	if f != nil {
		s.fail(w, r, f)
		return
	}
	recorderOf(r).group = req.Group
	if f := mayWrite(principalOf(r), req.Group, req.Kind); f != nil {
		s.fail(w, r, f)
		return
	}
	if f := s.refuseUnread(r, auditPiece); f != nil {
		s.fail(w, r, f)
		return
	}
	body := s.openBody(r, s.cfg.MaxAuditBody, s.cfg.MaxAuditBody)
	defer body.close()
	start := time.Now()
	var total IngestResult
	var storing time.Duration
	var refused *failure
	pieces := 0
	// What has come is worth keeping, whether its sender still waits or not.
	ctx := r.WithContext(context.WithoutCancel(r.Context()))
	list := eventList{
		src: body, piece: auditPiece, maxRecords: min(s.cfg.MaxRecords, auditPieceRecords), maxEvent: s.cfg.MaxLine,
		hold: s.memory.take, give: s.memory.give,
		store: func(records []trailward.Framed, sum [32]byte) error {
			piece := req
			piece.BatchIDMade = req.BatchID == ""
			piece.Records, piece.BodyHash, piece.BatchID = records, sum, pieceID(req.BatchID, pieces, sum)
			from := time.Now()
			var result IngestResult
			if result, refused = s.keep(ctx, piece); refused != nil {
				return errRefused
			}
			pieces++
			total.add(result)
			// ReadTimeout is the client's time; what the store takes is not.
			storing += time.Since(from)
			if rec := recorderOf(r); rec != nil {
				_ = rec.ctl.SetReadDeadline(start.Add(s.cfg.ReadTimeout + storing)) // a connection without deadlines is a test's
			}
			return nil
		},
	}
	defer list.release()
	err := list.read()
	s.metrics.bodyBytes.WithLabelValues(routeName(r)).Add(float64(body.wire.n))
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, total.whole())
		return
	case errors.Is(err, errNotEventList):
		f = badRequest("the body is not an audit.k8s.io EventList")
		f.hint = `want a JSON object with "kind":"EventList" and "items"`
	case refused != nil:
		f = refused
		body.refuse(err)
	default:
		f = body.refuse(err)
		if !body.wire.broke {
			// It will not come whole if it is sent again. One that broke off on its way will,
			// and then its pieces end where they always do, so that records without
			// a natural key are known again.
			list.salvage()
		}
	}
	if n := total.Records + total.Duplicates; n > 0 && f.status != statusClientGone {
		f.hint = fmt.Sprintf("the first %d records are stored; sent again, they are not stored twice", n)
	}
	s.fail(w, r, f)
}

// errRefused means that the store did not take a piece.
var errRefused = errors.New("piece refused")

// pieceID is the batch id of a piece of a list: the client's own, which a client
// cannot choose for another piece, since its ids have no spaces, or one that is made of the
// body's hash.
func pieceID(given string, piece int, sum [32]byte) string {
	switch {
	case given != "" && piece == 0:
		return given
	case given != "":
		return given + " " + strconv.Itoa(piece+1)
	}
	return "body " + hex.EncodeToString(sum[:])
}
