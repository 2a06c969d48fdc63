package lower_test

import (
	"errors"
	"testing"

	"trailward/query/plan"
)

func FuzzExec(f *testing.F) {
	db := openDB(f)
	db.Exec("set threads=1; set memory_limit='1GB'")
	for _, q := range []string{
		"fields a, b | filter a = 'x' and b > 3 | sort a desc | limit 5", "stats count(*) as n, pct(a, 95) by bin(5m), b | filter n > 3", "parse @message \"a=* b=*\" as x, y | dedup x",
		"parse a /(?<x>\\d+)/ | stats avg(x)", "fields jsonParse(@message) as j | unnest j.a into t | display t.b", "filter isIpInSubnet(a, '10.0.0.0/8') or a in [1, 'b'] and not c like /x/",
		"fields case(a=1,'x',b=2,3,c) as k, `odd.name`, a.b[0] | display toupper(k)", "SOURCE 'g' | fields datefloor(@timestamp, 1mo) | head 3", "stats latest(a), values(b), topk(3, c) by concat(a, 1)",
		"fields greatest(a,1), least(b), abs(n), round(n,2), substr(a,1,2), hexToDec(a), decToHex(n), trim(a,'x'), fromMillis(n), if(a,b,n), split(a,b)[0], jsonArraySize(l), jsonArrayContains(l,1)",
		"parse a logfmt as m | display m.x, isempty(m)", "parse a csv as x, y", "expand l", "stats min(a), max(n), sortsFirst(a), earliest(n), stddev(n), count_distinct(l) by dateceil(@timestamp, 1q)",
		"filter a < b or n >= a or l != a or @timestamp > n or strlen(a) = b", "fields isValidIpV6(a), ipv4ToNumber(b), isPublicIP(a), parseDate(a, 'yyyy'), formatDate(@timestamp,'%Y'), n ^ 2 % 3 / 0, -a",
	} {
		f.Add(q)
	}
	recs := []record{
		{time: now, message: `{"a":1}`, doc: map[string]any{"a": "x=1 b=2", "b": "3", "n": "7", "l": []any{"x", "2"}, "o": map[string]any{"k": "v"}, "c": "1e400"}},
		{time: now.Add(-1e9), message: `text`, doc: map[string]any{"a": "10.0.0.1", "b": "fd00::1", "n": "-9", "l": "[", "c": "é\x00"}},
	}
	f.Fuzz(func(t *testing.T, q string) {
		_, _, err := run(db, q, recs, len(q)%2 == 0)
		var pe *plan.Error
		if err != nil && !errors.As(err, &pe) {
			t.Fatal(q, err)
		}
	})
}
