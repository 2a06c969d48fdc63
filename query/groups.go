package query

import (
	"fmt"
	"slices"
	"strings"
)

// A log group that a question names and that does not exist gives no rows, as
// one without records of the time asked for does. So that a misspelt name is not
// taken for an answer, the statistics say so. It is no error: a question may be
// about groups into which nothing was written yet.

// GroupLister says which log groups exist. A *store.Store does.
type GroupLister interface {
	// HasGroup reports whether there is a group of the name.
	HasGroup(name string) bool
	// HasGroups reports whether some group's name begins with prefix.
	HasGroups(prefix string) bool
}

// maxMissing is how many of the groups that a question names in vain are told of.
const maxMissing = 10

// missingGroups says which of the groups that a question names are not there:
// those of the request and those that a text names (SOURCE). A group that may
// not be read is told of like one that does not exist.
func (e *Engine) missingGroups(req Request, text []string) []string {
	list := e.opts.Groups
	if list == nil {
		return nil
	}
	if len(req.Groups)+len(req.Readable)+len(text) == 0 && !list.HasGroups("") {
		return []string{"nothing is stored yet: there is no log group"}
	}
	has := func(pattern string) bool {
		if prefix, star := strings.CutSuffix(pattern, "*"); star {
			return list.HasGroups(prefix)
		}
		return list.HasGroup(pattern)
	}
	var out []string
	more := 0
	seen := map[string]bool{}
	for _, pattern := range slices.Concat(req.Groups, text) {
		if seen[pattern] {
			continue
		}
		seen[pattern] = true
		if both, none := narrow([]string{pattern}, req.Readable); !none && slices.ContainsFunc(both, has) {
			continue
		}
		if len(out) == maxMissing {
			more++
			continue
		}
		if prefix, star := strings.CutSuffix(pattern, "*"); star {
			out = append(out, fmt.Sprintf("no log group's name begins with %q", prefix))
		} else {
			out = append(out, fmt.Sprintf("no log group is named %q: `trailward groups` lists them; a prefix ends with *", pattern))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more of the log groups named are not there", more))
	}
	return out
}
