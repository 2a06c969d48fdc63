package seal

import (
	"bytes"
	"errors"
	"testing"
)

func TestStream(t *testing.T) {
	s := New(testKeys(t, 1))
	head, sealer, err := s.NewStream("wal/1")
	if err != nil {
		t.Fatalf("NewStream() = %v", err)
	}
	opener, err := s.OpenStream(head, "wal/1")
	if err != nil {
		t.Fatalf("OpenStream() = %v", err)
	}
	plain := []byte("what happened")
	sealed, err := sealer.Seal([]byte("before"), 7, 1, plain)
	if err != nil {
		t.Fatalf("Seal() = %v", err)
	}
	if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != len("before")+len(plain)+StreamOverhead {
		t.Fatalf("Seal() = %q", sealed)
	}
	sealed = sealed[len("before"):]
	got, err := opener.Open([]byte("x"), 7, 1, sealed)
	if err != nil || string(got) != "x"+string(plain) {
		t.Errorf("Open() = %q, %v, want %q", got, err, "x"+string(plain))
	}

	again, err := sealer.Seal(nil, 7, 1, plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(again[:8], sealed[:8]) || bytes.Equal(again[8:], sealed[8:]) {
		t.Error("the same frame sealed twice has the same nonce")
	}
	other := func(id string) *StreamOpener {
		h, _, err := s.NewStream(id)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.OpenStream(h, id)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, c := range []struct {
		name   string
		open   *StreamOpener
		number uint64
		kind   byte
		sealed []byte
	}{
		{"other number", opener, 8, 1, sealed},
		{"other kind", opener, 7, 2, sealed},
		{"other stream", other("wal/1"), 7, 1, sealed},
		{"short", opener, 7, 1, sealed[:StreamOverhead-1]},
		{"empty", opener, 7, 1, nil},
		{"cut", opener, 7, 1, sealed[:len(sealed)-1]},
	} {
		if got, err := c.open.Open(nil, c.number, c.kind, c.sealed); !errors.Is(err, ErrDamaged) || len(got) > 0 {
			t.Errorf("%s: Open() = %q, %v, want %v", c.name, got, err, ErrDamaged)
		}
	}
	for i := range 8 * len(sealed) {
		sealed[i/8] ^= 1 << (i % 8)
		if _, err := opener.Open(nil, 7, 1, sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d flipped: Open() = %v, want %v", i, err, ErrDamaged)
		}
		sealed[i/8] ^= 1 << (i % 8)
	}
	sealer.sealed = MaxStreamFrames
	if _, err := sealer.Seal(nil, 7, 1, plain); !errors.Is(err, ErrStreamFull) {
		t.Errorf("Seal() of frame %d = %v, want %v", uint64(MaxStreamFrames), err, ErrStreamFull)
	}
}

func TestStreamHeader(t *testing.T) {
	s := New(testKeys(t, 1))
	head, _, err := s.NewStream("wal/1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(head) {
		head[i/8] ^= 1 << (i % 8)
		if _, err := s.OpenStream(head, "wal/1"); err == nil {
			t.Errorf("bit %d of the header flipped: OpenStream() = nil error", i)
		}
		head[i/8] ^= 1 << (i % 8)
	}
	for _, c := range []struct {
		name, id string
		head     []byte
		want     error
	}{
		{"other name", "wal/2", head, ErrObjectID},
		{"cut", "wal/1", head[:len(head)-1], ErrTruncated},
		{"extended", "wal/1", append(bytes.Clone(head), 0), ErrDamaged},
		{"empty", "wal/1", nil, ErrTruncated},
	} {
		if _, err := s.OpenStream(c.head, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: OpenStream() = %v, want %v", c.name, err, c.want)
		}
	}
}
