package file

import (
	"slices"
	"time"

	"trailward"
	"trailward/format"
)

// subscription reads the payload that CloudWatch Logs sends to a subscription
// (CloudWatch Logs user guide, "Real-time processing of log data with
// subscriptions"): each message in logEvents is a record.
type subscription struct {
	raw     []byte           // from the log events on, to the payload's end
	size    int              // of the payload
	pos     int              // in raw
	control bool             // it is a CONTROL_MESSAGE, sent to see whether someone listens
	attrs   []trailward.Attr // that all messages of the payload have
	buf     []byte
}

// open takes a whole payload; it is false for an object that is none.
func (s *subscription) open(raw []byte) bool {
	s.size, s.raw, s.pos = len(raw), nil, 0
	s.attrs = nil
	kind := ""
	for i := 1; ; i++ {
		key, keyEnd, val, end, ok := format.JSONMember(raw, i)
		if !ok {
			return false
		}
		switch k := string(raw[key:keyEnd]); k {
		case "messageType":
			kind = string(raw[val:end])
		case "owner", "logGroup", "logStream":
			if raw[val] != '"' {
				break
			}
			if v, ok := format.JSONUnquote(nil, raw[val+1:end-1]); ok {
				s.attrs = append(s.attrs, trailward.Attr{Name: k, Value: string(v)})
			}
		case "logEvents":
			if raw[val] != '[' {
				return false
			}
			s.raw = raw[val+1 : end]
		}
		if i = format.JSONBlank(raw, end); i >= len(raw) || raw[i] == '}' {
			break
		} else if raw[i] != ',' {
			return false
		}
	}
	s.control = kind == `"CONTROL_MESSAGE"`
	return s.control || kind == `"DATA_MESSAGE"` && s.raw != nil
}

// next gives the next message and reports whether there was one.
func (s *subscription) next(f *trailward.Framed) bool {
	for {
		i := format.JSONBlank(s.raw, s.pos)
		if i < len(s.raw) && s.raw[i] == ',' {
			i = format.JSONBlank(s.raw, i+1)
		}
		if i >= len(s.raw) || s.raw[i] == ']' {
			return false
		}
		var sc format.JSONScanner
		n, state := sc.Scan(s.raw[i:])
		if state != format.ScanDone || n == 0 {
			return false
		}
		s.pos = i + n
		if s.message(s.raw[i:s.pos], f) {
			return true
		}
	}
}

// message takes one log event apart and reports whether it is a record: an
// empty message is none.
func (s *subscription) message(event []byte, f *trailward.Framed) bool {
	f.Attrs = s.attrs
	f.Raw, f.Damaged = event, NotUnescaped
	if event[0] != '{' {
		return true
	}
	for i := 1; ; i++ {
		key, keyEnd, val, end, ok := format.JSONMember(event, i)
		if !ok {
			break
		}
		str := event[val] == '"'
		switch string(event[key:keyEnd]) {
		case "id":
			if !str {
				break
			}
			if v, ok := format.JSONUnquote(nil, event[val+1:end-1]); ok {
				f.Attrs = slices.Concat(s.attrs, []trailward.Attr{{Name: "id", Value: string(v)}})
			}
		case "timestamp":
			f.Time, _ = format.ParseTime(event[val:end], time.Time{})
		case "message":
			if !str {
				break
			}
			var ok bool
			if s.buf, ok = format.JSONUnquote(s.buf[:0], event[val+1:end-1]); ok {
				f.Raw, f.Damaged = s.buf, ""
			}
		}
		if i = format.JSONBlank(event, end); i >= len(event) || event[i] != ',' {
			break
		}
	}
	return len(f.Raw) > 0
}
