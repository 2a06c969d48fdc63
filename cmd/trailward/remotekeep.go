package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trailward"
	"trailward/api/client"
	"trailward/api/keep"
	"trailward/query"
	"trailward/query/lookup"
	"trailward/store"
)

// What a server does for who administers it. The server says no where a data
// directory would; the words are its own.

func (r *remote) Settings(ctx context.Context) ([]keep.Setting, error) {
	list, err := r.ask.Settings(ctx)
	return list, reach(err)
}

func (r *remote) SetRetention(ctx context.Context, group, retention string) (keep.Setting, error) {
	set, err := r.ask.SetRetention(ctx, group, retention)
	return set, reach(err)
}

func (r *remote) SetHold(ctx context.Context, group, reason string) (keep.Setting, error) {
	set, err := r.ask.SetHold(ctx, group, reason)
	return set, reach(err)
}

func (r *remote) ReleaseHold(ctx context.Context, group string) (keep.Setting, error) {
	set, err := r.ask.ReleaseHold(ctx, group)
	return set, reach(err)
}

func (r *remote) Expire(ctx context.Context) (keep.Expiry, error) {
	res, err := r.ask.Expire(ctx)
	return res, reach(err)
}

func (r *remote) Keys(ctx context.Context) ([]keep.KeyUse, error) {
	list, err := r.ask.Keys(ctx)
	return list, reach(err)
}

func (r *remote) RotateKeys(ctx context.Context, how keep.Rotation, progress func(keep.Progress)) (keep.Rotated, error) {
	res, err := r.ask.RotateKeys(ctx, how, progress)
	return res, reach(err)
}

// BackupTo makes a directory here of what the server sends.
func (r *remote) BackupTo(ctx context.Context, dir string, progress func(done, total int64)) (res keep.Backup, err error) {
	in, err := r.ask.Backup(ctx)
	if err != nil {
		return res, reach(err)
	}
	defer in.Close()
	got, err := store.ReceiveBackup(ctx, in, dir, func() error {
		res, err = in.Whole()
		return err
	}, progress)
	if err == nil && got != store.BackupResult(res) {
		return res, fmt.Errorf("receive backup to %s: it holds %d segments and %d bytes, the server sent %d and %d", dir, got.Segments, got.Bytes, res.Segments, res.Bytes)
	}
	return res, err
}

func (r *remote) Lookups(ctx context.Context) ([]keep.Lookup, error) {
	list, err := r.ask.Lookups(ctx)
	return list, reach(err)
}

func (r *remote) PutLookup(ctx context.Context, name string, csv []byte) (keep.Lookup, error) {
	if err := lookup.CheckName(name); err != nil {
		return keep.Lookup{}, err // it would be another path
	}
	info, err := r.ask.PutLookup(ctx, name, csv)
	return info, reach(err)
}

func (r *remote) RemoveLookup(ctx context.Context, name string) error {
	if err := lookup.CheckName(name); err != nil {
		return err
	}
	err := r.ask.RemoveLookup(ctx, name)
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == 404 {
		return fmt.Errorf("%s: %w", name, lookup.ErrNotFound)
	}
	return reach(err)
}

// Explain says what a question becomes at the server.
func (r *remote) Explain(ctx context.Context, q query.Request, engine string) (*query.Explanation, error) {
	x, err := r.ask.Explain(ctx, q.Language == query.SQL, question(q), engine)
	if err != nil {
		return nil, queryFault(err)
	}
	out := &query.Explanation{SQL: x.SQL, Prepares: x.Prepares, Notices: x.Notices}
	for _, p := range x.Parts {
		out.Parts = append(out.Parts, query.PartUse{ID: p.ID, Group: p.Group, Kind: trailward.Kind(p.Kind), Rows: p.Records, From: p.From, To: p.To, Opened: p.Opened, Why: p.Why})
	}
	return out, nil
}

// csvOf reads the CSV of a lookup table, within its limit.
func csvOf(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, lookup.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read CSV: %w", err)
	}
	if len(data) > lookup.MaxBytes {
		return nil, fmt.Errorf("read CSV: it has more than %d bytes, which is the limit", lookup.MaxBytes)
	}
	return data, nil
}
