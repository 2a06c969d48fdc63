package insights

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"trailward"
	"trailward/query/plan"
)

// Limits of a SOURCE clause, by AWS's guide.
const (
	maxPrefixes    = 5
	maxAccounts    = 20
	maxDataSources = 10
	maxTagKeys     = 5
	maxTagValues   = 5
)

// source reads
//
//	SOURCE 'group', … [start=T] [end=T]
//	SOURCE [dataSource(['name.type', …])] [logGroups(namePrefix: ['a', …], accountIdentifier: ['1', …], class: ['STANDARD'])] [logGroupTags([…])] [start=T] [end=T]
//
// The quotes around a group may be missing.
func (p *parser) source() (*command, error) {
	c := &command{name: "source", start: p.tok.start, src: &source{}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	clauses := 0
	for {
		var err error
		switch {
		case p.isWord("logGroups"):
			err = p.logGroups(c.src)
		case p.isWord("dataSource"):
			err = p.dataSource(c.src)
		case p.isWord("logGroupTags"):
			err = p.logGroupTags(c.src)
		case (p.isWord("start") || p.isWord("end")) && clauses > 0:
			err = p.bound(c.src)
		case clauses == 0:
			c.src.groups, err = p.groups()
		default:
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		clauses++
	}
}

// groups reads names of log groups between commas.
func (p *parser) groups() ([]string, error) {
	var out []string
	for {
		switch {
		case p.tok.kind == tString && p.tok.text != "":
			out = append(out, p.tok.text)
		case p.isOp("/") || p.tok.kind == tIdent:
			// A bare name goes to the next blank.
			rest := p.src[p.tok.start:]
			n := strings.IndexFunc(rest, func(r rune) bool { return strings.ContainsRune(" \t\r\n|,()'\"", r) })
			if n < 0 {
				n = len(rest)
			}
			out = append(out, rest[:n])
			p.lexer.pos = p.tok.start + n
			p.tok.end = p.lexer.pos
		default:
			return nil, p.fail("expected 'group' or logGroups(namePrefix: ['prefix'])", "unexpected %s after SOURCE", p.found())
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if ok, err := p.acceptOp(","); err != nil || !ok {
			return out, err
		}
	}
}

// bracketed reads ['a', …].
func (p *parser) bracketed(where string, most int) ([]string, error) {
	if err := p.expectOp("[", "in "+where); err != nil {
		return nil, err
	}
	at := p.tok.start
	out, err := p.strings()
	if err != nil {
		return nil, err
	}
	if len(out) > most {
		return nil, errAt(p.src, at, "", "%s takes at most %d values", where, most)
	}
	return out, p.expectOp("]", "in "+where)
}

func (p *parser) logGroups(s *source) error {
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.expectOp("(", "after logGroups"); err != nil {
		return err
	}
	if ok, err := p.acceptOp(")"); ok || err != nil {
		return err // all of them
	}
	for {
		at, name := p.tok.start, strings.ToLower(p.tok.text)
		if p.tok.kind != tIdent || !slices.Contains([]string{"nameprefix", "accountidentifier", "class", "loggroupclass"}, name) {
			return p.fail("expected namePrefix, accountIdentifier or class", "unexpected %s in logGroups", p.found())
		}
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.expectOp(":", "in logGroups"); err != nil {
			return err
		}
		switch name {
		case "nameprefix":
			list, err := p.bracketed("namePrefix", maxPrefixes)
			if err != nil {
				return err
			}
			for _, g := range list {
				s.groups = append(s.groups, g+"*")
			}
		case "accountidentifier":
			list, err := p.bracketed("accountIdentifier", maxAccounts)
			if err != nil {
				return err
			}
			s.accounts = list
		default:
			list, err := p.bracketed("class", 2)
			if err != nil {
				return err
			}
			for _, class := range list {
				if class != "STANDARD" && class != "INFREQUENT_ACCESS" && class != "DELIVERY" {
					return errAt(p.src, at, "expected 'STANDARD' or 'INFREQUENT_ACCESS'", "unknown log class %s", shorten(class))
				}
			}
			s.notices = append(s.notices, placed{at, "all log groups have one class here: the class does not narrow the choice"})
		}
		if ok, err := p.acceptOp(","); err != nil {
			return err
		} else if !ok {
			return p.expectOp(")", "in logGroups")
		}
	}
}

// dataSources maps AWS's names of data sources, before the dot, to kinds.
var dataSources = map[string]trailward.Kind{
	"amazon_vpc": trailward.KindVPCFlow, "aws_cloudtrail": trailward.KindCloudTrail, "amazon_eks": trailward.KindK8sAudit, "amazon_route53": trailward.KindDNS,
	"aws_waf": trailward.KindWAF, "amazon_waf": trailward.KindWAF,
}

func (p *parser) dataSource(s *source) error {
	at := p.tok.start
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.expectOp("(", "after dataSource"); err != nil {
		return err
	}
	list, err := p.bracketed("dataSource", maxDataSources)
	if err != nil {
		return err
	}
	for _, name := range list {
		prefix, _, _ := strings.Cut(strings.ToLower(name), ".")
		k, ok := dataSources[prefix]
		if !ok && trailward.Kind(name).Valid() {
			k, ok = trailward.Kind(name), true
		}
		if !ok {
			s.notices = append(s.notices, placed{at, "data source " + shorten(name) + " is no kind of record here, so nothing comes of it"})
			continue
		}
		s.kinds = append(s.kinds, k)
	}
	if len(s.kinds) == 0 {
		s.none = true
	}
	return p.expectOp(")", "after dataSource")
}

// logGroupTags reads a JSON array of keys and their values. Log groups have no
// tags here.
func (p *parser) logGroupTags(s *source) error {
	at := p.tok.start
	if err := p.advance(); err != nil {
		return err
	}
	if !p.isOp("(") {
		return p.expectOp("(", "after logGroupTags")
	}
	var tags []struct {
		Key    string   `json:"key"`
		Values []string `json:"values"`
	}
	d := json.NewDecoder(strings.NewReader(p.src[p.tok.end:]))
	if err := d.Decode(&tags); err != nil {
		return errAt(p.src, p.tok.end, `expected [{"key":"team","values":["a"]}]`, "logGroupTags holds no JSON array of tags")
	}
	if len(tags) > maxTagKeys {
		return errAt(p.src, at, "", "logGroupTags takes at most %d keys", maxTagKeys)
	}
	for _, t := range tags {
		if len(t.Values) > maxTagValues {
			return errAt(p.src, at, "", "logGroupTags takes at most %d values of a key", maxTagValues)
		}
	}
	p.lexer.pos = p.tok.end + int(d.InputOffset())
	if err := p.advance(); err != nil {
		return err
	}
	if len(tags) > 0 {
		s.none = true
		s.notices = append(s.notices, placed{at, "log groups have no tags here, so none is chosen"})
	}
	return p.expectOp(")", "after logGroupTags")
}

// bound reads start=T or end=T, T being now, -1d, an RFC 3339 time in quotes, or
// epoch seconds or milliseconds.
func (p *parser) bound(s *source) error {
	to := &s.start
	if p.isWord("end") {
		to = &s.end
	}
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.expectOp("=", "in SOURCE"); err != nil {
		return err
	}
	const hint = "expected a time such as -1d, now or '2026-01-02T15:04:05Z'"
	minus, err := p.acceptOp("-")
	if err != nil {
		return err
	}
	w := when{set: true}
	switch {
	case p.tok.kind == tDuration && minus:
		w.ago = p.tok.period
	case minus:
		return p.fail(hint, "unexpected %s after -", p.found())
	case p.isWord("now"):
	case p.tok.kind == tNumber && p.tok.num == float64(int64(p.tok.num)) && p.tok.num < 1e15:
		// What is after the year 5000 in seconds is meant in milliseconds.
		if n := int64(p.tok.num); n < 1e11 {
			w.at = time.Unix(n, 0).UTC()
		} else {
			w.at = time.UnixMilli(n).UTC()
		}
	case p.tok.kind == tString:
		t, err := time.Parse(time.RFC3339, p.tok.text)
		if err != nil {
			return p.fail(hint, "%s is no time", shorten(p.tok.text))
		}
		w.at = t.UTC()
	default:
		return p.fail(hint, "unexpected %s in SOURCE", p.found())
	}
	*to = w
	return p.advance()
}

// time is what w means at a time.
func (w when) time(now time.Time) time.Time {
	switch {
	case !w.at.IsZero():
		return w.at
	case w.ago.N == 0:
		return now
	}
	return ago(now, w.ago)
}

// ago goes back by a period.
func ago(t time.Time, p plan.Period) time.Time {
	switch p.Unit {
	case plan.Month:
		return t.AddDate(0, -int(p.N), 0)
	case plan.Quarter:
		return t.AddDate(0, -3*int(p.N), 0)
	case plan.Year:
		return t.AddDate(-int(p.N), 0, 0)
	}
	return t.Add(-time.Duration(p.Millis()) * time.Millisecond)
}
