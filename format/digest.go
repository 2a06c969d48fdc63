package format

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
)

// Digest is what a CloudTrail digest file says of other files (CloudTrail user
// guide, "CloudTrail digest file structure").
type Digest struct {
	Object string // its own key in the bucket: digestS3Object
	Bucket string // digestS3Bucket
	End    string // digestEndTime, as it stands there
	// Fingerprint is that of the public key that it is signed with, and Algorithm
	// how. Its signature is not in it.
	Fingerprint, Algorithm string
	// Previous is the key of the digest of the hour before, and PreviousSignature the
	// signature of that, in hexadecimal; empty if there was none.
	Previous, PreviousSignature string
	// Files are the log files of the hour, and last the digest of the hour
	// before, if there was one.
	Files []DigestFile
}

// DigestFile is a file that a digest names.
type DigestFile struct {
	Object string   // its key in the bucket: s3Object
	Sum    [32]byte // SHA-256 of its bytes without the compression around them
	Digest bool     // it is a digest itself
}

// ParseDigest reads a digest file. ok is false when raw is none. A file whose
// hash is not a SHA-256, which CloudTrail does not write, is left out.
func ParseDigest(raw []byte) (d Digest, ok bool) {
	// It is asked for the first record of every file, so most of them must be
	// known by less than reading them.
	if i := JSONBlank(raw, 0); i == len(raw) || raw[i] != '{' || !bytes.Contains(raw, []byte(`"digestS3Object"`)) {
		return d, false
	}
	var f struct {
		Account  *string `json:"awsAccountId"`
		Start    *string `json:"digestStartTime"`
		End      *string `json:"digestEndTime"`
		Object   *string `json:"digestS3Object"`
		Bucket   string  `json:"digestS3Bucket"`
		Key      string  `json:"digestPublicKeyFingerprint"`
		Signed   string  `json:"digestSignatureAlgorithm"`
		Previous *string `json:"previousDigestS3Object"`
		PrevSign string  `json:"previousDigestSignature"`
		PrevHash *string `json:"previousDigestHashValue"`
		PrevAlgo *string `json:"previousDigestHashAlgorithm"`
		LogFiles []struct {
			Object string `json:"s3Object"`
			Hash   string `json:"hashValue"`
			Algo   string `json:"hashAlgorithm"`
		} `json:"logFiles"`
	}
	if json.Unmarshal(raw, &f) != nil || f.Account == nil || f.Start == nil || f.End == nil || f.Object == nil {
		return d, false
	}
	d.Object, d.Bucket, d.End, d.Fingerprint, d.Algorithm, d.PreviousSignature = *f.Object, f.Bucket, *f.End, f.Key, f.Signed, f.PrevSign
	if f.Previous != nil {
		d.Previous = *f.Previous
	}
	add := func(object, hash, algorithm string, digest bool) {
		sum, err := hex.DecodeString(hash)
		if object == "" || algorithm != "SHA-256" || err != nil || len(sum) != 32 {
			return
		}
		d.Files = append(d.Files, DigestFile{Object: object, Sum: [32]byte(sum), Digest: digest})
	}
	for _, l := range f.LogFiles {
		add(l.Object, l.Hash, l.Algo, false)
	}
	if f.Previous != nil && f.PrevHash != nil && f.PrevAlgo != nil {
		add(*f.Previous, *f.PrevHash, *f.PrevAlgo, true)
	}
	return d, true
}
