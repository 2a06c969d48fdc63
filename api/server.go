package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"trailward/auth"
)

// Server serves one listener. Make it with [New], run it with [Server.Serve].
type Server struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	router  *router
	handler http.Handler
	cert    *certificate // nil without TLS
	hosts   []hostPort   // of Config.Hosts

	crossOrigin *http.CrossOriginProtection
	memory      *budget
	ingests     *fairGate           // by principal and group
	pace        *pace               // of ingests
	work        *semaphore.Weighted // bytes of bodies that are taken apart and stored
	queries     *fairGate
	cats        *fairGate // apart: a slow reader may hold one for hours
	async       *asyncQueries
	tails       *tailCount
	chores      chores

	tokensSeen atomic.Bool   // a token exists or existed since the start
	stopping   atomic.Bool   // no new work is taken on
	ending     chan struct{} // closed with stopping: what would never end by itself ends

	mu       sync.Mutex
	listener net.Listener // set once by Listen
	loopback bool         // the listener's address; set once by Listen, before the first request
}

// New checks the configuration and makes a server that does not listen yet.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults(), deps: deps, log: deps.Log, crossOrigin: http.NewCrossOriginProtection(), ending: make(chan struct{})}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.deps.Now == nil {
		s.deps.Now = time.Now
	}
	if s.deps.Frame == nil {
		s.deps.Frame = FrameLines
	}
	for _, h := range s.cfg.Hosts {
		hp, err := parseHost(h)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", h, err)
		}
		s.hosts = append(s.hosts, hp)
	}
	if s.cfg.TLSCert != "" {
		c, err := loadCertificate(s.cfg.TLSCert, s.cfg.TLSKey, s.log, s.deps.Now)
		if err != nil {
			return nil, err
		}
		s.cert = c
	}
	s.memory = &budget{limit: s.cfg.MaxBodyMemory}
	s.ingests = newIngestGate(s.cfg)
	s.pace = newPace(s.cfg.MaxAckWait, s.deps.Now)
	s.work = semaphore.NewWeighted(workBytes())
	s.queries = newFairGate(s.cfg)
	cats := s.cfg
	cats.MaxQueries, cats.MaxPrincipalQueries = s.cfg.MaxCats, max(1, s.cfg.MaxCats*3/4)
	s.cats = newFairGate(cats)
	s.async = newAsyncQueries(s.cfg)
	s.tails = &tailCount{most: s.cfg.MaxPrincipalTails, open: map[string]int{}}
	m, err := newMetrics(deps.Metrics, s.gauges())
	if err != nil {
		return nil, err
	}
	s.metrics = m
	s.router = newRouter(s.routeTable())
	s.handler = http.HandlerFunc(s.serve)
	return s, nil
}

// Listen opens the listener; [Server.Serve] does it when it was not done
// before. Beyond loopback it fails without TLS and a token, and says what to
// pass.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := s.openListener(ctx)
	if err != nil {
		return err
	}
	s.listener = l
	return nil
}

// Addr is the address that the server listens on; nil before [Server.Listen].
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// URL is the address as a client writes it; empty before [Server.Listen].
func (s *Server) URL() string {
	a := s.Addr()
	if a == nil {
		return ""
	}
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
	}
	return scheme + "://" + a.String()
}

func (s *Server) port() int {
	if t, ok := s.Addr().(*net.TCPAddr); ok {
		return t.Port
	}
	return 0
}

// Serve answers requests until ctx ends. Then it accepts no more connections,
// answers new requests on open ones with 503, and lets those under way finish
// for Config.DrainTime; what still runs after that is cancelled. It returns nil
// after such an end, also when something had to be cancelled.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	// Requests outlive ctx by the drain time, so that they have a context of
	// their own.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(&serverLog{s.log}, "", 0),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
	}
	// WriteTimeout stays unset: it would end a long answer to a quick reader.
	// The recorder gives every write a deadline of its own.
	done := make(chan error, 1)
	go func() {
		if s.cert != nil {
			srv.TLSConfig = tlsConfig(s.cert)
			done <- srv.ServeTLS(s.listener, "", "")
			return
		}
		done <- srv.Serve(s.listener)
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	if !s.stopping.Swap(true) {
		close(s.ending)
	}
	// Nobody can ask for the answers any more.
	defer s.async.close()
	drain, stop := context.WithTimeout(context.Background(), s.cfg.DrainTime)
	defer stop()
	if err := srv.Shutdown(drain); err != nil {
		s.log.Warn("requests were still running when the drain time ended; they are cancelled", slog.Duration("drain_time", s.cfg.DrainTime))
		cancel()
		// One more moment for handlers to see their context and answer.
		last, stopLast := context.WithTimeout(context.Background(), time.Second)
		defer stopLast()
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	}
	<-done
	return nil
}

// serverLog takes what net/http has to say (failed handshakes, bad requests).
type serverLog struct{ log *slog.Logger }

func (l *serverLog) Write(p []byte) (int, error) {
	l.log.Debug("http server", slog.String("message", string(bytes.TrimSpace(p))))
	return len(p), nil
}

// recorder sees what the handler answers, and gives every write a deadline.
type recorder struct {
	http.ResponseWriter
	ctl       *http.ResponseController
	timeout   time.Duration
	status    int
	bytes     int64
	id        string
	principal string
	group     string // that an ingest or a cat is about
	reason    string // of a failure
	gone      bool   // the client went away; nothing was answered
}

func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= 200 {
		rec.status = status
	}
	rec.extend()
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	rec.extend()
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// extend moves the write deadline. A writer that has none (a test's) is left alone.
func (rec *recorder) extend() { rec.ctl.SetWriteDeadline(time.Now().Add(rec.timeout)) }

type recorderKey struct{}

func recorderOf(r *http.Request) *recorder {
	rec, _ := r.Context().Value(recorderKey{}).(*recorder)
	return rec
}

// requestID names the request in the log and in the header
// Trailward-Request-Id of its answer.
func requestID(r *http.Request) string {
	if rec := recorderOf(r); rec != nil {
		return rec.id
	}
	return ""
}

// serve is the way of every request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w, ctl: http.NewResponseController(w), timeout: s.cfg.WriteTimeout, id: newRequestID()}
	r = r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec))
	h := rec.Header()
	h.Set("Trailward-Request-Id", rec.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")

	rt, allowed := s.router.find(r)
	name := "other"
	if rt != nil {
		name = rt.key()
	}
	s.metrics.inFlight.Inc()
	finished := false
	defer func() {
		s.metrics.inFlight.Dec()
		var crash any
		if !finished {
			crash = recover()
		}
		if crash != nil && crash != http.ErrAbortHandler {
			s.metrics.panics.Inc()
			s.log.LogAttrs(r.Context(), slog.LevelError, "panic in a handler", slog.String("request", rec.id), slog.String("route", name),
				slog.String("panic", fmt.Sprint(crash)), slog.String("stack", string(debug.Stack())))
			if rec.status == 0 {
				s.fail(rec, r, &failure{status: http.StatusInternalServerError, message: "internal error; the server's log says more under request " + rec.id, reason: "internal"})
				crash = nil
			}
		}
		s.account(r, rec, rt, name, time.Since(start), crash != nil)
		if crash != nil || rec.gone && rec.status == 0 {
			// Cuts the connection, so that half an answer is not taken for a whole one,
			// nor the empty 200 that net/http makes of none by whoever still listens.
			panic(http.ErrAbortHandler)
		}
	}()
	s.dispatch(rec, r, rt, allowed)
	finished = true
}

func (s *Server) dispatch(rec *recorder, r *http.Request, rt *route, allowed []string) {
	principal, f := s.admit(r, rt != nil && rt.open)
	if f != nil {
		s.fail(rec, r, f)
		return
	}
	rec.principal = principal.Name
	switch {
	case rt == nil && len(allowed) > 0:
		s.fail(rec, r, (&failure{status: http.StatusMethodNotAllowed, message: "this route does not have the method " + methodName(r.Method), hint: "use " + strings.Join(allowed, " or ")}).
			with("Allow", strings.Join(allowed, ", ")))
	case rt == nil:
		s.fail(rec, r, &failure{status: http.StatusNotFound, message: "there is no such route", hint: "GET /openapi.yaml lists them"})
	case !rt.open && !principal.Can(rt.action):
		s.fail(rec, r, forbidden("the token's role does not allow to "+string(rt.action)))
	case s.stopping.Load() && !rt.open:
		waste(r, s.cfg.MaxBody)
		s.fail(rec, r, unavailable("the server is stopping").with("Connection", "close"))
	default:
		params, f := queryParams(r, rt)
		if f != nil {
			s.fail(rec, r, f)
			return
		}
		r = withPrincipal(r, principal)
		r = r.WithContext(context.WithValue(r.Context(), paramsKey{}, params))
		s.router.mux.ServeHTTP(rec, r)
	}
}

type paramsKey struct{}

// param returns a query parameter that [queryParams] let pass.
func param(r *http.Request, name string) string {
	v, _ := r.Context().Value(paramsKey{}).(url.Values)
	return v.Get(name)
}

// methodName keeps a hostile method out of the answer.
func methodName(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return m
	}
	return "that was asked for"
}

// account counts and logs a request that has ended. Neither sees a body, a
// token, a query's text or a query string.
func (s *Server) account(r *http.Request, rec *recorder, rt *route, name string, took time.Duration, aborted bool) {
	status := rec.status
	switch {
	case rec.gone || aborted && status == 0:
		status = statusClientGone
	case status == 0:
		status = http.StatusOK
	}
	s.metrics.requests.WithLabelValues(name, strconv.Itoa(status)).Inc()
	s.metrics.seconds.WithLabelValues(name).Observe(took.Seconds())
	if rec.reason != "" && rt != nil && rt.action == auth.Write {
		s.metrics.rejected.WithLabelValues(name, rec.reason).Inc()
	}
	level := slog.LevelInfo
	switch {
	case status >= 500 && status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case status >= 400 && status != statusClientGone:
		level = slog.LevelWarn
	case rt != nil && rt.quiet:
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("request", rec.id), slog.String("route", name), slog.Int("status", status), slog.String("principal", rec.principal),
		slog.String("remote", remoteAddr(r).String()), slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int64("bytes_out", rec.bytes),
	}
	if rec.group != "" {
		attrs = append(attrs, slog.String("group", rec.group))
	}
	if rec.reason != "" {
		attrs = append(attrs, slog.String("reason", rec.reason))
	}
	if aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// notReady is the answer to a readiness check that failed.
func (s *Server) notReady(r *http.Request, err error) *failure {
	if !errors.Is(err, context.Canceled) {
		s.logFailure(r, "readyz", slog.LevelWarn, err)
	}
	return unavailable("the server is not ready")
}
