// Package athena turns SQL in Athena's dialect (Trino's) into SQL that DuckDB
// may be given: checked, over known tables and functions only.
//
// It gets the user's text and two functions of DuckDB's own parser, from text
// to syntax tree and back (json_serialize_sql, json_deserialize_sql); it does
// not import the driver. [Prepare] finds the tables that the text names and
// the fields that it needs of each; [Query.SQL] is handed a scan for each of
// them and gives the final text.
//
// All work is done on DuckDB's tree, never on text, but for one lexer pass
// before it (backticks, placeholders) and the scans in front of it. The steps:
//
//	text ─ lex ─► DuckDB's parser ─ guard ─► resolve names, translate functions ─► DuckDB's printer ─ guard ─► text
//
// Invariants:
//
//   - Default deny. A node, member, type, function or table that is not listed
//     here is refused by name. The guard judges the user's tree, and once more
//     the tree of the text that will run.
//   - A reference to a table's column becomes one flat quoted column of its
//     scan, however deep it is nested in the record.
//   - Results do not depend on the session's time zone being anything but UTC:
//     the engine must SET TimeZone='UTC'. Every timestamp is UTC.
//   - The package keeps no state but a cache of its own templates' trees.
//
// DESIGN.md beside this file says what was decided and why, and which published
// queries do not run.
package athena
