package term

import (
	"io"
	"os"
	"unicode/utf8"
)

// Guard returns a writer for text whose exact bytes matter to programs and not
// to people: f itself when it is no terminal, else a writer that shows what a
// terminal would obey, as [Clean] does, but lets line ends and tabs through.
// The writer holds back the bytes of a rune or a line end that is cut off; they
// belong to the next Write.
func Guard(f *os.File) io.Writer {
	if !IsTerminal(f) {
		return f
	}
	return &guard{w: f}
}

type guard struct {
	w    io.Writer
	tail []byte // an unfinished rune, or a CR that may begin a line end
	out  []byte
}

func (g *guard) Write(p []byte) (int, error) {
	in := append(g.tail, p...)
	g.out = g.out[:0]
	from := 0 // of the run that goes through Clean
	clean := func(to int) { g.out = append(g.out, Clean(string(in[from:to]))...) }
	i := 0
loop:
	for i < len(in) {
		switch c := in[i]; {
		case c == '\n' || c == '\t':
			clean(i)
			g.out = append(g.out, c)
			i++
			from = i
		case c == '\r':
			if i+1 == len(in) {
				break loop
			}
			if in[i+1] == '\n' {
				clean(i)
				g.out = append(g.out, '\r', '\n')
				i += 2
				from = i
				continue
			}
			i++
		case c < utf8.RuneSelf:
			i++
		default:
			if !utf8.FullRune(in[i:]) {
				break loop
			}
			_, n := utf8.DecodeRune(in[i:])
			i += n
		}
	}
	clean(i)
	g.tail = append(g.tail[:0:0], in[i:]...)
	if _, err := g.w.Write(g.out); err != nil {
		return 0, err
	}
	return len(p), nil
}
