package format

import (
	"testing"

	"trailward"
)

func TestClassifyLine(t *testing.T) {
	const (
		flow    = trailward.KindVPCFlow
		syslog  = trailward.KindSyslog
		audit   = trailward.KindLinuxAudit
		journal = trailward.KindJournal
		text    = trailward.KindText
	)
	for _, c := range []struct {
		name, line string
		want       trailward.Kind
	}{
		{"flow, default format", flowLine, flow},
		{"flow, CR at the end", flowLine + "\r", flow},
		{"flow, two spaces", "2 123456789010 eni-1  10.0.0.1 10.0.0.2 43416 5001 6 8 568 1566848875 1566848933 ACCEPT OK", flow},
		{"flow, no data", "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA", flow},
		{"flow, skipped data", "2 unknown eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA", flow},
		{"flow, IPv6", "2 123456789010 eni-1 2001:db8::1 2001:db8::2 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK", flow},
		{"flow of 13 words", "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 -", text},
		{"flow of 15 words", flowLine + " more", text},
		{"flow of version 3", "3" + flowLine[1:], text},
		{"fourteen words", "2 a b c d e f g h i j k l m", text},
		{"flow header", "version account-id interface-id srcaddr dstaddr", text},

		{"RFC 3164", "Feb 21 21:54:44 localhost sshd[3402]: Accepted publickey", syslog},
		{"RFC 3164 with priority", "<34>Oct 11 22:14:15 mymachine su: 'su root' failed", syslog},
		{"RFC 3164, day of one digit", "Feb  6 15:16:30 victoria process[2085]: Test", syslog},
		{"RFC 3164, no host", "Nov 18 08:30:20 kernel: [997.390602] sda2", syslog},
		{"RFC 3164, fraction", "Mar 23 23:01:18.123 host somexe[19]: x", syslog},
		{"RFC 3164, repeated", "Nov 18 01:15:43: --- last message repeated 5 times ---", syslog},
		{"RFC 3164, prose behind", "Dec 14 06:41:08 Exception in thread", syslog},
		{"RFC 5424", "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 - An event", syslog},
		{"RFC 5424, nothing known", "<165>1 - - - - - -", syslog},
		{"rsyslog with ISO time", "2018-08-14T14:30:02.203151+02:00 linux-sqrz systemd[4179]: Stopped target", syslog},
		{"rsyslog ForwardFormat", "<15>2021-03-06T04:07:33.194677+00:00 hostname log_tag this is debug", syslog},
		{"Chrome OS", "2016-10-25T12:37:23.297265-07:00 INFO periodic_scheduler[13707]: cleanup_logs", syslog},
		{"macOS", "2020-03-23 08:14:32.766049-0700  localhost sshd[8981]: error: maximum", syslog},
		{"no such month", "Abc 21 21:54:44 localhost sshd[3402]: x", text},
		{"no such day", "Feb 00 21:54:44 localhost sshd[3402]: x", text},
		{"priority too large", "<192>Oct 11 22:14:15 mymachine su: x", text},
		{"priority alone", "<13>hello", text},
		{"XML", "<1>text</1>", text},
		{"application with a level", "2024-01-02T03:04:05Z INFO main: started", text},
		{"Vault", "2024-05-07T10:58:13.877Z [INFO]  expiration: revoked lease: lease_id=auth", text},
		{"two words of time", "2024-05-07 10:58:13 host app: x", text},
		{"Rust", "2024-05-07T10:58:13.877Z host my_app::module: message", text},
		{"load balancer", "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086", text},
		{"Apache error", "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok", text},
		{"Apache access", `10.0.0.1 - - [13/Jan/2016:19:31:16 +0000] "GET / HTTP/1.1" 200 494`, text},
		{"HDFS", "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1", text},
		{"klog", "I0507 12:04:17.597069       1 descheduler.go:169] \"Number of evicted pods\"", text},
		{"prose", "Jan was here at 12:00:00 and left", text},

		{"audit", auditLine, audit},
		{"audit with node", "node=work type=EXECVE msg=audit(1615114232.375:15558): argc=1 a0=\"whoami\"", audit},
		{"audit of the daemon", "type=DAEMON_CONFIG msg=audit(1490239800.477:34) config changed, auid=0", audit},
		{"audit, end of event", "type=EOE msg=audit(1708689989.768:339749193): ", audit},
		{"audit, unknown type", "type=UNKNOWN[1329] msg=audit(1481077232.471:483): x=1", audit},
		{"audit without a time", "type=UNKNOWN[1329] msg=?", text},
		{"audit in words", "type=EOE msg=audit(03/06/2021 04:07:33.194:123) : x", text},
		{"logfmt", "time=now level=info msg=audit", text},

		{"journal", "__REALTIME_TIMESTAMP=1729698775704404\nMESSAGE=x", journal},
		{"journal, binary", "__CURSOR=s\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n", journal},
		{"journal, broken", "__CURSOR=s\nMESSAGE\n\xff\x00\x00\x00\x00\x00\x00\x00a\nb\n", text},
		{"journal, no field of its own", "__FOO=s", text},

		{"empty", "", text},
		{"NUL", "\x00", text},
		{"a month alone", "Jan", text},
		{"a digit alone", "2", text},
		{"a bracket alone", "<", text},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ClassifyLine([]byte(c.line)); got != c.want {
				t.Errorf("ClassifyLine(%q) = %v, want %v", c.line, got, c.want)
			}
		})
	}
}

func TestClassifyObject(t *testing.T) {
	for _, c := range []struct {
		name  string
		paths []string
		want  trailward.Kind
	}{
		{"audit event", []string{"kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user.username"}, trailward.KindK8sAudit},
		{"item of an EventList", []string{"level", "auditID", "stage", "verb"}, trailward.KindK8sAudit},
		{"only an id", []string{"auditID"}, trailward.KindJSON},
		{"CloudTrail", []string{"eventVersion", "eventTime", "awsRegion", "eventSource", "eventName", "eventID"}, trailward.KindCloudTrail},
		{"CloudTrail from Logstash", []string{"eventVersion", "@@timestamp", "awsRegion", "eventSource", "eventName", "eventID"}, trailward.KindCloudTrail},
		{"CloudTrail 1.0 without an id", []string{"eventVersion", "eventTime", "awsRegion", "eventSource", "eventName", "userIdentity.type"}, trailward.KindCloudTrail},
		{"Insight", []string{"eventVersion", "eventTime", "awsRegion", "eventID", "eventType", "insightDetails.state", "eventCategory"}, trailward.KindCloudTrail},
		{"digest", []string{"awsAccountId", "digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object", "logFiles"}, trailward.KindTrailDigest},
		{"part of a digest", []string{"awsAccountId", "digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object"}, trailward.KindJSON},
		{"LookupEvents", []string{"EventId", "EventName", "EventTime", "EventSource", "CloudTrailEvent"}, trailward.KindJSON},
		{"S3 notification", []string{"eventVersion", "eventTime", "awsRegion", "eventSource", "eventName", "userIdentity.principalId", "s3.s3SchemaVersion"}, trailward.KindJSON},
		{"resolver query", []string{"version", "query_timestamp", "query_name", "query_type", "rcode", "srcaddr"}, trailward.KindDNS},
		{"WAF", []string{"timestamp", "formatVersion", "webaclId", "terminatingRuleId", "action"}, trailward.KindWAF},
		{"WAF without its list", []string{"timestamp", "formatVersion", "terminatingRuleId", "action", "httpSourceName"}, trailward.KindWAF},
		{"journalctl -o json", []string{"__REALTIME_TIMESTAMP", "__CURSOR", "MESSAGE", "_PID"}, trailward.KindJournal},
		{"anything", []string{"a", "b"}, trailward.KindJSON},
		{"nothing", nil, trailward.KindJSON},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := map[string]bool{}
			for _, p := range c.paths {
				m[p] = true
			}
			if got := ClassifyObject(func(p string) bool { return m[p] }); got != c.want {
				t.Errorf("ClassifyObject(%q) = %v, want %v", c.paths, got, c.want)
			}
		})
	}
}

func TestKeysAndPaths(t *testing.T) {
	for _, k := range trailward.Kinds {
		for _, paths := range [][]string{TimePaths(k), KeyPaths(k), OpaquePaths(k)} {
			seen := map[string]bool{}
			for _, p := range paths {
				if p == "" || seen[p] {
					t.Errorf("path %q of kind %s is empty or stands twice", p, k)
				}
				seen[p] = true
			}
		}
	}
}
