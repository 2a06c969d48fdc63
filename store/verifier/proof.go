package verifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"trailward"
	"trailward/store/ledger"
)

// ProofFormat is the first member of every printed proof.
const ProofFormat = "trailward record proof 2"

// Discloses says what a proof gives away.
const Discloses = "the record; the salt of its leaf, with which guesses of this record, and of no other, can be tested; " +
	"how many records its segment has; of every segment in the ledger entry shown, its id, kind, size, number of records and times, " +
	"and its group only as a keyed hash; how many entries the ledger has. The hashes of other records and entries tell nothing about them."

// MaxProofBytes is the most that a printed proof may have.
const MaxProofBytes = 192 << 20

// RecordProof shows that a record, as it is in it, is in the ledger of a signed
// checkpoint. It needs nothing else to be checked but the ledger's verifier
// key, which the one who checks must have from elsewhere. As JSON it is the
// printed form; docs/format/ledger.md says how to check that by other means.
type RecordProof struct {
	Format       string       `json:"format"`
	Record       ProofRecord  `json:"record"`
	Salt         []byte       `json:"salt"` // of this record's leaf, base64
	Leaf         ledger.Hash  `json:"leaf"`
	Segment      ProofSegment `json:"segment"`
	Entry        ProofEntry   `json:"entry"`
	Checkpoint   string       `json:"checkpoint"` // signed note
	VerifierKey  string       `json:"verifier_key"`
	DisclosesSay string       `json:"discloses"`
}

// ProofRecord is the record.
type ProofRecord struct {
	Group         Text           `json:"group"`
	Stream        Text           `json:"stream"`
	Kind          trailward.Kind `json:"kind"`
	Time          int64          `json:"time_ns"`
	ArrivalMicros int64          `json:"arrival_us"`
	Attrs         []ProofAttr    `json:"attributes,omitempty"` // by name
	Bytes         []byte         `json:"bytes"`                // base64
}

// ProofAttr is one attribute of the record.
type ProofAttr struct {
	Name  Text `json:"name"`
	Value Text `json:"value"`
}

// ProofSegment says where in its segment the record is.
type ProofSegment struct {
	ID   string        `json:"id"`
	Row  int64         `json:"row"`
	Rows int64         `json:"rows"`
	Root ledger.Hash   `json:"root"`
	Path []ledger.Hash `json:"path"` // from the leaf to the root
}

// ProofEntry is the entry of the ledger that has the segment's root.
type ProofEntry struct {
	Number uint64        `json:"number"`
	Bytes  []byte        `json:"bytes"`
	Path   []ledger.Hash `json:"path"`
}

// Text is a text that need not be UTF-8: as JSON it is a string if it is, else
// an object with its bytes in base64.
type Text string

// MarshalJSON implements [json.Marshaler].
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(struct {
		Base64 []byte `json:"base64"`
	}{[]byte(t)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*t = Text(s)
		return nil
	}
	var raw struct {
		Base64 []byte `json:"base64"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*t = Text(raw.Base64)
	return nil
}

// ErrNoRecord says that there is no such record.
var ErrNoRecord = errors.New("there is no such record")

// Proof makes the proof of the record in a row of a segment, from the store's
// files alone, and checks it. The error wraps [ErrNoRecord] if the segment or
// the row is not in the store, and [ledger.ErrDamaged] if the files do not
// prove it.
func Proof(ctx context.Context, d Deps, id string, row int64) (*RecordProof, error) {
	p, err := proof(ctx, d, id, row)
	if err != nil {
		return nil, fmt.Errorf("prove record %d of segment %s: %w", row, id, err)
	}
	return p, nil
}

func proof(ctx context.Context, d Deps, id string, row int64) (*RecordProof, error) {
	identity, err := ledger.OpenIdentity(d.FS, d.LedgerDir, d.Keys)
	if err != nil {
		return nil, err
	}
	cp, signed, err := ledger.ReadCheckpoint(d.FS, d.LedgerDir, identity)
	if err != nil {
		return nil, err
	}
	seg, entry, err := findSegment(ctx, d, identity, cp.Size, id)
	if err != nil {
		return nil, err
	}
	if row < 0 || row >= seg.Rows {
		return nil, fmt.Errorf("%w: the segment has %d records", ErrNoRecord, seg.Rows)
	}
	p := &RecordProof{
		Format: ProofFormat, Entry: *entry, Checkpoint: string(signed), VerifierKey: identity.VerifierKey, DisclosesSay: Discloses,
		Segment: ProofSegment{ID: id, Row: row, Rows: seg.Rows, Root: seg.Root},
	}
	if err := p.record(ctx, d, seg); err != nil {
		return nil, err
	}
	if err := p.Check(identity.VerifierKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ledger.ErrDamaged, err)
	}
	return p, nil
}

// findSegment reads the ledger up to a size and returns the entry that brought
// a segment, with its proof.
func findSegment(ctx context.Context, d Deps, id *ledger.Identity, size uint64, segment string) (*ledger.Segment, *ProofEntry, error) {
	v := &verification{Deps: d}
	r, err := v.openEntries(id)
	if err != nil {
		return nil, nil, err
	}
	defer r.f.Close()
	var (
		leaves []ledger.Hash
		found  *ledger.Segment
		entry  *ProofEntry
	)
	off := int64(len(entriesMagic))
	for n := range size {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		_, b, next, ok, err := r.frame(off, n, n+1)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, nil, fmt.Errorf("%w: entry %d at byte %d of %s: run verify", ledger.ErrDamaged, n, off, path.Join(d.LedgerDir, ledger.FileEntries))
		}
		e, err := ledger.DecodeEntry(n, b)
		if err != nil {
			return nil, nil, err
		}
		if s := brings(&e, segment); s != nil {
			found, entry = s, &ProofEntry{Number: n, Bytes: b}
		}
		leaves = append(leaves, leafOf(b))
		off = next
	}
	if found == nil {
		return nil, nil, fmt.Errorf("%w: no signed entry of the ledger has the segment", ErrNoRecord)
	}
	entry.Path = auditPath(leaves, int(entry.Number))
	return found, entry, nil
}

// brings returns what an entry says of a segment that it brings, or nil.
func brings(e *ledger.Entry, id string) *ledger.Segment {
	switch ev := e.Event.(type) {
	case ledger.Added:
		if ev.ID == id {
			return &ev.Segment
		}
	case ledger.Replaced:
		for i := range ev.Out {
			if ev.Out[i].ID == id {
				return &ev.Out[i]
			}
		}
	}
	return nil
}

// record fills in the record, and its path in the segment.
func (p *RecordProof) record(ctx context.Context, d Deps, want *ledger.Segment) error {
	blob, err := d.Objects.Open(ctx, want.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the segment is not there any more: it was replaced, deleted or lost", ErrNoRecord)
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	s, in, err := d.open(want.ID, blob)
	if err == nil {
		err = p.rows(ctx, s, in)
	}
	var bad *contentError
	if errors.As(err, &bad) {
		return fmt.Errorf("%w: %w: run verify", ledger.ErrDamaged, err)
	}
	return err
}

func (p *RecordProof) rows(ctx context.Context, s Segment, in *reads) (err error) {
	defer in.judge(&err)
	salt, _, subtrees, err := s.Tree()
	if err != nil {
		return err
	}
	row, total := p.Segment.Row, p.Segment.Rows
	sub := row / subtreeRows
	var rows []int64
	for r := sub * subtreeRows; r < min(total, (sub+1)*subtreeRows); r++ {
		rows = append(rows, r)
	}
	var (
		l      leafer
		leaves []ledger.Hash
	)
	salts, err := newSalter(salt)
	if err != nil {
		return err
	}
	err = s.Records(rows, func(n int64, r *trailward.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		own := salts.of(n)
		leaves = append(leaves, l.leaf(own, r))
		if n == row {
			p.Salt, p.Leaf = own[:], leaves[len(leaves)-1]
			p.take(r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(leaves) != len(rows) || sub >= int64(len(subtrees)) {
		return contentErrorf(Altered, "the segment has not the records that it should")
	}
	p.Segment.Path = append(auditPath(leaves, int(row-sub*subtreeRows)), auditPath(subtrees, int(sub))...)
	return nil
}

func (p *RecordProof) take(r *trailward.Record) {
	p.Record = ProofRecord{
		Group: Text(r.Group), Stream: Text(r.Stream), Kind: r.Kind,
		Time: r.Time, ArrivalMicros: micros(r.Arrival), Bytes: bytes.Clone(r.Raw),
	}
	for _, a := range r.Attrs {
		p.Record.Attrs = append(p.Record.Attrs, ProofAttr{Text(a.Name), Text(a.Value)})
	}
	sort.Slice(p.Record.Attrs, func(i, j int) bool {
		a, b := p.Record.Attrs[i], p.Record.Attrs[j]
		return a.Name < b.Name || a.Name == b.Name && a.Value < b.Value
	})
}

// Check checks the whole way from the record's bytes to the signature, with the
// ledger's verifier key, which has to come from somebody who is trusted: the one
// in the proof is there to be compared only.
func (p *RecordProof) Check(verifierKey string) error {
	if p.Format != ProofFormat {
		return fmt.Errorf("check proof: format %q, this program knows %q", p.Format, ProofFormat)
	}
	if p.VerifierKey != verifierKey {
		return errors.New("check proof: it is of a ledger with another key")
	}
	cp, err := ledger.OpenCheckpoint([]byte(p.Checkpoint), verifierKey)
	if err != nil {
		return fmt.Errorf("check proof: %w", err)
	}
	if root, ok := climb(leafOf(p.Entry.Bytes), p.Entry.Number, cp.Size, p.Entry.Path); !ok || root != cp.Root {
		return fmt.Errorf("check proof: entry %d, as shown, is not in the ledger of the checkpoint", p.Entry.Number)
	}
	e, err := ledger.DecodeEntry(p.Entry.Number, p.Entry.Bytes)
	if err != nil {
		return fmt.Errorf("check proof: %w", err)
	}
	s := brings(&e, p.Segment.ID)
	if s == nil || s.Root != p.Segment.Root || s.Rows != p.Segment.Rows {
		return fmt.Errorf("check proof: entry %d does not bring the segment %q with that root and so many records", p.Entry.Number, p.Segment.ID)
	}
	leaf, err := p.leaf(s)
	if err != nil {
		return fmt.Errorf("check proof: %w", err)
	}
	if leaf != p.Leaf {
		return errors.New("check proof: the record, as shown, does not have the leaf that is shown")
	}
	if root, ok := climb(leaf, uint64(p.Segment.Row), uint64(p.Segment.Rows), p.Segment.Path); !ok || root != p.Segment.Root {
		return fmt.Errorf("check proof: the record is not number %d of the segment", p.Segment.Row)
	}
	return nil
}

func (p *RecordProof) leaf(s *ledger.Segment) (ledger.Hash, error) {
	if p.Segment.Row < 0 || p.Record.Kind != s.Kind {
		return ledger.Hash{}, errors.New("the record is not of the segment's kind")
	}
	if p.Record.ArrivalMicros < micros(s.FirstArrival) || p.Record.ArrivalMicros > micros(s.LastArrival) || p.Record.Time < s.FirstTime || p.Record.Time > s.LastTime {
		return ledger.Hash{}, errors.New("the record's times are not within the segment's")
	}
	r := &trailward.Record{
		Group: string(p.Record.Group), Stream: string(p.Record.Stream), Kind: p.Record.Kind,
		Time: p.Record.Time, Arrival: p.Record.ArrivalMicros * 1000, Raw: p.Record.Bytes,
	}
	for _, a := range p.Record.Attrs {
		r.Attrs = append(r.Attrs, trailward.Attr{Name: string(a.Name), Value: string(a.Value)})
	}
	if len(p.Salt) != saltSize {
		return ledger.Hash{}, fmt.Errorf("the salt has %d bytes, not %d", len(p.Salt), saltSize)
	}
	var l leafer
	return l.leaf([saltSize]byte(p.Salt), r), nil
}

// ParseProof reads a printed proof. It does not check it.
func ParseProof(b []byte) (*RecordProof, error) {
	if len(b) > MaxProofBytes {
		return nil, fmt.Errorf("read proof: %d bytes, the limit is %d", len(b), MaxProofBytes)
	}
	p := &RecordProof{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("read proof: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read proof: something comes behind it")
	}
	return p, nil
}

// Print writes the proof as indented JSON, which [ParseProof] reads.
func (p *RecordProof) Print(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return fmt.Errorf("print proof: %w", err)
	}
	return nil
}

// Summary says in a few lines what the proof shows, for people. Control
// characters of the record's names are not in it.
func (p *RecordProof) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "record      %d of %d in segment %s\n", p.Segment.Row, p.Segment.Rows, p.Segment.ID)
	fmt.Fprintf(&b, "group       %q, stream %q, kind %s\n", p.Record.Group, p.Record.Stream, p.Record.Kind)
	fmt.Fprintf(&b, "event time  %s, arrived %s\n", time.Unix(0, p.Record.Time).UTC().Format(time.RFC3339Nano), time.UnixMicro(p.Record.ArrivalMicros).UTC().Format(time.RFC3339Nano))
	fmt.Fprintf(&b, "leaf        %s, %d hashes up to the segment's root %s\n", p.Leaf, len(p.Segment.Path), p.Segment.Root)
	fmt.Fprintf(&b, "entry       %d of the ledger, %d hashes up to the checkpoint's root\n", p.Entry.Number, len(p.Entry.Path))
	if cp, err := ledger.OpenCheckpoint([]byte(p.Checkpoint), p.VerifierKey); err == nil {
		fmt.Fprintf(&b, "checkpoint  %d entries, root %s, signed by %s\n", cp.Size, cp.Root, cp.Origin)
	}
	return b.String()
}
