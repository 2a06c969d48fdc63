package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"trailward"
)

func TestJSONScanner(t *testing.T) {
	deep := 100_000
	for _, c := range []struct {
		name, in string
		n        int
		state    ScanState
	}{
		{"object", `{"a":1}x`, 7, ScanDone},
		{"array", `[1,"]",{"b":[null]}] `, 20, ScanDone},
		{"string", `"a\"b"c`, 6, ScanDone},
		{"number", `12.5e3,`, 6, ScanDone},
		{"word", `true]`, 4, ScanDone},
		{"empty", `{}`, 2, ScanDone},
		{"white space", "{ \"a\" : [ ] ,\r\n\t\"b\" : { } }", 27, ScanDone},
		{"escapes", `{"\\":"\u0022\\"}`, 17, ScanDone},
		{"goes on", `{"a":[1,`, 8, ScanMore},
		{"goes on in a string", `{"a":"b`, 7, ScanMore},
		{"number goes on", `12`, 2, ScanMore},
		{"deep", strings.Repeat("[", deep) + strings.Repeat("]", deep), 2 * deep, ScanDone},
		{"deep, mixed", strings.Repeat(`{"a":[`, deep) + strings.Repeat("]}", deep), 8 * deep, ScanDone},
		{"deep, wrong in the end", strings.Repeat(`{"a":[`, deep) + strings.Repeat("]}", deep-1) + "}", 6*deep + 2*(deep-1), ScanBroken},
		{"wrong bracket", `{"a":1]`, 6, ScanBroken},
		{"wrong bracket inside", `[{"a":[1}]`, 8, ScanBroken},
		{"line feed in a string", "{\"a\":\"b\nc\"}", 7, ScanBroken},
		{"value behind a value", `{"a":1 {"b":2}}`, 7, ScanBroken},
		{"cut behind a number", "{\"a\":1\n{\"b\":2}", 7, ScanBroken},
		{"cut behind a comma", "{\"a\":1,\n{\"b\":2}", 8, ScanBroken},
		{"cut behind a colon", `{"a":,"b":1}`, 5, ScanBroken},
		{"two strings", `["a" "b"]`, 5, ScanBroken},
		{"comma at the end", `[1,]`, 3, ScanBroken},
		{"comma at the beginning", `[,1]`, 1, ScanBroken},
		{"colon in an array", `["a":1]`, 4, ScanBroken},
		{"no key", `{1:2}`, 1, ScanBroken},
		{"key without value", `{"a"}`, 4, ScanBroken},
		{"text", `{hello}`, 1, ScanBroken},
		{"text at once", `hello`, 0, ScanBroken},
		{"stray byte", `{"a":1;}`, 6, ScanBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s JSONScanner
			if n, state := s.Scan([]byte(c.in)); n != c.n || state != c.state {
				t.Errorf("Scan(%.60q) = %d, %v, want %d, %v", c.in, n, state, c.n, c.state)
			}
			s.Reset()
			n, state := 0, ScanMore // in pieces of one byte
			for i := 0; i < len(c.in) && state == ScanMore; i++ {
				var m int
				m, state = s.Scan([]byte{c.in[i]})
				n += m
			}
			if n != c.n || state != c.state {
				t.Errorf("Scan(%.60q) in pieces = %d, %v, want %d, %v", c.in, n, state, c.n, c.state)
			}
		})
	}
}

func FuzzJSONScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":"c\"\u00e9"}]}`, `[{}, []]`, `"x"`, `1e5`, `{"a":1]`, "{\"a\":\"\n\"}", `{"a":{},"a":[null,true]}`} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var s JSONScanner
		n, state := s.Scan(b)
		if n < 0 || n > len(b) {
			t.Fatalf("Scan(%q) = %d, want at most %d", b, n, len(b))
		}
		// What is valid JSON ends where it ends.
		if json.Valid(b) {
			trimmed := bytes.TrimLeft(b, " \t\r\n")
			s.Reset()
			n, state := s.Scan(trimmed)
			if rest := bytes.Trim(trimmed[n:], " \t\r\n"); len(rest) > 0 || state == ScanBroken || state == ScanMore && !s.Scalar() {
				t.Fatalf("Scan(%q) = %d, %v, want the whole of this valid JSON", trimmed, n, state)
			}
		}
		// Pieces make no difference.
		if len(b) > 0 {
			at := int(uint(cut) % uint(len(b)))
			var p JSONScanner
			m, pieceState := p.Scan(b[:at])
			if pieceState == ScanMore {
				var k int
				k, pieceState = p.Scan(b[at:])
				m += k
			}
			if m != n || pieceState != state {
				t.Fatalf("Scan(%q) cut at %d = %d, %v, want %d, %v", b, at, m, pieceState, n, state)
			}
		}
	})
}

func TestJSONUnquote(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		ok             bool
	}{
		{"plain", "hello", "hello", true},
		{"empty", "", "", true},
		{"short escapes", `\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t", true},
		{"code points", `\u00e9\u20AC`, "é€", true},
		{"pair", `\ud83d\ude00`, "😀", true},
		{"not UTF-8", "\xff\xfe", "\xff\xfe", true},
		{"half a pair", `\ud83d`, "", false},
		{"half a pair and text", `\ud83dxxxxxx`, "", false},
		{"low half first", `\ude00\ud83d`, "", false},
		{"unknown escape", `\x41`, "", false},
		{"cut escape", `\u00e`, "", false},
		{"backslash at the end", `a\`, "", false},
		{"control character", "a\nb", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := JSONUnquote([]byte("#"), []byte(c.in))
			if string(got) != "#"+c.want || ok != c.ok {
				t.Errorf("JSONUnquote(%q) = %q, %v, want %q, %v", c.in, got[1:], ok, c.want, c.ok)
			}
		})
	}
}

func FuzzJSONUnquote(f *testing.F) {
	for _, s := range []string{`a\n\u00e9\ud83d\ude00`, `\ud83d`, `"`, "\x00", `\u12`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, inside []byte) {
		got, ok := JSONUnquote(nil, inside)
		var want string
		err := json.Unmarshal([]byte(`"`+string(inside)+`"`), &want)
		if ok && err == nil && !strings.Contains(want, "\ufffd") && string(got) != want {
			t.Errorf("JSONUnquote(%q) = %q, want %q", inside, got, want)
		}
		if ok && err != nil && !bytes.ContainsRune(inside, '"') {
			t.Errorf("JSONUnquote(%q) = %q, want no: %v", inside, got, err)
		}
	})
}

func TestContent(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"both in front", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"x","stage":"y"}`, `"level":"x","stage":"y"}`},
		{"none", `{"level":"x","stage":"y"}`, `"level":"x","stage":"y"}`},
		{"white space", "{ \"kind\" : \"Event\" , \"level\":\"x\" }", `"level":"x" }`},
		{"one in front", `{"kind":"Event","level":"x"}`, `"level":"x"}`},
		{"one in the middle", `{"a":1,"kind":"Event","level":"x"}`, `"a":1,"level":"x"}`},
		{"both behind", `{"a":1,"kind":"Event","level":"x","apiVersion":"audit.k8s.io/v1"}`, `"a":1,"level":"x"}`},
		{"another version", `{"kind":"Event","apiVersion":"audit.k8s.io/v1beta1","level":"x"}`, `"apiVersion":"audit.k8s.io/v1beta1","level":"x"}`},
		{"another kind", `{"kind":"Evil","apiVersion":"audit.k8s.io/v1","level":"x"}`, `"kind":"Evil","level":"x"}`},
		{"deeper ones stay", `{"objectRef":{"kind":"Pod","apiVersion":"v1"}}`, `"objectRef":{"kind":"Pod","apiVersion":"v1"}}`},
		{"nothing else", `{"kind":"Event"}`, `}`},
		{"empty", `{}`, `}`},
		{"broken", `{"kind":"Event",`, `{"kind":"Event",`},
		{"no object", `[1]`, `[1]`},
		{"no bytes", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Content(trailward.KindK8sAudit, []byte(c.in)); string(got) != c.want {
				t.Errorf("Content(%q) = %q, want %q", c.in, got, c.want)
			}
			if got := Content(trailward.KindCloudTrail, []byte(c.in)); string(got) != c.in {
				t.Errorf("Content(%q) of another kind = %q, want all of it", c.in, got)
			}
		})
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(`{"kind":"Event","apiVersion":"v","a":1}`))
	f.Add([]byte(`{"a":1,"kind":{"kind":1},"b":[1,2]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := Content(trailward.KindK8sAudit, raw)
		if len(got) > len(raw) {
			t.Fatalf("Content(%q) = %q, want no more bytes than there are", raw, got)
		}
		// Without the two members, in front or not, it is the same content.
		if !json.Valid(raw) || !bytes.HasPrefix(raw, []byte(`{"`)) {
			return
		}
		more := append([]byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1",`), raw[1:]...)
		var keys map[string]json.RawMessage
		if json.Unmarshal(raw, &keys) != nil {
			return
		}
		for k := range keys {
			if strings.EqualFold(k, "kind") || strings.EqualFold(k, "apiVersion") {
				return
			}
		}
		if strings.Contains(string(raw), "kind") || strings.Contains(string(raw), "apiVersion") {
			return // deeper, or written with escapes, or twice
		}
		if again := Content(trailward.KindK8sAudit, more); !bytes.Equal(again, got) {
			t.Fatalf("Content(%q) = %q, want %q as without kind and apiVersion", more, again, got)
		}
	})
}

func TestParseCRI(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"full", "2016-10-06T00:17:09.669794202Z stdout F log content", "1475713029669794202 stdout false log content"},
		{"partial", "2016-10-06T00:17:09.669794202Z stderr P log content ", "1475713029669794202 stderr true log content "},
		{"offset", "2016-10-06T02:17:09.669794202+02:00 stdout F x", "1475713029669794202 stdout false x"},
		{"more tags", "2016-10-06T00:17:09Z stdout F:x:y z", "1475713029000000000 stdout false z"},
		{"empty", "2016-10-06T00:17:09.669794202Z stdout F ", "1475713029669794202 stdout false "},
		{"empty, no space", "2016-10-06T00:17:09.669794202Z stdout F", "1475713029669794202 stdout false "},
		{"no time", "stdout F x", "no"},
		{"no zone", "2016-10-06T00:17:09.669794202 stdout F x", "no"},
		{"no stream", "2016-10-06T00:17:09.669794202Z stdin  F x", "no"},
		{"no tag", "2016-10-06T00:17:09.669794202Z stdout x", "no"},
		{"tag with more letters", "2016-10-06T00:17:09.669794202Z stdout FULL x", "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := "no"
			if p, ok := ParseCRI([]byte(c.line)); ok {
				got = fmt.Sprintf("%d %s %v %s", p.Time, p.Stream, p.Partial, c.line[p.Message:])
			}
			if got != c.want {
				t.Errorf("ParseCRI(%q) = %q, want %q", c.line, got, c.want)
			}
		})
	}
}

func TestParseDocker(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"full", `{"log":"a\u00e9\"b\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`, "1456959531338462311 stdout false [] aé\"b"},
		{"partial", `{"log":"a","stream":"stderr","time":"2016-03-02T22:58:51.338462311Z"}`, "1456959531338462311 stderr true [] a"},
		{"attributes", `{"log":"a\n","stream":"stdout","attrs":{"env.x":"1"},"time":"2016-03-02T22:58:51.338462311Z"}` + "\r", `1456959531338462311 stdout false [{attrs.env\.x 1}] a`},
		{"two line feeds", `{"log":"a\n\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`, "1456959531338462311 stdout false [] a\n"},
		{"half a surrogate pair", `{"log":"\ud800\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`, "no"},
		{"another member", `{"log":"a\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z","x":1}`, "no"},
		{"no stream", `{"log":"a\n","time":"2016-03-02T22:58:51.338462311Z"}`, "no"},
		{"twice", `{"log":"a\n","log":"b\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`, "no"},
		{"something behind", `{"log":"a\n","stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"} x`, "no"},
		{"log is a number", `{"log":1,"stream":"stdout","time":"2016-03-02T22:58:51.338462311Z"}`, "no"},
		{"cut", `{"log":"a\n","stream":"stdout","ti`, "no"},
		{"empty object", `{}`, "no"},
		{"text", `x`, "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, out, ok := ParseDocker([]byte(c.line), []byte("#"))
			got := "no"
			if ok {
				got = fmt.Sprintf("%d %s %v %v %s", d.Time, d.Stream, d.Partial, d.Attrs, out[1:])
			} else if string(out) != "#" {
				t.Errorf("ParseDocker(%q) = false and %q, want dst as it was", c.line, out)
			}
			if got != c.want {
				t.Errorf("ParseDocker(%q) = %q, want %q", c.line, got, c.want)
			}
		})
	}
}

func TestKubernetesPath(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct{ path, want string }{
		{"/var/log/containers/web-1_prod_app-" + id + ".log", "web-1 prod app true"},
		{"web-1_prod_app-x-" + id + ".log", "web-1 prod app-x true"},
		{"/var/log/pods/prod_web-1_0a1b2c3d-0000-1111-2222-333344445555/app/0.log", "web-1 prod app true"},
		{"logs.tar!var/log/pods/prod_web-1_0a1b2c3d-0000-1111-2222-333344445555/app/12.log.20240101-120000.gz", "web-1 prod app true"},
		{"/var/log/pods/kube-system_etcd-n1_0a1b2c3d000011112222333344445555/etcd/0.log", "etcd-n1 kube-system etcd true"},
		{"/var/log/pods/a_b/app/0.log", "   false"},
		{"/var/log/syslog", "   false"},
		{"", "   false"},
		{"0.log", "   false"},
	} {
		t.Run(c.path, func(t *testing.T) {
			pod, ns, container, ok := KubernetesPath(c.path)
			if got := fmt.Sprintf("%s %s %s %v", pod, ns, container, ok); got != c.want {
				t.Errorf("KubernetesPath(%q) = %q, want %q", c.path, got, c.want)
			}
		})
	}
}
