package query

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestDirectAnswers asks random questions whose answers may be made without the
// engine, and compares them with the engine's over all records: rows, columns,
// order and how many records matched.
func TestDirectAnswers(t *testing.T) {
	rounds := 250
	if testing.Short() {
		rounds = 80
	}
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s := mixedStore(t, rnd)
		e, whole := storeEngines(t, s)
		asked := int64(0)
		for range rounds {
			field := func() string {
				return pick(rnd, "eventName", "sourceIPAddress", "eventID", "userIdentity.arn", "errorCode", "readOnly", "n", "s", "ip", "who.name", "who", "userIdentity", "list", "list.0", "dstPort", "srcAddr", "bytes", "@message", "@log", "@kind", "@timestamp", "@logStream", "nosuch")
			}
			text := "filter " + randomInsights(rnd, 1)
			if rnd.IntN(3) == 0 {
				text += " | filter ispresent(" + field() + ") or " + randomInsights(rnd, 0)
			}
			shown := fmt.Sprintf(" | fields %s, %s as x, %s", field(), field(), field())
			sort := ""
			if rnd.IntN(2) == 0 {
				sort = fmt.Sprintf(" | sort %s %s, %s", pick(rnd, "x", "@timestamp", "n", "eventID", "bytes"), pick(rnd, "asc", "desc"), pick(rnd, "@timestamp desc", "@timestamp"))
			}
			limit := " | limit " + pick(rnd, "1", "3", "1000")
			if rnd.IntN(4) == 0 {
				text += limit + shown + sort // the newest ones, and of these
			} else {
				text += shown + sort + limit
			}
			req := Request{Text: text}
			if rnd.IntN(4) == 0 {
				req.Start = epoch.AddDate(0, 0, rnd.IntN(20))
				req.End = req.Start.AddDate(0, 0, rnd.IntN(20))
			}
			before := e.direct.Load()
			got, stats, err := answerColumns(t, e, req)
			want, wantStats, wantErr := answerColumns(t, whole, req)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: %s (direct: %v)\n= %q, %v\nwant %q, %v", seed, text, e.direct.Load() > before, got, err, want, wantErr)
			}
			if stats.RecordsMatched != wantStats.RecordsMatched {
				t.Errorf("seed %d: %s: %d records matched, want %d", seed, text, stats.RecordsMatched, wantStats.RecordsMatched)
			}
			asked++
		}
		if n := e.direct.Load(); n < asked/8 {
			t.Errorf("seed %d: %d of %d questions were answered directly: the test does not test it", seed, n, asked)
		}
		if whole.direct.Load() > 0 {
			t.Error("the engine to compare with answered directly")
		}
	}
}

// answerColumns is the whole answer, with what its columns are.
func answerColumns(t *testing.T, e *Engine, req Request) ([][]any, Stats, error) {
	t.Helper()
	r, err := e.Query(t.Context(), req)
	if err != nil {
		return nil, Stats{}, err
	}
	var out [][]any
	for _, c := range r.Columns() {
		out = append(out, []any{c.Name, c.Type, c.Hidden})
	}
	rows, err := read(r, nil)
	return append(out, rows...), r.Stats(), err
}

// TestFoldedText asks for texts in any case, which are searched for in all the
// ways to write them.
func TestFoldedText(t *testing.T) {
	var lines []string
	for i, word := range []string{"error", "Error", "ERROR", "eRRor", "terror", "err", "task ſk1", "task SK1", "tasK sK1", "", "é error"} {
		lines = append(lines, fmt.Sprintf(`{"i":%d,"text":%q,"n":%d}`, i, word, i), fmt.Sprintf("line %d %s", i, word))
	}
	e, whole := storeEngines(t, realStore(t, map[string][]string{"/g/1": lines}))
	for _, cond := range []string{"/(?i)error/", "/(?i)sk1/", "/(?i)TASK .k1/", "/(?i)nothing/", "/(?i)err.r|ask/", "/(?i)line 1 err/"} {
		for _, text := range []string{
			"filter @message like " + cond + " | stats count(*) as n by @kind | sort @kind",
			"filter not (@message like " + cond + ") | fields @message | sort @message | limit 100",
			"filter @message like " + cond + " and @message like 'e' | fields @message | sort @message | limit 100",
		} {
			got, stats, err := answerColumns(t, e, Request{Text: text})
			want, wantStats, wantErr := answerColumns(t, whole, Request{Text: text})
			if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) || stats.RecordsMatched != wantStats.RecordsMatched {
				t.Errorf("%s\n= %q, %d matched, %v\nwant %q, %d matched, %v", text, got, stats.RecordsMatched, err, want, wantStats.RecordsMatched, wantErr)
			}
		}
	}
}
