package format

import (
	"testing"

	"trailward"
)

// FuzzLine feeds any bytes to everything that takes a record's or a line's
// bytes, and holds what Split promises.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		flowLine, auditLine, "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
		`<165>1 2003-10-11T22:14:15.003Z h p 1 ID47 [a@1 b="c" d="\]"] message`,
		"2018-08-14T14:30:02.203151+02:00 linux-sqrz systemd[4179]: Stopped",
		`type=AVC msg=audit(1.2:3): avc:  denied  { read } for  pid=1 msg='op=a b c="d"'` + "\x1dUID=\"x\" SADDR={ a=b }",
		"__CURSOR=s\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n",
		"2016-10-06T00:17:09.669794202Z stdout F log", `{"log":"a\n","stream":"stdout","attrs":{"a":"b"},"time":"2016-03-02T22:58:51Z"}`,
		"version vpc-id srcaddr dstaddr", route53Line, lambdaReport + "\n" + lambdaXRAY, lambdaNode + `x {"a":1} y`,
		"[INFO]\t2021-11-10T17:26:50.000Z\t" + lambdaUUID + "\thello", "2021-11-10T17:26:51.000Z 2021-11-10T17:26:50.000Z " + lambdaUUID + " Task timed out",
		"EXTENSION\tName: a\tState: Ready\tEvents: [A, B]", "2016-10-25T12:37:23.297265-07:00 INFO kernel: x", "/var/log/pods/a_b_c/d/0.log",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		kind := ClassifyLine(raw)
		if kind != trailward.KindText {
			if _, ok := Split(kind, raw, nil, nil); !ok {
				t.Fatalf("Split(%v, %q) = false, want true for what it was classified as", kind, raw)
			}
		}
		for _, k := range trailward.Kinds {
			for _, columns := range [][]string{nil, {"a"}, {"a", "b", "c"}} {
				fields, ok := Split(k, raw, columns, nil)
				checkFields(t, raw, fields)
				if !ok && len(fields) > 0 {
					t.Fatalf("Split(%v, %q) = %v, false, want none", k, raw, fields)
				}
			}
		}
		if c, ok := ParseCRI(raw); ok && (c.Message < 0 || c.Message > len(raw)) {
			t.Fatalf("ParseCRI(%q) = %+v, want a message within the line", raw, c)
		}
		ParseDocker(raw, nil)
		if cols := FlowHeader(raw); cols != nil {
			for _, c := range cols {
				if trailward.JoinPath(c) != c {
					t.Fatalf("FlowHeader(%q) = %q, want paths", raw, cols)
				}
			}
		}
		KubernetesPath(string(raw))
	})
}
