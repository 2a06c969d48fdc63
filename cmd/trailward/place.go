package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"trailward"
	"trailward/api"
	"trailward/internal/term"
	"trailward/query"
)

// defaultData is the data directory when nothing else is said.
const defaultData = "./trailward-data"

// location says where a command looks: a data directory or a server.
type location struct {
	data      string // directory, when server is empty
	keyFile   string
	memory    string // folder of the user's memory of checkpoints; may be empty
	server    string // URL
	tokenFile string
	caFile    string
	create    bool // make the data directory when it is not there
}

// dataFlags are the flags of a command that works on a data directory only.
type dataFlags struct {
	Data    string `placeholder:"DIR" help:"Data directory (default ${data}; $$TRAILWARD_DATA)."`
	KeyFile string `placeholder:"FILE" help:"Key file, when it is not in the data directory ($$TRAILWARD_KEY_FILE)."`
}

// placeFlags are the flags of a command that works on a data directory and on
// a server alike.
type placeFlags struct {
	dataFlags `embed:""`
	Server    string `placeholder:"URL" help:"Ask a running server instead of a data directory ($$TRAILWARD_SERVER)."`
	TokenFile string `placeholder:"FILE" help:"File with the token for --server ($$TRAILWARD_TOKEN_FILE)."`
	CAFile    string `name:"ca-file" placeholder:"FILE" help:"PEM file of the authorities to trust for --server ($$TRAILWARD_CA_FILE)."`
}

// locate applies the environment. A flag goes before a variable: with --data,
// TRAILWARD_SERVER is not looked at, and the other way round.
func (f *dataFlags) locate(getenv func(string) string) location {
	loc := location{data: f.Data, keyFile: f.KeyFile, memory: stateDir(getenv)}
	if loc.data == "" {
		loc.data = getenv("TRAILWARD_DATA")
	}
	if loc.data == "" {
		loc.data = defaultData
	}
	if loc.keyFile == "" {
		loc.keyFile = getenv("TRAILWARD_KEY_FILE")
	}
	return loc
}

func (f *placeFlags) locate(getenv func(string) string) (location, error) {
	server := f.Server
	if server == "" && f.Data == "" {
		server = getenv("TRAILWARD_SERVER")
		if server != "" && getenv("TRAILWARD_DATA") != "" {
			return location{}, usagef("TRAILWARD_DATA and TRAILWARD_SERVER are both set: unset one, or pass --data or --server")
		}
	}
	if server == "" {
		if f.TokenFile != "" || f.CAFile != "" {
			return location{}, usagef("--token-file and --ca-file go with --server URL")
		}
		return f.dataFlags.locate(getenv), nil
	}
	if f.Data != "" {
		return location{}, usagef("--data and --server exclude each other: pass one")
	}
	if f.KeyFile != "" {
		return location{}, usagef("--key-file goes with --data: a server has its own key")
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return location{}, usagef("server %q: want a URL such as http://%s", server, api.DefaultListen)
	}
	loc := location{server: server, tokenFile: f.TokenFile, caFile: f.CAFile, memory: stateDir(getenv)}
	if loc.tokenFile == "" {
		loc.tokenFile = getenv("TRAILWARD_TOKEN_FILE")
	}
	if loc.caFile == "" {
		loc.caFile = getenv("TRAILWARD_CA_FILE")
	}
	return loc, nil
}

// with opens the place that the flags name and hands it to fn.
func (a *app) with(f *placeFlags, fn func(backend) error) error {
	return a.withPlace(f, false, fn)
}

// withPlace is with; create says that a data directory is made when it is not
// there.
func (a *app) withPlace(f *placeFlags, create bool, fn func(backend) error) (err error) {
	loc, err := f.locate(a.getenv)
	if err != nil {
		return err
	}
	loc.create = create
	b, err := a.open(a.ctx, loc)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := b.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close %s: %w", loc, cerr)
		}
	}()
	return fn(b)
}

// place is what the user's memory of checkpoints calls a server: its URL without
// a slash at the end.
func (l location) place() string { return strings.TrimRight(l.server, "/") }

func (l location) String() string {
	if l.server != "" {
		return l.server
	}
	return l.data
}

// backend is what commands need of the place that they look at.
type backend interface {
	// Ingest loads files and returns what became of their records. With an
	// error, the result says what had been stored until then.
	Ingest(ctx context.Context, job ingestJob) (api.IngestResult, error)
	// Query begins a question; a fault in its text is a *query.Error.
	Query(ctx context.Context, r query.Request) (query.Rows, error)
	// Cat calls fn with the bytes of every record of a group, or of one stream
	// of it, in event-time order. The bytes are valid during fn.
	Cat(ctx context.Context, group, stream string, fn func(raw []byte) error) error
	Groups(ctx context.Context) ([]api.GroupInfo, error)
	Close() error
}

// ingestJob is what to load and where to.
type ingestJob struct {
	group      string
	stream     string         // empty: a stream for each file, named after it
	kind       trailward.Kind // empty: found by content
	paths      []string       // files and folders; "-" is stdin
	stdin      io.Reader
	progress   *term.Progress // may be nil
	digestKeys digestKeys     // nil: signatures of CloudTrail digests are not checked
	warn       func(string)   // is told of files that are damaged or passed over
}

// openBackend opens what loc names.
func openBackend(ctx context.Context, loc location) (backend, error) {
	if loc.server != "" {
		return openRemote(loc)
	}
	return openLocal(ctx, loc, loc.create, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}
