package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What lookup-events prints becomes CloudTrail events, each stored once, also beside the same
// event out of a bucket.
func TestLookupEvents(t *testing.T) {
	k := newOwner(t)
	dir := t.TempDir()
	event := `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"ann"},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","eventID":"11111111-2222-3333-4444-555555555555","eventType":"AwsApiCall","recipientAccountId":"123456789012"}`
	page := "{\n    \"Events\": [\n        {\n            \"EventId\": \"11111111-2222-3333-4444-555555555555\",\n            \"EventName\": \"GetObject\",\n            \"EventTime\": \"2026-01-02T03:04:05+00:00\",\n            \"Username\": \"ann\",\n            \"Resources\": [],\n" +
		"            \"CloudTrailEvent\": \"" + strings.ReplaceAll(event, `"`, `\"`) + "\"\n        }\n    ]\n}\n"
	put(t, filepath.Join(dir, "page.json"), page)
	put(t, filepath.Join(dir, "bucket.json"), `{"Records":[`+event+`]}`)
	sum, _ := k.load(filepath.Join(dir, "page.json"))
	if sum.Records != 1 || sum.Kinds["aws.cloudtrail"] != 1 || len(sum.Damaged) != 0 {
		t.Errorf("the page gave %+v, want one CloudTrail event", sum)
	}
	sum, _ = k.load(filepath.Join(dir, "bucket.json"))
	if sum.Records != 0 || sum.Duplicates != 1 {
		t.Errorf("the same event out of a bucket gave %+v, want a duplicate", sum)
	}
	if got := k.good("", "cat", "--group", "/g"); got != event+"\n" {
		t.Errorf("cat gave %s, want the event", got)
	}
}

// A file that is not there leaves no store behind.
func TestIngestOfNothing(t *testing.T) {
	k := newOwner(t)
	there := filepath.Join(t.TempDir(), "there")
	put(t, there, "x\n")
	code, _, errs := k.run("", "ingest", "--group", "/g", there, there+"-not")
	if code == exitGood || !strings.Contains(errs, "there-not") {
		t.Errorf("ingest of a file that is not there: status %d, %s", code, errs)
	}
	if _, err := os.Stat(k.dir); !os.IsNotExist(err) {
		t.Errorf("the data directory after that: %v, want none", err)
	}
}
