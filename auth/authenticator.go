package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrRefused means that a token is malformed, unknown, revoked or expired. Which
// of these it was is not said.
var ErrRefused = errors.New("token refused")

// LimitedError means that too many tokens from the address were refused, and
// that this one was not looked at. Try again after Wait.
type LimitedError struct{ Wait time.Duration }

func (e *LimitedError) Error() string {
	return fmt.Sprintf("too many refused tokens from this address: wait %v", e.Wait.Round(time.Second))
}

// Authenticator checks bearer tokens against a [Store] and slows down whoever
// presents wrong ones. Its methods may be called at once.
type Authenticator struct {
	store *Store
	lim   *limiter
}

// NewAuthenticator returns an authenticator over the store.
func NewAuthenticator(s *Store) *Authenticator {
	return &Authenticator{store: s, lim: newLimiter(s.now)}
}

// Active returns how many tokens would be accepted now.
func (a *Authenticator) Active() (int, error) { return a.store.Active() }

// Authenticate gives the principal of a bearer token that came from the
// address. It fails with [ErrRefused], a [*LimitedError], or (any other error)
// because the token file cannot be read, when nobody is let in.
//
// It does the same work whether the token's id exists or not.
func (a *Authenticator) Authenticate(from netip.Addr, bearer string) (Principal, error) {
	ids, err := a.store.entries()
	if err != nil {
		return Principal{}, err
	}
	id, wellFormed := secretID(bearer)
	now := a.store.now()
	var p Principal
	wait := a.lim.try(from, id, func() bool {
		sum := sha256.Sum256([]byte(bearer))
		e, known := ids[id]
		want := hash{}
		if known {
			want = e.Hash
		}
		equal := subtle.ConstantTimeCompare(sum[:], want[:]) == 1
		if !wellFormed || !known || !equal || e.expired(now) {
			return false
		}
		p = e.principal()
		return true
	})
	switch {
	case wait > 0:
		return Principal{}, &LimitedError{Wait: wait}
	case p.Name == "":
		return Principal{}, ErrRefused
	}
	return p, nil
}
