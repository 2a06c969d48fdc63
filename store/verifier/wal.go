package verifier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"trailward/internal/journal"
	"trailward/internal/vfs"
	"trailward/store/seal"
)

const restoreWAL = "keep a copy of the file; the records of the entries named are lost unless a backup has the file"

// wal reads every file of the WAL, without taking anything from it.
func (v *verification) wal(ctx context.Context) error {
	if v.WALDir == "" {
		return nil
	}
	entries, err := v.FS.ReadDir(v.WALDir)
	if errors.Is(err, fs.ErrNotExist) {
		v.find(Finding{Missing, v.WALDir, "there is no such folder", "records that were accepted last may be lost: put it back from a backup"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", v.WALDir, err)
	}
	var files []walFile
	var total int64
	for _, e := range entries {
		name := path.Join(v.WALDir, e.Name())
		digits, isFile := strings.CutSuffix(e.Name(), ".wal")
		number, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case isFile && err == nil && len(digits) == 20:
			info, err := v.FS.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			files = append(files, walFile{number, name})
			total += info.Size()
		case strings.HasSuffix(e.Name(), ".wal"+vfs.TempSuffix):
			if !v.opt.Live {
				v.notice(Finding{Leftover, name, "its making was cut off", "the next start removes it"})
			}
		case strings.HasSuffix(e.Name(), ".wal.damaged"):
			v.notice(Finding{Leftover, name, "a start found damage in it and put it aside; its other entries are in segments", "examine it, then delete it"})
		default:
			v.find(Finding{Added, name, "it is no file of the WAL", "find out who put it there; take it away"})
		}
	}
	v.stage("wal", total)
	w := &walReader{v: v}
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.file(f, i == len(files)-1); err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
	}
	return nil
}

type walFile struct {
	number uint64
	name   string
}

// walReader keeps what goes from one file to the next.
type walReader struct {
	v     *verification
	known bool
	file0 walFile // the file before
	next  uint64  // the entry with which the file should begin
	tail  int64   // bytes behind the last whole frame of the file before
	end   int64
}

func (w *walReader) file(f walFile, last bool) error {
	h, err := w.v.FS.OpenFile(f.name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) && w.v.opt.Live {
		w.known = false // the next file does not continue the one before this
		return nil      // its records are in segments now
	}
	if err != nil {
		return err
	}
	defer h.Close()
	var sealErr error
	open := func(meta []byte) (journal.OpenFunc, error) {
		o, err := w.v.Sealer.OpenStream(meta, "wal/"+strconv.FormatUint(f.number, 10))
		if err != nil {
			sealErr = err
			return nil, err
		}
		return o.Open, nil
	}
	var entries int64
	res, err := journal.Scan(h, open, func(fr journal.Frame) error {
		entries++
		if fr.Kind != 1 {
			w.v.find(Finding{Altered, f.name, fmt.Sprintf("entry %d is of a kind (%d) that this program does not know", fr.Number, fr.Kind), "use the newer program if there is one"})
		}
		return nil
	})
	switch {
	case sealErr != nil && isKeyMissing(sealErr):
		return sealErr
	case errors.Is(err, journal.ErrHeader), errors.Is(err, journal.ErrVersion), sealErr != nil:
		w.v.find(Finding{Altered, f.name, err.Error(), restoreWAL})
		w.known = false
		return nil
	case err != nil:
		return err
	}
	w.v.advance(res.Size)
	w.v.mu.Lock()
	w.v.report.WALFiles++
	w.v.report.WALEntries += entries
	w.v.mu.Unlock()
	w.join(f, res)
	for _, d := range res.Damaged {
		detail := fmt.Sprintf("bytes %d to %d do not authenticate", d.Offset, d.Offset+d.Length)
		if d.First > d.Last {
			detail += ": one of two copies of the file's header"
		} else {
			detail += fmt.Sprintf(": entries %d to %d", d.First, d.Last)
		}
		if !d.Proven {
			detail += ", which perhaps were never acknowledged"
		}
		w.v.find(Finding{Altered, f.name, detail, restoreWAL})
	}
	w.known, w.file0, w.next, w.tail, w.end = true, f, res.Next, res.Size-res.End, res.End
	if last && w.tail > 0 && !w.v.opt.Live {
		w.v.notice(Finding{Leftover, f.name, fmt.Sprintf("%d bytes behind the last whole entry", w.tail),
			"a write that a crash cut off, of which nothing was acknowledged; unless the disk damaged the very last write, which looks the same"})
	}
	return nil
}

// join looks at what lies between a file and the one before.
func (w *walReader) join(f walFile, res journal.Result) {
	if !w.known {
		return
	}
	first := res.Header.First
	switch {
	case first > w.next:
		w.v.find(Finding{Missing, w.file0.name, fmt.Sprintf("entries %d to %d, between it and %s", w.next, first-1, path.Base(f.name)), restoreWAL})
	case first < w.next:
		w.v.find(Finding{Exchanged, f.name, fmt.Sprintf("it begins again at entry %d: files of two histories are mixed", first), restoreWAL})
	case w.tail > 0:
		w.v.find(Finding{Altered, w.file0.name, fmt.Sprintf("bytes %d to %d do not authenticate", w.end, w.end+w.tail), restoreWAL})
	}
}

// isKeyMissing reports whether an error says that the key for something is not
// there: that is not damage but a key file to be given.
func isKeyMissing(err error) bool { return errors.Is(err, seal.ErrUnknownKey) }
