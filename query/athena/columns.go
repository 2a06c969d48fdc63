package athena

import (
	"slices"
	"strings"

	"trailward"
	"trailward/query/plan"
)

// column is one column of a table as a query sees it, and how it is made of
// the record's fields.
type column struct {
	name string // as Athena has it: lower case, dots between the levels
	typ  typ
	// Exactly one of these says where the values come from.
	path []string // the field, as records spell it
	sys  string   // a system field: @timestamp, …
	calc *calc    // computed
	// closed says that an unknown name below this column is an error; below
	// other JSON columns any name is taken.
	closed bool
	// found says that the column is a field that records have but no
	// documentation names: its type is what the scan says.
	found bool
	// holds says that it is a field of plan.Held.
	holds bool
	// later, if not empty, is the relation's column of later text that it is.
	later string
}

// calc is a column that is computed of the event time, as the partition
// columns of Athena's tables are of the object's key.
type calc struct {
	format string // strftime
	date   bool   // the result is a DATE
}

// table is what is known of one kind.
type table struct {
	kind trailward.Kind
	cols map[string]*column
	star []starColumn
	open bool // any name may be a field
	own  bool // the records' own fields come before the system names
}

// starColumn is one column of SELECT *.
type starColumn struct{ label, name string }

// spec describes a table in short lines: the path of a field as records spell
// it, then ":" and its type where it is not text.
//
//	int, float   numbers
//	json         JSON text: any path below it may be asked for
//	struct       an object whose fields are those listed below it
//	+            not part of SELECT *
type spec struct {
	kind    trailward.Kind
	open    bool
	own     bool
	fields  string
	aliases map[string]string            // further names of columns
	keys    map[string]map[string]string // spelling inside arrays and objects
	calcs   map[string]calc
	star    []string // instead of the fields without +
}

var dateParts = map[string]calc{
	"date_partition": {format: "%Y/%m/%d"},
	"partition_date": {format: "%Y/%m/%d"},
	"dt":             {format: "%Y-%m-%d"},
	"date":           {format: "%Y-%m-%d", date: true},
	"year":           {format: "%Y"},
	"month":          {format: "%m"},
	"day":            {format: "%d"},
	"hour":           {format: "%H"},
}

// systemNames are the names that every table has beside its own.
var systemNames = map[string]string{
	"@timestamp": "@timestamp", "timestamp": "@timestamp", "time": "@timestamp",
	"@ingestiontime": "@ingestionTime", "ingestiontime": "@ingestionTime", "ingestion_time": "@ingestionTime",
	"@log": "@log", "group": "@log", "@loggroup": "@log", "loggroup": "@log", "log_group": "@log",
	"@logstream": "@logStream", "logstream": "@logStream", "log_stream": "@logStream",
	"@message": "@message", "message": "@message",
	"@ptr": "@ptr", "ptr": "@ptr",
	"@kind": "@kind", "kind": "@kind",
}

var systemTypes = map[string]kind{
	"@timestamp": kTime, "@ingestionTime": kTime, "@log": kText, "@logStream": kText,
	"@message": kText, "@ptr": kPtr, "@kind": kText,
}

var specs = []spec{{
	kind: trailward.KindCloudTrail,
	fields: `eventVersion userIdentity:struct eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode errorMessage
		requestParameters:json responseElements:json additionalEventData:json requestID eventID resources:json eventType apiVersion readOnly
		recipientAccountId serviceEventDetails:json sharedEventID vpcEndpointId vpcEndpointAccountId eventCategory managementEvent
		addendum:json sessionCredentialFromConsole edgeDeviceDetails:json tlsDetails:struct insightDetails:json:+ eventContext:json:+ eventData:json:+ metadata:json:+
		annotation:+ eventJsonChecksum:+ summary:json:+ timeWindow:json:+
		userIdentity.type:+ userIdentity.principalId:+ userIdentity.arn:+ userIdentity.accountId:+ userIdentity.accessKeyId:+
		userIdentity.userName:+ userIdentity.userId:+ userIdentity.invokedBy:+ userIdentity.inScopeOf:json:+ userIdentity.identityProvider:+
		userIdentity.credentialId:+ userIdentity.onBehalfOf:struct:+ userIdentity.onBehalfOf.userId:+ userIdentity.onBehalfOf.identityStoreArn:+
		userIdentity.sessionContext:struct:+ userIdentity.sessionContext.attributes:struct:+
		userIdentity.sessionContext.attributes.creationDate:+ userIdentity.sessionContext.attributes.mfaAuthenticated:+
		userIdentity.sessionContext.sessionIssuer:struct:+ userIdentity.sessionContext.sessionIssuer.type:+
		userIdentity.sessionContext.sessionIssuer.userName:+ userIdentity.sessionContext.sessionIssuer.principalId:+
		userIdentity.sessionContext.sessionIssuer.arn:+ userIdentity.sessionContext.sessionIssuer.accountId:+
		userIdentity.sessionContext.ec2RoleDelivery:+ userIdentity.sessionContext.ec2IssuedInVpc:+ userIdentity.sessionContext.sourceIdentity:+
		userIdentity.sessionContext.webIdFederationData:struct:+ userIdentity.sessionContext.webIdFederationData.federatedProvider:+
		userIdentity.sessionContext.webIdFederationData.attributes:json:+
		tlsDetails.tlsVersion:+ tlsDetails.cipherSuite:+ tlsDetails.clientProvidedHostHeader:+ tlsDetails.keyExchange:+`,
	aliases: map[string]string{
		"region": "awsregion", "region_partition": "awsregion", "aws_region": "awsregion",
		"account": "recipientaccountid", "accountid": "recipientaccountid", "account_id": "recipientaccountid", "account_partition": "recipientaccountid",
		"eventjson": "@message",
	},
	keys: map[string]map[string]string{"resources": {"arn": "ARN", "accountid": "accountId", "type": "type", "arnprefix": "ARNPrefix"}},
}, {
	kind: trailward.KindVPCFlow,
	fields: `version:int account-id interface-id srcaddr dstaddr srcport:int dstport:int protocol:int packets:int bytes:int start:int end:int
		action log-status vpc-id subnet-id instance-id tcp-flags:int type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id
		pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path:int
		ecs-cluster-arn:+ ecs-cluster-name:+ ecs-container-instance-arn:+ ecs-container-instance-id:+ ecs-container-id:+
		ecs-second-container-id:+ ecs-service-name:+ ecs-task-definition-arn:+ ecs-task-arn:+ ecs-task-id:+ reject-reason:+ resource-id:+
		encryption-status:int:+ instance-tag:+ instance-tag-2:+ interface-tag:+ interface-tag-2:+ asg-tag:+ asg-tag-2:+ interface-type:+
		next-hop-interface-id:+ next-hop-subnet-id:+ next-hop-az-id:+ next-hop-vpc-id:+ next-hop-interface-type:+`,
	aliases: map[string]string{
		"account": "account_id", "accountid": "account_id", "account_partition": "account_id", "aws-account-id": "account_id",
		"region_partition": "region", "aws-region": "region", "interfaceid": "interface_id",
		"sourceaddress": "srcaddr", "destinationaddress": "dstaddr", "sourceport": "srcport", "destinationport": "dstport",
		"src_addr": "srcaddr", "dst_addr": "dstaddr", "src_port": "srcport", "dst_port": "dstport",
		"numpackets": "packets", "numbytes": "bytes", "starttime": "start", "endtime": "end", "start_time": "start", "end_time": "end",
		"windowstart": "start", "windowend": "end", "logstatus": "log_status", "vpcid": "vpc_id", "vpc": "vpc_id", "subnetid": "subnet_id", "subnet": "subnet_id",
		"instanceid": "instance_id", "tcpflags": "tcp_flags", "pktsrcaddr": "pkt_srcaddr", "pktdstaddr": "pkt_dstaddr",
		"pkt_sourceaddress": "pkt_srcaddr", "pkt_destinationaddress": "pkt_dstaddr", "azid": "az_id",
		"sublocationtype": "sublocation_type", "sublocationid": "sublocation_id", "flowdirection": "flow_direction", "direction": "flow_direction",
		"trafficpath": "traffic_path", "pktsrcawsservice": "pkt_src_aws_service", "pktdstawsservice": "pkt_dst_aws_service",
	},
	calcs: map[string]calc{"day": {format: "%Y/%m/%d"}},
}, {
	kind: trailward.KindDNS,
	fields: `version account_id region vpc_id query_timestamp query_name query_type query_class rcode answers:json srcaddr srcport:int transport
		srcids:struct firewall_rule_action firewall_rule_group_id firewall_domain_list_id
		srcids.instance:+ srcids.resolver_endpoint:+ srcids.resolver_network_interface:+
		hostZoneId:+ edgeLocation:+ resolverIp:+ ednsClientSubnet:+`,
	aliases: map[string]string{
		"account": "account_id", "accountid": "account_id", "account_partition": "account_id", "region_partition": "region", "vpc_partition": "vpc_id",
		"vpcid": "vpc_id", "sourceaddress": "srcaddr", "sourceport": "srcport",
		"querytimestamp": "query_timestamp", "queryname": "query_name", "querytype": "query_type", "responsecode": "rcode",
		"host_zone_id": "hostzoneid", "edge_location": "edgelocation", "resolver_ip": "resolverip", "edns_client_subnet": "ednsclientsubnet",
	},
	keys: map[string]map[string]string{"answers": {"rdata": "Rdata", "type": "Type", "class": "Class"}},
}, {
	kind: trailward.KindWAF,
	fields: `timestamp:int formatVersion:int webaclId terminatingRuleId terminatingRuleType action terminatingRuleMatchDetails:json httpSourceName
		httpSourceId ruleGroupList:json rateBasedRuleList:json nonTerminatingMatchingRules:json requestHeadersInserted:json responseCodeSent
		httpRequest:struct labels:json captchaResponse:json challengeResponse:json ja3Fingerprint ja4Fingerprint
		oversizeFields:json requestBodySize:int requestBodySizeInspectedByWAF:int
		httpRequest.clientIp:+ httpRequest.country:+ httpRequest.headers:json:+ httpRequest.uri:+ httpRequest.args:+ httpRequest.httpVersion:+
		httpRequest.httpMethod:+ httpRequest.requestId:+ httpRequest.fragment:+ httpRequest.scheme:+ httpRequest.host:+`,
	keys: map[string]map[string]string{
		"rulegrouplist":               {"rulegroupid": "ruleGroupId", "terminatingrule": "terminatingRule", "nonterminatingmatchingrules": "nonTerminatingMatchingRules", "excludedrules": "excludedRules", "ruleid": "ruleId"},
		"ratebasedrulelist":           {"ratebasedruleid": "rateBasedRuleId", "limitkey": "limitKey", "maxrateallowed": "maxRateAllowed", "ratebasedrulename": "rateBasedRuleName"},
		"nonterminatingmatchingrules": {"ruleid": "ruleId", "rulematchdetails": "ruleMatchDetails"},
		"terminatingrulematchdetails": {"conditiontype": "conditionType", "sensitivitylevel": "sensitivityLevel", "matcheddata": "matchedData"},
	},
}, {
	kind: trailward.KindK8sAudit,
	fields: `apiVersion level auditID stage requestURI verb user:struct impersonatedUser:struct sourceIPs:json userAgent objectRef:struct
		responseStatus:struct requestObject:json responseObject:json requestReceivedTimestamp stageTimestamp annotations:json
		authenticationMetadata:json:+
		user.username:+ user.uid:+ user.groups:json:+ user.extra:json:+
		impersonatedUser.username:+ impersonatedUser.uid:+ impersonatedUser.groups:json:+ impersonatedUser.extra:json:+
		objectRef.resource:+ objectRef.namespace:+ objectRef.name:+ objectRef.uid:+ objectRef.apiGroup:+ objectRef.apiVersion:+
		objectRef.resourceVersion:+ objectRef.subresource:+
		responseStatus.code:int:+ responseStatus.status:+ responseStatus.reason:+ responseStatus.message:+ responseStatus.metadata:json:+
		responseStatus.details:json:+`,
}, {
	kind: trailward.KindLambda, open: true,
	fields: `@type @requestId @level @duration:float @billedDuration:float @initDuration:float @memorySize:int @maxMemoryUsed:int
		@xrayTraceId @xraySegmentId @status @errorType @text @json:json @runtimeVersion`,
	aliases: map[string]string{
		"type": "@type", "requestid": "@requestid", "request_id": "@requestid", "level": "@level", "duration": "@duration",
		"billedduration": "@billedduration", "billed_duration": "@billedduration", "initduration": "@initduration", "init_duration": "@initduration",
		"memorysize": "@memorysize", "memory_size": "@memorysize", "maxmemoryused": "@maxmemoryused", "max_memory_used": "@maxmemoryused",
		"xraytraceid": "@xraytraceid", "xraysegmentid": "@xraysegmentid", "status": "@status", "errortype": "@errortype", "runtimeversion": "@runtimeversion",
	},
	star: []string{"@timestamp", "@log", "@logStream", "@type", "@requestId", "@level", "@duration", "@billedDuration", "@initDuration", "@memorySize", "@maxMemoryUsed", "@message"},
}, {
	kind: trailward.KindLinuxAudit, open: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: trailward.KindSyslog, open: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: trailward.KindJournal, open: true, own: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: trailward.KindContainer, open: true, own: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: trailward.KindJSON, open: true, own: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: trailward.KindText, open: true,
	star: []string{"@timestamp", "@log", "@logStream", "@message"},
}, {
	kind: KindFindings, open: true,
	star: []string{"@timestamp", "@message"},
}, {
	kind: "", open: true,
	star: []string{"@timestamp", "@ingestionTime", "@kind", "@log", "@logStream", "@message"},
}}

// tables is made of specs, by kind.
var tables = buildTables()

func buildTables() map[trailward.Kind]*table {
	out := map[trailward.Kind]*table{}
	for _, s := range specs {
		t := &table{kind: s.kind, cols: map[string]*column{}, open: s.open, own: s.own}
		for _, f := range strings.Fields(s.fields) {
			parts := strings.Split(f, ":")
			c := &column{typ: typ{kind: kText}}
			p := parts[0]
			star := true
			for _, w := range parts[1:] {
				switch w {
				case "int":
					c.typ = typ{kind: kInt}
				case "float":
					c.typ = typ{kind: kFloat}
				case "json":
					c.typ = typ{kind: kJSON}
				case "struct":
					c.typ = typ{kind: kJSON}
					c.closed = true
				case "+":
					star = false
				}
			}
			c.name = strings.ToLower(p)
			c.path = strings.Split(p, ".")
			if strings.Contains(p, "-") {
				// Flow logs: text files write account-id, Parquet and Athena account_id.
				t.cols[c.name] = c
				c.name = strings.ReplaceAll(c.name, "-", "_")
			}
			if k := s.keys[c.name]; k != nil {
				c.typ.keys = k
			}
			t.cols[c.name] = c
			if star && s.star == nil {
				t.star = append(t.star, starColumn{c.name, c.name})
			}
		}
		for _, name := range s.star {
			label := strings.ToLower(strings.TrimPrefix(name, "@"))
			if name == "@log" {
				label = "group"
			}
			t.star = append(t.star, starColumn{label, name})
		}
		for name, f := range dateParts {
			if own, ok := s.calcs[name]; ok {
				f = own
			}
			if t.cols[name] == nil && !s.open {
				t.cols[name] = calcColumn(name, f)
			}
		}
		for alias, name := range s.aliases {
			if c := t.cols[name]; c != nil {
				t.cols[alias] = c
			} else {
				t.cols[alias] = systemColumn(name)
			}
		}
		out[s.kind] = t
	}
	// logs has the columns of every kind that has only one meaning, so that
	// useridentity.arn means the same there as in cloudtrail.
	all := out[""]
	clash := map[string]bool{}
	for _, s := range specs {
		for name, c := range out[s.kind].cols {
			if s.kind == "" || c.sys != "" || c.calc != nil || strings.HasPrefix(c.path[0], "@") && !strings.HasPrefix(name, "@") {
				continue
			}
			have := all.cols[name]
			switch {
			case have == nil:
				all.cols[name] = c
			case strings.Join(have.path, ".") != strings.Join(c.path, ".") || have.typ.kind != c.typ.kind:
				clash[name] = true
			}
		}
	}
	for name := range clash {
		delete(all.cols, name)
	}
	for name := range systemNames {
		delete(all.cols, name)
	}
	return out
}

func calcColumn(name string, f calc) *column {
	c := &column{name: name, typ: typ{kind: kText}, calc: &f}
	if f.date {
		c.typ = typ{kind: kDate}
	}
	return c
}

func systemColumn(name string) *column {
	return &column{name: strings.ToLower(name), typ: typ{kind: systemTypes[name]}, sys: name}
}

// fieldSet is the fields that the records of a kind have. A nil set is one
// that nobody knows.
type fieldSet struct {
	paths [][]string
	exact map[string][]string   // by FieldRef.Key
	fold  map[string][][]string // by lower case of it
}

func newFieldSet(paths []string) *fieldSet {
	s := &fieldSet{exact: map[string][]string{}, fold: map[string][][]string{}}
	for _, p := range paths {
		if strings.HasPrefix(p, "@") {
			continue
		}
		keys := trailward.SplitPath(p)
		k := plan.FieldRef{Keys: keys}.Key()
		if _, ok := s.exact[k]; ok {
			continue
		}
		s.exact[k] = keys
		s.paths = append(s.paths, keys)
		s.fold[strings.ToLower(k)] = append(s.fold[strings.ToLower(k)], keys)
	}
	slices.SortFunc(s.paths, slices.Compare[[]string])
	return s
}

// below gives the fields that lie under a path.
func (s *fieldSet) below(keys []string, fold bool) [][]string {
	if s == nil {
		return nil
	}
	var out [][]string
	for _, p := range s.paths {
		if len(p) > len(keys) && samePath(p[:len(keys)], keys, fold) {
			out = append(out, p)
		}
	}
	return out
}

func samePath(a, b []string, fold bool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(fold && strings.EqualFold(a[i], b[i])) {
			return false
		}
	}
	return true
}

// find looks for a field by its keys: exactly as written, else without regard
// to case. several names the choices when more than one field differs only in
// case.
func (s *fieldSet) find(keys []string) (found []string, several []string) {
	if s == nil {
		return nil, nil
	}
	k := plan.FieldRef{Keys: keys}.Key()
	if p, ok := s.exact[k]; ok {
		return p, nil
	}
	ps := s.fold[strings.ToLower(k)]
	if len(ps) == 1 {
		return ps[0], nil
	}
	for _, p := range ps {
		several = append(several, strings.Join(p, "."))
	}
	if len(ps) == 0 {
		for _, fold := range []bool{false, true} {
			if b := s.below(keys, fold); len(b) > 0 {
				return b[0][:len(keys)], nil
			}
		}
	}
	return nil, several
}
