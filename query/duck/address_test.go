package duck

import (
	"reflect"
	"testing"
)

func TestAddressFunction(t *testing.T) {
	p := testPool(t, Config{Concurrency: 1, Threads: 1})
	s := acquire(t, p, 0)
	for _, c := range []struct {
		sql  string
		want [][]any
	}{
		{"SELECT trailward_address(0), trailward_address(4294967295), trailward_address(NULL), trailward_address(167772161), trailward_address((192::BIGINT << 24) + (168 << 16) + (100 << 8) + 9)",
			[][]any{{"0.0.0.0", "255.255.255.255", nil, "10.0.0.1", "192.168.100.9"}}},
		// Every octet in every place, with missing ones between, against SQL's own way to write a number.
		{`SELECT count(*) AS n, count(t) AS some FROM (SELECT i, trailward_address(CASE WHEN i % 7 <> 0 THEN x END) AS t,
			CASE WHEN i % 7 <> 0 THEN (x >> 24) || '.' || ((x >> 16) & 255) || '.' || ((x >> 8) & 255) || '.' || (x & 255) END AS want
			FROM (SELECT i, (i * 2654435761) & 4294967295 AS x FROM range(100000) r(i))) WHERE t IS NOT DISTINCT FROM want`, [][]any{{int64(100000), int64(85714)}}},
		{"SELECT trailward_address(i) AS a, count(*) AS n FROM (SELECT 3232235777 + i // 2 AS i FROM range(4) r(i)) GROUP BY a ORDER BY a", [][]any{{"192.168.1.1", int64(2)}, {"192.168.1.2", int64(2)}}},
	} {
		got, err := all(t.Context(), s, c.sql)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v, %v, want %v", c.sql, got, err, c.want)
		}
	}
}
