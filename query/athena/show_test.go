package athena

import (
	"errors"
	"strings"
	"testing"

	"trailward"
	"trailward/query/plan"
)

func TestShow(t *testing.T) {
	opts := options(t)
	opts.Tables = map[string]trailward.Kind{"mine": trailward.KindVPCFlow}
	opts.Fields = func(k trailward.Kind) []string { return []string{"userIdentity.arn", "note", "odd'name"} }
	rowsOf := func(text string) []string {
		t.Helper()
		_, rows, err := run(t, text, opts, nil)
		if err != nil {
			t.Fatalf("run(%s) = %v", text, err)
		}
		var out []string
		for _, r := range rows {
			out = append(out, strings.Join(r, "|"))
		}
		return out
	}
	for _, c := range []struct {
		text string
		has  []string // rows that are there
		n    int      // how many; 0: any
	}{
		{"SHOW TABLES", []string{"cloudtrail", "logs", "mine"}, len(tableNames) + 1},
		{"SHOW TABLES IN default", []string{"cloudtrail"}, len(tableNames) + 1},
		{"show tables like 'cloud*';", []string{"cloudtrail"}, 1},
		{"SHOW TABLES FROM \"db\" '*flow|dns'", []string{"dns", "vpc_flow"}, 2},
		{"SHOW TABLES 'nothing'", nil, 0},
		{"SHOW DATABASES", []string{"default"}, 1},
		{"SHOW COLUMNS FROM cloudtrail", []string{"eventname", "useridentity.arn", "note", "odd'name"}, 0},
		{"SHOW COLUMNS IN db.mine", []string{"srcaddr"}, 0},
		{"DESCRIBE cloudtrail_logs", []string{"eventname|string|", "useridentity|struct|its fields are reached by dots", "note|string|a field of the records"}, 0},
		{"DESC `vpc_flow`", []string{"bytes|bigint|"}, 0},
		{"DESCRIBE EXTENDED default.waf", []string{"action|string|"}, 0},
	} {
		got := rowsOf(c.text)
		if c.n > 0 && len(got) != c.n {
			t.Errorf("%s has %d rows, want %d: %q", c.text, len(got), c.n, got)
		}
		for _, w := range c.has {
			if !strings.Contains("\n"+strings.Join(got, "\n")+"\n", "\n"+w+"\n") {
				t.Errorf("%s has no row %q: %q", c.text, w, got)
			}
		}
	}
	for _, c := range []struct{ text, msg string }{
		{"DESCRIBE vpcflo", "line 1, column 10: table \"vpcflo\" is not known; did you mean vpc_flow?"}, {"DESCRIBE", "the name of a table is missing"},
		{"SHOW COLUMNS vpc_flow", "line 1, column 14: SHOW COLUMNS is not understood"}, {"SHOW PARTITIONS x", "only SHOW TABLES"}, {"SHOW TABLES; SELECT 1", "line 1, column 12: SHOW TABLES is not understood"},
		{"DESCRIBE dns dns", "line 1, column 14: unexpected text"}, {"EXPLAIN SELECT 1", "--explain"}, {"SELECT * FROM information_schema.columns", "SHOW TABLES"},
		{"SELECT U&'x'", "line 1, column 8: U&'…' is not supported"},
	} {
		_, err := Prepare(c.text, opts)
		var e *plan.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), c.msg) {
			t.Errorf("Prepare(%s) = %v, want %q", c.text, err, c.msg)
		}
	}
}

// TestFault holds what becomes of what DuckDB says of a statement that it does
// not run.
func TestFault(t *testing.T) {
	opts := options(t)
	for _, c := range []struct{ text, want string }{
		{"SELECT eventname, count(*) FROM cloudtrail", `line 1, column 8: column "eventname" is neither in GROUP BY nor inside an aggregate; add it to GROUP BY, or write arbitrary(eventname)`},
		{"SELECT upper(eventname),\n awsregion, count(*) FROM cloudtrail GROUP BY 1", `line 2, column 2: column "awsregion"`},
		{"SELECT eventname e, max(eventtime) FROM cloudtrail GROUP BY eventname ORDER BY eventid", `line 1, column 80: column "eventid"`},
		{"SELECT x FROM (SELECT useridentity.arn AS x, sum(1) FROM cloudtrail) AS t", `line 1, column 23: column "useridentity.arn"`},
		{"SELECT date_diff('day', 'x', 3)", "line 1, column 8: date_diff does not take arguments of these types: varchar, timestamp, integer"},
		{"SELECT 1, length(5)", "line 1, column 11: length does not take arguments of these types: integer"},
		{"SELECT 5 + true", "line 1, column 10: + does not take arguments of these types: integer, boolean"},
	} {
		q, err := Prepare(c.text, opts)
		if err != nil {
			t.Errorf("Prepare(%s) = %v", c.text, err)
			continue
		}
		sql, err := q.SQL(func(i int, fields []plan.FieldRef) (plan.Relation, error) { return relationOf(nil, fields), nil })
		if err != nil {
			t.Fatal(err)
		}
		rows, err := duck(t).Query(sql)
		if err == nil {
			rows.Close()
			t.Errorf("%s runs", c.text)
			continue
		}
		said, _, _ := strings.Cut(err.Error(), "\n")
		if _, after, ok := strings.Cut(said, " Error: "); ok {
			said = strings.ToLower(after[:1]) + after[1:]
		}
		e := q.Fault(said)
		if e == nil || !strings.Contains(e.Error(), c.want) {
			t.Errorf("Fault(%s) of %s = %v, want %s", said, c.text, e, c.want)
		}
	}
	q, err := Prepare("SELECT 1", opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"", "something else", "no function matches the given name and argument types 'zz(INTEGER)'"} {
		if e := q.Fault(said); e != nil {
			t.Errorf("Fault(%q) = %v, want nil", said, e)
		}
	}
}
