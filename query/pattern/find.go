package pattern

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of bringing masks together; see the package comment.
const (
	likeness    = 0.6 // of the words of a group's first mask
	fewWords    = 8   // in one place, that are still a choice; masks that stay apart
	maxSplit    = 16  // patterns of one group
	maxLeaders  = 200 // groups of the same form that a mask is compared with
	maxPatterns = 10_000
)

// Masked is a mask and how often it occurs.
type Masked struct {
	Mask  string
	Count int64 // in the time that is asked for
	Prev  int64 // in the time that it is compared with
	// Times counts the records by the slice of time that they are in; nil when
	// nobody asks.
	Times map[int64]int64
}

// Pattern is a group of texts that are alike.
type Pattern struct {
	Text     string
	Severity string // a constant of [Severities], or empty
	Count    int64
	Prev     int64
	Times    map[int64]int64
}

// word ids below zero are marks and punctuation: places that have to agree.
type line struct {
	Masked
	words    []int32 // of the places that are words
	severity int
}

// lexicon numbers the words, so that they are compared as numbers.
type lexicon struct {
	ids   map[string]int32
	words []string
}

func (l *lexicon) id(w string) int32 {
	id, ok := l.ids[w]
	if !ok {
		id = int32(len(l.words))
		l.ids[strings.Clone(w)] = id
		l.words = append(l.words, w)
	}
	return id
}

// group is masks of one form that are alike.
type group struct{ lines []*line }

// Find brings masks together and returns the patterns, the most frequent first.
// Those after the first 10,000 are left out; rest is how many records, and left
// how many patterns, that are.
func Find(masks []Masked) (patterns []Pattern, left int, rest int64) {
	lines := make([]*line, len(masks))
	for i := range masks {
		lines[i] = &line{Masked: masks[i]}
	}
	slices.SortFunc(lines, func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.Count+b.Prev, a.Count+a.Prev), cmp.Compare(a.Mask, b.Mask))
	})
	lex := &lexicon{ids: map[string]int32{}}
	forms := map[string][]*group{}
	var groups []*group
	var form []byte
	for _, l := range lines {
		form = l.read(lex, form[:0])
		g := nearest(forms[string(form)], l)
		if g == nil {
			g = &group{}
			groups = append(groups, g)
			if len(forms[string(form)]) < maxLeaders {
				forms[string(form)] = append(forms[string(form)], g)
			}
		}
		g.lines = append(g.lines, l)
	}
	// Groups may come to the same pattern.
	type key struct{ text, severity string }
	at := map[key]int{}
	for _, g := range groups {
		for _, p := range g.patterns(lex) {
			k := key{p.Text, p.Severity}
			if i, ok := at[k]; ok {
				patterns[i].add(p)
				continue
			}
			at[k] = len(patterns)
			patterns = append(patterns, p)
		}
	}
	slices.SortStableFunc(patterns, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Prev, a.Prev), cmp.Compare(a.Text, b.Text))
	})
	if len(patterns) > maxPatterns {
		for _, p := range patterns[maxPatterns:] {
			rest += p.Count
		}
		left = len(patterns) - maxPatterns
		patterns = patterns[:maxPatterns]
	}
	return patterns, left, rest
}

// anyToken is the mark of a token of no known type: a word with a digit in it,
// which stands where other words may stand.
const anyToken = string(rune(mark)) + "A"

// place is a piece of a mask: a word, or what has to agree.
func place(mask string, i int) (n int, isWord bool) {
	if mask[i] == mark {
		return 2, strings.HasPrefix(mask[i:], anyToken)
	}
	if class[mask[i]]&wordClass == 0 {
		return 1, false
	}
	n = 1
	for i+n < len(mask) && class[mask[i+n]]&wordClass != 0 {
		n++
	}
	return n, true
}

// read takes a mask apart. It appends its form to dst: all but the words, and
// the severity.
func (l *line) read(lex *lexicon, dst []byte) []byte {
	l.severity = severity(l.Mask)
	dst = append(dst, byte('0'+l.severity))
	for i := 0; i < len(l.Mask); {
		n, isWord := place(l.Mask, i)
		if isWord {
			l.words = append(l.words, lex.id(l.Mask[i:i+n]))
			dst = append(dst, 'w')
		} else {
			dst = append(dst, l.Mask[i:i+n]...)
		}
		i += n
	}
	return dst
}

// nearest returns the group that a mask is most like, if it is like one.
func nearest(groups []*group, l *line) *group {
	var best *group
	most := -1
	for _, g := range groups {
		lead := g.lines[0].words
		same := 0
		for i, w := range lead {
			if w == l.words[i] {
				same++
			}
		}
		if float64(same) >= likeness*float64(len(lead)) && same > most {
			best, most = g, same
		}
	}
	return best
}

// patterns makes the patterns of a group.
func (g *group) patterns(lex *lexicon) []Pattern {
	if len(g.lines) <= fewWords {
		out := make([]Pattern, len(g.lines))
		for i, l := range g.lines {
			out[i] = l.pattern(nil)
		}
		return out
	}
	n := len(g.lines[0].words)
	different := make([]int, n)
	tokenID, hasTokens := lex.ids[anyToken]
	for i := range n {
		seen := map[int32]bool{}
		for _, l := range g.lines {
			seen[l.words[i]] = true
		}
		if different[i] = len(seen); different[i] > 1 && hasTokens && seen[tokenID] {
			different[i] = math.MaxInt // names stand here, some with digits
		}
	}
	// The places where a choice stands, those with the fewest words first, tell
	// patterns apart for as long as there are few.
	order := make([]int, 0, n)
	for i, d := range different {
		if d > 1 && d <= fewWords {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(different[a], different[b]) })
	variable := make([]bool, n)
	for i, d := range different {
		variable[i] = d > 1
	}
	split := [][]*line{g.lines}
	for _, i := range order {
		var next [][]*line
		for _, part := range split {
			at := map[int32]int{}
			for _, l := range part {
				k, ok := at[l.words[i]]
				if !ok {
					k = len(next)
					at[l.words[i]] = k
					next = append(next, nil)
				}
				next[k] = append(next[k], l)
			}
		}
		if len(next) > maxSplit {
			break
		}
		split = next
		variable[i] = false
	}
	var out []Pattern
	for _, part := range split {
		p := part[0].pattern(variable)
		for _, l := range part[1:] {
			p.add(Pattern{Count: l.Count, Prev: l.Prev, Times: l.Times})
		}
		out = append(out, p)
	}
	return out
}

// add counts the records of another pattern.
func (p *Pattern) add(q Pattern) {
	p.Count += q.Count
	p.Prev += q.Prev
	for t, c := range q.Times {
		if p.Times == nil {
			p.Times = map[int64]int64{}
		}
		p.Times[t] += c
	}
}

// pattern writes the pattern of a mask, the words at variable places as tokens.
func (l *line) pattern(variable []bool) Pattern {
	p := Pattern{Severity: Severities[l.severity], Count: l.Count, Prev: l.Prev}
	if l.Times != nil {
		p.Times = make(map[int64]int64, len(l.Times))
		for t, c := range l.Times {
			p.Times[t] = c
		}
	}
	var b strings.Builder
	tokens, words := 0, 0
	write := func(k kind) {
		tokens++
		b.WriteByte('<')
		b.WriteString(kindNames[k])
		b.WriteByte('-')
		b.WriteString(strconv.Itoa(tokens))
		b.WriteByte('>')
	}
	for i := 0; i < len(l.Mask); {
		n, isWord := place(l.Mask, i)
		switch {
		case isWord:
			if words < len(variable) && variable[words] || l.Mask[i] == mark {
				write(token)
			} else {
				b.WriteString(l.Mask[i : i+n])
			}
			words++
		case n == 2 && i+1 < len(l.Mask) && l.Mask[i+1]-'A' < byte(kinds):
			write(kind(l.Mask[i+1] - 'A'))
		case n == 1:
			b.WriteByte(l.Mask[i])
		}
		i += n
	}
	p.Text = b.String()
	return p
}
