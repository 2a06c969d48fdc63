// Package trailward holds the nouns that every other package speaks of: a
// record, the group and stream that it belongs to, its kind, and the fields
// found in its bytes. It does no I/O and imports the standard library only.
package trailward

import "time"

// Kind says what a record's bytes mean. It is found by content at intake and
// stays with the record; the SQL tables are named after it.
type Kind string

// The kinds. A record that is none of the named formats is [KindJSON] when
// its bytes are a JSON object and [KindText] otherwise.
const (
	KindK8sAudit    Kind = "k8s.audit"             // audit.k8s.io Event, one JSON object
	KindCloudTrail  Kind = "aws.cloudtrail"        // one CloudTrail record, JSON
	KindTrailDigest Kind = "aws.cloudtrail.digest" // one CloudTrail digest file, JSON
	KindVPCFlow     Kind = "aws.vpcflow"           // one VPC flow log line
	KindDNS         Kind = "aws.dns"               // Route 53 Resolver query log, JSON, or public DNS query log, a line
	KindWAF         Kind = "aws.waf"               // AWS WAF log, JSON
	KindLambda      Kind = "aws.lambda"            // what a Lambda function's log has: lines of the platform and of the runtimes
	KindLinuxAudit  Kind = "linux.audit"           // one auditd line (type=… msg=audit(…): …)
	KindSyslog      Kind = "linux.syslog"          // RFC 3164 or RFC 5424 line
	KindJournal     Kind = "linux.journal"         // one systemd journal entry
	KindContainer   Kind = "container"             // what a container wrote to stdout or stderr
	KindJSON        Kind = "json"                  // any other JSON object
	KindText        Kind = "text"                  // any other bytes
)

// Kinds lists every kind in the order in which documentation names them.
var Kinds = []Kind{
	KindK8sAudit, KindCloudTrail, KindTrailDigest, KindVPCFlow, KindDNS, KindWAF, KindLambda, KindLinuxAudit,
	KindSyslog, KindJournal, KindContainer, KindJSON, KindText,
}

// Valid reports whether k is one of [Kinds].
func (k Kind) Valid() bool {
	for _, x := range Kinds {
		if k == x {
			return true
		}
	}
	return false
}

// Attr is something that the framing around a record said about it, such as
// the stream of a container log line. It is kept beside the record's bytes and
// queried like a field of the same name.
type Attr struct{ Name, Value string }

// Framed is one record as a source hands it on: the exact bytes, and what the
// framing around them said. A source does not interpret; every field but Raw
// may be empty.
type Framed struct {
	// Raw is the record, byte for byte, without its framing. It is valid only
	// until the source is asked for the next record.
	Raw []byte
	// Kind is set when the framing decides it (a CRI prefix, a flow log
	// header); empty means that intake decides by the bytes.
	Kind Kind
	// Columns names the fields of a record whose bytes do not name them (flow
	// logs): the header's words in order. Nil means the kind's default.
	Columns []string
	// Time is the time that the framing gave, in nanoseconds since the Unix
	// epoch, or 0.
	Time int64
	// Attrs is what else the framing said.
	Attrs []Attr
	// Damaged is the reason why the record is not whole ("cut gzip", "half
	// line"), or empty. A damaged record is kept as text and counted.
	Damaged string
}

// Record is one stored entry.
type Record struct {
	Group  string // log group, e.g. /eks/prod/audit
	Stream string // log stream within the group
	Kind   Kind
	// Time is the event time and Arrival the time of acceptance, both in
	// nanoseconds since the Unix epoch, UTC.
	Time, Arrival int64
	// Untimed says that nothing in or around the record says when it happened:
	// Time is the arrival then, another one if the record is delivered again.
	Untimed bool
	Raw     []byte // the exact bytes
	Columns []string
	Attrs   []Attr
}

// EventTime returns Time as a time in UTC.
func (r *Record) EventTime() time.Time { return time.Unix(0, r.Time).UTC() }

// Field is a named piece of a record's bytes: Raw[Start:End], without quotes.
// Path is in the form of [JoinPath].
type Field struct {
	Path       string
	Start, End int
}
