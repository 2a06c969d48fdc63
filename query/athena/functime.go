package athena

import (
	"strings"
	"time"
)

// Functions of time. Every timestamp is UTC and has no zone of its own.

var timeFunctions = map[string]function{
	"now":                    special("current_timestamp"),
	"date":                   {min: 1, max: 1, build: func(c *call) (operand, error) { return c.r.castTo(c.args[0], "DATE", false) }},
	"from_iso8601_timestamp": timeTmpl(1, 0, `"@1"`, tZoned),
	"from_iso8601_date":      {min: 1, max: 1, build: fromISODate},
	"to_iso8601":             {min: 1, max: 1, build: toISO8601},
	"from_unixtime":          {min: 1, max: 2, build: fromUnixtime},
	"from_unixtime_nanos":    tmpl(1, `make_timestamp(CAST("@1" AS BIGINT) // 1000)`, tZoned),
	"to_unixtime": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if c.args[0] = asTime(c.args[0]); c.args[0].typ.clock {
			return operand{}, c.fault("a time AT TIME ZONE is none that is UTC; leave AT TIME ZONE out")
		}
		return c.template(`epoch("@1")`, tFloat)
	}},
	"date_trunc":      {min: 2, max: 2, build: dateTrunc},
	"date_add":        {min: 3, max: 3, build: dateAdd},
	"date_diff":       {min: 3, max: 3, build: dateDiff},
	"date_part":       {min: 2, max: 2, build: datePart}, // EXTRACT(x FROM t)
	"date_parse":      {min: 2, max: 2, build: parseTime(mysqlFormat)},
	"date_format":     {min: 2, max: 2, build: formatTime(mysqlFormat)},
	"parse_datetime":  {min: 2, max: 2, build: parseTime(jodaFormat)},
	"format_datetime": {min: 2, max: 2, build: formatTime(jodaFormat)},
	"at_timezone": {min: 2, max: 2, build: func(c *call) (operand, error) {
		c.args[0], c.args[1] = c.args[1], c.args[0]
		return atTimeZone(c)
	}},
	"with_timezone":     timeTmpl(2, 0, `timezone('UTC', timezone("@2", "@1"))`, tZoned),
	"timezone":          {min: 2, max: 2, build: atTimeZone}, // t AT TIME ZONE z
	"year":              timeTmpl(1, 0, `year("@1")`, tInt),
	"quarter":           timeTmpl(1, 0, `quarter("@1")`, tInt),
	"month":             timeTmpl(1, 0, `month("@1")`, tInt),
	"week":              timeTmpl(1, 0, `week("@1")`, tInt),
	"week_of_year":      timeTmpl(1, 0, `week("@1")`, tInt),
	"year_of_week":      timeTmpl(1, 0, `isoyear("@1")`, tInt),
	"yow":               timeTmpl(1, 0, `isoyear("@1")`, tInt),
	"day":               timeTmpl(1, 0, `day("@1")`, tInt),
	"day_of_month":      timeTmpl(1, 0, `day("@1")`, tInt),
	"day_of_week":       timeTmpl(1, 0, `isodow("@1")`, tInt),
	"dow":               timeTmpl(1, 0, `isodow("@1")`, tInt),
	"day_of_year":       timeTmpl(1, 0, `dayofyear("@1")`, tInt),
	"doy":               timeTmpl(1, 0, `dayofyear("@1")`, tInt),
	"hour":              timeTmpl(1, 0, `hour("@1")`, tInt),
	"minute":            timeTmpl(1, 0, `minute("@1")`, tInt),
	"second":            timeTmpl(1, 0, `second("@1")`, tInt),
	"millisecond":       timeTmpl(1, 0, `millisecond("@1") % 1000`, tInt),
	"last_day_of_month": timeTmpl(1, 0, `last_day("@1")`, tDate),
	"to_milliseconds":   tmpl(1, `CAST(epoch("@1") * 1000 AS BIGINT)`, tInt),
	"to_days":           interval("to_days"),
	"to_hours":          interval("to_hours"),
	"to_minutes":        interval("to_minutes"),
	"to_seconds":        interval("to_seconds"),
	"to_months":         interval("to_months"),
	"to_years":          interval("to_years"),
	"to_weeks":          interval("to_weeks"),
	"to_quarters":       interval("to_quarters"),
	"current_timezone":  tmpl(0, `'UTC'`, tText),
}

// interval is what the parser makes of INTERVAL '1' DAY.
func interval(name string) function { return plain(name, 1, 1, typ{kind: kInterval}) }

func special(word string) function {
	return function{build: func(c *call) (operand, error) {
		n, t, _ := c.r.special(word)
		return operand{node: n, typ: t}, nil
	}}
}

// fromISODate reads ISO 8601's dates: of the calendar, of a year's weeks and of its
// days. What is left out is the first.
func fromISODate(c *call) (operand, error) {
	if t, ok := constText(c.args[0].node); ok {
		if _, err := time.Parse(time.DateOnly, t); err == nil {
			return c.template(`CAST("@1" AS DATE)`, tDate)
		}
	}
	return c.template(`CASE WHEN regexp_full_match("@1", '[0-9]{4}-W[0-9]{2}-[1-7]') THEN CAST(strptime("@1", '%G-W%V-%u') AS DATE)
		WHEN regexp_full_match("@1", '[0-9]{4}-W[0-9]{2}') THEN CAST(strptime("@1" || '-1', '%G-W%V-%u') AS DATE)
		WHEN regexp_full_match("@1", '[0-9]{4}-[0-9]{3}') THEN CAST(strptime("@1", '%Y-%j') AS DATE)
		WHEN regexp_full_match("@1", '[0-9]{4}-[0-9]{2}') THEN CAST("@1" || '-01' AS DATE)
		WHEN regexp_full_match("@1", '[0-9]{4}') THEN CAST("@1" || '-01-01' AS DATE)
		ELSE CAST("@1" AS DATE) END`, tDate)
}

func toISO8601(c *call) (operand, error) {
	if c.args[0].typ.kind == kDate {
		return c.template(`strftime("@1", '%Y-%m-%d')`, tText)
	}
	c.args[0] = asTime(c.args[0])
	switch t := c.args[0].typ; {
	case t.clock:
		return operand{}, c.fault("the offset of a time AT TIME ZONE is not kept; convert before AT TIME ZONE, which gives UTC")
	case t.zoned:
		return c.template(`strftime("@1", '%Y-%m-%dT%H:%M:%S.%gZ')`, tText)
	}
	return c.template(`strftime("@1", '%Y-%m-%dT%H:%M:%S.%g')`, tText)
}

func fromUnixtime(c *call) (operand, error) {
	c.args[0] = asNumber(c.args[0])
	text := `make_timestamp(CAST(round(CAST("@1" AS DOUBLE) * 1000000) AS BIGINT))`
	if c.args[0].typ.kind == kInt {
		text = `make_timestamp(CAST("@1" AS BIGINT) * 1000000)`
	}
	if len(c.args) == 2 {
		text = `timezone("@2", timezone('UTC', ` + text + `))`
		return c.template(text, clockIn(c.args[1]))
	}
	return c.template(text, tZoned)
}

// atTimeZone is t AT TIME ZONE z: the time that clocks in z show. Our t is UTC.
func atTimeZone(c *call) (operand, error) {
	c.args[1] = asTime(c.args[1])
	if c.args[1].typ.clock {
		return operand{}, c.r.fault(c.loc, "a time AT TIME ZONE cannot be brought into another zone")
	}
	return c.template(`timezone("@1", timezone('UTC', "@2"))`, clockIn(c.args[0]))
}

// clockIn is the type of a time that clocks in a zone show.
func clockIn(zone operand) typ {
	if z, ok := constText(zone.node); ok && (strings.EqualFold(z, "utc") || strings.EqualFold(z, "z") || strings.EqualFold(z, "gmt")) {
		return tZoned
	}
	return typ{kind: kTime, clock: true}
}

// otherClock is the error for two times of which one is what clocks elsewhere show.
func (r *rewriter) otherClock(loc int) error {
	return r.src.fault(loc, "a time AT TIME ZONE is compared or subtracted with one that is UTC", "leave AT TIME ZONE out here: every time is UTC")
}

func dateTrunc(c *call) (operand, error) {
	u, err := c.unit(0)
	if err != nil {
		return operand{}, err
	}
	date := c.args[1].typ.kind == kDate
	c.args[1] = asTime(c.args[1])
	op, err := c.template(`date_trunc('`+u+`', "@2")`, c.args[1].typ)
	if date && err == nil {
		op = operand{node: castNode(op.node, "DATE", false), typ: tDate}
	}
	return op, err
}

func dateAdd(c *call) (operand, error) {
	u, err := c.unit(0)
	if err != nil {
		return operand{}, err
	}
	date := c.args[2].typ.kind == kDate
	c.args[2] = asTime(c.args[2])
	op, err := c.template(`"@3" + to_`+u+`s(CAST("@2" AS `+intervalArg(u)+`))`, c.args[2].typ)
	if date && err == nil {
		op = operand{node: castNode(op.node, "DATE", false), typ: tDate}
	}
	return op, err
}

// intervalArg is the type that DuckDB's to_…s takes.
func intervalArg(unit string) string {
	switch unit {
	case "day", "week", "month", "quarter", "year":
		return "INTEGER"
	case "hour", "minute":
		return "BIGINT"
	}
	return "DOUBLE"
}

// dateDiff counts whole units, as Trino does; DuckDB's date_diff counts the
// boundaries that lie between.
func dateDiff(c *call) (operand, error) {
	u, err := c.unit(0)
	if err != nil {
		return operand{}, err
	}
	c.args[1], c.args[2] = asTime(c.args[1]), asTime(c.args[2])
	if c.args[1].typ.clock != c.args[2].typ.clock {
		return operand{}, c.r.otherClock(c.loc)
	}
	return c.template(`date_sub('`+u+`', "@2", "@3")`, tInt)
}

func datePart(c *call) (operand, error) {
	s, err := c.constArg(0, "the field")
	if err != nil {
		return operand{}, err
	}
	part := map[string]string{"year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day", "day_of_month": "day",
		"day_of_week": "isodow", "dow": "isodow", "day_of_year": "dayofyear", "doy": "dayofyear", "year_of_week": "isoyear", "yow": "isoyear",
		"hour": "hour", "minute": "minute", "second": "second"}[strings.ToLower(s)]
	if part == "" {
		return operand{}, c.fault("field %q is not known", s)
	}
	c.args[1] = asTime(c.args[1])
	return c.template(part+`("@2")`, tInt)
}

func parseTime(convert func(string) (string, error)) func(*call) (operand, error) {
	return func(c *call) (operand, error) {
		s, err := c.constArg(1, "the format")
		if err != nil {
			return operand{}, err
		}
		f, err := convert(s)
		if err != nil {
			return operand{}, c.fault("%v", err)
		}
		f = parsed.Replace(f)
		c.args[1].node = textNode(f)
		text := `strptime("@1", "@2")`
		if strings.Contains(f, "%z") || strings.Contains(f, "%Z") {
			text = `timezone('UTC', ` + text + `)`
		}
		if c.name == "parse_datetime" {
			return c.template(text, tZoned)
		}
		return c.template(text, tTime)
	}
}

func formatTime(convert func(string) (string, error)) func(*call) (operand, error) {
	return func(c *call) (operand, error) {
		s, err := c.constArg(1, "the format")
		if err != nil {
			return operand{}, err
		}
		f, err := convert(s)
		if err != nil {
			return operand{}, c.fault("%v", err)
		}
		c.args[0] = asTime(c.args[0])
		if in := shown.Replace(f); in != f {
			if f = in; c.args[0].typ.clock {
				return operand{}, c.fault("the offset of a time AT TIME ZONE is not kept; leave it out of the format")
			}
		}
		c.args[1].node = textNode(f)
		return c.template(`strftime("@1", "@2")`, tText)
	}
}
