// Package demo makes the sample data that `trailward demo` loads, and the
// questions that it asks of it.
//
// The data is a day of the small cluster "st-mary-hospital": a few thousand
// records of every kind, mostly the ordinary traffic of a hospital's record
// system, and in it one break-in that leaves a mark in each of them. Everything
// is made up here: names are invented, public addresses are from the ranges
// that RFC 5737 sets aside for documentation, the account is AWS's example.
//
// It gets the time at which the day ends and gives files as their sources would
// have written them, with their framing. The same arguments give the same
// bytes, always: nothing depends on the machine, the time or the Go version.
package demo

import (
	"sort"
	"strings"
	"time"

	"trailward"
)

//go:generate go run ./generate samples

// Sample is one file of the sample data.
type Sample struct {
	Name    string         // file name, e.g. k8s-audit.jsonl
	Group   string         // log group to load it into
	Stream  string         // log stream in that group
	Kind    trailward.Kind // what its records are
	Records int            // how many records its bytes hold
	Data    []byte         // the file

	plain []byte // Data without compression, where another sample speaks of it
}

// Full is the amount of background that `trailward demo` loads, in percent.
// The files in the folder samples have [Small].
const (
	Full  = 100
	Small = 10
)

// ShippedDay is the end of the day that the files in the folder samples tell of.
var ShippedDay = time.Date(2026, time.November, 2, 0, 0, 0, 0, time.UTC)

// Samples returns the day that ends at end, with background percent of its
// ordinary records; the incident is always whole. Each file's records are in
// order of time.
func Samples(end time.Time, background int) []Sample {
	s := newStory(end, background)
	audit, list, trail := s.kubeAuditFile(), s.kubeAuditEventList(), s.cloudTrail()
	return []Sample{
		audit,
		list,
		trail,
		s.trailDigest(trail),
		s.vpcFlow(),
		s.dns(),
		s.waf(),
		s.authLog(),
		s.firewallLog(),
		s.linuxAudit(),
		s.journal(),
		s.criLog(),
		s.dockerLog(),
		s.appLog(),
		s.backupLog(),
		s.lambda(),
	}
}

// Names of the groups that the samples go into.
const (
	GroupAudit      = "/eks/st-mary-hospital/audit"
	GroupContainers = "/eks/st-mary-hospital/containers"
	GroupTrail      = "/aws/cloudtrail"
	GroupFlow       = "/aws/vpcflow"
	GroupDNS        = "/aws/resolver"
	GroupWAF        = "/aws/waf"
	GroupLambda     = "/aws/lambda/results-mailer"
	GroupSyslog     = "/hosts/syslog"
	GroupHostAudit  = "/hosts/audit"
	GroupJournal    = "/hosts/journal"
	GroupApp        = "/apps/ehr"
	GroupBackup     = "/apps/backup"
)

// The actors and places of the story.
const (
	cluster  = "st-mary-hospital"
	account  = "111122223333"
	region   = "eu-central-1"
	vpcID    = "vpc-0a51f7d2c9e8b3d41"
	attacker = "203.0.113.77"  // where the intruder comes from
	dropSite = "198.51.100.23" // where the patient data goes
	bastion  = "10.20.0.10"
	ciRunner = "10.20.4.15" // where the stolen service account belongs
	deployer = "system:serviceaccount:ci:deployer"
)

// story is one run of the generator.
type story struct {
	r          random
	start, end time.Time
	incident   time.Time // when the break-in begins
	background int
}

func newStory(end time.Time, background int) *story {
	end = end.UTC().Truncate(time.Second)
	return &story{
		r:          random{state: 0x7261696c77617264},
		start:      end.Add(-23*time.Hour - 30*time.Minute),
		end:        end,
		incident:   end.Add(-6 * time.Hour),
		background: background,
	}
}

// count scales a number of background records.
func (s *story) count(full int) int { return max(full*s.background/100, 1) }

// at gives a random time of the day; after gives one within spread of when.
func (s *story) at() time.Time { return s.after(s.start, s.end.Sub(s.start)) }

func (s *story) after(when time.Time, spread time.Duration) time.Time {
	return when.Add(time.Duration(s.r.next() % uint64(max(spread, 1))).Truncate(time.Microsecond))
}

// during gives a time d after the break-in began.
func (s *story) during(d time.Duration) time.Time { return s.incident.Add(d) }

// line is one record with its time, before the file is put in order.
type line struct {
	at   time.Time
	text string
}

// lines collects the records of one file.
type lines []line

func (l *lines) add(at time.Time, text string) { *l = append(*l, line{at, text}) }

// sorted returns the texts in order of time; records of the same time keep
// the order in which they were added.
func (l lines) sorted() []string {
	sort.SliceStable(l, func(i, j int) bool { return l[i].at.Before(l[j].at) })
	out := make([]string, len(l))
	for i := range l {
		out[i] = l[i].text
	}
	return out
}

// sample makes a file with a line for each record.
func (l lines) sample(name, group, stream string, kind trailward.Kind) Sample {
	return Sample{
		Name: name, Group: group, Stream: stream, Kind: kind, Records: len(l),
		Data: []byte(strings.Join(l.sorted(), "\n") + "\n"),
	}
}
