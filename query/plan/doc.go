// Package plan is the one tree that every query language lowers to, and the
// contract between a plan, the scan below it and the engine that runs it.
package plan
