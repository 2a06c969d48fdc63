package query

import (
	"fmt"
	"slices"
	"strings"

	"trailward/query/insights"
	"trailward/query/plan"
)

// maxCompared is how many names of fields a name that no record has is compared
// with.
const maxCompared = 2000

// noteMisspelt says of a field that no record of the groups and the time has what
// its name probably was to be. A field that is just not there is as usual as not:
// without a name like it nothing is said. (In SQL an unknown column is an error.)
func (s *scan) noteMisspelt(n *narrowed) {
	var names []string
	for i, f := range n.wanted {
		name := strings.Join(f.Keys, ".")
		if n.types[i] != plan.Null || s.noted[name] || len(n.groups) == 0 {
			continue
		}
		if _, ours := n.groups[0].schema.ours(name); ours {
			continue
		}
		if s.noted == nil {
			s.noted = map[string]bool{}
		}
		s.noted[name] = true
		if names == nil {
			names = s.fieldNames(n.groups)
		}
		if near := insights.Nearest(name, names); near != "" {
			s.stats.Notices = append(s.stats.Notices, fmt.Sprintf("no record here has the field %s: did you mean %s?", name, near))
		}
	}
}

// fieldNames are names of the fields that records of the groups have, as a query
// writes them.
func (s *scan) fieldNames(groups []*partGroup) []string {
	seen, met := map[string]bool{}, map[*partSchema]bool{}
	out := []string{fieldLog, fieldMessage, fieldPtr, fieldKind, "@aws.account", "@aws.region", "@source.log", "@data_source_name", "@data_source_type"}
	for _, g := range groups {
		for _, i := range g.parts {
			schema := s.schemas.of(s.parts[i])
			if met[schema] {
				continue
			}
			met[schema] = true
			for _, f := range schema.fields {
				if name := flatten(f.Path); !seen[name] && len(out) < maxCompared {
					seen[name] = true
					out = append(out, name)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
