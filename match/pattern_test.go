package match

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trailward"
)

// check compiles a pattern and matches one record.
func check(t *testing.T, pattern, record string, want bool) {
	t.Helper()
	p, err := Compile(pattern)
	if err != nil {
		t.Errorf("Compile(%q) = %v, want a pattern", pattern, err)
		return
	}
	if got := p.Match([]byte(record), ""); got != want {
		t.Errorf("Compile(%q).Match(%q) = %v, want %v", pattern, record, got, want)
	}
}

// TestTerms has the examples of the user guide for unstructured records, and
// what it leaves open.
func TestTerms(t *testing.T) {
	const (
		bad400 = "[ERROR 400] BAD REQUEST"
		bad401 = "[ERROR 401] UNAUTHORIZED REQUEST"
		bad419 = "[ERROR 419] MISSING ARGUMENTS"
		bad420 = "[ERROR 420] INVALID ARGUMENTS"
	)
	all := []string{bad400, bad401, bad419, bad420}
	tests := []struct {
		name, pattern string
		records       []string
		want          string // a letter for each record
	}{
		{"one term", "ERROR", all, "yyyy"},
		{"in brackets", "ERROR", []string{"[ERROR 400] BAD REQUEST", "error", "an ERRORS"}, "yny"},
		{"two terms", "ERROR ARGUMENTS", all, "nnyy"},
		{"alternatives", "?ERROR ?ARGUMENTS", append(all, "nothing"), "yyyyn"},
		{"alternatives beside a term are ignored", "?ERROR ?WARN INVALID", append(all, "INVALID only"), "nnnyy"},
		{"alternatives beside an excluded term are ignored", "?BAD -INVALID", all, "yyyn"},
		{"excluded term", "ERROR -ARGUMENTS", all, "yynn"},
		{"only an excluded term", "-ERROR", append(all, "fine"), "nnnny"},
		{"phrase", `"INVALID ARGUMENTS"`, all, "nnny"},
		{"excluded phrase", `ERROR -"MISSING ARGUMENTS"`, all, "yyny"},
		{"phrase with brackets", `"[ERROR 401]"`, all, "nynn"},
		{"alternative phrases", `?"BAD REQUEST" ?"MISSING ARGUMENTS"`, all, "ynyn"},
		{"regex within a word", "%AUTHORIZED%", append(all, "AUTHORIZED"), "nynny"},
		{"regex class", "%4[0-9]{2}%", all, "yyyy"},
		{"regex with a blank", "%ERROR 4[01]%", all, "yyyn"},
		{"regex alternatives", "%BAD|INVALID%", all, "ynny"},
		{"regex anchors", `%^\[ERROR%`, append(all, "an [ERROR"), "yyyyn"},
		{"regex dot and escape", `%ERROR\s4\d0\]%`, all, "ynny"},
		{"regex hex escape", `%\x5bERROR%`, all, "yyyy"},
		{"excluded regex", `ERROR -%4[12]%`, all, "yynn"},
		{"alternative regexes", `?%400% ?%420%`, all, "ynny"},
		{"empty", "", all, "yyyy"},
		{"blanks", "  \t", all, "yyyy"},
		{"a phrase of a blank", `" "`, []string{"oneword", ""}, "yy"},
		{"an empty phrase", `""`, []string{"oneword", ""}, "yy"},
		{"a blank phrase beside a term", `" " one`, []string{"oneword", "one word"}, "ny"},
		{"case", "error", all, "nnnn"},
		{"quotes in a phrase", `"say \"hi\""`, []string{`say "hi"`, `say hi`}, "yn"},
		{"backslashes in a phrase", `"C:\temp\\x"`, []string{`C:\temp\x`, `C:\temp\\x`}, "yn"},
		{"underscore", "a_b", []string{"a_b", "a b"}, "yn"},
		{"letters of any language", "Übermaß", []string{"das Übermaß", "das Ubermass"}, "yn"},
		{"bytes that are no text", `"x"`, []string{"\xff\x00x", "\xff"}, "yn"},
		{"lines", "b", []string{"a\nb", "a\nc"}, "yn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, r := range tt.records {
				check(t, tt.pattern, r, tt.want[i] == 'y')
			}
		})
	}
}

// TestLines has the examples of the user guide for space-delimited records.
func TestLines(t *testing.T) {
	const access = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	const flow = `2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK`
	tests := []struct {
		name, pattern, record string
		want                  bool
	}{
		{"names only", `[ip, user, username, timestamp, request, status_code, bytes]`, access, true},
		{"one condition", `[ip, user, username, timestamp, request, status_code = 404, bytes]`, access, true},
		{"wildcard", `[ip, user, username, timestamp, request, status_code = 4*, bytes]`, access, true},
		{"wildcard that fails", `[ip, user, username, timestamp, request, status_code = 5*, bytes]`, access, false},
		{"two conditions", `[ip, user, username, timestamp, request = *.html*, status_code = 4*, bytes]`, access, true},
		{"alternatives in a field", `[ip, user, username, timestamp, request =*.html*, status_code = 404 || status_code = 410, bytes]`, access, true},
		{"alternatives that fail", `[ip, user, username, timestamp, request, status_code = 400 || status_code = 410, bytes]`, access, false},
		{"number", `[ip, user, username, timestamp, request, status_code, bytes > 1000]`, access, true},
		{"number that fails", `[ip, user, username, timestamp, request, status_code, bytes>=1535]`, access, false},
		{"ellipsis", `[..., size, status]`, "a b c 10 OK", true},
		{"ellipsis at the beginning", `[..., request =*.html*, status_code = 4*, bytes]`, access, true},
		{"ellipsis at the end", `[ip = 127.*, ...]`, access, true},
		{"ellipsis in the middle", `[ip=127.0.0.1, ..., status=404, bytes>1000]`, access, true},
		{"ellipsis for no field", `[a, ..., b]`, "x y", true},
		{"ellipsis and too few fields", `[a, ..., b]`, "x", false},
		{"only an ellipsis", `[...]`, "anything at all", true},
		{"regex", `[ip=%127\.0\.0\.[1-9]%, user, username, timestamp, request =*.html*, status_code = 4*, bytes]`, access, true},
		{"regex that fails", `[ip=%^10\.%, ...]`, access, false},
		{"delimiters are stripped", `[ip, user, username, timestamp="10/Oct/2000:13:25:15 -0700", request="GET /index.html HTTP/1.0", status, bytes]`, access, true},
		{"both on a field", `[a, b!=ERROR && b!=WARN, c]`, "1 INFO x", true},
		{"both on a field fails", `[a, b!=ERROR && b!=WARN, c]`, "1 WARN x", false},
		{"and before or", `[a=1 || a>5 && a<7]`, "6", true},
		{"and before or fails", `[a=1 || a>5 && a<7]`, "8", false},
		{"last field takes the rest", `[w1=ERROR, w2]`, "ERROR 400 BAD REQUEST", true},
		{"last field is the rest", `[w1=ERROR, w2="400 BAD*"]`, "ERROR 400 BAD REQUEST", true},
		{"last field alone", `[w1=ERROR, w2=400]`, "ERROR 400", true},
		{"rest keeps its delimiters", `[a, b="\"x\" y"]`, `1 "x" y `, true},
		{"too few fields", `[w1, w2, w3]`, "ERROR 400", false},
		{"no text", `[w1]`, "", false},
		{"terms in brackets", `[w1!=%ERROR%&&w1!=%WARN%, w2]`, "INFO x", true},
		{"flow log", `[version, accountid, interfaceid, srcaddr, dstaddr, srcport, dstport=22, protocol, packets, bytes, start, end, action=ACCEPT, status]`, flow, true},
		{"flow log by address", `[version, account, eni, source=172.31.*, ..., action, status=OK]`, flow, true},
		{"exact text, not number", `[a=404, b]`, "404.0 x", false},
		{"order of what is no number", `[a>1]`, "abc", false},
		{"many blanks", "[a=1,b=2]", "  1 \t 2\r\n", true},
		{"open quote", `[a, b, c]`, `1 "x y`, true},
		{"quote in a word", `[a, b]`, `x"y z"`, true},
		{"quote that goes on", `[a="\"x\"y", b=z]`, `"x"y z`, true},
		{"escaped quote in quotes", `[a="x\\\" y", b=z]`, `"x\" y" z`, true},
		{"empty quotes", `[a="", b]`, `"" x`, true},
		{"bracket that goes on", `[a, b=x]`, `[12:00]: x`, true},
		{"exponent", `[a >= 1e+3]`, "1000", true},
		{"negative", `[a < -1.5]`, "-2", true},
		{"exact integers", `[a > 9007199254740992]`, "9007199254740993", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.pattern, tt.record, tt.want) })
	}
}

// guide is the record of the user guide's page on JSON patterns.
const guide = `{
  "eventType": "UpdateTrail",
  "sourceIPAddress": "111.111.111.111",
  "arrayKey": ["value", "another value"],
  "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
  "SomeObject": null,
  "cluster.name": "c",
  "ThisFlag": true, "ThatFlag": false,
  "user": {"id": 1, "email": "John.Stiles@example.com"},
  "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
  "actions": ["GET", "PUT", "DELETE"],
  "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
  "bandwidth": 80, "latency": 40.5, "refreshRate": 60, "responseTime": 5, "errorCode": 400, "big": 1.5e3,
  "empty": {}, "none": [], "text5": "5", "slash": "a\/b", "unicode": "\u0041\ud834\udd1e", "quote": "say \"hi\"", "star": "a*b"
}`

// TestJSON has the examples of the user guide for JSON records, the CIS
// benchmark's patterns, and what they leave open.
func TestJSON(t *testing.T) {
	const trail = `{"eventName":"ConsoleLogin","eventSource":"signin.amazonaws.com","errorCode":"Client.UnauthorizedOperation","errorMessage":"Failed authentication","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},"eventType":"AwsApiCall","additionalEventData":{"MFAUsed":"No"},"requestParameters":null}`
	tests := []struct {
		name, pattern, record string
		want                  bool
	}{
		{"text", `{ $.eventType = "UpdateTrail" }`, guide, true},
		{"bare text", `{ $.eventType = UpdateTrail }`, guide, true},
		{"no blanks", `{$.eventType=UpdateTrail}`, guide, true},
		{"text that differs", `{ $.eventType = "updatetrail" }`, guide, false},
		{"wildcard at the beginning", `{ $.eventType = "*Trail" }`, guide, true},
		{"wildcard at the end", `{ $.eventType = Update* }`, guide, true},
		{"wildcards around", `{ $.eventType = "*date*" }`, guide, true},
		{"wildcards overlap", `{ $.eventType = "Update*eTrail" }`, guide, false},
		{"not equal", `{ $.sourceIPAddress != 123.123.* }`, guide, true},
		{"not equal that fails", `{ $.sourceIPAddress != 111.111.* }`, guide, false},
		{"regex", `{ $.eventType = %Trail% }`, guide, true},
		{"regex that fails", `{ $.eventType = %^Trail% }`, guide, false},
		{"not the regex", `{ $.eventType != %^Trail% }`, guide, true},
		{"address by regex", `{ $.sourceIPAddress = %111\.[0-9]{3}\.% }`, guide, true},
		{"item of an array", `{ $.arrayKey[0] = "value" }`, guide, true},
		{"other item of an array", `{ $.arrayKey[1] = "value" }`, guide, false},
		{"no item of an array", `{ $.arrayKey[2] NOT EXISTS }`, guide, true},
		{"member of an item", `{ $.objectList[1].id = 2 }`, guide, true},
		{"null", `{ $.SomeObject IS NULL }`, guide, true},
		{"not null", `{ $.user.id IS NULL }`, guide, false},
		{"missing is not null", `{ $.other IS NULL }`, guide, false},
		{"missing", `{ $.SomeOtherObject NOT EXISTS }`, guide, true},
		{"null exists", `{ $.SomeObject NOT EXISTS }`, guide, false},
		{"object exists", `{ $.user NOT EXISTS }`, guide, false},
		{"empty array exists", `{ $.none NOT EXISTS }`, guide, false},
		{"true", `{ $.ThisFlag IS TRUE }`, guide, true},
		{"false", `{ $.ThatFlag IS FALSE }`, guide, true},
		{"not false", `{ $.ThisFlag IS FALSE }`, guide, false},
		{"truth as text", `{ $.ThisFlag = true }`, guide, true},
		{"text is not true", `{ $.eventType IS TRUE }`, guide, false},
		{"both", `{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }`, guide, true},
		{"either", `{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch" && $.actions[2] = "nonmatch" }`, guide, true},
		{"parentheses first", `{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch") && $.actions[2] = "nonmatch" }`, guide, false},
		{"three", `{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }`, guide, false},
		{"array in array", `{ $.coordinates[1][2] = 6 }`, guide, true},
		{"greater", `{ $.bandwidth > 75 }`, guide, true},
		{"less", `{ $.latency < 50 }`, guide, true},
		{"at least", `{ $.refreshRate >= 60 }`, guide, true},
		{"at most", `{ $.responseTime <= 5 }`, guide, true},
		{"number", `{ $.errorCode = 400}`, guide, true},
		{"not the number", `{ $.errorCode != 500 }`, guide, true},
		{"not the number that fails", `{ $.errorCode != 400 }`, guide, false},
		{"exponent", `{ $.big = 1.5e+3 }`, guide, true},
		{"number in another form", `{ $.big = 1500 }`, guide, true},
		{"number as text", `{ $.errorCode = 4* }`, guide, true},
		{"number in quotes is text", `{ $.errorCode = "400" }`, guide, true},
		{"number in quotes of another form", `{ $.big = "1500" }`, guide, false},
		{"text that looks like a number", `{ $.text5 = 5 }`, guide, true},
		{"order of text", `{ $.text5 > 1 }`, guide, false},
		{"order of null", `{ $.SomeObject < 1 }`, guide, false},
		{"key with a dot", `{ $.['cluster.name'] = "c" }`, guide, true},
		{"nested key is not one with a dot", `{ $.cluster.name = "c" }`, guide, false},
		{"any item", `{ $.arrayKey[*] = "another value" }`, guide, true},
		{"any item fails", `{ $.arrayKey[*] = "third value" }`, guide, false},
		{"member of any item", `{ $.objectList[*].id = 2 }`, guide, true},
		{"any member", `{ $.user.* = 1 }`, guide, true},
		{"any member at the top", `{ $.* = "UpdateTrail" }`, guide, true},
		{"any item differs", `{ $.arrayKey[*] != "value" }`, guide, true},
		{"any item of none", `{ $.none[*] NOT EXISTS }`, guide, true},
		{"array is no value", `{ $.arrayKey = "value" }`, guide, false},
		{"array is no value, not even a different one", `{ $.arrayKey != "value" }`, guide, false},
		{"object is no value", `{ $.user != 1 }`, guide, false},
		{"missing differs from nothing", `{ $.other != "x" }`, guide, false},
		{"null differs", `{ $.SomeObject != "x" }`, guide, true},
		{"null is not the text null", `{ $.SomeObject = null }`, guide, false},
		{"exists", `{ $.eventType = * }`, guide, true},
		{"exists in quotes", `{ $.eventType = "*" }`, guide, true},
		{"null exists with any value", `{ $.SomeObject = * }`, guide, true},
		{"missing does not exist", `{ $.other = * }`, guide, false},
		{"differs from anything", `{ $.eventType != * }`, guide, false},
		{"escaped slash", `{ $.slash = "a/b" }`, guide, true},
		{"escaped letters", `{ $.unicode = "A𝄞" }`, guide, true},
		{"quotes", `{ $.quote = "say \"hi\"" }`, guide, true},
		{"item of an object", `{ $.user[0] NOT EXISTS }`, guide, true},
		{"member of an array", `{ $.arrayKey.value NOT EXISTS }`, guide, true},
		{"same path twice", `{ $.latency > 40 && $.latency < 41 }`, guide, true},
		{"key twice: the first", `{ $.a = 1 }`, `{"a":1,"a":2}`, true},
		{"key twice: the second", `{ $.a = 2 }`, `{"a":1,"a":2}`, true},
		{"escaped key", `{ $.ab = 1 }`, `{"\u0061b":1}`, true},
		{"empty key", `{ $.[''] = 1 }`, `{"":1}`, true},
		{"not an object", `{ $.a NOT EXISTS }`, `[{"a":1}]`, false},
		{"text", `{ $.a NOT EXISTS }`, `hello`, false},
		{"cut object", `{ $.a = 1 }`, `{"a":1`, false},
		{"two objects", `{ $.a = 1 }`, `{"a":1}{"b":2}`, false},
		{"no object", `{ $.a = 1 }`, ``, false},
		{"huge number", `{ $.a > 5 }`, `{"a":1e400}`, true},
		{"minus zero", `{ $.a = 0 }`, `{"a":-0}`, true},
		{"exact integers", `{ $.a = 9007199254740993 }`, `{"a":9007199254740992}`, false},
		{"integer and float", `{ $.a = 9007199254740993 }`, `{"a":9007199254740992.0}`, false},
		{"CIS 4.1", `{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }`, trail, true},
		{"CIS 4.2", `{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") }`, trail, true},
		{"CIS 4.3", `{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }`, trail, true},
		{"CIS 4.4", `{($.eventName=DeleteGroupPolicy)||($.eventName=DeleteRolePolicy)||($.eventName=PutGroupPolicy)}`, trail, false},
		{"CIS 4.6", `{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }`, trail, true},
		{"CIS 4.7", `{($.eventSource = kms.amazonaws.com) && (($.eventName=DisableKey)||($.eventName=ScheduleKeyDeletion)) }`, trail, false},
		{"null of CloudTrail", `{ $.requestParameters IS NULL }`, trail, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.pattern, tt.record, tt.want) })
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, pattern string
		column        int
		want          string
	}{
		{"bare term with a colon", `ERROR: x`, 6, `double quotes`},
		{"address", `10.0.0.1`, 3, `"10.0.0.1"`},
		{"lone minus", `a - b`, 4, "expected a term"},
		{"open quote", `a "b`, 3, "not closed"},
		{"nothing between", `"a""b"`, 4, "expected a blank"},
		{"empty exclusion", `-""`, 1, "empty"},
		{"open regex", `%abc`, 1, "not closed"},
		{"empty regex", `%%`, 1, "empty"},
		{"parentheses", `%a(b)%`, 3, "parentheses"},
		{"not ASCII", `%ä%`, 2, "ASCII"},
		{"bang", `%something!%`, 11, `\x21`},
		{"escape", `%\q%`, 2, "escape"},
		{"bad class", `%[z-a]%`, 1, "not valid"},
		{"bad repetition", `%a**%`, 1, "not valid"},
		{"large repetition", `%[ab]{900}[cd]{900}%`, 1, "too large"},
		{"no selector", `{ a = 1 }`, 3, "begins with $"},
		{"no step", `{ $ = 1 }`, 4, "expected . or ["},
		{"no name", `{ $. = 1 }`, 5, "member's name"},
		{"open name", `{ $.['a = 1 }`, 4, "not closed"},
		{"bad index", `{ $.a[x] = 1 }`, 6, "index"},
		{"huge index", `{ $.a[99999999999999999999] = 1 }`, 6, "index"},
		{"no value", `{ $.a = }`, 9, "expected a value"},
		{"no operator", `{ $.a }`, 7, "expected ="},
		{"IS NOT", `{ $.a IS NOT NULL }`, 13, "IS NOT"},
		{"EXISTS", `{ $.a EXISTS }`, 13, "no EXISTS"},
		{"lower case", `{ $.a is NULL }`, 7, "expected ="},
		{"keyword goes on", `{ $.a IS NULLS }`, 10, "expected NULL"},
		{"order of text", `{ $.a > x }`, 9, "number"},
		{"order of text in quotes", `{ $.a > "5" }`, 9, "number"},
		{"open brace", `{ $.a = 1`, 10, `"}"`},
		{"open parenthesis", `{ ($.a = 1 }`, 12, `")"`},
		{"more behind", `{ $.a = 1 } x`, 13, "end of the pattern"},
		{"single and", `{ $.a = 1 & $.b = 2 }`, 11, "&&"},
		{"two wildcards in a selector", `{ $.a[*].* = 1 }`, 3, "one wildcard"},
		{"four wildcards", `{ $.a[*]=1 && $.b[*]=1 && $.c.*=1 && $.d[*]=1 }`, 38, "at most 3"},
		{"three regexes", `{ $.a=%a% && $.b=%b% && $.c=%c% }`, 29, "at most 2"},
		{"three regexes in a line", `[a=%a%, b=%b%, c=%c%]`, 18, "at most 2"},
		{"empty object", `{}`, 2, "expected a selector"},
		{"two ellipses", `[..., a, ...]`, 10, "once only"},
		{"no field", `[]`, 2, "field's name"},
		{"no field between", `[a,,b]`, 4, "field's name"},
		{"open bracket", `[a, b`, 6, `"]"`},
		{"another field", `[a=1 && b=2]`, 9, "same field"},
		{"not a name", `[a.b]`, 3, "expected ="},
		{"too long", strings.Repeat("ä", 1025), 1025, "1024"},
		{"columns count characters", `ä "ö`, 3, "not closed"},
		{"NUL", "\x00", 1, "unexpected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(tt.pattern)
			var fault *Error
			if !errors.As(err, &fault) || fault.Column != tt.column || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Compile(%q) = %v, want a fault in column %d with %q", tt.pattern, err, tt.column, tt.want)
			}
		})
	}
	if _, err := Compile(strings.Repeat("ä", 1024)); err != nil {
		t.Errorf("Compile() of 1024 characters = %v, want a pattern", err)
	}
}

// TestKinds: what intake has found out of a record decides whether it is one
// JSON object.
func TestKinds(t *testing.T) {
	p, err := Compile(`{ $.a = 1 }`)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range append([]trailward.Kind{""}, trailward.Kinds...) {
		want := k != trailward.KindVPCFlow && k != trailward.KindLinuxAudit && k != trailward.KindSyslog
		if got := p.Match([]byte(` {"a":1}`), k); got != want {
			t.Errorf("Match() of kind %q = %v, want %v", k, got, want)
		}
	}
	if p.Match([]byte(`{"a":1} and more`), trailward.KindContainer) {
		t.Error("Match() of a container's text that begins with an object = true, want false")
	}
}

// TestHostile: deep and long records cost time by their length only.
func TestHostile(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 1<<17)
	many := strings.Repeat(`[a `, 1<<17)
	quotes := strings.Repeat(`"\" `, 1<<17)
	for _, pattern := range []string{`{ $.a[0].a[0].b = 1 }`, `{ $.*.b = 1 && $.a[*] = 2 }`, `[a, b, ..., c, d=1]`, `[a, b]`, `x -y ?z`, `%a[^b]*b[^c]*c%`} {
		p, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range []string{deep, deep + strings.Repeat("]}", 1<<17), many, quotes, strings.Repeat(" ", 1<<17), strings.Repeat(`\`, 1<<17)} {
			p.Match([]byte(record), trailward.KindJSON)
			p.Match([]byte(record), "")
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	audit := []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"55a81824-ab56-46c5-8b02-96336f5e78d7","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/secrets","verb":"create","user":{"username":"minikube-user","groups":["system:masters","system:authenticated"]},"sourceIPs":["192.168.64.1"],"userAgent":"kubectl/v1.17.3 (darwin/amd64) kubernetes/06ad960","objectRef":{"resource":"secrets","namespace":"default","name":"example-secret","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2020-04-21T17:57:05.541358Z","stageTimestamp":"2020-04-21T17:57:05.548299Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}`)
	for _, pattern := range []string{"secrets -pods", `%code.:[45]%`, `{ $.responseStatus.code >= 400 || $.verb = delete }`, `{ $.objectRef.resource = "secrets" && $.verb != get }`, `{ $.user.username = "root" }`, `[a, ..., z]`} {
		p, err := Compile(pattern)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(pattern), func(b *testing.B) {
			b.SetBytes(int64(len(audit)))
			b.ReportAllocs()
			for b.Loop() {
				p.Match(audit, trailward.KindK8sAudit)
			}
		})
	}
}
