package query

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// groupNames is a GroupLister of a few names.
type groupNames []string

func (l groupNames) HasGroup(name string) bool { return slices.Contains(l, name) }
func (l groupNames) HasGroups(prefix string) bool {
	return slices.ContainsFunc(l, func(n string) bool { return strings.HasPrefix(n, prefix) })
}

func TestMissingGroups(t *testing.T) {
	var many []string
	for i := range maxMissing + 2 {
		many = append(many, fmt.Sprint("/none/", i))
	}
	for _, c := range []struct {
		name string
		list GroupLister
		req  Request
		text []string
		want int    // notices
		last string // part of the last of them
	}{
		{"nobody knows", nil, Request{Groups: []string{"x"}}, nil, 0, ""},
		{"there", groupNames{"/a", "/b/c"}, Request{Groups: []string{"/a", "/b*"}}, []string{"/b/c"}, 0, ""},
		{"none named", groupNames{"/a"}, Request{}, nil, 0, ""},
		{"empty store", groupNames{}, Request{}, nil, 1, "nothing is stored yet"},
		{"empty store, named", groupNames{}, Request{Groups: []string{"/a"}}, nil, 1, `named "/a"`},
		{"misspelt", groupNames{"/a"}, Request{Groups: []string{"/a", "/A"}}, nil, 1, `named "/A"`},
		{"prefix without a star", groupNames{"/a/b"}, Request{Groups: []string{"/a"}}, nil, 1, "a prefix ends with *"},
		{"pattern", groupNames{"/a/b"}, Request{Groups: []string{"/b*"}}, nil, 1, `begins with "/b"`},
		{"in the text", groupNames{"/a"}, Request{}, []string{"/b", "/b", "/a"}, 1, `named "/b"`},
		{"twice", groupNames{"/a"}, Request{Groups: []string{"/b"}}, []string{"/b"}, 1, `named "/b"`},
		{"not to be read", groupNames{"/a", "/b"}, Request{Readable: []string{"/a"}}, []string{"/b"}, 1, `named "/b"`},
		{"not all to be read", groupNames{"/a", "/b"}, Request{Readable: []string{"/a"}}, []string{"/*"}, 0, ""},
		{"all that may be read", groupNames{"/a"}, Request{Readable: []string{"/b*"}}, nil, 0, ""},
		{"many", groupNames{"/a"}, Request{Groups: many}, nil, maxMissing + 1, "2 more"},
	} {
		e := &Engine{opts: Options{Groups: c.list}}
		got := e.missingGroups(c.req, c.text)
		if len(got) != c.want || c.want > 0 && !strings.Contains(got[len(got)-1], c.last) {
			t.Errorf("%s: notices %q, want %d, the last with %q", c.name, got, c.want, c.last)
		}
	}
}
