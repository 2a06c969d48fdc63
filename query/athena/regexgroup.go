package athena

import (
	"regexp/syntax"
	"slices"
)

// optionalGroup says whether a group of a pattern may take no part in a match,
// and has no empty text when it does: then empty text of it means that it did not.
func optionalGroup(pattern string, group int) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false // DuckDB will say so
	}
	optional, found := groupIn(re, group, false)
	return found != nil && optional && !canBeEmpty(found)
}

// groupIn finds what is in a group, and whether something around it can leave it
// out.
func groupIn(re *syntax.Regexp, group int, optional bool) (bool, *syntax.Regexp) {
	switch re.Op {
	case syntax.OpCapture:
		if re.Cap == group {
			return optional, re.Sub[0]
		}
	case syntax.OpQuest, syntax.OpStar, syntax.OpAlternate:
		optional = true
	case syntax.OpRepeat:
		optional = optional || re.Min == 0
	}
	for _, sub := range re.Sub {
		if o, found := groupIn(sub, group, optional); found != nil {
			return o, found
		}
	}
	return false, nil
}

// canBeEmpty says whether an expression matches the empty text somewhere.
func canBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return false
	case syntax.OpRepeat:
		return re.Min == 0 || canBeEmpty(re.Sub[0])
	case syntax.OpCapture, syntax.OpPlus:
		return canBeEmpty(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !canBeEmpty(s) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, canBeEmpty)
	}
	return true
}

// namedGroup is the number of a group of a pattern by its name, 0 if there is none.
func namedGroup(pattern, name string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || name == "" {
		return 0
	}
	return max(0, slices.Index(re.CapNames(), name))
}
