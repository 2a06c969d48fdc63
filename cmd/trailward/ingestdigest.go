package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"trailward/api"
	"trailward/format"
)

// wrongDigest is the reason for which a file is counted whose bytes are not
// those that a CloudTrail digest names.
const wrongDigest = "wrong digest"

// Limits of what is remembered of a load to hold its files against the digests
// among them.
const (
	maxDigestFiles = 1 << 20 // files, and as many that digests name
	maxWrongTold   = 20      // wrong ones that are named one by one
)

// digestSums holds the log files and digests of a load against what the digests
// among them say. A digest's own signature is not in the file but in the
// object's metadata, and in the digest of the hour after.
type digestSums struct {
	keys    digestKeys               // to check signatures with; nil: they are not checked
	digests map[string]format.Digest // by file, without the files that they name; with keys only
	files   map[string][]summed      // by the last part of their name
	count   int
	wanted  []wanted
	over    bool // there were more than maxDigestFiles
}

// summed is a file of the load.
type summed struct {
	name string
	sum  [32]byte
}

// wanted is a file that a digest names.
type wanted struct {
	format.DigestFile
	by string // the digest
}

// record looks at record n of a file; a digest is alone in its file.
func (d *digestSums) record(name string, n int64, raw []byte) {
	if n != 0 {
		return
	}
	digest, ok := format.ParseDigest(raw)
	if !ok {
		return
	}
	if d.keys != nil {
		if d.digests == nil {
			d.digests = map[string]format.Digest{}
		}
		if len(d.digests) == maxDigestFiles {
			d.over = true
			return
		}
		head := digest
		head.Files = nil
		d.digests[name] = head
	}
	for _, f := range digest.Files {
		if len(d.wanted) == maxDigestFiles {
			d.over = true
			return
		}
		d.wanted = append(d.wanted, wanted{f, name})
	}
}

// file says that a file was read to its end, and what SHA-256 its bytes have.
func (d *digestSums) file(name string, sum [32]byte) {
	base := objectBase(name)
	if !strings.Contains(strings.ToLower(base), "cloudtrail") { // it is in every name that a digest can name
		return
	}
	if d.count == maxDigestFiles {
		d.over = true
		return
	}
	d.count++
	if d.files == nil {
		d.files = map[string][]summed{}
	}
	d.files[base] = append(d.files[base], summed{name, sum})
}

// objectBase is the last part of a path, without the ending of its compression:
// a copy may have been unpacked.
func objectBase(name string) string {
	if i := strings.LastIndexAny(name, `/\!`); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSuffix(name, ".gz")
}

// report counts the files that are not what a digest says, and names them.
func (d *digestSums) report(total *api.IngestResult, warn func(string)) {
	wrong, missing := 0, 0
	for _, w := range d.wanted {
		found := nearest(d.files[objectBase(w.Object)], w.Object)
		if len(found) == 0 {
			missing++
			continue
		}
		for _, f := range found {
			if f.sum == w.Sum {
				continue
			}
			addDamage(total, wrongDigest, 1)
			if wrong++; wrong <= maxWrongTold {
				warn(fmt.Sprintf("%s: its SHA-256 is %s, the CloudTrail digest %s says %s: it is not the file that was delivered", f.name, hex.EncodeToString(f.sum[:]), w.by, hex.EncodeToString(w.Sum[:])))
			}
		}
	}
	if wrong > maxWrongTold {
		warn(fmt.Sprintf("%d more files are not those that digests name; the summary counts them", wrong-maxWrongTold))
	}
	if missing > 0 {
		warn(fmt.Sprintf("%d of the %d files that CloudTrail digests name are not among those loaded now, and were not compared", missing, len(d.wanted)))
	}
	if d.keys != nil {
		d.signatures(total, warn)
	}
	if d.over {
		warn(fmt.Sprintf("there are more than %d CloudTrail files: not all were held against the digests", maxDigestFiles))
	}
}

// nearest returns those files whose path has the most of an object's key in it,
// counted from the end: copies of two accounts' trails may lie side by side.
func nearest(files []summed, object string) (best []summed) {
	most := -1
	for _, f := range files {
		n := 0
		a, b := pathParts(f.name), pathParts(object)
		for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
			n++
		}
		switch {
		case n > most:
			best, most = append(best[:0:0], f), n
		case n == most:
			best = append(best, f)
		}
	}
	return best
}

func pathParts(name string) []string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || r == '!' })
	if len(parts) > 0 {
		parts[len(parts)-1] = strings.TrimSuffix(parts[len(parts)-1], ".gz")
	}
	return parts
}
