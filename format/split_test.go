package format

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"trailward"
	"trailward/internal/sampletest"
)

// show writes fields as "path=value" lines, which is how tests state them.
func show(raw []byte, fields []trailward.Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%s=%s\n", f.Path, raw[f.Start:f.End])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    trailward.Kind
		line    string
		columns []string
		want    string // "path=value" lines, or "no" when it is not of the kind
	}{
		{"flow", trailward.KindVPCFlow, flowLine, nil,
			"version=2\naccount-id=560205084868\ninterface-id=eni-086e771b77c2495ae\nsrcaddr=10.0.1.149\ndstaddr=194.87.190.127\nsrcport=5432\ndstport=48134\nprotocol=6\npackets=5\nbytes=431\nstart=1777092909\nend=1777092938\naction=ACCEPT\nlog-status=OK"},
		{"flow without data", trailward.KindVPCFlow, "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\r", nil,
			"version=2\naccount-id=123456789010\ninterface-id=eni-1\nstart=1431280876\nend=1431280934\nlog-status=NODATA"},
		{"flow with columns", trailward.KindVPCFlow, "  i-1   vpc-1 2 ", []string{"instance-id", "vpc-id", "tcp-flags"}, "instance-id=i-1\nvpc-id=vpc-1\ntcp-flags=2"},
		{"flow, a word too few", trailward.KindVPCFlow, "a b", []string{"x", "y", "z"}, "no"},
		{"flow, a word too many", trailward.KindVPCFlow, "a b c d", []string{"x", "y", "z"}, "no"},
		{"flow, binary", trailward.KindVPCFlow, "a\x00b c", []string{"x", "y", "z"}, "no"},
		{"flow, empty", trailward.KindVPCFlow, "", []string{}, "no"},

		{"a year in RFC 3164", trailward.KindSyslog, "<166>Nov 22 2026 10:00:00 fw1 : %ASA-6-302013: Built inbound", nil,
			"priority=166\ntimestamp=Nov 22 2026 10:00:00\nhostname=fw1\nmessage=: %ASA-6-302013: Built inbound"},
		{"Cisco's host and zone", trailward.KindSyslog, "<190>2361044: sw01: Jan 16 2022 22:11:43.398 UTC: %FOO-6-BAR: Test", nil,
			"priority=190\nhostname=sw01\ntimestamp=Jan 16 2022 22:11:43.398\nprogram=%FOO-6-BAR\nmessage=Test"},
		{"a year behind the time", trailward.KindSyslog, "<34>Oct 11 22:14:15 2023 mymachine su[12]: failed", nil,
			"priority=34\ntimestamp=Oct 11 22:14:15 2023\nhostname=mymachine\nprogram=su\npid=12\nmessage=failed"},
		{"Cisco's number", trailward.KindSyslog, "<189>29: *Mar  1 00:00:34.567: %SYS-5-CONFIG_I: Configured", nil,
			"priority=189\ntimestamp=Mar  1 00:00:34.567\nprogram=%SYS-5-CONFIG_I\nmessage=Configured"},
		{"RFC 3164", trailward.KindSyslog, "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed", nil,
			"priority=34\ntimestamp=Oct 11 22:14:15\nhostname=mymachine\nprogram=su\npid=12\nmessage='su root' failed"},
		{"no host", trailward.KindSyslog, "Nov 18 08:30:20 kernel: [997.390602] sda2", nil,
			"timestamp=Nov 18 08:30:20\nprogram=kernel\nmessage=[997.390602] sda2"},
		{"program with parentheses", trailward.KindSyslog, "Jun 15 02:04:59 combo sshd(pam_unix)[20882]: authentication failure; logname= uid=0", nil,
			"timestamp=Jun 15 02:04:59\nhostname=combo\nprogram=sshd(pam_unix)\npid=20882\nmessage=authentication failure; logname= uid=0"},
		{"login", trailward.KindSyslog, "Jun 15 12:13:19 combo  -- root[2421]: ROOT LOGIN ON tty2", nil,
			"timestamp=Jun 15 12:13:19\nhostname=combo\nprogram=root\npid=2421\nmessage=ROOT LOGIN ON tty2"},
		{"program with a version", trailward.KindSyslog, "Jun 19 04:08:55 combo syslogd 1.4.1: restart.", nil,
			"timestamp=Jun 19 04:08:55\nhostname=combo\nprogram=syslogd\nmessage=1.4.1: restart."},
		{"proftpd's tag", trailward.KindSyslog, "Jan 04 22:51:57 xx.yy.zz proftpd[30362] xx.yy.zz (aa): USER backup", nil,
			"timestamp=Jan 04 22:51:57\nhostname=xx.yy.zz\nprogram=proftpd\npid=30362\nmessage=xx.yy.zz (aa): USER backup"},
		{"repeated", trailward.KindSyslog, "Feb 21 22:04:28 host last message repeated 2 times", nil,
			"timestamp=Feb 21 22:04:28\nhostname=host\nmessage=last message repeated 2 times"},
		{"no tag", trailward.KindSyslog, "Jan 22 07:54:32 myhost.com Job `cron.daily' terminated", nil,
			"timestamp=Jan 22 07:54:32\nmessage=myhost.com Job `cron.daily' terminated"},
		{"tag of its own after a priority", trailward.KindSyslog, "<15>2021-03-06T04:07:33.194677+00:00 hostname log_tag this is debug", nil,
			"priority=15\ntimestamp=2021-03-06T04:07:33.194677+00:00\nhostname=hostname\nprogram=log_tag\nmessage=this is debug"},
		{"priority alone", trailward.KindSyslog, "<13>hello", nil, "priority=13\nmessage=hello"},
		{"severity in words", trailward.KindSyslog, "2016-10-25T12:37:24.987014-07:00 DEBUG kernel: [  316.5] wlan0", nil,
			"timestamp=2016-10-25T12:37:24.987014-07:00\nseverity=DEBUG\nprogram=kernel\nmessage=[  316.5] wlan0"},
		{"CRLF", trailward.KindSyslog, "Feb 21 21:54:44 h p: m\r", nil, "timestamp=Feb 21 21:54:44\nhostname=h\nprogram=p\nmessage=m"},
		{"RFC 5424", trailward.KindSyslog, "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 77 ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\"][b x=\"\" y=\"z\"] \xef\xbb\xbfAn event", nil,
			"priority=165\nversion=1\ntimestamp=2003-10-11T22:14:15.003Z\nhostname=mymachine.example.com\nprogram=evntslog\npid=77\nmsgid=ID47\nsd.exampleSDID@32473.iut=3\nsd.exampleSDID@32473.eventSource=Application\nsd.b.y=z\nmessage=An event"},
		{"RFC 5424, dot in an id", trailward.KindSyslog, "<165>1 - - - - - [a.b c=\"d\"]", nil, "priority=165\nversion=1\nsd.a\\.b.c=d"},
		{"RFC 5424, escape", trailward.KindSyslog, `<165>1 - - - - - [a b="c\"d" e="f"] m`, nil, "priority=165\nversion=1\nstructured_data=[a b=\"c\\\"d\" e=\"f\"]\nmessage=m"},
		{"no syslog", trailward.KindSyslog, "hello", nil, "no"},

		{"audit", trailward.KindLinuxAudit, `type=USER_CMD msg=audit(1783414573.687:423): pid=2100 uid=0 msg='cwd="/root" cmd="true it is" exe="/usr/bin/sudo" terminal=? res=success'` + "\x1d" + `UID="root" AUID="unset"`, nil,
			"type=USER_CMD\ntime=1783414573.687\nsequence=423\npid=2100\nuid=0\ncwd=/root\ncmd=true it is\nexe=/usr/bin/sudo\nterminal=?\nres=success\nUID=root\nAUID=unset"},
		{"audit, node first", trailward.KindLinuxAudit, `node=work type=CWD msg=audit(1615114232.375:15558): cwd="/home"`, nil,
			"node=work\ntype=CWD\ntime=1615114232.375\nsequence=15558\ncwd=/home"},
		{"audit, words in op", trailward.KindLinuxAudit, `type=ADD_USER msg=audit(1610903553.730:591): pid=2945 uid=0 msg='op=adding user id=1004 exe="/usr/sbin/useradd" res=success'`, nil,
			"type=ADD_USER\ntime=1610903553.730\nsequence=591\npid=2945\nuid=0\nop=adding user\nid=1004\nexe=/usr/sbin/useradd\nres=success"},
		{"audit, empty values", trailward.KindLinuxAudit, `type=ADD_GROUP msg=audit(1.2:3): msg='op= id=1004' subj= res=failed`, nil,
			"type=ADD_GROUP\ntime=1.2\nsequence=3\nid=1004\nres=failed"},
		{"audit, AVC", trailward.KindLinuxAudit, `type=AVC msg=audit(1226874073.147:96): avc:  denied  { getattr open } for  pid=2465 comm="httpd" path="/var/www/a b" tclass=file`, nil,
			"type=AVC\ntime=1226874073.147\nsequence=96\nseresult=denied\nseperms=getattr open\npid=2465\ncomm=httpd\npath=/var/www/a b\ntclass=file"},
		{"audit, first of two", trailward.KindLinuxAudit, `type=X msg=audit(1.2:3): uid=0 uid=1 type=9`, nil, "type=X\ntime=1.2\nsequence=3\nuid=0"},
		{"audit, commas", trailward.KindLinuxAudit, `type=DAEMON_END msg=audit(1450876093.165:8729): auditd normal halt, sending auid=0 pid=1 subj= res=success, key=(null)`, nil,
			"type=DAEMON_END\ntime=1450876093.165\nsequence=8729\nauid=0\npid=1\nres=success\nkey=(null)"},
		{"audit, braces and brackets", trailward.KindLinuxAudit, "type=SOCKADDR msg=audit(1.2:3): a1[0]=6261\x1dSADDR={ fam=netlink nlnk-fam=16 }", nil,
			"type=SOCKADDR\ntime=1.2\nsequence=3\na1[0]=6261\nSADDR={ fam=netlink nlnk-fam=16 }"},
		{"audit, dot in a key", trailward.KindLinuxAudit, "type=X msg=audit(1.2:3): a.b=c", nil, "type=X\ntime=1.2\nsequence=3\na\\.b=c"},
		{"audit, unclosed", trailward.KindLinuxAudit, `type=X msg=audit(1.2:3): a="b c={ d msg='e=f`, nil, "type=X\ntime=1.2\nsequence=3\na=\"b\nc={\ne=f"},
		{"audit, nothing", trailward.KindLinuxAudit, "type=EOE msg=audit(1708689989.768:339749193): ", nil, "type=EOE\ntime=1708689989.768\nsequence=339749193"},
		{"no audit", trailward.KindLinuxAudit, "type=EOE msg=audit(x): ", nil, "no"},

		{"journal", trailward.KindJournal, "__CURSOR=s=1\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n_PID=7\nEMPTY=\n_PID=8", nil, "__CURSOR=s=1\nMESSAGE=a\nb\n_PID=7"},
		{"journal, broken", trailward.KindJournal, "__CURSOR=s=1\nbad", nil, "no"},
		{"journal, length without end", trailward.KindJournal, "A\n\xff\xff\xff\xff\xff\xff\xff\xffx", nil, "no"},

		{"text", trailward.KindText, "x", nil, "no"},
		{"JSON", trailward.KindJSON, "{}", nil, "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := []byte(c.line)
			before := []trailward.Field{{Path: "before", Start: 0, End: 0}}
			fields, ok := Split(c.kind, raw, c.columns, before)
			got := "no"
			if ok {
				got = show(raw, fields[1:])
			} else if len(fields) != 1 {
				t.Errorf("Split(%q) = false and %d more fields, want dst as it was", c.line, len(fields)-1)
			}
			if got != c.want {
				t.Errorf("Split(%v, %q) =\n%s\nwant\n%s", c.kind, c.line, got, c.want)
			}
			checkFields(t, raw, fields[1:])
		})
	}
}

// checkFields holds what Split promises of any bytes.
func checkFields(t *testing.T, raw []byte, fields []trailward.Field) {
	t.Helper()
	if len(fields) > MaxFields {
		t.Errorf("Split(%.80q) = %d fields, want at most %d", raw, len(fields), MaxFields)
	}
	end, seen := 0, map[string]bool{}
	for _, f := range fields {
		if f.Start < end || f.End <= f.Start || f.End > len(raw) {
			t.Fatalf("Split(%.200q) = %v, want ascending fields within %d bytes", raw, fields, len(raw))
		}
		if f.Path == "" || seen[f.Path] {
			t.Fatalf("Split(%.200q) names %q twice or not at all", raw, f.Path)
		}
		seen[f.Path] = true
		end = f.End
	}
}

func TestSplitManyFields(t *testing.T) {
	var b strings.Builder
	b.WriteString("type=X msg=audit(1.2:3):")
	for i := range 2 * MaxFields {
		fmt.Fprintf(&b, " k%d=v", i%(MaxFields+10))
	}
	raw := []byte(b.String())
	fields, ok := Split(trailward.KindLinuxAudit, raw, nil, nil)
	if !ok || len(fields) != MaxFields {
		t.Errorf("Split(many fields) = %d fields, %v, want %d, true", len(fields), ok, MaxFields)
	}
	checkFields(t, raw, fields)
}

func TestFlowHeader(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"default", strings.Join(FlowColumns, " "), FlowColumns},
		{"CR and two spaces", "version  vpc-id srcaddr\r", []string{"version", "vpc-id", "srcaddr"}},
		{"a field to come", "srcaddr dstaddr new-field", []string{"srcaddr", "dstaddr", "new-field"}},
		{"two fields", "srcaddr dstaddr", []string{"srcaddr", "dstaddr"}},
		{"one field", "srcaddr", nil},
		{"twice the same", "srcaddr srcaddr dstaddr", nil},
		{"words", "version type region", nil},
		{"prose", "start action with bytes and packets", nil},
		{"a line of the log", flowLine, nil},
		{"mostly unknown", "srcaddr some other words", nil},
		{"empty", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := FlowHeader([]byte(c.line)); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("FlowHeader(%q) = %v, want %v", c.line, got, c.want)
			}
		})
	}
}

// TestSplitRealData holds that what is classified as a kind can be split as
// it, that the main fields are there, and that times can be read.
func TestSplitRealData(t *testing.T) {
	root := sampletest.Dir(t)
	for _, c := range []struct {
		files string
		kind  trailward.Kind
		paths []string // that every record has
		want  int      // records of the kind
	}{
		{"linux/auth-ubuntu1204.log", trailward.KindSyslog, []string{"timestamp", "message"}, 1000},
		{"linux/loghub/Linux_2k.log", trailward.KindSyslog, []string{"timestamp", "hostname", "program", "message"}, 2000},
		{"linux/rootly-openssh-part1.log.gz", trailward.KindSyslog, []string{"timestamp", "hostname", "program", "pid", "message"}, 15464},
		{"linux/plaso-syslog_rsyslog_SyslogProtocol23Format", trailward.KindSyslog, []string{"priority", "version", "timestamp", "hostname", "program", "message"}, 9},
		{"linux/auditd/audit-rhel7.log.gz", trailward.KindLinuxAudit, []string{"type", "time", "sequence"}, 2328},
		{"linux/auditd/plaso-audit_enriched.log", trailward.KindLinuxAudit, []string{"type", "time", "sequence"}, 29},
		{"vpc-flow/honeypot-rds-bruteforce.log.gz", trailward.KindVPCFlow, []string{"srcaddr", "dstport", "start", "action"}, 720},
		{"linux/loghub/Apache_2k.log", trailward.KindText, nil, 2000},
		{"container/loghub/HDFS_2k.log", trailward.KindText, nil, 2000},
		{"container/loki-vault.log.gz", trailward.KindText, nil, 1000},
		{"linux/plaso-apache_access.log", trailward.KindText, nil, 15},
	} {
		t.Run(c.files, func(t *testing.T) {
			got := 0
			for _, raw := range readLines(t, filepath.Join(root, c.files)) {
				kind := ClassifyLine(raw)
				if kind != c.kind {
					continue
				}
				got++
				if kind == trailward.KindText {
					continue
				}
				fields, ok := Split(kind, raw, nil, nil)
				if !ok {
					t.Fatalf("Split(%v, %q) = false, want true", kind, raw)
				}
				checkFields(t, raw, fields)
				values := map[string][]byte{}
				for _, f := range fields {
					values[f.Path] = raw[f.Start:f.End]
				}
				for _, p := range c.paths {
					if len(values[p]) == 0 {
						t.Fatalf("Split(%v, %q) has no %s", kind, raw, p)
					}
				}
				if _, ok := ParseTime(values[TimePaths(kind)[0]], testRef); !ok {
					t.Fatalf("ParseTime(%q) = false, want true", values[TimePaths(kind)[0]])
				}
			}
			if got != c.want {
				t.Errorf("%s has %d records of %v, want %d", c.files, got, c.kind, c.want)
			}
		})
	}
}

func readLines(t testing.TB, path string) (lines [][]byte) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		if len(sc.Bytes()) > 0 {
			lines = append(lines, bytes.Clone(sc.Bytes()))
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
