package api

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"trailward/query/duck"
)

// The defaults of [Config].
const (
	DefaultListen        = "127.0.0.1:7300"
	DefaultMaxBody       = 32 << 20
	DefaultMaxDecoded    = 64 << 20
	DefaultMaxRatio      = 200
	DefaultMaxAuditBody  = 1 << 30
	DefaultMaxLine       = 16 << 20
	DefaultMaxRecords    = 100_000
	DefaultMaxBodyMemory = 256 << 20
	DefaultMaxIngests    = 16
	DefaultIngestWait    = 2 * time.Second
	DefaultMaxAckWait    = 700 * time.Millisecond
	// DefaultMaxQueries is as many as the engine runs: a question that the server
	// lets through never waits a second time, where no line is fair.
	DefaultMaxQueries          = duck.DefaultConcurrency
	DefaultMaxPrincipalQueries = 3
	DefaultMaxCats             = 16
	DefaultMaxQueriesQueued    = 256
	DefaultMaxPrincipalQueued  = 128
	DefaultQueryWait           = 20 * time.Second
	DefaultQueryTimeout        = 60 * time.Second
	DefaultMaxAsync            = 200
	DefaultMaxPrincipalAsync   = 50
	DefaultAsyncTimeout        = 15 * time.Minute
	DefaultMaxAsyncRows        = 100_000
	DefaultMaxAsyncResult      = 64 << 20
	DefaultMaxAsyncMemory      = 256 << 20
	DefaultAsyncKeep           = 15 * time.Minute
	DefaultMaxPrincipalTails   = 4096
	DefaultMaxQueryBody        = 1 << 20
	DefaultHeaderTimeout       = 10 * time.Second
	DefaultReadTimeout         = 60 * time.Second
	DefaultWriteTimeout        = 30 * time.Second
	DefaultIdleTimeout         = 120 * time.Second
	DefaultMaxHeader           = 64 << 10
	DefaultMaxConnections      = 16384
	DefaultDrainTime           = 10 * time.Second
)

// Config is what can be set about the server. The zero value of every field
// means its default.
//
//	cfg := api.Config{Listen: "0.0.0.0:7300", TLSCert: "tls.crt", TLSKey: "tls.key"}
type Config struct {
	// Listen is HOST:PORT. A host that is not loopback (or none, which is every
	// address) needs TLSCert, TLSKey and at least one token. Port 0 takes a
	// free one. Default [DefaultListen].
	Listen string
	// TLSCert and TLSKey are PEM files; changed files are taken over without a
	// restart. Default: no TLS.
	TLSCert, TLSKey string
	// OpenLoopback lets callers on loopback in without a token although tokens
	// exist. It has no effect on other addresses. Default: once there is a
	// token, everybody needs one.
	OpenLoopback bool
	// Hosts are further values of the Host header (HOST or HOST:PORT) that
	// callers without a token may use on loopback, for a tunnel or a port
	// mapping that changes the port. Default: loopback names with our port only.
	Hosts []string

	// MaxBody bounds an ingest body in bytes as sent, MaxDecoded after
	// decompression, MaxRatio how many times larger it may become (looked at
	// from the first MiB on). Over any of them: 413.
	MaxBody, MaxDecoded int64
	MaxRatio            int64
	// MaxAuditBody bounds the body of the Kubernetes audit webhook in bytes, as sent
	// and after decompression, instead of MaxBody, MaxDecoded and MaxRecords: it is
	// stored in pieces as it arrives. What comes before the limit is stored. Over: 413.
	MaxAuditBody int64
	// MaxLine bounds a record in bytes, MaxRecords their number in one request.
	// Over: 413; nothing is stored. An audit event over MaxLine is kept in
	// pieces, so that one event cannot lose the API server's whole batch.
	MaxLine, MaxRecords int
	// MaxBodyMemory bounds the bytes that all requests together hold. Over: 429.
	MaxBodyMemory int64
	// MaxIngests bounds the batches handed to the store at once, of which a
	// principal has at most three quarters for one group; IngestWait is how long
	// a request waits for its turn before it gets 429. Those that wait take turns
	// by principal and group.
	MaxIngests int
	IngestWait time.Duration
	// MaxAckWait bounds how long a batch should wait to be stored, by what waits before it
	// and by how fast the last batches were stored. Over: 429 at once, and not only once it
	// has waited. Where fewer than four are under way one more is always taken. The batches of the Kubernetes audit
	// webhook are not turned away for this: its sender gives a batch up after five tries.
	MaxAckWait time.Duration

	// MaxQueries bounds the questions (and explanations and proofs) that run at once, and is how many the engine runs (see [Config.QueriesAtOnce]),
	// MaxQueriesQueued those that wait for at most QueryWait; of both, one
	// principal has at most MaxPrincipalQueries and MaxPrincipalQueued. Those that
	// wait take turns by principal. Over: 429.
	MaxQueries, MaxPrincipalQueries      int
	MaxQueriesQueued, MaxPrincipalQueued int
	QueryWait                            time.Duration
	// MaxCats bounds the cats that run at once; one principal has three quarters
	// of them. They take as long as their readers do, and so have turns of their
	// own, with the same line. Over: 429.
	MaxCats int
	// QueryTimeout bounds a question from its start to its last row. Over: 504,
	// or the trailer Trailward-Error when rows were sent.
	QueryTimeout time.Duration
	MaxQueryBody int64 // bytes of a question's JSON body; over: 413

	// MaxAsync bounds the asynchronous questions that the server knows, running
	// and finished, MaxPrincipalAsync those of one principal. Over: 429.
	MaxAsync, MaxPrincipalAsync int
	// AsyncTimeout bounds an asynchronous question from its start to its last
	// row, the wait for its turn included; then it has failed.
	AsyncTimeout time.Duration
	// MaxAsyncRows and MaxAsyncResult (bytes, about, in memory) bound what is kept
	// of one answer, MaxAsyncMemory of all; a question whose answer is larger has
	// failed. AsyncKeep is how long an answer is kept once it is finished.
	MaxAsyncRows                   int
	MaxAsyncResult, MaxAsyncMemory int64
	AsyncKeep                      time.Duration

	// MaxPrincipalTails bounds the live tails of one principal; how many there
	// can be in all is the hub's to say (live.Options). Over: 429.
	MaxPrincipalTails int

	// HeaderTimeout bounds reading a request's header, ReadTimeout reading all
	// of it (408), WriteTimeout each write of an answer to a slow reader,
	// IdleTimeout the wait for the next request of a connection.
	HeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	MaxHeader                                             int // bytes of a request's header; over: 431
	// MaxConnections bounds open connections; further ones wait to be accepted.
	// They never take more than half of the files that the process may open,
	// since the query engine has the other half.
	MaxConnections int
	// DrainTime is how long requests may take to finish when the server stops.
	DrainTime time.Duration
}

// withDefaults returns c with every zero field set.
func (c Config) withDefaults() Config {
	def(&c.Listen, DefaultListen)
	def(&c.MaxBody, DefaultMaxBody)
	def(&c.MaxDecoded, DefaultMaxDecoded)
	def(&c.MaxRatio, DefaultMaxRatio)
	def(&c.MaxAuditBody, DefaultMaxAuditBody)
	def(&c.MaxLine, DefaultMaxLine)
	def(&c.MaxRecords, DefaultMaxRecords)
	def(&c.MaxBodyMemory, DefaultMaxBodyMemory)
	def(&c.MaxIngests, DefaultMaxIngests)
	def(&c.IngestWait, DefaultIngestWait)
	def(&c.MaxAckWait, DefaultMaxAckWait)
	def(&c.MaxQueries, DefaultMaxQueries)
	def(&c.MaxQueriesQueued, DefaultMaxQueriesQueued)
	def(&c.MaxPrincipalQueries, DefaultMaxPrincipalQueries)
	def(&c.MaxPrincipalQueued, DefaultMaxPrincipalQueued)
	def(&c.QueryWait, DefaultQueryWait)
	def(&c.MaxCats, DefaultMaxCats)
	def(&c.MaxAsync, DefaultMaxAsync)
	def(&c.MaxPrincipalAsync, DefaultMaxPrincipalAsync)
	def(&c.AsyncTimeout, DefaultAsyncTimeout)
	def(&c.MaxAsyncRows, DefaultMaxAsyncRows)
	def(&c.MaxAsyncResult, DefaultMaxAsyncResult)
	def(&c.MaxAsyncMemory, DefaultMaxAsyncMemory)
	def(&c.AsyncKeep, DefaultAsyncKeep)
	def(&c.MaxPrincipalTails, DefaultMaxPrincipalTails)
	def(&c.QueryTimeout, DefaultQueryTimeout)
	def(&c.MaxQueryBody, DefaultMaxQueryBody)
	def(&c.HeaderTimeout, DefaultHeaderTimeout)
	def(&c.ReadTimeout, DefaultReadTimeout)
	def(&c.WriteTimeout, DefaultWriteTimeout)
	def(&c.IdleTimeout, DefaultIdleTimeout)
	def(&c.MaxHeader, DefaultMaxHeader)
	def(&c.MaxConnections, DefaultMaxConnections)
	def(&c.DrainTime, DefaultDrainTime)
	return c
}

// QueriesAtOnce is how many questions the server lets through at once. The engine
// behind it must run as many.
func (c Config) QueriesAtOnce() int { return c.withDefaults().MaxQueries }

func def[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// Validate reports the first field that cannot be, and what would do.
func (c Config) Validate() error {
	c = c.withDefaults()
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT, such as %s", c.Listen, DefaultListen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("listen address %q: the port must be a number from 0 to 65535", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("listen on %s: a TLS certificate and its key go together: pass both --tls-cert FILE and --tls-key FILE", c.Listen)
	}
	if c.TLSCert == "" && !loopbackHost(host) {
		return fmt.Errorf("listen on %s: beyond loopback the server needs TLS and a token: pass --tls-cert FILE and --tls-key FILE, and make a token with `trailward token create`", c.Listen)
	}
	for _, h := range c.Hosts {
		if _, err := parseHost(h); err != nil {
			return fmt.Errorf("host %q: want HOST or HOST:PORT", h)
		}
	}
	for _, f := range []struct {
		name     string
		value    int64
		min, max int64
	}{
		{"MaxBody", c.MaxBody, 1 << 10, 1 << 30},
		{"MaxDecoded", c.MaxDecoded, 1 << 10, 1 << 30},
		{"MaxRatio", c.MaxRatio, 2, 1 << 20},
		{"MaxAuditBody", c.MaxAuditBody, 1 << 10, 1 << 40},
		{"MaxLine", int64(c.MaxLine), 1 << 10, 48 << 20},
		{"MaxRecords", int64(c.MaxRecords), 1, 10_000_000},
		{"MaxBodyMemory", c.MaxBodyMemory, 1 << 20, 1 << 40},
		{"MaxIngests", int64(c.MaxIngests), 1, 1 << 16},
		{"MaxQueries", int64(c.MaxQueries), 1, 256}, // as duck.Config
		{"MaxCats", int64(c.MaxCats), 1, 1 << 16},
		{"MaxQueriesQueued", int64(c.MaxQueriesQueued), 1, 1 << 16},
		{"MaxPrincipalQueries", int64(c.MaxPrincipalQueries), 1, 1 << 16},
		{"MaxPrincipalQueued", int64(c.MaxPrincipalQueued), 1, 1 << 16},
		{"MaxAsync", int64(c.MaxAsync), 1, 1 << 20},
		{"MaxPrincipalAsync", int64(c.MaxPrincipalAsync), 1, 1 << 20},
		{"MaxAsyncRows", int64(c.MaxAsyncRows), 1, 10_000_000},
		{"MaxAsyncResult", c.MaxAsyncResult, 1 << 10, 1 << 40},
		{"MaxAsyncMemory", c.MaxAsyncMemory, 1 << 10, 1 << 40},
		{"MaxPrincipalTails", int64(c.MaxPrincipalTails), 1, 1 << 20},
		{"MaxQueryBody", c.MaxQueryBody, 1 << 10, 64 << 20},
		{"MaxHeader", int64(c.MaxHeader), 1 << 10, 1 << 20},
		{"MaxConnections", int64(c.MaxConnections), 1, 1 << 20},
	} {
		if f.value < f.min || f.value > f.max {
			return fmt.Errorf("%s is %d: use a value from %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"IngestWait", c.IngestWait}, {"MaxAckWait", c.MaxAckWait}, {"QueryWait", c.QueryWait}, {"QueryTimeout", c.QueryTimeout},
		{"AsyncTimeout", c.AsyncTimeout}, {"AsyncKeep", c.AsyncKeep},
		{"HeaderTimeout", c.HeaderTimeout}, {"ReadTimeout", c.ReadTimeout}, {"WriteTimeout", c.WriteTimeout},
		{"IdleTimeout", c.IdleTimeout}, {"DrainTime", c.DrainTime},
	} {
		if f.value < time.Millisecond || f.value > 24*time.Hour {
			return fmt.Errorf("%s is %v: use a duration from 1ms to 24h", f.name, f.value)
		}
	}
	if c.MaxBodyMemory < 3*c.MaxDecoded {
		// A body that grows is held twice for a moment; taken apart it is held
		// twice, with what each record costs beside its bytes.
		return fmt.Errorf("MaxBodyMemory is %d: it must be at least three times MaxDecoded, which is %d", c.MaxBodyMemory, c.MaxDecoded)
	}
	return nil
}

// LogValue shows what is in force.
func (c Config) LogValue() slog.Value {
	c = c.withDefaults()
	return slog.GroupValue(
		slog.String("listen", c.Listen), slog.String("tls_cert", c.TLSCert), slog.Bool("open_loopback", c.OpenLoopback),
		slog.Int64("max_body", c.MaxBody), slog.Int64("max_decoded", c.MaxDecoded), slog.Int64("max_audit_body", c.MaxAuditBody), slog.Int("max_line", c.MaxLine),
		slog.Int("max_records", c.MaxRecords), slog.Int64("max_body_memory", c.MaxBodyMemory),
		slog.Int("max_ingests", c.MaxIngests), slog.Duration("max_ack_wait", c.MaxAckWait), slog.Int("max_queries", c.MaxQueries), slog.Int("max_cats", c.MaxCats), slog.Duration("query_timeout", c.QueryTimeout),
		slog.Int("max_async", c.MaxAsync), slog.Int64("max_async_memory", c.MaxAsyncMemory), slog.Duration("async_keep", c.AsyncKeep),
		slog.Duration("read_timeout", c.ReadTimeout), slog.Int("max_connections", c.MaxConnections), slog.Duration("drain_time", c.DrainTime),
	)
}
