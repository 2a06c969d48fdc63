package insights

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trailward/internal/sampletest"
)

// unsupported are the published queries that do not compile, each with the
// true reason.
var unsupported = map[string]string{
	"ins-55ab4aedea": "sort and limit before stats, which AWS documents as an error",
	"ins-db0d92a27c": "sort before stats, which AWS documents as an error",
	"ins-1ec258a92c": "broken text: HitCountby, interfaceId*=",
}

func TestPublishedQueries(t *testing.T) {
	f, err := os.Open(filepath.Join(sampletest.Dir(t), "queries", "insights-queries.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	n := 0
	for sc.Scan() {
		var q struct{ ID, Query string }
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			t.Fatal(err)
		}
		n++
		var err error
		for _, p := range Split(q.Query) {
			if _, perr := Compile(p.Text, Options{Now: time.Unix(1767225600, 0)}); perr != nil {
				err = perr
			}
		}
		_, known := unsupported[q.ID]
		switch {
		case err != nil && !known:
			t.Errorf("Compile(%s) = %v, want a plan\n%s", q.ID, err, q.Query)
		case err == nil && known:
			t.Errorf("Compile(%s) gives a plan, want it off the list of exceptions", q.ID)
		}
	}
	if err := sc.Err(); err != nil || n == 0 {
		t.Fatalf("read %d queries: %v", n, err)
	}
}
