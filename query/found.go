package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
	"trailward/store"
)

// neededColumns are the columns that found rows need, each once.
type neededColumns struct {
	paths []string
	place map[string]int
}

// need returns the place of a column in the list.
func (c *neededColumns) need(path string) int {
	k, ok := c.place[path]
	if !ok {
		if c.place == nil {
			c.place = map[string]int{}
		}
		k = len(c.paths)
		c.place[path] = k
		c.paths = append(c.paths, path)
	}
	return k
}

// selectFound writes a SELECT over the rows that parts of a group have found,
// with their values in it. It is one for all of them: the engine plans and runs
// each member of a UNION by itself, with memory of its own.
func (s *scan) selectFound(g *partGroup, nr *narrowed) ([]string, error) {
	var parts []int
	for i, found := range g.found {
		if len(found.Rows) > 0 {
			parts = append(parts, i)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	slices.Sort(parts)
	var list neededColumns // each is one column of values
	var objects []int      // wanted fields whose objects are columns, too
	message, log, kind := false, false, false
	for j, f := range nr.wanted {
		switch systemName(f) {
		case fieldMessage:
			message = true
			continue
		case fieldLog:
			log = true
		case fieldKind:
			kind = true
		}
		log = log || g.exprs[j].log
		if g.exprs[j].object != nil {
			objects = append(objects, j)
		}
		for _, path := range g.exprs[j].own() {
			list.need(path)
		}
	}
	if g.filter {
		list.need(fieldTime)
	}
	names := []string{"n", "r"}
	for k := range list.paths {
		names = append(names, "p"+itoa(k))
	}
	for name, there := range map[string]bool{"l": log, "k": kind, "m": message} {
		if there {
			names = append(names, name)
		}
	}
	slices.Sort(names[2+len(list.paths):]) // k, l, m
	for _, j := range objects {
		names = append(names, objectColumn(j))
	}
	var values strings.Builder
	if s.explained != nil {
		// The records themselves are no part of an explanation.
		n := 0
		for _, i := range parts {
			n += len(g.found[i].Rows)
		}
		fmt.Fprintf(&values, "/* found by the segments, records: %d */ (NULL%s)", n, strings.Repeat(", NULL", len(names)-1))
		parts = nil
	}
	for _, i := range parts {
		var tail string // of each row
		if kind {
			tail += ", " + nameLiteral(string(s.parts[i].Kind()))
		}
		if log {
			tail += ", " + nameLiteral(s.logOf(s.parts[i]))
		}
		number := len(s.numbered)
		s.numbered = append(s.numbered, numbered{parts: []Part{s.parts[i]}})
		if err := s.foundValues(&values, g, i, number, list.paths, tail, message, objects); err != nil {
			return nil, fmt.Errorf("read segment %s: %w", s.parts[i].ID(), err)
		}
	}
	src := rowSource{
		from:    "(VALUES " + values.String() + ") AS t(" + strings.Join(names, ", ") + ")",
		number:  "CAST(t.n AS BIGINT)",
		row:     "t.r",
		message: "t.m",
		log:     "t.l",
		kind:    "t.k",
		col: func(path string) string {
			typ := g.schema.types[path]
			if path == fieldTime || path == fieldIngestion {
				typ = plan.Time
			}
			return cast("t.p"+itoa(list.need(path)), typ)
		},
		object: func(j int) string { return "t." + objectColumn(j) },
	}
	return []string{s.selectOver(g, src, nr)}, nil
}

func objectColumn(j int) string { return "o" + itoa(j) }

// foundValues appends the found rows of a part, each with its number, row,
// columns, tail and, where it is wanted, message, and the objects of wanted fields.
func (s *scan) foundValues(out *strings.Builder, g *partGroup, i, number int, paths []string, tail string, message bool, objects []int) error {
	rows := g.found[i].Rows
	part := s.parts[i].(store.Finder)
	cols, err := part.Values(paths, rows)
	if err != nil {
		return err
	}
	var records []string // what comes of each
	if message || len(objects) > 0 {
		if err := part.Messages(rows, func(_ int64, raw []byte) error {
			var b strings.Builder
			if message {
				b.WriteString(", " + textLiteral(strings.ToValidUTF8(string(raw), "\uFFFD")))
			}
			for _, j := range objects {
				b.WriteString(", ")
				if text, ok := g.exprs[j].object.text(raw, false); ok {
					b.WriteString(textLiteral(text))
				} else {
					b.WriteString("NULL")
				}
			}
			records = append(records, b.String())
			return nil
		}); err != nil {
			return err
		}
	}
	var buf [32]byte
	for n, row := range rows {
		if out.Len() > 0 {
			out.WriteString(", ")
		}
		out.WriteString("(" + itoa(number) + ", " + strconv.FormatInt(row, 10))
		for k, c := range cols {
			out.WriteString(", ")
			v, ok := c(n, buf[:])
			switch typ := g.schema.types[paths[k]]; {
			case !ok:
				out.WriteString("NULL")
			case typ == plan.Int:
				out.Write(v)
			case typ == plan.Time:
				out.WriteString("make_timestamp(" + string(v) + ")")
			default:
				out.WriteString(textLiteral(string(v)))
			}
		}
		out.WriteString(tail)
		if records != nil {
			out.WriteString(records[n])
		}
		out.WriteString(")")
	}
	return nil
}
