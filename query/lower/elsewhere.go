package lower

// elsewhere is what Trino and Spark have in common: engines that this program
// prints queries for and does not run.
type elsewhere struct{}

// With leaves it to the engine whether an expression is computed once.
func (elsewhere) With(name, sel string, _ bool) string { return name + " AS (" + sel + ")" }

// Join has no ASOF there.
func (elsewhere) Join(left, right, on string, outer, asOf bool) (string, bool) {
	return joined(left, right, on, outer, asOf), !asOf
}

// elsewhereOps are the templates on which these engines agree.
var elsewhereOps = map[Op]string{
	opTimeLit:       "TIMESTAMP $1",
	opUpper:         "upper($1)",
	opLower:         "lower($1)",
	opTrim:          "trim(BOTH $2 FROM $1)",
	opLtrim:         "trim(LEADING $2 FROM $1)",
	opRtrim:         "trim(TRAILING $2 FROM $1)",
	opReplace:       "replace($1, $2, coalesce($3, ''))",
	opURLEncode:     "url_encode($1)",
	opCountDistinct: "count(DISTINCT $1)",
	opStddev:        "stddev_pop($1)",
	opVariance:      "var_pop($1)",
	opArgMin:        "min_by($1, $2) FILTER (WHERE $1 IS NOT NULL)",
	opArgMax:        "max_by($1, $2) FILTER (WHERE $1 IS NOT NULL)",
}

// say spells a primitive by an engine's own templates, or by the common ones.
func (elsewhere) say(own map[Op]string, op Op, args []string) (string, bool) {
	switch op {
	case opCapture: // each group is extracted by itself
		return args[0], true
	case opSubstr:
		s := "substr(" + args[0] + ", (" + args[1] + ") + 1"
		if len(args) > 2 {
			s += ", " + args[2]
		}
		return s + ")", true
	}
	t, ok := own[op]
	if !ok {
		t, ok = elsewhereOps[op]
	}
	if !ok {
		return "", false
	}
	return expand(t, args), true
}

// jsonPath is a JSONPath of keys; key quotes one that is no place in an array.
func jsonPath(keys []string, key func(string) string) string {
	path := "$"
	for _, k := range keys {
		if n, ok := elementNumber(k); ok && n == k {
			path += "[" + k + "]"
		} else {
			path += key(k)
		}
	}
	return path
}
