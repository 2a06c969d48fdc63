package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loopbackHost reports whether a listener on the host can be reached from this
// machine only. Of names only "localhost" is believed; what it resolved to is
// checked once more after listening.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// loopbackAddr reports whether a listener's address is a loopback address.
func loopbackAddr(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// limitedListener accepts only as long as fewer than cap(slots) connections are
// open; the rest wait in the kernel's queue.
type limitedListener struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func limitListener(l net.Listener, n int) net.Listener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// spareFiles are descriptors that connections leave to segments and logs.
const spareFiles = 128

// connections is how many connections there may be: most, or as many as half of
// the process's descriptors allow.
func connections(most int) int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur > 1<<30 {
		return most
	}
	return min(most, max(int(lim.Cur)/2-spareFiles, 16))
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}

// certRecheck is how often the certificate files are looked at for a change.
const certRecheck = 10 * time.Second

// certificate is a TLS certificate that follows its files, as certificate
// managers replace them. A pair that does not fit together (one file is new, the
// other not yet) leaves the certificate of before in force.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu       sync.Mutex
	cert     *tls.Certificate
	certInfo fs.FileInfo
	keyInfo  fs.FileInfo
	checked  time.Time
}

func loadCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: now}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.checked = now()
	return c, nil
}

// load reads both files; the caller holds mu or is alone.
func (c *certificate) load() error {
	certInfo, err := os.Stat(c.certFile)
	if err != nil {
		return fmt.Errorf("read TLS certificate: %w", err)
	}
	keyInfo, err := os.Stat(c.keyFile)
	if err != nil {
		return fmt.Errorf("read TLS key: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read TLS certificate %s and key %s: %w", c.certFile, c.keyFile, err)
	}
	c.cert, c.certInfo, c.keyInfo = &pair, certInfo, keyInfo
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if age := now.Sub(c.checked); age >= certRecheck || age < 0 {
		c.checked = now
		if c.changed() {
			if err := c.load(); err != nil {
				c.log.Error("the TLS certificate has changed and cannot be read; the one of before stays in force", slog.Any("error", err))
			} else {
				c.log.Info("took over the changed TLS certificate", slog.String("file", c.certFile))
			}
		}
	}
	return c.cert, nil
}

func (c *certificate) changed() bool {
	same := func(old fs.FileInfo, path string) bool {
		now, err := os.Stat(path)
		return err == nil && os.SameFile(old, now) && old.ModTime().Equal(now.ModTime()) && old.Size() == now.Size()
	}
	return !same(c.certInfo, c.certFile) || !same(c.keyInfo, c.keyFile)
}

func tlsConfig(c *certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}

// serverListener opens the listener and decides, by the address that it really
// has, whether it may stay open.
func (s *Server) openListener(ctx context.Context) (net.Listener, error) {
	active := 0
	if s.deps.Auth != nil {
		n, err := s.deps.Auth.Active()
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", s.cfg.Listen, err)
		}
		active = n
	}
	host, _, _ := net.SplitHostPort(s.cfg.Listen)
	if !loopbackHost(host) && active == 0 {
		return nil, needToken(s.cfg.Listen)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another with --listen HOST:PORT", s.cfg.Listen, err)
	}
	s.loopback = loopbackAddr(l.Addr())
	if !s.loopback && (s.cfg.TLSCert == "" || active == 0) {
		l.Close()
		return nil, fmt.Errorf("listen on %s: it is not a loopback address (%s): pass --tls-cert FILE and --tls-key FILE, and make a token with `trailward token create`", s.cfg.Listen, l.Addr())
	}
	if active > 0 {
		s.tokensSeen.Store(true)
	}
	return limitListener(l, connections(s.cfg.MaxConnections)), nil
}

func needToken(listen string) error {
	return fmt.Errorf("listen on %s: beyond loopback every caller needs a token and there is none: make one with `trailward token create --role writer` (or reader, admin)", listen)
}
