package client_test

import (
	"archive/tar"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trailward/api/client"
	"trailward/api/keep"
)

// TestCutLongWork: an answer to long work that has no end is an error, whatever
// came before, and so is one that says that it failed.
func TestCutLongWork(t *testing.T) {
	const progress = `{"progress":{"stage":"segments","done":1,"total":2}}` + "\n"
	tests := []struct {
		name, body string
		want       string // in the error; empty: none
	}{
		{"report", progress + "\n" + `{"report":{"records":1}}` + "\n", ""},
		{"rotated", progress + `{"rotated":{"id":"k"}}` + "\n", ""},
		{"nothing", "", "cut short"},
		{"progress only", progress, "cut short"},
		{"half a line", progress + `{"report":`, "cut short"},
		{"an error", progress + `{"error":{"message":"disk","hint":"wait"}}` + "\n", "disk; wait"},
		{"no JSON", "<html>\n", "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.body) }))
			defer s.Close()
			c := newClient(t, client.Options{Server: s.URL})
			verr := c.Verify(t.Context(), func(*keep.Line) {})
			rotated, rerr := c.RotateKeys(t.Context(), keep.Rotation{}, func(keep.Progress) {})
			switch tt.name {
			case "report":
				if verr != nil {
					t.Errorf("Verify() = %v, want nil", verr)
				}
			case "rotated":
				if rerr != nil || rotated.ID != "k" {
					t.Errorf("RotateKeys() = %+v, %v, want k", rotated, rerr)
				}
			default:
				for _, err := range []error{verr, rerr} {
					if err == nil || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("%q = %v, want an error with %q", tt.body, err, tt.want)
					}
				}
			}
		})
	}
}

// TestCutBackup: a backup without its trailer is not whole.
func TestCutBackup(t *testing.T) {
	trailer, value := "", ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Trailward-Backup, Trailward-Error")
		_ = tar.NewWriter(w).Close()
		if trailer != "" {
			w.Header().Set(trailer, value)
		}
	}))
	defer s.Close()
	c := newClient(t, client.Options{Server: s.URL})
	whole := func() (keep.Backup, error) {
		t.Helper()
		b, err := c.Backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := io.Copy(io.Discard, b); err != nil {
			t.Fatal(err)
		}
		return b.Whole()
	}
	if _, err := whole(); err == nil {
		t.Error("Whole() without a trailer = nil, want an error")
	}
	trailer, value = "Trailward-Error", `{"error":{"message":"disk"}}`
	if _, err := whole(); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("Whole() with an error = %v, want it", err)
	}
	trailer, value = "Trailward-Backup", `{"segments":2,"bytes":3}`
	if b, err := whole(); err != nil || b != (keep.Backup{Segments: 2, Bytes: 3}) {
		t.Errorf("Whole() = %+v, %v", b, err)
	}
}
