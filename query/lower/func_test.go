package lower_test

import (
	"strings"
	"testing"
)

// TestExpressions computes single expressions over one record.
func TestExpressions(t *testing.T) {
	db := openDB(t)
	recs := parseRecords(t, `2026-01-02T10:06:30.123Z {"s":"Hello World","n":"12.5","i":"7","neg":-3,"zero":0,"e":"","sp":" \t x ","t":true,"f":false,"ip":"10.1.2.3","ip6":"2001:db8::1",`+
		`"m4":"::ffff:10.0.0.1","o":{"a":{"b":[1,{"c":"deep"}]},"0":"zero key","x.y":"dotted","q/t~":"odd"},"l":["x",2,null,{"k":"v"}],"empty":[],"u":"a b/é?","big":"123456789012345678901","inf":"inf","us":"1_000",`+
		`"hex":"ff","when":"2026-01-02T03:04:05","lf":"level=warn msg=\"a \\\"b\\\" c\" n=3 level=x","c":"a,\"b,\"\"q\"\"\",,d","js":"{\"k\":[{\"z\":9}]}","é":"accent","nul":null,"ms":1767348390123,"long":"9007199254740993"}`)
	const absent = "<absent>"
	for _, c := range []struct{ expr, want string }{
		// arithmetic and coercion
		{"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"2 ^ 3 ^ 2", "512"}, {"-2 ^ 2", "-4"}, {"7 % 4", "3"}, {"7 / 2", "3.5"}, {"n * 2", "25"}, {"i + neg", "4"},
		{"i / zero", absent}, {"i % zero", absent}, {"i / 0", absent}, {"s + 1", absent}, {"missing + 1", absent}, {"t + 1", "2"}, {"0.1 + 0.2", "0.30000000000000004"},
		{"1e3", "1000"}, {"2 ^ 10000", absent}, {"neg ^ 0.5", absent}, {"inf + 1", absent}, {"us + 1", absent}, {"-i", "-7"}, {"- -i", "7"}, {"1 - -1", "2"}, {"0 - 0", "0"},
		{"10 - 4 - 3", "3"}, {"100 / 10 / 2", "5"},
		// comparison
		{"i = 7", "1"}, {"i = '7'", "1"}, {"i = 7.0", "1"}, {"i = '7.0'", "1"}, {"i = '07'", "0"}, {"i == 7", "1"}, {"i <> 7", "0"}, {"i != 8", "1"}, {"i > 6.5", "1"}, {"i > '6'", "1"}, {"i < '10'", "1"},
		{"s > 5", "0"}, {"s < 5", "0"}, {"s > 'Hell'", "1"}, {"missing = 'x'", "0"}, {"missing != 'x'", "1"}, {"not missing = 'x'", "1"}, {"missing < 5", "0"}, {"missing != missing", "1"}, {"missing = missing", "0"},
		{"t = true", "1"}, {"t = 1", "1"}, {"t = 'true'", "1"}, {"f = false", "1"}, {"f = 0", "1"}, {"t = false", "0"}, {"t != true", "0"}, {"true", "1"}, {"i = n", "0"}, {"n = n", "1"}, {"i < n", "1"}, {"s < n", "0"},
		{"big = '123456789012345678901'", "1"}, {"big = 123456789012345678901", "1"}, {"long = 9007199254740993", "1"}, {"long = 9007199254740992", "0"}, {"nul = null", "0"}, {"nul != null", "1"},
		{"e = ''", "1"}, {"ispresent(s) = true", "1"}, {"ispresent(s) = 'true'", "1"}, {"ispresent(s) = 1", "1"}, {"ispresent(s) = 0", "0"}, {"ispresent(s) = 'x'", "0"}, {"(i > 1) = (n > 1)", "1"},
		{"5 = '5'", "1"}, {"'a' = 'a'", "1"}, {"'a' = 'b'", "0"}, {"'10' > '9'", "1"}, {"'a' < 5", "0"}, {"strlen(s) = '11'", "1"}, {"strlen(s) = 'x'", "0"}, {"strlen(s) != 'x'", "1"}, {"strlen(s) > 'x'", "0"},
		// integers that no float holds
		{"toLong(long)", "9007199254740993"}, {"toInt(long)", "9007199254740993"}, {"toLong('9223372036854775807')", "9223372036854775807"}, {"toLong('9223372036854775808')", absent}, {"toLong(big)", absent}, {"toLong('12.7')", "12"}, {"toLong('-12.7')", "-12"},
		{"9007199254740993", "9007199254740993"}, {"-9007199254740993", "-9007199254740993"}, {"toLong(long) = 9007199254740993", "1"}, {"toLong(long) = 9007199254740992", "0"}, {"long in [9007199254740992]", "0"}, {"long in [9007199254740993, 1]", "1"},
		{"long > 9007199254740992", "1"}, {"long >= 9007199254740993", "1"}, {"long > 9007199254740993", "0"}, {"long < 9007199254740994", "1"}, {"long < 9007199254740993", "0"}, {"9007199254740992 < long", "1"}, {"long > '9007199254740992'", "1"}, {"long != 9007199254740992", "1"},
		{"long = concat('900719925474099', '2')", "0"}, {"long = concat('900719925474099', '3')", "1"}, {"long > concat('900719925474099', '2')", "1"}, {"long < concat('900719925474099', '4')", "1"}, {"toLong(long) > concat('900719925474099', '2')", "1"}, {"toLong(long) = concat('900719925474099', '2')", "0"},
		{"toLong(long) < 9223372036854775808", "1"}, {"toLong(long) >= 9223372036854775808", "0"}, {"toLong(long) > -1e30", "1"}, {"toLong('9223372036854775807') = 9223372036854775808", "0"}, {"toLong('9223372036854775807') != 9223372036854775808", "1"}, {"toLong(long) = 9.007199254740992e15", "0"}, {"long = '0009007199254740993'", "0"},
		// times
		{"@timestamp = 1767348390123", "1"}, {"@timestamp > 1767348390122", "1"}, {"@timestamp <= 1767348390123", "1"}, {"@timestamp < 1767348390123", "0"}, {"@timestamp >= '2026-01-02'", "1"}, {"@timestamp < '2026-01-02T10:06:30Z'", "0"},
		{"@timestamp = '2026-01-02 10:06:30.123'", "1"}, {"@timestamp = 'YYYY'", "0"}, {"@timestamp >= 'YYYY'", "0"}, {"@timestamp > 1e300", "0"}, {"@timestamp < 1e18", "1"}, {"@timestamp = 5.5", "0"}, {"@timestamp > 5.5", "1"},
		{"toMillis(@timestamp)", "1767348390123"}, {"fromMillis(ms)", "2026-01-02 10:06:30.123"}, {"fromMillis(1e300)", absent}, {"fromMillis(s)", absent}, {"toMillis(fromMillis(5))", "5"}, {"bin(1h)", "2026-01-02 10:00:00.000"}, {"bin(5m)", "2026-01-02 10:05:00.000"},
		{"datefloor(@timestamp, 1d)", "2026-01-02 00:00:00.000"}, {"dateceil(@timestamp, 1h)", "2026-01-02 11:00:00.000"}, {"dateceil(datefloor(@timestamp, 1h), 1h)", "2026-01-02 10:00:00.000"}, {"datefloor(ms, 1mo)", "2026-01-01 00:00:00.000"},
		{"dateceil(@timestamp, 1q)", "2026-04-01 00:00:00.000"}, {"bin(1w)", "2025-12-29 00:00:00.000"}, {"bin(1y)", "2026-01-01 00:00:00.000"}, {"bin(250ms)", "2026-01-02 10:06:30.000"}, {"bin(7h)", "2026-01-02 04:00:00.000"},
		{"now()", "1767351600"}, {"queryEndTime() - queryStartTime()", "126000000"}, {"queryTimeRange()", "126000000"}, {"concat(@timestamp)", "2026-01-02 10:06:30.123"},
		{"formatDate(@timestamp, '%Y/%m/%d %H')", "2026/01/02 10"}, {"strftime(@timestamp, '%H:%M', 'Europe/Berlin')", "11:06"}, {`parseDate(when, "yyyy-MM-dd'T'HH:mm:ss")`, "1767323045000"}, {`parseDate(when, "yyyy-MM-dd'T'HH:mm:ss", "Europe/Berlin")`, "1767319445000"},
		{`parseDate("2026-01-02 03:04:05 +0100", "yyyy-MM-dd HH:mm:ss Z")`, "1767319445000"}, {"parseDate(s, 'yyyy')", absent},
		{`parseDate("2026-01-02T03:04:05Z", "yyyy-MM-dd'T'HH:mm:ssX")`, "1767323045000"}, {`parseDate("2026-01-02T03:04:05+01", "yyyy-MM-dd'T'HH:mm:ssX")`, "1767319445000"}, {`parseDate("2026-01-02T03:04:05", "yyyy-MM-dd'T'HH:mm:ssX")`, absent},
		// text
		{"toupper(s)", "HELLO WORLD"}, {"tolower(s)", "hello world"}, {"strlen(u)", "6"}, {"messageSize(u)", "7"}, {"substr(s, 6)", "World"}, {"substr(s, 0, 5)", "Hello"}, {"substr(s, -3, 2)", "He"}, {"substr(s, 100)", ""}, {"substr(s, 0, -1)", ""}, {"substr(missing, 1)", absent},
		{"replace(s, 'l', 'L')", "HeLLo WorLd"}, {"replace(s, '', 'L')", "Hello World"}, {"concat(s, missing, 1, t)", "Hello World1true"}, {"concat(missing)", ""}, {`ltrim("xyZxyfooxyZ","xyZ")`, "fooxyZ"}, {`rtrim("xyZxyfooxyZ","xyZ")`, "xyZxyfoo"}, {"trim(sp)", "x"}, {"concat('[', ltrim(sp), ']')", "[x ]"},
		{"isempty(e)", "1"}, {"isempty(missing)", "1"}, {"isempty(sp)", "0"}, {"isblank(sp)", "0"}, {"isblank(e)", "1"}, {"isblank(' ')", "1"}, {"isblank(missing)", "1"}, {"strcontains(s, 'World')", "1"}, {"strcontains(s, 'world')", "0"}, {"strcontains(s, 'world', true)", "1"}, {"strcontains(missing, 'x')", "0"},
		{"startsWith(s, 'He')", "1"}, {"endsWith(s, 'ld')", "1"}, {"startsWith(s, 'ld')", "0"}, {"startsWith(missing, 'ld')", "0"}, {"urlencode(u)", "a%20b%2F%C3%A9%3F"}, {"urldecode('a%20b')", "a b"}, {"base64encode(s)", "SGVsbG8gV29ybGQ="}, {"base64decode('SGVsbG8=')", "Hello"}, {"base64decode('!')", absent}, {"base64decode('/w==')", absent},
		{`regexReplace(s, "o( ?)", "0$1")`, "Hell0 W0rld"}, {`regexReplace(s, /(\w+) (\w+)/, "${2} $1")`, "World Hello"}, {"split(s, ' ')", `["Hello","World"]`}, {"split(s, ' ')[1]", "World"}, {"hexToAscii('4869')", "Hi"}, {"hexToAscii('zz')", absent}, {"hexToDec(hex)", "255"}, {"hexToDec('0xFF')", "255"}, {"hexToDec('zz')", absent}, {"decToHex(255)", "ff"},
		{"md5('a')", "0cc175b9c0f1b6a831c399e269772661"}, {"sha256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}, {"`é`", "accent"}, {"é", "accent"}, {"s like 'lo W'", "1"}, {"s =~ /^hello/", "0"}, {"s =~ /(?i)^hello/", "1"}, {"n like 2", "1"}, {"missing like ''", "0"}, {"s like ''", "1"},
		{`"a\"b\\c\n\d"`, "a\"b\\c\n\\d"},
		// numbers
		{"abs(neg)", "3"}, {"ceil(n)", "13"}, {"floor(n)", "12"}, {"round(n)", "13"}, {"round(3.14159, 2)", "3.14"}, {"sqrt(16)", "4"}, {"sqrt(neg)", absent}, {"log(1)", "0"}, {"log(zero)", absent}, {"greatest(n, missing, 3)", "12.5"}, {"least(n, 3)", "3"}, {"toNumber('12')", "12"}, {"toInt(n)", "12"}, {"toInt(s)", absent}, {"isNumeric(n)", "1"}, {"isNumeric(s)", "0"}, {"isNumeric(inf)", "0"},
		{"round(haversine(52.52, 13.405, 48.8566, 2.3522))", "877"},
		// general
		{"coalesce(missing, n)", "12.5"}, {"coalesce(missing, 0)", "0"}, {"coalesce(missing)", absent}, {"if(i > 5, 'big', 'small')", "big"}, {"if(missing, 1, 2)", "2"}, {"case(i > 9, 'a', i > 5, 'b', 'c')", "b"}, {"case(i > 9, 'a')", absent}, {"if(t, 1, 'x')", "1"}, {"ispresent(e)", "1"}, {"ispresent(nul)", "0"}, {"unmask(s)", "Hello World"}, {"s exists", "1"},
		{"i in [7]", "1"}, {"i in ['7', 8]", "1"}, {"i in [7.0]", "1"}, {"i not in [1, 2]", "1"}, {"missing in ['x']", "0"}, {"missing not in ['x']", "1"}, {"s in ['Hello World']", "1"}, {"i in [neg + 10]", "1"}, {"t in [true]", "1"}, {"strlen(s) in [11, 'x']", "1"}, {"i in []", "0"}, {"@timestamp in [1767348390123]", "1"},
		// addresses
		{"isValidIp(ip)", "1"}, {"isValidIpV4(ip6)", "0"}, {"isValidIpV6(ip6)", "1"}, {"isValidIpV6(m4)", "1"}, {"isValidIp('1.2.3.256')", "0"}, {"isValidIp('01.2.3.4')", "0"}, {"isValidIpV6('::')", "1"}, {"isValidIpV6(':::')", "0"}, {"isValidIpV6('1::2::3')", "0"}, {"isValidIpV6('1:2:3:4:5:6:7:8')", "1"}, {"isValidIpV6('1:2:3:4:5:6:7::8')", "0"},
		{"isValidIpV6('1:2:3:4:5:6:7:8:9')", "0"}, {"isValidIpV6('12345::')", "0"}, {"isValidIpV6('')", "0"}, {"isValidIpV6('::1.2.3')", "0"}, {"isValidIpV6('1:2:3:4:5:6:1.2.3.4')", "1"}, {"isValidIpV6('fe80::1%eth0')", "0"}, {"isValidIp(missing)", "0"},
		{"isIpInSubnet(ip, '10.0.0.0/8')", "1"}, {"isIpInSubnet(ip, '10.1.2.3/32')", "1"}, {"isIpInSubnet(ip, '10.1.2.4/31')", "0"}, {"isIpInSubnet(ip, '0.0.0.0/0')", "1"}, {"isIpv6InSubnet(ip6, '2001:db8::/32')", "1"}, {"isIpv6InSubnet(ip6, '2001:db9::/32')", "0"}, {"isIpInSubnet(ip6, '10.0.0.0/8')", "0"}, {"isIpInSubnet(s, '10.0.0.0/8')", "0"},
		{"not isIpInSubnet(missing, '10.0.0.0/8')", "1"}, {"ipv4ToNumber(ip)", "167838211"}, {"isPrivateIP(ip)", "1"}, {"isPrivateIP('8.8.8.8')", "0"}, {"isPublicIP('8.8.8.8')", "1"}, {"isPublicIP(s)", "0"}, {"isPublicIP('2606:4700::1')", "1"}, {"isReservedIP('127.0.0.1')", "1"}, {"isPrivateIP('fd00::1')", "1"}, {"isPublicIP('::1')", "0"},
		// JSON
		{"o.a.b.0", "1"}, {"o.a.b[1].c", "deep"}, {"o.`x.y`", "dotted"}, {"o.0", "zero key"}, {"jsonParse(@message).o.a.b[1].c", "deep"}, {"jsonParse(@message).o.`q/t~`", "odd"}, {"jsonParse(@message).o.0", "zero key"}, {"jsonParse(js).k[0].z", "9"}, {"jsonParse(js).k[0]", `{"z":9}`}, {"jsonParse(js).none", absent}, {"jsonParse(s)", absent}, {"jsonParse(s).x", absent}, {"jsonParse('12')", absent},
		{"toupper(jsonParse(js))", absent}, {"jsonParse(js) = js", "0"}, {"jsonParse(js) != js", "1"}, {"jsonStringify(jsonParse(js))", `{"k":[{"z":9}]}`}, {"jsonArraySize(l)", "4"}, {"jsonArraySize(empty)", "0"}, {"jsonArraySize(s)", absent}, {"jsonArrayContains(l, 'x')", "1"}, {"jsonArrayContains(l, 2)", "1"}, {"jsonArrayContains(l, 'y')", "0"}, {"jsonArrayContains(s, 'y')", "0"},
		{"l like 'x'", "1"}, {"o like /deep/", "1"}, {"`o.a`", `{"b":[1,{"c":"deep"}]}`}, {"jsonParse(js).`k`[0].z + 1", "10"}, {"jsonArraySize(split(s, ' '))", "2"}, {"jsonParse(jsonParse(js).k[0]).z", "9"}, {"strlen(jsonStringify(split(s, ' ')))", "17"},
		{"jsonParse(@message).*", "error"}, {"jsonParse(js).`*`", absent}, {"jsonParse(js).k.`*`", absent},
	} {
		for _, ints := range []bool{false, true} {
			got, _, err := run(db, "fields "+c.expr+" as x | limit 1", recs, ints)
			if err != nil {
				if c.want != "error" {
					t.Errorf("run(%s, ints=%v) = %v, want %s", c.expr, ints, err, c.want)
				}
				continue
			}
			want := "{}"
			if c.want != absent {
				want = `{"x":` + quote(c.want) + `}`
			}
			if strings.Join(got, "\n") != want {
				t.Errorf("run(%s, ints=%v) = %v, want %s", c.expr, ints, got, want)
			}
		}
	}
	for _, c := range []struct{ query, want string }{
		{"parse lf logfmt as m | display m.level, m.msg, m.n, m.none", `{"m.level":"warn","m.msg":"a \"b\" c","m.n":"3"}`},
		{"parse c csv as a, b, x, d, e | display a, b, x, d, e", `{"a":"a","b":"b,\"q\"","x":"","d":"d"}`},
		{"parse s logfmt as m | display m", `{"m":"{}"}`},
		{"parse s /(?<c>[A-Z])/ multi | display c | sort c", `{"c":"H"}` + "\n" + `{"c":"W"}`},
		{"parse s /(?<c>[0-9])/ multi | display s, c", `{"s":"Hello World"}`},
		{"parse s /(\\w)o/ as a | display a", `{"a":"l"}`},
		{"expand l | fields l", "{\"l\":\"x\"}\n{\"l\":\"2\"}\n{}\n{\"l\":\"{\\\"k\\\":\\\"v\\\"}\"}"},
		{"unnest empty into x | fields x", ""},
		{"unnest missing into x | fields x", ""},
		{"unnest s into x | fields x", `{"x":"Hello World"}`},
		{"unnest split(s, ' ') into x | stats count(*) by x", `{"x":"Hello","count(*)":"1"}` + "\n" + `{"x":"World","count(*)":"1"}`},
	} {
		got, _, err := run(db, c.query, recs, false)
		if g := strings.Join(got, "\n"); err != nil || g != c.want {
			t.Errorf("run(%s) = %v, %v, want %v", c.query, g, err, c.want)
		}
	}
}
