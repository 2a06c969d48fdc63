package vfstest

import (
	"maps"
	"path"
	"slices"
)

// sector is what a disk writes at once.
const sector = 512

// Crash cuts the power, if a fault has not done so, and turns it on again: what
// was not synced is kept or lost by chance, open files and locks are dead, and
// no fault is set.
func (f *FS) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.crashNames()
	// Files that lost their last name are out of reach even while open.
	done := make(map[*inode]bool)
	for _, name := range slices.Sorted(maps.Keys(f.stable)) {
		if n := f.stable[name]; !done[n] {
			done[n] = true
			n.data = f.image(n)
			n.stable = append([]byte{}, n.data...)
			n.changes = nil
		}
	}
	f.names = maps.Clone(f.stable)
	f.restart()
}

// Kill ends the process without a power cut: open files and locks are dead, and
// no fault is set, but nothing is lost.
func (f *FS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restart()
}

func (f *FS) restart() {
	f.epoch++
	f.dark = false
	f.fault = nil
	f.locks = make(map[string]bool)
}

// crashNames decides which of the unsynced changes of names were made.
func (f *FS) crashNames() {
	style := f.rng.IntN(4)
	prefix := 0
	if len(f.moves) > 0 {
		prefix = f.rng.IntN(len(f.moves) + 1)
	}
	for i, c := range f.moves {
		if style == 0 || style == 1 && i < prefix || style == 2 && f.half() {
			c.apply(f.stable)
		}
	}
	f.moves = nil
	for name := range f.stable {
		for dir := name; dir != "."; {
			dir = path.Dir(dir)
			if f.stable[dir] == nil {
				delete(f.stable, name)
			}
		}
	}
}

// image is what a power cut now would leave of a file.
func (f *FS) image(n *inode) []byte {
	data := append([]byte{}, n.stable...)
	switch f.rng.IntN(4) {
	case 0: // nothing got there
	case 1: // everything did
		for _, c := range n.changes {
			data = c.apply(data)
		}
	case 2: // in order, up to some byte
		if len(n.changes) == 0 {
			break
		}
		last := f.rng.IntN(len(n.changes))
		for _, c := range n.changes[:last] {
			data = c.apply(data)
		}
		if c := n.changes[last]; c.data != nil {
			c.data = c.data[:f.rng.IntN(len(c.data)+1)]
			data = c.apply(data)
		}
	default: // any sectors
		for _, c := range n.changes {
			if c.data == nil {
				if f.half() {
					data = c.apply(data)
				}
				continue
			}
			data = f.scatter(data, c)
		}
	}
	return data
}

// scatter applies some sectors of a write. The size may have grown to the
// write's end all the same; what was not written there is zeros or stale.
func (f *FS) scatter(data []byte, c dataChange) []byte {
	if end := c.off + int64(len(c.data)); end > int64(len(data)) && f.half() {
		start := int64(len(data))
		data = append(data, make([]byte, end-start)...)
		if len(f.stale) > 0 && f.half() {
			copy(data[start:], f.stale[f.rng.IntN(len(f.stale)):])
		}
	}
	for at := int64(0); at < int64(len(c.data)); {
		n := min(sector-(c.off+at)%sector, int64(len(c.data))-at)
		if f.rng.IntN(4) != 0 {
			data = dataChange{off: c.off + at, data: c.data[at : at+n]}.apply(data)
		}
		at += n
	}
	return data
}
