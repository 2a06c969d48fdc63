package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

func ids(names ...string) []string { return names }

// fake is what makes an image of so many bytes.
func fake(c *cache, n int64) func(*image) error {
	return func(im *image) (err error) {
		if im.fd, err = newMemfd(); err != nil {
			return err
		}
		im.taken = n
		c.grow(im, n)
		return nil
	}
}

func mustGet(t *testing.T, c *cache, ids, columns []string, size int64) (im *image, made bool) {
	t.Helper()
	im, err := c.get(t.Context(), ids, columns, func(im *image) error {
		made = true
		return fake(c, size)(im)
	})
	if err != nil {
		t.Fatal(err)
	}
	return im, made
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func TestCache(t *testing.T) {
	c := newCache(100)
	defer c.close()
	a, made := mustGet(t, c, ids("1", "2"), ids("x"), 40)
	if !made {
		t.Error("an image was there before it was made")
	}
	if same, made := mustGet(t, c, ids("1", "2"), ids("x"), 40); same != a || made {
		t.Error("an image in use was made again")
	}
	c.put(a)
	c.put(a)
	if again, made := mustGet(t, c, ids("1", "2"), nil, 0); again != a || made {
		t.Error("fewer columns of an image were made again")
	}
	c.put(a)
	for _, other := range [][]string{ids("2", "1"), ids("1"), ids("12"), ids("1", "2", "3")} {
		im, made := mustGet(t, c, other, ids("x"), 1)
		if !made {
			t.Errorf("parts %v are taken for %v", other, a.ids)
		}
		c.put(im)
	}
	// One with more columns takes its place.
	fd := a.fd
	b, _ := mustGet(t, c, ids("1", "2"), ids("x", "y"), 50)
	if isOpen(fd) {
		t.Error("a superfluous image is still there")
	}
	c.put(b)
	// In use, an image stays whatever is wanted beside it; else it goes.
	d, _ := mustGet(t, c, ids("9"), ids("x"), 90)
	if c.used > 140 || isOpen(b.fd) {
		t.Errorf("%d bytes are used", c.used)
	}
	e, _ := mustGet(t, c, ids("8"), ids("x"), 90)
	if !isOpen(d.fd) || !isOpen(e.fd) || c.used != 180 {
		t.Errorf("%d bytes are used, want 180", c.used)
	}
	c.put(d)
	if c.used != 90 || c.images != 1 {
		t.Errorf("%d bytes and %d images, want 90 and 1", c.used, c.images)
	}
	c.forget("8") // in use
	c.put(e)
	if fd = e.fd; !isOpen(fd) {
		t.Error("an image in use was forgotten")
	}
	c.forget("8")
	if isOpen(fd) || c.used != 0 || c.images != 0 || len(c.byKey) != 0 || len(c.byPart) != 0 || c.order.Len() != 0 {
		t.Errorf("something is left: %+v", c)
	}
	if !c.borrow(60) || c.borrow(41) || !c.borrow(40) || !c.borrow(0) {
		t.Error("more was lent than there is, or less")
	}
	c.borrow(-100)
	if !c.borrow(100) {
		t.Error("what was given back is not there")
	}
}

// TestCacheClose: an image that is in use goes with its last use.
func TestCacheClose(t *testing.T) {
	c := newCache(100)
	a, _ := mustGet(t, c, ids("1"), nil, 10)
	b, _ := mustGet(t, c, ids("2"), nil, 10)
	idle := b.fd
	c.put(b)
	c.close()
	used := a.fd
	if isOpen(idle) || !isOpen(used) {
		t.Error("close does not drop what is idle, or drops what is in use")
	}
	c.put(a)
	if isOpen(used) || c.used != 0 {
		t.Error("the last use does not drop an image of a closed cache")
	}
}

// TestCacheMakesOnce: many who want an image get one; who fails, or goes away,
// does not harm the others.
func TestCacheMakesOnce(t *testing.T) {
	c := newCache(1 << 20)
	defer c.close()
	var made, failed atomic.Int64
	errNot := errors.New("not this time")
	var g errgroup.Group
	for i := range 60 {
		g.Go(func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 1 {
				cancel()
			}
			im, err := c.get(ctx, ids("1"), ids("x"), func(im *image) error {
				if i%3 == 0 {
					failed.Add(1)
					return errNot
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				made.Add(1)
				return fake(c, 10)(im)
			})
			switch {
			case err == nil:
				if !isOpen(im.fd) {
					return errors.New("an image that is closed")
				}
				c.put(im)
			case i%3 == 0 && errors.Is(err, errNot), i%3 == 1 && errors.Is(err, context.Canceled):
			default:
				return fmt.Errorf("caller %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if made.Load() != 1 || c.used != 10 || c.images != 1 {
		t.Errorf("made %d times, %d bytes, %d images", made.Load(), c.used, c.images)
	}
}

func TestSharing(t *testing.T) {
	for _, tt := range []struct{ parts, most, want int }{
		{1, 8000, 0}, {32, 8000, 0}, {33, 8000, 4}, {1024, 8000, 4}, {1025, 8000, 8}, {10_000, 8000, 8}, {100_000, 8000, 11},
		{32, 8, 3}, {1000, 16, 7}, {10, 1, 3},
	} {
		if got := sharing(tt.parts, tt.most); got != tt.want {
			t.Errorf("sharing(%d, %d) = %d, want %d", tt.parts, tt.most, got, tt.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		have, want []string
		covers     bool
	}{
		{nil, nil, true}, {ids("a"), nil, true}, {nil, ids("a"), false}, {ids("a", "b", "c"), ids("a", "c"), true}, {ids("a", "c"), ids("a", "b"), false}, {ids("a", "c"), ids("c", "d"), false},
	} {
		if got := covers(tt.have, tt.want); got != tt.covers || !slices.IsSorted(tt.have) {
			t.Errorf("covers(%v, %v) = %v", tt.have, tt.want, got)
		}
	}
}
