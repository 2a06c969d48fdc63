package query

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trailward"
	"trailward/intake"
	"trailward/store"
)

// auditID is that of the i-th event.
func auditID(i int) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", i, i&0xffff, i&0xfff, i&0xfff, uint64(i)*2654435761&(1<<48-1))
}

// auditLine is an audit event of about 1,100 bytes, as the API server writes them.
func auditLine(rnd *rand.Rand, i int) []byte {
	verb := []string{"get", "list", "watch", "update", "patch", "create", "delete"}[rnd.IntN(7)]
	resource := []string{"pods", "configmaps", "secrets", "leases", "events", "nodes"}[rnd.IntN(6)]
	user := fmt.Sprintf("system:serviceaccount:ns-%d:sa-%d", rnd.IntN(40), rnd.IntN(30))
	at := epoch.Add(time.Duration(i) * 50 * time.Millisecond).Format("2006-01-02T15:04:05.000000Z")
	return fmt.Appendf(nil, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/ns-%d/%s/%s-%05x?timeout=%ds","verb":%q,"user":{"username":%q,"uid":"%08x-0000-4000-8000-000000000000","groups":["system:serviceaccounts","system:authenticated"],"extra":{"authentication.kubernetes.io/pod-name":["worker-%d"],"authentication.kubernetes.io/pod-uid":["%08x-1111-4000-8000-000000000000"]}},"sourceIPs":["10.%d.%d.%d"],"userAgent":"kube-controller-manager/v1.31.%d (linux/amd64) kubernetes/0000000/system:serviceaccount:kube-system","objectRef":{"resource":%q,"namespace":"ns-%d","name":"pod-%05x","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":%d},"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"system:controller:c-%d\" of ClusterRole \"system:controller:c-%d\" to ServiceAccount \"sa/kube-system\""}}`,
		auditID(i), rnd.IntN(40), resource, resource, rnd.IntN(1<<20), rnd.IntN(60), verb, user, rnd.Uint32(), rnd.IntN(200), rnd.Uint32(),
		rnd.IntN(8), rnd.IntN(32), rnd.IntN(250), rnd.IntN(9), resource, rnd.IntN(40), rnd.IntN(1<<20), []int{200, 200, 200, 201, 403, 404}[rnd.IntN(6)], at, at, rnd.IntN(30), rnd.IntN(30))
}

// BenchmarkGrowth asks the same questions of GROWTH (default 5,000), four times
// and sixteen times as many audit events. It reports the CPU time of a question
// and how far the memory of the process has grown at most while it was answered.
func BenchmarkGrowth(b *testing.B) {
	base := 5000
	if v := os.Getenv("GROWTH"); v != "" {
		if _, err := fmt.Sscan(v, &base); err != nil {
			b.Fatal(err)
		}
	}
	for _, times := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("x%d", times), func(b *testing.B) {
			s := emptyStore(b)
			loadAudit(b, s, base*times)
			e, _ := storeEngines(b, s)
			for _, c := range []struct {
				name string
				ask  func(i int) Request
			}{
				{"needle", func(i int) Request {
					return Request{Text: fmt.Sprintf("filter auditID = '%s' | fields verb", auditID(i*7919%(base*times)))}
				}},
				{"needle by its beginning", func(i int) Request {
					return Request{Text: fmt.Sprintf("filter auditID like '%08x-' | fields verb", i*7919%(base*times))}
				}},
				{"group-by", func(i int) Request {
					return Request{Text: fmt.Sprintf("stats count(*) as c by user.username | sort c desc | limit %d", 20+i%50)}
				}},
				{"count-distinct", func(i int) Request {
					return Request{Text: fmt.Sprintf("stats count_distinct(objectRef.name) as c by verb | sort c desc | limit %d", 5+i%50)}
				}},
				{"filter and top", func(i int) Request {
					return Request{Text: fmt.Sprintf("filter verb = 'delete' and responseStatus.code >= 403 | sort requestURI desc | fields requestURI | limit %d", 10+i%50)}
				}},
				{"text anywhere", func(i int) Request {
					return Request{Text: fmt.Sprintf("filter @message like 'pod-%05x\"' | fields verb | limit 100", i*7919%(1<<20))}
				}},
				{"an hour in SQL", func(i int) Request {
					from := epoch.Add(time.Duration(i%4) * time.Minute)
					return Request{Language: SQL, Text: fmt.Sprintf(`SELECT verb, count(*) FROM k8s_audit WHERE "@timestamp" BETWEEN timestamp '%s' AND timestamp '%s' GROUP BY verb`, from.Format(time.DateTime), from.Add(time.Hour).Format(time.DateTime))}
				}},
			} {
				b.Run(c.name, func(b *testing.B) {
					runtime.GC()
					before, peak := peakMemory(b)
					cpu := cpuTime(b)
					n := 0
					for b.Loop() {
						if _, err := read(e.Query(b.Context(), c.ask(n))); err != nil {
							b.Fatal(err)
						}
						n++
					}
					b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(n)/1000, "cpu-ms/op")
					b.ReportMetric(float64(peak()-before)/(1<<20), "grown-MiB")
				})
			}
		})
	}
}

// loadAudit stores n audit events, as a file would be.
func loadAudit(b *testing.B, s *store.Store, n int) {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	p := intake.NewPreparer()
	l := s.NewLoad()
	for i := range n {
		r, taken, _ := p.Prepare(&trailward.Framed{Raw: auditLine(rnd, i)}, "audit", "s", epoch)
		if err := l.Add(&r, taken); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what the process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
