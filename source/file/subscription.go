package file

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"trailward"
	"trailward/format"
)

// subscription reads the payload that CloudWatch Logs sends to a subscription
// (CloudWatch Logs user guide, "Real-time processing of log data with
// subscriptions"): each message in logEvents is a record.
type subscription struct {
	raw     []byte           // from the log events on, to the payload's end
	pos     int              // in raw
	control bool             // it is a CONTROL_MESSAGE, sent to see whether someone listens
	attrs   []trailward.Attr // that all messages of the payload have
	kind    trailward.Kind   // of all of them, where the log group says it
	buf     []byte
	queue   [][]byte // payloads that come after this one, out of one packed piece
}

// lambdaGroups is how the log groups begin that Lambda makes for functions. What a
// function writes into its own is no other kind, whatever it looks like.
const lambdaGroups = "/aws/lambda/"

// packedPrefix is how the base64 of any gzip stream begins.
const packedPrefix = "H4sI"

// maxPacked is how many times larger than itself a packed payload may become.
const maxPacked = 1000

// openPacked takes the base64 of a gzip stream of payloads, as a record of
// Kinesis and the event of a Lambda function carry them. It is false when it is
// anything else, or too large; then the piece is no framing but a record.
func (s *subscription) openPacked(encoded []byte, report *Report) bool {
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(packed, encoded)
	if err != nil {
		return false
	}
	gz, err := gzip.NewReader(bytes.NewReader(packed[:n]))
	if err != nil {
		return false
	}
	most := min(MaxEnvelope, maxPacked*int64(n))
	data, err := io.ReadAll(io.LimitReader(gz, most+1))
	if err != nil || int64(len(data)) > most {
		return false
	}
	s.queue = s.queue[:0]
	controls := 0
	for i := format.JSONBlank(data, 0); i < len(data); i = format.JSONBlank(data, i) {
		var sc format.JSONScanner
		n, state := sc.Scan(data[i:])
		if state != format.ScanDone || data[i] != '{' || !s.open(data[i:i+n]) {
			s.queue = nil
			return false
		}
		if s.control {
			controls++
		} else {
			s.queue = append(s.queue, data[i:i+n])
		}
		i += n
	}
	if len(s.queue)+controls == 0 {
		return false
	}
	report.Control += controls
	s.raw, s.pos = nil, 0 // next begins with the queue
	return true
}

// open takes a whole payload; it is false for an object that is none.
func (s *subscription) open(raw []byte) bool {
	s.raw, s.pos = nil, 0
	s.attrs, s.kind = nil, ""
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
				if k == "logGroup" && strings.HasPrefix(string(v), lambdaGroups) {
					s.kind = trailward.KindLambda
				}
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
	for !s.nextOf(f) {
		if len(s.queue) == 0 {
			return false
		}
		s.open(s.queue[0])
		s.queue = s.queue[1:]
	}
	return true
}

// nextOf is next of the present payload.
func (s *subscription) nextOf(f *trailward.Framed) bool {
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
	s.message(s.raw[i:s.pos], f)
	return true
}

// message takes one log event apart.
func (s *subscription) message(event []byte, f *trailward.Framed) {
	f.Attrs = s.attrs
	if f.Kind == "" {
		f.Kind = s.kind
	}
	f.Raw, f.Damaged = event, NotUnescaped
	if event[0] != '{' {
		return
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
}

// packedLambda returns the packed payload of a Lambda function's event,
// {"awslogs":{"data":"…"}}, or nil.
func packedLambda(raw []byte) []byte { return packedMember(raw, "awslogs") }

// packedKinesis returns the packed payload of a Kinesis record as a Lambda
// function gets it, {"kinesis":{"data":"…"},"eventSource":"aws:kinesis",…}, or nil.
func packedKinesis(raw []byte) []byte { return packedMember(raw, "kinesis") }

func packedMember(raw []byte, name string) []byte {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	outer := member(raw, name)
	if len(outer) == 0 || outer[0] != '{' {
		return nil
	}
	data := member(outer, "data")
	if len(data) < 2 || data[0] != '"' || !bytes.HasPrefix(data[1:], []byte(packedPrefix)) {
		return nil
	}
	return data[1 : len(data)-1]
}

// member returns the value of an object's member, or nil. Only the first few
// are looked at.
func member(obj []byte, name string) []byte {
	i := 1
	for range maxProbed {
		key, keyEnd, val, end, ok := format.JSONMember(obj, i)
		if !ok {
			return nil
		}
		if string(obj[key:keyEnd]) == name {
			return obj[val:end]
		}
		if i = format.JSONBlank(obj, end); i >= len(obj) || obj[i] != ',' {
			return nil
		}
		i++
	}
	return nil
}
