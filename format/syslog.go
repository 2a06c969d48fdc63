package format

import (
	"bytes"

	"trailward"
)

// span is a piece of a record, empty when there is none.
type span struct{ start, end int }

// syslogLine is what a syslog line says, as spans of its bytes.
type syslogLine struct {
	priority, version, timestamp, hostname, program, pid, msgid, severity, message span
	data                                                                           span // structured data, RFC 5424
}

// isSyslog reports whether a line that nobody called syslog is it.
func isSyslog(raw []byte) bool {
	_, ok := parseSyslog(raw, true)
	return ok
}

// parseSyslog reads RFC 5424, RFC 3164 with or without its priority, and
// rsyslog's template with an RFC 3339 time. strict is for lines of unknown
// kind: then a priority alone is not enough, and after an RFC 3339 time, with
// which half of all logs begin, there must be a host and a program's tag. The
// time of RFC 3164 is enough by itself: little else is written so, and the
// line would otherwise lose its time.
func parseSyslog(raw []byte, strict bool) (l syslogLine, ok bool) {
	end := len(raw)
	for end > 0 && (raw[end-1] == '\r' || raw[end-1] == '\n') {
		end--
	}
	b := raw[:end]
	p := 0
	if len(b) > 0 && b[0] == '<' {
		i, pri := 1, 0
		for i < len(b) && i < 4 && b[i] >= '0' && b[i] <= '9' {
			pri = pri*10 + int(b[i]-'0')
			i++
		}
		if i > 1 && i < len(b) && b[i] == '>' && pri <= 191 {
			l.priority = span{1, i}
			p = i + 1
			if v, ok := parse5424(b, p, l); ok {
				return v, true
			}
		}
	}
	hasPriority := p > 0
	var device span // the host, where Cisco's devices have it
	if hasPriority {
		p, device = ciscoHead(b, p)
	}
	_, _, _, _, _, n := stampParts(b[p:])
	bsd := n > 0
	spaced, zoned := false, false
	if !bsd {
		n, spaced, zoned = isoStamp(b[p:])
	}
	switch {
	case n > 0:
		l.timestamp = span{p, p + n}
		p += n
	case hasPriority && !strict:
		l.message = trimmed(b, p)
		return l, true
	default:
		return l, false
	}
	if bsd {
		if p = ciscoZone(b, p); p < len(b) && b[p] == ':' {
			p++
		}
	}
	if p < len(b) && b[p] != ' ' {
		return l, false
	}
	p = skipSpaces(b, p)
	found := tagged(b, p, hasPriority, &l)
	if l.hostname == (span{}) {
		l.hostname = device
	}
	if !found {
		if strict && !bsd && !hasPriority {
			return l, false
		}
		l.message = trimmed(b, p)
		return l, true
	}
	if strict && !bsd && !hasPriority {
		switch {
		case l.hostname == span{}:
			return l, false
		case spaced && (!zoned || l.pid == span{}): // a date and a time as two words: many logs
			return l, false
		}
		if isLevel(b[l.hostname.start:l.hostname.end]) {
			// Chrome OS writes the severity where others have the host; so do
			// applications, which have no process id.
			if (l.pid == span{}) && string(b[l.program.start:l.program.end]) != "kernel" {
				return l, false
			}
		}
	}
	if isLevel(b[l.hostname.start:l.hostname.end]) {
		l.severity, l.hostname = l.hostname, span{}
	}
	return l, true
}

// ciscoHead passes over what Cisco's devices put before the time: the message's
// number, the host, and a sign for a clock that is not set. It returns where the
// time is, and the host.
func ciscoHead(b []byte, p int) (stamp int, host span) {
	word := func(from int) int { // the end of a word before ": "
		i := from
		for i < len(b) && b[i] > ' ' && (b[i] != ':' || i+1 < len(b) && b[i+1] != ' ') {
			i++
		}
		if i > from && i+1 < len(b) && b[i] == ':' {
			return i
		}
		return from
	}
	q := p
	if end := word(q); allDigits(b[q:end]) {
		q = end + 2
		if end = word(q); end > q && isHost(b[q:end]) {
			host, q = span{q, end}, end+2
		}
	}
	if q < len(b) && (b[q] == '*' || b[q] == '.') {
		q++
	}
	if q < len(b) {
		if _, _, _, _, _, n := stampParts(b[q:]); n > 0 {
			return q, host
		}
	}
	return p, span{}
}

// ciscoZone returns the end of a zone's name behind the time, as in
// "Jan  6 2022 22:11:43 UTC: %SYS-5-…". The time is read as UTC whatever it is:
// names of zones are not unique.
func ciscoZone(b []byte, p int) int {
	q := p + 1
	for q < len(b) && q < p+6 && b[q] >= 'A' && b[q] <= 'Z' {
		q++
	}
	if q > p+2 && q+2 < len(b) && b[p] == ' ' && string(b[q:q+3]) == ": %" {
		return q
	}
	return p
}

// tagged reads host, program and message, which begin at p. It is false when
// there is no tag to tell a host from the message's first word.
func tagged(b []byte, p int, hasPriority bool, l *syslogLine) bool {
	if prog, pid, next, ok := tag(b, p); ok {
		l.program, l.pid, l.message = prog, pid, trimmed(b, next)
		return true
	}
	hostEnd := wordEnd(b, p)
	if !isHost(b[p:hostEnd]) {
		return false
	}
	host := span{p, hostEnd}
	q := skipSpaces(b, hostEnd)
	if q+3 < len(b) && string(b[q:q+3]) == "-- " { // login's tag is " -- root[2421]:"
		q = skipSpaces(b, q+3)
	}
	if prog, pid, next, ok := tag(b, q); ok {
		l.hostname, l.program, l.pid, l.message = host, prog, pid, trimmed(b, next)
		return true
	}
	wEnd := wordEnd(b, q)
	word := b[q:wEnd]
	next := skipSpaces(b, wEnd)
	switch {
	case bytes.HasPrefix(b[q:], []byte("last message repeated ")), bytes.HasPrefix(b[q:], []byte("message repeated ")):
		l.hostname, l.message = host, trimmed(b, q)
		return true
	case isProgram(word) && startsWithVersion(b[next:]): // "syslogd 1.4.1: restart."
		l.hostname, l.program, l.message = host, span{q, wEnd}, trimmed(b, next)
		return true
	case hasPriority && isProgram(word): // RFC 3164 section 4.1.3: the tag ends at the first space
		l.hostname, l.program, l.message = host, span{q, wEnd}, trimmed(b, next)
		return true
	case hasPriority:
		l.hostname, l.message = host, trimmed(b, q)
		return true
	}
	return false
}

// tag reads "program:", "program[pid]:" or "program[pid] " at i.
func tag(b []byte, i int) (program, pid span, next int, ok bool) {
	j := i
	for j < len(b) && j-i <= maxProgram && b[j] > ' ' && b[j] != ':' && b[j] != '[' {
		j++
	}
	if !isProgram(b[i:j]) || j == len(b) {
		return
	}
	program = span{i, j}
	if b[j] == '[' {
		k := j + 1
		for k < len(b) && k-j <= 32 && b[k] > ' ' && b[k] != ']' && b[k] != '[' {
			k++
		}
		if k == len(b) || b[k] != ']' {
			return
		}
		pid = span{j + 1, k}
		j = k + 1
		if j == len(b) || b[j] == ' ' {
			return program, pid, j, allDigits(b[pid.start:pid.end])
		}
	}
	if j < len(b) && b[j] == ':' && (j+1 == len(b) || b[j+1] == ' ' || b[j+1] == '\t') {
		return program, pid, j + 1, true
	}
	return
}

const maxProgram = 128

// isProgram reports whether w can be a program's name: it has a letter and
// none of the signs with which texts, but not tags, are made.
func isProgram(w []byte) bool {
	letter := false
	for _, c := range w {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letter = true
		case c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`"'=,;<>{}[]|:`+"`"), c) >= 0:
			return false
		}
	}
	return letter && len(w) <= maxProgram
}

func isHost(w []byte) bool {
	for _, c := range w {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' && c != ':' && c != '%' && c != '/' {
			return false
		}
	}
	return len(w) > 0 && len(w) <= 255 && w[len(w)-1] != ':'
}

func isLevel(w []byte) bool {
	switch string(w) {
	case "EMERG", "ALERT", "CRIT", "CRITICAL", "ERR", "ERROR", "WARNING", "WARN", "NOTICE", "INFO", "DEBUG", "TRACE", "FATAL":
		return true
	}
	return false
}

// startsWithVersion reports whether b begins with a word like "1.4.1:".
func startsWithVersion(b []byte) bool {
	i := wordEnd(b, 0)
	return i > 2 && b[0] >= '0' && b[0] <= '9' && b[i-1] == ':' && bytes.IndexByte(b[:i-1], ':') < 0
}

// isoStamp returns how long the RFC 3339 time at the beginning of b is, whether
// a space stands between its date and time, and whether it has a zone.
func isoStamp(b []byte) (n int, spaced, zoned bool) {
	if len(b) < 19 || b[0] < '0' || b[0] > '9' || b[16] != ':' || b[4] != '-' {
		return 0, false, false
	}
	n, _, ok := scanDateTime(b)
	if !ok {
		return 0, false, false
	}
	z := b[n-1]
	zoned = z == 'Z' || z == 'z' || bytes.IndexByte(b[19:n], '+') >= 0 || bytes.IndexByte(b[19:n], '-') >= 0
	return n, b[10] == ' ', zoned
}

// parse5424 reads what follows the priority of an RFC 5424 line.
func parse5424(b []byte, p int, l syslogLine) (syslogLine, bool) {
	word := func() (span, bool) {
		i := p
		for p < len(b) && b[p] > ' ' {
			p++
		}
		w := span{i, p}
		if p < len(b) && b[p] != ' ' || i == p {
			return w, false
		}
		if p < len(b) {
			p++
		}
		return w, true
	}
	v, ok := word()
	if !ok || v.end-v.start > 3 || !allDigits(b[v.start:v.end]) || b[v.start] == '0' {
		return l, false
	}
	l.version = v
	for i, dst := range []*span{&l.timestamp, &l.hostname, &l.program, &l.pid, &l.msgid} {
		w, ok := word()
		if !ok {
			return l, false
		}
		nil1 := w.end-w.start == 1 && b[w.start] == '-'
		if i == 0 && !nil1 {
			if w.end-w.start < 20 || b[w.start+10] != 'T' {
				return l, false
			}
			if n, _, ok := scanDateTime(b[w.start:w.end]); !ok || n != w.end-w.start {
				return l, false
			}
		}
		if !nil1 {
			*dst = w
		}
	}
	switch {
	case p >= len(b):
		return l, false
	case b[p] == '-':
		p++
	case b[p] == '[':
		n := structuredData(b[p:], nil)
		if n == 0 {
			return l, false
		}
		l.data = span{p, p + n}
		p += n
	default:
		return l, false
	}
	if p < len(b) {
		if b[p] != ' ' {
			return l, false
		}
		p = skipSpaces(b, p)
		if bytes.HasPrefix(b[p:], []byte("\xef\xbb\xbf")) {
			p += 3
		}
		l.message = span{p, len(b)}
	}
	return l, true
}

// structuredData reads the elements at the beginning of b and returns their
// length, 0 when they are broken. param, if not nil, is told of each
// parameter; escaped means that its value holds a backslash.
func structuredData(b []byte, param func(id, name, value span, escaped bool)) int {
	p := 0
	for p < len(b) && b[p] == '[' {
		p++
		id := span{p, sdName(b, p)}
		if p = id.end; id.end == id.start {
			return 0
		}
		for p < len(b) && b[p] == ' ' {
			p = skipSpaces(b, p)
			if p < len(b) && b[p] == ']' {
				break
			}
			name := span{p, sdName(b, p)}
			p = name.end
			if name.end == name.start || p+1 >= len(b) || b[p] != '=' || b[p+1] != '"' {
				return 0
			}
			p += 2
			value, escaped := span{p, p}, false
			for p < len(b) && b[p] != '"' {
				if b[p] == '\\' {
					escaped = true
					p++
				}
				p++
			}
			if p >= len(b) {
				return 0
			}
			value.end = p
			p++
			if param != nil {
				param(id, name, value, escaped)
			}
		}
		if p >= len(b) || b[p] != ']' {
			return 0
		}
		p++
	}
	return p
}

func sdName(b []byte, i int) int {
	for i < len(b) && b[i] > ' ' && b[i] < 0x7f && b[i] != '=' && b[i] != ']' && b[i] != '"' {
		i++
	}
	return i
}

func skipSpaces(b []byte, i int) int {
	for i < len(b) && b[i] == ' ' {
		i++
	}
	return i
}

func trimmed(b []byte, start int) span {
	return span{skipSpaces(b, start), len(b)}
}

func splitSyslog(raw []byte, dst []trailward.Field) ([]trailward.Field, bool) {
	l, ok := parseSyslog(raw, false)
	if !ok {
		return dst, false
	}
	put := func(path string, s span) {
		if s.start < s.end {
			dst = append(dst, trailward.Field{Path: path, Start: s.start, End: s.end})
		}
	}
	put("priority", l.priority)
	put("version", l.version)
	if l.hostname.start < l.timestamp.start { // Cisco's devices have it so
		put("hostname", l.hostname)
		l.hostname = span{}
	}
	put("timestamp", l.timestamp)
	put("severity", l.severity)
	put("hostname", l.hostname)
	put("program", l.program)
	put("pid", l.pid)
	put("msgid", l.msgid)
	if l.data.end > 0 {
		dst = splitData(raw, l.data, dst)
	}
	put("message", l.message)
	return dst, true
}

// splitData names the parameters of structured data, or all of it when the
// bytes of a value are not the value.
func splitData(raw []byte, data span, dst []trailward.Field) []trailward.Field {
	base := len(dst)
	n := namer{dst: dst, base: base}
	simple := true
	structuredData(raw[data.start:data.end], func(id, name, value span, escaped bool) {
		simple = simple && !escaped
		if simple {
			path := trailward.JoinPath("sd", string(raw[data.start:][id.start:id.end]), string(raw[data.start:][name.start:name.end]))
			n.add(path, data.start+value.start, data.start+value.end)
		}
	})
	if !simple || len(n.dst) == base {
		return append(dst[:base], trailward.Field{Path: "structured_data", Start: data.start, End: data.end})
	}
	return n.dst
}
