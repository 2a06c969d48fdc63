// Package format knows what a record's bytes mean: its kind, where its event
// time is, which pieces are its fields, and what makes two records the same.
//
// It gets bytes and gives spans into them; it never copies, changes or drops a
// byte, so that shape can put the record together again exactly. It is pure:
// no I/O, no clock, no state. Every function is safe for concurrent use and
// takes any bytes whatever: what is not of a format is answered with "no",
// never with a panic.
//
// A JSON object is taken apart by shape, which knows its paths; [ClassifyObject]
// names its kind from those. Everything else is named by [ClassifyLine] and
// taken apart by [Split].
package format

import "trailward"

// ClassifyLine names the kind of bytes that are not a JSON object:
// [trailward.KindVPCFlow] for the default version 2 format, [trailward.KindDNS]
// for public DNS query logging, [trailward.KindLambda] for lines of Lambda and its runtimes,
// [trailward.KindLinuxAudit], [trailward.KindSyslog], [trailward.KindJournal]
// for an entry in export form, or [trailward.KindText].
// It errs towards text: a custom flow log format is known only by its header
// (see [FlowHeader]), and a line that merely begins with an RFC 3339 time, as
// half of all logs do, is no syslog. When its time matters, see [TextTime].
func ClassifyLine(raw []byte) trailward.Kind {
	if len(raw) == 0 {
		return trailward.KindText
	}
	switch c := raw[0]; {
	case c >= '0' && c <= '9':
		if isDefaultFlow(raw) {
			return trailward.KindVPCFlow
		}
		if isRoute53(raw) {
			return trailward.KindDNS
		}
		if isLambda(raw) {
			return trailward.KindLambda
		}
		if isSyslog(raw) {
			return trailward.KindSyslog
		}
	case c == '[' || c == 'X' || c == 'T':
		if isLambda(raw) {
			return trailward.KindLambda
		}
	case c == '<' || c >= 'A' && c <= 'S': // a priority or the name of a month
		if isSyslog(raw) {
			return trailward.KindSyslog
		}
		if isLambda(raw) {
			return trailward.KindLambda
		}
	case c == 't' || c == 'n':
		if isAudit(raw) {
			return trailward.KindLinuxAudit
		}
	case c == '_':
		if isJournalEntry(raw) {
			return trailward.KindJournal
		}
	}
	return trailward.KindText
}

// ClassifyObject names the kind of a JSON object by the paths that it has.
// has is asked for the paths of scalar members only, in the form of
// [trailward.JoinPath], whatever their value (null counts). The answer depends
// on nothing else, so it may be kept for all objects of one shape.
func ClassifyObject(has func(path string) bool) trailward.Kind {
	switch {
	case has("auditID"):
		// Items of a webhook's EventList may omit kind and apiVersion, so the
		// fields that every stage has decide (v1 and v1beta1 alike).
		if has("stage") && has("level") && (has("verb") || has("requestURI")) {
			return trailward.KindK8sAudit
		}
	case has("digestS3Object"):
		if has("digestStartTime") && has("digestEndTime") && has("awsAccountId") && has("logFiles") {
			return trailward.KindTrailDigest
		}
	case has("eventVersion"):
		// A LookupEvents item holds the record as a
		// string, and an S3 event notification (eventVersion, eventSource,
		// eventName too) has no eventID.
		if !has("awsRegion") || !has("eventTime") && !has("@@timestamp") && !has("@timestamp") { // the latter two from Logstash
			break
		}
		insight := has("insightDetails.state") || has("insightDetails.insightType")
		call := has("eventSource") && has("eventName")
		if insight || call && (has("eventID") || has("userIdentity.type") && !has("s3.s3SchemaVersion")) {
			return trailward.KindCloudTrail
		}
	case has("query_timestamp"):
		if has("query_name") && has("query_type") && (has("rcode") || has("srcaddr")) {
			return trailward.KindDNS
		}
	case has("terminatingRuleId"):
		if has("action") && has("timestamp") && (has("webaclId") || has("formatVersion") && has("httpSourceName")) {
			return trailward.KindWAF
		}
	case has("__REALTIME_TIMESTAMP"):
		if has("__CURSOR") || has("_BOOT_ID") || has("__MONOTONIC_TIMESTAMP") {
			return trailward.KindJournal
		}
	}
	return trailward.KindJSON
}

// MaxFields is the most fields that [Split] names in one record; what comes
// after stays literal. No real record comes near it (an EXECVE record of
// auditd has at most a few hundred arguments); it bounds the work that a
// hostile line can cause.
const MaxFields = 4096

// Split appends the named pieces of a record that is not a JSON object to dst:
// ascending and not overlapping, each path at most once (the first one
// counts). A piece without a value (nothing, or the format's sign for nothing)
// is left out and stays literal.
//
// columns are the paths of a record whose bytes do not name them (flow logs),
// nil for the kind's default. ok is false, and dst as it was, when raw is not
// of the kind after all; the caller keeps it as text.
//
// The paths, by kind:
//
//   - aws.vpcflow: AWS's field names as in the header (srcaddr, log-status, …).
//   - aws.dns, in lines: as CloudWatch Logs Insights names them (queryName, responseCode, …).
//   - aws.lambda: @type, @time, @requestId, @level; of lines of the platform @duration, …,
//     memory in megabytes as @memorySizeMB and @maxMemoryUsedMB; then @text, @json, which
//     is the first JSON object in it, and @tail, what stands behind. Their own names begin
//     with @ since any other may be in the JSON. Any bytes are of this kind.
//   - linux.syslog: priority, timestamp, hostname, program, pid, message; with
//     RFC 5424 also version, msgid, and sd.<id>.<param> or, when a parameter
//     holds an escape, structured_data as a whole; severity when the line says
//     it in words (Chrome OS).
//   - linux.audit: node, type, time (seconds since the epoch), sequence, then
//     every key=value by its key; seresult and seperms of an AVC record.
//   - linux.journal: the field names of the export format, as they are.
func Split(kind trailward.Kind, raw []byte, columns []string, dst []trailward.Field) ([]trailward.Field, bool) {
	switch kind {
	case trailward.KindVPCFlow:
		return splitFlow(raw, columns, dst)
	case trailward.KindDNS:
		return splitRoute53(raw, dst)
	case trailward.KindLambda:
		return splitLambda(raw, dst)
	case trailward.KindSyslog:
		return splitSyslog(raw, dst)
	case trailward.KindLinuxAudit:
		return splitAudit(raw, dst)
	case trailward.KindJournal:
		return splitJournal(raw, dst)
	}
	return dst, false
}

// namer appends fields and keeps each path once.
type namer struct {
	dst  []trailward.Field
	base int                 // where this record's fields begin in dst
	seen map[string]struct{} // made when there are too many to look through
	met  [4]uint64           // a bit for each hash of a path met: most paths need no look
}

const lookThrough = 48 // fields up to which looking through beats a map

func (n *namer) add(path string, start, end int) {
	if start >= end || path == "" || len(n.dst)-n.base >= MaxFields {
		return
	}
	h := (uint(path[0])*31 + uint(path[len(path)-1])*7 + uint(len(path))) % 256
	if bit := uint64(1) << (h % 64); n.met[h/64]&bit == 0 {
		n.met[h/64] |= bit
		if n.seen == nil {
			n.dst = append(n.dst, trailward.Field{Path: path, Start: start, End: end})
			return
		}
	}
	if n.seen == nil {
		for i := n.base; i < len(n.dst); i++ {
			if n.dst[i].Path == path {
				return
			}
		}
		if len(n.dst)-n.base >= lookThrough {
			n.seen = make(map[string]struct{}, 4*lookThrough)
			for i := n.base; i < len(n.dst); i++ {
				n.seen[n.dst[i].Path] = struct{}{}
			}
		}
	} else if _, dup := n.seen[path]; dup {
		return
	}
	if n.seen != nil {
		n.seen[path] = struct{}{}
	}
	n.dst = append(n.dst, trailward.Field{Path: path, Start: start, End: end})
}
