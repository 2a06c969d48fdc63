package athena

import (
	"path"
	"sort"
	"strings"

	"trailward"
)

// KindFindings is the kind of the table findings: what detection concluded.
// It is no kind of record that intake gives.
const KindFindings trailward.Kind = "findings"

// tableNames are our own table names. "" is every kind.
var tableNames = map[string]trailward.Kind{
	"k8s_audit":   trailward.KindK8sAudit,
	"cloudtrail":  trailward.KindCloudTrail,
	"vpc_flow":    trailward.KindVPCFlow,
	"dns":         trailward.KindDNS,
	"waf":         trailward.KindWAF,
	"aws_lambda":  trailward.KindLambda, // lambda is a word of the parser's
	"linux_audit": trailward.KindLinuxAudit,
	"syslog":      trailward.KindSyslog,
	"journal":     trailward.KindJournal,
	"container":   trailward.KindContainer,
	"json":        trailward.KindJSON,
	"text":        trailward.KindText,
	"findings":    KindFindings,
	"logs":        "",
}

// tablePatterns are the names under which published queries know our tables,
// in order; the first that matches counts. They are matched against the lower
// case of the name, in the manner of path.Match.
var tablePatterns = []struct {
	pattern string
	kind    trailward.Kind
}{
	{"*cloudtrail*", trailward.KindCloudTrail},
	{"*cloud_trail*", trailward.KindCloudTrail},
	{"trail_logs*", trailward.KindCloudTrail},
	{"*_trail_logs*", trailward.KindCloudTrail},
	{"ct_logs*", trailward.KindCloudTrail},
	{"ctlogs*", trailward.KindCloudTrail},
	{"eds[0-9]", trailward.KindCloudTrail}, // CloudTrail Lake event data stores
	{"eds[0-9][0-9]", trailward.KindCloudTrail},
	{"$eds_id", trailward.KindCloudTrail},
	{"*event?data?store*", trailward.KindCloudTrail},
	{"<eds?id>", trailward.KindCloudTrail},
	{"????????-????-????-????-????????????", trailward.KindCloudTrail},
	{"*vpcflow*", trailward.KindVPCFlow},
	{"*vpc_flow*", trailward.KindVPCFlow},
	{"*vpc__flow*", trailward.KindVPCFlow},
	{"*vpclogs*", trailward.KindVPCFlow},
	{"*vpc_logs*", trailward.KindVPCFlow},
	{"flow_log*", trailward.KindVPCFlow},
	{"flowlog*", trailward.KindVPCFlow},
	{"*network_flow*", trailward.KindVPCFlow},
	{"*eks_audit*", trailward.KindK8sAudit},
	{"*eksaudit*", trailward.KindK8sAudit},
	{"*k8s_audit*", trailward.KindK8sAudit},
	{"*k8saudit*", trailward.KindK8sAudit},
	{"*kube_audit*", trailward.KindK8sAudit},
	{"*kubernetes_audit*", trailward.KindK8sAudit},
	{"*kube?apiserver?audit*", trailward.KindK8sAudit},
	{"*r53*", trailward.KindDNS},
	{"*route53*", trailward.KindDNS},
	{"*route_53*", trailward.KindDNS},
	{"*tabledns", trailward.KindDNS},
	{"dns_*", trailward.KindDNS},
	{"*_dns", trailward.KindDNS},
	{"*resolver_query_log*", trailward.KindDNS},
	{"*resolver_logs*", trailward.KindDNS},
	{"waf_*", trailward.KindWAF},
	{"waflogs*", trailward.KindWAF},
	{"*_waf", trailward.KindWAF},
	{"*_waf_*", trailward.KindWAF},
	{"wafv2*", trailward.KindWAF},
	{"*lambda*", trailward.KindLambda},
	{"auditd*", trailward.KindLinuxAudit},
	{"linux_audit*", trailward.KindLinuxAudit},
	{"syslog_*", trailward.KindSyslog},
	{"journald*", trailward.KindJournal},
	{"container_logs*", trailward.KindContainer},
}

// foreign are tables of other AWS services that look like ours but are not.
var foreign = []struct{ pattern, why string }{
	{"amazon_security_lake*", "Security Lake's tables have OCSF columns, which are not kept; ask cloudtrail, vpc_flow or dns"},
	{"*aga_flow*", "Global Accelerator flow logs are no kind of record here"},
	{"*tgw*flow*", "transit gateway flow logs are no kind of record here"},
	{"*transit*gateway*", "transit gateway flow logs are no kind of record here"},
}

// tableKind finds the kind that a table name means: the user's own names, our
// names, then the patterns. A name that is only a placeholder ("<table>") is
// judged by its schema. hint says more about an unknown name.
func tableKind(own map[string]trailward.Kind, schema, name string) (kind trailward.Kind, ok bool, hint string) {
	lower := strings.ToLower(name)
	if strings.EqualFold(schema, "information_schema") || strings.HasSuffix(lower, "$partitions") {
		return "", false, "SHOW TABLES and DESCRIBE table tell what is here"
	}
	for n, k := range own {
		if strings.EqualFold(n, name) {
			return k, true, ""
		}
	}
	if k, ok := tableNames[lower]; ok {
		return k, true, ""
	}
	for _, f := range foreign {
		if m, _ := path.Match(f.pattern, escapeSlash(lower)); m {
			return "", false, f.why
		}
	}
	if k, ok := matchTable(lower); ok {
		return k, true, ""
	}
	if strings.HasPrefix(name, "<") && schema != "" {
		if k, ok := matchTable(strings.ToLower(schema)); ok {
			return k, true, ""
		}
	}
	var all []string
	for n := range tableNames {
		all = append(all, n)
	}
	for n := range own {
		all = append(all, n)
	}
	sort.Strings(all)
	if n := nearest(lower, all); n != "" {
		return "", false, "did you mean " + n + "?"
	}
	return "", false, "known are " + strings.Join(all, ", ") + "; --table " + name + "=KIND adds a name"
}

func matchTable(lower string) (trailward.Kind, bool) {
	lower = escapeSlash(lower)
	for _, p := range tablePatterns {
		if m, _ := path.Match(p.pattern, lower); m {
			return p.kind, true
		}
	}
	return "", false
}

// escapeSlash keeps path.Match's * able to pass a slash.
func escapeSlash(s string) string { return strings.ReplaceAll(s, "/", "_") }

// nearest gives the name that is closest to s by edits, or "" if none is close.
func nearest(s string, names []string) string {
	best, bestDist := "", 1+max(1, len(s)/3)
	for _, n := range names {
		if d := editDistance(strings.ToLower(s), strings.ToLower(n), bestDist); d < bestDist {
			best, bestDist = n, d
		}
	}
	return best
}

// editDistance is the number of single-byte insertions, removals, changes and
// swaps of neighbours between a and b; it gives limit when it is no less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 256 || len(b) > 256 {
		return limit
	}
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit)
}
