package lower

import (
	"testing"

	"trailward/query/pattern"
)

func TestUnusual(t *testing.T) {
	day := span{0, 23}
	even := func(n int64) map[int64]int64 {
		m := map[int64]int64{}
		for i := int64(0); i < 24; i++ {
			m[i] = n
		}
		return m
	}
	with := func(m map[int64]int64, at, n int64) map[int64]int64 {
		m[at] = n
		return m
	}
	for _, c := range []struct {
		name  string
		times map[int64]int64
		over  span
		want  string
	}{
		{"always the same", even(10), day, ""},
		{"nothing known", nil, day, ""},
		{"too short a time", map[int64]int64{2: 5}, span{0, 2}, ""},
		{"once in a while", map[int64]int64{1: 1, 9: 1, 20: 1}, day, ""},
		{"a spike", with(even(10), 5, 100), day, "Pattern Frequency"},
		{"a spike out of nothing", map[int64]int64{3: 40}, day, "Pattern Frequency"},
		{"new", map[int64]int64{20: 3, 22: 4}, day, "New Pattern"},
		{"a little more", with(even(100), 5, 120), day, ""},
	} {
		got := unusual(pattern.Pattern{Times: c.times}, c.over)
		if got.kind != c.want || got.score < 0 || got.score > 1 {
			t.Errorf("%s: unusual = %+v, want %q", c.name, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		count, prev int64
		want        string
	}{
		{5, 0, "new: it was not there before"}, {0, 5, "gone: it was there before"}, {5, 5, "as often as before"}, {6, 4, "50 % more often than before"}, {1, 4, "75 % less often than before"}, {10001, 10000, "1 % more often than before"},
	} {
		if got := describe(pattern.Pattern{Count: c.count, Prev: c.prev}); got != c.want {
			t.Errorf("describe(%d, %d) = %q, want %q", c.count, c.prev, got, c.want)
		}
	}
}
