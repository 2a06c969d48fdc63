// Package lower prints a plan as SQL. It gets a [plan.Query] and the relation
// below it, and gives one SELECT statement and what its columns are.
//
// The meaning of the plan (what equals what, what is null, how text that looks
// like a number behaves) is decided here once, out of the primitives that a
// [Dialect] spells for its engine.
//
// No text of a query is pasted: identifiers are made here (f1, c2, h3, o4) or
// come from the scan and are quoted; literals pass Dialect.Text; numbers are
// printed from their values. Statements are a chain of common table
// expressions, one for each step, so that they stay flat however long the
// query is.
//
// No expression raises an error for the content of a record: what cannot be
// computed is null.
package lower
