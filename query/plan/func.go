package plan

import "sort"

// Func describes a scalar function or an aggregate.
type Func struct {
	Name     string // canonical spelling, for messages
	Min, Max int    // how many arguments; Max < 0 means any number
	// Result is the type of the value where it is the same for all arguments,
	// else Null.
	Result Type
}

// Funcs are the scalar functions by canonical name in lower case. bin,
// datefloor and dateceil are not here: they are [Floor].
var Funcs = funcs([]Func{
	// numbers
	{"abs", 1, 1, Float}, {"ceil", 1, 1, Float}, {"floor", 1, 1, Float}, {"greatest", 1, -1, Float}, {"least", 1, -1, Float},
	{"log", 1, 1, Float}, {"sqrt", 1, 1, Float}, {"round", 1, 2, Float}, {"haversine", 4, 4, Float},
	{"toNumber", 1, 1, Float}, {"toInt", 1, 1, Int}, {"toLong", 1, 1, Int}, {"toDouble", 1, 1, Float},
	// general
	{"isPresent", 1, 1, Bool}, {"coalesce", 1, -1, Null}, {"case", 2, 21, Null}, {"if", 3, 3, Null}, {"isNumeric", 1, 1, Bool},
	{"messageSize", 1, 1, Int},
	// text
	{"isEmpty", 1, 1, Int}, {"isBlank", 1, 1, Int}, {"concat", 1, -1, Text}, {"ltrim", 1, 2, Text}, {"rtrim", 1, 2, Text}, {"trim", 1, 2, Text},
	{"strlen", 1, 1, Int}, {"toupper", 1, 1, Text}, {"tolower", 1, 1, Text}, {"substr", 2, 3, Text}, {"replace", 3, 3, Text},
	{"strcontains", 2, 3, Int}, {"regexReplace", 3, 3, Text}, {"startsWith", 2, 2, Int}, {"endsWith", 2, 2, Int},
	{"urlencode", 1, 1, Text}, {"urldecode", 1, 1, Text}, {"base64encode", 1, 1, Text}, {"base64decode", 1, 1, Text}, {"split", 2, 2, List},
	{"hexToAscii", 1, 1, Text}, {"hexToDec", 1, 1, Int}, {"decToHex", 1, 1, Text},
	// hashes
	{"md5", 1, 1, Text}, {"sha256", 1, 1, Text},
	// dates
	{"fromMillis", 1, 1, Time}, {"toMillis", 1, 1, Int}, {"formatDate", 2, 3, Text}, {"parseDate", 2, 3, Int},
	// addresses
	{"isValidIp", 1, 1, Bool}, {"isValidIpV4", 1, 1, Bool}, {"isValidIpV6", 1, 1, Bool}, {"isIpInSubnet", 2, 2, Bool},
	{"isIpv4InSubnet", 2, 2, Bool}, {"isIpv6InSubnet", 2, 2, Bool}, {"ipv4ToNumber", 1, 1, Int}, {"isPrivateIP", 1, 1, Bool},
	{"isPublicIP", 1, 1, Bool}, {"isReservedIP", 1, 1, Bool},
	// JSON
	{"jsonParse", 1, 1, JSON}, {"jsonStringify", 1, 1, Text}, {"jsonArraySize", 1, 1, Int}, {"jsonArrayContains", 2, 2, Bool},
})

// Aggregates are the aggregate functions by canonical name in lower case.
var Aggregates = funcs([]Func{
	{"count", 0, 1, Int}, {"count_distinct", 1, 1, Int}, {"sum", 1, 1, Float}, {"avg", 1, 1, Float}, {"min", 1, 1, Null}, {"max", 1, 1, Null},
	{"stddev", 1, 1, Float}, {"variance", 1, 1, Float}, {"pct", 2, 2, Float}, {"median", 1, 1, Float},
	{"earliest", 1, 1, Null}, {"latest", 1, 1, Null}, {"sortsFirst", 1, 1, Null}, {"sortsLast", 1, 1, Null},
	{"values", 1, 1, List}, {"topk", 2, 2, List}, {"rate", 2, 2, Float}, {"histogram", 2, 2, JSON},
})

func funcs(list []Func) map[string]Func {
	m := make(map[string]Func, len(list))
	for _, f := range list {
		m[lower(f.Name)] = f
	}
	return m
}

// lower is for function names, which are ASCII.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Names returns the canonical spellings of the functions in m, sorted.
func Names(m map[string]Func) []string {
	out := make([]string, 0, len(m))
	for _, f := range m {
		out = append(out, f.Name)
	}
	sort.Strings(out)
	return out
}
