// Package client talks to a Trailward server over HTTP: it sends batches of
// records and reads answers as they stream in. The command line uses it for
// --server, an agent to ship records.
//
//	c, err := client.New(client.Options{Server: "https://logs.example:7300", TokenFile: "token", CAFile: "ca.crt"})
//	res, err := c.Ingest(ctx, "/eks/prod/audit", "apiserver-1", "", "", body)
//
// Sending is safe to repeat: every batch has an id, and the client repeats with
// the same id and the same bytes until the server has answered, so that a batch
// is stored once however often the connection breaks.
//
// It imports no engine and no store, so that an agent stays small.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Defaults of [Options], and limits of what the client takes from a server.
const (
	DefaultServer  = "http://127.0.0.1:7300"
	DefaultTries   = 10
	DefaultMaxWait = 30 * time.Second
	DefaultTimeout = 90 * time.Second // longer than the server lets a question run

	maxAnswer    = 64 << 20 // bytes of an answer that is one JSON value
	maxTokenFile = 4 << 10
	maxCAFile    = 1 << 20
	firstWait    = 200 * time.Millisecond
)

// Options say which server and how. The zero value of every field means its
// default.
type Options struct {
	// Server is http://HOST:PORT or https://HOST:PORT. Default [DefaultServer].
	Server string
	// TokenFile holds the bearer token. It is read again when it changes, as
	// Kubernetes replaces projected secrets. A token goes over TLS or to
	// loopback only. Default: no token.
	TokenFile string
	// CAFile holds PEM certificates to trust instead of the system's.
	CAFile string
	// Tries bounds how often a request is sent in all; MaxWait bounds each wait
	// between two tries, also one that the server asks for.
	Tries   int
	MaxWait time.Duration
	// Timeout bounds the wait for an answer to begin once a request was sent.
	Timeout time.Duration
	// Uncompressed sends bodies as they are; default: zstd.
	Uncompressed bool
	// Wait, for tests, replaces waiting between two tries.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client is safe for concurrent use.
type Client struct {
	opts  Options
	base  *url.URL
	http  *http.Client
	plain bool // no TLS, beyond loopback: a token must not be sent

	mu        sync.Mutex
	token     string
	tokenInfo fs.FileInfo // of the file that token came from
}

// New checks the options and reads the files that they name. It does not
// connect.
func New(opts Options) (*Client, error) {
	if opts.Server == "" {
		opts.Server = DefaultServer
	}
	if opts.Tries == 0 {
		opts.Tries = DefaultTries
	}
	if opts.MaxWait == 0 {
		opts.MaxWait = DefaultMaxWait
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Wait == nil {
		opts.Wait = wait
	}
	if opts.Tries < 0 || opts.MaxWait < 0 || opts.Timeout < 0 {
		return nil, errors.New("client: tries and times must not be negative")
	}
	u, err := url.Parse(opts.Server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("server %q: want http://HOST:PORT or https://HOST:PORT", redact(opts.Server))
	}
	u.Path = ""
	c := &Client{opts: opts, base: u, plain: u.Scheme == "http" && !loopback(u.Hostname())}
	if opts.TokenFile != "" {
		if c.plain {
			return nil, fmt.Errorf("server %s: a token would travel in the clear: use https", u)
		}
		if _, err := c.bearer(); err != nil {
			return nil, err
		}
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if opts.CAFile != "" {
		pem, err := readSmall(opts.CAFile, maxCAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA file %s: it holds no PEM certificate", opts.CAFile)
		}
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       tlsConfig,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: opts.Timeout,
			ExpectContinueTimeout: time.Second,
			IdleConnTimeout:       60 * time.Second,
			MaxIdleConnsPerHost:   16,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true,
		},
		// A server of ours never redirects, and a token must not follow one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close frees idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// redact takes a password out of a URL that somebody wrote into the server's.
func redact(s string) string {
	if i, j := strings.Index(s, "://"), strings.LastIndex(s, "@"); j >= 0 {
		if i < 0 || i > j {
			return s[j+1:]
		}
		return s[:i+3] + s[j+1:]
	}
	return s
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// bearer returns the token, read again when its file has changed.
func (c *Client) bearer() (string, error) {
	if c.opts.TokenFile == "" {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.opts.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read token file: %w", err)
	}
	if old := c.tokenInfo; old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() {
		return c.token, nil
	}
	data, err := readSmall(c.opts.TokenFile, maxTokenFile)
	if err != nil {
		return "", fmt.Errorf("read token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("read token file %s: it does not hold one token", c.opts.TokenFile)
	}
	c.token, c.tokenInfo = token, info
	return token, nil
}

// Error is what the server answered instead of what was asked for.
type Error struct {
	Status  int // HTTP status; 0 for an error that ended an answer after rows were sent
	Message string
	Line    int // of a fault in a query's text, from 1; 0: unknown
	Column  int
	Hint    string
	after   time.Duration // the server's Retry-After; -1: none
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	if e.Status != 0 && e.Status != http.StatusBadRequest {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	return b.String()
}

// again reports whether sending the same once more may help. safe says that it does
// no harm if the server has done already what it was asked for, of which a proxy's
// answer says nothing.
func (e *Error) again(safe bool) bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusGatewayTimeout: // it broke off on its way, there or back
		return safe
	}
	return false
}

// call is one request that may be sent several times.
type call struct {
	method, path string
	params       url.Values
	header       http.Header
	body         []byte
	out          any  // when set, the answer is one JSON value that is read into it
	safe         bool // doing it twice is doing it once: try again after a broken connection too, not only when the server asks for it
	once         bool // do not try again at all
}

// do sends the call until it is answered with 200. The caller closes the body,
// unless the call has an out.
func (c *Client) do(ctx context.Context, k call) (*http.Response, error) {
	u := *c.base
	u.Path = k.path
	u.RawQuery = k.params.Encode()
	var last error
	for try := 1; ; try++ {
		resp, err := c.send(ctx, k, u.String())
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			if last != nil {
				return nil, fmt.Errorf("%s %s: %w; the try before: %w", k.method, u.Redacted(), ctx.Err(), last)
			}
			return nil, fmt.Errorf("%s %s: %w", k.method, u.Redacted(), ctx.Err())
		}
		last = err
		var answer *Error
		isAnswer := errors.As(err, &answer)
		if k.once || try >= c.opts.Tries || isAnswer && !answer.again(k.safe) || !isAnswer && (!k.safe || permanent(err)) {
			return nil, err
		}
		d := backoff(try)
		if isAnswer && answer.after >= 0 {
			d = answer.after
		}
		if err := c.opts.Wait(ctx, min(d, c.opts.MaxWait)); err != nil {
			return nil, fmt.Errorf("%s %s: %w; the try before: %w", k.method, u.Redacted(), err, last)
		}
	}
}

func (c *Client) send(ctx context.Context, k call, target string) (*http.Response, error) {
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, err
	}
	for name, v := range k.header {
		req.Header[name] = v
	}
	token, err := c.bearer()
	if err != nil {
		return nil, &localError{err}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("User-Agent", "trailward")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK && k.out == nil {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil, readJSON(resp.Body, k)
	}
	e := &Error{Status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || !e.decode(data) {
		e.Message = "the server answered " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)
	}
	return nil, e
}

// localError is a fault on our side that another try does not heal.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

// permanent reports whether a failed connection will fail again for sure.
func permanent(err error) bool {
	var local *localError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &local) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &notTLS)
}

// decode reads the server's JSON form of an error.
func (e *Error) decode(data []byte) bool {
	var b struct {
		Error struct {
			Message string `json:"message"`
			Line    int    `json:"line"`
			Column  int    `json:"column"`
			Hint    string `json:"hint"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &b) != nil || b.Error.Message == "" {
		return false
	}
	e.Message, e.Line, e.Column, e.Hint = b.Error.Message, b.Error.Line, b.Error.Column, b.Error.Hint
	return true
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110
// section 10.2.3). -1 means that it says nothing.
func retryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return -1
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return -1
}

// backoff doubles from try to try, up to ten seconds, and is drawn from the
// upper half so that many clients do not come back at once.
func backoff(try int) time.Duration {
	d := min(firstWait<<min(try-1, 10), 10*time.Second)
	return d/2 + rand.N(d/2)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readJSON reads an answer that is one JSON value.
func readJSON(r io.Reader, k call) error {
	data, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", k.path, err)
	}
	if len(data) > maxAnswer {
		return &localError{fmt.Errorf("read the answer of %s: it is larger than %d bytes", k.path, maxAnswer)}
	}
	if err := json.Unmarshal(data, k.out); err != nil {
		return &localError{fmt.Errorf("read the answer of %s: %w", k.path, err)}
	}
	return nil
}

func (c *Client) getJSON(ctx context.Context, k call, out any) error {
	k.out = out
	_, err := c.do(ctx, k)
	return err
}
