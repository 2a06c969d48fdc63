package athena

import (
	gomath "math" // math is a kind of function here
	"regexp"
	"strings"
	"time"

	"trailward/query/plan"
)

// What a condition says about times: those of the event, and those of columns
// that hold times as text.

// moment says x op y where x is a time, or text that sorts as times do.
func (p *pruner) moment(op string, x, y node, rel *relation) (a plan.Atom, ok bool) {
	a.Op = plan.AtomSpan
	if f, format, ok := p.formatted(x, rel); ok {
		lit, isText := constText(y)
		if !isText {
			return a, false
		}
		a.Field = f
		a.Span, ok = textSpan(op, lit, format)
		return a, ok
	}
	f, unit, ok := p.time(x, rel)
	if !ok {
		return a, false
	}
	a.Field = f
	at, ok := constTime(y)
	if !ok {
		return a, false
	}
	a.Span = spanOf(op, at, at)
	if a.Span.To != gomath.MaxInt64 && unit != "" {
		// x was cut off: the time itself may be later, by less than the unit.
		a.Span.To = addUnit(time.UnixMicro(a.Span.To).UTC(), unit).UnixMicro() - 1
	}
	return a, true
}

// spanOf is where a time can be that compares so with something from lo to hi.
func spanOf(op string, lo, hi int64) plan.Span {
	s := plan.Everything
	switch op {
	case "EQUAL":
		s = plan.Span{From: lo, To: hi}
	case "GREATERTHAN", "GREATERTHANOREQUALTO":
		s.From = lo
	case "LESSTHAN", "LESSTHANOREQUALTO":
		s.To = hi
	}
	return s
}

// time finds the time that an expression is, cut off at a unit or as it is.
func (p *pruner) time(n node, rel *relation) (f plan.FieldRef, unit string, ok bool) {
	switch str(n, "class") {
	case "COLUMN_REF":
		c, ok := p.column(n, rel)
		switch {
		case !ok:
		case c.calc != nil && c.calc.date:
			return c.ref(), "day", true
		case c.sys == "@timestamp":
			return c.ref(), "", true
		}
	case "CAST":
		f, unit, ok = p.time(checked(obj(n, "child")), rel)
		switch str(obj(n, "cast_type"), "id") {
		case "TIMESTAMP":
			return f, unit, ok
		case "DATE":
			if unit == "" {
				unit = "day"
			}
			return f, unit, ok && unit == "day"
		}
	case "FUNCTION":
		args := nodes(n, "children")
		if len(args) != 2 {
			break
		}
		lit, isText := constText(args[0])
		switch str(n, "function_name") {
		case "date_trunc":
			f, unit, ok = p.time(args[1], rel)
			return f, lit, ok && unit == "" && isText && units[lit]
		case "timezone": // text, read as a time
			if cast := args[1]; isText && lit == "UTC" && str(cast, "class") == "CAST" && str(obj(cast, "cast_type"), "id") == "TIMESTAMP WITH TIME ZONE" {
				f, ok = p.text(checked(obj(cast, "child")), rel)
				return f, "", ok && f.Key() != "@message"
			}
		}
	}
	return f, "", false
}

var units = map[string]bool{"second": true, "minute": true, "hour": true, "day": true, "week": true, "month": true, "quarter": true, "year": true}

func addUnit(t time.Time, unit string) time.Time {
	switch unit {
	case "year":
		return t.AddDate(1, 0, 0)
	case "quarter":
		return t.AddDate(0, 3, 0)
	case "month":
		return t.AddDate(0, 1, 0)
	case "week":
		return t.AddDate(0, 0, 7)
	}
	return t.AddDate(0, 0, 1) // and all that is shorter
}

// stampFormat marks text that is RFC 3339 in UTC if the column says so.
const stampFormat = "%Y-%m-%dT%H:%M:%S"

// timeName says whether a field may hold times as text: eventTime,
// stageTimestamp. Whether it does is the column's to say.
func timeName(f plan.FieldRef) bool {
	return len(f.Keys) == 1 && strings.Contains(strings.ToLower(f.Keys[0]), "time") && !strings.HasPrefix(f.Keys[0], "@")
}

// formatted finds the format of an expression that is the event time as text,
// or of a column that may hold times.
func (p *pruner) formatted(n node, rel *relation) (f plan.FieldRef, format string, ok bool) {
	if c, ok := p.column(n, rel); ok && c.calc != nil && !c.calc.date {
		return c.ref(), c.calc.format, true
	}
	if f, ok := p.text(n, rel); ok && timeName(f) {
		return f, stampFormat, true
	}
	if str(n, "class") == "FUNCTION" && str(n, "function_name") == "||" {
		any := false
		for _, x := range nodes(n, "children") {
			if t, isText := constText(x); isText {
				format += strings.ReplaceAll(t, "%", "%%")
				continue
			}
			if str(x, "class") == "CAST" && str(obj(x, "cast_type"), "id") == "VARCHAR" {
				x = obj(x, "child")
			}
			g, part, ok := p.formatted(x, rel)
			if !ok || part == stampFormat {
				return f, "", false
			}
			f, format, any = g, format+part, true
		}
		return f, format, any
	}
	return f, "", false
}

// ordered are formats whose text sorts as the times do: each is a beginning of
// year, month, day, hour, minute, second with something between or not.
var ordered = regexp.MustCompile(`^%Y([^%0-9]?)(%m([^%0-9]?)(%d([^%0-9]?)(%H([^%0-9]?)(%M([^%0-9]?)(%S)?)?)?)?)?$`)

var layouts = strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05")

// textSpan is where a time can be whose text in the format compares so with a
// text. Only the longest beginning that is a time counts: two texts are ordered
// as their beginnings of one length are, or these are equal.
func textSpan(op, lit, format string) (plan.Span, bool) {
	if !ordered.MatchString(format) {
		return plan.Span{}, false
	}
	layout := layouts.Replace(format)
	for _, c := range []struct {
		part, unit string
	}{{"05", "second"}, {"04", "minute"}, {"15", "hour"}, {"02", "day"}, {"01", "month"}, {"2006", "year"}} {
		i := strings.Index(layout, c.part)
		if i < 0 || i+len(c.part) > len(lit) {
			continue
		}
		n := i + len(c.part)
		t, err := time.Parse(layout[:n], lit[:n])
		if err != nil || t.Format(layout[:n]) != lit[:n] {
			continue
		}
		end := t.Add(time.Second)
		switch c.unit {
		case "minute":
			end = t.Add(time.Minute)
		case "hour":
			end = t.Add(time.Hour)
		case "day", "month", "year":
			end = addUnit(t, c.unit)
		}
		return spanOf(op, t.UnixMicro(), end.UnixMicro()-1), true
	}
	return plan.Span{}, false
}

// prefixSpan is LIKE '2024-01-05%' of a column that may hold times.
func prefixSpan(like string, f plan.FieldRef, rel *relation) (plan.Span, bool) {
	prefix, _, _ := strings.Cut(like, "%")
	if strings.Contains(prefix, "_") || !timeName(f) {
		return plan.Span{}, false
	}
	return textSpan("EQUAL", prefix, stampFormat)
}

// calendar brings year = '2024' AND month = '05' AND day = '06' together, in
// whatever order they stand, with or without a cast to a number.
func (p *pruner) calendar(list []node, rel *relation) (a plan.Atom, ok bool) {
	part := map[string]int{}
	for _, n := range list {
		if str(n, "class") != "COMPARISON" || str(n, "type") != "COMPARE_EQUAL" {
			continue
		}
		for _, side := range [][2]node{{obj(n, "left"), obj(n, "right")}, {obj(n, "right"), obj(n, "left")}} {
			x, cast := side[0], false
			for str(x, "class") == "CAST" {
				x, cast = checked(obj(x, "child")), true
			}
			c, isColumn := p.column(x, rel)
			if !isColumn || c.calc == nil || len(c.calc.format) != 2 {
				continue
			}
			num, isNum := constNumber(side[1])
			if t, isText := constText(side[1]); isText && !cast && len(t) != 2+2*b2i(c.calc.format == "%Y") {
				isNum = false // '5' is no text of a month
			}
			if isNum && num == gomath.Trunc(num) && num >= 0 && num <= 9999 {
				part[c.calc.format] = int(num)
				a.Field = c.ref()
			}
		}
	}
	year, ok := part["%Y"]
	if !ok || year < 1 {
		return a, false
	}
	from, unit := [4]int{year, 1, 1, 0}, "year"
	for i, f := range []struct{ format, unit string }{{"%m", "month"}, {"%d", "day"}, {"%H", "hour"}} {
		v, ok := part[f.format]
		if !ok {
			break
		}
		from[i+1], unit = v, f.unit
	}
	t := time.Date(from[0], time.Month(from[1]), from[2], from[3], 0, 0, 0, time.UTC)
	a.Op = plan.AtomSpan
	end := t.Add(time.Hour)
	if unit != "hour" {
		end = addUnit(t, unit)
	}
	a.Span = plan.Span{From: t.UnixMicro(), To: end.UnixMicro() - 1}
	if t.Year() != from[0] || int(t.Month()) != from[1] || t.Day() != from[2] || t.Hour() != from[3] {
		a.Span = plan.Span{From: 1, To: 0} // no such day: no record
	}
	return a, true
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// constTime evaluates an expression of constants that is a time.
func constTime(n node) (micros int64, ok bool) {
	t, ok := constMoment(n)
	if !ok || t.Year() < 1 || t.Year() > 9999 {
		return 0, false
	}
	return t.UnixMicro(), true
}

func constMoment(n node) (t time.Time, ok bool) {
	switch str(n, "class") {
	case "CAST":
		id := str(obj(n, "cast_type"), "id")
		child := checked(obj(n, "child"))
		switch id {
		case "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE":
		default:
			return t, false
		}
		if lit, isText := constText(child); isText {
			if t, ok = parseMoment(lit, id == "TIMESTAMP WITH TIME ZONE"); !ok {
				return t, false
			}
		} else if t, ok = constMoment(child); !ok {
			return t, false
		}
		if id == "DATE" {
			t = t.Truncate(24 * time.Hour)
		}
		return t, true
	case "FUNCTION":
		args := nodes(n, "children")
		if len(args) != 2 {
			break
		}
		lit, isText := constText(args[0])
		switch str(n, "function_name") {
		case "timezone":
			if isText && lit == "UTC" && str(args[1], "class") == "CAST" && str(obj(args[1], "cast_type"), "id") == "TIMESTAMP WITH TIME ZONE" {
				return constMoment(args[1])
			}
		case "date_trunc":
			if t, ok = constMoment(args[1]); ok && isText {
				switch lit {
				case "day":
					return t.Truncate(24 * time.Hour), true
				case "hour":
					return t.Truncate(time.Hour), true
				case "month":
					return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC), true
				case "year":
					return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC), true
				}
			}
			return t, false
		case "+", "-":
			if t, ok = constMoment(args[0]); !ok {
				return t, false
			}
			sign := 1
			if str(n, "function_name") == "-" {
				sign = -1
			}
			return addInterval(t, args[1], sign)
		}
	}
	return t, false
}

// addInterval adds to_days(7) and the like.
func addInterval(t time.Time, n node, sign int) (time.Time, bool) {
	args := nodes(n, "children")
	if str(n, "class") != "FUNCTION" || len(args) != 1 {
		return t, false
	}
	x := args[0] // to_days(CAST(round(trunc(CAST('7' AS DOUBLE))) AS INTEGER))
	for str(x, "class") == "CAST" {
		x = checked(obj(x, "child"))
	}
	for (str(x, "function_name") == "trunc" || str(x, "function_name") == "round") && len(nodes(x, "children")) == 1 {
		x = nodes(x, "children")[0]
	}
	f, ok := constNumber(x)
	if !ok || f != gomath.Trunc(f) || gomath.Abs(f) > 1e9 {
		return t, false
	}
	k := sign * int(f)
	switch str(n, "function_name") {
	case "to_seconds":
		return t.Add(time.Duration(k) * time.Second), true
	case "to_minutes":
		return t.Add(time.Duration(k) * time.Minute), gomath.Abs(f) < 1e7
	case "to_hours":
		return t.Add(time.Duration(k) * time.Hour), gomath.Abs(f) < 1e6
	case "to_days":
		return t.AddDate(0, 0, k), gomath.Abs(f) < 1e6
	case "to_weeks":
		return t.AddDate(0, 0, 7*k), gomath.Abs(f) < 1e5
	case "to_months", "to_quarters", "to_years":
		// DuckDB keeps to the month's last day, Go goes beyond it: a day's
		// difference is a difference.
		months := k * map[string]int{"to_months": 1, "to_quarters": 3, "to_years": 12}[str(n, "function_name")]
		return t.AddDate(0, months, 0), t.Day() <= 28 && gomath.Abs(f) < 1e4
	}
	return t, false
}

// parseMoment reads a constant time as DuckDB does, as far as that is plain.
func parseMoment(s string, zone bool) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999Z", "2006-01-02T15:04:05.999999Z", "2006/01/02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if zone {
		for _, layout := range []string{"2006-01-02T15:04:05.999999-07:00", "2006-01-02 15:04:05.999999-07:00", "2006-01-02 15:04:05.999999-07"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}
