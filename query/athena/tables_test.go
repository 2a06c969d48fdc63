package athena

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward"
	"trailward/query/plan"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

var tableData = map[trailward.Kind][]record{
	trailward.KindCloudTrail: {
		{"@timestamp": at("2024-05-01T10:00:00Z"), "@kind": "aws.cloudtrail", "eventTime": "2024-05-01T10:00:00Z", "eventName": "GetObject", "eventSource": "s3.amazonaws.com", "awsRegion": "us-east-1",
			"sourceIPAddress": "198.51.100.7", "userIdentity.arn": "arn:aws:iam::111122223333:user/ann", "userIdentity.type": "IAMUser", "userIdentity": `{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann"}`,
			"requestParameters": `{"bucketName":"logs","key":"a/b","tags":{"x":["1","2"]}}`, "requestParameters.bucketName": "logs", "requestParameters.key": "a/b", "requestParameters.tags": `{"x":["1","2"]}`,
			"resources":       `[{"ARN":"arn:aws:s3:::logs","accountId":"111122223333","type":"AWS::S3::Bucket"},{"ARN":"arn:aws:s3:::logs/a","type":"AWS::S3::Object"}]`,
			"resources.0.ARN": "arn:aws:s3:::logs", "resources.0": `{"ARN":"arn:aws:s3:::logs"}`, "readOnly": "true", "recipientAccountId": "111122223333", "eventID": "e1", "additionalEventData.bytesTransferredOut": "300",
			"userIdentity.sessionContext.attributes.mfaAuthenticated": "false", "@message": `{"eventID":"e1"}`, "@log": "trail", "@logStream": "s"},
		{"@timestamp": at("2024-05-06T07:00:00Z"), "@kind": "aws.cloudtrail", "eventTime": "2024-05-06T07:00:00Z", "eventName": "DeleteBucket", "eventSource": "s3.amazonaws.com", "awsRegion": "eu-west-1",
			"sourceIPAddress": "cloudformation.amazonaws.com", "userIdentity.arn": "arn:aws:iam::111122223333:user/bob", "userIdentity.type": "IAMUser", "errorCode": "AccessDenied",
			"readOnly": "false", "recipientAccountId": "111122223333", "eventID": "e2", "additionalEventData.bytesTransferredOut": "12"},
	},
	trailward.KindVPCFlow: {
		{"@timestamp": at("2024-05-06T00:00:10Z"), "version": 2, "account-id": "111122223333", "interface-id": "eni-1", "srcaddr": "10.0.0.1", "dstaddr": "198.51.100.7", "srcport": 44321, "dstport": 443, "protocol": 6,
			"packets": 10, "bytes": 5000000000, "start": 1714953600, "end": 1714953660, "action": "ACCEPT", "log-status": "OK"},
		{"@timestamp": at("2024-05-06T00:01:10Z"), "version": 2, "account-id": "111122223333", "interface-id": "eni-1", "srcaddr": "203.0.113.9", "dstaddr": "10.0.0.1", "srcport": 5555, "dstport": 22, "protocol": 6,
			"packets": 1, "bytes": 40, "start": 1714953660, "end": 1714953720, "action": "REJECT", "log-status": "OK"},
		{"@timestamp": at("2024-05-06T00:02:10Z"), "version": 2, "account-id": "111122223333", "interface-id": "eni-2", "action": "-", "log-status": "NODATA", "start": 1714953720, "end": 1714953780},
	},
	trailward.KindDNS: {
		{"@timestamp": at("2024-05-06T00:00:00Z"), "query_name": "a.example.", "query_type": "A", "answers": `[{"Rdata":"203.0.113.2","Type":"A","Class":"IN"}]`, "srcids.instance": "i-1", "srcids": `{"instance":"i-1"}`, "srcport": 53, "vpc_id": "vpc-1"},
	},
	trailward.KindWAF: {
		{"@timestamp": at("2024-05-06T00:00:00Z"), "timestamp": 1714953600123, "action": "BLOCK", "httpRequest.clientIp": "203.0.113.9", "terminatingRuleId": "r1"},
	},
	trailward.KindK8sAudit: {
		{"@timestamp": at("2024-05-06T06:00:00Z"), "@kind": "k8s.audit", "auditID": "u1", "verb": "create", "user.username": "ann", "user.groups": `["system:masters","dev"]`, "objectRef.resource": "pods", "objectRef.subresource": "exec", "responseStatus.code": 101,
			"requestReceivedTimestamp": "2024-05-06T06:00:00.123456Z", "annotations.authorization\\.k8s\\.io/decision": "allow", "sourceIPs": `["10.1.1.1"]`, "sourceIPs.0": "10.1.1.1", "stage": "ResponseComplete", "@log": "/eks/prod/audit", "@message": "{}"},
	},
	trailward.KindJSON: {
		{"@timestamp": at("2024-05-06T05:00:00Z"), "@kind": "json", "level": "error", "status": 503, "http.path": "/x", "@message": "{}", "Mixed": "m", "time": "own"},
		{"@timestamp": at("2024-05-06T05:00:01Z"), "@kind": "json", "level": "info", "status": 200, "http.path": "/y", "@message": "{}"},
	},
}

// TestTables runs queries over records and compares all rows, joined by "; ".
func TestTables(t *testing.T) {
	opts := options(t)
	opts.Tables = map[string]trailward.Kind{"My_Trail": trailward.KindCloudTrail, "everything": ""}
	for _, c := range []struct{ name, query, cols, rows string }{
		{"names in any case", "SELECT eventName, EVENTSOURCE, awsRegion FROM cloudtrail WHERE eventid = 'e1'", "eventname eventsource awsregion", "GetObject s3.amazonaws.com us-east-1"},
		{"nested", "SELECT userIdentity.arn, useridentity.sessioncontext.attributes.mfaauthenticated FROM cloudtrail_logs WHERE eventID = 'e1'", "arn mfaauthenticated", "arn:aws:iam::111122223333:user/ann false"},
		{"alias", "SELECT ct.userIdentity.arn AS who FROM cloudtrail_logs ct WHERE ct.eventName = 'DeleteBucket'", "who", "arn:aws:iam::111122223333:user/bob"},
		{"database and table", `SELECT "db"."cloudtrail_x".eventname FROM "db"."cloudtrail_x" WHERE cloudtrail_x.errorcode IS NOT NULL`, "eventname", "DeleteBucket"},
		{"backticks", "SELECT `userIdentity.arn` AS a, `resources.0.ARN` AS r FROM `YOUR_CLOUDTRAIL_LOG_GROUP` WHERE `requestParameters.bucketName` = 'logs'", "a r", "arn:aws:iam::111122223333:user/ann arn:aws:s3:::logs"},
		{"a table of the caller's", "SELECT count(*) FROM my_trail", "_col0", "2"},
		{"all kinds", "SELECT kind, count(*) AS n FROM everything WHERE kind IS NOT NULL GROUP BY kind ORDER BY n DESC, kind", "kind n", "aws.cloudtrail 2; json 2; k8s.audit 1"},
		{"logs", "SELECT kind, useridentity.arn FROM logs WHERE eventname = 'DeleteBucket'", "kind arn", "aws.cloudtrail arn:aws:iam::111122223333:user/bob"},
		{"a path in JSON", "SELECT requestParameters.bucketName AS b, requestparameters.tags.x[2] AS x FROM cloudtrail WHERE eventid = 'e1'", "b x", "logs NULL"},
		{"json_extract_scalar", "SELECT json_extract_scalar(requestparameters, '$.key') AS k, json_extract_scalar(requestparameters, '$.tags.x[1]') AS x FROM cloudtrail WHERE eventid = 'e1'", "k x", "a/b 2"},
		{"JSON is text", "SELECT eventname FROM cloudtrail WHERE requestparameters LIKE '%\"bucketName\":\"logs\"%'", "eventname", "GetObject"},
		{"arrays of rows", "SELECT element_at(resources, 1).arn AS a, resources[1].ARN AS b, cardinality(resources) AS n FROM cloudtrail WHERE eventid = 'e1'", "a b n", "arn:aws:s3:::logs arn:aws:s3:::logs 2"},
		{"unnest rows", "SELECT eventname, r.arn, r.type FROM cloudtrail CROSS JOIN UNNEST(resources) AS t(r) ORDER BY r.arn", "eventname arn type", "GetObject arn:aws:s3:::logs AWS::S3::Bucket; GetObject arn:aws:s3:::logs/a AWS::S3::Object"},
		{"unnest rows into columns", "SELECT arn, accountid FROM cloudtrail CROSS JOIN UNNEST(resources) AS t(arn, accountid, type) ORDER BY 1", "arn accountid", "arn:aws:s3:::logs 111122223333; arn:aws:s3:::logs/a NULL"},
		{"unnest with ordinality", "SELECT r.type, o FROM cloudtrail CROSS JOIN UNNEST(resources) WITH ORDINALITY AS t(r, o) ORDER BY o", "type o", "AWS::S3::Bucket 1; AWS::S3::Object 2"},
		{"unnest of two", "SELECT a, b FROM UNNEST(ARRAY[1, 2], ARRAY['x']) AS t(a, b) ORDER BY a", "a b", "1 x; 2 NULL"},
		{"unnest of a map", "SELECT k, v FROM UNNEST(map(ARRAY['a', 'b'], ARRAY[1, 2])) AS t(k, v) ORDER BY k", "k v", "a 1; b 2"},
		{"unnest of two from a table", "SELECT a, b FROM cloudtrail CROSS JOIN UNNEST(split(eventname, 't'), ARRAY[1]) AS t(a, b) WHERE eventid = 'e1' ORDER BY b NULLS LAST, a", "a b", "Ge 1;  NULL; Objec NULL"},
		{"left join unnest", "SELECT eventid, r.type FROM cloudtrail LEFT JOIN UNNEST(resources) AS t(r) ON true ORDER BY eventid, 2", "eventid type", "e1 AWS::S3::Bucket; e1 AWS::S3::Object; e2 NULL"},
		{"text against time", "SELECT eventid FROM cloudtrail WHERE eventtime > current_timestamp - interval '1' hour", "eventid", "e2"},
		{"text against text", "SELECT eventid FROM cloudtrail WHERE eventtime BETWEEN '2024-05-01T00:00:00Z' AND '2024-05-02T00:00:00Z'", "eventid", "e1"},
		{"truth as text and as itself", "SELECT eventid FROM cloudtrail WHERE readonly = 'true' AND readonly = true", "eventid", "e1"},
		{"text against numbers", "SELECT eventid FROM cloudtrail WHERE additionaleventdata.bytestransferredout > 100", "", ""},
		{"sum of text", "SELECT sum(CAST(additionalEventData.bytesTransferredOut AS BIGINT)) AS n, sum(additionalEventData.bytesTransferredOut) AS m FROM cloudtrail WHERE additionalEventData.bytesTransferredOut IN (300, 12)", "n m", "312 312"},
		{"partition columns", "SELECT year, month, day, hour, date_partition, region_partition, account_partition FROM cloudtrail WHERE date_partition >= '2024/05/02' AND year = '2024'", "year month day hour date_partition region_partition account_partition", "2024 05 06 07 2024/05/06 eu-west-1 111122223333"},
		{"partition by function", "SELECT eventid FROM cloudtrail WHERE date_partition >= date_format(date_add('day', -3, current_timestamp), '%Y/%m/%d')", "eventid", "e2"},
		{"system columns", `SELECT "@timestamp", timestamp, "group", "@logStream", message FROM cloudtrail WHERE eventid = 'e1'`, "@timestamp timestamp group @logstream message", `2024-05-01 10:00:00 2024-05-01 10:00:00 trail s {"eventID":"e1"}`},
		{"day of a timestamp", "SELECT eventid FROM cloudtrail WHERE timestamp <= '2024/05/01'", "eventid", "e1"},
		{"having an alias", "SELECT eventsource, count(*) AS calls FROM cloudtrail GROUP BY eventsource HAVING calls > 1 ORDER BY calls DESC", "eventsource calls", "s3.amazonaws.com 2"},
		{"order by what is not shown", "SELECT eventname FROM cloudtrail ORDER BY eventtime DESC LIMIT 1", "eventname", "DeleteBucket"},
		{"order by result name", "SELECT userIdentity.arn FROM cloudtrail ORDER BY arn DESC LIMIT 1", "arn", "arn:aws:iam::111122223333:user/bob"},
		{"distinct, order", "SELECT DISTINCT eventsource FROM cloudtrail ORDER BY eventsource", "eventsource", "s3.amazonaws.com"},
		{"addresses", "SELECT eventid FROM cloudtrail WHERE NOT (CAST(sourceipaddress AS IPADDRESS) > IPADDRESS '10.0.0.0' AND CAST(sourceipaddress AS IPADDRESS) < IPADDRESS '10.255.255.255')", "eventid", "e1"},
		{"arrays of groups", "SELECT awsregion, array_agg(DISTINCT(sourceipaddress) ORDER BY sourceipaddress) AS ips FROM cloudtrail GROUP BY awsregion ORDER BY awsregion", "awsregion ips", "eu-west-1 [cloudformation.amazonaws.com]; us-east-1 [198.51.100.7]"},
		{"whole structs", "SELECT useridentity FROM cloudtrail WHERE eventid = 'e1'", "useridentity", `{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann"}`},

		{"flow names", "SELECT sourceaddress, destinationport, sum(numbytes) AS b FROM vpcflow WHERE action = 'ACCEPT' GROUP BY sourceaddress, destinationport", "sourceaddress destinationport b", "10.0.0.1 443 5000000000"},
		{"flow types", "SELECT interface_id, from_unixtime(start) AS s, bytes / 3 AS t, dstport = '22' AS ssh FROM vpc_flow_logs WHERE protocol = 6 AND dstport IN (22, 80)", "interface_id s t ssh", "eni-1 2024-05-06 00:01:00 13 true"},
		{"flow nulls", "SELECT count(*) AS n, count(srcaddr) AS m FROM vpc_flow WHERE log_status = 'NODATA'", "n m", "1 0"},
		{"flow dates", "SELECT day, day_of_week(date) AS d FROM vpc_flow_logs WHERE date > current_date - interval '7' day AND day >= '2024/05/01' LIMIT 1", "day d", "2024/05/06 1"},
		{"no time zone", "SELECT to_iso8601(from_unixtime(\"end\")) AS e FROM vpc_flow WHERE dstport = 22", "e", "2024-05-06T00:02:00.000Z"},
		{"subnet", "SELECT srcaddr FROM vpc_flow WHERE contains('203.0.113.0/24', srcaddr)", "srcaddr", "203.0.113.9"},
		{"join", "SELECT f.srcaddr, t.eventname FROM vpc_flow f JOIN cloudtrail t ON t.sourceipaddress = f.dstaddr", "srcaddr eventname", "10.0.0.1 GetObject"},
		{"join using", "SELECT account_id, count(*) AS n FROM vpc_flow JOIN cloudtrail USING (account_id) GROUP BY account_id", "account_id n", "111122223333 6"},
		{"star of using", "SELECT * FROM (SELECT srcaddr, dstport FROM vpc_flow WHERE dstport = 22) a JOIN (SELECT dstport, action FROM vpc_flow) b USING (dstport)", "dstport srcaddr action", "22 203.0.113.9 REJECT"},
		{"full join using", "SELECT k FROM (VALUES (1), (2)) a(k) FULL OUTER JOIN (VALUES (2), (3)) b(k) USING (k) ORDER BY k", "k", "1; 2; 3"},

		{"dns lambda", "SELECT query_name FROM r53dns WHERE contains(transform(answers, x -> x.rdata), '203.0.113.2')", "query_name", "a.example."},
		{"dns filter", "SELECT cardinality(array_distinct(filter(array_agg(srcids), q -> q.instance IS NOT NULL))) AS n, srcids.instance FROM route53_logs GROUP BY srcids.instance", "n instance", "1 i-1"},
		{"waf has a timestamp of its own", "SELECT httprequest.clientip, action FROM waf_logs WHERE timestamp BETWEEN 1714953600000 AND 1714953600999", "clientip action", "203.0.113.9 BLOCK"},

		{"audit", `SELECT "user".username, objectref.resource || '/' || objectref.subresource AS what, responsestatus.code + 1 AS c FROM k8s_audit WHERE annotations['authorization.k8s.io/decision'] = 'allow'`, "username what c", "ann pods/exec 102"},
		{"audit arrays", "SELECT sourceips[1] AS ip, g FROM eks_audit_logs CROSS JOIN UNNEST(user.groups) AS t(g) WHERE contains(user.groups, 'dev') ORDER BY g", "ip g", "10.1.1.1 dev; 10.1.1.1 system:masters"},
		{"audit time", "SELECT date_trunc('hour', from_iso8601_timestamp(requestreceivedtimestamp)) AS h FROM k8s_audit WHERE requestreceivedtimestamp > timestamp '2024-05-06 05:00:00'", "h", "2024-05-06 06:00:00"},

		{"fields that nobody documented", "SELECT level, status, http.path FROM json WHERE status >= 500", "level status path", "error 503 /x"},
		{"numbers of found fields", "SELECT sum(status) AS s, avg(status) AS a, max(status) AS m, count_if(status = 200) AS n FROM json", "s a m n", "703 351.5 503 1"},
		{"group by found fields", "SELECT level, count(*) AS n FROM json GROUP BY level ORDER BY level", "level n", "error 1; info 1"},
		{"an alias goes before an unknown field", "SELECT upper(level) AS lvl FROM json WHERE lvl = 'ERROR' GROUP BY lvl ORDER BY lvl", "lvl", "ERROR"},
		{"nothing has it", "SELECT nosuchfield FROM json LIMIT 1", "nosuchfield", "NULL"},
		{"count only", "SELECT count(*) FROM json, dns", "_col0", "2"},

		{"with", "WITH a AS (SELECT eventname, requestparameters FROM cloudtrail), b(n) AS (SELECT eventname FROM a) SELECT n, requestparameters.key FROM a JOIN b ON n = a.eventname ORDER BY n", "n key", "DeleteBucket NULL; GetObject a/b"},
		{"subqueries", "SELECT eventname, (SELECT count(*) FROM vpc_flow f WHERE f.dstaddr = t.sourceipaddress) AS n FROM cloudtrail t WHERE t.eventid IN (SELECT eventid FROM cloudtrail WHERE errorcode IS NULL)", "eventname n", "GetObject 1"},
		{"exists, correlated without names", "SELECT eventname FROM cloudtrail WHERE EXISTS (SELECT 1 FROM vpc_flow WHERE dstaddr = sourceipaddress)", "eventname", "GetObject"},
		{"star of a subquery", "SELECT * FROM (SELECT eventname, userIdentity.arn FROM cloudtrail) WHERE arn LIKE '%bob'", "eventname arn", "DeleteBucket arn:aws:iam::111122223333:user/bob"},
		{"union", "SELECT eventid, eventname FROM eds1 UNION SELECT eventid, eventname FROM eds2 ORDER BY eventid DESC LIMIT 1", "eventid eventname", "e2 DeleteBucket"},
		{"values", "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, s) ORDER BY n", "n s", "1 a; 2 b"},
		{"values as a query", "VALUES (1, 'a'), (2, 'b')", "col0 col1", "1 a; 2 b"},
		{"windows", "SELECT eventname, row_number() OVER (PARTITION BY eventsource ORDER BY eventtime DESC) AS rn FROM cloudtrail ORDER BY rn", "eventname rn", "DeleteBucket 1; GetObject 2"},
		{"qualify by subquery", "SELECT eventname FROM (SELECT eventname, rank() OVER (ORDER BY eventtime) AS r FROM cloudtrail) WHERE r = 1", "eventname", "GetObject"},
		{"grouping sets", "SELECT awsregion, eventname, count(*) AS n FROM cloudtrail GROUP BY ROLLUP (awsregion, eventname) ORDER BY 1, 2", "awsregion eventname n", "eu-west-1 DeleteBucket 1; eu-west-1 NULL 1; us-east-1 GetObject 1; us-east-1 NULL 1; NULL NULL 2"},
		{"unnamed columns", "SELECT count(*), 1, eventname, lower(eventname) FROM cloudtrail WHERE eventid = 'e1' GROUP BY eventname", "_col0 _col1 eventname _col3", "1 1 GetObject getobject"},
		{"an alias in GROUP BY is the result's column", "SELECT date_format(timestamp, '%Y') AS day, count(*) AS n FROM cloudtrail GROUP BY day", "day n", "2024 2"},
		{"a column in GROUP BY is the column", "SELECT upper(eventname) AS eventname, count(*) AS n FROM cloudtrail GROUP BY eventname ORDER BY 1", "eventname n", "DELETEBUCKET 1; GETOBJECT 1"},
		{"an alias in WHERE", "SELECT length(eventname) AS len FROM cloudtrail WHERE len > 10", "len", "12"},
		{"an alias in the select list", "SELECT length(eventname) AS len, len + 1 AS more FROM cloudtrail WHERE eventid = 'e2'", "len more", "12 13"},
		{"if", "SELECT if(errorcode IS NULL, 'ok', errorcode) AS r FROM cloudtrail ORDER BY r", "r", "AccessDenied; ok"},
		{"names with quotes", `SELECT eventname AS "it's ""x""; --" FROM cloudtrail WHERE eventid = 'e1'`, `it's "x"; --`, "GetObject"},
		{"a string like a name", `SELECT '"x"' || '` + "`y`" + `' AS s FROM cloudtrail WHERE eventid = 'e1'`, "s", "\"x\"`y`"},
		{"event data store", "SELECT element_at(requestParameters, 'bucketName') AS b FROM 12345678-abcd-1234-abcd-123456789012 WHERE eventid = 'e1'", "b", "logs"},
		{"placeholder", "SELECT eventid FROM <event-data-store-ID> WHERE errorcode IS NOT NULL", "eventid", "e2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cols == "" {
				return
			}
			cols, rows, err := run(t, c.query, opts, tableData)
			if err != nil {
				t.Fatalf("run(%s) = %v", c.query, err)
			}
			var lines []string
			for _, r := range rows {
				lines = append(lines, strings.Join(r, " "))
			}
			got := strings.Join(lines, "; ")
			if strings.Join(cols, " ") != c.cols || got != c.rows {
				t.Errorf("run(%s) = %q %q, want %q %q", c.query, strings.Join(cols, " "), got, c.cols, c.rows)
			}
		})
	}
}

// TestStars holds the documented columns of every table to run.
func TestStars(t *testing.T) {
	opts := options(t)
	for name := range tableNames {
		cols, _, err := run(t, "SELECT * FROM "+name, opts, tableData)
		if err != nil {
			t.Errorf("SELECT * FROM %s = %v", name, err)
		}
		if len(cols) < 2 {
			t.Errorf("SELECT * FROM %s has columns %v, want more", name, cols)
		}
		// Every name that the table has can be asked for.
		for col := range tables[tableNames[name]].cols {
			if _, _, err := run(t, "SELECT "+quoteIdent(col)+" FROM "+name+" LIMIT 1", opts, tableData); err != nil {
				t.Errorf("SELECT %s FROM %s = %v", col, name, err)
			}
		}
	}
}

func TestTableNames(t *testing.T) {
	for _, c := range []struct {
		schema, name string
		want         trailward.Kind
		ok           bool
		hint         string
	}{
		{"", "k8s_audit", trailward.KindK8sAudit, true, ""}, {"", "LOGS", "", true, ""}, {"", "cloudtrail_logs_111", trailward.KindCloudTrail, true, ""},
		{"db", "irworkshopgluetablecloudtrail", trailward.KindCloudTrail, true, ""}, {"", "vpcflow", trailward.KindVPCFlow, true, ""}, {"", "test_table_vpclogs", trailward.KindVPCFlow, true, ""},
		{"", "r53_rlogs", trailward.KindDNS, true, ""}, {"", "waf_logs", trailward.KindWAF, true, ""}, {"amazon_vpc__flow", "<table>", trailward.KindVPCFlow, true, ""},
		{"", "12345678-abcd-1234-abcd-123456789012", trailward.KindCloudTrail, true, ""}, {"", "EDS2", trailward.KindCloudTrail, true, ""}, {"", "own", trailward.KindText, true, ""},
		{"", "cloudtrial", "", false, "did you mean cloudtrail?"}, {"", "aga_flow_logs", "", false, "Global Accelerator"}, {"", "users", "", false, "--table users=KIND"},
		{"cloudtrail_db", "users", "", false, "known are"}, {"", "amazon_security_lake_table_x_cloud_trail_mgmt_1_0", "", false, "OCSF"}, {"", "/etc/cloudtrail", trailward.KindCloudTrail, true, ""},
	} {
		kind, ok, hint := tableKind(map[string]trailward.Kind{"OWN": trailward.KindText}, c.schema, c.name)
		if kind != c.want || ok != c.ok || !strings.Contains(hint, c.hint) {
			t.Errorf("tableKind(%q, %q) = %q, %v, %q, want %q, %v, %q", c.schema, c.name, kind, ok, hint, c.want, c.ok, c.hint)
		}
	}
}

// TestScans holds what a query asks of its scans.
func TestScans(t *testing.T) {
	opts := options(t)
	opts.Fields = func(k trailward.Kind) []string {
		switch k {
		case trailward.KindJSON:
			return []string{"message", "Level", "level", "a.b", "doc", `k8s\.io/name`, "UserName"}
		case trailward.KindCloudTrail:
			return []string{"eventName", "userIdentity.arn", "newField.Inner"}
		}
		return nil
	}
	for _, c := range []struct{ query, want string }{
		{"SELECT eventname, useridentity.arn FROM cloudtrail WHERE year = '2024'", "aws.cloudtrail: eventName userIdentity.arn @timestamp"},
		{"SELECT count(*) FROM vpc_flow", "aws.vpcflow:"},
		{"SELECT newfield.inner FROM cloudtrail", "aws.cloudtrail: newField.Inner"},
		{"SELECT newfield FROM cloudtrail", "aws.cloudtrail: newField"},
		{"SELECT a.eventname, b.eventname FROM cloudtrail a, cloudtrail b WHERE a.eventid = b.requestid", "aws.cloudtrail: eventName eventID | aws.cloudtrail: eventName requestID"},
		{"SELECT message, username, a.b, doc.x.y FROM json", "json: UserName a.b doc.x.y message"},
		{"SELECT Level, level FROM json", "json: Level level"},
		{`SELECT "k8s.io/name" FROM json`, `json: k8s\.io/name`},
		{`SELECT "@message" FROM json`, "json: @message"},
		{"SELECT annotations['a.b/c'], \"annotations\"['x'] FROM k8s_audit", `k8s.audit: annotations.a\.b/c annotations.x`},
		{"SELECT 1", ""},
	} {
		q, err := Prepare(c.query, opts)
		if err != nil {
			t.Errorf("Prepare(%s) = %v", c.query, err)
			continue
		}
		var out []string
		for _, s := range q.Scans() {
			line := string(s.Kind) + ":"
			var fields []string
			for _, f := range s.Fields {
				fields = append(fields, f.Key())
			}
			for _, f := range fields {
				line += " " + f
			}
			out = append(out, line)
		}
		got := strings.Join(out, " | ")
		if !sameWords(got, c.want) {
			t.Errorf("scans of %s = %q, want %q", c.query, got, c.want)
		}
	}
	for _, c := range []struct{ query, want string }{
		{"SELECT LEVEL FROM json", "differ only in case"},
		{"SELECT newfeild FROM cloudtrail", "not known"},
	} {
		if _, err := Prepare(c.query, opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Prepare(%s) = %v, want %q", c.query, err, c.want)
		}
	}
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// TestColumns holds the types of a result.
func TestColumns(t *testing.T) {
	opts := options(t)
	q, err := Prepare(`SELECT eventname, "@timestamp" AS t, resources, count(*) AS n, 1.5e0 AS f, true AS b, array_agg(eventid) AS l FROM cloudtrail GROUP BY 1, 2, 3`, opts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range q.Columns() {
		got = append(got, fmt.Sprintf("%s %d", c.Name, c.Type))
	}
	want := []string{fmt.Sprintf("eventname %d", plan.Text), fmt.Sprintf("t %d", plan.Time), fmt.Sprintf("resources %d", plan.JSON), fmt.Sprintf("n %d", plan.Int),
		fmt.Sprintf("f %d", plan.Float), fmt.Sprintf("b %d", plan.Bool), fmt.Sprintf("l %d", plan.List)}
	if !slices.Equal(got, want) {
		t.Errorf("Columns() = %v, want %v", got, want)
	}
}
