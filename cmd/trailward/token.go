package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"trailward"
	"trailward/auth"
	"trailward/internal/term"
)

// tokenFile is the file of the tokens in a data directory.
const tokenFile = "tokens.json"

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token; its secret is shown once."`
	List   tokenListCmd   `cmd:"" help:"List the tokens, without their secrets."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token; it is refused from the next request on."`
}

// tokenPlace is where tokens are kept. A server follows the file while it runs.
type tokenPlace struct {
	Data string `placeholder:"DIR" help:"Data directory (default ${data}; $$TRAILWARD_DATA)."`
}

type tokenCreateCmd struct {
	tokenPlace `embed:""`

	Role    string   `required:"" enum:"reader,writer,admin" placeholder:"ROLE" help:"What it may do: reader, writer or admin."`
	Group   []string `sep:"none" placeholder:"PATTERN" help:"Log group that it may reach; a * at the end takes all that begin so. Repeat for more. Default: every group."`
	Kind    []string `sep:"none" placeholder:"KIND" help:"Kind of record that a writer may write. Repeat for more. Default: every kind."`
	Name    string   `placeholder:"TEXT" help:"What it is for, for the list."`
	Expires string   `placeholder:"T" help:"When it ends: a time (RFC 3339) or a span from now such as 12h or 90d. Default: never."`
}

func (tokenCreateCmd) Help() string {
	return `The secret goes to stdout, once; only its hash is kept, in DIR/tokens.json. A running server accepts it at once.

Examples:

  trailward token create --role writer --group /eks/prod/audit --kind k8s.audit --expires 90d > audit.token
  trailward token create --role reader --group '/eks/*' --name "team blue" > blue.token
  trailward query --server https://logs.example:7300 --token-file blue.token 'stats count(*) by @log'`
}

// openTokens opens the token file of a data directory, which is made when it
// is not there: a server beyond loopback needs a token before its first start.
func openTokens(a *app, f *tokenPlace, create bool) (*auth.Store, string, error) {
	dir := (&dataFlags{Data: f.Data}).locate(a.getenv).data
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, "", fmt.Errorf("make data directory: %w", err)
		}
	} else if _, err := os.Stat(dir); err != nil {
		return nil, "", fmt.Errorf("open data directory: %w; name it with --data DIR", err)
	}
	s, err := auth.OpenStore(filepath.Join(dir, tokenFile), nil)
	return s, dir, err
}

func (c *tokenCreateCmd) Run(a *app) error {
	t := auth.Token{Name: c.Name, Role: auth.Role(c.Role), Groups: c.Group}
	if len(t.Groups) == 0 {
		t.Groups = []string{"*"}
	}
	for _, k := range c.Kind {
		t.Kinds = append(t.Kinds, trailward.Kind(k))
	}
	if c.Expires != "" {
		at, err := parseExpiry(c.Expires, time.Now())
		if err != nil {
			return err
		}
		t.Expires = at
	}
	if err := t.Validate(); err != nil {
		return usageError{err}
	}
	s, _, err := openTokens(a, &c.tokenPlace, true)
	if err != nil {
		return err
	}
	made, secret, err := s.Create(t)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "token %s made; this is the only time that its secret is shown\n", made.ID)
	_, err = fmt.Fprintln(a.stdout, secret)
	return err
}

// parseExpiry reads a time or a span from now; a span may be in days.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return now.AddDate(0, 0, int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, usagef("--expires %q: want a time such as 2027-01-31T00:00:00Z or a span such as 12h or 90d", s)
}

type tokenListCmd struct {
	tokenPlace `embed:""`
}

func (tokenListCmd) Help() string {
	return "Example:\n\n  trailward token list --data /var/lib/trailward"
}

func (c *tokenListCmd) Run(a *app) error {
	s, _, err := openTokens(a, &c.tokenPlace, false)
	if err != nil {
		return err
	}
	list, err := s.List()
	if err != nil {
		return err
	}
	table := term.NewTable(a.stdout, a.width(), []term.Column{
		{Name: "id"}, {Name: "role"}, {Name: "groups"}, {Name: "kinds"}, {Name: "created"}, {Name: "expires"}, {Name: "name"},
	})
	now := time.Now()
	for _, t := range list {
		var kinds []string
		for _, k := range t.Kinds {
			kinds = append(kinds, string(k))
		}
		expires := "never"
		switch {
		case t.Expired(now):
			expires = "expired"
		case !t.Expires.IsZero():
			expires = t.Expires.Format(time.RFC3339)
		}
		if err := table.Row([]string{
			t.ID, string(t.Role), strings.Join(t.Groups, " "), strings.Join(kinds, " "), t.Created.Format(time.RFC3339), expires, t.Name,
		}); err != nil {
			return err
		}
	}
	return table.Close()
}

type tokenRevokeCmd struct {
	tokenPlace `embed:""`
	ID         string `arg:"" help:"The token's id, as list shows it."`
}

func (tokenRevokeCmd) Help() string {
	return "Example:\n\n  trailward token revoke 3f9c01a2b4d5e6f7"
}

func (c *tokenRevokeCmd) Run(a *app) error {
	s, dir, err := openTokens(a, &c.tokenPlace, false)
	if err != nil {
		return err
	}
	if err := s.Revoke(c.ID); err != nil {
		return fmt.Errorf("%w in %s; `trailward token list` shows them", err, dir)
	}
	return nil
}
