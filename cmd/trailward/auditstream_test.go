package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"trailward/api"
)

// TestAuditListAgain: an API server sends a list again when its body broke off
// on the way, or when the answer did. Whatever was stored of it is stored once.
func TestAuditListAgain(t *testing.T) {
	server := liveServerAt(t, filepath.Join(t.TempDir(), "data"), api.Config{MaxLine: 8 << 10})
	const events = 6000 // in three pieces
	var items []string
	for i := range events {
		items = append(items, fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"%d","stage":"ResponseComplete","verb":"get","stageTimestamp":"2026-01-02T03:04:05.%06dZ","pad":"%s"}`, i, i, strings.Repeat("x", 1500)))
	}
	// What has no natural key is stored once, too.
	long := `{"auditID":"long","stage":"Panic","pad":"` + strings.Repeat("y", 10<<10) + `"}`
	items = append(items, "null", `{"auditID":"no key"}`, long)
	list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + strings.Join(items, ",") + `]}`
	const records = events + 2 + 2

	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	half := func(n int) string {
		t.Helper()
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/kubernetes/audit/g HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", u.Host, len(list), list[:n])
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	whole := func() (res api.IngestResult) {
		t.Helper()
		resp, err := http.Post(server+"/v1/kubernetes/audit/g", "application/json", strings.NewReader(list))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || json.Unmarshal(out, &res) != nil {
			t.Fatalf("POST = %d %s, %v", resp.StatusCode, out, err)
		}
		return res
	}
	for _, n := range []int{100, len(list) / 2, len(list) - 15000, len(list) - 1} {
		if answer := half(n); !strings.HasPrefix(answer, "HTTP/1.1 408") {
			t.Errorf("answer to %d of %d bytes = %.300s, want 408", n, len(list), answer)
		}
	}
	first := whole()
	if first.Records+first.Duplicates != records || first.Duplicates < events/2 || first.Conflicts != 0 {
		t.Errorf("the whole list after its beginnings = %+v, want %d records, most known", first, records)
	}
	second := whole()
	if second.Records != 0 || second.Duplicates != records {
		t.Errorf("the whole list again = %+v, want all %d known", second, records)
	}
	got := runReal(t, "query", "--server", server, "--group", "/g", "--output", "json", `stats count(*) as n, count_distinct(auditID) as ids by @kind | sort @kind`)
	want := fmt.Sprintf(`{"@kind":"k8s.audit","n":"%d","ids":"%d"}`, events, events)
	if !strings.Contains(got.out, want) || !strings.Contains(got.out, `{"@kind":"text","n":"4"`) {
		t.Errorf("what is stored = %d %s%s, want each event once: %s, and 4 texts", got.code, got.out, got.errors, want)
	}
}

// TestBesideRecords: what a header line or a wrapper says of every record is kept
// with every record, and counts when a batch is too large.
func TestBesideRecords(t *testing.T) {
	server := liveServer(t)
	post := func(body string) (int, string) {
		t.Helper()
		resp, err := http.Post(server+"/v1/ingest?group=g", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(out)
	}
	header := "version account-id interface-id srcaddr dstaddr start end action log-status"
	for i := range 8 {
		header += fmt.Sprintf(" field-%d-%s", i, strings.Repeat("x", 1000))
	}
	line := "\n9 1 eni-1 10.0.0.1 10.0.0.2 1700000000 1700000001 ACCEPT OK" + strings.Repeat(" -", 8)
	events := strings.TrimSuffix(strings.Repeat(`{"id":"1","timestamp":1700000000000,"message":"m"},`, 50_000), ",")
	wrapper := `{"messageType":"DATA_MESSAGE","owner":"` + strings.Repeat("1", 2000) + `","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[` + events + `]}`
	for name, body := range map[string]string{"header": header + strings.Repeat(line, 10_000), "wrapper": wrapper} {
		if status, out := post(body); status != 413 || !strings.Contains(out, "kept beside them") {
			t.Errorf("%s: POST of %d bytes = %d %s, want 413", name, len(body), status, out)
		}
	}
	for name, body := range map[string]string{
		"header":       header + strings.Repeat(line, 20),
		"a full batch": strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 10<<20)+"\n", 3), "\n"),
	} {
		if status, out := post(body); status != 200 {
			t.Errorf("%s: POST of %d bytes = %d %s, want 200", name, len(body), status, out)
		}
	}
}
