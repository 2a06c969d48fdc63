package lower_test

import (
	"strings"
	"testing"

	"trailward/query/lower"
)

// TestTrino holds what Trino gets. There is no Trino here to run it, so the
// text is compared.
func TestTrino(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{`filter a = 'x\'y' | stats count(*) as n by b | sort n desc | limit 5`, `WITH "t0" AS (SELECT "c0" AS "f1", "c1" AS "f2", "c2" AS "f3" FROM (SELECT * FROM "records") AS "r"),
"t1" AS (SELECT * FROM "t0" WHERE ("f3" = 'x''y')),
"t2" AS (SELECT "f2" AS "c4", count(*) AS "c5" FROM "t1" GROUP BY 1)
SELECT "c4" AS "o1", "c5" AS "o2" FROM "t2" ORDER BY "c5" DESC NULLS LAST, "c4" ASC NULLS FIRST LIMIT 5`},
		{"stats avg(a) by bin(5m)", `WITH "t0" AS (SELECT "c0" AS "f1", "c1" AS "f2" FROM (SELECT * FROM "records") AS "r"),
"t1" AS (SELECT *, TRY_CAST("f2" AS DOUBLE) AS "h4" FROM "t0"),
"t2" AS (SELECT date_add('millisecond', CAST(floor((date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00.000000', "f1") - 0) / 1e0 / 300000) AS BIGINT) * 300000 + 0, TIMESTAMP '1970-01-01 00:00:00.000000') AS "c3", CAST(avg(CASE "f2" WHEN 'true' THEN 1e0 WHEN 'false' THEN 0e0 ELSE CASE WHEN is_finite("h4") AND strpos("f2", '_') = 0 THEN "h4" END END) AS DOUBLE) AS "c5" FROM "t1" GROUP BY 1)
SELECT "c3" AS "o1", CASE WHEN is_finite("c5") THEN "c5" END AS "o2" FROM "t2" ORDER BY "c3" ASC NULLS FIRST LIMIT 10000`},
		{`parse @message "user=*" as u | fields u`, `WITH "t0" AS (SELECT "c0" AS "f1", "c1" AS "f2", "c2" AS "f3" FROM (SELECT * FROM "records") AS "r"),
"t1" AS (SELECT *, "f3" AS "h4" FROM "t0"),
"t2" AS (SELECT *, regexp_extract("f3", '(?s:user=(.*))', 1) AS "c5" FROM "t1")
SELECT "c5" AS "o1", "f2" AS "o2" FROM "t2" ORDER BY "f1" DESC NULLS LAST, "f2" ASC NULLS FIRST LIMIT 10000`},
	} {
		st, err := sqlOf(c.query, lower.Trino)
		if err != nil {
			t.Errorf("Lower(%s) = %v, want SQL", c.query, err)
		} else if st.SQL != c.want {
			t.Errorf("Lower(%s) = %s, want %s", c.query, st.SQL, c.want)
		}
	}
	if _, err := sqlOf("stats topk(3, a)", lower.Trino); err == nil || !strings.Contains(err.Error(), "cannot be said in Trino's SQL") {
		t.Errorf("Lower(topk) = %v, want an error that names Trino", err)
	}
}

// TestDialects holds that both dialects say what queries need, and that no
// template is left with an argument that it did not get.
func TestDialects(t *testing.T) {
	for _, q := range []string{"fields a", "stats pct(a, 5), values(b), latest(d), stddev(e) by bin(1mo)", "stats count(*) as n by bin(1h) as t, a | fillmissing with 0 for n", "lookup nets id as a OUTPUT x", "filter a in (SOURCE 'g' | fields a) | accum b | filldown b | tail 3",
		"join left=l right=r where l.a=r.a (SOURCE 'g' | stats count(*) as n by a) | sort r.n", "fields a, b | addtotals col=true | appendcols (SOURCE 'g' | fields c)", "fields a | sessionize b | outlier a", "parse @message 'a*b*' as x, y | filter x > y", "unnest a into b | sort b | dedup b",
		"fields concat(a, 1), substr(b, 1), trim(c), jsonParse(d).e[0], greatest(f, 2), if(a, 1, 'x')", "filter isIpInSubnet(a, '10.0.0.0/9') and b in [1, 'x']"} {
		for _, d := range []lower.Dialect{lower.DuckDB, lower.Trino, lower.Spark} {
			st, err := sqlOf(q, d)
			if err != nil {
				t.Errorf("Lower(%s, %s) = %v, want SQL", q, d.Name(), err)
				continue
			}
			if rest := bare(t, st.SQL, d == lower.Spark); strings.Contains(rest, "$") {
				t.Errorf("Lower(%s, %s) leaves a $ in %s", q, d.Name(), rest)
			}
		}
	}
}
