package jsonstring

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct {
		in string
		r  rune
		n  int
		ok bool
	}{
		{`"x`, '"', 1, true}, {`/`, '/', 1, true}, {`n`, '\n', 1, true}, {`u00e9x`, 'é', 5, true}, {`u00E9`, 'é', 5, true},
		{`ud83d\ude00x`, '😀', 11, true}, {`ud83d`, utf8.RuneError, 5, false}, {`ud83d\u0041`, utf8.RuneError, 5, false}, {`ude00\ud83d`, utf8.RuneError, 5, false},
		{`ud83d\ude0`, utf8.RuneError, 5, false}, {``, 0, 0, false}, {`x`, 0, 0, false}, {`u12`, 0, 0, false}, {`u12g4`, 0, 0, false},
	} {
		if r, n, ok := Escape([]byte(c.in)); r != c.r || n != c.n || ok != c.ok {
			t.Errorf("Escape(%q) = %q, %d, %v, want %q, %d, %v", c.in, r, n, ok, c.r, c.n, c.ok)
		}
	}
}

// FuzzEscape holds it against the standard library, which takes half a pair for
// U+FFFD, too.
func FuzzEscape(f *testing.F) {
	f.Add([]byte(`ud83d\ude00`))
	f.Add([]byte(`n`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, ok := Escape(b)
		if n == 0 {
			var s string
			if len(b) > 0 && b[0] != 'u' && json.Unmarshal([]byte(`"\`+string(b[:1])+`"`), &s) == nil {
				t.Fatalf("Escape(%q) knows no escape that is one: %q", b, s)
			}
			return
		}
		half := n == 5 && (b[1]|0x20) == 'd' && b[2] >= '8' // from D800 on
		var s string
		if err := json.Unmarshal([]byte(`"\`+string(b[:n])+`"`), &s); err != nil || s != string(r) || ok == half {
			t.Fatalf("Escape(%q) = %q, %d, %v; the standard library has %q, %v", b, r, n, ok, s, err)
		}
	})
}
