package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trailward/api"
)

// load loads files and returns the summary and what was said.
func (k *owner) load(paths ...string) (api.IngestResult, string) {
	k.t.Helper()
	code, out, errs := k.run("", append([]string{"ingest", "--output", "json", "--group", "/g"}, paths...)...)
	if code != exitGood {
		k.t.Fatalf("ingest %v: status %d: %s%s", paths, code, out, errs)
	}
	var sum api.IngestResult
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		k.t.Fatalf("ingest %v wrote %q: %v", paths, out, err)
	}
	return sum, errs
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// numbered is n lines from first on, each of them once in the world.
func numbered(what string, first, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s line %d of a log without keys\n", what, first+i)
	}
	return b.String()
}

// held counts the lines that a group has.
func (k *owner) held() map[string]int {
	k.t.Helper()
	count := map[string]int{}
	for line := range strings.Lines(k.good("", "cat", "--group", "/g")) {
		count[strings.TrimSuffix(line, "\n")]++
	}
	return count
}

func once(contents ...string) map[string]int {
	count := map[string]int{}
	for _, c := range contents {
		for line := range strings.Lines(c) {
			count[strings.TrimSuffix(line, "\n")]++
		}
	}
	return count
}

func packed(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

// TestLoadAgain: a file is loaded, changed as files change, and loaded again.
func TestLoadAgain(t *testing.T) {
	short, long := numbered("old", 0, 100), numbered("old", 0, 5000) // below and above what the head's hash covers
	more := numbered("new", 0, 50)
	var noise strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&noise, "%x\n", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	whole := packed(noise.String())
	for _, c := range []struct {
		name, first, then string
		records, known    int64 // of the second load
		want              map[string]int
	}{
		{"nothing", short, short, 0, 100, once(short)},
		{"nothing, long", long, long, 0, 5000, once(long)},
		{"grown", short, short + more, 50, 100, once(short, more)},
		{"grown over the head", short, long + more, 4950, 100, once(long, more)},
		{"grown, long", long, long + more, 50, 5000, once(long, more)},
		{"grown from nothing", "", short, 100, 0, once(short)},
		{"rewritten", short, more, 50, 0, once(short, more)},
		{"rewritten in its midst", long, strings.Replace(long, "line 4000", "LINE 4000", 1) + more, 5050, 0,
			once(long, strings.Replace(long, "line 4000", "LINE 4000", 1), more)},
		{"rewritten at the length it had", short, strings.ToUpper(short), 100, 0, once(short, strings.ToUpper(short))},
		{"cut shorter", long, long[:len(long)/2], -1, 0, nil},
		{"half line completed", short + "half a", short + "half a line\n" + more, 51, 100, once(short, "half a", "half a line", more)},
		{"last line ended", short + "all of it", short + "all of it\n" + more, 50, 101, once(short, "all of it", more)},
		{"last line ended, long", long + "all of it", long + "all of it\n", 0, 5001, once(long, "all of it")},
		{"flow header", "srcaddr dstaddr action\n1.1.1.1 2.2.2.2 ACCEPT\n", "srcaddr dstaddr action\n1.1.1.1 2.2.2.2 ACCEPT\n3.3.3.3 4.4.4.4 REJECT\n", 1, 1,
			map[string]int{"1.1.1.1 2.2.2.2 ACCEPT": 1, "3.3.3.3 4.4.4.4 REJECT": 1}},
		{"cut gzip again", whole[:len(whole)/2], whole[:len(whole)/2], 0, -1, nil},
		{"cut gzip in full", whole[:len(whole)/2], whole, -1, -1, nil},
		{"gzip unpacked", packed(long), long, 0, 5000, once(long)},
		{"short gzip with a member more", packed(short), packed(short) + packed(more), 50, 100, once(short, more)},
		{"short gzip with a member more, over the head", packed(short), packed(short) + packed(long[len(short):]), 4900, 100, once(long)},
		{"very short gzip with a member more", packed(numbered("old", 0, 3)), packed(numbered("old", 0, 3)) + packed(more), 50, 3, once(numbered("old", 0, 3), more)},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newOwner(t)
			path := filepath.Join(t.TempDir(), "app.log")
			put(t, path, c.first)
			first, _ := k.load(path)
			put(t, path, c.then)
			second, said := k.load(path)
			if c.records >= 0 && second.Records != c.records || c.known >= 0 && second.Duplicates != c.known {
				t.Errorf("second load: %d new, %d known, want %d, %d (%s)", second.Records, second.Duplicates, c.records, c.known, said)
			}
			got := k.held()
			if c.want != nil && !maps.Equal(got, c.want) {
				t.Errorf("the group holds %d lines, want %d", len(got), len(c.want))
			}
			switch c.name {
			case "cut gzip again":
				if second.Duplicates != first.Records || second.Damaged["cut gzip"] == 0 || first.Damaged["cut gzip"] == 0 {
					t.Errorf("a cut gzip gave %+v, then %+v; want its records known, and cut both times", first, second)
				}
			case "cut gzip in full":
				// The line that was cut stays as it was, and comes whole as well.
				if first.Records+second.Records != 3001 {
					t.Errorf("a cut gzip gave %d records, then in full %d new; want 3001 together", first.Records, second.Records)
				}
			}
			third, _ := k.load(path)
			if third.Records != 0 {
				t.Errorf("third load: %d new, want none", third.Records)
			}
		})
	}
}

// TestRenamedAndGrown: log rotation gives a file another name.
func TestRenamedAndGrown(t *testing.T) {
	k := newOwner(t)
	dir := t.TempDir()
	long, more := numbered("old", 0, 3000), numbered("new", 0, 10)
	put(t, filepath.Join(dir, "app.log"), long)
	k.load(dir)
	put(t, filepath.Join(dir, "app.log.1"), long+more)
	put(t, filepath.Join(dir, "app.log"), numbered("next", 0, 7))
	if sum, _ := k.load(dir); sum.Records != 17 || sum.Duplicates != 3000 {
		t.Errorf("after rotation: %d new, %d known, want 17, 3000", sum.Records, sum.Duplicates)
	}
	if sum, _ := k.load(dir); sum.Records != 0 || sum.Duplicates != 3017 {
		t.Errorf("again: %d new, %d known, want 0, 3017", sum.Records, sum.Duplicates)
	}
}

// TestShortFilesOfOthers has files that are less than what tells files apart, and
// one file that is read into two streams.
func TestShortFilesOfOthers(t *testing.T) {
	k := newOwner(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h1/app.log"), "service started\n")
	put(t, filepath.Join(dir, "h2/app.log"), "service started\n")
	if sum, _ := k.load(dir); sum.Records != 2 {
		t.Errorf("one line of two hosts: %d new, want 2", sum.Records)
	}
	if sum, _ := k.load(dir); sum.Records != 0 || sum.Duplicates != 2 {
		t.Errorf("again: %d new, %d known, want 0, 2", sum.Records, sum.Duplicates)
	}
	// Rotated and grown, from what is shorter than the head's hash.
	short, more := numbered("old", 0, 200), numbered("new", 0, 100)
	app := filepath.Join(dir, "app.log")
	put(t, app, short)
	k.load(app)
	put(t, app+".1", short+more)
	if sum, _ := k.load(app + ".1"); sum.Records != 100 || sum.Duplicates != 200 {
		t.Errorf("rotated and grown: %d new, %d known, want 100, 200", sum.Records, sum.Duplicates)
	}
	put(t, app+".2.gz", packed(short+more+more))
	if sum, _ := k.load(app + ".2.gz"); sum.Records != 100 || sum.Duplicates != 300 {
		t.Errorf("packed and grown: %d new, %d known, want 100, 300", sum.Records, sum.Duplicates)
	}
	for _, stream := range []string{"a", "b"} {
		for n, want := range []int64{200, 0} {
			if sum, _ := k.load("--stream", stream, app); sum.Records != want {
				t.Errorf("stream %s, load %d: %d new, want %d", stream, n, sum.Records, want)
			}
		}
	}
}

// stopAt ends a load in the middle: it is a reader that cancels.
type stopAt struct {
	content string
	at, off int
	stop    context.CancelFunc
}

func (s *stopAt) Read(p []byte) (int, error) {
	if s.off >= s.at {
		s.stop()
	}
	n := copy(p[:min(len(p), 1000)], s.content[s.off:])
	s.off += n
	return n, nil
}

// TestInterruptedLoad: what was stored before the end of a load that was broken
// off is not stored again. A stream is known by its first bytes.
func TestInterruptedLoad(t *testing.T) {
	k := newOwner(t)
	content := numbered("a", 0, 20_000)
	ctx, stop := context.WithCancel(context.Background())
	var o, e bytes.Buffer
	code := run(&app{ctx: ctx, stdin: &stopAt{content: content, at: 400_000, stop: stop}, stdout: &o, stderr: &e, open: openBackend,
		getenv: func(string) string { return "" }}, []string{"ingest", "--group", "/g", "--output", "json", "--data", k.dir, "-"})
	if code == exitGood {
		t.Fatalf("an interrupted load gave status 0: %s", o.String())
	}
	stored := len(k.held())
	if stored == 0 || stored == 20_000 {
		t.Fatalf("the interrupted load stored %d records, want some", stored)
	}
	path := filepath.Join(t.TempDir(), "whole")
	put(t, path, content)
	sum, _ := k.load(path)
	if sum.Duplicates != int64(stored) || sum.Records != int64(20_000-stored) {
		t.Errorf("going on: %d new, %d known, want %d, %d", sum.Records, sum.Duplicates, 20_000-stored, stored)
	}
	if got := k.held(); !maps.Equal(got, once(content)) {
		t.Errorf("the group holds %d lines, want each of 20000 once", len(got))
	}
}

// TestDigest holds log files against a digest that names them.
func TestDigest(t *testing.T) {
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	log := func(id string) string {
		return `{"Records":[{"eventVersion":"1.08","eventTime":"2026-01-02T03:04:05Z","awsRegion":"us-east-1","eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventID":"` + id + `"}]}`
	}
	digest := func(object, end, previous, hash string, logs ...string) string {
		prev := `"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null`
		if previous != "" {
			prev = fmt.Sprintf(`"previousDigestS3Object":%q,"previousDigestHashValue":%q,"previousDigestHashAlgorithm":"SHA-256"`, previous, hash)
		}
		return fmt.Sprintf(`{"awsAccountId":"111122223333","digestStartTime":"2026-01-02T02:00:00Z","digestEndTime":%q,"digestS3Bucket":"b","digestS3Object":%q,`+
			`"digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA",%s,"logFiles":[%s]}`, end, object, prev, strings.Join(logs, ","))
	}
	entry := func(object, content string) string {
		return fmt.Sprintf(`{"s3Bucket":"b","s3Object":%q,"hashValue":%q,"hashAlgorithm":"SHA-256"}`, object, sum(content))
	}
	const (
		one     = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/111122223333_CloudTrail_us-east-1_20260102T0305Z_aaaaaaaaaaaaaaaa.json.gz"
		two     = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/111122223333_CloudTrail_us-east-1_20260102T0310Z_bbbbbbbbbbbbbbbb.json.gz"
		gone    = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/111122223333_CloudTrail_us-east-1_20260102T0315Z_cccccccccccccccc.json.gz"
		digestA = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/02/111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20260102T030000Z.json.gz"
		digestB = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/02/111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20260102T040000Z.json.gz"
	)
	a := digest(digestA, "2026-01-02T03:00:00Z", "", "")
	b := digest(digestB, "2026-01-02T04:00:00Z", digestA, sum(a), entry(one, log("e1")), entry(two, log("e2")), entry(gone, log("e3")))
	for _, c := range []struct {
		name     string
		one, two string
		a        string
		wrong    []string
	}{
		{"sound", log("e1"), log("e2"), a, nil},
		{"a log file altered", log("e1"), log("EVIL"), a, []string{two}},
		{"the digest before altered", log("e1"), log("e2"), strings.Replace(a, `"logFiles":[]`, `"logFiles":[ ]`, 1), []string{digestA}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newOwner(t)
			dir := t.TempDir()
			put(t, filepath.Join(dir, one), packed(c.one))
			put(t, filepath.Join(dir, strings.TrimSuffix(two, ".gz")), c.two) // a copy that was unpacked
			put(t, filepath.Join(dir, digestA), packed(c.a))
			put(t, filepath.Join(dir, digestB), packed(b))
			for _, again := range []string{"first load", "again"} {
				res, said := k.load(dir)
				if res.Damaged["wrong digest"] != int64(len(c.wrong)) {
					t.Errorf("%s: damaged %v, want %d wrong digests (%s)", again, res.Damaged, len(c.wrong), said)
				}
				for _, w := range c.wrong {
					if !strings.Contains(said, strings.TrimSuffix(filepath.Base(w), ".gz")) {
						t.Errorf("%s: it said %q, want the file %s named", again, said, w)
					}
				}
				if !strings.Contains(said, "1 of the 4 files that CloudTrail digests name are not among those loaded") {
					t.Errorf("%s: it said %q, want one file missing", again, said)
				}
				if again == "first load" && (res.Kinds["aws.cloudtrail.digest"] != 2 || res.Kinds["aws.cloudtrail"] != 2) {
					t.Errorf("kinds = %v, want two digests and two events: everything is kept", res.Kinds)
				}
			}
			out := k.good("", "query", "--output", "json", `filter digestS3Object like /040000Z/ | fields @timestamp, digestEndTime, awsAccountId, @kind`)
			if !strings.Contains(out, `"@timestamp":"2026-01-02 04:00:00.000"`) || !strings.Contains(out, `"awsAccountId":"111122223333"`) {
				t.Errorf("query for the digest = %s", out)
			}
		})
	}
}

// TestConflicts: a known key with other content is another record, and told.
func TestConflicts(t *testing.T) {
	k := newOwner(t)
	ev := func(user string) string {
		return `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","verb":"get","requestURI":"/","user":{"username":"` + user + `"},"stageTimestamp":"2026-01-02T03:04:05.000000Z"}` + "\n"
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), ev("alice"))
	put(t, filepath.Join(dir, "b"), ev("mallory")+ev("alice"))
	sum, _ := k.load(dir)
	if sum.Records != 2 || sum.Duplicates != 1 || sum.Conflicts != 1 {
		t.Errorf("load = %+v, want 2 records, 1 duplicate, 1 conflict", sum)
	}
	put(t, filepath.Join(dir, "c"), ev("eve"))
	if out := k.good("", "ingest", "--group", "/g", filepath.Join(dir, "c")); !strings.Contains(out, "conflict") {
		t.Errorf("the summary is %q, want the conflict named", out)
	}
	// A key that is used again has another time, mostly.
	for i, at := range []string{"2026-01-02T03:04:06.000000Z", "2026-01-02T02:00:00.000000Z", "2026-03-02T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"} {
		path := filepath.Join(dir, fmt.Sprint("later", i))
		put(t, path, strings.Replace(ev("eve"), "2026-01-02T03:04:05.000000Z", at, 1))
		if sum, _ := k.load(path); sum.Records != 1 || sum.Conflicts != 1 {
			t.Errorf("at %s: %d new, %d conflicts, want 1, 1", at, sum.Records, sum.Conflicts)
		}
	}
	// One that has no time is the same whenever it comes.
	untimed := strings.Replace(strings.Replace(ev("alice"), `,"stageTimestamp":"2026-01-02T03:04:05.000000Z"`, "", 1), `"auditID":"1"`, `"auditID":"2"`, 1)
	for n, want := range []int64{1, 0, 0} {
		path := filepath.Join(dir, fmt.Sprint("untimed", n))
		put(t, path, untimed+strings.Repeat("\n", n))
		if sum, _ := k.load(path); sum.Records != want || sum.Conflicts != 0 || len(sum.Kinds) != int(want) {
			t.Errorf("without a time, load %d: %d new, %d conflicts, want %d, 0", n, sum.Records, sum.Conflicts, want)
		}
	}
}
