package match

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"trailward"
	"trailward/internal/sampletest"
)

// TestRealData: a pattern made of a value in a real record, at its path, matches
// the record, and the opposite does not.
func TestRealData(t *testing.T) {
	root := sampletest.Dir(t)
	records, patterns := 0, 0
	for _, dir := range []string{"k8s-audit", "cloudtrail", "dns", "other"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.Contains(e.Name(), ".json") && !strings.HasSuffix(e.Name(), ".log") {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			in := bufio.NewScanner(f)
			in.Buffer(nil, 1<<20)
			for n := 0; n < 200 && in.Scan(); n++ {
				raw := in.Bytes()
				if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) || !utf8.Valid(raw) {
					continue
				}
				records++
				dec := json.NewDecoder(bytes.NewReader(raw))
				dec.UseNumber()
				ls := leaves(dec, nil)
				for i := n % 7; i < len(ls); i += 7 {
					is, not, ok := patternsOf(ls[i])
					if !ok {
						continue
					}
					patterns++
					if p, err := Compile(is); err != nil || !p.Match(raw, trailward.KindJSON) {
						t.Errorf("%s: %s does not match %s (%v)", path, is, raw, err)
					}
					if p, err := Compile(not); err != nil || p.Match(raw, trailward.KindJSON) {
						t.Errorf("%s: %s matches %s (%v)", path, not, raw, err)
					}
				}
			}
			return nil // a line that is too long ends a file early
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if records < 100 || patterns < 1000 {
		t.Errorf("%d records and %d patterns were tried: the data is not where it was", records, patterns)
	}
}

// patternsOf makes a pattern that is true of the leaf and one that is false.
func patternsOf(l leaf) (is, not string, ok bool) {
	sel := "$"
	for _, step := range l.path {
		switch s := step.(type) {
		case int:
			sel += fmt.Sprintf("[%d]", s)
		case string:
			if strings.Contains(s, "']") {
				return "", "", false
			}
			sel += ".['" + s + "']"
		}
	}
	cond, opposite := "", "NOT EXISTS"
	switch {
	case len(l.path) == 0:
		return "", "", false
	case l.raw == "": // an array or object
		return "{ " + sel + ` = * || ` + sel + " NOT EXISTS || $.['no such key'] NOT EXISTS }", "{ " + sel + " = * }", true
	case l.raw == "null":
		cond = "IS NULL"
	case l.raw == "true" || l.raw == "false":
		cond = "IS " + strings.ToUpper(l.raw)
	case l.raw[0] == 's':
		text := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(l.raw[1:])
		cond, opposite = `= "`+text+`"`, `!= "`+text+`"`
	default:
		cond, opposite = "= "+l.raw, "> "+l.raw
	}
	is, not = "{ "+sel+" "+cond+" }", "{ "+sel+" "+opposite+" }"
	return is, not, utf8.RuneCountInString(not) <= MaxLength
}
