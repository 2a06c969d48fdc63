package pattern

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"trailward/internal/sampletest"
)

// show writes the pattern of one mask.
func show(mask string) string {
	l := &line{Masked: Masked{Mask: mask}}
	return l.pattern(nil).Text
}

func TestMask(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"plain words, here.", "plain words, here."},
		{"took 12ms and 3.5 s, -7 of 1e9", "took <Number-1>ms and <Number-2> s, <Number-3> of <Number-4>"},
		{"2026-01-02T03:04:05.123456Z start", "<Timestamp-1> start"},
		{"2026-01-02 03:04:05,123 +0100 start", "<Timestamp-1> start"},
		{"on 2026-01-02 at 03:04:05.", "on <Date-1> at <Time-2>."},
		{`1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326`, `<IP-1> - - [<Timestamp-2>] "GET /a.gif HTTP/<Number-3>" <Number-4> <Number-5>`},
		{"Jan  2 03:04:05 host sshd[123]: Failed password for root from 10.0.0.1 port 22 ssh2", "<Timestamp-1> host sshd[<Number-2>]: Failed password for root from <IP-3> port <Number-4> ssh2"},
		{"Mon, 02 Jan 2006 15:04:05 GMT x", "<Timestamp-1> x"},
		{"Fri Jan 02 15:04:05 2026 x", "<Timestamp-1> x"},
		{"I0102 03:04:05.123456       1 main.go:12] up", "I<Date-1> <Time-2> <Number-3> main.go:<Number-4>] up"},
		{"id=123e4567-e89b-12d3-a456-426614174000;", "id=<UUID-1>;"},
		{"mac 00:1b:44:11:3a:b7 v6 2001:db8::1 and ::1 and fe80::1%eth0", "mac <MAC-1> v6 <IP-2> and <IP-3> and <IP-4><Token-5>"},
		{"10.0.0.1:8080 10.0.0.0/8 1.2.3", "<IP-1>:<Number-2> <IP-3>/<Number-4> <Token-5>"},
		{"0xdeadbeef deadbeef01 cafebabe", "<Hex-1> <Hex-2> cafebabe"},
		{"pod nginx-7c5ddbdf54-x2vq8 in kube-system", "pod <Token-1> in kube-system"},
		{"/api/v1/namespaces/team-a/pods/web-0?limit=500", "/api/v1/namespaces/team-a/pods/<Token-1>?limit=<Number-2>"},
		{"storage.k8s.io/v1beta1 s3.amazonaws.com", "storage.k8s.io/v1beta1 s3.amazonaws.com"},
		{`{"authorization.k8s.io/decision":"allow","code":200,"p9" : true,"key12345":1}`, `{"authorization.k8s.io/decision":"allow","code":<Number-1>,"p9" : true,"<Token-2>":<Number-3>}`},
		{"arn:aws:iam::123456789012:user/bob", "arn:aws:iam::<Number-1>:user/bob"},
		{"std::abc Foo::Bar", "std::abc Foo::Bar"},
		{"a\t\tb\r\n  c", "a b\nc"},
		{"bell\x07\x01 end", "bell<Token-1> end"},
		{"token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ== ok", "token <Token-1> ok"},
		{"größe 5 straße", "größe <Number-1> straße"},
		{"100% 5th 7qq", "<Number-1>% <Number-2>th <Token-3>"},
		{"--flag=x -- ...", "--flag=x -- ..."},
		{"retry 3. done", "retry <Number-1>. done"},
	} {
		m := string(Mask(nil, c.text))
		if got := show(m); got != c.want {
			t.Errorf("Mask(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestMaskIsBounded(t *testing.T) {
	got := show(string(Mask(nil, strings.Repeat("ä", MaxText))))
	if !strings.HasSuffix(got, "<Token-1>") || len(got) > MaxText+9 || !utf8.ValidString(got) {
		t.Errorf("Mask of a long text has %d bytes and ends in %q", len(got), got[len(got)-12:])
	}
}

func masked(texts ...string) []Masked {
	counts := map[string]int64{}
	for _, s := range texts {
		counts[string(Mask(nil, s))]++
	}
	var out []Masked
	for m, n := range counts {
		out = append(out, Masked{Mask: m, Count: n})
	}
	return out
}

func TestFind(t *testing.T) {
	var texts []string
	names := strings.Fields("alice bob carol dave erin frank grace heidi ivan judy")
	for i, n := range names {
		for _, verb := range []string{"closed", "opened"} {
			texts = append(texts, fmt.Sprintf("session %s by user %s from 10.0.0.%d", verb, n, i))
		}
	}
	texts = append(texts, "Connection reset by peer", "Connection closed by peer", "Connection closed by peer",
		"level=error msg=boom", "level=info msg=boom")
	got, left, rest := Find(masked(texts...))
	want := []Pattern{
		{Text: "session closed by user <Token-1> from <IP-2>", Count: 10},
		{Text: "session opened by user <Token-1> from <IP-2>", Count: 10},
		{Text: "Connection closed by peer", Count: 2},
		{Text: "Connection reset by peer", Count: 1},
		{Text: "level=error msg=boom", Severity: "Error", Count: 1},
		{Text: "level=info msg=boom", Severity: "Info", Count: 1},
	}
	if !reflect.DeepEqual(got, want) || left != 0 || rest != 0 {
		t.Errorf("Find = %+v, %d, %d, want %+v", got, left, rest, want)
	}
}

// TestFindHasNoOrder holds that the order of the masks does not matter, and that
// every record is counted once.
func TestFindHasNoOrder(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var masks []Masked
	var total int64
	seen := map[string]bool{}
	for range 3000 {
		s := fmt.Sprintf("%c%c did %c to %c%c in %d", 'a'+r.Intn(20), 'a'+r.Intn(3), 'x'+r.Intn(3), 'a'+r.Intn(26), 'a'+r.Intn(26), r.Intn(9))
		m := string(Mask(nil, s))
		if !seen[m] {
			seen[m] = true
			c := int64(1 + r.Intn(5))
			total += c
			masks = append(masks, Masked{Mask: m, Count: c, Times: map[int64]int64{int64(r.Intn(4)): c}})
		}
	}
	first, _, _ := Find(masks)
	for range 3 {
		r.Shuffle(len(masks), func(i, j int) { masks[i], masks[j] = masks[j], masks[i] })
		if again, _, _ := Find(masks); !reflect.DeepEqual(again, first) {
			t.Fatalf("Find depends on the order of its input")
		}
	}
	var sum, times int64
	for _, p := range first {
		sum += p.Count
		for _, c := range p.Times {
			times += c
		}
	}
	if sum != total || times != total || len(first) > 100 {
		t.Errorf("Find gives %d patterns with %d and %d records, want few with %d", len(first), sum, times, total)
	}
}

func TestSeverity(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"all is well", ""}, {"ERROR: disk", "Error"}, {"[warn] low", "Warning"}, {`{"level":"info","error":null}`, "Info"}, {"level=debug error=nil", "Debug"},
		{"W0102 03:04:05.1 x.go:1] error", "Warning"}, {"kernel panic", "Fatal"}, {`{"error":null,"ok":true}`, ""}, {"errors.go is a file", ""}, {`{"level":"Metadata","verb":"get"}`, ""},
	} {
		if got := Severities[severity(string(Mask(nil, c.text)))]; got != c.want {
			t.Errorf("severity(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

// TestRealTexts finds the patterns of real logs: few, for many lines.
func TestRealTexts(t *testing.T) {
	dir := sampletest.Dir(t)
	for _, c := range []struct {
		file string
		most int
	}{{"container/loghub/HDFS_2k.log", 40}} {
		f, err := os.Open(filepath.Join(dir, c.file))
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		var texts []string
		for sc := bufio.NewScanner(f); sc.Scan(); {
			texts = append(texts, sc.Text())
		}
		got, _, _ := Find(masked(texts...))
		if len(got) == 0 || len(got) > c.most {
			t.Errorf("%s has %d lines and %d patterns, want at most %d", c.file, len(texts), len(got), c.most)
		}
		for _, p := range got[:min(3, len(got))] {
			t.Logf("%d %s %s", p.Count, p.Severity, p.Text)
		}
	}
}

// FuzzMask holds that any text has a mask, which stays as it is when it is
// found again, is UTF-8 when the text is, and has a pattern.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "a 1 b", "2026-01-02T03:04:05Z", `{"a":1,"b1":"2"}`, "::1", "1.2.3.4:5", "Jan  2 3:04", "0x1", "\x01A\x01", "I0102 03:04:05", "é1", "v1beta", "12:3", "-1e", "a.-+%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := string(Mask(nil, s))
		if again := string(Mask(nil, s)); again != m {
			t.Fatalf("Mask(%q) = %q and %q", s, m, again)
		}
		if utf8.ValidString(s) && !utf8.ValidString(m) {
			t.Fatalf("Mask(%q) = %q, want UTF-8", s, m)
		}
		if len(s) > 0 && len(m) == 0 {
			t.Fatalf("Mask(%q) is empty", s)
		}
		got, _, _ := Find([]Masked{{Mask: m, Count: 1}})
		if len(got) != 1 || got[0].Count != 1 || strings.ContainsRune(got[0].Text, mark) {
			t.Fatalf("Find of Mask(%q) = %+v, want one pattern", s, got)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	s := `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"123e4567-e89b-12d3-a456-426614174000","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/kube-system/pods/web-0?limit=500","verb":"get","user":{"username":"system:serviceaccount:kube-system:generic-garbage-collector","groups":["system:authenticated"]},"sourceIPs":["10.0.0.1"],"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.123456Z"}`
	b.SetBytes(int64(len(s)))
	var buf []byte
	for b.Loop() {
		buf = Mask(buf[:0], s)
	}
}
