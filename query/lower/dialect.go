package lower

import "trailward/query/plan"

// Dialect spells SQL for one engine. It decides how things are said, not what
// they mean. All SQL arguments are complete operands.
type Dialect interface {
	// Name is the engine's name, for messages.
	Name() string
	// Ident quotes an identifier.
	Ident(name string) string
	// Text writes a text literal, of any content.
	Text(s string) string
	// Type is the name of the type that values of a logical type have.
	Type(t plan.Type) string
	// With writes one common table expression, to be expanded where it is
	// used, or to be computed once when it is shared.
	With(name, sel string, shared bool) string
	// Table selects rows of n columns of text out of a JSON array of arrays of
	// strings and nulls.
	Table(json string, names []string) string
	// Join joins two relations, whose columns have different names. With asOf,
	// on compares a column of the left with one of the right by >=, and only the
	// row with the highest of these counts.
	Join(left, right, on string, outer, asOf bool) (sql string, ok bool)
	// Unnest selects everything of a relation, and a row for each element of
	// the lists, side by side. No element gives no row.
	Unnest(from string, lists, names []string) string
	// Op spells a primitive; ok is false when the engine has nothing for it.
	Op(op Op, args []string) (sql string, ok bool)
}

// Op is a primitive of a [Dialect]. Each takes null to null unless it says
// otherwise, and raises no error for any argument of the right type. Arguments
// are SQL, save those called raw, which the dialect quotes itself. Only
// arguments called atoms may be written more than once: others can be long,
// and doubled at every level they would grow without bound.
type Op string

// The primitives.
const (
	opNumber        Op = "number"           // text → float, null if it is no number; may be infinite
	opFinite        Op = "finite"           // float x, text → x if it is finite and the text is no 1_000; x and text are atoms
	opFiniteFloat   Op = "finite float"     // float x → x if it is finite; x is an atom
	opExactInt      Op = "exact_int"        // text → int, if it is the digits of one that a float may not hold; else null
	opSumInt        Op = "sum_int"          // the sum of integers, exact, as an integer of any width
	opInt           Op = "int"              // float → int, cutting the fraction off, null if it does not fit
	opFloatText     Op = "float text"       // float → text in shortest form
	opIntText       Op = "int text"         // int → text
	opTimeText      Op = "time text"        // time → 2006-01-02 15:04:05.000
	opMillis        Op = "millis"           // time → int epoch ms
	opFromMillis    Op = "from millis"      // float epoch ms → time, null if out of range
	opTimeLit       Op = "time literal"     // a constant 2006-01-02 15:04:05.000000 → time
	opFloorFixed    Op = "floor"            // time, constant ms, constant origin ms → time
	opFloorMonths   Op = "floor months"     // time, constant months → time
	opAddMillis     Op = "add ms"           // time, constant ms → time
	opAddMonths     Op = "add months"       // time, constant months → time
	opContains      Op = "contains"         // text, text → bool
	opStarts        Op = "starts with"      // text, text → bool
	opEnds          Op = "ends with"        // text, text → bool
	opMatch         Op = "regex match"      // text, constant regex → bool
	opGlob          Op = "glob capture"     // text, raw glob, star from 1 → text, null without a match
	opCapture       Op = "regex capture"    // text, raw regex → its groups as one value
	opCaptured      Op = "regex group"      // groups (an atom), group number, text (an atom), raw regex → text, null without a match
	opMatchesOrNull Op = "regex matches"    // text (an atom), constant regex, group number → list of the group in every match, one null without a match
	opRegexReplace  Op = "regex replace"    // text, constant regex, constant replacement → text, every match replaced
	opConcat        Op = "concat"           // texts → text, null taken as empty
	opLength        Op = "length"           // text → int code points
	opBytes         Op = "bytes"            // text → int bytes
	opUpper         Op = "upper"            // text → text
	opLower         Op = "lower"            // text → text
	opTrim          Op = "trim"             // text, text of characters to drop at both ends
	opLtrim         Op = "ltrim"            // the same at the left
	opRtrim         Op = "rtrim"            // the same at the right
	opSubstr        Op = "substr"           // text, int start from 0, int length or none, both at most 2^31
	opReplace       Op = "replace"          // text, text, text
	opURLEncode     Op = "urlencode"        // text → text
	opURLDecode     Op = "urldecode"        // text → text
	opBase64Encode  Op = "base64encode"     // text → text
	opBase64Decode  Op = "base64decode"     // text → text, null if it is not Base64 of UTF-8
	opSplit         Op = "split"            // text, text → list
	opHexText       Op = "hex to text"      // text → text
	opHexInt        Op = "hex to int"       // text → int
	opIntHex        Op = "int to hex"       // int → text
	opMD5           Op = "md5"              // text → text
	opSHA256        Op = "sha256"           // text → text
	opFormatDate    Op = "format date"      // time, raw strftime format, raw zone → text
	opParseDate     Op = "parse date"       // text, raw strptime format, raw zone → time
	opGreatest      Op = "greatest"         // floats → float, nulls left out
	opLeast         Op = "least"            // floats → float, nulls left out
	opLn            Op = "ln"               // float → float, null outside the domain
	opSqrt          Op = "sqrt"             // float → float, null outside the domain
	opRound         Op = "round"            // float, int digits → float
	opCeil          Op = "ceil"             // float → float
	opFloor         Op = "floor number"     // float → float
	opPow           Op = "pow"              // float, float → float
	opMod           Op = "mod"              // float, float not 0 → float
	opHaversine     Op = "haversine"        // four floats (atoms) in degrees → float km
	opJSONDoc       Op = "json document"    // text (an atom) → itself if it is a JSON object or array
	opJSONPath      Op = "json path"        // JSON document, raw keys… → text
	opJSONGuard     Op = "json guard"       // text (an atom), SQL → SQL if the text is valid JSON
	opJSONList      Op = "json list"        // text (an atom) → list: a JSON array's elements, else the one value, null none
	opJSONSize      Op = "json array size"  // text (an atom) → int
	opJSONHas       Op = "json array has"   // text (an atom), text → bool
	opListText      Op = "list text"        // list → JSON text
	opListItem      Op = "list element"     // list, number from 0 → text
	opListLit       Op = "list of one"      // text (an atom) → list, null for null
	opLogfmt        Op = "logfmt"           // text (an atom) → JSON document
	opCSV           Op = "csv"              // text (an atom), constant number from 1 → text
	opIPv4          Op = "ipv4"             // text (an atom) → int, null if it is no IPv4 address
	opIPv6          Op = "ipv6"             // text (an atom) → 32 hex digits, null if it is no IPv6 address
	opSortKey       Op = "sort key"         // text → text that sorts by code point in the whole natural order, null as null
	opMask          Op = "mask"             // text → its mask, see package pattern
	opAddressKey    Op = "address key"      // text → text that sorts by code point as IP addresses do, null if it is none
	opLastValue     Op = "last value"       // any: the function before OVER, nulls left out
	opBins          Op = "series of times"  // from, to (times), constant ms or months → list of times
	opFail          Op = "fail"             // condition, raw message, any → the value, or the statement fails if the condition is true
	opHistogram     Op = "histogram"        // aggregate: float (an atom), constant number of buckets → JSON text
	opNatural       Op = "natural order"    // text (an atom) → text that sorts by code point as the text does naturally
	opCountDistinct Op = "count distinct"   // aggregate: any
	opStddev        Op = "stddev"           // aggregate: float, of a population
	opVariance      Op = "variance"         // aggregate: float, of a population
	opQuantile      Op = "quantile"         // aggregate: float, constant fraction
	opArgMin        Op = "value at lowest"  // aggregate: any (an atom), by any; nulls left out
	opArgMax        Op = "value at highest" // aggregate: any (an atom), by any; nulls left out
	opFirst         Op = "first"            // aggregate: any (an atom), ORDER BY terms; nulls left out
	opValues        Op = "distinct values"  // aggregate: text (an atom) → list of different values, in order
	opTopK          Op = "top k"            // aggregate: text (an atom), constant k → list of the most frequent values
)

// op spells a primitive or says that the engine has none.
func (l *lowerer) op(op Op, args ...string) (string, error) {
	if sql, ok := l.d.Op(op, args); ok {
		return sql, nil
	}
	return "", errorf(nil, "", "%s cannot be said in %s's SQL", op, l.d.Name())
}

// StartsWith is the condition that a text begins with another, in a dialect.
func StartsWith(d Dialect, text, prefix string) (sql string, ok bool) {
	return d.Op(opStarts, []string{text, prefix})
}
