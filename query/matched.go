package query

import (
	"strings"

	"trailward/query/duck"
)

// The records that match a question are counted where they pass its conditions,
// by a function in the statement (duck.MatchedFunction): no second pass over
// them is needed, and no condition above can change their number.
//
// In Logs Insights QL that is above the last filter before a command that
// brings records together, cuts them off or takes them apart; in SQL it is above
// the WHERE of a SELECT from one table. There the count is exact: an order is
// over all records that match, and so is the count when `limit` shows few of
// them. Only a LIMIT without an order, in SQL, stops before all have been looked
// at; then the count is of those that were. Without conditions all records of
// the time range match.
//
// In a SELECT that joins tables, or whose WHERE has subqueries, the function
// stands below all conditions, and counts the records of each table that are
// left after what DuckDB moves down to it: the conditions about that table alone,
// and, as far as DuckDB finds it out early, having a partner in the join.

// counting says how the records of a relation are counted.
type counting uint8

const (
	countNothing    counting = iota // the plan above does, or nobody asks
	countAll                        // all of the time range match
	countConditions                 // those that pass what DuckDB moves down to them
)

// matched is how many records have matched so far.
func (s *scan) matched() int64 {
	if s.session == nil {
		return s.rows
	}
	return s.rows + s.session.Matched()
}

// countGroup counts the records of a group of parts: where all are in the time
// range their number is known.
func (s *scan) countGroup(g *partGroup, selects, columns []string) []string {
	if !g.filter {
		for _, i := range g.parts {
			s.rows += s.parts[i].Rows()
		}
		return selects
	}
	out := make([]string, len(selects))
	for i, sel := range selects {
		out[i] = countedSelect("("+sel+")", columns, true)
	}
	return out
}

// countedSelect is a SELECT of the columns of a relation, whose rows are counted. If it is closed, no condition from above is moved below the
// count: every column depends on it.
func countedSelect(from string, columns []string, closed bool) string {
	var cols []string
	for _, c := range columns {
		if closed {
			c = "CASE WHEN m.counted THEN m." + c + " END AS " + c
		} else {
			c = "m." + c
		}
		cols = append(cols, c)
	}
	if len(cols) == 0 {
		cols = append(cols, "1 AS none")
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM (SELECT *, " + duck.MatchedFunction + "() AS counted FROM " + from + " AS n) AS m WHERE m.counted"
}
