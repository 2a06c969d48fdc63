package demo

import (
	"encoding/json"
	"strings"
	"time"

	"trailward"
)

// auditEvent is audit.k8s.io/v1 Event, members in the order in which the API
// server writes them.
type auditEvent struct {
	Kind           string            `json:"kind,omitempty"`
	APIVersion     string            `json:"apiVersion,omitempty"`
	Level          string            `json:"level"`
	AuditID        string            `json:"auditID"`
	Stage          string            `json:"stage"`
	RequestURI     string            `json:"requestURI"`
	Verb           string            `json:"verb"`
	User           auditUser         `json:"user"`
	SourceIPs      []string          `json:"sourceIPs"`
	UserAgent      string            `json:"userAgent"`
	ObjectRef      *objectRef        `json:"objectRef,omitempty"`
	ResponseStatus auditStatus       `json:"responseStatus"`
	RequestObject  json.RawMessage   `json:"requestObject,omitempty"`
	Received       string            `json:"requestReceivedTimestamp"`
	StageTime      string            `json:"stageTimestamp"`
	Annotations    map[string]string `json:"annotations"`
}

type auditUser struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

type objectRef struct {
	Resource    string `json:"resource"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	APIGroup    string `json:"apiGroup,omitempty"`
	APIVersion  string `json:"apiVersion"`
	Subresource string `json:"subresource,omitempty"`
}

type auditStatus struct {
	Metadata struct{} `json:"metadata"`
	Status   string   `json:"status,omitempty"`
	Message  string   `json:"message,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Code     int      `json:"code"`
}

// request is what differs from one API request to the next.
type request struct {
	at        time.Time
	user      string
	from      string
	agent     string
	verb      string
	ref       objectRef
	code      int
	body      string // requestObject, for the level RequestResponse
	forbidden string // why, when code is 403
}

const kubectl = "kubectl/v1.31.2 (linux/amd64) kubernetes/5864a46"

// event makes the audit event of a request, at the stage ResponseComplete.
func (s *story) event(q request) auditEvent {
	e := auditEvent{
		Kind: "Event", APIVersion: "audit.k8s.io/v1",
		Level: "Metadata", AuditID: s.r.uuid(), Stage: "ResponseComplete",
		RequestURI: uri(q), Verb: q.verb,
		User:      auditUser{Username: q.user, Groups: groupsOf(q.user)},
		SourceIPs: []string{q.from}, UserAgent: q.agent,
		ObjectRef:      &q.ref,
		ResponseStatus: auditStatus{Code: q.code},
		Received:       q.at.Format("2006-01-02T15:04:05.000000Z"),
		StageTime:      q.at.Add(time.Duration(s.r.between(900, 24000)) * time.Microsecond).Format("2006-01-02T15:04:05.000000Z"),
		Annotations: map[string]string{
			"authorization.k8s.io/decision": "allow",
			"authorization.k8s.io/reason":   reasonFor(q.user),
		},
	}
	if strings.HasPrefix(q.user, "system:serviceaccount:") {
		e.User.UID = "5e3b1f0a-77c1-4d6e-9a32-0f4c8d2be6" + shortSum(q.user)
		e.User.Extra = map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=" + "c1f2b7de-0d7f-4a55-8f0e-93a1c6b5d2" + shortSum(q.user)}}
	}
	if q.body != "" {
		e.Level = "RequestResponse"
		e.RequestObject = json.RawMessage(q.body)
	}
	if q.forbidden != "" {
		e.Annotations["authorization.k8s.io/decision"] = "forbid"
		e.Annotations["authorization.k8s.io/reason"] = ""
		e.ResponseStatus = auditStatus{Status: "Failure", Message: q.forbidden, Reason: "Forbidden", Code: 403}
	}
	return e
}

// shortSum gives two hexadecimal digits that belong to a name.
func shortSum(name string) string {
	var h byte
	for i := range len(name) {
		h = h*31 + name[i]
	}
	const digits = "0123456789abcdef"
	return string([]byte{digits[h>>4], digits[h&15]})
}

func groupsOf(user string) []string {
	parts := strings.Split(user, ":")
	switch {
	case strings.HasPrefix(user, "system:serviceaccount:"):
		return []string{"system:serviceaccounts", "system:serviceaccounts:" + parts[2], "system:authenticated"}
	case strings.HasPrefix(user, "system:node:"):
		return []string{"system:nodes", "system:authenticated"}
	case user == "system:anonymous":
		return []string{"system:unauthenticated"}
	case strings.HasPrefix(user, "system:"):
		return []string{"system:authenticated"}
	case strings.HasPrefix(user, "ops-"):
		return []string{"st-mary:platform", "system:authenticated"}
	}
	return []string{"st-mary:developers", "system:authenticated"}
}

func reasonFor(user string) string {
	switch {
	case user == deployer:
		return `RBAC: allowed by ClusterRoleBinding "ci-deployer-admin" of ClusterRole "cluster-admin" to ServiceAccount "deployer/ci"`
	case strings.HasPrefix(user, "ops-"):
		return `RBAC: allowed by ClusterRoleBinding "platform-admin" of ClusterRole "admin" to Group "st-mary:platform"`
	case strings.HasPrefix(user, "system:node:"):
		return ""
	case strings.HasPrefix(user, "system:"):
		return `RBAC: allowed by ClusterRoleBinding "` + user + `" of ClusterRole "` + user + `" to User "` + user + `"`
	}
	return `RBAC: allowed by RoleBinding "developers/ehr" of ClusterRole "view" to Group "st-mary:developers"`
}

func uri(q request) string {
	var b strings.Builder
	if q.ref.APIGroup == "" {
		b.WriteString("/api/" + q.ref.APIVersion)
	} else {
		b.WriteString("/apis/" + q.ref.APIGroup + "/" + q.ref.APIVersion)
	}
	if q.ref.Namespace != "" {
		b.WriteString("/namespaces/" + q.ref.Namespace)
	}
	b.WriteString("/" + q.ref.Resource)
	if q.ref.Name != "" && q.verb != "create" || q.ref.Subresource != "" {
		b.WriteString("/" + q.ref.Name)
	}
	if q.ref.Subresource != "" {
		b.WriteString("/" + q.ref.Subresource)
	}
	switch {
	case q.ref.Subresource == "exec":
		b.WriteString("?command=psql&container=api&stdin=true&stdout=true&tty=true")
	case q.verb == "list":
		b.WriteString("?limit=500")
	}
	return b.String()
}

func core(resource, namespace, name string) objectRef {
	return objectRef{Resource: resource, Namespace: namespace, Name: name, APIVersion: "v1"}
}

func object(group, resource, namespace, name string) objectRef {
	return objectRef{Resource: resource, Namespace: namespace, Name: name, APIGroup: group, APIVersion: "v1"}
}

// ordinaryRequest is one of the thousands that nobody looks at.
func (s *story) ordinaryRequest() request {
	q := request{at: s.at(), code: 200, verb: "get"}
	node := s.r.pick("ip-10-20-1-11", "ip-10-20-1-42", "ip-10-20-2-17") + "." + region + ".compute.internal"
	switch s.r.n(12) {
	case 0, 1, 2:
		q.user, q.from, q.agent = "system:node:"+node, "10.20.1.11", "kubelet/v1.31.2 (linux/amd64) kubernetes/5864a46"
		q.verb, q.ref = "update", object("coordination.k8s.io", "leases", "kube-node-lease", node)
	case 3, 4:
		q.user, q.from, q.agent = "system:kube-controller-manager", "10.20.9.4", "kube-controller-manager/v1.31.2 (linux/amd64) kubernetes/5864a46/leader-election"
		q.verb, q.ref = "update", object("coordination.k8s.io", "leases", "kube-system", "kube-controller-manager")
	case 5:
		q.user, q.from, q.agent = "system:kube-scheduler", "10.20.9.4", "kube-scheduler/v1.31.2 (linux/amd64) kubernetes/5864a46/leader-election"
		q.verb, q.ref = "update", object("coordination.k8s.io", "leases", "kube-system", "kube-scheduler")
	case 6, 7:
		q.user, q.from, q.agent = "system:serviceaccount:monitoring:prometheus", "10.20.2.17", "Prometheus/2.54.1"
		q.verb, q.ref = s.r.pick("list", "watch"), core(s.r.pick("pods", "services", "endpoints", "nodes"), "", "")
	case 8:
		q.user, q.from, q.agent = "system:serviceaccount:ehr:hl7-gateway", "10.20.1.42", "Go-http-client/2.0"
		q.ref = core("configmaps", "ehr", "hl7-routes")
	case 9:
		// The one ordinary reader of secrets.
		q.user, q.from, q.agent = "system:serviceaccount:cert-manager:cert-manager", "10.20.2.17", "cert-manager-controller/v1.16.1 (linux/amd64)"
		q.ref = core("secrets", s.r.pick("ehr", "ingress"), s.r.pick("ehr-tls", "portal-tls", "hl7-gateway-tls"))
	case 10:
		q.user, q.from, q.agent = s.r.pick("ops-keller", "ops-brandt"), "10.20.8.23", kubectl
		q.verb, q.ref = s.r.pick("get", "list"), core(s.r.pick("pods", "events", "services"), s.r.pick("ehr", "ingress", "monitoring"), "")
	default:
		q.user, q.from, q.agent = deployer, ciRunner, "helm/v3.16.2"
		q.verb, q.ref = s.r.pick("get", "patch"), object("apps", "deployments", "ehr", s.r.pick("ehr-api", "ehr-portal", "lab-import"))
	}
	if q.verb == "get" && s.r.oneIn(40) {
		q.code = 404
	}
	return q
}

const ehrPod = "ehr-api-7c9d5f6b84-x2lqp"

// breakIn is what the intruder does with the stolen service account: look
// around, take the secrets, take the node, take the database.
func (s *story) breakIn() []request {
	by := func(d time.Duration, verb string, ref objectRef, code int) request {
		return request{at: s.during(d), user: deployer, from: bastion, agent: kubectl, verb: verb, ref: ref, code: code}
	}
	minute := func(m, sec int) time.Duration { return time.Duration(m)*time.Minute + time.Duration(sec)*time.Second }
	exec := core("pods", "ehr", ehrPod)
	exec.Subresource = "exec"

	privileged := by(minute(29, 5), "create", core("pods", "kube-system", "node-shell"), 201)
	privileged.body = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"node-shell","namespace":"kube-system"},"spec":{"hostPID":true,"hostNetwork":true,"nodeName":"ip-10-20-1-42.eu-central-1.compute.internal","containers":[{"name":"sh","image":"docker.io/library/alpine:3.20","command":["nsenter","-t","1","-a"],"stdin":true,"tty":true,"securityContext":{"privileged":true},"volumeMounts":[{"name":"host","mountPath":"/host"}]}],"volumes":[{"name":"host","hostPath":{"path":"/"}}]}}`

	list := []request{
		by(minute(21, 3), "create", object("authorization.k8s.io", "selfsubjectrulesreviews", "", ""), 201),
		by(minute(21, 40), "list", core("namespaces", "", ""), 200),
		by(minute(22, 9), "list", core("secrets", "", ""), 200),
		by(minute(23, 2), "get", core("secrets", "ehr", "ehr-db-credentials"), 200),
		by(minute(23, 11), "get", core("secrets", "ehr", "s3-export-key"), 200),
		by(minute(23, 31), "get", core("secrets", "ehr", "hl7-gateway-tls"), 200),
		by(minute(23, 50), "get", core("secrets", "kube-system", "registry-push"), 200),
		by(minute(24, 41), "get", core("secrets", "ehr", "master-patient-index-key"), 404),
		by(minute(26, 15), "list", core("pods", "ehr", ""), 200),
		privileged,
		by(minute(31, 22), "create", exec, 101),
		by(minute(38, 47), "create", exec, 101),
		by(minute(55, 30), "delete", core("pods", "kube-system", "node-shell"), 200),
	}
	// Before the account was stolen, the API server was knocked at without one.
	for i, ref := range []objectRef{
		core("namespaces", "", ""), core("secrets", "kube-system", ""), core("pods", "", ""), core("nodes", "", ""),
	} {
		list = append(list, request{
			at: s.during(minute(17, 4*i)), user: "system:anonymous", from: bastion, agent: "curl/8.5.0",
			verb: "list", ref: ref, code: 403,
			forbidden: ref.Resource + ` is forbidden: User "system:anonymous" cannot list resource "` + ref.Resource + `" in API group "" at the cluster scope`,
		})
	}
	return list
}

// kubeAuditFile is the API server's audit file: an event a line.
func (s *story) kubeAuditFile() Sample {
	var l lines
	for range s.count(1100) {
		q := s.ordinaryRequest()
		l.add(q.at, encode(s.event(q)))
	}
	for _, q := range s.breakIn() {
		l.add(q.at, encode(s.event(q)))
	}
	return l.sample("k8s-audit.jsonl", GroupAudit, "kube-apiserver-1", trailward.KindK8sAudit)
}

// kubeAuditEventList is one delivery of a second API server's webhook. The
// events in an EventList do not say their kind and version again.
func (s *story) kubeAuditEventList() Sample {
	var l lines
	for range s.count(150) {
		q := s.ordinaryRequest()
		e := s.event(q)
		e.Kind, e.APIVersion = "", ""
		l.add(q.at, encode(e))
	}
	return Sample{
		Name: "k8s-audit-eventlist.json", Group: GroupAudit, Stream: "kube-apiserver-2", Kind: trailward.KindK8sAudit, Records: len(l),
		Data: []byte(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(l.sorted(), ",") + "]}\n"),
	}
}

// encode writes v as JSON. What is encoded here always can be.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("demo: encode sample: " + err.Error())
	}
	return string(b)
}
