package format

import (
	"bytes"
	"time"

	"trailward/internal/digits"
)

// ParseTime reads a time as logs write it and returns it in nanoseconds since
// the Unix epoch. It knows
//
//   - RFC 3339 and its kin: any of T, t or a space between date and time,
//     slashes for dashes, seconds left out, a fraction of any length after a
//     point or a comma (cut to nanoseconds), any zone or none, which is UTC;
//   - seconds, milliseconds, microseconds or nanoseconds since the epoch, told
//     apart by their magnitude, with or without a fraction; a number that is
//     not between March 1973 and April 2262 in one of these units is no time;
//   - RFC 3164 ("Jan  2 15:04:05"), UTC, in the latest year that does not put
//     it more than a day after ref; with a year ("Jan  2 2006 15:04:05") in that;
//   - the common log format ("02/Jan/2006:15:04:05 -0700"), asctime, and the
//     dates of mail and HTTP headers.
//
// Blanks and square brackets around the time do not matter. ok is false for
// anything else, and for times outside of 1678 to 2261, which nanoseconds
// cannot hold.
func ParseTime(value []byte, ref time.Time) (ns int64, ok bool) {
	v := value
	for len(v) > 0 && (v[0] == ' ' || v[0] == '[') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == ']') {
		v = v[:len(v)-1]
	}
	if len(v) < 9 || len(v) > 64 {
		return 0, false
	}
	if c := v[0]; c >= '0' && c <= '9' {
		if len(v) == 10 { // most likely seconds
			n, ok := digits.Parse(v)
			if ok && n >= 1e9 && n <= maxSecond {
				return int64(n * 1e9), true
			}
		}
		if n, ns, ok := scanDateTime(v); ok && n == len(v) {
			return ns, true
		}
		if ns, ok := parseEpoch(v); ok {
			return ns, true
		}
	} else if n, ns, ok := scanStamp(v, ref); ok && n == len(v) {
		return ns, true
	}
	return parseLayouts(v)
}

// TextTime returns the time with which a line of text begins, if it begins
// with one: RFC 3339 and its kin, RFC 3164, the same in square brackets or behind one
// word in them (kubectl logs --prefix), the header of Kubernetes' own programs (klog), or
// the time in the brackets of a web server's access log. It serves
// [trailward.KindText], whose records have no fields to find a time in.
func TextTime(raw []byte, ref time.Time) (ns int64, ok bool) {
	b := raw
	if len(b) > 0 && b[0] == '[' {
		if i := bytes.IndexByte(b[:min(len(b), 48)], ']'); i > 0 {
			if ns, ok := ParseTime(b[1:i], ref); ok {
				return ns, true
			}
		}
		if i := bytes.IndexAny(b[:min(len(b), maxPrefix)], "] "); i > 0 && b[i] == ']' && len(b) > i+2 && b[i+1] == ' ' && b[i+2] != '[' {
			if ns, ok := TextTime(b[i+2:], ref); ok {
				return ns, true
			}
		}
		b = b[1:]
	}
	if len(b) > 21 && b[5] == ' ' && b[8] == ':' && (b[0] == 'I' || b[0] == 'W' || b[0] == 'E' || b[0] == 'F') {
		return klogTime(b, ref)
	}
	if len(b) < 14 {
		return 0, false
	}
	if c := b[0]; c >= '0' && c <= '9' && len(b) >= 19 && b[16] == ':' {
		if n, ns, ok := scanDateTime(b[:min(len(b), 48)]); ok && (n == len(b) || !isAlnum(b[n])) {
			return ns, true
		}
	}
	if n, ns, ok := scanStamp(b, ref); ok && (n == len(b) || !isAlnum(b[n])) {
		return ns, true
	}
	// host ident user [02/Jan/2006:15:04:05 -0700] "GET …
	head := b[:min(len(b), 512)]
	if i := bytes.Index(head, []byte(" [")); i > 0 && len(head) > i+28 && head[i+4] == '/' && head[i+28] == ']' {
		return ParseTime(head[i+2:i+28], ref)
	}
	return 0, false
}

// maxPrefix is the most that a word in brackets before the time may have: names of a pod
// (253 bytes) and of a container (63).
const maxPrefix = 330

// klogTime reads "I0102 15:04:05.000000", which names no year.
func klogTime(b []byte, ref time.Time) (ns int64, ok bool) {
	month, ok := digits2(b[1:])
	if !ok || month < 1 || month > 12 {
		return 0, false
	}
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	stamp := append(make([]byte, 0, 32), names[3*(month-1):3*month]...)
	stamp = append(append(stamp, ' '), b[3:21]...)
	n, ns, ok := scanStamp(stamp, ref)
	return ns, ok && n == len(stamp) && (len(b) == 21 || b[21] == ' ')
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

const (
	minSecond = -9214560000 // 1678-01-01
	maxSecond = 9214646399  // 2261-12-31 23:59:59
)

// scanDateTime reads an RFC 3339 time or one of its kin at the beginning of b
// and returns how long it is. It takes the longest form that fits; a zone must
// follow at once, or after one space.
func scanDateTime(b []byte) (n int, ns int64, ok bool) {
	if len(b) < 16 {
		return 0, 0, false
	}
	year, ok1 := digits4(b)
	month, ok2 := digits2(b[5:])
	day, ok3 := digits2(b[8:])
	hour, ok4 := digits2(b[11:])
	minute, ok5 := digits2(b[14:])
	sep, t := b[4], b[10]
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || sep != b[7] || sep != '-' && sep != '/' ||
		t != 'T' && t != 't' && t != ' ' || b[13] != ':' ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 {
		return 0, 0, false
	}
	n = 16
	sec := 0
	if len(b) >= 19 && b[16] == ':' {
		if sec, ok = digits2(b[17:]); !ok || sec > 60 { // 60 is a leap second, read as the second after 59
			return 0, 0, false
		}
		n = 19
		if m, f := scanFraction(b[n:]); m > 0 {
			ns, n = f, n+m
		}
	}
	m, offset, ok := scanZone(b[n:])
	if !ok {
		return 0, 0, false
	}
	n += m
	s := daysSince1970(year, month, day)*86400 + int64(hour*3600+minute*60+sec-offset)
	if s < minSecond || s > maxSecond {
		return 0, 0, false
	}
	return n, s*1e9 + ns, true
}

// scanFraction reads a point or comma and digits; n is 0 when there are none.
func scanFraction(b []byte) (n int, ns int64) {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' || b[1] < '0' || b[1] > '9' {
		return 0, 0
	}
	unit := int64(1e8)
	for n = 1; n < len(b) && b[n] >= '0' && b[n] <= '9'; n++ {
		ns += int64(b[n]-'0') * unit
		unit /= 10
	}
	return n, ns
}

// scanZone reads Z, UTC, GMT, ±hh, ±hhmm or ±hh:mm, after at most one space.
// No zone at all is UTC and zero bytes long; ok is false for a broken one.
func scanZone(b []byte) (n, offset int, ok bool) {
	i := 0
	if len(b) > 1 && b[0] == ' ' {
		i = 1
	}
	if i == len(b) {
		return 0, 0, true
	}
	switch c := b[i]; {
	case c == 'Z' || c == 'z':
		return i + 1, 0, true
	case i == 1 && len(b) >= 4 && (string(b[1:4]) == "UTC" || string(b[1:4]) == "GMT"):
		return 4, 0, true
	case (c == '+' || c == '-') && len(b) >= i+3:
		h, ok := digits2(b[i+1:])
		if !ok {
			break // a minus after a space is punctuation
		}
		n = i + 3
		m := 0
		if rest := b[n:]; len(rest) >= 3 && rest[0] == ':' {
			if m, ok = digits2(rest[1:]); !ok {
				return 0, 0, false
			}
			n += 3
		} else if len(rest) >= 2 {
			if mm, ok := digits2(rest); ok {
				m = mm
				n += 2
			}
		}
		if h > 23 || m > 59 {
			return 0, 0, false
		}
		offset = h*3600 + m*60
		if c == '-' {
			offset = -offset
		}
		return n, offset, true
	}
	return 0, 0, true
}

// parseEpoch reads a count of seconds or of a thousandth, millionth or
// billionth of it since 1970, with or without a fraction.
func parseEpoch(v []byte) (ns int64, ok bool) {
	var n uint64
	i := 0
	for ; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
		if i == 19 {
			return 0, false
		}
		n = n*10 + uint64(v[i]-'0')
	}
	var frac int64 // of the unit, in 1e-9
	if i < len(v) {
		m, f := scanFraction(v[i:])
		if v[i] != '.' || i+m != len(v) {
			return 0, false
		}
		frac = f
	}
	const first, last = 1e8, maxSecond // in seconds
	for _, unit := range [...]uint64{1e9, 1e6, 1e3, 1} {
		per := 1e9 / unit // units in a second
		if n >= first*per && n <= last*per {
			ns = int64(n * unit)
			return ns + frac/int64(1e9/unit), true
		}
	}
	return 0, false
}

// scanStamp reads the time of RFC 3164 ("Jan _2 15:04:05", a two-digit day and
// a fraction too) at the beginning of b and puts it into a year.
func scanStamp(b []byte, ref time.Time) (n int, ns int64, ok bool) {
	given, month, day, second, frac, n := stampParts(b)
	if n == 0 {
		return 0, 0, false
	}
	if given != 0 {
		if day > daysIn(given, month) {
			return 0, 0, false
		}
		s := daysSince1970(given, month, day)*86400 + int64(second)
		return n, s*1e9 + frac, s >= minSecond && s <= maxSecond
	}
	last := ref.Unix() + 86400
	for year := time.Unix(last, 0).UTC().Year(); ; year-- {
		// 29 February waits for a leap year, at most eight years back.
		if day > daysIn(year, month) {
			if day > 29 || month != 2 {
				return 0, 0, false
			}
			continue
		}
		s := daysSince1970(year, month, day)*86400 + int64(second)
		if s > last {
			continue
		}
		if s < minSecond || s > maxSecond {
			return 0, 0, false
		}
		return n, s*1e9 + frac, true
	}
}

// stampParts reads the time of RFC 3164; n is 0 when there is none, and so is
// the year if it is not said: some put it between day and time or behind it.
func stampParts(b []byte) (year, month, day, second int, frac int64, n int) {
	if len(b) < 14 || b[3] != ' ' {
		return
	}
	if month = monthOf(b); month == 0 {
		return
	}
	i := 4
	if b[i] == ' ' {
		i++
	}
	start := i
	for i < len(b) && i < start+2 && b[i] >= '0' && b[i] <= '9' {
		day = day*10 + int(b[i]-'0')
		i++
	}
	if len(b) >= i+14 && b[i] == ' ' && b[i+5] == ' ' {
		y, ok := digits4(b[i+1:])
		if !ok || y < 1970 {
			return
		}
		year = y
		i += 5
	}
	if day < 1 || day > 31 || len(b) < i+9 || b[i] != ' ' || b[i+3] != ':' || b[i+6] != ':' {
		return
	}
	h, ok1 := digits2(b[i+1:])
	m, ok2 := digits2(b[i+4:])
	s, ok3 := digits2(b[i+7:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return
	}
	i += 9
	k, f := scanFraction(b[i:])
	if rest := b[i+k:]; year == 0 && len(rest) > 5 && rest[0] == ' ' && (rest[5] == ' ' || rest[5] == ':') {
		if y, ok := digits4(rest[1:]); ok && y >= 1970 && y < 2262 {
			year = y // behind the time, as RFC 3164 says in section 5.1
			k += 5
		}
	}
	return year, month, day, h*3600 + m*60 + s, f, i + k
}

func monthOf(b []byte) int {
	switch string(b[:3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// layouts are the rarer ways. None has a zone by name other than UTC: Go reads
// an unknown name as UTC, which would move the event.
var layouts = []string{
	"02/Jan/2006:15:04:05 -0700",
	"02/Jan/2006:15:04:05",
	"2/Jan/2006:15:04:05 -0700",
	"Mon Jan _2 15:04:05 2006",
	"Mon Jan _2 15:04:05 UTC 2006",
	"Mon, 02 Jan 2006 15:04:05 GMT",
	"Mon, 02 Jan 2006 15:04:05 UTC",
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"02 Jan 2006 15:04:05 -0700",
	"Jan _2 2006 15:04:05",
	"20060102T150405Z",
}

func parseLayouts(v []byte) (ns int64, ok bool) {
	s := string(v)
	for _, l := range layouts {
		t, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		if u := t.Unix(); u < minSecond || u > maxSecond {
			return 0, false
		}
		return t.UnixNano(), true
	}
	return 0, false
}

func digits2(b []byte) (int, bool) {
	x, y := b[0]-'0', b[1]-'0'
	return int(x)*10 + int(y), x <= 9 && y <= 9
}

func digits4(b []byte) (int, bool) {
	x, ok1 := digits2(b)
	y, ok2 := digits2(b[2:])
	return x*100 + y, ok1 && ok2
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days in the Gregorian calendar, year 0 and later. It
// counts years from March, so that the leap day is a year's last.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	const before = 719468          // days from 0000-03-01 to 1970-01-01
	era := int64(year+400)/400 - 1 // year may be -1
	y := int64(year) - era*400
	d := int64((153*(month-3)+2)/5 + day - 1)
	return era*146097 + y*365 + y/4 - y/100 + d - before
}
