package auth

import (
	"testing"
	"time"
)

// A clock that goes wrong lets nobody in whom the right one would keep out.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		jumps   []time.Duration
		restart bool // before the last look
		want    bool // that the token of an hour is let in
	}{
		{"right", []time.Duration{10 * time.Minute}, false, true},
		{"right after a start", []time.Duration{10 * time.Minute}, true, true},
		{"an hour forward", []time.Duration{time.Hour}, false, false},
		{"ten years forward", []time.Duration{10 * year}, false, false},
		{"expired, then an hour back", []time.Duration{61 * time.Minute, -time.Hour}, false, false},
		{"expired, then ten years back", []time.Duration{61 * time.Minute, -10 * year}, false, false},
		{"expired, then ten years back and a start", []time.Duration{61 * time.Minute, -10 * year}, true, false},
		{"ten years back and a start", []time.Duration{-10 * year}, true, false},
		{"an hour back and a start", []time.Duration{-time.Hour}, true, true},
		{"a little back", []time.Duration{10 * time.Minute, -5 * time.Minute}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			clock := func() time.Time { return now }
			path := t.TempDir() + "/tokens.json"
			s, err := OpenStore(path, clock)
			if err != nil {
				t.Fatal(err)
			}
			_, secret, err := s.Create(Token{Role: Reader, Groups: []string{"*"}, Expires: now.Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			_, forever, err := s.Create(Token{Role: Reader, Groups: []string{"*"}})
			if err != nil {
				t.Fatal(err)
			}
			a := NewAuthenticator(s)
			if _, err := a.Authenticate(home, secret); err != nil {
				t.Fatalf("Authenticate() at first = %v", err)
			}
			for _, j := range c.jumps {
				now = now.Add(j)
				_, _ = a.Authenticate(home, secret)
			}
			if c.restart {
				if s, err = OpenStore(path, clock); err != nil {
					t.Fatal(err)
				}
				a = NewAuthenticator(s)
			}
			if _, err := a.Authenticate(home, secret); (err == nil) != c.want {
				t.Errorf("Authenticate() = %v, want that it is let in: %v", err, c.want)
			}
			if _, err := a.Authenticate(home, forever); err != nil {
				t.Errorf("Authenticate() of a token that does not expire = %v", err)
			}
		})
	}
}
