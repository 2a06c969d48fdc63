package demo

import "trailward/query"

// Question is something that a person wants to know of the sample data.
type Question struct {
	Asks     string // in a person's words
	Language query.Language
	Text     string   // the query
	Groups   []string // where to look; nil is everywhere
}

// Questions are what `trailward demo` asks, in the order in which an
// investigator would: each answer leads to the next question.
func Questions() []Question {
	return []Question{
		{
			Asks:     "Is somebody guessing passwords over ssh, and did it work?",
			Language: query.Insights,
			Groups:   []string{GroupSyslog},
			Text: `filter program = "sshd" and @message like /(Failed|Accepted) password/
| parse @message /(?<result>Failed|Accepted) password for (invalid user )?(?<login>\S+) from (?<address>\S+)/
| stats sum(strcontains(result, "Failed")) as failed, sum(strcontains(result, "Accepted")) as accepted,
        count_distinct(login) as logins, min(@timestamp) as first, max(@timestamp) as last by address
| sort failed desc
| limit 5`,
		},
		{
			Asks:     "Who read secrets in the cluster, and from where?",
			Language: query.Insights,
			Groups:   []string{GroupAudit},
			Text: `filter objectRef.resource = "secrets" and verb in ["get", "list"] and responseStatus.code = 200
| stats count(*) as reads, count_distinct(objectRef.name) as secrets, latest(@timestamp) as last by user.username, sourceIPs.0
| sort reads desc`,
		},
		{
			Asks:     "Who opened a shell in a pod or started a new pod by hand?",
			Language: query.SQL,
			Text: `SELECT requestreceivedtimestamp AS at, "user".username AS who, verb, objectref.namespace AS namespace,
       objectref.name AS pod, objectref.subresource AS what,
       json_extract_scalar(requestobject, '$.spec.containers[0].securityContext.privileged') AS privileged
FROM k8s_audit
WHERE objectref.resource = 'pods' AND verb IN ('create', 'delete')
ORDER BY requestreceivedtimestamp`,
		},
		{
			Asks:     "Did the account's root user sign in without a second factor?",
			Language: query.SQL,
			Text: `SELECT eventtime, sourceipaddress, json_extract_scalar(responseelements, '$.ConsoleLogin') AS result,
       json_extract_scalar(additionaleventdata, '$.MFAUsed') AS mfa
FROM cloudtrail
WHERE eventname = 'ConsoleLogin' AND useridentity.type = 'Root'
ORDER BY eventtime`,
		},
		{
			Asks:     "Which ports do outsiders knock at and find closed?",
			Language: query.SQL,
			Text: `SELECT dstport, count(*) AS rejected, count(DISTINCT srcaddr) AS addresses
FROM vpc_flow
WHERE action = 'REJECT'
GROUP BY dstport
ORDER BY rejected DESC, dstport
LIMIT 8`,
		},
		{
			Asks:     "Where else did the intruder's address leave a mark?",
			Language: query.Insights,
			Text: `filter @message like "` + attacker + `"
| stats count(*) as records, min(@timestamp) as first, max(@timestamp) as last by @kind, @log
| sort records desc`,
		},
	}
}
