package duck

import (
	"reflect"
	"strings"
	"testing"
)

func TestTextFunctions(t *testing.T) {
	calls := 0
	p := testPool(t, Config{Concurrency: 1, Threads: 1, Functions: []TextFunction{
		{Name: "twice", Args: 1, Call: func(dst []byte, args []string) ([]byte, bool) {
			calls++
			return append(append(dst, args[0]...), args[0]...), args[0] != "gone"
		}},
		{Name: "glue", Args: 3, Call: func(dst []byte, args []string) ([]byte, bool) { return append(dst, strings.Join(args, "+")...), true }},
		{Name: "broken", Args: 1, Call: func([]byte, []string) ([]byte, bool) { panic("secret") }},
	}})
	s := acquire(t, p, 0)
	for _, c := range []struct {
		sql  string
		want [][]any
	}{
		{"SELECT twice('ab'), twice(''), twice(NULL), twice('gone'), twice('a text of more than twelve bytes, é')", [][]any{{"abab", "", nil, nil, "a text of more than twelve bytes, éa text of more than twelve bytes, é"}}},
		{"SELECT glue(a, b, 'c') FROM (VALUES ('x', 'y'), ('z', NULL)) v(a, b)", [][]any{{"x+y+c"}, {nil}}},
		{"SELECT count(*) AS n, count(DISTINCT t) AS d, max(length(t)) AS l FROM (SELECT twice(CASE WHEN i % 3 = 0 THEN NULL ELSE CAST(i AS VARCHAR) END) AS t FROM range(10000) r(i))", [][]any{{int64(10000), int64(6666), int64(8)}}},
	} {
		got, err := all(t.Context(), s, c.sql)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v, %v, want %v", c.sql, got, err, c.want)
		}
	}
	calls = 0
	if _, err := all(t.Context(), s, "SELECT count(twice(x)) FROM (SELECT 'same' || (i // 5000) AS x FROM range(10000) r(i))"); err != nil || calls > 20 {
		t.Errorf("equal texts took %d calls, %v, want few", calls, err)
	}
	if _, err := all(t.Context(), s, "SELECT broken('x')"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a function that panics gave %v, want an error on one line", err)
	}
}
