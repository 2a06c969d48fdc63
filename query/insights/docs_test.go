package insights

import (
	"os"
	"strings"
	"testing"

	"trailward/query/plan"
)

// TestDocs holds docs/insights.md against the language: its examples compile, and
// every command, function and exception is on it.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/insights.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	examples := strings.Split(page, "```insights\n")[1:]
	for _, e := range examples {
		text, _, ok := strings.Cut(e, "```")
		if !ok {
			t.Fatal("an example does not end")
		}
		if _, err := Compile(text, options); err != nil {
			t.Errorf("Compile(%s) = %v, want a plan", text, err)
		}
	}
	if len(examples) < 5 {
		t.Errorf("the page has %d examples, want several", len(examples))
	}
	words := append([]string{}, commands...)
	words = append(append(words, plan.Names(plan.Funcs)...), plan.Names(plan.Aggregates)...)
	for id := range unsupported {
		words = append(words, id)
	}
	for _, w := range words {
		if !strings.Contains(page, "`"+w+"`") && !strings.Contains(page, "`"+w+" ") {
			t.Errorf("docs/insights.md does not mention %s", w)
		}
	}
}
