package lower_test

import (
	"fmt"
	"testing"
	"time"

	"trailward/query/insights"
	"trailward/query/lower"
	"trailward/query/plan"
)

func TestPerf(t *testing.T) {
	db := openDB(t)
	if _, err := db.Exec(`create table r as select timestamp '2026-01-01' + to_milliseconds(i*100) as ts, (i//100)::varchar||'-'||md5(i::varchar) as id, 'user'||(hash(i)%400) as u, '10.0.'||(hash(i*7)%250)||'.'||(hash(i*3)%70) as ip,
 case when i%50=0 then '403' else '200' end as status, i as ptr, (hash(i*9)%100000)::varchar as bytes, 'the quick brown fox '||md5(i::varchar)||' jumps over pod-'||(i%1000) as msg from range(500000) t(i)`); err != nil {
		t.Fatal(err)
	}
	names := map[string]plan.Column{"@timestamp": {Name: "ts", Type: plan.Time}, "@ptr": {Name: "ptr", Type: plan.Pointer}, "id": {Name: "id", Type: plan.Text}, "u": {Name: "u", Type: plan.Text}, "ip": {Name: "ip", Type: plan.Text}, "status": {Name: "status", Type: plan.Text}, "bytes": {Name: "bytes", Type: plan.Text}, "@message": {Name: "msg", Type: plan.Text}}
	open := func(f []plan.FieldRef) (plan.Relation, error) {
		rel := plan.Relation{SQL: "(select * from r)", Columns: map[string]plan.Column{}}
		for _, x := range f {
			rel.Columns[x.Key()] = names[x.Key()]
		}
		return rel, nil
	}
	for _, q := range []string{
		"filter id = '5-e4da3b7fbbce2345d7772b0674a318d5' | fields @timestamp, u",
		"stats count(*) as c by u | sort c desc | limit 20", "stats count_distinct(ip) as c by u | sort c desc | limit 10", "filter @message like 'pod-42' | fields @timestamp, u | limit 100",
		"filter status >= 400 | stats count(*) by u", "filter status = 403 | stats count(*) by u", "filter status = '403' | stats count(*) by u", "stats count(*) by bin(5m)", "stats sum(bytes) as b by ip | sort b desc | limit 10",
		"stats max(bytes), min(bytes) by u", "filter isIpInSubnet(ip, '10.0.5.0/24') | stats count(*)", "parse @message 'pod-*' as pod | stats count(*) by pod | limit 10", "parse @message /fox (?<x>[0-9a-f]{4})/ | stats count(*) as n by x | sort n desc | limit 10",
		"fields id | sort id desc | limit 10", "dedup u", "stats pct(bytes, 99) by u", "stats latest(status) by u", "fields u | sort bytes desc | limit 20",
	} {
		p, err := insights.Compile(q, insights.Options{})
		if err != nil {
			t.Fatal(err)
		}
		st, err := lower.Lower(p, open, lower.DuckDB)
		if err != nil {
			t.Fatal(err)
		}
		best := time.Hour
		n := 0
		for range 4 {
			at := time.Now()
			rows, err := db.Query(st.SQL)
			if err != nil {
				t.Fatal(err, st.SQL)
			}
			n = 0
			for rows.Next() {
				n++
			}
			rows.Close()
			best = min(best, time.Since(at))
		}
		fmt.Println(best.Round(100*time.Microsecond), n, q)
	}
}
