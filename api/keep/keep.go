// Package keep has the words in which a server and its clients speak of what an
// administrator does: retention, holds, keys, verification, tables, tokens. They
// are the JSON of the routes, and what the command line prints, on a data
// directory and on a server alike. It imports the standard library only, so that
// a client stays small.
package keep

import (
	"encoding/json"
	"time"
)

// Setting is what holds for a group.
type Setting struct {
	Group     string `json:"group"`
	Retention string `json:"retention"` // "never", or a number of days or years: "90d", "6y"
	Default   bool   `json:"default"`   // nothing was set for it
	Hold      *Hold  `json:"hold,omitempty"`
}

// Hold is a legal hold: nothing of its group expires.
type Hold struct {
	// Reason is left out for those who may read the group but not administer it.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// Expiry is what a run of expiry did.
type Expiry struct {
	Segments int64     `json:"segments"` // deleted
	Records  int64     `json:"records"`  // in them
	Clock    time.Time `json:"clock"`    // where the retention clock stands
}

// KeyUse is a key-encryption key and what needs it.
type KeyUse struct {
	ID        string `json:"id"`
	Current   bool   `json:"current"`
	Available bool   `json:"available"`
	Segments  int64  `json:"segments"`
	WALFiles  int64  `json:"wal_files"`
	Lookups   int64  `json:"lookup_tables"`
	StoreKey  bool   `json:"store_key"`
}

// Needed reports whether anything in the data directory needs the key.
func (k *KeyUse) Needed() bool {
	return k.Segments > 0 || k.WALFiles > 0 || k.Lookups > 0 || k.StoreKey
}

// Rotation says how keys are rotated.
type Rotation struct {
	NoRewrap bool `json:"no_rewrap,omitempty"` // what is there stays as it is
	Resume   bool `json:"resume,omitempty"`    // no new key: go on with what was interrupted
}

// Rotated is what a rotation did.
type Rotated struct {
	ID      string `json:"id"`       // of the key in use
	Older   int64  `json:"older"`    // files that still need an older one
	KeyFile string `json:"key_file"` // of which a copy is to be made; empty: the keys come from elsewhere
}

// Progress says how far long work is, in bytes.
type Progress struct {
	Stage string `json:"stage,omitempty"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0: not known
}

// Finding is one thing that a verification found.
type Finding struct {
	What   string `json:"what"`
	Where  string `json:"where"`
	Detail string `json:"detail"`
	Do     string `json:"do"`
}

func (f Finding) String() string {
	return f.Where + ": " + f.What + ": " + f.Detail + ": " + f.Do
}

// Report is a verification's result, as far as it is shown to people. Its whole
// form, which also has the ledger's gaps and silences, is that of store/verifier.
type Report struct {
	Findings   []Finding `json:"findings"`
	Notices    []Finding `json:"notices"`
	Checkpoint struct {
		Origin string `json:"origin"`
		Size   uint64 `json:"size"`
	} `json:"checkpoint"`
	Entries    uint64 `json:"entries"`
	Segments   int64  `json:"segments"`
	Records    int64  `json:"records"`
	Bytes      int64  `json:"bytes"`
	WALEntries int64  `json:"wal_entries"`
	Compared   bool   `json:"compared"`
}

// Line is one line of the answer to work that takes long. It has one of the
// members; the last line has Report, Rotated or Error.
type Line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Finding  *Finding        `json:"finding,omitempty"`
	Notice   *Finding        `json:"notice,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"` // findings and notices left out: they have lines of their own
	Rotated  *Rotated        `json:"rotated,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// Error is why work could not be finished.
type Error struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Checkpoint is the ledger's newest signed checkpoint. What matters is in
// Signed; the rest is how to check it.
type Checkpoint struct {
	Origin      string   `json:"origin"`
	VerifierKey string   `json:"verifier_key"`
	Signed      string   `json:"signed"`          // signed note; empty: the ledger has none yet
	Proof       []string `json:"proof,omitempty"` // that it continues the one asked about; base64
}

// Backup is what a backup holds.
type Backup struct {
	Segments int64 `json:"segments"`
	Bytes    int64 `json:"bytes"` // of all files
}

// Lookup describes a lookup table.
type Lookup struct {
	Name    string    `json:"name"`
	Columns []string  `json:"columns"`
	Rows    int       `json:"rows"`
	Bytes   int64     `json:"bytes"` // of CSV
	Changed time.Time `json:"changed"`
}

// Explanation says what a question becomes.
type Explanation struct {
	SQL      string    `json:"sql"`
	Prepares bool      `json:"prepares"` // a further statement makes the answer of its rows
	Notices  []string  `json:"notices,omitempty"`
	Parts    []PartUse `json:"parts"`
}

// PartUse is what a question does with one part of the store.
type PartUse struct {
	ID      string    `json:"id"`
	Group   string    `json:"group"`
	Kind    string    `json:"kind"`
	Records int64     `json:"records"`
	From    time.Time `json:"from"` // event times of its records
	To      time.Time `json:"to"`
	Opened  bool      `json:"opened"` // its columns, or some of its rows, are read
	Why     string    `json:"why"`
}
