package main

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"trailward/api"
	"trailward/api/live"
	"trailward/auth"
)

// serverGCPercent is how much garbage a server lets lie about, in percent of what
// it uses, before it collects: what a batch takes is much and short-lived. GOGC
// says otherwise.
const serverGCPercent = 50

type serverCmd struct {
	dataFlags `embed:""`

	Listen  string `placeholder:"ADDR" default:"${listen}" env:"TRAILWARD_LISTEN" help:"HOST:PORT to listen on (default ${listen}). Beyond loopback it needs TLS and a token."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" env:"TRAILWARD_TLS_CERT" help:"PEM file with the TLS certificate; a changed file is taken over while running."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" env:"TRAILWARD_TLS_KEY" help:"PEM file with the certificate's key."`

	AllowKeyBesideData bool     `env:"TRAILWARD_ALLOW_KEY_BESIDE_DATA" help:"Listen beyond loopback although the key file lies in the data directory."`
	OpenLoopback       bool     `help:"Let callers on loopback in without a token although tokens exist."`
	AllowHost          []string `sep:"none" placeholder:"HOST" help:"Further Host header that callers without a token may use on loopback, for a tunnel. Repeat for more."`
}

func (serverCmd) Help() string {
	return `On loopback no token is needed until the first one is made. SIGTERM and ^C end it: requests under way are finished, the store is closed.

Examples:

  trailward server
  trailward server --data /var/lib/trailward --key-file /run/credentials/trailward/key
  trailward token create --role writer --group /eks/prod/audit > audit.token
  trailward server --listen 0.0.0.0:7300 --tls-cert tls.crt --tls-key tls.key --key-file /etc/trailward/key`
}

func (c *serverCmd) Run(a *app) error {
	cfg := api.Config{Listen: c.Listen, TLSCert: c.TLSCert, TLSKey: c.TLSKey, OpenLoopback: c.OpenLoopback, Hosts: c.AllowHost, MaxBodyMemory: memoryBudget().bodies}
	// Before the store is opened: a refusal must cost nothing and leave nothing behind.
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(serverGCPercent)
	}
	loc := c.locate(a.getenv)
	if err := c.checkKeyPlace(loc); err != nil {
		return usageError{err}
	}
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	l, err := openLocal(a.ctx, loc, true, log)
	if err != nil {
		return err
	}
	return serve(a, l, loc, cfg, log, func(url string) {
		fmt.Fprintf(a.stdout, "trailward %s listens on %s, data in %s\n", buildVersion(), url, loc.data)
		with := "--server " + url
		if cfg.TLSCert != "" {
			with = "--server URL --token-file FILE"
		}
		fmt.Fprintf(a.stdout, "try: trailward ingest %s --group try FILE…   then: trailward query %s 'stats count(*) by @kind'\n", with, with)
	})
}

// checkKeyPlace refuses a server beyond loopback whose key lies beside its
// data: whoever gets at one, through a backup or a stolen disk, has both.
func (c *serverCmd) checkKeyPlace(loc location) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", c.Listen, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() || c.AllowKeyBesideData {
		return nil
	}
	if loc.keyFile != "" && !within(loc.data, loc.keyFile) {
		return nil
	}
	return fmt.Errorf("listen on %s: the key file would lie beside the data in %s: name one elsewhere with --key-file FILE, or pass --allow-key-beside-data", c.Listen, loc.data)
}

// within reports whether path lies in dir, symbolic links followed as far as
// the two exist.
func within(dir, path string) bool {
	real := func(p string) string {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		if r, err := filepath.EvalSymlinks(p); err == nil {
			return r
		}
		if r, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil {
			return filepath.Join(r, filepath.Base(p))
		}
		return p
	}
	rel, err := filepath.Rel(real(dir), real(path))
	return err == nil && filepath.IsLocal(rel)
}

// serve runs the HTTP server over an open data directory until a.ctx ends, and
// closes the directory. started is called once the address is open.
func serve(a *app, l *local, loc location, cfg api.Config, log *slog.Logger, started func(url string)) (err error) {
	defer func() {
		if cerr := l.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close %s: %w", loc.data, cerr)
		}
	}()
	srv, err := newServer(l, loc, cfg, log)
	if err != nil {
		return err
	}
	if err := srv.Listen(a.ctx); err != nil {
		return err
	}
	log.Info("server started", slog.Any("config", cfg), slog.String("version", buildVersion()))
	started(srv.URL())
	if err := srv.Serve(a.ctx); err != nil {
		return err
	}
	log.Info("server stopped")
	return nil
}

func newServer(l *local, loc location, cfg api.Config, log *slog.Logger) (*api.Server, error) {
	tokens, err := auth.OpenStore(filepath.Join(loc.data, tokenFile), nil)
	if err != nil {
		return nil, err
	}
	if l.tails, err = live.NewHub(live.Options{}); err != nil {
		return nil, err
	}
	// The server lets as many questions through as the engine runs: one bound.
	l.queries = cfg.QueriesAtOnce()
	registry := prometheus.NewRegistry()
	if err := registry.Register(storeMetrics(l.store)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return api.New(cfg, api.Deps{
		Ingest: l.IngestBatch, Query: l.Query, Check: l.Check, Explain: l.Explain, Groups: l.Groups, Cat: l.Cat, Frame: frameBody, Tail: l.tails.Subscribe,
		Keeper: l, Ready: l.Ready, Accepting: l.Accepting, Auth: auth.NewAuthenticator(tokens), Log: log, Metrics: registry,
	})
}
