package match

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"trailward/internal/jsonstring"
)

// jsonScan is what one match needs; it is used again.
type jsonScan struct {
	found []bool
	nodes []*node // of all open levels, one after another
	open  []level
	buf   []byte // a string without its escapes
}

// level is an open array or object that selectors look into.
type level struct {
	from  int // its nodes are jsonScan.nodes[from:to]
	to    int
	array bool
	index int
}

var scans = sync.Pool{New: func() any { return new(jsonScan) }}

// match reads the object once and holds the values at the selectors' paths
// against their conditions. Values that no selector leads to are passed over
// by their brackets. raw must be a JSON object; of other bytes it gives some
// answer in the same time. Levels are opened for selectors only, so that
// memory does not grow with a record's depth.
func (p *jsonPattern) match(raw []byte) bool {
	s := scans.Get().(*jsonScan)
	defer scans.Put(s)
	if cap(s.found) < len(p.conds) {
		s.found = make([]bool, len(p.conds))
	}
	s.found = s.found[:len(p.conds)]
	clear(s.found)
	s.nodes = append(s.nodes[:0], p.root)
	s.open = append(s.open[:0], level{0, 1, false, 0})
	s.run(raw, p.conds)
	return p.expr.eval(s.found, p.conds)
}

func (s *jsonScan) run(b []byte, conds []jsonCond) {
	i := 1 // behind the first brace
	for len(s.open) > 0 {
		lv := &s.open[len(s.open)-1]
		i = space(b, i)
		if i >= len(b) {
			return
		}
		switch b[i] {
		case '}', ']':
			s.nodes = s.nodes[:lv.from]
			s.open = s.open[:len(s.open)-1]
			i++
			continue
		case ',', ':':
			i++
			continue
		}
		// The nodes of the next value go behind those of the open levels.
		next := len(s.nodes)
		if lv.array {
			for _, n := range s.nodes[lv.from:lv.to] {
				if n.anyItem != nil {
					s.nodes = append(s.nodes, n.anyItem)
				}
				if n.index != nil {
					if k := n.index[lv.index]; k != nil {
						s.nodes = append(s.nodes, k)
					}
				}
			}
			lv.index++
		} else {
			if b[i] != '"' {
				return
			}
			end := stringEnd(b, i)
			key := s.text(b[i+1 : max(i+1, end-1)])
			for _, n := range s.nodes[lv.from:lv.to] {
				if n.anyKey != nil {
					s.nodes = append(s.nodes, n.anyKey)
				}
				if n.keys != nil {
					if k := n.keys[string(key)]; k != nil {
						s.nodes = append(s.nodes, k)
					}
				}
			}
			i = space(b, end)
			if i >= len(b) || b[i] != ':' {
				return
			}
			i = space(b, i+1)
			if i >= len(b) {
				return
			}
		}
		at := s.nodes[next:]
		if b[i] == '{' || b[i] == '[' {
			deeper := false
			for _, n := range at {
				deeper = deeper || n.keys != nil || n.anyKey != nil || n.index != nil || n.anyItem != nil
				for _, k := range n.conds {
					s.found[k] = s.found[k] || conds[k].test == testMissing
				}
			}
			if deeper {
				s.open = append(s.open, level{next, len(s.nodes), b[i] == '[', 0})
				i++
				continue
			}
			s.nodes = s.nodes[:next]
			i = skipNested(b, i)
			continue
		}
		end := scalarEnd(b, i)
		if end == i {
			return
		}
		for _, n := range at {
			for _, k := range n.conds {
				s.found[k] = s.found[k] || s.holds(&conds[k], b[i:end])
			}
		}
		s.nodes = s.nodes[:next]
		i = end
	}
}

// holds reports whether a scalar satisfies the condition.
func (s *jsonScan) holds(c *jsonCond, scalar []byte) bool {
	first := scalar[0]
	switch c.test {
	case testMissing:
		return true
	case testIs:
		return first == c.literal
	}
	if c.value.any() {
		return c.op == opEqual
	}
	equal := false
	switch {
	case first == '"':
		if c.op.orders() {
			return false
		}
		equal = c.value.equal(s.text(scalar[1:max(1, len(scalar)-1)]))
	case first == 'n':
		if c.op.orders() {
			return false
		}
	case first == 't', first == 'f':
		if c.op.orders() {
			return false
		}
		equal = c.value.equal(scalar)
	default:
		if c.value.numeric {
			n, ok := parseNumber(scalar)
			return ok && n.holds(c.op, c.value.num)
		}
		equal = c.value.equal(scalar)
	}
	return equal == (c.op == opEqual)
}

// text is a string without quotes and escapes, valid until the next call.
func (s *jsonScan) text(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	s.buf = unescape(s.buf[:0], inside)
	return s.buf
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the place behind the string that begins at i.
func stringEnd(b []byte, i int) int {
	for at := i + 1; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return len(b)
		}
		slashes := 0
		for at+n-slashes-1 > i && b[at+n-slashes-1] == '\\' {
			slashes++
		}
		at += n + 1
		if slashes%2 == 0 {
			return at
		}
	}
}

// scalarEnd returns the place behind the string, number or word at i.
func scalarEnd(b []byte, i int) int {
	if b[i] == '"' {
		return stringEnd(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', ':', '{', '[', '"':
			return i
		}
		i++
	}
	return i
}

// structural marks the bytes that skipNested looks at.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

// skipNested returns the place behind the array or object that begins at i. It
// counts brackets and does not recurse.
func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		c := b[i]
		if !structural[c] {
			i++
			continue
		}
		switch c {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
	return i
}

// unescape appends the text of a JSON string (RFC 8259 section 7). Half a
// surrogate pair becomes U+FFFD, an unknown escape its second character.
func unescape(dst, in []byte) []byte {
	for i := 0; i < len(in); {
		if in[i] != '\\' || i+1 == len(in) {
			dst = append(dst, in[i])
			i++
			continue
		}
		r, n, _ := jsonstring.Escape(in[i+1:])
		if n == 0 {
			dst = append(dst, in[i+1])
			i += 2
			continue
		}
		dst = utf8.AppendRune(dst, r)
		i += 1 + n
	}
	return dst
}
