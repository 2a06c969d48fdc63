package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestMetricsAreDocumented: every metric of ours is in docs/operations.md.
func TestMetricsAreDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	url := liveServer(t)
	// Those with labels show once they have counted something.
	send(t, url, "group=/g", "x\n")
	for _, path := range []string{"/v1/query", "/v1/sql"} {
		resp, err := http.Post(url+path, "application/json", strings.NewReader(`{"query":"fields @message"}`))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		name, ok := strings.CutPrefix(line, "# TYPE ")
		if name, _, _ = strings.Cut(name, " "); !ok || !strings.HasPrefix(name, "trailward_") {
			continue
		}
		n++
		if !strings.Contains(string(docs), "`"+name) {
			t.Errorf("docs/operations.md does not have %s", name)
		}
	}
	if n < 30 {
		t.Errorf("/metrics shows %d metrics of ours: this test cannot read it any more", n)
	}
}
