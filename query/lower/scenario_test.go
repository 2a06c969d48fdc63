package lower_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"trailward/internal/sampletest"
	"trailward/query/insights"
	"trailward/query/lower"
	"trailward/query/plan"
	"trailward/query/plan/plantest"
)

// record is a row of the table that a scenario runs over.
type record struct {
	time    time.Time
	message string
	doc     any // the message as JSON, nil when it is text
	number  int
}

func parseRecords(t *testing.T, text string) []record {
	t.Helper()
	var out []record
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		stamp, msg, ok := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if !ok || err != nil {
			t.Fatalf("record %q: want a time and a message", line)
		}
		r := record{time: at, message: msg}
		d := json.NewDecoder(strings.NewReader(msg))
		d.UseNumber()
		var doc map[string]any
		if d.Decode(&doc) == nil {
			r.doc = doc
		}
		out = append(out, r)
	}
	return out
}

// field is what a record has at a path: its text, or JSON text.
func (r record) field(keys []string) (text string, isJSON, ok bool) {
	x := r.doc
	for _, k := range keys {
		switch v := x.(type) {
		case map[string]any:
			x, ok = v[k]
			if !ok {
				return "", false, false
			}
		case []any:
			n, err := strconv.Atoi(k)
			if err != nil || n >= len(v) {
				return "", false, false
			}
			x = v[n]
		default:
			return "", false, false
		}
	}
	switch v := x.(type) {
	case nil:
		return "", false, false
	case string:
		return v, false, true
	case json.Number:
		return v.String(), false, true
	case bool:
		return strconv.FormatBool(v), false, true
	}
	b, _ := json.Marshal(x)
	return string(b), true, true
}

var canonicalInt = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// open makes the relation of the records as a list of values. With ints, a
// field whose every value is an integer is a column of type Int.
func open(recs []record, ints bool) plan.OpenFunc {
	lit := lower.DuckDB.Text
	return func(sc *plan.Scan, fields []plan.FieldRef) (plan.Relation, error) {
		recs := within(recs, sc)

		rel := plan.Relation{Columns: map[string]plan.Column{}}
		rows := make([][]string, len(recs))
		var names []string
		for i, f := range fields {
			col := plan.Column{Name: fmt.Sprintf("col %d\"", i), Type: plan.Null}
			vals := make([]string, len(recs))
			sqlType := "VARCHAR"
			allInt := ints
			for j, r := range recs {
				switch f.Key() {
				case "@timestamp", "@ingestionTime":
					col.Type, sqlType = plan.Time, "TIMESTAMP"
					vals[j] = lit(r.time.UTC().Format("2006-01-02 15:04:05.000000"))
				case "@message":
					col.Type, vals[j] = plan.Text, lit(r.message)
				case "@ptr":
					col.Type, vals[j] = plan.Pointer, lit(fmt.Sprintf("p%04d", r.number))
				case "@logStream":
					col.Type, vals[j] = plan.Text, "'stream'"
				case "@log":
					col.Type, vals[j] = plan.Text, "'group'"
				default:
					text, isJSON, ok := r.field(f.Keys)
					if !ok {
						vals[j] = "NULL"
						continue
					}
					vals[j] = lit(text)
					allInt = allInt && canonicalInt.MatchString(text)
					if isJSON {
						col.Type = plan.JSON
					} else if col.Type == plan.Null {
						col.Type = plan.Text
					}
				}
			}
			if col.Type == plan.Text && allInt && !strings.HasPrefix(f.Keys[0], "@") {
				col.Type, sqlType = plan.Int, "BIGINT"
			}
			for j := range recs {
				rows[j] = append(rows[j], "CAST("+vals[j]+" AS "+sqlType+")")
			}
			rel.Columns[f.Key()] = col
			names = append(names, lower.DuckDB.Ident(col.Name))
		}
		list := make([]string, len(rows))
		for j := range rows {
			list[j] = "(" + strings.Join(rows[j], ", ") + ")"
		}
		if len(list) == 0 {
			for i, n := range names {
				names[i] = "NULL AS " + n
			}
			rel.SQL = "(SELECT " + strings.Join(names, ", ") + " WHERE false)"
			return rel, nil
		}
		rel.SQL = "(SELECT * FROM (VALUES " + strings.Join(list, ", ") + ") v(" + strings.Join(names, ", ") + "))"
		return rel, nil
	}
}

// within keeps the records that a scan reads: the group of a record is the
// member group of its message.
func within(recs []record, sc *plan.Scan) []record {
	var out []record
	for i, r := range recs {
		r.number = i
		group, _, _ := r.field([]string{"group"})
		whole := sc.ID == 0 && sc.Start.Equal(start) && sc.End.Equal(now)
		if (sc.ID == 0 || len(sc.Groups) == 0 || slices.Contains(sc.Groups, group) || slices.Contains(sc.Groups, "*")) &&
			(whole || (sc.Start.IsZero() || !r.time.Before(sc.Start)) && (sc.End.IsZero() || !r.time.After(sc.End))) {
			out = append(out, r)
		}
	}
	return out
}

var (
	now   = time.Date(2026, 1, 2, 11, 0, 0, 0, time.UTC)
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func openDB(t testing.TB) *sql.DB {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	plantest.Register(t, db)
	for _, f := range lower.Functions() {
		if err := duckdb.RegisterScalarUDF(conn, f.Name, udf(f)); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// udf makes a function of ours one of the driver's.
type udf lower.Function

func (f udf) Config() duckdb.ScalarFuncConfig {
	text, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err != nil {
		panic(err)
	}
	c := duckdb.ScalarFuncConfig{ResultTypeInfo: text}
	for range f.Args {
		c.InputTypeInfos = append(c.InputTypeInfos, text)
	}
	return c
}

func (f udf) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowExecutor: func(values []driver.Value) (any, error) {
		args := make([]string, len(values))
		for i, v := range values {
			args[i] = v.(string)
		}
		if out, ok := f.Call(nil, args); ok {
			return string(out), nil
		}
		return nil, nil
	}}
}

// tables are the lookup tables of the scenarios.
var tables = map[string]insights.Table{
	"users": {Columns: []string{"id", "name", "dept"}, Rows: [][]string{{"u1", "Ann", "ops"}, {"u2", "Bob", ""}, {"u1", "Other", "x"}}},
	"nets":  {Columns: []string{"cidr", "site"}, Rows: [][]string{{"10.0.0.0/8", "wide"}, {"10.0.0.0/24", "near"}, {"10.0.0.5/32", "host"}, {"fd00::/8", "six"}, {"junk", "none"}}},
}

func init() {
	var rows [][]string
	for _, h := range hostile {
		rows = append(rows, []string{h, "found " + h})
	}
	tables["hostile"] = insights.Table{Columns: []string{"k", "v"}, Rows: rows}
}

func options() insights.Options {
	return insights.Options{Now: now, Start: start, End: now, Lookup: func(name string) (insights.Table, bool, error) {
		t, ok := tables[name]
		return t, ok, nil
	}}
}

// run answers a query with one JSON object a row, null left out, as
// GetQueryResults does; hidden columns too.
func run(db *sql.DB, query string, recs []record, ints bool) ([]string, *lower.Statement, error) {
	q, err := insights.Compile(query, options())
	if err != nil {
		return nil, nil, err
	}
	st, err := lower.Lower(q, open(recs, ints), lower.DuckDB)
	if err != nil {
		return nil, nil, err
	}
	for st.Then != nil {
		rows, err := prepared(db, st)
		if err != nil {
			return nil, st, fmt.Errorf("%w\n%s", err, st.SQL)
		}
		if st, err = st.Then(rows); err != nil {
			return nil, nil, err
		}
	}
	rows, err := db.Query(st.SQL)
	if err != nil {
		return nil, st, fmt.Errorf("%w\n%s", err, st.SQL)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		vals := make([]any, len(st.Columns))
		ptrs := make([]any, len(vals))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			return nil, st, err
		}
		var b strings.Builder
		for i, c := range st.Columns {
			if vals[i] == nil || c.Hidden {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(c.Name) + ":" + quote(show(vals[i], c.Type, recs)))
		}
		out = append(out, "{"+b.String()+"}")
	}
	if err := rows.Err(); err != nil {
		return nil, st, fmt.Errorf("%w\n%s", err, st.SQL)
	}
	return out, st, nil
}

// prepared gives the rows of a statement that prepares another.
func prepared(db *sql.DB, st *lower.Statement) ([][]any, error) {
	rows, err := db.Query(st.SQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]any
	for rows.Next() {
		vals := make([]any, len(st.Columns))
		ptrs := make([]any, len(vals))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			return nil, err
		}
		for i, v := range vals {
			if m, ok := v.(duckdb.Map); ok {
				times := map[string]any{}
				for k, n := range m {
					times[fmt.Sprint(k)] = n
				}
				vals[i] = times
			}
		}
		out = append(out, vals)
	}
	return out, rows.Err()
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s)
	return strings.TrimRight(b.String(), "\n")
}

// show writes a value as CloudWatch would.
func show(v any, typ plan.Type, recs []record) string {
	switch v := v.(type) {
	case string:
		if typ == plan.Message {
			i, _ := strconv.Atoi(v[1:])
			return recs[i].message
		}
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case int32:
		return strconv.Itoa(int(v))
	case float64:
		return plan.FormatNumber(v)
	case bool:
		if v {
			return "1"
		}
		return "0"
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.000")
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// update writes what the queries give into the files; read the difference
// before you commit it.
var update = flag.Bool("update", false, "write the answers into testdata")

// TestScenarios runs the files in testdata: records, then questions with the
// rows (or the error) that they must have. Each is run with fields as text and
// again with whole numbers as integer columns.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scenario files: %v", len(files), err)
	}
	db := openDB(t)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split("\n"+string(data), "\n--- ")
		if len(parts) < 2 || !strings.HasPrefix(parts[1], "records\n") {
			t.Fatalf("%s: want --- records first", file)
		}
		recs := parseRecords(t, strings.TrimPrefix(parts[1], "records\n"))
		var out strings.Builder
		out.WriteString(strings.TrimPrefix(parts[0], "\n") + "--- " + parts[1] + "\n")
		for _, part := range parts[2:] {
			name, body, _ := strings.Cut(part, "\n")
			query, want, ok := strings.Cut(body+"\n", "\n=>\n")
			if !ok {
				t.Fatalf("%s: %s: want =>", file, name)
			}
			var lines []string
			for line := range strings.Lines(want) {
				if line = strings.TrimRight(line, "\n"); line != "" {
					lines = append(lines, line)
				}
			}
			if *update {
				got, _, err := run(db, query, recs, false)
				if err != nil {
					message, _, _ := strings.Cut(err.Error(), "\n")
					got = []string{"error: " + message}
				}
				out.WriteString("--- " + name + "\n" + query + "\n=>\n")
				for _, line := range got {
					out.WriteString(line + "\n")
				}
				continue
			}
			for _, ints := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/ints=%v", filepath.Base(file), name, ints), func(t *testing.T) {
					got, _, err := run(db, query, recs, ints)
					if len(lines) == 1 && strings.HasPrefix(lines[0], "error: ") {
						want := strings.TrimPrefix(lines[0], "error: ")
						if err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("run(%s) = %v, want error %q", query, err, want)
						}
						return
					}
					if err != nil {
						t.Fatalf("run(%s) = %v, want rows", query, err)
					}
					if g, w := strings.Join(got, "\n"), strings.Join(lines, "\n"); g != w {
						t.Errorf("run(%s) =\n%s\nwant\n%s", query, g, w)
					}
				})
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestReferenceExamples holds that each of the 47 worked examples of the language's
// reference is a scenario.
func TestReferenceExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	for n := 1; n <= 47; n++ {
		if !strings.Contains(all.String(), fmt.Sprintf("\n--- %d ", n)) {
			t.Errorf("example %d of the reference is no scenario", n)
		}
	}
}

// TestPublishedQueries runs the real queries that compile: the engine must
// take what they become.
func TestPublishedQueries(t *testing.T) {
	f, err := os.Open(filepath.Join(sampletest.Dir(t), "queries", "insights-queries.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	db := openDB(t)
	recs := parseRecords(t, `2026-01-02T10:00:00Z {"status":500,"level":"ERROR","eventName":"x","bytes":12,"message":{"name":"n"}}
2026-01-02T10:01:00Z plain text with user=bob in it
2026-01-02T10:02:00Z {"status":"a","bytes":"7","srcAddr":"10.0.0.1","tlsDetails":{"tlsVersion":"TLSv1"},"input":[{"inputTokenCount":1}],"Type":"Pod"}`)
	n := 0
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var q struct{ ID, Query string }
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			t.Fatal(err)
		}
		for _, p := range insights.Split(q.Query) {
			if _, err := insights.Compile(p.Text, insights.Options{Now: now}); err != nil {
				continue // package insights says which may fail, and why
			}
			n++
			if _, _, err := run(db, p.Text, recs, n%2 == 0); err != nil {
				t.Errorf("run(%s) = %v, want rows\n%s", q.ID, err, p.Text)
			}
		}
	}
	if err := sc.Err(); err != nil || n < 170 {
		t.Errorf("ran %d queries, want at least 150: %v", n, err)
	}
}
