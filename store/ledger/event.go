package ledger

import (
	"fmt"
	"time"

	"trailward"
)

// Limits of an event.
const (
	MaxID       = 64      // bytes of a segment's id
	MaxWord     = 64      // bytes of a kind, reason, key id or version
	MaxPlace    = 256     // bytes of the name of what is damaged
	MaxSealed   = 8 << 10 // bytes of a sealed text
	MaxSegments = 4096    // inputs, and outputs, of one Replaced
)

// Type names an event in words.
type Type string

// The types.
const (
	TypeAdded     Type = "added"
	TypeReplaced  Type = "replaced"
	TypeExpired   Type = "expired"
	TypeHold      Type = "hold"
	TypeRetention Type = "retention"
	TypeKey       Type = "key"
	TypeStarted   Type = "started"
	TypeStopped   Type = "stopped"
	TypeGap       Type = "gap"
	TypeInterval  Type = "interval"
	TypeSilent    Type = "silent"
	TypeDamage    Type = "damage"
)

// Event is what an entry says happened: one of the types below.
//
// No event holds a name that came with records: groups and streams are in it
// as keyed hashes ([GroupHash]), and as sealed texts ([SealText]) where people
// have to read them, since entries stay when the records are long expired.
type Event interface {
	Type() Type
	encode(*encoder)
	check() error
}

// Segment is what the ledger says of a segment.
type Segment struct {
	ID           string         `json:"id"`
	Group        Hash           `json:"group"` // keyed, see GroupHash
	Kind         trailward.Kind `json:"kind"`
	Rows         int64          `json:"rows"`
	FirstTime    int64          `json:"first_time"` // event times, ns since 1970, inclusive
	LastTime     int64          `json:"last_time"`
	FirstArrival int64          `json:"first_arrival"`
	LastArrival  int64          `json:"last_arrival"`
	Root         Hash           `json:"root"` // of the tree over its records
	Sum          Hash           `json:"sum"`  // SHA-256 of the sealed object
	Size         int64          `json:"size"` // of the sealed object, bytes
}

// Added says that a segment came into the store.
type Added struct{ Segment }

// Replaced says that segments became other ones with the same records.
type Replaced struct {
	In  []string  `json:"in"`
	Out []Segment `json:"out"`
}

// Reasons of [Expired].
const (
	ReasonRetention = "retention" // its time was over
	ReasonRequest   = "request"   // somebody asked for it
)

// Expired says that a segment was deleted and its key shredded.
type Expired struct {
	ID     string `json:"id"`
	Group  Hash   `json:"group"`
	Reason string `json:"reason"` // a word, such as ReasonRetention
	// Retention is the group's at that time, in seconds; 0 if none applied.
	Retention int64 `json:"retention"`
}

// Hold says that a legal hold on a group was set or released.
type Hold struct {
	Group Hash `json:"group"`
	Set   bool `json:"set"`
	// Text is sealed: the group's name, who and why.
	Text []byte `json:"text,omitempty"`
}

// Retention says that a group's retention was changed.
type Retention struct {
	Group Hash   `json:"group"`
	Old   int64  `json:"old"` // seconds; 0: for ever
	New   int64  `json:"new"`
	Text  []byte `json:"text,omitempty"` // sealed
}

// Key says that the key-encryption key was changed.
type Key struct {
	Old string `json:"old"` // ids as of seal.Provider
	New string `json:"new"`
}

// Started says that a store was opened.
type Started struct {
	Version string `json:"version"` // of the program
	// Clean and Last are filled in by Append: whether the entry before is a
	// Stopped, and what the clock said then, or 0.
	Clean bool  `json:"clean"`
	Last  int64 `json:"last"`
}

// Stopped says that a store was closed in good order.
type Stopped struct{}

// Causes of a [Gap].
const (
	CauseStopped = "stopped" // the store was closed for so long
	CauseDown    = "down"    // the store was away without having been closed
	CauseForward = "forward" // the clock went on, or stood, without an entry
	CauseBack    = "back"    // the clock went back
)

// Gap says that the clock is not where the entry before lets expect. Append
// adds it by itself, in front of the event that noticed.
type Gap struct {
	From  int64  `json:"from"` // the clock of the entry before, ns
	To    int64  `json:"to"`   // the clock now
	Cause string `json:"cause"`
}

// Interval says that a span of time has passed, usually an hour, and how many
// records were accepted in it: also when there were none.
type Interval struct {
	From    int64 `json:"from"` // ns
	To      int64 `json:"to"`
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// Silent says that a source of records that used to come does not any more.
type Silent struct {
	Group  Hash   `json:"group"`
	Stream Hash   `json:"stream"` // keyed; zero: the whole group
	Since  int64  `json:"since"`  // arrival of its last record, ns
	Text   []byte `json:"text,omitempty"`
}

// Damage says that the store found something that is not as it was written.
type Damage struct {
	What  string `json:"what"`  // a word, such as "segment" or "wal"
	Place string `json:"place"` // which one: an id or a file's name
	Text  []byte `json:"text,omitempty"`
}

// Type implements [Event].
func (Added) Type() Type     { return TypeAdded }
func (Replaced) Type() Type  { return TypeReplaced }
func (Expired) Type() Type   { return TypeExpired }
func (Hold) Type() Type      { return TypeHold }
func (Retention) Type() Type { return TypeRetention }
func (Key) Type() Type       { return TypeKey }
func (Started) Type() Type   { return TypeStarted }
func (Stopped) Type() Type   { return TypeStopped }
func (Gap) Type() Type       { return TypeGap }
func (Interval) Type() Type  { return TypeInterval }
func (Silent) Type() Type    { return TypeSilent }
func (Damage) Type() Type    { return TypeDamage }

func (s *Segment) check() error {
	if err := checkID(s.ID); err != nil {
		return err
	}
	switch {
	case !printable(string(s.Kind), MaxWord):
		return fmt.Errorf("%w: segment %s: kind %q", ErrEntry, s.ID, s.Kind)
	case s.Rows <= 0 || s.Size <= 0:
		return fmt.Errorf("%w: segment %s: %d rows, %d bytes", ErrEntry, s.ID, s.Rows, s.Size)
	case s.FirstTime > s.LastTime || s.FirstArrival > s.LastArrival:
		return fmt.Errorf("%w: segment %s: times out of order", ErrEntry, s.ID)
	}
	return nil
}

func checkID(id string) error {
	if !printable(id, MaxID) {
		return fmt.Errorf("%w: segment id %q: want 1 to %d printable ASCII characters", ErrEntry, id, MaxID)
	}
	return nil
}

func checkWord(what, s string) error {
	if !printable(s, MaxWord) {
		return fmt.Errorf("%w: %s %q: want 1 to %d printable ASCII characters", ErrEntry, what, s, MaxWord)
	}
	return nil
}

func checkText(b []byte) error {
	if len(b) > MaxSealed {
		return fmt.Errorf("%w: sealed text of %d bytes, the limit is %d", ErrEntry, len(b), MaxSealed)
	}
	return nil
}

func printable(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (e Added) check() error { return e.Segment.check() }

func (e Replaced) check() error {
	if len(e.In) == 0 || len(e.In) > MaxSegments || len(e.Out) == 0 || len(e.Out) > MaxSegments {
		return fmt.Errorf("%w: %d segments replaced by %d: want 1 to %d of each", ErrEntry, len(e.In), len(e.Out), MaxSegments)
	}
	for _, id := range e.In {
		if err := checkID(id); err != nil {
			return err
		}
	}
	for i := range e.Out {
		if err := e.Out[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (e Expired) check() error {
	if err := checkID(e.ID); err != nil {
		return err
	}
	if e.Retention < 0 {
		return fmt.Errorf("%w: retention of %d seconds", ErrEntry, e.Retention)
	}
	return checkWord("reason", e.Reason)
}

func (e Hold) check() error { return checkText(e.Text) }

func (e Retention) check() error {
	if e.Old < 0 || e.New < 0 {
		return fmt.Errorf("%w: retention from %d to %d seconds", ErrEntry, e.Old, e.New)
	}
	return checkText(e.Text)
}

func (e Key) check() error {
	for _, id := range []string{e.Old, e.New} {
		if !printable(id, 255) {
			return fmt.Errorf("%w: key id %q: want 1 to 255 printable ASCII characters", ErrEntry, id)
		}
	}
	return nil
}

func (e Started) check() error { return checkWord("version", e.Version) }
func (Stopped) check() error   { return nil }
func (e Gap) check() error     { return checkWord("cause", e.Cause) }

func (e Interval) check() error {
	if e.From > e.To || e.Records < 0 || e.Bytes < 0 {
		return fmt.Errorf("%w: interval from %d to %d with %d records of %d bytes", ErrEntry, e.From, e.To, e.Records, e.Bytes)
	}
	return nil
}

func (e Silent) check() error { return checkText(e.Text) }

func (e Damage) check() error {
	if !printable(e.Place, MaxPlace) {
		return fmt.Errorf("%w: place %q: want 1 to %d printable ASCII characters", ErrEntry, e.Place, MaxPlace)
	}
	if err := checkWord("damaged thing", e.What); err != nil {
		return err
	}
	return checkText(e.Text)
}

// Keys seals and hashes; [trailward/store/seal.StoreKey] does.
type Keys interface {
	SealBlob(context string, plain []byte) ([]byte, error)
	OpenBlob(context string, sealed []byte) ([]byte, error)
	Hash(context string, data ...[]byte) [32]byte
}

// GroupHash returns a group's keyed hash, the same in this store for ever.
func GroupHash(k Keys, group string) Hash { return k.Hash("ledger group", []byte(group)) }

// StreamHash returns the keyed hash of a stream in a group.
func StreamHash(k Keys, group, stream string) Hash {
	return k.Hash("ledger stream", []byte(group), []byte(stream))
}

const textContext = "ledger text"

// SealText seals a text for people to be put into an event.
func SealText(k Keys, text string) ([]byte, error) {
	b, err := k.SealBlob(textContext, []byte(text))
	if err == nil {
		err = checkText(b)
	}
	if err != nil {
		return nil, fmt.Errorf("seal text of a ledger entry: %w", err)
	}
	return b, nil
}

// OpenText undoes SealText.
func OpenText(k Keys, sealed []byte) (string, error) {
	b, err := k.OpenBlob(textContext, sealed)
	if err != nil {
		return "", fmt.Errorf("open text of a ledger entry: %w", err)
	}
	return string(b), nil
}

// Entry is one entry of the ledger.
type Entry struct {
	// Number counts from 0. It is the entry's place and not in its bytes.
	Number uint64 `json:"number"`
	// Time is the ledger's time, in ns since 1970, which never goes back and
	// goes on only as far as can be believed; see [Ledger.Now]. Clock is what
	// the machine's clock said.
	Time  int64 `json:"time"`
	Clock int64 `json:"clock"`
	Event Event `json:"event"`
	// nonce makes the entry's hash tell nothing of what is in it.
	nonce [nonceSize]byte
}

// ClockTime returns what the machine's clock said, in UTC.
func (e *Entry) ClockTime() time.Time { return time.Unix(0, e.Clock).UTC() }
