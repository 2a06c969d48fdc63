package query

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"trailward"
	"trailward/query/plan"
)

// Parts in which no record can pass the conditions are not read. What is known
// without looking into a part comes first: its time span, group and kind, which
// fields it has. Then the part itself is asked, whose filters know most values
// (find.go). Both may keep a part in vain, and never leave one out that has a
// record of the answer: the plan's own conditions still run over the rows.
//
// The types of the columns are settled before, over all parts of the time
// range, so that the same question compares the same way whatever is left out.

// Bounded is a part that knows between which values a column lies.
type Bounded interface {
	// Bounds gives the lowest and the highest value of a column of times or of
	// integers, times in microseconds since the Unix epoch; ok is false when
	// nobody knows, or when there is no value.
	Bounds(path string) (low, high int64, ok bool)
}

// prune takes the parts out of their groups in which no record can pass the
// predicates, as far as that is known from outside.
func (s *scan) prune(groups []*partGroup) {
	if len(s.preds) == 0 {
		return
	}
	matchers := map[string]*regexp.Regexp{}
	for _, g := range groups {
		g.parts = slices.DeleteFunc(g.parts, func(i int) bool {
			schema := s.schemas.of(s.parts[i]) // the group's is of one that reads the same
			for _, p := range s.preds {
				if s.mayPass(p, s.parts[i], schema, matchers) {
					continue
				}
				if s.skipped == nil {
					s.skipped = map[int]string{}
				}
				s.skipped[i] = whyNot(p, schema)
				return true
			}
			return false
		})
	}
}

func (s *scan) mayPass(p plan.Predicate, part Part, schema *partSchema, matchers map[string]*regexp.Regexp) bool {
	return slices.ContainsFunc(p.Any, func(a plan.Atom) bool { return s.mayHold(a, part, schema, matchers) })
}

func (s *scan) mayHold(a plan.Atom, part Part, schema *partSchema, matchers map[string]*regexp.Regexp) bool {
	switch systemName(a.Field) {
	case fieldTime:
		if a.Op != plan.AtomSpan {
			return true
		}
		have := plan.Span{From: part.MinTime().UnixMicro(), To: part.MaxTime().UnixMicro()}.Meet(a.Span)
		return have.From <= have.To
	case fieldLog:
		return holdsFor(s.account+":"+part.Group(), a, matchers)
	case fieldKind:
		return holdsFor(string(part.Kind()), a, matchers)
	default:
		if ofStore(a.Field) {
			return true
		}
	}
	if len(schema.fields) == 0 {
		return true // a part that cannot be read says so when it is opened
	}
	e := schema.resolve(a.Field)
	if e.typ == plan.Null {
		return false // every test is false for a missing value
	}
	if e.constant != nil {
		return holdsFor(e.constant(part), a, matchers)
	}
	if a.Op != plan.AtomSpan || !e.plain || len(e.cols) != 1 || !schema.stamps[e.cols[0]] {
		return true
	}
	b, ok := part.(Bounded)
	if !ok {
		return true
	}
	low, high, ok := b.Bounds(e.cols[0])
	if !ok {
		return true
	}
	have := plan.Span{From: low, To: high}.Meet(a.Span)
	return have.From <= have.To
}

// holdsFor tests a text that is the same for all records of a part.
func holdsFor(text string, a plan.Atom, matchers map[string]*regexp.Regexp) bool {
	switch a.Op {
	case plan.AtomEqual:
		return !a.Exact || slices.Contains(a.Values, text)
	case plan.AtomContains:
		return strings.Contains(text, a.Values[0])
	case plan.AtomMatch:
		re, ok := matchers[a.Values[0]]
		if !ok {
			re, _ = regexp.Compile(a.Values[0]) // RE2, as DuckDB's; what does not compile prunes nothing
			matchers[a.Values[0]] = re
		}
		return re == nil || re.MatchString(text)
	}
	return true
}

// whyNot says for a person why no record of a part can pass.
func whyNot(p plan.Predicate, schema *partSchema) string {
	fields := map[string]bool{}
	for _, a := range p.Any {
		switch name := systemName(a.Field); {
		case name == fieldTime:
			return "outside the time that the query's conditions leave"
		case name == fieldLog:
			return "another log group than the conditions ask for"
		case name == fieldKind:
			return "another kind of record than the conditions ask for"
		case schema.resolve(a.Field).typ != plan.Null:
			return "its values of " + trailward.JoinPath(a.Field.Keys...) + " lie outside what the conditions ask for"
		default:
			fields[trailward.JoinPath(a.Field.Keys...)] = true
		}
	}
	return fmt.Sprintf("no record has %s", columnList(fields))
}

// nearNumber makes the test of an AtomEqual whose text is cast to a number.
// DuckDB reads numbers in many ways (1_000, 0x3e8, 1e3), and rounds to integers:
// what is not plainly another number may be this one.
func nearNumber(values []string) func(v []byte) bool {
	var want []float64
	for _, v := range values {
		if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			want = append(want, f)
		}
	}
	return func(v []byte) bool {
		if len(v) == 0 {
			return false
		}
		plainly := len(v) < 16
		for i, b := range v {
			if (b < '0' || b > '9') && !(b == '-' && i == 0) {
				plainly = false
				break
			}
		}
		if !plainly {
			// Without a digit no text is a number but inf and nan.
			return slices.Contains(values, string(v)) || slices.ContainsFunc(v, func(b byte) bool { return b >= '0' && b <= '9' })
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return err != nil || slices.ContainsFunc(want, func(w float64) bool { return math.Abs(w-f) <= 0.5 })
	}
}

// spanTest makes the test of an AtomSpan over the text of a column that holds
// RFC 3339 times in UTC.
func spanTest(span plan.Span) func(v []byte) bool {
	return func(v []byte) bool {
		t, err := time.Parse(time.RFC3339Nano, string(v))
		if err != nil {
			return true
		}
		m := t.UnixMicro()
		return m >= span.From && m <= span.To
	}
}
