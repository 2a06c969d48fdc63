package format

import "trailward"

// Content returns the bytes that decide whether two records of a kind with the
// same natural key ([KeyPaths]) are the same record. It may be a part of raw.
//
// It is raw, save for k8s.audit: the members kind and apiVersion of the event
// itself are left out where they say "Event" and "audit.k8s.io/v1", since the audit file has them and the items of a
// webhook's EventList may not, and so is the brace before the first member, so
// that in both framings the rest is one piece and nothing need be copied.
func Content(kind trailward.Kind, raw []byte) []byte {
	if kind != trailward.KindK8sAudit {
		return raw
	}
	i := JSONBlank(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return raw
	}
	start := JSONBlank(raw, i+1) // of the first member that stays
	left := 2                    // members still to be met
	var out []byte
	copied := start // raw[:copied] is in out, or cut
	front := true   // no member that stays was met yet
	prev := start   // where the member before ended
	for i = start; left > 0; {
		key, keyEnd, value, end, ok := JSONMember(raw, i)
		if !ok {
			if i = JSONBlank(raw, i); front && i < len(raw) && raw[i] == '}' {
				break // an object with nothing else
			}
			return raw
		}
		next := JSONBlank(raw, end)
		if next >= len(raw) || raw[next] != ',' && raw[next] != '}' {
			return raw
		}
		last := raw[next] == '}'
		if framing := auditFraming[string(raw[key:keyEnd])]; framing != "" && string(raw[value:end]) == framing {
			left--
			if front {
				if start = next; !last {
					start = JSONBlank(raw, next+1)
				}
				copied = start
			} else {
				out = append(out, raw[copied:prev]...)
				copied = end
			}
		} else {
			front = false
		}
		if last {
			break
		}
		prev, i = end, next+1
	}
	if out == nil {
		return raw[start:]
	}
	return append(out, raw[copied:]...)
}

// auditFraming is what an event in an audit file says of itself, as JSON.
var auditFraming = map[string]string{"kind": `"Event"`, "apiVersion": `"audit.k8s.io/v1"`}
