package trailward

import "strings"

// A path names a field inside a record: the keys from the outside in, joined
// by dots. A dot or a backslash that belongs to a key is written with a
// backslash before it, so that {"a.b":1} and {"a":{"b":1}} stay different:
// a\.b and a.b. Names that begin with @ are ours (@timestamp); a record's own
// key that begins with @ gets a second one, as CloudWatch Logs does it.

// JoinPath makes a path of keys.
func JoinPath(keys ...string) string {
	if len(keys) == 1 && !strings.ContainsAny(keys[0], `.\`) {
		return keys[0]
	}
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('.')
		}
		for j := 0; j < len(k); j++ {
			if k[j] == '.' || k[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(k[j])
		}
	}
	return b.String()
}

// SplitPath takes a path apart into its keys; it undoes [JoinPath].
func SplitPath(path string) []string {
	if !strings.ContainsAny(path, `.\`) {
		return []string{path}
	}
	var keys []string
	var b []byte
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			b = append(b, path[i])
		case c == '.':
			keys = append(keys, string(b))
			b = b[:0]
		default:
			b = append(b, c)
		}
	}
	return append(keys, string(b))
}
