package query

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"trailward"
	"trailward/query/duck"
	"trailward/query/plan"
)

// How a name in a query finds a field in a part. A part holds columns named by
// path (trailward.JoinPath); a query says keys. Every column that fits is taken,
// the first that has a value in a row gives it there:
//
//  1. the column of exactly this path;
//  2. columns whose path reads the same when written without the marks for
//     dots inside keys: annotations.authorization.k8s.io/decision finds
//     annotations.authorization\.k8s\.io/decision;
//  3. a JSON column of a shorter path, the longest first, and the rest as a
//     path into its JSON text. Keys that are decimal numbers count elements of
//     an array, or are keys of an object; keys that follow one another may be
//     one key with dots;
//  4. for one key: what the framing said, @attr.KEY;
//  5. other names that the kind's documentation uses (srcAddr for srcaddr), then the
//     JSON inside a text of which the language discovers the fields (Lambda);
//  6. when the query asks in SQL, whose names have no case: the same again,
//     without regard to case;
//  7. an object that exists only as columns of its members: its JSON text as it
//     stands in the record, see object.go.
//
// Before all that come the few fields that are made of what is known beside the
// record (@data_source_name), see ours.

// fieldExpr is a field of one part: SQL for its value, in terms of columns
// written as placeholders by a render function.
type fieldExpr struct {
	typ  plan.Type
	cols []string // paths of the columns that are read
	// plain says that the value is that of the first of cols that has one; plainBut
	// that it would be if there were no object.
	plain, plainBut bool
	// log says that sql reads the field @log, as the column logText.
	log bool
	// constant, if set, says that all records of a part have this value.
	constant func(p Part) string
	// object, if set, is the last place where the value is looked for; sql reads
	// its text as the column recordObject, and value, which may be nil, says what
	// there is without it.
	object *object
	value  func(col func(path string) string) string
	sql    func(col func(path string) string) string
}

// own are the columns of the value without its object.
func (e *fieldExpr) own() []string {
	if e.object == nil {
		return e.cols
	}
	return e.cols[:len(e.cols)-len(e.object.members)]
}

// partSchema is what the parts with the same columns and kind have in common.
type partSchema struct {
	kind    trailward.Kind
	account string // of the field @log
	fields  []Field
	types   map[string]plan.Type
	names   map[string]string                  // path → name in the Parquet file
	stamps  map[string]bool                    // paths of columns that hold times
	texts   map[string]func(col string) string // path → SQL for the text, for columns that hold something else
	flat    map[string][]string                // name without marks → paths
	folded  map[string][]string                // the same in lower case; made when first needed
	sorted  []string                           // paths in order, for the search of members; made when first needed
	odd     bool                               // DuckDB would not find the columns under their names in the file
	memo    map[string]fieldExpr
	foldAll bool
}

// virtualColumns are names that mean something else to DuckDB's Parquet reader, or
// in the files that the store makes.
var virtualColumns = map[string]bool{"file_row_number": true, "file_index": true, "filename": true, "file_size": true, "file_last_modified": true, "rowid": true, "row_group_id": true, "empty": true, groupColumn: true, recordColumn: true}

// recordColumn is the record, where objects are cut out of it.
const recordColumn = "trailward record"

func newPartSchema(kind trailward.Kind, fields []Field, account string, foldAll bool) *partSchema {
	s := &partSchema{
		kind: kind, fields: fields, account: account, foldAll: foldAll,
		types: make(map[string]plan.Type, len(fields)),
		names: make(map[string]string, len(fields)),
		flat:  make(map[string][]string, len(fields)),
		memo:  map[string]fieldExpr{},
	}
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		column := f.Column
		if column == "" {
			column = f.Path
		}
		if _, twice := s.types[f.Path]; !twice {
			s.types[f.Path] = f.Type
			s.names[f.Path] = column
			if f.Stamp {
				if s.stamps == nil {
					s.stamps = map[string]bool{}
				}
				s.stamps[f.Path] = true
			}
			if text := textOf(f); text != nil {
				if s.texts == nil {
					s.texts = map[string]func(string) string{}
				}
				s.texts[f.Path] = text
			}
			name := flatten(f.Path)
			s.flat[name] = append(s.flat[name], f.Path)
		}
		lower := strings.ToLower(column)
		if seen[lower] || virtualColumns[lower] || strings.IndexByte(column, 0) >= 0 {
			s.odd = true
		}
		seen[lower] = true
	}
	return s
}

// flatten writes a path without the marks for dots inside keys.
func flatten(path string) string {
	if strings.IndexByte(path, '\\') < 0 {
		return path
	}
	return strings.Join(trailward.SplitPath(path), ".")
}

// schemas gives parts with the same columns the same schema, so that names are
// resolved once for all of them.
type schemas struct {
	seed  maphash.Seed
	byKey map[uint64]*partSchema
	// byList finds the schema of a list that was seen before: the store shares
	// the lists of segments with the same columns.
	byList  map[fieldList]*partSchema
	account string
	fold    bool
}

// fieldList is a list of fields by where it lies.
type fieldList struct {
	kind  trailward.Kind
	first *Field
	n     int
}

func newSchemas(account string, fold bool) *schemas {
	return &schemas{account: account, seed: maphash.MakeSeed(), byKey: map[uint64]*partSchema{}, byList: map[fieldList]*partSchema{}, fold: fold}
}

func (s *schemas) of(p Part) *partSchema {
	fields := p.Fields()
	list := fieldList{p.Kind(), unsafe.SliceData(fields), len(fields)}
	found, ok := s.byList[list]
	if !ok {
		found = s.find(p.Kind(), fields)
		s.byList[list] = found
	}
	return found
}

func (s *schemas) find(kind trailward.Kind, fields []Field) *partSchema {
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(string(kind))
	for _, f := range fields {
		h.WriteByte(0)
		h.WriteByte(byte(f.Type))
		h.WriteString(f.Path)
		h.WriteByte(0)
		h.WriteString(f.Column)
		switch {
		case f.Stamp:
			h.WriteByte(byte(1 + f.Digits))
		case f.Address:
			h.WriteByte(254)
		case f.UUID:
			h.WriteByte(255)
		}
	}
	key := h.Sum64()
	for {
		have, ok := s.byKey[key]
		if !ok {
			have = newPartSchema(kind, fields, s.account, s.fold)
			s.byKey[key] = have
		}
		if have.kind == kind && slices.Equal(have.fields, fields) {
			return have
		}
		key++ // two lists with one hash
	}
}

// resolve finds a field that is not one of the system fields that the scan
// makes itself.
func (s *partSchema) resolve(ref plan.FieldRef) fieldExpr {
	key := ref.Key()
	e, ok := s.memo[key]
	if !ok {
		e = s.find(ref.Keys)
		s.memo[key] = e
	}
	return e
}

func (s *partSchema) find(keys []string) fieldExpr {
	var found []fieldExpr
	taken := map[string]bool{}
	add := func(path string) {
		if _, ok := s.types[path]; ok && !taken[path] {
			taken[path] = true
			found = append(found, s.column(path))
		}
	}
	if len(keys) == 0 {
		return fieldExpr{typ: plan.Null}
	}
	path, name := trailward.JoinPath(keys...), strings.Join(keys, ".")
	if e, ok := s.ours(name); ok {
		return e
	}
	add(path)
	for _, p := range s.flat[name] {
		add(p)
	}
	found = append(found, s.inJSON(keys, s.flatPaths)...)
	if len(keys) == 1 {
		if strings.Contains(keys[0], ".") { // `a.b.c` where a is JSON
			found = append(found, s.inJSON(strings.Split(keys[0], "."), s.flatPaths)...)
		}
		add("@attr." + keys[0])
		add(trailward.JoinPath("@attr", keys[0]))
	}
	for _, p := range s.aliases(name) {
		add(p)
	}
	if e, ok := s.embedded(keys); ok {
		found = append(found, e)
	}
	if len(found) == 0 && s.foldAll {
		lower := strings.ToLower(name)
		for _, p := range s.foldedPaths(lower) {
			add(p)
		}
		found = append(found, s.inJSON(keys, func(n string) []string { return s.foldedPaths(strings.ToLower(n)) })...)
		if len(keys) == 1 {
			for _, p := range s.foldedPaths("@attr." + lower) {
				add(p)
			}
		}
	}
	if members := s.members(path); members.typ != plan.Null {
		found = append(found, members)
	} else if len(found) == 0 && s.foldAll {
		if p, ok := s.foldedPrefix(path); ok {
			found = append(found, s.members(p))
		}
	}
	return coalesce(found)
}

func (s *partSchema) flatPaths(name string) []string { return s.flat[name] }

func (s *partSchema) foldedPaths(name string) []string {
	if s.folded == nil {
		s.folded = make(map[string][]string, len(s.fields))
		for _, f := range s.fields {
			n := strings.ToLower(flatten(f.Path))
			s.folded[n] = append(s.folded[n], f.Path)
		}
	}
	return s.folded[name]
}

func (s *partSchema) column(path string) fieldExpr {
	return fieldExpr{typ: s.types[path], cols: []string{path}, plain: true, sql: func(col func(string) string) string { return col(path) }}
}

// named writes a column by its name in the file.
func (s *partSchema) named(path string) string { return s.text(path, "t."+quote(s.names[path])) }

// stampFormats are the formats of [Field.Stamp] columns by their digits.
var stampFormats = map[int]string{0: "%Y-%m-%dT%H:%M:%SZ", 3: "%Y-%m-%dT%H:%M:%S.%gZ", 6: "%Y-%m-%dT%H:%M:%S.%fZ"}

// textOf returns how the text of a field is written in SQL whose file holds
// times, addresses or UUIDs in its place, or nil.
func textOf(f Field) func(col string) string {
	switch {
	case f.Stamp:
		format := literal(stampFormats[f.Digits])
		return func(col string) string { return "strftime(" + col + ", " + format + ")" }
	case f.Address:
		return func(col string) string { return duck.AddressFunction + "(" + col + ")" }
	case f.UUID:
		return func(col string) string { return "CAST(" + col + " AS VARCHAR)" }
	}
	return nil
}

// text writes a column's text.
func (s *partSchema) text(path, col string) string {
	if f := s.texts[path]; f != nil {
		return f(col)
	}
	return col
}

// inJSON finds JSON columns whose path is a beginning of keys.
func (s *partSchema) inJSON(keys []string, paths func(name string) []string) []fieldExpr {
	var out []fieldExpr
	for i := len(keys) - 1; i > 0; i-- {
		for _, path := range paths(strings.Join(keys[:i], ".")) {
			if s.types[path] == plan.JSON {
				out = append(out, s.extraction(path, keys[i:]))
			}
		}
	}
	if s.types[fieldRest] == plan.JSON && systemName(plan.FieldRef{Keys: keys}) == "" {
		out = append(out, s.extraction(fieldRest, keys))
	}
	return out
}

// fieldRest is the column that holds the whole of a JSON record, where a
// segment has met too many fields to make a column of each.
const fieldRest = "@rest"

// extraction is a path into the JSON text of a column.
func (s *partSchema) extraction(path string, rest []string) fieldExpr {
	keys := ways(rest)
	if s.foldAll {
		keys = keys.Fold()
	}
	w := literal(keys.String())
	return fieldExpr{typ: plan.Text, cols: []string{path}, sql: func(col func(string) string) string {
		c := col(path)
		// Other records may hold plain text in the same field: the test by its
		// first letter spares these the slow road of TRY.
		return "CASE WHEN starts_with(" + c + ", '{') OR starts_with(" + c + ", '[') THEN " + plan.MemberFunction + "(TRY_CAST(" + c + " AS JSON), " + w + ") END"
	}}
}

// maxJoined is the most keys below a JSON column for which every way to take
// neighbours as one key with dots is tried; beyond it only some are.
const maxJoined = 4

// ways lists the ways that keys may mean, the plainest first.
func ways(keys []string) plan.Ways {
	out := plan.OneWay(keys...)
	n := len(keys)
	switch {
	case n == 1:
	case n <= maxJoined:
		for joins := 1; joins < 1<<(n-1); joins++ { // bit i: no break after key i
			parts := []string{keys[0]}
			for i := 1; i < n; i++ {
				if joins>>(i-1)&1 == 1 {
					parts[len(parts)-1] += "." + keys[i]
				} else {
					parts = append(parts, keys[i])
				}
			}
			out = append(out, plan.OneWay(parts...)...)
		}
	default:
		for i := range n - 1 { // the first i apart, the others one key
			out = append(out, plan.OneWay(append(slices.Clone(keys[:i]), strings.Join(keys[i:], "."))...)...)
		}
	}
	return out
}

// logText is the column, for a render function, that is the field @log. No path
// holds a NUL at its beginning that way: it would be escaped.
const logText = "\x00log"

// foldedPrefix finds how an object's path is written in this part.
func (s *partSchema) foldedPrefix(path string) (string, bool) {
	prefix := strings.ToLower(path) + "."
	for _, f := range s.fields {
		if len(f.Path) > len(prefix) && strings.HasPrefix(strings.ToLower(f.Path), prefix) {
			// A letter may take another number of bytes in lower case: keep to
			// those that do not.
			if strings.EqualFold(f.Path[:len(prefix)], prefix) {
				return f.Path[:len(prefix)-1], true
			}
		}
	}
	return "", false
}

// coalesce joins several places of one field.
func coalesce(found []fieldExpr) fieldExpr {
	switch len(found) {
	case 0:
		return fieldExpr{typ: plan.Null}
	case 1:
		return found[0]
	}
	out := fieldExpr{typ: found[0].typ, plain: true}
	for _, e := range found {
		out.plain = out.plain && e.plain
		out.log = out.log || e.log
		out.cols = append(out.cols, e.cols...)
		out.typ = commonType(out.typ, e.typ)
	}
	typ := out.typ
	first := func(found []fieldExpr) func(col func(string) string) string {
		return func(col func(string) string) string {
			parts := make([]string, len(found))
			for i, e := range found {
				parts[i] = cast(e.sql(col), typ)
			}
			return "coalesce(" + strings.Join(parts, ", ") + ")"
		}
	}
	out.sql = first(found)
	if last := found[len(found)-1]; last.object != nil {
		out.object, out.value, out.plainBut = last.object, first(found[:len(found)-1]), !slices.ContainsFunc(found[:len(found)-1], func(e fieldExpr) bool { return !e.plain })
	}
	return out
}

// commonType is the type that holds both: JSON when one is, the same when they
// agree, else text. Null holds nothing and takes the other's.
func commonType(a, b plan.Type) plan.Type {
	switch {
	case a == b, b == plan.Null:
		return a
	case a == plan.Null:
		return b
	case a == plan.JSON || b == plan.JSON:
		return plan.JSON
	}
	return plan.Text
}

// cast gives an expression the SQL type of a logical one. DuckDB leaves out a
// cast to the type that is there.
func cast(sql string, t plan.Type) string {
	return "CAST(" + sql + " AS " + sqlType(t) + ")"
}

func sqlType(t plan.Type) string {
	switch t {
	case plan.Int, plan.Pointer, plan.Message:
		return "BIGINT"
	case plan.Float:
		return "DOUBLE"
	case plan.Bool:
		return "BOOLEAN"
	case plan.Time:
		return "TIMESTAMP"
	}
	return "VARCHAR"
}

// quote writes an identifier, literal a text value.
func quote(name string) string   { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func itoa(n int) string { return strconv.Itoa(n) }
