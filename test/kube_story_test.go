package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// story is what people did to a cluster, in the order in which they did it.
// Questions to Trailward are held against it.
type story struct {
	*control
	did []*answer
	// issued is the id of the token that was asked for, and lent the answers of those who used it.
	issued string
	lent   []*answer
}

// do makes a call a part of the story.
func (s *story) do(q call) *answer {
	s.t.Helper()
	a := s.control.do(&q)
	if a.auditID == "" {
		s.t.Errorf("%s %s as %q: the answer %d has no Audit-Id", q.method, q.path, q.user, a.status)
	}
	s.did = append(s.did, a)
	return a
}

// until asks, beside the story, until the API server answers so: rights take
// effect a moment after they were given.
func (s *story) until(status int, q call) {
	s.t.Helper()
	q.quiet = true
	s.await(fmt.Sprintf("%d for %s %s as %q", status, q.method, q.path, q.user), func() error {
		a, err := s.try(s.t.Context(), &q)
		if err == nil && a.status != status {
			err = fmt.Errorf("status %d: %.200s", a.status, a.reply)
		}
		return err
	})
}

const (
	namespaces  = "/api/v1/namespaces"
	clinic      = "/api/v1/namespaces/clinic"
	deployments = "/apis/apps/v1/namespaces/clinic/deployments"
	roleAPI     = "/apis/rbac.authorization.k8s.io/v1"
	clusterBind = roleAPI + "/clusterrolebindings"
)

// binding is a ClusterRoleBinding.
func binding(name, role, subjectKind, subject string) string {
	where := `"apiGroup":"rbac.authorization.k8s.io"`
	if subjectKind == "ServiceAccount" {
		where = `"namespace":"clinic"`
	}
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},"subjects":[{"kind":%q,"name":%q,%s}]}`,
		name, role, subjectKind, subject, where)
}

// morning is what happens first: work is set up, and people without rights try doors.
func (s *story) morning() {
	s.do(call{user: "admin", method: "POST", path: namespaces, body: `{"metadata":{"name":"clinic"}}`})
	s.until(200, call{user: "admin", method: "GET", path: clinic + "/serviceaccounts/default"})
	s.do(call{user: "admin", method: "POST", path: clinic + "/secrets", body: `{"metadata":{"name":"ehr-db"},"stringData":{"password":"correct horse"}}`})
	s.do(call{user: "admin", method: "POST", path: deployments, body: `{"metadata":{"name":"ehr"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"ehr"}},` +
		`"template":{"metadata":{"labels":{"app":"ehr"}},"spec":{"containers":[{"name":"ehr","image":"registry.example/ehr:1"}]}}}}`})
	s.do(call{user: "admin", method: "PATCH", path: deployments + "/ehr", kind: "application/strategic-merge-patch+json", body: `{"spec":{"replicas":3}}`})

	s.do(call{user: "dora", method: "GET", path: clinic + "/secrets", want: 403})
	s.do(call{user: "dora", method: "DELETE", path: deployments + "/ehr", want: 403})
	s.do(call{user: "mallory", method: "GET", path: "/api/v1/secrets", want: 403})
	s.do(call{user: "mallory", method: "DELETE", path: clinic, want: 403})
	s.do(call{user: "mallory", as: "admin", method: "GET", path: clinic + "/secrets/ehr-db", want: 403})
	s.do(call{user: "mallory", method: "POST", path: clusterBind, body: binding("mine", "cluster-admin", "User", mallory), want: 403})
	s.do(call{user: "mallory", method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		body: `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"*","resource":"*"}}}`})
	s.do(call{method: "GET", path: clinic + "/secrets", want: 403})
	s.do(call{method: "GET", path: clinic + "/pods", want: 403})
	s.do(call{method: "GET", path: "/version"})
	s.do(call{token: "stolen-and-stale", method: "GET", path: clinic + "/secrets", want: 401})
	s.do(call{user: "admin", as: dora, method: "GET", path: clinic + "/secrets", want: 403})
}

// noon is the careless grant and what is made of it.
func (s *story) noon() {
	s.do(call{user: "admin", method: "POST", path: roleAPI + "/namespaces/clinic/roles",
		body: `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"secret-reader"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get","list"]}]}`})
	s.do(call{user: "admin", method: "POST", path: roleAPI + "/namespaces/clinic/rolebindings",
		body: `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"dora-reads"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"secret-reader"},` +
			`"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"` + dora + `"}]}`})
	s.until(200, call{user: "dora", method: "GET", path: clinic + "/secrets"})
	s.do(call{user: "dora", method: "GET", path: clinic + "/secrets/ehr-db"})
	s.do(call{user: "admin", as: dora, method: "GET", path: clinic + "/secrets"})

	s.do(call{user: "admin", method: "POST", path: clusterBind, body: binding("oops", "cluster-admin", "User", mallory)})
	s.until(200, call{user: "mallory", method: "GET", path: "/api/v1/secrets?limit=1"})
	s.do(call{user: "mallory", method: "GET", path: "/api/v1/secrets"})
	token := s.do(call{user: "mallory", method: "POST", path: clinic + "/serviceaccounts/default/token",
		body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":86400}}`})
	var made struct{ Status struct{ Token string } }
	token.decode(s.t, &made)
	s.issued = token.auditID
	borrow := func(q call) {
		q.token = made.Status.Token
		s.lent = append(s.lent, s.do(q))
	}
	borrow(call{method: "GET", path: clinic + "/secrets/ehr-db", want: 403})
	s.do(call{user: "mallory", method: "POST", path: clusterBind, body: binding("backdoor", "cluster-admin", "ServiceAccount", "default")})
	s.do(call{user: "mallory", method: "POST", path: clusterBind, body: binding("public", "view", "Group", "system:unauthenticated")})
	s.until(200, call{token: made.Status.Token, method: "GET", path: clinic + "/secrets?limit=1"})
	borrow(call{method: "GET", path: clinic + "/secrets/ehr-db"})
	s.until(200, call{method: "GET", path: clinic + "/pods?limit=1"})
	s.do(call{method: "GET", path: clinic + "/pods"})
	s.do(call{method: "GET", path: clinic + "/configmaps"})
	s.do(call{method: "GET", path: clinic + "/secrets", want: 403})
}

// evening is a shell that does not open, and odd bytes of every sort that a client may choose.
func (s *story) evening() {
	// Nobody listens on the port of this node's kubelet.
	s.do(call{user: "admin", method: "POST", path: "/api/v1/nodes",
		body: `{"metadata":{"name":"node-1"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":1}}}}`})
	s.do(call{user: "mallory", method: "POST", path: clinic + "/pods", body: `{"metadata":{"name":"shell"},"spec":{"nodeName":"node-1","tolerations":[{"operator":"Exists"}],` +
		`"containers":[{"name":"sh","image":"registry.example/sh","securityContext":{"privileged":true}}]}}`})
	const exec = clinic + "/pods/shell/exec?container=sh&stdin=true&stdout=true&command=sh&command=-c&command=cat%20/etc/shadow"
	upgrade := []string{"Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dHJhaWx3YXJkLWUyZS1rZXk=", "Sec-WebSocket-Protocol", "v5.channel.k8s.io"}
	s.do(call{user: "mallory", method: "POST", path: exec, header: []string{"Connection", "Upgrade", "Upgrade", "SPDY/3.1", "X-Stream-Protocol-Version", "v4.channel.k8s.io"}, want: http.StatusInternalServerError})
	s.do(call{user: "mallory", method: "GET", path: exec, header: append(upgrade, "Upgrade", "websocket", "Audit-ID", "a-shell"), want: http.StatusSwitchingProtocols})
	s.do(call{user: "dora", method: "POST", path: exec, want: 403})

	configMap := clinic + "/configmaps"
	s.do(call{user: "admin", method: "GET", path: configMap + "?watch=true&timeoutSeconds=1"})
	odd := `{"metadata":{"name":"odd","annotations":{"a/b.c":"\u003cscript\u003e & \u2028 \ud83d\ude00 \u202etxt.exe"}},` + "\n\t" + `"data":{"x" : "\"\\\/\b\f\n\r\t\u0001", "é😀":"<b>&"}}`
	s.do(call{user: "admin", method: "POST", path: configMap, body: strings.Replace(odd, "é😀", "k", 1)})
	s.do(call{user: "admin", method: "POST", path: configMap, body: odd, want: 422})
	s.do(call{user: "admin", method: "POST", path: configMap, body: `{"metadata":{"name":"large"},"data":{"k":"` + strings.Repeat("0123456789abcde<", 55<<10) + `"}}`})
	for _, p := range []struct {
		kind, body string
		want       int
	}{
		{"application/merge-patch+json", "{ \"data\" : {\"x\":\"1\" ,\"x\":\"2\", \"n\": null }\r\n}", 0},
		{"application/json-patch+json", "[ {\"op\":\"add\", \"path\":\"/data/y\", \"value\":\"<&>\u2028\"} ]", 0},
		{"application/json-patch+json", `[{"op":"test","path":"/data/y","value":1.0e+2}]`, 422},
		{"application/strategic-merge-patch+json", `{"metadata":{"labels":{"l":"v"}},"data":{"z":"\ud83d\ude00\ufffd"}}`, 0},
	} {
		s.do(call{user: "admin", method: "PATCH", path: configMap + "/odd", kind: p.kind, body: p.body, want: p.want})
	}
	s.do(call{user: "admin", method: "PATCH", path: configMap + "/applied?fieldManager=e2e&force=true", kind: "application/apply-patch+yaml",
		body: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  k: |\n    several\n    lines\n"})
	for _, agent := range []string{`${jndi:ldap://x} <script>alert(1)</script> =cmd|'/c calc'!A1`, "right\u202eleft", strings.Repeat("long ", 500), "bad utf8 \xff\xfe"} {
		s.do(call{user: "admin", method: "GET", path: configMap + "/odd?%00=%3Cscript%3E&x=%F0%9F%98%80", header: []string{"User-Agent", agent}})
	}
	// Whoever chooses the audit id of somebody else's request must not make either disappear.
	for _, user := range []string{"admin", "admin", "mallory"} {
		s.do(call{user: user, method: "GET", path: clinic + "/secrets/ehr-db", header: []string{"Audit-ID", "chosen-by-the-client"}})
	}
}

// night is covering tracks, and cleaning up.
func (s *story) night() {
	s.do(call{user: "admin", method: "PATCH", path: clusterBind + "/oops", kind: "application/merge-patch+json", body: `{"metadata":{"labels":{"reviewed":"no"}}}`})
	s.do(call{user: "mallory", method: "DELETE", path: clusterBind + "/public"})
	s.do(call{user: "admin", method: "DELETE", path: clusterBind + "/oops"})
	s.until(403, call{user: "mallory", method: "GET", path: "/api/v1/secrets?limit=1"})
	s.do(call{user: "mallory", method: "GET", path: "/api/v1/secrets", want: 403})
	s.do(call{user: "admin", method: "DELETE", path: deployments + "/ehr"})
	s.do(call{user: "admin", method: "DELETE", path: clinic + "/pods/shell?gracePeriodSeconds=0"})
	s.do(call{user: "admin", method: "DELETE", path: clinic + "/secrets/ehr-db"})
	s.do(call{user: "admin", method: "DELETE", path: clinic})
	s.until(404, call{user: "admin", method: "GET", path: clinic}) // the controllers empty it
}

// busy is a client that works all the while.
type busy struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	did    []*answer // those that were answered; read after stop
	err    error     // of the last that was not
}

// startBusy makes requests, one every few milliseconds, until stop.
func startBusy(c *control) *busy {
	ctx, cancel := context.WithCancel(context.Background())
	b := &busy{cancel: cancel}
	c.t.Cleanup(b.stop)
	b.done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		const place = namespaces + "/default/configmaps"
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			name := fmt.Sprintf("busy-%d", i/4)
			q := []call{
				{user: "admin", method: "POST", path: place, body: fmt.Sprintf(`{"metadata":{"name":%q},"data":{"n":"%d"}}`, name, i)},
				{user: "admin", method: "PATCH", path: place + "/" + name, kind: "application/merge-patch+json", body: `{"data":{"m":"patched"}}`},
				{user: "dora", method: "DELETE", path: place + "/" + name},
				{user: "admin", method: "DELETE", path: place + "/" + name},
			}[i%4]
			q.quiet = true
			a, err := c.try(ctx, &q)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					b.err = err
				}
				continue
			}
			b.did = append(b.did, a)
		}
	})
	return b
}

func (b *busy) stop() {
	b.cancel()
	b.done.Wait()
}

// auditEvent is what the test reads of an event of the audit file.
type auditEvent struct {
	AuditID, Stage string
}

func (e auditEvent) String() string { return e.AuditID + " " + e.Stage }

func decodeEvent(t *testing.T, line string) (e auditEvent) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.AuditID == "" || e.Stage == "" {
		t.Fatalf("audit event %.200q: %v", line, err)
	}
	return e
}
