package store

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"
)

// maxImages is how many images are kept at most while nobody uses them: each
// takes a descriptor.
const maxImages = 1024

// cache keeps images for the query engine. It is bounded by bytes: the image
// that was used least recently and is not in use goes first. Those in use are
// bounded by what a snapshot may have without asking, see [Options.QueryBytes],
// and what it can borrow beyond that, which all together is no more than the bound.
type cache struct {
	limit int64

	mu       sync.Mutex
	used     int64 // by all images
	borrowed int64 // by snapshots
	images   int
	order    *list.List          // of *image, least recently used first; those in use are not in it
	byKey    map[uint64][]*image // by the hash of the parts
	byPart   map[string]map[*image]bool
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, order: list.New(), byKey: map[uint64][]*image{}, byPart: map[string]map[*image]bool{}}
}

// image is a memory file of our own making, in the Parquet format, which DuckDB
// reads by descriptor: the decrypted chunks of some columns of one segment or of
// many, row group after row group, and a footer that names nothing else. It does
// not change once it is ready.
type image struct {
	key     uint64
	ids     []string // of the parts, in order
	columns []string // sorted

	ready chan struct{} // closed when what follows is set
	err   error         // why it could not be made; nobody finds it then
	fd    int
	// sizes has, for each part, the bytes of its footer and of each column, as
	// far as they were read.
	sizes []int64
	taken int64 // bytes of memory

	refs int           // guarded by cache.mu
	el   *list.Element // in order when refs is 0; guarded by cache.mu
	size int64         // bytes that it takes; guarded by cache.mu
}

// bytes returns how many stored bytes a column of part k has; those of its
// footer when the name is empty.
func (im *image) bytes(k int, column string) int64 {
	at := k * (1 + len(im.columns))
	if column == "" {
		return im.sizes[at]
	}
	if i, ok := slices.BinarySearch(im.columns, column); ok {
		return im.sizes[at+1+i]
	}
	return 0
}

// covers reports whether every one of some columns, which are sorted, is among
// others.
func covers(have, want []string) bool {
	for _, w := range want {
		i, ok := slices.BinarySearch(have, w)
		if !ok {
			return false
		}
		have = have[i+1:]
	}
	return true
}

func keyOf(ids []string) uint64 {
	var h xxh3.Hasher
	for _, id := range ids {
		_, _ = h.WriteString(id)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// get returns an image of the parts with the columns at least, in use until put.
// One that is not there is made by make. Who finds one in the making waits for
// it, and tries himself if it does not come about: what failed was another's
// question, with its own bound and its own end.
func (c *cache) get(ctx context.Context, ids, columns []string, make func(*image) error) (*image, error) {
	key := keyOf(ids)
	for {
		im, mine := c.find(key, ids, columns)
		if mine {
			if im.err = make(im); im.err != nil {
				c.discard(im)
			} else {
				c.supersede(im)
			}
			close(im.ready)
			return im, im.err
		}
		select {
		case <-im.ready:
			if im.err == nil {
				return im, nil
			}
		case <-ctx.Done():
			c.put(im)
			return nil, context.Cause(ctx)
		}
	}
}

// find returns an image that is there, or a new one which the caller is to make.
func (c *cache) find(key uint64, ids, columns []string) (im *image, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, im := range c.byKey[key] {
		if covers(im.columns, columns) && slices.Equal(im.ids, ids) {
			if im.el != nil {
				c.order.Remove(im.el)
				im.el = nil
			}
			im.refs++
			return im, false
		}
	}
	im = &image{key: key, ids: ids, columns: columns, ready: make(chan struct{}), fd: -1, refs: 1}
	c.images++
	c.byKey[key] = append(c.byKey[key], im)
	for _, id := range ids {
		if c.byPart[id] == nil {
			c.byPart[id] = map[*image]bool{}
		}
		c.byPart[id][im] = true
	}
	return im, true
}

// grow counts bytes that an image in use takes more, and makes room for them.
func (c *cache) grow(im *image, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	im.size += n
	c.used += n
	c.trim()
}

// borrow lets a snapshot have n bytes more than its own, or gives them back.
func (c *cache) borrow(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.borrowed+n > c.limit {
		return false
	}
	c.borrowed += n
	return true
}

// put ends one use of an image.
func (c *cache) put(im *image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if im.refs--; im.refs == 0 && im.fd >= 0 {
		im.el = c.order.PushBack(im)
	}
	c.trim()
}

// supersede drops images that a new one makes superfluous: of the same parts,
// with none but its columns.
func (c *cache) supersede(im *image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range slices.Clone(c.byKey[im.key]) {
		if old != im && old.el != nil && covers(im.columns, old.columns) && slices.Equal(old.ids, im.ids) {
			c.drop(old)
		}
	}
}

func (c *cache) trim() {
	for c.order.Len() > 0 && (c.used > c.limit || c.images > maxImages) {
		c.drop(c.order.Front().Value.(*image))
	}
}

// forget drops the images that hold a part that is gone, unless they are in use:
// then they go when room is needed.
func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for im := range c.byPart[id] {
		if im.el != nil {
			c.drop(im)
		}
	}
}

// discard drops an image that was not made. Whoever waits for it still holds it.
func (c *cache) discard(im *image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(im)
}

func (c *cache) drop(im *image) {
	c.order.Remove(im.el)
	im.el = nil
	c.remove(im)
}

func (c *cache) remove(im *image) {
	c.used -= im.size
	c.images--
	im.size = 0
	if c.byKey[im.key] = slices.DeleteFunc(c.byKey[im.key], func(x *image) bool { return x == im }); len(c.byKey[im.key]) == 0 {
		delete(c.byKey, im.key)
	}
	for _, id := range im.ids {
		if delete(c.byPart[id], im); len(c.byPart[id]) == 0 {
			delete(c.byPart, id)
		}
	}
	if im.fd >= 0 {
		unix.Close(im.fd)
		im.fd = -1
	}
}

// close drops all images, those in use with their last put.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = -1
	c.trim()
}

// pages is how much memory n bytes of a memory file take at most.
func pages(n int64) int64 {
	const page = 4096
	return (n + page - 1) / page * page
}

// newMemfd makes a memory file. Its pages are never on disk but for swap;
// docs/operations.md says how to keep it out of that.
func newMemfd() (int, error) {
	fd, err := unix.MemfdCreate("trailward", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("make memory file: %w", err)
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
