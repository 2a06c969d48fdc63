package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trailward/api/client"
	"trailward/api/keep"
	"trailward/internal/term"
	"trailward/store/ledger"
)

// verifyServer has a server verify its store or prove a record.
func (c *verifyCmd) verifyServer(a *app, loc location) error {
	return a.with(&c.placeFlags, func(b backend) error {
		r, ok := b.(*remote)
		if !ok {
			return errors.New("this place cannot be verified")
		}
		if c.Record != "" {
			proof, err := r.ask.Prove(a.ctx, c.Record)
			if err != nil {
				return reach(err)
			}
			return c.printProof(a.stdout, proof)
		}
		return c.verifyRemote(a, r, loc)
	})
}

func (c *verifyCmd) verifyRemote(a *app, r *remote, loc location) error {
	began := time.Now()
	m, now, found, err := c.compare(a, r, loc)
	if err != nil {
		return err
	}
	if m != nil {
		defer m.Close()
	}
	progress := term.NewProgress(fileOf(a.stderr), "bytes")
	var report map[string]json.RawMessage
	findings, notices := found, []keep.Finding{}
	err = r.ask.Verify(a.ctx, func(l *keep.Line) {
		switch {
		case l.Progress != nil:
			progress.Bytes(l.Progress.Done, l.Progress.Total)
		case l.Finding != nil:
			findings = append(findings, *l.Finding)
		case l.Notice != nil:
			notices = append(notices, *l.Notice)
		case l.Report != nil:
			_ = json.Unmarshal(l.Report, &report) // it is looked at below
		}
	})
	progress.Close()
	if err != nil {
		return reach(err)
	}
	if report == nil {
		return fmt.Errorf("verify %s: the answer has no report", loc)
	}
	for name, v := range map[string]any{"findings": findings, "notices": notices, "compared": now.compared} {
		if report[name], err = json.Marshal(v); err != nil {
			return err
		}
	}
	whole, err := json.Marshal(report)
	if err != nil {
		return err
	}
	if len(findings) == 0 && m != nil && now.signed != nil {
		if err := m.Remember(m.place, now.id, now.signed); err != nil {
			fmt.Fprintln(a.stderr, "trailward: verify:", oneLine(err.Error()))
		}
	}
	return c.tell(a.stdout, loc, whole, time.Since(began))
}

// signedHead is a server's checkpoint, its signature checked.
type signedHead struct {
	id       ledger.Identity
	signed   []byte // nil: the ledger has none yet
	head     ledger.Checkpoint
	proof    []ledger.Hash // that it continues the one asked about
	compared bool          // it continues the one seen before
}

// checkpoint gets the server's newest checkpoint, and the proof that it continues
// before unless that is empty.
func (r *remote) checkpoint(ctx context.Context, before ledger.Checkpoint) (out signedHead, err error) {
	c, err := r.ask.Checkpoint(ctx, before.Size, before.Root.String())
	if err != nil {
		return out, reach(err)
	}
	out.id = ledger.Identity{Origin: c.Origin, VerifierKey: c.VerifierKey}
	out.head.Origin = c.Origin
	if c.Signed == "" {
		return out, nil
	}
	out.signed = []byte(c.Signed)
	if out.head, err = ledger.OpenCheckpoint(out.signed, c.VerifierKey); err != nil {
		return out, err
	}
	out.proof = make([]ledger.Hash, len(c.Proof))
	for i, text := range c.Proof {
		if err := out.proof[i].UnmarshalText([]byte(text)); err != nil {
			return out, fmt.Errorf("read the proof of a checkpoint: %w", err)
		}
	}
	return out, nil
}

// compare gets the server's checkpoint and holds it against what the user saw
// there last. What contradicts it is a finding; when nothing can be remembered,
// that is said and no more, and m is nil.
func (c *verifyCmd) compare(a *app, r *remote, loc location) (m *memory, now signedHead, found []keep.Finding, err error) {
	found = []keep.Finding{}
	if now, err = r.checkpoint(a.ctx, ledger.Checkpoint{}); err != nil {
		return nil, now, found, err
	}
	warn := func(err error) (*memory, signedHead, []keep.Finding, error) {
		fmt.Fprintln(a.stderr, "trailward: verify: the checkpoint cannot be compared with an earlier one:", oneLine(err.Error()))
		return nil, now, found, nil
	}
	if m, err = c.openMemory(loc); err != nil {
		return warn(err)
	}
	before, ok, err := m.Last(m.place, now.id)
	if err == nil && ok && before.Size > 0 && before.Size < now.head.Size {
		var later signedHead
		later, err = r.checkpoint(a.ctx, before)
		var answer *client.Error
		switch {
		case errors.As(err, &answer) && answer.Status == 409:
			err = fmt.Errorf("%w: the server says: %s", ledger.ErrForked, answer.Message)
		case err != nil:
			m.Close()
			return nil, now, found, err
		case later.id != now.id:
			err = fmt.Errorf("%w: it has changed while it was asked", ledger.ErrForked)
		default:
			now = later
		}
	}
	if err == nil {
		now.compared, err = m.Check(m.place, now.id, now.head, func(ledger.Checkpoint) ([]ledger.Hash, error) { return now.proof, nil })
	}
	if err == nil {
		return m, now, found, nil
	}
	now.compared = false
	if f := exchanged(err); f != nil {
		return m, now, append(found, keep.Finding{What: string(f.What), Where: f.Where, Detail: f.Detail, Do: f.Do}), nil
	}
	m.Close()
	return warn(err)
}
