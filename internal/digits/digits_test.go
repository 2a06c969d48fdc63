package digits

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestParse asks strconv: numbers of every length, some with another byte in
// them, at the end of a slice and with more behind them.
func TestParse(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for n := 0; n <= MaxLen+2; n++ {
		for range 500 {
			text := make([]byte, n+10)
			for i := range text {
				text[i] = '0' + byte(r.IntN(10))
			}
			if n > 0 && r.IntN(3) == 0 {
				text[r.IntN(n)] = byte(r.IntN(256))
			}
			for _, v := range [][]byte{text[:n], text[:n:n]} {
				check(t, v)
			}
		}
	}
}

func check(t *testing.T, v []byte) {
	want, err := strconv.ParseUint(string(v), 10, 64)
	wanted := err == nil && len(v) <= MaxLen && v[0] != '+'
	if n, ok := Parse(v); ok != wanted || ok && n != want {
		t.Errorf("Parse(%q) = %d, %v, want %d, %v", v, n, ok, want, wanted)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("1795132800 ACCEPT"), uint8(10))
	f.Add([]byte("99999999"), uint8(8))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		check(t, b[:min(int(n), len(b))])
	})
}
