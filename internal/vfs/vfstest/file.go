package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"trailward/internal/vfs"
)

// file is an open file; fs.mu guards all of it.
type file struct {
	fs    *FS
	node  *inode
	name  string
	flag  int
	pos   int64
	epoch int
	done  bool
}

var _ vfs.File = (*file)(nil)

// begin counts an operation on the file. It needs fs.mu.
func (h *file) begin(kind OpKind) error {
	switch {
	case h.done:
		return &fs.PathError{Op: string(kind), Path: h.name, Err: fs.ErrClosed}
	case h.epoch != h.fs.epoch:
		return &fs.PathError{Op: string(kind), Path: h.name, Err: ErrCrashed}
	}
	return h.fs.begin(kind, h.name)
}

func (h *file) writable() bool { return h.flag&(os.O_WRONLY|os.O_RDWR) != 0 }

func (h *file) Name() string { return h.name }

func (h *file) Read(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n, err := h.readAt(p, h.pos)
	h.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (h *file) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.readAt(p, off)
}

func (h *file) readAt(p []byte, off int64) (int, error) {
	if err := h.begin(OpRead); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: string(OpRead), Path: h.name, Err: fs.ErrInvalid}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(h.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *file) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if !h.writable() {
		return 0, &fs.PathError{Op: string(OpWrite), Path: h.name, Err: fs.ErrPermission}
	}
	fault := h.begin(OpWrite)
	if fault != nil {
		if h.done || h.epoch != h.fs.epoch || len(p) == 0 {
			return 0, fault
		}
		p = p[:h.fs.rng.IntN(len(p)+1)]
	}
	if h.flag&os.O_APPEND != 0 {
		h.pos = int64(len(h.node.data))
	}
	if len(p) > 0 {
		c := dataChange{off: h.pos, data: append([]byte{}, p...)}
		h.node.data = c.apply(h.node.data)
		h.node.changes = append(h.node.changes, c)
		h.pos += int64(len(p))
	}
	return len(p), fault
}

func (c dataChange) apply(data []byte) []byte {
	end := c.off + int64(len(c.data))
	switch size := int64(len(data)); {
	case c.data == nil && c.off <= size:
		return data[:c.off:c.off]
	case end > size:
		data = append(data, make([]byte, end-size)...)
	}
	copy(data[c.off:], c.data)
	return data
}

func (h *file) Seek(offset int64, whence int) (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += h.pos
	case io.SeekEnd:
		offset += int64(len(h.node.data))
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: h.name, Err: fs.ErrInvalid}
	}
	h.pos = offset
	return offset, nil
}

func (h *file) Truncate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if size < 0 || !h.writable() {
		return &fs.PathError{Op: string(OpTruncate), Path: h.name, Err: fs.ErrInvalid}
	}
	if err := h.begin(OpTruncate); err != nil {
		return err
	}
	h.fs.truncate(h.node, size)
	return nil
}

func (f *FS) truncate(n *inode, size int64) {
	c := dataChange{off: size}
	n.data = c.apply(n.data)
	n.changes = append(n.changes, c)
}

func (h *file) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n := h.node
	if err := h.begin(OpSync); err != nil {
		if !errors.Is(err, ErrPowerCut) && h.epoch == h.fs.epoch && h.fs.half() {
			// What the kernel does: the dirty pages count as clean now, so the
			// next sync says nothing about them.
			n.stable = h.fs.image(n)
			n.changes = nil
		}
		return err
	}
	// Not a copy of data: what a failed sync lost stays lost.
	for _, c := range n.changes {
		n.stable = c.apply(n.stable)
	}
	n.changes = nil
	return nil
}

func (h *file) Stat() (fs.FileInfo, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.begin(OpStat); err != nil {
		return nil, err
	}
	return h.node.info(h.name), nil
}

func (h *file) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.done {
		return &fs.PathError{Op: "close", Path: h.name, Err: fs.ErrClosed}
	}
	h.done = true
	return nil
}
