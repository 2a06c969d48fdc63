package api

import (
	_ "embed"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"trailward/auth"
)

// openAPI describes the routes. A test holds it against [Server.routeTable].
//
//go:embed openapi.yaml
var openAPI []byte

// route is one row of the table of everything that can be asked for.
type route struct {
	method  string
	pattern string // as [http.ServeMux] has it
	// open lets callers in without a token; such a route shows nothing of the
	// estate. Any other names the action that the caller's role must allow; the
	// handler asks again about the group.
	open   bool
	action auth.Action
	params []string // query parameters; another one is refused, so that no misspelt one is overlooked
	// lenient lets unknown parameters pass: the client cannot be taught.
	lenient bool
	// quiet keeps successful requests out of the log at level info.
	quiet  bool
	handle func(http.ResponseWriter, *http.Request)
}

// key is what the route is called in metrics and logs.
func (rt *route) key() string { return rt.method + " " + rt.pattern }

func (s *Server) routeTable() []*route {
	return []*route{
		{method: "POST", pattern: "/v1/ingest", action: auth.Write, params: []string{"group", "stream", "kind"}, quiet: true, handle: s.ingest},
		// client-go drops the query string of a webhook's URL and may send one
		// of its own (timeout), so that the group can stand in the path too.
		{method: "POST", pattern: "/v1/kubernetes/audit", action: auth.Write, params: []string{"group", "stream"}, lenient: true, quiet: true, handle: s.kubernetesAudit},
		{method: "POST", pattern: "/v1/kubernetes/audit/{group...}", action: auth.Write, params: []string{"stream"}, lenient: true, quiet: true, handle: s.kubernetesAudit},
		{method: "POST", pattern: "/v1/query", action: auth.Read, params: []string{"format"}, handle: s.insightsQuery},
		{method: "POST", pattern: "/v1/sql", action: auth.Read, params: []string{"format"}, handle: s.sqlQuery},
		{method: "POST", pattern: "/v1/queries", action: auth.Read, handle: s.startQuery},
		{method: "GET", pattern: "/v1/queries/{id}", action: auth.Read, params: []string{"from", "limit", "format"}, quiet: true, handle: s.showQuery},
		{method: "DELETE", pattern: "/v1/queries/{id}", action: auth.Read, handle: s.cancelQuery},
		{method: "GET", pattern: "/v1/tail", action: auth.Read, params: []string{"group", "pattern"}, handle: s.tail},
		{method: "GET", pattern: "/v1/groups", action: auth.Read, handle: s.groups},
		{method: "GET", pattern: "/v1/cat", action: auth.Read, params: []string{"group", "stream"}, handle: s.cat},
		{method: "POST", pattern: "/v1/explain", action: auth.Read, params: []string{"engine"}, handle: s.explain},
		{method: "GET", pattern: "/v1/retention", action: auth.Read, params: []string{"group"}, handle: s.showRetention},
		{method: "PUT", pattern: "/v1/retention", action: auth.Administer, params: []string{"group"}, handle: s.setRetention},
		{method: "DELETE", pattern: "/v1/retention", action: auth.Administer, params: []string{"group"}, handle: s.clearRetention},
		{method: "POST", pattern: "/v1/retention/expire", action: auth.Administer, handle: s.expire},
		{method: "GET", pattern: "/v1/holds", action: auth.Administer, params: []string{"group"}, handle: s.showHolds},
		{method: "PUT", pattern: "/v1/holds", action: auth.Administer, params: []string{"group"}, handle: s.setHold},
		{method: "DELETE", pattern: "/v1/holds", action: auth.Administer, params: []string{"group"}, handle: s.releaseHold},
		{method: "GET", pattern: "/v1/keys", action: auth.Administer, handle: s.showKeys},
		{method: "POST", pattern: "/v1/keys/rotate", action: auth.Administer, handle: s.rotateKeys},
		{method: "POST", pattern: "/v1/verify", action: auth.Administer, handle: s.verify},
		{method: "GET", pattern: "/v1/proof", action: auth.Read, params: []string{"record"}, handle: s.proof},
		{method: "GET", pattern: "/v1/checkpoint", action: auth.Read, params: []string{"size", "root"}, handle: s.checkpoint},
		{method: "POST", pattern: "/v1/backup", action: auth.Administer, handle: s.backup},
		{method: "GET", pattern: "/v1/lookups", action: auth.Read, handle: s.lookups},
		{method: "PUT", pattern: "/v1/lookups/{name}", action: auth.Administer, handle: s.putLookup},
		{method: "DELETE", pattern: "/v1/lookups/{name}", action: auth.Administer, handle: s.removeLookup},
		{method: "GET", pattern: "/metrics", action: auth.Observe, quiet: true, handle: s.showMetrics},
		{method: "GET", pattern: "/healthz", open: true, quiet: true, handle: s.healthz},
		{method: "GET", pattern: "/readyz", open: true, quiet: true, handle: s.readyz},
		{method: "GET", pattern: "/openapi.yaml", open: true, quiet: true, handle: s.showOpenAPI},
	}
}

// router finds the route of a request.
type router struct {
	mux    *http.ServeMux
	routes map[string]*route // by the mux's pattern
}

func newRouter(table []*route) *router {
	rt := &router{mux: http.NewServeMux(), routes: make(map[string]*route)}
	for _, r := range table {
		rt.mux.HandleFunc(r.key(), r.handle)
		rt.routes[r.key()] = r
	}
	return rt
}

// find returns the route, or nil and the methods that the path has (none: the
// path does not exist).
func (rt *router) find(r *http.Request) (*route, []string) {
	if p := r.URL.Path; p == "" || path.Clean(p) != p && path.Clean(p)+"/" != p || r.Method == http.MethodConnect {
		// The mux would redirect to the clean path. Nobody who means well asks so.
		return nil, nil
	}
	if _, pattern := rt.mux.Handler(r); pattern != "" {
		return rt.routes[pattern], nil
	}
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		probe := &http.Request{Method: m, Host: r.Host, URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}}
		if _, pattern := rt.mux.Handler(probe); pattern != "" && rt.routes[pattern] != nil {
			allowed = append(allowed, m)
		}
	}
	return nil, allowed
}

// queryParams reads the query string of a route: each parameter once, none that
// the route does not know.
func queryParams(r *http.Request, rt *route) (url.Values, *failure) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		if rt.lenient {
			return url.Values{}, nil
		}
		return nil, badRequest("the query string cannot be read")
	}
	for name, v := range values {
		known := slices.Contains(rt.params, name)
		switch {
		case !known && rt.lenient:
			delete(values, name)
		case !known && len(rt.params) == 0:
			return nil, badRequest("this route has no query parameters")
		case !known:
			return nil, badRequest("unknown query parameter; this route has " + strings.Join(rt.params, ", "))
		case len(v) > 1:
			return nil, badRequest("query parameter " + name + " is given more than once")
		}
	}
	return values, nil
}

func (s *Server) showOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(openAPI)
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	s.metrics.handler.ServeHTTP(w, r)
}

// healthz answers as long as the process can.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz answers 200 when requests will be served.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		s.fail(w, r, unavailable("the server is stopping"))
		return
	}
	if s.deps.Ready != nil {
		if err := s.deps.Ready(r.Context()); err != nil {
			s.fail(w, r, s.notReady(r, err))
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}
