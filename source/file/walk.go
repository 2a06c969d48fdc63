package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Walk reads paths one after another and calls fn once for each logical file:
// files as they are, folders in the order of their names, all that is in them;
// "-" is standard input. A path that is a symbolic link is followed, but none
// inside of a folder is: what it points to is either in the folder as well, or
// was not asked for.
//
// A damaged file does not end the walk; it is in the report. Walk ends with an
// error when a path cannot be opened, when fn returns one, which it returns as
// it is, or when ctx is done. The report says what was met up to there.
func Walk(ctx context.Context, paths []string, opts Options, fn func(*Input) error) (Report, error) {
	k := &walker{ctx: ctx, fn: fn}
	if err := opts.Validate(); err != nil {
		return k.report, err
	}
	k.opts = opts.filled()
	defer k.close()
	for _, p := range paths {
		if err := k.add(p); err != nil {
			return k.report, err
		}
	}
	for _, t := range k.tops {
		if err := ctx.Err(); err != nil {
			return k.report, err
		}
		if err := k.top(t); err != nil {
			return k.report, err
		}
	}
	k.progress(true)
	return k.report, nil
}

// top is one file that was asked for or found in a folder.
type top struct {
	name  string
	root  *os.Root // the folder that it is in, or nil
	rel   string   // its path in there
	size  int64    // -1 for a stream
	stdin bool
}

type walker struct {
	ctx    context.Context
	opts   Options
	fn     func(*Input) error
	report Report
	tops   []top
	roots  []*os.Root
	buf    []byte // the read buffer of the Input before, for the next one

	total, done, told int64 // bytes for Progress
	endless           bool  // a stream of unknown size is among tops
}

func (k *walker) close() {
	for _, r := range k.roots {
		r.Close()
	}
}

// add puts a path, or all files in it, onto the list.
func (k *walker) add(path string) error {
	if path == "-" {
		k.endless = true
		k.tops = append(k.tops, top{name: "-", size: -1, stdin: true})
		return nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return err // names the path and what was done
	}
	switch {
	case st.IsDir():
		return k.addFolder(path)
	case st.Mode().IsRegular():
		f, err := os.Open(path) // better known now than after an hour's work
		if err != nil {
			return err
		}
		f.Close()
		k.tops = append(k.tops, top{name: path, size: st.Size()})
		k.total += st.Size()
	default: // a pipe
		k.endless = true
		k.tops = append(k.tops, top{name: path, size: -1})
	}
	return nil
}

func (k *walker) addFolder(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", path, err)
	}
	k.roots = append(k.roots, root)
	return fs.WalkDir(root.FS(), ".", func(rel string, d fs.DirEntry, err error) error {
		if ctxErr := k.ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		name := filepath.Join(path, filepath.FromSlash(rel))
		if err != nil {
			k.report.damage(&Damage{Name: name, Reason: CannotRead, Err: err})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			k.report.skip("symbolic link")
			return nil
		case !d.Type().IsRegular():
			k.report.skip("not a regular file")
			return nil
		}
		t := top{name: name, root: root, rel: filepath.FromSlash(rel)}
		if st, err := d.Info(); err == nil {
			t.size = st.Size()
			k.total += t.size
		}
		k.tops = append(k.tops, t)
		return nil
	})
}

// openTop opens a file of the list. It does not wait for a writer when
// something has put a pipe in a folder's file's place.
func (k *walker) openTop(t top) (*os.File, error) {
	if t.root == nil {
		return os.Open(t.name)
	}
	f, err := t.root.OpenFile(t.rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, errors.New("it is no regular file any more"))
	}
	return f, nil
}

// top reads one file of the list.
func (k *walker) top(t top) error {
	before := k.done
	count := func(n int) {
		k.done += int64(n)
		k.progress(false)
	}
	defer func() {
		if t.size >= 0 {
			k.done = before + t.size // a file skipped in part is done with too
		}
		k.progress(false)
	}()
	s := stream{name: t.name, size: t.size}
	if t.stdin {
		r := k.opts.Stdin
		if r == nil {
			r = os.Stdin
		}
		s.r = &ctxReader{k.ctx, r, count}
	} else {
		f, err := k.openTop(t)
		if err != nil {
			k.report.damage(&Damage{Name: t.name, Reason: CannotRead, Err: err})
			return nil
		}
		defer f.Close()
		s.r = &ctxReader{k.ctx, f, count}
		if t.size >= 0 {
			s.plain = true
			s.at = f
			s.open = func(*budget) (io.ReadCloser, error) {
				again, err := k.openTop(t)
				if err != nil {
					return nil, err
				}
				return closeBoth{&ctxReader{k.ctx, again, nil}, again.Close}, nil
			}
		}
	}
	s.budget = k.budget(t.size, before)
	return k.stream(s)
}

// budget is for one reading of a top-level file. Of a stream, what was read
// of it since before is its size.
func (k *walker) budget(size, before int64) *budget {
	if size >= 0 {
		return &budget{opts: &k.opts, in: func() int64 { return size }}
	}
	return &budget{opts: &k.opts, in: func() int64 { return k.done - before }}
}

// stream is bytes on the way to be a logical file.
type stream struct {
	name     string
	r        io.Reader
	at       io.ReaderAt // the same bytes, when any place of them can be read
	size     int64       // or -1
	open     func(*budget) (io.ReadCloser, error)
	plain    bool // a regular file
	budget   *budget
	archives int // around it
	layers   int // archives and compression around it
}

// stream takes off the layers of s and hands on what is inside.
func (k *walker) stream(s stream) error {
	br := bufioPool.Get().(*bufio.Reader)
	br.Reset(s.r)
	defer func() {
		br.Reset(nil)
		bufioPool.Put(br)
	}()
	head, _ := br.Peek(512) // an error comes again when it is read
	s.r = br
	l := layerOf(head)
	refuse := func(reason string, err error) error {
		k.report.damage(&Damage{Name: s.name, Reason: reason, Err: err})
		return nil
	}
	switch l {
	case noLayer:
		return k.leaf(s)
	case xzLayer:
		return refuse(XzNotRead, nil)
	case lz4Layer:
		return refuse(Lz4NotRead, nil)
	case sevenZipLayer:
		return refuse(SevenZipNotRead, nil)
	}
	if l == parquetLayer {
		return k.parquet(s)
	}
	if s.layers == MaxLayers || (l == tarLayer || l == zipLayer) && s.archives == MaxArchives {
		return refuse(TooDeep, nil)
	}
	s.layers++
	switch l {
	case tarLayer:
		s.archives++
		return k.tar(s, br)
	case zipLayer:
		s.archives++
		return k.zip(s)
	}
	rc, err := decompress(l, s.r, s.budget)
	if err != nil {
		k.report.damage(damageOf(s.name, err))
		return nil
	}
	defer rc.Close()
	inner := s
	inner.r, inner.at, inner.size = rc, nil, -1
	if below := s.open; below != nil {
		inner.open = func(b *budget) (io.ReadCloser, error) {
			raw, err := below(b)
			if err != nil {
				return nil, err
			}
			rc, err := decompress(l, raw, b)
			if err != nil {
				raw.Close()
				return nil, err
			}
			return closeBoth{rc, func() error { return errors.Join(rc.Close(), raw.Close()) }}, nil
		}
	}
	return k.stream(inner)
}

// leaf hands a logical file to the walk's function.
func (k *walker) leaf(s stream) error {
	var open func() (io.ReadCloser, error)
	if s.open != nil {
		open = func() (io.ReadCloser, error) {
			again := *s.budget
			again.out = 0
			return s.open(&again)
		}
	}
	in := newInput(s.name, &ctxReader{k.ctx, s.r, nil}, s.size, open, &k.opts, &k.report, k.buf)
	in.Grows = s.plain && s.layers == 0
	k.buf = nil
	k.report.Files++
	err := k.fn(in)
	if len(in.w.buf) <= 4*windowSize { // one long record is no reason to keep so much
		k.buf = in.w.buf
	}
	var d *Damage
	if errors.As(in.err, &d) || errors.As(in.damage, &d) {
		k.report.damage(d)
	}
	// The function may end with the Input's own error, or with the context's.
	if err == nil || err == io.EOF || d != nil && errors.Is(err, in.err) {
		return k.ctx.Err()
	}
	return err
}

// progressStep is how many bytes are read between two calls of Progress.
const progressStep = 1 << 20

func (k *walker) progress(always bool) {
	if k.opts.Progress == nil || !always && k.done-k.told < progressStep {
		return
	}
	k.told = k.done
	total := k.total
	if k.endless {
		total = -1
	}
	k.opts.Progress(k.done, total)
}
