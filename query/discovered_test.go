package query

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/intake"
	"trailward/query/plan"
	"trailward/store"
)

// discoveredStore has records of the kinds of which Logs Insights discovers
// fields that are no members of JSON, and of others.
func discoveredStore(t testing.TB) *store.Store {
	const a, b = "3604209a-e9a3-11e6-939a-754dd98c7be3", "3604209a-e9a3-11e6-939a-754dd98c7be4"
	s := realStore(t, map[string][]string{
		"/aws/lambda/f": {
			"INIT_START Runtime Version: nodejs:18.v10\tRuntime Version ARN: arn:aws:lambda:eu-west-1::runtime:x",
			"START RequestId: " + a + " Version: $LATEST",
			"2026-01-02T00:00:01.000Z\t" + a + "\tINFO\tgot {\"user\":{\"name\":\"ann\"},\"level\":\"audit\",\"n\":[1,{\"x\":\"y\"}],\"@id\":7} and {\"user\":{\"name\":\"bob\"}}",
			"2026-01-02T00:00:02.000Z\t" + a + "\tERROR\tno JSON here",
			"END RequestId: " + a,
			"REPORT RequestId: " + a + "\tDuration: 102.25 ms\tBilled Duration: 103 ms\tMemory Size: 128 MB\tMax Memory Used: 37 MB\tInit Duration: 164.06 ms\t\nXRAY TraceId: 1-5e34a614-10bdf1fb44f07bc535a10000\tSegmentId: 07f55f2d1f6f8500\tSampled: true\t",
			"REPORT RequestId: " + b + "\tDuration: 2.50 ms\tBilled Duration: 3 ms\tMemory Size: 1024 MB\tMax Memory Used: 1000 MB",
		},
		"/odd": {"REPORT RequestId: " + b + "\tDuration: much\tMemory Size: 9223372036854775807 MB\tMax Memory Used: x MB"},
		"/r53": {
			"1.0 2026-01-02T00:00:00.130Z Z123412341234 www.example.com A NOERROR UDP FRA6 192.168.1.1 -",
			"1.0 2026-01-02T00:00:01.130Z Z123412341234 bad.example.com TXT NXDOMAIN TCP IAD12 192.168.3.1 192.168.222.0/24",
		},
		"/resolver": {`{"version":"1.1","account_id":"111122223333","region":"eu-west-1","vpc_id":"vpc-1","query_timestamp":"2026-01-02T00:00:02Z","query_name":"in.example.com.","query_type":"A","query_class":"IN","rcode":"NOERROR","answers":[],"srcaddr":"10.0.0.1","srcport":"53","transport":"UDP","srcids":{"instance":"i-1"}}`},
		"/trail": {
			trailLine(epoch, 1, "GetObject", "10.0.0.1", `,"eventCategory":"Data"`),
			trailLine(epoch, 2, "PutBucketPolicy", "10.0.0.2", `,"eventCategory":"Management"`),
			trailLine(epoch, 3, "Insight", "10.0.0.3", ""),
		},
		"/vpc":   {flowLine(epoch, 1)},
		"/words": {"nothing to see", `{"a":{"b":"c"},"@aws":{"account":"own"}}`},
	})
	// One record whose framing says where it was before.
	p := intake.NewPreparer()
	r, _, _ := p.Prepare(&trailward.Framed{Raw: []byte("from afar"), Attrs: []trailward.Attr{{Name: "owner", Value: "999988887777"}, {Name: "logGroup", Value: "/far/away"}}}, "/central", "s", epoch)
	r.Arrival = 0
	if _, err := s.Append(t.Context(), &store.Batch{Group: "/central", Records: []trailward.Record{r}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiscoveredFields(t *testing.T) {
	pruning, whole := storeEngines(t, discoveredStore(t))
	for _, c := range []struct {
		lang   Language
		text   string
		want   string // JSON lines, without @ptr
		opened int64  // segments, or -1
	}{
		// Lambda.
		{Insights, "filter @type = 'REPORT' and ispresent(@xrayTraceId) | fields @requestId, @duration, @billedDuration, @initDuration, @memorySize, @maxMemoryUsed, @xrayTraceId, @xraySegmentId",
			`{"@requestId":"3604209a-e9a3-11e6-939a-754dd98c7be3","@duration":"102.25","@billedDuration":"103","@initDuration":"164.06","@memorySize":"128000000","@maxMemoryUsed":"37000000","@xrayTraceId":"1-5e34a614-10bdf1fb44f07bc535a10000","@xraySegmentId":"07f55f2d1f6f8500"}`, 1},
		{Insights, `filter @type = "REPORT" and @maxMemoryUsed >= (@memorySize * 0.75) | stats count_distinct(@requestId) as n`, `{"n":"1"}`, -1},
		{Insights, `filter @type = "REPORT" | stats max(@memorySize / 1000 / 1000) as mb, avg(@duration) as ms, sum(@billedDuration) as billed`, `{"mb":"1024","ms":"52.375","billed":"106"}`, -1},
		{Insights, "stats count(*) as n by @type", `{"n":"12"}` + "\n" + `{"@type":"END","n":"1"}` + "\n" + `{"@type":"INIT_START","n":"1"}` + "\n" + `{"@type":"REPORT","n":"3"}` + "\n" + `{"@type":"START","n":"1"}`, -1},
		{Insights, "filter @requestId = '3604209a-e9a3-11e6-939a-754dd98c7be3' | stats count(*) as n", `{"n":"5"}`, 1},
		{Insights, "filter user.name = 'ann' | fields level, n.0, n.1.x as x, user, `@@id` as id, @level as l", `{"level":"audit","n.0":"1","x":"y","user":"{\"name\":\"ann\"}","id":"7","l":"INFO"}`, 1},
		{Insights, "filter user.name = 'bob' | stats count(*) as n", ``, -1},
		{Insights, "filter @level = 'ERROR' | fields @timestamp, @message", `{"@timestamp":"2026-01-02 00:00:02.000","@message":"2026-01-02T00:00:02.000Z\t3604209a-e9a3-11e6-939a-754dd98c7be3\tERROR\tno JSON here"}`, 1},
		{Insights, "filter @duration = 'much' | fields @memorySize, @maxMemoryUsed, @requestId", `{"@requestId":"3604209a-e9a3-11e6-939a-754dd98c7be4"}`, 1},
		{SQL, "SELECT type, duration, memory_size, max_memory_used FROM aws_lambda WHERE type = 'REPORT' ORDER BY duration NULLS LAST", `{"type":"REPORT","duration":2.5,"memory_size":1024000000,"max_memory_used":1000000000}` + "\n" +
			`{"type":"REPORT","duration":102.25,"memory_size":128000000,"max_memory_used":37000000}` + "\n" + `{"type":"REPORT","duration":null,"memory_size":null,"max_memory_used":null}`, -1},
		{SQL, `SELECT level, json_extract_scalar("@json", '$.user.name') AS name, message FROM "lambda" WHERE level = 'ERROR'`, `{"level":"ERROR","name":null,"message":"2026-01-02T00:00:02.000Z\t3604209a-e9a3-11e6-939a-754dd98c7be3\tERROR\tno JSON here"}`, -1},
		{SQL, `SELECT type FROM logs WHERE "@requestid" = 'x'`, ``, -1},

		// Route 53.
		{Insights, "filter queryName like 'bad' | fields version, queryTimestamp, hostZoneId, queryType, responseCode, protocol, edgeLocation, resolverIp, ednsClientSubnet, @timestamp",
			`{"version":"1.0","queryTimestamp":"2026-01-02T00:00:01.130Z","hostZoneId":"Z123412341234","queryType":"TXT","responseCode":"NXDOMAIN","protocol":"TCP","edgeLocation":"IAD12","resolverIp":"192.168.3.1","ednsClientSubnet":"192.168.222.0/24","@timestamp":"2026-01-02 00:00:01.130"}`, 2}, // Lambda's JSON could have such a field, too
		{Insights, "filter not ispresent(ednsClientSubnet) and ispresent(queryName) | stats count(*) as n by queryType, responseCode, protocol", `{"queryType":"A","responseCode":"NOERROR","protocol":"UDP","n":"2"}`, -1},
		{Insights, "filter rcode = 'NXDOMAIN' | fields query_name, transport", `{"query_name":"bad.example.com","transport":"TCP"}`, 2},
		{SQL, "SELECT query_name, rcode, transport, srcaddr, resolver_ip FROM dns ORDER BY query_name", `{"query_name":"bad.example.com","rcode":"NXDOMAIN","transport":"TCP","srcaddr":null,"resolver_ip":"192.168.3.1"}` + "\n" +
			`{"query_name":"in.example.com.","rcode":"NOERROR","transport":"UDP","srcaddr":"10.0.0.1","resolver_ip":null}` + "\n" + `{"query_name":"www.example.com","rcode":"NOERROR","transport":"UDP","srcaddr":null,"resolver_ip":"192.168.1.1"}`, -1},

		// What is known beside a record.
		{Insights, "stats count(*) as n by @data_source_name, @data_source_type", `{"n":"11"}` + "\n" + `{"@data_source_name":"amazon_route53","n":"2"}` + "\n" + `{"@data_source_name":"amazon_route53","@data_source_type":"resolver_query","n":"1"}` + "\n" +
			`{"@data_source_name":"amazon_vpc","@data_source_type":"flow","n":"1"}` + "\n" + `{"@data_source_name":"aws_cloudtrail","n":"1"}` + "\n" +
			`{"@data_source_name":"aws_cloudtrail","@data_source_type":"data","n":"1"}` + "\n" + `{"@data_source_name":"aws_cloudtrail","@data_source_type":"management","n":"1"}`, -1},
		{Insights, "filterIndex @data_source_name in ['aws_cloudtrail'] | stats count(*) as n", `{"n":"3"}`, 1},
		{Insights, "filter @data_source_name like 'amazon_' | stats count(*) as n by @aws.region", `{"n":"3"}` + "\n" + `{"@aws.region":"eu-west-1","n":"1"}`, 3},
		{Insights, "filter @data_source_type = 'flow' | fields @aws.account, @source.log, @data_format", `{"@aws.account":"000000000000","@source.log":"/vpc"}`, -1},
		{Insights, "filter @aws.region = 'eu-west-1' | stats count(*) as n", `{"n":"4"}`, 2},
		{Insights, "filter @source.log = '/far/away' | fields @aws.account, @log, @message", `{"@aws.account":"999988887777","@log":"000000000000:/central","@message":"from afar"}`, 1},
		{Insights, "filter `@source.log` like '/r' | stats count(*) as n by @source.log", `{"@source.log":"/r53","n":"2"}` + "\n" + `{"@source.log":"/resolver","n":"1"}`, -1},
		{Insights, "filter @aws.account != '000000000000' | stats count(*) as n", `{"n":"1"}`, -1},
		{Insights, "filter ispresent(@@aws.account) | fields @@aws.account as own, @aws.account as acct, a.b", `{"own":"own","acct":"000000000000","a.b":"c"}`, -1},
		{Insights, "filter ispresent(@data_format) | stats count(*) as n", ``, 0},
	} {
		for _, e := range []*Engine{pruning, whole} {
			r, err := e.Query(t.Context(), Request{Language: c.lang, Text: c.text, Now: epoch.Add(time.Hour)})
			var lines []string
			var stats Stats
			if err == nil {
				var b strings.Builder
				err = WriteJSON(&b, r, c.lang)
				for line := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
					line, _, cut := strings.Cut(line, `,"@ptr"`)
					if cut {
						line += "}"
					}
					lines = append(lines, line)
				}
				stats = r.Stats()
				r.Close()
			}
			if got := strings.Join(lines, "\n"); err != nil || got != c.want {
				t.Errorf("%s\n got %s, %v\nwant %s", c.text, got, err, c.want)
			}
			if e == pruning && c.opened >= 0 && stats.SegmentsOpened != c.opened {
				t.Errorf("%s: %d segments opened, want %d", c.text, stats.SegmentsOpened, c.opened)
			}
		}
	}
}

// TestWholeNumbers holds integers of 64 bits to their digits, where a float would
// lose some.
func TestWholeNumbers(t *testing.T) {
	pruning, whole := storeEngines(t, realStore(t, map[string][]string{
		"/one": {`{"time":"2026-01-02T00:00:00Z","n":9007199254740993,"m":1}`, `{"time":"2026-01-02T00:00:01Z","n":9007199254740992,"m":"x"}`, `{"time":"2026-01-02T00:00:02Z","n":-9223372036854775808}`},
		"/two": {`{"time":"2026-01-02T00:00:03Z","n":9223372036854775807,"m":"9007199254740993"}`, `{"time":"2026-01-02T00:00:04Z","n":9223372036854775807}`},
	}))
	for _, c := range []struct{ text, want string }{
		{"filter @log like '/one' | stats sum(n) as s", "-9205357638345293823"},
		{"filter @log like '/two' | stats sum(n) as s", "18446744073709551614"}, // no 64 bits hold it
		{"filter @log like '/one' and n > 0 | stats sum(n) as s | filter s = 18014398509481985", "18014398509481985"},
		{"filter @log like '/two' | stats sum(n) as s | filter s > 9223372036854775807 | fields ispresent(toLong(s)) as fits", "18446744073709551614 0"},
		{"filter @log like '/two' | stats sum(n) as s by @log | stats sum(s) as s | display s", "18446744073709551614"},
		{"stats max(n), min(n)", "9223372036854775807 -9223372036854775808"},
		{"filter n = 9007199254740993 | stats max(n)", "9007199254740993"},
		{"filter n > 9007199254740992 and n < 9007199254740994 | stats max(n)", "9007199254740993"},
		{"filter m = 9007199254740993 | stats max(toLong(m))", "9007199254740993"},
		{"filter m > 9007199254740992 | stats max(m)", "9007199254740993"},
		{"filter n = m | stats max(n)", ""},
		{"filter n > 9223372036854775806 | stats count(*)", "2"},
		{"filter n >= 9223372036854775808 | stats count(*)", ""},
		{"filter n < 9223372036854775808 | stats count(*)", "5"},
		{"stats sum(n) / 2 as h, sum(m) as m", "4620693217682129000 9007199254740992"}, // arithmetic is in floats, and so are sums of text
	} {
		for _, e := range []*Engine{pruning, whole} {
			rows, err := e.Query(t.Context(), Request{Text: c.text})
			var lines []string
			if err == nil {
				var b strings.Builder
				err = WriteCSV(&b, rows, CSV{Lang: Insights})
				lines = strings.Split(strings.TrimSpace(b.String()), "\n")[1:]
				rows.Close()
			}
			got := strings.ReplaceAll(strings.TrimSpace(strings.Join(lines, "\n")), ",", " ")
			if err != nil || got != c.want {
				t.Errorf("%s\n got %s, %v\nwant %s", c.text, got, err, c.want)
			}
		}
	}
	// What 64 bits do not hold goes into columns of floats elsewhere (Arrow, Parquet).
	for _, text := range []string{"stats sum(n) as s", "stats sum(n) as s by n | stats max(s) as s", "stats sum(n) as s | filldown s | display coalesce(s, 0) as s"} {
		rows, err := pruning.Query(t.Context(), Request{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if c := rows.Columns()[0]; c.Type != plan.Float {
			t.Errorf("%s: the column is of type %d, want float", text, c.Type)
		}
		rows.Close()
	}
}

func TestMisspeltFields(t *testing.T) {
	e, whole := storeEngines(t, discoveredStore(t))
	for text, want := range map[string]string{
		"fields eventNam | limit 1":                                 "no record here has the field eventNam: did you mean eventName?",
		"filter useridentity.arn = 'x' | fields eventName":          "no record here has the field useridentity.arn: did you mean userIdentity.arn?",
		"stats count(*) by @requestid":                              "no record here has the field @requestid: did you mean @requestId?",
		"filter query_nam = 'a' or query_nam = 'b'":                 "no record here has the field query_nam: did you mean query_name?",
		"fields eventName, srcAddr, user.nome, @data_format, rcode": "", // user is JSON: what is in it is not known
		"filter @datasource_name = 'x'":                             "no record here has the field @datasource_name: did you mean @data_source_name?",
		"fields nothing, errorCode, x.y, a.b":                       "",
	} {
		for _, e := range []*Engine{e, whole} {
			// Any name may be in the JSON of Lambda's.
			r, err := e.Query(t.Context(), Request{Text: text, Groups: []string{"/trail", "/r53", "/resolver", "/vpc", "/odd"}})
			var got string
			if err == nil {
				for r.Next() {
				}
				got, err = strings.Join(r.Stats().Notices, "; "), r.Err()
				r.Close()
			}
			if err != nil || got != want {
				t.Errorf("%s: notices %q, %v, want %q", text, got, err, want)
			}
		}
	}
	// Of SQL the same is an error, and nothing is near in a store of words.
	r, err := e.Query(t.Context(), Request{Text: "fields eventNam", Groups: []string{"/words"}})
	if _, err = read(r, err); err != nil || len(r.Stats().Notices) > 0 {
		t.Errorf("a field that nothing is like: %v, %v", r.Stats().Notices, err)
	}
}

func TestMisspeltFieldsBound(t *testing.T) {
	var many []Field
	for i := range maxCompared + 100 {
		many = append(many, Field{Path: fmt.Sprint("field", i), Type: plan.Text})
	}
	s := &scan{parts: []Part{&fakePart{fields: many}}, schemas: newSchemas("1", false)}
	if got := s.fieldNames([]*partGroup{{parts: []int{0}}}); len(got) != maxCompared {
		t.Errorf("a name is compared with %d others, want %d", len(got), maxCompared)
	}
}
