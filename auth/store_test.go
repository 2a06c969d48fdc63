package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trailward"
)

// testClock is a clock that a test sets.
type testClock struct{ ns atomic.Int64 }

func newClock() *testClock {
	c := &testClock{}
	c.ns.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *testClock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *testClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func openTest(t *testing.T, c *testClock) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "tokens.json"), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *Store, tok Token) (Token, string) {
	t.Helper()
	got, secret, err := s.Create(tok)
	if err != nil {
		t.Fatalf("Create(%v) = %v", tok, err)
	}
	return got, secret
}

var home = netip.MustParseAddr("192.0.2.7")

func TestTokenLife(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	tok, secret := create(t, s, Token{Name: "audit webhook", Role: Writer, Groups: []string{"/eks/*"}, Kinds: []trailward.Kind{trailward.KindK8sAudit}})
	if len(secret) != bearerLen || !strings.HasPrefix(secret, "tw_"+tok.ID+"_") {
		t.Fatalf("Create() gave the secret %q, want tw_%s_… of %d bytes", secret, tok.ID, bearerLen)
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if part := secret[len("tw_")+idLen+1:]; strings.Contains(string(data), part) {
		t.Errorf("the token file holds the secret")
	}
	info, err := os.Stat(s.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the token file = %v, %v, want 0600", info.Mode(), err)
	}

	// Another process opens the same file.
	other, err := OpenStore(s.path, c.now)
	if err != nil {
		t.Fatal(err)
	}
	a := NewAuthenticator(other)
	p, err := a.Authenticate(home, secret)
	if err != nil || p.Name != "token:"+tok.ID || p.Role != Writer || !p.May(Write, "/eks/x", trailward.KindK8sAudit) {
		t.Errorf("Authenticate(secret) = %+v, %v, want the writer's principal", p, err)
	}
	if n, err := a.Active(); n != 1 || err != nil {
		t.Errorf("Active() = %d, %v, want 1", n, err)
	}

	// A token that one process revokes is dead in the other at once.
	if err := s.Revoke(tok.ID); err != nil {
		t.Fatal(err)
	}
	if p, err := a.Authenticate(home, secret); !errors.Is(err, ErrRefused) || p.Name != "" {
		t.Errorf("Authenticate(revoked) = %+v, %v, want %v", p, err, ErrRefused)
	}
	if err := s.Revoke(tok.ID); !errors.Is(err, ErrUnknownToken) {
		t.Errorf("Revoke(unknown) = %v, want %v", err, ErrUnknownToken)
	}
}

func TestTokenExpiry(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	_, secret := create(t, s, Token{Role: Reader, Groups: []string{"*"}, Expires: c.now().Add(time.Hour)})
	a := NewAuthenticator(s)
	if _, err := a.Authenticate(home, secret); err != nil {
		t.Errorf("Authenticate(before its end) = %v, want nil", err)
	}
	c.advance(time.Hour)
	if _, err := a.Authenticate(home, secret); !errors.Is(err, ErrRefused) {
		t.Errorf("Authenticate(at its end) = %v, want %v", err, ErrRefused)
	}
	if n, err := s.Active(); n != 0 || err != nil {
		t.Errorf("Active() = %d, %v, want 0", n, err)
	}
	if _, _, err := s.Create(Token{Role: Reader, Groups: []string{"*"}, Expires: c.now()}); err == nil {
		t.Error("Create(expired) = nil, want an error")
	}
}

func TestRefusedSecrets(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	first, secret := create(t, s, Token{Role: Reader, Groups: []string{"*"}})
	second, secret2 := create(t, s, Token{Role: Admin, Groups: []string{"*"}})
	swapped := "tw_" + second.ID + secret[len("tw_")+idLen:]
	tests := map[string]string{
		"empty":             "",
		"prefix only":       "tw_",
		"one byte short":    secret[:len(secret)-1],
		"one byte more":     secret + "A",
		"last byte changed": secret[:len(secret)-1] + string(rune(secret[len(secret)-1]^1)),
		"other token's id":  swapped,
		"unknown id":        "tw_" + strings.Repeat("0", idLen) + secret[len("tw_")+idLen:],
		"upper case id":     "tw_" + strings.ToUpper(first.ID) + secret[len("tw_")+idLen:],
		"its hash":          fmt.Sprintf("tw_%s_%s", first.ID, strings.Repeat("0", secretLen)),
		"NUL":               secret[:len(secret)-1] + "\x00",
	}
	for name, bad := range tests {
		t.Run(name, func(t *testing.T) {
			if bad == secret || bad == secret2 {
				t.Skip("happens to be the secret")
			}
			a := NewAuthenticator(s) // a fresh limit for each
			if p, err := a.Authenticate(home, bad); !errors.Is(err, ErrRefused) || p.Name != "" {
				t.Errorf("Authenticate(%q) = %+v, %v, want %v", bad, p, err, ErrRefused)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	s := openTest(t, newClock())
	tests := []struct {
		name string
		tok  Token
	}{
		{"no role", Token{Groups: []string{"*"}}},
		{"unknown role", Token{Role: "root", Groups: []string{"*"}}},
		{"no groups", Token{Role: Reader}},
		{"empty group", Token{Role: Reader, Groups: []string{""}}},
		{"star inside", Token{Role: Reader, Groups: []string{"/a/*/b"}}},
		{"two stars", Token{Role: Reader, Groups: []string{"a**"}}},
		{"space", Token{Role: Reader, Groups: []string{"a b"}}},
		{"too many groups", Token{Role: Reader, Groups: make([]string, maxPatterns+1)}},
		{"unknown kind", Token{Role: Writer, Groups: []string{"*"}, Kinds: []trailward.Kind{"tea"}}},
		{"control character in the name", Token{Name: "a\x1b[31m", Role: Reader, Groups: []string{"*"}}},
		{"long name", Token{Name: strings.Repeat("n", maxTokenName+1), Role: Reader, Groups: []string{"*"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, secret, err := s.Create(tt.tok); err == nil || secret != "" {
				t.Errorf("Create(%+v) = %v, want an error", tt.tok, err)
			}
		})
	}
	if _, err := os.Stat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat(tokens.json) = %v, want that there is no file", err)
	}
}

func TestFileRefused(t *testing.T) {
	good := func(t *testing.T) (string, []byte) {
		s := openTest(t, newClock())
		create(t, s, Token{Role: Reader, Groups: []string{"*"}})
		data, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		return s.path, data
	}
	tests := []struct {
		name string
		harm func(path string, data []byte) error
		want string
	}{
		{"others may read it", func(p string, _ []byte) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		{"cut", func(p string, d []byte) error { return os.WriteFile(p, d[:len(d)/2], 0o600) }, "EOF"},
		{"empty", func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o600) }, "EOF"},
		{"two objects", func(p string, d []byte) error { return os.WriteFile(p, append(d, d...), 0o600) }, "more after"},
		{"unknown field", func(p string, d []byte) error {
			return os.WriteFile(p, []byte(strings.Replace(string(d), `"role"`, `"rôle": "x", "role"`, 1)), 0o600)
		}, "unknown field"},
		{"later version", func(p string, d []byte) error {
			return os.WriteFile(p, []byte(strings.Replace(string(d), `"version": 1`, `"version": 2`, 1)), 0o600)
		}, "version is 2"},
		{"no hash", func(p string, d []byte) error {
			return os.WriteFile(p, []byte(`{"version":1,"tokens":[{"id":"0123456789abcdef","role":"admin","groups":["*"],"created":"2026-01-01T00:00:00Z"}]}`), 0o600)
		}, "no sha256"},
		{"null token", func(p string, d []byte) error {
			return os.WriteFile(p, []byte(`{"version":1,"tokens":[null]}`), 0o600)
		}, "no id"},
		{"too large", func(p string, d []byte) error {
			return os.WriteFile(p, []byte(strings.Repeat(" ", maxFile+1)), 0o600)
		}, "larger"},
		{"a folder", func(p string, d []byte) error { os.Remove(p); return os.Mkdir(p, 0o700) }, "regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, data := good(t)
			running, err := OpenStore(path, newClock().now)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.harm(path, data); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenStore(path, newClock().now); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("OpenStore() = %v, want an error with %q", err, tt.want)
			}
			// A running server lets nobody in rather than trust what it had.
			if _, err := NewAuthenticator(running).Authenticate(home, "tw_x"); err == nil || errors.Is(err, ErrRefused) {
				t.Errorf("Authenticate() over a bad file = %v, want that it cannot be read", err)
			}
		})
	}
}

// TestConcurrentChanges has two stores over one file change it at once: no
// change is lost.
func TestConcurrentChanges(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	other, err := OpenStore(s.path, c.now)
	if err != nil {
		t.Fatal(err)
	}
	const n = 20
	var wg sync.WaitGroup
	for _, st := range []*Store{s, other} {
		for range n {
			wg.Go(func() {
				tok, _, err := st.Create(Token{Role: Reader, Groups: []string{"*"}})
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := st.Create(Token{Role: Reader, Groups: []string{"*"}}); err != nil {
					t.Error(err)
				}
				if err := st.Revoke(tok.ID); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	list, err := s.List()
	if err != nil || len(list) != 2*n {
		t.Errorf("List() = %d tokens, %v, want %d", len(list), err, 2*n)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), ".tokens-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v, want nothing", left, err)
	}
}

// TestParallelGuessing: of 500 wrong tokens at once no more than the limit are
// looked at.
func TestParallelGuessing(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	create(t, s, Token{Role: Reader, Groups: []string{"*"}})
	a := NewAuthenticator(s)
	var refused, limited atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			_, guess := newSecret()
			_, err := a.Authenticate(home, guess)
			var l *LimitedError
			switch {
			case errors.Is(err, ErrRefused):
				refused.Add(1)
			case errors.As(err, &l):
				limited.Add(1)
				if l.Wait <= 0 || l.Wait > failureWindow {
					t.Errorf("Wait = %v, want up to %v", l.Wait, failureWindow)
				}
			default:
				t.Errorf("Authenticate(guess) = %v", err)
			}
		})
	}
	wg.Wait()
	if refused.Load() != maxFailures || limited.Load() != 500-maxFailures {
		t.Errorf("%d looked at and %d limited, want %d and %d", refused.Load(), limited.Load(), maxFailures, 500-maxFailures)
	}
}

func TestLimits(t *testing.T) {
	c := newClock()
	s := openTest(t, c)
	_, secret := create(t, s, Token{Role: Reader, Groups: []string{"*"}})
	_, guess := newSecret()
	isLimited := func(err error) bool {
		var l *LimitedError
		return errors.As(err, &l)
	}
	exhaust := func(a *Authenticator, addr netip.Addr) {
		for range maxFailures {
			if _, err := a.Authenticate(addr, guess); !errors.Is(err, ErrRefused) {
				t.Fatalf("Authenticate(guess) = %v, want %v", err, ErrRefused)
			}
		}
	}
	t.Run("a newcomer is locked out with its address", func(t *testing.T) {
		a := NewAuthenticator(s)
		exhaust(a, home)
		if _, err := a.Authenticate(home, secret); !isLimited(err) {
			t.Errorf("Authenticate(secret) = %v, want the limit", err)
		}
		c.advance(failureWindow)
		if _, err := a.Authenticate(home, secret); err != nil {
			t.Errorf("Authenticate(secret) after the window = %v, want nil", err)
		}
	})
	t.Run("a token that has worked is not", func(t *testing.T) {
		a := NewAuthenticator(s)
		if _, err := a.Authenticate(home, secret); err != nil {
			t.Fatal(err)
		}
		exhaust(a, home)
		if _, err := a.Authenticate(home, guess); !isLimited(err) {
			t.Errorf("Authenticate(guess) = %v, want the limit", err)
		}
		if _, err := a.Authenticate(home, secret); err != nil {
			t.Errorf("Authenticate(secret) = %v, want nil", err)
		}
	})
	t.Run("its own wrong secrets are counted", func(t *testing.T) {
		a := NewAuthenticator(s)
		if _, err := a.Authenticate(home, secret); err != nil {
			t.Fatal(err)
		}
		wrong := secret[:len(secret)-2] + "AA"
		for range maxFailures {
			a.Authenticate(home, wrong)
		}
		if _, err := a.Authenticate(home, secret); !isLimited(err) {
			t.Errorf("Authenticate(secret) = %v, want the limit", err)
		}
	})
	t.Run("other addresses are not touched", func(t *testing.T) {
		a := NewAuthenticator(s)
		exhaust(a, home)
		if _, err := a.Authenticate(netip.MustParseAddr("192.0.2.8"), secret); err != nil {
			t.Errorf("Authenticate(secret) = %v, want nil", err)
		}
	})
	t.Run("an IPv6 host is its /64", func(t *testing.T) {
		a := NewAuthenticator(s)
		exhaust(a, netip.MustParseAddr("2001:db8::1"))
		if _, err := a.Authenticate(netip.MustParseAddr("2001:db8::ffff"), guess); !isLimited(err) {
			t.Errorf("Authenticate(guess) = %v, want the limit", err)
		}
	})
	t.Run("a full table counts newcomers together", func(t *testing.T) {
		a := NewAuthenticator(s)
		base := netip.MustParseAddr("10.0.0.0")
		for range maxTracked {
			a.Authenticate(base, guess)
			base = base.Next()
		}
		if n := len(a.lim.counts); n != maxTracked {
			t.Fatalf("%d addresses are remembered, want %d", n, maxTracked)
		}
		exhaust(a, base)
		if _, err := a.Authenticate(netip.MustParseAddr("172.16.0.1"), guess); !isLimited(err) {
			t.Errorf("Authenticate(guess) = %v, want the limit", err)
		}
		c.advance(failureWindow)
		if _, err := a.Authenticate(netip.MustParseAddr("172.16.0.1"), guess); !errors.Is(err, ErrRefused) || len(a.lim.counts) > 2 {
			t.Errorf("Authenticate(guess) after the window = %v with %d remembered, want %v and the table swept", err, len(a.lim.counts), ErrRefused)
		}
	})
}

func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"tokens":[]}`))
	f.Add([]byte(`{"version":1,"tokens":[{"id":"0123456789abcdef","role":"admin","groups":["*"],"kinds":["json"],"created":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00Z","sha256":"` + strings.Repeat("ab", 32) + `"}]}`))
	f.Add([]byte(strings.Repeat(`[`, 20000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decode(data)
		if err != nil {
			return
		}
		for _, e := range d.Tokens {
			if err := e.Validate(); err != nil || !validID(e.ID) || e.Hash == (hash{}) {
				t.Errorf("decode(%q) let the token %+v through: %v", data, e, err)
			}
		}
	})
}

func FuzzSecretID(f *testing.F) {
	_, secret := newSecret()
	f.Add(secret)
	f.Add("tw_0123456789abcdef_")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := secretID(s); ok && (!validID(id) || !strings.HasPrefix(s, "tw_"+id+"_")) {
			t.Errorf("secretID(%q) = %q, true", s, id)
		}
	})
}
