package query

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestHeldInSQL asks for records by a text in them, in every form that is looked
// for in the segments, and compares the answers with those of an engine that looks
// at each record by itself. No part finds the rows by itself: they are too many.
func TestHeldInSQL(t *testing.T) {
	var lines []string
	for i := range 6000 {
		lines = append(lines, fmt.Sprintf(`{"i":%d,"word":"%s","who":{"n":%d.50,"none":null}}`, i, []string{"alpha", "Beta", "gamma%x", "de_lta", "é", "ab"}[i%6], i%100))
	}
	e, whole := storeEngines(t, realStore(t, map[string][]string{"/g/1": lines, "/g/2": {"text alpha \xff", "beta"}}))
	for _, cond := range []string{
		`"@message" LIKE '%alpha%'`, `"@message" NOT LIKE '%alpha%'`, `"@message" LIKE '%a%'`, `"@message" LIKE '%gamma%x%'`, `"@message" LIKE '%alp_a%'`, `"@message" LIKE '%"i":1%alpha%'`,
		`"@message" LIKE '{"i":1%'`, `"@message" LIKE '%null}}'`, `"@message" NOT LIKE '%alp_a%'`, `"@message" LIKE '%'`, `"@message" LIKE ''`, `"@message" LIKE '_%alpha'`, `"@message" LIKE '%é%'`,
		`strpos("@message", 'alpha') > 0`, `strpos("@message", 'alpha') = 0`, `0 < strpos("@message", 'alpha')`, `strpos("@message", 'alpha') >= 1`, `strpos("@message", 'alpha') <> 0`,
		`strpos("@message", 'alpha') < 1`, `strpos("@message", 'alpha') > 1`, `strpos("@message", '') > 0`, `position('Beta' IN "@message") > 0`, `1 > strpos("@message", 'alpha')`,
		`regexp_like("@message", 'alpha')`, `regexp_like("@message", 'alp.a')`, `regexp_like("@message", '(?i)ALPHA')`, `NOT regexp_like("@message", '(?i)beta')`, `regexp_like("@message", 'a|b')`,
		`regexp_like("@message", '"i":[0-9]*7,.*Beta')`,
		`"@message" LIKE '%alpha%' AND "@message" LIKE '%"i":6%'`, `"@message" LIKE '%alpha%' OR i < 20`, `NOT ("@message" LIKE '%alpha%' OR regexp_like("@message", 'Bet.'))`,
		`"@message" LIKE '%alpha%' IS NOT NULL`, `CASE WHEN "@message" LIKE '%alpha%' THEN i < 100 ELSE length("@message") > 50 END`, `length("@message") > 50 AND "@message" LIKE '%Beta%'`,
		`"@message" LIKE '%Beta%' AND who LIKE '%99.50%'`, `regexp_like("@message", 'B.ta') AND who LIKE '%99.50%'`, `if("@message" LIKE '%Beta%', 1, 2) = 1`,
	} {
		for _, text := range []string{
			`SELECT count(*) FROM json WHERE ` + cond,
			`SELECT i, "@message" FROM json WHERE ` + cond + ` ORDER BY i LIMIT 7`,
			`SELECT max("@message"), sum(i) FROM json WHERE ` + cond,
			`SELECT ` + cond + `, count(*) FROM json GROUP BY 1 ORDER BY 2`,
			`SELECT count(*) FROM (SELECT "@message", i, who FROM json) WHERE ` + cond,
			`WITH t AS (SELECT * FROM json WHERE ` + cond + `) SELECT count(*) FROM t`,
			`SELECT count(*) FROM json GROUP BY i HAVING count_if(` + cond + `) > 0 ORDER BY 1 LIMIT 3`,
			`SELECT count(*) FROM logs WHERE "@kind" = 'text' OR ` + cond,
			`SELECT count(*), count(b.i) FROM (VALUES 1, 2, 3, 9999) AS a(n) LEFT JOIN (SELECT i FROM json WHERE ` + cond + `) AS b ON a.n = b.i`,
		} {
			got, stats, err := answerOf(t.Context(), e, Request{Language: SQL, Text: text})
			want, wantStats, wantErr := answerOf(t.Context(), whole, Request{Language: SQL, Text: text})
			if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) || stats.RecordsMatched != wantStats.RecordsMatched && strings.HasPrefix(text, "SELECT count(*) FROM json WHERE") {
				t.Errorf("%s\n= %.300q, %d matched, %v\nwant %.300q, %d matched, %v", text, got, stats.RecordsMatched, err, want, wantStats.RecordsMatched, wantErr)
			}
		}
	}
	// Joins, where the record of one side may be missing.
	for _, text := range []string{
		`SELECT count(*), count(b.i) FROM json a LEFT JOIN json b ON a.i = b.i + 5990 WHERE b."@message" LIKE '%alpha%' OR b.i IS NULL`,
		`SELECT count(*) FROM json a LEFT JOIN json b ON a.i = b.i + 5990 WHERE NOT b."@message" LIKE '%alpha%'`,
		`SELECT count(*) FROM json a LEFT JOIN json b ON a.i = b.i + 5990 AND b."@message" LIKE '%alpha%' WHERE a."@message" LIKE '%Beta%' AND b.i IS NULL`,
		`SELECT count(*) FROM json a JOIN json b ON a.i = b.i WHERE a."@message" LIKE '%alpha%' AND regexp_like(b."@message", 'al.*ha')`,
		`SELECT count(*) FROM json WHERE i IN (SELECT i FROM json WHERE regexp_like("@message", 'al.ha'))`,
		`SELECT count(*) FROM json a WHERE EXISTS (SELECT 1 FROM json b WHERE b.i = a.i AND b."@message" LIKE '%alpha%' AND a."@message" LIKE '%"i":1%')`,
	} {
		got, _, err := answerOf(t.Context(), e, Request{Language: SQL, Text: text})
		want, _, wantErr := answerOf(t.Context(), whole, Request{Language: SQL, Text: text})
		if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n= %q, %v\nwant %q, %v", text, got, err, want, wantErr)
		}
	}
}
