package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"trailward"
)

func TestSamplesAreTheSameEachTime(t *testing.T) {
	end := time.Date(2026, 7, 3, 12, 30, 0, 0, time.UTC)
	a, b := Samples(end, Full), Samples(end, Full)
	for i := range a {
		if !bytes.Equal(a[i].Data, b[i].Data) {
			t.Errorf("Samples(%v)[%s] differs between two calls", end, a[i].Name)
		}
	}
}

func TestShippedSamplesAreWhatGenerateWrites(t *testing.T) {
	var names []string
	for _, s := range Samples(ShippedDay, Small) {
		names = append(names, s.Name)
		got, err := os.ReadFile(filepath.Join("samples", s.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, s.Data) {
			t.Errorf("samples/%s is not what the generator makes: run `make generate`", s.Name)
		}
	}
	entries, err := os.ReadDir("samples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("samples/%s is made by nobody: run `make generate`", e.Name())
		}
	}
}

func TestSamplesHaveEveryKind(t *testing.T) {
	have := map[trailward.Kind]int{}
	total := 0
	for _, s := range Samples(time.Now(), Full) {
		have[s.Kind] += s.Records
		total += s.Records
	}
	for _, k := range trailward.Kinds {
		if have[k] == 0 {
			t.Errorf("Samples() has no record of kind %s", k)
		}
	}
	if total < 2000 || total > 6000 {
		t.Errorf("Samples() has %d records, want a few thousand", total)
	}
}

// text gives a sample's bytes without compression.
func text(t *testing.T, s Sample) string {
	t.Helper()
	if !strings.HasSuffix(s.Name, ".gz") {
		return string(s.Data)
	}
	r, err := gzip.NewReader(bytes.NewReader(s.Data))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJSONSamplesAreJSON(t *testing.T) {
	for _, s := range Samples(time.Now(), Full) {
		whole := text(t, s)
		if !strings.HasPrefix(whole, "{") {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(whole))
		n := 0
		for {
			var v map[string]any
			if err := dec.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: value %d: %v", s.Name, n, err)
			}
			for _, list := range []string{"Records", "items"} {
				if l, ok := v[list].([]any); ok {
					n += len(l) - 1
				}
			}
			n++
		}
		if n != s.Records {
			t.Errorf("%s has %d JSON records, want %d", s.Name, n, s.Records)
		}
	}
}

// TestAddressesAreSetAside holds that no real machine is accused of anything:
// every public address is one of RFC 5737's or a well-known service address.
func TestAddressesAreSetAside(t *testing.T) {
	allowed := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.169.254/32"), netip.MustParsePrefix("0.0.0.0/32"),
	}
	// Versions of programs look like addresses; what stands before tells them apart.
	word := regexp.MustCompile(`(?:^|[^\w./-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b`)
	for _, s := range Samples(time.Now(), Full) {
		for _, m := range word.FindAllStringSubmatch(text(t, s), -1) {
			a, err := netip.ParseAddr(m[1])
			if err != nil {
				continue
			}
			if !slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(a) }) {
				t.Errorf("%s names the address %s, want one set aside for documentation", s.Name, a)
			}
		}
	}
}

func TestSamplesLieInTheLastDay(t *testing.T) {
	end := time.Date(2026, 7, 3, 12, 30, 0, 0, time.UTC)
	stamp := regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d`)
	for _, s := range Samples(end, Full) {
		for _, m := range stamp.FindAllString(text(t, s), -1) {
			at, err := time.Parse("2006-01-02 15:04:05", strings.Replace(m, "T", " ", 1))
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			if m == "2026-01-01T00:00:00" {
				continue // when a session began
			}
			if at.Before(end.Add(-24*time.Hour)) || at.After(end.Add(time.Minute)) {
				t.Errorf("%s has the time %v, want one in the day before %v", s.Name, at, end)
			}
		}
	}
}

func TestQuestionsAreComplete(t *testing.T) {
	groups := map[string]bool{}
	for _, s := range Samples(time.Now(), Small) {
		groups[s.Group] = true
	}
	if n := len(Questions()); n < 5 {
		t.Errorf("Questions() has %d, want at least 5", n)
	}
	for _, q := range Questions() {
		if q.Asks == "" || q.Text == "" {
			t.Errorf("question %+v, want words and text", q)
		}
		for _, g := range q.Groups {
			if !groups[g] {
				t.Errorf("question %q asks group %s, which no sample goes into", q.Asks, g)
			}
		}
	}
}
