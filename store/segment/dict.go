package segment

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/zeebo/xxh3"
)

// dict numbers distinct values in order of their first coming.
type dict struct {
	data   []byte
	ends   []uint32
	table  []dictSlot // open addressing; a power of two, at most half full
	latest dictSlot   // of the value put last
}

// dictSlot has the value itself where it is short, as addresses and ids are:
// a look-up in a dictionary that is larger than the processor's cache waits for
// memory once and not three times, and compares two words.
type dictSlot struct {
	lo, hi uint64 // the value's bytes and zeros behind them; of a longer one its hash and 0
	num    uint32 // number + 1; 0 is a free slot
	size   uint8  // of the value, inSlot+1 for a longer one
}

// inSlot is how long a value is at most that a slot has.
const inSlot = 16

// dictSeeds are others in each process, so that nobody can choose values that
// all belong into one slot.
var dictSeeds = [2]uint64{rand.Uint64(), rand.Uint64()}

// slotOf returns the slot for a value, all but the number.
func slotOf(v []byte) (s dictSlot) {
	if len(v) > inSlot {
		return dictSlot{lo: xxh3.Hash(v), size: inSlot + 1}
	}
	s.size = uint8(len(v))
	var b []byte
	if cap(v) >= inSlot { // what is behind it is part of the same record
		b = v[:inSlot]
	} else {
		var room [inSlot]byte
		copy(room[:], v)
		b = room[:]
	}
	s.lo = binary.LittleEndian.Uint64(b)
	if len(v) < 8 {
		s.lo &= 1<<(8*len(v)) - 1
		return s
	}
	s.hi = binary.LittleEndian.Uint64(b[8:]) & (1<<(8*(len(v)-8)) - 1)
	return s
}

func (s *dictSlot) hash() uint32 {
	x, y := bits.Mul64(s.lo^dictSeeds[0], s.hi^dictSeeds[1])
	return uint32(x ^ y)
}

func newDict() *dict { return &dict{table: make([]dictSlot, 64)} }

func (d *dict) value(i uint32) []byte {
	var from uint32
	if i > 0 {
		from = d.ends[i-1]
	}
	return d.data[from:d.ends[i]:d.ends[i]]
}

// is reports whether slot t, which is not free, is of the value v, whose slot is s.
func (d *dict) is(t, s *dictSlot, v []byte) bool {
	return t.lo == s.lo && t.hi == s.hi && t.size == s.size && (s.size <= inSlot || string(d.value(t.num-1)) == string(v))
}

// put returns the number of a value, a new one if it is new.
func (d *dict) put(v []byte) uint32 {
	s := slotOf(v)
	if d.latest.num != 0 && d.is(&d.latest, &s, v) { // neighbours are often equal
		return d.latest.num - 1
	}
	mask := uint32(len(d.table) - 1)
	i := s.hash() & mask
	for ; d.table[i].num != 0; i = (i + 1) & mask {
		if t := &d.table[i]; d.is(t, &s, v) {
			d.latest = *t
			return t.num - 1
		}
	}
	d.data = append(d.data, v...)
	d.ends = append(d.ends, uint32(len(d.data)))
	s.num = uint32(len(d.ends))
	d.table[i], d.latest = s, s
	if 2*len(d.ends) > len(d.table) {
		old := d.table
		d.table = make([]dictSlot, 2*len(old))
		mask = uint32(len(d.table) - 1)
		for _, s := range old {
			if s.num != 0 {
				j := s.hash() & mask
				for d.table[j].num != 0 {
					j = (j + 1) & mask
				}
				d.table[j] = s
			}
		}
	}
	return s.num - 1
}
