package file

import (
	"bytes"
	"slices"

	"trailward"
	"trailward/format"
)

// CloudTrail's LookupEvents, and so `aws cloudtrail lookup-events`, gives
// {"Events":[{"EventId":"…","EventName":"…","EventTime":…,"EventSource":"…","Resources":[…],
// "CloudTrailEvent":"…"}]} (CloudTrail API reference, "Event"): the event as it is delivered
// elsewhere is the text in CloudTrailEvent, and what stands beside it are attributes.

// isLookup reports whether b begins with an array whose first element is such an
// entry, as far as b goes.
func isLookup(b []byte) bool {
	if b[0] != '[' {
		return false
	}
	i := format.JSONBlank(b, 1)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	seen := 0
	for i++; ; i++ {
		key, keyEnd, val, end, ok := format.JSONMember(b, i)
		if !ok {
			// The text of the event may be longer than what b has of it.
			return seen == 3
		}
		switch string(b[key:keyEnd]) {
		case "EventId", "EventTime", "EventSource":
			seen++
		case "CloudTrailEvent":
			return b[val] == '"'
		}
		if i = format.JSONBlank(b, end); i >= len(b) || b[i] != ',' {
			return i >= len(b) && seen == 3
		}
	}
}

// isEntry reports whether an object that stands by itself is such an entry: it has an id, and
// the text of an object for its event.
func isEntry(obj []byte) bool {
	id, event := false, false
	for i := 1; ; i++ {
		key, keyEnd, val, end, ok := format.JSONMember(obj, i)
		if !ok {
			return false
		}
		switch string(obj[key:keyEnd]) {
		case "EventId":
			id = obj[val] == '"'
		case "CloudTrailEvent":
			event = bytes.HasPrefix(obj[val:end], []byte(`"{`))
		}
		if id && event {
			return true
		}
		if i = format.JSONBlank(obj, end); i >= len(obj) || obj[i] != ',' {
			return false
		}
	}
}

// lookedUp takes the event out of an entry; text is memory for it. ok is false for an entry
// that has none, which is a record as it is.
func lookedUp(entry, text []byte, f *trailward.Framed) (_ []byte, ok bool) {
	if len(entry) == 0 || entry[0] != '{' {
		return text, false
	}
	var attrs []trailward.Attr
	for i := 1; ; i++ {
		key, keyEnd, val, end, whole := format.JSONMember(entry, i)
		if !whole {
			break
		}
		name, v := entry[key:keyEnd], entry[val:end]
		switch {
		case string(name) == "CloudTrailEvent" && v[0] == '"' && !ok:
			if text, ok = format.JSONUnquote(text[:0], v[1:len(v)-1]); !ok {
				return text, false
			}
			if ok = len(bytes.TrimSpace(text)) > 0; !ok {
				return text, false
			}
		case v[0] == '"':
			if s, fine := format.JSONUnquote(nil, v[1:len(v)-1]); fine {
				v = s
			}
			attrs = append(attrs, trailward.Attr{Name: string(name), Value: string(v)})
		default:
			attrs = append(attrs, trailward.Attr{Name: string(name), Value: string(v)})
		}
		if i = format.JSONBlank(entry, end); i >= len(entry) || entry[i] != ',' {
			break
		}
	}
	if ok {
		f.Raw, f.Damaged, f.Attrs = text, "", slices.Clip(attrs)
	}
	return text, ok
}
