package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"trailward"
	"trailward/auth"
	"trailward/query"
)

// Limits of a question's JSON beside its size.
const (
	maxQueryGroups = 1000 // as many as DuckDB gets patterns for
	maxTables      = 100
)

// anyLanguage stands for the language of a body that names its own.
const anyLanguage = query.Language(255)

// question is the JSON body of /v1/query, /v1/sql and /v1/queries.
type question struct {
	lang       query.Language
	text       string
	groups     []string
	start, end json.RawMessage
	tables     map[string]string // sql only
}

// decodeQuestion reads the body strictly: a member that is unknown or given
// twice is an error, since a bound that was overlooked would give an answer to
// another question.
func decodeQuestion(data []byte, lang query.Language) (question, *failure) {
	q := question{lang: lang}
	language := ""
	dec := json.NewDecoder(bytes.NewReader(data))
	malformed := func(err error) (question, *failure) {
		f := badRequest("the body is not the JSON object that was expected")
		f.hint = `want {"query":"…","groups":["…"],"start":"-1h","end":"now"}`
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			f.message += fmt.Sprintf(" (at byte %d)", syntax.Offset)
		}
		return q, f
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return malformed(err)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := t.(string)
		if seen[name] {
			return q, badRequest("the body has a member twice")
		}
		seen[name] = true
		switch name {
		case "query":
			err = dec.Decode(&q.text)
		case "groups":
			err = dec.Decode(&q.groups)
		case "start":
			err = dec.Decode(&q.start)
		case "end":
			err = dec.Decode(&q.end)
		case "tables":
			if lang == query.Insights {
				return q, badRequest("the member tables belongs to /v1/sql")
			}
			err = dec.Decode(&q.tables)
		case "language":
			if lang != anyLanguage {
				return q, badRequest("the member language belongs to /v1/queries")
			}
			err = dec.Decode(&language)
		default:
			f := badRequest("the body has an unknown member")
			f.hint = "the members are query, groups, start and end, tables for /v1/sql, and language for /v1/queries"
			return q, f
		}
		if err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) {
				return q, badRequest("the member " + name + " has the wrong type")
			}
			return malformed(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return q, badRequest("there is more after the JSON object")
	}
	if lang == anyLanguage {
		switch language {
		case "", "insights":
			q.lang = query.Insights
		case "sql":
			q.lang = query.SQL
		default:
			f := badRequest("the member language is unknown")
			f.hint = "use insights or sql"
			return q, f
		}
	}
	switch {
	case q.lang == query.Insights && len(q.tables) > 0:
		return q, badRequest("the member tables belongs to the language sql")
	case strings.TrimSpace(q.text) == "":
		return q, badRequest("the member query is missing or empty")
	case len(q.groups) > maxQueryGroups:
		return q, badRequest(fmt.Sprintf("more than %d groups", maxQueryGroups))
	case len(q.tables) > maxTables:
		return q, badRequest(fmt.Sprintf("more than %d tables", maxTables))
	}
	for _, g := range q.groups {
		if !auth.ValidGroupPattern(g) {
			return q, badRequest("a group must be a name, or a prefix with one * at its end")
		}
	}
	for _, k := range q.tables {
		if !trailward.Kind(k).Valid() {
			f := badRequest("a table's kind is unknown")
			f.hint = "use one of " + kindList()
			return q, f
		}
	}
	return q, nil
}

// timeOf reads a member that is a time: a string in one of the forms of
// [ParseTime], or a number of seconds or milliseconds. Null and absence leave
// the side open.
func timeOf(raw json.RawMessage, name string, now time.Time) (time.Time, *failure) {
	if len(raw) == 0 || string(raw) == "null" {
		return time.Time{}, nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return time.Time{}, badRequest("the member " + name + " is not a time")
		}
	}
	t, err := ParseTime(text, now)
	if err != nil {
		f := badRequest("the member " + name + " is not a time")
		f.hint = err.Error()
		return time.Time{}, f
	}
	return t, nil
}

// readQuestion makes a request for the engine out of an HTTP request.
func (s *Server) readQuestion(r *http.Request, lang query.Language) (query.Request, *failure) {
	req := query.Request{Language: lang, Now: s.deps.Now()}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" && mt != "application/x-www-form-urlencoded" {
			// The second is what curl -d says without being asked.
			return req, &failure{status: http.StatusUnsupportedMediaType, message: "the body must be JSON", hint: "send Content-Type: application/json", reason: "encoding"}
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return req, &failure{status: http.StatusUnsupportedMediaType, message: "a question's body must not be compressed", reason: "encoding"}
	}
	data, err := io.ReadAll(&meter{r: r.Body, left: s.cfg.MaxQueryBody})
	switch {
	case errors.Is(err, errBodyTooLarge):
		return req, tooLarge("body", fmt.Sprintf("the body is larger than %d bytes", s.cfg.MaxQueryBody))
	case err != nil:
		return req, s.brokeOff(err)
	}
	q, f := decodeQuestion(data, lang)
	if f != nil {
		return req, f
	}
	req.Language, req.Text, req.Tables = q.lang, q.text, q.tables
	if req.Start, f = timeOf(q.start, "start", req.Now); f != nil {
		return req, f
	}
	if req.End, f = timeOf(q.end, "end", req.Now); f != nil {
		return req, f
	}
	if !req.Start.IsZero() && !req.End.IsZero() && req.End.Before(req.Start) {
		return req, badRequest("the end lies before the start")
	}
	groups, denied := principalOf(r).Readable(q.groups)
	if denied != "" {
		return req, forbidden("the token does not allow to read all groups that were asked for")
	}
	if req.Readable, denied = principalOf(r).Readable(nil); denied != "" {
		return req, forbidden("the token does not allow to read")
	}
	if len(q.groups) > 0 {
		req.Groups = groups
	}
	return req, nil
}
