package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trailward"
	"trailward/format"
	"trailward/intake"
	"trailward/query"
	"trailward/shape"
	"trailward/source/file"
	"trailward/store"
	"trailward/store/seal"
)

// oneRecord is the record of docs/one-record.md.
const oneRecord = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"7e0b6c1e-5a55-4f0f-9a3c-3f6f2f6b8f10","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/pharmacy/secrets/db","verb":"get","user":{"username":"mallory","groups":["system:authenticated"]},"sourceIPs":["10.0.3.17"],"objectRef":{"resource":"secrets","namespace":"pharmacy","name":"db","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-20T08:00:00.000000Z","stageTimestamp":"2026-11-20T08:00:00.012345Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"db/pharmacy\""}}`

// TestOneRecord walks the way that docs/one-record.md tells.
func TestOneRecord(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "data")
	audit := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(audit, []byte(oneRecord+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	// 1. A source frames it.
	var framed trailward.Framed
	if _, err := file.Walk(ctx, []string{audit}, file.Options{}, func(in *file.Input) error {
		f, err := in.Next()
		if err != nil {
			return err
		}
		f.Raw = bytes.Clone(f.Raw)
		framed = f
		if _, err := in.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the record = %v, want the end", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if string(framed.Raw) != oneRecord {
		t.Fatalf("framed %q", framed.Raw)
	}

	// 2. Intake decides what it is and takes it apart.
	prep := intake.NewPreparer()
	rec, taken, mismatch := prep.Prepare(&framed, "/k8s/audit", "audit.log", time.Now())
	if rec.Kind != trailward.KindK8sAudit || mismatch != "" {
		t.Errorf("kind = %s (%s)", rec.Kind, mismatch)
	}
	if want := time.Date(2026, 11, 20, 8, 0, 0, 12345000, time.UTC); !rec.EventTime().Equal(want) {
		t.Errorf("event time = %v, want %v", rec.EventTime(), want)
	}
	values := map[string]string{}
	for i, h := range taken.Shape.Holes {
		values[h.Path] = string(taken.Values[i])
	}
	if values["objectRef.resource"] != "secrets" || values[`annotations.authorization\.k8s\.io/reason`] != `RBAC: allowed by RoleBinding "db/pharmacy"` {
		t.Errorf("values = %v", values)
	}
	if got := taken.Shape.Append(nil, taken.Values); string(got) != oneRecord {
		t.Errorf("put together = %s", got)
	}

	// 3. The store acknowledges it when it is on disk.
	key := filepath.Join(dir, "..", "trailward.key")
	provider, err := seal.OpenKeyFile(key)
	if errors.Is(err, fs.ErrNotExist) {
		provider, err = seal.CreateKeyFile(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	open := func() *store.Store {
		s, _, err := store.Open(ctx, store.Options{Dir: dir, Provider: provider, Format: store.Format{
			Taker:  func() func(*trailward.Record) shape.Taken { return intake.NewPreparer().Take },
			Opaque: intake.Opaque, KeyPaths: format.KeyPaths, Content: format.Content,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	send := func() store.Result {
		res, err := s.Append(ctx, &store.Batch{Group: rec.Group, Records: []trailward.Record{rec}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := send(); res.Records != 1 {
		t.Errorf("first delivery = %+v", res)
	}
	if res := send(); res.Records != 0 || res.Duplicates != 1 {
		t.Errorf("second delivery = %+v", res)
	}
	wal, _ := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if len(wal) != 1 {
		t.Fatalf("WAL files: %v", wal)
	}
	if b, err := os.ReadFile(wal[0]); err != nil || len(b) < len(oneRecord) || bytes.Contains(b, []byte("pharmacy")) {
		t.Errorf("WAL: %d bytes, %v, or plaintext", len(b), err)
	}

	// 5. and 6. A question, answered from the head, from a segment, and after a restart.
	ask := func(when string) {
		t.Helper()
		e, err := query.New(query.Options{Snapshot: query.Stored(s)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(ctx)
		for _, c := range []struct {
			lang query.Language
			text string
			want []string
		}{
			{query.Insights, `filter objectRef.resource = "secrets" | stats count(*) by user.username`, []string{"mallory", "1"}},
			{query.Insights, `fields @message | filter auditID like "7e0b"`, []string{oneRecord}},
			{query.SQL, `SELECT "user".username, count(*) FROM k8s_audit WHERE objectref.resource = 'secrets' GROUP BY 1`, []string{"mallory", "1"}},
		} {
			rows, err := e.Query(ctx, query.Request{Language: c.lang, Text: c.text})
			if err != nil {
				t.Errorf("%s: %s: %v", when, c.text, err)
				continue
			}
			n := 0
			for rows.Next() {
				n++
				for i, want := range c.want {
					if got := fmt.Sprint(rows.Values()[i]); got != want {
						t.Errorf("%s: %s: column %d = %s, want %s", when, c.text, i, got, want)
					}
				}
			}
			if n != 1 || rows.Err() != nil {
				t.Errorf("%s: %s: %d rows, %v", when, c.text, n, rows.Err())
			}
			rows.Close()
		}
	}
	ask("in the head")
	// 4. The head becomes a segment.
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	if segs, _ := filepath.Glob(filepath.Join(dir, "segments", "*", "*.seg")); len(segs) != 1 {
		t.Errorf("segments: %v", segs)
	}
	ask("in a segment")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	ask("after a restart")
	if err := s.Cat("/k8s/audit", "", func(r *trailward.Record) error {
		if string(r.Raw) != oneRecord || r.Stream != "audit.log" {
			t.Errorf("cat = %s of %s", r.Raw, r.Stream)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
