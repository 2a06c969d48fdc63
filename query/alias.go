package query

import (
	"strings"
	"unicode/utf8"

	"trailward"
	"trailward/query/plan"
)

// aliases lists the columns that a kind's documentation also calls name.
func (s *partSchema) aliases(name string) []string {
	switch s.kind {
	case trailward.KindVPCFlow:
		return s.spelled(name, flowNames)
	case trailward.KindDNS:
		return s.spelled(name, dnsNames)
	}
	return nil
}

// flowNames are CloudWatch Logs Insights' names of flow log fields that differ
// from the fields' own by more than case and separators.
var flowNames = map[string]string{"starttime": "start", "endtime": "end", "sourceaddress": "srcaddr", "destinationaddress": "dstaddr", "sourceport": "srcport", "destinationport": "dstport", "numpackets": "packets", "numbytes": "bytes", "account": "accountid"}

// dnsNames are what Resolver's query logs call a field of public DNS query logs, and
// the other way round.
var dnsNames = map[string]string{"rcode": "responsecode", "responsecode": "rcode", "transport": "protocol", "protocol": "transport"}

// spelled finds a field by any of its spellings. Of flow logs text files write
// account-id, Parquet and Athena account_id, Logs Insights accountId; of DNS queries
// Resolver has query_name, public logs have queryName: they agree without case
// and separators.
func (s *partSchema) spelled(name string, names map[string]string) []string {
	want := bare(name)
	var out, others []string
	for _, f := range s.fields {
		if f.Path[0] == '@' {
			continue
		}
		switch bare(f.Path) {
		case want:
			out = append(out, f.Path)
		case names[want]:
			others = append(others, f.Path)
		}
	}
	return append(out, others...)
}

// bare leaves only the letters and digits of a name, in lower case.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '-' || r == '_':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// dataSources are CloudWatch Logs' names and types of the data sources of
// kinds. A type that not all records of a kind have is none here.
var dataSources = map[trailward.Kind]struct{ name, typ string }{
	trailward.KindVPCFlow:    {"amazon_vpc", "flow"},
	trailward.KindCloudTrail: {"aws_cloudtrail", ""}, // management or data
	trailward.KindK8sAudit:   {"amazon_eks", "audit"},
	trailward.KindDNS:        {"amazon_route53", ""}, // resolver_query, or public
	trailward.KindWAF:        {"aws_waf", "access"},
}

// regionColumns are the columns that say in which region a record was made.
var regionColumns = map[trailward.Kind]string{
	trailward.KindCloudTrail: "awsRegion", trailward.KindVPCFlow: "region", trailward.KindDNS: "region",
}

// ours finds the fields that are made of what is known beside a record, or of
// one of its columns in another form; ok is false for a name that is none of them.
func (s *partSchema) ours(name string) (e fieldExpr, ok bool) {
	source := dataSources[s.kind]
	switch name {
	case "@aws.account":
		return s.framed("@attr.owner", s.same(func(Part) string { return s.account })), true
	case "@source.log":
		group := s.same(func(p Part) string { return p.Group() })
		group.log = true
		group.sql = func(col func(string) string) string {
			return "substr(" + col(logText) + ", " + itoa(utf8.RuneCountInString(s.account)+2) + ")"
		}
		return s.framed("@attr.logGroup", group), true
	case "@aws.region":
		if path := regionColumns[s.kind]; s.has(path) {
			return s.column(path), true
		}
	case "@data_source_name":
		if source.name != "" {
			return s.same(func(Part) string { return source.name }), true
		}
	case "@data_source_type":
		switch {
		case source.typ != "":
			return s.same(func(Part) string { return source.typ }), true
		case s.kind == trailward.KindCloudTrail && s.has("eventCategory"):
			return s.made(plan.Text, "eventCategory", func(c string) string {
				return "CASE " + c + " WHEN 'Management' THEN 'management' WHEN 'Data' THEN 'data' END"
			}), true
		case s.kind == trailward.KindDNS && s.has("query_timestamp"):
			return s.made(plan.Text, "query_timestamp", func(c string) string { return "CASE WHEN " + c + " IS NOT NULL THEN 'resolver_query' END" }), true
		}
	case "@data_format":
	case "@memorySize", "@maxMemoryUsed":
		if path := name + "MB"; s.kind == trailward.KindLambda && s.has(path) {
			// A megabyte of Lambda's has 1,000,000 bytes in CloudWatch's fields.
			return s.made(plan.Int, path, func(c string) string { return "TRY(CAST(" + c + " AS BIGINT) * 1000000)" }), true
		}
		return fieldExpr{}, false
	default:
		return fieldExpr{}, false
	}
	return fieldExpr{typ: plan.Null}, true
}

func (s *partSchema) has(path string) bool {
	_, ok := s.types[path]
	return ok
}

// same is a text that is the same for all records of a part.
func (s *partSchema) same(value func(Part) string) fieldExpr {
	// All parts of a schema have one value here, unless the caller says how it is found.
	return fieldExpr{typ: plan.Text, constant: value, sql: func(func(string) string) string { return nameLiteral(value(nil)) }}
}

// framed is what a record's framing said, if it did, else e.
func (s *partSchema) framed(path string, e fieldExpr) fieldExpr {
	if !s.has(path) {
		return e
	}
	e.constant = nil
	return coalesce([]fieldExpr{s.column(path), e})
}

// made is a column in another form; write writes it in SQL.
func (s *partSchema) made(typ plan.Type, path string, write func(col string) string) fieldExpr {
	return fieldExpr{typ: typ, cols: []string{path}, sql: func(col func(string) string) string { return write(col(path)) }}
}

// embedded finds a field in the JSON that is a part of a record's text.
func (s *partSchema) embedded(keys []string) (fieldExpr, bool) {
	const path = "@json"
	if s.kind != trailward.KindLambda || !s.has(path) {
		return fieldExpr{}, false
	}
	if strings.HasPrefix(keys[0], "@") {
		own, ok := strings.CutPrefix(keys[0], "@@")
		if !ok {
			return fieldExpr{}, false
		}
		keys = append([]string{"@" + own}, keys[1:]...)
	}
	return s.extraction(path, keys), true
}
