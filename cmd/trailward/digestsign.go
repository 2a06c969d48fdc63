package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"trailward/api"
	"trailward/format"
)

// wrongSignature is the reason for which a CloudTrail digest is counted that is not as
// it was signed.
const wrongSignature = "wrong digest signature"

// maxKeysFile bounds a file of public keys, in bytes. A key takes half a KiB.
const maxKeysFile = 16 << 20

// digestKeys are public keys of CloudTrail by their fingerprints. They are of a
// region and of a time; the fingerprint in a digest says which one it is signed with.
type digestKeys map[string]*rsa.PublicKey

// readDigestKeys reads files of what `aws cloudtrail list-public-keys` prints.
func readDigestKeys(paths []string) (digestKeys, error) {
	keys := digestKeys{}
	for _, path := range paths {
		if err := keys.read(path); err != nil {
			return nil, fmt.Errorf("read CloudTrail's public keys: %s: %w", path, err)
		}
	}
	return keys, nil
}

func (k digestKeys) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxKeysFile {
		return fmt.Errorf("it has more than %d bytes", maxKeysFile)
	}
	return k.parse(data)
}

// parse takes the keys out of such an output.
func (k digestKeys) parse(data []byte) error {
	var list struct {
		Keys []struct {
			Value       string `json:"Value"`
			Fingerprint string `json:"Fingerprint"`
		} `json:"PublicKeyList"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("want the JSON that `aws cloudtrail list-public-keys` prints: %w", err)
	}
	if len(list.Keys) == 0 {
		return fmt.Errorf("it has no key: want the JSON that `aws cloudtrail list-public-keys` prints, for the time of the digests")
	}
	for i, e := range list.Keys {
		der, err := base64.StdEncoding.DecodeString(e.Value)
		if err != nil {
			return fmt.Errorf("key %d: %w", i+1, err)
		}
		// Documented as PKCS #1; a documented answer has one of the other form.
		key, err := x509.ParsePKCS1PublicKey(der)
		if err != nil {
			any, err := x509.ParsePKIXPublicKey(der)
			if err != nil {
				return fmt.Errorf("key %d: it is neither a PKCS #1 nor a SubjectPublicKeyInfo key", i+1)
			}
			var ok bool
			if key, ok = any.(*rsa.PublicKey); !ok {
				return fmt.Errorf("key %d: it is no RSA key", i+1)
			}
		}
		if e.Fingerprint == "" {
			return fmt.Errorf("key %d: it has no fingerprint", i+1)
		}
		k[strings.ToLower(e.Fingerprint)] = key
	}
	return nil
}

// signedText is what CloudTrail signs of a digest whose bytes, unpacked, have the SHA-256 sum
// (CloudTrail user guide, "Custom implementations of CloudTrail log file integrity validation").
func signedText(d *format.Digest, sum [32]byte) string {
	previous := d.PreviousSignature
	if previous == "" {
		previous = "null" // of the first digest of a chain
	}
	return d.End + "\n" + d.Bucket + "/" + d.Object + "\n" + hex.EncodeToString(sum[:]) + "\n" + previous
}

// signatures checks the signature of each digest for which the digest after it, which
// has it, is among those loaded, and says what it found.
func (d *digestSums) signatures(total *api.IngestResult, warn func(string)) {
	good, wrong, unknown, open := 0, 0, 0, 0
	signed := map[string]bool{} // by file: its signature is in another digest
	for _, name := range slices.Sorted(maps.Keys(d.digests)) {
		later := d.digests[name]
		if later.PreviousSignature == "" {
			continue
		}
		for _, f := range nearest(d.files[objectBase(later.Previous)], later.Previous) {
			it, ok := d.digests[f.name]
			if !ok {
				continue // it is no digest, and is told as a wrong one
			}
			signed[f.name] = true
			key := d.keys[strings.ToLower(it.Fingerprint)]
			if key == nil || it.Algorithm != "SHA256withRSA" {
				unknown++
				continue
			}
			signature, err := hex.DecodeString(later.PreviousSignature)
			hash := sha256.Sum256([]byte(signedText(&it, f.sum)))
			if err == nil {
				err = rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature)
			}
			if err == nil {
				good++
				continue
			}
			addDamage(total, wrongSignature, 1)
			if wrong++; wrong <= maxWrongTold {
				warn(fmt.Sprintf("%s: the signature that the CloudTrail digest %s has of it is not right: one of the two is not as it was delivered", f.name, name))
			}
		}
	}
	for name := range d.digests {
		if !signed[name] {
			open++
		}
	}
	if wrong > maxWrongTold {
		warn(fmt.Sprintf("%d more digests are not as they were signed; the summary counts them", wrong-maxWrongTold))
	}
	if unknown > 0 {
		warn(fmt.Sprintf("%d of %d CloudTrail digests are signed with a key that --digest-keys does not have, and were not checked", unknown, len(d.digests)))
	}
	if good > 0 {
		warn(fmt.Sprintf("the signatures of %d of %d CloudTrail digests are right", good, len(d.digests)))
	}
	if open > 0 {
		warn(fmt.Sprintf("the signatures of %d of %d CloudTrail digests are not among what was loaded, and were not checked: the digest of the hour after has them, and the metadata of the object", open, len(d.digests)))
	}
}
