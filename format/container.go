package format

import (
	"strings"
	"time"

	"trailward"
)

// CRI is the prefix of a container log line as the runtime interface of
// Kubernetes writes it: "2016-10-06T00:17:09.669794202Z stdout F message".
type CRI struct {
	Time    int64  // nanoseconds since the Unix epoch
	Stream  string // stdout or stderr
	Partial bool   // tag P: the message goes on in the stream's next line
	Message int    // where the message begins in the line
}

// ParseCRI reads the prefix of a line; ok is false when it has none.
func ParseCRI(line []byte) (c CRI, ok bool) {
	if len(line) < 28 || line[10] != 'T' || line[0] < '0' || line[0] > '9' {
		return c, false
	}
	sp := 19
	for sp < len(line) && sp < 40 && line[sp] != ' ' {
		sp++
	}
	if sp+9 > len(line) || line[sp] != ' ' || line[sp+7] != ' ' {
		return c, false
	}
	switch string(line[sp+1 : sp+7]) {
	case "stdout":
		c.Stream = "stdout"
	case "stderr":
		c.Stream = "stderr"
	default:
		return c, false
	}
	n, ns, ok := scanDateTime(line[:sp])
	zoned := line[sp-1] == 'Z' || line[sp-6] == '+' || line[sp-6] == '-'
	if !ok || n != sp || !zoned {
		return c, false
	}
	c.Time = ns
	// Tags are separated by colons, the first is P or F; the interface allows
	// for more to come.
	p := sp + 8
	switch line[p] {
	case 'P':
		c.Partial = true
	case 'F':
	default:
		return c, false
	}
	p++
	if p < len(line) && line[p] == ':' {
		for p < len(line) && line[p] > ' ' {
			p++
		}
	}
	if p < len(line) {
		if line[p] != ' ' {
			return c, false
		}
		p++
	}
	c.Message = p
	return c, true
}

// Docker is a line of Docker's json-file log driver:
// {"log":"message\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}.
type Docker struct {
	Time    int64  // nanoseconds since the Unix epoch
	Stream  string // stdout or stderr
	Partial bool   // the message has no line feed at its end: it goes on in the stream's next line
	Attrs   []trailward.Attr
}

// ParseDocker reads a line and appends its message to dst, unescaped and
// without the one line feed at its end, which is framing. ok is false, and dst
// as it was, when the line is anything else, or has a message that cannot be
// unescaped exactly: then the line itself is the record.
func ParseDocker(line, dst []byte) (d Docker, out []byte, ok bool) {
	base := len(dst)
	fail := func() (Docker, []byte, bool) { return Docker{}, dst[:base], false }
	i := JSONBlank(line, 0)
	if i >= len(line) || line[i] != '{' {
		return fail()
	}
	var log, stream, at bool
	for i++; ; i++ {
		key, keyEnd, val, end, ok := JSONMember(line, i)
		if !ok {
			return fail()
		}
		str := line[val] == '"'
		switch string(line[key:keyEnd]) {
		case "log":
			if log || !str {
				return fail()
			}
			log = true
			dst, ok = JSONUnquote(dst, line[val+1:end-1])
		case "stream":
			switch string(line[val:end]) {
			case `"stdout"`:
				d.Stream = "stdout"
			case `"stderr"`:
				d.Stream = "stderr"
			default:
				return fail()
			}
			ok = !stream
			stream = true
		case "time":
			if at || !str {
				return fail()
			}
			at = true
			d.Time, ok = ParseTime(line[val+1:end-1], time.Time{})
		case "attrs":
			d.Attrs, ok = dockerAttrs(line[val:end], d.Attrs)
		default:
			return fail()
		}
		if !ok {
			return fail()
		}
		i = JSONBlank(line, end)
		if i >= len(line) || line[i] != ',' && line[i] != '}' {
			return fail()
		}
		if line[i] == '}' {
			break
		}
	}
	if !log || !stream || !at || JSONBlank(line, i+1) != len(line) {
		return fail()
	}
	if n := len(dst); n > base && dst[n-1] == '\n' {
		dst = dst[:n-1]
	} else {
		d.Partial = true
	}
	return d, dst, true
}

// dockerAttrs reads the labels and variables that the log driver was told to
// add, an object of strings, as attributes attrs.<name>.
func dockerAttrs(obj []byte, attrs []trailward.Attr) ([]trailward.Attr, bool) {
	if obj[0] != '{' {
		return attrs, false
	}
	if JSONBlank(obj, 1) == len(obj)-1 {
		return attrs, true
	}
	for i := 1; ; i++ {
		key, keyEnd, val, end, ok := JSONMember(obj, i)
		if !ok || obj[val] != '"' || len(attrs) == maxDockerAttrs {
			return attrs, false
		}
		k, ok1 := JSONUnquote(nil, obj[key:keyEnd])
		v, ok2 := JSONUnquote(nil, obj[val+1:end-1])
		if !ok1 || !ok2 {
			return attrs, false
		}
		attrs = append(attrs, trailward.Attr{Name: trailward.JoinPath("attrs", string(k)), Value: string(v)})
		if i = JSONBlank(obj, end); obj[i] == '}' {
			return attrs, true
		} else if obj[i] != ',' {
			return attrs, false
		}
	}
}

// maxDockerAttrs bounds what one line says about itself; a line with more is
// kept as it is.
const maxDockerAttrs = 128

// KubernetesPath tells from the path of a container's log file which container
// wrote it. The kubelet names the file
// /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log (with a suffix once rotated)
// and links it as /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log; where
// the path begins does not matter.
func KubernetesPath(path string) (pod, namespace, container string, ok bool) {
	dir, base := cutLast(path)
	if name, found := strings.CutSuffix(base, ".log"); found && len(name) > 65 && name[len(name)-65] == '-' && isHex(name[len(name)-64:]) {
		parts := strings.Split(name[:len(name)-65], "_")
		if len(parts) == 3 && parts[0] != "" && parts[1] != "" && parts[2] != "" {
			return parts[0], parts[1], parts[2], true
		}
	}
	n := digitsEnd([]byte(base), 0)
	if n == 0 || !strings.HasPrefix(base[n:], ".log") {
		return "", "", "", false
	}
	dir, container = cutLast(dir)
	_, podDir := cutLast(dir)
	parts := strings.Split(podDir, "_")
	if container == "" || len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return "", "", "", false
	}
	// A static pod's id is the hash of its file, without dashes.
	if uid := strings.ReplaceAll(parts[2], "-", ""); len(uid) != 32 || !isHex(uid) {
		return "", "", "", false
	}
	return parts[1], parts[0], container, true
}

// cutLast cuts a path before its last element; members of archives are
// separated by "!".
func cutLast(path string) (dir, base string) {
	i := strings.LastIndexAny(path, `/\!`)
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
