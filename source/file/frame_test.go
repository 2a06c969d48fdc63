package file

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"trailward"
)

// payload is what a subscription sends, with one message.
func payload(owner string) string {
	return `{"messageType":"DATA_MESSAGE","owner":"` + owner + `","logEvents":[{"id":"e","message":"m` + owner + `"}]}`
}

func base64d(content string) string {
	return base64.StdEncoding.EncodeToString([]byte(gzipped(content)))
}

func TestFraming(t *testing.T) {
	const (
		cri    = "2016-10-06T00:17:09.000000001Z "
		criOut = "<container>@1475713029000000001 stream=stdout "
		criErr = "<container>@1475713029000000001 stream=stderr "
		docker = `,"stream":"stdout","time":"2016-10-06T00:17:09.000000001Z"}`
	)
	flow := "[srcaddr dstaddr dstport]"
	for _, c := range []struct {
		name string
		in   string
		opts Options
		want []string
	}{
		{name: "nothing", in: ""},
		{name: "only white space of lines", in: "\n\r\n\n"},
		{name: "lines", in: "a\nb\n\n c \nd", want: []string{"a", "b", " c ", "d"}},
		{name: "CRLF", in: "a\r\n\r\nb\r\n", want: []string{"a\r", "b\r"}},
		{name: "NUL and what is no UTF-8", in: "\xff\xfe x \x00\n\x00\x00", want: []string{"\xff\xfe x \x00", "\x00\x00"}},
		{name: "byte order mark", in: "\xef\xbb\xbf{\"a\":1}\n", want: []string{`{"a":1}`}},
		{name: "byte order mark alone", in: "\xef\xbb\xbf"},
		{name: "CSV", in: "a,b\n1,\"x\"\n", want: []string{"a,b", `1,"x"`}},

		{name: "JSON lines", in: "{\"a\":1}\n{\"b\":{}}\n", want: []string{`{"a":1}`, `{"b":{}}`}},
		{name: "JSON lines and text", in: "{\"a\":1}\n{\"a\":\"x\"\n[]\n\"s\"\n   x\n{}\n", want: []string{`{"a":1}`, `(half line){"a":"x"`, "[]", `"s"`, "   x", "{}"}},
		{name: "text and JSON lines", in: "x\n{\"a\":1}\n", want: []string{"x", `{"a":1}`}},
		{name: "JSON lines with white space in front", in: "  {\"a\":1}\n {\"b\":2} \n", want: []string{`  {"a":1}`, ` {"b":2} `}},
		{name: "one object with text behind", in: "{\"a\":1} x\n", want: []string{`{"a":1} x`}},
		{name: "what only begins like JSON", in: "{hello}\n{}\n", want: []string{"{hello}", "{}"}},
		{name: "arrays of other things are lines", in: "[1,2]\n[\"a\"]\n[]\n", want: []string{"[1,2]", `["a"]`, "[]"}},
		{name: "log lines in brackets", in: "[{thread}] INFO x\n[main] y\n", want: []string{"[{thread}] INFO x", "[main] y"}},

		{name: "pretty-printed", in: "{\n  \"a\": 1\n}\n{\n  \"b\": [\n  ]\n}\n", want: []string{"{\n  \"a\": 1\n}", "{\n  \"b\": [\n  ]\n}"}},
		{name: "values in one line", in: `{"a":1}{"b":2} {"c":3}`, want: []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}},
		{name: "values with commas between", in: "{\n},\n{\"a\":1},\n", want: []string{"{\n}", `{"a":1}`}},
		{name: "array of objects", in: "[\n {\"a\":1} ,{ } , 5, \"x\",[2]\n]\n", want: []string{`{"a":1}`, "{ }", "5", `"x"`, "[2]"}},
		{name: "two arrays", in: "[{\"a\":1}]\n[{\"b\":2}]\n", want: []string{`{"a":1}`, `{"b":2}`}},
		{name: "text between values", in: "{\n}\nhello\n{\"a\":1}\nx", want: []string{"{\n}", "hello", `{"a":1}`, "x"}},
		{name: "a value cut by the next line", in: "{\n}\n{\"a\":\"x\n{\"b\":1}\n", want: []string{"{\n}", "(broken json){\"a\":\"x", `{"b":1}`}},
		{name: "a value cut by the next line, behind a number", in: "{\n}\n{\"a\":1\n{\"b\":1}\n", want: []string{"{\n}", "(broken json){\"a\":1", `{"b":1}`}},
		{name: "a pretty value broken in the middle", in: "{\n}\n{\n \"a\": {\n  \"b\": x\n },\n \"c\": [\n ]\n}\n{\"d\":1}\n", want: []string{"{\n}", "(broken json){", "(broken json)\"a\": {", "(broken json)\"b\": x", "},", "\"c\": [", "]", "}", `{"d":1}`}},
		{name: "a value cut by the end", in: "{\n}\n{\"a\":[1", want: []string{"{\n}", "(cut json){\"a\":[1"}},

		{name: "Records", in: `{"Records":[{"a":1}, {"b" : "]}"}]}`, want: []string{`{"a":1}`, `{"b" : "]}"}`}},
		{name: "Records, one wrapper a line", in: "{\"Records\":[{\"a\":1}]}\n{\"Records\":[]}\n{\"Records\":[{\"b\":1}]}\n", want: []string{`{"a":1}`, `{"b":1}`}},
		{name: "Records, none", in: `{"Records":[]}`},
		{name: "Records, pretty", in: "{\n \"Records\": [\n  {\n   \"a\": 1\n  }\n ]\n}\n", want: []string{"{\n   \"a\": 1\n  }"}},
		{name: "Records and something beside them", in: `{"Records":[{"a":1}],"x":[2],"y":3}` + "\n", want: []string{`{"a":1}`, `(beside the records)"x":[2]`, `(beside the records)"y":3`}},
		{name: "Records of no objects", in: `{"Records":["a"]}`, want: []string{`{"Records":["a"]}`}},
		{name: "Records not at first", in: `{"a":1,"Records":[{"b":1}]}`, want: []string{`{"a":1,"Records":[{"b":1}]}`}},
		{name: "Records cut", in: `{"Records":[{"a":1},{"b":`, want: []string{`{"a":1}`, `(cut json){"b":`}},
		{name: "Records cut between", in: `{"Records":[{"a":1},`, want: []string{`{"a":1}`}},
		{name: "Records broken", in: `{"Records":[{"a":1},{"b":;}]}` + "\n{\"c\":1}", want: []string{`{"a":1}`, `(broken json){"b":;}]}`, `{"c":1}`}},

		{name: "EventList", in: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"auditID":"1"},{"auditID":"2"}]}`, want: []string{`{"auditID":"1"}`, `{"auditID":"2"}`}},
		{name: "EventList, kind last", in: `{"apiVersion":"audit.k8s.io/v1","items":[{"stage":"x","auditID":"1"}],"kind":"EventList"}`, want: []string{`{"stage":"x","auditID":"1"}`}},
		{name: "a list of other things", in: `{"kind":"PodList","apiVersion":"v1","items":[{"a":1}]}`, want: []string{`{"kind":"PodList","apiVersion":"v1","items":[{"a":1}]}`}},
		{name: "EventList with another member", in: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","x":1,"items":[{"a":1}]}`, want: []string{`(beside the records)"x":1`, `{"a":1}`}},

		{name: "subscription", in: `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"e1","timestamp":1418530010000,"message":"a\n\"b\""},{"id":"e2","timestamp":1418530010001,"message":"{\"x\":1}"},{"id":"e3","message":""},{"id":"e4","message":"\ud800"}]}`,
			want: []string{"@1418530010000000000 owner=1 logGroup=/g logStream=s id=e1 a\n\"b\"", `@1418530010001000000 owner=1 logGroup=/g logStream=s id=e2 {"x":1}`, "owner=1 logGroup=/g logStream=s id=e3 ", `(message cannot be unescaped)owner=1 logGroup=/g logStream=s id=e4 {"id":"e4","message":"\ud800"}`}},
		{name: "subscription of a Lambda function", in: `{"messageType":"DATA_MESSAGE","logGroup":"/aws/lambda/f","logEvents":[{"id":"e1","message":"a"},{"id":"e2","message":"{\"x\":1}"}]}{"messageType":"DATA_MESSAGE","logGroup":"/other","logEvents":[{"id":"e3","message":"b"}]}`,
			want: []string{"<aws.lambda>logGroup=/aws/lambda/f id=e1 a", `<aws.lambda>logGroup=/aws/lambda/f id=e2 {"x":1}`, "logGroup=/other id=e3 b"}},
		{name: "subscription of a Lambda function, of a kind of JSON", in: `{"messageType":"DATA_MESSAGE","logGroup":"/aws/lambda/f","logEvents":[{"id":"e1","message":"{\"x\":1}"}]}`, opts: Options{Kind: trailward.KindJSON}, want: []string{`<json>logGroup=/aws/lambda/f id=e1 {"x":1}`}},
		{name: "subscriptions behind each other", in: strings.Repeat(`{"messageType":"DATA_MESSAGE","logEvents":[{"id":"e","message":"m"}]}`, 2) + `{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE"}]}`, want: []string{"id=e m", "id=e m"}},

		{name: "subscription packed for Lambda", in: `{"awslogs":{"data":"` + base64d(payload("1")) + `"}}`, want: []string{"owner=1 id=e m1"}},
		{name: "subscription packed for Lambda, pretty", in: "{\n \"awslogs\": {\n  \"data\": \"" + base64d(payload("1")) + "\"\n }\n}\n", want: []string{"owner=1 id=e m1"}},
		{name: "events looked up", in: "{\n  \"Events\": [\n {\"EventId\":\"i\", \"ReadOnly\":\"true\", \"EventTime\": 1700000000.5, \"Resources\":[{\"a\":\"b\"}],\n \"CloudTrailEvent\": \"{\\\"eventVersion\\\":\\\"1.08\\\",\\\"u\\\":\\\"\\\\u00e9\\\"}\" } , {\"EventId\":\"j\",\"CloudTrailEvent\":\"{}\"} ],\"NextToken\":\"n\"}\n",
			want: []string{`EventId=i ReadOnly=true EventTime=1700000000.5 Resources=[{"a":"b"}] {"eventVersion":"1.08","u":"\u00e9"}`, `EventId=j {}`}},
		{name: "events looked up without their text", in: `{"Events":[{"EventId":"i","CloudTrailEvent":"{}"},{"EventId":"j","CloudTrailEvent":null},{"CloudTrailEvent":" "},{"CloudTrailEvent":"\ud800"}],"x":1}`,
			want: []string{`EventId=i {}`, `{"EventId":"j","CloudTrailEvent":null}`, `{"CloudTrailEvent":" "}`, `{"CloudTrailEvent":"\ud800"}`, `(beside the records)"x":1`}},
		{name: "a long event looked up", in: `{"Events":[{"EventId":"i","EventTime":1,"EventSource":"s","CloudTrailEvent":"` + strings.Repeat("x", 100_000) + `"}]}`, want: []string{`EventId=i EventTime=1 EventSource=s ` + strings.Repeat("x", 100_000)}},
		{name: "events looked up, none", in: `{"Events":[]}`, want: []string{`{"Events":[]}`}},
		{name: "events of something else", in: `{"Events":[{"EventId":"i","EventTime":1}]}`, want: []string{`{"Events":[{"EventId":"i","EventTime":1}]}`}},
		{name: "events looked up and cut", in: `{"Events":[{"EventId":"i","CloudTrailEvent":"{}"},{"EventId":"j","Cl`, want: []string{`EventId=i {}`, `(cut json){"EventId":"j","Cl`}},
		{name: "subscriptions packed for Kinesis", in: `{"Records":[{"kinesis":{"partitionKey":"p","data":"` + base64d(payload("1")+payload("2")) + `"},"eventSource":"aws:kinesis"},{"kinesis":{"data":"` + base64d(payload("3")) + `"}},{"kinesis":{"data":"aGk="}}]}`,
			want: []string{"owner=1 id=e m1", "owner=2 id=e m2", "owner=3 id=e m3", `{"kinesis":{"data":"aGk="}}`}},
		{name: "subscriptions packed, one a line", in: base64d(payload("1")) + "\nx\n" + base64d(payload("2")) + "\r\n", want: []string{"owner=1 id=e m1", "x", "owner=2 id=e m2"}},
		{name: "something else packed", in: base64d("hello") + "\n" + base64d(payload("1"))[:40] + "\n", want: []string{base64d("hello"), base64d(payload("1"))[:40]}},
		{name: "packed payloads of a kind of text", in: base64d(payload("1")) + "\n", opts: Options{Kind: trailward.KindText}, want: []string{"<text>" + base64d(payload("1"))}},

		{name: "half of an object at the end", in: "{\"a\":1}\n{\"a\":", want: []string{`{"a":1}`, `(half line){"a":`}},
		{name: "half of an object between", in: "{\"a\":1}\n{\"a\":\"x\r\n{\"a\":2}\n", want: []string{`{"a":1}`, "(half line){\"a\":\"x\r", `{"a":2}`}},
		{name: "half of a flow log", in: "srcaddr dstaddr dstport\n1 2 3\n4 5", want: []string{"<aws.vpcflow>" + flow + "1 2 3", "(half line)<aws.vpcflow>" + flow + "4 5"}},
		{name: "half of a flow log without a header", in: "2 1 eni-1 1.1.1.1 2.2.2.2 1 2 6 1 1 1418530010 1418530070 ACCEPT OK\n2 1 eni-1 1.1.1.1", want: []string{"2 1 eni-1 1.1.1.1 2.2.2.2 1 2 6 1 1 1418530010 1418530070 ACCEPT OK", "(half line)2 1 eni-1 1.1.1.1"}},
		{name: "half of an audit record", in: "type=A msg=audit(1.0:1): a=b\ntype=A msg=aud", want: []string{"type=A msg=audit(1.0:1): a=b", "(half line)type=A msg=aud"}},
		{name: "half of a CRI line", in: cri + "stdout F a\n" + cri[:20], want: []string{criOut + "a", "(half line)" + cri[:20]}},
		{name: "half of a Docker line", in: `{"log":"a\n"` + docker + "\n" + `{"log":"b\n","str`, want: []string{criOut + "a", `(half line){"log":"b\n","str`}},

		{name: "octets counted", in: "10 <1>1 - a\nb5 <1> x\n3 <2>", want: []string{"<linux.syslog><1>1 - a\nb", "<linux.syslog><1> x", "<linux.syslog><2>"}},
		{name: "octets counted, lost", in: "5 <1> x5 <1> yzz\n5 <1> z", want: []string{"<linux.syslog><1> x", "<linux.syslog><1> y", "(no octet count)zz", "<linux.syslog><1> z"}},
		{name: "octets counted, cut", in: "5 <1> x50 <1> y", want: []string{"<linux.syslog><1> x", "(cut octet-counted message)<1> y"}},
		{name: "numbers before brackets", in: "5 <a>\n6 <b>\n", want: []string{"5 <a>", "6 <b>"}},

		{name: "UTF-16", in: "\xff\xfe{\x00\"\x00a\x00\"\x00:\x001\x00}\x00\n\x00\x3d\xd8\x00\xde\x00\xd8", want: []string{`{"a":1}`, "😀\xed\xa0\x80"}},
		{name: "UTF-16, the other order", in: "\xfe\xff\x00a\x00\n\x00b", want: []string{"a", "b"}},

		{name: "wrapped flow log", in: `{"message":"2 1 eni-1 1.1.1.1 2.2.2.2 1 2 6 1 1 1418530010 1418530070 ACCEPT OK"}` + "\n" + `{"message":"2 b"}` + "\n",
			want: []string{"<aws.vpcflow>2 1 eni-1 1.1.1.1 2.2.2.2 1 2 6 1 1 1418530010 1418530070 ACCEPT OK", `{"message":"2 b"}`}},

		{name: "CRI", in: cri + "stdout F a\n" + cri + "stderr F  b \n", want: []string{criOut + "a", criErr + " b "}},
		{name: "CRI, partial lines", in: cri + "stdout P a\n" + cri + "stderr F x\n" + cri + "stdout P b\n" + cri + "stdout F c\n", want: []string{criErr + "x", criOut + "abc"}},
		{name: "CRI, no end", in: cri + "stdout F x\n" + cri + "stdout P a\n", want: []string{criOut + "x", "(partial line without end)" + criOut + "a"}},
		{name: "CRI, empty lines", in: cri + "stdout F a\n" + cri + "stdout F \n" + cri + "stderr F\n" + cri + "stdout P \n" + cri + "stdout F \n" + cri + "stdout P ", want: []string{criOut + "a", criOut, criErr, criOut, "(partial line without end)" + criOut}},
		{name: "Docker, empty lines", in: `{"log":"\n","stream":"stdout","time":"2016-10-06T00:17:09.000000001Z"}` + "\n" + `{"log":"\r\n","stream":"stderr","time":"2016-10-06T00:17:09.000000001Z"}` + "\n", want: []string{criOut, criErr + "\r"}},
		{name: "CRI and other lines", in: cri + "stdout F a\nhello\n", want: []string{criOut + "a", "hello"}},
		{name: "CRI of a kind of JSON", in: cri + "stdout F a\n", opts: Options{Kind: trailward.KindJSON}, want: []string{"<json>" + cri + "stdout F a"}},

		{name: "Docker", in: `{"log":"a\n"` + docker + "\n" + `{"log":"b"` + docker + "\n" + `{"log":"c\n"` + docker + "\n{\"x\":1}\n" + `{"log":"d"` + docker, want: []string{criOut + "a", criOut + "bc", `{"x":1}`, criOut + "d"}},

		{name: "flow header", in: "srcaddr dstaddr dstport\n1 2 3\nsrcaddr  vpc-id\r\n4 5\n", want: []string{"<aws.vpcflow>" + flow + "1 2 3", "<aws.vpcflow>[srcaddr vpc-id]4 5"}},
		{name: "flow header behind text", in: "x\nsrcaddr dstaddr dstport\n1 2 3\n", want: []string{"x", "<aws.vpcflow>" + flow + "1 2 3"}},
		{name: "flow header of a name", in: "srcaddr\r\n10.0.0.1\n-\n::1\n", want: []string{"<aws.vpcflow>[srcaddr]10.0.0.1", "<aws.vpcflow>[srcaddr]-", "<aws.vpcflow>[srcaddr]::1"}},
		{name: "flow header of times", in: "start end\n1772359200 1772359260\n", want: []string{"<aws.vpcflow>[start end]1772359200 1772359260"}},
		{name: "flow header of times, cut", in: "start end\n1772359200 1772359260\n17723", want: []string{"<aws.vpcflow>[start end]1772359200 1772359260", "(half line)<aws.vpcflow>[start end]17723"}},
		{name: "words of a text", in: "start end\n1 2\n", want: []string{"start end", "1 2"}},
		{name: "a word over numbers", in: "bytes\n1\n2\n", want: []string{"bytes", "1", "2"}},
		{name: "a name over text", in: "srcaddr\n10.0.0.1\nx\n", want: []string{"srcaddr", "10.0.0.1", "x"}},
		{name: "a name alone", in: "srcaddr\n", want: []string{"srcaddr"}},
		{name: "flow header alone", in: "srcaddr dstaddr dstport\n"},
		{name: "flow header of a kind of text", in: "srcaddr dstaddr dstport\n1 2 3\n", opts: Options{Kind: trailward.KindText}, want: []string{"<text>srcaddr dstaddr dstport", "<text>1 2 3"}},
		{name: "flow columns given", in: "1 2\n", opts: Options{Kind: trailward.KindVPCFlow, Columns: []string{"srcaddr", "dstaddr"}}, want: []string{"<aws.vpcflow>[srcaddr dstaddr]1 2"}},

		{name: "journal", in: "__CURSOR=1\nMESSAGE=a\n\n\n__CURSOR=2\nMESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00x\n\n\ny\n_PID=1\n", want: []string{"<linux.journal>__CURSOR=1\nMESSAGE=a", "<linux.journal>__CURSOR=2\nMESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00x\n\n\ny\n_PID=1"}},
		{name: "journal, binary field last", in: "__CURSOR=2\nMESSAGE\n\x02\x00\x00\x00\x00\x00\x00\x00x\n\n\n__CURSOR=3", want: []string{"<linux.journal>__CURSOR=2\nMESSAGE\n\x02\x00\x00\x00\x00\x00\x00\x00x\n", "<linux.journal>__CURSOR=3"}},
		{name: "journal, broken entry", in: "__CURSOR=1\nbad line\nMESSAGE=a\n\n__CURSOR=2\n", want: []string{"(broken journal entry)__CURSOR=1\nbad line\nMESSAGE=a", "<linux.journal>__CURSOR=2"}},
		{name: "journal, length beyond the end", in: "__CURSOR=1\nMESSAGE\n\xff\x00\x00\x00\x00\x00\x00\x00x\n", want: []string{"(broken journal entry)__CURSOR=1\nMESSAGE\n\xff\x00\x00\x00\x00\x00\x00\x00x"}},

		{name: "text only", in: "[{\"a\":1}]\n", opts: Options{Kind: trailward.KindText}, want: []string{`<text>[{"a":1}]`}},
		{name: "auto", in: "a\n", opts: Options{Kind: "auto"}, want: []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := stdin(t, c.in, c.opts)
			same(t, fmt.Sprintf("records of %.100q", c.in), got, c.want)
			// However the bytes come, they are the same records.
			c.opts.Stdin = &dribble{s: c.in}
			got, _ = read(t, c.opts, "-")
			same(t, fmt.Sprintf("records of %.100q, byte by byte", c.in), got, c.want)
		})
	}
}

// dribble gives one byte at a time.
type dribble struct {
	s string
	i int
}

func (d *dribble) Read(p []byte) (int, error) {
	if d.i == len(d.s) {
		return 0, io.EOF
	}
	p[0] = d.s[d.i]
	d.i++
	return 1, nil
}

func TestLimits(t *testing.T) {
	const most = 1 << 10
	opts := Options{MaxRecord: most}
	x := func(n int) string { return strings.Repeat("x", n) }
	cri := "2016-10-06T00:17:09.000000001Z stdout "
	said := "<container>@1475713029000000001 stream=stdout "
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"line of the most", x(most) + "\na\n", []string{x(most), "a"}},
		{"line of one more", x(most+1) + "\na\n", []string{"(line too long)" + x(most), "(line too long)x", "a"}},
		{"line of twice the most", x(2*most) + "\na\n", []string{"(line too long)" + x(most), "(line too long)" + x(most), "a"}},
		{"last line too long", "a\n" + x(most+5), []string{"a", "(line too long)" + x(most), "(line too long)xxxxx"}},
		{"value of the most", "{\n}" + `{"a":"` + x(most-8) + `"}{}`, []string{"{\n}", `{"a":"` + x(most-8) + `"}`, "{}"}},
		{"value of one more", "{\n}" + `{"a":"` + x(most-7) + `"}{}`, []string{"{\n}", `(record too long){"a":"` + x(most-7) + `"`, "(record too long)}", "{}"}},
		{"value of three pieces", "{\n}" + `{"a":"` + x(2*most) + `"}{}`, []string{"{\n}", `(record too long){"a":"` + x(most-6), "(record too long)" + x(most), "(record too long)" + x(6) + `"}`, "{}"}},
		{"element too long", `{"Records":[{"a":"` + x(most) + `"},{"b":1}]}`, []string{`(record too long){"a":"` + x(most-6), "(record too long)" + x(6) + `"}`, `{"b":1}`}},
		{"partial lines too long", cri + "F a\n" + cri + "P " + x(900) + "\n" + cri + "P " + x(900) + "\n" + cri + "F yy\n" + cri + "F b\n",
			[]string{said + "a", "(partial line too long)" + said + x(1800), "(partial line too long)" + said + "yy", said + "b"}},
		{"journal entry too long", "__CURSOR=1\nMESSAGE=" + x(most) + "\n\n__CURSOR=2\n", []string{"(broken journal entry)__CURSOR=1\nMESSAGE=" + x(most-19), "(broken journal entry)" + x(19), "<linux.journal>__CURSOR=2"}},
		{"text between values too long", "{\n}\n" + x(most+1) + "\n{}", []string{"{\n}", "(line too long)" + x(most), "(line too long)x", "{}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := stdin(t, c.in, opts)
			same(t, c.name, got, c.want)
		})
	}
}

func TestDeepJSON(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 100_000) + strings.Repeat("]}", 100_000)
	got, _ := stdin(t, `{"Records":[`+deep+`,{"b":1}]}`, Options{})
	same(t, "deep Records", got, []string{deep, `{"b":1}`})
	got, _ = stdin(t, deep+"\n{\"b\":\n1}", Options{})
	same(t, "deep value", got, []string{deep, "{\"b\":\n1}"})
}

func TestControlMessagesAreCounted(t *testing.T) {
	_, report := stdin(t, strings.Repeat("{\"messageType\":\"CONTROL_MESSAGE\",\"logEvents\":[]}\n", 3), Options{})
	if report.Control != 3 {
		t.Errorf("Control = %d, want 3", report.Control)
	}
}

func TestLongRecords(t *testing.T) {
	// Many records, each a piece of a wrapper far larger than the window.
	var in strings.Builder
	var want []string
	in.WriteString(`{"Records":[`)
	for i := range 3000 {
		r := fmt.Sprintf(`{"i":%d,"pad":"%s"}`, i, strings.Repeat("p", i%1500))
		want = append(want, r)
		if i > 0 {
			in.WriteByte(',')
		}
		in.WriteString(r)
	}
	in.WriteString(`]}`)
	got, _ := stdin(t, in.String(), Options{})
	same(t, "long Records", got, want)

	long := strings.Repeat("y", 3<<20)
	got, _ = stdin(t, "a\n"+long+"\nb\n", Options{})
	same(t, "long line", got, []string{"a", long, "b"})
}

// TestHostileValues: no line of a file makes the bytes behind it be read anew.
func TestHostileValues(t *testing.T) {
	const n = 200_000
	for _, c := range []struct{ name, in string }{
		{"brackets", "[{}]\n" + strings.Repeat("{\"a\":[\n", n) + ";"},
		{"members", "{\"Records\":[],\"a\":" + strings.Repeat("[\n", n) + ";"},
		{"journal", "__CURSOR=1\n" + strings.Repeat("\n__CURSOR=1\nM\n\x00\x00\x01\x00\x00\x00\x00\x00", n/10) + strings.Repeat("A=1\n", n) + "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			got, _ := stdin(t, c.in, Options{})
			if d := time.Since(start); d > time.Minute {
				t.Errorf("%d bytes took %v, want far less", len(c.in), d)
			}
			size := 0
			for _, r := range got {
				size += len(r)
			}
			if size < len(c.in)/2 {
				t.Errorf("%d bytes came out of %d, want about as many", size, len(c.in))
			}
		})
	}
}

func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		"a\nb\r\n\n", "{\"a\":1}\n{}\n", "{\n}\n{\"a\":[", `{"Records":[{"a":1},{"b":2}],"c":1}`, `[{"a":1},2]`, `{"Events":[{"EventId":"i","CloudTrailEvent":"{\"a\":1}"}],"NextToken":"n"}`,
		`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"a":1}]}`, `{"messageType":"DATA_MESSAGE","logEvents":[{"id":"e","message":"m"}]}`,
		"2016-10-06T00:17:09Z stdout P a\n2016-10-06T00:17:09Z stdout F b\n", `{"log":"a\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}`,
		"srcaddr dstaddr\n1 2\n", "__CURSOR=1\nM\n\x01\x00\x00\x00\x00\x00\x00\x00x\n\n__CURSOR=2\n", "\x1f\x8b\x08", "PK\x03\x04", `{"items":x`, `{"Records":`,
		"x\n{\"Records\":[{\"a\":1}]}\n", `[{"Records":[{"a":1},{"b":2}]},{"c":1}]`, "{\"EventId\":\"i\",\"CloudTrailEvent\":\"{}\"}\n", `[{"message":"2 1 eni-1 1 1 1 1 1 1 1 1 1 ACCEPT OK"}]`,
	} {
		f.Add([]byte(s), byte(0))
	}
	kinds := append([]trailward.Kind{""}, trailward.Kinds...)
	f.Fuzz(func(t *testing.T, content []byte, kind byte) {
		if len(content) > 16<<10 {
			return
		}
		opts := Options{Kind: kinds[int(kind)%len(kinds)], MaxRecord: 1 << 10}
		whole, _ := stdin(t, string(content), opts)
		opts.Stdin = &dribble{s: string(content)}
		pieces, _ := read(t, opts, "-")
		same(t, fmt.Sprintf("records of %q in pieces", content), pieces, whole)
		if layerOf(content) != noLayer {
			return
		}
		// What stands in lines of text comes out as it is.
		opts = Options{Kind: trailward.KindText}
		lines, _ := stdin(t, string(content), opts)
		var want []string
		for _, l := range strings.Split(strings.TrimPrefix(string(content), "\xef\xbb\xbf"), "\n") {
			if l != "" && l != "\r" {
				want = append(want, "<text>"+l)
			}
		}
		same(t, fmt.Sprintf("lines of %q", content), lines, want)
	})
}
