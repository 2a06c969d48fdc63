package athena

import (
	"strconv"
	"strings"

	"trailward/query/plan"
)

// kind is what is known, before running, of the values of an expression. It
// decides how things are compared, and what `.name` and `[n]` mean.
type kind uint8

const (
	kUnknown  kind = iota
	kNull          // the constant NULL
	kText          // VARCHAR
	kInt           // any integer
	kFloat         // DOUBLE, FLOAT
	kDecimal       // DECIMAL
	kBool          // BOOLEAN
	kTime          // TIMESTAMP, UTC; Athena's timestamps with a zone are this too
	kDate          // DATE
	kInterval      // INTERVAL
	kJSON          // VARCHAR: JSON text of an array or object, else the bare scalar
	kStrict        // DuckDB's JSON, Athena's json
	kList          // a list of elem
	kMap           // a map to elem
	kRow           // a struct
	kIP            // UHUGEINT: an address as a number, IPv4 as ::ffff:a.b.c.d
	kPtr           // a record pointer
	kBlob          // BLOB
	kMessage       // a record pointer that stands for the record
	kLater         // later text, see plan.Column
)

// typ is the static type of an expression.
type typ struct {
	kind kind
	elem *typ // of kList and kMap, may be nil
	// scale is how many digits a kDecimal has after the point.
	scale int
	// clock says that a kTime is what clocks in another zone show: AT TIME ZONE.
	// It must not be compared with a time that is UTC.
	clock bool
	// padded says that a kText is Trino's char(n): filled up with blanks, which do
	// not count in comparisons.
	padded bool
	// zoned says that Athena's type would be timestamp with time zone: its text
	// ends in the zone, which is UTC.
	zoned bool
	// keys gives the records' own spelling of the keys inside a kJSON, by
	// lower case: Athena's names are lower-case. A key that is not here is
	// taken as written.
	keys map[string]string
	// fields gives the types of a kRow's fields, by lower case; it may be nil.
	fields map[string]typ
	// members are a kRow's fields in their order, as far as they are known.
	members []member
	// nameless says that a kRow's fields have no names.
	nameless bool
}

// member is one field of a row; name is empty where it has none.
type member struct {
	name string
	typ  typ
}

func (t typ) element() typ {
	if t.elem == nil {
		return typ{}
	}
	return *t.elem
}

func listOf(t typ) typ { return typ{kind: kList, elem: &t} }

// textual says whether values are VARCHAR in DuckDB.
func (t typ) textual() bool { return t.kind == kText || t.kind == kJSON }

func (t typ) numeric() bool { return t.kind == kInt || t.kind == kFloat || t.kind == kDecimal }

// planType is the type as the rest of the program names it.
func (t typ) planType() plan.Type {
	switch t.kind {
	case kInt:
		return plan.Int
	case kFloat, kDecimal:
		return plan.Float
	case kBool:
		return plan.Bool
	case kTime:
		return plan.Time
	case kJSON, kStrict:
		return plan.JSON
	case kList:
		return plan.List
	case kPtr:
		return plan.Pointer
	case kMessage:
		return plan.Message
	case kLater:
		return plan.Later
	}
	return plan.Text
}

// castType gives the static type of a cast to a DuckDB type.
func castType(t node) typ {
	info := obj(t, "type_info")
	switch str(t, "id") {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT":
		return typ{kind: kInt}
	case "FLOAT", "DOUBLE":
		return typ{kind: kFloat}
	case "DECIMAL":
		scale, _ := strconv.Atoi(str(info, "scale"))
		return typ{kind: kDecimal, scale: scale}
	case "VARCHAR":
		return typ{kind: kText}
	case "BOOLEAN":
		return typ{kind: kBool}
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS":
		return typ{kind: kTime}
	case "TIMESTAMP WITH TIME ZONE":
		return typ{kind: kTime, zoned: true}
	case "DATE":
		return typ{kind: kDate}
	case "INTERVAL":
		return typ{kind: kInterval}
	case "BLOB":
		return typ{kind: kBlob}
	case "STRUCT":
		t := typ{kind: kRow, fields: map[string]typ{}}
		for _, c := range nodes(info, "child_types") {
			m := member{str(c, "first"), castType(obj(c, "second"))}
			t.fields[strings.ToLower(m.name)] = m.typ
			t.members = append(t.members, m)
		}
		return t
	case "LIST":
		return listOf(castType(obj(info, "child_type")))
	case "MAP":
		for _, c := range nodes(obj(obj(info, "child_type"), "type_info"), "child_types") {
			if str(c, "first") == "value" {
				e := castType(obj(c, "second"))
				return typ{kind: kMap, elem: &e}
			}
		}
		return typ{kind: kMap}
	case "UNBOUND":
		switch str(info, "name") {
		case "json", "JSON":
			return typ{kind: kStrict}
		}
	}
	return typ{}
}
