package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"trailward"
)

// TailLine is what a live tail shows: a record, or how many may be missing.
type TailLine struct {
	Time    time.Time      `json:"time"` // of the event
	Arrival time.Time      `json:"arrival"`
	Group   string         `json:"group"`
	Stream  string         `json:"stream"`
	Kind    trailward.Kind `json:"kind"`
	Message string         `json:"message"`
	// Bytes are the record's exact bytes when Message, which is UTF-8, is not they.
	Bytes []byte `json:"raw"`
	// Skipped is how many records may be missing here. Such a line has no record.
	Skipped int64  `json:"skipped"`
	End     string `json:"end"` // not empty: why the server ended the tail
}

// errTailEnded means that the server went away without a word.
var errTailEnded = errors.New("the connection ended")

// Tail calls fn with every record that the server stores in the groups (a name,
// or a prefix with a * at its end; empty: all that the token may read) and that
// matches the filter pattern, until ctx ends, fn gives an error, or the server
// ends it. line is the line as the server wrote it, a JSON object; it is valid
// during fn. The error is never nil.
func (c *Client) Tail(ctx context.Context, group, pattern string, fn func(l *TailLine, line []byte) error) error {
	k := call{method: http.MethodGet, path: "/v1/tail", params: url.Values{}}
	if group != "" {
		k.params.Set("group", group)
	}
	if pattern != "" {
		k.params.Set("pattern", pattern)
	}
	resp, err := c.do(ctx, k)
	if err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	var line []byte
	for {
		if line, err = readLine(in, line[:0]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				err = errTailEnded
			}
			return fmt.Errorf("tail: %w", err)
		}
		if len(line) == 0 {
			continue // the server is there
		}
		var l TailLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("tail: read a line: %w", err)
		}
		if l.End != "" {
			return fmt.Errorf("tail: %s", l.End)
		}
		if err := fn(&l, line); err != nil {
			return err
		}
	}
}

// readLine appends the next line, without its line feed, to line.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxRow {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxRow)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte{'\n'}), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
