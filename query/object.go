package query

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"trailward"
	"trailward/match"
	"trailward/query/duck"
	"trailward/query/plan"
)

// An object whose members are columns is not put together of these: the record
// says how its numbers are spelt, in which order its members stand, and which of
// them are null. So the record is put together and the object cut out of it.
//
// Where a query only shows the object, that is done when the rows to be shown are
// chosen, as it is for @message: a relation has a second column for it then, of
// later text ([plan.Column.Later]). Where a query needs its text before (a
// condition, a group, a function), the SQL function objectFunction cuts it out of
// the record, which costs what a condition on @message costs.

// objectFunction is trailward_object(record, ways, sure): the text of an object
// of a record, see plan.Ways. sure is 'y' where the record is known to be JSON.
const objectFunction = "trailward_object"

// recordObject is the column, for a render function, that is the text of the
// object of the field that is rendered. No path holds a NUL at its beginning that
// way: it would be escaped.
const recordObject = "\x00object"

// object is a field that exists as columns of its members.
type object struct {
	ways    plan.Ways
	members []string // paths of their columns
}

// jsonRecords says whether the records of a kind are JSON, where they have columns
// of members. A syslog line's structured data has members, too, all of them text.
func jsonRecords(kind trailward.Kind) bool {
	switch kind {
	case trailward.KindSyslog, trailward.KindLinuxAudit, trailward.KindVPCFlow, trailward.KindText:
		return false
	}
	return true
}

// members finds an object by the columns of its members.
func (s *partSchema) members(path string) fieldExpr {
	if s.sorted == nil {
		s.sorted = make([]string, 0, len(s.types))
		for p := range s.types {
			if !strings.HasPrefix(p, "@") {
				s.sorted = append(s.sorted, p)
			}
		}
		slices.Sort(s.sorted)
	}
	prefix := path + "."
	from, _ := slices.BinarySearch(s.sorted, prefix)
	to := from
	for to < len(s.sorted) && strings.HasPrefix(s.sorted[to], prefix) {
		to++
	}
	if from == to {
		return fieldExpr{typ: plan.Null}
	}
	cols := slices.Clone(s.sorted[from:to])
	if !jsonRecords(s.kind) {
		root := &member{}
		for _, p := range cols {
			root.put(trailward.SplitPath(p[len(prefix):]), p)
		}
		return fieldExpr{typ: plan.JSON, cols: cols, sql: func(col func(string) string) string {
			text, present := root.json(col)
			return "CASE WHEN " + present + " THEN CAST(json_merge_patch('{}', " + text + ") AS VARCHAR) END"
		}}
	}
	o := &object{ways: plan.OneWay(trailward.SplitPath(path)...), members: cols}
	return fieldExpr{typ: plan.JSON, cols: cols, object: o, plainBut: true, sql: func(col func(string) string) string { return col(recordObject) }}
}

// sql is the object's text, of a record in SQL.
func (o *object) sql(message string, col func(path string) string) string {
	some := make([]string, len(o.members))
	for i, p := range o.members {
		some[i] = col(p) + " IS NOT NULL"
	}
	return objectFunction + "(" + message + ", " + literal(o.ways.String()) + ", CASE WHEN " + strings.Join(some, " OR ") + " THEN 'y' ELSE 'n' END)"
}

// text is the object's text, of a record.
func (o *object) text(record []byte, sure bool) (string, bool) {
	if !sure && !json.Valid(record) {
		return "", false // what looks like an object in it is none
	}
	value, ok := o.ways.Find(record, true)
	if !ok {
		return "", false
	}
	out, ok := match.AppendText(nil, value)
	return strings.ToValidUTF8(string(out), "\uFFFD"), ok
}

// Later text stands for a value that is put in when the rows are chosen: a mark
// and the value, or a mark, the number of an object of the query, and the record.
const (
	laterValue  = "="
	laterObject = "@"
)

// laterSQL is the later text of a field; value is the SQL of what it is without
// its object, if there is anything else, and pointer of the record.
func (s *scan) laterSQL(o *object, value, pointer string) string {
	var out []string
	if value != "" {
		out = append(out, literal(laterValue)+" || "+value)
	}
	if o != nil {
		out = append(out, literal(laterObject+itoa(s.objectNumber(o))+" ")+" || CAST("+pointer+" AS VARCHAR)")
	}
	return "coalesce(" + strings.Join(append(out, "NULL"), ", ") + ")"
}

// objectNumber is the number of an object in the scan's list.
func (s *scan) objectNumber(o *object) int {
	i := slices.Index(s.objects, o)
	if i < 0 {
		i = len(s.objects)
		s.objects = append(s.objects, o)
	}
	return i
}

// cut is a cell that waits for an object of a record.
type cut struct {
	object *object
	at     int64 // as in a pointer
}

// readLater reads later text: a value, or a cut.
func (s *scan) readLater(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, nil
	}
	if value, ok := strings.CutPrefix(text, laterValue); ok {
		return structured(value), nil
	}
	number, at, _ := strings.Cut(strings.TrimPrefix(text, laterObject), " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(s.objects) {
		return nil, errPointerNumber
	}
	p, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil, errPointerNumber
	}
	return cut{s.objects[n], p}, nil
}

// jsonFunctions are those of package plan, and objectFunction.
func jsonFunctions() []duck.TextFunction {
	var out []duck.TextFunction
	for _, f := range plan.JSONFunctions() {
		out = append(out, duck.TextFunction{Name: f.Name, Args: 2, Start: f.Start})
	}
	return append(out, duck.TextFunction{Name: objectFunction, Args: 3, Start: plan.StartWays(true, func(dst, value []byte, args []string) ([]byte, bool) {
		if args[2] != "y" && !json.Valid([]byte(args[0])) {
			return dst, false
		}
		return match.AppendText(dst, value)
	})})
}

// listFunctions are those of package plan.
func listFunctions() []duck.ListFunction {
	var out []duck.ListFunction
	for _, f := range plan.ListFunctions() {
		out = append(out, duck.ListFunction(f))
	}
	return out
}

// member is a node of an object that is made of texts.
type member struct {
	path  string // its column, if it has one
	keys  []string
	below map[string]*member
}

func (m *member) put(keys []string, path string) {
	if len(keys) == 0 {
		m.path = path
		return
	}
	if m.below == nil {
		m.below = map[string]*member{}
	}
	next := m.below[keys[0]]
	if next == nil {
		next = &member{}
		m.below[keys[0]] = next
		m.keys = append(m.keys, keys[0])
	}
	next.put(keys[1:], path)
}

// json gives SQL for the value, null when it is missing, and for whether it is
// there. json_merge_patch drops the nulls at the end.
func (m *member) json(col func(string) string) (value, present string) {
	var values, tests []string
	if m.path != "" {
		c := col(m.path)
		values, tests = append(values, "to_json("+cast(c, plan.Text)+")"), append(tests, c+" IS NOT NULL")
	}
	var args, some []string
	for _, k := range m.keys {
		if strings.IndexByte(k, 0) >= 0 {
			continue // an SQL text cannot hold it
		}
		v, p := m.below[k].json(col)
		args = append(args, literal(k), v)
		some = append(some, p)
	}
	if len(args) > 0 {
		test := strings.Join(some, " OR ")
		values = append(values, "CASE WHEN "+test+" THEN json_object("+strings.Join(args, ", ")+") END")
		tests = append(tests, test)
	}
	switch len(values) {
	case 0:
		return "CAST(NULL AS JSON)", "false"
	case 1:
		return values[0], "(" + tests[0] + ")"
	}
	return "coalesce(" + strings.Join(values, ", ") + ")", "(" + strings.Join(tests, " OR ") + ")"
}
