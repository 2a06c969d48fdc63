package insights

import (
	"slices"
	"strings"
)

// Part is one query of a text that holds several.
type Part struct {
	Text string // with the comments above it
	Line int    // of the whole text that it begins in, from 1
}

// MaxParts is the most queries that Split finds in one text.
const MaxParts = 100

// Split takes a text with several queries apart. Published texts hold several, set
// apart by blank lines or comments, each beginning with a command and no pipe. A
// text that can be read as one query is one, and so is a text of which not every
// part can be read: then its faults are those of the whole.
func Split(text string) []Part {
	whole := []Part{{Text: text, Line: 1}}
	if _, err := parseQuery(text); err == nil {
		return whole
	}
	lines := strings.SplitAfter(text, "\n")
	var starts []int // the lines that parts begin with
	apart := true    // since the last part: blank lines or comments
	open := false    // the line before goes on
	comment := -1    // where the comments above the present line begin
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			apart = true
		case trimmed[0] == '#':
			if apart = true; comment < 0 {
				comment = i
			}
		default:
			if apart && !open && beginsPart(trimmed) {
				if comment < 0 {
					comment = i
				}
				starts = append(starts, comment)
			}
			apart, comment = false, -1
			// A line that ends so goes on.
			open = strings.ContainsAny(trimmed[len(trimmed)-1:], "|,(=")
		}
	}
	if len(starts) < 2 || len(starts) > MaxParts {
		return whole
	}
	starts[0] = 0
	var parts []Part
	for k, from := range starts {
		to := len(lines)
		if k+1 < len(starts) {
			to = starts[k+1]
		}
		for from < to-1 && strings.TrimSpace(lines[from]) == "" {
			from++
		}
		p := Part{Text: strings.TrimRight(strings.Join(lines[from:to], ""), " \t\r\n"), Line: from + 1}
		if _, err := parseQuery(p.Text); err != nil {
			return whole
		}
		parts = append(parts, p)
	}
	return parts
}

// beginsPart reports whether a line begins as a query does.
func beginsPart(line string) bool {
	w := line[:word(line)]
	if strings.EqualFold(w, "SOURCE") {
		return true
	}
	rest := strings.TrimLeft(line[len(w):], " \t")
	// count = 3 in the lines of a condition is a field.
	return isCommand(w) && (rest == "" || !slices.Contains([]byte("=<>!,|)+*/%"), rest[0]))
}
