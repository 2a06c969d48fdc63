package format

import (
	"strings"
	"testing"
)

func TestParseDigest(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	const head = `{"awsAccountId":"1","digestStartTime":"2026-01-02T02:00:00Z","digestEndTime":"2026-01-02T03:00:00Z","digestS3Bucket":"b","digestS3Object":"d2.json.gz"`
	file := func(object, hash, algorithm string) string {
		return `{"s3Bucket":"b","s3Object":"` + object + `","hashValue":"` + hash + `","hashAlgorithm":"` + algorithm + `"}`
	}
	for _, c := range []struct {
		name, in string
		ok       bool
		objects  string // those named, a digest with !
	}{
		{"an hour with two files", head + `,"previousDigestS3Object":"d1.json.gz","previousDigestHashValue":"` + hash + `","previousDigestHashAlgorithm":"SHA-256","logFiles":[` + file("a", hash, "SHA-256") + "," + file("b", hash, "SHA-256") + "]}", true, "a b !d1.json.gz"},
		{"the first one, of an empty hour", head + `,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"logFiles":[]}`, true, ""},
		{"pretty-printed", strings.ReplaceAll(head, ",", ",\n  ") + ",\n\"logFiles\": [\n" + file("a", hash, "SHA-256") + "]}\n", true, "a"},
		{"hashes that are none", head + `,"logFiles":[` + file("a", "zz", "SHA-256") + "," + file("b", hash[:10], "SHA-256") + "," + file("c", hash, "MD5") + "," + file("", hash, "SHA-256") + "]}", true, ""},
		{"cut", head + `,"logFiles":[`, false, ""},
		{"an event that names a digest", `{"eventVersion":"1.08","requestParameters":{"digestS3Object":"x"}}`, false, ""},
		{"wrong types", `{"awsAccountId":1,"digestS3Object":[]}`, false, ""},
		{"text", `"digestS3Object"`, false, ""},
		{"nothing", "", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ok := ParseDigest([]byte(c.in))
			var got []string
			for _, f := range d.Files {
				if f.Digest {
					f.Object = "!" + f.Object
				}
				if f.Sum != [32]byte([]byte(strings.Repeat("\x0a", 32))) {
					t.Errorf("ParseDigest() has %x for %s, want %s", f.Sum, f.Object, hash)
				}
				got = append(got, f.Object)
			}
			if ok != c.ok || strings.Join(got, " ") != c.objects || ok && d.Object != "d2.json.gz" {
				t.Errorf("ParseDigest(%s) = %s %v, %v, want %q, %v", c.in, d.Object, got, ok, c.objects, c.ok)
			}
		})
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add([]byte(`{"awsAccountId":"1","digestStartTime":"x","digestEndTime":"y","digestS3Object":"d","logFiles":[{"s3Object":"a","hashValue":"00","hashAlgorithm":"SHA-256"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := ParseDigest(b); !ok && (len(d.Files) > 0 || d.Object != "") {
			t.Errorf("ParseDigest(%q) = %+v, false, want nothing with it", b, d)
		}
	})
}
