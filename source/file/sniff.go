package file

import (
	"bytes"

	"trailward"
	"trailward/format"
)

// sniffed is how many lines are looked at to tell what a file of lines is.
const sniffed = 16

// choose decides the framing of a logical file by its head, whose first skip
// bytes are a byte order mark, which is framing. more says that the file goes
// on behind the head.
func choose(head []byte, more bool, name string, opts *Options, report *Report) (fr framer, skip int) {
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		skip = 3
	}
	plain := &lines{cut: lineCutter{max: opts.MaxRecord}}
	wrapped := true // look for the framing of containers and of the journal
	switch opts.Kind {
	case trailward.KindText, trailward.KindLinuxAudit:
		return plain, skip
	case trailward.KindSyslog:
		if isOctets(head[skip:], more) {
			return &octets{max: opts.MaxRecord}, skip
		}
		return plain, skip
	case trailward.KindVPCFlow:
		plain.flow, plain.columns = true, opts.Columns
		return plain, skip
	case "":
		plain.flow = true
		if !opts.bare {
			plain.report = report
		}
	case trailward.KindContainer, trailward.KindJournal:
	default:
		wrapped = false
	}
	vals := &values{max: opts.MaxRecord, report: report, bare: opts.bare, flows: opts.Kind == "", single: true}
	if opts.Kind != trailward.KindLambda { // whose functions write what they like
		plain.vals = vals
	}
	b := head[skip:]
	i := format.JSONBlank(b, 0)
	if i == len(b) {
		return plain, skip
	}
	if b[i] == '{' || b[i] == '[' {
		if isValues(b[i:]) {
			vals.single = false
			return vals, skip
		}
		if wrapped && mostLines(b, more, func(line []byte) bool {
			_, _, ok := format.ParseDocker(line, nil)
			return ok
		}) {
			return newContainers(true, name, opts.MaxRecord), skip
		}
		return plain, skip
	}
	if !wrapped {
		return plain, skip
	}
	if opts.Kind == "" {
		if cols, n := flowTable(b[i:], more); cols != nil {
			plain.columns = cols
			return plain, skip + i + n
		}
	}
	if opts.Kind == "" && isOctets(b[i:], more) {
		return &octets{max: opts.MaxRecord}, skip + i
	}
	if isJournal(b[i:]) {
		return &journal{max: opts.MaxRecord}, skip
	}
	if mostLines(b, more, func(line []byte) bool {
		_, ok := format.ParseCRI(line)
		return ok
	}) {
		return newContainers(false, name, opts.MaxRecord), skip
	}
	return plain, skip
}

// isValues reports whether a file that begins with b, a brace or bracket
// first, is JSON other than one object a line.
func isValues(b []byte) bool {
	if probe(b) != noWrapper {
		return true
	}
	if b[0] == '[' {
		return false // an array of anything else is a line like others
	}
	var sc format.JSONScanner
	n, state := sc.Scan(b)
	lf := bytes.IndexByte(b, '\n')
	switch state {
	case format.ScanBroken:
		return false
	case format.ScanMore:
		// It goes on over the end of a line, or is so large that nothing can be
		// said of what comes behind it, which may be another one in the same line.
		return true
	}
	if lf >= 0 && lf < n {
		return true
	}
	// Objects one behind the other in a line are values; anything else behind
	// the first one is a matter of lines.
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	return n < len(b) && b[n] == '{'
}

// mostLines reports whether is holds for at least half of the first lines.
func mostLines(b []byte, more bool, is func(line []byte) bool) bool {
	n, yes := 0, 0
	for n < sniffed && len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole && more && n > 0 {
			break
		}
		b = rest
		if len(line) == 0 {
			continue
		}
		n++
		if is(line) {
			yes++
		}
	}
	return n > 0 && 2*yes >= n
}

// flowTable returns the columns that the first line of b names, if the lines behind
// it say that it is a flow log's header, and how long it is.
func flowTable(b []byte, more bool) (cols []string, n int) {
	if b[0] < 'a' || b[0] > 'z' {
		return nil, 0
	}
	header, rest, _ := bytes.Cut(b, []byte("\n"))
	n = len(b) - len(rest)
	var rows [][]byte
	for len(rest) > 0 && len(rows) < sniffed {
		row, behind, whole := bytes.Cut(rest, []byte("\n"))
		if !whole && (more || len(rows) > 0) {
			break // it may be half of one
		}
		rest = behind
		if row = bytes.TrimSuffix(row, []byte("\r")); len(row) > 0 {
			rows = append(rows, row)
		}
	}
	return format.FlowTable(header, rows), n
}

// isJournal reports whether b begins with an entry of the journal's export
// form, which opens with the fields that journald makes itself.
func isJournal(b []byte) bool {
	i := bytes.IndexByte(b[:min(len(b), 64)], '=')
	if i < 0 {
		return false
	}
	switch string(b[:i]) {
	case "__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "__SEQNUM":
		return true
	}
	return false
}
