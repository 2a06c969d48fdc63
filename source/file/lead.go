package file

import (
	"bytes"

	"trailward"
	"trailward/format"
)

// A lead is what the first member's name of an object says that it may be, so that
// nothing more of ordinary ones is looked at.
type lead uint8

const (
	noLead      lead = iota
	wrapperLead      // one of the wrappers that probe knows, or an array of them
	entryLead        // an entry of what LookupEvents answers
	messageLead      // {"message":"…"} around flow logs
)

// leadSize is how many bytes of a value leadOf wants to have.
const leadSize = 256

// leadOf tells by the beginning of a value. Of an array its first element says.
func leadOf(b []byte) lead {
	b = b[:min(len(b), leadSize)]
	if bytes.HasPrefix(b, []byte(`{"kind":"Event",`)) {
		return noLead // there are none of which there are more
	}
	i := 0
	if len(b) > 0 && b[0] == '[' {
		i = format.JSONBlank(b, 1)
	}
	if i >= len(b) || b[i] != '{' {
		return noLead
	}
	if i = format.JSONBlank(b, i+1); i >= len(b) || b[i] != '"' {
		return noLead
	}
	n := bytes.IndexByte(b[i+1:min(len(b), i+20)], '"')
	if n < 0 {
		return noLead
	}
	switch string(b[i+1 : i+1+n]) {
	case "Records", "Events", "awslogs", "items", "metadata", "messageType", "owner", "logGroup", "logStream":
		return wrapperLead
	case "kind", "apiVersion":
		// An audit event begins like a list of them.
		for range 2 {
			key, keyEnd, val, end, ok := format.JSONMember(b, i)
			if !ok {
				break
			}
			if string(b[key:keyEnd]) == "kind" {
				if string(b[val:end]) == `"EventList"` {
					return wrapperLead
				}
				break
			}
			if i = format.JSONBlank(b, end); i >= len(b) || b[i] != ',' {
				break
			}
			i++
		}
	case "EventId", "EventName", "EventTime", "EventSource", "ReadOnly", "AccessKeyId", "Username", "Resources", "CloudTrailEvent":
		return entryLead
	case "message":
		return messageLead
	}
	return noLead
}

// wraps reports whether b begins with a wrapper, or an array of them.
func wraps(b []byte) bool {
	if b[0] == '[' {
		i := format.JSONBlank(b, 1)
		return i < len(b) && b[i] == '{' && (isLookup(b) || probe(b[i:]) != noWrapper)
	}
	return probe(b) != noWrapper
}

// flowMessage gives the flow log lines that some deliveries wrap as
// {"message":"…"}, one or more.
type flowMessage struct{ text, rest []byte }

// open is false for an object that is anything else.
func (m *flowMessage) open(obj []byte) bool {
	m.rest = nil
	if len(obj) == 0 || obj[0] != '{' {
		return false
	}
	key, keyEnd, val, end, ok := format.JSONMember(obj, 1)
	if !ok || string(obj[key:keyEnd]) != "message" || end-val < 4 || string(obj[val:val+3]) != `"2 ` {
		return false
	}
	i := format.JSONBlank(obj, end)
	if i >= len(obj) || obj[i] != '}' || format.JSONBlank(obj, i+1) != len(obj) {
		return false
	}
	if m.text, ok = format.JSONUnquote(m.text[:0], obj[val+1:end-1]); !ok {
		return false
	}
	text := bytes.TrimRight(m.text, "\n")
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if format.ClassifyLine(line) != trailward.KindVPCFlow {
			return false
		}
	}
	m.rest = text
	return true
}

// next gives the next line and reports whether there was one.
func (m *flowMessage) next(f *trailward.Framed) bool {
	if len(m.rest) == 0 {
		return false
	}
	f.Raw, m.rest, _ = bytes.Cut(m.rest, []byte("\n"))
	f.Kind = trailward.KindVPCFlow
	return true
}
