package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"trailward/store/ledger"
)

// memory is what the user remembers of the ledger of a data directory: the last
// checkpoint that was seen, by which a store is found out that somebody put back
// to an older state.
type memory struct {
	*ledger.Memory
	place string
	last  *ledger.Checkpoint
}

// stateDir is where the user's memory lies; empty when there is no place.
func stateDir(getenv func(string) string) string {
	dir, err := ledger.MemoryDir(getenv)
	if err != nil {
		return ""
	}
	return dir
}

// openMemory opens the user's memory of the store in a data directory, or behind
// a server.
func openMemory(loc location) (_ *memory, err error) {
	if loc.memory == "" {
		return nil, errors.New("there is no folder to remember it in: set XDG_STATE_HOME or HOME")
	}
	place := loc.place()
	if loc.server == "" {
		if place, err = filepath.Abs(loc.data); err == nil {
			place, err = filepath.EvalSymlinks(place)
		}
		if err != nil {
			return nil, err
		}
	}
	m, err := ledger.OpenMemory(loc.memory)
	if err != nil {
		return nil, err
	}
	return &memory{Memory: m, place: place}, nil
}

// seen compares the ledger of a store that is being opened with what the user
// remembers, and refuses one that was rolled back or exchanged.
func (l *local) seen(log *slog.Logger) func(ledger.Identity, ledger.Checkpoint, func(ledger.Checkpoint) ([]ledger.Hash, error)) error {
	return func(id ledger.Identity, now ledger.Checkpoint, prove func(ledger.Checkpoint) ([]ledger.Hash, error)) error {
		if l.loc.memory == "" {
			return nil
		}
		m, err := openMemory(l.loc)
		if err != nil {
			log.Warn("the ledger's checkpoint is not remembered", slog.Any("error", err))
			return nil
		}
		defer m.Close()
		_, err = m.Check(m.place, id, now, prove)
		switch {
		case errors.Is(err, ledger.ErrRolledBack), errors.Is(err, ledger.ErrForked):
			return fmt.Errorf("%w: find the newer store; if you restored this one here on purpose, run `trailward verify --accept --data %s`", err, l.loc.data)
		case errors.Is(err, ledger.ErrOtherLedger) && now.Size > 0:
			log.Warn("another store than before is in this place; if that is right, run `trailward verify --accept`", slog.String("data", l.loc.data))
		case err != nil && !errors.Is(err, ledger.ErrOtherLedger):
			log.Warn("the ledger's checkpoint cannot be compared with the last one seen", slog.Any("error", err))
		default:
			l.remembers = true
		}
		return nil
	}
}

// remember remembers the checkpoint of a store that was closed.
func (l *local) remember() error {
	if !l.remembers {
		return nil
	}
	id, signed := l.store.Checkpoint()
	if signed == nil {
		return nil
	}
	m, err := openMemory(l.loc)
	if err != nil {
		return fmt.Errorf("remember the ledger's checkpoint: %w", err)
	}
	defer m.Close()
	return m.Remember(m.place, id, signed)
}
