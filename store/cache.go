package store

import (
	"container/list"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"trailward/store/segment"
)

// maxImages is how many images are kept at most while nobody uses them: each
// takes a descriptor.
const maxImages = 1024

// cache keeps images: memory files that hold the decrypted columns of segments
// for the query engine, which reads them by descriptor. It is bounded by bytes;
// the image that was used least recently and is not in use goes first.
type cache struct {
	limit int64

	mu    sync.Mutex
	used  int64
	order *list.List // of *image, least recently used first; those in use are not in it
	byID  map[string]*image
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, order: list.New(), byID: map[string]*image{}}
}

// image is a sparse memory file of a segment's Parquet file: the footer and the
// columns that somebody asked for.
type image struct {
	id   string
	fd   int
	refs int           // guarded by cache.mu
	el   *list.Element // guarded by cache.mu
	size int64         // bytes that it takes; guarded by cache.mu

	mu     sync.Mutex // while filling
	filled map[[2]int64]bool
}

// get returns the image of a segment, in use until put.
func (c *cache) get(id string, size int64) (*image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	im := c.byID[id]
	if im == nil {
		fd, err := newMemfd(size)
		if err != nil {
			return nil, err
		}
		im = &image{id: id, fd: fd, filled: map[[2]int64]bool{}}
		c.byID[id] = im
	}
	if im.el != nil {
		c.order.Remove(im.el)
		im.el = nil
	}
	im.refs++
	return im, nil
}

// put ends one use of an image.
func (c *cache) put(im *image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if im.refs--; im.refs == 0 {
		im.el = c.order.PushBack(im)
	}
	c.trim()
}

func (c *cache) trim() {
	for c.order.Len() > 0 && (c.used > c.limit || len(c.byID) > maxImages) {
		c.drop(c.order.Front().Value.(*image))
	}
}

// forget drops the image of a segment that is gone, unless it is in use: then
// it goes when room is needed.
func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if im := c.byID[id]; im != nil && im.el != nil {
		c.drop(im)
	}
}

func (c *cache) drop(im *image) {
	c.order.Remove(im.el)
	im.el = nil
	c.used -= im.size
	delete(c.byID, im.id)
	unix.Close(im.fd)
}

func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, im := range c.byID {
		unix.Close(im.fd)
	}
	c.byID, c.used = map[string]*image{}, 0
	c.order.Init()
}

// fill brings what the named columns need into the image and returns how many
// bytes of the segment those columns have.
func (c *cache) fill(im *image, r *segment.Reader, columns []string) (int64, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	var bytes, fresh int64
	var buf []byte
	for _, rg := range r.Ranges(columns) {
		bytes += rg[1]
		if im.filled[rg] {
			continue
		}
		if int64(cap(buf)) < rg[1] {
			buf = make([]byte, rg[1])
		}
		buf = buf[:rg[1]]
		if _, err := r.ReadAt(buf, rg[0]); err != nil {
			return 0, fmt.Errorf("read segment %s: %w", im.id, err)
		}
		if err := pwrite(im.fd, buf, rg[0]); err != nil {
			return 0, err
		}
		im.filled[rg] = true
		fresh += pages(rg[1])
	}
	c.mu.Lock()
	im.size += fresh
	c.used += fresh
	c.mu.Unlock()
	return bytes, nil
}

// pages is how much memory n bytes of a memory file take at most.
func pages(n int64) int64 {
	const page = 4096
	return (n + 2*page - 1) / page * page
}

// newMemfd makes a memory file of the given size. Its pages are never on disk
// but for swap; docs/operations.md says how to keep it out of that.
func newMemfd(size int64) (int, error) {
	fd, err := unix.MemfdCreate("trailward", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make memory file: %w", err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("make memory file of %d bytes: %w", size, err)
	}
	return fd, nil
}

func pwrite(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		if err != nil {
			return fmt.Errorf("write memory file: %w", err)
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}
