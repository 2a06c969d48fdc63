package file

import (
	"io"
	"slices"

	"trailward"
	"trailward/format"
)

// containers takes the prefix or the envelope off the lines of a container's
// log and joins partial lines, each stream for itself. A line that has none is
// a record as it is.
type containers struct {
	cut    lineCutter
	docker bool // json-file, else CRI
	max    int
	about  [2][]trailward.Attr // what is said of every line of stdout and of stderr
	parts  [2]partial
	buf    []byte // a message of Docker's, unescaped
	found  bool   // lines had what a runtime writes
	ended  error  // the input has ended so; what is left is given out
}

// partial is a line of which the end has not come yet.
type partial struct {
	buf   []byte
	time  int64
	open  bool
	cut   bool // a piece of it was given out, since it was too long
	attrs []trailward.Attr
}

func (c *containers) next(w *window, f *trailward.Framed) error {
	for {
		if c.ended != nil {
			for i := range c.parts {
				if p := &c.parts[i]; p.open && (len(p.buf) > 0 || !p.cut) {
					damaged := PartialNoEnd
					if c.docker && c.ended == io.EOF && !p.cut {
						damaged = "" // Docker does not mark a last line without LF
					}
					c.give(f, p, i, damaged)
					return nil
				}
			}
			return c.ended
		}
		line, damaged, err := c.cut.next(w)
		if err != nil {
			c.ended = err
			continue
		}
		f.Raw, f.Damaged = line, damaged
		if damaged != "" {
			return nil
		}
		var (
			stream, message = "", line
			part            bool
			at              int64
			own             []trailward.Attr
		)
		if c.docker {
			d, out, ok := format.ParseDocker(line, c.buf[:0])
			c.buf = out
			if !ok {
				c.half(f)
				return nil
			}
			stream, message, part, at, own = d.Stream, out, d.Partial, d.Time, d.Attrs
		} else {
			d, ok := format.ParseCRI(line)
			if !ok {
				c.half(f)
				return nil
			}
			stream, message, part, at = d.Stream, line[d.Message:], d.Partial, d.Time
		}
		c.found = true
		i := 0
		if stream == "stderr" {
			i = 1
		}
		p := &c.parts[i]
		if !part && !p.open {
			// An empty line is one all the same: it has a time and a stream.
			f.Kind, f.Time, f.Raw = trailward.KindContainer, at, message
			f.Attrs = c.attrs(i, own)
			return nil
		}
		if !p.open {
			p.open, p.cut, p.time, p.attrs, p.buf = true, false, at, own, p.buf[:0]
		}
		p.buf = append(p.buf, message...)
		switch {
		case len(p.buf) > c.max:
			p.cut = true
			c.give(f, p, i, PartialTooLong)
			p.open = part
			return nil
		case part:
			continue
		case len(p.buf) == 0 && p.cut: // nothing is left to give out
			p.open = false
			continue
		}
		damaged = ""
		if p.cut {
			damaged = PartialTooLong
		}
		c.give(f, p, i, damaged)
		return nil
	}
}

// half says of the last line, if it has no end and is not what a runtime writes,
// that it is half of that.
func (c *containers) half(f *trailward.Framed) {
	if c.cut.open && c.found {
		f.Damaged = HalfLine
	}
}

// give gives out what has come of a partial line.
func (c *containers) give(f *trailward.Framed, p *partial, stream int, damaged string) {
	f.Kind, f.Time, f.Damaged = trailward.KindContainer, p.time, damaged
	c.buf = append(c.buf[:0], p.buf...) // the line may go on in p.buf before f is done with
	f.Raw = c.buf
	f.Attrs = c.attrs(stream, p.attrs)
	p.open, p.buf = false, p.buf[:0]
}

// attrs returns what is said of a line of a stream. Attributes outlive the
// record's bytes, so they are never written to again.
func (c *containers) attrs(stream int, own []trailward.Attr) []trailward.Attr {
	if len(own) == 0 {
		return c.about[stream]
	}
	return slices.Concat(c.about[stream], own)
}

// newContainers makes a framer of CRI lines or, with docker, of json-file ones.
// path is the file's.
func newContainers(docker bool, path string, maxRecord int) *containers {
	kube := kubeAttrs(path)
	c := &containers{cut: lineCutter{max: maxRecord}, docker: docker, max: maxRecord}
	for i, name := range []string{"stdout", "stderr"} {
		c.about[i] = slices.Concat([]trailward.Attr{{Name: "stream", Value: name}}, kube)
	}
	return c
}

// kubeAttrs says which container wrote the file at path, if it is a path of
// the kubelet's.
func kubeAttrs(path string) []trailward.Attr {
	pod, namespace, container, ok := format.KubernetesPath(path)
	if !ok {
		return nil
	}
	return []trailward.Attr{{Name: "pod", Value: pod}, {Name: "namespace", Value: namespace}, {Name: "container", Value: container}}
}
