package athena

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trailward"
)

// fieldsOf gives a record's fields as a segment has them: each member under its
// path, an object or array also as its JSON text.
func fieldsOf(t *testing.T, into record, path string, raw json.RawMessage) {
	t.Helper()
	sub := func(k string) string {
		if path == "" {
			return k
		}
		return path + "." + k
	}
	text := string(raw)
	switch {
	case text == "null":
	case text[0] == '{':
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		for k, v := range m {
			fieldsOf(t, into, sub(k), v)
		}
		into[path] = text
	case text[0] == '[':
		var l []json.RawMessage
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatal(err)
		}
		for i, v := range l {
			fieldsOf(t, into, sub(strconv.Itoa(i)), v)
		}
		into[path] = text
	case text[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		into[path] = s
	default:
		if n, err := strconv.Atoi(text); err == nil {
			into[path] = n
		} else {
			into[path] = text
		}
	}
}

// TestAnswers holds the rows of published queries against those of an
// independent computation.
func TestAnswers(t *testing.T) {
	b, err := os.ReadFile("testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, p := range publishedQueries(t) {
		queries[p.ID] = p.Query
	}
	opts := options(t)
	data := map[trailward.Kind][]record{}
	var kind trailward.Kind
	cases := 0
	for part := range strings.SplitSeq(string(b), "\n--- ") {
		head, body, _ := strings.Cut(part, "\n")
		lines := strings.FieldsFunc(body, func(r rune) bool { return r == '\n' })
		if strings.HasPrefix(head, "#") {
			continue
		}
		if k, ok := strings.CutPrefix(head, "records "); ok {
			kind = trailward.Kind(k)
			for _, l := range lines {
				r := record{}
				fieldsOf(t, r, "", json.RawMessage(l))
				delete(r, "")
				for i, name := range []string{"account_id", "interface_id", "log_status"} { // as flow logs spell them
					if v, ok := r[name]; ok {
						r[[]string{"account-id", "interface-id", "log-status"}[i]] = v
					}
				}
				if s, ok := r["eventTime"].(string); ok {
					at, err := time.Parse(time.RFC3339, s)
					if err != nil {
						t.Fatal(err)
					}
					r["@timestamp"] = at
				} else if n, ok := r["start"].(int); ok {
					r["@timestamp"] = time.Unix(int64(n), 0).UTC()
				}
				data[kind] = append(data[kind], r)
			}
			continue
		}
		words := strings.Split(head, " ")
		text := queries[words[0]]
		if text == "" {
			t.Errorf("no published query has the id %s", words[0])
			continue
		}
		for _, w := range words[1:] {
			from, to, _ := strings.Cut(w, "=")
			switch from {
			case "year", "month", "day":
				text = regexp.MustCompile(`\b`+from+`\s*=\s*'#+'`).ReplaceAllString(text, from+" = '"+to+"'")
			default:
				text = strings.ReplaceAll(text, from, to)
			}
		}
		_, rows, err := run(t, text, opts, data)
		if err != nil {
			t.Errorf("%s: %v", head, err)
			continue
		}
		var got []string
		for _, r := range rows {
			got = append(got, strings.Join(r, "\t"))
		}
		slices.Sort(got)
		slices.Sort(lines)
		if !slices.Equal(got, lines) {
			t.Errorf("%s:\n%s\ngives\n%s\nwant\n%s", head, text, strings.Join(got, "\n"), strings.Join(lines, "\n"))
		}
		cases++
	}
	if cases < 35 {
		t.Errorf("%d queries, want the whole table", cases)
	}
}
