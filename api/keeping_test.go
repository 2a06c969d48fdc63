package api

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trailward/api/keep"
	"trailward/query"
)

// fakeKeeper stands for the store as it is administered. Every group is under
// hold.
type fakeKeeper struct {
	groups []string
	err    error // of every call
	// work, when set, is what the long ones do.
	work func(ctx context.Context, progress func(keep.Progress)) error
}

func (k *fakeKeeper) setting(group string) keep.Setting {
	return keep.Setting{Group: group, Retention: "6y", Default: true, Hold: &keep.Hold{Reason: "case 17", Since: time.Unix(1, 0).UTC()}}
}

func (k *fakeKeeper) Settings(context.Context) ([]keep.Setting, error) {
	var out []keep.Setting
	for _, g := range k.groups {
		out = append(out, k.setting(g))
	}
	return out, k.err
}

func (k *fakeKeeper) SetRetention(_ context.Context, group, retention string) (keep.Setting, error) {
	if retention == "3h" {
		return keep.Setting{}, &UserError{Message: "no such retention"}
	}
	s := k.setting(group)
	s.Retention = retention
	return s, k.err
}

func (k *fakeKeeper) SetHold(_ context.Context, group, reason string) (keep.Setting, error) {
	if reason == "" {
		return keep.Setting{}, &UserError{Message: "a hold needs a reason"}
	}
	return k.setting(group), k.err
}

func (k *fakeKeeper) ReleaseHold(_ context.Context, group string) (keep.Setting, error) {
	return k.setting(group), k.err
}

func (k *fakeKeeper) Expire(context.Context) (keep.Expiry, error) {
	return keep.Expiry{Segments: 1}, k.err
}

func (k *fakeKeeper) Keys(context.Context) ([]keep.KeyUse, error) {
	return []keep.KeyUse{{ID: "k", Current: true}}, k.err
}

func (k *fakeKeeper) do(ctx context.Context, progress func(keep.Progress)) error {
	if k.work != nil {
		return k.work(ctx, progress)
	}
	return k.err
}

func (k *fakeKeeper) RotateKeys(ctx context.Context, _ keep.Rotation, progress func(keep.Progress)) (keep.Rotated, error) {
	return keep.Rotated{ID: "new"}, k.do(ctx, progress)
}

func (k *fakeKeeper) Verify(ctx context.Context, progress func(keep.Progress)) ([]byte, error) {
	return []byte(`{"findings":[{"what":"altered","where":"w","detail":"d","do":"x"}],"notices":[],"records":7}`), k.do(ctx, progress)
}

func (k *fakeKeeper) Prove(_ context.Context, pointer string) (string, []byte, error) {
	if !slices.Contains(k.groups, pointer) {
		return "", nil, fmt.Errorf("record: %w", ErrNotFound)
	}
	return pointer, []byte(`{"format":"f"}`), k.err
}

func (k *fakeKeeper) Checkpoint(_ context.Context, size uint64, _ string) (keep.Checkpoint, error) {
	if size > 9 {
		return keep.Checkpoint{}, &UserError{Message: "the ledger was rolled back", Conflict: true}
	}
	return keep.Checkpoint{Origin: "o", Signed: "s"}, k.err
}

func (k *fakeKeeper) Backup(ctx context.Context, w io.Writer) (keep.Backup, error) {
	t := tar.NewWriter(w)
	err := errors.Join(t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "store.key", Size: 3, Mode: 0o600}), ctx.Err())
	_, werr := t.Write([]byte("key"))
	if err = errors.Join(err, werr, k.do(ctx, func(keep.Progress) { t.Flush() })); err != nil {
		return keep.Backup{}, err
	}
	return keep.Backup{Segments: 2, Bytes: 3}, t.Close()
}

func (k *fakeKeeper) Lookups(context.Context) ([]keep.Lookup, error) { return nil, k.err }

func (k *fakeKeeper) PutLookup(_ context.Context, name string, csv []byte) (keep.Lookup, error) {
	return keep.Lookup{Name: name, Bytes: int64(len(csv))}, k.err
}

func (k *fakeKeeper) RemoveLookup(_ context.Context, name string) error {
	if name == "none" {
		return fmt.Errorf("table: %w", ErrNotFound)
	}
	return k.err
}

// linesOf reads an answer of lines.
func linesOf(t *testing.T, body string) (out []keep.Line) {
	t.Helper()
	for line := range strings.Lines(body) {
		var l keep.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, l)
	}
	return out
}

// TestLongWork: progress, findings and an end that says that it is one.
func TestLongWork(t *testing.T) {
	k := &fakeKeeper{}
	d := (&fakeStore{}).deps()
	d.Keeper = k
	s := start(t, Config{}, d)
	resp, body := ask(t, s, "POST", "/v1/verify", nil)
	if ls := linesOf(t, body); resp.StatusCode != 200 || len(ls) != 2 || ls[0].Finding == nil || ls[0].Finding.What != "altered" || string(ls[1].Report) != `{"records":7}` {
		t.Errorf("POST /v1/verify = %d %s, want a finding and the report", resp.StatusCode, body)
	}
	// An error before anything was said has a status of its own; one after, a line.
	k.work = func(context.Context, func(keep.Progress)) error { return fmt.Errorf("disk: %w", ErrUnavailable) }
	for _, path := range []string{"/v1/verify", "/v1/keys/rotate"} {
		if resp, body := ask(t, s, "POST", path, nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("POST %s of a store that is not available = %d %s, want 503", path, resp.StatusCode, body)
		}
	}
	k.work = func(_ context.Context, progress func(keep.Progress)) error {
		progress(keep.Progress{Stage: "segments", Done: 1, Total: 2})
		return fmt.Errorf("disk: %w", ErrUnavailable)
	}
	for _, path := range []string{"/v1/verify", "/v1/keys/rotate"} {
		resp, body := ask(t, s, "POST", path, nil)
		if ls := linesOf(t, body); resp.StatusCode != 200 || len(ls) != 2 || ls[0].Progress == nil || ls[1].Error == nil || strings.Contains(body, "disk") {
			t.Errorf("POST %s that fails in the middle = %d %s, want progress and the error, nothing internal", path, resp.StatusCode, body)
		}
	}
	resp, body = ask(t, s, "POST", "/v1/backup", nil)
	if resp.Trailer.Get(trailerBackup) != "" || resp.Trailer.Get(trailerError) == "" {
		t.Errorf("POST /v1/backup that fails in the middle has the trailers %v after %d bytes, want %s only", resp.Trailer, len(body), trailerError)
	}
	k.work = nil
	resp, _ = ask(t, s, "POST", "/v1/backup", nil)
	if got := resp.Trailer.Get(trailerBackup); got != `{"segments":2,"bytes":3}` || resp.Header.Get("Content-Type") != "application/x-tar" {
		t.Errorf("POST /v1/backup has the trailer %q", got)
	}
}

// TestOneAtATime: of each kind of long work there is one, and a client that goes
// away makes room for the next.
func TestOneAtATime(t *testing.T) {
	for _, path := range []string{"/v1/verify", "/v1/keys/rotate", "/v1/backup"} {
		t.Run(path, func(t *testing.T) {
			begun, ended := make(chan struct{}), make(chan error, 1)
			k := &fakeKeeper{}
			k.work = func(ctx context.Context, progress func(keep.Progress)) error {
				progress(keep.Progress{})
				close(begun)
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			}
			d := (&fakeStore{}).deps()
			d.Keeper = k
			s := start(t, Config{}, d)
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			<-begun
			if resp, body := ask(t, s, "POST", path, nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "30" {
				t.Errorf("a second one = %d %s, want 429", resp.StatusCode, body)
			}
			cancel()
			<-gone
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the work ended with %v, want %v", err, context.Canceled)
			}
			k.work = nil
			for {
				resp, body := ask(t, s, "POST", path, nil)
				if resp.StatusCode == 200 {
					break
				}
				if resp.StatusCode != 429 {
					t.Fatalf("after the first = %d %s, want 200", resp.StatusCode, body)
				}
			}
		})
	}
}

// TestKeepingRefuses: bodies and states that cannot be.
func TestKeepingRefuses(t *testing.T) {
	k := &fakeKeeper{groups: []string{"g"}}
	d := (&fakeStore{}).deps()
	d.Keeper = k
	s := start(t, Config{}, d)
	tests := []struct {
		name, method, path, body string
		opts                     []func(*http.Request)
		status                   int
	}{
		{"no object", "PUT", "/v1/retention?group=g", `[]`, nil, 400},
		{"null", "PUT", "/v1/retention?group=g", `null`, nil, 400},
		{"unknown member", "PUT", "/v1/retention?group=g", `{"retention":"1d","for":1}`, nil, 400},
		{"nothing to set", "PUT", "/v1/retention?group=g", ``, nil, 400},
		{"wrong type", "PUT", "/v1/holds?group=g", `{"reason":1}`, nil, 400},
		{"large body", "PUT", "/v1/holds?group=g", `{"reason":"` + strings.Repeat("x", maxSmallBody) + `"}`, nil, 413},
		{"large table", "PUT", "/v1/lookups/t", strings.Repeat("x", maxLookup+1), nil, 413},
		{"a table of another kind", "PUT", "/v1/lookups/t", "<x/>", []func(*http.Request){header("Content-Type", "text/xml")}, 415},
		{"a path for the backup", "POST", "/v1/backup?path=/tmp/x", "", nil, 400},
		{"an unknown group", "GET", "/v1/retention?group=h", "", nil, 404},
		{"no such method", "POST", "/v1/retention", "", nil, 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := ask(t, s, tt.method, tt.path, strings.NewReader(tt.body), tt.opts...)
			if resp.StatusCode != tt.status {
				t.Errorf("%s %s = %d %s, want %d", tt.method, tt.path, resp.StatusCode, body, tt.status)
			}
			errorOf(t, resp, body)
		})
	}
	k.err = &UserError{Message: "not now", Conflict: true}
	if resp, body := ask(t, s, "DELETE", "/v1/holds?group=g", nil); resp.StatusCode != 409 {
		t.Errorf("a conflict = %d %s, want 409", resp.StatusCode, body)
	}
	d.Keeper = nil
	s = start(t, Config{}, d)
	for _, rt := range s.routeTable() {
		if !strings.HasPrefix(rt.pattern, "/v1/holds") && !strings.HasPrefix(rt.pattern, "/v1/lookups") && rt.pattern != "/v1/keys" {
			continue
		}
		path := strings.ReplaceAll(rt.pattern, "{name}", "x")
		if slices.Contains(rt.params, "group") {
			path += "?group=g"
		}
		if resp, body := ask(t, s, rt.method, path, strings.NewReader("")); resp.StatusCode != 503 {
			t.Errorf("%s %s of a server without a keeper = %d %s, want 503", rt.method, path, resp.StatusCode, body)
		}
	}
}

// TestQueryCheckedAtStart: a fault in the text is told at once, also when all
// turns are taken.
func TestQueryCheckedAtStart(t *testing.T) {
	f := &fakeStore{}
	hold := make(chan struct{})
	defer close(hold)
	f.onQuery = func(ctx context.Context, _ query.Request) (query.Rows, error) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return numberRows(1, ctx.Err()), nil
	}
	d := f.deps()
	d.Check = func(_ context.Context, r query.Request) error {
		if r.Text == "bad" {
			return &query.Error{Line: 1, Col: 2, Msg: "no such command"}
		}
		return nil
	}
	s := start(t, Config{MaxQueries: 1}, d)
	startAsync(t, s, `{"query":"good"}`)
	startAsync(t, s, `{"query":"good"}`)
	resp, body := ask(t, s, "POST", "/v1/queries", strings.NewReader(`{"query":"bad"}`))
	if e := errorOf(t, resp, body); resp.StatusCode != 400 || e.Column != 2 {
		t.Errorf("a faulty text in a long line = %d %s, want 400 with its place", resp.StatusCode, body)
	}
}

// TestCatsApart: cats whose readers take their time do not keep questions out, and
// have a bound of their own.
func TestCatsApart(t *testing.T) {
	f := &fakeStore{}
	d := f.deps()
	begun, hold := make(chan struct{}), make(chan struct{})
	d.Cat = func(ctx context.Context, _, _ string, _ func([]byte) error) error {
		begun <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	}
	s := start(t, Config{MaxQueries: 1, MaxCats: 1, QueryWait: time.Millisecond}, d)
	done := make(chan int)
	go func() {
		resp, err := http.Get(s.URL() + "/v1/cat?group=g")
		if err != nil {
			t.Error(err)
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	<-begun
	if resp, body := ask(t, s, "POST", "/v1/query", strings.NewReader(`{"query":"x"}`)); resp.StatusCode != 200 {
		t.Errorf("a question beside a cat = %d %s, want 200", resp.StatusCode, body)
	}
	if resp, body := ask(t, s, "GET", "/v1/cat?group=g", nil); resp.StatusCode != 429 {
		t.Errorf("a second cat = %d %s, want 429", resp.StatusCode, body)
	}
	close(hold)
	if status := <-done; status != 200 {
		t.Errorf("the first cat = %d, want 200", status)
	}
}

// TestSchemas: what openapi.yaml says of an object is what is sent.
func TestSchemas(t *testing.T) {
	for name, v := range map[string]any{
		"IngestResult": IngestResult{}, "Group": GroupInfo{}, "Setting": keep.Setting{}, "Expiry": keep.Expiry{}, "KeyUse": keep.KeyUse{},
		"Line": keep.Line{}, "Finding": keep.Finding{}, "Checkpoint": keep.Checkpoint{}, "Backup": keep.Backup{}, "Lookup": keep.Lookup{}, "Explanation": keep.Explanation{},
		"QueryState": queryState{}, "Error": errorBody{},
	} {
		var want []string
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			want = append(want, tag)
		}
		slices.Sort(want)
		if got := schemaMembers(name); !slices.Equal(got, want) {
			t.Errorf("openapi.yaml gives %s the members %q, the server %q", name, got, want)
		}
	}
}

// TestKindsInSchema: every kind is in openapi.yaml, in order.
func TestKindsInSchema(t *testing.T) {
	_, rest, _ := strings.Cut(string(openAPI), "\n    Kind:\n")
	_, rest, _ = strings.Cut(rest, "enum: [")
	got, _, _ := strings.Cut(rest, "]")
	if want := kindList(); got != want {
		t.Errorf("openapi.yaml has the kinds %s, want %s", got, want)
	}
}

// schemaMembers are the properties of a schema, read by its indentation.
func schemaMembers(name string) (out []string) {
	_, schemas, _ := strings.Cut(string(openAPI), "\n  schemas:\n")
	_, rest, _ := strings.Cut("\n"+schemas, "\n    "+name+":\n")
	inside := false
	for line := range strings.Lines(rest) {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		switch {
		case indent <= 4:
			slices.Sort(out)
			return out
		case indent == 6:
			inside = strings.HasPrefix(trimmed, "properties:")
		case indent == 8 && inside:
			member, _, _ := strings.Cut(trimmed, ":")
			out = append(out, member)
		}
	}
	slices.Sort(out)
	return out
}
