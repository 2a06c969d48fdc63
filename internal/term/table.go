package term

import (
	"bufio"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
)

// Column is one column of a [Table].
type Column struct {
	Name string
	// Number right-aligns the column. A column that is not declared a number
	// is right-aligned all the same when every value looked at is one.
	Number bool
}

// LookAhead is how many rows a [Table] reads before it decides the widths and
// prints the first of them. More would make a long answer late, fewer would
// make widths jump.
const LookAhead = 200

// minWidth is the least that a column is cut to; when even that does not fit
// the terminal, rows are written as blocks, one line for each value.
const minWidth = 8

// maxWidth is the most that a column is aligned to where values are not cut:
// one record of a megabyte must not make all other lines as long.
const maxWidth = 120

const gap = "  "

// Table writes rows as aligned columns under a heading. It holds back the
// first [LookAhead] rows to learn the widths and streams after that. It is not
// safe for concurrent use.
//
// With a width, no line is longer than that: the widest columns are cut, and a
// cut value ends in an ellipsis. Without one, every value is written whole; one
// that is wider than its column (a later one, or one of over 120 columns) pushes the rest of its line right.
type Table struct {
	w       *bufio.Writer
	width   int
	cols    []Column
	widths  []int
	right   []bool
	held    [][]string
	started bool
	blocks  bool
	rows    int64
	cut     int64
	err     error
}

// NewTable returns a table on w that fits width columns; 0 means no limit.
func NewTable(w io.Writer, width int, cols []Column) *Table {
	t := &Table{w: bufio.NewWriterSize(w, 32<<10), width: width}
	for _, c := range cols {
		t.cols = append(t.cols, Column{Name: Clean(c.Name), Number: c.Number})
	}
	return t
}

// Row adds one row; missing cells are empty and surplus cells are left out.
// The error is that of the writer and stays.
func (t *Table) Row(cells []string) error {
	row := make([]string, len(t.cols))
	for i := range row {
		if i < len(cells) {
			row[i] = Clean(cells[i])
		}
	}
	t.rows++
	if !t.started {
		t.held = append(t.held, row)
		if len(t.held) >= LookAhead {
			t.start()
		}
		return t.err
	}
	t.write(row)
	return t.err
}

// Flush writes what is held back. Rows may follow.
func (t *Table) Flush() error {
	if !t.started {
		t.start()
	}
	if err := t.w.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	return t.err
}

// Close writes what is held back and the count of rows.
func (t *Table) Close() error {
	if err := t.Flush(); err != nil {
		return err
	}
	note := humanize.Comma(t.rows) + " rows"
	if t.rows == 1 {
		note = "1 row"
	}
	if t.cut > 0 {
		note += ", long values cut with " + Ellipsis + " to fit (--output json shows them whole)"
	}
	t.put("(" + note + ")\n")
	return t.Flush()
}

// Rows returns how many rows were added.
func (t *Table) Rows() int64 { return t.rows }

func (t *Table) put(s string) {
	if t.err == nil {
		_, t.err = t.w.WriteString(s)
	}
}

func (t *Table) start() {
	t.started = true
	t.measure()
	if !t.blocks && len(t.cols) > 0 {
		head := make([]string, len(t.cols))
		rule := make([]string, len(t.cols))
		for i, c := range t.cols {
			head[i] = c.Name
			rule[i] = strings.Repeat("─", t.widths[i])
		}
		t.line(head)
		t.line(rule)
	}
	for n, row := range t.held {
		t.writeNumbered(row, int64(n+1))
	}
	t.held = nil
	if t.err == nil {
		t.err = t.w.Flush()
	}
}

// measure decides widths and alignment from the rows held back.
func (t *Table) measure() {
	t.widths = make([]int, len(t.cols))
	t.right = make([]bool, len(t.cols))
	for i, c := range t.cols {
		t.widths[i] = max(StringWidth(c.Name), 1)
		seen, numbers := false, true
		for _, row := range t.held {
			t.widths[i] = max(t.widths[i], StringWidth(row[i]))
			if row[i] != "" {
				seen = true
				numbers = numbers && isNumber(row[i])
			}
		}
		t.right[i] = c.Number || seen && numbers
		if t.width <= 0 {
			t.widths[i] = max(min(t.widths[i], maxWidth), StringWidth(c.Name))
		}
	}
	if t.width <= 0 || len(t.cols) == 0 {
		return
	}
	room := t.width - len(gap)*(len(t.cols)-1)
	if !shrink(t.widths, room) {
		t.blocks = true
	}
}

// shrink cuts the widest of widths until they add up to room, none below
// minWidth unless it was narrower before. It reports whether that worked.
func shrink(widths []int, room int) bool {
	need, least := 0, 0
	for _, w := range widths {
		need += w
		least += min(w, minWidth)
	}
	if need <= room {
		return true
	}
	if least > room {
		return false
	}
	// The limit is the largest width to which all wider columns can be cut.
	limit := minWidth
	for {
		n := 0
		for _, w := range widths {
			n += min(w, limit+1)
		}
		if n > room {
			break
		}
		limit++
	}
	spare := room
	for _, w := range widths {
		spare -= min(w, limit)
	}
	for i, w := range widths {
		if w > limit {
			widths[i] = limit
			if spare > 0 {
				widths[i]++
				spare--
			}
		}
	}
	return true
}

func (t *Table) write(row []string) { t.writeNumbered(row, t.rows) }

func (t *Table) writeNumbered(row []string, n int64) {
	if t.blocks {
		t.block(row, n)
		return
	}
	t.line(row)
}

// line writes one row of cells, without spaces at its end.
func (t *Table) line(row []string) {
	pad := 0
	for i, cell := range row {
		if i > 0 {
			pad += len(gap)
		}
		w := StringWidth(cell)
		if t.width > 0 && w > t.widths[i] {
			cell = Truncate(cell, t.widths[i])
			w = StringWidth(cell)
			t.cut++
		}
		free := max(t.widths[i]-w, 0)
		if t.right[i] {
			pad += free
			free = 0
		}
		if cell != "" {
			t.put(spaces(pad))
			t.put(cell)
			pad = 0
		} else {
			pad += w
		}
		pad += free
	}
	t.put("\n")
}

// block writes one row as lines of name and value, for tables with more
// columns than the terminal has room for. Values are wrapped, never cut.
func (t *Table) block(row []string, n int64) {
	t.put("── row " + humanize.Comma(n) + " ──\n")
	name := 0
	for _, c := range t.cols {
		name = max(name, min(StringWidth(c.Name), t.width/2))
	}
	room := max(t.width-name-len(gap), minWidth)
	for i, cell := range row {
		if cell == "" {
			continue
		}
		label := Truncate(t.cols[i].Name, name)
		t.put(label)
		t.put(spaces(name - StringWidth(label) + len(gap)))
		for {
			head, rest := wrap(cell, room)
			t.put(head)
			t.put("\n")
			if rest == "" {
				break
			}
			t.put(spaces(name + len(gap)))
			cell = rest
		}
	}
}

// wrap splits s after at most width columns, at least one rune in the head.
func wrap(s string, width int) (head, rest string) {
	n := 0
	for i, r := range s {
		n += RuneWidth(r)
		if n > width && i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func spaces(n int) string {
	const blank = "                                                                "
	if n <= len(blank) {
		return blank[:max(n, 0)]
	}
	return strings.Repeat(" ", n)
}

// isNumber reports whether s is a decimal number as answers write it. Words
// that strconv would take as well (Inf, 0x10, 1_000) are not.
func isNumber(s string) bool {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := 0
	dot, exp := false, false
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && !dot && !exp:
			dot = true
		case (c == 'e' || c == 'E') && digits > 0 && !exp && i+1 < len(s):
			exp = true
			if s[i+1] == '-' || s[i+1] == '+' {
				i++
				if i+1 == len(s) {
					return false
				}
			}
		default:
			return false
		}
	}
	return digits > 0
}
