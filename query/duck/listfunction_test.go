package duck

import (
	"reflect"
	"strings"
	"testing"
)

func TestListFunctions(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1, Threads: 1, Lists: []ListFunction{
		{Name: "words", Call: func(text string, add func([]byte, bool)) bool {
			for w := range strings.SplitSeq(text, " ") {
				add([]byte(w), w != "none")
			}
			return text != "no list"
		}},
		{Name: "many", Call: func(_ string, add func([]byte, bool)) bool {
			for range maxElements + 9 {
				add(nil, true)
			}
			return true
		}},
		{Name: "broken", Call: func(string, func([]byte, bool)) bool { panic("secret") }},
	}})
	s := acquire(t, p, 0)
	for _, c := range []struct {
		sql  string
		want [][]any
	}{
		{"SELECT words('a bb none'), words(NULL), words('no list'), words('')", [][]any{{[]any{"a", "bb", nil}, nil, nil, []any{""}}}},
		{"SELECT words(x) FROM (VALUES ('no list'), ('a text of more than twelve bytes'), (NULL), ('é é')) AS v(x)",
			[][]any{{nil}, {[]any{"a", "text", "of", "more", "than", "twelve", "bytes"}}, {nil}, {[]any{"é", "é"}}}},
		{"SELECT count(*), CAST(sum(len(words(x))) AS BIGINT), count(DISTINCT w) FROM (SELECT x, unnest(words(x)) AS w FROM (SELECT i || ' ' || (i + 1) || ' wordoftwelveandmore' AS x FROM range(10000) AS r(i)))",
			[][]any{{int64(30000), int64(90000), int64(10002)}}},
	} {
		got, err := all(t.Context(), s, c.sql)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v, %v, want %v", c.sql, got, err, c.want)
		}
	}
	if _, err := all(t.Context(), s, "SELECT len(many('x'))"); err == nil || !strings.Contains(err.Error(), "the limit") {
		t.Errorf("a list of too many elements gave %v, want an error", err)
	}
	if _, err := all(t.Context(), s, "SELECT broken('x')"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a function that panics gave %v, want an error on one line", err)
	}
}
