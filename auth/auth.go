// Package auth says who a caller is and what a caller may do. It gets the
// bearer token that a request carried and the address that it came from, and
// gives a [Principal]; [Principal.May] is the one function that decides, and it
// denies what it does not know.
//
// Tokens live in one small file (tokens.json, mode 0600) that holds their
// SHA-256 only. A secret has 256 random bits, so that a plain hash is enough: a
// slow password hash protects secrets that can be guessed, and these cannot.
// The file is the single source: a server looks at it on every request, so that
// a token that another process revoked is dead at once.
//
// Where tokens end (an identity provider, client certificates), another
// authenticator gives the same Principal, and nothing after it changes.
package auth

import (
	"slices"
	"strings"

	"trailward"
)

// Role is what a principal is for. The roles are not a ladder: a writer (an
// agent, an API server's webhook) reads nothing.
type Role string

// The roles.
const (
	Reader Role = "reader" // asks questions about its groups
	Writer Role = "writer" // sends records to its groups
	Admin  Role = "admin"  // both, and administers
)

// Roles lists every role in the order in which documentation names them.
var Roles = []Role{Reader, Writer, Admin}

// Valid reports whether r is one of [Roles].
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Action is what somebody wants to do.
type Action string

// The actions. [Write] concerns a group and a kind, [Read] a group, [Administer] a
// group or the server as a whole, [Observe] the server as a whole.
const (
	Read       Action = "read"       // see the records of a group
	Write      Action = "write"      // add records to a group
	Observe    Action = "observe"    // see the server's metrics
	Administer Action = "administer" // retention and holds of a group; keys, expiry, verification, backup, lookup tables
)

// ReservedPrefix begins the names of the groups that belong to the server
// itself (its own access log, its findings). No client writes to them,
// whatever its role.
const ReservedPrefix = "trailward/"

// LocalName is the name of the principal that a caller on loopback is when the
// server asks for no token.
const LocalName = "local"

// Principal is an authenticated caller. The zero Principal may do nothing.
type Principal struct {
	// Name is stable and safe to store and to log: "local", or "token:ID".
	Name string
	Role Role
	// Groups are the patterns of the groups that it may read or write (see
	// [MatchGroup]). Empty means none.
	Groups []string
	// Kinds are the kinds of record that it may write. Empty means all.
	Kinds []trailward.Kind
}

// Local returns the principal of a caller on loopback when no token is asked
// for: the owner of the machine.
func Local() Principal {
	return Principal{Name: LocalName, Role: Admin, Groups: []string{"*"}}
}

// Can reports whether the principal's role allows the action on anything at
// all. It opens a route; what is behind it is [Principal.May]'s to decide.
func (p Principal) Can(a Action) bool {
	switch p.Role {
	case Reader:
		return a == Read || a == Observe
	case Writer:
		return a == Write
	case Admin:
		return a == Read || a == Write || a == Observe || a == Administer
	}
	return false
}

// May decides whether the principal may do a to the group with records of the
// kind. The kind matters for [Write] only, where an empty one (to be found by
// content) is refused to a principal that is bound to some kinds. An empty group
// with [Administer] means the server as a whole: that takes a principal of all
// groups, since keys, expiry and a backup are about the records of every one. The
// group does not matter for [Observe].
func (p Principal) May(a Action, group string, kind trailward.Kind) bool {
	if !p.Can(a) {
		return false
	}
	switch a {
	case Observe:
		return true
	case Administer:
		if group == "" {
			return slices.Contains(p.Groups, "*")
		}
		return p.hasGroup(group)
	case Read:
		return p.hasGroup(group)
	case Write:
		if strings.HasPrefix(group, ReservedPrefix) || !p.hasGroup(group) {
			return false
		}
		return len(p.Kinds) == 0 || slices.Contains(p.Kinds, kind)
	}
	return false
}

func (p Principal) hasGroup(group string) bool {
	return slices.ContainsFunc(p.Groups, func(pattern string) bool { return MatchGroup(pattern, group) })
}

// Readable gives the group patterns that a question may touch: those that were
// asked for, or all that the principal may read when none were. The second
// result is the first pattern that reaches beyond what the principal may read,
// or empty; a question is never narrowed silently.
func (p Principal) Readable(asked []string) (groups []string, denied string) {
	if !p.Can(Read) {
		return nil, "*"
	}
	if len(asked) == 0 {
		if slices.Contains(p.Groups, "*") {
			return nil, "" // all groups: a question without a list is the cheapest one
		}
		if len(p.Groups) == 0 {
			return nil, "*"
		}
		return slices.Clone(p.Groups), ""
	}
	for _, want := range asked {
		if !slices.ContainsFunc(p.Groups, func(pattern string) bool { return coversGroup(pattern, want) }) {
			return nil, want
		}
	}
	return asked, ""
}

// MatchGroup reports whether the pattern covers the group. A pattern is a
// group's name, or a prefix followed by one "*" at the end; "*" alone covers
// every group.
func MatchGroup(pattern, group string) bool {
	if group == "" {
		return false
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(group, prefix)
	}
	return pattern == group
}

// coversGroup reports whether every group that want (a pattern too) matches is
// matched by pattern.
func coversGroup(pattern, want string) bool {
	if want == "" {
		return false
	}
	prefix, wide := strings.CutSuffix(pattern, "*")
	wanted, wantWide := strings.CutSuffix(want, "*")
	switch {
	case wide:
		return strings.HasPrefix(wanted, prefix)
	case wantWide:
		return false
	default:
		return pattern == want
	}
}

// ValidGroupPattern reports whether the pattern has the form that [MatchGroup]
// knows.
func ValidGroupPattern(pattern string) bool {
	if pattern == "" || len(pattern) > maxPattern {
		return false
	}
	name := strings.TrimSuffix(pattern, "*")
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c == '*' || c >= 0x7f {
			return false
		}
	}
	return true
}
