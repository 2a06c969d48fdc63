package demo

import (
	"fmt"
	"strings"
	"time"

	"trailward"
)

// criLog is a container's log as a kubelet with containerd or CRI-O keeps it:
// a prefix of time, stream and P or F (a part, or the whole or end of a line).
func (s *story) criLog() Sample {
	var l lines
	records := 0
	write := func(at time.Time, stream, text string) {
		records++
		l.add(at, fmt.Sprintf("%s %s F %s", at.Format("2006-01-02T15:04:05.000000000Z"), stream, text))
	}
	for range s.count(170) {
		at := s.at()
		write(at, "stdout", fmt.Sprintf(`192.0.2.%d - - [%s] "GET %s HTTP/1.1" %d %d "-" "%s"`,
			s.r.between(20, 250), at.Format("02/Jan/2006:15:04:05 +0000"), s.r.pick("/login", "/appointments", "/results", "/assets/app.js"), s.r.pickPort(200, 200, 200, 304, 404), s.r.between(180, 48000), browser))
	}
	// A line longer than 16 KiB arrives in parts, which belong together.
	at := s.during(31*time.Minute + 24*time.Second)
	half := strings.Repeat("x", 16<<10)
	records++
	l.add(at, at.Format("2006-01-02T15:04:05.000000000Z")+" stderr P upstream sent too big header: "+half)
	l.add(at, at.Add(time.Microsecond).Format("2006-01-02T15:04:05.000000000Z")+" stderr F "+half[:400]+" while reading response header from upstream")
	for i := range 9 {
		at := s.during(-14 * time.Minute).Add(time.Duration(i) * 7 * time.Second)
		write(at, "stderr", fmt.Sprintf("[warn] 31#31: *%d access forbidden by rule, client: %s, server: portal.st-mary.example, request: \"GET /results\"", 90210+i, attacker))
	}
	sample := l.sample("ingress-nginx-cri.log", GroupContainers, "ingress-nginx", trailward.KindContainer)
	sample.Records = records
	return sample
}

// dockerLog is a container's log as Docker's json-file driver keeps it.
func (s *story) dockerLog() Sample {
	var l lines
	for range s.count(60) {
		at := s.at()
		l.add(at, fmt.Sprintf(`{"log":"imported HL7 message type=%s facility=LAB%d segments=%d\n","stream":"stdout","time":%q}`,
			s.r.pick("ORU^R01", "ADT^A08", "ORM^O01"), s.r.between(1, 4), s.r.between(5, 40), at.Format("2006-01-02T15:04:05.000000000Z")))
	}
	at := s.during(42 * time.Minute)
	l.add(at, fmt.Sprintf(`{"log":"ERROR connection to ehr-db.st-mary.internal refused: too many clients already\n","stream":"stderr","time":%q}`, at.Format("2006-01-02T15:04:05.000000000Z")))
	return l.sample("lab-import-docker.log", GroupContainers, "lab-import", trailward.KindContainer)
}

// appLog is what the record system's API logs: a JSON object a line.
func (s *story) appLog() Sample {
	var l lines
	write := func(at time.Time, level, user, from, action string, patients, status int, millis float64) {
		l.add(at, fmt.Sprintf(`{"time":%q,"level":%q,"service":"ehr-api","pod":%q,"user":%q,"client":{"ip":%q},"action":%q,"patients":%d,"status":%d,"duration_ms":%.1f,"trace_id":%q}`,
			at.Format("2006-01-02T15:04:05.000Z"), level, ehrPod, user, from, action, patients, status, millis, s.r.hex(32)))
	}
	for range s.count(290) {
		action := s.r.pick("chart.read", "chart.read", "chart.read", "chart.update", "appointment.create", "lab.read")
		status, level := 200, "info"
		if s.r.oneIn(30) {
			status, level = 503, "error"
		}
		write(s.at(), level, s.r.pick("dr.weber", "dr.okafor", "nurse.lindt", "nurse.alvarez", "desk.ruiz"), "10.20.7."+fmt.Sprint(s.r.between(5, 60)), action, 1, status, float64(s.r.between(80, 4000))/10)
	}
	write(s.start.Add(2*time.Hour), "info", "report-export", "10.20.2.17", "report.export", 112, 200, 2210.4)
	for i := range 14 {
		write(s.during(time.Duration(40+i)*time.Minute), "warn", "report-export", "10.20.1.42", "report.export", s.r.between(4200, 5100), 200, float64(s.r.between(31000, 58000)))
	}
	return l.sample("ehr-api.jsonl", GroupApp, "ehr-api", trailward.KindJSON)
}

// backupLog is plain text, as a shell script writes it.
func (s *story) backupLog() Sample {
	var l lines
	for h := range 24 {
		if s.background < Full && h%6 != 0 {
			continue
		}
		at := s.start.Add(time.Duration(h) * time.Hour)
		l.add(at, fmt.Sprintf("%s backup run %d: %d files, %.1f GB, no errors", at.Format("2006-01-02 15:04:05"), 8800+h, s.r.between(4000, 9000), float64(s.r.between(200, 900))/10))
	}
	at := s.during(50 * time.Minute)
	l.add(at, at.Format("2006-01-02 15:04:05")+" backup run 8899: ERROR snapshot ehr-db: permission denied, previous snapshots missing")
	return l.sample("backup.txt", GroupBackup, "ehr-db", trailward.KindText)
}
