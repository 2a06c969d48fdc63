package file

import (
	"io"
	"strings"
	"testing"
)

// again gives content again and again, left bytes of it, so that a benchmark
// reads from memory.
type again struct {
	content string
	pos     int
	left    int
}

func (a *again) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), a.left)], a.content[a.pos:])
	a.pos, a.left = (a.pos+n)%len(a.content), a.left-n
	return n, nil
}

func benchRead(b *testing.B, head, content string) {
	const size = 64 << 20
	content = strings.Repeat(content, 1+(1<<20)/len(content))
	b.SetBytes(int64(size / len(content) * len(content)))
	b.ReportAllocs()
	for b.Loop() {
		in, err := NewInput("bench", io.MultiReader(strings.NewReader(head), &again{content: content, left: size / len(content) * len(content)}), Options{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := in.Next(); err != nil {
				break
			}
		}
	}
}

const auditEvent = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"55a81824-ab56-46c5-8b02-96336f5e78d7","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/secrets","verb":"create","user":{"username":"minikube-user","groups":["system:masters","system:authenticated"]},"sourceIPs":["192.168.64.1"],"userAgent":"kubectl/v1.17.3 (darwin/amd64) kubernetes/06ad960","objectRef":{"resource":"secrets","namespace":"default","name":"example-secret","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2020-04-21T17:57:05.541358Z","stageTimestamp":"2020-04-21T17:57:05.548299Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}`

func BenchmarkJSONLines(b *testing.B) { benchRead(b, "", auditEvent+"\n") }
func BenchmarkTextLines(b *testing.B) {
	benchRead(b, "", "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating\n")
}
func BenchmarkFlowLines(b *testing.B) {
	benchRead(b, "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n",
		"2 560205084868 eni-086e771b77c2495ae 10.0.1.149 194.87.190.127 5432 48134 6 5 431 1777092909 1777092938 ACCEPT OK\n")
}
func BenchmarkRecords(b *testing.B) { benchRead(b, `{"Records":[`, auditEvent+",") }
func BenchmarkCRI(b *testing.B) {
	benchRead(b, "", "2016-10-06T00:17:09.669794202Z stdout F 10.0.2.1:34574 - - [Tue, 16 Apr 2024 06:24:49 UTC] \"GET /readiness HTTP/1.1\" kube-probe/1.27\n")
}
func BenchmarkDocker(b *testing.B) {
	benchRead(b, "", `{"log":"Fetching main repository github.com/elastic/beats...\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`+"\n")
}
