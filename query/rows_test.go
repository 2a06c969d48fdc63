package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"trailward"
	"trailward/query/plan"
)

// slowPart gives messages only while the gate is open.
type slowPart struct {
	*fakePart
	gate    chan struct{}
	reached chan struct{}
}

func (p *slowPart) Messages(rows []int64, fn func(int64, []byte) error) error {
	return p.fakePart.Messages(rows, func(row int64, message []byte) error {
		select {
		case p.reached <- struct{}{}:
		default:
		}
		<-p.gate
		return fn(row, message)
	})
}

// TestCloseWhileReading: the snapshot lives until nobody reads records.
func TestCloseWhileReading(t *testing.T) {
	for _, where := range []string{"in a condition", "in an answer"} {
		t.Run(where, func(t *testing.T) {
			p := &slowPart{fakePart: newPart(t, "p", "g", trailward.KindJSON, textFields("n#"), []fakeRow{row(0, "m", nil), row(1, "m", nil)}), gate: make(chan struct{}), reached: make(chan struct{}, 1)}
			e, store := newEngine(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			sql, out := "SELECT count(*) FROM R! WHERE {0} LIKE '%m%'", []Column(nil)
			if where == "in an answer" {
				sql, out = "SELECT {1} FROM R!", []Column{{Name: "m", Type: plan.Message}}
			}
			done := make(chan error, 1)
			go func() {
				_, err := read(e.run(ctx, scanTask(Selection{}, []plan.FieldRef{ref("@message"), ref("@ptr")}, sql, nil, out)))
				done <- err
			}()
			<-p.reached
			cancel()
			if where == "in a condition" {
				// The reader is not held up by the part that does not answer.
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("error = %v, want canceled", err)
				}
				if store.open.Load() != 1 {
					t.Error("the snapshot was closed while a record was read")
				}
				close(p.gate)
			} else {
				close(p.gate)
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("error = %v, want canceled", err)
				}
			}
		})
	}
}

func TestErrorAfterRows(t *testing.T) {
	p := newPart(t, "p", "g", trailward.KindJSON, textFields("n#"), []fakeRow{row(0, "m", map[string]any{"n": 1})})
	e, _ := newEngine(t, p)
	got, err := read(e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("@ptr")}, "SELECT CASE WHEN i < 600000 THEN {0} ELSE error('late') END FROM R!, range(700000) t(i)", nil, []Column{{Name: "m", Type: plan.Message}})))
	if err == nil || err.Error() != "late" || len(got) < 1000 || got[0][0] != "m" {
		t.Errorf("%d rows, %v", len(got), err)
	}
	if _, err := read(e.run(t.Context(), scanTask(Selection{}, nil, "SELECT 5::BIGINT << 40", nil, []Column{{Name: "m", Type: plan.Message}}))); err == nil || !strings.Contains(err.Error(), "no segment") {
		t.Errorf("a pointer to nowhere: %v", err)
	}
	if _, err := read(e.run(t.Context(), scanTask(Selection{}, nil, "SELECT 1, 2", nil, []Column{{Name: "m"}}))); err == nil {
		t.Error("a column too many gave no error")
	}
}

func TestStreamsAnswers(t *testing.T) {
	var rows []fakeRow
	for i := range 1000 {
		rows = append(rows, row(i, fmt.Sprint("m", i), map[string]any{"n": i}))
	}
	p := newPart(t, "p", "g", trailward.KindJSON, textFields("n#"), rows)
	e, _ := newEngine(t, p)
	r, err := e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("n"), ref("@ptr"), ref("@timestamp")}, "SELECT {0}, {1} FROM R! ORDER BY {2} DESC", nil, []Column{{Name: "n", Type: plan.Int}, {Name: "@message", Type: plan.Message}}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if want := []Column{{Name: "n", Type: plan.Int}, {Name: "@message", Type: plan.Text}}; !reflect.DeepEqual(r.Columns(), want) {
		t.Errorf("columns = %v, want %v", r.Columns(), want)
	}
	var buf bytes.Buffer
	if err := WriteJSON(&buf, r, Insights); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	if len(lines) != 1000 || lines[0] != `{"n":"999","@message":"m999"}` || lines[999] != `{"n":"0","@message":"m0"}` {
		t.Errorf("%d lines, %s … %s", len(lines), lines[0], lines[len(lines)-1])
	}
	st := r.Stats()
	if st.RecordsMatched != 1000 || st.RecordsScanned != 1000 || st.SegmentsOpened != 1 || st.BytesScanned != 200 {
		t.Errorf("stats = %+v", st)
	}
}

// TestManyAtOnce: many queries share two instances, some of them go away.
func TestManyAtOnce(t *testing.T) {
	var parts []Part
	for d := range 5 {
		var rows []fakeRow
		for i := range 3000 {
			rows = append(rows, row(d*3000+i, fmt.Sprint("m", i%10), map[string]any{"n": i}))
		}
		parts = append(parts, newPart(t, fmt.Sprint(d), "g", trailward.KindJSON, textFields("n#"), rows))
	}
	e, _ := newEngine(t, parts...)
	var g errgroup.Group
	for i := range 40 {
		g.Go(func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch i % 4 {
			case 0:
				r, err := e.Query(ctx, Request{Text: "filter @message like /m7/ | fields @message, n | limit 2000"})
				if err != nil {
					return err
				}
				defer r.Close()
				n := 0
				for r.Next() {
					if r.Values()[0] != "m7" {
						return fmt.Errorf("row %v", r.Values())
					}
					n++
				}
				if n != 1500 || r.Err() != nil {
					return fmt.Errorf("%d rows, %w", n, r.Err())
				}
			case 1:
				r, err := e.Query(ctx, Request{Text: "fields @message"})
				if err != nil {
					return err
				}
				r.Next()
				return r.Close()
			case 2:
				got, err := read(e.Query(ctx, Request{Language: SQL, Text: fmt.Sprint("SELECT count(*) FROM json WHERE n >= ", i)}))
				if err != nil || got[0][0] != int64(5*(3000-i)) {
					return fmt.Errorf("%v, %w", got, err)
				}
			case 3:
				cancel()
				if _, err := read(e.Query(ctx, Request{Text: "stats count(*)"})); !errors.Is(err, context.Canceled) {
					return fmt.Errorf("cancelled: %w", err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLargeMessages: the messages of an answer are held in pieces.
func TestLargeMessages(t *testing.T) {
	var rows []fakeRow
	big := strings.Repeat("x", messageBytes/10)
	for i := range 50 {
		rows = append(rows, row(i, fmt.Sprint(i, " ", big), nil))
	}
	p := newPart(t, "p", "g", trailward.KindJSON, nil, rows)
	e, _ := newEngine(t, p)
	r, err := e.run(t.Context(), scanTask(Selection{}, []plan.FieldRef{ref("@ptr"), ref("@timestamp")}, "SELECT {0} FROM R! ORDER BY {1} DESC", nil, []Column{{Name: "m", Type: plan.Message}}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for r.Next() {
		if got, want := r.Values()[0].(string), p.rows[49-n].message; got != want {
			t.Fatalf("row %d = %.10s…, want %.10s…", n, got, want)
		}
		n++
	}
	if n != 50 || r.Err() != nil {
		t.Errorf("%d rows, %v", n, r.Err())
	}
}

// TestAnyNames: whatever a record's keys and a query's names are, the statement
// is good and finds a column under its own name.
func TestAnyNames(t *testing.T) {
	e, store := newEngine(t)
	key := rapid.OneOf(rapid.SampledFrom([]string{"a", "A", "b", "a.b", `a\b`, `"`, "'", "file_row_number", "file_index", "filename", "@x", "0", "", " ", "é", "É", "t", "c0", "p0", "a\x00", "--", "/*", "$1", "?"}), rapid.StringN(1, 5, 20))
	rapid.Check(t, func(rt *rapid.T) {
		paths := map[string][]string{}
		var fields []Field
		values := map[string]any{}
		for range rapid.IntRange(1, 6).Draw(rt, "columns") {
			keys := rapid.SliceOfN(key, 1, 3).Draw(rt, "keys")
			path := trailward.JoinPath(keys...)
			if _, ok := paths[path]; ok || path == "" || path[0] == '@' {
				continue
			}
			paths[path] = keys
			fields = append(fields, Field{Path: path, Type: rapid.SampledFrom([]plan.Type{plan.Text, plan.JSON}).Draw(rt, "type")})
			values[path] = "value of " + strings.ToValidUTF8(path, "")
		}
		p := newPart(t, "p", "g", trailward.KindJSON, fields, []fakeRow{row(0, "m", values)})
		store.parts = []Part{p}
		var refs []plan.FieldRef
		var want []any
		for path, keys := range paths {
			refs = append(refs, plan.FieldRef{Keys: keys})
			want = append(want, values[path])
		}
		for range 3 {
			refs = append(refs, plan.FieldRef{Keys: rapid.SliceOfN(key, 1, 4).Draw(rt, "other")})
		}
		var cols []string
		for i := range refs {
			cols = append(cols, "{"+itoa(i)+"}")
		}
		got, err := read(e.run(t.Context(), scanTask(Selection{}, refs, "SELECT "+strings.Join(cols, ",")+" FROM R!", nil, nil)))
		if err != nil || len(got) != 1 {
			rt.Fatalf("fields %+v, refs %q: %v, %v", fields, refs, got, err)
		}
		for i := range want {
			if got[0][i] != want[i] {
				rt.Fatalf("fields %+v: %q = %q, want %q", fields, refs[i], got[0][i], want[i])
			}
		}
	})
}
