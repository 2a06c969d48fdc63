package duck

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// MemoryError says that a query needed more than its share of the memory.
type MemoryError struct{ Limit int64 } // bytes

func (e *MemoryError) Error() string {
	return fmt.Sprintf("query needs more memory than its limit of %d MiB: narrow the time range, select fewer columns or group by fewer values", e.Limit>>20)
}

// TooManyFilesError says that a query would read more files than one session
// can hold.
type TooManyFilesError struct{ Files, Max int }

func (e *TooManyFilesError) Error() string {
	return fmt.Sprintf("query reads records of %d different forms, the limit is %d: narrow the time range or the log groups", e.Files, e.Max)
}

// Error is what DuckDB said about a statement or its values, without paths and
// addresses, on one line.
type Error struct {
	Msg string
	// Internal is set when the fault is DuckDB's or ours and not the query's.
	Internal bool
}

func (e *Error) Error() string {
	if e.Internal {
		return "query engine failed: " + e.Msg
	}
	return e.Msg
}

// errInterrupted is what DuckDB says when it stopped early: because it was told
// to, or because another thread of the query failed.
var errInterrupted = &Error{Msg: "query was interrupted"}

// fault turns what DuckDB said into one of the errors above; when the context
// has ended, that is the reason. odd says that the instance must not be used
// again.
func fault(ctx context.Context, typ duckdb.ErrorType, msg string, limit int64) (err error, odd bool) {
	err, odd = classify(typ, msg, limit)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err, odd
}

func classify(typ duckdb.ErrorType, msg string, limit int64) (err error, odd bool) {
	switch typ {
	case duckdb.ErrorTypeOutOfMemory:
		return &MemoryError{Limit: limit}, true
	case duckdb.ErrorTypeInterrupt:
		return errInterrupted, false
	case duckdb.ErrorTypeFatal, duckdb.ErrorTypeInternal, duckdb.ErrorTypeNullPointer:
		return &Error{Msg: clean(msg), Internal: true}, true
	}
	switch { // some calls give the message only
	case strings.HasPrefix(msg, "Out of Memory Error"), strings.Contains(msg, "std::bad_alloc"):
		return &MemoryError{Limit: limit}, true
	case strings.HasPrefix(msg, "INTERNAL Error"), strings.HasPrefix(msg, "FATAL Error"), strings.Contains(msg, "database has been invalidated"):
		return &Error{Msg: clean(msg), Internal: true}, true
	case strings.HasPrefix(msg, "INTERRUPT Error"):
		return errInterrupted, false
	case strings.HasPrefix(msg, "IO Error"):
		// The segments come from memory that we filled: this is never the query.
		return &Error{Msg: clean(msg), Internal: true}, false
	}
	return &Error{Msg: clean(msg)}, false
}

var (
	reSlot    = regexp.MustCompile(`["']?/proc/(self|\d+)/fd/[^"'\s]*["']?`)
	reAddress = regexp.MustCompile(`0x[0-9a-fA-F]{6,}`)
	reKind    = regexp.MustCompile(`^([A-Z][A-Za-z]*( [A-Za-z]+){0,3}) Error: `)
	reOurName = regexp.MustCompile(`\btrailward_message\([^)]*\)`)
)

// maxMessage bounds the text of an error: DuckDB repeats the value that it
// could not convert, which may be a whole record.
const maxMessage = 500

// clean makes one line of DuckDB's message: the first paragraph, without its
// advice about DuckDB's own settings, without our paths and without addresses.
func clean(msg string) string {
	msg = reKind.ReplaceAllString(strings.TrimSpace(msg), "")
	var lines []string
	for line := range strings.SplitSeq(msg, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "Stack Trace") || strings.HasPrefix(line, "Candidate") || strings.HasPrefix(line, "LINE ") ||
			strings.HasPrefix(line, "Possible solutions") || strings.HasPrefix(line, "If you are trying") {
			break
		}
		lines = append(lines, line)
	}
	msg = strings.Join(lines, " ")
	msg = reSlot.ReplaceAllString(msg, "a segment")
	msg = reAddress.ReplaceAllString(msg, "…")
	msg = reOurName.ReplaceAllString(msg, "@message")
	msg = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(msg, "\uFFFD"))
	if len(msg) > maxMessage {
		cut := maxMessage
		for !utf8.RuneStart(msg[cut]) {
			cut--
		}
		msg = msg[:cut] + "…"
	}
	if r, n := utf8.DecodeRuneInString(msg); n > 0 && n < len(msg) && unicode.IsUpper(r) {
		if next, _ := utf8.DecodeRuneInString(msg[n:]); !unicode.IsUpper(next) { // keep acronyms
			msg = string(unicode.ToLower(r)) + msg[n:]
		}
	}
	if msg == "" {
		return "unknown fault"
	}
	return msg
}
