package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"trailward/api/keep"
	"trailward/auth"
	"trailward/query"
)

// The routes of administration. What they do is the [Keeper]'s; here it is
// decided who may, and how it is said.

// maxLookup bounds the CSV of a lookup table as CloudWatch Logs does, in bytes.
const maxLookup = 10_000_000

func strictDecoder(data []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d
}

// keeper is who administers, or nil when that was answered.
func (s *Server) keeper(w http.ResponseWriter, r *http.Request) Keeper {
	if s.deps.Keeper == nil {
		s.fail(w, r, unavailable("this server is not administered over HTTP"))
	}
	return s.deps.Keeper
}

// wholeKeeper is keeper for what is about the server as a whole.
func (s *Server) wholeKeeper(w http.ResponseWriter, r *http.Request) Keeper {
	if !principalOf(r).May(auth.Administer, "", "") {
		s.fail(w, r, forbidden("this is about the whole server: it takes a token with the role admin for the group pattern *"))
		return nil
	}
	return s.keeper(w, r)
}

// groupKeeper is keeper for what is about the group in the query string.
func (s *Server) groupKeeper(w http.ResponseWriter, r *http.Request) (Keeper, string) {
	group := param(r, "group")
	if group == "" {
		s.fail(w, r, badRequest("the query parameter group is missing"))
		return nil, ""
	}
	recorderOf(r).group = group
	if !principalOf(r).May(auth.Administer, group, "") {
		s.fail(w, r, forbidden("the token does not allow to administer this group"))
		return nil, ""
	}
	return s.keeper(w, r), group
}

// settings are those of the groups for which may gives true, or of the one that
// is named.
func (s *Server) settings(r *http.Request, k Keeper, may func(group string) bool) ([]keep.Setting, *failure) {
	list, err := k.Settings(r.Context())
	if err != nil {
		return nil, s.failureOf(r, "list settings", err)
	}
	group := param(r, "group")
	list = slices.DeleteFunc(list, func(g keep.Setting) bool { return !may(g.Group) || group != "" && g.Group != group })
	if group != "" && len(list) == 0 {
		return nil, &failure{status: http.StatusNotFound, message: "there is no such group, and nothing was set for one", reason: "not_found"}
	}
	return list, nil
}

// answerSettings writes settings as JSON.
func answerSettings(w http.ResponseWriter, list []keep.Setting) {
	writeJSON(w, http.StatusOK, struct {
		Groups []keep.Setting `json:"groups"`
	}{list})
}

// showRetention is GET /v1/retention. Who may only read sees that a group is
// under hold, but not why: reasons name cases.
func (s *Server) showRetention(w http.ResponseWriter, r *http.Request) {
	k := s.keeper(w, r)
	if k == nil {
		return
	}
	p := principalOf(r)
	list, f := s.settings(r, k, func(group string) bool { return p.May(auth.Read, group, "") })
	if f != nil {
		s.fail(w, r, f)
		return
	}
	for i, g := range list {
		if g.Hold != nil && !p.May(auth.Administer, g.Group, "") {
			list[i].Hold = &keep.Hold{Since: g.Hold.Since}
		}
	}
	answerSettings(w, list)
}

// setRetention is PUT /v1/retention.
func (s *Server) setRetention(w http.ResponseWriter, r *http.Request) {
	k, group := s.groupKeeper(w, r)
	if k == nil {
		return
	}
	var body struct {
		Retention string `json:"retention"`
	}
	f := s.readSmallJSON(r, `{"retention":"90d"}: days (90d) or years (6y), never or default`, &body)
	if f == nil && body.Retention == "" {
		f = badRequest("the member retention is missing")
		f.hint = "want days (90d) or years (6y), never or default"
	}
	if f != nil {
		s.fail(w, r, f)
		return
	}
	set, err := k.SetRetention(r.Context(), group, body.Retention)
	s.answerSetting(w, r, "set retention", set, err)
}

// clearRetention is DELETE /v1/retention.
func (s *Server) clearRetention(w http.ResponseWriter, r *http.Request) {
	if k, group := s.groupKeeper(w, r); k != nil {
		set, err := k.SetRetention(r.Context(), group, "default")
		s.answerSetting(w, r, "clear retention", set, err)
	}
}

func (s *Server) answerSetting(w http.ResponseWriter, r *http.Request, op string, set keep.Setting, err error) {
	if err != nil {
		s.fail(w, r, s.failureOf(r, op, err))
		return
	}
	writeJSON(w, http.StatusOK, set)
}

// expire is POST /v1/retention/expire.
func (s *Server) expire(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	s.stopReadDeadline(r)
	res, err := k.Expire(r.Context())
	if err != nil {
		s.fail(w, r, s.failureOf(r, "expire", err))
		return
	}
	writeJSON(w, http.StatusOK, res)
}

// showHolds is GET /v1/holds.
func (s *Server) showHolds(w http.ResponseWriter, r *http.Request) {
	k := s.keeper(w, r)
	if k == nil {
		return
	}
	p := principalOf(r)
	list, f := s.settings(r, k, func(group string) bool { return p.May(auth.Administer, group, "") })
	if f != nil {
		s.fail(w, r, f)
		return
	}
	answerSettings(w, slices.DeleteFunc(list, func(g keep.Setting) bool { return g.Hold == nil }))
}

// setHold is PUT /v1/holds.
func (s *Server) setHold(w http.ResponseWriter, r *http.Request) {
	k, group := s.groupKeeper(w, r)
	if k == nil {
		return
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if f := s.readSmallJSON(r, `{"reason":"…"}`, &body); f != nil {
		s.fail(w, r, f)
		return
	}
	set, err := k.SetHold(r.Context(), group, body.Reason)
	s.answerSetting(w, r, "set hold", set, err)
}

// releaseHold is DELETE /v1/holds.
func (s *Server) releaseHold(w http.ResponseWriter, r *http.Request) {
	if k, group := s.groupKeeper(w, r); k != nil {
		set, err := k.ReleaseHold(r.Context(), group)
		s.answerSetting(w, r, "release hold", set, err)
	}
}

// showKeys is GET /v1/keys.
func (s *Server) showKeys(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	list, err := k.Keys(r.Context())
	if err != nil {
		s.fail(w, r, s.failureOf(r, "list keys", err))
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Keys []keep.KeyUse `json:"keys"`
	}{list})
}

// rotateKeys is POST /v1/keys/rotate.
func (s *Server) rotateKeys(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	var how keep.Rotation
	if f := s.readSmallJSON(r, `{"no_rewrap":false,"resume":false}`, &how); f != nil {
		s.fail(w, r, f)
		return
	}
	end, ok := s.startChore(w, r, "rotation of keys")
	if !ok {
		return
	}
	defer end()
	out := newLineStream(w)
	res, err := k.RotateKeys(r.Context(), how, out.progress)
	if err != nil {
		s.choreFailed(out, r, "rotate keys", err)
		return
	}
	out.line(keep.Line{Rotated: &res})
}

// verify is POST /v1/verify.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	end, ok := s.startChore(w, r, "verification")
	if !ok {
		return
	}
	defer end()
	out := newLineStream(w)
	report, err := k.Verify(r.Context(), out.progress)
	if err != nil {
		s.choreFailed(out, r, "verify", err)
		return
	}
	// Findings and notices are lines of their own: there may be ten thousand.
	var members map[string]json.RawMessage
	var lists struct{ Findings, Notices []keep.Finding }
	if err := errors.Join(json.Unmarshal(report, &members), json.Unmarshal(report, &lists)); err != nil {
		s.choreFailed(out, r, "verify", err)
		return
	}
	delete(members, "findings")
	delete(members, "notices")
	for i := range lists.Findings {
		out.line(keep.Line{Finding: &lists.Findings[i]})
	}
	for i := range lists.Notices {
		out.line(keep.Line{Notice: &lists.Notices[i]})
	}
	out.line(keep.Line{Report: marshal(members)})
}

// proof is GET /v1/proof.
func (s *Server) proof(w http.ResponseWriter, r *http.Request) {
	k := s.keeper(w, r)
	if k == nil {
		return
	}
	pointer := param(r, "record")
	if pointer == "" {
		s.fail(w, r, badRequest("the query parameter record is missing"))
		return
	}
	leave, f := s.takeTurn(r, s.queries) // it reads a segment, as a question does
	if f != nil {
		s.fail(w, r, f)
		return
	}
	defer leave()
	group, proof, err := k.Prove(r.Context(), pointer)
	missing := &failure{status: http.StatusNotFound, message: "there is no such record",
		hint: "pointers are good until the record's segment is merged with others: ask for it anew", reason: "not_found"}
	switch {
	case errors.Is(err, ErrNotFound):
		s.fail(w, r, missing)
	case err != nil:
		s.fail(w, r, s.failureOf(r, "prove record", err))
	case !principalOf(r).May(auth.Read, group, ""):
		s.fail(w, r, missing) // that it is there is not his to know
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		w.Write(append(proof, '\n')) // a client that went away is seen by its context
	}
}

// checkpoint is GET /v1/checkpoint.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	k := s.keeper(w, r)
	if k == nil {
		return
	}
	var size uint64
	if v := param(r, "size"); v != "" {
		var err error
		if size, err = strconv.ParseUint(v, 10, 63); err != nil {
			s.fail(w, r, badRequest("the query parameter size must be a number"))
			return
		}
	}
	c, err := k.Checkpoint(r.Context(), size, param(r, "root"))
	if err != nil {
		s.fail(w, r, s.failureOf(r, "checkpoint", err))
		return
	}
	writeJSON(w, http.StatusOK, c)
}

// trailerBackup says what a whole backup holds. An archive without it was cut
// short.
const trailerBackup = "Trailward-Backup"

// backup is POST /v1/backup: the store as a tar archive. It goes to whoever asks
// for it and never to a path of theirs on the server.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	end, ok := s.startChore(w, r, "backup")
	if !ok {
		return
	}
	defer end()
	out := &lateWriter{w: w, begin: func() {
		h := w.Header()
		h.Set("Trailer", trailerBackup+", "+trailerError)
		h.Set("Content-Type", "application/x-tar")
		h.Set("Content-Disposition", `attachment; filename="trailward-backup.tar"`)
		w.WriteHeader(http.StatusOK)
	}}
	res, err := k.Backup(r.Context(), out)
	switch {
	case err == nil:
		w.Header().Set(trailerBackup, trailerJSON(res))
	case !out.begun:
		s.fail(w, r, s.failureOf(r, "backup", err))
	default:
		f := s.failureOf(r, "backup", err)
		recorderOf(r).reason = f.reason
		w.Header().Set(trailerError, trailerJSON(errorBody{f.detail()}))
	}
}

// lateWriter begins an answer with its first byte.
type lateWriter struct {
	w     io.Writer
	begin func()
	begun bool
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.begin()
	}
	return l.w.Write(p)
}

// lookups is GET /v1/lookups.
func (s *Server) lookups(w http.ResponseWriter, r *http.Request) {
	k := s.keeper(w, r)
	if k == nil {
		return
	}
	list, err := k.Lookups(r.Context())
	if err != nil {
		s.fail(w, r, s.failureOf(r, "list lookup tables", err))
		return
	}
	if list == nil {
		list = []keep.Lookup{}
	}
	writeJSON(w, http.StatusOK, struct {
		Tables []keep.Lookup `json:"tables"`
	}{list})
}

// putLookup is PUT /v1/lookups/{name}.
func (s *Server) putLookup(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "text/csv" && mt != "application/octet-stream" && mt != "application/x-www-form-urlencoded" {
			// The last is what curl --data-binary says without being asked.
			s.fail(w, r, &failure{status: http.StatusUnsupportedMediaType, message: "the body must be CSV", hint: "send Content-Type: text/csv", reason: "encoding"})
			return
		}
	}
	b := &body{budget: s.memory}
	defer b.release()
	if err := b.fill(&meter{r: r.Body, left: maxLookup}, maxLookup, r.ContentLength); err != nil {
		f := s.brokeOff(err)
		switch {
		case errors.Is(err, errBodyTooLarge):
			f = tooLarge("body", fmt.Sprintf("the table is larger than %d bytes", maxLookup))
		case errors.Is(err, errNoMemory):
			f = overloaded("too many bodies are being received")
		}
		s.fail(w, r, f)
		return
	}
	info, err := k.PutLookup(r.Context(), r.PathValue("name"), b.data)
	if err != nil {
		s.fail(w, r, s.failureOf(r, "put lookup table", err))
		return
	}
	writeJSON(w, http.StatusOK, info)
}

// removeLookup is DELETE /v1/lookups/{name}.
func (s *Server) removeLookup(w http.ResponseWriter, r *http.Request) {
	k := s.wholeKeeper(w, r)
	if k == nil {
		return
	}
	name := r.PathValue("name")
	err := k.RemoveLookup(r.Context(), name)
	if errors.Is(err, ErrNotFound) {
		s.fail(w, r, &failure{status: http.StatusNotFound, message: "there is no such lookup table", hint: "GET /v1/lookups lists them", reason: "not_found"})
		return
	}
	if err != nil {
		s.fail(w, r, s.failureOf(r, "remove lookup table", err))
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Name string `json:"name"`
	}{name})
}

// explain is POST /v1/explain.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	if s.deps.Explain == nil {
		s.fail(w, r, unavailable("this server does not explain questions"))
		return
	}
	engine := param(r, "engine")
	if engine == "" {
		engine = query.Engines[0]
	}
	if !slices.Contains(query.Engines, engine) {
		f := badRequest("the engine is unknown")
		f.hint = "use duckdb, trino or spark"
		s.fail(w, r, f)
		return
	}
	req, leave, ok := s.questionInTurn(w, r, anyLanguage)
	if !ok {
		return
	}
	defer leave()
	x, err := s.deps.Explain(r.Context(), req, engine)
	if err != nil {
		s.fail(w, r, s.failureOf(r, "explain", err))
		return
	}
	out := keep.Explanation{SQL: x.SQL, Prepares: x.Prepares, Notices: x.Notices, Parts: make([]keep.PartUse, len(x.Parts))}
	for i, p := range x.Parts {
		out.Parts[i] = keep.PartUse{ID: p.ID, Group: p.Group, Kind: string(p.Kind), Records: p.Rows, From: p.From, To: p.To, Opened: p.Opened, Why: p.Why}
	}
	writeJSON(w, http.StatusOK, out)
}
