package file

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"trailward"
	"trailward/format"
	"trailward/internal/sampletest"
)

// kindOf does what intake does to find a record's kind.
func kindOf(f *trailward.Framed) trailward.Kind {
	if f.Damaged != "" {
		return trailward.KindText
	}
	if f.Kind != "" {
		if f.Kind == trailward.KindVPCFlow {
			if _, ok := format.Split(f.Kind, f.Raw, f.Columns, nil); !ok {
				return format.ClassifyLine(f.Raw)
			}
		}
		return f.Kind
	}
	var obj map[string]any
	if len(f.Raw) > 0 && json.Unmarshal(f.Raw, &obj) == nil && obj != nil {
		paths := map[string]bool{}
		flatten("", obj, paths)
		return format.ClassifyObject(func(p string) bool { return paths[p] })
	}
	return format.ClassifyLine(f.Raw)
}

func flatten(prefix string, obj map[string]any, paths map[string]bool) {
	for k, v := range obj {
		p := trailward.JoinPath(k)
		if prefix != "" {
			p = prefix + "." + p
		}
		if m, ok := v.(map[string]any); ok {
			flatten(p, m, paths)
		} else {
			paths[p] = true
		}
	}
}

type tally struct {
	kinds   map[trailward.Kind]int
	damaged map[string]int
	report  Report
}

func count(t testing.TB, paths []string, opts Options) tally {
	t.Helper()
	c := tally{kinds: map[trailward.Kind]int{}, damaged: map[string]int{}}
	var err error
	c.report, err = Walk(context.Background(), paths, opts, func(in *Input) error {
		for {
			f, err := in.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if f.Damaged != "" {
				c.damaged[f.Damaged]++
			}
			c.kinds[kindOf(&f)]++
		}
	})
	if err != nil && !errors.As(err, new(*Damage)) {
		t.Fatalf("Walk(%v) = %v, want nil", paths, err)
	}
	return c
}

// TestRealData holds the kinds and counts of published data, of which
// ../shared/data/MANIFEST.md says what it is.
func TestRealData(t *testing.T) {
	root := sampletest.Dir(t)
	type kinds = map[trailward.Kind]int
	type reasons = map[string]int
	const (
		k8s     = trailward.KindK8sAudit
		trail   = trailward.KindCloudTrail
		flow    = trailward.KindVPCFlow
		dns     = trailward.KindDNS
		waf     = trailward.KindWAF
		audit   = trailward.KindLinuxAudit
		syslog  = trailward.KindSyslog
		journal = trailward.KindJournal
		cont    = trailward.KindContainer
		js      = trailward.KindJSON
		text    = trailward.KindText
	)
	for _, c := range []struct {
		path    string
		kinds   kinds
		damaged reasons
		files   int // if not 1
	}{
		{path: "cloudtrail/elastic-beats-fixtures.jsonl", kinds: kinds{trail: 40, trailward.KindTrailDigest: 1}},
		{path: "cloudtrail/opensearch-catalog-benign-2021-12.jsonl.gz", kinds: kinds{trail: 793}},
		{path: "cloudtrail/otrf-ec2-proxy-s3-exfiltration-2020-09-14.jsonl.gz", kinds: kinds{trail: 103}},
		{path: "cloudtrail/plaso-lookup-events.jsonl", kinds: kinds{js: 6}}, // a line is a record
		{path: "cloudtrail/sans504-s3-ransomware-2021-07-28_31.tar", kinds: kinds{trail: 19624}, files: 2395},
		{path: "k8s-audit/apiserver-1.37-story.jsonl", kinds: kinds{k8s: 582}},
		{path: "k8s-audit/audit2rbac-demo.jsonl", kinds: kinds{k8s: 37}},
		{path: "k8s-audit/falco-traces", kinds: kinds{k8s: 16}, files: 16},
		{path: "k8s-audit/perfspec-benign-audit-part1.csv.gz", kinds: kinds{text: 8282}},
		{path: "vpc-flow/aws-doc-examples.txt", kinds: kinds{flow: 16, text: 5}}, // headings, and an ellipsis
		{path: "vpc-flow/clo-vpcflow.log", kinds: kinds{flow: 17}},
		{path: "vpc-flow/elastic-fixtures", kinds: kinds{flow: 6, text: 2}, files: 6}, // without a header, version 5 is not known
		{path: "vpc-flow/honeypot-rds-bruteforce.log.gz", kinds: kinds{flow: 720}},
		{path: "vpc-flow/insights-results-2022-03-03.csv.gz", kinds: kinds{text: 10000}},
		{path: "vpc-flow/otel-fixtures", kinds: kinds{flow: 3, text: 1}, files: 3},
		{path: "linux/auditd/audit-rhel7.log.gz", kinds: kinds{audit: 2328, text: 119}}, // 119 have no stamp
		{path: "linux/auditd/go-libaudit-audit-rhel7.log", kinds: kinds{audit: 49, text: 1}},
		{path: "linux/auditd/plaso-audit_enriched.log", kinds: kinds{audit: 29}},
		{path: "linux/auditd/laurel-record-execve.txt", kinds: kinds{audit: 7}},
		{path: "linux/auth-mixed.log", kinds: kinds{syslog: 10}},
		{path: "linux/auth-ubuntu1204.log", kinds: kinds{syslog: 1000}},
		{path: "linux/loghub/Linux_2k.log", kinds: kinds{syslog: 2000}},
		{path: "linux/loghub/Apache_2k.log", kinds: kinds{text: 2000}},
		{path: "linux/plaso-apache_access.log", kinds: kinds{text: 15}},
		{path: "linux/plaso-bash_history", kinds: kinds{text: 11}},
		{path: "linux/plaso-syslog", kinds: kinds{syslog: 16, text: 2}}, // a month MMM, and a second line
		{path: "linux/plaso-syslog_rsyslog_SyslogProtocol23Format", kinds: kinds{syslog: 9, text: 1}},
		{path: "linux/plaso-utmp", kinds: kinds{text: 9}},
		{path: "linux/rootly-openssh-part1.log.gz", kinds: kinds{syslog: 15464}},
		{path: "linux/syslog-suse.log", kinds: kinds{syslog: 2}},
		{path: "linux/journald-export/vl-03.export", kinds: kinds{journal: 2}},
		{path: "linux/journald-export/vl-05.export", kinds: kinds{journal: 1}},
		{path: "linux/journald-export/vl-07.export", kinds: kinds{journal: 1}},
		{path: "linux/journald-export/vl-11.export", kinds: kinds{journal: 1, text: 1}, damaged: reasons{BrokenJournal: 1}},
		{path: "linux/journald-export/vl-13.export", kinds: kinds{text: 1}, damaged: reasons{BrokenJournal: 1}},
		{path: "container/cri.log", kinds: kinds{cont: 1}},
		{path: "container/plaso-cri.log", kinds: kinds{cont: 16}}, // 17 lines, the first a part
		{path: "container/docker-json.log", kinds: kinds{cont: 21}},
		{path: "container/fluent-bit-k8s", kinds: kinds{cont: 30}, files: 17},
		{path: "container/cribl-container-json-app.log.gz", kinds: kinds{js: 94}},
		{path: "container/cribl-k8s-events-added.log.gz", kinds: kinds{js: 100}},
		{path: "container/loghub/HDFS_2k.log", kinds: kinds{text: 2000}},
		{path: "container/loki-vault.log.gz", kinds: kinds{text: 1000}},
		{path: "dns/wrccdc-2018-zeek-dns.json.gz", kinds: kinds{js: 53615}},
		{path: "other/clo-rds.log", kinds: kinds{text: 160}},
		{path: "other/otel-network-firewall-log", kinds: kinds{js: 4}, files: 4},
		{path: "other/otel-subscription-filter", kinds: kinds{text: 3}, files: 2},
		{path: "other/otel-waf", kinds: kinds{waf: 1}},
		{path: "ocsf-pairs/v1.1.0/CloudTrail", kinds: kinds{trail: 2, js: 2}, files: 4},
		{path: "ocsf-pairs/v1.1.0/EKS_Audit_Logs", kinds: kinds{k8s: 1, js: 1}, files: 2},
		{path: "ocsf-pairs/v1.1.0/Route53", kinds: kinds{dns: 1, js: 1}, files: 2},
		{path: "ocsf-pairs/v1.1.0/WAF", kinds: kinds{waf: 1, js: 1}, files: 2},
	} {
		t.Run(c.path, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(c.path))
			if _, err := os.Stat(path); err != nil {
				t.Skipf("not in this copy of the data: %v", err)
			}
			got := count(t, []string{path}, Options{})
			if !maps.Equal(got.kinds, c.kinds) {
				t.Errorf("kinds of %s = %v, want %v", c.path, got.kinds, c.kinds)
			}
			if !maps.Equal(got.damaged, c.damaged) {
				t.Errorf("damaged records of %s = %v, want %v", c.path, got.damaged, c.damaged)
			}
			if got.report.Files != max(c.files, 1) || len(got.report.Damaged) > 0 {
				t.Errorf("%s has %d files, damaged %v, want %d, none", c.path, got.report.Files, got.report.Damaged, max(c.files, 1))
			}
		})
	}
}
