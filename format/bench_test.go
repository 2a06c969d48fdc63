package format

import (
	"strings"
	"testing"
	"time"

	"trailward"
)

func benchSplit(b *testing.B, kind trailward.Kind, line string) {
	raw := []byte(line)
	var dst []trailward.Field
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var ok bool
		if dst, ok = Split(kind, raw, nil, dst[:0]); !ok {
			b.Fatal("Split(…) = false, want true")
		}
	}
}

const flowLine = "2 560205084868 eni-086e771b77c2495ae 10.0.1.149 194.87.190.127 5432 48134 6 5 431 1777092909 1777092938 ACCEPT OK"

const auditLine = `type=SYSCALL msg=audit(1626611363.720:348501): arch=c000003e syscall=59 success=yes exit=0 a0=55c094deb5c0 a1=55c094dea770 a2=55c094dbf1b0 a3=fffffffffffff286 items=3 ppid=722076 pid=724395 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts3 ses=3 comm="perl" exe="/usr/bin/perl" subj=unconfined key=(null)`

func BenchmarkSplitFlow(b *testing.B)  { benchSplit(b, trailward.KindVPCFlow, flowLine) }
func BenchmarkSplitAudit(b *testing.B) { benchSplit(b, trailward.KindLinuxAudit, auditLine) }
func BenchmarkSplitSyslog(b *testing.B) {
	benchSplit(b, trailward.KindSyslog, "Jan 26 00:00:05 d2-4-bhs5 sshd[3578055]: Received disconnect from 35.246.248.48 port 47192:11: Bye Bye [preauth]")
}

func BenchmarkClassifyLine(b *testing.B) {
	for name, line := range map[string]string{"flow": flowLine, "audit": auditLine, "text": "INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating"} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(line)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				ClassifyLine(raw)
			}
		})
	}
}

func BenchmarkParseTime(b *testing.B) {
	for _, v := range []string{"2026-01-02T03:04:05.123456Z", "1777092909", "Jan 26 00:00:05"} {
		b.Run(strings.ReplaceAll(v, " ", "_"), func(b *testing.B) {
			raw, ref := []byte(v), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := ParseTime(raw, ref); !ok {
					b.Fatal("ParseTime(…) = false, want true")
				}
			}
		})
	}
}

func BenchmarkJSONScanner(b *testing.B) {
	raw := []byte(`[` + strings.Repeat(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"55a81824-ab56-46c5-8b02-96336f5e78d7","stage":"ResponseComplete","code":201,"ok":true},`, 500) + `{}]`)
	b.SetBytes(int64(len(raw)))
	var s JSONScanner
	for b.Loop() {
		s.Reset()
		if n, state := s.Scan(raw); n != len(raw) || state != ScanDone {
			b.Fatalf("Scan(…) = %d, %v, want %d, ScanDone", n, state, len(raw))
		}
	}
}

func BenchmarkContent(b *testing.B) {
	raw := []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"55a81824-ab56-46c5-8b02-96336f5e78d7","stage":"ResponseComplete","code":201,"ok":true}`)
	b.ReportAllocs()
	for b.Loop() {
		Content(trailward.KindK8sAudit, raw)
	}
}
