package format

import (
	"bytes"

	"trailward"
)

// An auditd line is
//
//	[node=NAME ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): key=value …
//
// followed, in enriched form, by a group separator (0x1d) and the same again
// with ids and numbers put into words, in upper-case keys. Records of user
// space hold their own pairs in msg='…'.

// auditHead is the fixed beginning of an auditd line.
type auditHead struct {
	node, kind, time, serial span
	body                     int // where the pairs begin
}

func isAudit(raw []byte) bool {
	_, ok := parseAuditHead(raw)
	return ok
}

func parseAuditHead(b []byte) (h auditHead, ok bool) {
	p := 0
	if bytes.HasPrefix(b, []byte("node=")) {
		h.node = span{5, wordEnd(b, 5)}
		if p = h.node.end; p == 5 || p-5 > 255 || p == len(b) || b[p] != ' ' {
			return h, false
		}
		p++
	}
	if !bytes.HasPrefix(b[p:], []byte("type=")) {
		return h, false
	}
	h.kind = span{p + 5, wordEnd(b, p+5)}
	p = h.kind.end
	const open = " msg=audit("
	if h.kind.start == p || p-h.kind.start > 64 || !bytes.HasPrefix(b[p:], []byte(open)) {
		return h, false
	}
	p += len(open)
	h.time.start = p
	p = digitsEnd(b, p)
	if p == h.time.start || p == len(b) || b[p] != '.' {
		return h, false
	}
	q := digitsEnd(b, p+1)
	if q == p+1 || q == len(b) || b[q] != ':' {
		return h, false
	}
	h.time.end = q
	h.serial = span{q + 1, digitsEnd(b, q+1)}
	p = h.serial.end
	if p == h.serial.start || p == len(b) || b[p] != ')' {
		return h, false
	}
	if p++; p < len(b) && b[p] == ':' { // DAEMON_CONFIG has a space only
		p++
	}
	if p < len(b) && b[p] > ' ' {
		return h, false
	}
	h.body = p
	return h, true
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

func splitAudit(raw []byte, dst []trailward.Field) ([]trailward.Field, bool) {
	h, ok := parseAuditHead(raw)
	if !ok {
		return dst, false
	}
	n := namer{dst: dst, base: len(dst)}
	n.add("node", h.node.start, h.node.end)
	n.add("type", h.kind.start, h.kind.end)
	n.add("time", h.time.start, h.time.end)
	n.add("sequence", h.serial.start, h.serial.end)

	end := len(raw)
	for end > h.body && (raw[end-1] == '\r' || raw[end-1] == '\n') {
		end--
	}
	body := end
	if i := bytes.IndexByte(raw[h.body:end], 0x1d); i >= 0 {
		body = h.body + i
	}
	auditPairs(&n, raw, h.body, body, false)
	if body < end {
		auditPairs(&n, raw, body+1, end, true)
	}
	return n.dst, true
}

// auditPairs names the pairs in raw[p:end]. nested says that msg='…' is not to
// be looked into: a line has one, and none inside it.
func auditPairs(n *namer, raw []byte, p, end int, nested bool) {
	b := raw[:end]
	lastBrace := bytes.LastIndexByte(b, '}') // so that no brace is looked for in vain, again and again
	for p < end {
		for p < end && (b[p] <= ' ' || b[p] == ',') {
			p++
		}
		start := p
		for p < end && b[p] > ' ' && b[p] != '=' {
			p++
		}
		if p == end || b[p] != '=' {
			if string(b[start:p]) == "avc:" {
				p = auditAVC(n, b, p, lastBrace)
			}
			continue // a word of prose
		}
		key := b[start:p]
		p++
		if p == end || b[p] <= ' ' {
			continue // nothing after the sign, as in "subj= res=success"
		}
		switch {
		case b[p] == '\'' && string(key) == "msg" && !nested:
			// What stands in the quotes may hold apostrophes itself, so the last
			// quote closes them.
			nested = true
			p++
			if i := bytes.LastIndexByte(b[p:], '\''); i >= 0 {
				auditPairs(n, raw, p, p+i, true)
				p += i + 1
			}
		case b[p] == '"' || b[p] == '\'':
			q := bytes.IndexByte(b[p+1:], b[p])
			if q < 0 {
				p = auditValue(n, b, key, p)
				break
			}
			auditAdd(n, key, p+1, p+1+q)
			p += q + 2
		case b[p] == '{': // SADDR={ fam=inet laddr=10.0.0.1 lport=443 }
			if lastBrace < p {
				p = auditValue(n, b, key, p)
				break
			}
			q := bytes.IndexByte(b[p:], '}')
			auditAdd(n, key, p, p+q+1)
			p += q + 1
		case string(key) == "op":
			p = auditOp(n, b, key, p)
		default:
			p = auditValue(n, b, key, p)
		}
	}
}

// auditValue names a value that ends at a space and returns its end.
func auditValue(n *namer, b, key []byte, p int) int {
	q := wordEnd(b, p)
	end := q
	for end > p && b[end-1] == ',' { // "res=success, auid=1000"
		end--
	}
	auditAdd(n, key, p, end)
	return q
}

// auditOp names the value of op, which alone may be several unquoted words
// ("op=adding user id=1004"): it ends before the next word with a sign in it.
func auditOp(n *namer, b, key []byte, p int) int {
	end := wordEnd(b, p)
	for next := end; ; {
		i := next
		for i < len(b) && b[i] <= ' ' {
			i++
		}
		j := wordEnd(b, i)
		if i == j || bytes.IndexByte(b[i:j], '=') >= 0 {
			break
		}
		end, next = j, j
	}
	auditAdd(n, key, p, end)
	return end
}

// auditAVC names what stands in words after "avc:", as in
// "avc:  denied  { getattr } for  pid=…", with auditd's own names for it.
func auditAVC(n *namer, b []byte, p, lastBrace int) int {
	i := skipSpaces(b, p)
	j := wordEnd(b, i)
	if w := string(b[i:j]); w != "denied" && w != "granted" {
		return p
	}
	n.add("seresult", i, j)
	k := skipSpaces(b, j)
	if k == len(b) || b[k] != '{' || lastBrace < k {
		return j
	}
	q := bytes.IndexByte(b[k:], '}')
	start, end := k+1, k+q
	for start < end && b[start] == ' ' {
		start++
	}
	for end > start && b[end-1] == ' ' {
		end--
	}
	n.add("seperms", start, end)
	return k + q + 1
}

func auditAdd(n *namer, key []byte, start, end int) {
	if len(key) > 0 && len(key) <= maxAuditKey && start < end {
		n.add(pathOf(key), start, end)
	}
}

// maxAuditKey is the longest key that becomes a field; auditd's have at most
// some twenty letters, and what is longer is no key but text with a sign in it.
const maxAuditKey = 64
