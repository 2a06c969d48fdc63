package plan

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"trailward/match"
)

// SQL functions of JSON text that the engine registers, of a text and the text of
// [Ways]. What DuckDB's own functions give back of an object is written anew:
// 1.50 becomes 1.5 there. These give what stands in the text. A missing text, and
// one that has none of the ways, gives a missing value; the text must be JSON.
const (
	// MemberFunction gives a string's text, an array or object without white
	// space, anything else as it stands; of null nothing.
	MemberFunction = "trailward_member"
	// ScalarFunction is that for what is no array or object.
	ScalarFunction = "trailward_scalar"
	// ValueFunction gives the value as JSON text: a string in quotes, null as null.
	ValueFunction = "trailward_value"
	// ElementsFunction gives a list of what MemberFunction gives of each element of
	// an array, which is its only argument; of what is no array nothing.
	ElementsFunction = "trailward_elements"
	// ElementValuesFunction is that with what ValueFunction gives.
	ElementValuesFunction = "trailward_element_values"
)

// Ways are the ways down a JSON value that a path may mean, the plainest first: the
// first that leads to a value other than null counts.
type Ways [][]Step

// Step goes one level down a JSON value.
type Step = match.Step

// OneWay is the way of keys, of which decimal numbers count elements, too.
func OneWay(keys ...string) Ways {
	way := make([]Step, len(keys))
	for i, k := range keys {
		way[i].Key = k
	}
	return Ways{way}
}

// Fold makes all keys match in any case: see [match.Step].
func (w Ways) Fold() Ways {
	for _, way := range w {
		for i := range way {
			way[i].Fold = !way[i].Element
		}
	}
	return w
}

// String writes the ways as JSON: an array for each, of texts for keys, arrays of
// one text for keys in any case, and numbers for places.
func (w Ways) String() string {
	ways := make([][]any, len(w))
	for i, way := range w {
		ways[i] = make([]any, len(way))
		for k, s := range way {
			switch {
			case s.Element:
				ways[i][k] = s.Index
			case s.Fold:
				ways[i][k] = []string{s.Key}
			default:
				ways[i][k] = s.Key
			}
		}
	}
	b, err := json.Marshal(ways)
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(b)
}

// ParseWays reads what String wrote.
func ParseWays(text string) (Ways, error) {
	var ways [][]json.RawMessage
	if err := json.Unmarshal([]byte(text), &ways); err != nil {
		return nil, fmt.Errorf("read ways: %w", err)
	}
	out := make(Ways, len(ways))
	for i, way := range ways {
		for _, raw := range way {
			var s Step
			var err error
			switch raw[0] {
			case '"':
				err = json.Unmarshal(raw, &s.Key)
			case '[':
				var one []string
				if err = json.Unmarshal(raw, &one); err == nil && len(one) != 1 {
					err = fmt.Errorf("%d keys for one", len(one))
				}
				if err == nil {
					s.Key, s.Fold = one[0], true
				}
			default:
				s.Index, err = strconv.Atoi(string(raw))
				s.Element = true
			}
			if err != nil {
				return nil, fmt.Errorf("read ways: %w", err)
			}
			out[i] = append(out[i], s)
		}
	}
	return out, nil
}

// Find returns the bytes of the value to which the first of the ways leads that
// leads to one other than null; null if some lead to that. last is that of
// [match.Member].
func (w Ways) Find(text []byte, last bool) (value []byte, ok bool) {
	for _, way := range w {
		v, found := match.Member(text, way, last)
		if found && (!ok || string(v) != "null") {
			value, ok = v, true
		}
		if ok && string(value) != "null" {
			break
		}
	}
	return value, ok
}

// JSONFunction is a SQL function of a text and the text of [Ways].
type JSONFunction struct {
	Name string
	// Start gives what one thread calls for some rows: it appends the value to dst,
	// ok is false for a missing one.
	Start func() func(dst []byte, args []string) (out []byte, ok bool)
}

// JSONFunctions are MemberFunction, ScalarFunction and ValueFunction.
func JSONFunctions() []JSONFunction {
	return []JSONFunction{
		{MemberFunction, StartWays(false, func(dst, value []byte, _ []string) ([]byte, bool) { return match.AppendText(dst, value) })},
		{ScalarFunction, StartWays(false, func(dst, value []byte, _ []string) ([]byte, bool) {
			if value[0] == '{' || value[0] == '[' {
				return dst, false
			}
			return match.AppendText(dst, value)
		})},
		{ValueFunction, StartWays(false, func(dst, value []byte, _ []string) ([]byte, bool) { return match.AppendCompact(dst, value), true })},
	}
}

// StartWays makes the Start of a function that does fn to what the ways, its second
// argument, lead to in the first; last is that of [match.Member]. The ways are read once where they are the same
// for all rows.
func StartWays(last bool, fn func(dst, value []byte, args []string) (out []byte, ok bool)) func() func(dst []byte, args []string) (out []byte, ok bool) {
	return func() func([]byte, []string) ([]byte, bool) {
		var text string
		var ways Ways
		return func(dst []byte, args []string) ([]byte, bool) {
			if ways == nil || args[1] != text {
				text = strings.Clone(args[1])
				var err error
				if ways, err = ParseWays(text); err != nil {
					return dst, false
				}
			}
			value, ok := ways.Find(bytesOf(args[0]), last)
			if !ok {
				return dst, false
			}
			return fn(dst, value, args)
		}
	}
}

// bytesOf is a text as bytes, which must not be changed.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// ListFunction is a SQL function from a text to a list.
type ListFunction struct {
	Name string
	// Call calls add with each element's text, ok being false for a missing one, and
	// returns false if there is no array.
	Call func(text string, add func(element []byte, ok bool)) bool
}

// ListFunctions are ElementsFunction and ElementValuesFunction.
func ListFunctions() []ListFunction {
	of := func(name string, fn func(dst, value []byte) ([]byte, bool)) ListFunction {
		return ListFunction{name, func(text string, add func([]byte, bool)) bool {
			var buf []byte
			return match.Elements(bytesOf(text), func(value []byte) bool {
				var ok bool
				buf, ok = fn(buf[:0], value)
				add(buf, ok)
				return true
			})
		}}
	}
	return []ListFunction{
		of(ElementsFunction, match.AppendText),
		of(ElementValuesFunction, func(dst, value []byte) ([]byte, bool) { return match.AppendCompact(dst, value), true }),
	}
}
