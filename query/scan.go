package query

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"trailward"
	"trailward/query/duck"
	"trailward/query/plan"
	"trailward/store"
	"trailward/store/segment"
)

// System fields, which exist in every relation.
const (
	fieldTime      = "@timestamp"
	fieldIngestion = "@ingestionTime"
	fieldLog       = "@log"
	fieldLogStream = "@logStream"
	fieldMessage   = "@message"
	fieldPtr       = "@ptr"
	fieldKind      = "@kind"
)

// A pointer to a record inside one query is number << pointerShift | row, where
// the number is that of a file, or of a part of which single rows are read.
const pointerShift = 40

// maxColumns is the most fields that one relation can have.
const maxColumns = 10000

// scan makes the relations that one query's plan stands on, over the parts of
// one snapshot. A file that is opened gets a slot of the session.
type scan struct {
	session *duck.Session
	parts   []Part
	schemas *schemas
	from    time.Time // zero: open
	to      time.Time
	account string
	preds   []plan.Predicate // that every record that matters passes
	// only, if set, says which parts the next relation is over.
	only func(Part) bool
	// seen, if set, is told how a relation is read.
	seen func(groups []*partGroup)
	// count says how the next relation's records are counted as matching.
	count counting
	rows  int64 // that match without being looked at
	whole bool  // no part is left out
	// explained, if set, says that the statement will not be run.
	explained *Explanation
	held      []plan.FieldRef // what records are searched for, by number
	objects   []*object       // that are cut out of records, by number
	// guards, if set, are the fields of plan.Held of which one is true for a record
	// when a condition is to see it as a whole.
	guards []plan.FieldRef
	// looked are the fields of which the query needs the values before the rows to
	// be shown are chosen; nil means any.
	looked map[string]bool
	folded sync.Map        // of what was searched for in any case: foldedKey → *foldedRows
	noted  map[string]bool // fields that no record has, and of which that was said or not
	said   map[string]bool // texts that parts were asked for that records have in them
	// tried is the first relation, when the direct way has narrowed it and found
	// that the engine is needed.
	tried *narrowed
	// skipped says why parts of the last relation are not read.
	skipped map[int]string

	snap     Snapshot
	slots    map[int]int       // by the descriptor of a file that lies on the slot
	opened   []map[string]bool // columns that were opened, by part; a map may be shared and does not change
	numbered []numbered        // by the number in pointers
	stats    Stats
}

// numbered is what the number of a pointer means: the parts of a file, whose
// records have rows one part after the other.
type numbered struct {
	parts []Part
	first []int64 // the row of each part's first record; nil for one part
}

// openFile is a file that a relation reads.
type openFile struct {
	slot  int
	parts []int // index in scan.parts, in the order of their records
}

// newScan is over the given parts of a snapshot. What reads them with the engine
// sets its session.
func newScan(snap Snapshot, parts []Part, known *schemas, start, end time.Time, account string) *scan {
	s := &scan{snap: snap, parts: parts, schemas: known, from: start, to: end, account: account, slots: map[int]int{}}
	s.opened = make([]map[string]bool, len(parts))
	return s
}

// inRange leaves out the parts that hold no record of the time range, and
// those without records.
func inRange(parts []Part, start, end time.Time) []Part {
	var out []Part
	for _, p := range parts {
		if p.Rows() == 0 || !start.IsZero() && p.MaxTime().Before(start) || !end.IsZero() && p.MinTime().After(end) {
			continue
		}
		out = append(out, p)
	}
	return out
}

// open is the plan.OpenFunc over all parts, for a plan with one scan.
func (s *scan) open(ctx context.Context) plan.OpenFunc {
	return func(_ *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		return s.relation(ctx, nil, fields)
	}
}

// partGroup are the parts that one SELECT reads: the same expressions over the
// same column names.
type partGroup struct {
	schema *partSchema
	exprs  []fieldExpr // by wanted field
	filter bool        // some records may lie outside the time range
	// searches says that the parts tell by themselves which records have a text.
	searches bool
	parts    []int      // index in scan.parts
	files    []openFile // that have these
	// found is the parts of which only these rows can matter.
	found map[int]segment.Found
}

// relation makes the relation with the given fields over the parts of the given
// kinds (nil means all).
func (s *scan) relation(ctx context.Context, kinds []trailward.Kind, fields []plan.FieldRef) (plan.Relation, error) {
	n, err := s.narrow(ctx, kinds, fields)
	if err != nil {
		return plan.Relation{}, err
	}
	rel, groups := n.rel, n.groups
	if err := s.openParts(ctx, groups); err != nil {
		return rel, err
	}
	if s.seen != nil {
		s.seen(groups)
	}
	var selects []string
	for _, g := range groups {
		list, err := s.selectFound(g, n)
		if err != nil {
			return rel, err
		}
		selects = append(selects, list...)
		if len(g.parts) == 0 {
			continue
		}
		if list, err = s.selects(ctx, g, n); err != nil {
			return rel, err
		}
		if s.count == countAll {
			list = s.countGroup(g, list, n.columns())
		}
		selects = append(selects, list...)
	}
	if s.count == countConditions && len(selects) > 0 {
		selects = []string{countedSelect(unionAll(selects), n.columns(), false)}
	}
	if len(selects) == 0 {
		cols := make([]string, len(n.wanted))
		for i, t := range n.types {
			cols[i] = cast("NULL", t) + " AS c" + itoa(i)
		}
		for _, i := range n.later {
			cols = append(cols, cast("NULL", plan.Text)+" AS "+laterColumn(i))
		}
		if len(cols) == 0 {
			cols = []string{"1 AS none"}
		}
		selects = []string{"SELECT " + strings.Join(cols, ", ") + " WHERE false"}
	}
	rel.SQL = unionAll(selects)
	return rel, nil
}

// narrowed is what a relation is over when what can be left out is.
type narrowed struct {
	rel    plan.Relation // without SQL
	groups []*partGroup
	wanted []plan.FieldRef
	types  []plan.Type // of these
	// later are those that have later text: what is cut out of records somewhere.
	later []int
}

// columns are the relation's.
func (n *narrowed) columns() []string {
	var out []string
	for i := range n.wanted {
		out = append(out, "c"+itoa(i))
	}
	for _, i := range n.later {
		out = append(out, laterColumn(i))
	}
	return out
}

// laterColumn is the column of a field's later text.
func laterColumn(i int) string { return "later" + itoa(i) }

// narrow settles the types of the fields and leaves out the parts, and of
// others the rows, that cannot matter. What it did for the direct way is not
// done again for the engine.
func (s *scan) narrow(ctx context.Context, kinds []trailward.Kind, fields []plan.FieldRef) (*narrowed, error) {
	n := &narrowed{rel: plan.Relation{Columns: make(map[string]plan.Column, len(fields))}}
	for _, f := range fields {
		if _, ok := n.rel.Columns[f.Key()]; !ok {
			n.rel.Columns[f.Key()] = plan.Column{Name: "c" + itoa(len(n.wanted))}
			n.wanted = append(n.wanted, f)
		}
	}
	if len(n.wanted) > maxColumns {
		return nil, fmt.Errorf("query reads %d fields, the limit is %d", len(n.wanted), maxColumns)
	}
	if done := s.tried; done != nil {
		s.tried = nil
		if slices.EqualFunc(done.wanted, n.wanted, func(a, b plan.FieldRef) bool { return a.Key() == b.Key() }) {
			return done, nil
		}
	}
	n.groups = s.group(kinds, n.wanted)
	n.types = make([]plan.Type, len(n.wanted))
	for i, f := range n.wanted {
		n.types[i] = systemType(f)
		for _, g := range n.groups {
			n.types[i] = commonType(n.types[i], g.exprs[i].typ)
		}
		c := n.rel.Columns[f.Key()]
		c.Type = n.types[i]
		if slices.ContainsFunc(n.groups, func(g *partGroup) bool { return g.exprs[i].object != nil }) {
			n.later = append(n.later, i)
			c.Later = laterColumn(i)
			if s.looked == nil || s.looked[f.Key()] {
				s.guards = nil // other records are looked at, too
			}
		}
		n.rel.Columns[f.Key()] = c
	}
	if !s.schemas.fold {
		s.noteMisspelt(n)
	}
	if s.whole {
		s.preds = nil
	}
	s.prune(n.groups)
	if err := s.single(ctx, n.groups); err != nil {
		return nil, err
	}
	return n, nil
}

// unionAll joins SELECTs as a balanced tree: DuckDB's parser and binder descend
// into a chain of them one call deeper for each.
func unionAll(selects []string) string {
	if len(selects) == 1 {
		return "(" + selects[0] + ")"
	}
	half := len(selects) / 2
	return "(" + unionAll(selects[:half]) + " UNION ALL " + unionAll(selects[half:]) + ")"
}

func systemName(f plan.FieldRef) string {
	if len(f.Keys) == 1 && strings.HasPrefix(f.Keys[0], "@") {
		return f.Keys[0]
	}
	return ""
}

// systemType is the type that a system field has even when there is no part.
func systemType(f plan.FieldRef) plan.Type {
	if _, _, ok := f.Holds(); ok {
		return plan.Bool
	}
	switch systemName(f) {
	case fieldTime, fieldIngestion:
		return plan.Time
	case fieldLog, fieldLogStream, fieldMessage, fieldKind:
		return plan.Text
	case fieldPtr:
		return plan.Pointer
	}
	return plan.Null
}

// ofStore reports whether a field is one of the system fields above.
func ofStore(f plan.FieldRef) bool {
	switch systemName(f) {
	case fieldTime, fieldIngestion, fieldLog, fieldLogStream, fieldMessage, fieldPtr, fieldKind:
		return true
	}
	return false
}

// made says whether the scan makes the field itself, without a column.
func made(f plan.FieldRef) bool {
	switch systemName(f) {
	case fieldLog, fieldPtr, fieldKind, fieldMessage:
		return true
	}
	_, _, holds := f.Holds()
	return holds
}

// group puts parts together whose wanted fields have the same names and types.
func (s *scan) group(kinds []trailward.Kind, wanted []plan.FieldRef) []*partGroup {
	type variant struct {
		schema   *partSchema
		filter   bool
		searches bool
	}
	bySchema := map[variant]*partGroup{}
	byText := map[string]*partGroup{}
	var groups []*partGroup
	for i, p := range s.parts {
		if kinds != nil && !slices.Contains(kinds, p.Kind()) || s.only != nil && !s.only(p) {
			continue
		}
		schema := s.schemas.of(p)
		_, searches := p.(store.Searcher)
		v := variant{schema, !s.from.IsZero() && p.MinTime().Before(s.from) || !s.to.IsZero() && p.MaxTime().After(s.to), searches}
		g, ok := bySchema[v]
		if !ok {
			exprs := make([]fieldExpr, len(wanted))
			for j, f := range wanted {
				if made(f) {
					exprs[j] = fieldExpr{typ: systemType(f)}
					// In a record of JSON a field of that name is a field like any other.
					if systemName(f) == fieldMessage && schema.kind == trailward.KindText && schema.types[fieldMessage] == plan.Text {
						exprs[j].cols = []string{fieldMessage}
					}
				} else {
					exprs[j] = schema.resolve(f)
				}
			}
			// Other schemas may agree in what is wanted.
			text := signature(v.schema, v.filter, v.searches, exprs)
			g, ok = byText[text]
			if !ok {
				g = &partGroup{schema: schema, exprs: exprs, filter: v.filter, searches: v.searches}
				byText[text] = g
				groups = append(groups, g)
			}
			bySchema[v] = g
		}
		g.parts = append(g.parts, i)
	}
	return groups
}

// signature is the same for groups that can be read by one SELECT.
func signature(schema *partSchema, filter, searches bool, exprs []fieldExpr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%t %t", filter, searches)
	if schema.odd {
		fmt.Fprintf(&b, " %p", schema) // its columns are found by place
	}
	for _, e := range exprs {
		b.WriteByte('\n')
		b.WriteString(itoa(int(e.typ)))
		for _, c := range e.cols {
			b.WriteByte(0)
			b.WriteString(itoa(int(schema.types[c])))
			b.WriteString(c)
			b.WriteByte(0)
			b.WriteString(schema.names[c])
		}
		if e.sql != nil {
			b.WriteByte(1)
			b.WriteString(e.sql(schema.named))
		}
	}
	return b.String()
}

// openParts opens files with the columns that the groups read and lays them onto
// slots.
func (s *scan) openParts(ctx context.Context, groups []*partGroup) error {
	left := len(groups)
	for _, g := range groups {
		if err := s.openGroup(ctx, g, max(1, (s.session.MaxFiles()-len(s.slots))/left)); err != nil {
			return err
		}
		left--
	}
	return nil
}

// openGroup opens the files of one group, at most so many if that is possible.
func (s *scan) openGroup(ctx context.Context, g *partGroup, most int) error {
	if len(g.parts) == 0 {
		return nil
	}
	cols := map[string]bool{}
	for _, e := range g.exprs {
		for _, c := range e.cols {
			cols[c] = true
		}
	}
	if g.filter {
		cols[fieldTime] = true
	}
	var paths, names []string
	for _, f := range g.schema.fields {
		if cols[f.Path] && !slices.Contains(paths, f.Path) {
			paths, names = append(paths, f.Path), append(names, g.schema.names[f.Path])
		}
	}
	parts := make([]Part, len(g.parts))
	for k, i := range g.parts {
		parts[k] = s.parts[i]
	}
	files, err := s.snap.Open(ctx, parts, names, most)
	if err != nil {
		return err
	}
	if err := s.session.Widen(len(s.slots) + len(files)); err != nil {
		return err
	}
	for _, f := range files {
		out := openFile{parts: make([]int, len(f.Parts))}
		for k, of := range f.Parts {
			i := g.parts[of]
			out.parts[k] = i
			s.scanned(i, cols, func(path string) int64 {
				if path == "" {
					return f.Bytes(k, "")
				}
				return f.Bytes(k, names[slices.Index(paths, path)])
			})
		}
		slot, ok := s.slots[f.FD]
		if !ok {
			slot = len(s.slots)
			if err := s.session.Put(slot, f.FD); err != nil {
				return err
			}
			s.slots[f.FD] = slot
		}
		out.slot = slot
		g.files = append(g.files, out)
	}
	return nil
}

// scanned counts what is read of a part that is opened with the columns, each of
// which counts once. cols must not change any more.
func (s *scan) scanned(i int, cols map[string]bool, bytes func(path string) int64) {
	have := s.opened[i]
	if have == nil {
		s.stats.SegmentsOpened++
		s.stats.RecordsScanned += s.parts[i].Rows()
		s.stats.BytesScanned += bytes("")
		for c := range cols {
			s.stats.BytesScanned += bytes(c)
		}
		s.opened[i] = cols
		return
	}
	have = maps.Clone(have)
	for c := range cols {
		if !have[c] {
			have[c] = true
			s.stats.BytesScanned += bytes(c)
		}
	}
	s.opened[i] = have
}

// selects writes the SELECTs that read one group: one, or one for each file
// where columns are found by place.
func (s *scan) selects(ctx context.Context, g *partGroup, nr *narrowed) ([]string, error) {
	if !g.schema.odd {
		return []string{s.selectFrom(g, g.files, nr, "", "t."+quote(groupColumn), g.schema.named)}, nil
	}
	var out []string
	for _, f := range g.files {
		order, err := s.physicalOrder(ctx, f)
		if err != nil {
			return nil, err
		}
		place := make(map[string]string, len(order))
		names := make([]string, len(order))
		for j, name := range order {
			names[j] = "p" + itoa(j)
			if _, twice := place[name]; !twice {
				place[name] = "t." + names[j]
			}
		}
		var missing string
		sql := s.selectFrom(g, []openFile{f}, nr, "("+strings.Join(names, ", ")+")", "t."+names[len(names)-1], func(path string) string {
			at := place[g.schema.names[path]]
			if at == "" {
				missing = path
			}
			return g.schema.text(path, at)
		})
		if missing != "" {
			return nil, fmt.Errorf("segment %s has no column %q, which it lists", s.parts[f.parts[0]].ID(), missing)
		}
		out = append(out, sql)
	}
	return out, nil
}

// physicalOrder reads the names of a file's columns from its footer.
func (s *scan) physicalOrder(ctx context.Context, f openFile) ([]string, error) {
	fail := func(err error) ([]string, error) {
		return nil, fmt.Errorf("read the columns of segment %s: %w", s.parts[f.parts[0]].ID(), err)
	}
	rows, err := s.session.Query(ctx, "SELECT name FROM parquet_schema("+literal(s.session.Path(f.slot))+") WHERE column_id > 0 ORDER BY column_id")
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		name, ok := rows.Values()[0].(string)
		if !ok {
			return fail(errors.New("a column has no name"))
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return out, nil
}

// selectFrom writes one SELECT over the given files. names is an alias list for
// all columns, or empty; group is the column that has a record's log group, if
// there are several in one file; col writes a column.
func (s *scan) selectFrom(g *partGroup, files []openFile, nr *narrowed, names, group string, col func(string) string) string {
	base := len(s.numbered)
	src := rowSource{row: "t.file_row_number", col: col}
	var from strings.Builder
	for j, f := range files {
		n := numbered{parts: make([]Part, len(f.parts)), first: make([]int64, len(f.parts))}
		row := int64(0)
		for k, i := range f.parts {
			n.parts[k], n.first[k] = s.parts[i], row
			row += s.parts[i].Rows()
		}
		s.numbered = append(s.numbered, n)
		src.files = append(src.files, n.parts)
		if j > 0 {
			from.WriteString(", ")
		}
		from.WriteString(literal(s.session.Path(f.slot)))
	}
	src.from = "read_parquet([" + from.String() + "]) AS t" + names
	src.record = "t." + quote(recordColumn)
	src.number = "(" + itoa(base) + " + CAST(t.file_index AS BIGINT))"
	src.kind = src.perFile(func(p Part) string { return string(p.Kind()) })
	src.log = s.fileLog(&src, group)
	src.message = duck.MessageFunction + "(" + src.number + ", " + src.row + ")"
	if slices.ContainsFunc(g.exprs, func(e fieldExpr) bool { return e.object != nil }) {
		// One column, so that a record is put together once for all of its objects.
		src.whole = true
		src.from = "(SELECT t.*, t.file_row_number, t.file_index, " + src.message + " AS " + quote(recordColumn) + " FROM " + src.from + ") AS t"
	}
	return s.selectOver(g, src, nr)
}

// rowSource is where the rows of one SELECT come from, in SQL.
type rowSource struct {
	from    string                   // what follows FROM
	number  string                   // the part's number in pointers
	row     string                   // the row's number in the part
	message string                   // the record
	record  string                   // the same, for objects
	whole   bool                     // record is a column of from
	files   [][]Part                 // the parts of each file
	log     string                   // @log
	kind    string                   // @kind
	col     func(path string) string // a column
	// object, if set, is the text of the object of a wanted field; else the record
	// is asked.
	object func(j int) string
}

func (s *scan) selectOver(g *partGroup, src rowSource, nr *narrowed) string {
	cols := make([]string, 0, len(nr.wanted)+len(nr.later)+1)
	pointer := "(" + src.number + " << " + itoa(pointerShift) + ") + " + src.row
	column, log := src.col, src.log
	src.col = func(path string) string {
		if path == logText {
			return log
		}
		return column(path)
	}
	for j, f := range nr.wanted {
		e := g.exprs[j]
		col := func(path string) string {
			switch {
			case path != recordObject:
				return src.col(path)
			case src.object != nil:
				return src.object(j)
			}
			return e.object.sql(src.record, src.col)
		}
		var sql string
		text, fold, holds := f.Holds()
		switch name := systemName(f); {
		case holds && g.searches:
			sql = s.holdsSQL(f, src)
		case holds && fold:
			sql = "TRUE" // it may be: the condition looks
		case holds:
			sql = "contains(" + src.message + ", " + textLiteral(text) + ")"
		case name == fieldPtr:
			sql = pointer
		case name == fieldMessage:
			sql = src.message
			if src.whole && len(s.guards) == 0 {
				sql = src.record // one call for all that is asked of a record
			}
			if len(e.cols) > 0 && src.message != "t.m" {
				// What is not text in the encoding of SQL has no value there.
				sql = "coalesce(" + src.col(fieldMessage) + ", " + sql + ")"
			}
			if len(s.guards) > 0 && g.searches {
				// The others are not looked at, and shall not be put together for it.
				var any []string
				for _, f := range s.guards {
					any = append(any, s.holdsSQL(f, src))
				}
				sql = "CASE WHEN " + strings.Join(any, " OR ") + " THEN " + sql + " END"
			}
		case name == fieldKind:
			sql = src.kind
		case name == fieldLog:
			sql = src.log
		case e.typ == plan.Null:
			sql = "NULL"
		default:
			sql = e.sql(col)
		}
		cols = append(cols, cast(sql, nr.types[j])+" AS c"+itoa(j))
	}
	for _, j := range nr.later {
		e, sql := g.exprs[j], "NULL"
		switch {
		case e.typ == plan.Null:
		case e.object == nil || src.object != nil:
			sql = s.laterSQL(nil, cast(e.sql(func(path string) string {
				if path == recordObject {
					return src.object(j)
				}
				return src.col(path)
			}), plan.Text), "")
		case e.value == nil:
			sql = s.laterSQL(e.object, "", "("+pointer+")")
		default:
			sql = s.laterSQL(e.object, cast(e.value(src.col), plan.Text), "("+pointer+")")
		}
		cols = append(cols, cast(sql, plan.Text)+" AS "+laterColumn(j))
	}
	if len(cols) == 0 {
		cols = append(cols, "1 AS none")
	}
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM " + src.from
	if g.filter {
		var conds []string
		if !s.from.IsZero() {
			conds = append(conds, src.col(fieldTime)+" >= "+timestamp(s.from))
		}
		if !s.to.IsZero() {
			conds = append(conds, src.col(fieldTime)+" <= "+timestamp(s.to))
		}
		sql += " WHERE " + strings.Join(conds, " AND ")
	}
	return sql
}

// holdsSQL is true for the rows for which a field of plan.Held is.
func (s *scan) holdsSQL(f plan.FieldRef, src rowSource) string {
	i := slices.IndexFunc(s.held, func(h plan.FieldRef) bool { return slices.Equal(h.Keys, f.Keys) })
	if i < 0 {
		i = len(s.held)
		s.held = append(s.held, f)
	}
	return duck.HoldsFunction + "(" + itoa(i) + ", " + src.number + ", CAST(" + src.row + " AS BIGINT))"
}

// holdsText is the duck.HoldsFunc: the texts and parts are those that selectOver
// wrote into the statement.
func (s *scan) holdsText(_ context.Context, text, number, row int64) (h duck.Held, err error) {
	p, first, err := s.part(number, row)
	if err != nil {
		return h, err
	}
	f, ok := p.(store.Searcher)
	if !ok || text < 0 || text >= int64(len(s.held)) {
		return h, fmt.Errorf("segment %s was asked for a text that the query does not have", p.ID())
	}
	rows, err := s.search(p.ID(), f, s.held[text])
	return duck.Held{Rows: rows, First: first, End: first + p.Rows()}, err
}

// foldedRows are the rows of a part that have a text in any case.
type foldedRows struct {
	once sync.Once
	rows segment.Rows
	err  error
}

type foldedKey struct{ part, text string }

// search finds the rows of a part for which a field of plan.Held is true. The set
// is not to be changed.
func (s *scan) search(part string, f store.Searcher, held plan.FieldRef) (segment.Rows, error) {
	text, fold, _ := held.Holds()
	if !fold {
		return f.Search(text)
	}
	v, _ := s.folded.LoadOrStore(foldedKey{part, text}, &foldedRows{})
	found := v.(*foldedRows)
	found.once.Do(func() {
		var list []segment.Rows
		for _, way := range plan.Folded(text) {
			rows, err := f.Search(way)
			if err != nil {
				found.err = err
				return
			}
			list = append(list, rows)
		}
		found.rows = union(list)
	})
	return found.rows, found.err
}

// union is a set of its own, unless there is one only.
func union(list []segment.Rows) segment.Rows {
	if len(list) == 1 {
		return list[0]
	}
	all := segment.Rows{}
	for _, rows := range list {
		if len(rows) > len(all) {
			all = append(all, make(segment.Rows, len(rows)-len(all))...)
		}
		for i, w := range rows {
			all[i] |= w
		}
	}
	return all
}

// onlyHolding gives a function that says which rows of a part can be asked for as
// a whole; a nil set means any.
func (s *scan) onlyHolding() func(Part) (segment.Rows, error) {
	return func(p Part) (segment.Rows, error) {
		f, ok := p.(store.Searcher)
		if !ok || len(s.guards) == 0 {
			return nil, nil
		}
		var list []segment.Rows
		for _, held := range s.guards {
			rows, err := s.search(p.ID(), f, held)
			if err != nil {
				return nil, err
			}
			list = append(list, rows)
		}
		return union(list), nil
	}
}

// perFile is a value that all parts of a file have in common.
func (src *rowSource) perFile(value func(Part) string) string {
	values := make([]string, len(src.files))
	same := true
	for j, parts := range src.files {
		values[j] = nameLiteral(value(parts[0]))
		same = same && values[j] == values[0]
	}
	if same {
		return values[0]
	}
	return "[" + strings.Join(values, ", ") + "][CAST(t.file_index AS BIGINT) + 1]"
}

// nameLiteral writes a name as SQL; a literal cannot hold NUL.
func nameLiteral(name string) string { return literal(strings.ReplaceAll(name, "\x00", "\uFFFD")) }

// logOf is the field @log of a part's records.
func (s *scan) logOf(p Part) string { return s.account + ":" + p.Group() }

// fileLog is the field @log of the records of files; group is the column of a
// record's log group.
func (s *scan) fileLog(src *rowSource, group string) string {
	for _, parts := range src.files {
		for _, p := range parts {
			if p.Group() != parts[0].Group() {
				return "(" + nameLiteral(s.account+":") + " || " + group + ")"
			}
		}
	}
	return src.perFile(s.logOf)
}

// timestamp writes a time as SQL, in the microseconds that parts keep.
func timestamp(t time.Time) string {
	return "make_timestamp(" + fmt.Sprint(t.UnixMicro()) + ")"
}

// part returns the part that a pointer means, and the row of its first record.
func (s *scan) part(number, row int64) (p Part, first int64, err error) {
	if number < 0 || number >= int64(len(s.numbered)) || row < 0 {
		return nil, 0, errPointerNumber
	}
	n := &s.numbered[number]
	k := 0
	if n.first != nil {
		if k, _ = slices.BinarySearch(n.first, row+1); k == 0 {
			return nil, 0, errPointerNumber
		}
		k--
		first = n.first[k]
	}
	if row-first >= n.parts[k].Rows() {
		return nil, 0, errPointerNumber
	}
	return n.parts[k], first, nil
}

var errPointerNumber = errors.New("record pointer names no segment of this query")
