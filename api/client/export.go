package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Export asks a question in Insights QL, or in SQL, and writes the answer to w as
// the server sends it, in the format with this media type. What was written is
// whole only if the error is nil.
func (c *Client) Export(ctx context.Context, sql bool, q Question, mediaType string, w io.Writer) (Stats, error) {
	path := "/v1/query"
	if sql {
		path = "/v1/sql"
	}
	var stats Stats
	resp, err := c.post(ctx, path, q, mediaType)
	if err != nil {
		return stats, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return stats, fmt.Errorf("read answer: %w", err)
	}
	if e := trailerError(resp.Trailer); e != nil {
		return stats, e
	}
	h := resp.Trailer.Get("Trailward-Stats")
	if h == "" {
		return stats, errCutShort
	}
	if err := json.Unmarshal([]byte(h), &stats); err != nil {
		return stats, fmt.Errorf("read the statistics of an answer: %w", err)
	}
	return stats, nil
}
