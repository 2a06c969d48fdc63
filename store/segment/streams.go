package segment

import "slices"

// Streams returns the names of the streams that occur, sorted, if they are no more
// than most; else nil.
func (b *Builder) Streams(most int) []string {
	d := b.streams.dict
	if d == nil || len(d.ends) > most {
		return nil
	}
	out := make([]string, len(d.ends))
	for i := range out {
		out[i] = string(d.value(uint32(i)))
	}
	slices.Sort(out)
	return out
}
