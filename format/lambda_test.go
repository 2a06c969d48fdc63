package format

import (
	"strings"
	"testing"

	"trailward"
)

const (
	lambdaID     = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
	lambdaUUID   = "3604209a-e9a3-11e6-939a-754dd98c7be3"
	lambdaReport = "REPORT RequestId: " + lambdaUUID + "\tDuration: 102.25 ms\tBilled Duration: 267 ms\tMemory Size: 128 MB\tMax Memory Used: 37 MB\tInit Duration: 164.06 ms\t"
	lambdaXRAY   = "XRAY TraceId: 1-5e34a614-10bdf1fb44f07bc535a10000\tSegmentId: 07f55f2d1f6f8500\tSampled: true\t"
	lambdaNode   = "2021-11-10T17:26:50.000Z\t" + lambdaUUID + "\tINFO\t"
	route53Line  = "1.0 2017-12-13T08:16:02.130Z Z123412341234 example.com A NOERROR UDP FRA6 192.168.1.1 -"
)

func TestClassifyLambda(t *testing.T) {
	const lambda, text, syslog, dns = trailward.KindLambda, trailward.KindText, trailward.KindSyslog, trailward.KindDNS
	for _, c := range []struct {
		name, line string
		want       trailward.Kind
	}{
		{"START", "START RequestId: " + lambdaUUID + " Version: $LATEST", lambda},
		{"END", "END RequestId: " + lambdaUUID, lambda},
		{"END, LF", "END RequestId: " + lambdaUUID + "\n", lambda},
		{"REPORT", lambdaReport, lambda},
		{"REPORT with XRAY", lambdaReport + "\n" + lambdaXRAY, lambda},
		{"XRAY", lambdaXRAY, lambda},
		{"INIT_START", "INIT_START Runtime Version: python:3.9.v14\tRuntime Version ARN: arn:aws:lambda:eu-south-1::runtime:7b62", lambda},
		{"INIT_REPORT", "INIT_REPORT Init Duration: 10008.62 ms\tPhase: init\tStatus: timeout", lambda},
		{"RESTORE_REPORT", "RESTORE_REPORT Restore Duration: 579.91 ms", lambda},
		{"EXTENSION", "EXTENSION\tName: cloudwatch_lambda_agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]", lambda},
		{"Node.js", lambdaNode + "hello", lambda},
		{"Node.js without a level", "2021-11-10T17:26:50.000Z\t" + lambdaUUID + "\thello", lambda},
		{"Node.js outside of a request", "2021-11-10T17:26:50.000Z\tundefined\tERROR\tUncaught Exception", lambda},
		{"Python", "[WARNING]\t2021-11-10T17:26:50.000Z\t" + lambdaUUID + "\thello", lambda},
		{"Python before the first request", "[INFO]\t2021-11-10T17:26:50.000Z\t\thello", lambda},
		{".NET", "2022-04-12T21:32:38.000Z\t" + lambdaUUID + "\tfail\thello", lambda},
		{"timeout", "2021-11-10T17:26:50.000Z " + lambdaUUID + " Task timed out after 3.00 seconds", lambda},
		{"exported START", "2021-11-10T17:26:50.123Z START RequestId: " + lambdaUUID + " Version: 7", lambda},
		{"exported message", "2021-11-10T17:26:50.123Z " + lambdaNode + "hello", lambda},
		{"exported timeout", "2021-11-10T17:26:53.123Z 2021-11-10T17:26:50.000Z " + lambdaUUID + " Task timed out after 3.00 seconds", lambda},

		{"START of something else", "START RequestId: 17", text},
		{"an id of the documentation", "START RequestId: " + lambdaID + " Version: $LATEST", lambda},
		{"no UUID", "START RequestId: " + strings.Replace(lambdaID, "-", "_", 1) + " Version: $LATEST", text},
		{"REPORT of something else", "REPORT of the day", text},
		{"START alone", "START RequestId: ", text},
		{"a level in brackets", "[INFO]\tmain started at 10", text},
		{"time and tab", "2021-11-10T17:26:50.000Z\thello\tINFO\tworld", text},
		{"time and UUID", "2021-11-10T17:26:50.000Z " + lambdaUUID + " something happened", text},
		{"time with a zone", "2021-11-10T17:26:50.000+01:00\t" + lambdaUUID + "\tINFO\thello", text},
		{"syslog", "2018-08-14T14:30:02.203151+02:00 linux-sqrz systemd[4179]: Stopped target", syslog},

		{"public DNS query", route53Line, dns},
		{"public DNS query, CR", route53Line + "\r", dns},
		{"public DNS query with a subnet", "1.0 2017-12-13T08:15:50.235Z Z123412341234 a\\052.example.com AAAA NXDOMAIN TCP IAD12 2001:db8::1234 2001:db8:abcd::/48", dns},
		{"public DNS query of 9 words", strings.TrimSuffix(route53Line, " -"), text},
		{"public DNS query of 11 words", route53Line + " more", text},
		{"public DNS query, no address", strings.Replace(route53Line, "192.168.1.1", "host", 1), text},
		{"public DNS query, no zone", strings.Replace(route53Line, "Z1234", "a1234", 1), text},
		{"public DNS query, no time", strings.Replace(route53Line, "2017-12", "2017-13", 1), text},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ClassifyLine([]byte(c.line)); got != c.want {
				t.Errorf("ClassifyLine(%q) = %v, want %v", c.line, got, c.want)
			}
		})
	}
}

func TestSplitLambda(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       string // path=value, one behind the other
	}{
		{"START", "START RequestId: " + lambdaUUID + " Version: $LATEST", "@type=START @requestId=" + lambdaUUID + " @version=$LATEST"},
		{"END", "END RequestId: " + lambdaUUID + "\n", "@type=END @requestId=" + lambdaUUID},
		{"REPORT", lambdaReport + "\n" + lambdaXRAY + "\n", "@type=REPORT @requestId=" + lambdaUUID +
			" @duration=102.25 @billedDuration=267 @memorySizeMB=128 @maxMemoryUsedMB=37 @initDuration=164.06" +
			" @xrayTraceId=1-5e34a614-10bdf1fb44f07bc535a10000 @xraySegmentId=07f55f2d1f6f8500 @xraySampled=true"},
		{"REPORT with spaces for tabs", "REPORT RequestId: " + lambdaUUID + "  Duration: 2.18 ms Billed Duration: 3 ms Memory Size: 128 MB Max Memory Used: 37 MB Status: timeout",
			"@type=REPORT @requestId=" + lambdaUUID + " @duration=2.18 @billedDuration=3 @memorySizeMB=128 @maxMemoryUsedMB=37 @status=timeout"},
		{"REPORT with something new", lambdaReport + "Colour: blue\tDuration: 5 ms", "@type=REPORT @requestId=" + lambdaUUID +
			" @duration=102.25 @billedDuration=267 @memorySizeMB=128 @maxMemoryUsedMB=37 @initDuration=164.06 @text=Colour: blue\tDuration: 5 ms"},
		{"REPORT that says something twice", "REPORT RequestId: " + lambdaUUID + "\tDuration: 1 ms\tDuration: 2 ms", "@type=REPORT @requestId=" + lambdaUUID + " @duration=1 @text=Duration: 2 ms"},
		{"XRAY", lambdaXRAY, "@type=XRAY @xrayTraceId=1-5e34a614-10bdf1fb44f07bc535a10000 @xraySegmentId=07f55f2d1f6f8500 @xraySampled=true"},
		{"INIT_START", "INIT_START Runtime Version: python:3.9.v14\tRuntime Version ARN: arn:aws:lambda:eu-south-1::runtime:7b62",
			"@type=INIT_START @runtimeVersion=python:3.9.v14 @runtimeVersionArn=arn:aws:lambda:eu-south-1::runtime:7b62"},
		{"INIT_REPORT", "INIT_REPORT Init Duration: 10008.62 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
			"@type=INIT_REPORT @initDuration=10008.62 @phase=init @status=error @errorType=Runtime.ExitError"},
		{"EXTENSION", "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]", "@type=EXTENSION @extensionName=agent @extensionState=Ready @extensionEvents=[INVOKE, SHUTDOWN]"},
		{"Node.js", lambdaNode + "hello world\n", "@time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + " @level=INFO @text=hello world"},
		{"Node.js outside of a request", "2021-11-10T17:26:50.000Z\tundefined\tERROR\tUncaught", "@time=2021-11-10T17:26:50.000Z @level=ERROR @text=Uncaught"},
		{"Python", "[INFO]\t2021-11-10T17:26:50.000Z\t" + lambdaUUID + "\thello", "@level=INFO @time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + " @text=hello"},
		{"timeout", "2021-11-10T17:26:50.000Z " + lambdaUUID + " Task timed out after 3.00 seconds", "@time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + " @text=Task timed out after 3.00 seconds"},
		{"exported", "2021-11-10T17:26:51.000Z " + lambdaNode + "hello", "@time=2021-11-10T17:26:51.000Z @runtimeTime=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + " @level=INFO @text=hello"},
		{"exported END", "2021-11-10T17:26:51.000Z END RequestId: " + lambdaUUID, "@time=2021-11-10T17:26:51.000Z @type=END @requestId=" + lambdaUUID},
		{"JSON", lambdaNode + `{"a":{"b":[1,"}"]}}`, "@time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + ` @level=INFO @json={"a":{"b":[1,"}"]}}`},
		{"JSON inside", lambdaNode + `got {x} and {"a":1} then {"b":2}`, "@time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + ` @level=INFO @text=got {x} and  @json={"a":1} @tail= then {"b":2}`},
		{"JSON cut", lambdaNode + `got {"a":`, "@time=2021-11-10T17:26:50.000Z @requestId=" + lambdaUUID + ` @level=INFO @text=got {"a":`},
		{"anything", "hello", "@text=hello"},
		{"anything with JSON", `event: {"id":"x"}`, `@text=event:  @json={"id":"x"}`},
		{"many braces", strings.Repeat("{", maxFragments) + `{"a":1}`, "@text=" + strings.Repeat("{", maxFragments) + `{"a":1}`},
		{"as many braces as are tried", strings.Repeat("{", maxFragments-1) + `{"a":1}`, "@text=" + strings.Repeat("{", maxFragments-1) + ` @json={"a":1}`},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) { checkSplit(t, trailward.KindLambda, c.line, c.want) })
	}
}

func TestSplitRoute53(t *testing.T) {
	checkSplit(t, trailward.KindDNS, route53Line, "version=1.0 queryTimestamp=2017-12-13T08:16:02.130Z hostZoneId=Z123412341234 queryName=example.com queryType=A"+
		" responseCode=NOERROR protocol=UDP edgeLocation=FRA6 resolverIp=192.168.1.1")
	if _, ok := Split(trailward.KindDNS, []byte(`{"query_timestamp":"2017-12-13T08:16:02Z"}`), nil, nil); ok {
		t.Error("Split(aws.dns, JSON) = true, want false: shape takes it apart")
	}
}

// checkSplit compares the pieces of a line, written one behind the other.
func checkSplit(t *testing.T, kind trailward.Kind, line, want string) {
	t.Helper()
	fields, ok := Split(kind, []byte(line), nil, nil)
	if !ok {
		t.Fatalf("Split(%v, %q) = false, want true", kind, line)
	}
	checkFields(t, []byte(line), fields)
	var got []string
	for _, f := range fields {
		got = append(got, f.Path+"="+line[f.Start:f.End])
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("Split(%v, %q):\n got %s\nwant %s", kind, line, s, want)
	}
}
