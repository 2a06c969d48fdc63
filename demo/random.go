package demo

import "fmt"

// random is SplitMix64 (Steele, Lea, Flood 2014). The standard library's
// generators do not promise the same numbers in every Go version; the samples
// need that.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n gives a number from 0 to limit-1.
func (r *random) n(limit int) int { return int(r.next() % uint64(limit)) }

// between gives a number from lo to hi, both included.
func (r *random) between(lo, hi int) int { return lo + r.n(hi-lo+1) }

// oneIn is true once in n calls on average.
func (r *random) oneIn(n int) bool { return r.n(n) == 0 }

// pick gives one of words.
func (r *random) pick(words ...string) string { return words[r.n(len(words))] }

// hex gives n hexadecimal digits.
func (r *random) hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[r.n(16)]
	}
	return string(b)
}

// id gives n letters and digits in the alphabet of Kubernetes' name suffixes.
func (r *random) id(n int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.n(len(letters))]
	}
	return string(b)
}

// uuid gives a version 4 UUID.
func (r *random) uuid() string {
	return fmt.Sprintf("%s-%s-4%s-%c%s-%s", r.hex(8), r.hex(4), r.hex(3), "89ab"[r.n(4)], r.hex(3), r.hex(12))
}

// scanner gives a public address of one of the internet's background scanners.
func (r *random) scanner() string {
	return fmt.Sprintf("%s.%d", r.pick("192.0.2", "198.51.100", "203.0.113"), r.pickPort(4, 9, 18, 31, 44, 90, 101, 140, 177, 201, 230))
}

// pickPort gives one of numbers.
func (r *random) pickPort(numbers ...int) int { return numbers[r.n(len(numbers))] }
