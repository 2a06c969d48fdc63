package demo

import (
	"fmt"
	"regexp"
	"time"

	"trailward"
)

// authLog is the bastion's /var/log/auth.log in the format of RFC 3164, as
// rsyslog writes it by default: no year, no priority, local time (here UTC).
func (s *story) authLog() Sample {
	var l lines
	pid := 2100
	log := func(at time.Time, program, text string) {
		l.add(at, fmt.Sprintf("%s bastion-1 %s: %s", at.Format("Jan _2 15:04:05"), program, text))
	}
	sshd := func(at time.Time, text string) { log(at, fmt.Sprintf("sshd[%d]", pid), text) }
	for range s.count(60) {
		at := s.at()
		pid += s.r.between(3, 40)
		user := s.r.pick("keller", "brandt", "mmeier")
		sshd(at, fmt.Sprintf("Accepted publickey for %s from 10.20.8.23 port %d ssh2: ED25519 SHA256:%s", user, s.r.between(32768, 60999), s.r.id(43)))
		log(at.Add(time.Second), fmt.Sprintf("sshd[%d]", pid), "pam_unix(sshd:session): session opened for user "+user+"(uid=1007) by (uid=0)")
	}
	for range s.count(30) {
		log(s.at(), fmt.Sprintf("CRON[%d]", s.r.between(900, 30000)), "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
	}
	for range s.count(50) { // the internet's daily noise
		pid += s.r.between(3, 40)
		sshd(s.at(), fmt.Sprintf("Failed password for invalid user %s from %s port %d ssh2", s.r.pick("admin", "pi", "ubuntu", "oracle", "git"), s.r.scanner(), s.r.between(32768, 60999)))
	}
	const tries = 137
	for i := range tries {
		pid += 2
		at := s.incident.Add(time.Duration(i) * 12 * time.Minute / tries)
		user := s.r.pick("root", "root", "invalid user admin", "invalid user oracle", "keller", "brandt", "mmeier", "mmeier", "invalid user postgres")
		sshd(at, fmt.Sprintf("Failed password for %s from %s port %d ssh2", user, attacker, s.r.between(32768, 60999)))
	}
	pid += 2
	at := s.during(12*time.Minute + 8*time.Second)
	sshd(at, fmt.Sprintf("Accepted password for mmeier from %s port 51544 ssh2", attacker))
	sshd(at.Add(time.Second), "pam_unix(sshd:session): session opened for user mmeier(uid=1007) by (uid=0)")
	log(at.Add(70*time.Second), "sudo", "  mmeier : TTY=pts/2 ; PWD=/home/mmeier ; USER=root ; COMMAND=/usr/bin/cat /home/deploy/.kube/config")
	return l.sample("auth.log", GroupSyslog, "bastion-1", trailward.KindSyslog)
}

// firewallLog is the firewall's log in the format of RFC 5424, with structured
// data.
func (s *story) firewallLog() Sample {
	var l lines
	deny := func(at time.Time, from string, port int) {
		l.add(at, fmt.Sprintf(`<132>1 %s fw-1.st-mary.example filterd 411 DENY [flow@32473 action="deny" src=%q dst=%q dport="%d" proto="tcp"] denied by rule 90`,
			at.Format("2006-01-02T15:04:05.000Z"), from, bastion, port))
	}
	for range s.count(70) {
		if s.r.oneIn(5) {
			l.add(s.at(), "")
			at := l[len(l)-1].at
			l[len(l)-1].text = fmt.Sprintf(`<134>1 %s fw-1.st-mary.example filterd 411 STAT - sessions=%d cpu=%d%%`, at.Format("2006-01-02T15:04:05.000Z"), s.r.between(180, 900), s.r.between(2, 30))
			continue
		}
		deny(s.at(), s.r.scanner(), s.r.pickPort(23, 445, 3389, 6379))
	}
	for i, port := range []int{2375, 2379, 6443, 10250} {
		deny(s.during(-20*time.Minute).Add(time.Duration(i)*time.Minute), attacker, port)
	}
	return l.sample("firewall.log", GroupSyslog, "fw-1", trailward.KindSyslog)
}

var auditMark = regexp.MustCompile(`:<\d+>\)`)

// linuxAudit is the bastion's /var/log/audit/audit.log.
func (s *story) linuxAudit() Sample {
	var l lines
	// An event's serial number is known once the events are in order: until
	// then a mark that its lines share stands for it.
	marks := 0
	stamp := func(at time.Time) string {
		marks++
		return fmt.Sprintf("msg=audit(%d.%03d:<%d>):", at.Unix(), at.Nanosecond()/1e6, marks)
	}
	const shell = "subj=unconfined"
	for range s.count(60) {
		at := s.at()
		l.add(at, fmt.Sprintf(`type=USER_ACCT %s pid=%d uid=0 auid=4294967295 ses=4294967295 %s msg='op=PAM:accounting grantors=pam_permit acct="root" exe="/usr/sbin/cron" hostname=? addr=? terminal=cron res=success'`,
			stamp(at), s.r.between(900, 30000), shell))
	}
	for i := range 30 {
		at := s.incident.Add(time.Duration(i) * 24 * time.Second)
		l.add(at, fmt.Sprintf(`type=USER_AUTH %s pid=%d uid=0 auid=4294967295 ses=4294967295 %s msg='op=PAM:authentication grantors=? acct=%q exe="/usr/sbin/sshd" hostname=%s addr=%s terminal=ssh res=failed'`,
			stamp(at), 2500+i*2, shell, s.r.pick("root", "mmeier", "keller"), attacker, attacker))
	}
	at := s.during(12*time.Minute + 8*time.Second)
	l.add(at, fmt.Sprintf(`type=USER_LOGIN %s pid=2791 uid=0 auid=1007 ses=83 %s msg='op=login id=1007 exe="/usr/sbin/sshd" hostname=%s addr=%s terminal=/dev/pts/2 res=success'`, stamp(at), shell, attacker, attacker))
	run := func(d time.Duration, uid int, exe string, args ...string) {
		at := s.during(d)
		id := stamp(at)
		l.add(at, fmt.Sprintf(`type=SYSCALL %s arch=c000003e syscall=59 success=yes exit=0 a0=55d8c0 a1=55d8e0 a2=55d900 a3=8 items=2 ppid=2792 pid=%d auid=1007 uid=%d gid=%d euid=%d tty=pts2 ses=83 comm=%q exe=%q %s key="exec"`,
			id, 2800+marks, uid, uid, uid, args[0], exe, shell))
		text := fmt.Sprintf(`type=EXECVE %s argc=%d`, id, len(args))
		for i, a := range args {
			text += fmt.Sprintf(" a%d=%q", i, a)
		}
		l.add(at, text)
	}
	run(12*time.Minute+40*time.Second, 1007, "/usr/bin/sudo", "sudo", "-l")
	run(13*time.Minute+18*time.Second, 0, "/usr/bin/cat", "cat", "/home/deploy/.kube/config")
	run(15*time.Minute, 1007, "/usr/bin/curl", "curl", "-s", "http://169.254.169.254/latest/meta-data/iam/security-credentials/")
	run(17*time.Minute, 1007, "/usr/bin/curl", "curl", "-k", "https://10.20.9.4:6443/api/v1/namespaces")
	run(21*time.Minute, 1007, "/usr/local/bin/kubectl", "kubectl", "--kubeconfig", "/tmp/.k", "auth", "can-i", "--list")
	run(57*time.Minute, 0, "/usr/bin/rm", "rm", "-f", "/tmp/.k", "/home/mmeier/.bash_history")
	sample := l.sample("audit.log", GroupHostAudit, "bastion-1", trailward.KindLinuxAudit)
	serials := map[string]int{}
	sample.Data = auditMark.ReplaceAllFunc(sample.Data, func(mark []byte) []byte {
		n, ok := serials[string(mark)]
		if !ok {
			n = 48201 + len(serials)
			serials[string(mark)] = n
		}
		return fmt.Appendf(nil, ":%d)", n)
	})
	return sample
}

// journal is what `journalctl -o json` prints on the bastion.
func (s *story) journal() Sample {
	var l lines
	entry := func(at time.Time, unit, program, priority, text string) {
		l.add(at, fmt.Sprintf(`{"__CURSOR":"s=4c1d0be27f6a4e5c8b930a1f2d7e6c54;i=%x","__REALTIME_TIMESTAMP":"%d","__MONOTONIC_TIMESTAMP":"%d","_BOOT_ID":"9d0f3b7e5c8a41f2a6b1c4d7e2f80935","_HOSTNAME":"bastion-1","PRIORITY":%q,"SYSLOG_IDENTIFIER":%q,"_SYSTEMD_UNIT":%q,"_PID":"%d","_TRANSPORT":"journal","MESSAGE":%q}`,
			len(l)+0x1a00, at.UnixMicro(), at.Sub(s.start).Microseconds()+86400e6, priority, program, unit, s.r.between(400, 9000), text))
	}
	for range s.count(40) {
		entry(s.at(), "systemd-timesyncd.service", "systemd-timesyncd", "6", "Contacted time server 10.20.0.2:123 (time.st-mary.internal).")
	}
	entry(s.during(56*time.Minute), "auditd.service", "systemd", "5", "auditd.service: Deactivated successfully.")
	entry(s.during(56*time.Minute+20*time.Second), "auditd.service", "systemd", "6", "Started auditd.service - Security Auditing Service.")
	return l.sample("journal.jsonl", GroupJournal, "bastion-1", trailward.KindJournal)
}
