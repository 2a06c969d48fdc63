package lower

import (
	"maps"
	"slices"
	"strings"

	"trailward/query/plan"
)

// counted returns the node above whose rows the records that match the query
// are counted: the last filter above its own scan, as far up as no row's fate
// depends on another row. It is nil when there is no filter to count after.
func counted(q *plan.Query) plan.Node {
	if q.Matched == "" {
		return nil
	}
	var last plan.Node
	for n := q.Root; n != nil; n = n.Input() {
		switch n.(type) {
		case *plan.Filter:
			if last == nil {
				last = n
			}
		case *plan.Scan, *plan.Sort, *plan.Extend:
		default:
			last = nil
		}
	}
	return last
}

// Counts reports whether the statement counts the records that match: without a
// filter all of them do.
func Counts(q *plan.Query) bool { return counted(q) != nil }

// count makes the statement count the rows that it has so far, by q.Matched.
// What is above must not change their number: the condition is kept apart from
// others by its column, and every column depends on it, so that the engine can
// move no condition on them below it.
func (l *lowerer) count(fn string) error {
	if err := l.flush(); err != nil {
		return err
	}
	ok := l.name("k")
	if err := l.step("SELECT *, " + fn + "() AS " + ok + " FROM " + l.from); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, v := range l.cols {
		names[v.sql] = v.atom
	}
	for _, v := range l.fields {
		names[v.sql] = v.atom
	}
	var cols []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] && strings.HasPrefix(n, `"`) {
			cols = append(cols, "CASE WHEN "+ok+" THEN "+n+" END AS "+n)
		}
	}
	sel := "SELECT *"
	if len(cols) > 0 {
		sel += " REPLACE (" + strings.Join(cols, ", ") + ")"
	}
	return l.step(sel + " FROM " + l.from + " WHERE " + ok)
}
