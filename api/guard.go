package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"trailward/auth"
)

// The guard stands before every route, found or not.
//
// A caller without a token is let in on loopback only (and only as long as no
// token exists, unless Config.OpenLoopback). Loopback alone proves little: any
// web page can make the owner's browser send requests to 127.0.0.1, and by DNS
// rebinding even read the answers. So such a request must name us in its Host
// header (a page that rebinds its own name cannot), and must not come from
// another origin. Callers with a token need no such check: a page does not
// have the token, and no cookie carries it.

type principalKey struct{}

// principalOf returns who makes the request; the zero principal may nothing.
func principalOf(r *http.Request) auth.Principal {
	p, _ := r.Context().Value(principalKey{}).(auth.Principal)
	return p
}

// admit finds out who makes the request, or says why it is refused. A route
// that is open to everybody (health) yields the zero principal when there is
// no token to check.
func (s *Server) admit(r *http.Request, open bool) (auth.Principal, *failure) {
	bearer, given := bearerToken(r.Header)
	if !given && s.loopback {
		if f := s.checkLocal(r); f != nil {
			return auth.Principal{}, f
		}
	}
	switch {
	case given && s.deps.Auth != nil:
		p, err := s.deps.Auth.Authenticate(remoteAddr(r), bearer)
		var limited *auth.LimitedError
		switch {
		case err == nil:
			s.tokensSeen.Store(true)
			return p, nil
		case errors.Is(err, auth.ErrRefused):
			s.metrics.authFailures.WithLabelValues("refused").Inc()
			return auth.Principal{}, unauthorized("the token is not valid")
		case errors.As(err, &limited):
			s.metrics.authFailures.WithLabelValues("limited").Inc()
			return auth.Principal{}, (&failure{status: http.StatusTooManyRequests, message: "too many invalid tokens from this address"}).retryAfter(limited.Wait)
		default:
			s.metrics.authFailures.WithLabelValues("unavailable").Inc()
			s.log.LogAttrs(r.Context(), slog.LevelError, "cannot check tokens", slog.Any("error", err))
			return auth.Principal{}, unavailable("tokens cannot be checked now")
		}
	case given:
		s.metrics.authFailures.WithLabelValues("refused").Inc()
		return auth.Principal{}, unauthorized("the token is not valid")
	case open:
		return auth.Principal{}, nil
	}
	need, err := s.needsToken()
	if err != nil {
		s.metrics.authFailures.WithLabelValues("unavailable").Inc()
		s.log.LogAttrs(r.Context(), slog.LevelError, "cannot check tokens", slog.Any("error", err))
		return auth.Principal{}, unavailable("tokens cannot be checked now")
	}
	if need {
		s.metrics.authFailures.WithLabelValues("missing").Inc()
		return auth.Principal{}, unauthorized("a token is needed: send the header Authorization: Bearer TOKEN")
	}
	return auth.Local(), nil
}

// needsToken reports whether a caller without a token is refused. Once a token
// was there, callers need one until the server restarts: that the last one was
// revoked must not open the door.
func (s *Server) needsToken() (bool, error) {
	if !s.loopback {
		return true, nil
	}
	if s.cfg.OpenLoopback || s.deps.Auth == nil {
		return false, nil
	}
	if s.tokensSeen.Load() {
		return true, nil
	}
	n, err := s.deps.Auth.Active()
	if err != nil {
		return true, err
	}
	if n > 0 {
		s.tokensSeen.Store(true)
	}
	return n > 0, nil
}

// bearerToken reads the Authorization header; given is true for anything in
// it, so that a malformed one is refused and not overlooked.
func bearerToken(h http.Header) (token string, given bool) {
	v := h.Values("Authorization")
	if len(v) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(v[0], " ")
	if len(v) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// checkLocal holds Host and origin of a request without a token against what
// a local program or our own page would send.
func (s *Server) checkLocal(r *http.Request) *failure {
	if !s.localHost(r.Host) {
		s.metrics.foreign.WithLabelValues("host").Inc()
		return &failure{status: http.StatusForbidden, message: "the Host header does not name this server's loopback address",
			hint: fmt.Sprintf("use http://127.0.0.1:%d, or send a token", s.port())}
	}
	if err := s.checkOrigin(r); err != nil {
		s.metrics.foreign.WithLabelValues("origin").Inc()
		return &failure{status: http.StatusForbidden, message: "requests from other web origins are refused"}
	}
	return nil
}

var errForeign = errors.New("foreign origin")

// checkOrigin is stricter than [http.CrossOriginProtection], which lets every
// GET pass: here a GET reads evidence. Browsers without Sec-Fetch-Site send
// Origin on all but plain GETs, and those cannot be read by a foreign page
// since no answer of ours carries a CORS header.
func (s *Server) checkOrigin(r *http.Request) error {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return errForeign
		}
	}
	origins := r.Header.Values("Origin")
	if len(origins) > 1 {
		return errForeign
	}
	if len(origins) == 1 {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		u, err := url.Parse(origins[0])
		if err != nil || u.Scheme != scheme || !strings.EqualFold(u.Host, r.Host) || u.Path != "" || u.User != nil {
			return errForeign
		}
	}
	return s.crossOrigin.Check(r)
}

// localHost reports whether a Host header names our loopback listener.
func (s *Server) localHost(hostHeader string) bool {
	h, err := parseHost(hostHeader)
	if err != nil {
		return false
	}
	for _, extra := range s.hosts {
		if strings.EqualFold(extra.name, h.name) && extra.port == h.port {
			return true
		}
	}
	port := h.port
	if port == 0 {
		port = 80
		if s.cert != nil {
			port = 443
		}
	}
	return port == s.port() && loopbackHost(h.name)
}

// hostPort is a Host header taken apart; port 0: none was given.
type hostPort struct {
	name string
	port int
}

func parseHost(h string) (hostPort, error) {
	name, port := h, ""
	if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
		name = h[1 : len(h)-1]
	} else if strings.Contains(h, ":") {
		var err error
		if name, port, err = net.SplitHostPort(h); err != nil {
			return hostPort{}, err
		}
	}
	if name == "" || strings.ContainsAny(name, "/\\@ \t%?#") {
		return hostPort{}, errors.New("not a host")
	}
	if port == "" {
		return hostPort{name: name}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return hostPort{}, errors.New("not a port")
	}
	return hostPort{name, int(n)}, nil
}

// remoteAddr is the address of the peer itself. Headers that claim another
// (X-Forwarded-For) are not believed.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func withPrincipal(r *http.Request, p auth.Principal) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
}
