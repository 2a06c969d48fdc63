package intake

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"trailward"
)

var arrival = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPrepareDecidesKindAndTime(t *testing.T) {
	for _, c := range []struct {
		name     string
		in       trailward.Framed
		kind     trailward.Kind
		time     string // RFC 3339; empty: arrival
		mismatch string
	}{
		{"audit event", trailward.Framed{Raw: []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete","verb":"get","requestReceivedTimestamp":"2026-11-20T08:00:00.000000Z","stageTimestamp":"2026-11-20T08:00:01.500000Z"}`)}, trailward.KindK8sAudit, "2026-11-20T08:00:01.5Z", ""},
		{"CloudTrail record", trailward.Framed{Raw: []byte(`{"eventVersion":"1.08","userIdentity":{"type":"Root"},"eventTime":"2026-11-20T08:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","eventID":"x"}`)}, trailward.KindCloudTrail, "2026-11-20T08:00:00Z", ""},
		{"flow log line", trailward.Framed{Raw: []byte("2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK")}, trailward.KindVPCFlow, "2014-12-14T04:06:50Z", ""},
		{"flow log line of other columns", trailward.Framed{Raw: []byte("1418530010 ACCEPT"), Kind: trailward.KindVPCFlow, Columns: []string{"start", "action"}}, trailward.KindVPCFlow, "2014-12-14T04:06:50Z", ""},
		{"flow log line with a column too many", trailward.Framed{Raw: []byte("1418530010 ACCEPT x"), Kind: trailward.KindVPCFlow, Columns: []string{"start", "action"}}, trailward.KindText, "", "not aws.vpcflow"},
		{"syslog", trailward.Framed{Raw: []byte("Nov 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure")}, trailward.KindSyslog, "2026-11-14T15:16:01Z", ""},
		{"auditd", trailward.Framed{Raw: []byte("type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e success=no")}, trailward.KindLinuxAudit, "2013-03-28T14:36:03.243Z", ""},
		{"Lambda", trailward.Framed{Raw: []byte("2026-11-20T08:00:01.000Z\t3604209a-e9a3-11e6-939a-754dd98c7be3\tINFO\tgot {\"a\":1}\n")}, trailward.KindLambda, "2026-11-20T08:00:01Z", ""},
		{"Lambda's platform", trailward.Framed{Raw: []byte("END RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3"), Time: arrival.Add(-time.Hour).UnixNano()}, trailward.KindLambda, "2026-11-22T11:00:00Z", ""},
		{"anything of Lambda's", trailward.Framed{Raw: []byte("hello"), Kind: trailward.KindLambda}, trailward.KindLambda, "", ""},
		{"JSON of Lambda's", trailward.Framed{Raw: []byte(`{"time":"2026-01-01T00:00:00Z","type":"platform.start"}`), Kind: trailward.KindLambda}, trailward.KindLambda, "2026-01-01T00:00:00Z", ""},
		{"anything of Lambda's with a time", trailward.Framed{Raw: []byte("2026-01-02 03:04:05 hello"), Kind: trailward.KindLambda}, trailward.KindLambda, "2026-01-02T03:04:05Z", ""},
		{"nothing of Lambda's", trailward.Framed{Kind: trailward.KindLambda}, trailward.KindLambda, "", ""},
		{"public DNS query", trailward.Framed{Raw: []byte("1.0 2026-11-20T08:00:01.130Z Z123412341234 example.com A NOERROR UDP FRA6 192.168.1.1 -")}, trailward.KindDNS, "2026-11-20T08:00:01.13Z", ""},
		{"claims to be a DNS query", trailward.Framed{Raw: []byte("1.0 2026-11-20T08:00:01.130Z x"), Kind: trailward.KindDNS}, trailward.KindText, "", "not aws.dns"},
		{"JSON", trailward.Framed{Raw: []byte(`{"time":"2026-01-01T00:00:00Z","a":1}`)}, trailward.KindJSON, "2026-01-01T00:00:00Z", ""},
		{"JSON without a time", trailward.Framed{Raw: []byte(`{"a":1}`)}, trailward.KindJSON, "", ""},
		{"text", trailward.Framed{Raw: []byte("hello")}, trailward.KindText, "", ""},
		{"text with a time", trailward.Framed{Raw: []byte("2026-01-02T03:04:05Z hello")}, trailward.KindText, "2026-01-02T03:04:05Z", ""},
		{"not UTF-8", trailward.Framed{Raw: []byte("\xff\x00")}, trailward.KindText, "", ""},
		{"empty", trailward.Framed{}, trailward.KindText, "", ""},
		{"container, its own time", trailward.Framed{Raw: []byte(`{"time":"2020-01-01T00:00:00Z"}`), Kind: trailward.KindContainer, Time: arrival.Add(-time.Hour).UnixNano()}, trailward.KindContainer, "2026-11-22T11:00:00Z", ""},
		{"half an audit event", trailward.Framed{Raw: []byte(`{"kind":"Event","auditID":"a"`)}, trailward.KindText, "", ""},
		{"claims to be an audit event", trailward.Framed{Raw: []byte(`{"a":1}`), Kind: trailward.KindK8sAudit}, trailward.KindText, "", "not k8s.audit"},
		{"claims to be JSON", trailward.Framed{Raw: []byte("x"), Kind: trailward.KindJSON}, trailward.KindText, "", "not json"},
		{"JSON that claims to be text", trailward.Framed{Raw: []byte(`{"time":"2020-01-01T00:00:00Z"}`), Kind: trailward.KindText}, trailward.KindText, "", ""},
	} {
		p := NewPreparer()
		for range 2 { // the second time by what was learned
			r, taken, mismatch := p.Prepare(&c.in, "g", "s", arrival)
			if r.Kind != c.kind || mismatch != c.mismatch {
				t.Errorf("%s: kind %s (%q), want %s (%q)", c.name, r.Kind, mismatch, c.kind, c.mismatch)
			}
			want := arrival
			if c.time != "" {
				want, _ = time.Parse(time.RFC3339Nano, c.time)
			}
			if !r.EventTime().Equal(want) {
				t.Errorf("%s: event time %v, want %v", c.name, r.EventTime(), want)
			}
			if !taken.Shape.Verbatim {
				if got := taken.Shape.Append(nil, taken.Values); !bytes.Equal(got, c.in.Raw) {
					t.Errorf("%s: put together %q", c.name, got)
				}
			}
			again := p.Take(&r)
			if again.Shape.Verbatim != taken.Shape.Verbatim || !again.Shape.Verbatim && !bytes.Equal(again.Shape.Append(nil, again.Values), c.in.Raw) {
				t.Errorf("%s: Take of the prepared record differs", c.name)
			}
		}
	}
}

// TestPrepareFlows gives a Preparer flow logs of several forms in turns: each must
// be taken apart as one that has seen no other does it.
func TestPrepareFlows(t *testing.T) {
	custom := []string{"start", "srcaddr", "flow-direction", "action"}
	twice := []string{"start", "srcaddr", "srcaddr"}
	var all []trailward.Framed
	for _, line := range []string{
		"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK",
		"2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA",
		"2  123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 0 0 1 4 336 1432917027 1432917142 ACCEPT OK",
		"2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 0 0 1 4 336 1432917027 1432917142 ACCEPT OK\r",
		"2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 0 0 1 4 - 1432917027 1432917142 ACCEPT OK",
	} {
		all = append(all, trailward.Framed{Raw: []byte(line)})
	}
	for _, line := range []string{"1418530010 10.0.0.1 ingress ACCEPT", "1418530010 - egress -", "1418530010  10.0.0.1 ingress ACCEPT", "1418530010 10.0.0.1 é ACCEPT"} {
		all = append(all, trailward.Framed{Raw: []byte(line), Kind: trailward.KindVPCFlow, Columns: custom})
	}
	all = append(all, trailward.Framed{Raw: []byte("1418530010 10.0.0.1 10.0.0.2"), Kind: trailward.KindVPCFlow, Columns: twice})
	p := NewPreparer()
	for range 3 {
		for i := range all {
			for range 1 + i%2 {
				r, taken, mismatch := p.Prepare(&all[i], "g", "s", arrival)
				want, wantTaken, wantMismatch := NewPreparer().Prepare(&all[i], "g", "s", arrival)
				if r.Kind != trailward.KindVPCFlow || r.Kind != want.Kind || r.Time != want.Time || mismatch != wantMismatch {
					t.Errorf("%q: %s at %d (%q), want %s at %d (%q)", r.Raw, r.Kind, r.Time, mismatch, want.Kind, want.Time, wantMismatch)
				}
				if got, want := fmt.Sprintf("%+v %q", *taken.Shape, taken.Values), fmt.Sprintf("%+v %q", *wantTaken.Shape, wantTaken.Values); got != want {
					t.Errorf("%q is taken apart into %s, want %s", r.Raw, got, want)
				}
			}
		}
	}
}

func FuzzPrepare(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "2 1 eni-1 - - - - - - - 1 2 - NODATA", "type=X msg=audit(1.2:3): a=b", "<13>Jan  1 00:00:00 h p: m", "x"} {
		f.Add([]byte(s), byte(0))
	}
	f.Fuzz(func(t *testing.T, raw []byte, k byte) {
		p := NewPreparer()
		in := trailward.Framed{Raw: raw}
		if n := int(k) % (len(trailward.Kinds) + 1); n > 0 {
			in.Kind = trailward.Kinds[n-1]
		}
		for range 2 {
			r, taken, _ := p.Prepare(&in, "g", "s", arrival)
			if !r.Kind.Valid() || r.Time == 0 {
				t.Fatalf("Prepare(%q) = kind %q, time %d", raw, r.Kind, r.Time)
			}
			if !taken.Shape.Verbatim && !bytes.Equal(taken.Shape.Append(nil, taken.Values), raw) {
				t.Fatalf("Prepare(%q) does not come back", raw)
			}
			if again := p.Take(&r); !again.Shape.Verbatim && !bytes.Equal(again.Shape.Append(nil, again.Values), raw) {
				t.Fatalf("Take(%q) does not come back", raw)
			}
		}
	})
}
