package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"trailward/api"
	"trailward/api/keep"
	"trailward/query"
	"trailward/store"
	"trailward/store/ledger"
	"trailward/store/seal"
	"trailward/store/verifier"
)

// keeper is a place that can be administered: a data directory or a server.
type keeper interface {
	Settings(ctx context.Context) ([]keep.Setting, error)
	SetRetention(ctx context.Context, group, retention string) (keep.Setting, error)
	SetHold(ctx context.Context, group, reason string) (keep.Setting, error)
	ReleaseHold(ctx context.Context, group string) (keep.Setting, error)
	Expire(ctx context.Context) (keep.Expiry, error)
	Keys(ctx context.Context) ([]keep.KeyUse, error)
	RotateKeys(ctx context.Context, r keep.Rotation, progress func(keep.Progress)) (keep.Rotated, error)
	// BackupTo makes a new directory here that holds the whole store but its key.
	BackupTo(ctx context.Context, dir string, progress func(done, total int64)) (keep.Backup, error)
	tables
}

var (
	_ keeper     = (*local)(nil)
	_ keeper     = (*remote)(nil)
	_ api.Keeper = (*local)(nil)
)

// keep opens the place that the flags name for a command that administers it.
func (a *app) keep(f *placeFlags, fn func(keeper) error) error {
	return a.with(f, func(b backend) error {
		k, ok := b.(keeper)
		if !ok {
			return errors.New("this place cannot be administered")
		}
		return fn(k)
	})
}

// beside are the files and folders of a data directory that are not the store's
// but belong to a backup of it: without the tokens nobody could send to the
// restored server, and what lookup tables hold is nowhere else.
var beside = []string{tokenFile, "lookup"}

// Settings lists what holds for every group.
func (l *local) Settings(context.Context) ([]keep.Setting, error) {
	list := l.store.GroupSettings()
	out := make([]keep.Setting, len(list))
	for i, g := range list {
		out[i] = settingOf(g)
	}
	return out, nil
}

// settingOf is what holds for a group, as people see it.
func settingOf(g store.GroupSetting) keep.Setting {
	s := keep.Setting{Group: g.Group, Retention: formatRetention(g.Retention), Default: g.Default}
	if g.Hold != nil {
		s.Hold = &keep.Hold{Reason: g.Hold.Reason, Since: time.Unix(0, g.Hold.Since).UTC()}
	}
	return s
}

// change makes a change of a group's settings and returns what holds then.
func (l *local) change(group string, change func() error) (keep.Setting, error) {
	if err := store.CheckName("group", group); err != nil {
		return keep.Setting{}, &api.UserError{Message: err.Error()}
	}
	if err := change(); err != nil {
		return keep.Setting{}, keepError(err)
	}
	return settingOf(l.store.GroupSetting(group)), nil
}

// keepError is apiError for commands, which show the error itself: only what the
// HTTP server answers with a status of its own is marked.
func keepError(err error) error {
	if errors.Is(err, store.ErrNoHold) {
		return &api.UserError{Message: err.Error(), Conflict: true}
	}
	return apiError(err)
}

func (l *local) SetRetention(ctx context.Context, group, retention string) (keep.Setting, error) {
	d, err := parseRetention(retention)
	if err != nil {
		return keep.Setting{}, &api.UserError{Message: err.Error()}
	}
	return l.change(group, func() error { return l.store.SetRetention(group, d) })
}

func (l *local) SetHold(ctx context.Context, group, reason string) (keep.Setting, error) {
	switch {
	case strings.TrimSpace(reason) == "":
		return keep.Setting{}, &api.UserError{Message: "a hold needs a reason", Hint: "say why, for whoever has to decide on its release"}
	case len(reason) > store.MaxReason || !utf8.ValidString(reason):
		return keep.Setting{}, &api.UserError{Message: fmt.Sprintf("the reason must be at most %d bytes of UTF-8", store.MaxReason)}
	}
	return l.change(group, func() error { return l.store.SetHold(group, reason) })
}

func (l *local) ReleaseHold(ctx context.Context, group string) (keep.Setting, error) {
	return l.change(group, func() error { return l.store.ReleaseHold(group) })
}

func (l *local) Expire(context.Context) (keep.Expiry, error) {
	res, err := l.store.Expire()
	if err != nil {
		return keep.Expiry{}, keepError(err)
	}
	return keep.Expiry{Segments: res.Segments, Records: res.Records, Clock: res.Now}, nil
}

// Keys lists the keys: the one in use, those that are needed, and the others that
// are there.
func (l *local) Keys(ctx context.Context) ([]keep.KeyUse, error) {
	uses, err := l.store.KeyUses(ctx)
	if err != nil {
		return nil, err
	}
	var list []keep.KeyUse
	of := func(id string) *keep.KeyUse {
		for i := range list {
			if list[i].ID == id {
				return &list[i]
			}
		}
		list = append(list, keep.KeyUse{ID: id})
		return &list[len(list)-1]
	}
	for _, u := range uses {
		list = append(list, keep.KeyUse{ID: u.ID, Current: u.Current, Segments: u.Segments, WALFiles: u.WAL, StoreKey: u.Store})
	}
	t, err := l.lookups()
	if err != nil {
		return nil, err
	}
	tables, err := t.KeyUses()
	if err != nil {
		return nil, err
	}
	for id, n := range tables {
		of(id).Lookups = n
	}
	for _, id := range l.provider().IDs() {
		of(id).Available = true
	}
	return list, nil
}

// provider gives the keys in use.
func (l *local) provider() *seal.Keys {
	l.keysMutex.Lock()
	defer l.keysMutex.Unlock()
	return l.keys
}

// RotateKeys makes a new key, unless it is to go on with what was interrupted, and
// writes everything again under it.
func (l *local) RotateKeys(ctx context.Context, r keep.Rotation, progress func(keep.Progress)) (out keep.Rotated, err error) {
	fromEnvironment := os.Getenv(seal.EnvironmentVariable) != ""
	if !r.Resume && fromEnvironment {
		return out, &api.UserError{Message: "the keys are in $" + seal.EnvironmentVariable + ", which this program cannot change",
			Hint: "put a new one first there (a server must be started again), then run `trailward keys rotate --resume`", Conflict: true}
	}
	t, err := l.lookups()
	if err != nil {
		return out, err
	}
	var keys *seal.Keys
	if r.Resume {
		// A key that was put into the file meanwhile counts.
		keys, err = openKeys(l.loc, false, slog.New(slog.DiscardHandler))
	} else {
		keys, err = seal.RotateKeyFile(l.loc.keyPath())
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return out, &api.UserError{Message: err.Error(),
				Hint: "the folder of the key file cannot be written: put a new key first in the file by other means, start the server again, then run `trailward keys rotate --resume`", Conflict: true}
		}
	}
	if err != nil {
		return out, err
	}
	if err := l.store.UseKeys(ctx, keys); err != nil {
		return out, keepError(err)
	}
	l.keysMutex.Lock()
	l.keys = keys
	l.keysMutex.Unlock()
	t.Use(keys)
	if !r.NoRewrap {
		err := l.store.Rewrap(ctx, func(done, total int64) { progress(keep.Progress{Stage: "segments", Done: done, Total: total}) })
		if err == nil {
			err = t.Rewrap()
		}
		if err != nil {
			return out, fmt.Errorf("%w; the new key is in use: go on with `trailward keys rotate --resume`", keepError(err))
		}
	}
	list, err := l.Keys(ctx)
	if err != nil {
		return out, err
	}
	out.ID = keys.ID()
	for _, k := range list {
		if !k.Current {
			out.Older += k.Segments + k.WALFiles + k.Lookups
		}
	}
	if !fromEnvironment {
		out.KeyFile = l.loc.keyPath()
	}
	return out, nil
}

// Verify reads everything again while the store goes on. What was acknowledged
// before is in segments then, and thus held against the ledger.
func (l *local) Verify(ctx context.Context, progress func(keep.Progress)) ([]byte, error) {
	if err := l.store.Seal(); err != nil {
		return nil, keepError(err)
	}
	e, err := l.store.Evidence()
	if err != nil {
		return nil, keepError(err)
	}
	defer e.Close()
	progress(keep.Progress{Stage: "ledger"})
	// One segment at a time: questions and intake want the rest of the machine.
	report, err := e.Verify(ctx, verifier.Options{Parallel: 1, Progress: func(p verifier.Progress) {
		progress(keep.Progress{Stage: p.Stage, Done: p.Done, Total: p.Total})
	}})
	if err != nil {
		return nil, err
	}
	return json.Marshal(report)
}

// Prove proves the record of a pointer.
func (l *local) Prove(ctx context.Context, pointer string) (group string, proof []byte, err error) {
	id, row, err := query.ParsePointer(pointer)
	if err != nil {
		return "", nil, &api.UserError{Message: err.Error()}
	}
	e, err := l.store.Evidence()
	if err != nil {
		return "", nil, keepError(err)
	}
	defer e.Close()
	p, err := e.Prove(ctx, id, row)
	if errors.Is(err, verifier.ErrNoRecord) {
		return "", nil, fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	if err != nil {
		return "", nil, err
	}
	proof, err = json.Marshal(p)
	return string(p.Record.Group), proof, err
}

// Checkpoint gives the newest checkpoint, and the proof that it continues an
// older one.
func (l *local) Checkpoint(_ context.Context, size uint64, root string) (keep.Checkpoint, error) {
	id, signed := l.store.Checkpoint()
	c := keep.Checkpoint{Origin: id.Origin, VerifierKey: id.VerifierKey, Signed: string(signed)}
	if size == 0 {
		return c, nil
	}
	before := ledger.Checkpoint{Origin: id.Origin, Head: ledger.Head{Size: size}}
	if err := before.Root.UnmarshalText([]byte(root)); err != nil {
		return c, &api.UserError{Message: "the root of the older checkpoint is no hash in base64"}
	}
	signed, proof, err := l.store.ProveExtension(before)
	switch {
	case errors.Is(err, ledger.ErrRolledBack), errors.Is(err, ledger.ErrForked):
		return c, &api.UserError{Message: err.Error(), Conflict: true}
	case err != nil:
		return c, err
	}
	c.Signed = string(signed)
	for _, h := range proof {
		c.Proof = append(c.Proof, h.String())
	}
	return c, nil
}

// Backup writes the store, and what lies beside it, as a tar archive.
func (l *local) Backup(ctx context.Context, w io.Writer) (keep.Backup, error) {
	res, err := l.store.WriteBackup(ctx, w, beside...)
	if err != nil {
		return keep.Backup{}, keepError(err)
	}
	return keep.Backup(res), nil
}

// BackupTo copies the store, and what lies beside it, to a new directory.
func (l *local) BackupTo(ctx context.Context, dir string, progress func(done, total int64)) (keep.Backup, error) {
	res, err := l.store.Backup(ctx, dir, progress, beside...)
	return keep.Backup(res), err
}

// Check looks for faults in the text of a question without asking it.
func (l *local) Check(ctx context.Context, r query.Request) error {
	e, err := l.useEngine()
	if err != nil {
		return err
	}
	return e.Check(ctx, r)
}
