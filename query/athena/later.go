package athena

import (
	"slices"
	"strings"

	"trailward/query/plan"
)

// What costs much to compute, and is only shown, is put into the rows when these
// are chosen: records, and objects that are cut out of them. The statement shows a
// record's pointer, or the later text of the object, in its place.

// maxLater is how many rows a query shows at most for that to be done. Of more, as
// of all of a table, the records are put together as the table is read.
const maxLater = 10000

// laterPrefix begins the names of columns of later text. No name of a user's
// begins so.
const laterPrefix = "@later."

// showLater replaces columns in the select list of the outermost query.
func (r *rewriter) showLater(n node, s *scope, cols []outCol) {
	if str(n, "type") != "SELECT_NODE" || s == nil || r.gathering > 0 || n["having"] != nil || n["qualify"] != nil || n["sample"] != nil ||
		len(list(n, "group_expressions")) > 0 || !showsFew(n) {
		return
	}
	items := nodes(n, "select_list")
	sorted := map[string]bool{} // items that the order refers to
	for _, m := range nodes(n, "modifiers") {
		switch str(m, "type") {
		case "ORDER_MODIFIER":
			for _, o := range nodes(m, "orders") {
				e := obj(o, "expression")
				if i, ok := constInt(e); ok && i >= 1 && i <= int64(len(items)) {
					sorted[strings.ToLower(str(items[i-1], "alias"))] = true
				}
				if names := strs(e, "column_names"); len(names) == 1 {
					sorted[strings.ToLower(names[0])] = true
				}
			}
		case "LIMIT_MODIFIER":
		default:
			return
		}
	}
	p := pruner{s: s}
	touched := map[*relation][]string{}
	for i, item := range items {
		if sorted[strings.ToLower(str(item, "alias"))] {
			continue
		}
		for _, rel := range s.rels {
			if rel.scan == nil {
				continue
			}
			c, ok := p.column(item, rel)
			if !ok || c.calc != nil {
				continue
			}
			var shown *column
			if r.types == nil && c.sys == "" && c.typ.kind == kJSON {
				item[onlyShown] = true // the tree of the first pass is not printed
			}
			switch later := rel.scan.later[c.ref().Key()]; {
			case c.sys == "@message":
				shown = systemColumn("@ptr")
				cols[i].typ = typ{kind: kMessage}
			case c.sys == "" && c.typ.kind == kJSON && later != "":
				shown = &column{name: laterPrefix + c.name, typ: typ{kind: kLater}, path: c.path, later: later}
				cols[i].typ = shown.typ
			default:
				continue
			}
			rel.scan.used[shown.name] = shown
			touched[rel] = append(touched[rel], c.name)
			item["column_names"] = []any{rel.alias, shown.name}
		}
	}
	if len(touched) == 0 {
		return
	}
	refs := map[string]node{}
	gatherColumns(n, refs)
	for rel, names := range touched {
		for _, name := range names {
			c := rel.scan.used[name]
			// In the first pass the field of an object must be asked for.
			if c != nil && refs[rel.alias+"\x00"+name] == nil && (r.types != nil || c.sys != "") {
				delete(rel.scan.used, name)
			}
		}
	}
}

// onlyShown marks columns that may have later text in their place.
const onlyShown = "only shown"

// lookedAt are the fields, by FieldRef.Key, of columns that stand elsewhere than
// where later text may take their place.
func (r *rewriter) lookedAt(root node) map[string]bool {
	out := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case node:
			if names := strs(v, "column_names"); str(v, "class") == "COLUMN_REF" {
				for _, s := range r.scans {
					if len(names) == 2 && s.alias == names[0] && s.used[names[1]] != nil && v[onlyShown] == nil {
						out[s.used[names[1]].ref().Key()] = true
					}
				}
				return
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(root)
	return out
}

// showsFew says whether a query shows at most maxLater rows.
func showsFew(n node) bool {
	return slices.ContainsFunc(nodes(n, "modifiers"), func(m node) bool {
		i, ok := constInt(obj(m, "limit"))
		return str(m, "type") == "LIMIT_MODIFIER" && ok && i <= maxLater
	})
}

// laterOf are the columns of later text of a relation, by field.
func laterOf(rel plan.Relation) map[string]string {
	out := map[string]string{}
	for k, c := range rel.Columns {
		if c.Later != "" {
			out[k] = c.Later
		}
	}
	return out
}
