package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// keyList is what list-public-keys prints of a key in a DER form.
func keyList(fingerprint string, der []byte) string {
	return fmt.Sprintf(`{"PublicKeyList":[{"Value":%q,"ValidityStartTime":1767312000.0,"ValidityEndTime":1769904000.0,"Fingerprint":%q}]}`, base64.StdEncoding.EncodeToString(der), fingerprint)
}

// TestDigestSignatures loads a chain of digests that are signed as the reference says: the
// end time, the object, the SHA-256 of the bytes and the signature before, a line each.
func TestDigestSignatures(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const fingerprint = "31e8b5433410dfb61a9dc45cc65b22ff"
	sign := func(text string) string {
		h := sha256.Sum256([]byte(text))
		s, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, h[:])
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(s)
	}
	var names, contents []string
	previous := `"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null`
	last := "null"
	for hour := 3; hour < 6; hour++ {
		end := fmt.Sprintf("2026-01-02T%02d:00:00Z", hour)
		object := fmt.Sprintf("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/02/111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20260102T%02d0000Z.json.gz", hour)
		content := fmt.Sprintf(`{"awsAccountId":"111122223333","digestStartTime":"2026-01-02T02:00:00Z","digestEndTime":%q,"digestS3Bucket":"b","digestS3Object":%q,`+
			`"digestPublicKeyFingerprint":%q,"digestSignatureAlgorithm":"SHA256withRSA",%s,"logFiles":[]}`, end, object, fingerprint, previous)
		sum := sha256.Sum256([]byte(content))
		last = sign(end + "\nb/" + object + "\n" + hex.EncodeToString(sum[:]) + "\n" + last)
		previous = fmt.Sprintf(`"previousDigestS3Bucket":"b","previousDigestS3Object":%q,"previousDigestHashValue":%q,"previousDigestHashAlgorithm":"SHA-256","previousDigestSignature":%q`,
			object, hex.EncodeToString(sum[:]), last)
		names, contents = append(names, object), append(contents, content)
	}
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	altered := func(i int, from, to string) []string {
		list := append([]string(nil), contents...)
		list[i] = strings.Replace(list[i], from, to, 1)
		if list[i] == contents[i] {
			t.Fatalf("%q is not in %s", from, contents[i])
		}
		return list
	}
	// One who alters a digest can put its new hash into the next, but not sign it.
	forged := altered(0, `"logFiles":[]`, `"logFiles":[ ]`)
	was, is := sha256.Sum256([]byte(contents[0])), sha256.Sum256([]byte(forged[0]))
	forged[1] = strings.Replace(forged[1], hex.EncodeToString(was[:]), hex.EncodeToString(is[:]), 1)
	for _, c := range []struct {
		name     string
		keys     string // empty: not checked
		contents []string
		wrong    int64
		says     []string
	}{
		{"sound", keyList(fingerprint, pkcs1), contents, 0, []string{"the signatures of 2 of 3 CloudTrail digests are right", "the signatures of 1 of 3 CloudTrail digests are not among"}},
		{"a key in the other form, in capitals", keyList(strings.ToUpper(fingerprint), pkix), contents, 0, []string{"the signatures of 2 of 3"}},
		{"the middle one missing", keyList(fingerprint, pkcs1), []string{contents[0], "", contents[2]}, 0, []string{"the signatures of 2 of 2 CloudTrail digests are not among"}},
		{"another key of that fingerprint", keyList(fingerprint, x509.MarshalPKCS1PublicKey(&other.PublicKey)), contents, 2, []string{"030000Z", "040000Z"}},
		{"a key that is not there", keyList("00", pkcs1), contents, 0, []string{"2 of 3 CloudTrail digests are signed with a key"}},
		{"a digest altered", keyList(fingerprint, pkcs1), altered(0, `"logFiles":[]`, `"logFiles":[ ]`), 1, []string{"030000Z", "the signatures of 1 of 3 CloudTrail digests are right"}},
		// The second is another one now, too, and so no longer as it was signed.
		{"a digest altered, and its hash in the next", keyList(fingerprint, pkcs1), forged, 2, []string{"030000Z", "040000Z"}},
		{"a signature that is none", keyList(fingerprint, pkcs1), altered(2, `"previousDigestSignature":"`, `"previousDigestSignature":"xx`), 1, []string{"040000Z"}},
		{"no keys", "", forged, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newOwner(t)
			dir, keys := t.TempDir(), filepath.Join(t.TempDir(), "keys.json")
			for i, content := range c.contents {
				if content != "" {
					put(t, filepath.Join(dir, names[i]), packed(content))
				}
			}
			args := []string{dir}
			if c.keys != "" {
				put(t, keys, c.keys)
				args = append(args, "--digest-keys", keys)
			}
			for _, again := range []string{"first load", "again"} {
				res, said := k.load(args...)
				if res.Damaged[wrongSignature] != c.wrong {
					t.Errorf("%s: damaged %v, want %d wrong signatures: %s", again, res.Damaged, c.wrong, said)
				}
				for _, w := range c.says {
					if !strings.Contains(said, w) {
						t.Errorf("%s: it said %q, want %q in it", again, said, w)
					}
				}
				if c.keys == "" && strings.Contains(said, "signature") {
					t.Errorf("%s: it said %q of signatures without keys", again, said)
				}
			}
		})
	}
}

func TestDigestKeysRefused(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", "x", "list-public-keys"},
		{"no keys", `{"PublicKeyList":[]}`, "no key"},
		{"no base64", `{"PublicKeyList":[{"Value":"?","Fingerprint":"f"}]}`, "key 1"},
		{"no key", keyList("f", []byte("x")), "neither"},
		{"no RSA", keyList("f", ecDER), "no RSA key"},
	} {
		if err := (digestKeys{}).parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	k := newOwner(t)
	if code, _, errs := k.run("", "ingest", "--group", "/g", "--digest-keys", filepath.Join(t.TempDir(), "none"), "-"); code == exitGood || !strings.Contains(errs, "public keys") {
		t.Errorf("ingest with keys that are not there: status %d, %s", code, errs)
	}
}

// FuzzDigestKeys: whatever a file of keys holds, it is taken or refused.
func FuzzDigestKeys(f *testing.F) {
	f.Add([]byte(keyList("f", []byte("x"))))
	f.Add([]byte(`{"PublicKeyList":[{"Value":"","Fingerprint":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := digestKeys{}
		if err := k.parse(data); err == nil && len(k) == 0 {
			t.Error("keys were taken, and there is none")
		}
	})
}
