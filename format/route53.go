package format

import (
	"net/netip"

	"trailward"
)

// route53Columns are the words of a line of Route 53's logging of public DNS
// queries (Route 53 developer guide, "Public DNS query logging").
var route53Columns = []string{
	"version", "queryTimestamp", "hostZoneId", "queryName", "queryType", "responseCode", "protocol", "edgeLocation", "resolverIp", "ednsClientSubnet",
}

// splitRoute53 names the words of a line of public DNS query logging, and tells
// whether raw is one: exactly ten words, and those with a fixed form in that
// form. Words that are "-" are none.
func splitRoute53(raw []byte, dst []trailward.Field) ([]trailward.Field, bool) {
	base := len(dst)
	// A version and the beginning of a time, before anything else is looked at.
	if len(raw) < 40 || raw[0] < '0' || raw[0] > '9' || raw[1] != '.' || raw[3] != ' ' || raw[8] != '-' {
		return dst, false
	}
	i := 0
	for n := 0; ; n++ {
		start := i
		i = wordEnd(raw, i)
		w := raw[start:i]
		ok := len(w) > 0
		switch {
		case n == 1:
			_, _, ok = scanDateTime(w)
		case n == 2:
			ok = ok && w[0] == 'Z' && upperWord(w)
		case n == 4 || n == 5:
			ok = string(w) == "-" || upperWord(w)
		case n == 6:
			ok = string(w) == "UDP" || string(w) == "TCP"
		case n == 8:
			_, err := netip.ParseAddr(string(w))
			ok = err == nil
		}
		if !ok {
			return dst[:base], false
		}
		if string(w) != "-" {
			dst = append(dst, trailward.Field{Path: route53Columns[n], Start: start, End: i})
		}
		if n == len(route53Columns)-1 {
			break
		}
		if i == len(raw) || raw[i] != ' ' {
			return dst[:base], false
		}
		i++
	}
	if i < len(raw) && (raw[i] != '\r' || i != len(raw)-1) {
		return dst[:base], false
	}
	return dst, true
}

// upperWord reports whether a word has capital letters and digits only.
func upperWord(w []byte) bool {
	for _, c := range w {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(w) > 0
}

func isRoute53(raw []byte) bool {
	var room [10]trailward.Field
	_, ok := splitRoute53(raw, room[:0])
	return ok
}
