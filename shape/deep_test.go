package shape

import (
	"strings"
	"testing"
)

// What nests too deep for the query engine is no JSON to us, whatever it
// consists of and wherever it stands; the level before is.
func TestMaxNesting(t *testing.T) {
	arrays := func(n int) string { return strings.Repeat("[", n) + "1" + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, c := range []struct {
		name string
		make func(n int) string
		most int
	}{
		{"arrays", func(n int) string { return `{"v":` + arrays(n) + `}` }, MaxNesting},
		{"objects", objects, MaxNesting + MaxDepth},
		{"not opaque", func(n int) string { return `{"x":1,"v":[` + objects(n-1) + `]}` }, MaxNesting},
	} {
		for _, d := range []Detail{Full, Rest} {
			most := c.most
			if d == Rest {
				most = MaxNesting
				if c.name != "objects" {
					most-- // the record itself is a level
				}
			}
			for n, want := range map[int]bool{most: true, most + 1: false, 20 * most: false} {
				taker := NewTaker(func(string) bool { return false })
				for range 2 { // parsed, then along the shape
					if _, ok := taker.JSON([]byte(c.make(n)), d); ok != want {
						t.Errorf("%s, %d deep, detail %v: JSON() = %v, want %v", c.name, n, d, ok, want)
					}
				}
			}
		}
	}
}
