// Package api is the HTTP server: it takes records in and hands answers out.
// It gets everything that it serves as small functions ([Deps]) and knows no
// store and no engine; cmd connects them.
//
// What a request goes through, in this order: a connection limit, time limits,
// a recover, the guard (who is it, may it talk to us at all; guard.go), the
// route's own right, and the handler, which asks [auth.Principal.May] about
// every group that it touches.
//
// The routes are one table (routes.go). openapi.yaml describes them, is served
// at /openapi.yaml, and a test holds the two against each other, both ways.
//
// What administers (retention, holds, keys, verification, backup: keeping.go) is
// behind one interface, [Keeper], whose words are the package api/keep. Work that
// takes long answers with lines (chore.go), of each kind one at a time.
//
// Two promises shape the code:
//
//   - An ingest request is answered with 2xx only after the ingest function
//     returned, and all limits are checked before it is called: a request is
//     stored whole or not at all.
//   - Nothing is cut silently. What is over a limit is refused with 413, 429 or
//     503 before any of it is stored; an answer that could not be finished ends
//     with the trailer Trailward-Error instead of Trailward-Stats.
package api
