package format

import "trailward"

var (
	timeK8sAudit   = []string{"stageTimestamp", "requestReceivedTimestamp", "timestamp", "metadata.creationTimestamp"}
	timeCloudTrail = []string{"eventTime", "@@timestamp", "@timestamp"}
	timeDigest     = []string{"digestEndTime", "digestStartTime"}
	timeFlow       = []string{"start", "end"}
	timeDNS        = []string{"query_timestamp", "queryTimestamp"}
	timeWAF        = []string{"timestamp"}
	timeAudit      = []string{"time"}
	timeSyslog     = []string{"timestamp"}
	timeJournal    = []string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"}
	timeJSON       = []string{
		"@@timestamp", "@timestamp", "timestamp", "time", "ts", "eventTime", "event_time", "event_timestamp", "datetime", "date",
		"timeStamp", "Timestamp", "Time", "EventTime", "_time", "_ts", "asctime", "log_time", "logTime",
		"created_at", "createdAt", "CreatedAt", "UpdatedAt", "start_time", "startTime",
		"metadata.creationTimestamp", "object.metadata.creationTimestamp",
	}
	timeLambda = append([]string{"@time"}, timeJSON...)
)

// TimePaths returns where the time of a record's event is, best first; the
// first of them that [ParseTime] can read counts. A record without one has its
// framing's time, else the time of its arrival. The caller must not change
// the slice.
//
//   - k8s.audit: stageTimestamp, which is when this stage of the request
//     happened. requestReceivedTimestamp is the same in all stages: a watch or
//     an exec that ends hours later would be filed under its beginning, and
//     the stages of a request would have no order. The rest is v1beta1.
//   - aws.cloudtrail.digest: digestEndTime, when the hour that it speaks of ended.
//   - aws.vpcflow: start, as CloudWatch Logs takes it.
//   - aws.lambda: the time before the line; lines of the platform have none but
//     the one that CloudWatch Logs gives them.
//   - linux.journal: the time that the writer's kernel gave, if journald knows
//     it, else the time of receipt, as journalctl shows it.
//   - json: the usual names, those that loggers give first.
//   - container: none, the container runtime's own time is in the framing.
func TimePaths(kind trailward.Kind) []string {
	switch kind {
	case trailward.KindK8sAudit:
		return timeK8sAudit
	case trailward.KindCloudTrail:
		return timeCloudTrail
	case trailward.KindTrailDigest:
		return timeDigest
	case trailward.KindVPCFlow:
		return timeFlow
	case trailward.KindDNS:
		return timeDNS
	case trailward.KindWAF:
		return timeWAF
	case trailward.KindLambda:
		return timeLambda
	case trailward.KindLinuxAudit:
		return timeAudit
	case trailward.KindSyslog:
		return timeSyslog
	case trailward.KindJournal:
		return timeJournal
	case trailward.KindJSON:
		return timeJSON
	}
	return nil
}

var (
	keyK8sAudit   = []string{"auditID", "stage"}
	keyCloudTrail = []string{"eventID"}
	keyDigest     = []string{"digestS3Bucket", "digestS3Object"}
)

// KeyPaths returns the paths whose values together name a record among all of
// its kind, so that a second delivery is known; nil when the kind has no such
// key. Two records with the same key are the same record only if [Content] is
// the same too: an auditID can be set by the client. The caller must not
// change the slice.
func KeyPaths(kind trailward.Kind) []string {
	switch kind {
	case trailward.KindK8sAudit:
		return keyK8sAudit
	case trailward.KindCloudTrail:
		return keyCloudTrail
	case trailward.KindTrailDigest:
		return keyDigest
	}
	return nil
}

var (
	opaqueK8sAudit   = []string{"requestObject", "responseObject"}
	opaqueCloudTrail = []string{
		"requestParameters", "responseElements", "serviceEventDetails", "additionalEventData",
		"eventContext.requestContext", "eventContext.tagContext",
		"userIdentity.sessionContext.webIdFederationData.attributes",
	}
	opaqueJSON = []string{
		"kubernetes.labels", "kubernetes.annotations", "kubernetes.pod_labels", "kubernetes.pod_annotations",
		"kubernetes.namespace_labels", "kubernetes.namespace_annotations",
		"metadata.labels", "metadata.annotations", "object.metadata.labels", "object.metadata.annotations",
		"labels", "annotations",
	}
)

// OpaquePaths returns the members that are objects whose keys vary without
// bound. They stay one JSON text each, so that they do not make columns without
// end; a path into them is an extraction. Arrays always stay JSON text and are
// not listed. The caller must not change the slice.
//
// The annotations of an audit event are not among them: the decision and its
// reason are there, and their keys are few.
func OpaquePaths(kind trailward.Kind) []string {
	switch kind {
	case trailward.KindK8sAudit:
		return opaqueK8sAudit
	case trailward.KindCloudTrail:
		return opaqueCloudTrail
	case trailward.KindJSON, trailward.KindContainer, trailward.KindLambda:
		return opaqueJSON
	}
	return nil
}
