package lower

import (
	"fmt"
	"strings"

	"trailward/query/plan"
)

// whiteSpace is what trim and isblank take for blank.
const whiteSpace = " \t\n\r\f\v"

// textFuncs are the functions from texts to text that are one primitive.
var textFuncs = map[string]Op{
	"toupper": opUpper, "tolower": opLower, "replace": opReplace,
	"urlencode": opURLEncode, "urldecode": opURLDecode, "base64encode": opBase64Encode, "base64decode": opBase64Decode,
	"hextoascii": opHexText, "md5": opMD5, "sha256": opSHA256,
}

// numberFuncs are the functions from numbers to a number that are one
// primitive.
var numberFuncs = map[string]Op{"ceil": opCeil, "floor": opFloor, "log": opLn, "sqrt": opSqrt, "greatest": opGreatest, "least": opLeast, "haversine": opHaversine}

// call lowers a scalar function.
func (l *lowerer) call(e plan.Call, a []val) (val, error) {
	if op, ok := textFuncs[e.Func]; ok {
		sql, err := l.op(op, l.texts(a)...)
		return val{sql: sql, typ: plan.Text}, err
	}
	if op, ok := numberFuncs[e.Func]; ok {
		args := make([]string, len(a))
		for i := range a {
			n, err := l.float(a[i])
			if err == nil && op == opHaversine {
				n, err = l.hoist(n)
			}
			if err != nil {
				return val{}, err
			}
			args[i] = n.sql
		}
		sql, err := l.op(op, args...)
		return val{sql: sql, typ: plan.Float}, err
	}
	switch e.Func {
	case "abs":
		n, err := l.float(a[0])
		return val{sql: "abs(" + n.sql + ")", typ: plan.Float}, err
	case "round":
		n, err := l.float(a[0])
		if err != nil {
			return val{}, err
		}
		digits := "0"
		if len(a) > 1 {
			d, err := l.int(a[1])
			if err != nil {
				return val{}, err
			}
			digits = d.sql
		}
		sql, err := l.op(opRound, n.sql, digits)
		return val{sql: sql, typ: plan.Float}, err
	case "tonumber", "todouble":
		return l.float(a[0])
	case "toint", "tolong":
		return l.int(a[0])
	case "rowtotal":
		return l.rowTotal(a)
	case "ispresent":
		return val{sql: "(" + a[0].sql + " IS NOT NULL)", typ: plan.Bool}, nil
	case "isnumeric":
		n, err := l.num(a[0])
		return val{sql: "(" + n.sql + " IS NOT NULL)", typ: plan.Bool}, err
	case "coalesce":
		return l.coalesce(a)
	case "if", "case":
		return l.branches(e, a)
	case "messagesize":
		sql, err := l.op(opBytes, l.text(a[0]).sql)
		return val{sql: sql, typ: plan.Int}, err
	case "isempty":
		return flag("coalesce(" + l.raw(a[0]).sql + ", '') = ''"), nil
	case "isblank":
		sql, err := l.op(opTrim, l.raw(a[0]).sql, l.d.Text(whiteSpace))
		return flag("coalesce(" + sql + ", '') = ''"), err
	case "concat":
		sql, err := l.op(opConcat, l.texts(a)...)
		return val{sql: sql, typ: plan.Text}, err
	case "trim", "ltrim", "rtrim":
		args := append(l.texts(a), l.d.Text(whiteSpace))[:2]
		sql, err := l.op(Op(e.Func), args...)
		return val{sql: sql, typ: plan.Text}, err
	case "strlen":
		sql, err := l.op(opLength, l.text(a[0]).sql)
		return val{sql: sql, typ: plan.Int}, err
	case "substr":
		args := []string{l.text(a[0]).sql}
		for _, x := range a[1:] {
			n, err := l.int(x)
			if err == nil {
				n, err = l.hoist(n)
			}
			if err != nil {
				return val{}, err
			}
			args = append(args, clamp(n.sql))
		}
		sql, err := l.op(opSubstr, args...)
		return val{sql: sql, typ: plan.Text}, err
	case "strcontains":
		args := l.texts(a[:2])
		if len(a) == 3 { // the third says whether case is ignored
			ci, err := l.truth(a[2])
			if err != nil {
				return val{}, err
			}
			plain, err := l.op(opContains, args...)
			if err != nil {
				return val{}, err
			}
			for i := range args {
				if args[i], err = l.op(opLower, args[i]); err != nil {
					return val{}, err
				}
			}
			folded, err := l.op(opContains, args...)
			return flag("CASE WHEN " + ci + " THEN " + folded + " ELSE " + plain + " END"), err
		}
		sql, err := l.op(opContains, args...)
		return flag(sql), err
	case "startswith", "endswith":
		op := opStarts
		if e.Func == "endswith" {
			op = opEnds
		}
		sql, err := l.op(op, l.texts(a)...)
		return flag(sql), err
	case "regexreplace":
		sql, err := l.op(opRegexReplace, l.texts(a)...)
		return val{sql: sql, typ: plan.Text}, err
	case "split":
		sql, err := l.op(opSplit, l.texts(a)...)
		return val{sql: sql, typ: plan.List}, err
	case "hextodec":
		sql, err := l.op(opHexInt, l.text(a[0]).sql)
		return val{sql: sql, typ: plan.Int}, err
	case "dectohex":
		n, err := l.int(a[0])
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opIntHex, n.sql)
		return val{sql: sql, typ: plan.Text}, err
	case "frommillis":
		return l.time(a[0])
	case "tomillis":
		if a[0].typ == plan.Time {
			return l.num(a[0])
		}
		return l.int(a[0])
	case "formatdate":
		return l.formatDate(e, a)
	case "parsedate":
		return l.parseDate(e, a)
	case "jsonparse":
		h, err := l.hoist(l.text(a[0]))
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opJSONDoc, h.sql)
		return val{sql: sql, typ: plan.JSON, doc: true}, err
	case "jsonstringify":
		if a[0].typ == plan.List {
			sql, err := l.op(opListText, a[0].sql)
			return val{sql: sql, typ: plan.Text}, err
		}
		return l.raw(a[0]), nil
	case "jsonarraysize":
		return l.jsonArray(opJSONSize, plan.Int, a)
	case "jsonarraycontains":
		v, err := l.jsonArray(opJSONHas, plan.Bool, a)
		v.sql = "coalesce(" + v.sql + ", FALSE)"
		return v, err
	case "logfmt":
		h, err := l.hoist(l.text(a[0]))
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opLogfmt, h.sql)
		return val{sql: sql, typ: plan.JSON, doc: true}, err
	case "csv":
		h, err := l.hoist(l.text(a[0]))
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opCSV, h.sql, a[1].sql)
		return val{sql: sql, typ: plan.Text}, err
	}
	if v, ok, err := l.address(e, a); ok {
		return v, err
	}
	return val{}, errorAt(e.Pos, "", "function %s cannot be run", e.Func)
}

// addable reports whether a value can be part of a sum: a number, or text that
// may look like one.
func addable(v val) bool { return isNumber(v) || isText(v) }

// rowTotal lowers the sum of those values that are numbers; null if none is.
func (l *lowerer) rowTotal(a []val) (val, error) {
	var all, parts []string
	for _, v := range a {
		if !addable(v) {
			continue
		}
		n, err := l.float(v)
		if err != nil {
			return val{}, err
		}
		if n, err = l.hoist(n); err != nil {
			return val{}, err
		}
		all = append(all, n.sql)
		parts = append(parts, "coalesce("+n.sql+", 0)")
	}
	switch len(all) {
	case 0:
		return val{sql: "CAST(NULL AS " + l.d.Type(plan.Float) + ")", typ: plan.Float, atom: true}, nil
	case 1:
		return val{sql: all[0], typ: plan.Float, atom: true}, nil
	}
	return val{sql: "CASE WHEN coalesce(" + strings.Join(all, ", ") + ") IS NOT NULL THEN " + strings.Join(parts, " + ") + " END", typ: plan.Float}, nil
}

// clamp brings an integer (an atom) between 0 and what every engine takes for
// a length.
func clamp(n string) string {
	return "CASE WHEN " + n + " < 0 THEN 0 WHEN " + n + " > 2147483646 THEN 2147483646 ELSE " + n + " END"
}

// flag is a condition as the number 1 or 0, which some functions return.
func flag(cond string) val {
	return val{sql: "CASE WHEN " + cond + " THEN 1 ELSE 0 END", typ: plan.Int}
}

// texts turns values into text.
func (l *lowerer) texts(a []val) []string {
	out := make([]string, len(a))
	for i := range a {
		out[i] = l.text(a[i]).sql
	}
	return out
}

// raw is a value as text even if it is a map.
func (l *lowerer) raw(v val) val {
	if v.typ == plan.JSON {
		v.typ, v.doc = plan.Text, false
		return v
	}
	return l.text(v)
}

func (l *lowerer) coalesce(a []val) (val, error) {
	vs, out, err := l.unify(a)
	if err != nil {
		return val{}, err
	}
	args := make([]string, len(vs))
	for i, v := range vs {
		args[i] = v.sql
	}
	if len(args) == 1 {
		return vs[0], nil
	}
	out.sql = "coalesce(" + strings.Join(args, ", ") + ")"
	return out, nil
}

// branches lowers if(c, t, e) and case(c1, v1, …[, default]).
func (l *lowerer) branches(e plan.Call, a []val) (val, error) {
	var conds []string
	var values []val
	for i := 0; i+1 < len(a); i += 2 {
		c, err := l.truth(a[i])
		if err != nil {
			return val{}, err
		}
		conds, values = append(conds, c), append(values, a[i+1])
	}
	if len(a)%2 == 1 {
		values = append(values, a[len(a)-1])
	}
	if len(conds) > 10 {
		return val{}, errorAt(e.Pos, "", "case has more than 10 branches")
	}
	values, out, err := l.unify(values)
	if err != nil {
		return val{}, err
	}
	var b strings.Builder
	b.WriteString("CASE")
	for i, c := range conds {
		b.WriteString(" WHEN " + c + " THEN " + values[i].sql)
	}
	if len(values) > len(conds) {
		b.WriteString(" ELSE " + values[len(values)-1].sql)
	}
	b.WriteString(" END")
	out.sql = b.String()
	return out, nil
}

// jsonArray lowers a function of the elements of a JSON array.
func (l *lowerer) jsonArray(op Op, typ plan.Type, a []val) (val, error) {
	x := a[0]
	if x.typ == plan.List {
		sql, err := l.op(opListText, x.sql)
		if err != nil {
			return val{}, err
		}
		x = val{sql: sql, typ: plan.Text}
	}
	h, err := l.hoist(l.raw(x))
	if err != nil {
		return val{}, err
	}
	args := []string{h.sql}
	for _, y := range a[1:] {
		args = append(args, l.text(y).sql)
	}
	sql, err := l.op(op, args...)
	return val{sql: sql, typ: typ}, err
}

// strftimeLetters are the conversions that formatDate takes.
const strftimeLetters = "aAbBcdDfgGHIjmMpSuUVwWxXyYzZ%"

func (l *lowerer) formatDate(e plan.Call, a []val) (val, error) {
	t, err := l.time(a[0])
	if err != nil {
		return val{}, err
	}
	f := litText(a[1])
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			continue
		}
		if i++; i < len(f) && f[i] == '-' {
			i++
		}
		if i >= len(f) || strings.IndexByte(strftimeLetters, f[i]) < 0 {
			return val{}, errorAt(e.Pos, "expected a strftime format such as %Y-%m-%d", "unknown conversion in the format of formatDate")
		}
	}
	sql, err := l.op(opFormatDate, t.sql, f, zone(a))
	return val{sql: sql, typ: plan.Text}, err
}

// javaLetters maps a run of pattern letters of Java's SimpleDateFormat to a
// strptime conversion.
var javaLetters = map[string]string{
	"yyyy": "%Y", "uuuu": "%Y", "yy": "%y", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "d": "%-d", "dd": "%d", "D": "%-j", "DDD": "%j",
	"H": "%-H", "HH": "%H", "h": "%-I", "hh": "%I", "m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S", "S": "%g", "SSS": "%g", "SSSSSS": "%f",
	"a": "%p", "E": "%a", "EEE": "%a", "EEEE": "%A", "X": "%z", "XX": "%z", "XXX": "%z", "Z": "%z", "z": "%Z",
}

// strptime turns a Java date pattern into a strptime format.
func strptime(java string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(java); {
		c := java[i]
		switch {
		case c == '\'':
			end := strings.IndexByte(java[i+1:], '\'')
			if end < 0 {
				return "", fmt.Errorf("a quote does not end")
			}
			text := java[i+1 : i+1+end]
			if text == "" {
				text = "'"
			}
			b.WriteString(strings.ReplaceAll(text, "%", "%%"))
			i += end + 2
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			j := i
			for j < len(java) && java[j] == c {
				j++
			}
			conv, ok := javaLetters[java[i:j]]
			if !ok {
				return "", fmt.Errorf("unknown letters %q", java[i:j])
			}
			b.WriteString(conv)
			i = j
		case c == '%':
			b.WriteString("%%")
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), nil
}

func (l *lowerer) parseDate(e plan.Call, a []val) (val, error) {
	f, err := strptime(litText(a[1]))
	if err != nil {
		return val{}, errorAt(e.Pos, "expected a pattern such as yyyy-MM-dd'T'HH:mm:ss", "the pattern of parseDate: %v", err)
	}
	sql, err := l.op(opParseDate, l.text(a[0]).sql, f, zone(a))
	if err != nil {
		return val{}, err
	}
	return l.num(val{sql: sql, typ: plan.Time})
}

// zone is the third argument of a date function, UTC without one.
func zone(a []val) string {
	if len(a) > 2 {
		return litText(a[2])
	}
	return "UTC"
}

// litText is a constant argument's text; the compiler has checked that it is
// one.
func litText(v val) string {
	if v.lit == nil {
		return ""
	}
	return v.lit.Text
}
