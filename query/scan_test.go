package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"trailward"
	"trailward/query/duck"
	"trailward/query/plan"
)

// row makes a record at a number of seconds after epoch.
func row(seconds int, message string, fields map[string]any) fakeRow {
	return fakeRow{at: epoch.Add(time.Duration(seconds) * time.Second), stream: "s", message: message, fields: fields}
}

func TestFieldResolution(t *testing.T) {
	const first, second = `{"obj":{"x":"X","n":7,"list":[1,"two"]}}`, `{"obj":{"deep":{"y":"Y"}}}`
	audit := newPart(t, "a", "g", trailward.KindK8sAudit,
		textFields("verb", "user.username", "responseStatus.code#", `annotations.authorization\.k8s\.io/decision`, `a\.b`, "a.b", "req{", "obj.x", "obj.n#", "obj.deep.y", "obj.list{", "@attr.stream", "mixed{"),
		[]fakeRow{
			row(0, first, map[string]any{
				"verb": "get", "user.username": "ann", "responseStatus.code": 200, `annotations.authorization\.k8s\.io/decision`: "allow", `a\.b`: "dotted",
				"req":   `{"bucket":"b1","n":1.5,"list":[{"k":"v0"},{"k":"v1"}],"app.kubernetes.io/name":"web","deep":{"x.y":{"z":true}},"0":"zero","null":null,"q\"uote":1,"sl/ash":2,"til~de":3}`,
				"obj.x": "X", "obj.n": 7, "obj.list": `[1,"two"]`, "@attr.stream": "stdout", "mixed": "plain, not JSON",
			}),
			row(1, second, map[string]any{"verb": "list", "a.b": "nested", "req": `[10,20]`, "obj.deep.y": "Y", "mixed": `{"k":"v"}`}),
			row(2, "m2", map[string]any{"verb": "watch", "req": `{broken`, "mixed": `[broken`}),
		})
	e, _ := newEngine(t, audit)
	for _, c := range []struct {
		name string
		ref  plan.FieldRef
		typ  plan.Type
		want []any
	}{
		{"plain", ref("verb"), plan.Text, []any{"get", "list", "watch"}},
		{"nested", ref("user", "username"), plan.Text, []any{"ann", nil, nil}},
		{"number", ref("responseStatus", "code"), plan.Int, []any{int64(200), nil, nil}},
		{"nobody has it", ref("nope"), plan.Null, []any{nil, nil, nil}},
		{"case matters", ref("Verb"), plan.Null, []any{nil, nil, nil}},
		{"key with dots, unquoted", ref("annotations", "authorization", "k8s", "io/decision"), plan.Text, []any{"allow", nil, nil}},
		{"key with dots, quoted whole", ref("annotations.authorization.k8s.io/decision"), plan.Text, []any{"allow", nil, nil}},
		{"key with dots, exact", ref("annotations", "authorization.k8s.io/decision"), plan.Text, []any{"allow", nil, nil}},
		{"both spellings, nested first", ref("a", "b"), plan.Text, []any{"dotted", "nested", nil}},
		{"both spellings, quoted", ref("a.b"), plan.Text, []any{"dotted", "nested", nil}},
		{"into JSON", ref("req", "bucket"), plan.Text, []any{"b1", nil, nil}},
		{"into JSON, quoted whole", ref("req.bucket"), plan.Text, []any{"b1", nil, nil}},
		{"a number in JSON", ref("req", "n"), plan.Text, []any{"1.5", nil, nil}},
		{"array element", ref("req", "list", "1", "k"), plan.Text, []any{"v1", nil, nil}},
		{"top array element or key", ref("req", "0"), plan.Text, []any{"zero", "10", nil}},
		{"an object in JSON", ref("req", "list", "0"), plan.Text, []any{`{"k":"v0"}`, nil, nil}},
		{"dots in a JSON key, unquoted", ref("req", "app", "kubernetes", "io/name"), plan.Text, []any{"web", nil, nil}},
		{"dots in a JSON key, quoted", ref("req", "app.kubernetes.io/name"), plan.Text, []any{"web", nil, nil}},
		{"dots in a middle key", ref("req", "deep", "x", "y", "z"), plan.Text, []any{"true", nil, nil}},
		{"JSON null is missing", ref("req", "null"), plan.Text, []any{nil, nil, nil}},
		{"quote in a key", ref("req", `q"uote`), plan.Text, []any{"1", nil, nil}},
		{"slash in a key", ref("req", "sl/ash"), plan.Text, []any{"2", nil, nil}},
		{"tilde in a key", ref("req", "til~de"), plan.Text, []any{"3", nil, nil}},
		{"NUL in a key", ref("req", "a\x00b"), plan.Text, []any{nil, nil, nil}},
		{"beyond the end", ref("req", "list", "9"), plan.Text, []any{nil, nil, nil}},
		{"mixed text and JSON", ref("mixed", "k"), plan.Text, []any{nil, "v", nil}},
		{"JSON itself", ref("req"), plan.JSON, []any{audit.rows[0].fields["req"], "[10,20]", "{broken"}},
		{"object of columns", ref("obj"), plan.JSON, []any{`{"x":"X","n":7,"list":[1,"two"]}`, `{"deep":{"y":"Y"}}`, nil}},
		{"object inside", ref("obj", "deep"), plan.JSON, []any{nil, `{"y":"Y"}`, nil}},
		{"what the framing said", ref("stream"), plan.Text, []any{"stdout", nil, nil}},
		{"the same by its name", ref("@attr", "stream"), plan.Text, []any{"stdout", nil, nil}},
		{"time", ref("@timestamp"), plan.Time, []any{epoch, epoch.Add(time.Second), epoch.Add(2 * time.Second)}},
		{"log", ref("@log"), plan.Text, []any{"111122223333:g", "111122223333:g", "111122223333:g"}},
		{"kind", ref("@kind"), plan.Text, []any{"k8s.audit", "k8s.audit", "k8s.audit"}},
		{"stream", ref("@logStream"), plan.Text, []any{"s", "s", "s"}},
		{"message", ref("@message"), plan.Text, []any{first, second, "m2"}},
		{"pointer", ref("@ptr"), plan.Pointer, []any{int64(0), int64(1), int64(2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var types []plan.Type
			got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{c.ref, ref("@timestamp")}, "SELECT {0} FROM R! ORDER BY {1}", &types, nil)))
			var flat []any
			for _, r := range got {
				flat = append(flat, r[0])
			}
			if err != nil || !reflect.DeepEqual(flat, c.want) || types[0] != c.typ {
				t.Errorf("%v = %v of type %d, %v, want %v of type %d", c.ref.Keys, flat, types[0], err, c.want, c.typ)
			}
		})
	}
}

func TestFlowNames(t *testing.T) {
	flow := newPart(t, "f", "g", trailward.KindVPCFlow, textFields("account-id", "srcaddr", "dstport#", "start#", "log-status", "pkt-src-aws-service", "tcp-flags#"),
		[]fakeRow{row(0, "m", map[string]any{"account-id": "012345678901", "srcaddr": "10.0.0.1", "dstport": 443, "start": 100, "log-status": "OK", "pkt-src-aws-service": "S3", "tcp-flags": 3})})
	e, _ := newEngine(t, flow)
	for name, want := range map[string]any{
		"srcAddr": "10.0.0.1", "srcaddr": "10.0.0.1", "src_addr": "10.0.0.1", "accountId": "012345678901", "account_id": "012345678901", "account-id": "012345678901",
		"dstPort": int64(443), "startTime": int64(100), "start": int64(100), "logStatus": "OK", "log_status": "OK", "pktSrcAwsService": "S3", "pkt_src_aws_service": "S3", "tcpFlags": int64(3), "nope": nil,
	} {
		got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref(name)}, "SELECT {0} FROM R!", nil, nil)))
		if err != nil || len(got) != 1 || got[0][0] != want {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestPartsOfManySchemas(t *testing.T) {
	parts := []Part{
		newPart(t, "1", "g1", trailward.KindJSON, textFields("code#", "x"), []fakeRow{row(0, "m1", map[string]any{"code": 1, "x": "a"})}),
		newPart(t, "2", "g1", trailward.KindJSON, textFields("x", "code"), []fakeRow{row(1, "m2", map[string]any{"code": "two", "x": "b"})}),
		newPart(t, "3", "g2", trailward.KindJSON, textFields("x", "extra", "code#"), []fakeRow{row(2, "m3", map[string]any{"code": 3, "x": "c"})}),
		newPart(t, "4", "g2", trailward.KindText, textFields("@message"), []fakeRow{row(3, "m4", map[string]any{"@message": "m4"})}),
		// Names that DuckDB cannot tell apart, or takes for its own.
		newPart(t, "5", "g2", trailward.KindJSON, textFields("X", "x", "FILE_ROW_NUMBER#", "file_index", "code{", "Code"), []fakeRow{row(4, "m5", map[string]any{"X": "upper", "x": "e", "FILE_ROW_NUMBER": 77, "file_index": "fi", "code": "[5]", "Code": "C"})}),
		newPart(t, "6", "g2", trailward.KindJSON, textFields("x", "Code", "X", "code{"), []fakeRow{row(5, "m6", map[string]any{"X": "upper6", "x": "f", "code": "[6]", "Code": "C6"}), row(6, "m7", map[string]any{"X": "upper7"})}),
		newPart(t, "7", "g2", trailward.KindJSON, textFields("x", "q\"uo'te", "nul\x00"), []fakeRow{row(7, "m8", map[string]any{"q\"uo'te": "Q", "nul\x00": "N"})}),
	}
	e, _ := newEngine(t, parts...)
	fields := []plan.FieldRef{ref("@timestamp"), ref("x"), ref("X"), ref("code"), ref("file_row_number"), ref("FILE_ROW_NUMBER"), ref("@message"), ref("@log"), ref("@ptr"), ref("q\"uo'te"), ref("nul\x00")}
	var types []plan.Type
	out := []Column{
		{Name: "x", Type: plan.Text}, {Name: "X", Type: plan.Text}, {Name: "code", Type: plan.JSON}, {Name: "frn", Type: plan.Text}, {Name: "FRN", Type: plan.Int},
		{Name: "m", Type: plan.Text}, {Name: "log", Type: plan.Text}, {Name: "p", Type: plan.Message}, {Name: "q", Type: plan.Text}, {Name: "n", Type: plan.Text},
	}
	got, err := read(e.run(t.Context(), scanTask(Selection{}, fields, "SELECT {1},{2},{3},{4},{5},{6},{7},{8},{9},{10} FROM R! ORDER BY {0}", &types, out)))
	log := func(g string) string { return "111122223333:" + g }
	want := [][]any{
		{"a", nil, "1", nil, nil, "m1", log("g1"), "m1", nil, nil},
		{"b", nil, "two", nil, nil, "m2", log("g1"), "m2", nil, nil},
		{"c", nil, "3", nil, nil, "m3", log("g2"), "m3", nil, nil},
		{nil, nil, nil, nil, nil, "m4", log("g2"), "m4", nil, nil},
		{"e", "upper", json.RawMessage("[5]"), nil, int64(77), "m5", log("g2"), "m5", nil, nil},
		{"f", "upper6", json.RawMessage("[6]"), nil, nil, "m6", log("g2"), "m6", nil, nil},
		{nil, "upper7", nil, nil, nil, "m7", log("g2"), "m7", nil, nil},
		{nil, nil, nil, nil, nil, "m8", log("g2"), "m8", "Q", "N"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("rows = %v, %v, want\n%v", got, err, want)
	}
	if types[3] != plan.JSON || types[5] != plan.Int {
		t.Errorf("types = %v", types)
	}
}

// TestColumnNames: a part may keep a field under another name in its file.
func TestColumnNames(t *testing.T) {
	fields := []Field{{Path: "Verb", Column: "Verb", Type: plan.Text}, {Path: "verb", Column: "verb~1", Type: plan.Text}, {Path: "file_row_number", Column: "file_row_number~1", Type: plan.Text}}
	a := newPart(t, "a", "g", trailward.KindJSON, fields, []fakeRow{row(0, "m", map[string]any{"Verb": "V", "verb": "v", "file_row_number": "x"})})
	b := newPart(t, "b", "g", trailward.KindJSON, textFields("verb"), []fakeRow{row(1, "m", map[string]any{"verb": "w"})})
	e, _ := newEngine(t, a, b)
	got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("verb"), ref("Verb"), ref("file_row_number"), ref("@timestamp")}, "SELECT {0}, {1}, {2} FROM R! ORDER BY {3}", nil, nil)))
	if want := [][]any{{"v", "V", "x"}, {"w", nil, nil}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("rows = %v, %v, want %v", got, err, want)
	}
	if want := []string{"@timestamp", "Verb", "verb~1", "file_row_number~1"}; !reflect.DeepEqual(a.columns, want) {
		t.Errorf("columns opened = %v, want %v", a.columns, want)
	}
}

func TestNoParts(t *testing.T) {
	e, store := newEngine(t)
	fields := []plan.FieldRef{ref("@timestamp"), ref("x"), ref("@message"), ref("@ptr")}
	var types []plan.Type
	got, err := read(e.run(t.Context(), scanTask(Selection{}, fields, "SELECT count(*), max({0}), max({1}), max({2}), max({3}) FROM R!", &types, nil)))
	if want := [][]any{{int64(0), nil, nil, nil, nil}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("over no parts: %v, %v", got, err)
	}
	if want := []plan.Type{plan.Time, plan.Null, plan.Text, plan.Pointer}; !reflect.DeepEqual(types, want) {
		t.Errorf("types = %v, want %v", types, want)
	}
	got, err = read(e.run(t.Context(), scanTask(Selection{}, nil, "SELECT count(*) FROM R!", nil, nil)))
	if err != nil || got[0][0] != int64(0) {
		t.Errorf("without fields: %v, %v", got, err)
	}
	tk := scanTask(Selection{}, nil, "SELECT count(*) FROM R!", nil, nil)
	tk.nothing = true
	before := store.last
	store.last = Selection{Groups: []string{"untouched"}}
	if got, err := read(e.run(t.Context(), tk)); err != nil || got[0][0] != int64(0) || store.last.Groups[0] != "untouched" {
		t.Errorf("of no group: %v, %v, %v", got, err, store.last)
	}
	store.last = before
}

func TestTimeRangeAndPruning(t *testing.T) {
	var parts []Part
	for d := range 10 {
		var rows []fakeRow
		for i := range 10 {
			rows = append(rows, row(d*1000+i*10, fmt.Sprint(d, i), map[string]any{"n": d*10 + i, "other": "o"}))
		}
		parts = append(parts, newPart(t, fmt.Sprint(d), "g", trailward.KindJSON, textFields("n#", "other"), rows))
	}
	e, _ := newEngine(t, parts...)
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		name       string
		start, end time.Time
		count, sum int64
		opened     int64
	}{
		{"all", time.Time{}, time.Time{}, 100, 4950, 10},
		{"one whole part", at(3000), at(3090), 10, 345, 1},
		{"inclusive at both ends", at(3010), at(3020), 2, 31 + 32, 1},
		{"between records", at(3001), at(3009), 0, 0, 1},
		{"between parts", at(3100), at(3900), 0, 0, 0},
		{"open start", time.Time{}, at(1000), 11, 45 + 10, 2},
		{"open end", at(9090), time.Time{}, 1, 99, 1},
	} {
		r, err := e.run(t.Context(), scanTask(Selection{Start: c.start, End: c.end}, []plan.FieldRef{ref("n")}, "SELECT count(*), coalesce(sum(CAST({0} AS BIGINT)),0) FROM R!", nil, nil))
		got, err := read(r, err)
		if err != nil || got[0][0] != c.count || got[0][1] != c.sum {
			t.Errorf("%s: %v, %v, want %d, %d", c.name, got, err, c.count, c.sum)
			continue
		}
		if st := r.Stats(); st.SegmentsOpened != c.opened || st.RecordsScanned != 10*c.opened || st.ElapsedMS <= 0 {
			t.Errorf("%s: stats %+v, want %d opened", c.name, st, c.opened)
		}
	}
	p := parts[4].(*fakePart)
	if want := []string{"n"}; !reflect.DeepEqual(p.columns, want) {
		t.Errorf("columns opened = %v, want %v: only those that are read", p.columns, want)
	}
}

func TestSeveralRelations(t *testing.T) {
	a := newPart(t, "a", "g", trailward.KindJSON, textFields("x", "y"), []fakeRow{row(0, "m", map[string]any{"x": "1", "y": "Y"})})
	b := newPart(t, "b", "g", trailward.KindText, textFields("x"), []fakeRow{row(0, "m", map[string]any{"x": "1"})})
	e, _ := newEngine(t, a, b)
	got, err := read(e.run(t.Context(), task{timeout: time.Minute, statement: func(ctx context.Context, s *scan) (string, []Column, error) {
		l, err := s.relation(ctx, []trailward.Kind{trailward.KindJSON}, []plan.FieldRef{ref("x")})
		if err != nil {
			return "", nil, err
		}
		r, err := s.relation(ctx, nil, []plan.FieldRef{ref("x"), ref("y"), ref("@ptr")})
		if err != nil {
			return "", nil, err
		}
		sql := "SELECT r.c1, r.c2 FROM " + l.SQL + " AS l JOIN " + r.SQL + " AS r ON l.c0 = r.c0 ORDER BY r.c2"
		return sql, []Column{{Name: "y", Type: plan.Text}, {Name: "@ptr", Type: plan.Pointer}}, nil
	}}))
	if err != nil || len(got) != 2 || got[0][0] != "Y" || got[1][0] != nil {
		t.Fatalf("join = %v, %v", got, err)
	}
	for i, id := range []string{"a", "b"} {
		if part, row, err := ParsePointer(got[i][1].(string)); part != id || row != 0 || err != nil {
			t.Errorf("pointer %d = %s, %d, %v, want %s", i, part, row, err, id)
		}
	}
}

func TestManyParts(t *testing.T) {
	var parts []Part
	for i := range 300 {
		p := newPart(t, fmt.Sprint("p", i), fmt.Sprint("g", i%7), trailward.KindJSON, textFields("n#"), []fakeRow{
			row(2*i, fmt.Sprint("first of ", i), map[string]any{"n": i}), row(2*i+1, fmt.Sprint("second of ", i), map[string]any{"n": -i})})
		parts = append(parts, p)
	}
	e, _ := newEngine(t, parts...)
	got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("n"), ref("@log"), ref("@ptr"), ref("@timestamp")}, "SELECT {1}, {2}, {2} FROM R! WHERE {0} > 100 ORDER BY {3} DESC", nil,
		[]Column{{Name: "@log", Type: plan.Text}, {Name: "@message", Type: plan.Message}, {Name: "@ptr", Type: plan.Pointer}})))
	if err != nil || len(got) != 199 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, r := range got {
		n := 299 - i
		part, row, err := ParsePointer(r[2].(string))
		if r[0] != fmt.Sprint("111122223333:g", n%7) || r[1] != fmt.Sprint("first of ", n) || part != fmt.Sprint("p", n) || row != 0 || err != nil {
			t.Fatalf("row %d = %v (%s, %d, %v)", i, r, part, row, err)
		}
	}
}

// TestManySchemas: parts that cannot share a SELECT.
func TestManySchemas(t *testing.T) {
	var parts []Part
	for i := range 400 {
		parts = append(parts, newPart(t, fmt.Sprint("p", i), "g", trailward.KindJSON, textFields("x", "X", fmt.Sprint("own", i)), []fakeRow{row(i, "m", map[string]any{"x": fmt.Sprint(i), "X": "upper"})}))
	}
	e, _ := newEngine(t, parts...)
	got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("x"), ref("own7"), ref("@ptr")}, "SELECT count(*), sum(CAST({0} AS BIGINT)), count({1}) FROM R!", nil, nil)))
	if want := [][]any{{int64(400), int64(79800), int64(0)}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("400 schemas: %v, %v", got, err)
	}
}

func TestMessageConditions(t *testing.T) {
	var rows []fakeRow
	for i := range 50000 {
		rows = append(rows, row(i, fmt.Sprintf("message \xff %d", i), map[string]any{"n": i}))
	}
	p := newPart(t, "p", "g", trailward.KindJSON, textFields("n#"), rows)
	e, _ := newEngine(t, p)
	fields := []plan.FieldRef{ref("@message"), ref("n"), ref("@ptr")}
	got, err := read(e.run(t.Context(), scanTask(Selection{}, fields, "SELECT count(*) FROM R! WHERE {0} = 'message \uFFFD '||{1}", nil, nil)))
	if err != nil || got[0][0] != int64(50000) {
		t.Errorf("all messages: %v, %v", got, err)
	}
	if asked := p.asked.Load(); asked != 50000 {
		t.Errorf("%d records were put together for 50000", asked)
	}
	p.asked.Store(0)
	got, err = read(e.run(t.Context(), scanTask(Selection{}, fields, "SELECT {0}, {2} FROM R! WHERE {1} IN (7, 41234) AND {0} LIKE '%4'", nil,
		[]Column{{Name: "m", Type: plan.Text}, {Name: "raw", Type: plan.Message}})))
	if err != nil || len(got) != 1 || got[0][0] != "message \uFFFD 41234" || got[0][1] != "message \xff 41234" {
		t.Errorf("one message: %q, %v", got, err)
	}
	// Two for the condition and the column, one for the raw text.
	if asked := p.asked.Load(); asked != 3 {
		t.Errorf("%d records were put together for 2", asked)
	}
}

func TestRunFailures(t *testing.T) {
	p := newPart(t, "p", "g", trailward.KindJSON, textFields("n#"), []fakeRow{row(0, "m", map[string]any{"n": 1})})
	e, store := newEngine(t, p)
	boom := errors.New("boom")
	p.failOpen = boom
	if _, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("n")}, "SELECT {0} FROM R!", nil, nil))); !errors.Is(err, boom) {
		t.Errorf("open fails: %v", err)
	}
	p.failOpen = nil
	if _, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("n")}, "SELECT error('oops '||{0}) FROM R!", nil, nil))); err == nil || err.Error() != "oops 1" {
		t.Errorf("statement fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(e.run(ctx, scanTask(Selection{}, []plan.FieldRef{ref("n")}, "SELECT {0} FROM R!", nil, nil))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	tk := scanTask(Selection{}, []plan.FieldRef{ref("n")}, "SELECT count(*) FROM R!, range(100000000000) t(a) WHERE hash(a) = {0}", nil, nil)
	tk.timeout = 200 * time.Millisecond
	start := time.Now()
	_, err := read(e.run(t.Context(), tk))
	var late *TimeoutError
	if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 1500*time.Millisecond {
		t.Errorf("timeout: %v after %v", err, time.Since(start))
	}
	// A reader that goes away in the middle.
	r, err := e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("n"), ref("@message")}, "SELECT {0}, {1} FROM R!, range(10000000)", nil, nil))
	if err != nil || !r.Next() {
		t.Fatalf("rows: %v", err)
	}
	r.Close()
	for r.Next() { // what was read before Close may still come
	}
	if store.open.Load() != 0 {
		t.Errorf("snapshot is open after Close")
	}
	if _, err := e.opts.Snapshot(Selection{}); err != nil {
		t.Error(err)
	}
	store.open.Store(0)
	if _, err := New(Options{}); err == nil {
		t.Error("New without snapshots gave no error")
	}
	if _, err := New(Options{Snapshot: store.snapshot, Pool: duck.Config{Memory: 1}}); err == nil {
		t.Error("New with one byte gave no error")
	}
}

func TestNarrow(t *testing.T) {
	for _, c := range []struct {
		a, b, want []string
		none       bool
	}{
		{nil, nil, nil, false},
		{[]string{"a"}, nil, []string{"a"}, false},
		{nil, []string{"a*"}, []string{"a*"}, false},
		{[]string{"/eks/*"}, []string{"/eks/prod/*", "/aws/x"}, []string{"/eks/prod/*"}, false},
		{[]string{"/eks/prod"}, []string{"/eks/*"}, []string{"/eks/prod"}, false},
		{[]string{"a"}, []string{"b"}, nil, true},
		{[]string{"a*"}, []string{"b*"}, nil, true},
		{[]string{"*"}, []string{"b"}, []string{"b"}, false},
	} {
		if got, none := narrow(c.a, c.b); !reflect.DeepEqual(got, c.want) || none != c.none {
			t.Errorf("narrow(%v, %v) = %v, %v, want %v, %v", c.a, c.b, got, none, c.want, c.none)
		}
	}
}
