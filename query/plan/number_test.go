package plan

import (
	"math"
	"testing"
)

func TestFormatNumber(t *testing.T) {
	for _, c := range []struct {
		in   float64
		want string
	}{
		{3, "3"}, {2.5, "2.5"}, {-0.1, "-0.1"}, {math.Copysign(0, -1), "0"}, {1e20, "100000000000000000000"}, {1e21, "1e+21"}, {0.000001, "0.000001"}, {1e-7, "1e-07"},
		{math.Inf(1), ""}, {math.NaN(), ""},
	} {
		if got := FormatNumber(c.in); got != c.want {
			t.Errorf("FormatNumber(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestCanonicalNumber(t *testing.T) {
	for _, c := range []struct {
		in          string
		number, int bool
	}{
		{"0", true, true}, {"200", true, true}, {"-5", true, true}, {"2.50", true, false}, {"0.5", true, false}, {"-0.5", true, false},
		{"", false, false}, {"-", false, false}, {"007", false, false}, {"00.5", false, false}, {"1e5", false, false}, {".5", false, false}, {"5.", false, false}, {"1.2.3", false, false},
		{"+5", false, false}, {" 5", false, false}, {"1_0", false, false}, {"9223372036854775807", false, true}, {"9223372036854775808", false, false}, {"-0", true, false},
	} {
		if got := CanonicalNumber(c.in); got != c.number {
			t.Errorf("CanonicalNumber(%q) = %v, want %v", c.in, got, c.number)
		}
		if got := CanonicalInt(c.in); got != c.int {
			t.Errorf("CanonicalInt(%q) = %v, want %v", c.in, got, c.int)
		}
	}
}
