package auth

import (
	"slices"
	"testing"

	"trailward"
)

func TestMay(t *testing.T) {
	reader := Principal{Name: "token:r", Role: Reader, Groups: []string{"/eks/*", "app"}}
	writer := Principal{Name: "token:w", Role: Writer, Groups: []string{"/eks/prod/audit", "trailward/x"}, Kinds: []trailward.Kind{trailward.KindK8sAudit}}
	admin := Principal{Name: "token:a", Role: Admin, Groups: []string{"*"}}
	tests := []struct {
		name   string
		p      Principal
		action Action
		group  string
		kind   trailward.Kind
		want   bool
	}{
		{"reader reads by prefix", reader, Read, "/eks/prod/audit", "", true},
		{"reader reads by name", reader, Read, "app", "", true},
		{"a name is not a prefix", reader, Read, "app2", "", false},
		{"reader reads no other group", reader, Read, "/host/syslog", "", false},
		{"reader writes nothing", reader, Write, "/eks/prod/audit", trailward.KindText, false},
		{"reader sees metrics", reader, Observe, "", "", true},
		{"reader does not administer", reader, Administer, "", "", false},
		{"reader does not administer its group", reader, Administer, "app", "", false},
		{"admin administers all", admin, Administer, "", "", true},
		{"admin administers the server's groups", admin, Administer, "trailward/access", "", true},
		{"admin of some groups administers those", Principal{Role: Admin, Groups: []string{"/eks/*"}}, Administer, "/eks/prod", "", true},
		{"and no other", Principal{Role: Admin, Groups: []string{"/eks/*"}}, Administer, "/host", "", false},
		{"and not the server", Principal{Role: Admin, Groups: []string{"/eks/*"}}, Administer, "", "", false},
		{"writer writes its kind", writer, Write, "/eks/prod/audit", trailward.KindK8sAudit, true},
		{"writer writes no other kind", writer, Write, "/eks/prod/audit", trailward.KindText, false},
		{"writer bound to kinds must name one", writer, Write, "/eks/prod/audit", "", false},
		{"writer reads nothing", writer, Read, "/eks/prod/audit", "", false},
		{"writer sees no metrics", writer, Observe, "", "", false},
		{"reserved groups are the server's", writer, Write, "trailward/x", trailward.KindK8sAudit, false},
		{"also for an admin", admin, Write, "trailward/access", "", false},
		{"an admin reads them", admin, Read, "trailward/access", "", true},
		{"admin writes", admin, Write, "g", "", true},
		{"admin administers", admin, Administer, "", "", true},
		{"local may what an admin may", Local(), Write, "g", trailward.KindText, true},
		{"local and reserved groups", Local(), Write, "trailward/x", "", false},
		{"no group is never meant", admin, Read, "", "", false},
		{"nobody may nothing", Principal{}, Read, "g", "", false},
		{"a role alone is not enough", Principal{Role: Admin}, Read, "g", "", false},
		{"an unknown role", Principal{Role: "root", Groups: []string{"*"}}, Read, "g", "", false},
		{"an unknown action", admin, "fly", "g", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.p.May(tt.action, tt.group, tt.kind); got != tt.want {
				t.Errorf("May(%q, %q, %q) = %v, want %v", tt.action, tt.group, tt.kind, got, tt.want)
			}
		})
	}
}

func TestReadable(t *testing.T) {
	tests := []struct {
		name     string
		patterns []string
		asked    []string
		want     []string
		denied   string
	}{
		{"all of all", []string{"*"}, nil, nil, ""},
		{"all of some", []string{"/eks/*", "app"}, nil, []string{"/eks/*", "app"}, ""},
		{"one of some", []string{"/eks/*", "app"}, []string{"/eks/prod"}, []string{"/eks/prod"}, ""},
		{"narrower pattern", []string{"/eks/*"}, []string{"/eks/prod/*"}, []string{"/eks/prod/*"}, ""},
		{"same pattern", []string{"/eks/*"}, []string{"/eks/*"}, []string{"/eks/*"}, ""},
		{"wider pattern", []string{"/eks/prod/*"}, []string{"/eks/*"}, nil, "/eks/*"},
		{"everything", []string{"/eks/*"}, []string{"*"}, nil, "*"},
		{"one foreign", []string{"/eks/*"}, []string{"/eks/a", "/host"}, nil, "/host"},
		{"pattern over a name", []string{"app"}, []string{"app*"}, nil, "app*"},
		{"none at all", nil, nil, nil, "*"},
		{"an empty name", []string{"*"}, []string{""}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, denied := Principal{Role: Reader, Groups: tt.patterns}.Readable(tt.asked)
			if !slices.Equal(got, tt.want) || denied != tt.denied {
				t.Errorf("Readable(%q) = %q, %q, want %q, %q", tt.asked, got, denied, tt.want, tt.denied)
			}
		})
	}
	if got, denied := (Principal{Role: Writer, Groups: []string{"*"}}).Readable(nil); got != nil || denied == "" {
		t.Errorf("Readable(nil) of a writer = %q, %q, want a denial", got, denied)
	}
}

// FuzzCovers holds coversGroup to its meaning: whatever the narrower pattern
// matches, the wider one matches.
func FuzzCovers(f *testing.F) {
	f.Add("/eks/*", "/eks/prod*", "/eks/prod/audit")
	f.Add("*", "a", "a")
	f.Add("a", "a*", "ab")
	f.Fuzz(func(t *testing.T, pattern, want, group string) {
		if !ValidGroupPattern(pattern) || !ValidGroupPattern(want) {
			return
		}
		if coversGroup(pattern, want) && MatchGroup(want, group) && !MatchGroup(pattern, group) {
			t.Errorf("coversGroup(%q, %q) = true, but %q is matched by the second only", pattern, want, group)
		}
	})
}
