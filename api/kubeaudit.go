package api

import (
	"net/http"

	"trailward"
)

// The API server's webhook backend posts an EventList and tries about five
// times; after that the batch is lost for ever, whatever the answer was, so that
// a 4xx for one odd event would throw away up to 400 good ones. Hence: whatever
// is in the list is kept, and only a body that is no list at all is refused.
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
	b, f := s.readBody(r)
	defer b.release()
	s.metrics.bodyBytes.WithLabelValues(routeName(r)).Add(float64(b.wire))
	if f != nil {
		s.fail(w, r, f)
		return
	}
	// An item is two bytes at least, an event several hundred.
	estimate := min(int64(len(b.data))/2+1, int64(s.cfg.MaxRecords)) * framedSize
	if !b.hold(estimate) {
		s.fail(w, r, overloaded("too many bodies are being received"))
		return
	}
	records, err := splitEventList(b.data, s.cfg.MaxRecords, s.cfg.MaxLine)
	switch {
	case err == ErrTooManyRecords:
		s.fail(w, r, s.tooManyRecords())
		return
	case err != nil:
		f := badRequest("the body is not an audit.k8s.io EventList")
		f.hint = `want a JSON object with "kind":"EventList" and "items"`
		s.fail(w, r, f)
		return
	}
	req.Records = records
	req.identify(b)
	s.store(w, r, req)
}
