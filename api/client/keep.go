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
	"strconv"

	"trailward/api/keep"
)

// The calls of administration. They need a token with the role admin, but for
// Settings, Prove, Checkpoint and Lookups.

// keepJSON sends a call whose body and answer are JSON.
func (c *Client) keepJSON(ctx context.Context, method, path string, params url.Values, in, out any) error {
	k := call{method: method, path: path, params: params}
	if in != nil {
		var err error
		if k.body, err = json.Marshal(in); err != nil {
			return err
		}
		k.header = http.Header{"Content-Type": {"application/json"}}
	}
	return c.getJSON(ctx, k, out)
}

func ofGroup(group string) url.Values { return url.Values{"group": {group}} }

// Settings lists what holds for the groups, by name.
func (c *Client) Settings(ctx context.Context) ([]keep.Setting, error) {
	var out struct {
		Groups []keep.Setting `json:"groups"`
	}
	err := c.keepJSON(ctx, http.MethodGet, "/v1/retention", nil, nil, &out)
	return out.Groups, err
}

// Holds lists the groups under hold, with the reasons.
func (c *Client) Holds(ctx context.Context) ([]keep.Setting, error) {
	var out struct {
		Groups []keep.Setting `json:"groups"`
	}
	err := c.keepJSON(ctx, http.MethodGet, "/v1/holds", nil, nil, &out)
	return out.Groups, err
}

// SetRetention sets how long a group's records are kept, in the form of
// [keep.Setting]; "default" takes back what was set.
func (c *Client) SetRetention(ctx context.Context, group, retention string) (out keep.Setting, err error) {
	err = c.keepJSON(ctx, http.MethodPut, "/v1/retention", ofGroup(group), map[string]string{"retention": retention}, &out)
	return out, err
}

// SetHold puts a group under legal hold.
func (c *Client) SetHold(ctx context.Context, group, reason string) (out keep.Setting, err error) {
	err = c.keepJSON(ctx, http.MethodPut, "/v1/holds", ofGroup(group), map[string]string{"reason": reason}, &out)
	return out, err
}

// ReleaseHold releases a group's legal hold.
func (c *Client) ReleaseHold(ctx context.Context, group string) (out keep.Setting, err error) {
	err = c.keepJSON(ctx, http.MethodDelete, "/v1/holds", ofGroup(group), nil, &out)
	return out, err
}

// Expire deletes what is past its retention.
func (c *Client) Expire(ctx context.Context) (out keep.Expiry, err error) {
	err = c.keepJSON(ctx, http.MethodPost, "/v1/retention/expire", nil, nil, &out)
	return out, err
}

// Keys lists the key-encryption keys and what needs each.
func (c *Client) Keys(ctx context.Context) ([]keep.KeyUse, error) {
	var out struct {
		Keys []keep.KeyUse `json:"keys"`
	}
	err := c.keepJSON(ctx, http.MethodGet, "/v1/keys", nil, nil, &out)
	return out.Keys, err
}

// RotateKeys has the server make a new key and write everything again under it.
func (c *Client) RotateKeys(ctx context.Context, r keep.Rotation, progress func(keep.Progress)) (out keep.Rotated, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return out, err
	}
	whole := false
	err = c.lines(ctx, call{method: http.MethodPost, path: "/v1/keys/rotate", body: body, header: http.Header{"Content-Type": {"application/json"}}, once: true}, func(l *keep.Line) {
		if l.Progress != nil {
			progress(*l.Progress)
		}
		if l.Rotated != nil {
			out, whole = *l.Rotated, true
		}
	})
	if err == nil && !whole {
		err = errCutShort
	}
	return out, err
}

// Verify has the server read everything again. fn is called with each line of
// the answer but an error; the error is nil only if one had the report.
func (c *Client) Verify(ctx context.Context, fn func(l *keep.Line)) error {
	whole := false
	err := c.lines(ctx, call{method: http.MethodPost, path: "/v1/verify", once: true}, func(l *keep.Line) {
		whole = whole || l.Report != nil
		fn(l)
	})
	if err == nil && !whole {
		err = errCutShort
	}
	return err
}

// lines reads an answer of [keep.Line]s.
func (c *Client) lines(ctx context.Context, k call, fn func(l *keep.Line)) error {
	resp, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	var line []byte
	for {
		line, err = readLine(in, line[:0])
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("read the answer of %s: %w", k.path, err))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var l keep.Line
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("read the answer of %s: %w", k.path, err)
		}
		if l.Error != nil {
			return &Error{Message: l.Error.Message, Hint: l.Error.Hint, after: -1}
		}
		fn(&l)
	}
}

// Prove gives the proof of a record by its @ptr, as JSON.
func (c *Client) Prove(ctx context.Context, pointer string) (proof json.RawMessage, err error) {
	resp, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/proof", params: url.Values{"record": {pointer}}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// A proof holds its record.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProof+1))
	if err != nil {
		return nil, fmt.Errorf("read proof: %w", err)
	}
	if len(data) > maxProof || !json.Valid(data) {
		return nil, fmt.Errorf("read proof: %d bytes that are none", len(data))
	}
	return data, nil
}

// maxProof is the most that a proof may have, in bytes.
const maxProof = 192 << 20

// Checkpoint gives the newest signed checkpoint, and the proof that it continues
// the one of size entries and the base64 root unless size is 0.
func (c *Client) Checkpoint(ctx context.Context, size uint64, root string) (out keep.Checkpoint, err error) {
	params := url.Values{}
	if size > 0 {
		params = url.Values{"size": {strconv.FormatUint(size, 10)}, "root": {root}}
	}
	err = c.keepJSON(ctx, http.MethodGet, "/v1/checkpoint", params, nil, &out)
	return out, err
}

// BackupStream is a backup on its way.
type BackupStream struct {
	io.ReadCloser // a tar archive
	resp          *http.Response
}

// Whole says, when all was read, what the backup holds; an error means that it
// was cut short.
func (b *BackupStream) Whole() (out keep.Backup, err error) {
	if e := trailerError(b.resp.Trailer); e != nil {
		return out, e
	}
	v := b.resp.Trailer.Get("Trailward-Backup")
	if v == "" {
		return out, errCutShort
	}
	if err := json.Unmarshal([]byte(v), &out); err != nil {
		return out, fmt.Errorf("read what the backup holds: %w", err)
	}
	return out, nil
}

// Backup begins a backup. The caller closes it.
func (c *Client) Backup(ctx context.Context) (*BackupStream, error) {
	resp, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/backup", once: true})
	if err != nil {
		return nil, err
	}
	return &BackupStream{ReadCloser: resp.Body, resp: resp}, nil
}

// Lookups lists the lookup tables.
func (c *Client) Lookups(ctx context.Context) ([]keep.Lookup, error) {
	var out struct {
		Tables []keep.Lookup `json:"tables"`
	}
	err := c.keepJSON(ctx, http.MethodGet, "/v1/lookups", nil, nil, &out)
	return out.Tables, err
}

// PutLookup makes a lookup table of CSV, or replaces it.
func (c *Client) PutLookup(ctx context.Context, name string, csv []byte) (out keep.Lookup, err error) {
	k := call{method: http.MethodPut, path: "/v1/lookups/" + name, body: csv, header: http.Header{"Content-Type": {"text/csv"}}}
	err = c.getJSON(ctx, k, &out)
	return out, err
}

// RemoveLookup removes a lookup table.
func (c *Client) RemoveLookup(ctx context.Context, name string) error {
	return c.keepJSON(ctx, http.MethodDelete, "/v1/lookups/"+name, nil, nil, &struct{}{})
}

// Explain says what a question becomes in the SQL of an engine: duckdb, trino or
// spark.
func (c *Client) Explain(ctx context.Context, sql bool, q Question, engine string) (out keep.Explanation, err error) {
	in := struct {
		Question
		Language string `json:"language"`
	}{q, "insights"}
	if sql {
		in.Language = "sql"
	}
	err = c.keepJSON(ctx, http.MethodPost, "/v1/explain", url.Values{"engine": {engine}}, in, &out)
	return out, err
}
