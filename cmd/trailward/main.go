// Command trailward keeps every security-relevant record of an estate and
// answers questions about it. `trailward --help` lists what it does. It gets
// arguments, the environment and standard input, and gives answers on standard
// output, messages on standard error, and an exit status.
//
// This package is flags, signals and wiring: it is the only place where the
// packages of the project meet. A command is a struct with its flags, a Run
// method, and a file of its own; what a command needs of the place that it
// looks at is the interface backend, which a data directory (local.go) and a
// server (remote.go) both are.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"trailward/api"
	"trailward/internal/term"
	"trailward/query"
)

// Exit statuses, as DESIGN.md promises them.
const (
	exitGood  = 0
	exitNo    = 1 // the answer is no: the query failed, damage was found
	exitUsage = 2
)

// cli is the command line. The order here is the order in the help.
type cli struct {
	Server     serverCmd     `cmd:"" help:"Run everything in one process: intake, store, queries, HTTP API."`
	Ingest     ingestCmd     `cmd:"" help:"Load files into a data directory or a running server."`
	Query      queryCmd      `cmd:"" help:"Ask in CloudWatch Logs Insights QL."`
	SQL        sqlCmd        `cmd:"" name:"sql" help:"Ask in SQL."`
	Tail       tailCmd       `cmd:"" help:"Show records as they are stored."`
	Cat        catCmd        `cmd:"" help:"Write the original records of a group, byte for byte."`
	Groups     groupsCmd     `cmd:"" help:"List the log groups."`
	Lookup     lookupCmd     `cmd:"" help:"Make, list and remove the tables that the query command lookup looks into."`
	Verify     verifyCmd     `cmd:"" help:"Check the whole store against its ledger, or prove one record."`
	Retention  retentionCmd  `cmd:"" help:"List and set how long records are kept."`
	Hold       holdCmd       `cmd:"" help:"List, set and release legal holds."`
	Keys       keysCmd       `cmd:"" help:"List and rotate the keys that everything is encrypted under."`
	Backup     backupCmd     `cmd:"" help:"Copy the whole store, consistently."`
	Restore    restoreCmd    `cmd:"" help:"Put a backup in place, or make a lost catalog again."`
	Token      tokenCmd      `cmd:"" help:"Make, list and revoke the tokens that a server accepts."`
	Demo       demoCmd       `cmd:"" help:"Show it all on sample data: a server, six questions, their answers."`
	Completion completionCmd `cmd:"" help:"Print a completion script for the shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

const about = `Trailward keeps the trail: every security-relevant record of a Kubernetes estate, encrypted and byte for byte, and answers questions about it.

Try it: trailward demo`

// app is what every command gets: where to read and write, and how to reach a
// place. Tests put their own in.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	open   func(context.Context, location) (backend, error)
	model  *kong.Application
}

// usageError is a fault in how the command was called; the exit status is 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ^C ends at once
	code := run(&app{
		ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, open: openBackend,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// exited carries kong's wish to end (after --help) through its parser.
type exited int

// run does what args say and returns the exit status.
func run(a *app, args []string) (code int) {
	defer func() {
		if e := recover(); e != nil {
			n, ok := e.(exited)
			if !ok {
				panic(e)
			}
			code = int(n)
		}
	}()
	parser, err := newParser(a)
	if err != nil {
		fmt.Fprintln(a.stderr, "trailward:", err)
		return exitUsage
	}
	a.model = parser.Model
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(protectQuery(args))
	if err != nil {
		what := "trailward"
		var pe *kong.ParseError
		if errors.As(err, &pe) && pe.Context != nil && pe.Context.Command() != "" {
			what += " " + firstWord(pe.Context.Command())
		}
		fmt.Fprintf(a.stderr, "trailward: %s; see `%s --help`\n", oneLine(err.Error()), what)
		return exitUsage
	}
	if err := k.Run(a); err != nil {
		return report(a, firstWord(k.Command()), err)
	}
	return exitGood
}

func newParser(a *app) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("trailward"), kong.Description(about),
		kong.Vars{"data": defaultData, "listen": api.DefaultListen, "kinds": kindNames()},
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.WithHyphenPrefixedParameters(true), // --start -1h
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
	)
}

// report writes err as one line (a fault in a query's text adds the line and a
// caret) and returns the exit status.
func report(a *app, command string, err error) int {
	if errors.Is(err, context.Canceled) && a.ctx.Err() != nil {
		fmt.Fprintf(a.stderr, "trailward: %s: interrupted\n", command)
		return exitNo
	}
	fmt.Fprintf(a.stderr, "trailward: %s: %s\n", command, oneLine(err.Error()))
	var fault *faultIn
	if errors.As(err, &fault) {
		fault.point(a.stderr)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitNo
}

// protectQuery moves arguments that begin with a SQL comment behind "--", so
// that they are not taken for a flag: no flag has a space before its "=".
func protectQuery(args []string) []string {
	var out, texts []string
	for i, arg := range args {
		if arg == "--" {
			return append(append(out, args[i:]...), texts...)
		}
		space, equal := strings.IndexAny(arg, " \t\r\n"), strings.IndexByte(arg, '=')
		if strings.HasPrefix(arg, "--") && space > 0 && (equal < 0 || space < equal) {
			texts = append(texts, arg)
			continue
		}
		out = append(out, arg)
	}
	if texts == nil {
		return out
	}
	return append(append(out, "--"), texts...)
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// oneLine keeps an error on one line and off the terminal's controls, whatever
// it quotes.
func oneLine(s string) string {
	return term.Clean(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " "))
}

// faultIn is a fault in the text of a query, with the text.
type faultIn struct {
	fault *query.Error
	text  string
}

func (f *faultIn) Error() string { return f.fault.Error() }
func (f *faultIn) Unwrap() error { return f.fault }
