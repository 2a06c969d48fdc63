package demo

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"trailward"
)

// call is what differs from one CloudTrail record to the next.
type call struct {
	at        time.Time
	identity  string // JSON of userIdentity
	source    string // eventSource
	name      string // eventName
	from      string // sourceIPAddress
	agent     string
	request   string // JSON of requestParameters
	response  string // JSON of responseElements
	extra     string // JSON of additionalEventData, or empty
	errorCode string
	errorText string
	readOnly  bool
	eventType string // AwsApiCall when empty
}

// cloudTrailRecord writes a record in the order in which CloudTrail does.
func (s *story) cloudTrailRecord(c call) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"eventVersion":"1.11","userIdentity":%s,"eventTime":%q,"eventSource":%q,"eventName":%q,"awsRegion":%q,"sourceIPAddress":%q,"userAgent":%q`,
		c.identity, c.at.Format(time.RFC3339), c.source, c.name, region, c.from, c.agent)
	if c.errorCode != "" {
		fmt.Fprintf(&b, `,"errorCode":%q,"errorMessage":%q`, c.errorCode, c.errorText)
	}
	fmt.Fprintf(&b, `,"requestParameters":%s,"responseElements":%s`, orNull(c.request), orNull(c.response))
	if c.extra != "" {
		fmt.Fprintf(&b, `,"additionalEventData":%s`, c.extra)
	}
	kind := c.eventType
	if kind == "" {
		kind = "AwsApiCall"
		fmt.Fprintf(&b, `,"requestID":%q`, s.r.uuid())
	}
	fmt.Fprintf(&b, `,"eventID":%q,"readOnly":%t,"eventType":%q,"managementEvent":true,"recipientAccountId":%q,"eventCategory":"Management"`,
		s.r.uuid(), c.readOnly, kind, account)
	if c.extra == "" {
		fmt.Fprintf(&b, `,"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"%s"}`, strings.Replace(c.source, ".", "."+region+".", 1))
	}
	b.WriteString("}")
	return b.String()
}

func orNull(json string) string {
	if json == "" {
		return "null"
	}
	return json
}

// assumedRole is the identity of a session of a role.
func assumedRole(role, session string) string {
	return fmt.Sprintf(`{"type":"AssumedRole","principalId":"AROAEXAMPLE%s:%s","arn":"arn:aws:sts::%s:assumed-role/%s/%s","accountId":%q,"accessKeyId":"ASIAEXAMPLE%s","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE%s","arn":"arn:aws:iam::%s:role/%s","accountId":%q,"userName":%q},"attributes":{"creationDate":"2026-01-01T00:00:00Z","mfaAuthenticated":"false"}}}`,
		strings.ToUpper(shortSum(role)), session, account, role, session, account, strings.ToUpper(shortSum(session)), strings.ToUpper(shortSum(role)), account, role, account, role)
}

const rootIdentity = `{"type":"Root","principalId":"` + account + `","arn":"arn:aws:iam::` + account + `:root","accountId":"` + account + `","accessKeyId":""}`

func iamUser(name, mfa string) string {
	return fmt.Sprintf(`{"type":"IAMUser","principalId":"AIDAEXAMPLE%s","arn":"arn:aws:iam::%s:user/%s","accountId":%q,"userName":%q,"sessionContext":{"attributes":{"creationDate":"2026-01-01T00:00:00Z","mfaAuthenticated":%q}}}`,
		strings.ToUpper(shortSum(name)), account, name, account, name, mfa)
}

const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"

// consoleLogin is a sign-in to the management console.
func (s *story) consoleLogin(at time.Time, identity, from, mfa, result string) call {
	c := call{
		at: at, identity: identity, source: "signin.amazonaws.com", name: "ConsoleLogin", from: from, agent: browser,
		response:  fmt.Sprintf(`{"ConsoleLogin":%q}`, result),
		extra:     fmt.Sprintf(`{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":%q}`, mfa),
		eventType: "AwsConsoleSignIn",
	}
	if result == "Failure" {
		c.errorCode, c.errorText = "Failed authentication", "Failed authentication"
	}
	return c
}

// cloudTrail is one delivery as CloudTrail leaves it in a bucket.
func (s *story) cloudTrail() Sample {
	var l lines
	add := func(c call) { l.add(c.at, s.cloudTrailRecord(c)) }
	for range s.count(150) {
		c := call{at: s.at(), readOnly: true}
		switch s.r.n(5) {
		case 0:
			c.identity, c.from, c.agent = assumedRole("eks-node", "i-0b7d2f41c6a98e350"), "10.20.1.42", "aws-sdk-go-v2/1.32.4"
			c.source, c.name, c.request = "ec2.amazonaws.com", "DescribeInstances", `{"instancesSet":{},"filterSet":{}}`
		case 1:
			c.identity, c.from, c.agent = assumedRole("eks-node", "i-0b7d2f41c6a98e350"), "10.20.1.42", "aws-sdk-go-v2/1.32.4"
			c.source, c.name, c.request = "ecr.amazonaws.com", "GetAuthorizationToken", `{}`
		case 2:
			c.identity, c.from, c.agent = assumedRole("ehr-backup", "nightly"), "10.20.2.17", "Boto3/1.35.60"
			c.source, c.name = "kms.amazonaws.com", "GenerateDataKey"
			c.request = `{"keyId":"alias/ehr-backup","keySpec":"AES_256"}`
		case 3:
			c.identity, c.from, c.agent = assumedRole("cluster-autoscaler", "autoscaler"), "10.20.1.11", "aws-sdk-go/1.55.5"
			c.source, c.name = "autoscaling.amazonaws.com", "DescribeAutoScalingGroups"
		default:
			c.identity, c.from, c.agent = iamUser("ops-keller", "true"), "192.0.2.10", "aws-cli/2.19.1"
			c.source, c.name, c.request = "s3.amazonaws.com", "ListBuckets", `{"Host":"s3.amazonaws.com"}`
		}
		add(c)
	}
	for _, user := range []string{"ops-keller", "ops-brandt", "billing-meier"} {
		add(s.consoleLogin(s.after(s.start, 8*time.Hour), iamUser(user, "true"), "192.0.2.10", "Yes", "Success"))
	}
	minute := func(m int) time.Time { return s.during(time.Duration(m) * time.Minute) }
	for i := range 4 {
		add(s.consoleLogin(minute(33).Add(time.Duration(i*19)*time.Second), rootIdentity, attacker, "No", "Failure"))
	}
	add(s.consoleLogin(minute(35), rootIdentity, attacker, "No", "Success"))
	root := func(m int, source, name, request, response string) call {
		return call{at: minute(m), identity: rootIdentity, source: source, name: name, from: attacker, agent: browser, request: request, response: response}
	}
	add(root(36, "iam.amazonaws.com", "CreateUser", `{"userName":"svc-monitor"}`, `{"user":{"path":"/","userName":"svc-monitor","userId":"AIDAEXAMPLESVC","arn":"arn:aws:iam::`+account+`:user/svc-monitor"}}`))
	add(root(36, "iam.amazonaws.com", "AttachUserPolicy", `{"userName":"svc-monitor","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`, ""))
	add(root(37, "iam.amazonaws.com", "CreateAccessKey", `{"userName":"svc-monitor"}`, `{"accessKey":{"userName":"svc-monitor","accessKeyId":"AKIAEXAMPLESVC","status":"Active"}}`))
	add(root(39, "cloudtrail.amazonaws.com", "StopLogging", `{"name":"arn:aws:cloudtrail:`+region+`:`+account+`:trail/org-trail"}`, ""))
	add(root(44, "ec2.amazonaws.com", "AuthorizeSecurityGroupIngress", `{"groupId":"sg-0c4e8a1b2d3f45678","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":5432,"toPort":5432,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}}`, `{"_return":true}`))
	guard := call{
		at: minute(47), identity: assumedRole("security-automation", "restore-trail"), source: "cloudtrail.amazonaws.com", name: "StartLogging",
		from: "security-automation.amazonaws.com", agent: "aws-sdk-go-v2/1.32.4", request: `{"name":"arn:aws:cloudtrail:` + region + `:` + account + `:trail/org-trail"}`,
	}
	add(guard)
	var b bytes.Buffer
	b.WriteString(`{"Records":[` + strings.Join(l.sorted(), ",") + `]}`)
	return Sample{
		Name: "cloudtrail.json.gz", Group: GroupTrail, Stream: account + "_CloudTrail_" + region, Kind: trailward.KindCloudTrail,
		Records: len(l), Data: compress(b.Bytes()), plain: b.Bytes(),
	}
}

// trailDigest is the CloudTrail digest file of the day: it names the file with
// the day's events and its hash, with which `trailward ingest` compares it.
func (s *story) trailDigest(trail Sample) Sample {
	name := func(kind, end string) string {
		return "AWSLogs/" + account + "/" + kind + "/" + region + "/" + s.end.Format("2006/01/02") + "/" + end
	}
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	b := fmt.Appendf(nil, `{"awsAccountId":"%s","digestStartTime":"%s","digestEndTime":"%s","digestS3Bucket":"st-mary-trail","digestS3Object":"%s",`+
		`"digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":"%s","oldestEventTime":"%s",`+
		`"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,`+
		`"logFiles":[{"s3Bucket":"st-mary-trail","s3Object":"%s","hashValue":"%x","hashAlgorithm":"SHA-256","newestEventTime":"%s","oldestEventTime":"%s"}]}`,
		account, at(s.start), at(s.end), name("CloudTrail-Digest", "cloudtrail-digest.json.gz"), at(s.end), at(s.start),
		name("CloudTrail", trail.Name), sha256.Sum256(trail.plain), at(s.end), at(s.start))
	return Sample{
		Name: "cloudtrail-digest.json.gz", Group: GroupTrail, Stream: account + "_CloudTrail-Digest_" + region, Kind: trailward.KindTrailDigest,
		Records: 1, Data: compress(b),
	}
}

// compress writes gzip without name and time, so that the bytes are always the
// same. The library's version is fixed in go.mod; the standard library's
// output changes with Go.
func compress(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		panic("demo: compress sample: " + err.Error())
	}
	if err := w.Close(); err != nil {
		panic("demo: compress sample: " + err.Error())
	}
	return b.Bytes()
}

// vpcFlow is a flow log in the default format, with its header.
func (s *story) vpcFlow() Sample {
	var l lines
	flow := func(at time.Time, eni, src, dst string, sport, dport, proto, packets, bytes int, action string) {
		from := at.Truncate(time.Minute)
		l.add(from, fmt.Sprintf("2 %s eni-0%s %s %s %d %d %d %d %d %d %d %s OK",
			account, eni, src, dst, sport, dport, proto, packets, bytes, from.Unix(), from.Unix()+59, action))
	}
	const bastionENI, ehrENI, nodeENI = "3c9ae7d15b2f6480", "8e04b6f7d1c2a953", "5f7721ab90de34c6"
	high := func() int { return s.r.between(32768, 60999) }
	for range s.count(800) {
		packets := s.r.between(4, 400)
		size := packets * s.r.between(60, 900)
		switch s.r.n(8) {
		case 0, 1, 2:
			flow(s.at(), ehrENI, "10.20.1.42", "10.20.5.30", high(), 5432, 6, packets, size, "ACCEPT")
		case 3, 4:
			flow(s.at(), nodeENI, "10.20.7.5", "10.20.1.42", high(), 8443, 6, packets, size, "ACCEPT")
		case 5:
			flow(s.at(), nodeENI, "10.20.1.11", "10.20.0.2", high(), 53, 17, s.r.between(1, 4), s.r.between(70, 400), "ACCEPT")
		default:
			port := s.r.pickPort(22, 23, 23, 80, 443, 445, 3389, 3389, 6379, 8080, 8443, 9200, 10250)
			flow(s.at(), bastionENI, s.r.scanner(), bastion, high(), port, 6, s.r.between(1, 3), s.r.between(40, 180), "REJECT")
		}
	}
	for i, port := range []int{21, 23, 25, 80, 110, 443, 445, 1433, 2375, 2379, 3306, 3389, 5432, 5900, 6379, 6443, 8080, 8443, 9200, 10250, 27017} {
		for range 2 {
			flow(s.during(-20*time.Minute).Add(time.Duration(i)*20*time.Second), bastionENI, attacker, bastion, high(), port, 6, 1, 44, "REJECT")
		}
	}
	for m := range 13 {
		flow(s.during(time.Duration(m)*time.Minute), bastionENI, attacker, bastion, high(), 22, 6, s.r.between(180, 320), s.r.between(24000, 41000), "ACCEPT")
	}
	for m := 40; m < 54; m++ {
		packets := s.r.between(88000, 99000)
		flow(s.during(time.Duration(m)*time.Minute), ehrENI, "10.20.1.42", dropSite, 48712, 443, 6, packets, packets*1421, "ACCEPT")
	}
	l.add(s.end.Add(-time.Minute).Truncate(time.Minute), fmt.Sprintf("2 %s eni-0%s - - - - - - - %d %d - NODATA",
		account, nodeENI, s.end.Add(-time.Minute).Truncate(time.Minute).Unix(), s.end.Truncate(time.Minute).Unix()))
	sample := l.sample("vpc-flow.log", GroupFlow, "eni-all", trailward.KindVPCFlow)
	sample.Data = append([]byte("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"), sample.Data...)
	return sample
}

// dns is a Route 53 Resolver query log.
func (s *story) dns() Sample {
	var l lines
	query := func(at time.Time, name, kind, rcode, from, answer string) {
		answers := "[]"
		if answer != "" {
			answers = fmt.Sprintf(`[{"Rdata":%q,"Type":%q,"Class":"IN"}]`, answer, kind)
		}
		l.add(at, fmt.Sprintf(`{"version":"1.100000","account_id":%q,"region":%q,"vpc_id":%q,"query_timestamp":%q,"query_name":"%s.","query_type":%q,"query_class":"IN","rcode":%q,"answers":%s,"srcaddr":%q,"srcport":"%d","transport":"UDP","srcids":{"instance":"i-0b7d2f41c6a98e350"}}`,
			account, region, vpcID, at.Format("2006-01-02T15:04:05Z"), name, kind, rcode, answers, from, s.r.between(32768, 60999)))
	}
	for range s.count(110) {
		name := s.r.pick("ehr-db.st-mary.internal", "hl7.partner-lab.example", "sts."+region+".amazonaws.com", "registry.st-mary.internal", "time.st-mary.internal")
		query(s.at(), name, "A", "NOERROR", s.r.pick("10.20.1.11", "10.20.1.42", "10.20.2.17"), "10.20.5."+strconv.Itoa(s.r.between(10, 60)))
	}
	query(s.during(39*time.Minute), "drop.paste-sync.example", "A", "NOERROR", "10.20.1.42", dropSite)
	for i := range 24 {
		query(s.during(38*time.Minute).Add(time.Duration(i)*1300*time.Millisecond), s.r.hex(40)+".t.paste-sync.example", "TXT", "NXDOMAIN", "10.20.1.42", "")
	}
	return l.sample("dns.jsonl", GroupDNS, vpcID, trailward.KindDNS)
}

// waf is the log of the web application firewall before the patient portal.
func (s *story) waf() Sample {
	var l lines
	seen := func(at time.Time, from, country, method, path, args, action, rule string) {
		l.add(at, fmt.Sprintf(`{"timestamp":%d,"formatVersion":1,"webaclId":"arn:aws:wafv2:%s:%s:regional/webacl/portal/6f1c2d9e-5b0a-4c37-8a41-d2e97b350f68","terminatingRuleId":%q,"terminatingRuleType":"MANAGED_RULE_GROUP","action":%q,"terminatingRuleMatchDetails":[],"httpSourceName":"ALB","httpSourceId":"%s-app/portal/4a5b6c7d8e9f0a1b","ruleGroupList":[],"rateBasedRuleList":[],"nonTerminatingMatchingRules":[],"httpRequest":{"clientIp":%q,"country":%q,"headers":[{"name":"Host","value":"portal.st-mary.example"},{"name":"User-Agent","value":%q}],"uri":%q,"args":%q,"httpVersion":"HTTP/1.1","httpMethod":%q,"requestId":"1-%s-%s"}}`,
			at.UnixMilli(), region, account, rule, action, account, from, country, s.r.pick(browser, "sqlmap/1.8.10"), path, args, method, s.r.hex(8), s.r.hex(24)))
	}
	for range s.count(40) {
		seen(s.at(), "192.0.2."+strconv.Itoa(s.r.between(20, 250)), "DE", "GET", s.r.pick("/login", "/appointments", "/results"), "", "ALLOW", "Default_Action")
	}
	for i := range 9 {
		seen(s.during(-14*time.Minute).Add(time.Duration(i)*7*time.Second), attacker, "US", "GET", "/results", "id=1%27%20OR%20%271%27=%271--"+strconv.Itoa(i), "BLOCK", "AWS-AWSManagedRulesSQLiRuleSet")
	}
	return l.sample("waf.jsonl", GroupWAF, "portal", trailward.KindWAF)
}

// lambda is the log of a function that mails results to patients, as CloudWatch
// Logs exports it: the event's time stands before each line.
func (s *story) lambda() Sample {
	var l lines
	const layout = "2006-01-02T15:04:05.000Z"
	invoke := func(at time.Time, cold bool, level, message string, ms int) {
		at = at.Truncate(time.Millisecond)
		id := s.r.uuid()
		say := func(after int, text string) {
			t := at.Add(time.Duration(after) * time.Millisecond)
			l.add(t, t.Format(layout)+" "+text)
		}
		if cold {
			say(0, "INIT_START Runtime Version: nodejs:22.v31\tRuntime Version ARN: arn:aws:lambda:"+region+"::runtime:"+s.r.hex(64))
		}
		say(1, "START RequestId: "+id+" Version: $LATEST")
		say(2, at.Add(2*time.Millisecond).Format(layout)+"\t"+id+"\t"+level+"\t"+message)
		say(ms+3, "END RequestId: "+id)
		report := fmt.Sprintf("REPORT RequestId: %s\tDuration: %d.%02d ms\tBilled Duration: %d ms\tMemory Size: 256 MB\tMax Memory Used: %d MB\t", id, ms, s.r.n(100), ms+1, s.r.between(88, 131))
		if cold {
			report += fmt.Sprintf("Init Duration: %d.%02d ms\t", s.r.between(180, 420), s.r.n(100))
		}
		say(ms+4, report)
	}
	for i := range s.count(24) {
		invoke(s.at(), i%6 == 0, "INFO", fmt.Sprintf(`sent {"template":"lab-result","patient":"p-%06d","attachments":%d}`, s.r.n(1e6), s.r.between(0, 3)), s.r.between(40, 900))
	}
	invoke(s.during(44*time.Minute), true, "ERROR", `refused {"template":"export","recipient":"collector@paste-sync.example","attachments":412,"reason":"recipient is not a patient"}`, 12)
	return l.sample("lambda.log", GroupLambda, "results-mailer", trailward.KindLambda)
}
