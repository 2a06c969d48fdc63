package api

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// The times that [ParseTime] gives lie in these bounds, which are those of
// 64-bit nanoseconds.
var (
	minTime = time.Unix(0, math.MinInt64).UTC()
	maxTime = time.Unix(0, math.MaxInt64).UTC()
)

var (
	errTimeForm  = errors.New("want RFC 3339 (2026-01-02T15:04:05Z), seconds or milliseconds since 1970, a time before now (-1h, -30m, -7d, -2w), or now")
	errTimeRange = errors.New("the time lies outside 1677-09-21 to 2262-04-11")
)

// ParseTime reads a point in time as the query API and the command line take
// it. The forms are:
//
//	2026-01-02T15:04:05.678+01:00  RFC 3339; a space may stand for the T, and a
//	                               time without zone, or a date alone, is UTC
//	1767366245                     seconds since the Unix epoch, fractions allowed
//	1767366245678                  the same in milliseconds (from 1e11 on), micro-
//	                               (from 1e14 on) or nanoseconds (from 1e17 on)
//	-1h30m                         that long before now; units ms s m h d w
//	now                            now
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "now" {
		return now.UTC(), nil
	}
	if len(text) == 0 || len(text) > 64 {
		return time.Time{}, errTimeForm
	}
	if text[0] == '-' && strings.ContainsAny(text[len(text)-1:], "smhdw") {
		d, ok := parseSpan(text[1:])
		if !ok {
			return time.Time{}, errTimeForm
		}
		return inRange(now.Add(-d).UTC())
	}
	if t, ok := parseEpoch(text); ok {
		return inRange(t)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return inRange(t.UTC())
		}
	}
	return time.Time{}, errTimeForm
}

func inRange(t time.Time) (time.Time, error) {
	if t.Before(minTime) || t.After(maxTime) {
		return time.Time{}, errTimeRange
	}
	return t, nil
}

// parseEpoch reads a decimal number of seconds or smaller units.
func parseEpoch(text string) (time.Time, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if whole == "" || !allDigits(whole) || dotted && (fraction == "" || !allDigits(fraction)) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	unit := int64(1e9) // nanoseconds in the unit
	switch {
	case n >= 1e17:
		unit = 1
	case n >= 1e14:
		unit = 1e3
	case n >= 1e11:
		unit = 1e6
	}
	perSecond := int64(1e9) / unit
	seconds, nanos := n/perSecond, n%perSecond*unit
	// Of the fraction, the digits down to a nanosecond.
	for place := unit / 10; place > 0 && fraction != ""; place /= 10 {
		nanos += int64(fraction[0]-'0') * place
		fraction = fraction[1:]
	}
	if negative {
		seconds, nanos = -seconds, -nanos
	}
	return time.Unix(seconds, nanos).UTC(), true
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseSpan reads a span of time such as 1h30m or 2d: whole numbers with their
// units, at least one.
func parseSpan(text string) (time.Duration, bool) {
	var total time.Duration
	for text != "" {
		i := 0
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		n, err := strconv.ParseInt(text[:i], 10, 64)
		if err != nil {
			return 0, false
		}
		j := i
		for j < len(text) && (text[j] < '0' || text[j] > '9') {
			j++
		}
		var unit time.Duration
		switch text[i:j] {
		case "ms":
			unit = time.Millisecond
		case "s":
			unit = time.Second
		case "m":
			unit = time.Minute
		case "h":
			unit = time.Hour
		case "d":
			unit = 24 * time.Hour
		case "w":
			unit = 7 * 24 * time.Hour
		default:
			return 0, false
		}
		if n > int64((math.MaxInt64-total)/unit) {
			return 0, false
		}
		total += time.Duration(n) * unit
		text = text[j:]
	}
	return total, true
}
