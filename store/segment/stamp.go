package segment

import "time"

// A stamp is a time as most programs write it: RFC 3339 in UTC with Z, and a
// fraction of 0, 3 or 6 digits. As a number of microseconds and the digits'
// count it takes a quarter of the space and comes back exactly.

// parseStamp parses a stamp; every part must be in its range, so that
// appendStamp, and every engine that reads the column, gives the same bytes
// (some write years before 1000 with fewer digits).
func parseStamp(v []byte) (us int64, digits int, ok bool) {
	switch len(v) {
	case 20:
	case 24:
		digits = 3
	case 27:
		digits = 6
	default:
		return 0, 0, false
	}
	if v[4] != '-' || v[7] != '-' || v[10] != 'T' || v[13] != ':' || v[16] != ':' || v[len(v)-1] != 'Z' {
		return 0, 0, false
	}
	bad := false
	num := func(i, n int) int {
		x := 0
		for _, c := range v[i : i+n] {
			d := c - '0'
			bad = bad || d > 9
			x = 10*x + int(d)
		}
		return x
	}
	y, mo, d, h, mi, s := num(0, 4), num(5, 2), num(8, 2), num(11, 2), num(14, 2), num(17, 2)
	frac := 0
	if digits > 0 {
		if v[19] != '.' {
			return 0, 0, false
		}
		frac = num(20, digits)
		if digits == 3 {
			frac *= 1000
		}
	}
	if bad || y < 1000 || mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) || h > 23 || mi > 59 || s > 59 {
		return 0, 0, false
	}
	return ((daysFrom1970(y, mo, d)*24+int64(h))*60+int64(mi))*60_000_000 + int64(s)*1_000_000 + int64(frac), digits, true
}

func appendStamp(dst []byte, us int64, digits int) []byte {
	sec, frac := us/1_000_000, us%1_000_000
	if frac < 0 {
		sec, frac = sec-1, frac+1_000_000
	}
	y, mo, d := time.Unix(sec, 0).UTC().Date()
	t := sec % 86400
	if t < 0 {
		t += 86400
	}
	two := func(x int64) { dst = append(dst, byte('0'+x/10), byte('0'+x%10)) }
	two(int64(y / 100))
	two(int64(y % 100))
	dst = append(dst, '-')
	two(int64(mo))
	dst = append(dst, '-')
	two(int64(d))
	dst = append(dst, 'T')
	two(t / 3600)
	dst = append(dst, ':')
	two(t / 60 % 60)
	dst = append(dst, ':')
	two(t % 60)
	if digits > 0 {
		dst = append(dst, '.')
		for scale := int64(100_000); digits > 0; digits-- {
			dst = append(dst, byte('0'+frac/scale%10))
			scale /= 10
		}
	}
	return append(dst, 'Z')
}

func daysIn(y, m int) int {
	switch {
	case m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0):
		return 29
	case m == 2:
		return 28
	case m == 4 || m == 6 || m == 9 || m == 11:
		return 30
	}
	return 31
}

// daysFrom1970 counts the days of the proleptic Gregorian calendar (Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
func daysFrom1970(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}
