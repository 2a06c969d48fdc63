package format

import (
	"bytes"

	"trailward"
)

// A Lambda function's log has lines of the platform
//
//	START RequestId: UUID Version: $LATEST
//	END RequestId: UUID
//	REPORT RequestId: UUID	Duration: 102.25 ms	Billed Duration: 103 ms	Memory Size: 128 MB	Max Memory Used: 37 MB
//	INIT_START Runtime Version: python:3.9.v14	Runtime Version ARN: arn:…
//	XRAY TraceId: 1-…	SegmentId: …	Sampled: true
//
// (the last one also behind a REPORT, in the same event), and what the function
// writes, in front of which most runtimes put the time and the request:
//
//	TIME	UUID	INFO	message
//	[INFO]	TIME	UUID	message
//	TIME UUID Task timed out after 3.00 seconds
//
// An export to S3 has the event's time and a space before each.
//
// What the function writes may hold JSON, of which CloudWatch Logs Insights
// discovers the fields of the first object. So the message is taken apart into
// what stands before that, the object, and what stands behind.

// lambdaKinds are the words with which lines of the platform begin, and what
// must follow.
var lambdaKinds = []struct{ word, next string }{
	{"START", " RequestId: "},
	{"END", " RequestId: "},
	{"REPORT", " RequestId: "},
	{"INIT_START", " Runtime Version: "},
	{"INIT_REPORT", " Init Duration: "},
	{"RESTORE_START", " Runtime Version: "},
	{"RESTORE_REPORT", " Restore Duration: "},
	{"XRAY", " TraceId: "},
	{"EXTENSION", "\tName: "},
	{"TELEMETRY", "\tName: "},
	{"LOGS", "\tName: "},
}

// lambdaPairs are what lines of the platform say, and the fields that they
// become. Their values are words, or lists in brackets.
var lambdaPairs = []struct{ key, path string }{
	{"Duration: ", "@duration"},
	{"Billed Duration: ", "@billedDuration"},
	{"Memory Size: ", "@memorySizeMB"},
	{"Max Memory Used: ", "@maxMemoryUsedMB"},
	{"Init Duration: ", "@initDuration"},
	{"XRAY TraceId: ", "@xrayTraceId"},
	{"TraceId: ", "@xrayTraceId"},
	{"SegmentId: ", "@xraySegmentId"},
	{"Sampled: ", "@xraySampled"},
	{"Version: ", "@version"},
	{"Runtime Version: ", "@runtimeVersion"},
	{"Runtime Version ARN: ", "@runtimeVersionArn"},
	{"Restore Duration: ", "@restoreDuration"},
	{"Billed Restore Duration: ", "@billedRestoreDuration"},
	{"Status: ", "@status"},
	{"Error Type: ", "@errorType"},
	{"Phase: ", "@phase"},
	{"Name: ", "@extensionName"},
	{"State: ", "@extensionState"},
	{"Events: ", "@extensionEvents"},
	{"Types: ", "@extensionTypes"},
}

// lambdaLevels are the levels that the runtimes write.
var lambdaLevels = map[string]bool{
	"TRACE": true, "DEBUG": true, "INFO": true, "WARN": true, "WARNING": true, "ERROR": true, "CRITICAL": true, "FATAL": true,
	"trce": true, "dbug": true, "info": true, "warn": true, "fail": true, "crit": true, // .NET
}

// lambdaLine is what stands in front of a line's pairs or message.
type lambdaLine struct {
	at      span // the time that an export puts before the event
	word    span // of the platform
	time    span
	level   span
	request span
	body    int
}

// parseLambda reads the beginning of a line; ok is false when it is not as
// Lambda and its runtimes write it.
func parseLambda(b []byte) (l lambdaLine, ok bool) {
	if len(b) < 16 {
		return l, false
	}
	p := 0
	if b[0] >= '0' && b[0] <= '9' {
		n, ok := lambdaTimed(&l, b, 0)
		if ok || n == 0 || n == len(b) || b[n] != ' ' {
			return l, ok
		}
		p = n + 1
		l.at = span{0, n}
		if _, ok = lambdaTimed(&l, b, p); ok {
			return l, true
		}
	}
	rest := b[p:]
	if len(rest) < 16 {
		return l, false
	}
	switch rest[0] {
	case '[': // [INFO] TIME UUID message
		i := bytes.IndexByte(rest[:min(len(rest), 12)], ']')
		if i < 0 || i+1 >= len(rest) || rest[i+1] != '\t' || !lambdaLevels[string(rest[1:i])] {
			return l, false
		}
		n := lambdaTime(b, p+i+2)
		if n == 0 || n == len(b) || b[n] != '\t' {
			return l, false
		}
		l.level, l.time = span{p + 1, p + i}, span{p + i + 2, n}
		if r, ok := uuid(b, n+1); ok && r.end < len(b) && b[r.end] == '\t' {
			l.request, l.body = r, r.end+1
			return l, true
		}
		if n+1 < len(b) && b[n+1] == '\t' { // before the first request
			l.body = n + 2
			return l, true
		}
	default:
		for i := range lambdaKinds {
			k := &lambdaKinds[i]
			if !bytes.HasPrefix(rest, []byte(k.word)) || !bytes.HasPrefix(rest[len(k.word):], []byte(k.next)) {
				continue
			}
			l.word = span{p, p + len(k.word)}
			l.body = l.word.end + 1
			if k.next == " RequestId: " {
				if l.request, ok = uuid(b, l.word.end+len(k.next)); !ok {
					return l, false
				}
				l.body = l.request.end
			}
			return l, true
		}
	}
	return l, false
}

func isLambda(raw []byte) bool {
	// Most lines of text end here.
	if len(raw) < 16 {
		return false
	}
	switch c := raw[0]; {
	case c >= '0' && c <= '9':
		if raw[10] != 'T' {
			return false
		}
	case c == '[':
		if bytes.IndexByte(raw[:12], '\t') < 0 {
			return false
		}
	default:
		switch string(raw[:3]) {
		case "STA", "END", "REP", "INI", "RES", "XRA", "EXT", "TEL", "LOG":
		default:
			return false
		}
	}
	_, ok := parseLambda(raw)
	return ok
}

// lambdaTimed reads a line that begins with a time at p, which ends at n, or is
// none if n is 0.
func lambdaTimed(l *lambdaLine, b []byte, p int) (n int, ok bool) {
	n = lambdaTime(b, p)
	if n == 0 || n == len(b) {
		return n, false
	}
	if b[n] == '\t' {
		return n, lambdaMessage(l, b, span{p, n}, n+1)
	}
	const timedOut = " Task timed out"
	if r, is := uuid(b, n+1); b[n] == ' ' && is && bytes.HasPrefix(b[r.end:], []byte(timedOut)) {
		l.time, l.request, l.body = span{p, n}, r, r.end+1
		return n, true
	}
	return n, false
}

// lambdaMessage reads what follows the time of a function's line at p.
func lambdaMessage(l *lambdaLine, b []byte, time span, p int) bool {
	r, ok := uuid(b, p)
	const none = "undefined" // Node.js, outside of a request
	if !ok && bytes.HasPrefix(b[p:], []byte(none)) {
		r = span{p + len(none), p + len(none)}
	} else if !ok {
		return false
	}
	if r.end == len(b) || b[r.end] != '\t' {
		return false
	}
	l.time, l.request, l.body = time, r, r.end+1
	if i := bytes.IndexByte(b[l.body:min(len(b), l.body+12)], '\t'); i > 0 && lambdaLevels[string(b[l.body:l.body+i])] {
		l.level = span{l.body, l.body + i}
		l.body += i + 1
	}
	return r.start < r.end || l.level.start < l.level.end
}

// lambdaTime returns where a time in UTC (2021-01-01T00:00:00.123Z) that begins
// at p ends, or 0.
func lambdaTime(b []byte, p int) int {
	if len(b) < p+20 || b[p+10] != 'T' || b[p+4] != '-' {
		return 0
	}
	n, _, ok := scanDateTime(b[p:min(len(b), p+32)])
	if !ok || b[p+n-1] != 'Z' {
		return 0
	}
	return p + n
}

// uuid reads a UUID at p. Any letters will do: ids that are shown to the public have
// xmpl in them (AWS Lambda Developer Guide).
func uuid(b []byte, p int) (s span, ok bool) {
	const size = 36
	if len(b) < p+size {
		return s, false
	}
	for i, c := range b[p : p+size] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return s, false
			}
		} else if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return s, false
		}
	}
	return span{p, p + size}, true
}

// splitLambda names the pieces of a line. Any line may be one: a function
// writes what it wants.
func splitLambda(raw []byte, dst []trailward.Field) ([]trailward.Field, bool) {
	n := namer{dst: dst, base: len(dst)}
	add := func(path string, s span) { n.add(path, s.start, s.end) }
	end := len(raw)
	for end > 0 && (raw[end-1] == '\n' || raw[end-1] == '\r') {
		end--
	}
	l, ok := parseLambda(raw[:end])
	if !ok {
		l = lambdaLine{}
	}
	p := l.body
	time := "@time"
	if l.at.end > 0 {
		add(time, l.at)
		time = "@runtimeTime"
	}
	first := l.level.start < l.time.start // as Python has it
	if first {
		add("@level", l.level)
	}
	add("@type", l.word)
	add(time, l.time)
	add("@requestId", l.request)
	if !first {
		add("@level", l.level)
	}
	if l.word.end > 0 {
		p = reportPairs(&n, raw[:end], p)
	}
	lambdaText(&n, raw, p, end)
	return n.dst, true
}

// reportPairs names the pairs of a line of the platform and returns where
// something else begins.
func reportPairs(n *namer, b []byte, p int) int {
	for {
		for p < len(b) && b[p] <= ' ' {
			p++
		}
		start := p
		for _, k := range lambdaPairs {
			if bytes.HasPrefix(b[p:], []byte(k.key)) {
				v := p + len(k.key)
				q := wordEnd(b, v)
				if v < len(b) && b[v] == '[' {
					if i := bytes.IndexByte(b[v:], ']'); i > 0 {
						q = v + i + 1
					}
				}
				before := len(n.dst)
				n.add(k.path, v, q)
				if len(n.dst) == before && q > v {
					return start // said twice: a text
				}
				p = q
				for _, unit := range []string{" ms", " MB"} {
					if bytes.HasPrefix(b[p:], []byte(unit)) && wordEnd(b, p+1) == p+len(unit) {
						p += len(unit)
					}
				}
				break
			}
		}
		if p == start {
			return p
		}
	}
}

// lambdaText names what a function wrote: the first JSON object in it, and what
// stands before and behind.
func lambdaText(n *namer, raw []byte, p, end int) {
	if start, stop, ok := jsonFragment(raw[p:end]); ok {
		n.add("@text", p, p+start)
		n.add("@json", p+start, p+stop)
		n.add("@tail", p+stop, end)
		return
	}
	n.add("@text", p, end)
}

// maxFragments is how many braces are tried as the beginning of a JSON object in
// a text: one that ends at the end of the text only costs its whole length.
const maxFragments = 16

// jsonFragment finds the first JSON object in a text.
func jsonFragment(b []byte) (start, end int, ok bool) {
	for range maxFragments {
		i := bytes.IndexByte(b[start:], '{')
		if i < 0 {
			return 0, 0, false
		}
		start += i
		var s JSONScanner
		if n, state := s.Scan(b[start:]); state == ScanDone {
			return start, start + n, true
		}
		start++
	}
	return 0, 0, false
}
